// SPDX-License-Identifier: MIT
/* BARs: areas, and accesses of all sizes to them. */
#include <fcntl.h>
#include <signal.h>

#include "func.h"

TEST(bars_answer_when_memory_is_enabled)
{
	func_new();
	EXPECT_EQ(0xffffffffffffffffull, bar_get(0, 0, 8));
	EXPECT_EQ(0xffff, bar_get(0, 0x2f00, 2));
	bar_put(0, 0, 1, 4);
	EXPECT_EQ(0, nheard);
	func_on();
	EXPECT_EQ(0, bar_get(0, 0, 8));
	EXPECT_EQ(0x2211, bar_get(0, 0x2f00, 2));
	EXPECT_EQ(1, nheard);
	func_end();
}

TEST(areas_are_found)
{
	static const struct {
		u64 offset;
		enum pci_area_kind kind;
		u64 end;
	} cases[] = {
		{ 0, PCI_AREA_REGISTERS, 0x1000 },     { 0xfff, PCI_AREA_REGISTERS, 0x1000 },
		{ 0x1000, PCI_AREA_TRAPPED, 0x2000 },  { 0x2000, PCI_AREA_TRAPPED, 0x4000 },
		{ 0x3fff, PCI_AREA_TRAPPED, 0x4000 },  { 0x4000, PCI_AREA_TRAPPED, 0x8000 },
		{ 0x8000, PCI_AREA_MEMORY, 0xc000 },   { 0xbfff, PCI_AREA_MEMORY, 0xc000 },
		{ 0xc000, PCI_AREA_TRAPPED, 0x10000 },
	};
	unsigned int i;
	u64 end;

	func_new();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(cases[i].kind, pci_bar_area(&func, 0, cases[i].offset, &end));
		EXPECT_EQ(cases[i].end, end);
	}
	func_end();
}

TEST(accesses_are_cut_as_a_bus_would)
{
	static const struct {
		u64 offset;
		unsigned int bytes;
	} want[] = { { 0x2f01, 1 }, { 0x2f02, 2 }, { 0x2f04, 4 }, { 0x2f08, 8 },
		     { 0x2f10, 8 }, { 0x2f18, 4 }, { 0x2f1c, 2 }, { 0x2f1e, 1 } };
	u8 data[30], back[30];
	unsigned int i;

	func_new();
	func_on();
	for (i = 0; i < sizeof(data); i++)
		data[i] = (u8)i;
	ASSERT_OK(pci_bar_write(&func, 0, 0x2f01, data, sizeof(data)));
	ASSERT_EQ(ARRAY_SIZE(want), nheard);
	for (i = 0; i < nheard; i++) {
		EXPECT_EQ(want[i].offset, heard[i].offset);
		EXPECT_EQ(want[i].bytes, heard[i].bytes);
		EXPECT_MEM(data + (want[i].offset - 0x2f01), heard[i].data, want[i].bytes);
	}
	nheard = 0;
	ASSERT_OK(pci_bar_read(&func, 0, 0x2f01, back, sizeof(back)));
	ASSERT_EQ(ARRAY_SIZE(want), nheard);
	EXPECT_EQ(0x11, back[0]);
	EXPECT_EQ(0x88, back[14]);
	func_end();
}

TEST(aligned_64_bytes_stay_whole)
{
	u8 data[128];

	func_new();
	func_on();
	memset(data, 7, sizeof(data));
	ASSERT_OK(pci_bar_write(&func, 2, 0x40, data, 64));
	ASSERT_EQ(1, nheard);
	EXPECT_EQ(64, heard[0].bytes);
	EXPECT_MEM(data, heard[0].data, 64);
	/* But not where it is not a multiple, nor as a part of more, nor in memory. */
	nheard = 0;
	ASSERT_OK(pci_bar_write(&func, 2, 0x48, data, 64));
	EXPECT_EQ(8, nheard);
	nheard = 0;
	ASSERT_OK(pci_bar_write(&func, 2, 0x40, data, 128));
	EXPECT_EQ(16, nheard);
	nheard = 0;
	ASSERT_OK(pci_bar_write(&func, 0, 0x8040, data, 64));
	EXPECT_EQ(0, nheard);
	EXPECT_MEM(data, func.desc.bars[0].memory + 0x8040, 64);
	func_end();
}

