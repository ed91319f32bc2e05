package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DmaFault;
import io.github.vfio4j.emulation.feature.ModelledDevice;
import io.github.vfio4j.emulation.iommu.DmaTarget;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** The machine as a function on vfio-pci sees it. While nobody has the function open, nobody hears its interrupts. */
record PciHost(PciFunction function, @Nullable ModelledDevice model, PciIrqs irqs) implements DeviceHost {

    @Override
    public void interrupt(int vector) {
        irqs.message(vector);
    }

    @Override
    public void intx(boolean asserted) {
        irqs.assertIntx(asserted);
    }

    @Override
    public void error() {
        irqs.error();
    }

    @Override
    public boolean isBusMaster() {
        return function.hardware().isBusMaster();
    }

    @Override
    public void dmaRead(long iova, MemorySegment target) throws DmaFault {
        dma(iova).access(iova, target, false);
    }

    @Override
    public void dmaWrite(long iova, MemorySegment source) throws DmaFault {
        dma(iova).access(iova, source, true);
    }

    private DmaTarget dma(long iova) throws DmaFault {
        if (!isBusMaster()) {
            throw new DmaFault(iova, "the function may not act as bus master (PciConfigSpace.setBusMaster)");
        }
        CoreDevice device = function.vfioDevice();
        DmaTarget target = device == null ? null : device.dmaTarget();
        if (target == null) {
            throw new DmaFault(iova, "the function is in no container and attached to no address space");
        }
        return target;
    }

    @Override
    public MemorySegment memory(int bar) {
        BarMemory memory = function.hardware().memory(bar);
        if (memory == null || (model != null && model.regions().containsKey(bar))) {
            throw new IllegalArgumentException(
                    "The function " + function.address() + " has no memory in a BAR " + bar + " that is not a model's");
        }
        return memory.lastingMemory();
    }
}
