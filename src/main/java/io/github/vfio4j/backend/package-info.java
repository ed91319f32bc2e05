/**
 * The system calls as a seam ({@link io.github.vfio4j.backend.IoctlBackend}), the real ones behind it, and what can be put in
 * front: {@link io.github.vfio4j.backend.FaultInjectingBackend}.
 */
@NullMarked
package io.github.vfio4j.backend;

import org.jspecify.annotations.NullMarked;
