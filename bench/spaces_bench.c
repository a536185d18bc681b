// SPDX-License-Identifier: MIT
/*
 * Many address spaces in one descriptor: what one costs in time and memory when there are
 * a thousand, and when there are a million, each with one page mapped; what attaching and
 * replacing costs beside them; how many PASIDs one device can have; and, in the same run,
 * what a descriptor for each space would cost, as far as descriptors go.
 *
 *	spaces_bench [--quick] [--spaces N]
 *
 * "One more" is a space made and ended on top of those that are there; "any" is one of
 * them picked at random, so with many of them it is in no cache: what is more there is
 * the machine's memory. "In a hole" is a space that takes the lowest number, and one more
 * that then has to look for a free one. Each is the best of several runs, and what grows is
 * held against the floor, which is a request that is refused: what all of them take.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define PAGE	  4096ul
#define IOVA	  ((uint64_t)1 << 30)
#define LOOPS	  1000u
#define RUNS	  25
#define MAX_PASID ((1u << 20) - 1)

/* A figure may grow this much from the first size to the last, and is flat still. */
#define FLAT 2.0

enum { FLOOR, ALLOC, MAP, UNMAP, DESTROY, HOLE, ANY_MAP, ANY_UNMAP, ATTACH, REPLACE, FIGURES };

static const char *const names[FIGURES] = {
	"floor",     "alloc",	"map",	     "unmap",  "destroy",
	"in a hole", "any map", "any unmap", "attach", "replace",
};

static struct siommu_machine *machine;
static struct siommu_unit *unit;
static struct siommu_device *dev;
static struct siommu_bound *bound;
static struct siommu_ctx *ctx;
static uint32_t dev_id;
static uint32_t hwpts[2];
static char *memory; /* a page for each space; never touched */
static bool progress, quick;
static unsigned int missed;

static void __attribute__((noreturn)) die(const char *what, int rc)
{
	fprintf(stderr, "spaces_bench: %s: %s\n", what, strerror(rc < 0 ? -rc : rc));
	exit(EXIT_FAILURE);
}

static void check(int rc, const char *what)
{
	if (rc < 0)
		die(what, rc);
}

static void __attribute__((format(printf, 2, 3))) aim(bool met, const char *fmt, ...)
{
	va_list ap;

	printf("aim %s: spaces, ", met ? "met   " : "MISSED");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	missed += !met;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* On a terminal, one line that changes. */
static void show(const char *what, uint32_t n, uint32_t of)
{
	if (progress)
		fprintf(stderr, "\r%-40s %3u %%", what, (unsigned int)((uint64_t)n * 100 / of));
	if (progress && n == of)
		fprintf(stderr, "\r%50s\r", "");
}

static double rss_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long total, rss = 0;

	if (!f || fscanf(f, "%lu %lu", &total, &rss) != 2)
		die("/proc/self/statm", EIO);
	fclose(f);
	return (double)rss * (double)sysconf(_SC_PAGESIZE);
}

static double used_bytes(void)
{
	size_t bytes;

	siommu_machine_used(machine, &bytes, NULL);
	return (double)bytes;
}

/*
 * The calls
 */

static uint32_t ioas_alloc(struct siommu_ctx *c)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	check(siommu_ioctl(c, IOMMU_IOAS_ALLOC, &cmd), "IOAS_ALLOC");
	return cmd.out_ioas_id;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	check(siommu_ioctl(ctx, IOMMU_DESTROY, &cmd), "DESTROY");
}

static void map(struct siommu_ctx *c, uint32_t id, uint32_t page)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = id,
		.user_va = (uintptr_t)memory + page * PAGE,
		.length = PAGE,
		.iova = IOVA,
	};

	check(siommu_ioctl(c, IOMMU_IOAS_MAP, &cmd), "IOAS_MAP");
}

