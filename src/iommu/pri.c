// SPDX-License-Identifier: MIT
/*
 * Page requests of ports: groups that wait for an answer, and who waits for it.
 *
 * A device numbers its groups, and must not use a number again before the group
 * was answered. A group is here from its first request on and until one of these
 * answers it: the reader of the fault queue, the IOMMU (nobody takes it; the
 * queue is full), or the end of its time. Each takes the group out of the tree,
 * under the lock, so only one of them does. The tokens of groups are never used
 * twice: an answer that comes when the device has given up finds nothing, even
 * if the number is in use again.
 *
 * A request whose transaction stalls (SMMUv3) is a group of one, and its number
 * the tag (STAG) by which it is resumed.
 *
 * Nobody here has a thread of his own. Who waits sees for himself when the time
 * is over; for other groups the device model asks.
 *
 * Locking: the lock here is taken without the group's lock and the other way
 * round: requests are reported, and partial ones dropped, without it. Call-backs
 * run without it too, because device models have locks of their own; whoever
 * ends a port waits until none of its call-backs runs.
 */
#include <time.h>

#include <softiommu/abi/iommufd.h>

#include "iommu_impl.h"

#define MAX_INDEX 512	     /* PCIe: 9 bits */
#define MAX_STAG  (1u << 16) /* SMMUv3: 16 bits */
#define NEVER	  U64_MAX

/* How long to wait before asking again when the queue was full. */
#define RETRY_NS 1000000

/**
 * struct iommu_page_group - requests that get one answer
 * @node: PASID and number
 * @link: in requests->answering, once it is in no tree
 * @token: says which group an answer is for
 * @port: whose
 * @last: it is complete: only then it can be answered
 * @waits: a thread waits for it, and owns this; otherwise it is told by call-back
 * @answered: signalled for that thread
 * @done: answered, with @code
 * @code: IOMMUFD_PAGE_RESP_*
 * @deadline: when its time is over, by the monotonic clock
 */
struct iommu_page_group {
	struct itree_node node;
	LIST_ENTRY(iommu_page_group) link;
	u64 token;
	struct dma_port *port;
	bool last;
	bool waits;
	pthread_cond_t answered;
	bool done;
	u32 code;
	u64 deadline;
};

static struct iommu_device *port_device(const struct dma_port *port)
{
	return port->owner;
}

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

static u64 port_deadline(const struct dma_port *port)
{
	return port->timeout_ms ? now_ns() + (u64)port->timeout_ms * 1000000 : NEVER;
}

static u64 group_key(bool has_pasid, u32 pasid, u32 index)
{
	return (has_pasid ? (u64)1 << 40 | (u64)pasid << 16 : 0) | index;
}

static u64 port_key(const struct dma_port *port, u32 index)
{
	return group_key(port->flags & SIOMMU_PORT_PASID, port->pasid, index);
}

static struct iommu_page_group *from_node(struct itree_node *n)
{
	return n ? container_of(n, struct iommu_page_group, node) : NULL;
}

static struct iommu_page_group *find(struct iommu_page_requests *r, u64 key)
{
	return from_node(itree_first(&r->groups, key, key));
}

/* The groups with the PASID of @port, one after the other. */
static struct iommu_page_group *next_of(struct iommu_page_requests *r, const struct dma_port *port,
					struct iommu_page_group *g)
{
	u64 first = port_key(port, 0), last = port_key(port, MAX_STAG - 1);

	return from_node(g ? itree_next(&r->groups, &g->node, first, last)
			   : itree_first(&r->groups, first, last));
}

static void insert(struct iommu_page_requests *r, struct iommu_page_group *g, u64 key)
{
	g->node.start = g->node.last = key;
	g->token = ++r->token;
	itree_insert(&r->groups, &g->node);
}

void iommu_page_requests_init(struct iommu_page_requests *r)
{
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->told, NULL);
	LIST_INIT(&r->answering);
}

void iommu_page_requests_end(struct iommu_page_requests *r)
{
	pthread_cond_destroy(&r->told);
	pthread_mutex_destroy(&r->lock);
}

static void group_free(struct iommu_device *dev, struct iommu_page_group *g)
{
	base_free(dev->unit->alloc, g, sizeof(*g));
}

