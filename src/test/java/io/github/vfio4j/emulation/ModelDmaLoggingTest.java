package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.ModelledFunction.GET;
import static io.github.vfio4j.emulation.ModelledFunction.SET;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** DMA logging of a device with a model: what the kernel hands on, and what becomes of the bitmap (semantics §B.4). */
class ModelDmaLoggingTest {

    private static final KernelProfile LINUX_6_1 = KernelProfile.LINUX_6_1;
    private static final KernelProfile LINUX_7_2 = KernelProfile.LINUX_7_2.withIommufdDriver();

    /** Bytes of a page of the memory in which the bitmap is. */
    private static final long MEMORY_PAGE = 4096;

    /** Notes what it is asked, and reports the same ranges as dirty whatever it is asked about. */
    private static final class Logger implements DeviceModel, DmaLoggingModel {

        private final List<String> calls = new ArrayList<>();
        private final List<Range> dirty = new ArrayList<>();
        private long pageSize;
        private @Nullable DeviceFailure failure;

        @Override
        public DmaLoggingModel dmaLogging() {
            return this;
        }

        private void note(String call) throws DeviceFailure {
            calls.add(call);
            if (failure != null) {
                throw failure;
            }
        }

        @Override
        public long start(List<Range> ranges, long wanted) throws DeviceFailure {
            note("start " + ranges + " " + wanted);
            return pageSize == 0 ? wanted : pageSize;
        }

        @Override
        public void stop() throws DeviceFailure {
            note("stop");
        }

        @Override
        public void report(long iova, long length, DirtyRanges ranges) throws DeviceFailure {
            dirty.forEach(range -> ranges.add(range.iova(), range.length()));
            note("report " + Long.toHexString(iova) + " " + Long.toHexString(length));
        }
    }

    private final Logger model = new Logger();

    private static Stream<KernelProfile> kernels() {
        return Stream.of(LINUX_6_1, KernelProfile.LINUX_6_12.withIommufdDriver(), LINUX_7_2);
    }

    private static String start(ModelledFunction device, MemorySegment request, long pageSize,
            long... rangesAndLengths) {
        MemorySegment ranges = device.memory(rangesAndLengths.length * 8L);
        MemorySegment.copy(rangesAndLengths, 0, ranges, JAVA_LONG, 0, rangesAndLengths.length);
        request.set(JAVA_LONG, 8, pageSize);
        request.set(JAVA_INT, 16, rangesAndLengths.length / 2);
        request.set(JAVA_INT, 20, -1);
        request.set(JAVA_LONG, 24, ranges.address());
        return device.send(request, ranges);
    }

    private static String report(ModelledFunction device, long iova, long length, long pageSize, MemorySegment bitmap) {
        MemorySegment request = device.request(8 | GET, 32);
        request.set(JAVA_LONG, 8, iova);
        request.set(JAVA_LONG, 16, length);
        request.set(JAVA_LONG, 24, pageSize);
        request.set(JAVA_LONG, 32, bitmap.address());
        return device.send(request, bitmap);
    }

    private static BitSet bits(MemorySegment bitmap) {
        return BitSet.valueOf(ModelledFunction.bytes(bitmap));
    }

