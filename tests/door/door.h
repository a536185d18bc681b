/* SPDX-License-Identifier: MIT */
/*
 * The harness of the tests that run as clients of a server, and the calls that
 * they make.
 *
 * TEST(name) { ... } registers itself. Each test runs in a process of its own,
 * which is killed if it takes too long; CHECK() ends it when something is not
 * so. Tests know nothing of the preload library but ask the server, over its
 * own protocol, how much it holds.
 */
#ifndef TESTS_DOOR_H
#define TESTS_DOOR_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd-test.h>
#include <softiommu/abi/iommufd.h>

#include "server/proto.h"

#define DOOR_MAX_TESTS 64
#define DOOR_SECONDS   30
#define DOOR_SKIPPED   77

struct door_test {
	const char *name;
	void (*fn)(void);
};

static struct door_test door_tests[DOOR_MAX_TESTS];
static unsigned int door_ntests;

#define TEST(test_name)                                                                            \
	static void test_name(void);                                                               \
	static __attribute__((constructor)) void door_add_##test_name(void)                        \
	{                                                                                          \
		door_tests[door_ntests++] = (struct door_test){ #test_name, test_name };           \
	}                                                                                          \
	static void test_name(void)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("# %s:%d: %s (errno %s)\n", __FILE__, __LINE__, #cond,              \
			       strerrorname_np(errno));                                            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* @expr fails, with this errno. */
#define CHECK_ERRNO(expected, expr)                                                                \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK((long)(expr) == -1 && errno == (expected));                                  \
	} while (0)

#define SKIP(reason)                                                                               \
	do {                                                                                       \
		printf("# SKIP %s\n", reason);                                                     \
		_exit(DOOR_SKIPPED);                                                               \
	} while (0)

/* Tests use SIGALRM themselves, so this is no alarm(). */
static inline void limit_time(void)
{
	struct sigevent kill_us = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec once = { .it_value = { .tv_sec = DOOR_SECONDS } };
	timer_t timer;

	if (!timer_create(CLOCK_MONOTONIC, &kill_us, &timer))
		timer_settime(timer, 0, &once, NULL);
}

/* Wait for a child; its exit status, or 256 and the signal that killed it. */
static inline int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Return: the test did not fail. */
static inline bool run_test(const struct door_test *test, unsigned int number)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		limit_time();
		test->fn();
		_exit(0);
	}
	status = wait_for(pid);
	printf("%sok %u - %s%s\n", status && status != DOOR_SKIPPED ? "not " : "", number,
	       test->name, status == DOOR_SKIPPED ? " # SKIP see above" : "");
	if (status >= 256)
		printf("# killed by signal %d\n", status - 256);
	return !status || status == DOOR_SKIPPED;
}

static inline int door_main(int argc, char **argv)
{
	unsigned int i, failed = 0;

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("1..%u\n", door_ntests);
	for (i = 0; i < door_ntests; i++)
		if (argc < 2 || strstr(door_tests[i].name, argv[1]))
			failed += !run_test(&door_tests[i], i + 1);
	return failed != 0;
}

/*
 * Calls
 */

static inline int open_iommu(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static inline uint32_t ioas_alloc(int fd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	CHECK(!ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	return cmd.out_ioas_id;
}

static inline int destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl(fd, IOMMU_DESTROY, &cmd);
}

static inline int ioas_map(int fd, uint32_t ioas, void *va, size_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return ioctl(fd, IOMMU_IOAS_MAP, &cmd);
}

static inline int mock_domain(int fd, uint32_t pt_id, uint32_t *stdev, uint32_t *idev)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = pt_id,
	};
	int ret = ioctl(fd, IOMMU_TEST_CMD, &cmd);

	if (stdev)
		*stdev = cmd.mock_domain.out_stdev_id;
	if (idev)
		*idev = cmd.mock_domain.out_idev_id;
	return ret;
}

/* An access to an IOAS: a descriptor that a call returns. */
static inline int create_access(int fd, uint32_t ioas)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = ioas,
	};

	CHECK(!ioctl(fd, IOMMU_TEST_CMD, &cmd));
	return (int)cmd.create_access.out_access_fd;
}

