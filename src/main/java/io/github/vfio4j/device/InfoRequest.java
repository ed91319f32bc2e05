package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** A request for information whose answer can be followed by capabilities: made again with the room the kernel asks for. */
record InfoRequest(DeviceHandle device, String operation, long request, long size, long flagsOffset,
        int capabilitiesFlag, long chainOffset) {

    /** More is no answer: the largest chains of the kernel's drivers have some hundreds of bytes. */
    private static final long MOST = 1 << 20;

    /** How often the kernel may ask for more room: what is told of a device does not grow for ever. */
    private static final int MOST_TIMES = 8;

    /** The answer in memory of the arena, as long as the kernel says it is. */
    MemorySegment make(Arena arena, Consumer<MemorySegment> filling, Map<Errno, String> remedies) throws VfioException {
        long room = size;
        for (int times = 0; times < MOST_TIMES; times++) {
            MemorySegment argument = arena.allocate(room, Long.BYTES);
            filling.accept(argument);
            argument.set(JAVA_INT, 0, (int) room);
            device.check(operation, device.ioctl(request, argument), remedies);
            long wanted = Integer.toUnsignedLong(argument.get(JAVA_INT, 0));
            if (wanted <= room) {
                return argument;
            }
            if (wanted > MOST) {
                throw CapabilityChain.malformed(operation, wanted + " bytes of it");
            }
            room = wanted;
        }
        throw CapabilityChain.malformed(operation, "it is longer each time it is asked for, " + room + " bytes now");
    }

    /** The capabilities of an answer. */
    List<InfoCapability> capabilities(MemorySegment answer) throws VfioException {
        boolean any = (answer.get(JAVA_INT, flagsOffset) & capabilitiesFlag) != 0;
        return any ? CapabilityChain.read(operation, answer, size, answer.get(JAVA_INT, chainOffset)) : List.of();
    }
}
