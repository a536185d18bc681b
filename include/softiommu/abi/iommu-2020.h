/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU user API of 2020: what a virtual IOMMU and a host's told each other before
 * there was iommufd, and how VFIO carried it. Names and layouts are those of Linux 5.10
 * to 5.17 and of the VFIO series around it (Intel's of 2020, Arm's of 2019 to 2021), of
 * which only parts were ever merged.
 *
 * Beside <linux/iommu.h>
 * ----------------------
 * Later kernels kept the fault records and nothing else under that name. Of the two
 * headers the one that is included first is in force, whole; SIOMMU_ABI_2020 is 1 if it
 * is this one, else 0. A program that needs more than fault records includes this first.
 *
 * How structures grow
 * -------------------
 * The first member of what a caller passes is @argsz, the bytes that the caller's idea of
 * the structure has. A server never trusts it: it reads no more than it knows, counts
 * what is missing as zero, and asks for what the operation needs. A structure changes in
 * two ways only: a piece of @padding gets a meaning, or a union at the end gets a new
 * member. Either is announced by a new flag, and what no flag announces is ignored.
 * @version changes if all of this is replaced.
 *
 * Which errno means what
 * ----------------------
 * EFAULT      The structure cannot be read.
 * EINVAL      @argsz ends before what the operation needs; a version, flag, type or
 *             granularity that is not known; padding that is not zero; a PASID that the
 *             caller does not own; a response to nothing.
 * E2BIG       In the first drafts: @argsz is larger than the server's structure.
 * ENODEV      The IOMMU cannot do this at all.
 * EOPNOTSUPP  The container's IOMMU lacks the feature.
 * EBUSY       The PASID is bound already; the device has a fault handler already.
 * ENOSPC      No PASID is left in the range, or the owner's quota is used up.
 * EIO         An invalidation was not carried out. The devices are blocked.
 */
#ifndef SIOMMU_ABI_IOMMU_2020_H
#define SIOMMU_ABI_IOMMU_2020_H

#include <softiommu/abi/vfio.h>

#if defined(_IOMMU_H) || defined(_UAPI_IOMMU_H)

#define SIOMMU_ABI_2020 0

#else

#define SIOMMU_ABI_2020 1

/* The guards of <linux/iommu.h>: as installed, and as in the kernel's tree. */
#define _IOMMU_H
#define _UAPI_IOMMU_H

/*
 * Faults: from the host's IOMMU to the guest's
 */

/* What an access wanted. */
#define IOMMU_FAULT_PERM_READ  (1 << 0)
#define IOMMU_FAULT_PERM_WRITE (1 << 1)
#define IOMMU_FAULT_PERM_EXEC  (1 << 2)
#define IOMMU_FAULT_PERM_PRIV  (1 << 3)

/**
 * enum iommu_fault_type - kinds of records
 * @IOMMU_FAULT_DMA_UNRECOV: an access was refused
 * @IOMMU_FAULT_PAGE_REQ: a device asks for a page, and waits
 */
enum iommu_fault_type {
	IOMMU_FAULT_DMA_UNRECOV = 1,
	IOMMU_FAULT_PAGE_REQ = 2,
};

/**
 * enum iommu_fault_reason - why an access was refused
 * @IOMMU_FAULT_REASON_UNKNOWN: for none of the reasons below
 * @IOMMU_FAULT_REASON_PASID_FETCH: the table of PASIDs could not be read
 * @IOMMU_FAULT_REASON_BAD_PASID_ENTRY: its entry is not valid, or contradicts itself
 * @IOMMU_FAULT_REASON_PASID_INVALID: a PASID that is too large, or PASIDs are off
 * @IOMMU_FAULT_REASON_WALK_EABT: a page table could not be read or written
 * @IOMMU_FAULT_REASON_PTE_FETCH: nothing is mapped there
 * @IOMMU_FAULT_REASON_PERMISSION: what is mapped there does not allow it
 * @IOMMU_FAULT_REASON_ACCESS: the access flag is clear
 * @IOMMU_FAULT_REASON_OOR_ADDRESS: the translated address has too many bits
 */
