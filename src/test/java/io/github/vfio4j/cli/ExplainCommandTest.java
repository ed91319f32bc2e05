package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.InstanceOfAssertFactories.LIST;
import static org.assertj.core.api.InstanceOfAssertFactories.map;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** That what is said is true is shown by the comparison with the kernels (conformance.ExplainedRefusalsTest). */
class ExplainCommandTest {

    private static CommandRun explain(String errno, String feature, String operation, String... more) {
        String[] arguments = {"explain", errno, "--feature", feature, "--op", operation};
        return CommandRun.withoutKernel("",
                Stream.concat(Stream.of(arguments), Stream.of(more)).toArray(String[]::new));
    }

    @Test
    void theCausesComeInTheKernelsOrder() {
        assertThat(explain("EINVAL", "LOW_POWER_ENTRY", "set").assertDone().out()).isEqualTo("""
                EINVAL (invalid argument) for SET of LOW_POWER_ENTRY (feature 3)

                 1. The device was opened by its own file, and is not bound to an iommufd yet
                    [6.12, 7.2] Bind it first (VFIO_DEVICE_BIND_IOMMUFD; Iommufd.openDevice does)
                 2. argsz is less than the 8 bytes of the header
                    [every kernel] Set argsz to the size of header and data
                 3. Unknown bits (19 to 31) are set in flags
                    [every kernel] Leave them 0
                 4. The device is in low power already
                    [6.1, 6.12, 7.2] Set LOW_POWER_EXIT first
                """);
    }

    @ParameterizedTest
    @CsvSource({"ENOTTY,11,probe,6", "25,dma_buf,PROBE,6", "enotty,VFIO_DEVICE_FEATURE_DMA_BUF,Probe,6"})
    void namesAndNumbersMeanTheSame(String errno, String feature, String operation) {
        assertThat(explain(errno, feature, operation).assertDone().out())
                .isEqualTo(explain("ENOTTY", "DMA_BUF", "probe").out())
                .contains("The kernel does not know this feature\n    [5.7, 6.1, 6.12] Use one that does; of those"
                        + " described here: 7.2\n")
                .contains("built without VFIO_PCI_DMABUF, or the device is no PCI function\n    [7.2] ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"probe,get", "PROBE|GET", "get+probe", "probe-get"})
    void operationsCanBeProbed(String operation) {
        assertThat(explain("EOPNOTSUPP", "DMA_BUF", operation).assertDone().out())
                .startsWith("EOPNOTSUPP (operation not supported) for PROBE|GET of DMA_BUF (feature 11)\n\n 1. ");
    }

    @Test
    void anErrorThatNoKernelAnswersWith() throws IOException {
        assertThat(explain("EBUSY", "DMA_BUF", "probe").assertDone().out()).contains(
                "No kernel described here answers so: they answer EFAULT, EINVAL, EIO, ENOTTY, EOPNOTSUPP. Is");
        assertThat(explain("ENOTTY", "PCI_VF_TOKEN", "get,set", "--json").assertDone().out()).contains("\"5.7\"");
        assertThat(Json.parse(explain("E2BIG", "0", "set", "--json").assertDone().out()))
                .asInstanceOf(map(String.class, Object.class)).containsEntry("causes", List.of());
    }

    @Test
    void aFeatureThatNoKernelHas() {
        assertThat(explain("EBUSY", "4711", "none").assertDone().out()).isEqualTo("""
                EBUSY (device or resource busy) for no operation of feature 4711

                 1. The device's driver knows this feature, and refuses
                    [every kernel] See dmesg and the driver's source; tell its author
                """);
    }

    @Test
    void jsonHasTheKeysThatAreDocumented() throws IOException {
        assertThat(Json.parse(explain("ebadf", "4", "set", "--json").assertDone().out()))
                .isEqualTo(Map.of("errno", "EBADF", "code", 9, "index", 4, "feature", "LOW_POWER_ENTRY_WITH_WAKEUP",
                        "operations", List.of("SET"), "causes",
                        List.of(Map.of("cause", "The descriptor is not open", "remedy",
                                "Keep the eventfd open until after the call", "kernels", List.of("6.1", "6.12", "7.2"),
                                "ofDriver", false))));
        assertThat(Json.parse(explain("EBUSY", "2", "set", "--json").assertDone().out()))
                .asInstanceOf(map(String.class, Object.class)).extractingByKey("causes", LIST).hasSize(1).first()
                .asInstanceOf(map(String.class, Object.class)).containsEntry("ofDriver", true);
    }

    @Test
    void badUsageIsOneLine() {
        explain("ENOSUCH", "2", "set").assertFailed(2, "ERRNO", "No error called 'ENOSUCH' is known here", "its number")
                .assertNoOutput();
        explain("0", "2", "set").assertFailed(2, "An error number is 1 to 4095").assertNoOutput();
        explain("EINVAL", "VF_TOKEN", "set")
                .assertFailed(2, "--feature", "No feature is called 'VF_TOKEN'", "PCI_VF_TOKEN, MIGRATION")
                .assertNoOutput();
        explain("EINVAL", "65536", "set").assertFailed(2, "There is no device feature 65536").assertNoOutput();
        explain("EINVAL", "2", "write").assertFailed(2, "--op", "'write' is no operation", "probe,get")
                .assertNoOutput();
        explain("EINVAL", "2", "set,none").assertFailed(2, "'set,none' is no operation").assertNoOutput();
        explain("EINVAL", "2", "").assertFailed(2, "'' is no operation").assertNoOutput();
        CommandRun.withoutKernel("", "explain", "EINVAL").assertFailed(2, "--feature", "--op").assertNoOutput();
        CommandRun.withoutKernel("", "explain", "--feature", "2", "--op", "set").assertFailed(2, "ERRNO")
                .assertNoOutput();
    }
}
