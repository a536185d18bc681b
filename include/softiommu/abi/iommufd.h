/* SPDX-License-Identifier: MIT */
/*
 * The interface of /dev/iommu (iommufd) as of Linux 7.3: every command,
 * structure, flag and constant under the kernel's names and with the kernel's
 * layout, for programs on systems whose own headers are too old.
 *
 * Beside <linux/iommufd.h>
 * ------------------------
 * Whichever header is included first is in force, whole:
 *
 *  - This one first, or alone: all of 7.3 is declared. The include guards of
 *    the system's header are set too, so that including it later is allowed
 *    and adds nothing, however old or new it is.
 *  - The system's first: it stays in force and this one declares nothing,
 *    because C has no way to add a member to a structure it has already seen.
 *
 * SIOMMU_ABI_IOMMUFD tells which it is: 0x0703 when all of 7.3 is there, and 0
 * when an older <linux/iommufd.h> came first. A program that needs what the old
 * one lacks includes this header before it.
 *
 * How a command works
 * -------------------
 * The argument of each ioctl points to a structure whose first member, @size,
 * is the number of bytes that the caller's idea of it has. The server may know
 * a shorter one (then the rest must be zero) or a longer one (then what is
 * missing counts as zero), so programs and servers of different age understand
 * each other. A structure that ends before the member called "mandatory" below
 * is refused. All integers have the byte order of the machine unless their type
 * says "le". What is called @__reserved must be zero. Lengths, addresses and
 * offsets are in bytes. "Object" ids are numbers from 1 up, the lowest free
 * first, and belong to one open of /dev/iommu.
 *
 * Which errno means what
 * ----------------------
 * ENOTTY      No command has this request number.
 * EFAULT      The structure or memory that it points to can't be read or
 *             written; memory that is to be mapped is not there.
 * EINVAL      The structure ends before its mandatory part, or a value is
 *             understood but wrong: length 0, MAP or COPY without any
 *             permission, misalignment, a reserved range, an id of an object
 *             that can't serve (HWPT_ALLOC's @pt_id, HWPT_INVALIDATE's
 *             @hwpt_id), ranges that overlap each other, CHANGE_PROCESS with
 *             memory that was mapped by address.
 * E2BIG       There is something other than zero behind the part of the
 *             structure that the server knows.
 * EOPNOTSUPP  The command is known, but not this flag, type, option or
 *             non-zero reserved member; or the hardware can't do it.
 * ENOENT      No object of this kind has this id; nothing is mapped at this
 *             iova; UNMAP or COPY would have to split or to skip.
 * ENOMEM      Out of memory, or beyond the limit of locked memory.
 * EOVERFLOW   An address plus a length leaves 64 bits, or an iova or a length
 *             is 2^64 - 1.
 * EEXIST      Taken: the iova range of MAP or COPY; the virtual id or device of
 *             a vDEVICE; a vIOMMU's event queue of this type; a HW queue's index.
 * EBUSY       DESTROY of what others still use; UNMAP of what a HW queue holds;
 *             RLIMIT_MODE when there are objects.
 * ENOSPC      An iova was to be chosen, and no gap is large enough.
 * EADDRINUSE  The ranges of ALLOW_IOVAS, the needs of a device that is attached
 *             or of an option, and the mappings that are there contradict.
 * EMSGSIZE    IOVA_RANGES: the array is too short (what fits is filled in).
 * EPERM       COPY asks for write where the source has none; RLIMIT_MODE is set
 *             without CAP_SYS_RESOURCE; NOIOMMU_GET_PA without CAP_SYS_RAWIO.
 * EBADF       MAP_FILE: the descriptor is not open.
 * ENODEV      VFIO_IOAS_GET and VFIO calls without a compatibility IOAS; a HWPT
 *             with a fault queue meets a device that has no page requests.
 * EIO         The model of the IOMMU finds the caller's table entry or command
 *             illegal; HW queues are not made in order.
 * ENXIO       mmap() of an offset or length that was not handed out.
 * ESPIPE      read() or write() on a queue's descriptor: not a whole number of
 *             records, or at an offset.
 *
 * A command that fails leaves its outputs as they were, but for two: IOVA_RANGES
 * with EMSGSIZE, and HWPT_INVALIDATE, which always says how far it came.
 */
#ifndef SIOMMU_ABI_IOMMUFD_H
#define SIOMMU_ABI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#include <softiommu/abi/layout.h>

#if defined(_IOMMUFD_H) || defined(_UAPI_IOMMUFD_H)

/* The system's header is in force. The newest command of 7.3 tells its age. */
#ifdef IOMMU_IOAS_NOIOMMU_GET_PA
#define SIOMMU_ABI_IOMMUFD 0x0703
#else
#define SIOMMU_ABI_IOMMUFD 0
#endif

#else

#define SIOMMU_ABI_IOMMUFD 0x0703

/* The guards of <linux/iommufd.h>: as installed, and as in the kernel's tree. */
#define _IOMMUFD_H
#define _UAPI_IOMMUFD_H

#define IOMMUFD_TYPE (';')

/* The command numbers. The ioctls have no direction and no size in them. */
enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = 0x80,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
	IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA = 0x95,
};

/*
 * Objects
 */

/**
 * struct iommu_destroy - IOMMU_DESTROY: get rid of an object
 * @size: bytes of this structure; 8 are mandatory
 * @id: the object, of any kind that IOMMU_*_ALLOC made
 *
 * Fails with EBUSY while another object or an open queue descriptor needs it.
 * A device is not destroyed like this but unbound by the driver that bound it.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};
#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/*
 * Address spaces (IOAS): which iova leads to which memory
 */

