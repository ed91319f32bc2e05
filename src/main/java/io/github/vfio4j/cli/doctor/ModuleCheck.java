package io.github.vfio4j.cli.doctor;

import java.util.Optional;

/** Whether the drivers are there: vfio-pci, and what makes address spaces of the IOMMU. */
final class ModuleCheck implements Check {

    static final String DRIVER = "/sys/bus/pci/drivers/vfio-pci";
    private static final String TYPE1 = "/sys/module/vfio_iommu_type1";

    @Override
    public String name() {
        return "module";
    }

    @Override
    public Finding examine(Examination on) {
        SystemFiles files = on.files();
        Device device = on.device();
        if (on.isMediated()) {
            return notApplicable("A mediated device has a driver of its own");
        }
        boolean bound = device != null && device.isBound();
        if (!bound && !files.exists(DRIVER)) {
            return missing(on);
        }
        if (!files.exists(TYPE1) && !files.exists("/dev/iommu")) {
            return problem("vfio_iommu_type1 is not loaded, by which containers get at the IOMMU",
                    Fix.byRoot("modprobe vfio_iommu_type1"));
        }
        return ok(bound ? "A driver of VFIO has the device" : "vfio-pci is loaded");
    }

    private Finding missing(Examination on) {
        Optional<String> modules = on.files().read("/lib/modules/" + on.machine().release() + "/modules.dep");
        if (modules.filter(list -> !list.contains("/vfio-pci.ko")).isPresent()) {
            return problem(
                    "This kernel has no vfio-pci (CONFIG_VFIO_PCI), nor is it among its modules: install those, or"
                            + " boot another kernel",
                    Fix.NONE);
        }
        boolean sriov = on.device() != null && on.device().totalVfs().isPresent();
        return problem("vfio-pci is not loaded" + (modules.isEmpty() ? " (in a container: load it on the host)" : ""),
                Fix.byRoot("modprobe vfio-pci" + (sriov ? " enable_sriov=1" : "")));
    }
}
