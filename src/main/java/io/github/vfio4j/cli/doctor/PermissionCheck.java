package io.github.vfio4j.cli.doctor;

import java.util.List;
import java.util.stream.Collectors;

/** Whether this user may open the files by which the device is used: through its group, or by itself. */
final class PermissionCheck implements Check {

    private static final String CONTAINER = "/dev/vfio/vfio";
    private static final String IOMMUFD = "/dev/iommu";

    @Override
    public String name() {
        return "permissions";
    }

    @Override
    public Finding examine(Examination on) {
        Device device = on.device();
        if (device == null) {
            return ofFiles(on, List.of(CONTAINER), List.of(IOMMUFD));
        }
        if (!device.isBound()) {
            return unknown("The files of " + device + " come when it is bound", Fix.NONE);
        }
        List<String> byGroup = device.group().map(group -> List.of(CONTAINER, "/dev/vfio/" + group))
                .orElse(List.of(CONTAINER));
        return device.vfioName().map(name -> ofFiles(on, byGroup, List.of(IOMMUFD, "/dev/vfio/devices/" + name)))
                .orElseGet(() -> ofFiles(on, byGroup, List.of()));
    }

    /** One of two ways is enough. The second counts where its files are there. */
    private Finding ofFiles(Examination on, List<String> byGroup, List<String> byItself) {
        SystemFiles files = on.files();
        boolean hasOwnFile = !byItself.isEmpty() && byItself.stream().allMatch(files::exists);
        if (isOpen(files, byGroup)) {
            return ok(on.machine().user() + " may open " + String.join(" and ", byGroup));
        }
        if (hasOwnFile && isOpen(files, byItself)) {
            return ok(on.machine().user() + " may open " + String.join(" and ", byItself));
        }
        boolean hasGroup = byGroup.stream().allMatch(files::exists);
        List<String> way = hasOwnFile && !hasGroup ? byItself : byGroup;
        List<String> missing = way.stream().filter(file -> files.access(file) == Access.ABSENT).toList();
        if (missing.isEmpty()) {
            return denied(on, way.stream().filter(file -> files.access(file) == Access.DENIED).toList());
        }
        return on.device() != null || files.exists(ModuleCheck.DRIVER)
                ? missing(missing, way)
                : unknown(CONTAINER + " comes with the module", Fix.NONE);
    }

    private static boolean isOpen(SystemFiles files, List<String> way) {
        return way.stream().allMatch(file -> files.access(file) == Access.ALLOWED);
    }

    private Finding denied(Examination on, List<String> denied) {
        String user = on.machine().user();
        List<String> commands = denied.stream()
                .map(file -> file.equals(CONTAINER) ? "chmod 666 " + file : "chown " + user + " " + file).toList();
        return problem(user + " may not open " + String.join(" and ", denied)
                + "; until the next boot this helps, a rule of udev for longer (SUBSYSTEM==\"vfio\", OWNER=\"" + user
                + "\")", Fix.byRoot(commands));
    }

    private Finding missing(List<String> missing, List<String> way) {
        return problem(
                "The module is loaded, but " + String.join(" and ", missing) + " "
                        + (missing.size() == 1 ? "is" : "are") + " not here: hand them to the container this runs in",
                Fix.byRoot("docker run " + way.stream().map(file -> "--device " + file).collect(Collectors.joining(" "))
                        + " …"));
    }
}
