package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Whether somebody else has the device: a group can be open once ({@code EBUSY}). What processes have open is looked up in
 * /proc; of those of other users only the kernel knows, and it tells who opens the group himself, which is done for a moment
 * and changes nothing.
 */
final class UseCheck implements Check {

    private static final Predicate<String> PROCESS = Pattern.compile("[0-9]+").asMatchPredicate();

    @Override
    public String name() {
        return "use";
    }

    @Override
    public Finding examine(Examination on) {
        Device device = on.device();
        if (device == null) {
            return notApplicable("Name a device to see whether somebody has it");
        }
        String group = device.group().orElse(null);
        if (group == null || !device.isBound()) {
            return unknown("Nobody can have it before it is bound", Fix.NONE);
        }
        String file = "/dev/vfio/" + group;
        Set<String> wanted = device.vfioName().map(name -> Set.of(file, "/dev/vfio/devices/" + name))
                .orElse(Set.of(file));
        return holder(on.files(), wanted).orElseGet(() -> byKernel(on, file));
    }

    private Optional<Finding> holder(SystemFiles files, Set<String> wanted) {
        for (String process : files.list("/proc").stream().filter(PROCESS).toList()) {
            String descriptors = "/proc/" + process + "/fd/";
            Optional<String> held = files.list(descriptors).stream().map(fd -> files.target(descriptors + fd))
                    .flatMap(Optional::stream).filter(wanted::contains).findFirst();
            if (held.isPresent()) {
                return Optional.of(problem(
                        "Process " + process + " (" + files.read("/proc/" + process + "/comm").orElse("?") + ") has "
                                + held.get() + " open, and one at a time can: end it, or take another device",
                        Fix.byUser("kill " + process)));
            }
        }
        return Optional.empty();
    }

    private Finding byKernel(Examination on, String file) {
        IoctlBackend kernel = on.machine().kernel();
        if (kernel == null || on.files().access(file) != Access.ALLOWED) {
            return unknown("Nobody whom " + on.machine().user() + " may look at has " + file + " open",
                    Fix.byRoot("fuser -v " + file));
        }
        int fd = kernel.open(file, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        if (fd >= 0) {
            kernel.close(fd);
            return ok("Nobody has it: " + file + " could be opened, and was closed again");
        }
        Errno errno = Errno.ofResult(fd);
        if (List.of(Errno.EPERM, Errno.EACCES).contains(errno)) {
            return problem("The kernel refuses " + file + " (" + errno.name()
                    + ") though its mode allows it: hand it to" + " the container this runs in",
                    Fix.byRoot("docker run --device " + file + " …"));
        }
        return errno.equals(Errno.EBUSY)
                ? problem("Somebody whom " + on.machine().user() + " may not look at has " + file
                        + " open, and one at a time can: this shows who", Fix.byRoot("fuser -v " + file))
                : problem("The kernel refuses to open " + file + ": " + errno, Fix.byRoot("dmesg"));
    }
}
