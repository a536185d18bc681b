/* SPDX-License-Identifier: MIT */
/*
 * IOMMUs, the devices behind them, and the contract that a model fulfils.
 *
 * A unit is one IOMMU. Its model (vendor) is a table of functions, iommu_ops,
 * in the shape that the kernel's drivers have: errors are errno, user data
 * comes as a descriptor and is copied with the helpers below, a domain is
 * complete when it is returned. What a model leaves NULL it does not offer, and
 * the core answers EOPNOTSUPP for it.
 *
 * A group is the smallest set of devices that the unit can tell from others;
 * it is owned by one context at a time. What a group, or one PASID of a device,
 * is attached to is an attach handle. Devices and groups outlive contexts.
 *
 * Locking: the owning context serialises attach, replace and detach. A group's
 * lock covers its handles and its faults against device threads that report
 * faults; the fault call-back runs under it.
 */
#ifndef IOMMU_IOMMU_H
#define IOMMU_IOMMU_H

#include <pthread.h>
#include <bsd/sys/queue.h>

#include "base/alloc.h"
#include "base/itree.h"
#include "base/log.h"
#include "dma/dma.h"
#include "mem/space.h"
#include "mem/task.h"

struct iommu_attach_handle;
struct iommu_device;
struct iommu_device_desc;
struct iommu_domain;
struct iommu_pgfault;
struct iommu_fault_group;
struct iommu_group;
struct iommu_hw_queue;
struct iommu_page_group;
struct iommu_unit;
struct iommu_viommu;
struct iommu_viommu_sink;

#define IOMMU_NO_PASID 0u

/* Permissions of a mapping and of a request. */
#define IOMMU_PROT_READ	 (1u << 0)
#define IOMMU_PROT_WRITE (1u << 1)
#define IOMMU_PROT_MMIO	 (1u << 2) /* not memory: a device's own registers */

/* What the caller of an ioctl gave a model, still in its own memory. */
struct iommu_user_data {
	struct siommu_task *task;
	u32 type;
	u32 len;
	u64 uptr;
};

/* An array of requests; @num is set to how many were done, also on failure. */
struct iommu_user_array {
	struct siommu_task *task;
	u32 type;
	u32 entry_len;
	u32 num;
	u64 uptr;
};

/*
 * Copy one structure: @size is ours, @min_len ends its first version.
 * Return: 0; -EINVAL for another type, too short or longer than ours; -EFAULT.
 */
int iommu_copy_user_data(void *dst, size_t size, size_t min_len, u32 type,
			 const struct iommu_user_data *data) __must_check;

/* Copy @src back over the structure that @data describes. */
int iommu_copy_to_user_data(const struct iommu_user_data *data, const void *src, size_t size,
			    size_t min_len, u32 type) __must_check;

/* As iommu_copy_user_data(), for entry @index of an array. */
int iommu_copy_user_entry(void *dst, size_t size, size_t min_len, u32 type,
			  const struct iommu_user_array *array, u32 index) __must_check;

/*
 * Copy a whole array into @dst, @array->num entries of @size bytes. Shorter
 * entries are zero-filled, longer ones must be zero beyond @size (-E2BIG).
 */
int iommu_copy_user_array(void *dst, size_t size, u32 type,
			  const struct iommu_user_array *array) __must_check;

/**
 * struct iommu_dirty_sink - receives what a dirty walk finds
 * @set: the @len bytes from @iova on were written
 */
struct iommu_dirty_sink {
	void (*set)(struct iommu_dirty_sink *sink, u64 iova, u64 len);
};

/* For page tables, as what they call: @arg is a sink. */
void iommu_report_dirty(void *arg, u64 iova, u64 len);

#define IOMMU_DIRTY_NO_CLEAR (1u << 0)

/**
 * struct iommu_dirty_ops - dirty tracking of a paging domain
 * @set_tracking: switch it; setting what is set is fine
 * @read_and_clear: report what was written in [iova, iova + len - 1], and forget
 *	it unless IOMMU_DIRTY_NO_CLEAR; @sink is NULL to clear only
 */
struct iommu_dirty_ops {
	int (*set_tracking)(struct iommu_domain *domain, bool enable);
	int (*read_and_clear)(struct iommu_domain *domain, u64 iova, u64 len, unsigned int flags,
			      struct iommu_dirty_sink *sink);
};

