// SPDX-License-Identifier: MIT
/*
 * The thread that moves frames: what is transmitted is received.
 *
 * Descriptors are taken one by one, from TDH up to TDT, and what they have is put
 * together until one ends the frame. DMA is done without the lock. A DMA that goes wrong
 * ends it all until a reset, as on hardware, and TDH says where.
 */
#include "igb.h"

#define MIN_FRAME      60
#define DEFAULT_BUFFER 2048
#define CRC_BYTES      4

/* Number of descriptors of a ring, and the address of one. Context: the lock. */
static u32 ring_entries(const struct igb *igb, u32 base)
{
	return igb_get(igb, base + (IGB_TDLEN - IGB_TDBAL)) / sizeof(struct igb_tx_desc);
}

static u64 ring_address(const struct igb *igb, u32 base, u32 index)
{
	return (igb_get(igb, base) | (u64)igb_get(igb, base + 4) << 32) +
	       (u64)index * sizeof(struct igb_tx_desc);
}

static bool ring_enabled(const struct igb *igb, u32 dctl, u32 ctl)
{
	/* The same bit in RCTL and TCTL. */
	return igb_get(igb, dctl) & DCTL_ENABLE && igb_get(igb, ctl) & TCTL_EN;
}

static bool has_work(const struct igb *igb)
{
	u32 n = ring_entries(igb, IGB_TDBAL), head = igb_get(igb, IGB_TDH);

	return !igb->held && !igb->wedged && ring_enabled(igb, IGB_TXDCTL, IGB_TCTL) && head < n &&
	       igb_get(igb, IGB_TDT) < n && head != igb_get(igb, IGB_TDT);
}

static bool dma_read(struct igb *igb, u64 iova, void *buf, size_t n)
{
	return !atomic_load(&igb->cancel) && !pci_dma_read(&igb->func, igb->port, iova, buf, n);
}

static bool dma_write(struct igb *igb, u64 iova, const void *buf, size_t n)
{
	return !atomic_load(&igb->cancel) && !pci_dma_write(&igb->func, igb->port, iova, buf, n);
}

/*
 * Receiving
 */

/* Is it for us? Context: the lock. */
static bool is_wanted(const struct igb *igb)
{
	const u32 rctl = igb_get(igb, IGB_RCTL), low = igb_get(igb, IGB_RAL0);
	const u32 high = igb_get(igb, IGB_RAH0);
	const u8 *to = igb->frame;
	const u8 own[6] = { (u8)low,	     (u8)(low >> 8), (u8)(low >> 16),
			    (u8)(low >> 24), (u8)high,	     (u8)(high >> 8) };

	if (!memcmp(to, "\xff\xff\xff\xff\xff\xff", 6))
		return rctl & RCTL_BAM;
	if (to[0] & 1)
		return rctl & RCTL_MPE;
	return rctl & RCTL_UPE || (high & RAH_VALID && !memcmp(to, own, sizeof(own)));
}

/* Is there a loopback, and somebody at its end? Context: the lock. */
static bool comes_back(const struct igb *igb)
{
	bool loop = igb->phy[PHY_CONTROL] & PHY_LOOPBACK || igb_get(igb, IGB_RCTL) & RCTL_LBM;

	return loop && igb_get(igb, IGB_STATUS) & STATUS_LU &&
	       ring_enabled(igb, IGB_RXDCTL, IGB_RCTL) && is_wanted(igb);
}

