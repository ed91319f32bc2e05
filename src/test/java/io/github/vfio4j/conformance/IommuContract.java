package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.IommuChoice;
import io.github.vfio4j.Iommufd;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.FeatureId;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What both kinds of {@link Iommu} promise. On a kernel that lacks what an iommufd needs, the tests of one are that this is
 * told.
 */
@SuppressWarnings("NullAway.Init") // set before each test
abstract class IommuContract {

    /** The ways to get one. */
    enum Way {
        CONTAINER, IOMMUFD, CHOSEN;

        Iommu open(Vfio vfio) throws VfioException {
            return switch (this) {
                case CONTAINER -> vfio.openContainer();
                case IOMMUFD -> vfio.openIommufd();
                case CHOSEN -> vfio.openIommu();
            };
        }
    }

    private Machine machine;
    private Vfio vfio;

    /** The machine this suite runs on. */
    abstract Machine machine();

    @BeforeEach
    void begin() {
        machine = machine();
        vfio = Vfio.using(machine.backend());
    }

    @AfterEach
    void removeVirtualFunctions() throws VfioException {
        PciDevice owner = vfio.pciDevice(machine.physicalFunction());
        if (owner.sriovNumVfs() > 0) {
            owner.setSriovNumVfs(0);
        }
    }

    private boolean isMissing(Way way) throws VfioException {
        if (way != Way.IOMMUFD || machine.profile().hasCdev()) {
            return false;
        }
        if (!machine.profile().hasIommufd()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(vfio::openIommufd)
                    .matches(e -> e.is(Errno.ENOENT)).withMessageContaining("Vfio.openContainer");
            return true;
        }
        try (Iommu iommu = way.open(vfio)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> iommu.openDevice(machine.plainFunction()))
                    .matches(e -> e.is(Errno.ENOENT)).withMessageContaining("Vfio.openContainer");
        }
        return true;
    }

    @Test
    void theChoiceIsToldAndTaken() throws VfioException {
        IommuChoice choice = vfio.iommuChoice();
        try (Iommu iommu = vfio.openIommu()) {
            if (machine.profile().hasCdev()) {
                assertThat(choice.kind()).isEqualTo(IommuChoice.Kind.IOMMUFD);
                assertThat(choice).hasToString("iommufd (there are /dev/iommu and /dev/vfio/devices)");
                assertThat(iommu).isInstanceOf(Iommufd.class);
            } else {
                assertThat(choice.kind()).isEqualTo(IommuChoice.Kind.CONTAINER);
                assertThat(choice).hasToString(machine.profile().hasIommufd()
                        ? "container (there is /dev/iommu, but no /dev/vfio/devices)"
                        : "container (open /dev/iommu: ENOENT (no such file or directory))");
                assertThat(iommu).isInstanceOf(VfioContainer.class);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void severalDevicesShareIt(Way way) throws VfioException {
        if (isMissing(way)) {
            return;
        }
        try (Iommu iommu = way.open(vfio); VfioDevice owner = iommu.openDevice(machine.physicalFunction())) {
            VfioDevice plain = iommu.openDevice(machine.plainFunction());
            assertThat(owner).hasToString("device " + machine.physicalFunction());
            assertThat(owner.vfToken()).isPresent();
            assertThat(plain.vfToken()).isEmpty();
            plain.close();
            iommu.openDevice(machine.plainFunction()).close();
            assertThat(owner.probeAll()).hasSize(13);
        }
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void itsDevicesAreClosedWithIt(Way way) throws VfioException {
        if (isMissing(way)) {
            return;
        }
        Iommu iommu = way.open(vfio);
        VfioDevice device = iommu.openDevice(machine.plainFunction());
        iommu.close();
        iommu.close();
        device.close();
        assertThatIllegalStateException().isThrownBy(() -> device.probe(FeatureId.DMA_BUF))
                .withMessageContaining("is closed");
        assertThatIllegalStateException().isThrownBy(() -> iommu.openDevice(machine.plainFunction()))
                .withMessageContaining("is closed");
        try (Iommu again = way.open(vfio); VfioDevice reopened = again.openDevice(machine.plainFunction())) {
            assertThat(reopened.probeAll()).hasSize(13);
        }
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void whoComesSecondIsRefused(Way way) throws VfioException {
        if (isMissing(way)) {
            return;
        }
        PciAddress plain = machine.plainFunction();
        try (Iommu first = way.open(vfio); VfioDevice device = first.openDevice(plain)) {
            for (Way other : Way.values()) {
                if (isMissing(other)) {
                    continue;
                }
                try (Iommu second = other.open(vfio)) {
                    // Two files of the device can be open, but only one can be bound.
                    Errno errno = first instanceof Iommufd && second instanceof Iommufd ? Errno.EINVAL : Errno.EBUSY;
                    assertThatExceptionOfType(VfioException.class).isThrownBy(() -> second.openDevice(plain))
                            .matches(e -> e.is(errno)).withMessageContaining("fuser");
                }
            }
            assertThat(device.probeAll()).hasSize(13);
        }
        for (Way other : Way.values()) {
            if (!isMissing(other)) {
                try (Iommu next = other.open(vfio)) {
                    next.openDevice(plain).close();
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void aFunctionThatIsNotBoundIsToldHowToBindIt(Way way) throws VfioException {
        if (isMissing(way)) {
            return;
        }
        try (Iommu iommu = way.open(vfio)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> iommu.openDevice(machine.unboundFunction()))
                    .withMessageContaining("is bound to no driver").withMessageContaining("drivers_probe");
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> iommu.openDevice(PciAddress.parse("0000:7f:1f.7")))
                    .withMessageContaining("no PCI function at this address");
        }
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void aPlainFunctionTakesNoToken(Way way) throws VfioException {
        if (isMissing(way)) {
            return;
        }
        try (Iommu iommu = way.open(vfio)) {
            String reason = iommu instanceof Iommufd && !machine.profile().bindTokens()
                    ? "This kernel takes no VF token"
                    : "The function takes no VF token";
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> iommu.openDevice(machine.plainFunction(), VfToken.random()))
                    .matches(e -> e.is(Errno.EINVAL)).withMessageContaining(reason);
            iommu.openDevice(machine.plainFunction()).close();
        }
    }
}
