package io.github.vfio4j.emulation;

import static io.github.vfio4j.Errno.EBADF;
import static io.github.vfio4j.Errno.EBADFD;
import static io.github.vfio4j.Errno.EINVAL;
import static io.github.vfio4j.Errno.ENODEV;
import static io.github.vfio4j.Errno.ENOSPC;
import static io.github.vfio4j.Errno.EOVERFLOW;
import static io.github.vfio4j.Errno.ERANGE;

import io.github.vfio4j.Errno;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Everything in which the emulated kernels differ, as data; the code that answers is the same for all of them. The fields
 * have the values of Linux 5.7, and each later kernel says what it does differently from the one before.
 */
public final class KernelProfile implements Cloneable {

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

    /** What a kernel does with the bitmap of DMA_LOGGING_REPORT (semantics §B.4.3). */
    public enum BitmapSupport {
        /** Built without IOMMUFD_DRIVER: the report is refused. */
        ABSENT,
        /** The bitmap must be accessible, whether or not there is anything to report. */
        PINNED_AT_ONCE,
        /** A bitmap that is not accessible is silently not written. */
        PINNED_WHEN_NEEDED
    }

    private static final int DMA_BUF = 11;

    private String version;

    private boolean featureIoctlInCore;
    private Set<Integer> coreFeatures = Set.of();
    private Set<Integer> pciFeatures = Set.of(0);
    private Set<Integer> cdxFeatures = Set.of();
    // VFIO_MIGRATION_: 1 STOP_COPY, 2 P2P, 4 PRE_COPY.
    private int migrationFlags;
    private List<OpenStep> deviceOpenOrder = List.of(OpenStep.CHECK_CONTAINER, OpenStep.MATCH_NAME_AND_TOKEN,
            OpenStep.OPEN_DEVICE, OpenStep.RESERVE_DESCRIPTOR);
    private Errno negativeContainerFd = EINVAL;
    private boolean attachedGroupFirst = true;
    private Errno notAContainer = EINVAL;
    private boolean dmaOwnership;
    private boolean goneGroups;
    // VFIO_CHECK_EXTENSION: 1 TYPE1, 3 TYPE1v2, 6 NESTING, 9 UNMAP_ALL, 10 UPDATE_VADDR.
    private Map<Integer, Integer> type1Extensions = Map.of(1, 1, 3, 1, 6, 1);
    private Map<Integer, Integer> type1ExtensionsOnceSet = Map.of();
    private Errno missingNesting = ENODEV;
    private boolean type1DirtyPages;
    // VFIO_DMA_MAP_FLAG_: 1 READ, 2 WRITE, 4 VADDR. VFIO_DMA_UNMAP_FLAG_: 1 GET_DIRTY_BITMAP, 2 ALL, 4 VADDR.
    private int type1MapFlags = 1 | 2;
    private int type1UnmapFlags;
    private Errno type1RangeOverflow = EINVAL;
    // VFIO_IOMMU_TYPE1_INFO_: 1 CAP_IOVA_RANGE, 2 CAP_MIGRATION, 3 DMA_AVAIL.
    private List<Integer> type1Capabilities = List.of(1);
    private boolean wholeType1Info;
    private int capabilityAlignment = 1;
    private boolean vfioDeviceClass;
    private boolean bindBeforeResume;
    private int lastIommufdRequest;
    private boolean iommufdChecksVaddr;
    private boolean bindTokens;
    private boolean attachPasids;
    private boolean iommufd;
    private boolean cdev;
    private BitmapSupport bitmapSupport = BitmapSupport.ABSENT;
    private boolean mttyMigrates;
    private boolean exactEventfdWrites;
    private Errno numVfsBeyond16Bits = ERANGE;
    private int deviceInfoSize = 16;
    private boolean deviceInfoCut;
    private boolean dynamicMsix;
    private boolean intxFdFirst;
    private boolean drainedUnmaskEventfd;
    private Errno emptyVectorRange = ENOSPC;
    private boolean otherNegativeFdsIgnored = true;
    private Set<Integer> mttyIrqs = Set.of(0, 1, 4);
    private boolean mttyIrqsChecked;
    private boolean memoryChecked;
    private boolean virtualMemoryEnable;
    private boolean guardedPowerState;
    private int expressCapabilityLength = 0x2c;
    private boolean designatedVendorSpecific;
    private int widestRegionAccess = 4;
    private boolean hotResetDevicesFirst;

