package io.github.vfio4j.emulation.device;

/** The controller of the CDX bus as far as a device needs it: what feature 10 acts on (semantics §B.5). */
@FunctionalInterface
public interface BusController {

    /**
     * Lets the device act as bus master, or not. Every first opening of the device begins with the latter; if that fails,
     * the device is without feature 10 until it has been closed.
     *
     * @param enabled
     *            whether it may
     * @throws DeviceFailure
     *             if it fails; {@code EOPNOTSUPP} is the answer of a controller without that ability
     */
    void setBusMaster(boolean enabled) throws DeviceFailure;
}
