// SPDX-License-Identifier: MIT
/*
 * The life of a port, and how translations are taken back from it.
 *
 * What is posted waits at the port until its thread begins the next access: only
 * that thread touches the TLB. A port that is never used again keeps its stale
 * entries, and nobody is harmed.
 */
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dma_impl.h"

#define TLB_LG2_MIN 4
#define TLB_LG2_MAX 16

/*
 * log2 of the entries of each class, if nobody says otherwise. What is not used
 * is never touched, and so takes addresses but no memory.
 */
static const u8 tlb_lg2[SIOMMU_TLB_CLASSES] = { 17, 12, 6 };

static int membarrier(int cmd)
{
	return (int)syscall(SYS_membarrier, cmd, 0, 0);
}

static size_t tlb_bytes(const struct siommu_port *port, unsigned int class)
{
	return port->mask[class] + sizeof(struct siommu_tlb_entry);
}

/* All classes in one block: in bytes. */
static size_t tlb_total(const struct siommu_port *port)
{
	size_t total = 0;
	unsigned int i;

	for (i = 0; i < SIOMMU_TLB_CLASSES; i++)
		total += tlb_bytes(port, i);
	return total;
}

static int tlb_init(struct dma_port *port, unsigned int lg2)
{
	struct siommu_tlb_entry *entries;
	unsigned int i;

	for (i = 0; i < SIOMMU_TLB_CLASSES; i++) {
		size_t n = (size_t)1 << (lg2 ? lg2 : tlb_lg2[i]);

		port->port.mask[i] = (u32)((n - 1) * sizeof(*entries));
	}
	entries = base_zalloc_sparse(port->alloc, tlb_total(&port->port));
	if (!entries)
		return -ENOMEM;
	for (i = 0; i < SIOMMU_TLB_CLASSES; i++) {
		port->port.tlb[i] = entries;
		entries += tlb_bytes(&port->port, i) / sizeof(*entries);
	}
	return 0;
}

/* Fields that the caller's structure is too short for read as zero. */
static int read_params(const struct siommu_port_params *from, struct siommu_port_params *to)
{
	memset(to, 0, sizeof(*to));
	if (from) {
		if (from->size < offsetofend(struct siommu_port_params, flags))
			return -EINVAL;
		memcpy(to, from, min_u64(from->size, sizeof(*to)));
	}
	if (to->tlb_lg2 && (to->tlb_lg2 < TLB_LG2_MIN || to->tlb_lg2 > TLB_LG2_MAX))
		return -EINVAL;
	if (to->flags & ~(unsigned int)(SIOMMU_PORT_PASID | SIOMMU_PORT_PAGE_REQUESTS))
		return -EINVAL;
	if (!(to->flags & SIOMMU_PORT_PASID) && to->pasid)
		return -EINVAL;
	return 0;
}

int dma_port_create(struct mem_host *host, struct base_alloc *alloc, const struct dma_ops *ops,
		    void *owner, const struct siommu_port_params *params, struct dma_port **out)
{
	struct siommu_port_params p;
	struct dma_port *port;
	int rc;

	rc = read_params(params, &p);
	if (rc)
		return rc;
	port = base_zalloc_aligned(alloc, sizeof(*port), DMA_LINE_BYTES);
	if (!port)
		return -ENOMEM;
	port->alloc = alloc;
	port->host = host;
	port->ops = ops;
	port->owner = owner;
	port->flags = p.flags;
	port->pasid = p.pasid;
	port->timeout_ms = p.timeout_ms;
	port->user_ops = p.ops;
	port->user_arg = p.arg;
	port->fence = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0;
	port->port.pending = port->fence;
	pthread_mutex_init(&port->lock, NULL);
	pthread_cond_init(&port->unpinned, NULL);
	rc = tlb_init(port, p.tlb_lg2);
	if (rc) {
		dma_port_destroy(port);
		return rc;
	}
	*out = port;
	return 0;
}

void dma_port_destroy(struct dma_port *port)
{
	dma_ats_drop(port, 0, U64_MAX);
	base_free_sparse(port->alloc, port->port.tlb[0], tlb_total(&port->port));
	pthread_cond_destroy(&port->unpinned);
	pthread_mutex_destroy(&port->lock);
	base_free(port->alloc, port, sizeof(*port));
}

void dma_port_post(struct dma_port *port, u64 first, u64 last)
{
	pthread_mutex_lock(&port->lock);
	dma_ats_drop(port, first, last);
	if (port->nranges == DMA_MAX_POSTED) {
		port->ranges[0] = (struct dma_range){ 0, U64_MAX };
		port->nranges = 1;
	} else {
		port->ranges[port->nranges++] = (struct dma_range){ first, last };
	}
	__atomic_store_n(&port->posted, port->posted + 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&port->port.pending, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&port->lock);
}

