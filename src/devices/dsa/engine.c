// SPDX-License-Identifier: MIT
/*
 * Engines: threads that take descriptors from the WQs of their group, and their DMA.
 *
 * WQs of a group take turns, each as many as its priority. A descriptor is copied from
 * the WQ, so nobody changes it any more; those of a batch are read from memory, once
 * each.
 *
 * A page fault ends an operation and is reported, unless the descriptor asks to block
 * on faults: then the engine asks for the page and waits for the answer, and the other
 * engines go on. Whoever aborts or resets does not wait for that answer: the engine is
 * told to stop waiting, and drops the port, so that an answer that comes later is for
 * nobody. A port belongs to one engine and one PASID.
 *
 * Locks: dsa->lock is not held while anything of the data path is called. The call-back
 * for answers may come with locks of a context held, so it takes only answer_lock, and
 * nobody holds that while calling out.
 */
#include <string.h>
#include <time.h>

#include <softiommu/abi/iommufd.h>

#include "devices/copy.h"
#include "dsa.h"

#define RETRY_NS 1000000

/*
 * Waiting for pages
 */

static void page_response(void *arg, uint32_t group, uint32_t code)
{
	struct dsa_engine *e = arg;

	if (group != e->index)
		return;
	pthread_mutex_lock(&e->answer_lock);
	e->answered = true;
	e->code = code;
	pthread_cond_signal(&e->answer);
	pthread_mutex_unlock(&e->answer_lock);
}

static const struct siommu_port_ops port_ops = { .page_response = page_response };

void dsa_engine_cancel(struct dsa_engine *e)
{
	pthread_mutex_lock(&e->answer_lock);
	atomic_store(&e->cancel, true);
	pthread_cond_signal(&e->answer);
	pthread_mutex_unlock(&e->answer_lock);
	/* One that waits for other engines. */
	pthread_cond_broadcast(&e->dsa->idle);
}

static void port_drop(struct dsa_port *port)
{
	siommu_port_destroy(port->port);
	port->port = NULL;
}

/* Ask for a page. Return: was it said to be there now? */
static bool ask(struct dsa_task *t, u64 address, unsigned int access)
{
	const struct siommu_page_request request = {
		.iova = address,
		.group = t->e->index,
		.access = access,
		.last = true,
	};
	struct dsa_engine *e = t->e;
	bool answered;

	if (!pci_pri_enabled(&e->dsa->func))
		return false;
	pthread_mutex_lock(&e->answer_lock);
	e->answered = false;
	pthread_mutex_unlock(&e->answer_lock);
	if (siommu_dma_page_request(t->port->port, &request))
		return false;
	pthread_mutex_lock(&e->answer_lock);
	while (!e->answered && !atomic_load(&e->cancel))
		pthread_cond_wait(&e->answer, &e->answer_lock);
	answered = e->answered;
	pthread_mutex_unlock(&e->answer_lock);
	if (!answered)
		port_drop(t->port);
	return answered && e->code == IOMMUFD_PAGE_RESP_SUCCESS;
}

static void no_step(void *arg, const struct siommu_walk_step *step)
{
	(void)arg;
	(void)step;
}

/*
 * Would a page help here? As a device that asks for translations first, this one looks
 * before it accesses: an access that faults is a fault in the IOMMU's records.
 */
static bool lacks_page(struct dsa_task *t, u64 address, size_t n, unsigned int access)
{
	struct siommu_port *port = t->port->port;
	const struct siommu_fault *fault;
	void *there;
	u64 hpa;

	if (!port)
		return false;
	siommu_dma_begin(port);
	there = siommu_dma_find(port, address, n, access);
	siommu_dma_end(port);
	if (there || !siommu_dma_walk(port, address, access, no_step, NULL, &hpa))
		return false;
	fault = siommu_dma_fault(port);
	return fault && fault->flags & SIOMMU_FAULT_RECOVERABLE;
}

