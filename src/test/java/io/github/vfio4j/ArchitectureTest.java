package io.github.vfio4j;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.foreign.Linker;
import java.util.List;
import java.util.regex.Pattern;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** The decisions about structure that no compiler holds. */
class ArchitectureTest {

    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS).importPackages("io.github.vfio4j");

    /** What Surefire runs by its default includes; a class called otherwise would silently never run. */
    private static final Pattern RUN_BY_SUREFIRE = Pattern.compile("Test.*|.*Test|.*Tests|.*TestCase");

    @Test
    void oneClassLinksLibc() {
        noClasses().that().doNotHaveFullyQualifiedName("io.github.vfio4j.backend.Libc").should().dependOnClassesThat()
                .areAssignableTo(Linker.class).check(MAIN);
    }

    /** Errno and uapi are no layers: they know nothing of the rest. */
    @Test
    void theBackendKnowsNothingOfTheLayersAboveIt() {
        noClasses().that().resideInAPackage("..backend..").should()
                .dependOnClassesThat(resideInAPackage("io.github.vfio4j..")
                        .and(JavaClass.Predicates.resideOutsideOfPackages("..backend..", "..uapi.."))
                        .and(DescribedPredicate.not(JavaClass.Predicates.equivalentTo(Errno.class))))
                .check(MAIN);
    }

    @Test
    void featuresKnowNothingOfWhatIsBuiltOnThem() {
        noClasses().that().resideOutsideOfPackages("..migration..", "..cli..").should().dependOnClassesThat()
                .resideInAPackage("..migration..").check(MAIN);
    }

    @Test
    void theEmulationIsReachedOnlyByName() {
        noClasses().that().resideOutsideOfPackages("..emulation..", "..trace..", "..cli..").should()
                .dependOnClassesThat().resideInAPackage("..emulation..").check(MAIN);
    }

    @Test
    void theEmulationNeedsNoNativeAccess() {
        noClasses().that().resideInAPackage("..emulation..").should().dependOnClassesThat()
                .haveFullyQualifiedName("io.github.vfio4j.backend.NativeBackend").orShould().dependOnClassesThat()
                .areAssignableTo(Linker.class).check(MAIN);
    }

    @Test
    void theEmulationIsLayered() {
        noClasses().that().resideInAPackage("..emulation.fs..").should().dependOnClassesThat()
                .resideInAnyPackage("..emulation", "..emulation.feature..", "..emulation.vfio..").check(MAIN);
        noClasses().that().resideInAPackage("..emulation.feature..").should().dependOnClassesThat()
                .resideInAPackage("..emulation.vfio..").check(MAIN);
    }

    @Test
    void whatAModelImplementsKnowsNothingOfTheKernelsInside() {
        noClasses().that().resideInAPackage("..emulation.device..").should()
                .dependOnClassesThat(resideInAPackage("..emulation..")
                        .and(JavaClass.Predicates.resideOutsideOfPackage("..emulation.device..")))
                .check(MAIN);
    }

    @Test
    void picocliAndJacksonServeTheCommandLineAndTranscriptsOnly() {
        noClasses().that().resideOutsideOfPackage("..cli..").should().dependOnClassesThat()
                .resideInAPackage("picocli..").check(MAIN);
        noClasses().that().resideOutsideOfPackages("..cli..", "..trace..").should().dependOnClassesThat()
                .resideInAPackage("com.fasterxml..").check(MAIN);
    }

    /** But for suites that are started by others, who say what they are to examine: the conformance runner, the kernel lane. */
    @Test
    void everyTestIsRun() {
        List<String> neverRun = new ClassFileImporter().withImportOption(ImportOption.Predefined.ONLY_INCLUDE_TESTS)
                .importPackages("io.github.vfio4j").stream()
                .filter(type -> !type.isNestedClass()
                        && !type.getModifiers().contains(com.tngtech.archunit.core.domain.JavaModifier.ABSTRACT))
                .filter(type -> type.getAllMethods().stream().anyMatch(method -> method.isAnnotatedWith(Test.class)
                        || method.isAnnotatedWith(ParameterizedTest.class) || method.isAnnotatedWith(Property.class)))
                .map(JavaClass::getSimpleName).filter(name -> !RUN_BY_SUREFIRE.matcher(name).matches()).toList();
        assertThat(neverRun).containsExactlyInAnyOrder("DeviceConformance", "KernelLaneTokenConformance");
    }

    @Test
    void classesOfTheLibraryAreFinalOrMeantToBeImplemented() {
        classes().that().arePublic().and().areNotInterfaces().and().areNotEnums().and()
                .resideInAnyPackage("io.github.vfio4j", "io.github.vfio4j.feature", "..migration", "..backend",
                        "..emulation", "..emulation.device", "..trace")
                .should().haveModifier(com.tngtech.archunit.core.domain.JavaModifier.FINAL).check(MAIN);
    }
}
