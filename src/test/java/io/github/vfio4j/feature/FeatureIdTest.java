package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.vfio4j.VfToken;
import io.github.vfio4j.uapi.vfio_device_feature_bus_master;
import io.github.vfio4j.uapi.vfio_device_feature_dma_buf;
import io.github.vfio4j.uapi.vfio_device_feature_dma_logging_control;
import io.github.vfio4j.uapi.vfio_device_feature_dma_logging_report;
import io.github.vfio4j.uapi.vfio_device_feature_mig_data_size;
import io.github.vfio4j.uapi.vfio_device_feature_mig_state;
import io.github.vfio4j.uapi.vfio_device_feature_migration;
import io.github.vfio4j.uapi.vfio_device_low_power_entry_with_wakeup;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class FeatureIdTest {

    static List<FeatureId> known() {
        return FeatureId.known();
    }

    static Stream<Arguments> layouts() {
        return Stream.of(Arguments.of(FeatureId.PCI_VF_TOKEN, (long) VfToken.BYTE_SIZE),
                Arguments.of(FeatureId.MIGRATION, vfio_device_feature_migration.sizeof()),
                Arguments.of(FeatureId.MIG_DEVICE_STATE, vfio_device_feature_mig_state.sizeof()),
                Arguments.of(FeatureId.LOW_POWER_ENTRY, 0L),
                Arguments.of(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP, vfio_device_low_power_entry_with_wakeup.sizeof()),
                Arguments.of(FeatureId.LOW_POWER_EXIT, 0L),
                Arguments.of(FeatureId.DMA_LOGGING_START, vfio_device_feature_dma_logging_control.sizeof()),
                Arguments.of(FeatureId.DMA_LOGGING_STOP, 0L),
                Arguments.of(FeatureId.DMA_LOGGING_REPORT, vfio_device_feature_dma_logging_report.sizeof()),
                Arguments.of(FeatureId.MIG_DATA_SIZE, vfio_device_feature_mig_data_size.sizeof()),
                Arguments.of(FeatureId.BUS_MASTER, vfio_device_feature_bus_master.sizeof()),
                Arguments.of(FeatureId.DMA_BUF, vfio_device_feature_dma_buf.sizeof()),
                Arguments.of(FeatureId.MIG_PRECOPY_INFOV2, 0L));
    }

    @ParameterizedTest
    @MethodSource("layouts")
    void theLeastDataIsTheSizeOfTheFeaturesLayout(FeatureId feature, long size) {
        assertThat(feature.minimumPayload()).isEqualTo((int) size);
    }

    @Test
    void everyKnownFeatureHasItsLayoutAbove() {
        assertThat(layouts().map(arguments -> arguments.get()[0])).containsExactlyElementsOf(FeatureId.known());
    }

    @ParameterizedTest
    @MethodSource("known")
    void nameAndIndexAreThoseOfTheHeader(FeatureId feature) throws ReflectiveOperationException {
        Object value = vfio_h.class.getMethod("VFIO_DEVICE_FEATURE_" + feature.name()).invoke(null);
        assertThat(value).isEqualTo(feature.index());
        assertThat(feature).hasToString(feature.name());
    }

    @Test
    void theKnownOnesAreThoseOfLinux72InOrder() {
        assertThat(FeatureId.known()).extracting(FeatureId::index)
                .isEqualTo(IntStream.rangeClosed(0, 12).boxed().toList());
    }

    @Test
    void everyConstantIsKnown() {
        List<Object> constants = Arrays.stream(FeatureId.class.getFields())
                .filter(field -> Modifier.isStatic(field.getModifiers()) && field.getType() == FeatureId.class)
                .map(FeatureIdTest::value).toList();
        assertThat(constants).containsExactlyInAnyOrderElementsOf(FeatureId.known());
    }

    private static Object value(Field constant) {
        try {
            return constant.get(null);
        } catch (IllegalAccessException e) {
            throw new AssertionError(e);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {13, 100, 65535})
    void anyOther16BitIndexIsAFeatureCalledByItsNumber(int index) {
        FeatureId feature = FeatureId.of(index);
        assertThat(feature.index()).isEqualTo(index);
        assertThat(feature.name()).isEqualTo("feature " + index);
        assertThat(feature.minimumPayload()).isZero();
        assertThat(feature).isEqualTo(FeatureId.of(index)).hasSameHashCodeAs(FeatureId.of(index))
                .isNotEqualTo(FeatureId.of(index - 1)).isNotEqualTo(null);
    }

    @ParameterizedTest
    @MethodSource("known")
    void aKnownFeatureIsFoundByItsIndex(FeatureId feature) {
        assertThat(FeatureId.of(feature.index())).isSameAs(feature);
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 65536, 0x10000, 0x40000, Integer.MIN_VALUE, Integer.MAX_VALUE})
    void anIndexThatDoesNotFit16BitsIsRefused(int index) {
        assertThatIllegalArgumentException().isThrownBy(() -> FeatureId.of(index))
                .withMessageContaining("no device feature " + index).withMessageContaining("0 to 65535")
                .withMessageContaining("Operations and flags are not part of it");
    }
}
