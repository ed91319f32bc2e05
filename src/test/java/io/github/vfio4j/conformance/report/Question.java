package io.github.vfio4j.conformance.report;

/**
 * What a device was asked.
 *
 * @param target
 *            the device's name
 * @param kernel
 *            the kernel it is on
 * @param feature
 *            index of the feature
 * @param operation
 *            for example {@code PROBE|GET}, or {@code none}
 */
public record Question(String target, String kernel, int feature, String operation) {
}
