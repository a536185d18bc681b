// SPDX-License-Identifier: MIT
/*
 * Every allocation of every call fails once.
 *
 * For each case, and for n = 1, 2, 3 ... until the call gets by without the
 * n-th allocation: a fresh world is set up, the call is made with that
 * allocation failing, and then
 *
 *  - it has returned -ENOMEM,
 *  - the tree that siommu_machine_show() prints is as it was,
 *  - no descriptor is left open,
 *  - the same call now succeeds,
 *  - with everything closed the machine holds as much memory as in the beginning,
 *    and nothing has logged an error.
 *
 * Memory is compared at once, too. A failed call may leave a cache warmer than
 * it was (spare tables, room for ids), but then making it again and again must
 * come to a rest, and that within a few blocks.
 *
 * Exceptions are marked in the tables of cases. The output is TAP, with the
 * number of allocations of each call.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <softiommu/legacy.h>

#include "sweep.h"

/* Blocks that a failed call may leave in caches. */
#define MAX_CACHED 8

/* What a machine may keep: this process's address space, its user, a file, its bus. */
#define MAX_KEPT 4

static char *memory;
static unsigned int bad;

static void fail(const struct sweep_case *c, unsigned int n, const char *what, long have, long want)
{
	printf("# %s: allocation %u: %s: %ld, not %ld\n", c->name, n, what, have, want);
	bad++;
}

static bool should_fail(void *arg)
{
	struct world *w = arg;

	if (!w->fail_in || --w->fail_in)
		return false;
	w->failed = true;
	return true;
}

static void complain(void *arg, int level, const char *line)
{
	struct world *w = arg;

	(void)level;
	printf("# log: %s\n", line);
	w->complaints++;
}

static long count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	long n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The machine's tree, but for the line that says how much memory it takes. */
static char *digest(struct world *w)
{
	char *text = NULL, *at, *end;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	siommu_machine_show(w->machine, f);
	fclose(f);
	for (at = strstr(text, "  context, "); at; at = strstr(at, "  context, ")) {
		end = strchr(at, '\n');
		memmove(at, end, strlen(end) + 1);
	}
	return text;
}

static size_t used(struct world *w)
{
	size_t blocks;

	siommu_machine_used(w->machine, NULL, &blocks);
	return blocks;
}

static void begin(struct world *w)
{
	struct siommu_machine_params params = {
		.size = sizeof(params),
		.test_interface = true,
		.log = complain,
		.log_arg = w,
		.log_level = 3, /* LOG_ERR */
		.should_fail = should_fail,
		.should_fail_arg = w,
	};

	*w = (struct world){
		.should_fail = should_fail,
		.mem = memory,
		.fault_fd = -1,
		.veventq_fd = -1,
		.access_fd = -1,
		.dmabuf_fd = -1,
		.vfio_fd = { -1, -1, -1, -1, -1, -1, -1, -1 },
		.out_fd = -1,
	};
	w->memfd = memfd_create("sweep", MFD_CLOEXEC);
	NEED(w, ftruncate(w->memfd, WORLD_BYTES));
	w->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	NEED(w, siommu_machine_create(&params, &w->machine));
}

/* End everything in the world, with @blocks left in its machine at the end. */
static void end(struct world *w, const struct sweep_case *c, unsigned int n, size_t blocks)
{
	unsigned int i;

	if (w->map)
		munmap(w->map, 2 * PAGE);
	if (w->access)
		siommu_access_destroy(w->access);
	for (i = 0; w->domain && i < 2; i++)
		siommu_domain_remove(w->domain, w->bound[i]);
	siommu_domain_destroy(w->domain);
	for (i = 0; i < 3; i++)
		if (w->bound[i])
			siommu_device_unbind(w->bound[i]);
	siommu_port_destroy(w->port);
	/* Newest first, so that what a descriptor came from outlives it. */
	for (i = 8; i--;)
		if (w->vfio_fd[i] >= 0)
			(void)siommu_vfio_close(w->machine, w->vfio_fd[i]);
	for (i = 0; i < 2; i++)
		siommu_pci_destroy(w->pci[i]);
	for (i = 0; i < 3; i++)
		siommu_device_destroy(w->dev[i]);
	siommu_unit_destroy(w->unit);
	siommu_close(w->ctx);
	if (used(w) > blocks + MAX_KEPT)
		fail(c, n, "blocks left at the end", (long)used(w), (long)blocks);
	siommu_machine_destroy(w->machine);
	close(w->null_fd);
	close(w->memfd);
	if (w->complaints)
		fail(c, n, "error messages", w->complaints, 0);
}

