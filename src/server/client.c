// SPDX-License-Identifier: MIT
/*
 * Client processes and their memory.
 *
 * What the core calls a space is one address space image, not one process: exec
 * gives a process a new one under the same number, and a number comes back when
 * its process is gone. So each image keeps a random cookie at an address that
 * it told us, and a read of its memory reads the cookie in the same system call
 * (which looks the address space up once for both). If it differs, the image
 * that we mean is gone: -EFAULT.
 *
 * Calls that the image itself makes need no such check: it waits for us.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "mem/procmaps.h"
#include "srv.h"

static struct srv_client *space_client(struct mem_space *space)
{
	return container_of(space, struct srv_client, space);
}

void client_explain(struct srv_client *client, int err)
{
	struct srv *srv = client->srv;

	if ((err != EPERM && err != EACCES) || atomic_exchange(&client->warned, true))
		return;
	base_log(&srv->log, LOG_ERR,
		 "server: may not reach the memory of process %d (user %u): it must not be "
		 "set-user-ID or undumpable (prctl PR_SET_DUMPABLE), and must run as the "
		 "server's user unless the server is root; with kernel.yama.ptrace_scope 2 or "
		 "3 the server must be root",
		 (int)client->pid, client->uid);
}

/* Is the memory behind our process number still the image's? */
static bool check_cookie(struct srv_client *client)
{
	u64 seen[2];
	struct iovec local = { seen, sizeof(seen) };
	struct iovec remote = { (void *)(uintptr_t)client->cookie_addr, sizeof(seen) };

	if (process_vm_readv(client->pid, &local, 1, &remote, 1, 0) != sizeof(seen)) {
		client_explain(client, errno);
		return false;
	}
	return !memcmp(seen, client->cookie, sizeof(seen));
}

int client_read_live(struct srv_client *client, u64 uva, void *buf, size_t n)
{
	u64 seen[2];
	struct iovec local[2] = { { seen, sizeof(seen) }, { buf, n } };
	struct iovec remote[2] = { { (void *)(uintptr_t)client->cookie_addr, sizeof(seen) },
				   { (void *)(uintptr_t)uva, n } };
	ssize_t got;

	got = process_vm_readv(client->pid, local, 2, remote, 2, 0);
	if (got < 0)
		client_explain(client, errno);
	if (got != (ssize_t)(sizeof(seen) + n) || memcmp(seen, client->cookie, sizeof(seen)))
		return -EFAULT;
	return 0;
}

int client_write_live(struct srv_client *client, u64 uva, const void *buf, size_t n)
{
	struct iovec local = { (void *)buf, n };
	struct iovec remote = { (void *)(uintptr_t)uva, n };

	/*
	 * No single call checks and writes; between the two an image could only
	 * be lost to an exec, which the check makes very unlikely to hit.
	 */
	if (!check_cookie(client))
		return -EFAULT;
	if (process_vm_writev(client->pid, &local, 1, &remote, 1, 0) != (ssize_t)n)
		return -EFAULT;
	return 0;
}

static int client_read(struct mem_space *space, u64 uva, void *buf, size_t n)
{
	struct srv_client *client = space_client(space);
	int ret = client_read_live(client, uva, buf, n);

	return ret && !check_cookie(client) ? shared_copy(client, uva, buf, n, false) : ret;
}

static int client_write(struct mem_space *space, u64 uva, const void *buf, size_t n)
{
	struct srv_client *client = space_client(space);
	int ret = client_write_live(client, uva, buf, n);

	return ret && !check_cookie(client) ? shared_copy(client, uva, (void *)buf, n, true) : ret;
}

static int client_find_vma(struct mem_space *space, u64 uva, struct mem_vma *vma)
{
	struct srv_client *client = space_client(space);
	char byte;
	int ret;

	ret = procmaps_find(client->maps_fd, uva, vma);
	if (ret)
		return ret;
	if (!vma->readable)
		return -EFAULT;
	/*
	 * The kernel pins no memory of drivers ([vvar], mapped registers), and
	 * reads none for us either: let it say which is which.
	 */
	ret = client_read_live(client, uva, &byte, 1);
	if (!ret)
		shared_remember(client, vma);
	return ret;
}

