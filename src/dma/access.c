// SPDX-License-Identifier: MIT
/*
 * Accesses: the TLB's slow half, and moving bytes.
 *
 * What the TLB does not have is looked for in the tables that the port remembers, and
 * then asked of the model.
 *
 * Bytes move a page at a time, each page in an access of its own, so that
 * whoever invalidates never waits long, and so that a fault stops exactly at the
 * first byte that is not allowed. Faults are dealt with between two accesses.
 */
#include <string.h>

#include "dma_impl.h"
#include "mem/hpa.h"

static inline void tlb_fill_class(struct dma_port *port, unsigned int class, u64 iova,
				  const struct dma_reply *reply, u32 perms)
{
	struct siommu_tlb_entry *e = siommu_tlb_slot(&port->port, class, iova);
	u64 chunk = (u64)(e - port->port.tlb[class]) >> DMA_TLB_CHUNK_LG2;

	e->tag = align_down(iova, (u64)1 << SIOMMU_TLB_SHIFT(class)) | perms;
	e->delta = reply->hpa - iova;
	port->used[class][chunk / 64] |= (u64)1 << chunk % 64;
	port->port.classes |= 1u << class;
	if (unlikely(reply->span_lg2 > port->span_lg2[class]))
		port->span_lg2[class] = (u8)reply->span_lg2;
}

static void tlb_fill(struct dma_port *port, u64 iova, const struct dma_reply *reply, bool remote)
{
	u32 perms = reply->perms;

	if (unlikely(remote)) {
		perms <<= DMA_PERM_REMOTE_SHIFT;
		port->any_remote = true;
	}
	if (likely(reply->lg2 < SIOMMU_TLB_SHIFT(1)))
		tlb_fill_class(port, 0, iova, reply, perms);
	else if (reply->lg2 < SIOMMU_TLB_SHIFT(2))
		tlb_fill_class(port, 1, iova, reply, perms);
	else
		tlb_fill_class(port, 2, iova, reply, perms);
}

/* Bytes from @iova to the end of its 2^lg2 bytes. */
static u64 bytes_left(u64 iova, unsigned int lg2)
{
	u64 mask = lg2 >= 64 ? U64_MAX : ((u64)1 << lg2) - 1;

	return (mask - (iova & mask)) + 1;
}

/* Ask the TLB, also for what may not be touched directly. */
static bool tlb_find(struct dma_port *port, u64 iova, u64 need, struct dma_found *found)
{
	unsigned int i;

	for (i = 0; i < SIOMMU_TLB_CLASSES; i++) {
		const struct siommu_tlb_entry *e;
		bool local;

		if (!(port->port.classes & 1u << i))
			continue;
		e = siommu_tlb_slot(&port->port, i, iova);
		local = siommu_tlb_hit(e, i, iova, need);
		if (!local && !siommu_tlb_hit(e, i, iova, need << DMA_PERM_REMOTE_SHIFT))
			continue;
		found->hpa = iova + e->delta;
		found->bytes = bytes_left(iova, SIOMMU_TLB_SHIFT(i));
		found->remote = !local;
		found->interrupt = false;
		return true;
	}
	return false;
}

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline struct dma_near *near_slot(struct dma_port *port, unsigned int stage, u64 address)
{
	return &port->near[stage][address >> DMA_NEAR_LG2 & (DMA_NEAR_SLOTS - 1)];
}

static inline u64 near_tag(u64 address)
{
	return align_down(address, (u64)1 << DMA_NEAR_LG2) | 1;
}

static inline u64 near_offset(u64 address, unsigned int item_lg2)
{
	return ((address & (((u64)1 << DMA_NEAR_LG2) - 1)) >> item_lg2) * sizeof(u64);
}

/* What @address becomes by an entry whose address is in @mask. */
static inline u64 leaf_output(u64 entry, u64 mask, unsigned int lg2, u64 address)
{
	return (entry & mask) | (address & (((u64)1 << lg2) - 1));
}

/*
 * Remember where the translation of @iova ended. Not if that is memory that has to
 * be copied with care.
 */
static void near_fill(struct dma_port *port, u64 iova)
{
	const struct dma_leaf *leaf = port->reply.leaf;
	u64 address = iova;
	unsigned int i;

	for (i = 0; i < port->reply.leaves; i++, leaf++) {
		if (dma_is_remote(port, leaf->at))
			return;
		*near_slot(port, i, address) = (struct dma_near){
			.tag = near_tag(address),
			.seen = port->seen,
			.table = leaf->at - near_offset(address, leaf->item_lg2),
			.bits = leaf->entry & ~leaf->address,
			.address = leaf->address,
			.perms = leaf->perms,
			.item_lg2 = (u8)leaf->item_lg2,
			.lg2 = (u8)leaf->lg2,
			.more = i + 1 < port->reply.leaves,
		};
		address = leaf_output(leaf->entry, leaf->address, leaf->lg2, address);
	}
}

