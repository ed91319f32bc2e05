package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.feature.IovaRange;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** Answers to VFIO_IOMMU_GET_INFO, also such as no kernel should give. */
class Type1InfoTest {

    private static final int PAGE_SIZES = 1;
    private static final int CAPABILITIES = 2;
    private static final int FIXED = 24;

    private final MemorySegment answer = Arena.ofAuto().allocate(128, 8);

    private void fixed(int flags, int chain) {
        integer(0, (int) answer.byteSize());
        integer(4, flags);
        number(8, 0x40201000);
        integer(16, chain);
    }

    private void capability(int at, int id, int next) {
        integer(at, id | 1 << 16);
        integer(at + 4, next);
    }

    private void integer(int at, int value) {
        answer.set(ValueLayout.JAVA_INT, at, value);
    }

    private void number(int at, long value) {
        answer.set(ValueLayout.JAVA_LONG, at, value);
    }

    private void malformed(String what) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> Type1Info.of(answer))
                .withMessageContaining("malformed").withMessageContaining(what);
    }

    @Test
    void withoutCapabilitiesEverythingButTheLastPageCanBeMapped() throws VfioException {
        fixed(PAGE_SIZES, 7);
        Type1Info info = Type1Info.of(answer);
        assertThat(info.terms().ranges()).containsExactly(new IovaRange(0, -4096));
        assertThat(info.terms().pageSizes()).isEqualTo(0x40201000);
        assertThat(info.terms().available()).isEmpty();
        assertThat(info.dirtyPageSizes()).isZero();
        fixed(0, 0);
        assertThat(Type1Info.of(answer).terms().pageSize()).as("nothing smaller than a processor's").isEqualTo(4096);
    }

    @Test
    void readsTheCapabilitiesInAnyOrder() throws VfioException {
        fixed(PAGE_SIZES | CAPABILITIES, 88);
        capability(88, 3, FIXED);
        integer(96, 17);
        capability(FIXED, 77, 64);
        capability(64, 2, 0);
        number(80, 0x1000);
        Type1Info info = Type1Info.of(answer);
        assertThat(info.terms().available()).hasValue(17);
        assertThat(info.dirtyPageSizes()).isEqualTo(0x1000);
    }

    @Test
    void readsTheRanges() throws VfioException {
        fixed(PAGE_SIZES | CAPABILITIES, FIXED);
        capability(FIXED, 1, 0);
        integer(FIXED + 8, 3);
        number(FIXED + 16, 0);
        number(FIXED + 24, 0xfedfffffL);
        number(FIXED + 32, 0xfef00000L);
        number(FIXED + 40, -1);
        number(FIXED + 48, -4096);
        number(FIXED + 56, -1);
        assertThat(Type1Info.of(answer).terms().ranges())
                .isEqualTo(List.of(new IovaRange(0, 0xfee00000L), new IovaRange(0xfef00000L, -4096 - 0xfef00000L)));
    }

    @Test
    void readsNothingOutsideOfTheAnswer() {
        fixed(CAPABILITIES, 8);
        malformed("a capability at 8, outside of bytes 24 to 128");
        fixed(CAPABILITIES, 121);
        malformed("a capability at 121");
        fixed(CAPABILITIES, -1);
        malformed("a capability at 4294967295");
        fixed(CAPABILITIES, 120);
        capability(120, 3, 0);
        malformed("of 0 bytes lacks a field that ends at 4");
        fixed(CAPABILITIES, FIXED);
        capability(FIXED, 1, 0);
        integer(FIXED + 8, -1);
        malformed("lacks a field");
    }

    @Test
    void aChainEnds() {
        fixed(CAPABILITIES, FIXED);
        capability(FIXED, 9, 40);
        capability(40, 9, FIXED);
        malformed("the capability at 24 comes twice");
    }

    @Property
    void anyAnswerIsReadOrRefused(@ForAll @Size(96) byte[] bytes) {
        MemorySegment any = Arena.ofAuto().allocate(bytes.length, 8).copyFrom(MemorySegment.ofArray(bytes));
        any.set(ValueLayout.JAVA_INT, 4, any.get(ValueLayout.JAVA_INT, 4) | CAPABILITIES);
        any.set(ValueLayout.JAVA_INT, 16, any.get(ValueLayout.JAVA_INT, 16) & 0x7f);
        try {
            assertThat(Type1Info.of(any).terms().pageSize()).isPositive();
        } catch (VfioException e) {
            assertThat(e).hasMessageContaining("malformed");
        }
    }
}
