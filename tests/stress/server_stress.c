// SPDX-License-Identifier: MIT
/*
 * Processes that share one context of a server, while others are killed.
 *
 * usage: softiommu run --iommu mock -- server_stress [SECONDS] [SEED]
 *
 * The descriptor of one context is inherited by two processes, which hammer it
 * from several threads each, and by a third that does the same, and the like in
 * contexts of its own, until it is killed, at any moment, and started again.
 *
 * What must hold: the survivors see only errors that objects which come and go
 * explain; everything that only the killed ones had is gone within a second of
 * the last kill - their contexts, their descriptors, and with these what kept
 * objects of the shared context from being destroyed.
 *
 * This program knows nothing of softiommu but its environment variables, by
 * which it asks for the server's own view at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd-test.h>
#include <softiommu/abi/iommufd.h>

#define KIB  ((uint64_t)1 << 10)
#define MIB  ((uint64_t)1 << 20)
#define PAGE (4 * KIB)
#define IOVA ((uint64_t)MOCK_APERTURE_START)

#define NTHREADS   3
#define NSURVIVORS 2
#define NIOAS	   2

/* No victim lives longer than this, in us. */
#define MAX_LIFE 60000

/* Ids that can be in use: the context's objects are short-lived. */
#define MAX_ID 4096

static int shared;
static uint32_t ioas[NIOAS];
static uint32_t stdev, idev;
static char *memory;
static int memfd;
static bool victim;
static atomic_bool stop;
static atomic_ulong good, bad;
static atomic_uint *problems; /* of all processes */

/* One thread: its random numbers, and the context it works on at the moment. */
struct worker {
	pthread_t thread;
	uint64_t state;
	int fd;
	uint32_t ioas[NIOAS];
	uint32_t idev;
};

static uint32_t pick(struct worker *w, uint32_t n)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return (uint32_t)((w->state * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static void problem(const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(problems, 1) > 20)
		return;
	va_start(ap, fmt);
	printf("# %s", victim ? "victim: " : "");
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
}

/* Count a result, 0 or an errno, which may be one of a list that ends with 0. */
static int expect(const char *what, int err, const int *allowed)
{
	if (!err) {
		atomic_fetch_add(&good, 1);
		return 0;
	}
	atomic_fetch_add(&bad, 1);
	for (; *allowed; allowed++)
		if (err == *allowed)
			return err;
	problem("%s: %s", what, strerror(err));
	/* The server is gone, and nothing that follows means anything. */
	if (err == EIO)
		_exit(EXIT_FAILURE);
	return err;
}

#define EXPECT(err, ...) expect(#err, err, (const int[]){ __VA_ARGS__, 0 })

static int call(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? errno : 0;
}

static int test_cmd(int fd, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return call(fd, IOMMU_TEST_CMD, cmd);
}

static int destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return call(fd, IOMMU_DESTROY, &cmd);
}

static uint64_t some_iova(struct worker *w)
{
	return IOVA + pick(w, 64) * 16 * KIB;
}

static uint32_t some_ioas(struct worker *w)
{
	return w->ioas[pick(w, NIOAS)];
}

/* --- mapping --- */

static int map(struct worker *w)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = some_ioas(w),
		.user_va = (uintptr_t)memory + pick(w, 64) * 16 * KIB,
		.length = (1 + pick(w, 16)) * PAGE,
		.iova = some_iova(w),
	};

	return call(w->fd, IOMMU_IOAS_MAP, &cmd);
}

static int map_file(struct worker *w)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = some_ioas(w),
		.fd = memfd,
		.start = pick(w, 64) * PAGE,
		.length = (1 + pick(w, 16)) * PAGE,
		.iova = some_iova(w),
	};

	return call(w->fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

static int copy(struct worker *w)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = some_ioas(w),
		.src_ioas_id = some_ioas(w),
		.length = (1 + pick(w, 4)) * PAGE,
		.dst_iova = some_iova(w),
		.src_iova = some_iova(w),
	};

	return call(w->fd, IOMMU_IOAS_COPY, &cmd);
}

