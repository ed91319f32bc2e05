package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

/** Features without a class of their own, by a codec of the caller's. */
class FeatureTargetTest {

    /** One 64-bit number. */
    private record Word(long answerSize) implements PayloadCodec<Long> {

        @Override
        public long byteSize(Long value) {
            return Long.BYTES;
        }

        @Override
        public void encode(Long value, MemorySegment payload) {
            payload.set(ValueLayout.JAVA_LONG, 0, value);
        }

        @Override
        public Long decode(MemorySegment payload) {
            return payload.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    @Test
    void aCodecReadsAndWritesAnyFeature() throws VfioException {
        Word number = new Word(0);
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 2)) {
            assertThat(machine.device().get(FeatureId.MIG_DATA_SIZE, number)).isEqualTo(96);
            machine.device().set(FeatureId.MIG_DEVICE_STATE, number, 1L);
            assertThat(machine.device().migration().orElseThrow().state()).isEqualTo(MigrationState.STOP);
            machine.device().set(FeatureId.DMA_LOGGING_STOP);
        }
    }

    @Test
    void aFeatureThatNobodyKnowsIsAskedForWithTheSizeThatTheCodecGives() throws VfioException {
        FeatureId unknown = FeatureId.of(4711);
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 2)) {
            assertThat(machine.device().supports(unknown, FeatureOperation.GET)).isFalse();
            assertThatIllegalArgumentException().isThrownBy(() -> machine.device().get(unknown, new Word(0)))
                    .withMessageContaining("answerSize");
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> machine.device().get(unknown, new Word(8)))
                    .matches(e -> e.is(Errno.ENOTTY)).matches(e -> e.argsz() == 16)
                    .withMessageContaining("feature 4711");
        }
    }

    /** Zeros would be a token that everybody knows. */
    @Test
    void aFeatureThatTakesDataIsNotTriggeredWithout() throws VfioException {
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1)) {
            assertThatIllegalArgumentException().isThrownBy(() -> machine.device().set(FeatureId.PCI_VF_TOKEN));
        }
    }

    @Test
    void memoryThatARequestPointsToMustBeNativeAndOpen() throws VfioException {
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1); Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.DMA_LOGGING_REPORT).get().allocate(arena);
            assertThatIllegalArgumentException().isThrownBy(() -> request.pointees(MemorySegment.ofArray(new byte[8])));
            assertThat(request.pointees()).isEmpty();
            Arena closed = Arena.ofConfined();
            request.pointees(closed.allocate(8));
            assertThat(request.isAlive()).isTrue();
            closed.close();
            assertThat(request.isAlive()).isFalse();
            assertThatIllegalStateException().isThrownBy(() -> machine.device().executeRaw(request))
                    .withMessageContaining("points to");
        }
    }
}
