package io.github.vfio4j.examples.guide;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** No page leads to a place that is not there: files of this checkout, and headings in them. */
class LinksTest {

    private static final Pattern LINK = Pattern.compile("\\[[^\\]]*\\]\\(([^)\\s]*)\\)");
    private static final Pattern HEADING = Pattern.compile("(?m)^#+ (.+)$");
    private static final Pattern CODE = Pattern.compile("(?sm)^```.*?^```$");

    private static Stream<Guide> pages() {
        return Stream.concat(Guide.all().stream(),
                Stream.of("README.md", "CHANGELOG.md", "jextract-config/README.md").map(Path::of).map(Guide::of));
    }

    @ParameterizedTest
    @MethodSource("pages")
    void everyLinkLeadsSomewhere(Guide page) throws IOException {
        for (String link : LINK.matcher(prose(page)).results().map(found -> found.group(1))
                .filter(link -> !link.startsWith("https://")).toList()) {
            String[] parts = link.split("#", 2);
            Path target = parts[0].isEmpty() ? page.file() : page.file().resolveSibling(parts[0]).normalize();
            assertThat(target).as("link to %s in %s", link, page).exists();
            if (parts.length == 2) {
                assertThat(anchors(Guide.of(target))).as("headings of %s, to which %s links", target, page)
                        .contains(parts[1]);
            }
        }
    }

    private static String prose(Guide page) {
        return CODE.matcher(page.text()).replaceAll("");
    }

    /** As Markdown renderers make them of headings: small letters, digits and hyphens. */
    private static List<String> anchors(Guide page) {
        return HEADING.matcher(prose(page)).results().map((MatchResult heading) -> heading.group(1))
                .map(heading -> heading.toLowerCase(Locale.ROOT).replaceAll("[^\\p{L}\\d _-]", "").replace(' ', '-'))
                .toList();
    }

    @ParameterizedTest
    @MethodSource("pages")
    void everyGuideIsInTheIndex(Guide page) {
        Path index = Path.of("docs", "README.md");
        if (page.file().startsWith("docs") && !page.file().equals(index)) {
            assertThat(Guide.of(index).text()).contains("](" + page.file().getFileName() + ")");
        }
    }
}