static int unmap(int fd, uint32_t id, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = id,
		.iova = iova,
		.length = length,
	};

	return call(fd, IOMMU_IOAS_UNMAP, &cmd);
}

/* EFAULT: a copy of what a process mapped that is no more. */
static void turn_map(struct worker *w)
{
	switch (pick(w, 8)) {
	case 0:
	case 1:
	case 2:
		EXPECT(map(w), EEXIST);
		break;
	case 3:
		EXPECT(map_file(w), EEXIST);
		break;
	case 4:
		EXPECT(copy(w), EEXIST, ENOENT, EINVAL, EFAULT);
		break;
	case 7:
		EXPECT(unmap(w->fd, some_ioas(w), 0, UINT64_MAX), ENOENT);
		break;
	default:
		EXPECT(unmap(w->fd, some_ioas(w), some_iova(w), 64 * KIB), ENOENT);
		break;
	}
}

/* --- objects, with and without descriptors --- */

static void turn_objects(struct worker *w)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.dev_id = w->idev,
		.pt_id = some_ioas(w),
	};

	if (!EXPECT(call(w->fd, IOMMU_IOAS_ALLOC, &alloc), ENOMEM))
		EXPECT(destroy(w->fd, alloc.out_ioas_id), ENOENT, EBUSY);
	/* EFAULT: memory of a process that is no more is mapped. */
	if (!EXPECT(call(w->fd, IOMMU_HWPT_ALLOC, &hwpt), EFAULT, EADDRINUSE))
		EXPECT(destroy(w->fd, hwpt.out_hwpt_id), ENOENT, EBUSY);
}

static void turn_device(struct worker *w)
{
	struct iommu_test_cmd dev = { .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = some_ioas(w) };
	struct iommu_test_cmd replace = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE };

	if (EXPECT(test_cmd(w->fd, &dev), EFAULT, EADDRINUSE))
		return;
	replace.id = dev.mock_domain.out_stdev_id;
	replace.mock_domain_replace.pt_id = some_ioas(w);
	EXPECT(test_cmd(w->fd, &replace), EFAULT, EADDRINUSE, ENOENT);
	EXPECT(destroy(w->fd, dev.mock_domain.out_stdev_id), ENOENT, EBUSY);
}

/* What victims have when they are killed: the queue must not stay open. */
static void turn_fault(struct worker *w)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = w->idev,
		.pt_id = some_ioas(w),
	};
	struct iommu_hwpt_pgfault record;

	if (EXPECT(call(w->fd, IOMMU_FAULT_QUEUE_ALLOC, &fault), ENOMEM))
		return;
	hwpt.fault_id = fault.out_fault_id;
	if (!EXPECT(call(w->fd, IOMMU_HWPT_ALLOC, &hwpt), EFAULT, EADDRINUSE))
		EXPECT(destroy(w->fd, hwpt.out_hwpt_id), ENOENT, EBUSY);
	if (read((int)fault.out_fault_fd, &record, sizeof(record)) != 0)
		problem("a read of a queue without faults: %s", strerror(errno));
	close((int)fault.out_fault_fd);
	EXPECT(destroy(w->fd, fault.out_fault_id), ENOENT, EBUSY);
}

static void turn_access(struct worker *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = some_ioas(w),
		.create_access = { .flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES },
	};
	char buf[256];
	uint32_t fd;
	int i;

	if (EXPECT(test_cmd(w->fd, &cmd), ENOMEM))
		return;
	fd = cmd.create_access.out_access_fd;
	for (i = 0; i < 4; i++) {
		cmd = (struct iommu_test_cmd){
			.op = IOMMU_TEST_OP_ACCESS_PAGES,
			.id = fd,
			.access_pages = { .iova = some_iova(w), .length = PAGE },
		};
		EXPECT(test_cmd(w->fd, &cmd), ENOENT, EINVAL, EFAULT);
		cmd = (struct iommu_test_cmd){
			.op = IOMMU_TEST_OP_ACCESS_RW,
			.id = fd,
			.access_rw = {
				.iova = some_iova(w),
				.length = sizeof(buf),
				.uptr = (uintptr_t)buf,
			},
		};
		EXPECT(test_cmd(w->fd, &cmd), ENOENT, EINVAL, EFAULT);
	}
	close((int)fd);
}

