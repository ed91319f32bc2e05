package io.github.vfio4j.backend;

/** Creates the native backend, or prints why not. */
final class OpenProbe {

    private OpenProbe() {
    }

    /** Prints one line. */
    public static void main(String[] arguments) {
        try {
            System.out.println(NativeBackend.create());
        } catch (UnsupportedOperationException e) {
            System.out.println(e.getMessage());
        }
    }
}
