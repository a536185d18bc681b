// SPDX-License-Identifier: MIT
/*
 * A command's data: where PRP entries (4.3) and SGLs (4.4) say that it is.
 *
 * Lists are read piece by piece as the data moves, each entry once. What they say is the
 * host's: they may lead in circles, but never further than the command's length, and
 * descriptors that move nothing are counted.
 */
#include <string.h>

#include "nvme.h"

/* Descriptors of one command: more than any driver's that means well. */
#define MAX_DESCRIPTORS 8192u

u8 *nvme_in_cmb(struct nvme_ctrl *ctrl, u64 iova, size_t n)
{
	u64 base = atomic_load_explicit(&ctrl->cmb_base, memory_order_relaxed);

	if (likely(base == U64_MAX) || iova < base || iova - base >= ctrl->cmb)
		return NULL;
	if (n > ctrl->cmb - (iova - base))
		return NULL;
	return ctrl->func.desc.bars[NVME_BAR_CMB].memory + (iova - base);
}

int nvme_dma_read(struct nvme_worker *w, u64 iova, void *buf, size_t n)
{
	u8 *cmb = nvme_in_cmb(w->ctrl, iova, n);

	if (likely(!cmb))
		return pci_dma_read(&w->ctrl->func, w->port, iova, buf, n);
	memcpy(buf, cmb, n);
	return 0;
}

int nvme_dma_write(struct nvme_worker *w, u64 iova, const void *buf, size_t n)
{
	u8 *cmb = nvme_in_cmb(w->ctrl, iova, n);

	if (likely(!cmb))
		return pci_dma_write(&w->ctrl->func, w->port, iova, buf, n);
	memcpy(cmb, buf, n);
	return 0;
}

/* Where a word is that the host changes at the same time; NULL to copy it. */
static u32 *word_at(struct nvme_worker *w, u64 iova, unsigned int access)
{
	if (!pci_may_dma(&w->ctrl->func) || !is_aligned(iova, sizeof(u32)) ||
	    nvme_in_cmb(w->ctrl, iova, sizeof(u32)))
		return NULL;
	return siommu_dma_find(w->port, iova, sizeof(u32), access);
}

int nvme_load32(struct nvme_worker *w, u64 iova, u32 *value)
{
	u32 *at;

	siommu_dma_begin(w->port);
	at = word_at(w, iova, SIOMMU_DMA_READ);
	if (likely(at))
		*value = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	siommu_dma_end(w->port);
	return likely(at) ? 0 : nvme_dma_read(w, iova, value, sizeof(*value));
}

int nvme_store32(struct nvme_worker *w, u64 iova, u32 value)
{
	u32 *at;

	siommu_dma_begin(w->port);
	at = word_at(w, iova, SIOMMU_DMA_WRITE);
	if (likely(at))
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST);
	siommu_dma_end(w->port);
	if (unlikely(!at))
		return nvme_dma_write(w, iova, &value, sizeof(value));
	pci_dma_wrote(&w->ctrl->func, iova, sizeof(value));
	return 0;
}

static u16 fetch(struct nvme_xfer *x, u64 at, void *buf, size_t n)
{
	return nvme_dma_read(x->w, at, buf, n) ? NVME_DATA_TRANSFER : NVME_OK;
}

/*
 * PRP
 */

static void piece(struct nvme_xfer *x, u64 iova, u64 bytes)
{
	x->iova = iova;
	x->piece = min_u64(bytes, x->left);
	x->left -= x->piece;
}

/*
 * Fetch entries of the list. The last one of a page leads to the next list if it is not
 * the last one of all.
 */
static u16 prp_fetch(struct nvme_xfer *x)
{
	u64 need = (x->left + x->page - 1) / x->page, room, n;
	u16 status;

	room = (x->page - (x->list & (x->page - 1))) / sizeof(u64);
	if (room == 1 && need > 1) {
		status = fetch(x, x->list, &x->list, sizeof(x->list));
		if (status)
			return status;
		if (!is_aligned(x->list, x->page))
			return NVME_PRP_OFFSET;
		room = x->page / sizeof(u64);
	}
	n = need > room ? room - 1 : need;
	n = min_u64(n, ARRAY_SIZE(x->entries.prps));
	status = fetch(x, x->list, x->entries.prps, n * sizeof(u64));
	x->list += n * sizeof(u64);
	x->at = 0;
	x->n = (unsigned int)n;
	return status;
}

static u16 prp_second(struct nvme_xfer *x)
{
	u64 prp2 = x->prp[1];

	if (x->left > x->page) {
		if (!is_aligned(prp2, sizeof(u64)))
			return NVME_PRP_OFFSET;
		x->list = prp2;
		return prp_fetch(x);
	}
	x->entries.prps[0] = prp2;
	x->at = 0;
	x->n = 1;
	return NVME_OK;
}

static u16 prp_next(struct nvme_xfer *x)
{
	u16 status = NVME_OK;
	u64 entry;

	if (!x->started) {
		x->started = true;
		piece(x, x->prp[0], x->page - (x->prp[0] & (x->page - 1)));
		return x->prp[0] & 3 ? NVME_PRP_OFFSET : NVME_OK;
	}
	if (x->at == x->n)
		status = x->list ? prp_fetch(x) : prp_second(x);
	if (status)
		return status;
	entry = x->entries.prps[x->at++];
	if (!is_aligned(entry, x->page))
		return NVME_PRP_OFFSET;
	piece(x, entry, x->page);
	return NVME_OK;
}

