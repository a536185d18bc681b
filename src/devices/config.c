// SPDX-License-Identifier: MIT
/*
 * The configuration space as a driver sees it: bytes, of which func->writable and
 * func->clearable say what writing does. What follows from a register's new value
 * is looked up after the write, whatever its size and alignment were.
 */
#include <string.h>

#include "func.h"

/* What a write leads to once func->lock is dropped. */
enum config_effect {
	EFFECT_NONE,
	EFFECT_RESET,
};

static unsigned int config_bytes(const struct pci_func *func)
{
	return func->desc.conventional ? PCI_CFG_SPACE_SIZE : PCI_CFG_SPACE_EXP_SIZE;
}

void config_settle(struct pci_func *func)
{
	if (func->settled)
		return;
	memcpy(func->initial, func->config, sizeof(func->initial));
	func->settled = true;
}

void config_reset(struct pci_func *func)
{
	u8 sticky[PCI_ERR_HEADER_LOG];
	const unsigned int aer = func->caps.aer;

	/* What has gone wrong, and what is to be said about it, outlives a reset. */
	if (aer)
		memcpy(sticky, func->config + aer, sizeof(sticky));
	memcpy(func->config, func->initial, sizeof(func->config));
	if (aer)
		memcpy(func->config + aer, sticky, sizeof(sticky));
}

static unsigned int power_state(const struct pci_func *func)
{
	if (!func->caps.pm)
		return 0;
	return func->config[func->caps.pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK;
}

void config_follow(struct pci_func *func)
{
	atomic_store(&func->asleep, power_state(func) == 3);
	atomic_store(&func->command, config_get16(func->config, PCI_COMMAND));
}

void pci_config_read(struct pci_func *func, unsigned int offset, void *buf, unsigned int bytes)
{
	const unsigned int limit = config_bytes(func);
	unsigned int n = 0;

	if (offset < limit)
		n = bytes < limit - offset ? bytes : limit - offset;
	pthread_mutex_lock(&func->lock);
	memcpy(buf, func->config + (n ? offset : 0), n);
	pthread_mutex_unlock(&func->lock);
	memset((u8 *)buf + n, 0, bytes - n);
}

/* The byte that is written to @where, or 0 if it is not written to. */
static u8 written(unsigned int where, unsigned int offset, const u8 *in, unsigned int bytes)
{
	return where >= offset && where - offset < bytes ? in[where - offset] : 0;
}

/* Function level reset is a bit that is never stored: to write it is to reset. */
static bool wants_reset(const struct pci_func *func, unsigned int offset, const u8 *in,
			unsigned int bytes)
{
	if (func->caps.express &&
	    written(func->caps.express + PCI_EXP_DEVCTL + 1u, offset, in, bytes) &
		    PCI_EXP_DEVCTL_BCR_FLR >> 8)
		return true;
	return func->caps.af &&
	       written(func->caps.af + PCI_AF_CTRL + 0u, offset, in, bytes) & PCI_AF_CTRL_FLR;
}

static enum config_effect follow_power(struct pci_func *func, unsigned int old)
{
	const unsigned int state = power_state(func);

	/* D1 and D2 do not exist: asking for them changes nothing. */
	if (state == 1 || state == 2) {
		func->config[func->caps.pm + PCI_PM_CTRL] &= (u8)~PCI_PM_CTRL_STATE_MASK;
		func->config[func->caps.pm + PCI_PM_CTRL] |= (u8)old;
		return EFFECT_NONE;
	}
	/* It has lost its state (No_Soft_Reset is clear), and sleeps until it is reset. */
	if (old == 3 && state == 0)
		return EFFECT_RESET;
	atomic_store(&func->asleep, state == 3);
	return EFFECT_NONE;
}

/* The number of virtual functions stays while there are any, and within what there can be. */
static void follow_sriov(struct pci_func *func, const u8 *old)
{
	u8 *cap = func->config + func->caps.sriov;

	if (!func->caps.sriov)
		return;
	if (config_get16(old, PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE ||
	    config_get16(cap, PCI_SRIOV_NUM_VF) > config_get16(cap, PCI_SRIOV_TOTAL_VF))
		memcpy(cap + PCI_SRIOV_NUM_VF, old + PCI_SRIOV_NUM_VF, 2);
}

static void follow_pri(struct pci_func *func)
{
	u8 *cap = func->config + func->caps.pri;
	u16 status;

	if (!func->caps.pri)
		return;
	status = config_get16(cap, PCI_PRI_STATUS) & (u16)~PCI_PRI_STATUS_STOPPED;
	if (!(config_get16(cap, PCI_PRI_CTRL) & PCI_PRI_CTRL_ENABLE))
		status |= PCI_PRI_STATUS_STOPPED;
	config_put16(cap, PCI_PRI_STATUS, status);
}

/* All that chooses how it interrupts: the enable bits, and how many vectors MSI has. */
static u32 irq_choice(const struct pci_func *func)
{
	u16 msi = 0, msix = 0;

	if (func->caps.msi)
		msi = config_get16(func->config, func->caps.msi + PCI_MSI_FLAGS);
	if (func->caps.msix)
		msix = config_get16(func->config, func->caps.msix + PCI_MSIX_FLAGS);
	msi &= msi & PCI_MSI_FLAGS_ENABLE ? PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE : 0;
	return msi | (u32)(msix & PCI_MSIX_FLAGS_ENABLE) << 16;
}

static enum config_effect store(struct pci_func *func, unsigned int offset, const u8 *in,
				unsigned int bytes)
{
	const u32 irqs = irq_choice(func);
	const unsigned int power = power_state(func);
	u8 sriov[PCI_EXT_CAP_SRIOV_SIZEOF];
	enum config_effect effect;
	unsigned int i;

	memcpy(sriov, func->config + func->caps.sriov, sizeof(sriov));
	for (i = 0; i < bytes; i++) {
		u8 *at = &func->config[offset + i];
		const u8 writable = func->writable[offset + i];

		*at = (u8)((*at & ~writable) | (in[i] & writable));
		*at &= (u8) ~(in[i] & func->clearable[offset + i]);
	}
	effect = follow_power(func, power);
	follow_sriov(func, sriov);
	follow_pri(func);
	atomic_store(&func->command, config_get16(func->config, PCI_COMMAND));
	if (irq_choice(func) != irqs)
		irq_follow(func);
	else
		irq_update(func);
	return wants_reset(func, offset, in, bytes) ? EFFECT_RESET : effect;
}

void pci_config_write(struct pci_func *func, unsigned int offset, const void *buf,
		      unsigned int bytes)
{
	const unsigned int limit = config_bytes(func);
	enum config_effect effect;

	if (offset >= limit || !bytes)
		return;
	if (bytes > limit - offset)
		bytes = limit - offset;
	pthread_mutex_lock(&func->lock);
	config_settle(func);
	effect = store(func, offset, buf, bytes);
	pthread_mutex_unlock(&func->lock);
	if (effect == EFFECT_RESET)
		pci_func_reset(func);
	if (func->ops->config_written)
		func->ops->config_written(func, offset, bytes);
}
