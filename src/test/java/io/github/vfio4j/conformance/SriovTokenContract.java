package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.IommuType;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The scenarios of the kernel's own test of VF tokens (selftests, vfio_pci_sriov_uapi_test) through the public API: an
 * owner opens the physical function with a token, and a user opens the virtual one with the same token, with another and
 * with none (semantics §D.4). By groups and containers of both versions of type1; the public API has no iommufd yet,
 * neither in place of a container nor with the device's own file.
 */
abstract class SriovTokenContract {

    private static final VfToken FIRST = VfToken.random();
    private static final VfToken SECOND = VfToken.random();

    /** What the user has for a token. */
    enum Given {
        FIRST_TOKEN, SECOND_TOKEN, NO_TOKEN;

        @Nullable
        VfToken token() {
            return switch (this) {
                case FIRST_TOKEN -> FIRST;
                case SECOND_TOKEN -> SECOND;
                case NO_TOKEN -> null;
            };
        }
    }

    private Machine machine;
    private Vfio vfio;

    /** The machine this suite runs on. */
    abstract Machine machine();

    static List<Arguments> variants() {
        return Arrays.stream(IommuType.values())
                .flatMap(type -> Arrays.stream(Given.values()).map(given -> Arguments.of(type, given))).toList();
    }

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

    /** After the owner is open or closed again: that resets it, and can take the virtual functions away. */
    private void openVirtualFunction(VfioContainer container, Given given, VfToken valid) throws VfioException {
        PciDevice owner = vfio.pciDevice(machine.physicalFunction());
        owner.setSriovNumVfs(1);
        PciAddress virtualFunction = owner.virtualFunction(0).orElseThrow();
        assertThat(vfio.pciDevice(virtualFunction).driver()).contains("vfio-pci");
        VfToken token = given.token();
        if (valid.equals(token)) {
            try (VfioDevice user = container.openDevice(virtualFunction, token)) {
                assertThat(user.probeAll()).hasSize(13);
            }
        } else {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> (token == null
                    ? container.openDevice(virtualFunction)
                    : container.openDevice(virtualFunction, token)).close()).matches(e -> e.is(Errno.EACCES));
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void theTokenHasToMatch(IommuType type, Given given) throws VfioException {
        try (VfioContainer container = vfio.openContainer(type);
                VfioDevice owner = container.openDevice(machine.physicalFunction(), FIRST)) {
            assertThat(owner.vfToken()).isPresent();
            openVirtualFunction(container, given, FIRST);
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void theTokenOutlivesTheOwner(IommuType type, Given given) throws VfioException {
        try (VfioContainer container = vfio.openContainer(type)) {
            container.openDevice(machine.physicalFunction(), FIRST).close();
            openVirtualFunction(container, given, FIRST);
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void theTokenThatWasSetLastCounts(IommuType type, Given given) throws VfioException {
        try (VfioContainer container = vfio.openContainer(type);
                VfioDevice owner = container.openDevice(machine.physicalFunction(), FIRST)) {
            owner.vfToken().orElseThrow().set(SECOND);
            openVirtualFunction(container, given, SECOND);
        }
    }
}
