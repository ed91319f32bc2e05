package io.github.vfio4j.trace;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.PciFunctionSpec;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A device of an environment: what it takes to have one like it on an emulated machine. */
interface EnvironmentDevice {

    void addTo(EmulatedKernel.Builder machine);

    /**
     * The devices of an environment. Each is tried out, so that what cannot be is refused where it stands.
     *
     * @param environment
     *            the first line of a transcript
     */
    static List<EnvironmentDevice> all(Json environment, KernelProfile profile) throws TranscriptException {
        Json list = environment.find("devices");
        List<Json> declared = list == null ? List.of() : list.items();
        Map<PciAddress, List<Json>> virtualFunctions = new LinkedHashMap<>();
        for (Json device : declared) {
            Json physicalFunction = device.find("virtualFunctionOf");
            if (physicalFunction != null) {
                virtualFunctions.computeIfAbsent(address(physicalFunction), first -> new ArrayList<>()).add(device);
            }
        }
        List<EnvironmentDevice> devices = new ArrayList<>();
        EmulatedKernel.Builder machine = EmulatedKernel.builder(profile);
        for (Json device : declared) {
            if (device.find("virtualFunctionOf") == null) {
                Json name = device.get("name");
                List<Json> children = List.of();
                if (device.get("kind").text().equals("pci")) {
                    List<Json> found = virtualFunctions.remove(address(name));
                    children = found == null ? List.of() : found;
                }
                EnvironmentDevice read = read(device, children);
                tried(name, machine, read);
                devices.add(read);
            }
        }
        if (list == null) {
            return List.of();
        }
        for (List<Json> orphans : virtualFunctions.values()) {
            throw orphans.getFirst().get("virtualFunctionOf").error("there is no such physical function");
        }
        try {
            machine.build();
        } catch (IllegalArgumentException e) {
            throw environment.get("devices").error(String.valueOf(e.getMessage()));
        }
        return List.copyOf(devices);
    }

    private static void tried(Json name, EmulatedKernel.Builder machine, EnvironmentDevice device)
            throws TranscriptException {
        try {
            device.addTo(machine);
        } catch (IllegalArgumentException e) {
            throw name.error(String.valueOf(e.getMessage()));
        }
    }

    private static PciAddress address(Json name) throws TranscriptException {
        try {
            return PciAddress.parse(name.text());
        } catch (IllegalArgumentException e) {
            throw name.error(String.valueOf(e.getMessage()));
        }
    }

    private static EnvironmentDevice read(Json device, List<Json> virtualFunctions) throws TranscriptException {
        Json kind = device.get("kind");
        return switch (kind.text()) {
            case "pci" -> pci(device, virtualFunctions);
            case "mtty" -> {
                UUID uuid = uuid(device.get("name"));
                int group = group(device);
                int ports = device.get("ports").integer(1, 2);
                yield machine -> machine.mtty(uuid, ports, group);
            }
            case "mdpy" -> {
                UUID uuid = uuid(device.get("name"));
                int group = group(device);
                yield machine -> machine.mdpy(uuid, group);
            }
            default -> throw kind.error("there is no such kind of device; there are pci, mtty and mdpy");
        };
    }

    private static int group(Json device) throws TranscriptException {
        return device.get("group").integer(0, Integer.MAX_VALUE);
    }

    private static UUID uuid(Json name) throws TranscriptException {
        try {
            UUID uuid = UUID.fromString(name.text());
            if (uuid.toString().equals(name.text())) {
                return uuid;
            }
        } catch (IllegalArgumentException e) {
            throw name.error("a mediated device is called by a UUID");
        }
        throw name.error("a mediated device is called by a UUID, written with 36 lower-case digits and dashes");
    }

