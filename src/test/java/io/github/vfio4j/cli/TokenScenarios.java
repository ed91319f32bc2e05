package io.github.vfio4j.cli;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioGroup;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.VfTokenFeature;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.RecordingBackend;
import io.github.vfio4j.trace.Replayer;
import io.github.vfio4j.trace.Transcript;
import java.io.ByteArrayInputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * A program that does everything with VF tokens that the library can, and prints everything it gets to see: answers,
 * exceptions with all that is behind them, objects in words. Its logger says all it is told. Run by {@link SecretsTest} in
 * a JVM of its own.
 */
public final class TokenScenarios {

    /** No part of either is likely to be printed by chance. */
    static final List<String> TOKENS = List.of("9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
            "e58ed763-928c-4155-bee9-fdbaaadc15f3");

    private static final VfToken RIGHT = VfToken.parse(TOKENS.get(0));
    private static final VfToken WRONG = VfToken.parse(TOKENS.get(1));
    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VIRTUAL = PciAddress.parse("0000:01:00.1");
    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");
    private static final Environment MACHINE = environment();

    private interface Step {
        Object make() throws Exception;
    }

    private TokenScenarios() {
    }

    private static Environment environment() {
        try {
            return Environment.parse("""
                    {"transcript":1,"kernel":"7.2","release":"7.2",\
                    "options":{"iommufd":true,"cdev":true,"iommufdDriver":true,"dmaBuf":true},"devices":[\
                    {"kind":"pci","name":"0000:01:00.0","group":1,"driver":"vfio-pci","sriov":{"totalVfs":1}},\
                    {"kind":"pci","name":"0000:02:00.0","group":2,"driver":"vfio-pci"}]}""");
        } catch (java.io.IOException e) {
            throw new AssertionError(e);
        }
    }

    private static void show(Object value) {
        System.out.println(value);
    }

    private static void attempt(String what, Step step) {
        show(what);
        try {
            show(step.make());
        } catch (Exception | AssertionError e) {
            e.printStackTrace(System.out);
        }
    }

    public static void main(String... arguments) throws Exception {
        for (Object value : new Object[]{RIGHT, WRONG, RIGHT.equals(WRONG), List.of(RIGHT), VfTokenFeature.CODEC}) {
            show(value);
        }
        KernelProfile[] kernels = {KernelProfile.LINUX_5_7, KernelProfile.LINUX_6_12.withCdev(),
                KernelProfile.LINUX_7_2.withCdev()};
        for (KernelProfile kernel : kernels) {
            everyWay(machine(kernel), kernel.equals(kernels[0]));
        }
        recorded();
        commands();
    }

    private static EmulatedKernel machine(KernelProfile kernel) {
        return EmulatedKernel.builder(kernel).pciFunction(OWNER.toString(), function -> function.group(1).sriov(1))
                .pciFunction(PLAIN.toString(), function -> function.group(2)).build();
    }

    private static void everyWay(EmulatedKernel kernel, boolean old) throws Exception {
        EmulatedProcess process = kernel.newProcess();
        FaultInjectingBackend faults = new FaultInjectingBackend(process);
        Vfio vfio = Vfio.using(faults);
        try (VfioContainer container = vfio.openContainer(); VfioDevice owner = container.openDevice(OWNER)) {
            use(owner);
            attempt("set where it does not belong", () -> {
                owner.set(FeatureId.LOW_POWER_EXIT, VfTokenFeature.CODEC, RIGHT);
                return owner;
            });
            faults.inject(Fault.onFeature(0).nth(3).fails(Errno.EIO));
            attempt("refused", () -> {
                owner.vfToken().orElseThrow().set(RIGHT);
                return owner;
            });
            faults.clear();
            owner.vfToken().orElseThrow().set(RIGHT);
            vfio.pciDevice(OWNER).setSriovNumVfs(1);
            open(container);
            VfioGroup group = container.openGroup(vfio.pciDevice(VIRTUAL).iommuGroup().orElseThrow());
            attempt("group, wrong", () -> group.openDevice(VIRTUAL, WRONG));
            attempt("group, right", () -> group.openDevice(VIRTUAL, RIGHT));
            attempt("group, by name", () -> group.openDevice(VIRTUAL + " vf_token=" + RIGHT.toText()));
            show(group);
            show(container);
        }
        if (!old) {
            try (Iommu iommufd = vfio.openIommufd()) {
                open(iommufd);
                show(iommufd);
            }
        }
        for (long call = 1; call < 14; call++) {
            faults.inject(Fault.onAnyCall().nth(call).fails(Errno.EFAULT));
            attempt("call " + call, () -> {
                try (VfioContainer container = vfio.openContainer();
                        VfioDevice device = container.openDevice(VIRTUAL, RIGHT)) {
                    return device;
                }
            });
            faults.clear();
        }
    }

