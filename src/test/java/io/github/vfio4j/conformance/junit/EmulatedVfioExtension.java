package io.github.vfio4j.conformance.junit;

import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ClassTemplateInvocationContext;
import org.junit.jupiter.api.extension.ClassTemplateInvocationContextProvider;
import org.junit.jupiter.api.extension.Extension;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestInstancePostProcessor;
import org.junit.jupiter.api.extension.TestTemplateInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContextProvider;
import org.junit.platform.commons.support.AnnotationSupport;
import org.junit.platform.commons.support.ReflectionSupport;

/** Behind {@link EmulatedVfio} and {@link ForEachKernel}. */
final class EmulatedVfioExtension
        implements
            ParameterResolver,
            TestInstancePostProcessor,
            AfterEachCallback,
            TestTemplateInvocationContextProvider,
            ClassTemplateInvocationContextProvider {

    private static final Namespace NAMESPACE = Namespace.create(EmulatedVfioExtension.class);

    EmulatedVfioExtension() {
    }

    /** So that constructors and fields get parts of the kernel that the test method gets. */
    @Override
    public ExtensionContextScope getTestInstantiationExtensionContextScope(ExtensionContext rootContext) {
        return ExtensionContextScope.TEST_METHOD;
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return EmulatedTest.PARTS.contains(parameter.getParameter().getType());
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return test(context).part(parameter.getParameter().getType());
    }

    @Override
    public void postProcessTestInstance(Object instance, ExtensionContext context) throws IllegalAccessException {
        for (Field field : AnnotationSupport.findAnnotatedFields(instance.getClass(), Emulated.class)) {
            if (!EmulatedTest.PARTS.contains(field.getType())) {
                throw new ExtensionConfigurationException("@Emulated is on " + field + ", but there are only "
                        + EmulatedTest.PARTS.stream().map(Class::getSimpleName).toList());
            }
            if (Modifier.isStatic(field.getModifiers()) || Modifier.isFinal(field.getModifiers())) {
                throw new ExtensionConfigurationException("@Emulated is on " + field
                        + ", which every test is to find filled anew: make it neither static nor final");
            }
            field.setAccessible(true);
            field.set(instance, test(context).part(field.getType()));
        }
    }

    @Override
    public void afterEach(ExtensionContext context) {
        EmulatedTest test = context.getStore(NAMESPACE).get(EmulatedTest.class, EmulatedTest.class);
        if (test != null) {
            test.checkForLeaks();
        }
    }

    @Override
    public boolean supportsTestTemplate(ExtensionContext context) {
        return kernels(context.getElement()).isPresent();
    }

    @Override
    public Stream<TestTemplateInvocationContext> provideTestTemplateInvocationContexts(ExtensionContext context) {
        if (kernelOfTemplate(context) != null) {
            throw new ExtensionConfigurationException(context.getDisplayName() + " and its class are both marked"
                    + " @ForEachKernel; on the class it is enough: make this a @Test");
        }
        return profiles(context).map(Invocation::new);
    }

    @Override
    public boolean supportsClassTemplate(ExtensionContext context) {
        return kernels(context.getElement()).isPresent();
    }

    @Override
    public Stream<ClassTemplateInvocationContext> provideClassTemplateInvocationContexts(ExtensionContext context) {
        return profiles(context).map(Invocation::new);
    }

    private static Optional<ForEachKernel> kernels(Optional<AnnotatedElement> element) {
        return AnnotationSupport.findAnnotation(element, ForEachKernel.class);
    }

    private static Stream<KernelProfile> profiles(ExtensionContext context) {
        refuseSecondKernel(context, context.getElement());
        String[] versions = kernels(context.getElement()).orElseThrow().value();
        return versions.length == 0 ? KernelProfile.all().stream() : Stream.of(versions).map(KernelProfile::of);
    }

    private static void refuseSecondKernel(ExtensionContext context, Optional<? extends AnnotatedElement> element) {
        if (AnnotationSupport.findAnnotation(element, EmulatedVfio.class).filter(vfio -> !vfio.kernel().isEmpty())
                .isPresent()) {
            throw new ExtensionConfigurationException(context.getDisplayName() + " runs on the kernels that"
                    + " @ForEachKernel names; leave kernel out of its @EmulatedVfio");
        }
    }

    private static @Nullable KernelProfile kernelOfTemplate(ExtensionContext context) {
        return context.getStore(NAMESPACE).get(KernelProfile.class, KernelProfile.class);
    }

    private static EmulatedTest test(ExtensionContext context) {
        if (context.getTestMethod().isEmpty()) {
            throw new ExtensionConfigurationException("An emulated kernel is one test's: ask for it in the test, in"
                    + " @BeforeEach or @AfterEach, or, where each test has its instance of the class (PER_METHOD), in"
                    + " the constructor or a field; not for the whole of " + context.getDisplayName());
        }
        return context.getStore(NAMESPACE).getOrComputeIfAbsent(EmulatedTest.class,
                key -> new EmulatedTest(boot(context)), EmulatedTest.class);
    }

    private static EmulatedKernel boot(ExtensionContext context) {
        KernelProfile profile = kernelOfTemplate(context);
        if (profile != null) {
            refuseSecondKernel(context, context.getTestMethod());
        }
        Class<? extends EmulatedDevices> devices = EmulatedDevices.Standard.class;
        for (EmulatedVfio vfio : fromTheTestOutwards(context)) {
            if (profile == null && !vfio.kernel().isEmpty()) {
                profile = KernelProfile.of(vfio.kernel());
            }
            if (devices == EmulatedDevices.Standard.class) {
                devices = vfio.devices();
            }
        }
        EmulatedKernel.Builder kernel = EmulatedKernel
                .builder(profile == null ? KernelProfile.all().getLast() : profile);
        instantiate(devices).addTo(kernel);
        return kernel.build();
    }

    private static List<EmulatedVfio> fromTheTestOutwards(ExtensionContext context) {
        List<AnnotatedElement> elements = new ArrayList<>();
        elements.add(context.getRequiredTestMethod());
        elements.add(context.getRequiredTestClass());
        elements.addAll(context.getEnclosingTestClasses().reversed());
        return elements.stream()
                .flatMap(element -> AnnotationSupport.findAnnotation(element, EmulatedVfio.class).stream()).toList();
    }

    private static EmulatedDevices instantiate(Class<? extends EmulatedDevices> devices) {
        if (!Modifier.isAbstract(devices.getModifiers()) && Stream.of(devices.getDeclaredConstructors())
                .anyMatch(constructor -> constructor.getParameterCount() == 0)) {
            return ReflectionSupport.newInstance(devices);
        }
        throw new ExtensionConfigurationException(devices.getName() + " can't be made: devices are described by a"
                + " static nested or top-level class with a constructor without parameters");
    }

    /** A run on one kernel. */
    private record Invocation(
            KernelProfile kernel) implements TestTemplateInvocationContext, ClassTemplateInvocationContext {

        @Override
        public String getDisplayName(int invocationIndex) {
            return kernel.toString();
        }

        @Override
        public List<Extension> getAdditionalExtensions() {
            return List.of();
        }

        @Override
        public void prepareInvocation(ExtensionContext context) {
            context.getStore(NAMESPACE).put(KernelProfile.class, kernel);
        }
    }
}
