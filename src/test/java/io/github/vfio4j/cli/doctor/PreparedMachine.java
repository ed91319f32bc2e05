package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A machine made of files below a directory, laid out as sysfs, procfs and /dev are. At first it is one on which everything
 * is well for a user without privileges, but that it has no devices.
 */
final class PreparedMachine {

    static final String RELEASE = "6.12.107+deb13-amd64";

    private final Path root;
    private final Set<String> closed = new HashSet<>();
    private String system = "Linux";
    private String user = "alice";
    private Supplier<IoctlBackend> kernel = () -> {
        throw new UnsupportedOperationException(
                "Calls to libc need native access: start java with" + " --enable-native-access=ALL-UNNAMED");
    };

    PreparedMachine(Path root) {
        this.root = root;
        directory("/sys/class/iommu/dmar0");
        directory("/sys/module/vfio_pci");
        directory("/sys/module/vfio_iommu_type1");
        directory("/sys/bus/pci/drivers/vfio-pci");
        directory("/sys/bus/pci/devices");
        directory("/sys/bus/mdev/devices");
        file("/sys/module/vfio_pci/parameters/enable_sriov", "Y");
        file("/proc/sys/kernel/osrelease", RELEASE);
        file("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-" + RELEASE + " root=/dev/sda1 quiet");
        file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme de pse\nbugs\t\t:");
        file("/proc/self/status", "Name:\tjava\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000");
        memlock("unlimited", "unlimited");
        file("/dev/vfio/vfio", "");
        group(1);
    }

    private Path at(String path) {
        return root.resolve(path.substring(1));
    }

    PreparedMachine directory(String path) {
        try {
            Files.createDirectories(at(path));
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Sysfs ends every text with a newline. */
    PreparedMachine file(String path, String text) {
        directory(path.substring(0, path.lastIndexOf('/')));
        try {
            Files.writeString(at(path), text + "\n");
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    PreparedMachine link(String path, String target) {
        directory(path.substring(0, path.lastIndexOf('/')));
        try {
            Files.deleteIfExists(at(path));
            Files.createSymbolicLink(at(path), Path.of(target));
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Takes away a file, a link, or a directory and all below it. */
    PreparedMachine without(String path) {
        try {
            if (Files.isDirectory(at(path)) && !Files.isSymbolicLink(at(path))) {
                try (var entries = Files.list(at(path))) {
                    entries.forEach(entry -> without(path + "/" + entry.getFileName()));
                }
            }
            Files.delete(at(path));
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void group(int group) {
        directory("/sys/kernel/iommu_groups/" + group + "/devices");
    }

    /** A PCI function; its driver may be null. */
    PreparedMachine function(String address, int group, @Nullable String driver) {
        String directory = "/sys/devices/pci0000:00/" + address;
        group(group);
        link("/sys/bus/pci/devices/" + address, "../../../devices/pci0000:00/" + address);
        link(directory + "/iommu_group", "../../../kernel/iommu_groups/" + group);
        link("/sys/kernel/iommu_groups/" + group + "/devices/" + address, "../../../../devices/pci0000:00/" + address);
        file(directory + "/vendor", "0x8086");
        file(directory + "/device", "0x1533");
        file(directory + "/class", "0x020000");
        if (driver != null) {
            link(directory + "/driver", "../../../bus/pci/drivers/" + driver);
        }
        if ("vfio-pci".equals(driver)) {
            file("/dev/vfio/" + group, "");
            directory(directory + "/vfio-dev/vfio" + group);
        }
        return this;
    }

    PreparedMachine virtualFunction(String address, int group, String owner) {
        function(address, group, "vfio-pci");
        return link("/sys/devices/pci0000:00/" + address + "/physfn", "../" + owner);
    }

    PreparedMachine sriov(String address, int total, int present) {
        file("/sys/bus/pci/devices/" + address + "/sriov_totalvfs", Integer.toString(total));
        return file("/sys/bus/pci/devices/" + address + "/sriov_numvfs", Integer.toString(present));
    }

    PreparedMachine memlock(String soft, String hard) {
        return file("/proc/self/limits", String.format("%-25s %-20s %-20s %-10s%n%-25s %-20s %-20s %-10s", "Limit",
                "Soft Limit", "Hard Limit", "Units", "Max locked memory", soft, hard, "bytes"));
    }

    /** The IOMMU is off: neither it nor groups. */
    PreparedMachine withoutIommu() {
        without("/sys/class/iommu/dmar0");
        return without("/sys/kernel/iommu_groups");
    }

    /** The user may not open a file. Who runs the tests may be root, who may open any. */
    PreparedMachine closed(String path) {
        closed.add(path);
        return this;
    }

    PreparedMachine open(String path) {
        closed.remove(path);
        return this;
    }

    /** Native access is allowed, and this is the kernel. */
    PreparedMachine kernel(IoctlBackend there) {
        kernel = () -> there;
        return this;
    }

    PreparedMachine system(String other) {
        system = other;
        return this;
    }

    PreparedMachine user(String other) {
        user = other;
        return this;
    }

    private Machine machine() {
        return Machine.of(new HostFiles(root) {
            @Override
            public Access access(String path) {
                return closed.contains(path) ? Access.DENIED : super.access(path);
            }
        }, system, user, kernel);
    }

    Report examine() {
        return Doctor.examine(machine());
    }

    Report examine(String address) throws VfioException {
        return Doctor.examine(machine(), PciAddress.parse(address));
    }

    Report examine(UUID mediatedDevice) throws VfioException {
        return Doctor.examine(machine(), mediatedDevice);
    }
}
