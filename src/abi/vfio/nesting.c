// SPDX-License-Identifier: MIT
/*
 * Containers of type VFIO_TYPE1_NESTING_IOMMU: how VFIO carried the user API of 2020.
 *
 * What is done here is a carrier's: it looks at its own headers, at who owns a PASID and
 * at what the IOMMU can do, and hands addresses of the caller's down to abi/legacy.h,
 * whose answer it returns as it is. What the structures hold is not looked at.
 *
 * PASIDs belong to the process that first asked for the type, whoever uses the descriptor
 * then. Freeing one undoes what is bound to it in all of that process's containers, which
 * takes the context of each in turn. So it is done without this one's: the lock of the
 * PASIDs keeps the type as it is.
 */
#include "container.h"

/* Doorbells that one container can be told of. A guest has one for each device. */
#define MAX_MSIS 1024

/* A doorbell that a guest has mapped: at the node's range, to @gpa. */
struct msi_binding {
	struct itree_node node;
	u64 gpa;
};

static struct msi_binding *to_msi(struct itree_node *node)
{
	return node ? container_of(node, struct msi_binding, node) : NULL;
}

void vfio_container_lock(struct vfio_container *c)
{
	struct core_pasid_set *pasids = atomic_load(&c->pasids);

	if (pasids)
		pthread_mutex_lock(&pasids->lock);
	pthread_mutex_lock(&c->ctx->lock);
	if (pasids || !atomic_load(&c->pasids))
		return;
	/* They came meanwhile, and will not go. */
	pthread_mutex_unlock(&c->ctx->lock);
	pthread_mutex_lock(&atomic_load(&c->pasids)->lock);
	pthread_mutex_lock(&c->ctx->lock);
}

void vfio_container_unlock(struct vfio_container *c)
{
	struct core_pasid_set *pasids = atomic_load(&c->pasids);

	pthread_mutex_unlock(&c->ctx->lock);
	if (pasids)
		pthread_mutex_unlock(&pasids->lock);
}

int nesting_prepare(struct vfio_container *c, struct siommu_task *task)
{
	struct core_pasid_set *pasids;
	bool late;
	int rc;

	if (atomic_load(&c->pasids))
		return 0;
	rc = core_pasid_set_get(c->ctx->machine, task->space, &pasids);
	if (rc)
		return rc;
	pthread_mutex_lock(&c->ctx->lock);
	late = atomic_load(&c->pasids);
	if (!late)
		atomic_store(&c->pasids, pasids);
	pthread_mutex_unlock(&c->ctx->lock);
	if (late)
		core_pasid_set_put(pasids);
	return 0;
}

int nesting_begin(struct vfio_container *c)
{
	return legacy_domain_create(c->ctx, c->ioas, c->pasids, &c->domain);
}

void nesting_end(struct vfio_container *c)
{
	struct msi_binding *msi;

	while ((msi = to_msi(itree_first(&c->msis, 0, U64_MAX)))) {
		itree_remove(&c->msis, &msi->node);
		base_free(&c->ctx->alloc, msi, sizeof(*msi));
	}
	atomic_store(&c->nmsis, 0);
	legacy_domain_destroy(c->domain);
	c->domain = NULL;
}

void nesting_release(struct vfio_container *c)
{
	struct core_pasid_set *pasids = atomic_load(&c->pasids);

	if (pasids)
		core_pasid_set_put(pasids);
}

int nesting_put_cap(struct vfio_container *c, struct type1_caps *w)
{
	struct vfio_iommu_type1_info_cap_nesting cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_NESTING, .version = 1 },
	};
	u32 at;
	int rc;

	legacy_nesting_info(c->domain, &cap.info);
	rc = type1_begin_cap(w, sizeof(cap), &at);
	return rc ? rc : type1_put(w, at, &cap, sizeof(cap));
}

static u32 features(struct vfio_container *c)
{
	struct iommu_nesting_info info;

	legacy_nesting_info(c->domain, &info);
	return info.features;
}

/* What VFIO's own headers begin with. */
struct head {
	u32 argsz;
	u32 flags;
};

/*
 * Read it. In the first drafts it ends with the argsz of the structure that follows, and
 * what is left is how much the caller has of the rest: @room.
 */
