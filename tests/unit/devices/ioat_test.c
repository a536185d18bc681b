// SPDX-License-Identifier: MIT
/*
 * The I/OAT model, register by register: what a driver may rely on by the data sheet,
 * and what the drivers of kernels do.
 */
#include "engine_rig.h"

#define CHANCNT	   0x00
#define XFERCAP	   0x01
#define INTRCTRL   0x03
#define ATTNSTATUS 0x04
#define CBVER	   0x08

#define CHANCTRL   0x00
#define CHANCMD	   0x04
#define DMACOUNT   0x06
#define CHANSTS	   0x08
#define CHAINADDR  0x10
#define CHANCMP	   0x18
#define CHANERR	   0x28
#define CHANERRMSK 0x2c

#define CHANERR_INT 0x180

#define ACTIVE	  0
#define DONE	  1
#define SUSPENDED 2
#define HALTED	  3

#define INT_EN	 0x01
#define COMPLETE 0x08
#define FENCE	 0x10
#define NULLED	 0x20
#define OP_COPY	 0x00000000u
#define OP_FILL	 0x01000000u

struct desc {
	uint32_t size;
	uint32_t control;
	uint64_t src;
	uint64_t dst;
	uint64_t next;
	uint64_t unused[4];
};

/* Where things are in the memory. */
#define RING 0x000000ull
#define CMP  0x100000ull
#define SRC  0x200000ull
#define DST  0x400000ull

static unsigned int chan;

static uint64_t get(uint64_t reg, unsigned int bytes)
{
	return get_reg(0, 0x80 * (chan + 1ull) + reg, bytes);
}

static void set(uint64_t reg, uint64_t value, unsigned int bytes)
{
	set_reg(0, 0x80 * (chan + 1ull) + reg, value, bytes);
}

static unsigned int status(void)
{
	return get(CHANSTS, 8) & 7;
}

static struct desc *ring(unsigned int i)
{
	return (struct desc *)(bench.ram + RING) + i;
}

static uint64_t ring_iova(unsigned int i)
{
	return RAM + RING + i * sizeof(struct desc);
}

static struct desc *put(unsigned int i, uint32_t control, uint64_t src, uint64_t dst, uint32_t size)
{
	*ring(i) = (struct desc){
		.size = size, .control = control, .src = src, .dst = dst, .next = ring_iova(i + 1)
	};
	return ring(i);
}

static void start(unsigned int i, uint16_t count)
{
	set(CHAINADDR, ring_iova(i), 8);
	set(CHANCTRL, 1, 2);
	set(DMACOUNT, count, 2);
}

/* Do what the ring has, and see it end like this. */
static void expect_run(uint16_t count, unsigned int end)
{
	start(0, count);
	WAIT_FOR(status() != ACTIVE);
	EXPECT_EQ(end, status());
}

static void begin(const char *options)
{
	chan = 0;
	bench_begin("ioat", options);
}

TEST(it_looks_as_drivers_expect)
{
	begin("");
	EXPECT_EQ(0x20218086, get_config(0, 4));
	EXPECT_EQ(0x0880, get_config(PCI_CLASS_DEVICE, 2));
	EXPECT_EQ(1, get_reg(0, CHANCNT, 1));
	EXPECT_EQ(20, get_reg(0, XFERCAP, 1));
	EXPECT_EQ(0x33, get_reg(0, CBVER, 1));
	EXPECT_EQ(0x40, get_reg(0, 0x10, 4));
	EXPECT_EQ(HALTED, get(CHANSTS, 8));
	EXPECT_EQ(0, get(CHANERR, 4));
	EXPECT_EQ(0, get_config(CHANERR_INT, 4));
	/* It has no PASIDs, no ATS, no page requests. */
	EXPECT_EQ(0, pci_find_ext_cap(bench.func, PCI_EXT_CAP_ID_PASID));
	EXPECT_EQ(0, pci_find_ext_cap(bench.func, PCI_EXT_CAP_ID_ATS));
	EXPECT_TRUE(pci_find_cap(bench.func, PCI_CAP_ID_MSIX));
	bench_end();
}

