// SPDX-License-Identifier: MIT
/*
 * Fuzzing containers that nest: programs of 2020 that open, close and ask in any order.
 *
 * The machine has three functions in groups of their own, two behind a VT-d and one behind an
 * SMMUv3, and a container for each, of any type. The input is a program for the three: types
 * are set and lost, PASIDs are owned, bound and freed, tables of PASIDs and doorbells set, and
 * any of it with headers and structures of which bytes have changed. Whoever is asked, all is
 * one process. Guests' memory is pages of which some are never to be written.
 *
 * What is checked: who owns which PASID, and which the next one is, against a list kept here;
 * a device reaches nothing by a PASID that is not bound; the new numbers are unknown to
 * containers of other types; calls that cannot fail do not; pages that are not to be written
 * do not change; and when all is closed, the machine holds what it held.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include <softiommu/abi/iommu-2020.h>
#include <softiommu/softiommu.h>

#include "core/ctx.h"
#include "fuzz.h"

#define PAGE	  4096ull
#define PAGES	  16
#define READ_ONLY 12 /* pages from here up devices may only read */
#define FUNCTIONS 3
#define ARM	  2 /* the one behind an SMMUv3 */
#define PASIDS	  16
#define MAX_STEPS 64
#define QUOTA	  12

#define REGION(index) ((uint64_t)(index) << 40)

enum { CONTAINER, GROUP, DEVICE, NFDS };

/* A program's descriptors; -1 for none. What is bound, as far as anybody was told. */
struct guest {
	int fd[NFDS];
	bool nests;
	bool bound[PASIDS];
};

static struct {
	struct input in;
	struct siommu_machine *machine;
	struct siommu_unit *unit[2];
	struct siommu_device *dev[FUNCTIONS];
	struct siommu_pci *pci[FUNCTIONS];
	uint8_t *memory;
	uint8_t copy[(PAGES - READ_ONLY) * PAGE];
	struct guest guest[FUNCTIONS];
	bool owned[PASIDS];
	size_t blocks;
} w;

static const char *const names[FUNCTIONS] = { "0000:00:02.0", "0000:00:03.0", "0000:00:04.0" };
static const char *const groups[FUNCTIONS] = { "/dev/vfio/0", "/dev/vfio/1", "/dev/vfio/2" };

static void broken(const char *what, long value)
{
	fprintf(stderr, "nesting_fuzz: %s (%ld)\n", what, value);
	abort();
}

static struct guest *take_guest(void)
{
	return &w.guest[take_u8(&w.in) % FUNCTIONS];
}

static bool is_arm(const struct guest *g)
{
	return g == &w.guest[ARM];
}

static long call(int fd, unsigned long request, void *arg)
{
	return siommu_vfio_ioctl(w.machine, fd, request, arg);
}

/* PASIDs live as long as there is a container that nests. */
static void forget_if_last(void)
{
	unsigned int i;

	for (i = 0; i < FUNCTIONS; i++)
		if (w.guest[i].nests)
			return;
	memset(w.owned, 0, sizeof(w.owned));
}

static void close_one(struct guest *g, unsigned int which)
{
	if (g->fd[which] >= 0)
		(void)siommu_vfio_close(w.machine, g->fd[which]);
	g->fd[which] = -1;
}

/* In any order, and all: a container by itself is of no use here. */
static void close_guest(struct guest *g, uint8_t order)
{
	unsigned int i;

	for (i = 0; i < NFDS; i++)
		close_one(g, (order + (order & 4 ? NFDS - i : i)) % NFDS);
	g->nests = false;
	memset(g->bound, 0, sizeof(g->bound));
	forget_if_last();
}

static void map(const struct guest *g, unsigned int page, unsigned int n, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.vaddr = (uintptr_t)w.memory + page * PAGE,
		.iova = page * PAGE,
		.size = n * PAGE,
	};

	if (call(g->fd[CONTAINER], VFIO_IOMMU_MAP_DMA, &cmd))
		broken("cannot map", page);
}

