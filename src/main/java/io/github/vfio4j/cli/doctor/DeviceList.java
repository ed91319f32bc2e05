package io.github.vfio4j.cli.doctor;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The PCI functions of a machine that could be given to user space, and what is to be done for it. */
final class DeviceList {

    private DeviceList() {
    }

    /** Those in IOMMU groups; of bridges nobody wants anything. */
    static List<Device> usable(SystemFiles files) {
        return Device.pciFunctions(files).stream()
                .filter(function -> function.group().isPresent() && !function.isBridge()).toList();
    }

    /** A line for each of them. */
    static List<String> describe(Machine machine) {
        return usable(machine.files()).stream().map(function -> describe(machine, function)).toList();
    }

    private static String describe(Machine machine, Device function) {
        Examination examination = new Examination(machine, function);
        Optional<String> next = Stream.of(new DriverCheck(), new GroupCheck(), new PermissionCheck())
                .filter(check -> check.examine(examination).outcome() == Outcome.PROBLEM).map(Check::name).findFirst();
        return String.format("%s  %-9s  group %-4s %-14s %s", function, function.id().orElse("-"),
                function.group().orElse("-"), function.driver().orElse("no driver"),
                next.map(check -> "stopped by: " + check).orElse("can be used"));
    }
}
