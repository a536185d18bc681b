// SPDX-License-Identifier: MIT
/*
 * A store to a register has raised a signal: do it.
 *
 * The instruction is decoded (insn.h), its bytes go to the server as a write of the file
 * that is mapped there, and the program goes on behind it. When that has happened the
 * server has carried out what the store means, so a load of the next instruction sees
 * its effect.
 *
 * This runs in a signal handler, with all other signals blocked: no libc function but
 * those that only compute, and the server is called over the thread's own channel.
 */
#include <string.h>
#include <ucontext.h>

#include "insn.h"
#include "raw.h"
#include "real.h"
#include "traps.h"

#define PAGE 4096

/* A string instruction is done in pieces: other threads may wait for the device. */
#define PIECE 512

/* What a refused store leads to. */
enum outcome { DONE, AGAIN, REFUSED, FAULTED };

/* @n bytes at @from, which are @mine or the program's, go to the registers at @to. */
static enum outcome write_through(const struct trap *t, uint64_t to, uint64_t from, size_t n,
				  bool mine)
{
	struct door_call call = {
		.op = DOOR_WRITE,
		.fd = t->fd,
		.dev = t->dev,
		.ino = t->ino,
		.a = from,
		.b = n,
		.c = t->offset + (to - t->start),
	};
	long ret;

	/* What is known to be readable need not be fetched. */
	if (mine && n <= sizeof(call.d)) {
		call.op = DOOR_STORE;
		memcpy(&call.d, (const void *)(uintptr_t)from, n);
	}
	ret = door_call(&call, NULL, NULL);
	if (ret == -EFAULT)
		return FAULTED;
	if (ret == -EAGAIN)
		return REFUSED;
	/* Anything else is lost, as on a bus where nobody answers. */
	return DONE;
}

/* A store that may begin or end outside of the registers. */
static enum outcome store(uint64_t to, const uint8_t *from, size_t n)
{
	enum outcome outcome = DONE;
	struct trap t;
	size_t part;

	while (n && outcome == DONE) {
		part = n;
		if (traps_find(to, &t)) {
			if (part > t.end - to)
				part = t.end - to;
			outcome = write_through(&t, to, (uintptr_t)from, part, true);
		} else {
			if (part > PAGE - to % PAGE)
				part = PAGE - to % PAGE;
			memcpy((void *)(uintptr_t)to, from, part);
		}
		to += part;
		from += part;
		n -= part;
	}
	return outcome;
}

static size_t print(char *to, const char *text)
{
	size_t n = strlen(text);

	memcpy(to, text, n);
	return n;
}

static size_t print_hex(char *to, uint64_t value, unsigned int digits)
{
	unsigned int i;

	for (i = 0; i < digits; i++)
		to[i] = "0123456789abcdef"[value >> (4 * (digits - 1 - i)) & 15];
	return digits;
}

/* Say which instruction it is that nobody has thought of. */
static void complain(const uint8_t *code, uint64_t address)
{
	size_t left = PAGE - (uintptr_t)code % PAGE, i, n = 0;
	char text[192];

	n += print(text + n, "softiommu: cannot do the store to a device's register at 0x");
	n += print_hex(text + n, address, 16);
	n += print(text + n, ": unknown instruction");
	for (i = 0; i < 15 && i < left; i++) {
		text[n++] = ' ';
		n += print_hex(text + n, code[i], 2);
	}
	text[n++] = '\n';
	(void)raw3(SYS_write, 2, text, n);
}

#if defined(__x86_64__)

#include <cpuid.h>

/* Where the upper halves of vector registers are in what a signal saves. */
#define XSAVE_MAGIC	  0x46505853
#define XSAVE_MAGIC_AT	  464
#define XSAVE_PRESENT	  512
#define XSAVE_YMM	  2
#define XSAVE_ZMM	  6
#define XSAVE_ZMM_FROM_16 7

static const int gregs[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
			       REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
			       REG_R12, REG_R13, REG_R14, REG_R15 };

/* A component of the saved state; NULL if it is as after a reset: all zero. */
static const uint8_t *component(const uint8_t *area, unsigned int number)
{
	unsigned int bytes, offset, c, d;
	uint32_t magic;
	uint64_t present;

	memcpy(&magic, area + XSAVE_MAGIC_AT, sizeof(magic));
	memcpy(&present, area + XSAVE_PRESENT, sizeof(present));
	if (magic != XSAVE_MAGIC || !(present >> number & 1))
		return NULL;
	__cpuid_count(0xd, number, bytes, offset, c, d);
	return bytes ? area + offset : NULL;
}

