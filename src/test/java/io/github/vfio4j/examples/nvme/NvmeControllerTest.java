package io.github.vfio4j.examples.nvme;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The driver on a controller written in Java, without hardware and without the kernel's VFIO. */
class NvmeControllerTest {

    private static final PciAddress DISK = PciAddress.parse("0000:01:00.0");
    private static final int BLOCKS = 8192;
    private static final int STANDARD_DESCRIPTORS = 3;

    /** The one line in which the application's two ways differ. */
    enum Way {
        CONTAINER {
            @Override
            Iommu open(Vfio vfio) throws VfioException {
                return vfio.openContainer();
            }
        },
        IOMMUFD {
            @Override
            Iommu open(Vfio vfio) throws VfioException {
                return vfio.openIommufd();
            }
        };

        abstract Iommu open(Vfio vfio) throws VfioException;
    }

    private static EmulatedKernel kernel() {
        return EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev())
                .pciFunction(DISK.toString(), function -> function.memoryBar(0, NvmeModel.BAR_SIZE).msix(2, 0, 0x2000)
                        .variantDriver("nvme-model", () -> new NvmeModel("12345", BLOCKS)))
                .build();
    }

    @ParameterizedTest
    @EnumSource
    void blocksAreWrittenAndReadBack(Way way) throws IOException, InterruptedException {
        EmulatedProcess process = kernel().newProcess();
        try (Iommu iommu = way.open(Vfio.using(process))) {
            NvmeDiskCheck.Result result = NvmeDiskCheck.run(iommu, DISK, 3 << 20);
            assertThat(result.serialNumber()).isEqualTo("12345");
            assertThat(result.model()).isEqualTo("vfio4j emulated NVMe");
            assertThat(result.bytes()).isEqualTo(BLOCKS * 512L);
            assertThat(result.readBack()).isEqualTo(result.written());
        }
        assertThat(process.openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS);
    }

    @Test
    void whatIsBehindTheDiskIsNotAskedFor() throws IOException, InterruptedException {
        try (Iommu iommu = Vfio.using(kernel().newProcess()).openContainer();
                VfioDevice device = iommu.openDevice(DISK);
                NvmeController disk = NvmeController.start(iommu, device);
                DmaMapping data = iommu.allocate(4096, DmaDirection.BIDIRECTIONAL)) {
            disk.write(BLOCKS - 8, data);
            assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> disk.read(BLOCKS - 7, data))
                    .withMessageContaining("blocks 0 to 8191");
        }
    }

    /** What the driver does not give the disk, the disk does not get; and the driver hears of it. */
    @Test
    void memoryTheDeviceMayNotWriteIsATransferError() throws IOException, InterruptedException {
        try (Iommu iommu = Vfio.using(kernel().newProcess()).openContainer();
                VfioDevice device = iommu.openDevice(DISK);
                NvmeController disk = NvmeController.start(iommu, device);
                DmaMapping data = iommu.allocate(4096, DmaDirection.TO_DEVICE)) {
            disk.write(0, data);
            assertThatExceptionOfType(NvmeException.class).isThrownBy(() -> disk.read(0, data))
                    .withMessageContaining("status 0x4");
            disk.write(0, data);
        }
    }

    /** Each system call of a whole run fails once; the program hears of it or does without, and nothing stays open. */
    @ParameterizedTest
    @EnumSource
    void everySystemCallFailsOnce(Way way) throws InterruptedException {
        EmulatedKernel kernel = kernel();
        long call = 0;
        long heard = 0;
        boolean failed = true;
        while (failed) {
            EmulatedProcess process = kernel.newProcess();
            FaultInjectingBackend faults = new FaultInjectingBackend(process);
            faults.inject(Fault.onAnyCall().nth(++call).fails(Errno.EIO));
            try (Iommu iommu = way.open(Vfio.using(faults))) {
                NvmeDiskCheck.Result result = NvmeDiskCheck.run(iommu, DISK, 1 << 20);
                assertThat(result.readBack()).isEqualTo(result.written());
            } catch (IOException e) {
                assertThat(faults.injected()).as("why there is %s", e).isPositive();
                heard++;
            }
            failed = faults.injected() > 0;
            assertThat(process.openDescriptors()).as("after call %d", call).isEqualTo(STANDARD_DESCRIPTORS);
        }
        assertThat(heard).isGreaterThan(call * 9 / 10);
    }
}
