// SPDX-License-Identifier: MIT
/*
 * Random tables and random requests, against oracle_amd.h: result, permissions,
 * sizes, events, and each accessed and dirty bit.
 *
 * Tables have a level that they were made for and a few entries in use, so that
 * requests meet them; most entries are sound and some have one thing wrong.
 * Tables are shared, so that a guest's may map themselves. Host pages under a
 * guest's tables stay within the arena, since these are read.
 */
#include "amd_raw.h"
#include "near.h"
#include "oracle_amd.h"

#define SCENARIOS 8000
#define REQUESTS  128

#define HOST_TABLES  2 /* of each level */
#define GUEST_TABLES 2
#define CANDIDATES   24

/* Entries in use. */
static const unsigned int indexes[] = { 0, 1, 2, 255, 256, 511 };

static struct {
	uint64_t seed;
	uint64_t arena, copy;
	uint64_t host[7][HOST_TABLES]; /* by level, from 1 */
	uint64_t guest_hpa[CANDIDATES];
	uint64_t guest_gpa[CANDIDATES];
	unsigned int candidates;
	unsigned int guest[6][GUEST_TABLES]; /* index of a candidate; 0: GCR3 */
	uint64_t next_page;
	unsigned int odd;
	struct oracle o;
	uint64_t cases, faults, marks;
} w;

static uint64_t rnd(void)
{
	return unit_random(&w.seed);
}

static bool chance(unsigned int percent)
{
	return rnd() % 100 < percent;
}

/* Of what makes requests fail, some scenarios have less. */
static bool odd(unsigned int percent)
{
	return rnd() % 300 < percent * w.odd;
}

static uint64_t page_new(void)
{
	uint64_t page = w.arena + w.next_page;

	w.next_page += 4096;
	memset(at(page), 0, 4096);
	return page;
}

static unsigned int rnd_index(void)
{
	return indexes[rnd() % (sizeof(indexes) / sizeof(indexes[0]))];
}

static bool has_guest(void)
{
	return w.o.dte[0] >> 55 & 1;
}

static unsigned int mode(void)
{
	return (unsigned int)(w.o.dte[0] >> 9 & 7);
}

/* Bits that mean nothing, A and D. */
static uint64_t host_noise(void)
{
	return rnd() & (0x1full << 52 | 0x1ull << 59 | 1ull << 60 | 0x7full << 2 | 1ull << 8);
}

static uint64_t host_rights(void)
{
	return (odd(8) ? 0 : 1ull << 61) | (odd(12) ? 0 : 1ull << 62);
}

static uint64_t host_page_entry(unsigned int level)
{
	unsigned int item = 3 + 9 * level, lg2 = item;
	uint64_t entry = 1 | host_noise() | host_rights(), ones;

	if (chance(50)) {
		lg2 = item + (unsigned int)(rnd() % 9);
		if (lg2 < 13)
			lg2 = 13;
		if (odd(3))
			lg2 = 13 + (unsigned int)(rnd() % 39);
		if (has_guest() && lg2 > 31)
			lg2 = 30;
		if (lg2 > 60)
			lg2 = 60;
		ones = (1ull << (lg2 - 13)) - 1;
		entry |= 7ull << 9 | ones << 12;
	}
	if (has_guest())
		return entry | w.arena |
		       (rnd() & (ARENA_BYTES - 1) & ~((1ull << lg2) - 1) & ~4095ull);
	return entry | ((rnd() & ((1ull << 52) - 1)) & ~((1ull << lg2) - 1));
}

static uint64_t host_table_entry(unsigned int level)
{
	unsigned int next = level - 1;

	if (level > 2 && odd(10))
		next = 1 + (unsigned int)(rnd() % (level - 1));
	return 1 | host_noise() | host_rights() | (uint64_t)next << 9 |
	       w.host[next][rnd() % HOST_TABLES];
}

