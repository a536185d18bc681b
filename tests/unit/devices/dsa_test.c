// SPDX-License-Identifier: MIT
/* The DSA model: commands, every operation, errors by number. */
#include "dsa_rig.h"

TEST(it_looks_as_drivers_expect)
{
	uint64_t gencap, wqcap;

	begin_with("");
	EXPECT_EQ(0x0b258086, get_config(0, 4));
	EXPECT_EQ(0x100, get_reg(0, 0, 4));
	gencap = get_reg(0, GENCAP, 8);
	wqcap = get_reg(0, WQCAP, 8);
	EXPECT_EQ(1, gencap & 1);
	EXPECT_EQ(21, gencap >> 16 & 0x1f);
	EXPECT_EQ(10, gencap >> 21 & 0xf);
	EXPECT_EQ(1, gencap >> 31);
	EXPECT_EQ(128, wqcap & 0xffff);
	EXPECT_EQ(8, wqcap >> 16 & 0xff);
	EXPECT_EQ(1, wqcap >> 24 & 0xf);
	EXPECT_EQ(3, wqcap >> 48 & 3);
	EXPECT_EQ(4, get_reg(0, GRPCAP, 8) & 0xff);
	EXPECT_EQ(4, get_reg(0, ENGCAP, 8));
	EXPECT_EQ(0x1000303ff, get_reg(0, OPCAP, 8));
	EXPECT_EQ(0, get_reg(0, OPCAP + 8, 8));
	EXPECT_EQ(GRPCFG, (get_reg(0, OFFSETS, 8) & 0xffff) * 0x100);
	EXPECT_EQ(WQCFG, (get_reg(0, OFFSETS, 8) >> 16 & 0xffff) * 0x100);
	EXPECT_EQ(PERM, (get_reg(0, OFFSETS, 8) >> 32 & 0xffff) * 0x100);
	/* No commands for interrupt handles: a handle is a vector. */
	EXPECT_EQ(0x1ffe, get_reg(0, CMDCAP, 4));
	EXPECT_TRUE(pci_find_ext_cap(bench.func, PCI_EXT_CAP_ID_PASID));
	EXPECT_TRUE(pci_find_ext_cap(bench.func, PCI_EXT_CAP_ID_PRI));
	EXPECT_EQ(0, get_reg(0, GENSTS, 4));
	bench_end();
}

TEST(options)
{
	struct pci_func *func;

	begin_with("wqs=2,engines=1,size=16,xfer=1G,batch=32");
	EXPECT_EQ(16 | 2 << 16, get_reg(0, WQCAP, 8) & 0xffffff);
	EXPECT_EQ(1, get_reg(0, ENGCAP, 8));
	EXPECT_EQ(30 | 5 << 5, get_reg(0, GENCAP, 8) >> 16 & 0x1ff);
	EXPECT_RC(-EINVAL, make_function("dsa", "wqs=17", &func));
	EXPECT_RC(-EINVAL, make_function("dsa", "engines=9", &func));
	EXPECT_RC(-EINVAL, make_function("dsa", "size=1025", &func));
	EXPECT_RC(-EINVAL, make_function("dsa", "xfer=3M", &func));
	EXPECT_RC(-EINVAL, make_function("dsa", "batch=2048", &func));
	EXPECT_RC(-EINVAL, make_function("dsa", "shared=1", &func));
	bench_end();
}