/*
 * @g, which is in the tree, has its answer. Context: the lock, which is dropped
 * for a call-back; the group is gone afterwards.
 */
static void answer(struct iommu_device *dev, struct iommu_page_group *g, u32 code)
{
	struct iommu_page_requests *r = &dev->requests;
	struct dma_port *port = g->port;

	itree_remove(&r->groups, &g->node);
	if (g->waits) {
		g->done = true;
		g->code = code;
		pthread_cond_signal(&g->answered);
		return;
	}
	LIST_INSERT_HEAD(&r->answering, g, link);
	pthread_mutex_unlock(&r->lock);
	if (port->user_ops && port->user_ops->page_response)
		port->user_ops->page_response(port->user_arg, (u32)g->node.start & (MAX_STAG - 1),
					      code);
	pthread_mutex_lock(&r->lock);
	LIST_REMOVE(g, link);
	pthread_cond_broadcast(&r->told);
	group_free(dev, g);
}

void iommu_page_answer(struct iommu_device *dev, const struct iommu_pgfault *last, u32 code)
{
	struct iommu_page_requests *r = &dev->requests;
	struct iommu_page_group *g;

	if (!last->token)
		return;
	pthread_mutex_lock(&r->lock);
	g = find(r, group_key(last->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID, last->pasid,
			      last->grpid));
	if (g && g->token == last->token)
		answer(dev, g, code);
	pthread_mutex_unlock(&r->lock);
}

/* Answer what has waited too long. Return: nanoseconds to the next, or NEVER. */
static u64 expire(struct iommu_device *dev, struct dma_port *port)
{
	struct iommu_page_requests *r = &dev->requests;
	u64 now = now_ns(), next = NEVER;
	struct iommu_page_group *g;

	pthread_mutex_lock(&r->lock);
	g = next_of(r, port, NULL);
	while (g) {
		if (g->port != port || g->waits || g->deadline == NEVER) {
			g = next_of(r, port, g);
		} else if (g->deadline > now) {
			next = min_u64(next, g->deadline - now);
			g = next_of(r, port, g);
		} else {
			answer(dev, g, IOMMUFD_PAGE_RESP_INVALID);
			g = next_of(r, port, NULL);
			next = NEVER;
		}
	}
	pthread_mutex_unlock(&r->lock);
	return next;
}

int siommu_dma_page_request_expire(struct siommu_port *common)
{
	struct dma_port *port = to_dma_port(common);
	u64 next = expire(port_device(port), port);

	/* Rounded up: who comes back then finds it over. */
	return next == NEVER ? -1 : (int)min_u64((next + 999999) / 1000000, INT32_MAX);
}

