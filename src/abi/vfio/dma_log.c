// SPDX-License-Identifier: MIT
/*
 * Logging of a function's DMA, for who migrates it: which pages it has written.
 *
 * A function has one log, so the ranges that are asked for become one that has all of
 * them. The bits are collected here a piece at a time and merged into the program's
 * bitmap, without the log's lock: its memory may take long to answer.
 */
#include <string.h>

#include "vfio.h"

/* As many ranges as a kernel takes: a page of them. */
#define MAX_RANGES (PAGE_BYTES / sizeof(struct vfio_device_feature_dma_logging_range))

/* Bits that are collected at once. */
#define PIECE_LG2   19
#define PIECE_BYTES ((((size_t)1 << PIECE_LG2) + 64) / 8)

struct range {
	u64 start;
	u64 last;
};

/* Is @iova or a length a multiple of @bytes, which need not be a power of two? As a mask. */
static bool is_multiple(u64 x, u64 bytes)
{
	return !(x & (bytes - 1));
}

static int read_range(struct siommu_task *task, u64 uptr, u64 page_bytes, struct range *out)
{
	struct vfio_device_feature_dma_logging_range range;
	u64 end;
	int rc;

	rc = task_copy_in(task, &range, uptr, sizeof(range));
	if (rc)
		return rc;
	if (!is_multiple(range.iova, page_bytes) || !is_multiple(range.length, page_bytes))
		return -EINVAL;
	if (__builtin_add_overflow(range.iova, range.length, &end))
		return -EOVERFLOW;
	if (!range.length)
		return -EINVAL;
	out->start = range.iova;
	out->last = end - 1;
	return 0;
}

/* All ranges, which do not overlap, in one: *@whole. */
static int read_ranges(struct siommu_task *task,
		       const struct vfio_device_feature_dma_logging_control *control,
		       struct range *whole)
{
	struct range ranges[MAX_RANGES];
	u32 i, j;
	int rc;

	for (i = 0; i < control->num_ranges; i++) {
		rc = read_range(task,
				control->ranges +
					i * sizeof(struct vfio_device_feature_dma_logging_range),
				control->page_size, &ranges[i]);
		if (rc)
			return rc;
		for (j = 0; j < i; j++)
			if (ranges[i].start <= ranges[j].last && ranges[j].start <= ranges[i].last)
				return -EINVAL;
		whole->start = i ? min_u64(whole->start, ranges[i].start) : ranges[i].start;
		whole->last = i ? max_u64(whole->last, ranges[i].last) : ranges[i].last;
	}
	return 0;
}

long vfio_log_start(struct vfio_open *open, struct siommu_task *task,
		    const struct vfio_device_feature *head, u64 data)
{
	struct vfio_device_feature_dma_logging_control control;
	struct range whole = { 0 };
	int rc;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_SET, sizeof(control));
	if (rc != 1)
		return rc;
	rc = task_copy_in(task, &control, data, sizeof(control));
	if (rc)
		return rc;
	if (!control.num_ranges)
		return -EINVAL;
	if (control.num_ranges > MAX_RANGES)
		return -E2BIG;
	rc = read_ranges(task, &control, &whole);
	if (rc)
		return rc;
	/* The size is a wish; what is granted is said. */
	if (!is_pow2(control.page_size) || control.page_size < PAGE_BYTES)
		control.page_size = PAGE_BYTES;
	rc = pci_dma_log_start(open->pci->func, whole.start, whole.last, control.page_size);
	if (rc)
		return rc == -EBUSY ? -EINVAL : rc;
	rc = task_copy_out(task, data, &control, sizeof(control));
	if (rc)
		pci_dma_log_stop(open->pci->func);
	return rc;
}

long vfio_log_stop(struct vfio_open *open, const struct vfio_device_feature *head)
{
	int rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_SET, 0);

	if (rc != 1)
		return rc;
	pci_dma_log_stop(open->pci->func);
	return 0;
}

/**
 * struct piece - bits that are collected
 * @iova: of the first
 * @page_lg2: log2 of what one stands for
 * @nbits: how many there can be
 * @any: there are some
 * @bits: them
 */
