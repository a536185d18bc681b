// SPDX-License-Identifier: MIT
/*
 * Fault queues: IOMMU_FAULT_QUEUE_ALLOC.
 *
 * A group is in @deliver until a read takes it, then in @response under its
 * cookie until a write answers it. Whatever ends first - the attachment it came
 * through, or the queue - answers what is left, so each group is answered once.
 *
 * A queue with a listener in place of a descriptor skips the first part.
 */
#include <softiommu/abi/iommufd.h>

#include "core/device.h"
#include "core/eventq.h"

static struct core_fault *from_file(struct mem_file *file)
{
	return container_of(file, struct core_fault, file);
}

/* Context: fault->lock. */
static void show_readable(struct core_fault *fault)
{
	mem_file_show_readable(&fault->file, !TAILQ_EMPTY(&fault->deliver));
}

static void compose(const struct iommu_fault_group *group, u32 i, struct iommu_hwpt_pgfault *out)
{
	const struct iommu_pgfault *fault = &group->faults[i];

	*out = (struct iommu_hwpt_pgfault){
		.flags = fault->flags,
		.dev_id = group->dev_id,
		.pasid = fault->pasid,
		.grpid = fault->grpid,
		.perm = fault->perm,
		.addr = fault->addr,
		.cookie = group->cookie,
	};
}

static int copy_group(struct siommu_task *task, u64 ubuf, const struct iommu_fault_group *group)
{
	struct iommu_hwpt_pgfault record;
	u32 i;
	int rc;

	for (i = 0; i < group->count; i++) {
		compose(group, i, &record);
		rc = task_copy_out(task, ubuf + i * sizeof(record), &record, sizeof(record));
		if (rc)
			return rc;
	}
	return 0;
}

/* Hand the first group to the reader if it fits in @room. Return: bytes or -errno. */
static ssize_t read_one(struct core_fault *fault, struct siommu_task *task, u64 ubuf, size_t room)
{
	struct iommu_fault_group *group = TAILQ_FIRST(&fault->deliver);
	size_t bytes = group->count * sizeof(struct iommu_hwpt_pgfault);
	int rc;

	if (bytes > room)
		return -EINVAL;
	rc = idtable_reserve(&fault->response, &group->cookie);
	if (rc)
		return rc;
	rc = copy_group(task, ubuf, group);
	if (rc) {
		idtable_release(&fault->response, group->cookie);
		return rc;
	}
	TAILQ_REMOVE(&fault->deliver, group, link);
	idtable_publish(&fault->response, group->cookie, group);
	return (ssize_t)bytes;
}

