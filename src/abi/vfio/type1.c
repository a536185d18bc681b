// SPDX-License-Identifier: MIT
/*
 * The ioctls of type1 on a container: what is mapped, and which pages are dirty.
 *
 * Unlike the same ioctls on an iommufd they know each mapping as it was made, and unmap it
 * whole; can map what is no memory, a BAR that the program has mapped; and count how many
 * mappings there are. A mapping is an area of the IOAS.
 *
 * A device's writes are not told from others: while dirty pages are asked for, all that is
 * mapped is. That is what a kernel says of vfio-pci's devices too.
 */
#include <string.h>

#include "abi/type1.h"
#include "container.h"
#include "mem/device.h"

/* What an int can count: pages of a bitmap, and from that bytes of one. */
#define MAX_BITMAP_PAGES ((u64)INT32_MAX)
#define MAX_BITMAP_BYTES bitmap_bytes(MAX_BITMAP_PAGES)

/* No memory of a program is further up. */
#define USER_LAST (((u64)1 << 47) - PAGE_BYTES - 1)

static u64 bitmap_bytes(u64 npages)
{
	return align_up(npages, 64) / 8;
}

/* Of dirty bits too. */
u64 type1_page_bytes(struct vfio_container *c)
{
	return (u64)1 << lowest_bit(type1_page_sizes(c->ioas));
}

static int put_migration(struct type1_caps *w, u64 bytes)
{
	struct vfio_iommu_type1_info_cap_migration cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, .version = 1 },
		.pgsize_bitmap = bytes,
		.max_dirty_bitmap_size = MAX_BITMAP_BYTES,
	};
	u32 at;
	int rc = type1_begin_cap(w, sizeof(cap), &at);

	return rc ? rc : type1_put(w, at, &cap, sizeof(cap));
}

static int put_caps(struct vfio_container *c, struct type1_caps *w)
{
	int rc;

	rc = put_migration(w, type1_page_bytes(c));
	/* Of two capabilities with one number: what was there when there were such containers. */
	if (!rc)
		rc = c->domain ? nesting_put_cap(c, w) : type1_put_dma_avail(w, c->dma_avail);
	if (!rc)
		rc = type1_put_iova_ranges(w, c->ioas);
	return rc;
}

static int get_info(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info info = { 0 };
	struct type1_caps w = { .task = task, .uptr = arg, .used = sizeof(info) };
	u32 room;
	int rc;

	rc = task_copy_in(task, &info, arg, minsz);
	if (rc)
		return rc;
	if (info.argsz < minsz)
		return -EINVAL;
	room = info.argsz;
	/* All of the capabilities or none, so they are counted first. */
	rc = put_caps(c, &w);
	if (!rc && room >= w.used) {
		w.argsz = w.used;
		w.used = sizeof(info);
		w.last = 0;
		rc = put_caps(c, &w);
		info.cap_offset = sizeof(info);
	} else {
		info.argsz = w.used;
	}
	if (rc)
		return rc;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = type1_page_sizes(c->ioas);
	return task_copy_out(task, arg, &info, min_u64(room, sizeof(info)));
}

/* The checks of MAP_DMA, in order; what is left to the core can only say the same. */
static int check_map(struct vfio_container *c, const struct vfio_iommu_type1_dma_map *cmd,
		     struct core_map *map)
{
	u64 last, vaddr_last;

	if (!cmd->size)
		return -EINVAL;
	if (range_last(cmd->iova, cmd->size, &last) ||
	    range_last(cmd->vaddr, cmd->size, &vaddr_last))
		return -EOVERFLOW;
	if (cmd->flags & VFIO_DMA_MAP_FLAG_READ)
		map->prot |= IOMMU_PROT_READ;
	if (cmd->flags & VFIO_DMA_MAP_FLAG_WRITE)
		map->prot |= IOMMU_PROT_WRITE;
	if (!map->prot)
		return -EINVAL;
	if (!is_aligned(cmd->size | cmd->iova | cmd->vaddr, type1_page_bytes(c)))
		return -EINVAL;
	if (area_first(c->ioas, cmd->iova, last))
		return -EEXIST;
	if (!c->dma_avail)
		return -ENOSPC;
	if (itree_first(&c->ioas->reserved, cmd->iova, last))
		return -EINVAL;
	if (vaddr_last > USER_LAST)
		return -EFAULT;
	map->iova = cmd->iova;
	map->length = cmd->size;
	return 0;
}

