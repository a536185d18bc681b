// SPDX-License-Identifier: MIT
/*
 * Stores of arm64: of one register and of pairs, general ones and vectors, in all ways of
 * addressing; and store-release. The encodings are those of the Arm Architecture Reference
 * Manual (DDI 0487), C4.1, "Loads and stores".
 *
 * Exclusive stores and the atomic instructions are left out: they have no place on
 * registers of devices.
 */
#include <string.h>

#include "insn.h"

static uint64_t bits(uint32_t code, unsigned int low, unsigned int n)
{
	return code >> low & ((UINT32_C(1) << n) - 1);
}

static int64_t signed_bits(uint32_t code, unsigned int low, unsigned int n)
{
	return (int64_t)(bits(code, low, n) << (64 - n)) >> (64 - n);
}

/* Register 31 is zero as what is stored, and SP as a base. */
static void put(struct insn *out, unsigned int at, const struct arm64_state *s, unsigned int reg,
		bool vector, unsigned int bytes)
{
	uint8_t all[INSN_MAX_BYTES] = { 0 };
	uint64_t value = reg == 31 ? 0 : s->x[reg];

	if (vector)
		s->vector(s->arg, reg, all);
	else
		memcpy(all, &value, sizeof(value));
	memcpy(out->value + at, all, bytes);
}

/* The base as the instruction leaves it. */
static void write_back(struct insn *out, unsigned int base, uint64_t value)
{
	out->base = (int)base;
	out->base_value = value;
}

/* Pairs: opc 101 V 0mm 0 imm7 Rt2 Rn Rt. */
static bool pair(uint32_t code, const struct arm64_state *s, struct insn *out)
{
	const bool vector = bits(code, 26, 1);
	const unsigned int opc = (unsigned int)bits(code, 30, 2),
			   mode = (unsigned int)bits(code, 23, 2);
	const unsigned int base = (unsigned int)bits(code, 5, 5);
	unsigned int bytes;
	int64_t offset;

	if (opc == 3 || (!vector && opc == 1))
		return false;
	bytes = vector ? 4u << opc : opc ? 8 : 4;
	offset = signed_bits(code, 15, 7) * (int64_t)bytes;
	out->address = s->x[base] + (mode == 1 ? 0 : (uint64_t)offset);
	if (mode & 1)
		write_back(out, base, s->x[base] + (uint64_t)offset);
	put(out, 0, s, (unsigned int)bits(code, 0, 5), vector, bytes);
	put(out, bytes, s, (unsigned int)bits(code, 10, 5), vector, bytes);
	out->bytes = 2 * bytes;
	return true;
}

/* The offset in a register, extended and shifted. */
static bool register_offset(uint32_t code, const struct arm64_state *s, unsigned int shift,
			    uint64_t *offset)
{
	const unsigned int reg = (unsigned int)bits(code, 16, 5);
	uint64_t v = reg == 31 ? 0 : s->x[reg];

	switch (bits(code, 13, 3)) {
	case 2:
		v = (uint32_t)v;
		break;
	case 6:
		v = (uint64_t)(int64_t)(int32_t)v;
		break;
	case 3:
	case 7:
		break;
	default:
		return false;
	}
	*offset = bits(code, 12, 1) ? v << shift : v;
	return true;
}

/* One register: size 111 V mm opc ... Rn Rt. */
static bool single(uint32_t code, const struct arm64_state *s, struct insn *out)
{
	const bool vector = bits(code, 26, 1);
	const unsigned int opc = (unsigned int)bits(code, 22, 2),
			   base = (unsigned int)bits(code, 5, 5);
	unsigned int shift = (unsigned int)bits(code, 30, 2);
	uint64_t offset = 0;

	/* opc 0 stores; 2 stores a vector of 128 bits, and else loads. */
	if (opc && !(vector && opc == 2 && !shift))
		return false;
	if (opc)
		shift = 4;
	if (bits(code, 24, 1)) {
		offset = bits(code, 10, 12) << shift;
	} else if (bits(code, 21, 1)) {
		if (bits(code, 10, 2) != 2 || !register_offset(code, s, shift, &offset))
			return false;
	} else {
		const unsigned int mode = (unsigned int)bits(code, 10, 2);

		offset = (uint64_t)signed_bits(code, 12, 9);
		if (mode & 1)
			write_back(out, base, s->x[base] + offset);
		if (mode == 1) /* the base moves afterwards */
			offset = 0;
	}
	out->address = s->x[base] + offset;
	out->bytes = 1u << shift;
	put(out, 0, s, (unsigned int)bits(code, 0, 5), vector, out->bytes);
	return true;
}

/* Store-release: size 001000 100 11111 1 11111 Rn Rt. */
static bool release(uint32_t code, const struct arm64_state *s, struct insn *out)
{
	if ((code & 0x3ffffc00) != 0x089ffc00)
		return false;
	out->address = s->x[bits(code, 5, 5)];
	out->bytes = 1u << bits(code, 30, 2);
	put(out, 0, s, (unsigned int)bits(code, 0, 5), false, out->bytes);
	return true;
}

bool arm64_decode(uint32_t code, const struct arm64_state *s, struct insn *out)
{
	memset(out, 0, sizeof(*out));
	out->op = INSN_STORE;
	out->length = 4;
	out->base = -1;
	if ((code & 0x3a400000) == 0x28000000)
		return pair(code, s, out);
	if ((code & 0x3a000000) == 0x38000000)
		return single(code, s, out);
	return release(code, s, out);
}
