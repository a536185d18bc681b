/* SPDX-License-Identifier: MIT */
/*
 * Requests, replies, ports and their invalidation: the half of the data path
 * that is the same for every IOMMU. What a translation is, the layer above says
 * (struct dma_ops).
 *
 * A port has a TLB that only its own thread writes, and says when an access runs.
 * To take a translation back:
 *
 *	change the tables, so that a walk finds the new state
 *	dma_port_post() to each port that may hold the old one
 *	dma_barrier(), once for all of them
 *	dma_port_wait() for each
 *
 * Then no access that could have used the old translation still runs, and none
 * that begins later will: it either has seen what was posted, or was seen. The
 * walk is part of the access, so tables that were unlinked, and structures that
 * the walk read, may be freed after that as well.
 *
 * Locking: an access runs without any lock. It may take the port's own lock for
 * a moment, and nothing that is held while somebody waits for an access. Faults
 * and interrupts are therefore reported after the access has ended.
 */
#ifndef DMA_DMA_H
#define DMA_DMA_H

#include <pthread.h>
#include <bsd/sys/queue.h>

#include <softiommu/dma.h>

#include "base/alloc.h"
#include "base/itree.h"
#include "mem/space.h"

struct dma_port;

/*
 * Permissions of a translation, as in a TLB entry's tag: SIOMMU_DMA_READ, _WRITE
 * and _EXEC for a user's requests, and the same for privileged ones. The same
 * six again above them are for memory that must be copied with care: of another
 * process, or such as may be gone.
 */
#define DMA_PERM_PRIV_SHIFT   3
#define DMA_PERM_REMOTE_SHIFT 6

/* All six from separate permissions of users and privileged software. */
static inline u32 dma_perms(unsigned int user, unsigned int priv)
{
	return user | priv << DMA_PERM_PRIV_SHIFT;
}

/**
 * struct dma_request - what a device asks
 * @iova: the address
 * @access: enum siommu_dma_access; may be 0 for a translation request that only
 *	asks what is allowed
 * @ats: a translation request (ATS): grants what it can, and records no fault
 * @peek: change nothing, not even accessed bits
 * @step: told each structure that is read; NULL mostly
 * @step_arg: its first argument
 */
struct dma_request {
	u64 iova;
	unsigned int access;
	bool ats;
	bool peek;
	siommu_walk_fn step;
	void *step_arg;
};

/**
 * struct dma_leaf - the last entry of a page table that a translation took
 * @at: where it is
 * @entry: what is there now, with accessed and dirty bits as they were set
 * @address: its bits that are an address; the others say what it means
 * @perms: dma_perms(), of this entry and what led to it
 * @item_lg2: log2 of the bytes that each entry of the table is for
 * @lg2: log2 of the bytes of the page
 */
struct dma_leaf {
	hpa_t at;
	u64 entry;
	u64 address;
	u32 perms;
	unsigned int item_lg2;
	unsigned int lg2;
};

/* Stages that a translation may take. */
#define DMA_STAGES 2

/**
 * struct dma_reply - what it gets
 * @hpa: the host physical address of @iova
 * @lg2: the translation holds for the naturally aligned 2^lg2 bytes around
 *	@iova, which @hpa's lie in likewise; at least 12
 * @span_lg2: whoever invalidates any byte of the aligned 2^span_lg2 around @iova
 *	means this translation: the largest page that took part, at least @lg2; 64 is
 *	everything there is
 * @perms: what it allows, dma_perms(); includes what was asked for. Write is
 *	left out if a write must be seen to set a dirty bit first
 * @interrupt: no memory: a write is an interrupt message, with @hpa as the
 *	address; nothing else is allowed
 * @leaves: how many of @leaf there are: one for each stage, or none at all
 * @fault: on failure: all but @device and @requester filled in
 * @leaf: where the stages' tables were left, for translations of neighbours that
 *	then need not be asked for. See struct dma_near; none if tables are not all that
 *	decides about any address that shares DMA_NEAR_LG2
 */