static void open_guest(struct guest *g, unsigned long type)
{
	const unsigned int i = (unsigned int)(g - w.guest);
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	g->fd[CONTAINER] = siommu_vfio_open(w.machine, "/dev/vfio/vfio", SIOMMU_OPEN_CHECKED);
	g->fd[GROUP] = siommu_vfio_open(w.machine, groups[i], SIOMMU_OPEN_CHECKED);
	if (call(g->fd[GROUP], VFIO_GROUP_SET_CONTAINER, &g->fd[CONTAINER]) ||
	    call(g->fd[CONTAINER], VFIO_SET_IOMMU, (void *)type))
		broken("no container", i);
	g->fd[DEVICE] = (int)call(g->fd[GROUP], VFIO_GROUP_GET_DEVICE_FD, (void *)names[i]);
	if (g->fd[DEVICE] < 0)
		broken("no device", g->fd[DEVICE]);
	g->nests = type == VFIO_TYPE1_NESTING_IOMMU;
	(void)siommu_vfio_write(w.machine, g->fd[DEVICE], &command, sizeof(command),
				REGION(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND);
	map(g, 0, READ_ONLY, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	map(g, READ_ONLY, PAGES - READ_ONLY, VFIO_DMA_MAP_FLAG_READ);
}

static void step_open(void)
{
	struct guest *g = take_guest();
	uint8_t s = take_u8(&w.in);

	close_guest(g, s & 7);
	if (s & 0x80)
		return;
	open_guest(g, s & 0x40 ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_NESTING_IOMMU);
}

/* A number: a PASID that is counted here, mostly. */
static uint32_t take_pasid(void)
{
	uint8_t s = take_u8(&w.in);

	return s >= RAW ? (uint32_t)take(&w.in, 4) : s % PASIDS;
}

static unsigned int count_owned(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < PASIDS; i++)
		n += w.owned[i];
	return n;
}

/* What an allocation gives, of ranges in which all is counted here. */
static long next_free(uint32_t min, uint32_t max)
{
	if (count_owned() >= QUOTA)
		return -ENOSPC;
	for (min = min ? min : 1; min <= max; min++)
		if (!w.owned[min])
			return (long)min;
	return -ENOSPC;
}

static void step_alloc(void)
{
	struct guest *g = take_guest();
	struct vfio_iommu_type1_pasid_request cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_IOMMU_FLAG_ALLOC_PASID,
		.range.min = take_u8(&w.in) % PASIDS,
		.range.max = take_u8(&w.in) % PASIDS,
	};
	long want = cmd.range.min > cmd.range.max ? -EINVAL
						  : next_free(cmd.range.min, cmd.range.max),
	     rc;

	if (!g->nests || is_arm(g))
		return;
	rc = call(g->fd[CONTAINER], VFIO_IOMMU_PASID_REQUEST, &cmd);
	if (rc != want)
		broken("another PASID than is next", rc);
	if (rc > 0)
		w.owned[rc] = true;
}

static void free_pasids(uint32_t min, uint32_t max)
{
	unsigned int i, j;

	for (i = min; i < PASIDS && i <= max; i++) {
		w.owned[i] = false;
		for (j = 0; j < FUNCTIONS; j++)
			w.guest[j].bound[i] = false;
	}
}

static void step_free(void)
{
	struct guest *g = take_guest();
	struct vfio_iommu_type1_pasid_request cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_IOMMU_FLAG_FREE_PASID,
		.range = { take_pasid(), take_pasid() },
	};
	const bool valid = cmd.range.min <= cmd.range.max && cmd.range.max <= 1u << 31;

	if (!g->nests || is_arm(g))
		return;
	if (call(g->fd[CONTAINER], VFIO_IOMMU_PASID_REQUEST, &cmd) != (valid ? 0 : -EINVAL))
		broken("a PASID was not freed", cmd.range.min);
	if (valid)
		free_pasids(cmd.range.min, cmd.range.max);
}

/* A header, a structure, and room behind it. */
struct op {
	uint32_t argsz;
	uint32_t flags;
	union {
		struct iommu_gpasid_bind_data bind;
		struct iommu_cache_invalidate_info inv;
		struct iommu_pasid_table_config table;
		struct {
			uint32_t min;
			uint32_t max;
		} range;
		uint8_t bytes[120];
	} data;
};

/* Change bytes of it, if the input says so. */
static bool bend(struct op *op)
{
	uint8_t n = take_u8(&w.in), i;

	if (n < 0xc0)
		return false;
	for (i = 0; i < (n & 3) + 1; i++)
		((uint8_t *)op)[take_u8(&w.in) % sizeof(*op)] = take_u8(&w.in);
	return true;
}

