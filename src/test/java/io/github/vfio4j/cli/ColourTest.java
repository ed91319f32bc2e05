package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

/** Colours are for terminals: picocli finds out whether there is one, and whether NO_COLOR is set. */
class ColourTest {

    private static String features(Ansi ansi) {
        return printed(ansi, 0, "features", "0000:01:00.0", "--emulated");
    }

    private static String doctor(Ansi ansi, String... more) {
        return printed(ansi, 3, Stream.concat(Stream.of("doctor", "0000:03:00.0", "--emulated"), Stream.of(more))
                .toArray(String[]::new));
    }

    private static String printed(Ansi ansi, int exitCode, String... arguments) {
        StringWriter out = new StringWriter();
        CommandLine commandLine = Main.commandLine(() -> {
            throw new AssertionError("the real kernel is not to be asked");
        }, InputStream.nullInputStream()).setColorScheme(Help.defaultColorScheme(ansi)).setOut(new PrintWriter(out));
        assertThat(commandLine.execute(arguments)).isEqualTo(exitCode);
        return out.toString();
    }

    @Test
    void whatIsThereIsGreen() {
        assertThat(features(Ansi.ON).lines().filter(line -> line.contains("\u001b[32myes ")))
                .hasSize((int) features(Ansi.OFF).lines().filter(line -> line.contains(" yes ")).count()).isNotEmpty();
    }

    @Test
    void whatStandsInTheWayIsRed() {
        assertThat(doctor(Ansi.ON)).contains("\u001b[1mNext:", "\u001b[1m\u001b[31mproblem ", "\u001b[32mok ");
        assertThat(doctor(Ansi.ON, "--json")).doesNotContain("\u001b");
    }

    @Test
    void coloursMoveNothing() {
        assertThat(doctor(Ansi.ON).replaceAll("\u001b\\[[\\d;]*m", "")).isEqualTo(doctor(Ansi.OFF))
                .doesNotContain("\u001b");
        assertThat(features(Ansi.ON).replaceAll("\u001b\\[[\\d;]*m", "")).isEqualTo(features(Ansi.OFF))
                .doesNotContain("\u001b");
    }
}
