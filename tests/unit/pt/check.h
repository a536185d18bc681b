/* SPDX-License-Identifier: MIT */
/*
 * Just enough of a harness: CHECK() counts and prints, TEST() runs one function
 * and prints a TAP line, and the exit status says whether all was well.
 */
#ifndef PT_TEST_CHECK_H
#define PT_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

static unsigned int check_failed, check_tests, check_bad_tests;
static const char *check_where = ""; /* put before the names of tests */

static inline void check_fail(const char *file, int line, const char *what)
{
	/* The first few tell; a broken loop should not fill the disk. */
	if (check_failed++ < 20)
		printf("# %s:%d: %s\n", file, line, what);
}

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			check_fail(__FILE__, __LINE__, #cond);                                     \
	} while (0)

static inline void check_run(const char *name, void (*fn)(void))
{
	unsigned int before = check_failed;

	fn();
	check_tests++;
	if (check_failed != before)
		check_bad_tests++;
	printf("%sok %u - %s%s\n", check_failed == before ? "" : "not ", check_tests, check_where,
	       name);
	fflush(stdout);
}

#define TEST(fn) check_run(#fn, fn)

static inline int check_done(void)
{
	printf("1..%u\n", check_tests);
	return check_bad_tests ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
