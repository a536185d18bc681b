// SPDX-License-Identifier: MIT
/*
 * Pins: translations that a device uses for long, outside of any access.
 *
 * A pin is in port->pins from before its first byte is translated, so every
 * invalidation is ordered with it by the port's lock. One that looks for pins
 *
 *  - before the pin is there, has changed the tables and posted before that: the
 *    accesses that translate begin later, and find the new state;
 *  - while it is made, marks it stale, and need not wait, for nobody has an
 *    address yet: it is translated once more;
 *  - after it was made, has the device end it, and waits.
 */
#include "dma_impl.h"

/**
 * struct dma_pin - a pinned range
 * @node: the range
 * @made: the device has the addresses
 * @stale: not made yet, and what was translated so far may have changed
 * @ending: somebody waits for its end
 * @told: the device was told so
 */
struct dma_pin {
	struct itree_node node;
	bool made;
	bool stale;
	bool ending;
	bool told;
};

/**
 * struct pieces - a scatter list in the making
 * @sg: where to
 * @room: in @sg
 * @n: pieces so far
 */
struct pieces {
	struct siommu_sg *sg;
	unsigned int room;
	unsigned int n;
};

static struct dma_pin *from_node(struct itree_node *n)
{
	return n ? container_of(n, struct dma_pin, node) : NULL;
}

static int add_piece(struct pieces *p, void *base, u64 bytes)
{
	struct siommu_sg *end = p->n ? &p->sg[p->n - 1] : NULL;

	if (end && (u8 *)end->base + end->length == (u8 *)base) {
		end->length += bytes;
		return 0;
	}
	if (p->n == p->room)
		return -EMSGSIZE;
	p->sg[p->n++] = (struct siommu_sg){ base, bytes };
	return 0;
}

/* One translation, in an access of its own. */
static int translate(struct dma_port *port, u64 iova, unsigned int access, struct dma_found *found)
{
	struct siommu_fault fault;
	int rc;

	do {
		siommu_dma_begin(&port->port);
		rc = dma_lookup(port, iova, access, found, &fault);
		siommu_dma_end(&port->port);
		if (!rc)
			return found->remote || found->interrupt ? -EREMOTE : 0;
		rc = dma_handle_fault(port, &fault);
	} while (!rc);
	return rc;
}

static int translate_all(struct dma_port *port, u64 iova, u64 last, unsigned int access,
			 struct pieces *p)
{
	struct dma_found found;
	u64 bytes;
	int rc;

	p->n = 0;
	for (;;) {
		rc = translate(port, iova, access, &found);
		if (rc)
			return rc;
		/* @bytes is 0 for 2^64: the whole of a translation may be that large. */
		bytes = found.bytes && found.bytes <= last - iova ? found.bytes : last - iova + 1;
		rc = add_piece(p, (void *)(uintptr_t)found.hpa, bytes);
		if (rc || bytes == last - iova + 1)
			return rc;
		iova += bytes;
	}
}

/* Is what was translated still so? Then the pin is made. */
static bool complete(struct dma_port *port, struct dma_pin *pin)
{
	bool made;

	pthread_mutex_lock(&port->lock);
	made = pin->made = !pin->stale;
	pin->stale = false;
	pthread_mutex_unlock(&port->lock);
	return made;
}

static int pin_range(struct dma_port *port, struct dma_pin *pin, unsigned int access,
		     struct pieces *p)
{
	int rc;

	pthread_mutex_lock(&port->lock);
	itree_insert(&port->pins, &pin->node);
	pthread_mutex_unlock(&port->lock);
	do
		rc = translate_all(port, pin->node.start, pin->node.last, access, p);
	while (!rc && !complete(port, pin));
	if (rc) {
		pthread_mutex_lock(&port->lock);
		itree_remove(&port->pins, &pin->node);
		pthread_mutex_unlock(&port->lock);
	}
	return rc;
}

int siommu_dma_pin(struct siommu_port *common, uint64_t iova, uint64_t length, unsigned int access,
		   struct siommu_sg *sg, unsigned int *n)
{
	struct dma_port *port = to_dma_port(common);
	struct pieces p = { .sg = sg, .room = *n };
	struct dma_pin *pin;
	u64 last;
	int rc;

	if (!access || access & ~(unsigned int)(SIOMMU_DMA_READ | SIOMMU_DMA_WRITE) ||
	    !port->user_ops || !port->user_ops->unpin || range_last(iova, length, &last))
		return -EINVAL;
	pin = base_zalloc(port->alloc, sizeof(*pin));
	if (!pin)
		return -ENOMEM;
	pin->node.start = iova;
	pin->node.last = last;
	rc = pin_range(port, pin, access, &p);
	if (rc) {
		base_free(port->alloc, pin, sizeof(*pin));
		return rc;
	}
	*n = p.n;
	return 0;
}

static struct dma_pin *next_in(struct dma_port *port, struct dma_pin *pin, u64 first, u64 last)
{
	return from_node(pin ? itree_next(&port->pins, &pin->node, first, last)
			     : itree_first(&port->pins, first, last));
}

/*
 * The pin of just this range; of several, one that the device was told of.
 * Context: port->lock.
 */
static struct dma_pin *find_made(struct dma_port *port, u64 first, u64 last)
{
	struct dma_pin *pin = NULL, *found = NULL;

	while ((pin = next_in(port, pin, first, last))) {
		if (!pin->made || pin->node.start != first || pin->node.last != last)
			continue;
		if (!found || pin->told)
			found = pin;
	}
	return found;
}

void siommu_dma_unpin(struct siommu_port *common, uint64_t iova, uint64_t length)
{
	struct dma_port *port = to_dma_port(common);
	struct dma_pin *pin;
	u64 last;

	if (range_last(iova, length, &last))
		return;
	pthread_mutex_lock(&port->lock);
	pin = find_made(port, iova, last);
	if (pin) {
		itree_remove(&port->pins, &pin->node);
		pthread_cond_broadcast(&port->unpinned);
	}
	pthread_mutex_unlock(&port->lock);
	base_free(port->alloc, pin, sizeof(*pin));
}

/*
 * Choose what must end. Pins that are made from now on see the new state, so a
 * device that pins again at once keeps nobody waiting. Context: port->lock.
 */
static void choose(struct dma_port *port, u64 first, u64 last)
{
	struct dma_pin *pin = NULL;

	while ((pin = next_in(port, pin, first, last))) {
		if (pin->made)
			pin->ending = true;
		else
			pin->stale = true;
	}
}

/* One that must end; one that the device has not been told of if there is any. */
static struct dma_pin *next_to_end(struct dma_port *port, u64 first, u64 last)
{
	struct dma_pin *pin = NULL, *found = NULL;

	while ((pin = next_in(port, pin, first, last))) {
		if (!pin->ending)
			continue;
		if (!found || !pin->told)
			found = pin;
	}
	return found;
}

void dma_pin_evict(struct dma_port *port, u64 first, u64 last)
{
	struct dma_pin *pin;

	pthread_mutex_lock(&port->lock);
	choose(port, first, last);
	while ((pin = next_to_end(port, first, last))) {
		u64 iova = pin->node.start, length = pin->node.last - iova + 1;

		if (pin->told) {
			pthread_cond_wait(&port->unpinned, &port->lock);
			continue;
		}
		pin->told = true;
		pthread_mutex_unlock(&port->lock);
		port->user_ops->unpin(port->user_arg, iova, length);
		pthread_mutex_lock(&port->lock);
	}
	pthread_mutex_unlock(&port->lock);
}
