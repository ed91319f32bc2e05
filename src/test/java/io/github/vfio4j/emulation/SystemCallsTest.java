package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.ENABLE_SRIOV;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the system calls do with files of every kind (read(2), pread(2), readlink(2), mmap(2)). */
class SystemCallsTest {

    private static final String PF_IN_SYSFS = "/sys/bus/pci/devices/" + PF;

    private final Arena arena = Arena.ofConfined();
    private final Program program = Program.on(KernelProfile.LINUX_7_2.withCdev());
    private final EmulatedProcess process = program.process();

    @AfterEach
    void free() {
        arena.close();
    }

    private MemorySegment text(String text) {
        return arena.allocateFrom(JAVA_BYTE, text.getBytes(US_ASCII));
    }

    private static String textOf(MemorySegment buffer, long length) {
        return new String(buffer.asSlice(0, length).toArray(JAVA_BYTE), US_ASCII);
    }

    @Test
    void theNullDeviceTakesEverythingAndHasNothing() {
        int fd = program.open("/dev/null");
        MemorySegment buffer = arena.allocate(100).fill((byte) 7);
        assertThat(process.read(fd, buffer)).isZero();
        assertThat(process.pread(fd, buffer, 5)).isZero();
        assertThat(process.write(fd, buffer)).isEqualTo(100);
        assertThat(process.pwrite(fd, buffer.asSlice(0, 60), 5)).isEqualTo(60);
        assertThat(buffer.toArray(JAVA_BYTE)).containsOnly(7);
    }

    /** The offset is looked at before the descriptor. */
    @Test
    void anOffsetIsNotNegative() {
        MemorySegment buffer = arena.allocate(8);
        for (int fd : new int[]{program.eventfd(), program.open("/dev/null"), process.open("/dev/null", 1), 99}) {
            assertThat(answer(process.pread(fd, buffer, -1))).isEqualTo("EINVAL");
            assertThat(answer(process.pwrite(fd, buffer, Long.MIN_VALUE))).isEqualTo("EINVAL");
        }
    }

    @Test
    void anAttributeIsReadInPartsAndWrittenInOne() {
        int fd = program.open(ENABLE_SRIOV);
        MemorySegment buffer = arena.allocate(8);
        assertThat(process.read(fd, buffer.asSlice(0, 1))).isEqualTo(1);
        assertThat(process.pread(fd, buffer.asSlice(4), 0)).isEqualTo(2);
        assertThat(process.read(fd, buffer.asSlice(1))).isEqualTo(1);
        assertThat(process.read(fd, buffer)).as("the end").isZero();
        assertThat(textOf(buffer, 2)).isEqualTo("Y\n");
        assertThat(textOf(buffer.asSlice(4), 2)).isEqualTo("Y\n");
        assertThat(process.pread(fd, buffer, 2)).isZero();
        assertThat(process.pread(fd, buffer, Long.MAX_VALUE)).isZero();
        assertThat(process.pread(fd, buffer, 1)).isEqualTo(1);

        assertThat(process.write(fd, text(""))).as("nothing is stored").isZero();
        assertThat(answer(process.write(fd, text("?")))).isEqualTo("EINVAL");
        assertThat(program.read(ENABLE_SRIOV)).isEqualTo("Y\n");
        assertThat(process.pwrite(fd, text("no\n"), 100)).as("wherever").isEqualTo(3);
        assertThat(program.read(ENABLE_SRIOV)).isEqualTo("N\n");
    }

    @Test
    void anAttributeThatCannotBeWrittenIsNotOpenedForWriting() {
        for (String attribute : List.of("/sriov_totalvfs", "/vfio-dev/vfio0/dev")) {
            assertThat(answer(process.open(PF_IN_SYSFS + attribute, 1))).isEqualTo("EACCES");
            assertThat(answer(process.open(PF_IN_SYSFS + attribute, 2))).isEqualTo("EACCES");
        }
        assertThat(program.read(PF_IN_SYSFS + "/sriov_totalvfs")).isEqualTo("2\n");
        assertThat(program.read(PF_IN_SYSFS + "/vfio-dev/vfio0/dev")).isEqualTo("511:0\n");
        assertThat(program.read(PF_IN_SYSFS + "/vfio-dev/vfio1/dev")).as("another's").isEqualTo("ENOENT");
    }

