/* SPDX-License-Identifier: MIT */
/*
 * The test interface of iommufd as of Linux 7.3: IOMMU_TEST_CMD, by which a
 * program makes mock devices behind a mock IOMMU and looks behind the scenes.
 * softiommu offers it when asked for (--iommu mock). Names and layout are the
 * kernel's; each operation's arguments have a structure of their own here,
 * which the kernel leaves without a name.
 *
 * Beside the kernel's own iommufd_test.h: whichever is included first is in
 * force, whole. SIOMMU_ABI_IOMMUFD_TEST is 0x0703 if all of 7.3 is there.
 *
 * Errnos as in iommufd.h, and these: EBADFD where the object is not of the kind
 * that the operation wants, EINVAL where a check finds something else than it
 * was told, EIO where MD_CHECK_REFS does.
 */
#ifndef SIOMMU_ABI_IOMMUFD_TEST_H
#define SIOMMU_ABI_IOMMUFD_TEST_H

#include <softiommu/abi/iommufd.h>

#ifdef _UAPI_IOMMUFD_TEST_H

/* The kernel's header is in force. The newest constant of 7.3 tells its age. */
#ifdef IOMMU_TEST_HW_QUEUE_MAX
#define SIOMMU_ABI_IOMMUFD_TEST 0x0703
#else
#define SIOMMU_ABI_IOMMUFD_TEST 0
#endif

#else

#define SIOMMU_ABI_IOMMUFD_TEST 0x0703
#define _UAPI_IOMMUFD_TEST_H

/**
 * enum - operations, for @op of struct iommu_test_cmd
 * @IOMMU_TEST_OP_ADD_RESERVED: reserve a range of the IOAS @id
 * @IOMMU_TEST_OP_MOCK_DOMAIN: make a mock device and attach it to the IOAS or
 *	HWPT @id
 * @IOMMU_TEST_OP_MD_CHECK_MAP: does the page table of the HWPT @id lead to this
 *	memory?
 * @IOMMU_TEST_OP_MD_CHECK_REFS: are these pages pinned this many times?
 * @IOMMU_TEST_OP_CREATE_ACCESS: make an access (a driver that touches memory
 *	itself) to the IOAS @id, as a new descriptor
 * @IOMMU_TEST_OP_DESTROY_ACCESS_PAGES: unpin; @id is the access's descriptor
 * @IOMMU_TEST_OP_ACCESS_PAGES: pin pages through an access, and compare
 * @IOMMU_TEST_OP_ACCESS_RW: read or write through an access
 * @IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT: how much working memory one step of a
 *	long operation may take
 * @IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE: attach the mock device @id to something
 *	else
 * @IOMMU_TEST_OP_ACCESS_REPLACE_IOAS: let an access see another IOAS
 * @IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS: as MOCK_DOMAIN, with MOCK_FLAGS_DEVICE_*
 * @IOMMU_TEST_OP_DIRTY: pretend that devices wrote to pages of the HWPT @id
 * @IOMMU_TEST_OP_MD_CHECK_IOTLB: what is in this entry of the nested HWPT's IOTLB?
 * @IOMMU_TEST_OP_TRIGGER_IOPF: a device asks for a page
 * @IOMMU_TEST_OP_DEV_CHECK_CACHE: what is in this entry of a device's cache?
 * @IOMMU_TEST_OP_TRIGGER_VEVENT: a device causes an event for its guest
 * @IOMMU_TEST_OP_PASID_ATTACH: attach a PASID of the mock device @id
 * @IOMMU_TEST_OP_PASID_REPLACE: attach it to something else
 * @IOMMU_TEST_OP_PASID_DETACH: detach it
 * @IOMMU_TEST_OP_PASID_CHECK_HWPT: is it attached to this?
 * @IOMMU_TEST_OP_DMABUF_GET: make a dma-buf; the ioctl's result is its
 *	descriptor
 * @IOMMU_TEST_OP_DMABUF_REVOKE: withdraw its memory, or give it back
 */
