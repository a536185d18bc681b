// SPDX-License-Identifier: MIT
/* Regions: what is said of them, and reads, writes and mappings of BARs. */
#include "vfio_rig.h"

#include "../../../src/abi/vfio/vfio.h"

#define BAR0_BYTES 0x2000u
#define BAR2_BYTES 0x100000u
#define TABLE	   0x1000u
#define TABLE_END  (TABLE + 16u * 16u)
#define PBA	   0x1800u

struct region {
	struct vfio_region_info info;
	uint8_t caps[256];
};

static long region_info(int fd, uint32_t index, uint32_t argsz, struct region *out)
{
	memset(out, 0, sizeof(*out));
	out->info.argsz = argsz;
	out->info.index = index;
	return vcall(fd, VFIO_DEVICE_GET_REGION_INFO, out);
}

static const struct vfio_info_cap_header *region_cap(const struct region *r, uint16_t id)
{
	const struct vfio_info_cap_header *cap;
	uint32_t at = r->info.cap_offset;

	for (; at; at = cap->next) {
		cap = (const void *)((const uint8_t *)r + at);
		if (cap->id == id)
			return cap;
	}
	return NULL;
}

TEST_BOTH(every_region_is_described)
{
	struct cdev c = cdev_begin();
	struct region r;
	uint32_t i;

	EXPECT_RC(-EINVAL, region_info(c.fd, 0, 31, &r));
	for (i = 0; i <= VFIO_PCI_CONFIG_REGION_INDEX; i++) {
		EXPECT_OK(region_info(c.fd, i, sizeof(r), &r));
		EXPECT_EQ(REGION(i), r.info.offset);
	}
	EXPECT_RC(-EINVAL, region_info(c.fd, VFIO_PCI_VGA_REGION_INDEX, 32, &r));
	EXPECT_RC(-EINVAL, region_info(c.fd, VFIO_PCI_NUM_REGIONS, 32, &r));
	EXPECT_RC(-EINVAL, region_info(c.fd, ~0u, 32, &r));
	/* A BAR that is not there, and a ROM that is not. */
	EXPECT_OK(region_info(c.fd, VFIO_PCI_BAR1_REGION_INDEX, 32, &r));
	EXPECT_EQ(0, r.info.size);
	EXPECT_EQ(0, r.info.flags);
	EXPECT_OK(region_info(c.fd, VFIO_PCI_ROM_REGION_INDEX, 32, &r));
	EXPECT_EQ(0, r.info.size);
	EXPECT_EQ(0, r.info.flags);
	EXPECT_OK(region_info(c.fd, VFIO_PCI_CONFIG_REGION_INDEX, 32, &r));
	EXPECT_EQ(4096, r.info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE, r.info.flags);
	EXPECT_OK(region_info(c.fd, VFIO_PCI_BAR2_REGION_INDEX, 32, &r));
	EXPECT_EQ(BAR2_BYTES, r.info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_MMAP,
		  r.info.flags);
	EXPECT_EQ(0, r.info.cap_offset);
	cdev_end(&c);
}

/* As the kernel says of every BAR with an MSI-X table that can be mapped. */
TEST_BOTH(capabilities_say_how_much_room_they_need)
{
	const uint32_t flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			       VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	struct cdev c = cdev_begin();
	struct region r;
	uint32_t need;

	EXPECT_OK(region_info(c.fd, VFIO_PCI_BAR0_REGION_INDEX, 32, &r));
	EXPECT_EQ(BAR0_BYTES, r.info.size);
	EXPECT_EQ(flags, r.info.flags);
	EXPECT_EQ(0, r.info.cap_offset);
	need = r.info.argsz;
	EXPECT_EQ(32 + sizeof(struct vfio_info_cap_header), need);
	EXPECT_OK(region_info(c.fd, VFIO_PCI_BAR0_REGION_INDEX, need - 1, &r));
	EXPECT_EQ(need, r.info.argsz);
	EXPECT_EQ(0, r.info.cap_offset);
	EXPECT_OK(region_info(c.fd, VFIO_PCI_BAR0_REGION_INDEX, need, &r));
	EXPECT_EQ(need, r.info.argsz);
	EXPECT_EQ(32, r.info.cap_offset);
	EXPECT_TRUE(region_cap(&r, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE));
	EXPECT_TRUE(!region_cap(&r, VFIO_REGION_INFO_CAP_SPARSE_MMAP));
	cdev_end(&c);
}

