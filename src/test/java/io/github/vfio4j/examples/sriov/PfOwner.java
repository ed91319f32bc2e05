package io.github.vfio4j.examples.sriov;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;

/**
 * The process that owns an SR-IOV physical function: it sets a VF token that nobody has seen, creates virtual functions, and
 * hands the token to those who are to use them. {@link VfUser} is one of these, in another process.
 *
 * <p>
 * The token goes through a pipe and nowhere else. A command line is for everybody to read, an environment is inherited, and a
 * file stays.
 *
 * <p>
 * By containers, which ask for the token on every kernel; iommufds do so from Linux 7.2 on.
 */
public final class PfOwner implements AutoCloseable {

    private final VfioContainer container;
    private final PciDevice function;
    private final VfToken token = VfToken.random();

    private PfOwner(VfioContainer container, PciDevice function) {
        this.container = container;
        this.function = function;
    }

    /**
     * The owner as a program.
     *
     * @param arguments
     *            the address of the physical function
     */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        try (PfOwner owner = start(Vfio.open(), PciAddress.parse(arguments[0]), 1)) {
            PciAddress virtualFunction = owner.virtualFunction(0);
            Process user = VfUser.command(virtualFunction).redirectOutput(ProcessBuilder.Redirect.INHERIT).start();
            try (OutputStream pipe = user.getOutputStream()) {
                owner.giveToken(pipe);
                System.out.println(
                        "Process " + user.pid() + " may use " + virtualFunction + " until somebody presses Enter");
                System.in.read();
            }
            // While it has the function open, the kernel would wait for it.
            user.waitFor();
        }
    }

    /**
     * Opens the physical function, sets a token, and then creates virtual functions: nobody can open one without.
     *
     * @param vfio
     *            the kernel
     * @param address
     *            an SR-IOV physical function on vfio-pci
     * @param virtualFunctions
     *            how many
     * @return their owner
     * @throws VfioException
     *             if the kernel refuses
     */
    public static PfOwner start(Vfio vfio, PciAddress address, int virtualFunctions) throws VfioException {
        PfOwner owner = new PfOwner(vfio.openContainer(), vfio.pciDevice(address));
        try {
            VfioDevice device = owner.container.openDevice(address);
            device.vfToken().orElseThrow(
                    () -> new VfioException("set a VF token on " + address, null, "It is no SR-IOV physical function"))
                    .set(owner.token);
            owner.function.setSriovNumVfs(virtualFunctions);
        } catch (VfioException | RuntimeException e) {
            try {
                owner.container.close();
            } catch (VfioException again) {
                e.addSuppressed(again);
            }
            throw e;
        }
        return owner;
    }

    /**
     * One of the virtual functions.
     *
     * @param index
     *            from 0 on
     * @return its address
     */
    public PciAddress virtualFunction(int index) throws VfioException {
        return function.virtualFunction(index).orElseThrow();
    }

    /**
     * Hands the token over, as its 16 bytes.
     *
     * @param pipe
     *            that nobody but the user reads; it stays open
     * @throws IOException
     *             if the user is gone
     */
    public void giveToken(OutputStream pipe) throws IOException {
        byte[] bytes = token.toBytes();
        try {
            pipe.write(bytes);
            pipe.flush();
        } finally {
            Arrays.fill(bytes, (byte) 0);
        }
    }

    /** Removes the virtual functions, and then gives the physical one back. The users have to be gone. */
    @Override
    public void close() throws VfioException {
        try (container) {
            function.setSriovNumVfs(0);
        }
    }

    /** Whose owner it is. */
    @Override
    public String toString() {
        return "owner of " + function;
    }
}
