/* What C does, for the benchmarks to be compared with: loops of the same calls on the same descriptor and memory, and the
 * shim that a JNI binding would have. Compiled by scripts/bench. */
#include <errno.h>
#include <jni.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The result of the last call, so that none can be left out: >= 0, or -errno. */
long bench_ioctl(int fd, unsigned long request, void *argument, long times)
{
	long result = 0;

	for (long i = 0; i < times; i++) {
		result = ioctl(fd, request, argument);
		if (result < 0)
			result = -errno;
	}
	return result;
}

/* Reads 32-bit registers, one after the other, again and again. */
uint32_t bench_read32(const volatile uint32_t *registers, long count, long times)
{
	uint32_t sum = 0;

	for (long i = 0; i < times; i++)
		for (long r = 0; r < count; r++)
			sum += registers[r];
	return sum;
}

/* Moves bytes from one descriptor to another by way of a buffer; those moved, or -errno. */
long bench_copy(int from, int to, void *buffer, long size, long bytes)
{
	long left = bytes;

	while (left > 0) {
		ssize_t got = read(from, buffer, left < size ? left : size);

		if (got <= 0)
			return got < 0 ? -errno : bytes - left;
		for (ssize_t at = 0; at < got;) {
			ssize_t put = write(to, (char *)buffer + at, got - at);

			if (put < 0)
				return -errno;
			at += put;
		}
		left -= got;
	}
	return bytes;
}

JNIEXPORT jint JNICALL Java_io_github_vfio4j_bench_JniShim_ioctl(JNIEnv *env, jclass class, jint fd, jlong request,
								 jlong argument)
{
	int result = ioctl(fd, (unsigned long)request, (void *)(uintptr_t)argument);

	(void)env;
	(void)class;
	return result < 0 ? -errno : result;
}
