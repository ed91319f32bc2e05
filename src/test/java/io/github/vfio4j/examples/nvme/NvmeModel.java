package io.github.vfio4j.examples.nvme;

import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.DmaFault;
import io.github.vfio4j.emulation.device.RegionModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * An NVMe controller with one namespace in memory, for tests of drivers: registers, queues and commands as far as a driver that
 * reads and writes blocks uses them. What it does not know it refuses as a controller does.
 */
public final class NvmeModel implements DeviceModel, RegionModel {

    /** Registers and doorbells. */
    public static final int BAR_SIZE = 16384;

    private static final int PAGE = 4096;
    private static final int BLOCK = 512;
    private static final long VERSION = 0x08;
    private static final int VERSION_1_4 = 1 << 16 | 4 << 8;
    private static final int INVALID_OPCODE = 0x01;
    private static final int INVALID_FIELD = 0x02;
    private static final int DATA_TRANSFER_ERROR = 0x04;
    private static final int OUT_OF_RANGE = 0x80;
    private static final int SHUT_DOWN = 2 << 2;
    private static final int SHUTDOWN_NOTICE = 3 << 14;
    /** Ready within half a second; 1024 entries in a queue, which lie in one piece. */
    private static final long CAPABILITIES = 1L << 24 | 1 << 16 | 1023;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** A ring in the driver's memory. */
    private static final class Completions {
        private final long address;
        private final int depth;
        private final int vector;
        private int tail;
        private boolean phase = true;

        Completions(long address, int depth, int vector) {
            this.address = address;
            this.depth = depth;
            this.vector = vector;
        }
    }

    private static final class Submissions {
        private final long address;
        private final int depth;
        private final int completions;
        private int head;

        Submissions(long address, int depth, int completions) {
            this.address = address;
            this.depth = depth;
            this.completions = completions;
        }
    }

    /** A command cannot be carried out. */
    private static final class Refusal extends Exception {
        private static final long serialVersionUID = 1L;
        private final int status;

        Refusal(int status) {
            super("status 0x" + Integer.toHexString(status), null, false, false);
            this.status = status;
        }
    }

    private final String serialNumber;
    private final MemorySegment disk;
    private final Map<Integer, Submissions> submissions = new HashMap<>();
    private final Map<Integer, Completions> completions = new HashMap<>();
    private DeviceHost host;
    private int configuration;
    private int status;
    private long adminSizes;
    private long adminSubmissions;
    private long adminCompletions;

    /** A controller with a disk of so many blocks of 512 bytes. */
    public NvmeModel(String serialNumber, int blocks) {
        this.serialNumber = serialNumber;
        disk = Arena.ofAuto().allocate((long) blocks * BLOCK, PAGE);
    }

    @Override
    public Map<Integer, RegionModel> regions() {
        return Map.of(0, this);
    }

    @Override
    public void open(DeviceHost machine) {
        host = machine;
        reset();
    }

    @Override
    public void reset() {
        configuration = 0;
        status = 0;
        submissions.clear();
        completions.clear();
    }

    @Override
    public long read(long offset, int size) {
        // Registers of 64 bits may be read by halves.
        if (offset < 8) {
            return CAPABILITIES >>> (8 * offset);
        }
        if (offset == VERSION) {
            return VERSION_1_4;
        }
        if (offset == NvmeController.CONFIGURATION) {
            return configuration;
        }
        if (offset == NvmeController.STATUS) {
            return status;
        }
        if (offset == NvmeController.ADMIN_QUEUE_SIZES) {
            return adminSizes;
        }
        return 0;
    }

    @Override
    public void write(long offset, int size, long value) {
        if (offset >= NvmeController.DOORBELLS) {
            ring((int) (offset - NvmeController.DOORBELLS) / Integer.BYTES, (int) value);
        } else if (offset == NvmeController.CONFIGURATION) {
            configure((int) value);
        } else if (offset == NvmeController.ADMIN_QUEUE_SIZES) {
            adminSizes = value;
        } else if (offset >= NvmeController.ADMIN_COMPLETIONS) {
            adminCompletions = half(adminCompletions, offset - NvmeController.ADMIN_COMPLETIONS, size, value);
        } else if (offset >= NvmeController.ADMIN_SUBMISSIONS) {
            adminSubmissions = half(adminSubmissions, offset - NvmeController.ADMIN_SUBMISSIONS, size, value);
        }
    }

    private static long half(long before, long at, int size, long value) {
        if (size == Long.BYTES) {
            return value;
        }
        return at == 0 ? (before & -1L << 32) | value : (before & 0xffff_ffffL) | value << 32;
    }

    private void configure(int value) {
        boolean enabled = (value & NvmeController.ENABLE) != 0;
        if (enabled && (configuration & NvmeController.ENABLE) == 0) {
            completions.put(0, new Completions(adminCompletions, (int) (adminSizes >>> 16 & 0xfff) + 1, 0));
            submissions.put(0, new Submissions(adminSubmissions, (int) (adminSizes & 0xfff) + 1, 0));
            status = NvmeController.READY;
        } else if (!enabled) {
            reset();
        }
        configuration = value;
        if ((value & SHUTDOWN_NOTICE) != 0) {
            status |= SHUT_DOWN;
        }
    }

    /** A driver has written to a doorbell: there are commands, or it has seen completions. */
    private void ring(int doorbell, int value) {
        Submissions queue = submissions.get(doorbell / 2);
        if (doorbell % 2 != 0 || queue == null || value < 0 || value >= queue.depth) {
            return;
        }
        while (queue.head != value && (status & NvmeController.FATAL) == 0) {
            executeNext(doorbell / 2, queue);
        }
    }

