package io.github.vfio4j.emulation;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.fs.AttributeFile;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.NullDevice;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.iommu.IommuHardware;
import io.github.vfio4j.emulation.iommufd.IommufdFile;
import io.github.vfio4j.emulation.vfio.Container;
import io.github.vfio4j.emulation.vfio.CoreDevice;
import io.github.vfio4j.emulation.vfio.IommuGroup;
import io.github.vfio4j.emulation.vfio.IommuGroups;
import io.github.vfio4j.emulation.vfio.LoneDevice;
import io.github.vfio4j.emulation.vfio.PciBus;
import io.github.vfio4j.emulation.vfio.PciFunction;
import io.github.vfio4j.emulation.vfio.VfioDevices;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The part of the file tree through which VFIO is used: /dev/vfio, and in sysfs the PCI functions and vfio-pci's
 * parameter; and by which a program finds out whether it can be: that there are an IOMMU and the modules, and the
 * kernel's release. Files come and go with the devices, so a path is resolved anew each time.
 */
final class FileTree {

    private static final String DEV_VFIO = "/dev/vfio/";
    private static final String DEV_VFIO_DEVICES = DEV_VFIO + "devices";
    private static final String DEV_IOMMU = "/dev/iommu";
    private static final Pattern NUMBER = Pattern.compile("0|[1-9][0-9]{0,8}");

    /** The kernel takes the highest that is free; how many are taken differs from machine to machine. */
    private static final int CDEV_MAJOR = 511;
    static final String MDEVS = "/sys/bus/mdev/devices/";
    static final String CDX_DEVICES = "/sys/bus/cdx/devices/";
    private static final String IOMMU_GROUP = "/iommu_group";
    private static final String VFIO_DEV = "/vfio-dev";
    private static final String DEV_ATTRIBUTE = "/dev";
    private static final String ENABLE_SRIOV = "/sys/module/vfio_pci/parameters/enable_sriov";
    private static final String RELEASE = "/proc/sys/kernel/osrelease";
    private static final String IOMMU = "/sys/class/iommu/dmar0";

    /** What the modules show of themselves, which are always loaded here. */
    private static final Set<String> OF_MODULES = Set.of("/sys/module/vfio_pci", "/sys/module/vfio_iommu_type1",
            "/sys/bus/pci/drivers/vfio-pci");

    private final KernelProfile profile;
    private final IommuHardware iommu;
    private final PciBus bus;
    private final IommuGroups groups;
    private final VfioDevices devices;
    private final Map<String, LoneDevice> others;

    /**
     * A tree.
     *
     * @param others
     *            the devices that are not on the PCI bus, by their directories in sysfs
     */
    FileTree(KernelProfile profile, IommuHardware iommu, PciBus bus, IommuGroups groups, VfioDevices devices,
            Map<String, LoneDevice> others) {
        this.profile = profile;
        this.iommu = iommu;
        this.bus = bus;
        this.groups = groups;
        this.devices = devices;
        this.others = others;
    }

    /** open(2). Only root may open groups, devices and iommufds, and write to sysfs; /dev/vfio/vfio is for everybody. */
    int open(FdTable descriptors, boolean root, String path, int flags) {
        // The descriptor first, then the file: where there is none left, it does not matter what the path is.
        int fd = descriptors.reserve();
        if (fd < 0) {
            return fd;
        }
        int result = -1;
        try {
            result = openAt(descriptors, fd, root, path, flags);
            return result;
        } finally {
            if (result < 0) {
                descriptors.unreserve(fd);
            }
        }
    }

