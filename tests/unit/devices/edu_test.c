// SPDX-License-Identifier: MIT
/* The edu device, as docs/devices/edu.md says it is: registers and commands. */
#include "edu_rig.h"

static void fill_random(uint8_t *p, size_t n, uint64_t seed)
{
	while (n--)
		*p++ = (uint8_t)unit_random(&seed);
}

TEST(says_what_it_is)
{
	u32 ids;

	edu_begin("memory=64K,vectors=5,vfs=0");
	pci_config_read(edu, PCI_VENDOR_ID, &ids, 4);
	EXPECT_EQ(0x50f71234, ids);
	EXPECT_EQ(0x50f70001, get32(EDU_ID));
	EXPECT_EQ(EDU_CAPS_PASID | EDU_CAPS_ATS | EDU_CAPS_PRI, get32(EDU_CAPS));
	EXPECT_EQ(0x10000, get64(EDU_MEMORY));
	EXPECT_EQ(0x10000, edu->desc.bars[EDU_MEM_BAR].bytes);
	EXPECT_EQ(5, edu->desc.msix_vectors);
	EXPECT_EQ(4, edu->desc.msi_vectors);
	EXPECT_EQ(0, pci_find_ext_cap(edu, PCI_EXT_CAP_ID_SRIOV));
	put32(EDU_SCRATCH, 0x12345678);
	EXPECT_EQ(0x12345678, get32(EDU_SCRATCH));
	/* What a driver has mapped shows the same. */
	EXPECT_MEM("\x78\x56\x34\x12", edu->desc.bars[EDU_REG_BAR].memory + EDU_SCRATCH, 4);
	edu_end();
}

TEST(only_some_registers_can_be_written)
{
	static const unsigned int fixed[] = { EDU_ID,
					      EDU_CAPS,
					      EDU_STATUS,
					      EDU_RESULT,
					      EDU_COUNT,
					      EDU_DROPPED,
					      EDU_INT_STATUS,
					      EDU_MEMORY,
					      EDU_PROGRESS,
					      EDU_OLD,
					      EDU_FAULT_ADDR,
					      EDU_FAULT_REASON,
					      EDU_FAULT_FLAGS,
					      EDU_FAULT_ACCESS,
					      EDU_FAULT_COUNT,
					      EDU_ATS_ADDR,
					      EDU_ATS_BYTES,
					      EDU_ATS_ACCESS,
					      EDU_ATS_ENTRIES,
					      EDU_ATS_INVAL,
					      EDU_PAGE_CODE,
					      EDU_PAGE_COUNT,
					      0x74,
					      0xbc,
					      0xc8,
					      0xfc,
					      0x100,
					      0xffc };
	unsigned int i;
	u8 byte = 0xff;
	u32 before;

	edu_begin("");
	for (i = 0; i < ARRAY_SIZE(fixed); i++) {
		before = get32(fixed[i]);
		put32(fixed[i], ~before);
		EXPECT_EQ(before, get32(fixed[i]));
	}
	put32(EDU_PASID, 0xffffffff);
	EXPECT_EQ(0xfffff, get32(EDU_PASID));
	/* Registers are not written to by halves. */
	ASSERT_OK(pci_bar_write(edu, EDU_REG_BAR, EDU_SCRATCH, &byte, 1));
	ASSERT_OK(pci_bar_write(edu, EDU_REG_BAR, EDU_SCRATCH + 2, "ab", 2));
	EXPECT_EQ(0, get32(EDU_SCRATCH));
	edu_end();
}