TEST_BOTH(bars_are_read_and_written_at_any_offset)
{
	struct cdev c = cdev_begin();
	static uint8_t in[5 * PAGE], out[5 * PAGE];
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / 256);
	EXPECT_EQ(sizeof(in), siommu_vfio_write(machine, c.fd, in, sizeof(in), BAR2 + 3));
	EXPECT_EQ(sizeof(out), siommu_vfio_read(machine, c.fd, out, sizeof(out), BAR2 + 3));
	EXPECT_MEM(in, out, sizeof(in));
	/* Up to the end, and no further. */
	EXPECT_EQ(4, siommu_vfio_read(machine, c.fd, out, 100, BAR2 + BAR2_BYTES - 4));
	EXPECT_EQ(4, siommu_vfio_write(machine, c.fd, out, 100, BAR2 + BAR2_BYTES - 4));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, c.fd, out, 4, BAR2 + BAR2_BYTES));
	EXPECT_RC(-EINVAL, siommu_vfio_write(machine, c.fd, out, 4, BAR2 + BAR2_BYTES));
	EXPECT_EQ(0, siommu_vfio_read(machine, c.fd, out, 0, BAR2 + BAR2_BYTES));
	EXPECT_EQ(0, siommu_vfio_read(machine, c.fd, out, 0, REGION(100)));
	/* What is not there. */
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, c.fd, out, 4, REGION(1)));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, c.fd, out, 4, REGION(6)));
	EXPECT_RC(-EINVAL, siommu_vfio_write(machine, c.fd, out, 4, REGION(6)));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, c.fd, out, 4, REGION(8)));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, c.fd, out, 4, REGION(9)));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, c.fd, out, 4, UINT64_MAX));
	cdev_end(&c);
}

TEST_CHECKED(memory_that_is_not_there_is_efault)
{
	struct cdev c = cdev_begin();
	uint8_t *p = buffer_then_hole(PAGE, PAGE);

	EXPECT_RC(-EFAULT, siommu_vfio_read(machine, c.fd, p + PAGE - 2, 4, BAR2));
	EXPECT_RC(-EFAULT, siommu_vfio_write(machine, c.fd, p + PAGE - 2, 4, BAR2));
	EXPECT_RC(-EFAULT, siommu_vfio_read(machine, c.fd, p + PAGE - 2, 4, CONFIG));
	EXPECT_RC(-EFAULT, siommu_vfio_write(machine, c.fd, p + PAGE - 2, 4, CONFIG + 4));
	cdev_end(&c);
}

TEST(without_memory_decoding_bars_are_eio)
{
	struct cdev c = cdev_begin();
	uint32_t word = 0;

	/* The kernel enables the device for its driver. */
	EXPECT_EQ(PCI_COMMAND_MEMORY, cfg16(c.fd, PCI_COMMAND));
	set_cfg16(c.fd, PCI_COMMAND, 0);
	EXPECT_RC(-EIO, siommu_vfio_read(machine, c.fd, &word, 4, BAR0));
	EXPECT_RC(-EIO, siommu_vfio_write(machine, c.fd, &word, 4, BAR2));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, c.fd, &word, 4, REGION(1)));
	set_cfg16(c.fd, PCI_COMMAND, PCI_COMMAND_MEMORY);
	EXPECT_EQ(4, siommu_vfio_read(machine, c.fd, &word, 4, BAR0));
	cdev_end(&c);
}

TEST(the_msix_table_is_hidden)
{
	struct cdev c = cdev_begin();
	uint8_t bytes[64], zeros[64] = { 0 };
	int event = new_event();

	ASSERT_OK(set_eventfd(c.fd, MSIX, 0, event));
	EXPECT_EQ(0xffffffff, reg32(c.fd, BAR0 + TABLE));
	EXPECT_EQ(0xffffffff, reg32(c.fd, BAR0 + TABLE_END - 4));
	EXPECT_EQ(0, reg32(c.fd, BAR0 + TABLE_END));
	EXPECT_EQ(0, reg32(c.fd, BAR0 + PBA));
	/* An access over its edges, and a write that would mask all. */
	EXPECT_EQ(64, siommu_vfio_read(machine, c.fd, bytes, 64, BAR0 + TABLE - 32));
	EXPECT_MEM(zeros, bytes, 32);
	EXPECT_EQ(0xff, bytes[32]);
	EXPECT_EQ(0xff, bytes[63]);
	EXPECT_EQ(64, siommu_vfio_read(machine, c.fd, bytes, 64, BAR0 + TABLE_END - 32));
	EXPECT_EQ(0xff, bytes[31]);
	EXPECT_MEM(zeros, bytes + 32, 32);
	set_reg32(c.fd, BAR0 + TABLE + 12, 1);
	set_master(c.fd);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(event));
	close(event);
	cdev_end(&c);
}

TEST(memory_of_a_bar_is_shared)
{
	struct cdev c = cdev_begin();
	uint32_t *p, *q;

	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, BAR2_BYTES, PROT_READ | PROT_WRITE, BAR2,
				   (void **)&p));
	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, BAR2 + 0x4000, (void **)&q));
	p[0x1000] = 0x600d;
	EXPECT_EQ(0x600d, q[0]);
	EXPECT_EQ(0x600d, reg32(c.fd, BAR2 + 0x4000));
	set_reg32(c.fd, BAR2 + 0x4004, 0xbeef);
	EXPECT_EQ(0xbeef, p[0x1001]);
	munmap(p, BAR2_BYTES);
	munmap(q, PAGE);
	cdev_end(&c);
}

