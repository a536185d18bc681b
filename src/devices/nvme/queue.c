// SPDX-License-Identifier: MIT
/*
 * Queues: fetching commands and posting completions (4.1, 4.6).
 *
 * A doorbell is a number that its driver has stored somewhere: in a register, in memory
 * that is one (poll=on), or in the buffer of Doorbell Buffer Config (5.7). It is read
 * once, and believed only if the queue could be in that state.
 *
 * A completion's last eight bytes have the phase bit, and are stored last.
 */
#include <string.h>

#include "nvme.h"

/* After this much work completions are not kept for the rest of the burst. */
#define WORK_BYTES ((u64)64 << 10)

static bool in_shadow(const struct nvme_ctrl *ctrl, unsigned int bell)
{
	/* The admin queue's stay registers. */
	return ctrl->shadow && bell > nvme_cq_bell(0);
}

/* Return: false if it cannot be read. */
static bool read_bell(struct nvme_worker *w, unsigned int bell, u32 *value)
{
	struct nvme_ctrl *ctrl = w->ctrl;

	if (likely(!in_shadow(ctrl, bell))) {
		*value = atomic_load(&ctrl->doorbells[bell]);
		return true;
	}
	if (!atomic_load(&ctrl->running))
		return false;
	if (!nvme_load32(w, ctrl->shadow_base + 4 * bell, value))
		return true;
	nvme_fatal(ctrl);
	return false;
}

static void bad_value(struct nvme_worker *w, u32 value, u32 *last)
{
	if (value == *last)
		return;
	*last = value;
	nvme_event(w->ctrl, NVME_EVENT_ERROR, NVME_EVENT_BAD_DOORBELL_VALUE);
}

static u32 sq_tail(struct nvme_worker *w, struct nvme_sq *sq)
{
	u32 tail;

	if (!read_bell(w, nvme_sq_bell(sq->id), &tail))
		return sq->head;
	if (likely(tail < sq->size))
		return tail;
	bad_value(w, tail, &sq->bad_tail);
	return sq->head;
}

static u32 distance(u32 from, u32 to, u32 size)
{
	return to >= from ? to - from : to + size - from;
}

/* Where the driver has read up to. */
static void look_at_head(struct nvme_worker *w, struct nvme_cq *cq)
{
	u32 tail = atomic_load_explicit(&cq->tail, memory_order_relaxed), head;

	if (!read_bell(w, nvme_cq_bell(cq->id), &head))
		return;
	if (head >= cq->size ||
	    distance(cq->head, head, cq->size) > distance(cq->head, tail, cq->size)) {
		bad_value(w, head, &cq->bad_head);
		return;
	}
	cq->head = head;
	/* Otherwise whoever rings has said so, and nobody says anything older later. */
	if (in_shadow(w->ctrl, nvme_cq_bell(cq->id)) || w->ctrl->poll)
		atomic_store(&cq->seen, head);
}

static u32 room_of(const struct nvme_cq *cq)
{
	u32 tail = atomic_load_explicit(&cq->tail, memory_order_relaxed);

	return cq->size - 1 - distance(cq->head, tail, cq->size);
}

u32 nvme_cq_room(struct nvme_worker *w, struct nvme_cq *cq)
{
	u32 room = room_of(cq);

	if (likely(room >= NVME_BURST))
		return room;
	look_at_head(w, cq);
	return room_of(cq);
}

void nvme_heads_look(struct nvme_worker *w)
{
	unsigned int i;

	for (i = 0; i < w->ncqs; i++) {
		if (atomic_load(&w->cqs[i]->pin))
			look_at_head(w, w->cqs[i]);
	}
	nvme_pin_update(w->ctrl);
}

/*
 * Completions
 */

static bool post_directly(struct nvme_worker *w, u64 at, const u64 *words)
{
	u64 *to;

	if (!pci_may_dma(&w->ctrl->func) || nvme_in_cmb(w->ctrl, at, 2 * sizeof(u64)))
		return false;
	siommu_dma_begin(w->port);
	to = siommu_dma_find(w->port, at, 2 * sizeof(u64), SIOMMU_DMA_WRITE);
	if (likely(to)) {
		__atomic_store_n(&to[0], words[0], __ATOMIC_RELAXED);
		__atomic_store_n(&to[1], words[1], __ATOMIC_RELEASE);
	}
	siommu_dma_end(w->port);
	if (likely(to))
		pci_dma_wrote(&w->ctrl->func, at, 2 * sizeof(u64));
	return to;
}