    /** Linux 5.7, the first with VFIO_DEVICE_FEATURE. */
    public static final KernelProfile LINUX_5_7 = new KernelProfile("5.7");

    /** Linux 6.1. */
    public static final KernelProfile LINUX_6_1 = LINUX_5_7.then("6.1", kernel -> {
        kernel.featureIoctlInCore = true;
        kernel.coreFeatures = Set.of(1, 2, 6, 7, 8);
        kernel.pciFeatures = Set.of(0, 3, 4, 5);
        kernel.migrationFlags = 1 | 2;
        kernel.deviceOpenOrder = List.of(OpenStep.MATCH_NAME_AND_TOKEN, OpenStep.RESERVE_DESCRIPTOR,
                OpenStep.CHECK_CONTAINER, OpenStep.OPEN_DEVICE);
        kernel.negativeContainerFd = EBADF;
        kernel.attachedGroupFirst = false;
        kernel.dmaOwnership = true;
        kernel.goneGroups = true;
        kernel.vfioDeviceClass = true;
        kernel.type1Extensions = Map.of(1, 1, 3, 1, 6, 1, 9, 1);
        kernel.type1ExtensionsOnceSet = Map.of(10, 1);
        kernel.missingNesting = EINVAL;
        kernel.type1DirtyPages = true;
        kernel.type1MapFlags = 1 | 2 | 4;
        kernel.type1UnmapFlags = 1 | 2 | 4;
        kernel.type1Capabilities = List.of(2, 3, 1);
        kernel.bitmapSupport = BitmapSupport.PINNED_AT_ONCE;
        kernel.numVfsBeyond16Bits = EINVAL;
        kernel.deviceInfoSize = 20;
        kernel.intxFdFirst = true;
        kernel.drainedUnmaskEventfd = true;
        kernel.emptyVectorRange = ERANGE;
        kernel.memoryChecked = true;
        kernel.virtualMemoryEnable = true;
        kernel.guardedPowerState = true;
        kernel.expressCapabilityLength = 0x32;
    });

    /** Linux 6.12. */
    public static final KernelProfile LINUX_6_12 = LINUX_6_1.then("6.12", kernel -> {
        kernel.coreFeatures = Set.of(1, 2, 6, 7, 8, 9);
        kernel.cdxFeatures = Set.of(10);
        kernel.migrationFlags = 1 | 2 | 4;
        kernel.notAContainer = EBADFD;
        kernel.wholeType1Info = true;
        kernel.capabilityAlignment = 8;
        kernel.bindBeforeResume = true;
        kernel.lastIommufdRequest = 0x8e;
        kernel.bitmapSupport = BitmapSupport.ABSENT;
        kernel.mttyMigrates = true;
        kernel.exactEventfdWrites = true;
        kernel.deviceInfoSize = 24;
        kernel.deviceInfoCut = true;
        kernel.dynamicMsix = true;
        kernel.otherNegativeFdsIgnored = false;
        kernel.mttyIrqs = Set.of(0, 1);
        kernel.mttyIrqsChecked = true;
        kernel.designatedVendorSpecific = true;
        kernel.hotResetDevicesFirst = true;
    });

