package io.github.vfio4j.cli;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;

/** The machine on which the command line shows the emulated kernel: one function of each kind. */
final class ExampleMachine {

    /** An SR-IOV physical function on vfio-pci that can have two virtual functions. */
    static final PciAddress PHYSICAL_FUNCTION = PciAddress.parse("0000:01:00.0");

    /** What is where, for help and messages. */
    static final String DEVICES = "0000:01:00.0 (SR-IOV physical function), 0000:02:00.0 (plain function),"
            + " 0000:03:00.1 (virtual function whose physical function is on a host driver)";

    private ExampleMachine() {
    }

    static EmulatedKernel boot(KernelProfile profile) {
        return EmulatedKernel.builder(profile)
                .pciFunction("0000:01:00.0", function -> function.group(4).sriov(2).memoryBar(0, 16384))
                .pciFunction("0000:02:00.0", function -> function.group(5).memoryBar(0, 4096))
                .pciFunction("0000:03:00.0", function -> function.group(6).driver("nvme").sriov(1).memoryBar(0, 16384)
                        .virtualFunctions(1, "vfio-pci"))
                .build();
    }
}