/* What a container of this kind has been told, whatever the bytes were. */
static void note(struct guest *g, unsigned long request, const struct op *op, long rc)
{
	const uint64_t pasid = op->data.bind.hpasid;

	if (is_arm(g) || rc < 0)
		return;
	if (request == VFIO_IOMMU_PASID_REQUEST) {
		free_pasids(op->data.range.min, op->data.range.max);
	} else if (op->flags != VFIO_IOMMU_NESTING_OP_CACHE_INVLD && pasid < PASIDS) {
		g->bound[pasid] = op->flags == VFIO_IOMMU_NESTING_OP_BIND_PGTBL;
	}
}

static struct op bind_op(uint32_t flags, uint32_t pasid)
{
	return (struct op){
		.argsz = 8 + sizeof(struct iommu_gpasid_bind_data),
		.flags = flags,
		.data.bind = {
			.argsz = sizeof(struct iommu_gpasid_bind_data),
			.version = IOMMU_GPASID_BIND_VERSION_1,
			.format = IOMMU_PASID_FORMAT_INTEL_VTD,
			.addr_width = 48,
			.hpasid = pasid,
		},
	};
}

static void step_bind(void)
{
	struct guest *g = take_guest();
	const uint32_t pasid = take_pasid(), root = take_u8(&w.in) % READ_ONLY;
	struct op op = bind_op(VFIO_IOMMU_NESTING_OP_BIND_PGTBL, pasid);
	long want = -EINVAL, rc;
	bool bent;

	op.data.bind.gpgd = root * PAGE;
	bent = bend(&op);
	if (pasid < PASIDS && w.owned[pasid])
		want = g->bound[pasid] ? -EBUSY : 0;
	if (!g->nests || is_arm(g))
		return;
	rc = call(g->fd[CONTAINER], VFIO_IOMMU_NESTING_OP, &op);
	if (rc != want && !bent)
		broken("binding", rc);
	note(g, VFIO_IOMMU_NESTING_OP, &op, rc);
}

static void step_unbind(void)
{
	struct guest *g = take_guest();
	struct op op = bind_op(VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL, take_u8(&w.in) % PASIDS);
	const bool bent = bend(&op);
	long rc;

	if (!g->nests || is_arm(g))
		return;
	rc = call(g->fd[CONTAINER], VFIO_IOMMU_NESTING_OP, &op);
	if (!bent && rc && op.data.bind.hpasid)
		broken("not unbound", rc);
	note(g, VFIO_IOMMU_NESTING_OP, &op, rc);
}

static void step_invalidate(void)
{
	struct guest *g = take_guest();
	struct op op = {
		.argsz = 8 + sizeof(struct iommu_cache_invalidate_info),
		.flags = is_arm(g) ? 0 : VFIO_IOMMU_NESTING_OP_CACHE_INVLD,
	};
	struct iommu_cache_invalidate_info *inv = &op.data.inv;
	bool bent;
	long rc;

	inv->argsz = sizeof(*inv);
	inv->version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1;
	inv->cache = take_u8(&w.in) & 7;
	inv->granularity = take_u8(&w.in) % 3;
	inv->granu.addr_info.flags = take_u8(&w.in) & 7;
	inv->granu.addr_info.pasid = take_pasid();
	inv->granu.addr_info.addr = take(&w.in, 4) * PAGE;
	inv->granu.addr_info.granule_size = 1ull << (take_u8(&w.in) & 63);
	inv->granu.addr_info.nb_granules = take(&w.in, 2);
	bent = bend(&op);
	if (!g->nests)
		return;
	/* The same number for both. */
	rc = call(g->fd[CONTAINER], VFIO_IOMMU_CACHE_INVALIDATE, &op);
	if (rc && rc != -EINVAL && !bent)
		broken("invalidating", rc);
	note(g, VFIO_IOMMU_NESTING_OP, &op, rc);
}

static void step_table(void)
{
	struct guest *g = &w.guest[ARM];
	uint8_t s = take_u8(&w.in);
	struct op op = {
		.argsz = 8 + sizeof(struct iommu_pasid_table_config),
		.flags = s & 0x80 ? VFIO_PASID_TABLE_FLAG_UNSET : VFIO_PASID_TABLE_FLAG_SET,
		.data.table = {
			.argsz = sizeof(struct iommu_pasid_table_config),
			.version = PASID_TABLE_CFG_VERSION_1,
			.base_ptr = (s & 7) * PAGE,
			.format = IOMMU_PASID_FORMAT_SMMUV3,
			.config = 1 + (s >> 3 & 3),
			.vendor_data.smmuv3.version = PASID_TABLE_SMMUV3_CFG_VERSION_1,
		},
	};
	const bool bent = bend(&op);
	long rc;

	if (!g->nests)
		return;
	rc = call(g->fd[CONTAINER], VFIO_IOMMU_SET_PASID_TABLE, &op);
	if (rc && !bent && s & 0x80)
		broken("a table stays", rc);
}

