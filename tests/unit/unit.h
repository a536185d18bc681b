/* SPDX-License-Identifier: MIT */
/*
 * The harness of the unit tests: one header, one program per test file.
 *
 * TEST(name) { ... } registers itself. The program runs its tests in the order
 * of the file and prints TAP. EXPECT_*() note a failure and go on; ASSERT_*()
 * end the test, from any function that the test's own thread is in. A test that
 * leaves descriptors open fails; unit.setup and unit.teardown may hold more
 * against the state before (see machine.h).
 *
 * program [--list | PART-OF-A-NAME]
 */
#ifndef UNIT_H
#define UNIT_H

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNIT_MAX_TESTS 256
#define UNIT_MAX_PRINT 20

struct unit_test {
	const char *name;
	void (*fn)(void);
	unsigned int variant;
};

/**
 * struct unit - the state of the program
 * @tests: all of them
 * @ntests: how many
 * @variant: of the running test, for the fixture
 * @setup: runs before each test; may be NULL
 * @teardown: runs after each test, also one that was ended; may be NULL
 * @failures: of the running test
 * @skip: why it is skipped, or empty
 * @out: where ASSERT and SKIP go
 */
static struct {
	struct unit_test tests[UNIT_MAX_TESTS];
	unsigned int ntests;
	unsigned int variant;
	void (*setup)(void);
	void (*teardown)(void);
	_Atomic unsigned int failures;
	char skip[128];
	jmp_buf out;
} unit;

static inline void unit_register(const char *name, void (*fn)(void), unsigned int variant)
{
	if (unit.ntests == UNIT_MAX_TESTS)
		abort();
	unit.tests[unit.ntests++] = (struct unit_test){ name, fn, variant };
}

#define UNIT_TEST(name, label, value)                                                              \
	static void name(void);                                                                    \
	__attribute__((constructor)) static void unit_add_##name(void)                             \
	{                                                                                          \
		unit_register(label, name, value);                                                 \
	}                                                                                          \
	static void name(void)

#define TEST(name) UNIT_TEST(name, #name, 0)

/* Say what went wrong; the first few are enough of a loop that fails. */
static inline __attribute__((format(printf, 3, 4))) void unit_fail(const char *file, int line,
								   const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (atomic_fetch_add(&unit.failures, 1) < UNIT_MAX_PRINT)
		printf("# %s:%d: %s\n", file, line, text);
}

static inline const char *unit_errno(int64_t rc, char *buf, size_t n)
{
	const char *name = rc < 0 && rc > -4096 ? strerrorname_np((int)-rc) : NULL;

	if (name)
		snprintf(buf, n, "-%s", name);
	else
		snprintf(buf, n, "%lld", (long long)rc);
	return buf;
}

static inline bool unit_eq(const char *file, int line, const char *what, uint64_t want,
			   uint64_t got)
{
	if (want == got)
		return true;
	unit_fail(file, line, "%s: is %#llx (%lld), should be %#llx (%lld)", what,
		  (unsigned long long)got, (long long)got, (unsigned long long)want,
		  (long long)want);
	return false;
}

static inline bool unit_rc(const char *file, int line, const char *what, int64_t want, int64_t got)
{
	char a[32], b[32];

	if (want == got)
		return true;
	unit_fail(file, line, "%s: gives %s, should give %s", what, unit_errno(got, a, sizeof(a)),
		  unit_errno(want, b, sizeof(b)));
	return false;
}

static inline bool unit_true(const char *file, int line, const char *what, bool cond)
{
	if (!cond)
		unit_fail(file, line, "%s: is not so", what);
	return cond;
}

static inline bool unit_mem(const char *file, int line, const char *what, const void *want,
			    const void *got, size_t n)
{
	const uint8_t *w = want, *g = got;
	size_t i;

	for (i = 0; i < n; i++) {
		if (w[i] == g[i])
			continue;
		unit_fail(file, line, "%s: byte %zu is %#x, should be %#x", what, i, g[i], w[i]);
		return false;
	}
	return true;
}

