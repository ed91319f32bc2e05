/**
 * What a run of the conformance kit has seen, and how it is told: on the console, and as one page of HTML.
 */
@NullMarked
package io.github.vfio4j.conformance.report;

import org.jspecify.annotations.NullMarked;