static int map_dma(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_map, size);
	struct vfio_iommu_type1_dma_map cmd = { 0 };
	struct core_map map = { .fixed = true };
	u64 start;
	int rc, fd;

	rc = task_copy_in(task, &cmd, arg, minsz);
	if (rc)
		return rc;
	if (cmd.argsz < minsz ||
	    (cmd.flags & ~(u32)(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)))
		return -EINVAL;
	rc = check_map(c, &cmd, &map);
	if (rc)
		return rc;
	if (c->tracking && cmd.size / type1_page_bytes(c) > MAX_BITMAP_PAGES)
		return -EINVAL;
	rc = mem_device_find(task->space, cmd.vaddr, cmd.size, &fd, &start);
	if (!rc)
		rc = core_ioas_map_device(c->ctx, c->ioas, task, fd, start, &map);
	else if (rc == -ENOENT)
		rc = core_ioas_map_user(c->ctx, c->ioas, task, cmd.vaddr, &map);
	if (!rc)
		c->dma_avail--;
	return rc;
}

/* Is there a mapping at @iova of which that is not the first (last) byte? */
static bool bisects_start(struct vfio_container *c, u64 iova)
{
	struct core_area *area = area_first(c->ioas, iova, iova);

	return area && area_iova(area) != iova;
}

static bool bisects_end(struct vfio_container *c, u64 last)
{
	struct core_area *area = area_first(c->ioas, last, last);

	return area && area_last(area) != last;
}

/* A bitmap of the caller's that is to hold @npages bits. */
static int check_bitmap(const struct vfio_bitmap *bitmap, u64 bytes)
{
	u64 npages, last;

	if (!bitmap->size || range_last((uintptr_t)bitmap->data, bitmap->size, &last) ||
	    last > USER_LAST || !bitmap->pgsize)
		return -EINVAL;
	npages = bytes >> lowest_bit(bitmap->pgsize);
	if (!npages || bitmap->size > MAX_BITMAP_BYTES || bitmap->size < bitmap_bytes(npages))
		return -EINVAL;
	return 0;
}

/*
 * All pages of @area are dirty: in whole words of the caller's bitmap, whose first bit
 * stands for @base. What was there before the first of them in its word stays.
 */
static int put_dirty(struct vfio_container *c, struct siommu_task *task,
		     const struct vfio_bitmap *bitmap, const struct core_area *area, u64 base)
{
	unsigned int lg2 = lowest_bit(type1_page_bytes(c));
	u64 first = (area_iova(area) - base) >> lg2;
	u64 end = first + (area_length(area) >> lg2);
	u64 uptr = (uintptr_t)bitmap->data;
	u64 word, old = 0;
	u64 buf[64];
	int rc = 0;

	if (first % 64) {
		rc = task_copy_in(task, &old, uptr + first / 64 * 8, sizeof(old));
		old &= ((u64)1 << first % 64) - 1;
	}
	for (word = first / 64; !rc && word * 64 < end;) {
		u64 at = word;
		unsigned int n;

		for (n = 0; n < ARRAY_SIZE(buf) && word * 64 < end; n++, word++) {
			buf[n] = end - word * 64 < 64 ? ((u64)1 << end % 64) - 1 : U64_MAX;
			if (word == first / 64 && first % 64)
				buf[n] = (buf[n] & ~(((u64)1 << first % 64) - 1)) | old;
		}
		rc = task_copy_out(task, uptr + at * 8, buf, n * sizeof(buf[0]));
	}
	return rc;
}

/**
 * struct unmap - one UNMAP_DMA
 * @iova: from where
 * @last: to where
 * @all: everything, whatever the range
 * @dirty: which pages were dirty is asked for
 * @bitmap: where it goes
 */
struct unmap {
	u64 iova;
	u64 last;
	bool all;
	bool dirty;
	struct vfio_bitmap bitmap;
};

static int check_unmap(struct vfio_container *c, const struct vfio_iommu_type1_dma_unmap *cmd,
		       struct unmap *unmap)
{
	u64 bytes = type1_page_bytes(c);

	if (!is_aligned(cmd->iova, bytes))
		return -EINVAL;
	if (unmap->all) {
		if (cmd->iova || cmd->size)
			return -EINVAL;
		unmap->last = U64_MAX;
	} else {
		if (!cmd->size || !is_aligned(cmd->size, bytes))
			return -EINVAL;
		if (range_last(cmd->iova, cmd->size, &unmap->last))
			return -EOVERFLOW;
	}
	unmap->iova = cmd->iova;
	if (unmap->dirty && (!c->tracking || unmap->bitmap.pgsize != bytes))
		return -EINVAL;
	if (c->v2 && !unmap->all && (bisects_start(c, unmap->iova) || bisects_end(c, unmap->last)))
		return -EINVAL;
	return 0;
}

/*
 * Mappings that begin in the range go, whole; the checks have seen to it that in the
 * second version they end there too. In the first, one that began before stops it.
 */
