// SPDX-License-Identifier: MIT
/*
 * Fuzzing the page-table engine against a model that cannot be wrong: an array
 * with one element for each granule.
 *
 * The addresses are in a few stretches, around places where tables of every
 * level meet and at both ends of what a tree can map, so that short programs
 * meet in the same tables. After each change the whole stretch that it touched
 * is compared with the tables, by walks; what is reported dirty is compared with
 * the leaves that the model knows to be dirty. Allocations fail when the input
 * says so, and then nothing may have changed.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "pt/pt.h"

#define STRETCHES 4
#define GRANULES  2048
#define MAX_STEPS 64

/**
 * enum traits - what formats differ in
 * @MARKS_DIRTY: a leaf that is written to can be marked; otherwise only with
 *	PT_FEAT_DIRTY
 * @DIRTY_AT_FIRST: a writable leaf is marked from the beginning
 * @WRITE_READS: what may be written may be read
 */
enum traits {
	MARKS_DIRTY = 1 << 0,
	DIRTY_AT_FIRST = 1 << 1,
	WRITE_READS = 1 << 2,
};

/* A granule: mapped to @oa with @prot by a leaf of 2^@lg2 bytes. */
struct granule {
	u64 oa;
	u8 prot; /* 0: not mapped */
	u8 lg2;
	bool dirty; /* its leaf is */
};

/**
 * struct format - a format of tables
 * @name: for people
 * @granule_lg2: log2 of the bytes of a granule
 * @index_lg2: log2 of the items of a table
 * @levels: fewest levels
 * @nlevels: how many numbers of levels there are
 * @features: PT_FEAT_* that it knows
 * @traits: enum traits
 */
struct format {
	const char *name;
	unsigned int granule_lg2;
	unsigned int index_lg2;
	unsigned int levels;
	unsigned int nlevels;
	unsigned int features;
	unsigned int traits;
	int (*init)(struct pt *pt, struct base_alloc *alloc, const struct pt_config *config);
	void (*destroy)(struct pt *pt);
	int (*map)(struct pt *pt, u64 va, u64 oa, u64 len, unsigned int prot);
	void (*unmap)(struct pt *pt, u64 va, u64 len);
	bool (*walk)(const struct pt *pt, u64 va, struct pt_leaf *leaf);
	u64 (*lookup)(const struct pt *pt, u64 va, unsigned int *prot);
	bool (*set_dirty)(struct pt *pt, u64 va);
	void (*read_and_clear_dirty)(struct pt *pt, u64 va, u64 len, bool clear, pt_dirty_fn report,
				     void *arg);
};

#define FORMAT(fmt, granule, index, levels, nlevels, features, traits)                             \
	{                                                                                          \
#fmt, granule, index, levels, nlevels, features, traits, pt_##fmt##_init,          \
			pt_##fmt##_destroy, pt_##fmt##_map, pt_##fmt##_unmap, pt_##fmt##_walk,     \
			pt_##fmt##_lookup, pt_##fmt##_set_dirty, pt_##fmt##_read_and_clear_dirty   \
	}

#define ARM_S1 (PT_FEAT_UPPER | PT_FEAT_DIRTY)
#define ARM_S2 (PT_FEAT_DIRTY | PT_FEAT_S2_FWB)

