// SPDX-License-Identifier: MIT
/*
 * Dirty tracking: switching it, and reading it into the user's bitmap.
 *
 * Bit n of the bitmap stands for the n-th page of @page_bytes from the query's
 * IOVA on. Bits are only ever set: what the user had there stays. The bitmap is
 * collected here a piece at a time and merged into the user's memory, so that
 * one query never needs more than a few KiB.
 *
 * A write that was under way, or that uses a translation from before the bit was
 * cleared, sets no bit again: the query waits for it, so that it belongs to the
 * bitmap that has the bit already. A device may write without the walk that sets
 * the bit only where it was set, so what was clean needs no waiting for.
 */
#include <string.h>

#include <softiommu/abi/iommufd.h>

#include "core/hwpt.h"

#define PIECE_BYTES 4096
#define PIECE_BITS  (PIECE_BYTES * 8)

/**
 * struct collector - a sink that gathers bits
 * @sink: first
 * @domain: whose bits they are; what was cleared is gathered there
 * @clear: they are cleared
 * @task: whose bitmap it is
 * @uptr: its address
 * @base: IOVA of bit 0 of the user's bitmap
 * @page_lg2: log2 of the bytes that one bit stands for
 * @nbits: bits in the user's bitmap
 * @piece: which piece is in @bits
 * @loaded: @bits has something in it
 * @bits: the piece
 */
struct collector {
	struct iommu_dirty_sink sink;
	struct iommu_domain *domain;
	bool clear;
	struct siommu_task *task;
	u64 uptr;
	u64 base;
	unsigned int page_lg2;
	u64 nbits;
	u64 piece;
	bool loaded;
	u8 bits[PIECE_BYTES];
};

/*
 * Merge the piece into the user's memory. What cannot be written loses its bits
 * without an error, as the kernel's ioctl does not report it either; page by
 * page, because the page before may well be there.
 */
static void flush(struct collector *c)
{
	u64 at = c->piece * PIECE_BYTES;
	u64 end = min_u64(at + PIECE_BYTES, (c->nbits + 7) / 8);
	u8 *bits = c->bits, old[PIECE_BYTES];
	u64 n, i;

	if (!c->loaded)
		return;
	c->loaded = false;
	for (; at < end; at += n, bits += n) {
		n = min_u64(end - at, PAGE_BYTES - ((c->uptr + at) & (PAGE_BYTES - 1)));
		if (task_copy_in(c->task, old, c->uptr + at, n))
			continue;
		for (i = 0; i < n; i++)
			bits[i] |= old[i];
		(void)!task_copy_out(c->task, c->uptr + at, bits, n);
	}
	memset(c->bits, 0, sizeof(c->bits));
}

/* Set bits [first, last] of the piece. */
static void set_bits(struct collector *c, u32 first, u32 last)
{
	u32 i;

	for (i = first; i <= last && (i & 7); i++)
		c->bits[i / 8] |= (u8)(1 << (i & 7));
	for (; i + 7 <= last; i += 8)
		c->bits[i / 8] = 0xff;
	for (; i <= last; i++)
		c->bits[i / 8] |= (u8)(1 << (i & 7));
}

static void collect(struct iommu_dirty_sink *sink, u64 iova, u64 len)
{
	struct collector *c = container_of(sink, struct collector, sink);
	u64 bit = (iova - c->base) >> c->page_lg2;
	u64 last = min_u64((iova - c->base + len - 1) >> c->page_lg2, c->nbits - 1);

	if (c->clear)
		iommu_gather(c->domain, iova, iova + len - 1);
	while (bit <= last) {
		u64 piece = bit / PIECE_BITS;
		u64 end = min_u64(last, piece * PIECE_BITS + PIECE_BITS - 1);

		if (c->piece != piece) {
			flush(c);
			c->piece = piece;
		}
		set_bits(c, bit % PIECE_BITS, end % PIECE_BITS);
		c->loaded = true;
		bit = end + 1;
	}
}

static int check_query(struct core_ioas *ioas, const struct core_dirty_query *q)
{
	u64 last;
	int rc;

	rc = range_last(q->iova, q->length, &last);
	if (rc)
		return rc;
	if (!is_aligned(q->iova, ioas->alignment) || !is_aligned(last + 1, ioas->alignment))
		return -EINVAL;
	if (!q->page_bytes)
		return -EINVAL;
	/* The mask, not the remainder: a page size of 3000 passes as it does there. */
	if ((q->iova & (q->page_bytes - 1)) || ((last + 1) & (q->page_bytes - 1)))
		return -EINVAL;
	return 0;
}

int core_hwpt_get_dirty(struct core_ctx *ctx, struct core_hwpt_paging *hwpt,
			struct siommu_task *task, const struct core_dirty_query *q)
{
	struct iommu_domain *domain = hwpt->common.domain;
	unsigned int flags = q->no_clear ? IOMMU_DIRTY_NO_CLEAR : 0;
	struct area_walk walk;
	struct collector *c;
	int rc;

	rc = check_query(hwpt->ioas, q);
	if (rc)
		return rc;
	if (!domain->dirty_ops)
		return -EOPNOTSUPP;
	c = base_zalloc(&ctx->alloc, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->sink.set = collect;
	c->domain = domain;
	c->clear = !q->no_clear;
	c->task = task;
	c->uptr = q->bitmap;
	c->base = q->iova;
	c->page_lg2 = lowest_bit(q->page_bytes);
	c->nbits = ((q->length - 1) >> c->page_lg2) + 1;
	/* Where the mappings have a gap the walk ends, and that is success too. */
	for_each_contig_area(&walk, hwpt->ioas, q->iova, q->iova + q->length - 1)
		if (domain->dirty_ops->read_and_clear(domain, walk.iova, walk.last - walk.iova + 1,
						      flags, &c->sink))
			break;
	iommu_sync(domain);
	flush(c);
	base_free(&ctx->alloc, c, sizeof(*c));
	return 0;
}

/* Forget what was written so far. */
static int clear_all(struct core_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;
	struct core_area *area;
	int rc = 0;

	for (area = area_first(hwpt->ioas, 0, U64_MAX); area && !rc;
	     area = area_next(area, 0, U64_MAX))
		rc = domain->dirty_ops->read_and_clear(domain, area_iova(area), area_length(area),
						       0, NULL);
	return rc;
}

int core_hwpt_set_dirty_tracking(struct core_hwpt_paging *hwpt, bool enable)
{
	struct iommu_domain *domain = hwpt->common.domain;
	int rc = 0;

	if (!domain->dirty_ops)
		return -EOPNOTSUPP;
	if (enable)
		rc = clear_all(hwpt);
	if (!rc)
		rc = domain->dirty_ops->set_tracking(domain, enable);
	/*
	 * From here on every write is seen, also by devices that wrote before; and if
	 * it failed, what was cleared while tracking was on will be set again.
	 */
	iommu_flush(domain, 0, U64_MAX);
	return rc;
}