/**
 * struct iommu_ioas_alloc - IOMMU_IOAS_ALLOC: make an empty address space
 * @size: bytes of this structure; 12 are mandatory
 * @flags: none exist; 0
 * @out_ioas_id: the new object
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - a piece of an address space
 * @start: its first byte
 * @last: its last byte, which belongs to it; 2^64 - 1 is possible
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - IOMMU_IOAS_IOVA_RANGES: where can be mapped?
 * @size: bytes of this structure; all 32 are mandatory
 * @ioas_id: the address space
 * @num_iovas: in: entries that @allowed_iovas has room for; out: entries that
 *             there are
 * @__reserved: 0
 * @allowed_iovas: address of an array of struct iommu_iova_range, filled in
 *                 ascending order
 * @out_iova_alignment: the start of every mapping and its start plus length
 *                      must be multiples of this: 1 while nothing is attached,
 *                      never more than a page
 *
 * A new address space allows everything. Each attached device takes away what
 * its IOMMU can't reach or keeps for itself, and detaching may give it back; so
 * the answer holds until the next attach or detach.
 *
 * EMSGSIZE: more ranges than room. @num_iovas then says how much is needed, and
 * what fits has been filled in.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - IOMMU_IOAS_ALLOW_IOVAS: keep ranges usable
 * @size: bytes of this structure; all 24 are mandatory
 * @ioas_id: the address space
 * @num_iovas: entries in @allowed_iovas; 0 takes an earlier list back
 * @__reserved: 0
 * @allowed_iovas: address of an array of struct iommu_iova_range; @start must
 *                 be below @last, and no two may overlap (EINVAL)
 *
 * A promise in both directions: whatever would make one of these ranges
 * unusable later (a device to attach) is refused with EADDRINUSE, and so is
 * this call if one of them is unusable already. When MAP or COPY choose an iova
 * they choose it here. Replaces the list given before.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/**
 * enum iommufd_ioas_map_flags - for MAP, MAP_FILE and COPY
 * @IOMMU_IOAS_MAP_FIXED_IOVA: the caller says where; without it the iova is
 *                             chosen and handed back
 * @IOMMU_IOAS_MAP_WRITEABLE: devices may write
 * @IOMMU_IOAS_MAP_READABLE: devices may read
 *
 * At least one of the last two must be there (EINVAL).
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - IOMMU_IOAS_MAP: make the caller's memory reachable
 * @size: bytes of this structure; all 40 are mandatory
 * @flags: of enum iommufd_ioas_map_flags
 * @ioas_id: the address space
 * @__reserved: 0
 * @user_va: where the memory is in the calling process
 * @length: bytes, not 0
 * @iova: in with FIXED_IOVA: where to; out without: where it has been put
 *
 * Nothing may be mapped in the range yet (EEXIST); a mapping is never replaced.
 * The memory is looked at (and EFAULT given) when the first device or access
 * needs it, which may be long after this call.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_map_file - IOMMU_IOAS_MAP_FILE: make a file reachable
 * @size: bytes of this structure; all 40 are mandatory
 * @flags: of enum iommufd_ioas_map_flags
 * @ioas_id: the address space
 * @fd: a memfd, or a dma-buf that a VFIO device exported of one of its regions
 *      in one piece; other files are EINVAL
 * @start: first byte in the file
 * @length: bytes, not 0
 * @iova: as in struct iommu_ioas_map
 *
 * Like MAP, but tied to the file and not to a process: such mappings outlive
 * the caller and can be handed over with CHANGE_PROCESS.
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

/**
 * struct iommu_ioas_copy - IOMMU_IOAS_COPY: map once more what is mapped
 * @size: bytes of this structure; all 40 are mandatory
 * @flags: of enum iommufd_ioas_map_flags, for the new mapping
 * @dst_ioas_id: the address space that gets it; may be the same one
 * @src_ioas_id: the address space that has it
 * @length: bytes; the source must be mapped without a gap (ENOENT)
 * @dst_iova: as @iova in struct iommu_ioas_map
 * @src_iova: first byte of the source, which may lie inside a mapping
 *
 * Cheaper than MAP: the copy shares the pages and is not charged again. It has
 * no more rights than its source (EPERM for WRITEABLE of something read-only).
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};
#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - IOMMU_IOAS_UNMAP: take mappings away
 * @size: bytes of this structure; all 24 are mandatory
 * @ioas_id: the address space
 * @iova: first byte of the range
 * @length: in: bytes of the range; out: how many of them were mapped
 *
 * Every mapping in the range must lie in it as a whole, as it was made by one
 * MAP or COPY (ENOENT), and there must be one. The exception is @iova 0 with
 * @length 2^64 - 1: everything goes, and nothing to do is fine.
 * When the call returns no device reads or writes the memory any more.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * struct iommu_ioas_change_process - IOMMU_IOAS_CHANGE_PROCESS: take over
 * @size: bytes of this structure; all 8 are mandatory
 * @__reserved: 0
 *
 * Charges the locked memory of all address spaces of this context to the caller
 * in place of the process that mapped it: for handing a running device from an
 * old program to a new one. All mappings must come from MAP_FILE (EINVAL).
 * When it fails nothing has changed.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};
#define IOMMU_IOAS_CHANGE_PROCESS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

/**
 * struct iommu_ioas_noiommu_get_pa - IOMMU_IOAS_NOIOMMU_GET_PA: where is it?
 * @size: bytes of this structure; all 40 are mandatory
 * @flags: none exist; 0
 * @ioas_id: the address space
 * @__reserved: 0
 * @iova: first byte asked for; must be mapped (ENOENT)
 * @length: in: the most that is of interest, not 0; out: bytes from @out_phys
 *          on that lie in one piece, no more than asked for
 * @out_phys: the physical address behind @iova
 *
 * For devices without any IOMMU, whose drivers have to put physical addresses
 * on the bus themselves. EOPNOTSUPP where an IOMMU translates.
 */
struct iommu_ioas_noiommu_get_pa {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 out_phys;
};
#define IOMMU_IOAS_NOIOMMU_GET_PA _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA)

/*
 * Options and VFIO compatibility
 */

/**
 * enum iommufd_option - what IOMMU_OPTION can change
 * @IOMMU_OPTION_RLIMIT_MODE: for the whole context (@object_id 0): locked
 *                            memory is counted per user (0, at first) or per
 *                            process (1). Setting it takes CAP_SYS_RESOURCE and
 *                            a context without objects
 * @IOMMU_OPTION_HUGE_PAGES: for the address space @object_id: adjoining pages
 *                           may become one large page-table entry (1, at first)
 *                           or may not (0)
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - what to do with an option
 * @IOMMU_OPTION_OP_SET: give it @val64
 * @IOMMU_OPTION_OP_GET: put its value into @val64
 */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - IOMMU_OPTION: set or ask for an option
 * @size: bytes of this structure; all 24 are mandatory
 * @option_id: one of enum iommufd_option
 * @op: one of enum iommufd_option_ops
 * @__reserved: 0
 * @object_id: what the option belongs to, or 0
 * @val64: the value
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/**
 * enum iommufd_vfio_ioas_op - what to do with the compatibility IOAS
 * @IOMMU_VFIO_IOAS_GET: tell which it is; ENODEV if there is none
 * @IOMMU_VFIO_IOAS_SET: use this one from now on
 * @IOMMU_VFIO_IOAS_CLEAR: use none
 */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/**
 * struct iommu_vfio_ioas - IOMMU_VFIO_IOAS: the IOAS behind VFIO's own calls
 * @size: bytes of this structure; all 12 are mandatory
 * @ioas_id: in for SET, out for GET
 * @op: one of enum iommufd_vfio_ioas_op
 * @__reserved: 0
 *
 * VFIO's type 1 calls know no ids, so an iommufd that stands in for a VFIO
 * container has one address space for all of them. A container that is set up
 * without one makes its own. Nothing here destroys an IOAS.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};
#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/*
 * Page tables (HWPT): paging ones follow an IOAS, nested ones belong to a guest
 */

