package io.github.vfio4j.conformance;

import static io.github.vfio4j.conformance.MigratingDevice.PRE_COPY;
import static io.github.vfio4j.conformance.MigratingDevice.STOP_COPY;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIGRATION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIG_DATA_SIZE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_MIG_GET_PRECOPY_INFO;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Calls that lack something: memory behind the first bytes of their argument, or a free descriptor. It expects nothing;
 * two kernels are compared by it.
 */
final class FaultyCalls {

    private static final int LARGEST_ARGUMENT = 48;
    private static final int GET = VFIO_DEVICE_FEATURE_GET();
    private static final int SET = VFIO_DEVICE_FEATURE_SET();

    private static final int[] FEATURES = {VFIO_DEVICE_FEATURE_MIGRATION() | GET,
            VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE() | GET, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE() | SET,
            VFIO_DEVICE_FEATURE_DMA_LOGGING_START() | SET, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP() | SET,
            VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT() | GET, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE() | GET,
            VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2() | SET, GET | SET, 0xffff | GET};

    private FaultyCalls() {
    }

    /** On a device that can migrate, or any other. */
    static void withoutMemory(MediatedDevice device) {
        MigratingDevice migration = new MigratingDevice(device);
        try (GuardedMemory memory = new GuardedMemory()) {
            for (int flags : FEATURES) {
                for (int size = 0; size <= LARGEST_ARGUMENT; size += Integer.BYTES) {
                    device.reset();
                    MemorySegment argument = memory.last(size);
                    if (size > 0) {
                        // PRE_COPY, where that is a state: a page size of 6 and no bitmap, where it is not.
                        int[] words = {LARGEST_ARGUMENT, flags, PRE_COPY, 0, 1, 0, 0, 0, 0, 0, 0, 0};
                        MemorySegment.copy(words, 0, argument, ValueLayout.JAVA_INT, 0, size / Integer.BYTES);
                    }
                    int result = device.feature(argument);
                    migration.state();
                    if (result == 0 && flags == (VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE() | SET)) {
                        migration.close(argument.get(ValueLayout.JAVA_INT, 12));
                    }
                }
            }
            int fd = migration.resetAndSet(PRE_COPY);
            for (int size = 0; size <= 24; size += Integer.BYTES) {
                MemorySegment argument = memory.last(size);
                if (size > 0) {
                    argument.set(ValueLayout.JAVA_INT, 0, 24);
                }
                device.backend().ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO(), argument);
            }
            migration.close(fd);
            device.reset();
        }
    }

    /**
     * A change of state that has no descriptor for what it has begun.
     *
     * @param kernels
     *            every kernel behind the device: its process is to have no free descriptor
     */
    static void withoutDescriptors(MediatedDevice device, List<IoctlBackend> kernels) {
        MigratingDevice migration = new MigratingDevice(device);
        for (int state : new int[]{STOP_COPY, PRE_COPY}) {
            device.reset();
            List<Runnable> openings = new ArrayList<>();
            kernels.forEach(kernel -> openings.add(fill(kernel)));
            migration.set(state);
            migration.state();
            openings.forEach(Runnable::run);
            // The state has changed, and the session has no descriptor.
            migration.state();
            migration.close(migration.set(STOP_COPY));
        }
        device.reset();
    }

    /** Takes every descriptor that is left; how to give them back. */
    private static Runnable fill(IoctlBackend kernel) {
        List<Integer> taken = new ArrayList<>();
        for (int fd = kernel.open("/dev/null", Fcntl.O_RDWR); fd >= 0; fd = kernel.open("/dev/null", Fcntl.O_RDWR)) {
            taken.add(fd);
        }
        return () -> taken.forEach(kernel::close);
    }
}
