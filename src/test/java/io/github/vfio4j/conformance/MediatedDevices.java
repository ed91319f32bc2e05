package io.github.vfio4j.conformance;

import io.github.vfio4j.emulation.EmulatedKernel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.UUID;
import java.util.stream.Stream;

/** The mediated devices of the machine this runs on. */
final class MediatedDevices {

    private static final Path DEVICES = Path.of("/sys/bus/mdev/devices");

    private MediatedDevices() {
    }

    /** Adds the same devices to an emulated kernel, in the order of their groups: it numbers groups as the real one does. */
    static void copyTo(EmulatedKernel.Builder kernel) {
        if (!Files.isDirectory(DEVICES)) {
            return;
        }
        try (Stream<Path> devices = Files.list(DEVICES)) {
            devices.sorted(Comparator.comparingInt(device -> Integer.parseInt(lastName(device.resolve("iommu_group")))))
                    .forEach(device -> copy(device, kernel));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void copy(Path device, EmulatedKernel.Builder kernel) {
        UUID uuid = UUID.fromString(device.getFileName().toString());
        String type = lastName(device.resolve("mdev_type"));
        switch (type) {
            case "mtty-1" -> kernel.mtty(uuid, 1);
            case "mtty-2" -> kernel.mtty(uuid, 2);
            case "mdpy-vga", "mdpy-xga", "mdpy-hd" -> kernel.mdpy(uuid);
            default -> throw new IllegalStateException("No emulated device is like " + uuid + " of type " + type);
        }
    }

    private static String lastName(Path link) {
        try {
            return Files.readSymbolicLink(link).getFileName().toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
