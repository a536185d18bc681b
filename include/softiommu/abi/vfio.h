/* SPDX-License-Identifier: MIT */
/*
 * The interface of VFIO devices, groups and containers as of Linux 7.3: what the
 * system's own <linux/vfio.h> lacks when it is older, under the kernel's names and
 * with the kernel's layout.
 *
 * Unlike iommufd.h this header adds to the system's, which it includes: most of the
 * interface is old, and is the same everywhere. Each addition stands behind the
 * system's own macro for it, so a newer header wins.
 *
 * Some structures have grown and cannot be added to: struct vfio_device_bind_iommufd
 * by @token_uuid_ptr, and struct vfio_device_attach_iommufd_pt and its counterpart by
 * @pasid. A system header may have an older form of them. So the newest layouts have
 * names of our own as well: struct siommu_vfio_bind, struct siommu_vfio_attach and
 * struct siommu_vfio_detach.
 */
#ifndef SIOMMU_ABI_VFIO_H
#define SIOMMU_ABI_VFIO_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <softiommu/abi/layout.h>

/* Newer kernels have reserved the name, and refuse it. Programs still ask. */
#ifndef VFIO_TYPE1_NESTING_IOMMU
#define VFIO_TYPE1_NESTING_IOMMU 6
#endif

#ifndef VFIO_DEVICE_FLAGS_CDX
#define VFIO_DEVICE_FLAGS_CDX (1 << 8)
#endif

/*
 * Of VFIO_DEVICE_GET_INFO: which widths of atomic operations of the device the root
 * port completes.
 */
#ifndef VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP 5
struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	__u32 flags;
#define VFIO_PCI_ATOMIC_COMP32	(1 << 0)
#define VFIO_PCI_ATOMIC_COMP64	(1 << 1)
#define VFIO_PCI_ATOMIC_COMP128 (1 << 2)
	__u32 reserved;
};
#endif

/*
 * Of VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: @group_id of each device is an id of the
 * caller's context, OWNED or NOT_OWNED; the caller may reset all of them.
 */
#ifndef VFIO_PCI_HOT_RESET_FLAG_DEV_ID
#define VFIO_PCI_DEVID_OWNED		     0
#define VFIO_PCI_DEVID_NOT_OWNED	     -1
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID	     (1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)
#endif

/**
 * struct siommu_vfio_bind - VFIO_DEVICE_BIND_IOMMUFD
 * @argsz: bytes of the structure: 16, or more
 * @flags: VFIO_DEVICE_BIND_FLAG_TOKEN: there is @token_uuid_ptr
 * @iommufd: descriptor of the context
 * @out_devid: the device object there
 * @token_uuid_ptr: where the 16 bytes are that virtual functions and their physical
 *	function have to agree on
 */
struct siommu_vfio_bind {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
	__aligned_u64 token_uuid_ptr;
};

/**
 * struct siommu_vfio_attach - VFIO_DEVICE_ATTACH_IOMMUFD_PT
 * @argsz: bytes of the structure: 12, or 16 with @pasid
 * @flags: VFIO_DEVICE_ATTACH_PASID: for @pasid only
 * @pt_id: in: an IOAS or HWPT; out: the HWPT
 * @pasid: which PASID
 */
struct siommu_vfio_attach {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
	__u32 pasid;
};

/**
 * struct siommu_vfio_detach - VFIO_DEVICE_DETACH_IOMMUFD_PT
 * @argsz: bytes of the structure: 8, or 12 with @pasid
 * @flags: VFIO_DEVICE_DETACH_PASID: of @pasid only
 * @pasid: which PASID
 */
struct siommu_vfio_detach {
	__u32 argsz;
	__u32 flags;
	__u32 pasid;
};

#ifndef VFIO_DEVICE_BIND_IOMMUFD
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
	__aligned_u64 token_uuid_ptr;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#endif
#ifndef VFIO_DEVICE_BIND_FLAG_TOKEN
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0)
#endif

#ifndef VFIO_DEVICE_ATTACH_IOMMUFD_PT
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
	__u32 pasid;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#endif
