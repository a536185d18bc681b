// SPDX-License-Identifier: MIT
/*
 * Stores of x86-64: moves from registers and immediates, of the general registers and of
 * vectors up to 512 bits; direct and non-temporal stores; MOVDIR64B and ENQCMD; string
 * stores and moves; and instructions that read, change and write, with or without LOCK.
 *
 * The numbers are those of the opcode maps of Intel's Software Developer's Manual, volume
 * 2, appendix A. Masked vector stores, scatters, x87 and stores of the system registers
 * are left out: compilers make none of them for registers of devices.
 */
#include <string.h>

#include "insn.h"

#define MAX_LENGTH 15

enum prefix { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 };
enum map { MAP_ONE, MAP_0F, MAP_0F38, MAP_OTHER };
enum encoding { LEGACY, VEX, EVEX };

/**
 * struct cursor - a decoding
 * @code: the instruction
 * @at: bytes read
 * @s: registers
 * @out: result
 * @opsize: prefix 66 was seen
 * @mandatory: the prefix that chooses among opcodes
 * @rep: F2 or F3 was seen
 * @address32: prefix 67 was seen
 * @segment: base of a segment
 * @rex_seen: so bytes of registers 4 to 7 are low ones
 * @w: REX.W, or the same in other encodings
 * @r: fourth and fifth bit of the register's number
 * @x: fourth bit of the index's
 * @b: fourth bit of the base's
 * @encoding: enum encoding
 * @map: enum map
 * @vector_bytes: length of vectors
 * @reg: register field, with its high bits
 * @digit: the same without them
 */
struct cursor {
	const uint8_t *code;
	unsigned int at;
	const struct x86_state *s;
	struct insn *out;
	bool opsize;
	enum prefix mandatory;
	bool rep;
	bool address32;
	uint64_t segment;
	bool rex_seen;
	bool w;
	unsigned int r;
	unsigned int x;
	unsigned int b;
	enum encoding encoding;
	enum map map;
	unsigned int vector_bytes;
	unsigned int reg;
	unsigned int digit;
};

/* Past the end of what an instruction can be, zeroes: the length is checked at the end. */
static uint8_t fetch(struct cursor *c)
{
	return c->at < MAX_LENGTH ? c->code[c->at++] : (c->at = MAX_LENGTH + 1, 0);
}

static int64_t fetch_signed(struct cursor *c, unsigned int bytes)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++)
		v |= (uint64_t)fetch(c) << (8 * i);
	return bytes < 8 ? (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes) : (int64_t)v;
}

/* Size of an operand that is not a byte. */
static unsigned int word_bytes(const struct cursor *c)
{
	return c->w ? 8 : c->opsize ? 2 : 4;
}

static uint64_t sib_address(struct cursor *c, unsigned int mod, bool *wide)
{
	uint8_t sib = fetch(c);
	unsigned int index = (sib >> 3 & 7) | c->x << 3;
	unsigned int base = (sib & 7) | c->b << 3;
	uint64_t a = 0;

	if (index != 4)
		a = c->s->gpr[index] << (sib >> 6);
	*wide = (sib & 7) == 5 && !mod;
	return *wide ? a : a + c->s->gpr[base];
}

/*
 * The operand in memory; @immediate bytes follow it, and a displacement of a byte counts
 * in units of @scale. Return: false if it is a register.
 */
static bool modrm(struct cursor *c, unsigned int immediate, unsigned int scale)
{
	uint8_t byte = fetch(c);
	unsigned int mod = byte >> 6, rm = byte & 7;
	bool wide = !mod && rm == 5, relative = wide;
	uint64_t a = 0;

	c->digit = byte >> 3 & 7;
	c->reg = c->digit | c->r << 3;
	if (mod == 3)
		return false;
	if (rm == 4)
		a = sib_address(c, mod, &wide);
	else if (!wide)
		a = c->s->gpr[rm | c->b << 3];
	if (mod == 1)
		a += (uint64_t)(fetch_signed(c, 1) * (int64_t)scale);
	else if (mod == 2 || wide)
		a += (uint64_t)fetch_signed(c, 4);
	if (relative)
		a += c->s->rip + c->at + immediate;
	if (c->address32)
		a = (uint32_t)a;
	c->out->address = a + c->segment;
	return true;
}

