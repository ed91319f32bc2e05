package io.github.vfio4j.emulation.mdev;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FLAGS_PCI;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_IRQ_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_REGION_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_QUERY_GFX_PLANE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_SET_IRQS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_IRQS;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.feature.Migration;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.vfio.Driver;
import io.github.vfio4j.emulation.vfio.InfoArgument;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The sample drivers: mtty, a serial card that can migrate where the kernel has that, and mdpy, a display that can't. */
public final class MdevDriver implements Driver {

    private static final int DEVICE_INFO_SIZE = 16;

    private final KernelProfile profile;
    private final String name;
    private final MdevModel model;
    private final @Nullable MttyMigration migration;
    /** The drivers know how many kinds of interrupts they have only once they have told somebody. */
    private volatile int numIrqs;

    private MdevDriver(KernelProfile profile, String name, MdevModel model, @Nullable MttyMigration migration) {
        this.profile = profile;
        this.name = name;
        this.model = model;
        this.migration = migration;
    }

    /** A serial card with one port or two. */
    public static MdevDriver mtty(KernelProfile profile, String name, int ports) {
        return new MdevDriver(profile, name, new MttyModel(profile, ports, new MttyIrqs(), new MttyConfig(ports)),
                profile.mttyMigrates() ? new MttyMigration(ports) : null);
    }

    /** A display. */
    public static MdevDriver mdpy(KernelProfile profile, String name) {
        return new MdevDriver(profile, name, new MdpyModel(), null);
    }

    @Override
    public KernelProfile profile() {
        return profile;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int open() {
        return 0; // Nothing to enable.
    }

    @Override
    public void close() {
        model.close();
        if (migration != null) {
            migration.close();
        }
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        if (request == VFIO_DEVICE_GET_INFO()) {
            return deviceInfo(argument);
        }
        if (request == VFIO_DEVICE_GET_REGION_INFO()) {
            return InfoArgument.region(argument, model::region);
        }
        if (request == VFIO_DEVICE_GET_IRQ_INFO()) {
            int error = InfoArgument.checkIrq(argument, numIrqs);
            return error != 0 ? error : model.irqInfo(argument);
        }
        if (request == VFIO_DEVICE_SET_IRQS()) {
            return model.setIrqs(call.descriptors(), argument, numIrqs);
        }
        if (request == VFIO_DEVICE_RESET()) {
            reset();
            return 0;
        }
        return request == VFIO_DEVICE_QUERY_GFX_PLANE() ? model.queryPlane() : -Errno.ENOTTY.code();
    }

    @Override
    public long read(MemorySegment buffer, long offset) {
        return model.access(buffer, offset, false);
    }

    @Override
    public long write(MemorySegment buffer, long offset) {
        return model.access(buffer, offset, true);
    }

    @Override
    public MemorySegment mmap(Arena arena, Mapping mapping) {
        return model.map(arena, mapping);
    }

    private int deviceInfo(MemorySegment argument) {
        int error = InfoArgument.checkDevice(argument);
        if (error != 0) {
            return error;
        }
        numIrqs = VFIO_PCI_NUM_IRQS();
        // That they can be reset they keep to themselves.
        return InfoArgument.writeDevice(argument, VFIO_DEVICE_FLAGS_PCI(), DEVICE_INFO_SIZE, false);
    }

    private void reset() {
        if (migration != null) {
            migration.reset();
        }
    }

    @Override
    public @Nullable Migration migration() {
        return migration;
    }

    @Override
    public @Nullable DmaLoggingModel dmaLogging() {
        return migration == null ? null : new NoDma();
    }

    /** A device without DMA has nothing to log, and says yes to everything. */
    private record NoDma() implements DmaLoggingModel {

        @Override
        public long start(List<Range> ranges, long pageSize) {
            return pageSize;
        }

        @Override
        public void stop() {
            // Nothing was started.
        }

        @Override
        public void report(long iova, long length, DirtyRanges dirty) {
            // Nothing was written.
        }
    }
}
