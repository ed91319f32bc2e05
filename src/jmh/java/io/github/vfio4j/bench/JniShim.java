package io.github.vfio4j.bench;

/** What a binding by JNI comes down to: one native method, −errno where it fails. */
final class JniShim {

    static {
        System.load(CFunctions.LIBRARY);
    }

    private JniShim() {
    }

    static native int ioctl(int fd, long request, long argument);
}
