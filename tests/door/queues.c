// SPDX-License-Identifier: MIT
/*
 * Descriptors that calls return: reading, writing, and waiting for them by
 * poll, select and epoll, which no library can interpose.
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <time.h>

#include "door.h"

#define FAULT_BYTES sizeof(struct iommu_hwpt_pgfault)

static short poll_now(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	CHECK(poll(&pfd, 1, 0) >= 0);
	return pfd.revents;
}

TEST(poll_says_readable_exactly_while_something_is_queued)
{
	struct queue q = make_queue();
	int i;

	CHECK(poll_now(q.fd) == POLLOUT);
	for (i = 0; i < 50; i++) {
		CHECK(!cause_fault(&q));
		CHECK(poll_now(q.fd) == (POLLIN | POLLOUT));
		CHECK(!cause_fault(&q));
		CHECK(poll_now(q.fd) == (POLLIN | POLLOUT));
		CHECK(take_fault(q.fd) == 1);
		CHECK(poll_now(q.fd) == (POLLIN | POLLOUT));
		CHECK(take_fault(q.fd) == 1);
		CHECK(poll_now(q.fd) == POLLOUT);
	}
}

TEST(select_and_epoll_agree_with_poll)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct timeval zero = { 0, 0 };
	struct queue q = make_queue();
	int ep = epoll_create1(0), edge = epoll_create1(0);
	fd_set in;

	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, q.fd, &ev));
	ev.events = EPOLLIN | EPOLLET;
	CHECK(!epoll_ctl(edge, EPOLL_CTL_ADD, q.fd, &ev));
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	CHECK(!cause_fault(&q));
	CHECK(epoll_wait(ep, &ev, 1, 1000) == 1);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 1);
	CHECK(epoll_wait(edge, &ev, 1, 0) == 1);
	CHECK(epoll_wait(edge, &ev, 1, 0) == 0);
	FD_ZERO(&in);
	FD_SET(q.fd, &in);
	CHECK(select(q.fd + 1, &in, NULL, NULL, &zero) == 1);
	CHECK(take_fault(q.fd) == 1);
	CHECK(select(q.fd + 1, &in, NULL, NULL, &zero) == 0);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	CHECK(!cause_fault(&q));
	CHECK(epoll_wait(edge, &ev, 1, 0) == 1);
}

static void *fault_later(void *arg)
{
	usleep(50000);
	CHECK(!cause_fault(arg));
	return NULL;
}

TEST(poll_wakes_up)
{
	struct queue q = make_queue();
	struct pollfd pfd = { .fd = q.fd, .events = POLLIN };
	pthread_t thread;
	int i;

	for (i = 0; i < 5; i++) {
		CHECK(!pthread_create(&thread, NULL, fault_later, &q));
		CHECK(poll(&pfd, 1, 5000) == 1);
		CHECK(take_fault(q.fd) == 1);
		pthread_join(thread, NULL);
	}
}

TEST(read_of_an_empty_queue_returns_at_once)
{
	struct iommu_hwpt_pgfault fault;
	struct queue q = make_queue();

	CHECK(read(q.fd, &fault, sizeof(fault)) == 0);
	CHECK(!fcntl(q.fd, F_SETFL, O_RDWR | O_NONBLOCK));
	CHECK(read(q.fd, &fault, sizeof(fault)) == 0);
	CHECK(fcntl(q.fd, F_GETFL) & O_NONBLOCK);
}

TEST(read_gives_whole_records)
{
	struct iommu_hwpt_pgfault faults[4];
	struct queue q = make_queue();

	CHECK(!cause_fault(&q) && !cause_fault(&q) && !cause_fault(&q));
	CHECK_ERRNO(ESPIPE, read(q.fd, faults, FAULT_BYTES + 1));
	CHECK(read(q.fd, faults, 2 * FAULT_BYTES) == 2 * FAULT_BYTES);
	CHECK(read(q.fd, faults, 4 * FAULT_BYTES) == FAULT_BYTES);
	CHECK(poll_now(q.fd) == POLLOUT);
}

TEST(bad_pointers_are_efault)
{
	struct queue q = make_queue();

	CHECK(!cause_fault(&q));
	CHECK_ERRNO(EFAULT, read(q.fd, (void *)8, FAULT_BYTES));
	CHECK_ERRNO(EFAULT, write(q.fd, (void *)8, sizeof(struct iommu_hwpt_page_response)));
	CHECK(poll_now(q.fd) == (POLLIN | POLLOUT));
}

TEST(vectors_and_positions)
{
	struct iommu_hwpt_pgfault a, b;
	struct iovec iov[2] = { { &a, sizeof(a) }, { &b, sizeof(b) } };
	struct queue q = make_queue();

	CHECK(!cause_fault(&q) && !cause_fault(&q));
	CHECK(readv(q.fd, iov, 2) == 2 * FAULT_BYTES);
	CHECK(a.cookie != b.cookie);
	CHECK(readv(q.fd, iov, 2) == 0);
	CHECK_ERRNO(EINVAL, readv(q.fd, iov, IOV_MAX + 1));
	CHECK(!cause_fault(&q));
	CHECK(preadv2(q.fd, iov, 1, -1, 0) == FAULT_BYTES);
	CHECK_ERRNO(ESPIPE, pread(q.fd, &a, sizeof(a), 0));
	CHECK_ERRNO(ESPIPE, pwrite(q.fd, &a, sizeof(a), 0));
	CHECK_ERRNO(ESPIPE, preadv(q.fd, iov, 2, 0));
	CHECK_ERRNO(EINVAL, pread(q.fd, &a, sizeof(a), -1));
}

TEST(fortified_read)
{
	struct iommu_hwpt_pgfault fault;
	struct queue q = make_queue();
	volatile size_t n = sizeof(fault);

	/* With a size that the compiler cannot see this is __read_chk. */
	CHECK(!cause_fault(&q));
	CHECK(read(q.fd, &fault, n) == FAULT_BYTES);
}

