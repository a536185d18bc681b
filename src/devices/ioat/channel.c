// SPDX-License-Identifier: MIT
/*
 * A channel: registers, and the thread behind them.
 *
 * Descriptors are a chain in memory. CHAINADDR says where it begins, and DMACOUNT how
 * many of it are to be done: a counter modulo 2^16 that the driver moves on, so a chain
 * may be a ring, or one descriptor that is its own next, and still ends.
 *
 * A write to DMACOUNT makes the channel active before it returns, and the thread does
 * the rest. It does DMA without the lock, a piece at a time, and looks before each
 * whether anybody still wants it. It has no page requests, and what stalls ends by itself.
 * Suspending stops it between two descriptors, a reset between two pieces: CHANCMD
 * reads as a reset until the thread has noticed.
 *
 * What a descriptor gets wrong is an affiliated error: the channel halts, CHANERR says
 * why, and until that is cleared DMACOUNT moves nothing.
 */
#include "devices/copy.h"
#include "devices/regs.h"
#include "ioat.h"

static u64 channel_base(const struct ioat_channel *ch)
{
	return (u64)IOAT_CHANNEL * (ch->index + 1);
}

static void show(struct ioat_channel *ch, u64 reg, u64 value, unsigned int bytes)
{
	pci_reg_show(&ch->ioat->func, 0, channel_base(ch) + reg, value, bytes);
}

static u64 chansts(const struct ioat_channel *ch)
{
	return ch->last | (u64)ch->status;
}

void ioat_channel_show(struct ioat_channel *ch)
{
	show(ch, IOAT_CHANCTRL, ch->ctrl, 2);
	show(ch, IOAT_DMA_COMP, DMA_COMP_V2_V3, 2);
	show(ch, IOAT_DMACOUNT, ch->count, 2);
	show(ch, IOAT_CHAINADDR, ch->chain, 8);
	show(ch, IOAT_CHANCMP, ch->cmp, 8);
	show(ch, IOAT_CDAR, ch->next, 8);
	show(ch, IOAT_CHANERR, ch->err, 4);
	show(ch, IOAT_CHANERRMSK, ch->errmsk, 4);
	/* Drivers poll these two, and look at the others then: the status after a reset too. */
	show(ch, IOAT_CHANSTS, chansts(ch), 8);
	show(ch, IOAT_CHANCMD, ch->resetting ? CHANCMD_RESET : 0, 1);
}

/* What a reset of the channel leaves: how it was set up, but nothing to do. */
static void stop_chain(struct ioat_channel *ch)
{
	ch->resetting = false;
	ch->suspend = false;
	ch->status = CHANSTS_HALTED;
	ch->count = ch->done = 0;
	ch->chain = ch->next = ch->last = 0;
	atomic_store(&ch->cancel, false);
}

void ioat_channel_clear(struct ioat_channel *ch)
{
	stop_chain(ch);
	ch->ctrl = 0;
	ch->cmp = 0;
	ch->err = ch->errmsk = 0;
	ioat_channel_show(ch);
}

/* Is there a descriptor to do? Context: the lock. */
static bool has_work(const struct ioat_channel *ch)
{
	return !ch->ioat->held && (ch->resetting || ch->status == CHANSTS_ACTIVE);
}

/*
 * The driver's side. Context: the lock.
 */

static void note_error(struct ioat_channel *ch, u32 err)
{
	ch->err |= err;
	ch->status = CHANSTS_HALTED;
	ch->suspend = false;
	ioat_config_error(ch->ioat, err);
	ioat_channel_show(ch);
	if (ch->ctrl & CHANCTRL_ERR_INT && ch->err & ~ch->errmsk)
		ioat_interrupt(ch);
}

static void start(struct ioat_channel *ch)
{
	bool halted = ch->status == CHANSTS_HALTED && ch->err & ~ch->errmsk;

	if (halted || ch->resetting || ch->count == ch->done)
		return;
	ch->suspend = false;
	if (ch->status == CHANSTS_ACTIVE)
		return;
	if (!is_aligned(ch->chain, sizeof(struct ioat_desc))) {
		note_error(ch, CHANERR_CHAIN_ADDR);
		return;
	}
	ch->status = CHANSTS_ACTIVE;
	pthread_cond_signal(&ch->wake);
}

static void write_ctrl(struct ioat_channel *ch, u64 value, u64 mask)
{
	u64 keep = mask & CHANCTRL_KEPT;

	ch->ctrl = (u16)((ch->ctrl & ~keep) | (value & keep));
	if (value & CHANCTRL_INT_DIS) {
		ch->ctrl &= (u16)~CHANCTRL_INT_DIS;
		ioat_rearm(ch);
	}
}

