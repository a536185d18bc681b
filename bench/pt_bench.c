// SPDX-License-Identifier: MIT
/*
 * What page tables cost, beside floors that are measured in the same run: a
 * system call that does nothing, which is what a kernel's answer to the same
 * question costs at the least; as many dependent loads as a walk has levels;
 * and plainly reading as many bytes as a dirty scan reads.
 *
 * Every figure is the best of several runs, since others only ever add time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pt/pt.h"

#define KIB ((u64)1 << 10)
#define MIB ((u64)1 << 20)
#define GIB ((u64)1 << 30)
#define RW  (PT_PROT_READ | PT_PROT_WRITE)

#define RUNS	9u
#define SINGLES 65536u

static struct base_alloc alloc;
static volatile u64 sink;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Best of RUNS, in ns per each of the n things that fn(arg, n) does. */
static double best_ns(void (*fn)(void *arg, unsigned int n), void *arg, unsigned int n)
{
	double best = 1e30;
	unsigned int run;

	for (run = 0; run < RUNS; run++) {
		double start = now_ns(), t;

		fn(arg, n);
		t = (now_ns() - start) / n;
		if (t < best)
			best = t;
	}
	return best;
}

static void must(int err)
{
	if (err) {
		fprintf(stderr, "pt_bench: error %d\n", err);
		exit(EXIT_FAILURE);
	}
}

static void make(struct pt *pt, unsigned int levels, u64 sizes)
{
	struct pt_config config = {.levels = levels, .pgsize_bitmap = sizes};

	must(pt_amdv1_init(pt, &alloc, &config));
}

static void row(const char *what, double ns, const char *floor, double floor_ns)
{
	printf("%-46s %10.2f ns  %8.2fx  %s (%.2f ns)\n", what, ns, ns / floor_ns, floor, floor_ns);
}

/* --- floors --- */

static void run_getppid(void *arg, unsigned int n)
{
	(void)arg;
	while (n--)
		sink += (u64)syscall(SYS_getppid);
}

#define CHAIN 4096u

/* Each element says where to go on: one cycle through all, in random order. */
static u32 chain[CHAIN];

static void make_chain(void)
{
	unsigned int i;

	for (i = 0; i < CHAIN; i++)
		chain[i] = i;
	for (i = CHAIN - 1; i; i--) {
		unsigned int j = (unsigned int)rand() % i;
		u32 t = chain[i];

		chain[i] = chain[j];
		chain[j] = t;
	}
}

static void run_loads(void *arg, unsigned int n)
{
	u32 at = *(u32 *)arg;

	while (n--)
		at = chain[chain[chain[chain[at]]]];
	sink += at;
}

static void run_read(void *arg, unsigned int n)
{
	const u64 *p = arg;
	u64 any = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		any |= p[i];
	sink += any;
}

/* --- what is measured --- */

struct job {
	struct pt *pt;
	u64 va, len;
	const u32 *order;
};

static void run_map_unmap(void *arg, unsigned int n)
{
	struct job *job = arg;

	while (n--) {
		must(pt_amdv1_map(job->pt, job->va, job->va, job->len, RW));
		pt_amdv1_unmap(job->pt, job->va, job->len);
		pt_sync(job->pt);
	}
}

static void run_lookup(void *arg, unsigned int n)
{
	struct job *job = arg;
	u64 at = 0;

	/* The next address depends on the last answer, as in a chain of loads. */
	while (n--)
		at = pt_amdv1_lookup(job->pt, (at * 5 + 4096 * 7) & (job->len - 1), NULL);
	sink += at;
}

static void map_singles(struct job *job)
{
	unsigned int i;

	for (i = 0; i < SINGLES; i++)
		must(pt_amdv1_map(job->pt, (u64)job->order[i] << 12, (u64)job->order[i] << 12, 4096,
				  RW));
}

static void unmap_singles(struct job *job)
{
	unsigned int i;

	for (i = 0; i < SINGLES; i++) {
		pt_amdv1_unmap(job->pt, (u64)job->order[i] << 12, 4096);
		pt_sync(job->pt);
	}
}

static void bench_singles(const char *name, const u32 *order, double call)
{
	double map = 1e30, unmap = 1e30, bytes = 0;
	unsigned int run;
	char what[64];

	for (run = 0; run < RUNS; run++) {
		struct job job = {.order = order};
		struct pt pt;
		double t0, t1, t2, t3;

		make(&pt, 4, 0);
		job.pt = &pt;
		t0 = now_ns();
		map_singles(&job);
		t1 = now_ns();
		bytes = (double)alloc.bytes / SINGLES;
		t2 = now_ns();
		unmap_singles(&job);
		t3 = now_ns();
		map = t1 - t0 < map ? t1 - t0 : map;
		unmap = t3 - t2 < unmap ? t3 - t2 : unmap;
		pt_amdv1_destroy(&pt);
	}
	snprintf(what, sizeof(what), "map, 65,536 singles, %s", name);
	row(what, map / SINGLES, "getppid", call);
	snprintf(what, sizeof(what), "unmap + sync, 65,536 singles, %s", name);
	row(what, unmap / SINGLES, "getppid", call);
	printf("%-46s %10.3f bytes (%zu for an empty tree)\n", "  tables per page", bytes,
	       sizeof(struct pt) + 4096);
}

