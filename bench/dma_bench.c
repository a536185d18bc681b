// SPDX-License-Identifier: MIT
/*
 * What DMA costs, for each model of an IOMMU, with one stage and nested.
 *
 * A hit stands beside the bare loop: a table of as many entries that never
 * misses, compare, check, add. A miss stands beside the loads that it cannot do
 * without, each waiting for the one before: 4 for four levels, 24 if each
 * address on the way has to be translated by four more. Most misses are in tables
 * that the port remembers; the others are measured as well. Copying stands beside
 * memcpy(), invalidation beside the membarrier() that it contains. All of them
 * are measured in the same run, next to what they are the floor of.
 *
 * Translations are counted without touching the memory they lead to. "dependent"
 * is a chain: the next address is computed from what was read through the last
 * translation, so that figure has one load more.
 *
 * The aims were set for a machine whose first-level cache answers in 1.95 ns. They
 * are scaled by what this one takes.
 *
 * Every figure is the best of many short runs, since others only ever add time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "dma/dma.h"
#include "pt/pt.h"

#define KIB ((u64)1 << 10)
#define MIB ((u64)1 << 20)
#define GIB ((u64)1 << 30)

/* Where things are mapped: device addresses, and those of the guest's memory. */
#define IOVA   GIB
#define GPA    GIB
#define BIG_PA (4 * GIB)
#define MANY   (64 * GIB) /* many pages, beyond all windows for interrupts */

/* The guest's memory: a few pages of data, then tables. */
#define GUEST_BYTES (64 * MIB)
#define DATA_PAGES  16u

#define SINGLES	     65536u
#define REFERENCE_L1 1.95

static bool quick;
static char *guest; /* GUEST_BYTES */
static char *big;   /* 1 GiB, aligned to that; hardly any of it is touched */
static double l1_ns, scale;
static unsigned int missed;
static volatile u64 sink;

static void __attribute__((noreturn)) die(const char *what, int rc)
{
	fprintf(stderr, "dma_bench: %s: %s\n", what, strerror(rc < 0 ? -rc : rc));
	exit(EXIT_FAILURE);
}

