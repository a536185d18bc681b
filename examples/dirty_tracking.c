// SPDX-License-Identifier: MIT
/*
 * Migration: copy memory while a device writes to it, then again what it has
 * written meanwhile, until little is left; stop the device, and copy that. The
 * dirty bitmap says what to copy, and it may miss nothing. A page that is copied
 * in the middle of a write is in the next bitmap.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define PAGE  4096ul
#define PAGES 4096ul
#define IOVA  0x40000000ul

static struct siommu_ctx *ctx;
static uint32_t hwpt;
static uint8_t *memory, *target;
static bool stop;

static void check(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

static void call(unsigned long request, void *cmd, const char *what)
{
	check(siommu_ioctl(ctx, request, cmd), what);
}

/* The device: writes a word to some page, again and again. */
static void *run_device(void *arg)
{
	struct siommu_port *port = arg;
	uint64_t x = 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		/* Mostly a few pages, sometimes any. */
		if (siommu_dma_write(port,
				     IOVA + (x >> 33) % (x >> 63 ? PAGES : 64) * PAGE +
					     (x >> 20 & 511) * 8,
				     &x, sizeof(x), 0))
			return "a write was refused";
		usleep(20);
	}
	return NULL;
}

static void set_tracking(bool on)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt,
	};

	call(IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd, "SET_DIRTY_TRACKING");
}

/* Copy what was written since the last time. Return: how many pages. */
static unsigned int copy_dirty(void)
{
	static uint64_t bits[PAGES / 64];
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = hwpt,
		.iova = IOVA,
		.length = PAGES * PAGE,
		.page_size = PAGE,
		.data = (uintptr_t)bits,
	};
	unsigned int i, n = 0;

	memset(bits, 0, sizeof(bits));
	call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get, "GET_DIRTY_BITMAP");
	for (i = 0; i < PAGES; i++) {
		if (!(bits[i / 64] >> i % 64 & 1))
			continue;
		memcpy(target + i * PAGE, memory + i * PAGE, PAGE);
		n++;
	}
	return n;
}

static void migrate(struct siommu_port *port)
{
	unsigned int n, pass = 1;
	void *failed = NULL;
	pthread_t device;

	set_tracking(true);
	if (pthread_create(&device, NULL, run_device, port))
		exit(1);
	memcpy(target, memory, PAGES * PAGE);
	printf("  all %lu pages are copied; meanwhile the device writes\n", PAGES);
	do {
		usleep(20000 / pass);
		n = copy_dirty();
		printf("  pass %u: %u pages were written and are copied again\n", pass, n);
	} while (n && pass++ < 4);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(device, &failed);
	if (failed)
		exit(1);
	printf("  the device is stopped: the last %u pages\n", copy_dirty());
	set_tracking(false);
}

/* The address space, with its page table, and the device attached to it. */
static void attach(struct siommu_device *dev, struct siommu_bound **bound)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)memory,
		.length = PAGES * PAGE,
		.iova = IOVA,
	};

	check(siommu_device_bind(ctx, dev, bound, &alloc.dev_id), "bind");
	call(IOMMU_IOAS_ALLOC, &ioas, "IOAS_ALLOC");
	map.ioas_id = alloc.pt_id = ioas.out_ioas_id;
	call(IOMMU_IOAS_MAP, &map, "IOAS_MAP");
	call(IOMMU_HWPT_ALLOC, &alloc, "HWPT_ALLOC");
	hwpt = alloc.out_hwpt_id;
	check(siommu_device_attach(*bound, 0, &alloc.out_hwpt_id), "attach");
}

int main(void)
{
	struct siommu_unit_params up = { .size = sizeof(up), .model = "amd" };
	struct siommu_device_params dp = { .size = sizeof(dp), .name = "disk", .requester = 0x10 };
	struct siommu_machine *machine;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	int ret;

	/* One page off: with large pages in the table a bit would mean 2 MiB. */
	memory = (uint8_t *)aligned_alloc(2 << 20, (PAGES + 512) * PAGE) + PAGE;
	target = calloc(PAGES, PAGE);
	memset(memory, 0, PAGES * PAGE);
	check(siommu_machine_create(NULL, &machine), "machine");
	check(siommu_unit_create(machine, &up, NULL, 0, &dp.unit), "IOMMU");
	check(siommu_device_create(machine, &dp, &dev), "device");
	check(siommu_open(machine, 0, &ctx), "context");
	attach(dev, &bound);
	check(siommu_port_create(dev, NULL, &port), "port");

	migrate(port);
	ret = memcmp(memory, target, PAGES * PAGE) != 0;
	printf("  the copy is %s\n", ret ? "not the same" : "the same");

	siommu_port_destroy(port);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_close(ctx);
	siommu_device_destroy(dev);
	siommu_unit_destroy(dp.unit);
	siommu_machine_destroy(machine);
	free(memory - PAGE);
	free(target);
	return ret;
}
