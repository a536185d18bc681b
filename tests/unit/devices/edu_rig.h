/* SPDX-License-Identifier: MIT */
/*
 * An edu device behind VT-d, its IOAS with memory at IOVA, and what a driver of it does.
 */
#ifndef UNIT_DEVICES_EDU_RIG_H
#define UNIT_DEVICES_EDU_RIG_H

#include <time.h>
#include <linux/pci_regs.h>

#include "iommu/vtd_rig.h"

#include "devices/pci.h"
#include "edu/regs.h"

#define IOVA  0x100000ull
#define BYTES (64 * PAGE)

static struct rig r;
static struct base_alloc alloc;
static const struct base_log no_log;
static struct pci_func *edu;
static uint8_t *ram;
static uint32_t hwpt;
static _Atomic unsigned int messages[64];
static _Atomic bool pin;

static void sink_message(void *arg, unsigned int vector)
{
	(void)arg;
	atomic_fetch_add(&messages[vector], 1);
}

static void sink_intx(void *arg, bool asserted)
{
	(void)arg;
	atomic_store(&pin, asserted);
}

static const struct pci_irq_sink sink = { sink_message, sink_intx };

static inline const struct pci_model *model_named(const char *name)
{
	unsigned int i;

	for (i = 0; pci_models[i]; i++) {
		if (!strcmp(pci_models[i]->name, name))
			return pci_models[i];
	}
	return NULL;
}

static char error[256];

static inline struct pci_params edu_params(struct siommu_device *dev, const char *options)
{
	return (struct pci_params){
		.alloc = &alloc,
		.log = &no_log,
		.name = "edu",
		.dev = dev,
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
		.options = options,
		.error = error,
		.error_bytes = sizeof(error),
	};
}

static inline void func_on(struct pci_func *func)
{
	const u16 on = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	pci_config_write(func, PCI_COMMAND, &on, 2);
}

static inline void edu_begin_with(const char *options, unsigned int hwpt_flags, uint32_t fault)
{
	struct pci_params params;
	unsigned int i;

	r = rig_new("");
	for (i = 0; i < 64; i++)
		atomic_store(&messages[i], 0);
	atomic_store(&pin, false);
	params = edu_params(r.dev, options);
	ASSERT_OK(model_named("edu")->create(&params, &edu));
	pci_irq_listen(edu, &sink, NULL);
	func_on(edu);
	ram = buffer(BYTES);
	ASSERT_OK(map_at(r.ioas, ram, BYTES, IOVA));
	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, hwpt_flags, fault, 0, NULL, 0, &hwpt));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &hwpt));
}

static inline void edu_begin(const char *options)
{
	edu_begin_with(options, 0, 0);
}

static inline void edu_end(void)
{
	pci_func_destroy(edu);
	EXPECT_EQ(0, atomic_load(&alloc.blocks));
	rig_end(&r);
}

static inline u64 get_of(struct pci_func *func, unsigned int offset, unsigned int bytes)
{
	u64 value = 0;

	EXPECT_OK(pci_bar_read(func, EDU_REG_BAR, offset, &value, bytes));
	return value;
}

static inline u32 get32(unsigned int offset)
{
	return (u32)get_of(edu, offset, 4);
}

static inline u64 get64(unsigned int offset)
{
	return get_of(edu, offset, 8);
}

static inline void put32(unsigned int offset, u32 value)
{
	EXPECT_OK(pci_bar_write(edu, EDU_REG_BAR, offset, &value, 4));
}

static inline void put64(unsigned int offset, u64 value)
{
	EXPECT_OK(pci_bar_write(edu, EDU_REG_BAR, offset, &value, 8));
}

static inline void sleep_us(long us)
{
	const struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

/* Until @cond, for ten seconds at most: far more than anything here takes. */
#define WAIT_FOR(cond)                                                                             \
	do {                                                                                       \
		unsigned int wait_n = 0;                                                           \
		while (!(cond) && wait_n++ < 100000)                                               \
			sleep_us(100);                                                             \
		ASSERT_TRUE(cond);                                                                 \
	} while (0)

static inline u32 finished(void)
{
	WAIT_FOR(!(get32(EDU_STATUS) & EDU_STATUS_BUSY));
	return get32(EDU_RESULT);
}

static inline void start(u32 command, u64 address, u64 length)
{
	put64(EDU_ADDR, address);
	put64(EDU_LENGTH, length);
	put32(EDU_COMMAND, command);
}

static inline u32 run(u32 command, u64 address, u64 length)
{
	start(command, address, length);
	return finished();
}

/* The next request in a fault queue, once it is there. */
static inline struct iommu_hwpt_pgfault request_from(int fd)
{
	struct iommu_hwpt_pgfault request;
	unsigned int n = 0;

	while (siommu_read(ctx, fd, &request, sizeof(request)) != sizeof(request)) {
		ASSERT_TRUE(n++ < 100000);
		sleep_us(100);
	}
	return request;
}

static inline u8 *edu_memory(struct pci_func *func)
{
	return func->desc.bars[EDU_MEM_BAR].memory;
}

#endif
