package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_TYPE_MASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_DATA_BOOL;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_DATA_EVENTFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_DATA_NONE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_DATA_TYPE_MASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_IRQS;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_irq_set;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntUnaryOperator;
import java.util.function.ToIntFunction;

/**
 * The argument of VFIO_DEVICE_SET_IRQS, after the checks that all drivers leave to the core (semantics §E.4).
 *
 * @param flags
 *            exactly one kind of data, and any of the three actions
 * @param index
 *            the kind of interrupt
 * @param start
 *            the first interrupt
 * @param count
 *            how many; all of them exist
 * @param data
 *            an element for each
 */
public record IrqSet(int flags, int index, int start, int count, MemorySegment data) {

    private static final long DATA = vfio_irq_set.count$offset() + Integer.BYTES;

    /**
     * Checks the argument and lets the driver go on.
     *
     * @param interrupts
     *            how many interrupts an index has
     * @param handler
     *            the driver's part: 0, or −errno
     */
    public static int check(MemorySegment argument, IntUnaryOperator interrupts, ToIntFunction<IrqSet> handler) {
        if (!UserMemory.mapped(argument, 0, DATA)) {
            return -Errno.EFAULT.code();
        }
        long argsz = unsigned(argument, vfio_irq_set.argsz$offset());
        int flags = UserMemory.getInt(argument, vfio_irq_set.flags$offset());
        long index = unsigned(argument, vfio_irq_set.index$offset());
        long start = unsigned(argument, vfio_irq_set.start$offset());
        long count = unsigned(argument, vfio_irq_set.count$offset());
        if (argsz < DATA || index >= VFIO_PCI_NUM_IRQS() || count >= 0xffff_ffffL - start
                || (flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK() | VFIO_IRQ_SET_ACTION_TYPE_MASK())) != 0) {
            return -Errno.EINVAL.code();
        }
        int existing = interrupts.applyAsInt((int) index);
        if (start >= existing || start + count > existing) {
            return -Errno.EINVAL.code();
        }
        if (Integer.bitCount(flags & VFIO_IRQ_SET_DATA_TYPE_MASK()) != 1) {
            return -Errno.EINVAL.code();
        }
        long dataSize = count * elementSize(flags);
        if (argsz - DATA < dataSize) {
            return -Errno.EINVAL.code();
        }
        if (!UserMemory.mapped(argument, DATA, dataSize)) {
            return -Errno.EFAULT.code();
        }
        return handler
                .applyAsInt(new IrqSet(flags, (int) index, (int) start, (int) count, argument.asSlice(DATA, dataSize)));
    }

    private static long unsigned(MemorySegment argument, long offset) {
        return Integer.toUnsignedLong(UserMemory.getInt(argument, offset));
    }

    private static int elementSize(int flags) {
        return (flags & VFIO_IRQ_SET_DATA_EVENTFD()) != 0
                ? Integer.BYTES
                : (flags & VFIO_IRQ_SET_DATA_BOOL()) != 0 ? Byte.BYTES : 0;
    }

    /** The action bits: one, none or several. */
    public int action() {
        return flags & VFIO_IRQ_SET_ACTION_TYPE_MASK();
    }

    /** Whether it carries descriptors. */
    public boolean hasFds() {
        return (flags & VFIO_IRQ_SET_DATA_EVENTFD()) != 0;
    }

    /** Whether it carries a byte for each interrupt that says whether it is meant. */
    public boolean hasBools() {
        return (flags & VFIO_IRQ_SET_DATA_BOOL()) != 0;
    }

    /** Whether it is the request to switch the interrupts of its index off. */
    public boolean isDisable() {
        return count == 0 && (flags & VFIO_IRQ_SET_DATA_NONE()) != 0;
    }

    /** Whether it is about the first interrupt and no other. */
    public boolean isFirstOnly() {
        return start == 0 && count == 1;
    }

    /** The descriptor for the n-th interrupt that is meant. */
    public int fd(int n) {
        return UserMemory.getInt(data, (long) n * Integer.BYTES);
    }

    /** Whether the action, not being a matter of descriptors, applies to the n-th interrupt that is meant. */
    public boolean appliesTo(int n) {
        return !hasBools() || data.get(ValueLayout.JAVA_BYTE, n) != 0;
    }
}