/* An answer that helped nothing: the queue was full, or its reader is not true. */
static void nap(void)
{
	const struct timespec t = { .tv_nsec = RETRY_NS };

	nanosleep(&t, NULL);
}

/* May it ask now? What is not allowed is left to the access, which is refused. */
static bool may_ask(const struct dsa_task *t)
{
	return !atomic_load(&t->e->cancel) && pci_may_dma(&t->e->dsa->func);
}

/* Return: false if the page is refused. */
static bool wait_for_page(struct dsa_task *t, u64 address, size_t n, unsigned int access)
{
	unsigned int asked = 0;

	while (may_ask(t) && lacks_page(t, address, n, access)) {
		if (asked++)
			nap();
		if (!ask(t, address, access))
			return false;
	}
	return true;
}

/*
 * DMA
 */

static int move(struct dsa_task *t, u64 address, void *buf, size_t n, bool write)
{
	struct pci_func *func = &t->e->dsa->func;

	if (!t->port->port)
		return -EACCES;
	return write ? pci_dma_write(func, t->port->port, address, buf, n)
		     : pci_dma_read(func, t->port->port, address, buf, n);
}

/* An access has failed. Return: how far it got, of @n bytes at @address. */
static size_t moved(const struct dsa_task *t, u64 address, size_t n, int rc,
		    struct dsa_fault *fault)
{
	const struct siommu_fault *refused = rc == -EFAULT ? siommu_dma_fault(t->port->port) : NULL;

	fault->address = address;
	if (!refused || refused->iova - address >= n)
		return 0;
	fault->address = refused->iova;
	return refused->iova - address;
}

static size_t access_memory(struct dsa_task *t, u64 address, u8 *buf, size_t n, bool write,
			    struct dsa_fault *fault)
{
	const unsigned int access = write ? SIOMMU_DMA_WRITE : SIOMMU_DMA_READ;
	size_t at, piece;
	int rc;

	fault->write = write;
	fault->status = DSA_PAGE_FAULT;
	for (at = 0; at < n; at += piece) {
		fault->address = address + at;
		if (atomic_load(&t->e->cancel))
			return at;
		piece = n - at;
		if (t->bof) {
			piece = min_u64(piece, PAGE_BYTES - (address + at) % PAGE_BYTES);
			if (!wait_for_page(t, address + at, piece, access)) {
				fault->status = DSA_PAGE_REFUSED;
				return at;
			}
		}
		rc = move(t, address + at, buf + at, piece, write);
		if (rc)
			return at + moved(t, address + at, piece, rc, fault);
	}
	fault->status = 0;
	return n;
}

size_t dsa_read(struct dsa_task *t, u64 address, void *buf, size_t n, struct dsa_fault *fault)
{
	return access_memory(t, address, buf, n, false, fault);
}

size_t dsa_write(struct dsa_task *t, u64 address, const void *buf, size_t n,
		 struct dsa_fault *fault)
{
	/* Only read, as it is a write of memory. */
	return access_memory(t, address, (u8 *)(uintptr_t)buf, n, true, fault);
}

u64 dsa_copy(struct dsa_task *t, u64 src, u64 dst, u64 n)
{
	if (!t->port->port || atomic_load(&t->e->cancel))
		return 0;
	return pci_dma_copy(&t->e->dsa->func, t->port->port, src, dst, n);
}

/* The engine's port for what a WQ was set up for: it has one, or makes one. */
static struct dsa_port *get_port(struct dsa_engine *e, bool has_pasid, u32 pasid)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = has_pasid ? SIOMMU_PORT_PASID : 0,
		.pasid = pasid,
		.timeout_ms = PCI_STALL_MS,
		.ops = &port_ops,
		.arg = e,
	};
	struct dsa_port *oldest = &e->ports[0];
	unsigned int i;

	for (i = 0; i < DSA_PORTS; i++) {
		struct dsa_port *p = &e->ports[i];

		if (p->port && p->has_pasid == has_pasid && p->pasid == pasid) {
			p->used = ++e->uses;
			return p;
		}
		if (!p->port || (oldest->port && p->used < oldest->used))
			oldest = p;
	}
	port_drop(oldest);
	oldest->has_pasid = has_pasid;
	oldest->pasid = pasid;
	oldest->used = ++e->uses;
	if (siommu_port_create(e->dsa->func.dev, &params, &oldest->port))
		oldest->port = NULL;
	return oldest;
}

