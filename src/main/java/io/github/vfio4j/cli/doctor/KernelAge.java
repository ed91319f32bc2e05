package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A kernel's release between those that are emulated, of which is known what they have: what came between two of them, a
 * kernel between the two may have or not.
 *
 * @param older
 *            the newest of them that is not newer; empty before the first, which is the first with device features
 * @param newer
 *            the oldest that is newer
 * @param isOne
 *            whether it is one of them
 */
record KernelAge(Optional<KernelProfile> older, Optional<KernelProfile> newer, boolean isOne) {

    private static final Pattern RELEASE = Pattern.compile("(\\d{1,4})\\.(\\d{1,4})(?!\\d).*", Pattern.DOTALL);

    /** Whether a kernel has something. */
    enum Has {
        YES, NO, MAYBE
    }

    /** The age of a release as uname(1) shows it; empty if that is none of Linux. */
    static Optional<KernelAge> of(String release) {
        Matcher version = RELEASE.matcher(release);
        if (!version.matches()) {
            return Optional.empty();
        }
        int number = number(version);
        List<KernelProfile> all = KernelProfile.all();
        Optional<KernelProfile> older = all.stream().filter(profile -> number(profile) <= number)
                .reduce((first, second) -> second);
        return Optional.of(new KernelAge(older, all.stream().filter(profile -> number(profile) > number).findFirst(),
                older.filter(profile -> number(profile) == number).isPresent()));
    }

    private static int number(KernelProfile profile) {
        Matcher version = RELEASE.matcher(profile.version());
        if (!version.matches()) {
            throw new IllegalStateException(profile.version());
        }
        return number(version);
    }

    private static int number(Matcher version) {
        return Integer.parseInt(version.group(1)) * 10_000 + Integer.parseInt(version.group(2));
    }

    /** Whether it has what some of the emulated kernels have. */
    Has has(Predicate<KernelProfile> property) {
        if (older.filter(property).isPresent()) {
            return Has.YES;
        }
        return isOne || older.isEmpty() || newer.filter(property).isEmpty() ? Has.NO : Has.MAYBE;
    }
}