/* The order is part of the inputs. */
static const struct format formats[] = {
	FORMAT(amdv1, 12, 9, 2, 5, 0, MARKS_DIRTY),
	FORMAT(mock, 11, 9, 2, 4, 0, MARKS_DIRTY),
	FORMAT(vtdss, 12, 9, 3, 3, PT_FEAT_SNOOP, MARKS_DIRTY),
	FORMAT(x86_64, 12, 9, 4, 2, 0, MARKS_DIRTY | DIRTY_AT_FIRST | WRITE_READS),
	FORMAT(riscv, 12, 9, 3, 3, 0, MARKS_DIRTY | DIRTY_AT_FIRST | WRITE_READS),
	FORMAT(riscv_x4, 12, 9, 3, 3, 0, MARKS_DIRTY | DIRTY_AT_FIRST | WRITE_READS),
	FORMAT(arm64_s1_4k, 12, 9, 2, 3, ARM_S1, DIRTY_AT_FIRST | WRITE_READS),
	FORMAT(arm64_s1_16k, 14, 11, 2, 3, ARM_S1, DIRTY_AT_FIRST | WRITE_READS),
	FORMAT(arm64_s1_64k, 16, 13, 2, 2, ARM_S1, DIRTY_AT_FIRST | WRITE_READS),
	FORMAT(arm64_s2_4k, 12, 9, 2, 3, ARM_S2, DIRTY_AT_FIRST),
	FORMAT(arm64_s2_16k, 14, 11, 2, 3, ARM_S2, DIRTY_AT_FIRST),
	FORMAT(arm64_s2_64k, 16, 13, 2, 2, ARM_S2, DIRTY_AT_FIRST),
};

static struct {
	struct input in;
	const struct format *fmt;
	struct pt pt;
	struct base_alloc alloc;
	unsigned int fail_in;
	unsigned int used; /* stretches that the tree can map */
	u64 base[STRETCHES];
	struct granule model[STRETCHES][GRANULES];
	bool reported[GRANULES];
	u64 report_end;
} w;

static void broken(const char *what, u64 va)
{
	fprintf(stderr, "pt_fuzz: %s: %s at %#llx\n", w.fmt->name, what, (unsigned long long)va);
	abort();
}

static u64 bytes_of(unsigned int granules)
{
	return (u64)granules << w.fmt->granule_lg2;
}

static bool should_fail(void *arg)
{
	(void)arg;
	return w.fail_in && !--w.fail_in;
}

/* What a step is about: a stretch, and granules [@first, @first + @n) of it. */
struct range {
	struct granule *model;
	u64 base;
	unsigned int first;
	unsigned int n;
};

static struct range take_range(void)
{
	unsigned int stretch = take_u8(&w.in) % w.used;
	unsigned int first = (unsigned int)take(&w.in, 2) % GRANULES;
	uint8_t s = take_u8(&w.in);
	unsigned int n = s < 0x80 ? s % 16 + 1u : 1u << s % 12;

	/* Aligned ones as often as not. */
	if (s & 0x10)
		first &= ~(n - 1);
	if (n > GRANULES - first)
		n = GRANULES - first;
	return (struct range){ w.model[stretch], w.base[stretch], first, n };
}

/* The tables say what the model says. */
static void check(const struct range *r)
{
	unsigned int i;

	for (i = 0; i < GRANULES; i++) {
		u64 va = r->base + bytes_of(i) + i % bytes_of(1);
		struct granule *g = &r->model[i];
		struct pt_leaf leaf;
		unsigned int prot;

		if (!w.fmt->walk(&w.pt, va, &leaf)) {
			if (g->prot)
				broken("lost", va);
			if (w.fmt->lookup(&w.pt, va, &prot) != U64_MAX)
				broken("walk and lookup differ", va);
			continue;
		}
		if (!g->prot)
			broken("mapped", va);
		if (leaf.oa + (va - leaf.va) != g->oa + i % bytes_of(1) || leaf.prot != g->prot ||
		    leaf.lg2 != g->lg2)
			broken("wrong leaf", va);
		if (w.fmt->lookup(&w.pt, va, &prot) != g->oa + i % bytes_of(1) || prot != g->prot)
			broken("wrong lookup", va);
	}
}

/* First granule of the leaf that granule @i is in, and how many it has. */
static unsigned int leaf_of(const struct range *r, unsigned int i, unsigned int *n)
{
	u64 bytes = (u64)1 << r->model[i].lg2;
	u64 va = align_down(r->base + bytes_of(i), bytes);

	*n = (unsigned int)(bytes >> w.fmt->granule_lg2);
	return (unsigned int)((va - r->base) >> w.fmt->granule_lg2);
}

