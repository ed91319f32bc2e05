package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The IOMMU groups of the machine, by number. */
public final class IommuGroups {

    /** For a group of its own, with the number the kernel would give it. */
    public static final int NEW = -1;

    private final KernelProfile profile;
    private final Map<Integer, IommuGroup> groups = new HashMap<>();

    /** No groups. */
    public IommuGroups(KernelProfile profile) {
        this.profile = profile;
    }

    /** The group with a number, null if it has no members. */
    public synchronized @Nullable IommuGroup get(int number) {
        return groups.get(number);
    }

    /** The group for a device that is to join it: an existing one, or a new one with this or the lowest free number. */
    public synchronized IommuGroup join(int number) {
        int free = number != NEW
                ? number
                : IntStream.iterate(0, i -> i + 1).filter(i -> !groups.containsKey(i)).findFirst().getAsInt();
        return groups.computeIfAbsent(free, created -> new IommuGroup(profile, created));
    }

    /** A device leaves; without members the group's number is free again. */
    synchronized void leave(IommuGroup group, GroupMember member) {
        group.members().remove(member);
        if (group.members().isEmpty()) {
            groups.remove(group.number());
            group.membersGone();
        }
    }
}
