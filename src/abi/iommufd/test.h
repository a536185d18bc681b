/* SPDX-License-Identifier: MIT */
/* The halves of the test interface. All take ctx->lock themselves. */
#ifndef ABI_TEST_H
#define ABI_TEST_H

#include <softiommu/abi/iommufd-test.h>

#include "call.h"

int test_create_access(struct abi_call *call, struct iommu_test_cmd *cmd);
int test_destroy_access_pages(struct abi_call *call, struct iommu_test_cmd *cmd);
int test_access_pages(struct abi_call *call, struct iommu_test_cmd *cmd);
int test_access_rw(struct abi_call *call, struct iommu_test_cmd *cmd);
int test_access_replace_ioas(struct abi_call *call, struct iommu_test_cmd *cmd);
int test_dmabuf_get(struct abi_call *call, struct iommu_test_cmd *cmd);
int test_dmabuf_revoke(struct abi_call *call, struct iommu_test_cmd *cmd);

#endif
