package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.device.RegionView;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Closing against everything that can be under way, by platform and virtual threads, on descriptors of the real kernel,
 * which gives a number that is free to whoever opens next. Ends after so many closings, or, with
 * {@code -Dvfio4j.soakSeconds}, after that time each. The limit on time is only there so that a deadlock fails.
 */
@Timeout(value = 15, unit = TimeUnit.MINUTES)
class RacesTest {

    private static final int CALLERS = 6;
    private static final int CLOSERS = 2;
    private static final int SLOTS = 4;
    private static final int FILES = 61;
    private static final long CLOSINGS = 1_000;
    private static final long SOAK = TimeUnit.SECONDS.toNanos(Long.getLong("vfio4j.soakSeconds", 0));
    private static final PciAddress ADDRESS = PciAddress.parse("0000:01:00.0");

    private final NativeBackend kernel = NativeBackend.create();
    private final AtomicLong calls = new AtomicLong();
    private final AtomicLong refusals = new AtomicLong();
    private final AtomicLong closings = new AtomicLong();
    private final Queue<String> violations = new ConcurrentLinkedQueue<>();

    /** What is done again and again by many threads at once. */
    private interface Work {
        void once(ThreadLocalRandom random) throws Exception;
    }

    /** Half of the threads are virtual ones. */
    private void race(Work call, Work close) throws InterruptedException {
        long start = System.nanoTime();
        BooleanSupplier over = () -> SOAK == 0 ? closings.get() >= CLOSINGS : System.nanoTime() - start >= SOAK;
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < CALLERS + CLOSERS; i++) {
            Work work = i < CALLERS ? call : close;
            Runnable loop = () -> {
                while (!over.getAsBoolean() && violations.isEmpty()) {
                    try {
                        work.once(ThreadLocalRandom.current());
                    } catch (Exception | AssertionError e) {
                        violations.add(e.toString());
                    }
                    // One that never waits in Java would keep its carrier for itself, also from one that a closer waits for.
                    if (Thread.currentThread().isVirtual()) {
                        LockSupport.parkNanos(1);
                    }
                }
            };
            threads.add(i % 2 == 0 ? Thread.ofPlatform().start(loop) : Thread.ofVirtual().start(loop));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(violations).isEmpty();
        assertThat(calls).hasPositiveValue();
        System.out.println("races: " + calls + " calls, " + refusals + " refused, " + closings + " closings, "
                + violations.size() + " violations");
    }

    /** Calls unless it is closed, which is an answer as good as any. */
    private void call(Work work) throws Exception {
        try {
            work.once(ThreadLocalRandom.current());
            calls.incrementAndGet();
        } catch (IllegalStateException e) {
            assertThat(e).hasMessageContaining("closed");
            refusals.incrementAndGet();
        }
    }

    /** A descriptor, and the number that is written in the file it leads to. */
    private record Opened(Descriptor descriptor, long identity) {
    }

    private Opened open(List<Path> files, int which) {
        int fd = kernel.open(files.get(which).toString(), Fcntl.O_RDONLY | Fcntl.O_CLOEXEC);
        assertThat(fd).isNotNegative();
        return new Opened(new Descriptor(kernel, fd, "file " + which), which);
    }

