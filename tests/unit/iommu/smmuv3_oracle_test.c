// SPDX-License-Identifier: MIT
/*
 * Random stream table entries, context descriptors, tables and requests, against
 * oracle_arm.h: result, permissions, sizes, event records, and each entry that is
 * updated.
 *
 * Addresses are made of a few indexes for each level, so that requests meet the
 * entries that there are; most things are sound and some have one thing wrong. A
 * guest's tables stand where stage 2 puts them; they share pages, point at one
 * another and at themselves. What stage 2 leads to stays away from its own tables,
 * as with a host that is in its right mind.
 */
#include "near.h"
#include "oracle_arm.h"
#include "smmuv3_raw.h"

#define SCENARIOS 10000
#define REQUESTS  110

/* Tables of the host below, what a guest may reach above. */
#define ARENA_BYTES ((uint64_t)4 << 30)
#define GUEST_AT    ((uint64_t)1 << 30)

/* A page at the end that is taken for a table. */
#define ARENA_TAIL ((uint64_t)4 << 20)

#define TABLES	    2 /* of each level */
#define INDEXES	    5
#define MAX_ENTRIES 4096

static const char *const options[] = {
	"httu,stall",
	"",
	/* No HAD, but XNX; no 16K; 40 bits. */
	"idr0=0x0d4c349b,idr3=0x0010,idr5=0x52",
	/* A is free; access flag only; ASIDs of 8 bits; one level of CDs. */
	"idr0=0x0944245b,idr1=0x02730190",
	/* Stage 2 alone, stage 1 alone. */
	"idr0=0x0d4c3499",
	"idr0=0x0d4c341a",
	/* All stall; no ATS; 44 bits. */
	"idr0=0x0e4c309b,idr5=0x74",
};

#define UNITS (sizeof(options) / sizeof(options[0]))

static const int ssids[] = { -1, 0, 1, 5, 70, 1030 };

#define PORTS (sizeof(ssids) / sizeof(ssids[0]))

struct geometry {
	unsigned int granule; /* log2 */
	unsigned int bits;
	unsigned int start;
};

static struct {
	uint64_t seed;
	struct raw raw[UNITS];
	struct dma_port *ports[UNITS][PORTS];
	unsigned int unit;
	uint64_t arena, copy;
	unsigned int odd;
	bool loose; /* what maps a page may be taken for a table: so all is in the arena */
	struct geometry g1[2], g2;
	uint64_t t1[2][4][TABLES], t2[4][TABLES];
	uint64_t cds[PORTS];
	unsigned int ncds;
	uint64_t entries[MAX_ENTRIES];
	unsigned int nentries;
	struct oracle o;
	uint64_t cases, allowed, updates, events[256];
} w;

