// SPDX-License-Identifier: MIT
/*
 * Atomic operations of PCI Express (AtomicOp requests).
 *
 * Memory of this process changes by the processor's own atomic instructions, so
 * they are atomic for everybody. Other memory is copied, changed and written back
 * under a lock that all devices share.
 */
#include "dma_impl.h"
#include "mem/hpa.h"

/**
 * struct atomic - one operation
 * @op: which
 * @length: 4 or 8
 * @operand: to add, or the new value
 * @expected: for SIOMMU_ATOMIC_CAS
 * @old: what was there
 */
struct atomic {
	enum siommu_atomic op;
	size_t length;
	u64 operand;
	u64 expected;
	u64 old;
};

static u64 operate32(const struct atomic *a, u32 *word)
{
	u32 expected = (u32)a->expected;

	switch (a->op) {
	case SIOMMU_ATOMIC_FETCH_ADD:
		return __atomic_fetch_add(word, (u32)a->operand, __ATOMIC_SEQ_CST);
	case SIOMMU_ATOMIC_SWAP:
		return __atomic_exchange_n(word, (u32)a->operand, __ATOMIC_SEQ_CST);
	case SIOMMU_ATOMIC_CAS:
		break;
	}
	__atomic_compare_exchange_n(word, &expected, (u32)a->operand, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	return expected;
}

static u64 operate64(const struct atomic *a, u64 *word)
{
	u64 expected = a->expected;

	switch (a->op) {
	case SIOMMU_ATOMIC_FETCH_ADD:
		return __atomic_fetch_add(word, a->operand, __ATOMIC_SEQ_CST);
	case SIOMMU_ATOMIC_SWAP:
		return __atomic_exchange_n(word, a->operand, __ATOMIC_SEQ_CST);
	case SIOMMU_ATOMIC_CAS:
		break;
	}
	__atomic_compare_exchange_n(word, &expected, a->operand, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	return expected;
}

static void operate(struct atomic *a, void *memory)
{
	a->old = a->length == sizeof(u32) ? operate32(a, memory) : operate64(a, memory);
}

/* On a copy; a comparison that failed writes nothing. */
static bool operate_on_copy(void *arg, void *word)
{
	struct atomic *a = arg;

	operate(a, word);
	return a->op != SIOMMU_ATOMIC_CAS ||
	       a->old == (a->length == sizeof(u32) ? (u32)a->expected : a->expected);
}

/* During an access. Return: 0, or -EFAULT with *@fault. */
static int execute(struct dma_port *port, u64 iova, unsigned int access, struct atomic *a,
		   struct siommu_fault *fault)
{
	struct dma_found found;
	u64 word;
	int rc;

	rc = dma_lookup(port, iova, access, &found, fault);
	if (rc)
		return rc;
	if (found.interrupt) {
		/* There is nothing that could be read: an Unsupported Request. */
		rc = -EFAULT;
	} else if (found.remote) {
		rc = mem_hpa_update(port->host, found.hpa, &word, a->length, operate_on_copy, a);
	} else {
		operate(a, (void *)(uintptr_t)found.hpa);
	}
	if (rc)
		dma_memory_gone(port, iova, access, fault);
	return rc;
}

static bool is_valid(enum siommu_atomic op, u64 iova, size_t length, unsigned int access)
{
	if (op != SIOMMU_ATOMIC_FETCH_ADD && op != SIOMMU_ATOMIC_SWAP && op != SIOMMU_ATOMIC_CAS)
		return false;
	if ((length != sizeof(u32) && length != sizeof(u64)) || !is_aligned(iova, length))
		return false;
	return !(access & ~(unsigned int)SIOMMU_DMA_PRIV);
}

int siommu_dma_atomic(struct siommu_port *common, enum siommu_atomic op, uint64_t iova,
		      size_t length, uint64_t operand, uint64_t expected, uint64_t *old,
		      unsigned int access)
{
	struct atomic a = { .op = op, .length = length, .operand = operand, .expected = expected };
	struct dma_port *port = to_dma_port(common);
	struct siommu_fault fault;
	int rc;

	if (!is_valid(op, iova, length, access))
		return -EINVAL;
	access |= SIOMMU_DMA_READ | SIOMMU_DMA_WRITE;
	do {
		siommu_dma_begin(common);
		rc = execute(port, iova, access, &a, &fault);
		siommu_dma_end(common);
		if (!rc) {
			*old = a.old;
			return 0;
		}
	} while (!dma_handle_fault(port, &fault));
	return -EFAULT;
}
