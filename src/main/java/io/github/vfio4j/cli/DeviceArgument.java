package io.github.vfio4j.cli;

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

    /** By its address. */
    record PciFunction(PciAddress address) implements DeviceArgument {

        @Override
        public VfioDevice open(VfioContainer container, @Nullable VfToken token) throws VfioException {
            return token == null ? container.openDevice(address) : container.openDevice(address, token);
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
                throw new VfioException("open " + uuid, null, "A mediated device takes no VF token: leave it out");
            }
            return container.openMediatedDevice(uuid);
        }

        @Override
        public String toString() {
            return uuid.toString();
        }
    }
}
