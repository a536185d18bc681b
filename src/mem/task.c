// SPDX-License-Identifier: MIT
/* Copies that are more than one run of bytes; the doors provide the runs. */
#include <string.h>

#include "mem/task.h"

int task_clear(struct siommu_task *task, u64 dst, u64 n)
{
	static const u8 zeroes[256];
	int rc;

	while (n) {
		size_t chunk = min_u64(n, sizeof(zeroes));

		rc = task_copy_out(task, dst, zeroes, chunk);
		if (rc)
			return rc;
		dst += chunk;
		n -= chunk;
	}
	return 0;
}

/*
 * Return: 0 if the caller's [src, src + n) is all zero, else -E2BIG or -EFAULT,
 * whichever comes first: a chunk never reaches into the page after.
 */
static int check_zero(struct siommu_task *task, u64 src, u64 n)
{
	u8 buf[256];
	int rc;

	while (n) {
		size_t chunk = min_u64(n, sizeof(buf) - (src & (sizeof(buf) - 1)));
		size_t i;

		rc = task_copy_in(task, buf, src, chunk);
		if (rc)
			return rc;
		for (i = 0; i < chunk; i++)
			if (buf[i])
				return -E2BIG;
		src += chunk;
		n -= chunk;
	}
	return 0;
}

int task_copy_struct_in(struct siommu_task *task, void *dst, size_t ksize, u64 src, u64 usize)
{
	size_t n = min_u64(ksize, usize);
	int rc;

	/* The tail first, so that a structure that is refused was not read. */
	if (usize > ksize) {
		rc = check_zero(task, src + ksize, usize - ksize);
		if (rc)
			return rc;
	}
	rc = task_copy_in(task, dst, src, n);
	if (rc)
		return rc;
	memset((u8 *)dst + n, 0, ksize - n);
	return 0;
}
