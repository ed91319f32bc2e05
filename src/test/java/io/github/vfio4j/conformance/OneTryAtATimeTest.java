package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AddLifecycleHook;
import org.junit.jupiter.api.Test;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.jspecify.annotations.Nullable;

/** What is shrunk has an end, and it is before the next property begins. */
class OneTryAtATimeTest {

    private static final AtomicInteger TRIES = new AtomicInteger();

    /** Fails for one list only, so that none of its many smaller ones is the last. */
    @AddLifecycleHook(OneTryAtATime.class)
    static final class Endless {

        private static volatile @Nullable List<Integer> first;

        @Property(tries = 1, edgeCases = EdgeCasesMode.NONE)
        void holdsForOthers(@ForAll @Size(1000) List<Integer> list) throws InterruptedException {
            if (first == null) {
                first = list;
            }
            TRIES.incrementAndGet();
            assertThat(list.equals(first)).isFalse();
            Thread.sleep(5);
        }
    }

    @Test
    void shrinkingEndsWithItsProperty() {
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        LauncherFactory.create()
                .execute(LauncherDiscoveryRequestBuilder.request().selectors(selectClass(Endless.class))
                        .filters(EngineFilter.includeEngines("jqwik")).configurationParameter("jqwik.database", "")
                        .configurationParameter("jqwik.reporting.usejunitplatform", "true")
                        .configurationParameter("jqwik.shrinking.bounded.seconds", "1").build(), listener);
        assertThat(listener.getSummary().getFailures()).hasSize(1);
        int tries = TRIES.get();
        assertThat(tries).as("it was shrunk").isGreaterThan(1);
        assertThat(ForkJoinPool.commonPool().awaitQuiescence(1, TimeUnit.MINUTES)).as("nobody shrinks any more")
                .isTrue();
        assertThat(TRIES).as("tries, those afterwards included").hasValue(tries);
    }
}
