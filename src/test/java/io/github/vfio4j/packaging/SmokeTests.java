package io.github.vfio4j.packaging;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

/** The smoke tests as a program, for any JVM: scripts/jdk-matrix runs it. */
public final class SmokeTests {

    private SmokeTests() {
    }

    /** Exits with 0 if there are tests and all have passed. */
    public static void main(String[] arguments) {
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        LauncherFactory.create()
                .execute(LauncherDiscoveryRequestBuilder.request()
                        .selectors(DiscoverySelectors.selectClass("io.github.vfio4j.VfioSmokeTest"))
                        .filters(EngineFilter.includeEngines("junit-jupiter")).build(), listener);
        listener.getSummary().printFailuresTo(new PrintWriter(System.out, true, StandardCharsets.UTF_8));
        long passed = listener.getSummary().getTestsSucceededCount();
        System.out.println(passed + " passed, " + listener.getSummary().getTotalFailureCount() + " failed");
        System.exit(passed > 0 && listener.getSummary().getTotalFailureCount() == 0 ? 0 : 1);
    }
}
