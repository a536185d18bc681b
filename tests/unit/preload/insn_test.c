// SPDX-License-Identifier: MIT
/*
 * Decoding of stores: instructions by their bytes, as an assembler makes them, and what
 * the manuals say that they store and where.
 */
#include "insn.h"
#include "unit.h"

/* Registers: each general one has its number in all bytes but the lowest, which is its own. */
static const struct x86_state x86 = {
	.gpr = { 0x1000, 0x1101, 0x1202, 0x1303, 0x1404, 0x1505, 0x1606, 0x1707, 0x1808, 0x1909,
		 0x1a0a, 0x1b0b, 0x1c0c, 0x1d0d, 0x1e0e, 0x1f0f },
	.rip = 0x400000,
	.fs = 0x50000000,
	.gs = 0x60000000,
};

static void vector(const void *arg, unsigned int reg, uint8_t out[INSN_MAX_BYTES])
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < INSN_MAX_BYTES; i++)
		out[i] = (uint8_t)(reg * 64 + i);
}

struct x86_case {
	const char *text;
	uint8_t code[16];
	unsigned int length;
	enum insn_op op;
	uint64_t address;
	unsigned int bytes;
	uint64_t value;
};

/* clang-format off */
static const struct x86_case cases[] = {
	{ "mov %cl,(%rax)", { 0x88, 0x08 }, 2, INSN_STORE, 0x1000, 1, 0x01 },
	{ "mov %ch,(%rax)", { 0x88, 0x28 }, 2, INSN_STORE, 0x1000, 1, 0x11 },
	{ "mov %bpl,(%rax)", { 0x40, 0x88, 0x28 }, 3, INSN_STORE, 0x1000, 1, 0x05 },
	{ "mov %ecx,(%rax)", { 0x89, 0x08 }, 2, INSN_STORE, 0x1000, 4, 0x1101 },
	{ "mov %cx,(%rax)", { 0x66, 0x89, 0x08 }, 3, INSN_STORE, 0x1000, 2, 0x1101 },
	{ "mov %rcx,(%rax)", { 0x48, 0x89, 0x08 }, 3, INSN_STORE, 0x1000, 8, 0x1101 },
	{ "mov %r9,0x10(%r8)", { 0x4d, 0x89, 0x48, 0x10 }, 4, INSN_STORE, 0x1818, 8, 0x1909 },
	{ "mov %ecx,-8(%rax)", { 0x89, 0x48, 0xf8 }, 3, INSN_STORE, 0xff8, 4, 0x1101 },
	{ "mov %ecx,0x12345678(%rax)", { 0x89, 0x88, 0x78, 0x56, 0x34, 0x12 }, 6, INSN_STORE, 0x12346678, 4, 0x1101 },
	{ "mov %ecx,(%rax,%rbx,4)", { 0x89, 0x0c, 0x98 }, 3, INSN_STORE, 0x1000 + 4 * 0x1303, 4, 0x1101 },
	{ "mov %ecx,(%rsp)", { 0x89, 0x0c, 0x24 }, 3, INSN_STORE, 0x1404, 4, 0x1101 },
	{ "mov %ecx,8(%rbp)", { 0x89, 0x4d, 0x08 }, 3, INSN_STORE, 0x150d, 4, 0x1101 },
	{ "mov %ecx,(%r12)", { 0x41, 0x89, 0x0c, 0x24 }, 4, INSN_STORE, 0x1c0c, 4, 0x1101 },
	{ "mov %ecx,0x0(%r13)", { 0x41, 0x89, 0x4d, 0x00 }, 4, INSN_STORE, 0x1d0d, 4, 0x1101 },
	{ "mov %ecx,(%rax,%r12,2)", { 0x42, 0x89, 0x0c, 0x60 }, 4, INSN_STORE, 0x1000 + 2 * 0x1c0c, 4, 0x1101 },
	{ "mov %ecx,0x1000(,%rcx,8)", { 0x89, 0x0c, 0xcd, 0x00, 0x10, 0x00, 0x00 }, 7, INSN_STORE, 0x1000 + 8 * 0x1101, 4, 0x1101 },
	{ "mov %ecx,0x1234", { 0x89, 0x0c, 0x25, 0x34, 0x12, 0x00, 0x00 }, 7, INSN_STORE, 0x1234, 4, 0x1101 },
	{ "mov %ecx,0x10(%rip)", { 0x89, 0x0d, 0x10, 0x00, 0x00, 0x00 }, 6, INSN_STORE, 0x400016, 4, 0x1101 },
	{ "movl $5,0x10(%rip)", { 0xc7, 0x05, 0x10, 0, 0, 0, 5, 0, 0, 0 }, 10, INSN_STORE, 0x40001a, 4, 5 },
	{ "mov %ecx,%fs:(%rax)", { 0x64, 0x89, 0x08 }, 3, INSN_STORE, 0x50001000, 4, 0x1101 },
	{ "mov %ecx,%gs:(%rax)", { 0x65, 0x89, 0x08 }, 3, INSN_STORE, 0x60001000, 4, 0x1101 },
	{ "movb $0x7f,(%rax)", { 0xc6, 0x00, 0x7f }, 3, INSN_STORE, 0x1000, 1, 0x7f },
	{ "movw $0x1234,(%rax)", { 0x66, 0xc7, 0x00, 0x34, 0x12 }, 5, INSN_STORE, 0x1000, 2, 0x1234 },
	{ "movl $1,(%rax)", { 0xc7, 0x00, 1, 0, 0, 0 }, 6, INSN_STORE, 0x1000, 4, 1 },
	{ "movq $-1,(%rax)", { 0x48, 0xc7, 0x00, 0xff, 0xff, 0xff, 0xff }, 7, INSN_STORE, 0x1000, 8, UINT64_MAX },
	{ "movabs %eax,0x1122334455667788", { 0xa3, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 }, 9, INSN_STORE, 0x1122334455667788, 4, 0x1000 },
	{ "movnti %ecx,(%rax)", { 0x0f, 0xc3, 0x08 }, 3, INSN_STORE, 0x1000, 4, 0x1101 },
	{ "movnti %rcx,(%rax)", { 0x48, 0x0f, 0xc3, 0x08 }, 4, INSN_STORE, 0x1000, 8, 0x1101 },
	{ "movbe %ecx,(%rax)", { 0x0f, 0x38, 0xf1, 0x08 }, 4, INSN_STORE, 0x1000, 4, 0x01110000 },
	{ "movbe %cx,(%rax)", { 0x66, 0x0f, 0x38, 0xf1, 0x08 }, 5, INSN_STORE, 0x1000, 2, 0x0111 },
	{ "movdiri %rcx,(%rax)", { 0x48, 0x0f, 0x38, 0xf9, 0x08 }, 5, INSN_STORE, 0x1000, 8, 0x1101 },
	{ "movdir64b (%rcx),%rax", { 0x66, 0x0f, 0x38, 0xf8, 0x01 }, 5, INSN_COPY, 0x1000, 64, 0 },
	{ "enqcmd (%rcx),%rax", { 0xf2, 0x0f, 0x38, 0xf8, 0x01 }, 5, INSN_ENQUEUE, 0x1000, 64, 0 },
	{ "movups %xmm1,(%rax)", { 0x0f, 0x11, 0x08 }, 3, INSN_STORE, 0x1000, 16, 0x4746454443424140 },
	{ "movss %xmm1,(%rax)", { 0xf3, 0x0f, 0x11, 0x08 }, 4, INSN_STORE, 0x1000, 4, 0x43424140 },
	{ "movsd %xmm1,(%rax)", { 0xf2, 0x0f, 0x11, 0x08 }, 4, INSN_STORE, 0x1000, 8, 0x4746454443424140 },
	{ "movhps %xmm1,(%rax)", { 0x0f, 0x17, 0x08 }, 3, INSN_STORE, 0x1000, 8, 0x4f4e4d4c4b4a4948 },
	{ "movaps %xmm9,(%r8)", { 0x45, 0x0f, 0x29, 0x08 }, 4, INSN_STORE, 0x1808, 16, 0x4746454443424140 },
	{ "movdqa %xmm1,(%rax)", { 0x66, 0x0f, 0x7f, 0x08 }, 4, INSN_STORE, 0x1000, 16, 0x4746454443424140 },
	{ "movdqu %xmm1,(%rax)", { 0xf3, 0x0f, 0x7f, 0x08 }, 4, INSN_STORE, 0x1000, 16, 0x4746454443424140 },
	{ "movntdq %xmm1,(%rax)", { 0x66, 0x0f, 0xe7, 0x08 }, 4, INSN_STORE, 0x1000, 16, 0x4746454443424140 },
	{ "movd %xmm1,(%rax)", { 0x66, 0x0f, 0x7e, 0x08 }, 4, INSN_STORE, 0x1000, 4, 0x43424140 },
	{ "movq %xmm1,(%rax)", { 0x66, 0x0f, 0xd6, 0x08 }, 4, INSN_STORE, 0x1000, 8, 0x4746454443424140 },
	{ "vmovdqu %ymm1,(%rax)", { 0xc5, 0xfe, 0x7f, 0x08 }, 4, INSN_STORE, 0x1000, 32, 0x4746454443424140 },
	{ "vmovdqu %ymm9,(%r8)", { 0xc4, 0x41, 0x7e, 0x7f, 0x08 }, 5, INSN_STORE, 0x1808, 32, 0x4746454443424140 },
	{ "vmovdqu64 %zmm1,0x40(%rax)", { 0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x48, 0x01 }, 7, INSN_STORE, 0x1040, 64, 0x4746454443424140 },
	{ "vmovdqu64 %ymm17,0x20(%rax)", { 0x62, 0xe1, 0xfe, 0x28, 0x7f, 0x48, 0x01 }, 7, INSN_STORE, 0x1020, 32, 0x4746454443424140 },
	{ "stos %al,(%rdi)", { 0xaa }, 1, INSN_FILL, 0x1707, 1, 0x00 },
	{ "rep stos %rax,(%rdi)", { 0xf3, 0x48, 0xab }, 3, INSN_FILL, 0x1707, 8, 0x1000 },
	{ "rep movsb", { 0xf3, 0xa4 }, 2, INSN_MOVE, 0x1707, 1, 0 },
	{ "lock orl $1,(%rax)", { 0xf0, 0x83, 0x08, 0x01 }, 4, INSN_MODIFY, 0x1000, 4, 1 },
	{ "add %ecx,(%rax)", { 0x01, 0x08 }, 2, INSN_MODIFY, 0x1000, 4, 0x1101 },
	{ "xchg %ecx,(%rax)", { 0x87, 0x08 }, 2, INSN_EXCHANGE, 0x1000, 4, 0x1101 },
	{ "lock cmpxchg %ecx,(%rax)", { 0xf0, 0x0f, 0xb1, 0x08 }, 4, INSN_COMPARE_EXCHANGE, 0x1000, 4, 0x1101 },
	{ "lock xadd %rcx,(%rax)", { 0xf0, 0x48, 0x0f, 0xc1, 0x08 }, 5, INSN_EXCHANGE_ADD, 0x1000, 8, 0x1101 },
	{ "setne (%rax)", { 0x0f, 0x95, 0x00 }, 3, INSN_STORE, 0x1000, 1, 1 },
	{ "mov %ecx,(%eax)", { 0x67, 0x89, 0x08 }, 3, INSN_STORE, 0x1000, 4, 0x1101 },
};
/* clang-format on */