static void get_vector(const void *arg, unsigned int reg, uint8_t out[INSN_MAX_BYTES])
{
	const uint8_t *area = arg, *part;

	memset(out, 0, INSN_MAX_BYTES);
	if (reg >= 16) {
		part = component(area, XSAVE_ZMM_FROM_16);
		if (part)
			memcpy(out, part + 64 * (reg - 16), 64);
		return;
	}
	memcpy(out, area + 160 + 16 * reg, 16);
	part = component(area, XSAVE_YMM);
	if (part)
		memcpy(out + 16, part + 16 * reg, 16);
	part = component(area, XSAVE_ZMM);
	if (part)
		memcpy(out + 32, part + 32 * reg, 32);
}

static void load_state(const ucontext_t *uc, struct x86_state *s)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		s->gpr[i] = (uint64_t)uc->uc_mcontext.gregs[gregs[i]];
	s->rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	s->flags = (uint64_t)uc->uc_mcontext.gregs[REG_EFL];
	s->vector = get_vector;
	s->arg = uc->uc_mcontext.fpregs;
}

static void save_state(ucontext_t *uc, const struct x86_state *s)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		uc->uc_mcontext.gregs[gregs[i]] = (long long)s->gpr[i];
	uc->uc_mcontext.gregs[REG_RIP] = (long long)s->rip;
	uc->uc_mcontext.gregs[REG_EFL] = (long long)s->flags;
}

static uint64_t value_of(const struct insn *in)
{
	uint64_t value;

	memcpy(&value, in->value, sizeof(value));
	return value;
}

static bool equal(uint64_t a, uint64_t b, unsigned int bytes)
{
	return !memcmp(&a, &b, bytes);
}

/* Instructions that read first. */
static enum outcome change(const struct insn *in, struct x86_state *s)
{
	uint64_t old = 0, next = value_of(in), flags = s->flags;
	enum outcome outcome;
	bool take = true;

	memcpy(&old, (const void *)(uintptr_t)in->address, in->bytes);
	if (in->op == INSN_MODIFY) {
		next = x86_alu(in->alu, in->bytes, old, next, &flags);
	} else if (in->op == INSN_EXCHANGE_ADD) {
		next = x86_alu(ALU_ADD, in->bytes, old, next, &flags);
	} else if (in->op == INSN_COMPARE_EXCHANGE) {
		(void)x86_alu(ALU_SUB, in->bytes, s->gpr[0], old, &flags);
		take = equal(s->gpr[0], old, in->bytes);
		if (!take)
			next = old; /* it is written in any case */
	}
	outcome = store(in->address, (const uint8_t *)&next, in->bytes);
	if (outcome == FAULTED)
		return outcome;
	s->flags = flags;
	if (in->op == INSN_EXCHANGE || in->op == INSN_EXCHANGE_ADD)
		x86_set(s, in->reg, in->high, in->bytes, old);
	else if (!take)
		x86_set(s, 0, false, in->bytes, old);
	return outcome;
}

/* A piece of a string instruction. Return: AGAIN if there is more of it. */
static enum outcome move_string(const struct insn *in, struct x86_state *s)
{
	const uint64_t count = in->rep ? s->gpr[1] : 1;
	const bool down = s->flags & X86_DF;
	uint8_t fill[PIECE];
	enum outcome outcome;
	uint64_t n = 1, i;
	struct trap t;

	if (!count)
		return DONE;
	if (!traps_find(in->address, &t) || t.end - in->address < in->bytes)
		return FAULTED;
	if (!down) {
		n = (t.end - in->address) / in->bytes;
		if (n > PIECE / in->bytes)
			n = PIECE / in->bytes;
		if (n > count)
			n = count;
	}
	for (i = 0; in->op == INSN_FILL && i < n; i++)
		memcpy(fill + i * in->bytes, in->value, in->bytes);
	outcome = write_through(&t, in->address, in->op == INSN_FILL ? (uintptr_t)fill : in->source,
				n * in->bytes, in->op == INSN_FILL);
	if (outcome == FAULTED)
		return outcome;
	n *= in->bytes;
	s->gpr[7] += down ? -n : n;
	if (in->op == INSN_MOVE)
		s->gpr[6] += down ? -n : n;
	if (!in->rep)
		return DONE;
	s->gpr[1] -= n / in->bytes;
	return s->gpr[1] ? AGAIN : DONE;
}

static enum outcome execute(const struct insn *in, struct x86_state *s)
{
	enum outcome outcome;
	struct trap t;

