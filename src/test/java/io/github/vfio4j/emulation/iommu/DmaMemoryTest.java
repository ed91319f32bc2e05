package io.github.vfio4j.emulation.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.LockedMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Memory that was passed along in pieces, and the parts of it. */
class DmaMemoryTest {

    /** A call with pieces of memory of 100 bytes from address 1000 on; byte i of the piece at a is (a + i) mod 128. */
    private static CallContext call(Arena arena, long... addresses) {
        return new CallContext() {
            @Override
            public FdTable descriptors() {
                throw new AssertionError("no descriptor is needed");
            }

            @Override
            public LockedMemory lockedMemory() {
                throw new AssertionError("no memory is locked");
            }

            @Override
            public boolean isDeviceMemory(long address, long size) {
                return false;
            }

            @Override
            public @Nullable MemorySegment memoryAt(long address) {
                for (long start : addresses) {
                    if (address >= start && address < start + 100) {
                        MemorySegment piece = arena.allocate(start + 100 - address);
                        for (long i = 0; i < piece.byteSize(); i++) {
                            piece.set(ValueLayout.JAVA_BYTE, i, (byte) ((address + i) % 128));
                        }
                        return piece;
                    }
                }
                return null;
            }
        };
    }

    private static void assertHolds(DmaMemory memory, long address, long size) {
        assertThat(memory.address()).isEqualTo(address);
        assertThat(memory.size()).isEqualTo(size);
        long at = address;
        for (MemorySegment piece : memory.pieces()) {
            for (byte value : piece.toArray(ValueLayout.JAVA_BYTE)) {
                assertThat(value).as("at %d", at).isEqualTo((byte) (at % 128));
                at++;
            }
        }
        assertThat(at).isEqualTo(address + size);
        assertThat(memory.isMapped()).isTrue();
    }

    @Test
    void theMemoryAndItsPartsAreThatOfTheProgram() {
        try (Arena arena = Arena.ofConfined()) {
            DmaMemory memory = DmaMemory.of(call(arena, 1000, 1100, 1200), 1050, 200);
            assertHolds(memory, 1050, 200);
            assertThat(memory.pieces()).hasSize(3);
            assertHolds(memory.slice(0, 200), 1050, 200);
            assertHolds(memory.slice(10, 20), 1060, 20);
            assertHolds(memory.slice(40, 20), 1090, 20);
            assertHolds(memory.slice(50, 100), 1100, 100);
            assertHolds(memory.slice(199, 1), 1249, 1);
            assertHolds(memory.slice(30, 150).slice(20, 1), 1100, 1);
        }
    }

    @Test
    void whatIsBehindAGapIsNotMapped() {
        try (Arena arena = Arena.ofConfined()) {
            CallContext call = call(arena, 1000, 1200);
            DmaMemory memory = DmaMemory.of(call, 1000, 300);
            assertThat(memory.isMapped()).isFalse();
            assertThat(memory.pieces().stream().map(MemorySegment::byteSize)).isEqualTo(List.of(100L));
            assertHolds(memory.slice(0, 100), 1000, 100);
            assertThat(memory.slice(0, 101).isMapped()).isFalse();
            assertThat(memory.slice(250, 10).isMapped()).isFalse();
            assertThat(DmaMemory.of(call, 0, -1).isMapped()).isFalse();
        }
    }
}
