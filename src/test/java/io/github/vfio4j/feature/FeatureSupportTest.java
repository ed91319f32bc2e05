package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureSupport.Failed;
import io.github.vfio4j.feature.FeatureSupport.Supported;
import io.github.vfio4j.feature.FeatureSupport.Unsupported;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class FeatureSupportTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");
    private static final PciAddress VIRTUAL = PciAddress.parse("0000:03:00.1");

    private static final int GET = 1 << 16;
    private static final int SET = 1 << 17;
    private static final int PROBE = 1 << 18;

    private static EmulatedProcess machine(KernelProfile profile) {
        return EmulatedKernel.builder(profile).pciFunction(OWNER.toString(), function -> function.sriov(1))
                .pciFunction(PLAIN.toString(), function -> {
                })
                .pciFunction("0000:03:00.0",
                        function -> function.driver("nvme").sriov(1).virtualFunctions(1, "vfio-pci"))
                .build().newProcess();
    }

    /** Semantics §B.7, with the operations of §B.0. */
    static Stream<Arguments> devices() {
        Map<KernelProfile, Set<Integer>> plain = Map.of(KernelProfile.LINUX_5_7, Set.of(), KernelProfile.LINUX_6_1,
                Set.of(3, 4, 5), KernelProfile.LINUX_6_12, Set.of(3, 4, 5), KernelProfile.LINUX_7_2,
                Set.of(3, 4, 5, 11));
        return KernelProfile.all().stream()
                .flatMap(
                        profile -> Stream.of(
                                Arguments.of(profile, OWNER,
                                        Stream.concat(Stream.of(0), plain.getOrDefault(profile, Set.of()).stream())
                                                .toList()),
                                Arguments.of(profile, PLAIN, List.copyOf(plain.getOrDefault(profile, Set.of()))),
                                Arguments.of(profile, VIRTUAL, List.copyOf(plain.getOrDefault(profile, Set.of())))));
    }

    @ParameterizedTest
    @MethodSource("devices")
    void everyFeatureIsAnsweredWithItsOperationsOrTheErrno(KernelProfile profile, PciAddress address,
            List<Integer> present) throws VfioException {
        try (VfioContainer container = Vfio.using(machine(profile)).openContainer();
                VfioDevice device = container.openDevice(address)) {
            List<FeatureSupport> answers = device.probeAll();
            assertThat(answers).extracting(FeatureSupport::feature).isEqualTo(FeatureId.known());
            for (FeatureSupport answer : answers) {
                FeatureId feature = answer.feature();
                if (present.contains(feature.index())) {
                    FeatureOperation operation = feature.equals(FeatureId.DMA_BUF)
                            ? FeatureOperation.GET
                            : FeatureOperation.SET;
                    assertThat(answer).isEqualTo(new Supported(feature, Set.of(operation)));
                } else {
                    boolean precopy = feature.equals(FeatureId.MIG_PRECOPY_INFOV2)
                            && profile.equals(KernelProfile.LINUX_7_2);
                    assertThat(answer).isEqualTo(new Unsupported(feature, precopy ? Errno.EINVAL : Errno.ENOTTY));
                }
            }
        }
    }

    @Test
    void aFeatureBeyondTheKnownOnesIsUnsupported() throws VfioException {
        try (VfioContainer container = Vfio.using(machine(KernelProfile.LINUX_7_2)).openContainer();
                VfioDevice device = container.openDevice(OWNER)) {
            assertThat(device.probe(FeatureId.of(13))).isEqualTo(new Unsupported(FeatureId.of(13), Errno.ENOTTY));
            assertThat(device.probe(FeatureId.of(0xffff)).supports(FeatureOperation.GET)).isFalse();
        }
    }

    /** What a probe finds out when the kernel answers as this function of the flags says. */
    private static FeatureSupport probe(IntUnaryOperator answers) throws VfioException {
        ForwardingBackend scripted = new ForwardingBackend(machine(KernelProfile.LINUX_7_2)) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                return request == 0x3b75
                        ? answers.applyAsInt(argument.get(ValueLayout.JAVA_INT, 4) & ~0xffff)
                        : super.ioctl(fd, request, argument, pointees);
            }
        };
        try (VfioContainer container = Vfio.using(scripted).openContainer();
                VfioDevice device = container.openDevice(PLAIN)) {
            return device.probe(FeatureId.MIG_DEVICE_STATE);
        }
    }

    @Test
    void bothOperationsCanBeThere() throws VfioException {
        FeatureSupport support = probe(flags -> 0);
        assertThat(support).isEqualTo(
                new Supported(FeatureId.MIG_DEVICE_STATE, Set.of(FeatureOperation.GET, FeatureOperation.SET)));
        assertThat(support.supports(FeatureOperation.GET)).isTrue();
        assertThat(support.supports(FeatureOperation.SET)).isTrue();
    }

    @Test
    void oneOperationOrNoneCanBeThere() throws VfioException {
        assertThat(probe(flags -> (flags & SET) != 0 ? -Errno.EINVAL.code() : 0))
                .isEqualTo(new Supported(FeatureId.MIG_DEVICE_STATE, Set.of(FeatureOperation.GET)));
        assertThat(probe(flags -> (flags & (GET | SET)) != 0 ? -Errno.EINVAL.code() : 0))
                .isEqualTo(new Supported(FeatureId.MIG_DEVICE_STATE, Set.of()));
    }

    /** ENOTTY mostly, EINVAL of feature 12, EOPNOTSUPP of feature 11 (semantics §A.5). */
    @ParameterizedTest
    @ValueSource(ints = {22, 25, 95})
    void theErrorsThatSayNotSupportedAreFoldedAndKept(int errno) throws VfioException {
        FeatureSupport support = probe(flags -> -errno);
        assertThat(support).isEqualTo(new Unsupported(FeatureId.MIG_DEVICE_STATE, new Errno(errno)));
        assertThat(support.supports(FeatureOperation.GET)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {5, 14, 4, 19, 524})
    void anyOtherErrorSaysNothingAboutTheFeature(int errno) throws VfioException {
        assertThat(probe(flags -> -errno)).isEqualTo(new Failed(FeatureId.MIG_DEVICE_STATE, new Errno(errno)));
        FeatureSupport halfway = probe(flags -> (flags & SET) != 0 ? -errno : 0);
        assertThat(halfway).isEqualTo(new Failed(FeatureId.MIG_DEVICE_STATE, new Errno(errno)));
        assertThat(halfway.supports(FeatureOperation.GET)).isFalse();
    }

    @Test
    void onlyProbesAreSent() throws VfioException {
        assertThat(probe(flags -> (flags & PROBE) != 0 ? 0 : -Errno.EIO.code())).isInstanceOf(Supported.class);
    }

    @Test
    void theSetOfOperationsIsACopyThatCannotBeChanged() {
        Set<FeatureOperation> operations = EnumSet.of(FeatureOperation.GET);
        Supported support = new Supported(FeatureId.MIGRATION, operations);
        operations.clear();
        assertThat(support.operations()).containsExactly(FeatureOperation.GET);
        assertThatExceptionOfType(UnsupportedOperationException.class)
                .isThrownBy(() -> support.operations().add(FeatureOperation.SET));
    }

    @Test
    void aTokenCanBeSetOnlyWhereThereIsOne() throws VfioException {
        VfTokenFeature token;
        try (VfioContainer container = Vfio.using(machine(KernelProfile.LINUX_6_1)).openContainer();
                VfioDevice owner = container.openDevice(OWNER);
                VfioDevice plain = container.openDevice(PLAIN)) {
            token = owner.vfToken().orElseThrow();
            token.set(VfToken.random());
            assertThat(plain.vfToken()).isEmpty();
        }
        assertThatIllegalStateException().isThrownBy(() -> token.set(VfToken.random()))
                .withMessage("device 0000:01:00.0 is closed; open it again to use it");
    }

    @Test
    void theNativeCopyOfATokenDoesNotOutliveTheCall() throws VfioException {
        VfToken token = VfToken.random();
        List<MemorySegment> sent = new java.util.ArrayList<>();
        List<byte[]> during = new java.util.ArrayList<>();
        ForwardingBackend watching = new ForwardingBackend(machine(KernelProfile.LINUX_7_2)) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                if (request == 0x3b75 && argument.byteSize() == 24) {
                    sent.add(argument);
                    during.add(argument.asSlice(8).toArray(ValueLayout.JAVA_BYTE));
                }
                return super.ioctl(fd, request, argument, pointees);
            }
        };
        try (VfioContainer container = Vfio.using(watching).openContainer();
                VfioDevice owner = container.openDevice(OWNER)) {
            owner.vfToken().orElseThrow().set(token);
        }
        assertThat(during).containsExactly(token.toBytes());
        assertThat(sent).hasSize(1).noneMatch(segment -> segment.scope().isAlive());
    }
}
