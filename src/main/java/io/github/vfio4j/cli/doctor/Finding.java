package io.github.vfio4j.cli.doctor;

/**
 * What a check has found.
 *
 * @param check
 *            the check's name, which stays the same from version to version
 * @param outcome
 *            what it comes to
 * @param message
 *            one sentence
 * @param fix
 *            what to do about it
 */
public record Finding(String check, Outcome outcome, String message, Fix fix) {
}
