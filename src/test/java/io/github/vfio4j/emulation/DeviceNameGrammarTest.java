package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_PROBE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The text of VFIO_GROUP_GET_DEVICE_FD: device name and token (semantics §D.3). All kernels read it alike. The group has
 * a container with an IOMMU, so that the answer is this stage's, followed by the token rule (§D.4): a physical function
 * whose virtual ones are not in use takes any token or none, a virtual one needs the right one, a plain one has none.
 */
class DeviceNameGrammarTest {

    private static final int PAGE = 4096;
    private static final int STANDARD_DESCRIPTORS = 3;

    /**
     * Placeholders: {@code <name>} the device's whole name, {@code <bdf>} the same without the domain, {@code <slot>}
     * without the function; {@code <token>} the 36 characters of the right token, {@code <TOKEN>} in upper case,
     * {@code <35>} all but the last, {@code <32>} without the dashes.
     */
    private static Stream<Arguments> texts() {
        // text | physical function | virtual function | plain function
        String table = """
                '<name>'                                      | fd     | EACCES | fd
                '<name> '                                     | fd     | EACCES | fd
                '<name>       '                               | fd     | EACCES | fd
                ''                                            | ENODEV | ENODEV | ENODEV
                ' '                                           | ENODEV | ENODEV | ENODEV
                ' <name>'                                     | ENODEV | ENODEV | ENODEV
                '\\t<name>'                                   | ENODEV | ENODEV | ENODEV
                '<bdf>'                                       | ENODEV | ENODEV | ENODEV
                ':<bdf>'                                      | ENODEV | ENODEV | ENODEV
                '000:<bdf>'                                   | ENODEV | ENODEV | ENODEV
                '0<name>'                                     | ENODEV | ENODEV | ENODEV
                '0001:<bdf>'                                  | ENODEV | ENODEV | ENODEV
                '<slot>'                                      | ENODEV | ENODEV | ENODEV
                '<slot>.'                                     | ENODEV | ENODEV | ENODEV
                '<slot> '                                     | ENODEV | ENODEV | ENODEV
                '<slot>.7'                                    | ENODEV | ENODEV | ENODEV
                '<name>0'                                     | ENODEV | ENODEV | ENODEV
                '<name>x'                                     | ENODEV | ENODEV | ENODEV
                '<name>\\t'                                   | ENODEV | ENODEV | ENODEV
                '<name>\\n'                                   | ENODEV | ENODEV | ENODEV
                '<name>\\r\\n'                                | ENODEV | ENODEV | ENODEV
                '<name>,'                                     | ENODEV | ENODEV | ENODEV
                '<name>\\240'                                 | ENODEV | ENODEV | ENODEV
                '<name>\\tvf_token=<token>'                   | ENODEV | ENODEV | ENODEV
                '<name>\\nvf_token=<token>'                   | ENODEV | ENODEV | ENODEV
                '<name>,vf_token=<token>'                     | ENODEV | ENODEV | ENODEV
                '<name>vf_token=<token>'                      | ENODEV | ENODEV | ENODEV
                'vf_token=<token>'                            | ENODEV | ENODEV | ENODEV
                'vf_token=<token> <name>'                     | ENODEV | ENODEV | ENODEV
                '<bdf> vf_token=<token>'                      | ENODEV | ENODEV | ENODEV
                '<bdf> foo=1'                                 | ENODEV | ENODEV | ENODEV
                '<name> vf_token=<token>'                     | fd     | fd     | EINVAL
                '<name>  vf_token=<token>'                    | fd     | fd     | EINVAL
                '<name>          vf_token=<token>'            | fd     | fd     | EINVAL
                '<name> vf_token=<token> '                    | fd     | fd     | EINVAL
                '<name> vf_token=<token>       '              | fd     | fd     | EINVAL
                '<name>   vf_token=<token>   '                | fd     | fd     | EINVAL
                '<name> vf_token=<TOKEN>'                     | fd     | fd     | EINVAL
                '<name> vf_token=00112233-4455-6677-8899-aAbBcCdDeEfF' | fd | fd | EINVAL
                '<name> vf_token=<token>x'                    | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token>0'                    | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token>-'                    | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token>,'                    | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token>\\n'                  | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token>\\t'                  | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token> x'                   | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token> \\n'                 | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token>vf_token=<token>'     | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token> vf_token=<token>'    | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token>   vf_token=<token> ' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token> vf_token='           | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<token> foo=1'               | EINVAL | EINVAL | EINVAL
                '<name> vf_token='                            | EINVAL | EINVAL | EINVAL
                '<name> vf_token= '                           | EINVAL | EINVAL | EINVAL
                '<name> vf_token= <token>'                    | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35>'                        | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35> '                       | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35>g'                       | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35>G'                       | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35>-'                       | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35>:'                       | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35>\\262'                   | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<35>\\346'                   | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<32>'                        | EINVAL | EINVAL | EINVAL
                '<name> vf_token=<32>0000'                    | EINVAL | EINVAL | EINVAL
                '<name> vf_token={<token>}'                   | EINVAL | EINVAL | EINVAL
                '<name> vf_token="<token>"'                   | EINVAL | EINVAL | EINVAL
                '<name> vf_token=0011223-34455-6677-8899-aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=00112233-445-56677-8899-aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=00112233-4455-667-78899-aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=00112233-4455-6677-889-9aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=00112233-4455-6677-8899aaabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=00112233_4455_6677_8899_aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=00112233 4455 6677 8899 aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=0x112233-4455-6677-8899-aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> vf_token=+0112233-4455-6677-8899-aabbccddeeff' | EINVAL | EINVAL | EINVAL
                '<name> VF_TOKEN=<token>'                     | EINVAL | EINVAL | EINVAL
                '<name> Vf_token=<token>'                     | EINVAL | EINVAL | EINVAL
                '<name> vf_token =<token>'                    | EINVAL | EINVAL | EINVAL
                '<name> vf_token:<token>'                     | EINVAL | EINVAL | EINVAL
                '<name> vf_token'                             | EINVAL | EINVAL | EINVAL
                '<name> vf-token=<token>'                     | EINVAL | EINVAL | EINVAL
                '<name> vf_tokens=<token>'                    | EINVAL | EINVAL | EINVAL
                '<name> =<token>'                             | EINVAL | EINVAL | EINVAL
                '<name> <token>'                              | EINVAL | EINVAL | EINVAL
                '<name> foo=1'                                | EINVAL | EINVAL | EINVAL
                '<name> foo=1 vf_token=<token>'               | EINVAL | EINVAL | EINVAL
                '<name> \\t'                                  | EINVAL | EINVAL | EINVAL
                '<name> \\n'                                  | EINVAL | EINVAL | EINVAL
                '<name> ,'                                    | EINVAL | EINVAL | EINVAL
                '<name> \\tvf_token=<token>'                  | EINVAL | EINVAL | EINVAL
                '<name> \\240vf_token=<token>'                | EINVAL | EINVAL | EINVAL
                '<name> <name>'                               | EINVAL | EINVAL | EINVAL
                '<name>\\0'                                   | fd     | EACCES | fd
                '<name>\\0 vf_token=<token>'                  | fd     | EACCES | fd
                '<name> vf_token=<token>\\0x'                 | fd     | fd     | EINVAL
                '<slot>\\0.0'                                 | ENODEV | ENODEV | ENODEV
                """;
        return Tables.onEveryKernel(table);
    }

