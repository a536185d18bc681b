// SPDX-License-Identifier: MIT
/*
 * syscall(), for programs that make system calls by number.
 *
 * The numbers that may concern us are led to the same code as the functions of
 * libc; all others go through untouched. System calls made by a program's own
 * instructions are beyond a library's reach.
 */
#include <stdarg.h>

#include "raw.h"
#include "real.h"

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/**
 * struct args - the six words of a system call
 * @nr: its number
 * @a: its arguments
 */
struct args {
	long nr;
	long a[6];
};

/* What libc's syscall() returns for it, errno included. */
static long pass(const struct args *s)
{
	return preload_return(raw6(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], s->a[5]));
}

/* The same for one whose argument @at is a path that may be in the tree. */
static long pass_path(const struct args *s, int at)
{
	const char *path = (const char *)s->a[at];
	struct args t = *s;

	return TREE_CALL(path, (t.a[at] = (long)where, pass(&t)));
}

static long do_open(const struct args *s, int at)
{
	int before = errno, fd;

	if (atomic_load(&tree_live) &&
	    tree_open(at ? (int)s->a[0] : AT_FDCWD, (const char *)s->a[at], (int)s->a[at + 1], &fd))
		return fd;
	fd = (int)pass(s);
	if (!preload_active)
		return fd;
	return path_opened(at ? (int)s->a[0] : AT_FDCWD, (const char *)s->a[at], (int)s->a[at + 1],
			   fd, before);
}

static long do_access(const struct args *s, int at)
{
	int before = errno;
	long ret = pass_path(s, at);
	struct path_info info;
	int saved = errno;

	if (!preload_active || (ret && saved == EFAULT))
		return ret;
	path_look((const char *)s->a[at], &info);
	if (info.kind != PATH_IOMMU) {
		errno = saved;
		return ret;
	}
	errno = before;
	return s->a[at + 1] & X_OK ? preload_return(-EACCES) : 0;
}

static long do_statx(const struct args *s)
{
	int before = errno;
	struct args t = *s;
	long ret;

	if (preload_active)
		t.a[3] |= STATX_TYPE | STATX_MODE | STATX_MTIME;
	ret = pass_path(&t, 1);
	if (!preload_active)
		return ret;
	return stat_amend_statx((int)s->a[0], (const char *)s->a[1], (int)s->a[2],
				(struct statx *)s->a[4], (int)ret, before);
}

static long do_ioctl(const struct args *s)
{
	bool ours;
	long ret;

	if (KVM_MAYBE_OURS((unsigned long)s->a[1]))
		ret = kvm_ioctl((int)s->a[0], (unsigned long)s->a[1], (unsigned long)s->a[2],
				&ours);
	else
		ret = ctl_ioctl((int)s->a[0], (unsigned long)s->a[1], (unsigned long)s->a[2],
				&ours);
	return ours ? preload_return(ret) : pass(s);
}

static long do_transfer(const struct args *s, enum door_op op, bool positioned)
{
	uint64_t offset = positioned ? (uint64_t)s->a[3] : DOOR_NO_OFFSET;
	bool ours = false;
	long ret;

	if (!atomic_load(&preload_live) || !known_kind((int)s->a[0]) || (positioned && s->a[3] < 0))
		return pass(s);
	ret = io_forward(op, (int)s->a[0], (void *)s->a[1], (size_t)s->a[2], offset, &ours);
	return ours ? preload_return(ret) : pass(s);
}

static long do_mmap(const struct args *s)
{
	long ret = pass(s);

	if (ret != -1)
		ctl_mapped(ret, (size_t)s->a[1]);
	if (ret != -1 || errno != ENODEV || !preload_active)
		return ret;
	return preload_return(ctl_mmap((void *)s->a[0], (size_t)s->a[1], (int)s->a[2], (int)s->a[3],
				       (int)s->a[4], (uint64_t)s->a[5]));
}

static long do_dup_onto(const struct args *s)
{
	int from = (int)s->a[0], to = (int)s->a[1];
	bool was_ours;
	long ret;

	if (image_is_hidden(to))
		return preload_return(-EBADF);
	was_ours = from != to && fds_forget(to);
	ret = pass(s);
	if (ret >= 0)
		fds_copied(from, to);
	if (was_ours)
		door_sync();
	return ret;
}

static long do_copy(const struct args *s)
{
	long ret = pass(s);

	if (ret >= 0 && atomic_load(&preload_live))
		fds_copied((int)s->a[0], (int)ret);
	return ret;
}

static long do_fcntl(const struct args *s)
{
	return s->a[1] == F_DUPFD || s->a[1] == F_DUPFD_CLOEXEC ? do_copy(s) : pass(s);
}

static long do_getfd(const struct args *s)
{
	long ret = pass(s);

	if (ret >= 0 && preload_active)
		known_discover((int)ret);
	return ret;
}

static long do_recvmsg(const struct args *s)
{
	long ret = pass(s);

	if (ret >= 0 && preload_active)
		fds_received((const struct msghdr *)s->a[1]);
	return ret;
}

static long route(const struct args *s)
{
	switch (s->nr) {
	case SYS_openat:
		return do_open(s, 1);
	case SYS_faccessat:
	case SYS_faccessat2:
		return do_access(s, 1);
	case SYS_statx:
		return do_statx(s);
	case SYS_ioctl:
		return do_ioctl(s);
	case SYS_read:
		return do_transfer(s, DOOR_READ, false);
	case SYS_write:
		return do_transfer(s, DOOR_WRITE, false);
	case SYS_pread64:
		return do_transfer(s, DOOR_READ, true);
	case SYS_pwrite64:
		return do_transfer(s, DOOR_WRITE, true);
	case SYS_mmap:
		return do_mmap(s);
	case SYS_munmap:
		return munmap((void *)s->a[0], (size_t)s->a[1]);
	case SYS_mremap:
		return (long)mremap((void *)s->a[0], (size_t)s->a[1], (size_t)s->a[2],
				    (int)s->a[3], (void *)s->a[4]);
	case SYS_mprotect:
		return mprotect((void *)s->a[0], (size_t)s->a[1], (int)s->a[2]);
	case SYS_close:
		return preload_return(fds_close_raw((int)s->a[0]));
	case SYS_close_range:
		return preload_return(fds_close_range((unsigned int)s->a[0], (unsigned int)s->a[1],
						      (unsigned int)s->a[2]));
	case SYS_dup:
		return do_copy(s);
	case SYS_dup3:
		return do_dup_onto(s);
	case SYS_fcntl:
		return do_fcntl(s);
	case SYS_pidfd_getfd:
		return do_getfd(s);
	case SYS_recvmsg:
		return do_recvmsg(s);
#ifdef SYS_open
	case SYS_open:
		return do_open(s, 0);
	case SYS_access:
		return do_access(s, 0);
	case SYS_dup2:
		return do_dup_onto(s);
#endif
	default:
		return real()->syscall(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], s->a[5]);
	}
}

PRELOAD_API long syscall(long nr, ...)
{
	struct args s = { .nr = nr };
	va_list ap;
	int i;

	/* More than were passed may be read, as libc's own does; they go nowhere. */
	va_start(ap, nr);
	for (i = 0; i < 6; i++)
		s.a[i] = va_arg(ap, long);
	va_end(ap);
	return route(&s);
}
