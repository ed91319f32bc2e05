/**
 * The conformance kit: properties that hold for VFIO_DEVICE_FEATURE on every device of every kernel, for authors of kernel
 * drivers and of device models.
 *
 * <ul>
 * <li>{@link io.github.vfio4j.conformance.FeatureConformance} and {@link io.github.vfio4j.conformance.TokenConformance}: the
 * properties, for a subclass that names devices;
 * <li>{@link io.github.vfio4j.conformance.ConformanceRunner}: the same from the command line, with reports;
 * <li>{@link io.github.vfio4j.conformance.junit}: emulated kernels for the tests of applications.
 * </ul>
 *
 * <p>
 * It is published as {@code io.github.vfio4j:vfio4j} with the classifier {@code conformance}. Such an artifact brings no
 * dependencies; besides vfio4j itself it takes
 *
 * <ul>
 * <li>for the extension, {@code org.junit.jupiter:junit-jupiter};
 * <li>for the properties, {@code net.jqwik:jqwik} (1.9.3), {@code org.assertj:assertj-core},
 * {@code com.fasterxml.jackson.core:jackson-core}, and native access ({@code --enable-native-access=ALL-UNNAMED});
 * <li>for the runner also {@code org.junit.platform:junit-platform-launcher},
 * {@code org.junit.platform:junit-platform-reporting} and {@code info.picocli:picocli}.
 * </ul>
 */
package io.github.vfio4j.conformance;