/**
 * enum iommufd_hwpt_alloc_flags - for IOMMU_HWPT_ALLOC
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: guests' page tables can be put on top of it
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: only devices whose IOMMU can record writes
 *                                   may be attached
 * @IOMMU_HWPT_FAULT_ID_VALID: @fault_id names the queue for page requests
 * @IOMMU_HWPT_ALLOC_PASID: can be attached to a PASID. While a device has a
 *                          PASID attached, what is attached to the device
 *                          itself needs this flag as well
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/**
 * enum iommu_hwpt_vtd_s1_flags - bits of a VT-d PASID-table entry
 * @IOMMU_VTD_S1_SRE: supervisor requests are allowed
 * @IOMMU_VTD_S1_EAFE: the extended-accessed bit is kept
 * @IOMMU_VTD_S1_WPE: write protection holds for supervisor requests too
 */
enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

/**
 * struct iommu_hwpt_vtd_s1 - a guest's VT-d first-stage table
 * @flags: of enum iommu_hwpt_vtd_s1_flags
 * @pgtbl_addr: its root, a guest-physical address
 * @addr_width: bits of an input address
 * @__reserved: 0
 */
struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/**
 * struct iommu_hwpt_arm_smmuv3 - a guest's SMMUv3 stream-table entry
 * @ste: its first two doublewords. Allowed are V, Cfg, S1Fmt, S1ContextPtr and
 *       S1CDMax of the first, EATS, S1DSS, S1CIR, S1COR, S1CSH and S1STALLD of
 *       the second; anything else, or a combination that the architecture
 *       forbids, is EIO
 *
 * Cfg chooses between translating with the guest's context descriptors, bypass
 * (the parent's translation alone) and abort. Before one that translates is
 * attached the device needs a vDEVICE, since invalidations and events carry the
 * guest's StreamID; bypass and abort get along without, but then can't report.
 */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

/**
 * struct iommu_hwpt_amd_guest - a guest's AMD device-table entry
 * @dte: its four quadwords
 */
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

/**
 * enum iommu_hwpt_data_type - what IOMMU_HWPT_ALLOC's @data_uptr points to
 * @IOMMU_HWPT_DATA_NONE: nothing; the HWPT is a paging one
 * @IOMMU_HWPT_DATA_VTD_S1: struct iommu_hwpt_vtd_s1
 * @IOMMU_HWPT_DATA_ARM_SMMUV3: struct iommu_hwpt_arm_smmuv3
 * @IOMMU_HWPT_DATA_AMD_GUEST: struct iommu_hwpt_amd_guest
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/**
 * struct iommu_hwpt_alloc - IOMMU_HWPT_ALLOC: make a page table
 * @size: bytes of this structure; 24, up to @__reserved, are mandatory
 * @flags: of enum iommufd_hwpt_alloc_flags
 * @dev_id: the device whose IOMMU is to use it
 * @pt_id: an IOAS for a paging HWPT that mirrors it; a paging HWPT with
 *         NEST_PARENT, or a vIOMMU, for a nested one on top of that
 * @out_hwpt_id: the new object
 * @__reserved: 0
 * @data_type: one of enum iommu_hwpt_data_type
 * @data_len: bytes at @data_uptr; 0 just when @data_type is NONE (EINVAL)
 * @data_uptr: address of what @data_type says
 * @fault_id: a fault queue, if FAULT_ID_VALID
 * @__reserved2: 0
 *
 * The device and the vIOMMU must belong to one IOMMU (EINVAL).
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};
#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/*
 * What the IOMMU behind a device is
 */

/**
 * enum iommu_hw_info_vtd_flags - quirks of a VT-d unit
 * @IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17: a nest parent must not hold read-only
 *                                         mappings
 */
enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

/**
 * struct iommu_hw_info_vtd - a VT-d unit
 * @flags: of enum iommu_hw_info_vtd_flags
 * @__reserved: 0
 * @cap_reg: its capability register
 * @ecap_reg: its extended capability register
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * enum iommu_hw_info_arm_smmuv3_flags - quirks of an SMMUv3
 * @IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI: TLBI and CFGI commands,
 *	each with its SYNC, have to be given twice
 */
enum iommu_hw_info_arm_smmuv3_flags {
	IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI = 1 << 0,
};

/**
 * struct iommu_hw_info_arm_smmuv3 - an SMMUv3
 * @flags: of enum iommu_hw_info_arm_smmuv3_flags
 * @__reserved: 0
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @iidr: SMMU_IIDR
 * @aidr: SMMU_AIDR
 *
 * The registers as they are, but only these fields are meant to be used:
 * IDR0 ST_LEVEL, TERM_MODEL, STALL_MODEL, TTENDIAN, CD2L, ASID16, TTF;
 * IDR1 SIDSIZE, SSIDSIZE; IDR3 BBML, RIL; IDR5 VAX, GRAN64K, GRAN16K, GRAN4K,
 * DS. Stage 1 is there if nested HWPTs are, coherent access always, and ATS is
 * a matter of the device.
 */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

/**
 * struct iommu_hw_info_tegra241_cmdqv - the command-queue extension of Tegra241
 * @flags: none exist; 0
 * @version: bits 3:0 of its PARAM register
 * @log2vcmdqs: bits 7:4, how many virtual command queues there are
 * @log2vsids: bits 15:12, how many StreamIDs can be replaced
 * @__reserved: 0
 *
 * A guest should be shown one virtual interface: 0 in bits 11:8.
 */
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