enum {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN = 2,
	IOMMU_TEST_OP_MD_CHECK_MAP = 3,
	IOMMU_TEST_OP_MD_CHECK_REFS = 4,
	IOMMU_TEST_OP_CREATE_ACCESS = 5,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES = 6,
	IOMMU_TEST_OP_ACCESS_PAGES = 7,
	IOMMU_TEST_OP_ACCESS_RW = 8,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT = 9,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE = 10,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS = 11,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS = 12,
	IOMMU_TEST_OP_DIRTY = 13,
	IOMMU_TEST_OP_MD_CHECK_IOTLB = 14,
	IOMMU_TEST_OP_TRIGGER_IOPF = 15,
	IOMMU_TEST_OP_DEV_CHECK_CACHE = 16,
	IOMMU_TEST_OP_TRIGGER_VEVENT = 17,
	IOMMU_TEST_OP_PASID_ATTACH = 18,
	IOMMU_TEST_OP_PASID_REPLACE = 19,
	IOMMU_TEST_OP_PASID_DETACH = 20,
	IOMMU_TEST_OP_PASID_CHECK_HWPT = 21,
	IOMMU_TEST_OP_DMABUF_GET = 22,
	IOMMU_TEST_OP_DMABUF_REVOKE = 23,
};

/* Page tables, for struct iommu_hwpt_selftest: pages of 2 KiB, or huge ones too. */
enum {
	MOCK_IOMMUPT_DEFAULT = 0,
	MOCK_IOMMUPT_HUGE = 1,
};

/* What MOCK_IOMMUPT_DEFAULT can map, and its page sizes in bytes. */
enum {
	MOCK_APERTURE_START = 0x1000000,
	MOCK_APERTURE_LAST = 0x7fffffff,
	MOCK_PAGE_SIZE = 0x800,
	MOCK_HUGE_PAGE_SIZE = 0x100000,
};

/*
 * Flags of ACCESS_PAGES. With SYZ the low half of @iova is the index of a
 * mapping and the high half an offset into it, so that a fuzzer finds some.
 */
enum {
	MOCK_FLAGS_ACCESS_WRITE = 1 << 0,
	MOCK_FLAGS_ACCESS_SYZ = 1 << 16,
};

