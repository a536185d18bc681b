// SPDX-License-Identifier: MIT
/*
 * Regions of a device: BARs and configuration space, by reads and writes, and by mmap.
 *
 * A BAR's memory is a file. Of registers, which a model wants to see written, a program
 * gets a descriptor that it cannot map for writing, and is told to bring its stores here.
 * The MSI-X table is nobody's but ours, as in the kernel: reads of it are all ones, and
 * writes go nowhere.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio.h"

#define PIECE 4096

#define OFFSET_MASK (((u64)1 << VFIO_REGION_SHIFT) - 1)

static const struct pci_bar *bar_of(const struct vfio_open *open, u64 index)
{
	return index < PCI_BARS ? &open->pci->func->desc.bars[index] : NULL;
}

/* The part of [@pos, @pos + @n) that is MSI-X table, as offsets from @pos. */
static bool msix_part(const struct vfio_open *open, u64 index, u64 pos, size_t n, size_t *from,
		      size_t *to)
{
	const struct pci_func_desc *desc = &open->pci->func->desc;
	u64 start = desc->msix_table, end = start + desc->msix_vectors * (u64)16;

	if (index != desc->msix_bar || pos >= end || pos + n <= start)
		return false;
	*from = start > pos ? (size_t)(start - pos) : 0;
	*to = (size_t)(min_u64(end, pos + n) - pos);
	return true;
}

/* One access in @buf, around what is the MSI-X table's. */
static int bar_read(struct vfio_open *open, unsigned int bar, u64 pos, u8 *buf, size_t n)
{
	struct pci_func *func = open->pci->func;
	size_t from = n, to = n;
	int rc = 0;

	if (msix_part(open, bar, pos, n, &from, &to))
		memset(buf + from, 0xff, to - from);
	if (from)
		rc = pci_bar_read(func, bar, pos, buf, from);
	if (!rc && to < n)
		rc = pci_bar_read(func, bar, pos + to, buf + to, n - to);
	return rc;
}

static int bar_write(struct vfio_open *open, unsigned int bar, u64 pos, const u8 *buf, size_t n)
{
	struct pci_func *func = open->pci->func;
	size_t from = n, to = n;
	int rc = 0;

	(void)msix_part(open, bar, pos, n, &from, &to);
	if (from)
		rc = pci_bar_write(func, bar, pos, buf, from);
	if (!rc && to < n)
		rc = pci_bar_write(func, bar, pos + to, buf + to, n - to);
	return rc;
}

/* Cut [@pos, @pos + *@n) to the BAR. */
static int check_bar(const struct vfio_open *open, u64 index, u64 pos, size_t *n)
{
	const struct pci_bar *bar = bar_of(open, index);

	if (!bar || pos >= bar->bytes)
		return -EINVAL;
	*n = min_u64(*n, bar->bytes - pos);
	return 0;
}

/* Up to the next multiple of PIECE, so that aligned accesses stay whole. */
static size_t piece_of(u64 pos, size_t n)
{
	return min_u64(n, PIECE - pos % PIECE);
}

static ssize_t read_bar(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			u64 index, u64 pos)
{
	u8 buf[PIECE];
	size_t done, piece;
	int rc;

	rc = check_bar(open, index, pos, &n);
	for (done = 0; !rc && done < n; done += piece) {
		piece = piece_of(pos + done, n - done);
		if (!vfio_memory_enabled(open->pci))
			return -EIO;
		rc = bar_read(open, (unsigned int)index, pos + done, buf, piece);
		if (!rc)
			rc = task_copy_out(task, ubuf + done, buf, piece);
	}
	return rc ? rc : (ssize_t)n;
}

static ssize_t write_bar(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			 u64 index, u64 pos)
{
	u8 buf[PIECE];
	size_t done, piece;
	int rc;

	rc = check_bar(open, index, pos, &n);
	for (done = 0; !rc && done < n; done += piece) {
		piece = piece_of(pos + done, n - done);
		rc = task_copy_in(task, buf, ubuf + done, piece);
		if (!rc && !vfio_memory_enabled(open->pci))
			return -EIO;
		if (!rc)
			rc = bar_write(open, (unsigned int)index, pos + done, buf, piece);
	}
	return rc ? rc : (ssize_t)n;
}

/* All of it, or none: that is the kernel's rule for this region. */
static int check_config(const struct vfio_open *open, u64 pos, size_t n)
{
	const u64 bytes = vfio_config_bytes(open->pci);

	return pos >= bytes || n > bytes - pos ? -EFAULT : 0;
}