/**
 * struct iommu_hw_info_amd - an AMD IOMMU
 * @efr: its Extended Feature Register (MMIO 0x30)
 * @efr2: its Extended Feature 2 Register (MMIO 0x1a0)
 *
 * As the hardware has them. A guest may be shown GTSup, GASup, GioSup, PPRSup,
 * EPHSup, GATS, GLX and PASmax of @efr.
 */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/**
 * enum iommu_hw_info_type - what IOMMU_GET_HW_INFO's @data_uptr receives
 * @IOMMU_HW_INFO_TYPE_NONE: out: nothing
 * @IOMMU_HW_INFO_TYPE_DEFAULT: in: what is usual for this IOMMU
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_TYPE_ARM_SMMUV3: struct iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: struct iommu_hw_info_tegra241_cmdqv
 * @IOMMU_HW_INFO_TYPE_AMD: struct iommu_hw_info_amd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

/**
 * enum iommufd_hw_capabilities - what any kind of IOMMU may be able to do
 * @IOMMU_HW_CAP_DIRTY_TRACKING: HWPT_SET_DIRTY_TRACKING, HWPT_GET_DIRTY_BITMAP
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: execute permission with a PASID
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: privileged mode with a PASID
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the device can't or may not cache
 *                                      translations; when clear it possibly does
 *
 * The two about PASIDs mean something only if @out_max_pasid_log2 is not 0.
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/**
 * enum iommufd_hw_info_flags - for IOMMU_GET_HW_INFO
 * @IOMMU_HW_INFO_FLAG_INPUT_TYPE: @in_data_type says what is wanted
 */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info - IOMMU_GET_HW_INFO: ask about a device's IOMMU
 * @size: bytes of this structure; 32, up to @__reserved, are mandatory
 * @flags: of enum iommufd_hw_info_flags
 * @dev_id: the device
 * @data_len: in: bytes at @data_uptr, 0 is allowed; out: bytes there would be
 * @data_uptr: address of the buffer; it gets what fits, and zeroes after the end
 * @in_data_type: one of enum iommu_hw_info_type, with INPUT_TYPE; else ignored
 * @out_data_type: one of enum iommu_hw_info_type (the same word)
 * @out_max_pasid_log2: bits of a PASID; 0 when the device has none
 * @__reserved: 0
 * @out_capabilities: of enum iommufd_hw_capabilities
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	union {
		__u32 in_data_type;
		__u32 out_data_type;
	};
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};
#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/*
 * Which pages were written to
 */

/**
 * enum iommufd_hwpt_set_dirty_tracking_flags - for HWPT_SET_DIRTY_TRACKING
 * @IOMMU_HWPT_DIRTY_TRACKING_ENABLE: begin (without it: end) to record writes
 */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

/**
 * struct iommu_hwpt_set_dirty_tracking - IOMMU_HWPT_SET_DIRTY_TRACKING
 * @size: bytes of this structure; all 16 are mandatory
 * @flags: of enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: a paging HWPT; EOPNOTSUPP if it was made without DIRTY_TRACKING
 * @__reserved: 0
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};
#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

/**
 * enum iommufd_hwpt_get_dirty_bitmap_flags - for HWPT_GET_DIRTY_BITMAP
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: leave the table's dirty bits as they
 *                                        are, which is cheaper and enough when
 *                                        the range will be unmapped next
 */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - IOMMU_HWPT_GET_DIRTY_BITMAP
 * @size: bytes of this structure; all 48 are mandatory
 * @hwpt_id: a paging HWPT
 * @flags: of enum iommufd_hwpt_get_dirty_bitmap_flags
 * @__reserved: 0
 * @iova: what the first bit stands for
 * @length: bytes of iova to look at
 * @page_size: bytes of iova per bit
 * @data: address of the bitmap, an array of 64-bit words, lowest bit first
 *
 * Bit n is set when something in the @page_size bytes from
 * @iova + n * @page_size on was written to since the last look. Bits that are
 * set already stay set.
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};
#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

/*
 * Invalidation of what the IOMMU remembers of a guest's tables
 */

/**
 * enum iommu_hwpt_invalidate_data_type - the entries of HWPT_INVALIDATE
 * @IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: struct iommu_hwpt_vtd_s1_invalidate, for
 *	a nested HWPT
 * @IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: struct
 *	iommu_viommu_arm_smmuv3_invalidate, for a vIOMMU
 */
enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/**
 * enum iommu_hwpt_vtd_s1_invalidate_flags - for struct
 *	iommu_hwpt_vtd_s1_invalidate
 * @IOMMU_VTD_INV_FLAGS_LEAF: only entries that map a page have changed; what is
 *                            cached of the levels above may stay
 */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - forget part of a VT-d first-stage table
 * @addr: first input address, a multiple of 4096
 * @npages: how many pages of 4096 bytes; with @addr 0, 2^64 - 1 is everything
 * @flags: of enum iommu_hwpt_vtd_s1_invalidate_flags
 * @__reserved: 0
 *
 * Includes what devices have cached through ATS.
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/**
 * struct iommu_viommu_arm_smmuv3_invalidate - an SMMUv3 command of a guest
 * @cmd: its two doublewords: TLBI_NSNH_ALL, TLBI_NH_VA, TLBI_NH_VAA,
 *       TLBI_NH_ALL, TLBI_NH_ASID, ATC_INV, CFGI_CD or CFGI_CD_ALL, with the
 *       guest's StreamID; any other, and any field that this SMMU does not
 *       have, is EIO
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/**
 * struct iommu_hwpt_invalidate - IOMMU_HWPT_INVALIDATE: a guest changed a table
 * @size: bytes of this structure; all 32 are mandatory
 * @hwpt_id: a nested HWPT, or a vIOMMU for what is cached beyond page tables
 * @data_uptr: address of an array of @entry_num entries
 * @data_type: one of enum iommu_hwpt_invalidate_data_type
 * @entry_len: bytes of each entry, 1 to the size of a page (EINVAL)
 * @entry_num: in: entries, at most 2^19 (EINVAL); out, also on failure: entries
 *             that were carried out
 * @__reserved: 0
 *
 * @entry_num 0 asks whether @data_type is supported. After success no device
 * uses what the entries name.
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};
#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

/*
 * Page requests: read from a fault queue's descriptor, answered by writing to it
 */

/**
 * enum iommu_hwpt_pgfault_flags - for struct iommu_hwpt_pgfault
 * @IOMMU_PGFAULT_FLAGS_PASID_VALID: @pasid means something
 * @IOMMU_PGFAULT_FLAGS_LAST_PAGE: the group ends here; answer it
 */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

