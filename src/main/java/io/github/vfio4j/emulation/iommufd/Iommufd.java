package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.iommu.DmaOwnership;
import io.github.vfio4j.emulation.iommu.DmaTarget;
import io.github.vfio4j.emulation.iommu.IommuHardware;
import io.github.vfio4j.emulation.iommufd.IommufdObject.Access;
import io.github.vfio4j.emulation.iommufd.IommufdObject.BoundDevice;
import io.github.vfio4j.emulation.iommufd.IommufdObject.Ioas;
import io.github.vfio4j.emulation.iommufd.IommufdObject.PageTable;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What an open /dev/iommu stands for (struct iommufd_ctx): objects with numbers, the lowest free one given out first. All
 * results are ≥ 0 or −errno.
 *
 * <p>
 * Page tables are those that attaching to an address space makes; with one IOMMU, each address space has at most one.
 */
public final class Iommufd {

    private final NavigableMap<Integer, IommufdObject> objects = new TreeMap<>();
    private final Map<DmaOwnership, PageTable> pageTables = new HashMap<>();
    private final IommuHardware hardware;
    private @Nullable Ioas compatIoas;

    Iommufd(IommuHardware hardware) {
        this.hardware = hardware;
    }

    private <T extends IommufdObject> T add(IntFunction<T> factory) {
        int id = 1;
        while (objects.containsKey(id)) {
            id++;
        }
        T object = factory.apply(id);
        objects.put(id, object);
        return object;
    }

    private <T extends IommufdObject> Stream<T> all(Class<T> type) {
        return objects.values().stream().filter(type::isInstance).map(type::cast);
    }

    /** A new address space. */
    synchronized int allocateIoas() {
        return addIoas().id();
    }

    private Ioas addIoas() {
        return add(id -> new Ioas(id, new AddressSpace(hardware)));
    }

    /** What is mapped in the address space of a number; null if it has none of that number. */
    synchronized @Nullable AddressSpace addressSpace(int id) {
        return objects.get(id) instanceof Ioas ioas ? ioas.space() : null;
    }

    /** What is mapped in the address space of those who know only containers; null if there is none. */
    synchronized @Nullable AddressSpace compatAddressSpace() {
        return compatIoas == null ? null : compatIoas.space();
    }

    /** Destroys what nothing else needs. Whatever has been made for a device is needed by it. */
    synchronized int destroy(int id) {
        return switch (objects.get(id)) {
            case null -> -Errno.ENOENT.code();
            case Ioas ioas when !isInUse(ioas) -> {
                objects.remove(id);
                if (ioas == compatIoas) {
                    compatIoas = null;
                }
                yield 0;
            }
            default -> -Errno.EBUSY.code();
        };
    }

    private boolean isInUse(Ioas ioas) {
        return all(PageTable.class).anyMatch(table -> table.ioas() == ioas)
                || all(Access.class).anyMatch(access -> access.ioas() == ioas);
    }

    /** The address space of those who know only containers: its number, or {@code −ENODEV}. */
    public synchronized int compatIoas() {
        return compatIoas == null ? -Errno.ENODEV.code() : compatIoas.id();
    }

    /** Makes sure that there is one: a group is to be used with this iommufd as with a container. */
    public synchronized void ensureCompatIoas() {
        if (compatIoas == null) {
            compatIoas = addIoas();
        }
    }

    synchronized int setCompatIoas(int id) {
        if (!(objects.get(id) instanceof Ioas ioas)) {
            return -Errno.ENOENT.code();
        }
        compatIoas = ioas;
        return 0;
    }

    synchronized int clearCompatIoas() {
        compatIoas = null;
        return 0;
    }

    /** Whether the IOMMU translates for a device in the space of those who know only containers. */
    synchronized boolean isCompatIoasInHardware() {
        return all(PageTable.class).anyMatch(table -> table.ioas() == compatIoas);
    }

