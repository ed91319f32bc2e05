package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ErrnoTest {

    static List<Field> constants() {
        return Arrays.stream(Errno.class.getFields()).filter(field -> Modifier.isStatic(field.getModifiers())).toList();
    }

    @ParameterizedTest
    @MethodSource("constants")
    void everyConstantIsCalledByItsName(Field constant) throws IllegalAccessException {
        Errno errno = (Errno) constant.get(null);
        assertThat(errno.name()).isEqualTo(constant.getName());
        assertThat(errno.toString()).matches(constant.getName() + " \\([a-z/ ]+\\)");
    }

    @Test
    void noTwoConstantsHaveTheSameNumber() {
        assertThat(constants()).extracting(constant -> ((Errno) constant.get(null)).code()).doesNotHaveDuplicates();
    }

    /** Numbers of asm-generic/errno-base.h and asm-generic/errno.h. */
    @ParameterizedTest
    @CsvSource({"EPERM, 1", "ENOENT, 2", "EINTR, 4", "EIO, 5", "E2BIG, 7", "EBADF, 9", "EAGAIN, 11", "ENOMEM, 12",
            "EACCES, 13", "EFAULT, 14", "EBUSY, 16", "EEXIST, 17", "ENODEV, 19", "ENOTDIR, 20", "EISDIR, 21",
            "EINVAL, 22", "ENFILE, 23", "EMFILE, 24", "ENOTTY, 25", "ENOSPC, 28", "ESPIPE, 29", "ERANGE, 34",
            "ENOSYS, 38", "ENOMSG, 42", "EOVERFLOW, 75", "EBADFD, 77", "EMSGSIZE, 90", "EOPNOTSUPP, 95",
            "EADDRINUSE, 98"})
    void theNumbersAreThoseOfLinux(String name, int code) {
        assertThat(new Errno(code).name()).isEqualTo(name);
    }

    @Test
    void aNumberWithoutAConstantIsCalledByItsNumber() {
        assertThat(new Errno(524)).hasToString("errno 524").extracting(Errno::name).isEqualTo("errno 524");
    }

    @Test
    void aNegativeResultHoldsIt() {
        assertThat(Errno.ofResult(-22)).isEqualTo(Errno.EINVAL);
        assertThat(Errno.ofResult(-4095L)).isEqualTo(new Errno(4095));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -1, 4096, Integer.MIN_VALUE})
    void otherNumbersAreRefused(int code) {
        assertThatIllegalArgumentException().isThrownBy(() -> new Errno(code)).withMessageContaining("1 to 4095");
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, -4096})
    void resultsThatAreNoErrorsAreRefused(long result) {
        assertThatIllegalArgumentException().isThrownBy(() -> Errno.ofResult(result));
        assertThatExceptionOfType(ArithmeticException.class).isThrownBy(() -> Errno.ofResult(Long.MIN_VALUE));
    }
}