TEST(options)
{
	struct pci_func *func;

	begin("channels=16,xfer=4K");
	EXPECT_EQ(16, get_reg(0, CHANCNT, 1));
	EXPECT_EQ(12, get_reg(0, XFERCAP, 1));
	EXPECT_RC(-EINVAL, make_function("ioat", "channels=17", &func));
	EXPECT_RC(-EINVAL, make_function("ioat", "channels=0", &func));
	EXPECT_RC(-EINVAL, make_function("ioat", "xfer=5000", &func));
	EXPECT_RC(-EINVAL, make_function("ioat", "speed=1", &func));
	bench_end();
}

/* As the kernel's VFIO selftests drive it, step by step. */
TEST(as_the_vfio_selftest)
{
	unsigned int i;

	begin("");
	set_config(CHANERR_INT, get_config(CHANERR_INT, 4), 4);
	set(CHANERR, get(CHANERR, 4), 4);
	set(CHANCMD, 0x20, 1);
	WAIT_FOR(!(get(CHANCMD, 1) & 0x20));
	ASSERT_EQ(HALTED, status());
	set_reg(0, INTRCTRL, 0x08, 1);
	memset(bench.ram + SRC, 'x', 8);
	for (i = 0; i < 20; i++) {
		memset(bench.ram + DST, 'y', 8);
		put(0, i % 2 ? INT_EN : 0, RAM + SRC, RAM + DST, 8)->next = ring_iova(0);
		set(CHAINADDR, ring_iova(0), 8);
		set(CHANCTRL, 0x09, 2);
		set(DMACOUNT, 1, 2);
		/* The store has made it active: it is not halted or suspended any more. */
		EXPECT_TRUE(status() == ACTIVE || status() == DONE);
		WAIT_FOR(status() == DONE);
		set(CHANCMD, 0x04, 1);
		WAIT_FOR(status() == SUSPENDED);
		EXPECT_MEM(bench.ram + SRC, bench.ram + DST, 8);
		WAIT_FOR(bench.messages[0] == (i + 1) / 2);
	}
	bench_end();
}

TEST(copies_are_exact)
{
	uint64_t seed = unit_seed();
	unsigned int i;
	uint8_t *want;

	begin("");
	want = buffer(2 * MiB);
	for (i = 0; i < 200; i++) {
		uint64_t from = SRC + unit_random(&seed) % 60000;
		uint64_t to = DST + unit_random(&seed) % 60000;
		uint32_t n = 1 + unit_random(&seed) % (i % 10 ? 5000 : MiB);

		fill_random(bench.ram + from, n, &seed);
		memcpy(want, bench.ram + DST, 70000 + n);
		memcpy(want + (to - DST), bench.ram + from, n);
		put(0, OP_COPY, RAM + from, RAM + to, n);
		expect_run(1, DONE);
		ASSERT_TRUE(!memcmp(want, bench.ram + DST, 70000 + n));
	}
	bench_end();
}

TEST(a_fill_repeats_eight_bytes)
{
	const uint64_t pattern = 0x1122334455667788;
	unsigned int i;

	begin("");
	memset(bench.ram + DST, 0, 100000);
	put(0, OP_FILL, pattern, RAM + DST + 5, 40003);
	expect_run(1, DONE);
	for (i = 0; i < 40003; i++)
		if (bench.ram[DST + 5 + i] != (uint8_t)(pattern >> i % 8 * 8))
			break;
	EXPECT_EQ(40003, i);
	EXPECT_EQ(0, bench.ram[DST + 4]);
	EXPECT_EQ(0, bench.ram[DST + 5 + 40003]);
	bench_end();
}

