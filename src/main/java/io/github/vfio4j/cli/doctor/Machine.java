package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedProcess;
import java.nio.file.Path;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A machine that can be examined, and as whom. */
public final class Machine {

    private static final Pattern UID = Pattern.compile("(?m)^Uid:\\s*([0-9]+)");

    private final SystemFiles files;
    private final String system;
    private final String user;
    private final String release;
    private final boolean emulated;
    private final @Nullable IoctlBackend kernel;
    private final @Nullable String withoutKernel;

    private Machine(SystemFiles files, String system, String user, String release, @Nullable IoctlBackend kernel,
            @Nullable String withoutKernel, boolean emulated) {
        this.files = files;
        this.system = system;
        // What Java calls a user who has a number only, as in many a container.
        this.user = user.equals("?") ? byNumber(files) : user;
        this.release = files.read("/proc/sys/kernel/osrelease").orElse(release);
        this.kernel = kernel;
        this.withoutKernel = withoutKernel;
        this.emulated = emulated;
    }

    /**
     * The machine this runs on.
     *
     * @param kernel
     *            its kernel, asked for once; {@link UnsupportedOperationException} where it can't be called
     */
    public static Machine thisOne(Supplier<? extends IoctlBackend> kernel) {
        return of(new HostFiles(Path.of("/")), System.getProperty("os.name"), System.getProperty("user.name"), kernel);
    }

    static Machine of(SystemFiles files, String system, String user, Supplier<? extends IoctlBackend> kernel) {
        String release = System.getProperty("os.version");
        try {
            return new Machine(files, system, user, release, kernel.get(), null, false);
        } catch (UnsupportedOperationException e) {
            return new Machine(files, system, user, release, null, e.getMessage(), false);
        }
    }

    private static String byNumber(SystemFiles files) {
        Matcher uid = UID.matcher(files.read("/proc/self/status").orElse(""));
        return !uid.find() ? "?" : uid.group(1).equals("0") ? "root" : uid.group(1);
    }

    /** An emulated one, as a process of it finds it. */
    public static Machine emulated(EmulatedProcess process) {
        EmulatedFiles files = new EmulatedFiles(process);
        return new Machine(files, "Linux", "?", process.kernel().profile().version(), process, null, true);
    }

    SystemFiles files() {
        return files;
    }

    /** Its operating system. */
    String system() {
        return system;
    }

    /** Whether that is Linux. */
    boolean isLinux() {
        return system.startsWith("Linux");
    }

    /** The name of the user this runs as, or the number of one without. */
    String user() {
        return user;
    }

    /** The kernel's release, as uname(1) shows it. */
    String release() {
        return release;
    }

    /** Where its kernel can be called; null if it can't be. */
    @Nullable
    IoctlBackend kernel() {
        return kernel;
    }

    /** Why it can't be; null if it can. */
    @Nullable
    String withoutKernel() {
        return withoutKernel;
    }

    boolean isEmulated() {
        return emulated;
    }

    /** For example {@code Linux 6.12.107+deb13-amd64, as alice}. */
    @Override
    public String toString() {
        return (emulated ? "emulated " : "") + system + " " + release + ", as " + user;
    }
}