static void must(int rc, const char *what)
{
	if (rc)
		die(what, rc);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double max_double(double a, double b)
{
	return a > b ? a : b;
}

static void __attribute__((format(printf, 2, 3))) aim(bool met, const char *fmt, ...)
{
	va_list ap;

	printf("aim %s: ", met ? "met   " : "MISSED");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	missed += !met;
}

/* --- measuring --- */

#define SAMPLE 4096u

typedef u64 (*run_fn)(const void *arg, unsigned int n);

/* The best of what fits into a moment: ns for each of the @n things of one run. */
static double best_ns(run_fn fn, const void *arg, unsigned int n)
{
	const double until = now_ns() + (quick ? 1e6 : 25e6);
	double best = 1e30, start, t;

	/* The first fills caches. */
	sink += fn(arg, n);
	do {
		start = now_ns();
		sink += fn(arg, n);
		t = (now_ns() - start) / n;
		best = t < best ? t : best;
	} while (now_ns() < until);
	return best;
}

/**
 * struct load - a pattern of accesses
 * @port: through what; NULL for floors
 * @base: first IOVA
 * @n: how many mappings, a power of two
 * @page_lg2: log2 of the bytes of a mapping
 * @stride_lg2: log2 of the bytes from one to the next
 * @random: in random order, or one after the other
 * @flat: for the bare loop: an entry for each mapping
 * @root: for bare walks: address of the top table
 * @host_root: that of the second stage's, by which @root is to be translated; or 0
 */
struct load {
	struct siommu_port *port;
	u64 base;
	u64 n;
	unsigned int page_lg2;
	unsigned int stride_lg2;
	bool random;
	struct siommu_tlb_entry *flat;
	u64 root;
	u64 host_root;
};

#define INLINE static inline __attribute__((always_inline))

/* The state goes on from run to run, so that every page has its turn. */
static __thread u64 state;

INLINE u64 next_offset(u64 *at, u64 step, u64 mask, bool random)
{
	if (random) {
		*at = *at * 6364136223846793005u + 1442695040888963407u;
		/* The high bits are the good ones. */
		return *at >> 20 & mask;
	}
	*at += step;
	return *at & mask;
}

/* Within its page each has a place of its own, or all data would share a set. */
INLINE u64 spread(u64 offset)
{
	return offset >> 6 & 7 << 6;
}

/* Compiled twice, so that the loop does not ask which order it is. */
#define BOTH_ORDERS(name, body)                                                                    \
	static u64 name(const void *arg, unsigned int n)                                           \
	{                                                                                          \
		const struct load *l = arg;                                                        \
                                                                                                   \
		return l->random ? body(l, n, true) : body(l, n, false);                           \
	}

INLINE u64 bare(const struct load *l, unsigned int n, bool random, bool chained)
{
	const u64 base = l->base, step = (u64)1 << l->stride_lg2, mask = (l->n - 1) * step;
	const u64 page = ~(((u64)1 << l->page_lg2) - 1);
	const char *flat = (const char *)l->flat;
	const unsigned int shift = l->stride_lg2 - 4;
	const u64 flat_mask = (l->n - 1) << 4;
	u64 at = state, sum = 0;

	while (n--) {
		u64 offset = next_offset(&at, step, mask, random);
		u64 iova = base + offset + (chained ? spread(offset) + sum : 0);
		const struct siommu_tlb_entry *e;

		e = (const void *)(flat + ((iova - base) >> shift & flat_mask));
		if (unlikely((e->tag & (page | SIOMMU_DMA_READ)) !=
			     ((iova & page) | SIOMMU_DMA_READ)))
			abort();
		if (chained)
			sum = *(const u64 *)(uintptr_t)(iova + e->delta);
		else
			sum += iova + e->delta;
	}
	state = at;
	return sum;
}

INLINE u64 bare_free(const struct load *l, unsigned int n, bool random)
{
	return bare(l, n, random, false);
}

INLINE u64 bare_chain(const struct load *l, unsigned int n, bool random)
{
	return bare(l, n, random, true);
}

BOTH_ORDERS(run_bare, bare_free)
BOTH_ORDERS(run_bare_chain, bare_chain)

INLINE u64 find(const struct load *l, unsigned int n, bool random, bool chained)
{
	const u64 base = l->base, step = (u64)1 << l->stride_lg2, mask = (l->n - 1) * step;
	struct siommu_port *port = l->port;
	u64 at = state, sum = 0;

	while (n--) {
		u64 offset = next_offset(&at, step, mask, random);
		u64 iova = base + offset + (chained ? spread(offset) + sum : 0);
		const u64 *p;

		siommu_dma_begin(port);
		p = siommu_dma_find(port, iova, sizeof(*p), SIOMMU_DMA_READ);
		if (unlikely(!p))
			die("a translation failed", EFAULT);
		if (chained)
			sum = *p;
		else
			sum += (uintptr_t)p;
		siommu_dma_end(port);
	}
	state = at;
	return sum;
}

INLINE u64 find_free(const struct load *l, unsigned int n, bool random)
{
	return find(l, n, random, false);
}

INLINE u64 find_chain(const struct load *l, unsigned int n, bool random)
{
	return find(l, n, random, true);
}

BOTH_ORDERS(run_find, find_free)
BOTH_ORDERS(run_find_chain, find_chain)

/* --- tables made by hand: a guest's, and for bare walks --- */

#define TABLE_ADDR ((((u64)1 << 40) - 1) << 12)

/**
 * struct tree - four levels of 512 entries
 * @top: the top table
 * @bias: what tables say of where they are, minus where they are here
 * @table: bits of an entry that leads to a table
 * @leaf: bits of one that maps 4 KiB
 * @block: bits of one that maps more
 */
struct tree {
	u64 *top;
	u64 bias;
	u64 table;
	u64 leaf;
	u64 block;
};

static char *arena; /* where the next table goes, in the guest's memory */

static u64 *new_table(void)
{
	char *p = arena;

	arena += 4 * KIB;
	if (arena > guest + GUEST_BYTES)
		die("tables", ENOMEM);
	memset(p, 0, 4 * KIB);
	return (u64 *)p;
}

static void tree_init(struct tree *t, u64 bias, u64 table, u64 leaf, u64 block)
{
	*t = (struct tree){ new_table(), bias, table, leaf, block };
}

static void tree_map(struct tree *t, u64 va, u64 oa, unsigned int lg2)
{
	u64 *table = t->top;
	unsigned int shift;

	for (shift = 39; shift > lg2; shift -= 9) {
		u64 *entry = &table[va >> shift & 511];

		if (!*entry)
			*entry = ((u64)(uintptr_t)new_table() + t->bias) | t->table;
		table = (u64 *)(uintptr_t)((*entry & TABLE_ADDR) - t->bias);
	}
	table[va >> lg2 & 511] = oa | (lg2 > 12 ? t->block : t->leaf);
}

/* One entry: of nothing but loads, masks and shifts a walk cannot have fewer. */
INLINE u64 down(u64 table, u64 va, unsigned int shift)
{
	return *(const u64 *)(uintptr_t)(table + (va >> (shift - 3) & 511 * 8)) & TABLE_ADDR;
}

INLINE u64 bare_walk(u64 root, u64 va)
{
	return down(down(down(down(root, va, 39), va, 30), va, 21), va, 12) | (va & 4095);
}

/* The guest's entries are where the host's tables say. */
INLINE u64 bare_nested(u64 host, u64 root, u64 va)
{
	unsigned int shift;
	u64 table = root;

	for (shift = 39; shift >= 12; shift -= 9)
		table = *(const u64 *)(uintptr_t)bare_walk(host,
							   table + (va >> (shift - 3) & 511 * 8)) &
			TABLE_ADDR;
	return bare_walk(host, table | (va & 4095));
}

INLINE u64 walk_loop(const struct load *l, unsigned int n, bool chained)
{
	const u64 base = l->base, step = (u64)1 << l->stride_lg2, mask = (l->n - 1) * step;
	u64 at = state, sum = 0;

	while (n--) {
		u64 offset = next_offset(&at, step, mask, false);
		u64 iova = base + offset + (chained ? spread(offset) + sum : 0);
		u64 oa = l->host_root ? bare_nested(l->host_root, l->root, iova)
				      : bare_walk(l->root, iova);

		sum = chained ? *(const u64 *)(uintptr_t)oa : sum + oa;
	}
	state = at;
	return sum;
}

static u64 run_walk(const void *arg, unsigned int n)
{
	return walk_loop(arg, n, false);
}

static u64 run_walk_chain(const void *arg, unsigned int n)
{
	return walk_loop(arg, n, true);
}

/* --- a device behind an IOMMU, with memory mapped for it --- */

/* Offset in the guest's memory of what is copied; tables come after it. */
#define COPY_OFFSET MIB
#define COPY_BYTES  MIB
#define COPY_IOVA   (32 * GIB)

struct world;

/**
 * struct kind - an IOMMU, and how it is used
 * @name: for people
 * @model: of it; NULL: page tables alone, without any IOMMU
 * @options: of the unit
 * @nest: make the guest's tables, and a nested HWPT of them; NULL for one stage
 */
struct kind {
	const char *name;
	const char *model;
	const char *options;
	uint32_t (*nest)(struct world *w, uint32_t parent);
	u64 table, leaf, block;
};

/**
 * struct world - all that it takes
 * @load: what can be accessed
 * @tree: the guest's tables, if nested
 * @pt: the tables, for page tables alone
 */
struct world {
	const struct kind *kind;
	struct siommu_machine *machine;
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_ctx *ctx;
	struct siommu_bound *bound;
	uint32_t dev_id, ioas, hwpt;
	struct load load;
	struct tree tree;
	struct base_alloc alloc;
	struct mem_host host;
	struct base_log log;
	struct pt pt;
};

static void call(struct world *w, unsigned long request, void *arg, const char *what)
{
	int rc = siommu_ioctl(w->ctx, request, arg);

	if (rc < 0)
		die(what, rc);
}

#define CALL(w, request, arg) call(w, request, arg, #request)

static int plain_translate(struct dma_port *port, const struct dma_request *req,
			   struct dma_reply *reply)
{
	const struct world *w = port->owner;
	unsigned int prot;
	u64 hpa = pt_vtdss_lookup(&w->pt, req->iova, &prot);

	if (hpa == U64_MAX)
		return -EFAULT;
	reply->hpa = hpa;
	reply->lg2 = reply->span_lg2 = w->load.page_lg2;
	reply->perms = dma_perms(prot & 3, prot & 3);
	return 0;
}

static void plain_fault(struct dma_port *port, const struct siommu_fault *fault)
{
	(void)port;
	(void)fault;
}

static const struct dma_ops plain_ops = {
	.translate = plain_translate,
	.fault = plain_fault,
};

static struct siommu_port *port_create(struct world *w, unsigned int tlb_lg2)
{
	const struct siommu_port_params params = { .size = sizeof(params), .tlb_lg2 = tlb_lg2 };
	struct siommu_port *port;
	struct dma_port *plain;

	if (w->kind->model) {
		must(siommu_port_create(w->dev, &params, &port), "siommu_port_create");
		return port;
	}
	must(dma_port_create(&w->host, &w->alloc, &plain_ops, w, &params, &plain), "a port");
	return &plain->port;
}

static void port_destroy(struct world *w, struct siommu_port *port)
{
	if (w->kind->model)
		siommu_port_destroy(port);
	else
		dma_port_destroy(to_dma_port(port));
}

static uint32_t hwpt_alloc(struct world *w, uint32_t flags, uint32_t pt_id, uint32_t type,
			   void *data, uint32_t len)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = w->dev_id,
		.pt_id = pt_id,
		.data_type = type,
		.data_uptr = (uintptr_t)data,
		.data_len = len,
	};

	CALL(w, IOMMU_HWPT_ALLOC, &cmd);
	return cmd.out_hwpt_id;
}

