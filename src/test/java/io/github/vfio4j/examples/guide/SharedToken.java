package io.github.vfio4j.examples.guide;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;

/** The program of docs/vf-tokens.md: the owner of a physical function and the user of a virtual one, as two processes. */
public final class SharedToken {

    private SharedToken() {
    }

    public static void run(Vfio ownersVfio, Vfio usersVfio, PciAddress address, PrintStream out) throws VfioException {
        // @start region="owner"
        PciDevice function = ownersVfio.pciDevice(address);
        try (VfioContainer owner = ownersVfio.openContainer(); VfioDevice device = owner.openDevice(address)) {
            VfToken token = VfToken.random();
            device.vfToken().orElseThrow().set(token); // before there are virtual functions: none is ever without
            function.setSriovNumVfs(1);
            try {
                use(usersVfio, function.virtualFunction(0).orElseThrow(), token, out);
            } finally {
                function.setSriovNumVfs(0); // waits for users who still have one open
            }
        }
        // @end
    }

    private static void use(Vfio usersVfio, PciAddress address, VfToken token, PrintStream out) throws VfioException {
        tryToOpen(usersVfio, address, null, out);
        tryToOpen(usersVfio, address, VfToken.random(), out);
        tryToOpen(usersVfio, address, token, out);
    }

    // @start region="user"
    private static void tryToOpen(Vfio usersVfio, PciAddress address, @Nullable VfToken token, PrintStream out)
            throws VfioException {
        try (VfioContainer user = usersVfio.openContainer();
                VfioDevice device = token == null ? user.openDevice(address) : user.openDevice(address, token)) {
            out.println("open: " + device);
        } catch (VfioException e) {
            out.println(e.getMessage());
        }
    }
    // @end
}
