// SPDX-License-Identifier: MIT
/*
 * Calling the server.
 *
 * Each thread has a channel of its own, connected at its first call and closed
 * when it ends. A signal handler may interrupt a call and make another: that
 * one gets a channel for itself, so that the answers cannot be mixed up, also
 * if the handler never returns (longjmp).
 *
 * The calls are not interruptible, as in a kernel: a signal during one is
 * handled, and the wait goes on. If the server dies, the socket reports it at
 * once, and the call fails with EIO.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/un.h>

#include "raw.h"
#include "real.h"

/**
 * struct channel - a connection to the server
 * @fd: socket, or -1
 * @busy: a call is in progress, or was left by longjmp
 * @image: cookie of the image that connected it
 */
struct channel {
	int fd;
	bool busy;
	uint64_t image;
};

static __thread struct channel own __attribute__((tls_model("initial-exec"))) = { .fd = -1 };

static struct sockaddr_un server_address = { .sun_family = AF_UNIX };
static pthread_key_t exit_key;
static bool exit_key_made;
static _Atomic uint64_t server_flags;

static void drop(struct channel *ch)
{
	if (ch->fd >= 0)
		image_close_fd(ch->fd);
	ch->fd = -1;
}

void channel_forget(void)
{
	own.fd = -1;
}

static void thread_exits(void *arg)
{
	struct channel *ch = arg;

	if (ch->image == image_cookie_now())
		drop(ch);
}

void channel_init(void)
{
	const char *path = secure_getenv(DOOR_SOCKET_ENV);

	if (!path || !*path || strlen(path) >= sizeof(server_address.sun_path))
		return;
	strcpy(server_address.sun_path, path);
	preload_active = true;
	exit_key_made = !pthread_key_create(&exit_key, thread_exits);
	(void)pthread_atfork(NULL, NULL, image_after_fork);
}

const char *channel_path(void)
{
	return server_address.sun_path;
}

static long send_call(int fd, const struct door_call *call)
{
	long sent;

	do
		sent = raw6(SYS_sendto, fd, (long)call, sizeof(*call), MSG_NOSIGNAL, 0, 0);
	while (sent == -EINTR);
	return sent == sizeof(*call) ? 0 : -EIO;
}

/*
 * Receive one message; *@fd is the descriptor that came with it, or -1. @image
 * is the one that made the call: if a handler forks during it, the child comes
 * back here too, and must not take part.
 */
