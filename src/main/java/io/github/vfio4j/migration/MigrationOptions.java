package io.github.vfio4j.migration;

import java.time.Duration;

/**
 * How a migration is to be carried out.
 *
 * @param precopyRounds
 *            how many rounds of pre-copy there are at most, while the device runs; 0 to stop it at once
 * @param precopyThreshold
 *            bytes: pre-copy ends once the device has handed over its initial bytes, and no more than this has become
 *            dirty again
 * @param bufferSize
 *            bytes that are moved at once, through memory that is allocated once
 * @param stallTimeout
 *            how long the device or the channel may have nothing to give, or take nothing, before that is a failure.
 *            Calls that wait by themselves are not limited by it
 * @param resetOnFailure
 *            whether a device that nothing else can help is reset after a failure; its state is lost then
 */
public record MigrationOptions(int precopyRounds, long precopyThreshold, int bufferSize, Duration stallTimeout,
        boolean resetOnFailure) {

    /** No pre-copy, 1 MiB at once, 30 seconds, no reset. */
    public static final MigrationOptions DEFAULT = new MigrationOptions(0, 0, 1 << 20, Duration.ofSeconds(30), false);

    /** Checks the ranges. */
    public MigrationOptions {
        if (precopyRounds < 0 || precopyThreshold < 0 || bufferSize < 1 || stallTimeout.isNegative()) {
            throw new IllegalArgumentException("A migration has 0 or more rounds, not " + precopyRounds
                    + ", a threshold of 0 or more bytes, not " + precopyThreshold + ", a buffer of 1 or more, not "
                    + bufferSize + ", and a timeout that is not " + stallTimeout);
        }
    }

    /**
     * With pre-copy, if the device is capable of it.
     *
     * @param rounds
     *            how many at most
     * @param threshold
     *            how many bytes may be dirty when the device is stopped
     * @return these options with those
     */
    public MigrationOptions withPrecopy(int rounds, long threshold) {
        return new MigrationOptions(rounds, threshold, bufferSize, stallTimeout, resetOnFailure);
    }

    /**
     * With another buffer.
     *
     * @param bytes
     *            its size
     * @return these options with that
     */
    public MigrationOptions withBufferSize(int bytes) {
        return new MigrationOptions(precopyRounds, precopyThreshold, bytes, stallTimeout, resetOnFailure);
    }

    /**
     * With another limit to standstill.
     *
     * @param timeout
     *            how long nothing may move
     * @return these options with that
     */
    public MigrationOptions withStallTimeout(Duration timeout) {
        return new MigrationOptions(precopyRounds, precopyThreshold, bufferSize, timeout, resetOnFailure);
    }

    /**
     * With a reset where nothing else helps.
     *
     * @return these options with that
     */
    public MigrationOptions withResetOnFailure() {
        return new MigrationOptions(precopyRounds, precopyThreshold, bufferSize, stallTimeout, true);
    }
}
