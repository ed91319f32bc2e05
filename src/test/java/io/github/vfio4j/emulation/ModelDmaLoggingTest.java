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
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.LongStream;
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

    @ParameterizedTest
    // flags, size of the data, bytes of it that are mapped | answer
    @CsvSource({"0x40006, 0, 0, 0", "0x60006, 0, 0, 0", "0x50006, 24, 24, EINVAL", "0x10006, 24, 24, EINVAL",
            "0x20006, 23, 24, EINVAL", "0x20006, 23, 0, EINVAL", "0x20006, 24, 23, EFAULT", "0x20006, 24, 0, EFAULT",
            "0x40007, 0, 0, 0", "0x60007, 0, 0, 0", "0x50007, 0, 0, EINVAL", "0x10007, 0, 0, EINVAL",
            "0x40008, 0, 0, 0", "0x50008, 0, 0, 0", "0x60008, 32, 32, EINVAL", "0x20008, 32, 32, EINVAL",
            "0x10008, 31, 32, EINVAL", "0x10008, 31, 0, EINVAL", "0x10008, 32, 31, EFAULT", "0x10008, 32, 0, EFAULT"})
    void operationsAndSizesAreCheckedBeforeTheData(String flags, int dataSize, int mapped, String answer) {
        for (KernelProfile kernel : kernels().toList()) {
            try (ModelledFunction device = new ModelledFunction(kernel, model)) {
                MemorySegment request = device.memory(8L + mapped);
                request.set(JAVA_INT, 0, 8 + dataSize);
                request.set(JAVA_INT, 4, Integer.decode(flags));
                assertThat(device.send(request)).as(kernel.toString()).isEqualTo(answer);
                assertThat(model.calls).isEmpty();
            }
        }
    }

    @ParameterizedTest
    // pairs of IOVA and length, for a page size of 1 | answer
    @CsvSource({"1000 1000 2000 1000, 0", "2000 1000 1000 1000, 0", "1000 1000 1fff 1, EINVAL",
            "1fff 1 1000 1000, EINVAL", "1000 1000 fff 1, 0", "1000 1000 fff 2, EINVAL", "1000 1000 1000 1000, EINVAL",
            // An empty range counts from its address to the one before: at 0, that is everything.
            "0 0 5000 1, EINVAL", "5000 1 0 0, EINVAL", "1000 0 0 1000, 0", "1000 0 1000 1000, 0",
            "1000 0 fff 2, EINVAL", "1000 0 1000 0, 0"})
    void rangesDoNotOverlap(String ranges, String answer) {
        try (ModelledFunction device = new ModelledFunction(LINUX_7_2, model)) {
            long[] numbers = Stream.of(ranges.split(" ", -1)).mapToLong(ModelDmaLoggingTest::hex).toArray();
            assertThat(start(device, device.request(6 | SET, 24), 1, numbers)).isEqualTo(answer);
        }
    }

    @Test
    void asManyRangesAsFitAPage() {
        try (ModelledFunction device = new ModelledFunction(LINUX_7_2, model)) {
            MemorySegment request = device.request(6 | SET, 24);
            long[] ranges = LongStream.range(0, 256).flatMap(i -> LongStream.of(i * 4096, 4096)).toArray();
            assertThat(start(device, request, 4096, ranges)).isEqualTo("0");
            assertThat(start(device, request, 4096, Arrays.copyOf(ranges, 514))).isEqualTo("E2BIG");
            request.set(JAVA_INT, 16, -1);
            assertThat(device.send(request)).isEqualTo("E2BIG");
            // The ranges are read one by one: a bad one is found before a missing one.
            MemorySegment two = device.memory(24);
            request.set(JAVA_INT, 16, 2);
            request.set(JAVA_LONG, 24, two.address());
            assertThat(device.send(request)).as("no memory there").isEqualTo("EFAULT");
            assertThat(device.send(request, two)).as("the second is cut off").isEqualTo("EFAULT");
            two.set(JAVA_LONG, 0, 1);
            assertThat(device.send(request, two)).isEqualTo("EINVAL");
            assertThat(model.calls).hasSize(1);
        }
    }

    @ParameterizedTest
    // iova, length, page size | answer
    @CsvSource({"0, 1000, 1000, EOPNOTSUPP", "0, 0, 1000, EOPNOTSUPP", "0, 1000, 800, EINVAL",
            "fffffffffffff000, 1000, 1000, EOVERFLOW"})
    void withoutAnIommufdDriverThereIsNoBitmapSince612(String iova, String length, String pageSize, String answer) {
        for (KernelProfile kernel : List.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2)) {
            try (ModelledFunction device = new ModelledFunction(kernel, model)) {
                assertThat(report(device, hex(iova), hex(length), hex(pageSize), device.memory(8))).isEqualTo(answer);
                assertThat(model.calls).isEmpty();
            }
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
            assertThat(report(device, 0, 0x3ffff, 4096, bitmap)).as("the last page counts in full").isEqualTo("0");
            assertThat(model.calls).containsExactly("report 0 40000", "report 0 3ffff");
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
                // There is more memory behind the last word in use.
                MemorySegment bitmap = memory.asSlice(start + offsetInPage, window / page / 8 + 16);
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
