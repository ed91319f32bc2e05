package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_TYPE1v2_IOMMU;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** An emulated device of one of the kinds that real kernels were asked about, and how to open it afresh. */
final class AskedDevice implements AutoCloseable {

    private static final PciAddress PHYSICAL_FUNCTION = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VIRTUAL_FUNCTION = PciAddress.parse("0000:01:00.1");
    private static final UUID MDEV = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    /** How the device is opened. */
    private interface Opening {
        VfioDevice open() throws VfioException;
    }

    private final List<AutoCloseable> surroundings;
    private final Opening opening;
    private VfioDevice device;

    private AskedDevice(List<AutoCloseable> surroundings, Opening opening) throws VfioException {
        this.surroundings = surroundings;
        this.opening = opening;
        device = opening.open();
    }

    static AskedDevice of(String kind, KernelProfile profile) throws VfioException {
        EmulatedKernel.Builder builder = EmulatedKernel.builder(profile);
        return switch (kind) {
            case "pf", "vf" -> pciFunction(kind,
                    builder.pciFunction(PHYSICAL_FUNCTION.toString(), function -> function.sriov(2).memoryBar(0, 16384))
                            .build());
            case "mtty" -> mdev(builder.mtty(MDEV, 1).build());
            default -> mdev(builder.mdpy(MDEV).build());
        };
    }

    private static AskedDevice pciFunction(String kind, EmulatedKernel kernel) throws VfioException {
        Vfio vfio = Vfio.using(kernel.newProcess());
        VfioContainer container = vfio.openContainer();
        if (kind.equals("pf")) {
            return new AskedDevice(List.of(container), () -> container.openDevice(PHYSICAL_FUNCTION));
        }
        VfToken token = VfToken.random();
        container.openDevice(PHYSICAL_FUNCTION, token);
        vfio.pciDevice(PHYSICAL_FUNCTION).setSriovNumVfs(1);
        return new AskedDevice(List.of(container), () -> container.openDevice(VIRTUAL_FUNCTION, token));
    }

    /** A mediated device has no PCI address: it is opened by hand and adopted. */
    private static AskedDevice mdev(EmulatedKernel kernel) throws VfioException {
        EmulatedProcess process = kernel.newProcess();
        int container = process.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        int group = process.open("/dev/vfio/0", Fcntl.O_RDWR);
        Arena arena = Arena.ofShared();
        process.ioctl(group, VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(ValueLayout.JAVA_INT, container));
        process.ioctl(container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(VFIO_TYPE1v2_IOMMU()));
        MemorySegment name = arena.allocateFrom(MDEV.toString());
        return new AskedDevice(List.of(process, arena),
                () -> Vfio.using(process).adoptDevice(process.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), name)));
    }

    VfioDevice device() {
        return device;
    }

    /** The last close undoes what a call has done. */
    void reopen() throws VfioException {
        device.close();
        device = opening.open();
    }

    @Override
    public void close() throws VfioException {
        device.close();
        for (AutoCloseable part : new ArrayList<>(surroundings)) {
            try {
                part.close();
            } catch (VfioException e) {
                throw e;
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
