/**
 * The command line.
 */
@NullMarked
package io.github.vfio4j.cli;

import org.jspecify.annotations.NullMarked;
