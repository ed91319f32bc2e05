package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.EventFd;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.VfioGroup;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.feature.DmaBufFeature;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import io.github.vfio4j.feature.LowPowerFeature;
import io.github.vfio4j.feature.OwnedDescriptor;
import io.github.vfio4j.feature.RegionRange;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the public API promises on every machine: run on emulated kernels, and in the kernel lane on real ones. */
abstract class VfioApiContract {

    /** Long enough for every kernel that was measured to suspend an idle device (semantics §B.3). */
    private static final Duration UNTIL_SUSPENDED = Duration.ofMillis(150);

    private static final Map<String, Set<Integer>> PHYSICAL_FUNCTION_FEATURES = Map.of("5.7", Set.of(0), "6.1",
            Set.of(0, 3, 4, 5), "6.12", Set.of(0, 3, 4, 5), "7.2", Set.of(0, 3, 4, 5, 11));

    private Machine machine;
    private Vfio vfio;
    private VfioContainer container;

    /** The machine this suite runs on. */
    abstract Machine machine();

    @BeforeEach
    void openContainer() throws VfioException {
        machine = machine();
        vfio = Vfio.using(machine.backend());
        container = vfio.openContainer();
    }

    @AfterEach
    void closeAll() throws VfioException {
        container.close();
        PciDevice owner = vfio.pciDevice(machine.physicalFunction());
        if (owner.sriovNumVfs() > 0) {
            owner.setSriovNumVfs(0);
        }
    }

    private VfioDevice openOwner(VfToken token) throws VfioException {
        VfioDevice owner = container.openDevice(machine.physicalFunction());
        owner.vfToken().orElseThrow().set(token);
        return owner;
    }

    /** After the owner is open: opening it resets it, and that can take the virtual functions away. */
    private PciAddress enableVirtualFunction() throws VfioException {
        PciDevice owner = vfio.pciDevice(machine.physicalFunction());
        owner.setSriovNumVfs(1);
        return owner.virtualFunction(0).orElseThrow();
    }