static uint64_t host_entry(unsigned int level)
{
	uint64_t entry;

	if (odd(8))
		return rnd() & ~1ull;
	/* With guest tables, no page may be larger than the arena. */
	if (level == 1 || (chance(35) && (!has_guest() || level <= 3)))
		entry = host_page_entry(level);
	else
		entry = host_table_entry(level);
	if (odd(3))
		entry |= 1ull << 63;
	if (odd(3) && (entry >> 9 & 7) != 7 && (entry >> 9 & 7))
		entry = (entry & ~(7ull << 9)) | (level + rnd() % (7 - level)) << 9;
	return entry;
}

static void build_host(void)
{
	unsigned int level, i, j;

	for (level = 1; level <= 6; level++)
		for (i = 0; i < HOST_TABLES; i++)
			w.host[level][i] = page_new();
	for (level = 1; level <= 6; level++)
		for (i = 0; i < HOST_TABLES; i++)
			for (j = 0; j < sizeof(indexes) / sizeof(indexes[0]); j++)
				at(w.host[level][i])[indexes[j]] = host_entry(level);
}

static uint64_t rnd_host_address(void)
{
	uint64_t addr = rnd() & 4095;
	unsigned int level;

	for (level = 1; level <= 6; level++)
		if (level <= mode() || chance(3))
			addr |= (uint64_t)rnd_index() << (3 + 9 * level);
	return addr;
}

/* The copy is what the oracle works on. */
static void copy_pages(void)
{
	memcpy(at(w.copy), at(w.arena), w.next_page);
}

/* Find guest physical pages that exist: what host tables make of random addresses. */
static void find_candidates(void)
{
	struct oracle_request q = { .read = true, .peek = true };
	struct oracle plain = w.o;
	struct oracle_answer a;
	unsigned int i, j;

	plain.dte[0] = (plain.dte[0] & ~(1ull << 55 | 1ull << 54)) | 3;
	plain.has_pasid = false;
	w.candidates = 0;
	copy_pages();
	for (i = 0; i < 400 && w.candidates < CANDIDATES; i++) {
		uint64_t gpa, hpa;

		if (mode()) {
			q.iova = rnd_host_address() & ~4095ull;
			oracle_translate(&plain, &q, &a);
			gpa = q.iova;
			hpa = a.hpa;
			if (!a.ok || a.interrupt)
				continue;
		} else {
			gpa = hpa = page_new();
		}
		if (gpa >> 52)
			continue;
		/* Host tables are not the guest's to change. */
		if (hpa < w.arena + (1 << 16) && mode())
			continue;
		for (j = 0; j < w.candidates; j++)
			if (w.guest_gpa[j] == gpa)
				break;
		if (j < w.candidates)
			continue;
		w.guest_gpa[w.candidates] = gpa;
		w.guest_hpa[w.candidates++] = hpa;
	}
}

static uint64_t rnd_candidate(void)
{
	return w.guest_gpa[rnd() % w.candidates];
}

/* An address that a guest would give; rarely one that it does not have. */
static uint64_t rnd_gpa(void)
{
	/* Without host tables, only what is known to be there can be read. */
	if (!mode() || !odd(6))
		return rnd_candidate();
	return rnd() & 0xffffffffff000;
}

static uint64_t guest_rights(void)
{
	return (odd(7) ? 0 : 2) | (odd(7) ? 0 : 4) | (chance(40) ? 0x20 : 0) |
	       (chance(30) ? 0x40 : 0) | (odd(5) ? 1ull << 63 : 0);
}

static uint64_t guest_noise(void)
{
	return rnd() & (0x7ffull << 52 | 0xf00 | 0x18);
}

static uint64_t guest_entry(unsigned int level)
{
	uint64_t entry = 1 | guest_rights() | guest_noise();

	if (odd(6))
		return rnd() & ~1ull;
	if (level == 1)
		return entry | (rnd() & 0x80) | rnd_gpa();
	if (level <= 3 && chance(25)) {
		entry |= 0x80 | (rnd() & 1 << 12) | (rnd_gpa() & ~((1ull << (3 + 9 * level)) - 1));
		return odd(10) ? entry | (rnd() & 0x1fe000) : entry;
	}
	if (level > 3 && odd(3))
		entry |= 0x80;
	return entry |
	       (chance(90) ? w.guest_gpa[w.guest[level - 1][rnd() % GUEST_TABLES]] : rnd_gpa());
}