/* Flags of ACCESS_RW: write, and do it page by page even where memory is shared. */
enum {
	MOCK_ACCESS_RW_WRITE = 1 << 0,
	MOCK_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/* Flags of CREATE_ACCESS: without it pinning is EOPNOTSUPP. */
enum {
	MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0,
};

/* Flags of MOCK_DOMAIN_FLAGS: without dirty tracking, with PASIDs. */
enum {
	MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0,
	MOCK_FLAGS_DEVICE_PASID = 1 << 2,
};

/* Entries of a nested HWPT's IOTLB: the last index, and how many. */
enum {
	MOCK_NESTED_DOMAIN_IOTLB_ID_MAX = 3,
	MOCK_NESTED_DOMAIN_IOTLB_NUM = 4,
};

/* Entries of a device's cache: the last index, and how many. */
enum {
	MOCK_DEV_CACHE_ID_MAX = 3,
	MOCK_DEV_CACHE_NUM = 4,
};

/* Attached already, this PASID fails with ENOMEM to be attached to something else. */
#define IOMMU_TEST_PASID_RESERVED 1024

/* Bits of a mock device's PASID. */
#define MOCK_PASID_WIDTH 20

/*
 * The arguments of the operations
 */

/* ADD_RESERVED: a range in bytes. */
struct siommu_test_add_reserved {
	__aligned_u64 start;
	__aligned_u64 length;
};

/* MOCK_DOMAIN: the test's object, what it got attached to, the device's id. */
struct siommu_test_mock_domain {
	__u32 out_stdev_id;
	__u32 out_hwpt_id;
	__u32 out_idev_id;
};

/* MOCK_DOMAIN_FLAGS: the same, with MOCK_FLAGS_DEVICE_* in @dev_flags. */
struct siommu_test_mock_domain_flags {
	__u32 out_stdev_id;
	__u32 out_hwpt_id;
	__u32 out_idev_id;
	__u32 dev_flags;
};

/* MOCK_DOMAIN_REPLACE: in: an IOAS or HWPT; out: the HWPT. */
struct siommu_test_mock_domain_replace {
	__u32 pt_id;
};

/* MD_CHECK_MAP: multiples of the page size of the table. */
struct siommu_test_check_map {
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 uptr;
};

/* MD_CHECK_REFS: whole pages of the caller, and how often they are pinned. */
struct siommu_test_check_refs {
	__aligned_u64 length;
	__aligned_u64 uptr;
	__u32 refs;
};

/* CREATE_ACCESS: MOCK_FLAGS_ACCESS_CREATE_*; gives a descriptor. */
struct siommu_test_create_access {
	__u32 out_access_fd;
	__u32 flags;
};

/* DESTROY_ACCESS_PAGES: what ACCESS_PAGES gave. */
struct siommu_test_destroy_access_pages {
	__u32 access_pages_id;
};

/* ACCESS_PAGES: @uptr, if not 0, is the memory that is expected there. */
struct siommu_test_access_pages {
	__u32 flags;
	__u32 out_access_pages_id;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 uptr;
};

/* ACCESS_RW: copy between @iova and @uptr. */
struct siommu_test_access_rw {
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 uptr;
	__u32 flags;
};

/* SET_TEMP_MEMORY_LIMIT: bytes, at least 12. */
struct siommu_test_memory_limit {
	__u32 limit;
};

/* ACCESS_REPLACE_IOAS: the new one. */
struct siommu_test_access_replace_ioas {
	__u32 ioas_id;
};

/* DIRTY: a bit at @uptr for each @page_size bytes; out: how many were set. */
struct siommu_test_dirty {
	__u32 flags;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 uptr;
	__aligned_u64 out_nr_dirty;
};

/* MD_CHECK_IOTLB: entry @id should hold @iotlb. */
struct siommu_test_check_iotlb {
	__u32 id;
	__u32 iotlb;
};

/* TRIGGER_IOPF: a group of one request; @perm is of enum iommu_hwpt_pgfault_perm. */
struct siommu_test_trigger_iopf {
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u64 addr;
};

/* DEV_CHECK_CACHE: entry @id should hold @cache. */
struct siommu_test_check_dev_cache {
	__u32 id;
	__u32 cache;
};

/* TRIGGER_VEVENT: of a device that has a vDEVICE (ENOENT). */
struct siommu_test_trigger_vevent {
	__u32 dev_id;
};

/* PASID_ATTACH and PASID_REPLACE: to an IOAS or HWPT. */
struct siommu_test_pasid_attach {
	__u32 pasid;
	__u32 pt_id;
};

/* PASID_DETACH */
struct siommu_test_pasid_detach {
	__u32 pasid;
};

/* PASID_CHECK_HWPT: @hwpt_id 0 stands for nothing. */
struct siommu_test_pasid_check {
	__u32 pasid;
	__u32 hwpt_id;
};

/* DMABUF_GET: bytes, rounded up to pages, at most 512 of them; O_* flags. */
struct siommu_test_dmabuf_get {
	__u32 length;
	__u32 open_flags;
};

/* DMABUF_REVOKE: 1 withdraws, 0 gives back. */
struct siommu_test_dmabuf_revoke {
	__s32 dmabuf_fd;
	__u32 revoked;
};

/**
 * struct iommu_test_cmd - IOMMU_TEST_CMD
 * @size: bytes of this structure; all of them, to @last, are mandatory
 * @op: one of IOMMU_TEST_OP_*
 * @id: the object the operation is about
 * @__reserved: 0
 * @last: marks the end of the arguments
 */
struct iommu_test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 __reserved;
	union {
		struct siommu_test_add_reserved add_reserved;
		struct siommu_test_mock_domain mock_domain;
		struct siommu_test_mock_domain_flags mock_domain_flags;
		struct siommu_test_mock_domain_replace mock_domain_replace;
		struct siommu_test_check_map check_map;
		struct siommu_test_check_refs check_refs;
		struct siommu_test_create_access create_access;
		struct siommu_test_destroy_access_pages destroy_access_pages;
		struct siommu_test_access_pages access_pages;
		struct siommu_test_access_rw access_rw;
		struct siommu_test_memory_limit memory_limit;
		struct siommu_test_access_replace_ioas access_replace_ioas;
		struct siommu_test_dirty dirty;
		struct siommu_test_check_iotlb check_iotlb;
		struct siommu_test_trigger_iopf trigger_iopf;
		struct siommu_test_check_dev_cache check_dev_cache;
		struct siommu_test_trigger_vevent trigger_vevent;
		struct siommu_test_pasid_attach pasid_attach;
		struct siommu_test_pasid_attach pasid_replace;
		struct siommu_test_pasid_detach pasid_detach;
		struct siommu_test_pasid_check pasid_check;
		struct siommu_test_dmabuf_get dmabuf_get;
		struct siommu_test_dmabuf_revoke dmabuf_revoke;
	};
	__u32 last;
};
#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32)

