// SPDX-License-Identifier: MIT
/*
 * Fuzzing device models: a driver that does what it likes with the configuration space,
 * the BARs and the memory that its device may reach.
 *
 * The input is a model with options and a small program. Some pages of memory are for
 * the device to write, some to read, some are not mapped for it, and which ones changes.
 * Commands and descriptors are bytes of the input.
 *
 * Whatever happens: memory that the device may not write never changes, calls return,
 * identity and chains of capabilities stay, a reset device does nothing, state that was
 * saved can be loaded, state that was bent is loaded or refused, and when the device is
 * gone, so is its memory.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/pci_regs.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "devices/pci.h"
#include "fuzz.h"

#define PAGE	  4096ull
#define MAX_STEPS 128
#define PAGES	  24
#define READ_ONLY 16 /* pages from here up the device may only read */
#define UNMAPPED  20 /* and from here up not even that */
#define IOVA	  (16 * PAGE)

/* Options that change what a model is; each works for its model alone. */
static const struct {
	const char *model;
	const char *options;
} options[] = {
	{ "nvme", "size=1M" }, { "edu", "memory=64K" }, { "edu", "memory=4K,vectors=1,vfs=0" },
	{ "ioat", "" },	       { "dsa", "" },		{ "igb", "" },
};

#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static struct {
	struct input in;
	const struct pci_model *model;
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	uint32_t dev_id, ioas;
	bool mapped;
	bool stopped;
	struct base_alloc alloc;
	struct pci_func *func;
	uint8_t *memory;
	uint8_t copy[(PAGES - READ_ONLY) * PAGE];
	uint32_t ids;
} w;

static const struct base_log no_log;

static void broken(const char *what, uint64_t value)
{
	fprintf(stderr, "pci_fuzz: %s: %s (%#llx)\n", w.model ? w.model->name : "-", what,
		(unsigned long long)value);
	abort();
}

static int call(unsigned long request, void *arg)
{
	return siommu_ioctl(w.ctx, request, arg);
}

/* A number: an edge, an address, or the input's own. */
static uint64_t take_value(void)
{
	uint8_t s = take_u8(&w.in);

	if (s >= RAW)
		return take(&w.in, 8);
	if (s < 0x40)
		return s;
	if (s < 0x80)
		return IOVA + (s & 31) * PAGE + take_u8(&w.in) * 16ull;
	if (s < 0xc0)
		return 1ull << (s & 63);
	return (1ull << (s & 31)) - 1;
}

static unsigned int take_bytes(void)
{
	static const unsigned int sizes[] = { 4, 8, 4, 8, 1, 2, 4, 64 };

	return sizes[take_u8(&w.in) % 8];
}

/*
 * Steps
 */

static void step_config_write(void)
{
	unsigned int offset = (unsigned int)take(&w.in, 2), n = take_bytes();
	uint64_t value[8] = { take_value() };

	pci_config_write(w.func, offset, value, n);
}

/* Where the bits are that do something. */
static void step_command(void)
{
	static const uint8_t ids[] = { PCI_CAP_ID_PM, PCI_CAP_ID_MSI, PCI_CAP_ID_MSIX,
				       PCI_CAP_ID_EXP };
	uint8_t s = take_u8(&w.in);
	uint16_t value = (uint16_t)take(&w.in, 2);
	unsigned int cap;

	if (s < 0x80) {
		value |= s & 1 ? PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER : 0;
		pci_config_write(w.func, PCI_COMMAND, &value, 2);
		return;
	}
	cap = pci_find_cap(w.func, ids[s % 4]);
	pci_config_write(w.func, cap + (s >> 2 & 15), &value, 2);
}

static unsigned int take_bar(uint64_t *offset)
{
	uint8_t s = take_u8(&w.in);

	*offset = s & 0x80 ? take_value() : take(&w.in, 2);
	return s & 0x40 ? s & 7 : s & 7 ? s % 6 & ~1u : 0;
}

static void step_write(void)
{
	uint64_t offset, value[8] = { 0 };
	unsigned int bar = take_bar(&offset), n = take_bytes(), i;

	value[0] = take_value();
	for (i = 1; i < n / 8; i++)
		value[i] = take_value();
	(void)!pci_bar_write(w.func, bar, offset, value, n);
}

