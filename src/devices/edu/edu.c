// SPDX-License-Identifier: MIT
/*
 * A device for tests and for teaching: it does one piece of DMA at a time, on command, in
 * every way that PCI Express knows, and says what came of it. docs/devices/edu.md is its
 * data sheet.
 */
#include "edu.h"
#include "../models.h"

/* No model of hardware has these; the largest is what a test could want. */
#define MAX_VECTORS	64
#define MAX_MEMORY	((u64)1 << 30)
#define DEFAULT_VECTORS 16
#define DEFAULT_MEMORY	((u64)1 << 20)
#define DEFAULT_VFS	4

static const struct pci_ops edu_ops;

static void clear(struct edu *edu)
{
	unsigned int i;

	for (i = 0; i < EDU_ATC_ENTRIES; i++)
		edu->atc[i] = (struct edu_translation){ .start = 1 };
	edu->atc_generation++;
	edu->cancelled = false;
	edu->stopped = false;
	edu->job = (struct edu_job){ 0 };
	edu_clear_regs(edu);
}

static void edu_reset(struct pci_func *func)
{
	struct edu *edu = to_edu(func);

	pthread_mutex_lock(&edu->lock);
	edu_cancel(edu);
	clear(edu);
	pci_bar_clear(func, EDU_MEM_BAR);
	pthread_cond_broadcast(&edu->wake);
	pthread_mutex_unlock(&edu->lock);
}

static void describe(const struct edu *edu, unsigned int vfs, bool vf, struct pci_func_desc *desc)
{
	*desc = (struct pci_func_desc){
		.vendor = EDU_VENDOR,
		.device = EDU_DEVICE,
		.subvendor = EDU_VENDOR,
		.subdevice = EDU_DEVICE,
		.class = EDU_CLASS,
		.revision = 1,
		.intx = !vf,
		.msi_vectors = edu->vectors < 32 ? 1u << highest_bit(edu->vectors) : 32,
		.msix_vectors = edu->vectors,
		.msix_bar = EDU_REG_BAR,
		.msix_table = EDU_TABLE_PAGE,
		.msix_pba = EDU_PBA,
		.total_vfs = vfs,
		.vf = vf,
		.svm = true,
	};
	desc->bars[EDU_REG_BAR] = (struct pci_bar){
		.bytes = EDU_BAR_BYTES,
		.is_64 = true,
		.nareas = 2,
		.areas = { { 0, EDU_REG_BYTES, PCI_AREA_REGISTERS },
			   { EDU_TABLE_PAGE, PAGE_BYTES, PCI_AREA_TRAPPED } },
	};
	desc->bars[EDU_MEM_BAR] = (struct pci_bar){
		.bytes = edu->memory_bytes,
		.is_64 = true,
		.prefetchable = true,
		.nareas = 1,
		.areas = { { 0, edu->memory_bytes, PCI_AREA_MEMORY } },
	};
}

static u32 caps_of(const struct pci_params *params, bool vf)
{
	return (params->pasid_bits ? EDU_CAPS_PASID : 0) | (params->ats ? EDU_CAPS_ATS : 0) |
	       (params->page_requests ? EDU_CAPS_PRI : 0) | (vf ? EDU_CAPS_VF : 0);
}

static void init_locks(struct edu *edu)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&edu->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&edu->wake, &attr);
	pthread_condattr_destroy(&attr);
}

static void edu_free(struct edu *edu)
{
	struct base_alloc *alloc = edu->func.alloc;

	pthread_cond_destroy(&edu->wake);
	pthread_mutex_destroy(&edu->lock);
	pci_func_fini(&edu->func);
	base_free(alloc, edu, sizeof(*edu));
}

static int make(const struct pci_params *params, unsigned int vectors, u64 memory, unsigned int vfs,
		bool vf, struct pci_func **out)
{
	struct edu *edu = base_zalloc(params->alloc, sizeof(*edu));
	struct pci_func_desc desc;
	int rc;

	if (!edu)
		return -ENOMEM;
	edu->vectors = vectors;
	edu->memory_bytes = memory;
	edu->caps = caps_of(params, vf);
	describe(edu, vfs, vf, &desc);
	rc = pci_func_init(&edu->func, &edu_ops, &desc, params);
	if (rc) {
		base_free(params->alloc, edu, sizeof(*edu));
		return rc;
	}
	init_locks(edu);
	clear(edu);
	rc = edu_engine_start(edu);
	if (rc) {
		edu_free(edu);
		return rc;
	}
	*out = &edu->func;
	return 0;
}

static int edu_create(const struct pci_params *params, struct pci_func **out)
{
	static const char *const names[] = { "vectors", "memory", "vfs", NULL };
	u64 vectors = DEFAULT_VECTORS, memory = DEFAULT_MEMORY, vfs = DEFAULT_VFS;
	int rc = pci_options_check(params, names);

	if (!rc)
		rc = pci_option_number(params, "vectors", 1, MAX_VECTORS, &vectors);
	if (!rc)
		rc = pci_option_number(params, "memory", PAGE_BYTES, MAX_MEMORY, &memory);
	if (!rc)
		rc = pci_option_number(params, "vfs", 0, PCI_MAX_VFS, &vfs);
	if (rc)
		return rc;
	return make(params, (unsigned int)vectors, roundup_pow2(memory), (unsigned int)vfs, false,
		    out);
}

/* A virtual function is as its physical one, without a pin and without functions of its own. */
static int edu_vf_create(struct pci_func *pf, unsigned int index, const struct pci_params *params,
			 struct pci_func **out)
{
	const struct edu *edu = to_edu(pf);

	if (index >= pf->desc.total_vfs)
		return -EINVAL;
	return make(params, edu->vectors, edu->memory_bytes, 0, true, out);
}

static void edu_destroy(struct pci_func *func)
{
	struct edu *edu = to_edu(func);

	edu_engine_end(edu);
	edu_free(edu);
}

static const struct pci_ops edu_ops = {
	.write = edu_write,
	.reset = edu_reset,
	.stop = edu_stop,
	.run = edu_run,
	.save = edu_save,
	.load = edu_load,
	.vf_create = edu_vf_create,
	.destroy = edu_destroy,
};

const struct pci_model edu_model = {
	.name = "edu",
	.title = "reads, writes and asks for pages on command, for tests and teaching",
	.help = "vectors=N    messages, 1 to 64 (16)\n"
		"memory=N     bytes of memory in BAR 2, 4K to 1G (1M)\n"
		"vfs=N        virtual functions that it can have, 0 to 7 (4)\n",
	.create = edu_create,
};