/*
 * Descriptors
 */

static bool wq_blocks(const struct dsa_wq *wq)
{
	return wq->cfg[WQ_MODE] & WQ_BOF && !(wq->cfg[WQ_MODE] & WQ_PRS_DISABLE);
}

static void tell(struct dsa_task *t, const struct dsa_swerror *error)
{
	struct dsa *dsa = t->e->dsa;

	pthread_mutex_lock(&dsa->lock);
	dsa_swerror(dsa, t->wq, t->desc, error);
	pthread_mutex_unlock(&dsa->lock);
}

/* The status goes last: a driver polls it. */
static void write_record(struct dsa_task *t)
{
	struct dsa_record record = t->record;
	struct dsa_fault fault;

	record.status = 0;
	t->bof = wq_blocks(t->wq);
	if (dsa_write(t, t->desc->record, &record, sizeof(record), &fault) == sizeof(record))
		dsa_write(t, t->desc->record, &t->record.status, 1, &fault);
	if (fault.status && !atomic_load(&t->e->cancel)) {
		struct dsa_swerror error = {
			.status = DSA_RECORD_FAULT,
			.address = fault.address,
			.write = true,
			.pasid = t->pasid,
			.batch = t->batched,
			.batch_index = (u16)t->batch_index,
		};

		tell(t, &error);
	}
}

static bool is_success(u8 status)
{
	return status == DSA_OK || status == DSA_OK_UNEXPECTED;
}

/* Completion record, or software error, and interrupt. */
static void report(struct dsa_task *t)
{
	const u32 flags = desc_flags(t->desc);
	u8 status = t->record.status;

	if (atomic_load(&t->e->cancel))
		return;
	if (flags & DSA_CRAV && is_aligned(t->desc->record, sizeof(t->record))) {
		if (flags & DSA_RCR || status != DSA_OK)
			write_record(t);
	} else if (!is_success(status)) {
		struct dsa_swerror error = {
			.status = status,
			.flags = status == DSA_BAD_FLAGS ? t->record.flags : 0,
			.address = t->record.fault,
			.write = t->record.fault_info & 1,
			.pasid = t->pasid,
			.batch = t->batched,
			.batch_index = (u16)t->batch_index,
		};

		tell(t, &error);
	}
	if (flags & DSA_RCI && status != DSA_BAD_HANDLE && status != DSA_BAD_FLAGS &&
	    !atomic_load(&t->e->cancel))
		pci_irq_message(&t->e->dsa->func, t->desc->handle);
}

/* Wait until the WQ's earlier descriptors are done. */
static void drain(struct dsa_task *t)
{
	struct dsa_engine *e = t->e;
	struct dsa *dsa = e->dsa;
	unsigned int i = 0;

	pthread_mutex_lock(&dsa->lock);
	while (i < dsa->nengines && !atomic_load(&e->cancel)) {
		const struct dsa_engine *other = &dsa->engines[i];

		if (other->wq == e->wq && other->job.seq < e->job.seq)
			pthread_cond_wait(&dsa->idle, &dsa->lock);
		else
			i++;
	}
	pthread_mutex_unlock(&dsa->lock);
}

static bool run(struct dsa_task *t);

