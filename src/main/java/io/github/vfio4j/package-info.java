/**
 * What an application holds: {@link io.github.vfio4j.Vfio the entry point}, container, group and device, and the VF
 * token.
 *
 * <p>
 * A request goes one way: a {@link io.github.vfio4j.feature feature} says what is wanted and lays it out, the device
 * guards its descriptor, a {@link io.github.vfio4j.backend backend} makes the ioctl, and one place turns the result into
 * an answer or a {@link io.github.vfio4j.VfioException}.
 */
@NullMarked
package io.github.vfio4j;

import org.jspecify.annotations.NullMarked;
