package io.github.vfio4j.examples.guide;

import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import java.io.PrintStream;
import java.lang.foreign.Arena;

/** The program of docs/first-request.md: what a device can do, and one request. */
public final class FirstRequest {

    private FirstRequest() {
    }

    public static void main(String[] arguments) throws VfioException {
        run(Vfio.open(), PciAddress.parse(arguments[0]), System.out);
    }

    public static void run(Vfio vfio, PciAddress address, PrintStream out) throws VfioException {
        try (Iommu iommu = vfio.openIommu();
                VfioDevice device = iommu.openDevice(address);
                Arena arena = Arena.ofConfined()) {
            for (FeatureSupport support : device.probeAll()) {
                if (support instanceof FeatureSupport.Supported supported) {
                    out.println(supported.feature() + ": " + supported.operations());
                }
            }

            FeatureRequest exit = FeatureRequest.of(FeatureId.LOW_POWER_EXIT).set().allocate(arena);
            device.execute(exit);
            out.println("done: " + exit);

            if (!device.supports(FeatureId.MIGRATION, FeatureOperation.GET)) {
                out.println("This device does not migrate");
            }
            FeatureRequest migration = FeatureRequest.of(FeatureId.MIGRATION).get().payloadSize(8).allocate(arena);
            try {
                device.execute(migration);
            } catch (VfioException e) {
                out.println(e.getMessage());
            }
        }
    }
}