/**
 * enum iommu_hwpt_pgfault_perm - what the device wants to do
 * @IOMMU_PGFAULT_PERM_READ: read
 * @IOMMU_PGFAULT_PERM_WRITE: write
 * @IOMMU_PGFAULT_PERM_EXEC: execute (PCIe: Execute Requested)
 * @IOMMU_PGFAULT_PERM_PRIV: all that in privileged mode (PCIe: Privileged Mode
 *                           Requested)
 */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/**
 * struct iommu_hwpt_pgfault - a page request, as read() gives it
 * @flags: of enum iommu_hwpt_pgfault_flags
 * @dev_id: the device that asks
 * @pasid: the address space it asks for
 * @grpid: the device's number for the group of requests
 * @perm: of enum iommu_hwpt_pgfault_perm
 * @__reserved: 0
 * @addr: the address that is missing
 * @length: a hint how many bytes it will want; 0: none given
 * @cookie: the server's number for the group, the same in all its requests
 *
 * read() gives whole groups only: EINVAL if not even the first one fits, 0 if
 * there is none, ESPIPE for a length that is no multiple of this structure.
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/**
 * enum iommufd_page_response_code - the answer to a group
 * @IOMMUFD_PAGE_RESP_SUCCESS: it is mapped now, try again
 * @IOMMUFD_PAGE_RESP_INVALID: it won't be, give up
 */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - an answer, as write() takes it
 * @cookie: of the group; EINVAL if none waits under this number
 * @code: one of enum iommufd_page_response_code
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/**
 * struct iommu_fault_alloc - IOMMU_FAULT_QUEUE_ALLOC: make a fault queue
 * @size: bytes of this structure; all 16 are mandatory
 * @flags: none exist; 0
 * @out_fault_id: the new object, for @fault_id of struct iommu_hwpt_alloc
 * @out_fault_fd: the descriptor to poll, read and write
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};
#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

/*
 * Virtual IOMMUs: the part of an IOMMU that one guest sees
 */

/**
 * enum iommu_viommu_type - kinds of vIOMMU
 * @IOMMU_VIOMMU_TYPE_DEFAULT: none yet (EOPNOTSUPP)
 * @IOMMU_VIOMMU_TYPE_ARM_SMMUV3: an SMMUv3; no data
 * @IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: an SMMUv3 with Tegra241's command-queue
 *	extension; struct iommu_viommu_tegra241_cmdqv. The guest has to see
 *	HYP_OWN as 0 in its VINTF_CONFIG
 */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_viommu_tegra241_cmdqv - how to reach the virtual interface
 * @out_vintf_mmap_offset: offset for mmap() on the iommufd
 * @out_vintf_mmap_length: length for it
 *
 * The page is meant to be mapped into the guest, which drives its virtual
 * command queues through it.
 */
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/**
 * struct iommu_viommu_alloc - IOMMU_VIOMMU_ALLOC: make a vIOMMU
 * @size: bytes of this structure; 24, up to @out_viommu_id, are mandatory
 * @flags: none exist; 0
 * @type: one of enum iommu_viommu_type
 * @dev_id: a device; its IOMMU is the one that is shared out
 * @hwpt_id: a paging HWPT with NEST_PARENT (EINVAL)
 * @out_viommu_id: the new object
 * @data_len: bytes at @data_uptr
 * @__reserved: 0
 * @data_uptr: address of the structure that belongs to @type
 *
 * What is the guest's own hangs off it: ids of devices, nested HWPTs, events,
 * invalidations that are not about one table, hardware queues.
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};
#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/**
 * struct iommu_vdevice_alloc - IOMMU_VDEVICE_ALLOC: a device as the guest has it
 * @size: bytes of this structure; all 24 are mandatory
 * @viommu_id: the vIOMMU
 * @dev_id: the device, of the same IOMMU (EINVAL)
 * @out_vdevice_id: the new object
 * @virt_id: the guest's number for the device: StreamID of an SMMUv3, DeviceID
 *           of an AMD IOMMU, requester id of VT-d
 *
 * One for each device, and one for each number in a vIOMMU (EEXIST). Should be
 * destroyed before the device is let go: otherwise it is torn down by force and
 * its id stays taken until the iommufd is closed.
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};
#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/*
 * Events for a guest: read from a vEVENTQ's descriptor
 */

/**
 * enum iommu_veventq_flag - for struct iommufd_vevent_header
 * @IOMMU_VEVENTQ_FLAG_LOST_EVENTS: no data follows; events were lost here
 */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1U << 0,
};

/**
 * struct iommufd_vevent_header - stands before each event
 * @flags: of enum iommu_veventq_flag
 * @sequence: counts all events from 0, lost ones too, and begins again at 0
 *            after INT_MAX
 *
 * A reader sees from a step of more than 1 in @sequence how many events the
 * queue had no room for. When the newest ones are lost no later event can show
 * it, so a bare header with LOST_EVENTS ends the queue instead.
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/**
 * enum iommu_veventq_type - kinds of events
 * @IOMMU_VEVENTQ_TYPE_DEFAULT: none yet (EOPNOTSUPP)
 * @IOMMU_VEVENTQ_TYPE_ARM_SMMUV3: struct iommu_vevent_arm_smmuv3
 * @IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: struct iommu_vevent_tegra241_cmdqv
 */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_vevent_arm_smmuv3 - an SMMUv3 event record
 * @evt: its four doublewords, with the guest's StreamID: C_BAD_STE (0x04),
 *       F_STREAM_DISABLED (0x06), C_BAD_SUBSTREAMID (0x08), C_BAD_CD (0x0a),
 *       F_TRANSLATION (0x10), F_ADDR_SIZE (0x11), F_ACCESS (0x12) or
 *       F_PERMISSION (0x13)
 *
 * Only devices that have a vDEVICE report here.
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/**
 * struct iommu_vevent_tegra241_cmdqv - errors of virtual command queues
 * @lvcmdq_err_map: the LVCMDQ_ERR_MAP registers of the guest's interface, a bit
 *                  for each queue
 */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - IOMMU_VEVENTQ_ALLOC: make a queue of events
 * @size: bytes of this structure; 28, up to @out_veventq_fd, are mandatory
 * @flags: none exist; 0
 * @viommu_id: the vIOMMU
 * @type: one of enum iommu_veventq_type; one queue of each (EEXIST)
 * @veventq_depth: events that it holds, 1 to 2^19 (EINVAL); more are lost
 * @out_veventq_id: the new object
 * @out_veventq_fd: the descriptor to poll and read; the caller closes it
 * @__reserved: 0
 *
 * read() gives a header and the structure of @type for each event, as many
 * whole ones as fit.
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};
#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