    private static EnvironmentDevice pci(Json device, List<Json> virtualFunctions) throws TranscriptException {
        String name = address(device.get("name")).toString();
        List<Consumer<PciFunctionSpec>> traits = new ArrayList<>();
        int group = group(device);
        traits.add(spec -> spec.group(group));
        String driver = driver(device);
        traits.add(driver == null ? PciFunctionSpec::unbound : spec -> spec.driver(driver));
        Json sriov = device.find("sriov");
        if (sriov != null) {
            int totalVfs = sriov.get("totalVfs").integer(1, 0xffff);
            Json numVfs = sriov.find("numVfs");
            int present = numVfs == null ? 0 : numVfs.integer(0, totalVfs);
            int offset = atLeastOne(sriov, "offset");
            int stride = atLeastOne(sriov, "stride");
            traits.add(
                    spec -> spec.sriov(totalVfs).virtualFunctionsAt(offset, stride).virtualFunctions(present, driver));
            for (Json virtualFunction : virtualFunctions) {
                int index = distance(device, virtualFunction) - offset;
                if (index < 0 || index % stride != 0 || index / stride >= totalVfs) {
                    throw virtualFunction.get("name")
                            .error("of virtual functions, the first is " + offset + " after the physical one, the next "
                                    + stride + " further, and so on, " + totalVfs + " in all");
                }
                traits.add(virtualFunction(index / stride, virtualFunction));
            }
        } else if (!virtualFunctions.isEmpty()) {
            throw virtualFunctions.getFirst().get("virtualFunctionOf")
                    .error("that function has no \"sriov\", so it has no virtual functions");
        }
        Json bars = device.find("bars");
        for (Json bar : bars == null ? List.<Json>of() : bars.items()) {
            traits.add(bar(bar));
        }
        addTraits(device, traits);
        return machine -> machine.pciFunction(name, spec -> traits.forEach(trait -> trait.accept(spec)));
    }

    /** What the function's information and interrupts are like. */
    private static void addTraits(Json device, List<Consumer<PciFunctionSpec>> traits) throws TranscriptException {
        if (isFalse(device, "reset")) {
            traits.add(PciFunctionSpec::withoutReset);
        }
        if (isFalse(device, "express")) {
            traits.add(PciFunctionSpec::conventional);
        }
        if (isFalse(device, "intx")) {
            traits.add(PciFunctionSpec::withoutIntx);
        }
        Json rom = device.find("rom");
        if (rom != null) {
            long size = rom.number(0, Long.MAX_VALUE);
            traits.add(spec -> spec.rom(size));
        }
        Json msi = device.find("msi");
        if (msi != null) {
            int vectors = msi.integer(0, Integer.MAX_VALUE);
            traits.add(spec -> spec.msi(vectors));
        }
        Json msix = device.find("msix");
        if (msix != null) {
            int vectors = msix.get("vectors").integer(0, Integer.MAX_VALUE);
            int tableBar = msix.get("tableBar").integer(0, 5);
            Json offset = msix.find("tableOffset");
            int tableOffset = offset == null ? 0 : offset.integer(0, Integer.MAX_VALUE);
            traits.add(spec -> spec.msix(vectors, tableBar, tableOffset));
        }
        Json config = device.find("config");
        if (config != null) {
            byte[] bytes = bytes(config);
            traits.add(spec -> spec.configSpace(bytes));
        }
    }

    private static byte[] bytes(Json hex) throws TranscriptException {
        try {
            return HexFormat.of().parseHex(hex.text());
        } catch (IllegalArgumentException e) {
            throw hex.error("these are bytes in hexadecimal, two digits each");
        }
    }

    private static boolean isFalse(Json device, String key) throws TranscriptException {
        Json found = device.find(key);
        return found != null && !found.bool();
    }

    /** Null says that none is bound; where it is not said, it is vfio-pci. */
    private static @Nullable String driver(Json device) throws TranscriptException {
        Json driver = device.find("driver");
        return driver == null ? "vfio-pci" : driver.isNull() ? null : driver.text();
    }

    private static int atLeastOne(Json json, String key) throws TranscriptException {
        Json found = json.find(key);
        return found == null ? 1 : found.integer(1, 0xffff);
    }

    /** How many functions one is after the other; negative if it is in another domain. */
    private static int distance(Json from, Json to) throws TranscriptException {
        PciAddress first = address(from.get("name"));
        PciAddress last = address(to.get("name"));
        return first.domain() == last.domain() ? routingId(last) - routingId(first) : -1;
    }

    private static Consumer<PciFunctionSpec> virtualFunction(int index, Json device) throws TranscriptException {
        int group = group(device);
        String driver = driver(device);
        return spec -> spec.virtualFunction(index, group, driver);
    }

    private static int routingId(PciAddress address) {
        return address.bus() << 8 | address.device() << 3 | address.function();
    }

    private static Consumer<PciFunctionSpec> bar(Json bar) throws TranscriptException {
        int index = bar.get("index").integer(0, 5);
        Json size = bar.get("size");
        long bytes = size.number(0, Long.MAX_VALUE);
        Json kind = bar.get("kind");
        return switch (kind.text()) {
            case "memory" -> spec -> spec.memoryBar(index, bytes);
            case "ioport", "io" -> spec -> spec.ioPortBar(index, bytes);
            default -> throw kind.error("a BAR is of the kind \"memory\" or \"ioport\"");
        };
    }
}