static void run_batch(struct dsa_task *t)
{
	const struct dsa_desc *batch = t->desc;
	bool failed = false;
	unsigned int i;

	for (i = 0; i < batch->size && !atomic_load(&t->e->cancel); i++) {
		struct dsa_task member = *t;
		struct dsa_fault fault;
		struct dsa_desc desc;

		if (dsa_read(t, batch->src + i * sizeof(desc), &desc, sizeof(desc), &fault) <
		    sizeof(desc)) {
			t->record.status = DSA_BATCH_FAULT;
			t->record.fault = fault.address;
			break;
		}
		if (desc_flags(&desc) & DSA_FENCE && failed)
			break;
		member.desc = &desc;
		member.batched = true;
		member.batch_index = i;
		failed |= !run(&member);
	}
	t->record.done = i;
	t->record.result = failed;
	if (t->record.status == DSA_OK && failed)
		t->record.status = DSA_BATCH_FAILED;
}

/* Return: did it end with plain success? */
static bool run(struct dsa_task *t)
{
	memset(&t->record, 0, sizeof(t->record));
	t->bof = desc_flags(t->desc) & DSA_BOF && wq_blocks(t->wq);
	dsa_execute(t);
	if (t->record.status == DSA_OK && desc_opcode(t->desc) == DSA_BATCH)
		run_batch(t);
	if (t->record.status == DSA_OK && desc_opcode(t->desc) == DSA_DRAIN)
		drain(t);
	pci_count(&t->e->dsa->func, PCI_COUNT_COMMANDS, 1);
	report(t);
	return t->record.status == DSA_OK;
}

static void run_job(struct dsa_engine *e)
{
	struct dsa_task t = {
		.e = e,
		.wq = e->wq,
		.pasid = wq_pasid(e->wq, &e->job.desc),
		.desc = &e->job.desc,
	};

	t.port = get_port(e, wq_has_pasid(e->wq), t.pasid);
	run(&t);
}

/*
 * The queues. Context: the lock.
 */

static struct dsa_job *job_at(struct dsa *dsa, const struct dsa_wq *wq, unsigned int i)
{
	return &dsa->jobs[wq->first + (wq->head + i) % wq->size];
}

bool dsa_submit(struct dsa *dsa, struct dsa_wq *wq, const struct dsa_desc *desc, bool limited)
{
	unsigned int i, room = wq->size;

	if (dsa->held || !dsa->enabled || wq->state != WQ_ENABLED)
		return false;
	if (limited && wq_is_shared(wq))
		room = (unsigned int)min_u64(room, wq->cfg[WQ_THRESH]);
	if (wq->n >= room)
		return false;
	*job_at(dsa, wq, wq->n) = (struct dsa_job){
		.desc = *desc,
		.seq = ++wq->seq,
	};
	wq->n++;
	for (i = 0; i < dsa->nengines; i++) {
		unsigned int g = dsa->engines[i].group;

		if (g < DSA_GROUPS && dsa->grpwqs[g][0] >> wq->index & 1)
			pthread_cond_signal(&dsa->engines[i].wake);
	}
	return true;
}

static bool job_has_pasid(const struct dsa_wq *wq, const struct dsa_job *job, u32 pasid)
{
	return pasid == DSA_ALL_PASIDS || (wq_has_pasid(wq) && wq_pasid(wq, &job->desc) == pasid);
}

void dsa_wq_abort(struct dsa *dsa, struct dsa_wq *wq, u32 pasid)
{
	unsigned int i, kept = 0;

	for (i = 0; i < wq->n; i++)
		if (!job_has_pasid(wq, job_at(dsa, wq, i), pasid))
			*job_at(dsa, wq, kept++) = *job_at(dsa, wq, i);
	wq->n = kept;
	wq->before = 0;
	for (i = 0; i < dsa->nengines; i++)
		if (dsa->engines[i].wq == wq && job_has_pasid(wq, &dsa->engines[i].job, pasid))
			dsa_engine_cancel(&dsa->engines[i]);
}

bool dsa_wq_aborts(const struct dsa *dsa, const struct dsa_wq *wq)
{
	unsigned int i;

	for (i = 0; i < dsa->nengines; i++)
		if (dsa->engines[i].wq == wq && atomic_load(&dsa->engines[i].cancel))
			return true;
	return false;
}

