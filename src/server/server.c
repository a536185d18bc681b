// SPDX-License-Identifier: MIT
/*
 * The server process: start, the main loop, and an orderly end.
 *
 * The main thread takes new connections, and watches signals and the ends of
 * client processes. When it serves one program (`softiommu run`) it leaves
 * after that program, but not before whatever the program left running has let
 * go of its descriptors.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "srv.h"

/* What the main loop waits for; anything above is a client's serial. */
enum { EV_LISTEN, EV_SIGNAL, EV_PROGRAM, EV_FIRST_SERIAL };

#define STOP_SECONDS 5

u64 srv_new_serial(struct srv *srv)
{
	return __atomic_fetch_add(&srv->next_serial, 1, __ATOMIC_RELAXED);
}

bool srv_is_idle(struct srv *srv)
{
	unsigned int nfiles, nchannels;

	pthread_mutex_lock(&srv->files_lock);
	nfiles = srv->nfiles;
	pthread_mutex_unlock(&srv->files_lock);
	pthread_mutex_lock(&srv->lock);
	nchannels = srv->nchannels;
	pthread_mutex_unlock(&srv->lock);
	return !nfiles && !nchannels;
}

int srv_start_thread(void *(*main)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, SRV_STACK_BYTES);
	ret = pthread_create(&thread, &attr, main, arg);
	pthread_attr_destroy(&attr);
	return ret ? -EAGAIN : 0;
}

void srv_deadline(struct timespec *until)
{
	clock_gettime(CLOCK_REALTIME, until);
	until->tv_sec += STOP_SECONDS;
}

static void log_line(void *arg, int level, const char *line)
{
	(void)arg;
	(void)level;
	fprintf(stderr, "softiommu: %s\n", line);
}

static int listen_on(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Others may connect only where they are let in: channel.c, admit(). */
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    chmod(path, geteuid() ? 0600 : 0666) || listen(fd, 256)) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

static int add_event(struct srv *srv, int fd, u64 what)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = what };

	return epoll_ctl(srv->main_ep, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int open_machine(struct srv *srv)
{
	struct siommu_machine_params params = {
		.size = sizeof(params),
		.quota = srv->params->quota,
		.test_interface = srv->params->test_interface,
		.log = log_line,
		.log_level = srv->params->log_level,
		.should_fail = fail_should,
		.iommu_2020 = srv->params->iommu_2020,
		.prq_timeout_ms = srv->params->prq_timeout_ms,
		.pasid_quota = srv->params->pasid_quota,
	};
	char error[TOPOLOGY_ERROR];
	int ret;

	ret = siommu_machine_create(&params, &srv->machine);
	if (!ret)
		ret = guard_start(machine_host(srv->machine));
	if (ret)
		return ret;
	ret = topology_build(srv->machine, &srv->params->topology, &srv->built, error);
	if (ret) {
		base_log(&srv->log, LOG_ERR, "%s", error);
		return ret;
	}
	return 0;
}

/* Only when the socket is ours is the tree beside it. */
static int open_tree(struct srv *srv)
{
	int ret = tree_create(srv);

	if (ret)
		base_log(&srv->log, LOG_ERR, "server: cannot make %s" DOOR_TREE_SUFFIX ": %s",
			 srv->params->socket_path, strerror(-ret));
	return ret;
}

/* As many descriptors as the system lets us have, less some for ourselves. */
static unsigned int raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 256;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > 8192 ? (unsigned int)min_u64(limit.rlim_cur - 4096, 1 << 20)
				     : (unsigned int)limit.rlim_cur / 2;
}