/*
 * SGL
 */

static u16 sgl_enter(struct nvme_xfer *x, const struct nvme_sgl *d, unsigned int type)
{
	if (!d->length || d->length % sizeof(*d) || !is_aligned(d->address, sizeof(u64)))
		return NVME_SGL_BAD_SEGMENT;
	x->list = d->address;
	x->list_left = d->length;
	x->last = type == NVME_SGL_LAST_SEGMENT;
	x->at = x->n = 0;
	return NVME_OK;
}

static u16 sgl_fetch(struct nvme_xfer *x)
{
	u64 n = min_u64(x->list_left, sizeof(x->entries.sgls));
	u16 status;

	if (!n)
		return x->last ? NVME_SGL_BAD_LENGTH : NVME_SGL_BAD_SEGMENT;
	status = fetch(x, x->list, x->entries.sgls, n);
	x->list += n;
	x->list_left -= n;
	x->at = 0;
	x->n = (unsigned int)(n / sizeof(struct nvme_sgl));
	return status;
}

/* The descriptor in the command, then those of segments. */
static u16 sgl_descriptor(struct nvme_xfer *x, struct nvme_sgl *d)
{
	u16 status;

	if (x->total++ == MAX_DESCRIPTORS)
		return NVME_SGL_BAD_COUNT;
	if (!x->started) {
		x->started = true;
		x->last = true;
		memcpy(d, x->prp, sizeof(*d));
		return NVME_OK;
	}
	if (x->at == x->n) {
		status = sgl_fetch(x);
		if (status)
			return status;
	}
	*d = x->entries.sgls[x->at++];
	return NVME_OK;
}

/* A segment may follow at the end of one that is not the last, or in the command. */
static u16 sgl_segment(struct nvme_xfer *x, const struct nvme_sgl *d)
{
	bool in_command = x->total == 1, at_end = x->at == x->n && !x->list_left;

	if (!in_command && (x->last || !at_end))
		return NVME_SGL_BAD_SEGMENT;
	return sgl_enter(x, d, d->type >> 4);
}

static u16 sgl_use(struct nvme_xfer *x, const struct nvme_sgl *d)
{
	if (d->type & 0xf)
		return NVME_SGL_BAD_TYPE;
	switch (d->type >> 4) {
	case NVME_SGL_DATA:
		x->bucket = false;
		piece(x, d->address, d->length);
		return NVME_OK;
	case NVME_SGL_BIT_BUCKET:
		/* What the host sends has no use for one. */
		x->bucket = true;
		piece(x, 0, x->to_host ? d->length : 0);
		return NVME_OK;
	case NVME_SGL_SEGMENT:
	case NVME_SGL_LAST_SEGMENT:
		return sgl_segment(x, d);
	default:
		return NVME_SGL_BAD_TYPE;
	}
}

static u16 sgl_next(struct nvme_xfer *x)
{
	struct nvme_sgl d;
	u16 status;

	do {
		status = sgl_descriptor(x, &d);
		if (!status)
			status = sgl_use(x, &d);
	} while (!status && !x->piece);
	return status;
}

u16 nvme_xfer_init(struct nvme_xfer *x, struct nvme_cmd *cmd, u64 bytes, bool to_host)
{
	unsigned int psdt = cmd->sqe.flags >> 6;

	memset(x, 0, offsetof(struct nvme_xfer, entries));
	/* Admin commands use no SGLs (4.4); 3 is reserved. */
	if (psdt == 3 || (psdt && !cmd->sq->id))
		return nvme_bad_field(cmd, 1);
	x->w = cmd->w;
	x->to_host = to_host;
	x->sgl = psdt;
	x->left = bytes;
	x->page = (u64)1 << cmd->ctrl->page_lg2;
	x->prp[0] = cmd->sqe.prp1;
	x->prp[1] = cmd->sqe.prp2;
	return NVME_OK;
}

static int move_piece(struct nvme_xfer *x, void *buf, size_t n)
{
	if (x->bucket)
		return 0;
	return x->to_host ? nvme_dma_write(x->w, x->iova, buf, n)
			  : nvme_dma_read(x->w, x->iova, buf, n);
}

u16 nvme_xfer_move(struct nvme_xfer *x, void *buf, size_t n)
{
	u8 *at = buf;
	size_t bytes;
	u16 status;

	while (n) {
		if (!x->piece) {
			status = x->sgl ? sgl_next(x) : prp_next(x);
			if (status)
				return status;
		}
		bytes = min_u64(n, x->piece);
		if (move_piece(x, at, bytes))
			return NVME_DATA_TRANSFER;
		x->iova += bytes;
		x->piece -= bytes;
		at += bytes;
		n -= bytes;
	}
	return NVME_OK;
}

u16 nvme_reply(struct nvme_cmd *cmd, const void *buf, size_t n, u64 bytes)
{
	static const u8 zeros[512];
	struct nvme_xfer x;
	u16 status;

	status = nvme_xfer_init(&x, cmd, bytes, true);
	if (!status)
		status = nvme_xfer_move(&x, (void *)buf, min_u64(n, bytes));
	for (bytes -= min_u64(n, bytes); !status && bytes; bytes -= n) {
		n = min_u64(bytes, sizeof(zeros));
		status = nvme_xfer_move(&x, (void *)zeros, n);
	}
	return status;
}
