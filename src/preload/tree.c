// SPDX-License-Identifier: MIT
/*
 * Paths that the server's tree answers: the kernel's PCI functions, IOMMU groups and
 * VFIO nodes.
 *
 * If the server has PCI functions there is a tree of real directories beside its socket
 * (proto.h). A path below one of the prefixes here is led there, and all the rest - links,
 * relative paths, directories that are read - is the kernel's own doing. What a file of
 * the tree is for is written in its attributes, so that it is known however it was
 * reached. Where a result names the tree, the name of its root is taken off.
 *
 * The root is looked for when such a path is first used, and remembered.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "raw.h"
#include "real.h"

_Atomic bool tree_live;

/* Two processes' threads that find it at once write the same. */
static char root[PATH_MAX];
static _Atomic size_t root_bytes;

/*
 * A path as these begin, component by component. A component that ends with '*' is
 * the beginning of one, and the last.
 */
static const char *const prefixes[] = {
	"/sys/bus/pci",
	"/sys/class/iommu",
	"/sys/class/vfio",
	"/sys/class/vfio-dev",
	"/sys/dev/char/510:*",
	"/sys/dev/char/511:*",
	"/sys/devices/pci*",
	"/sys/devices/virtual/iommu",
	"/sys/devices/virtual/vfio",
	"/sys/kernel/iommu_groups",
	"/sys/module/vfio*",
	"/dev/char/510:*",
	"/dev/char/511:*",
	"/dev/vfio",
};

/* Behind slashes and single dots. */
static const char *skip_slashes(const char *s)
{
	while (*s == '/' || (*s == '.' && (s[1] == '/' || !s[1])))
		s++;
	return s;
}

static size_t component(const char *s)
{
	return (size_t)(strchrnul(s, '/') - s);
}

/* Does @path begin as @prefix says? */
static bool begins(const char *path, const char *prefix)
{
	path = skip_slashes(path);
	prefix++;
	for (;;) {
		size_t want = component(prefix), n = component(path);

		if (prefix[want - 1] == '*')
			return n >= want - 1 && !strncmp(path, prefix, want - 1);
		if (n != want || strncmp(path, prefix, n) != 0)
			return false;
		if (!prefix[want])
			return true;
		prefix += want + 1;
		path = skip_slashes(path + n);
	}
}

bool tree_is_ours(const char *path)
{
	size_t i;

	/* Nearly all paths end here. */
	if (path[0] != '/' ||
	    (path[1] != 's' && path[1] != 'd' && path[1] != '/' && path[1] != '.'))
		return false;
	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (begins(path, prefixes[i]))
			return true;
	return false;
}

/* The name of what @fd is. Return: its length, or -errno. */
static long name_of(int fd, char *buf, size_t room)
{
	char link[40] = "/proc/self/fd/", digits[12];
	size_t at = strlen(link), i = 0;
	long n;

	do
		digits[i++] = (char)('0' + fd % 10);
	while (fd /= 10);
	while (i)
		link[at++] = digits[--i];
	link[at] = '\0';
	n = raw4(SYS_readlinkat, AT_FDCWD, link, buf, room - 1);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* Look for the tree. Return: it is there. */
static bool find_root(void)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(DOOR_TREE_SUFFIX)];
	char name[sizeof(root)];
	long fd, n;

	if (atomic_load_explicit(&root_bytes, memory_order_acquire))
		return true;
	strcpy(path, channel_path());
	strcat(path, DOOR_TREE_SUFFIX);
	fd = raw4(SYS_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	n = name_of((int)fd, name, sizeof(name));
	raw_close((int)fd);
	if (n <= 0)
		return false;
	memcpy(root, name, (size_t)n + 1);
	atomic_store_explicit(&root_bytes, (size_t)n, memory_order_release);
	return true;
}

/* What a kernel would answer EFAULT to. */
static bool is_address(const char *path)
{
	uintptr_t address = (uintptr_t)path;

	return address >= 4096 && address < UINTPTR_MAX / 2;
}

const char *tree_redirect(const char *path, struct tree_path *room)
{
	size_t n;

	if (!is_address(path) || likely(!tree_is_ours(path)) || !find_root())
		return path;
	n = atomic_load(&root_bytes);
	if (n + strlen(path) >= sizeof(room->text))
		return path;
	memcpy(room->text, root, n);
	strcpy(room->text + n, path);
	atomic_store_explicit(&tree_live, true, memory_order_relaxed);
	return room->text;
}

