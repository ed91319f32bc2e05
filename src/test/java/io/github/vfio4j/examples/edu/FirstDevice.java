package io.github.vfio4j.examples.edu;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.device.DeviceInterrupts;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.device.RegisterAccess;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;

/** The program of docs/first-device.md: QEMU's educational device, without a driver for it. */
public final class FirstDevice {

    public static void main(String[] arguments) throws IOException, InterruptedException {
        run(Vfio.open(), PciAddress.parse(arguments[0]), System.out);
    }

    public static void run(Vfio vfio, PciAddress address, PrintStream out) throws IOException, InterruptedException {
        try (Iommu iommu = vfio.openIommu(); VfioDevice device = iommu.openDevice(address)) {
            out.printf("%s is %04x:%04x%n", device, device.config().vendorId(), device.config().deviceId());

            RegisterAccess registers = device.region(DeviceRegion.BAR0).registers();
            out.printf("its first register reads 0x%08x%n", registers.get32(0x00));

            device.config().setBusMaster(true); // DMA and MSI, which is DMA too
            DeviceInterrupts msi = device.interrupts(PciIrq.MSI);
            msi.enable(1);
            registers.put32(0x60, 42); // raises the interrupt, with a cause
            long signals = msi.await(0, Duration.ofSeconds(10));
            out.printf("%d interrupt, the cause is %d%n", signals, registers.get32(0x24));
            registers.put32(0x64, 42); // takes the cause away

            try (DmaMapping memory = iommu.allocate(4096, DmaDirection.BIDIRECTIONAL)) {
                memory.memory().setString(0, "Hello, device");
                copy(registers, memory.iova(), 0x40000, 14, 0b101);
                out.printf("memory to device: %d interrupt%n", msi.await(0, Duration.ofSeconds(10)));
                memory.memory().fill((byte) 0);
                copy(registers, 0x40000, memory.iova(), 14, 0b111);
                out.printf("device to memory: %d interrupt%n", msi.await(0, Duration.ofSeconds(10)));
                out.println("it kept: " + memory.memory().getString(0));
            }
        }
    }

    private static void copy(RegisterAccess registers, long from, long to, int bytes, int command) throws IOException {
        registers.put32(0x80, (int) from); // the device has 28 address lines, and the lowest free IOVA is low
        registers.put32(0x88, (int) to);
        registers.put32(0x90, bytes);
        registers.put32(0x98, command); // begin, bit 1: to memory, bit 2: interrupt when done
    }
}