static void turn(struct worker *w)
{
	static void (*const turns[])(struct worker *) = {
		turn_map, turn_map, turn_map, turn_objects, turn_device, turn_fault, turn_access,
	};

	turns[pick(w, sizeof(turns) / sizeof(turns[0]))](w);
}

static void *survive(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop))
		turn(w);
	return NULL;
}

/* --- contexts --- */

/* Make what every thread needs in a context. Return: 0, or an errno. */
static int populate(int fd, uint32_t ids[NIOAS], uint32_t *st, uint32_t *dev)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	int i, err;

	for (i = 0; i < NIOAS; i++) {
		err = call(fd, IOMMU_IOAS_ALLOC, &alloc);
		if (err)
			return err;
		ids[i] = alloc.out_ioas_id;
	}
	cmd.id = ids[0];
	err = test_cmd(fd, &cmd);
	*st = cmd.mock_domain.out_stdev_id;
	*dev = cmd.mock_domain.out_idev_id;
	return err;
}

static void use_shared(struct worker *w)
{
	w->fd = shared;
	memcpy(w->ioas, ioas, sizeof(ioas));
	w->idev = idev;
}

/* Contexts of its own, and the shared one in between, until the end. */
static void *die(void *arg)
{
	struct worker *w = arg;
	uint32_t st;
	int i, err;

	for (;;) {
		use_shared(w);
		for (i = 0; i < 20; i++)
			turn(w);
		w->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		if (w->fd < 0) {
			problem("open: %s", strerror(errno));
			continue;
		}
		err = populate(w->fd, w->ioas, &st, &w->idev);
		if (err)
			problem("populate: %s", strerror(err));
		for (i = 0; i < 20; i++)
			turn(w);
		close(w->fd);
	}
	return NULL;
}

static void start(struct worker *w, uint64_t seed, void *(*fn)(void *))
{
	int i;

	for (i = 0; i < NTHREADS; i++) {
		w[i].state = seed * 100 + (uint64_t)i + 1;
		use_shared(&w[i]);
		if (pthread_create(&w[i].thread, NULL, fn, &w[i]))
			exit(EXIT_FAILURE);
	}
}

/* --- processes --- */

static pid_t new_survivor(unsigned int number, uint64_t seed, unsigned int seconds)
{
	struct worker w[NTHREADS];
	pid_t pid = fork();
	int i;

	if (pid)
		return pid;
	start(w, seed, survive);
	sleep(seconds);
	atomic_store(&stop, true);
	for (i = 0; i < NTHREADS; i++)
		pthread_join(w[i].thread, NULL);
	printf("# survivor %u: %lu calls succeeded, %lu failed as they may\n", number, good, bad);
	fflush(stdout);
	if (!good)
		problem("nothing succeeded");
	_exit(*problems ? EXIT_FAILURE : EXIT_SUCCESS);
}

static pid_t new_victim(uint64_t seed)
{
	struct worker w[NTHREADS];
	pid_t pid = fork();

	if (pid)
		return pid;
	victim = true;
	start(w, seed, die);
	for (;;)
		pause();
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Kill and start again, until the time has come. Return: how many were killed. */
static unsigned int kill_victims(struct worker *w, unsigned int seconds)
{
	double until = now() + seconds, said = now();
	unsigned int n = 0;
	int status;

	while (now() < until && !*problems) {
		pid_t pid = new_victim(w->state + n);

		usleep(1000 + pick(w, MAX_LIFE));
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
		    WTERMSIG(status) != SIGKILL)
			problem("victim %u ended by itself: %#x", n, (unsigned int)status);
		n++;
		if (now() - said > 5) {
			said = now();
			fprintf(stderr, "server_stress: %u killed, %.0f s to go\n", n,
				until - now());
		}
	}
	return n;
}

/* --- the end --- */

