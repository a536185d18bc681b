// SPDX-License-Identifier: MIT
/*
 * The rules that every command shares: how long its structure may be, what must
 * be zero behind its end, and what happens where its memory ends. One table, all
 * commands; arguments are chosen so that each fails or succeeds in a known way
 * once the structure has been read.
 */
#include "calls.h"

/* An id that names nothing, so that what was read can be told from what was not. */
#define NOTHING 0x7f00

struct command {
	const char *name;
	unsigned long request;
	size_t size;
	size_t min;
	int rc;
	void (*fill)(void *cmd);
};

#define END(type, member) (offsetof(struct type, member) + sizeof(((struct type *)0)->member))
#define COMMAND(request, type, last, rc)                                                           \
	{ #request, request, sizeof(struct type), END(type, last), rc, fill_##type }

static void fill_iommu_destroy(void *p)
{
	((struct iommu_destroy *)p)->id = NOTHING;
}

static void fill_iommu_ioas_alloc(void *p)
{
	((struct iommu_ioas_alloc *)p)->flags = 1;
}

static void fill_iommu_ioas_allow_iovas(void *p)
{
	((struct iommu_ioas_allow_iovas *)p)->ioas_id = NOTHING;
}

static void fill_iommu_ioas_copy(void *p)
{
	struct iommu_ioas_copy *cmd = p;

	cmd->flags = RW;
	cmd->src_ioas_id = NOTHING;
	cmd->length = 1;
}

static void fill_iommu_ioas_iova_ranges(void *p)
{
	((struct iommu_ioas_iova_ranges *)p)->ioas_id = NOTHING;
}

static void fill_iommu_ioas_map(void *p)
{
	struct iommu_ioas_map *cmd = p;

	cmd->flags = RW;
	cmd->ioas_id = NOTHING;
	cmd->length = 1;
}

static void fill_iommu_ioas_map_file(void *p)
{
	struct iommu_ioas_map_file *cmd = p;

	cmd->flags = RW;
	cmd->ioas_id = NOTHING;
	cmd->length = 1;
}

static void fill_iommu_ioas_unmap(void *p)
{
	((struct iommu_ioas_unmap *)p)->ioas_id = NOTHING;
}

static void fill_iommu_option(void *p)
{
	((struct iommu_option *)p)->option_id = 77;
}

static void fill_iommu_vfio_ioas(void *p)
{
	((struct iommu_vfio_ioas *)p)->op = 77;
}

static void fill_iommu_hwpt_alloc(void *p)
{
	((struct iommu_hwpt_alloc *)p)->dev_id = NOTHING;
}

static void fill_iommu_hw_info(void *p)
{
	((struct iommu_hw_info *)p)->dev_id = NOTHING;
}

static void fill_iommu_hwpt_set_dirty_tracking(void *p)
{
	((struct iommu_hwpt_set_dirty_tracking *)p)->hwpt_id = NOTHING;
}

static void fill_iommu_hwpt_get_dirty_bitmap(void *p)
{
	((struct iommu_hwpt_get_dirty_bitmap *)p)->hwpt_id = NOTHING;
}

static void fill_iommu_hwpt_invalidate(void *p)
{
	((struct iommu_hwpt_invalidate *)p)->hwpt_id = NOTHING;
}

static void fill_iommu_fault_alloc(void *p)
{
	((struct iommu_fault_alloc *)p)->flags = 1;
}

static void fill_iommu_viommu_alloc(void *p)
{
	struct iommu_viommu_alloc *cmd = p;

	cmd->type = IOMMU_VIOMMU_TYPE_SELFTEST;
	cmd->dev_id = NOTHING;
}

static void fill_iommu_vdevice_alloc(void *p)
{
	((struct iommu_vdevice_alloc *)p)->viommu_id = NOTHING;
}

static void fill_iommu_ioas_change_process(void *p)
{
	((struct iommu_ioas_change_process *)p)->__reserved = 1;
}

static void fill_iommu_veventq_alloc(void *p)
{
	struct iommu_veventq_alloc *cmd = p;

	cmd->type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	cmd->veventq_depth = 1;
	cmd->viommu_id = NOTHING;
}

static void fill_iommu_hw_queue_alloc(void *p)
{
	struct iommu_hw_queue_alloc *cmd = p;

	cmd->type = IOMMU_HW_QUEUE_TYPE_SELFTEST;
	cmd->length = 1;
	cmd->viommu_id = NOTHING;
}

static void fill_iommu_ioas_noiommu_get_pa(void *p)
{
	((struct iommu_ioas_noiommu_get_pa *)p)->flags = 1;
}

static void fill_iommu_test_cmd(void *p)
{
	((struct iommu_test_cmd *)p)->op = 77;
}

static const struct command commands[] = {
	COMMAND(IOMMU_DESTROY, iommu_destroy, id, -ENOENT),
	COMMAND(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, -EOPNOTSUPP),
	COMMAND(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas, -ENOENT),
	COMMAND(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova, -ENOENT),
	COMMAND(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment, -ENOENT),
	COMMAND(IOMMU_IOAS_MAP, iommu_ioas_map, iova, -ENOENT),
	COMMAND(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length, -ENOENT),
	COMMAND(IOMMU_OPTION, iommu_option, val64, -EOPNOTSUPP),
	COMMAND(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved, -EOPNOTSUPP),
	COMMAND(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved, -ENOENT),
	COMMAND(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved, -ENOENT),
	COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved, -ENOENT),
	COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data, -ENOENT),
	COMMAND(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved, -ENOENT),
	COMMAND(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd, -EOPNOTSUPP),
	COMMAND(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova, -ENOENT),
	COMMAND(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id, -ENOENT),
	COMMAND(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id, -ENOENT),
	COMMAND(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved, -EOPNOTSUPP),
	COMMAND(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd, -ENOENT),
	COMMAND(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length, -ENOENT),
	COMMAND(IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys, -EOPNOTSUPP),
	COMMAND(IOMMU_TEST_CMD, iommu_test_cmd, last, -EOPNOTSUPP),
};

