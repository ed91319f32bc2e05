package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Cdevs.bind;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.VF2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.vfio4j.backend.Fcntl;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** /dev/vfio/devices/vfioN: where it is, what it can do before it is bound (semantics §A.1, §E.3), and who excludes whom. */
class CdevTest {

    private static final String CDEV_KERNELS = "io.github.vfio4j.emulation.Tables#cdevKernels";
    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final int PROBE = 1 << 18;

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void kernelsBuiltWithoutHaveNoSuchFiles(KernelProfile kernel) {
        Program stock = Program.on(kernel);
        assertThat(opened(stock.open("/dev/iommu"))).isEqualTo("ENOENT");
        Program iommufdOnly = Program.on(kernel.withIommufd());
        boolean hasOption = !List.of("5.7", "6.1").contains(kernel.version());
        assertThat(opened(iommufdOnly.open("/dev/iommu"))).isEqualTo(hasOption ? "fd" : "ENOENT");
        for (Program program : new Program[]{stock, iommufdOnly}) {
            assertThat(opened(program.open("/dev/vfio/devices/vfio0"))).isEqualTo("ENOENT");
            assertThat(program.read("/sys/bus/pci/devices/" + PF + "/vfio-dev/vfio0/dev")).isEqualTo("ENOENT");
            assertThat(program.link("/dev/vfio/devices/vfio0")).isEqualTo("ENOENT");
        }
        assertThat(opened(Program.on(kernel.withCdev()).open("/dev/vfio/devices/vfio0")))
                .isEqualTo(hasOption ? "fd" : "ENOENT");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void onlyRootMayOpenThem(KernelProfile kernel) {
        EmulatedKernel machine = Program.machine(kernel).build();
        Program user = new Program(machine, machine.newUnprivilegedProcess());
        assertThat(opened(user.open("/dev/iommu"))).isEqualTo("EACCES");
        assertThat(opened(user.open(Cdevs.path(user, PF)))).isEqualTo("EACCES");
        assertThat(user.process().openDescriptors()).isEqualTo(3);
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void devicesHaveTheLowestFreeNumbers(KernelProfile kernel) {
        Program program = Program.on(
                Program.machine(kernel).mtty(MTTY, 1).pciFunction("0000:04:00.0", function -> function.driver("nvme")));
        program.createVirtualFunctions(2);
        assertThat(Cdevs.path(program, PF)).isEqualTo("/dev/vfio/devices/vfio0");
        assertThat(Cdevs.path(program, PLAIN)).isEqualTo("/dev/vfio/devices/vfio1");
        assertThat(Cdevs.path(program, "/sys/bus/mdev/devices/", MTTY.toString())).isEqualTo("/dev/vfio/devices/vfio2");
        assertThat(Cdevs.path(program, VF)).isEqualTo("/dev/vfio/devices/vfio3");
        assertThat(Cdevs.path(program, VF2)).isEqualTo("/dev/vfio/devices/vfio4");
        assertThat(opened(program.open("/dev/vfio/devices/vfio5"))).isEqualTo("ENOENT");
        assertThatThrownBy(() -> Cdevs.path(program, "0000:04:00.0"));
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
        assertThat(opened(program.open("/dev/vfio/devices/vfio3"))).isEqualTo("ENOENT");
        program.createVirtualFunctions(1);
        assertThat(Cdevs.path(program, VF)).isEqualTo("/dev/vfio/devices/vfio3");
        assertThat(opened(program.open("/dev/vfio/devices/vfio4"))).isEqualTo("ENOENT");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void thePathsAreExact(KernelProfile kernel) {
        Program program = Program.on(kernel);
        String sysfs = "/sys/bus/pci/devices/" + PF;
        assertThat(program.read(sysfs + "/vfio-dev/vfio0/dev")).matches("\\d+:0\n");
        for (String path : new String[]{"/dev/vfio/devices/vfio", "/dev/vfio/devices/vfio00",
                "/dev/vfio/devices/vfio-1", "/dev/vfio/devices/0", "/dev/vfio/devices/vfio0/", "/dev/vfio/vfio0",
                "/dev/iommu0", sysfs + "/vfio-dev/vfio1/dev", sysfs + "/vfio-dev/vfio00/dev", sysfs + "/vfio-dev/dev",
                sysfs + "/vfio0/dev", sysfs + "/x/vfio-dev/vfio0/dev", "/vfio-dev/vfio0/dev", "/dev"}) {
            assertThat(opened(program.process().open(path, Fcntl.O_RDONLY))).as(path).isEqualTo("ENOENT");
            assertThat(program.link(path)).as(path).isEqualTo("ENOENT");
        }
        assertThat(opened(program.open(sysfs + "/vfio-dev/vfio0/dev"))).isEqualTo("EACCES");
        assertThat(program.link("/dev/vfio/devices/vfio0")).isEqualTo("EINVAL");
        assertThat(program.link("/dev/iommu")).isEqualTo("EINVAL");
    }

    /** Nothing is read before the answer: not even a bad pointer is noticed. */
    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void nothingButBindGoesBeforeItIsBound(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = Cdevs.open(program, PF);
        for (int request = 0x3b64; request < 0x3bff; request++) {
            if (request != VFIO_DEVICE_BIND_IOMMUFD()) {
                assertThat(answer(program.ioctl(device, request))).isEqualTo("EINVAL");
            }
        }
        assertThat(answer(program.feature(device, PROBE, 8))).isEqualTo("EINVAL");
        assertThat(answer(program.write(device, (byte) 0))).isEqualTo("EINVAL");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(8);
            assertThat(answer(program.process().read(device, buffer))).isEqualTo("EINVAL");
            assertThat(answer(program.process().read(device, buffer.asSlice(0, 0)))).isEqualTo("EINVAL");
            assertThat(answer(program.process().pread(device, buffer, 0))).isEqualTo("EINVAL");
            assertThat(answer(program.process().pwrite(device, buffer, 0))).isEqualTo("EINVAL");
        }
        assertThat(answer(program.process().mmap(Arena.global(), 4096, 3, 1, device, 0).address())).isEqualTo("EINVAL");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void theAccessModeCountsForReadsAndWritesOnly(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.process().open(Cdevs.path(program, PF), Fcntl.O_RDONLY));
        assertThat(answer(program.write(device, (byte) 0))).isEqualTo("EBADF");
        assertThat(answer(bind(program, device, Cdevs.iommufd(program)))).isEqualTo("0");
        assertThat(answer(program.feature(device, PROBE, 8))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aBoundDeviceAnswersAsOneFromAGroup(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = Cdevs.device(program, PF);
        assertThat(answer(program.feature(device, PROBE, 8))).isEqualTo("0");
        assertThat(answer(program.ioctl(device, 0x3bff))).isEqualTo("ENOTTY");
        assertThat(answer(program.ioctl(device, 0x3b67))).isEqualTo("ENOTTY");
        assertThat(answer(program.write(device, (byte) 0))).isEqualTo("1");
        assertThat(program.process().mmap(Arena.ofAuto(), 4096, 3, 1, device, 0).byteSize()).isEqualTo(4096);
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void oneFileHasTheDeviceAtATime(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int first = Cdevs.open(program, PF);
        int second = Cdevs.open(program, PF);
        success(bind(program, first, iommufd));
        assertThat(answer(bind(program, first, iommufd))).isEqualTo("EINVAL");
        assertThat(answer(bind(program, second, iommufd))).isEqualTo("EINVAL");
        assertThat(answer(program.feature(second, PROBE, 8))).isEqualTo("EINVAL");
        assertThat(answer(program.feature(first, PROBE, 8))).isEqualTo("0");
        // One file unbound, nothing changes; the other, and the device is free.
        program.close(Cdevs.open(program, PF));
        assertThat(answer(program.feature(first, PROBE, 8))).isEqualTo("0");
        program.close(first);
        assertThat(answer(bind(program, second, iommufd))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aGroupAndTheFilesOfItsDevicesExcludeEachOther(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int device = Cdevs.open(program, PF);
        int group = program.readyGroup(PF);
        assertThat(answer(bind(program, device, iommufd))).isEqualTo("EBUSY");
        int opened = success(program.deviceFd(group, PF));
        program.close(group);
        // In a container, the device keeps the group's file open.
        assertThat(answer(bind(program, device, iommufd))).isEqualTo("EBUSY");
        program.close(opened);
        assertThat(answer(bind(program, device, iommufd))).isEqualTo("0");
        assertThat(opened(program.open(program.groupPath(PF)))).isEqualTo("EBUSY");
        // Another group is another matter.
        program.close(program.device(PLAIN));
        program.close(device);
        assertThat(opened(program.device(PF))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aDeviceOutlivesEveryDescriptorButItsOwn(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int device = Cdevs.open(program, PF);
        success(bind(program, device, iommufd));
        program.close(iommufd);
        assertThat(answer(program.setToken(device, TOKEN))).isEqualTo("0");
        program.close(device);
        assertThat(program.process().openDescriptors()).isEqualTo(3);
        Program next = Program.on(program.kernel());
        int other = Cdevs.device(next, PF);
        next.process().close();
        assertThat(opened(program.open(program.groupPath(PF)))).as("%d is closed", other).isEqualTo("fd");
    }

    @Test
    void theRemovalOfAVirtualFunctionThatHasAnOpenFileIsNotModelled() {
        Program program = Program.on(KernelProfile.LINUX_7_2.withCdev());
        program.createVirtualFunctions(1);
        int device = Cdevs.open(program, VF);
        assertThatThrownBy(() -> program.setNumVfs(PF, "0")).isInstanceOf(NotModelledException.class);
        program.close(device);
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void theCloseOfTheDeviceEndsWhatItsFeaturesHaveDone(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int device = Cdevs.open(program, PLAIN);
        success(bind(program, device, iommufd));
        int lowPowerEntry = 3 | 1 << 17;
        assertThat(answer(program.feature(device, lowPowerEntry, 8))).isEqualTo("0");
        assertThat(answer(program.feature(device, lowPowerEntry, 8))).isEqualTo("EINVAL");
        program.close(device);
        device = Cdevs.open(program, PLAIN);
        success(bind(program, device, iommufd));
        assertThat(answer(program.feature(device, lowPowerEntry, 8))).isEqualTo("0");
    }

    /** Of the group and the device's own file, one wins. */
    @Test
    void threadsThatOpenTheGroupAndThreadsThatBind() throws Exception {
        Program program = Program.on(KernelProfile.LINUX_7_2.withCdev());
        int iommufd = Cdevs.iommufd(program);
        String group = program.groupPath(PF);
        CyclicBarrier start = new CyclicBarrier(2);
        try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
            for (int round = 0; round < 500; round++) {
                int device = Cdevs.open(program, PF);
                Future<Integer> opening = threads.submit(() -> {
                    start.await();
                    return program.open(group);
                });
                Future<Integer> binding = threads.submit(() -> {
                    start.await();
                    return bind(program, device, iommufd);
                });
                int opened = opening.get();
                assertThat(answer(binding.get())).isEqualTo(opened >= 0 ? "EBUSY" : "0");
                if (opened >= 0) {
                    program.close(opened);
                }
                program.close(device);
            }
        }
        assertThat(program.process().openDescriptors()).isEqualTo(4);
    }

    /** Everything at once, in orders in which locks could meet; afterwards all is as in the beginning. */
    @Test
    void threadsThatDoEverythingToOneDevice() throws Exception {
        EmulatedKernel kernel = Program.machine(KernelProfile.LINUX_7_2.withCdev()).build();
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            Future<?>[] done = new Future<?>[4];
            for (int thread = 0; thread < done.length; thread++) {
                boolean throughGroup = thread % 2 == 0;
                done[thread] = threads.submit(() -> {
                    for (int round = 0; round < 300; round++) {
                        oneRound(Program.on(kernel), throughGroup);
                    }
                });
            }
            for (Future<?> future : done) {
                future.get();
            }
        }
        Program program = Program.on(kernel);
        assertThat(opened(program.device(PF))).isEqualTo("fd");
        program.process().close();
        Cdevs.device(Program.on(kernel), PF);
    }

    private static void oneRound(Program program, boolean throughGroup) {
        int iommufd = Cdevs.iommufd(program);
        int ioas = Cdevs.ioas(program, iommufd);
        if (throughGroup) {
            int group = program.open(program.groupPath(PF));
            if (group >= 0) {
                success(program.setContainer(group, iommufd));
                program.deviceFd(group, PF);
                program.close(group);
            }
        } else {
            int device = Cdevs.open(program, PF);
            if (bind(program, device, iommufd) == 0) {
                success(Cdevs.attach(program, device, ioas));
            }
        }
        program.process().close();
    }
}
