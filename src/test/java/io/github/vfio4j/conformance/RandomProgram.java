package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;

import io.github.vfio4j.conformance.Step.Transfer.Call;
import io.github.vfio4j.conformance.Subject.Kind;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * A program of random steps on some devices, the same one for the same seed. Many of its calls are right, and the wrong ones
 * are wrong in one place mostly: calls that are wrong all over are refused by the first check.
 *
 * @param devices
 *            those it uses
 */
record RandomProgram(List<Subject> devices, List<Step> steps) {

    static final int TOKENS = 3;

    private static final List<Call> CALLS = List.of(Call.values());

    /** Of each feature the least length of data, the operations it has (GET 1, SET 2), by index (semantics §B.0). */
    private static final int[] DATA = {16, 8, 8, 0, 8, 0, 24, 0, 32, 8, 4, 16, 0};
    private static final int[] OPERATIONS = {2, 1, 3, 2, 2, 2, 2, 2, 1, 1, 2, 1, 2};
    private static final int SET = 2;
    private static final int PROBE = 4;
    private static final int HEADER = 8;
    private static final int LOW_POWER_EXIT = 5;

    private static final long[] WORDS = {0, 1, 2, 3, 7, 8, 4096, 8192, 0xffff_ffffL, -1, 1L << 63, -4096, Step.MEMORY,
            Step.MEMORY + 8};
    private static final long[] ADDRESSES = {0, 0, 4096, 8192, 12288, 1L << 20, 1, 4095, -4096, -1, 1L << 63};
    private static final long[] POINTERS = {Step.MEMORY, Step.MEMORY, Step.MEMORY, Step.MEMORY + 16, 0, 1,
            0x8000_0000_0000_0000L, -1};
    private static final int[] REGIONS = {0, 0, 0, 0, 1, 2, 5, 6, 7, 8, 9, -1};
    private static final int[] RANGE_COUNTS = {1, 1, 1, 2, 2, 3, 0, 262144, 262145, 300000, 1 << 31, -1};

    /** A program of about so many steps. */
    static RandomProgram of(List<Subject> machine, long seed, int length) {
        Random random = new Random(seed);
        List<Subject> devices = new ArrayList<>();
        List<List<Subject>> choices = new ArrayList<>();
        List<Subject> sriov = machine.stream()
                .filter(subject -> subject.kind() == Kind.PHYSICAL_FUNCTION || subject.kind() == Kind.VIRTUAL_FUNCTION)
                .toList();
        choices.add(sriov);
        choices.add(machine.stream().filter(subject -> subject.kind() == Kind.PLAIN_FUNCTION).toList());
        List<Subject> mediated = machine.stream().filter(subject -> subject.kind().isMediated()).toList();
        if (!mediated.isEmpty()) {
            choices.add(mediated);
            choices.add(mediated);
            choices.add(mediated);
        }
        choices.add(machine);
        devices.addAll(choices.get(random.nextInt(choices.size())));
        Collections.shuffle(devices, random);
        return new Generator(random, devices).program(length);
    }

    private static final class Generator {

        private final Random random;
        private final List<Subject> devices;
        private final List<Step> steps = new ArrayList<>();

        Generator(Random random, List<Subject> devices) {
            this.random = random;
            this.devices = devices;
        }

