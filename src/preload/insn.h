/* SPDX-License-Identifier: MIT */
/*
 * What an instruction stores, and where: decoded from its bytes and the registers, without
 * any effect. Both processors' decoders are plain functions, built and tested everywhere.
 */
#ifndef PRELOAD_INSN_H
#define PRELOAD_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that one instruction stores. */
#define INSN_MAX_BYTES 64

/* Bits of x86's flags register. */
#define X86_CF	   0x1
#define X86_PF	   0x4
#define X86_AF	   0x10
#define X86_ZF	   0x40
#define X86_SF	   0x80
#define X86_DF	   0x400
#define X86_OF	   0x800
#define X86_STATUS (X86_CF | X86_PF | X86_AF | X86_ZF | X86_SF | X86_OF)

/**
 * enum insn_op - what becomes of memory
 * @INSN_STORE: it gets @value
 * @INSN_COPY: it gets what is at @source
 * @INSN_ENQUEUE: the same, and the zero flag says whether it was taken
 * @INSN_FILL: a string store: it gets @value, @count times
 * @INSN_MOVE: a string move: the same with what is at @source
 * @INSN_MODIFY: it gets what @alu makes of it and @value
 * @INSN_EXCHANGE: it gets @value, and register @reg gets what it was
 * @INSN_EXCHANGE_ADD: the same with the sum
 * @INSN_COMPARE_EXCHANGE: it gets @value if it is as the accumulator, which else gets it
 */
enum insn_op {
	INSN_STORE,
	INSN_COPY,
	INSN_ENQUEUE,
	INSN_FILL,
	INSN_MOVE,
	INSN_MODIFY,
	INSN_EXCHANGE,
	INSN_EXCHANGE_ADD,
	INSN_COMPARE_EXCHANGE,
};

/* The order is that of the instruction set's own numbers, up to XOR. */
enum insn_alu {
	ALU_ADD,
	ALU_OR,
	ALU_ADC,
	ALU_SBB,
	ALU_AND,
	ALU_SUB,
	ALU_XOR,
	ALU_INC,
	ALU_DEC,
	ALU_NOT,
	ALU_NEG
};

/**
 * struct insn - a decoded store
 * @op: enum insn_op
 * @length: bytes of the instruction
 * @bytes: stored at once
 * @address: where to
 * @source: for copies
 * @value: what, in memory's order
 * @alu: for INSN_MODIFY
 * @reg: for exchanges
 * @high: that is the second byte of the register
 * @rep: a string instruction that counts down RCX
 * @segment: a segment's base is in an address
 * @base: arm64: register that gets @base_value; -1 for none
 * @base_value: what an indexed address leaves
 */
struct insn {
	enum insn_op op;
	unsigned int length;
	unsigned int bytes;
	uint64_t address;
	uint64_t source;
	uint8_t value[INSN_MAX_BYTES];
	enum insn_alu alu;
	unsigned int reg;
	bool high;
	bool rep;
	bool segment;
	int base;
	uint64_t base_value;
};

/* Registers of vectors, as the interrupted program has them. */
typedef void insn_vector_fn(const void *arg, unsigned int reg, uint8_t out[INSN_MAX_BYTES]);

/**
 * struct x86_state - registers of an x86-64 program
 * @gpr: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 .. R15
 * @rip: where the instruction is
 * @flags: of the flags register
 * @fs: base of that segment
 * @gs: base of that segment
 * @vector: for vector registers
 * @arg: passed to it
 */
struct x86_state {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t flags;
	uint64_t fs;
	uint64_t gs;
	insn_vector_fn *vector;
	const void *arg;
};

/*
 * Decode the store at @code. Nothing beyond the instruction's end is read. Return: false
 * if it is none that is known.
 */
bool x86_decode(const uint8_t *code, const struct x86_state *s, struct insn *out);

/* What @alu makes of @a and @b, of @bytes each; @flags are changed as it says. */
uint64_t x86_alu(enum insn_alu alu, unsigned int bytes, uint64_t a, uint64_t b, uint64_t *flags);

/* Set a register, or its lower half or less, as an instruction does. */
void x86_set(struct x86_state *s, unsigned int reg, bool high, unsigned int bytes, uint64_t value);

/**
 * struct arm64_state - registers of an arm64 program
 * @x: X0 .. X30, and SP
 * @pc: where the instruction is
 * @vector: for vector registers
 * @arg: passed to it
 */
struct arm64_state {
	uint64_t x[32];
	uint64_t pc;
	insn_vector_fn *vector;
	const void *arg;
};

/* Return: false if it is no store that is known. */
bool arm64_decode(uint32_t code, const struct arm64_state *s, struct insn *out);

#endif
