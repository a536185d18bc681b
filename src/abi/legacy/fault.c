// SPDX-License-Identifier: MIT
/*
 * Faults of a domain's devices on their way to a handler, and page requests that wait for
 * a response.
 *
 * The core hands over groups of page requests as a whole (core_fault_listen()). The handler
 * gets them one by one; the last one says so, and from then on the group waits in the list
 * of its device. Whoever takes it out of there answers it: a response, the clock, or the end
 * of what it was asked through. The core may have answered it already, because an attachment
 * ended; then there is nothing left to answer, and nobody is the worse for it.
 *
 * A PASID goes by the guest's number on the way up, if it was given one, and is looked up by
 * that number on the way back.
 *
 * The response "failure" asks for more than "invalid" does: the PASID, or the device if the
 * request was of no PASID that is bound, gets no page any more until it is bound again, or
 * until somebody else takes the device's faults.
 *
 * Locking: reports come with the IOMMU group's lock and the queue's, then take fault_lock, the
 * device's lock, and whatever the handler takes. Answers go the other way, so they are given
 * with none of these.
 */
#include <time.h>

#include "devices/pci.h"
#include "legacy.h"

#define NEVER U64_MAX

/* No table is there: addresses have fewer bits. */
#define NO_TABLE U64_MAX

TAILQ_HEAD(request_list, legacy_request);

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

static void free_request(struct legacy_domain *domain, struct legacy_request *r)
{
	base_free(&domain->ctx->alloc, r, sizeof(*r));
}

/* What was taken out of a list. Return: 0; -EINVAL if the core has answered it meanwhile. */
static int answer(struct legacy_domain *domain, struct legacy_request *r, u32 code)
{
	int rc = core_fault_respond(domain->fault, r->token, code);

	free_request(domain, r);
	return rc;
}

static void refuse_all(struct legacy_domain *domain, struct request_list *list)
{
	struct legacy_request *r, *next;

	TAILQ_FOREACH_SAFE(r, list, link, next)
		(void)!answer(domain, r, IOMMUFD_PAGE_RESP_INVALID);
}

/* Context: dev->lock. */
static struct legacy_binding *find_binding(struct legacy_dev *dev, u32 hpasid)
{
	struct legacy_binding *b;

	LIST_FOREACH(b, &dev->bindings, link)
		if (b->hpasid == hpasid)
			return b;
	return NULL;
}

/*
 * Page requests: to the handler
 */

