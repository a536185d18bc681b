/* SPDX-License-Identifier: MIT */
/*
 * What the tests of DMA engines share: a function behind VT-d, memory that it may
 * access and memory that it may not, and a driver's hands: registers, messages.
 */
#ifndef UNIT_ENGINE_RIG_H
#define UNIT_ENGINE_RIG_H

#include <linux/pci_regs.h>
#include <poll.h>
#include <sched.h>

#include "devices/pci.h"
#include "iommu/vtd_rig.h"

#define RAM	  0x10000000ull	 /* address of the memory for the device */
#define NOWHERE	  0x7f0000000ull /* there is nothing */
#define RAM_BYTES (8 * MiB)

static struct {
	struct rig rig;
	struct base_alloc alloc;
	struct pci_func *func;
	uint8_t *ram;
	_Atomic unsigned int messages[PCI_MAX_VECTORS];
	_Atomic unsigned int pins;
	_Atomic bool pin;
} bench;

static inline void on_message(void *arg, unsigned int vector)
{
	(void)arg;
	atomic_fetch_add(&bench.messages[vector], 1);
}

static inline void on_pin(void *arg, bool asserted)
{
	(void)arg;
	bench.pin = asserted;
	atomic_fetch_add(&bench.pins, asserted);
}

static const struct pci_irq_sink bench_sink = { .message = on_message, .intx = on_pin };

static inline const struct pci_model *find_model(const char *name)
{
	const struct pci_model *const *m;

	for (m = pci_models; *m; m++)
		if (!strcmp((*m)->name, name))
			return *m;
	return NULL;
}

static inline int make_function(const char *model, const char *options, struct pci_func **out)
{
	static const struct base_log quiet;
	char error[128] = "";
	const struct pci_params params = {
		.alloc = &bench.alloc,
		.log = &quiet,
		.name = model,
		.dev = bench.rig.dev,
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
		.options = options,
		.error = error,
		.error_bytes = sizeof(error),
	};
	int rc = find_model(model)->create(&params, out);

	EXPECT_TRUE(rc != -EINVAL || error[0]);
	return rc;
}

static inline uint64_t get_reg(unsigned int bar, uint64_t offset, unsigned int bytes)
{
	uint64_t value = 0;

	EXPECT_OK(pci_bar_read(bench.func, bar, offset, &value, bytes));
	return value;
}

static inline void set_reg(unsigned int bar, uint64_t offset, uint64_t value, unsigned int bytes)
{
	EXPECT_OK(pci_bar_write(bench.func, bar, offset, &value, bytes));
}

static inline uint32_t get_config(unsigned int offset, unsigned int bytes)
{
	uint32_t value = 0;

	pci_config_read(bench.func, offset, &value, bytes);
	return value;
}

static inline void set_config(unsigned int offset, uint32_t value, unsigned int bytes)
{
	pci_config_write(bench.func, offset, &value, bytes);
}

static inline void bench_listen(enum pci_irq_mode mode)
{
	unsigned int i;

	for (i = 0; i < PCI_MAX_VECTORS; i++)
		bench.messages[i] = 0;
	bench.pins = 0;
	bench.pin = false;
	pci_irq_listen(bench.func, &bench_sink, NULL);
	pci_irq_set_mode(bench.func, mode, PCI_MAX_VECTORS);
}

static inline void bench_master(void)
{
	set_config(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static inline void bench_begin(const char *model, const char *options)
{
	uint32_t id;

	bench.rig = rig_new("");
	bench.ram = buffer(RAM_BYTES);
	ASSERT_OK(map_at(bench.rig.ioas, bench.ram, RAM_BYTES, RAM));
	/* With this one, PASIDs can be attached too. */
	ASSERT_OK(hwpt_alloc(bench.rig.id, bench.rig.ioas, PASID, &id));
	ASSERT_OK(siommu_device_attach(bench.rig.bound, 0, &id));
	memset(&bench.alloc, 0, sizeof(bench.alloc));
	ASSERT_OK(make_function(model, options, &bench.func));
	bench_master();
	bench_listen(PCI_IRQ_MSIX);
}

static inline void bench_end(void)
{
	pci_irq_listen(bench.func, NULL, NULL);
	pci_func_destroy(bench.func);
	EXPECT_EQ(0, bench.alloc.blocks);
	EXPECT_EQ(0, bench.alloc.bytes);
	rig_end(&bench.rig);
}

static inline uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Wait up to ten seconds for @cond; it is an error if that never comes. */
#define WAIT_FOR(cond)                                                                             \
	do {                                                                                       \
		uint64_t wait_until = now_ms() + 10000;                                            \
                                                                                                   \
		while (!(cond) && now_ms() < wait_until)                                           \
			sched_yield();                                                             \
		ASSERT_TRUE(cond);                                                                 \
	} while (0)

/*
 * A driver polls memory that its device writes, and several channels may write the same:
 * that is what these functions move, and no state of ours.
 */
const char *__tsan_default_suppressions(void);

__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
	return "race:transfer_fast\nrace:dma_copy_to\nrace:dma_copy_from\nrace:copy_piece\n";
}

static inline void fill_random(void *p, size_t n, uint64_t *seed)
{
	uint8_t *to = p;
	size_t i;

	for (i = 0; i < n; i++)
		to[i] = (uint8_t)unit_random(seed);
}

#endif
