package io.github.vfio4j.conformance.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.ClassTemplate;
import org.junit.jupiter.api.TestTemplate;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Runs a test, in place of {@code @Test}, or all tests of a class once on each of several kernels. Otherwise as
 * {@link EmulatedVfio}, which says what the machine is like; the kernel is said here and not there.
 *
 * <pre>{@code
 * @ForEachKernel({"6.1", "6.12"})
 * void opens(Vfio vfio) throws VfioException {
 *     vfio.openContainer().close();
 * }
 * }</pre>
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Documented
@TestTemplate
@ClassTemplate
@ExtendWith(EmulatedVfioExtension.class)
public @interface ForEachKernel {

    /**
     * Which kernels.
     *
     * @return versions of {@link io.github.vfio4j.emulation.KernelProfile}; all of them unless set
     */
    String[] value() default {};
}