    @ParameterizedTest(name = "{0}, ''{1}'': {2}, {3}, {4}")
    @MethodSource("texts")
    void readsTheText(KernelProfile kernel, String text, String physical, String virtual, String plain) {
        Program program = Program.withVirtualFunctions(kernel);
        List<Integer> results = Stream.of(PF, VF, PLAIN)
                .map(device -> program.deviceFd(program.readyGroup(device), fill(text, device))).toList();
        assertThat(results.stream().map(Program::opened)).containsExactly(physical, virtual, plain);
        int groups = 3;
        int devices = (int) results.stream().filter(result -> result >= 0).count();
        assertThat(program.process().openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS + groups + devices);
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void everyCharacterOfATokenIsInItsPlace(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PF);
        for (int i = 0; i < TOKEN.length(); i++) {
            boolean dash = i == 8 || i == 13 || i == 18 || i == 23;
            for (char wrong : (dash ? "0aF_ +" : "-gG/:@` \u00b9").toCharArray()) {
                String token = TOKEN.substring(0, i) + wrong + TOKEN.substring(i + 1);
                assertThat(opened(program.deviceFd(group, PF + " vf_token=" + token))).as(token).isEqualTo("EINVAL");
            }
            for (char right : (dash ? "-" : "09afAF").toCharArray()) {
                String token = TOKEN.substring(0, i) + right + TOKEN.substring(i + 1);
                program.close(program.deviceFd(group, PF + " vf_token=" + token));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void aNameIsInLowerCase(KernelProfile kernel) {
        String name = "0000:ab:1f.6";
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(name, function -> {
        }));
        int group = program.readyGroup(name);
        assertThat(opened(program.deviceFd(group, name))).isEqualTo("fd");
        for (String upper : List.of("0000:AB:1F.6", "0000:Ab:1f.6", "0000:ab:1F.6", "0000:AB:1F.6 foo=1")) {
            assertThat(opened(program.deviceFd(group, upper))).as(upper).isEqualTo("ENODEV");
        }
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void aTextHasAtMost4095Bytes(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int group = program.readyGroup(VF);
        String right = " vf_token=" + TOKEN;
        String[] texts = {padded(VF + right, PAGE - 1),
                VF + " ".repeat(PAGE - 1 - VF.length() - right.length()) + right, padded(VF + right, PAGE),
                VF + " ".repeat(PAGE - VF.length() - right.length()) + right, padded(VF + right, PAGE + 1),
                padded(VF + right, 3 * PAGE)};
        assertThat(Stream.of(texts).map(String::length)).containsExactly(4095, 4095, 4096, 4096, 4097, 12288);
        assertThat(Stream.of(texts).map(text -> opened(program.deviceFd(group, text)))).containsExactly("fd", "fd",
                "EINVAL", "EINVAL", "EINVAL", "EINVAL");
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void aTextThatIsTooLongNamesNothing(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        assertThat(opened(program.deviceFd(group, "x".repeat(PAGE - 1)))).isEqualTo("ENODEV");
        assertThat(opened(program.deviceFd(group, "x".repeat(PAGE)))).isEqualTo("EINVAL");
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void aTextWithoutAnEndIsABadAddress(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        assertThat(opened(unterminated(program, group, PLAIN, PLAIN.length()))).isEqualTo("EFAULT");
        assertThat(opened(unterminated(program, group, PLAIN + " vf_token=" + TOKEN, 58))).isEqualTo("EFAULT");
        assertThat(opened(unterminated(program, group, PLAIN, PAGE - 1))).isEqualTo("EFAULT");
        // A page of bytes is looked at, no more: what is behind it need not be mapped.
        assertThat(opened(unterminated(program, group, PLAIN, PAGE))).isEqualTo("EINVAL");
        assertThat(opened(unterminated(program, group, PLAIN, PAGE + 1))).isEqualTo("EINVAL");
        assertThat(opened(program.ioctl(group, VFIO_GROUP_GET_DEVICE_FD()))).isEqualTo("EFAULT");
        assertThat(opened(program.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), 0x1000))).isEqualTo("EFAULT");
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void theEndMayBeTheLastMappedByte(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        assertThat(opened(program.ioctlOn(group, VFIO_GROUP_GET_DEVICE_FD(), (byte) 0))).isEqualTo("ENODEV");
        byte[] page = Arrays.copyOf(padded(PLAIN, PAGE - 1).getBytes(ISO_8859_1), PAGE);
        assertThat(opened(program.ioctlOn(group, VFIO_GROUP_GET_DEVICE_FD(), page))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void everyDeviceOfAGroupHasItsOwnName(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction("0000:05:00.0", in(9))
                .pciFunction("10000:05:00.0", function -> function.group(9).sriov(1)).pciFunction("0000:05:00.1", in(9))
                .pciFunction("0000:05:00.2", function -> function.group(9).unbound())
                .pciFunction("0000:05:00.3", in(8)));
        int group = program.readyGroup("0000:05:00.0");
        // Only the physical function has the token feature, so a probe of it tells which device was opened.
        assertThat(program.feature(success(program.deviceFd(group, "10000:05:00.0 vf_token=" + TOKEN)),
                VFIO_DEVICE_FEATURE_PROBE(), 8)).isZero();
        for (String name : List.of("0000:05:00.0", "0000:05:00.1")) {
            int device = success(program.deviceFd(group, name));
            assertThat(Program.answer(program.feature(device, VFIO_DEVICE_FEATURE_PROBE(), 8))).isEqualTo("ENOTTY");
            assertThat(opened(program.deviceFd(group, name + " vf_token=" + TOKEN))).isEqualTo("EINVAL");
            assertThat(opened(program.deviceFd(group, name + " foo=1"))).isEqualTo("EINVAL");
        }
        for (String name : List.of("0000:05:00.2", "0000:05:00.3", "0000:05:00.4", "10000:05:00.1")) {
            assertThat(opened(program.deviceFd(group, name))).as(name).isEqualTo("ENODEV");
            assertThat(opened(program.deviceFd(group, name + " foo=1"))).as(name).isEqualTo("ENODEV");
        }
    }

    private static Stream<Arguments> namesOfAMediatedDevice() {
        return Tables.onEveryKernel("""
                '<name>'                   | fd
                '<name>\\0x'               | fd
                ''                         | ENODEV
                ' <name>'                  | ENODEV
                '<name> '                  | ENODEV
                '<name>x'                  | ENODEV
                '<name>\\t'                | ENODEV
                '<name> vf_token=<token>'  | ENODEV
                '<name> foo=1'             | ENODEV
                '<name> <name>'            | ENODEV
                '5A3EB0E5-8D61-4C5C-9A3E-2B4F1C2D3E4F' | ENODEV
                '5a3eb0e5-8d61-4c5c-9a3e-2b4f1c2d3e4'  | ENODEV
                """);
    }

    /** A driver without options of its own wants the name and nothing else. */
    @ParameterizedTest(name = "{0}, ''{1}'': {2}")
    @MethodSource("namesOfAMediatedDevice")
    void aMediatedDeviceHasANameOnly(KernelProfile kernel, String text, String answer) {
        UUID uuid = UUID.fromString("5a3eb0e5-8d61-4c5c-9a3e-2b4f1c2d3e4f");
        Program program = Program.on(EmulatedKernel.builder(kernel).mdpy(uuid));
        int group = program.readyGroupAt(program.mdevGroupPath(uuid));
        assertThat(opened(program.deviceFd(group, fill(text, uuid.toString())))).isEqualTo(answer);
    }

    private static Consumer<PciFunctionSpec> in(int group) {
        return function -> function.group(group);
    }

    private static String fill(String text, String name) {
        return text.replace("<name>", name).replace("<bdf>", name.substring(5))
                .replace("<slot>", name.substring(0, name.length() - 2)).replace("<token>", TOKEN)
                .replace("<TOKEN>", TOKEN.toUpperCase(Locale.ROOT)).replace("<35>", TOKEN.substring(0, 35))
                .replace("<32>", TOKEN.replace("-", ""));
    }

    private static String padded(String text, int length) {
        return text + " ".repeat(length - text.length());
    }

    private static int unterminated(Program program, int group, String text, int length) {
        return program.ioctlOn(group, VFIO_GROUP_GET_DEVICE_FD(), padded(text, length).getBytes(ISO_8859_1));
    }
}
