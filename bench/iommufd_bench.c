// SPDX-License-Identifier: MIT
/*
 * What the ioctls of iommufd cost, through either door.
 *
 * In process the calls go through siommu_ioctl(); with --server they are plain
 * open() and ioctl(), to be run under `softiommu run --iommu mock`.
 *
 * A figure alone says little on a machine that others use, so each stands beside
 * others of the same run: a system call that does nothing (getppid), and through
 * the server a round trip over a socket between two processes, alone and with
 * two copies between their memories, which is the least that a server can take.
 *
 * The kernel's figures were measured inside a Linux 7.3, in a loop without system
 * calls, on a machine where a system call takes 130 ns. Figures of two machines
 * compare by how many of its own system calls each is worth; below 1.00 in the
 * last column is cheaper than the kernel. Its 2 MiB and 1 GiB were of 4 KiB pages,
 * which have to be pinned and mapped one by one; here they are one range.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd-test.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define KIB  ((uint64_t)1 << 10)
#define MIB  ((uint64_t)1 << 20)
#define GIB  ((uint64_t)1 << 30)
#define PAGE (4 * KIB)

/* In the middle of what the mock can map: large leaves fit there. */
#define IOVA GIB

/* The kernel's system call, ns. */
#define KERNEL_CALL 130.0

#define SINGLES	 65536u
#define NIOAS	 100000u
#define MAX_RUNS 15

static bool server;
static struct siommu_machine *machine;
static struct siommu_ctx *ctx;
static int fd = -1;
static FILE *json;
static char *memory; /* 1 GiB of addresses, aligned to that */
static double syscall_ns, trip_ns, copies_ns;
static unsigned int missed;

/* How often: repetitions, and calls in one of them. */
static unsigned int runs, loops;

static void die(const char *what, int rc)
{
	fprintf(stderr, "iommufd_bench: %s: %s\n", what, strerror(rc < 0 ? -rc : rc));
	exit(EXIT_FAILURE);
}

static void call(unsigned long request, void *arg, const char *what)
{
	int rc;

	if (server)
		rc = ioctl(fd, request, arg) < 0 ? -errno : 0;
	else
		rc = siommu_ioctl(ctx, request, arg);
	if (rc < 0)
		die(what, rc);
}

#define CALL(request, arg) call(request, arg, #request)

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* --- the calls --- */

static uint32_t ioas_alloc(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	CALL(IOMMU_IOAS_ALLOC, &cmd);
	return cmd.out_ioas_id;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	CALL(IOMMU_DESTROY, &cmd);
}

static void map(uint32_t ioas, uint64_t offset, uint64_t length)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory + offset,
		.length = length,
		.iova = IOVA + offset,
	};

	CALL(IOMMU_IOAS_MAP, &cmd);
}

static void unmap(uint32_t ioas, uint64_t offset, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = IOVA + offset,
		.length = length,
	};

	CALL(IOMMU_IOAS_UNMAP, &cmd);
}

static void copy(uint32_t dst, uint32_t src, uint64_t length)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = IOVA,
		.src_iova = IOVA,
	};

	CALL(IOMMU_IOAS_COPY, &cmd);
}

static void option(uint32_t id, uint16_t op, uint32_t object, uint64_t value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = id,
		.op = op,
		.object_id = object,
		.val64 = value,
	};

	CALL(IOMMU_OPTION, &cmd);
}

static uint32_t hwpt_alloc(uint32_t flags, uint32_t dev, uint32_t pt, const void *data)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
	};

	if (data) {
		cmd.data_type = IOMMU_HWPT_DATA_SELFTEST;
		cmd.data_len = sizeof(struct iommu_hwpt_selftest);
		cmd.data_uptr = (uintptr_t)data;
	}
	CALL(IOMMU_HWPT_ALLOC, &cmd);
	return cmd.out_hwpt_id;
}

