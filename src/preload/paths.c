// SPDX-License-Identifier: MIT
/*
 * The paths that are ours, and what opening them gives.
 *
 * The real call comes first, always: it has tested the pointer, so that a bad
 * one still gives EFAULT, and for the process files it provides the text.
 *
 * Under the server's mock test interface there are also the files of the
 * kernel's fault injection: fail-nth, which the server keeps, and the knobs
 * below /sys/kernel/debug, which take any value.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "raw.h"
#include "real.h"

static const char *skip(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) ? NULL : s + n;
}

static const char *skip_number(const char *s, int *number)
{
	long n = 0;

	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9' && n < INT_MAX / 10; s++)
		n = n * 10 + (*s - '0');
	*number = (int)n;
	return s;
}

/* @s follows "/proc/". */
static void look_proc(const char *s, struct path_info *info)
{
	int own_pid = (int)raw0(SYS_getpid), pid = own_pid, tid = 0;
	const char *rest;

	rest = skip(s, "self/");
	if (!rest) {
		rest = skip(s, "thread-self/");
		if (rest)
			tid = (int)raw0(SYS_gettid);
	}
	if (!rest) {
		rest = skip_number(s, &pid);
		if (!rest || *rest++ != '/')
			return;
	}
	if (!strcmp(rest, "status")) {
		info->kind = PATH_STATUS;
		info->number = pid;
		return;
	}
	if (!tid) {
		tid = pid;
		if ((s = skip(rest, "task/"))) {
			rest = skip_number(s, &tid);
			if (!rest || *rest++ != '/')
				return;
		}
	}
	if (!strcmp(rest, "fail-nth") && pid == own_pid) {
		info->kind = PATH_FAIL_NTH;
		info->number = tid;
	}
}

/* "failslab/verbose" and the like. */
static bool is_knob(const char *s)
{
	static const char *const dirs[] = { "failslab/", "fail_page_alloc/", "fail_iommufd/" };
	static const char *const knobs[] = {
		"ignore-gfp-wait", "ignore-gfp-highmem", "verbose",
		"probability",	   "interval",		 "times",
		"space",	   "task-filter",	 "min-order",
	};
	const char *name = NULL;
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]) && !name; i++)
		name = skip(s, dirs[i]);
	for (i = 0; i < sizeof(knobs) / sizeof(knobs[0]) && name; i++)
		if (!strcmp(name, knobs[i]))
			return true;
	return false;
}

void path_look(const char *path, struct path_info *info)
{
	const char *rest;

	info->kind = PATH_OTHER;
	if (path[0] != '/') {
		if (is_knob(path))
			info->kind = PATH_KNOB;
		return;
	}
	switch (path[1]) {
	case 'd':
		if (!strcmp(path, "/dev/iommu"))
			info->kind = PATH_IOMMU;
		break;
	case 'p':
		if ((rest = skip(path, "/proc/")))
			look_proc(rest, info);
		break;
	case 's':
		rest = skip(path, "/sys/kernel/debug");
		if (rest && (!*rest || !strcmp(rest, "/")))
			info->kind = PATH_DEBUGFS;
		else if (rest && *rest == '/' && is_knob(rest + 1))
			info->kind = PATH_KNOB;
		break;
	default:
		break;
	}
}

/* Give a descriptor of the server the flags that the program asked for. */
static int dress(int fd, int flags)
{
	if (!(flags & O_CLOEXEC))
		(void)raw3(SYS_fcntl, fd, F_SETFD, 0);
	if (flags & O_NONBLOCK)
		(void)raw3(SYS_fcntl, fd, F_SETFL, O_NONBLOCK);
	known_discover(fd);
	return fd;
}

/* Return: a descriptor, or -errno. */
static long call_for_fd(struct door_call *call, int flags)
{
	long ret;
	int fd;

	ret = door_call(call, NULL, &fd);
	if (!ret && fd < 0)
		ret = -EMFILE;
	return ret < 0 ? ret : dress(fd, flags);
}

