package io.github.vfio4j.cli;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.VfTokenFeature;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio4j token}. */
@Command(name = "token", mixinStandardHelpOptions = true, description = "Sets or checks the VF token on the real kernel.", footer = {
        "", "For example:", "  (umask 077; uuidgen > vf-token)", "  vfio4j token set 0000:01:00.0 --file vf-token",
        "  vfio4j token check 0000:01:00.1 --file vf-token"}, subcommands = {TokenCommand.Set.class,
                TokenCommand.Check.class})
final class TokenCommand {

    /** {@code vfio4j token set}. */
    @Command(name = "set", mixinStandardHelpOptions = true, description = {
            "Sets the VF token of an SR-IOV physical function.",
            "It stays when this command ends, until another is set or the driver is unbound."})
    static final class Set implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init") // picocli injects it
        private CommandSpec spec;

        @Parameters(paramLabel = "PF", description = "address of the physical function, bound to vfio-pci")
        @SuppressWarnings("NullAway.Init") // picocli injects it
        private PciAddress physicalFunction;

        @ArgGroup(multiplicity = "1")
        @SuppressWarnings("NullAway.Init") // picocli injects it
        private TokenSource token;

        @Override
        public Integer call() throws VfioException {
            var value = token.read(spec);
            try (VfioContainer container = Vfio.using(Main.realKernel(spec)).openContainer();
                    VfioDevice device = container.openDevice(physicalFunction)) {
                VfTokenFeature feature = device.vfToken().orElseThrow(() -> new VfioException(
                        "set the VF token of " + physicalFunction, null,
                        "The device has none: it is not an SR-IOV physical function, or the kernel is older than"
                                + " 5.7"));
                feature.set(value);
            }
            spec.commandLine().getOut().println("VF token of " + physicalFunction + " set");
            return 0;
        }
    }

    /** {@code vfio4j token check}. */
    @Command(name = "check", mixinStandardHelpOptions = true, description = "Tells whether a virtual function can be opened with a VF token, by opening it.")
    static final class Check implements Callable<Integer> {

        @Spec
        @SuppressWarnings("NullAway.Init") // picocli injects it
        private CommandSpec spec;

        @Parameters(paramLabel = "VF", description = "address of the virtual function, bound to vfio-pci")
        @SuppressWarnings("NullAway.Init") // picocli injects it
        private PciAddress virtualFunction;

        @ArgGroup(multiplicity = "1")
        @SuppressWarnings("NullAway.Init") // picocli injects it
        private TokenSource token;

        @Override
        public Integer call() throws VfioException {
            var value = token.read(spec);
            try (VfioContainer container = Vfio.using(Main.realKernel(spec)).openContainer();
                    VfioDevice device = container.openDevice(virtualFunction, value)) {
                spec.commandLine().getOut().println("VF token accepted: it opens " + device);
            }
            return 0;
        }
    }
}