bool dma_is_posted(const struct dma_port *port, u64 first, u64 last)
{
	unsigned int i;

	for (i = 0; i < port->nranges; i++)
		if (port->ranges[i].first <= last && first <= port->ranges[i].last)
			return true;
	return false;
}

void dma_barrier(void)
{
	/* If this fails, all ports have failed to register, and have barriers of their own. */
	membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

/*
 * Accesses are short: spin, but let a thread run that was interrupted in one. An
 * access that has seen what was posted began after the one that is waited for,
 * so a port that never rests keeps nobody waiting.
 */
static void wait_for_access(const struct dma_port *port)
{
	u64 posted = __atomic_load_n(&port->posted, __ATOMIC_RELAXED);
	unsigned int spins = 0;

	while (__atomic_load_n(&port->port.busy, __ATOMIC_SEQ_CST) &&
	       __atomic_load_n(&port->seen, __ATOMIC_ACQUIRE) < posted)
		if (++spins % 64 == 0)
			sched_yield();
}

void dma_port_wait(struct dma_port *port, u64 first, u64 last)
{
	wait_for_access(port);
	dma_ats_invalidate(port, first, last);
	dma_pin_evict(port, first, last);
}

/* Empty the chunks of a class that were used. */
static void drop_all_of(struct dma_port *port, unsigned int class)
{
	const size_t bytes = tlb_bytes(&port->port, class);
	const size_t chunk = sizeof(struct siommu_tlb_entry) << DMA_TLB_CHUNK_LG2;
	u8 *tlb = (u8 *)port->port.tlb[class];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(port->used[class]); i++) {
		for (; port->used[class][i]; port->used[class][i] &= port->used[class][i] - 1) {
			size_t at = (i * 64 + lowest_bit(port->used[class][i])) * chunk;

			memset(tlb + at, 0, min_u64(chunk, bytes - at));
		}
	}
	port->port.classes &= ~(1u << class);
	port->span_lg2[class] = 0;
}

/* May the chunk of the entry at index @i have any? */
static bool chunk_used(const struct dma_port *port, unsigned int class, u64 i)
{
	u64 chunk = i >> DMA_TLB_CHUNK_LG2;

	return port->used[class][chunk / 64] >> chunk % 64 & 1;
}

/* A large page is in the TLB in pieces: all of them go. */
static void drop_class(struct dma_port *port, unsigned int class, u64 first, u64 last)
{
	const u64 entries = tlb_bytes(&port->port, class) / sizeof(struct siommu_tlb_entry);
	const unsigned int lg2 = port->span_lg2[class];
	const u64 span = lg2 < 64 ? ((u64)1 << lg2) - 1 : U64_MAX;
	const unsigned int shift = SIOMMU_TLB_SHIFT(class);
	u64 page;

	first = (first & ~span) >> shift;
	last = (last | span) >> shift;
	if (last - first >= entries) {
		/* Not worth looking at each. */
		drop_all_of(port, class);
		return;
	}
	for (page = first; page <= last; page++) {
		struct siommu_tlb_entry *e;

		if (!chunk_used(port, class, page & (entries - 1))) {
			page |= ((u64)1 << DMA_TLB_CHUNK_LG2) - 1;
			continue;
		}
		e = &port->port.tlb[class][page & (entries - 1)];
		if (e->tag >> shift == page)
			e->tag = 0;
	}
}

static void drop_range(struct dma_port *port, u64 first, u64 last)
{
	unsigned int i;

	if (!first && last == U64_MAX)
		port->config_valid = false;
	for (i = 0; i < SIOMMU_TLB_CLASSES; i++)
		if (port->port.classes & 1u << i)
			drop_class(port, i, first, last);
}

void siommu_dma_catch_up(struct siommu_port *common)
{
	struct dma_port *port = to_dma_port(common);
	struct dma_range ranges[DMA_MAX_POSTED];
	unsigned int i, n;

	if (unlikely(port->fence)) {
		__atomic_exchange_n(&common->busy, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&port->posted, __ATOMIC_SEQ_CST) == port->seen)
			return;
	}
	pthread_mutex_lock(&port->lock);
	n = port->nranges;
	memcpy(ranges, port->ranges, n * sizeof(ranges[0]));
	port->nranges = 0;
	__atomic_store_n(&port->seen, port->posted, __ATOMIC_RELEASE);
	__atomic_store_n(&common->pending, port->fence, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&port->lock);
	for (i = 0; i < n; i++)
		drop_range(port, ranges[i].first, ranges[i].last);
}