static uint64_t get(const struct cursor *c, unsigned int reg, unsigned int bytes)
{
	if (bytes == 1 && !c->rex_seen && reg >= 4 && reg < 8)
		return c->s->gpr[reg - 4] >> 8 & 0xff;
	return c->s->gpr[reg & 15];
}

static bool finish(struct cursor *c, enum insn_op op, unsigned int bytes)
{
	c->out->op = op;
	c->out->bytes = bytes;
	c->out->length = c->at;
	return c->at <= MAX_LENGTH;
}

static bool store(struct cursor *c, uint64_t value, unsigned int bytes)
{
	memcpy(c->out->value, &value, sizeof(value));
	return finish(c, INSN_STORE, bytes);
}

static bool store_reg(struct cursor *c, unsigned int bytes)
{
	return modrm(c, 0, 1) && store(c, get(c, c->reg, bytes), bytes);
}

static bool modify(struct cursor *c, enum insn_alu alu, uint64_t operand, unsigned int bytes)
{
	memcpy(c->out->value, &operand, sizeof(operand));
	c->out->alu = alu;
	return finish(c, INSN_MODIFY, bytes);
}

/* An exchange with a register, of any kind. */
static bool exchange(struct cursor *c, enum insn_op op, unsigned int bytes)
{
	uint64_t value;

	if (!modrm(c, 0, 1))
		return false;
	value = get(c, c->reg, bytes);
	memcpy(c->out->value, &value, sizeof(value));
	c->out->high = bytes == 1 && !c->rex_seen && c->reg >= 4 && c->reg < 8;
	c->out->reg = c->out->high ? c->reg - 4 : c->reg;
	return finish(c, op, bytes);
}

static bool immediate_group(struct cursor *c, uint8_t op)
{
	unsigned int bytes = op & 1 ? word_bytes(c) : 1;
	unsigned int immediate = op == 0x81 || op == 0xc7 ? (bytes < 4 ? bytes : 4) : 1;
	uint64_t value;

	if (!modrm(c, immediate, 1))
		return false;
	value = (uint64_t)fetch_signed(c, immediate);
	if (op >= 0xc6)
		return !c->digit && store(c, value, bytes);
	return c->digit < 7 && modify(c, (enum insn_alu)c->digit, value, bytes);
}

/* F6, F7, FE and FF: what has one operand. */
static bool unary_group(struct cursor *c, uint8_t op)
{
	unsigned int bytes = op & 1 ? word_bytes(c) : 1;

	if (!modrm(c, 0, 1))
		return false;
	if (op >= 0xfe)
		return c->digit < 2 && modify(c, c->digit ? ALU_DEC : ALU_INC, 1, bytes);
	return (c->digit == 2 || c->digit == 3) &&
	       modify(c, c->digit == 2 ? ALU_NOT : ALU_NEG, 0, bytes);
}

static bool string(struct cursor *c, uint8_t op)
{
	unsigned int bytes = op & 1 ? word_bytes(c) : 1;

	if (c->address32)
		return false;
	c->out->address = c->s->gpr[7];
	c->out->source = c->s->gpr[6] + c->segment;
	memcpy(c->out->value, &c->s->gpr[0], 8);
	c->out->rep = c->rep;
	return finish(c, op >= 0xaa ? INSN_FILL : INSN_MOVE, bytes);
}

static bool absolute(struct cursor *c, uint8_t op)
{
	unsigned int bytes = op & 1 ? word_bytes(c) : 1;

	c->out->address = (uint64_t)fetch_signed(c, c->address32 ? 4 : 8);
	if (c->address32)
		c->out->address = (uint32_t)c->out->address;
	c->out->address += c->segment;
	return store(c, c->s->gpr[0], bytes);
}

