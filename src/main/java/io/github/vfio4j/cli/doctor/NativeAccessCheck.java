package io.github.vfio4j.cli.doctor;

/** Whether Java may call the kernel. */
final class NativeAccessCheck implements Check {

    @Override
    public String name() {
        return "native access";
    }

    @Override
    public Finding examine(Examination on) {
        if (on.machine().isEmulated()) {
            return notApplicable("The emulated kernel needs none");
        }
        String refusal = on.machine().withoutKernel();
        Module module = NativeAccessCheck.class.getModule();
        return refusal == null
                ? ok("Allowed")
                : problem(refusal, Fix.byUser(
                        "java --enable-native-access=" + (module.isNamed() ? module.getName() : "ALL-UNNAMED") + " …"));
    }
}
