package io.github.vfio4j.emulation.mdev;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** mtty's migration stream: a header, then the state of each serial port (semantics §B.8). */
final class MttyData {

    /** Bytes of the header. */
    static final int HEADER_SIZE = 24;

    private static final long MAGIC = 0x7e9d_0989_8c3e_2c4eL;
    private static final int MAJOR = 1;
    private static final int MINOR = 0;
    private static final int PORT_SIZE = 36;
    private static final int MAX_FIFO_SIZE_AT = 33;
    private static final byte FRESH_FIFO_SIZE = 16;

    private final int ports;
    private final byte[] portData;

    MttyData(int ports) {
        this.ports = ports;
        portData = new byte[ports * PORT_SIZE];
        for (int port = 0; port < ports; port++) {
            portData[port * PORT_SIZE + MAX_FIFO_SIZE_AT] = FRESH_FIFO_SIZE;
        }
    }

    /** Bytes of a whole stream. */
    int streamSize() {
        return HEADER_SIZE + portData.length;
    }

    /** The header alone. */
    byte[] header() {
        return ByteBuffer.allocate(HEADER_SIZE).order(ByteOrder.LITTLE_ENDIAN).putLong(MAGIC).putInt(MAJOR)
                .putInt(MINOR).putInt(ports).array();
    }

    /** What follows the header. */
    byte[] ports() {
        return portData.clone();
    }

    /** Whether a stream's header is that of such a device. */
    boolean matches(byte[] stream) {
        ByteBuffer header = ByteBuffer.wrap(stream).order(ByteOrder.LITTLE_ENDIAN);
        return header.getLong() == MAGIC && header.getInt() == MAJOR && header.getInt() == MINOR
                && header.getInt() == ports && header.getInt() == 0;
    }

    /** Takes over what a stream holds. */
    void load(byte[] stream) {
        System.arraycopy(stream, HEADER_SIZE, portData, 0, portData.length);
    }
}