/*
 * The file behind a mapping, even one that no descriptor is left of. The kernel
 * lets only privileged processes have it; for others the core copies.
 */
static int client_open_vma(struct mem_space *space, const struct mem_vma *vma)
{
	char path[80];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)space_client(space)->pid,
		 (unsigned long long)vma->start, (unsigned long long)vma->last + 1);
	fd = open(path, (vma->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_ino != vma->ino) {
		close(fd);
		return -EFAULT;
	}
	return fd;
}

/* What everybody may read, where prlimit wants CAP_SYS_RESOURCE. 0 if the process is gone. */
static u64 memlock_from_text(pid_t pid)
{
	char path[40], line[160], word[24] = "0";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Max locked memory %23s", word) == 1)
			break;
	fclose(f);
	return strcmp(word, "unlimited") ? strtoull(word, NULL, 10) : U64_MAX;
}

static u64 client_memlock_limit(struct mem_space *space)
{
	pid_t pid = space_client(space)->pid;
	struct rlimit limit;

	if (prlimit(pid, RLIMIT_MEMLOCK, NULL, &limit))
		return memlock_from_text(pid);
	return limit.rlim_cur == RLIM_INFINITY ? U64_MAX : limit.rlim_cur;
}

static void client_free(struct srv_client *client)
{
	struct srv *srv = client->srv;
	struct srv_fail *fail;

	while ((fail = LIST_FIRST(&client->fails))) {
		LIST_REMOVE(fail, link);
		fail_put(fail);
	}
	shared_forget(client);
	if (client->maps_fd >= 0)
		close(client->maps_fd);
	if (client->pidfd >= 0)
		close(client->pidfd);
	base_free(&srv->alloc, client, sizeof(*client));
}

static void client_release(struct mem_space *space)
{
	struct srv_client *client = space_client(space);
	struct srv *srv = client->srv;

	pthread_mutex_lock(&srv->lock);
	LIST_REMOVE(client, link);
	srv->nclients--;
	pthread_mutex_unlock(&srv->lock);
	client_free(client);
}

static const struct mem_space_ops client_space_ops = {
	.read = client_read,
	.write = client_write,
	.find_vma = client_find_vma,
	.open_vma = client_open_vma,
	.memlock_limit = client_memlock_limit,
	.release = client_release,
};

/* Take a reference unless the last one is gone already; caller holds lock. */
static bool try_get(struct srv_client *client)
{
	unsigned int refs = atomic_load(&client->space.refs);

	while (refs)
		if (atomic_compare_exchange_weak(&client->space.refs, &refs, refs + 1))
			return true;
	return false;
}

static struct srv_client *find_image(struct srv *srv, pid_t pid, u64 cookie)
{
	struct srv_client *client;

	LIST_FOREACH(client, &srv->clients, link)
		if (client->pid == pid && client->cookie[0] == cookie && !client->gone &&
		    try_get(client))
			return client;
	return NULL;
}

pid_t client_parent_of(pid_t pid)
{
	char path[40], text[512], *paren;
	int fd, parent = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	paren = strrchr(text, ')'); /* the name before it may contain anything */
	return paren && sscanf(paren, ") %*c %d", &parent) == 1 ? parent : 0;
}

static struct srv_client *lowest_after(struct srv *srv, u64 serial)
{
	struct srv_client *client, *best = NULL;

	LIST_FOREACH(client, &srv->clients, link)
		if (client->serial > serial && !client->gone &&
		    (!best || client->serial < best->serial))
			best = client;
	return best;
}

struct srv_client *client_after(struct srv *srv, u64 serial)
{
	struct srv_client *client;

	pthread_mutex_lock(&srv->lock);
	while ((client = lowest_after(srv, serial)) && !try_get(client))
		serial = client->serial;
	pthread_mutex_unlock(&srv->lock);
	return client;
}

