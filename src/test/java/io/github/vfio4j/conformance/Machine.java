package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.KernelProfile;
import java.time.Duration;

/** What the suites of this package run on: a kernel, emulated or real, with devices whose parts are known. */
interface Machine {

    /** Where the system calls go. */
    IoctlBackend backend();

    /** The version of the profile that the kernel should answer like, for example {@code 6.12}. */
    String kernel();

    /** That profile, with what the kernel has been built with. */
    KernelProfile profile();

    /** An SR-IOV physical function on vfio-pci with at least two virtual functions to create, and BAR 0 in memory. */
    PciAddress physicalFunction();

    /** A function on vfio-pci without SR-IOV, in a group of its own. */
    PciAddress plainFunction();

    /** A function without a driver, whose group has no other on vfio-pci. */
    PciAddress unboundFunction();

    /** Lets so much time pass for the devices. */
    void pause(Duration time);

    /** The IOMMU group of a function that has one. */
    static int group(IoctlBackend backend, PciAddress function) {
        try {
            return Vfio.using(backend).pciDevice(function).iommuGroup().orElseThrow();
        } catch (VfioException e) {
            throw new AssertionError(e);
        }
    }
}
