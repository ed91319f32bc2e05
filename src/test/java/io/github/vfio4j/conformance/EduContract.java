package io.github.vfio4j.conformance;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.examples.edu.EduDevice;
import io.github.vfio4j.examples.edu.FirstDevice;
import io.github.vfio4j.feature.IovaRange;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A driver written with this library, on QEMU's educational device: registers, interrupts of both kinds, DMA both ways. */
abstract class EduContract {

    /** The ways to the device that a program chooses with one line. */
    enum Way {
        CONTAINER, IOMMUFD;

        Iommu open(Vfio vfio) throws VfioException {
            return switch (this) {
                case CONTAINER -> vfio.openContainer();
                case IOMMUFD -> vfio.openIommufd();
            };
        }
    }

    /** What is done with the device in operation. */
    @FunctionalInterface
    interface Body {
        void run(Iommu iommu, EduDevice edu) throws IOException, InterruptedException;
    }

    /** The kernel the device is on, itself: nothing in between. */
    abstract Vfio vfio();

    abstract PciAddress address();

    abstract KernelProfile kernel();

    static List<Arguments> ways() {
        List<Arguments> ways = new ArrayList<>();
        for (Way way : Way.values()) {
            for (PciIrq kind : new PciIrq[]{PciIrq.MSI, PciIrq.INTX}) {
                ways.add(Arguments.of(way, kind));
            }
        }
        return ways;
    }

    private void on(Way way, PciIrq kind, Body body) throws IOException, InterruptedException {
        if (way == Way.IOMMUFD && !kernel().hasCdev()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> {
                try (Iommu iommu = way.open(vfio())) {
                    iommu.openDevice(address()).close();
                }
            }).matches(e -> e.is(Errno.ENOENT)).withMessageContaining("Vfio.openContainer");
            return;
        }
        try (Iommu iommu = way.open(vfio());
                VfioDevice device = iommu.openDevice(address());
                EduDevice edu = EduDevice.start(device, kind)) {
            body.run(iommu, edu);
            assertThat(device.region(DeviceRegion.BAR0).get32(EduDevice.INTERRUPT_STATUS)).as("causes left").isZero();
            assertThat(device.interrupts(kind).await(0, Duration.ZERO)).as("interrupts left").isZero();
        }
    }

    @ParameterizedTest
    @MethodSource("ways")
    void itInvertsAndComputes(Way way, PciIrq kind) throws IOException, InterruptedException {
        on(way, kind, (iommu, edu) -> {
            assertThat(edu.isAlive(0x12345678)).isTrue();
            assertThat(edu.factorial(10)).isEqualTo(3_628_800);
            assertThat(edu.factorial(12)).isEqualTo(479_001_600);
        });
    }

    @ParameterizedTest
    @MethodSource("ways")
    void itKeepsWhatItWasGivenByDma(Way way, PciIrq kind) throws IOException, InterruptedException {
        byte[] text = new byte[EduDevice.BUFFER_SIZE];
        new Random(7).nextBytes(text);
        on(way, kind, (iommu, edu) -> {
            try (DmaMapping source = iommu.allocate(text.length, DmaDirection.TO_DEVICE);
                    DmaMapping target = iommu.allocate(text.length, DmaDirection.FROM_DEVICE)) {
                source.memory().copyFrom(MemorySegment.ofArray(text));
                edu.write(source, 0, text.length);
                edu.read(target, 1000, 2000);
                assertThat(target.memory().asSlice(0, 2000).mismatch(MemorySegment.ofArray(text).asSlice(1000, 2000)))
                        .isEqualTo(-1);
                assertThat(target.memory().get(JAVA_BYTE, 2000)).isZero();
                edu.read(target, 0, text.length);
                assertThat(target.memory().asSlice(0, text.length).toArray(JAVA_BYTE)).isEqualTo(text);
                assertThat(edu.factorial(5)).as("the causes are told apart").isEqualTo(120);
            }
        });
    }

    @ParameterizedTest
    @MethodSource("ways")
    void itIsNotGivenAddressesThatItWouldCut(Way way, PciIrq kind) throws IOException, InterruptedException {
        on(way, kind, (iommu, edu) -> {
            try (Arena arena = Arena.ofShared()) {
                MemorySegment memory = arena.allocate(4096, 4096);
                memory.setString(0, "at the end of what it reaches");
                try (DmaMapping last = iommu.map(0x0fff_f000, memory, DmaDirection.BIDIRECTIONAL)) {
                    assertThat(last.range()).isEqualTo(new IovaRange(0x0fff_f000, 4096));
                    edu.write(last, 0, 100);
                    memory.fill((byte) 0);
                    edu.read(last, 0, 100);
                    assertThat(memory.getString(0)).isEqualTo("at the end of what it reaches");
                }
                try (DmaMapping beyond = iommu.map(0x1000_0000, memory, DmaDirection.BIDIRECTIONAL)) {
                    assertThatIllegalArgumentException().isThrownBy(() -> edu.read(beyond, 0, 1))
                            .withMessageContaining("IOVA 0 to 0xfffffff only");
                    assertThatExceptionOfType(IndexOutOfBoundsException.class)
                            .isThrownBy(() -> edu.read(beyond, 4000, 96));
                }
            }
        });
    }

    /** What docs/first-device.md says the program prints. */
    @Test
    void theFirstProgramPrintsWhatTheGuideSays() throws IOException, InterruptedException {
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        FirstDevice.run(vfio(), address(), new PrintStream(printed, true, StandardCharsets.UTF_8));
        assertThat(printed.toString(StandardCharsets.UTF_8)).isEqualTo(String.format("""
                device %s is 1234:11e8
                its first register reads 0x010000ed
                1 interrupt, the cause is 42
                memory to device: 1 interrupt
                device to memory: 1 interrupt
                it kept: Hello, device
                """, address()));
    }
}
