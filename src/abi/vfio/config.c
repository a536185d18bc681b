// SPDX-License-Identifier: MIT
/*
 * The configuration space, as a driver of VFIO sees it.
 *
 * Most of it is the function's own, which knows itself what can be written. In between
 * stand the rules of vfio-pci: what kind of interrupt is used is not decided here but by
 * SET_IRQS; capabilities that belong to the host are read-only or not in the chain; a
 * function level reset and a return from D3hot keep what the driver has written.
 *
 * Interrupts are the function's registers as well, so a driver sees in the MSI-X
 * capability what SET_IRQS has done.
 */
#include <string.h>

#include <linux/pci_regs.h>

#include "vfio.h"

#define NEXT(header) ((header) >> 20 & 0xffc)

unsigned int vfio_config_bytes(const struct siommu_pci *pci)
{
	return pci->func->desc.conventional ? PCI_CFG_SPACE_SIZE : PCI_CFG_SPACE_EXP_SIZE;
}

static u16 get16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static u32 get32(const u8 *p)
{
	return get16(p) | (u32)get16(p + 2) << 16;
}

static void put16(u8 *p, u16 value)
{
	p[0] = value & 0xff;
	p[1] = value >> 8;
}

static void put32(u8 *p, u32 value)
{
	put16(p, value & 0xffff);
	put16(p + 2, value >> 16);
}

/* What vfio-pci knows the length of, it shows. */
static bool cap_shown(u8 id)
{
	switch (id) {
	case PCI_CAP_ID_PM:
	case PCI_CAP_ID_VPD:
	case PCI_CAP_ID_MSI:
	case PCI_CAP_ID_VNDR:
	case PCI_CAP_ID_EXP:
	case PCI_CAP_ID_MSIX:
	case PCI_CAP_ID_AF:
		return true;
	default:
		return false;
	}
}

static bool ext_cap_shown(u16 id)
{
	switch (id) {
	case PCI_EXT_CAP_ID_ERR:
	case PCI_EXT_CAP_ID_VC:
	case PCI_EXT_CAP_ID_DSN:
	case PCI_EXT_CAP_ID_PWR:
	case PCI_EXT_CAP_ID_VNDR:
	case PCI_EXT_CAP_ID_ACS:
	case PCI_EXT_CAP_ID_ARI:
	case PCI_EXT_CAP_ID_ATS:
	case PCI_EXT_CAP_ID_SRIOV:
	case PCI_EXT_CAP_ID_PRI:
	case PCI_EXT_CAP_ID_TPH:
	case PCI_EXT_CAP_ID_LTR:
	case PCI_EXT_CAP_ID_DVSEC:
		return true;
	default:
		return false;
	}
}

static void hide_caps(u8 *config)
{
	unsigned int link = PCI_CAPABILITY_LIST, steps;
	bool any = false;

	for (steps = 0; config[link] && steps < PCI_CFG_SPACE_SIZE / 4; steps++) {
		u8 at = config[link] & ~3u;

		if (cap_shown(config[at])) {
			any = true;
			link = at + PCI_CAP_LIST_NEXT;
		} else {
			config[link] = config[at + PCI_CAP_LIST_NEXT];
		}
	}
	if (!any)
		config[PCI_STATUS] &= (u8)~PCI_STATUS_CAP_LIST;
}

/* The first one cannot be left out, as the list begins where it is: it stays without id. */
static void hide_ext_caps(u8 *config)
{
	unsigned int at = PCI_CFG_SPACE_SIZE, last = 0, steps;
	bool any = false;

	for (steps = 0; at >= PCI_CFG_SPACE_SIZE && steps < PCI_CFG_SPACE_EXP_SIZE / 4; steps++) {
		u32 header = get32(config + at);
		bool shown = header && ext_cap_shown(header & 0xffff);

		any |= shown;
		if (!shown && last)
			put32(config + last, (get32(config + last) & 0xfffff) | NEXT(header) << 20);
		else
			last = at;
		if (!shown && at == PCI_CFG_SPACE_SIZE)
			put32(config + at, NEXT(header) << 20);
		at = NEXT(header);
	}
	if (!any)
		put32(config + PCI_CFG_SPACE_SIZE, 0);
}

