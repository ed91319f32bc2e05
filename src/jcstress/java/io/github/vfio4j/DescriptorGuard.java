package io.github.vfio4j;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import java.lang.reflect.Proxy;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * The guard of a descriptor: one thread calls while another closes. A call is refused (0), or goes through while the number
 * is the descriptor's (1); never while it is free (2). When the close returns, the number is free (0).
 */
public class DescriptorGuard {

    private static final IoctlBackend NATIVE = NativeBackend.create();

    private volatile boolean free;
    private final Descriptor descriptor;

    /**
     * On a kernel of which nothing is used but that a number is free after its close.
     *
     * @param membarrier
     *            whether it has membarrier(2), as this machine's has, or none
     */
    DescriptorGuard(boolean membarrier) {
        IoctlBackend kernel = (IoctlBackend) Proxy.newProxyInstance(IoctlBackend.class.getClassLoader(),
                new Class<?>[]{IoctlBackend.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("membarrier")) {
                        return membarrier ? NATIVE.membarrier((int) arguments[0]) : -IoctlBackend.ENOSYS;
                    }
                    free = true;
                    return 0;
                });
        descriptor = new Descriptor(kernel, 0, "descriptor");
    }

    int call() {
        try {
            return descriptor.lend(fd -> free ? 2 : 1);
        } catch (IllegalStateException e) {
            return 0;
        } catch (VfioException e) {
            throw new AssertionError(e);
        }
    }

    int close() {
        try {
            descriptor.close();
        } catch (VfioException e) {
            throw new AssertionError(e);
        }
        return free ? 0 : 1;
    }

    /** The thread that calls is the first to do so, and has a count of its own. */
    @JCStressTest
    @Outcome(id = {"0, 0", "1, 0"}, expect = ACCEPTABLE, desc = "refused, or made before the close")
    @Outcome(expect = FORBIDDEN, desc = "a call on a number that is free, or a number that stays taken")
    @State
    public static class Owner extends DescriptorGuard {

        /** Its closer makes it pass a barrier. */
        public Owner() {
            super(true);
        }

        /** Calls. */
        @Actor
        public void caller(II_Result result) {
            result.r1 = call();
        }

        /** Closes. */
        @Actor
        public void closer(II_Result result) {
            result.r2 = close();
        }
    }

    /** The same, where every call of the owner's passes a barrier. */
    @JCStressTest
    @Outcome(id = {"0, 0", "1, 0"}, expect = ACCEPTABLE, desc = "refused, or made before the close")
    @Outcome(expect = FORBIDDEN, desc = "a call on a number that is free, or a number that stays taken")
    @State
    public static class OwnerWithBarrier extends DescriptorGuard {

        /** There is no membarrier. */
        public OwnerWithBarrier() {
            super(false);
        }

        /** Calls. */
        @Actor
        public void caller(II_Result result) {
            result.r1 = call();
        }

        /** Closes. */
        @Actor
        public void closer(II_Result result) {
            result.r2 = close();
        }
    }

    /** The thread that calls shares the count of all others. */
    @JCStressTest
    @Outcome(id = {"0, 0", "1, 0"}, expect = ACCEPTABLE, desc = "refused, or made before the close")
    @Outcome(expect = FORBIDDEN, desc = "a call on a number that is free, or a number that stays taken")
    @State
    public static class Other extends DescriptorGuard {

        /** Another thread has called before. */
        public Other() {
            super(true);
            call();
        }

        /** Calls. */
        @Actor
        public void caller(II_Result result) {
            result.r1 = call();
        }

        /** Closes. */
        @Actor
        public void closer(II_Result result) {
            result.r2 = close();
        }
    }
}
