// SPDX-License-Identifier: MIT
/*
 * /proc/PID/task/TID/fail-nth, for programs that run under the server.
 *
 * Writing N makes the Nth allocation from then on fail, once; reading gives
 * what is left to count, 0 once it has failed. As in a kernel, what counts are
 * allocations made by the calls of that task. A call runs on its thread's
 * channel, so while one runs, a thread-local pointer names the counter, and the
 * library's one allocator asks fail_should().
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "srv.h"

struct fail_file {
	struct mem_file file;
	struct srv_fail *fail;
};

static __thread struct srv_fail *counting;

void fail_count(struct srv_fail *fail)
{
	counting = fail;
}

bool fail_should(void *arg)
{
	struct srv_fail *fail = counting;
	long left;

	(void)arg;
	if (likely(!fail))
		return false;
	left = atomic_load(&fail->left);
	while (left > 0)
		if (atomic_compare_exchange_weak(&fail->left, &left, left - 1))
			return left == 1;
	return false;
}

void fail_put(struct srv_fail *fail)
{
	if (fail && atomic_fetch_sub(&fail->refs, 1) == 1)
		base_free(&fail->srv->alloc, fail, sizeof(*fail));
}

static struct srv_fail *find_fail(struct srv_client *client, pid_t tid)
{
	struct srv_fail *fail;

	LIST_FOREACH(fail, &client->fails, link)
		if (fail->tid == tid)
			return fail;
	return NULL;
}

void fail_attach(struct srv_channel *ch)
{
	struct srv_fail *fail = find_fail(ch->client, ch->tid);

	if (fail) {
		atomic_fetch_add(&fail->refs, 1);
		atomic_store(&ch->fail, fail);
	}
}

/* The counter of @tid, made if need be and seen by all channels of that task. */
static struct srv_fail *get_fail(struct srv_channel *self, pid_t tid)
{
	struct srv *srv = self->srv;
	struct srv_channel *ch;
	struct srv_fail *fail;

	pthread_mutex_lock(&srv->lock);
	fail = find_fail(self->client, tid);
	if (!fail) {
		fail = base_zalloc(&srv->alloc, sizeof(*fail));
		if (!fail)
			goto out;
		fail->tid = tid;
		fail->srv = srv;
		atomic_store(&fail->refs, 1); /* the client's */
		LIST_INSERT_HEAD(&self->client->fails, fail, link);
		LIST_FOREACH(ch, &srv->channels, link)
			if (ch->client == self->client && ch->tid == tid)
				fail_attach(ch);
	}
	atomic_fetch_add(&fail->refs, 1);
out:
	pthread_mutex_unlock(&srv->lock);
	return fail;
}

static ssize_t fail_read(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			 u64 position)
{
	struct fail_file *f = container_of(file, struct fail_file, file);
	char text[24];
	size_t len;

	len = (size_t)snprintf(text, sizeof(text), "%ld\n", atomic_load(&f->fail->left));
	if (position >= len)
		return 0;
	n = min_u64(n, len - position);
	if (task_copy_out(task, ubuf, text + position, n))
		return -EFAULT;
	return (ssize_t)n;
}

static ssize_t fail_write(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			  u64 position)
{
	struct fail_file *f = container_of(file, struct fail_file, file);
	char text[24] = "", *end;
	long count;

	(void)position;
	if (task_copy_in(task, text, ubuf, min_u64(n, sizeof(text) - 1)))
		return -EFAULT;
	errno = 0;
	count = strtol(text, &end, 0);
	if (end == text || (*end && strcmp(end, "\n")) || errno || count < 0 || count > INT_MAX)
		return -EINVAL;
	atomic_store(&f->fail->left, count);
	return (ssize_t)n;
}

static void fail_release(struct mem_file *file)
{
	struct fail_file *f = container_of(file, struct fail_file, file);
	struct base_alloc *alloc = &f->fail->srv->alloc;

	fail_put(f->fail);
	mem_file_destroy(&f->file);
	base_free(alloc, f, sizeof(*f));
}

static const struct mem_file_ops fail_file_ops = {
	.name = "fail-nth",
	.polls_out = true,
	.pread = fail_read,
	.pwrite = fail_write,
	.release = fail_release,
};

int fail_open(struct srv_channel *ch, pid_t tid, struct mem_file **out)
{
	struct base_alloc *alloc = &ch->srv->alloc;
	struct fail_file *f;

	f = base_zalloc(alloc, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->fail = get_fail(ch, tid);
	if (!f->fail) {
		base_free(alloc, f, sizeof(*f));
		return -ENOMEM;
	}
	mem_file_init(&f->file, &fail_file_ops);
	*out = &f->file;
	return 0;
}