    private static void use(VfioDevice owner) throws Exception {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set()
                    .payload(VfTokenFeature.CODEC, RIGHT).allocate(arena);
            show(request);
            show(request.describe());
            attempt("execute", () -> owner.execute(request));
            FeatureRequest cut = FeatureRequest.raw(request.segment().asSlice(0, 16));
            show(cut);
            attempt("execute what is too short", () -> owner.execute(cut));
            attempt("execute on the heap",
                    () -> owner.execute(FeatureRequest.raw(MemorySegment.ofArray(RIGHT.toBytes()))));
        }
        attempt("get", () -> owner.get(FeatureId.PCI_VF_TOKEN, VfTokenFeature.CODEC));
        attempt("parse", () -> VfToken.parse(TOKENS.get(0) + " "));
        attempt("parse", () -> VfToken.parse(TOKENS.get(0).substring(1)));
        attempt("of", () -> VfToken.of(TOKENS.get(0).getBytes(StandardCharsets.UTF_8)));
    }

    private static void open(Iommu iommu) {
        attempt("right", () -> {
            try (VfioDevice device = iommu.openDevice(VIRTUAL, RIGHT)) {
                return device + " " + device.info() + device.probeAll();
            }
        });
        attempt("wrong", () -> iommu.openDevice(VIRTUAL, WRONG));
        attempt("none taken", () -> iommu.openDevice(PLAIN, RIGHT));
        attempt("nobody there", () -> iommu.openDevice(PciAddress.parse("0000:0f:00.0"), RIGHT));
    }

    private static void recorded() throws Exception {
        StringWriter text = new StringWriter();
        try (RecordingBackend recording = new RecordingBackend(MACHINE.boot().newProcess(), MACHINE, text)) {
            Vfio vfio = Vfio.using(recording);
            try (VfioContainer container = vfio.openContainer(); VfioDevice owner = container.openDevice(OWNER)) {
                use(owner);
                owner.vfToken().orElseThrow().set(RIGHT);
                vfio.pciDevice(OWNER).setSriovNumVfs(1);
                open(container);
            }
            try (Iommu iommufd = vfio.openIommufd()) {
                open(iommufd);
            }
            show(recording);
        }
        show(text);
        Transcript transcript = Transcript
                .read(new ByteArrayInputStream(text.toString().getBytes(StandardCharsets.UTF_8)));
        transcript.describe().forEach(TokenScenarios::show);
        show(transcript);
        show(Replayer.replayEmulated(transcript));
        show(Replayer.on(machine(KernelProfile.LINUX_5_7).newProcess()).replay(transcript));
    }

    private static void commands() throws Exception {
        IoctlBackend kernel = machine(KernelProfile.LINUX_7_2).newProcess();
        String token = TOKENS.get(0);
        Path directory = Files.createTempDirectory("vfio4j");
        Path good = Files.writeString(directory.resolve("good"), token);
        Path bad = Files.writeString(directory.resolve("bad"), token + token);
        List<Path> files = List.of(good, bad);
        for (String command : List.of("set " + OWNER, "check " + PLAIN, "check " + OWNER)) {
            for (Path file : files) {
                run(kernel, "", "token " + command + " --file " + file);
                run(kernel, "", "record token " + command + " --file " + file);
            }
            for (String stdin : List.of(token, token.toUpperCase(Locale.ROOT), token + token, token.substring(1),
                    token.replace("-", ""), "{" + token + "}", "urn:uuid:" + token, token + "\0", "\0" + token)) {
                run(kernel, stdin, "token " + command + " --stdin");
            }
        }
        for (String line : List.of("token set " + token, "token set " + OWNER + " " + token,
                "token set " + OWNER + " --token " + token, "token set " + OWNER + " --token=" + token,
                "token set " + OWNER + " --file=" + token, "token set " + OWNER + " --file " + token,
                "token set " + OWNER + " --stdin=" + token, "token set " + OWNER + " --stdin " + token,
                "token " + token, token, "--" + token, "token set -" + token, "features " + OWNER + " " + token,
                "features " + OWNER + " --token=" + token, "demo " + token, "demo --pf " + token,
                "demo --native --pf " + OWNER + " --vf " + token, "demo --kernel " + token, "record " + token,
                "record token set " + token, "record -o " + directory + " token set " + OWNER + " " + token,
                "token set @" + good, "@" + good, "token set " + OWNER + " @" + bad,
                "features " + token.replace("-", "") + " --emulated", "token set " + token.replace("-", ""),
                "token set " + OWNER + " --file " + token.replace("-", ""), "replay " + good, "replay " + token,
                "features 0000:0f:00.0 --emulated", "token set " + token.substring(1),
                "token set " + token.substring(0, 30), "token check " + OWNER + " --file /" + token.substring(2),
                "features " + token, "features " + token.toUpperCase(Locale.ROOT) + " --json",
                "features " + token + " --stdin", "features " + token + " --emulated", "doctor " + token,
                "doctor " + token + " --emulated --json", "record features " + token, "explain " + token,
                "explain ENOTTY --feature " + token + " --op get", "explain ENOTTY --feature DMA_BUF --op " + token,
                "completion " + token)) {
            run(kernel, token, line);
        }
        for (Path file : files) {
            Files.delete(file);
        }
        Files.delete(directory);
    }

    private static void run(IoctlBackend kernel, String stdin, String line) {
        PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
        int exitCode = Main.commandLine(() -> kernel, new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)))
                .setOut(out).setErr(out).execute(line.split(" ", -1));
        show("exit code " + exitCode);
    }
}