static int post(struct nvme_worker *w, u64 at, const struct nvme_cqe *cqe)
{
	u64 words[2];
	int rc;

	memcpy(words, cqe, sizeof(words));
	if (likely(post_directly(w, at, words)))
		return 0;
	rc = nvme_dma_write(w, at, &words[0], sizeof(u64));
	return rc ? rc : nvme_dma_write(w, at + sizeof(u64), &words[1], sizeof(u64));
}

void nvme_complete(struct nvme_worker *w, struct nvme_sq *sq, u16 cid, u32 dw0, u16 status)
{
	struct nvme_cq *cq = sq->cq;
	u32 tail = atomic_load_explicit(&cq->tail, memory_order_relaxed);
	const struct nvme_cqe cqe = {
		.dw0 = dw0,
		.sq_head = (u16)sq->head,
		.sq_id = sq->id,
		.cid = cid,
		.status = (u16)(status << 1 | cq->phase),
	};

	if (post(w, cq->base + (u64)tail * sizeof(cqe), &cqe)) {
		nvme_fatal(w->ctrl);
		return;
	}
	if (++tail == cq->size) {
		tail = 0;
		cq->phase = !cq->phase;
	}
	atomic_store(&cq->tail, tail);
	cq->held++;
	pci_count(&w->ctrl->func, PCI_COUNT_COMMANDS, 1);
}

/* May the interrupt of @cq wait (5.21.1.8)? Then until when? */
static bool may_wait(struct nvme_worker *w, struct nvme_cq *cq)
{
	u32 coalescing = atomic_load_explicit(&w->ctrl->coalescing, memory_order_relaxed);
	u32 threshold = coalescing & 0xff, time = coalescing >> 8 & 0xff;
	unsigned int vector = atomic_load(&cq->vector);

	if (likely(!time) || !cq->id || cq->held > threshold)
		return false;
	if (atomic_load(&w->ctrl->vector_alone[vector / 64]) >> vector % 64 & 1)
		return false;
	if (!cq->deadline)
		cq->deadline = nvme_now() + (u64)time * 100000;
	if (!w->deadline || cq->deadline < w->deadline)
		w->deadline = cq->deadline;
	return true;
}

/* Tell the driver which value it has to ring after. */
static void arm(struct nvme_worker *w, unsigned int bell, u32 value, u32 *armed)
{
	if (!in_shadow(w->ctrl, bell) || value == *armed || !atomic_load(&w->ctrl->running))
		return;
	*armed = value;
	if (nvme_store32(w, w->ctrl->event_base + 4 * bell, value))
		nvme_fatal(w->ctrl);
}

/* A head that has moved must be told again. */
static bool head_is_told(struct nvme_worker *w, struct nvme_cq *cq)
{
	return !atomic_load(&cq->wanted) || atomic_load(&cq->told) || !in_shadow(w->ctrl, nvme_cq_bell(cq->id)) ||
	       cq->head == cq->armed;
}

/*
 * The pin is about to go up, and goes down when the driver rings: have it ring. If it has
 * taken the completions already, the pin does not go up. Otherwise its interrupts would
 * come again and again until our thread gets to run.
 */
static void expect_head(struct nvme_worker *w, struct nvme_cq *cq)
{
	if (!in_shadow(w->ctrl, nvme_cq_bell(cq->id)))
		return;
	atomic_store(&cq->wanted, true);
	atomic_store(&cq->told, true);
	do {
		arm(w, nvme_cq_bell(cq->id), cq->head, &cq->armed);
		__sync_synchronize();
		look_at_head(w, cq);
	} while (cq->head != cq->armed && atomic_load(&w->ctrl->running));
}

