/* SPDX-License-Identifier: MIT */
/*
 * Machines, contexts and objects: what everything in the core hangs off.
 *
 * One mutex per context covers all of its objects; it is the only lock that is
 * held for longer than a few instructions, and nothing of one context waits for
 * another. docs/locking.md lists all locks and their order.
 *
 * An object is counted by its users: one for the id that names it, one for each
 * other object that depends on it, one for the driver that owns it. DESTROY is
 * allowed while the id is the only user. Objects form a graph without cycles,
 * so closing a context destroys leaves first.
 */
#ifndef CORE_CTX_H
#define CORE_CTX_H

#include <pthread.h>
#include <bsd/sys/queue.h>

#include <softiommu/machine.h>

#include "base/alloc.h"
#include "base/idtable.h"
#include "base/log.h"
#include "core/pasid.h"
#include "iommu/iommu.h"
#include "mem/space.h"
#include "mem/task.h"

struct core_ctx;
struct core_ioas;
struct inproc_fd;
struct vfio_bus;

enum core_type {
	CORE_ANY,
	CORE_ACCESS,
	CORE_DEVICE,
	CORE_FAULT,
	CORE_HWPT_NESTED,
	CORE_HWPT_PAGING,
	CORE_HW_QUEUE,
	CORE_IOAS,
	CORE_SELFTEST,
	CORE_VDEVICE,
	CORE_VEVENTQ,
	CORE_VIOMMU,
};

struct core_object;

/**
 * struct core_object_ops - one kind of object
 * @type: which
 * @size: bytes of its structure, which begins with the core_object
 * @name: for people
 * @busy: something outside the context still uses it; may be NULL
 * @destroy: end it, with core_object_free() last; nobody uses it any more.
 *	Cannot fail
 * @show: print what there is to know, without a newline at the end
 */
struct core_object_ops {
	enum core_type type;
	size_t size;
	const char *name;
	bool (*busy)(struct core_ctx *ctx, struct core_object *obj);
	void (*destroy)(struct core_ctx *ctx, struct core_object *obj);
	void (*show)(struct core_object *obj, FILE *out);
};

struct core_object {
	const struct core_object_ops *ops;
	u32 id;
	u32 users;
};

/**
 * struct siommu_machine - IOMMUs, devices, memory, and who uses them
 * @alloc: account for what belongs to no context
 * @log: where messages go
 * @host: the memory
 * @lock: covers what follows; taken after a context's lock
 * @contexts: struct core_ctx
 * @groups: struct siommu_group, the devices' groups
 * @units: struct siommu_unit, IOMMUs that were asked for
 * @plugins: struct plugin, models that were registered; none goes before the machine
 * @next_group: number of the next group that is made for one device alone
 * @quota: bytes that one context may allocate
 * @test_interface: IOMMU_TEST_CMD is answered
 * @mock: the mock IOMMU, with the test interface
 * @none: stands for the lack of an IOMMU
 * @spaces: this process, trusted and checked; made when first needed
 * @pasids: PASIDs that are given out for the whole machine
 * @iommu_2020: how the IOMMU user API of 2020 is served
 * @prq_timeout_ms: of that: how long a page request waits for its response; 0 for ever
 * @bus: its PCI functions, made with the first; covered by @lock
 * @bus_end: ends @bus; nobody uses it any more
 * @bus_show: prints its functions; takes the locks it needs
 * @fds_lock: covers @fds; a leaf lock
 * @fds: descriptors of this process, which are src/door's
 */
struct siommu_machine {
	struct base_alloc alloc;
	struct base_log log;
	struct mem_host host;
	pthread_mutex_t lock;
	LIST_HEAD(, core_ctx) contexts;
	TAILQ_HEAD(, siommu_group) groups;
	TAILQ_HEAD(, siommu_unit) units;
	LIST_HEAD(, plugin) plugins;
	u32 next_group;
	size_t quota;
	bool test_interface;
	struct iommu_unit *mock;
	struct iommu_unit *none;
	struct mem_space *spaces[2];
	struct core_pasid_space pasids;
	enum siommu_2020 iommu_2020;
	unsigned int prq_timeout_ms;
	struct vfio_bus *bus;
	void (*bus_end)(struct vfio_bus *bus);
	void (*bus_show)(struct vfio_bus *bus, FILE *out);
	pthread_mutex_t fds_lock;
	LIST_HEAD(, inproc_fd) fds;
};