TEST(ends_are_checked)
{
	u8 data[16] = { 0 };

	func_new();
	func_on();
	EXPECT_OK(pci_bar_read(&func, 0, 0xfff8, data, 8));
	EXPECT_RC(-EINVAL, pci_bar_read(&func, 0, 0xfff8, data, 9));
	EXPECT_RC(-EINVAL, pci_bar_write(&func, 0, 0x10000, data, 1));
	EXPECT_RC(-EINVAL, pci_bar_read(&func, 0, U64_MAX, data, 8));
	EXPECT_RC(-EINVAL, pci_bar_write(&func, 0, U64_MAX - 7, data, 8));
	EXPECT_RC(-EINVAL, pci_bar_read(&func, 1, 0, data, 1));
	EXPECT_RC(-EINVAL, pci_bar_read(&func, 6, 0, data, 1));
	EXPECT_RC(-EINVAL, pci_bar_read(&func, UINT32_MAX, 0, data, 1));
	EXPECT_OK(pci_bar_read(&func, 0, 0, data, 0));
	func_end();
}

TEST(holes_read_as_zero)
{
	u8 data[0x20];

	func_new();
	func_on();
	memset(data, 0x5a, sizeof(data));
	/* From registers over the hole. */
	ASSERT_OK(pci_bar_write(&func, 0, 0xff0, data, sizeof(data)));
	EXPECT_EQ(2, nheard);
	nheard = 0;
	func.desc.bars[0].memory[0xff8] = 0x77;
	ASSERT_OK(pci_bar_read(&func, 0, 0xff0, data, sizeof(data)));
	EXPECT_EQ(0x77, data[8]);
	EXPECT_EQ(0, data[0x10] | data[0x1f]);
	EXPECT_EQ(0, nheard);
	func_end();
}

TEST(memory_is_a_file_that_keeps_its_size)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	u8 *map;
	int fd;

	func_new();
	func_on();
	fd = func.desc.bars[0].memfd;
	EXPECT_EQ(seals, fcntl(fd, F_GET_SEALS) & seals);
	EXPECT_RC(-1, ftruncate(fd, 0));
	map = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	bar_put(0, 0x8004, 0x12345678, 4);
	EXPECT_EQ(0x78, map[0x8004]);
	map[0x8005] = 0x99;
	EXPECT_EQ(0x12349978, bar_get(0, 0x8004, 4));
	munmap(map, 0x10000);
	/* Where nothing is for writing, nobody gets a mapping for that. */
	fd = func.desc.bars[2].memfd;
	map = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT_TRUE(map == MAP_FAILED);
	map = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	func.desc.bars[2].memory[5] = 0x42;
	EXPECT_EQ(0x42, map[5]);
	munmap(map, 0x1000);
	EXPECT_EQ(-1, func.desc.bars[4].memfd);
	func_end();
}

TEST(table_is_not_the_models)
{
	u8 data[0x1000];

	func_new();
	func_on();
	/* The table, what lies between, the pending bits, and behind. */
	ASSERT_OK(pci_bar_read(&func, 0, TABLE, data, sizeof(data)));
	EXPECT_EQ((PBA - TABLE - 16 * VECTORS) / 8 + (0x800 - 16) / 8, nheard);
	EXPECT_EQ(1, data[16 * 69 + 12]);
	nheard = 0;
	memset(data, 0xff, sizeof(data));
	ASSERT_OK(pci_bar_write(&func, 0, TABLE, data, 64));
	EXPECT_EQ(0, nheard);
	/* Lonely bytes of it, too. */
	bar_put(0, TABLE + 1, 0x00, 1);
	EXPECT_EQ(0xffff00fc, bar_get(0, TABLE, 4));
	func_end();
}

TEST(no_calls_no_harm)
{
	static const struct pci_ops none;
	const struct pci_func_desc desc = usual_desc();
	const struct pci_params params = usual_params();

	ASSERT_OK(pci_func_init(&func, &none, &desc, &params));
	func_on();
	EXPECT_EQ(0, bar_get(4, 0, 8));
	bar_put(4, 0, 1, 8);
	pci_func_reset(&func);
	EXPECT_TRUE(!pci_can_migrate(&func));
	func_end();
}
