package io.github.vfio4j.conformance;

import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/**
 * One step of a random program. It names its device by the place in the program's list, and a descriptor as the n-th of
 * those that are there when it is its turn: so a program from which steps have been taken away still is one. A step for
 * which there is nothing is passed over.
 */
sealed interface Step {

    /** A word of data that stands for an address in the memory passed along; the low half is the offset. */
    long MEMORY = 0x7a7a_7a7a_0000_0000L;
    /** A word of data that stands for a descriptor; the low half says which, {@link #NO_EVENTFD} one of another kind. */
    long DESCRIPTOR = 0x7b7b_7b7b_0000_0000L;
    /** A word that stands for the first half of a token, the next word being the other; the low half says which. */
    long TOKEN = 0x7c7c_7c7c_0000_0000L;
    int NO_EVENTFD = 3;

    /** What is not a device, in place of one. */
    int CONTAINER = -1;
    int GROUP = -2;
    int NULL_DEVICE = -3;
    int EVENTFD = -4;
    int DATA = -5;
    int NOTHING = -6;

    /** Opens one of the program's devices once more, with an ending behind its name. */
    record Open(int device, String ending) implements Step {
        @Override
        public String toString() {
            return "open device " + device + (ending.contains("vf_token=") ? " with a token" : "'" + ending + "'");
        }
    }

    /** Closes a descriptor of a device. */
    record Close(int device, int which) implements Step {
    }

    /**
     * VFIO_DEVICE_FEATURE.
     *
     * @param device
     *            its place, or one of the negative numbers
     * @param mapped
     *            how many bytes of the argument can be accessed
     * @param data
     *            64-bit words behind the header
     * @param memory
     *            64-bit words that the data can point to
     */
    record Feature(int device, int which, int mapped, int argsz, int flags, List<Long> data,
            List<Long> memory) implements Step {
        @Override
        public String toString() {
            return String.format("feature %d%s%s%s flags %#x argsz %s mapped %d on %d[%d] data %s memory %s",
                    flags & 0xffff, (flags & 1 << 16) != 0 ? " G" : "", (flags & 1 << 17) != 0 ? " S" : "",
                    (flags & 1 << 18) != 0 ? " P" : "", flags, Integer.toUnsignedString(argsz), mapped, device, which,
                    words(data), words(memory));
        }

        private static String words(List<Long> words) {
            return words.stream().map(HexFormat.of()::toHexDigits).collect(Collectors.joining(" ", "[", "]"));
        }
    }

    /** Another request of a device: VFIO_DEVICE_RESET, VFIO_DEVICE_GET_INFO. */
    record Request(int device, int which, int number, int argsz, int mapped) implements Step {
    }

    /** A call on a descriptor that a device has given out for its data. */
    record Transfer(Call call, int which, int length) implements Step {
        /** What is done; of a stream the beginning is written, of the rest what comes behind its header. */
        enum Call {
            READ, WRITE_STREAM, WRITE_REST, WRITE_ZEROS, PREAD, PWRITE, PRECOPY_INFO, CLOSE
        }
    }

    /** Writes the number of virtual functions. */
    record NumVfs(int count) implements Step {
    }
}
