package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script for shells, in a bash that is asked what comes next. */
class CompletionCommandTest {

    @Test
    void bashCompletesCommandsAndOptions(@TempDir Path directory) throws IOException, InterruptedException {
        Path script = directory.resolve("completion");
        try (PrintWriter out = new PrintWriter(script.toFile(), StandardCharsets.UTF_8)) {
            assertThat(Main.run(out, out, "completion")).isZero();
        }
        assertThat(completed(script, "vfio4j fea")).isEqualTo("features");
        assertThat(completed(script, "vfio4j token s")).isEqualTo("set");
        assertThat(completed(script, "vfio4j replay --nat")).isEqualTo("--native");
    }

    private static String completed(Path script, String typed) throws IOException, InterruptedException {
        String ask = "source " + script + "; COMP_LINE='" + typed + "'; COMP_WORDS=($COMP_LINE);"
                + " COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_POINT=${#COMP_LINE}; _complete_vfio4j; echo ${COMPREPLY[@]}";
        Process bash = new ProcessBuilder("bash", "--norc", "-c", ask).redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String output = new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(bash.waitFor()).as(output).isZero();
        return output.strip();
    }
}
