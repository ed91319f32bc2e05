package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.OTHER_TOKEN;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.TYPE1V2;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Which error of VFIO_GROUP_GET_DEVICE_FD wins when several things are wrong, and what it leaves behind (semantics §D.5). */
class DeviceOpenOrderTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";

    private static Stream<Arguments> faults() {
        // text | group | descriptor table | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                right token    | ready        | free | fd     | fd     | fd     | fd
                right token    | ready        | full | EMFILE | EMFILE | EMFILE | EMFILE
                right token    | no IOMMU     | free | EINVAL | EINVAL | EINVAL | EINVAL
                right token    | no IOMMU     | full | EINVAL | EMFILE | EMFILE | EMFILE
                right token    | no container | free | EINVAL | EINVAL | EINVAL | EINVAL
                right token    | no container | full | EINVAL | EMFILE | EMFILE | EMFILE
                wrong token    | ready        | free | EACCES | EACCES | EACCES | EACCES
                wrong token    | ready        | full | EACCES | EACCES | EACCES | EACCES
                wrong token    | no IOMMU     | free | EINVAL | EACCES | EACCES | EACCES
                wrong token    | no IOMMU     | full | EINVAL | EACCES | EACCES | EACCES
                wrong token    | no container | free | EINVAL | EACCES | EACCES | EACCES
                wrong token    | no container | full | EINVAL | EACCES | EACCES | EACCES
                no token       | ready        | full | EACCES | EACCES | EACCES | EACCES
                no token       | no IOMMU     | free | EINVAL | EACCES | EACCES | EACCES
                no token       | no container | full | EINVAL | EACCES | EACCES | EACCES
                bad option     | ready        | free | EINVAL | EINVAL | EINVAL | EINVAL
                bad option     | ready        | full | EINVAL | EINVAL | EINVAL | EINVAL
                bad option     | no IOMMU     | full | EINVAL | EINVAL | EINVAL | EINVAL
                bad option     | no container | full | EINVAL | EINVAL | EINVAL | EINVAL
                no such device | ready        | free | ENODEV | ENODEV | ENODEV | ENODEV
                no such device | ready        | full | ENODEV | ENODEV | ENODEV | ENODEV
                no such device | no IOMMU     | free | EINVAL | ENODEV | ENODEV | ENODEV
                no such device | no IOMMU     | full | EINVAL | ENODEV | ENODEV | ENODEV
                no such device | no container | free | EINVAL | ENODEV | ENODEV | ENODEV
                no such device | no container | full | EINVAL | ENODEV | ENODEV | ENODEV
                too long       | ready        | free | EINVAL | EINVAL | EINVAL | EINVAL
                too long       | ready        | full | EINVAL | EINVAL | EINVAL | EINVAL
                too long       | no container | full | EINVAL | EINVAL | EINVAL | EINVAL
                bad address    | ready        | free | EFAULT | EFAULT | EFAULT | EFAULT
                bad address    | ready        | full | EFAULT | EFAULT | EFAULT | EFAULT
                bad address    | no IOMMU     | full | EFAULT | EFAULT | EFAULT | EFAULT
                bad address    | no container | full | EFAULT | EFAULT | EFAULT | EFAULT
                """);
    }

    @ParameterizedTest(name = "{0}: {1}, group {2}, descriptors {3}: {4}")
    @MethodSource("faults")
    void theFirstCheckWins(KernelProfile kernel, String text, String state, String descriptors, String answer) {
        Program program = Program.withVirtualFunctions(kernel);
        int container = program.container();
        int group = program.group(VF);
        if (!state.equals("no container")) {
            success(program.setContainer(group, container));
        }
        if (state.equals("ready")) {
            success(program.setIommu(container, TYPE1V2));
        }
        int free = success(program.open("/dev/null"));
        program.useUpDescriptors();
        if (descriptors.equals("free")) {
            program.close(free);
        }
        int before = program.process().openDescriptors();

        int result = get(program, group, text);

        assertThat(opened(result)).isEqualTo(answer);
        if (result >= 0) {
            assertThat(result).isEqualTo(free);
            program.close(result);
        }
        assertThat(program.process().openDescriptors()).isEqualTo(before);
        // Nothing has opened the device, so that the group can leave.
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER())))
                .isEqualTo(state.equals("no container") ? "EINVAL" : "0");
    }

    @ParameterizedTest(name = "{0}: {1}, group {2}, descriptors {3}: {4}")
    @MethodSource("faults")
    void theWayIsFreeOnceTheFaultsAreGone(KernelProfile kernel, String text, String state, String descriptors,
            String answer) {
        Program program = Program.on(Program.machine(kernel).descriptorLimit(8));
        program.createVirtualFunctions(2);
        program.close(program.device(PF + " vf_token=" + TOKEN));
        int container = program.container();
        int group = program.group(VF);
        if (state.equals("no IOMMU")) {
            success(program.setContainer(group, container));
        } else if (state.equals("ready")) {
            success(program.setContainer(group, container));
            success(program.setIommu(container, TYPE1V2));
        }
        int free = success(program.open("/dev/null"));
        program.useUpDescriptors();
        if (descriptors.equals("free")) {
            program.close(free);
        }
        int result = get(program, group, text);
        assertThat(opened(result)).isEqualTo(answer);
        if (result >= 0 || descriptors.equals("full")) {
            program.close(free);
        }
        if (state.equals("no container")) {
            success(program.setContainer(group, container));
        }
        if (!state.equals("ready")) {
            success(program.setIommu(container, TYPE1V2));
        }
        assertThat(get(program, group, "right token")).isEqualTo(free);
        // The failed opening was no use of the virtual function: once it is closed, its physical one asks no token.
        program.close(free);
        program.close(group);
        assertThat(opened(program.device(PF))).isEqualTo("fd");
    }

    private static int get(Program program, int group, String text) {
        return switch (text) {
            case "right token" -> program.deviceFd(group, VF + " vf_token=" + TOKEN);
            case "wrong token" -> program.deviceFd(group, VF + " vf_token=" + OTHER_TOKEN);
            case "no token" -> program.deviceFd(group, VF);
            case "bad option" -> program.deviceFd(group, VF + " option");
            case "no such device" -> program.deviceFd(group, PLAIN);
            case "too long" -> program.deviceFd(group, "x".repeat(4096));
            case "bad address" -> program.ioctl(group, VFIO_GROUP_GET_DEVICE_FD());
            default -> throw new AssertionError(text);
        };
    }

    private static Stream<Arguments> faultsOfASharedGroup() {
        // text | descriptor table | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                '0000:05:00.0'             | free | EINVAL | EINVAL | EINVAL | EINVAL
                '0000:05:00.0'             | full | EINVAL | EMFILE | EMFILE | EMFILE
                '0000:05:00.0 vf_token=x'  | full | EINVAL | EINVAL | EINVAL | EINVAL
                '0000:05:00.1'             | free | EINVAL | ENODEV | ENODEV | ENODEV
                '0000:05:00.1'             | full | EINVAL | ENODEV | ENODEV | ENODEV
                '0000:05:00.1 vf_token=x'  | free | EINVAL | ENODEV | ENODEV | ENODEV
                'x'                        | full | EINVAL | ENODEV | ENODEV | ENODEV
                """);
    }

    /** A group with a device of the host is not viable; later kernels don't let it into a container at all (§E.2). */
    @ParameterizedTest(name = "{0}: ''{1}'', descriptors {2}: {3}")
    @MethodSource("faultsOfASharedGroup")
    void aDeviceOfTheHostInTheGroupIsLikeNoContainer(KernelProfile kernel, String text, String descriptors,
            String answer) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction("0000:05:00.0", spec -> spec.group(5))
                .pciFunction("0000:05:00.1", spec -> spec.group(5).driver("nvme")));
        int container = program.container();
        int group = program.group("0000:05:00.0");
        if (program.setContainer(group, container) == 0) {
            success(program.setIommu(container, TYPE1V2));
        }
        if (descriptors.equals("full")) {
            program.useUpDescriptors();
        }
        assertThat(opened(program.deviceFd(group, text))).isEqualTo(answer);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aTokenWhereNoneIsNeededBeatsAFullTable(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        program.useUpDescriptors();
        assertThat(opened(program.deviceFd(group, PLAIN))).isEqualTo("EMFILE");
        assertThat(opened(program.deviceFd(group, PLAIN + " vf_token=" + TOKEN))).isEqualTo("EINVAL");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aFurtherOpeningOfADeviceMakesAllChecksAgain(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int group = program.readyGroup(VF);
        success(get(program, group, "right token"));
        assertThat(opened(get(program, group, "wrong token"))).isEqualTo("EACCES");
        assertThat(opened(get(program, group, "bad option"))).isEqualTo("EINVAL");
        assertThat(opened(get(program, group, "bad address"))).isEqualTo("EFAULT");
        int second = success(get(program, group, "right token"));
        program.close(second);
        program.useUpDescriptors();
        assertThat(opened(get(program, group, "no token"))).isEqualTo("EACCES");
        assertThat(opened(get(program, group, "right token"))).isEqualTo("EMFILE");
        program.close(second);
        assertThat(get(program, group, "right token")).isEqualTo(second);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aDeviceCanBeOpenedAnyNumberOfTimes(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        int first = success(program.deviceFd(group, PLAIN));
        for (int i = 1; i < 100; i++) {
            assertThat(program.deviceFd(group, PLAIN)).isEqualTo(first + i);
        }
    }
}
