/* SPDX-License-Identifier: MIT */
/*
 * A PCI function of a model that does nothing but note what it is asked, and somebody
 * who takes its interrupts: for tests of the framework alone, without a machine.
 */
#ifndef UNIT_DEVICES_FUNC_H
#define UNIT_DEVICES_FUNC_H

#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/pci.h"
#include "unit.h"

#define VENDOR	0x1af9
#define DEVICE	0x0042
#define VECTORS 70

#define TABLE 0x2000
#define PBA   0x2800

/* Accesses, in order. */
struct heard {
	bool write;
	unsigned int bar;
	u64 offset;
	unsigned int bytes;
	u8 data[64];
};

static struct base_alloc alloc;
static const struct base_log no_log;
static struct pci_func func;
static struct heard heard[64];
static unsigned int nheard, resets, config_writes;
static unsigned int messages[PCI_MAX_VECTORS];
static unsigned int pin_changes;
static bool pin;

static struct heard *hear(bool write, unsigned int bar, u64 offset, unsigned int bytes)
{
	struct heard *h = &heard[nheard++ % ARRAY_SIZE(heard)];

	*h = (struct heard){ write, bar, offset, bytes, { 0 } };
	return h;
}

static void model_read(struct pci_func *f, unsigned int bar, u64 offset, void *buf,
		       unsigned int bytes)
{
	u64 value = 0x8877665544332211ull;

	(void)f;
	hear(false, bar, offset, bytes);
	memcpy(buf, &value, bytes);
}

static void model_write(struct pci_func *f, unsigned int bar, u64 offset, const void *buf,
			unsigned int bytes)
{
	(void)f;
	memcpy(hear(true, bar, offset, bytes)->data, buf, bytes);
}

static void model_config_written(struct pci_func *f, unsigned int offset, unsigned int bytes)
{
	(void)f;
	(void)offset;
	(void)bytes;
	config_writes++;
}

static void model_reset(struct pci_func *f)
{
	(void)f;
	resets++;
}

static const struct pci_ops model_ops = {
	.read = model_read,
	.write = model_write,
	.config_written = model_config_written,
	.reset = model_reset,
};

static void sink_message(void *arg, unsigned int vector)
{
	(void)arg;
	messages[vector]++;
}

static void sink_intx(void *arg, bool asserted)
{
	(void)arg;
	pin = asserted;
	pin_changes++;
}

static const struct pci_irq_sink sink = { sink_message, sink_intx };

/* BAR 0: registers, nothing, trapped, memory; with MSI-X in what is trapped. BAR 2: a
 * small one of 32 bits. BAR 4: trapped alone. */
static inline struct pci_func_desc usual_desc(void)
{
	return (struct pci_func_desc){
		.vendor = VENDOR,
		.device = DEVICE,
		.subvendor = 0x1111,
		.subdevice = 0x2222,
		.class = 0x010802,
		.revision = 7,
		.intx = true,
		.msi_vectors = 8,
		.msix_vectors = VECTORS,
		.msix_bar = 0,
		.msix_table = TABLE,
		.msix_pba = PBA,
		.total_vfs = 3,
		.svm = true,
		.bars = {
			[0] = { .bytes = 0x10000, .is_64 = true, .nareas = 3,
				.areas = { { 0, 0x1000, PCI_AREA_REGISTERS },
					   { 0x2000, 0x2000, PCI_AREA_TRAPPED },
					   { 0x8000, 0x4000, PCI_AREA_MEMORY } } },
			[2] = { .bytes = 0x1000, .nareas = 1,
				.areas = { { 0, 0x1000, PCI_AREA_REGISTERS } } },
			[4] = { .bytes = 1ull << 33, .is_64 = true, .prefetchable = true,
				.nareas = 1, .areas = { { 0, 0x1000, PCI_AREA_TRAPPED } } },
		},
	};
}

static inline struct pci_params usual_params(void)
{
	return (struct pci_params){
		.alloc = &alloc,
		.log = &no_log,
		.name = "func",
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
		.options = "",
	};
}

static inline void func_with(const struct pci_func_desc *desc)
{
	const struct pci_params params = usual_params();

	nheard = resets = config_writes = pin_changes = 0;
	memset(messages, 0, sizeof(messages));
	pin = false;
	ASSERT_OK(pci_func_init(&func, &model_ops, desc, &params));
	pci_irq_listen(&func, &sink, NULL);
}

static inline void func_new(void)
{
	const struct pci_func_desc desc = usual_desc();

	func_with(&desc);
}

static inline void func_end(void)
{
	pci_func_fini(&func);
	EXPECT_EQ(0, atomic_load(&alloc.blocks));
	EXPECT_EQ(0, atomic_load(&alloc.bytes));
}

static inline u32 config_read(unsigned int offset, unsigned int bytes)
{
	u32 value = 0;

	pci_config_read(&func, offset, &value, bytes);
	return value;
}

static inline void config_write(unsigned int offset, u32 value, unsigned int bytes)
{
	pci_config_write(&func, offset, &value, bytes);
}

/* Memory and bus mastering on: what a driver does first. */
static inline void func_on(void)
{
	config_write(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static inline u64 bar_get(unsigned int bar, u64 offset, unsigned int bytes)
{
	u64 value = 0;

	EXPECT_OK(pci_bar_read(&func, bar, offset, &value, bytes));
	return value;
}

static inline void bar_put(unsigned int bar, u64 offset, u64 value, unsigned int bytes)
{
	EXPECT_OK(pci_bar_write(&func, bar, offset, &value, bytes));
}

#endif
