package io.github.vfio4j.examples.edu;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The guide shows the program that is compiled and run here, and what it really prints. */
class FirstDeviceTest {

    private static final Path GUIDE = Path.of("docs", "first-device.md");
    private static final Path SOURCE = Path.of("src", "test", "java", "io", "github", "vfio4j", "examples", "edu",
            "FirstDevice.java");
    private static final int LONGEST = 60;

    /** The block of the guide that is marked with a language. */
    private static String block(String language) throws IOException {
        List<String> blocks = Pattern.compile("^```" + language + "\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL)
                .matcher(Files.readString(GUIDE)).results().map(block -> block.group(1)).toList();
        assertThat(blocks).as("blocks marked %s in %s", language, GUIDE).hasSize(1);
        return blocks.getFirst();
    }

    @Test
    void theGuideShowsTheProgram() throws IOException {
        assertThat(block("java")).isEqualTo(Files.readString(SOURCE));
        assertThat(block("java").lines()).hasSizeLessThanOrEqualTo(LONGEST);
    }

    @Test
    void theGuideShowsWhatItPrints() throws IOException, InterruptedException {
        EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_6_12)
                .pciFunction("0000:02:00.0", function -> function.conventional().id(0x1234, 0x11e8)
                        .memoryBar(0, 1 << 20).msi(1).variantDriver("edu-vfio-pci", EduModel::new))
                .build().newProcess();
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        FirstDevice.run(Vfio.using(process), PciAddress.parse("0000:02:00.0"),
                new PrintStream(printed, true, StandardCharsets.UTF_8));
        assertThat(printed.toString(StandardCharsets.UTF_8)).isEqualTo(block("text"));
        assertThat(process.openFiles()).isEmpty();
    }
}
