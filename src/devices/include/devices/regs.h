/* SPDX-License-Identifier: MIT */
/*
 * Registers of models: showing them to the driver, and taking a store apart that may
 * cover several of them, or a part of one. Little-endian, as PCI is.
 */
#ifndef DEVICES_REGS_H
#define DEVICES_REGS_H

#include <string.h>

#include "devices/pci.h"

/* Show @value in the @bytes (1, 2, 4 or 8, aligned) at @offset: a driver sees it all at once. */
static inline void pci_reg_show(struct pci_func *func, unsigned int bar, u64 offset, u64 value,
				unsigned int bytes)
{
	void *at = func->desc.bars[bar].memory + offset;

	switch (bytes) {
	case 1:
		__atomic_store_n((u8 *)at, (u8)value, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((u16 *)at, (u16)value, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((u32 *)at, (u32)value, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((u64 *)at, value, __ATOMIC_RELEASE);
	}
}

/*
 * What a store of @n bytes at @offset means for the register of @bytes (up to 8) at
 * @reg: its bits in their places, and which of them were stored. Return: false if
 * none was.
 */
static inline bool pci_reg_stored(u64 offset, const void *buf, unsigned int n, u64 reg,
				  unsigned int bytes, u64 *value, u64 *mask)
{
	u64 first = max_u64(offset, reg), end = min_u64(offset + n, reg + bytes);

	if (first >= end)
		return false;
	*value = *mask = 0;
	memcpy((u8 *)value + (first - reg), (const u8 *)buf + (first - offset), end - first);
	memset((u8 *)mask + (first - reg), 0xff, end - first);
	return true;
}

#endif