    /** Binds a device behind the IOMMU: its number, or {@code −EPERM} if its group is somebody else's. */
    public synchronized int bind(DmaOwnership group) {
        int error = group.claim(this);
        return error != 0 ? error : add(id -> new BoundDevice(id, group)).id();
    }

    /** Binds a device whose driver imitates DMA: its number. */
    public synchronized int bindEmulated() {
        return add(Access::new).id();
    }

    /** Undoes a binding, and first what the device is attached to. */
    public synchronized void unbind(int device) {
        detach(device);
        if (objects.remove(device) instanceof BoundDevice bound) {
            bound.group().release();
        }
    }

    /**
     * Attaches a bound device, or moves it from where it was attached.
     *
     * @param device
     *            its number
     * @param target
     *            the number of an address space, or of a page table
     * @return the number of the page table it is attached to; of the address space if there is no IOMMU between
     */
    public synchronized int attach(int device, int target) {
        if (objects.get(device) instanceof BoundDevice bound) {
            return switch (objects.get(target)) {
                case null -> -Errno.ENOENT.code();
                case PageTable table -> attach(bound, table);
                case Ioas ioas -> attach(bound, ioas);
                default -> -Errno.EINVAL.code();
            };
        }
        return objects.get(device) instanceof Access access && objects.get(target) instanceof Ioas ioas
                ? attach(access, ioas)
                : -Errno.ENOENT.code();
    }

    private static int attach(Access access, Ioas ioas) {
        Ioas before = access.ioas();
        if (before != ioas) {
            int error = ioas.space().addAccess();
            if (error != 0) {
                return error;
            }
            detach(access);
            access.setIoas(ioas);
        }
        return ioas.id();
    }

    private static void detach(Access access) {
        if (access.ioas() != null) {
            access.ioas().space().removeAccess();
            access.setIoas(null);
        }
    }

    private int attach(BoundDevice device, Ioas ioas) {
        Function<PageTable, Integer> attaching = table -> attach(device, table);
        return all(PageTable.class).filter(table -> table.ioas() == ioas).findFirst().map(attaching)
                .orElseGet(() -> attachToNewTable(device, ioas));
    }

    private int attachToNewTable(BoundDevice device, Ioas ioas) {
        boolean isGroupElsewhere = pageTables.containsKey(device.group()) && !device.isAttached();
        int error = isGroupElsewhere ? -Errno.EINVAL.code() : ioas.space().addPageTable();
        if (error != 0) {
            return error;
        }
        PageTable table = add(id -> new PageTable(id, ioas));
        int result = attach(device, table);
        removeUnused(table);
        return result;
    }

    /** The first device brings its group along; others must want the same, and a move moves them all. */
    private int attach(BoundDevice device, PageTable table) {
        PageTable before = pageTables.get(device.group());
        if (before != null && before != table && !device.isAttached()) {
            return -Errno.EINVAL.code();
        }
        pageTables.put(device.group(), table);
        device.setAttached(true);
        removeUnused(before);
        return table.id();
    }

    /** Detaches a bound device, if it is attached. */
    public synchronized void detach(int device) {
        if (objects.get(device) instanceof Access access) {
            detach(access);
        } else if (objects.get(device) instanceof BoundDevice bound) {
            bound.setAttached(false);
            if (all(BoundDevice.class).noneMatch(other -> other.group() == bound.group() && other.isAttached())) {
                removeUnused(pageTables.remove(bound.group()));
            }
        }
    }

    /** What the DMA of a bound device goes to; null while it is attached to nothing. */
    public synchronized @Nullable DmaTarget dmaTarget(int device) {
        if (objects.get(device) instanceof Access access) {
            return access.ioas() == null ? null : access.ioas().space();
        }
        PageTable table = objects.get(device) instanceof BoundDevice bound ? pageTables.get(bound.group()) : null;
        return table == null ? null : table.ioas().space();
    }

    private void removeUnused(@Nullable PageTable table) {
        if (table != null && !pageTables.containsValue(table)) {
            objects.remove(table.id());
            table.ioas().space().removePageTable();
        }
    }
}