    /** Each file says which it is: a call that went to a number that was given away would find another. */
    @Test
    void noCallReachesANumberThatWasGivenAway(@TempDir Path directory) throws Exception {
        List<Path> files = new ArrayList<>();
        for (long i = 0; i < FILES; i++) {
            files.add(Files.write(directory.resolve(Long.toString(i)),
                    ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder()).putLong(i).array()));
        }
        AtomicReferenceArray<Opened> slots = new AtomicReferenceArray<>(SLOTS);
        for (int slot = 0; slot < SLOTS; slot++) {
            slots.set(slot, open(files, slot));
        }
        race(random -> {
            Opened opened = slots.get(random.nextInt(SLOTS));
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment found = arena.allocate(ValueLayout.JAVA_LONG);
                call(ignored -> {
                    assertThat(opened.descriptor().pread(found, 0)).isEqualTo(Long.BYTES);
                    assertThat(found.get(ValueLayout.JAVA_LONG, 0)).as("the file").isEqualTo(opened.identity());
                });
            }
        }, random -> {
            Opened old = slots.getAndSet(random.nextInt(SLOTS), open(files, random.nextInt(FILES)));
            old.descriptor().close();
            closings.incrementAndGet();
        });
        for (int slot = 0; slot < SLOTS; slot++) {
            slots.get(slot).descriptor().close();
        }
    }

    /** ioctl(2) through the public objects: what is no device answers ENOTTY, and a closed number would EBADF. */
    @Test
    void noIoctlGoesToAClosedNumber() throws Exception {
        Vfio vfio = Vfio.using(kernel);
        AtomicReferenceArray<VfioDevice> slots = new AtomicReferenceArray<>(SLOTS);
        for (int slot = 0; slot < SLOTS; slot++) {
            slots.set(slot, nullDevice(vfio));
        }
        race(random -> {
            VfioDevice device = slots.get(random.nextInt(SLOTS));
            try (Arena arena = Arena.ofConfined()) {
                FeatureRequest probe = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().set().allocate(arena);
                call(ignored -> assertThat(device.executeRaw(probe)).isEqualTo(-Errno.ENOTTY.code()));
            }
        }, random -> {
            slots.getAndSet(random.nextInt(SLOTS), nullDevice(vfio)).close();
            closings.incrementAndGet();
        });
        for (int slot = 0; slot < SLOTS; slot++) {
            slots.get(slot).close();
        }
    }

    private VfioDevice nullDevice(Vfio vfio) {
        return vfio.adoptDevice(kernel.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC));
    }

    /** Waits end when what they wait for is closed. */
    @Test
    void noWaitOutlivesItsEventfd() throws Exception {
        Vfio vfio = Vfio.using(kernel);
        AtomicReferenceArray<EventFd> slots = new AtomicReferenceArray<>(SLOTS);
        for (int slot = 0; slot < SLOTS; slot++) {
            slots.set(slot, vfio.openEventFd());
        }
        race(random -> {
            EventFd eventFd = slots.get(random.nextInt(SLOTS));
            if (random.nextBoolean()) {
                call(ignored -> eventFd.signal());
            } else {
                call(ignored -> eventFd.await(Duration.ofMillis(1)));
            }
        }, random -> {
            slots.getAndSet(random.nextInt(SLOTS), vfio.openEventFd()).close();
            closings.incrementAndGet();
        });
        for (int slot = 0; slot < SLOTS; slot++) {
            slots.get(slot).close();
        }
    }

    /** Registers that are unmapped in the middle of an access: an exception, and never the end of the JVM. */
    @Test
    void noAccessReachesMemoryThatIsUnmapped() throws Exception {
        try (EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(ADDRESS.toString(), function -> function.memoryBar(0, 1 << 16)).build().newProcess();
                VfioContainer container = Vfio.using(process).openContainer();
                VfioDevice device = container.openDevice(ADDRESS)) {
            AtomicReferenceArray<RegionView> slots = new AtomicReferenceArray<>(SLOTS);
            for (int slot = 0; slot < SLOTS; slot++) {
                slots.set(slot, device.region(0).map());
            }
            race(random -> {
                RegionView view = slots.get(random.nextInt(SLOTS));
                call(ignored -> {
                    for (int offset = 0; offset < 1 << 10; offset += Integer.BYTES) {
                        view.put32(offset, view.get32(offset));
                    }
                });
            }, random -> {
                slots.getAndSet(random.nextInt(SLOTS), device.region(0).map()).close();
                closings.incrementAndGet();
            });
        }
    }

    /** The emulated kernel under the same: every file, group, container and device is opened and closed meanwhile. */
    @Test
    void devicesAreOpenedUsedAndClosedAtOnce() throws Exception {
        try (EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(ADDRESS.toString(), function -> function.memoryBar(0, 1 << 16)).build().newProcess()) {
            AtomicReferenceArray<VfioContainer> slots = new AtomicReferenceArray<>(1);
            Vfio vfio = Vfio.using(process);
            slots.set(0, vfio.openContainer());
            race(random -> call(ignored -> useOnce(slots.get(0))), random -> {
                slots.getAndSet(0, vfio.openContainer()).close();
                closings.incrementAndGet();
            });
            slots.get(0).close();
            assertThat(process.openFiles()).isEmpty();
        }
    }

    private static void useOnce(VfioContainer container) throws IOException {
        try (VfioDevice device = container.openDevice(ADDRESS)) {
            device.probeAll();
        } catch (VfioException e) {
            // Its group is still in the container that is being closed.
            assertThat(e.errno()).contains(Errno.EBUSY);
        }
    }
}