static int unmap_range(struct vfio_container *c, struct siommu_task *task,
		       const struct unmap *unmap, u64 *unmapped)
{
	struct core_area *area;
	u64 last = 0;
	u32 n = 0;
	int rc;

	*unmapped = 0;
	for (area = area_first(c->ioas, unmap->iova, unmap->last); area;
	     area = area_next(area, unmap->iova, unmap->last)) {
		if (area_iova(area) < unmap->iova)
			return 0;
		rc = unmap->dirty ? put_dirty(c, task, &unmap->bitmap, area, unmap->iova) : 0;
		if (rc)
			return rc;
		last = area_last(area);
		n++;
	}
	if (!n)
		return 0;
	/* All at once, so that devices are waited for once; nothing of it is pinned by accesses. */
	if (unmap->all)
		rc = core_ioas_unmap_all(c->ctx, c->ioas, unmapped);
	else
		rc = core_ioas_unmap(c->ctx, c->ioas, unmap->iova, last - unmap->iova + 1,
				     unmapped);
	if (!rc)
		c->dma_avail += n;
	return rc;
}

static int unmap_dma(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_unmap, size);
	const u32 known = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL;
	struct vfio_iommu_type1_dma_unmap cmd = { 0 };
	struct unmap unmap = { 0 };
	u64 unmapped;
	int rc;

	rc = task_copy_in(task, &cmd, arg, minsz);
	if (rc)
		return rc;
	if (cmd.argsz < minsz || (cmd.flags & ~known) || (cmd.flags & known) == known)
		return -EINVAL;
	unmap.all = cmd.flags & VFIO_DMA_UNMAP_FLAG_ALL;
	unmap.dirty = cmd.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	if (unmap.dirty) {
		if (cmd.argsz < minsz + sizeof(unmap.bitmap))
			return -EINVAL;
		rc = task_copy_in(task, &unmap.bitmap, arg + minsz, sizeof(unmap.bitmap));
		if (!rc)
			rc = check_bitmap(&unmap.bitmap, cmd.size);
		if (rc)
			return rc;
	}
	rc = check_unmap(c, &cmd, &unmap);
	if (!rc)
		rc = unmap_range(c, task, &unmap, &unmapped);
	if (rc)
		return rc;
	cmd.size = unmapped;
	return task_copy_out(task, arg, &cmd, minsz);
}

static int start_tracking(struct vfio_container *c)
{
	struct core_area *area;
	u64 bytes = type1_page_bytes(c);

	if (c->tracking)
		return 0;
	for (area = area_first(c->ioas, 0, U64_MAX); area; area = area_next(area, 0, U64_MAX))
		if (area_length(area) / bytes > MAX_BITMAP_PAGES)
			return -EINVAL;
	c->tracking = true;
	return 0;
}

static int get_bitmap(struct vfio_container *c, struct siommu_task *task, u64 arg, u32 room)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	u64 bytes = type1_page_bytes(c);
	struct core_area *area;
	u64 last;
	int rc;

	if (room < sizeof(get))
		return -EINVAL;
	rc = task_copy_in(task, &get, arg, sizeof(get));
	if (!rc)
		rc = range_last(get.iova, get.size, &last);
	if (!rc)
		rc = check_bitmap(&get.bitmap, get.size);
	if (rc)
		return rc;
	if (get.bitmap.pgsize != bytes || !is_aligned(get.iova | get.size, bytes) || !c->tracking ||
	    bisects_start(c, get.iova) || bisects_end(c, last))
		return -EINVAL;
	for (area = area_first(c->ioas, get.iova, last); area && !rc;
	     area = area_next(area, get.iova, last))
		rc = put_dirty(c, task, &get.bitmap, area, get.iova);
	return rc;
}

static int dirty_pages(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dirty_bitmap, flags);
	struct vfio_iommu_type1_dirty_bitmap cmd;
	int rc;

	if (!c->v2)
		return -EACCES;
	rc = task_copy_in(task, &cmd, arg, minsz);
	if (rc)
		return rc;
	if (cmd.argsz < minsz)
		return -EINVAL;
	switch (cmd.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		return start_tracking(c);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		c->tracking = false;
		return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return get_bitmap(c, task, arg + minsz, cmd.argsz - (u32)minsz);
	default:
		return -EINVAL;
	}
}

long type1_ioctl(struct vfio_container *c, struct siommu_task *task, unsigned int request, u64 arg)
{
	switch (request) {
	case VFIO_IOMMU_GET_INFO:
		return get_info(c, task, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(c, task, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(c, task, arg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(c, task, arg);
	default:
		return -ENOTTY;
	}
}