TEST(reads_and_writes)
{
	const u64 n = 5 * PAGE + 123, at = IOVA + 777;
	uint8_t *memory;

	edu_begin("");
	memory = edu_memory(edu);
	fill_random(ram, BYTES, 1);
	put64(EDU_BUFFER, 4321);
	ASSERT_EQ(EDU_OK, run(EDU_READ, at, n));
	EXPECT_MEM(ram + 777, memory + 4321, n);
	EXPECT_EQ(0, memory[4320] | memory[4321 + n]);
	EXPECT_EQ(n, get64(EDU_PROGRESS));
	EXPECT_EQ(1, get32(EDU_COUNT));
	fill_random(memory, 1 << 20, 2);
	put64(EDU_BUFFER, (1 << 20) - n);
	ASSERT_EQ(EDU_OK, run(EDU_WRITE, at, n));
	EXPECT_MEM(memory + (1 << 20) - n, ram + 777, n);
	EXPECT_EQ(2, get32(EDU_COUNT));
	ASSERT_EQ(EDU_OK, run(EDU_READ, IOVA, 0));
	ASSERT_EQ(EDU_OK, run(EDU_NOP, U64_MAX, U64_MAX));
	edu_end();
}

TEST(copies_and_fills)
{
	static const uint8_t pattern[] = { 8, 7, 6, 5, 4, 3, 2, 1, 8, 7, 6 };

	edu_begin("");
	fill_random(ram, BYTES, 3);
	put64(EDU_DEST, IOVA + 32 * PAGE + 4000);
	ASSERT_EQ(EDU_OK, run(EDU_COPY, IOVA + 5, 3 * PAGE));
	EXPECT_MEM(ram + 5, ram + 32 * PAGE + 4000, 3 * PAGE);
	put64(EDU_OPERAND, 0x0102030405060708);
	ram[11] = 0x55;
	ASSERT_EQ(EDU_OK, run(EDU_FILL, IOVA, sizeof(pattern)));
	EXPECT_MEM(pattern, ram, sizeof(pattern));
	EXPECT_EQ(0x55, ram[11]);
	ASSERT_EQ(EDU_OK, run(EDU_FILL, IOVA + PAGE - 3, 11));
	EXPECT_MEM(pattern, ram + PAGE - 3, sizeof(pattern));
	edu_end();
}

TEST(atomics)
{
	u64 *word;

	edu_begin("");
	word = (u64 *)(void *)(ram + 64);
	*word = 40;
	put64(EDU_OPERAND, 2);
	ASSERT_EQ(EDU_OK, run(EDU_FETCH_ADD, IOVA + 64, 8));
	EXPECT_EQ(40, get64(EDU_OLD));
	EXPECT_EQ(42, *word);
	*word = 0xfffffffffffffffeull;
	ASSERT_EQ(EDU_OK, run(EDU_FETCH_ADD, IOVA + 64, 4));
	EXPECT_EQ(0xffffffff00000000ull, *word);
	EXPECT_EQ(0xfffffffe, get64(EDU_OLD));
	ASSERT_EQ(EDU_OK, run(EDU_SWAP, IOVA + 64, 8));
	EXPECT_EQ(2, *word);
	put64(EDU_EXPECTED, 3);
	put64(EDU_OPERAND, 9);
	ASSERT_EQ(EDU_OK, run(EDU_CAS, IOVA + 64, 8));
	EXPECT_EQ(2, *word);
	EXPECT_EQ(2, get64(EDU_OLD));
	put64(EDU_EXPECTED, 2);
	ASSERT_EQ(EDU_OK, run(EDU_CAS, IOVA + 64, 8));
	EXPECT_EQ(9, *word);
	EXPECT_EQ(EDU_BAD_LENGTH, run(EDU_CAS, IOVA + 60, 8));
	EXPECT_EQ(EDU_BAD_LENGTH, run(EDU_SWAP, IOVA + 64, 2));
	EXPECT_EQ(EDU_BAD_LENGTH, run(EDU_FETCH_ADD, IOVA + 64, 0));
	edu_end();
}