static void step_read(void)
{
	uint8_t buf[512];
	uint64_t offset;
	unsigned int bar = take_bar(&offset);

	(void)!pci_bar_read(w.func, bar, offset, buf, 1 + take(&w.in, 1) * 2);
}

static void step_memory(void)
{
	uint64_t at = take(&w.in, 2) % (READ_ONLY * PAGE - 64) & ~3ull;
	unsigned int n = take_u8(&w.in) % 17, i;
	uint32_t word;

	/* The device reads it meanwhile. */
	for (i = 0; i < n; i++) {
		word = (uint32_t)(i & 1 ? take(&w.in, 4) : take_value());
		__atomic_store_n((uint32_t *)(void *)(w.memory + at + i * 4), word,
				 __ATOMIC_RELAXED);
	}
}

static void map(unsigned int from, unsigned int to, uint32_t flags)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | flags,
		.ioas_id = w.ioas,
		.user_va = (uintptr_t)(w.memory + from * PAGE),
		.length = (to - from) * PAGE,
		.iova = IOVA + from * PAGE,
	};

	if (call(IOMMU_IOAS_MAP, &cmd))
		broken("no mapping", from);
}

static void map_all(void)
{
	map(0, READ_ONLY, IOMMU_IOAS_MAP_WRITEABLE);
	map(READ_ONLY, UNMAPPED, 0);
	w.mapped = true;
}

static void unmap_all(void)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = w.ioas, .length = ~0ull };

	if (w.mapped && call(IOMMU_IOAS_UNMAP, &cmd))
		broken("no unmapping", 0);
	w.mapped = false;
}

static void step_map(void)
{
	if (w.mapped)
		unmap_all();
	else
		map_all();
}

static void step_mode(void)
{
	pci_irq_set_mode(w.func, take_u8(&w.in) % 4, (unsigned int)take_value());
}

static void sleep_us(long us)
{
	const struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}

static void step_wait(void)
{
	sleep_us(take_u8(&w.in));
}

static void run(void)
{
	if (w.stopped)
		w.func->ops->run(w.func);
	w.stopped = false;
}

static void turn_on(void)
{
	const uint16_t on = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	pci_config_write(w.func, PCI_COMMAND, &on, 2);
}

/* What was reset writes nothing until it is asked again, also when it could. */
static void step_reset(void)
{
	static uint8_t before[READ_ONLY * PAGE];

	pci_func_reset(w.func);
	w.stopped = false;
	turn_on();
	memcpy(before, w.memory, sizeof(before));
	sleep_us(50);
	if (memcmp(before, w.memory, sizeof(before)))
		broken("written to after a reset", 0);
}

static void step_migrate(void)
{
	uint8_t s = take_u8(&w.in);
	uint8_t *state;
	size_t n, at;
	int rc;

	if (!pci_can_migrate(w.func))
		return;
	if (!w.stopped)
		w.func->ops->stop(w.func);
	w.stopped = true;
	if (s & 1) {
		run();
		return;
	}
	n = w.func->ops->save(w.func, NULL, 0);
	state = malloc(n);
	if (!state || w.func->ops->save(w.func, state, n) != n)
		broken("state changes its size", n);
	for (s = s >> 1 & 7; s; s--) {
		at = take(&w.in, 2) % n;
		state[at] = take_u8(&w.in);
	}
	rc = w.func->ops->load(w.func, state, n);
	if (rc && rc != -EINVAL)
		broken("load", (uint64_t)rc);
	free(state);
}

static void step_log(void)
{
	uint8_t s = take_u8(&w.in);

	if (s & 1)
		pci_dma_log_stop(w.func);
	else
		(void)!pci_dma_log_start(w.func, take_value(), take_value(), PAGE << (s >> 4));
}

static void (*const steps[])(void) = {
	step_write,   step_write,   step_write,	  step_write,  step_write,	  step_read,
	step_command, step_command, step_memory,  step_memory, step_map,	  step_mode,
	step_wait,    step_reset,   step_migrate, step_log,    step_config_write,
};

#define NSTEPS (sizeof(steps) / sizeof(steps[0]))

/*
 * The world: all but the function is made once.
 */

