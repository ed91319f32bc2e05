package io.github.vfio4j.emulation.vfio;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The VFIO devices of the machine, by the number that makes up their name in the core: vfioN. */
public final class VfioDevices {

    private final Map<Integer, CoreDevice> devices = new HashMap<>();

    /** Makes a VFIO device of a driver's, with the lowest free number. */
    public synchronized CoreDevice register(Driver driver, IommuGroup group) {
        int number = 0;
        while (devices.containsKey(number)) {
            number++;
        }
        CoreDevice device = new CoreDevice(number, driver, group);
        devices.put(number, device);
        return device;
    }

    /** The device with a number, null if there is none. */
    public synchronized @Nullable CoreDevice get(int number) {
        return devices.get(number);
    }

    /** Whether the machine has none. */
    public synchronized boolean isEmpty() {
        return devices.isEmpty();
    }

    /** The driver gives the device up, and the number is free again. */
    synchronized void unregister(CoreDevice device) {
        devices.remove(device.number());
    }
}
