package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** What holds for every request, whatever its feature, operations and data. */
class FeatureRequestPropertiesTest {

    private static final int HEADER = 8;
    private static final int LARGEST_MINIMUM = 32;

    @Property
    void theHeaderSaysWhatWasAskedFor(@ForAll @IntRange(max = 0xffff) int index,
            @ForAll Set<FeatureOperation> operations, @ForAll @IntRange(max = 1 << 16) int size) {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest.Builder builder = FeatureRequest.of(FeatureId.of(index)).probe().payloadSize(size);
            operations.forEach(builder::operation);
            MemorySegment bytes = builder.allocate(arena).segment();
            assertThat(bytes.byteSize()).isEqualTo(HEADER + size);
            assertThat(bytes.get(ValueLayout.JAVA_INT, 0)).isEqualTo(HEADER + size);
            int flags = bytes.get(ValueLayout.JAVA_INT, 4);
            assertThat(flags & 0xffff).isEqualTo(index);
            assertThat((flags & 1 << 16) != 0).isEqualTo(operations.contains(FeatureOperation.GET));
            assertThat((flags & 1 << 17) != 0).isEqualTo(operations.contains(FeatureOperation.SET));
            assertThat(flags >>> 18).isEqualTo(1);
        }
    }

    @Property
    void noByteOfTheDataIsShown(@ForAll @IntRange(max = 0xffff) int index, @ForAll byte filling) {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.of(index)).set().payloadSize(LARGEST_MINIMUM)
                    .allocate(arena);
            String before = request.toString();
            request.payload().fill(filling);
            assertThat(request.toString()).isEqualTo(before);
        }
    }

    @Property
    void rawBytesStayAsTheyAre(@ForAll byte[] bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(Math.max(1, bytes.length)).asSlice(0, bytes.length)
                    .copyFrom(MemorySegment.ofArray(bytes));
            FeatureRequest request = FeatureRequest.raw(segment);
            assertThat(request.toString()).startsWith("FeatureRequest[raw, " + bytes.length + " bytes");
            assertThat(request.segment()).isSameAs(segment);
            assertThat(segment.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(bytes);
        }
    }
}
