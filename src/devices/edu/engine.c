// SPDX-License-Identifier: MIT
/*
 * The engine: the thread that does what commands ask for.
 *
 * A job is done in pieces that lie in one page. Between two of them the engine looks
 * whether it is to stop. What is done of a job is in the job, so that it can be taken to
 * another machine and go on there; a piece is done as a whole or again.
 */
#include <string.h>
#include <time.h>

#include "edu.h"

/* How often a page is asked for before it is given up. */
#define ATTEMPTS 64

static const struct siommu_port_ops port_ops = {
	.ats_invalidate = edu_ats_invalidate,
	.page_response = edu_page_response,
};

static int port_open(struct edu *edu, struct edu_port *port, u32 pasid)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = pasid == EDU_NO_PASID ? 0 : SIOMMU_PORT_PASID,
		.pasid = pasid == EDU_NO_PASID ? 0 : pasid,
		.tlb_lg2 = 8,
		.timeout_ms = PCI_STALL_MS,
		.ops = &port_ops,
		.arg = port,
	};

	port->edu = edu;
	port->pasid = pasid;
	return siommu_port_create(edu->func.dev, &params, &port->port);
}

static void port_close(struct edu *edu, struct edu_port *port)
{
	siommu_port_destroy(port->port);
	port->port = NULL;
	/* Nobody will say when its translations are to be dropped. */
	pthread_mutex_lock(&edu->lock);
	edu_ats_forget(edu, port->pasid, 0, U64_MAX);
	pthread_mutex_unlock(&edu->lock);
}

static struct edu_port *port_for(struct edu *edu, u32 pasid)
{
	struct edu_port *port = &edu->pasid;

	if (pasid == EDU_NO_PASID)
		return &edu->plain;
	if (port->port && port->pasid == pasid)
		return port;
	if (port->port)
		port_close(edu, port);
	return port_open(edu, port, pasid) ? NULL : port;
}

void edu_note_fault(struct edu *edu, const struct siommu_port *port)
{
	const struct siommu_fault *fault = siommu_dma_fault(port);

	if (!fault)
		return;
	pthread_mutex_lock(&edu->lock);
	edu_set64(edu, EDU_FAULT_ADDR, fault->iova);
	edu_set32(edu, EDU_FAULT_REASON, fault->reason);
	edu_set32(edu, EDU_FAULT_FLAGS, fault->flags);
	edu_set32(edu, EDU_FAULT_ACCESS, fault->access);
	edu_set32(edu, EDU_FAULT_COUNT, edu_get32(edu, EDU_FAULT_COUNT) + 1);
	pthread_mutex_unlock(&edu->lock);
}

void edu_wait_rest(struct edu *edu)
{
	while (edu->stopped && !edu->resting)
		pthread_cond_wait(&edu->wake, &edu->lock);
}

bool edu_go_on(struct edu *edu)
{
	while (edu->stopped && !edu->silent && !edu->ending) {
		edu->resting = true;
		pthread_cond_broadcast(&edu->wake);
		pthread_cond_wait(&edu->wake, &edu->lock);
	}
	edu->resting = false;
	return !edu->cancelled && !edu->silent && !edu->ending;
}

void edu_cancel(struct edu *edu)
{
	edu->silent = true;
	pthread_cond_broadcast(&edu->wake);
	while (edu_get32(edu, EDU_STATUS) & EDU_STATUS_BUSY || !edu->resting)
		pthread_cond_wait(&edu->wake, &edu->lock);
	edu->silent = false;
}

/* A device that asks for pages looks first whether they are there, by ATS, as PCIe has it. */
static u32 ensure(struct edu *edu, struct edu_port *port, u64 iova, unsigned int access)
{
	struct edu_translation t;
	unsigned int i;
	u32 result;

	if (!(edu->job.command & EDU_CMD_PRI))
		return EDU_OK;
	if (!pci_pri_enabled(&edu->func))
		return EDU_NOT_SUPPORTED;
	for (i = 0; i < ATTEMPTS; i++) {
		result = edu_translate(edu, port, iova, access, &t);
		if (result || (t.access & access) == access)
			return result;
		result = edu_request_page(edu, port, iova, access);
		if (result)
			return result;
	}
	return EDU_NO_PAGE;
}

static u32 result_of(struct edu *edu, struct edu_port *port, int rc)
{
	if (rc == -EACCES)
		return EDU_NOT_MASTER;
	if (rc)
		edu_note_fault(edu, port->port);
	return rc ? EDU_FAULT : EDU_OK;
}

