package io.github.vfio4j.cli;

import io.github.vfio4j.backend.NativeBackend;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code vfio4j completion}. */
@Command(name = "completion", mixinStandardHelpOptions = true, description = {
        "Prints a script by which bash and zsh complete commands and options."}, footer = {"",
                "In ~/.bashrc or ~/.zshrc:", "  source <(vfio4j completion)"})
final class CompletionCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        // One with all commands: that of the program has the one that was asked for.
        out.print(AutoComplete.bash(spec.root().name(), Main.commandLine(NativeBackend::create, Main.stdin(spec))));
        out.flush();
        return 0;
    }
}