static int open_at_server(enum door_op op, int number, int flags, int before)
{
	struct door_call call = { .op = op, .fd = number };
	long ret = call_for_fd(&call, flags);

	errno = before;
	return (int)preload_return(ret);
}

long path_open_at_server(const char *path, int flags)
{
	struct door_call call = {
		.op = DOOR_OPEN,
		.a = (uint64_t)(uintptr_t)path,
		.b = strlen(path),
		.c = (uint64_t)(uint32_t)flags,
	};

	return call_for_fd(&call, flags);
}

/*
 * One line of a status file: copy it from *@from to @to, with @pages more if it
 * begins with @tag. Return: bytes written; *@from moves behind the line.
 */
static size_t copy_line(char *to, const char **from, const char *tag, uint64_t pages)
{
	const char *end = strchrnul(*from, '\n');
	size_t n;

	if (*end)
		end++;
	if (skip(*from, tag)) {
		n = (size_t)sprintf(to, "%s\t%8lu kB\n", tag,
				    strtoul(*from + strlen(tag), NULL, 10) + pages * 4);
	} else {
		n = (size_t)(end - *from);
		memcpy(to, *from, n);
	}
	*from = end;
	return n;
}

/* Replace what @fd reads by the same with our pinned and locked pages in it. */
static int amend_status(int fd, int flags, const struct door_reply *reply)
{
	char text[8192], out[8192 + 128];
	const char *from = text;
	size_t n = 0;
	long got, mfd;

	got = raw4(SYS_pread64, fd, text, sizeof(text) - 1, 0);
	/* One that does not fit (thousands of groups) stays as it is. */
	if (got <= 0 || got == sizeof(text) - 1)
		return fd;
	mfd = raw2(SYS_memfd_create, "status", 0);
	if (mfd < 0)
		return fd;
	text[got] = '\0';
	while (*from)
		n += skip(from, "VmLck:") ? copy_line(out + n, &from, "VmLck:", reply->v[1])
					  : copy_line(out + n, &from, "VmPin:", reply->v[0]);
	(void)raw4(SYS_pwrite64, mfd, out, n, 0);
	/* The program gets the number that it would have had. */
	(void)raw3(SYS_dup3, mfd, fd, flags & O_CLOEXEC);
	raw_close((int)mfd);
	return fd;
}

static int opened_status(int pid, int flags, int fd)
{
	struct door_call call = { .op = DOOR_STATUS, .a = (uint64_t)pid };
	struct door_reply reply;

	if (fd < 0 || !preload_is_client || door_call(&call, &reply, NULL))
		return fd;
	return reply.v[0] || reply.v[1] ? amend_status(fd, flags, &reply) : fd;
}

bool path_is_iommu(const char *path, int ret, int before)
{
	int saved = errno;
	struct path_info info;

	/* A path that the kernel could not read is not for us to read. */
	if (ret && saved == EFAULT)
		return false;
	path_look(path, &info);
	errno = info.kind == PATH_IOMMU ? before : saved;
	return info.kind == PATH_IOMMU;
}

int path_opened(int dirfd, const char *path, int flags, int fd, int before)
{
	int saved = errno, in_tree;
	struct path_info info;

	if (fd < 0 && saved == EFAULT)
		return fd;
	errno = before;
	if (tree_open(dirfd, path, flags, &in_tree)) {
		if (fd >= 0)
			raw_close(fd);
		return in_tree;
	}
	errno = saved;
	path_look(path, &info);
	switch (info.kind) {
	case PATH_IOMMU:
		if (fd >= 0)
			raw_close(fd);
		return open_at_server(DOOR_OPEN, 0, flags, before);
	case PATH_FAIL_NTH:
		if (!door_has_test_interface())
			break;
		if (fd >= 0)
			raw_close(fd);
		return open_at_server(DOOR_FAIL_NTH, info.number, flags, before);
	case PATH_STATUS:
		return opened_status(info.number, flags, fd);
	case PATH_KNOB:
		if (fd >= 0 || !door_has_test_interface())
			break;
		errno = before;
		return (int)preload_return(
			raw4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | (flags & O_CLOEXEC), 0));
	default:
		break;
	}
	errno = saved;
	return fd;
}