    @Test
    void aLinkIsReadAsFarAsThereIsRoom() {
        String link = PF_IN_SYSFS + "/driver";
        MemorySegment buffer = arena.allocate(100);
        String target = "../../../bus/pci/drivers/vfio-pci";
        assertThat(process.readlink(link, buffer)).isEqualTo(target.length());
        assertThat(textOf(buffer, target.length() + 1L)).as("without an end").isEqualTo(target + "\0");
        assertThat(process.readlink(link, buffer.fill((byte) 1).asSlice(0, 5))).isEqualTo(5);
        assertThat(textOf(buffer, 6)).isEqualTo("../..\1");
    }

    @Test
    void whatIsNoLinkIsInvalid() {
        success(program.open("/dev/iommu"));
        for (String path : List.of("/dev/null", "/dev/vfio/vfio", "/dev/iommu", program.groupPath(PLAIN),
                "/dev/vfio/devices/vfio0", ENABLE_SRIOV, PF_IN_SYSFS + "/sriov_numvfs")) {
            assertThat(program.link(path)).as(path).isEqualTo("EINVAL");
        }
        for (String path : List.of("/dev/vfio/99", "/dev/vfio/devices/vfio9", PF_IN_SYSFS + "/virtfn0",
                PF_IN_SYSFS + "/physfn", "/sys/bus/pci/devices/0000:09:00.0", "/nowhere")) {
            assertThat(program.link(path)).as(path).isEqualTo("ENOENT");
        }
    }

    /** An answer that is no address: −errno, as the system call itself has it. */
    @Test
    void aMappingIsRefusedByItsPlaceThenItsDescriptorThenItsLength() {
        int fd = program.open("/dev/vfio/vfio");
        assertThat(process.mmap(arena, 4096, 1, 1, 99, 1).address()).isEqualTo(-22);
        assertThat(process.mmap(arena, 0, 1, 1, 99, 0).address()).isEqualTo(-9);
        assertThat(process.mmap(arena, 0, 1, 1, fd, 0).address()).isEqualTo(-22);
        assertThat(process.mmap(arena, Long.MAX_VALUE, 1, 1, fd, 0).address()).isEqualTo(-12);
    }

    private String mapped(long length, int protection, int flags, int fd, long offset) {
        long address = process.mmap(arena, length, protection, flags, fd, offset).address();
        return address < 0 && address > -4096 ? answer(address) : "mapped";
    }

    /** Length, end and kind first, whatever the file; then the access it was opened for; then what the file can do. */
    @Test
    void aMappingIsRefusedInOrder() {
        int readOnly = process.open("/dev/null", 0);
        int writeOnly = process.open("/dev/null", 1);
        int both = program.open("/dev/null");
        long last = -1L << 12;
        assertThat(mapped(0x7fff_ffff_f000L, 3, 1, both, 0)).as("all that a program can have").isEqualTo("ENODEV");
        assertThat(mapped(0x7fff_ffff_f001L, 3, 1, both, 0)).isEqualTo("ENOMEM");
        assertThat(mapped(4096, 3, 1, both, last - 4096)).isEqualTo("ENODEV");
        assertThat(mapped(4096, 3, 1, both, last)).isEqualTo("EOVERFLOW");
        assertThat(mapped(4097, 3, 1, both, last - 4096)).as("in whole pages").isEqualTo("EOVERFLOW");
        assertThat(mapped(4096, 3, 0, both, 0)).as("neither shared nor private").isEqualTo("EINVAL");
        assertThat(mapped(4096, 3, 4, writeOnly, 0)).isEqualTo("EINVAL");
        for (int kind = 1; kind <= 3; kind++) {
            assertThat(mapped(4096, 3, kind, both, 0)).isEqualTo("ENODEV");
            assertThat(mapped(4096, 1, kind, writeOnly, 0)).as("a page is read first").isEqualTo("EACCES");
            assertThat(mapped(4096, 1, kind, readOnly, 0)).isEqualTo("ENODEV");
            assertThat(mapped(4096, 2, kind, readOnly, 0)).isEqualTo(kind == 2 ? "ENODEV" : "EACCES");
        }
    }

    /** A mapping that is refused, and one that is made, keep nothing of the descriptor. */
    @Test
    void aMappingNeedsItsDescriptorForTheCallOnly() {
        int device = program.device(PLAIN);
        assertThat(mapped(4096, 3, 1, device, 0)).isEqualTo("mapped");
        assertThat(mapped(0, 3, 1, device, 0)).isEqualTo("EINVAL");
        program.close(device);
        success(program.group(PLAIN));
    }

