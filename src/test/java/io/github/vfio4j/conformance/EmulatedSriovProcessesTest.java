package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.examples.sriov.PfOwner;
import io.github.vfio4j.examples.sriov.VfUser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** Owner and user as two processes of each emulated kernel, the user's in a thread of its own. */
@ParameterizedClass(name = "{0}")
@MethodSource("io.github.vfio4j.emulation.KernelProfile#all")
@SuppressWarnings("NullAway.Init") // set before each test
class EmulatedSriovProcessesTest extends SriovProcessesContract {

    private static final PciAddress PHYSICAL_FUNCTION = PciAddress.parse("0000:01:00.0");
    private static final PciAddress PLAIN_FUNCTION = PciAddress.parse("0000:02:00.0");

    @Parameter
    private KernelProfile profile;

    private EmulatedKernel kernel;
    private EmulatedProcess owner;

    @BeforeEach
    void boot() {
        kernel = EmulatedKernel.builder(profile)
                .pciFunction(PHYSICAL_FUNCTION.toString(), function -> function.sriov(2).memoryBar(0, 16384))
                .pciFunction(PLAIN_FUNCTION.toString(), function -> function.memoryBar(0, 16384)).build();
        owner = kernel.newProcess();
    }

    @AfterEach
    void nothingIsLeftOpen() {
        assertThat(kernel.processes()).allSatisfy(process -> assertThat(process.openFiles()).isEmpty());
    }

    @Override
    Vfio vfio() {
        return Vfio.using(owner);
    }

    @Override
    PciAddress physicalFunction() {
        return PHYSICAL_FUNCTION;
    }

    @Override
    User start(PciAddress virtualFunction) throws IOException {
        EmulatedProcess process = kernel.newProcess();
        PipedInputStream tokens = new PipedInputStream();
        PipedOutputStream input = new PipedOutputStream(tokens);
        PipedInputStream said = new PipedInputStream();
        PipedOutputStream output = new PipedOutputStream(said);
        CompletableFuture<Integer> exitCode = CompletableFuture.supplyAsync(() -> {
            try (PrintStream out = new PrintStream(output, false, StandardCharsets.UTF_8)) {
                return VfUser.run(Vfio.using(process), virtualFunction, tokens, out);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, task -> Thread.ofPlatform().start(task));
        return new EmulatedUser(input, new BufferedReader(new InputStreamReader(said, StandardCharsets.UTF_8)),
                exitCode);
    }

    /** The user in a thread. */
    private record EmulatedUser(OutputStream input, BufferedReader output,
            CompletableFuture<Integer> exitCode) implements User {

        @Override
        public String visible() {
            return "";
        }

        @Override
        public int waitFor() {
            return exitCode.join();
        }

        @Override
        public void close() throws IOException {
            input.close();
            waitFor();
        }
    }

    @Test
    void aFunctionWithoutVirtualOnesHasNoOwner() {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> PfOwner.start(vfio(), PLAIN_FUNCTION, 1))
                .withMessageContaining("no SR-IOV physical function");
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> PfOwner.start(vfio(), PHYSICAL_FUNCTION, 3))
                .withMessageContaining("ERANGE");
    }
}
