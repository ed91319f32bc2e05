package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The manual page says what the commands say. */
class ManPageTest {

    private static final Path PAGE = Path.of("docs", "man", "vfio4j.1");

    /** Set on Maven's command line to write the file instead. */
    private static final String WRITE = "vfio4j.man.write";

    @Test
    void isUpToDate() throws IOException {
        if (Boolean.getBoolean(WRITE)) {
            Files.createDirectories(PAGE.getParent());
            Files.writeString(PAGE, ManPage.make());
        }
        assertThat(PAGE).as("%s, which mvn -D%s=true -Dtest=ManPageTest test makes", PAGE, WRITE)
                .hasContent(ManPage.make());
    }
}