/* As the kernel's VFIO selftests drive it, step by step. */
TEST(as_the_vfio_selftest)
{
	struct desc desc, *copy;
	unsigned int i;

	begin_with("");
	set_wq(0, 0, 128);
	set_wq(0, 1, 0);
	set_wq(0, 2, 0x15);
	set_wq(0, 3, 21 | 10 << 5);
	for (i = 4; i < 8; i++)
		set_wq(0, i, 0);
	set_wq(0, 8, 1 << MOVE | 1 << BATCH);
	for (i = 9; i < 16; i++)
		set_wq(0, i, 0);
	set_reg(0, GRPCFG, 1, 8);
	set_reg(0, GRPCFG + 32, 1, 8);
	ASSERT_EQ(0, command(ENABLE_DEVICE, 0));
	ASSERT_EQ(0, command(ENABLE_WQ, 0));
	/* One copy with an interrupt. */
	memset(bench.ram + SRC, 'x', 8);
	desc = make(MOVE, RCI, RAM + SRC, RAM + DST, 8);
	desc.pasid = 1u << 31;
	desc.handle = 1;
	EXPECT_EQ(1, run(&desc)->status);
	WAIT_FOR(bench.messages[1] == 1);
	EXPECT_MEM(bench.ram + SRC, bench.ram + DST, 8);
	/* 32 batches, of which only the last one says when it is done. */
	copy = (struct desc *)(bench.ram + LIST);
	for (i = 0; i < 1024; i++) {
		copy[i] = make(MOVE, 0, RAM + SRC, RAM + DST, 4096);
		copy[i].op &= ~RCR;
	}
	memset(record(1), 0, sizeof(*record(1)));
	for (i = 0; i < 32; i++) {
		desc = make(BATCH, 0, RAM + LIST, 0, 1024);
		desc.record = record_iova(1);
		if (i < 31)
			desc.op &= ~RCR;
		submit(0, &desc);
	}
	WAIT_FOR(record(1)->status);
	EXPECT_EQ(1, record(1)->status);
	EXPECT_EQ(1024, record(1)->done);
	/* From nowhere. */
	desc = make(MOVE, 0, NOWHERE, RAM + DST, 64);
	EXPECT_EQ(0x03, run(&desc)->status);
	EXPECT_EQ(0, get_reg(0, SWERROR, 8));
	/* Other operations are off. */
	desc = make(FILL, 0, 0, RAM + DST, 64);
	EXPECT_EQ(0x10, run(&desc)->status);
	EXPECT_EQ(1, bench.messages[1]);
	EXPECT_EQ(0, command(RESET_DEVICE, 0));
	bench_end();
}