static void signal_now(struct nvme_worker *w, struct nvme_cq *cq)
{
	enum pci_irq_mode mode = pci_irq_mode(&w->ctrl->func);

	cq->held = 0;
	cq->deadline = 0;
	/* Who was told once must ring: to tell him something else now would let him off. */
	if (mode == PCI_IRQ_INTX && !atomic_load(&cq->told)) {
		/* Before the driver is told: a ring that follows is about what it is told. */
		atomic_store(&cq->silent, false);
		expect_head(w, cq);
	}
	nvme_interrupt(w->ctrl, mode, atomic_load(&cq->vector));
}

void nvme_signal(struct nvme_worker *w, struct nvme_cq *cq)
{
	w->work = 0;
	if (!cq->held)
		return;
	if (!atomic_load(&cq->pin))
		cq->held = 0;
	else if (!may_wait(w, cq))
		signal_now(w, cq);
}

void nvme_signal_again(struct nvme_worker *w)
{
	unsigned int i;

	if (!atomic_exchange(&w->again, false))
		return;
	for (i = 0; i < w->ncqs; i++) {
		struct nvme_cq *cq = w->cqs[i];

		if (!atomic_load(&cq->silent))
			continue;
		look_at_head(w, cq);
		if (atomic_load(&cq->seen) != atomic_load(&cq->tail))
			signal_now(w, cq);
	}
}

void nvme_signal_late(struct nvme_worker *w)
{
	u64 now = nvme_now(), first = 0;
	unsigned int i;

	for (i = 0; i < w->ncqs; i++) {
		struct nvme_cq *cq = w->cqs[i];

		if (cq->deadline && cq->deadline <= now)
			signal_now(w, cq);
		if (cq->deadline && (!first || cq->deadline < first))
			first = cq->deadline;
	}
	w->deadline = first;
}

/*
 * Commands
 */

static void log_failure(const struct nvme_cmd *cmd, u16 status)
{
	const struct nvme_error_entry entry = {
		.sq_id = cmd->sq->id,
		.cid = cmd->sqe.cid,
		.status = (u16)(status << 1),
		.location = cmd->location,
		.lba = cmd->sq->id ? (u64)cmd->sqe.cdw11 << 32 | cmd->sqe.cdw10 : 0,
		.nsid = cmd->sqe.nsid,
		.transport = 1,
	};

	nvme_log_error(cmd->ctrl, &entry);
}

static void run_one(struct nvme_worker *w, struct nvme_sq *sq, const struct nvme_sqe *sqe)
{
	struct nvme_cmd cmd = { w->ctrl, w, sq, *sqe, 0, 0xffff };
	u16 status;

	/* No fused operations (4.12). */
	if (sqe->flags & 3)
		status = nvme_bad_field(&cmd, 1);
	else
		status = sq->id ? nvme_io(&cmd) : nvme_admin(&cmd);
	if (status == NVME_LATER)
		return;
	if (unlikely(status != NVME_OK)) {
		log_failure(&cmd, status);
		status |= NVME_MORE;
	}
	nvme_complete(w, sq, sqe->cid, cmd.dw0, status);
	if (w->work >= WORK_BYTES)
		nvme_signal(w, sq->cq);
}

/* How many commands there are in one piece, that there is room for. */
static u32 ready(struct nvme_worker *w, struct nvme_sq *sq)
{
	u32 tail = sq_tail(w, sq), n;

	if (tail == sq->head)
		return 0;
	n = (tail > sq->head ? tail : sq->size) - sq->head;
	return (u32)min_u64(min_u64(n, NVME_BURST), nvme_cq_room(w, sq->cq));
}

bool nvme_sq_run(struct nvme_worker *w, struct nvme_sq *sq)
{
	struct nvme_sqe burst[NVME_BURST];
	u32 n = ready(w, sq), i;

	if (!n)
		return false;
	if (nvme_dma_read(w, sq->base + (u64)sq->head * sizeof(*burst), burst,
			  n * sizeof(*burst))) {
		nvme_fatal(w->ctrl);
		return false;
	}
	/* An abort may have taken the room of two. */
	for (i = 0; i < n && room_of(sq->cq); i++) {
		sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
		run_one(w, sq, &burst[i]);
		if (atomic_load(&w->stopping) || !atomic_load(&w->ctrl->running))
			break;
	}
	nvme_signal(w, sq->cq);
	return true;
}

