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
    private static final List<Integer> SAVING = List.of(3, 6, 7);

    /** The walk from a state to another, for STOP 1 to PRE_COPY_P2P 7 (semantics §B.2.5); empty where it is blocked. */
    private static final List<List<String>> WALKS = List.of(List.of("", "52", "3", "4", "5", "526", "57"),
            List.of("51", "", "513", "514", "5", "6", "57"), List.of("1", "152", "", "14", "15", "", ""),
            List.of("1", "152", "13", "", "15", "1526", "157"), List.of("1", "2", "13", "14", "", "26", "7"),
            List.of("251", "2", "73", "2514", "25", "", "7"), List.of("51", "52", "3", "514", "5", "6", ""));

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
            String walk = to < 1 || to > 7 ? "" : WALKS.get(state - 1).get(to - 1);
            // Nothing has been received: what is to be resumed is not complete.
            if (to != state && (walk.isEmpty() || state == 4)) {
                assertThat(result).isEqualTo(EINVAL);
                assertThat(fd).isEqualTo(-1);
            } else {
                assertThat(result).isZero();
                assertThat(fd >= 0).as("a new descriptor from %d to %d", state, to).isEqualTo(walk(walk));
                if (fd >= 0) {
                    device.backend().close(fd);
                }
            }
            check();
        }

        /** Goes step by step; whether a session begins on the way. */
        private boolean walk(String walk) {
            boolean begins = false;
            for (int next : walk.chars().map(digit -> digit - '0').toArray()) {
                boolean data = next == 4 || SAVING.contains(next);
                begins = data && !session;
                // Pre-copy goes on without a session of its own, if that was lost.
                boolean goesOn = SAVING.contains(state) && next != 3;
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

    @Property(tries = 300)
    void anMttyMigratesByTheBook(@ForAll("migrations") ActionChain<Mtty> chain) {
        chain.run().device.close();
    }

    /** A physical function, its virtual function and its token (semantics §D.4). */
    static final class Functions {

        private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");

        private final VfioContainer container;
        private final PciAddress virtual;
        private final Deque<VfioDevice> owners = new ArrayDeque<>();
        private final Deque<VfioDevice> users = new ArrayDeque<>();
        private VfToken token;

        Functions(KernelProfile kernel, VfToken first) {
            try {
                Vfio vfio = Vfio.using(new EmulatedMachine(kernel).backend());
                container = vfio.openContainer();
                owners.push(container.openDevice(OWNER, first));
                token = first;
                PciDevice owner = vfio.pciDevice(OWNER);
                owner.setSriovNumVfs(1);
                virtual = owner.virtualFunction(0).orElseThrow();
            } catch (VfioException e) {
                throw new AssertionError(e);
            }
        }

        private Optional<Errno> open(PciAddress address, Optional<VfToken> given, Deque<VfioDevice> opened) {
            try {
                opened.push(
                        given.isPresent() ? container.openDevice(address, given.get()) : container.openDevice(address));
                return Optional.empty();
            } catch (VfioException e) {
                return e.errno();
            }
        }

        void openOwner(Optional<VfToken> given) {
            boolean matches = given.equals(Optional.of(token));
            Optional<Errno> refused = users.isEmpty() || matches ? Optional.empty() : Optional.of(Errno.EACCES);
            assertThat(open(OWNER, given, owners)).isEqualTo(refused);
            if (refused.isEmpty() && given.isPresent()) {
                token = given.get();
            }
        }

        void openUser(Optional<VfToken> given) {
            assertThat(open(virtual, given, users))
                    .isEqualTo(given.equals(Optional.of(token)) ? Optional.empty() : Optional.of(Errno.EACCES));
        }

        /** Nobody asks who uses virtual functions. */
        void setToken(VfToken given) {
            try {
                owners.getFirst().vfToken().orElseThrow().set(given);
            } catch (VfioException e) {
                throw new AssertionError(e);
            }
            token = given;
        }

        void close(Deque<VfioDevice> devices) {
            try {
                devices.pop().close();
            } catch (VfioException e) {
                throw new AssertionError(e);
            }
        }

        @Override
        public String toString() {
            return owners.size() + " openings of the owner, " + users.size() + " of its function";
        }
    }

    /** Two that differ in the last byte only, and one more. */
    private static Arbitrary<VfToken> tokens() {
        return Arbitraries.of("00112233-4455-6677-8899-aabbccddeef0", "00112233-4455-6677-8899-aabbccddeef1",
                "10112233-4455-6677-8899-aabbccddeef0").map(VfToken::parse);
    }

    private static Action.Independent<Functions> opening(boolean owner) {
        return () -> tokens().optional(0.7)
                .map(given -> Transformer.mutate(owner ? "open the owner" : "open the function", functions -> {
                    if (owner) {
                        functions.openOwner(given);
                    } else {
                        functions.openUser(given);
                    }
                }));
    }

    @Provide
    Arbitrary<ActionChain<Functions>> openings() {
        Action.Independent<Functions> setting = () -> tokens()
                .map(given -> Transformer.mutate("set a token", functions -> functions.setToken(given)));
        return Combinators.combine(Arbitraries.of(KernelProfile.all()), tokens()).flatAs((kernel, first) -> ActionChain
                .startWith(() -> new Functions(kernel, first)).withAction(3, opening(true))
                .withAction(3, opening(false)).withAction(1, setting)
                .withAction(1,
                        Action.<Functions>when(functions -> functions.owners.size() > 1).describeAs("close the owner")
                                .justMutate(functions -> functions.close(functions.owners)))
                .withAction(2, Action.<Functions>when(functions -> !functions.users.isEmpty())
                        .describeAs("close the function").justMutate(functions -> functions.close(functions.users)))
                .withMaxTransformations(40));
    }

    @Property(tries = 300)
    void aTokenGuardsTheVirtualFunctions(@ForAll("openings") ActionChain<Functions> chain) throws VfioException {
        chain.run().container.close();
    }
}
