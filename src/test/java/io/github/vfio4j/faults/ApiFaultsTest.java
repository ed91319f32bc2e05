package io.github.vfio4j.faults;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaDirtyTracking;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Errno;
import io.github.vfio4j.EventFd;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.IommuType;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.VfioGroup;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.device.DeviceInterrupts;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.PciCapability;
import io.github.vfio4j.device.PciConfigSpace;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.device.RegionView;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.examples.nvme.NvmeDiskCheck;
import io.github.vfio4j.examples.nvme.NvmeModel;
import io.github.vfio4j.feature.DirtyBitmap;
import io.github.vfio4j.feature.DmaLoggingFeature;
import io.github.vfio4j.feature.DmaLoggingSession;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import io.github.vfio4j.feature.IovaRange;
import io.github.vfio4j.feature.LowPowerFeature;
import io.github.vfio4j.feature.MigrationData;
import io.github.vfio4j.feature.MigrationFeature;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.feature.PayloadCodec;
import io.github.vfio4j.feature.RegionRange;
import io.github.vfio4j.feature.VfTokenFeature;
import io.github.vfio4j.migration.MigrationDriver;
import io.github.vfio4j.migration.MigrationListener;
import io.github.vfio4j.migration.MigrationOptions;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.RecordingBackend;
import io.github.vfio4j.uapi.vfio_h;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Every system call that an operation of the API makes fails once, in every way it can. */
class ApiFaultsTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VIRTUAL = PciAddress.parse("0000:01:00.1");
    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");
    private static final PciAddress ON_HOST_DRIVER = PciAddress.parse("0000:03:00.0");
    private static final PciAddress NOT_VIABLE = PciAddress.parse("0000:04:00.0");
    private static final PciAddress FIRST_ON_BUS = PciAddress.parse("0000:05:00.0");
    private static final PciAddress SECOND_ON_BUS = PciAddress.parse("0000:05:00.1");
    private static final PciAddress NOWHERE = PciAddress.parse("0000:0f:00.0");
    private static final PciAddress DISK = PciAddress.parse("0000:06:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final String CDX = "cdx-00:00";

    private static final VfToken TOKEN = VfToken.of(UUID.fromString("6ba7b810-9dad-41d1-80b4-00c04fd430c8"));
    private static final VfToken OTHER = VfToken.of(UUID.fromString("2c5ea4c0-4067-41e9-8bad-9b1deb4d3b7d"));
    private static final int PAGE = 4096;

    /** The two ways to a device. */
    private enum Way {
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

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private static final KernelProfile KERNEL = KernelProfile.LINUX_7_2.withCdev().withIommufdDriver();

    private static Supplier<EmulatedKernel> pci(KernelProfile profile) {
        return () -> EmulatedKernel.builder(profile)
                .pciFunction(OWNER.toString(), function -> function.group(1).sriov(2).memoryBar(0, 16384))
                .pciFunction(PLAIN.toString(),
                        function -> function.group(2).memoryBar(0, 16384).msi(4).msix(4, 0, 0x2000))
                .pciFunction(ON_HOST_DRIVER.toString(), function -> function.group(3).driver("nvme"))
                .pciFunction(NOT_VIABLE.toString(), function -> function.group(4))
                .pciFunction("0000:04:00.1", function -> function.group(4).driver("ixgbe")).build();
    }

    private static EmulatedKernel bus() {
        return EmulatedKernel.builder(KERNEL)
                .pciFunction(FIRST_ON_BUS.toString(), function -> function.group(7).memoryBar(0, PAGE).withoutReset())
                .pciFunction(SECOND_ON_BUS.toString(), function -> function.group(8).memoryBar(0, PAGE)).build();
    }

    private static EmulatedKernel mtty() {
        return EmulatedKernel.builder(KERNEL).mtty(MTTY, 1).build();
    }

    private static EmulatedKernel cdx() {
        return EmulatedKernel.builder(KernelProfile.LINUX_7_2).cdxDevice(CDX, () -> enabled -> {
            // Whatever it is told.
        }).build();
    }

    private static EmulatedKernel disk() {
        return EmulatedKernel.builder(KERNEL)
                .pciFunction(DISK.toString(), function -> function.memoryBar(0, NvmeModel.BAR_SIZE).msix(2, 0, 0x2000)
                        .variantDriver("nvme-model", () -> new NvmeModel("12345", 8192)))
                .build();
    }

    private final FaultSweep sweep = new FaultSweep("API", pci(KERNEL)).told(ApiFaultsTest::tells);

    private static boolean tells(Object answer, @Nullable Errno errno) {
        if (errno == null) {
            return false;
        }
        return switch (answer) {
            case FeatureSupport.Failed failed -> failed.errno().equals(errno);
            case FeatureSupport.Unsupported unsupported -> unsupported.errno().equals(errno);
            case List<?> list -> list.stream().anyMatch(element -> tells(element, errno));
            case io.github.vfio4j.IommuChoice choice -> choice.reason().contains(errno.name());
            default -> false;
        };
    }

    private static Object done() {
        return "done";
    }

    private static VfioDevice device(Scene scene, Way way, PciAddress address) throws VfioException {
        return scene.keep(scene.keep(way.open(scene.vfio())).openDevice(address));
    }

    private static VfioDevice plain(Scene scene) throws VfioException {
        return device(scene, Way.CONTAINER, PLAIN);
    }

    private static VfioDevice mttyDevice(Scene scene) throws VfioException {
        return scene.keep(scene.keep(scene.vfio().openContainer()).openMediatedDevice(MTTY));
    }

    @Test
    void everyCallFailsInEveryWay() {
        sweep.tolerate(": (OPEN|READ|CLOSE) /proc/self/limits",
                "DmaLimits.lockedMemory is empty if the limit can't be read; messages do without")
                .tolerate(": CLOSE /sys/", "an attribute was read or written before")
                .tolerate(": MMAP anonymous", "Iommu.allocate takes huge pages only if there are any")
                .tolerate(": READLINK ", "there is no such link, which is an answer", Errno.ENOENT)
                .tolerate("(openIommu|iommuChoice).*: OPEN /dev/iommu",
                        "Vfio.openIommu takes a container where there is no iommufd")
                .tolerate("(openIommu|iommuChoice).*: CLOSE /dev/iommu",
                        "Vfio.iommuChoice has seen that it can be opened")
                .tolerate("VFIO_DEVICE_FEATURE 0x[4-7]", "to a probe these say that there is no such feature",
                        Errno.ENOTTY, Errno.EINVAL)
                .tolerate(": POLL", "EventFd.awaitAny waits on", Errno.EINTR)
                .tolerate("regions: IOCTL 0x3b6c", "an index the kernel has none for is left out", Errno.EINVAL)
                .tolerate("iommufd.*: IOCTL 0x3b76", "the answer of a kernel that takes no token", Errno.EINVAL)
                .tolerateCut("Migration.*: READ", "the end of the data");
        sweep.never(": READLINK .*/vfio-dev/vfio[0-9]+$", "vfio-dev is not empty", Errno.ENOENT);
        entryPoint();
        sysfs();
        opening();
        refusals();
        information();
        regions();
        interrupts();
        features();
        dma();
        migration();
        examples();
        sweep.end(100, 850, 5300);
    }

    private void entryPoint() {
        sweep.run(sweep.operation("Vfio.openContainer", Scene::vfio, vfio -> {
            vfio.openContainer().close();
            return done();
        }));
        sweep.run(sweep.operation("Vfio.openContainer(type)", Scene::vfio, vfio -> {
            vfio.openContainer(IommuType.TYPE1).close();
            return done();
        }));
        sweep.run(sweep.operation("Vfio.openIommufd", Scene::vfio, vfio -> {
            vfio.openIommufd().close();
            return done();
        }));
        sweep.run(sweep.operation("Vfio.openIommu", Scene::vfio, vfio -> {
            vfio.openIommu().close();
            return done();
        }));
        sweep.run(sweep.operation("Vfio.iommuChoice", Scene::vfio, Vfio::iommuChoice));
        sweep.run(sweep.operation("Vfio.openEventFd", Scene::vfio, vfio -> {
            vfio.openEventFd().close();
            return done();
        }));
        sweep.run(sweep.operation("Vfio.adoptDevice", scene -> {
            VfioContainer container = scene.keep(scene.vfio().openContainer());
            return scene.keep(scene.vfio().adoptDevice(adoptable(scene, container)));
        }, VfioDevice::info));
        sweep.run(sweep.operation("EventFd.read", scene -> scene.keep(scene.vfio().openEventFd()), eventFd -> {
            eventFd.read();
            return done();
        }));
        sweep.run(sweep.operation("EventFd.signal", scene -> scene.keep(scene.vfio().openEventFd()), eventFd -> {
            eventFd.signal();
            return done();
        }));
        sweep.run(sweep.operation("EventFd.await", scene -> scene.keep(scene.vfio().openEventFd()), eventFd -> {
            eventFd.signal();
            return eventFd.await(Duration.ofSeconds(1)) > 0;
        }));
        sweep.run(sweep.operation("EventFd.await that has to wait", ApiFaultsTest::signalledWhenPolled,
                eventFd -> eventFd.await(Duration.ofMinutes(1)) > 0));
        sweep.run(sweep.operation("EventFd.awaitAny in vain", scene -> scene.keep(scene.vfio().openEventFd()),
                eventFd -> EventFd.awaitAny(List.of(eventFd), Duration.ZERO)));
        sweep.run(sweep.operation("EventFd.awaitAny",
                scene -> List.of(scene.keep(scene.vfio().openEventFd()), scene.keep(scene.vfio().openEventFd())),
                eventFds -> {
                    eventFds.get(1).signal();
                    return EventFd.awaitAny(eventFds, Duration.ofSeconds(1)).equals(eventFds.subList(1, 2));
                }));
        sweep.run(sweep.operation("EventFd.close", scene -> scene.keep(scene.vfio().openEventFd()), eventFd -> {
            eventFd.close();
            return done();
        }));
    }

    /**
     * What it counts is raised when somebody begins to wait for it, and not before. How many calls are made does not depend
     * on the time that passes, as it does where nobody raises it.
     */
    private static EventFd signalledWhenPolled(Scene scene) throws VfioException {
        return scene.keep(Vfio.using(new ForwardingBackend(scene.backend()) {
            @Override
            public int poll(int[] fds, short[] events, int timeoutMillis) {
                scene.process().write(fds[0], scene.arena().allocateFrom(ValueLayout.JAVA_LONG, 1));
                return super.poll(fds, events, timeoutMillis);
            }
        }).openEventFd());
    }

    /** A descriptor as a launcher would hand it on. */
    private static int adoptable(Scene scene, VfioContainer container) throws VfioException {
        VfioGroup group = container.openGroup(2);
        assert group.number() == 2;
        int fd = scene.process().openFiles().lastKey();
        return scene.process().ioctl(fd, vfio_h.VFIO_GROUP_GET_DEVICE_FD(),
                scene.arena().allocateFrom(PLAIN.toString()));
    }

    private void sysfs() {
        sweep.run(sweep.operation("PciDevice.exists", scene -> scene.vfio().pciDevice(OWNER), PciDevice::exists));
        sweep.run(sweep.operation("PciDevice.driver", scene -> scene.vfio().pciDevice(OWNER), PciDevice::driver));
        sweep.run(
                sweep.operation("PciDevice.iommuGroup", scene -> scene.vfio().pciDevice(OWNER), PciDevice::iommuGroup));
        sweep.run(sweep.operation("PciDevice.physicalFunction", scene -> {
            scene.vfio().pciDevice(OWNER).setSriovNumVfs(1);
            return scene.vfio().pciDevice(VIRTUAL);
        }, PciDevice::physicalFunction));
        sweep.run(sweep.operation("PciDevice.virtualFunction", scene -> {
            scene.vfio().pciDevice(OWNER).setSriovNumVfs(1);
            return scene.vfio().pciDevice(OWNER);
        }, owner -> owner.virtualFunction(0)));
        sweep.run(sweep.operation("PciDevice.sriovNumVfs", scene -> scene.vfio().pciDevice(OWNER),
                PciDevice::sriovNumVfs));
        sweep.run(sweep.operation("PciDevice.setSriovNumVfs", scene -> scene.vfio().pciDevice(OWNER), owner -> {
            owner.setSriovNumVfs(2);
            return done();
        }).once().checked((scene, owner, succeeded) -> {
            int count = Vfio.using(scene.process().kernel().newProcess()).pciDevice(OWNER).sriovNumVfs();
            if (succeeded && count != 2) {
                throw new AssertionError("2 virtual functions are said to be there, but there are " + count);
            }
        }));
    }

    private void opening() {
        for (Way way : Way.values()) {
            sweep.run(sweep.operation("openDevice by " + way, scene -> scene.keep(way.open(scene.vfio())), iommu -> {
                iommu.openDevice(PLAIN).close();
                return done();
            }));
            sweep.run(sweep.operation("openDevice(token) by " + way, scene -> withToken(scene, way), iommu -> {
                iommu.openDevice(VIRTUAL, TOKEN).close();
                return done();
            }).checked((scene, iommu, succeeded) -> checkToken(scene, TOKEN)));
            sweep.run(sweep
                    .operation("openMediatedDevice by " + way, scene -> scene.keep(way.open(scene.vfio())), iommu -> {
                        iommu.openMediatedDevice(MTTY).close();
                        return done();
                    }).on(ApiFaultsTest::mtty));
            sweep.run(sweep.operation("close with everything by " + way, scene -> {
                Iommu iommu = scene.keep(way.open(scene.vfio()));
                VfioDevice device = scene.keep(iommu.openDevice(PLAIN));
                scene.keep(iommu.openDevice(OWNER));
                iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL);
                device.region(0).map();
                device.interrupts(PciIrq.MSIX).enable(2);
                return iommu;
            }, iommu -> {
                iommu.close();
                return done();
            }));
            sweep.run(sweep.operation("VfioDevice.close by " + way, scene -> {
                VfioDevice device = device(scene, way, PLAIN);
                device.region(0).map();
                device.interrupts(PciIrq.MSI).enable(4);
                return device;
            }, device -> {
                device.close();
                return done();
            }));
        }
        sweep.run(sweep.operation("Vfio.openIommu and a device", Scene::vfio, vfio -> {
            try (Iommu iommu = vfio.openIommu(); VfioDevice device = iommu.openDevice(PLAIN)) {
                return device.info();
            }
        }));
        sweep.run(sweep.operation("openDevice on 5.7", scene -> scene.keep(scene.vfio().openContainer()), container -> {
            container.openDevice(OWNER, TOKEN).close();
            return done();
        }).on(pci(KernelProfile.LINUX_5_7)));
        sweep.run(sweep.operation("openGroup", scene -> scene.keep(scene.vfio().openContainer()), container -> {
            container.openGroup(2).close();
            return done();
        }));
        sweep.run(sweep.operation("VfioGroup.openDevice",
                scene -> scene.keep(scene.keep(scene.vfio().openContainer()).openGroup(2)), group -> {
                    group.openDevice(PLAIN).close();
                    return done();
                }));
        sweep.run(sweep.operation("VfioGroup.openDevice(token)",
                scene -> scene.keep(scene.keep(scene.vfio().openContainer()).openGroup(1)), group -> {
                    group.openDevice(OWNER, TOKEN).close();
                    return done();
                }));
        sweep.run(sweep.operation("VfioGroup.openDevice(name)",
                scene -> scene.keep(scene.keep(scene.vfio().openContainer()).openGroup(cdxGroup(scene))), group -> {
                    group.openDevice(CDX).close();
                    return done();
                }).on(ApiFaultsTest::cdx));
        sweep.run(sweep.operation("VfioContainer.supports", scene -> scene.keep(scene.vfio().openContainer()),
                container -> container.supports(3)));
    }

    private static int cdxGroup(Scene scene) {
        MemorySegment target = scene.arena().allocate(PAGE);
        long length = scene.process().readlink("/sys/bus/cdx/devices/" + CDX + "/iommu_group", target);
        String link = new String(target.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE),
                java.nio.charset.StandardCharsets.US_ASCII);
        return Integer.parseInt(link.substring(link.lastIndexOf('/') + 1));
    }

    /** The owner has set the token and made a virtual function, and is gone. */
    private static Iommu withToken(Scene scene, Way way) throws VfioException {
        Iommu iommu = scene.keep(way.open(scene.vfio()));
        try (VfioDevice owner = iommu.openDevice(OWNER)) {
            owner.vfToken().orElseThrow().set(TOKEN);
        }
        scene.vfio().pciDevice(OWNER).setSriovNumVfs(1);
        return iommu;
    }

    /** The virtual function is closed to everybody who does not have the token. */
    private static void checkToken(Scene scene, VfToken right) throws VfioException {
        EmulatedProcess process = scene.process().kernel().newProcess();
        try (VfioContainer container = Vfio.using(process).openContainer()) {
            container.openDevice(VIRTUAL, right).close();
            for (@Nullable
            VfToken wrong : new @Nullable VfToken[]{null, OTHER}) {
                if (right.equals(wrong)) {
                    continue;
                }
                try (VfioDevice open = wrong == null
                        ? container.openDevice(VIRTUAL)
                        : container.openDevice(VIRTUAL, wrong)) {
                    throw new AssertionError(open + " could be opened with no or a wrong token");
                } catch (VfioException e) {
                    if (!e.is(Errno.EACCES)) {
                        throw e;
                    }
                }
            }
        } finally {
            process.close();
        }
    }

    private void refusals() {
        for (Way way : Way.values()) {
            refusal(way, "without a token", iommu -> iommu.openDevice(VIRTUAL));
            refusal(way, "with a wrong token", iommu -> iommu.openDevice(VIRTUAL, OTHER));
            refusal(way, "with a token for one that takes none", iommu -> iommu.openDevice(PLAIN, TOKEN));
            refusal(way, "of a function on a host driver", iommu -> iommu.openDevice(ON_HOST_DRIVER));
            refusal(way, "in a group that is not viable", iommu -> iommu.openDevice(NOT_VIABLE));
            refusal(way, "of no function", iommu -> iommu.openDevice(NOWHERE));
            refusal(way, "of no mediated device", iommu -> iommu.openMediatedDevice(MTTY));
        }
        sweep.run(sweep
                .operation("opening on 6.12 with a token by iommufd", scene -> scene.keep(scene.vfio().openIommufd()),
                        iommu -> iommu.openDevice(OWNER, TOKEN))
                .refused().on(pci(KernelProfile.LINUX_6_12.withCdev())));
        sweep.run(sweep.operation("opening a group that is in use", scene -> scene.keep(scene.vfio().openContainer()),
                container -> container.openGroup(1)).refused().on(() -> {
                    EmulatedKernel kernel = pci(KERNEL).get();
                    int busy = kernel.newProcess().open("/dev/vfio/1", Fcntl.O_RDWR);
                    assert busy >= 0;
                    return kernel;
                }));
    }

    private void refusal(Way way, String what, FaultSweep.Use<Iommu> opening) {
        sweep.run(sweep.operation("opening by " + way + " " + what, scene -> withToken(scene, way), opening).refused()
                .checked((scene, iommu, succeeded) -> checkToken(scene, TOKEN)));
    }

    private void information() {
        sweep.run(sweep.operation("VfioDevice.info", ApiFaultsTest::plain, VfioDevice::info));
        sweep.run(sweep.operation("VfioDevice.region", ApiFaultsTest::plain, device -> device.region(0).info()));
        sweep.run(sweep.operation("VfioDevice.regions", ApiFaultsTest::plain, device -> device.regions().size()));
        sweep.run(sweep.operation("VfioDevice.config", ApiFaultsTest::plain, device -> device.config().size()));
        sweep.run(sweep.operation("VfioDevice.reset", ApiFaultsTest::plain, device -> {
            device.reset();
            return done();
        }));
        sweep.run(sweep.operation("VfioDevice.probe", ApiFaultsTest::plain,
                device -> device.probe(FeatureId.LOW_POWER_ENTRY)));
        sweep.run(sweep.operation("VfioDevice.probeAll", ApiFaultsTest::plain, VfioDevice::probeAll));
        sweep.run(sweep.operation("VfioDevice.hotResetInfo", scene -> device(scene, Way.CONTAINER, FIRST_ON_BUS),
                VfioDevice::hotResetInfo).on(ApiFaultsTest::bus));
        sweep.run(sweep.operation("VfioDevice.hotReset", scene -> {
            VfioContainer container = scene.keep(scene.vfio().openContainer());
            return List.of(scene.keep(container.openDevice(FIRST_ON_BUS)),
                    scene.keep(container.openDevice(SECOND_ON_BUS)));
        }, devices -> {
            devices.getFirst().region(0).map();
            devices.getFirst().hotReset(devices.getLast());
            return done();
        }).on(ApiFaultsTest::bus));
    }

    private void regions() {
        sweep.run(sweep.operation("DeviceRegion.get and put", scene -> plain(scene).region(0), region -> {
            region.put8(0, (byte) 1);
            region.put16(2, (short) 2);
            region.put32(4, 3);
            region.put64(8, 4);
            return List.of(region.get8(0), region.get16(2), region.get32(4), region.get64(8));
        }));
        sweep.run(sweep.operation("DeviceRegion.read and write", scene -> plain(scene).region(0), region -> {
            region.write(16, new byte[]{1, 2, 3, 4, 5, 6, 7, 8, 9});
            return ByteBuffer.wrap(region.read(16, 9));
        }));
        sweep.run(sweep.operation("DeviceRegion.map", scene -> plain(scene).region(0), region -> {
            try (RegionView view = region.map(0, PAGE)) {
                view.put32(0, 5);
                return view.get32(0);
            }
        }));
        sweep.run(sweep.operation("DeviceRegion.map before 4.16's flag", scene -> plain(scene).region(0),
                DeviceRegion::mappableAreas));
        sweep.run(sweep.operation("DeviceRegion.registers", scene -> plain(scene).region(0), region -> {
            region.registers().put32(0, 5);
            return region.registers().get32(0);
        }));
        sweep.run(sweep.operation("PciConfigSpace registers", scene -> plain(scene).config(),
                config -> List.of(config.vendorId(), config.deviceId(), config.command(), config.status(),
                        config.revision(), config.classCode(), config.headerType(), config.bar(1),
                        config.subsystemVendorId(), config.subsystemId(), config.interruptLine(),
                        config.interruptPin())));
        sweep.run(sweep.operation("PciConfigSpace capabilities", scene -> plain(scene).config(), config -> List
                .of(config.capabilities(), config.extendedCapabilities(), config.capability(PciCapability.MSIX))));
        sweep.run(sweep.operation("PciConfigSpace.setMemoryEnabled", scene -> {
            VfioDevice device = plain(scene);
            device.region(0).map();
            return device.config();
        }, config -> {
            config.setMemoryEnabled(false);
            config.setMemoryEnabled(true);
            config.setBusMaster(true);
            return (config.command() & PciConfigSpace.COMMAND_MEMORY) != 0;
        }));
    }

    private void interrupts() {
        for (PciIrq kind : new PciIrq[]{PciIrq.INTX, PciIrq.MSI, PciIrq.MSIX, PciIrq.ERROR, PciIrq.REQUEST}) {
            sweep.run(sweep
                    .operation("DeviceInterrupts of " + kind, scene -> plain(scene).interrupts(kind), interrupts -> {
                        interrupts.disable();
                        int count = interrupts.info().count();
                        interrupts.enable(count);
                        interrupts.trigger(0);
                        boolean came = interrupts.await(0, Duration.ofSeconds(5)) > 0;
                        interrupts.disable();
                        return came;
                    }).only(Errno.EINTR, Errno.EMFILE, Errno.ENOMEM, Errno.EIO, Errno.EINVAL));
        }
        sweep.run(sweep.operation("DeviceInterrupts.onInterrupt", scene -> {
            DeviceInterrupts interrupts = plain(scene).interrupts(PciIrq.MSIX);
            interrupts.enable(2);
            return interrupts;
        }, interrupts -> {
            interrupts.onInterrupt(0, Runnable::run, vector -> {
                // It comes when it comes.
            });
            return done();
        }));
        sweep.run(sweep.operation("DeviceInterrupts.unmaskBy", scene -> {
            DeviceInterrupts intx = plain(scene).interrupts(PciIrq.INTX);
            intx.enable(1);
            return new Legacy(intx, scene.keep(scene.vfio().openEventFd()));
        }, legacy -> {
            legacy.intx().mask();
            legacy.intx().unmask();
            legacy.intx().unmaskBy(null);
            legacy.intx().unmaskBy(legacy.eventFd());
            return done();
        }));
    }

    private record Legacy(DeviceInterrupts intx, EventFd eventFd) {
    }

    private void features() {
        sweep.run(sweep.operation("VfioDevice.vfToken", scene -> device(scene, Way.CONTAINER, OWNER),
                device -> device.vfToken().isPresent()));
        sweep.run(sweep.operation("VfTokenFeature.set", scene -> {
            withToken(scene, Way.CONTAINER);
            return device(scene, Way.CONTAINER, OWNER).vfToken().orElseThrow();
        }, ApiFaultsTest::setOther).once().checked((scene, feature, succeeded) -> {
            // What has failed may have been done all the same; what has succeeded has been done.
            try {
                checkToken(scene, OTHER);
            } catch (VfioException e) {
                if (succeeded) {
                    throw e;
                }
                checkToken(scene, TOKEN);
            }
        }));
        sweep.run(sweep.operation("LowPowerFeature", scene -> {
            VfioDevice device = device(scene, Way.CONTAINER, OWNER);
            return new Sleeper(device, device.lowPower().orElseThrow(), scene.keep(scene.vfio().openEventFd()));
        }, sleeper -> {
            sleeper.lowPower().exit();
            sleeper.lowPower().enter();
            sleeper.lowPower().exit();
            sleeper.lowPower().enter(sleeper.wakeup());
            sleeper.lowPower().exit();
            sleeper.device().region(0).map().close();
            return sleeper.device().lowPower().isPresent();
        }));
        sweep.run(sweep.operation("DmaBufFeature.export", ApiFaultsTest::plain, device -> {
            device.dmaBuf().orElseThrow(() -> new VfioException("no DMA-buf", null, null))
                    .export(0, List.of(new RegionRange(0, PAGE))).close();
            return done();
        }));
        sweep.run(sweep.operation(
                "BusMasterFeature", scene -> scene.keep(scene
                        .keep(scene.keep(scene.vfio().openContainer()).openGroup(cdxGroup(scene))).openDevice(CDX)),
                device -> {
                    var busMaster = device.busMaster().orElseThrow(() -> new VfioException("none", null, null));
                    busMaster.set();
                    busMaster.clear();
                    return done();
                }).on(ApiFaultsTest::cdx));
        sweep.run(sweep.operation("DmaLoggingFeature", ApiFaultsTest::logging, logged -> {
            try (DmaLoggingSession session = logged.logging().start(List.of(logged.range()), PAGE)) {
                session.report(logged.bitmap());
            }
            return logged.device().dmaLogging().isPresent();
        }).on(ApiFaultsTest::mtty).after(logged -> {
            try {
                logged.device().set(FeatureId.DMA_LOGGING_STOP);
            } catch (VfioException e) {
                // It was not on.
            }
            return done();
        }));
        sweep.run(sweep.operation("VfioDevice.get(codec)", ApiFaultsTest::mttyDevice,
                device -> device.get(FeatureId.MIGRATION, new PayloadCodec<Long>() {
                    @Override
                    public long byteSize(Long value) {
                        return Long.BYTES;
                    }

                    @Override
                    public void encode(Long value, MemorySegment payload) {
                        throw new AssertionError();
                    }

                    @Override
                    public Long decode(MemorySegment payload) {
                        return payload.get(ValueLayout.JAVA_LONG, 0);
                    }
                })).on(ApiFaultsTest::mtty));
        sweep.run(sweep.operation("VfioDevice.execute",
                scene -> new Asked(plain(scene),
                        FeatureRequest.of(FeatureId.LOW_POWER_EXIT).set().allocate(scene.arena())),
                asked -> asked.device().execute(asked.request())));
    }

    private static Object setOther(VfTokenFeature feature) throws VfioException {
        feature.set(OTHER);
        return done();
    }

    private record Asked(VfioDevice device, FeatureRequest request) {
    }

    private record Sleeper(VfioDevice device, LowPowerFeature lowPower, EventFd wakeup) {
    }

    private record Logged(VfioDevice device, DmaLoggingFeature logging, IovaRange range, DirtyBitmap bitmap) {
    }

    private static Logged logging(Scene scene) throws VfioException {
        VfioDevice device = mttyDevice(scene);
        IovaRange range = new IovaRange(0, 16 * PAGE);
        return new Logged(device, device.dmaLogging().orElseThrow(), range,
                DirtyBitmap.allocate(range, PAGE, scene.arena()));
    }

    private void dma() {
        for (Way way : Way.values()) {
            sweep.run(sweep.operation("Iommu.allocate by " + way, scene -> space(scene, way), space -> {
                try (DmaMapping mapping = space.iommu().allocate(PAGE, DmaDirection.BIDIRECTIONAL)) {
                    return mapping.byteSize();
                }
            }));
            sweep.run(sweep.operation("Iommu.allocate of a huge page by " + way, scene -> space(scene, way), space -> {
                try (DmaMapping mapping = space.iommu().allocate(2 << 20, DmaDirection.FROM_DEVICE)) {
                    return mapping.byteSize();
                }
            }).only(Errno.ENOMEM, Errno.EIO));
            sweep.run(sweep.operation("Iommu.map by " + way, scene -> space(scene, way), space -> {
                try (DmaMapping mapping = space.iommu().map(space.memory(), DmaDirection.TO_DEVICE)) {
                    mapping.unmap();
                }
                return done();
            }));
            sweep.run(sweep.operation("Iommu.map(iova) by " + way, scene -> space(scene, way), space -> {
                try (DmaMapping mapping = space.iommu().map(0x10000, space.memory(), DmaDirection.BIDIRECTIONAL)) {
                    space.mapped().add(mapping);
                    return mapping.range();
                }
            }).after(space -> {
                for (DmaMapping mapping : space.mapped()) {
                    mapping.close();
                }
                return done();
            }));
            sweep.run(sweep.operation("Iommu.dmaLimits by " + way, scene -> space(scene, way),
                    space -> space.iommu().dmaLimits()));
            sweep.run(sweep.operation("DmaMapping.close by " + way,
                    scene -> space(scene, way).iommu().allocate(PAGE, DmaDirection.BIDIRECTIONAL), mapping -> {
                        mapping.close();
                        return done();
                    }));
            sweep.run(sweep.operation("Iommu.map refused by " + way, scene -> {
                scene.process().withoutIpcLock();
                return space(scene, way);
            }, space -> space.iommu().allocate(1 << 20, DmaDirection.BIDIRECTIONAL)).refused()
                    .on(() -> EmulatedKernel.builder(KERNEL).lockedMemoryLimit(64 << 10)
                            .pciFunction(PLAIN.toString(), function -> function.memoryBar(0, PAGE)).build()));
        }
        sweep.run(sweep.operation("VfioContainer.dirtyTracking", scene -> {
            VfioContainer container = scene.keep(scene.vfio().openContainer());
            scene.keep(container.openDevice(PLAIN));
            return new Tracked(container, container.allocate(16 * PAGE, DmaDirection.BIDIRECTIONAL), scene);
        }, tracked -> {
            DmaDirtyTracking tracking = tracked.container().dirtyTracking()
                    .orElseThrow(() -> new VfioException("no tracking", null, null));
            tracking.start();
            long pages = tracking.read(tracked.mapping().range(), tracked.scene().arena()).dirtyPages();
            tracking.stop();
            return pages;
        }));
    }

    private record Tracked(VfioContainer container, DmaMapping mapping, Scene scene) {
    }

    private record Space(Iommu iommu, MemorySegment memory, List<DmaMapping> mapped) {
    }

    private static Space space(Scene scene, Way way) throws VfioException {
        Iommu iommu = scene.keep(way.open(scene.vfio()));
        scene.keep(iommu.openDevice(PLAIN));
        return new Space(iommu, scene.arena().allocate(2 * PAGE, PAGE), new ArrayList<>());
    }

    private void migration() {
        sweep.run(sweep.operation("MigrationFeature", ApiFaultsTest::mttyDevice, device -> {
            MigrationFeature migration = device.migration()
                    .orElseThrow(() -> new VfioException("no migration", null, null));
            migration.optInToPrecopyInfoV2();
            return List.of(migration.state(), migration.dataSize());
        }).on(ApiFaultsTest::mtty));
        sweep.run(sweep.operation("MigrationFeature.setState and MigrationData of a save", ApiFaultsTest::mttyDevice,
                device -> {
                    MigrationFeature migration = device.migration()
                            .orElseThrow(() -> new VfioException("no migration", null, null));
                    try (MigrationData data = migration.setState(MigrationState.PRE_COPY)
                            .orElseThrow(() -> new VfioException("no data", null, null))) {
                        data.precopyInfo();
                        migration.setState(MigrationState.STOP_COPY);
                        ByteBuffer bytes = ByteBuffer.allocate(1 << 16);
                        while (data.read(bytes) > 0) {
                            // More may come.
                        }
                        migration.setState(MigrationState.RUNNING);
                        return bytes.position();
                    }
                }).on(ApiFaultsTest::mtty).after(device -> {
                    device.reset();
                    return done();
                }));
        sweep.run(sweep.operation("MigrationDriver.save", ApiFaultsTest::mttyDevice, device -> {
            MigrationDriver driver = MigrationDriver.of(device)
                    .orElseThrow(() -> new VfioException("no migration", null, null));
            ByteArrayOutputStream state = new ByteArrayOutputStream();
            long bytes = driver.save(Channels.newChannel(state), MigrationOptions.DEFAULT.withPrecopy(2, 0),
                    MigrationListener.NONE).bytes();
            driver.start();
            return bytes;
        }).on(ApiFaultsTest::mtty).after(device -> {
            device.reset();
            return done();
        }));
        byte[] saved = savedState();
        sweep.run(sweep.operation("MigrationDriver.restore", ApiFaultsTest::mttyDevice, device -> {
            MigrationDriver driver = MigrationDriver.of(device)
                    .orElseThrow(() -> new VfioException("no migration", null, null));
            long bytes = driver.restore(Channels.newChannel(new ByteArrayInputStream(saved)));
            driver.start();
            return bytes;
        }).on(ApiFaultsTest::mtty).after(device -> {
            device.reset();
            return done();
        }));
    }

    private static byte[] savedState() {
        ByteArrayOutputStream state = new ByteArrayOutputStream();
        try (VfioContainer container = Vfio.using(mtty().newProcess()).openContainer();
                VfioDevice device = container.openMediatedDevice(MTTY)) {
            MigrationDriver.of(device).orElseThrow().save(Channels.newChannel(state));
        } catch (java.io.IOException e) {
            throw new AssertionError(e);
        }
        return state.toByteArray();
    }

    private void examples() {
        for (Way way : Way.values()) {
            sweep.run(sweep.operation("NVMe driver by " + way, Scene::vfio, vfio -> {
                try (Iommu iommu = way.open(vfio)) {
                    return NvmeDiskCheck.run(iommu, DISK, 1 << 20);
                }
            }).on(ApiFaultsTest::disk).only(Errno.EIO).plainly().once());
        }
        sweep.run(sweep.operation("recorded calls", scene -> {
            Environment environment = Environment.parse("""
                    {"transcript":1,"kernel":"7.2","release":"7.2","options":{},"devices":[]}""");
            return Vfio.using(scene.keep(new RecordingBackend(scene.backend(), environment, new StringWriter())));
        }, vfio -> {
            try (VfioContainer container = vfio.openContainer();
                    VfioDevice device = container.openDevice(OWNER, TOKEN)) {
                device.vfToken().orElseThrow(() -> new VfioException("none", null, null)).set(OTHER);
            }
            return done();
        }));
    }
}
