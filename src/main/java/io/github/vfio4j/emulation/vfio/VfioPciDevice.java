package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.feature.Bar;
import io.github.vfio4j.emulation.feature.FeatureDispatch;
import io.github.vfio4j.emulation.feature.FeatureHost;
import io.github.vfio4j.emulation.feature.LowPower;
import io.github.vfio4j.emulation.feature.PfToken;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** A PCI function bound to vfio-pci: what the driver keeps between probe and removal, and the file user space gets. */
final class VfioPciDevice implements FeatureHost {

    private final PciFunction function;
    private final @Nullable PfToken token;
    private final LowPower lowPower;
    private final FeatureDispatch features;
    private int openFiles;

    VfioPciDevice(KernelProfile profile, PciFunction function, LongSupplier clock) {
        this.function = function;
        token = function.isSriovCapable() ? new PfToken() : null;
        lowPower = new LowPower(clock, () -> !function.hasVirtualFunctions());
        features = new FeatureDispatch(profile, this);
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
    public List<Bar> bars() {
        return function.bars();
    }

    /** The token rule, at every opening and not only the first (semantics §D.4). */
    int checkToken(byte @Nullable [] given) {
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
        VfioPciDevice owner = physicalFunction == null ? null : physicalFunction.vfioDevice();
        return owner == null ? null : owner.token;
    }

    /** A new file for the device. */
    synchronized OpenFile open(Runnable onClose) {
        PfToken ofPhysicalFunction = tokenOfPhysicalFunction();
        if (openFiles++ == 0 && ofPhysicalFunction != null) {
            ofPhysicalFunction.addUser();
        }
        return new DeviceFile(onClose);
    }

    private synchronized void closeFile() {
        if (--openFiles == 0) {
            lowPower.exit();
            PfToken ofPhysicalFunction = tokenOfPhysicalFunction();
            if (ofPhysicalFunction != null) {
                ofPhysicalFunction.removeUser();
            }
        }
    }

    /** Whether user space has the device open. */
    synchronized boolean isOpen() {
        return openFiles > 0;
    }

    private final class DeviceFile extends OpenFile {

        private final Runnable onClose;

        DeviceFile(Runnable onClose) {
            super(true, true);
            this.onClose = onClose;
        }

        @Override
        public int ioctl(CallContext call, int request, MemorySegment argument) {
            lowPower.access();
            return switch (request) {
                case Requests.DEVICE_FEATURE -> features.ioctl(call, argument);
                case Requests.DEVICE_GET_INFO, Requests.DEVICE_GET_REGION_INFO, Requests.DEVICE_GET_IRQ_INFO,
                        Requests.DEVICE_SET_IRQS, Requests.DEVICE_RESET, Requests.DEVICE_GET_PCI_HOT_RESET_INFO,
                        Requests.DEVICE_PCI_HOT_RESET, Requests.DEVICE_IOEVENTFD ->
                    throw new NotModelledException("the device request 0x" + Integer.toHexString(request)
                            + " (device information, interrupts, reset)");
                default -> -Errno.ENOTTY.code();
            };
        }

        @Override
        protected long doPread(MemorySegment buffer, long offset) {
            throw regionAccess();
        }

        @Override
        protected long doPwrite(MemorySegment buffer, long offset) {
            throw regionAccess();
        }

        @Override
        protected long doRead(MemorySegment buffer) {
            throw regionAccess();
        }

        @Override
        protected long doWrite(MemorySegment buffer) {
            throw regionAccess();
        }

        private static NotModelledException regionAccess() {
            return new NotModelledException("the contents of device regions (configuration space, BARs)");
        }

        @Override
        protected void onLastRelease() {
            closeFile();
            onClose.run();
        }
    }
}