static void build_guest(void)
{
	unsigned int level, i, j;

	for (level = 0; level <= 5; level++)
		for (i = 0; i < GUEST_TABLES; i++)
			w.guest[level][i] = (unsigned int)(rnd() % w.candidates);
	for (level = 1; level <= 5; level++)
		for (i = 0; i < GUEST_TABLES; i++)
			for (j = 0; j < sizeof(indexes) / sizeof(indexes[0]); j++)
				at(w.guest_hpa[w.guest[level][i]])[indexes[j]] = guest_entry(level);
	/* GCR3 tables last: what they overwrite makes for odd entries. */
	for (i = 0; i < GUEST_TABLES; i++) {
		uint64_t *table = at(w.guest_hpa[w.guest[0][i]]);
		bool five = (w.o.dte[2] >> 54 & 3) == 1;
		unsigned int top = w.guest[five ? 5 : 4][rnd() % GUEST_TABLES];

		for (j = 0; j < 3; j++)
			table[j] = (chance(90) ? 1 : 0) |
				   w.guest_gpa[chance(60) ? top : w.guest[0][1]] | (rnd() & 0xffe);
	}
}

static void choose_dte(void)
{
	uint64_t *q = w.o.dte, m = chance(80) ? 3 + rnd() % 4 : rnd() % 8, had = rnd() % 4;

	memset(q, 0, sizeof(w.o.dte));
	if (m > w.o.host_levels && chance(95))
		m = w.o.host_levels;
	if (had == 2 && chance(90))
		had = 3;
	if (!w.o.had && chance(95))
		had = 0;
	q[0] = (chance(99) ? 1 : 0) | (chance(99) ? 2 : 0) | had << 7 | m << 9 |
	       (chance(97) ? 1ull << 61 : 0) | (chance(95) ? 1ull << 62 : 0) | rnd() % 2 << 52;
	q[1] = (rnd() & 0xffff) | (chance(95) ? 1ull << 32 : 0);
	if (chance(60)) {
		uint64_t glx = !m || chance(60) ? 0 : chance(95) ? 1 + rnd() % 2 : 3;
		uint64_t levels = chance(60) ? 0 : chance(90) ? 1 : 2 + rnd() % 2;

		if (!w.o.five && chance(90))
			levels = 0;
		q[0] |= 1ull << 55 | (chance(70) ? 1ull << 54 : 0) | glx << 56;
		q[2] |= levels << 54;
	}
}

static void set_gcr3(uint64_t gcr3)
{
	w.o.dte[0] |= (gcr3 >> 12 & 7) << 58;
	w.o.dte[1] |= (gcr3 >> 15 & 0xffff) << 16 | (gcr3 >> 31) << 43;
}

static void build(void)
{
	w.next_page = 0;
	w.odd = (unsigned int)(rnd() % 4);
	choose_dte();
	build_host();
	w.next_page = 1 << 16;
	if (mode() >= 1 && mode() <= 6)
		w.o.dte[0] |= w.host[mode()][0];
	if (has_guest() && mode() < 7) {
		find_candidates();
		if (w.candidates) {
			build_guest();
			set_gcr3(w.guest_gpa[w.guest[0][0]]);
		}
	}
}

static uint64_t rnd_iova(bool guest)
{
	uint64_t iova = rnd() & 4095;
	unsigned int level;

	if (chance(1))
		return 0xfee00000 + rnd() % 0x100000;
	if (!guest)
		return rnd_host_address();
	for (level = 1; level <= ((w.o.dte[2] >> 54 & 3) == 1 ? 5 : 4); level++)
		iova |= (uint64_t)rnd_index() << (3 + 9 * level);
	/* Sign-extended, mostly. */
	if (level == 5 && iova >> 47 & 1 && chance(97))
		iova |= 0xffffull << 48;
	if (level == 6 && iova >> 56 & 1 && chance(97))
		iova |= 0x7full << 57;
	return chance(1) ? iova ^ 1ull << (rnd() % 64) : iova;
}