static void ioas_map(struct world *w, u64 iova, const void *p, u64 length)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = w->ioas,
		.user_va = (uintptr_t)p,
		.length = length,
		.iova = iova,
	};

	if (w->kind->model)
		CALL(w, IOMMU_IOAS_MAP, &cmd);
	else
		must(pt_vtdss_map(&w->pt, iova, (uintptr_t)p, length, 3), "map");
}

static void ioas_unmap(struct world *w, u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = w->ioas, .iova = iova, .length = length
	};

	CALL(w, IOMMU_IOAS_UNMAP, &cmd);
}

/* Address in the guest of what is in its memory, or in the large one. */
static u64 to_gpa(const void *p)
{
	const char *at = p;

	return at >= guest && at < guest + GUEST_BYTES ? GPA + (u64)(at - guest)
						       : BIG_PA + (u64)(at - big);
}

/* In the device's address space, by whoever does that. */
static void device_map(struct world *w, u64 iova, const void *p, u64 length, unsigned int lg2)
{
	u64 done;

	if (!w->kind->nest) {
		ioas_map(w, iova, p, length);
		return;
	}
	for (done = 0; done < length; done += (u64)1 << lg2)
		tree_map(&w->tree, iova + done, to_gpa((const char *)p + done), lg2);
}

static uint32_t nest_vtd(struct world *w, uint32_t parent)
{
	struct iommu_hwpt_vtd_s1 data = { .pgtbl_addr = to_gpa(w->tree.top), .addr_width = 48 };

	return hwpt_alloc(w, 0, parent, IOMMU_HWPT_DATA_VTD_S1, &data, sizeof(data));
}

/* "SMMUv3 architecture", 5.2 "Stream Table Entry" and 5.4 "Context Descriptor". */
static uint32_t nest_smmuv3(struct world *w, uint32_t parent)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = w->dev_id,
		.hwpt_id = parent,
	};
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice),
					       .dev_id = w->dev_id,
					       .virt_id = 8 };
	struct iommu_hwpt_arm_smmuv3 data;
	u64 *cd = new_table();

	CALL(w, IOMMU_VIOMMU_ALLOC, &viommu);
	vdevice.viommu_id = viommu.out_viommu_id;
	CALL(w, IOMMU_VDEVICE_ALLOC, &vdevice);
	/* T0SZ 16, 4 KiB, cacheable; EPD1, V, 44 bits, AA64, R, A, ASET, ASID 1. */
	cd[0] = 16 | 1 << 8 | 1 << 10 | 3 << 12 | (u64)1 << 30 | (u64)1 << 31 | (u64)4 << 32 |
		(u64)1 << 41 | (u64)1 << 45 | (u64)1 << 46 | (u64)1 << 47 | (u64)1 << 48;
	cd[1] = to_gpa(w->tree.top);
	cd[3] = 0xff;
	data.ste[0] = 1 | 5 << 1 | to_gpa(cd);
	data.ste[1] = 1 << 2 | 1 << 4 | 3 << 6;
	return hwpt_alloc(w, 0, viommu.out_viommu_id, IOMMU_HWPT_DATA_ARM_SMMUV3, &data,
			  sizeof(data));
}

/* "AMD I/O Virtualization Technology (IOMMU) Specification", 2.2.2 and 2.2.6. */
static uint32_t nest_amd(struct world *w, uint32_t parent)
{
	struct iommu_hwpt_amd_guest data = { { 0 } };
	u64 *gcr3 = new_table();
	u64 at = to_gpa(gcr3);

	gcr3[0] = to_gpa(w->tree.top) | 1;
	/* V, TV, GIOV, GV, and GCR3 in its three pieces. */
	data.dte[0] = 3 | (u64)3 << 54 | (at >> 12 & 7) << 58;
	data.dte[1] = 1 | (at >> 15 & 0xffff) << 16 | at >> 31 << 43;
	return hwpt_alloc(w, 0, parent, IOMMU_HWPT_DATA_AMD_GUEST, &data, sizeof(data));
}