TEST(access_cannot_be_read)
{
	int fd = open_iommu(), access = create_access(fd, ioas_alloc(fd));
	char byte;

	CHECK_ERRNO(EINVAL, read(access, &byte, 1));
	CHECK_ERRNO(EINVAL, write(access, &byte, 1));
	CHECK_ERRNO(EINVAL, read(fd, &byte, 1));
	CHECK_ERRNO(EINVAL, write(fd, &byte, 1));
}

TEST(context_polls_ready)
{
	int fd = open_iommu();

	CHECK(poll_now(fd) == (POLLIN | POLLOUT));
}

TEST(events_and_readers_in_two_processes)
{
	struct queue q = make_queue();
	struct pollfd pfd = { .fd = q.fd, .events = POLLIN };
	int i, taken = 0;
	pid_t pid;

	pid = fork();
	if (!pid) {
		for (i = 0; i < 500; i++)
			CHECK(!cause_fault(&q));
		_exit(0);
	}
	while (taken < 500) {
		/* A wake-up that is lost shows here. */
		CHECK(poll(&pfd, 1, 5000) == 1);
		CHECK(take_fault(q.fd) == 1);
		taken++;
	}
	CHECK(!wait_for(pid));
	CHECK(poll_now(q.fd) == POLLOUT);
}

TEST(reader_killed_leaves_no_stale_readiness)
{
	struct iommu_hwpt_pgfault fault;
	struct queue q = make_queue();
	int i;

	for (i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (!pid)
			for (;;)
				(void)!read(q.fd, &fault, sizeof(fault));
		CHECK(!cause_fault(&q));
		usleep(i * 100);
		kill(pid, SIGKILL);
		CHECK(wait_for(pid) == 256 + SIGKILL);
		/* It has taken the fault or not; poll and read agree. */
		CHECK(((poll_now(q.fd) & POLLIN) != 0) ==
		      (read(q.fd, &fault, sizeof(fault)) == sizeof(fault)));
	}
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
