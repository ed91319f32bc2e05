package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/** A test of the suite itself: kernels with a mistake fail, and by the property that is about it. */
class WrongKernelsTest {

    private static final KernelProfile PROFILE = KernelProfile.LINUX_7_2;

    /** Tokens on a kernel with a mistake. */
    static final class Tokens extends TokenConformance {
        private static volatile WrongKernel wrong = WrongKernel.TOKEN_COMPARED_ON_15_BYTES;

        @Override
        protected List<Sriov> kernels() {
            EmulatedMachine machine = new EmulatedMachine(PROFILE);
            return List
                    .of(new Sriov(wrong.name(), () -> wrong.inFrontOf(machine.backend()), machine.physicalFunction()));
        }
    }

    private static TestExecutionSummary run(Class<?> suite, String property) {
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        String method = suite.getName() + "#" + property;
        String parameters = switch (property) {
            case "aHeaderIsJudgedInOrderAndNothingElseChanges" ->
                "io.github.vfio4j.conformance.FeatureConformance$Target, int, int, int, long";
            case "probingDependsOnTheDeviceOnly" ->
                "io.github.vfio4j.conformance.FeatureConformance$Target, int, int, long";
            case "rangesToLogAreChecked" ->
                "io.github.vfio4j.conformance.FeatureConformance$Target, java.util.List, int, long";
            case "everyHeaderAtItsLimits" -> "";
            default -> "net.jqwik.api.state.ActionChain";
        };
        LauncherFactory.create().execute(LauncherDiscoveryRequestBuilder.request()
                .selectors(selectMethod(method + "(" + parameters + ")")).filters(EngineFilter.includeEngines("jqwik"))
                // What fails here is meant to: it goes to nobody's console.
                .configurationParameter("jqwik.reporting.usejunitplatform", "true")
                // Each run by itself: what failed the last time would be tried first.
                .configurationParameter("jqwik.database", "").build(), listener);
        TestExecutionSummary summary = listener.getSummary();
        assertThat(summary.getTestsStartedCount()).as("properties run").isEqualTo(1);
        return summary;
    }

    @ParameterizedTest
    @CsvSource({"ARGSZ_OFF_BY_ONE, everyHeaderAtItsLimits", "CHECK_ORDER_SWAPPED, everyHeaderAtItsLimits",
            "PROBE_WRITES, probingDependsOnTheDeviceOnly", "WRONG_ERRNO, rangesToLogAreChecked",
            "REFUSED_SET_WRITES_NOTHING, migrationsGoByTheTable", "STATE_NOT_RESET, migrationsGoByTheTable",
            "LOW_POWER_ENTERED_TWICE, devicesStayInTheStateTheyArePutInto",
            "DESCRIPTOR_LEAKED, aHeaderIsJudgedInOrderAndNothingElseChanges"})
    void aMistakeIsFound(WrongKernel wrong, String property) {
        DeviceConformance.examine(List.of(TestBed.emulated(PROFILE).behind(wrong::inFrontOf)));
        TestExecutionSummary summary = run(DeviceConformance.class, property);
        assertThat(summary.getFailures()).hasSize(1);
        assertThat(summary.getFailures().getFirst().getException()).isInstanceOf(AssertionError.class);
    }

    @ParameterizedTest
    @EnumSource(names = "TOKEN_COMPARED_ON_15_BYTES")
    void aMistakeWithTokensIsFound(WrongKernel wrong) {
        Tokens.wrong = wrong;
        TestExecutionSummary summary = run(Tokens.class, "aTokenGuardsTheVirtualFunctions");
        assertThat(summary.getFailures()).hasSize(1);
    }

    /** And without a mistake they do not fail. */
    @ParameterizedTest
    @CsvSource({"aHeaderIsJudgedInOrderAndNothingElseChanges", "probingDependsOnTheDeviceOnly", "rangesToLogAreChecked",
            "migrationsGoByTheTable", "devicesStayInTheStateTheyArePutInto"})
    void withoutAMistakeNothingIsFound(String property) {
        DeviceConformance.examine(List.of(TestBed.emulated(PROFILE)));
        assertThat(run(DeviceConformance.class, property).getFailures()).isEmpty();
    }
}
