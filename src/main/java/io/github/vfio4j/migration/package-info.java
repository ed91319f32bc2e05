/**
 * Live migration of one device as a whole: {@link io.github.vfio4j.migration.MigrationDriver saving its state to a channel
 * and restoring it from one}, on top of the device feature that goes from state to state.
 */
@NullMarked
package io.github.vfio4j.migration;

import org.jspecify.annotations.NullMarked;
