// SPDX-License-Identifier: MIT
/*
 * Interrupts: a pin, MSI, or MSI-X.
 *
 * Which of them is used follows from the enable bits of the capabilities, whoever wrote
 * them: a driver, or pci_irq_set_mode(), which does what a kernel would do on behalf of the
 * driver. A message that is masked becomes pending, and is sent when the mask is gone.
 * One that the function may not send at all - bus mastering is off, nothing is set up -
 * is lost.
 *
 * The MSI-X table lies in a BAR, but is kept here. What its address and data words say
 * does not matter: a sink is told the vector's number.
 */
#include <string.h>

#include "func.h"

#define TABLE_WORDS (PCI_MSIX_ENTRY_SIZE / 4)
#define CTRL_WORD   (PCI_MSIX_ENTRY_VECTOR_CTRL / 4)

/* The address that a processor takes interrupts at. */
#define MESSAGE_ADDRESS 0xfee00000u

static size_t table_bytes(const struct pci_func *func)
{
	return (size_t)func->desc.msix_vectors * PCI_MSIX_ENTRY_SIZE;
}

static size_t pending_bytes(const struct pci_func *func)
{
	return align_up(func->desc.msix_vectors, 64) / 8;
}

static void mask_table(struct pci_func *func, unsigned int first)
{
	unsigned int i;

	for (i = first; i < func->desc.msix_vectors; i++) {
		u32 *entry = func->msix_table + (size_t)i * TABLE_WORDS;

		memset(entry, 0, PCI_MSIX_ENTRY_SIZE);
		entry[CTRL_WORD] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

int irq_init(struct pci_func *func)
{
	if (!func->desc.msix_vectors)
		return 0;
	func->msix_table = base_zalloc(func->alloc, table_bytes(func));
	if (!func->msix_table)
		return -ENOMEM;
	func->msix_pending = base_zalloc(func->alloc, pending_bytes(func));
	if (!func->msix_pending) {
		base_free(func->alloc, func->msix_table, table_bytes(func));
		return -ENOMEM;
	}
	mask_table(func, 0);
	return 0;
}

void irq_fini(struct pci_func *func)
{
	if (!func->desc.msix_vectors)
		return;
	base_free(func->alloc, func->msix_pending, pending_bytes(func));
	base_free(func->alloc, func->msix_table, table_bytes(func));
}

size_t irq_state_bytes(const struct pci_func *func)
{
	return table_bytes(func) + pending_bytes(func);
}

void irq_save(struct pci_func *func, u8 *out)
{
	if (!func->desc.msix_vectors)
		return;
	memcpy(out, func->msix_table, table_bytes(func));
	memcpy(out + table_bytes(func), func->msix_pending, pending_bytes(func));
}

void irq_load(struct pci_func *func, const u8 *in)
{
	unsigned int i;

	if (!func->desc.msix_vectors)
		return;
	memcpy(func->msix_table, in, table_bytes(func));
	for (i = 0; i < func->desc.msix_vectors; i++) {
		u32 *entry = func->msix_table + (size_t)i * TABLE_WORDS;

		entry[0] &= ~(u32)3;
		entry[CTRL_WORD] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	memcpy(func->msix_pending, in + table_bytes(func), pending_bytes(func));
	if (func->desc.msix_vectors % 64)
		func->msix_pending[func->desc.msix_vectors / 64] &=
			((u64)1 << func->desc.msix_vectors % 64) - 1;
}

/* MSI: mask and pending bits are words of the capability. */
static unsigned int msi_vectors(const struct pci_func *func)
{
	const u16 flags = config_get16(func->config, func->caps.msi + PCI_MSI_FLAGS);
	const unsigned int lg2 = (flags & PCI_MSI_FLAGS_QSIZE) >> 4;
	unsigned int n = lg2 > 5 ? 32 : 1u << lg2;

	return n < func->desc.msi_vectors ? n : func->desc.msi_vectors;
}

static u32 msi_pending(const struct pci_func *func)
{
	return config_get32(func->config, func->caps.msi + PCI_MSI_PENDING_64);
}

static void set_msi_pending(struct pci_func *func, u32 bits)
{
	config_put32(func->config, func->caps.msi + PCI_MSI_PENDING_64, bits);
}

/* Messages are writes to memory: only a bus master sends them. */
static bool may_send(struct pci_func *func)
{
	return pci_may_dma(func);
}

static void send(struct pci_func *func, unsigned int vector)
{
	if (!func->sink)
		return;
	pci_count(func, PCI_COUNT_INTERRUPTS, 1);
	func->sink->message(func->sink_arg, vector);
}

static bool msix_masked(const struct pci_func *func, unsigned int vector)
{
	const u16 flags = config_get16(func->config, func->caps.msix + PCI_MSIX_FLAGS);

	return flags & PCI_MSIX_FLAGS_MASKALL ||
	       func->msix_table[(size_t)vector * TABLE_WORDS + CTRL_WORD] &
		       PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static bool msi_masked(const struct pci_func *func, unsigned int vector)
{
	return config_get32(func->config, func->caps.msi + PCI_MSI_MASK_64) >> vector & 1;
}

static void send_pending_msix(struct pci_func *func)
{
	const unsigned int words = (unsigned int)(pending_bytes(func) / 8);
	unsigned int i;

	for (i = 0; i < words; i++) {
		u64 bits = func->msix_pending[i];

		while (bits) {
			unsigned int vector = i * 64 + lowest_bit(bits);

			bits &= bits - 1;
			if (vector < func->irq_vectors && !msix_masked(func, vector)) {
				func->msix_pending[i] &= ~((u64)1 << vector % 64);
				send(func, vector);
			}
		}
	}
}

static void send_pending_msi(struct pci_func *func)
{
	unsigned int vector;

	for (vector = 0; vector < func->irq_vectors; vector++) {
		if (msi_pending(func) >> vector & 1 && !msi_masked(func, vector)) {
			set_msi_pending(func, msi_pending(func) & ~(1u << vector));
			send(func, vector);
		}
	}
}

static void update_pin(struct pci_func *func)
{
	const u16 command = config_get16(func->config, PCI_COMMAND);
	bool level = func->intx && func->irq_mode == PCI_IRQ_INTX &&
		     !(command & PCI_COMMAND_INTX_DISABLE) && !atomic_load(&func->asleep);
	u16 status = config_get16(func->config, PCI_STATUS) & (u16)~PCI_STATUS_INTERRUPT;

	config_put16(func->config, PCI_STATUS, func->intx ? status | PCI_STATUS_INTERRUPT : status);
	if (level == func->intx_shown)
		return;
	func->intx_shown = level;
	if (level)
		pci_count(func, PCI_COUNT_INTERRUPTS, 1);
	if (func->sink)
		func->sink->intx(func->sink_arg, level);
}

void irq_update(struct pci_func *func)
{
	update_pin(func);
	if (!may_send(func))
		return;
	if (func->irq_mode == PCI_IRQ_MSIX)
		send_pending_msix(func);
	else if (func->irq_mode == PCI_IRQ_MSI)
		send_pending_msi(func);
}

static void forget_pending(struct pci_func *func)
{
	if (func->msix_pending)
		memset(func->msix_pending, 0, pending_bytes(func));
	if (func->caps.msi)
		set_msi_pending(func, 0);
}

void irq_follow(struct pci_func *func)
{
	enum pci_irq_mode mode = func->desc.intx ? PCI_IRQ_INTX : PCI_IRQ_NONE;
	unsigned int vectors = 0;

	if (func->caps.msix &&
	    config_get16(func->config, func->caps.msix + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE) {
		mode = PCI_IRQ_MSIX;
		vectors = func->desc.msix_vectors;
	} else if (func->caps.msi && config_get16(func->config, func->caps.msi + PCI_MSI_FLAGS) &
					     PCI_MSI_FLAGS_ENABLE) {
		mode = PCI_IRQ_MSI;
		vectors = msi_vectors(func);
	}
	func->irq_mode = mode;
	func->irq_vectors = vectors;
	irq_update(func);
}

void irq_reset(struct pci_func *func)
{
	forget_pending(func);
	if (func->msix_table)
		mask_table(func, 0);
	func->intx = false;
}

static void set_bits(struct pci_func *func, unsigned int offset, u16 clear, u16 set)
{
	const u16 old = config_get16(func->config, offset);

	config_put16(func->config, offset, (u16)((old & ~clear) | set));
}

static void set_up_msix(struct pci_func *func, unsigned int vectors)
{
	unsigned int i;

	for (i = 0; i < vectors; i++) {
		u32 *entry = func->msix_table + (size_t)i * TABLE_WORDS;

		entry[0] = MESSAGE_ADDRESS;
		entry[1] = 0;
		entry[2] = i;
		entry[CTRL_WORD] = 0;
	}
	mask_table(func, vectors);
	set_bits(func, func->caps.msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_MASKALL,
		 PCI_MSIX_FLAGS_ENABLE);
}

static void set_up_msi(struct pci_func *func, unsigned int vectors)
{
	const unsigned int lg2 = vectors > 1 ? highest_bit(roundup_pow2(vectors)) : 0;

	config_put32(func->config, func->caps.msi + PCI_MSI_ADDRESS_LO, MESSAGE_ADDRESS);
	config_put32(func->config, func->caps.msi + PCI_MSI_ADDRESS_HI, 0);
	config_put16(func->config, func->caps.msi + PCI_MSI_DATA_64, 0);
	config_put32(func->config, func->caps.msi + PCI_MSI_MASK_64, 0);
	set_bits(func, func->caps.msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_QSIZE,
		 (u16)(lg2 << 4 | PCI_MSI_FLAGS_ENABLE));
}

void pci_irq_set_mode(struct pci_func *func, enum pci_irq_mode mode, unsigned int vectors)
{
	const unsigned int most = mode == PCI_IRQ_MSIX	? func->desc.msix_vectors
				  : mode == PCI_IRQ_MSI ? func->desc.msi_vectors
							: 0;

	if (vectors > most)
		vectors = most;
	pthread_mutex_lock(&func->lock);
	config_settle(func);
	if (mode != func->irq_mode)
		forget_pending(func);
	if (func->caps.msi && mode != PCI_IRQ_MSI)
		set_bits(func, func->caps.msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 0);
	if (func->caps.msix && mode != PCI_IRQ_MSIX)
		set_bits(func, func->caps.msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 0);
	if (mode == PCI_IRQ_MSIX && vectors)
		set_up_msix(func, vectors);
	else if (mode == PCI_IRQ_MSI && vectors)
		set_up_msi(func, vectors);
	func->irq_mode = mode;
	func->irq_vectors = vectors;
	irq_update(func);
	pthread_mutex_unlock(&func->lock);
}

void pci_irq_listen(struct pci_func *func, const struct pci_irq_sink *sink, void *arg)
{
	pthread_mutex_lock(&func->lock);
	func->sink = sink;
	func->sink_arg = arg;
	/* Somebody new begins with a pin that is low. */
	func->intx_shown = false;
	update_pin(func);
	pthread_mutex_unlock(&func->lock);
}

void pci_irq_message(struct pci_func *func, unsigned int vector)
{
	pthread_mutex_lock(&func->lock);
	if (vector >= func->irq_vectors || !may_send(func)) {
		pthread_mutex_unlock(&func->lock);
		return;
	}
	if (func->irq_mode == PCI_IRQ_MSIX) {
		if (msix_masked(func, vector))
			func->msix_pending[vector / 64] |= (u64)1 << vector % 64;
		else
			send(func, vector);
	} else if (func->irq_mode == PCI_IRQ_MSI) {
		if (msi_masked(func, vector))
			set_msi_pending(func, msi_pending(func) | 1u << vector);
		else
			send(func, vector);
	}
	pthread_mutex_unlock(&func->lock);
}

void pci_irq_level(struct pci_func *func, bool asserted)
{
	pthread_mutex_lock(&func->lock);
	if (func->desc.intx && func->intx != asserted) {
		config_settle(func);
		func->intx = asserted;
		update_pin(func);
	}
	pthread_mutex_unlock(&func->lock);
}

enum pci_irq_mode pci_irq_mode(struct pci_func *func)
{
	enum pci_irq_mode mode;

	pthread_mutex_lock(&func->lock);
	mode = func->irq_mode;
	pthread_mutex_unlock(&func->lock);
	return mode;
}

unsigned int pci_irq_vectors(struct pci_func *func)
{
	unsigned int vectors;

	pthread_mutex_lock(&func->lock);
	vectors = func->irq_vectors;
	pthread_mutex_unlock(&func->lock);
	return vectors;
}

static bool inside(u64 offset, u64 start, size_t bytes)
{
	return offset >= start && offset - start < bytes;
}

bool irq_table_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
		    unsigned int bytes)
{
	const u8 *from;

	if (!func->desc.msix_vectors || bar != func->desc.msix_bar)
		return false;
	if (inside(offset, func->desc.msix_table, table_bytes(func)))
		from = (const u8 *)func->msix_table + (offset - func->desc.msix_table);
	else if (inside(offset, func->desc.msix_pba, pending_bytes(func)))
		from = (const u8 *)func->msix_pending + (offset - func->desc.msix_pba);
	else
		return false;
	pthread_mutex_lock(&func->lock);
	memcpy(buf, from, bytes);
	pthread_mutex_unlock(&func->lock);
	return true;
}

bool irq_table_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		     unsigned int bytes)
{
	u32 *entry;

	if (!func->desc.msix_vectors || bar != func->desc.msix_bar)
		return false;
	if (inside(offset, func->desc.msix_pba, pending_bytes(func)))
		return true;
	if (!inside(offset, func->desc.msix_table, table_bytes(func)))
		return false;
	offset -= func->desc.msix_table;
	pthread_mutex_lock(&func->lock);
	memcpy((u8 *)func->msix_table + offset, buf, bytes);
	entry = func->msix_table + offset / PCI_MSIX_ENTRY_SIZE * TABLE_WORDS;
	entry[0] &= ~(u32)3;
	entry[CTRL_WORD] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	irq_update(func);
	pthread_mutex_unlock(&func->lock);
	return true;
}
