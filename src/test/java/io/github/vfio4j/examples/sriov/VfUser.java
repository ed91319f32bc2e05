package io.github.vfio4j.examples.sriov;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The process that uses a virtual function: it reads VF tokens from its standard input until one is right, and has the
 * function open until that input ends. {@link PfOwner} is at the other end.
 */
public final class VfUser {

    private VfUser() {
    }

    /**
     * The user as a program: exits with 0 if it had the function.
     *
     * @param arguments
     *            the address of the virtual function
     */
    public static void main(String[] arguments) throws IOException {
        System.exit(run(Vfio.open(), PciAddress.parse(arguments[0]), System.in, System.out));
    }

    /**
     * How to start it as a process of its own, with this one's Java and classes.
     *
     * @param virtualFunction
     *            what it is to open
     * @param options
     *            of the JVM
     * @return a command without secrets
     */
    public static ProcessBuilder command(PciAddress virtualFunction, String... options) {
        ProcessBuilder command = new ProcessBuilder(System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path"));
        command.command().addAll(List.of(options));
        command.command().addAll(List.of(VfUser.class.getName(), virtualFunction.toString()));
        return command.redirectErrorStream(true);
    }

    /**
     * Opens the function with the first token that is right.
     *
     * @param vfio
     *            the kernel
     * @param virtualFunction
     *            what to open
     * @param tokens
     *            16 bytes each
     * @param out
     *            is told what the kernel says to each
     * @return 0 if the function was open, 1 if there was no right token
     * @throws IOException
     *             if the tokens can't be read, or the function not be closed
     */
    public static int run(Vfio vfio, PciAddress virtualFunction, InputStream tokens, PrintStream out)
            throws IOException {
        try (VfioContainer container = vfio.openContainer()) {
            byte[] bytes = tokens.readNBytes(VfToken.BYTE_SIZE);
            while (bytes.length == VfToken.BYTE_SIZE) {
                Optional<VfioDevice> opened = open(container, virtualFunction, bytes, out);
                if (opened.isPresent()) {
                    try (VfioDevice device = opened.get()) {
                        out.println("open: " + device);
                        out.flush();
                        tokens.readAllBytes();
                    }
                    return 0;
                }
                bytes = tokens.readNBytes(VfToken.BYTE_SIZE);
            }
        }
        return 1;
    }

    private static Optional<VfioDevice> open(VfioContainer container, PciAddress virtualFunction, byte[] bytes,
            PrintStream out) {
        VfToken token = VfToken.of(bytes);
        Arrays.fill(bytes, (byte) 0);
        try {
            return Optional.of(container.openDevice(virtualFunction, token));
        } catch (VfioException e) {
            out.println("refused: " + e.getMessage());
            out.flush();
            return Optional.empty();
        }
    }
}