enum iommu_fault_reason {
	IOMMU_FAULT_REASON_UNKNOWN = 0,
	IOMMU_FAULT_REASON_PASID_FETCH = 1,
	IOMMU_FAULT_REASON_BAD_PASID_ENTRY = 2,
	IOMMU_FAULT_REASON_PASID_INVALID = 3,
	IOMMU_FAULT_REASON_WALK_EABT = 4,
	IOMMU_FAULT_REASON_PTE_FETCH = 5,
	IOMMU_FAULT_REASON_PERMISSION = 6,
	IOMMU_FAULT_REASON_ACCESS = 7,
	IOMMU_FAULT_REASON_OOR_ADDRESS = 8,
};

/**
 * struct iommu_fault_unrecoverable - an access that was refused
 * @reason: enum iommu_fault_reason
 * @flags: which of the members below mean something
 * @pasid: with PASID_VALID
 * @perm: IOMMU_FAULT_PERM_*, what it wanted
 * @addr: with ADDR_VALID: where
 * @fetch_addr: with FETCH_ADDR_VALID: the table that could not be read
 */
struct iommu_fault_unrecoverable {
	__u32 reason;
#define IOMMU_FAULT_UNRECOV_PASID_VALID	     (1 << 0)
#define IOMMU_FAULT_UNRECOV_ADDR_VALID	     (1 << 1)
#define IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID (1 << 2)
	__u32 flags;
	__u32 pasid;
	__u32 perm;
	__u64 addr;
	__u64 fetch_addr;
};

/**
 * struct iommu_fault_page_request - a page that a device asks for
 * @flags: PASID_VALID; LAST_PAGE: nothing more comes of the group, which can be answered;
 *	PRIV_DATA: there is @private_data; RESPONSE_NEEDS_PASID: the response has to have
 *	the PASID, and without this flag none
 * @pasid: with PASID_VALID
 * @grpid: number of the group (PCIe's page request group index)
 * @perm: IOMMU_FAULT_PERM_*, what the device wants to do
 * @addr: the page
 * @private_data: the device's own
 */
struct iommu_fault_page_request {
#define IOMMU_FAULT_PAGE_REQUEST_PASID_VALID	(1 << 0)
#define IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE	(1 << 1)
#define IOMMU_FAULT_PAGE_REQUEST_PRIV_DATA	(1 << 2)
#define IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID	(1 << 3)
	__u32 flags;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u64 addr;
	__u64 private_data[2];
};

/**
 * struct iommu_fault - a record
 * @type: enum iommu_fault_type
 * @padding: 0
 * @event: of IOMMU_FAULT_DMA_UNRECOV
 * @prm: of IOMMU_FAULT_PAGE_REQ
 * @padding2: makes all records equally long
 */
struct iommu_fault {
	__u32 type;
	__u32 padding;
	union {
		struct iommu_fault_unrecoverable event;
		struct iommu_fault_page_request prm;
		__u8 padding2[56];
	};
};

/**
 * enum iommu_page_response_code - what becomes of a group of page requests
 * @IOMMU_PAGE_RESP_SUCCESS: the pages are there: try again
 * @IOMMU_PAGE_RESP_INVALID: they will not be: give up this access
 * @IOMMU_PAGE_RESP_FAILURE: give up, and ask no more
 */
enum iommu_page_response_code {
	IOMMU_PAGE_RESP_SUCCESS = 0,
	IOMMU_PAGE_RESP_INVALID = 1,
	IOMMU_PAGE_RESP_FAILURE = 2,
};

/**
 * struct iommu_page_response - the answer to a group
 * @argsz: bytes of this structure
 * @version: IOMMU_PAGE_RESP_VERSION_1
 * @flags: PASID_VALID
 * @pasid: with PASID_VALID: as in the requests
 * @grpid: as in the requests
 * @code: enum iommu_page_response_code
 */
struct iommu_page_response {
	__u32 argsz;
#define IOMMU_PAGE_RESP_VERSION_1 1
	__u32 version;
#define IOMMU_PAGE_RESP_PASID_VALID (1 << 0)
	__u32 flags;
	__u32 pasid;
	__u32 grpid;
	__u32 code;
};