static bool one_byte(struct cursor *c, uint8_t op)
{
	unsigned int bytes = op & 1 ? word_bytes(c) : 1;

	if (op < 0x38 && (op & 7) < 2) {
		if (!modrm(c, 0, 1))
			return false;
		return modify(c, (enum insn_alu)(op >> 3), get(c, c->reg, bytes), bytes);
	}
	switch (op) {
	case 0x88:
	case 0x89:
		return store_reg(c, bytes);
	case 0x86:
	case 0x87:
		return exchange(c, INSN_EXCHANGE, bytes);
	case 0x80:
	case 0x81:
	case 0x83:
	case 0xc6:
	case 0xc7:
		return immediate_group(c, op);
	case 0xf6:
	case 0xf7:
	case 0xfe:
	case 0xff:
		return unary_group(c, op);
	case 0xa2:
	case 0xa3:
		return absolute(c, op);
	case 0xa4:
	case 0xa5:
	case 0xaa:
	case 0xab:
		return string(c, op);
	default:
		return false;
	}
}

/* @bytes of a vector register, from byte @from. */
static bool store_vector(struct cursor *c, unsigned int bytes, unsigned int from)
{
	uint8_t all[INSN_MAX_BYTES];

	if (!modrm(c, 0, c->encoding == EVEX ? bytes : 1))
		return false;
	c->s->vector(c->s->arg, c->reg, all);
	memcpy(c->out->value, all + from, bytes);
	return finish(c, INSN_STORE, bytes);
}

/* How much of a vector an opcode of map 0F stores; 0 if it is no such. */
static unsigned int vector_store(const struct cursor *c, uint8_t op, unsigned int *from)
{
	const enum prefix p = c->mandatory;
	const unsigned int all = c->vector_bytes;

	*from = 0;
	switch (op) {
	case 0x11: /* MOVUPS, MOVUPD, MOVSS, MOVSD */
		return p == PREFIX_F3 ? 4 : p == PREFIX_F2 ? 8 : all;
	case 0x13: /* MOVLPS, MOVLPD */
	case 0x17: /* MOVHPS, MOVHPD */
		*from = op == 0x17 ? 8 : 0;
		return p == PREFIX_NONE || p == PREFIX_66 ? 8 : 0;
	case 0x29: /* MOVAPS, MOVAPD */
	case 0x2b: /* MOVNTPS, MOVNTPD */
		return p == PREFIX_NONE || p == PREFIX_66 ? all : 0;
	case 0x7e: /* MOVD, MOVQ */
		return p != PREFIX_66 ? 0 : c->w ? 8 : 4;
	case 0x7f: /* MOVDQA, MOVDQU; with EVEX also in bytes and words */
		return p == PREFIX_66 || p == PREFIX_F3 || (p == PREFIX_F2 && c->encoding == EVEX)
			       ? all
			       : 0;
	case 0xd6: /* MOVQ */
		return p == PREFIX_66 ? 8 : 0;
	case 0xe7: /* MOVNTDQ */
		return p == PREFIX_66 ? all : 0;
	default:
		return 0;
	}
}

static bool condition(const struct cursor *c, unsigned int n)
{
	const uint64_t f = c->s->flags;
	const bool less = !(f & X86_SF) != !(f & X86_OF);
	const bool tests[8] = { f & X86_OF, f & X86_CF, f & X86_ZF, f & (X86_CF | X86_ZF),
				f & X86_SF, f & X86_PF, less,	    less || (f & X86_ZF) };

	return tests[n >> 1] != (n & 1);
}

static bool map_0f(struct cursor *c, uint8_t op)
{
	unsigned int bytes = op & 1 ? word_bytes(c) : 1, from;
	unsigned int n = vector_store(c, op, &from);

	if (n)
		return store_vector(c, n, from);
	if (c->encoding != LEGACY)
		return false;
	if (op >= 0x90 && op <= 0x9f) /* SETcc */
		return modrm(c, 0, 1) && store(c, condition(c, op & 15), 1);
	switch (op) {
	case 0xb0:
	case 0xb1:
		return exchange(c, INSN_COMPARE_EXCHANGE, bytes);
	case 0xc0:
	case 0xc1:
		return exchange(c, INSN_EXCHANGE_ADD, bytes);
	case 0xc3: /* MOVNTI */
		return c->mandatory == PREFIX_NONE && store_reg(c, c->w ? 8 : 4);
	default:
		return false;
	}
}