/* A world to measure in: IOASes, and a device attached to the first. */
struct world {
	uint32_t ioas;
	uint32_t other;
	uint32_t stdev;
	uint32_t idev;
};

static void world_begin(struct world *w, bool domain)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
	};

	*w = (struct world){ .ioas = ioas_alloc(), .other = ioas_alloc() };
	if (!domain)
		return;
	cmd.id = w->ioas;
	CALL(IOMMU_TEST_CMD, &cmd);
	w->stdev = cmd.mock_domain.out_stdev_id;
	w->idev = cmd.mock_domain.out_idev_id;
}

static void world_end(struct world *w)
{
	if (w->stdev)
		destroy(w->stdev);
	destroy(w->other);
	destroy(w->ioas);
}

/* --- measuring --- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/**
 * struct figure - one row
 * @what: its name
 * @sample: one repetition. Return: ns for each call, or pair of calls
 * @arg: passed to @sample
 * @kernel: the kernel's figure, ns; 0 if there is none
 * @domain: with a page table
 * @many: a repetition is many calls: fewer of them through the server
 */
struct figure {
	const char *what;
	double (*sample)(const struct figure *f);
	uint64_t arg;
	double kernel;
	bool domain;
	bool many;
};

static void print_json(const char *what, double best, double median, double kernel)
{
	static bool any;

	if (!json)
		return;
	fprintf(json, "%s\n  {\"what\": \"%s\", \"best_ns\": %.1f, \"median_ns\": %.1f, "
		"\"syscalls\": %.2f, \"kernel_ns\": %.1f}",
		any ? "," : "", what, best, median, best / syscall_ns, kernel);
	any = true;
}

/* Measure and print; the best time is what the code takes, others only add. */
static double measure(const struct figure *f, const char *name)
{
	unsigned int n = f->many && server ? 2 : runs, i;
	double t[MAX_RUNS], ours, theirs;

	for (i = 0; i < n; i++)
		t[i] = f->sample(f);
	qsort(t, n, sizeof(t[0]), compare);
	ours = t[0] / syscall_ns;
	theirs = f->kernel / KERNEL_CALL;
	printf("%-46s %12.0f %12.0f %9.2f", f->what, t[0], t[n / 2], ours);
	if (server)
		printf(" %9.2f", t[0] / copies_ns);
	if (f->kernel)
		printf(" %12.0f %9.2f %8.2f", f->kernel, theirs, ours / theirs);
	printf("\n");
	fflush(stdout);
	print_json(name, t[0], t[n / 2], f->kernel);
	return t[0];
}

static void __attribute__((format(printf, 2, 3))) aim(bool met, const char *fmt, ...)
{
	va_list ap;

	printf("aim %s: %s, ", met ? "met   " : "MISSED", server ? "server" : "in process");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	missed += !met;
}

/* --- floors --- */

static double best_of(double (*fn)(unsigned int), unsigned int n)
{
	double best = 1e30, t;
	unsigned int i;

	for (i = 0; i < 15; i++) {
		t = fn(n);
		best = t < best ? t : best;
	}
	return best;
}

static double run_getppid(unsigned int n)
{
	double start = now_ns();
	unsigned int i;

	for (i = 0; i < n; i++)
		syscall(SYS_getppid);
	return (now_ns() - start) / n;
}

/* As large as the messages of a door are. */
struct message {
	uint64_t words[7];
};

static int pair[2];
static struct message shared_buf;

static double run_trip(unsigned int n)
{
	struct message m = { { 0 } };
	double start = now_ns();
	unsigned int i;

	for (i = 0; i < n; i++)
		if (send(pair[0], &m, sizeof(m), 0) < 0 || recv(pair[0], &m, sizeof(m), 0) < 0)
			return 1e30;
	return (now_ns() - start) / n;
}