static int get_head(struct vfio_container *c, struct siommu_task *task, u64 arg, struct head *head,
		    u64 *room)
{
	bool counts = legacy_carrier_counts(c->domain);
	u32 minsz = sizeof(*head) + (counts ? sizeof(u32) : 0);
	int rc;

	rc = task_copy_in(task, head, arg, sizeof(*head));
	if (rc)
		return rc;
	if (head->argsz < minsz)
		return -EINVAL;
	*room = counts ? head->argsz - minsz : LEGACY_NO_ROOM_GIVEN;
	return 0;
}

/* Context: the lock of the PASIDs alone. */
static long pasid_request(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	struct vfio_iommu_type1_pasid_request cmd;
	u32 pasid;
	int rc;

	rc = task_copy_in(task, &cmd, arg, sizeof(cmd));
	if (rc)
		return rc;
	if (cmd.argsz < sizeof(cmd) || cmd.flags & ~(u32)VFIO_PASID_REQUEST_MASK ||
	    cmd.range.min > cmd.range.max)
		return -EINVAL;
	/* A PASID is returned as an int. */
	if (cmd.range.max > (u32)1 << 31)
		return -EINVAL;
	if (!(features(c) & IOMMU_NESTING_FEAT_SYSWIDE_PASID))
		return -EOPNOTSUPP;
	switch (cmd.flags) {
	case VFIO_IOMMU_FLAG_ALLOC_PASID:
		rc = core_pasid_alloc(c->pasids, cmd.range.min, cmd.range.max, &pasid);
		return rc ? rc : (long)pasid;
	case VFIO_IOMMU_FLAG_FREE_PASID:
		core_pasid_free(c->pasids, cmd.range.min, cmd.range.max);
		return 0;
	default:
		return -EINVAL;
	}
}

static long nesting_op(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	struct head head;
	u64 room;
	int rc;

	rc = get_head(c, task, arg, &head, &room);
	if (rc)
		return rc;
	arg += sizeof(head);
	switch (head.flags) {
	case VFIO_IOMMU_NESTING_OP_BIND_PGTBL:
		if (!(features(c) & IOMMU_NESTING_FEAT_BIND_PGTBL))
			return -EOPNOTSUPP;
		return legacy_uapi_bind_gpasid(c->domain, NULL, task, arg, room);
	case VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL:
		if (!(features(c) & IOMMU_NESTING_FEAT_BIND_PGTBL))
			return -EOPNOTSUPP;
		return legacy_uapi_unbind_gpasid(c->domain, NULL, task, arg, room);
	case VFIO_IOMMU_NESTING_OP_CACHE_INVLD:
		if (!(features(c) & IOMMU_NESTING_FEAT_CACHE_INVLD))
			return -EOPNOTSUPP;
		return legacy_uapi_cache_invalidate(c->domain, task, arg, room);
	default:
		return -EINVAL;
	}
}

static long set_pasid_table(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	struct head head;
	u64 room;
	int rc;

	rc = get_head(c, task, arg, &head, &room);
	if (rc)
		return rc;
	switch (head.flags) {
	case VFIO_PASID_TABLE_FLAG_SET:
		return legacy_uapi_set_pasid_table(c->domain, task, arg + sizeof(head), room);
	case VFIO_PASID_TABLE_FLAG_UNSET:
		legacy_unset_pasid_table(c->domain);
		return 0;
	default:
		return -EINVAL;
	}
}

static long cache_invalidate(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	struct head head;
	u64 room;
	int rc;

	rc = get_head(c, task, arg, &head, &room);
	if (rc)
		return rc;
	if (head.flags)
		return -EINVAL;
	return legacy_uapi_cache_invalidate(c->domain, task, arg + sizeof(head), room);
}

