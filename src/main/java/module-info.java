/** VFIO for the JVM without JNI. */
module io.github.vfio4j {
    requires org.slf4j;
    requires static org.jspecify;
    requires static info.picocli;
    requires static com.fasterxml.jackson.core;

    exports io.github.vfio4j;
    exports io.github.vfio4j.device;
    exports io.github.vfio4j.feature;
    exports io.github.vfio4j.migration;
    exports io.github.vfio4j.backend;
    exports io.github.vfio4j.emulation;
    exports io.github.vfio4j.emulation.device;
    exports io.github.vfio4j.trace;

    opens io.github.vfio4j.cli to
            info.picocli;
}
