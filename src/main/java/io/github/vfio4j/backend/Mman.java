package io.github.vfio4j.backend;

/** Flags of mmap(2), in the values that x86-64 and arm64 share for these. */
public final class Mman {

    /** The memory can be read. */
    public static final int PROT_READ = 1;
    /** The memory can be written. */
    public static final int PROT_WRITE = 2;
    /** What is written goes to the file. */
    public static final int MAP_SHARED = 1;
    /** What is written stays with this mapping. */
    public static final int MAP_PRIVATE = 2;

    private Mman() {
    }
}
