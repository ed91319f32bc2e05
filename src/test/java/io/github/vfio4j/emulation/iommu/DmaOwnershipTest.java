package io.github.vfio4j.emulation.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** One owner at a time, as often as he likes; and none while a host driver uses the group. */
class DmaOwnershipTest {

    private static final int EPERM = -Errno.EPERM.code();

    private final AtomicBoolean host = new AtomicBoolean();
    private final DmaOwnership ownership = new DmaOwnership(host::get);

    @Test
    void anotherOwnerHasToWaitForTheLastRelease() {
        assertThat(ownership.isClaimed()).isFalse();
        assertThat(ownership.claim("one")).isZero();
        assertThat(ownership.claim("one")).isZero();
        assertThat(ownership.claim("other")).isEqualTo(EPERM);
        ownership.release();
        assertThat(ownership.isClaimed()).isTrue();
        assertThat(ownership.claim("other")).isEqualTo(EPERM);
        assertThat(ownership.claim("one")).isZero();
        ownership.release();
        ownership.release();
        assertThat(ownership.isClaimed()).isFalse();
        assertThat(ownership.claim("other")).isZero();
    }

    @Test
    void aHostDriverKeepsEverybodyOutWhoIsNotIn() {
        assertThat(ownership.claim("one")).isZero();
        ownership.release();
        host.set(true);
        assertThat(ownership.isClaimed()).isTrue();
        assertThat(ownership.claim("one")).as("who was in before").isEqualTo(EPERM);
        host.set(false);
        assertThat(ownership.claim("one")).isZero();
    }
}
