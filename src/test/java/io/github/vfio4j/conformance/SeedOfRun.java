package io.github.vfio4j.conformance;

import java.lang.reflect.Method;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import net.jqwik.api.lifecycle.AroundPropertyHook;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.PropertyExecutionResult;
import net.jqwik.api.lifecycle.PropertyExecutor;
import net.jqwik.api.lifecycle.PropertyLifecycleContext;

/**
 * Makes a whole run repeatable by one number, as jqwik knows seeds of single properties only: each property gets its own,
 * which depends on that number and on the property's name. A seed written at the property stays.
 */
public final class SeedOfRun implements AroundPropertyHook {

    /** Made by jqwik. */
    public SeedOfRun() {
    }

    @Override
    public PropertyExecutionResult aroundProperty(PropertyLifecycleContext context, PropertyExecutor property) {
        OptionalLong seed = ConformanceRun.current().seed();
        if (seed.isPresent() && context.attributes().seed().isEmpty()) {
            context.attributes().setSeed(Long.toString(of(seed.getAsLong(), context.targetMethod())));
        }
        return property.execute();
    }

    /** A class that inherits the property changes nothing. */
    static long of(long seed, Method property) {
        String name = property.getDeclaringClass().getName() + "." + property.getName();
        return new SplittableRandom(seed ^ new SplittableRandom(name.hashCode()).nextLong()).nextLong();
    }

    @Override
    public PropagationMode propagateTo() {
        return PropagationMode.ALL_DESCENDANTS;
    }
}
