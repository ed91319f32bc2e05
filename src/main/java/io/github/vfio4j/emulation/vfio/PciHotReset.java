package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_DEVID_NOT_OWNED;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommufd.Iommufd;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The reset of a function with all others on its bus (vfio_pci_ioctl_get_pci_hot_reset_info, vfio_pci_ioctl_pci_hot_reset):
 * possible on every bus but the first, which hangs on nothing that could reset it.
 */
record PciHotReset(KernelProfile profile, PciFunction function) {

    private static final int HEADER = 12;
    private static final int FLAGS = 4;
    private static final int COUNT = 8;
    private static final int DEPENDENT = 8;

    private boolean isPossible() {
        return function.address().bus() != 0;
    }

    /**
     * The iommufd that a device which was opened by its own file is bound to; null for one that came from its group, also if
     * that uses an iommufd in place of a container. Somebody has the function open.
     */
    private @Nullable Iommufd iommufdOfCdev() {
        CoreDevice device = Objects.requireNonNull(function.vfioDevice());
        return function.group().hasCdevUsers() ? device.boundTo() : null;
    }

    /** VFIO_DEVICE_GET_PCI_HOT_RESET_INFO. */
    int information(MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, HEADER)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
        if (argsz < HEADER) {
            return -Errno.EINVAL.code();
        }
        if (!isPossible()) {
            return -Errno.ENODEV.code();
        }
        Iommufd iommufd = iommufdOfCdev();
        List<PciFunction> reached = function.onSameBus();
        long size = (long) reached.size() * DEPENDENT;
        boolean fits = argsz >= HEADER + size;
        boolean mapped = UserMemory.mapped(argument, HEADER, size);
        List<Integer> ids = reached.stream().map(dependent -> id(dependent, iommufd)).toList();
        if (!fits || mapped || !profile.hotResetDevicesFirst()) {
            UserMemory.putInt(argument, FLAGS, fits && iommufd != null ? identification(ids) : 0);
            UserMemory.putInt(argument, COUNT, reached.size());
        }
        if (!fits) {
            return -Errno.ENOSPC.code();
        }
        if (!mapped) {
            return -Errno.EFAULT.code();
        }
        for (int i = 0; i < reached.size(); i++) {
            PciFunction dependent = reached.get(i);
            int devfn = (dependent.address().device() << 3) | dependent.address().function();
            UserMemory.putInt(argument, HEADER + (long) i * DEPENDENT, ids.get(i));
            UserMemory.putInt(argument, HEADER + (long) i * DEPENDENT + Integer.BYTES,
                    (dependent.address().domain() & 0xffff) | (dependent.address().bus() << 16) | (devfn << 24));
        }
        return 0;
    }

    /** How a function is identified: within the iommufd if the asking device was opened by its own file, or by its group. */
    private static int id(PciFunction dependent, @Nullable Iommufd iommufd) {
        if (iommufd == null) {
            return dependent.group().number();
        }
        CoreDevice device = dependent.vfioDevice();
        return device == null ? VFIO_PCI_DEVID_NOT_OWNED() : device.idIn(iommufd);
    }

    /** That they are identified so, and whether all are the program's. */
    private static int identification(List<Integer> ids) {
        return VFIO_PCI_HOT_RESET_FLAG_DEV_ID()
                | (ids.contains(VFIO_PCI_DEVID_NOT_OWNED()) ? 0 : VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED());
    }

    /** VFIO_DEVICE_PCI_HOT_RESET. */
    int reset(FdTable descriptors, MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, HEADER)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
        if (argsz < HEADER || UserMemory.getInt(argument, FLAGS) != 0) {
            return -Errno.EINVAL.code();
        }
        Iommufd iommufd = iommufdOfCdev();
        long count = Integer.toUnsignedLong(UserMemory.getInt(argument, COUNT));
        if (profile.hotResetDevicesFirst() && (count == 0) != (iommufd != null)) {
            return -Errno.EINVAL.code();
        }
        if (!isPossible()) {
            return -Errno.ENODEV.code();
        }
        List<PciFunction> reached = function.onSameBus();
        if (iommufd != null) {
            boolean owned = reached.stream()
                    .noneMatch(dependent -> id(dependent, iommufd) == VFIO_PCI_DEVID_NOT_OWNED());
            return resetIf(owned, reached);
        }
        if (count == 0 || count > reached.size()) {
            return -Errno.EINVAL.code();
        }
        if (!UserMemory.mapped(argument, HEADER, count * Integer.BYTES)) {
            return -Errno.EFAULT.code();
        }
        List<IommuGroup> groups = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int error = find(descriptors, UserMemory.getInt(argument, HEADER + (long) i * Integer.BYTES), groups);
            if (error != 0) {
                return error;
            }
        }
        boolean allowed = reached.stream()
                .allMatch(dependent -> dependent.vfioPci() != null && groups.contains(dependent.group()));
        return resetIf(allowed, reached);
    }

    private static int resetIf(boolean allowed, List<PciFunction> reached) {
        if (!allowed) {
            return -Errno.EINVAL.code();
        }
        reached.forEach(PciFunction::resetWithBus);
        return 0;
    }

    private static int find(FdTable descriptors, int fd, List<IommuGroup> groups) {
        OpenFile file = descriptors.acquire(fd);
        if (file == null) {
            return -Errno.EBADF.code();
        }
        try {
            IommuGroup group = IommuGroup.ofFile(file);
            if (group == null) {
                return -Errno.EINVAL.code();
            }
            groups.add(group);
            return 0;
        } finally {
            file.release();
        }
    }
}