/* The first line of the server's own view: how many contexts, how many others. */
static bool ask_server(unsigned int *contexts, unsigned int *others)
{
	const char *program = getenv("SOFTIOMMU");
	char command[4096];
	bool ok;
	FILE *f;

	/* A client itself it must not be: that would be counted. */
	snprintf(command, sizeof(command), "LD_PRELOAD= '%s' show", program);
	f = popen(command, "r");
	ok = f && fscanf(f, "%u contexts, %u other", contexts, others) == 2;
	while (f && fgets(command, sizeof(command), f))
		;
	if (f)
		pclose(f);
	return ok;
}

static void check_server(void)
{
	unsigned int contexts = 0, others = 0;
	double until = now() + 1;

	if (!getenv("SOFTIOMMU")) {
		printf("ok 2 # SKIP SOFTIOMMU does not name the command\n");
		return;
	}
	do {
		if (!ask_server(&contexts, &others))
			problem("the server does not answer");
	} while ((contexts != 1 || others) && now() < until);
	printf("%sok 2 - a second after the last kill there are %u contexts and %u other "
	       "descriptors\n",
	       contexts == 1 && !others ? "" : "not ", contexts, others);
	if (contexts != 1 || others)
		problem("the server keeps what victims had");
}

/* One round over all ids. Return: how many objects are left. */
static unsigned int destroy_all(void)
{
	unsigned int left = 0;
	uint32_t id;

	for (id = 1; id < MAX_ID; id++)
		if (destroy(shared, id) == EBUSY)
			left++;
	return left;
}

/* Nothing but references among themselves may keep the shared context's objects. */
static void check_objects(void)
{
	unsigned int left, i, rounds = 0;
	double until = now() + 1;
	int err;

	for (i = 0; i < NIOAS; i++) {
		err = unmap(shared, ioas[i], 0, UINT64_MAX);
		if (err && err != ENOENT)
			problem("unmapping what is left: %s", strerror(err));
	}
	/* Devices keep page tables, these keep address spaces: some rounds. */
	do {
		left = destroy_all();
		rounds++;
	} while (left && (rounds < 5 || now() < until));
	printf("%sok 3 - every object of the shared context can be destroyed: %u are left\n",
	       left ? "not " : "", left);
	if (left)
		problem("something keeps objects");
}

static void begin(void)
{
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	problems = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (shared < 0) {
		printf("1..0 # SKIP no /dev/iommu: run it under softiommu run --iommu mock\n");
		exit(77);
	}
	err = populate(shared, ioas, &stdev, &idev);
	memory = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memfd = memfd_create("stress", MFD_CLOEXEC);
	if (err || problems == MAP_FAILED || memory == MAP_FAILED || memfd < 0 ||
	    ftruncate(memfd, 4 * MIB)) {
		printf("Bail out! no context: %s\n", strerror(err ? err : errno));
		exit(EXIT_FAILURE);
	}
	memset(memory, 1, 4 * MIB);
}

int main(int argc, char **argv)
{
	const char *env = getenv("SOFTIOMMU_STRESS_SECONDS");
	unsigned int seconds = (unsigned int)atoi(argc > 1 ? argv[1] : env ? env : "30");
	struct worker w = { .state = argc > 2 ? strtoull(argv[2], NULL, 0) * 2 + 1 : 1 };
	pid_t survivors[NSURVIVORS];
	unsigned int i, killed, failed = 0;
	int status;

	begin();
	printf("1..3\n");
	for (i = 0; i < NSURVIVORS; i++)
		survivors[i] = new_survivor(i, w.state + i, seconds);
	killed = kill_victims(&w, seconds);
	for (i = 0; i < NSURVIVORS; i++)
		if (waitpid(survivors[i], &status, 0) != survivors[i] || status)
			failed++;
	printf("%sok 1 - two processes go on while a third is killed %u times in %u s\n",
	       failed || *problems ? "not " : "", killed, seconds);
	check_server();
	check_objects();
	return failed || *problems ? EXIT_FAILURE : EXIT_SUCCESS;
}
