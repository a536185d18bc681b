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
	if (unlikely(flags & O_CREAT) && preload_active && path && !strcmp(path, "/dev/iommu"))
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
		fd = real()->name(path, safe_flags(path, flags), mode);                            \
		return unlikely(preload_active) ? path_opened(path, flags, fd, before) : fd;       \
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
		fd = real()->name(dirfd, path, safe_flags(path, flags), mode);                     \
		return unlikely(preload_active) ? path_opened(path, flags, fd, before) : fd;       \
	}

DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

#define DEFINE_OPEN_2(name)                                                                        \
	PRELOAD_API int name(const char *path, int flags)                                          \
	{                                                                                          \
		int before = errno, fd = real()->name(path, flags);                                \
                                                                                                   \
		return unlikely(preload_active) ? path_opened(path, flags, fd, before) : fd;       \
	}

#define DEFINE_OPENAT_2(name)                                                                      \
	PRELOAD_API int name(int dirfd, const char *path, int flags)                               \
	{                                                                                          \
		int before = errno, fd = real()->name(dirfd, path, flags);                         \
                                                                                                   \
		return unlikely(preload_active) ? path_opened(path, flags, fd, before) : fd;       \
	}

DEFINE_OPEN_2(__open_2)
DEFINE_OPEN_2(__open64_2)
DEFINE_OPENAT_2(__openat_2)
DEFINE_OPENAT_2(__openat64_2)

/* What fopen's mode means to open. */
static int mode_flags(const char *mode)
{
	int flags = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;

	return strchr(mode, 'e') ? flags | O_CLOEXEC : flags;
}

/* libc's own fopen does not come through our open. */
static FILE *open_stream(const char *path, const char *mode,
			 FILE *(*fopen_it)(const char *, const char *))
{
	struct path_info info;
	FILE *stream;
	int fd;

	path_look(path, &info);
	if (info.kind == PATH_OTHER || (info.kind == PATH_STATUS && !preload_is_client))
		return fopen_it(path, mode);
	fd = open(path, mode_flags(mode));
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

PRELOAD_API DIR *opendir(const char *path)
{
	int before = errno;
	DIR *dir = real()->opendir(path);
	struct path_info info;
	int saved = errno;

	if (dir || likely(!preload_active) || saved == EFAULT)
		return dir;
	path_look(path, &info);
	/* Whoever looks for knobs there opens them by name: any directory will do. */
	if (info.kind == PATH_DEBUGFS && door_has_test_interface())
		dir = real()->opendir("/sys/kernel");
	errno = dir ? before : saved;
	return dir;
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
		int before = errno, ret = real()->name(path, mode);                                \
                                                                                                   \
		return unlikely(preload_active) ? asked(path, mode, ret, before) : ret;            \
	}

DEFINE_ACCESS(access)
DEFINE_ACCESS(eaccess)
DEFINE_ACCESS(euidaccess)

PRELOAD_API int faccessat(int dirfd, const char *path, int mode, int flags)
{
	int before = errno, ret = real()->faccessat(dirfd, path, mode, flags);

	return unlikely(preload_active) ? asked(path, mode, ret, before) : ret;
}
