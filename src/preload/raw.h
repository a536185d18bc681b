/* SPDX-License-Identifier: MIT */
/*
 * System calls without libc: they leave errno alone, are no cancellation
 * points, and do not come back to the functions that this library replaces.
 */
#ifndef PRELOAD_RAW_H
#define PRELOAD_RAW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

_Static_assert(sizeof(long) == 8, "only 64-bit programs are served");

#if defined(__x86_64__)

static inline long raw6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#elif defined(__aarch64__)

static inline long raw6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

#else
#error "raw6() is not written for this processor"
#endif

#define raw_long(x)	     ((long)(x))
#define raw0(nr)	     raw6(nr, 0, 0, 0, 0, 0, 0)
#define raw1(nr, a)	     raw6(nr, raw_long(a), 0, 0, 0, 0, 0)
#define raw2(nr, a, b)	     raw6(nr, raw_long(a), raw_long(b), 0, 0, 0, 0)
#define raw3(nr, a, b, c)    raw6(nr, raw_long(a), raw_long(b), raw_long(c), 0, 0, 0)
#define raw4(nr, a, b, c, d) raw6(nr, raw_long(a), raw_long(b), raw_long(c), raw_long(d), 0, 0)
#define raw5(nr, a, b, c, d, e)                                                                    \
	raw6(nr, raw_long(a), raw_long(b), raw_long(c), raw_long(d), raw_long(e), 0)

static inline long raw_close(int fd)
{
	return raw1(SYS_close, fd);
}

/* The kernel's structure is libc's on 64-bit machines. */
static inline long raw_fstat(int fd, struct stat *st)
{
	return raw2(SYS_fstat, fd, st);
}

#endif
