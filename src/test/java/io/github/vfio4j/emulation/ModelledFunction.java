package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.device.DeviceModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A function with a model and a variant driver, opened by a program: requests with the bytes they leave. */
final class ModelledFunction implements AutoCloseable {

    static final int GET = 1 << 16;
    static final int SET = 1 << 17;
    static final int PROBE = 1 << 18;

    private static final int MIG_DEVICE_STATE = 2;

    private final Arena arena = Arena.ofShared();
    private final Program program;
    private int device;
    private int dataFd = -1;

    ModelledFunction(KernelProfile kernel, DeviceModel model) {
        program = Program.on(EmulatedKernel.builder(kernel).descriptorLimit(16).pciFunction(Program.PLAIN,
                function -> function.variantDriver("model-vfio-pci", () -> model)));
        device = program.device(Program.PLAIN);
    }

    Program program() {
        return program;
    }

    /** Closes the device for good, and opens it anew. */
    void reopen() {
        program.close(device);
        device = program.device(Program.PLAIN);
    }

    MemorySegment memory(long size) {
        return arena.allocate(size, 8);
    }

    /** The memory of a feature request. */
    MemorySegment request(int flags, int dataSize) {
        MemorySegment request = memory(8L + dataSize);
        request.set(JAVA_INT, 0, 8 + dataSize);
        request.set(JAVA_INT, 4, flags);
        return request;
    }

    String send(MemorySegment request, MemorySegment... pointees) {
        return answer(program.process().ioctl(device, VFIO_DEVICE_FEATURE(), request, pointees));
    }

    /** Sends a request without data, or one whose data does not matter. */
    String send(int flags, int dataSize) {
        return send(request(flags, dataSize));
    }

    /** The state that feature 2 tells. */
    int state() {
        MemorySegment request = request(MIG_DEVICE_STATE | GET, 8);
        assertThat(send(request)).isEqualTo("0");
        assertThat(request.get(JAVA_INT, 12)).isEqualTo(-1);
        return request.get(JAVA_INT, 8);
    }

    /** Asks for a state: {@code 0}, {@code fd} if there is a new data descriptor, or the name of the errno. */
    String set(int state) {
        MemorySegment request = request(MIG_DEVICE_STATE | SET, 8);
        request.set(JAVA_INT, 8, state);
        request.set(JAVA_INT, 12, 1234);
        String answer = send(request);
        assertThat(request.get(JAVA_INT, 8)).as("the state asked for").isEqualTo(state);
        int fd = request.get(JAVA_INT, 12);
        if (!answer.equals("0")) {
            assertThat(fd).as("the descriptor of a failed change").isEqualTo(answer.equals("EMFILE") ? 1234 : -1);
            return answer;
        }
        if (fd == -1) {
            return answer;
        }
        assertThat(fd).isGreaterThan(2);
        dataFd = fd;
        return "fd";
    }

    /** The data descriptor that came last. */
    int dataFd() {
        return dataFd;
    }

    String read(int fd, int length) {
        return answer(program.process().read(fd, memory(length)));
    }

    String write(int fd, int length) {
        return answer(program.process().write(fd, memory(length)));
    }

    /** MIG_GET_PRECOPY_INFO. */
    String precopyInfo(int fd, MemorySegment info) {
        return answer(program.process().ioctl(fd, 0x3b79, info));
    }

    String reset() {
        return answer(program.ioctl(device, VFIO_DEVICE_RESET()));
    }

    static byte[] bytes(MemorySegment memory) {
        return memory.toArray(JAVA_BYTE);
    }

    @Override
    public void close() {
        program.process().close();
        arena.close();
    }
}