static u32 read_memory(struct edu *edu, struct edu_port *port, u64 iova, void *buf, size_t n)
{
	u32 result = ensure(edu, port, iova, SIOMMU_DMA_READ);

	if (result)
		return result;
	if (edu->job.command & EDU_CMD_ATS)
		return edu_ats_move(edu, port, iova, buf, n, false);
	return result_of(edu, port, pci_dma_read(&edu->func, port->port, iova, buf, n));
}

static u32 write_memory(struct edu *edu, struct edu_port *port, u64 iova, void *buf, size_t n)
{
	u32 result = ensure(edu, port, iova, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE);

	if (result)
		return result;
	if (edu->job.command & EDU_CMD_ATS)
		return edu_ats_move(edu, port, iova, buf, n, true);
	return result_of(edu, port, pci_dma_write(&edu->func, port->port, iova, buf, n));
}

static u64 page_rest(u64 address)
{
	return PAGE_BYTES - (address & (PAGE_BYTES - 1));
}

/* READ, WRITE, COPY and FILL: the next piece; @n is what was done of it. */
static u32 move(struct edu *edu, struct edu_port *port, u64 *n)
{
	const struct edu_job *job = &edu->job;
	const unsigned int op = job->command & EDU_CMD_OP;
	const u64 iova = job->addr + job->done;
	u8 *memory = edu->func.desc.bars[EDU_MEM_BAR].memory;
	u8 page[PAGE_BYTES];
	u32 result;
	size_t i;

	*n = min_u64(job->length - job->done, page_rest(iova));
	switch (op) {
	case EDU_READ:
		return read_memory(edu, port, iova, memory + job->buffer + job->done, *n);
	case EDU_WRITE:
		return write_memory(edu, port, iova, memory + job->buffer + job->done, *n);
	case EDU_COPY:
		*n = min_u64(*n, page_rest(job->dest + job->done));
		result = read_memory(edu, port, iova, page, *n);
		if (!result)
			result = write_memory(edu, port, job->dest + job->done, page, *n);
		return result;
	default:
		for (i = 0; i < *n; i++)
			page[i] = (u8)(job->operand >> (job->done + i) % 8 * 8);
		return write_memory(edu, port, iova, page, *n);
	}
}

static u32 change(struct edu *edu, struct edu_port *port)
{
	static const enum siommu_atomic ops[] = {
		[EDU_FETCH_ADD] = SIOMMU_ATOMIC_FETCH_ADD,
		[EDU_SWAP] = SIOMMU_ATOMIC_SWAP,
		[EDU_CAS] = SIOMMU_ATOMIC_CAS,
	};
	const struct edu_job *job = &edu->job;
	u64 old = 0;
	u32 result = ensure(edu, port, job->addr, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE);
	int rc;

	if (result)
		return result;
	rc = pci_dma_atomic(&edu->func, port->port, ops[job->command & EDU_CMD_OP], job->addr,
			    job->length, job->operand, job->expected, &old);
	result = result_of(edu, port, rc);
	if (!result) {
		pthread_mutex_lock(&edu->lock);
		edu_set64(edu, EDU_OLD, old);
		pthread_mutex_unlock(&edu->lock);
	}
	return result;
}

static void pause_for(struct edu *edu, u64 us)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(us / 1000000);
	until.tv_nsec += (long)(us % 1000000 * 1000);
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&edu->lock);
	while (edu_go_on(edu) && !rc)
		rc = pthread_cond_timedwait(&edu->wake, &edu->lock, &until);
	pthread_mutex_unlock(&edu->lock);
}

static u32 generate(struct edu *edu, struct edu_port *port)
{
	const struct edu_job *job = &edu->job;
	const u64 stride = job->operand ? job->operand : PAGE_BYTES;
	const u64 places = (job->length - 8) / stride + 1;
	u64 value = job->done + 1;
	u32 result;

	result = write_memory(edu, port, job->addr + job->done % places * stride, &value, 8);
	if (!result && job->expected)
		pause_for(edu, job->expected);
	return result;
}