static void write_cmd(struct ioat_channel *ch, u64 value, u64 mask)
{
	(void)mask;
	switch (value) {
	case 0:
		break;
	case CHANCMD_RESET:
		ch->resetting = true;
		atomic_store(&ch->cancel, true);
		if (!ch->busy)
			stop_chain(ch);
		break;
	case CHANCMD_SUSPEND:
		if (ch->status == CHANSTS_ACTIVE)
			ch->suspend = true;
		else if (ch->status == CHANSTS_DONE)
			ch->status = CHANSTS_SUSPENDED;
		break;
	default:
		note_error(ch, CHANERR_CHANCMD);
	}
}

static void write_count(struct ioat_channel *ch, u64 value, u64 mask)
{
	ch->count = (u16)((ch->count & ~mask) | value);
	start(ch);
}

static void write_chain(struct ioat_channel *ch, u64 value, u64 mask)
{
	if (ch->status == CHANSTS_ACTIVE || ch->busy)
		return;
	ch->chain = (ch->chain & ~mask) | value;
	ch->next = ch->chain;
	ch->count = ch->done = 0;
}

static void write_cmp(struct ioat_channel *ch, u64 value, u64 mask)
{
	ch->cmp = (ch->cmp & ~mask) | value;
}

static void write_err(struct ioat_channel *ch, u64 value, u64 mask)
{
	(void)mask;
	ch->err &= ~(u32)value;
}

static void write_errmsk(struct ioat_channel *ch, u64 value, u64 mask)
{
	ch->errmsk = ((ch->errmsk & ~(u32)mask) | (u32)value) & CHANERR_ALL;
}

static const struct {
	u64 reg;
	unsigned int bytes;
	void (*write)(struct ioat_channel *ch, u64 value, u64 mask);
} registers[] = {
	{ IOAT_CHANCTRL, 2, write_ctrl },     { IOAT_CHANCMD, 1, write_cmd },
	{ IOAT_DMACOUNT, 2, write_count },    { IOAT_CHAINADDR, 8, write_chain },
	{ IOAT_CHANCMP, 8, write_cmp },	      { IOAT_CHANERR, 4, write_err },
	{ IOAT_CHANERRMSK, 4, write_errmsk },
};

void ioat_channel_write(struct ioat_channel *ch, u64 offset, const void *buf, unsigned int n)
{
	unsigned int i;
	u64 value, mask;

	for (i = 0; i < ARRAY_SIZE(registers); i++)
		if (pci_reg_stored(offset, buf, n, registers[i].reg, registers[i].bytes, &value,
				   &mask))
			registers[i].write(ch, value, mask);
	ioat_channel_show(ch);
}

/*
 * The thread's side. Context: without the lock, busy. Each gives CHANERR bits, 0 when it
 * is done; what was cancelled gives 0 too, and nobody looks.
 */

static u32 copy(struct ioat_channel *ch, const struct ioat_desc *d)
{
	struct pci_func *func = &ch->ioat->func;
	u64 at, n;

	for (at = 0; at < d->size && !atomic_load(&ch->cancel); at += n) {
		n = pci_dma_copy(func, ch->port, d->src + at, d->dst + at,
				 min_u64(d->size - at, IOAT_PIECE_BYTES));
		if (n)
			continue;
		n = min_u64(d->size - at, IOAT_PIECE_BYTES);
		if (pci_dma_read(func, ch->port, d->src + at, ch->piece, n))
			return CHANERR_SRC_ADDR;
		if (pci_dma_write(func, ch->port, d->dst + at, ch->piece, n))
			return CHANERR_DST_ADDR;
	}
	return 0;
}

static u32 fill(struct ioat_channel *ch, const struct ioat_desc *d)
{
	u64 at, n;

	for (at = 0; at < IOAT_PIECE_BYTES; at += sizeof(d->src))
		memcpy(ch->piece + at, &d->src, sizeof(d->src));
	for (at = 0; at < d->size && !atomic_load(&ch->cancel); at += n) {
		n = min_u64(d->size - at, IOAT_PIECE_BYTES);
		if (pci_dma_write(&ch->ioat->func, ch->port, d->dst + at, ch->piece, n))
			return CHANERR_DST_ADDR;
	}
	return 0;
}

static u32 execute(struct ioat_channel *ch, u64 at, struct ioat_desc *d)
{
	u32 op;

	if (!is_aligned(at, sizeof(*d)))
		return CHANERR_NEXT_ALIGN;
	if (pci_dma_read(&ch->ioat->func, ch->port, at, d, sizeof(*d)))
		return CHANERR_NEXT_ADDR;
	op = d->control >> IOAT_OP_LG2;
	if ((d->control & ~(~0u << IOAT_OP_LG2) & ~(u32)IOAT_DESC_KNOWN) ||
	    (op != IOAT_OP_COPY && op != IOAT_OP_FILL))
		return CHANERR_CONTROL;
	if (!d->size || d->size > 1u << ch->ioat->xfer_lg2)
		return CHANERR_LENGTH;
	if (d->control & IOAT_DESC_NULL)
		return 0;
	return op == IOAT_OP_FILL ? fill(ch, d) : copy(ch, d);
}