enum iommu_domain_type {
	IOMMU_DOMAIN_BLOCKED, /* all DMA is refused */
	IOMMU_DOMAIN_PAGING,  /* the core maps and unmaps */
	IOMMU_DOMAIN_NESTED,  /* the user owns the first stage */
};

/**
 * struct iommu_domain_ops - what can be done with a domain
 * @attach_dev: make @dev translate through @domain instead of @old, which may
 *	be NULL; on failure nothing has changed. -EINVAL: not compatible
 * @set_dev_pasid: the same for one PASID of @dev
 * @free: nobody uses it any more
 * @map: [iova, iova + len - 1] to @hpa on; all aligned to the smallest page.
 *	-EADDRINUSE or -ENOMEM, and nothing has changed
 * @unmap: exactly a range that was mapped, or several; cannot fail. In the
 *	tables only: called through iommu_unmap(), with iommu_sync() to follow
 * @sync: no walk that began before the last @unmap runs any more: what was
 *	unlinked may be freed
 * @iova_to_hpa: walk the tables; HPA_NONE if nothing is mapped
 * @cache_invalidate_user: of a nested domain
 */
struct iommu_domain_ops {
	int (*attach_dev)(struct iommu_domain *domain, struct iommu_device *dev,
			  struct iommu_domain *old);
	int (*set_dev_pasid)(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
			     struct iommu_domain *old);
	void (*free)(struct iommu_domain *domain);
	int (*map)(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot);
	void (*unmap)(struct iommu_domain *domain, u64 iova, u64 len);
	void (*sync)(struct iommu_domain *domain);
	hpa_t (*iova_to_hpa)(struct iommu_domain *domain, u64 iova);
	int (*cache_invalidate_user)(struct iommu_domain *domain, struct iommu_user_array *array);
};

/**
 * struct iommu_domain - one translation
 * @ops: its functions
 * @dirty_ops: NULL if it cannot track
 * @owner: the model that made it
 * @type: what kind it is
 * @pgsize_bitmap: page sizes it can map, bit n for 2^n bytes
 * @aperture_start: first IOVA it can translate
 * @aperture_last: last one
 * @cache_coherent: DMA is snooped whatever the device asks for
 * @fault_handler: takes complete page-request groups; NULL if faults go
 *	unhandled. Owns @group from then on, and must answer it exactly once
 * @fault_cookie: for the handler
 * @attached: struct iommu_attach_handle
 * @parent: of a nested domain, the domain that its stage 2 is
 * @nested: domains whose parent this is
 * @nested_link: in parent->nested
 * @gathered: [@gather_first, @gather_last] was unmapped or invalidated, and may
 *	still be in TLBs
 *
 * The owning context's lock covers the lists and what is gathered.
 */
struct iommu_domain {
	const struct iommu_domain_ops *ops;
	const struct iommu_dirty_ops *dirty_ops;
	const struct iommu_ops *owner;
	enum iommu_domain_type type;
	u64 pgsize_bitmap;
	u64 aperture_start;
	u64 aperture_last;
	bool cache_coherent;
	int (*fault_handler)(struct iommu_domain *domain, struct iommu_fault_group *group);
	void *fault_cookie;
	LIST_HEAD(, iommu_attach_handle) attached;
	struct iommu_domain *parent;
	LIST_HEAD(, iommu_domain) nested;
	LIST_ENTRY(iommu_domain) nested_link;
	bool gathered;
	u64 gather_first;
	u64 gather_last;
};

/* Capabilities of a device behind its unit. */
enum iommu_cap {
	IOMMU_CAP_CACHE_COHERENCY,	   /* DMA is coherent at all: needed to bind */
	IOMMU_CAP_ENFORCE_CACHE_COHERENCY, /* no-snoop can be overridden */
	IOMMU_CAP_DIRTY_TRACKING,
	IOMMU_CAP_PCI_ATS,
	IOMMU_CAP_PASID_EXEC,
	IOMMU_CAP_PASID_PRIV,
};

