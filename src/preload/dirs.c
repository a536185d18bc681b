// SPDX-License-Identifier: MIT
/*
 * Directories, links and names: what a program walks through the server's tree with, and
 * the results that would name its root.
 */
#include <stdlib.h>
#include <string.h>

#include "raw.h"
#include "real.h"

#define REDIRECT(path, room) (unlikely(preload_active) ? tree_redirect(path, room) : (path))

PRELOAD_API DIR *opendir(const char *path)
{
	int before = errno, saved;
	struct path_info info;
	struct tree_path room;
	DIR *dir;

	if (likely(!preload_active))
		return real()->opendir(path);
	dir = real()->opendir(tree_redirect(path, &room));
	saved = errno;
	if (dir || saved == EFAULT)
		return dir;
	path_look(path, &info);
	/* Whoever looks for knobs there opens them by name: any directory will do. */
	if (info.kind == PATH_DEBUGFS && door_has_test_interface())
		dir = real()->opendir("/sys/kernel");
	errno = dir ? before : saved;
	return dir;
}

PRELOAD_API int scandir(const char *path, struct dirent ***list,
			int (*filter)(const struct dirent *),
			int (*compare)(const struct dirent **, const struct dirent **))
{
	struct tree_path room;

	return real()->scandir(REDIRECT(path, &room), list, filter, compare);
}

PRELOAD_API int scandir64(const char *path, struct dirent64 ***list,
			  int (*filter)(const struct dirent64 *),
			  int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
	struct tree_path room;

	return real()->scandir64(REDIRECT(path, &room), list, filter, compare);
}

PRELOAD_API int chdir(const char *path)
{
	struct tree_path room;

	return real()->chdir(REDIRECT(path, &room));
}

/* Take the root off a name of @n bytes that has no zero at its end. */
static ssize_t stripped(char *buf, ssize_t n)
{
	if (n > 0 && unlikely(preload_active))
		return (ssize_t)tree_strip(buf, (size_t)n);
	return n;
}

PRELOAD_API ssize_t readlink(const char *path, char *buf, size_t n)
{
	return stripped(buf, TREE_CALL(path, real()->readlink(where, buf, n)));
}

PRELOAD_API ssize_t readlinkat(int dirfd, const char *path, char *buf, size_t n)
{
	return stripped(buf, TREE_CALL(path, real()->readlinkat(dirfd, where, buf, n)));
}

PRELOAD_API ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t size)
{
	return stripped(buf, TREE_CALL(path, real()->__readlink_chk(where, buf, n, size)));
}

PRELOAD_API ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t n, size_t size)
{
	return stripped(buf, TREE_CALL(path, real()->__readlinkat_chk(dirfd, where, buf, n, size)));
}

/* The same for a string, or NULL. */
static char *stripped_string(char *s)
{
	if (s && unlikely(preload_active))
		(void)tree_strip(s, strlen(s) + 1);
	return s;
}

PRELOAD_API char *realpath(const char *path, char *resolved)
{
	struct tree_path room;

	return stripped_string(real()->realpath(REDIRECT(path, &room), resolved));
}

PRELOAD_API char *__realpath_chk(const char *path, char *resolved, size_t size)
{
	struct tree_path room;

	return stripped_string(real()->__realpath_chk(REDIRECT(path, &room), resolved, size));
}

PRELOAD_API char *canonicalize_file_name(const char *path)
{
	struct tree_path room;

	return stripped_string(real()->canonicalize_file_name(REDIRECT(path, &room)));
}

#define DEFINE_GETXATTR(name)                                                                      \
	PRELOAD_API ssize_t name(const char *path, const char *attribute, void *value, size_t n)   \
	{                                                                                          \
		struct tree_path room;                                                             \
                                                                                                   \
		return real()->name(REDIRECT(path, &room), attribute, value, n);                   \
	}
#define DEFINE_LISTXATTR(name)                                                                     \
	PRELOAD_API ssize_t name(const char *path, char *list, size_t n)                           \
	{                                                                                          \
		struct tree_path room;                                                             \
                                                                                                   \
		return real()->name(REDIRECT(path, &room), list, n);                               \
	}

DEFINE_GETXATTR(getxattr)
DEFINE_GETXATTR(lgetxattr)
DEFINE_LISTXATTR(listxattr)
DEFINE_LISTXATTR(llistxattr)

PRELOAD_API char *getcwd(char *buf, size_t n)
{
	return stripped_string(real()->getcwd(buf, n));
}

PRELOAD_API char *__getcwd_chk(char *buf, size_t n, size_t size)
{
	return stripped_string(real()->__getcwd_chk(buf, n, size));
}