/* Write CHANSTS where CHANCMP says. */
static u32 report(struct ioat_channel *ch, u64 cmp, u64 status)
{
	if (!is_aligned(cmp, sizeof(status)) ||
	    pci_dma_write(&ch->ioat->func, ch->port, cmp, &status, sizeof(status)))
		return CHANERR_COMPLETION;
	return 0;
}

/* A descriptor failed. Context: the lock, which is dropped for the report. */
static void fail(struct ioat_channel *ch, u32 err)
{
	u64 cmp = ch->cmp, status = ch->last | CHANSTS_HALTED;

	if (ch->ctrl & CHANCTRL_ERR_COMPLETION && cmp) {
		pthread_mutex_unlock(&ch->ioat->lock);
		err |= report(ch, cmp, status);
		pthread_mutex_lock(&ch->ioat->lock);
	}
	if (!atomic_load(&ch->cancel))
		note_error(ch, err);
}

/* The descriptor at @at is done. Context: the lock, which is dropped for the report. */
static void complete(struct ioat_channel *ch, u64 at, const struct ioat_desc *d)
{
	u16 left = (u16)(ch->count - ch->done - 1);
	u32 err = 0;

	if (d->control & IOAT_DESC_COMPLETE) {
		u64 cmp = ch->cmp, status = at | (left ? CHANSTS_ACTIVE : CHANSTS_DONE);

		pthread_mutex_unlock(&ch->ioat->lock);
		err = report(ch, cmp, status);
		pthread_mutex_lock(&ch->ioat->lock);
		if (atomic_load(&ch->cancel))
			return;
	}
	if (err) {
		note_error(ch, err);
		return;
	}
	pci_count(&ch->ioat->func, PCI_COUNT_COMMANDS, 1);
	ch->last = at;
	ch->next = d->next;
	ch->done++;
	if (ch->status == CHANSTS_HALTED)
		; /* a bad command came meanwhile */
	else if (ch->suspend)
		ch->status = CHANSTS_SUSPENDED;
	else if (ch->done == ch->count)
		ch->status = CHANSTS_DONE;
	ch->suspend = false;
	ioat_channel_show(ch);
	if (d->control & IOAT_DESC_INT)
		ioat_interrupt(ch);
}

/* Context: the lock, which is dropped for DMA. */
static void work(struct ioat_channel *ch)
{
	struct ioat *ioat = ch->ioat;
	struct ioat_desc d;
	u64 at = ch->next;
	u32 err;

	ch->busy = true;
	pthread_mutex_unlock(&ioat->lock);
	err = execute(ch, at, &d);
	pthread_mutex_lock(&ioat->lock);
	if (!atomic_load(&ch->cancel)) {
		if (err)
			fail(ch, err);
		else
			complete(ch, at, &d);
	}
	ch->busy = false;
	pthread_cond_broadcast(&ioat->idle);
}

static void *channel_main(void *arg)
{
	struct ioat_channel *ch = arg;
	struct ioat *ioat = ch->ioat;

	pthread_mutex_lock(&ioat->lock);
	while (!ioat->ending) {
		if (!has_work(ch)) {
			pthread_cond_wait(&ch->wake, &ioat->lock);
		} else if (ch->resetting) {
			stop_chain(ch);
			ioat_channel_show(ch);
		} else {
			work(ch);
		}
	}
	pthread_mutex_unlock(&ioat->lock);
	return NULL;
}

int ioat_channel_start(struct ioat_channel *ch)
{
	struct ioat *ioat = ch->ioat;
	int rc;

	ch->piece = base_zalloc(ioat->func.alloc, IOAT_PIECE_BYTES);
	if (!ch->piece)
		return -ENOMEM;
	rc = pci_port_create(&ioat->func, NULL, NULL, &ch->port);
	if (rc)
		return rc;
	rc = pci_thread_start(&ch->thread, channel_main, ch);
	ch->running = !rc;
	return rc;
}

void ioat_channel_stop(struct ioat_channel *ch)
{
	struct ioat *ioat = ch->ioat;

	pthread_mutex_lock(&ioat->lock);
	ioat->ending = true;
	atomic_store(&ch->cancel, true);
	pthread_cond_signal(&ch->wake);
	pthread_mutex_unlock(&ioat->lock);
	if (ch->running)
		pthread_join(ch->thread, NULL);
	siommu_port_destroy(ch->port);
	base_free(ioat->func.alloc, ch->piece, IOAT_PIECE_BYTES);
}
