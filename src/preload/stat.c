// SPDX-License-Identifier: MIT
/*
 * What stat and its kind say about /dev/iommu: a character device with a
 * number of the misc major, both by its path and by a descriptor. The same for
 * the nodes of VFIO, which are marked files of the server's tree (tree.c).
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

static void fill_device(struct stat *st, unsigned int major, unsigned int minor)
{
	stat_fill(st);
	st->st_rdev = makedev(major, minor);
	st->st_ino = ((ino_t)major << 20) + minor + IOMMU_INO;
	st->st_mode = S_IFCHR | 0600;
}

/* A file of the tree that stands for something. */
static void amend(struct stat *st)
{
	struct tree_mark mark;

	if (likely(!tree_mark(st->st_mode, st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
			      &mark)))
		return;
	if (mark.kind == DOOR_MARK_NODE)
		fill_device(st, mark.major, mark.minor);
	else
		st->st_mode &= ~(mode_t)S_ISVTX;
}

/* A path was asked about, with the result @ret. */
static int by_path(const char *path, void *st, int ret, int before)
{
	if (!ret)
		amend(st);
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

/* What a descriptor of ours is. Return: false if it is none, or a plain pipe to programs. */
static bool fill_known(int fd, struct stat *st)
{
	struct door_call call = { .op = DOOR_STAT, .fd = fd };
	struct door_reply reply;
	struct known k;

	if (!known_kind(fd))
		return false;
	switch (known_check(fd, &k)) {
	case KNOWN_CONTEXT:
		stat_fill(st);
		return true;
	case KNOWN_DEVICE:
		call.dev = k.dev;
		call.ino = k.ino;
		if (door_call(&call, &reply, NULL) < 0 || !reply.v[0])
			return false;
		fill_device(st, (unsigned int)reply.v[0], (unsigned int)reply.v[1]);
		return true;
	case KNOWN_ATTRIBUTE:
		st->st_mode = S_IFREG | 0644;
		st->st_size = 4096;
		return true;
	default:
		return false;
	}
}

static int by_fd(int fd, void *st, int ret)
{
	if (!ret && !(atomic_load(&preload_live) && fill_known(fd, st)))
		amend(st);
	return ret;
}

/* The same for the functions that take a descriptor, a path below it, or both. */
static int by_either(int dirfd, const char *path, void *st, int flags, int ret, int before)
{
	if (!preload_active)
		return ret;
	if ((flags & AT_EMPTY_PATH) && !ret && is_empty(path))
		return by_fd(dirfd, st, ret);
	return by_path(path, st, ret, before);
}

#define BY_PATH(path, st, call)                                                                    \
	({                                                                                         \
		int before_ = errno, ret_ = TREE_CALL(path, call);                                 \
		unlikely(preload_active) ? by_path((path), (st), ret_, before_) : ret_;            \
	})
#define BY_FD(fd, st, call)                                                                        \
	({                                                                                         \
		int ret_ = (call);                                                                 \
		unlikely(preload_active) ? by_fd((fd), (st), ret_) : ret_;                         \
	})

#define DEFINE_STAT(name, type)                                                                    \
	PRELOAD_API int name(const char *path, struct type *st)                                    \
	{                                                                                          \
		return BY_PATH(path, st, real()->name(where, st));                                 \
	}
#define DEFINE_FSTAT(name, type)                                                                   \
	PRELOAD_API int name(int fd, struct type *st)                                              \
	{                                                                                          \
		return BY_FD(fd, st, real()->name(fd, st));                                        \
	}
#define DEFINE_FSTATAT(name, type)                                                                 \
	PRELOAD_API int name(int dirfd, const char *path, struct type *st, int flags)              \
	{                                                                                          \
		int before = errno;                                                                \
		int ret = TREE_CALL(path, real()->name(dirfd, where, st, flags));                  \
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
			       real()->name ? real()->name(version, where, st)                     \
					    : real()->plain(where, st));                           \
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
		int ret = TREE_CALL(path, real()->name                                             \
						  ? real()->name(version, dirfd, where, st, flags) \
						  : real()->plain(dirfd, where, st, flags));       \
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

static void fill_statx(const struct stat *st, struct statx *stx)
{
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_BASIC_STATS;
	stx->stx_blksize = (uint32_t)st->st_blksize;
	stx->stx_nlink = (uint32_t)st->st_nlink;
	stx->stx_uid = st->st_uid;
	stx->stx_gid = st->st_gid;
	stx->stx_mode = (uint16_t)st->st_mode;
	stx->stx_ino = st->st_ino;
	stx->stx_size = (uint64_t)st->st_size;
	stx->stx_rdev_major = major(st->st_rdev);
	stx->stx_rdev_minor = minor(st->st_rdev);
	stx->stx_dev_major = major(st->st_dev);
	stx->stx_dev_minor = minor(st->st_dev);
	stx->stx_atime.tv_sec = st->st_atim.tv_sec;
	stx->stx_mtime.tv_sec = st->st_mtim.tv_sec;
	stx->stx_ctime.tv_sec = st->st_ctim.tv_sec;
}

/* As amend(); without the attributes that a mark is made of, it cannot be seen. */
static void amend_statx(struct statx *stx)
{
	struct tree_mark mark;
	struct stat st;

	if (likely(!tree_mark(stx->stx_mode, stx->stx_mtime.tv_sec, stx->stx_mtime.tv_nsec, &mark)))
		return;
	if (mark.kind == DOOR_MARK_NODE) {
		fill_device(&st, mark.major, mark.minor);
		fill_statx(&st, stx);
	} else {
		stx->stx_mode &= (uint16_t)~S_ISVTX;
	}
}

int stat_amend_statx(int dirfd, const char *path, int flags, struct statx *stx, int ret, int before)
{
	int saved = errno;
	struct path_info info;
	struct stat st = { 0 };

	if (ret && saved == EFAULT)
		return ret;
	if ((flags & AT_EMPTY_PATH) && !ret && is_empty(path)) {
		if (atomic_load(&preload_live) && fill_known(dirfd, &st))
			fill_statx(&st, stx);
		else
			amend_statx(stx);
		return ret;
	}
	if (!ret)
		amend_statx(stx);
	path_look(path, &info);
	if (info.kind != PATH_IOMMU) {
		errno = saved;
		return ret;
	}
	errno = before;
	stat_fill(&st);
	fill_statx(&st, stx);
	return 0;
}

/* What a mark is made of is always asked for. */
PRELOAD_API int statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	int before = errno, ret;

	if (likely(!preload_active))
		return real()->statx(dirfd, path, flags, mask, stx);
	mask |= STATX_TYPE | STATX_MODE | STATX_MTIME;
	ret = TREE_CALL(path, real()->statx(dirfd, where, flags, mask, stx));
	return stat_amend_statx(dirfd, path, flags, stx, ret, before);
}