/* One stage of near_walk(). Return: NULL if the model has to be asked. */
static inline const struct dma_near *near_stage(struct dma_port *port, unsigned int stage,
						u64 *address)
{
	const struct dma_near *near = near_slot(port, stage, *address);
	const u64 *at;
	u64 entry;

	if (unlikely(near->tag != near_tag(*address) || near->seen != port->seen))
		return NULL;
	at = (const u64 *)(uintptr_t)(near->table + near_offset(*address, near->item_lg2));
	entry = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	if (unlikely((entry & ~near->address) != near->bits))
		return NULL;
	*address = leaf_output(entry, near->address, near->lg2, *address);
	return near;
}

/*
 * Translate from the last table on, as hardware does that caches the others. An
 * entry that differs from one that has been here in nothing but its address
 * allows what that did, and has nothing left to be marked; anything else is for the
 * model. So is what leads below 4 GiB, where its window for interrupts may be.
 */
ALWAYS_INLINE bool near_walk(struct dma_port *port, u64 iova, u64 need)
{
	struct dma_reply *reply = &port->reply;
	const struct dma_near *first, *last;
	u64 hpa = iova;

	first = last = near_stage(port, 0, &hpa);
	if (likely(first) && first->more)
		last = near_stage(port, 1, &hpa);
	if (unlikely(!last || need & ~(u64)(first->perms & last->perms) || hpa >> 32 == 0))
		return false;
	reply->hpa = hpa;
	reply->lg2 = first->lg2 < last->lg2 ? first->lg2 : last->lg2;
	/* Whoever changes the second stage invalidates all that goes through it. */
	reply->span_lg2 = first->lg2;
	reply->perms = first->perms & last->perms;
	reply->interrupt = false;
	return true;
}

/* What is in port->reply goes to the TLB. Return: is it to be copied with care? */
static inline bool remember(struct dma_port *port, u64 iova)
{
	const struct dma_reply *reply = &port->reply;
	bool remote = dma_is_remote(port, reply->hpa);

	tlb_fill(port, iova, reply, remote);
	return remote;
}

/*
 * Ask the model, and remember the answer, which is in port->reply. Its fault is zero
 * unless a walk has just failed: zeroing all of it each time took a third of a miss.
 */
ALWAYS_INLINE int walk(struct dma_port *port, u64 iova, unsigned int access, bool *remote)
{
	const struct dma_request req = { .iova = iova, .access = access };
	struct dma_reply *reply = &port->reply;
	int rc;

	memset(reply, 0, offsetof(struct dma_reply, fault));
	rc = port->ops->translate(port, &req, reply);
	if (unlikely(rc))
		return rc;
	*remote = false;
	if (unlikely(reply->interrupt))
		return 0;
	if (likely(reply->leaves))
		near_fill(port, iova);
	*remote = remember(port, iova);
	return 0;
}

static void take_fault(struct dma_port *port, struct siommu_fault *fault)
{
	*fault = port->reply.fault;
	memset(&port->reply.fault, 0, sizeof(port->reply.fault));
}

int dma_lookup(struct dma_port *port, u64 iova, unsigned int access, struct dma_found *found,
	       struct siommu_fault *fault)
{
	u64 need = siommu_dma_need(access);
	int rc;

	if (need && tlb_find(port, iova, need, found))
		return 0;
	if (need && near_walk(port, iova, need)) {
		found->remote = remember(port, iova);
	} else {
		rc = walk(port, iova, access, &found->remote);
		if (rc) {
			take_fault(port, fault);
			return rc;
		}
	}
	found->hpa = port->reply.hpa;
	found->bytes = bytes_left(iova, port->reply.lg2);
	found->interrupt = port->reply.interrupt;
	return 0;
}

static __attribute__((noinline)) void *find_by_walk(struct dma_port *port, u64 iova,
						    unsigned int access)
{
	struct siommu_fault fault;
	bool remote;

	if (unlikely(walk(port, iova, access, &remote))) {
		take_fault(port, &fault);
		return NULL;
	}
	if (unlikely(remote || port->reply.interrupt))
		return NULL;
	return (void *)(uintptr_t)port->reply.hpa;
}

