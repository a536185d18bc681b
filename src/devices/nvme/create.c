// SPDX-License-Identifier: MIT
/* Making a controller from its options, and ending it. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../models.h"
#include "nvme.h"

/* Ids that no driver has quirks for: the class says what it is. */
#define VENDOR 0x1234
#define DEVICE 0x4e56
#define CLASS  0x010802

#define DEFAULT_BYTES ((u64)64 << 20)
#define MAX_BYTES     ((u64)1 << 50)

/**
 * struct options - what only making it needs
 * @workers: threads
 * @ro: namespaces are read only
 * @msi: it has MSI
 * @msix: it has MSI-X
 */
struct options {
	u64 workers;
	bool ro;
	bool msi;
	bool msix;
};

static const char *const names[] = {
	"file",	  "file2", "file3",  "file4",	      "file5",	 "file6", "file7", "file8",
	"size",	  "size2", "size3",  "size4",	      "size5",	 "size6", "size7", "size8",
	"ro",	  "block", "queues", "queue-entries", "vectors", "msi",	  "msix",  "cmb",
	"serial", "mdts",  "poll",   "spin",	      "workers", NULL,
};

static const char help[] =
	"file=PATH          namespace 1: a raw image, or a block device; file2 to file8: more\n"
	"size=SIZE          of namespace 1: in memory without file=, else the file is made, or\n"
	"                   grows; size2 to size8 likewise (default: 64M in memory)\n"
	"ro=on|off          refuse writes (off)\n"
	"block=512|4096     bytes of a logical block (512)\n"
	"queues=N           pairs of I/O queues, 1 to 511 (64)\n"
	"queue-entries=N    most entries of a queue, 2 to 65536 (1024)\n"
	"vectors=N          interrupt vectors, 1 to 512 (one a queue, and the admin queue's)\n"
	"msi=on|off         MSI (on)\n"
	"msix=on|off        MSI-X (on)\n"
	"cmb=SIZE           controller memory in BAR 2 (0: none)\n"
	"serial=TEXT        serial number, up to 20 characters (made from the device's name)\n"
	"mdts=N             commands move at most 2^N pages of 4 KiB, 1 to 10 (8)\n"
	"poll=on|off        doorbells are memory that the controller polls (off)\n"
	"spin=US            how long it looks for more work before it sleeps, up to 1000 (20)\n"
	"workers=N          threads, 1 to 8 (1)\n";

static int fail(const struct pci_params *params, const char *text)
{
	if (params->error_bytes)
		snprintf(params->error, params->error_bytes, "%s", text);
	return -EINVAL;
}

static u64 fnv(u64 hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (u8)*text) * 0x100000001b3u;
	return hash;
}

/* 16 bytes that hardly any other serial number or namespace has, as a random UUID. */
static void make_uuid(u8 *uuid, const char *serial, unsigned int nsid)
{
	u64 words[2] = { 0xcbf29ce484222325u + nsid, 0x84222325cbf29ce4u - nsid };

	words[0] = fnv(words[0], serial);
	words[1] = fnv(words[1] ^ words[0] * 0x9e3779b97f4a7c15u, serial);
	memcpy(uuid, words, 16);
	uuid[6] = (u8)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (u8)((uuid[8] & 0x3f) | 0x80);
}

/* Two controllers of one machine must not say that they are the same. */
static int make_names(struct nvme_ctrl *ctrl, const struct pci_params *params)
{
	char serial[64];
	unsigned int i;
	u64 hash;

	if (!pci_option(params->options, "serial", serial, sizeof(serial))) {
		hash = fnv(fnv(0xcbf29ce484222325u, params->name), params->options);
		snprintf(serial, sizeof(serial), "SIOMMU%012llX",
			 (unsigned long long)(hash & 0xffffffffffffu));
	}
	if (!serial[0] || strlen(serial) > sizeof(ctrl->serial))
		return fail(params, "serial: 1 to 20 characters");
	memset(ctrl->serial, ' ', sizeof(ctrl->serial));
	memcpy(ctrl->serial, serial, strlen(serial));
	make_uuid(ctrl->uuid, serial, 0);
	for (i = 0; i < NVME_MAX_NAMESPACES; i++)
		make_uuid(ctrl->ns[i].id, serial, i + 1);
	return 0;
}

static int parse_numbers(struct nvme_ctrl *ctrl, const struct pci_params *params,
			 struct options *opt)
{
	u64 queues = 64, entries = 1024, vectors = 0, mdts = 8, block = 512, spin = 20;
	int rc = pci_option_number(params, "queues", 1, NVME_MAX_IO_QUEUES, &queues);

