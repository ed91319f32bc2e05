/**
 * Transcripts: system calls that were made against a VFIO kernel, written down in enough detail to be made again on another
 * one and compared byte for byte. {@link io.github.vfio4j.trace.RecordingBackend} writes them,
 * {@link io.github.vfio4j.trace.Replayer} makes the calls again. Needs Jackson core on the module or class path.
 */
@NullMarked
package io.github.vfio4j.trace;

import org.jspecify.annotations.NullMarked;