    /** Linux 7.2. */
    public static final KernelProfile LINUX_7_2 = LINUX_6_12.then("7.2", kernel -> {
        kernel.coreFeatures = Set.of(1, 2, 6, 7, 8, 9, 12);
        kernel.pciFeatures = Set.of(0, 3, 4, 5, 11);
        kernel.type1Extensions = Map.of(1, 1, 3, 1, 9, 1);
        kernel.type1RangeOverflow = EOVERFLOW;
        kernel.lastIommufdRequest = 0x94;
        kernel.iommufdChecksVaddr = true;
        kernel.bindTokens = true;
        kernel.attachPasids = true;
        kernel.widestRegionAccess = 8;
        kernel.expressCapabilityLength = 0x34;
    });

    private static final List<KernelProfile> ALL = List.of(LINUX_5_7, LINUX_6_1, LINUX_6_12, LINUX_7_2);

    private KernelProfile(String version) {
        this.version = version;
    }

    /** This kernel with some changes. A copy is changed before anybody sees it, and no profile ever after. */
    private KernelProfile then(String newVersion, Consumer<KernelProfile> changes) {
        try {
            KernelProfile next = (KernelProfile) clone();
            next.version = newVersion;
            changes.accept(next);
            return next;
        } catch (CloneNotSupportedException e) {
            throw new AssertionError("this class is cloneable", e);
        }
    }

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

    /**
     * The kernel as it is when built with IOMMUFD_DRIVER, as kernels with the mlx5 or pds VFIO driver are: it can report
     * DMA writes. Debian's stock kernels are built without. Kernels before 6.12 have no such option and are returned as
     * they are.
     *
     * @return this kernel or that
     */
    public KernelProfile withIommufdDriver() {
        return bitmapSupport == BitmapSupport.ABSENT && featureIoctlInCore
                ? then(version, kernel -> kernel.bitmapSupport = BitmapSupport.PINNED_WHEN_NEEDED)
                : this;
    }

    /**
     * The kernel as it is when built with IOMMUFD: it has /dev/iommu, which can take the place of a container. Debian's
     * stock kernels are built without. Kernels before 6.12 are returned as they are.
     *
     * @return this kernel or that
     */
    public KernelProfile withIommufd() {
        return lastIommufdRequest == 0 ? this : then(version, kernel -> kernel.iommufd = true);
    }

    /**
     * The kernel as it is when built with VFIO_DEVICE_CDEV, and therefore with {@linkplain #withIommufd IOMMUFD}: a device
     * has a file of its own, /dev/vfio/devices/vfioN, that needs no group. Kernels before 6.12 are returned as they are.
     *
     * @return this kernel or that
     */
    public KernelProfile withCdev() {
        return lastIommufdRequest == 0 ? this : withIommufd().then(version, kernel -> kernel.cdev = true);
    }

    /**
     * The kernel as it is when built without VFIO_PCI_DMABUF: it has no feature 11.
     *
     * @return this kernel or that
     */
    public KernelProfile withoutDmaBuf() {
        return then(version, kernel -> kernel.pciFeatures = pciFeatures.stream().filter(index -> index != DMA_BUF)
                .collect(Collectors.toUnmodifiableSet()));
    }

    /**
     * The kernel's version.
     *
     * @return for example {@code 6.12}
     */
    public String version() {
        return version;
    }

    /**
     * Whether the VFIO core knows VFIO_DEVICE_FEATURE, and not only some drivers (semantics §A.1).
     *
     * @return true from 6.1 on
     */
    public boolean featureIoctlInCore() {
        return featureIoctlInCore;
    }

    /**
     * Device features that the VFIO core judges itself, whatever the driver (semantics §A.3).
     *
     * @return their indices
     */
    public Set<Integer> coreFeatures() {
        return coreFeatures;
    }

    /**
     * Device features that reach vfio-pci's own callback (semantics §A.3, §B.7).
     *
     * @return their indices
     */
    public Set<Integer> pciFeatures() {
        return pciFeatures;
    }

    /**
     * Device features that reach the callback of vfio-cdx (semantics §A.3, §B.7).
     *
     * @return their indices, none before 6.12
     */
    public Set<Integer> cdxFeatures() {
        return cdxFeatures;
    }

