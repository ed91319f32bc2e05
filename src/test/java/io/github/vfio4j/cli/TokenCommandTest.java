package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenCommandTest {

    private static final String OWNER = "0000:01:00.0";
    private static final String VIRTUAL = "0000:01:00.1";
    private static final String PLAIN = "0000:02:00.0";
    private static final String TOKEN = "00112233-4455-6677-8899-aabbccddeeff";

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit injects it
    private Path directory;

    private final EmulatedKernel kernel = machine(KernelProfile.LINUX_6_12);
    private final EmulatedProcess process = kernel.newProcess();

    private static EmulatedKernel machine(KernelProfile profile) {
        return EmulatedKernel.builder(profile).pciFunction(OWNER, function -> function.group(1).sriov(1))
                .pciFunction(PLAIN, function -> function.group(2))
                .pciFunction("0000:03:00.0", function -> function.group(3).driver("nvme"))
                .pciFunction("0000:04:00.0", function -> function.group(4))
                .pciFunction("0000:04:00.1", function -> function.group(4).driver("ixgbe")).build();
    }

    @AfterEach
    void nothingIsLeftOpen() {
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    private CommandRun run(String stdin, String... arguments) {
        return CommandRun.on(() -> process, stdin, arguments);
    }

    private String file(String text) throws IOException {
        Path file = Files.writeString(directory.resolve("token"), text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        return file.toString();
    }

    private void enableVirtualFunction() throws VfioException {
        Vfio.using(process).pciDevice(PciAddress.parse(OWNER)).setSriovNumVfs(1);
    }

    static Stream<KernelProfile> profiles() {
        return KernelProfile.all().stream();
    }

    @ParameterizedTest
    @MethodSource("profiles")
    void aTokenThatWasSetOpensAVirtualFunction(KernelProfile profile) throws IOException {
        EmulatedProcess own = machine(profile).newProcess();
        CommandRun set = CommandRun.on(() -> own, "", "token", "set", OWNER, "--file", file(TOKEN)).assertDone();
        assertThat(set.out()).isEqualTo("VF token of 0000:01:00.0 set\n");
        Vfio.using(own).pciDevice(PciAddress.parse(OWNER)).setSriovNumVfs(1);
        CommandRun check = CommandRun.on(() -> own, TOKEN, "token", "check", VIRTUAL, "--stdin").assertDone();
        assertThat(check.out()).isEqualTo("VF token accepted: it opens device 0000:01:00.1\n");
        assertThat(own.openDescriptors()).isEqualTo(3);
    }

    @ParameterizedTest
    @ValueSource(strings = {TOKEN, TOKEN + "\n", "  " + TOKEN + " \r\n\n"})
    void whiteSpaceAroundATokenIsNotPartOfIt(String text) throws IOException {
        run("", "token", "set", OWNER, "--file", file(text)).assertDone();
        run(text.toUpperCase(Locale.ROOT), "token", "set", OWNER, "--stdin").assertDone();
        enableVirtualFunction();
        run(TOKEN, "token", "check", VIRTUAL, "--stdin").assertDone();
    }

    @Test
    void aWrongTokenIsNoPermission() throws VfioException {
        run(TOKEN, "token", "set", OWNER, "--stdin").assertDone();
        enableVirtualFunction();
        run(VfToken.random().toText(), "token", "check", VIRTUAL, "--stdin").assertFailed(4, "EACCES",
                "The VF token is not that of its physical function 0000:01:00.0", "ask its owner for the right one")
                .assertNoOutput();
    }

    @Test
    void aFunctionWithoutATokenHasNoneToSet() {
        run(TOKEN, "token", "set", PLAIN, "--stdin")
                .assertFailed(3, "set the VF token of 0000:02:00.0", "not an SR-IOV physical function")
                .assertNoOutput();
    }

    @Test
    void aFunctionThatTakesNoTokenRefusesOne() {
        run(TOKEN, "token", "check", PLAIN, "--stdin").assertFailed(1, "EINVAL", "Open it without one")
                .assertNoOutput();
    }

    static Stream<Arguments> unavailable() {
        return Stream.of(Arguments.of("0000:0f:00.0", "There is no PCI function at this address", "lspci -D"),
                Arguments.of("0000:03:00.0", "is bound to nvme, not to vfio-pci", "driver_override"),
                Arguments.of("0000:04:00.0", "The group is not viable",
                        "Bind every function in /sys/kernel/iommu_groups/4/devices"));
    }

    @ParameterizedTest
    @MethodSource("unavailable")
    void aDeviceThatCannotBeOpenedIsUnavailable(String device, String cause, String nextStep) {
        run(TOKEN, "token", "set", device, "--stdin").assertFailed(3, cause, nextStep).assertNoOutput();
        run(TOKEN, "token", "check", device, "--stdin").assertFailed(3, cause, nextStep).assertNoOutput();
    }

    @Test
    void aGroupThatIsInUseIsUnavailable() throws VfioException {
        try (var container = Vfio.using(kernel.newProcess()).openContainer();
                var device = container.openDevice(PciAddress.parse(OWNER))) {
            run(TOKEN, "token", "set", OWNER, "--stdin").assertFailed(3, "EBUSY", "The group is in use")
                    .assertNoOutput();
            assertThat(device.probeAll()).hasSize(13);
        }
    }

    @Test
    void aGroupThatIsClosedToTheUserIsNoPermission() {
        EmulatedProcess unprivileged = kernel.newUnprivilegedProcess();
        CommandRun.on(() -> unprivileged, TOKEN, "token", "set", OWNER, "--stdin")
                .assertFailed(4, "open /dev/vfio/1: EACCES", "chown").assertNoOutput();
        assertThat(unprivileged.openDescriptors()).isEqualTo(3);
    }

    @Test
    void withoutVfioOnThisMachineItIsSaidWhatToLoad() {
        CommandRun.on(NativeBackend::create, TOKEN, "token", "set", "ffffffff:ff:1f.7", "--stdin")
                .assertFailedForWantOfTheDevice().assertNoOutput();
    }

    @Test
    void whereTheRealKernelCannotBeReachedItIsSaidWhy() {
        CommandRun.on(() -> {
            throw new UnsupportedOperationException("VFIO is an interface of the Linux kernel, and this is not Linux");
        }, TOKEN, "token", "set", OWNER, "--stdin").assertFailed(3, "this is not Linux").assertNoOutput();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "\n", "0", "00112233-4455-6677-8899-aabbccddeef", "00112233445566778899aabbccddeeff",
            TOKEN + "\n" + TOKEN, "\u00e9\u00e9112233-4455-6677-8899-aabbccddeeff", "{" + TOKEN + "}"})
    void aMalformedTokenIsBadUsageAndIsNotRepeated(String text) throws IOException {
        for (String command : new String[]{"set", "check"}) {
            CommandRun
                    .withoutKernel(text, "token", command, OWNER, "--stdin").assertFailed(2, "standard input",
                            "That is not a VF token", "8-4-4-4-12", "'vfio4j token " + command + " --help' explains")
                    .assertNoOutput();
            CommandRun fromFile = CommandRun.withoutKernel("", "token", command, OWNER, "--file", file(text));
            fromFile.assertFailed(2, directory.resolve("token").toString(), "That is not a VF token").assertNoOutput();
            assertThat(fromFile.err()).doesNotContain("-4455-", "aabbccddee");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"rw-r--r--", "rw----r--", "rw-r-----"})
    void aFileThatOthersCanReadIsUsedWithAWarning(String permissions) throws IOException {
        Path file = Path.of(file(TOKEN));
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(permissions));
        CommandRun run = run("", "token", "set", OWNER, "--file", file.toString());
        assertThat(run.exitCode()).isZero();
        assertThat(run.err()).startsWith("vfio4j: Other users of this machine can read the VF token in " + file)
                .contains("chmod 600").doesNotContain("4455", "aabbccddeeff");
        assertThat(run.err().lines()).hasSize(1);
    }

    @Test
    void aMissingFileIsBadUsage() {
        Path missing = directory.resolve("missing");
        CommandRun.withoutKernel("", "token", "set", OWNER, "--file", missing.toString())
                .assertFailed(2, missing.toString(), "there is no such file").assertNoOutput();
    }

    @Test
    void aDirectoryIsNoTokenFile() {
        CommandRun.withoutKernel("", "token", "set", OWNER, "--file", directory.toString())
                .assertFailed(2, directory.toString()).assertNoOutput();
    }

    @Test
    void aFileThatMayNotBeReadIsBadUsage() throws IOException {
        Path file = Path.of(file(TOKEN));
        Files.setPosixFilePermissions(file, Set.of());
        if (Files.isReadable(file)) {
            // root may read everything
            run("", "token", "set", OWNER, "--file", file.toString()).assertDone();
        } else {
            CommandRun.withoutKernel("", "token", "set", OWNER, "--file", file.toString())
                    .assertFailed(2, file.toString(), "this user may not read it").assertNoOutput();
        }
    }

    @Test
    void anInputWithoutAnEndIsNoToken() {
        CommandRun.on(() -> process, new InputStream() {
            @Override
            public int read() {
                return '0';
            }

            @Override
            public int read(byte[] buffer, int offset, int length) {
                Arrays.fill(buffer, offset, offset + length, (byte) '0');
                return length;
            }
        }, "token", "set", OWNER, "--stdin").assertFailed(2, "That is not a VF token").assertNoOutput();
    }

    @Test
    void anInputThatFailsIsToldWithItsReason() {
        CommandRun.on(() -> process, new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("the line\nis broken");
            }

            @Override
            public int read(byte[] buffer, int offset, int length) throws IOException {
                return read();
            }
        }, "token", "set", OWNER, "--stdin").assertFailed(2, "standard input", "the line is broken").assertNoOutput();
    }

    static Stream<Arguments> tokensAsArguments() {
        return Stream.of("set", "check")
                .flatMap(command -> Stream.of(Arguments.of((Object) new String[]{"token", command, OWNER, TOKEN}),
                        Arguments.of((Object) new String[]{"token", command, OWNER, TOKEN, "--stdin"}),
                        Arguments.of((Object) new String[]{"token", command, TOKEN, "--stdin"}),
                        Arguments.of((Object) new String[]{"token", command, OWNER, "--token", TOKEN}),
                        Arguments.of((Object) new String[]{"token", command, OWNER, "--token=" + TOKEN}),
                        Arguments.of((Object) new String[]{"token", command, OWNER, "--stdin=" + TOKEN}),
                        Arguments.of((Object) new String[]{"token", command, OWNER, "--file", TOKEN}),
                        Arguments.of((Object) new String[]{"token", command, OWNER, "--stdin", TOKEN.substring(1)})));
    }

    @ParameterizedTest
    @MethodSource("tokensAsArguments")
    void aTokenAmongTheArgumentsIsRefusedAndNotRepeated(String... arguments) {
        CommandRun run = CommandRun.withoutKernel(TOKEN, arguments);
        run.assertFailed(2, "--file", "--stdin", "never from the arguments, which every user of the machine can see")
                .assertNoOutput();
        assertThat(run.err()).doesNotContain("4455", "aabbccddeeff");
    }

    @Test
    void anArgumentFileIsNotExpanded() throws IOException {
        CommandRun run = CommandRun.withoutKernel(TOKEN, "token", "set", OWNER, "@" + file(TOKEN));
        run.assertFailed(2, "There is an argument too many").assertNoOutput();
        assertThat(run.err()).doesNotContain("aabbccddeeff");
    }

    @Test
    void theTokenComesFromOnePlace() throws IOException {
        CommandRun.withoutKernel("", "token", "set", OWNER).assertFailed(2, "vfio4j: Missing required argument",
                "--file=FILE | --stdin");
        CommandRun.withoutKernel(TOKEN, "token", "check", OWNER, "--stdin", "--file", file(TOKEN)).assertFailed(2,
                "mutually exclusive");
    }

    @Test
    void aMalformedAddressIsBadUsage() {
        CommandRun.withoutKernel(TOKEN, "token", "set", "01:00", "--stdin").assertFailed(2,
                "'01:00' is not a PCI address");
        CommandRun.withoutKernel(TOKEN, "token", "check", "--stdin").assertFailed(2, "VF");
    }

    @Test
    void withoutACommandThereIsAListOfThem() {
        CommandRun.withoutKernel("", "token").assertFailed(2, "set, check", "'vfio4j token --help' explains")
                .assertNoOutput();
        CommandRun.withoutKernel("", "token", "get").assertFailed(2, "no such command", "set, check").assertNoOutput();
    }

    @Test
    void helpSaysWhereTheTokenComesFrom() {
        for (String command : new String[]{"set", "check"}) {
            assertThat(CommandRun.withoutKernel("", "token", command, "--help").assertDone().out())
                    .contains("Usage: vfio4j token " + command, "--file", "--stdin", "bound to vfio-pci");
        }
        assertThat(CommandRun.withoutKernel("", "token", "--help").assertDone().out()).contains("set", "check");
    }
}
