package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.state.Action;
import net.jqwik.api.state.ActionChain;
import net.jqwik.api.state.Transformer;

/** Devices with a memory, against models of it that are written from the specification. */
class StateMachinesTest {

    private static final int GET_STATE = 2 | 1 << 16;
    private static final int SET_STATE = 2 | 1 << 17;
    private static final int EINVAL = -Errno.EINVAL.code();

    /** What an mtty says to feature 1: it has every state. */
    private static final MigrationTable TABLE = new MigrationTable(7);

    /** An mtty and what it should be like (semantics §B.8). */
    static final class Mtty {

        private final MediatedDevice device;
        private int state = 2;
        private boolean session;

        Mtty(KernelProfile kernel) {
            UUID uuid = new UUID(1, 1);
            device = new MediatedDevice(EmulatedKernel.builder(kernel).mtty(uuid, 1).build().newProcess(), uuid);
        }

        void set(int to) {
            var argument = device.argument(SET_STATE, to, 42);
            int result = device.feature(argument);
            int fd = argument.get(ValueLayout.JAVA_INT, 12);
            assertThat(argument.get(ValueLayout.JAVA_INT, 8)).isEqualTo(to);
            Optional<List<Integer>> walk = TABLE.walk(state, to);
            // Nothing has been received: what is to be resumed is not complete.
            if (walk.isEmpty() || (to != state && state == MigrationTable.RESUMING)) {
                assertThat(result).isEqualTo(EINVAL);
                assertThat(fd).isEqualTo(-1);
            } else {
                assertThat(result).isZero();
                assertThat(fd >= 0).as("a new descriptor from %d to %d", state, to).isEqualTo(walk(walk.get()));
                if (fd >= 0) {
                    device.backend().close(fd);
                }
            }
            check();
        }

        /** Goes step by step; whether a session begins on the way. */
        private boolean walk(List<Integer> walk) {
            boolean begins = false;
            for (int next : walk) {
                boolean data = MigrationTable.transfersData(next);
                begins = data && !session;
                // Pre-copy goes on without a session of its own, if that was lost.
                boolean goesOn = MigrationTable.isSaving(state) && next != MigrationTable.STOP_COPY;
                begins &= !goesOn;
                session = data && (session || begins);
                state = next;
            }
            return begins;
        }

        void reset() {
            device.reset();
            state = 2;
            session = false;
            check();
        }

        /** The state outlasts the opening, the session does not. */
        void reopen() {
            device.reopen();
            session = false;
            check();
        }

        private void check() {
            var argument = device.argument(GET_STATE, 42, 42);
            assertThat(device.feature(argument)).isZero();
            assertThat(argument.get(ValueLayout.JAVA_INT, 8)).isEqualTo(state);
            assertThat(argument.get(ValueLayout.JAVA_INT, 12)).isEqualTo(-1);
        }

        @Override
        public String toString() {
            return "state " + state + (session ? " with a session" : "");
        }
    }

    private static final class SetState implements Action.Independent<Mtty> {

        /** A real kernel does not survive that (semantics §F.7). */
        @Override
        public boolean precondition(Mtty mtty) {
            return mtty.state != 4 || mtty.session;
        }

        @Override
        public Arbitrary<Transformer<Mtty>> transformer() {
            return Arbitraries.of(0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 7, 8, -1)
                    .map(to -> Transformer.mutate("set " + to, mtty -> mtty.set(to)));
        }
    }

    @Provide
    Arbitrary<ActionChain<Mtty>> migrations() {
        return Arbitraries.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2)
                .flatMap(kernel -> ActionChain.startWith(() -> new Mtty(kernel)).withAction(8, new SetState())
                        .withAction(1, Action.<Mtty>just("reset", mtty -> {
                            mtty.reset();
                            return mtty;
                        })).withAction(1, Action.<Mtty>just("reopen", mtty -> {
                            mtty.reopen();
                            return mtty;
                        })).withMaxTransformations(60));
    }

    @Property
    void anMttyMigratesByTheBook(@ForAll("migrations") ActionChain<Mtty> chain) {
        chain.run().device.close();
    }
}