/* Entries that need no accessed or dirty bit to be set any more. */
#define X86_TABLE 0x27
#define X86_LEAF  0x67
#define X86_BLOCK 0xe7
#define ARM_TABLE 3
#define ARM_LEAF  0x743
#define ARM_BLOCK 0x741

static const struct kind kinds[] = {
	{ .name = "page tables alone" },
	{ .name = "VT-d", .model = "vtd" },
	{ "VT-d, nested", "vtd", NULL, nest_vtd, X86_TABLE, X86_LEAF, X86_BLOCK },
	{ .name = "SMMUv3", .model = "smmuv3" },
	{ "SMMUv3, nested", "smmuv3", NULL, nest_smmuv3, ARM_TABLE, ARM_LEAF, ARM_BLOCK },
	{ .name = "AMD", .model = "amd" },
	{ "AMD, nested", "amd", "nested=on", nest_amd, X86_TABLE, X86_LEAF, X86_BLOCK },
};

#define NKINDS ARRAY_SIZE(kinds)

/* The same, where they track what is written. */
static const struct kind dirty_kinds[] = {
	{ .name = "VT-d", .model = "vtd" },
	{ .name = "SMMUv3", .model = "smmuv3", .options = "httu=on" },
	{ .name = "AMD", .model = "amd" },
};

static void set_huge(struct world *w, bool huge)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = w->ioas,
		.val64 = huge,
	};

	CALL(w, IOMMU_OPTION, &cmd);
}

static void plain_begin(struct world *w)
{
	const struct pt_config config = { .levels = 4 };

	mem_host_init(&w->host, &w->alloc, &w->log);
	must(pt_vtdss_init(&w->pt, &w->alloc, &config), "pt_vtdss_init");
}

/* A unit, a device, and what it is attached to. false: there is no such unit. */
static bool model_begin(struct world *w, u32 flags)
{
	const struct siommu_machine_params machine = { .size = sizeof(machine) };
	const struct siommu_unit_params unit = { .size = sizeof(unit),
						 .model = w->kind->model,
						 .options = w->kind->options };
	struct siommu_device_params dev = { .size = sizeof(dev), .name = "bench", .requester = 8 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	char why[256] = "";
	int rc;

	must(siommu_machine_create(&machine, &w->machine), "siommu_machine_create");
	rc = siommu_unit_create(w->machine, &unit, why, sizeof(why), &w->unit);
	if (rc) {
		printf("%s: %s: %s\n", w->kind->name, strerror(-rc), why);
		siommu_machine_destroy(w->machine);
		return false;
	}
	dev.unit = w->unit;
	must(siommu_device_create(w->machine, &dev, &w->dev), "siommu_device_create");
	must(siommu_open(w->machine, 0, &w->ctx), "siommu_open");
	must(siommu_device_bind(w->ctx, w->dev, &w->bound, &w->dev_id), "siommu_device_bind");
	CALL(w, IOMMU_IOAS_ALLOC, &ioas);
	w->ioas = ioas.out_ioas_id;
	set_huge(w, w->load.page_lg2 > 12);
	w->hwpt = hwpt_alloc(w, w->kind->nest ? IOMMU_HWPT_ALLOC_NEST_PARENT : flags, w->ioas,
			     IOMMU_HWPT_DATA_NONE, NULL, 0);
	if (w->kind->nest) {
		ioas_map(w, GPA, guest, GUEST_BYTES);
		if (w->load.page_lg2 > 12)
			ioas_map(w, BIG_PA, big, GIB);
		tree_init(&w->tree, GPA - (uintptr_t)guest, w->kind->table, w->kind->leaf,
			  w->kind->block);
		w->hwpt = w->kind->nest(w, w->hwpt);
	}
	must(siommu_device_attach(w->bound, 0, &w->hwpt), "siommu_device_attach");
	return true;
}

/* @n mappings of 2^page_lg2 bytes at every 2^stride_lg2. false: not there. */
static bool world_begin(struct world *w, const struct kind *kind, u32 flags, u64 n,
			unsigned int page_lg2, unsigned int stride_lg2)
{
	memset(w, 0, sizeof(*w));
	w->kind = kind;
	w->load = (struct load){
		.base = IOVA, .n = n, .page_lg2 = page_lg2, .stride_lg2 = stride_lg2
	};
	arena = guest + COPY_OFFSET + COPY_BYTES;
	if (!kind->model)
		plain_begin(w);
	else if (!model_begin(w, flags))
		return false;
	return true;
}

static void world_end(struct world *w)
{
	if (!w->kind->model) {
		pt_vtdss_destroy(&w->pt);
		mem_host_destroy(&w->host);
		return;
	}
	siommu_device_detach(w->bound, 0);
	siommu_device_unbind(w->bound);
	siommu_close(w->ctx);
	siommu_device_destroy(w->dev);
	siommu_unit_destroy(w->unit);
	siommu_machine_destroy(w->machine);
}

/* Memory of mapping @i: no two neighbours lie side by side. */
static char *memory_of(const struct load *l, u64 i)
{
	return l->page_lg2 > 12 ? big + (i * 7 % 512 << 21) : guest + (i * 7 % DATA_PAGES << 12);
}

/* Map what the load accesses, and make floors of the same size. */
static void world_fill(struct world *w)
{
	struct load *l = &w->load;
	u64 i;

	l->flat = aligned_alloc(64, max_u64(64, l->n * sizeof(*l->flat)));
	if (!l->flat)
		die("memory", ENOMEM);
	for (i = 0; i < l->n; i++) {
		u64 iova = l->base + (i << l->stride_lg2);
		char *p = memory_of(l, i);

		device_map(w, iova, p, (u64)1 << l->page_lg2, l->page_lg2);
		l->flat[i] = (struct siommu_tlb_entry){ iova | 7, (uintptr_t)p - iova };
	}
}

/* Tables for bare walks of what was mapped, and of the guest's memory. */
static void make_floor_tables(struct world *w, struct load *l)
{
	struct tree plain, host;
	u64 i;

	l->root = to_gpa(w->tree.top);
	if (!w->kind->nest) {
		tree_init(&plain, 0, 0, 0, 0);
		for (i = 0; i < l->n; i++)
			tree_map(&plain, l->base + (i << l->stride_lg2), (uintptr_t)memory_of(l, i),
				 12);
		l->root = (uintptr_t)plain.top;
		return;
	}
	tree_init(&host, 0, 0, 0, 0);
	for (i = 0; i < GUEST_BYTES; i += 4 * KIB)
		tree_map(&host, GPA + i, (uintptr_t)guest + i, 12);
	l->host_root = (uintptr_t)host.top;
}

/* --- hits --- */

/* What the aims are about, over all models: the worst. */
static struct {
	double hit, chain, many, miss, nested_miss, threads, copy;
} worst;

static double table_unmap;

static void keep_worst(const struct world *w, double *at, double value)
{
	if (w->kind->model && value > *at)
		*at = value;
}

static void print_ratio(double ns, double floor)
{
	printf(" %8.2f %5.2fx", ns, ns / floor);
}

static void bench_pattern(struct world *w, const char *what)
{
	struct load l = w->load;
	double ns[4], floor[4];
	unsigned int i;

	l.port = port_create(w, 0);
	for (i = 0; i < 4; i++) {
		l.random = i & 1;
		floor[i] = best_ns(i < 2 ? run_bare : run_bare_chain, &l, SAMPLE);
		ns[i] = best_ns(i < 2 ? run_find : run_find_chain, &l, SAMPLE);
	}
	port_destroy(w, l.port);
	printf("%-30s", what);
	for (i = 0; i < 4; i++)
		print_ratio(ns[i], floor[i]);
	printf("\n");
	if (l.n == 64) {
		keep_worst(w, &worst.hit, max_double(ns[0], ns[1]));
		keep_worst(w, &worst.chain, max_double(ns[2], ns[3]));
	}
	if (l.n == SINGLES)
		keep_worst(w, &worst.many, ns[1]);
}

struct runner {
	struct load load;
	pthread_barrier_t *start;
	double best;
};

static void *runner(void *arg)
{
	struct runner *r = arg;

	pthread_barrier_wait(r->start);
	r->best = best_ns(run_find, &r->load, SAMPLE);
	return NULL;
}

/* Two ports of one device, each with a thread. */
static void bench_threads(struct world *w)
{
	pthread_barrier_t start;
	struct runner r[2];
	pthread_t t[2];
	double one, gain;
	unsigned int i;

	pthread_barrier_init(&start, NULL, 2);
	for (i = 0; i < 2; i++) {
		r[i] = (struct runner){ .load = w->load, .start = &start };
		r[i].load.random = true;
		r[i].load.port = port_create(w, 0);
	}
	one = best_ns(run_find, &r[0].load, SAMPLE);
	for (i = 0; i < 2; i++)
		must(pthread_create(&t[i], NULL, runner, &r[i]), "pthread_create");
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < 2; i++)
		port_destroy(w, r[i].load.port);
	pthread_barrier_destroy(&start);
	gain = one / r[0].best + one / r[1].best;
	printf("%-30s %8.2f ns with one thread, %.2f and %.2f with two: %.2fx\n",
	       "2 threads, 64 mappings, random", one, r[0].best, r[1].best, gain);
	if (w->kind->model && (!worst.threads || gain < worst.threads))
		worst.threads = gain;
}

