// SPDX-License-Identifier: MIT
/*
 * Fuzzing VFIO: descriptors of devices, groups and containers, with requests made of
 * hostile structures, and accesses to all regions at any place.
 *
 * The input is a small program. A structure is built of words, of which most are numbers
 * that mean something: sizes, descriptors, ids, flags. It lies at the end of a page,
 * behind which there is nothing. The devices are edu ones, so a part of the program makes
 * them do DMA and interrupt.
 *
 * Whatever happens: everything can be closed afterwards, and then the machine holds
 * nothing any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/vfio.h>
#include <softiommu/softiommu.h>

#include "arena.h"
#include "fuzz.h"

#define MAX_STEPS 128
#define MAX_WORDS 32
#define SLOTS	  16
#define FUNCTIONS 2

/* Devices that the program gets to, in the beginning, and what it may use. */
static struct {
	struct input in;
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	struct siommu_unit *unit;
	struct siommu_device *dev[FUNCTIONS];
	struct siommu_pci *pci[FUNCTIONS];
	int fds[SLOTS];
	uint32_t ioas;
	int event;
} w;

static const unsigned long requests[] = {
	VFIO_DEVICE_BIND_IOMMUFD,
	VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	VFIO_DEVICE_DETACH_IOMMUFD_PT,
	VFIO_DEVICE_GET_INFO,
	VFIO_DEVICE_GET_REGION_INFO,
	VFIO_DEVICE_GET_IRQ_INFO,
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_RESET,
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
	VFIO_DEVICE_PCI_HOT_RESET,
	VFIO_DEVICE_FEATURE,
	VFIO_DEVICE_FEATURE,
	VFIO_DEVICE_FEATURE,
	VFIO_DEVICE_IOEVENTFD,
	VFIO_GROUP_GET_STATUS,
	VFIO_GROUP_SET_CONTAINER,
	VFIO_GROUP_UNSET_CONTAINER,
	VFIO_GROUP_GET_DEVICE_FD,
	VFIO_GET_API_VERSION,
	VFIO_CHECK_EXTENSION,
	VFIO_SET_IOMMU,
	VFIO_IOMMU_GET_INFO,
	VFIO_IOMMU_MAP_DMA,
	VFIO_IOMMU_UNMAP_DMA,
	VFIO_IOMMU_DIRTY_PAGES,
	VFIO_MIG_GET_PRECOPY_INFO,
	IOMMU_IOAS_MAP_FILE,
	IOMMU_DESTROY,
};

static const char *const paths[] = {
	"/dev/vfio/devices/vfio0",
	"/dev/vfio/devices/vfio1",
	"/dev/vfio/devices/vfio2",
	"/dev/vfio/0",
	"/dev/vfio/1",
	"/dev/vfio/2",
	"/dev/vfio/vfio",
	"/dev/iommu",
	"/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs",
	"/sys/bus/pci/devices/0000:01:00.0/config",
	"/sys/bus/pci/devices/0000:01:00.0/reset",
	"/dev/vfio/devices/vfio99",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void complain(void *arg, int level, const char *line)
{
	(void)arg;
	(void)level;
	fprintf(stderr, "vfio_fuzz: %s\n", line);
	abort();
}

static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "vfio_fuzz: %s: %s\n", what, strerror(-rc));
	abort();
}

static int *free_slot(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (w.fds[i] < 0)
			return &w.fds[i];
	return NULL;
}

/* Keep a descriptor for later steps. */
static void keep(long fd)
{
	int *slot = fd >= 0 ? free_slot() : NULL;

	if (slot)
		*slot = (int)fd;
	else if (fd >= 0)
		(void)siommu_vfio_close(w.machine, (int)fd);
}

static void close_slot(unsigned int i)
{
	if (w.fds[i] >= 0)
		must(siommu_vfio_close(w.machine, w.fds[i]), "close");
	w.fds[i] = -1;
}

static int some_fd(void)
{
	return w.fds[take_u8(&w.in) % SLOTS];
}

static void add_function(unsigned int i)
{
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "fuzz",
		.unit = w.unit,
		.requester = 0x100 + i * 0x20,
		.pasid_bits = 8,
		.ats = true,
		.page_requests = true,
	};
	const struct siommu_pci_params params = {
		.size = sizeof(params),
		.model = "edu",
		.options = "memory=16K",
	};

	must(siommu_device_create(w.machine, &device, &w.dev[i]), "device");
	must(siommu_pci_create(w.dev[i], &params, NULL, 0, &w.pci[i]), "function");
}

