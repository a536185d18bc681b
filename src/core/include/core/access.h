/* SPDX-License-Identifier: MIT */
/*
 * Accesses: see softiommu/access.h. An internal one (a hardware queue's) locks
 * what it pins: unmap then fails instead of calling back.
 */
#ifndef CORE_ACCESS_H
#define CORE_ACCESS_H

#include <softiommu/access.h>

#include "core/ctx.h"
#include "core/ioas.h"

/* One area's part of a pin. */
struct core_pin_part {
	struct mem_pin pin;
	struct core_area *area;
	struct mem_pages *pages;
};

/**
 * struct core_pin - what one siommu_access_pin() holds
 * @node: the IOVA range
 * @nparts: areas it touches
 * @parts: its hold on each
 */
struct core_pin {
	struct itree_node node;
	u32 nparts;
	struct core_pin_part parts[];
};

/**
 * struct core_access - an access
 * @obj: the object; its driver is one user
 * @ctx: the context, with a reference unless internal
 * @ioas: attached to; NULL for nothing
 * @link: in ioas->accesses
 * @ops: call-backs; NULL for an internal access
 * @arg: for them
 * @pins: struct core_pin by IOVA
 * @alignment: what areas must be aligned to
 * @busy: call-backs that are running
 * @moving: the IOAS is being changed: no new pins
 */
struct core_access {
	struct core_object obj;
	struct core_ctx *ctx;
	struct core_ioas *ioas;
	LIST_ENTRY(core_access) link;
	const struct siommu_access_ops *ops;
	void *arg;
	struct itree pins;
	u32 alignment;
	u32 busy;
	bool moving;
};

/* siommu_access_*() with ctx->lock held. @ops is NULL for an internal access. */
int core_access_create(struct core_ctx *ctx, const struct siommu_access_ops *ops, void *arg,
		       struct core_access **out) __must_check;
void core_access_destroy(struct core_access *access);
int core_access_attach(struct core_access *access, struct core_ioas *ioas) __must_check;
int core_access_replace(struct core_access *access, u32 ioas_id) __must_check;
void core_access_detach(struct core_access *access);
int core_access_pin(struct core_access *access, u64 iova, u64 length, bool write,
		    u64 *hpas) __must_check;
void core_access_unpin(struct core_access *access, u64 iova, u64 length);
int core_access_rw(struct core_access *access, u64 iova, void *buf, size_t length,
		   bool write) __must_check;

/* Tell every access of @ioas to let go of a range. Drops the lock meanwhile. */
void core_access_notify_unmap(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova, u64 length);

#endif
