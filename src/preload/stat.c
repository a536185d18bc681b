// SPDX-License-Identifier: MIT
/*
 * What stat and its kind say about /dev/iommu: a character device with a
 * number of the misc major, both by its path and by a descriptor.
 */
#include <string.h>
#include <sys/sysmacros.h>

#include "raw.h"
#include "real.h"

/* As misc devices with a dynamic minor have. */
#define IOMMU_MAJOR 10
#define IOMMU_MINOR 125
#define IOMMU_INO   1125

void stat_fill(struct stat *st)
{
	struct stat null;

	memset(st, 0, sizeof(*st));
	if (!raw4(SYS_newfstatat, AT_FDCWD, "/dev/null", &null, 0)) {
		*st = null;
		st->st_uid = 0;
		st->st_gid = 0;
	}
	st->st_mode = S_IFCHR | 0660;
	st->st_rdev = makedev(IOMMU_MAJOR, IOMMU_MINOR);
	st->st_ino = IOMMU_INO;
	st->st_nlink = 1;
}

/* A path was asked about, with the result @ret. */
static int by_path(const char *path, void *st, int ret, int before)
{
	if (!path_is_iommu(path, ret, before))
		return ret;
	stat_fill(st);
	return 0;
}

/* Not inline: there the compiler would take from fstatat that it is not NULL. */
static __attribute__((noinline)) bool is_empty(const char *path)
{
	return !path || !*path;
}

static bool is_context(int fd)
{
	struct known k;

	return known_kind(fd) == KNOWN_CONTEXT && known_check(fd, &k) == KNOWN_CONTEXT;
}

static int by_fd(int fd, void *st, int ret)
{
	if (!ret && is_context(fd))
		stat_fill(st);
	return ret;
}

/* The same for the functions that take a descriptor, a path below it, or both. */
static int by_either(int dirfd, const char *path, void *st, int flags, int ret, int before)
{
	if (!preload_active)
		return ret;
	if ((flags & AT_EMPTY_PATH) && !ret && is_empty(path))
		return atomic_load(&preload_live) ? by_fd(dirfd, st, ret) : ret;
	return by_path(path, st, ret, before);
}

#define BY_PATH(path, st, call)                                                                    \
	({                                                                                         \
		int before_ = errno, ret_ = (call);                                                \
		unlikely(preload_active) ? by_path((path), (st), ret_, before_) : ret_;            \
	})
#define BY_FD(fd, st, call)                                                                        \
	({                                                                                         \
		int ret_ = (call);                                                                 \
		unlikely(atomic_load_explicit(&preload_live, memory_order_relaxed))                \
			? by_fd((fd), (st), ret_)                                                  \
			: ret_;                                                                    \
	})

#define DEFINE_STAT(name, type)                                                                    \
	PRELOAD_API int name(const char *path, struct type *st)                                    \
	{                                                                                          \
		return BY_PATH(path, st, real()->name(path, st));                                  \
	}
#define DEFINE_FSTAT(name, type)                                                                   \
	PRELOAD_API int name(int fd, struct type *st)                                              \
	{                                                                                          \
		return BY_FD(fd, st, real()->name(fd, st));                                        \
	}
#define DEFINE_FSTATAT(name, type)                                                                 \
	PRELOAD_API int name(int dirfd, const char *path, struct type *st, int flags)              \
	{                                                                                          \
		int before = errno, ret = real()->name(dirfd, path, st, flags);                    \
                                                                                                   \
		return by_either(dirfd, path, st, flags, ret, before);                             \
	}

DEFINE_STAT(stat, stat)
DEFINE_STAT(stat64, stat64)
DEFINE_STAT(lstat, stat)
DEFINE_STAT(lstat64, stat64)
DEFINE_FSTAT(fstat, stat)
DEFINE_FSTAT(fstat64, stat64)
DEFINE_FSTATAT(fstatat, stat)
DEFINE_FSTATAT(fstatat64, stat64)

#define DEFINE_XSTAT(name, type, plain)                                                            \
	PRELOAD_API int name(int version, const char *path, struct type *st)                       \
	{                                                                                          \
		return BY_PATH(path, st,                                                           \
			       real()->name ? real()->name(version, path, st)                      \
					    : real()->plain(path, st));                            \
	}
#define DEFINE_FXSTAT(name, type, plain)                                                           \
	PRELOAD_API int name(int version, int fd, struct type *st)                                 \
	{                                                                                          \
		return BY_FD(fd, st,                                                               \
			     real()->name ? real()->name(version, fd, st)                          \
					  : real()->plain(fd, st));                                \
	}
#define DEFINE_FXSTATAT(name, type, plain)                                                         \
	PRELOAD_API int name(int version, int dirfd, const char *path, struct type *st, int flags) \
	{                                                                                          \
		int before = errno;                                                                \
		int ret = real()->name ? real()->name(version, dirfd, path, st, flags)             \
				       : real()->plain(dirfd, path, st, flags);                    \
                                                                                                   \
		return by_either(dirfd, path, st, flags, ret, before);                             \
	}

DEFINE_XSTAT(__xstat, stat, stat)
DEFINE_XSTAT(__xstat64, stat64, stat64)
DEFINE_XSTAT(__lxstat, stat, lstat)
DEFINE_XSTAT(__lxstat64, stat64, lstat64)
DEFINE_FXSTAT(__fxstat, stat, fstat)
DEFINE_FXSTAT(__fxstat64, stat64, fstat64)
DEFINE_FXSTATAT(__fxstatat, stat, fstatat)
DEFINE_FXSTATAT(__fxstatat64, stat64, fstatat64)

static void fill_statx(struct statx *stx)
{
	struct stat st;

	stat_fill(&st);
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_BASIC_STATS;
	stx->stx_blksize = (uint32_t)st.st_blksize;
	stx->stx_nlink = (uint32_t)st.st_nlink;
	stx->stx_uid = st.st_uid;
	stx->stx_gid = st.st_gid;
	stx->stx_mode = (uint16_t)st.st_mode;
	stx->stx_ino = st.st_ino;
	stx->stx_rdev_major = major(st.st_rdev);
	stx->stx_rdev_minor = minor(st.st_rdev);
	stx->stx_dev_major = major(st.st_dev);
	stx->stx_dev_minor = minor(st.st_dev);
	stx->stx_atime.tv_sec = st.st_atim.tv_sec;
	stx->stx_mtime.tv_sec = st.st_mtim.tv_sec;
	stx->stx_ctime.tv_sec = st.st_ctim.tv_sec;
}

int stat_amend_statx(int dirfd, const char *path, int flags, struct statx *stx, int ret, int before)
{
	int saved = errno;
	struct path_info info;

	if (ret && saved == EFAULT)
		return ret;
	if ((flags & AT_EMPTY_PATH) && !ret && is_empty(path)) {
		if (atomic_load(&preload_live) && is_context(dirfd))
			fill_statx(stx);
		return ret;
	}
	path_look(path, &info);
	if (info.kind != PATH_IOMMU) {
		errno = saved;
		return ret;
	}
	errno = before;
	fill_statx(stx);
	return 0;
}

PRELOAD_API int statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	int before = errno, ret = real()->statx(dirfd, path, flags, mask, stx);

	if (likely(!preload_active))
		return ret;
	return stat_amend_statx(dirfd, path, flags, stx, ret, before);
}
