package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

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

    private void requireGroup() {
        if (function.group().hasCdevUsers()) {
            throw new NotModelledException("hot reset of a device that was opened by its own file");
        }
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
        requireGroup();
        List<PciFunction> reached = function.onSameBus();
        long size = (long) reached.size() * DEPENDENT;
        boolean fits = argsz >= HEADER + size;
        boolean mapped = UserMemory.mapped(argument, HEADER, size);
        if (!fits || mapped || !profile.hotResetDevicesFirst()) {
            UserMemory.putInt(argument, FLAGS, 0);
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
            UserMemory.putInt(argument, HEADER + (long) i * DEPENDENT, dependent.group().number());
            UserMemory.putInt(argument, HEADER + (long) i * DEPENDENT + Integer.BYTES,
                    (dependent.address().domain() & 0xffff) | (dependent.address().bus() << 16) | (devfn << 24));
        }
        return 0;
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
        requireGroup();
        long count = Integer.toUnsignedLong(UserMemory.getInt(argument, COUNT));
        if (count == 0 && profile.hotResetDevicesFirst()) {
            return -Errno.EINVAL.code();
        }
        if (!isPossible()) {
            return -Errno.ENODEV.code();
        }
        List<PciFunction> reached = function.onSameBus();
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