/**
 * struct iommu_ops - a model
 * @name: for people
 * @untranslated: stands for no IOMMU at all: devices use host addresses, and a
 *	domain is only looked up in by software
 * @user_pasid_table: a page request with a PASID that is not attached goes to
 *	the nested domain of the requester itself
 * @faults_need_pasid: a page request without a PASID, or with PASID 0, is nobody's
 * @hw_info: fill *@data (allocated from the context's account, freed by the
 *	core) and *@len; *@type is in and out, IOMMU_HW_INFO_TYPE_*. NULL: none
 * @capable: does @dev have @cap
 * @domain_alloc_paging: flags are IOMMU_HWPT_ALLOC_*; @data may be NULL
 * @domain_alloc_nested: on @parent, a paging domain made as a nest parent
 * @blocked_domain: the domain of a device that is attached to nothing
 * @page_request_valid: does the driver take such a page request, or answer it as
 *	invalid itself. NULL: it takes all
 * @page_response: the answer to a page-request group, IOMMUFD_PAGE_RESP_*
 * @unit_destroy: end a unit that the model made, without devices
 * @device_create: put a device behind the unit, for the caller to join its group. -EINVAL
 *	for what it cannot have
 * @device_destroy: end a device that the model made, and that has left its group
 * @translate: what dma_ops has; NULL for a model without a data path
 * @report: tell the owner of @dev's vIOMMU, if the kernel would, of a fault that
 *	nobody can answer. May be NULL
 * @fault_cause: why an access was refused, in the terms that all IOMMUs share: enum
 *	iommu_fault_reason of softiommu/abi/iommu-2020.h; *@fetch_addr is the table that
 *	could not be read, if that is why. NULL: nobody can say
 * @reason_name: the specification's name, in a few words, of a fault's reason;
 *	NULL for numbers that it does not use. May be NULL
 * @viommu_supported: may a vIOMMU of this type be made for @dev
 * @viommu_alloc: make one; fills in the common part's ops
 */
struct iommu_ops {
	const char *name;
	bool untranslated;
	bool user_pasid_table;
	bool faults_need_pasid;
	int (*hw_info)(struct iommu_device *dev, struct base_alloc *alloc, u32 *type, void **data,
		       u32 *len);
	bool (*capable)(struct iommu_device *dev, enum iommu_cap cap);
	int (*domain_alloc_paging)(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
				   const struct iommu_user_data *data, struct iommu_domain **out);
	int (*domain_alloc_nested)(struct iommu_device *dev, struct base_alloc *alloc,
				   struct iommu_domain *parent, u32 flags,
				   const struct iommu_user_data *data, struct iommu_domain **out);
	struct iommu_domain *blocked_domain;
	bool (*page_request_valid)(const struct iommu_device *dev, const struct iommu_pgfault *fault);
	void (*page_response)(struct iommu_device *dev, const struct iommu_fault_group *group,
			      u32 code);
	void (*unit_destroy)(struct iommu_unit *unit);
	int (*device_create)(struct iommu_unit *unit, struct iommu_group *group,
			     const struct iommu_device_desc *desc, struct iommu_device **out);
	void (*device_destroy)(struct iommu_device *dev);
	int (*translate)(struct iommu_device *dev, struct dma_port *port,
			 const struct dma_request *req, struct dma_reply *reply);
	void (*report)(struct iommu_device *dev, const struct siommu_fault *fault);
	u32 (*fault_cause)(const struct siommu_fault *fault, u64 *fetch_addr);
	const char *(*reason_name)(u32 reason);
	bool (*viommu_supported)(struct iommu_device *dev, u32 type);
	int (*viommu_alloc)(struct iommu_device *dev, struct base_alloc *alloc, u32 type,
			    struct iommu_domain *parent, const struct iommu_user_data *data,
			    const struct iommu_viommu_sink *sink, void *sink_arg,
			    struct iommu_viommu **out);
};

/**
 * struct iommu_device_desc - what a device shall be like
 * @name: for people
 * @requester: its number on the bus: PCI requester id, or stream id
 * @pasid_bits: width of its PASIDs; 0 for none
 * @ats: it asks for translations and keeps them
 * @page_requests: it asks for pages (PRI)
 * @stall: its requests may wait for an answer (SMMUv3's stall model)
 */
struct iommu_device_desc {
	const char *name;
	u32 requester;
	unsigned int pasid_bits;
	bool ats;
	bool page_requests;
	bool stall;
};

/* Faults that a unit remembers for people. */
#define IOMMU_FAULT_LOG 256