#define NCOMMANDS (sizeof(commands) / sizeof(*commands))

/* Give a command @size bytes at @at. */
static void expect(int want, const struct command *c, void *at, uint32_t size, const char *what)
{
	char text[128];
	int rc;

	memcpy(at, &size, sizeof(size));
	rc = siommu_ioctl(ctx, c->request, at);
	snprintf(text, sizeof(text), "%s, %s", c->name, what);
	unit_rc(__FILE__, __LINE__, text, want, rc);
}

static void expect_call(int want, const struct command *c, void *at, uint32_t size,
			const char *what)
{
	_Alignas(8) char aligned[128] = { 0 };

	c->fill(aligned);
	memcpy(at, aligned, c->size);
	expect(want, c, at, size, what);
}

static bool capable_enough(void)
{
	/* NOIOMMU_GET_PA asks for a capability before all else. */
	return !unit.variant || set_capability(CAP_SYS_RAWIO, true);
}

TEST_BOTH(all_commands_are_here)
{
	char cmd[128] = { 0 };
	unsigned int nr, i, known;

	cmd[0] = sizeof(cmd);
	for (nr = 0x80; nr <= 0xa0; nr++) {
		for (i = 0, known = 0; i < NCOMMANDS; i++)
			known += commands[i].request == _IO(IOMMUFD_TYPE, nr);
		if (!known)
			EXPECT_RC(-ENOTTY, siommu_ioctl(ctx, _IO(IOMMUFD_TYPE, nr), cmd));
		else
			EXPECT_EQ(1, known);
	}
}

TEST_BOTH(too_short_is_einval)
{
	char *p = buffer(PAGE);
	unsigned int i;

	for (i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		expect_call(-EINVAL, c, p, 0, "size 0");
		expect_call(-EINVAL, c, p, 4, "size 4");
		expect_call(-EINVAL, c, p, (uint32_t)c->min - 1, "one byte short");
	}
}

TEST_BOTH(the_mandatory_part_is_enough)
{
	char *p = buffer_then_hole(PAGE, PAGE);
	unsigned int i;

	if (!capable_enough())
		SKIP("needs CAP_SYS_RAWIO");
	for (i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];
		char *at = p + PAGE - c->min;
		_Alignas(8) char whole[128] = { 0 };

		/* What follows it cannot even be read. */
		c->fill(whole);
		memcpy(at, whole, c->min);
		expect(c->rc, c, at, (uint32_t)c->min, "the mandatory part");
	}
}

TEST_BOTH(zeroes_behind_the_end_are_fine)
{
	char *p = buffer(4 * PAGE);
	unsigned int i;

	if (!capable_enough())
		SKIP("needs CAP_SYS_RAWIO");
	for (i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		memset(p, 0, 4 * PAGE);
		expect_call(c->rc, c, p, (uint32_t)c->size, "all of it");
		expect_call(c->rc, c, p, (uint32_t)c->size + 1, "one byte more");
		expect_call(c->rc, c, p, (uint32_t)c->size + PAGE, "a page more");
		expect_call(c->rc, c, p, 4 * PAGE, "four pages");
	}
}