/* Answer @pid's messages; with @copies after reading and writing its memory. */
static void serve(pid_t pid, bool copies)
{
	char bytes[64];
	struct iovec local = { bytes, sizeof(bytes) }, remote = { &shared_buf, sizeof(bytes) };
	struct message m;

	remote.iov_len = sizeof(shared_buf);
	while (recv(pair[1], &m, sizeof(m), 0) > 0) {
		if (copies && (process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 ||
			       process_vm_writev(pid, &local, 1, &remote, 1, 0) < 0))
			break;
		if (send(pair[1], &m, sizeof(m), MSG_NOSIGNAL) < 0)
			break;
	}
}

/*
 * The child asks and measures, we serve: it is to a parent that its children's
 * memory is open everywhere.
 */
static double measure_trip(bool copies)
{
	double result = 0;
	int report[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) || pipe(report))
		die("socketpair", errno);
	pid = fork();
	if (!pid) {
		close(pair[1]);
		result = best_of(run_trip, 2000);
		_exit(write(report[1], &result, sizeof(result)) < 0);
	}
	close(pair[0]);
	serve(pid, copies);
	close(pair[1]);
	if (read(report[0], &result, sizeof(result)) != sizeof(result) || result > 1e29)
		die("a process cannot read its child's memory", EPERM);
	close(report[0]);
	close(report[1]);
	waitpid(pid, NULL, 0);
	return result;
}

/* --- samples --- */

static double sample_option(const struct figure *f)
{
	double start = now_ns();
	unsigned int i;

	(void)f;
	for (i = 0; i < loops; i++)
		option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, 0);
	return (now_ns() - start) / loops;
}

static double sample_ioas(const struct figure *f)
{
	double start = now_ns();
	unsigned int i;

	(void)f;
	for (i = 0; i < loops; i++)
		destroy(ioas_alloc());
	return (now_ns() - start) / loops;
}

static double sample_map_unmap(const struct figure *f)
{
	struct world w;
	double t;
	unsigned int i;

	world_begin(&w, f->domain);
	t = now_ns();
	for (i = 0; i < loops; i++) {
		map(w.ioas, 0, f->arg);
		unmap(w.ioas, 0, f->arg);
	}
	t = now_ns() - t;
	world_end(&w);
	return t / loops;
}

static double sample_copy(const struct figure *f)
{
	struct world w;
	double t;
	unsigned int i;

	world_begin(&w, f->domain);
	map(w.other, 0, f->arg);
	t = now_ns();
	for (i = 0; i < loops; i++) {
		copy(w.ioas, w.other, f->arg);
		unmap(w.ioas, 0, f->arg);
	}
	t = now_ns() - t;
	world_end(&w);
	return t / loops;
}

static void map_singles(const struct world *w)
{
	unsigned int i;

	for (i = 0; i < SINGLES; i++)
		map(w->ioas, i * PAGE, PAGE);
}

static double sample_map_singles(const struct figure *f)
{
	struct world w;
	double t;

	world_begin(&w, f->domain);
	t = now_ns();
	map_singles(&w);
	t = now_ns() - t;
	unmap(w.ioas, 0, SINGLES * PAGE);
	world_end(&w);
	return t / SINGLES;
}

/* @arg: one by one, or all at once. */
static double sample_unmap_singles(const struct figure *f)
{
	struct world w;
	unsigned int i;
	double t;

	world_begin(&w, f->domain);
	map_singles(&w);
	t = now_ns();
	if (f->arg)
		for (i = 0; i < SINGLES; i++)
			unmap(w.ioas, i * PAGE, PAGE);
	else
		unmap(w.ioas, 0, SINGLES * PAGE);
	t = now_ns() - t;
	world_end(&w);
	return t / SINGLES;
}

static double sample_nested(const struct figure *f)
{
	struct iommu_hwpt_selftest data = { .iotlb = 1 };
	struct world w;
	uint32_t parent;
	unsigned int i;
	double t;

	(void)f;
	world_begin(&w, true);
	parent = hwpt_alloc(IOMMU_HWPT_ALLOC_NEST_PARENT, w.idev, w.ioas, NULL);
	t = now_ns();
	for (i = 0; i < loops; i++)
		destroy(hwpt_alloc(0, w.idev, parent, &data));
	t = now_ns() - t;
	destroy(parent);
	world_end(&w);
	return t / loops;
}

