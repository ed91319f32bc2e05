package io.github.vfio4j;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The address of a PCI function, in the form the kernel names it: {@code dddd:bb:dd.f}.
 *
 * @param domain
 *            PCI segment, 0‥0xffffffff (most machines have only 0)
 * @param bus
 *            bus number, 0‥255
 * @param device
 *            device (slot) number, 0‥31
 * @param function
 *            function number, 0‥7
 */
public record PciAddress(int domain, int bus, int device, int function) implements Comparable<PciAddress> {

    private static final Pattern TEXT = Pattern
            .compile("(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\\.([0-7])");

    /** Checks the ranges. */
    public PciAddress {
        if (bus < 0 || bus > 0xff || device < 0 || device > 0x1f || function < 0 || function > 7) {
            throw new IllegalArgumentException("No PCI function can have bus " + bus + ", device " + device
                    + ", function " + function + ": the bus is 0 to 255, the device 0 to 31, the function 0 to 7");
        }
    }

    /**
     * Reads an address such as {@code 0000:01:00.0}; without a domain ({@code 01:00.0}) domain 0 is meant.
     *
     * @param text
     *            the address, hexadecimal digits in either case
     * @return the address
     * @throws IllegalArgumentException
     *             if the text is not the address of a PCI function
     */
    public static PciAddress parse(String text) {
        Matcher matcher = TEXT.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException(
                    "'" + text + "' is not a PCI address; it has the form dddd:bb:dd.f, for example 0000:01:00.0"
                            + " (lspci -D lists the addresses of this machine)");
        }
        String domain = matcher.group(1);
        return new PciAddress(domain == null ? 0 : Integer.parseUnsignedInt(domain, 16),
                Integer.parseInt(matcher.group(2), 16), Integer.parseInt(matcher.group(3), 16),
                Integer.parseInt(matcher.group(4), 16));
    }

    /**
     * The function whose routing ID lies {@code distance} after this one, as SR-IOV numbers virtual functions (PCIe,
     * "VF offset and stride").
     *
     * @param distance
     *            how many routing IDs further
     * @return that function
     */
    public PciAddress plus(int distance) {
        int routingId = (bus << 8 | device << 3 | function) + distance;
        return new PciAddress(domain, routingId >> 8, routingId >> 3 & 0x1f, routingId & 7);
    }

    @Override
    public int compareTo(PciAddress other) {
        int domains = Integer.compareUnsigned(domain, other.domain);
        return domains != 0
                ? domains
                : Integer.compare(bus << 8 | device << 3 | function,
                        other.bus << 8 | other.device << 3 | other.function);
    }

    /** The kernel's own spelling: lower-case, domain included. */
    @Override
    public String toString() {
        return String.format("%04x:%02x:%02x.%x", domain, bus, device, function);
    }
}
