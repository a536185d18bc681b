// SPDX-License-Identifier: MIT
/*
 * The guest of `softiommu walk --nested`: some memory, and in it a table of four
 * levels with 4 KiB granules, as its driver would write it for the device.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "walk.h"

/* Clear of every IOMMU's windows for interrupts, and of what 39 bits cannot reach. */
#define RAM_BASE    (UINT64_C(4) << 30)
#define TABLE_BYTES (UINT64_C(16) << 20)
#define GIB	    (UINT64_C(1) << 30)

#define TOP_SHIFT 39

/* x86: "Paging-Structure Entries" of the processor's and VT-d's first-stage tables. */
#define X86_P  1u
#define X86_RW 2u
#define X86_US 4u
#define X86_PS 0x80u

/* Arm: VMSAv8-64 stage 1 descriptors. */
#define ARM_TABLE     3u
#define ARM_PAGE      3u
#define ARM_BLOCK     1u
#define ARM_NORMAL    (1u << 2) /* the second attribute of MAIR */
#define ARM_USER      (1u << 6)
#define ARM_READ_ONLY (1u << 7)
#define ARM_SHARED    (3u << 8)
#define ARM_ACCESSED  (1u << 10)

void *walk_memory(uint64_t bytes)
{
	uint8_t *all = mmap(NULL, bytes + GIB, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t head;

	if (all == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)all % GIB;
	if (head)
		munmap(all, head);
	if (head != GIB)
		munmap(all + head + bytes, GIB - head);
	return all + head;
}

static uint64_t align_up(uint64_t at, uint64_t to)
{
	return (at + to - 1) & ~(to - 1);
}

int guest_create(struct guest *g, bool arm, const struct walk_map *maps, size_t nmaps)
{
	size_t i;

	memset(g, 0, sizeof(*g));
	g->arm = arm;
	g->base = RAM_BASE;
	g->size = GIB;
	/* What is mapped is aligned as its address is, up to the largest page. */
	for (i = 0; i < nmaps; i++)
		g->size += align_up(maps[i].length, GIB) + GIB;
	g->ram = walk_memory(g->size);
	if (!g->ram)
		return complain("walk: no room for %llu GiB of guest memory: map less",
				(unsigned long long)(g->size / GIB));
	g->next_table = g->base;
	g->next_page = g->base + TABLE_BYTES;
	g->root = guest_table(g);
	return 0;
}

void guest_destroy(struct guest *g)
{
	if (g->ram)
		munmap(g->ram, g->size);
}

uint64_t *guest_words(const struct guest *g, uint64_t gpa)
{
	return (uint64_t *)(void *)(g->ram + (gpa - g->base));
}

uint64_t guest_table(struct guest *g)
{
	uint64_t gpa = g->next_table;

	if (gpa == g->base + TABLE_BYTES)
		return 0;
	g->next_table += 4096;
	return gpa;
}

static uint64_t leaf(const struct guest *g, uint64_t gpa, unsigned int shift, bool writable)
{
	if (g->arm)
		return gpa | (shift > 12 ? ARM_BLOCK : ARM_PAGE) | ARM_NORMAL | ARM_USER |
		       ARM_SHARED | ARM_ACCESSED | (writable ? 0 : ARM_READ_ONLY);
	return gpa | X86_P | X86_US | (writable ? X86_RW : 0) | (shift > 12 ? X86_PS : 0);
}

/* Write the entry for @iova in the table whose entries span 2^@shift bytes. */
static bool set_leaf(struct guest *g, uint64_t iova, uint64_t gpa, unsigned int shift,
		     bool writable)
{
	uint64_t table = g->root, *entry;
	unsigned int at;

	for (at = TOP_SHIFT; at > shift; at -= 9) {
		entry = guest_words(g, table) + (iova >> at & 511);
		if (!*entry) {
			uint64_t below = guest_table(g);

			if (!below)
				return false;
			*entry = below | (g->arm ? ARM_TABLE : X86_P | X86_RW | X86_US);
		}
		table = *entry & UINT64_C(0x000ffffffffff000);
	}
	guest_words(g, table)[iova >> shift & 511] = leaf(g, gpa, shift, writable);
	return true;
}

int guest_map(struct guest *g, const struct walk_map *map)
{
	uint64_t iova = map->iova, left = map->length, gpa;

	gpa = align_up(g->next_page, GIB) + iova % GIB;
	g->next_page = gpa + left;
	while (left) {
		unsigned int shift = 30;

		while (shift > 12 && (iova % (UINT64_C(1) << shift) || left >> shift == 0))
			shift -= 9;
		if (!set_leaf(g, iova, gpa, shift, map->writable))
			return complain("walk: too many small pages for a guest's table: begin "
					"large maps at a multiple of 2M");
		iova += UINT64_C(1) << shift;
		gpa += UINT64_C(1) << shift;
		left -= UINT64_C(1) << shift;
	}
	return 0;
}
