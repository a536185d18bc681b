// SPDX-License-Identifier: MIT
/*
 * The functions by which descriptors come and go.
 *
 * The table of known.c follows them. Closing one of ours also waits until the
 * server has seen it, so that what the kernel would free in close() is free
 * when it returns. Our hidden descriptors do not exist for the program: closing
 * them, or duplicating onto them, is EBADF; ranges go around them.
 */
#include <limits.h>
#include <linux/close_range.h>
#include <stdarg.h>
#include <string.h>

#include "raw.h"
#include "real.h"

static inline bool live(void)
{
	return unlikely(atomic_load_explicit(&preload_live, memory_order_relaxed));
}

static long close_plain(int fd)
{
	return real()->close(fd);
}

static long close_raw(int fd)
{
	return raw_close(fd);
}

/* @fd is going to be closed. */
static void before_close(int fd)
{
	enum known_kind kind = known_kind(fd);
	struct known k;

	if (kind == KNOWN_ATTRIBUTE)
		(void)stdio_commit(fd);
	else if (kind == KNOWN_KVM && known_check(fd, &k) == KNOWN_KVM)
		kvm_closed(k.ino);
}

static long close_with(int fd, long (*close_it)(int fd))
{
	enum known_kind kind;
	long ret;

	if (image_is_hidden(fd))
		return -EBADF;
	before_close(fd);
	kind = known_forget(fd);
	ret = close_it(fd);
	if (kind) {
		int saved = errno;

		door_sync();
		errno = saved;
	}
	return ret;
}

long fds_close_raw(int fd)
{
	return close_with(fd, close_raw);
}

PRELOAD_API int close(int fd)
{
	long ret;

	if (!live())
		return real()->close(fd);
	ret = close_with(fd, close_plain);
	return ret < -1 ? (int)preload_return(ret) : (int)ret;
}

/* Close all numbers from @first to @last but hidden ones. Return: 0, or -errno. */
long fds_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	unsigned int from = first, hidden;
	bool sync = false;
	long ret = 0;

	if (first > last)
		return -EINVAL;
	if (!(flags & CLOSE_RANGE_CLOEXEC))
		sync = known_forget_range(first, last);
	while (from <= last && from <= INT_MAX && !ret) {
		hidden = (unsigned int)image_next_hidden((int)from);
		if (hidden > last || hidden == INT_MAX) {
			ret = raw3(SYS_close_range, from, last, flags);
			break;
		}
		if (hidden > from)
			ret = raw3(SYS_close_range, from, hidden - 1, flags);
		from = hidden + 1;
	}
	if (sync)
		door_sync();
	return ret;
}

PRELOAD_API int close_range(unsigned int first, unsigned int last, int flags)
{
	if (!live() && real()->close_range)
		return real()->close_range(first, last, flags);
	return (int)preload_return(fds_close_range(first, last, (unsigned int)flags));
}

PRELOAD_API void closefrom(int low)
{
	if (!live() && real()->closefrom)
		real()->closefrom(low);
	else
		(void)fds_close_range(low < 0 ? 0 : (unsigned int)low, UINT_MAX, 0);
}

/* @to is now another number for what @from is. */
void fds_copied(int from, int to)
{
	if (known_kind(from))
		known_discover(to);
}

/* A dup of any kind onto a number: what that number was is closed first. */
static int dup_onto(int from, int to, long ret, bool was_ours)
{
	int saved = errno;

	if (ret >= 0)
		fds_copied(from, to);
	if (was_ours)
		door_sync();
	errno = saved;
	return (int)ret;
}

PRELOAD_API int dup(int fd)
{
	int ret = real()->dup(fd);

	if (live() && ret >= 0)
		fds_copied(fd, ret);
	return ret;
}

/* @fd is about to be closed by a dup onto it. Return: it was ours. */
bool fds_forget(int fd)
{
	before_close(fd);
	return known_forget(fd);
}

PRELOAD_API int dup2(int from, int to)
{
	bool was_ours;

	if (!live())
		return real()->dup2(from, to);
	if (image_is_hidden(to))
		return (int)preload_return(-EBADF);
	was_ours = from != to && fds_forget(to);
	return dup_onto(from, to, real()->dup2(from, to), was_ours);
}

PRELOAD_API int dup3(int from, int to, int flags)
{
	bool was_ours;

	if (!live())
		return real()->dup3(from, to, flags);
	if (image_is_hidden(to))
		return (int)preload_return(-EBADF);
	was_ours = from != to && fds_forget(to);
	return dup_onto(from, to, real()->dup3(from, to, flags), was_ours);
}

#define DEFINE_FCNTL(name)                                                                         \
	PRELOAD_API int name(int fd, int command, ...)                                             \
	{                                                                                          \
		va_list ap;                                                                        \
		long arg;                                                                          \
		int ret;                                                                           \
                                                                                                   \
		va_start(ap, command);                                                             \
		arg = va_arg(ap, long);                                                            \
		va_end(ap);                                                                        \
		ret = real()->name(fd, command, arg);                                              \
		if (live() && ret >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))      \
			fds_copied(fd, ret);                                                       \
		return ret;                                                                        \
	}

DEFINE_FCNTL(fcntl)
DEFINE_FCNTL(fcntl64)

void fds_received(const struct msghdr *msg)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			known_discover(fd);
		}
	}
}

PRELOAD_API ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t ret = real()->recvmsg(fd, msg, flags);

	if (unlikely(preload_active) && ret >= 0 && msg->msg_controllen)
		fds_received(msg);
	return ret;
}

PRELOAD_API int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags,
			 struct timespec *timeout)
{
	int i, ret = real()->recvmmsg(fd, msgs, count, flags, timeout);

	if (unlikely(preload_active))
		for (i = 0; i < ret; i++)
			if (msgs[i].msg_hdr.msg_controllen)
				fds_received(&msgs[i].msg_hdr);
	return ret;
}
