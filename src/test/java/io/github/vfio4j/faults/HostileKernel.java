package io.github.vfio4j.faults;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * A kernel whose drivers tell nonsense: what it writes to memory is changed at random, mostly to numbers at the edges.
 * What it keeps to is what a kernel guarantees whatever its drivers are: it writes within the memory it was given, and
 * descriptors are what they are said to be.
 */
final class HostileKernel extends ForwardingBackend {

    private static final long[] EDGES = {0, 1, 2, 3, 4, 7, 8, 12, 16, 24, 32, 40, 48, 64, 0xff, 0x100, 0xfff, 0x1000,
            0xffff, 0x10000, 0xfffff, 0x100000, 0x7fff_ffff, 0x8000_0000L, 0xffff_fff8L, 0xffff_ffffL, 1L << 40,
            Long.MAX_VALUE, Long.MIN_VALUE, -1, -2, -4096};

    private final SplittableRandom random;
    private final int oneIn;
    private boolean hostile;
    private long calls;

    HostileKernel(IoctlBackend next, long seed, int oneIn) {
        super(next);
        random = new SplittableRandom(seed);
        this.oneIn = oneIn;
    }

    /** From here on. */
    void begin() {
        hostile = true;
    }

    void end() {
        hostile = false;
    }

    long calls() {
        return calls;
    }

    private boolean isHostile() {
        calls++;
        if (calls > 20_000) {
            throw new AssertionError("more than 20000 calls: it does not come to an end");
        }
        return hostile && random.nextInt(oneIn) == 0;
    }

    private void change(MemorySegment memory, long from) {
        if (memory.byteSize() <= from || memory.isReadOnly()) {
            return;
        }
        int times = 1 + random.nextInt(4);
        for (int i = 0; i < times; i++) {
            int width = 1 << random.nextInt(4);
            long at = (from + random.nextLong(memory.byteSize() - from)) & -width;
            long value = random.nextInt(4) == 0 ? random.nextLong() : EDGES[random.nextInt(EDGES.length)];
            for (int b = 0; b < width && at + b < memory.byteSize(); b++) {
                memory.set(ValueLayout.JAVA_BYTE, at + b, (byte) (value >>> (b * 8)));
            }
        }
    }

    /** Descriptors that a call brings are the kernel's own business. */
    private static boolean bringsDescriptor(long request, MemorySegment argument) {
        return request == vfio_h.VFIO_GROUP_GET_DEVICE_FD() || (request == vfio_h.VFIO_DEVICE_FEATURE()
                && (argument.get(ValueLayout.JAVA_INT, 4) & 0xffff) == vfio_h.VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE());
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        int result = super.ioctl(fd, request, argument, pointees);
        if (isHostile() && argument.byteSize() > 0 && !bringsDescriptor(request, argument)) {
            change(argument, request == vfio_h.VFIO_DEVICE_FEATURE() ? 8 : 0);
            for (MemorySegment pointee : pointees) {
                change(pointee, 0);
            }
        }
        return result;
    }

    @Override
    public long pread(int fd, MemorySegment buffer, long offset) {
        long result = super.pread(fd, buffer, offset);
        if (isHostile()) {
            change(buffer, 0);
        }
        return result;
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        long result = super.read(fd, buffer);
        if (isHostile()) {
            change(buffer, 0);
        }
        return result;
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        long result = super.readlink(path, buffer);
        if (isHostile() && result > 0) {
            change(buffer.asSlice(0, result), 0);
        }
        return result;
    }
}
