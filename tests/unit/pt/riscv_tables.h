/* SPDX-License-Identifier: MIT */
/* RISC-V's tables of both stages. The test that includes this says T_FN and T_X4. */
#ifndef PT_TEST_RISCV_TABLES_H
#define PT_TEST_RISCV_TABLES_H

#define T_GRANULE_LG2 12
#define T_INDEX_LG2   9
#define T_LEVELS_MIN  3
#define T_LEVELS      5
#define T_OA_LG2      56
#define T_FEATURES    0

/* the lower half of 39, 48 and 57 bits; or all of 41, 50 and 59 */
#define T_VA_LG2(levels)     ((T_X4 ? 14 : 11) + 9 * (levels))
#define T_VA_MIN_LG2(levels) T_GRANULE_LG2
#define T_VA_MAX_LG2(levels) T_VA_LG2(levels)
/* 4 KiB, 64 KiB, 2 MiB, 1 GiB; with 4 levels 512 GiB, with 5 256 TiB */
#define T_SIZES(levels) (0x40211000 | ((levels) > 3 ? BIT(39) : 0) | ((levels) > 4 ? BIT(48) : 0))
/* the second stage has user pages only */
#define T_PROT(prot)   (((prot) & ~(PT_PROT_MMIO | (T_X4 ? PT_PROT_PRIV : 0))) | RO)
#define T_DIRTY(prot)  ((prot) != 0)
#define T_PRESET(prot) (WO & (prot))
#define T_STEP(level)  0
#define T_TABLE(level) 1 /* V */
#define T_ADDR_MASK    0x003ffffffffffc00

#include "spec_riscv.h"

#include "dirty.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12345000, 0x1000, RW, 0, 0, 0x48d14df},
		{0x1ff000, 0x7fffffff000, 0x1000, RO, 0, 511, 0x1fffffffc5b},
		{0x3000, 0xabc000, 0x1000, WO, 0, 3, 0x2af0df},
		{0x5000, 0xfffffffffff000, 0x1000, RO, 0, 5, 0x003ffffffffffc5b},
		{0x5000, 0x1000, 0x1000, RW | PT_PROT_NOEXEC, 0, 5, 0x4d7},
		{0x5000, 0x1000, 0x1000, RW | PT_PROT_PRIV, 0, 5, T_X4 ? 0x4df : 0x4cf},
		{0x5000, 0x1000, 0x1000, RO | PT_PROT_MMIO, 0, 5, 0x45b},
		/* N, and the low bits of the page number are 1000 */
		{0x10000, 0x12340000, 0x10000, RW, 0, 31, 0x80000000048d20df},
		{0x1f0000, 0x12340000, 0x10000, RO, 0, 511, 0x80000000048d205b},
		{0x200000, 0x40000000, 0x200000, RW, 1, 1, 0x100000df},
		{0x40000000, 0x80000000, 0x40000000, RO, 2, 1, 0x2000005b},
		{0x8000000000, 0x8000000000, 0x8000000000, RW, 3, 1, 0x20000000df},
		{0x1000000000000, 0x3000000000000, 0x1000000000000, RW, 4, 1, 0xc000000000df},
	};

	check_known(known, ARRAY_SIZE(known));
}

static void dirty_by_hand(void)
{
	struct fixture f;

	fixture_init(&f, 0);
	CHECK(!map(&f, 0x200000, 0x600000, 0x200000, RW));
	scan(&f, 0x200000, 0x200000, true);
	CHECK(reported(&f, 0x200000, 0x200000));
	CHECK(entry_at(&f, 0x200000, 1) == 0x18005f);
	CHECK(set_dirty(&f, 0x234567));
	CHECK(entry_at(&f, 0x200000, 1) == 0x1800df);
	fixture_destroy(&f);
}

static void riscv_tests(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests(T_X4 ? "Sv39x4: " : "Sv39: ", 3, 0, 0);
	common_tests(T_X4 ? "Sv48x4: " : "Sv48: ", 4, 0, 0);
	common_tests(T_X4 ? "Sv57x4: " : "Sv57: ", 5, 0, 0);
	TEST(entries_by_hand);
	TEST(dirty_by_hand);
}

#endif
