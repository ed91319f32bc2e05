package io.github.vfio4j.conformance.junit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.engine.TestExecutionResult;

/** Runs classes that use the extension, and looks at what becomes of them. */
@SuppressWarnings("NullAway.Init") // the extension fills fields
class EmulatedVfioExtensionTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");

    /** The tests and classes that were run, with how they failed. */
    private static final class Run implements TestExecutionListener {

        private final List<String> passed = new ArrayList<>();
        private final List<Throwable> failures = new ArrayList<>();

        static Run of(Class<?> type) {
            Run run = new Run();
            LauncherFactory.create()
                    .execute(LauncherDiscoveryRequestBuilder.request().selectors(DiscoverySelectors.selectClass(type))
                            .filters(EngineFilter.includeEngines("junit-jupiter")).build(), run);
            return run;
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            if (result.getThrowable().isPresent()) {
                failures.add(result.getThrowable().get());
            } else if (test.isTest()) {
                passed.add(test.getDisplayName());
            }
        }

        void assertPassed(int tests) {
            assertThat(failures).isEmpty();
            assertThat(passed).hasSize(tests);
        }

        void assertFailed(String... parts) {
            assertThat(failures).singleElement().satisfies(failure -> assertThat(failure.getMessage()).contains(parts));
        }
    }

    private static List<String> addresses(EmulatedKernel kernel) {
        return kernel.pciFunctions().stream().map(PciAddress::toString).toList();
    }

    static final class OneFunction implements EmulatedDevices {
        @Override
        public void addTo(EmulatedKernel.Builder kernel) {
            kernel.pciFunction("0000:07:00.0", function -> function.sriov(1));
        }
    }

    @EmulatedVfio(kernel = "6.1")
    static class Injected {

        private final EmulatedKernel fromConstructor;
        private @Nullable IoctlBackend fromBeforeEach;

        @Emulated
        private EmulatedProcess field;

        Injected(EmulatedKernel kernel) {
            fromConstructor = kernel;
        }

        @BeforeEach
        void before(IoctlBackend backend) {
            fromBeforeEach = backend;
        }

        @Test
        void partsOfOneKernel(Vfio vfio, FaultInjectingBackend faults, EmulatedProcess process, EmulatedKernel kernel)
                throws VfioException {
            assertThat(fromConstructor).isSameAs(kernel).isSameAs(process.kernel()).hasToString("emulated Linux 6.1");
            assertThat(fromBeforeEach).isSameAs(faults);
            assertThat(field).isSameAs(process);
            assertThat(addresses(kernel)).containsExactly("0000:01:00.0", "0000:02:00.0");
            try (var container = vfio.openContainer()) {
                assertThat(container.supports(3)).isTrue();
                assertThat(process.openDescriptors()).isEqualTo(4);
            }
            faults.inject(Fault.onPath("/dev/vfio/vfio").fails(Errno.EMFILE));
            assertThatExceptionOfType(VfioException.class).isThrownBy(vfio::openContainer)
                    .matches(e -> e.is(Errno.EMFILE));
        }

        @Test
        @EmulatedVfio(kernel = "5.7")
        void theMethodSaysTheKernel(EmulatedKernel kernel) {
            assertThat(kernel).isSameAs(fromConstructor).hasToString("emulated Linux 5.7");
        }

        @Test
        @EmulatedVfio(devices = OneFunction.class)
        void theMethodSaysTheDevices(EmulatedKernel kernel) {
            assertThat(kernel).hasToString("emulated Linux 6.1");
            assertThat(addresses(kernel)).containsExactly("0000:07:00.0");
        }

        @ParameterizedTest
        @ValueSource(ints = {1, 2})
        void otherTemplatesToo(int number, EmulatedKernel kernel) {
            assertThat(number).isPositive();
            assertThat(kernel).isSameAs(fromConstructor);
        }

        @Nested
        @EmulatedVfio(devices = OneFunction.class)
        class Inside {
            @Test
            void whatIsLeftOutIsTakenFromOutside(EmulatedKernel kernel) {
                assertThat(kernel).isSameAs(fromConstructor).hasToString("emulated Linux 6.1");
                assertThat(addresses(kernel)).containsExactly("0000:07:00.0");
            }
        }
    }

    @Test
    void allPartsAreInjected() {
        Run.of(Injected.class).assertPassed(6);
    }

    @EmulatedVfio
    static class Newest {
        @Test
        void theNewestKernelUnlessSaid(EmulatedKernel kernel) {
            assertThat(kernel).hasToString("emulated Linux 7.2");
        }

        @ForEachKernel({"5.7", "6.12"})
        void someKernels(EmulatedKernel kernel) {
            assertThat(kernel.profile().version()).isIn("5.7", "6.12");
        }
    }

    @ForEachKernel
    @EmulatedVfio(devices = OneFunction.class)
    static class EachKernel {

        private static final List<String> SEEN = new ArrayList<>();

        @Emulated
        private EmulatedKernel kernel;

        @Test
        void test() {
            SEEN.add(kernel.profile().version());
            assertThat(addresses(kernel)).containsExactly("0000:07:00.0");
        }
    }

    @Test
    void testsRunOnceForEachKernel() {
        Run run = Run.of(Newest.class);
        run.assertPassed(3);
        assertThat(run.passed).contains("Linux 5.7", "Linux 6.12");
        EachKernel.SEEN.clear();
        Run.of(EachKernel.class).assertPassed(4);
        assertThat(EachKernel.SEEN).containsExactly("5.7", "6.1", "6.12", "7.2");
    }

    @EmulatedVfio
    static class Leaking {
        @Test
        void leaves(Vfio vfio, EmulatedKernel kernel) throws VfioException {
            VfToken token = VfToken.parse("00112233-4455-6677-8899-aabbccddeeff");
            assertThat(vfio.openContainer().openDevice(OWNER, token).vfToken()).isPresent();
            assertThat(kernel.newProcess().eventfd(0, 0)).isEqualTo(3);
        }
    }

    @Test
    void whatIsLeftOpenIsToldByName() {
        Run run = Run.of(Leaking.class);
        run.assertFailed("Left open by the test: descriptor 3, /dev/vfio/vfio; descriptor 4, /dev/vfio/",
                "; descriptor 5, device 0000:01:00.0; descriptor 3 of process 2, eventfd. Close what it opens");
        assertThat(run.failures.getFirst().getMessage()).doesNotContain("00112233");
    }

    @EmulatedVfio
    static class Closing {

        private int fd;

        @Test
        void opens(EmulatedProcess process, EmulatedKernel kernel) {
            fd = process.open("/dev/vfio/vfio", Fcntl.O_RDWR);
            EmulatedProcess ended = kernel.newUnprivilegedProcess();
            assertThat(ended.eventfd(0, 0)).isEqualTo(3);
            ended.close();
        }

        @AfterEach
        void close(EmulatedProcess process) {
            assertThat(process.close(fd)).isZero();
        }
    }

    @Test
    void whatAfterEachClosesAndWhatEndsWithItsProcessIsNoLeak() {
        Run.of(Closing.class).assertPassed(1);
    }

    @EmulatedVfio
    static class FailingAndLeaking {
        @Test
        void fails(EmulatedProcess process) {
            assertThat(process.eventfd(0, 0)).isEqualTo(3);
            throw new IllegalStateException("its own failure");
        }
    }

    @Test
    void aTestsOwnFailureComesFirst() {
        Run run = Run.of(FailingAndLeaking.class);
        run.assertFailed("its own failure");
        assertThat(run.failures.getFirst().getSuppressed()).singleElement()
                .satisfies(leak -> assertThat(leak).hasMessageContaining("descriptor 3, eventfd"));
    }

    @EmulatedVfio
    @TestMethodOrder(MethodOrderer.MethodName.class)
    static class FaultsTwice {
        @Test
        void first(FaultInjectingBackend faults) {
            faults.inject(Fault.onAnyCall().from(1).fails(Errno.EIO));
            assertThat(faults.eventfd(0, 0)).isEqualTo(-Errno.EIO.code());
        }

        @Test
        void second(FaultInjectingBackend faults) {
            assertThat(faults.injected()).isZero();
            assertThat(faults.close(faults.eventfd(0, 0))).isZero();
        }
    }

    @Test
    void everyTestBeginsWithoutFaults() {
        Run.of(FaultsTwice.class).assertPassed(2);
    }

    @EmulatedVfio
    static class ForAll {
        @BeforeAll
        static void before(Vfio vfio) {
            assertThat(vfio).isNotNull();
        }

        @Test
        void test() {
        }
    }

    @EmulatedVfio
    @TestInstance(TestInstance.Lifecycle.PER_CLASS)
    static class OneInstance {
        @Emulated
        private Vfio vfio;

        @Test
        void test() {
            assertThat(vfio).isNotNull();
        }
    }

    @EmulatedVfio
    static class NotAPart {
        @Emulated
        private String kernel;

        @Test
        void test() {
            assertThat(kernel).isNotNull();
        }
    }

    @EmulatedVfio
    static class StaticField {
        @Emulated
        private static Vfio vfio;

        @Test
        void test() {
            assertThat(vfio).isNotNull();
        }
    }

    @EmulatedVfio(kernel = "6.2")
    static class NoSuchKernel {
        @Test
        void test(Vfio vfio) {
            assertThat(vfio).isNotNull();
        }
    }

    @ForEachKernel
    @EmulatedVfio(kernel = "6.1")
    static class TwoSayings {
        @Test
        void test() {
        }
    }

    @ForEachKernel("6.1")
    static class OneKernelAgain {
        @Test
        @EmulatedVfio(kernel = "6.12")
        void test(Vfio vfio) {
            assertThat(vfio).isNotNull();
        }
    }

    @ForEachKernel("6.1")
    static class EachOfEach {
        @ForEachKernel
        void test() {
        }
    }

    interface NotAMachine extends EmulatedDevices {
    }

    @EmulatedVfio(devices = NotAMachine.class)
    static class NoDevices {
        @Test
        void test(Vfio vfio) {
            assertThat(vfio).isNotNull();
        }
    }

    record Sized(int functions) implements EmulatedDevices {
        @Override
        public void addTo(EmulatedKernel.Builder kernel) {
            kernel.descriptorLimit(functions);
        }
    }

    @EmulatedVfio(devices = Sized.class)
    static class DevicesWithParameters {
        @Test
        void test(Vfio vfio) {
            assertThat(vfio).isNotNull();
        }
    }

    @Test
    void misuseIsToldWithWhatToDo() {
        Run.of(ForAll.class).assertFailed("An emulated kernel is one test's", "@BeforeEach", "ForAll");
        Run.of(OneInstance.class).assertFailed("An emulated kernel is one test's", "PER_METHOD", "OneInstance");
        Run.of(NotAPart.class).assertFailed("NotAPart.kernel", "there are only [Vfio, FaultInjectingBackend");
        Run.of(StaticField.class).assertFailed("StaticField.vfio", "neither static nor final");
        Run.of(NoSuchKernel.class).assertFailed("Linux 6.2 is not emulated; there are [5.7, 6.1, 6.12, 7.2]");
        Run.of(TwoSayings.class).assertFailed("TwoSayings", "leave kernel out of its @EmulatedVfio");
        Run.of(OneKernelAgain.class).assertFailed("test(Vfio)", "leave kernel out of its @EmulatedVfio");
        Run.of(EachOfEach.class).assertFailed("test()", "both marked @ForEachKernel", "make this a @Test");
        Run.of(NoDevices.class).assertFailed("NotAMachine can't be made", "constructor without parameters");
        Run.of(DevicesWithParameters.class).assertFailed("Sized can't be made", "constructor without parameters");
    }
}
