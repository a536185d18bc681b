// SPDX-License-Identifier: MIT
/*
 * Intel's I/OAT DMA engine: the function, its device-wide registers, its interrupts.
 * Channels are in channel.c.
 *
 * The registers are memory for the driver's loads, so loads have no effects here. Where
 * the hardware clears something when it is read (ATTNSTATUS), it is cleared by the
 * store with which drivers end their interrupt handlers: to INTRCTRL, or the one that
 * lets the channel interrupt again.
 */
#include <linux/pci_regs.h>
#include <stdio.h>

#include "devices/regs.h"
#include "../models.h"
#include "ioat.h"

#define REGISTER_BYTES 16384
#define MSIX_BAR       2
#define MSIX_BYTES     4096
#define MSIX_PBA       2048

#define DEFAULT_XFER_LG2 20
#define MIN_XFER_LG2	 12
#define MAX_XFER_LG2	 30

static struct ioat *to_ioat(struct pci_func *func)
{
	return container_of(func, struct ioat, func);
}

static u8 intrctrl(const struct ioat *ioat)
{
	u8 value = ioat->intrctrl & (INTRCTRL_MASTER_EN | INTRCTRL_MSIX);

	if (ioat->attn)
		value |= INTRCTRL_STATUS;
	if (ioat->attn && value & INTRCTRL_MASTER_EN)
		value |= INTRCTRL_INT;
	return value;
}

void ioat_show(struct ioat *ioat)
{
	struct pci_func *func = &ioat->func;

	pci_reg_show(func, 0, IOAT_CHANCNT, ioat->nchannels, 1);
	pci_reg_show(func, 0, IOAT_XFERCAP, ioat->xfer_lg2, 1);
	pci_reg_show(func, 0, IOAT_INTRCTRL, intrctrl(ioat), 1);
	pci_reg_show(func, 0, IOAT_ATTNSTATUS, ioat->attn, 4);
	pci_reg_show(func, 0, IOAT_CBVER, IOAT_VERSION, 1);
	pci_reg_show(func, 0, IOAT_DMACAP, DMACAP_FILL, 4);
}

/* The pin follows INTRCTRL. Context: the lock. */
static void update_pin(struct ioat *ioat)
{
	enum pci_irq_mode mode = pci_irq_mode(&ioat->func);
	bool by_pin = mode == PCI_IRQ_NONE || mode == PCI_IRQ_INTX;

	ioat_show(ioat);
	pci_irq_level(&ioat->func, by_pin && intrctrl(ioat) & INTRCTRL_INT);
}

void ioat_interrupt(struct ioat_channel *ch)
{
	struct ioat *ioat = ch->ioat;
	bool master = ioat->intrctrl & INTRCTRL_MASTER_EN;
	bool each = ioat->intrctrl & INTRCTRL_MSIX;

	if (ch->ctrl & CHANCTRL_INT_DIS)
		return;
	ch->ctrl |= CHANCTRL_INT_DIS;
	ioat_channel_show(ch);
	ioat->attn |= 1u << ch->index;
	update_pin(ioat);
	switch (pci_irq_mode(&ioat->func)) {
	case PCI_IRQ_MSIX:
		if (each || master)
			pci_irq_message(&ioat->func, each ? ch->index : 0);
		break;
	case PCI_IRQ_MSI:
		if (master)
			pci_irq_message(&ioat->func, 0);
		break;
	default:
		break;
	}
}

void ioat_rearm(struct ioat_channel *ch)
{
	ch->ioat->attn &= ~(1u << ch->index);
	update_pin(ch->ioat);
}

void ioat_config_error(struct ioat *ioat, u32 err)
{
	struct pci_func *func = &ioat->func;
	u32 now;

	pthread_mutex_lock(&func->lock);
	memcpy(&now, func->config + IOAT_CFG_CHANERR, sizeof(now));
	now |= err;
	memcpy(func->config + IOAT_CFG_CHANERR, &now, sizeof(now));
	pthread_mutex_unlock(&func->lock);
}