/* --- misses --- */

/* 64 mappings in turn through a TLB of 16: each is a miss, its tables are at hand. */
static double miss_ns(struct world *w, const char *name)
{
	struct load l = w->load;
	double ns, chain, floor, floor_chain;

	make_floor_tables(w, &l);
	l.port = port_create(w, 4);
	floor = best_ns(run_walk, &l, SAMPLE);
	floor_chain = best_ns(run_walk_chain, &l, SAMPLE);
	ns = best_ns(run_find, &l, SAMPLE);
	chain = best_ns(run_find_chain, &l, SAMPLE);
	port_destroy(w, l.port);
	printf("%-30s", name);
	print_ratio(ns, floor);
	printf("%16s", "");
	print_ratio(chain, floor_chain);
	printf("%16s  bare loads: %.2f and %.2f\n", "", floor, floor_chain);
	return ns;
}

static void bench_miss(struct world *w)
{
	double ns = miss_ns(w, "miss, tables in cache");

	keep_worst(w, w->kind->nest ? &worst.nested_miss : &worst.miss, ns);
}

/* Each in a table of its own, and more of these than a port remembers. */
static void bench_far_miss(const struct kind *kind)
{
	struct world w;

	if (!world_begin(&w, kind, 0, 2 * DMA_NEAR_SLOTS, 12, DMA_NEAR_LG2))
		return;
	world_fill(&w);
	miss_ns(&w, "miss, table not remembered");
	free(w.load.flat);
	world_end(&w);
}

/* --- moving bytes --- */

struct copy {
	struct siommu_port *port;
	char *buf;
	size_t bytes;
	bool write;
};

static u64 run_memcpy(const void *arg, unsigned int n)
{
	const struct copy *c = arg;
	char *area = guest + COPY_OFFSET;

	while (n--) {
		/* So that it is called, and called each time. */
		void *(*volatile copy)(void *, const void *, size_t) = memcpy;

		copy(c->write ? area : c->buf, c->write ? c->buf : area, c->bytes);
	}
	return 0;
}

static u64 run_copy(const void *arg, unsigned int n)
{
	const struct copy *c = arg;
	int rc = 0;

	while (n--)
		rc |= c->write ? siommu_dma_write(c->port, COPY_IOVA, c->buf, c->bytes, 0)
			       : siommu_dma_read(c->port, COPY_IOVA, c->buf, c->bytes, 0);
	must(rc, "siommu_dma_read");
	return 0;
}

