package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommu.DmaOwnership;
import io.github.vfio4j.emulation.iommufd.IommufdFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * An IOMMU group and its file, /dev/vfio/N (semantics §E.2, §D.5). Lock order: group, then device; the container is the
 * last one, which a device takes for its DMA and under which nothing else is called.
 */
public final class IommuGroup {

    private static final int STATUS_SIZE = 8;
    private static final int VIABLE = 1;
    private static final int CONTAINER_SET = 2;

    /** The longest device string, its terminating zero included (one page). */
    private static final int MAX_NAME = 4096;

    private final KernelProfile profile;
    private final int number;
    private final List<GroupMember> members = new CopyOnWriteArrayList<>();
    private final DmaOwnership dmaOwnership = new DmaOwnership(this::isUsedByHost);
    /** Guarded by this object, and read by the DMA of its devices without. */
    private volatile @Nullable Container container;
    private @Nullable IommufdFile iommufd;
    private volatile boolean emulated;
    private boolean groupFileOpen;
    private int openDeviceFiles;
    private int cdevUsers;
    private boolean gone;

    /** A group without members. */
    public IommuGroup(KernelProfile profile, int number) {
        this.profile = profile;
        this.number = number;
    }

    /** The number in /dev/vfio/N. */
    public int number() {
        return number;
    }

    /** A device joins. */
    public void add(GroupMember member) {
        members.add(member);
        if (member.isEmulated()) {
            emulated = true;
        }
    }

    /** Whether there is no IOMMU in front of it. */
    boolean isEmulated() {
        return emulated;
    }

    /** The devices in this group. */
    List<GroupMember> members() {
        return members;
    }

    /** Whether the group has a file: a VFIO driver is bound to one of its devices. */
    public boolean hasFile() {
        return members.stream().anyMatch(member -> member.vfioDevice() != null);
    }

    /** The container it is in; null if it is in none. */
    @Nullable
    Container container() {
        return container;
    }

    /** Who may let its devices do DMA. */
    DmaOwnership dmaOwnership() {
        return dmaOwnership;
    }

    private boolean isUsedByHost() {
        return members.stream().anyMatch(GroupMember::isOwnedByHost);
    }

    /** The last function has been removed: whoever has the file open is left with an empty shell. */
    void membersGone() {
        if (profile.goneGroups()) {
            synchronized (this) {
                gone = true;
                leaveContainer();
            }
        }
    }

    /** One more device of the group is used through its own file, unless somebody has the group's: then false. */
    synchronized boolean addCdevUser() {
        if (isInUse()) {
            return false;
        }
        cdevUsers++;
        return true;
    }

    /** Whether a device of the group is used through its own file. */
    synchronized boolean hasCdevUsers() {
        return cdevUsers > 0;
    }

    /** The group whose file that is; null for another file. */
    static @Nullable IommuGroup ofFile(OpenFile file) {
        return file instanceof GroupFile groupFile ? groupFile.group() : null;
    }

    /** The opposite of {@link #addCdevUser}. */
    synchronized void removeCdevUser() {
        cdevUsers--;
    }

    /**
     * open(2): one at a time, and none while a device is used through its own file. In a container, an open device keeps
     * the group in use when its own descriptor is closed.
     *
     * @param fd
     *            the descriptor reserved for it
     */
    public int open(FdTable descriptors, int fd, boolean readable, boolean writable) {
        synchronized (this) {
            // Its last device has left since the path was looked up.
            if (members.isEmpty()) {
                return -Errno.ENODEV.code();
            }
            if (cdevUsers > 0 || isInUse()) {
                return -Errno.EBUSY.code();
            }
            groupFileOpen = true;
        }
        return descriptors.install(fd, new GroupFile(readable, writable));
    }

    private boolean isInUse() {
        return groupFileOpen || openDeviceFiles > 0;
    }

    private synchronized void closeGroupFile() {
        groupFileOpen = false;
        leaveContainerIfUnused();
    }

    private synchronized void closeDeviceFile() {
        openDeviceFiles--;
        leaveContainerIfUnused();
    }

