package io.github.vfio4j.cli;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureSupport;
import java.io.PrintWriter;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code vfio4j demo}: a token between the owner of a physical function and the user of a virtual one. */
@Command(name = "demo", mixinStandardHelpOptions = true, description = {
        "Shows the VF token at work, step by step: on the emulated kernel, or with --native on the real one.",
        "Native, it resets the physical function, gives it a new random token and leaves it at that; a virtual"
                + " function that it creates it removes again."})
final class DemoCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Option(names = "--kernel", paramLabel = "V", description = "which kernel to emulate: 5.7, 6.1, 6.12 or 7.2, the default")
    private @Nullable KernelProfile profile;

    @ArgGroup(exclusive = false)
    private @Nullable NativeDevices nativeDevices;

    static final class NativeDevices {

        @Option(names = "--native", required = true, description = "use the real kernel")
        @SuppressWarnings("UnusedVariable") // that the group is there says it
        private boolean chosen;

        @Option(names = "--pf", required = true, paramLabel = "BDF", description = "an SR-IOV physical function bound to vfio-pci, without virtual functions in use")
        @SuppressWarnings("NullAway.Init") // picocli injects it
        private PciAddress physicalFunction;

        @Option(names = "--vf", paramLabel = "BDF", description = "a virtual function of it (default: its first, created if there is none)")
        private @Nullable PciAddress virtualFunction;
    }

    private int step;

    @Override
    public Integer call() throws VfioException {
        if (nativeDevices != null) {
            if (profile != null) {
                throw new ParameterException(spec.commandLine(),
                        "--kernel chooses what to emulate: leave --native out");
            }
            return run(Main.realKernel(spec), nativeDevices.physicalFunction, nativeDevices.virtualFunction);
        }
        ExampleMachine machine = ExampleMachine.with(profile);
        return run(Main.emulatedKernel(spec, machine::environment, machine.boot()), ExampleMachine.PHYSICAL_FUNCTION,
                null);
    }

    private int run(IoctlBackend backend, PciAddress physicalFunction, @Nullable PciAddress wanted)
            throws VfioException {
        Vfio vfio = Vfio.using(backend);
        PciDevice owner = vfio.pciDevice(physicalFunction);
        say("VF token demo on " + backend + (nativeDevices != null ? "" : " (no hardware involved)"));
        VfToken token = VfToken.random();
        try (VfioContainer container = vfio.openContainer();
                VfioDevice device = container.openDevice(physicalFunction)) {
            step("open physical function " + physicalFunction, "open, IOMMU group " + group(owner));
            List<FeatureSupport> features = features(device);
            step("probe its " + features.size() + " features",
                    features.stream().filter(FeatureSupport.Supported.class::isInstance)
                            .map(support -> support.feature().name()).collect(Collectors.joining(", ")));
            device.vfToken().orElseThrow(() -> new VfioException("set the VF token of " + physicalFunction, null,
                    "The device has none: it is not an SR-IOV physical function")).set(token);
            step("set a random VF token", "set");
            boolean created = owner.sriovNumVfs() == 0;
            if (created) {
                owner.setSriovNumVfs(1);
            }
            try {
                PciAddress virtualFunction = wanted != null ? wanted : firstVirtualFunction(owner);
                PciDevice used = vfio.pciDevice(virtualFunction);
                if (!used.physicalFunction().equals(Optional.of(physicalFunction))) {
                    throw new VfioException("use " + virtualFunction, Errno.ENODEV,
                            "It is not a virtual function of " + physicalFunction + ", as "
                                    + firstVirtualFunction(owner) + " is; leave --vf out to use that");
                }
                step(created ? "enable a virtual function" : "use an existing virtual function",
                        virtualFunction + ", IOMMU group " + group(used));
                step("open it without a token", refusal(container, virtualFunction, null));
                step("open it with a wrong token", refusal(container, virtualFunction, VfToken.random()));
                try (VfioDevice user = container.openDevice(virtualFunction, token)) {
                    step("open it with the right token", "open, "
                            + features(user).stream().filter(FeatureSupport.Supported.class::isInstance).count()
                            + " features");
                }
            } finally {
                if (created) {
                    owner.setSriovNumVfs(0);
                    step("remove the virtual function", "removed");
                }
            }
        }
        say("Done: everything is closed again.");
        return 0;
    }

    private static List<FeatureSupport> features(VfioDevice device) throws VfioException {
        List<FeatureSupport> features = device.probeAll();
        for (FeatureSupport feature : features) {
            if (feature instanceof FeatureSupport.Failed failed) {
                throw new VfioException("probe " + failed.feature() + " of " + device, failed.errno(),
                        "The device could not be asked; see dmesg");
            }
        }
        return features;
    }

    private static int group(PciDevice function) throws VfioException {
        return function.iommuGroup()
                .orElseThrow(() -> new VfioException("find the IOMMU group of " + function, Errno.ENODEV, null));
    }

    private static PciAddress firstVirtualFunction(PciDevice owner) throws VfioException {
        return owner.virtualFunction(0)
                .orElseThrow(() -> new VfioException("find a virtual function of " + owner, Errno.ENODEV, null));
    }

    /** What the kernel says to an opening that must fail. */
    private static String refusal(VfioContainer container, PciAddress function, @Nullable VfToken token)
            throws VfioException {
        try (VfioDevice open = token == null ? container.openDevice(function) : container.openDevice(function, token)) {
            throw new VfioException("open " + open + " with no or a wrong token", null,
                    "It should have been refused; is its physical function on vfio-pci?");
        } catch (VfioException e) {
            if (!e.is(Errno.EACCES)) {
                throw e;
            }
            return "refused: " + Errno.EACCES;
        }
    }

    private void step(String what, String result) {
        say(String.format("%3d. %-40s %s", ++step, what, result));
    }

    private void say(String line) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(line);
        out.flush();
    }
}