    private static BitSet range(int from, int to) {
        BitSet bits = new BitSet();
        bits.set(from, to);
        return bits;
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void theDeviceChoosesThePageSize(KernelProfile kernel) {
        try (ModelledFunction device = new ModelledFunction(kernel, model)) {
            MemorySegment request = device.request(6 | SET, 24);
            assertThat(start(device, request, 4096, 0x1000, 0x2000, 0x10000, 0)).isEqualTo("0");
            assertThat(request.get(JAVA_LONG, 8)).isEqualTo(4096);
            model.pageSize = 65536;
            assertThat(start(device, request, 3, 0x1001, 0x2001)).isEqualTo("0");
            assertThat(request.get(JAVA_LONG, 8)).isEqualTo(65536);
            assertThat(request.get(JAVA_INT, 16)).isEqualTo(1);
            assertThat(request.get(JAVA_INT, 20)).as("reserved").isEqualTo(-1);
            assertThat(model.calls).containsExactly(
                    "start [Range[iova=4096, length=8192], Range[iova=65536, length=0]] 4096",
                    "start [Range[iova=4097, length=8193]] 3");
        }
    }

    @Test
    void whatTheKernelRefusesDoesNotReachTheDevice() {
        try (ModelledFunction device = new ModelledFunction(LINUX_7_2, model)) {
            MemorySegment request = device.request(6 | SET, 24);
            assertThat(start(device, request, 4096)).isEqualTo("EINVAL");
            assertThat(start(device, request, 4096, 0x1000, 0x1001)).isEqualTo("EINVAL");
            assertThat(start(device, request, 4096, 0x1000, 0x2000, 0x2000, 0x1000)).isEqualTo("EINVAL");
            assertThat(start(device, request, 4096, -4096L, 4096)).isEqualTo("EOVERFLOW");
            assertThat(report(device, 0, 4096, 2048, device.memory(8))).isEqualTo("EINVAL");
            assertThat(report(device, 0, 4096, 4097, device.memory(8))).isEqualTo("EINVAL");
            assertThat(report(device, -4096L, 4096, 4096, device.memory(8))).isEqualTo("EOVERFLOW");
            assertThat(model.calls).isEmpty();
        }
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void theDevicesFailureIsTheAnswer(KernelProfile kernel) {
        model.failure = new DeviceFailure(Errno.EBUSY);
        model.pageSize = 65536;
        model.dirty.add(new DmaLoggingModel.Range(0x3000, 1));
        try (ModelledFunction device = new ModelledFunction(kernel, model)) {
            MemorySegment request = device.request(6 | SET, 24);
            assertThat(start(device, request, 4096, 0x1000, 0x1000)).isEqualTo("EBUSY");
            assertThat(request.get(JAVA_LONG, 8)).as("nothing is written").isEqualTo(4096);
            assertThat(device.send(7 | SET, 0)).isEqualTo("EBUSY");
            MemorySegment bitmap = device.memory(8);
            assertThat(report(device, 0, 0x10000, 4096, bitmap)).isEqualTo("EBUSY");
            assertThat(bits(bitmap)).as("bits set before the failure stay").isEqualTo(range(3, 4));
            model.failure = null;
            assertThat(device.send(7 | SET, 0)).isEqualTo("0");
        }
    }

    @ParameterizedTest
    // iova and length reported on, page size, dirty range | first bit, bit behind the last
    @CsvSource({"0, 40000, 1000, 3000, 1, 3, 4", "0, 40000, 1000, 3fff, 2, 3, 5", "0, 40000, 2000, 3fff, 2, 1, 3",
            "0, 40000, 10000, 0, 40000, 0, 4", "10000, 40000, 1000, 12000, 1000, 2, 3",
            // What lies outside is left out, on either side and on both.
            "10000, 4000, 1000, 0, 12000, 0, 2", "10000, 4000, 1000, 13000, 50000, 3, 4",
            "10000, 4000, 1000, 0, ffffffffffffffff, 0, 4", "10000, 4000, 1000, 8000, 8000, 0, 0",
            "10000, 4000, 1000, 14000, 1000, 0, 0", "10000, 4000, 1000, 11000, 0, 0, 0",
            "10000, 4000, 1000, 11000, ffffffffffffffff, 1, 4",
            // A part of a page, and addresses of which the upper half is in use.
            "10000, 3001, 1000, 13000, 1000, 3, 4", "fffffffffff00000, f0000, 1000, fffffffffff08000, 8000, 8, 16",
            "0, 8000000000000000, 8000000000000000, 1000, 1, 0, 1",
            "0, c000000000000000, 4000000000000000, 4000000000000000, 8000000000000000, 1, 3"})
    void eachBitStandsForAPage(String iova, String length, String pageSize, String dirty, String dirtyLength, int from,
            int to) {
        model.dirty.add(new DmaLoggingModel.Range(hex(dirty), hex(dirtyLength)));
        for (KernelProfile kernel : kernels().toList()) {
            try (ModelledFunction device = new ModelledFunction(kernel, model)) {
                MemorySegment bitmap = device.memory(32);
                assertThat(report(device, hex(iova), hex(length), hex(pageSize), bitmap)).isEqualTo("0");
                assertThat(bits(bitmap)).as(kernel.toString()).isEqualTo(range(from, to));
            }
        }
    }

    private static long hex(String number) {
        return Long.parseUnsignedLong(number, 16);
    }

    @Test
    void bitsAreOnlySet() {
        model.dirty.add(new DmaLoggingModel.Range(0x1000, 0x1000));
        try (ModelledFunction device = new ModelledFunction(LINUX_7_2, model)) {
            MemorySegment bitmap = device.memory(8).fill((byte) 0xf0);
            assertThat(report(device, 0, 0x40000, 4096, bitmap)).isEqualTo("0");
            assertThat(ModelledFunction.bytes(bitmap)).startsWith(0xf2, 0xf0).endsWith(0xf0);
        }
    }

    @Test
    void aBitmapThatIsCutOffIsSilentlyCutOffSince612() {
        model.dirty.add(new DmaLoggingModel.Range(0, 0x80000));
        try (ModelledFunction device = new ModelledFunction(LINUX_7_2, model)) {
            MemorySegment bitmap = device.memory(8);
            assertThat(report(device, 0, 0x80000, 4096, bitmap)).isEqualTo("0");
            assertThat(bits(bitmap)).isEqualTo(range(0, 64));
            assertThat(report(device, 0, 0x80000, 4096, MemorySegment.NULL)).isEqualTo("0");
            assertThat(report(device, 0, 0, 4096, bitmap)).isEqualTo("0");
            assertThat(model.calls).containsExactly("report 0 80000", "report 0 80000", "report 0 0");
        }
    }

    @Test
    void aBitmapThatIsCutOffIsFoundOutOnTheWayOn61() {
        model.dirty.add(new DmaLoggingModel.Range(0, 0x80000));
        try (ModelledFunction device = new ModelledFunction(LINUX_6_1, model)) {
            MemorySegment bitmap = device.memory(8);
            assertThat(report(device, 0, 0x80000, 4096, bitmap)).isEqualTo("EFAULT");
            assertThat(bits(bitmap)).as("what there was room for").isEqualTo(range(0, 64));
            assertThat(report(device, 0, 0x80000, 4096, MemorySegment.NULL)).isEqualTo("EFAULT");
            assertThat(model.calls).containsExactly("report 0 40000");
            assertThatExceptionOfType(NotModelledException.class)
                    .isThrownBy(() -> report(device, 0, 0, 4096, device.memory(8)));
        }
    }

    /** 6.1 pins 512 pages of a bitmap at a time, which is 2 MiB less what the first page does not hold of it. */
    @ParameterizedTest
    // page size, where in its page the bitmap begins, addresses of the first part
    @CsvSource({"1000, 0, 1000000000", "1000, 8, ffffc0000", "10000, 0, 10000000000", "1000, ff8, ff8040000"})
    void aReportOfManyPagesComesInPartsOn61(String pageSize, String offset, String firstPart) {
        long page = hex(pageSize);
        long offsetInPage = hex(offset);
        long window = hex(firstPart);
        long length = window + 64 * page;
        model.dirty.add(new DmaLoggingModel.Range(window - page, 2 * page));
        for (KernelProfile kernel : List.of(LINUX_6_1, LINUX_7_2)) {
            model.calls.clear();
            try (ModelledFunction device = new ModelledFunction(kernel, model)) {
                MemorySegment memory = device.memory(514 * MEMORY_PAGE);
                long start = Math.ceilDiv(memory.address(), MEMORY_PAGE) * MEMORY_PAGE - memory.address();
                MemorySegment bitmap = memory.asSlice(start + offsetInPage, window / page / 8 + 8);
                assertThat(report(device, 0, length, page, bitmap)).isEqualTo("0");
                long bit = window / page;
                assertThat(bits(bitmap)).isEqualTo(range((int) bit - 1, (int) bit + 1));
                assertThat(model.calls).containsExactlyElementsOf(kernel == LINUX_7_2
                        ? List.of("report 0 " + Long.toHexString(length))
                        : List.of("report 0 " + Long.toHexString(window),
                                "report " + Long.toHexString(window) + " " + Long.toHexString(64 * page)));
            }
        }
    }
}