/* What the TLB has for direct use has been asked for already. */
void *siommu_dma_find_slow(struct siommu_port *common, uint64_t iova, size_t length,
			   unsigned int access)
{
	struct dma_port *port = to_dma_port(common);
	const u64 need = siommu_dma_need(access);
	struct dma_found found;

	if (unlikely(length > bytes_left(iova, PAGE_LG2)))
		return NULL;
	if (unlikely(port->any_remote && tlb_find(port, iova, need, &found)))
		return NULL;
	if (unlikely(!need || !near_walk(port, iova, need)))
		return find_by_walk(port, iova, access);
	return remember(port, iova) ? NULL : (void *)(uintptr_t)port->reply.hpa;
}

int dma_handle_fault(struct dma_port *port, const struct siommu_fault *fault)
{
	bool ask =
		fault->flags & SIOMMU_FAULT_STALLED || (fault->flags & SIOMMU_FAULT_RECOVERABLE &&
							port->flags & SIOMMU_PORT_PAGE_REQUESTS);

	if (ask && port->ops->resolve && !port->ops->resolve(port, fault))
		return 0;
	port->last = *fault;
	port->faulted = true;
	if (!(fault->flags & SIOMMU_FAULT_SILENT))
		port->ops->fault(port, &port->last);
	return -EFAULT;
}

int dma_copy_from(struct dma_port *port, const struct dma_found *found, void *buf, size_t n)
{
	if (found->remote)
		return mem_hpa_read(port->host, found->hpa, buf, n);
	memcpy(buf, (const void *)(uintptr_t)found->hpa, n);
	return 0;
}

int dma_copy_to(struct dma_port *port, const struct dma_found *found, const void *buf, size_t n)
{
	if (found->remote)
		return mem_hpa_write(port->host, found->hpa, buf, n);
	memcpy((void *)(uintptr_t)found->hpa, buf, n);
	return 0;
}

void dma_memory_gone(struct dma_port *port, u64 iova, unsigned int access,
		     struct siommu_fault *fault)
{
	*fault = (struct siommu_fault){
		.iova = iova,
		.access = access,
		.flags = SIOMMU_FAULT_SILENT |
			 (port->flags & SIOMMU_PORT_PASID ? SIOMMU_FAULT_PASID : 0),
		.pasid = port->pasid,
	};
}

/**
 * struct piece - what one access of a longer request moves
 * @port: the port
 * @iova: first byte
 * @buf: the device's side
 * @n: bytes
 * @access: enum siommu_dma_access
 * @found: where it is
 */
struct piece {
	struct dma_port *port;
	u64 iova;
	u8 *buf;
	size_t n;
	unsigned int access;
	struct dma_found found;
};

static void send_interrupt(struct piece *p)
{
	const struct siommu_port_ops *ops = p->port->user_ops;
	u32 data;

	memcpy(&data, p->buf, sizeof(data));
	if (ops && ops->interrupt)
		ops->interrupt(p->port->user_arg, p->found.hpa, data);
}

/* Writes of a word are messages; what else is done in the window is not allowed. */
static bool is_message(const struct piece *p)
{
	return p->access & SIOMMU_DMA_WRITE && p->n == sizeof(u32) &&
	       is_aligned(p->iova, sizeof(u32));
}

/* Move @p, during an access. Return: 0, or -EFAULT with *@fault. */
static int move(struct piece *p, struct siommu_fault *fault)
{
	int rc = dma_lookup(p->port, p->iova, p->access, &p->found, fault);

	if (rc)
		return rc;
	if (p->found.interrupt)
		rc = is_message(p) ? 0 : -EFAULT;
	else if (p->access & SIOMMU_DMA_WRITE)
		rc = dma_copy_to(p->port, &p->found, p->buf, p->n);
	else
		rc = dma_copy_from(p->port, &p->found, p->buf, p->n);
	if (rc)
		dma_memory_gone(p->port, p->iova, p->access, fault);
	return rc;
}

static int move_slow(struct piece *p)
{
	struct siommu_fault fault;
	int rc;

	do {
		siommu_dma_begin(&p->port->port);
		rc = move(p, &fault);
		siommu_dma_end(&p->port->port);
		if (!rc) {
			if (p->found.interrupt)
				send_interrupt(p);
			return 0;
		}
	} while (!dma_handle_fault(p->port, &fault));
	return -EFAULT;
}

/* In one access, if all of it is in one page that can be touched directly. */
static bool transfer_fast(struct siommu_port *port, u64 iova, void *buf, size_t length,
			  unsigned int access)
{
	void *memory;

	siommu_dma_begin(port);
	memory = siommu_dma_find(port, iova, length, access);
	if (likely(memory)) {
		if (access & SIOMMU_DMA_WRITE)
			memcpy(memory, buf, length);
		else
			memcpy(buf, memory, length);
	}
	siommu_dma_end(port);
	return memory;
}

