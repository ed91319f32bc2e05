package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureSupport;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The way an application goes, from the entry point to the last close. Also run on the class path. */
@Tag("smoke")
class VfioSmokeTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");

    private static final Map<KernelProfile, Set<Integer>> FEATURES_OF_OWNER = Map.of(KernelProfile.LINUX_5_7, Set.of(0),
            KernelProfile.LINUX_6_1, Set.of(0, 3, 4, 5), KernelProfile.LINUX_6_12, Set.of(0, 3, 4, 5),
            KernelProfile.LINUX_7_2, Set.of(0, 3, 4, 5, 11));

    static List<KernelProfile> profiles() {
        return KernelProfile.all();
    }

    private static Set<Integer> supported(VfioDevice device) {
        return device.probeAll().stream().filter(FeatureSupport.Supported.class::isInstance)
                .map(support -> support.feature().index()).collect(Collectors.toSet());
    }

    @ParameterizedTest
    @MethodSource("profiles")
    void anOwnerSetsATokenAndAUserOpensAVirtualFunctionWithIt(KernelProfile profile) throws VfioException {
        EmulatedProcess process = EmulatedKernel.builder(profile)
                .pciFunction(OWNER.toString(), function -> function.sriov(2).memoryBar(0, 16384)).build().newProcess();
        Vfio vfio = Vfio.using(process);
        VfToken token = VfToken.random();
        try (VfioContainer container = vfio.openContainer(); VfioDevice owner = container.openDevice(OWNER)) {
            assertThat(supported(owner)).isEqualTo(FEATURES_OF_OWNER.get(profile));
            assertThat(owner.probe(FeatureId.PCI_VF_TOKEN).supports(FeatureOperation.SET)).isTrue();
            owner.vfToken().orElseThrow().set(token);
            vfio.pciDevice(OWNER).setSriovNumVfs(1);
            PciAddress virtual = vfio.pciDevice(OWNER).virtualFunction(0).orElseThrow();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openDevice(virtual))
                    .matches(e -> e.is(Errno.EACCES));
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> container.openDevice(virtual, VfToken.random())).matches(e -> e.is(Errno.EACCES));
            try (VfioDevice user = container.openDevice(virtual, token)) {
                assertThat(user.vfToken()).isEmpty();
                Set<Integer> withoutToken = FEATURES_OF_OWNER.getOrDefault(profile, Set.of()).stream()
                        .filter(index -> index != 0).collect(Collectors.toSet());
                assertThat(supported(user)).isEqualTo(withoutToken);
            }
            vfio.pciDevice(OWNER).setSriovNumVfs(0);
        }
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void theRealKernelIsReachedWithNativeAccess() throws VfioException {
        assertThat(NativeBackend.create().close(-1)).isEqualTo(-Errno.EBADF.code());
        assertThat(Vfio.open().pciDevice(PciAddress.parse("ffffffff:ff:1f.7")).exists()).isFalse();
    }
}