static int call(struct world *w, const struct sweep_case *c, unsigned int n)
{
	int rc;

	w->failed = false;
	w->fail_in = n;
	rc = c->call(w);
	w->fail_in = 0;
	return rc;
}

/* The tree and the descriptors are as before. */
static void check_state(struct world *w, const struct sweep_case *c, unsigned int n,
			const char *before, long fds)
{
	char *after = digest(w);

	if (strcmp(before, after)) {
		fail(c, n, "the state has changed", 1, 0);
		printf("# before:\n%s# after:\n%s", before, after);
	}
	free(after);
	if (count_fds() != fds)
		fail(c, n, "open descriptors", count_fds(), fds);
}

/* No memory is left of a call that failed, but in caches. Return: of the last try. */
static int check_memory(struct world *w, const struct sweep_case *c, unsigned int n, size_t blocks)
{
	size_t now = used(w), then = blocks;
	unsigned int tries;
	int rc = -ENOMEM;

	/* With a warmer cache it may succeed, and that is the end of it. */
	for (tries = 0; now != then && rc == -ENOMEM && tries < 2 * MAX_CACHED; tries++) {
		then = now;
		rc = call(w, c, n);
		now = used(w);
	}
	if (rc == -ENOMEM && now > blocks + MAX_CACHED)
		fail(c, n, "blocks after the failure", (long)now, (long)blocks);
	return rc;
}

/* Make the @n-th allocation of the call fail. Return: true if it has that many. */
static bool sweep_one(const struct sweep_case *c, unsigned int n)
{
	long fds_before = count_fds(), fds;
	size_t blocks, empty;
	struct world w;
	char *before;
	bool failed;
	int rc;

	begin(&w);
	empty = used(&w);
	c->setup(&w);
	before = digest(&w);
	blocks = used(&w);
	fds = count_fds();
	rc = call(&w, c, n);
	failed = w.failed;
	if (failed && !(c->flags & SWEEP_SUCCEEDS)) {
		if (rc != -ENOMEM)
			fail(c, n, "result", rc, -ENOMEM);
		if (!(c->flags & SWEEP_CHANGES)) {
			check_state(&w, c, n, before, fds);
			rc = check_memory(&w, c, n, blocks);
		}
		if (rc == -ENOMEM)
			rc = call(&w, c, 0);
	}
	if (rc < 0)
		fail(c, n, failed ? "result of trying again" : "result", rc, 0);
	free(before);
	end(&w, c, n, empty);
	if (count_fds() != fds_before)
		fail(c, n, "open descriptors at the end", count_fds(), fds_before);
	return failed;
}

static void sweep_case(const struct sweep_case *c, unsigned int number)
{
	unsigned int bad_before = bad, n = 1;

	while (sweep_one(c, n) && n < 1000)
		n++;
	if (n > 1 && (c->flags & SWEEP_NO_ALLOC))
		fail(c, n, "allocations", n - 1, 0);
	printf("%sok %u - %s: %u allocation%s%s\n", bad == bad_before ? "" : "not ", number,
	       c->name, n - 1, n == 2 ? "" : "s",
	       c->flags & SWEEP_NO_ALLOC ? ", as it must" : "");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct sweep_case *const tables[] = {
		sweep_ioas_cases, sweep_hwpt_cases, sweep_viommu_cases,
		sweep_test_cases, sweep_vfio_cases, sweep_api_cases, sweep_dma_cases,
		sweep_legacy_cases, sweep_cdev_cases, sweep_pci_cases, sweep_uapi2020_cases,
		sweep_nesting_cases,
	};
	const struct sweep_case *c;
	unsigned int i, number = 0;

	memory = mmap(NULL, 2 * WORLD_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return EXIT_FAILURE;
	memory = (char *)(((uintptr_t)memory + WORLD_BYTES - 1) & ~(WORLD_BYTES - 1));
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (c = tables[i]; c->name; c++)
			if (argc < 2 || strstr(c->name, argv[1]))
				sweep_case(c, ++number);
	printf("1..%u\n", number);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
