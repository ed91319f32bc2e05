package io.github.vfio4j.cli.doctor;

import java.util.List;
import java.util.regex.Pattern;

/** Whether the IOMMU is on: without one no device can be given to user space. */
final class IommuCheck implements Check {

    private static final String TABLES = "/sys/firmware/acpi/tables/";
    private static final String GRUB = "/etc/default/grub";

    /** What turns an IOMMU off on the kernel's command line. */
    private static final Pattern OFF = Pattern.compile("(?:^| )((?:intel_iommu|amd_iommu|iommu)=off)(?= |$)");
    private static final Pattern VIRTUAL = Pattern.compile("(?m)^flags\\s*:.* hypervisor( |$)");

    @Override
    public String name() {
        return "iommu";
    }

    @Override
    public Finding examine(Examination on) {
        if (on.isMediated()) {
            return notApplicable("A mediated device needs no IOMMU");
        }
        SystemFiles files = on.files();
        List<String> iommus = files.list("/sys/class/iommu");
        List<String> groups = groups(files);
        if (!groups.isEmpty()) {
            return ok("On: " + (iommus.isEmpty() ? "" : String.join(", ", iommus) + "; ") + groups.size()
                    + (groups.size() == 1 ? " group" : " groups"));
        }
        if (!iommus.isEmpty()) {
            return problem("There is an IOMMU (" + String.join(", ", iommus) + "), but no device behind it", Fix.NONE);
        }
        return off(files);
    }

    /** Those of an IOMMU, without the ones that stand in for it in the unsafe mode of VFIO. */
    private static List<String> groups(SystemFiles files) {
        String directory = "/sys/kernel/iommu_groups";
        return files.list(directory).stream()
                .filter(group -> files.read(directory + "/" + group + "/name").filter("vfio-noiommu"::equals).isEmpty())
                .toList();
    }

    private Finding off(SystemFiles files) {
        var option = OFF.matcher(files.read("/proc/cmdline").orElse(""));
        if (option.find()) {
            return problem("Off: the kernel's command line says " + option.group(1) + "; take that out",
                    commandLine(files, "remove-args", option.group(1), "s/ *" + option.group(1) + "//"));
        }
        if (files.exists(TABLES + "DMAR")) {
            return problem("Off, though the machine has one of Intel: add intel_iommu=on to the kernel's command line",
                    commandLine(files, "args", "intel_iommu=on", "s/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on /"));
        }
        if (files.exists(TABLES + "IVRS")) {
            return problem("Off, though the machine has one of AMD: this kernel does not use it (CONFIG_AMD_IOMMU);"
                    + " see 'dmesg | grep AMD-Vi'", Fix.NONE);
        }
        if (VIRTUAL.matcher(files.read("/proc/cpuinfo").orElse("")).find()) {
            return problem("This virtual machine has none: its host must give it one, QEMU with these options", Fix
                    .byUser("qemu-system-x86_64 -machine q35,kernel-irqchip=split -device intel-iommu,intremap=on …"));
        }
        return problem("The firmware shows none: turn it on in its setup (called VT-d, AMD-Vi, IOMMU or SMMU there)",
                Fix.byRoot("systemctl reboot --firmware-setup"));
    }

    /** Changes the kernel's command line, by the means of the distribution. */
    private static Fix commandLine(SystemFiles files, String grubby, String option, String edit) {
        if (files.exists("/usr/sbin/grubby") || files.exists("/usr/bin/grubby")) {
            return Fix.byRoot("grubby --update-kernel=ALL --" + grubby + "=" + option, "reboot");
        }
        return files.exists(GRUB)
                ? Fix.byRoot("sed -i '" + edit + "' " + GRUB, "update-grub", "reboot")
                : Fix.byRoot("reboot");
    }
}