TEST(bad_commands)
{
	static const struct {
		u32 command;
		u64 address;
		u64 length;
		u64 buffer;
		u64 operand;
		u64 expected;
		u32 result;
	} cases[] = {
		{ EDU_OPS, 0, 0, 0, 0, 0, EDU_BAD_COMMAND },
		{ 0xff, 0, 0, 0, 0, 0, EDU_BAD_COMMAND },
		{ EDU_NOP | 1 << 12, 0, 0, 0, 0, 0, EDU_BAD_COMMAND },
		{ EDU_NOP | 1u << 31, 0, 0, 0, 0, 0, EDU_BAD_COMMAND },
		{ EDU_COPY | EDU_CMD_ATS, IOVA, 8, 0, 0, 0, EDU_BAD_COMMAND },
		{ EDU_CAS | EDU_CMD_ATS, IOVA, 8, 0, 0, 0, EDU_BAD_COMMAND },
		{ EDU_READ, U64_MAX - 6, 8, 0, 0, 0, EDU_BAD_LENGTH },
		{ EDU_FILL, 8, U64_MAX, 0, 0, 0, EDU_BAD_LENGTH },
		{ EDU_READ, IOVA, 8, (1 << 20) - 7, 0, 0, EDU_BAD_BUFFER },
		{ EDU_WRITE, IOVA, 8, U64_MAX - 3, 0, 0, EDU_BAD_BUFFER },
		{ EDU_READ, 0, U64_MAX, 0, 0, 0, EDU_BAD_BUFFER },
		{ EDU_GENERATE, IOVA, 7, 0, 0, 0, EDU_BAD_LENGTH },
		{ EDU_GENERATE, IOVA + 1, 64, 0, 0, 0, EDU_BAD_LENGTH },
		{ EDU_GENERATE, IOVA, 64, 0, 12, 0, EDU_BAD_LENGTH },
		{ EDU_GENERATE, IOVA, 64, 0, 8, 1000001, EDU_BAD_LENGTH },
	};
	unsigned int i;

	edu_begin("");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		put64(EDU_BUFFER, cases[i].buffer);
		put64(EDU_OPERAND, cases[i].operand);
		put64(EDU_EXPECTED, cases[i].expected);
		EXPECT_EQ(cases[i].result,
			  run(cases[i].command, cases[i].address, cases[i].length));
	}
	put64(EDU_DEST, U64_MAX - 3);
	EXPECT_EQ(EDU_BAD_LENGTH, run(EDU_COPY, IOVA, 8));
	EXPECT_EQ(0, get32(EDU_FAULT_COUNT));
	edu_end();
}

TEST(faults_where_nothing_is_mapped)
{
	struct siommu_fault fault;

	edu_begin("");
	fill_random(ram, BYTES, 4);
	EXPECT_EQ(EDU_FAULT, run(EDU_READ, IOVA + BYTES - 2 * PAGE, 4 * PAGE));
	EXPECT_EQ(2 * PAGE, get64(EDU_PROGRESS));
	EXPECT_MEM(ram + BYTES - 2 * PAGE, edu_memory(edu), 2 * PAGE);
	EXPECT_EQ(IOVA + BYTES, get64(EDU_FAULT_ADDR));
	EXPECT_EQ(SIOMMU_DMA_READ, get32(EDU_FAULT_ACCESS));
	EXPECT_EQ(1, get32(EDU_FAULT_COUNT));
	/* As the IOMMU has recorded it. */
	ASSERT_EQ(1, siommu_unit_faults(r.unit, &fault, 1, NULL));
	EXPECT_EQ(fault.reason, get32(EDU_FAULT_REASON));
	EXPECT_EQ(fault.iova & ~4095ull, IOVA + BYTES);

	ASSERT_OK(unmap(r.ioas, IOVA, BYTES));
	EXPECT_EQ(EDU_FAULT, run(EDU_FILL, IOVA, 8));
	EXPECT_EQ(SIOMMU_DMA_WRITE, get32(EDU_FAULT_ACCESS));
	EXPECT_EQ(EDU_FAULT, run(EDU_FETCH_ADD, IOVA, 8));
	EXPECT_EQ(3, get32(EDU_FAULT_COUNT));
	edu_end();
}