TEST(commands)
{
	begin_with("");
	EXPECT_EQ(0x01, command(0, 0));
	EXPECT_EQ(0x01, command(13, 0));
	EXPECT_EQ(0x01, command(31, 0));
	EXPECT_EQ(0x31, command(DISABLE_DEVICE, 0));
	EXPECT_EQ(0x31, command(DRAIN_ALL, 0));
	EXPECT_EQ(0x20, command(ENABLE_WQ, 0));
	EXPECT_EQ(0x32, command(DISABLE_WQ, 1));
	/* A WQ with a size that is in no group, in two, in one without engines. */
	set_up_wq(0, 0);
	EXPECT_EQ(0x15, command(ENABLE_DEVICE, 0));
	set_reg(0, GRPCFG, 1, 8);
	EXPECT_EQ(0x16, command(ENABLE_DEVICE, 0));
	set_reg(0, GRPCFG + 32, 1, 8);
	set_reg(0, GRPCFG + 64, 1, 8);
	EXPECT_EQ(0x15, command(ENABLE_DEVICE, 0));
	set_reg(0, GRPCFG + 64, 0, 8);
	set_reg(0, GRPCFG + 64 + 32, 1, 8);
	EXPECT_EQ(0x16, command(ENABLE_DEVICE, 0));
	set_reg(0, GRPCFG + 64 + 32, 0, 8);
	set_wq(0, 0, 129);
	EXPECT_EQ(0x14, command(ENABLE_DEVICE, 0));
	set_wq(0, 0, 16);
	set_config(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	EXPECT_EQ(0x12, command(ENABLE_DEVICE, 0));
	bench_master();
	EXPECT_EQ(0, command(ENABLE_DEVICE, 0));
	EXPECT_EQ(1, get_reg(0, GENSTS, 4));
	EXPECT_EQ(0x10, command(ENABLE_DEVICE, 0));
	/* What is set up cannot be changed now. */
	set_wq(0, 0, 99);
	EXPECT_EQ(16, get_wq(0, 0));
	set_reg(0, GRPCFG, 3, 8);
	EXPECT_EQ(1, get_reg(0, GRPCFG, 8));
	EXPECT_EQ(0x02, command(ENABLE_WQ, 8));
	EXPECT_EQ(0x22, command(ENABLE_WQ, 1));
	set_wq(0, 2, 0x01);
	EXPECT_EQ(0x23, command(ENABLE_WQ, 0));
	/* A shared one takes PASIDs. */
	set_wq(0, 2, 0x10);
	EXPECT_EQ(0x26, command(ENABLE_WQ, 0));
	set_wq(0, 2, 0x11);
	set_wq(0, 3, 21 | 11 << 5);
	EXPECT_EQ(0x27, command(ENABLE_WQ, 0));
	set_wq(0, 3, 22);
	EXPECT_EQ(0x28, command(ENABLE_WQ, 0));
	set_wq(0, 3, 21);
	EXPECT_EQ(0, command(ENABLE_WQ, 0));
	EXPECT_EQ(1, get_wq(0, 6) >> 30);
	EXPECT_EQ(0x21, command(ENABLE_WQ, 0));
	EXPECT_EQ(0x02, command(DISABLE_WQ, 0));
	EXPECT_EQ(0x02, command(DISABLE_WQ, 1 << 8));
	EXPECT_EQ(0x02, command(DISABLE_WQ, 1 << 16 | 1));
	EXPECT_EQ(0, command(DISABLE_WQ, 1));
	EXPECT_EQ(0, get_wq(0, 6) >> 30);
	EXPECT_EQ(0, command(ENABLE_WQ, 0));
	EXPECT_EQ(0, command(DISABLE_DEVICE, 0));
	EXPECT_EQ(0, get_reg(0, GENSTS, 4));
	EXPECT_EQ(0, get_wq(0, 6) >> 30);
	EXPECT_EQ(16, get_wq(0, 0));
	EXPECT_EQ(0, command(RESET_DEVICE, 0));
	EXPECT_EQ(0, get_wq(0, 0));
	EXPECT_EQ(0, get_reg(0, GRPCFG, 8));
	bench_end();
}

TEST(a_command_interrupts)
{
	begin_with("");
	EXPECT_EQ(0, command(RESET_DEVICE | 1 << 11, 0));
	WAIT_FOR(bench.messages[0] == 1);
	EXPECT_EQ(2, get_reg(0, INTCAUSE, 4));
	set_reg(0, INTCAUSE, 2, 4);
	EXPECT_EQ(0, get_reg(0, INTCAUSE, 4));
	bench_end();
}

TEST(moves_are_exact)
{
	uint64_t seed = unit_seed();
	unsigned int i;
	uint8_t *want;

	begin();
	want = buffer(2 * MiB);
	for (i = 0; i < 300; i++) {
		bool near = i % 3 == 0;
		uint64_t from = (near ? DST : SRC) + unit_random(&seed) % 60000;
		uint64_t to = DST + unit_random(&seed) % 60000;
		uint32_t n = 1 + unit_random(&seed) % (i % 10 ? 9000 : MiB);
		struct desc desc = make(MOVE, i & 1 ? CACHE : 0, RAM + from, RAM + to, n);

		fill_random(bench.ram + from, n, &seed);
		memcpy(want, bench.ram + DST, 70000 + n);
		memcpy(want + (to - DST), bench.ram + from, n);
		ASSERT_EQ(1, run(&desc)->status);
		ASSERT_TRUE(!memcmp(want, bench.ram + DST, 70000 + n));
	}
	bench_end();
}

TEST(fill_and_compare)
{
	struct desc desc;
	unsigned int i;

	begin();
	desc = make(FILL, 0, 0x8877665544332211, RAM + DST + 3, 50001);
	EXPECT_EQ(1, run(&desc)->status);
	for (i = 0; i < 50001 && bench.ram[DST + 3 + i] == 0x11 * (i % 8 + 1); i++)
		;
	EXPECT_EQ(50001, i);
	EXPECT_EQ(0, bench.ram[DST + 2]);
	EXPECT_EQ(0, bench.ram[DST + 3 + 50001]);
	desc = make(COMPVAL, 0, RAM + DST + 3, 0x8877665544332211, 50001);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(0, record(0)->result);
	bench.ram[DST + 3 + 40000] ^= 1;
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(1, record(0)->result);
	EXPECT_EQ(40000, record(0)->done);
	memcpy(bench.ram + SRC, bench.ram + DST, 60000);
	desc = make(COMPARE, CHECK, RAM + SRC, RAM + DST, 60000);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(0, record(0)->result);
	bench.ram[SRC + 17000] ^= 0x80;
	EXPECT_EQ(2, run(&desc)->status);
	EXPECT_EQ(1, record(0)->result);
	EXPECT_EQ(17000, record(0)->done);
	desc.more[0] = 1;
	EXPECT_EQ(1, run(&desc)->status);
	bench_end();
}

TEST(a_delta_there_and_back)
{
	uint64_t seed = unit_seed();
	struct desc desc;
	unsigned int i, differ = 0;
	uint32_t bytes, max = 80000;
	uint64_t at = RAM + DST2;

	begin();
	fill_random(bench.ram + SRC, 400000, &seed);
	memcpy(bench.ram + DST, bench.ram + SRC, 400000);
	/* The same: nothing. */
	desc = make(CR_DELTA, 0, RAM + SRC, RAM + DST, 400000);
	memcpy(desc.more, &at, 8);
	memcpy(desc.more + 8, &max, 4);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(0, record(0)->result);
	EXPECT_EQ(0, record(0)->flags);
	for (i = 0; i < 400000; i += 8 * (1 + unit_random(&seed) % 100)) {
		bench.ram[DST + i + unit_random(&seed) % 8] ^= 0x55;
		differ++;
	}
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(1, record(0)->result);
	EXPECT_EQ(differ * 10, record(0)->flags);
	bytes = record(0)->flags;
	/* The delta makes the first one the second. */
	desc = make(AP_DELTA, 0, RAM + DST2, RAM + SRC, 400000);
	memcpy(desc.more, &bytes, 4);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_TRUE(!memcmp(bench.ram + SRC, bench.ram + DST, 400000));
	/* Offsets that do not grow, or are too large. */
	memcpy(bench.ram + DST2 + 10, bench.ram + DST2, 10);
	EXPECT_EQ(0x07, run(&desc)->status);
	EXPECT_EQ(10, record(0)->done);
	memset(bench.ram + DST2 + 10, 0xff, 2);
	EXPECT_EQ(0x08, run(&desc)->status);
	/* No room. */
	memset(bench.ram + SRC, 0, 4096);
	memset(bench.ram + DST, 1, 4096);
	max = 80;
	desc = make(CR_DELTA, CHECK, RAM + SRC, RAM + DST, 4096);
	memcpy(desc.more, &at, 8);
	memcpy(desc.more + 8, &max, 4);
	desc.more[16] = 1 << 2;
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(2, record(0)->result);
	EXPECT_EQ(80, record(0)->flags);
	EXPECT_EQ(64, record(0)->done);
	desc.more[16] = 1 << 1;
	EXPECT_EQ(2, run(&desc)->status);
	bench_end();
}

TEST(dualcast)
{
	uint64_t seed = unit_seed(), second = RAM + DST2 + 100;
	struct desc desc;

	begin();
	fill_random(bench.ram + SRC, 70000, &seed);
	desc = make(DUALCAST, 0, RAM + SRC, RAM + DST + 100, 70000);
	memcpy(desc.more, &second, 8);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_MEM(bench.ram + SRC, bench.ram + DST + 100, 70000);
	EXPECT_MEM(bench.ram + SRC, bench.ram + DST2 + 100, 70000);
	second++;
	memcpy(desc.more, &second, 8);
	EXPECT_EQ(0x17, run(&desc)->status);
	second = RAM + DST + 100 + 4096;
	memcpy(desc.more, &second, 8);
	EXPECT_EQ(0x16, run(&desc)->status);
	bench_end();
}

/* CRC-32C, bit by bit, as RFC 3720 has it. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	unsigned int bit;

	for (crc = ~crc; n--; p++) {
		crc ^= *p;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* The same without reflection or inversion: the first bit of a byte is its highest. */
static uint32_t crc_plain(uint32_t crc, const uint8_t *p, size_t n)
{
	unsigned int bit;

	for (; n--; p++) {
		crc ^= (uint32_t)*p << 24;
		for (bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc >> 31 ? 0x1edc6f41 : 0);
	}
	return crc;
}

TEST(crc)
{
	uint64_t seed = unit_seed(), seed_at = RAM + DST2;
	uint32_t start = 0x12345678;
	struct desc desc;

	begin();
	memcpy(bench.ram + SRC, "123456789", 9);
	desc = make(CRCGEN, 0, RAM + SRC, 0, 9);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(0xe3069283, record(0)->crc);
	fill_random(bench.ram + SRC, 50000, &seed);
	desc = make(COPY_CRC, 0, RAM + SRC, RAM + DST, 50000);
	memcpy(desc.more, &start, 4);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(crc32c(start, bench.ram + SRC, 50000), record(0)->crc);
	EXPECT_MEM(bench.ram + SRC, bench.ram + DST, 50000);
	/* The seed from memory; and it goes on from there. */
	start = crc32c(0, bench.ram + SRC, 20000);
	memcpy(bench.ram + DST2, &start, 4);
	desc = make(CRCGEN, CRC_SEED, RAM + SRC + 20000, 0, 30000);
	memcpy(desc.more + 8, &seed_at, 8);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(crc32c(0, bench.ram + SRC, 50000), record(0)->crc);
	start = 0xcafe;
	desc = make(CRCGEN, CRC_PLAIN | CRC_FWD, RAM + SRC, 0, 1000);
	memcpy(desc.more, &start, 4);
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(crc_plain(start, bench.ram + SRC, 1000), record(0)->crc);
	bench_end();
}

TEST(no_operation_drain_and_flush)
{
	struct desc desc;

	begin();
	desc = make(NOOP, 0, 0, 0, 0);
	EXPECT_EQ(1, run(&desc)->status);
	desc = make(DRAIN, 0, 0, 0, 0);
	EXPECT_EQ(1, run(&desc)->status);
	desc = make(CFLUSH, 0, 0, RAM + DST, 100000);
	EXPECT_EQ(1, run(&desc)->status);
	desc = make(CFLUSH, 0, 0, RAM + RAM_BYTES - 8192, 100000);
	EXPECT_EQ(0x03, run(&desc)->status);
	EXPECT_EQ(8192, record(0)->done);
	bench_end();
}

/* A driver can go on from where it stopped. */
TEST(page_faults_say_how_far_it_got)
{
	const uint64_t end = RAM + RAM_BYTES;
	struct desc desc;

	begin();
	desc = make(MOVE, 0, end - 20000, RAM + DST, 50000);
	EXPECT_EQ(0x03, run(&desc)->status);
	EXPECT_EQ(20000, record(0)->done);
	EXPECT_EQ(end, record(0)->fault);
	EXPECT_EQ(0, record(0)->fault_info);
	desc = make(MOVE, 0, RAM + SRC, end - 20000, 50000);
	EXPECT_EQ(0x83, run(&desc)->status);
	EXPECT_EQ(20000, record(0)->done);
	EXPECT_EQ(end, record(0)->fault);
	EXPECT_EQ(1, record(0)->fault_info);
	EXPECT_MEM(bench.ram + SRC, bench.ram + RAM_BYTES - 20000, 20000);
	desc = make(FILL, 0, 0, end - 100, 200);
	EXPECT_EQ(0x83, run(&desc)->status);
	EXPECT_EQ(100, record(0)->done);
	memset(bench.ram + SRC, 0, 5000);
	desc = make(COMPARE, 0, RAM + SRC, end - 100, 5000);
	EXPECT_EQ(0x03, run(&desc)->status);
	EXPECT_EQ(100, record(0)->done);
	/* From the end: what is done is at the end, and the result says so. */
	desc = make(MOVE, 0, RAM - 5000, RAM - 5000 + 2000, 50000);
	EXPECT_EQ(0x03, run(&desc)->status);
	EXPECT_EQ(1, record(0)->result);
	EXPECT_EQ(45000, record(0)->done);
	/* It wraps. */
	desc = make(MOVE, 0, ~0ull - 10, RAM + DST, 100);
	EXPECT_EQ(0x03, run(&desc)->status);
	bench_end();
}

struct bad {
	uint8_t opcode;
	uint32_t flags;
	uint64_t src;
	uint64_t dst;
	uint32_t size;
	uint8_t status;
	uint32_t bad_flags;
};

TEST(descriptors_that_are_wrong)
{
	const uint64_t src = RAM + SRC, dst = RAM + DST;
	const struct bad bad[] = {
		{ 0x0a, 0, src, dst, 8, 0x10, 0 },
		{ 0x12, 0, src, dst, 8, 0x10, 0 },
		{ 0xff, 0, src, dst, 8, 0x10, 0 },
		{ MOVE, BOF, src, dst, 8, 0x11, BOF },
		{ MOVE, FENCE, src, dst, 8, 0x11, FENCE },
		{ MOVE, CHECK, src, dst, 8, 0x11, CHECK },
		{ MOVE, 0x800000, src, dst, 8, 0x11, 0x800000 },
		{ NOOP, CACHE, 0, 0, 0, 0x11, CACHE },
		{ COMPARE, CACHE, src, dst, 8, 0x11, CACHE },
		{ MOVE, 0, src, dst, 0, 0x13, 0 },
		{ MOVE, 0, src, dst, (2 << 20) + 1, 0x13, 0 },
		{ BATCH, 0, RAM + LIST, 0, 1, 0x14, 0 },
		{ BATCH, 0, RAM + LIST, 0, 1025, 0x14, 0 },
		{ BATCH, 0, RAM + LIST + 32, 0, 2, 0x18, 0 },
		{ BATCH, 0, NOWHERE, 0, 2, 0x06, 0 },
		{ CR_DELTA, 0, src, dst, 64, 0x15, 0 },
		{ AP_DELTA, 0, src + 4, dst, 64, 0x1c, 0 },
		{ AP_DELTA, 0, src, dst, 63, 0x13, 0 },
		{ COPY_CRC, 0, src, src + 5, 64, 0x16, 0 },
	};
	struct desc desc;
	unsigned int i;

	begin();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct bad *b = &bad[i];

		desc = make(b->opcode, b->flags, b->src, b->dst, b->size);
		EXPECT_EQ(b->status, run(&desc)->status);
		if (b->bad_flags)
			EXPECT_EQ(b->bad_flags, record(0)->flags);
	}
	desc = make(MOVE, 0, src, dst, 8);
	desc.reserved = 1;
	EXPECT_EQ(0x12, run(&desc)->status);
	desc = make(MOVE, 0, src, dst, 8);
	desc.more[23] = 1;
	EXPECT_EQ(0x12, run(&desc)->status);
	desc = make(MOVE, RCI, src, dst, 8);
	desc.handle = 9;
	EXPECT_EQ(0x19, run(&desc)->status);
	/* A vector that is for a PASID. */
	set_reg(0, PERM + 8, 0x5008, 4);
	desc.handle = 1;
	EXPECT_EQ(0x19, run(&desc)->status);
	set_reg(0, PERM + 8, 0x500c, 4);
	EXPECT_EQ(1, run(&desc)->status);
	WAIT_FOR(bench.messages[1] == 1);
	EXPECT_EQ(0, get_reg(0, SWERROR, 8));
	bench_end();
}

