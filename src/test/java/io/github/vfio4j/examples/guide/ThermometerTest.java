package io.github.vfio4j.examples.guide;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.conformance.junit.EmulatedDevices;
import io.github.vfio4j.conformance.junit.EmulatedVfio;
import io.github.vfio4j.conformance.junit.ForEachKernel;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.RegionModel;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The tests of docs/testing-without-hardware.md. */
@EmulatedVfio(devices = ThermometerTest.Machine.class)
class ThermometerTest {

    // @start region="driver"
    /** What is tested: a driver of one method. */
    static final class Thermometer {
        static int celsius(Vfio vfio, PciAddress address) throws VfioException {
            try (VfioContainer container = vfio.openContainer(); VfioDevice device = container.openDevice(address)) {
                return device.region(DeviceRegion.BAR0).registers().get32(4);
            }
        }
    }
    // @end

    // @start region="model"
    /** The device: a register at 4 with the temperature, and nothing else. */
    static final class Model implements DeviceModel, RegionModel {
        @Override
        public Map<Integer, RegionModel> regions() {
            return Map.of(DeviceRegion.BAR0, this);
        }

        @Override
        public long read(long offset, int size) {
            return offset == 4 && size == 4 ? 21 : 0;
        }

        @Override
        public void write(long offset, int size, long value) {
            // read-only
        }
    }

    /** The machine it is in. */
    static final class Machine implements EmulatedDevices {
        @Override
        public void addTo(EmulatedKernel.Builder kernel) {
            kernel.pciFunction("0000:02:00.0",
                    function -> function.memoryBar(0, 4096).variantDriver("thermometer", Model::new));
        }
    }
    // @end

    private static final PciAddress ADDRESS = PciAddress.parse("0000:02:00.0");

    // @start region="tests"
    @Test
    void readsTheTemperature(Vfio vfio) throws VfioException {
        assertEquals(21, Thermometer.celsius(vfio, ADDRESS));
    }

    @ForEachKernel
    void doesSoOnEveryKernel(Vfio vfio) throws VfioException {
        assertEquals(21, Thermometer.celsius(vfio, ADDRESS));
    }

    @Test
    void reportsThatTheGroupIsInUse(Vfio vfio, FaultInjectingBackend faults) {
        faults.inject(Fault.onPath("/dev/vfio/0").fails(Errno.EBUSY));
        VfioException e = assertThrows(VfioException.class, () -> Thermometer.celsius(vfio, ADDRESS));
        assertTrue(e.is(Errno.EBUSY));
    }

    @Test
    void survivesTheFailureOfEveryCall(Vfio vfio, FaultInjectingBackend faults) throws VfioException {
        for (int n = 1;; n++) {
            faults.clear();
            faults.inject(Fault.onAnyCall().nth(n).fails(Errno.EIO));
            try {
                assertEquals(21, Thermometer.celsius(vfio, ADDRESS));
            } catch (VfioException e) {
                assertEquals(1, faults.injected(), e::getMessage);
            }
            if (faults.injected() == 0) {
                return; // it makes fewer calls than n: each has failed once
            }
        }
    }
    // @end
}