static void write_intrctrl(struct ioat *ioat, u8 value)
{
	ioat->intrctrl = value;
	ioat->attn = 0;
	update_pin(ioat);
}

static void ioat_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		       unsigned int bytes)
{
	struct ioat *ioat = to_ioat(func);
	unsigned int i;
	u64 value, mask;

	if (bar)
		return;
	pthread_mutex_lock(&ioat->lock);
	if (pci_reg_stored(offset, buf, bytes, IOAT_INTRCTRL, 1, &value, &mask))
		write_intrctrl(ioat, (u8)value);
	/* No store reaches two channels: they are aligned, and 128 bytes apart. */
	i = (unsigned int)(offset / IOAT_CHANNEL);
	if (i >= 1 && i <= ioat->nchannels)
		ioat_channel_write(&ioat->channels[i - 1], offset % IOAT_CHANNEL, buf, bytes);
	pthread_mutex_unlock(&ioat->lock);
}

/* No area of this device has reads that are calls, but for its MSI-X table. */
static void ioat_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
		      unsigned int bytes)
{
	(void)func;
	(void)bar;
	(void)offset;
	memset(buf, 0, bytes);
}

/* A channel does one piece of DMA more, at most, and waits for nobody. */
static void ioat_reset(struct pci_func *func)
{
	struct ioat *ioat = to_ioat(func);
	unsigned int i;

	pthread_mutex_lock(&ioat->lock);
	ioat->held = true;
	for (i = 0; i < ioat->nchannels; i++)
		atomic_store(&ioat->channels[i].cancel, true);
	for (i = 0; i < ioat->nchannels; i++)
		while (ioat->channels[i].busy)
			pthread_cond_wait(&ioat->idle, &ioat->lock);
	/* In one go: a store that comes late starts nothing that is cleared already. */
	for (i = 0; i < ioat->nchannels; i++)
		ioat_channel_clear(&ioat->channels[i]);
	ioat->intrctrl = 0;
	ioat->attn = 0;
	update_pin(ioat);
	ioat->held = false;
	pthread_mutex_unlock(&ioat->lock);
}

static void ioat_destroy(struct pci_func *func)
{
	struct ioat *ioat = to_ioat(func);
	struct base_alloc *alloc = func->alloc;
	unsigned int i;

	for (i = 0; i < ioat->nchannels; i++) {
		ioat_channel_stop(&ioat->channels[i]);
		pthread_cond_destroy(&ioat->channels[i].wake);
	}
	pthread_cond_destroy(&ioat->idle);
	pthread_mutex_destroy(&ioat->lock);
	pci_func_fini(func);
	base_free(alloc, ioat, sizeof(*ioat));
}

static const struct pci_ops ioat_ops = {
	.read = ioat_read,
	.write = ioat_write,
	.reset = ioat_reset,
	.destroy = ioat_destroy,
};

/* A vendor's capability with the error registers that the data sheet has there. */
static void add_config(struct pci_func *func)
{
	const u32 vsec = (u32)IOAT_VSEC_BYTES << 20;
	const u32 all = CHANERR_ALL;

	pci_add_ext_cap(func, 0x000b, 1, IOAT_VSEC, IOAT_VSEC_BYTES);
	memcpy(func->config + IOAT_VSEC + 4, &vsec, sizeof(vsec));
	memcpy(func->clearable + IOAT_CFG_CHANERR, &all, sizeof(all));
	memcpy(func->writable + IOAT_CFG_CHANERRMSK, &all, sizeof(all));
	memcpy(func->writable + IOAT_CFG_CHANERRSEV, &all, sizeof(all));
	/* What is there now is what a reset brings back: errors are written past the driver. */
	pci_config_write(func, PCI_CACHE_LINE_SIZE, "", 1);
}

