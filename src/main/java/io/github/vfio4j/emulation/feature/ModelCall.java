package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.device.DeviceFailure;

/** A call to what somebody else has modelled. */
@FunctionalInterface
public interface ModelCall {

    /** Makes it. */
    void make() throws DeviceFailure;

    /** Makes a call under a lock: 0, or −errno. */
    static int run(Object lock, ModelCall call) {
        synchronized (lock) {
            try {
                call.make();
                return 0;
            } catch (DeviceFailure failure) {
                return -failure.errno().code();
            }
        }
    }
}
