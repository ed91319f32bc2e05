package io.github.vfio4j.emulation.vfio;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.FdTable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What no program can arrange: a group whose devices go while its file is being opened (semantics §E.2). */
class IommuGroupTest {

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.KernelProfile#all")
    void aGroupThatHasGoneIsNoDevice(KernelProfile kernel) {
        FdTable descriptors = new FdTable(1);
        IommuGroup group = new IommuGroup(kernel, 0);
        assertThat(group.open(descriptors, descriptors.reserve(), true, true)).isEqualTo(-Errno.ENODEV.code());
    }
}
