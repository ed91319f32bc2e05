package io.github.vfio4j.emulation;

import static io.github.vfio4j.Errno.EBADF;
import static io.github.vfio4j.Errno.EBADFD;
import static io.github.vfio4j.Errno.EINVAL;

import io.github.vfio4j.Errno;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Everything in which the emulated kernels differ, as data: one row a kernel, one component a difference. The code that
 * answers is the same for all of them.
 *
 * @param version
 *            the kernel's version, for example {@code 6.12}
 * @param featureIoctlInCore
 *            whether the VFIO core knows VFIO_DEVICE_FEATURE, and not only some drivers (semantics §A.1)
 * @param coreFeatures
 *            device features that the VFIO core judges itself, whatever the driver (semantics §A.3)
 * @param pciFeatures
 *            device features that reach vfio-pci's own callback (semantics §A.3, §B.7)
 * @param deviceOpenOrder
 *            the order of VFIO_GROUP_GET_DEVICE_FD (semantics §D.5)
 * @param negativeContainerFd
 *            the answer of VFIO_GROUP_SET_CONTAINER to a negative descriptor (semantics §E.2)
 * @param attachedGroupFirst
 *            whether VFIO_GROUP_SET_CONTAINER refuses a group that has a container before it looks the descriptor up;
 *            a negative one is refused even before that
 * @param notAContainer
 *            the answer of VFIO_GROUP_SET_CONTAINER to an open descriptor of another kind
 * @param dmaOwnership
 *            whether a group is claimed for user space at VFIO_GROUP_SET_CONTAINER; otherwise the drivers of its devices
 *            are inspected at every VFIO_GROUP_GET_STATUS and VFIO_GROUP_GET_DEVICE_FD
 * @param type1Extensions
 *            what type1 answers to VFIO_CHECK_EXTENSION before VFIO_SET_IOMMU (semantics §E.1)
 * @param type1ExtensionsOnceSet
 *            those that change with VFIO_SET_IOMMU
 * @param type1DirtyPages
 *            whether type1 has VFIO_IOMMU_DIRTY_PAGES
 * @param bitmapSupport
 *            what becomes of the bitmap of DMA_LOGGING_REPORT
 * @param mttyMigrates
 *            whether the sample driver mtty can migrate and log
 */
public record KernelProfile(String version, boolean featureIoctlInCore, Set<Integer> coreFeatures,
        Set<Integer> pciFeatures, List<OpenStep> deviceOpenOrder, Errno negativeContainerFd, boolean attachedGroupFirst,
        Errno notAContainer, boolean dmaOwnership, Map<Integer, Integer> type1Extensions,
        Map<Integer, Integer> type1ExtensionsOnceSet, boolean type1DirtyPages, BitmapSupport bitmapSupport,
        boolean mttyMigrates) {

    /** What a kernel does with the bitmap of DMA_LOGGING_REPORT (semantics §B.4.3). */
    public enum BitmapSupport {
        /** Built without IOMMUFD_DRIVER: the report is refused. */
        ABSENT,
        /** The bitmap must be accessible, whether or not there is anything to report. */
        PINNED_AT_ONCE,
        /** A bitmap that is not accessible is silently not written. */
        PINNED_WHEN_NEEDED
    }

    /** A step of VFIO_GROUP_GET_DEVICE_FD. */
    public enum OpenStep {
        /** Which device of the group is meant, and may it be opened with this token? */
        MATCH_NAME_AND_TOKEN,
        /** Is there a free descriptor? */
        RESERVE_DESCRIPTOR,
        /** Has the group a container, and the container an IOMMU? */
        CHECK_CONTAINER,
        /** The driver's own open, at the first open of a device. */
        OPEN_DEVICE
    }

    private static final List<OpenStep> NAME_FIRST = List.of(OpenStep.MATCH_NAME_AND_TOKEN, OpenStep.RESERVE_DESCRIPTOR,
            OpenStep.CHECK_CONTAINER, OpenStep.OPEN_DEVICE);

    // Numbers of VFIO_CHECK_EXTENSION: 1 TYPE1, 3 TYPE1v2, 6 NESTING, 9 UNMAP_ALL, 10 UPDATE_VADDR.

    /** Linux 5.7, the first with VFIO_DEVICE_FEATURE. */
    public static final KernelProfile LINUX_5_7 = new KernelProfile("5.7", false, Set.of(), Set.of(0),
            List.of(OpenStep.CHECK_CONTAINER, OpenStep.MATCH_NAME_AND_TOKEN, OpenStep.OPEN_DEVICE,
                    OpenStep.RESERVE_DESCRIPTOR),
            EINVAL, true, EINVAL, false, Map.of(1, 1, 3, 1, 6, 1), Map.of(), false, BitmapSupport.ABSENT, false);

    /** Linux 6.1. */
    public static final KernelProfile LINUX_6_1 = new KernelProfile("6.1", true, Set.of(1, 2, 6, 7, 8),
            Set.of(0, 3, 4, 5), NAME_FIRST, EBADF, false, EINVAL, true, Map.of(1, 1, 3, 1, 6, 1, 9, 1), Map.of(10, 1),
            true, BitmapSupport.PINNED_AT_ONCE, false);

    /** Linux 6.12. */
    public static final KernelProfile LINUX_6_12 = new KernelProfile("6.12", true, Set.of(1, 2, 6, 7, 8, 9),
            Set.of(0, 3, 4, 5), NAME_FIRST, EBADF, false, EBADFD, true, Map.of(1, 1, 3, 1, 6, 1, 9, 1), Map.of(10, 1),
            true, BitmapSupport.ABSENT, true);

    /** Linux 7.2. */
    public static final KernelProfile LINUX_7_2 = new KernelProfile("7.2", true, Set.of(1, 2, 6, 7, 8, 9, 12),
            Set.of(0, 3, 4, 5, 11), NAME_FIRST, EBADF, false, EBADFD, true, Map.of(1, 1, 3, 1, 9, 1), Map.of(10, 1),
            true, BitmapSupport.ABSENT, true);

    private static final List<KernelProfile> ALL = List.of(LINUX_5_7, LINUX_6_1, LINUX_6_12, LINUX_7_2);

    /**
     * All emulated kernels.
     *
     * @return oldest first
     */
    public static List<KernelProfile> all() {
        return ALL;
    }

    /**
     * The profile of a version.
     *
     * @param version
     *            {@code 5.7}, {@code 6.1}, {@code 6.12} or {@code 7.2}
     * @return the profile
     * @throws IllegalArgumentException
     *             if that kernel is not emulated
     */
    public static KernelProfile of(String version) {
        return ALL.stream().filter(profile -> profile.version.equals(version)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("Linux " + version + " is not emulated; there are "
                        + ALL.stream().map(KernelProfile::version).toList()));
    }

    /** The kernel's name, for example {@code Linux 6.12}. */
    @Override
    public String toString() {
        return "Linux " + version;
    }
}
