package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class MainTest {

    @Test
    void withoutACommandThereIsAListOfThem() {
        CommandRun.of().assertFailed(2, "completion, demo, doctor, explain, features, record, replay, token",
                "'vfio4j --help' explains").assertNoOutput();
    }

    @Test
    void anUnknownCommandIsAnsweredWithTheList() {
        CommandRun.of("feature").assertFailed(2, "no such command",
                "completion, demo, doctor, explain, features, record, replay, token").assertNoOutput();
    }

    @Test
    void anUnknownOptionIsNamed() {
        CommandRun.of("--verbose").assertFailed(2, "There is no option --verbose").assertNoOutput();
        CommandRun.of("features", "0000:01:00.0", "--emulate")
                .assertFailed(2, "vfio4j: There is no option --emulate ('vfio4j features --help' explains)")
                .assertNoOutput();
    }

    @Test
    void helpListsTheCommandsAndTheExitCodes() {
        String help = CommandRun.of("--help").assertDone().out();
        assertThat(help).contains("demo", "doctor", "explain", "features", "record", "replay", "token");
        for (int code = 0; code <= 4; code++) {
            assertThat(help).containsPattern("(?m)^  " + code + "   \\w");
        }
    }

    @Test
    void theVersionIsThatOfTheBuild() throws IOException {
        Matcher version = Pattern.compile("<artifactId>vfio4j</artifactId>\\s*<version>([^<]+)</version>")
                .matcher(Files.readString(Path.of("pom.xml")));
        assertThat(version.find()).isTrue();
        assertThat(CommandRun.of("--version").assertDone().out()).isEqualTo("vfio4j " + version.group(1) + "\n");
    }

    @Test
    void aProgramCanRunACommand() {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        assertThat(Main.run(new PrintWriter(out), new PrintWriter(err), "demo")).isZero();
        assertThat(out.toString()).startsWith("VF token demo on emulated Linux 7.2");
        assertThat(err.toString()).isEmpty();
    }
}
