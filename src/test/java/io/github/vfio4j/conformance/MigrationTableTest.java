package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The table against examples that the specification gives in words (semantics §B.2.5). */
class MigrationTableTest {

    @Test
    void whatADeviceDoesNotHaveIsPassedThrough() {
        assertThat(new MigrationTable(7).walk(MigrationTable.STOP, MigrationTable.RUNNING)).contains(List.of(5, 2));
        assertThat(new MigrationTable(5).walk(MigrationTable.STOP, MigrationTable.RUNNING)).contains(List.of(2));
        assertThat(new MigrationTable(5).walk(6, MigrationTable.STOP_COPY)).contains(List.of(3));
        assertThat(new MigrationTable(1).walk(MigrationTable.RUNNING, 6)).isEmpty();
        assertThat(new MigrationTable(7).walk(MigrationTable.STOP_COPY, 6)).isEmpty();
        assertThat(new MigrationTable(7).walk(3, 3)).contains(List.of());
    }

    @Test
    void onlyWaysBetweenStatesThatThereAreCanBeBlocked() {
        assertThat(new MigrationTable(7).isBlocked(MigrationTable.STOP_COPY, 7)).isTrue();
        assertThat(new MigrationTable(3).isBlocked(MigrationTable.STOP_COPY, 7)).isFalse();
        assertThat(new MigrationTable(7).isBlocked(MigrationTable.STOP_COPY, 0)).isFalse();
        assertThat(new MigrationTable(7).isBlocked(MigrationTable.STOP_COPY, MigrationTable.STOP)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"6.12.94, false", "6.12.107+deb13-amd64, true", "6.12, false", "6.18.3-arch1, false", "7.1.9, false",
            "7.2.13-1, true", "7.10.0, true", "8.0.0-rc1, true", "none, false"})
    void kernelsThatAreKnownToRefuseABlockedWay(String release, boolean refuses) {
        assertThat(MigrationTable.isRefusedBy(release)).isEqualTo(refuses);
    }
}