/**
 * struct iommu_fault_log - the latest unrecoverable faults of a unit
 * @lock: covers the rest; a leaf lock
 * @count: how many there were; the last IOMMU_FAULT_LOG of them are kept
 * @faults: fault number n is at n modulo IOMMU_FAULT_LOG
 */
struct iommu_fault_log {
	pthread_mutex_t lock;
	u64 count;
	struct siommu_fault faults[IOMMU_FAULT_LOG];
};

/**
 * struct iommu_unit - one IOMMU; a model embeds this if it has state of its own
 * @ops: the model
 * @alloc: account that pays for it
 * @host: the memory that it reaches
 * @name: for people
 * @log: faults; NULL for a model without a data path
 */
struct iommu_unit {
	const struct iommu_ops *ops;
	struct base_alloc *alloc;
	struct mem_host *host;
	char name[32];
	struct iommu_fault_log *log;
};

/**
 * struct iommu_model - a kind of IOMMU that a machine may have units of
 * @name: as on the command line
 * @summary: one line for people
 * @options: lines for people: each option that unit_create() takes
 * @unit_create: make a unit. @options is "name=value,..." or empty. -EINVAL for
 *	options that it does not know, that do not fit together, with a line
 *	that says which in @error; -ENOMEM
 */
struct iommu_model {
	const char *name;
	const char *summary;
	const char *options;
	int (*unit_create)(struct mem_host *host, const char *options, char *error, size_t n,
			   struct iommu_unit **out);
};

/* For models: the common part of a unit, with a fault log. 0, or -ENOMEM. */
int iommu_unit_init(struct iommu_unit *unit, const struct iommu_ops *ops,
		    struct mem_host *host) __must_check;
void iommu_unit_end(struct iommu_unit *unit);

/**
 * struct iommu_unit_option - one option of a unit
 * @name: what stands before the "="
 * @min: smallest value
 * @max: largest; with 1, "on", "off", and the name alone are understood too
 * @value: where it goes; holds the default before
 */
struct iommu_unit_option {
	const char *name;
	u64 min;
	u64 max;
	u64 *value;
};

/* Parse "name=value,...". Return: 0; -EINVAL with a line in @error. */
int iommu_parse_options(const char *text, const struct iommu_unit_option *options, size_t count,
			char *error, size_t n) __must_check;

/* IOVAs that @dev cannot use: interrupt windows, holes, firmware tables. */
struct iommu_resv_region {
	LIST_ENTRY(iommu_resv_region) link;
	u64 start;
	u64 last;
	enum {
		IOMMU_RESV_DIRECT,	     /* must be mapped one to one */
		IOMMU_RESV_DIRECT_RELAXABLE, /* the same, but not when assigned */
		IOMMU_RESV_RESERVED,
		IOMMU_RESV_MSI,
		IOMMU_RESV_SW_MSI,
	} type;
};

/**
 * struct iommu_page_requests - page requests that ports of a device made
 * @lock: covers the rest
 * @groups: struct iommu_page_group, not answered yet, by PASID and number
 * @answering: those whose answer is being told
 * @told: signalled when one has been
 * @token: of the latest group
 */
struct iommu_page_requests {
	pthread_mutex_t lock;
	struct itree groups;
	LIST_HEAD(, iommu_page_group) answering;
	pthread_cond_t told;
	u64 token;
};

/**
 * struct iommu_fault_watch - somebody who is told of accesses that were refused
 * @fault: an access was; called with the group's lock, may not call back
 */
struct iommu_fault_watch {
	void (*fault)(struct iommu_fault_watch *watch, const struct siommu_fault *fault);
};

/**
 * struct iommu_device - one function on a bus, as its IOMMU knows it
 * @unit: its IOMMU
 * @group: its group; in its list from iommu_device_join() on
 * @name: for people
 * @requester: its number on the bus
 * @pasid_bits: width of its PASIDs; 0 for none
 * @max_pasid_log2: what users are told of that
 * @ports_lock: covers @ports; held while one waits for their accesses
 * @ports: struct dma_port
 * @page_requests: it can ask for pages (PRI)
 * @faults_on: page requests are enabled: how many attached domains handle them
 * @listened: somebody has claimed the device and takes its page requests
 * @watch: who is told of refused accesses; NULL for nobody; under the group's lock
 * @resv: struct iommu_resv_region
 * @partial: page requests of groups whose last has not come yet
 * @npartial: how many
 * @pending: groups that were delivered and not answered yet
 * @requests: groups of its ports that wait for an answer
 */