/*
 * Queues in guest memory that the hardware reads by itself
 */

/**
 * enum iommu_hw_queue_type - kinds of queues
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: none yet (EOPNOTSUPP)
 * @IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: a virtual command queue of Tegra241.
 *	Made with @index 0, 1, 2 and so on, destroyed in the opposite order.
 *	@length is a power of 2, from 32 to 16 << IDR1.CMDQS bytes, and the base
 *	a multiple of it; the memory is best one huge page
 */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/**
 * struct iommu_hw_queue_alloc - IOMMU_HW_QUEUE_ALLOC: give a queue to hardware
 * @size: bytes of this structure; all 40 are mandatory
 * @flags: none exist; 0
 * @viommu_id: the vIOMMU
 * @type: one of enum iommu_hw_queue_type
 * @index: which of the vIOMMU's queues of this type it is
 * @out_hw_queue_id: the new object
 * @nesting_parent_iova: where the queue begins in guest-physical memory
 * @length: bytes of the queue, not 0
 *
 * The memory must be mapped, in one physical piece, and can't be unmapped until
 * the queue is destroyed (EBUSY).
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};
#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

#endif /* the system's header did not come first */

#if SIOMMU_ABI_IOMMUFD

/* The layouts, whichever header they come from. */

SIOMMU_ABI_SIZE(iommu_destroy, 8);
SIOMMU_ABI_AT(iommu_destroy, size, 0);
SIOMMU_ABI_AT(iommu_destroy, id, 4);

SIOMMU_ABI_SIZE(iommu_ioas_alloc, 12);
SIOMMU_ABI_AT(iommu_ioas_alloc, size, 0);
SIOMMU_ABI_AT(iommu_ioas_alloc, flags, 4);
SIOMMU_ABI_AT(iommu_ioas_alloc, out_ioas_id, 8);

SIOMMU_ABI_SIZE(iommu_iova_range, 16);
SIOMMU_ABI_AT(iommu_iova_range, start, 0);
SIOMMU_ABI_AT(iommu_iova_range, last, 8);

SIOMMU_ABI_SIZE(iommu_ioas_iova_ranges, 32);
SIOMMU_ABI_AT(iommu_ioas_iova_ranges, size, 0);
SIOMMU_ABI_AT(iommu_ioas_iova_ranges, ioas_id, 4);
SIOMMU_ABI_AT(iommu_ioas_iova_ranges, num_iovas, 8);
SIOMMU_ABI_AT(iommu_ioas_iova_ranges, __reserved, 12);
SIOMMU_ABI_AT(iommu_ioas_iova_ranges, allowed_iovas, 16);
SIOMMU_ABI_AT(iommu_ioas_iova_ranges, out_iova_alignment, 24);

SIOMMU_ABI_SIZE(iommu_ioas_allow_iovas, 24);
SIOMMU_ABI_AT(iommu_ioas_allow_iovas, size, 0);
SIOMMU_ABI_AT(iommu_ioas_allow_iovas, ioas_id, 4);
SIOMMU_ABI_AT(iommu_ioas_allow_iovas, num_iovas, 8);
SIOMMU_ABI_AT(iommu_ioas_allow_iovas, __reserved, 12);
SIOMMU_ABI_AT(iommu_ioas_allow_iovas, allowed_iovas, 16);

SIOMMU_ABI_SIZE(iommu_ioas_map, 40);
SIOMMU_ABI_AT(iommu_ioas_map, size, 0);
SIOMMU_ABI_AT(iommu_ioas_map, flags, 4);
SIOMMU_ABI_AT(iommu_ioas_map, ioas_id, 8);
SIOMMU_ABI_AT(iommu_ioas_map, __reserved, 12);
SIOMMU_ABI_AT(iommu_ioas_map, user_va, 16);
SIOMMU_ABI_AT(iommu_ioas_map, length, 24);
SIOMMU_ABI_AT(iommu_ioas_map, iova, 32);

SIOMMU_ABI_SIZE(iommu_ioas_noiommu_get_pa, 40);
SIOMMU_ABI_AT(iommu_ioas_noiommu_get_pa, size, 0);
SIOMMU_ABI_AT(iommu_ioas_noiommu_get_pa, flags, 4);
SIOMMU_ABI_AT(iommu_ioas_noiommu_get_pa, ioas_id, 8);
SIOMMU_ABI_AT(iommu_ioas_noiommu_get_pa, __reserved, 12);
SIOMMU_ABI_AT(iommu_ioas_noiommu_get_pa, iova, 16);
SIOMMU_ABI_AT(iommu_ioas_noiommu_get_pa, length, 24);
SIOMMU_ABI_AT(iommu_ioas_noiommu_get_pa, out_phys, 32);

SIOMMU_ABI_SIZE(iommu_ioas_map_file, 40);
SIOMMU_ABI_AT(iommu_ioas_map_file, size, 0);
SIOMMU_ABI_AT(iommu_ioas_map_file, flags, 4);
SIOMMU_ABI_AT(iommu_ioas_map_file, ioas_id, 8);
SIOMMU_ABI_AT(iommu_ioas_map_file, fd, 12);
SIOMMU_ABI_AT(iommu_ioas_map_file, start, 16);
SIOMMU_ABI_AT(iommu_ioas_map_file, length, 24);
SIOMMU_ABI_AT(iommu_ioas_map_file, iova, 32);

SIOMMU_ABI_SIZE(iommu_ioas_copy, 40);
SIOMMU_ABI_AT(iommu_ioas_copy, size, 0);
SIOMMU_ABI_AT(iommu_ioas_copy, flags, 4);
SIOMMU_ABI_AT(iommu_ioas_copy, dst_ioas_id, 8);
SIOMMU_ABI_AT(iommu_ioas_copy, src_ioas_id, 12);
SIOMMU_ABI_AT(iommu_ioas_copy, length, 16);
SIOMMU_ABI_AT(iommu_ioas_copy, dst_iova, 24);
SIOMMU_ABI_AT(iommu_ioas_copy, src_iova, 32);

