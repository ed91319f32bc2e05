package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;

/** The script for shells: in a bash that is asked what comes next, and in a zsh in which somebody presses TAB. */
class CompletionCommandTest {

    @Test
    void bashCompletesCommandsAndOptions(@TempDir Path directory) throws IOException, InterruptedException {
        Path script = script(directory);
        assertThat(completed(script, "vfio4j fea")).isEqualTo("features");
        assertThat(completed(script, "vfio4j token s")).isEqualTo("set");
        assertThat(completed(script, "vfio4j replay --nat")).isEqualTo("--native");
    }

    /** Somebody types into an interactive shell and presses TAB; what is waited for is what has to appear. */
    private static final String TYPED = """
            zmodload zsh/zpty || exit 2
            zpty -b shell 'TERM=dumb zsh -f -i'
            zpty -w shell "PS1='>'; source $1 && echo SOURCED-$?"
            zpty -r shell seen '*SOURCED-0*'
            type_and_see() { zpty -w -n shell "$1"$'\\t'; zpty -r shell seen "*$2*"; zpty -w -n shell $'\\x15'; print -r -- $2; }
            type_and_see 'vfio4j fea' 'vfio4j features '
            type_and_see 'vfio4j token s' 'vfio4j token set '
            type_and_see 'vfio4j replay --nat' 'vfio4j replay --native '
            type_and_see 'vfio4j doctor --em' 'vfio4j doctor --emulated '
            zpty -d shell
            """;

    static boolean hasZsh() {
        return Stream.of(System.getenv("PATH").split(File.pathSeparator, -1))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, "zsh")));
    }

    @Test
    @EnabledIf(value = "hasZsh", disabledReason = "There is no zsh on this machine")
    void zshCompletesThemToo(@TempDir Path directory) throws IOException, InterruptedException {
        Path script = script(directory);
        Path seen = directory.resolve("seen");
        Process zsh = new ProcessBuilder("zsh", "-f", "-c", TYPED, "zsh", script.toString()).redirectErrorStream(true)
                .redirectOutput(seen.toFile()).start();
        boolean ended = zsh.waitFor(2, TimeUnit.MINUTES);
        zsh.destroyForcibly();
        String output = Files.readString(seen);
        assertThat(ended).as("everything appeared; after %s", output).isTrue();
        assertThat(output.lines()).contains("vfio4j features ", "vfio4j token set ", "vfio4j replay --native ",
                "vfio4j doctor --emulated ");
    }

    private static Path script(Path directory) throws IOException {
        Path script = directory.resolve("completion");
        try (PrintWriter out = new PrintWriter(script.toFile(), StandardCharsets.UTF_8)) {
            assertThat(Main.run(out, out, "completion")).isZero();
        }
        return script;
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
