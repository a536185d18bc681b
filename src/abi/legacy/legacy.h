/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share. Theory of operation: abi/legacy.h.
 *
 *   uapi.c	copies and checks of structures, the same for all IOMMUs: the generic layer
 *   domain.c	domains, devices, tables of PASIDs, invalidation
 *   bind.c	page tables that are bound to PASIDs
 *   vtd.c, smmuv3.c   what the structures mean to one kind of IOMMU: the drivers
 *   fault.c	faults on their way to a handler, and page requests that wait
 */
#ifndef ABI_LEGACY_LEGACY_H
#define ABI_LEGACY_LEGACY_H

#include <pthread.h>
#include <bsd/sys/queue.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/machine.h>

#include "abi/legacy.h"
#include "core/eventq.h"
#include "core/hwpt.h"
#include "core/viommu.h"
#include "future.h"

/**
 * struct legacy_bind - struct iommu_gpasid_bind_data, checked
 * @data: as 5.17 knows it; @argsz is the caller's
 * @label: of a future version that tests try: what page requests of the PASID carry along,
 *	see future.h; 0 otherwise
 */
struct legacy_bind {
	struct iommu_gpasid_bind_data data;
	u64 label[2];
};

/*
 * Copies of the caller's structures, complete with zeroes and checked as far as that does
 * not depend on the IOMMU, in the order of the kernel's checks. Return: 0; -EFAULT;
 * -EINVAL; -E2BIG in drafts.
 */
int legacy_get_bind(enum siommu_2020 revision, struct siommu_task *task, u64 uptr, u64 room,
		    struct legacy_bind *bind) __must_check;
int legacy_get_table(enum siommu_2020 revision, struct siommu_task *task, u64 uptr, u64 room,
		     struct iommu_pasid_table_config *config) __must_check;
int legacy_get_invalidate(enum siommu_2020 revision, struct siommu_task *task, u64 uptr, u64 room,
			  struct iommu_cache_invalidate_info *info) __must_check;
int legacy_get_response(enum siommu_2020 revision, struct siommu_task *task, u64 uptr,
			struct iommu_page_response *response) __must_check;

/* What every response keeps to. Return: 0, or -EINVAL for what is not known. */
int legacy_check_response(const struct iommu_page_response *response) __must_check;

/* bind.c: undo all that is bound for a device. Locked. Cannot fail. */
void legacy_unbind_all(struct legacy_dev *dev);

/*
 * bind.c, domain.c: what the calls do once their structure has been checked, for a domain whose
 * vendor does it at all and that is not blocked. Locked; abi/legacy.h tells the rest.
 */
int legacy_bind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev,
		       const struct legacy_bind *bind) __must_check;
int legacy_set_pasid_table(struct legacy_domain *domain,
			   const struct iommu_pasid_table_config *config) __must_check;
int legacy_cache_invalidate(struct legacy_domain *domain,
			    const struct iommu_cache_invalidate_info *info) __must_check;

/**
 * struct legacy_binding - a PASID that is bound
 * @link: in dev->bindings
 * @hpasid: the PASID
 * @gpasid: what faults call it
 * @data: what was asked for
 * @hwpt: the guest's page table; one for all devices
 * @label: struct legacy_bind's
 * @gave_up: a response said "failure": requests of the PASID are "invalid" from then on
 */
struct legacy_binding {
	LIST_ENTRY(legacy_binding) link;
	u32 hpasid;
	u32 gpasid;
	struct iommu_gpasid_bind_data data;
	struct core_hwpt *hwpt;
	u64 label[2];
	bool gave_up;
};

/**
 * struct legacy_request - a group of page requests that waits for its response
 * @link: in dev->requests, oldest first
 * @grpid: its number
 * @has_pasid: the response has to have the PASID
 * @pasid: it, as the handler was told
 * @hpasid: as the device has it
 * @handle: the attachment that it came through, which may have ended: only to be compared
 * @token: of domain->fault
 * @deadline: when it is answered "invalid", by the monotonic clock in ns
 */
struct legacy_request {
	TAILQ_ENTRY(legacy_request) link;
	u32 grpid;
	bool has_pasid;
	u32 pasid;
	u32 hpasid;
	const struct iommu_attach_handle *handle;
	u64 token;
	u64 deadline;
};

/**
 * struct legacy_dev - a device in a domain
 * @domain: the domain
 * @link: in domain->devs, which changes locked and with domain->fault_lock
 * @dev: the device, attached to domain->rid
 * @vdev: SMMUv3: its virtual device; NULL for none
 * @watch: takes accesses that were refused
 * @bindings: struct legacy_binding; changed locked and with @lock
 * @lock: covers what follows; a leaf
 * @handler: NULL for none
 * @arg: its first argument
 * @gave_up: struct legacy_binding's, for requests of no PASID that is bound; forgotten with
 *	the handler, or the table
 * @requests: struct legacy_request
 */
struct legacy_dev {
	struct legacy_domain *domain;
	LIST_ENTRY(legacy_dev) link;
	struct core_device *dev;
	struct core_vdevice *vdev;
	struct iommu_fault_watch watch;
	LIST_HEAD(, legacy_binding) bindings;
	pthread_mutex_t lock;
	legacy_fault_fn handler;
	void *arg;
	bool gave_up;
	TAILQ_HEAD(, legacy_request) requests;
};

