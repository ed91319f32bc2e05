package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;

/**
 * What a command has done.
 *
 * @param exitCode
 *            0‥4
 * @param out
 *            standard output
 * @param err
 *            standard error
 */
record CommandRun(int exitCode, String out, String err) {

    /** The command line against the kernel of this machine, with nothing on standard input. */
    static CommandRun of(String... arguments) {
        return on(NativeBackend::create, "", arguments);
    }

    /** The command line where no kernel but an emulated one is to be asked. */
    static CommandRun withoutKernel(String stdin, String... arguments) {
        return on(() -> {
            throw new AssertionError("the real kernel is not to be asked");
        }, stdin, arguments);
    }

    /** The command line with another kernel in the place of this machine's. */
    static CommandRun on(Supplier<? extends IoctlBackend> realKernel, String stdin, String... arguments) {
        return on(realKernel, new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)), arguments);
    }

    /** The same, with a standard input that may have no end. */
    static CommandRun on(Supplier<? extends IoctlBackend> realKernel, InputStream stdin, String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int exitCode = Main.commandLine(realKernel, stdin, arguments).setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err)).execute(arguments);
        return new CommandRun(exitCode, text(out), text(err));
    }

    private static String text(StringWriter written) {
        return written.toString().replace(System.lineSeparator(), "\n");
    }

    /** It did what it should, and has nothing to complain of. */
    CommandRun assertDone() {
        assertThat(err).isEmpty();
        assertThat(exitCode).isZero();
        return this;
    }

    /** It failed: one line on standard error that has these words in it, none of a stack trace, nothing on the other. */
    CommandRun assertFailed(int expected, String... words) {
        assertThat(err).startsWith("vfio4j: ").endsWith("\n").contains(words).doesNotContain("Exception", "\tat ");
        assertThat(err.lines()).hasSize(1);
        assertThat(err.chars().filter(Character::isISOControl)).as("line ends and control sequences").hasSize(1);
        assertThat(exitCode).isEqualTo(expected);
        return this;
    }

    /**
     * It failed on this machine, which has no such device. How far it got depends on the machine: the container is opened
     * first.
     */
    CommandRun assertFailedForWantOfTheDevice() {
        int fd;
        try {
            fd = NativeBackend.create().open("/dev/vfio/vfio", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        } catch (UnsupportedOperationException e) {
            return assertFailed(3, String.valueOf(e.getMessage()));
        }
        if (fd >= 0) {
            assertThat(NativeBackend.create().close(fd)).isZero();
            return assertFailed(3, "There is no PCI function at this address", "lspci -D");
        }
        return fd == -Errno.EACCES.code()
                ? assertFailed(4, "open /dev/vfio/vfio: EACCES", "chmod 666 /dev/vfio/vfio")
                : assertFailed(3, "open /dev/vfio/vfio: ", "modprobe vfio-pci");
    }

    /** It printed nothing that looks like a result. */
    void assertNoOutput() {
        assertThat(out).isEmpty();
    }
}