    /**
     * Device features that the kernel knows at all, whoever carries them out.
     *
     * @return their indices
     */
    public Set<Integer> knownFeatures() {
        return Stream.of(coreFeatures, pciFeatures, cdxFeatures).flatMap(Set::stream)
                .collect(Collectors.toUnmodifiableSet());
    }

    /**
     * The capabilities that a device can report by feature 1 (semantics §B.2.1).
     *
     * @return a mask of the bits that exist, 0 on 5.7
     */
    public int migrationFlags() {
        return migrationFlags;
    }

    /**
     * The order of VFIO_GROUP_GET_DEVICE_FD (semantics §D.5).
     *
     * @return all steps
     */
    public List<OpenStep> deviceOpenOrder() {
        return deviceOpenOrder;
    }

    /**
     * The answer of VFIO_GROUP_SET_CONTAINER to a negative descriptor (semantics §E.2).
     *
     * @return its errno
     */
    public Errno negativeContainerFd() {
        return negativeContainerFd;
    }

    /**
     * Whether VFIO_GROUP_SET_CONTAINER refuses a group that has a container before it looks the descriptor up; a negative
     * one is refused even before that.
     *
     * @return true on 5.7
     */
    public boolean attachedGroupFirst() {
        return attachedGroupFirst;
    }

    /**
     * The answer of VFIO_GROUP_SET_CONTAINER to an open descriptor of another kind.
     *
     * @return its errno
     */
    public Errno notAContainer() {
        return notAContainer;
    }

    /**
     * Whether a group is claimed for user space at VFIO_GROUP_SET_CONTAINER; otherwise the drivers of its devices are
     * inspected at every VFIO_GROUP_GET_STATUS and VFIO_GROUP_GET_DEVICE_FD.
     *
     * @return true from 6.1 on
     */
    public boolean dmaOwnership() {
        return dmaOwnership;
    }

    /**
     * Whether a group whose devices have gone is {@code ENODEV}; otherwise it goes on without them (semantics §E.2).
     *
     * @return true from 6.1 on
     */
    public boolean goneGroups() {
        return goneGroups;
    }

    /**
     * What type1 answers to VFIO_CHECK_EXTENSION before VFIO_SET_IOMMU, where it is not 0 (semantics §E.1).
     *
     * @return answer by extension
     */
    public Map<Integer, Integer> type1Extensions() {
        return type1Extensions;
    }

    /**
     * Those answers that change with VFIO_SET_IOMMU.
     *
     * @return answer by extension
     */
    public Map<Integer, Integer> type1ExtensionsOnceSet() {
        return type1ExtensionsOnceSet;
    }

    /**
     * The answer of VFIO_SET_IOMMU for nesting from an IOMMU of Intel's that cannot do it, where the kernel offers it at
     * all.
     *
     * @return its errno
     */
    public Errno missingNesting() {
        return missingNesting;
    }

    /**
     * Whether type1 has VFIO_IOMMU_DIRTY_PAGES.
     *
     * @return true from 6.1 on
     */
    public boolean type1DirtyPages() {
        return type1DirtyPages;
    }

    /**
     * The flags that VFIO_IOMMU_MAP_DMA knows (semantics §E.5).
     *
     * @return a mask
     */
    public int type1MapFlags() {
        return type1MapFlags;
    }

    /**
     * The flags that VFIO_IOMMU_UNMAP_DMA knows.
     *
     * @return a mask, 0 on 5.7
     */
    public int type1UnmapFlags() {
        return type1UnmapFlags;
    }

    /**
     * The answer of the type1 IOMMU to a range whose end is beyond the last address.
     *
     * @return its errno
     */
    public Errno type1RangeOverflow() {
        return type1RangeOverflow;
    }

