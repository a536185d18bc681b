// SPDX-License-Identifier: MIT
/*
 * Contexts and the life of objects in them.
 */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "core/ctx.h"
#include "core/door.h"

int core_ctx_open(struct siommu_machine *m, struct core_ctx **out)
{
	struct core_ctx *ctx;

	ctx = base_zalloc(&m->alloc, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->machine = m;
	ctx->alloc.limit = m->quota;
	ctx->alloc.should_fail = m->alloc.should_fail;
	ctx->alloc.should_fail_arg = m->alloc.should_fail_arg;
	ctx->account = MEM_ACCOUNT_USER;
	ctx->refs = 1;
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_cond_init(&ctx->idle, NULL);
	idtable_init(&ctx->objects, &ctx->alloc);
	LIST_INIT(&ctx->groups);
	LIST_INIT(&ctx->mmaps);
	pthread_mutex_lock(&m->lock);
	LIST_INSERT_HEAD(&m->contexts, ctx, link);
	pthread_mutex_unlock(&m->lock);
	*out = ctx;
	return 0;
}

/* Destroy every object that only its id uses; false if there was none. */
static bool destroy_leaves(struct core_ctx *ctx)
{
	struct core_object *obj;
	bool any = false;
	u32 id;

	for (id = 1; (obj = idtable_next(&ctx->objects, &id)); id++) {
		if (obj->users != 1)
			continue;
		idtable_release(&ctx->objects, id);
		obj->users = 0;
		obj->ops->destroy(ctx, obj);
		any = true;
	}
	return any;
}

static void ctx_destroy(struct core_ctx *ctx)
{
	struct siommu_machine *m = ctx->machine;
	size_t left;

	pthread_mutex_lock(&ctx->lock);
	while (destroy_leaves(ctx))
		;
	idtable_destroy(&ctx->objects);
	pthread_mutex_unlock(&ctx->lock);
	pthread_cond_destroy(&ctx->idle);
	pthread_mutex_destroy(&ctx->lock);
	/* The account ends with the context: what is left of it is lost for good. */
	left = atomic_load(&ctx->alloc.blocks);
	if (left)
		base_log(&m->log, LOG_ERR, "context: %zu blocks are left of it", left);
	base_free(&m->alloc, ctx, sizeof(*ctx));
}

void core_ctx_get(struct core_ctx *ctx)
{
	pthread_mutex_lock(&ctx->machine->lock);
	ctx->refs++;
	pthread_mutex_unlock(&ctx->machine->lock);
}

bool core_ctx_tryget(struct core_ctx *ctx)
{
	bool alive;

	pthread_mutex_lock(&ctx->machine->lock);
	alive = ctx->refs;
	ctx->refs += alive;
	pthread_mutex_unlock(&ctx->machine->lock);
	return alive;
}

void core_ctx_put(struct core_ctx *ctx)
{
	bool last;

	pthread_mutex_lock(&ctx->machine->lock);
	last = !--ctx->refs;
	if (last)
		LIST_REMOVE(ctx, link);
	pthread_mutex_unlock(&ctx->machine->lock);
	if (last)
		ctx_destroy(ctx);
}

void core_ctx_close(struct core_ctx *ctx)
{
	core_ctx_put(ctx);
}

int core_object_new(struct core_ctx *ctx, const struct core_object_ops *ops,
		    struct core_object **out)
{
	struct core_object *obj;
	int rc;

	obj = base_zalloc(&ctx->alloc, ops->size);
	if (!obj)
		return -ENOMEM;
	obj->ops = ops;
	obj->users = 1;
	rc = idtable_reserve(&ctx->objects, &obj->id);
	if (rc) {
		core_object_free(ctx, obj);
		return rc;
	}
	*out = obj;
	return 0;
}

void core_object_free(struct core_ctx *ctx, struct core_object *obj)
{
	base_free(&ctx->alloc, obj, obj->ops->size);
}

void core_object_publish(struct core_ctx *ctx, struct core_object *obj)
{
	idtable_publish(&ctx->objects, obj->id, obj);
}

void core_object_abort(struct core_ctx *ctx, struct core_object *obj)
{
	idtable_release(&ctx->objects, obj->id);
	core_object_free(ctx, obj);
}

void core_object_undo(struct core_ctx *ctx, struct core_object *obj)
{
	idtable_release(&ctx->objects, obj->id);
	obj->ops->destroy(ctx, obj);
}

struct core_object *core_object_find(struct core_ctx *ctx, u32 id, enum core_type type)
{
	struct core_object *obj = idtable_find(&ctx->objects, id);

	if (!obj || (type != CORE_ANY && obj->ops->type != type))
		return NULL;
	return obj;
}

/* Take the id away and destroy. */
static void object_end(struct core_ctx *ctx, struct core_object *obj)
{
	if (ctx->vfio_ioas && obj == (struct core_object *)ctx->vfio_ioas)
		ctx->vfio_ioas = NULL;
	obj->ops->destroy(ctx, obj);
}

int core_object_destroy(struct core_ctx *ctx, u32 id)
{
	struct core_object *obj = core_object_find(ctx, id, CORE_ANY);

	if (!obj)
		return -ENOENT;
	if (obj->users != 1)
		return -EBUSY;
	if (obj->ops->busy && obj->ops->busy(ctx, obj))
		return -EBUSY;
	idtable_release(&ctx->objects, id);
	object_end(ctx, obj);
	return 0;
}

void core_object_remove(struct core_ctx *ctx, struct core_object *obj)
{
	idtable_release(&ctx->objects, obj->id);
	object_end(ctx, obj);
}

void core_object_tombstone(struct core_ctx *ctx, struct core_object *obj)
{
	idtable_unpublish(&ctx->objects, obj->id);
	object_end(ctx, obj);
}