/* Read @n bytes at @iova through an access. */
static inline int access_read(int fd, int access, uint64_t iova, void *buf, size_t n)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = (uint32_t)access,
		.access_rw = { .iova = iova, .length = n, .uptr = (uintptr_t)buf },
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd);
}

/**
 * struct queue - a fault queue and a device that can cause faults
 * @iommu: the context
 * @fd: the queue's descriptor
 * @id: its object
 * @dev: the device
 */
struct queue {
	int iommu;
	int fd;
	uint32_t id;
	uint32_t dev;
};

static inline struct queue make_queue(void)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
	};
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	struct iommu_test_cmd move = {
		.size = sizeof(move),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
	};
	struct queue q = { .iommu = open_iommu() };

	parent.pt_id = ioas_alloc(q.iommu);
	CHECK(!mock_domain(q.iommu, parent.pt_id, &move.id, &q.dev));
	CHECK(!ioctl(q.iommu, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	parent.dev_id = q.dev;
	CHECK(!ioctl(q.iommu, IOMMU_HWPT_ALLOC, &parent));
	nested.dev_id = q.dev;
	nested.pt_id = parent.out_hwpt_id;
	nested.fault_id = fault.out_fault_id;
	CHECK(!ioctl(q.iommu, IOMMU_HWPT_ALLOC, &nested));
	move.mock_domain_replace.pt_id = nested.out_hwpt_id;
	CHECK(!ioctl(q.iommu, IOMMU_TEST_CMD, &move));
	q.fd = (int)fault.out_fault_fd;
	q.id = fault.out_fault_id;
	return q;
}

/* The device asks for a page: the queue has something to read. */
static inline int cause_fault(const struct queue *q)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = { .dev_id = q->dev, .grpid = 1, .perm = IOMMU_PGFAULT_PERM_READ },
	};

	return ioctl(q->iommu, IOMMU_TEST_CMD, &cmd);
}

/* Read one fault and answer it. */
static inline int take_fault(int fd)
{
	struct iommu_hwpt_page_response answer = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct iommu_hwpt_pgfault fault;
	ssize_t n = read(fd, &fault, sizeof(fault));

	if (n != sizeof(fault))
		return (int)n;
	answer.cookie = fault.cookie;
	return write(fd, &answer, sizeof(answer)) == sizeof(answer) ? 1 : -1;
}

/*
 * The server, as itself
 */

static inline int connect_server(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	CHECK(getenv(DOOR_SOCKET_ENV));
	strncpy(addr.sun_path, getenv(DOOR_SOCKET_ENV), sizeof(addr.sun_path) - 1);
	CHECK(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	return fd;
}

struct counts {
	uint64_t contexts;
	uint64_t files;
	uint64_t clients;
	uint64_t bytes;
};

static inline struct counts count(void)
{
	struct door_call call = { .op = DOOR_COUNT };
	struct door_reply reply;
	int fd = connect_server();

	CHECK(send(fd, &call, sizeof(call), 0) == sizeof(call));
	CHECK(recv(fd, &reply, sizeof(reply), 0) == sizeof(reply));
	close(fd);
	return (struct counts){ reply.v[0], reply.v[1], reply.v[2], reply.v[3] };
}

/* What the server holds for a process that is a client and has nothing. */
static inline struct counts baseline(void)
{
	close(open_iommu());
	return count();
}

/* Within a second the server holds as much as it did at @before. */
static inline bool is_back_to(const struct counts *before)
{
	struct counts now;
	int i;

	for (i = 0; i < 100; i++) {
		now = count();
		if (now.contexts == before->contexts && now.files == before->files &&
		    now.bytes == before->bytes)
			return true;
		usleep(10000);
	}
	printf("# contexts %lu (was %lu), files %lu (%lu), bytes %lu (%lu)\n", now.contexts,
	       before->contexts, now.files, before->files, now.bytes, before->bytes);
	return false;
}

/* A channel made by hand, for the tests that misuse it. */
static inline long call_raw(int sock, const struct door_call *call, struct door_reply *reply)
{
	CHECK(send(sock, call, sizeof(*call), MSG_NOSIGNAL) == sizeof(*call));
	if (recv(sock, reply, sizeof(*reply), 0) != sizeof(*reply))
		return -EIO;
	return (long)reply->result;
}

#endif