/* The group that a request belongs to; a new one if it is the first of it. */
static int join(struct iommu_device *dev, struct dma_port *port, u32 index, bool last, u64 *token)
{
	struct iommu_page_requests *r = &dev->requests;
	struct iommu_page_group *g;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	g = find(r, port_key(port, index));
	if (g && (g->port != port || g->last)) {
		rc = -EBUSY;
	} else if (!g) {
		g = base_zalloc(dev->unit->alloc, sizeof(*g));
		if (g) {
			g->port = port;
			g->deadline = NEVER;
			insert(r, g, port_key(port, index));
		} else {
			rc = -ENOMEM;
		}
	}
	if (!rc) {
		if (last) {
			g->last = true;
			g->deadline = port_deadline(port);
		}
		*token = g->token;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* A request of the port, as the fault queue has it. */
static struct iommu_pgfault compose(const struct dma_port *port, u64 iova, unsigned int access,
				  u32 index, bool last)
{
	struct iommu_pgfault fault = {
		.flags = last ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
		.grpid = index,
		.addr = iova,
	};

	if (port->flags & SIOMMU_PORT_PASID) {
		fault.flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		fault.pasid = port->pasid;
	}
	if (access & SIOMMU_DMA_READ)
		fault.perm |= IOMMU_PGFAULT_PERM_READ;
	if (access & SIOMMU_DMA_WRITE)
		fault.perm |= IOMMU_PGFAULT_PERM_WRITE;
	if (access & SIOMMU_DMA_EXEC)
		fault.perm |= IOMMU_PGFAULT_PERM_EXEC;
	if (access & SIOMMU_DMA_PRIV)
		fault.perm |= IOMMU_PGFAULT_PERM_PRIV;
	return fault;
}

/* The group is not to be answered any more. */
static void forget(struct iommu_device *dev, const struct dma_port *port, u32 index, u64 token)
{
	struct iommu_page_requests *r = &dev->requests;
	struct iommu_page_group *g;

	pthread_mutex_lock(&r->lock);
	g = find(r, port_key(port, index));
	if (g && g->token == token)
		itree_remove(&r->groups, &g->node);
	else
		g = NULL;
	pthread_mutex_unlock(&r->lock);
	if (g && !g->waits)
		group_free(dev, g);
}

/*
 * Requests whose last has not come are forgotten: those of @port, or of all
 * ports with its PASID.
 */
static void drop_incomplete(struct iommu_device *dev, const struct dma_port *port, bool all)
{
	struct iommu_page_requests *r = &dev->requests;
	struct iommu_page_group *g;
	struct iommu_pgfault like;

	do {
		pthread_mutex_lock(&r->lock);
		g = next_of(r, port, NULL);
		while (g && (g->last || (!all && g->port != port)))
			g = next_of(r, port, g);
		if (g) {
			like = compose(port, 0, 0, (u32)g->node.start & (MAX_STAG - 1), false);
			itree_remove(&r->groups, &g->node);
			group_free(dev, g);
		}
		pthread_mutex_unlock(&r->lock);
		if (g)
			iommu_fault_drop(dev, &like);
	} while (g);
}

/* A request could not be delivered, and for nobody to answer but us. */
static int undelivered(struct iommu_device *dev, const struct dma_port *port,
		       const struct iommu_pgfault *fault, int rc)
{
	if (rc == -ENOMEM) {
		forget(dev, port, fault->grpid, fault->token);
		iommu_fault_drop(dev, fault);
		return rc;
	}
	/* Only the last one gets an answer. When the queue is full, it is: try again. */
	if (fault->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
		iommu_page_answer(dev, fault,
				  rc == -ENOSPC ? IOMMUFD_PAGE_RESP_SUCCESS
						: IOMMUFD_PAGE_RESP_INVALID);
	return 0;
}

/* What a request without a PASID cannot say. */
static unsigned int not_requested(const struct dma_port *port)
{
	return port->flags & SIOMMU_PORT_PASID ? 0 : SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV;
}

static int check_request(const struct dma_port *port, const struct siommu_page_request *request)
{
	const unsigned int known =
		SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV;

	if (!port_device(port)->page_requests)
		return -EOPNOTSUPP;
	if (request->group >= MAX_INDEX || request->access & (~known | not_requested(port)))
		return -EINVAL;
	return request->access || request->last ? 0 : -EINVAL;
}

int siommu_dma_page_request(struct siommu_port *common, const struct siommu_page_request *request)
{
	struct dma_port *port = to_dma_port(common);
	struct iommu_device *dev = port_device(port);
	struct iommu_pgfault fault;
	u64 token;
	int rc;

	rc = check_request(port, request);
	if (rc)
		return rc;
	if (!request->access) {
		/* A stop marker: nothing comes any more for what has no last. */
		drop_incomplete(dev, port, true);
		return 0;
	}
	rc = join(dev, port, request->group, request->last, &token);
	if (rc == -EBUSY) {
		expire(dev, port);
		rc = join(dev, port, request->group, request->last, &token);
	}
	if (rc)
		return rc;
	fault = compose(port, align_down(request->iova, PAGE_BYTES), request->access,
			request->group, request->last);
	fault.token = token;
	rc = iommu_report_fault(dev, &fault);
	return rc ? undelivered(dev, port, &fault, rc) : 0;
}

/* Give @g the highest number below @limit that is free. */
static int take_number(struct iommu_page_requests *r, struct iommu_page_group *g, u32 limit)
{
	u32 index = limit;
	int rc = -EBUSY;

	pthread_mutex_lock(&r->lock);
	while (index-- && rc) {
		u64 key = port_key(g->port, index);

		if (find(r, key))
			continue;
		g->done = false;
		insert(r, g, key);
		rc = 0;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static int wait_for_answer(struct iommu_page_requests *r, struct iommu_page_group *g)
{
	const struct timespec until = {
		.tv_sec = (time_t)(g->deadline / 1000000000),
		.tv_nsec = (long)(g->deadline % 1000000000),
	};
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (!g->done && !rc) {
		if (g->deadline == NEVER)
			pthread_cond_wait(&g->answered, &r->lock);
		else
			rc = -pthread_cond_timedwait(&g->answered, &r->lock, &until);
	}
	if (!g->done)
		itree_remove(&r->groups, &g->node);
	else
		rc = g->code == IOMMUFD_PAGE_RESP_SUCCESS ? 0 : -EFAULT;
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* Ask once. Return: 0; -EBUSY and -ENOSPC if there is no room; else the answer. */
static int ask(struct iommu_device *dev, struct iommu_page_group *g, u32 limit,
	       struct iommu_pgfault *fault)
{
	int rc;

	rc = take_number(&dev->requests, g, limit);
	if (rc)
		return rc;
	fault->grpid = (u32)g->node.start & (MAX_STAG - 1);
	fault->token = g->token;
	rc = iommu_report_fault(dev, fault);
	if (!rc)
		return wait_for_answer(&dev->requests, g);
	forget(dev, g->port, fault->grpid, g->token);
	return rc == -EINVAL ? -EFAULT : rc;
}

static void nap(void)
{
	const struct timespec t = { .tv_nsec = RETRY_NS };

	nanosleep(&t, NULL);
}

/* Ask until there is an answer, or the time is over. */
static int ask_and_wait(struct dma_port *port, struct iommu_pgfault *fault, u32 limit)
{
	struct iommu_device *dev = port_device(port);
	struct iommu_page_group g = {
		.port = port,
		.last = true,
		.waits = true,
		.deadline = port_deadline(port),
	};
	pthread_condattr_t attr;
	int rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g.answered, &attr);
	pthread_condattr_destroy(&attr);
	for (;;) {
		rc = ask(dev, &g, limit, fault);
		if (rc != -ENOSPC && rc != -EBUSY)
			break;
		if (g.deadline != NEVER && now_ns() >= g.deadline) {
			rc = -ETIMEDOUT;
			break;
		}
		nap();
	}
	pthread_cond_destroy(&g.answered);
	return rc;
}

int siommu_dma_page_request_wait(struct siommu_port *common, uint64_t iova, unsigned int access)
{
	const struct siommu_page_request request = { .access = access, .last = true };
	struct dma_port *port = to_dma_port(common);
	struct iommu_pgfault fault;
	int rc;

	rc = check_request(port, &request);
	if (rc || !access)
		return rc ? rc : -EINVAL;
	fault = compose(port, align_down(iova, PAGE_BYTES), access, 0, true);
	return ask_and_wait(port, &fault, MAX_INDEX);
}

int iommu_port_resolve(struct dma_port *port, const struct siommu_fault *refused)
{
	unsigned int access = refused->access;
	struct iommu_pgfault fault;

	if (refused->flags & SIOMMU_FAULT_STALLED) {
		fault = compose(port, refused->iova, access, 0, true);
		return ask_and_wait(port, &fault, MAX_STAG);
	}
	if (access & not_requested(port) & SIOMMU_DMA_EXEC)
		access |= SIOMMU_DMA_READ;
	return siommu_dma_page_request_wait(&port->port, refused->iova,
					    access & ~not_requested(port));
}

static bool is_answering(const struct iommu_page_requests *r, const struct dma_port *port)
{
	struct iommu_page_group *g;

	LIST_FOREACH(g, &r->answering, link)
		if (g->port == port)
			return true;
	return false;
}

void iommu_port_forget_requests(struct dma_port *port)
{
	struct iommu_device *dev = port_device(port);
	struct iommu_page_requests *r = &dev->requests;
	struct iommu_page_group *g, *next;

	drop_incomplete(dev, port, false);
	pthread_mutex_lock(&r->lock);
	for (g = next_of(r, port, NULL); g; g = next) {
		next = next_of(r, port, g);
		if (g->port != port)
			continue;
		itree_remove(&r->groups, &g->node);
		group_free(dev, g);
	}
	while (is_answering(r, port))
		pthread_cond_wait(&r->told, &r->lock);
	pthread_mutex_unlock(&r->lock);
}
