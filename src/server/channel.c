// SPDX-License-Identifier: MIT
/*
 * One thread per channel: receive a call, carry it out, reply.
 *
 * A thread of its own per calling thread is the fastest way here (the reply
 * leaves from where the call arrived, with no hand-over) and the fairest: a
 * call that takes long delays nobody else. Nothing is allocated per call.
 *
 * Nothing that a client sends is trusted. A message of the wrong length, with
 * an unknown operation or out of turn ends the channel; descriptors attached to
 * one are dropped by the kernel, as we offer no room for them.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "abi/file.h"
#include "srv.h"

/* No path of ours is longer. */
#define MAX_OPEN_PATH 256

int channel_recv(struct srv_channel *ch, struct door_call *call)
{
	ssize_t got;

	/* MSG_TRUNC: the true length, also of a message that is too long. */
	do
		got = recv(ch->sock, call, sizeof(*call), MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	if (likely(got == sizeof(*call)))
		return 0;
	if (got > 0)
		base_log(&ch->srv->log, LOG_WARNING,
			 "server: process %d sent a message of %zd bytes: hung up", (int)ch->pid,
			 got);
	return -EPIPE;
}

int channel_send(struct srv_channel *ch, const struct door_reply *reply, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { (void *)reply, sizeof(*reply) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	do
		sent = fd < 0 ? send(ch->sock, reply, sizeof(*reply), MSG_NOSIGNAL)
			      : sendmsg(ch->sock, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == sizeof(*reply) ? 0 : -EPIPE;
}

long channel_ask(struct srv_channel *ch, enum door_op op, int number, int fd)
{
	struct door_reply ask = { .op = op, .fd = number };
	struct pollfd wait = { .fd = ch->sock, .events = POLLIN };
	struct door_call answer;

	if (channel_send(ch, &ask, fd))
		return -EPIPE;
	/* The call may hold locks that others in the same context want. */
	if (poll(&wait, 1, SRV_ASK_MS) == 1 && !channel_recv(ch, &answer) &&
	    answer.op == DOOR_ANSWER)
		return (long)answer.a;
	shutdown(ch->sock, SHUT_RDWR);
	return -EPIPE;
}

static int do_hello(struct srv_channel *ch, const struct door_call *call, struct door_reply *reply)
{
	struct srv *srv = ch->srv;
	struct srv_client *client;
	char path[64];
	int ret;

	if (ch->client || call->d != DOOR_VERSION)
		return -EPROTO;
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)ch->pid, call->fd);
	ch->tid = access(path, F_OK) ? ch->pid : call->fd;
	ret = client_get(ch, call, &client);
	if (ret)
		return ret;
	pthread_mutex_lock(&srv->lock);
	if (client->nchannels >= SRV_MAX_CHANNELS_CLIENT || client->gone) {
		pthread_mutex_unlock(&srv->lock);
		mem_space_put(&client->space);
		return -EMFILE;
	}
	client->nchannels++;
	ch->client = client;
	fail_attach(ch);
	pthread_mutex_unlock(&srv->lock);
	if (srv->params->test_interface)
		reply->v[0] |= DOOR_HAS_TEST_INTERFACE;
	return 0;
}

/* Hand out @file; the callee owns it. Return: 0 and the client's end, or -errno. */
static int give(struct srv_channel *ch, struct mem_file *file, int *fd)
{
	struct srv_file *f;
	int ret;

	ret = files_create(ch->client, file, false, &f, fd);
	if (ret) {
		mem_file_put(file);
		return ret;
	}
	reap_watch(f);
	files_put(f);
	return 0;
}

/* The path that a call names. Return: 0, or -errno. */
static int copy_path(struct srv_channel *ch, const struct door_call *call, char *path, size_t room)
{
	struct srv_task t;
	int ret;

	if (!call->a) {
		strcpy(path, "/dev/iommu");
		return 0;
	}
	if (call->b >= room)
		return -ENAMETOOLONG;
	task_begin(&t, ch, call->a);
	ret = task_copy_in(&t.task, path, call->a, call->b);
	task_end(&t);
	path[call->b] = '\0';
	return ret;
}

static long do_open(struct srv_channel *ch, const struct door_call *call, int *fd)
{
	char path[MAX_OPEN_PATH];
	struct mem_file *file;
	long ret;

	ret = copy_path(ch, call, path, sizeof(path));
	if (ret)
		return ret;
	fail_count(atomic_load(&ch->fail));
	ret = abi_open(ch->srv->machine, path, (int)call->c, &file);
	if (!ret)
		ret = give(ch, file, fd);
	fail_count(NULL);
	return ret;
}

static long do_stat(struct srv_channel *ch, const struct door_call *call, struct door_reply *reply)
{
	struct srv_file *f;
	long ret;

	ret = files_get(ch->client, call, &f);
	if (ret)
		return ret;
	reply->v[0] = f->file->major;
	reply->v[1] = f->file->minor;
	reply->v[2] = f->file->major == ABI_VFIO_GROUP_MAJOR ||
		      (f->file->ops->pread && f->file->ops->ioctl);
	files_put(f);
	return 0;
}

static long do_fail_nth(struct srv_channel *ch, const struct door_call *call, int *fd)
{
	struct mem_file *file;
	long ret;

	if (!ch->srv->params->test_interface)
		return -ENOENT;
	ret = fail_open(ch, call->fd, &file);
	return ret ? ret : give(ch, file, fd);
}

static long do_ioctl(struct srv_channel *ch, const struct door_call *call)
{
	struct srv_task t;
	struct srv_file *f;
	long ret;

	ret = files_get(ch->client, call, &f);
	if (ret)
		return ret;
	ret = -ENOTTY;
	if (f->file->ops->ioctl) {
		task_begin(&t, ch, call->b);
		ret = f->file->ops->ioctl(f->file, &t.task, (unsigned int)call->a, call->b);
		task_end(&t);
	}
	files_put(f);
	return ret;
}

static long do_mmap(struct srv_channel *ch, const struct door_call *call, struct door_reply *reply,
		    int *fd)
{
	struct mem_mapping mapping;
	struct srv_file *f;
	long ret;

	ret = files_get(ch->client, call, &f);
	if (ret)
		return ret;
	if (!f->file->ops->mmap)
		ret = -ENODEV;
	else if ((call->d & MAP_TYPE) == MAP_PRIVATE)
		ret = -EINVAL;
	else
		ret = f->file->ops->mmap(f->file, call->a, call->b, (int)call->c, &mapping);
	if (!ret) {
		*fd = mapping.fd;
		reply->v[0] = mapping.trap_start;
		reply->v[1] = mapping.trap_end;
		reply->v[2] = mapping.offset;
	}
	files_put(f);
	return ret;
}

/* read and write of a file with offsets. */
static ssize_t transfer_at(struct srv_file *f, struct srv_task *t, const struct door_call *call)
{
	const struct mem_file_ops *ops = f->file->ops;
	const bool positioned = call->c != DOOR_NO_OFFSET;
	const u64 offset = positioned ? call->c : atomic_load(&f->position);
	ssize_t ret = -EINVAL;

	if (call->op == DOOR_READ)
		ret = ops->pread(f->file, &t->task, call->a, call->b, offset);
	else if (ops->pwrite)
		ret = ops->pwrite(f->file, &t->task, call->a, call->b, offset);
	if (!positioned && ret > 0)
		atomic_fetch_add(&f->position, (u64)ret);
	return ret;
}

static ssize_t transfer(struct srv_file *f, struct srv_task *t, const struct door_call *call)
{
	const struct mem_file_ops *ops = f->file->ops;

	if (ops->pread)
		return transfer_at(f, t, call);
	if (call->c != DOOR_NO_OFFSET)
		return -ESPIPE;
	if (call->op == DOOR_READ && ops->read)
		return ops->read(f->file, &t->task, call->a, call->b);
	if (call->op != DOOR_READ && ops->write)
		return ops->write(f->file, &t->task, call->a, call->b);
	return -EINVAL;
}

static long do_transfer(struct srv_channel *ch, const struct door_call *call)
{
	struct srv_task t;
	struct srv_file *f;
	long ret;

	ret = files_get(ch->client, call, &f);
	if (ret)
		return ret;
	task_begin(&t, ch, call->a);
	if (call->op == DOOR_STORE) {
		memcpy(t.cache, &call->d, sizeof(call->d));
		t.ncached = sizeof(call->d);
	}
	ret = transfer(f, &t, call);
	task_end(&t);
	if (call->op != DOOR_READ && f->file->ops->raw_writes)
		tree_update(ch->srv);
	files_put(f);
	return ret;
}

static long do_commit(struct srv_channel *ch, const struct door_call *call)
{
	struct srv_file *f;
	long ret;

	ret = files_get(ch->client, call, &f);
	if (ret)
		return ret;
	ret = files_commit(f);
	files_put(f);
	return ret;
}

static void do_count(struct srv *srv, struct door_reply *reply)
{
	size_t bytes;

	siommu_machine_used(srv->machine, &bytes, NULL);
	reply->v[3] = bytes;
	pthread_mutex_lock(&srv->lock);
	reply->v[2] = srv->nclients;
	pthread_mutex_unlock(&srv->lock);
	pthread_mutex_lock(&srv->files_lock);
	reply->v[0] = srv->ncontexts;
	reply->v[1] = srv->nfiles - srv->ncontexts;
	pthread_mutex_unlock(&srv->files_lock);
}

/* Return: what the call returns; *@fd is a descriptor to go with it, or -1. */
static long dispatch(struct srv_channel *ch, const struct door_call *call, struct door_reply *reply,
		     int *fd)
{
	switch (call->op) {
	case DOOR_SHOW:
		*fd = show_text(ch->srv, call->a);
		return *fd < 0 ? *fd : 0;
	case DOOR_WALK:
		*fd = show_walk(ch->srv, call);
		return *fd < 0 ? *fd : 0;
	case DOOR_COUNT:
		do_count(ch->srv, reply);
		return 0;
	case DOOR_HELLO:
		return do_hello(ch, call, reply);
	default:
		break;
	}
	if (!ch->client)
		return -EPROTO;
	switch (call->op) {
	case DOOR_IOCTL:
		return do_ioctl(ch, call);
	case DOOR_READ:
	case DOOR_WRITE:
		return do_transfer(ch, call);
	case DOOR_STORE:
		return call->b <= sizeof(call->d) ? do_transfer(ch, call) : -EPROTO;
	case DOOR_OPEN:
		return do_open(ch, call, fd);
	case DOOR_MMAP:
		return do_mmap(ch, call, reply, fd);
	case DOOR_STAT:
		return do_stat(ch, call, reply);
	case DOOR_COMMIT:
		return do_commit(ch, call);
	case DOOR_FAIL_NTH:
		return do_fail_nth(ch, call, fd);
	case DOOR_STATUS:
		client_status(ch->srv, (pid_t)call->a, &reply->v[0], &reply->v[1]);
		return 0;
	case DOOR_SYNC:
		return 0;
	default:
		return -EPROTO;
	}
}

static void serve(struct srv_channel *ch)
{
	struct door_call call;

	while (!channel_recv(ch, &call)) {
		struct door_reply reply = { .op = DOOR_DONE };
		int ret, fd = -1;

		/* A newcomer need not wait for others; who asks what there is, must. */
		if (call.op != DOOR_HELLO)
			reap_settle(ch->srv, ch->client);
		reply.result = dispatch(ch, &call, &reply, &fd);
		if (reply.result == -EPROTO)
			base_log(&ch->srv->log, LOG_WARNING,
				 "server: process %d sent operation %u out of turn: hung up",
				 (int)ch->pid, call.op);
		ret = channel_send(ch, &reply, fd);
		if (fd >= 0)
			close(fd);
		if (ret || reply.result == -EPROTO)
			break;
	}
}

static void end(struct srv_channel *ch)
{
	struct srv *srv = ch->srv;
	struct srv_client *client;

	pthread_mutex_lock(&srv->lock);
	LIST_REMOVE(ch, link);
	client = ch->client;
	if (client)
		client->nchannels--;
	pthread_mutex_unlock(&srv->lock);
	close(ch->sock);
	fail_put(atomic_load(&ch->fail));
	if (client)
		mem_space_put(&client->space);
	base_free(&srv->alloc, ch, sizeof(*ch));

	pthread_mutex_lock(&srv->lock);
	srv->nchannels--;
	pthread_cond_broadcast(&srv->channel_gone);
	pthread_mutex_unlock(&srv->lock);
}

static void *channel_main(void *arg)
{
	struct srv_channel *ch = arg;

	serve(ch);
	end(ch);
	return NULL;
}

/* Other users get in where they could with a kernel: because root let them. */
static bool admit_other(struct srv *srv, pid_t pid)
{
	if (geteuid())
		return false;
	if (!srv->params->program)
		return true;
	while (pid > 1 && pid != srv->params->program)
		pid = client_parent_of(pid);
	return pid > 1;
}

/* May this peer use the server? */
static bool admit(struct srv *srv, const struct ucred *peer)
{
	if (peer->uid != geteuid() && !admit_other(srv, peer->pid)) {
		base_log(&srv->log, LOG_WARNING,
			 "server: refused process %d of user %u: it is another user's server",
			 (int)peer->pid, peer->uid);
		return false;
	}
	if (!peer->pid) {
		base_log(&srv->log, LOG_WARNING,
			 "server: refused a process of another pid namespace: its memory cannot "
			 "be reached");
		return false;
	}
	return true;
}

/* Caller holds lock. One process alone cannot take all there are. */
static bool is_full(struct srv *srv, pid_t pid)
{
	struct srv_channel *ch;
	unsigned int n = 0;

	if (srv->nchannels >= SRV_MAX_CHANNELS)
		return true;
	LIST_FOREACH(ch, &srv->channels, link)
		n += ch->pid == pid;
	/* With room for some that are told so: see do_hello(). */
	return n >= SRV_MAX_CHANNELS_CLIENT + 16;
}

/* Put @ch among the others. Return: whether there was room. */
static bool enlist(struct srv_channel *ch)
{
	struct srv *srv = ch->srv;
	bool full, stopping;

	pthread_mutex_lock(&srv->lock);
	stopping = srv->stopping;
	full = is_full(srv, ch->pid);
	if (!full && !stopping) {
		LIST_INSERT_HEAD(&srv->channels, ch, link);
		srv->nchannels++;
	}
	pthread_mutex_unlock(&srv->lock);
	if (full && !stopping)
		base_log(&srv->log, LOG_WARNING,
			 "server: refused process %d: it has %u threads here, or all have %u",
			 (int)ch->pid, SRV_MAX_CHANNELS_CLIENT, SRV_MAX_CHANNELS);
	return !full && !stopping;
}

void channel_start(struct srv *srv, int sock)
{
	struct srv_channel *ch;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) || !admit(srv, &peer))
		goto refuse;
	ch = base_zalloc(&srv->alloc, sizeof(*ch));
	if (!ch)
		goto refuse;
	ch->srv = srv;
	ch->sock = sock;
	ch->pid = peer.pid;
	ch->uid = peer.uid;
	if (enlist(ch)) {
		if (srv_start_thread(channel_main, ch))
			end(ch);
		return;
	}
	base_free(&srv->alloc, ch, sizeof(*ch));
refuse:
	close(sock);
}