/*
 * Invalidation: what the guest's IOMMU is told to forget, and the host's has to
 */

/**
 * enum iommu_inv_granularity - how much is to be forgotten
 * @IOMMU_INV_GRANU_DOMAIN: all that the guest's tables have translated
 * @IOMMU_INV_GRANU_PASID: all of one PASID: @pasid_info
 * @IOMMU_INV_GRANU_ADDR: a range: @addr_info
 * @IOMMU_INV_GRANU_NR: how many there are
 *
 * What there is for which cache:
 *
 *           IOTLB  device TLB  PASID cache
 *   DOMAIN  yes    -           yes
 *   PASID   yes    yes         yes
 *   ADDR    yes    yes         -
 */
enum iommu_inv_granularity {
	IOMMU_INV_GRANU_DOMAIN = 0,
	IOMMU_INV_GRANU_PASID = 1,
	IOMMU_INV_GRANU_ADDR = 2,
	IOMMU_INV_GRANU_NR = 3,
};

/**
 * struct iommu_inv_addr_info - a range of addresses
 * @flags: which tags are given; none of them: whatever its tag. LEAF: entries of upper
 *	levels can stay
 * @archid: with ARCHID: an address space by the architecture's number, such as Arm's ASID
 * @pasid: with PASID
 * @addr: where it begins
 * @granule_size: bytes of a block
 * @nb_granules: how many blocks
 */
struct iommu_inv_addr_info {
#define IOMMU_INV_ADDR_FLAGS_PASID  (1 << 0)
#define IOMMU_INV_ADDR_FLAGS_ARCHID (1 << 1)
#define IOMMU_INV_ADDR_FLAGS_LEAF   (1 << 2)
	__u32 flags;
	__u32 archid;
	__u64 pasid;
	__u64 addr;
	__u64 granule_size;
	__u64 nb_granules;
};

/**
 * struct iommu_inv_pasid_info - an address space
 * @flags: which tags are given
 * @archid: with ARCHID
 * @pasid: with PASID
 */
struct iommu_inv_pasid_info {
#define IOMMU_INV_PASID_FLAGS_PASID  (1 << 0)
#define IOMMU_INV_PASID_FLAGS_ARCHID (1 << 1)
	__u32 flags;
	__u32 archid;
	__u64 pasid;
};

/**
 * struct iommu_cache_invalidate_info - forget
 * @argsz: bytes of this structure
 * @version: IOMMU_CACHE_INVALIDATE_INFO_VERSION_1
 * @cache: IOMMU_CACHE_INV_TYPE_*, one or more
 * @granularity: enum iommu_inv_granularity
 * @padding: 0
 * @granu: with PASID and ADDR granularity: what
 */
struct iommu_cache_invalidate_info {
	__u32 argsz;
#define IOMMU_CACHE_INVALIDATE_INFO_VERSION_1 1
	__u32 version;
#define IOMMU_CACHE_INV_TYPE_IOTLB     (1 << 0)
#define IOMMU_CACHE_INV_TYPE_DEV_IOTLB (1 << 1)
#define IOMMU_CACHE_INV_TYPE_PASID     (1 << 2)
#define IOMMU_CACHE_INV_TYPE_NR	       3
	__u8 cache;
	__u8 granularity;
	__u8 padding[6];
	union {
		struct iommu_inv_pasid_info pasid_info;
		struct iommu_inv_addr_info addr_info;
	} granu;
};

/*
 * VT-d: a guest's page table for a PASID
 */

/**
 * struct iommu_gpasid_bind_data_vtd - VT-d's part
 * @flags: SRE: supervisor requests; EAFE: extended accessed flag; PCD, PWT, EMTE, CD:
 *	memory types; WPE: supervisors may not write what is read-only
 * @pat: page attribute table
 * @emt: extended memory type
 */
