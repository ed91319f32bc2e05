package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.VfioException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What the typed VF token makes of a device's answers. */
class VfTokenFeatureTest {

    /** Answers every probe alike and keeps what it is sent. */
    private record Device(FeatureSupport answer, List<FeatureRequest> sent,
            List<byte[]> payloads) implements FeatureTarget {

        static Device answering(FeatureSupport answer) {
            return new Device(answer, new ArrayList<>(), new ArrayList<>());
        }

        @Override
        public int execute(FeatureRequest request) {
            sent.add(request);
            payloads.add(request.payload().toArray(ValueLayout.JAVA_BYTE));
            return 0;
        }

        @Override
        public FeatureSupport probe(FeatureId feature) {
            return answer;
        }

        @Override
        public OwnedDescriptor own(int fd, String name) {
            throw new AssertionError("a token is no descriptor");
        }
    }

    @Test
    void aDeviceWithoutTheFeatureHasNoToken() throws VfioException {
        Device device = Device.answering(new FeatureSupport.Unsupported(FeatureId.PCI_VF_TOKEN, Errno.ENOTTY));
        assertThat(VfTokenFeature.of(device)).isEmpty();
    }

    @Test
    void aDeviceThatCouldNotBeAskedIsNotOneWithoutAToken() {
        Device device = Device.answering(new FeatureSupport.Failed(FeatureId.PCI_VF_TOKEN, Errno.EIO));
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> VfTokenFeature.of(device))
                .matches(e -> e.is(Errno.EIO)).withMessageContaining("PCI_VF_TOKEN");
    }

    @Test
    void theTokenIsSentOnceAndItsMemoryGivenUp() throws VfioException {
        Device device = Device
                .answering(new FeatureSupport.Supported(FeatureId.PCI_VF_TOKEN, Set.of(FeatureOperation.SET)));
        VfToken token = VfToken.random();
        VfTokenFeature.of(device).orElseThrow().set(token);
        assertThat(device.payloads()).containsExactly(token.toBytes());
        MemorySegment sent = device.sent().getFirst().segment();
        assertThat(sent.scope().isAlive()).isFalse();
    }
}