TEST(registers_are_mapped_for_reading_only)
{
	struct cdev c = cdev_begin();
	volatile uint32_t *p;

	EXPECT_RC(-EACCES,
		  siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ | PROT_WRITE, BAR0, (void **)&p));
	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, BAR0_BYTES, PROT_READ, BAR0, (void **)&p));
	set_reg32(c.fd, BAR0 + EDU_SCRATCH, 0x1234);
	EXPECT_EQ(0x1234, p[EDU_SCRATCH / 4]);
	/* Nor can it be made so. */
	EXPECT_TRUE(mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE));
	munmap((void *)p, BAR0_BYTES);
	cdev_end(&c);
}

TEST(what_is_not_there_cannot_be_mapped)
{
	struct cdev c = cdev_begin();
	void *p;

	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, BAR2_BYTES + PAGE, PROT_READ, BAR2, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, BAR2 + BAR2_BYTES, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, REGION(1), &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, REGION(6), &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, CONFIG, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, REGION(9), &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, SIZE_MAX - 10, PROT_READ, BAR2, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, 0, PROT_READ, BAR2, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, BAR2 + 4, &p));
	cdev_end(&c);
}

/*
 * No model has a BAR like this, so one is bent: accesses to its middle are calls. What is
 * behind is of two kinds, which are one piece for who maps it.
 */
static void trap_middle(struct siommu_pci *pci)
{
	struct pci_bar *bar = &pci->func->desc.bars[2];

	bar->areas[0] = (struct pci_area){ 0, 0x1000, PCI_AREA_MEMORY };
	bar->areas[1] = (struct pci_area){ 0x1000, 0x3000, PCI_AREA_TRAPPED };
	bar->areas[2] = (struct pci_area){ 0x4000, 0x1000, PCI_AREA_REGISTERS };
	bar->areas[3] = (struct pci_area){ 0x5000, BAR2_BYTES - 0x5000, PCI_AREA_MEMORY };
	bar->nareas = 4;
}

/* Who keeps a mapping over the close of the device has nothing of the next one's. */
TEST_BOTH(a_mapping_that_is_kept_is_not_the_next_drivers_memory)
{
	struct cdev c = cdev_begin();
	volatile uint8_t *kept, *mine;
	volatile uint32_t *was, *is;

	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, BAR2_BYTES, PROT_READ | PROT_WRITE, BAR2,
				   (void **)&kept));
	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, BAR0_BYTES, PROT_READ, BAR0, (void **)&was));
	kept[0] = 0x5a;
	cdev_close(&c);
	c = cdev_open(CDEV0);
	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, BAR2_BYTES, PROT_READ | PROT_WRITE, BAR2,
				   (void **)&mine));
	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, BAR0_BYTES, PROT_READ, BAR0, (void **)&is));
	EXPECT_EQ(0, mine[0]);
	mine[1] = 0x77;
	EXPECT_EQ(0, kept[1]);
	kept[2] = 0x11;
	EXPECT_EQ(0, mine[2]);
	/* Registers are as they were: the first one says what the device is. */
	EXPECT_TRUE(is[0]);
	EXPECT_EQ(was[0], is[0]);
	munmap((void *)kept, BAR2_BYTES);
	munmap((void *)mine, BAR2_BYTES);
	munmap((void *)was, BAR0_BYTES);
	munmap((void *)is, BAR0_BYTES);
	cdev_end(&c);
}

TEST_BOTH(what_is_trapped_is_not_to_be_mapped)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse;
	struct cdev c = cdev_begin();
	struct region r;
	uint32_t need;
	void *p;

	trap_middle(pci_rig.pci[0]);
	EXPECT_OK(region_info(c.fd, VFIO_PCI_BAR2_REGION_INDEX, 32, &r));
	need = r.info.argsz;
	EXPECT_EQ(32 + sizeof(*sparse) + 2 * sizeof(sparse->areas[0]), need);
	EXPECT_OK(region_info(c.fd, VFIO_PCI_BAR2_REGION_INDEX, need, &r));
	EXPECT_TRUE(r.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	sparse = (const void *)region_cap(&r, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	ASSERT_TRUE(sparse);
	EXPECT_EQ(1, sparse->header.version);
	EXPECT_EQ(0, sparse->header.next);
	ASSERT_EQ(2, sparse->nr_areas);
	EXPECT_EQ(0, sparse->areas[0].offset);
	EXPECT_EQ(0x1000, sparse->areas[0].size);
	EXPECT_EQ(0x4000, sparse->areas[1].offset);
	EXPECT_EQ(BAR2_BYTES - 0x4000, sparse->areas[1].size);
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, BAR2_BYTES, PROT_READ, BAR2, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, 0x2000, PROT_READ, BAR2, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, BAR2 + 0x3000, &p));
	ASSERT_OK(siommu_vfio_mmap(machine, c.fd, PAGE, PROT_READ, BAR2, &p));
	munmap(p, PAGE);
	ASSERT_OK(
		siommu_vfio_mmap(machine, c.fd, BAR2_BYTES - 0x4000, PROT_READ, BAR2 + 0x4000, &p));
	munmap(p, BAR2_BYTES - 0x4000);
	cdev_end(&c);
}