static long receive(const struct channel *ch, uint64_t image, struct door_reply *reply, int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { reply, sizeof(*reply) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	long got;

	*fd = -1;
	for (;;) {
		got = raw3(SYS_recvmsg, ch->fd, &msg, MSG_CMSG_CLOEXEC);
		if (likely(got == sizeof(*reply)))
			break;
		if (got != -EINTR || image != image_cookie_now())
			return -EIO;
	}
	if (msg.msg_controllen >= CMSG_LEN(sizeof(int)) && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(&control.head), sizeof(int));
	return 0;
}

/* Carry out what the server asks for in the middle of a call. */
static long oblige(struct channel *ch, const struct door_reply *ask, int fd)
{
	struct door_call answer = { .op = DOOR_ANSWER };

	switch (ask->op) {
	case DOOR_INSTALL:
		if (fd >= 0)
			known_discover(fd);
		answer.a = (uint64_t)(int64_t)(fd >= 0 ? fd : -EMFILE);
		break;
	case DOOR_REMOVE:
		known_forget(ask->fd);
		raw_close(ask->fd);
		break;
	case DOOR_PTRACER: {
		struct ucred peer;
		socklen_t len = sizeof(peer);

		if (!raw5(SYS_getsockopt, ch->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
			(void)raw5(SYS_prctl, PR_SET_PTRACER, peer.pid, 0, 0, 0);
		break;
	}
	default:
		if (fd >= 0)
			raw_close(fd);
		return -EIO;
	}
	return send_call(ch->fd, &answer);
}

static long exchange(struct channel *ch, const struct door_call *call, struct door_reply *reply,
		     int *fd)
{
	uint64_t image = ch->image;
	long ret = send_call(ch->fd, call);

	while (!ret) {
		ret = receive(ch, image, reply, fd);
		if (!ret && likely(reply->op == DOOR_DONE))
			return 0;
		if (!ret)
			ret = oblige(ch, reply, *fd);
	}
	return ret;
}

/* Say who we are, and let the server reach us where Yama would forbid it. */
static long greet(struct channel *ch)
{
	struct door_call hello = {
		.op = DOOR_HELLO,
		.fd = (int32_t)raw0(SYS_gettid),
		.a = (uint64_t)(uintptr_t)image_cookie_address(),
		.b = ch->image,
		.d = DOOR_VERSION,
	};
	socklen_t len = sizeof(struct ucred);
	struct door_reply reply;
	struct ucred peer;
	long ret;
	int fd;

	if (!raw5(SYS_getsockopt, ch->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		(void)raw5(SYS_prctl, PR_SET_PTRACER, peer.pid, 0, 0, 0);
	ret = exchange(ch, &hello, &reply, &fd);
	if (ret)
		return ret;
	if (reply.result < 0)
		return reply.result;
	atomic_store(&server_flags, reply.v[0]);
	preload_is_client = true;
	return 0;
}

static long connect_channel(struct channel *ch)
{
	long fd, ret;

	fd = raw3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	ch->fd = image_hide_fd((int)fd);
	do
		ret = raw3(SYS_connect, ch->fd, &server_address, sizeof(server_address));
	while (ret == -EINTR);
	ret = ret ? -EIO : greet(ch);
	if (ret)
		drop(ch);
	return ret;
}

/* A thread's first call: also in a forked child, for whom the old one is void. */
static long prepare(struct channel *ch)
{
	long ret;

	ch->image = image_cookie();
	ch->fd = -1;
	ret = ch->image ? connect_channel(ch) : -ENOMEM;
	if (!ret && ch == &own && exit_key_made)
		(void)pthread_setspecific(exit_key, ch);
	return ret;
}

static bool is_ready(const struct channel *ch)
{
	return ch->fd >= 0 && ch->image == image_cookie_now();
}

static long call_on(struct channel *ch, struct door_call *call, struct door_reply *reply, int *fd)
{
	long ret = 0;

	if (unlikely(!is_ready(ch)))
		ret = prepare(ch);
	if (likely(!ret)) {
		ret = exchange(ch, call, reply, fd);
		if (unlikely(ret))
			drop(ch);
	}
	return ret ? ret : (long)reply->result;
}

long door_call(struct door_call *call, struct door_reply *reply, int *fd)
{
	struct channel spare = { .fd = -1 };
	struct door_reply own_reply;
	int own_fd = -1;
	long ret;

	if (!reply)
		reply = &own_reply;
	if (unlikely(own.busy && is_ready(&own))) {
		ret = call_on(&spare, call, reply, &own_fd);
		drop(&spare);
	} else {
		own.busy = true;
		atomic_signal_fence(memory_order_seq_cst);
		ret = call_on(&own, call, reply, &own_fd);
		atomic_signal_fence(memory_order_seq_cst);
		own.busy = false;
	}
	if (fd)
		*fd = own_fd;
	else if (unlikely(own_fd >= 0))
		raw_close(own_fd);
	return ret;
}

void door_sync(void)
{
	struct door_call call = { .op = DOOR_SYNC };

	/* Not in a child that only tidies up before it execs. */
	if (is_ready(&own) && !own.busy && image_is_mine())
		(void)door_call(&call, NULL, NULL);
}

bool door_has_test_interface(void)
{
	struct door_call call = { .op = DOOR_SYNC };

	if (!preload_active || (!preload_is_client && door_call(&call, NULL, NULL)))
		return false;
	return atomic_load(&server_flags) & DOOR_HAS_TEST_INTERFACE;
}