struct iommu_gpasid_bind_data_vtd {
#define IOMMU_SVA_VTD_GPASID_SRE  (1 << 0)
#define IOMMU_SVA_VTD_GPASID_EAFE (1 << 1)
#define IOMMU_SVA_VTD_GPASID_PCD  (1 << 2)
#define IOMMU_SVA_VTD_GPASID_PWT  (1 << 3)
#define IOMMU_SVA_VTD_GPASID_EMTE (1 << 4)
#define IOMMU_SVA_VTD_GPASID_CD	  (1 << 5)
#define IOMMU_SVA_VTD_GPASID_WPE  (1 << 6)
#define IOMMU_SVA_VTD_GPASID_LAST (1 << 7)
	__u64 flags;
	__u32 pat;
	__u32 emt;
};

#define IOMMU_SVA_VTD_GPASID_MTS_MASK                                                              \
	(IOMMU_SVA_VTD_GPASID_CD | IOMMU_SVA_VTD_GPASID_EMTE | IOMMU_SVA_VTD_GPASID_PCD |          \
	 IOMMU_SVA_VTD_GPASID_PWT)

/**
 * struct iommu_gpasid_bind_data - a guest's page table for a PASID
 * @argsz: bytes of this structure
 * @version: IOMMU_GPASID_BIND_VERSION_1
 * @format: IOMMU_PASID_FORMAT_*: whose @vendor part there is
 * @addr_width: bits of the addresses that the table translates
 * @flags: GPASID_VAL: there is @gpasid
 * @gpgd: guest physical address of the top table
 * @hpasid: the PASID that devices use
 * @gpasid: what the guest calls it
 * @padding: 0
 * @vendor: the rest, by @format
 */
struct iommu_gpasid_bind_data {
	__u32 argsz;
#define IOMMU_GPASID_BIND_VERSION_1 1
	__u32 version;
#define IOMMU_PASID_FORMAT_INTEL_VTD 1
#define IOMMU_PASID_FORMAT_LAST	     2
	__u32 format;
	__u32 addr_width;
#define IOMMU_SVA_GPASID_VAL (1 << 0)
	__u64 flags;
	__u64 gpgd;
	__u64 hpasid;
	__u64 gpasid;
	__u8 padding[8];
	union {
		struct iommu_gpasid_bind_data_vtd vtd;
	} vendor;
};

/*
 * SMMUv3: a guest's whole table of PASIDs
 */

/**
 * struct iommu_pasid_smmuv3 - SMMUv3's part
 * @version: PASID_TABLE_SMMUV3_CFG_VERSION_1
 * @s1fmt: format of the table: STE.S1Fmt
 * @s1dss: what becomes of traffic without a PASID: STE.S1DSS
 * @padding: 0
 */
struct iommu_pasid_smmuv3 {
#define PASID_TABLE_SMMUV3_CFG_VERSION_1 1
	__u32 version;
	__u8 s1fmt;
	__u8 s1dss;
	__u8 padding[2];
};

/**
 * struct iommu_pasid_table_config - a guest's table of PASIDs
 * @argsz: bytes of this structure
 * @version: PASID_TABLE_CFG_VERSION_1
 * @base_ptr: guest physical address of the table
 * @format: IOMMU_PASID_FORMAT_SMMUV3
 * @pasid_bits: width of PASIDs
 * @config: IOMMU_PASID_CONFIG_*: translate by the table, pass everything, or nothing
 * @padding: 0
 * @vendor_data: the rest, by @format
 */
struct iommu_pasid_table_config {
	__u32 argsz;
#define PASID_TABLE_CFG_VERSION_1 1
	__u32 version;
	__u64 base_ptr;
#define IOMMU_PASID_FORMAT_SMMUV3 1
	__u32 format;
	__u8 pasid_bits;
#define IOMMU_PASID_CONFIG_TRANSLATE 1
#define IOMMU_PASID_CONFIG_BYPASS    2
#define IOMMU_PASID_CONFIG_ABORT     3
	__u8 config;
	__u8 padding[2];
	union {
		struct iommu_pasid_smmuv3 smmuv3;
	} vendor_data;
};

