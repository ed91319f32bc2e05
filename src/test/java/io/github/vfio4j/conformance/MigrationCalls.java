package io.github.vfio4j.conformance;

import static io.github.vfio4j.conformance.MigratingDevice.PRE_COPY;
import static io.github.vfio4j.conformance.MigratingDevice.PRE_COPY_P2P;
import static io.github.vfio4j.conformance.MigratingDevice.RESUMING;
import static io.github.vfio4j.conformance.MigratingDevice.RUNNING;
import static io.github.vfio4j.conformance.MigratingDevice.RUNNING_P2P;
import static io.github.vfio4j.conformance.MigratingDevice.STOP;
import static io.github.vfio4j.conformance.MigratingDevice.STOP_COPY;

import java.util.List;
import java.util.Random;
import java.util.function.Consumer;

/**
 * The calls that migrate a device, right and wrong, in right and wrong states. It expects nothing; two kernels are
 * compared by it.
 *
 * <p>
 * What it must not do: close an mtty in RESUMING, open it again and ask for a state without a reset. The kernel does not
 * survive that.
 */
final class MigrationCalls {

    private static final int HEADER_SIZE = 24;
    private static final int WALK_STEPS = 600;

    private final MediatedDevice device;
    private final MigratingDevice migration;
    /** What a device that nobody has used saves. */
    private final byte[] stream;

    private MigrationCalls(MediatedDevice device) {
        this.device = device;
        migration = new MigratingDevice(device);
        int fd = migration.resetAndSet(STOP_COPY);
        stream = migration.read(fd, 1000);
        migration.close(fd);
        device.reset();
    }

    static void run(MediatedDevice device) {
        MigrationCalls calls = new MigrationCalls(device);
        calls.transitions();
        calls.saving();
        calls.resuming();
        calls.wrongHeaders();
        calls.precopyInfo();
        calls.ends();
        calls.openings();
        calls.walk();
        device.reset();
    }

    /** From each state to each, also to those that there are not; out of RESUMING with and without having received. */
    private void transitions() {
        for (int from = STOP; from <= PRE_COPY_P2P; from++) {
            for (int to : new int[]{STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P, 0, 8, -1,
                    Integer.MIN_VALUE}) {
                transition(from, to, new byte[0]);
                if (from == RESUMING) {
                    transition(from, to, stream);
                }
            }
        }
    }

    private void transition(int from, int to, byte[] received) {
        int first = migration.resetAndSet(from);
        if (received.length > 0) {
            migration.write(first, received);
        }
        int second = migration.set(to);
        migration.state();
        for (int fd : new int[]{first, second}) {
            if (fd >= 0) {
                migration.info(fd);
                migration.drain(fd, 100);
                migration.write(fd, stream);
            }
        }
        migration.close(first);
        migration.close(second);
    }

    private void saving() {
        for (int piece : new int[]{1, 7, HEADER_SIZE, 100}) {
            drainAndClose(migration.resetAndSet(STOP_COPY), piece);
            int fd = migration.resetAndSet(PRE_COPY);
            for (int next : new int[]{PRE_COPY_P2P, PRE_COPY, PRE_COPY_P2P, STOP_COPY, STOP_COPY}) {
                migration.drain(fd, piece);
                migration.set(next);
            }
            drainAndClose(fd, piece);
            // Its first byte is all that is read before the rest is there.
            int other = migration.resetAndSet(PRE_COPY_P2P);
            migration.read(other, 1);
            migration.set(STOP_COPY);
            drainAndClose(other, piece);
            // A session goes on without its descriptor, out of reach.
            int closed = migration.resetAndSet(PRE_COPY);
            migration.close(closed);
            migration.set(STOP_COPY);
            migration.set(STOP);
            drainAndClose(migration.set(STOP_COPY), piece);
        }
    }

    private void drainAndClose(int fd, int piece) {
        migration.drain(fd, piece);
        migration.close(fd);
    }

    /** Receives pieces that end here and there, tries to go on after each, and saves what has come of it. */
    private void receive(byte[] bytes, int... ends) {
        int fd = migration.resetAndSet(RESUMING);
        int from = 0;
        for (int end : ends) {
            migration.write(fd, bytes, from, end);
            from = end;
            migration.set(STOP);
            migration.set(RUNNING);
        }
        migration.write(fd, bytes);
        drainAndClose(migration.set(STOP_COPY), 100);
        migration.close(fd);
    }

    private void resuming() {
        int total = stream.length;
        byte[] used = stream.clone();
        new Random(1).nextBytes(used);
        System.arraycopy(stream, 0, used, 0, HEADER_SIZE);
        byte[] longer = new byte[total + 1];
        System.arraycopy(stream, 0, longer, 0, total);
        for (byte[] bytes : List.of(stream, used)) {
            receive(bytes);
            receive(bytes, total);
            receive(bytes, 0, total - 1, total - 1, total);
            receive(bytes, HEADER_SIZE - 1, HEADER_SIZE, total);
            receive(bytes, HEADER_SIZE, total);
            receive(bytes, 1, HEADER_SIZE + 1, total);
        }
        receive(longer, total + 1, total + 1);
        receive(longer, total, total + 1);

        int fd = migration.resetAndSet(RESUMING);
        for (int at = 0; at < total; at++) {
            migration.write(fd, used, at, at + 1);
        }
        // Too much, by one byte or by all.
        migration.write(fd, used, 0, 1);
        migration.write(fd, used);
        migration.tryAll(fd, total);
        drainAndClose(migration.set(STOP_COPY), 100);
        migration.close(fd);
        receive(stream, total);
    }

