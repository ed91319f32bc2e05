package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PrecopyInfoTest {

    /** Both numbers are unsigned in the kernel; what does not fit is as much as can be said. */
    @ParameterizedTest
    @CsvSource({"0, 0, 0", "1, 2, 3", "9223372036854775806, 1, 9223372036854775807",
            "9223372036854775807, 1, 9223372036854775807", "-1, 1, 9223372036854775807", "1, -1, 9223372036854775807",
            "-1, 0, 9223372036854775807", "0, -1, 9223372036854775807", "-5, 9, 9223372036854775807",
            "9, -5, 9223372036854775807"})
    void whatIsLeftIsTheSum(long initial, long dirty, long sum) {
        assertThat(new PrecopyInfo(initial, dirty, false).remainingBytes()).isEqualTo(sum);
    }
}
