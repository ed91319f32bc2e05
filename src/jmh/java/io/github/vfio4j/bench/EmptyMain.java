package io.github.vfio4j.bench;

/** What a JVM costs before a program begins. */
public final class EmptyMain {

    private EmptyMain() {
    }

    /** Does nothing. */
    public static void main(String... arguments) {
        // Nothing at all.
    }
}