struct iommu_device {
	struct iommu_unit *unit;
	struct iommu_group *group;
	char name[32];
	u32 requester;
	unsigned int pasid_bits;
	unsigned int max_pasid_log2;
	pthread_mutex_t ports_lock;
	LIST_HEAD(, dma_port) ports;
	bool page_requests;
	unsigned int faults_on;
	bool listened;
	struct iommu_fault_watch *watch;
	LIST_HEAD(, iommu_resv_region) resv;
	TAILQ_HEAD(, iommu_partial_fault) partial;
	unsigned int npartial;
	_Atomic unsigned int pending;
	struct iommu_page_requests requests;
	LIST_ENTRY(iommu_device) group_link;
};

/**
 * struct iommu_attach_handle - one attachment
 * @node: the PASID it is for
 * @domain: where its DMA goes
 * @group: whose DMA
 * @link: in domain->attached
 * @cookie: the attaching device object, for faults
 */
struct iommu_attach_handle {
	struct itree_node node;
	struct iommu_domain *domain;
	struct iommu_group *group;
	LIST_ENTRY(iommu_attach_handle) link;
	void *cookie;
};

/**
 * struct iommu_group - devices that share a translation
 * @id: its number
 * @attach_lock: covers @devices and @careful, and held while what they translate
 *	with changes
 * @lock: covers @handles and the devices' partial faults; inside @attach_lock
 * @devices: its members
 * @handles: struct iommu_attach_handle by PASID
 * @owner: the context that owns its DMA; NULL for nobody
 * @owners: claims held by @owner
 * @careful: memory that it reaches may be gone at any time, see struct dma_port
 */
struct iommu_group {
	u32 id;
	pthread_mutex_t attach_lock;
	pthread_mutex_t lock;
	LIST_HEAD(, iommu_device) devices;
	struct itree handles;
	void *owner;
	unsigned int owners;
	bool careful;
};

void iommu_group_init(struct iommu_group *group, u32 id);
void iommu_group_destroy(struct iommu_group *group);

/*
 * Return: 0; -EINVAL if the group is behind another unit; -EBUSY if it is
 * attached: to what, was decided for the devices it had.
 */
int iommu_device_init(struct iommu_device *dev, struct iommu_unit *unit,
		      struct iommu_group *group, const char *name) __must_check;

/* In no group, owned by nobody. Frees the reserved regions. */
void iommu_device_destroy(struct iommu_device *dev);

/*
 * The model has made all of @dev: from now on it shares what its group is attached
 * to. Return: as iommu_device_init(), which asked early.
 */
int iommu_device_join(struct iommu_device *dev) __must_check;

/* Before the model ends it. What the group is attached to stays with the others. */
void iommu_device_leave(struct iommu_device *dev);

int iommu_device_add_resv(struct iommu_device *dev, u64 start, u64 last, int type) __must_check;

static inline bool iommu_capable(struct iommu_device *dev, enum iommu_cap cap)
{
	return dev->unit->ops->capable && dev->unit->ops->capable(dev, cap);
}

/*
 * Take, or share, the DMA ownership of the group. All DMA is blocked until
 * something is attached. Return: 0, or -EBUSY if somebody else has it.
 * Context: the machine's lock.
 */
int iommu_group_claim(struct iommu_group *group, void *owner) __must_check;
void iommu_group_release(struct iommu_group *group);

/*
 * Attach the whole group, one device's PASID, or change either to another
 * domain without a gap. @handle is the caller's and stays linked until it is
 * replaced or detached. On failure everything is as before.
 */
int iommu_attach(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		 struct iommu_attach_handle *handle) __must_check;
int iommu_replace(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		  struct iommu_attach_handle *handle) __must_check;
void iommu_detach(struct iommu_device *dev, u32 pasid);

/*
 * Unmap in the tables. iommu_sync() must follow before the memory is let go; any
 * number of ranges may be unmapped before it. Context: the owning context's lock.
 */
void iommu_unmap(struct iommu_domain *domain, u64 iova, u64 len);

/* [first, last] of @domain has changed, as by iommu_unmap(). */
void iommu_gather(struct iommu_domain *domain, u64 first, u64 last);

