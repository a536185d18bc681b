// SPDX-License-Identifier: MIT
/*
 * What the record says of the API of 2020 (docs/requirements.md, docs/uapi-status.md) and no
 * other test is about.
 */
#include <stddef.h>

#include "uapi2020_faults.h"

#include "core/device.h"

/* Whatever carries a structure has its own size and flags before it. */
TEST(req_002_18_carriers_have_argsz_flags_and_then_the_structure)
{
	EXPECT_EQ(0, offsetof(struct vfio_iommu_type1_nesting_op, argsz));
	EXPECT_EQ(4, offsetof(struct vfio_iommu_type1_nesting_op, flags));
	EXPECT_EQ(8, offsetof(struct vfio_iommu_type1_nesting_op, data));
	EXPECT_EQ(8, sizeof(struct vfio_iommu_type1_nesting_op));
	EXPECT_TRUE(VFIO_IOMMU_NESTING_OP_NUM <= VFIO_NESTING_OP_MASK);
	EXPECT_EQ(0, offsetof(struct vfio_iommu_type1_set_pasid_table, argsz));
	EXPECT_EQ(4, offsetof(struct vfio_iommu_type1_set_pasid_table, flags));
	EXPECT_EQ(8, offsetof(struct vfio_iommu_type1_set_pasid_table, config));
	EXPECT_EQ(0, offsetof(struct vfio_iommu_type1_cache_invalidate, argsz));
	EXPECT_EQ(4, offsetof(struct vfio_iommu_type1_cache_invalidate, flags));
	EXPECT_EQ(8, offsetof(struct vfio_iommu_type1_cache_invalidate, info));
}

/* What an access wanted is told as it was. */
TEST(instructions_of_privileged_software_are_told_as_such)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	uint64_t value;
	uint32_t pasid;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	EXPECT_RC(-EFAULT, siommu_dma_read(port, GUEST_DATA, &value, sizeof(value),
					   SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV));
	fault = wait_seen(0, 1);
	EXPECT_EQ(IOMMU_FAULT_DMA_UNRECOV, fault.type);
	EXPECT_EQ(IOMMU_FAULT_PERM_READ | IOMMU_FAULT_PERM_EXEC | IOMMU_FAULT_PERM_PRIV,
		  fault.event.perm);
	siommu_port_destroy(port);
	faults_end();
}

/* A table that cannot be read is named, as the event of the hardware names it (7.3.10). */
TEST(the_table_that_could_not_be_read_is_told)
{
	static const struct siommu_device_params able = { .pasid_bits = 8 };
	const struct siommu_fault fetch = {
		.reason = 0x09, /* F_CD_FETCH */
		.flags = SIOMMU_FAULT_PASID,
		.pasid = 7,
		.access = SIOMMU_DMA_WRITE,
		.iova = 0x123000,
		.record = { 0, 0, 0, 0xccc000 },
	};
	struct iommu_fault_watch *watch;
	struct iommu_fault_unrecoverable *event;
	struct iommu_fault fault;

	faults_begin_on("smmuv3", "", &able, 1, 60000);
	watch = f.dev[0]->dev->watch;
	ASSERT_TRUE(watch);
	watch->fault(watch, &fetch);
	fault = wait_seen(0, 1);
	event = &fault.event;
	EXPECT_EQ(IOMMU_FAULT_DMA_UNRECOV, fault.type);
	EXPECT_EQ(IOMMU_FAULT_REASON_PASID_FETCH, event->reason);
	EXPECT_EQ(IOMMU_FAULT_UNRECOV_PASID_VALID | IOMMU_FAULT_UNRECOV_ADDR_VALID |
			  IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID,
		  event->flags);
	EXPECT_EQ(7, event->pasid);
	EXPECT_EQ(IOMMU_FAULT_PERM_WRITE, event->perm);
	EXPECT_EQ(0x123000, event->addr);
	EXPECT_EQ(0xccc000, event->fetch_addr);
	faults_end();
}
