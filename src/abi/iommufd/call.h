/* SPDX-License-Identifier: MIT */
/*
 * One iommufd ioctl on its way to the core.
 *
 * Handlers do what the ABI asks before and after a core call: reserved fields,
 * flags, looking up ids, writing back. They run with the context's lock held,
 * but for those the table marks as taking it themselves.
 */
#ifndef ABI_CALL_H
#define ABI_CALL_H

#include <softiommu/abi/iommufd.h>

#include "core/ctx.h"
#include "mem/task.h"

/**
 * struct abi_call - the call
 * @ctx: the context
 * @task: the caller
 * @uptr: its structure
 * @usize: bytes of it, as it said
 * @cmd: our copy, complete with zeroes
 */
struct abi_call {
	struct core_ctx *ctx;
	struct siommu_task *task;
	u64 uptr;
	u32 usize;
	void *cmd;
};

/* Write the structure back, as much of it as the caller has room for. */
static inline int __must_check abi_respond(struct abi_call *call, size_t size)
{
	return task_copy_out(call->task, call->uptr, call->cmd, min_u64(size, call->usize));
}

int abi_destroy(struct abi_call *call);
int abi_option(struct abi_call *call);
int abi_ioas_alloc(struct abi_call *call);
int abi_ioas_allow_iovas(struct abi_call *call);
int abi_ioas_copy(struct abi_call *call);
int abi_ioas_iova_ranges(struct abi_call *call);
int abi_ioas_map(struct abi_call *call);
int abi_ioas_map_file(struct abi_call *call);
int abi_ioas_unmap(struct abi_call *call);
int abi_ioas_change_process(struct abi_call *call);
int abi_ioas_noiommu_get_pa(struct abi_call *call);
int abi_vfio_ioas(struct abi_call *call);
int abi_get_hw_info(struct abi_call *call);
int abi_hwpt_alloc(struct abi_call *call);
int abi_hwpt_set_dirty_tracking(struct abi_call *call);
int abi_hwpt_get_dirty_bitmap(struct abi_call *call);
int abi_hwpt_invalidate(struct abi_call *call);
int abi_fault_alloc(struct abi_call *call);
int abi_viommu_alloc(struct abi_call *call);
int abi_vdevice_alloc(struct abi_call *call);
int abi_veventq_alloc(struct abi_call *call);
int abi_hw_queue_alloc(struct abi_call *call);

/* VFIO type1 on an iommufd descriptor; without the lock. -ENOTTY if unknown. */
long abi_vfio_ioctl(struct core_ctx *ctx, struct siommu_task *task, unsigned int request, u64 arg);

/* IOMMU_TEST_CMD: takes the lock itself. */
int abi_test(struct abi_call *call);

/*
 * For the test interface: what an IOVA means that names the n-th area and an
 * offset in it. 0 if there is none.
 */
u64 abi_test_convert_iova(struct core_ctx *ctx, u32 ioas_id, u64 iova);

#endif
