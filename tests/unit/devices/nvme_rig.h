/* SPDX-License-Identifier: MIT */
/*
 * A driver of an NVMe controller, in this process: a machine with a VT-d, a controller
 * behind it, an IOAS with memory, and queues there. It says what a driver says through
 * pci_bar_write() and pci_config_write(), and knows numbers from the specification only.
 *
 * For tests, the fuzzer and the benchmark: it depends on none of them. Functions return
 * -errno, or the status of a command: code, type and the Do Not Retry bit, as in
 * completions without phase and More. One thread drives a queue.
 */
#ifndef NVME_RIG_H
#define NVME_RIG_H

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "devices/pci.h"

#define RIG_IOVA    ((u64)1 << 32)
#define RIG_RAM	    ((size_t)32 << 20)
#define RIG_PAGE    ((u64)4096)
#define RIG_QUEUES  16
#define RIG_VECTORS 512
#define RIG_TIMEOUT 20.0 /* s */

struct rig_sqe {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid, cdw2, cdw3;
	uint64_t mptr, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct rig_cqe {
	uint32_t dw0, dw1;
	uint16_t sq_head, sq_id, cid, status;
};

/**
 * struct rig_queue - a pair of queues
 * @qid: the number of both
 * @size: entries of both
 * @sq: address of the submission queue
 * @cq: and of the completion queue
 * @tail: of the former, not rung
 * @head: of the latter
 * @phase: of the next completion
 * @cid: of the next command
 */
struct rig_queue {
	unsigned int qid;
	unsigned int size;
	u64 sq;
	u64 cq;
	unsigned int tail;
	unsigned int head;
	unsigned int phase;
	uint16_t cid;
};

/**
 * struct rig - the machine
 * @alloc: what the controller's memory is charged to
 * @func: the controller
 * @ram: memory that is mapped at RIG_IOVA
 * @next: the first byte of it that is free
 * @q: queues; the first is the admin queue
 * @messages: how often each vector came
 * @pin: the pin's level
 * @rises: how often it rose
 * @shadow: address of the buffer of doorbells, and of the event indexes a page later; 0
 *	for none
 * @rings: doorbells that were written
 * @error: what was wrong with the options
 */
struct rig {
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	uint32_t id, ioas;
	struct base_alloc alloc;
	struct base_log log;
	struct pci_func *func;
	u8 *ram;
	u64 next;
	struct rig_queue q[RIG_QUEUES];
	_Atomic unsigned int messages[RIG_VECTORS];
	_Atomic bool pin;
	_Atomic unsigned int rises;
	u64 shadow;
	_Atomic u64 rings;
	char error[256];
};

static inline double rig_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Wait for @cond, for RIG_TIMEOUT at most. Is it true? */
#define RIG_UNTIL(cond)                                                                            \
	({                                                                                         \
		double until_ = rig_time() + RIG_TIMEOUT;                                          \
		bool good_;                                                                        \
		while (!(good_ = (cond)) && rig_time() < until_)                                   \
			sched_yield();                                                             \
		good_;                                                                             \
	})

static inline void rig_message(void *arg, unsigned int vector)
{
	struct rig *r = arg;

	atomic_fetch_add(&r->messages[vector], 1);
}

static inline void rig_intx(void *arg, bool asserted)
{
	struct rig *r = arg;

	/* Who sees it high sees that it rose. */
	if (asserted)
		atomic_fetch_add(&r->rises, 1);
	atomic_store(&r->pin, asserted);
}

static const struct pci_irq_sink rig_sink = { .message = rig_message, .intx = rig_intx };

/* Memory of the driver, cleared: its address for the device. */
static inline u64 rig_alloc(struct rig *r, size_t bytes)
{
	u64 at = (r->next + RIG_PAGE - 1) & ~(RIG_PAGE - 1);

	if (at + bytes > RIG_RAM)
		return 0;
	r->next = at + bytes;
	memset(r->ram + at, 0, bytes);
	return RIG_IOVA + at;
}

static inline void *rig_at(struct rig *r, u64 iova)
{
	return r->ram + (iova - RIG_IOVA);
}

static inline int rig_map(struct rig *r, u64 offset, u64 bytes, bool writable)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = r->ioas,
		.user_va = (uintptr_t)r->ram + offset,
		.length = bytes,
		.iova = RIG_IOVA + offset,
	};

	return siommu_ioctl(r->ctx, IOMMU_IOAS_MAP, &cmd);
}

