// SPDX-License-Identifier: MIT
/*
 * Last closes.
 *
 * They are noticed by threads of their own, so that nothing outlives a process
 * that was killed. There is always one more of these ready: to close a context
 * may take long, or wait for a call that its client stalls.
 *
 * But a program may also rely on the order of things: what it closed before a
 * call, or what a child held that it has waited for, is gone in that call. So
 * every call looks first for last closes that nobody has handled, which is one
 * system call that finds nothing. A last close stays visible to that look until
 * it was carried out. Who sees it and could know of it waits for its end; a
 * call of an unrelated process goes on.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "srv.h"

int reap_init(struct srv *srv)
{
	struct epoll_event wake = { .events = EPOLLIN, .data.u64 = 0 };

	pthread_cond_init(&srv->file_closed, NULL);
	srv->hup_ep = epoll_create1(EPOLL_CLOEXEC);
	srv->reap_ep = epoll_create1(EPOLL_CLOEXEC);
	srv->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (srv->hup_ep < 0 || srv->reap_ep < 0 || srv->wake_fd < 0)
		return -errno;
	return epoll_ctl(srv->reap_ep, EPOLL_CTL_ADD, srv->wake_fd, &wake) ? -errno : 0;
}

void reap_watch(struct srv_file *f)
{
	struct epoll_event once = { .events = EPOLLET, .data.u64 = f->serial };
	struct epoll_event level = { .events = 0, .data.u64 = f->serial };
	struct srv *srv = f->srv;

	pthread_mutex_lock(&srv->files_lock);
	f->open = true;
	f->refs++;
	pthread_mutex_unlock(&srv->files_lock);
	/* The caller's reference keeps it from being closed meanwhile. */
	if (epoll_ctl(srv->hup_ep, EPOLL_CTL_ADD, f->wr, &level) ||
	    epoll_ctl(srv->reap_ep, EPOLL_CTL_ADD, f->wr, &once))
		base_log(&srv->log, LOG_ERR, "server: cannot watch a descriptor: %m");
}

/* Caller holds files_lock. Return: @f is to be released, without the lock. */
static bool last_close(struct srv *srv, struct srv_file *f)
{
	f->open = false;
	if (files_drop_ref(f))
		return true;
	/* A call still uses it, and will release it. */
	epoll_ctl(srv->hup_ep, EPOLL_CTL_DEL, f->wr, NULL);
	return false;
}

/* Could @client know that @f was closed: is it a relative of all who held it? */
static bool is_related(const struct srv_file *f, const struct srv_client *client)
{
	return !f->group || f->group == client->group || f->opener->parent == client->pid;
}

/* Carry out a last close, or @wait until somebody else has. */
static void settle_one(struct srv *srv, u64 serial, const struct srv_client *client, bool wait)
{
	struct srv_file *f;
	bool last = false;

	pthread_mutex_lock(&srv->files_lock);
	f = files_find_serial(srv, serial);
	if (f && client && !is_related(f, client))
		f = NULL;
	if (f && f->open)
		last = last_close(srv, f);
	else
		while (f && wait) {
			pthread_cond_wait(&srv->file_closed, &srv->files_lock);
			f = files_find_serial(srv, serial);
		}
	pthread_mutex_unlock(&srv->files_lock);
	if (last)
		files_release(f);
}

void reap_settle(struct srv *srv, const struct srv_client *client)
{
	struct epoll_event ev[16];
	unsigned int rounds = 0;
	int i, n;

	do {
		n = epoll_wait(srv->hup_ep, ev, ARRAY_SIZE(ev), 0);
		for (i = 0; i < n; i++)
			settle_one(srv, ev[i].data.u64, client, true);
		/* Those of others stay, and come up in turn: once each is enough. */
	} while (n == ARRAY_SIZE(ev) && rounds++ <= srv->max_files / ARRAY_SIZE(ev));
}

static int start_reaper(struct srv *srv);

/* Keep one or two that are idle. Caller holds files_lock. */
static bool go_on(struct srv *srv)
{
	return !srv->reapers_stop && srv->nreapers_idle <= 2;
}

static void *reaper_main(void *arg)
{
	struct srv *srv = arg;
	struct epoll_event ev;
	int n;

	pthread_mutex_lock(&srv->files_lock);
	while (go_on(srv)) {
		pthread_mutex_unlock(&srv->files_lock);
		n = epoll_wait(srv->reap_ep, &ev, 1, -1);
		pthread_mutex_lock(&srv->files_lock);
		if (n != 1 || srv->reapers_stop)
			continue;
		if (!--srv->nreapers_idle)
			(void)start_reaper(srv);
		pthread_mutex_unlock(&srv->files_lock);
		settle_one(srv, ev.data.u64, NULL, false);
		pthread_mutex_lock(&srv->files_lock);
		srv->nreapers_idle++;
	}
	srv->nreapers_idle--;
	srv->nreapers--;
	pthread_cond_broadcast(&srv->file_closed);
	pthread_mutex_unlock(&srv->files_lock);
	return NULL;
}

/* Caller holds files_lock. */
static int start_reaper(struct srv *srv)
{
	int ret;

	if (srv->nreapers >= SRV_MAX_REAPERS)
		return -EAGAIN;
	ret = srv_start_thread(reaper_main, srv);
	if (!ret) {
		srv->nreapers++;
		srv->nreapers_idle++;
	}
	return ret;
}

int reap_start(struct srv *srv)
{
	int ret;

	pthread_mutex_lock(&srv->files_lock);
	ret = start_reaper(srv);
	pthread_mutex_unlock(&srv->files_lock);
	return ret;
}

bool reap_stop(struct srv *srv)
{
	struct timespec until;
	int ret = 0;

	srv_deadline(&until);
	pthread_mutex_lock(&srv->files_lock);
	srv->reapers_stop = true;
	(void)!write(srv->wake_fd, &(u64){ 1 }, sizeof(u64));
	while (srv->nreapers && !ret)
		ret = pthread_cond_timedwait(&srv->file_closed, &srv->files_lock, &until);
	pthread_mutex_unlock(&srv->files_lock);
	return !ret;
}

void reap_destroy(struct srv *srv)
{
	struct srv_file *f;
	size_t i;

	for (i = 0; i < SRV_FILE_BUCKETS; i++)
		while ((f = LIST_FIRST(&srv->files_by_serial[i])))
			settle_one(srv, f->serial, NULL, false);
	close(srv->wake_fd);
	close(srv->reap_ep);
	close(srv->hup_ep);
}