static uint64_t rnd(void)
{
	return unit_random(&w.seed);
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

static bool chance(unsigned int percent)
{
	return below(100) < percent;
}

/* Of what makes requests fail, some scenarios have less. */
static bool odd(unsigned int permille)
{
	return below(3000) < permille * w.odd;
}

static unsigned int config(void)
{
	return (unsigned int)(w.o.ste[0] >> 1 & 7);
}

static uint64_t *word(uint64_t address)
{
	return (uint64_t *)(uintptr_t)address;
}

static void put(uint64_t address, uint64_t value)
{
	*word(address) = *word(address + w.copy) = value;
	if (w.nentries < MAX_ENTRIES)
		w.entries[w.nentries++] = address;
}

static unsigned int low_bit(const struct geometry *g, unsigned int level)
{
	return g->granule + (3 - level) * (g->granule - 3);
}

/* One of a few of the indexes that a table at @level has. */
static uint64_t index_at(const struct geometry *g, unsigned int level, unsigned int i)
{
	const unsigned int high = level == g->start ? g->bits : low_bit(g, level - 1);
	const uint64_t n = 1ull << (high - low_bit(g, level));
	const uint64_t some[INDEXES] = { 0, 1, 2, n / 2, n - 1 };

	return some[i] % n;
}

static uint64_t address_in(const struct geometry *g)
{
	uint64_t address = rnd() & ((1ull << low_bit(g, 3)) - 1);
	unsigned int level;

	for (level = g->start; level <= 3; level++)
		address |= index_at(g, level, (unsigned int)below(INDEXES)) << low_bit(g, level);
	return address;
}

static uint64_t noise(void)
{
	/* Ignored: software's bits, CONT, attributes' and shareability. */
	return (rnd() & (0xfull << 55 | 1ull << 52 | 3ull << 8)) |
	       (chance(90) ? 0xfull << 2 : rnd() & 0x3c);
}

static uint64_t leaf_bits(unsigned int stage)
{
	uint64_t e = noise() | 1ull << 10 | 1ull << 6;

	if (chance(2 + 4 * w.odd))
		e &= ~(1ull << 10);
	if (odd(80))
		e &= ~(1ull << 6);
	if (chance(60))
		e |= 1ull << 51;
	if (chance(stage == 1 ? 30 : 70))
		e |= 1ull << 7;
	if (odd(100))
		e |= (rnd() & 3) << 53;
	return e;
}

/* An entry for a table of @level, whose own kin are @tables. */
static uint64_t entry(unsigned int stage, const struct geometry *g, unsigned int level,
		      uint64_t (*tables)[TABLES], uint64_t (*output)(unsigned int lg2))
{
	const unsigned int lg2 = low_bit(g, level);
	const bool block_ok = level == 2 || (level == 1 && g->granule == 12);
	uint64_t e;

	if (odd(60))
		return rnd() & ~1ull;
	if (level == 3 || (block_ok && chance(25)) || (stage == 1 && odd(10))) {
		e = leaf_bits(stage) | output(lg2) | (level == 3 ? 3 : 1);
		return level == 3 && odd(20) ? e & ~2ull : e;
	}
	e = 3 | (rnd() & (0x1full << 51 | 0x3ffull << 2)) | tables[level + 1][below(TABLES)];
	if (stage == 1 && odd(60))
		e |= (rnd() & 15) << 59;
	/* A table where a smaller one is expected, or a page as a table. */
	if (stage == 1 && odd(20))
		e = 3 | tables[level][below(TABLES)];
	return e;
}

/* Where stage 2 may put things: an aligned piece of the guest's part of the arena. */
static uint64_t s2_output(unsigned int lg2)
{
	const uint64_t room = ARENA_BYTES - GUEST_AT;

	if (config() == 6 && !w.loose)
		return rnd() & ((1ull << 48) - 1) & ~((1ull << lg2) - 1);
	return w.arena + GUEST_AT + (below(room) & ~((1ull << lg2) - 1));
}

/* What stage 1 puts out: an IPA that stage 2 may know, or any address at all. */
static uint64_t s1_output(unsigned int lg2)
{
	uint64_t a;

	if (config() == 5 && w.loose)
		a = w.arena + below(ARENA_BYTES);
	else if (config() & 2 && !odd(60))
		a = chance(5) ? 0x8000000 + below(0x200000) : address_in(&w.g2);
	else
		a = rnd() & ((1ull << (chance(80) ? 36 : 48)) - 1);
	return a & ~((1ull << lg2) - 1) & ((1ull << 48) - 1);
}

/* A word of stage 1: at an IPA if there is a stage 2; false if that is nowhere. */
static bool put_s1(uint64_t address, uint64_t value, uint64_t *where)
{
	unsigned int lg2, user, priv;
	struct oracle o = w.o;

	if (config() & 2) {
		o.peek = true;
		o.ats = false;
		o.ste[2] |= 1ull << 53 | 1ull << 51;
		if (!o_stage2(&o, address, 0, 2, &address, &lg2, &user, &priv))
			return false;
	}
	put(address, value);
	*where = address;
	return true;
}

static unsigned int oas(void)
{
	return (unsigned int)o_oas(&w.o);
}

/* A stage 2 that fits together, mostly. */
static void choose_s2(void)
{
	static const unsigned int granules[] = { 12, 14, 16 };
	static const uint64_t tg[] = { 0, 2, 1 };
	unsigned int kind, tries = 0;
	uint64_t sl0, ps;
	int kib, size;

	do {
		kind = (unsigned int)below(3);
		if (chance(60) || tries++ > 20)
			kind = 0;
		w.g2.granule = granules[kind];
		w.g2.bits = chance(50) ? oas() : 25 + (unsigned int)below(oas() - 24);
		sl0 = below(3);
		ps = chance(85) ? 5 + below(3) : below(8);
		w.o.ste[2] = (uint64_t)(64 - w.g2.bits) << 32 | sl0 << 38 | tg[kind] << 46 |
			     ps << 48 | 1ull << 51;
	} while (o_s2_start(&w.o, &kib, &size) < 0);
	w.g2.start = (unsigned int)o_s2_start(&w.o, &kib, &size);
}

/* What may be wrong with it, and its switches. */
static void finish_s2(void)
{
	uint64_t *w2 = &w.o.ste[2];

	*w2 |= below(65536);
	*w2 |= (uint64_t)chance(30) << 53 | (uint64_t)chance(30) << 54 | (uint64_t)chance(85) << 58;
	if (o_bits(w.o.idr[0], 7, 6) >= 2 && chance(60))
		*w2 |= (rnd() & 3) << 55;
	else if (o_bits(w.o.idr[0], 7, 6) && chance(60))
		*w2 |= 1ull << 56;
	/*
	 * With another geometry anything may be taken for an entry of stage 2. That is
	 * ours, not the guest's, so it must not lead out of the arena: no stage 1 then.
	 */
	if (odd(10))
		*w2 ^= 1ull << (config() == 6 && w.loose ? 32 + below(27) : 48 + below(11));
	if (odd(5))
		w.o.ste[3] |= 1ull << 48;
}

static void choose_s1(struct geometry *g)
{
	static const unsigned int granules[] = { 12, 14, 16 };
	unsigned int low;

	do
		g->granule = chance(60) ? 12 : granules[below(3)];
	while (!o_granule_there(&w.o, 1 << (g->granule - 10)));
	g->bits = chance(50) ? 48 : 25 + (unsigned int)below(24);
	for (g->start = 0;; g->start++) {
		low = low_bit(g, g->start);
		if (low < g->bits && !(g->granule == 16 && !g->start))
			break;
	}
}

static uint64_t make_cd(uint64_t cd[4])
{
	static const uint64_t tg0[] = { 0, 2, 1 }, tg1[] = { 2, 1, 3 };
	const uint64_t idr0 = w.o.idr[0], stall = o_bits(idr0, 25, 24), httu = o_bits(idr0, 7, 6);
	const bool stalld = o_bit(w.o.ste[1], 27);
	uint64_t w0 = 1ull << 31 | 1ull << 41 | 1ull << 46 | (uint64_t)chance(85) << 45;

	w0 |= (uint64_t)(64 - w.g1[0].bits) | tg0[(w.g1[0].granule - 12) / 2] << 6;
	w0 |= (uint64_t)(64 - w.g1[1].bits) << 16 | tg1[(w.g1[1].granule - 12) / 2] << 22;
	w0 |= (chance(80) ? 5 + below(3) : below(8)) << 32;
	w0 |= (uint64_t)chance(30) << 35 | (uint64_t)chance(20) << 36 | (uint64_t)chance(10) << 40;
	w0 |= (rnd() & (chance(50) ? 3 : 0)) << 38;
	if (httu >= 2)
		w0 |= (chance(70) ? 3 : rnd() & 3) << 42;
	else if (httu)
		w0 |= (rnd() & 1) << 43;
	if (stall == 2 || (!stall && !stalld && chance(30)))
		w0 |= 1ull << 44;
	w0 |= (rnd() & (o_bit(idr0, 12) ? 0xffff : 0xff)) << 48;
	if (chance(10))
		w0 |= 1ull << 14;
	if (chance(10))
		w0 |= 1ull << 30;
	w0 |= rnd() & (0x3full << 8 | 0x3full << 24);
	if (odd(40))
		w0 ^= 1ull << (config() == 5 && !w.loose ? 24 + below(40) : below(64));
	cd[0] = w0;
	cd[1] = w.t1[0][w.g1[0].start][0] | (chance(15) ? 2 : 0);
	cd[2] = w.t1[1][w.g1[1].start][0] | (chance(15) ? 2 : 0);
	if (odd(10))
		cd[1 + below(2)] |= 1ull << (config() == 5 ? 48 + below(3) : 36 + below(15));
	cd[3] = rnd();
	return w0;
}

/* CDs, in one or two levels, where the STE says. */
static void build_cds(void)
{
	const uint64_t cdmax = w.o.ste[0] >> 59, table = w.o.ste[0] & (((1ull << 52) - 1) & ~63ull);
	const uint64_t fmt = cdmax ? w.o.ste[0] >> 4 & 3 : 0, leaf = fmt == 1 ? 64 : 1024;
	const bool s2 = config() & 2;
	unsigned int i, k;

	w.ncds = 0;
	for (i = 0; i < PORTS; i++) {
		const uint64_t ssid = ssids[i] < 0 ? 0 : (uint64_t)ssids[i];
		uint64_t at = table + ssid * 64, where, cd[4];

		if (ssid && (!cdmax || ssid >> cdmax))
			continue;
		if (fmt) {
			at = s2 ? address_in(&w.g2) & ~0xfffull
				: w.arena + 0x30000000 + i * 0x100000;
			if (!put_s1(table + ssid / leaf * 8, at | (odd(20) ? 0 : 1), &where))
				continue;
			at += ssid % leaf * 64;
		}
		make_cd(cd);
		for (k = 0; k < 4; k++)
			if (!put_s1(at + 8 * k, cd[k], &where))
				break;
		if (k == 4)
			w.cds[w.ncds++] = where & ~63ull;
	}
}

static void build_s1(unsigned int upper)
{
	const struct geometry *g = &w.g1[upper];
	uint64_t(*tables)[TABLES] = w.t1[upper], where;
	unsigned int level, i, k;

	for (level = g->start; level <= 3; level++)
		for (i = 0; i < TABLES; i++)
			for (k = 0; k < INDEXES; k++)
				put_s1(tables[level][i] + 8 * index_at(g, level, k),
				       entry(1, g, level, tables, s1_output), &where);
}

/* Tables of stage 1 stand in order, or where the guest believes to have memory. */
static void place_s1(unsigned int upper)
{
	const struct geometry *g = &w.g1[upper];
	unsigned int level, i;

	for (level = 0; level <= 3; level++)
		for (i = 0; i < TABLES; i++)
			w.t1[upper][level][i] =
				config() & 2 ? address_in(&w.g2) & ~((1ull << g->granule) - 1)
					     : w.arena + 0x10000000 +
						       ((upper * 4 + level) * TABLES + i) * 0x10000;
}

static void build_s2(void)
{
	unsigned int level, i, k;

	for (level = 0; level <= 3; level++)
		for (i = 0; i < TABLES; i++)
			w.t2[level][i] = w.arena + (level * TABLES + i) * 0x200000;
	w.o.ste[3] = w.t2[w.g2.start][0];
	for (level = w.g2.start; level <= 3; level++)
		for (i = 0; i < TABLES; i++)
			for (k = 0; k < INDEXES; k++)
				put(w.t2[level][i] + 8 * index_at(&w.g2, level, k),
				    entry(2, &w.g2, level, w.t2, s2_output));
}

static void choose_ste(void)
{
	static const uint64_t configs[] = { 4, 5, 5, 5, 6, 6, 7, 7, 7, 7 };
	uint64_t cfg = odd(10) ? below(8) : configs[below(10)];
	const uint64_t most = o_bits(w.o.idr[1], 10, 6);
	uint64_t cdmax = chance(40) ? 0 : below(most < 12 ? most + 1 : 13);
	uint64_t fmt = o_bit(w.o.idr[0], 19) ? below(3) : 0;

	/* A stage that there is. */
	if (cfg >= 4 && !odd(30))
		cfg = (cfg & ~3ull) | (cfg & (w.o.idr[0] & 1) << 1) | (cfg & (w.o.idr[0] >> 1 & 1));
	if (odd(20))
		cdmax = below(32);
	if (odd(10))
		fmt = below(4);
	memset(w.o.ste, 0, sizeof(w.o.ste));
	w.o.ste[0] = (odd(5) ? 0 : 1) | cfg << 1 | fmt << 4 | cdmax << 59;
	w.o.ste[1] = (odd(10) ? 3 : below(3)) | (rnd() & (0x3full << 2 | 1ull << 19)) |
		     (rnd() & 1) << 25 | (uint64_t)chance(20) << 27 | (uint64_t)chance(70) << 28;
	if (odd(10))
		w.o.ste[1] |= 1ull << (29 + below(3));
}

static void build(void)
{
	unsigned int i;

	for (i = 0; i < w.nentries; i++)
		*word(w.entries[i]) = *word(w.entries[i] + w.copy) = 0;
	w.nentries = w.ncds = 0;
	w.odd = (unsigned int)below(4);
	w.loose = chance(50);
	w.unit = (unsigned int)below(UNITS);
	memset(&w.o, 0, sizeof(w.o));
	w.o.copy = w.copy;
	w.o.sid = RAW_SID;
	memcpy(w.o.idr, to_smmuv3(w.raw[w.unit].dev)->idr, sizeof(w.o.idr));
	choose_ste();
	choose_s2();
	build_s2();
	choose_s1(&w.g1[0]);
	choose_s1(&w.g1[1]);
	place_s1(0);
	place_s1(1);
	w.o.ste[0] |= config() & 2 ? address_in(&w.g2) & ~0xffffull : w.arena + 0x20000000;
	if (config() & 1) {
		build_s1(0);
		build_s1(1);
		build_cds();
	}
	finish_s2();
	if (odd(5))
		w.o.ste[0] |= 1ull << (48 + below(4));
	raw_ste(&w.raw[w.unit], w.o.ste);
}

static void choose_request(void)
{
	static const unsigned int accesses[] = { O_R, O_R, O_W, O_W, O_R | O_W, O_R | O_X };
	const bool upper = chance(40);

	if (config() & 1) {
		w.o.iova = address_in(&w.g1[upper]);
		if (upper)
			w.o.iova |= ~0ull << w.g1[1].bits;
		if (odd(60))
			w.o.iova ^= 1ull << below(64);
		if (chance(5))
			w.o.iova ^= rnd() << 56;
	} else {
		w.o.iova = address_in(&w.g2);
		if (odd(60))
			w.o.iova ^= 1ull << below(64);
	}
	if (chance(2))
		w.o.iova = 0x8000000 + below(0x101000);
	w.o.access = accesses[below(6)] | (chance(30) ? O_PRIV : 0);
	w.o.ats = chance(10);
	if (w.o.ats && chance(20))
		w.o.access = 0;
	w.o.peek = chance(5);
}

static bool same(bool ok, int rc, const struct dma_reply *reply)
{
	uint64_t record[4];

	if (w.o.message)
		return !rc && reply->interrupt && reply->hpa == w.o.out;
	if (ok)
		return !rc && !reply->interrupt && reply->hpa == w.o.out && reply->lg2 == w.o.lg2 &&
		       reply->span_lg2 == w.o.span && reply->perms == (w.o.user | w.o.priv << 3);
	oracle_record(&w.o, record);
	if (w.o.abort)
		return rc == -EFAULT && !reply->fault.reason &&
		       reply->fault.flags & SIOMMU_FAULT_SILENT;
	return rc == (w.o.event == 0x05 ? -EOPNOTSUPP : -EFAULT) &&
	       reply->fault.reason == w.o.event && reply->fault.iova == w.o.iova &&
	       reply->fault.ipa == w.o.ipa &&
	       !!(reply->fault.flags & SIOMMU_FAULT_STAGE2) == w.o.s2 &&
	       !!(reply->fault.flags & SIOMMU_FAULT_SILENT) == w.o.silent &&
	       !!(reply->fault.flags & SIOMMU_FAULT_STALLED) == w.o.stalled &&
	       !!(reply->fault.flags & SIOMMU_FAULT_PASID) == w.o.ssv &&
	       !memcmp(reply->fault.record, record, sizeof(record));
}

static void explain(unsigned int scenario, bool ok, int rc, const struct dma_reply *reply)
{
	unit_fail(__FILE__, __LINE__,
		  "scenario %u, unit %u, ste %#llx %#llx %#llx %#llx, ssid %d, iova %#llx, access "
		  "%x%s%s: "
		  "is %d %#llx %u %u %x / %#x %x %#llx %#llx %#llx, should be %d%s%s %#llx %u %u "
		  "%x / %#x %#llx cls %u s2 %d",
		  scenario, w.unit, (unsigned long long)w.o.ste[0], (unsigned long long)w.o.ste[1],
		  (unsigned long long)w.o.ste[2], (unsigned long long)w.o.ste[3],
		  w.o.ssv ? (int)w.o.ssid : -1, (unsigned long long)w.o.iova, w.o.access,
		  w.o.ats ? " ats" : "", w.o.peek ? " peek" : "", rc,
		  (unsigned long long)reply->hpa, reply->lg2, reply->span_lg2, reply->perms,
		  reply->fault.reason, reply->fault.flags,
		  (unsigned long long)reply->fault.record[1],
		  (unsigned long long)reply->fault.record[3], (unsigned long long)reply->fault.ipa,
		  ok, w.o.message ? " message" : "", w.o.abort ? " abort" : "",
		  (unsigned long long)w.o.out, w.o.lg2, w.o.span, w.o.user | w.o.priv << 3,
		  w.o.event, (unsigned long long)w.o.ipa, w.o.cls, w.o.s2);
}

/* A CD that was taken for a table and updated is not what the port has in mind. */
static void check_cds(void)
{
	unsigned int i, k;

	for (i = 0; i < w.o.nupdates; i++)
		for (k = 0; k < w.ncds; k++)
			if (w.o.updates[i] - w.cds[k] < 64)
				iommu_flush_device(w.raw[w.unit].dev, 0, U64_MAX);
}

static void ask(unsigned int scenario)
{
	const bool substreams = config() & 1 && w.o.ste[0] >> 59;
	const unsigned int p = (unsigned int)(chance(substreams ? 40 : 97) ? 0 : below(PORTS));
	struct dma_port *port = w.ports[w.unit][p];
	struct dma_request req;
	struct dma_reply reply;
	bool ok;
	int rc;

	w.o.ssv = ssids[p] >= 0;
	w.o.ssid = w.o.ssv ? (uint32_t)ssids[p] : 0;
	choose_request();
	req = (struct dma_request){
		.iova = w.o.iova, .access = w.o.access, .ats = w.o.ats, .peek = w.o.peek
	};
	if (!port)
		return;
	rc = raw_translate(&w.raw[w.unit], port, &req, &reply);
	ok = oracle_run(&w.o);
	w.cases++;
	w.allowed += ok;
	w.updates += w.o.nupdates;
	w.events[w.o.event]++;
	if (!same(ok, rc, &reply))
		explain(scenario, ok, rc, &reply);
	near_compare(port, &req);
	check_cds();
}

static void compare_entries(unsigned int scenario)
{
	unsigned int i;

	for (i = 0; i < w.nentries; i++)
		if (*word(w.entries[i]) != *word(w.entries[i] + w.copy))
			unit_fail(__FILE__, __LINE__,
				  "scenario %u: entry %u is %#llx, should be %#llx", scenario, i,
				  (unsigned long long)*word(w.entries[i]),
				  (unsigned long long)*word(w.entries[i] + w.copy));
}

/* Low if it can be, so that small output sizes have something to say. */
static uint64_t arena_new(uint64_t hint)
{
	void *p = mmap((void *)(uintptr_t)hint, ARENA_BYTES + ARENA_TAIL, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	uint64_t start;

	if (p == (void *)(uintptr_t)hint)
		return hint;
	p = mmap(NULL, 2 * ARENA_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_TRUE(p != MAP_FAILED);
	start = ((uintptr_t)p + ARENA_BYTES - 1) & ~(ARENA_BYTES - 1);
	return start;
}

TEST(random_requests)
{
	unsigned int i, k, scenario;

	memset(&w, 0, sizeof(w));
	w.seed = unit_seed();
	w.arena = arena_new((uint64_t)8 << 30);
	w.copy = arena_new((uint64_t)16 << 30) - w.arena;
	for (i = 0; i < UNITS; i++) {
		raw_begin(&w.raw[i], options[i]);
		for (k = 0; k < PORTS; k++)
			if (ssids[k] < 0 || (uint32_t)ssids[k] >> w.raw[i].dev->pasid_bits == 0)
				w.ports[i][k] = raw_port(&w.raw[i], ssids[k]);
	}
	for (scenario = 0; scenario < SCENARIOS && unit.failures < 20; scenario++) {
		build();
		for (i = 0; i < REQUESTS; i++)
			ask(scenario);
		compare_entries(scenario);
	}
	printf("# %llu cases, %llu allowed, %llu updates\n", (unsigned long long)w.cases,
	       (unsigned long long)w.allowed, (unsigned long long)w.updates);
	for (i = 1; i < 256; i++)
		if (w.events[i])
			printf("# event %#x: %llu\n", i, (unsigned long long)w.events[i]);
	/* A test that meets only one answer tests nothing. */
	EXPECT_TRUE(w.allowed > w.cases / 10);
	EXPECT_TRUE(w.updates > w.cases / 1000);
	near_expect();
	for (i = 0; i < UNITS; i++) {
		for (k = 0; k < PORTS; k++)
			if (w.ports[i][k])
				iommu_port_destroy(w.ports[i][k]);
		raw_end(&w.raw[i]);
	}
	munmap((void *)(uintptr_t)w.arena, ARENA_BYTES + ARENA_TAIL);
	munmap((void *)(uintptr_t)(w.arena + w.copy), ARENA_BYTES + ARENA_TAIL);
}