/* Errors that no record can tell. */
TEST(software_errors)
{
	struct desc desc;

	begin();
	set_reg(0, GENCTRL, 1, 4);
	desc = make(0x0a, 0, 0, 0, 8);
	desc.op &= ~(CRAV | RCR);
	submit(0, &desc);
	WAIT_FOR(get_reg(0, SWERROR, 8) & 1);
	EXPECT_EQ(0x10, get_reg(0, SWERROR, 8) >> 8 & 0xff);
	EXPECT_EQ(0x0a, get_reg(0, SWERROR, 8) >> 32 & 0xff);
	WAIT_FOR(bench.messages[0] == 1);
	EXPECT_EQ(1, get_reg(0, INTCAUSE, 4));
	/* There is room for one. */
	desc = make(NOOP, 0, 0, 0, 0);
	desc.record = NOWHERE;
	submit(0, &desc);
	WAIT_FOR(get_reg(0, SWERROR, 8) & 2);
	EXPECT_EQ(0x10, get_reg(0, SWERROR, 8) >> 8 & 0xff);
	set_reg(0, SWERROR, 3, 8);
	EXPECT_EQ(0, get_reg(0, SWERROR, 8));
	submit(0, &desc);
	WAIT_FOR(get_reg(0, SWERROR, 8) & 1);
	EXPECT_EQ(0x1a, get_reg(0, SWERROR, 8) >> 8 & 0xff);
	EXPECT_EQ(NOWHERE, get_reg(0, SWERROR + 16, 8));
	set_reg(0, SWERROR, 3, 8);
	desc.record = record_iova(0) + 8;
	submit(0, &desc);
	WAIT_FOR(get_reg(0, SWERROR, 8) & 1);
	EXPECT_EQ(0x1b, get_reg(0, SWERROR, 8) >> 8 & 0xff);
	set_reg(0, SWERROR, 3, 8);
	/* A record is asked for, and has no address. */
	desc = make(NOOP, 0, 0, 0, 0);
	desc.op &= ~CRAV;
	submit(0, &desc);
	WAIT_FOR(get_reg(0, SWERROR, 8) & 1);
	EXPECT_EQ(0x11, get_reg(0, SWERROR, 8) >> 8 & 0xff);
	EXPECT_EQ(RCR, get_reg(0, SWERROR + 8, 8) >> 32);
	bench_end();
}