    /** Each byte of the header wrong for itself, in a write with the rest and without. */
    private void wrongHeaders() {
        for (int at = 0; at < HEADER_SIZE; at++) {
            byte[] wrong = stream.clone();
            wrong[at] ^= 1;
            receive(wrong, stream.length);
            receive(wrong, HEADER_SIZE, stream.length);
            receive(wrong, at, HEADER_SIZE, HEADER_SIZE + 1, stream.length);
        }
    }

    private void precopyInfo() {
        for (boolean optIn : new boolean[]{false, true}) {
            device.reopen();
            device.reset();
            if (optIn) {
                migration.optIn();
            }
            for (int state = STOP; state <= PRE_COPY_P2P; state++) {
                for (int read : new int[]{0, 5, HEADER_SIZE}) {
                    int fd = migration.resetAndSet(PRE_COPY);
                    migration.read(fd, read);
                    int other = migration.set(state);
                    for (int argsz : new int[]{0, 8, 23, 24, 25, 4096, -1}) {
                        migration.info(fd, argsz);
                        migration.info(other, argsz);
                    }
                    migration.close(other);
                    migration.close(fd);
                }
            }
        }
        // The choice outlasts a reset and one of two openings, but not the last.
        migration.optIn();
        int again = device.openAgain();
        device.reopen();
        int fd = migration.resetAndSet(PRE_COPY);
        migration.info(fd);
        device.backend().close(again);
        migration.info(fd);
        device.reopen();
        migration.info(fd);
        migration.close(fd);
        fd = migration.resetAndSet(PRE_COPY);
        migration.info(fd);
        migration.optIn();
        migration.info(fd);
        migration.close(fd);
    }

    /** What data descriptors answer that have been ended in one way or another. */
    private void ends() {
        List<Consumer<MigratingDevice>> endings = List.of(migrating -> migrating.set(STOP),
                migrating -> migrating.set(RUNNING), migrating -> migrating.set(RUNNING_P2P),
                migrating -> migrating.device().reset(), migrating -> {
                    migrating.device().reopen();
                    migrating.state();
                    migrating.device().reset();
                }, migrating -> {
                    // Its state is still what it was.
                    migrating.device().reopen();
                    migrating.state();
                });
        for (int state : new int[]{STOP_COPY, RESUMING, PRE_COPY, PRE_COPY_P2P}) {
            for (Consumer<MigratingDevice> ending : endings) {
                for (int length : new int[]{0, 10, stream.length}) {
                    int fd = migration.resetAndSet(state);
                    migration.read(fd, length);
                    migration.write(fd, stream, 0, length);
                    ending.accept(migration);
                    migration.tryAll(fd, stream.length);
                    migration.state();
                    migration.close(fd);
                }
            }
        }
    }

    /** The state of the device outlasts its openings, the descriptors do not. */
    private void openings() {
        for (int state = STOP; state <= PRE_COPY_P2P; state++) {
            for (int next = STOP; next <= PRE_COPY_P2P; next++) {
                int fd = migration.resetAndSet(state);
                int again = device.openAgain();
                device.reopen();
                migration.read(fd, 10);
                device.backend().close(again);
                migration.read(fd, 10);
                device.reopen();
                migration.read(fd, 10);
                if (migration.state() == RESUMING) {
                    device.reset();
                }
                int other = migration.set(next);
                migration.info(other);
                drainAndClose(other, 50);
                migration.close(fd);
            }
        }
    }

    /** Whatever comes to mind, one after the other. */
    private void walk() {
        Random random = new Random(7);
        int fd = -1;
        for (int step = 0; step < WALK_STEPS; step++) {
            switch (random.nextInt(10)) {
                case 0, 1, 2, 3 -> {
                    int next = migration.set(random.nextInt(STOP, PRE_COPY_P2P + 1));
                    if (next >= 0) {
                        migration.close(fd);
                        fd = next;
                    }
                }
                case 4 -> migration.read(fd, random.nextInt(60));
                case 5 -> migration.write(fd, stream, 0, random.nextInt(stream.length + 1));
                case 6 -> migration.write(fd, stream);
                case 7 -> migration.info(fd);
                case 8 -> {
                    if (random.nextInt(3) == 0) {
                        migration.optIn();
                        device.reset();
                    }
                }
                default -> {
                    device.reopen();
                    if (migration.state() == RESUMING) {
                        device.reset();
                    }
                }
            }
        }
        migration.close(fd);
    }
}
