// SPDX-License-Identifier: MIT
/* The functions that open, or ask about, a path. */
#include <stdarg.h>
#include <string.h>

#include "raw.h"
#include "real.h"

/* open(2) has a third argument only then. */
static bool has_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

/* So that the real call does not make a file where the device would be. */
static int safe_flags(const char *path, int flags)
{
	if (unlikely(flags & O_CREAT) && preload_active && path &&
	    (!strcmp(path, "/dev/iommu") || (tree_is_ours(path) && tree_exists())))
		return flags & ~(O_CREAT | O_EXCL | O_TRUNC);
	return flags;
}

#define DEFINE_OPEN(name)                                                                          \
	PRELOAD_API int name(const char *path, int flags, ...)                                     \
	{                                                                                          \
		int before = errno, fd;                                                            \
		mode_t mode = 0;                                                                   \
                                                                                                   \
		if (has_mode(flags)) {                                                             \
			va_list ap;                                                                \
                                                                                                   \
			va_start(ap, flags);                                                       \
			mode = va_arg(ap, mode_t);                                                 \
			va_end(ap);                                                                \
		}                                                                                  \
		if (unlikely(atomic_load(&tree_live)) && tree_open(AT_FDCWD, path, flags, &fd))    \
			return fd;                                                                 \
		fd = real()->name(path, safe_flags(path, flags), mode);                            \
		return unlikely(preload_active) ? path_opened(AT_FDCWD, path, flags, fd, before)   \
						: fd;                                              \
	}

#define DEFINE_OPENAT(name)                                                                        \
	PRELOAD_API int name(int dirfd, const char *path, int flags, ...)                          \
	{                                                                                          \
		int before = errno, fd;                                                            \
		mode_t mode = 0;                                                                   \
                                                                                                   \
		if (has_mode(flags)) {                                                             \
			va_list ap;                                                                \
                                                                                                   \
			va_start(ap, flags);                                                       \
			mode = va_arg(ap, mode_t);                                                 \
			va_end(ap);                                                                \
		}                                                                                  \
		if (unlikely(atomic_load(&tree_live)) && tree_open(dirfd, path, flags, &fd))       \
			return fd;                                                                 \
		fd = real()->name(dirfd, path, safe_flags(path, flags), mode);                     \
		return unlikely(preload_active) ? path_opened(dirfd, path, flags, fd, before)      \
						: fd;                                              \
	}

DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

#define DEFINE_OPEN_2(name)                                                                        \
	PRELOAD_API int name(const char *path, int flags)                                          \
	{                                                                                          \
		int before = errno, fd;                                                            \
                                                                                                   \
		if (unlikely(atomic_load(&tree_live)) && tree_open(AT_FDCWD, path, flags, &fd))    \
			return fd;                                                                 \
		fd = real()->name(path, flags);                                                    \
		return unlikely(preload_active) ? path_opened(AT_FDCWD, path, flags, fd, before)   \
						: fd;                                              \
	}

#define DEFINE_OPENAT_2(name)                                                                      \
	PRELOAD_API int name(int dirfd, const char *path, int flags)                               \
	{                                                                                          \
		int before = errno, fd;                                                            \
                                                                                                   \
		if (unlikely(atomic_load(&tree_live)) && tree_open(dirfd, path, flags, &fd))       \
			return fd;                                                                 \
		fd = real()->name(dirfd, path, flags);                                             \
		return unlikely(preload_active) ? path_opened(dirfd, path, flags, fd, before)      \
						: fd;                                              \
	}

DEFINE_OPEN_2(__open_2)
DEFINE_OPEN_2(__open64_2)
DEFINE_OPENAT_2(__openat_2)
DEFINE_OPENAT_2(__openat64_2)

/* What fopen's mode means to open. */
static int mode_flags(const char *mode)
{
	int flags = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;

	if (*mode != 'r')
		flags |= O_CREAT | (*mode == 'a' ? O_APPEND : O_TRUNC);
	return strchr(mode, 'e') ? flags | O_CLOEXEC : flags;
}

/* libc's own fopen does not come through our open. */
static FILE *open_stream(const char *path, const char *mode,
			 FILE *(*fopen_it)(const char *, const char *))
{
	struct tree_path room;
	struct path_info info;
	FILE *stream;
	int fd;

	path_look(path, &info);
	if (info.kind == PATH_STATUS && !preload_is_client)
		info.kind = PATH_OTHER;
	if (info.kind == PATH_OTHER && tree_redirect(path, &room) == path &&
	    (!atomic_load(&tree_live) || path[0] == '/'))
		return fopen_it(path, mode);
	fd = open(path, mode_flags(mode), 0666);
	if (fd < 0)
		return NULL;
	stream = fdopen(fd, mode);
	if (!stream)
		close(fd);
	return stream;
}

PRELOAD_API FILE *fopen(const char *path, const char *mode)
{
	if (likely(!preload_active) || !path)
		return real()->fopen(path, mode);
	return open_stream(path, mode, real()->fopen);
}

PRELOAD_API FILE *fopen64(const char *path, const char *mode)
{
	if (likely(!preload_active) || !path)
		return real()->fopen64(path, mode);
	return open_stream(path, mode, real()->fopen64);
}

/* The device may be read and written, and not executed. */
static int asked(const char *path, int mode, int ret, int before)
{
	if (!path_is_iommu(path, ret, before))
		return ret;
	return mode & X_OK ? (int)preload_return(-EACCES) : 0;
}

#define DEFINE_ACCESS(name)                                                                        \
	PRELOAD_API int name(const char *path, int mode)                                           \
	{                                                                                          \
		int before = errno, ret = TREE_CALL(path, real()->name(where, mode));              \
                                                                                                   \
		return unlikely(preload_active) ? asked(path, mode, ret, before) : ret;            \
	}

DEFINE_ACCESS(access)
DEFINE_ACCESS(eaccess)
DEFINE_ACCESS(euidaccess)

PRELOAD_API int faccessat(int dirfd, const char *path, int mode, int flags)
{
	int before = errno, ret = TREE_CALL(path, real()->faccessat(dirfd, where, mode, flags));

	return unlikely(preload_active) ? asked(path, mode, ret, before) : ret;
}
