package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;

/**
 * The migration state machine: which single step comes next on the way from one state to another, given what the device
 * is capable of (semantics §B.2.5). A driver takes the steps one by one.
 */
public final class MigrationFsm {

    /** The device has failed; only a reset leads out. */
    public static final int ERROR = 0;
    /** Nothing moves. */
    public static final int STOP = 1;
    /** Normal operation. */
    public static final int RUNNING = 2;
    /** Stopped, and the state can be read. */
    public static final int STOP_COPY = 3;
    /** Stopped, and a state can be written. */
    public static final int RESUMING = 4;
    /** Runs, but starts no peer-to-peer DMA. */
    public static final int RUNNING_P2P = 5;
    /** Runs, and the state can be read in advance. */
    public static final int PRE_COPY = 6;
    /** Both of the last two. */
    public static final int PRE_COPY_P2P = 7;

    private static final int CAN_STOP_COPY = 1;
    private static final int CAN_P2P = 2;
    private static final int CAN_PRE_COPY = 4;

    /** What a device must be capable of to have a state; nothing is enough for ERROR. */
    private static final int[] NEEDED = {~0, CAN_STOP_COPY, CAN_STOP_COPY, CAN_STOP_COPY, CAN_STOP_COPY,
            CAN_STOP_COPY | CAN_P2P, CAN_STOP_COPY | CAN_PRE_COPY, CAN_STOP_COPY | CAN_P2P | CAN_PRE_COPY};

    /** Next step by state (row) and destination (column), for a device that has all states. ERROR: no way there. */
    private static final int[][] NEXT = {
            // ERROR, STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P
            {0, 0, 0, 0, 0, 0, 0, 0},
            {0, STOP, RUNNING_P2P, STOP_COPY, RESUMING, RUNNING_P2P, RUNNING_P2P, RUNNING_P2P},
            {0, RUNNING_P2P, RUNNING, RUNNING_P2P, RUNNING_P2P, RUNNING_P2P, PRE_COPY, RUNNING_P2P},
            {0, STOP, STOP, STOP_COPY, STOP, STOP, ERROR, ERROR}, {0, STOP, STOP, STOP, RESUMING, STOP, STOP, STOP},
            {0, STOP, RUNNING, STOP, STOP, RUNNING_P2P, RUNNING, PRE_COPY_P2P},
            {0, RUNNING, RUNNING, PRE_COPY_P2P, RUNNING, RUNNING, PRE_COPY, PRE_COPY_P2P},
            {0, RUNNING_P2P, RUNNING_P2P, STOP_COPY, RUNNING_P2P, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P}};

    private MigrationFsm() {
    }

    /** The next step, or −EINVAL where there is no such state or no way there. */
    public static int nextState(int current, int destination, int flags) {
        if (!exists(current, flags) || !exists(destination, flags)) {
            return -Errno.EINVAL.code();
        }
        int next = NEXT[current][destination];
        while (next != ERROR && !exists(next, flags)) {
            next = NEXT[next][destination];
        }
        return next == ERROR ? -Errno.EINVAL.code() : next;
    }

    private static boolean exists(int state, int flags) {
        return state > ERROR && state < NEEDED.length && (NEEDED[state] & flags) == NEEDED[state];
    }
}