#ifndef VFIO_DEVICE_ATTACH_PASID
#define VFIO_DEVICE_ATTACH_PASID (1 << 0)
#endif

#ifndef VFIO_DEVICE_DETACH_IOMMUFD_PT
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pasid;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
#endif
#ifndef VFIO_DEVICE_DETACH_PASID
#define VFIO_DEVICE_DETACH_PASID (1 << 0)
#endif

/*
 * Migration with a phase in which the device still runs; the ioctl is on the
 * descriptor of the data.
 */
#ifndef VFIO_MIG_GET_PRECOPY_INFO
#define VFIO_MIGRATION_PRE_COPY	       (1 << 2)
#define VFIO_DEVICE_STATE_PRE_COPY     6
#define VFIO_DEVICE_STATE_PRE_COPY_P2P 7
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)
#endif
#ifndef VFIO_PRECOPY_INFO_REINIT
#define VFIO_PRECOPY_INFO_REINIT (1 << 0)
#endif

/* GET: how many bytes the device's state would have. */
#ifndef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
#endif

/* SET: bus mastering of devices that have no register for it. */
#ifndef VFIO_DEVICE_FEATURE_BUS_MASTER
struct vfio_device_feature_bus_master {
	__u32 op;
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER 0
#define VFIO_DEVICE_FEATURE_SET_MASTER	 1
};
#define VFIO_DEVICE_FEATURE_BUS_MASTER 10
#endif

/* GET: a dma-buf of pieces of a region; its descriptor is the return value. */
#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
#ifndef __cplusplus
	struct vfio_region_dma_range dma_ranges[];
#endif
};
#define VFIO_DEVICE_FEATURE_DMA_BUF 11
#endif

/* SET: the flags of struct vfio_precopy_info mean something. */
#ifndef VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12
#endif

#ifndef VFIO_DEVICE_FEATURE_ZPCI_ERROR
struct vfio_device_feature_zpci_err {
	__aligned_u64 data;
};
#define VFIO_DEVICE_FEATURE_ZPCI_ERROR 13
#endif

SIOMMU_ABI_SIZE(siommu_vfio_bind, 24);
SIOMMU_ABI_AT(siommu_vfio_bind, iommufd, 8);
SIOMMU_ABI_AT(siommu_vfio_bind, out_devid, 12);
SIOMMU_ABI_AT(siommu_vfio_bind, token_uuid_ptr, 16);
SIOMMU_ABI_SIZE(siommu_vfio_attach, 16);
SIOMMU_ABI_AT(siommu_vfio_attach, pt_id, 8);
SIOMMU_ABI_AT(siommu_vfio_attach, pasid, 12);
SIOMMU_ABI_SIZE(siommu_vfio_detach, 12);
SIOMMU_ABI_AT(siommu_vfio_detach, pasid, 8);
SIOMMU_ABI_AT(vfio_device_bind_iommufd, iommufd, 8);
SIOMMU_ABI_AT(vfio_device_bind_iommufd, out_devid, 12);
SIOMMU_ABI_AT(vfio_device_attach_iommufd_pt, pt_id, 8);
SIOMMU_ABI_SIZE(vfio_device_info_cap_pci_atomic_comp, 16);
SIOMMU_ABI_AT(vfio_device_info_cap_pci_atomic_comp, flags, 8);
SIOMMU_ABI_SIZE(vfio_precopy_info, 24);
SIOMMU_ABI_AT(vfio_precopy_info, initial_bytes, 8);
SIOMMU_ABI_AT(vfio_precopy_info, dirty_bytes, 16);
SIOMMU_ABI_SIZE(vfio_device_feature_mig_data_size, 8);
SIOMMU_ABI_SIZE(vfio_device_feature_bus_master, 4);
SIOMMU_ABI_SIZE(vfio_region_dma_range, 16);
SIOMMU_ABI_SIZE(vfio_device_feature_dma_buf, 16);
SIOMMU_ABI_AT(vfio_device_feature_dma_buf, nr_ranges, 12);
SIOMMU_ABI_SIZE(vfio_device_feature_zpci_err, 8);

#endif