TEST(pasids_have_their_own_addresses)
{
	uint32_t other = 0, id;
	uint8_t *second = NULL;

	edu_begin_with("", IOMMU_HWPT_ALLOC_PASID, 0);
	ASSERT_OK(ioas_alloc(ctx, &other));
	second = buffer(PAGE);
	ASSERT_OK(map_at(other, second, PAGE, IOVA));
	ASSERT_OK(hwpt_alloc(r.id, other, IOMMU_HWPT_ALLOC_PASID, &id));
	ASSERT_OK(siommu_device_attach(r.bound, 5, &id));
	put64(EDU_OPERAND, 0x1111111111111111);
	put32(EDU_PASID, 5);
	ASSERT_EQ(EDU_OK, run(EDU_FILL | EDU_CMD_PASID, IOVA, 8));
	EXPECT_EQ(0x11, second[0]);
	EXPECT_EQ(0, ram[0]);
	ASSERT_EQ(EDU_OK, run(EDU_FILL, IOVA, 8));
	EXPECT_EQ(0x11, ram[0]);
	put32(EDU_PASID, 6);
	EXPECT_EQ(EDU_FAULT, run(EDU_FILL | EDU_CMD_PASID, IOVA, 8));
	EXPECT_TRUE(get32(EDU_FAULT_FLAGS) & SIOMMU_FAULT_PASID);
	put32(EDU_PASID, 5);
	ASSERT_EQ(EDU_OK, run(EDU_READ | EDU_CMD_PASID, IOVA, 8));
	siommu_device_detach(r.bound, 5);
	EXPECT_EQ(EDU_FAULT, run(EDU_READ | EDU_CMD_PASID, IOVA, 8));
	edu_end();
}

TEST(only_a_bus_master_does_dma)
{
	const u16 no_master = PCI_COMMAND_MEMORY;

	edu_begin("");
	pci_config_write(edu, PCI_COMMAND, &no_master, 2);
	EXPECT_EQ(EDU_NOT_MASTER, run(EDU_READ, IOVA, 8));
	EXPECT_EQ(EDU_NOT_MASTER, run(EDU_FETCH_ADD, IOVA, 8));
	EXPECT_EQ(EDU_NOT_MASTER, run(EDU_TRANSLATE, IOVA, 8));
	EXPECT_EQ(EDU_NOT_MASTER, run(EDU_PAGE_REQUEST, IOVA, 8));
	EXPECT_EQ(EDU_NOT_MASTER, run(EDU_READ | EDU_CMD_ATS, IOVA, 8));
	func_on(edu);
	start(EDU_GENERATE, IOVA, BYTES);
	WAIT_FOR(get64(EDU_PROGRESS) > 10);
	pci_config_write(edu, PCI_COMMAND, &no_master, 2);
	EXPECT_EQ(EDU_NOT_MASTER, finished());
	edu_end();
}

TEST(what_is_switched_off_is_not_done)
{
	const u32 none = 0;

	edu_begin("");
	pci_config_write(edu, pci_find_ext_cap(edu, PCI_EXT_CAP_ID_ATS) + PCI_ATS_CTRL, &none, 2);
	pci_config_write(edu, pci_find_ext_cap(edu, PCI_EXT_CAP_ID_PRI) + PCI_PRI_CTRL, &none, 2);
	pci_config_write(edu, pci_find_ext_cap(edu, PCI_EXT_CAP_ID_PASID) + PCI_PASID_CTRL, &none,
			 2);
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_TRANSLATE, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_READ | EDU_CMD_ATS, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_READ | EDU_CMD_PRI, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_PAGE_REQUEST, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_READ | EDU_CMD_PASID, IOVA, 8));
	EXPECT_EQ(EDU_OK, run(EDU_READ, IOVA, 8));
	edu_end();
}

TEST(what_the_device_lacks_is_not_done)
{
	static const struct siommu_device_params plain = { .pasid_bits = 0 };
	struct pci_params params;

	r = rig_with(&plain, "");
	params = edu_params(r.dev, "");
	params.ats = params.page_requests = false;
	params.pasid_bits = 0;
	ASSERT_OK(model_named("edu")->create(&params, &edu));
	func_on(edu);
	EXPECT_EQ(0, get32(EDU_CAPS));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_TRANSLATE, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_READ | EDU_CMD_ATS, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_READ | EDU_CMD_PRI, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_PAGE_REQUEST, IOVA, 8));
	EXPECT_EQ(EDU_NOT_SUPPORTED, run(EDU_READ | EDU_CMD_PASID, IOVA, 8));
	EXPECT_EQ(EDU_FAULT, run(EDU_READ, IOVA, 8));
	edu_end();
}

