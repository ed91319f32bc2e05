package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.faults.FaultSweep;
import io.github.vfio4j.faults.Scene;
import java.nio.file.Path;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every system call that a command makes fails once: its exit code is the documented one, and it says why in one line. */
class CommandFaultsTest {

    private static final String OWNER = "0000:01:00.0";
    private static final String VIRTUAL = "0000:01:00.1";
    private static final String TOKEN = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    private static final Set<Errno> ABSENT = Set.of(Errno.ENOENT, Errno.ENODEV, Errno.EBUSY);
    private static final Set<Errno> FORBIDDEN = Set.of(Errno.EACCES, Errno.EPERM);

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit injects it
    private Path directory;

    private final FaultSweep sweep = new FaultSweep("Commands", CommandFaultsTest::machine)
            .told(CommandFaultsTest::tells);

    private static EmulatedKernel machine() {
        return EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(OWNER, function -> function.group(1).sriov(1).memoryBar(0, 4096)).build();
    }

    private static boolean tells(Object answer, @Nullable Errno errno) {
        CommandRun run = (CommandRun) answer;
        if (errno == null) {
            return run.exitCode() != 0;
        }
        if (run.exitCode() == 0 || run.out().contains("divergences")) {
            // A feature that could not be asked for, or a call that was answered otherwise.
            return run.out().contains(errno.name());
        }
        int exitCode = FORBIDDEN.contains(errno) ? 4 : ABSENT.contains(errno) ? 3 : 1;
        return run.err().contains(": " + errno.name() + " (") && run.exitCode() == exitCode;
    }

    /** The command, of which a failure is one line that neither is a stack trace nor has the token in it. */
    private static CommandRun run(Scene scene, String... arguments) {
        CommandRun run = CommandRun.on(scene::backend, TOKEN, arguments);
        if (run.exitCode() != 0 && !run.out().contains("divergences")) {
            run.assertFailed(run.exitCode(), "vfio4j: ");
        } else {
            assertThat(run.err()).isEmpty();
        }
        assertThat(run.out() + run.err()).doesNotContain(TOKEN, TOKEN.substring(9, 18));
        return run;
    }

    private void sweep(String name, FaultSweep.Stage<Scene> stage, String... arguments) {
        sweep.run(sweep.operation(name, stage, scene -> run(scene, arguments)));
    }

    /** The owner has set the token and made a virtual function, and is gone. */
    private static Scene withToken(Scene scene, UUID token) throws Exception {
        try (VfioContainer container = scene.vfio().openContainer();
                VfioDevice owner = container.openDevice(PciAddress.parse(OWNER))) {
            owner.vfToken().orElseThrow().set(io.github.vfio4j.VfToken.of(token));
        }
        scene.vfio().pciDevice(PciAddress.parse(OWNER)).setSriovNumVfs(1);
        return scene;
    }

    @Test
    void everyCallFailsInEveryWay() {
        sweep.tolerate(": CLOSE /sys/", "an attribute was read or written before")
                .tolerate(": READLINK ", "there is no such link, which is an answer", Errno.ENOENT)
                .tolerate("VFIO_DEVICE_FEATURE 0x[4-7]", "to a probe these say that there is no such feature",
                        Errno.ENOTTY, Errno.EINVAL)
                .tolerate("wrong: (READLINK|CLOSE) ", "the token is wrong all the same")
                .tolerate("demo: (READLINK|CLOSE) ", "two of its openings are to be refused");
        sweep("features", scene -> scene, "features", OWNER);
        sweep("features as JSON", scene -> scene, "features", OWNER, "--json");
        sweep("features with a token", scene -> scene, "features", OWNER, "--stdin");
        sweep("token set", scene -> scene, "token", "set", OWNER, "--stdin");
        sweep("token check", scene -> withToken(scene, UUID.fromString(TOKEN)), "token", "check", VIRTUAL, "--stdin");
        sweep("token check wrong", scene -> withToken(scene, UUID.randomUUID()), "token", "check", VIRTUAL, "--stdin");
        sweep.run(sweep.operation("demo", scene -> scene, scene -> run(scene, "demo", "--native", "--pf", OWNER))
                .only(Errno.EIO, Errno.EACCES, Errno.EBUSY));
        sweep("record", scene -> scene, "record", "-o", directory.resolve("recorded").toString(), "features", OWNER);
        Path transcript = directory.resolve("transcript");
        CommandRun.on(() -> machine().newProcess(), TOKEN, "record", "-o", transcript.toString(), "token", "set", OWNER,
                "--stdin").assertDone();
        sweep("replay", scene -> scene, "replay", "--native", transcript.toString());
        sweep.end(9, 280, 2100);
    }
}
