// SPDX-License-Identifier: MIT
/*
 * Two stages of translation that really happen. A guest has some memory, and in
 * it a table of its own for a DMA engine. A VMM nests that table on the page
 * table that says where the guest's memory is. Then the engine copies: through
 * the guest's table, which it reads through the VMM's.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "draw_walk.h"

#define PAGE   4096ul
#define PAGES  16u	    /* of the guest's memory */
#define GPA    0x100000ul   /* where the guest believes it to be */
#define SOURCE 0x40000000ul /* what the guest tells its engine */
#define TARGET 0x40001000ul

/* Pages of the guest: its four tables, two texts, and where the copy goes. */
enum { PML4, PDPT, PD, PT, TEXT1, TEXT2, COPY };

/* Bits of a first-stage entry: present, writable, for users. */
enum { P = 1, RW = 2, US = 4 };

static struct siommu_machine *machine;
static struct siommu_unit *unit;
static struct siommu_device *device;
static struct siommu_ctx *ctx;
static struct siommu_bound *bound;
static struct siommu_port *port;
static uint32_t parent, nested;
static int queue;
static uint8_t *memory;

static void check(long rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror((int)-rc));
		exit(1);
	}
}

static void call(unsigned long request, void *cmd, const char *what)
{
	check(siommu_ioctl(ctx, request, cmd), what);
}

static uint64_t *table(unsigned int page)
{
	return (uint64_t *)(void *)(memory + page * PAGE);
}

static uint64_t gpa(unsigned int page)
{
	return GPA + page * PAGE;
}

/* What the guest's driver does: point the entry for @iova at one of its pages. */
static void guest_map(uint64_t iova, unsigned int page, unsigned int bits)
{
	__atomic_store_n(&table(PT)[iova >> 12 & 511], gpa(page) | bits, __ATOMIC_RELEASE);
}

static void make_guest(void)
{
	memory = aligned_alloc(PAGE, PAGES * PAGE);
	memset(memory, 0, PAGES * PAGE);
	table(PML4)[SOURCE >> 39 & 511] = gpa(PDPT) | P | RW | US;
	table(PDPT)[SOURCE >> 30 & 511] = gpa(PD) | P | RW | US;
	table(PD)[SOURCE >> 21 & 511] = gpa(PT) | P | RW | US;
	strcpy((char *)table(TEXT1), "the first text");
	strcpy((char *)table(TEXT2), "the second text");
	guest_map(SOURCE, TEXT1, P | US);
}

/* An IOMMU with one device behind it. */
static void make_machine(void)
{
	const struct siommu_unit_params up = { .size = sizeof(up),
					       .model = "vtd",
					       .options = "pri=on" };
	struct siommu_device_params dp = {
		.size = sizeof(dp),
		.name = "dma-engine",
		.requester = 2 << 3, /* 00:02.0 */
		.ats = true,
		.page_requests = true,
	};
	char error[256];

	check(siommu_machine_create(NULL, &machine), "machine");
	if (siommu_unit_create(machine, &up, error, sizeof(error), &unit)) {
		fprintf(stderr, "vtd: %s\n", error);
		exit(1);
	}
	dp.unit = unit;
	check(siommu_device_create(machine, &dp, &device), "device");
}

/* What a VMM does: the guest's memory, then the guest's table on top of it. */
static void nest(void)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_fault_alloc faults = { .size = sizeof(faults) };
	struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = gpa(PML4), .addr_width = 48 };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt) };
	uint32_t id;

	check(siommu_open(machine, 0, &ctx), "context");
	check(siommu_device_bind(ctx, device, &bound, &id), "bind");
	call(IOMMU_IOAS_ALLOC, &ioas, "IOAS_ALLOC");
	call(IOMMU_FAULT_QUEUE_ALLOC, &faults, "FAULT_QUEUE_ALLOC");
	queue = (int)faults.out_fault_fd;

	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas.out_ioas_id,
		.user_va = (uintptr_t)memory,
		.length = PAGES * PAGE,
		.iova = GPA,
	};
	call(IOMMU_IOAS_MAP, &map, "IOAS_MAP");

	hwpt.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	hwpt.dev_id = id;
	hwpt.pt_id = ioas.out_ioas_id;
	call(IOMMU_HWPT_ALLOC, &hwpt, "HWPT_ALLOC of the parent");
	parent = hwpt.out_hwpt_id;

	hwpt = (struct iommu_hwpt_alloc){
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = id,
		.pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
		.fault_id = faults.out_fault_id,
	};
	call(IOMMU_HWPT_ALLOC, &hwpt, "HWPT_ALLOC of the nested one");
	nested = hwpt.out_hwpt_id;
	check(siommu_device_attach(bound, 0, &hwpt.out_hwpt_id), "attach");
}

