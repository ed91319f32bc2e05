package io.github.vfio4j.conformance;

import java.lang.reflect.Method;
import java.util.List;
import net.jqwik.api.lifecycle.AroundPropertyHook;
import net.jqwik.api.lifecycle.AroundTryHook;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.PropertyExecutionResult;
import net.jqwik.api.lifecycle.PropertyExecutor;
import net.jqwik.api.lifecycle.PropertyLifecycleContext;
import net.jqwik.api.lifecycle.TryExecutionResult;
import net.jqwik.api.lifecycle.TryExecutor;
import net.jqwik.api.lifecycle.TryLifecycleContext;
import org.jspecify.annotations.Nullable;

/**
 * Ends the shrinking of a property with the property. When its time is up, jqwik goes on to the next property but leaves the
 * thread that shrinks as it is, which would try on beside it, without an end: a device can be open only once.
 */
public final class OneTryAtATime implements AroundPropertyHook, AroundTryHook {

    /** Around everything that is done before and after each try. */
    private static final int OUTERMOST = -100;
    /** What is done after each property comes after the last try. */
    private static final int INNERMOST = 100;

    /** Of all that a try may throw, jqwik lets nothing else through: it would take it for a failure, and go on. */
    private static final class TimeIsUp extends OutOfMemoryError {
        private static final long serialVersionUID = 1;

        TimeIsUp(String message) {
            super(message);
        }
    }

    /** The one under way. */
    private @Nullable Method property;

    /** Made by jqwik. */
    public OneTryAtATime() {
    }

    @Override
    public PropertyExecutionResult aroundProperty(PropertyLifecycleContext context, PropertyExecutor executor) {
        change(context.targetMethod());
        try {
            return executor.execute();
        } finally {
            change(null);
        }
    }

    /** Waits for a try under way. */
    private synchronized void change(@Nullable Method next) {
        property = next;
    }

    @Override
    public synchronized TryExecutionResult aroundTry(TryLifecycleContext context, TryExecutor aTry,
            List<Object> parameters) {
        if (!context.targetMethod().equals(property)) {
            throw new TimeIsUp("The time to shrink " + context.targetMethod().getName() + " is up");
        }
        return aTry.execute(parameters);
    }

    @Override
    public int aroundTryProximity() {
        return OUTERMOST;
    }

    @Override
    public int aroundPropertyProximity() {
        return INNERMOST;
    }

    @Override
    public PropagationMode propagateTo() {
        return PropagationMode.ALL_DESCENDANTS;
    }
}
