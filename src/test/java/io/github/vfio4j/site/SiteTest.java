package io.github.vfio4j.site;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The site is whole: every link leads to a page of it, to a part of a page, or away. */
class SiteTest {

    private static final Pattern LINK = Pattern.compile("href=\"(?!https:)([^\"#]*)(?:#([^\"]*))?\"");

    @Test
    void everyLinkLeadsSomewhere(@TempDir Path directory) throws IOException {
        Site.main(new String[]{directory.toString()});
        List<Path> pages;
        try (Stream<Path> files = Files.list(directory)) {
            pages = files.sorted().toList();
        }
        assertThat(pages.stream().map(page -> page.getFileName().toString())).contains("index.html", "overview.html",
                "changelog.html", "first-device.html", "native-access.html");
        for (Path page : pages) {
            String html = Files.readString(page);
            assertThat(html).contains("<title>", "<h1");
            LINK.matcher(html).results().filter(link -> !link.group(1).startsWith("api/")).forEach(link -> {
                Path target = link.group(1).isEmpty() ? page : directory.resolve(link.group(1));
                assertThat(pages).as("link to %s in %s", link.group(1), page).contains(target);
                if (link.group(2) != null) {
                    assertThat(target).content().contains("id=\"" + link.group(2) + "\"");
                }
            });
        }
    }
}