TEST(batches)
{
	struct desc desc, *list;

	begin();
	list = (struct desc *)(bench.ram + LIST);
	memset(bench.ram + SRC, 7, 64);
	list[0] = make(MOVE, 0, RAM + SRC, RAM + DST, 8);
	list[1] = make(MOVE, 0, NOWHERE, RAM + DST + 8, 8);
	list[2] = make(MOVE, 0, RAM + SRC, RAM + DST + 16, 8);
	list[3] = make(MOVE, FENCE, RAM + SRC, RAM + DST + 24, 8);
	list[0].record = record_iova(1);
	list[1].record = record_iova(2);
	list[2].record = record_iova(3);
	list[3].record = record_iova(4);
	desc = make(BATCH, 0, RAM + LIST, 0, 4);
	EXPECT_EQ(0x05, run(&desc)->status);
	EXPECT_EQ(1, record(0)->result);
	EXPECT_EQ(3, record(0)->done);
	EXPECT_EQ(1, record(1)->status);
	EXPECT_EQ(0x03, record(2)->status);
	EXPECT_EQ(1, record(3)->status);
	/* A fence lets nothing through after an error. */
	EXPECT_EQ(0, record(4)->status);
	EXPECT_EQ(0, bench.ram[DST + 24]);
	list[1] = list[0];
	EXPECT_EQ(1, run(&desc)->status);
	EXPECT_EQ(4, record(0)->done);
	EXPECT_EQ(7, bench.ram[DST + 24]);
	/* None in another, and no drain. */
	list[0] = make(BATCH, 0, RAM + LIST, 0, 4);
	list[1] = make(DRAIN, 0, 0, 0, 0);
	list[0].record = record_iova(1);
	list[1].record = record_iova(2);
	desc.size = 2;
	EXPECT_EQ(0x05, run(&desc)->status);
	EXPECT_EQ(0x10, record(1)->status);
	EXPECT_EQ(0x10, record(2)->status);
	/* The list ends where the memory does. */
	desc = make(BATCH, 0, RAM + RAM_BYTES - 128, 0, 8);
	memset(bench.ram + RAM_BYTES - 128, 0, 128);
	EXPECT_EQ(0x06, run(&desc)->status);
	EXPECT_EQ(2, record(0)->done);
	EXPECT_EQ(RAM + RAM_BYTES, record(0)->fault);
	bench_end();
}

