package io.github.vfio4j.conformance.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Gives each test an emulated kernel of its own, which boots when the test first asks for a part of it: in parameters of
 * the test, of {@code @BeforeEach} and {@code @AfterEach} methods and of the constructor, or in fields marked
 * {@link Emulated}.
 *
 * <table>
 * <caption>What can be asked for, by type</caption>
 * <tr>
 * <td>{@link io.github.vfio4j.Vfio Vfio}</td>
 * <td>the library on this kernel, with the faults between them</td>
 * </tr>
 * <tr>
 * <td>{@link io.github.vfio4j.backend.FaultInjectingBackend FaultInjectingBackend}</td>
 * <td>those faults: none at the beginning of a test</td>
 * </tr>
 * <tr>
 * <td>{@link io.github.vfio4j.backend.IoctlBackend IoctlBackend}</td>
 * <td>the same, as a backend</td>
 * </tr>
 * <tr>
 * <td>{@link io.github.vfio4j.emulation.EmulatedProcess EmulatedProcess}</td>
 * <td>the process behind the faults, which runs as root</td>
 * </tr>
 * <tr>
 * <td>{@link io.github.vfio4j.emulation.EmulatedKernel EmulatedKernel}</td>
 * <td>the kernel: its clock, further processes</td>
 * </tr>
 * </table>
 *
 * <p>
 * When a test and its {@code @AfterEach} methods are over, it fails if any process of its kernel has more open than the
 * standard descriptors; the failure names what was left open.
 *
 * <p>
 * On a method it goes before the one on its class, and that before those on enclosing classes; what it leaves out is
 * taken from there. {@link ForEachKernel} runs tests on several kernels.
 *
 * <pre>{@code
 * @EmulatedVfio(kernel = "6.12", devices = NicTest.Machine.class)
 * class NicTest {
 *     static final class Machine implements EmulatedDevices {
 *         public void addTo(EmulatedKernel.Builder kernel) {
 *             kernel.pciFunction("0000:01:00.0", nic -> nic.sriov(2).memoryBar(0, 16384));
 *         }
 *     }
 *
 *     @Test
 *     void sharesItsFunctions(Vfio vfio, FaultInjectingBackend faults) {
 *         faults.inject(Fault.onFeature(0).fails(Errno.EIO));
 *         …
 *     }
 * }
 * }</pre>
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Documented
@ExtendWith(EmulatedVfioExtension.class)
public @interface EmulatedVfio {

    /**
     * Which kernel.
     *
     * @return the version of a {@link io.github.vfio4j.emulation.KernelProfile}; the newest unless set
     */
    String kernel() default "";

    /**
     * The machine.
     *
     * @return what describes it
     */
    Class<? extends EmulatedDevices> devices() default EmulatedDevices.Standard.class;
}
