// SPDX-License-Identifier: MIT
/*
 * Random tables, random requests: the model against an oracle. Tables are filled
 * with entries that are mostly good and sometimes anything; only a few indices of
 * each are used, so that requests meet them. What is compared is the fault's
 * reason, or the address, its page and permissions, and all of the memory: the
 * marks that were set, and those that were not.
 *
 * Addresses that hardware follows stay within one piece of memory. Second-stage
 * tables are the driver's, and never lead anywhere else; first-stage tables do,
 * if there is a second stage below them.
 */
#include "vtd_rig.h"

#include "core/device.h"
#include "near.h"
#include "oracle_vtd.h"
#include "vtd/vtd.h"

#undef FAULT

#define ROUNDS	 24000
#define REQUESTS 64

/* Memory: a guest's gigabyte, of which only the first pages are not zero, and tables. */
#define MEMORY	  (2 * GiB)
#define HOT_PAGES 16
#define SS_TABLES (1 * GiB)
#define NTABLES	  12

static uint8_t *memory, *shadow;
static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	return (unit_random(&seed) >> 11) % n;
}

static bool once_in(uint64_t n)
{
	return !random_below(n);
}

/* 2 GiB of address space, aligned to 1 GiB: hardly any of it is ever used. */
static uint8_t *reserve(void)
{
	uint8_t *p = mmap(NULL, MEMORY + GiB, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_TRUE(p != MAP_FAILED);
	return p + (-addr(p) & (GiB - 1));
}

/* Indices that are used, the same at all levels. */
static uint64_t some_index(void)
{
	static const unsigned int indices[] = { 0, 0, 0, 0, 1, 1, 2, 511 };

	return indices[random_below(sizeof(indices) / sizeof(indices[0]))];
}

static uint64_t some_address(unsigned int levels)
{
	uint64_t a = random_below(PAGE);
	unsigned int level;

	for (level = 0; level < levels; level++)
		a |= some_index() << (12 + 9 * level);
	return a;
}

/* A bit now and then that should not be there, or not be missing. */
static uint64_t disturbed(uint64_t entry, uint64_t safe)
{
	while (once_in(12))
		entry ^= 1ull << random_below(64) & ~safe;
	return entry;
}

#define ADDRESS 0xffffffffff000ull

static uint64_t ss_table_entry(void)
{
	uint64_t e = addr(memory) + SS_TABLES + random_below(NTABLES) * PAGE;

	e |= once_in(10) ? random_below(4) : 3;
	return disturbed(e, ADDRESS | 1 << 7) | (once_in(4) ? 1 << 8 : 0);
}

/* A page of a level, that has all of its bytes in the guest's gigabyte. */
static uint64_t ss_page_entry(unsigned int level)
{
	uint64_t e = addr(memory) | (level ? 1 << 7 : 0);
	/* Reserved bits stop the walk, and more would lead out. */
	uint64_t safe = ~(((1ull << (12 + 9 * level)) - 1)) & ADDRESS;

	if (!level)
		e += random_below(2 * HOT_PAGES) * PAGE;
	else if (level == 1 && once_in(3))
		e += 2 * MiB;
	e |= once_in(8) ? random_below(4) : 3;
	e |= once_in(3) ? 1 << 8 : 0;
	e |= once_in(3) ? 1 << 9 : 0;
	return disturbed(e, level ? safe | 1 << 7 : ADDRESS);
}

/*
 * A table's level depends on how it is reached. So that no page is taken for a
 * table, those of each level are in tables of their own.
 */
static void fill_second_stage(unsigned int levels)
{
	unsigned int table, index, level;

	for (table = 0; table < NTABLES; table++) {
		level = table / 2 < levels ? table / 2 : levels - 1;
		for (index = 0; index < 512; index = index == 2 ? 511 : index + 1) {
			uint64_t *at = (uint64_t *)(memory + SS_TABLES + table * PAGE) + index;

			if (!level || (level < 3 && once_in(3)))
				*at = ss_page_entry(level);
			else
				*at = (ss_table_entry() & ~ADDRESS) |
				      (addr(memory) + SS_TABLES +
				       (2 * (level - 1) + random_below(2)) * PAGE);
			if (once_in(16))
				*at = 0;
		}
	}
}

/* What a first-stage entry points at. */
static uint64_t fs_target(bool nested)
{
	if (!nested)
		return addr(memory) + random_below(HOT_PAGES) * PAGE;
	if (once_in(20))
		return unit_random(&seed) & ADDRESS;
	return some_address(once_in(5) ? 3 : once_in(2) ? 2 : 1) & ~0xfffull;
}

/*
 * Any page may be a table of any level; without a second stage all addresses lead
 * into the first pages, even if an entry is used as a table that was made as a page.
 */
static uint64_t fs_entry(bool nested)
{
	uint64_t e = fs_target(nested) | 7;

	if (once_in(8))
		e &= ~(1ull << random_below(3));
	e |= once_in(2) ? 1 << 5 : 0;
	e |= once_in(3) ? 1 << 6 : 0;
	e |= once_in(3) ? 1 << 10 : 0;
	if (once_in(6))
		e |= 1 << 7;
	if (once_in(6) && nested)
		e &= ~(random_below(2) ? 0x3ffff000ull : 0x1ff000ull);
	if (once_in(10))
		e |= 1ull << 63;
	return once_in(30) && nested ? unit_random(&seed) : disturbed(e, nested ? 0 : ADDRESS);
}

static void fill_first_stage(bool nested)
{
	unsigned int page, index;

	for (page = 0; page < HOT_PAGES; page++)
		for (index = 0; index < 512; index = index == 2 ? 511 : index + 1)
			((uint64_t *)(memory + page * PAGE))[index] = fs_entry(nested);
}

/* An entry of the PASID table that hardware mostly takes. */
static void fill_entry(const struct oracle *o, uint64_t *e, unsigned int *fs_levels,
		       unsigned int *ss_levels)
{
	unsigned int pgtt = 1 + (unsigned int)random_below(3), aw;
	uint64_t root = addr(memory) + SS_TABLES;

	if (once_in(2))
		pgtt = 3;
	aw = 1 + (unsigned int)random_below(3);
	*ss_levels = aw + 2;
	root += (2 * (*ss_levels - 1) + random_below(2)) * PAGE;
	memset(e, 0, 8 * sizeof(*e));
	e[0] = (pgtt == 1 ? 0 : root) | 1 | aw << 2 | pgtt << 6 | random_below(2) << 9;
	if (pgtt == 1)
		e[0] &= ~(1ull << 9);
	e[1] = random_below(0x10000) | (unit_random(&seed) & ~0x7fffffull);
	if (pgtt != 2)
		e[2] = fs_target(pgtt == 3);
	e[2] |= unit_random(&seed) & 0xf3;
	/* Mostly what the hardware has: SSADS, SRS, ERS, EAFS. */
	if (!(o->ecap >> 45 & 1) && !once_in(20))
		e[0] &= ~(1ull << 9);
	if (!(o->ecap >> 31 & 1) && !once_in(20))
		e[2] &= ~1ull;
	if (!(o->ecap >> 30 & 1) && !once_in(20))
		e[2] &= ~2ull;
	if (!(o->ecap >> 34 & 1) && !once_in(20))
		e[2] &= ~(1ull << 7);
	*fs_levels = 4;
	if ((o->cap >> 60 & 1) ? once_in(3) : once_in(30)) {
		e[2] |= 1 << 2;
		*fs_levels = 5;
	}
	/* Wrong, but not so that tables are taken for what they are not. */
	if (once_in(50))
		e[0] = (e[0] & ~(7ull << 6)) | (random_below(2) ? 0 : 5 + random_below(3)) << 6;
	if (once_in(50))
		e[0] = (e[0] & ~(7ull << 2)) | (random_below(2) ? 0 : 4 + random_below(4)) << 2;
	if (once_in(50))
		e[0] ^= random_below(2) ? 1 : 1 << (10 + random_below(2));
	if (once_in(50))
		e[1] ^= 1 << (16 + random_below(7));
	if (once_in(50))
		e[2] ^= 1ull << random_below(12);
	if (once_in(200))
		e[3 + random_below(5)] = unit_random(&seed);
}

static uint64_t some_input(const uint64_t *e, unsigned int fs_levels, unsigned int ss_levels)
{
	bool first = e[0] >> 6 & 1;
	unsigned int levels = first ? fs_levels : ss_levels;
	uint64_t a = some_address(levels);

	if (first && a >> (12 + 9 * levels - 1))
		a |= ~0ull << (12 + 9 * levels - 1);
	if (once_in(100))
		a ^= 1ull << (39 + random_below(25));
	return a;
}

static unsigned int some_access(void)
{
	unsigned int access = 1 + (unsigned int)random_below(3);

	if (once_in(6))
		access = SIOMMU_DMA_READ | SIOMMU_DMA_EXEC;
	if (once_in(3))
		access |= SIOMMU_DMA_PRIV;
	return access;
}

static unsigned int result_perms(const struct oracle_result *r)
{
	return (unsigned int)(r->user_r | r->user_w << 1 | r->user_x << 2 | r->priv_r << 3 |
			      r->priv_w << 4 | r->priv_x << 5);
}

static bool may_come(unsigned int reason)
{
	return reason == 0x71 || (reason >= 0x75 && reason <= 0x77) || reason == 0x79 ||
	       reason == 0x81 || reason == 0x82 || reason == 0x85 || reason == 0x86;
}

/* Compare what both say. */
static bool same(const struct oracle_result *want, const struct dma_request *req, int rc,
		 const struct dma_reply *reply)
{
	if (want->reason && req->ats && may_come(want->reason))
		return !rc && !reply->perms && reply->fault.reason == want->reason;
	if (want->reason && req->ats)
		return rc == -EFAULT && reply->fault.reason == want->reason;
	if (want->reason)
		return rc == -EFAULT && reply->fault.reason == want->reason &&
		       may_come(want->reason) ==
			       ((reply->fault.flags & SIOMMU_FAULT_RECOVERABLE) != 0);
	return !rc && reply->hpa == want->out && reply->lg2 == want->lg2 &&
	       reply->span_lg2 == want->span && reply->perms == result_perms(want);
}

static bool same_memory(const struct oracle *o)
{
	unsigned int i;

	for (i = 0; i < o->ntouched; i++)
		if (*(uint64_t *)(memory + o->touched[i]) != *(uint64_t *)(shadow + o->touched[i]))
			return false;
	return true;
}

static void copy_memory(void)
{
	memcpy(shadow, memory, HOT_PAGES * PAGE);
	memcpy(shadow + SS_TABLES, memory + SS_TABLES, NTABLES * PAGE);
}

static bool all_same(void)
{
	return !memcmp(shadow, memory, 4 * HOT_PAGES * PAGE) &&
	       !memcmp(shadow + SS_TABLES, memory + SS_TABLES, NTABLES * PAGE);
}

/* How often each thing happened: a test that only meets "not present" shows nothing. */
static struct {
	uint64_t done, ok, ats, reasons[256];
} seen;

static void one_request(struct iommu_device *dev, struct dma_port *port, struct oracle *o,
			uint64_t iova)
{
	struct dma_request req = {
		.iova = iova,
		.access = some_access(),
		.ats = once_in(8),
		.peek = once_in(16),
	};
	struct oracle_result want;
	struct dma_reply reply;
	int rc;

	o->pasid = port->flags & SIOMMU_PORT_PASID;
	o->read = req.access & SIOMMU_DMA_READ;
	o->write = req.access & SIOMMU_DMA_WRITE;
	o->exec = req.access & SIOMMU_DMA_EXEC;
	o->priv = req.access & SIOMMU_DMA_PRIV;
	o->ats = req.ats;
	o->peek = req.peek;
	want = oracle_run(o, iova);
	memset(&reply, 0, sizeof(reply));
	rc = dev->unit->ops->translate(dev, port, &req, &reply);
	seen.done++;
	seen.ok += !want.reason;
	seen.ats += req.ats && !want.reason;
	seen.reasons[want.reason & 0xff]++;
	near_compare(port, &req);
	if (same(&want, &req, rc, &reply) && same_memory(o))
		return;
	unit_fail(__FILE__, __LINE__,
		  "%#llx access %#x ats %d peek %d: %d %#x %#llx 2^%u 2^%u %#x, should be "
		  "%#x %#llx 2^%u 2^%u %#x; entry %#llx %#llx; memory %d",
		  (unsigned long long)iova, req.access, req.ats, req.peek, rc, reply.fault.reason,
		  (unsigned long long)reply.hpa, reply.lg2, reply.span_lg2, reply.perms,
		  want.reason, (unsigned long long)want.out, want.lg2, want.span,
		  result_perms(&want), (unsigned long long)o->e[0], (unsigned long long)o->e[2],
		  same_memory(o));
}

static void one_round(struct rig *r, struct siommu_port *ports[2], struct oracle *o)
{
	struct iommu_device *dev = r->dev->dev;
	struct vtd_device *vd = to_vtd_device(dev);
	uint64_t *entry = (uint64_t *)(vd->dir[0] & ~0xfffull);
	unsigned int i, fs_levels, ss_levels;

	fill_entry(o, o->e, &fs_levels, &ss_levels);
	fill_second_stage(ss_levels);
	fill_first_stage((o->e[0] >> 6 & 7) != 1);
	memcpy(entry, o->e, sizeof(o->e));
	to_dma_port(ports[0])->config_valid = to_dma_port(ports[1])->config_valid = false;
	copy_memory();
	iommu_flush_device(dev, 0, U64_MAX);
	for (i = 0; i < REQUESTS; i++)
		one_request(dev, to_dma_port(ports[once_in(3) ? 0 : 1]), o,
			    some_input(o->e, fs_levels, ss_levels));
	EXPECT_TRUE(all_same());
	memset(entry, 0, sizeof(o->e));
}

/* Every fault that tables and their entry can cause has been seen. */
static void expect_variety(void)
{
	static const uint8_t reasons[] = { 0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x71, 0x72,
					   0x74, 0x75, 0x76, 0x77, 0x79, 0x7a, 0x80,
					   0x81, 0x82, 0x84, 0x85, 0x86 };
	unsigned int i;

	printf("# %llu requests, %llu translated, %llu translation requests answered\n",
	       (unsigned long long)seen.done, (unsigned long long)seen.ok,
	       (unsigned long long)seen.ats);
	for (i = 0; i < sizeof(reasons); i++) {
		printf("# %#x: %llu\n", reasons[i], (unsigned long long)seen.reasons[reasons[i]]);
		EXPECT_TRUE(seen.reasons[reasons[i]] > 100);
	}
	EXPECT_TRUE(seen.ok > seen.done / 20);
	near_expect();
}

static void compare(const char *options, uint64_t cap, uint64_t ecap, unsigned int rounds)
{
	struct oracle o = { .cap = cap, .ecap = ecap, .memory = addr(memory), .copy = shadow };
	struct rig r = rig_new(options);
	struct siommu_port *ports[2] = { r.port, pasid_port(&r, 0) };
	unsigned int i;

	for (i = 0; i < rounds && !unit.failures; i++)
		one_round(&r, ports, &o);
	siommu_port_destroy(ports[1]);
	rig_end(&r);
}

TEST(random_tables)
{
	/* All widths, and all that can be switched on; then without large pages and 5 levels. */
	const uint64_t cap = 0x19ed008c40780e66, ecap = 0x0003ef9ee6f050df;
	const uint64_t small = 0x08ed008040270666, without = 0x0003cf9a26f050df;
	char options[64];

	seed = unit_seed();
	memory = reserve();
	shadow = reserve();
	snprintf(options, sizeof(options), "cap=%#llx,ecap=%#llx", (unsigned long long)cap,
		 (unsigned long long)ecap);
	compare(options, cap, ecap, ROUNDS * 3 / 4);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	snprintf(options, sizeof(options), "cap=%#llx,ecap=%#llx", (unsigned long long)small,
		 (unsigned long long)without);
	compare(options, small, without, ROUNDS / 4);
	expect_variety();
}
