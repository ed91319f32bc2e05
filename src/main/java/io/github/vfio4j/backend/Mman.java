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
    /** There is no file: the memory is zero at first. */
    public static final int MAP_ANONYMOUS = 0x20;
    /** Of the huge pages that the machine has set aside. */
    public static final int MAP_HUGETLB = 0x40000;
    /** Of those of 2 MiB. */
    public static final int MAP_HUGE_2MB = 21 << 26;

    private Mman() {
    }
}