struct dma_reply {
	hpa_t hpa;
	unsigned int lg2;
	unsigned int span_lg2;
	u32 perms;
	bool interrupt;
	unsigned int leaves;
	struct siommu_fault fault;
	struct dma_leaf leaf[DMA_STAGES];
};

/**
 * struct dma_ops - what the layer above gives a port
 * @translate: as the hardware. During an access: takes no lock. 0; -EFAULT with
 *	reply->fault; for a translation request also -EOPNOTSUPP, if the device may
 *	not make any. Such a request for a page that is not there may be answered by
 *	no permissions as well as by a fault that is SIOMMU_FAULT_RECOVERABLE
 * @fault: an access has ended with a fault that was not SIOMMU_FAULT_SILENT:
 *	record and report it. Outside of accesses
 * @resolve: an access has met a fault with SIOMMU_FAULT_STALLED, or with
 *	SIOMMU_FAULT_RECOVERABLE on a port that asks for pages. Wait; 0 to try again,
 *	-errno to fault. Outside of accesses. May be NULL
 */
struct dma_ops {
	int (*translate)(struct dma_port *port, const struct dma_request *req,
			 struct dma_reply *reply);
	void (*fault)(struct dma_port *port, const struct siommu_fault *fault);
	int (*resolve)(struct dma_port *port, const struct siommu_fault *fault);
};

/* Ranges that may wait for a port; more become one that is everything. */
#define DMA_MAX_POSTED 8

/* Words that a model may keep in a port: its cache of configuration. */
#define DMA_CONFIG_WORDS 16

/* Entries of the TLB whose use is remembered together: as many as fill 4 KiB. */
#define DMA_TLB_CHUNK_LG2 8
#define DMA_TLB_CHUNKS	  512

/* Bytes that a remembered table is for, and how many a port remembers of a stage. */
#define DMA_NEAR_LG2   21
#define DMA_NEAR_SLOTS 32

/**
 * struct dma_near - a table that translations have ended in: a page-walk cache
 * @tag: the first of the 2^DMA_NEAR_LG2 addresses that it is for, and 1
 * @seen: the port's @seen then: whatever is posted ends all of these
 * @table: the entry for the first of the addresses
 * @bits: what an entry has to be in all but the address, to mean what the one did that
 *	was here
 * @address: bits of entries that are an address
 * @perms: what such an entry allows, with those that led here
 * @item_lg2: log2 of the bytes that an entry is for
 * @lg2: log2 of the bytes of a page
 * @more: what comes out goes through another stage
 */
struct dma_near {
	u64 tag;
	u64 seen;
	hpa_t table;
	u64 bits;
	u64 address;
	u32 perms;
	u8 item_lg2;
	u8 lg2;
	bool more;
};

struct dma_range {
	u64 first;
	u64 last;
};

/**
 * struct dma_port - a port
 * @port: what its users see; first
 * @ops: the layer above
 * @owner: its pointer
 * @host: whose memory it reaches
 * @alloc: account that pays for it
 * @link: in the owner's list of ports
 * @flags: enum siommu_port_flags
 * @pasid: of its requests; 0 without SIOMMU_PORT_PASID
 * @timeout_ms: for page requests
 * @careful: what is mapped may be gone at any time; never touch it directly. Set
 *	by the owner while nothing is mapped
 * @fence: no membarrier(2): an access begins with a barrier of its own
 * @any_remote: the TLB has had entries that are to be copied with care
 * @span_lg2: largest span of the entries of each class of the TLB
 * @used: chunks of each class of the TLB that may have entries
 * @reply: of the translation that runs, or ran last
 * @config: what the model has cached for it; the port's thread's own
 * @config_valid: the model sets it; invalidation of everything clears it
 * @near: tables that they ended in, by stage
 * @user_ops: call-backs of the device model
 * @user_arg: for them
 * @last: the last fault
 * @faulted: there was one
 * @posted: invalidations so far; written under @lock, read by anybody
 * @seen: how many of them the TLB has followed; written by the port's thread
 * @lock: covers what follows; a leaf, held for moments
 * @ranges: posted, and not followed yet
 * @nranges: how many
 * @pins: struct dma_pin by IOVA
 * @unpinned: signalled when a pin ends
 * @grants: struct dma_grant by IOVA: translations given to the device (ATS)
 * @granted: the same by host physical address
 * @ngrants: how many
 * @keeps: the device was given one, ever: it is told of invalidations
 */
