/**
 * What an application does with an open device besides its features: information, regions, configuration space,
 * interrupts, resets. All of it begins at {@link io.github.vfio4j.VfioDevice}.
 */
@org.jspecify.annotations.NullMarked
package io.github.vfio4j.device;
