package io.github.vfio4j.cli.doctor;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Whether the device's IOMMU group is viable: a group goes to user space as a whole, so no driver of the host may have a
 * device of it (semantics §E.2).
 */
final class GroupCheck implements Check {

    /** Drivers that leave DMA alone; so do those of bridges. */
    private static final Set<String> HARMLESS = Set.of("pci-stub", "pcieport");

    @Override
    public String name() {
        return "group";
    }

    @Override
    public Finding examine(Examination on) {
        Device device = on.device();
        if (device == null) {
            return notApplicable("Name a device to have its IOMMU group looked at");
        }
        String group = device.group().orElse(null);
        if (group == null) {
            return on.isMediated() || on.files().list("/sys/class/iommu").isEmpty()
                    ? unknown(device + " is in no IOMMU group as long as the above is not right", Fix.NONE)
                    : problem(device + " is in no IOMMU group: the IOMMU does not cover it", Fix.NONE);
        }
        List<Device> companions = device.companions();
        List<Device> owned = companions.stream().filter(GroupCheck::isOwnedByHost).toList();
        if (!owned.isEmpty()) {
            return problem(
                    "Group " + group + " is not viable: drivers of the host have " + describe(owned)
                            + " of it; see first that nothing here uses " + (owned.size() == 1 ? "it" : "them"),
                    Fix.byRoot(owned.stream().filter(Device::isPci).flatMap(other -> other.bind().stream()).toList()));
        }
        return ok("Group " + group + " is viable: "
                + (companions.isEmpty()
                        ? "nothing else is in it"
                        : "no driver of the host has "
                                + companions.stream().map(Device::toString).collect(Collectors.joining(", "))));
    }

    private static String describe(List<Device> devices) {
        return devices.stream().map(device -> device + " (" + device.driver().orElse("") + ")")
                .collect(Collectors.joining(", "));
    }

    private static boolean isOwnedByHost(Device device) {
        return !device.isBound() && !device.isBridge()
                && device.driver().filter(driver -> !HARMLESS.contains(driver)).isPresent();
    }
}