TEST(keeps_translations_until_told)
{
	edu_begin("");
	fill_random(ram, BYTES, 5);
	put64(EDU_OPERAND, SIOMMU_DMA_READ);
	ASSERT_EQ(EDU_OK, run(EDU_TRANSLATE, IOVA + 2 * PAGE, 0));
	EXPECT_EQ(addr(ram) + 2 * PAGE, get64(EDU_ATS_ADDR));
	EXPECT_TRUE(get64(EDU_ATS_BYTES) >= PAGE);
	EXPECT_TRUE(get32(EDU_ATS_ACCESS) & SIOMMU_DMA_READ);
	EXPECT_EQ(1, get32(EDU_ATS_ENTRIES));
	ASSERT_EQ(EDU_OK, run(EDU_READ | EDU_CMD_ATS, IOVA, 5 * PAGE));
	EXPECT_MEM(ram, edu_memory(edu), 5 * PAGE);
	EXPECT_TRUE(get32(EDU_ATS_ENTRIES));
	memset(edu_memory(edu), 0x3c, PAGE);
	ASSERT_EQ(EDU_OK, run(EDU_WRITE | EDU_CMD_ATS, IOVA + 100, PAGE));
	EXPECT_EQ(0x3c, ram[100 + PAGE - 1]);
	ASSERT_OK(unmap(r.ioas, IOVA, BYTES));
	/* The unmap has returned: nothing is kept. */
	EXPECT_EQ(0, get32(EDU_ATS_ENTRIES));
	EXPECT_TRUE(get32(EDU_ATS_INVAL));
	EXPECT_EQ(EDU_NO_PAGE, run(EDU_READ | EDU_CMD_ATS, IOVA, 8));
	ASSERT_EQ(EDU_OK, run(EDU_TRANSLATE, IOVA, 0));
	EXPECT_EQ(0, get32(EDU_ATS_ACCESS));
	EXPECT_EQ(0, get32(EDU_ATS_ENTRIES));
	edu_end();
}

TEST(translations_of_more_places_than_it_can_keep)
{
	unsigned int i;

	edu_begin("");
	for (i = 0; i < 100; i++) {
		ASSERT_OK(map_at(r.ioas, ram + i % 64 * PAGE, PAGE, (1ull << 32) + i * 2 * PAGE));
		ASSERT_EQ(EDU_OK, run(EDU_TRANSLATE, (1ull << 32) + i * 2 * PAGE, 0));
	}
	EXPECT_EQ(64, get32(EDU_ATS_ENTRIES));
	edu_end();
}

TEST(interrupts_by_pin)
{
	edu_begin("");
	put32(EDU_INT_RAISE, 0x80000001);
	EXPECT_TRUE(atomic_load(&pin));
	EXPECT_EQ(0x80000001, get32(EDU_INT_STATUS));
	put32(EDU_INT_ACK, 1);
	EXPECT_TRUE(atomic_load(&pin));
	put32(EDU_INT_ACK, 0x80000000);
	EXPECT_TRUE(!atomic_load(&pin));
	ASSERT_EQ(EDU_OK, run(EDU_NOP, 0, 0));
	EXPECT_EQ(0, get32(EDU_INT_STATUS));
	ASSERT_EQ(EDU_OK, run(EDU_NOP | EDU_CMD_IRQ, 0, 0));
	WAIT_FOR(atomic_load(&pin));
	EXPECT_EQ(EDU_INT_DONE, get32(EDU_INT_STATUS));
	edu_end();
}

