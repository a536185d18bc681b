// SPDX-License-Identifier: MIT
/*
 * Copies of structures that a user hands to a model. They are stricter than the
 * ioctl's own: longer than ours is an error even if the rest is zero, except in
 * whole arrays, where entries follow the ioctl's rule.
 */
#include <string.h>

#include "iommu/iommu.h"

static int check_size(size_t size, size_t min_len, u32 type, u32 have_type, u32 have_len)
{
	if (have_type != type || have_len < min_len || have_len > size)
		return -EINVAL;
	return 0;
}

int iommu_copy_user_data(void *dst, size_t size, size_t min_len, u32 type,
			 const struct iommu_user_data *data)
{
	int rc = check_size(size, min_len, type, data->type, data->len);

	return rc ? rc : task_copy_struct_in(data->task, dst, size, data->uptr, data->len);
}

int iommu_copy_to_user_data(const struct iommu_user_data *data, const void *src, size_t size,
			    size_t min_len, u32 type)
{
	if (data->type != type || data->len < min_len)
		return -EINVAL;
	return task_copy_out(data->task, data->uptr, src, min_u64(size, data->len));
}

int iommu_copy_user_entry(void *dst, size_t size, size_t min_len, u32 type,
			  const struct iommu_user_array *array, u32 index)
{
	int rc = check_size(size, min_len, type, array->type, array->entry_len);

	if (rc)
		return rc;
	return task_copy_struct_in(array->task, dst, size,
				   array->uptr + (u64)index * array->entry_len, array->entry_len);
}

int iommu_copy_user_array(void *dst, size_t size, u32 type, const struct iommu_user_array *array)
{
	u32 i;
	int rc;

	if (array->type != type || !array->num)
		return -EINVAL;
	if (array->entry_len == size)
		return task_copy_in(array->task, dst, array->uptr, (size_t)array->num * size);
	for (i = 0; i < array->num; i++) {
		rc = task_copy_struct_in(array->task, (u8 *)dst + i * size, size,
					 array->uptr + (u64)i * array->entry_len, array->entry_len);
		if (rc)
			return rc;
	}
	return 0;
}