TEST(a_chain_and_its_counter)
{
	unsigned int i;

	begin("");
	for (i = 0; i < 64; i++) {
		bench.ram[SRC + i] = (uint8_t)(i + 1);
		bench.ram[DST + i] = 0;
		put(i, OP_COPY, RAM + SRC + i, RAM + DST + i, 1);
	}
	expect_run(10, DONE);
	EXPECT_MEM(bench.ram + SRC, bench.ram + DST, 10);
	EXPECT_EQ(0, bench.ram[DST + 10]);
	EXPECT_EQ(ring_iova(9) | DONE, get(CHANSTS, 8));
	/* The counter goes on; it is not written anew. */
	set(DMACOUNT, 64, 2);
	WAIT_FOR(status() == DONE);
	EXPECT_MEM(bench.ram + SRC, bench.ram + DST, 64);
	EXPECT_EQ(ring_iova(63) | DONE, get(CHANSTS, 8));
	/* The same again: nothing to do. */
	bench.ram[DST] = 99;
	set(DMACOUNT, 64, 2);
	EXPECT_EQ(DONE, status());
	bench_end();
}

/* One descriptor that is its own next: DMACOUNT is what ends it. */
TEST(a_loop_ends_by_the_counter)
{
	begin("");
	put(0, OP_COPY | COMPLETE, RAM + SRC, RAM + DST, 16)->next = ring_iova(0);
	set(CHANCMP, RAM + CMP, 8);
	expect_run(65535, DONE);
	EXPECT_EQ(ring_iova(0) | DONE, *(uint64_t *)(bench.ram + CMP));
	bench_end();
}

TEST(completions_are_written)
{
	volatile uint64_t *cmp;

	begin("");
	cmp = (uint64_t *)(bench.ram + CMP);
	*cmp = 0;
	set(CHANCMP, (uint32_t)(RAM + CMP), 4);
	set(CHANCMP + 4, (RAM + CMP) >> 32, 4);
	EXPECT_EQ(RAM + CMP, get(CHANCMP, 8));
	put(0, NULLED | COMPLETE | INT_EN, 0, 0, 16);
	put(1, OP_COPY, RAM + SRC, RAM + DST, 16);
	put(2, OP_COPY, RAM + SRC, RAM + DST, 16);
	set_reg(0, INTRCTRL, 0x08, 1);
	expect_run(1, DONE);
	EXPECT_EQ(ring_iova(0) | DONE, *cmp);
	WAIT_FOR(bench.messages[0] == 1);
	/* Only those that ask for it. */
	set(DMACOUNT, 3, 2);
	WAIT_FOR(status() == DONE);
	EXPECT_EQ(ring_iova(0) | DONE, *cmp);
	EXPECT_EQ(1, bench.messages[0]);
	bench_end();
}

struct bad {
	uint32_t control;
	uint64_t src;
	uint64_t dst;
	uint32_t size;
	uint32_t err;
};

TEST(errors_of_descriptors)
{
	const uint64_t src = RAM + SRC, dst = RAM + DST;
	const struct bad bad[] = {
		{ OP_COPY, NOWHERE, dst, 64, 0x0001 },	   { OP_COPY, src, NOWHERE, 64, 0x0002 },
		{ OP_FILL, 0, NOWHERE, 64, 0x0002 },	   { OP_COPY, ~0ull - 3, dst, 64, 0x0001 },
		{ OP_COPY, src, dst, 0, 0x0800 },	   { NULLED, src, dst, 0, 0x0800 },
		{ OP_COPY, src, dst, MiB + 1, 0x0800 },	   { 0x87000000, src, dst, 64, 0x0400 },
		{ 0x02000000, src, dst, 64, 0x0400 },	   { OP_COPY | 0x40, src, dst, 64, 0x0400 },
		{ OP_COPY | 0x800, src, dst, 64, 0x0400 },
	};
	unsigned int i;

	begin("");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct bad *b = &bad[i];

		put(0, b->control, b->src, b->dst, b->size);
		expect_run(1, HALTED);
		EXPECT_EQ(b->err, get(CHANERR, 4));
		EXPECT_EQ(b->err, get_config(CHANERR_INT, 4));
		/* It stays halted until the error is cleared. */
		put(0, OP_COPY, src, dst, 64);
		start(0, 1);
		EXPECT_EQ(HALTED, status());
		set(CHANERR, 0, 4);
		EXPECT_EQ(b->err, get(CHANERR, 4));
		set(CHANERR, b->err, 4);
		set_config(CHANERR_INT, b->err, 4);
		EXPECT_EQ(0, get(CHANERR, 4));
		EXPECT_EQ(0, get_config(CHANERR_INT, 4));
		expect_run(1, DONE);
	}
	bench_end();
}