    private void assertRefused(Errno errno, PciAddress address, VfToken token) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openDevice(address, token))
                .satisfies(e -> assertThat(e.errno()).contains(errno));
    }

    private void assertRefused(Errno errno, PciAddress address) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openDevice(address))
                .satisfies(e -> assertThat(e.errno()).contains(errno));
    }

    private static Set<Integer> supported(List<FeatureSupport> features) {
        return features.stream().filter(FeatureSupport.Supported.class::isInstance)
                .map(support -> support.feature().index()).collect(Collectors.toSet());
    }

    @Test
    void thePhysicalFunctionHasTheFeaturesOfTheKernel() throws VfioException {
        try (VfioDevice owner = container.openDevice(machine.physicalFunction())) {
            assertThat(supported(owner.probeAll())).isEqualTo(PHYSICAL_FUNCTION_FEATURES.get(machine.kernel()));
            assertThat(owner.probe(FeatureId.PCI_VF_TOKEN))
                    .isEqualTo(new FeatureSupport.Supported(FeatureId.PCI_VF_TOKEN, Set.of(FeatureOperation.SET)));
            assertThat(owner.probe(FeatureId.of(0xffff)))
                    .isEqualTo(new FeatureSupport.Unsupported(FeatureId.of(0xffff), Errno.ENOTTY));
        }
    }

    @Test
    void aPlainFunctionHasNoTokenAndTakesNone() throws VfioException {
        assertRefused(Errno.EINVAL, machine.plainFunction(), VfToken.random());
        try (VfioDevice plain = container.openDevice(machine.plainFunction())) {
            assertThat(plain.vfToken()).isEmpty();
        }
    }

    @Test
    void aVirtualFunctionOpensWithTheTokenOfItsOwnerOnly() throws VfioException {
        VfToken token = VfToken.random();
        try (VfioDevice owner = openOwner(token)) {
            PciAddress virtualFunction = enableVirtualFunction();
            assertRefused(Errno.EACCES, virtualFunction);
            assertRefused(Errno.EACCES, virtualFunction, VfToken.random());
            try (VfioDevice user = container.openDevice(virtualFunction, token)) {
                assertThat(user.vfToken()).isEmpty();
                assertThat(owner.probe(FeatureId.PCI_VF_TOKEN).supports(FeatureOperation.SET)).isTrue();
            }
        }
    }

    @Test
    void aTokenSetLaterCountsForLaterOpenings() throws VfioException {
        VfToken first = VfToken.random();
        VfToken second = VfToken.random();
        try (VfioDevice owner = openOwner(first)) {
            PciAddress virtualFunction = enableVirtualFunction();
            try (VfioDevice user = container.openDevice(virtualFunction, first)) {
                owner.vfToken().orElseThrow().set(second);
                assertRefused(Errno.EACCES, virtualFunction, first);
                try (VfioDevice again = container.openDevice(virtualFunction, second)) {
                    assertThat(again.toString()).isEqualTo(user.toString());
                }
            }
        }
    }

    @Test
    void theOwnerMustKnowTheTokenWhileVirtualFunctionsAreInUse() throws VfioException {
        VfToken token = VfToken.random();
        PciAddress physicalFunction = machine.physicalFunction();
        try (VfioDevice owner = openOwner(token)) {
            try (VfioDevice user = container.openDevice(enableVirtualFunction(), token)) {
                assertRefused(Errno.EACCES, physicalFunction);
                assertRefused(Errno.EACCES, physicalFunction, VfToken.random());
                container.openDevice(physicalFunction, token).close();
                assertThat(user.probeAll()).hasSize(13);
            }
            VfToken newToken = VfToken.random();
            container.openDevice(physicalFunction, newToken).close();
            container.openDevice(vfio.pciDevice(physicalFunction).virtualFunction(0).orElseThrow(), newToken).close();
            assertThat(owner.vfToken()).isPresent();
        }
    }

    @Test
    void virtualFunctionsAreCreatedAndRemoved() throws VfioException {
        PciDevice owner = vfio.pciDevice(machine.physicalFunction());
        try (VfioDevice open = container.openDevice(machine.physicalFunction())) {
            assertThat(owner.sriovNumVfs()).isZero();
            owner.setSriovNumVfs(2);
            assertThat(owner.sriovNumVfs()).isEqualTo(2);
            owner.setSriovNumVfs(2);
            PciDevice second = vfio.pciDevice(owner.virtualFunction(1).orElseThrow());
            assertThat(second.driver()).contains("vfio-pci");
            assertThat(second.physicalFunction()).contains(machine.physicalFunction());
            assertThat(second.iommuGroup()).isPresent();
            assertThat(owner.virtualFunction(2)).isEmpty();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> owner.setSriovNumVfs(1))
                    .matches(e -> e.is(Errno.EBUSY));
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> owner.setSriovNumVfs(60000))
                    .matches(e -> e.is(Errno.ERANGE));
            owner.setSriovNumVfs(0);
            assertThat(owner.sriovNumVfs()).isZero();
            assertThat(second.exists()).isFalse();
            assertThat(open.probeAll()).hasSize(13);
        }
    }

    @Test
    void aFunctionThatIsNotBoundIsToldHowToBindIt() {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openDevice(machine.unboundFunction()))
                .withMessageContaining("is bound to no driver").withMessageContaining("drivers_probe")
                .matches(e -> e.is(Errno.ENOENT));
    }

    @Test
    void aFunctionThatDoesNotExistIsSaidNotToExist() {
        assertThatExceptionOfType(VfioException.class)
                .isThrownBy(() -> container.openDevice(PciAddress.parse("0000:7f:1f.7")))
                .withMessageContaining("no PCI function at this address");
    }

    @Test
    void aGroupIsOpenOnlyOnce() throws VfioException {
        try (VfioDevice device = container.openDevice(machine.plainFunction());
                VfioContainer other = vfio.openContainer()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> other.openDevice(machine.plainFunction()))
                    .matches(e -> e.is(Errno.EBUSY));
            assertThat(device.probeAll()).hasSize(13);
        }
        try (VfioContainer other = vfio.openContainer();
                VfioDevice device = other.openDevice(machine.plainFunction())) {
            assertThat(device.probeAll()).hasSize(13);
        }
    }

    @Test
    void aGroupThatWasOpenedByNameStaysOpenWithoutDevices() throws VfioException {
        int number = vfio.pciDevice(machine.plainFunction()).iommuGroup().orElseThrow();
        try (VfioGroup group = container.openGroup(number)) {
            group.openDevice(machine.plainFunction()).close();
            try (VfioContainer other = vfio.openContainer()) {
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> other.openGroup(number))
                        .matches(e -> e.is(Errno.EBUSY));
            }
        }
        container.openGroup(number).close();
    }

    @Test
    void aClosedDeviceRefusesToBeUsed() throws VfioException {
        VfioDevice device = container.openDevice(machine.plainFunction());
        device.close();
        device.close();
        assertThatIllegalStateException().isThrownBy(() -> device.probe(FeatureId.PCI_VF_TOKEN))
                .withMessageContaining("is closed");
    }

    @Test
    void lowPowerIsEnteredOnceAndLeftAtAnyTime() throws VfioException {
        try (Arena arena = Arena.ofConfined(); VfioDevice device = container.openDevice(machine.physicalFunction())) {
            if (!device.probe(FeatureId.LOW_POWER_ENTRY).supports(FeatureOperation.SET)) {
                assertThat(machine.kernel()).isEqualTo("5.7");
                return;
            }
            FeatureRequest entry = FeatureRequest.of(FeatureId.LOW_POWER_ENTRY).set().allocate(arena);
            FeatureRequest exit = FeatureRequest.of(FeatureId.LOW_POWER_EXIT).set().allocate(arena);
            assertThat(device.execute(exit)).isZero();
            assertThat(device.execute(entry)).isZero();
            assertThat(device.executeRaw(entry)).isEqualTo(-Errno.EINVAL.code());
            machine.pause(UNTIL_SUSPENDED);
            assertThat(device.executeRaw(entry)).isEqualTo(-Errno.EINVAL.code());
            assertThat(device.execute(exit)).isZero();
            assertThat(device.execute(entry)).isZero();
            assertThat(device.execute(exit)).isZero();
        }
    }

    @Test
    void anAccessWakesASuspendedDeviceAndSignals() throws VfioException {
        try (Arena arena = Arena.ofConfined(); VfioDevice device = container.openDevice(machine.physicalFunction())) {
            FeatureId feature = FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP;
            if (!device.probe(feature).supports(FeatureOperation.SET)) {
                assertThat(machine.kernel()).isEqualTo("5.7");
                return;
            }
            FeatureRequest entry = FeatureRequest.of(feature).set().allocate(arena);
            int eventfd = machine.backend().eventfd(0, Fcntl.EFD_CLOEXEC | Fcntl.EFD_NONBLOCK);
            MemorySegment counter = arena.allocate(ValueLayout.JAVA_LONG);
            entry.payload().set(ValueLayout.JAVA_INT, 0, eventfd);
            assertThat(device.execute(entry)).isZero();
            machine.pause(UNTIL_SUSPENDED);
            assertThat(device.probe(FeatureId.LOW_POWER_EXIT).supports(FeatureOperation.SET)).isTrue();
            assertThat(machine.backend().read(eventfd, counter)).isEqualTo(8);
            assertThat(counter.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(1);
            assertThat(machine.backend().read(eventfd, counter)).isEqualTo(-Errno.EAGAIN.code());
            assertThat(device.execute(entry)).isZero();
            machine.backend().close(eventfd);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, Integer.MIN_VALUE, 9999})
    void lowPowerWithAnEventfdThatIsNoneIsRefused(int eventfd) throws VfioException {
        try (Arena arena = Arena.ofConfined(); VfioDevice device = container.openDevice(machine.physicalFunction())) {
            FeatureId feature = FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP;
            FeatureRequest entry = FeatureRequest.of(feature).set().allocate(arena);
            entry.payload().set(ValueLayout.JAVA_INT, 0, eventfd);
            Errno expected = !device.probe(feature).supports(FeatureOperation.SET)
                    ? Errno.ENOTTY
                    : eventfd < 0 ? Errno.EINVAL : Errno.EBADF;
            assertThat(device.executeRaw(entry)).isEqualTo(-expected.code());
        }
    }

    @Test
    void deviceMemoryIsExportedAsADescriptor() throws VfioException {
        try (Arena arena = Arena.ofConfined(); VfioDevice device = container.openDevice(machine.physicalFunction())) {
            boolean exports = device.probe(FeatureId.DMA_BUF).supports(FeatureOperation.GET);
            assertThat(exports).isEqualTo(machine.kernel().equals("7.2"));
            if (!exports) {
                return;
            }
            int fd = device.execute(dmaBuf(arena, 0, 0, 0, 4096));
            assertThat(fd).isNotNegative();
            assertThat(machine.backend().close(fd)).isZero();
            assertThat(device.executeRaw(dmaBuf(arena, 0, 1, 0, 4096))).isEqualTo(-Errno.EINVAL.code());
            assertThat(device.executeRaw(dmaBuf(arena, 6, 0, 0, 4096))).isEqualTo(-Errno.ENODEV.code());
            assertThat(device.executeRaw(dmaBuf(arena, 7, 0, 0, 4096))).isEqualTo(-Errno.ENODEV.code());
            assertThat(device.executeRaw(dmaBuf(arena, 0, 0, 1, 4096))).isEqualTo(-Errno.EINVAL.code());
            assertThat(device.executeRaw(dmaBuf(arena, 0, 0, 0, 0))).isEqualTo(-Errno.EINVAL.code());
            assertThat(device.executeRaw(dmaBuf(arena, 0, 0, 0, 1L << 40))).isEqualTo(-Errno.EINVAL.code());
            assertThat(device.executeRaw(dmaBuf(arena, 0, 0, -4096, 4096))).isEqualTo(-Errno.EOVERFLOW.code());
        }
    }

    @Test
    void lowPowerHasAClassThatDoesWithoutRequests() throws VfioException {
        try (VfioDevice device = container.openDevice(machine.physicalFunction());
                EventFd wakeup = vfio.openEventFd()) {
            Optional<LowPowerFeature> feature = device.lowPower();
            assertThat(feature.isPresent()).isEqualTo(!machine.kernel().equals("5.7"));
            if (feature.isEmpty()) {
                return;
            }
            LowPowerFeature lowPower = feature.get();
            lowPower.enter();
            assertThatExceptionOfType(VfioException.class).isThrownBy(lowPower::enter).matches(e -> e.is(Errno.EINVAL));
            lowPower.exit();
            lowPower.enter(wakeup);
            machine.pause(UNTIL_SUSPENDED);
            lowPower.exit();
            assertThat(wakeup.read()).isEqualTo(1);
            assertThat(wakeup.read()).isZero();
        }
    }

    @Test
    void deviceMemoryHasAClassThatOwnsTheDescriptor() throws VfioException {
        try (VfioDevice device = container.openDevice(machine.physicalFunction())) {
            Optional<DmaBufFeature> feature = device.dmaBuf();
            assertThat(feature.isPresent()).isEqualTo(machine.kernel().equals("7.2"));
            if (feature.isEmpty()) {
                return;
            }
            DmaBufFeature export = feature.get();
            List<RegionRange> ranges = List.of(new RegionRange(4096, 4096), new RegionRange(0, 8192));
            try (OwnedDescriptor buffer = export.export(0, ranges)) {
                assertThat(buffer.isOpen()).isTrue();
            }
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> export.export(7, ranges))
                    .matches(e -> e.is(Errno.ENODEV));
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> export.export(0, List.of(new RegionRange(1L << 40, 4096))))
                    .matches(e -> e.is(Errno.EINVAL));
        }
    }

    @Test
    void aPciFunctionHasNoneOfTheOtherFeatures() throws VfioException {
        try (VfioDevice device = container.openDevice(machine.plainFunction())) {
            assertThat(device.migration()).isEmpty();
            assertThat(device.dmaLogging()).isEmpty();
            assertThat(device.busMaster()).isEmpty();
        }
    }

    private static FeatureRequest dmaBuf(Arena arena, int region, int flags, long offset, long length) {
        FeatureRequest request = FeatureRequest.of(FeatureId.DMA_BUF).get().payloadSize(32).allocate(arena);
        MemorySegment payload = request.payload();
        payload.set(ValueLayout.JAVA_INT, 0, region);
        payload.set(ValueLayout.JAVA_INT, 8, flags);
        payload.set(ValueLayout.JAVA_INT, 12, 1);
        payload.set(ValueLayout.JAVA_LONG, 16, offset);
        payload.set(ValueLayout.JAVA_LONG, 24, length);
        return request;
    }

    @Test
    void everyHeaderIsJudgedInOrder() throws VfioException {
        VfToken token = VfToken.random();
        try (VfioDevice owner = openOwner(token);
                VfioDevice user = container.openDevice(enableVirtualFunction(), token)) {
            for (VfioDevice device : List.of(owner, user)) {
                HeaderSweep.run(device);
            }
        }
    }
}