/*
 * What the host's IOMMU can do, for who builds a guest's
 */

/* Of @features below. The first drafts named two more and never gave them a bit. */
#define IOMMU_NESTING_FEAT_SYSWIDE_PASID (1 << 0)
#define IOMMU_NESTING_FEAT_BIND_PGTBL	 (1 << 1)
#define IOMMU_NESTING_FEAT_CACHE_INVLD	 (1 << 2)

/* Those two: the bits are ours. */
#define IOMMU_NESTING_FEAT_BIND_PASID_TABLE (1 << 16)
#define IOMMU_NESTING_FEAT_PAGE_REQUEST	    (1 << 17)

/**
 * struct iommu_nesting_info_vtd - VT-d's part
 * @flags: 0
 * @padding: 0
 * @cap_reg: of the capability register what matters to a guest
 * @ecap_reg: of the extended capability register the same
 */
struct iommu_nesting_info_vtd {
	__u32 flags;
	__u8 padding[12];
	__u64 cap_reg;
	__u64 ecap_reg;
};

/**
 * struct iommu_nesting_info - what the host's IOMMU can do
 * @argsz: bytes of this structure
 * @flags: 0
 * @format: IOMMU_PASID_FORMAT_*: with BIND_PGTBL of struct iommu_gpasid_bind_data, with
 *	BIND_PASID_TABLE of struct iommu_pasid_table_config
 * @features: IOMMU_NESTING_FEAT_*
 * @addr_width: bits of the addresses that a guest's table may give
 * @pasid_bits: width of PASIDs; 0 for none
 * @padding: 0
 * @vendor: the rest, by @format
 */
struct iommu_nesting_info {
	__u32 argsz;
	__u32 flags;
	__u32 format;
	__u32 features;
	__u16 addr_width;
	__u16 pasid_bits;
	__u8 padding[12];
	union {
		struct iommu_nesting_info_vtd vtd;
	} vendor;
};

#endif

/*
 * VFIO: how containers of type VFIO_TYPE1_NESTING_IOMMU carried it. Two series used the
 * same numbers: which of them an ioctl is of, follows from the container's IOMMU.
 */

#ifndef IOMMU_NESTING_FEAT_SYSWIDE_PASID
/* <linux/iommu.h> came first: there is nothing to carry. */
#else

/* In the chain of VFIO_IOMMU_GET_INFO. Later kernels use the number for what is left of
 * mappings, which containers of this type do not tell. */
#define VFIO_IOMMU_TYPE1_INFO_CAP_NESTING 3
struct vfio_iommu_type1_info_cap_nesting {
	struct vfio_info_cap_header header;
	struct iommu_nesting_info info;
};

/**
 * struct vfio_iommu_type1_pasid_request - VFIO_IOMMU_PASID_REQUEST (Intel's series)
 * @argsz: bytes of this structure
 * @flags: one of ALLOC: returns a PASID of @range; FREE: frees those of the caller's in it
 * @range: both included
 */
struct vfio_iommu_type1_pasid_request {
	__u32 argsz;
#define VFIO_IOMMU_FLAG_ALLOC_PASID (1 << 0)
#define VFIO_IOMMU_FLAG_FREE_PASID  (1 << 1)
#define VFIO_PASID_REQUEST_MASK	    (VFIO_IOMMU_FLAG_ALLOC_PASID | VFIO_IOMMU_FLAG_FREE_PASID)
	__u32 flags;
	struct {
		__u32 min;
		__u32 max;
	} range;
};
#define VFIO_IOMMU_PASID_REQUEST _IO(VFIO_TYPE, VFIO_BASE + 18)

/**
 * struct vfio_iommu_type1_nesting_op - VFIO_IOMMU_NESTING_OP (Intel's series)
 * @argsz: bytes of this structure and @data
 * @flags: the low 16 bits: VFIO_IOMMU_NESTING_OP_*
 * @data: BIND_PGTBL, UNBIND_PGTBL: struct iommu_gpasid_bind_data;
 *	CACHE_INVLD: struct iommu_cache_invalidate_info
 */