/*
 * The mock IOMMU's own structures. Its types are numbers that no real one has.
 */

#define IOMMU_HW_INFO_TYPE_SELFTEST 0xfeedbeef
#define IOMMU_HW_INFO_SELFTEST_REGVAL 0xdeadbeef

/* What GET_HW_INFO tells: no flags, and REGVAL. */
struct iommu_test_hw_info {
	__u32 flags;
	__u32 test_reg;
};

#define IOMMU_HWPT_DATA_SELFTEST 0xdead
#define IOMMU_TEST_IOTLB_DEFAULT 0xbadbeef
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddad

/**
 * struct iommu_hwpt_selftest - for HWPT_ALLOC
 * @iotlb: what all IOTLB entries of a nested HWPT hold at first
 * @pagetable_type: MOCK_IOMMUPT_* of a paging one
 */
struct iommu_hwpt_selftest {
	__u32 iotlb;
	__u32 pagetable_type;
};

#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/* All entries, in both kinds of invalidation below. */
#define IOMMU_TEST_INVALIDATE_FLAG_ALL (1 << 0)

/**
 * struct iommu_hwpt_invalidate_selftest - an entry of HWPT_INVALIDATE, for a HWPT
 * @flags: 0 or IOMMU_TEST_INVALIDATE_FLAG_ALL
 * @iotlb_id: the entry to clear; not looked at with FLAG_ALL
 */
struct iommu_hwpt_invalidate_selftest {
	__u32 flags;
	__u32 iotlb_id;
};

#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeef

/**
 * struct iommu_viommu_selftest - for VIOMMU_ALLOC
 * @in_data: any value
 * @out_data: the same value
 * @out_mmap_offset: offset for mmap() on the iommufd
 * @out_mmap_length: length for it, two pages
 */
struct iommu_viommu_selftest {
	__u32 in_data;
	__u32 out_data;
	__aligned_u64 out_mmap_offset;
	__aligned_u64 out_mmap_length;
};

#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/**
 * struct iommu_viommu_invalidate_selftest - an entry of HWPT_INVALIDATE, for a
 *	vIOMMU
 * @flags: 0 or IOMMU_TEST_INVALIDATE_FLAG_ALL
 * @vdev_id: the guest's number for the device
 * @cache_id: the entry of its cache to clear; not looked at with FLAG_ALL
 */
