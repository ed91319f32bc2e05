package io.github.vfio4j.site;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.commonmark.Extension;
import org.commonmark.ext.gfm.tables.TablesExtension;
import org.commonmark.ext.heading.anchor.HeadingAnchorExtension;
import org.commonmark.node.AbstractVisitor;
import org.commonmark.node.Heading;
import org.commonmark.node.Link;
import org.commonmark.node.Node;
import org.commonmark.parser.Parser;
import org.commonmark.renderer.html.HtmlRenderer;
import org.commonmark.renderer.text.TextContentRenderer;

/** Makes a site of the documentation: the guides, the README and the changelog as pages. The API's goes into {@code api}. */
public final class Site {

    private static final String SOURCES = "https://github.com/vfio4j/vfio4j/blob/main/";
    private static final Path INDEX = Path.of("docs", "README.md");

    private final List<Extension> tables = List.of(TablesExtension.create());
    private final Parser parser = Parser.builder().extensions(tables).build();
    private final HtmlRenderer renderer = HtmlRenderer.builder()
            .extensions(List.of(tables.getFirst(), HeadingAnchorExtension.create())).build();

    /** What becomes which page. */
    private final Map<Path, String> pages = new LinkedHashMap<>();

    private Site() throws IOException {
        pages.put(INDEX, "index.html");
        pages.put(Path.of("README.md"), "overview.html");
        pages.put(Path.of("CHANGELOG.md"), "changelog.html");
        try (Stream<Path> guides = Files.list(INDEX.getParent())) {
            guides.filter(guide -> guide.toString().endsWith(".md")).sorted().forEach(
                    guide -> pages.putIfAbsent(guide, guide.getFileName().toString().replaceFirst("\\.md$", ".html")));
        }
    }

    /**
     * Makes the site of the checkout that is the working directory.
     *
     * @param arguments
     *            the directory it goes to
     */
    public static void main(String[] arguments) throws IOException {
        new Site().write(Path.of(arguments[0]));
    }

    private void write(Path directory) throws IOException {
        Files.createDirectories(directory);
        for (Map.Entry<Path, String> page : pages.entrySet()) {
            Node document = parser.parse(Files.readString(page.getKey()));
            String title = title(document);
            document.accept(new AbstractVisitor() {
                @Override
                public void visit(Link link) {
                    link.setDestination(destination(page.getKey(), link.getDestination()));
                    visitChildren(link);
                }
            });
            Files.writeString(directory.resolve(page.getValue()), page(title, renderer.render(document)));
        }
    }

    private static String page(String title, String body) {
        return """
                <!DOCTYPE html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <title>%s</title>
                <style>
                :root { color-scheme: light dark }
                body { max-width: 60rem; margin: auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif }
                pre { overflow-x: auto; padding: .8rem; background: #8882 }
                code { font-size: .9em }
                table { border-collapse: collapse; display: block; overflow-x: auto }
                th, td { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top }
                </style>
                </head>
                <body>
                <nav><a href="index.html">Guides</a> · <a href="overview.html">Overview</a> · <a href="api/index.html">API</a> ·
                <a href="changelog.html">Changelog</a></nav>
                <main>
                %s</main>
                </body>
                </html>
                """
                .formatted(title, body);
    }

    private static String title(Node document) {
        return document.getFirstChild() instanceof Heading heading
                ? TextContentRenderer.builder().build().render(heading).strip()
                : "vfio4j";
    }

    /** A page of the site, or a file of the sources where they are published. */
    private String destination(Path page, String link) {
        if (link.startsWith("https:") || link.startsWith("#")) {
            return link;
        }
        String[] parts = link.split("#", 2);
        Path target = page.resolveSibling(parts[0]).normalize();
        String anchor = parts.length == 2 ? "#" + parts[1] : "";
        return Optional.ofNullable(pages.get(target)).orElse(SOURCES + target) + anchor;
    }
}