/* Several WQs and engines: all is done, and what is full takes no more. */
TEST(many_queues)
{
	unsigned int i, wq;
	struct desc desc;

	begin_with("engines=4,wqs=4");
	for (wq = 0; wq < 4; wq++)
		set_up_wq(wq, (wq + 1) << 4);
	set_reg(0, GRPCFG, 0xf, 8);
	set_reg(0, GRPCFG + 32, 0xf, 8);
	ASSERT_EQ(0, command(ENABLE_DEVICE, 0));
	for (wq = 0; wq < 4; wq++)
		ASSERT_EQ(0, command(ENABLE_WQ, wq));
	memset(record(0), 0, 64 * sizeof(struct record));
	for (i = 0; i < 64; i++) {
		desc = make(MOVE, 0, RAM + SRC, RAM + DST + i * 4096, 4096);
		desc.record = record_iova(i);
		submit(i % 4, &desc);
	}
	ASSERT_EQ(0, command(DRAIN_WQ, 0xf));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(1, record(i)->status);
	/* A drain comes after all that was before it. */
	for (i = 0; i < 8; i++) {
		desc = make(MOVE, 0, RAM + SRC, RAM + DST + i * 256 * KiB, 256 * KiB);
		desc.record = record_iova(i + 1);
		memset(record(i + 1), 0, sizeof(struct record));
		submit(0, &desc);
	}
	desc = make(DRAIN, 0, 0, 0, 0);
	EXPECT_EQ(1, run(&desc)->status);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(1, record(i + 1)->status);
	/* Nothing goes to a WQ that is disabled. */
	ASSERT_EQ(0, command(DISABLE_WQ, 1));
	memset(record(0), 0, sizeof(struct record));
	desc = make(NOOP, 0, 0, 0, 0);
	submit(0, &desc);
	ASSERT_EQ(0, command(DRAIN_ALL, 0));
	EXPECT_EQ(0, record(0)->status);
	bench_end();
}

