package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.feature.Bar;
import io.github.vfio4j.emulation.feature.LowPower;
import io.github.vfio4j.emulation.feature.ModelledDevice;
import io.github.vfio4j.emulation.feature.PfToken;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.Mapping;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** vfio-pci on one PCI function: what it keeps between probe and removal. */
final class VfioPciDriver implements Driver {

    private final KernelProfile profile;
    private final PciFunction function;
    private final @Nullable PfToken token;
    private final LowPower lowPower;
    private final PciIrqs irqs;
    private final PciRegions regions;
    private final PciInformation information;
    private final @Nullable ModelledDevice model;
    private final PciHotReset hotReset;
    private final DeviceHost host;
    private volatile @Nullable VirtualConfig config;

    /**
     * A function that was just bound.
     *
     * @param model
     *            what a variant driver drives; null for vfio-pci itself
     */
    VfioPciDriver(KernelProfile profile, PciFunction function, LongSupplier clock, @Nullable DeviceModel model) {
        this.profile = profile;
        this.function = function;
        token = function.isSriovCapable() ? new PfToken() : null;
        lowPower = new LowPower(clock, () -> !function.hasVirtualFunctions());
        irqs = new PciIrqs(profile, function.hardware());
        this.model = model == null ? null : new ModelledDevice(profile, model);
        regions = new PciRegions(profile, function.hardware(), this.model, this::config, this::wake);
        information = new PciInformation(profile, function.traits(), regions, irqs);
        hotReset = new PciHotReset(profile, function);
        host = new PciHost(function, this.model, irqs);
    }

    @Override
    public String name() {
        return function.address().toString();
    }

    @Override
    public int match(DeviceName text) {
        int match = text.match(name());
        if (match != DeviceName.MATCH) {
            return match;
        }
        int error = matchToken(text.token());
        return error != 0 ? error : DeviceName.MATCH;
    }

    @Override
    public boolean hasTokenRule() {
        return true;
    }

    /** At every opening, and not only the first. */
    @Override
    public int matchToken(byte @Nullable [] given) {
        PfToken ofPhysicalFunction = tokenOfPhysicalFunction();
        if (ofPhysicalFunction != null) {
            return ofPhysicalFunction.openVirtualFunction(given);
        }
        if (token != null) {
            return token.openPhysicalFunction(given);
        }
        return given == null ? 0 : -Errno.EINVAL.code();
    }

    /** The token of a virtual function's owner, if that is bound to vfio-pci. */
    private @Nullable PfToken tokenOfPhysicalFunction() {
        PciFunction physicalFunction = function.physicalFunction();
        VfioPciDriver owner = physicalFunction == null ? null : physicalFunction.vfioPci();
        return owner == null ? null : owner.token;
    }

    @Override
    public int open() {
        function.hardware().enable();
        irqs.open();
        config = new VirtualConfig(profile, function.hardware(), function.vendor(), function.device(),
                new ConfigEffects());
        int error = model == null ? 0 : model.open(host);
        if (error != 0) {
            return error;
        }
        PfToken ofPhysicalFunction = tokenOfPhysicalFunction();
        if (ofPhysicalFunction != null) {
            ofPhysicalFunction.addUser();
        }
        return 0;
    }

    @Override
    public void close() {
        if (model != null) {
            model.close();
        }
        irqs.close();
        lowPower.exit();
        PfToken ofPhysicalFunction = tokenOfPhysicalFunction();
        if (ofPhysicalFunction != null) {
            ofPhysicalFunction.removeUser();
        }
    }

    @Override
    public void wake() {
        lowPower.access();
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        return switch (request) {
            case Requests.DEVICE_GET_INFO -> information.device(argument);
            case Requests.DEVICE_GET_REGION_INFO -> information.region(argument);
            case Requests.DEVICE_GET_IRQ_INFO -> information.irq(argument);
            case Requests.DEVICE_SET_IRQS ->
                IrqSet.check(argument, irqs::count, set -> irqs.set(call.descriptors(), set));
            case Requests.DEVICE_RESET -> reset();
            case Requests.DEVICE_GET_PCI_HOT_RESET_INFO -> hotReset.information(argument);
            case Requests.DEVICE_PCI_HOT_RESET -> hotReset.reset(call.descriptors(), argument);
            case Requests.DEVICE_IOEVENTFD -> throw new NotModelledException(
                    "the device request 0x" + Integer.toHexString(request) + " (writes by eventfd)");
            default -> -Errno.ENOTTY.code();
        };
    }

    private int reset() {
        if (!function.traits().resettable()) {
            return -Errno.EINVAL.code();
        }
        int error = model == null ? 0 : model.reset();
        if (error == 0) {
            function.hardware().reset();
        }
        return error;
    }

    /** The bus is reset. A device that fails to follow can't keep the others from it. */
    void resetWithBus() {
        if (model != null) {
            model.reset();
        }
        function.hardware().resetWithBus();
    }

    private VirtualConfig config() {
        return Objects.requireNonNull(config, "whoever reads a device has opened it");
    }

    /** The device's side of the machine. */
    DeviceHost host() {
        return host;
    }

    @Override
    public long read(MemorySegment buffer, long offset) {
        return regions.access(buffer, offset, false);
    }

    @Override
    public long write(MemorySegment buffer, long offset) {
        return regions.access(buffer, offset, true);
    }

    @Override
    public MemorySegment mmap(Arena arena, Mapping mapping) {
        return regions.map(arena, mapping);
    }

    /** What a write to configuration space does beyond it. */
    private final class ConfigEffects implements VirtualConfig.Effects {

        @Override
        public void intxDisabled(boolean disabled) {
            irqs.disableIntx(disabled);
        }

        @Override
        public void reset() {
            VfioPciDriver.this.reset();
        }

        @Override
        public boolean isMsi() {
            return irqs.isMsi();
        }

        @Override
        public int msiVectorsLog() {
            return irqs.msiVectorsLog();
        }
    }

    @Override
    public KernelProfile profile() {
        return profile;
    }

    @Override
    public Set<Integer> driverFeatures() {
        return profile.pciFeatures();
    }

    @Override
    public @Nullable PfToken pfToken() {
        return token;
    }

    @Override
    public LowPower lowPower() {
        return lowPower;
    }

    @Override
    public @Nullable ModelledDevice model() {
        return model;
    }

    /** Of the drivers with vfio-pci's core, vfio-pci itself does that. */
    @Override
    public @Nullable List<Bar> exportedBars() {
        return model == null ? function.traits().bars() : null;
    }
}
