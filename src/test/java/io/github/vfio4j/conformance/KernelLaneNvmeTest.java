package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.examples.nvme.NvmeDiskCheck;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The NVMe driver on QEMU's controller and a real kernel; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneNvmeTest {

    private static final long MEBIBYTES = 64;

    private record Given(PciAddress disk, String serialNumber, PrintWriter out) {
    }

    private static volatile @Nullable Given given;

    static void runOn(PciAddress disk, String serialNumber, PrintWriter out) {
        given = new Given(disk, serialNumber, out);
    }

    private static void check(Iommu iommu) throws IOException, InterruptedException {
        Given machine = Objects.requireNonNull(given, "this suite is started by KernelLane");
        NvmeDiskCheck.Result result = NvmeDiskCheck.run(iommu, machine.disk(), MEBIBYTES << 20);
        machine.out().printf("NVMe through %s: %s, serial %s, %d MiB written and read back, CRC32C %08x and %08x%n",
                iommu.getClass().getSimpleName(), result.model(), result.serialNumber(), MEBIBYTES, result.written(),
                result.readBack());
        assertThat(result.serialNumber()).isEqualTo(machine.serialNumber());
        assertThat(result.model()).isEqualTo("QEMU NVMe Ctrl");
        assertThat(result.bytes()).isEqualTo(80 << 20);
        assertThat(result.firstBlock()).isEqualTo(firstBlock());
        assertThat(result.readBack()).isEqualTo(result.written());
    }

    private static long firstBlock() {
        CRC32C checksum = new CRC32C();
        checksum.update(Arrays.copyOf("vfio4j\n".repeat(512).getBytes(StandardCharsets.US_ASCII), 512));
        return checksum.getValue();
    }

    @Test
    void throughAContainer() throws IOException, InterruptedException {
        try (Iommu iommu = Vfio.open().openContainer()) {
            check(iommu);
        }
    }

    @Test
    void throughAnIommufd() throws IOException, InterruptedException {
        if (KernelLaneApiTest.current().profile().hasCdev()) {
            try (Iommu iommu = Vfio.open().openIommufd()) {
                check(iommu);
            }
        } else {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> Vfio.open().openIommufd().close())
                    .matches(e -> e.is(Errno.ENOENT));
        }
    }
}