static void begin(void)
{
	static const struct siommu_machine_params params = {
		.size = sizeof(params), .log = complain, .log_level = 3, /* LOG_ERR */
	};
	static const struct siommu_unit_params unit = { .size = sizeof(unit), .model = "vtd" };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	unsigned int i;

	arena_reset();
	for (i = 0; i < SLOTS; i++)
		w.fds[i] = -1;
	w.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(siommu_machine_create(&params, &w.machine), "machine");
	must(siommu_unit_create(w.machine, &unit, NULL, 0, &w.unit), "unit");
	must(siommu_open(w.machine, SIOMMU_OPEN_CHECKED, &w.ctx), "context");
	must(siommu_ioctl(w.ctx, IOMMU_IOAS_ALLOC, &ioas), "IOAS");
	w.ioas = ioas.out_ioas_id;
	for (i = 0; i < FUNCTIONS; i++)
		add_function(i);
	keep(siommu_vfio_context(w.ctx));
	keep(siommu_vfio_open(w.machine, paths[0], SIOMMU_OPEN_CHECKED));
	keep(siommu_vfio_open(w.machine, paths[1], SIOMMU_OPEN_CHECKED));
}

/* The first function's virtual ones end with it; devices are nobody's then. */
static void end(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		close_slot(i);
	siommu_close(w.ctx);
	for (i = 0; i < FUNCTIONS; i++) {
		siommu_pci_destroy(w.pci[i]);
		siommu_device_destroy(w.dev[i]);
	}
	siommu_unit_destroy(w.unit);
	siommu_machine_destroy(w.machine);
	close(w.event);
}

static uint32_t take_word(void)
{
	const uint64_t pool = (uintptr_t)arena.pool;
	uint8_t s = take_u8(&w.in);

	if (s < 0x20)
		return s;
	if (s < 0x40)
		return (uint32_t)w.fds[s % SLOTS];
	switch (s) {
	case 0x40:
		return (uint32_t)w.event;
	case 0x41:
		return (uint32_t)arena.file;
	case 0x42:
		return w.ioas;
	case 0x43:
		return (uint32_t)-1;
	case 0x44:
		return PAGE;
	case 0x45:
		return (uint32_t)pool;
	case 0x46:
		return (uint32_t)(pool >> 32);
	default:
		return s < RAW ? 1u << s % 32 | (s & 0x80 ? take_u8(&w.in) : 0)
			       : (uint32_t)take(&w.in, 4);
	}
}

/*
 * What the library reads and writes by an address in a structure must be the arena's, or
 * nothing at all.
 */
static void tame(uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	if (value && value < 1ull << 63)
		value = (uintptr_t)arena.pool + value % ((POOL_PAGES + 1) * PAGE);
	memcpy(at, &value, sizeof(value));
}