static bool marks_dirty(void)
{
	return w.fmt->traits & MARKS_DIRTY || w.pt.features & PT_FEAT_DIRTY;
}

static bool dirty_at_first(unsigned int prot)
{
	return prot & PT_PROT_WRITE && marks_dirty() && w.fmt->traits & DIRTY_AT_FIRST;
}

static void learn_leaves(const struct range *r, u64 oa, unsigned int prot)
{
	unsigned int i;

	if (prot & PT_PROT_WRITE && w.fmt->traits & WRITE_READS)
		prot |= PT_PROT_READ;
	for (i = r->first; i < r->first + r->n; i++) {
		struct pt_leaf leaf;

		if (!w.fmt->walk(&w.pt, r->base + bytes_of(i), &leaf))
			broken("not mapped", r->base + bytes_of(i));
		if (leaf.va < r->base + bytes_of(r->first) ||
		    leaf.va + (((u64)1 << leaf.lg2) - 1) >
			    r->base + (bytes_of(r->first + r->n) - 1))
			broken("a leaf that sticks out", leaf.va);
		r->model[i] = (struct granule){
			.oa = oa + bytes_of(i - r->first),
			.prot = (u8)prot,
			.lg2 = (u8)leaf.lg2,
			.dirty = dirty_at_first(prot),
		};
	}
}

static void step_map(void)
{
	struct range r = take_range();
	uint8_t s = take_u8(&w.in);
	unsigned int prot = s % 3 + 1, i;
	u64 va = r.base + bytes_of(r.first), oa;
	bool busy = false, failed;
	int rc;

	/* Congruent to the VA to some degree, or to none. */
	oa = (va & (((u64)1 << (s / 3 % 40)) - 1)) + ((u64)take_u8(&w.in) << 32);
	oa = align_down(oa, bytes_of(1));
	for (i = r.first; i < r.first + r.n; i++)
		busy |= r.model[i].prot;
	failed = w.fail_in;
	rc = w.fmt->map(&w.pt, va, oa, bytes_of(r.n), prot);
	failed = failed && !w.fail_in;
	w.fail_in = 0;
	if (!rc && busy)
		broken("mapped what is mapped", va);
	if (rc == -EADDRINUSE && !busy)
		broken("in use", va);
	if (rc && rc != -EADDRINUSE && !(rc == -ENOMEM && failed))
		broken("an unlikely error", va);
	if (!rc)
		learn_leaves(&r, oa, prot);
	else
		pt_sync(&w.pt);
	check(&r);
}

static void step_unmap(void)
{
	struct range r = take_range();
	unsigned int i, j, first, n;

	w.fmt->unmap(&w.pt, r.base + bytes_of(r.first), bytes_of(r.n));
	if (take_u8(&w.in) & 1)
		pt_sync(&w.pt);
	for (i = r.first; i < r.first + r.n; i++) {
		if (!r.model[i].prot)
			continue;
		first = leaf_of(&r, i, &n);
		for (j = first; j < first + n; j++)
			r.model[j] = (struct granule){ 0 };
	}
	check(&r);
}

static void step_set_dirty(void)
{
	struct range r = take_range();
	unsigned int i, j, first, n;

	for (i = r.first; i < r.first + r.n; i += 1 + r.n / 8) {
		/* Whoever writes is allowed to. */
		if (r.model[i].prot && !(r.model[i].prot & PT_PROT_WRITE))
			continue;
		if (w.fmt->set_dirty(&w.pt, r.base + bytes_of(i)) != !!r.model[i].prot)
			broken("set_dirty", r.base + bytes_of(i));
		if (!r.model[i].prot || !marks_dirty())
			continue;
		first = leaf_of(&r, i, &n);
		for (j = first; j < first + n; j++)
			r.model[j].dirty = true;
	}
}