static __attribute__((noinline)) int transfer_pages(struct siommu_port *port, u64 iova, u8 *buf,
						    size_t length, unsigned int access)
{
	u64 last;
	int rc;

	if (!length)
		return 0;
	if (range_last(iova, length, &last))
		return -EINVAL;
	while (length) {
		size_t n = min_u64(length, bytes_left(iova, PAGE_LG2));

		if (!transfer_fast(port, iova, buf, n, access)) {
			struct piece p = { to_dma_port(port), iova, buf, n, access, { 0 } };

			rc = move_slow(&p);
			if (rc)
				return rc;
		}
		iova += n;
		buf += n;
		length -= n;
	}
	return 0;
}

static inline int transfer(struct siommu_port *port, u64 iova, void *buf, size_t length,
			   unsigned int access)
{
	if (likely(length - 1 < PAGE_BYTES && transfer_fast(port, iova, buf, length, access)))
		return 0;
	return transfer_pages(port, iova, buf, length, access);
}

int siommu_dma_read(struct siommu_port *port, uint64_t iova, void *buf, size_t length,
		    unsigned int access)
{
	if (access & ~(unsigned int)(SIOMMU_DMA_READ | SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV))
		return -EINVAL;
	return transfer(port, iova, buf, length, access | SIOMMU_DMA_READ);
}

int siommu_dma_write(struct siommu_port *port, uint64_t iova, const void *buf, size_t length,
		     unsigned int access)
{
	if (access & ~(unsigned int)(SIOMMU_DMA_WRITE | SIOMMU_DMA_PRIV))
		return -EINVAL;
	return transfer(port, iova, (void *)buf, length, access | SIOMMU_DMA_WRITE);
}

int siommu_dma_translate(struct siommu_port *common, uint64_t iova, unsigned int access,
			 uint64_t *hpa, uint64_t *bytes)
{
	struct dma_port *port = to_dma_port(common);
	struct siommu_fault fault;
	struct dma_found found;
	int rc;

	do {
		siommu_dma_begin(common);
		rc = dma_lookup(port, iova, access, &found, &fault);
		siommu_dma_end(common);
		if (!rc) {
			*hpa = found.hpa;
			if (bytes)
				*bytes = found.bytes;
			return 0;
		}
	} while (!dma_handle_fault(port, &fault));
	return rc;
}

int siommu_dma_walk(struct siommu_port *common, uint64_t iova, unsigned int access,
		    siommu_walk_fn step, void *arg, uint64_t *hpa)
{
	const struct dma_request req = {
		.iova = iova, .access = access, .peek = true, .step = step, .step_arg = arg
	};
	struct dma_port *port = to_dma_port(common);
	struct dma_reply reply;
	int rc;

	memset(&reply, 0, sizeof(reply));
	siommu_dma_begin(common);
	rc = port->ops->translate(port, &req, &reply);
	/* It may have read configuration again, with which they have nothing to do. */
	memset(port->near, 0, sizeof(port->near));
	siommu_dma_end(common);
	if (rc) {
		port->last = reply.fault;
		port->faulted = true;
		return rc;
	}
	*hpa = reply.hpa;
	return 0;
}

const struct siommu_fault *siommu_dma_fault(const struct siommu_port *common)
{
	const struct dma_port *port = container_of(common, const struct dma_port, port);

	return port->faulted ? &port->last : NULL;
}

int dma_load64_remote(struct dma_port *port, hpa_t hpa, u64 *value)
{
	return mem_hpa_read(port->host, hpa, value, sizeof(*value));
}

int dma_load(struct dma_port *port, hpa_t hpa, u64 *words, unsigned int n)
{
	unsigned int i;
	int rc = 0;

	if (dma_is_remote(port, hpa))
		return mem_hpa_read(port->host, hpa, words, n * sizeof(*words));
	for (i = 0; i < n && !rc; i++)
		rc = dma_load64(port, hpa + i * sizeof(*words), &words[i]);
	return rc;
}

int dma_cas64(struct dma_port *port, hpa_t hpa, u64 *expected, u64 value)
{
	if (dma_is_remote(port, hpa))
		return mem_hpa_cas64(port->host, hpa, expected, value);
	if (__atomic_compare_exchange_n((u64 *)(uintptr_t)hpa, expected, value, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return 0;
	return -EAGAIN;
}