/* MOVDIR64B and ENQCMD: 64 bytes from memory to where a register says. */
static bool copy_64(struct cursor *c)
{
	uint64_t destination;

	if (!modrm(c, 0, 1))
		return false;
	destination = c->s->gpr[c->reg & 15];
	c->out->source = c->out->address;
	c->out->address = c->address32 ? (uint32_t)destination : destination;
	return finish(c, c->mandatory == PREFIX_66 ? INSN_COPY : INSN_ENQUEUE, 64);
}

static bool map_0f38(struct cursor *c, uint8_t op)
{
	unsigned int bytes = word_bytes(c);

	if (c->encoding != LEGACY)
		return false;
	switch (op) {
	case 0xf1: /* MOVBE */
		if (c->mandatory == PREFIX_F2 || !modrm(c, 0, 1))
			return false;
		return store(c, __builtin_bswap64(c->s->gpr[c->reg & 15]) >> (64 - 8 * bytes),
			     bytes);
	case 0xf8:
		return c->mandatory != PREFIX_NONE && copy_64(c);
	case 0xf9: /* MOVDIRI */
		return c->mandatory == PREFIX_NONE && store_reg(c, c->w ? 8 : 4);
	default:
		return false;
	}
}

/* Prefixes. Return: the byte behind them. */
static uint8_t prefixes(struct cursor *c)
{
	uint8_t byte;

	for (;;) {
		byte = fetch(c);
		switch (byte) {
		case 0x66:
			c->opsize = true;
			if (c->mandatory == PREFIX_NONE)
				c->mandatory = PREFIX_66;
			break;
		case 0x67:
			c->address32 = true;
			break;
		case 0xf2:
		case 0xf3:
			c->rep = true;
			c->mandatory = byte == 0xf3 ? PREFIX_F3 : PREFIX_F2;
			break;
		case 0x64:
			c->segment = c->s->fs;
			c->out->segment = true;
			break;
		case 0x65:
			c->segment = c->s->gs;
			c->out->segment = true;
			break;
		case 0xf0:
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			break;
		default:
			return byte;
		}
	}
}

static void vex2(struct cursor *c)
{
	uint8_t p = fetch(c);

	c->r = !(p >> 7);
	c->map = MAP_0F;
	c->vector_bytes = p & 4 ? 32 : 16;
	c->mandatory = (enum prefix)(p & 3);
}

static void vex3(struct cursor *c)
{
	uint8_t p = fetch(c), q = fetch(c);

	c->r = !(p >> 7);
	c->x = !(p >> 6 & 1);
	c->b = !(p >> 5 & 1);
	c->map = (p & 31) <= MAP_0F38 ? (enum map)(p & 31) : MAP_OTHER;
	c->w = q >> 7;
	c->vector_bytes = q & 4 ? 32 : 16;
	c->mandatory = (enum prefix)(q & 3);
}

/* Return: false for stores under a mask, which are not done here. */
static bool evex(struct cursor *c)
{
	uint8_t p = fetch(c), q = fetch(c), t = fetch(c);

	c->r = (unsigned int)!(p >> 7) | (unsigned int)!(p >> 4 & 1) << 1;
	c->x = !(p >> 6 & 1);
	c->b = !(p >> 5 & 1);
	c->map = (p & 7) <= MAP_0F38 ? (enum map)(p & 7) : MAP_OTHER;
	c->w = q >> 7;
	c->mandatory = (enum prefix)(q & 3);
	c->vector_bytes = 16u << (t >> 5 & 3);
	return !(t & 0x17) && c->vector_bytes <= 64;
}

