package io.github.vfio4j.examples.nvme;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioDevice;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;

/**
 * The example as a program: takes an NVMe disk into operation, reads what is on it, writes so much over it and reads that back.
 * Which of the kernel's interfaces to IOMMUs it uses is the caller's one line.
 */
public final class NvmeDiskCheck {

    private static final int CHUNK = 1 << 20;

    private NvmeDiskCheck() {
    }

    /**
     * What was found.
     *
     * @param serialNumber
     *            of the controller
     * @param model
     *            of the controller
     * @param bytes
     *            size of the disk
     * @param firstBlock
     *            CRC32C of the first block as it was before
     * @param written
     *            CRC32C of what was written
     * @param readBack
     *            CRC32C of what was read back
     */
    public record Result(String serialNumber, String model, long bytes, long firstBlock, long written, long readBack) {
    }

    /**
     * Checks a disk. What is on it is lost, from the second MiB on.
     *
     * @param iommu
     *            a container or an iommufd
     * @param address
     *            an NVMe controller bound to vfio-pci
     * @param bytes
     *            how much to write, a multiple of 1 MiB
     * @return what was found
     * @throws IOException
     *             if something fails
     */
    public static Result run(Iommu iommu, PciAddress address, long bytes) throws IOException, InterruptedException {
        try (VfioDevice device = iommu.openDevice(address);
                NvmeController disk = NvmeController.start(iommu, device);
                DmaMapping data = iommu.allocate(CHUNK, DmaDirection.BIDIRECTIONAL)) {
            disk.read(0, data);
            CRC32C firstBlock = new CRC32C();
            firstBlock.update(data.memory().asSlice(0, disk.blockSize()).asByteBuffer());

            CRC32C written = new CRC32C();
            SplittableRandom random = new SplittableRandom(1);
            byte[] chunk = new byte[CHUNK];
            for (long at = CHUNK; at <= bytes; at += CHUNK) {
                random.nextBytes(chunk);
                written.update(chunk);
                data.memory().copyFrom(MemorySegment.ofArray(chunk));
                disk.write(at / disk.blockSize(), data);
            }
            disk.flush();

            CRC32C readBack = new CRC32C();
            for (long at = CHUNK; at <= bytes; at += CHUNK) {
                data.memory().fill((byte) 0);
                disk.read(at / disk.blockSize(), data);
                readBack.update(data.memory().toArray(ValueLayout.JAVA_BYTE));
            }
            return new Result(disk.serialNumber(), disk.model(), disk.blocks() * disk.blockSize(),
                    firstBlock.getValue(), written.getValue(), readBack.getValue());
        }
    }
}