        RandomProgram program(int length) {
            boolean sriov = devices.stream().anyMatch(device -> device.kind() == Kind.VIRTUAL_FUNCTION);
            if (sriov && random.nextInt(4) > 0) {
                steps.add(new Step.NumVfs(2));
                for (int i = 0; i < devices.size(); i++) {
                    if (devices.get(i).kind() == Kind.VIRTUAL_FUNCTION) {
                        steps.add(new Step.Open(i, " vf_token=" + token(0)));
                    }
                }
            }
            while (steps.size() < length) {
                int device = random.nextInt(devices.size());
                // A real PCI function takes a tenth of a second to be reset, at an opening too.
                int rare = devices.get(device).kind().isMediated() ? 25 : 1;
                int choice = random.nextInt(1000);
                if (choice < 2 && sriov) {
                    steps.add(new Step.NumVfs(any(0, 1, 2, 2, 2, 3, 60000, -1)));
                } else if (choice < 4 + rare) {
                    steps.add(new Step.Request(device, which(), VFIO_DEVICE_RESET(), 0, 0));
                } else if (choice < 5 + 2 * rare) {
                    steps.add(new Step.Close(device, which()));
                    steps.add(new Step.Open(device, ending(devices.get(device))));
                } else if (choice < 6 + 4 * rare) {
                    steps.add(new Step.Open(device, ending(devices.get(device))));
                } else if (choice < 12 + 4 * rare) {
                    int argsz = any(0, 7, 15, 16, 17, 20, 23, 24, 25, 64, -1);
                    steps.add(new Step.Request(device, which(), VFIO_DEVICE_GET_INFO(), argsz,
                            random.nextInt(8) > 0 ? 64 : random.nextInt(25)));
                } else if (choice < 300 && devices.get(device).kind() == Kind.MTTY) {
                    steps.add(new Step.Transfer(CALLS.get(random.nextInt(CALLS.size())), which(),
                            any(0, 1, 7, 8, 9, 23, 24, 25, 36, 60, 61, 96, 97, 100, random.nextInt(120))));
                } else {
                    feature(choice > 950 ? any(-1, -2, -3, -4, -5, -6) : device, devices.get(device).kind());
                }
            }
            return new RandomProgram(devices, List.copyOf(steps));
        }

        private int any(int... choices) {
            return choices[random.nextInt(choices.length)];
        }

        private long any(long... choices) {
            return choices[random.nextInt(choices.length)];
        }

        private int which() {
            return random.nextInt(4);
        }

        private String ending(Subject device) {
            if (device.kind().isMediated()) {
                return random.nextInt(20) > 0 ? "" : " ";
            }
            boolean virtual = device.kind() == Kind.VIRTUAL_FUNCTION;
            String token = token(random.nextInt(4) > 0 ? 0 : random.nextInt(TOKENS));
            return switch (random.nextInt(12)) {
                case 0 -> " vf_token=" + token + "x";
                case 1 -> "  vf_token=" + token + " ";
                case 2 -> " vf_token=" + token.substring(1);
                case 3 -> "\t";
                case 4, 5, 6 -> virtual ? "" : " vf_token=" + token;
                default -> virtual ? " vf_token=" + token : "";
            };
        }

        private int index(Kind kind) {
            int[] own = switch (kind) {
                case PHYSICAL_FUNCTION -> new int[]{0, 0, 0, 3, 4, 5, 11, 11, 12};
                case VIRTUAL_FUNCTION, PLAIN_FUNCTION -> new int[]{0, 3, 4, 5, 11, 11, 12};
                case MTTY -> new int[]{1, 2, 2, 2, 2, 6, 6, 7, 8, 8, 9, 12};
                case MDPY -> new int[]{0, 1, 2, 12};
            };
            return switch (random.nextInt(20)) {
                case 0 -> any(0xffff, 14, 0x100, 0x7fff, random.nextInt(0x10000));
                case 1, 2, 3, 4, 5 -> random.nextInt(14);
                default -> any(own);
            };
        }

        private void feature(int on, Kind kind) {
            int index = index(kind);
            int minimum = index < DATA.length ? DATA[index] : any(0, 8, 16);
            int usual = index < DATA.length ? OPERATIONS[index] : any(1, 2);
            int operations = switch (random.nextInt(10)) {
                case 0, 1, 2 -> random.nextInt(8);
                case 3 -> PROBE | usual;
                default -> usual == 3 ? any(1, 2, 2) : usual;
            };
            boolean entersLowPower = (index == 3 || index == 4) && operations == SET;
            if (entersLowPower && random.nextInt(4) > 0) {
                // Asleep, a real function takes milliseconds for a call.
                operations = PROBE | SET;
                entersLowPower = false;
            }
            int unknown = switch (random.nextInt(40)) {
                case 0 -> random.nextInt() & ~0x7ffff;
                case 1 -> 1 << random.nextInt(19, 32);
                default -> 0;
            };
            int ranges = index == 11 ? any(RANGE_COUNTS) : 0;
            List<Long> data = random.nextInt(8) > 0 ? valid(index, ranges) : anything(8);
            if (index == 4) {
                // No number that stands for something else in the other kernel's process.
                data.set(0, descriptor());
            }
            int whole = HEADER + Math.max(minimum, index == 11 ? data.size() * Long.BYTES : 0);
            int argsz = random.nextInt(3) > 0
                    ? whole
                    : any(0, 7, 8, 9, HEADER + minimum - 1, HEADER + minimum, HEADER + minimum + 1, 64,
                            Integer.MAX_VALUE, -1, random.nextInt());
            int mapped = switch (random.nextInt(12)) {
                case 0 -> random.nextInt(whole + 9);
                case 1 -> any(0, 4, 8, whole - 1, whole);
                case 2, 3, 4 -> 64;
                default -> whole;
            };
            steps.add(new Step.Feature(on, which(), mapped, argsz, index | operations << 16 | unknown,
                    List.copyOf(data), memory(index)));
            if (entersLowPower && on >= 0) {
                for (int i = random.nextInt(3); i > 0; i--) {
                    feature(on, kind);
                }
                steps.add(new Step.Feature(on, which(), HEADER, HEADER, LOW_POWER_EXIT | SET << 16, List.of(),
                        List.of()));
            }
        }

