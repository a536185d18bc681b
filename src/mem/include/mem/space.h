/* SPDX-License-Identifier: MIT */
/*
 * Whose memory it is: hosts, users and address spaces.
 *
 * A host is the world that machines live in: it gives out host physical
 * addresses and keeps the books about locked memory. A space is one address
 * space that callers live in: this very process, or a client of the server.
 *
 * Host physical addresses (hpa) are addresses in this process. Memory that this
 * process can reach by a load has the address it is mapped at. Memory of
 * another process that cannot be mapped gets a window of hpas from 2^47 up,
 * where no mapping of ours can ever be; it is reached through its space.
 */
#ifndef MEM_SPACE_H
#define MEM_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <bsd/sys/queue.h>

#include "base/alloc.h"
#include "base/itree.h"
#include "base/log.h"
#include "base/types.h"

typedef u64 hpa_t;

#define HPA_NONE       U64_MAX
#define HPA_REMOTE_LG2 47
#define HPA_LAST       (((u64)1 << 48) - 1)

struct mem_guard;
struct mem_guard_slot;
struct mem_pages;
struct mem_space;

/**
 * struct mem_region - a run of hpas in use: a window on a space, or a file
 *	mapped here
 * @node: the hpas
 * @link: in space->windows, or in holder->held
 * @space: whose memory it is, for a window; NULL for a file
 * @holder: for a file, the space that it was mapped for
 * @guard: for a file, where it is noted; NULL if the host is not guarded
 * @refs: page lists that use it
 * @uva: for a window, address in @space of the first byte
 * @dev: for a file, its device
 * @ino: its inode
 * @offset: byte of the file at the first hpa
 */
struct mem_region {
	struct itree_node node;
	LIST_ENTRY(mem_region) link;
	struct mem_space *space;
	struct mem_space *holder;
	struct mem_guard_slot *guard;
	u64 refs;
	union {
		u64 uva;
		struct {
			u64 dev;
			u64 ino;
			u64 offset;
		};
	};
};

/**
 * struct mem_user - locked memory of one user, for limits per user
 * @uid: the user
 * @locked: pages charged
 */
struct mem_user {
	LIST_ENTRY(mem_user) link;
	u32 uid;
	unsigned int refs;
	u64 locked;
};

/**
 * struct mem_host - the world's memory
 * @alloc: account for what belongs to no context
 * @log: where to say what went wrong
 * @cas_lock: makes updates of memory in windows atomic among devices; outside
 *	@lock
 * @guarded: mapped files are noted, see mem/guard.h
 * @mending: a signal handler is replacing a page
 * @guards: the notes; changed under @lock, read without
 * @lock: covers everything below; a leaf lock
 * @regions: struct mem_region by hpa: windows and mapped files
 * @cursor: where the search for a free window goes on
 * @pinned: page lists that have pins
 * @devices: struct mem_device, memory that cannot be pinned
 * @users: locked memory per user
 */
struct mem_host {
	struct base_alloc *alloc;
	struct base_log *log;
	pthread_mutex_t cas_lock;
	bool guarded;
	atomic_flag mending;
	struct mem_guard *_Atomic guards;
	pthread_mutex_t lock;
	struct itree regions;
	u64 cursor;
	LIST_HEAD(, mem_pages) pinned;
	LIST_HEAD(, mem_device) devices;
	LIST_HEAD(, mem_user) users;
};

void mem_host_init(struct mem_host *host, struct base_alloc *alloc, struct base_log *log);
void mem_host_destroy(struct mem_host *host);

/**
 * struct mem_vma - what one stretch of a space is made of
 * @start: first address
 * @last: last address
 * @page_bytes: size of the pages behind it (larger for hugetlbfs)
 * @dev: device of the file behind it, as st_dev; 0 for private anonymous memory
 * @ino: inode of that file
 * @offset: byte in that file that @start shows
 * @readable: may be read
 * @writable: may be written
 * @shared: stores reach the file, so other mappings of it see them
 */
struct mem_vma {
	u64 start;
	u64 last;
	u64 page_bytes;
	u64 dev;
	u64 ino;
	u64 offset;
	bool readable;
	bool writable;
	bool shared;
};

/**
 * struct mem_space_ops - how to reach an address space
 * @read: copy from it; 0, or -EFAULT, also when the process is gone
 * @write: copy to it
 * @find_vma: what is at @uva; -EFAULT if nothing, or if the process is gone.
 *	NULL for a space that is trusted to give good addresses
 * @open_vma: a descriptor for the file behind a shared @vma, to be mapped and
 *	closed by the callee; -errno if it cannot be had. May be NULL
 * @memlock_limit: bytes its process may lock now (RLIMIT_MEMLOCK)
 * @release: the last reference is gone
 */
struct mem_space_ops {
	int (*read)(struct mem_space *space, u64 uva, void *buf, size_t n);
	int (*write)(struct mem_space *space, u64 uva, const void *buf, size_t n);
	int (*find_vma)(struct mem_space *space, u64 uva, struct mem_vma *vma);
	int (*open_vma)(struct mem_space *space, const struct mem_vma *vma);
	u64 (*memlock_limit)(struct mem_space *space);
	void (*release)(struct mem_space *space);
};

/**
 * struct mem_space - one address space
 * @ops: how to reach it
 * @host: the world it belongs to
 * @refs: references
 * @user: whom per-user charges go to
 * @direct: it is this process: an hpa is the address itself
 * @windows: hpas that stand for its memory, under host->lock
 * @nwindows: how many
 * @held: files mapped here on its behalf, under host->lock
 * @held_bytes: how much that is
 * @pinned: pages pinned on its behalf (VmPin), under host->lock
 * @locked: pages charged to its own limit (VmLck), under host->lock
 */
struct mem_space {
	const struct mem_space_ops *ops;
	struct mem_host *host;
	_Atomic unsigned int refs;
	struct mem_user *user;
	bool direct;
	LIST_HEAD(, mem_region) windows;
	unsigned int nwindows;
	LIST_HEAD(, mem_region) held;
	u64 held_bytes;
	u64 pinned;
	u64 locked;
};

/* Return: 0, or -ENOMEM. The new space has one reference. */
int mem_space_init(struct mem_space *space, const struct mem_space_ops *ops, struct mem_host *host,
		   u32 uid) __must_check;

static inline void mem_space_get(struct mem_space *space)
{
	atomic_fetch_add(&space->refs, 1);
}

void mem_space_put(struct mem_space *space);

/* How locked pages are charged: see IOMMU_OPTION_RLIMIT_MODE. */
enum mem_account {
	MEM_ACCOUNT_NONE,
	MEM_ACCOUNT_USER,
	MEM_ACCOUNT_SPACE,
};

/*
 * Charge @npages pinned pages to @space, against its limit.
 * Return: 0, or -ENOMEM when that would pass the limit.
 */
int mem_charge(struct mem_space *space, enum mem_account mode, u64 npages) __must_check;
void mem_uncharge(struct mem_space *space, enum mem_account mode, u64 npages);

/* The space of this process: @checked ones test every address, at a cost. */
int mem_space_self(struct mem_host *host, bool checked, struct mem_space **out) __must_check;

#endif
