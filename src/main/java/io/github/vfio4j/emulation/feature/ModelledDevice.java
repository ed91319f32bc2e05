package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.device.FeatureModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.device.RegionModel;
import io.github.vfio4j.feature.FeatureId;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A device that somebody else has modelled, as its driver sees it: called by one thread at a time. */
public final class ModelledDevice {

    private final DeviceModel model;
    private final @Nullable ModelMigration migration;
    private final @Nullable DmaLoggingModel dmaLogging;
    private final Map<FeatureId, FeatureModel> features;
    private final Map<Integer, RegionModel> regions;

    /**
     * A device that is not open.
     *
     * @throws IllegalArgumentException
     *             if the model has a feature that it would never be asked for
     */
    public ModelledDevice(KernelProfile profile, DeviceModel model) {
        this.model = model;
        synchronized (model) {
            MigrationModel ofMigration = model.migration();
            migration = ofMigration == null ? null : new ModelMigration(profile, ofMigration, model);
            dmaLogging = model.dmaLogging();
            features = Map.copyOf(model.features());
            regions = Map.copyOf(model.regions());
        }
        for (FeatureId feature : features.keySet()) {
            if (profile.coreFeatures().contains(feature.index())) {
                throw new IllegalArgumentException(
                        profile + " answers " + feature + " itself and asks no driver for it:"
                                + " a model's own features begin at 13, and migration and DMA logging have interfaces");
            }
        }
    }

    /** What calls to the model are made under. */
    public Object lock() {
        return model;
    }

    /** Null if the device can't migrate. */
    public @Nullable Migration migration() {
        return migration;
    }

    /** Null if the device can't log DMA writes. */
    public @Nullable DmaLoggingModel dmaLogging() {
        return dmaLogging;
    }

    /** The features that the driver has from the model. */
    public Map<FeatureId, FeatureModel> features() {
        return features;
    }

    /** The registers that the model answers for, by BAR. */
    public Map<Integer, RegionModel> regions() {
        return regions;
    }

    /** The first opening: 0, or −errno. */
    public int open() {
        return open(model::open);
    }

    /** The first opening of a PCI function: 0, or −errno. */
    public int open(DeviceHost host) {
        return open(() -> model.open(host));
    }

    private int open(ModelCall opening) {
        return ModelCall.run(model, () -> {
            opening.make();
            if (migration != null) {
                migration.reset();
            }
        });
    }

    /** The last closing. */
    public void close() {
        synchronized (model) {
            if (migration != null) {
                migration.close();
            }
            model.close();
        }
    }

    /** VFIO_DEVICE_RESET: 0, or −errno. */
    public int reset() {
        return ModelCall.run(model, () -> {
            model.reset();
            if (migration != null) {
                migration.reset();
            }
        });
    }
}
