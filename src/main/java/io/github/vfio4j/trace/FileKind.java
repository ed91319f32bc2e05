package io.github.vfio4j.trace;

/** What a descriptor leads to, as far as it can be told from the call that returned it. */
enum FileKind {

    CONTAINER("container"), GROUP("group"), DEVICE("device"), IOMMUFD("iommufd"), MIGRATION_DATA("data"), DMA_BUF(
            "dmabuf"), EVENTFD("eventfd"), FILE("file");

    private final String word;

    FileKind(String word) {
        this.word = word;
    }

    /** What open(2) opens. */
    static FileKind ofPath(String path) {
        if (path.equals("/dev/vfio/vfio")) {
            return CONTAINER;
        }
        if (path.equals("/dev/iommu")) {
            return IOMMUFD;
        }
        if (path.startsWith("/dev/vfio/devices/")) {
            return DEVICE;
        }
        return path.matches("/dev/vfio/(noiommu-)?[0-9]+") ? GROUP : FILE;
    }

    /** A word for names. */
    @Override
    public String toString() {
        return word;
    }
}
