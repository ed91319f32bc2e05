/**
 * What an emulated process sees of the kernel: descriptors, open files, its own memory.
 */
@NullMarked
package io.github.vfio4j.emulation.fs;

import org.jspecify.annotations.NullMarked;