static const struct oracle_request accesses[] = {
	{ .read = true },
	{ .write = true },
	{ .read = true, .write = true },
	{ .read = true, .exec = true },
	{ .read = true, .priv = true },
	{ .write = true, .priv = true },
	{ .read = true, .ats = true },
	{ .read = true, .write = true, .ats = true },
	{ .write = true, .peek = true },
	{ .exec = true },
	{ .ats = true },
	{ .read = true, .ats = true, .priv = true },
	{ .read = true, .exec = true, .priv = true },
};

static unsigned int access_of(const struct oracle_request *q)
{
	return (q->read ? SIOMMU_DMA_READ : 0) | (q->write ? SIOMMU_DMA_WRITE : 0) |
	       (q->exec ? SIOMMU_DMA_EXEC : 0) | (q->priv ? SIOMMU_DMA_PRIV : 0);
}

static bool same(const struct oracle_answer *a, int rc, const struct dma_reply *r,
		 struct dma_port *port)
{
	const struct siommu_fault *f = &r->fault;
	bool gn = a->flags & 1;
	uint64_t id = gn ? port->pasid : w.o.dte[1] & 0xffff;

	if (a->ok != !rc)
		return false;
	if (a->interrupt)
		return r->interrupt && r->hpa == a->hpa;
	if (a->ok)
		return r->hpa == a->hpa && r->lg2 == a->small && r->span_lg2 == a->large &&
		       r->perms == (a->user | a->priv << 3) && !r->interrupt;
	return f->reason == a->code && f->record[1] == a->address &&
	       f->record[0] == ((uint64_t)a->code << 60 | (uint64_t)a->flags << 48 | id << 32 |
				RAW_REQUESTER) &&
	       !(f->flags & SIOMMU_FAULT_STAGE2) == !a->stage2 &&
	       !(f->flags & SIOMMU_FAULT_RECOVERABLE) == !a->may_help &&
	       (!a->stage2 || f->ipa == a->address);
}

static void explain(const struct oracle_request *q, const struct oracle_answer *a, int rc,
		    const struct dma_reply *r, const struct dma_port *port)
{
	unit_fail(
		__FILE__, __LINE__,
		"dte %#llx %#llx %#llx, pasid %d, iova %#llx, access %u%s%s: oracle ok %d hpa "
		"%#llx "
		"lg2 %u/%u perms %u/%u code %u flags %#x address %#llx stage2 %d; model rc %d hpa "
		"%#llx lg2 %u/%u perms %#x record %#llx %#llx flags %#x",
		(unsigned long long)w.o.dte[0], (unsigned long long)w.o.dte[1],
		(unsigned long long)w.o.dte[2], w.o.has_pasid ? (int)port->pasid : -1,
		(unsigned long long)q->iova, access_of(q), q->ats ? " ats" : "",
		q->peek ? " peek" : "", a->ok, (unsigned long long)a->hpa, a->small, a->large,
		a->user, a->priv, a->code, a->flags, (unsigned long long)a->address, a->stage2, rc,
		(unsigned long long)r->hpa, r->lg2, r->span_lg2, r->perms,
		(unsigned long long)r->fault.record[0], (unsigned long long)r->fault.record[1],
		r->fault.flags);
}