static void message(void *arg, unsigned int vector)
{
	const struct pci_func *func = arg;

	if (vector >= PCI_MAX_VECTORS || vector >= func->irq_vectors)
		broken("a message that there is not", vector);
}

static void intx(void *arg, bool asserted)
{
	(void)arg;
	(void)asserted;
}

static const struct pci_irq_sink sink = { message, intx };

static void make_world(void)
{
	const struct siommu_unit_params unit = { .size = sizeof(unit),
						 .model = "vtd",
						 .options = "pri=on" };
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "fuzz",
		.pasid_bits = 8,
		.requester = 8,
		.ats = true,
		.page_requests = true,
	};
	struct siommu_device_params params = device;
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };

	if (siommu_machine_create(NULL, &w.machine) ||
	    siommu_unit_create(w.machine, &unit, NULL, 0, &w.unit))
		broken("no machine", 0);
	params.unit = w.unit;
	if (siommu_device_create(w.machine, &params, &w.dev) || siommu_open(w.machine, 0, &w.ctx) ||
	    siommu_device_bind(w.ctx, w.dev, &w.bound, &w.dev_id) || call(IOMMU_IOAS_ALLOC, &ioas))
		broken("no device", 0);
	w.ioas = ioas.out_ioas_id;
	if (siommu_device_attach(w.bound, 0, &ioas.out_ioas_id))
		broken("no attachment", 0);
	w.memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	if (w.memory == MAP_FAILED)
		broken("no memory", 0);
}

static const struct pci_model *model_named(const char *name)
{
	unsigned int i;

	for (i = 0; pci_models[i]; i++) {
		if (!strcmp(pci_models[i]->name, name))
			return pci_models[i];
	}
	return NULL;
}

static void begin(void)
{
	const unsigned int choice = take_u8(&w.in) % NOPTIONS;
	struct pci_params params = {
		.alloc = &w.alloc,
		.log = &no_log,
		.name = "fuzz",
		.dev = w.dev,
		.pasid_bits = 8,
		.ats = true,
		.page_requests = true,
		.options = options[choice].options,
	};
	unsigned int i;

	memset(w.memory, 0, PAGES * PAGE);
	for (i = READ_ONLY; i < PAGES; i++)
		memset(w.memory + i * PAGE, (int)(0x5e + i), PAGE);
	memcpy(w.copy, w.memory + READ_ONLY * PAGE, sizeof(w.copy));
	map_all();
	w.model = model_named(options[choice].model);
	w.stopped = false;
	if (!w.model || w.model->create(&params, &w.func))
		broken("no function", choice);
	pci_irq_listen(w.func, &sink, w.func);
	turn_on();
	pci_config_read(w.func, PCI_VENDOR_ID, &w.ids, 4);
}

/* Chains end, and the device is what it was. */
static void check_config(void)
{
	uint8_t config[PCI_CONFIG_BYTES];
	unsigned int at, n = 0;
	uint32_t ids;

	pci_config_read(w.func, 0, config, sizeof(config));
	memcpy(&ids, config, 4);
	if (ids != w.ids)
		broken("another device", ids);
	for (at = config[PCI_CAPABILITY_LIST]; at; at = config[at + 1]) {
		if (at < 0x40 || at & 3 || n++ > 48)
			broken("a chain of capabilities", at);
	}
	for (at = 256; at; at = (config[at + 2] | config[at + 3] << 8) >> 4) {
		if (at < 256 || at & 3 || n++ > 960)
			broken("a chain of extended capabilities", at);
	}
}

static void end(void)
{
	check_config();
	pci_func_destroy(w.func);
	unmap_all();
	if (memcmp(w.copy, w.memory + READ_ONLY * PAGE, sizeof(w.copy)))
		broken("written where it may not", 0);
	if (atomic_load(&w.alloc.blocks) || atomic_load(&w.alloc.bytes))
		broken("memory is left", atomic_load(&w.alloc.blocks));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n;

	w.in = (struct input){ .at = data, .end = data + size };
	if (!w.machine)
		make_world();
	begin();
	for (n = 0; n < MAX_STEPS && w.in.at < w.in.end; n++)
		steps[take_u8(&w.in) % NSTEPS]();
	end();
	return 0;
}
