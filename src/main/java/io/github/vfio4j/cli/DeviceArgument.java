package io.github.vfio4j.cli;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A device as it is named on the command line. */
sealed interface DeviceArgument {

    /** As the JDK's parser takes many a text that is no UUID. */
    Pattern UUID_TEXT = Pattern.compile("\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}");

    /** The device of a name. */
    static DeviceArgument parse(String name) {
        return UUID_TEXT.matcher(name).matches()
                ? new MediatedDevice(UUID.fromString(name))
                : new PciFunction(PciAddress.parse(name));
    }

    /** Opens it. */
    VfioDevice open(VfioContainer container, @Nullable VfToken token) throws VfioException;

    /**
     * That there is no such device. A UUID is not repeated then: it may be a VF token that has got into the wrong place, and
     * what is printed may get into a log.
     *
     * @param operation
     *            what was to be done with it
     * @param remedy
     *            where to find one
     */
    VfioException absent(String operation, String remedy);

    /** By its address. */
    record PciFunction(PciAddress address) implements DeviceArgument {

        @Override
        public VfioDevice open(VfioContainer container, @Nullable VfToken token) throws VfioException {
            return token == null ? container.openDevice(address) : container.openDevice(address, token);
        }

        @Override
        public VfioException absent(String operation, String remedy) {
            return new VfioException(operation + " " + address, Errno.ENODEV, remedy);
        }

        @Override
        public String toString() {
            return address.toString();
        }
    }

    /** By its UUID. */
    record MediatedDevice(UUID uuid) implements DeviceArgument {

        @Override
        public VfioDevice open(VfioContainer container, @Nullable VfToken token) throws VfioException {
            if (token != null) {
                throw new VfioException("open a mediated device", null, "It takes no VF token: leave it out");
            }
            try {
                return container.openMediatedDevice(uuid);
            } catch (VfioException e) {
                throw e.is(Errno.ENODEV)
                        ? absent("open", "'ls /sys/bus/mdev/devices' lists those there are, and each needs a driver")
                        : e;
            }
        }

        @Override
        public VfioException absent(String operation, String remedy) {
            return new VfioException(operation + " a mediated device", Errno.ENODEV,
                    "There is none with this UUID; " + remedy);
        }

        @Override
        public String toString() {
            return uuid.toString();
        }
    }
}
