package io.github.vfio4j.bench;

import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import java.lang.foreign.Arena;

/** A program that opens a file, makes one ioctl on it, and is done. */
public final class FirstIoctl {

    private static final int ENOTTY = 25;

    private FirstIoctl() {
    }

    /** Makes it. */
    public static void main(String... arguments) throws Exception {
        IoctlBackend backend = NativeBackend.create();
        int fd = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        try (Arena arena = Arena.ofConfined()) {
            VfioDevice device = Vfio.using(backend).adoptDevice(fd);
            int answer = device.executeRaw(FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().set().allocate(arena));
            if (answer != -ENOTTY) {
                throw new IllegalStateException("/dev/null has answered " + answer);
            }
        }
    }
}
