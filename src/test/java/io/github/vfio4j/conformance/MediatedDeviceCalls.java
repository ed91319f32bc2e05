package io.github.vfio4j.conformance;

import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import picocli.CommandLine.Option;

/** The mediated devices of a machine, and every call on them and their features. */
final class MediatedDeviceCalls {

    private static final int UNKNOWN_REQUEST = 0x3bff;

    @Option(names = "--mtty", required = true, description = "one of the sample driver mtty, with one port")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private UUID mtty;

    @Option(names = "--mtty-2", required = true, description = "the same with two ports")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private UUID mttyWithTwoPorts;

    @Option(names = "--mdpy", required = true, description = "one of the sample driver mdpy")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private UUID mdpy;

    MediatedDeviceCalls() {
        // picocli makes it.
    }

    MediatedDeviceCalls(UUID mtty, UUID mttyWithTwoPorts, UUID mdpy) {
        this.mtty = mtty;
        this.mttyWithTwoPorts = mttyWithTwoPorts;
        this.mdpy = mdpy;
    }

    /** What the kernel calls them. */
    List<UUID> names() {
        return List.of(mtty, mttyWithTwoPorts, mdpy);
    }

    /** The same for random programs. */
    List<Subject> subjects() {
        return List.of(new Subject(Subject.Kind.MTTY, mtty.toString(), 1),
                new Subject(Subject.Kind.MTTY, mttyWithTwoPorts.toString(), 2),
                new Subject(Subject.Kind.MDPY, mdpy.toString()));
    }

    /**
     * Makes the calls.
     *
     * @param backend
     *            where they go
     */
    void run(IoctlBackend backend) throws VfioException {
        // A container without an IOMMU behind it.
        Type1Calls.run(backend, "/dev/vfio/" + MediatedDevice.group(backend, mdpy));
        for (UUID device : names()) {
            DeviceInfoCalls.run(backend, MediatedDevice.group(backend, device), device.toString());
        }
        try (MediatedDevice device = new MediatedDevice(backend, mdpy)) {
            around(device, mdpy);
            FaultyCalls.withoutMemory(device);
        }
        try (MediatedDevice device = new MediatedDevice(backend, mtty)) {
            around(device, mtty);
            FaultyCalls.withoutMemory(device);
            RegionCalls.runOnMtty(backend, device.fd());
            DmaLoggingCalls.run(device);
            MigrationCalls.run(device);
        }
        try (MediatedDevice device = new MediatedDevice(backend, mttyWithTwoPorts)) {
            MigrationCalls.run(device);
            RegionCalls.runOnMtty(backend, device.fd());
        }
    }

    /**
     * Makes the calls for which there is no free descriptor.
     *
     * @param backend
     *            where they go
     * @param kernels
     *            every kernel behind that
     */
    void runWithoutDescriptors(IoctlBackend backend, List<IoctlBackend> kernels) {
        try (MediatedDevice device = new MediatedDevice(backend, mtty)) {
            FaultyCalls.withoutDescriptors(device, kernels);
        }
    }

    private static void around(MediatedDevice device, UUID uuid) throws VfioException {
        String name = uuid.toString();
        for (String text : List.of("", name.substring(1), name + "0", name + " ", " " + name, name + "\n",
                name.toUpperCase(Locale.ROOT), name.replace("-", ""), name + " vf_token=" + name)) {
            int fd = device.open(text);
            if (fd >= 0) {
                device.backend().close(fd);
            }
        }
        device.request(UNKNOWN_REQUEST);
        // Adopted, the descriptor is closed with it.
        try (VfioDevice adopted = Vfio.using(device.backend()).adoptDevice(device.openAgain())) {
            HeaderSweep.run(adopted);
        }
        device.reopen();
    }
}