static void tame_all(unsigned long request, uint8_t *p, size_t n)
{
	uint8_t copy[MAX_WORDS * 4] = { 0 };
	uint64_t most = 1ull << 40, length;
	uint32_t flags;

	memcpy(copy, p, n);
	memcpy(&flags, copy + 4, 4);
	if (request == VFIO_DEVICE_BIND_IOMMUFD || request == VFIO_IOMMU_MAP_DMA)
		tame(copy + (request == VFIO_IOMMU_MAP_DMA ? 8 : 16));
	if (request == VFIO_IOMMU_UNMAP_DMA || request == VFIO_IOMMU_DIRTY_PAGES)
		tame(copy + (request == VFIO_IOMMU_UNMAP_DMA ? 40 : 40));
	if (request == VFIO_DEVICE_FEATURE &&
	    (flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_DMA_LOGGING_START)
		tame(copy + 8 + 16);
	if (request == VFIO_DEVICE_FEATURE &&
	    (flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT) {
		tame(copy + 8 + 24);
		memcpy(&length, copy + 16, 8);
		length %= most;
		memcpy(copy + 16, &length, 8);
	}
	memcpy(p, copy, n);
}

static void do_ioctl(void)
{
	const unsigned long request = requests[take_u8(&w.in) % COUNT(requests)];
	const size_t words = take_u8(&w.in) % (MAX_WORDS + 1), n = words * 4;
	uint8_t *p = arena.scratch + PAGE - n;
	const int fd = some_fd();
	uint32_t word;
	size_t i;
	long rc;

	for (i = 0; i < words; i++) {
		word = i ? take_word() : (uint32_t)n + (int8_t)take_u8(&w.in) / 32;
		memcpy(p + i * 4, &word, 4);
	}
	tame_all(request, p, n);
	rc = siommu_vfio_ioctl(w.machine, fd, request, p);
	if (rc > 0 && (request == VFIO_GROUP_GET_DEVICE_FD || request == VFIO_DEVICE_FEATURE))
		keep(rc);
	/* The data of a migration comes in the structure. */
	if (!rc && request == VFIO_DEVICE_FEATURE && n >= 16) {
		memcpy(&word, p + 4, 4);
		if (word == (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)) {
			memcpy(&word, p + 12, 4);
			keep((int32_t)word);
		}
	}
}

static void do_value_ioctl(void)
{
	static const unsigned long by_value[] = { VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU };
	const unsigned long request = by_value[take_u8(&w.in) % 2];

	(void)siommu_vfio_ioctl(w.machine, some_fd(), request, (void *)(uintptr_t)take_word());
}

static void do_name(void)
{
	static const char *const names[] = { "0000:01:00.0", "0000:01:04.0", "0000:01:00.1" };
	const char *name = names[take_u8(&w.in) % 3];
	char *p = (char *)arena.scratch + PAGE - strlen(name) - 1;
	long rc;

	memcpy(p, name, strlen(name) + 1);
	rc = siommu_vfio_ioctl(w.machine, some_fd(), VFIO_GROUP_GET_DEVICE_FD, p);
	keep(rc);
}

static uint64_t region_offset(void)
{
	uint64_t index = take_u8(&w.in) % 10, at = take(&w.in, 2);

	if (index == 9)
		return take(&w.in, 8);
	return index << 40 | (at & 0x8000 ? at << 4 : at);
}

static void do_access(bool write)
{
	static const uint16_t sizes[] = { 1, 2, 4, 8, 3, 64, 4096, 5000 };
	const size_t n = sizes[take_u8(&w.in) % COUNT(sizes)];
	uint8_t *p = arena.pool + (POOL_PAGES - 2) * PAGE;
	const int fd = some_fd();
	size_t i;

	if (!write) {
		(void)siommu_vfio_read(w.machine, fd, p, n, region_offset());
		return;
	}
	for (i = 0; i < n && i < 16; i++)
		p[i] = take_u8(&w.in);
	(void)siommu_vfio_write(w.machine, fd, p, n, region_offset());
}

static void do_mmap(void)
{
	const size_t n = take(&w.in, 3);
	const int prot = take_u8(&w.in) & 1 ? PROT_READ : PROT_READ | PROT_WRITE;
	volatile uint8_t *bytes;
	void *p;

	if (siommu_vfio_mmap(w.machine, some_fd(), n, prot, region_offset(), &p))
		return;
	bytes = p;
	if (prot & PROT_WRITE)
		bytes[0] = 1;
	(void)bytes[n - 1];
	munmap(p, n);
}

/* A command of the device, the 64 bytes of it at once: docs/devices/edu.md. */
static void do_command(void)
{
	uint32_t *words = (void *)(arena.pool + (POOL_PAGES - 2) * PAGE);
	unsigned int i;

	for (i = 0; i < 16; i++)
		words[i] = take_word();
	(void)siommu_vfio_write(w.machine, some_fd(), words, 64, 0x40);
}

static void do_map(void)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = w.ioas,
		.user_va = (uintptr_t)arena.shared,
		.length = PAGE,
		.iova = (uint64_t)(take_u8(&w.in) % 32) * PAGE,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = w.ioas,
		.iova = map.iova,
		.length = PAGE,
	};

	if (siommu_ioctl(w.ctx, IOMMU_IOAS_MAP, &map) == -EEXIST)
		(void)siommu_ioctl(w.ctx, IOMMU_IOAS_UNMAP, &unmap);
}

/* Into a slot that is free, or in place of one. */
static void do_open(void)
{
	const char *path = paths[take_u8(&w.in) % COUNT(paths)];

	if (!free_slot())
		close_slot(take_u8(&w.in) % SLOTS);
	keep(siommu_vfio_open(w.machine, path, SIOMMU_OPEN_CHECKED));
}

static void step(uint8_t op)
{
	switch (op % 16) {
	default:
		do_ioctl();
		break;
	case 8:
		do_access(false);
		break;
	case 9:
		do_access(true);
		break;
	case 10:
		do_mmap();
		break;
	case 11:
		do_open();
		break;
	case 12:
		close_slot(take_u8(&w.in) % SLOTS);
		break;
	case 13:
		do_command();
		break;
	case 14:
		do_map();
		break;
	case 15:
		if (op & 0x80)
			do_name();
		else
			do_value_ioctl();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int steps;

	if (!arena.pool)
		arena_init();
	w.in = (struct input){ data, data + size };
	begin();
	for (steps = 0; steps < MAX_STEPS && w.in.at < w.in.end; steps++)
		step(take_u8(&w.in));
	end();
	return 0;
}