	switch (in->op) {
	case INSN_STORE:
		return store(in->address, in->value, in->bytes);
	case INSN_COPY:
	case INSN_ENQUEUE:
		if (!traps_find(in->address, &t))
			return FAULTED;
		outcome = write_through(&t, in->address, in->source, in->bytes, false);
		if (in->op == INSN_ENQUEUE && outcome != FAULTED) {
			s->flags &= ~(uint64_t)X86_STATUS;
			s->flags |= outcome == REFUSED ? X86_ZF : 0;
		}
		return outcome;
	case INSN_FILL:
	case INSN_MOVE:
		return move_string(in, s);
	default:
		return change(in, s);
	}
}

static bool covers(const struct insn *in, uint64_t address)
{
	return address - in->address < in->bytes;
}

/* Segments are asked for only where they matter. */
static bool decode(struct x86_state *s, uint64_t address, struct insn *in)
{
	const uint8_t *code = (const uint8_t *)(uintptr_t)s->rip;

	if (!x86_decode(code, s, in))
		return false;
	if (in->segment) {
		(void)raw2(SYS_arch_prctl, 0x1003, &s->fs); /* ARCH_GET_FS */
		(void)raw2(SYS_arch_prctl, 0x1004, &s->gs); /* ARCH_GET_GS */
		(void)x86_decode(code, s, in);
	}
	return !address || covers(in, address);
}

/*
 * A fault may have come of there being no code. The kernel reads a mask before it looks at
 * what to do with it, which is nothing here.
 */
static bool is_readable(uint64_t address)
{
	return raw4(SYS_rt_sigprocmask, -1, address & ~UINT64_C(7), NULL, 8) != -EFAULT;
}

bool trap_emulate(int signal, const siginfo_t *info, void *context)
{
	/* Only a store is at a known address; the rest may be what the CPU does not have. */
	const bool stored = signal == SIGSEGV && info->si_code == SEGV_ACCERR;
	const uint64_t address = stored ? (uintptr_t)info->si_addr : 0;
	struct x86_state s = { 0 };
	enum outcome outcome;
	struct insn in;
	struct trap t;

	if (stored && !traps_find(address, &t))
		return false;
	if (!stored && signal == SIGSEGV && info->si_code != SI_KERNEL)
		return false;
	if (!stored && signal == SIGILL && info->si_code <= 0)
		return false;
	load_state(context, &s);
	if (stored ? address == s.rip : !is_readable(s.rip))
		return false;
	if (!decode(&s, address, &in)) {
		if (stored)
			complain((const uint8_t *)(uintptr_t)s.rip, address);
		return false;
	}
	if (!stored && ((in.op != INSN_COPY && in.op != INSN_ENQUEUE) || in.address % 64 ||
			!traps_find(in.address, &t)))
		return false;
	outcome = execute(&in, &s);
	if (outcome == FAULTED)
		return false;
	if (outcome != AGAIN)
		s.rip += in.length;
	save_state(context, &s);
	return true;
}

#elif defined(__aarch64__)

#include <asm/sigcontext.h>

/* Records of what is saved beside the general registers follow each other. */
static void get_vector(const void *arg, unsigned int reg, uint8_t out[INSN_MAX_BYTES])
{
	const struct _aarch64_ctx *record = arg;

	memset(out, 0, INSN_MAX_BYTES);
	while (record->magic && record->size) {
		if (record->magic == FPSIMD_MAGIC) {
			memcpy(out, &((const struct fpsimd_context *)record)->vregs[reg], 16);
			return;
		}
		record = (const struct _aarch64_ctx *)((const char *)record + record->size);
	}
}

bool trap_emulate(int signal, const siginfo_t *info, void *context)
{
	const uint64_t address = (uintptr_t)info->si_addr;
	ucontext_t *uc = context;
	struct arm64_state s;
	struct insn in;
	struct trap t;
	uint32_t code;

	if (signal != SIGSEGV || info->si_code != SEGV_ACCERR || !traps_find(address, &t) ||
	    address == uc->uc_mcontext.pc)
		return false;
	memcpy(s.x, uc->uc_mcontext.regs, 31 * sizeof(s.x[0]));
	s.x[31] = uc->uc_mcontext.sp;
	s.pc = uc->uc_mcontext.pc;
	s.vector = get_vector;
	s.arg = uc->uc_mcontext.__reserved;
	memcpy(&code, (const void *)s.pc, sizeof(code));
	if (!arm64_decode(code, &s, &in) || address - in.address >= in.bytes) {
		complain((const uint8_t *)s.pc, address);
		return false;
	}
	if (store(in.address, in.value, in.bytes) == FAULTED)
		return false;
	if (in.base >= 0 && in.base < 31)
		uc->uc_mcontext.regs[in.base] = in.base_value;
	else if (in.base == 31)
		uc->uc_mcontext.sp = in.base_value;
	uc->uc_mcontext.pc += in.length;
	return true;
}

#endif