static inline int rig_unmap(struct rig *r, u64 offset, u64 bytes)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = r->ioas,
		.iova = RIG_IOVA + offset,
		.length = bytes,
	};

	return siommu_ioctl(r->ctx, IOMMU_IOAS_UNMAP, &cmd);
}

static inline const struct pci_model *rig_model(void)
{
	unsigned int i;

	for (i = 0; pci_models[i]; i++) {
		if (!strcmp(pci_models[i]->name, "nvme"))
			return pci_models[i];
	}
	return NULL;
}

/* Everything but the controller. */
static inline int rig_machine(struct rig *r)
{
	struct siommu_unit_params unit = { .size = sizeof(unit), .model = "vtd" };
	struct siommu_device_params dev = { .size = sizeof(dev), .name = "nvme0", .requester = 8 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	uint32_t pt;
	int rc;

	memset(r, 0, sizeof(*r));
	r->ram = mmap(NULL, RIG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->ram == MAP_FAILED)
		return -ENOMEM;
	rc = siommu_machine_create(NULL, &r->machine);
	rc = rc ? rc : siommu_unit_create(r->machine, &unit, NULL, 0, &r->unit);
	dev.unit = r->unit;
	rc = rc ? rc : siommu_device_create(r->machine, &dev, &r->dev);
	rc = rc ? rc : siommu_open(r->machine, 0, &r->ctx);
	rc = rc ? rc : siommu_device_bind(r->ctx, r->dev, &r->bound, &r->id);
	rc = rc ? rc : siommu_ioctl(r->ctx, IOMMU_IOAS_ALLOC, &ioas);
	r->ioas = pt = ioas.out_ioas_id;
	rc = rc ? rc : siommu_device_attach(r->bound, 0, &pt);
	return rc ? rc : rig_map(r, 0, RIG_RAM, true);
}

static inline int rig_plug(struct rig *r, const char *options)
{
	const struct pci_params params = {
		.alloc = &r->alloc,
		.log = &r->log,
		.name = "nvme0",
		.dev = r->dev,
		.options = options,
		.error = r->error,
		.error_bytes = sizeof(r->error),
	};
	int rc = rig_model()->create(&params, &r->func);

	if (!rc)
		pci_irq_listen(r->func, &rig_sink, r);
	return rc;
}

static inline void rig_unplug(struct rig *r)
{
	if (r->func)
		pci_func_destroy(r->func);
	r->func = NULL;
}

static inline void rig_end(struct rig *r)
{
	rig_unplug(r);
	siommu_device_detach(r->bound, 0);
	siommu_device_unbind(r->bound);
	siommu_close(r->ctx);
	siommu_device_destroy(r->dev);
	siommu_unit_destroy(r->unit);
	siommu_machine_destroy(r->machine);
	munmap(r->ram, RIG_RAM);
}

/*
 * Registers
 */

static inline u32 rig_r32(struct rig *r, u64 offset)
{
	u32 value = 0;

	if (pci_bar_read(r->func, 0, offset, &value, sizeof(value)))
		return ~0u;
	return value;
}

static inline u64 rig_r64(struct rig *r, u64 offset)
{
	u64 value = 0;

	if (pci_bar_read(r->func, 0, offset, &value, sizeof(value)))
		return ~(u64)0;
	return value;
}

static inline void rig_w32(struct rig *r, u64 offset, u32 value)
{
	(void)!pci_bar_write(r->func, 0, offset, &value, sizeof(value));
}

static inline void rig_w64(struct rig *r, u64 offset, u64 value)
{
	(void)!pci_bar_write(r->func, 0, offset, &value, sizeof(value));
}

/* The command register: memory decoding, and perhaps bus mastering. */
static inline void rig_command(struct rig *r, bool master)
{
	uint16_t command = master ? 6 : 2;

	pci_config_write(r->func, 4, &command, sizeof(command));
}

/* RDY of CSTS becomes @ready, or CFS is set. Return: 0 or -ETIMEDOUT, -EIO. */
static inline int rig_ready(struct rig *r, bool ready)
{
	if (!RIG_UNTIL((rig_r32(r, 0x1c) & 1) == ready || (ready && rig_r32(r, 0x1c) & 2)))
		return -ETIMEDOUT;
	return ready && rig_r32(r, 0x1c) & 2 ? -EIO : 0;
}

static inline void rig_queue_init(struct rig *r, unsigned int qid, unsigned int size)
{
	r->q[qid] = (struct rig_queue){
		.qid = qid,
		.size = size,
		.sq = rig_alloc(r, (size_t)size * 64),
		.cq = rig_alloc(r, (size_t)size * 16),
		.phase = 1,
		.cid = (uint16_t)(qid << 12),
	};
}

/* 64-byte and 16-byte entries, 4 KiB pages, NVM command set. */
#define RIG_CC 0x00460001u

static inline int rig_enable(struct rig *r)
{
	r->next = 0;
	r->shadow = 0;
	rig_command(r, true);
	rig_queue_init(r, 0, 32);
	rig_w32(r, 0x24, 31u << 16 | 31);
	rig_w64(r, 0x28, r->q[0].sq);
	rig_w64(r, 0x30, r->q[0].cq);
	rig_w32(r, 0x14, RIG_CC);
	return rig_ready(r, true);
}

static inline int rig_disable(struct rig *r)
{
	rig_w32(r, 0x14, RIG_CC & ~1u);
	return rig_ready(r, false);
}

/* A machine with a controller that is enabled. */
static inline int rig_begin(struct rig *r, const char *options)
{
	int rc = rig_machine(r);

	rc = rc ? rc : rig_plug(r, options);
	return rc ? rc : rig_enable(r);
}

/*
 * Commands
 */

static inline bool rig_need_ring(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/* Ring, as a driver with a shadow buffer does if there is one. */
static inline void rig_ring(struct rig *r, unsigned int bell, u32 value)
{
	_Atomic uint32_t *shadow, *event;
	uint32_t old;

	if (r->shadow && bell > 1) {
		shadow = (_Atomic uint32_t *)rig_at(r, r->shadow) + bell;
		event = (_Atomic uint32_t *)rig_at(r, r->shadow + RIG_PAGE) + bell;
		old = atomic_exchange(shadow, value);
		__sync_synchronize();
		if (!rig_need_ring((uint16_t)atomic_load(event), (uint16_t)value, (uint16_t)old))
			return;
	}
	atomic_fetch_add(&r->rings, 1);
	rig_w32(r, 0x1000 + 4 * (u64)bell, value);
}

/* Put a command into the queue; it is not rung. Return: its id. */
static inline uint16_t rig_put(struct rig *r, struct rig_queue *q, const struct rig_sqe *sqe)
{
	struct rig_sqe *to = (struct rig_sqe *)rig_at(r, q->sq) + q->tail;

	*to = *sqe;
	to->cid = q->cid++;
	q->tail = (q->tail + 1) % q->size;
	return to->cid;
}

static inline void rig_ring_tail(struct rig *r, struct rig_queue *q)
{
	rig_ring(r, 2 * q->qid, q->tail);
}

/* Is there a completion? It is taken, but the doorbell is not rung. */
static inline bool rig_take(struct rig *r, struct rig_queue *q, struct rig_cqe *cqe)
{
	uint64_t *at = (uint64_t *)rig_at(r, q->cq) + 2 * q->head, words[2];

	words[1] = __atomic_load_n(&at[1], __ATOMIC_ACQUIRE);
	if ((words[1] >> 48 & 1) != q->phase)
		return false;
	words[0] = __atomic_load_n(&at[0], __ATOMIC_RELAXED);
	memcpy(cqe, words, sizeof(words));
	if (++q->head == q->size) {
		q->head = 0;
		q->phase ^= 1;
	}
	return true;
}

static inline void rig_ring_head(struct rig *r, struct rig_queue *q)
{
	rig_ring(r, 2 * q->qid + 1, q->head);
}

/* Wait for a completion, and give its entry back. */
static inline int rig_wait(struct rig *r, struct rig_queue *q, struct rig_cqe *cqe)
{
	if (!RIG_UNTIL(rig_take(r, q, cqe)))
		return -ETIMEDOUT;
	rig_ring_head(r, q);
	return 0;
}

/* Less phase and More. */
static inline int rig_status(const struct rig_cqe *cqe)
{
	return cqe->status >> 1 & 0x47ff;
}

/* One command, from beginning to end. */
static inline int rig_do_full(struct rig *r, unsigned int qid, const struct rig_sqe *sqe,
			      struct rig_cqe *cqe)
{
	struct rig_queue *q = &r->q[qid];
	uint16_t cid = rig_put(r, q, sqe);
	int rc;

	rig_ring_tail(r, q);
	rc = rig_wait(r, q, cqe);
	if (rc)
		return rc;
	return cqe->cid == cid && cqe->sq_id == qid ? rig_status(cqe) : -EBADMSG;
}

static inline int rig_do(struct rig *r, unsigned int qid, const struct rig_sqe *sqe)
{
	struct rig_cqe cqe;

	return rig_do_full(r, qid, sqe, &cqe);
}

static inline int rig_create_cq(struct rig *r, unsigned int qid, u64 base, unsigned int size,
				u32 flags)
{
	const struct rig_sqe sqe = {
		.opcode = 0x05, .prp1 = base, .cdw10 = (size - 1) << 16 | qid, .cdw11 = flags
	};

	return rig_do(r, 0, &sqe);
}

static inline int rig_create_sq(struct rig *r, unsigned int qid, u64 base, unsigned int size,
				u32 flags)
{
	const struct rig_sqe sqe = {
		.opcode = 0x01, .prp1 = base, .cdw10 = (size - 1) << 16 | qid, .cdw11 = flags
	};

	return rig_do(r, 0, &sqe);
}

static inline int rig_delete(struct rig *r, bool cq, unsigned int qid)
{
	const struct rig_sqe sqe = { .opcode = cq ? 0x04 : 0x00, .cdw10 = qid };

	return rig_do(r, 0, &sqe);
}

/* A pair of queues; @vector -1 for no interrupts. */
static inline int rig_queue(struct rig *r, unsigned int qid, unsigned int size, int vector)
{
	struct rig_queue *q = &r->q[qid];
	u32 interrupts = vector < 0 ? 0 : (u32)vector << 16 | 2;
	int rc;

	rig_queue_init(r, qid, size);
	rc = rig_create_cq(r, qid, q->cq, size, 1 | interrupts);
	return rc ? rc : rig_create_sq(r, qid, q->sq, size, qid << 16 | 1);
}

static inline int rig_identify(struct rig *r, u32 cns, u32 nsid, u64 to)
{
	const struct rig_sqe sqe = { .opcode = 0x06, .nsid = nsid, .prp1 = to, .cdw10 = cns };

	return rig_do(r, 0, &sqe);
}

/* A command of blocks: read, write, compare, verify, write zeroes. */
static inline struct rig_sqe rig_rw(uint8_t opcode, u64 slba, u32 blocks, u64 prp1, u64 prp2)
{
	return (struct rig_sqe){
		.opcode = opcode,
		.nsid = 1,
		.prp1 = prp1,
		.prp2 = prp2,
		.cdw10 = (uint32_t)slba,
		.cdw11 = (uint32_t)(slba >> 32),
		.cdw12 = blocks - 1,
	};
}

static inline int rig_set_feature(struct rig *r, u32 cdw10, u32 nsid, u32 value, u64 data)
{
	const struct rig_sqe sqe = {
		.opcode = 0x09, .nsid = nsid, .prp1 = data, .cdw10 = cdw10, .cdw11 = value
	};

	return rig_do(r, 0, &sqe);
}

static inline int rig_get_feature(struct rig *r, u32 cdw10, u32 nsid, u32 cdw11, u64 data,
				  u32 *value)
{
	const struct rig_sqe sqe = {
		.opcode = 0x0a, .nsid = nsid, .prp1 = data, .cdw10 = cdw10, .cdw11 = cdw11
	};
	struct rig_cqe cqe = { 0 };
	int rc = rig_do_full(r, 0, &sqe, &cqe);

	*value = cqe.dw0;
	return rc;
}

/* @bytes of a log from @offset; @flags in bits 8 to 15 of CDW10. */
static inline int rig_log_page(struct rig *r, u32 log, u64 offset, u32 bytes, u64 to)
{
	const struct rig_sqe sqe = {
		.opcode = 0x02,
		.nsid = 0xffffffff,
		.prp1 = to,
		.prp2 = to + RIG_PAGE,
		.cdw10 = (bytes / 4 - 1) << 16 | log,
		.cdw12 = (uint32_t)offset,
		.cdw13 = (uint32_t)(offset >> 32),
	};

	return rig_do(r, 0, &sqe);
}

#endif