TEST_BOTH(anything_else_behind_the_end_is_e2big)
{
	char *p = buffer(2 * PAGE);
	unsigned int i;

	if (!capable_enough())
		SKIP("needs CAP_SYS_RAWIO");
	for (i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		memset(p, 0, 2 * PAGE);
		p[c->size] = 1;
		expect_call(-E2BIG, c, p, (uint32_t)c->size + 1, "the first byte");
		expect_call(-E2BIG, c, p, 2 * PAGE, "the first of many");
		expect_call(c->rc, c, p, (uint32_t)c->size, "behind what it says");
		p[c->size] = 0;
		p[2 * PAGE - 1] = (char)0x80;
		expect_call(-E2BIG, c, p, 2 * PAGE, "the last byte");
	}
}

TEST_CHECKED(memory_that_ends)
{
	char *p = buffer_then_hole(PAGE, PAGE);
	unsigned int i;

	if (!capable_enough())
		SKIP("needs CAP_SYS_RAWIO");
	for (i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];
		char *at = p + PAGE - c->size;

		memset(p, 0, PAGE);
		expect_call(-EFAULT, c, at, (uint32_t)c->size + 1, "a tail in the hole");
		expect_call(c->rc, c, at, (uint32_t)c->size, "up to the hole");
		at = p + PAGE - c->min + 1;
		memcpy(at, &(uint32_t){ (uint32_t)c->min }, 4);
		EXPECT_RC(-EFAULT, siommu_ioctl(ctx, c->request, at));
		/* Only three bytes of the size are there. */
		EXPECT_RC(-EFAULT, siommu_ioctl(ctx, c->request, p + PAGE - 3));
		/* A byte before the hole is seen first. */
		at = p + PAGE - c->size - 24;
		p[PAGE - 1] = 1;
		expect_call(-E2BIG, c, at, (uint32_t)c->size + 500, "a byte before the hole");
	}
}

TEST_CHECKED(wild_pointers)
{
	static const uint64_t wild[] = {
		0, 1, 8, 0xfff, 1ul << 47, (1ul << 47) - 4, 1ul << 62, 1ul << 63, UINT64_MAX - 3,
		UINT64_MAX, 0xdeadbeefdeadbeef, 0xffff800000000000,
	};
	unsigned int i, j;

	for (i = 0; i < NCOMMANDS; i++)
		for (j = 0; j < sizeof(wild) / sizeof(*wild); j++)
			EXPECT_RC(-EFAULT, siommu_ioctl(ctx, commands[i].request,
							(void *)(uintptr_t)wild[j]));
}

TEST_BOTH(unaligned_pointers)
{
	char *p = buffer(PAGE);
	unsigned int i, at;

	if (!capable_enough())
		SKIP("needs CAP_SYS_RAWIO");
	for (i = 0; i < NCOMMANDS; i++)
		for (at = 1; at < 8; at++)
			expect_call(commands[i].rc, &commands[i], p + at,
				    (uint32_t)commands[i].size, "unaligned");
}

/* A structure that can be read but not written: the call is undone. */
TEST_CHECKED(answers_that_cannot_be_written)
{
	struct iommu_ioas_alloc *alloc = buffer(PAGE);
	uint32_t ioas = new_ioas(), id;
	struct iommu_fault_alloc *fault = buffer(PAGE);

	alloc->size = sizeof(*alloc);
	fault->size = sizeof(*fault);
	ASSERT_OK(mprotect(alloc, PAGE, PROT_READ));
	ASSERT_OK(mprotect(fault, PAGE, PROT_READ));
	EXPECT_RC(-EFAULT, siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, alloc));
	EXPECT_RC(-EFAULT, siommu_ioctl(ctx, IOMMU_FAULT_QUEUE_ALLOC, fault));
	ASSERT_OK(ioas_alloc(ctx, &id));
	EXPECT_EQ(ioas + 1, id);
}

TEST_CHECKED(a_mapping_stays_when_its_answer_cannot_be_written)
{
	struct iommu_ioas_map *cmd = buffer(PAGE);

	*cmd = (struct iommu_ioas_map){
		.size = sizeof(*cmd), .flags = RW | FIX, .ioas_id = new_ioas(), .length = PAGE,
		.iova = 0x10000,
	};
	ASSERT_OK(mprotect(cmd, PAGE, PROT_READ));
	EXPECT_RC(-EFAULT, siommu_ioctl(ctx, IOMMU_IOAS_MAP, cmd));
	/* As a kernel leaves it. */
	EXPECT_OK(unmap(cmd->ioas_id, 0x10000, PAGE));
}
