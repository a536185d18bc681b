/* SPDX-License-Identifier: MIT */
/*
 * How bytes become values, for structures that are hostile in interesting ways.
 *
 * Each value begins with a selector byte: most selectors stand for a value that
 * is likely to be accepted, or to be at an edge; RAW says that the value itself
 * follows. An input that has ended reads as zeroes.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdint.h>
#include <stddef.h>
#include <string.h>

/* Selectors from here up: the value follows. */
#define RAW 0xf0

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

static inline uint8_t take_u8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static inline uint64_t take(struct input *in, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)take_u8(in) << (8 * i);
	return value;
}

#endif