/* A virtual function's own header says little; who it is says its physical one. */
static void show_vf(const struct siommu_pci *pci, u8 *config)
{
	put16(config + PCI_VENDOR_ID, pci->func->desc.vendor);
	put16(config + PCI_DEVICE_ID, pci->func->desc.device);
	if (pci->vf_memory)
		config[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	config[PCI_INTERRUPT_PIN] = 0;
}

/* Power management events are the host's. */
static void hide_pme(const struct siommu_pci *pci, u8 *config)
{
	unsigned int pm = pci_find_cap(pci->func, PCI_CAP_ID_PM);

	if (!pm)
		return;
	put16(config + pm + PCI_PM_PMC,
	      get16(config + pm + PCI_PM_PMC) & (u16)~PCI_PM_CAP_PME_MASK);
	put16(config + pm + PCI_PM_CTRL,
	      get16(config + pm + PCI_PM_CTRL) &
		      (u16) ~(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
}

void vfio_config_read(struct siommu_pci *pci, unsigned int offset, void *buf, unsigned int n)
{
	u8 config[PCI_CONFIG_BYTES];

	pci_config_read(pci->func, 0, config, sizeof(config));
	hide_caps(config);
	if (!pci->func->desc.conventional)
		hide_ext_caps(config);
	hide_pme(pci, config);
	if (pci->physfn)
		show_vf(pci, config);
	memcpy(buf, config + offset, n);
}

bool vfio_memory_enabled(struct siommu_pci *pci)
{
	struct pci_func *func = pci->func;

	if (atomic_load(&func->asleep))
		return false;
	return pci->physfn || atomic_load(&func->command) & PCI_COMMAND_MEMORY;
}

/* Where the capability begins that has @at, and its id; 0 for none. */
static unsigned int cap_with(const u8 *config, unsigned int at, u16 *id)
{
	unsigned int cap, found = 0, steps;

	if (at < PCI_CFG_SPACE_SIZE) {
		cap = config[PCI_CAPABILITY_LIST];
		for (steps = 0; cap && steps < PCI_CFG_SPACE_SIZE / 4; steps++) {
			cap &= ~3u;
			if (cap <= at && cap > found)
				found = cap;
			cap = config[cap + PCI_CAP_LIST_NEXT];
		}
		*id = config[found];
		return found;
	}
	cap = PCI_CFG_SPACE_SIZE;
	for (steps = 0; cap >= PCI_CFG_SPACE_SIZE && steps < PCI_CFG_SPACE_EXP_SIZE / 4; steps++) {
		if (cap <= at && cap > found)
			found = cap;
		cap = NEXT(get32(config + cap));
	}
	*id = get16(config + found);
	return found;
}

/**
 * struct config_write - what is written
 * @open: by whom
 * @cap: the capability that it lies in; 0 for the header
 * @at: where, counted from the start of that
 * @buf: the bytes
 * @n: up to 4, within an aligned word of 4
 */
struct config_write {
	struct vfio_open *open;
	unsigned int cap;
	unsigned int at;
	u8 buf[4];
	unsigned int n;
};

static void pass(const struct config_write *w)
{
	pci_config_write(w->open->pci->func, w->cap + w->at, w->buf, w->n);
}

/* Only those bytes of [@from, @to) go on. */
static void pass_between(const struct config_write *w, unsigned int from, unsigned int to)
{
	unsigned int i;

	for (i = 0; i < w->n; i++)
		if (w->at + i >= from && w->at + i < to)
			pci_config_write(w->open->pci->func, w->cap + w->at + i, w->buf + i, 1);
}

/* The byte that is written to @at, or NULL. */
static u8 *byte_at(struct config_write *w, unsigned int at)
{
	return at >= w->at && at - w->at < w->n ? &w->buf[at - w->at] : NULL;
}

static void write_command(struct config_write *w)
{
	struct vfio_open *open = w->open;
	u8 *low = byte_at(w, PCI_COMMAND), *high = byte_at(w, PCI_COMMAND + 1);

	pass_between(w, PCI_COMMAND, PCI_COMMAND + 2);
	if (low && open->pci->physfn)
		open->pci->vf_memory = *low & PCI_COMMAND_MEMORY;
	if (low)
		vfio_feature_memory(open->pci);
	if (high)
		vfio_irq_intx_disable(open, *high & PCI_COMMAND_INTX_DISABLE >> 8);
}

static void write_header(struct config_write *w)
{
	if (w->at == PCI_COMMAND || w->at == PCI_COMMAND + 1)
		write_command(w);
	else if (w->at >= PCI_CACHE_LINE_SIZE)
		pass(w);
}

/* Coming back from D3hot a function has lost everything, and the kernel restores it. */
static void write_power(struct config_write *w)
{
	u8 *control = byte_at(w, PCI_PM_CTRL);
	struct siommu_pci *pci = w->open->pci;
	bool wakes =
		control && !(*control & PCI_PM_CTRL_STATE_MASK) && atomic_load(&pci->func->asleep);

	if (wakes) {
		vfio_reset_by(pci, w->cap + w->at, w->buf, w->n);
		return;
	}
	pass_between(w, PCI_PM_CTRL, PCI_PM_CTRL + 2);
	if (control)
		vfio_feature_memory(pci);
}

/* MSI is enabled by SET_IRQS, which also sets how many vectors there can be. */
static void write_msi(struct config_write *w)
{
	u8 *flags = byte_at(w, PCI_MSI_FLAGS);
	struct vfio_open *open = w->open;
	unsigned int most = 0;

	if (flags && open->irq_index == VFIO_PCI_MSI_IRQ_INDEX) {
		most = open->ntriggers > 1 ? highest_bit(roundup_pow2(open->ntriggers)) : 0;
	} else if (flags) {
		*flags &= (u8)~PCI_MSI_FLAGS_ENABLE;
	}
	if (flags && (unsigned int)(*flags & PCI_MSI_FLAGS_QSIZE) >> 4 > most)
		*flags = (u8)((*flags & ~PCI_MSI_FLAGS_QSIZE) | most << 4);
	pass(w);
}

static void write_express(struct config_write *w)
{
	u8 *control = byte_at(w, PCI_EXP_DEVCTL + 1);
	bool resets = control && *control & PCI_EXP_DEVCTL_BCR_FLR >> 8;

	if (resets)
		*control &= (u8) ~(PCI_EXP_DEVCTL_BCR_FLR >> 8);
	pass_between(w, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL + 2);
	pass_between(w, PCI_EXP_DEVCTL2, PCI_EXP_DEVCTL2 + 2);
	if (resets)
		vfio_reset(w->open->pci);
}

static void write_af(struct config_write *w)
{
	u8 *control = byte_at(w, PCI_AF_CTRL);

	if (control && *control & PCI_AF_CTRL_FLR)
		vfio_reset(w->open->pci);
}

static void write_cap(struct config_write *w, u16 id)
{
	switch (id) {
	case PCI_CAP_ID_PM:
		write_power(w);
		break;
	case PCI_CAP_ID_MSI:
		write_msi(w);
		break;
	case PCI_CAP_ID_EXP:
		write_express(w);
		break;
	case PCI_CAP_ID_AF:
		write_af(w);
		break;
	case PCI_CAP_ID_VPD:
	case PCI_CAP_ID_VNDR:
		pass(w);
		break;
	default:
		break;
	}
}

static void write_ext_cap(struct config_write *w, u16 id)
{
	switch (id) {
	case PCI_EXT_CAP_ID_ERR:
		pass_between(w, PCI_ERR_UNCOR_STATUS, PCI_ERR_HEADER_LOG);
		break;
	case PCI_EXT_CAP_ID_VNDR:
	case PCI_EXT_CAP_ID_DVSEC:
		pass(w);
		break;
	default:
		break;
	}
}

/* Within an aligned word; with irq_lock. */
static void write_piece(struct vfio_open *open, const u8 *config, unsigned int offset,
			const u8 *buf, unsigned int n)
{
	struct config_write w = { .open = open, .at = offset, .n = n };
	u16 id;

	memcpy(w.buf, buf, n);
	if (offset < PCI_STD_HEADER_SIZEOF) {
		write_header(&w);
		return;
	}
	w.cap = cap_with(config, offset, &id);
	if (!w.cap)
		return;
	w.at = offset - w.cap;
	if (offset < PCI_CFG_SPACE_SIZE)
		write_cap(&w, id);
	else
		write_ext_cap(&w, id);
}

void vfio_config_write(struct vfio_open *open, unsigned int offset, const void *buf, unsigned int n)
{
	struct siommu_pci *pci = open->pci;
	u8 config[PCI_CONFIG_BYTES];
	const u8 *in = buf;

	pthread_mutex_lock(&open->irq_lock);
	pci_config_read(pci->func, 0, config, sizeof(config));
	while (n) {
		unsigned int piece = 4 - (offset & 3);

		piece = piece < n ? piece : n;
		write_piece(open, config, offset, in, piece);
		offset += piece;
		in += piece;
		n -= piece;
	}
	pthread_mutex_unlock(&open->irq_lock);
}