TEST(errors_of_chains)
{
	begin("");
	set(CHAINADDR, NOWHERE, 8);
	set(DMACOUNT, 1, 2);
	WAIT_FOR(status() == HALTED);
	EXPECT_EQ(0x0004, get(CHANERR, 4));
	set(CHANERR, ~0u, 4);
	set(CHAINADDR, ring_iova(0) + 32, 8);
	set(DMACOUNT, 1, 2);
	EXPECT_EQ(HALTED, status());
	EXPECT_EQ(0x0010, get(CHANERR, 4));
	set(CHANERR, ~0u, 4);
	put(0, OP_COPY, RAM + SRC, RAM + DST, 8)->next = ring_iova(1) + 4;
	expect_run(2, HALTED);
	EXPECT_EQ(0x0008, get(CHANERR, 4));
	EXPECT_EQ(ring_iova(0) | HALTED, get(CHANSTS, 8));
	set(CHANERR, ~0u, 4);
	/* Completions that go nowhere. */
	put(0, NULLED | COMPLETE, 0, 0, 8);
	set(CHANCMP, NOWHERE, 8);
	expect_run(1, HALTED);
	EXPECT_EQ(0x1000, get(CHANERR, 4));
	set(CHANERR, ~0u, 4);
	set(CHANCMP, RAM + CMP + 4, 8);
	expect_run(1, HALTED);
	EXPECT_EQ(0x1000, get(CHANERR, 4));
	bench_end();
}

TEST(errors_are_reported_as_asked)
{
	volatile uint64_t *cmp;

	begin("");
	cmp = (uint64_t *)(bench.ram + CMP);
	*cmp = 0;
	set_reg(0, INTRCTRL, 0x08, 1);
	set(CHANCMP, RAM + CMP, 8);
	put(0, OP_COPY | INT_EN, NOWHERE, RAM + DST, 8);
	expect_run(1, HALTED);
	EXPECT_EQ(0, bench.messages[0]);
	EXPECT_EQ(0, *cmp);
	set(CHANERR, ~0u, 4);
	set(CHAINADDR, ring_iova(0), 8);
	set(CHANCTRL, 0x15, 2);
	set(DMACOUNT, 1, 2);
	WAIT_FOR(status() == HALTED);
	WAIT_FOR(bench.messages[0] == 1);
	EXPECT_EQ(HALTED, *cmp);
	/* A masked one makes no interrupt. */
	set(CHANERR, ~0u, 4);
	set(CHANERRMSK, 0x1, 4);
	set(CHAINADDR, ring_iova(0), 8);
	set(CHANCTRL, 0x15, 2);
	set(DMACOUNT, 1, 2);
	WAIT_FOR(status() == HALTED);
	EXPECT_EQ(0x1, get(CHANERR, 4));
	EXPECT_EQ(1, bench.messages[0]);
	bench_end();
}

