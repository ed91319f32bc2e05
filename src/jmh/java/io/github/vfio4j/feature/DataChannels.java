package io.github.vfio4j.feature;

/** Migration channels on descriptors that no device has given out. */
public final class DataChannels {

    private DataChannels() {
    }

    /** One that a save is read from. */
    public static MigrationData saving(OwnedDescriptor descriptor) {
        return new MigrationData(descriptor, false);
    }

    /** One that a restore is written to. */
    public static MigrationData resuming(OwnedDescriptor descriptor) {
        return new MigrationData(descriptor, true);
    }
}