/* Does it matter when the driver takes completions? If there is no room, or for the pin. */
static bool wants_head(struct nvme_worker *w, struct nvme_cq *cq)
{
	return !room_of(cq) || (atomic_load(&cq->pin) && atomic_load(&w->ctrl->pin_high));
}

bool nvme_queues_arm(struct nvme_worker *w)
{
	unsigned int i;

	for (i = 0; i < w->nsqs; i++)
		arm(w, nvme_sq_bell(w->sqs[i]->id), w->sqs[i]->head, &w->sqs[i]->armed);
	for (i = 0; i < w->ncqs; i++) {
		struct nvme_cq *cq = w->cqs[i];

		atomic_store(&cq->wanted, wants_head(w, cq));
		if (atomic_load(&cq->wanted) && !atomic_load(&cq->told))
			arm(w, nvme_cq_bell(cq->id), cq->head, &cq->armed);
	}
	/* What DMA stores and loads has no other order. */
	__sync_synchronize();
	for (i = 0; i < w->nsqs; i++) {
		if (ready(w, w->sqs[i]))
			return true;
	}
	for (i = 0; i < w->ncqs; i++) {
		if (atomic_load(&w->cqs[i]->wanted))
			look_at_head(w, w->cqs[i]);
		if (!head_is_told(w, w->cqs[i]))
			return true;
	}
	return false;
}

/*
 * Making and ending queues. Context: their worker is stopped, or it is the caller.
 */

void nvme_cq_add(struct nvme_ctrl *ctrl, unsigned int id, u64 base, u32 size, bool interrupts,
		 u16 vector)
{
	struct nvme_worker *w = nvme_worker_of(ctrl, id);
	struct nvme_cq *cq = &ctrl->cqs[id];

	cq->base = base;
	cq->size = size;
	cq->head = 0;
	cq->bad_head = 0;
	cq->armed = UINT32_MAX;
	cq->phase = true;
	cq->id = (u16)id;
	cq->nsqs = 0;
	cq->held = 0;
	cq->deadline = 0;
	atomic_store(&cq->worker, (u8)w->index);
	atomic_store(&cq->vector, vector);
	atomic_store(&cq->tail, 0);
	atomic_store(&cq->seen, 0);
	atomic_store(&cq->told, false);
	atomic_store(&cq->silent, false);
	atomic_store(&cq->wanted, false);
	atomic_store(&cq->pin, interrupts);
	atomic_store(&ctrl->doorbells[nvme_cq_bell(id)], 0);
	atomic_store(&ctrl->sizes[nvme_cq_bell(id)], size);
	w->cqs[w->ncqs++] = cq;
}

void nvme_sq_add(struct nvme_ctrl *ctrl, unsigned int id, struct nvme_cq *cq, u64 base, u32 size)
{
	struct nvme_worker *w = nvme_worker_of(ctrl, cq->id);
	struct nvme_sq *sq = &ctrl->sqs[id];

	sq->base = base;
	sq->size = size;
	sq->head = 0;
	sq->bad_tail = 0;
	sq->armed = UINT32_MAX;
	sq->id = (u16)id;
	sq->cq = cq;
	cq->nsqs++;
	atomic_store(&sq->worker, (u8)w->index);
	atomic_store(&ctrl->doorbells[nvme_sq_bell(id)], 0);
	atomic_store(&ctrl->sizes[nvme_sq_bell(id)], size);
	w->sqs[w->nsqs++] = sq;
}

void nvme_sq_remove(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	struct nvme_worker *w = &ctrl->workers[atomic_load(&sq->worker)];
	unsigned int i;

	atomic_store(&ctrl->sizes[nvme_sq_bell(sq->id)], 0);
	sq->size = 0;
	sq->cq->nsqs--;
	for (i = 0; w->sqs[i] != sq; i++)
		;
	w->sqs[i] = w->sqs[--w->nsqs];
}

void nvme_cq_remove(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	struct nvme_worker *w = &ctrl->workers[atomic_load(&cq->worker)];
	unsigned int i;

	atomic_store(&ctrl->sizes[nvme_cq_bell(cq->id)], 0);
	atomic_store(&cq->pin, false);
	cq->size = 0;
	for (i = 0; w->cqs[i] != cq; i++)
		;
	w->cqs[i] = w->cqs[--w->ncqs];
}
