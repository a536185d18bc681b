/* SPDX-License-Identifier: MIT */
/*
 * Queues that a user reads through a descriptor: page faults, which are also
 * answered through it, and events of a vIOMMU.
 *
 * Locking: a queue's own lock covers its contents, so that device threads can
 * add to it without the context's lock. It is a leaf but for the call that
 * makes the descriptor readable.
 */
#ifndef CORE_EVENTQ_H
#define CORE_EVENTQ_H

#include "base/idtable.h"
#include "core/ctx.h"
#include "mem/file.h"

struct core_device;
struct core_viommu;

/*
 * Takes groups of page requests in place of a reader: @token is for core_fault_respond(),
 * and never that of another group. group->dev is the device that asks, which need not be the
 * one that attached. -errno: not taken, and the group is answered "invalid". Called with the
 * group's and the queue's lock, may not call back.
 */
typedef int (*core_fault_fn)(void *arg, const struct iommu_fault_group *group, u64 token);

/**
 * struct core_fault - a fault queue
 * @obj: the object; the open descriptor is one user
 * @ctx: the context, referenced by the open descriptor
 * @file: the descriptor
 * @lock: covers what follows
 * @answered: signalled when nobody is answering any more
 * @deliver: struct iommu_fault_group, not read yet
 * @response: those read and not answered, by cookie
 * @answering: writers that are answering a group without @lock
 * @listener: takes groups as they come, and there is no descriptor; NULL for none
 * @arg: its first argument
 * @serial: of the latest group that it was told of
 */
struct core_fault {
	struct core_object obj;
	struct core_ctx *ctx;
	struct mem_file file;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	TAILQ_HEAD(, iommu_fault_group) deliver;
	struct idtable response;
	unsigned int answering;
	core_fault_fn listener;
	void *arg;
	u32 serial;
};

/* One event, or the record that some were lost. */
struct core_vevent {
	TAILQ_ENTRY(core_vevent) link;
	u32 flags;
	u32 sequence;
	u32 len;
	u8 data[];
};

/**
 * struct core_veventq - a queue of one type of a vIOMMU's events
 * @obj: the object; the open descriptor is one user
 * @ctx: the context, referenced by the open descriptor
 * @file: the descriptor
 * @viommu: whose events
 * @link: in viommu->veventqs
 * @lock: covers what follows
 * @type: IOMMU_VEVENTQ_TYPE_*
 * @depth: events it holds at most
 * @nevents: events in it
 * @sequence: number of the next event
 * @events: struct core_vevent
 * @lost: stands at the tail of @events when the latest events were lost
 */
struct core_veventq {
	struct core_object obj;
	struct core_ctx *ctx;
	struct mem_file file;
	struct core_viommu *viommu;
	LIST_ENTRY(core_veventq) link;
	pthread_mutex_t lock;
	u32 type;
	u32 depth;
	u32 nevents;
	u32 sequence;
	TAILQ_HEAD(vevent_list, core_vevent) events;
	struct core_vevent lost; /* ends in an empty array: last */
};

/*
 * Make a queue and its descriptor in the caller. The object is complete but not
 * published: publish it, or undo both with core_eventq_undo().
 */
int core_fault_alloc(struct core_ctx *ctx, struct siommu_task *task, struct core_fault **out,
		     int *fd) __must_check;
/*
 * The same without a descriptor, and not published: nobody can find it. Return: 0, or
 * -ENOMEM.
 */
int core_fault_listen(struct core_ctx *ctx, core_fault_fn listener, void *arg,
		      struct core_fault **out) __must_check;
/*
 * Nobody listens any more: what waits is answered "invalid", and so is what comes. The queue
 * ends, unless there are HWPTs that somebody else goes on using: then it is published, and
 * that one's to destroy.
 */
void core_fault_unlisten(struct core_ctx *ctx, struct core_fault *fault);
int core_veventq_alloc(struct core_ctx *ctx, struct siommu_task *task, struct core_viommu *viommu,
		       u32 type, u32 depth, struct core_veventq **out, int *fd) __must_check;
/*
 * Give @obj the descriptor of @file, which is initialised. It counts as a user of
 * the object and of the context.
 */
int core_eventq_open(struct core_ctx *ctx, struct siommu_task *task, struct core_object *obj,
		     struct mem_file *file, int *fd) __must_check;

void core_eventq_undo(struct core_ctx *ctx, struct siommu_task *task, struct core_object *obj,
		      int fd);

static inline struct core_fault *core_fault_find(struct core_ctx *ctx, u32 id)
{
	return core_find(ctx, id, CORE_FAULT, struct core_fault, obj);
}

/*
 * Answer a group, IOMMUFD_PAGE_RESP_*. Without the queue's lock, and those that are taken
 * inside of it or when a group is answered. @token: the listener's; a reader's cookie.
 * Return: 0; -EINVAL for another code, or if no such group waits for an answer.
 */
int core_fault_respond(struct core_fault *fault, u64 token, u32 code) __must_check;

/* A domain's fault_handler; the cookie is the core_fault. */
int core_fault_deliver(struct iommu_domain *domain, struct iommu_fault_group *group);

/*
 * An attachment, or one device of it, ends: answer what came through it, from
 * any device if @dev is NULL, and is still open.
 */
void core_fault_cancel(struct core_fault *fault, const struct iommu_attach_handle *handle,
		       const struct iommu_device *dev);

/* Add an event. -EOPNOTSUPP without a queue of the type; -ENOMEM. */
int core_veventq_report(struct core_viommu *viommu, u32 type, const void *data, size_t len);

#endif