/*
 * When this returns, no device uses a translation of what was gathered, and none
 * will. Waits for accesses that run, and for pins to end. Context: the owning
 * context's lock; not from within attach functions.
 */
void iommu_sync(struct iommu_domain *domain);

/* Both at once, for a range, or for everything: 0 to U64_MAX. */
void iommu_flush(struct iommu_domain *domain, u64 first, u64 last);

/* The same for all ports of one device, whatever they translate through. */
void iommu_flush_device(struct iommu_device *dev, u64 first, u64 last);

/*
 * Call @fn for each device that translates through @domain, or through a domain
 * nested on it, and the PASID with which it does. Context: the owning context's lock.
 */
void iommu_for_each_attached(struct iommu_domain *domain,
			     void (*fn)(struct iommu_device *dev, u32 pasid, void *arg), void *arg);

/* @domain is nested on @parent from now on, until it is freed. */
void iommu_domain_nest(struct iommu_domain *domain, struct iommu_domain *parent);

/* Nobody uses it any more. */
void iommu_domain_free(struct iommu_domain *domain);

/*
 * A port of @dev. Return: 0; -EINVAL, also for a PASID that the device cannot
 * have; -EOPNOTSUPP for a model without a data path; -ENOMEM.
 */
int iommu_port_create(struct iommu_device *dev, const struct siommu_port_params *params,
		      struct dma_port **out) __must_check;
void iommu_port_destroy(struct dma_port *port);

/*
 * Memory that devices of the group reach may be gone at any time, or not; also
 * those that are not claimed, since they share its translation. Nothing is attached.
 */
void iommu_group_set_careful(struct iommu_group *group, bool careful);

/* Copy the latest faults, oldest first. Return: how many; *@count of all ever. */
unsigned int iommu_faults(struct iommu_unit *unit, struct siommu_fault *faults, unsigned int n,
			  u64 *count);

/* The attachment of a PASID, or NULL. Context: the owning context's lock. */
struct iommu_attach_handle *iommu_handle_find(struct iommu_group *group, u32 pasid);

/*
 * One page request, and what IOMMU_PGFAULT_FLAGS_* and _PERM_* say of it. @token
 * is for whoever waits for the answer; 0 for nobody.
 */
struct iommu_pgfault {
	u32 flags;
	u32 pasid;
	u32 grpid;
	u32 perm;
	u64 addr;
	u64 token;
};

/**
 * struct iommu_fault_group - a complete page-request group
 * @link: for whoever owns the group
 * @dev: the device that asks
 * @handle: the attachment that it came through
 * @cookie: for whoever owns the group
 * @dev_id: likewise
 * @serial: likewise
 * @count: requests in it; the last is the one marked last
 * @faults: the requests
 */
struct iommu_fault_group {
	TAILQ_ENTRY(iommu_fault_group) link;
	struct iommu_device *dev;
	struct iommu_attach_handle *handle;
	u32 cookie;
	u32 dev_id;
	u32 serial;
	u32 count;
	struct iommu_pgfault faults[];
};

/*
 * Requests of one device that may wait for the last of their group, and groups
 * of it that may wait for an answer. What comes after is refused, as by hardware
 * whose queue is full.
 */
#define IOMMU_MAX_PARTIAL 1024
#define IOMMU_MAX_PENDING 16384

/*
 * A device asks for a page. A request that cannot be delivered is answered
 * "invalid" at once. Return: 0 if it was queued; -EINVAL if nobody takes it; -ENOSPC,
 * -ENOMEM.
 */
int iommu_report_fault(struct iommu_device *dev, const struct iommu_pgfault *fault);

/*
 * Forget the requests of the group of @like, a PASID's and a number's, whose last
 * will not come.
 */
void iommu_fault_drop(struct iommu_device *dev, const struct iommu_pgfault *like);

/*
 * Tell @watch of refused accesses from now on; NULL: nobody. There is one at a time. When
 * this returns, nobody is telling the one before. It ends when the device leaves its group.
 */
void iommu_device_watch(struct iommu_device *dev, struct iommu_fault_watch *watch);

/* Take page requests of the device. */
void iommu_fault_listen(struct iommu_device *dev);

