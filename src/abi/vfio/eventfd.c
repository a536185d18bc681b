// SPDX-License-Identifier: MIT
/*
 * Eventfds of programs: taking them, writing to them, and reading them.
 *
 * A write to an eventfd whose count is at its maximum waits until somebody reads it, and
 * whoever interrupts must never wait for a program. O_NONBLOCK would be the program's
 * own flag too, and to look with poll() first leaves a gap in which the program can fill
 * the count. But the kernel has a way of its own that never waits: an asynchronous
 * request may name an eventfd that is signalled when it ends. So a signal here is a
 * request that reads nothing. Where a system has no asynchronous requests left, or none at
 * all, it is poll() and write().
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/aio_abi.h>

#include "vfio.h"

#define REQUESTS 64

/* What the kernel maps at the address that is a context's number. */
struct aio_ring {
	u32 id;
	u32 nr;
	u32 head;
	u32 tail;
};

void vfio_signaller_init(struct vfio_signaller *s)
{
	pthread_mutex_init(&s->lock, NULL);
	s->fd = -1;
	s->ctx = 0;
	s->tried = false;
}

/* Ending a context takes the kernel some milliseconds. */
void vfio_signaller_destroy(struct vfio_signaller *s)
{
	if (s->ctx)
		syscall(SYS_io_destroy, s->ctx);
	if (s->fd >= 0)
		close(s->fd);
	pthread_mutex_destroy(&s->lock);
}

/* With the first signal; not all machines have one. */
static void set_up(struct vfio_signaller *s)
{
	aio_context_t ctx = 0;

	s->tried = true;
	s->fd = memfd_create("vfio-signal", MFD_CLOEXEC);
	if (s->fd >= 0 && !syscall(SYS_io_setup, REQUESTS, &ctx))
		s->ctx = ctx;
}

/* Return: the request was made, and has ended. */
static bool submit_locked(struct vfio_signaller *s, int fd)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (u32)s->fd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (u32)fd,
	};
	struct iocb *requests[] = { &request };
	struct aio_ring *ring = (void *)(uintptr_t)s->ctx;

	/* After a fork the context is not ours, and neither is its ring. */
	if (syscall(SYS_io_submit, s->ctx, 1, requests) != 1)
		return false;
	/* Nobody wants to know how it ended. */
	__atomic_store_n(&ring->head, __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
	return true;
}

static bool submit(struct vfio_signaller *s, int fd)
{
	bool done;

	pthread_mutex_lock(&s->lock);
	if (!s->tried)
		set_up(s);
	done = s->ctx && submit_locked(s, fd);
	pthread_mutex_unlock(&s->lock);
	return done;
}

void vfio_signal(struct vfio_bus *bus, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	static const u64 one = 1;

	if (fd < 0 || submit(&bus->signaller, fd))
		return;
	if (poll(&p, 1, 0) == 1 && p.revents & POLLOUT && write(fd, &one, sizeof(one)) < 0)
		return;
}

bool vfio_eventfd_consume(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	u64 count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };

	if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count))
		return true;
	if (errno != EOPNOTSUPP)
		return false;
	return poll(&p, 1, 0) == 1 && p.revents & POLLIN &&
	       read(fd, &count, sizeof(count)) == sizeof(count);
}

int vfio_take_eventfd(struct siommu_task *task, int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], link[sizeof(eventfd) + 8];
	ssize_t n;
	int own;

	own = task->ops->open_fd(task, fd);
	if (own < 0)
		return own;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	n = readlink(path, link, sizeof(link));
	if (n != sizeof(eventfd) - 1 || memcmp(link, eventfd, (size_t)n)) {
		close(own);
		return -EINVAL;
	}
	return own;
}