static double sample_paging(const struct figure *f)
{
	struct world w;
	unsigned int i;
	double t;

	(void)f;
	world_begin(&w, true);
	t = now_ns();
	for (i = 0; i < loops; i++)
		destroy(hwpt_alloc(0, w.idev, w.ioas, NULL));
	t = now_ns() - t;
	world_end(&w);
	return t / loops;
}

static uint64_t bitmap[GIB / PAGE / 64];

static void make_dirty(uint32_t hwpt)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_DIRTY,
		.id = hwpt,
		.dirty = {
			.iova = IOVA,
			.length = GIB,
			.page_size = PAGE,
			.uptr = (uintptr_t)bitmap,
		},
	};

	memset(bitmap, 0xff, sizeof(bitmap));
	CALL(IOMMU_TEST_CMD, &cmd);
}

#define DIRTY_ALL   1
#define DIRTY_SMALL 2

/* The bitmap of 1 GiB: @arg says whether all is dirty, and in 4 KiB pages. */
static double sample_dirty(const struct figure *f)
{
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.iova = IOVA,
		.length = GIB,
		.page_size = PAGE,
		.data = (uintptr_t)bitmap,
	};
	struct world w;
	double t;

	world_begin(&w, true);
	if (f->arg & DIRTY_SMALL)
		option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, w.ioas, 0);
	set.hwpt_id = get.hwpt_id =
		hwpt_alloc(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, w.idev, w.ioas, NULL);
	map(w.ioas, 0, GIB);
	CALL(IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
	if (f->arg & DIRTY_ALL)
		make_dirty(set.hwpt_id);
	memset(bitmap, 0, sizeof(bitmap));
	t = now_ns();
	CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
	t = now_ns() - t;
	if (bitmap[0] != (f->arg & DIRTY_ALL ? UINT64_MAX : 0) ||
	    bitmap[GIB / PAGE / 64 - 1] != bitmap[0])
		die("a wrong bitmap", EINVAL);
	unmap(w.ioas, 0, GIB);
	destroy(set.hwpt_id);
	world_end(&w);
	return t;
}

/* --- memory --- */

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static size_t held(void)
{
	size_t bytes;

	siommu_machine_used(machine, &bytes, NULL);
	return bytes;
}

static void memory_row(const char *what, size_t heap_bytes, size_t held_bytes, unsigned int n,
		       double kernel)
{
	printf("%-46s %12.1f %12.1f %32.0f\n", what, (double)heap_bytes / n,
	       (double)held_bytes / n, kernel);
}

/* Made and destroyed: what one takes, and whether all of it comes back. */
static void many_ioas(void)
{
	size_t heap_before = heap(), held_before = server ? 0 : held();
	static uint32_t ids[NIOAS];
	double made, gone;
	unsigned int i;

	made = now_ns();
	for (i = 0; i < NIOAS; i++)
		ids[i] = ioas_alloc();
	made = now_ns() - made;
	if (!server) {
		double each = (double)(heap() - heap_before) / NIOAS;

		memory_row("an empty IOAS, of 100,000", heap() - heap_before,
			   held() - held_before, NIOAS, 260);
		aim(each < 512, "%.0f bytes for an empty IOAS, all told (< 512)", each);
	}
	gone = now_ns();
	for (i = 0; i < NIOAS; i++)
		destroy(ids[i]);
	gone = now_ns() - gone;
	printf("%-46s %12.0f %12.0f ns each, made and destroyed\n", "100,000 IOASes at once",
	       made / NIOAS, gone / NIOAS);
	if (!server)
		printf("%-46s %12zu %12zu bytes in all\n", "  what is left of them",
		       heap() - heap_before, held() - held_before);
}

