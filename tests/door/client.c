// SPDX-License-Identifier: MIT
/*
 * A small client for tests that are about its process: it opens /dev/iommu,
 * makes something, says "ready", and does one of a few things.
 *
 *	once		ends
 *	hold		waits to be killed
 *	exec PROGRAM..	executes PROGRAM with the context inherited
 *	after-line	waits for a line on stdin, then calls once more and says how it went
 *	orphan		has a child map shared memory, and reads it when the child is gone
 *	undumpable	first forbids that others look into it
 *	hammer		makes, maps, destroys, forks and ends threads until killed
 *	figures		prints the time of a call, beside a bare message round trip
 */
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>

#include "door.h"

static void ready(void)
{
	printf("ready\n");
}

/* Something in every part of the server: mappings, a device, queues. */
static struct queue make_things(void)
{
	void *memory =
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct queue q = make_queue();
	uint32_t ioas = ioas_alloc(q.iommu);

	CHECK(!mock_domain(q.iommu, ioas, NULL, NULL));
	CHECK(!ioas_map(q.iommu, ioas, memory, 1 << 20, MOCK_APERTURE_START));
	create_access(q.iommu, ioas);
	return q;
}

static int after_line(void)
{
	struct queue q = make_things();
	struct pollfd pfd = { .fd = q.fd, .events = POLLIN };
	char line[8];

	ready();
	CHECK(fgets(line, sizeof(line), stdin));
	printf("ioctl %s\n", cause_fault(&q) ? strerrorname_np(errno) : "fine");
	printf("read %s\n", take_fault(q.fd) < 0 ? strerrorname_np(errno) : "fine");
	printf("open %s\n", open("/dev/iommu", O_RDWR) < 0 ? strerrorname_np(errno) : "fine");
	printf("poll %d\n", poll(&pfd, 1, 0));
	return 0;
}

static int orphan(void)
{
	char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = open_iommu(), access;
	uint32_t ioas = ioas_alloc(fd);
	char seen[16] = "";
	pid_t pid;

	CHECK(!mock_domain(fd, ioas, NULL, NULL));
	access = create_access(fd, ioas);
	pid = fork();
	if (!pid)
		_exit(ioas_map(fd, ioas, memory, 65536, MOCK_APERTURE_START));
	CHECK(!wait_for(pid));
	strcpy(memory + 9000, "still here");
	CHECK(!access_read(fd, access, MOCK_APERTURE_START + 9000, seen, sizeof(seen)));
	printf("%s\n", seen);
	CHECK(!munmap(memory, 65536));
	return 0;
}

static void *hammer_thread(void *arg)
{
	struct queue q = make_things();
	int i;

	for (i = 0; i < 20; i++) {
		CHECK(!cause_fault(&q));
		CHECK(take_fault(q.fd) == 1);
		CHECK(!destroy(q.iommu, ioas_alloc(q.iommu)));
	}
	if (!fork())
		_exit(destroy(q.iommu, ioas_alloc(q.iommu)));
	close(q.fd);
	close(q.iommu);
	return arg;
}

static int hammer(void)
{
	pthread_t threads[2];
	int i;

	signal(SIGCHLD, SIG_IGN);
	ready();
	for (;;) {
		for (i = 0; i < 2; i++)
			CHECK(!pthread_create(&threads[i], NULL, hammer_thread, NULL));
		for (i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		closefrom(3);
	}
}

/*
 * Figures
 */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static char shared_word[24];

/* A process that answers messages as the server does, and copies as it does. */
static int bare_server(bool copies)
{
	char buf[sizeof(struct door_call)], word[24];
	struct iovec local = { word, sizeof(word) };
	struct iovec remote = { shared_word, sizeof(shared_word) };
	pid_t parent = getpid();
	int sv[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	if (fork()) {
		close(sv[1]);
		return sv[0];
	}
	close(sv[0]);
	while (recv(sv[1], buf, sizeof(buf), 0) == sizeof(buf)) {
		if (copies) {
			(void)!process_vm_readv(parent, &local, 1, &remote, 1, 0);
			(void)!process_vm_writev(parent, &local, 1, &remote, 1, 0);
		}
		(void)!send(sv[1], buf, sizeof(struct door_reply), 0);
	}
	_exit(0);
}

static void bare_call(int sock)
{
	char buf[sizeof(struct door_call)] = "";

	CHECK(send(sock, buf, sizeof(struct door_call), 0) == sizeof(struct door_call));
	CHECK(recv(sock, buf, sizeof(buf), 0) == sizeof(struct door_reply));
}

static void trivial_call(int fd)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_GET,
	};

	CHECK(!ioctl(fd, IOMMU_OPTION, &cmd));
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define ROUNDS 41
#define CALLS  200

/* All in turn, so that whatever else the machine does hits all alike. */
static int figures(void)
{
	static double times[3][ROUNDS];
	int bare = bare_server(false), copying = bare_server(true), fd = open_iommu();
	int round, i, kind;

	for (round = 0; round < ROUNDS; round++) {
		for (kind = 0; kind < 3; kind++) {
			double begun = now();

			for (i = 0; i < CALLS; i++) {
				if (kind == 2)
					trivial_call(fd);
				else
					bare_call(kind ? copying : bare);
			}
			times[kind][round] = (now() - begun) / CALLS;
		}
	}
	for (kind = 0; kind < 3; kind++)
		qsort(times[kind], ROUNDS, sizeof(double), compare);
	printf("round trip %.2f us, with two copies %.2f us, a call %.2f us, ratio %.2f\n",
	       times[0][ROUNDS / 2], times[1][ROUNDS / 2], times[2][ROUNDS / 2],
	       times[2][ROUNDS / 2] / times[1][ROUNDS / 2]);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IONBF, 0);
	if (!strcmp(what, "after-line"))
		return after_line();
	if (!strcmp(what, "hammer"))
		return hammer();
	if (!strcmp(what, "undumpable")) {
		prctl(PR_SET_DUMPABLE, 0);
		printf("open %s\n",
		       open("/dev/iommu", O_RDWR) < 0 ? strerrorname_np(errno) : "fine");
		return 0;
	}
	if (!strcmp(what, "orphan"))
		return orphan();
	if (!strcmp(what, "figures"))
		return figures();
	if (!strcmp(what, "exec") && argc > 2) {
		CHECK(!fcntl(make_things().iommu, F_SETFD, 0));
		execvp(argv[2], argv + 2);
		return 1;
	}
	make_things();
	ready();
	if (!strcmp(what, "hold"))
		pause();
	return strcmp(what, "once") ? 2 : 0;
}