static void unmap(uint32_t id)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = id, .iova = IOVA, .length = PAGE
	};

	check(siommu_ioctl(ctx, IOMMU_IOAS_UNMAP, &cmd), "IOAS_UNMAP");
}

static uint32_t hwpt_alloc(uint32_t ioas)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = dev_id,
		.pt_id = ioas,
	};

	check(siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &cmd), "HWPT_ALLOC");
	return cmd.out_hwpt_id;
}

static void begin(void)
{
	const struct siommu_unit_params vtd = { .size = sizeof(vtd), .model = "vtd" };
	struct siommu_device_params params = {
		.size = sizeof(params), .name = "nic", .requester = 0x100, .pasid_bits = 20
	};

	check(siommu_machine_create(NULL, &machine), "machine");
	check(siommu_unit_create(machine, &vtd, NULL, 0, &unit), "unit");
	params.unit = unit;
	check(siommu_device_create(machine, &params, &dev), "device");
	check(siommu_open(machine, 0, &ctx), "open");
	check(siommu_device_bind(ctx, dev, &bound, &dev_id), "bind");
	hwpts[0] = hwpt_alloc(ioas_alloc(ctx));
	hwpts[1] = hwpt_alloc(ioas_alloc(ctx));
	check(siommu_device_attach(bound, 0, (uint32_t[]){ hwpts[0] }), "attach");
}

/* The context first: what is in it refers to the rest. */
static double end(void)
{
	double t;

	siommu_device_unbind(bound);
	t = now_ns();
	siommu_close(ctx);
	t = now_ns() - t;
	siommu_device_destroy(dev);
	siommu_unit_destroy(unit);
	siommu_machine_destroy(machine);
	return t;
}

/*
 * Figures at one size
 */

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state % n);
}

static void keep_best(double *figure, double began)
{
	const double t = (now_ns() - began) / LOOPS;

	if (!*figure || t < *figure)
		*figure = t;
}

static void floor_of_all(double *f)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd) };
	unsigned int i;
	double t = now_ns();

	for (i = 0; i < LOOPS; i++)
		if (siommu_ioctl(ctx, IOMMU_DESTROY, &cmd) != -ENOENT)
			die("DESTROY of nothing", EINVAL);
	keep_best(&f[FLOOR], t);
}

static void one_more(double *f)
{
	static uint32_t ids[LOOPS];
	unsigned int i;
	double t = now_ns();

	for (i = 0; i < LOOPS; i++)
		ids[i] = ioas_alloc(ctx);
	keep_best(&f[ALLOC], t);
	t = now_ns();
	for (i = 0; i < LOOPS; i++)
		map(ctx, ids[i], i);
	keep_best(&f[MAP], t);
	t = now_ns();
	for (i = 0; i < LOOPS; i++)
		unmap(ids[i]);
	keep_best(&f[UNMAP], t);
	t = now_ns();
	for (i = LOOPS; i--;)
		destroy(ids[i]);
	keep_best(&f[DESTROY], t);
}

/* @low is a space that is there, with the lowest number. */
static void in_a_hole(double *f, uint32_t low)
{
	unsigned int i;
	double t = now_ns();

	for (i = 0; i < LOOPS; i++) {
		destroy(low);
		if (ioas_alloc(ctx) != low)
			die("an id that is not the lowest", EINVAL);
		destroy(ioas_alloc(ctx));
	}
	keep_best(&f[HOLE], t);
	map(ctx, low, 0);
}

static void any_of(double *f, const uint32_t *ids, uint32_t n)
{
	static uint32_t picked[LOOPS];
	unsigned int i, k;
	double t;

	/* Each one once. */
	k = random_below(n);
	for (i = 0; i < LOOPS; i++)
		picked[i] = ids[(k + i * (n / LOOPS)) % n];
	for (i = LOOPS - 1; i; i--) {
		uint32_t j = random_below(i + 1), x = picked[i];

		picked[i] = picked[j];
		picked[j] = x;
	}
	t = now_ns();
	for (i = 0; i < LOOPS; i++)
		unmap(picked[i]);
	keep_best(&f[ANY_UNMAP], t);
	t = now_ns();
	for (i = 0; i < LOOPS; i++)
		map(ctx, picked[i], i);
	keep_best(&f[ANY_MAP], t);
}