/* Beside a page at 0, all tables stay; alone, they come and go each time. */
static void bench_map_unmap(bool beside, double call)
{
	static const struct {
		const char *what;
		u64 va, len;
	} cases[] = {
		{"4 KiB", 4 * KIB, 4 * KIB}, {"64 KiB", 64 * KIB, 64 * KIB},
		{"2 MiB", 2 * MIB, 2 * MIB}, {"256 MiB (128 items)", 256 * MIB, 256 * MIB},
		{"1 GiB", GIB, GIB},	     {"1 GiB, misaligned by 4 KiB", GIB + 4 * KIB, GIB},
	};
	double first = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct job job = {.va = cases[i].va, .len = cases[i].len};
		struct pt pt;
		char what[64];
		double ns;

		make(&pt, 4, 0);
		job.pt = &pt;
		if (beside)
			must(pt_amdv1_map(&pt, 0, 0, 4096, RW));
		ns = best_ns(run_map_unmap, &job, 20000);
		if (!i)
			first = ns;
		snprintf(what, sizeof(what), "map + unmap, %s, %s", beside ? "beside" : "alone",
			 cases[i].what);
		row(what, ns, i ? "4 KiB" : "getppid", i ? first : call);
		pt_amdv1_destroy(&pt);
	}
}

static void run_map_4k(void *arg, unsigned int n)
{
	struct job *job = arg;

	must(pt_amdv1_map(job->pt, 0, 0, (u64)n * 4096, RW));
	pt_amdv1_unmap(job->pt, 0, (u64)n * 4096);
	pt_sync(job->pt);
}

static void run_scan(void *arg, unsigned int n)
{
	struct job *job = arg;

	pt_amdv1_read_and_clear_dirty(job->pt, 0, (u64)n * 4096, true, NULL, NULL);
}

static void bench_dirty(void)
{
	const unsigned int pages = (unsigned int)(GIB / 4096);
	u64 *plain = base_zalloc_array(&alloc, pages, sizeof(u64));
	double floor, ns, all = 1e30;
	unsigned int run, i;
	struct job job = {0};
	struct pt pt;

	if (!plain)
		must(-ENOMEM);
	for (i = 0; i < pages; i++)
		plain[i] = i;
	floor = best_ns(run_read, plain, pages);
	make(&pt, 4, 4096);
	job.pt = &pt;
	row("map + unmap 1 GiB in 4 KiB leaves, per leaf", best_ns(run_map_4k, &job, pages),
	    "read 8 bytes", floor);
	must(pt_amdv1_map(&pt, 0, 0, GIB, RW));
	ns = best_ns(run_scan, &job, pages);
	row("dirty scan of 1 GiB in 4 KiB leaves, per leaf", ns, "read 8 bytes", floor);
	printf("%-46s %10.2f GB/s of tables, %.0f us for 1 GiB\n", "", 8 / ns, ns * pages / 1000);
	for (run = 0; run < RUNS; run++) {
		double start;

		for (i = 0; i < pages; i++)
			pt_amdv1_set_dirty(&pt, (u64)i * 4096);
		start = now_ns();
		run_scan(&job, pages);
		start = (now_ns() - start) / pages;
		all = start < all ? start : all;
	}
	row("the same with every leaf dirty, cleared", all, "read 8 bytes", floor);
	pt_amdv1_destroy(&pt);
	base_free(&alloc, plain, pages * sizeof(u64));
}

static void bench_lookup(void)
{
	double floor;
	struct job job = {.len = 64 * MIB};
	struct pt pt;
	u32 start = 0;

	make_chain();
	floor = best_ns(run_loads, &start, 500000);
	make(&pt, 4, 4096);
	job.pt = &pt;
	must(pt_amdv1_map(&pt, 0, 0, job.len, RW));
	row("lookup, 4 levels, 128 KiB of tables", best_ns(run_lookup, &job, 500000),
	    "4 dependent loads, 16 KiB", floor);
	pt_amdv1_destroy(&pt);
}

/* --- all formats, side by side --- */

/* Its functions are called by pointer, which adds to the figures of single calls. */
struct format {
	const char *name;
	unsigned int levels, granule_lg2;
	int (*init)(struct pt *pt, struct base_alloc *alloc, const struct pt_config *config);
	void (*destroy)(struct pt *pt);
	int (*map)(struct pt *pt, u64 va, u64 oa, u64 len, unsigned int prot);
	void (*unmap)(struct pt *pt, u64 va, u64 len);
	u64 (*lookup)(const struct pt *pt, u64 va, unsigned int *prot);
	void (*scan)(struct pt *pt, u64 va, u64 len, bool clear, pt_dirty_fn report, void *arg);
};