static void one(struct dma_port *port)
{
	struct oracle_request q = accesses[rnd() % (sizeof(accesses) / sizeof(accesses[0]))];
	struct dma_request req;
	struct dma_reply reply;
	struct oracle_answer a;
	unsigned int i;
	int rc;

	w.o.has_pasid = port->flags & SIOMMU_PORT_PASID;
	w.o.pasid = port->pasid;
	q.iova = rnd_iova(has_guest() && (w.o.has_pasid || w.o.dte[0] >> 54 & 1));
	req = (struct dma_request){
		.iova = q.iova, .access = access_of(&q), .ats = q.ats, .peek = q.peek
	};
	oracle_translate(&w.o, &q, &a);
	rc = raw_translate(port, &req, &reply);
	if (!same(&a, rc, &reply, port))
		explain(&q, &a, rc, &reply, port);
	near_compare(port, &req);
	for (i = 0; i < a.nwrites; i++)
		if (*at(a.writes[i]) != *at(a.writes[i] + w.o.delta))
			unit_fail(__FILE__, __LINE__, "%#llx: is %#llx, should be %#llx",
				  (unsigned long long)a.writes[i],
				  (unsigned long long)*at(a.writes[i]),
				  (unsigned long long)*at(a.writes[i] + w.o.delta));
	w.cases++;
	w.faults += !a.ok;
	w.marks += a.nwrites;
}

/* The guest's pages are anywhere in the arena. */
static void copy_candidates(void)
{
	unsigned int i;

	for (i = 0; i < w.candidates; i++)
		memcpy(at(w.guest_hpa[i] + w.o.delta), at(w.guest_hpa[i]), 4096);
}

static void compare(void)
{
	unsigned int i;

	EXPECT_TRUE(!memcmp(at(w.arena), at(w.copy), 6 * HOST_TABLES * 4096));
	for (i = 0; i < w.candidates; i++)
		EXPECT_TRUE(!memcmp(at(w.guest_hpa[i]), at(w.guest_hpa[i] + w.o.delta), 4096));
}

static void run(const char *options, unsigned int scenarios)
{
	static const int pasids[] = { -1, -1, 0, 1, 2, 512, 1025 };
	struct dma_port *ports[sizeof(pasids) / sizeof(pasids[0])];
	const unsigned int nports = sizeof(pasids) / sizeof(pasids[0]);
	unsigned int i, j;

	raw_begin(options);
	for (i = 0; i < nports; i++)
		ports[i] = raw_port(pasids[i]);
	w.arena = arena_new();
	w.copy = arena_new();
	w.o.delta = w.copy - w.arena;
	w.seed = unit_seed();
	w.cases = w.faults = w.marks = 0;
	for (i = 0; i < scenarios && !unit.failures; i++) {
		w.candidates = 0;
		build();
		copy_pages();
		copy_candidates();
		raw_dte(w.o.dte);
		for (j = 0; j < REQUESTS; j++)
			one(ports[rnd() % (has_guest() ? nports : 3)]);
		compare();
		/* Large pages have spread the guest's memory: give it back. */
		if (i % 256 == 255) {
			madvise(at(w.arena), ARENA_BYTES, MADV_DONTNEED);
			madvise(at(w.copy), ARENA_BYTES, MADV_DONTNEED);
		}
	}
	printf("# %llu cases, %llu faults, %llu bits set\n", (unsigned long long)w.cases,
	       (unsigned long long)w.faults, (unsigned long long)w.marks);
	/* Neither nearly all may fault, nor may there be few. */
	EXPECT_TRUE(w.faults > w.cases / 20 && w.faults < w.cases - w.cases / 20);
	near_expect();
	arena_free(w.copy);
	arena_free(w.arena);
	for (i = 0; i < nports; i++)
		iommu_port_destroy(ports[i]);
	raw_end();
}

TEST(six_levels)
{
	w.o = (struct oracle){ .host_levels = 6, .five = true, .glx = 2, .nx = true, .had = true };
	run("efr=0x247777efa22582fa,hats=6,gats=5", SCENARIOS / 2);
}

TEST(four_levels)
{
	w.o = (struct oracle){ .host_levels = 4, .glx = 1, .nx = true, .had = true };
	run("hats=4", SCENARIOS / 4);
}

/* Without NXSup, HASup and HDSup. */
TEST(few_features)
{
	w.o = (struct oracle){ .host_levels = 5, .glx = 1 };
	run("efr=0x246577efa22546f2", SCENARIOS / 4);
}
