package io.github.vfio4j.conformance.report;

/** HTML that is written piece by piece: what is text becomes text, whatever is in it. */
final class Html {

    private final StringBuilder out = new StringBuilder();

    /** Markup of this package's own. */
    Html raw(String markup) {
        out.append(markup);
        return this;
    }

    /** A text, escaped for an element's contents and for an attribute in double quotes alike. */
    Html text(Object text) {
        out.append(escape(text.toString()));
        return this;
    }

    /** An element around a text. */
    Html element(String name, Object text) {
        return element(name, "", text);
    }

    /** An element with a class around a text. */
    Html element(String name, String cssClass, Object text) {
        return raw("<" + name + (cssClass.isEmpty() ? "" : " class=\"" + cssClass + "\"") + ">").text(text)
                .raw("</" + name + ">");
    }

    /**
     * What cannot be part of HTML, such as control characters (HTML Living Standard, §13.1.4), is replaced; so are the marks
     * that turn the direction of writing, with which a text could be made to look like another one.
     */
    static String escape(String text) {
        StringBuilder escaped = new StringBuilder(text.length() + 16);
        text.codePoints().forEach(character -> {
            switch (character) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                case '\'' -> escaped.append("&#39;");
                case '\n', '\t' -> escaped.append((char) character);
                default -> {
                    int type = Character.getType(character);
                    boolean hidden = type == Character.CONTROL || type == Character.FORMAT
                            || type == Character.SURROGATE || type == Character.UNASSIGNED;
                    escaped.appendCodePoint(hidden ? 0xfffd : character);
                }
            }
        });
        return escaped.toString();
    }

    @Override
    public String toString() {
        return out.toString();
    }
}