static void mapping_memory(bool domain)
{
	size_t heap_before, held_before;
	struct world w;
	double each;

	world_begin(&w, domain);
	heap_before = heap();
	held_before = held();
	map_singles(&w);
	each = (double)(heap() - heap_before) / SINGLES;
	memory_row(domain ? "a mapping of 4 KiB, one domain" : "a mapping of 4 KiB, no domain",
		   heap() - heap_before, held() - held_before, SINGLES, domain ? 422 : 390);
	aim(each < 250, "%.0f bytes for a mapping of 4 KiB%s, all told (< 250)", each,
	    domain ? " with a domain" : "");
	unmap(w.ioas, 0, SINGLES * PAGE);
	world_end(&w);
}

/* --- all of it --- */

static const struct figure figures[] = {
	{ "OPTION get: dispatch only", sample_option, 0, 70, false, false },
	{ "IOAS_ALLOC + DESTROY", sample_ioas, 0, 540, false, false },
	{ "MAP + UNMAP 4 KiB, no domain", sample_map_unmap, PAGE, 319, false, false },
	{ "MAP + UNMAP 2 MiB, no domain", sample_map_unmap, 2 * MIB, 0, false, false },
	{ "MAP + UNMAP 1 GiB, no domain", sample_map_unmap, GIB, 0, false, false },
	{ "MAP + UNMAP 4 KiB, one domain", sample_map_unmap, PAGE, 1025, true, false },
	{ "MAP + UNMAP 2 MiB, one domain", sample_map_unmap, 2 * MIB, 37977, true, false },
	{ "MAP + UNMAP 1 GiB, one domain", sample_map_unmap, GIB, 19.3e6, true, false },
	{ "COPY + UNMAP 4 KiB, no domain", sample_copy, PAGE, 0, false, false },
	{ "COPY + UNMAP 4 KiB, one domain", sample_copy, PAGE, 0, true, false },
	{ "65,536 x MAP 4 KiB, no domain", sample_map_singles, 0, 462, false, true },
	{ "  UNMAP one by one", sample_unmap_singles, 1, 378, false, true },
	{ "  UNMAP all at once, per mapping", sample_unmap_singles, 0, 123, false, true },
	{ "65,536 x MAP 4 KiB, one domain", sample_map_singles, 0, 878, true, true },
	{ "  UNMAP one by one", sample_unmap_singles, 1, 598, true, true },
	{ "  UNMAP all at once, per mapping", sample_unmap_singles, 0, 399, true, true },
	{ "HWPT_ALLOC nested + DESTROY", sample_nested, 0, 317, false, false },
	{ "HWPT_ALLOC paging + DESTROY", sample_paging, 0, 2267, false, false },
	{ "dirty bitmap of 1 GiB in 4 KiB pages, clean", sample_dirty, DIRTY_SMALL, 1.16e6, false, false },
	{ "  all dirty, and cleared", sample_dirty, DIRTY_SMALL | DIRTY_ALL, 2.56e6, false, false },
	{ "dirty bitmap of 1 GiB in large pages, clean", sample_dirty, 0, 0, false, false },
	{ "  all dirty, and cleared", sample_dirty, DIRTY_ALL, 0, false, false },
};

#define NFIGURES (sizeof(figures) / sizeof(figures[0]))

/* The name of a row, with that of the one it belongs to in front. */
static const char *full_name(unsigned int i)
{
	static char name[128];
	unsigned int parent = i;

	if (figures[i].what[0] != ' ')
		return figures[i].what;
	while (figures[parent].what[0] == ' ')
		parent--;
	snprintf(name, sizeof(name), "%s: %s", figures[parent].what, figures[i].what + 2);
	return name;
}

