package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.github.vfio4j.Errno;
import io.github.vfio4j.EventFd;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_h;
import io.github.vfio4j.uapi.vfio_irq_set;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The interrupts of one kind of a device ({@code VFIO_DEVICE_SET_IRQS}, semantics §E.4): each is signalled by an eventfd
 * that this object owns, and delivered to a thread that waits or to a handler. Safe for use by many threads; each signal
 * reaches one of them.
 *
 * <pre>{@code
 * DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
 * msix.enable(2);
 * device.config().setBusMaster(true); // messages are DMA
 * msix.onInterrupt(1, executor, vector -> completions.run());
 * long signals = msix.await(0, Duration.ofSeconds(1));
 * }</pre>
 *
 * <p>
 * Several signals that come before anybody looks count together, as eventfds do. INTx is masked by the kernel when it is
 * signalled: a driver clears the cause in the device, then calls {@link #unmask}.
 *
 * <p>
 * A reset of the device leaves interrupts switched on; what the device itself needs to know of them it has forgotten.
 */
public final class DeviceInterrupts implements AutoCloseable {

    private static final long HEADER = vfio_irq_set.count$offset() + Integer.BYTES;

    private final DeviceHandle device;
    private final int index;
    private final String name;
    private List<EventFd> vectors = List.of();
    private @Nullable InterruptDelivery delivery;
    private boolean closed;

    private DeviceInterrupts(DeviceHandle device, int index, String name) {
        this.device = device;
        this.index = index;
        this.name = name;
    }

    /**
     * The interrupts of one kind; none is switched on.
     *
     * @param device
     *            a PCI device
     * @param kind
     *            which
     * @return their owner; nothing else should set them
     */
    public static DeviceInterrupts of(DeviceHandle device, PciIrq kind) {
        return new DeviceInterrupts(device, kind.index(), kind + " of " + device);
    }

    /**
     * What the kernel tells of them.
     *
     * @return information; a count of 0 if the device has none of this kind
     * @throws VfioException
     *             if the device could not be asked
     */
    public IrqInfo info() throws VfioException {
        return IrqInfo.of(device, index);
    }

    /**
     * Switches them on, with an eventfd for each.
     *
     * @param count
     *            how many, from the first on: 1 for INTx, errors and requests
     * @throws VfioException
     *             {@code EINVAL} if another kind of INTx, MSI and MSI-X is on; {@code ENODEV} for INTx that the platform has
     *             not routed; {@code ENOSPC} if the platform has no vectors left, and no errno if it has fewer, whose
     *             number is in the message; {@code EMFILE} if there are too many descriptors. Nothing is on then
     * @throws IllegalArgumentException
     *             if the device does not have so many
     * @throws IllegalStateException
     *             if they are on already, or the device is closed
     */
    public synchronized void enable(int count) throws VfioException {
        requireOpen();
        if (!vectors.isEmpty()) {
            throw new IllegalStateException(
                    name + " is on already, with " + vectors.size() + " vectors; call disable() first");
        }
        int available = info().count();
        if (count < 1 || count > available) {
            throw new IllegalArgumentException(name + " has " + available + " vectors, so there can't be " + count);
        }
        List<EventFd> made = new ArrayList<>();
        boolean enabled = false;
        try (Arena arena = Arena.ofConfined()) {
            for (int vector = 0; vector < count; vector++) {
                made.add(device.openEventFd(name + ", vector " + vector));
            }
            MemorySegment argument = argument(arena, vfio_h.VFIO_IRQ_SET_DATA_EVENTFD(),
                    vfio_h.VFIO_IRQ_SET_ACTION_TRIGGER(), 0, count, count * Integer.BYTES);
            for (int vector = 0; vector < count; vector++) {
                // Nobody else can close it: its number may be used after it was lent.
                argument.set(JAVA_INT, HEADER + (long) vector * Integer.BYTES,
                        made.get(vector).<Integer>lend(fd -> fd));
            }
            set("switch on " + count + " vectors of", argument);
            vectors = List.copyOf(made);
            enabled = true;
        } finally {
            if (!enabled) {
                closeAll(made);
            }
        }
    }

    private void set(String what, MemorySegment argument) throws VfioException {
        int left = device.check(what + " " + name, device.ioctl(vfio_h.VFIO_DEVICE_SET_IRQS(), argument),
                Map.of(Errno.EINVAL, "INTx, MSI and MSI-X exclude each other: disable() what is on", Errno.ENODEV,
                        "The platform has not routed the interrupt pin; use MSI or MSI-X", Errno.ENOSPC,
                        "The platform has not so many vectors left; ask for fewer"));
        if (left > 0) {
            // No success: so many could be had, and none is on (vfio_msi_enable).
            throw new VfioException(what + " " + name, null,
                    "The platform has no more than " + left + " left; ask for as many, or fewer");
        }
    }

    private MemorySegment argument(Arena arena, int data, int action, int start, int count, int size) {
        MemorySegment argument = arena.allocate(HEADER + size, Long.BYTES);
        vfio_irq_set.argsz(argument, (int) argument.byteSize());
        vfio_irq_set.flags(argument, data | action);
        vfio_irq_set.index(argument, index);
        vfio_irq_set.start(argument, start);
        vfio_irq_set.count(argument, count);
        return argument;
    }

    /** A request without data. */
    private void set(String what, int action, int start, int count) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            set(what, argument(arena, vfio_h.VFIO_IRQ_SET_DATA_NONE(), action, start, count, 0));
        }
    }

    /**
     * How many are on.
     *
     * @return 0 if none
     */
    public synchronized int enabled() {
        return vectors.size();
    }

    private synchronized EventFd vector(int vector) {
        requireOpen();
        if (vector < 0 || vector >= vectors.size()) {
            throw vectors.isEmpty()
                    ? new IllegalStateException(name + " is not on; call enable() first")
                    : new IndexOutOfBoundsException(
                            "Of " + name + ", vectors 0 to " + (vectors.size() - 1) + " are on, not " + vector);
        }
        return vectors.get(vector);
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException(name + " is closed with its device");
        }
    }

    /**
     * Waits for an interrupt. A virtual thread that waits stays pinned to its carrier.
     *
     * @param vector
     *            which, from 0 on
     * @param timeout
     *            how long at most
     * @return how often it was signalled since the last time; 0 if it was not, in time
     * @throws VfioException
     *             if poll(2) or read(2) reports an error
     * @throws InterruptedException
     *             if the thread is interrupted, which takes up to 100 ms to be seen
     * @throws IllegalStateException
     *             if they are not on, or are switched off or closed while this waits
     */
    public long await(int vector, Duration timeout) throws VfioException, InterruptedException {
        return vector(vector).await(timeout);
    }

    /**
     * Has a handler called whenever there is an interrupt, until they are switched off: {@code executor} runs it once for
     * all signals that have come meanwhile. A handler that throws is logged, and called again next time. One thread waits
     * for all handlers of this object.
     *
     * @param vector
     *            which, from 0 on
     * @param executor
     *            runs the handler; {@code Runnable::run} does in the thread that waits for all of them
     * @param handler
     *            gets the vector; it may be run by several threads at once if the executor has several
     * @throws VfioException
     *             {@code EMFILE} if there is no descriptor left for the eventfd that wakes the thread; what poll(2) or
     *             read(2) has reported to that thread, which is logged and ends the calling of handlers until these interrupts
     *             are switched off and on again
     * @throws IllegalStateException
     *             if they are not on, or this vector has a handler
     */
    public synchronized void onInterrupt(int vector, Executor executor, IntConsumer handler) throws VfioException {
        EventFd eventFd = vector(vector);
        if (delivery == null) {
            delivery = new InterruptDelivery(name, device.openEventFd(name + ", control"));
        }
        delivery.add(vector, eventFd, executor, handler);
    }

    /**
     * Masks INTx: it is not signalled until it is unmasked.
     *
     * @throws VfioException
     *             {@code EINVAL} if it is not on; {@code ENOTTY} for a kind that can't be masked
     */
    public void mask() throws VfioException {
        set("mask", vfio_h.VFIO_IRQ_SET_ACTION_MASK(), 0, 1);
    }

    /**
     * Unmasks INTx. If the device still asserts it, it is signalled at once.
     *
     * @throws VfioException
     *             {@code EINVAL} if it is not on; {@code ENOTTY} for a kind that can't be masked
     */
    public void unmask() throws VfioException {
        set("unmask", vfio_h.VFIO_IRQ_SET_ACTION_UNMASK(), 0, 1);
    }

    /**
     * From now on, INTx is also unmasked by an eventfd, without a system call on the device.
     *
     * @param eventFd
     *            whatever signals it unmasks; null for none any more
     * @throws VfioException
     *             {@code EINVAL} if INTx is not on; {@code EBUSY} if there is one already
     */
    public void unmaskBy(@Nullable EventFd eventFd) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, vfio_h.VFIO_IRQ_SET_DATA_EVENTFD(),
                    vfio_h.VFIO_IRQ_SET_ACTION_UNMASK(), 0, 1, Integer.BYTES);
            if (eventFd == null) {
                argument.set(JAVA_INT, HEADER, -1);
                set("remove the eventfd that unmasks", argument);
            } else {
                eventFd.lend(fd -> {
                    argument.set(JAVA_INT, HEADER, fd);
                    set("set the eventfd that unmasks", argument);
                    return fd;
                });
            }
        }
    }

    /**
     * Signals an interrupt as if the device had raised it. For tests of what handles it.
     *
     * @param vector
     *            which, from 0 on
     * @throws VfioException
     *             if the kernel refuses
     */
    public void trigger(int vector) throws VfioException {
        vector(vector);
        set("trigger vector " + vector + " of", vfio_h.VFIO_IRQ_SET_ACTION_TRIGGER(), vector, 1);
    }

    /**
     * Switches them off. Handlers are not called any more, except where one is running already; waiting threads get an
     * {@link IllegalStateException}. Does nothing if they are off.
     *
     * @throws VfioException
     *             if the kernel refuses, or close(2) reports an error; the eventfds are closed all the same
     */
    public synchronized void disable() throws VfioException {
        if (vectors.isEmpty()) {
            return;
        }
        VfioException refused = null;
        try {
            set("switch off", vfio_h.VFIO_IRQ_SET_ACTION_TRIGGER(), 0, 0);
        } catch (VfioException e) {
            refused = e;
        }
        release(refused);
    }

    private synchronized void release(@Nullable VfioException before) throws VfioException {
        VfioException first = before;
        List<EventFd> eventFds = vectors;
        vectors = List.of();
        InterruptDelivery delivering = delivery;
        delivery = null;
        List<EventFd> all = new ArrayList<>(eventFds);
        if (delivering != null) {
            delivering.stop();
            all.add(delivering.control());
        }
        try {
            closeAll(all);
        } catch (VfioException e) {
            first = first == null ? e : first;
        }
        if (first != null) {
            throw first;
        }
    }

    private static void closeAll(List<EventFd> eventFds) throws VfioException {
        VfioException first = null;
        for (EventFd eventFd : eventFds) {
            try {
                eventFd.close();
            } catch (VfioException e) {
                first = first == null ? e : first;
            }
        }
        if (first != null) {
            throw first;
        }
    }

    /**
     * Ends it with its device, whose closing switches interrupts off: closes the eventfds, and makes further use an
     * {@link IllegalStateException}.
     *
     * @throws VfioException
     *             if close(2) reports an error; the eventfds are closed all the same
     */
    @Override
    public synchronized void close() throws VfioException {
        closed = true;
        release(null);
    }

    /** Which interrupts of which device, for example {@code MSIX of device 0000:01:00.0}. */
    @Override
    public String toString() {
        return name;
    }
}