/*
 * Take no more, and forget those that still wait for the last of their group.
 * Groups that were delivered are for their owner to answer.
 */
void iommu_fault_forget(struct iommu_device *dev);

/* Answer a group and free it. @code is IOMMUFD_PAGE_RESP_*. */
void iommu_fault_respond(struct iommu_fault_group *group, u32 code);

/**
 * struct iommu_viommu_sink - what a model may ask of the core
 * @event: put an event in the queue of its type. -EOPNOTSUPP without such a
 *	queue; a full queue loses the event and says so to its reader
 * @mmap_add: offer @fd (a memfd, which stays the model's) of @bytes for mmap;
 *	*@offset is what the user passes to mmap
 * @mmap_remove: withdraw the offer
 */
struct iommu_viommu_sink {
	int (*event)(void *arg, u32 type, const void *data, size_t len);
	int (*mmap_add)(void *arg, int fd, u64 bytes, u64 *offset);
	void (*mmap_remove)(void *arg, u64 offset);
};

/**
 * struct iommu_viommu_ops - what a vIOMMU can do
 * @destroy: frees it
 * @alloc_domain_nested: a nested domain over its parent
 * @cache_invalidate: requests that name virtual devices
 * @vdevice_init: accept a new virtual device, or not; may be NULL
 * @hw_queue_supported: may a queue of this type be made
 * @hw_queue_alloc: make one on guest memory at @hpa; sets ->prev to the queue
 *	that must outlive it, if any
 */
struct iommu_viommu_ops {
	void (*destroy)(struct iommu_viommu *viommu);
	int (*alloc_domain_nested)(struct iommu_viommu *viommu, u32 flags,
				   const struct iommu_user_data *data, struct iommu_domain **out);
	int (*cache_invalidate)(struct iommu_viommu *viommu, struct iommu_user_array *array);
	int (*vdevice_init)(struct iommu_viommu *viommu, struct iommu_device *dev, u64 virt_id);
	bool (*hw_queue_supported)(struct iommu_viommu *viommu, u32 type);
	int (*hw_queue_alloc)(struct iommu_viommu *viommu, u32 type, u32 index, u64 iova,
			      u64 length, hpa_t hpa, struct iommu_hw_queue **out);
	void (*hw_queue_free)(struct iommu_hw_queue *queue);
};

/**
 * struct iommu_viommu - the common part of a vIOMMU
 * @ops: the model's functions
 * @unit: the IOMMU it is a slice of
 * @alloc: account of its context
 * @parent: the nest parent's domain
 * @sink: how to reach the core
 * @sink_arg: its first argument
 * @lock: covers @vdevs
 * @vdevs: struct iommu_vdevice by virtual id
 */
struct iommu_viommu {
	const struct iommu_viommu_ops *ops;
	struct iommu_unit *unit;
	struct base_alloc *alloc;
	struct iommu_domain *parent;
	const struct iommu_viommu_sink *sink;
	void *sink_arg;
	pthread_mutex_t lock;
	struct itree vdevs;
};

void iommu_viommu_init(struct iommu_viommu *viommu, const struct iommu_viommu_ops *ops,
		       struct iommu_device *dev, struct base_alloc *alloc,
		       struct iommu_domain *parent, const struct iommu_viommu_sink *sink,
		       void *sink_arg);

/* A device as its guest knows it. */
struct iommu_vdevice {
	struct itree_node node; /* the virtual id */
	struct iommu_device *dev;
};

/* Return: 0; -EEXIST if the id is taken; what the model's vdevice_init says. */
int iommu_vdevice_add(struct iommu_viommu *viommu, struct iommu_vdevice *vdev,
		      struct iommu_device *dev, u64 virt_id) __must_check;
void iommu_vdevice_remove(struct iommu_viommu *viommu, struct iommu_vdevice *vdev);

/* The device with a virtual id, or NULL. Context: viommu->lock. */
struct iommu_device *iommu_vdevice_find(struct iommu_viommu *viommu, u64 virt_id);

/* Return: 0, or -ENOENT if @dev has no virtual device here. */
int iommu_vdevice_id(struct iommu_viommu *viommu, struct iommu_device *dev, u64 *virt_id);

struct iommu_hw_queue {
	struct iommu_viommu *viommu;
	struct iommu_hw_queue *prev;
	void *core; /* the object that stands for it */
};

#endif
