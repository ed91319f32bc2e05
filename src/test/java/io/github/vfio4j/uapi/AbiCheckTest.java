package io.github.vfio4j.uapi;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * That the comparison finds what it is for. A check that has only ever passed proves nothing, and headers that are
 * wrong, or newer than all that exist, cannot be downloaded.
 */
class AbiCheckTest {

    private static final AbiTable PINNED = table("pinned", """
            struct	vfio_s	-	12
            field	vfio_s.argsz	0	4
            field	vfio_s.reserved	4	4
            field	vfio_s.data[]	12	1
            constant	VFIO_ONE	-	1
            constant	VFIO_DEVICE_STATE_NR	-	8
            constant	VFIO_IRQ_SET_DATA_TYPE_MASK	-	7
            constant	VFIO_NAME	-	"vfio"
            unbound	constant	VFIO_LEFT_OUT
            """);

    private static final AbiTable BINDINGS = PINNED;

    @Test
    void theSameHeaderPasses() {
        AbiCheck check = AbiCheck.of(BINDINGS, PINNED, PINNED);
        assertThat(check.differences()).isEmpty();
        assertThat(check.additions()).isEmpty();
        assertThat(check.facts()).isEqualTo(8);
    }

    @Test
    void aMovedFieldFails() {
        assertFails("field vfio_s.argsz", "field\tvfio_s.argsz\t4\t4",
                "field vfio_s.argsz differs: the bindings have 4 bytes at offset 0, the header 4 bytes at offset 4");
    }

    @Test
    void aFieldOfAnotherSizeFails() {
        assertFails("field vfio_s.argsz", "field\tvfio_s.argsz\t0\t8",
                "field vfio_s.argsz differs: the bindings have 4 bytes at offset 0, the header 8 bytes at offset 0");
    }

    @Test
    void aShrunkenStructFails() {
        assertFails("struct vfio_s", "struct\tvfio_s\t-\t8",
                "struct vfio_s differs: the bindings have 12 bytes, the header 8 bytes");
    }

    @Test
    void anotherValueFails() {
        assertFails("constant VFIO_ONE", "constant\tVFIO_ONE\t-\t2",
                "constant VFIO_ONE differs: the bindings have 1, the header 2");
        assertFails("constant VFIO_NAME", "constant\tVFIO_NAME\t-\t\"other\"",
                "constant VFIO_NAME differs: the bindings have \"vfio\", the header \"other\"");
    }

    @Test
    void aNameTheHeaderLacksFails() {
        assertFails("constant VFIO_ONE", "", "constant VFIO_ONE is missing in the header, the bindings have 1");
        assertFails("field vfio_s.argsz", "",
                "field vfio_s.argsz is missing in the header, the bindings have 4 bytes at offset 0");
    }

    @Test
    void aNameTheBindingsLackFails() {
        AbiTable more = with(PINNED, "pinned", "constant\tVFIO_TWO\t-\t2");
        assertThat(AbiCheck.of(BINDINGS, more, more).differences())
                .containsExactly("constant VFIO_TWO is missing in the bindings, the header has 2");
    }

    @Test
    void thePinnedHeaderMustNotHaveGrown() {
        AbiTable grown = with(PINNED, "pinned", "struct\tvfio_s\t-\t16");
        assertThat(AbiCheck.of(BINDINGS, grown, PINNED).differences())
                .containsExactly("struct vfio_s differs: the bindings have 12 bytes, the header 16 bytes");
    }

    @Test
    void aNewerHeaderMayAdd() {
        assertPasses("struct\tvfio_s\t-\t16", "struct vfio_s has grown from 12 bytes to 16 bytes");
        assertPasses("unbound\tconstant\tVFIO_NEW", "constant VFIO_NEW is new");
        assertPasses("unbound\tstruct\tvfio_new", "struct vfio_new is new");
        assertPasses("unbound\tfield\tvfio_s.new_one", "field vfio_s.new_one is new");
    }

    @Test
    void aNewerHeaderMayCountFurther() {
        assertPasses("constant\tVFIO_DEVICE_STATE_NR\t-\t9", "constant VFIO_DEVICE_STATE_NR has grown from 8 to 9");
        assertPasses("constant\tVFIO_IRQ_SET_DATA_TYPE_MASK\t-\t15",
                "constant VFIO_IRQ_SET_DATA_TYPE_MASK has grown from 7 to 15");
        assertFails("constant VFIO_DEVICE_STATE_NR", "constant\tVFIO_DEVICE_STATE_NR\t-\t7",
                "constant VFIO_DEVICE_STATE_NR differs: the bindings have 8, the header 7");
        assertFails("constant VFIO_IRQ_SET_DATA_TYPE_MASK", "constant\tVFIO_IRQ_SET_DATA_TYPE_MASK\t-\t14",
                "constant VFIO_IRQ_SET_DATA_TYPE_MASK differs: the bindings have 7, the header 14");
    }