/* The engine: a thread of its own, as in a device model. */
static void *copy(void *arg)
{
	char buf[64];
	int rc;

	(void)arg;
	rc = siommu_dma_read(port, SOURCE, buf, sizeof(buf), 0);
	if (!rc)
		rc = siommu_dma_write(port, TARGET, buf, sizeof(buf), 0);
	return rc ? "failed" : NULL;
}

/* The engine waits for a page: give the guest's table one, and answer. */
static void take_fault(void)
{
	struct pollfd pfd = { .fd = queue, .events = POLLIN };
	struct iommu_hwpt_page_response answer = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct iommu_hwpt_pgfault fault;

	if (poll(&pfd, 1, 5000) != 1 ||
	    siommu_read(ctx, queue, &fault, sizeof(fault)) != sizeof(fault)) {
		fprintf(stderr, "no page request came\n");
		exit(1);
	}
	printf("  page request: the engine wants to %s %#llx\n",
	       fault.perm & IOMMU_PGFAULT_PERM_WRITE ? "write" : "read",
	       (unsigned long long)fault.addr);
	guest_map(fault.addr, COPY, P | RW | US);
	printf("  the guest maps its page %#llx there, the VMM answers: try again\n",
	       (unsigned long long)gpa(COPY));
	answer.cookie = fault.cookie;
	check(siommu_write(ctx, queue, &answer, sizeof(answer)), "answer");
}

static void draw(uint64_t iova, unsigned int access)
{
	static struct walk_trace trace = { .device = "dma-engine" };

	walk_record(port, unit, iova, access, &trace);
	draw_walk(&trace, isatty(STDOUT_FILENO), stdout);
}

static void read_source(const char *when)
{
	char buf[64];

	check(siommu_dma_read(port, SOURCE, buf, sizeof(buf), 0), "read");
	printf("  %s the engine reads \"%s\"\n", when, buf);
}

/* The guest points its entry at other memory: only invalidation makes that certain. */
static void invalidate(void)
{
	struct iommu_hwpt_vtd_s1_invalidate page = { .addr = SOURCE, .npages = 1 };
	struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = nested,
		.data_uptr = (uintptr_t)&page,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(page),
		.entry_num = 1,
	};
	char buf[64];

	guest_map(SOURCE, TEXT2, P | US);
	read_source("before IOMMU_HWPT_INVALIDATE");
	call(IOMMU_HWPT_INVALIDATE, &inv, "HWPT_INVALIDATE");
	read_source("after it");
	check(siommu_dma_read(port, SOURCE, buf, sizeof(buf), 0), "read");
	if (strcmp(buf, "the second text"))
		exit(1);
}

static void track(void)
{
	struct iommu_hwpt_set_dirty_tracking on = {
		.size = sizeof(on),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
		.hwpt_id = parent,
	};

	call(IOMMU_HWPT_SET_DIRTY_TRACKING, &on, "SET_DIRTY_TRACKING");
}

static void show_dirty(void)
{
	static const char *const names[PAGES] = {
		[PML4] = "the guest's PML4: the hardware set accessed bits",
		[PDPT] = "its page-directory-pointer table",
		[PD] = "its page directory",
		[PT] = "its page table: accessed and dirty bits",
		[COPY] = "the copy",
	};
	uint64_t bits = 0;
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = parent,
		.iova = GPA,
		.length = PAGES * PAGE,
		.page_size = PAGE,
		.data = (uintptr_t)&bits,
	};
	unsigned int i;

	call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get, "GET_DIRTY_BITMAP");
	for (i = 0; i < PAGES; i++)
		if (bits >> i & 1)
			printf("  %#llx  %s\n", (unsigned long long)gpa(i),
			       names[i] ? names[i] : "?");
	if (!(bits >> COPY & 1) || bits >> TEXT1 & 1)
		exit(1);
}

int main(void)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = SIOMMU_PORT_PAGE_REQUESTS,
		.timeout_ms = 5000,
	};
	void *failed = NULL;
	pthread_t engine;

	make_guest();
	make_machine();
	nest();
	track();
	check(siommu_port_create(device, &params, &port), "port");

	printf("A copy from %#lx to %#lx, where the guest has no page yet\n", SOURCE, TARGET);
	if (pthread_create(&engine, NULL, copy, NULL))
		return 1;
	take_fault();
	pthread_join(engine, &failed);
	printf("  the copy is \"%s\"\n", (char *)table(COPY));
	if (failed || strcmp((char *)table(COPY), "the first text"))
		return 1;

	printf("\nHow the last write was translated\n\n");
	draw(TARGET, SIOMMU_DMA_WRITE);
	printf("\nThe guest moves %#lx to another page\n", SOURCE);
	invalidate();
	printf("\nWhat was written since tracking began, as a migration would send it\n");
	show_dirty();

	siommu_port_destroy(port);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_close(ctx);
	siommu_device_destroy(device);
	siommu_unit_destroy(unit);
	siommu_machine_destroy(machine);
	free(memory);
	return 0;
}