static ssize_t read_config(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			   u64 pos)
{
	u8 buf[PCI_CONFIG_BYTES];
	int rc;

	rc = check_config(open, pos, n);
	if (rc)
		return rc;
	vfio_config_read(open->pci, (unsigned int)pos, buf, (unsigned int)n);
	rc = task_copy_out(task, ubuf, buf, n);
	return rc ? rc : (ssize_t)n;
}

static ssize_t write_config(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			    u64 pos)
{
	u8 buf[PCI_CONFIG_BYTES];
	int rc;

	rc = check_config(open, pos, n);
	if (!rc)
		rc = task_copy_in(task, buf, ubuf, n);
	if (rc)
		return rc;
	vfio_config_write(open, (unsigned int)pos, buf, (unsigned int)n);
	return (ssize_t)n;
}

ssize_t vfio_region_read(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			 u64 offset)
{
	const u64 index = offset >> VFIO_REGION_SHIFT;

	if (!n)
		return 0;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return read_config(open, task, ubuf, n, offset & OFFSET_MASK);
	if (vfio_faults_has_region(open, index))
		return vfio_faults_read(open, task, ubuf, n, index, offset & OFFSET_MASK);
	return read_bar(open, task, ubuf, n, index, offset & OFFSET_MASK);
}

ssize_t vfio_region_write(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			  u64 offset)
{
	const u64 index = offset >> VFIO_REGION_SHIFT;

	if (!n)
		return 0;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return write_config(open, task, ubuf, n, offset & OFFSET_MASK);
	if (vfio_faults_has_region(open, index))
		return vfio_faults_write(open, task, ubuf, n, index, offset & OFFSET_MASK);
	return write_bar(open, task, ubuf, n, index, offset & OFFSET_MASK);
}

/* Does [@start, @end) hold the MSI-X table? What a program loads there does not matter. */
static bool holds_msix(const struct pci_func_desc *desc, unsigned int bar, u64 start, u64 end)
{
	return desc->msix_vectors && bar == desc->msix_bar && desc->msix_table >= start &&
	       desc->msix_table < end;
}

/* Nothing is there: it reads as zero, and so does the memory behind it. */
static bool is_hole(const struct pci_bar *bar, u64 at)
{
	unsigned int i;

	for (i = 0; i < bar->nareas; i++)
		if (at >= bar->areas[i].offset && at - bar->areas[i].offset < bar->areas[i].bytes)
			return false;
	return true;
}

/**
 * struct part - a piece of a BAR
 * @start: first byte
 * @end: behind the last
 * @mappable: there is memory behind it, or nothing that anybody has to see
 * @trapped: stores there are to be brought to us
 */
struct part {
	u64 start;
	u64 end;
	bool mappable;
	bool trapped;
};

static struct part part_at(const struct vfio_open *open, unsigned int bar, u64 start)
{
	const struct pci_func *func = open->pci->func;
	struct part part = { .start = start };
	enum pci_area_kind kind;

	kind = pci_bar_area(func, bar, start, &part.end);
	part.mappable = kind != PCI_AREA_TRAPPED ||
			holds_msix(&func->desc, bar, part.start, part.end) ||
			is_hole(&func->desc.bars[bar], part.start);
	part.trapped = kind != PCI_AREA_MEMORY;
	return part;
}

/* The whole range can be mapped, and here is what of it has to be trapped. */
static int check_map(const struct vfio_open *open, unsigned int bar, u64 start, u64 end,
		     struct mem_mapping *out)
{
	struct part part;
	u64 at;

	out->trap_start = out->trap_end = 0;
	for (at = start; at < end; at = part.end) {
		part = part_at(open, bar, at);
		if (!part.mappable)
			return -EINVAL;
		if (!part.trapped)
			continue;
		if (out->trap_start == out->trap_end)
			out->trap_start = part.start - start;
		out->trap_end = min_u64(part.end, end) - start;
	}
	return 0;
}

/* A descriptor of the same file that cannot be mapped for writing. */
static int read_only(int fd)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	return own < 0 ? -errno : own;
}

int vfio_region_mmap(struct vfio_open *open, u64 length, u64 offset, int prot,
		     struct mem_mapping *out)
{
	const u64 index = offset >> VFIO_REGION_SHIFT, start = offset & OFFSET_MASK;
	const struct pci_bar *bar = bar_of(open, index);
	struct mem_mapping mapping = { 0 };
	u64 end;
	int rc;

