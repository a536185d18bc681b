// SPDX-License-Identifier: MIT
/*
 * From an ioctl number to its handler, by the rules that all iommufd commands
 * share: the size comes first and is read before anything else; the whole
 * number must match; what the caller's structure has beyond ours must be zero,
 * and what it lacks reads as zero.
 */
#include <linux/ioctl.h>

#include <softiommu/abi/iommufd-test.h>

#include "abi/ioctl.h"
#include "call.h"

#define CMD_MAX_BYTES 128

struct command {
	u16 size;
	u16 min_size;
	u32 request;
	bool locks_itself;
	int (*execute)(struct abi_call *call);
};

#define COMMAND(number, fn, type, last_member)                                                     \
	[_IOC_NR(number) - IOMMUFD_CMD_BASE] = {                                                   \
		.size = sizeof(type),                                                              \
		.min_size = offsetofend(type, last_member),                                        \
		.request = number,                                                                 \
		.execute = fn,                                                                     \
	}

/* As COMMAND(); the handler takes the context's lock where it needs it. */
#define COMMAND_UNLOCKED(number, fn, type, last_member)                                            \
	[_IOC_NR(number) - IOMMUFD_CMD_BASE] = {                                                   \
		.size = sizeof(type),                                                              \
		.min_size = offsetofend(type, last_member),                                        \
		.request = number,                                                                 \
		.locks_itself = true,                                                              \
		.execute = fn,                                                                     \
	}

static const struct command commands[] = {
	COMMAND(IOMMU_DESTROY, abi_destroy, struct iommu_destroy, id),
	COMMAND(IOMMU_FAULT_QUEUE_ALLOC, abi_fault_alloc, struct iommu_fault_alloc, out_fault_fd),
	COMMAND(IOMMU_GET_HW_INFO, abi_get_hw_info, struct iommu_hw_info, __reserved),
	COMMAND(IOMMU_HW_QUEUE_ALLOC, abi_hw_queue_alloc, struct iommu_hw_queue_alloc, length),
	COMMAND(IOMMU_HWPT_ALLOC, abi_hwpt_alloc, struct iommu_hwpt_alloc, __reserved),
	COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, abi_hwpt_get_dirty_bitmap,
		struct iommu_hwpt_get_dirty_bitmap, data),
	COMMAND(IOMMU_HWPT_INVALIDATE, abi_hwpt_invalidate, struct iommu_hwpt_invalidate,
		__reserved),
	COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, abi_hwpt_set_dirty_tracking,
		struct iommu_hwpt_set_dirty_tracking, __reserved),
	COMMAND(IOMMU_IOAS_ALLOC, abi_ioas_alloc, struct iommu_ioas_alloc, out_ioas_id),
	COMMAND(IOMMU_IOAS_ALLOW_IOVAS, abi_ioas_allow_iovas, struct iommu_ioas_allow_iovas,
		allowed_iovas),
	COMMAND(IOMMU_IOAS_CHANGE_PROCESS, abi_ioas_change_process,
		struct iommu_ioas_change_process, __reserved),
	COMMAND(IOMMU_IOAS_COPY, abi_ioas_copy, struct iommu_ioas_copy, src_iova),
	COMMAND(IOMMU_IOAS_IOVA_RANGES, abi_ioas_iova_ranges, struct iommu_ioas_iova_ranges,
		out_iova_alignment),
	COMMAND(IOMMU_IOAS_MAP, abi_ioas_map, struct iommu_ioas_map, iova),
	COMMAND_UNLOCKED(IOMMU_IOAS_MAP_FILE, abi_ioas_map_file, struct iommu_ioas_map_file, iova),
	COMMAND(IOMMU_IOAS_NOIOMMU_GET_PA, abi_ioas_noiommu_get_pa,
		struct iommu_ioas_noiommu_get_pa, out_phys),
	COMMAND(IOMMU_IOAS_UNMAP, abi_ioas_unmap, struct iommu_ioas_unmap, length),
	COMMAND(IOMMU_OPTION, abi_option, struct iommu_option, val64),
	COMMAND(IOMMU_VDEVICE_ALLOC, abi_vdevice_alloc, struct iommu_vdevice_alloc, virt_id),
	COMMAND(IOMMU_VEVENTQ_ALLOC, abi_veventq_alloc, struct iommu_veventq_alloc,
		out_veventq_fd),
	COMMAND(IOMMU_VFIO_IOAS, abi_vfio_ioas, struct iommu_vfio_ioas, __reserved),
	COMMAND(IOMMU_VIOMMU_ALLOC, abi_viommu_alloc, struct iommu_viommu_alloc, out_viommu_id),
	COMMAND_UNLOCKED(IOMMU_TEST_CMD, abi_test, struct iommu_test_cmd, last),
};

_Static_assert(sizeof(struct iommu_test_cmd) <= CMD_MAX_BYTES, "room for every command");
_Static_assert(sizeof(struct iommu_hwpt_alloc) <= CMD_MAX_BYTES, "room for every command");

/* A kernel without the test interface does not read what is sent to its numbers. */
static unsigned int ncommands(const struct core_ctx *ctx)
{
	return ctx->machine->test_interface
		       ? ARRAY_SIZE(commands)
		       : IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA - IOMMUFD_CMD_BASE + 1;
}

static int execute(const struct command *command, struct abi_call *call)
{
	int rc;

	if (command->locks_itself)
		return command->execute(call);
	pthread_mutex_lock(&call->ctx->lock);
	rc = command->execute(call);
	pthread_mutex_unlock(&call->ctx->lock);
	return rc;
}

long abi_ioctl(struct core_ctx *ctx, struct siommu_task *task, unsigned int request, u64 arg)
{
	unsigned int index = _IOC_NR(request) - IOMMUFD_CMD_BASE;
	u8 buf[CMD_MAX_BYTES] __attribute__((aligned(8)));
	struct abi_call call = { .ctx = ctx, .task = task, .uptr = arg, .cmd = buf };
	const struct command *command;
	int rc;

	if (_IOC_NR(request) < IOMMUFD_CMD_BASE || index >= ncommands(ctx))
		return abi_vfio_ioctl(ctx, task, request, arg);
	rc = task_copy_in(task, &call.usize, arg, sizeof(call.usize));
	if (rc)
		return rc;
	command = &commands[index];
	if (!command->execute || command->request != request)
		return -ENOTTY;
	if (call.usize < command->min_size)
		return -EINVAL;
	rc = task_copy_struct_in(task, buf, command->size, arg, call.usize);
	if (rc)
		return rc;
	return execute(command, &call);
}