    private int openAt(FdTable descriptors, int fd, boolean root, String path, int flags) {
        boolean readable = OpenFile.readable(flags);
        boolean writable = OpenFile.writable(flags);
        if (path.equals("/dev/null")) {
            return descriptors.install(fd, new NullDevice(readable, writable));
        }
        if (path.equals(DEV_VFIO + "vfio")) {
            return descriptors.install(fd, Container.open(profile, iommu, readable, writable));
        }
        IommuGroup group = group(path);
        if (group != null) {
            return root ? group.open(descriptors, fd, readable, writable) : -Errno.EACCES.code();
        }
        if (isIommufd(path)) {
            return root
                    ? descriptors.install(fd, new IommufdFile(profile, iommu, readable, writable))
                    : -Errno.EACCES.code();
        }
        CoreDevice device = device(path);
        if (device != null) {
            return root ? descriptors.install(fd, device.openCdev(readable, writable)) : -Errno.EACCES.code();
        }
        Attribute attribute = attribute(path);
        if (attribute == null && isDirectory(path)) {
            return openDirectory(path, writable);
        }
        if (attribute == null) {
            return -Errno.ENOENT.code();
        }
        if (writable && (!root || !attribute.writable())) {
            return -Errno.EACCES.code();
        }
        return descriptors.install(fd,
                new AttributeFile(path, readable, writable, attribute.show(), attribute.store()));
    }

    /**
     * readlink(2).
     *
     * @return the target; null if there is no such link
     */
    @Nullable
    String linkTarget(String path) {
        if (path.equals(IOMMU)) {
            return "../../devices/virtual/iommu/dmar0";
        }
        LoneDevice other = path.endsWith(IOMMU_GROUP)
                ? others.get(path.substring(0, path.length() - IOMMU_GROUP.length()))
                : null;
        if (other != null) {
            return "../../../kernel/iommu_groups/" + other.group().number();
        }
        PciPath pci = PciPath.parse(path);
        PciFunction function = pci == null ? null : bus.function(pci.address());
        if (pci == null || function == null) {
            return null;
        }
        PciFunction physicalFunction = function.physicalFunction();
        return switch (pci.name()) {
            case "" -> {
                String address = pci.address().toString();
                yield "../../../devices/pci" + address.substring(0, address.lastIndexOf(':')) + "/" + address;
            }
            case "iommu_group" -> "../../../kernel/iommu_groups/" + function.group().number();
            case "driver" -> function.driver() == null ? null : "../../../bus/pci/drivers/" + function.driver();
            case "physfn" -> physicalFunction == null ? null : "../" + physicalFunction.address();
            default -> virtualFunctionLink(function, pci.name());
        };
    }

    private static int openDirectory(String path, boolean writable) {
        if (writable) {
            return -Errno.EISDIR.code();
        }
        throw new NotModelledException("the directory " + path + " as an open file");
    }

    /** Whether there is something at the path that is not a link. */
    boolean isNoLink(String path) {
        return isDirectory(path) || path.equals("/dev/null") || path.equals(DEV_VFIO + "vfio") || group(path) != null
                || isIommufd(path) || device(path) != null || attribute(path) != null;
    }

    /** The directories by which a program finds the modules, and a device's own file, or finds that there is none. */
    private boolean isDirectory(String path) {
        if (OF_MODULES.contains(path)) {
            return true;
        }
        if (path.equals(DEV_VFIO_DEVICES)) {
            return profile.hasCdev() && !devices.isEmpty();
        }
        int name = path.indexOf(VFIO_DEV);
        if (name < 0 || !profile.vfioDeviceClass()) {
            return false;
        }
        CoreDevice parent = parent(path.substring(0, name));
        String rest = path.substring(name + VFIO_DEV.length());
        return parent != null && (rest.isEmpty() || rest.equals("/vfio" + parent.number()));
    }

    private static @Nullable String virtualFunctionLink(PciFunction function, String name) {
        List<PciFunction> virtualFunctions = function.virtualFunctions();
        return IntStream.range(0, virtualFunctions.size()).filter(i -> name.equals("virtfn" + i))
                .mapToObj(i -> "../" + virtualFunctions.get(i).address()).findFirst().orElse(null);
    }

    private @Nullable IommuGroup group(String path) {
        int number = numberAfter(DEV_VFIO, path);
        IommuGroup group = number < 0 ? null : groups.get(number);
        return group != null && group.hasFile() ? group : null;
    }

    private boolean isIommufd(String path) {
        return profile.hasIommufd() && path.equals(DEV_IOMMU);
    }

    /** The device whose own file is at this path. */
    private @Nullable CoreDevice device(String path) {
        int number = profile.hasCdev() ? numberAfter(DEV_VFIO_DEVICES + "/vfio", path) : -1;
        return number < 0 ? null : devices.get(number);
    }