bool tree_exists(void)
{
	return preload_active && find_root();
}

size_t tree_strip(char *path, size_t n)
{
	size_t bytes = atomic_load(&root_bytes);

	if (!bytes || n < bytes || memcmp(path, root, bytes) != 0)
		return n;
	if (n == bytes || path[bytes] != '/')
		return n;
	memmove(path, path + bytes, n - bytes);
	return n - bytes;
}

/* A child begins in the directory of its parent, perhaps in the tree. */
void tree_init(void)
{
	char cwd[PATH_MAX];
	long n = raw2(SYS_getcwd, cwd, sizeof(cwd));

	if (n > 1 && strstr(cwd, DOOR_TREE_SUFFIX "/") && find_root() &&
	    tree_strip(cwd, (size_t)n) != (size_t)n)
		atomic_store(&tree_live, true);
}

bool tree_mark(mode_t mode, int64_t seconds, uint64_t nanoseconds, struct tree_mark *out)
{
	if (likely(!(mode & S_ISVTX)) || !S_ISREG(mode) || nanoseconds < DOOR_MARK ||
	    nanoseconds > DOOR_MARK + DOOR_MARK_SERVED)
		return false;
	out->kind = (unsigned int)(nanoseconds - DOOR_MARK);
	out->major = (unsigned int)(seconds >> DOOR_MARK_MAJOR);
	out->minor = (unsigned int)seconds & ((1u << DOOR_MARK_MAJOR) - 1);
	return true;
}

static bool wants_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

/* What the file @found, at @path of the tree, is opened as. Return: a descriptor or -errno. */
static long open_found(int dirfd, const char *path, const char *name, const struct stat *found,
		       int flags)
{
	struct tree_mark mark;

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (S_ISDIR(found->st_mode) && (wants_write(flags) || flags & O_CREAT))
		return -EISDIR;
	if (!(flags & (O_PATH | O_DIRECTORY)) &&
	    tree_mark(found->st_mode, found->st_mtim.tv_sec, (uint64_t)found->st_mtim.tv_nsec,
		      &mark) &&
	    (mark.kind != DOOR_MARK_TEXT || wants_write(flags)))
		return path_open_at_server(name, flags);
	if (wants_write(flags) && !(flags & O_PATH))
		return -EACCES;
	return raw4(SYS_openat, dirfd, path, flags & ~(O_CREAT | O_EXCL | O_TRUNC), 0);
}

/* Open @path by what it is in the tree. Return: it is there, and *@result is set. */
static bool open_in_tree(int dirfd, const char *path, int flags, bool redirected, long *result)
{
	char name[PATH_MAX];
	struct stat st;
	long fd, n;

	fd = raw4(SYS_openat, dirfd, path,
		  O_PATH | O_CLOEXEC | (flags & (O_NOFOLLOW | O_DIRECTORY)), 0);
	if (fd < 0) {
		/* Nothing can be made there. */
		*result = fd == -ENOENT && flags & O_CREAT ? -EACCES : fd;
		return redirected;
	}
	n = name_of((int)fd, name, sizeof(name));
	if (raw_fstat((int)fd, &st) || n < 0 ||
	    (tree_strip(name, (size_t)n + 1) == (size_t)n + 1 && !redirected)) {
		*result = -ENOENT;
		raw_close((int)fd);
		return redirected;
	}
	*result = open_found(dirfd, path, name, &st, flags);
	raw_close((int)fd);
	return true;
}

bool tree_open(int dirfd, const char *path, int flags, int *out)
{
	int before = errno;
	struct tree_path room;
	const char *where = tree_redirect(path, &room);
	bool redirected = where != path;
	long result;

	if (!redirected && (likely(!atomic_load_explicit(&tree_live, memory_order_relaxed)) ||
			    !is_address(path) || path[0] == '/'))
		return false;
	if (!open_in_tree(dirfd, where, flags, redirected, &result)) {
		errno = before;
		return false;
	}
	errno = before;
	*out = (int)preload_return(result);
	return true;
}