static int read_options(struct ioat *ioat, const struct pci_params *params)
{
	static const char *const names[] = { "channels", "xfer", NULL };
	u64 channels = 1, xfer = (u64)1 << DEFAULT_XFER_LG2;
	int rc;

	rc = pci_options_check(params, names);
	if (!rc)
		rc = pci_option_number(params, "channels", 1, IOAT_MAX_CHANNELS, &channels);
	if (!rc)
		rc = pci_option_number(params, "xfer", (u64)1 << MIN_XFER_LG2,
				       (u64)1 << MAX_XFER_LG2, &xfer);
	if (rc)
		return rc;
	if (!is_pow2(xfer)) {
		snprintf(params->error, params->error_bytes, "xfer must be a power of two");
		return -EINVAL;
	}
	ioat->nchannels = (unsigned int)channels;
	ioat->xfer_lg2 = lowest_bit(xfer);
	return 0;
}

static struct pci_func_desc describe(const struct ioat *ioat)
{
	struct pci_func_desc desc = {
		.vendor = 0x8086,
		.device = IOAT_DEVICE_ID,
		.subvendor = 0x8086,
		.subdevice = 0x0000,
		.class = 0x088000, /* system peripheral, other */
		.revision = 4,
		.intx = true,
		.msi_vectors = 1,
		.msix_vectors = ioat->nchannels,
		.msix_bar = MSIX_BAR,
		.msix_pba = MSIX_PBA,
	};

	desc.bars[0] = (struct pci_bar){
		.bytes = REGISTER_BYTES,
		.is_64 = true,
		.areas = { { 0, REGISTER_BYTES, PCI_AREA_REGISTERS } },
		.nareas = 1,
	};
	desc.bars[MSIX_BAR] = (struct pci_bar){
		.bytes = MSIX_BYTES,
		.areas = { { 0, MSIX_BYTES, PCI_AREA_TRAPPED } },
		.nareas = 1,
	};
	return desc;
}

static int start_channels(struct ioat *ioat)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < ioat->nchannels && !rc; i++) {
		ioat_channel_clear(&ioat->channels[i]);
		rc = ioat_channel_start(&ioat->channels[i]);
	}
	return rc;
}

static void init_channels(struct ioat *ioat)
{
	unsigned int i;

	for (i = 0; i < ioat->nchannels; i++) {
		ioat->channels[i].ioat = ioat;
		ioat->channels[i].index = i;
		pthread_cond_init(&ioat->channels[i].wake, NULL);
	}
}

static int ioat_create(const struct pci_params *params, struct pci_func **out)
{
	struct ioat *ioat = base_zalloc(params->alloc, sizeof(*ioat));
	struct pci_func_desc desc;
	int rc;

	if (!ioat)
		return -ENOMEM;
	rc = read_options(ioat, params);
	if (!rc) {
		desc = describe(ioat);
		rc = pci_func_init(&ioat->func, &ioat_ops, &desc, params);
	}
	if (rc) {
		base_free(params->alloc, ioat, sizeof(*ioat));
		return rc;
	}
	pthread_mutex_init(&ioat->lock, NULL);
	pthread_cond_init(&ioat->idle, NULL);
	add_config(&ioat->func);
	init_channels(ioat);
	pthread_mutex_lock(&ioat->lock);
	ioat_show(ioat);
	rc = start_channels(ioat);
	pthread_mutex_unlock(&ioat->lock);
	if (rc) {
		ioat_destroy(&ioat->func);
		return rc;
	}
	*out = &ioat->func;
	return 0;
}

const struct pci_model ioat_model = {
	.name = "ioat",
	.title = "Intel I/OAT DMA engine (Skylake-SP)",
	.help = "channels=N  DMA channels, 1 to 16 (1)\n"
		"xfer=BYTES  most bytes that a descriptor may move: a power of two (1M)\n",
	.create = ioat_create,
};
