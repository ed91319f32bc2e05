package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

/** Colours are for terminals: picocli finds out whether there is one, and whether NO_COLOR is set. */
class ColourTest {

    private static String features(Ansi ansi) {
        StringWriter out = new StringWriter();
        CommandLine commandLine = Main.commandLine(() -> {
            throw new AssertionError("the real kernel is not to be asked");
        }, InputStream.nullInputStream()).setColorScheme(Help.defaultColorScheme(ansi)).setOut(new PrintWriter(out));
        assertThat(commandLine.execute("features", "0000:01:00.0", "--emulated")).isZero();
        return out.toString();
    }

    @Test
    void whatIsThereIsGreen() {
        assertThat(features(Ansi.ON).lines().filter(line -> line.contains("\u001b[32myes ")))
                .hasSize((int) features(Ansi.OFF).lines().filter(line -> line.contains(" yes ")).count()).isNotEmpty();
    }

    @Test
    void coloursMoveNothing() {
        assertThat(features(Ansi.ON).replaceAll("\u001b\\[[\\d;]*m", "")).isEqualTo(features(Ansi.OFF))
                .doesNotContain("\u001b");
    }
}