static int server_init(struct srv *srv, const struct server_params *params)
{
	int ret;

	memset(srv, 0, sizeof(*srv));
	srv->params = params;
	srv->log.fn = log_line;
	srv->log.level = params->log_level;
	srv->alloc.should_fail = fail_should;
	srv->next_serial = EV_FIRST_SERIAL;
	pthread_mutex_init(&srv->lock, NULL);
	pthread_cond_init(&srv->channel_gone, NULL);
	pthread_mutex_init(&srv->files_lock, NULL);
	srv->program_fd = -1;
	srv->max_files = raise_limits();
	srv->main_ep = epoll_create1(EPOLL_CLOEXEC);
	srv->signal_fd = open_signals();
	if (srv->main_ep < 0 || srv->signal_fd < 0)
		return -ENFILE;
	ret = reap_init(srv);
	if (!ret)
		ret = open_machine(srv);
	if (!ret)
		ret = add_event(srv, srv->signal_fd, EV_SIGNAL);
	if (!ret && params->program) {
		srv->program_fd = (int)syscall(SYS_pidfd_open, params->program, 0);
		ret = srv->program_fd < 0 ? -errno : add_event(srv, srv->program_fd, EV_PROGRAM);
	}
	if (ret)
		return ret;
	srv->listen_fd = listen_on(params->socket_path);
	ret = srv->listen_fd < 0 ? srv->listen_fd : add_event(srv, srv->listen_fd, EV_LISTEN);
	return ret ? ret : open_tree(srv);
}

static void take_connections(struct srv *srv)
{
	int sock;

	while ((sock = accept4(srv->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		channel_start(srv, sock);
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		base_log(&srv->log, LOG_ERR, "server: cannot take a connection: %m");
		usleep(10000);
	}
}

static void handle_event(struct srv *srv, u64 what)
{
	switch (what) {
	case EV_LISTEN:
		take_connections(srv);
		break;
	case EV_SIGNAL:
		srv->stopping = true;
		break;
	case EV_PROGRAM:
		epoll_ctl(srv->main_ep, EPOLL_CTL_DEL, srv->program_fd, NULL);
		srv->draining = true;
		break;
	default:
		client_gone(srv, what);
		break;
	}
}

static void main_loop(struct srv *srv)
{
	struct epoll_event ev[16];
	int i, n;

	while (!srv->stopping) {
		n = epoll_wait(srv->main_ep, ev, ARRAY_SIZE(ev), srv->draining ? 10 : -1);
		for (i = 0; i < n; i++)
			handle_event(srv, ev[i].data.u64);
		if (srv->draining && srv_is_idle(srv))
			break;
	}
}

/* Hang up on everybody and wait for calls in progress. */
static bool end_channels(struct srv *srv)
{
	struct srv_channel *ch;
	struct timespec until;
	int ret = 0;

	srv_deadline(&until);
	pthread_mutex_lock(&srv->lock);
	srv->stopping = true;
	LIST_FOREACH(ch, &srv->channels, link)
		shutdown(ch->sock, SHUT_RDWR);
	while (srv->nchannels && !ret)
		ret = pthread_cond_timedwait(&srv->channel_gone, &srv->lock, &until);
	pthread_mutex_unlock(&srv->lock);
	return !ret;
}

static void remove_socket(const struct server_params *params)
{
	unlink(params->socket_path);
	if (params->socket_dir)
		rmdir(params->socket_dir);
}

void server_clean_up(const struct server_params *params)
{
	(void)tree_remove(params->socket_path);
	remove_socket(params);
}

static void server_end(struct srv *srv)
{
	tree_destroy(srv);
	remove_socket(srv->params);
	close(srv->listen_fd);
	if (!end_channels(srv) || !reap_stop(srv))
		return; /* a call hangs: the end of the process ends it */
	reap_destroy(srv);
	topology_unbuild(&srv->built);
	guard_stop();
	siommu_machine_destroy(srv->machine);
	if (atomic_load(&srv->alloc.blocks))
		base_log(&srv->log, LOG_WARNING, "server: %zu blocks were not freed",
			 atomic_load(&srv->alloc.blocks));
	free(srv->closed_text);
	close(srv->main_ep);
	close(srv->signal_fd);
	if (srv->program_fd >= 0)
		close(srv->program_fd);
}

int server_main(const struct server_params *params)
{
	static struct srv srv;
	char line[256];
	int ret;

	ret = server_init(&srv, params);
	if (!ret)
		ret = reap_start(&srv);
	if (ret) {
		snprintf(line, sizeof(line), "cannot serve on %s: %s", params->socket_path,
			 strerror(-ret));
		params->report(params->report_arg, line);
		tree_destroy(&srv);
		if (ret != -EADDRINUSE)
			remove_socket(params);
		return 1;
	}
	params->report(params->report_arg, NULL);
	main_loop(&srv);
	server_end(&srv);
	return 0;
}