TEST(abort_and_reset_while_it_works)
{
	struct desc desc, *list;
	unsigned int i, j;

	begin();
	list = (struct desc *)(bench.ram + LIST);
	for (i = 0; i < 1024; i++) {
		list[i] = make(MOVE, 0, RAM + SRC, RAM + DST, 65536);
		list[i].op &= ~RCR;
	}
	for (i = 0; i < 20; i++) {
		for (j = 0; j < 16; j++) {
			desc = make(BATCH, 0, RAM + LIST, 0, 1024);
			submit(0, &desc);
		}
		if (i % 4 == 0) {
			ASSERT_EQ(0, command(ABORT_WQ, 1));
		} else if (i % 4 == 1) {
			ASSERT_EQ(0, command(RESET_WQ, 1));
			EXPECT_EQ(0, get_wq(0, 2));
			set_wq(0, 2, 0x11);
			set_wq(0, 3, 21 | 10 << 5);
			ASSERT_EQ(0, command(ENABLE_WQ, 0));
		} else if (i % 4 == 2) {
			ASSERT_EQ(0, command(RESET_DEVICE, 0));
			enable(0);
		} else {
			pci_func_reset(bench.func);
			memset(bench.ram + DST, 0x5a, 65536);
			sleep_ms(1);
			EXPECT_EQ(0x5a, bench.ram[DST]);
			bench_master();
			EXPECT_EQ(0, get_reg(0, GENSTS, 4));
			bench_listen(PCI_IRQ_MSIX);
			enable(0);
		}
		desc = make(NOOP, 0, 0, 0, 0);
		EXPECT_EQ(1, run(&desc)->status);
	}
	bench_end();
}

TEST(stores_everywhere)
{
	uint64_t seed = unit_seed();
	uint8_t bytes[64];
	struct desc desc;
	unsigned int i;

	begin();
	for (i = 0; i < 20000; i++) {
		unsigned int n = 1u << unit_random(&seed) % 5;
		unsigned int bar = i % 8 == 7 ? 2 : 0;
		uint64_t at = unit_random(&seed) % (i % 4 ? 0x1000 : 0x10000);

		fill_random(bytes, sizeof(bytes), &seed);
		if (n == 16 || bar == 2)
			n = 64;
		(void)!pci_bar_write(bench.func, bar, at & ~(uint64_t)(n - 1), bytes, n);
	}
	EXPECT_EQ(0x100, get_reg(0, 0, 4));
	pci_func_reset(bench.func);
	bench_master();
	enable(0);
	desc = make(NOOP, 0, 0, 0, 0);
	EXPECT_EQ(1, run(&desc)->status);
	bench_end();
}