    private void leaveContainerIfUnused() {
        if (!isInUse()) {
            leaveContainer();
            leaveIommufd();
        }
    }

    private void leaveContainer() {
        Container left = container;
        if (left != null) {
            left.detachGroup(this);
            container = null;
            if (profile.dmaOwnership()) {
                dmaOwnership.release();
            }
        }
    }

    /** What is bound stays bound. */
    private void leaveIommufd() {
        if (iommufd != null) {
            iommufd.release();
            iommufd = null;
        }
    }

    /** Whether the group is in a container, or uses an iommufd in place of one. */
    private boolean hasIommu() {
        return container != null || iommufd != null;
    }

    private int getStatus(MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, STATUS_SIZE)) {
            return -Errno.EFAULT.code();
        }
        if (Integer.compareUnsigned(UserMemory.getInt(argument, 0), STATUS_SIZE) < 0) {
            return -Errno.EINVAL.code();
        }
        int flags;
        synchronized (this) {
            if (gone) {
                return -Errno.ENODEV.code();
            }
            flags = hasIommu() ? CONTAINER_SET : 0;
            // A group that is claimed for this file is viable by being claimed.
            boolean claimed = profile.dmaOwnership() ? !hasIommu() && dmaOwnership.isClaimed() : isUsedByHost();
            flags |= claimed ? 0 : VIABLE;
        }
        UserMemory.putInt(argument, 4, flags);
        return 0;
    }

    private int setContainer(CallContext call, MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, Integer.BYTES)) {
            return -Errno.EFAULT.code();
        }
        int fd = UserMemory.getInt(argument, 0);
        if (fd < 0) {
            return -profile.negativeContainerFd().code();
        }
        // Taken and given back outside the lock: giving it back may be the end of another group's device.
        OpenFile file = call.descriptors().acquire(fd);
        try {
            return attach(file);
        } finally {
            if (file != null) {
                file.release();
            }
        }
    }

    private synchronized int attach(@Nullable OpenFile file) {
        if (file == null && !(profile.attachedGroupFirst() && container != null)) {
            return -Errno.EBADF.code();
        }
        if (hasIommu()) {
            return -Errno.EINVAL.code();
        }
        if (gone) {
            return -Errno.ENODEV.code();
        }
        return switch (file) {
            case Container.ContainerFile containerFile -> attach(containerFile.container());
            case IommufdFile iommufdFile -> attach(iommufdFile);
            case null, default -> -profile.notAContainer().code();
        };
    }

    private int attach(Container joined) {
        if (profile.dmaOwnership() && dmaOwnership.isClaimed()) {
            return -Errno.EPERM.code();
        }
        joined.attachGroup(this);
        container = joined;
        if (profile.dmaOwnership()) {
            dmaOwnership.claim(joined);
        }
        return 0;
    }

    /** Its devices are bound, and so claimed, when they are opened. */
    private int attach(IommufdFile used) {
        if (!used.tryAcquire()) {
            throw new IllegalStateException("the caller has it open");
        }
        used.iommufd().ensureCompatIoas();
        iommufd = used;
        return 0;
    }

    private synchronized int unsetContainer() {
        if (!hasIommu()) {
            return -Errno.EINVAL.code();
        }
        if (container != null && openDeviceFiles > 0) {
            return -Errno.EBUSY.code();
        }
        leaveContainer();
        leaveIommufd();
        return 0;
    }

    private int getDeviceFd(CallContext call, MemorySegment argument) {
        // strndup_user: bytes up to the zero; the first unmapped one ends it.
        long zero = 0;
        while (zero < Math.min(argument.byteSize(), MAX_NAME) && argument.get(ValueLayout.JAVA_BYTE, zero) != 0) {
            zero++;
        }
        if (zero == MAX_NAME) {
            return -Errno.EINVAL.code();
        }
        if (zero == argument.byteSize()) {
            return -Errno.EFAULT.code();
        }
        byte[] text = argument.asSlice(0, zero).toArray(ValueLayout.JAVA_BYTE);
        synchronized (this) {
            return new DeviceOpening(call.descriptors(), new DeviceName(text)).run();
        }
    }

    /** VFIO_GROUP_GET_DEVICE_FD under way: the steps are the same in all kernels, their order is the profile's. */
    private final class DeviceOpening {

        private final FdTable descriptors;
        private final DeviceName name;
        private @Nullable CoreDevice device;
        private @Nullable OpenFile file;
        private int fd = -1;

        DeviceOpening(FdTable descriptors, DeviceName name) {
            this.descriptors = descriptors;
            this.name = name;
        }

        int run() {
            int error = -Errno.ENODEV.code();
            try {
                error = prepare();
            } finally {
                if (error < 0) {
                    undo();
                }
            }
            return error < 0 ? error : descriptors.install(fd, Objects.requireNonNull(file));
        }

        private int prepare() {
            for (KernelProfile.OpenStep step : profile.deviceOpenOrder()) {
                int error = switch (step) {
                    case MATCH_NAME_AND_TOKEN -> matchNameAndToken();
                    case RESERVE_DESCRIPTOR -> reserveDescriptor();
                    case CHECK_CONTAINER -> checkContainer();
                    case OPEN_DEVICE -> openDevice();
                };
                if (error < 0) {
                    return error;
                }
            }
            return 0;
        }

        private void undo() {
            if (fd >= 0) {
                descriptors.unreserve(fd);
            }
            if (file != null) {
                file.release();
            }
        }

        private int matchNameAndToken() {
            for (GroupMember member : members) {
                CoreDevice candidate = member.vfioDevice();
                int match = candidate == null ? DeviceName.NO_MATCH : candidate.driver().match(name);
                if (match != DeviceName.NO_MATCH) {
                    device = candidate;
                    return Math.min(match, 0);
                }
            }
            return -Errno.ENODEV.code();
        }

        private int reserveDescriptor() {
            fd = descriptors.reserve();
            return Math.min(fd, 0);
        }

        private int checkContainer() {
            boolean ready = iommufd != null
                    || (container != null && container.isIommuSet() && (profile.dmaOwnership() || !isUsedByHost()));
            return ready ? 0 : -Errno.EINVAL.code();
        }

        private int openDevice() {
            CoreDevice opened = Objects.requireNonNull(device);
            if (iommufd != null) {
                return openDevice(opened, iommufd);
            }
            if (opened.isBound()) {
                throw new KernelHazardException(
                        "opens " + opened.driver().name() + " through a container while it is bound to an"
                                + " iommufd; its last close would then leave the container once too often");
            }
            int error = opened.open(null);
            if (error == 0) {
                openDeviceFiles++;
                file = new GroupDeviceFile(opened, IommuGroup.this::closeDeviceFile);
            }
            return error;
        }

        /** The first opening attaches the device; none keeps the group in use. */
        private int openDevice(CoreDevice opened, IommufdFile by) {
            synchronized (opened) {
                boolean first = !opened.isOpen();
                int error = opened.open(by);
                if (error == 0) {
                    file = new GroupDeviceFile(opened, () -> {
                    });
                    error = first ? attachToCompatIoas(opened, by) : 0;
                }
                return error;
            }
        }

        private static int attachToCompatIoas(CoreDevice opened, IommufdFile by) {
            int ioas = by.iommufd().compatIoas();
            return Math.min(ioas < 0 ? ioas : opened.attach(ioas), 0);
        }
    }

    private final class GroupFile extends OpenFile {

        private IommuGroup group() {
            return IommuGroup.this;
        }

        GroupFile(boolean readable, boolean writable) {
            super(readable, writable);
        }

        @Override
        public String toString() {
            return "/dev/vfio/" + number();
        }

        @Override
        public int ioctl(CallContext call, int request, MemorySegment argument) {
            return switch (request) {
                case Requests.GROUP_GET_STATUS -> getStatus(argument);
                case Requests.GROUP_SET_CONTAINER -> setContainer(call, argument);
                case Requests.GROUP_UNSET_CONTAINER -> unsetContainer();
                case Requests.GROUP_GET_DEVICE_FD -> getDeviceFd(call, argument);
                default -> -Errno.ENOTTY.code();
            };
        }

        @Override
        protected void onLastRelease() {
            closeGroupFile();
        }
    }
}
