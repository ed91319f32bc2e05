package io.github.vfio4j.conformance;

import io.github.vfio4j.conformance.Subject.Kind;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.Map;

/** What holds for every feature request, on each kind of device of each emulated kernel. */
class EmulatedFeatureContractTest extends FeatureContract {

    private static final Map<Kind, String> KINDS = Map.of(Kind.PHYSICAL_FUNCTION, "pf", Kind.VIRTUAL_FUNCTION, "vf",
            Kind.MTTY, "mtty", Kind.MDPY, "mdpy");

    @Override
    List<Target> devices() {
        return KernelProfile.all().stream()
                .flatMap(profile -> KINDS.keySet().stream().sorted().map(kind -> device(profile, kind))).toList();
    }

    private static Target device(KernelProfile profile, Kind kind) {
        return new Target(new FeatureRules(profile.version(), kind), () -> {
            AskedDevice asked = AskedDevice.of(String.valueOf(KINDS.get(kind)), profile);
            return new Open(asked.device(), asked);
        });
    }
}