static inline bool unit_str(const char *file, int line, const char *what, const char *want,
			    const char *got)
{
	if (!strcmp(want, got))
		return true;
	unit_fail(file, line, "%s: is \"%s\", should be \"%s\"", what, got, want);
	return false;
}

static inline __attribute__((noreturn)) void unit_stop(void)
{
	longjmp(unit.out, 1);
}

#define UNIT_ASSERT(cond)                                                                          \
	do {                                                                                       \
		if (!(cond))                                                                       \
			unit_stop();                                                               \
	} while (0)

#define UNIT_EQ(want, got) unit_eq(__FILE__, __LINE__, #got, (uint64_t)(want), (uint64_t)(got))
#define UNIT_RC(want, got) unit_rc(__FILE__, __LINE__, #got, want, got)
#define UNIT_TRUE(cond)	   unit_true(__FILE__, __LINE__, #cond, cond)

/* Integers, compared as 64 bits. */
#define EXPECT_EQ(want, got) ((void)UNIT_EQ(want, got))
#define ASSERT_EQ(want, got) UNIT_ASSERT(UNIT_EQ(want, got))
/* What a call returns: 0, a value, or -errno, which is shown by name. */
#define EXPECT_RC(want, got) ((void)UNIT_RC(want, got))
#define ASSERT_RC(want, got) UNIT_ASSERT(UNIT_RC(want, got))
#define EXPECT_OK(got)	     EXPECT_RC(0, got)
#define ASSERT_OK(got)	     ASSERT_RC(0, got)
#define EXPECT_TRUE(cond)    ((void)UNIT_TRUE(cond))
#define ASSERT_TRUE(cond)    UNIT_ASSERT(UNIT_TRUE(cond))
#define EXPECT_MEM(want, got, n)                                                                   \
	((void)unit_mem(__FILE__, __LINE__, #got, want, got, n))
#define EXPECT_STR(want, got) ((void)unit_str(__FILE__, __LINE__, #got, want, got))

#define SKIP(...)                                                                                  \
	do {                                                                                       \
		snprintf(unit.skip, sizeof(unit.skip), __VA_ARGS__);                               \
		unit_stop();                                                                       \
	} while (0)

/* A seed for a randomised test: UNIT_SEED if set, else a new one; printed. */
static inline uint64_t unit_seed(void)
{
	const char *env = getenv("UNIT_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = env ? strtoull(env, NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
	printf("# UNIT_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* The next of a sequence of random numbers (splitmix64). */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline unsigned int unit_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* The sanitizers give up on an allocation that is too large; calloc() may fail. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* Alone, so that the jump finds no local variable that it could spoil. */
static __attribute__((noinline)) void unit_guarded(void (*fn)(void))
{
	if (fn && !setjmp(unit.out))
		fn();
}

static inline void unit_run_one(const struct unit_test *t, unsigned int number)
{
	unsigned int fds = unit_open_fds();

	atomic_store(&unit.failures, 0);
	unit.skip[0] = '\0';
	unit.variant = t->variant;
	unit_guarded(unit.setup);
	if (!unit.failures)
		unit_guarded(t->fn);
	unit_guarded(unit.teardown);
	if (unit_open_fds() != fds)
		unit_fail(__FILE__, __LINE__, "%u descriptors were open before, %u are now", fds,
			  unit_open_fds());
	printf("%sok %u - %s%s%s\n", unit.failures ? "not " : "", number, t->name,
	       unit.skip[0] ? " # SKIP " : "", unit.skip);
}

int main(int argc, char **argv)
{
	const char *filter = argc > 1 ? argv[1] : "";
	bool list = !strcmp(filter, "--list");
	unsigned int i, number = 0, n = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < unit.ntests; i++)
		n += list || strstr(unit.tests[i].name, filter);
	if (!list)
		printf("1..%u\n", n);
	for (i = 0; i < unit.ntests; i++) {
		if (list)
			printf("%s\n", unit.tests[i].name);
		else if (strstr(unit.tests[i].name, filter)) {
			unit_run_one(&unit.tests[i], ++number);
			failed += unit.failures != 0;
		}
	}
	return failed || !n ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
