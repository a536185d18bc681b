// SPDX-License-Identifier: MIT
/*
 * read and write, and their many forms, on the descriptors that calls return.
 *
 * They go to the server as they are; it moves the bytes itself. A vector is
 * taken piece by piece, as a kernel does for files that know only read and
 * write. Contexts can be neither read nor written.
 */
#include <limits.h>

#include "raw.h"
#include "real.h"

/*
 * Forward to the server if @fd is ours. Return: the result or -errno; *@ours
 * is false if the real function has to be called.
 */
ssize_t io_forward(enum door_op op, int fd, const void *buf, size_t n, uint64_t offset, bool *ours)
{
	struct door_call call = {
		.op = op,
		.fd = fd,
		.a = (uint64_t)(uintptr_t)buf,
		.b = n,
		.c = offset,
	};
	struct known k;

	*ours = true;
	switch (known_check(fd, &k)) {
	case KNOWN_CONTEXT:
	case KNOWN_KVM:
		return -EINVAL;
	case KNOWN_QUEUE:
	case KNOWN_DEVICE:
	case KNOWN_ATTRIBUTE:
		call.dev = k.dev;
		call.ino = k.ino;
		return door_call(&call, NULL, NULL);
	default:
		known_forget(fd);
		*ours = false;
		return 0;
	}
}

static ssize_t forward_vector(enum door_op op, int fd, const struct iovec *iov, int count,
			      uint64_t offset, bool *ours)
{
	ssize_t total = 0, n;
	int i;

	*ours = true;
	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		n = io_forward(op, fd, iov[i].iov_base, iov[i].iov_len, offset, ours);
		if (!*ours || n < 0)
			return total ? total : n;
		total += n;
		if (offset != DOOR_NO_OFFSET)
			offset += (uint64_t)n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return total;
}

/* Is there anything of ours in this process, and may @fd be it? */
static inline bool maybe_ours(int fd)
{
	return unlikely(atomic_load_explicit(&preload_live, memory_order_relaxed)) &&
	       known_kind(fd) != KNOWN_NONE;
}

/*
 * The body of every function here: try the server, else the real one. @try is
 * an expression that sets ours.
 */
#define TRY_SERVER(fd, try)                                                                        \
	do {                                                                                       \
		if (maybe_ours(fd)) {                                                              \
			bool ours;                                                                 \
			ssize_t ret_ = (try);                                                      \
                                                                                                   \
			if (ours)                                                                  \
				return preload_return(ret_);                                       \
		}                                                                                  \
	} while (0)

PRELOAD_API ssize_t read(int fd, void *buf, size_t n)
{
	TRY_SERVER(fd, io_forward(DOOR_READ, fd, buf, n, DOOR_NO_OFFSET, &ours));
	return real()->read(fd, buf, n);
}

PRELOAD_API ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	if (n <= room)
		TRY_SERVER(fd, io_forward(DOOR_READ, fd, buf, n, DOOR_NO_OFFSET, &ours));
	return real()->__read_chk(fd, buf, n, room);
}

PRELOAD_API ssize_t write(int fd, const void *buf, size_t n)
{
	TRY_SERVER(fd, io_forward(DOOR_WRITE, fd, buf, n, DOOR_NO_OFFSET, &ours));
	return real()->write(fd, buf, n);
}

PRELOAD_API ssize_t readv(int fd, const struct iovec *iov, int count)
{
	TRY_SERVER(fd, forward_vector(DOOR_READ, fd, iov, count, DOOR_NO_OFFSET, &ours));
	return real()->readv(fd, iov, count);
}

PRELOAD_API ssize_t writev(int fd, const struct iovec *iov, int count)
{
	TRY_SERVER(fd, forward_vector(DOOR_WRITE, fd, iov, count, DOOR_NO_OFFSET, &ours));
	return real()->writev(fd, iov, count);
}

/* The kernel refuses these before it looks at the file. */
static inline bool bad_offset(int64_t offset)
{
	return offset < 0;
}

#define DEFINE_PREAD(name, off_type)                                                               \
	PRELOAD_API ssize_t name(int fd, void *buf, size_t n, off_type offset)                     \
	{                                                                                          \
		if (!bad_offset(offset))                                                           \
			TRY_SERVER(fd,                                                             \
				   io_forward(DOOR_READ, fd, buf, n, (uint64_t)offset, &ours));    \
		return real()->name(fd, buf, n, offset);                                           \
	}

#define DEFINE_PREAD_CHK(name, off_type)                                                           \
	PRELOAD_API ssize_t name(int fd, void *buf, size_t n, off_type offset, size_t room)        \
	{                                                                                          \
		if (!bad_offset(offset) && n <= room)                                              \
			TRY_SERVER(fd,                                                             \
				   io_forward(DOOR_READ, fd, buf, n, (uint64_t)offset, &ours));    \
		return real()->name(fd, buf, n, offset, room);                                     \
	}

#define DEFINE_PWRITE(name, off_type)                                                              \
	PRELOAD_API ssize_t name(int fd, const void *buf, size_t n, off_type offset)               \
	{                                                                                          \
		if (!bad_offset(offset))                                                           \
			TRY_SERVER(fd,                                                             \
				   io_forward(DOOR_WRITE, fd, buf, n, (uint64_t)offset, &ours));   \
		return real()->name(fd, buf, n, offset);                                           \
	}

#define DEFINE_PVECTOR(name, op, off_type)                                                         \
	PRELOAD_API ssize_t name(int fd, const struct iovec *iov, int count, off_type offset)      \
	{                                                                                          \
		if (!bad_offset(offset))                                                           \
			TRY_SERVER(fd,                                                             \
				   forward_vector(op, fd, iov, count, (uint64_t)offset, &ours));   \
		return real()->name(fd, iov, count, offset);                                       \
	}

/* Here an offset of -1 is the file position, and the flags mean nothing to us. */
#define DEFINE_PVECTOR2(name, op, off_type)                                                        \
	PRELOAD_API ssize_t name(int fd, const struct iovec *iov, int count, off_type offset,      \
				 int flags)                                                        \
	{                                                                                          \
		if (offset >= -1)                                                                  \
			TRY_SERVER(fd,                                                             \
				   forward_vector(op, fd, iov, count, (uint64_t)offset, &ours));   \
		return real()->name(fd, iov, count, offset, flags);                                \
	}

DEFINE_PREAD(pread, off_t)
DEFINE_PREAD(pread64, off64_t)
DEFINE_PREAD_CHK(__pread_chk, off_t)
DEFINE_PREAD_CHK(__pread64_chk, off64_t)
DEFINE_PWRITE(pwrite, off_t)
DEFINE_PWRITE(pwrite64, off64_t)
DEFINE_PVECTOR(preadv, DOOR_READ, off_t)
DEFINE_PVECTOR(preadv64, DOOR_READ, off64_t)
DEFINE_PVECTOR(pwritev, DOOR_WRITE, off_t)
DEFINE_PVECTOR(pwritev64, DOOR_WRITE, off64_t)
DEFINE_PVECTOR2(preadv2, DOOR_READ, off_t)
DEFINE_PVECTOR2(preadv64v2, DOOR_READ, off64_t)
DEFINE_PVECTOR2(pwritev2, DOOR_WRITE, off_t)
DEFINE_PVECTOR2(pwritev64v2, DOOR_WRITE, off64_t)