static void bench_copies(struct world *w)
{
	static const struct {
		const char *name;
		size_t bytes;
	} sizes[] = { { "64 B", 64 }, { "4 KiB", 4 * KIB }, { "1 MiB", MIB } };
	struct copy c = { .port = port_create(w, 0) };
	unsigned int i;

	if (posix_memalign((void **)&c.buf, 4096, MIB))
		die("memory", ENOMEM);
	memset(c.buf, 1, MIB);
	device_map(w, COPY_IOVA, guest + COPY_OFFSET, COPY_BYTES, 12);
	for (i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		unsigned int n = i / 2 == 2 ? 8 : 256;
		double ns, floor;

		c.bytes = sizes[i / 2].bytes;
		c.write = i % 2;
		floor = best_ns(run_memcpy, &c, n);
		ns = best_ns(run_copy, &c, n);
		printf("siommu_dma_%s of %-8s %10.1f ns %5.2fx  memcpy (%.1f ns)\n",
		       c.write ? "write" : "read ", sizes[i / 2].name, ns, ns / floor, floor);
		if (i == 2)
			keep_worst(w, &worst.copy, ns / floor);
	}
	free(c.buf);
	port_destroy(w, c.port);
}

/* --- while DMA runs --- */

struct busy {
	struct load load;
	_Atomic bool stop;
	_Atomic u64 done;
	pthread_t thread;
};

static void *busy_thread(void *arg)
{
	struct busy *b = arg;

	while (!atomic_load_explicit(&b->stop, memory_order_relaxed)) {
		sink += run_find(&b->load, 256);
		atomic_fetch_add_explicit(&b->done, 256, memory_order_relaxed);
	}
	return NULL;
}

static void busy_begin(struct busy *b, struct world *w)
{
	memset(b, 0, sizeof(*b));
	b->load = w->load;
	b->load.random = true;
	b->load.port = port_create(w, 0);
	must(pthread_create(&b->thread, NULL, busy_thread, b), "pthread_create");
	while (!b->done)
		usleep(100);
}

static void busy_end(struct busy *b, struct world *w)
{
	atomic_store(&b->stop, true);
	pthread_join(b->thread, NULL);
	port_destroy(w, b->load.port);
}

static u64 run_membarrier(const void *arg, unsigned int n)
{
	(void)arg;
	while (n--)
		dma_barrier();
	return 0;
}

static u64 run_map_unmap(const void *arg, unsigned int n)
{
	struct world *w = (struct world *)arg;

	while (n--) {
		ioas_map(w, MANY, guest, 4 * KIB);
		ioas_unmap(w, MANY, 4 * KIB);
	}
	return 0;
}

/* What a page of many takes to be unmapped, all in one call. */
static double unmap_many(struct world *w)
{
	const unsigned int n = quick ? 1024 : 16384;
	double best = 1e30, t;
	unsigned int run, i;

	for (run = 0; run < 5; run++) {
		for (i = 0; i < n; i++)
			ioas_map(w, MANY + i * 4 * KIB, memory_of(&w->load, i), 4 * KIB);
		t = now_ns();
		ioas_unmap(w, MANY, n * 4 * KIB);
		t = (now_ns() - t) / n;
		best = t < best ? t : best;
	}
	return best;
}

static void bench_unmap(struct world *w)
{
	double alone, ported, running, idle_barrier, busy_barrier, many, many_ported;
	struct siommu_port *port;
	struct busy b;
	double t;
	u64 done;

	alone = best_ns(run_map_unmap, w, 8);
	many = unmap_many(w);
	port = port_create(w, 0);
	idle_barrier = best_ns(run_membarrier, NULL, 64);
	ported = best_ns(run_map_unmap, w, 8);
	many_ported = unmap_many(w);
	port_destroy(w, port);
	busy_begin(&b, w);
	busy_barrier = best_ns(run_membarrier, NULL, 64);
	done = b.done;
	t = now_ns();
	running = best_ns(run_map_unmap, w, 8);
	t = (now_ns() - t) / (double)(b.done - done);
	busy_end(&b, w);
	printf("map + unmap of 4 KiB: %.0f ns without a port, %.0f with one (barrier: %.0f),\n"
	       "  %.0f while a thread does DMA (barrier: %.0f), which takes %.2f ns for each "
	       "access\n",
	       alone, ported, idle_barrier, running, busy_barrier, t);
	printf("unmap of many, for each page: %.1f ns without a port, %.1f with one\n", many,
	       many_ported);
}

/* --- invalidation --- */

struct invalidate {
	struct dma_port *ports[64];
	unsigned int n;
	bool barrier;
	u64 last;
};

static u64 run_invalidate(const void *arg, unsigned int n)
{
	const struct invalidate *v = arg;
	unsigned int i;

	while (n--) {
		for (i = 0; i < v->n; i++)
			dma_port_post(v->ports[i], 0, v->last);
		if (v->barrier)
			dma_barrier();
		for (i = 0; i < v->n; i++)
			dma_port_wait(v->ports[i], 0, v->last);
		/* Each begins an access, and follows. */
		for (i = 0; i < v->n; i++) {
			siommu_dma_begin(&v->ports[i]->port);
			siommu_dma_end(&v->ports[i]->port);
		}
	}
	return 0;
}

/* How much longer an access takes that has to empty a TLB first. */
static double catch_up_ns(struct world *w, u64 n)
{
	struct load l = w->load;
	double best = 1e30, t;
	unsigned int run;
	u64 i;

	l.port = port_create(w, 0);
	l.n = n;
	for (run = 0; run < 20; run++) {
		sink += find_free(&l, (unsigned int)n, false);
		dma_port_post(to_dma_port(l.port), 0, U64_MAX);
		t = now_ns();
		siommu_dma_begin(l.port);
		t = now_ns() - t;
		siommu_dma_end(l.port);
		best = t < best ? t : best;
	}
	for (i = 0; i < n; i += n / 2 + 1)
		sink += find_free(&l, 1, false);
	port_destroy(w, l.port);
	return best;
}

