package io.github.vfio4j.trace;

import java.util.List;

/**
 * What came of replaying a transcript.
 *
 * @param calls
 *            how many calls were made and compared
 * @param divergences
 *            those that were answered otherwise, in the order of their lines
 */
public record Replay(int calls, List<Divergence> divergences) {

    /** Keeps a copy. */
    public Replay {
        divergences = List.copyOf(divergences);
    }

    /** The count, for example {@code 12 calls, 0 divergences}. */
    @Override
    public String toString() {
        return calls + " calls, " + divergences.size() + " divergences";
    }
}