struct piece {
	u64 iova;
	unsigned int page_lg2;
	u64 nbits;
	bool any;
	u8 bits[PIECE_BYTES];
};

static void collect(void *arg, u64 iova, u64 n)
{
	struct piece *piece = arg;
	u64 first, last, bit;

	/* Pages of the log may be larger than ours, and begin before what is asked for. */
	if (iova + (n - 1) < piece->iova)
		return;
	last = min_u64((iova + (n - 1) - piece->iova) >> piece->page_lg2, piece->nbits - 1);
	first = iova > piece->iova ? (iova - piece->iova) >> piece->page_lg2 : 0;
	for (bit = first; bit <= last; bit++)
		piece->bits[bit / 8] |= (u8)(1u << bit % 8);
	piece->any |= first <= last;
}

/* Set the piece's bits in the program's bitmap, whose bit @at (of a whole byte) is the first. */
static int merge(struct siommu_task *task, u64 bitmap, u64 at, const struct piece *piece)
{
	u64 end = (piece->nbits + 7) / 8;
	u8 old[512];
	u64 done, n, i;
	int rc;

	for (done = 0; done < end; done += n) {
		n = min_u64(end - done, sizeof(old));
		rc = task_copy_in(task, old, bitmap + at / 8 + done, n);
		if (rc)
			return rc;
		for (i = 0; i < n; i++)
			old[i] |= piece->bits[done + i];
		rc = task_copy_out(task, bitmap + at / 8 + done, old, n);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * What was written in [iova, last], piece by piece. A piece ends where a multiple of its
 * size does, so that a large page of the log is all in it, and is forgotten once told.
 */
static int report(struct pci_func *func, struct siommu_task *task, struct piece *piece,
		  const struct vfio_device_feature_dma_logging_report *cmd, u64 last)
{
	const u64 span = piece->page_lg2 + PIECE_LG2 < 64
				 ? ((u64)1 << (piece->page_lg2 + PIECE_LG2)) - 1
				 : U64_MAX;
	u64 at = cmd->iova, end, bit;
	int rc = 0;

	while (!rc && pci_dma_log_next(func, &at) && at <= last) {
		end = min_u64(last, at | span);
		/* From a whole byte of the bitmap on. */
		bit = ((at - cmd->iova) >> piece->page_lg2) & ~(u64)7;
		piece->iova = cmd->iova + (bit << piece->page_lg2);
		piece->nbits = ((end - piece->iova) >> piece->page_lg2) + 1;
		piece->any = false;
		memset(piece->bits, 0, sizeof(piece->bits));
		rc = pci_dma_log_read(func, at, end - at + 1, collect, piece);
		if (!rc && piece->any)
			rc = merge(task, cmd->bitmap, bit, piece);
		if (end == last)
			break;
		at = end + 1;
	}
	return rc;
}

long vfio_log_report(struct vfio_open *open, struct siommu_task *task,
		     const struct vfio_device_feature *head, u64 data)
{
	struct pci_func *func = open->pci->func;
	struct vfio_device_feature_dma_logging_report cmd;
	struct piece *piece;
	u64 end;
	int rc;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_GET, sizeof(cmd));
	if (rc != 1)
		return rc;
	rc = task_copy_in(task, &cmd, data, sizeof(cmd));
	if (rc)
		return rc;
	if (cmd.page_size < PAGE_BYTES || !is_pow2(cmd.page_size))
		return -EINVAL;
	if (__builtin_add_overflow(cmd.iova, cmd.length, &end))
		return -EOVERFLOW;
	if (!cmd.length || !atomic_load(&func->dma_log))
		return -EINVAL;
	piece = base_zalloc(func->alloc, sizeof(*piece));
	if (!piece)
		return -ENOMEM;
	piece->page_lg2 = lowest_bit(cmd.page_size);
	rc = report(func, task, piece, &cmd, end - 1);
	base_free(func->alloc, piece, sizeof(*piece));
	return rc;
}
