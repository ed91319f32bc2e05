package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Mman;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A region of a device: a BAR, the ROM, configuration space. Every access is a system call (pread(2), pwrite(2)); what can
 * be mapped can be used without by {@link #map}. Safe for use by many threads, as far as the device is.
 *
 * <p>
 * Besides what {@link RegisterAccess} says, accesses fail with {@code EIO} while the memory decoding of a PCI function is
 * switched off or it is in D3hot, and with {@code EINVAL} where the kernel does not let them through. They wake a device
 * that sleeps, which by itself does not end low power.
 */
public final class DeviceRegion implements RegisterAccess {

    /** The BARs of a PCI device are regions 0 to 5. */
    public static final int BAR0 = 0;
    /** The expansion ROM of a PCI device. */
    public static final int ROM = 6;
    /** The configuration space of a PCI device. */
    public static final int CONFIG = 7;
    /** The legacy VGA ranges of a PCI device. */
    public static final int VGA = 8;

    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED
            .withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** The largest page of the machines that have VFIO: a mapping that begins at a multiple of this can be made. */
    private static final long LARGEST_PAGE = 64 << 10;

    /** More than any device has: the 9 of PCI, and some that its driver adds. */
    private static final int MOST_REGIONS = 4096;

    private static final Map<Errno, String> REMEDIES = Map.of(Errno.EIO,
            "The device does not answer: its memory decoding is off or it is in D3hot (PciConfigSpace switches both),"
                    + " or it could not be woken",
            Errno.EINVAL, "The region can't be read or written there, or not at all", Errno.EFAULT,
            "The configuration space ends before");

    private final DeviceHandle device;
    private final RegionInfo info;
    private final String name;
    private final @Nullable ConfigEffects effects;

    /** A region of a device. */
    private DeviceRegion(DeviceHandle device, RegionInfo info, boolean pci) {
        this.device = device;
        this.info = info;
        name = name(info.index(), pci) + " of " + device;
        effects = pci && info.index() == CONFIG ? new ConfigEffects(this) : null;
    }

    /**
     * A region of a device.
     *
     * @param device
     *            any device
     * @param index
     *            the region's number
     * @return the region; one of size 0 if the device does not have it
     * @throws VfioException
     *             {@code EINVAL} if there is no such index
     */
    public static DeviceRegion of(DeviceHandle device, int index) throws VfioException {
        return new DeviceRegion(device, RegionInfo.of(device, index), DeviceInfo.of(device).isPci());
    }

    /**
     * All regions that a device has.
     *
     * @param device
     *            any device
     * @return those whose size is not 0, in the order of their numbers; an index that the kernel says there is no region
     *         for ({@code EINVAL}) is left out
     * @throws VfioException
     *             if the device could not be asked
     */
    public static List<DeviceRegion> all(DeviceHandle device) throws VfioException {
        DeviceInfo info = DeviceInfo.of(device);
        if (info.regionCount() < 0 || info.regionCount() > MOST_REGIONS) {
            throw CapabilityChain.malformed("VFIO_DEVICE_GET_INFO of " + device,
                    Integer.toUnsignedString(info.regionCount()) + " regions");
        }
        List<DeviceRegion> regions = new ArrayList<>();
        for (int index = 0; index < info.regionCount(); index++) {
            try {
                DeviceRegion region = new DeviceRegion(device, RegionInfo.of(device, index), info.isPci());
                if (region.size() > 0) {
                    regions.add(region);
                }
            } catch (VfioException e) {
                // VGA counts among the indices of all PCI devices, also of those that have none.
                if (!e.is(Errno.EINVAL)) {
                    throw e;
                }
            }
        }
        return List.copyOf(regions);
    }

    private static String name(int index, boolean pci) {
        if (!pci || index > VGA) {
            return "region " + index;
        }
        return switch (index) {
            case ROM -> "the ROM";
            case CONFIG -> "the configuration space";
            case VGA -> "the VGA ranges";
            default -> "BAR " + index;
        };
    }

    /**
     * What the kernel tells of it.
     *
     * @return as it was when this object was made
     */
    public RegionInfo info() {
        return info;
    }

    @Override
    public long size() {
        return info.size();
    }

    @Override
    public byte get8(long offset) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            return register(arena, offset, Byte.BYTES).get(JAVA_BYTE, 0);
        }
    }

    @Override
    public short get16(long offset) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            return register(arena, offset, Short.BYTES).get(SHORT, 0);
        }
    }

    @Override
    public int get32(long offset) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            return register(arena, offset, Integer.BYTES).get(INT, 0);
        }
    }

    @Override
    public long get64(long offset) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            return register(arena, offset, Long.BYTES).get(LONG, 0);
        }
    }

    private MemorySegment register(Arena arena, long offset, int width) throws VfioException {
        Bounds.checkRegister(name, info.size(), offset, width);
        MemorySegment buffer = arena.allocate(Long.BYTES).asSlice(0, width);
        transfer(offset, buffer, false);
        return buffer;
    }

    @Override
    public void put8(long offset, byte value) throws VfioException {
        put(offset, Byte.BYTES, value);
    }

    @Override
    public void put16(long offset, short value) throws VfioException {
        put(offset, Short.BYTES, value);
    }

    @Override
    public void put32(long offset, int value) throws VfioException {
        put(offset, Integer.BYTES, value);
    }

    @Override
    public void put64(long offset, long value) throws VfioException {
        put(offset, Long.BYTES, value);
    }

    private void put(long offset, int width, long value) throws VfioException {
        Bounds.checkRegister(name, info.size(), offset, width);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(Long.BYTES);
            buffer.set(LONG, 0, value);
            transfer(offset, buffer.asSlice(0, width), true);
        }
    }

    /**
     * Reads a part. The kernel reads it in pieces of up to 4 or 8 bytes, as aligned as they are.
     *
     * @param offset
     *            where it begins
     * @param length
     *            bytes
     * @return the bytes
     * @throws VfioException
     *             if the kernel refuses
     */
    public byte[] read(long offset, int length) throws VfioException {
        Bounds.check(name, info.size(), offset, length);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(Math.max(1, length), Long.BYTES).asSlice(0, length);
            transfer(offset, buffer, false);
            return buffer.toArray(JAVA_BYTE);
        }
    }

    /**
     * Reads a part into native memory.
     *
     * @param offset
     *            where it begins
     * @param target
     *            native memory; its size is how much is read
     * @throws VfioException
     *             if the kernel refuses; how much was read until then is not known
     */
    public void read(long offset, MemorySegment target) throws VfioException {
        Bounds.check(name, info.size(), offset, target.byteSize());
        transfer(offset, target, false);
    }

    /**
     * Writes a part. The kernel writes it in pieces of up to 4 or 8 bytes, as aligned as they are.
     *
     * @param offset
     *            where it begins
     * @param bytes
     *            the bytes
     * @throws VfioException
     *             if the kernel refuses; how much was written until then is not known
     */
    public void write(long offset, byte... bytes) throws VfioException {
        Bounds.check(name, info.size(), offset, bytes.length);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(Math.max(1, bytes.length), Long.BYTES).asSlice(0, bytes.length);
            transfer(offset, buffer.copyFrom(MemorySegment.ofArray(bytes)), true);
        }
    }

    /**
     * Writes a part from native memory.
     *
     * @param offset
     *            where it begins
     * @param source
     *            native memory, all of which is written
     * @throws VfioException
     *             if the kernel refuses; how much was written until then is not known
     */
    public void write(long offset, MemorySegment source) throws VfioException {
        Bounds.check(name, info.size(), offset, source.byteSize());
        transfer(offset, source, true);
    }

    private void transfer(long offset, MemorySegment memory, boolean write) throws VfioException {
        String reason = write && effects != null ? effects.endOfViews(offset, memory) : null;
        if (reason == null) {
            transferAll(offset, memory, write);
            return;
        }
        device.views().closeAllFor(reason, () -> {
            transferAll(offset, memory, true);
            return memory;
        });
    }

    private void transferAll(long offset, MemorySegment memory, boolean write) throws VfioException {
        long done = 0;
        while (done < memory.byteSize()) {
            MemorySegment rest = memory.asSlice(done);
            long at = info.offset() + offset + done;
            long result = write ? device.pwrite(rest, at) : device.pread(rest, at);
            if (result <= 0) {
                throw refused(offset + done, rest.byteSize(), write, result);
            }
            done += result;
        }
    }

    private VfioException refused(long offset, long length, boolean write, long result) {
        String operation = (write ? "write " : "read ") + length + " bytes at 0x" + Long.toHexString(offset)
                + (write ? " to " : " of ") + name;
        if (result == 0) {
            return new VfioException(operation, null, "The kernel says that the region ends before");
        }
        Errno errno = Errno.ofResult(result);
        return new VfioException(operation, errno, REMEDIES.get(errno));
    }

    /**
     * The parts that can be mapped: all of it, or what the kernel or an MSI-X table that it keeps to itself leaves.
     *
     * @return parts in order that do not touch each other; none if it can't be mapped
     * @throws VfioException
     *             if the device could not be asked for the place of its MSI-X table
     */
    public List<RegionArea> mappableAreas() throws VfioException {
        if (!info.isMappable() || info.size() == 0) {
            return List.of();
        }
        if (!info.sparseAreas().isEmpty()) {
            return merged(info.sparseAreas());
        }
        RegionArea whole = new RegionArea(0, info.size());
        RegionArea table = info.msixMappable() || info.index() >= ROM ? null : msixTable();
        return table == null ? List.of(whole) : MsixHole.around(table, whole);
    }

    private @Nullable RegionArea msixTable() throws VfioException {
        return DeviceInfo.of(device).isPci() ? MsixHole.table(PciConfigSpace.of(device), info.index()) : null;
    }

    private static List<RegionArea> merged(List<RegionArea> areas) {
        List<RegionArea> merged = new ArrayList<>();
        for (RegionArea area : areas.stream().sorted(Comparator.comparingLong(RegionArea::offset)).toList()) {
            RegionArea last = merged.isEmpty() ? null : merged.getLast();
            if (last != null && area.offset() <= last.end()) {
                merged.set(merged.size() - 1,
                        new RegionArea(last.offset(), Math.max(last.end(), area.end()) - last.offset()));
            } else {
                merged.add(area);
            }
        }
        return List.copyOf(merged);
    }

    /**
     * Maps all of it.
     *
     * @return a view, to be closed by the caller if it is not to live as long as the device
     * @throws VfioException
     *             as {@link #map(long, long)}
     */
    public RegionView map() throws VfioException {
        return map(0, info.size());
    }

    /**
     * Maps a part of it (mmap(2)). What is in the same pages is mapped too, but can't be reached by the view.
     *
     * @param offset
     *            where it begins
     * @param length
     *            bytes
     * @return a view, to be closed by the caller if it is not to live as long as the device
     * @throws VfioException
     *             if that part can't be mapped, in all or not at all, which {@link #mappableAreas} tells; if the memory
     *             decoding of the function is switched off or it is in D3hot; and what mmap(2) answers
     * @throws IllegalStateException
     *             if the device has been put into low power and {@code LowPowerFeature.exit()} has not been called since,
     *             or it is closed
     */
    public RegionView map(long offset, long length) throws VfioException {
        Bounds.check(name, info.size(), offset, length);
        String operation = "map " + length + " bytes at 0x" + Long.toHexString(offset) + " of " + name;
        List<RegionArea> areas = mappableAreas();
        RegionArea area = areas.stream()
                .filter(candidate -> candidate.offset() <= offset && offset + length <= candidate.end()).findFirst()
                .orElse(null);
        if (area == null || length == 0) {
            throw new VfioException(operation, null,
                    areas.isEmpty()
                            ? "It can't be mapped, only read and written (get, put, read, write)"
                            : "Of it, only " + areas + " can be mapped; the rest is read and written (get, put, read,"
                                    + " write)");
        }
        return device.views().add(() -> {
            requireMemory(operation);
            return view(operation, offset, length, area);
        });
    }

    /** Mapped memory that does not answer is SIGBUS. */
    private void requireMemory(String operation) throws VfioException {
        if (DeviceInfo.of(device).isPci() && info.index() < ROM) {
            String obstacle = PciConfigSpace.of(device).obstacleToMemory();
            if (obstacle != null) {
                throw new VfioException(operation, null, obstacle);
            }
        }
    }

    private RegionView view(String operation, long offset, long length, RegionArea area) throws VfioException {
        long start = Math.max(area.offset(), offset - offset % LARGEST_PAGE);
        int protection = (info.isReadable() ? Mman.PROT_READ : 0) | (info.isWritable() ? Mman.PROT_WRITE : 0);
        // Shared: every thread of the driver may use it, and any may close it.
        Arena arena = Arena.ofShared();
        boolean made = false;
        try {
            MemorySegment mapping = device.mmap(arena, offset + length - start, protection, info.offset() + start);
            if (mapping.byteSize() == 0) {
                device.check(operation, (int) mapping.address(), Map.of(Errno.EINVAL,
                        "The driver does not map this part, or its pages are larger than the part's alignment"));
            }
            RegionView view = new RegionView(name, device.views(), arena, mapping.asSlice(offset - start, length));
            made = true;
            return view;
        } finally {
            if (!made) {
                arena.close();
            }
        }
    }

    /**
     * The fastest way there is to its registers.
     *
     * @return a view of all of it if it can be mapped as a whole, which lives as long as the device; otherwise this
     * @throws VfioException
     *             if it can be mapped as a whole, and mapping it fails
     */
    public RegisterAccess registers() throws VfioException {
        List<RegionArea> areas = mappableAreas();
        return areas.size() == 1 && areas.getFirst().length() == info.size() ? map() : this;
    }

    /** Which region of which device, for example {@code BAR 0 of device 0000:01:00.0}. */
    @Override
    public String toString() {
        return name;
    }
}
