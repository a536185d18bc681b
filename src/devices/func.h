/* SPDX-License-Identifier: MIT */
/* What the files of the framework share. Models see devices/pci.h alone. */
#ifndef DEVICES_FUNC_H
#define DEVICES_FUNC_H

#include <linux/pci_regs.h>

#include "devices/pci.h"

static inline u16 config_get16(const u8 *config, unsigned int offset)
{
	return (u16)(config[offset] | config[offset + 1] << 8);
}

static inline u32 config_get32(const u8 *config, unsigned int offset)
{
	return config_get16(config, offset) | (u32)config_get16(config, offset + 2) << 16;
}

static inline void config_put16(u8 *config, unsigned int offset, u16 value)
{
	config[offset] = (u8)value;
	config[offset + 1] = (u8)(value >> 8);
}

static inline void config_put32(u8 *config, unsigned int offset, u32 value)
{
	config_put16(config, offset, (u16)value);
	config_put16(config, offset + 2, (u16)(value >> 16));
}

/* caps.c: everything of the configuration space that follows from func->desc. */
void caps_init(struct pci_func *func, const struct pci_params *params);

/* config.c: all with func->lock held */

/* The configuration space is about to change: keep what it is after a reset. */
void config_settle(struct pci_func *func);

/* It is as after a reset again. */
void config_reset(struct pci_func *func);

/* It was changed otherwise than by pci_config_write(): command and power state follow. */
void config_follow(struct pci_func *func);

/* irq.c: all but the first two with func->lock held */
int irq_init(struct pci_func *func) __must_check;
void irq_fini(struct pci_func *func);

/* Its part of the state that migrates, with the lock but for the first. */
size_t irq_state_bytes(const struct pci_func *func);
void irq_save(struct pci_func *func, u8 *out);
void irq_load(struct pci_func *func, const u8 *in);

/* Mode and vectors follow from the capabilities' enable bits. */
void irq_follow(struct pci_func *func);

/* Masks, the pin's disable bit, or what holds messages back, may have changed. */
void irq_update(struct pci_func *func);

void irq_reset(struct pci_func *func);

/*
 * The function's MSI-X table and pending bits, without func->lock: is [@offset, @offset +
 * @bytes), aligned to its size, in them? If so, it is done.
 */
bool irq_table_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
		    unsigned int bytes);
bool irq_table_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		     unsigned int bytes);

/* bar.c */
int bars_init(struct pci_func *func) __must_check;
void bars_fini(struct pci_func *func);

#endif
