package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.TYPE1V2;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.VF2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Many threads on one emulated kernel: what each is answered is what some order of the calls would answer. */
@Timeout(EmulatedKernelThreadsTest.SECONDS)
class EmulatedKernelThreadsTest {

    /** Reached only by threads that hang. */
    static final int SECONDS = 120;

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final int STANDARD_DESCRIPTORS = 3;
    private static final int ROUNDS = 300;
    /** Where threads need not meet. */
    private static final int FREE_ROUNDS = 5000;
    /** Where more threads meet than there may be processors, which takes its time. */
    private static final int MEETINGS = 50;
    private static final String ZEROS = "00000000-0000-0000-0000-000000000000";
    private static final String ONES = "ffffffff-ffff-ffff-ffff-ffffffffffff";

    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    void stop() {
        threads.shutdownNow();
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void everyThreadHasItsDevice(KernelProfile kernel) throws Exception {
        int devices = 8;
        EmulatedKernel.Builder machine = EmulatedKernel.builder(kernel);
        for (int i = 0; i < devices; i++) {
            machine.pciFunction("0000:0" + i + ":00.0", function -> function.sriov(1));
        }
        Program program = Program.on(machine);
        Set<Integer> open = ConcurrentHashMap.newKeySet();
        inParallel(devices, thread -> {
            String name = "0000:0" + thread + ":00.0";
            String path = program.groupPath(name);
            for (int round = 0; round < FREE_ROUNDS; round++) {
                int container = opens(open, program.container());
                int group = opens(open, program.open(path));
                assertThat(answer(program.setContainer(group, container))).isEqualTo("0");
                assertThat(answer(program.setIommu(container, TYPE1V2))).isEqualTo("0");
                int device = opens(open, program.deviceFd(group, name));
                assertThat(answer(program.setToken(device, TOKEN))).isEqualTo("0");
                for (int fd : new int[]{container, group, device}) {
                    open.remove(fd);
                    assertThat(answer(program.process().close(fd))).isEqualTo("0");
                }
            }
            return "done";
        });
        assertThat(program.process().openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS);
        for (int i = 0; i < devices; i++) {
            success(program.device("0000:0" + i + ":00.0"));
        }
    }

    /** A descriptor that a call returns belongs to nobody else. */
    private static int opens(Set<Integer> open, int fd) {
        success(fd);
        assertThat(open.add(fd)).as("descriptor %d is new", fd).isTrue();
        return fd;
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void threadsShareADevice(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        inParallel(6, thread -> {
            for (int round = 0; round < FREE_ROUNDS; round++) {
                int device = success(program.deviceFd(group, PLAIN));
                assertThat(answer(program.feature(device, 1 << 18, 8))).isEqualTo("ENOTTY");
                assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EBUSY");
                program.close(device);
            }
            return "done";
        });
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
        assertThat(program.process().openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS + 1);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void oneOfTwoOpensTheGroup(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        String path = program.groupPath(PLAIN);
        for (List<Integer> results : rounds(2, () -> program.open(path), program)) {
            assertThat(results.stream().map(Program::opened)).containsExactlyInAnyOrder("fd", "EBUSY");
        }
        assertThat(program.process().openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void oneOfThreeProcessesOpensTheGroup(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        String path = program.groupPath(PLAIN);
        List<Program> processes = List.of(program, Program.on(program.kernel()), Program.on(program.kernel()));
        Rendezvous barrier = new Rendezvous(processes.size());
        List<List<String>> answers = inParallel(processes.size(), thread -> {
            List<String> mine = new ArrayList<>();
            for (int round = 0; round < MEETINGS; round++) {
                barrier.await();
                int fd = processes.get(thread).open(path);
                mine.add(opened(fd));
                barrier.await();
                if (fd >= 0) {
                    processes.get(thread).close(fd);
                }
            }
            return mine;
        });
        for (int round = 0; round < MEETINGS; round++) {
            int number = round;
            assertThat(answers.stream().map(mine -> mine.get(number))).containsExactlyInAnyOrder("fd", "EBUSY",
                    "EBUSY");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void oneOfTwoClosesADescriptor(KernelProfile kernel) throws Exception {
        int many = 100;
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        Rendezvous barrier = new Rendezvous(2);
        int[] open = new int[many];
        AtomicInteger closed = new AtomicInteger();
        inParallel(2, thread -> {
            for (int round = 0; round < MEETINGS; round++) {
                if (barrier.await() == 0) {
                    assertThat(closed.get()).isEqualTo(many * round);
                    Arrays.setAll(open, i -> success(program.deviceFd(group, PLAIN)));
                }
                barrier.await();
                for (int fd : open) {
                    String answer = answer(program.process().close(fd));
                    assertThat(answer).isIn("0", "EBADF");
                    closed.addAndGet(answer.equals("0") ? 1 : 0);
                }
            }
            return "done";
        });
        assertThat(closed.get()).isEqualTo(many * MEETINGS);
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
        assertThat(program.process().openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS + 1);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aCallReachesTheDeviceOrABadDescriptor(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PF);
        Rendezvous barrier = new Rendezvous(2);
        int fd = success(program.deviceFd(group, PF));
        inParallel(2, thread -> {
            for (int round = 0; round < ROUNDS; round++) {
                barrier.await();
                if (thread == 0) {
                    program.close(fd);
                } else {
                    assertThat(answer(program.setToken(fd, TOKEN))).isIn("0", "EBADF");
                }
                if (barrier.await() == 0) {
                    assertThat(program.deviceFd(group, PF)).isEqualTo(fd);
                }
            }
            return "done";
        });
        program.close(fd);
        // No call in progress has kept the device open.
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void oneOfTwoContainersGetsTheGroup(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int group = program.group(PLAIN);
        int[] containers = {program.container(), program.container()};
        Rendezvous barrier = new Rendezvous(2);
        inParallel(2, thread -> {
            for (int round = 0; round < ROUNDS; round++) {
                barrier.await();
                String set = answer(program.setContainer(group, containers[thread]));
                barrier.await();
                // The container that has the group, and it alone, takes an IOMMU.
                assertThat(answer(program.setIommu(containers[thread], TYPE1V2))).isEqualTo(set);
                assertThat(set).isIn("0", "EINVAL");
                barrier.await();
                if (set.equals("0")) {
                    assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
                }
            }
            return "done";
        });
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void oneOfTwoSetsTheIommu(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int container = program.container();
        int group = program.group(PLAIN);
        Rendezvous barrier = new Rendezvous(2);
        List<List<String>> answers = inParallel(2, thread -> {
            List<String> mine = new ArrayList<>();
            for (int round = 0; round < ROUNDS; round++) {
                if (barrier.await() == 0) {
                    success(program.setContainer(group, container));
                }
                barrier.await();
                mine.add(answer(program.setIommu(container, TYPE1V2)));
                if (barrier.await() == 0) {
                    success(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()));
                }
            }
            return mine;
        });
        for (int round = 0; round < ROUNDS; round++) {
            assertThat(List.of(answers.get(0).get(round), answers.get(1).get(round))).containsExactlyInAnyOrder("0",
                    "EINVAL");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theLastDescriptorsGoToWhoComesFirst(KernelProfile kernel) throws Exception {
        int limit = 40;
        Program program = Program.on(Program.machine(kernel).descriptorLimit(limit));
        for (int round = 0; round < 50; round++) {
            List<List<Integer>> taken = inParallel(4, thread -> {
                List<Integer> mine = new ArrayList<>();
                int fd = program.open("/dev/null");
                while (fd >= 0) {
                    mine.add(fd);
                    fd = thread % 2 == 0 ? program.open("/dev/vfio/vfio") : program.process().eventfd(0, 0);
                }
                assertThat(answer(fd)).isEqualTo("EMFILE");
                return mine;
            });
            assertThat(taken.stream().flatMap(List::stream))
                    .containsExactlyInAnyOrderElementsOf(IntStream.range(STANDARD_DESCRIPTORS, limit).boxed().toList());
            inParallel(4, thread -> {
                taken.get(thread).forEach(program::close);
                return "done";
            });
            assertThat(program.process().openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void usersOfATokenAreCountedRight(KernelProfile kernel) throws Exception {
        Program program = Program.withVirtualFunctions(kernel);
        int physical = program.readyGroup(PF);
        int[] groups = {program.readyGroup(VF), program.readyGroup(VF2)};
        String[] names = {VF, VF2};
        inParallel(5, thread -> {
            for (int round = 0; round < FREE_ROUNDS; round++) {
                if (thread == 4) {
                    int device = program.deviceFd(physical, PF);
                    assertThat(opened(device)).isIn("fd", "EACCES");
                    if (device >= 0) {
                        program.close(device);
                    }
                } else {
                    int device = success(
                            program.deviceFd(groups[thread % 2], names[thread % 2] + " vf_token=" + TOKEN));
                    assertThat(opened(program.deviceFd(physical, PF))).isEqualTo("EACCES");
                    program.close(device);
                }
            }
            return "done";
        });
        assertThat(opened(program.deviceFd(physical, PF))).isEqualTo("fd");
        success(program.deviceFd(groups[0], VF + " vf_token=" + TOKEN));
        assertThat(opened(program.deviceFd(physical, PF))).isEqualTo("EACCES");
    }

    /** Two descriptors of a virtual function are closed at once, or one is closed while another is opened. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aDeviceIsInUseUntilItsLastDescriptorIsClosed(KernelProfile kernel) throws Exception {
        Program program = Program.withVirtualFunctions(kernel);
        int physical = program.readyGroup(PF);
        int virtual = program.readyGroup(VF);
        String name = VF + " vf_token=" + TOKEN;
        Rendezvous barrier = new Rendezvous(2);
        int[] open = new int[2];
        inParallel(2, thread -> {
            for (int round = 0; round < ROUNDS; round++) {
                open[thread] = success(program.deviceFd(virtual, name));
                barrier.await();
                program.close(open[thread]);
                if (barrier.await() == 0) {
                    program.close(success(program.deviceFd(physical, PF)));
                    open[0] = success(program.deviceFd(virtual, name));
                }
                barrier.await();
                if (thread == 0) {
                    program.close(open[0]);
                } else {
                    open[1] = success(program.deviceFd(virtual, name));
                }
                if (barrier.await() == 0) {
                    assertThat(opened(program.deviceFd(physical, PF))).isEqualTo("EACCES");
                    program.close(open[1]);
                    program.close(success(program.deviceFd(physical, PF)));
                }
                barrier.await();
            }
            return "done";
        });
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aTokenIsOneOrTheOther(KernelProfile kernel) throws Exception {
        Program program = Program.withVirtualFunctions(kernel);
        int device = success(program.device(PF));
        int group = program.readyGroup(VF);
        Rendezvous barrier = new Rendezvous(2);
        inParallel(2, thread -> {
            for (int round = 0; round < ROUNDS; round++) {
                barrier.await();
                assertThat(answer(program.setToken(device, thread == 0 ? ZEROS : ONES))).isEqualTo("0");
                if (barrier.await() == 0) {
                    int zeros = program.deviceFd(group, VF + " vf_token=" + ZEROS);
                    int ones = program.deviceFd(group, VF + " vf_token=" + ONES);
                    assertThat(List.of(opened(zeros), opened(ones))).containsExactlyInAnyOrder("fd", "EACCES");
                    program.close(Math.max(zeros, ones));
                }
            }
            return "done";
        });
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void virtualFunctionsAreCreatedOnce(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        program.createVirtualFunctions(0);
        Rendezvous barrier = new Rendezvous(2);
        inParallel(2, thread -> {
            String mine = Integer.toString(thread + 1);
            for (int round = 0; round < ROUNDS; round++) {
                barrier.await();
                String answer = answer(program.setNumVfs(PF, mine));
                assertThat(answer).isIn("1", "EBUSY");
                barrier.await();
                // As many as the one that was not refused has asked for.
                boolean won = program.kernel().pciFunctions().size() == 2 + thread + 1;
                assertThat(answer).isEqualTo(won ? "1" : "EBUSY");
                if (barrier.await() == 0) {
                    assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
                    assertThat(program.kernel().pciFunctions()).hasSize(2);
                }
            }
            return "done";
        });
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernelsSince61")
    void lowPowerIsEnteredByOne(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        exclude("EINVAL", thread -> program.feature(device, 3 | 1 << 17, 8),
                entered -> program.feature(device, 5 | 1 << 17, 8));
        assertThat(answer(program.feature(device, 3 | 1 << 17, 8))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aGroupIsOpenedByOne(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        String path = program.groupPath(PLAIN);
        exclude("EBUSY", thread -> program.open(path), program.process()::close);
        assertThat(program.process().openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aGroupJoinsOneContainer(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int group = program.group(PLAIN);
        int[] containers = {program.container(), program.container(), program.container()};
        exclude("EINVAL", thread -> program.setContainer(group, containers[thread]),
                joined -> program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()));
    }

    /** What one thread has, no other gets: three take it again and again, and give it back. */
    private void exclude(String refusal, Task<Integer> take, IntUnaryOperator giveBack) throws Exception {
        AtomicInteger owners = new AtomicInteger();
        inParallel(3, thread -> {
            for (int round = 0; round < FREE_ROUNDS; round++) {
                int taken = take.run(thread);
                if (taken < 0) {
                    assertThat(answer(taken)).isEqualTo(refusal);
                } else {
                    assertThat(owners.incrementAndGet()).isEqualTo(1);
                    owners.decrementAndGet();
                    assertThat(answer(giveBack.applyAsInt(taken))).isEqualTo("0");
                }
            }
            return "done";
        });
    }

    /** The call in progress may be the last that uses a device, of another group at that. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aGroupCanBeGivenADescriptorThatIsBeingClosed(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        String[] names = {PLAIN, PF};
        int[] groups = {program.readyGroup(PLAIN), program.readyGroup(PF)};
        int[] devices = {success(program.deviceFd(groups[0], PLAIN)), success(program.deviceFd(groups[1], PF))};
        Rendezvous barrier = new Rendezvous(4);
        inParallel(4, thread -> {
            int mine = thread % 2;
            for (int round = 0; round < MEETINGS; round++) {
                barrier.await();
                if (thread < 2) {
                    program.close(devices[mine]);
                } else {
                    assertThat(answer(program.setContainer(groups[mine], devices[1 - mine]))).isIn("EINVAL", "EBADF");
                }
                barrier.await();
                if (thread < 2) {
                    devices[mine] = success(program.deviceFd(groups[mine], names[mine]));
                }
            }
            return "done";
        });
        for (int i = 0; i < 2; i++) {
            assertThat(answer(program.ioctl(groups[i], VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EBUSY");
            program.close(devices[i]);
            assertThat(answer(program.ioctl(groups[i], VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
        }
    }

    /** The same call from several threads at once, again and again; what succeeds is closed in between. */
    private List<List<Integer>> rounds(int count, Callable<Integer> call, Program program) throws Exception {
        Rendezvous barrier = new Rendezvous(count);
        List<List<Integer>> byThread = inParallel(count, thread -> {
            List<Integer> mine = new ArrayList<>();
            for (int round = 0; round < ROUNDS; round++) {
                barrier.await();
                int fd = call.call();
                mine.add(fd);
                barrier.await();
                if (fd >= 0) {
                    program.close(fd);
                }
            }
            return mine;
        });
        return IntStream.range(0, ROUNDS).mapToObj(round -> byThread.stream().map(mine -> mine.get(round)).toList())
                .toList();
    }

    /** Lets threads go at one moment. They spin: to wake one takes longer than the calls that are to meet. */
    private static final class Rendezvous {

        private static final int SPINS = 1000;

        private final int parties;
        private final AtomicInteger arrived = new AtomicInteger();

        Rendezvous(int parties) {
            this.parties = parties;
        }

        /** Waits for the others; returns 0 to one of them. */
        @SuppressWarnings("ThreadPriorityCheck") // Only speed depends on it: there may be more threads than processors.
        int await() throws InterruptedException {
            int mine = arrived.getAndIncrement();
            int all = (mine / parties + 1) * parties;
            for (int spins = 0; arrived.get() < all; spins++) {
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
                if (spins < SPINS) {
                    Thread.onSpinWait();
                } else {
                    Thread.yield();
                }
            }
            return mine % parties;
        }
    }

    private interface Task<T> {
        T run(int thread) throws Exception;
    }

    /** Runs a task in that many threads and returns what each returned. */
    private <T> List<T> inParallel(int count, Task<T> task) throws Exception {
        CompletionService<T> completion = new ExecutorCompletionService<>(threads);
        List<Future<T>> running = IntStream.range(0, count)
                .mapToObj(thread -> completion.submit(() -> task.run(thread))).toList();
        for (int i = 0; i < count; i++) {
            // The first that fails ends the test, and by @AfterEach the others that wait for it.
            completion.take().get();
        }
        List<T> results = new ArrayList<>();
        for (Future<T> future : running) {
            results.add(future.get());
        }
        return results;
    }
}