TEST(interrupts_by_messages)
{
	edu_begin("");
	pci_irq_set_mode(edu, PCI_IRQ_MSIX, 16);
	put32(EDU_MESSAGE, 15);
	EXPECT_EQ(1, messages[15]);
	put32(EDU_MESSAGE, 16);
	put32(EDU_MESSAGE, UINT32_MAX);
	put32(EDU_VECTOR, 7);
	EXPECT_EQ(EDU_FAULT, run(EDU_READ | EDU_CMD_IRQ, 0, 8));
	WAIT_FOR(messages[7] == 1);
	pci_irq_set_mode(edu, PCI_IRQ_MSI, 8);
	EXPECT_EQ(EDU_OK, run(EDU_NOP | EDU_CMD_IRQ, 0, 0));
	WAIT_FOR(messages[7] == 2);
	EXPECT_TRUE(!atomic_load(&pin));
	edu_end();
}

TEST(one_command_at_a_time)
{
	edu_begin("");
	start(EDU_GENERATE, IOVA, BYTES);
	put32(EDU_COMMAND, EDU_NOP);
	put32(EDU_COMMAND, EDU_NOP);
	EXPECT_EQ(2, get32(EDU_DROPPED));
	EXPECT_EQ(EDU_STATUS_BUSY, get32(EDU_STATUS));
	put32(EDU_CONTROL, EDU_CONTROL_STOP);
	EXPECT_EQ(EDU_STOPPED, finished());
	EXPECT_EQ(1, get32(EDU_COUNT));
	/* Nothing runs: nothing is stopped, also not what comes next. */
	put32(EDU_CONTROL, EDU_CONTROL_STOP);
	EXPECT_EQ(EDU_OK, run(EDU_NOP, 0, 0));
	edu_end();
}

TEST(a_command_in_one_store)
{
	struct {
		u64 address, dest, length, buffer, operand, expected;
		u32 pasid, reserved, vector, command;
	} block = { IOVA + 8, 0, 8, 0, 0x7777777777777777, 0, 0, 0, 3, EDU_FILL | EDU_CMD_IRQ };

	edu_begin("");
	pci_irq_set_mode(edu, PCI_IRQ_MSIX, 16);
	ASSERT_EQ(64, sizeof(block));
	ASSERT_OK(pci_bar_write(edu, EDU_REG_BAR, EDU_ADDR, &block, sizeof(block)));
	EXPECT_EQ(EDU_OK, finished());
	EXPECT_EQ(0x77, ram[15]);
	EXPECT_EQ(0, ram[7] | ram[16]);
	WAIT_FOR(messages[3] == 1);
	edu_end();
}

TEST(generates_until_it_faults)
{
	u64 count, i;

	edu_begin("");
	put64(EDU_OPERAND, 2 * PAGE);
	start(EDU_GENERATE, IOVA, BYTES);
	WAIT_FOR(get64(EDU_PROGRESS) > 1000);
	ASSERT_OK(unmap(r.ioas, IOVA, BYTES));
	/* From now on this memory is ours. */
	count = *(u64 *)(void *)ram;
	memset(ram, 0xab, BYTES);
	EXPECT_EQ(EDU_FAULT, finished());
	for (i = 0; i < BYTES; i++)
		EXPECT_EQ(0xab, ram[i]);
	EXPECT_EQ(1, count % (BYTES / PAGE / 2));
	EXPECT_TRUE(get64(EDU_PROGRESS) >= count);
	edu_end();
}