static struct iommu_fault page_record(const struct iommu_pgfault *request,
				      const struct legacy_binding *b)
{
	struct iommu_fault record = { .type = IOMMU_FAULT_PAGE_REQ };
	struct iommu_fault_page_request *prm = &record.prm;

	prm->grpid = request->grpid;
	prm->perm = request->perm;
	prm->addr = request->addr;
	if (request->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
		prm->flags |= IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	if (request->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID) {
		prm->flags |= IOMMU_FAULT_PAGE_REQUEST_PASID_VALID |
			      IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID;
		prm->pasid = b ? b->gpasid : request->pasid;
	}
	if (b && (b->label[0] || b->label[1])) {
		prm->flags |= IOMMU_FAULT_PAGE_REQUEST_PRIV_DATA;
		prm->private_data[0] = b->label[0];
		prm->private_data[1] = b->label[1];
	}
	return record;
}

/* Context: dev->lock. */
static int tell_handler(struct legacy_dev *dev, const struct iommu_fault_group *group,
			const struct legacy_binding *b)
{
	struct iommu_fault record;
	int rc = 0;
	u32 i;

	if (!dev->handler)
		return -EINVAL;
	for (i = 0; !rc && i < group->count; i++) {
		record = page_record(&group->faults[i], b);
		rc = dev->handler(dev->arg, &record);
	}
	return rc;
}

/* Context: dev->lock. Return: 0 if @r waits now; -errno if the group was not taken. */
static int deliver(struct legacy_dev *dev, const struct iommu_fault_group *group,
		   struct legacy_request *r)
{
	const struct iommu_pgfault *last = &group->faults[group->count - 1];
	const u32 attached = (u32)group->handle->node.start;
	const struct legacy_binding *b = find_binding(dev, attached);
	int rc;

	/* Another device of the group has the PASID bound, and this one has not. */
	if (attached != IOMMU_NO_PASID && !b)
		return -EINVAL;
	if (b ? b->gave_up : dev->gave_up)
		return -EINVAL;
	rc = tell_handler(dev, group, b);
	if (rc)
		return rc;
	r->grpid = last->grpid;
	r->has_pasid = last->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID;
	r->pasid = b ? b->gpasid : last->pasid;
	r->hpasid = last->pasid;
	r->handle = group->handle;
	if (dev->domain->timeout_ms)
		r->deadline = now_ns() + (u64)dev->domain->timeout_ms * 1000000;
	/* Later requests have later deadlines: the clock waits for the first of them. */
	if (TAILQ_EMPTY(&dev->requests) && dev->domain->timeout_ms)
		pthread_cond_signal(&dev->domain->tick);
	TAILQ_INSERT_TAIL(&dev->requests, r, link);
	return 0;
}

/* Context: fault_lock. */
static struct legacy_dev *find_dev(struct legacy_domain *domain, const struct iommu_device *hw)
{
	struct legacy_dev *dev;

	LIST_FOREACH(dev, &domain->devs, link)
		if (dev->dev->dev == hw)
			return dev;
	return NULL;
}

static int on_request(void *arg, const struct iommu_fault_group *group, u64 token)
{
	struct legacy_domain *domain = arg;
	struct legacy_request *r;
	struct legacy_dev *dev;
	int rc = -EINVAL;

	r = base_zalloc(&domain->ctx->alloc, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->token = token;
	r->deadline = NEVER;
	pthread_mutex_lock(&domain->fault_lock);
	dev = find_dev(domain, group->dev);
	if (dev) {
		pthread_mutex_lock(&dev->lock);
		rc = deliver(dev, group, r);
		pthread_mutex_unlock(&dev->lock);
	}
	pthread_mutex_unlock(&domain->fault_lock);
	if (rc)
		free_request(domain, r);
	return rc;
}

/*
 * Page requests: responses
 */

/* Is @response for @r? A PASID that it need not have does not matter. */
static bool matches(const struct legacy_request *r, const struct iommu_page_response *response)
{
	if (r->grpid != response->grpid)
		return false;
	if (!r->has_pasid)
		return true;
	return response->flags & IOMMU_PAGE_RESP_PASID_VALID && response->pasid == r->pasid;
}

/* Context: dev->lock. The oldest one that @response is for. */
static struct legacy_request *take(struct legacy_dev *dev,
				   const struct iommu_page_response *response)
{
	struct legacy_request *r;

	TAILQ_FOREACH(r, &dev->requests, link) {
		if (matches(r, response)) {
			TAILQ_REMOVE(&dev->requests, r, link);
			return r;
		}
	}
	return NULL;
}

/* Context: dev->lock. Who made @r shall ask no more. */
static void give_up(struct legacy_dev *dev, const struct legacy_request *r)
{
	struct legacy_binding *b = r->has_pasid ? find_binding(dev, r->hpasid) : NULL;

	if (b)
		b->gave_up = true;
	else
		dev->gave_up = true;
}

int legacy_page_response(struct legacy_dev *dev, const struct iommu_page_response *response)
{
	struct legacy_request *r;
	int rc;

	rc = legacy_check_response(response);
	if (rc)
		return rc;
	pthread_mutex_lock(&dev->lock);
	r = take(dev, response);
	if (r && response->code == IOMMU_PAGE_RESP_FAILURE)
		give_up(dev, r);
	pthread_mutex_unlock(&dev->lock);
	if (!r)
		return -EINVAL;
	return answer(dev->domain, r,
		      response->code == IOMMU_PAGE_RESP_SUCCESS ? IOMMUFD_PAGE_RESP_SUCCESS
								: IOMMUFD_PAGE_RESP_INVALID);
}

int legacy_uapi_page_response(struct legacy_dev *dev, struct siommu_task *task, u64 uptr)
{
	struct iommu_page_response response;
	int rc;

	rc = legacy_get_response(dev->domain->revision, task, uptr, &response);
	return rc ? rc : legacy_page_response(dev, &response);
}

/* What came through @keep goes on; NULL: nothing. */
static void forget(struct legacy_dev *dev, u32 hpasid, const struct iommu_attach_handle *keep)
{
	struct request_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct legacy_request *r, *next;

	pthread_mutex_lock(&dev->lock);
	TAILQ_FOREACH_SAFE(r, &dev->requests, link, next) {
		if ((hpasid != IOMMU_NO_PASID && r->hpasid != hpasid) || (keep && r->handle == keep))
			continue;
		TAILQ_REMOVE(&dev->requests, r, link);
		TAILQ_INSERT_TAIL(&gone, r, link);
	}
	if (hpasid == IOMMU_NO_PASID)
		dev->gave_up = false;
	pthread_mutex_unlock(&dev->lock);
	refuse_all(dev->domain, &gone);
}

void legacy_faults_forget(struct legacy_dev *dev, u32 hpasid)
{
	forget(dev, hpasid, NULL);
}

void legacy_faults_replaced(struct legacy_dev *dev)
{
	struct iommu_group *group = dev->dev->dev->group;
	const struct iommu_attach_handle *now;

	pthread_mutex_lock(&group->lock);
	now = iommu_handle_find(group, IOMMU_NO_PASID);
	pthread_mutex_unlock(&group->lock);
	forget(dev, IOMMU_NO_PASID, now);
}

/*
 * The handler
 */

int legacy_dev_set_handler(struct legacy_dev *dev, legacy_fault_fn fn, void *arg)
{
	int rc = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->handler) {
		rc = -EBUSY;
	} else {
		dev->handler = fn;
		dev->arg = arg;
		dev->gave_up = false;
	}
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

int legacy_dev_unset_handler(struct legacy_dev *dev)
{
	int rc = 0;

	pthread_mutex_lock(&dev->lock);
	if (TAILQ_EMPTY(&dev->requests))
		dev->handler = NULL;
	else
		rc = -EBUSY;
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

void legacy_dev_drop_handler(struct legacy_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	dev->handler = NULL;
	pthread_mutex_unlock(&dev->lock);
	legacy_faults_forget(dev, IOMMU_NO_PASID);
}

/*
 * Accesses that were refused
 */

static u32 perm_of(unsigned int access)
{
	return (access & SIOMMU_DMA_READ ? IOMMU_FAULT_PERM_READ : 0) |
	       (access & SIOMMU_DMA_WRITE ? IOMMU_FAULT_PERM_WRITE : 0) |
	       (access & SIOMMU_DMA_EXEC ? IOMMU_FAULT_PERM_EXEC : 0) |
	       (access & SIOMMU_DMA_PRIV ? IOMMU_FAULT_PERM_PRIV : 0);
}

/* Context: dev->lock. */
static struct iommu_fault refused_record(struct legacy_dev *dev, const struct siommu_fault *fault)
{
	const struct iommu_ops *ops = dev->dev->dev->unit->ops;
	struct iommu_fault record = { .type = IOMMU_FAULT_DMA_UNRECOV };
	struct iommu_fault_unrecoverable *event = &record.event;
	const struct legacy_binding *b;
	u64 table = NO_TABLE;

	event->reason =
		ops->fault_cause ? ops->fault_cause(fault, &table) : IOMMU_FAULT_REASON_UNKNOWN;
	event->flags = IOMMU_FAULT_UNRECOV_ADDR_VALID;
	event->addr = fault->iova;
	event->perm = perm_of(fault->access);
	if (fault->flags & SIOMMU_FAULT_PASID) {
		b = find_binding(dev, fault->pasid);
		event->flags |= IOMMU_FAULT_UNRECOV_PASID_VALID;
		event->pasid = b ? b->gpasid : fault->pasid;
	}
	if (table != NO_TABLE) {
		event->flags |= IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID;
		event->fetch_addr = table;
	}
	return record;
}

/* What the guest has not set up, or asked not to hear of, is not for it. */
static bool for_guest(const struct siommu_fault *fault)
{
	return !(fault->flags & (SIOMMU_FAULT_SILENT | SIOMMU_FAULT_STALLED | SIOMMU_FAULT_STAGE2));
}

static void on_refused(struct iommu_fault_watch *watch, const struct siommu_fault *fault)
{
	struct legacy_dev *dev = container_of(watch, struct legacy_dev, watch);
	struct iommu_fault record;

	if (!for_guest(fault))
		return;
	pthread_mutex_lock(&dev->lock);
	if (dev->handler) {
		record = refused_record(dev, fault);
		/* What is not taken is lost: nobody waits for it. */
		(void)!dev->handler(dev->arg, &record);
	}
	pthread_mutex_unlock(&dev->lock);
}

void legacy_faults_watch(struct legacy_dev *dev)
{
	dev->watch.fault = on_refused;
	iommu_device_watch(dev->dev->dev, &dev->watch);
}

void legacy_faults_unwatch(struct legacy_dev *dev)
{
	iommu_device_watch(dev->dev->dev, NULL);
}

/* Nobody else watches devices; who does holds the context's lock to begin and to end. */
const struct legacy_domain *legacy_faults_watcher(struct iommu_device *hw)
{
	const struct iommu_fault_watch *watch;

	pthread_mutex_lock(&hw->group->lock);
	watch = hw->watch;
	pthread_mutex_unlock(&hw->group->lock);
	return watch ? container_of(watch, const struct legacy_dev, watch)->domain : NULL;
}

/*
 * The clock
 */

/*
 * Take what is late from all devices. Context: fault_lock. Return: when the next will be,
 * or NEVER.
 */
static u64 take_late(struct legacy_domain *domain, struct request_list *late)
{
	const u64 now = now_ns();
	struct legacy_request *r;
	struct legacy_dev *dev;
	u64 next = NEVER;

	LIST_FOREACH(dev, &domain->devs, link) {
		pthread_mutex_lock(&dev->lock);
		while ((r = TAILQ_FIRST(&dev->requests)) && r->deadline <= now) {
			TAILQ_REMOVE(&dev->requests, r, link);
			TAILQ_INSERT_TAIL(late, r, link);
		}
		if (r)
			next = min_u64(next, r->deadline);
		pthread_mutex_unlock(&dev->lock);
	}
	return next;
}

/* Context: fault_lock, which is let go of meanwhile. */
static void sleep_until(struct legacy_domain *domain, u64 when)
{
	const struct timespec until = {
		.tv_sec = (time_t)(when / 1000000000),
		.tv_nsec = (long)(when % 1000000000),
	};

	if (when == NEVER)
		pthread_cond_wait(&domain->tick, &domain->fault_lock);
	else
		pthread_cond_timedwait(&domain->tick, &domain->fault_lock, &until);
}

static void *run_clock(void *arg)
{
	struct legacy_domain *domain = arg;
	u64 next;

	pthread_mutex_lock(&domain->fault_lock);
	while (!domain->ending) {
		struct request_list late = TAILQ_HEAD_INITIALIZER(late);

		next = take_late(domain, &late);
		if (TAILQ_EMPTY(&late)) {
			sleep_until(domain, next);
			continue;
		}
		pthread_mutex_unlock(&domain->fault_lock);
		refuse_all(domain, &late);
		pthread_mutex_lock(&domain->fault_lock);
	}
	pthread_mutex_unlock(&domain->fault_lock);
	return NULL;
}

static int start_clock(struct legacy_domain *domain)
{
	pthread_condattr_t attr;
	int rc;

	if (!domain->timeout_ms)
		return 0;
	domain->ending = false;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&domain->tick, &attr);
	pthread_condattr_destroy(&attr);
	rc = pci_thread_start(&domain->clock, run_clock, domain);
	if (rc)
		pthread_cond_destroy(&domain->tick);
	return rc;
}

static void stop_clock(struct legacy_domain *domain)
{
	if (!domain->timeout_ms)
		return;
	pthread_mutex_lock(&domain->fault_lock);
	domain->ending = true;
	pthread_cond_signal(&domain->tick);
	pthread_mutex_unlock(&domain->fault_lock);
	pthread_join(domain->clock, NULL);
	pthread_cond_destroy(&domain->tick);
}

int legacy_faults_begin(struct legacy_domain *domain)
{
	struct core_fault *fault;
	int rc;

	rc = core_fault_listen(domain->ctx, on_request, domain, &fault);
	if (rc)
		return rc;
	domain->fault = fault;
	rc = start_clock(domain);
	if (rc) {
		domain->fault = NULL;
		core_object_undo(domain->ctx, &fault->obj);
	}
	return rc;
}

void legacy_faults_end(struct legacy_domain *domain)
{
	if (!domain->fault)
		return;
	stop_clock(domain);
	core_fault_unlisten(domain->ctx, domain->fault);
	domain->fault = NULL;
}
