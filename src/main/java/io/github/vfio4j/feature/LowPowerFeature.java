package io.github.vfio4j.feature;

import io.github.vfio4j.EventFd;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_device_low_power_entry_with_wakeup;
import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * Features 3, 4 and 5, {@code LOW_POWER_ENTRY}, {@code …_ENTRY_WITH_WAKEUP} and {@code LOW_POWER_EXIT}: lets the kernel
 * suspend a device that is left alone (semantics §B.3). Safe for use by many threads.
 *
 * <p>
 * Every call on the device, even a probe, wakes it. Where it was entered with a wake-up, that ends low power too and
 * signals the eventfd, if the device had really been suspended; without one, low power lasts until {@link #exit} or until
 * the device is closed, and the kernel suspends it again.
 *
 * <p>
 * Views of the device's memory are closed before it is entered, and can be made again once it was ended by {@link #exit}:
 * touching mapped memory of a device that sleeps is SIGBUS, which ends the JVM.
 */
public final class LowPowerFeature {

    private final FeatureTarget device;

    private LowPowerFeature(FeatureTarget device) {
        this.device = device;
    }

    /**
     * The feature of a device.
     *
     * @param device
     *            any device
     * @return empty if its driver or the kernel can't put it to sleep
     * @throws VfioException
     *             if the device could not be asked
     */
    public static Optional<LowPowerFeature> of(FeatureTarget device) throws VfioException {
        return device.supports(FeatureId.LOW_POWER_ENTRY, FeatureOperation.SET)
                ? Optional.of(new LowPowerFeature(device))
                : Optional.empty();
    }

    /**
     * Lets the device sleep.
     *
     * @throws VfioException
     *             {@code EINVAL} if it has been told so already
     */
    public void enter() throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            device.execute(FeatureRequest.of(FeatureId.LOW_POWER_ENTRY).set().allocate(arena));
        }
    }

    /**
     * Lets the device sleep until something wakes it, which ends low power and is signalled.
     *
     * @param wakeup
     *            is signalled once; may be closed while the device sleeps, for the kernel keeps a hold of its own
     * @throws VfioException
     *             {@code EINVAL} if it has been told to sleep already and has not been suspended yet
     */
    public void enter(EventFd wakeup) throws VfioException {
        wakeup.lend(fd -> {
            try (Arena arena = Arena.ofConfined()) {
                FeatureRequest request = FeatureRequest.of(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP).set().allocate(arena);
                vfio_device_low_power_entry_with_wakeup.wakeup_eventfd(request.payload(), fd);
                return device.execute(request);
            }
        });
    }

    /**
     * Ends low power, whether or not it was entered.
     *
     * @throws VfioException
     *             {@code EIO} if the device can't be woken
     */
    public void exit() throws VfioException {
        device.set(FeatureId.LOW_POWER_EXIT);
    }
}
