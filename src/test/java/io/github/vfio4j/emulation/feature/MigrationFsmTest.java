package io.github.vfio4j.emulation.feature;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The four tables of single steps, one for each set of capabilities, and what is in none of them (semantics §B.2.5). */
class MigrationFsmTest {

    /** Columns of every table; a row begins with the state one is in. S STOP, R RUNNING, C STOP_COPY, E RESUMING. */
    private static final String STOP_COPY_ONLY = """
            from S1 R2 C3 E4
            1    1  2  3  4
            2    1  2  1  1
            3    1  1  3  1
            4    1  1  1  4
            """;

    private static final String WITH_P2P = """
            from S1 R2 C3 E4 P5
            1    1  5  3  4  5
            2    5  2  5  5  5
            3    1  1  3  1  1
            4    1  1  1  4  1
            5    1  2  1  1  5
            """;

    private static final String WITH_PRE_COPY = """
            from S1 R2 C3 E4 A6
            1    1  2  3  4  2
            2    1  2  1  1  6
            3    1  1  3  1  -
            4    1  1  1  4  1
            6    2  2  3  2  6
            """;

    private static final String WITH_BOTH = """
            from S1 R2 C3 E4 P5 A6 B7
            1    1  5  3  4  5  5  5
            2    5  2  5  5  5  6  5
            3    1  1  3  1  1  -  -
            4    1  1  1  4  1  1  1
            5    1  2  1  1  5  2  7
            6    2  2  7  2  2  6  7
            7    5  5  3  5  5  6  7
            """;

    static Stream<Arguments> steps() {
        List<Arguments> steps = new ArrayList<>();
        addSteps(steps, 1, STOP_COPY_ONLY);
        addSteps(steps, 3, WITH_P2P);
        addSteps(steps, 5, WITH_PRE_COPY);
        addSteps(steps, 7, WITH_BOTH);
        return steps.stream();
    }

    private static void addSteps(List<Arguments> steps, int flags, String table) {
        List<String> rows = table.lines().toList();
        List<String> columns = List.of(rows.getFirst().split(" +"));
        for (String row : rows.subList(1, rows.size())) {
            List<String> cells = List.of(row.split(" +"));
            for (int i = 1; i < cells.size(); i++) {
                int next = cells.get(i).equals("-") ? -Errno.EINVAL.code() : Integer.parseInt(cells.get(i));
                steps.add(Arguments.of(flags, Integer.parseInt(cells.getFirst()),
                        Integer.parseInt(columns.get(i).substring(1)), next));
            }
        }
    }

    @ParameterizedTest(name = "flags {0}: from {1} to {2} by way of {3}")
    @MethodSource("steps")
    void theNextStepIsThatOfTheTable(int flags, int from, int to, int next) {
        assertThat(MigrationFsm.nextState(from, to, flags)).isEqualTo(next);
    }

    static Stream<Arguments> missing() {
        List<Arguments> missing = new ArrayList<>();
        for (int flags : new int[]{1, 3, 5, 7}) {
            for (int state : new int[]{Integer.MIN_VALUE, -1, 0, 8, 1000}) {
                missing.add(Arguments.of(flags, state));
            }
        }
        missing.addAll(List.of(Arguments.of(1, 5), Arguments.of(1, 6), Arguments.of(1, 7), Arguments.of(3, 6),
                Arguments.of(3, 7), Arguments.of(5, 5), Arguments.of(5, 7), Arguments.of(0, 2)));
        return missing.stream();
    }

    @ParameterizedTest(name = "flags {0}: there is no state {1}")
    @MethodSource("missing")
    void aStateTheDeviceDoesNotHaveIsRefused(int flags, int state) {
        assertThat(MigrationFsm.nextState(2, state, flags)).isEqualTo(-Errno.EINVAL.code());
        assertThat(MigrationFsm.nextState(state, 2, flags)).isEqualTo(-Errno.EINVAL.code());
    }
}