/* The data path's part of it alone: any IOMMU's is the same. */
static void bench_invalidation(struct world *w)
{
	static const unsigned int counts[] = { 1, 8, 64 };
	struct invalidate v = { .last = 4 * KIB - 1 };
	double barrier = best_ns(run_membarrier, NULL, 64), page, all;
	unsigned int i;

	printf("\ninvalidation of ports that rest, and what each then takes to follow; "
	       "membarrier: %.0f ns\n",
	       barrier);
	for (i = 0; i < ARRAY_SIZE(v.ports); i++)
		v.ports[i] = to_dma_port(port_create(w, 0));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		v.n = counts[i];
		v.last = 4 * KIB - 1;
		v.barrier = false;
		page = best_ns(run_invalidate, &v, 16);
		v.last = U64_MAX;
		all = best_ns(run_invalidate, &v, 16);
		v.barrier = true;
		printf("%3u ports: %8.0f ns a page, %8.0f ns everything; %8.0f ns with the "
		       "barrier\n",
		       v.n, page, all, best_ns(run_invalidate, &v, 16));
	}
	for (i = 0; i < ARRAY_SIZE(v.ports); i++)
		port_destroy(w, &v.ports[i]->port);
	printf("the first access after everything went: %.0f ns with 64 translations in the TLB, "
	       "%.0f with 4,096, %.0f with 65,536\n",
	       catch_up_ns(w, 64), catch_up_ns(w, 4096), catch_up_ns(w, SINGLES));
}

/* What iommu_unmap() and one iommu_sync() do for many pages, per page. */
static void bench_table_unmap(struct world *w)
{
	const unsigned int n = quick ? 1024 : 16384;
	struct siommu_port *port = port_create(w, 0);
	double best = 1e30, t;
	unsigned int run, i;

	for (run = 0; run < 9; run++) {
		for (i = 0; i < n; i++)
			ioas_map(w, MANY + i * 4 * KIB, memory_of(&w->load, i), 4 * KIB);
		t = now_ns();
		for (i = 0; i < n; i++)
			pt_vtdss_unmap(&w->pt, MANY + i * 4 * KIB, 4 * KIB);
		dma_port_post(to_dma_port(port), MANY, MANY + n * 4 * KIB - 1);
		dma_barrier();
		dma_port_wait(to_dma_port(port), MANY, MANY + n * 4 * KIB - 1);
		pt_sync(&w->pt);
		t = (now_ns() - t) / n;
		best = t < best ? t : best;
	}
	port_destroy(w, port);
	printf("unmap of one of %u pages in the tables, with its share of one barrier: %.1f ns\n",
	       n, best);
	table_unmap = best;
}

/* --- the dirty bitmap --- */

static u64 run_read(const void *arg, unsigned int n)
{
	const u64 *p = arg;
	u64 any = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		any |= p[i];
	return any;
}

/* Write to every page, as a device does. */
static double make_dirty(struct world *w, u64 bytes)
{
	struct siommu_port *port = port_create(w, 0);
	double t = now_ns();
	u64 at;

	for (at = 0; at < bytes; at += 4 * KIB) {
		u8 *p;

		siommu_dma_begin(port);
		p = siommu_dma_find(port, MANY + at, 1, SIOMMU_DMA_WRITE);
		if (!p)
			die("a write failed", EFAULT);
		siommu_dma_end(port);
	}
	t = (now_ns() - t) / (double)(bytes >> 12);
	port_destroy(w, port);
	return t;
}

static double get_dirty(struct world *w, u64 bytes, u64 *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = w->hwpt,
		.iova = MANY,
		.length = bytes,
		.page_size = 4 * KIB,
		.data = (uintptr_t)bitmap,
	};
	double t;

	memset(bitmap, 0, bytes >> 15);
	t = now_ns();
	CALL(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
	return now_ns() - t;
}

/* The guest's memory over and over: it is only the tables that have to be there. */
static void bench_dirty(const struct kind *kind, double floor, unsigned int entries)
{
	const u64 bytes = (u64)entries << 12;
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};
	u64 *bitmap = malloc(bytes >> 15);
	double write, dirty, ns, clean = 1e30;
	struct world w;
	unsigned int i;
	u64 at;

	if (!bitmap)
		die("memory", ENOMEM);
	if (!world_begin(&w, kind, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 1, 12, 12)) {
		free(bitmap);
		return;
	}
	for (at = 0; at < bytes; at += GUEST_BYTES)
		ioas_map(&w, MANY + at, guest, GUEST_BYTES);
	set.hwpt_id = w.hwpt;
	CALL(&w, IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
	/* Pages may be dirty from the start. */
	get_dirty(&w, bytes, bitmap);
	write = make_dirty(&w, bytes);
	dirty = get_dirty(&w, bytes, bitmap);
	if (bitmap[0] != ~(u64)0 || bitmap[(bytes >> 18) - 1] != ~(u64)0)
		die("writes are missing from the bitmap", EINVAL);
	for (i = 0; i < 3; i++) {
		ns = get_dirty(&w, bytes, bitmap);
		clean = ns < clean ? ns : clean;
		if (bitmap[0] || bitmap[(bytes >> 18) - 1])
			die("the bitmap was not cleared", EINVAL);
	}
	printf("%-12s clean %8.2f ms %5.2fx, all dirty %8.2f ms %5.2fx; "
	       "each first write %.1f ns\n",
	       kind->name, clean / 1e6, clean / floor, dirty / 1e6, dirty / floor, write);
	free(bitmap);
	world_end(&w);
}

static void bench_all_dirty(void)
{
	const unsigned int entries = (unsigned int)((quick ? GIB : 64 * GIB) >> 12);
	u64 *tables = malloc(entries * sizeof(u64));
	double floor;
	unsigned int i;

	if (!tables)
		die("memory", ENOMEM);
	for (i = 0; i < entries; i++)
		tables[i] = i;
	floor = best_ns(run_read, tables, entries) * entries;
	free(tables);
	printf("\ndirty bitmap of %u GiB in 4 KiB pages; reading as many bytes as its tables have: "
	       "%.2f ms\n",
	       entries >> 18, floor / 1e6);
	for (i = 0; i < ARRAY_SIZE(dirty_kinds); i++)
		bench_dirty(&dirty_kinds[i], floor, entries);
}