	(void)prot;
	if (vfio_faults_has_region(open, index))
		return vfio_faults_mmap(open, index, start, length, out);
	if (!bar || bar->memfd < 0 || !length || start % PAGE_BYTES)
		return -EINVAL;
	length = length > bar->bytes ? length : align_up(length, PAGE_BYTES);
	if (__builtin_add_overflow(start, length, &end) || end > bar->bytes)
		return -EINVAL;
	rc = check_map(open, (unsigned int)index, start, end, &mapping);
	if (rc)
		return rc;
	mapping.offset = start;
	if (mapping.trap_end - mapping.trap_start == length)
		mapping.fd = read_only(bar->memfd);
	else
		mapping.fd = fcntl(bar->memfd, F_DUPFD_CLOEXEC, 0);
	if (mapping.fd < 0)
		return errno == EMFILE ? -EMFILE : -ENOMEM;
	*out = mapping;
	return 0;
}

/* What follows the answer of GET_REGION_INFO. */
struct region_caps {
	u8 buf[sizeof(struct vfio_info_cap_header) +
	       sizeof(struct vfio_region_info_cap_sparse_mmap) +
	       (2 * PCI_MAX_AREAS + 1) * sizeof(struct vfio_region_sparse_mmap_area)];
	size_t bytes;
	struct vfio_info_cap_header *last;
};

_Static_assert(sizeof(((struct region_caps *)0)->buf) >= VFIO_FAULT_CAPS_BYTES, "room for faults'");

static void *add_cap(struct region_caps *caps, u16 id, size_t bytes)
{
	struct vfio_info_cap_header *header = (void *)(caps->buf + caps->bytes);

	/* Counted from the start of the whole answer. */
	if (caps->last)
		caps->last->next = (u32)(sizeof(struct vfio_region_info) + caps->bytes);
	header->id = id;
	header->version = 1;
	caps->last = header;
	caps->bytes += bytes;
	return header;
}

static void add_sparse(struct region_caps *caps, const struct vfio_open *open, unsigned int bar)
{
	const u64 bytes = open->pci->func->desc.bars[bar].bytes;
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_region_sparse_mmap_area *last;
	struct part part;
	u64 at;

	sparse = add_cap(caps, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(*sparse));
	for (at = 0; at < bytes; at = part.end) {
		part = part_at(open, bar, at);
		if (!part.mappable || part.end == part.start)
			continue;
		last = sparse->areas + sparse->nr_areas - 1;
		if (sparse->nr_areas && last->offset + last->size == part.start) {
			/* One piece, so that a program can have it as one dma-buf. */
			last->size += part.end - part.start;
			continue;
		}
		last[1].offset = part.start;
		last[1].size = part.end - part.start;
		sparse->nr_areas++;
		caps->bytes += sizeof(*last);
	}
}

static void bar_info(const struct vfio_open *open, struct vfio_region_info *info,
		     struct region_caps *caps)
{
	const struct pci_func_desc *desc = &open->pci->func->desc;
	const struct pci_bar *bar = &desc->bars[info->index];
	struct mem_mapping mapping;

	info->size = bar->bytes;
	if (!bar->bytes)
		return;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (bar->memfd < 0)
		return;
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (check_map(open, info->index, 0, bar->bytes, &mapping))
		add_sparse(caps, open, info->index);
	if (desc->msix_vectors && info->index == desc->msix_bar)
		add_cap(caps, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
			sizeof(struct vfio_info_cap_header));
}

static int fill_info(const struct vfio_open *open, struct vfio_region_info *info,
		     struct region_caps *caps)
{
	info->flags = 0;
	info->size = 0;
	switch (info->index) {
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		bar_info(open, info, caps);
		break;
	case VFIO_PCI_ROM_REGION_INDEX:
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		info->size = vfio_config_bytes(open->pci);
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		break;
	default:
		if (!vfio_faults_has_region(open, info->index))
			return -EINVAL;
		caps->bytes = vfio_faults_region_info(open, info, caps->buf);
		break;
	}
	info->offset = (u64)info->index << VFIO_REGION_SHIFT;
	return 0;
}

long vfio_region_info(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	struct region_caps caps __attribute__((aligned(8))) = { 0 };
	struct vfio_region_info info;
	int rc;

	rc = task_copy_in(task, &info, arg, sizeof(info));
	if (rc)
		return rc;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	rc = fill_info(open, &info, &caps);
	if (rc)
		return rc;
	if (caps.bytes) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (info.argsz < sizeof(info) + caps.bytes) {
			info.argsz = (u32)(sizeof(info) + caps.bytes);
			info.cap_offset = 0;
		} else {
			info.cap_offset = sizeof(info);
			rc = task_copy_out(task, arg + sizeof(info), caps.buf, caps.bytes);
			if (rc)
				return rc;
		}
	}
	return task_copy_out(task, arg, &info, sizeof(info));
}
