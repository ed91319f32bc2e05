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
import io.github.vfio4j.backend.IoctlBackend;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.state.Action;
import net.jqwik.api.state.ActionChain;
import net.jqwik.api.state.Transformer;

/**
 * What holds for VF tokens on every kernel: who may open a physical function and its virtual function, in whatever order they
 * are opened, closed and given tokens (semantics §D.4). A subclass names the kernels.
 */
public abstract class TokenConformance {

    /** Made by jqwik, for each property. */
    protected TokenConformance() {
    }

    /**
     * A kernel to examine.
     *
     * @param name
     *            what it is called in reports
     * @param kernel
     *            gives a backend for each try
     * @param owner
     *            an SR-IOV physical function on vfio-pci that nobody uses, whose virtual functions are vfio-pci's, too
     */
    public record Sriov(String name, Supplier<? extends IoctlBackend> kernel, PciAddress owner) {
        @Override
        public String toString() {
            return name;
        }
    }

    /**
     * What is to be examined.
     *
     * @return at least one kernel
     */
    protected abstract List<Sriov> kernels();

    /** A physical function, its virtual function and its token, as they are and as they should be. */
    static final class Functions {

        private final PciAddress physical;
        private final PciDevice owner;
        private final VfioContainer container;
        private final PciAddress virtual;
        private final Deque<VfioDevice> owners = new ArrayDeque<>();
        private final Deque<VfioDevice> users = new ArrayDeque<>();
        private VfToken token;

        Functions(Sriov sriov, VfToken first) {
            try {
                Vfio vfio = Vfio.using(sriov.kernel().get());
                physical = sriov.owner();
                container = vfio.openContainer();
                owners.push(container.openDevice(physical, first));
                token = first;
                owner = vfio.pciDevice(physical);
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
            assertThat(open(physical, given, owners)).isEqualTo(refused);
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

        /** The virtual function goes before its owner is reset by the last close. */
        void end() throws VfioException {
            while (!users.isEmpty()) {
                users.pop().close();
            }
            owner.setSriovNumVfs(0);
            container.close();
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
        return Combinators.combine(Arbitraries.of(kernels()), tokens()).flatAs((kernel, first) -> ActionChain
                .startWith(() -> new Functions(kernel, first)).withAction(3, opening(true))
                .withAction(3, opening(false)).withAction(1, setting)
                .withAction(1,
                        Action.<Functions>when(functions -> functions.owners.size() > 1).describeAs("close the owner")
                                .justMutate(functions -> functions.close(functions.owners)))
                .withAction(2, Action.<Functions>when(functions -> !functions.users.isEmpty())
                        .describeAs("close the function").justMutate(functions -> functions.close(functions.users)))
                .withMaxTransformations(40));
    }

    /** Whoever knows the token gets in, and nobody else. */
    @Property
    void aTokenGuardsTheVirtualFunctions(@ForAll("openings") ActionChain<Functions> chain) throws VfioException {
        chain.run().end();
    }
}