struct dma_port {
	struct siommu_port port;
	const struct dma_ops *ops;
	void *owner;
	struct mem_host *host;
	struct base_alloc *alloc;
	LIST_ENTRY(dma_port) link;
	unsigned int flags;
	u32 pasid;
	unsigned int timeout_ms;
	bool careful;
	bool fence;
	bool any_remote;
	bool config_valid;
	u8 span_lg2[SIOMMU_TLB_CLASSES];
	u64 used[SIOMMU_TLB_CLASSES][DMA_TLB_CHUNKS / 64];
	u64 config[DMA_CONFIG_WORDS];
	struct dma_reply reply;
	struct dma_near near[DMA_STAGES][DMA_NEAR_SLOTS];
	const struct siommu_port_ops *user_ops;
	void *user_arg;
	struct siommu_fault last;
	bool faulted;
	u64 posted;
	u64 seen;
	pthread_mutex_t lock;
	struct dma_range ranges[DMA_MAX_POSTED];
	unsigned int nranges;
	struct itree pins;
	pthread_cond_t unpinned;
	struct itree grants;
	struct itree granted;
	unsigned int ngrants;
	bool keeps;
};

static inline struct dma_port *to_dma_port(struct siommu_port *port)
{
	return container_of(port, struct dma_port, port);
}

/*
 * The caller puts it into its list of ports itself, after this and before the
 * port is used. Return: 0, -EINVAL, -ENOMEM.
 */
int dma_port_create(struct mem_host *host, struct base_alloc *alloc, const struct dma_ops *ops,
		    void *owner, const struct siommu_port_params *params,
		    struct dma_port **out) __must_check;

/* It is in no list any more. */
void dma_port_destroy(struct dma_port *port);

/*
 * Translations of [first, last] are not to be used any more; 0 to U64_MAX is
 * everything, and the model's cache of configuration too. Grants (ATS) of the
 * range end. Context: the list that the port is in is locked.
 */
void dma_port_post(struct dma_port *port, u64 first, u64 last);

/* What this thread did before, every port sees that is not seen in an access. */
void dma_barrier(void);

/*
 * Wait until no access that began before dma_barrier() runs, and then until
 * nothing in the range is pinned; the device is told to unpin, and to drop
 * translations. Context: as dma_port_post().
 */
void dma_port_wait(struct dma_port *port, u64 first, u64 last);

/* Is what is at @hpa to be copied with care? */
static inline bool dma_is_remote(const struct dma_port *port, hpa_t hpa)
{
	return unlikely(port->careful || hpa >> HPA_REMOTE_LG2);
}

int dma_load64_remote(struct dma_port *port, hpa_t hpa, u64 *value) __must_check;

/*
 * Memory at a host physical address, for models that read and update a guest's
 * structures during an access. @hpa of 8-byte words is aligned. All of it may be
 * gone: -EFAULT. An update of memory that cannot be mapped here is not atomic
 * with respect to its owner.
 */
static inline int dma_load64(struct dma_port *port, hpa_t hpa, u64 *value)
{
	if (dma_is_remote(port, hpa))
		return dma_load64_remote(port, hpa, value);
	*value = __atomic_load_n((const u64 *)(uintptr_t)hpa, __ATOMIC_ACQUIRE);
	return 0;
}

/* Return: 0 if it was *@expected; -EAGAIN if not, with what it was there; -EFAULT. */
int dma_cas64(struct dma_port *port, hpa_t hpa, u64 *expected, u64 value) __must_check;

/* More than a word, not atomic as a whole: each word is read once. */
int dma_load(struct dma_port *port, hpa_t hpa, u64 *words, unsigned int n) __must_check;

#endif
