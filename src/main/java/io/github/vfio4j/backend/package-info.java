/**
 * The system calls as a seam ({@link io.github.vfio4j.backend.IoctlBackend}), and the real ones behind it.
 */
@NullMarked
package io.github.vfio4j.backend;

import org.jspecify.annotations.NullMarked;
