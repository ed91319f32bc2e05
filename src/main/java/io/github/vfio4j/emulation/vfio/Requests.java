package io.github.vfio4j.emulation.vfio;

/**
 * The ioctl numbers as compile-time constants, for {@code switch} (semantics §0.3). A test compares them with
 * {@code vfio.h}. One number has a different meaning on a container than on a device.
 */
final class Requests {

    static final int GET_API_VERSION = 0x3b64;
    static final int CHECK_EXTENSION = 0x3b65;
    static final int SET_IOMMU = 0x3b66;
    static final int GROUP_GET_STATUS = 0x3b67;
    static final int GROUP_SET_CONTAINER = 0x3b68;
    static final int GROUP_UNSET_CONTAINER = 0x3b69;
    static final int GROUP_GET_DEVICE_FD = 0x3b6a;
    static final int DEVICE_GET_INFO = 0x3b6b;
    static final int DEVICE_GET_REGION_INFO = 0x3b6c;
    static final int DEVICE_GET_IRQ_INFO = 0x3b6d;
    static final int DEVICE_SET_IRQS = 0x3b6e;
    static final int DEVICE_RESET = 0x3b6f;
    static final int DEVICE_GET_PCI_HOT_RESET_INFO = 0x3b70;
    static final int DEVICE_PCI_HOT_RESET = 0x3b71;
    static final int DEVICE_IOEVENTFD = 0x3b74;
    static final int DEVICE_FEATURE = 0x3b75;
    static final int DEVICE_BIND_IOMMUFD = 0x3b76;
    static final int DEVICE_ATTACH_IOMMUFD_PT = 0x3b77;
    static final int DEVICE_DETACH_IOMMUFD_PT = 0x3b78;

    private Requests() {
    }
}