static void step_msi(void)
{
	struct vfio_iommu_type1_set_msi_binding cmd = { .argsz = sizeof(cmd) };
	struct guest *g = &w.guest[ARM];
	uint8_t s = take_u8(&w.in);
	long rc;

	cmd.flags = s & 3;
	cmd.iova = take(&w.in, 2) << (s >> 2 & 63);
	cmd.gpa = take(&w.in, 1) * PAGE;
	cmd.size = take(&w.in, 2) * (s & 0x80 ? 1 : PAGE);
	if (!g->nests)
		return;
	rc = call(g->fd[CONTAINER], VFIO_IOMMU_SET_MSI_BINDING, &cmd);
	if (rc && cmd.flags == VFIO_IOMMU_UNBIND_MSI)
		broken("a doorbell stays", rc);
}

/* Any of the numbers with anything. */
static void step_raw(void)
{
	static const unsigned int requests[] = {
		VFIO_IOMMU_PASID_REQUEST,
		VFIO_IOMMU_NESTING_OP,
		VFIO_IOMMU_SET_MSI_BINDING,
	};
	struct guest *g = take_guest();
	const unsigned int request = requests[take_u8(&w.in) % 3];
	struct op op = { 0 };
	unsigned int i, n = take_u8(&w.in) % sizeof(op);
	long rc;

	for (i = 0; i < n; i++)
		((uint8_t *)&op)[i] = take_u8(&w.in);
	if (g->fd[CONTAINER] < 0)
		return;
	/* PASIDs that are not counted here would be the quota's. */
	if (request == VFIO_IOMMU_PASID_REQUEST && !is_arm(g) &&
	    (op.data.range.max >= PASIDS || op.flags & VFIO_IOMMU_FLAG_ALLOC_PASID))
		op.flags = VFIO_IOMMU_FLAG_FREE_PASID;
	rc = call(g->fd[CONTAINER], request, &op);
	if (!g->nests && rc != -ENOTTY)
		broken("known to another type", rc);
	if (g->nests)
		note(g, request, &op, rc);
}

/* A guest's tables: words that lead somewhere. */
static void step_entry(void)
{
	uint8_t page = take_u8(&w.in) % READ_ONLY, index = take_u8(&w.in);
	uint64_t word = (take_u8(&w.in) % (PAGES + 2)) * PAGE | take(&w.in, 2);

	memcpy(w.memory + page * PAGE + index * 8u, &word, sizeof(word));
}

static void put(int fd, uint64_t offset, uint64_t value, unsigned int bytes)
{
	(void)siommu_vfio_write(w.machine, fd, &value, bytes, offset);
}

static uint32_t get(int fd, uint64_t offset)
{
	uint32_t value = 0;

	(void)siommu_vfio_read(w.machine, fd, &value, sizeof(value), offset);
	return value;
}

/* Registers of the edu device, and what its COMMAND takes. */
enum { STATUS = 0x0c, RESULT = 0x10, ADDR = 0x40, LENGTH = 0x50, PASID = 0x70, COMMAND = 0x7c };
enum { FILL = 4, WITH_PASID = 1 << 8 };

static void step_dma(void)
{
	struct guest *g = take_guest();
	const uint32_t pasid = take_u8(&w.in) % PASIDS;
	const uint64_t va = take(&w.in, 3) * 64;

	if (g->fd[DEVICE] < 0)
		return;
	put(g->fd[DEVICE], ADDR, va, 8);
	put(g->fd[DEVICE], LENGTH, 8, 8);
	put(g->fd[DEVICE], PASID, pasid, 4);
	put(g->fd[DEVICE], COMMAND, FILL | (pasid ? WITH_PASID : 0), 4);
	while (get(g->fd[DEVICE], STATUS) & 1)
		;
	if (pasid && !is_arm(g) && !g->bound[pasid] && !get(g->fd[DEVICE], RESULT))
		broken("a PASID reaches what it is not bound to", (long)pasid);
}

static void step_info(void)
{
	uint64_t room[64] = { take_u8(&w.in) * 4u };
	struct guest *g = take_guest();

	if (g->fd[CONTAINER] >= 0)
		(void)call(g->fd[CONTAINER], VFIO_IOMMU_GET_INFO, room);
}