    @Test
    void aNewerHeaderMayUseAReservedField() {
        AbiTable newer = without(PINNED, "newer", "field vfio_s.reserved");
        AbiCheck check = AbiCheck.of(BINDINGS, newer, PINNED);
        assertThat(check.differences()).isEmpty();
        assertThat(check.additions()).containsExactly("field vfio_s.reserved has made room for something else");

        assertThat(AbiCheck.of(BINDINGS, without(PINNED, "pinned", "field vfio_s.reserved"), PINNED).differences())
                .hasSize(1);
    }

    @Test
    void aTableReadsBackAsItWasWritten() {
        assertThat(AbiTable.parse(Arrays.asList(PINNED.text().split("\n", -1)), "text")).isEqualTo(PINNED);
    }

    @Test
    void namesAreFoundInWhatThePreprocessorPrints() {
        List<String> macros = List.of("#define VFIO_H ", "#define VFIO_A 1", "#define __VFIO_B (1 << 2)",
                "#define VFIO_CALL(x) (x)", "#define OTHER 1", "#define IOMMU_D 1");
        String source = """
                enum { VFIO_FIRST, VFIO_SECOND = 9 };
                enum vfio_e { VFIO_THIRD = VFIO_A, VFIO_NR, };
                struct vfio_s {
                 __u32 argsz; __u64 __attribute__((aligned(8))) size;
                 union { __u32 one; __u32 other; };
                 struct vfio_t inner; __u8 uuid[16]; __u64 *data; __u8 rest[];
                };
                enum { IOMMUFD_CMD_BASE = 0x80, IOMMU_E };
                struct iommu_s { __u32 size; };
                struct other { int field; };
                """;
        assertThat(HeaderNames.read(macros, source)).containsExactly("constant IOMMUFD_CMD_BASE", "constant IOMMU_D",
                "constant IOMMU_E", "constant VFIO_A", "constant VFIO_FIRST", "constant VFIO_NR",
                "constant VFIO_SECOND", "constant VFIO_THIRD", "constant __VFIO_B", "field iommu_s.size",
                "field vfio_s.argsz", "field vfio_s.data", "field vfio_s.inner", "field vfio_s.one",
                "field vfio_s.other", "field vfio_s.rest[]", "field vfio_s.size", "field vfio_s.uuid", "struct iommu_s",
                "struct vfio_s");
    }

    /** Whether the header is the pinned one or a newer one, it must not say this. */
    private static void assertFails(String key, String line, String difference) {
        for (String header : List.of("pinned", "newer")) {
            AbiTable changed = with(without(PINNED, header, key), header, line);
            assertThat(AbiCheck.of(BINDINGS, changed, PINNED).differences()).as(header).containsExactly(difference);
        }
    }

    private static void assertPasses(String line, String addition) {
        AbiCheck check = AbiCheck.of(BINDINGS, with(PINNED, "newer", line), PINNED);
        assertThat(check.differences()).isEmpty();
        assertThat(check.additions()).containsExactly(addition);
    }

    private static AbiTable with(AbiTable table, String header, String line) {
        AbiTable change = table(header, line);
        Map<String, AbiEntry> entries = new TreeMap<>(table.entries());
        entries.putAll(change.entries());
        SortedSet<String> unbound = new TreeSet<>(table.unbound());
        unbound.addAll(change.unbound());
        return AbiTable.of(change.headers(), new ArrayList<>(entries.values()), unbound);
    }

    private static AbiTable without(AbiTable table, String header, String key) {
        Map<String, AbiEntry> entries = new TreeMap<>(table.entries());
        entries.remove(key);
        return AbiTable.of(table(header, "").headers(), new ArrayList<>(entries.values()), table.unbound());
    }

    private static AbiTable table(String header, String lines) {
        List<String> all = new ArrayList<>(List.of("header\tlinux/vfio.h\t" + header));
        all.addAll(Arrays.asList(lines.split("\n", -1)));
        return AbiTable.parse(all, "test");
    }
}