struct iommu_viommu_invalidate_selftest {
	__u32 flags;
	__u32 vdev_id;
	__u32 cache_id;
};

#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeef

/* An event: the guest's number for the device. */
struct iommu_viommu_event_selftest {
	__u32 virt_id;
};

#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeef
#define IOMMU_TEST_HW_QUEUE_MAX 2

#endif /* the kernel's header did not come first */

#if SIOMMU_ABI_IOMMUFD_TEST

/* The layouts, whichever header they come from. */

SIOMMU_ABI_SIZE(iommu_test_cmd, 72);
SIOMMU_ABI_AT(iommu_test_cmd, size, 0);
SIOMMU_ABI_AT(iommu_test_cmd, op, 4);
SIOMMU_ABI_AT(iommu_test_cmd, id, 8);
SIOMMU_ABI_AT(iommu_test_cmd, __reserved, 12);
SIOMMU_ABI_AT(iommu_test_cmd, add_reserved, 16);
SIOMMU_ABI_AT(iommu_test_cmd, add_reserved.start, 16);
SIOMMU_ABI_AT(iommu_test_cmd, add_reserved.length, 24);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain, 16);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain.out_stdev_id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain.out_hwpt_id, 20);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain.out_idev_id, 24);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain_flags, 16);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain_flags.out_stdev_id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain_flags.out_hwpt_id, 20);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain_flags.out_idev_id, 24);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain_flags.dev_flags, 28);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain_replace, 16);
SIOMMU_ABI_AT(iommu_test_cmd, mock_domain_replace.pt_id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_map, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_map.iova, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_map.length, 24);
SIOMMU_ABI_AT(iommu_test_cmd, check_map.uptr, 32);
SIOMMU_ABI_AT(iommu_test_cmd, check_refs, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_refs.length, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_refs.uptr, 24);
SIOMMU_ABI_AT(iommu_test_cmd, check_refs.refs, 32);
SIOMMU_ABI_AT(iommu_test_cmd, create_access, 16);
SIOMMU_ABI_AT(iommu_test_cmd, create_access.out_access_fd, 16);
SIOMMU_ABI_AT(iommu_test_cmd, create_access.flags, 20);
SIOMMU_ABI_AT(iommu_test_cmd, destroy_access_pages, 16);
SIOMMU_ABI_AT(iommu_test_cmd, destroy_access_pages.access_pages_id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, access_pages, 16);
SIOMMU_ABI_AT(iommu_test_cmd, access_pages.flags, 16);
SIOMMU_ABI_AT(iommu_test_cmd, access_pages.out_access_pages_id, 20);
SIOMMU_ABI_AT(iommu_test_cmd, access_pages.iova, 24);
SIOMMU_ABI_AT(iommu_test_cmd, access_pages.length, 32);
SIOMMU_ABI_AT(iommu_test_cmd, access_pages.uptr, 40);
SIOMMU_ABI_AT(iommu_test_cmd, access_rw, 16);
SIOMMU_ABI_AT(iommu_test_cmd, access_rw.iova, 16);
SIOMMU_ABI_AT(iommu_test_cmd, access_rw.length, 24);
SIOMMU_ABI_AT(iommu_test_cmd, access_rw.uptr, 32);
SIOMMU_ABI_AT(iommu_test_cmd, access_rw.flags, 40);
SIOMMU_ABI_AT(iommu_test_cmd, memory_limit, 16);
SIOMMU_ABI_AT(iommu_test_cmd, memory_limit.limit, 16);
SIOMMU_ABI_AT(iommu_test_cmd, access_replace_ioas, 16);
SIOMMU_ABI_AT(iommu_test_cmd, access_replace_ioas.ioas_id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, dirty, 16);
SIOMMU_ABI_AT(iommu_test_cmd, dirty.flags, 16);
SIOMMU_ABI_AT(iommu_test_cmd, dirty.iova, 24);
SIOMMU_ABI_AT(iommu_test_cmd, dirty.length, 32);
SIOMMU_ABI_AT(iommu_test_cmd, dirty.page_size, 40);
SIOMMU_ABI_AT(iommu_test_cmd, dirty.uptr, 48);
SIOMMU_ABI_AT(iommu_test_cmd, dirty.out_nr_dirty, 56);
SIOMMU_ABI_AT(iommu_test_cmd, check_iotlb, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_iotlb.id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_iotlb.iotlb, 20);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_iopf, 16);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_iopf.dev_id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_iopf.pasid, 20);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_iopf.grpid, 24);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_iopf.perm, 28);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_iopf.addr, 32);
SIOMMU_ABI_AT(iommu_test_cmd, check_dev_cache, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_dev_cache.id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, check_dev_cache.cache, 20);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_vevent, 16);
SIOMMU_ABI_AT(iommu_test_cmd, trigger_vevent.dev_id, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_attach, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_attach.pasid, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_attach.pt_id, 20);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_replace, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_replace.pasid, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_replace.pt_id, 20);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_detach, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_detach.pasid, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_check, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_check.pasid, 16);
SIOMMU_ABI_AT(iommu_test_cmd, pasid_check.hwpt_id, 20);
SIOMMU_ABI_AT(iommu_test_cmd, dmabuf_get, 16);
SIOMMU_ABI_AT(iommu_test_cmd, dmabuf_get.length, 16);
SIOMMU_ABI_AT(iommu_test_cmd, dmabuf_get.open_flags, 20);
SIOMMU_ABI_AT(iommu_test_cmd, dmabuf_revoke, 16);
SIOMMU_ABI_AT(iommu_test_cmd, dmabuf_revoke.dmabuf_fd, 16);
SIOMMU_ABI_AT(iommu_test_cmd, dmabuf_revoke.revoked, 20);
SIOMMU_ABI_AT(iommu_test_cmd, last, 64);