        private long descriptor() {
            long low = any(Step.DESCRIPTOR, Step.DESCRIPTOR, Step.DESCRIPTOR + 1, Step.DESCRIPTOR + 2,
                    Step.DESCRIPTOR + Step.NO_EVENTFD, 0xffff_ffffL, 0x8000_0000L, 9999L);
            return low;
        }

        private List<Long> anything(int words) {
            List<Long> data = new ArrayList<>();
            for (int i = 0; i < words; i++) {
                // Whatever is random is no address of the program's.
                data.add(random.nextInt(6) == 0 ? random.nextLong() | 1L << 63 : any(WORDS));
            }
            return data;
        }

        private List<Long> valid(int index, int ranges) {
            List<Long> data = new ArrayList<>();
            switch (index) {
                case 0 -> {
                    long token = Step.TOKEN + (random.nextInt(3) > 0 ? 0 : random.nextInt(TOKENS));
                    data.add(token);
                    data.add(token);
                }
                case 2 -> data.add(Integer.toUnsignedLong(
                        random.nextInt(12) > 0 ? random.nextInt(1, 8) : any(0, 8, 9, -1, Integer.MIN_VALUE))
                        | (long) any(0, 42, -1) << 32);
                case 6 -> {
                    data.add(any(4096, 4096, 4096, 0, 1, 3, 8192, 6, 1L << 63, -1L));
                    data.add(Integer.toUnsignedLong(any(1, 1, 2, 2, 3, 4, 0, 255, 256, 257, -1))
                            | (long) any(0, -1) << 32);
                    data.add(any(POINTERS));
                }
                case 8 -> {
                    data.add(any(ADDRESSES));
                    data.add(any(ADDRESSES));
                    data.add(any(4096, 4096, 4096, 8192, 0, 1, 2048, 4097, 1L << 63, -1L));
                    data.add(any(POINTERS));
                }
                case 10 -> data.add((long) random.nextInt(3));
                case 11 -> {
                    data.add(Integer.toUnsignedLong(any(REGIONS)) | (long) any(0, 0x80000, 2, 0x80002, -1) << 32);
                    data.add((random.nextInt(8) > 0 ? 0 : 1L) | (long) ranges << 32);
                    for (int i = 0; i < Math.clamp(ranges, 1, 3); i++) {
                        boolean right = random.nextInt(3) > 0;
                        data.add(right ? any(0, 0, 4096L) : any(ADDRESSES));
                        data.add(right ? any(4096, 4096, 8192L) : any(ADDRESSES));
                    }
                }
                default -> data.addAll(anything(4));
            }
            return data;
        }

        private List<Long> memory(int index) {
            List<Long> memory = new ArrayList<>();
            if (index == 6 || index == 8) {
                for (int i = 0; i < 8; i++) {
                    memory.add(random.nextInt(4) > 0 ? any(0, 4096L, 8192L, 16384L, 1L << 20) : any(ADDRESSES));
                }
            }
            return List.copyOf(memory);
        }
    }

    /** One of the tokens that programs use, in text. */
    static String token(int which) {
        return "00112233-4455-6677-8899-aabbccddeef" + which;
    }
}
