package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** What the kernel is too old for, or was built without. */
final class KernelCheck implements Check {

    @Override
    public String name() {
        return "kernel";
    }

    @Override
    public Finding examine(Examination on) {
        String release = on.machine().release();
        return KernelAge.of(release).map(age -> examine(on.files(), "Linux " + release, age))
                .orElseGet(() -> unknown("'" + release + "' is no release of Linux", Fix.byUser("uname -r")));
    }

    private Finding examine(SystemFiles files, String kernel, KernelAge age) {
        List<String> missing = new ArrayList<>();
        String lacking = features(age, KernelAge.Has.NO);
        if (!lacking.isEmpty()) {
            missing.add("no feature " + lacking);
        }
        String doubtful = features(age, KernelAge.Has.MAYBE);
        if (!doubtful.isEmpty()) {
            missing.add("perhaps no feature " + doubtful + " (to be probed)");
        }
        boolean hasOwnFiles = files.exists("/dev/vfio/devices");
        if (!files.exists("/dev/iommu")) {
            missing.add("no iommufd: devices share a container");
        } else if (!hasOwnFiles) {
            missing.add("no files of devices of their own: they share a container");
        }
        if (hasOwnFiles && age.has(KernelProfile::bindTokens) != KernelAge.Has.YES) {
            missing.add((age.has(KernelProfile::bindTokens) == KernelAge.Has.NO ? "no" : "perhaps no")
                    + " VF token for who opens a device by its own file");
        }
        return missing.isEmpty()
                ? ok(kernel + " has all " + FeatureId.known().size() + " features, iommufd, and files of devices")
                : note(kernel + " has " + String.join("; ", missing), Fix.NONE);
    }

    private static String features(KernelAge age, KernelAge.Has has) {
        return FeatureId.known().stream()
                .filter(feature -> age.has(kernel -> kernel.knownFeatures().contains(feature.index())) == has)
                .map(FeatureId::name).collect(Collectors.joining(", "));
    }
}