SIOMMU_ABI_SIZE(iommu_test_hw_info, 8);
SIOMMU_ABI_AT(iommu_test_hw_info, flags, 0);
SIOMMU_ABI_AT(iommu_test_hw_info, test_reg, 4);

SIOMMU_ABI_SIZE(iommu_hwpt_selftest, 8);
SIOMMU_ABI_AT(iommu_hwpt_selftest, iotlb, 0);
SIOMMU_ABI_AT(iommu_hwpt_selftest, pagetable_type, 4);

SIOMMU_ABI_SIZE(iommu_hwpt_invalidate_selftest, 8);
SIOMMU_ABI_AT(iommu_hwpt_invalidate_selftest, flags, 0);
SIOMMU_ABI_AT(iommu_hwpt_invalidate_selftest, iotlb_id, 4);

SIOMMU_ABI_SIZE(iommu_viommu_selftest, 24);
SIOMMU_ABI_AT(iommu_viommu_selftest, in_data, 0);
SIOMMU_ABI_AT(iommu_viommu_selftest, out_data, 4);
SIOMMU_ABI_AT(iommu_viommu_selftest, out_mmap_offset, 8);
SIOMMU_ABI_AT(iommu_viommu_selftest, out_mmap_length, 16);

SIOMMU_ABI_SIZE(iommu_viommu_invalidate_selftest, 12);
SIOMMU_ABI_AT(iommu_viommu_invalidate_selftest, flags, 0);
SIOMMU_ABI_AT(iommu_viommu_invalidate_selftest, vdev_id, 4);
SIOMMU_ABI_AT(iommu_viommu_invalidate_selftest, cache_id, 8);

SIOMMU_ABI_SIZE(iommu_viommu_event_selftest, 4);
SIOMMU_ABI_AT(iommu_viommu_event_selftest, virt_id, 0);

#endif /* SIOMMU_ABI_IOMMUFD_TEST */

#endif /* SIOMMU_ABI_IOMMUFD_TEST_H */
