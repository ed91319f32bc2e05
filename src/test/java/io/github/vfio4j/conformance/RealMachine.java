package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.PciFunctionSpec;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/** The machine this runs on, with an emulated twin beside it that has the same PCI functions in the same groups. */
final class RealMachine implements Machine {

    private static final Path PCI_DEVICES = Path.of("/sys/bus/pci/devices");
    private static final Path INTEL_IOMMU_CAPABILITY = Path.of("/sys/class/iommu/dmar0/intel-iommu/cap");

    private final KernelProfile profile;
    private final List<PciAddress> functions;
    private final DifferentialBackend backend;

    /** The functions are the SR-IOV physical one, the plain one, and the one without a driver. */
    RealMachine(KernelProfile profile, List<PciAddress> functions) {
        this.profile = profile;
        this.functions = functions;
        backend = new DifferentialBackend(NativeBackend.create(), twin(profile).newProcess());
    }

    private static EmulatedKernel twin(KernelProfile profile) {
        EmulatedKernel.Builder kernel = EmulatedKernel.builder(profile).clock(System::nanoTime)
                .iommuAddressBits(iommuAddressBits());
        try (Stream<Path> devices = Files.list(PCI_DEVICES)) {
            devices.filter(device -> Files.exists(device.resolve("iommu_group")))
                    .forEach(device -> kernel.pciFunction(device.getFileName().toString(), spec -> copy(device, spec)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return kernel.build();
    }

    /** Bits 16 to 21 of the IOMMU's capability register: the maximum guest address width, less one. */
    private static int iommuAddressBits() {
        try {
            long capability = Long.parseUnsignedLong(Files.readString(INTEL_IOMMU_CAPABILITY).strip(), 16);
            return (int) (capability >>> 16 & 0x3f) + 1;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void copy(Path device, PciFunctionSpec spec) {
        try {
            spec.group(Integer.parseInt(lastName(device.resolve("iommu_group"))));
            if (Files.exists(device.resolve("driver"))) {
                spec.driver(lastName(device.resolve("driver")));
            } else {
                spec.unbound();
            }
            Path totalVfs = device.resolve("sriov_totalvfs");
            if (Files.exists(totalVfs)) {
                spec.sriov(Integer.parseInt(Files.readString(totalVfs).strip()));
            }
            List<String> resources = Files.readAllLines(device.resolve("resource"));
            for (int bar = 0; bar < 6; bar++) {
                copyBar(bar, resources.get(bar).split(" "), spec);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A line of the resource file: first and last address, flags of which bit 8 means I/O ports. */
    private static void copyBar(int index, String[] resource, PciFunctionSpec spec) {
        long first = Long.decode(resource[0]);
        long size = Long.decode(resource[1]) - first + 1;
        if (first != 0 && (Long.decode(resource[2]) & 0x100) != 0) {
            spec.ioPortBar(index, size);
        } else if (first != 0) {
            spec.memoryBar(index, size);
        }
    }

    private static String lastName(Path link) throws IOException {
        return Files.readSymbolicLink(link).getFileName().toString();
    }

    /** What both kernels have been asked, and where they differ. */
    DifferentialBackend comparison() {
        return backend;
    }

    @Override
    public IoctlBackend backend() {
        return backend;
    }

    @Override
    public String kernel() {
        return profile.version();
    }

    @Override
    public PciAddress physicalFunction() {
        return functions.get(0);
    }

    @Override
    public PciAddress plainFunction() {
        return functions.get(1);
    }

    @Override
    public PciAddress unboundFunction() {
        return functions.get(2);
    }

    @Override
    public void pause(Duration time) {
        long end = System.nanoTime() + time.toNanos();
        while (System.nanoTime() < end) {
            LockSupport.parkNanos(end - System.nanoTime());
        }
    }
}