    /**
     * What VFIO_IOMMU_GET_INFO reports beyond page sizes.
     *
     * @return the capabilities' numbers, in the order of the chain
     */
    public List<Integer> type1Capabilities() {
        return type1Capabilities;
    }

    /**
     * Whether VFIO_IOMMU_GET_INFO writes all of its structure that the caller has room for, and not only up to one of two
     * fields.
     *
     * @return true from 6.12 on
     */
    public boolean wholeType1Info() {
        return wholeType1Info;
    }

    /**
     * What the size of a capability in a chain is a multiple of.
     *
     * @return bytes
     */
    public int capabilityAlignment() {
        return capabilityAlignment;
    }

    /**
     * Whether a device that a VFIO driver has shows a directory {@code vfio-dev/vfioN} in sysfs, even where it has no file of
     * its own.
     *
     * @return true from 6.1 on
     */
    public boolean vfioDeviceClass() {
        return vfioDeviceClass;
    }

    /**
     * Whether VFIO_DEVICE_BIND_IOMMUFD is dealt with before the device is resumed (semantics §A.1).
     *
     * @return true from 6.12 on
     */
    public boolean bindBeforeResume() {
        return bindBeforeResume;
    }

    /**
     * Whether there is /dev/iommu.
     *
     * @return true if {@linkplain #withIommufd built so}
     */
    public boolean hasIommufd() {
        return iommufd;
    }

    /**
     * Whether a device has a file of its own.
     *
     * @return true if {@linkplain #withCdev built so}
     */
    public boolean hasCdev() {
        return cdev;
    }

    /**
     * The last of the consecutive requests that an iommufd has (linux/iommufd.h). Every other number is tried as one of a
     * container.
     *
     * @return the low 8 bits of its number; 0 where IOMMUFD is not emulated
     */
    public int lastIommufdRequest() {
        return lastIommufdRequest;
    }

    /**
     * Whether an iommufd refuses to map memory whose end is beyond the last address there is before it looks at anything else
     * ({@code EOVERFLOW}).
     *
     * @return true on 7.2
     */
    public boolean iommufdChecksVaddr() {
        return iommufdChecksVaddr;
    }

    /**
     * Whether VFIO_DEVICE_BIND_IOMMUFD takes a VF token and follows the token rule; otherwise it opens any device without
     * (semantics §D.6).
     *
     * @return true on 7.2
     */
    public boolean bindTokens() {
        return bindTokens;
    }

    /**
     * Whether VFIO_DEVICE_ATTACH_IOMMUFD_PT and _DETACH_ take a PASID (semantics §E.6).
     *
     * @return true on 7.2
     */
    public boolean attachPasids() {
        return attachPasids;
    }

    /**
     * What becomes of the bitmap of DMA_LOGGING_REPORT.
     *
     * @return by version and build
     */
    public BitmapSupport bitmapSupport() {
        return bitmapSupport;
    }

    /**
     * Whether the sample driver mtty can migrate and log DMA writes.
     *
     * @return true from 6.12 on
     */
    public boolean mttyMigrates() {
        return mttyMigrates;
    }

    /**
     * Whether a write to an eventfd has exactly 8 bytes (Linux 6.9), or at least that many.
     *
     * @return true from 6.12 on
     */
    public boolean exactEventfdWrites() {
        return exactEventfdWrites;
    }

    /**
     * The answer of sriov_numvfs to a number that does not fit 16 bits (changed in Linux 5.16).
     *
     * @return its errno
     */
    public Errno numVfsBeyond16Bits() {
        return numVfsBeyond16Bits;
    }

    /**
     * The size of the largest answer of vfio-pci to VFIO_DEVICE_GET_INFO without capabilities (semantics §E.4).
     *
     * @return bytes
     */
    public int deviceInfoSize() {
        return deviceInfoSize;
    }

    /**
     * Whether that answer is cut to the caller's argsz; otherwise who has no room for all of it gets the first 16 bytes.
     *
     * @return true from 6.12 on
     */
    public boolean deviceInfoCut() {
        return deviceInfoCut;
    }

