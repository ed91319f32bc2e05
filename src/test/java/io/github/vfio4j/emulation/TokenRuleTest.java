package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.ENABLE_SRIOV;
import static io.github.vfio4j.emulation.Program.OTHER_TOKEN;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.VF2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_PROBE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Who may open a function with which token, and how long a token lasts (semantics §D.1, §D.4, §B.1). */
class TokenRuleTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final String ZEROS = "00000000-0000-0000-0000-000000000000";
    private static final String ONES = "ffffffff-ffff-ffff-ffff-ffffffffffff";

    private static Stream<Arguments> rule() {
        // function | situation | no token | its physical function's token | another token
        return Tables.onEveryKernel("""
                virtual  | physical function with a host driver          | fd     | EINVAL | EINVAL
                virtual  | physical function without a driver            | fd     | EINVAL | EINVAL
                virtual  | physical function on vfio-pci, closed         | EACCES | fd     | EACCES
                virtual  | physical function on vfio-pci, open           | EACCES | fd     | EACCES
                virtual  | open already                                  | EACCES | fd     | EACCES
                virtual  | the other virtual function open               | EACCES | fd     | EACCES
                physical | without virtual functions                     | fd     | fd     | fd
                physical | virtual functions not in use                  | fd     | fd     | fd
                physical | virtual functions not in use, open already    | fd     | fd     | fd
                physical | a virtual function open                       | EACCES | fd     | EACCES
                physical | both virtual functions open                   | EACCES | fd     | EACCES
                physical | a virtual function open, open already         | EACCES | fd     | EACCES
                physical | a virtual function closed again               | fd     | fd     | fd
                plain    | closed                                        | fd     | EINVAL | EINVAL
                plain    | open already                                  | fd     | EINVAL | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {1} function, {2}: {3}, {4}, {5}")
    @MethodSource("rule")
    void holdsAtEveryOpening(KernelProfile kernel, String function, String situation, String without, String right,
            String wrong) {
        assertThat(open(kernel, function, situation, "")).isEqualTo(without);
        assertThat(open(kernel, function, situation, " vf_token=" + TOKEN)).isEqualTo(right);
        assertThat(open(kernel, function, situation, " vf_token=" + OTHER_TOKEN)).isEqualTo(wrong);
    }

    private static String open(KernelProfile kernel, String function, String situation, String option) {
        String physicalDriver = situation.endsWith("host driver") ? "nvme" : "vfio-pci";
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF, spec -> {
            spec.sriov(2).driver(physicalDriver);
            if (situation.equals("physical function without a driver")) {
                spec.unbound();
            }
            if (!situation.equals("without virtual functions")) {
                spec.virtualFunctions(2, "vfio-pci");
            }
        }).pciFunction(PLAIN, spec -> {
        }));
        if (!situation.startsWith("physical function with")) {
            program.close(program.device(PF + " vf_token=" + TOKEN));
        }
        switch (situation) {
            case "physical function on vfio-pci, open" -> success(program.device(PF));
            case "the other virtual function open" -> success(program.device(VF2 + " vf_token=" + TOKEN));
            case "a virtual function open", "a virtual function open, open already" ->
                success(program.device(VF + " vf_token=" + TOKEN));
            case "both virtual functions open" -> {
                success(program.device(VF + " vf_token=" + TOKEN));
                success(program.device(VF2 + " vf_token=" + TOKEN));
            }
            case "a virtual function closed again" -> program.close(program.device(VF + " vf_token=" + TOKEN));
            default -> {
            }
        }
        String name = switch (function) {
            case "virtual" -> VF;
            case "physical" -> PF;
            default -> PLAIN;
        };
        int group = program.readyGroup(name);
        if (situation.endsWith("open already")) {
            success(program.deviceFd(group, name + (name.equals(PLAIN) ? "" : " vf_token=" + TOKEN)));
        }
        return opened(program.deviceFd(group, name + option));
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void everyBitOfTheTokenCounts(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int virtual = program.readyGroup(VF);
        int physical = program.readyGroup(PF);
        success(program.deviceFd(virtual, VF + " vf_token=" + TOKEN));
        for (int bit = 0; bit < 128; bit++) {
            byte[] token = Program.uuid(TOKEN);
            token[bit / 8] ^= (byte) (1 << bit % 8);
            String option = " vf_token=" + text(token);
            assertThat(opened(program.deviceFd(virtual, VF + option))).as(option).isEqualTo("EACCES");
            assertThat(opened(program.deviceFd(physical, PF + option))).as(option).isEqualTo("EACCES");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theFirstTokenIsNobodysGuess(KernelProfile kernel) {
        Program program = Program.on(kernel);
        program.createVirtualFunctions(2);
        int group = program.readyGroup(VF);
        for (String guess : List.of("", " vf_token=" + ZEROS, " vf_token=" + ONES, " vf_token=" + TOKEN)) {
            assertThat(opened(program.deviceFd(group, VF + guess))).as(guess).isEqualTo("EACCES");
        }
        success(program.device(PF));
        assertThat(opened(program.deviceFd(group, VF))).isEqualTo("EACCES");
        assertThat(opened(program.deviceFd(group, VF + " vf_token=" + ZEROS))).isEqualTo("EACCES");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void tokensAreInTextOrder(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int physical = success(program.device(PF));
        byte[] bytes = HexFormat.of().parseHex("00112233445566778899aabbccddeeff");
        assertThat(answer(program.feature(physical, VFIO_DEVICE_FEATURE_SET(), 24, bytes))).isEqualTo("0");
        program.createVirtualFunctions(1);
        int group = program.readyGroup(VF);
        assertThat(opened(program.deviceFd(group, VF + " vf_token=33221100-5544-7766-8899-aabbccddeeff")))
                .isEqualTo("EACCES");
        assertThat(opened(program.deviceFd(group, VF + " vf_token=00112233-4455-6677-8899-aabbccddeeff")))
                .isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void any16BytesAreAToken(KernelProfile kernel) {
        Program program = Program.on(kernel);
        program.createVirtualFunctions(1);
        int physical = success(program.device(PF));
        int group = program.readyGroup(VF);
        for (String token : List.of(ZEROS, ONES, "00000000-0000-0000-0000-000000000001", TOKEN)) {
            assertThat(answer(program.setToken(physical, token))).isEqualTo("0");
            program.close(success(program.deviceFd(group, VF + " vf_token=" + token)));
        }
        // The other way to set one takes the same.
        for (String token : List.of(ONES, ZEROS)) {
            program.close(physical);
            physical = success(program.device(PF + " vf_token=" + token));
            program.close(success(program.deviceFd(group, VF + " vf_token=" + token)));
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void openingThePhysicalFunctionWithATokenSetsIt(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int physical = program.readyGroup(PF);
        int virtual = program.readyGroup(VF);
        program.close(success(program.deviceFd(physical, PF + " vf_token=" + OTHER_TOKEN)));
        assertThat(opened(program.deviceFd(virtual, VF + " vf_token=" + TOKEN))).isEqualTo("EACCES");
        program.close(success(program.deviceFd(virtual, VF + " vf_token=" + OTHER_TOKEN)));
        // So does a further opening of an open device.
        success(program.deviceFd(physical, PF));
        success(program.deviceFd(physical, PF + " vf_token=" + TOKEN));
        assertThat(opened(program.deviceFd(virtual, VF + " vf_token=" + OTHER_TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.deviceFd(virtual, VF + " vf_token=" + TOKEN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void openingThePhysicalFunctionWithoutATokenKeepsIt(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        success(program.device(PF));
        assertThat(opened(program.device(VF + " vf_token=" + TOKEN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aRefusedOpeningOfThePhysicalFunctionKeepsTheToken(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        success(program.device(VF + " vf_token=" + TOKEN));
        assertThat(opened(program.device(PF + " vf_token=" + OTHER_TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.device(VF2 + " vf_token=" + OTHER_TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.device(VF2 + " vf_token=" + TOKEN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aTokenOutlivesEverything(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        program.close(success(program.device(VF + " vf_token=" + TOKEN)));
        program.close(success(program.device(PF)));
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
        assertThat(answer(program.write(ENABLE_SRIOV, "0"))).isEqualTo("1");
        assertThat(answer(program.write(ENABLE_SRIOV, "1"))).isEqualTo("1");
        assertThat(answer(program.setNumVfs(PF, "2"))).isEqualTo("1");
        program.process().close();
        Program next = Program.on(program.kernel());
        assertThat(opened(next.device(VF))).isEqualTo("EACCES");
        assertThat(opened(next.device(VF + " vf_token=" + TOKEN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theTokenIsThereWithoutVirtualFunctions(KernelProfile kernel) {
        Program program = Program.on(kernel);
        assertThat(answer(program.write(ENABLE_SRIOV, "0"))).isEqualTo("1");
        int physical = success(program.device(PF));
        assertThat(answer(program.setToken(physical, OTHER_TOKEN))).isEqualTo("0");
        program.createVirtualFunctions(1);
        assertThat(opened(program.device(VF + " vf_token=" + OTHER_TOKEN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theTokenCanBeSetWhileAVirtualFunctionIsOpen(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int physical = success(program.device(PF));
        int group = program.readyGroup(VF);
        int virtual = success(program.deviceFd(group, VF + " vf_token=" + TOKEN));
        assertThat(answer(program.setToken(physical, OTHER_TOKEN))).isEqualTo("0");
        // What is open stays open, and every further opening needs the new token.
        assertThat(answer(program.feature(virtual, VFIO_DEVICE_FEATURE_PROBE(), 8))).isEqualTo("ENOTTY");
        assertThat(opened(program.deviceFd(group, VF + " vf_token=" + TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.deviceFd(group, VF + " vf_token=" + OTHER_TOKEN))).isEqualTo("fd");
        assertThat(opened(program.device(VF2 + " vf_token=" + TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.device(VF2 + " vf_token=" + OTHER_TOKEN))).isEqualTo("fd");
        program.close(physical);
        assertThat(opened(program.device(PF + " vf_token=" + TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.device(PF + " vf_token=" + OTHER_TOKEN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void usersAreDevicesAndNotDescriptors(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int group = program.readyGroup(VF);
        int first = success(program.deviceFd(group, VF + " vf_token=" + TOKEN));
        int second = success(program.deviceFd(group, VF + " vf_token=" + TOKEN));
        program.close(first);
        assertThat(opened(program.device(PF))).isEqualTo("EACCES");
        program.close(second);
        assertThat(opened(program.device(PF))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void everyVirtualFunctionIsAUser(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int first = success(program.device(VF + " vf_token=" + TOKEN));
        int second = success(program.device(VF2 + " vf_token=" + TOKEN));
        program.close(first);
        assertThat(opened(program.device(PF))).isEqualTo("EACCES");
        first = success(program.device(VF + " vf_token=" + TOKEN));
        program.close(second);
        assertThat(opened(program.device(PF))).isEqualTo("EACCES");
        program.close(first);
        assertThat(opened(program.device(PF))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theEndOfAProcessEndsItsUse(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        Program other = Program.on(program.kernel());
        success(other.device(VF + " vf_token=" + TOKEN));
        assertThat(opened(program.device(PF))).isEqualTo("EACCES");
        other.process().close();
        assertThat(opened(program.device(PF))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aFailedOpeningIsNoUse(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int group = program.readyGroup(VF);
        int bare = program.group(VF2);
        int physical = program.readyGroup(PF);
        assertThat(opened(program.deviceFd(group, VF + " vf_token=" + OTHER_TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.deviceFd(bare, VF2 + " vf_token=" + TOKEN))).isEqualTo("EINVAL");
        int before = program.process().openDescriptors();
        program.useUpDescriptors();
        assertThat(opened(program.deviceFd(group, VF + " vf_token=" + TOKEN))).isEqualTo("EMFILE");
        for (int fd = before; fd < program.process().openDescriptors(); fd++) {
            program.close(fd);
        }
        assertThat(opened(program.deviceFd(physical, PF))).isEqualTo("fd");
        success(program.deviceFd(group, VF + " vf_token=" + TOKEN));
        assertThat(opened(program.deviceFd(physical, PF))).isEqualTo("EACCES");
    }

    private static Stream<Arguments> failingOpenings() {
        // What is wrong | which of the two tokens the virtual function needs afterwards
        return Tables.byKernel("""
                no container   | old | new | new | new
                no IOMMU       | old | new | new | new
                no descriptor  | new | new | new | new
                no such device | old | old | old | old
                bad option     | old | old | old | old
                """);
    }

    @ParameterizedTest(name = "{0}, {1}: {2} token")
    @MethodSource("failingOpenings")
    void anOpeningCanFailAndYetSetTheToken(KernelProfile kernel, String fault, String effective) {
        Program program = Program.withVirtualFunctions(kernel);
        int virtual = program.readyGroup(VF);
        int group = fault.startsWith("no descriptor") ? program.readyGroup(PF) : program.group(PF);
        String option = " vf_token=" + OTHER_TOKEN;
        String failure = switch (fault) {
            case "no container" -> opened(program.deviceFd(group, PF + option));
            case "no IOMMU" -> {
                success(program.setContainer(group, program.container()));
                yield opened(program.deviceFd(group, PF + option));
            }
            case "no descriptor" -> {
                int free = success(program.open("/dev/null"));
                program.useUpDescriptors();
                String result = opened(program.deviceFd(group, PF + option));
                program.close(free);
                yield result;
            }
            case "no such device" -> opened(program.deviceFd(group, PLAIN + option));
            default -> opened(program.deviceFd(group, PF + option + "x"));
        };
        assertThat(failure).isNotEqualTo("fd");
        String old = effective.equals("old") ? "fd" : "EACCES";
        String fresh = effective.equals("new") ? "fd" : "EACCES";
        int result = program.deviceFd(virtual, VF + " vf_token=" + TOKEN);
        assertThat(opened(result)).isEqualTo(old);
        if (result >= 0) {
            program.close(result);
        }
        assertThat(opened(program.deviceFd(virtual, VF + option))).isEqualTo(fresh);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void physicalFunctionsHaveNothingInCommon(KernelProfile kernel) {
        String otherPf = "0000:03:00.0";
        String otherVf = "0000:03:00.1";
        Program program = Program.on(Program.machine(kernel).pciFunction(otherPf,
                function -> function.sriov(1).virtualFunctions(1, "vfio-pci")));
        program.createVirtualFunctions(1);
        program.close(success(program.device(PF + " vf_token=" + TOKEN)));
        program.close(success(program.device(otherPf + " vf_token=" + OTHER_TOKEN)));
        assertThat(opened(program.device(VF + " vf_token=" + OTHER_TOKEN))).isEqualTo("EACCES");
        assertThat(opened(program.device(otherVf + " vf_token=" + TOKEN))).isEqualTo("EACCES");
        success(program.device(VF + " vf_token=" + TOKEN));
        assertThat(opened(program.device(otherPf))).isEqualTo("fd");
        assertThat(opened(program.device(PF))).isEqualTo("EACCES");
    }

    private static String text(byte[] token) {
        String hex = HexFormat.of().formatHex(token);
        return hex.substring(0, 8) + '-' + hex.substring(8, 12) + '-' + hex.substring(12, 16) + '-'
                + hex.substring(16, 20) + '-' + hex.substring(20);
    }
}
