package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.PciAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * A device as sysfs shows it.
 *
 * @param files
 *            of its machine
 * @param name
 *            on its bus
 * @param path
 *            its directory
 * @param isPci
 *            whether that bus is PCI
 */
record Device(SystemFiles files, String name, String path, boolean isPci) {

    static final String VFIO_PCI = "vfio-pci";
    static final String PCI_DEVICES = "/sys/bus/pci/devices";
    private static final Pattern PCI_ADDRESS = Pattern.compile("[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]");

    /** The base class and subclass of a bridge from PCI to PCI. */
    private static final String BRIDGE = "0x0604";

    static Device pci(SystemFiles files, String address) {
        return new Device(files, address, PCI_DEVICES + "/" + address, true);
    }

    static Device pci(SystemFiles files, PciAddress address) {
        return pci(files, address.toString());
    }

    static Device mediated(SystemFiles files, UUID uuid) {
        return new Device(files, uuid.toString(), "/sys/bus/mdev/devices/" + uuid, false);
    }

    /** All PCI functions. */
    static List<Device> pciFunctions(SystemFiles files) {
        return files.list(PCI_DEVICES).stream().map(address -> pci(files, address)).toList();
    }

    private static String groupPath(String group) {
        return "/sys/kernel/iommu_groups/" + group + "/devices";
    }

    boolean exists() {
        return files.exists(path) || group().isPresent();
    }

    Optional<String> driver() {
        return files.link(path + "/driver");
    }

    /** The number of its IOMMU group. */
    Optional<String> group() {
        return files.link(path + "/iommu_group");
    }

    /** The other devices of that group. */
    List<Device> companions() {
        return group().map(Device::groupPath)
                .map(group -> files.list(group).stream().filter(member -> !member.equals(name))
                        .map(member -> PCI_ADDRESS.matcher(member).matches()
                                ? pci(files, member)
                                : new Device(files, member, group + "/" + member, false))
                        .toList())
                .orElse(List.of());
    }

    /** The name of its own file, if it had one: {@code vfioN}. Drivers of VFIO have it from Linux 6.1 on. */
    Optional<String> vfioName() {
        return files.list(path + "/vfio-dev").stream().findFirst();
    }

    /** Whether a driver of VFIO has it: vfio-pci, or a variant of it. A mediated device is in a group only then. */
    boolean isBound() {
        return driver().filter(VFIO_PCI::equals).isPresent() || vfioName().isPresent()
                || (path.startsWith("/sys/bus/mdev/") && group().isPresent());
    }

    boolean isBridge() {
        return files.read(path + "/class").filter(code -> code.startsWith(BRIDGE)).isPresent();
    }

    /** The physical function, of a virtual one. */
    Optional<Device> physicalFunction() {
        return files.link(path + "/physfn").map(address -> pci(files, address));
    }

    /** How many virtual functions it can have; empty without SR-IOV. */
    Optional<Integer> totalVfs() {
        return number("sriov_totalvfs").filter(total -> total > 0);
    }

    int numVfs() {
        return number("sriov_numvfs").orElse(0);
    }

    private Optional<Integer> number(String attribute) {
        return files.read(path + "/" + attribute).filter(text -> text.matches("[0-9]{1,9}")).map(Integer::valueOf);
    }

    /** Vendor and device, as {@code lspci -n} shows them; empty where sysfs does not tell. */
    Optional<String> id() {
        return files.read(path + "/vendor").flatMap(
                vendor -> files.read(path + "/device").map(device -> (vendor + ":" + device).replace("0x", "")));
    }

    /** Which driver has it, in words. */
    String binding() {
        return driver().map(driver -> "is bound to " + driver + ", not to vfio-pci").orElse("is bound to no driver");
    }

    /** What gives it to vfio-pci. A physical function is taken only without virtual ones ({@code EBUSY}). */
    List<String> bind() {
        List<String> commands = new ArrayList<>();
        if (numVfs() > 0) {
            commands.add("echo 0 > " + path + "/sriov_numvfs");
        }
        commands.add("echo vfio-pci > " + path + "/driver_override");
        if (driver().isPresent()) {
            commands.add("echo " + name + " > " + path + "/driver/unbind");
        }
        commands.add("echo " + name + " > /sys/bus/pci/drivers_probe");
        return commands;
    }

    @Override
    public String toString() {
        return name;
    }
}
