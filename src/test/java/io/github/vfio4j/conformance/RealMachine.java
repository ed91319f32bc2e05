package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.PciFunctionSpec;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

    private static final int STATUS = 0x06;
    private static final int STATUS_CAPABILITIES = 0x10;
    private static final int FIRST_CAPABILITY = 0x34;
    private static final int INTERRUPT_PIN = 0x3d;
    private static final byte CAPABILITY_MSI = 0x05;
    private static final byte CAPABILITY_EXPRESS = 0x10;
    private static final byte CAPABILITY_MSIX = 0x11;

    private final KernelProfile profile;
    private final List<PciAddress> functions;
    private final DifferentialBackend backend;

    /**
     * The functions are the SR-IOV physical one, the plain one, and the one without a driver; the backend is the
     * native one, or one in front of it.
     */
    RealMachine(KernelProfile profile, List<PciAddress> functions, IoctlBackend real) {
        this.profile = profile;
        this.functions = functions;
        backend = new DifferentialBackend(real, twin(profile).newProcess());
    }

    private static EmulatedKernel twin(KernelProfile profile) {
        EmulatedKernel.Builder kernel = EmulatedKernel.builder(profile).clock(System::nanoTime)
                .iommuAddressBits(iommuAddressBits());
        try (Stream<Path> devices = Files.list(PCI_DEVICES)) {
            // In the order in which vfio-pci was bound to them, which decides on the numbers of their own files.
            devices.sorted().filter(device -> Files.exists(device.resolve("iommu_group")))
                    .forEach(device -> kernel.pciFunction(device.getFileName().toString(), spec -> copy(device, spec)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        MediatedDevices.copyTo(kernel);
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
            String[] rom = resources.get(6).split(" ");
            if (Long.decode(rom[0]) != 0) {
                spec.rom(size(rom));
            }
            if (Files.notExists(device.resolve("reset"))) {
                spec.withoutReset();
            }
            copyConfigurationSpace(
                    ByteBuffer.wrap(Files.readAllBytes(device.resolve("config"))).order(ByteOrder.LITTLE_ENDIAN), spec);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Interrupts, and whether it is PCI Express (PCI specification, configuration space and capabilities). */
    private static void copyConfigurationSpace(ByteBuffer config, PciFunctionSpec spec) {
        if (config.get(INTERRUPT_PIN) == 0) {
            spec.withoutIntx();
        }
        boolean express = false;
        boolean hasCapabilities = (config.getShort(STATUS) & STATUS_CAPABILITIES) != 0;
        int at = hasCapabilities ? Byte.toUnsignedInt(config.get(FIRST_CAPABILITY)) : 0;
        while (at != 0) {
            int control = Short.toUnsignedInt(config.getShort(at + 2));
            switch (config.get(at)) {
                case CAPABILITY_MSI -> spec.msi(1 << (control >> 1 & 7));
                case CAPABILITY_MSIX -> spec.msix((control & 0x7ff) + 1, config.getInt(at + 4) & 7);
                case CAPABILITY_EXPRESS -> express = true;
                default -> {
                    // Of no concern to the emulated function.
                }
            }
            at = Byte.toUnsignedInt(config.get(at + 1));
        }
        if (!express) {
            spec.conventional();
        }
    }

    private static long size(String[] resource) {
        return Long.decode(resource[1]) - Long.decode(resource[0]) + 1;
    }

    /** A line of the resource file: first and last address, flags of which bit 8 means I/O ports. */
    private static void copyBar(int index, String[] resource, PciFunctionSpec spec) {
        long first = Long.decode(resource[0]);
        long size = size(resource);
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
