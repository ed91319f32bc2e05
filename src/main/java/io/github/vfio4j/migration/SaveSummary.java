package io.github.vfio4j.migration;

import java.time.Duration;

/**
 * How a save went.
 *
 * @param bytes
 *            length of the stream
 * @param precopyBytes
 *            how much of it was moved while the device ran
 * @param precopyRounds
 *            in how many rounds; 0 if the device is not capable of pre-copy
 * @param stopped
 *            from when the device was asked to stop until its last data were written: this device's part of the downtime
 */
public record SaveSummary(long bytes, long precopyBytes, int precopyRounds, Duration stopped) {
}
