/**
 * What stands between a user and a working device: one class for each thing that has to be right.
 */
@NullMarked
package io.github.vfio4j.cli.doctor;

import org.jspecify.annotations.NullMarked;
