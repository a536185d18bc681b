// SPDX-License-Identifier: MIT
/*
 * Fuzzing groups, containers and migration: a program that opens, closes and asks in any
 * order, with a container and with a context in its place.
 *
 * The machine has three functions, two of them in one group, and keeps them from input to
 * input. Requests name memory of an arena in the middle of a range where nothing is. Of
 * its pages some are only ever mapped for devices to read.
 *
 * Whatever happens: calls return; pages that devices may not write never change; and when
 * all descriptors are closed, groups and functions can be opened as at first, and the
 * machine holds what it held.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/vfio.h>
#include <softiommu/softiommu.h>

#include "fuzz.h"

#define PAGE	  4096ull
#define PAGES	  16
#define READ_ONLY 12 /* pages from here up devices may only read */
#define REACH	  (64ull << 20)
#define SLOTS	  8
#define MAX_STEPS 64
#define FUNCTIONS 3

#define REGION(index) ((uint64_t)(index) << 40)

static struct {
	struct input in;
	struct siommu_machine *machine;
	struct siommu_unit *unit;
	struct siommu_device *dev[FUNCTIONS];
	struct siommu_pci *pci[FUNCTIONS];
	struct siommu_ctx *ctx;
	uint8_t *memory;
	uint8_t copy[(PAGES - READ_ONLY) * PAGE];
	void *bar;
	int fd[SLOTS];
	size_t blocks;
} w;

static const char *const paths[] = {
	"/dev/vfio/vfio",	   "/dev/vfio/0", "/dev/vfio/1", "/dev/vfio/devices/vfio0",
	"/dev/vfio/devices/vfio2",
};

static const char *const names[] = {
	"0000:00:02.0",		  "0000:00:03.0",
	"0000:00:04.0",		  "0000:00:04.0 vf_token=52ac9bff-3a88-4fbd-901a-0d767c3b6c97",
	"0000:00:02.0 vf_token=",
};

static void broken(const char *what, long value)
{
	fprintf(stderr, "legacy_fuzz: %s (%ld)\n", what, value);
	abort();
}

static int *take_slot(void)
{
	return &w.fd[take_u8(&w.in) % SLOTS];
}

/* A number: an edge, an IOVA, a length, or the input's own. */
static uint64_t take_value(void)
{
	uint8_t s = take_u8(&w.in);

	if (s >= RAW)
		return take(&w.in, 8);
	if (s < 0x40)
		return s;
	if (s < 0x80)
		return (s & 63) * PAGE;
	if (s < 0xc0)
		return 1ull << (s & 63);
	return -((uint64_t)(s & 63) * PAGE);
}

/* An address that may be written by a request: in a page that devices may write. */
static uint64_t take_address(void)
{
	uint8_t s = take_u8(&w.in);

	if (s == 0xff)
		return 0;
	/* Nothing is there, before the arena and behind it. */
	if (s >= 0xf0)
		return (uintptr_t)w.memory - PAGE * (1 + s % 4);
	return (uintptr_t)w.memory + (s % READ_ONLY) * PAGE +
	       (s >= 0x80 ? take_u8(&w.in) * 16ull : 0);
}

static long call(int fd, unsigned long request, void *arg)
{
	return siommu_vfio_ioctl(w.machine, fd, request, arg);
}

/* Put a descriptor that a call gave where the input says; what was there is closed. */
static void keep(long fd)
{
	int *slot = take_slot();

	if (fd < 0)
		return;
	if (*slot >= 0)
		(void)siommu_vfio_close(w.machine, *slot);
	*slot = (int)fd;
}

static void step_open(void)
{
	keep(siommu_vfio_open(w.machine, paths[take_u8(&w.in) % 5], SIOMMU_OPEN_CHECKED));
}

static void step_context(void)
{
	keep(siommu_vfio_context(w.ctx));
}

static void step_close(void)
{
	int *slot = take_slot();

	if (*slot >= 0)
		(void)siommu_vfio_close(w.machine, *slot);
	*slot = -1;
}

static void step_set_container(void)
{
	int *group = take_slot(), *container = take_slot();

	(void)call(*group, VFIO_GROUP_SET_CONTAINER, container);
}

static void step_group(void)
{
	struct vfio_group_status status = { .argsz = (uint32_t)take_value() };
	int *group = take_slot();

	if (take_u8(&w.in) & 1)
		(void)call(*group, VFIO_GROUP_UNSET_CONTAINER, NULL);
	else
		(void)call(*group, VFIO_GROUP_GET_STATUS, &status);
}

