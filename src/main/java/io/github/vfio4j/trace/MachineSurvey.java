package io.github.vfio4j.trace;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Describes a machine as an environment: what of it sysfs and /dev show. */
final class MachineSurvey {

    private static final Pattern RELEASE = Pattern.compile("(\\d+)\\.(\\d+).*");
    private static final Pattern SAMPLE_TYPE = Pattern.compile("(mtty|mdpy)-(.+)");
    private static final int IO_PORTS = 0x100;

    private static final int STATUS = 6;
    private static final int STATUS_CAPABILITIES = 0x10;
    private static final int FIRST_CAPABILITY = 0x34;
    private static final int INTERRUPT_PIN = 0x3d;
    private static final int HEADER_SIZE = 64;
    private static final int CAPABILITY_SIZE = 8;
    private static final int CAPABILITY_MSI = 5;
    private static final int CAPABILITY_EXPRESS = 0x10;
    private static final int CAPABILITY_MSIX = 0x11;

    private final Path root;
    private final String release;

    private MachineSurvey(Path root, String release) {
        this.root = root;
        this.release = release;
    }

    static Environment of(Path root, String release) {
        try {
            return Environment.parse(new MachineSurvey(root, release).json());
        } catch (IOException e) {
            throw unknown(String.valueOf(e.getMessage()), e);
        } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
            // A number that is none, a file that ends early.
            throw unknown("sysfs is not as it should be: " + e.getMessage(), new IOException(e));
        }
    }

    /** One line, whatever stands in the files. */
    private static UncheckedIOException unknown(String reason, IOException cause) {
        return new UncheckedIOException(
                "What devices this machine has cannot be told: " + reason.replaceAll("\\p{Cntrl}+", " "), cause);
    }

    private String json() throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            json.writeStartObject();
            json.writeNumberField("transcript", 1);
            json.writeStringField("kernel", profile().version());
            json.writeStringField("release", release);
            json.writeObjectFieldStart("options");
            boolean iommufd = Files.exists(root.resolve("dev/iommu"));
            json.writeBooleanField("iommufd", iommufd);
            json.writeBooleanField("iommufdDriver", iommufd);
            json.writeBooleanField("cdev", Files.exists(root.resolve("dev/vfio/devices")));
            json.writeEndObject();
            Path iommu = root.resolve("sys/class/iommu/dmar0/intel-iommu/cap");
            if (Files.isReadable(iommu)) {
                // Bits 16 to 21 of the capability register: the maximum guest address width, less one.
                long capability = Long.parseUnsignedLong(Files.readString(iommu).strip(), 16);
                json.writeNumberField("iommuAddressBits", (capability >>> 16 & 0x3f) + 1);
            }
            json.writeArrayFieldStart("devices");
            for (Path device : devices("sys/bus/pci/devices")) {
                writeFunction(json, device);
            }
            for (Path device : devices("sys/bus/mdev/devices")) {
                writeSample(json, device);
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        return text.toString();
    }

    /** The newest that is not newer than the kernel; for one before them all, the oldest. */
    private KernelProfile profile() {
        List<KernelProfile> all = KernelProfile.all();
        return all.stream().filter(profile -> number(profile.version()) <= number(release))
                .reduce((older, newer) -> newer).orElse(all.getFirst());
    }

    private static int number(String version) {
        Matcher matcher = RELEASE.matcher(version);
        return matcher.matches() ? Integer.parseInt(matcher.group(1)) * 1000 + Integer.parseInt(matcher.group(2)) : 0;
    }

    /** Devices that are in an IOMMU group, by name. */
    private List<Path> devices(String directory) throws IOException {
        Path path = root.resolve(directory);
        if (!Files.isDirectory(path)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(path)) {
            return entries.filter(device -> Files.exists(device.resolve("iommu_group")))
                    .sorted(Comparator.comparing(Path::toString)).toList();
        }
    }

    private static void writeDevice(JsonGenerator json, String kind, Path device) throws IOException {
        json.writeStringField("kind", kind);
        json.writeStringField("name", device.getFileName().toString());
        json.writeNumberField("group", Integer.parseInt(lastName(device.resolve("iommu_group"))));
        Path cdevs = device.resolve("vfio-dev");
        if (Files.isDirectory(cdevs)) {
            try (Stream<Path> names = Files.list(cdevs)) {
                String name = names.map(cdev -> cdev.getFileName().toString()).findFirst().orElse(null);
                if (name != null) {
                    json.writeStringField("cdev", "/dev/vfio/devices/" + name);
                }
            }
        }
    }

    private static void writeFunction(JsonGenerator json, Path device) throws IOException {
        json.writeStartObject();
        writeDevice(json, "pci", device);
        Path driver = device.resolve("driver");
        json.writeStringField("driver", Files.exists(driver) ? lastName(driver) : null);
        Path physicalFunction = device.resolve("physfn");
        if (Files.exists(physicalFunction)) {
            json.writeStringField("virtualFunctionOf", lastName(physicalFunction));
        } else {
            writeSriov(json, device);
            writeBars(json, device);
            json.writeBooleanField("reset", Files.exists(device.resolve("reset")));
            byte[] config = Files.readAllBytes(device.resolve("config"));
            writeConfigurationSpace(json, ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN));
            json.writeStringField("config", HexFormat.of().formatHex(config, 0, used(config)));
        }
        json.writeEndObject();
    }

    /** Most of it is empty. */
    private static int used(byte[] config) {
        int end = config.length;
        while (end > HEADER_SIZE && config[end - 1] == 0) {
            end--;
        }
        return end;
    }

    private static void writeSriov(JsonGenerator json, Path device) throws IOException {
        if (Files.exists(device.resolve("sriov_totalvfs"))) {
            json.writeObjectFieldStart("sriov");
            json.writeNumberField("totalVfs", number(device, "sriov_totalvfs"));
            json.writeNumberField("numVfs", number(device, "sriov_numvfs"));
            json.writeNumberField("offset", Math.max(1, number(device, "sriov_offset")));
            json.writeNumberField("stride", Math.max(1, number(device, "sriov_stride")));
            json.writeEndObject();
        }
    }

    private static int number(Path device, String attribute) throws IOException {
        return Integer.parseInt(Files.readString(device.resolve(attribute)).strip());
    }

    /** A line of the resource file: first and last address, and flags. */
    private static long[] resource(String line) {
        return Arrays.stream(line.split(" ", -1)).mapToLong(Long::decode).toArray();
    }

    private static void writeBars(JsonGenerator json, Path device) throws IOException {
        List<String> resources = Files.readAllLines(device.resolve("resource"));
        long[] rom = resource(resources.get(6));
        if (rom[0] != 0) {
            json.writeNumberField("rom", rom[1] - rom[0] + 1);
        }
        json.writeArrayFieldStart("bars");
        for (int bar = 0; bar < 6; bar++) {
            long[] resource = resource(resources.get(bar));
            if (resource[0] != 0) {
                json.writeStartObject();
                json.writeNumberField("index", bar);
                json.writeNumberField("size", resource[1] - resource[0] + 1);
                json.writeStringField("kind", (resource[2] & IO_PORTS) == 0 ? "memory" : "ioport");
                json.writeEndObject();
            }
        }
        json.writeEndArray();
    }

    /** Interrupts, and whether it is PCI Express (PCI specification, configuration space and capabilities). */
    private static void writeConfigurationSpace(JsonGenerator json, ByteBuffer config) throws IOException {
        json.writeBooleanField("intx", config.get(INTERRUPT_PIN) != 0);
        boolean express = false;
        boolean hasCapabilities = (config.getShort(STATUS) & STATUS_CAPABILITIES) != 0;
        int at = hasCapabilities ? Byte.toUnsignedInt(config.get(FIRST_CAPABILITY)) : 0;
        // An unprivileged user sees the first 64 bytes only.
        Set<Integer> seen = new HashSet<>();
        while (at != 0 && at + CAPABILITY_SIZE <= config.limit() && seen.add(at)) {
            int control = Short.toUnsignedInt(config.getShort(at + 2));
            switch (config.get(at)) {
                case CAPABILITY_MSI -> json.writeNumberField("msi", 1 << (control >> 1 & 7));
                case CAPABILITY_MSIX -> {
                    json.writeObjectFieldStart("msix");
                    json.writeNumberField("vectors", (control & 0x7ff) + 1);
                    json.writeNumberField("tableBar", config.getInt(at + 4) & 7);
                    json.writeNumberField("tableOffset", config.getInt(at + 4) & ~7);
                    json.writeEndObject();
                }
                case CAPABILITY_EXPRESS -> express = true;
                default -> {
                    // Of no concern to an emulated function.
                }
            }
            at = Byte.toUnsignedInt(config.get(at + 1));
        }
        json.writeBooleanField("express", express);
    }

    /** A mediated device of one of the kernel's sample drivers; there is no emulation of others. */
    private static void writeSample(JsonGenerator json, Path device) throws IOException {
        Matcher type = SAMPLE_TYPE.matcher(lastName(device.resolve("mdev_type")));
        if (type.matches()) {
            json.writeStartObject();
            writeDevice(json, type.group(1), device);
            if (type.group(1).equals("mtty")) {
                json.writeNumberField("ports", Integer.parseInt(type.group(2)));
            }
            json.writeEndObject();
        }
    }

    private static String lastName(Path link) throws IOException {
        Path name = Files.readSymbolicLink(link).getFileName();
        if (name == null) {
            throw new IOException(link + " leads to no name");
        }
        return name.toString();
    }
}