static int make_client(struct srv_channel *ch, const struct door_call *hello,
		       struct srv_client **out)
{
	struct srv *srv = ch->srv;
	struct srv_client *client;
	char path[40];
	int ret = -EPERM;

	client = base_zalloc(&srv->alloc, sizeof(*client));
	if (!client)
		return -ENOMEM;
	LIST_INIT(&client->fails);
	LIST_INIT(&client->mappings);
	client->srv = srv;
	client->serial = srv_new_serial(srv);
	client->pid = ch->pid;
	client->uid = ch->uid;
	client->parent = client_parent_of(ch->pid);
	client->group = getpgid(ch->pid);
	client->cookie_addr = hello->a;
	client->cookie[0] = hello->b;
	client->cookie[1] = DOOR_COOKIE_MAGIC;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)client->pid);
	client->maps_fd = open(path, O_RDONLY | O_CLOEXEC);
	client->pidfd = (int)syscall(SYS_pidfd_open, client->pid, 0);
	if (client->pidfd < 0 || !check_cookie(client))
		goto err_free;
	ret = mem_space_init(&client->space, &client_space_ops, machine_host(srv->machine),
			     client->uid);
	if (ret)
		goto err_free;
	*out = client;
	return 0;

err_free:
	client_free(client);
	return ret;
}

static void watch_client(struct srv_client *client)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = client->serial };

	/* Without it a channel still ends with its process, unless a child holds it too. */
	(void)epoll_ctl(client->srv->main_ep, EPOLL_CTL_ADD, client->pidfd, &ev);
}

int client_get(struct srv_channel *ch, const struct door_call *hello, struct srv_client **out)
{
	struct srv_client *found, *made;
	struct srv *srv = ch->srv;
	int ret;

	pthread_mutex_lock(&srv->lock);
	found = find_image(srv, ch->pid, hello->b);
	pthread_mutex_unlock(&srv->lock);
	if (found) {
		*out = found;
		return 0;
	}
	ret = make_client(ch, hello, &made);
	if (ret)
		return ret;
	/* Another thread of the same image may have been quicker. */
	pthread_mutex_lock(&srv->lock);
	found = find_image(srv, ch->pid, hello->b);
	LIST_INSERT_HEAD(&srv->clients, made, link);
	srv->nclients++;
	pthread_mutex_unlock(&srv->lock);
	if (found) {
		mem_space_put(&made->space);
		*out = found;
		return 0;
	}
	watch_client(made);
	*out = made;
	return 0;
}

int client_take_fd(struct srv_client *client, int fd)
{
	int ret;

	if (fd < 0)
		return -EBADF;
	ret = (int)syscall(SYS_pidfd_getfd, client->pidfd, fd, 0);
	if (ret >= 0)
		return ret;
	client_explain(client, errno);
	return errno == EMFILE || errno == ENFILE ? -EMFILE : -EBADF;
}

void client_gone(struct srv *srv, u64 serial)
{
	struct srv_client *client;
	struct srv_channel *ch;

	pthread_mutex_lock(&srv->lock);
	LIST_FOREACH(client, &srv->clients, link)
		if (client->serial == serial)
			break;
	if (client) {
		client->gone = true;
		epoll_ctl(srv->main_ep, EPOLL_CTL_DEL, client->pidfd, NULL);
		LIST_FOREACH(ch, &srv->channels, link)
			if (ch->client == client)
				shutdown(ch->sock, SHUT_RDWR);
	}
	pthread_mutex_unlock(&srv->lock);
}

void client_status(struct srv *srv, pid_t pid, u64 *pinned, u64 *locked)
{
	struct mem_host *host = machine_host(srv->machine);
	struct srv_client *client;

	*pinned = 0;
	*locked = 0;
	pthread_mutex_lock(&srv->lock);
	LIST_FOREACH(client, &srv->clients, link) {
		if (client->pid != pid || client->gone)
			continue;
		pthread_mutex_lock(&host->lock);
		*pinned += client->space.pinned;
		*locked += client->space.locked;
		pthread_mutex_unlock(&host->lock);
	}
	pthread_mutex_unlock(&srv->lock);
}