static void (*const steps[])(void) = {
	step_open,   step_alloc,      step_alloc, step_free,  step_bind, step_bind,
	step_unbind, step_table,      step_entry, step_entry, step_dma,	 step_dma,
	step_raw,    step_invalidate, step_msi,	  step_info,
};

#define NSTEPS (sizeof(steps) / sizeof(steps[0]))

static void add_function(unsigned int n)
{
	const struct siommu_device_params dev = {
		.size = sizeof(dev),
		.name = "fuzz",
		.unit = w.unit[n == ARM],
		.requester = (2 + n) << 3,
		.pasid_bits = 20,
		.ats = true,
	};
	const struct siommu_pci_params edu = {
		.size = sizeof(edu),
		.model = "edu",
		.options = "memory=4K,vfs=0",
	};

	if (siommu_device_create(w.machine, &dev, &w.dev[n]) ||
	    siommu_pci_create(w.dev[n], &edu, NULL, 0, &w.pci[n]))
		broken("no function", n);
}

/*
 * What a machine makes once and keeps: a device's table of PASIDs, its ports, and an IOMMU's
 * tables of ids.
 */
static void warm(void)
{
	static const uint8_t programs[FUNCTIONS][16] = {
		{ 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0 },
		{ 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 1 },
		{ 2, 1, 1, 2, 1, 1, 0, 2, 1, 0, 0, 0, 2 },
	};
	unsigned int i;

	for (i = 0; i < FUNCTIONS; i++) {
		open_guest(&w.guest[i], VFIO_TYPE1v2_IOMMU);
		close_guest(&w.guest[i], 0);
		open_guest(&w.guest[i], VFIO_TYPE1_NESTING_IOMMU);
		w.in = (struct input){ programs[i], programs[i] + sizeof(programs[i]) };
		step_alloc();
		step_bind();
		step_dma();
		step_dma();
		close_guest(&w.guest[i], 0);
	}
}

static void make_world(void)
{
	const struct siommu_machine_params params = { .size = sizeof(params),
						      .pasid_quota = QUOTA };
	/* Without the erratum that lets a nest parent have no pages that are read-only. */
	const struct siommu_unit_params vtd = {
		.size = sizeof(vtd),
		.model = "vtd",
		.options = "spr17=off",
	};
	const struct siommu_unit_params arm = { .size = sizeof(arm), .model = "smmuv3" };
	unsigned int i;

	if (siommu_machine_create(&params, &w.machine) ||
	    siommu_unit_create(w.machine, &vtd, NULL, 0, &w.unit[0]) ||
	    siommu_unit_create(w.machine, &arm, NULL, 0, &w.unit[1]))
		broken("no machine", 0);
	for (i = 0; i < FUNCTIONS; i++)
		add_function(i);
	w.memory =
		mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w.memory == MAP_FAILED)
		broken("no memory", 0);
	for (i = 0; i < FUNCTIONS; i++)
		memset(w.guest[i].fd, 0xff, sizeof(w.guest[i].fd));
	warm();
}

static size_t used(void)
{
	size_t blocks;

	siommu_machine_used(w.machine, NULL, &blocks);
	return blocks;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int i;
	uint8_t s;

	if (!w.machine)
		make_world();
	w.in = (struct input){ data, data + size };
	memset(w.memory, 0, PAGES * PAGE);
	memset(w.memory + READ_ONLY * PAGE, 0x5a, sizeof(w.copy));
	memcpy(w.copy, w.memory + READ_ONLY * PAGE, sizeof(w.copy));
	w.blocks = used();
	s = take_u8(&w.in);
	w.machine->iommu_2020 = s & 1 ? SIOMMU_2020_DRAFT : SIOMMU_2020_MERGED;
	for (i = 0; i < FUNCTIONS; i++)
		if (s & 2 << i)
			open_guest(&w.guest[i], VFIO_TYPE1_NESTING_IOMMU);
	for (i = 0; i < MAX_STEPS && w.in.at < w.in.end; i++)
		steps[take_u8(&w.in) % NSTEPS]();
	for (i = 0; i < FUNCTIONS; i++)
		close_guest(&w.guest[i], s >> 4);
	if (memcmp(w.copy, w.memory + READ_ONLY * PAGE, sizeof(w.copy)))
		broken("written where it may not", 0);
	if (used() != w.blocks)
		broken("blocks left", (long)used() - (long)w.blocks);
	return 0;
}