TEST(without_bus_mastering)
{
	begin("");
	set_config(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	put(0, OP_COPY, RAM + SRC, RAM + DST, 8);
	expect_run(1, HALTED);
	EXPECT_EQ(0x0004, get(CHANERR, 4));
	bench_end();
}

/* One interrupt, until the driver allows the next. */
TEST(interrupts_are_rearmed)
{
	unsigned int i;

	begin("channels=3");
	set_reg(0, INTRCTRL, 0x08, 1);
	chan = 2;
	for (i = 0; i < 8; i++)
		put(i, NULLED | INT_EN, 0, 0, 8);
	expect_run(4, DONE);
	WAIT_FOR(bench.messages[2] == 1);
	EXPECT_EQ(0, bench.messages[0]);
	EXPECT_EQ(1, get(CHANCTRL, 2) & 1);
	EXPECT_EQ(1u << 2, get_reg(0, ATTNSTATUS, 4));
	EXPECT_EQ(0x0a, get_reg(0, INTRCTRL, 1));
	set(CHANCTRL, 1, 2);
	EXPECT_EQ(0, get(CHANCTRL, 2) & 1);
	EXPECT_EQ(0, get_reg(0, ATTNSTATUS, 4));
	set(DMACOUNT, 5, 2);
	WAIT_FOR(bench.messages[2] == 2);
	/* One vector for all, if the driver does not say that each has its own. */
	set_reg(0, INTRCTRL, 0x01, 1);
	set(CHANCTRL, 1, 2);
	set(DMACOUNT, 6, 2);
	WAIT_FOR(bench.messages[0] == 1);
	bench_end();
}

TEST(the_pin_and_msi)
{
	begin("");
	bench_listen(PCI_IRQ_INTX);
	put(0, NULLED | INT_EN, 0, 0, 8);
	put(1, NULLED | INT_EN, 0, 0, 8);
	put(2, NULLED | INT_EN, 0, 0, 8);
	/* Not enabled. */
	expect_run(1, DONE);
	WAIT_FOR(get_reg(0, ATTNSTATUS, 4) == 1);
	EXPECT_EQ(0, bench.pins);
	set_reg(0, INTRCTRL, 0x01, 1);
	set(CHANCTRL, 1, 2);
	set(DMACOUNT, 2, 2);
	WAIT_FOR(bench.pin);
	EXPECT_EQ(0x07, get_reg(0, INTRCTRL, 1));
	/* As a handler ends. */
	set_reg(0, INTRCTRL, 0x07, 1);
	EXPECT_TRUE(!bench.pin);
	bench_listen(PCI_IRQ_MSI);
	set(CHANCTRL, 1, 2);
	set(DMACOUNT, 3, 2);
	WAIT_FOR(bench.messages[0] == 1);
	EXPECT_TRUE(!bench.pin);
	bench_end();
}

TEST(suspend_and_go_on)
{
	unsigned int i;

	begin("");
	for (i = 0; i < 1000; i++)
		put(i, OP_COPY, RAM + SRC, RAM + DST, MiB);
	start(0, 1000);
	set(CHANCMD, 0x04, 1);
	WAIT_FOR(status() == SUSPENDED);
	EXPECT_TRUE(get(CHANSTS, 8) >> 6 < ring_iova(999) >> 6);
	EXPECT_EQ(0, get(CHANERR, 4));
	/* The chain may change while it rests. */
	for (i = 0; i < 1000; i++)
		put(i, NULLED, 0, 0, 8);
	set(DMACOUNT, 1000, 2);
	WAIT_FOR(status() == DONE);
	EXPECT_EQ(ring_iova(999) | DONE, get(CHANSTS, 8));
	bench_end();
}

TEST(commands_that_are_none)
{
	begin("");
	set(CHANCMD, 0x01, 1);
	EXPECT_EQ(HALTED, status());
	EXPECT_EQ(0x0020, get(CHANERR, 4));
	EXPECT_EQ(0, get(CHANCMD, 1));
	set(CHANERR, ~0u, 4);
	set(CHANCMD, 0x24, 1);
	EXPECT_EQ(0x0020, get(CHANERR, 4));
	bench_end();
}

TEST(a_reset_while_it_works)
{
	unsigned int i;

	begin("");
	put(0, OP_COPY, RAM + SRC, RAM + DST, MiB)->next = ring_iova(0);
	for (i = 0; i < 30; i++) {
		start(0, 65535);
		set(CHANCMD, 0x20, 1);
		WAIT_FOR(!(get(CHANCMD, 1) & 0x20));
		EXPECT_EQ(HALTED, get(CHANSTS, 8));
		EXPECT_EQ(0, get(CHANERR, 4));
	}
	put(0, OP_COPY, RAM + SRC, RAM + DST, 8);
	expect_run(1, DONE);
	bench_end();
}

/* Nothing is written and nothing interrupts when it returns. */
TEST(a_function_level_reset_while_it_works)
{
	unsigned int i, before;

	begin("channels=2");
	for (i = 0; i < 30; i++) {
		bench_master();
		bench_listen(PCI_IRQ_MSIX);
		set_reg(0, INTRCTRL, 0x08, 1);
		put(0, OP_COPY | INT_EN, RAM + SRC, RAM + DST, 65536)->next = ring_iova(0);
		for (chan = 0; chan < 2; chan++)
			start(0, 65535);
		if (i % 2)
			sched_yield();
		pci_func_reset(bench.func);
		memset(bench.ram + DST, 0x5a, 65536);
		before = bench.messages[0] + bench.messages[1];
		set_config(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
		for (chan = 0; chan < 2; chan++)
			EXPECT_EQ(HALTED, get(CHANSTS, 8));
		sleep_ms(1);
		EXPECT_EQ(0x5a, bench.ram[DST]);
		EXPECT_EQ(0x5a, bench.ram[DST + 65535]);
		EXPECT_EQ(before, bench.messages[0] + bench.messages[1]);
		EXPECT_EQ(0, get_reg(0, INTRCTRL, 1));
		chan = 0;
		EXPECT_EQ(0, get(CHANCTRL, 2));
	}
	bench_end();
}

/* What is no register, and stores of odd kinds. */
TEST(stores_everywhere)
{
	uint64_t seed = unit_seed();
	uint8_t bytes[64];
	unsigned int i;

	begin("channels=4");
	for (i = 0; i < 20000; i++) {
		unsigned int n = 1u << unit_random(&seed) % 7;
		uint64_t at = unit_random(&seed) % (i % 4 ? 0x300 : 0x4000);

		fill_random(bytes, sizeof(bytes), &seed);
		if (n == 16 || n == 32)
			n = 64;
		EXPECT_OK(pci_bar_write(bench.func, 0, at & ~(uint64_t)(n - 1), bytes, n));
	}
	EXPECT_EQ(4, get_reg(0, CHANCNT, 1));
	EXPECT_EQ(0x33, get_reg(0, CBVER, 1));
	pci_func_reset(bench.func);
	bench_master();
	chan = 3;
	put(0, OP_COPY, RAM + SRC, RAM + DST, 8);
	expect_run(1, DONE);
	bench_end();
}

TEST(memory_is_unmapped_while_it_copies)
{
	unsigned int i;

	begin("");
	for (i = 0; i < 20; i++) {
		put(0, OP_COPY, RAM + SRC, RAM + DST, MiB)->next = ring_iova(0);
		start(0, 2000);
		sleep_ms(1);
		ASSERT_OK(unmap(bench.rig.ioas, RAM, RAM_BYTES));
		memset(bench.ram + DST, 0x77, 4096);
		WAIT_FOR(status() == HALTED || status() == DONE);
		EXPECT_EQ(0x77, bench.ram[DST]);
		ASSERT_OK(map_at(bench.rig.ioas, bench.ram, RAM_BYTES, RAM));
		set(CHANERR, ~0u, 4);
	}
	bench_end();
}
