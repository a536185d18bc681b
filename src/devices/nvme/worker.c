// SPDX-License-Identifier: MIT
/*
 * Workers: threads that serve queues, and rest.
 *
 * After work a worker looks for more for a short time, then sleeps until it is woken: it
 * says that it is asleep, looks once more, and whoever stores something for it first
 * stores and then looks whether it is asleep. All of these are sequentially consistent. Where
 * doorbells are plain memory nobody wakes it for them: it naps, longer each time, up to MAX_NAP_NS.
 */
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nvme.h"

#define MIN_NAP_NS ((u64)20000)
#define MAX_NAP_NS ((u64)2000000)

u64 nvme_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static void futex_wait(_Atomic u32 *word, u32 value, u64 ns)
{
	const struct timespec timeout = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns ? &timeout : NULL, NULL, 0);
}

void nvme_wake(struct nvme_worker *w)
{
	if (atomic_load(&w->asleep) && atomic_exchange(&w->asleep, 0))
		syscall(SYS_futex, &w->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void nvme_pause(struct nvme_worker *w)
{
	pthread_mutex_lock(&w->gate);
	atomic_store(&w->stopping, 1);
	pthread_mutex_lock(&w->lock);
}

void nvme_resume(struct nvme_worker *w)
{
	pthread_mutex_unlock(&w->lock);
	atomic_store(&w->stopping, 0);
	pthread_mutex_unlock(&w->gate);
	nvme_wake(w);
}

/* Queues that share completions share a worker. */
struct nvme_worker *nvme_worker_of(struct nvme_ctrl *ctrl, unsigned int cqid)
{
	return &ctrl->workers[cqid ? (cqid - 1) % ctrl->nworkers : 0];
}

static bool may_serve(struct nvme_ctrl *ctrl)
{
	return atomic_load(&ctrl->running) && pci_may_dma(&ctrl->func);
}

/* Return: was there something to do? Context: w->lock. */
static bool serve(struct nvme_worker *w)
{
	struct nvme_ctrl *ctrl = w->ctrl;
	bool busy = false;
	unsigned int i;

	if (!w->index && atomic_load(&ctrl->control)) {
		nvme_control(ctrl);
		busy = true;
	}
	if (!may_serve(ctrl))
		return busy;
	for (i = 0; i < w->nsqs && !atomic_load(&w->stopping) && atomic_load(&ctrl->running); i++)
		busy |= nvme_sq_run(w, w->sqs[i]);
	if (!w->index && atomic_load(&ctrl->events_ready))
		nvme_events_post(w);
	nvme_signal_again(w);
	if (w->deadline)
		nvme_signal_late(w);
	if (ctrl->poll && atomic_load_explicit(&ctrl->pin_high, memory_order_relaxed))
		nvme_heads_look(w);
	return busy;
}

/* How long to sleep; 0: until woken. */
static u64 nap(struct nvme_worker *w, u64 now)
{
	u64 ns = 0;

	if (!may_serve(w->ctrl))
		return 0;
	if (w->ctrl->poll) {
		w->nap_ns = w->nap_ns ? min_u64(2 * w->nap_ns, MAX_NAP_NS) : MIN_NAP_NS;
		ns = w->nap_ns;
	}
	if (w->deadline && (!ns || w->deadline < now + ns))
		ns = w->deadline > now ? w->deadline - now : 1;
	return ns;
}

/* Is there nothing to do? Then whoever has something wakes us. Context: w->lock. */
static bool settle(struct nvme_worker *w)
{
	struct nvme_ctrl *ctrl = w->ctrl;

	atomic_store(&w->asleep, 1);
	if (atomic_load(&ctrl->quit) || (!w->index && atomic_load(&ctrl->control)))
		return false;
	if (!may_serve(ctrl))
		return true;
	if (!w->index && atomic_load(&ctrl->events_ready) && nvme_cq_room(w, &ctrl->cqs[0]))
		return false;
	return !nvme_queues_arm(w) && !atomic_load(&w->again);
}

/* Nothing was found to do. Return: how long to sleep, or U64_MAX to look again. */
static u64 rest(struct nvme_worker *w)
{
	u64 now = nvme_now();

	if (!w->idle_since)
		w->idle_since = now;
	if (now - w->idle_since < w->ctrl->spin_ns && may_serve(w->ctrl))
		return U64_MAX;
	if (settle(w))
		return nap(w, now);
	atomic_store(&w->asleep, 0);
	return U64_MAX;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Return: false to end. */
static bool turn(struct nvme_worker *w)
{
	u64 ns = U64_MAX;

	pthread_mutex_lock(&w->lock);
	if (atomic_load(&w->ctrl->quit)) {
		pthread_mutex_unlock(&w->lock);
		return false;
	}
	if (serve(w)) {
		w->idle_since = 0;
		w->nap_ns = 0;
	} else {
		ns = rest(w);
	}
	pthread_mutex_unlock(&w->lock);
	if (ns != U64_MAX) {
		futex_wait(&w->asleep, 1, ns);
		atomic_store(&w->asleep, 0);
	} else {
		relax();
	}
	/* Let whoever waits for the lock have it. */
	if (unlikely(atomic_load(&w->stopping))) {
		pthread_mutex_lock(&w->gate);
		pthread_mutex_unlock(&w->gate);
	}
	return true;
}

static void *worker_main(void *arg)
{
	while (turn(arg))
		;
	return NULL;
}

static int start_thread(struct nvme_worker *w)
{
	char name[16];
	int rc = pci_thread_start(&w->thread, worker_main, w);

	if (rc)
		return rc;
	w->started = true;
	snprintf(name, sizeof(name), "nvme-%u", w->index);
	pthread_setname_np(w->thread, name);
	return 0;
}

static int worker_start(struct nvme_ctrl *ctrl, struct nvme_worker *w)
{
	struct base_alloc *alloc = ctrl->func.alloc;
	int rc;

	w->sqs = base_zalloc_array(alloc, ctrl->queues + 1, sizeof(struct nvme_sq *));
	w->cqs = base_zalloc_array(alloc, ctrl->queues + 1, sizeof(struct nvme_cq *));
	w->bounce = base_zalloc_sparse(alloc, NVME_BOUNCE);
	w->compare = base_zalloc_sparse(alloc, NVME_BOUNCE);
	if (!w->sqs || !w->cqs || !w->bounce || !w->compare)
		return -ENOMEM;
	rc = pci_port_create(&ctrl->func, NULL, NULL, &w->port);
	return rc ? rc : start_thread(w);
}

static void worker_end(struct nvme_ctrl *ctrl, struct nvme_worker *w)
{
	struct base_alloc *alloc = ctrl->func.alloc;
	const unsigned int n = ctrl->queues + 1;

	if (w->started)
		pthread_join(w->thread, NULL);
	siommu_port_destroy(w->port);
	base_free_sparse(alloc, w->compare, NVME_BOUNCE);
	base_free_sparse(alloc, w->bounce, NVME_BOUNCE);
	if (w->cqs)
		base_free(alloc, w->cqs, n * sizeof(*w->cqs));
	if (w->sqs)
		base_free(alloc, w->sqs, n * sizeof(*w->sqs));
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->gate);
}

int nvme_workers_start(struct nvme_ctrl *ctrl, unsigned int n)
{
	int rc = 0;

	ctrl->nworkers = n;
	for (n = 0; n < ctrl->nworkers; n++) {
		struct nvme_worker *w = &ctrl->workers[n];

		w->ctrl = ctrl;
		w->index = n;
		pthread_mutex_init(&w->gate, NULL);
		pthread_mutex_init(&w->lock, NULL);
	}
	for (n = 0; n < ctrl->nworkers && !rc; n++)
		rc = worker_start(ctrl, &ctrl->workers[n]);
	if (rc)
		nvme_workers_end(ctrl);
	return rc;
}

void nvme_workers_end(struct nvme_ctrl *ctrl)
{
	unsigned int i;

	atomic_store(&ctrl->quit, true);
	atomic_store(&ctrl->cancel, true);
	for (i = 0; i < ctrl->nworkers; i++)
		nvme_wake(&ctrl->workers[i]);
	for (i = 0; i < ctrl->nworkers; i++)
		worker_end(ctrl, &ctrl->workers[i]);
}
