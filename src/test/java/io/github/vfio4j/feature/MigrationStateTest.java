package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MigrationStateTest {

    /** enum vfio_device_mig_state, in order. */
    private static final List<String> NAMES = List.of("ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING",
            "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P");

    @Test
    void everyStateHasItsNumber() {
        assertThat(MigrationState.values()).hasSize(NAMES.size());
        for (int value = 0; value < NAMES.size(); value++) {
            assertThat(MigrationState.of(value)).map(MigrationState::name).contains(NAMES.get(value));
            assertThat(MigrationState.valueOf(NAMES.get(value)).value()).isEqualTo(value);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 9, -1, Integer.MIN_VALUE, Integer.MAX_VALUE})
    void aNumberWithoutAStateIsNone(int value) {
        assertThat(MigrationState.of(value)).isEmpty();
    }
}
