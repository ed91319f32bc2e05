package io.github.vfio4j.cli;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.cli.doctor.Doctor;
import io.github.vfio4j.cli.doctor.Machine;
import io.github.vfio4j.cli.doctor.Report;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio4j doctor}. */
@Command(name = "doctor", mixinStandardHelpOptions = true, description = {
        "Says what stands between this user and a working device, the next step first.",
        "Only looks: files are read, and the device's group is opened for a moment to see whether somebody has it."}, footer = {
                "",
                "Commands after # are for root, those after $ for the user. The exit code is 3 if there is a problem.",
                "The emulated machine has " + ExampleMachine.DEVICES + "."})
final class DoctorCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Parameters(paramLabel = "DEVICE", arity = "0..1", description = "address of a PCI function, for example 0000:01:00.0, or UUID of a mediated device; without it the machine as a whole is examined")
    private @Nullable DeviceArgument device;

    @Option(names = "--emulated", description = "examine an emulated machine instead of this one")
    private boolean emulated;

    @Option(names = "--kernel", paramLabel = "V", description = "which kernel to emulate: 5.7, 6.1, 6.12 or 7.2, the default")
    private @Nullable KernelProfile profile;

    @Option(names = "--json", description = "print JSON: an array of all findings in order")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        if (profile != null && !emulated) {
            throw new ParameterException(spec.commandLine(), "--kernel chooses what to emulate: add --emulated");
        }
        Report report = examine(emulated ? emulatedMachine() : Machine.thisOne(() -> Main.realKernel(spec)));
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            report.printJson(out);
        } else {
            report.print(out, spec.commandLine().getColorScheme().ansi());
        }
        out.flush();
        return report.next().isPresent() ? Main.UNAVAILABLE : 0;
    }

    private Machine emulatedMachine() throws VfioException {
        EmulatedKernel kernel = ExampleMachine.with(profile).boot();
        if (device != null && !ExampleMachine.has(kernel, device)) {
            throw device.absent("examine", "The emulated machine has " + ExampleMachine.DEVICES);
        }
        return Machine.emulated(kernel.newProcess());
    }

    private Report examine(Machine machine) throws VfioException {
        return switch (device) {
            case null -> Doctor.examine(machine);
            case DeviceArgument.PciFunction function -> Doctor.examine(machine, function.address());
            case DeviceArgument.MediatedDevice mediated -> Doctor.examine(machine, mediated.uuid());
        };
    }
}
