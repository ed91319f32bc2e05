package io.github.vfio4j.faults;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.ByteArrayOutputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;

/** What tests of input at random have in common: how input comes about, and what it may cost. */
public final class Fuzz {

    private static final long MOST_BYTES = 64 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** Something that is done with input. */
    public interface Step {
        void make() throws Exception;
    }

    private Fuzz() {
    }

    /** Does it, without much memory. */
    public static void inProportion(Step step) throws Exception {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        step.make();
        assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).as("bytes allocated").isLessThan(MOST_BYTES);
    }

    /** Bytes are replaced, repeated, cut out; numbers become others, and words those of other places. */
    public static byte[] mutated(byte[] valid, SplittableRandom random) {
        byte[] bytes = valid.clone();
        int times = 1 + random.nextInt(8);
        for (int i = 0; i < times && bytes.length > 0; i++) {
            int at = random.nextInt(bytes.length);
            int length = Math.min(1 + random.nextInt(random.nextInt(4) == 0 ? 2000 : 8), bytes.length - at);
            int from = random.nextInt(bytes.length - length + 1);
            switch (random.nextInt(6)) {
                case 0 -> bytes[at] = (byte) random.nextInt();
                case 1 -> bytes[at] = (byte) "{}[]:,\"0123456789-eE.xfn\\u\n".charAt(random.nextInt(26));
                case 2 -> System.arraycopy(bytes, from, bytes, at, length);
                case 3 -> bytes = joined(bytes, at, at + length, new byte[0]);
                case 4 -> bytes = joined(bytes, at, at, Arrays.copyOfRange(bytes, from, from + length));
                default -> bytes = joined(bytes, at, at,
                        new String[]{"99999999999", "2147483647", "-1", "4294967295", "9223372036854775807", "null",
                                "\"fd\"", "[[[[", "\"0x3b75\"", "1e999"}[random.nextInt(10)]
                                .getBytes(StandardCharsets.UTF_8));
            }
        }
        return bytes;
    }

    private static byte[] joined(byte[] bytes, int end, int begin, byte[] between) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(bytes, 0, end);
        out.writeBytes(between);
        out.write(bytes, begin, bytes.length - begin);
        return out.toByteArray();
    }
}