/**
 * struct legacy_domain - a domain
 * @user: told when a PASID is freed
 * @ctx: its context
 * @ioas: what is mapped; the caller's
 * @pasids: whose PASIDs may be bound
 * @revision: which rules hold
 * @task: a caller of our own: structures for models are in our memory
 * @vendor: the kind of IOMMU; NULL without devices
 * @hw_info: what GET_HW_INFO says of it, for the vendor
 * @hw_info_len: its bytes
 * @parent: the nest parent; NULL without devices
 * @rid: what the devices themselves are attached to: @parent, or SMMUv3's nested one
 * @viommu: SMMUv3 with a table: the slice of it
 * @fault: where page requests come; NULL if no device makes any
 * @blocked: an invalidation was not carried out
 * @devs: struct legacy_dev
 * @fault_lock: covers @devs for whoever reports a fault, and @ending; outside dev->lock
 * @clock: answers requests whose time is over; runs while @fault is there, unless
 *	@timeout_ms is 0
 * @tick: wakes it
 * @ending: it is to end
 * @timeout_ms: how long a request may wait; 0 for as long as it likes
 */
struct legacy_domain {
	struct core_pasid_user user;
	struct core_ctx *ctx;
	struct core_ioas *ioas;
	struct core_pasid_set *pasids;
	enum siommu_2020 revision;
	struct siommu_task task;
	const struct legacy_vendor *vendor;
	void *hw_info;
	u32 hw_info_len;
	struct core_hwpt_paging *parent;
	struct core_hwpt *rid;
	struct core_viommu *viommu;
	struct core_fault *fault;
	bool blocked;
	LIST_HEAD(, legacy_dev) devs;
	pthread_mutex_t fault_lock;
	pthread_t clock;
	pthread_cond_t tick;
	bool ending;
	unsigned int timeout_ms;
};

/**
 * struct legacy_vendor - a driver
 * @hw_info: IOMMU_HW_INFO_TYPE_* of its IOMMUs
 * @series: whose ioctls its containers have
 * @parent_flags: IOMMU_HWPT_ALLOC_* of a nest parent
 * @viommu_type: IOMMU_VIOMMU_TYPE_* that nesting takes; 0 for none
 * @asks_pages: @dev's page requests can be handled
 * @fill_info: the vendor's part of nesting information, @format, and @features but for
 *	SYSWIDE_PASID and PAGE_REQUEST
 * @check_bind: 0; -EINVAL for what the driver refuses, in the order of its checks, before
 *	it looks at what is bound
 * @bind: the nested HWPT for a guest's page table, published; NULL if it has none such
 * @set_table: attach the devices to what @config says, from domain->rid; on failure
 *	nothing has changed. NULL if it has none such
 * @invalidate: carry out what the generic layer found well formed. -EINVAL if the driver
 *	refuses it, with nothing done; anything else means that it was not carried out
 */
struct legacy_vendor {
	u32 hw_info;
	enum legacy_series series;
	u32 parent_flags;
	u32 viommu_type;
	bool (*asks_pages)(const struct legacy_domain *domain, const struct iommu_device *dev);
	void (*fill_info)(const struct legacy_domain *domain, struct iommu_nesting_info *info);
	int (*check_bind)(const struct legacy_dev *dev, const struct legacy_bind *bind);
	int (*bind)(struct legacy_domain *domain, struct legacy_dev *dev,
		    const struct legacy_bind *bind, struct core_hwpt **out);
	int (*set_table)(struct legacy_domain *domain,
			 const struct iommu_pasid_table_config *config);
	int (*invalidate)(struct legacy_domain *domain,
			  const struct iommu_cache_invalidate_info *info);
};

extern const struct legacy_vendor legacy_vtd;
extern const struct legacy_vendor legacy_smmuv3;

/* The caller of our own: an address is one of ours. */
static inline struct iommu_user_data legacy_data(struct legacy_domain *domain, u32 type,
						 const void *data, size_t len)
{
	return (struct iommu_user_data){
		.task = &domain->task,
		.type = type,
		.len = (u32)len,
		.uptr = (uintptr_t)data,
	};
}

/*
 * domain.c, for drivers: attach all devices to @hwpt, without a gap. What they were
 * attached to before ends, unless that is the parent. Return: 0, or -errno and nothing has
 * changed.
 */
int legacy_replace_rid(struct legacy_domain *domain, struct core_hwpt *hwpt) __must_check;

/* The vIOMMU and its devices end: no table is attached to. */
void legacy_drop_table(struct legacy_domain *domain);

/* An object is not used any more by who held it beside its id. */
void legacy_let_go(struct core_ctx *ctx, struct core_object *obj);

/*
 * fault.c: page requests come to @fault of the domain from now on, and the clock runs.
 * Locked. Return: 0; -ENOMEM; -EAGAIN if there cannot be a thread.
 */
int legacy_faults_begin(struct legacy_domain *domain) __must_check;

/* Nothing is attached any more that reports to it. Locked. */
void legacy_faults_end(struct legacy_domain *domain);

/* The device reports what is refused; it does not any more. Locked. */
void legacy_faults_watch(struct legacy_dev *dev);
void legacy_faults_unwatch(struct legacy_dev *dev);

/* Whose domain the device is in; NULL for none. Locked. */
const struct legacy_domain *legacy_faults_watcher(struct iommu_device *hw);

/*
 * What @hpasid was attached to is gone for this device; IOMMU_NO_PASID: all of it is. What
 * still waits is answered "invalid". Locked, but not with dev->lock.
 */
void legacy_faults_forget(struct legacy_dev *dev, u32 hpasid);

/*
 * What the device itself was attached to has been replaced: the same for what came through
 * that, but not for what has come through its successor already. Locked as above.
 */
void legacy_faults_replaced(struct legacy_dev *dev);

#endif