static void judge(const double *ns)
{
	double small = 0, large = 0, worst = 0;
	unsigned int i, worst_at = 0;

	printf("\n");
	for (i = 0; i < NFIGURES; i++) {
		const struct figure *f = &figures[i];
		double ratio = f->kernel ? ns[i] / syscall_ns / (f->kernel / KERNEL_CALL) : 0;

		if (f->sample == sample_map_unmap && f->domain && f->arg == PAGE)
			small = ns[i];
		if (f->sample == sample_map_unmap && f->domain && f->arg == GIB)
			large = ns[i];
		if (ratio > worst) {
			worst = ratio;
			worst_at = i;
		}
	}
	if (!server)
		aim(worst < 1, "at most %.2f of the kernel's own time (< 1), by %s", worst,
		    full_name(worst_at));
	aim(large < 3 * small, "1 GiB takes %.2f of 4 KiB, one domain (< 3)", large / small);
	if (server)
		aim(ns[0] < 1.5 * copies_ns,
		    "a trivial command takes %.2f of a bare round trip with two copies (< 1.5)",
		    ns[0] / copies_ns);
}

static void head(void)
{
	printf("%s; ns, the best and the median of %u runs. Repeat with:\n  %s\n",
	       server ? "Through the server" : "In process", runs,
	       server ? "taskset -c 0 softiommu run --iommu mock -- bench/iommufd_bench --server"
		      : "bench/iommufd_bench");
	printf("a system call (getppid): %.0f ns\n", syscall_ns);
	if (server)
		printf("a bare round trip between two processes: %.0f ns, "
		       "with two copies of 56 bytes: %.0f ns;\n"
		       "/trip+2 is in units of the latter, and a pair of calls is two\n",
		       trip_ns, copies_ns);
	printf("\n%-46s %12s %12s %9s", "", "best", "median", "/syscall");
	if (server)
		printf(" %9s", "/trip+2");
	printf(" %12s %9s %8s\n", "kernel", "/syscall", "ours:its");
}

static void begin(void)
{
	const struct siommu_machine_params params = {
		.size = sizeof(params),
		.test_interface = true,
	};
	char *p;
	int rc;

	runs = server ? 5 : 11;
	loops = server ? 500 : 20000;
	if (server) {
		fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			die("open /dev/iommu: run this under softiommu run --iommu mock", errno);
	} else {
		rc = siommu_machine_create(&params, &machine);
		if (!rc)
			rc = siommu_open(machine, 0, &ctx);
		if (rc)
			die("no context", rc);
	}
	p = mmap(NULL, 2 * GIB, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		die("mmap", errno);
	memory = (char *)(((uintptr_t)p + GIB - 1) & ~(GIB - 1));
	memory[0] = 1;
}

int main(int argc, char **argv)
{
	double ns[NFIGURES], again;
	unsigned int i;

	for (i = 1; i < (unsigned int)argc; i++) {
		if (!strcmp(argv[i], "--server")) {
			server = true;
		} else if (!strcmp(argv[i], "--json") && i + 1 < (unsigned int)argc) {
			json = fopen(argv[++i], "w");
		} else {
			fprintf(stderr, "usage: iommufd_bench [--server] [--json FILE]\n");
			return 2;
		}
	}
	begin();
	syscall_ns = best_of(run_getppid, 20000);
	if (server) {
		trip_ns = measure_trip(false);
		copies_ns = measure_trip(true);
	}
	head();
	if (json)
		fprintf(json, "[");
	for (i = 0; i < NFIGURES; i++)
		ns[i] = measure(&figures[i], full_name(i));
	if (json) {
		fprintf(json, "\n]\n");
		fclose(json);
	}
	again = best_of(run_getppid, 20000);
	printf("a system call again: %.0f ns\n", again);
	if (!server)
		printf("\n%-46s %12s %12s %32s\n", "bytes for", "all told", "asked for", "kernel");
	many_ioas();
	if (!server) {
		mapping_memory(false);
		mapping_memory(true);
	}
	judge(ns);
	siommu_close(ctx);
	siommu_machine_destroy(machine);
	return missed ? 3 : EXIT_SUCCESS;
}