static void step_set_iommu(void)
{
	static const unsigned long types[] = { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU,
					       VFIO_TYPE1_NESTING_IOMMU, VFIO_NOIOMMU_IOMMU };
	int *slot = take_slot();
	uint8_t s = take_u8(&w.in);

	(void)call(*slot, s & 4 ? VFIO_CHECK_EXTENSION : VFIO_SET_IOMMU, (void *)types[s & 3]);
}

static void step_device(void)
{
	int *group = take_slot();
	uint8_t s = take_u8(&w.in);
	char name[128];
	long fd;

	memset(name, 0, sizeof(name));
	snprintf(name, sizeof(name) - 8, "%s", names[s % 5]);
	/* Sometimes with something else behind it. */
	if (s & 0x80)
		memcpy(name + strlen(name), (char[]){ ' ', (char)take_u8(&w.in), 0 }, 3);
	fd = call(*group, VFIO_GROUP_GET_DEVICE_FD, name);
	keep(fd);
}

static void step_bind(void)
{
	struct siommu_vfio_bind bind = { .argsz = sizeof(bind) };
	int *cdev = take_slot();

	bind.iommufd = *take_slot();
	(void)call(*cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

static void step_map(void)
{
	struct vfio_iommu_type1_dma_map cmd = { .argsz = sizeof(cmd) };
	int *slot = take_slot();
	uint8_t s = take_u8(&w.in);

	cmd.flags = s & 7;
	cmd.iova = take_value();
	cmd.size = take_value();
	if (s & 0x80 && w.bar) {
		cmd.vaddr = (uintptr_t)w.bar;
	} else if (s & 0x40) {
		cmd.vaddr = (uintptr_t)w.memory + READ_ONLY * PAGE;
		cmd.flags &= ~(uint32_t)VFIO_DMA_MAP_FLAG_WRITE;
		cmd.size %= (PAGES - READ_ONLY) * PAGE + 1;
	} else {
		cmd.vaddr = take_address();
		/* Not into the pages that are not to be written. */
		if (cmd.vaddr >= (uintptr_t)w.memory &&
		    cmd.size > READ_ONLY * PAGE - (cmd.vaddr - (uintptr_t)w.memory))
			cmd.size = PAGE;
	}
	if (s & 0x20)
		cmd.argsz = (uint32_t)take_value();
	(void)call(*slot, VFIO_IOMMU_MAP_DMA, &cmd);
}

static void step_unmap(void)
{
	/* struct vfio_iommu_type1_dma_unmap, and what it ends with */
	struct {
		uint32_t argsz;
		uint32_t flags;
		uint64_t iova;
		uint64_t size;
		struct vfio_bitmap bitmap;
	} cmd = { .argsz = sizeof(cmd) };
	int *slot = take_slot();

	cmd.flags = take_u8(&w.in) & 15;
	cmd.iova = take_value();
	cmd.size = take_value();
	cmd.bitmap.pgsize = take_u8(&w.in) & 1 ? take_value() : PAGE;
	cmd.bitmap.size = take_value();
	cmd.bitmap.data = (void *)take_address();
	/* Bitmaps may be long, but must not reach what devices may not write. */
	cmd.bitmap.size %= PAGE;
	(void)call(*slot, VFIO_IOMMU_UNMAP_DMA, &cmd);
}

static void step_info(void)
{
	uint64_t room[PAGE / 8] = { 0 };
	int *slot = take_slot();

	room[0] = take_value() % sizeof(room);
	(void)call(*slot, VFIO_IOMMU_GET_INFO, room);
}

static void step_dirty(void)
{
	/* struct vfio_iommu_type1_dirty_bitmap, and what it ends with */
	struct {
		uint32_t argsz;
		uint32_t flags;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = { .argsz = sizeof(cmd) };
	int *slot = take_slot();
	uint8_t s = take_u8(&w.in);

	cmd.flags = s & 0x40 ? s & 15 : 1u << s % 3;
	cmd.get.iova = take_value();
	cmd.get.size = take_value();
	cmd.get.bitmap.pgsize = s & 0x80 ? take_value() : PAGE;
	cmd.get.bitmap.size = take_value() % PAGE;
	cmd.get.bitmap.data = (void *)take_address();
	(void)call(*slot, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static void step_feature(void)
{
	static const uint32_t features[] = {
		VFIO_DEVICE_FEATURE_MIGRATION,		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_START,	VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,	VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
	};
	union {
		struct vfio_device_feature head;
		uint64_t words[6];
	} cmd = { .head = { .argsz = sizeof(cmd) } };
	int *slot = take_slot();
	uint8_t s = take_u8(&w.in);
	unsigned int i;

	cmd.head.flags = features[s & 7] | (uint32_t)(s >> 3 & 7) << 16;
	if (s & 0x40)
		cmd.head.argsz = (uint32_t)take_value();
	for (i = 1; i < 4; i++)
		cmd.words[i] = take_value();
	/* Where a feature names memory. */
	cmd.words[(s & 7) == 4 ? 4 : 3] = take_address();
	if ((s & 7) == 4 && cmd.words[2] / PAGE / 8 > PAGE)
		cmd.words[2] = PAGE * PAGE;
	if (!call(*slot, VFIO_DEVICE_FEATURE, &cmd) && (s & 7) == 1 && (s >> 3 & 7) == 2)
		keep((int32_t)(cmd.words[1] >> 32));
}

/* A whole change of state, since few words are one. */
static void step_state(void)
{
	/* struct vfio_device_feature, and what it ends with */
	struct {
		uint32_t argsz;
		uint32_t flags;
		struct vfio_device_feature_mig_state mig;
	} cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
	};
	int *slot = take_slot();

	cmd.mig.device_state = take_u8(&w.in) % 9;
	if (!call(*slot, VFIO_DEVICE_FEATURE, &cmd))
		keep(cmd.mig.data_fd);
}

/* From one session to another, with bytes changed if the input says so. */
static void step_stream(void)
{
	static uint8_t buf[4 << 20];
	int *from = take_slot(), *to = take_slot();
	uint8_t s = take_u8(&w.in);
	ssize_t n;

	n = siommu_vfio_read(w.machine, *from, buf, sizeof(buf), 0);
	if (n <= 0)
		return;
	if (s & 1)
		buf[take(&w.in, 2) % (size_t)n] ^= take_u8(&w.in);
	if (s & 2)
		n = (ssize_t)(take(&w.in, 2) % (size_t)n);
	(void)siommu_vfio_write(w.machine, *to, buf, (size_t)n, 0);
}

static void write_reg(int fd, uint64_t offset, uint64_t value, unsigned int bytes)
{
	(void)siommu_vfio_write(w.machine, fd, &value, bytes, offset);
}

/* DMA by the device: it reads or writes where it likes. */
static void step_dma(void)
{
	const int fd = *take_slot();
	uint8_t s = take_u8(&w.in);

	write_reg(fd, REGION(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	write_reg(fd, 0x40, take_value(), 8);
	write_reg(fd, 0x50, take_value() % (16 * PAGE), 8);
	write_reg(fd, 0x58, 0, 8);
	write_reg(fd, 0x7c, 1 + s % 5, 4);
}

static void step_reset(void)
{
	(void)call(*take_slot(), VFIO_DEVICE_RESET, NULL);
}

static void step_bar(void)
{
	const int fd = *take_slot();

	if (w.bar)
		munmap(w.bar, 4 * PAGE);
	w.bar = NULL;
	(void)siommu_vfio_mmap(w.machine, fd, 4 * PAGE, PROT_READ | PROT_WRITE, REGION(2), &w.bar);
}

/* Any request on any descriptor. */
static void step_raw(void)
{
	uint64_t words[64];
	int *slot = take_slot();
	unsigned long request = VFIO_GET_API_VERSION + take_u8(&w.in) % 24;
	unsigned int i;

	/* Those that name memory have steps of their own; FEATURE is DIRTY_PAGES' number. */
	switch (request) {
	case VFIO_IOMMU_MAP_DMA:
	case VFIO_IOMMU_UNMAP_DMA:
	case VFIO_IOMMU_DIRTY_PAGES:
	case VFIO_GROUP_GET_DEVICE_FD:
	case VFIO_DEVICE_SET_IRQS:
	case VFIO_DEVICE_BIND_IOMMUFD:
		return;
	}
	memset(words, 0, sizeof(words));
	for (i = 0; i < 6; i++)
		words[i] = take_value();
	words[0] = (uint32_t)words[0] % sizeof(words) | words[0] >> 32 << 32;
	(void)call(*slot, request, words);
}

static void (*const steps[])(void) = {
	step_open,	    step_open,		step_open,    step_context,   step_close,
	step_set_container, step_set_container, step_group,   step_set_iommu, step_device,
	step_device,	    step_bind,		step_map,     step_map,	      step_unmap,
	step_info,	    step_dirty,		step_feature, step_state,     step_stream,
	step_dma,	    step_reset,		step_bar,     step_raw,
};

#define NSTEPS (sizeof(steps) / sizeof(steps[0]))

/* What begins most programs, so that the rest has something to work on. */
static void usual(unsigned long type)
{
	w.fd[0] = siommu_vfio_open(w.machine, paths[0], SIOMMU_OPEN_CHECKED);
	w.fd[1] = siommu_vfio_open(w.machine, paths[1], SIOMMU_OPEN_CHECKED);
	if (call(w.fd[1], VFIO_GROUP_SET_CONTAINER, &w.fd[0]) ||
	    call(w.fd[0], VFIO_SET_IOMMU, (void *)type))
		broken("no container", 0);
	w.fd[2] = (int)call(w.fd[1], VFIO_GROUP_GET_DEVICE_FD, (void *)names[0]);
	if (w.fd[2] < 0)
		broken("no device", w.fd[2]);
}

static void close_all(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (w.fd[i] >= 0)
			(void)siommu_vfio_close(w.machine, w.fd[i]);
		w.fd[i] = -1;
	}
	if (w.bar)
		munmap(w.bar, 4 * PAGE);
	w.bar = NULL;
}

static void add_function(unsigned int n)
{
	const struct siommu_device_params dev = {
		.size = sizeof(dev),
		.name = "fuzz",
		.unit = w.unit,
		.requester = (2 + n) << 3,
		.group = n < 2 ? 1 : 2,
	};
	const struct siommu_pci_params edu = {
		.size = sizeof(edu),
		.model = "edu",
		.options = n < 2 ? "memory=16K,vfs=0" : "memory=16K,vfs=1",
	};

	if (siommu_device_create(w.machine, &dev, &w.dev[n]) ||
	    siommu_pci_create(w.dev[n], &edu, NULL, 0, &w.pci[n]))
		broken("no function", n);
}

static void make_world(void)
{
	const struct siommu_unit_params unit = { .size = sizeof(unit), .model = "vtd" };
	uint8_t *reserved;
	unsigned int i;

	if (siommu_machine_create(NULL, &w.machine) ||
	    siommu_unit_create(w.machine, &unit, NULL, 0, &w.unit))
		broken("no machine", 0);
	for (i = 0; i < FUNCTIONS; i++)
		add_function(i);
	reserved = mmap(NULL, 2 * REACH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			0);
	if (reserved == MAP_FAILED ||
	    mprotect(reserved + REACH, PAGES * PAGE, PROT_READ | PROT_WRITE))
		broken("no memory", 0);
	w.memory = reserved + REACH;
	memset(w.fd, 0xff, sizeof(w.fd));
	/* What a machine makes once and keeps. */
	usual(VFIO_TYPE1v2_IOMMU);
	close_all();
}

static size_t used(void)
{
	size_t blocks;

	siommu_machine_used(w.machine, NULL, &blocks);
	return blocks;
}

static void begin(void)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		memset(w.memory + i * PAGE, (int)i, PAGE);
	memcpy(w.copy, w.memory + READ_ONLY * PAGE, sizeof(w.copy));
	w.blocks = used();
	if (siommu_open(w.machine, SIOMMU_OPEN_CHECKED, &w.ctx))
		broken("no context", 0);
}

static void end(void)
{
	close_all();
	siommu_close(w.ctx);
	if (memcmp(w.copy, w.memory + READ_ONLY * PAGE, sizeof(w.copy)))
		broken("written where it may not", 0);
	if (used() != w.blocks)
		broken("blocks left", (long)used() - (long)w.blocks);
	usual(VFIO_TYPE1_IOMMU);
	close_all();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n;
	uint8_t s;

	if (!w.machine)
		make_world();
	w.in = (struct input){ data, data + size };
	begin();
	s = take_u8(&w.in);
	if (s & 1)
		usual(s & 2 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU);
	for (n = 0; n < MAX_STEPS && w.in.at < w.in.end; n++)
		steps[take_u8(&w.in) % NSTEPS]();
	end();
	return 0;
}
