package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.IommuType;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The scenarios of the kernel's own test of VF tokens (selftests, vfio_pci_sriov_uapi_test) through the public API: an
 * owner opens the physical function with a token, and a user opens the virtual one with the same token, with another and
 * with none (semantics §D.4). By groups and containers of both versions of type1, and by the devices' own files bound to an
 * iommufd, where the kernel has them: what one does that lacks them, or that takes no tokens there, is a scenario too.
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

    /** The ways to devices that the kernel's own test takes. */
    enum Way {
        TYPE1, TYPE1V2, IOMMUFD;

        Iommu open(Vfio vfio) throws VfioException {
            return switch (this) {
                case TYPE1 -> vfio.openContainer(IommuType.TYPE1);
                case TYPE1V2 -> vfio.openContainer(IommuType.TYPE1V2);
                case IOMMUFD -> vfio.openIommufd();
            };
        }
    }

    private Machine machine;
    private Vfio vfio;

    /** The machine this suite runs on. */
    abstract Machine machine();

    static List<Arguments> variants() {
        return Arrays.stream(Way.values())
                .flatMap(way -> Arrays.stream(Given.values()).map(given -> Arguments.of(way, given))).toList();
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

    private static VfioDevice open(Iommu iommu, PciAddress function, @Nullable VfToken token) throws VfioException {
        return token == null ? iommu.openDevice(function) : iommu.openDevice(function, token);
    }

    private static void assertRefused(Errno errno, String part, ThrowingCallable opening) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(opening).matches(e -> e.is(errno))
                .withMessageContaining(part);
    }

    /** After the owner is open or closed again: that resets it, and can take the virtual functions away. */
    private PciAddress addVirtualFunction() throws VfioException {
        PciDevice owner = vfio.pciDevice(machine.physicalFunction());
        owner.setSriovNumVfs(1);
        PciAddress virtualFunction = owner.virtualFunction(0).orElseThrow();
        assertThat(vfio.pciDevice(virtualFunction).driver()).contains("vfio-pci");
        return virtualFunction;
    }

    private void openVirtualFunction(Iommu iommu, Given given, VfToken valid) throws VfioException {
        PciAddress virtualFunction = addVirtualFunction();
        VfToken token = given.token();
        if (valid.equals(token)) {
            try (VfioDevice user = open(iommu, virtualFunction, token)) {
                assertThat(user.probeAll()).hasSize(13);
            }
        } else {
            assertRefused(Errno.EACCES, "token", () -> open(iommu, virtualFunction, token).close());
        }
    }

    /**
     * Whether a scenario is another one on this kernel, in which no token can be asked for; it is gone through then. A
     * device without a file of its own, or a kernel without iommufd, is told. A kernel that takes no token when a device is
     * bound follows no token rule there either: whoever gives none gets the function, whatever its owner has set.
     */
    private boolean hasNoTokens(Way way, Given given) throws VfioException {
        KernelProfile kernel = machine.profile();
        if (way != Way.IOMMUFD || (kernel.hasCdev() && kernel.bindTokens())) {
            return false;
        }
        if (!kernel.hasIommufd()) {
            assertRefused(Errno.ENOENT, "CONFIG_IOMMUFD", () -> vfio.openIommufd().close());
            return true;
        }
        PciAddress physicalFunction = machine.physicalFunction();
        try (Iommu iommu = way.open(vfio)) {
            if (!kernel.hasCdev()) {
                assertRefused(Errno.ENOENT, "CONFIG_VFIO_DEVICE_CDEV",
                        () -> open(iommu, physicalFunction, given.token()).close());
                return true;
            }
            assertRefused(Errno.EINVAL, "takes no VF token", () -> iommu.openDevice(physicalFunction, FIRST).close());
            try (VfioDevice owner = iommu.openDevice(physicalFunction)) {
                owner.vfToken().orElseThrow().set(FIRST);
                PciAddress virtualFunction = addVirtualFunction();
                if (given == Given.NO_TOKEN) {
                    iommu.openDevice(virtualFunction).close();
                } else {
                    assertRefused(Errno.EINVAL, "takes no VF token",
                            () -> open(iommu, virtualFunction, given.token()).close());
                }
            }
        }
        return true;
    }

    @ParameterizedTest
    @MethodSource("variants")
    void theTokenHasToMatch(Way way, Given given) throws VfioException {
        if (hasNoTokens(way, given)) {
            return;
        }
        try (Iommu iommu = way.open(vfio); VfioDevice owner = iommu.openDevice(machine.physicalFunction(), FIRST)) {
            assertThat(owner.vfToken()).isPresent();
            openVirtualFunction(iommu, given, FIRST);
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void theTokenOutlivesTheOwner(Way way, Given given) throws VfioException {
        if (hasNoTokens(way, given)) {
            return;
        }
        try (Iommu iommu = way.open(vfio)) {
            iommu.openDevice(machine.physicalFunction(), FIRST).close();
            openVirtualFunction(iommu, given, FIRST);
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void theTokenThatWasSetLastCounts(Way way, Given given) throws VfioException {
        if (hasNoTokens(way, given)) {
            return;
        }
        try (Iommu iommu = way.open(vfio); VfioDevice owner = iommu.openDevice(machine.physicalFunction(), FIRST)) {
            owner.vfToken().orElseThrow().set(SECOND);
            openVirtualFunction(iommu, given, SECOND);
        }
    }
}
