package io.github.vfio4j;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.device.RegionView;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A program of mistakes in the use of memory for DMA, each of which in C could end it. Prints what Java makes of each. Run by
 * {@link DmaMisuseTest} in a JVM of its own.
 */
final class DmaMisuses {

    static final String LAST_WORDS = "and the JVM lives";

    private static final long PAGE = 4096;
    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");

    private final String where;

    private DmaMisuses(String where) {
        this.where = where;
    }

    /** Something that is wrong. */
    @FunctionalInterface
    private interface Misuse {
        Object make() throws Exception;
    }

    private void attempt(String what, Misuse misuse) {
        String result;
        try {
            result = "no exception but " + misuse.make();
        } catch (Exception e) {
            result = e.getClass().getSimpleName() + ": " + e.getMessage();
        }
        System.out.println(where + " | " + what + " | " + result);
    }

    public static void main(String[] arguments) throws VfioException {
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev()).lockedMemoryLimit(16 * PAGE)
                .pciFunction(PLAIN.toString(), function -> function.memoryBar(0, 2 * PAGE)).build();
        for (boolean nativeMemory : new boolean[]{false, true}) {
            for (boolean iommufd : new boolean[]{false, true}) {
                EmulatedProcess process = kernel.newProcess();
                IoctlBackend backend = nativeMemory ? new NativeMemory(process) : process;
                Vfio vfio = Vfio.using(backend);
                DmaMisuses misuses = new DmaMisuses(
                        (iommufd ? "iommufd" : "container") + (nativeMemory ? " with memory of the real kernel" : ""));
                try (Iommu iommu = iommufd ? vfio.openIommufd() : vfio.openContainer()) {
                    misuses.makeThem(process, iommu);
                }
                process.close();
            }
        }
        new DmaMisuses("this machine").withoutDevice(Vfio.open());
        System.out.println(LAST_WORDS);
    }

    /** The emulated kernel, but what is mapped is mapped by the real one. */
    private static final class NativeMemory extends ForwardingBackend {

        private final IoctlBackend real = NativeBackend.create();

        NativeMemory(IoctlBackend next) {
            super(next);
        }

        @Override
        public MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset) {
            return fd < 0
                    ? real.mmap(arena, length, protection, flags, fd, offset)
                    : super.mmap(arena, length, protection, flags, fd, offset);
        }
    }

    private void makeThem(EmulatedProcess process, Iommu iommu) throws VfioException {
        VfioDevice device = iommu.openDevice(PLAIN);
        MemorySegment page = Arena.ofAuto().allocate(PAGE, PAGE);
        attempt("map of freed memory", () -> iommu.map(freed(), DmaDirection.BIDIRECTIONAL));
        attempt("map of the heap", () -> iommu.map(MemorySegment.ofArray(new long[512]), DmaDirection.TO_DEVICE));
        attempt("map beyond the range", () -> iommu.map(1L << 60, page, DmaDirection.BIDIRECTIONAL));
        attempt("map across the end", () -> iommu.map(-PAGE, page, DmaDirection.BIDIRECTIONAL));
        for (long size : new long[]{PAGE, OwnMemory.HUGE_PAGE}) {
            DmaMapping mapping = iommu.allocate(size, DmaDirection.BIDIRECTIONAL);
            MemorySegment memory = mapping.memory();
            memory.set(JAVA_BYTE, size - 1, (byte) 1);
            attempt("access past the end", () -> memory.get(JAVA_BYTE, size));
            attempt("map over it", () -> iommu.map(mapping.iova(), page, DmaDirection.BIDIRECTIONAL));
            mapping.unmap();
            attempt("unmap twice", () -> {
                mapping.unmap();
                return "nothing";
            });
            mapping.close();
            mapping.close();
            attempt("access after close", () -> memory.get(JAVA_BYTE, 0));
            attempt("map after close", () -> iommu.map(memory, DmaDirection.BIDIRECTIONAL));
        }
        RegionView view = device.region(0).map();
        attempt("view past its end", () -> view.get32(2 * PAGE));
        attempt("memory of a view past its end", () -> view.segment().get(JAVA_BYTE, 2 * PAGE));
        attempt("more memory than there is", () -> iommu.allocate(1L << 60, DmaDirection.TO_DEVICE));
        attempt("70,000 mappings", () -> mapMany(iommu, page));
        process.withoutIpcLock();
        attempt("no memlock allowance", () -> iommu.allocate(17 * PAGE, DmaDirection.BIDIRECTIONAL));
        DmaMapping last = iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL);
        device.close();
        attempt("view after close", () -> view.get32(0));
        iommu.close();
        attempt("access after close of all", () -> last.memory().get(JAVA_BYTE, 0));
        attempt("unmap after close of all", () -> {
            last.unmap();
            return "nothing";
        });
        last.close();
        attempt("map after close of all", () -> iommu.map(page, DmaDirection.TO_DEVICE));
    }

    private static MemorySegment freed() {
        try (Arena arena = Arena.ofShared()) {
            return arena.allocate(PAGE, PAGE);
        }
    }

    /** And ends them again. */
    private static Object mapMany(Iommu iommu, MemorySegment page) throws VfioException {
        List<DmaMapping> mappings = new ArrayList<>();
        try {
            for (int i = 0; i < 70_000; i++) {
                mappings.add(iommu.map(page, DmaDirection.TO_DEVICE));
            }
            return mappings.size() + " mappings";
        } finally {
            for (DmaMapping mapping : mappings) {
                mapping.close();
            }
        }
    }

    /** The memory comes before the device, and so does what is wrong with it. */
    private void withoutDevice(Vfio vfio) {
        attempt("map without a device", () -> {
            try (Iommu iommu = vfio.openContainer()) {
                return iommu.allocate(PAGE, DmaDirection.TO_DEVICE);
            }
        });
        attempt("map of freed memory without a device", () -> {
            try (Iommu iommu = vfio.openIommufd()) {
                return iommu.map(freed(), DmaDirection.TO_DEVICE);
            }
        });
        attempt("access of memory that is freed", () -> {
            MemorySegment memory;
            try (Arena arena = Arena.ofShared()) {
                memory = OwnMemory.allocate(NativeBackend.create(), arena, OwnMemory.HUGE_PAGE, PAGE);
                memory.set(JAVA_BYTE, OwnMemory.HUGE_PAGE - 1, (byte) 1);
            }
            return memory.get(JAVA_BYTE, 0);
        });
    }
}
