/* SPDX-License-Identifier: MIT */
/*
 * The words every layer speaks: fixed-width integers, rounding, checked
 * arithmetic and the few compiler attributes the code relies on.
 *
 * Ranges: "last" is inclusive and "end" exclusive. An IOVA range may reach
 * U64_MAX, so IOVA ranges are always kept with their last byte and never with
 * an end.
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define U64_MAX UINT64_MAX

/*
 * The unit of pinning and of memory accounting. It is the kernel ABI's
 * PAGE_SIZE on every machine this project models, whatever the host uses.
 */
#define PAGE_LG2  12
#define PAGE_BYTES ((u64)1 << PAGE_LG2)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define __must_check __attribute__((warn_unused_result))
#define __printf(fmt, args) __attribute__((format(printf, fmt, args)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* @align is a power of two. */
static inline u64 align_down(u64 x, u64 align)
{
	return x & ~(align - 1);
}

/* @align is a power of two; the caller knows that @x + @align does not wrap. */
static inline u64 align_up(u64 x, u64 align)
{
	return (x + align - 1) & ~(align - 1);
}

static inline bool is_aligned(u64 x, u64 align)
{
	return !(x & (align - 1));
}

static inline bool is_pow2(u64 x)
{
	return x && !(x & (x - 1));
}

/* Index of the lowest set bit; @x is not 0. */
static inline unsigned int lowest_bit(u64 x)
{
	return (unsigned int)__builtin_ctzll(x);
}

/* Index of the highest set bit; @x is not 0. */
static inline unsigned int highest_bit(u64 x)
{
	return 63 - (unsigned int)__builtin_clzll(x);
}

/* 1 <= @x <= 2^63. */
static inline u64 roundup_pow2(u64 x)
{
	return x == 1 ? 1 : (u64)1 << (highest_bit(x - 1) + 1);
}

/*
 * range_last - last byte of a range given by start and length
 *
 * Return: 0; -EINVAL if @length is 0; -EOVERFLOW if the range passes U64_MAX.
 */
static inline int __must_check range_last(u64 start, u64 length, u64 *last)
{
	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(start, length - 1, last))
		return -EOVERFLOW;
	return 0;
}

#endif
