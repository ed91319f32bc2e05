/**
 * Devices of one's own on an emulated kernel, for tests of programs that use them: a {@link
 * io.github.vfio4j.emulation.device.DeviceModel} says what the device does and where it fails, the kernel does the rest
 * as it does for any driver.
 *
 * <p>
 * What a kernel checks, it checks before a model is asked: headers, operations, sizes, addresses of arguments and
 * migration states. It also keeps the migration state and the data descriptors. So a model is ordinary Java code about the
 * device alone; a failure is a thrown {@link io.github.vfio4j.emulation.device.DeviceFailure}.
 *
 * <p>
 * <b>Threads.</b> A device is called from the threads that make the system calls, and by one at a time: every call to a
 * {@code DeviceModel}, and to what it returned, is made while holding the monitor of that {@code DeviceModel}. Whatever
 * else a test does with the model's fields it does in {@code synchronized (model)}, without making system calls there. A
 * call that is to block, as a read of a data descriptor may, waits by {@link Object#wait() wait()} on the model, which lets
 * other calls in meanwhile; a wait elsewhere would hold them up.
 */
@NullMarked
package io.github.vfio4j.emulation.device;

import org.jspecify.annotations.NullMarked;
