/**
 * For tests of applications with JUnit 5: each test gets an emulated kernel with devices, faults that it can inject, and
 * a look at what it has left open ({@link io.github.vfio4j.conformance.junit.EmulatedVfio}).
 */
@NullMarked
package io.github.vfio4j.conformance.junit;

import org.jspecify.annotations.NullMarked;
