// SPDX-License-Identifier: MIT
/*
 * Intel's Data Streaming Accelerator: the function and its life.
 *
 * BAR 0 has the registers (config.c), BAR 2 the portals: 64 bytes stored there at once
 * are a descriptor for the WQ whose portal it is. Whoever stores them by ENQCMD hears
 * whether there was room; by MOVDIR64B, nothing, and it is lost if there was not. Engines
 * are threads (engine.c); the thread that stores waits for none of them.
 */
#include <stdio.h>

#include "devices/regs.h"
#include "../models.h"
#include "dsa.h"

#define REGISTER_BYTES 65536
#define PORTAL_BAR     2
#define MSIX_BAR       4
#define MSIX_BYTES     4096
#define MSIX_PBA       2048

#define DEFAULT_WQS	8
#define DEFAULT_ENGINES 4
#define DEFAULT_SIZE	128
#define DEFAULT_XFER	((u64)2 << 20)
#define DEFAULT_BATCH	1024
#define MAX_XFER	((u64)2 << 30)

static bool dsa_portal(struct dsa *dsa, u64 offset, const void *buf)
{
	u64 page = offset / DSA_PORTAL_BYTES;
	struct dsa_desc desc;

	if (page / DSA_PORTALS >= dsa->nwqs)
		return false;
	memcpy(&desc, buf, sizeof(desc));
	return dsa_submit(dsa, &dsa->wqs[page / DSA_PORTALS], &desc, page & 1);
}

static void dsa_func_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
			   unsigned int bytes)
{
	struct dsa *dsa = to_dsa(func);

	if (bar)
		return;
	pthread_mutex_lock(&dsa->lock);
	dsa_config_write(dsa, offset, buf, bytes);
	pthread_mutex_unlock(&dsa->lock);
}

static bool dsa_func_enqueue(struct pci_func *func, unsigned int bar, u64 offset, const void *buf)
{
	struct dsa *dsa = to_dsa(func);
	bool taken;

	if (bar != PORTAL_BAR) {
		dsa_func_write(func, bar, offset, buf, DSA_DESC_BYTES);
		return true;
	}
	pthread_mutex_lock(&dsa->lock);
	taken = dsa_portal(dsa, offset, buf);
	pthread_mutex_unlock(&dsa->lock);
	return taken;
}

/* No area of this device has reads that are calls, but for its MSI-X table. */
static void dsa_func_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
			  unsigned int bytes)
{
	(void)func;
	(void)bar;
	(void)offset;
	memset(buf, 0, bytes);
}

/* Engines that wait for a page stop waiting: nobody here waits for the driver. */
static void dsa_reset(struct pci_func *func)
{
	struct dsa *dsa = to_dsa(func);
	unsigned int i;

	pthread_mutex_lock(&dsa->lock);
	dsa->held = true;
	for (i = 0; i < dsa->nwqs; i++)
		dsa_wq_abort(dsa, &dsa->wqs[i], DSA_ALL_PASIDS);
	for (i = 0; i < dsa->nengines; i++)
		while (dsa->engines[i].wq)
			pthread_cond_wait(&dsa->idle, &dsa->lock);
	dsa_config_clear(dsa);
	dsa->held = false;
	pthread_mutex_unlock(&dsa->lock);
}

static void dsa_destroy(struct pci_func *func)
{
	struct dsa *dsa = to_dsa(func);
	struct base_alloc *alloc = func->alloc;
	unsigned int i;

	for (i = 0; i < dsa->nengines; i++)
		dsa_engine_stop(&dsa->engines[i]);
	base_free(alloc, dsa->jobs, dsa->total_size * sizeof(dsa->jobs[0]));
	pthread_cond_destroy(&dsa->idle);
	pthread_mutex_destroy(&dsa->lock);
	pci_func_fini(func);
	base_free(alloc, dsa, sizeof(*dsa));
}

static const struct pci_ops dsa_ops = {
	.read = dsa_func_read,
	.write = dsa_func_write,
	.enqueue = dsa_func_enqueue,
	.reset = dsa_reset,
	.destroy = dsa_destroy,
};

static int read_lg2(const struct pci_params *params, const char *name, u64 max, u64 value,
		    unsigned int *lg2)
{
	int rc = pci_option_number(params, name, 2, max, &value);

	if (!rc && !is_pow2(value)) {
		snprintf(params->error, params->error_bytes, "%s must be a power of two", name);
		rc = -EINVAL;
	}
	if (!rc)
		*lg2 = lowest_bit(value);
	return rc;
}