static ssize_t fault_read(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n)
{
	struct core_fault *fault = from_file(file);
	ssize_t rc = 0, done = 0;

	if (n % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	pthread_mutex_lock(&fault->lock);
	while (!TAILQ_EMPTY(&fault->deliver)) {
		rc = read_one(fault, task, ubuf + (size_t)done, n - (size_t)done);
		if (rc < 0)
			break;
		done += rc;
	}
	show_readable(fault);
	pthread_mutex_unlock(&fault->lock);
	return done ? done : rc;
}

/*
 * Cookies are used again at once. That is the kernel's way with readers, who have to know
 * what they answer; a listener's response can meet the end of an attachment, so its tokens
 * count the groups besides.
 */
static u64 token_of(const struct iommu_fault_group *group)
{
	return (u64)group->serial << 32 | group->cookie;
}

int core_fault_respond(struct core_fault *fault, u64 token, u32 code)
{
	struct iommu_fault_group *group;

	if (code != IOMMUFD_PAGE_RESP_SUCCESS && code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	pthread_mutex_lock(&fault->lock);
	group = idtable_find(&fault->response, (u32)token);
	if (group && token_of(group) != token)
		group = NULL;
	if (group) {
		idtable_release(&fault->response, group->cookie);
		fault->answering++;
	}
	pthread_mutex_unlock(&fault->lock);
	if (!group)
		return -EINVAL;
	iommu_fault_respond(group, code);
	pthread_mutex_lock(&fault->lock);
	if (!--fault->answering)
		pthread_cond_broadcast(&fault->answered);
	pthread_mutex_unlock(&fault->lock);
	return 0;
}

static int respond_one(struct core_fault *fault, struct siommu_task *task, u64 ubuf)
{
	struct iommu_hwpt_page_response response;
	int rc;

	rc = task_copy_in(task, &response, ubuf, sizeof(response));
	return rc ? rc : core_fault_respond(fault, response.cookie, response.code);
}

static ssize_t fault_write(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n)
{
	struct core_fault *fault = from_file(file);
	size_t done;
	int rc = 0;

	if (n % sizeof(struct iommu_hwpt_page_response))
		return -ESPIPE;
	for (done = 0; done < n; done += sizeof(struct iommu_hwpt_page_response)) {
		rc = respond_one(fault, task, ubuf + done);
		if (rc)
			break;
	}
	return done ? (ssize_t)done : rc;
}

static void fault_release(struct mem_file *file)
{
	struct core_fault *fault = from_file(file);
	struct core_ctx *ctx = fault->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_object_put(&fault->obj);
	pthread_mutex_unlock(&ctx->lock);
	core_ctx_put(ctx);
}

static const struct mem_file_ops fault_file_ops = {
	.name = "iommufd-pgfault",
	.polls_out = true,
	.read = fault_read,
	.write = fault_write,
	.release = fault_release,
};

/* Came it through @handle, and from @dev? NULL stands for any. */
static bool is_from(const struct iommu_fault_group *group, const struct iommu_attach_handle *handle,
		    const struct iommu_device *dev)
{
	return (!handle || group->handle == handle) && (!dev || group->dev == dev);
}

/*
 * Answer the groups that came through @handle, and from @dev. A model may
 * take locks to answer that are held when it reports, so answers are given
 * without the queue's own. The device may go when this has returned, so answers
 * that others are giving are waited for.
 */
static void answer(struct core_fault *fault, const struct iommu_attach_handle *handle,
		   const struct iommu_device *dev)
{
	TAILQ_HEAD(, iommu_fault_group) ended = TAILQ_HEAD_INITIALIZER(ended);
	struct iommu_fault_group *group, *next;
	u32 id;

	pthread_mutex_lock(&fault->lock);
	TAILQ_FOREACH_SAFE(group, &fault->deliver, link, next) {
		if (!is_from(group, handle, dev))
			continue;
		TAILQ_REMOVE(&fault->deliver, group, link);
		TAILQ_INSERT_TAIL(&ended, group, link);
	}
	for (id = 1; (group = idtable_next(&fault->response, &id)); id++) {
		if (!is_from(group, handle, dev))
			continue;
		idtable_release(&fault->response, id);
		TAILQ_INSERT_TAIL(&ended, group, link);
	}
	show_readable(fault);
	while (fault->answering)
		pthread_cond_wait(&fault->answered, &fault->lock);
	pthread_mutex_unlock(&fault->lock);
	TAILQ_FOREACH_SAFE(group, &ended, link, next)
		iommu_fault_respond(group, IOMMUFD_PAGE_RESP_INVALID);
}

void core_fault_cancel(struct core_fault *fault, const struct iommu_attach_handle *handle,
		       const struct iommu_device *dev)
{
	answer(fault, handle, dev);
}

/* Context: fault->lock: who answers at once waits until the group can be found. */
static int tell_listener(struct core_fault *fault, struct iommu_fault_group *group)
{
	int rc;

	rc = idtable_reserve(&fault->response, &group->cookie);
	if (rc)
		return rc;
	group->serial = ++fault->serial;
	rc = fault->listener(fault->arg, group, token_of(group));
	if (rc)
		idtable_release(&fault->response, group->cookie);
	else
		idtable_publish(&fault->response, group->cookie, group);
	return rc;
}

int core_fault_deliver(struct iommu_domain *domain, struct iommu_fault_group *group)
{
	struct core_fault *fault = domain->fault_cookie;
	struct core_device *dev = group->handle->cookie;
	int rc = 0;

	/* Now, with the group's lock: the device may be gone when it is read. */
	group->dev_id = dev->obj.id;
	pthread_mutex_lock(&fault->lock);
	if (fault->listener) {
		rc = tell_listener(fault, group);
	} else {
		TAILQ_INSERT_TAIL(&fault->deliver, group, link);
		show_readable(fault);
	}
	pthread_mutex_unlock(&fault->lock);
	return rc;
}

static void fault_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_fault *fault = container_of(obj, struct core_fault, obj);

	answer(fault, NULL, NULL);
	idtable_destroy(&fault->response);
	mem_file_destroy(&fault->file);
	pthread_cond_destroy(&fault->answered);
	pthread_mutex_destroy(&fault->lock);
	core_object_free(ctx, obj);
}

static const struct core_object_ops fault_ops = {
	.type = CORE_FAULT,
	.size = sizeof(struct core_fault),
	.name = "fault queue",
	.destroy = fault_destroy,
};

static int fault_new(struct core_ctx *ctx, struct core_fault **out)
{
	struct core_fault *fault;
	struct core_object *obj;
	int rc;

	rc = core_object_new(ctx, &fault_ops, &obj);
	if (rc)
		return rc;
	fault = container_of(obj, struct core_fault, obj);
	fault->ctx = ctx;
	pthread_mutex_init(&fault->lock, NULL);
	pthread_cond_init(&fault->answered, NULL);
	TAILQ_INIT(&fault->deliver);
	idtable_init(&fault->response, &ctx->alloc);
	mem_file_init(&fault->file, &fault_file_ops);
	*out = fault;
	return 0;
}

int core_fault_listen(struct core_ctx *ctx, core_fault_fn listener, void *arg,
		      struct core_fault **out)
{
	int rc;

	rc = fault_new(ctx, out);
	if (rc)
		return rc;
	(*out)->listener = listener;
	(*out)->arg = arg;
	return 0;
}

static int refuse_group(void *arg, const struct iommu_fault_group *group, u64 token)
{
	(void)arg;
	(void)group;
	(void)token;
	return -EINVAL;
}

void core_fault_unlisten(struct core_ctx *ctx, struct core_fault *fault)
{
	pthread_mutex_lock(&fault->lock);
	fault->listener = refuse_group;
	fault->arg = NULL;
	pthread_mutex_unlock(&fault->lock);
	if (fault->obj.users == 1) {
		core_object_undo(ctx, &fault->obj);
		return;
	}
	answer(fault, NULL, NULL);
	core_object_publish(ctx, &fault->obj);
}

int core_fault_alloc(struct core_ctx *ctx, struct siommu_task *task, struct core_fault **out,
		     int *fd)
{
	struct core_fault *fault;
	int rc;

	rc = fault_new(ctx, &fault);
	if (rc)
		return rc;
	rc = core_eventq_open(ctx, task, &fault->obj, &fault->file, fd);
	if (rc) {
		core_object_undo(ctx, &fault->obj);
		return rc;
	}
	*out = fault;
	return 0;
}