#define FORMAT(fmt, levels, granule_lg2)                                                           \
	{                                                                                          \
		#fmt, levels, granule_lg2, pt_##fmt##_init, pt_##fmt##_destroy, pt_##fmt##_map,    \
			pt_##fmt##_unmap, pt_##fmt##_lookup, pt_##fmt##_read_and_clear_dirty       \
	}

static const struct format formats[] = {
	FORMAT(amdv1, 4, 12),	     FORMAT(vtdss, 4, 12),	  FORMAT(x86_64, 4, 12),
	FORMAT(arm64_s1_4k, 4, 12),  FORMAT(arm64_s2_4k, 4, 12),  FORMAT(riscv, 4, 12),
	FORMAT(riscv_x4, 4, 12),     FORMAT(arm64_s1_16k, 4, 14), FORMAT(arm64_s2_16k, 4, 14),
	FORMAT(arm64_s1_64k, 3, 16), FORMAT(arm64_s2_64k, 3, 16),
};

struct format_job {
	const struct format *f;
	struct pt pt;
};

static void run_format_single(void *arg, unsigned int n)
{
	struct format_job *job = arg;
	const u64 leaf = (u64)1 << job->f->granule_lg2;

	while (n--) {
		must(job->f->map(&job->pt, leaf, leaf, leaf, RW));
		job->f->unmap(&job->pt, leaf, leaf);
		pt_sync(&job->pt);
	}
}

static void run_format_leaves(void *arg, unsigned int n)
{
	struct format_job *job = arg;

	must(job->f->map(&job->pt, 0, 0, (u64)n << job->f->granule_lg2, RW));
	job->f->unmap(&job->pt, 0, (u64)n << job->f->granule_lg2);
	pt_sync(&job->pt);
}

static void run_format_lookup(void *arg, unsigned int n)
{
	struct format_job *job = arg;
	const u64 leaf = (u64)1 << job->f->granule_lg2;
	u64 at = 0;

	while (n--)
		at = job->f->lookup(&job->pt, (at * 5 + leaf * 7) & (leaf * 16384 - 1), NULL);
	sink += at;
}

static void run_format_scan(void *arg, unsigned int n)
{
	struct format_job *job = arg;

	job->f->scan(&job->pt, 0, (u64)n << job->f->granule_lg2, true, NULL, NULL);
}

static void bench_format(const struct format *f)
{
	struct pt_config config = {.levels = f->levels, .pgsize_bitmap = (u64)1 << f->granule_lg2};
	double single, leaves, lookup, scan;
	struct format_job job = {.f = f};
	const u64 leaf = (u64)1 << f->granule_lg2;

	must(f->init(&job.pt, &alloc, &config));
	must(f->map(&job.pt, 0, 0, leaf, RW));
	single = best_ns(run_format_single, &job, 20000);
	f->unmap(&job.pt, 0, leaf);
	leaves = best_ns(run_format_leaves, &job, SINGLES);
	must(f->map(&job.pt, 0, 0, leaf * SINGLES, RW));
	lookup = best_ns(run_format_lookup, &job, 200000);
	scan = best_ns(run_format_scan, &job, SINGLES);
	f->destroy(&job.pt);
	printf("%-14s %6u %12.2f ns %12.2f ns %12.2f ns %12.2f ns\n", f->name, f->levels, single,
	       leaves, lookup, scan);
}

static void bench_formats(void)
{
	unsigned int i;

	printf("\n%-14s %6s %15s %15s %15s %15s\n", "smallest leaf", "levels", "map + unmap",
	       "65,536, each", "lookup", "dirty scan");
	for (i = 0; i < ARRAY_SIZE(formats); i++)
		bench_format(&formats[i]);
}

int main(void)
{
	static u32 order[SINGLES];
	double call = best_ns(run_getppid, NULL, 200000);
	unsigned int i;

	/* Each line as soon as it is there, also into a pipe. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("Page tables; the best of %u runs. Repeat with: bench/pt_bench\n", RUNS);
	printf("a system call (getppid): %.0f ns\n\n", call);
	printf("%-46s %13s  %9s\n", "", "best", "and that is");
	bench_map_unmap(true, call);
	bench_map_unmap(false, call);
	for (i = 0; i < SINGLES; i++)
		order[i] = i;
	bench_singles("ascending", order, call);
	for (i = SINGLES - 1; i; i--) {
		unsigned int j = (unsigned int)rand() % (i + 1);
		u32 t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	bench_singles("random order", order, call);
	bench_lookup();
	bench_dirty();
	bench_formats();
	return alloc.blocks ? EXIT_FAILURE : EXIT_SUCCESS;
}