/* --- memory --- */

static size_t held(struct world *w)
{
	size_t bytes;

	siommu_machine_used(w->machine, &bytes, NULL);
	return bytes;
}

/* Pages of this process that are in memory. */
static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	if (!f || fscanf(f, "%*u %zu", &pages) != 1)
		die("/proc/self/statm", EIO);
	fclose(f);
	return pages * 4096;
}

static void bench_memory(struct world *w)
{
	enum { PORTS = 64 };
	struct siommu_port *ports[PORTS];
	size_t before = held(w), in_memory = resident();
	struct load l = w->load;
	unsigned int i;

	for (i = 0; i < PORTS; i++) {
		l.port = ports[i] = port_create(w, 0);
		sink += find_free(&l, 64, false);
	}
	printf("bytes for a port that uses 64 pages: %zu of addresses, %zu of memory\n",
	       (held(w) - before) / PORTS, (resident() - in_memory) / PORTS);
	for (i = 0; i < PORTS; i++)
		port_destroy(w, ports[i]);
	before = held(w);
	for (i = 0; i < 4096; i++)
		ioas_map(w, MANY + i * 4 * KIB, memory_of(&w->load, i), 4 * KIB);
	printf("bytes for a mapping of 4 KiB: %zu\n", (held(w) - before) / 4096);
	ioas_unmap(w, MANY, 4096 * 4 * KIB);
}

/* --- all of it --- */

static const struct {
	const char *name;
	u64 n;
	unsigned int page_lg2, stride_lg2;
} patterns[] = {
	{ "1 mapping", 1, 12, 12 },
	{ "64 mappings", 64, 12, 12 },
	{ "4,096 mappings", 4096, 12, 12 },
	{ "65,536 mappings", SINGLES, 12, 12 },
	{ "65,536, every second page", SINGLES, 12, 13 },
	{ "1 GiB in 2 MiB pages", 512, 21, 21 },
};

static bool bench_kind_pattern(const struct kind *kind, unsigned int i)
{
	struct world w;

	if (!world_begin(&w, kind, 0, patterns[i].n, patterns[i].page_lg2, patterns[i].stride_lg2))
		return false;
	world_fill(&w);
	bench_pattern(&w, patterns[i].name);
	if (w.load.n == 64) {
		bench_threads(&w);
		bench_miss(&w);
		bench_copies(&w);
	}
	if (w.load.n == 64 && !kind->nest && kind->model) {
		bench_unmap(&w);
		bench_memory(&w);
	}
	if (w.load.n == SINGLES && !kind->model && w.load.stride_lg2 == 12) {
		bench_invalidation(&w);
		bench_table_unmap(&w);
	}
	free(w.load.flat);
	world_end(&w);
	return true;
}

static void bench_kind(const struct kind *kind)
{
	unsigned int i;

	printf("\n%-30s %16s %15s %15s %15s\n", kind->name, "in order", "random", "in order, dep.",
	       "random, dep.");
	for (i = 0; i < ARRAY_SIZE(patterns); i++)
		if (!bench_kind_pattern(kind, i))
			return;
	bench_far_miss(kind);
}

static u64 run_l1(const void *arg, unsigned int n)
{
	const u64 *at = arg;

	while (n--)
		at = (const u64 *)(uintptr_t)*at;
	return (uintptr_t)at;
}

static void measure_l1(void)
{
	static u64 chain[256];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chain); i++)
		chain[i] = (uintptr_t)&chain[(i * 5 + 8) % ARRAY_SIZE(chain)];
	l1_ns = best_ns(run_l1, chain, 65536);
	scale = l1_ns / REFERENCE_L1;
	printf("a load from the first-level cache: %.2f ns, %.2f of the machine's that the aims "
	       "are for\n",
	       l1_ns, scale);
}

static void scaled_aim(double value, double limit, const char *what)
{
	aim(value <= limit * scale,
	    "%.2f ns for %s, the worst model (<= %.2f, that is %.0f scaled)", value, what,
	    limit * scale, limit);
}

static void judge(void)
{
	printf("\n");
	scaled_aim(worst.hit, 3, "a hit among 64");
	scaled_aim(worst.chain, 7, "a hit, dependent");
	scaled_aim(worst.many, 20, "one of 65,536 at random");
	scaled_aim(worst.miss, 25, "a miss, one stage");
	scaled_aim(worst.nested_miss, 100, "a miss, nested");
	if (table_unmap)
		aim(table_unmap <= 100 * scale,
		    "%.1f ns to unmap a page in tables and ports, one barrier for all "
		    "(<= %.1f, that is 100 scaled)",
		    table_unmap, 100 * scale);
	aim(worst.threads >= 1.9, "%.2f times as much with two threads, the worst model (>= 1.9)",
	    worst.threads);
	aim(worst.copy <= 1.3, "%.2f of memcpy to read 4 KiB, the worst model (<= 1.3)",
	    worst.copy);
}

static void *reserve(size_t bytes, size_t align)
{
	char *p = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap", errno);
	return (void *)(((uintptr_t)p + align - 1) & ~(align - 1));
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	unsigned int i;

	for (i = 1; i < (unsigned int)argc; i++) {
		if (!strcmp(argv[i], "--quick")) {
			quick = true;
		} else if (!strcmp(argv[i], "--only") && i + 1 < (unsigned int)argc) {
			only = argv[++i];
		} else {
			fprintf(stderr, "usage: dma_bench [--quick] [--only NAME]\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	guest = reserve(GUEST_BYTES, 2 * MIB);
	big = reserve(GIB, GIB);
	memset(guest, 0, GUEST_BYTES);
	printf("The data path: ns, and how much that is of the floor. Repeat with: "
	       "bench/dma_bench\n");
	measure_l1();
	for (i = 0; i < NKINDS; i++)
		if (!only || strstr(kinds[i].name, only))
			bench_kind(&kinds[i]);
	if (!only)
		bench_all_dirty();
	judge();
	return missed && !quick ? 3 : EXIT_SUCCESS;
}
