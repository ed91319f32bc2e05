package io.github.vfio4j.feature;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class FeatureRequestTest {

    private static final VfToken TOKEN = VfToken.parse("00112233-4455-6677-8899-aabbccddeeff");

    private static final int GET = 1 << 16;
    private static final int SET = 1 << 17;
    private static final int PROBE = 1 << 18;

    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void closeArena() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    static List<FeatureId> known() {
        return FeatureId.known();
    }

    private static void assertHeader(FeatureRequest request, int argsz, int flags) {
        MemorySegment bytes = request.segment();
        assertThat(bytes.byteSize()).isEqualTo(argsz);
        assertThat(bytes.get(JAVA_INT, 0)).isEqualTo(argsz);
        assertThat(bytes.get(JAVA_INT, 4)).isEqualTo(flags);
        assertThat(request.argsz()).isEqualTo(argsz);
        assertThat(request.flags()).isEqualTo(flags);
        assertThat(request.payload().byteSize()).isEqualTo(argsz - 8L);
    }

    @Test
    void theBytesAreArgszFlagsAndData() {
        FeatureRequest request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set().payload(VfTokenFeature.CODEC, TOKEN)
                .allocate(arena);
        MemorySegment expected = arena.allocate(24);
        expected.set(JAVA_INT, 0, 24);
        expected.set(JAVA_INT, 4, SET);
        MemorySegment.copy(HexFormat.of().parseHex("00112233445566778899aabbccddeeff"), 0, expected, JAVA_BYTE, 8, 16);
        assertThat(request.segment().toArray(JAVA_BYTE)).isEqualTo(expected.toArray(JAVA_BYTE));
        assertThat(request.segment().address() % 8).isZero();
        assertThat(request.get(VfTokenFeature.CODEC)).isEqualTo(TOKEN);
    }

    @ParameterizedTest
    @MethodSource("known")
    void argszIsComputedFromTheFeaturesMinimum(FeatureId feature) {
        int argsz = 8 + feature.minimumPayload();
        assertHeader(FeatureRequest.of(feature).get().allocate(arena), argsz, feature.index() | GET);
        assertHeader(FeatureRequest.of(feature).set().allocate(arena), argsz, feature.index() | SET);
        assertHeader(FeatureRequest.of(feature).operation(FeatureOperation.SET).allocate(arena), argsz,
                feature.index() | SET);
    }

    @Test
    void probingNeedsNoDataAndTakesAnySetOfOperations() {
        FeatureId feature = FeatureId.DMA_LOGGING_REPORT;
        assertHeader(FeatureRequest.of(feature).probe().allocate(arena), 8, 8 | PROBE);
        assertHeader(FeatureRequest.of(feature).probe().get().allocate(arena), 8, 8 | PROBE | GET);
        assertHeader(FeatureRequest.of(feature).probe().set().allocate(arena), 8, 8 | PROBE | SET);
        assertHeader(FeatureRequest.of(feature).get().set().probe().allocate(arena), 8, 8 | PROBE | GET | SET);
    }

    @Test
    void anUnknownFeatureCarriesWhatItIsToldTo() {
        FeatureId feature = FeatureId.of(0xffff);
        assertHeader(FeatureRequest.of(feature).get().allocate(arena), 8, 0xffff | GET);
        assertHeader(FeatureRequest.of(feature).set().payloadSize(5).allocate(arena), 13, 0xffff | SET);
        assertHeader(FeatureRequest.of(feature).probe().payloadSize(5).allocate(arena), 13, 0xffff | PROBE);
    }

    @Test
    void dataIsZeroUntilItIsGiven() {
        MemorySegment memory = arena.allocate(64, 8).fill((byte) 0x5a);
        FeatureRequest request = FeatureRequest.of(FeatureId.DMA_BUF).get().payloadSize(32)
                .allocate(SegmentAllocator.prefixAllocator(memory));
        assertThat(request.payload().toArray(JAVA_BYTE)).hasSize(32).containsOnly(0);
        assertThat(memory.get(JAVA_BYTE, 40)).as("behind the request").isEqualTo((byte) 0x5a);
    }

    @Test
    void getAndSetTogetherAreRefusedWithoutProbe() {
        assertThatIllegalStateException()
                .isThrownBy(() -> FeatureRequest.of(FeatureId.MIG_DEVICE_STATE).get().set().allocate(arena))
                .withMessageContaining("GET and SET of MIG_DEVICE_STATE are two requests")
                .withMessageContaining("Call probe() too, or allocate one request for each");
    }

    @Test
    void aRequestMustSayWhatToDo() {
        assertThatIllegalStateException()
                .isThrownBy(() -> FeatureRequest.of(FeatureId.MIG_DEVICE_STATE).allocate(arena))
                .withMessageContaining("call probe(), get() or set() before allocate()");
    }

    @ParameterizedTest
    @CsvSource({"0, 15", "1, 0", "6, 23", "8, 31", "11, 15"})
    void lessDataThanTheFeatureNeedsIsRefused(int index, long size) {
        FeatureId feature = FeatureId.of(index);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> FeatureRequest.of(feature).set().payloadSize(size).allocate(arena))
                .withMessageContaining(
                        feature + " needs at least " + feature.minimumPayload() + " bytes of data, not " + size)
                .withMessageContaining("or none to get the minimum");
        assertHeader(FeatureRequest.of(feature).probe().payloadSize(size).allocate(arena), 8 + (int) size,
                index | PROBE);
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, Long.MIN_VALUE, Integer.MAX_VALUE, 1L << 32, Long.MAX_VALUE})
    void aSizeThatCannotBeIsRefused(long size) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> FeatureRequest.of(FeatureId.DMA_BUF).get().payloadSize(size))
                .withMessageContaining("not " + size);
    }

    @Test
    void aClosedArenaIsRefused() {
        arena.close();
        assertThatIllegalStateException()
                .isThrownBy(() -> FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().allocate(arena))
                .withMessageContaining("The arena for this PCI_VF_TOKEN request is closed");
    }

    @Test
    void memoryTheKernelCannotReachIsRefused() {
        FeatureRequest.Builder builder = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set();
        for (MemorySegment memory : List.of(MemorySegment.ofArray(new byte[24]), MemorySegment.ofArray(new long[3]),
                arena.allocate(23, 8), arena.allocate(32, 8).asSlice(1))) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> builder.allocate(SegmentAllocator.prefixAllocator(memory)))
                    .withMessageContaining("24 bytes of native memory, aligned to 8")
                    .withMessageContaining("allocate it in an Arena");
        }
    }

    @Test
    void memoryOfTheCallersIsUsedAgainAndAgain() {
        MemorySegment memory = arena.allocate(24, 8);
        SegmentAllocator reusing = SegmentAllocator.prefixAllocator(memory);
        FeatureRequest first = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set().payload(VfTokenFeature.CODEC, TOKEN)
                .allocate(reusing);
        FeatureRequest second = FeatureRequest.of(FeatureId.LOW_POWER_EXIT).set().allocate(reusing);
        assertThat(first.segment().address()).isEqualTo(memory.address());
        assertThat(second.segment().address()).isEqualTo(memory.address());
        assertHeader(second, 8, 5 | SET);
    }

    @Test
    void aBuilderMakesAnyNumberOfRequests() {
        FeatureRequest.Builder builder = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set();
        FeatureRequest first = builder.allocate(arena);
        FeatureRequest second = builder.payload(VfTokenFeature.CODEC, TOKEN).allocate(arena);
        assertThat(first.segment().address()).isNotEqualTo(second.segment().address());
        assertThat(first.payload().toArray(JAVA_BYTE)).containsOnly(0);
        assertThat(second.get(VfTokenFeature.CODEC)).isEqualTo(TOKEN);
    }

    @Test
    void dataIsRewrittenBetweenTwoSendings() {
        FeatureRequest request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set().payload(VfTokenFeature.CODEC, TOKEN)
                .allocate(arena);
        VfToken other = VfToken.random();
        assertThat(request.put(VfTokenFeature.CODEC, other)).isSameAs(request);
        assertThat(request.get(VfTokenFeature.CODEC)).isEqualTo(other);
        assertHeader(request, 24, SET);
        request.clearPayload();
        assertThat(request.payload().toArray(JAVA_BYTE)).containsOnly(0);
        assertHeader(request, 24, SET);
    }

    /** A codec of an application's own, of a size that depends on the value. */
    private static final class Text implements PayloadCodec<String> {

        @Override
        public long byteSize(String value) {
            return value.length() + 1L;
        }

        @Override
        public void encode(String value, MemorySegment payload) {
            payload.setString(0, value);
        }

        @Override
        public String decode(MemorySegment payload) {
            return payload.getString(0);
        }
    }

    @Test
    void aCodecOfOnesOwnSizesTheRequestByTheValue() {
        FeatureRequest request = FeatureRequest.of(FeatureId.of(900)).set().payload(new Text(), "seven")
                .allocate(arena);
        assertHeader(request, 14, 900 | SET);
        assertThat(request.get(new Text())).isEqualTo("seven");
        assertThatIllegalArgumentException().isThrownBy(() -> request.put(new Text(), "eleven"))
                .withMessageContaining("This value takes 7 bytes, but the SET feature 900 request has room for 6")
                .withMessageContaining("payloadSize(7)");
        assertThat(request.get(new Text())).as("nothing was written").isEqualTo("seven");
    }

    @Test
    void aRawRequestLeavesItsBytesAlone() {
        MemorySegment bytes = arena.allocate(12, 4).fill((byte) 0xa5);
        FeatureRequest request = FeatureRequest.raw(bytes);
        assertThat(request.segment()).isSameAs(bytes);
        assertThat(bytes.toArray(JAVA_BYTE)).containsOnly(0xa5);
        assertThat(request.flags()).isEqualTo(0xa5a5a5a5);
        assertThat(request.argsz()).isEqualTo(0xa5a5a5a5);
        assertThat(request.payload().byteSize()).isEqualTo(4);
        assertThat(request).hasToString("FeatureRequest[raw, 12 bytes, PROBE|GET feature 42405, argsz 2779096485]");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, 4, 7, 8})
    void aRawRequestMayBeShorterThanAHeader(int size) {
        FeatureRequest request = FeatureRequest.raw(arena.allocate(Math.max(size, 1)).asSlice(0, size));
        assertThat(request.payload().byteSize()).isZero();
        assertThat(request.flags()).isZero();
        assertThat(request.argsz()).isZero();
        assertThat(request)
                .hasToString("FeatureRequest[raw, " + size + " bytes, no operation on PCI_VF_TOKEN, argsz 0]");
    }

    @Test
    void itsTextIsInWordsAndHasNoneOfTheData() {
        FeatureRequest request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set().payload(VfTokenFeature.CODEC, TOKEN)
                .allocate(arena);
        assertThat(request).hasToString("FeatureRequest[SET PCI_VF_TOKEN, argsz 24]");
        assertThat(FeatureRequest.of(FeatureId.of(77)).probe().get().set().allocate(arena))
                .hasToString("FeatureRequest[PROBE|GET|SET feature 77, argsz 8]");
        assertThat(FeatureRequest.of(FeatureId.MIGRATION).get().allocate(arena).describe()).isEqualTo("GET MIGRATION");
        arena.close();
        assertThat(request).hasToString("FeatureRequest[memory closed]");
    }

    private static EmulatedProcess machine() {
        return EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction("0000:01:00.0", function -> function.sriov(1).memoryBar(0, 16384)).build().newProcess();
    }

    private static VfioDevice device(VfioContainer container) throws VfioException {
        return container.openDevice(PciAddress.parse("0000:01:00.0"));
    }

    @Test
    void closedMemoryIsRefusedWhenTheRequestIsSent() throws VfioException {
        try (VfioContainer container = Vfio.using(machine()).openContainer(); VfioDevice device = device(container)) {
            FeatureRequest request = FeatureRequest.of(FeatureId.LOW_POWER_EXIT).set().allocate(arena);
            assertThat(device.execute(request)).isZero();
            arena.close();
            assertThatIllegalStateException().isThrownBy(() -> device.execute(request))
                    .withMessageContaining("The memory of this feature request is closed")
                    .withMessageContaining("lives as long as it is used");
            assertThatIllegalStateException().isThrownBy(() -> device.executeRaw(request));
        }
    }

    @Test
    void aRequestCanBeSentManyTimes() throws VfioException {
        EmulatedProcess process = machine();
        try (VfioContainer container = Vfio.using(process).openContainer(); VfioDevice device = device(container)) {
            FeatureRequest request = FeatureRequest.of(FeatureId.DMA_BUF).get().payloadSize(32).allocate(arena);
            request.payload().set(JAVA_INT, 12, 1);
            request.payload().set(JAVA_LONG, 24, 4096);
            int first = device.execute(request);
            int second = device.execute(request);
            assertThat(second).as("the ioctl's own result, a new descriptor each time").isEqualTo(first + 1);
            assertThat(process.close(first) + process.close(second)).isZero();
        }
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void theRawLaneHandsOnWhatTheKernelAnswers() throws VfioException {
        try (VfioContainer container = Vfio.using(machine()).openContainer(); VfioDevice device = device(container)) {
            MemorySegment bytes = arena.allocate(24, 8);
            bytes.set(JAVA_INT, 0, 7);
            assertThat(device.executeRaw(FeatureRequest.raw(bytes))).isEqualTo(-Errno.EINVAL.code());
            assertThat(device.executeRaw(FeatureRequest.raw(bytes.asSlice(0, 4)))).isEqualTo(-Errno.EFAULT.code());
            bytes.set(JAVA_INT, 0, -1);
            bytes.set(JAVA_INT, 4, SET);
            assertThat(device.executeRaw(FeatureRequest.raw(bytes))).as("argsz has no upper bound").isZero();
            bytes.set(JAVA_INT, 4, SET | GET | 99);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.execute(FeatureRequest.raw(bytes)))
                    .matches(e -> e.is(Errno.EINVAL)).matches(e -> e.flags() == (SET | GET | 99))
                    .matches(e -> e.argsz() == -1);
        }
    }

    @Test
    void aRefusalSaysWhatToDo() throws VfioException {
        try (VfioContainer container = Vfio.using(machine()).openContainer(); VfioDevice device = device(container)) {
            FeatureRequest unknown = FeatureRequest.of(FeatureId.of(40)).get().allocate(arena);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.execute(unknown))
                    .withMessage("VFIO_DEVICE_FEATURE GET feature 40: ENOTTY (inappropriate ioctl for device). The"
                            + " device, its driver or this kernel does not have this feature; probe it first");
            FeatureRequest get = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).get().allocate(arena);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.execute(get))
                    .withMessageContaining("EINVAL (invalid argument). The device does not have this operation");
        }
    }

    @Test
    void theLargestRequestIsWhatArgszCanSay() {
        long largest = Integer.MAX_VALUE - 8L;
        FeatureRequest.Builder builder = FeatureRequest.of(FeatureId.DMA_BUF).get().payloadSize(largest);
        List<Long> asked = new ArrayList<>();
        assertThatIllegalArgumentException().isThrownBy(() -> builder.allocate((size, alignment) -> {
            asked.add(size);
            throw new IllegalArgumentException("no room");
        }));
        assertThat(asked).containsExactly(largest + 8);
        assertThatIllegalArgumentException().isThrownBy(() -> builder.payloadSize(largest + 1));
    }

    @Test
    void whatItPointsToIsItsOwnList() {
        MemorySegment ranges = arena.allocate(16, 8);
        FeatureRequest request = FeatureRequest.of(FeatureId.DMA_LOGGING_START).set().allocate(arena).pointees(ranges);
        request.pointees()[0] = MemorySegment.NULL;
        assertThat(request.pointees()).containsExactly(ranges);
    }
}