SIOMMU_ABI_SIZE(iommu_ioas_unmap, 24);
SIOMMU_ABI_AT(iommu_ioas_unmap, size, 0);
SIOMMU_ABI_AT(iommu_ioas_unmap, ioas_id, 4);
SIOMMU_ABI_AT(iommu_ioas_unmap, iova, 8);
SIOMMU_ABI_AT(iommu_ioas_unmap, length, 16);

SIOMMU_ABI_SIZE(iommu_option, 24);
SIOMMU_ABI_AT(iommu_option, size, 0);
SIOMMU_ABI_AT(iommu_option, option_id, 4);
SIOMMU_ABI_AT(iommu_option, op, 8);
SIOMMU_ABI_AT(iommu_option, __reserved, 10);
SIOMMU_ABI_AT(iommu_option, object_id, 12);
SIOMMU_ABI_AT(iommu_option, val64, 16);

SIOMMU_ABI_SIZE(iommu_vfio_ioas, 12);
SIOMMU_ABI_AT(iommu_vfio_ioas, size, 0);
SIOMMU_ABI_AT(iommu_vfio_ioas, ioas_id, 4);
SIOMMU_ABI_AT(iommu_vfio_ioas, op, 8);
SIOMMU_ABI_AT(iommu_vfio_ioas, __reserved, 10);

SIOMMU_ABI_SIZE(iommu_hwpt_vtd_s1, 24);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1, flags, 0);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1, pgtbl_addr, 8);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1, addr_width, 16);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1, __reserved, 20);

SIOMMU_ABI_SIZE(iommu_hwpt_arm_smmuv3, 16);
SIOMMU_ABI_AT(iommu_hwpt_arm_smmuv3, ste, 0);

SIOMMU_ABI_SIZE(iommu_hwpt_amd_guest, 32);
SIOMMU_ABI_AT(iommu_hwpt_amd_guest, dte, 0);

SIOMMU_ABI_SIZE(iommu_hwpt_alloc, 48);
SIOMMU_ABI_AT(iommu_hwpt_alloc, size, 0);
SIOMMU_ABI_AT(iommu_hwpt_alloc, flags, 4);
SIOMMU_ABI_AT(iommu_hwpt_alloc, dev_id, 8);
SIOMMU_ABI_AT(iommu_hwpt_alloc, pt_id, 12);
SIOMMU_ABI_AT(iommu_hwpt_alloc, out_hwpt_id, 16);
SIOMMU_ABI_AT(iommu_hwpt_alloc, __reserved, 20);
SIOMMU_ABI_AT(iommu_hwpt_alloc, data_type, 24);
SIOMMU_ABI_AT(iommu_hwpt_alloc, data_len, 28);
SIOMMU_ABI_AT(iommu_hwpt_alloc, data_uptr, 32);
SIOMMU_ABI_AT(iommu_hwpt_alloc, fault_id, 40);
SIOMMU_ABI_AT(iommu_hwpt_alloc, __reserved2, 44);

SIOMMU_ABI_SIZE(iommu_hw_info_vtd, 24);
SIOMMU_ABI_AT(iommu_hw_info_vtd, flags, 0);
SIOMMU_ABI_AT(iommu_hw_info_vtd, __reserved, 4);
SIOMMU_ABI_AT(iommu_hw_info_vtd, cap_reg, 8);
SIOMMU_ABI_AT(iommu_hw_info_vtd, ecap_reg, 16);

SIOMMU_ABI_SIZE(iommu_hw_info_arm_smmuv3, 40);
SIOMMU_ABI_AT(iommu_hw_info_arm_smmuv3, flags, 0);
SIOMMU_ABI_AT(iommu_hw_info_arm_smmuv3, __reserved, 4);
SIOMMU_ABI_AT(iommu_hw_info_arm_smmuv3, idr, 8);
SIOMMU_ABI_AT(iommu_hw_info_arm_smmuv3, iidr, 32);
SIOMMU_ABI_AT(iommu_hw_info_arm_smmuv3, aidr, 36);

SIOMMU_ABI_SIZE(iommu_hw_info_tegra241_cmdqv, 8);
SIOMMU_ABI_AT(iommu_hw_info_tegra241_cmdqv, flags, 0);
SIOMMU_ABI_AT(iommu_hw_info_tegra241_cmdqv, version, 4);
SIOMMU_ABI_AT(iommu_hw_info_tegra241_cmdqv, log2vcmdqs, 5);
SIOMMU_ABI_AT(iommu_hw_info_tegra241_cmdqv, log2vsids, 6);
SIOMMU_ABI_AT(iommu_hw_info_tegra241_cmdqv, __reserved, 7);

SIOMMU_ABI_SIZE(iommu_hw_info_amd, 16);
SIOMMU_ABI_AT(iommu_hw_info_amd, efr, 0);
SIOMMU_ABI_AT(iommu_hw_info_amd, efr2, 8);

SIOMMU_ABI_SIZE(iommu_hw_info, 40);
SIOMMU_ABI_AT(iommu_hw_info, size, 0);
SIOMMU_ABI_AT(iommu_hw_info, flags, 4);
SIOMMU_ABI_AT(iommu_hw_info, dev_id, 8);
SIOMMU_ABI_AT(iommu_hw_info, data_len, 12);
SIOMMU_ABI_AT(iommu_hw_info, data_uptr, 16);
SIOMMU_ABI_AT(iommu_hw_info, in_data_type, 24);
SIOMMU_ABI_AT(iommu_hw_info, out_data_type, 24);
SIOMMU_ABI_AT(iommu_hw_info, out_max_pasid_log2, 28);
SIOMMU_ABI_AT(iommu_hw_info, __reserved, 29);
SIOMMU_ABI_AT(iommu_hw_info, out_capabilities, 32);

SIOMMU_ABI_SIZE(iommu_hwpt_set_dirty_tracking, 16);
SIOMMU_ABI_AT(iommu_hwpt_set_dirty_tracking, size, 0);
SIOMMU_ABI_AT(iommu_hwpt_set_dirty_tracking, flags, 4);
SIOMMU_ABI_AT(iommu_hwpt_set_dirty_tracking, hwpt_id, 8);
SIOMMU_ABI_AT(iommu_hwpt_set_dirty_tracking, __reserved, 12);