TEST(reset_makes_it_new)
{
	const u16 flr = PCI_EXP_DEVCTL_BCR_FLR;
	unsigned int i;

	edu_begin("");
	put32(EDU_SCRATCH, 1);
	memset(edu_memory(edu), 1, PAGE);
	put32(EDU_INT_RAISE, 1);
	ASSERT_EQ(EDU_OK, run(EDU_TRANSLATE, IOVA, 8));
	start(EDU_GENERATE | EDU_CMD_IRQ, IOVA, BYTES);
	pci_config_write(edu, pci_find_cap(edu, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL, &flr, 2);
	memset(ram, 0, BYTES);
	EXPECT_TRUE(!atomic_load(&pin));
	func_on(edu);
	for (i = EDU_SCRATCH; i < EDU_REG_END; i += 4) {
		if (i != EDU_MEMORY)
			EXPECT_EQ(0, get32(i));
	}
	EXPECT_EQ(0x50f70001, get32(EDU_ID));
	EXPECT_EQ(0, edu_memory(edu)[0]);
	sleep_us(1000);
	for (i = 0; i < BYTES; i += 8)
		EXPECT_EQ(0, *(u64 *)(void *)(ram + i));
	EXPECT_EQ(EDU_OK, run(EDU_READ, IOVA, 8));
	edu_end();
}

TEST(dma_of_its_memory_by_itself)
{
	edu_begin("");
	memset(edu_memory(edu), 0x21, PAGE);
	ASSERT_OK(map_file_at(r.ioas, edu->desc.bars[EDU_MEM_BAR].memfd, 0, PAGE, 1ull << 33));
	ASSERT_OK(map_file_at(r.ioas, edu->desc.bars[EDU_MEM_BAR].memfd, PAGE, PAGE,
			      (1ull << 33) + PAGE));
	put64(EDU_DEST, (1ull << 33) + PAGE);
	ASSERT_EQ(EDU_OK, run(EDU_COPY, 1ull << 33, PAGE));
	EXPECT_EQ(0x21, edu_memory(edu)[2 * PAGE - 1]);
	EXPECT_EQ(0, edu_memory(edu)[2 * PAGE]);
	edu_end();
}

TEST(options_are_checked)
{
	static const char *const bad[] = { "vectors=0", "vectors=65", "memory=1K", "memory=2G",
					   "vfs=8",	"vfs=x",      "size=1",	   "memory" };
	struct pci_params params;
	struct pci_func *func;
	unsigned int i;

	r = rig_new("");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		params = edu_params(r.dev, bad[i]);
		error[0] = '\0';
		EXPECT_RC(-EINVAL, model_named("edu")->create(&params, &func));
		EXPECT_TRUE(error[0]);
	}
	params = edu_params(r.dev, "vectors=64,memory=5000,vfs=7");
	ASSERT_OK(model_named("edu")->create(&params, &edu));
	EXPECT_EQ(8192, edu->desc.bars[EDU_MEM_BAR].bytes);
	EXPECT_EQ(32, edu->desc.msi_vectors);
	edu_end();
}

TEST(virtual_functions_are_devices_too)
{
	struct siommu_device_params like = { .pasid_bits = 20, .ats = true, .page_requests = true };
	struct siommu_device *dev = NULL;
	struct siommu_bound *bound = NULL;
	struct pci_func *vf = NULL, *pf;
	struct pci_params params;
	uint32_t id, pt;

	edu_begin("memory=64K,vfs=2");
	like.requester = REQUESTER + PCI_VF_OFFSET;
	ASSERT_OK(device_new(r.unit, &like, &dev));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
	pt = r.ioas;
	ASSERT_OK(siommu_device_attach(bound, 0, &pt));
	params = edu_params(dev, "");
	EXPECT_RC(-EINVAL, edu->ops->vf_create(edu, 2, &params, &vf));
	ASSERT_OK(edu->ops->vf_create(edu, 0, &params, &vf));
	pf = edu;
	edu = vf;
	func_on(vf);
	EXPECT_EQ(0x10000, get64(EDU_MEMORY));
	EXPECT_TRUE(get32(EDU_CAPS) & EDU_CAPS_VF);
	put64(EDU_OPERAND, 0x4444444444444444);
	EXPECT_EQ(EDU_OK, run(EDU_FILL, IOVA, 8));
	EXPECT_EQ(0x44, ram[0]);
	EXPECT_EQ(EDU_OK, run(EDU_READ | EDU_CMD_PRI, IOVA, 8));
	pci_func_destroy(vf);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	edu = pf;
	EXPECT_EQ(0, get32(EDU_COUNT));
	siommu_device_detach(r.bound, 0);
	pci_func_destroy(edu);
	EXPECT_EQ(0, atomic_load(&alloc.blocks));
	siommu_port_destroy(r.port);
	siommu_device_unbind(r.bound);
	fixture_close();
	siommu_device_destroy(dev);
	siommu_device_destroy(r.dev);
	siommu_unit_destroy(r.unit);
}
