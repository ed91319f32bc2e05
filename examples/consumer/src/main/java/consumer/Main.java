package consumer;

import io.github.vfio4j.EventFd;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureSupport;

/** Asks a device of an emulated kernel what it can do, and then the real kernel for something that needs no device. */
public final class Main {

    private Main() {
    }

    /**
     * The program.
     *
     * @param arguments
     *            none
     */
    public static void main(String[] arguments) throws VfioException {
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction("0000:01:00.0", function -> function.sriov(1).memoryBar(0, 4096)).build();
        try (VfioContainer container = Vfio.using(kernel.newProcess()).openContainer();
                VfioDevice device = container.openDevice(PciAddress.parse("0000:01:00.0"))) {
            long features = device.probeAll().stream().filter(FeatureSupport.Supported.class::isInstance).count();
            System.out.println(kernel + ": " + features + " features");
        }
        try (EventFd eventFd = Vfio.open().openEventFd()) {
            eventFd.signal();
            System.out.println("this kernel: an eventfd has counted to " + eventFd.read());
        } catch (UnsupportedOperationException e) {
            System.out.println(e.getMessage());
            System.exit(1);
        }
    }
}
