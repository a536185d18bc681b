// SPDX-License-Identifier: MIT
/* Talking to a running server, and finding the preload library. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/proto.h"
#include "softiommu.h"

int connect_server(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

int ask_server(int sock, const struct door_call *call)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct door_reply reply;
	struct iovec iov = { &reply, sizeof(reply) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (send(sock, call, sizeof(*call), MSG_NOSIGNAL) != sizeof(*call) ||
	    recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != sizeof(reply))
		return -EIO;
	if (reply.result < 0)
		return (int)reply.result;
	if (msg.msg_controllen < CMSG_LEN(sizeof(int)))
		return -EMFILE;
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(int));
	return fd;
}

int print_tree(int sock, bool past, FILE *out)
{
	char buf[8192];
	off_t at = 0;
	ssize_t n;
	int fd = ask_server(sock, &(struct door_call){ .op = DOOR_SHOW, .a = past });

	if (fd < 0)
		return fd;
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		fwrite(buf, 1, (size_t)n, out);
		at += n;
	}
	fflush(out);
	close(fd);
	return 0;
}

/* In the build tree the library lies in a folder beside ours; installed, where it was put. */
const char *find_preload(void)
{
	static const char *const beside[] = { "libsoftiommu-preload.so",
					      "../src/preload/libsoftiommu-preload.so" };
	static char path[PATH_MAX + 64];
	char exe[PATH_MAX], *slash;
	ssize_t n;
	size_t i;

	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		slash = strrchr(exe, '/');
		*slash = '\0';
		for (i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
			snprintf(path, sizeof(path), "%s/%s", exe, beside[i]);
			if (!access(path, R_OK))
				return path;
		}
	}
	if (!access(PRELOAD_INSTALLED, R_OK))
		return PRELOAD_INSTALLED;
	complain("the preload library is missing: neither beside this program nor at %s; "
		 "build or install softiommu again",
		 PRELOAD_INSTALLED);
	return NULL;
}

char *preload_value(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *value = NULL;

	if (old && strstr(old, library)) /* run below run */
		return strdup(old);
	if (asprintf(&value, old && *old ? "%s:%s" : "%s", library, old) < 0)
		return NULL;
	return value;
}