TEST(x86_stores)
{
	struct x86_state s = x86;
	struct insn in;
	uint64_t value;
	size_t i;

	s.vector = vector;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct x86_case *c = &cases[i];
		unsigned int n = c->bytes < 8 ? c->bytes : 8;

		if (!x86_decode(c->code, &s, &in)) {
			printf("# %s is not decoded\n", c->text);
			EXPECT_TRUE(false);
			continue;
		}
		value = 0;
		memcpy(&value, in.value, n);
		if (in.op != c->op || in.length != c->length || in.address != c->address ||
		    in.bytes != c->bytes || (c->value && memcmp(&value, &c->value, n)))
			printf("# %s: op %u length %u address %lx bytes %u value %lx\n", c->text,
			       in.op, in.length, in.address, in.bytes, value);
		EXPECT_EQ(c->op, in.op);
		EXPECT_EQ(c->length, in.length);
		EXPECT_EQ(c->address, in.address);
		EXPECT_EQ(c->bytes, in.bytes);
		if (c->op != INSN_COPY && c->op != INSN_ENQUEUE && c->op != INSN_MOVE)
			EXPECT_TRUE(!memcmp(&value, &c->value, n));
	}
}

TEST(x86_others)
{
	static const uint8_t codes[][16] = {
		{ 0x8b, 0x08 },				/* mov (%rax),%ecx */
		{ 0x89, 0xc8 },				/* mov %ecx,%eax */
		{ 0x0f, 0x10, 0x08 },			/* movups (%rax),%xmm1 */
		{ 0x39, 0x08 },				/* cmp %ecx,(%rax) */
		{ 0x83, 0x38, 0x01 },			/* cmpl $1,(%rax) */
		{ 0xdd, 0x18 },				/* fstpl (%rax) */
		{ 0xff, 0x10 },				/* call *(%rax) */
		{ 0xf7, 0x00, 1, 0, 0, 0 },		/* testl $1,(%rax) */
		{ 0xc3 },				/* ret */
		{ 0x62, 0xf1, 0xfe, 0x49, 0x7f, 0x08 }, /* vmovdqu64 under a mask */
		{ 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		  0x66, 0x66, 0x66 }, /* nothing but prefixes */
	};
	struct x86_state s = x86;
	struct insn in;
	size_t i;

	s.vector = vector;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		EXPECT_TRUE(!x86_decode(codes[i], &s, &in));
}