    @Test
    void memoryWithoutAFileIsZeroAndWhole() {
        MemorySegment memory = process.mmap(arena, 5000, 3, 0x22, -1, 0);
        assertThat(memory.address() % 4096).isZero();
        assertThat(memory.byteSize()).isEqualTo(5000);
        assertThat(memory.toArray(JAVA_BYTE)).containsOnly(0);
        assertThat(mapped(4096, 3, 0x21, 99, 0)).as("whatever the descriptor").isEqualTo("mapped");
        assertThat(mapped(4096, 3, 0x22, -1, 5)).isEqualTo("EINVAL");
        assertThat(mapped(0, 3, 0x22, -1, 0)).isEqualTo("EINVAL");
        assertThat(mapped(-1, 3, 0x22, -1, 0)).isEqualTo("ENOMEM");
        assertThat(mapped(0, 3, 0x40022, -1, 0)).isEqualTo("EINVAL");
        assertThat(mapped(1 << 21, 3, 0x40022, -1, 0)).as("no huge pages are set aside").isEqualTo("ENOMEM");
    }

    /** The limits that count here (proc(5)), in the columns of the kernel. */
    @Test
    void theLimitsOfAProcessAreRead() {
        Program limited = Program
                .on(Program.machine(KernelProfile.LINUX_7_2).descriptorLimit(77).lockedMemoryLimit(12345));
        assertThat(limited.read("/proc/self/limits").lines().toList()).containsExactly(
                "Limit                     Soft Limit           Hard Limit           Units     ",
                "Max open files            77                   77                   files     ",
                "Max locked memory         12345                12345                bytes");
        assertThat(answer(process.open("/proc/self/limits", 1))).isEqualTo("EACCES");
        assertThat(answer(process.open("/proc/self/limits", 2))).isEqualTo("EACCES");
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void memoryIsNative() {
        int fd = program.open("/dev/null");
        MemorySegment heap = MemorySegment.ofArray(new byte[8]);
        List<ThrowingCallable> calls = List.of(() -> process.read(fd, heap), () -> process.write(fd, heap),
                () -> process.pread(fd, heap, 0), () -> process.pwrite(fd, heap, 0),
                () -> process.ioctl(fd, 0x3b64, heap), () -> process.readlink("/nowhere", heap));
        for (ThrowingCallable call : calls) {
            assertThatIllegalArgumentException().isThrownBy(call).withMessageContaining("native memory");
        }
    }

    /** The kernel takes the request number as 32 bits (ioctl(2)). */
    @Test
    void theUpperHalfOfARequestIsLost() {
        assertThat(program.ioctl(program.container(), 0x7777_0000_3b64L)).isZero();
    }

    /** Opened for nothing but ioctls, a file neither reads nor writes; what has no position says so first. */
    @Test
    void whetherThereIsAPositionComesBeforeAccess() {
        MemorySegment buffer = arena.allocate(8);
        int eventfd = program.eventfd();
        assertThat(answer(process.pread(eventfd, buffer, 0))).isEqualTo("ESPIPE");
        assertThat(answer(process.pwrite(eventfd, buffer, 0))).isEqualTo("ESPIPE");
        int fd = process.open("/dev/null", 3);
        assertThat(answer(process.pread(fd, buffer, 0))).isEqualTo("EBADF");
        assertThat(answer(process.pwrite(fd, buffer, 0))).isEqualTo("EBADF");
        int container = program.container();
        assertThat(answer(process.read(container, buffer))).isEqualTo("EINVAL");
        assertThat(answer(process.write(container, buffer))).isEqualTo("EINVAL");
        assertThat(answer(process.pread(container, buffer, 0))).isEqualTo("EINVAL");
        assertThat(answer(process.pwrite(container, buffer, 0))).isEqualTo("EINVAL");
    }

    /** As a report on leaks shows them. */
    @Test
    void openFilesAreCalledWhatTheyAre() {
        Program machine = Program.on(EmulatedKernel.builder(KernelProfile.LINUX_7_2.withIommufd()).pciFunction(PLAIN,
                function -> function.variantDriver("model-vfio-pci", () -> new ScriptedModel(7))));
        machine.open("/dev/iommu");
        machine.eventfd();
        int device = machine.device(PLAIN);
        for (int state : new int[]{3, 4}) {
            byte[] data = new byte[8];
            data[0] = (byte) state;
            success(machine.feature(device, 1 << 17 | 2, 16, data));
        }
        assertThat(machine.process().openFiles().values()).containsExactlyInAnyOrder("iommufd", "eventfd",
                "device " + PLAIN, "migration data of a device that saves", "migration data of a device that resumes");
        byte[] range = new byte[32];
        range[12] = 1;
        range[25] = 0x10;
        int function = program.device(PF);
        success(program.feature(function, 1 << 16 | 11, 40, range));
        assertThat(process.openFiles()).containsValue("DMA-buf");
    }
}
