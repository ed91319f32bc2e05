package io.github.vfio4j.examples.guide;

import static java.nio.file.StandardOpenOption.CREATE_NEW;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.feature.MigrationFeature;
import io.github.vfio4j.migration.MigrationDriver;
import io.github.vfio4j.migration.MigrationException;
import io.github.vfio4j.migration.MigrationListener;
import io.github.vfio4j.migration.MigrationOptions;
import io.github.vfio4j.migration.SaveSummary;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/** The program of docs/migration.md: a device's state goes through a file to another device. */
public final class SaveAndRestore {

    private SaveAndRestore() {
    }

    public static void run(VfioDevice from, VfioDevice to, Path file, PrintStream out) throws IOException {
        // @start region="save"
        MigrationDriver source = MigrationDriver.of(from)
                .orElseThrow(() -> new IOException(from + " does not migrate"));
        try (FileChannel channel = FileChannel.open(file, CREATE_NEW, WRITE)) {
            MigrationOptions options = MigrationOptions.DEFAULT.withPrecopy(10, 64 << 10);
            SaveSummary saved = source.save(channel, options, MigrationListener.NONE);
            out.println("saved " + saved.bytes() + " bytes, the source is in " + source.feature().state());
        }
        // @end

        // @start region="restore"
        MigrationDriver destination = MigrationDriver.of(to).orElseThrow();
        try (FileChannel channel = FileChannel.open(file, READ)) {
            long restored = destination.restore(channel);
            destination.start(); // or, if that has failed: source.start()
            out.println("restored " + restored + " bytes, the destination is in " + destination.feature().state());
        }
        // @end
    }

    /** What a failure leaves behind. */
    public static void saveWithFailure(VfioDevice device, Path file, PrintStream out) throws IOException {
        // @start region="failure"
        MigrationDriver driver = MigrationDriver.of(device).orElseThrow();
        try (FileChannel channel = FileChannel.open(file, CREATE_NEW, WRITE)) {
            driver.save(channel);
        } catch (MigrationException e) {
            out.println(e.getMessage());
            switch (e.outcome()) {
                case ROLLED_BACK -> out.println("nothing is lost, the device is in " + e.state().orElseThrow());
                case RESET -> out.println("the device runs, and has forgotten everything");
                case NEEDS_RESET, NOT_RECOVERED -> device.reset();
            }
        }
        // @end
    }

    /** The device feature underneath. */
    public static void ask(VfioDevice device, PrintStream out) throws IOException {
        // @start region="feature"
        MigrationFeature migration = device.migration().orElseThrow();
        out.println(migration.states() + ", now in " + migration.state());
        // @end
    }
}
