package io.github.vfio4j.device;

import io.github.vfio4j.VfioException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The views of a device's memory that exist, so that they are closed before the device stops answering: touching mapped
 * memory that does not answer is SIGBUS, which ends the JVM; a closed view is an exception. Safe for use by many threads.
 */
public final class DeviceViews {

    /** Something that is done while there are no views.
     *
     * @param <T>
     *            what comes of it
     */
    public interface Action<T> {

        /**
         * Does it.
         *
         * @return what comes of it
         * @throws VfioException
         *             if the kernel refuses
         */
        T run() throws VfioException;
    }

    private final Set<RegionView> views = new LinkedHashSet<>();
    private @Nullable String forbidden;

    /** None at first. */
    public DeviceViews() {
        // Nothing else to be done.
    }

    /** Makes a view, unless none may be made now. */
    synchronized RegionView add(Action<RegionView> making) throws VfioException {
        if (forbidden != null) {
            throw new IllegalStateException("No memory of the device can be mapped: " + forbidden);
        }
        RegionView view = making.run();
        views.add(view);
        return view;
    }

    synchronized void remove(RegionView view) {
        views.remove(view);
    }

    /**
     * How many there are.
     *
     * @return a number from 0 on
     */
    public synchronized int size() {
        return views.size();
    }

    /**
     * Closes all views and does something before there can be new ones.
     *
     * @param reason
     *            what later use of a view is told, for example {@code the device was reset}
     * @param action
     *            what is to be done
     * @param <T>
     *            what comes of it
     * @return what came of it
     * @throws VfioException
     *             what that threw
     */
    public synchronized <T> T closeAllFor(String reason, Action<T> action) throws VfioException {
        closeAll(reason);
        return action.run();
    }

    /**
     * From now on there are none, and none can be made.
     *
     * @param reason
     *            why, for the exceptions
     */
    public synchronized void forbid(String reason) {
        forbidden = reason;
        closeAll(reason);
    }

    /** Views can be made again. */
    public synchronized void allow() {
        forbidden = null;
    }

    private synchronized void closeAll(String reason) {
        new ArrayList<>(views).forEach(view -> view.close(reason));
        views.clear();
    }
}
