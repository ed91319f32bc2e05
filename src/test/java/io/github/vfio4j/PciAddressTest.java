package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PciAddressTest {

    @ParameterizedTest
    @CsvSource({"0000:01:00.0, 0, 1, 0, 0", "0001:ff:1f.7, 1, 255, 31, 7", "10000:e1:00.1, 0x10000, 0xe1, 0, 1",
            "ffffffff:00:00.0, -1, 0, 0, 0"})
    void theKernelsSpellingIsReadAndWritten(String text, String domain, String bus, int device, int function) {
        PciAddress address = new PciAddress(Integer.decode(domain), Integer.decode(bus), device, function);
        assertThat(PciAddress.parse(text)).isEqualTo(address);
        assertThat(address).hasToString(text);
    }

    @Test
    void withoutADomainTheFirstIsMeant() {
        assertThat(PciAddress.parse("01:00.0")).isEqualTo(PciAddress.parse("0000:01:00.0"));
    }

    @Test
    void digitsMayBeOfEitherCaseAndAreWrittenInLowerCase() {
        assertThat(PciAddress.parse("ABCD:EF:1A.7")).hasToString("abcd:ef:1a.7");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "foo", "0000:01:00", "0000:01:00.", "0000:01:00.8", "0000:01:20.0",
            "0000:101:00.0", "000:01:00.0", "000000000:01:00.0", "0000:01:00.0 ", " 0000:01:00.0", "0000:01:00.0\n",
            "0000-01-00.0", "0000:1:0.0", "0000:0g:00.0", "-001:01:00.0", "01.00.0", "/dev/vfio/4",
            "0000:\u0660\u0661:00.0"})
    void otherTextsAreRefusedWithTheForm(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> PciAddress.parse(text))
                .withMessageContaining("'" + text + "'").withMessageContaining("dddd:bb:dd.f")
                .withMessageContaining("0000:01:00.0");
    }

    @ParameterizedTest
    @CsvSource({"256, 0, 0", "-1, 0, 0", "0, 32, 0", "0, -1, 0", "0, 0, 8", "0, 0, -1"})
    void numbersOutOfRangeAreRefused(int bus, int device, int function) {
        assertThatIllegalArgumentException().isThrownBy(() -> new PciAddress(0, bus, device, function))
                .withMessageContaining("the bus is 0 to 255, the device 0 to 31, the function 0 to 7");
    }

    @ParameterizedTest
    @CsvSource({"0000:01:00.0, 0, 0000:01:00.0", "0000:01:00.0, 1, 0000:01:00.1", "0000:01:00.7, 1, 0000:01:01.0",
            "0000:01:1f.7, 1, 0000:02:00.0", "0003:01:00.0, 128, 0003:01:10.0", "0000:01:00.0, -1, 0000:00:1f.7"})
    void virtualFunctionsAreNumberedByRoutingId(String from, int distance, String expected) {
        assertThat(PciAddress.parse(from).plus(distance)).hasToString(expected);
    }

    @Test
    void thereIsNothingBehindTheLastBus() {
        PciAddress last = PciAddress.parse("0000:ff:1f.7");
        assertThatIllegalArgumentException().isThrownBy(() -> last.plus(1));
    }

    @Test
    void theOrderIsThatOfDomainsThenRoutingIds() {
        List<PciAddress> ordered = List.of(PciAddress.parse("0000:00:00.1"), PciAddress.parse("0000:00:01.0"),
                PciAddress.parse("0000:01:00.0"), PciAddress.parse("0001:00:00.0"),
                PciAddress.parse("80000000:00:00.0"), PciAddress.parse("ffffffff:00:00.0"));
        assertThat(ordered.reversed().stream().sorted()).isEqualTo(ordered);
    }

    @Test
    void theSpellingDoesNotDependOnTheLanguage() {
        Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
            assertThat(PciAddress.parse("0000:12:03.4")).hasToString("0000:12:03.4");
        } finally {
            Locale.setDefault(before);
        }
    }
}