TEST(copies_say_where_from)
{
	static const uint8_t code[] = { 0x66, 0x0f, 0x38, 0xf8, 0x41, 0x40 };
	struct insn in;

	ASSERT_TRUE(x86_decode(code, &x86, &in)); /* movdir64b 0x40(%rcx),%rax */
	EXPECT_EQ(0x1141, in.source);
	EXPECT_EQ(0x1000, in.address);
}

/* Against the processor itself. */
#if defined(__x86_64__)

#define HARDWARE(name, insn, type)                                                                 \
	static uint64_t name(uint64_t a, uint64_t b, uint64_t *flags)                              \
	{                                                                                          \
		type d = (type)a, s = (type)b;                                                     \
		uint64_t f = *flags;                                                               \
                                                                                                   \
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %1\n\tpopfq\n\t" insn             \
				 "\n\tpushfq\n\tpop %1\n\tlea 128(%%rsp), %%rsp"                   \
				 : "+r"(d), "+r"(f)                                                \
				 : "r"(s)                                                          \
				 : "cc", "memory");                                                \
		*flags = f;                                                                        \
		return d;                                                                          \
	}

HARDWARE(hw_add, "addl %2, %0", uint32_t)
HARDWARE(hw_adc, "adcl %2, %0", uint32_t)
HARDWARE(hw_sub, "subl %2, %0", uint32_t)
HARDWARE(hw_sbb, "sbbl %2, %0", uint32_t)
HARDWARE(hw_inc, "incl %0", uint32_t)
HARDWARE(hw_dec, "decl %0", uint32_t)
HARDWARE(hw_neg, "negl %0", uint32_t)
HARDWARE(hw_addw, "addw %2, %0", uint16_t)
HARDWARE(hw_subq, "subq %2, %0", uint64_t)

static const struct {
	enum insn_alu alu;
	unsigned int bytes;
	uint64_t (*fn)(uint64_t a, uint64_t b, uint64_t *flags);
	bool unary;
} hardware[] = {
	{ ALU_ADD, 4, hw_add, false },	{ ALU_ADC, 4, hw_adc, false },
	{ ALU_SUB, 4, hw_sub, false },	{ ALU_SBB, 4, hw_sbb, false },
	{ ALU_INC, 4, hw_inc, true },	{ ALU_DEC, 4, hw_dec, true },
	{ ALU_NEG, 4, hw_neg, true },	{ ALU_ADD, 2, hw_addw, false },
	{ ALU_SUB, 8, hw_subq, false },
};

TEST(arithmetic_is_the_processors)
{
	static const uint64_t values[] = { 0,	       1,	   2,	       0xf,
					   0x10,       0x7f,	   0x80,       0xff,
					   0x7fff,     0x8000,	   0xffff,     0x7fffffff,
					   0x80000000, 0xffffffff, UINT64_MAX, UINT64_C(1) << 63 };
	const size_t n = sizeof(values) / sizeof(values[0]);
	size_t h, i, j, c;

	for (h = 0; h < sizeof(hardware) / sizeof(hardware[0]); h++)
		for (i = 0; i < n; i++)
			for (j = 0; j < n; j++)
				for (c = 0; c < 2; c++) {
					uint64_t mine = 0x202 | c, real = 0x202 | c, a, b;

					a = x86_alu(hardware[h].alu, hardware[h].bytes, values[i],
						    hardware[h].unary ? 1 : values[j], &mine);
					b = hardware[h].fn(values[i], values[j], &real);
					EXPECT_EQ(b, a);
					EXPECT_EQ(real & X86_STATUS, mine & X86_STATUS);
				}
}

#endif

TEST(parts_of_registers)
{
	struct x86_state s = { .gpr = { UINT64_MAX, UINT64_MAX } };

	x86_set(&s, 0, false, 4, 1);
	EXPECT_EQ(1, s.gpr[0]);
	x86_set(&s, 1, false, 1, 0);
	EXPECT_EQ(UINT64_MAX - 0xff, s.gpr[1]);
	x86_set(&s, 1, true, 1, 0x12);
	EXPECT_EQ(0xffffffffffff1200, s.gpr[1]);
}

struct arm64_case {
	const char *text;
	uint32_t code;
	uint64_t address;
	unsigned int bytes;
	uint64_t value;
	int base;
	uint64_t base_value;
};

/* Xn has the value n * 0x1000 + n. */
static const struct arm64_case arm64_cases[] = {
	{ "str x1, [x2]", 0xf9000041, 0x2002, 8, 0x1001, -1, 0 },
	{ "str w1, [x2, #4]", 0xb9000441, 0x2006, 4, 0x1001, -1, 0 },
	{ "strb w1, [x2, #1]", 0x39000441, 0x2003, 1, 0x01, -1, 0 },
	{ "strh w1, [x2]", 0x79000041, 0x2002, 2, 0x1001, -1, 0 },
	{ "str wzr, [x2]", 0xb900005f, 0x2002, 4, 0, -1, 0 },
	{ "str x1, [x2, #8]!", 0xf8008c41, 0x200a, 8, 0x1001, 2, 0x200a },
	{ "str x1, [x2], #8", 0xf8008441, 0x2002, 8, 0x1001, 2, 0x200a },
	{ "stur w1, [x2, #-4]", 0xb81fc041, 0x1ffe, 4, 0x1001, -1, 0 },
	{ "str w1, [x2, x3, lsl #2]", 0xb8237841, 0x2002 + 4 * 0x3003, 4, 0x1001, -1, 0 },
	{ "str w1, [x2, w3, uxtw]", 0xb8234841, 0x2002 + 0x3003, 4, 0x1001, -1, 0 },
	{ "stp w1, w3, [x2]", 0x29000c41, 0x2002, 8, 0x300300001001, -1, 0 },
	{ "stp x1, x3, [x2, #16]", 0xa9010c41, 0x2012, 16, 0x1001, -1, 0 },
	{ "stlr w1, [x2]", 0x889ffc41, 0x2002, 4, 0x1001, -1, 0 },
	{ "str q1, [x2]", 0x3d800041, 0x2002, 16, 0x4746454443424140, -1, 0 },
	{ "str d1, [x2]", 0xfd000041, 0x2002, 8, 0x4746454443424140, -1, 0 },
	{ "stp q1, q2, [x2]", 0xad000841, 0x2002, 32, 0x4746454443424140, -1, 0 },
};

TEST(arm64_stores)
{
	struct arm64_state s = { .vector = vector };
	struct insn in;
	uint64_t value;
	size_t i;

	for (i = 0; i < 32; i++)
		s.x[i] = i * 0x1000 + i;
	for (i = 0; i < sizeof(arm64_cases) / sizeof(arm64_cases[0]); i++) {
		const struct arm64_case *c = &arm64_cases[i];
		unsigned int n = c->bytes < 8 ? c->bytes : 8;

		if (!arm64_decode(c->code, &s, &in)) {
			printf("# %s is not decoded\n", c->text);
			EXPECT_TRUE(false);
			continue;
		}
		value = 0;
		memcpy(&value, in.value, n);
		if (in.address != c->address || in.bytes != c->bytes || value != c->value)
			printf("# %s: address %lx bytes %u value %lx\n", c->text, in.address,
			       in.bytes, value);
		EXPECT_EQ(c->address, in.address);
		EXPECT_EQ(c->bytes, in.bytes);
		EXPECT_EQ(c->value, value);
		EXPECT_EQ(c->base, in.base);
		EXPECT_EQ(c->base_value, in.base_value);
	}
}

TEST(arm64_others)
{
	static const uint32_t codes[] = {
		0xf9400041, /* ldr x1, [x2] */
		0xb8404441, /* ldr w1, [x2], #4 */
		0xa9400c41, /* ldp x1, x3, [x2] */
		0xf8210041, /* ldadd x1, x1, [x2] */
		0xf8a14841, /* prfm */
		0x88dffc41, /* ldar w1, [x2] */
		0xd503201f, /* nop */
	};
	struct arm64_state s = { .vector = vector };
	struct insn in;
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		EXPECT_TRUE(!arm64_decode(codes[i], &s, &in));
}