/* An IOMMU of the machine, as its maker holds it. */
struct siommu_unit {
	TAILQ_ENTRY(siommu_unit) link;
	struct siommu_machine *machine;
	struct iommu_unit *unit;
};

/* Memory that a vIOMMU offers for mmap. */
struct core_mmap {
	LIST_ENTRY(core_mmap) link;
	int fd;
	u64 offset;
	u64 bytes;
	struct core_object *owner;
};

/**
 * struct core_ctx - one open /dev/iommu
 * @machine: where it lives
 * @link: in machine->contexts
 * @lock: covers everything of the context
 * @idle: signalled when a call-back that ran without @lock has returned
 * @alloc: account for all of its memory
 * @refs: the open descriptor, bound devices, accesses and open queues; under
 *	machine->lock
 * @objects: by id
 * @groups: struct core_group, by the machine's group
 * @mmaps: struct core_mmap, by offset
 * @vfio_ioas: what VFIO compatibility maps into; NULL for none
 * @account: how locked memory is charged, MEM_ACCOUNT_USER or _SPACE
 * @careful: its callers' memory may be gone at any time; fixed once it is in use
 */
struct core_ctx {
	struct siommu_machine *machine;
	LIST_ENTRY(core_ctx) link;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct base_alloc alloc;
	unsigned int refs;
	struct idtable objects;
	LIST_HEAD(, core_group) groups;
	LIST_HEAD(, core_mmap) mmaps;
	struct core_ioas *vfio_ioas;
	enum mem_account account;
	bool careful;
};

/* References that keep a context after its descriptor is closed. Any context. */
void core_ctx_get(struct core_ctx *ctx);
void core_ctx_put(struct core_ctx *ctx);

/* For who knows a context only by hearsay: false if it is ending already. */
bool core_ctx_tryget(struct core_ctx *ctx) __must_check;

/*
 * The life of an object: memory and an id for it, then build it, then publish
 * it; or give both back. Nobody else can find it before it is published.
 */
int core_object_new(struct core_ctx *ctx, const struct core_object_ops *ops,
		    struct core_object **out) __must_check;
void core_object_publish(struct core_ctx *ctx, struct core_object *obj);
void core_object_abort(struct core_ctx *ctx, struct core_object *obj);

/* The memory only: what destroy ends with. */
void core_object_free(struct core_ctx *ctx, struct core_object *obj);

/* Undo an object that is complete but was not published: destroy it too. */
void core_object_undo(struct core_ctx *ctx, struct core_object *obj);

/* The object of that id and kind, or NULL. Valid while ctx->lock is held. */
struct core_object *core_object_find(struct core_ctx *ctx, u32 id, enum core_type type);

static inline void core_object_get(struct core_object *obj)
{
	obj->users++;
}

static inline void core_object_put(struct core_object *obj)
{
	obj->users--;
}

/* Destroy by id. Return: 0; -ENOENT; -EBUSY if somebody else uses it. */
int core_object_destroy(struct core_ctx *ctx, u32 id) __must_check;

/* Destroy an object whose only users are its id and the caller. */
void core_object_remove(struct core_ctx *ctx, struct core_object *obj);

/* The same, but the id stays taken until the context closes. */
void core_object_tombstone(struct core_ctx *ctx, struct core_object *obj);

#define core_find(ctx, id, kind, struct_type, member)                                              \
	({                                                                                         \
		struct core_object *found_ = core_object_find(ctx, id, kind);                      \
		found_ ? container_of(found_, struct_type, member) : NULL;                         \
	})

#endif