SIOMMU_ABI_SIZE(iommu_hwpt_get_dirty_bitmap, 48);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, size, 0);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, hwpt_id, 4);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, flags, 8);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, __reserved, 12);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, iova, 16);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, length, 24);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, page_size, 32);
SIOMMU_ABI_AT(iommu_hwpt_get_dirty_bitmap, data, 40);

SIOMMU_ABI_SIZE(iommu_hwpt_vtd_s1_invalidate, 24);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1_invalidate, addr, 0);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1_invalidate, npages, 8);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1_invalidate, flags, 16);
SIOMMU_ABI_AT(iommu_hwpt_vtd_s1_invalidate, __reserved, 20);

SIOMMU_ABI_SIZE(iommu_viommu_arm_smmuv3_invalidate, 16);
SIOMMU_ABI_AT(iommu_viommu_arm_smmuv3_invalidate, cmd, 0);

SIOMMU_ABI_SIZE(iommu_hwpt_invalidate, 32);
SIOMMU_ABI_AT(iommu_hwpt_invalidate, size, 0);
SIOMMU_ABI_AT(iommu_hwpt_invalidate, hwpt_id, 4);
SIOMMU_ABI_AT(iommu_hwpt_invalidate, data_uptr, 8);
SIOMMU_ABI_AT(iommu_hwpt_invalidate, data_type, 16);
SIOMMU_ABI_AT(iommu_hwpt_invalidate, entry_len, 20);
SIOMMU_ABI_AT(iommu_hwpt_invalidate, entry_num, 24);
SIOMMU_ABI_AT(iommu_hwpt_invalidate, __reserved, 28);

SIOMMU_ABI_SIZE(iommu_hwpt_pgfault, 40);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, flags, 0);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, dev_id, 4);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, pasid, 8);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, grpid, 12);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, perm, 16);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, __reserved, 20);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, addr, 24);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, length, 32);
SIOMMU_ABI_AT(iommu_hwpt_pgfault, cookie, 36);

SIOMMU_ABI_SIZE(iommu_hwpt_page_response, 8);
SIOMMU_ABI_AT(iommu_hwpt_page_response, cookie, 0);
SIOMMU_ABI_AT(iommu_hwpt_page_response, code, 4);

SIOMMU_ABI_SIZE(iommu_fault_alloc, 16);
SIOMMU_ABI_AT(iommu_fault_alloc, size, 0);
SIOMMU_ABI_AT(iommu_fault_alloc, flags, 4);
SIOMMU_ABI_AT(iommu_fault_alloc, out_fault_id, 8);
SIOMMU_ABI_AT(iommu_fault_alloc, out_fault_fd, 12);

SIOMMU_ABI_SIZE(iommu_viommu_tegra241_cmdqv, 16);
SIOMMU_ABI_AT(iommu_viommu_tegra241_cmdqv, out_vintf_mmap_offset, 0);
SIOMMU_ABI_AT(iommu_viommu_tegra241_cmdqv, out_vintf_mmap_length, 8);

SIOMMU_ABI_SIZE(iommu_viommu_alloc, 40);
SIOMMU_ABI_AT(iommu_viommu_alloc, size, 0);
SIOMMU_ABI_AT(iommu_viommu_alloc, flags, 4);
SIOMMU_ABI_AT(iommu_viommu_alloc, type, 8);
SIOMMU_ABI_AT(iommu_viommu_alloc, dev_id, 12);
SIOMMU_ABI_AT(iommu_viommu_alloc, hwpt_id, 16);
SIOMMU_ABI_AT(iommu_viommu_alloc, out_viommu_id, 20);
SIOMMU_ABI_AT(iommu_viommu_alloc, data_len, 24);
SIOMMU_ABI_AT(iommu_viommu_alloc, __reserved, 28);
SIOMMU_ABI_AT(iommu_viommu_alloc, data_uptr, 32);

SIOMMU_ABI_SIZE(iommu_vdevice_alloc, 24);
SIOMMU_ABI_AT(iommu_vdevice_alloc, size, 0);
SIOMMU_ABI_AT(iommu_vdevice_alloc, viommu_id, 4);
SIOMMU_ABI_AT(iommu_vdevice_alloc, dev_id, 8);
SIOMMU_ABI_AT(iommu_vdevice_alloc, out_vdevice_id, 12);
SIOMMU_ABI_AT(iommu_vdevice_alloc, virt_id, 16);

SIOMMU_ABI_SIZE(iommu_ioas_change_process, 8);
SIOMMU_ABI_AT(iommu_ioas_change_process, size, 0);
SIOMMU_ABI_AT(iommu_ioas_change_process, __reserved, 4);

SIOMMU_ABI_SIZE(iommufd_vevent_header, 8);
SIOMMU_ABI_AT(iommufd_vevent_header, flags, 0);
SIOMMU_ABI_AT(iommufd_vevent_header, sequence, 4);

SIOMMU_ABI_SIZE(iommu_vevent_arm_smmuv3, 32);
SIOMMU_ABI_AT(iommu_vevent_arm_smmuv3, evt, 0);

SIOMMU_ABI_SIZE(iommu_vevent_tegra241_cmdqv, 16);
SIOMMU_ABI_AT(iommu_vevent_tegra241_cmdqv, lvcmdq_err_map, 0);

SIOMMU_ABI_SIZE(iommu_veventq_alloc, 32);
SIOMMU_ABI_AT(iommu_veventq_alloc, size, 0);
SIOMMU_ABI_AT(iommu_veventq_alloc, flags, 4);
SIOMMU_ABI_AT(iommu_veventq_alloc, viommu_id, 8);
SIOMMU_ABI_AT(iommu_veventq_alloc, type, 12);
SIOMMU_ABI_AT(iommu_veventq_alloc, veventq_depth, 16);
SIOMMU_ABI_AT(iommu_veventq_alloc, out_veventq_id, 20);
SIOMMU_ABI_AT(iommu_veventq_alloc, out_veventq_fd, 24);
SIOMMU_ABI_AT(iommu_veventq_alloc, __reserved, 28);

SIOMMU_ABI_SIZE(iommu_hw_queue_alloc, 40);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, size, 0);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, flags, 4);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, viommu_id, 8);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, type, 12);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, index, 16);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, out_hw_queue_id, 20);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, nesting_parent_iova, 24);
SIOMMU_ABI_AT(iommu_hw_queue_alloc, length, 32);

#endif /* SIOMMU_ABI_IOMMUFD */

#endif /* SIOMMU_ABI_IOMMUFD_H */
