package io.github.vfio4j.cli;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.TranscriptException;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The machine on which the command line shows the emulated kernel: one function of each kind.
 *
 * @param profile
 *            its kernel
 */
record ExampleMachine(KernelProfile profile) {

    /** An SR-IOV physical function on vfio-pci that can have two virtual functions. */
    static final PciAddress PHYSICAL_FUNCTION = PciAddress.parse("0000:01:00.0");

    private static final String MTTY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

    /** What is where, for help and messages. */
    static final String DEVICES = "0000:01:00.0 (SR-IOV physical function), 0000:02:00.0 (plain function),"
            + " 0000:03:00.1 (virtual function whose physical function is on a host driver), " + MTTY
            + " (mediated device of the sample driver mtty)";

    /** The machine with a kernel that was asked for, or the newest one. */
    static ExampleMachine with(@Nullable KernelProfile profile) {
        return new ExampleMachine(profile == null ? KernelProfile.LINUX_7_2 : profile);
    }

    /** Whether a device is there. */
    static boolean has(EmulatedKernel kernel, DeviceArgument device) {
        return device instanceof DeviceArgument.PciFunction function
                ? kernel.pciFunctions().contains(function.address())
                : device.toString().equals(MTTY);
    }

    /** Boots it. From {@link #environment} it could be booted too, but reading that takes a start's tenth. */
    EmulatedKernel boot() {
        return EmulatedKernel.builder(profile)
                .pciFunction(PHYSICAL_FUNCTION.toString(),
                        function -> function.group(4).driver("vfio-pci").sriov(2).memoryBar(0, 16384))
                .pciFunction("0000:02:00.0", function -> function.group(5).driver("vfio-pci").memoryBar(0, 4096))
                .pciFunction("0000:03:00.0",
                        function -> function.group(6).driver("nvme").sriov(1).virtualFunctions(1, "nvme")
                                .virtualFunction(0, 7, "vfio-pci").memoryBar(0, 16384))
                .mtty(UUID.fromString(MTTY), 1, 8).build();
    }

    /** The same machine, for a transcript. */
    Environment environment() {
        try {
            return Environment.parse("""
                    {"transcript":1,"kernel":"%s","release":"emulated %s",\
                    "options":{"iommufd":false,"cdev":false,"iommufdDriver":false,"dmaBuf":true},"devices":[\
                    {"kind":"pci","name":"0000:01:00.0","group":4,"driver":"vfio-pci","sriov":{"totalVfs":2},\
                    "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
                    {"kind":"pci","name":"0000:02:00.0","group":5,"driver":"vfio-pci",\
                    "bars":[{"index":0,"size":4096,"kind":"memory"}]},\
                    {"kind":"pci","name":"0000:03:00.0","group":6,"driver":"nvme","sriov":{"totalVfs":1,"numVfs":1},\
                    "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
                    {"kind":"pci","name":"0000:03:00.1","group":7,"driver":"vfio-pci",\
                    "virtualFunctionOf":"0000:03:00.0"},\
                    {"kind":"mtty","name":"%s","group":8,"ports":1}]}""".formatted(profile.version(), profile, MTTY));
        } catch (TranscriptException e) {
            throw new AssertionError("the example is well-formed", e);
        }
    }
}
