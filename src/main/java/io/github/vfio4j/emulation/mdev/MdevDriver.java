package io.github.vfio4j.emulation.mdev;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.feature.DmaLoggingOps;
import io.github.vfio4j.emulation.feature.MigrationOps;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.vfio.DeviceName;
import io.github.vfio4j.emulation.vfio.Driver;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The sample drivers: mtty, a serial card that can migrate where the kernel has that, and mdpy, a display that can't. */
public final class MdevDriver implements Driver {

    private static final int DEVICE_RESET = 0x3b6f;
    private static final int FIRST_INFORMATION = 0x3b6b;
    private static final int LAST_INFORMATION = 0x3b6e;

    private final KernelProfile profile;
    private final String name;
    private final @Nullable MttyMigration migration;

    private MdevDriver(KernelProfile profile, String name, @Nullable MttyMigration migration) {
        this.profile = profile;
        this.name = name;
        this.migration = migration;
    }

    /** A serial card with one port or two. */
    public static MdevDriver mtty(KernelProfile profile, String name, int ports) {
        return new MdevDriver(profile, name, profile.mttyMigrates() ? new MttyMigration(ports) : null);
    }

    /** A display. */
    public static MdevDriver mdpy(KernelProfile profile, String name) {
        return new MdevDriver(profile, name, null);
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
    public int match(DeviceName text) {
        return text.matchWhole(name);
    }

    @Override
    public void open() {
        // Nothing to enable.
    }

    @Override
    public void close() {
        if (migration != null) {
            migration.close();
        }
    }

    @Override
    public void wake() {
        // No power management.
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        if (request == DEVICE_RESET) {
            if (migration != null) {
                migration.reset();
            }
            return 0;
        }
        if (request >= FIRST_INFORMATION && request <= LAST_INFORMATION) {
            throw new NotModelledException("the device request 0x" + Integer.toHexString(request)
                    + " (device information, interrupts) of a mediated device");
        }
        return -Errno.ENOTTY.code();
    }

    @Override
    public @Nullable MigrationOps migration() {
        return migration;
    }

    @Override
    public @Nullable DmaLoggingOps dmaLogging() {
        return migration == null ? null : new NoDma();
    }

    /** A device without DMA has nothing to log, and says yes to everything. */
    private record NoDma() implements DmaLoggingOps {

        @Override
        public Started start(List<Range> ranges, long pageSize) {
            return new Started(0, pageSize);
        }

        @Override
        public int stop() {
            return 0;
        }

        @Override
        public int report(long iova, long length, DirtyBitmap dirty) {
            return 0;
        }
    }
}