/* The same again is fine, anything else that it touches is not. */
static int bind_msi(struct vfio_container *c, const struct vfio_iommu_type1_set_msi_binding *cmd)
{
	struct msi_binding *msi;
	u64 last, gpa_last;

	if (!cmd->size || !is_aligned(cmd->iova | cmd->gpa | cmd->size, type1_page_bytes(c)) ||
	    range_last(cmd->iova, cmd->size, &last) || range_last(cmd->gpa, cmd->size, &gpa_last))
		return -EINVAL;
	msi = to_msi(itree_first(&c->msis, cmd->iova, last));
	if (msi)
		return msi->node.start == cmd->iova && msi->node.last == last &&
				       msi->gpa == cmd->gpa
			       ? 0
			       : -EEXIST;
	if (c->nmsis == MAX_MSIS)
		return -ENOSPC;
	msi = base_zalloc(&c->ctx->alloc, sizeof(*msi));
	if (!msi)
		return -ENOMEM;
	msi->node.start = cmd->iova;
	msi->node.last = last;
	msi->gpa = cmd->gpa;
	itree_insert(&c->msis, &msi->node);
	c->nmsis++;
	return 0;
}

static void unbind_msi(struct vfio_container *c, u64 iova)
{
	struct msi_binding *msi = to_msi(itree_first(&c->msis, iova, iova));

	if (!msi || msi->node.start != iova)
		return;
	itree_remove(&c->msis, &msi->node);
	base_free(&c->ctx->alloc, msi, sizeof(*msi));
	c->nmsis--;
}

/*
 * Where a guest maps the doorbell of its interrupts, so that a kernel could have its own
 * written to in both stages. Interrupts do not pass by the IOMMU here, so what comes of it
 * is that it is known, and shown.
 */
static long set_msi_binding(struct vfio_container *c, struct siommu_task *task, u64 arg)
{
	struct vfio_iommu_type1_set_msi_binding cmd;
	int rc;

	rc = task_copy_in(task, &cmd, arg, sizeof(cmd));
	if (rc)
		return rc;
	if (cmd.argsz < sizeof(cmd))
		return -EINVAL;
	switch (cmd.flags) {
	case VFIO_IOMMU_BIND_MSI:
		return bind_msi(c, &cmd);
	case VFIO_IOMMU_UNBIND_MSI:
		unbind_msi(c, cmd.iova);
		return 0;
	default:
		return -EINVAL;
	}
}

bool nesting_has_request(struct vfio_container *c, unsigned int request)
{
	return atomic_load(&c->pasids) &&
	       (request == VFIO_IOMMU_PASID_REQUEST || request == VFIO_IOMMU_NESTING_OP ||
		request == VFIO_IOMMU_SET_MSI_BINDING);
}

static long intel_ioctl(struct vfio_container *c, struct siommu_task *task, unsigned int request,
			u64 arg)
{
	return request == VFIO_IOMMU_NESTING_OP ? nesting_op(c, task, arg) : -ENOTTY;
}

static long arm_ioctl(struct vfio_container *c, struct siommu_task *task, unsigned int request,
		      u64 arg)
{
	switch (request) {
	case VFIO_IOMMU_SET_PASID_TABLE:
		return set_pasid_table(c, task, arg);
	case VFIO_IOMMU_CACHE_INVALIDATE:
		return cache_invalidate(c, task, arg);
	case VFIO_IOMMU_SET_MSI_BINDING:
		return set_msi_binding(c, task, arg);
	default:
		return -ENOTTY;
	}
}

/* The container has PASIDs, and their lock keeps its type. */
static long dispatch(struct vfio_container *c, struct siommu_task *task, unsigned int request,
		     u64 arg)
{
	long rc;

	if (!c->domain)
		return c->ioas ? -ENOTTY : -EINVAL;
	if (legacy_series(c->domain) == LEGACY_INTEL && request == VFIO_IOMMU_PASID_REQUEST)
		return pasid_request(c, task, arg);
	pthread_mutex_lock(&c->ctx->lock);
	if (legacy_series(c->domain) == LEGACY_INTEL)
		rc = intel_ioctl(c, task, request, arg);
	else
		rc = arm_ioctl(c, task, request, arg);
	pthread_mutex_unlock(&c->ctx->lock);
	return rc;
}

long nesting_ioctl(struct vfio_container *c, struct siommu_task *task, unsigned int request,
		   u64 arg)
{
	struct core_pasid_set *pasids = atomic_load(&c->pasids);
	long rc;

	pthread_mutex_lock(&pasids->lock);
	rc = dispatch(c, task, request, arg);
	pthread_mutex_unlock(&pasids->lock);
	return rc;
}
