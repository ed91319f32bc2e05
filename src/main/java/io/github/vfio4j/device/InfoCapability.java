package io.github.vfio4j.device;

import java.util.Arrays;
import java.util.Objects;

/** A capability of a device or a region: an element of the chain behind the kernel's answer (struct vfio_info_cap_header). */
public final class InfoCapability {

    private final int id;
    private final int version;
    private final byte[] data;

    InfoCapability(int id, int version, byte[] data) {
        this.id = id;
        this.version = version;
        this.data = data;
    }

    /**
     * What it is; for devices and regions these are different numbers.
     *
     * @return 0‥0xffff
     */
    public int id() {
        return id;
    }

    /**
     * Of its layout.
     *
     * @return 0‥0xffff
     */
    public int version() {
        return version;
    }

    /**
     * What follows the header, up to the next capability or the end of the answer: as it is, in the machine's byte order,
     * possibly with padding behind.
     *
     * @return a copy
     */
    public byte[] data() {
        return data.clone();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof InfoCapability capability && id == capability.id && version == capability.version
                && Arrays.equals(data, capability.data);
    }

    @Override
    public int hashCode() {
        return Objects.hash(id, version, Arrays.hashCode(data));
    }

    /** Id, version and size. */
    @Override
    public String toString() {
        return "capability " + id + " version " + version + ", " + data.length + " bytes";
    }
}