static int read_options(struct dsa *dsa, const struct pci_params *params)
{
	static const char *const names[] = { "wqs", "engines", "size", "xfer", "batch", NULL };
	u64 wqs = DEFAULT_WQS, engines = DEFAULT_ENGINES, size = DEFAULT_SIZE;
	int rc;

	rc = pci_options_check(params, names);
	if (!rc)
		rc = pci_option_number(params, "wqs", 1, DSA_MAX_WQS, &wqs);
	if (!rc)
		rc = pci_option_number(params, "engines", 1, DSA_MAX_ENGINES, &engines);
	if (!rc)
		rc = pci_option_number(params, "size", 1, DSA_MAX_SIZE, &size);
	if (!rc)
		rc = read_lg2(params, "xfer", MAX_XFER, DEFAULT_XFER, &dsa->xfer_lg2);
	if (!rc)
		rc = read_lg2(params, "batch", DEFAULT_BATCH, DEFAULT_BATCH, &dsa->batch_lg2);
	if (rc)
		return rc;
	dsa->nwqs = (unsigned int)wqs;
	dsa->nengines = (unsigned int)engines;
	dsa->total_size = (unsigned int)size;
	dsa->pasid_bits = params->pasid_bits;
	dsa->bof = params->page_requests;
	return 0;
}

static struct pci_func_desc describe(const struct dsa *dsa)
{
	const u64 portals = roundup_pow2((u64)dsa->nwqs * DSA_PORTALS * DSA_PORTAL_BYTES);
	struct pci_func_desc desc = {
		.vendor = 0x8086,
		.device = DSA_DEVICE_ID,
		.subvendor = 0x8086,
		.class = 0x088000, /* system peripheral, other */
		.msix_vectors = 1 + dsa->nwqs,
		.msix_bar = MSIX_BAR,
		.msix_pba = MSIX_PBA,
		.svm = true,
	};

	desc.bars[0] = (struct pci_bar){
		.bytes = REGISTER_BYTES,
		.is_64 = true,
		.prefetchable = true,
		.areas = { { 0, REGISTER_BYTES, PCI_AREA_REGISTERS } },
		.nareas = 1,
	};
	desc.bars[PORTAL_BAR] = (struct pci_bar){
		.bytes = portals,
		.is_64 = true,
		.prefetchable = true,
		.areas = { { 0, portals, PCI_AREA_REGISTERS } },
		.nareas = 1,
	};
	desc.bars[MSIX_BAR] = (struct pci_bar){
		.bytes = MSIX_BYTES,
		.areas = { { 0, MSIX_BYTES, PCI_AREA_TRAPPED } },
		.nareas = 1,
	};
	return desc;
}

/* Context: nobody has the device yet. */
static int start(struct dsa *dsa)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < dsa->nwqs; i++)
		dsa->wqs[i].index = i;
	for (i = 0; i < dsa->nengines; i++) {
		struct dsa_engine *e = &dsa->engines[i];

		e->dsa = dsa;
		e->index = i;
		pthread_cond_init(&e->wake, NULL);
		pthread_cond_init(&e->answer, NULL);
		pthread_mutex_init(&e->answer_lock, NULL);
	}
	dsa_crc_init(dsa->crc);
	dsa_config_clear(dsa);
	dsa->jobs = base_zalloc_array(dsa->func.alloc, dsa->total_size, sizeof(dsa->jobs[0]));
	if (!dsa->jobs)
		return -ENOMEM;
	for (i = 0; i < dsa->nengines && !rc; i++)
		rc = dsa_engine_start(&dsa->engines[i]);
	return rc;
}

static int dsa_create(const struct pci_params *params, struct pci_func **out)
{
	struct dsa *dsa = base_zalloc(params->alloc, sizeof(*dsa));
	struct pci_func_desc desc;
	int rc;

	if (!dsa)
		return -ENOMEM;
	rc = read_options(dsa, params);
	if (!rc) {
		desc = describe(dsa);
		rc = pci_func_init(&dsa->func, &dsa_ops, &desc, params);
	}
	if (rc) {
		base_free(params->alloc, dsa, sizeof(*dsa));
		return rc;
	}
	pthread_mutex_init(&dsa->lock, NULL);
	pthread_cond_init(&dsa->idle, NULL);
	rc = start(dsa);
	if (rc) {
		dsa_destroy(&dsa->func);
		return rc;
	}
	*out = &dsa->func;
	return 0;
}

const struct pci_model dsa_model = {
	.name = "dsa",
	.title = "Intel Data Streaming Accelerator",
	.help = "wqs=N       work queues, 1 to 16 (8)\n"
		"engines=N   engines, each a thread, 1 to 8 (4)\n"
		"size=N      descriptors that all queues together hold, up to 1024 (128)\n"
		"xfer=BYTES  most bytes of a transfer: a power of two (2M)\n"
		"batch=N     most descriptors of a batch: a power of two, up to 1024 (1024)\n",
	.create = dsa_create,
};
