// SPDX-License-Identifier: MIT
/* The fuzzers' memory: see arena.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <softiommu/abi/iommufd-test.h>
#include <softiommu/abi/iommufd.h>

#include "arena.h"

struct arena arena;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(EXIT_FAILURE);
}

static uint8_t *map_file(uint8_t *at, int fd, int prot, size_t pages)
{
	must(mmap(at, pages * PAGE, prot, MAP_SHARED | MAP_FIXED, fd, 0) == at, "mmap");
	return at;
}

static int new_file(const char *name, uint64_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	must(fd >= 0 && !ftruncate(fd, (off_t)bytes), "memfd");
	return fd;
}

static void map_pool(void)
{
	void *p = mmap(arena.pool, POOL_PAGES * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	must(p == arena.pool, "mmap");
	arena.broken = false;
}

void arena_init(void)
{
	size_t bytes = 4 * ARENA_REACH;
	uint8_t *base = mmap(NULL, bytes, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char path[64];
	int scratch, pipes[2];

	must(base != MAP_FAILED, "mmap");
	/* 2 MiB aligned, as memory is where large pages matter. */
	base += bytes / 2;
	base -= (uintptr_t)base % (2u << 20);
	arena.pool = base;
	arena.file = new_file("fuzz", FILE_PAGES * PAGE);
	arena.big = new_file("fuzz-big", (uint64_t)1 << 30);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", arena.file);
	arena.file_ro = open(path, O_RDONLY | O_CLOEXEC);
	arena.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	must(arena.file_ro >= 0 && arena.null >= 0 && !pipe2(pipes, O_CLOEXEC), "open");
	arena.pipe = pipes[0];
	base += (POOL_PAGES + 1) * PAGE;
	arena.shared = map_file(base, arena.file, PROT_READ | PROT_WRITE, FILE_PAGES);
	base += (FILE_PAGES + 1) * PAGE;
	arena.read_only = map_file(base, arena.file, PROT_READ, FILE_PAGES);
	base += (FILE_PAGES + 1) * PAGE;
	scratch = new_file("fuzz-scratch", PAGE);
	arena.scratch = map_file(base, scratch, PROT_READ | PROT_WRITE, 1);
	base += 2 * PAGE;
	arena.scratch_ro = map_file(base, scratch, PROT_READ, 1);
	map_pool();
}

static void *pool_page(unsigned int page)
{
	return arena.pool + page * PAGE;
}

static void fill_invalidations(void)
{
	struct iommu_viommu_invalidate_selftest *vinv = pool_page(POOL_VINVALIDATE);
	struct iommu_hwpt_invalidate_selftest *inv = pool_page(POOL_INVALIDATE);
	struct iommu_hwpt_page_response *response = pool_page(POOL_RESPONSES);
	unsigned int i;

	for (i = 0; i < 16; i++) {
		inv[i].flags = i % 4 == 3;
		inv[i].iotlb_id = i % 5;
		vinv[i].flags = i % 4 == 3;
		vinv[i].vdev_id = 1 + i / 4;
		vinv[i].cache_id = i % 5;
		response[i].cookie = i + 1;
		response[i].code = i % 3;
	}
}

void arena_reset(void)
{
	struct iommu_viommu_selftest viommu = { .in_data = 5 };
	struct iommu_hwpt_selftest hwpt = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_iova_range *range;
	unsigned int i;

	if (arena.broken)
		map_pool();
	must(!ftruncate(arena.file, FILE_PAGES * PAGE), "ftruncate");
	memset(arena.pool, 0, (POOL_FREE + 1) * PAGE);
	memcpy(pool_page(POOL_HWPT), &hwpt, sizeof(hwpt));
	hwpt.pagetable_type = MOCK_IOMMUPT_HUGE;
	memcpy(arena.pool + POOL_HWPT * PAGE + PAGE / 2, &hwpt, sizeof(hwpt));
	memcpy(pool_page(POOL_VIOMMU), &viommu, sizeof(viommu));
	memset(pool_page(POOL_ONES), 0xff, PAGE);
	fill_invalidations();
	range = pool_page(POOL_RANGES);
	for (i = 0; i < 64; i++) {
		range[i].start = MOCK_APERTURE_START + i * (uint64_t)0x200000;
		range[i].last = range[i].start + 0xfffff;
	}
}