    /** The number that is all that follows in a path; −1 if there is none. */
    private static int numberAfter(String prefix, String path) {
        String number = path.startsWith(prefix) ? path.substring(prefix.length()) : "";
        return NUMBER.matcher(number).matches() ? Integer.parseInt(number) : -1;
    }

    private record Attribute(boolean writable, Supplier<String> show, ToIntFunction<String> store) {
    }

    /** The attribute at a path; null if there is none. */
    private @Nullable Attribute attribute(String path) {
        if (path.equals(ENABLE_SRIOV)) {
            return new Attribute(true, () -> bus.isSriovEnabled() ? "Y" : "N", this::storeEnableSriov);
        }
        if (path.equals(RELEASE)) {
            return new Attribute(false, profile::version, AttributeFile::readOnly);
        }
        if (path.endsWith(DEV_ATTRIBUTE)) {
            return deviceNumber(path.substring(0, path.length() - DEV_ATTRIBUTE.length()));
        }
        PciPath pci = PciPath.parse(path);
        PciFunction function = pci == null ? null : bus.function(pci.address());
        if (pci == null || function == null || function.totalVfs() == 0) {
            return null;
        }
        return switch (pci.name()) {
            case "sriov_totalvfs" ->
                new Attribute(false, () -> Integer.toString(function.totalVfs()), AttributeFile::readOnly);
            case "sriov_numvfs" -> new Attribute(true, () -> Integer.toString(function.virtualFunctions().size()),
                    text -> storeNumVfs(function, text));
            default -> null;
        };
    }

    /** The attribute that says which file is a device's own, at the directory DEVICE/vfio-dev/vfioN; null elsewhere. */
    private @Nullable Attribute deviceNumber(String directory) {
        int name = directory.indexOf(VFIO_DEV + "/");
        CoreDevice parent = name < 0 || !profile.hasCdev() ? null : parent(directory.substring(0, name));
        return parent == null || !directory.substring(name).equals(VFIO_DEV + "/vfio" + parent.number())
                ? null
                : new Attribute(false, () -> CDEV_MAJOR + ":" + parent.number(), AttributeFile::readOnly);
    }

    /** The VFIO device of the PCI function or mediated device at a path in sysfs. */
    private @Nullable CoreDevice parent(String path) {
        PciPath pci = PciPath.parse(path);
        PciFunction function = pci == null || !pci.name().isEmpty() ? null : bus.function(pci.address());
        if (function != null) {
            return function.vfioDevice();
        }
        LoneDevice other = others.get(path);
        return other == null ? null : other.vfioDevice();
    }

    /** A boolean module parameter, read as the kernel reads those. */
    private int storeEnableSriov(String text) {
        if (!text.matches("(?is)[yt1].*|[nf0].*|o[nf].*")) {
            return -Errno.EINVAL.code();
        }
        bus.enableSriov(text.matches("(?is)[yt1].*|on.*"));
        return 0;
    }

    /** An unsigned 16-bit number in decimal, octal or hexadecimal; a newline may follow. */
    private int storeNumVfs(PciFunction function, String written) {
        String text = written.endsWith("\n") ? written.substring(0, written.length() - 1) : written;
        if (!text.matches("\\+?(0[xX][0-9a-fA-F]{1,15}|0[0-7]{0,15}|[1-9][0-9]{0,15})")) {
            return -Errno.EINVAL.code();
        }
        long count = Long.decode(text);
        return count > 0xffff ? -profile.numVfsBeyond16Bits().code() : function.setNumVfs((int) count);
    }

    /** A path below a PCI function's directory in sysfs: which function, and the name behind it. */
    private record PciPath(PciAddress address, String name) {

        private static final Pattern PATTERN = Pattern
                .compile("/sys/bus/pci/devices/([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])(?:/([^/]*))?");

        static @Nullable PciPath parse(String path) {
            Matcher matcher = PATTERN.matcher(path);
            return matcher.matches()
                    ? new PciPath(PciAddress.parse(matcher.group(1)), Objects.requireNonNullElse(matcher.group(2), ""))
                    : null;
        }
    }
}