static void of_a_device(double *f)
{
	unsigned int i;
	double t = now_ns();

	for (i = 0; i < LOOPS; i++)
		check(siommu_device_replace(bound, 0, (uint32_t[]){ hwpts[!(i & 1)] }), "replace");
	keep_best(&f[REPLACE], t);
	t = now_ns();
	for (i = 0; i < LOOPS; i++) {
		siommu_device_detach(bound, 0);
		check(siommu_device_attach(bound, 0, (uint32_t[]){ hwpts[0] }), "attach");
	}
	keep_best(&f[ATTACH], t);
}

/*
 * The tables
 */

/* Spaces up to @n; with how many there are, figures at each power of ten. */
static double spaces(uint32_t n, double *ms_to_close)
{
	uint32_t *ids = malloc(n * sizeof(*ids)), i = 0, size;
	double first[FIGURES] = { 0 }, f[FIGURES], t, grown, filled = 0, used, rss, each = 0;
	unsigned int run, k;

	if (!ids)
		die("malloc", ENOMEM);
	memset(ids, 0, n * sizeof(*ids));
	begin();
	used = used_bytes();
	rss = rss_bytes();
	printf("ns each; bytes each, by the library's account and by the system's\n\n%9s",
	       "spaces");
	for (k = 0; k < FIGURES; k++)
		printf(" %9s", names[k]);
	printf(" %9s %7s %7s\n", "filling", "bytes", "memory");
	for (size = 1000; size <= n; size *= 10) {
		t = now_ns();
		for (; i < size; i++) {
			if (i % 10000 == 0)
				show("making spaces", i, n);
			ids[i] = ioas_alloc(ctx);
			map(ctx, ids[i], i);
		}
		filled += now_ns() - t;
		each = (used_bytes() - used) / size;
		printf("%9u", size);
		t = (rss_bytes() - rss) / size;
		memset(f, 0, sizeof(f));
		for (run = 0; run < RUNS; run++) {
			/* Others come and go on this machine: not all at once. */
			usleep(2000);
			floor_of_all(f);
			one_more(f);
			in_a_hole(f, ids[0]);
			any_of(f, ids, size);
			of_a_device(f);
		}
		for (k = 0; k < FIGURES; k++)
			printf(" %9.0f", f[k]);
		printf(" %9.0f %7.0f %7.0f\n", filled / size, each, t);
		if (size == 1000)
			memcpy(first, f, sizeof(f));
	}
	show("making spaces", n, n);
	*ms_to_close = end() / 1e6;
	printf("\nclosing a descriptor with %u: %.0f ms\n\n", i, *ms_to_close);
	for (k = ALLOC; k < FIGURES; k++) {
		if (k == ANY_MAP || k == ANY_UNMAP)
			continue;
		grown = f[k] / first[k] / (f[FLOOR] / first[FLOOR]);
		aim(grown <= FLAT, "%s with %u is %.2f of %s with 1000 (at most %.1f)", names[k], i,
		    grown, names[k], FLAT);
	}
	free(ids);
	return each;
}

