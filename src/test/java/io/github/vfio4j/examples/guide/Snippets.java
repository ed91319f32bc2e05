package io.github.vfio4j.examples.guide;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.migration.MigrationDriver;
import io.github.vfio4j.migration.MigrationListener;
import io.github.vfio4j.migration.MigrationOptions;
import io.github.vfio4j.migration.SaveSummary;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.channels.ByteChannel;
import java.util.List;

/** What the API's documentation shows of programs. */
final class Snippets {

    private Snippets() {
    }

    static Vfio emulated() {
        // @start region="kernel"
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction("0000:01:00.0", function -> function.sriov(2).memoryBar(0, 16384)).build();
        Vfio vfio = Vfio.using(kernel.newProcess());
        // @end
        return vfio;
    }

    static void real() throws VfioException {
        // @start region="vfio"
        Vfio vfio = Vfio.open();
        try (VfioContainer container = vfio.openContainer();
                VfioDevice device = container.openDevice(PciAddress.parse("0000:01:00.0"))) {
            device.probeAll().forEach(System.out::println);
        }
        // @end
    }

    static List<FeatureRequest> requests(Arena arena) {
        // @start region="request"
        FeatureRequest probe = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().set().allocate(arena);
        FeatureRequest size = FeatureRequest.of(FeatureId.MIG_DATA_SIZE).get().allocate(arena);
        // @end
        return List.of(probe, size);
    }

    static SaveSummary migrate(VfioDevice device, MigrationDriver destination, ByteChannel channel) throws IOException {
        // @start region="migration"
        MigrationDriver source = MigrationDriver.of(device).orElseThrow();
        MigrationOptions options = MigrationOptions.DEFAULT.withPrecopy(10, 64 << 10);
        SaveSummary saved = source.save(channel, options, MigrationListener.NONE);
        // at the destination
        destination.restore(channel);
        destination.start(); // or, if that has failed: source.start()
        // @end
        return saved;
    }
}