static void report(void *arg, u64 va, u64 len)
{
	const struct range *r = arg;
	u64 first = (va - r->base) >> w.fmt->granule_lg2, n = len >> w.fmt->granule_lg2, i;

	if (!len || (va & (bytes_of(1) - 1)) || (len & (bytes_of(1) - 1)) || first < r->first ||
	    first + n > r->first + r->n)
		broken("a report out of range", va);
	if (w.report_end != U64_MAX && va <= w.report_end)
		broken("a report out of order, or in pieces", va);
	w.report_end = va + len;
	for (i = first; i < first + n; i++)
		w.reported[i] = true;
}

static void step_read_dirty(void)
{
	struct range r = take_range();
	bool clear = take_u8(&w.in) & 1;
	unsigned int i, j, first, n;

	memset(w.reported, 0, sizeof(w.reported));
	w.report_end = U64_MAX;
	w.fmt->read_and_clear_dirty(&w.pt, r.base + bytes_of(r.first), bytes_of(r.n), clear, report,
				    &r);
	for (i = r.first; i < r.first + r.n; i++)
		if (w.reported[i] != r.model[i].dirty)
			broken("dirty", r.base + bytes_of(i));
	if (!clear)
		return;
	for (i = r.first; i < r.first + r.n; i++) {
		if (!r.model[i].dirty)
			continue;
		first = leaf_of(&r, i, &n);
		if (first < r.first || first + n > r.first + r.n)
			continue;
		for (j = first; j < first + n; j++)
			r.model[j].dirty = false;
	}
}

static void step_sync(void)
{
	pt_sync(&w.pt);
}

static void step_fail(void)
{
	w.fail_in = take_u8(&w.in) % 8 + 1;
}

static void (*const steps[])(void) = {
	step_map,	 step_map,  step_unmap, step_set_dirty,
	step_read_dirty, step_sync, step_fail,	step_unmap,
};

/* At the start, around the ends of the lowest tables, and at the end of VAs. */
static void choose_stretches(void)
{
	const u64 end = w.pt.va_last - w.pt.va_first - (bytes_of(GRANULES) - 1);
	const u64 half = bytes_of(GRANULES / 2);
	const u64 wanted[STRETCHES] = {
		0,
		(bytes_of(1) << 2 * w.fmt->index_lg2) - half,
		(bytes_of(1) << 3 * w.fmt->index_lg2) - half,
		end,
	};
	unsigned int i;

	for (i = 0; i < STRETCHES; i++)
		if (wanted[i] <= end &&
		    (!w.used ||
		     w.pt.va_first + wanted[i] - w.base[w.used - 1] >= bytes_of(GRANULES)))
			w.base[w.used++] = w.pt.va_first + wanted[i];
}

/* A tree of the input's choosing. Return: false if the format cannot do it. */
static bool begin(void)
{
	struct pt_config config = {
		.levels = w.fmt->levels + take_u8(&w.in) % w.fmt->nlevels,
	};
	uint8_t s = take_u8(&w.in);

	config.features = s >> 1 & w.fmt->features;
	w.alloc.should_fail = should_fail;
	if (w.fmt->init(&w.pt, &w.alloc, &config))
		return false;
	/* All sizes of leaves, or the smallest one and some others. */
	if (s & 1) {
		config.pgsize_bitmap = w.pt.pgsize_bitmap & bytes_of(1) * (1 + take(&w.in, 3) * 2);
		w.fmt->destroy(&w.pt);
		if (w.fmt->init(&w.pt, &w.alloc, &config))
			broken("sizes are refused", config.pgsize_bitmap);
	}
	choose_stretches();
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int i;

	memset(&w, 0, sizeof(w));
	w.in.at = data;
	w.in.end = data + size;
	w.fmt = &formats[take_u8(&w.in) % ARRAY_SIZE(formats)];
	if (!begin())
		return 0;
	for (i = 0; i < MAX_STEPS && w.in.at < w.in.end; i++)
		steps[take_u8(&w.in) % ARRAY_SIZE(steps)]();
	w.fmt->destroy(&w.pt);
	if (w.alloc.blocks || w.alloc.bytes)
		broken("blocks are left", w.alloc.blocks);
	return 0;
}