/* One piece of the job; @n: how much that was, and @last: it was the last one. */
static u32 step(struct edu *edu, struct edu_port *port, u64 *n, bool *last)
{
	const struct edu_job *job = &edu->job;
	const unsigned int access = job->operand & (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE);
	struct edu_translation t;
	u32 result;

	*last = true;
	*n = 0;
	switch (job->command & EDU_CMD_OP) {
	case EDU_NOP:
		return EDU_OK;
	case EDU_FETCH_ADD:
	case EDU_SWAP:
	case EDU_CAS:
		/* It may have been done where the job comes from. */
		if (job->done)
			return EDU_OK;
		*n = job->length;
		return change(edu, port);
	case EDU_TRANSLATE:
		return edu_translate(edu, port, job->addr, access ? access : SIOMMU_DMA_READ, &t);
	case EDU_PAGE_REQUEST:
		if (!pci_pri_enabled(&edu->func))
			return EDU_NOT_SUPPORTED;
		if (!pci_may_dma(&edu->func))
			return EDU_NOT_MASTER;
		return edu_request_page(edu, port, job->addr, access ? access : SIOMMU_DMA_READ);
	case EDU_GENERATE:
		*last = false;
		*n = 1;
		return generate(edu, port);
	default:
		if (job->done >= job->length)
			return EDU_OK;
		result = move(edu, port, n);
		*last = job->done + *n >= job->length;
		return result;
	}
}

static u32 run(struct edu *edu)
{
	struct edu_job *job = &edu->job;
	struct edu_port *port;
	bool last = false;
	u32 result;
	u64 n;

	result = edu_check_job(edu, job);
	if (result)
		return result;
	if (job->pasid != EDU_NO_PASID && !pci_pasid_enabled(&edu->func))
		return EDU_NOT_SUPPORTED;
	port = port_for(edu, job->pasid);
	if (!port)
		return EDU_NO_RESOURCES;
	while (!last) {
		bool go_on;

		pthread_mutex_lock(&edu->lock);
		go_on = edu_go_on(edu);
		pthread_mutex_unlock(&edu->lock);
		if (!go_on)
			return EDU_STOPPED;
		result = step(edu, port, &n, &last);
		if (result)
			return result;
		pthread_mutex_lock(&edu->lock);
		job->done += n;
		edu_set64(edu, EDU_PROGRESS, job->done);
		pthread_mutex_unlock(&edu->lock);
	}
	return EDU_OK;
}

/* With edu->lock. Who sees that it is not busy sees all that came of it. */
static void finish(struct edu *edu, u32 result)
{
	const struct edu_job *job = &edu->job;

	/* Nothing is heard of a stopped device; that it is done will be. */
	while (edu->stopped && !edu->silent && !edu->ending) {
		edu->resting = true;
		pthread_cond_broadcast(&edu->wake);
		pthread_cond_wait(&edu->wake, &edu->lock);
	}
	edu->resting = false;
	pci_count(&edu->func, PCI_COUNT_COMMANDS, 1);
	edu_set32(edu, EDU_RESULT, result);
	edu_set32(edu, EDU_COUNT, edu_get32(edu, EDU_COUNT) + 1);
	edu_set32(edu, EDU_STATUS, 0);
	if (edu->silent || edu->ending || !(job->command & EDU_CMD_IRQ))
		return;
	edu_set32(edu, EDU_INT_STATUS, edu_get32(edu, EDU_INT_STATUS) | EDU_INT_DONE);
	edu_update_pin(edu);
	pci_irq_message(&edu->func, job->vector);
}

static void *engine(void *arg)
{
	struct edu *edu = arg;
	u32 result;

	pthread_mutex_lock(&edu->lock);
	while (!edu->ending) {
		const bool busy = edu_get32(edu, EDU_STATUS) & EDU_STATUS_BUSY;

		if (!busy || (edu->stopped && !edu->silent)) {
			edu->resting = true;
			pthread_cond_broadcast(&edu->wake);
			pthread_cond_wait(&edu->wake, &edu->lock);
			continue;
		}
		edu->resting = false;
		pthread_mutex_unlock(&edu->lock);
		result = run(edu);
		pthread_mutex_lock(&edu->lock);
		finish(edu, result);
	}
	pthread_mutex_unlock(&edu->lock);
	return NULL;
}

int edu_engine_start(struct edu *edu)
{
	int rc = port_open(edu, &edu->plain, EDU_NO_PASID);

	if (rc)
		return rc;
	edu->resting = true;
	rc = pci_thread_start(&edu->thread, engine, edu);
	if (rc)
		siommu_port_destroy(edu->plain.port);
	return rc;
}

void edu_engine_end(struct edu *edu)
{
	pthread_mutex_lock(&edu->lock);
	edu->ending = true;
	pthread_cond_broadcast(&edu->wake);
	pthread_mutex_unlock(&edu->lock);
	pthread_join(edu->thread, NULL);
	if (edu->pasid.port)
		port_close(edu, &edu->pasid);
	port_close(edu, &edu->plain);
}