static void append_crc(struct igb *igb)
{
	u32 crc = ~0u, i, bit;

	for (i = 0; i < igb->length; i++) {
		crc ^= igb->frame[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	crc = ~crc;
	memcpy(igb->frame + igb->length, &crc, sizeof(crc));
	igb->length += CRC_BYTES;
}

/* Context: without the lock. */
static bool write_back(struct igb *igb, u64 at, u32 srrctl, u64 buffer, u16 length, bool last)
{
	const u8 status = DESC_DD | (last ? DESC_EOP : 0);
	const struct igb_rx_legacy legacy = { .buffer = buffer,
					      .length = length,
					      .status = status };
	const struct igb_rx_desc one = { .status = status, .length = length };
	const void *desc = SRRCTL_TYPE(srrctl) == SRRCTL_LEGACY ? (const void *)&legacy : &one;

	/* What says that it is done goes last. */
	return dma_write(igb, at, desc, 8) && dma_write(igb, at + 8, (const u8 *)desc + 8, 8);
}

/*
 * A cause that is masked is there before the descriptor says that it is done: a driver
 * that polls it may clear the cause then, and shall not find it later.
 */
static u32 raise_if_masked(struct igb *igb)
{
	u32 cause = igb_queue_cause(igb, false);

	if (cause & igb_get(igb, IGB_EIMS))
		return cause;
	igb_raise(igb, cause);
	return 0;
}

/* One buffer of the frame. Context: the lock, which is dropped. Return: did it go well? */
static bool receive_piece(struct igb *igb, u32 from, u32 *n)
{
	const u32 entries = ring_entries(igb, IGB_RDBAL), head = igb_get(igb, IGB_RDH);
	const u32 srrctl = igb_get(igb, IGB_SRRCTL);
	const u64 at = ring_address(igb, IGB_RDBAL, head);
	u32 room = SRRCTL_KIB(srrctl) ? SRRCTL_KIB(srrctl) * 1024 : DEFAULT_BUFFER, cause;
	bool ok, last;
	u64 buffer;

	*n = (u32)min_u64(igb->length - from, room);
	last = from + *n == igb->length;
	cause = last ? raise_if_masked(igb) : 0;
	pthread_mutex_unlock(&igb->lock);
	ok = dma_read(igb, at, &buffer, sizeof(buffer)) &&
	     dma_write(igb, buffer, igb->frame + from, *n) &&
	     write_back(igb, at, srrctl, buffer, (u16)*n, last);
	pthread_mutex_lock(&igb->lock);
	if (!ok || atomic_load(&igb->cancel))
		return ok;
	igb_set(igb, IGB_RDH, (head + 1) % entries);
	if (cause)
		igb_raise(igb, cause);
	return true;
}

/* Context: the lock, which is dropped for DMA. Return: did it go well? */
static bool receive(struct igb *igb)
{
	u32 at = 0, n = 0, type;

	type = SRRCTL_TYPE(igb_get(igb, IGB_SRRCTL));
	if (type != SRRCTL_LEGACY && type != SRRCTL_ONE_BUFFER)
		return true;
	if (igb_get(igb, IGB_TCTL) & TCTL_PSP && igb->length < MIN_FRAME) {
		memset(igb->frame + igb->length, 0, MIN_FRAME - igb->length);
		igb->length = MIN_FRAME;
	}
	if (!comes_back(igb))
		return true;
	if (!(igb_get(igb, IGB_RCTL) & RCTL_SECRC))
		append_crc(igb);
	for (; at < igb->length && !atomic_load(&igb->cancel); at += n) {
		u32 head = igb_get(igb, IGB_RDH), tail = igb_get(igb, IGB_RDT);
		/* The ring may be another one for each piece. */
		u32 entries = ring_entries(igb, IGB_RDBAL);

		/* No buffer is left: the frame, or its rest, is lost. */
		if (head >= entries || tail >= entries || head == tail)
			return true;
		if (!receive_piece(igb, at, &n))
			return false;
	}
	return true;
}

/*
 * Transmitting
 */

/* Does it have data? Others set up offloads. */
static bool has_data(const struct igb_tx_desc *d)
{
	return !(d->command & TX_DEXT) || TX_TYPE(d->command) == TX_TYPE_DATA;
}

/* Context: without the lock. */
static bool fetch(struct igb *igb, u64 at, struct igb_tx_desc *d)
{
	u32 n;

	if (!dma_read(igb, at, d, sizeof(*d)))
		return false;
	if (!has_data(d))
		return true;
	n = TX_LENGTH(d->command);
	/* Too long for a frame: it is cut, and its checksum would be wrong. */
	if (n > IGB_FRAME_BYTES - CRC_BYTES - igb->length) {
		d->command &= ~TX_IFCS;
		igb->length = 0;
		return true;
	}
	if (n && !dma_read(igb, d->buffer, igb->frame + igb->length, n))
		return false;
	igb->length += n;
	return true;
}

static bool report(struct igb *igb, u64 at)
{
	const u32 status = DESC_DD;

	return dma_write(igb, at + offsetof(struct igb_tx_desc, status), &status, sizeof(status));
}

/* The descriptor at TDH. Context: the lock, which is dropped for DMA. */
static bool transmit(struct igb *igb)
{
	const u32 head = igb_get(igb, IGB_TDH);
	const u64 at = ring_address(igb, IGB_TDBAL, head);
	struct igb_tx_desc d;
	bool ok;

	pthread_mutex_unlock(&igb->lock);
	ok = fetch(igb, at, &d);
	pthread_mutex_lock(&igb->lock);
	if (!ok || atomic_load(&igb->cancel))
		return ok;
	if (has_data(&d) && d.command & TX_EOP) {
		/* Without a checksum nobody takes it. */
		ok = !(d.command & TX_IFCS) || igb->length < 14 || receive(igb);
		igb->length = 0;
	}
	if (ok && d.command & TX_RS) {
		pthread_mutex_unlock(&igb->lock);
		ok = report(igb, at);
		pthread_mutex_lock(&igb->lock);
	}
	if (!ok || atomic_load(&igb->cancel))
		return ok;
	pci_count(&igb->func, PCI_COUNT_COMMANDS, 1);
	/* The ring may be another by now. */
	if (igb_get(igb, IGB_TDH) == head)
		igb_set(igb, IGB_TDH, (head + 1) % (u32)max_u64(ring_entries(igb, IGB_TDBAL), 1));
	if (d.command & TX_RS)
		igb_raise(igb, igb_queue_cause(igb, true));
	return true;
}

static void *igb_main(void *arg)
{
	struct igb *igb = arg;

	pthread_mutex_lock(&igb->lock);
	while (!igb->ending) {
		if (!has_work(igb)) {
			pthread_cond_wait(&igb->wake, &igb->lock);
			continue;
		}
		igb->busy = true;
		if (!transmit(igb))
			igb->wedged = true;
		igb->busy = false;
		pthread_cond_broadcast(&igb->idle);
		if (igb->resetting)
			igb_clear(igb);
	}
	pthread_mutex_unlock(&igb->lock);
	return NULL;
}

int igb_start(struct igb *igb)
{
	int rc;

	igb->frame = base_zalloc(igb->func.alloc, IGB_FRAME_BYTES);
	if (!igb->frame)
		return -ENOMEM;
	rc = pci_port_create(&igb->func, NULL, NULL, &igb->port);
	if (rc)
		return rc;
	rc = pci_thread_start(&igb->thread, igb_main, igb);
	igb->running = !rc;
	return rc;
}

void igb_stop(struct igb *igb)
{
	pthread_mutex_lock(&igb->lock);
	igb->ending = true;
	atomic_store(&igb->cancel, true);
	pthread_cond_signal(&igb->wake);
	pthread_mutex_unlock(&igb->lock);
	if (igb->running)
		pthread_join(igb->thread, NULL);
	siommu_port_destroy(igb->port);
	base_free(igb->func.alloc, igb->frame, IGB_FRAME_BYTES);
}