/* The WQ of group @g whose turn it is; NULL if all are empty. */
static struct dsa_wq *choose_wq(struct dsa *dsa, unsigned int g)
{
	struct dsa_wq *other = NULL;
	unsigned int i;

	for (i = 0; i < dsa->nwqs; i++) {
		struct dsa_wq *wq = &dsa->wqs[(dsa->next_wq[g] + i) % dsa->nwqs];

		if (!(dsa->grpwqs[g][0] >> wq->index & 1) || !wq->n)
			continue;
		if (wq->turns) {
			wq->turns--;
			dsa->next_wq[g] = wq->index;
			return wq;
		}
		/* It has had its turns: again when the others have, too. */
		wq->turns = WQ_PRIORITY(wq->cfg[WQ_MODE]);
		if (!other)
			other = wq;
	}
	if (other) {
		other->turns--;
		dsa->next_wq[g] = other->index;
	}
	return other;
}

static bool take_job(struct dsa_engine *e)
{
	struct dsa *dsa = e->dsa;
	struct dsa_wq *wq;

	if (dsa->held || !dsa->enabled || e->group >= DSA_GROUPS)
		return false;
	wq = choose_wq(dsa, e->group);
	if (!wq)
		return false;
	e->wq = wq;
	e->job = *job_at(dsa, wq, 0);
	atomic_store(&e->cancel, false);
	wq->head = (wq->head + 1) % wq->size;
	wq->n--;
	wq->running++;
	return true;
}

static void end_job(struct dsa_engine *e)
{
	struct dsa_wq *wq = e->wq;

	wq->running--;
	if (wq->before && e->job.seq <= wq->mark)
		wq->before--;
	e->wq = NULL;
	pthread_cond_broadcast(&e->dsa->idle);
	dsa_command_advance(e->dsa);
}

static void *engine_main(void *arg)
{
	struct dsa_engine *e = arg;
	struct dsa *dsa = e->dsa;

	pthread_mutex_lock(&dsa->lock);
	while (!dsa->ending) {
		if (!take_job(e)) {
			pthread_cond_wait(&e->wake, &dsa->lock);
			continue;
		}
		pthread_mutex_unlock(&dsa->lock);
		run_job(e);
		pthread_mutex_lock(&dsa->lock);
		end_job(e);
	}
	pthread_mutex_unlock(&dsa->lock);
	return NULL;
}

int dsa_engine_start(struct dsa_engine *e)
{
	struct base_alloc *alloc = e->dsa->func.alloc;
	int rc;

	e->piece = base_zalloc(alloc, DSA_PIECE_BYTES);
	e->other = base_zalloc(alloc, DSA_PIECE_BYTES);
	if (!e->piece || !e->other)
		return -ENOMEM;
	/* This one is always needed: say now if it cannot be had. */
	rc = pci_port_create(&e->dsa->func, &port_ops, e, &e->ports[0].port);
	if (rc)
		return rc;
	rc = pci_thread_start(&e->thread, engine_main, e);
	e->running = !rc;
	return rc;
}

void dsa_engine_stop(struct dsa_engine *e)
{
	struct dsa *dsa = e->dsa;
	unsigned int i;

	pthread_mutex_lock(&dsa->lock);
	dsa->ending = true;
	dsa_engine_cancel(e);
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&dsa->lock);
	if (e->running)
		pthread_join(e->thread, NULL);
	for (i = 0; i < DSA_PORTS; i++)
		port_drop(&e->ports[i]);
	base_free(dsa->func.alloc, e->piece, DSA_PIECE_BYTES);
	base_free(dsa->func.alloc, e->other, DSA_PIECE_BYTES);
	pthread_mutex_destroy(&e->answer_lock);
	pthread_cond_destroy(&e->answer);
	pthread_cond_destroy(&e->wake);
}