	rc = rc ? rc : pci_option_number(params, "queue-entries", 2, 65536, &entries);
	rc = rc ? rc : pci_option_number(params, "vectors", 1, NVME_MAX_VECTORS, &vectors);
	rc = rc ? rc : pci_option_number(params, "mdts", 1, 10, &mdts);
	rc = rc ? rc : pci_option_number(params, "block", 512, 4096, &block);
	rc = rc ? rc : pci_option_number(params, "spin", 0, 1000, &spin);
	rc = rc ? rc : pci_option_number(params, "cmb", 0, (u64)1 << 30, &ctrl->cmb);
	rc = rc ? rc : pci_option_number(params, "workers", 1, NVME_MAX_WORKERS, &opt->workers);
	if (rc)
		return rc;
	if (block != 512 && block != 4096)
		return fail(params, "block: 512 or 4096");
	if (!is_aligned(ctrl->cmb, PAGE_BYTES))
		return fail(params, "cmb: a multiple of 4K");
	ctrl->queues = (unsigned int)queues;
	ctrl->entries = (u32)entries;
	ctrl->vectors = (unsigned int)(vectors ? vectors : queues + 1);
	ctrl->mdts = (unsigned int)mdts;
	ctrl->block_lg2 = highest_bit(block);
	ctrl->spin_ns = spin * 1000;
	return 0;
}

/* MSI has a power of two of vectors, 32 at most. */
static unsigned int msi_vectors(unsigned int vectors)
{
	return vectors >= 32 ? 32 : 1u << highest_bit(vectors);
}

/* As many vectors as it can tell apart: with a pin, one. */
static void limit_vectors(struct nvme_ctrl *ctrl, const struct options *opt)
{
	if (!opt->msix)
		ctrl->vectors = opt->msi ? msi_vectors(ctrl->vectors) : 1;
}

static int parse(struct nvme_ctrl *ctrl, const struct pci_params *params, struct options *opt)
{
	int rc = pci_options_check(params, names);

	rc = rc ? rc : parse_numbers(ctrl, params, opt);
	rc = rc ? rc : pci_option_bool(params, "poll", &ctrl->poll);
	rc = rc ? rc : pci_option_bool(params, "ro", &opt->ro);
	rc = rc ? rc : pci_option_bool(params, "msi", &opt->msi);
	rc = rc ? rc : pci_option_bool(params, "msix", &opt->msix);
	limit_vectors(ctrl, opt);
	return rc ? rc : make_names(ctrl, params);
}

static int open_namespace(struct nvme_ctrl *ctrl, const struct pci_params *params, const char *path,
			  u64 bytes, bool ro)
{
	struct nvme_ns *ns = &ctrl->ns[ctrl->nns];
	int rc = nvme_disk_open(&ns->disk, params, path, bytes, ro);

	if (rc)
		return rc;
	ctrl->nns++;
	ns->blocks = ns->disk.bytes >> ctrl->block_lg2;
	return ns->blocks ? 0 : fail(params, "a namespace needs at least one block: give size=");
}

static void close_namespaces(struct nvme_ctrl *ctrl)
{
	while (ctrl->nns)
		nvme_disk_close(&ctrl->ns[--ctrl->nns].disk, ctrl->func.alloc);
}

/* The options of namespace @n: "file" and "size", "file2" and "size2", ... */
static int get_namespace(const struct pci_params *params, unsigned int n, char *path, size_t room,
			 u64 *bytes)
{
	char file[8], size[8];

	snprintf(file, sizeof(file), n > 1 ? "file%u" : "file", n);
	snprintf(size, sizeof(size), n > 1 ? "size%u" : "size", n);
	path[0] = '\0';
	*bytes = 0;
	(void)pci_option(params->options, file, path, room);
	return pci_option_number(params, size, PAGE_BYTES, MAX_BYTES, bytes);
}

static int open_namespaces(struct nvme_ctrl *ctrl, const struct pci_params *params, bool ro)
{
	char path[4096];
	unsigned int n;
	u64 bytes;
	int rc = 0;

	for (n = 1; n <= NVME_MAX_NAMESPACES && !rc; n++) {
		rc = get_namespace(params, n, path, sizeof(path), &bytes);
		if (rc)
			break;
		if (n == 1 && !path[0] && !bytes)
			bytes = DEFAULT_BYTES;
		if (!path[0] && !bytes)
			continue;
		rc = n == ctrl->nns + 1 ? open_namespace(ctrl, params, path, bytes, ro)
					: fail(params, "namespaces are numbered without gaps");
	}
	if (rc)
		close_namespaces(ctrl);
	return rc;
}