    /**
     * Whether MSI-X vectors can be added while others are in use (Linux 6.5, on x86). Where they can, no message-signalled
     * vector is too high as long as it is not to be switched on.
     *
     * @return true from 6.12 on
     */
    public boolean dynamicMsix() {
        return dynamicMsix;
    }

    /**
     * Whether the eventfd for INTx is looked up before anything is changed; otherwise the one before is gone by then.
     *
     * @return true from 6.1 on
     */
    public boolean intxFdFirst() {
        return intxFdFirst;
    }

    /**
     * Whether the eventfd that unmasks INTx is emptied whenever something is put into it (Linux 5.11); otherwise only
     * when it is removed.
     *
     * @return true from 6.1 on
     */
    public boolean drainedUnmaskEventfd() {
        return drainedUnmaskEventfd;
    }

    /**
     * The answer to switching MSI or MSI-X on without any vector (Linux 5.9).
     *
     * @return its errno
     */
    public Errno emptyVectorRange() {
        return emptyVectorRange;
    }

    /**
     * Whether a negative descriptor other than −1 for the error or request interrupt does nothing; otherwise it is
     * {@code EINVAL}.
     *
     * @return true up to 6.1
     */
    public boolean otherNegativeFdsIgnored() {
        return otherNegativeFdsIgnored;
    }

    /**
     * The interrupt indices of which mtty gives information.
     *
     * @return VFIO_PCI_*_IRQ_INDEX
     */
    public Set<Integer> mttyIrqs() {
        return mttyIrqs;
    }

    /**
     * Whether mtty sets interrupts by the rules of vfio-pci (Linux 6.7).
     *
     * @return true from 6.12 on
     */
    public boolean mttyIrqsChecked() {
        return mttyIrqsChecked;
    }

    /**
     * Whether vfio-pci refuses access to memory while its decoding is switched off (Linux 5.8); otherwise the access is
     * made, and nobody answers.
     *
     * @return true from 6.1 on
     */
    public boolean memoryChecked() {
        return memoryChecked;
    }

    /**
     * Whether a virtual function, whose command register has no bit for it, shows its memory as switched on from the start
     * (Linux 5.8).
     *
     * @return true from 6.1 on
     */
    public boolean virtualMemoryEnable() {
        return virtualMemoryEnable;
    }

    /**
     * Whether vfio-pci hides what of power management is about waking the machine, and counts memory of a function in
     * D3hot as switched off (Linux 5.19).
     *
     * @return true from 6.1 on
     */
    public boolean guardedPowerState() {
        return guardedPowerState;
    }

    /**
     * How long vfio-pci takes the PCI Express capability of an endpoint to be, from its second version on.
     *
     * @return bytes
     */
    public int expressCapabilityLength() {
        return expressCapabilityLength;
    }

    /**
     * Whether vfio-pci shows the extended capability for designated vendors (DVSEC, Linux 6.5).
     *
     * @return true from 6.12 on
     */
    public boolean designatedVendorSpecific() {
        return designatedVendorSpecific;
    }

    /**
     * The widest access to a BAR that vfio-pci makes for a read or a write.
     *
     * @return bytes: 8 on 7.2 (Linux 6.14 on x86), 4 before
     */
    public int widestRegionAccess() {
        return widestRegionAccess;
    }

    /**
     * Whether VFIO_DEVICE_GET_PCI_HOT_RESET_INFO writes the devices before the rest, and VFIO_DEVICE_PCI_HOT_RESET without
     * groups is refused before it is asked whether a reset is possible (Linux 6.5).
     *
     * @return true from 6.12 on
     */
    public boolean hotResetDevicesFirst() {
        return hotResetDevicesFirst;
    }

    /** The kernel's name, for example {@code Linux 6.12}. */
    @Override
    public String toString() {
        return "Linux " + version;
    }
}
