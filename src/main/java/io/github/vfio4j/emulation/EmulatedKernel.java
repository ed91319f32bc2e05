package io.github.vfio4j.emulation;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.cdx.CdxDriver;
import io.github.vfio4j.emulation.device.BusController;
import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.iommu.IommuHardware;
import io.github.vfio4j.emulation.mdev.MdevDriver;
import io.github.vfio4j.emulation.mdev.ModelMdevDriver;
import io.github.vfio4j.emulation.vfio.Driver;
import io.github.vfio4j.emulation.vfio.IommuGroups;
import io.github.vfio4j.emulation.vfio.LoneDevice;
import io.github.vfio4j.emulation.vfio.PciBus;
import io.github.vfio4j.emulation.vfio.PciFunction;
import io.github.vfio4j.emulation.vfio.VfioDevices;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A Linux kernel with VFIO, emulated in this JVM: answers each call as the real one of its {@link KernelProfile} does,
 * down to the errno, the order of the checks and the bytes written. Pure Java; needs neither Linux nor native access.
 *
 * <p>
 * A kernel is a machine with devices: PCI functions, mediated devices, devices on the CDX bus. Programs talk to it
 * through {@linkplain #newProcess processes}, each with descriptors of its own. Any number of kernels can exist side by
 * side. Safe for use by many threads.
 *
 * {@snippet file="io/github/vfio4j/examples/guide/Snippets.java" region="kernel"}
 *
 * <p>
 * What is not modelled is said by {@link NotModelledException}, never answered with a guess.
 */
public final class EmulatedKernel {

    private final KernelProfile profile;
    private final PciBus bus;
    private final FileTree files;
    private final List<EmulatedProcess> processes = new CopyOnWriteArrayList<>();
    private final int descriptorLimit;
    private final long lockedMemoryLimit;
    private final AtomicLong manualNanos = new AtomicLong();
    private final boolean manualClock;
    private final LongSupplier clock;

    private EmulatedKernel(Builder builder) {
        profile = builder.profile;
        descriptorLimit = builder.descriptorLimit;
        lockedMemoryLimit = builder.lockedMemoryLimit;
        manualClock = builder.clock == null;
        IommuGroups groups = new IommuGroups(profile);
        VfioDevices devices = new VfioDevices();
        clock = builder.clock == null ? manualNanos::get : builder.clock;
        bus = new PciBus(profile, groups, devices, clock);
        builder.functions.forEach(this::add);
        Map<String, LoneDevice> others = new LinkedHashMap<>();
        builder.mdevs.forEach((uuid, mdev) -> others.put(FileTree.MDEVS + uuid,
                LoneDevice.create(mdev.driver().get(), groups.join(mdev.group()), true, devices)));
        builder.cdxDevices.forEach((name, controller) -> others.put(FileTree.CDX_DEVICES + name, LoneDevice
                .create(new CdxDriver(profile, name, controller.get()), groups.join(IommuGroups.NEW), false, devices)));
        files = new FileTree(profile, IommuHardware.intel(builder.iommuAddressBits), bus, groups, devices,
                Map.copyOf(others));
    }

    private void add(PciAddress address, PciFunctionSpec spec) {
        PciFunction function = bus.add(address, spec.group(), spec.binding(), null, spec.sriov(), spec.traits());
        function.createVirtualFunctions(spec.numVfs(), spec.vfBinding());
    }

    /**
     * Starts a kernel.
     *
     * @param profile
     *            which one
     * @return a builder of a machine without devices
     */
    public static Builder builder(KernelProfile profile) {
        return new Builder(profile);
    }

    /**
     * Which kernel this is.
     *
     * @return its profile
     */
    public KernelProfile profile() {
        return profile;
    }

    /**
     * The PCI functions that exist now, virtual ones included.
     *
     * @return their addresses in order
     */
    public List<PciAddress> pciFunctions() {
        return bus.addresses();
    }

    /**
     * The device's side of a PCI function on vfio-pci, or a variant driver of it: for a test that plays the device.
     *
     * @param address
     *            a function that exists now
     * @return the machine as the function sees it
     * @throws IllegalArgumentException
     *             if there is no function at that address, or no VFIO driver has it
     */
    public DeviceHost device(PciAddress address) {
        PciFunction function = bus.function(address);
        DeviceHost host = function == null ? null : function.host();
        if (host == null) {
            throw new IllegalArgumentException("There is no function at " + address + " with a VFIO driver");
        }
        return host;
    }

    /**
     * Starts a process that runs as root: the backend through which a program uses this kernel.
     *
     * @return a process with the three standard descriptors open
     */
    public EmulatedProcess newProcess() {
        return start(true);
    }

    /**
     * Starts a process without privileges: groups and the writing of sysfs files are closed to it ({@code EACCES}).
     *
     * @return a process with the three standard descriptors open
     */
    public EmulatedProcess newUnprivilegedProcess() {
        return start(false);
    }

    private EmulatedProcess start(boolean root) {
        EmulatedProcess process = new EmulatedProcess(this, files, descriptorLimit, lockedMemoryLimit, root);
        processes.add(process);
        return process;
    }

    void forget(EmulatedProcess process) {
        processes.remove(process);
    }

    /**
     * The processes that have been started and not {@linkplain EmulatedProcess#close ended}. For tests that look for
     * leaks.
     *
     * @return them, the oldest first
     */
    public List<EmulatedProcess> processes() {
        return List.copyOf(processes);
    }

    /**
     * Lets time pass for the devices. The kernel's clock stands still otherwise, so that what depends on it (the
     * suspending of a device that has entered low power and is left alone for 100 µs) happens when a test wants it.
     *
     * @param time
     *            how much
     * @throws IllegalStateException
     *             if the kernel was built with a clock of its own
     */
    public void advance(Duration time) {
        if (!manualClock) {
            throw new IllegalStateException("This kernel runs on the clock it was built with; advance that one");
        }
        manualNanos.addAndGet(time.toNanos());
    }

    /**
     * The clock of the devices.
     *
     * @return nanoseconds from any start
     */
    public long nanoTime() {
        return clock.getAsLong();
    }

    /** The kernel in words, for example {@code emulated Linux 7.2}. */
    @Override
    public String toString() {
        return "emulated " + profile;
    }

    /** Describes the machine. */
    public static final class Builder {

        private final KernelProfile profile;
        private final Map<PciAddress, PciFunctionSpec> functions = new LinkedHashMap<>();
        private final Map<UUID, Mdev> mdevs = new LinkedHashMap<>();
        private final Map<String, Supplier<? extends BusController>> cdxDevices = new LinkedHashMap<>();
        private int descriptorLimit = 1024;
        private long lockedMemoryLimit = 8L << 20;
        private int iommuAddressBits = 39;
        private @Nullable LongSupplier clock;

        /** A mediated device to be, and the number of its group. */
        private record Mdev(Supplier<Driver> driver, int group) {
        }

        private Builder(KernelProfile profile) {
            this.profile = profile;
        }

        /**
         * Adds a PCI function.
         *
         * @param address
         *            where, for example {@code 0000:01:00.0}
         * @param spec
         *            fills in what it is like
         * @return this builder
         * @throws IllegalArgumentException
         *             if there is one at that address already
         */
        public Builder pciFunction(String address, Consumer<PciFunctionSpec> spec) {
            PciFunctionSpec function = new PciFunctionSpec();
            spec.accept(function);
            if (functions.putIfAbsent(PciAddress.parse(address), function) != null) {
                throw new IllegalArgumentException("There are two functions at " + address + "; give each its own");
            }
            return this;
        }

        /**
         * Adds the kernel's sample serial card, mtty: a mediated device that needs no hardware, and from 6.12 on one that
         * can migrate and log DMA writes.
         *
         * @param uuid
         *            its name
         * @param ports
         *            1 or 2
         * @return this builder
         * @throws IllegalArgumentException
         *             if it has another number of ports, or there is a mediated device of that name already
         */
        public Builder mtty(UUID uuid, int ports) {
            return mtty(uuid, ports, IommuGroups.NEW);
        }

        /**
         * As {@link #mtty(UUID, int)}, in an IOMMU group that is called by a number.
         *
         * @param uuid
         *            its name
         * @param ports
         *            1 or 2
         * @param group
         *            the group's number, which no other device has
         * @return this builder
         * @throws IllegalArgumentException
         *             if it has another number of ports, or there is a mediated device of that name already
         */
        public Builder mtty(UUID uuid, int ports, int group) {
            if (ports < 1 || ports > 2) {
                throw new IllegalArgumentException("mtty has 1 port or 2, not " + ports);
            }
            return mdev(uuid, () -> MdevDriver.mtty(profile, uuid.toString(), ports), group);
        }

        /**
         * Adds the kernel's sample display, mdpy: a mediated device that can do next to nothing.
         *
         * @param uuid
         *            its name
         * @return this builder
         * @throws IllegalArgumentException
         *             if there is a mediated device of that name already
         */
        public Builder mdpy(UUID uuid) {
            return mdpy(uuid, IommuGroups.NEW);
        }

        /**
         * As {@link #mdpy(UUID)}, in an IOMMU group that is called by a number.
         *
         * @param uuid
         *            its name
         * @param group
         *            the group's number, which no other device has
         * @return this builder
         * @throws IllegalArgumentException
         *             if there is a mediated device of that name already
         */
        public Builder mdpy(UUID uuid, int group) {
            return mdev(uuid, () -> MdevDriver.mdpy(profile, uuid.toString()), group);
        }

        /**
         * Adds a mediated device of your own. Its driver has migration, DMA logging and further features as the model has
         * them, and VFIO_DEVICE_RESET; other device requests are {@code ENOTTY}. On Linux 5.7 it has no features at all.
         *
         * @param uuid
         *            its name
         * @param model
         *            makes the device, once for each kernel
         * @return this builder
         * @throws IllegalArgumentException
         *             if there is a mediated device of that name already
         */
        public Builder mediatedDevice(UUID uuid, Supplier<? extends DeviceModel> model) {
            return mdev(uuid, () -> new ModelMdevDriver(profile, uuid.toString(), model.get()), IommuGroups.NEW);
        }

        /**
         * Adds a device on the CDX bus, bound to vfio-cdx, in an IOMMU group of its own. It has feature 10, BUS_MASTER, from
         * Linux 6.12 on.
         *
         * @param name
         *            for example {@code cdx-00:00}
         * @param controller
         *            makes the bus controller that the device is behind, once for each kernel
         * @return this builder
         * @throws IllegalArgumentException
         *             if there is a device of that name already, or the kernel is one with IOMMUFD, on which vfio-cdx
         *             registers no devices
         */
        public Builder cdxDevice(String name, Supplier<? extends BusController> controller) {
            if (profile.hasIommufd()) {
                throw new IllegalArgumentException(
                        "vfio-cdx registers no devices on a kernel with IOMMUFD; use a profile without");
            }
            if (cdxDevices.putIfAbsent(name, controller) != null) {
                throw new IllegalArgumentException("There are two devices " + name + " on the CDX bus; name each anew");
            }
            return this;
        }

        private Builder mdev(UUID uuid, Supplier<Driver> driver, int group) {
            if (mdevs.putIfAbsent(uuid, new Mdev(driver, group)) != null) {
                throw new IllegalArgumentException("There are two mediated devices " + uuid + "; name each anew");
            }
            return this;
        }

        /**
         * How many descriptors a process can have open (RLIMIT_NOFILE), the three standard ones included.
         *
         * @param limit
         *            1024 unless set
         * @return this builder
         */
        public Builder descriptorLimit(int limit) {
            descriptorLimit = limit;
            return this;
        }

        /**
         * How much memory a process can lock (RLIMIT_MEMLOCK), and so map for devices, unless it has CAP_IPC_LOCK, which a
         * process of root {@linkplain EmulatedProcess#withoutIpcLock has at first}.
         *
         * @param bytes
         *            8 MiB unless set
         * @return this builder
         */
        public Builder lockedMemoryLimit(long bytes) {
            lockedMemoryLimit = bytes;
            return this;
        }

        /**
         * How many bits the DMA addresses have that the machine's IOMMU, one of Intel's, can translate.
         *
         * @param bits
         *            33 to 57; 39 unless set
         * @return this builder
         * @throws IllegalArgumentException
         *             if it is another number
         */
        public Builder iommuAddressBits(int bits) {
            if (bits < 33 || bits > 57) {
                throw new IllegalArgumentException("An IOMMU translates addresses of 33 to 57 bits, not " + bits);
            }
            iommuAddressBits = bits;
            return this;
        }

        /**
         * A clock for the devices, in place of one that {@link EmulatedKernel#advance} moves by hand.
         *
         * @param nanoTime
         *            nanoseconds from any start, for example {@code System::nanoTime}
         * @return this builder
         */
        public Builder clock(LongSupplier nanoTime) {
            clock = nanoTime;
            return this;
        }

        /**
         * Boots it.
         *
         * @return the kernel
         * @throws IllegalArgumentException
         *             if what was said of a PCI function does not go together, for example more virtual functions than it
         *             can have
         */
        public EmulatedKernel build() {
            functions.forEach((address, function) -> function.check(address));
            return new EmulatedKernel(this);
        }
    }
}
