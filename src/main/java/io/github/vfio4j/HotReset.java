package io.github.vfio4j;

import io.github.vfio4j.uapi.vfio_h;
import io.github.vfio4j.uapi.vfio_pci_hot_reset;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** VFIO_DEVICE_PCI_HOT_RESET: with no view of any device that it reaches, and the groups of all of them as evidence. */
record HotReset(VfioDevice device, List<VfioDevice> reached) {

    private static final long HEADER = vfio_pci_hot_reset.count$offset() + Integer.BYTES;

    /** In an order that is the same whoever is asked, so that two of these do not wait for each other. */
    void carryOut() throws VfioException {
        List<VfioDevice> ordered = reached.stream().distinct().sorted(Comparator.comparingInt(System::identityHashCode))
                .toList();
        closeViews(ordered);
    }

    private int closeViews(List<VfioDevice> rest) throws VfioException {
        if (rest.isEmpty()) {
            List<Descriptor> groups = reached.stream().map(VfioDevice::groupDescriptor).flatMap(Optional::stream)
                    .distinct().toList();
            return lend(groups, new ArrayList<>());
        }
        return rest.getFirst().views().closeAllFor("the device was reset with its bus",
                () -> closeViews(rest.subList(1, rest.size())));
    }

    private int lend(List<Descriptor> groups, List<Integer> numbers) throws VfioException {
        if (numbers.size() == groups.size()) {
            return reset(numbers);
        }
        return groups.get(numbers.size()).<Integer>lend(fd -> {
            numbers.add(fd);
            return lend(groups, numbers);
        });
    }

    private int reset(List<Integer> groups) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(HEADER + (long) groups.size() * Integer.BYTES, Long.BYTES);
            vfio_pci_hot_reset.argsz(argument, (int) argument.byteSize());
            vfio_pci_hot_reset.count(argument, groups.size());
            for (int i = 0; i < groups.size(); i++) {
                argument.set(ValueLayout.JAVA_INT, HEADER + (long) i * Integer.BYTES, groups.get(i));
            }
            return Verdict.check("VFIO_DEVICE_PCI_HOT_RESET of " + device,
                    device.handle().ioctl(vfio_h.VFIO_DEVICE_PCI_HOT_RESET(), argument),
                    Map.of(Errno.EINVAL,
                            "The reset reaches functions that were not named, that have another driver than vfio-pci,"
                                    + " or that were not opened through the same Iommufd: hotResetInfo() lists them",
                            Errno.ENODEV, "Neither the slot nor the bus of the function can be reset", Errno.ENOTTY,
                            "It is no PCI device; or it was reset, and the link to it has not come up again in time: see"
                                    + " dmesg, and open it anew",
                            Errno.EAGAIN, "Something else is just resetting one of them; try again", Errno.EBUSY,
                            "One of them is just being used; try again"));
        }
    }
}
