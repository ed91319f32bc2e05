package io.github.vfio4j.cli;

import io.github.vfio4j.backend.NativeBackend;
import java.io.InputStream;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** Makes the manual page of the command line from what the commands say of themselves, in man(7). */
final class ManPage {

    private static final Set<String> OF_EVERY_COMMAND = Set.of("--help", "--version");

    private final StringBuilder page = new StringBuilder();

    private ManPage() {
    }

    static String make() {
        ManPage page = new ManPage();
        page.write(Main.commandLine(NativeBackend::create, InputStream.nullInputStream()).getCommandSpec());
        return page.page.toString();
    }

    private void write(CommandSpec root) {
        line(".\\\" Made from the commands' own descriptions; see ManPageTest.");
        line(".TH VFIO4J 1 \"\" vfio4j \"vfio4j manual\"");
        line(".SH NAME");
        line("vfio4j \\- VFIO device features from the command line");
        line(".SH SYNOPSIS");
        line(".B vfio4j");
        line(".I command");
        line("[options]");
        line(".SH DESCRIPTION");
        description(root);
        line(".SH COMMANDS");
        root.subcommands().values().forEach(this::command);
        line(".SH \"OPTIONS OF EVERY COMMAND\"");
        root.options().stream().filter(option -> OF_EVERY_COMMAND.contains(option.longestName())).forEach(this::option);
        line(".SH \"EXIT STATUS\"");
        for (Map.Entry<String, String> code : root.usageMessage().exitCodeList().entrySet()) {
            term(".B " + text(code.getKey()), code.getValue());
        }
        line(".SH ENVIRONMENT");
        term(".B NO_COLOR", "If set, nothing is coloured, not even on a terminal.");
        line(".SH \"SEE ALSO\"");
        line(".BR lspci (8),");
        line(".BR modprobe (8)");
        line(".PP");
        line("https://github.com/vfio4j/vfio4j");
    }

    private void command(CommandLine commandLine) {
        CommandSpec command = commandLine.getCommandSpec();
        if (!command.subcommands().isEmpty()) {
            command.subcommands().values().forEach(this::command);
            return;
        }
        line(".SS \"" + text(command.qualifiedName()) + "\"");
        line(".nf");
        line(text(new CommandLine.Help(command, CommandLine.Help.defaultColorScheme(Ansi.OFF)).synopsis(0).strip()
                .replaceAll("\\s+", " ").replace(" [-hV]", "")));
        line(".fi");
        line(".PP");
        description(command);
        command.positionalParameters().stream().filter(parameter -> !parameter.hidden()).forEach(this::parameter);
        command.options().stream()
                .filter(option -> !option.hidden() && !OF_EVERY_COMMAND.contains(option.longestName()))
                .forEach(this::option);
        footer(command);
    }

    private void description(CommandSpec command) {
        for (String sentence : command.usageMessage().description()) {
            line(text(sentence));
        }
    }

    /** Lines that are indented are commands. */
    private void footer(CommandSpec command) {
        for (String footer : command.usageMessage().footer()) {
            if (footer.isEmpty()) {
                line(".PP");
            } else if (footer.startsWith(" ")) {
                line(".RS 4");
                line(".nf");
                line(text(footer.strip()));
                line(".fi");
                line(".RE");
            } else {
                line(text(footer));
            }
        }
    }

    private void option(OptionSpec option) {
        String names = Stream.of(option.names()).map(ManPage::text).collect(Collectors.joining(", "));
        term(option.typeInfo().isBoolean()
                ? ".B \"" + names + "\""
                : ".BI \"" + names + " \" " + text(option.paramLabel()), description(option));
    }

    private void parameter(PositionalParamSpec parameter) {
        term(".I " + text(parameter.paramLabel()), description(parameter));
    }

    private static String description(ArgSpec argument) {
        return String.join(" ", argument.description()).replace("${DEFAULT-VALUE}",
                String.valueOf(argument.defaultValueString()));
    }

    private void term(String heading, String description) {
        line(".TP");
        line(heading);
        line(text(description));
    }

    /** As roff takes it: hyphens that can be copied, nothing that begins a request. */
    private static String text(String plain) {
        String escaped = plain.replace("\\", "\\e").replace("-", "\\-");
        return escaped.startsWith(".") || escaped.startsWith("'") ? "\\&" + escaped : escaped;
    }

    private void line(String line) {
        page.append(line).append('\n');
    }
}