bool x86_decode(const uint8_t *code, const struct x86_state *s, struct insn *out)
{
	struct cursor c = { .code = code, .s = s, .out = out, .vector_bytes = 16 };
	uint8_t byte;

	memset(out, 0, sizeof(*out));
	out->base = -1;
	byte = prefixes(&c);
	if ((byte & 0xf0) == 0x40) {
		c.rex_seen = true;
		c.w = byte >> 3 & 1;
		c.r = byte >> 2 & 1;
		c.x = byte >> 1 & 1;
		c.b = byte & 1;
		byte = fetch(&c);
	}
	if (byte == 0x62 || byte == 0xc4 || byte == 0xc5) {
		c.encoding = byte == 0x62 ? EVEX : VEX;
		c.rex_seen = true;
		if (byte == 0x62 && !evex(&c))
			return false;
		if (byte == 0xc4)
			vex3(&c);
		else if (byte == 0xc5)
			vex2(&c);
		byte = fetch(&c);
	} else if (byte == 0x0f) {
		byte = fetch(&c);
		c.map = MAP_0F;
		if (byte == 0x38 || byte == 0x3a) {
			c.map = byte == 0x38 ? MAP_0F38 : MAP_OTHER;
			byte = fetch(&c);
		}
	}
	switch (c.map) {
	case MAP_ONE:
		return c.encoding == LEGACY && one_byte(&c, byte);
	case MAP_0F:
		return map_0f(&c, byte);
	case MAP_0F38:
		return map_0f38(&c, byte);
	default:
		return false;
	}
}

static uint64_t flag(bool set, uint64_t bit)
{
	return set ? bit : 0;
}

uint64_t x86_alu(enum insn_alu alu, unsigned int bytes, uint64_t a, uint64_t b, uint64_t *flags)
{
	const unsigned int top = bytes * 8 - 1;
	const uint64_t mask = bytes == 8 ? UINT64_MAX : (UINT64_C(1) << bytes * 8) - 1;
	const uint64_t carry = *flags & X86_CF ? 1 : 0;
	uint64_t r, f = 0;

	a &= mask;
	b &= mask;
	switch (alu) {
	case ALU_NOT:
		return ~a & mask;
	case ALU_OR:
		r = a | b;
		break;
	case ALU_AND:
		r = a & b;
		break;
	case ALU_XOR:
		r = a ^ b;
		break;
	case ALU_ADD:
	case ALU_ADC:
	case ALU_INC: {
		uint64_t in = alu == ALU_ADC ? carry : 0;

		r = (a + b + in) & mask;
		f = flag(r < a || (in && r == a), X86_CF) |
		    flag(((a ^ r) & (b ^ r)) >> top & 1, X86_OF) | flag((a ^ b ^ r) & 0x10, X86_AF);
		break;
	}
	default: {
		uint64_t in = alu == ALU_SBB ? carry : 0;

		if (alu == ALU_NEG) {
			b = a;
			a = 0;
		}
		r = (a - b - in) & mask;
		f = flag(a < b || (in && a == b), X86_CF) |
		    flag(((a ^ b) & (a ^ r)) >> top & 1, X86_OF) | flag((a ^ b ^ r) & 0x10, X86_AF);
		break;
	}
	}
	if (alu == ALU_INC || alu == ALU_DEC)
		f = (f & ~(uint64_t)X86_CF) | (*flags & X86_CF);
	f |= flag(!r, X86_ZF) | flag(r >> top & 1, X86_SF) |
	     flag(!(__builtin_popcount(r & 0xff) & 1), X86_PF);
	*flags = (*flags & ~(uint64_t)X86_STATUS) | f;
	return r;
}

void x86_set(struct x86_state *s, unsigned int reg, bool high, unsigned int bytes, uint64_t value)
{
	uint64_t *r = &s->gpr[reg & 15];

	if (high)
		*r = (*r & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
	else if (bytes == 8)
		*r = value;
	else if (bytes == 4)
		*r = (uint32_t)value;
	else
		*r = (*r & ~((UINT64_C(1) << bytes * 8) - 1)) |
		     (value & ((UINT64_C(1) << bytes * 8) - 1));
}