struct vfio_iommu_type1_nesting_op {
	__u32 argsz;
#define VFIO_NESTING_OP_MASK 0xffff
	__u32 flags;
#ifndef __cplusplus
	__u8 data[];
#endif
};
#define VFIO_IOMMU_NESTING_OP_BIND_PGTBL   0
#define VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL 1
#define VFIO_IOMMU_NESTING_OP_CACHE_INVLD  2
#define VFIO_IOMMU_NESTING_OP_NUM	   3
#define VFIO_IOMMU_NESTING_OP		   _IO(VFIO_TYPE, VFIO_BASE + 19)

/**
 * struct vfio_iommu_type1_set_pasid_table - VFIO_IOMMU_SET_PASID_TABLE (Arm's series)
 * @argsz: bytes of this structure
 * @flags: one of SET and UNSET
 * @config: with SET
 */
struct vfio_iommu_type1_set_pasid_table {
	__u32 argsz;
#define VFIO_PASID_TABLE_FLAG_SET   (1 << 0)
#define VFIO_PASID_TABLE_FLAG_UNSET (1 << 1)
	__u32 flags;
	struct iommu_pasid_table_config config;
};
#define VFIO_IOMMU_SET_PASID_TABLE _IO(VFIO_TYPE, VFIO_BASE + 18)

/**
 * struct vfio_iommu_type1_cache_invalidate - VFIO_IOMMU_CACHE_INVALIDATE (Arm's series)
 * @argsz: bytes of this structure
 * @flags: 0
 * @info: what
 */
struct vfio_iommu_type1_cache_invalidate {
	__u32 argsz;
	__u32 flags;
	struct iommu_cache_invalidate_info info;
};
#define VFIO_IOMMU_CACHE_INVALIDATE _IO(VFIO_TYPE, VFIO_BASE + 19)

/**
 * struct vfio_iommu_type1_set_msi_binding - VFIO_IOMMU_SET_MSI_BINDING (Arm's series)
 * @argsz: bytes of this structure
 * @flags: one of BIND and UNBIND
 * @iova: where the guest maps its doorbell
 * @gpa: with BIND: the guest physical address of it
 * @size: with BIND: bytes
 */
struct vfio_iommu_type1_set_msi_binding {
	__u32 argsz;
#define VFIO_IOMMU_BIND_MSI   (1 << 0)
#define VFIO_IOMMU_UNBIND_MSI (1 << 1)
	__u32 flags;
	__u64 iova;
	__u64 gpa;
	__u64 size;
};
#define VFIO_IOMMU_SET_MSI_BINDING _IO(VFIO_TYPE, VFIO_BASE + 20)

/*
 * Regions of a device in such a container, found by their type. The first page is a
 * header, which is read and written; the ring is behind it, and can be mapped.
 */
#define VFIO_REGION_TYPE_NESTED			     2
#define VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT	     1
#define VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT_RESPONSE 2

#define VFIO_REGION_INFO_CAP_DMA_FAULT		6
#define VFIO_REGION_INFO_CAP_DMA_FAULT_RESPONSE 7
struct vfio_region_info_cap_fault {
	struct vfio_info_cap_header header;
	__u32 version;
};

/**
 * struct vfio_region_dma_fault - header of the ring of struct iommu_fault
 * @tail: of the program: the next record to read; a write of these 4 bytes sets it
 * @entry_size: bytes of a record
 * @nb_entries: records in the ring
 * @offset: of the ring in the region
 * @head: of the server: the next record to be written
 */
struct vfio_region_dma_fault {
	__u32 tail;
	__u32 entry_size;
	__u32 nb_entries;
	__u32 offset;
	__u32 head;
};

/**
 * struct vfio_region_dma_fault_response - header of the ring of struct iommu_page_response
 * @head: of the program: the next response to be written; a write of these 4 bytes sets
 *	it, and has what was written before taken
 * @entry_size: bytes of a response
 * @nb_entries: responses in the ring
 * @offset: of the ring in the region
 * @tail: of the server: the next response to be taken
 */