    private void executeNext(int number, Submissions queue) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment entry = arena.allocate(NvmeCommand.SIZE, Long.BYTES);
            host.dmaRead(queue.address + (long) queue.head * NvmeCommand.SIZE, entry);
            queue.head = (queue.head + 1) % queue.depth;
            int answer = 0;
            try {
                execute(number == 0, NvmeCommand.from(entry), arena);
            } catch (Refusal refusal) {
                answer = refusal.status;
            } catch (DmaFault fault) {
                answer = DATA_TRANSFER_ERROR;
            }
            complete(number, queue, new NvmeCompletion(0, queue.head, NvmeCommand.id(entry), answer), arena);
        } catch (DmaFault fault) {
            // Without its queues a controller can't go on.
            status |= NvmeController.FATAL;
        }
    }

    private void complete(int number, Submissions queue, NvmeCompletion completion, Arena arena) throws DmaFault {
        Completions ring = completions.get(queue.completions);
        MemorySegment entry = arena.allocate(NvmeCompletion.SIZE, Long.BYTES);
        completion.putInto(entry, number, ring.phase);
        host.dmaWrite(ring.address + (long) ring.tail * NvmeCompletion.SIZE, entry);
        ring.tail = (ring.tail + 1) % ring.depth;
        if (ring.tail == 0) {
            ring.phase = !ring.phase;
        }
        host.interrupt(ring.vector);
    }

    private void execute(boolean admin, NvmeCommand command, Arena arena) throws Refusal, DmaFault {
        if (admin) {
            switch (command.opcode()) {
                case NvmeCommand.IDENTIFY -> identify(command, arena);
                case NvmeCommand.CREATE_COMPLETION_QUEUE -> completions.put(command.dword10() & 0xffff,
                        new Completions(command.prp1(), (command.dword10() >>> 16) + 1, command.dword11() >>> 16));
                case NvmeCommand.CREATE_SUBMISSION_QUEUE -> {
                    if (!completions.containsKey(command.dword11() >>> 16)) {
                        throw new Refusal(0x100);
                    }
                    submissions.put(command.dword10() & 0xffff,
                            new Submissions(command.prp1(), (command.dword10() >>> 16) + 1, command.dword11() >>> 16));
                }
                case NvmeCommand.DELETE_SUBMISSION_QUEUE -> submissions.remove(command.dword10() & 0xffff);
                case NvmeCommand.DELETE_COMPLETION_QUEUE -> completions.remove(command.dword10() & 0xffff);
                default -> throw new Refusal(INVALID_OPCODE);
            }
            return;
        }
        switch (command.opcode()) {
            case NvmeCommand.READ, NvmeCommand.WRITE -> transfer(command, arena);
            case NvmeCommand.FLUSH -> {
                // Memory has nothing to make last.
            }
            default -> throw new Refusal(INVALID_OPCODE);
        }
    }

    private void identify(NvmeCommand command, Arena arena) throws Refusal, DmaFault {
        MemorySegment data = arena.allocate(PAGE, Long.BYTES);
        switch (command.dword10() & 0xff) {
            case NvmeCommand.IDENTIFY_CONTROLLER -> {
                text(data, 4, 20, serialNumber);
                text(data, 24, 40, "vfio4j emulated NVMe");
                data.set(ValueLayout.JAVA_BYTE, 77, (byte) 5);
                data.set(INT, 516, 1);
            }
            case NvmeCommand.IDENTIFY_NAMESPACE -> {
                data.set(LONG, 0, disk.byteSize() / BLOCK);
                data.set(INT, 128, Integer.numberOfTrailingZeros(BLOCK) << 16);
            }
            default -> throw new Refusal(INVALID_FIELD);
        }
        host.dmaWrite(command.prp1(), data);
    }

    private static void text(MemorySegment data, long at, int length, String text) {
        byte[] padded = (text + " ".repeat(length)).substring(0, length).getBytes(StandardCharsets.US_ASCII);
        MemorySegment.copy(padded, 0, data, ValueLayout.JAVA_BYTE, at, length);
    }

    /** Page by page, as the driver's memory is one only to its IOMMU. */
    private void transfer(NvmeCommand command, Arena arena) throws Refusal, DmaFault {
        long first = Integer.toUnsignedLong(command.dword10()) | (long) command.dword11() << 32;
        int count = (command.dword12() & 0xffff) + 1;
        if (first < 0 || first + count > disk.byteSize() / BLOCK) {
            throw new Refusal(OUT_OF_RANGE);
        }
        int bytes = count * BLOCK;
        MemorySegment list = arena.allocate(PAGE, Long.BYTES);
        if (bytes > 2 * PAGE) {
            host.dmaRead(command.prp2(), list);
        }
        for (int done = 0; done < bytes; done += PAGE) {
            long address = done == 0
                    ? command.prp1()
                    : bytes <= 2 * PAGE ? command.prp2() : list.get(LONG, (done / PAGE - 1) * (long) Long.BYTES);
            MemorySegment blocks = disk.asSlice(first * BLOCK + done, Math.min(PAGE, bytes - done));
            if (command.opcode() == NvmeCommand.READ) {
                host.dmaWrite(address, blocks);
            } else {
                host.dmaRead(address, blocks);
            }
        }
    }
}
