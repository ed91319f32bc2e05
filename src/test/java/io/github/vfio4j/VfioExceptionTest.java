package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.VfTokenFeature;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

class VfioExceptionTest {

    private static final VfToken TOKEN = VfToken.parse("11223344-5566-7788-99aa-bbccddeeff00");

    private static VfioException ofFeature() {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set()
                    .payload(VfTokenFeature.CODEC, TOKEN).allocate(arena);
            return new VfioException(request, Errno.ENOTTY, "Probe it first");
        }
    }

    @Test
    void theMessageSaysWhatWasTriedTheErrorAndWhatToDo() {
        assertThat(new VfioException("open /dev/vfio/4", Errno.EBUSY, "Close it elsewhere"))
                .hasMessage("open /dev/vfio/4: EBUSY (device or resource busy). Close it elsewhere");
        assertThat(new VfioException("open /dev/vfio/4", Errno.EBUSY, null))
                .hasMessage("open /dev/vfio/4: EBUSY (device or resource busy)");
        assertThat(new VfioException("use group 4", null, "It is not viable"))
                .hasMessage("use group 4. It is not viable");
    }

    @Test
    void itsPartsCanBeAskedFor() {
        VfioException e = new VfioException("open /dev/vfio/4", Errno.EBUSY, "Close it elsewhere");
        assertThat(e.operation()).isEqualTo("open /dev/vfio/4");
        assertThat(e.errno()).contains(Errno.EBUSY);
        assertThat(e.is(Errno.EBUSY)).isTrue();
        assertThat(e.is(Errno.EIO)).isFalse();
        assertThat(e.remedy()).contains("Close it elsewhere");
        assertThat(e.feature()).isEmpty();
        assertThat(e.flags()).isZero();
        assertThat(e.argsz()).isZero();
    }

    @Test
    void aFailureWithoutASystemCallHasNoErrno() {
        VfioException e = new VfioException("use group 4", null, null);
        assertThat(e.errno()).isEmpty();
        assertThat(e.remedy()).isEmpty();
        assertThat(e.is(Errno.EPERM)).isFalse();
    }

    @Test
    void aFailedFeatureRequestIsKnownByFeatureFlagsAndArgsz() {
        VfioException e = ofFeature();
        assertThat(e).isInstanceOf(IOException.class).hasMessage(
                "VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN: ENOTTY (inappropriate ioctl for device). Probe it first");
        assertThat(e.feature()).contains(FeatureId.PCI_VF_TOKEN);
        assertThat(e.flags()).isEqualTo(0x20000);
        assertThat(e.argsz()).isEqualTo(24);
    }

    @Test
    void anUnknownFeatureAndAnUnknownErrnoAreCalledByTheirNumbers() {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.of(65535)).probe().get().set().allocate(arena);
            VfioException e = new VfioException(request, new Errno(524), null);
            assertThat(e).hasMessage("VFIO_DEVICE_FEATURE PROBE|GET|SET feature 65535: errno 524");
            assertThat(e.feature()).contains(FeatureId.of(65535));
            assertThat(e.flags()).isEqualTo(0x7ffff);
        }
    }

    @Test
    void aRawRequestIsKeptAsItsHeaderStands() {
        try (Arena arena = Arena.ofConfined()) {
            var bytes = arena.allocate(8);
            bytes.set(ValueLayout.JAVA_INT, 0, -1);
            bytes.set(ValueLayout.JAVA_INT, 4, 0x8002000b);
            VfioException e = new VfioException(FeatureRequest.raw(bytes), Errno.EINVAL, null);
            assertThat(Integer.toUnsignedLong(e.argsz())).isEqualTo(0xffffffffL);
            assertThat(e.flags()).isEqualTo(0x8002000b);
            assertThat(e.feature()).contains(FeatureId.DMA_BUF);
        }
    }

    @Test
    void itNeverHoldsTheData() throws IOException {
        byte[] serialized = serialize(ofFeature());
        assertThat(HexFormat.of().formatHex(serialized)).doesNotContain(HexFormat.of().formatHex(TOKEN.toBytes()));
        assertThat(ofFeature()).hasMessageNotContainingAny(TOKEN.toText(), TOKEN.toText().substring(0, 8));
    }

    @Test
    void itCanBeSerialized() throws IOException, ClassNotFoundException {
        VfioException before = ofFeature();
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(serialize(before)))) {
            VfioException after = (VfioException) in.readObject();
            assertThat(after).hasMessage(before.getMessage());
            assertThat(after.operation()).isEqualTo(before.operation());
            assertThat(after.errno()).isEqualTo(before.errno());
            assertThat(after.remedy()).isEqualTo(before.remedy());
            assertThat(after.feature()).isEqualTo(before.feature());
            assertThat(after.flags()).isEqualTo(before.flags());
            assertThat(after.argsz()).isEqualTo(before.argsz());
        }
    }

    private static byte[] serialize(VfioException e) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(e);
        }
        return bytes.toByteArray();
    }

    @Test
    void theLaterErrorsOfAClosingAreAttached() {
        VfioException first = new VfioException("close device", Errno.EIO, null);
        VfioException second = new VfioException("close group", Errno.EIO, null);
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> Closing.all(java.util.List.of(() -> {
            throw first;
        }, () -> {
            throw second;
        }))).isSameAs(first).satisfies(e -> assertThat(e.getSuppressed()).containsExactly(second));
    }
}