struct vfio_region_dma_fault_response {
	__u32 head;
	__u32 entry_size;
	__u32 nb_entries;
	__u32 offset;
	__u32 tail;
};

/* An interrupt that is found by its type: an eventfd for each record. */
#ifndef VFIO_IRQ_INFO_FLAG_CAPS
#define VFIO_IRQ_INFO_FLAG_CAPS (1 << 4)
#endif
#define VFIO_IRQ_INFO_CAP_TYPE	   3
#define VFIO_IRQ_TYPE_NESTED	   1
#define VFIO_IRQ_SUBTYPE_DMA_FAULT 1
struct vfio_irq_info_cap_type {
	struct vfio_info_cap_header header;
	__u32 type;
	__u32 subtype;
};

/**
 * struct siommu_vfio_irq_info - VFIO_DEVICE_GET_IRQ_INFO with room for capabilities
 * @argsz: bytes of this structure; out: bytes that there would be
 * @flags: with CAPS there is @cap_offset
 * @index: which interrupt
 * @count: how many vectors
 * @cap_offset: of the first capability; 0 if they do not fit
 */
struct siommu_vfio_irq_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 count;
	__u32 cap_offset;
};

SIOMMU_ABI_SIZE(iommu_fault_unrecoverable, 32);
SIOMMU_ABI_AT(iommu_fault_unrecoverable, flags, 4);
SIOMMU_ABI_AT(iommu_fault_unrecoverable, pasid, 8);
SIOMMU_ABI_AT(iommu_fault_unrecoverable, perm, 12);
SIOMMU_ABI_AT(iommu_fault_unrecoverable, addr, 16);
SIOMMU_ABI_AT(iommu_fault_unrecoverable, fetch_addr, 24);
SIOMMU_ABI_SIZE(iommu_fault_page_request, 40);
SIOMMU_ABI_AT(iommu_fault_page_request, pasid, 4);
SIOMMU_ABI_AT(iommu_fault_page_request, grpid, 8);
SIOMMU_ABI_AT(iommu_fault_page_request, perm, 12);
SIOMMU_ABI_AT(iommu_fault_page_request, addr, 16);
SIOMMU_ABI_AT(iommu_fault_page_request, private_data, 24);
SIOMMU_ABI_SIZE(iommu_fault, 64);
SIOMMU_ABI_AT(iommu_fault, padding, 4);
SIOMMU_ABI_AT(iommu_fault, event, 8);
SIOMMU_ABI_AT(iommu_fault, prm, 8);
SIOMMU_ABI_SIZE(iommu_page_response, 24);
SIOMMU_ABI_AT(iommu_page_response, version, 4);
SIOMMU_ABI_AT(iommu_page_response, flags, 8);
SIOMMU_ABI_AT(iommu_page_response, pasid, 12);
SIOMMU_ABI_AT(iommu_page_response, grpid, 16);
SIOMMU_ABI_AT(iommu_page_response, code, 20);
SIOMMU_ABI_SIZE(iommu_inv_addr_info, 40);
SIOMMU_ABI_AT(iommu_inv_addr_info, archid, 4);
SIOMMU_ABI_AT(iommu_inv_addr_info, pasid, 8);
SIOMMU_ABI_AT(iommu_inv_addr_info, addr, 16);
SIOMMU_ABI_AT(iommu_inv_addr_info, granule_size, 24);
SIOMMU_ABI_AT(iommu_inv_addr_info, nb_granules, 32);
SIOMMU_ABI_SIZE(iommu_inv_pasid_info, 16);
SIOMMU_ABI_AT(iommu_inv_pasid_info, archid, 4);
SIOMMU_ABI_AT(iommu_inv_pasid_info, pasid, 8);
SIOMMU_ABI_SIZE(iommu_cache_invalidate_info, 56);
SIOMMU_ABI_AT(iommu_cache_invalidate_info, version, 4);
SIOMMU_ABI_AT(iommu_cache_invalidate_info, cache, 8);
SIOMMU_ABI_AT(iommu_cache_invalidate_info, granularity, 9);
SIOMMU_ABI_AT(iommu_cache_invalidate_info, padding, 10);
SIOMMU_ABI_AT(iommu_cache_invalidate_info, granu, 16);
SIOMMU_ABI_SIZE(iommu_gpasid_bind_data_vtd, 16);
SIOMMU_ABI_AT(iommu_gpasid_bind_data_vtd, pat, 8);
SIOMMU_ABI_AT(iommu_gpasid_bind_data_vtd, emt, 12);
SIOMMU_ABI_SIZE(iommu_gpasid_bind_data, 72);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, version, 4);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, format, 8);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, addr_width, 12);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, flags, 16);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, gpgd, 24);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, hpasid, 32);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, gpasid, 40);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, padding, 48);
SIOMMU_ABI_AT(iommu_gpasid_bind_data, vendor, 56);
SIOMMU_ABI_SIZE(iommu_pasid_smmuv3, 8);
SIOMMU_ABI_AT(iommu_pasid_smmuv3, s1fmt, 4);
SIOMMU_ABI_AT(iommu_pasid_smmuv3, s1dss, 5);
SIOMMU_ABI_SIZE(iommu_pasid_table_config, 32);
SIOMMU_ABI_AT(iommu_pasid_table_config, version, 4);
SIOMMU_ABI_AT(iommu_pasid_table_config, base_ptr, 8);
SIOMMU_ABI_AT(iommu_pasid_table_config, format, 16);
SIOMMU_ABI_AT(iommu_pasid_table_config, pasid_bits, 20);
SIOMMU_ABI_AT(iommu_pasid_table_config, config, 21);
SIOMMU_ABI_AT(iommu_pasid_table_config, vendor_data, 24);
SIOMMU_ABI_SIZE(iommu_nesting_info_vtd, 32);
SIOMMU_ABI_AT(iommu_nesting_info_vtd, cap_reg, 16);
SIOMMU_ABI_AT(iommu_nesting_info_vtd, ecap_reg, 24);
SIOMMU_ABI_SIZE(iommu_nesting_info, 64);
SIOMMU_ABI_AT(iommu_nesting_info, format, 8);
SIOMMU_ABI_AT(iommu_nesting_info, features, 12);
SIOMMU_ABI_AT(iommu_nesting_info, addr_width, 16);
SIOMMU_ABI_AT(iommu_nesting_info, pasid_bits, 18);
SIOMMU_ABI_AT(iommu_nesting_info, vendor, 32);
SIOMMU_ABI_SIZE(vfio_iommu_type1_info_cap_nesting, 72);
SIOMMU_ABI_SIZE(vfio_iommu_type1_pasid_request, 16);
SIOMMU_ABI_AT(vfio_iommu_type1_pasid_request, range, 8);
SIOMMU_ABI_SIZE(vfio_iommu_type1_nesting_op, 8);
SIOMMU_ABI_SIZE(vfio_iommu_type1_set_pasid_table, 40);
SIOMMU_ABI_AT(vfio_iommu_type1_set_pasid_table, config, 8);
SIOMMU_ABI_SIZE(vfio_iommu_type1_cache_invalidate, 64);
SIOMMU_ABI_AT(vfio_iommu_type1_cache_invalidate, info, 8);
SIOMMU_ABI_SIZE(vfio_iommu_type1_set_msi_binding, 32);
SIOMMU_ABI_AT(vfio_iommu_type1_set_msi_binding, iova, 8);
SIOMMU_ABI_AT(vfio_iommu_type1_set_msi_binding, size, 24);
SIOMMU_ABI_SIZE(vfio_region_dma_fault, 20);
SIOMMU_ABI_AT(vfio_region_dma_fault, head, 16);
SIOMMU_ABI_SIZE(vfio_region_dma_fault_response, 20);
SIOMMU_ABI_AT(vfio_region_dma_fault_response, tail, 16);
SIOMMU_ABI_SIZE(vfio_region_info_cap_fault, 12);
SIOMMU_ABI_SIZE(vfio_irq_info_cap_type, 16);
SIOMMU_ABI_SIZE(siommu_vfio_irq_info, 20);

#endif

#endif
