/* SPDX-License-Identifier: MIT */
/*
 * A port on an IOMMU that is a list: of ranges, where they lead, and what is
 * allowed. Whoever takes something out of the list invalidates, by forget() or
 * the steps that it is made of.
 */
#ifndef UNIT_DMA_PORT_H
#define UNIT_DMA_PORT_H

#include <pthread.h>

#include "dma/dma.h"
#include "mem/fake.h"

#define R  SIOMMU_DMA_READ
#define W  SIOMMU_DMA_WRITE
#define X  SIOMMU_DMA_EXEC
#define P  SIOMMU_DMA_PRIV
#define RW (R | W)

#define KIB4 ((u64)1 << 12)
#define MIB2 ((u64)1 << 21)
#define GIB1 ((u64)1 << 30)

#define MAX_RULES 64

/**
 * struct rule - one translation
 * @iova: first byte; aligned to its size
 * @lg2: of its size: what an invalidation of any byte of it means
 * @piece_lg2: of the size that an answer holds for
 * @hpa: where it leads
 * @user: what users' requests may
 * @priv: what privileged ones may
 * @interrupt: it is an interrupt window
 * @used: the rule is there
 */
struct rule {
	u64 iova;
	unsigned int lg2;
	unsigned int piece_lg2;
	u64 hpa;
	unsigned int user;
	unsigned int priv;
	bool interrupt;
	_Atomic bool used;
};

/**
 * struct rules - the IOMMU
 * @rule: the list
 * @walks: how often it was asked
 * @faults: how many were reported
 * @flags: of faults that it finds
 * @no_ats: translation requests are not allowed
 * @resolve: what its function of that name does; NULL for -EFAULT
 * @meanwhile: called when it has found an answer, before it gives it
 */
static struct rules {
	struct rule rule[MAX_RULES];
	_Atomic unsigned int walks;
	_Atomic unsigned int faults;
	u32 flags;
	bool no_ats;
	int (*resolve)(const struct siommu_fault *fault);
	void (*meanwhile)(void);
} rules;

static u64 low_bits(unsigned int lg2)
{
	return lg2 >= 64 ? U64_MAX : ((u64)1 << lg2) - 1;
}

static struct rule *rule_of(u64 iova)
{
	unsigned int i;

	for (i = 0; i < MAX_RULES; i++) {
		struct rule *r = &rules.rule[i];

		if (atomic_load(&r->used) && iova >= r->iova && iova - r->iova <= low_bits(r->lg2))
			return r;
	}
	return NULL;
}

static int refuse(const struct dma_request *req, struct dma_reply *reply)
{
	reply->fault = (struct siommu_fault){
		.iova = req->iova,
		.access = req->access,
		.reason = 77,
		.flags = rules.flags,
	};
	return -EFAULT;
}

static int translate(struct dma_port *port, const struct dma_request *req, struct dma_reply *reply)
{
	const struct rule *r = rule_of(req->iova);
	const struct siommu_walk_step step = { .what = "RULE",
					       .value = r ? r->hpa : 0,
					       .leaf = r != NULL };
	unsigned int allowed;
	u32 need;

	(void)port;
	atomic_fetch_add(&rules.walks, 1);
	if (req->step)
		req->step(req->step_arg, &step);
	if (req->ats && rules.no_ats)
		return -EOPNOTSUPP;
	if (!r)
		return refuse(req, reply);
	allowed = req->access & P ? r->priv : r->user;
	need = req->access & (R | W | X);
	if ((allowed & need) != need)
		return refuse(req, reply);
	reply->hpa = r->hpa + (req->iova - r->iova);
	reply->lg2 = r->piece_lg2;
	reply->span_lg2 = r->lg2;
	reply->perms = dma_perms(r->user, r->priv);
	reply->interrupt = r->interrupt;
	if (rules.meanwhile)
		rules.meanwhile();
	return 0;
}

static void count_fault(struct dma_port *port, const struct siommu_fault *fault)
{
	(void)port;
	(void)fault;
	atomic_fetch_add(&rules.faults, 1);
}

static int resolve(struct dma_port *port, const struct siommu_fault *fault)
{
	(void)port;
	return rules.resolve ? rules.resolve(fault) : -EFAULT;
}

static const struct dma_ops rules_ops = {
	.translate = translate,
	.fault = count_fault,
	.resolve = resolve,
};

static struct rule *rule_add(u64 iova, unsigned int lg2, u64 hpa, unsigned int access)
{
	unsigned int i;

	for (i = 0; i < MAX_RULES; i++) {
		struct rule *r = &rules.rule[i];

		if (atomic_load(&r->used))
			continue;
		r->iova = iova;
		r->lg2 = r->piece_lg2 = lg2;
		r->hpa = hpa;
		r->user = r->priv = access;
		r->interrupt = false;
		atomic_store(&r->used, true);
		return r;
	}
	abort();
}

static u64 address(const void *p)
{
	return (uintptr_t)p;
}

/* One port, made by begin(). */
static struct dma_port *dport;
static struct siommu_port *port;

static inline void begin_with(const struct siommu_port_params *params)
{
	memset(&rules, 0, sizeof(rules));
	ASSERT_OK(dma_port_create(&host, &account, &rules_ops, NULL, params, &dport));
	port = &dport->port;
}

static inline void begin(void)
{
	begin_with(NULL);
}

static inline void end(void)
{
	dma_port_destroy(dport);
}

static inline void invalidate(u64 first, u64 last)
{
	dma_port_post(dport, first, last);
	dma_barrier();
	dma_port_wait(dport, first, last);
}

/* Take a rule away, and invalidate all of it. */
static inline void forget(struct rule *r)
{
	u64 first = r->iova, last = r->iova + low_bits(r->lg2);

	atomic_store(&r->used, false);
	invalidate(first, last);
}

/* Is the answer for a byte still in the TLB? */
static inline bool is_cached(u64 iova, unsigned int access)
{
	unsigned int before = atomic_load(&rules.walks);
	u64 hpa;

	(void)siommu_dma_translate(port, iova, access, &hpa, NULL);
	return atomic_load(&rules.walks) == before;
}

#endif
