package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_PROBE;

import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import io.github.vfio4j.uapi.vfio_device_feature;
import java.lang.foreign.Arena;

/** A probe of any feature: a header whose flags are written anew for each, laid out once for each thread. */
final class ProbeRequest {

    private static final FeatureOperation[] OPERATIONS = FeatureOperation.values();
    private static final ThreadLocal<ProbeRequest> OF_THREAD = ThreadLocal.withInitial(ProbeRequest::new);

    private final FeatureRequest request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().allocate(Arena.ofAuto());

    /** A device of a test author's that probes another while it is probed is on the same thread. */
    private boolean inUse;

    private ProbeRequest() {
    }

    /** Asks first for the feature as such, then for each operation. */
    static FeatureSupport send(VfioDevice device, FeatureId feature) {
        ProbeRequest probe = OF_THREAD.get();
        if (probe.inUse) {
            probe = new ProbeRequest();
        }
        probe.inUse = true;
        try {
            return probe.ask(device, feature);
        } finally {
            probe.inUse = false;
        }
    }

    private FeatureSupport ask(VfioDevice device, FeatureId feature) {
        int result = ask(device, feature, 0);
        if (result < 0) {
            return Verdict.refused(feature, result);
        }
        int supported = 0;
        for (FeatureOperation operation : OPERATIONS) {
            int answer = ask(device, feature, operation.flag());
            if (answer >= 0) {
                supported |= operation.flag();
            } else if (!Verdict.isNotSupported(answer)) {
                return Verdict.refused(feature, answer);
            }
        }
        return Verdict.supported(feature, supported);
    }

    private int ask(VfioDevice device, FeatureId feature, int operation) {
        vfio_device_feature.flags(request.segment(), feature.index() | operation | VFIO_DEVICE_FEATURE_PROBE());
        return device.executeRaw(request);
    }
}