/* PASIDs of one device, attached to one page table. */
static void pasids(uint32_t n)
{
	uint32_t pasid = 1, size, id;
	double t, at, of, first = 0, last = 0, used;
	unsigned int i;

	begin();
	used = used_bytes();
	printf("\n%9s %9s %9s %7s\n", "PASIDs", "attach", "detach", "bytes");
	for (size = 1000; size <= n; size *= 10) {
		for (; pasid <= size; pasid++) {
			id = hwpts[1];
			check(siommu_device_attach(bound, pasid, &id), "attach");
			if (pasid % 10000 == 0)
				show("attaching PASIDs", pasid, n);
		}
		at = of = 0;
		for (i = 0; i < RUNS; i++) {
			uint32_t k;

			t = now_ns();
			for (k = 0; k < LOOPS; k++)
				siommu_device_detach(bound, size - k);
			keep_best(&of, t);
			t = now_ns();
			for (k = 0; k < LOOPS; k++)
				check(siommu_device_attach(bound, size - k, &id), "attach");
			keep_best(&at, t);
		}
		printf("%9u %9.0f %9.0f %7.0f\n", size, at, of, (used_bytes() - used) / size);
		last = at + of;
		if (size == 1000)
			first = last;
	}
	show("attaching PASIDs", n, n);
	end();
	putchar('\n');
	aim(last <= 2 * FLAT * first,
	    "attaching and detaching the last PASID is %.2f of the first ones (at most %.1f)",
	    last / first, 2 * FLAT);
}

/* One descriptor for each space instead: as many as there may be, within reason. */
static void descriptors(uint32_t n, double space_bytes)
{
	struct rlimit limit;
	struct siommu_ctx **ctxs;
	double t, used, each;
	uint32_t i, room;
	int *fds;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	room = (uint32_t)(limit.rlim_max - 64 < n ? limit.rlim_max - 64 : n);
	ctxs = calloc(room, sizeof(*ctxs));
	fds = calloc(room, sizeof(*fds));
	if (!ctxs || !fds)
		die("malloc", ENOMEM);
	begin();
	used = used_bytes();
	t = now_ns();
	for (i = 0; i < room; i++) {
		if (i % 1000 == 0)
			show("opening descriptors", i, room);
		check(siommu_open(machine, 0, &ctxs[i]), "open");
		fds[i] = siommu_vfio_context(ctxs[i]);
		if (fds[i] < 0) {
			siommu_close(ctxs[i]);
			break;
		}
		map(ctxs[i], ioas_alloc(ctxs[i]), i);
	}
	if (!i)
		die("descriptors", EMFILE);
	t = (now_ns() - t) / i;
	show("opening descriptors", room, room);
	each = (used_bytes() - used) / i;
	printf("\na descriptor for each: %u, of %lu that there may be: %.0f ns and %.0f bytes of "
	       "the library's each,\n"
	       "beside what the system keeps for it; a million, if they were allowed, would be "
	       "%.0f MB (spaces: %.0f MB)\n",
	       i, (unsigned long)limit.rlim_max, t, each, each, space_bytes);
	if (limit.rlim_max < 1000000)
		printf("(extrapolated: a million is %.0f times the limit)\n",
		       1e6 / (double)limit.rlim_max);
	/* The last one first: that is where they are looked for. */
	while (i--) {
		siommu_close(ctxs[i]);
		siommu_vfio_close(machine, fds[i]);
	}
	end();
	free(ctxs);
	free(fds);
}

int main(int argc, char **argv)
{
	uint32_t n = 1000000;
	double ms, each;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick")) {
			quick = true;
		} else if (!strcmp(argv[i], "--spaces") && i + 1 < argc) {
			n = (uint32_t)strtoul(argv[++i], NULL, 0);
		} else {
			fprintf(stderr, "usage: spaces_bench [--quick] [--spaces N]\n");
			return EXIT_FAILURE;
		}
	}
	if (quick)
		n = 10000;
	if (n < 1000 || n > 10000000)
		die("--spaces takes 1000 to 10000000", EINVAL);
	progress = isatty(STDERR_FILENO);
	memory = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap", errno);
	each = spaces(n, &ms);
	pasids(n < MAX_PASID ? n : MAX_PASID);
	descriptors(quick ? 1000 : 100000, each);
	return missed && !quick ? 3 : EXIT_SUCCESS;
}