static void describe_bars(const struct nvme_ctrl *ctrl, struct pci_func_desc *desc, bool msix)
{
	struct pci_bar *bar = &desc->bars[0], *cmb = &desc->bars[NVME_BAR_CMB];
	const u64 registers = ctrl->poll ? NVME_DOORBELLS : NVME_BAR_MSIX;

	*bar = (struct pci_bar){ .bytes = NVME_BAR_BYTES, .is_64 = true };
	bar->areas[bar->nareas++] = (struct pci_area){ 0, registers, PCI_AREA_REGISTERS };
	if (ctrl->poll)
		bar->areas[bar->nareas++] =
			(struct pci_area){ NVME_DOORBELLS, NVME_BAR_MSIX - NVME_DOORBELLS,
					   PCI_AREA_MEMORY };
	if (msix)
		bar->areas[bar->nareas++] =
			(struct pci_area){ NVME_BAR_MSIX, NVME_BAR_END - NVME_BAR_MSIX,
					   PCI_AREA_TRAPPED };
	if (!ctrl->cmb)
		return;
	*cmb = (struct pci_bar){
		.bytes = roundup_pow2(ctrl->cmb),
		.is_64 = true,
		.prefetchable = true,
		.areas = { { 0, ctrl->cmb, PCI_AREA_MEMORY } },
		.nareas = 1,
	};
}

static struct pci_func_desc describe(struct nvme_ctrl *ctrl, const struct options *opt)
{
	struct pci_func_desc desc = {
		.vendor = VENDOR,
		.device = DEVICE,
		.subvendor = VENDOR,
		.subdevice = 1,
		.class = CLASS,
		.revision = 1,
		.intx = true,
		.msi_vectors = opt->msi ? msi_vectors(ctrl->vectors) : 0,
		.msix_vectors = opt->msix ? ctrl->vectors : 0,
		.msix_bar = 0,
		.msix_table = NVME_BAR_MSIX,
		.msix_pba = NVME_BAR_PBA,
	};

	describe_bars(ctrl, &desc, opt->msix);
	return desc;
}

static void destroy(struct pci_func *func)
{
	struct nvme_ctrl *ctrl = to_nvme(func);
	struct base_alloc *alloc = func->alloc;

	nvme_workers_end(ctrl);
	/* Not that it was asked for, but a driver may have been killed. */
	if (nvme_flush_all(ctrl))
		base_log(func->log, 4, "%s: the data could not be made durable", func->name);
	close_namespaces(ctrl);
	pci_func_fini(func);
	pthread_mutex_destroy(&ctrl->pin_lock);
	pthread_mutex_destroy(&ctrl->lock);
	base_free_sparse(alloc, ctrl, sizeof(*ctrl));
}

/* A driver lets the controller do DMA: there may be something to do. */
static void config_written(struct pci_func *func, unsigned int offset, unsigned int bytes)
{
	struct nvme_ctrl *ctrl = to_nvme(func);
	unsigned int i;

	(void)offset;
	(void)bytes;
	for (i = 0; pci_may_dma(func) && i < ctrl->nworkers; i++)
		nvme_wake(&ctrl->workers[i]);
}

static const struct pci_ops ops = {
	.read = nvme_read,
	.write = nvme_write,
	.config_written = config_written,
	.reset = nvme_reset,
	.destroy = destroy,
};

static void prepare(struct nvme_ctrl *ctrl)
{
	ctrl->doorbells = ctrl->own_doorbells;
	if (ctrl->poll)
		ctrl->doorbells = (void *)(ctrl->func.desc.bars[0].memory + NVME_DOORBELLS);
	ctrl->born = nvme_now();
	ctrl->page_lg2 = PAGE_LG2;
	atomic_store(&ctrl->cmb_base, U64_MAX);
	pthread_mutex_init(&ctrl->lock, NULL);
	pthread_mutex_init(&ctrl->pin_lock, NULL);
	nvme_features_reset(ctrl);
	nvme_publish(ctrl);
}

static int build(struct nvme_ctrl *ctrl, const struct pci_params *params, const struct options *opt)
{
	struct pci_func_desc desc = describe(ctrl, opt);
	int rc = pci_func_init(&ctrl->func, &ops, &desc, params);

	if (rc)
		return rc;
	prepare(ctrl);
	rc = nvme_workers_start(ctrl, (unsigned int)opt->workers);
	if (!rc)
		return 0;
	pthread_mutex_destroy(&ctrl->pin_lock);
	pthread_mutex_destroy(&ctrl->lock);
	pci_func_fini(&ctrl->func);
	return rc;
}

static int create(const struct pci_params *params, struct pci_func **out)
{
	struct options opt = { .workers = 1, .msi = true, .msix = true };
	struct nvme_ctrl *ctrl;
	int rc;

	/* Much of it is for queues that nobody makes. */
	ctrl = base_zalloc_sparse(params->alloc, sizeof(*ctrl));
	if (!ctrl)
		return -ENOMEM;
	ctrl->func.alloc = params->alloc;
	rc = parse(ctrl, params, &opt);
	rc = rc ? rc : open_namespaces(ctrl, params, opt.ro);
	if (!rc) {
		rc = build(ctrl, params, &opt);
		if (rc)
			close_namespaces(ctrl);
	}
	if (rc) {
		base_free_sparse(params->alloc, ctrl, sizeof(*ctrl));
		return rc;
	}
	*out = &ctrl->func;
	return 0;
}

const struct pci_model nvme_model = {
	.name = "nvme",
	.title = "NVMe 1.4 controller on files, block devices or memory",
	.help = help,
	.create = create,
};
