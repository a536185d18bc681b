/* SPDX-License-Identifier: MIT */
/*
 * Intel's Data Streaming Accelerator, version 1: registers, descriptors, completion
 * records, by its architecture specification.
 */
#ifndef DSA_REGS_H
#define DSA_REGS_H

#include "base/types.h"

#define DSA_DEVICE_ID 0x0b25 /* Sapphire Rapids */
#define DSA_VERSION   0x100

/* BAR 0 */
#define DSA_REG_VERSION	 0x00
#define DSA_REG_GENCAP	 0x10
#define DSA_REG_WQCAP	 0x20
#define DSA_REG_GRPCAP	 0x30
#define DSA_REG_ENGCAP	 0x38
#define DSA_REG_OPCAP	 0x40
#define DSA_REG_OFFSETS	 0x60
#define DSA_REG_GENCFG	 0x80
#define DSA_REG_GENCTRL	 0x88
#define DSA_REG_GENSTS	 0x90
#define DSA_REG_INTCAUSE 0x98
#define DSA_REG_CMD	 0xa0
#define DSA_REG_CMDSTS	 0xa8
#define DSA_REG_CMDCAP	 0xb0
#define DSA_REG_SWERROR	 0xc0
#define DSA_GRPCFG	 0x400
#define DSA_WQCFG	 0x600
#define DSA_MSIXPERM	 0xc00

#define GRPCFG_BYTES   64
#define GRPCFG_ENGINES 32
#define WQCFG_BYTES    64
#define MSIXPERM_BYTES 8

#define GENCAP_BLOCK_ON_FAULT ((u64)1 << 0)
#define GENCAP_OVERLAP	      ((u64)1 << 1)
#define GENCAP_CACHE_MEMORY   ((u64)1 << 2)
#define GENCAP_CMDCAP	      ((u64)1 << 4)
#define GENCAP_DEST_READBACK  ((u64)1 << 8)
#define GENCAP_XFER_SHIFT     16
#define GENCAP_BATCH_SHIFT    21
#define GENCAP_CONFIG	      ((u64)1 << 31)

#define WQCAP_WQS_SHIFT	    16
#define WQCAP_WQCFG_64	    ((u64)1 << 24)
#define WQCAP_SHARED	    ((u64)1 << 48)
#define WQCAP_DEDICATED	    ((u64)1 << 49)
#define WQCAP_ATS	    ((u64)1 << 50)
#define WQCAP_PRIORITY	    ((u64)1 << 51)
#define WQCAP_OPCFG	    ((u64)1 << 54)
#define WQCAP_PRS	    ((u64)1 << 55)
#define GRPCAP_RDBUFS_SHIFT 8

#define GENCTRL_SWERROR 0x1
#define GENCTRL_KNOWN	0x3

#define INTCAUSE_SWERROR 0x1
#define INTCAUSE_COMMAND 0x2

#define CMD_CODE(cmd)	 ((cmd) >> 20 & 0x1f)
#define CMD_OPERAND(cmd) ((cmd)&0xfffff)
#define CMD_INTERRUPT	 ((u32)1 << 31)

enum dsa_cmd {
	CMD_NONE,
	CMD_ENABLE_DEVICE,
	CMD_DISABLE_DEVICE,
	CMD_DRAIN_ALL,
	CMD_ABORT_ALL,
	CMD_RESET_DEVICE,
	CMD_ENABLE_WQ,
	CMD_DISABLE_WQ,
	CMD_DRAIN_WQ,
	CMD_ABORT_WQ,
	CMD_RESET_WQ,
	CMD_DRAIN_PASID,
	CMD_ABORT_PASID,
};

#define CMDS_KNOWN 0x1ffe

#define CMDSTS_ACTIVE ((u32)1 << 31)

enum dsa_cmd_error {
	CMDSTS_OK = 0x00,
	CMDSTS_BAD_COMMAND = 0x01,
	CMDSTS_BAD_WQ = 0x02,
	CMDSTS_DEVICE_ENABLED = 0x10,
	CMDSTS_NO_BUS_MASTER = 0x12,
	CMDSTS_WQ_SIZES = 0x14,
	CMDSTS_GROUP_WQ = 0x15,
	CMDSTS_GROUP_ENGINE = 0x16,
	CMDSTS_DEVICE_DISABLED = 0x20,
	CMDSTS_WQ_ENABLED = 0x21,
	CMDSTS_WQ_SIZE = 0x22,
	CMDSTS_WQ_PRIORITY = 0x23,
	CMDSTS_WQ_BOF = 0x25,
	CMDSTS_WQ_PASID = 0x26,
	CMDSTS_WQ_BATCH = 0x27,
	CMDSTS_WQ_XFER = 0x28,
	CMDSTS_NOT_ENABLED = 0x31,
	CMDSTS_WQ_NOT_ENABLED = 0x32,
};

/* Words of 32 bits of a WQCFG, and what is in them. */
#define WQ_SIZE	  0
#define WQ_THRESH 1
#define WQ_MODE	  2
#define WQ_LIMIT  3
#define WQ_STATE  6
#define WQ_OPCFG  8
#define WQ_WORDS  16

#define WQ_DEDICATED	  0x1
#define WQ_BOF		  0x2
#define WQ_PRS_DISABLE	  0x8
#define WQ_PRIORITY(word) ((word) >> 4 & 0xf)
#define WQ_PASID(word)	  ((word) >> 8 & 0xfffff)
#define WQ_PASID_EN	  ((u32)1 << 28)
#define WQ_PRIV		  ((u32)1 << 29)
#define WQ_XFER(word)	  ((word)&0x1f)
#define WQ_BATCH(word)	  ((word) >> 5 & 0xf)
#define WQ_STATE_ENABLED  ((u32)1 << 30)
#define WQ_STATE_BUSY	  ((u32)2 << 30)

#define MSIXPERM_IGNORE	  0x4
#define MSIXPERM_PASID_EN 0x8
#define MSIXPERM_KNOWN	  0xfffff00c

/* BAR 2: a page of each kind per WQ. Odd ones of shared WQs keep to the threshold. */
#define DSA_PORTALS	 4
#define DSA_PORTAL_BYTES 4096

#define DSA_DESC_BYTES 64

/**
 * struct dsa_desc - a descriptor
 * @pasid: of shared WQs: PASID, and DSA_PRIV
 * @op: flags in the low 24 bits, operation in the others
 * @record: address of the completion record
 * @src: first address
 * @dst: second address
 * @size: bytes; of a batch, descriptors
 * @handle: interrupt handle
 * @reserved: 0
 * @more: for the operation
 */
struct dsa_desc {
	u32 pasid;
	u32 op;
	u64 record;
	u64 src;
	u64 dst;
	u32 size;
	u16 handle;
	u16 reserved;
	u8 more[24];
};

#define DSA_PASID(word) ((word)&0xfffff)
#define DSA_PRIV	((u32)1 << 31)

#define DSA_FENCE    0x0001
#define DSA_BOF	     0x0002
#define DSA_CRAV     0x0004 /* there is a completion record */
#define DSA_RCR	     0x0008 /* write it in any case */
#define DSA_RCI	     0x0010 /* interrupt */
#define DSA_CHECK    0x0080 /* compare the result */
#define DSA_CACHE    0x0100
#define DSA_READBACK 0x4000
#define DSA_STRICT   0x2000
#define DSA_TCS	     0x1e20 /* traffic classes and steering: of all operations */

#define DSA_CRC_SEED	0x010000 /* read it */
#define DSA_CRC_PLAIN	0x020000 /* do not invert or reflect the CRC */
#define DSA_CRC_FORWARD 0x040000 /* do not reflect the bits of bytes */

enum dsa_opcode {
	DSA_NOOP = 0x00,
	DSA_BATCH = 0x01,
	DSA_DRAIN = 0x02,
	DSA_MOVE = 0x03,
	DSA_FILL = 0x04,
	DSA_COMPARE = 0x05,
	DSA_COMPARE_PATTERN = 0x06,
	DSA_CREATE_DELTA = 0x07,
	DSA_APPLY_DELTA = 0x08,
	DSA_DUALCAST = 0x09,
	DSA_CRC = 0x10,
	DSA_COPY_CRC = 0x11,
	DSA_FLUSH = 0x20,
	DSA_NOPS = 0x21,
};

enum dsa_status {
	DSA_OK = 0x01,
	DSA_OK_UNEXPECTED = 0x02,
	DSA_PAGE_FAULT = 0x03,
	DSA_PAGE_REFUSED = 0x04,
	DSA_BATCH_FAILED = 0x05,
	DSA_BATCH_FAULT = 0x06,
	DSA_DELTA_ORDER = 0x07,
	DSA_DELTA_RANGE = 0x08,
	DSA_BAD_OPCODE = 0x10,
	DSA_BAD_FLAGS = 0x11,
	DSA_BAD_RESERVED = 0x12,
	DSA_BAD_SIZE = 0x13,
	DSA_BAD_COUNT = 0x14,
	DSA_BAD_DELTA_SIZE = 0x15,
	DSA_OVERLAP = 0x16,
	DSA_BAD_DUALCAST = 0x17,
	DSA_BAD_LIST = 0x18,
	DSA_BAD_HANDLE = 0x19,
	DSA_RECORD_FAULT = 0x1a,
	DSA_RECORD_ALIGN = 0x1b,
	DSA_BAD_ALIGN = 0x1c,
	DSA_BAD_PRIV = 0x1d,
};

#define DSA_FAULT_WRITE 0x80 /* in the status of page faults */

/**
 * struct dsa_record - a completion record
 * @status: enum dsa_status; written last
 * @result: of the operation
 * @fault_info: bit 0: a page fault's access was a write
 * @reserved: 0
 * @done: bytes, or descriptors
 * @fault: address of a page fault
 * @flags: those that are invalid; size of a delta; or
 * @crc: a CRC
 * @more: 0
 */
struct dsa_record {
	u8 status;
	u8 result;
	u8 fault_info;
	u8 reserved;
	u32 done;
	u64 fault;
	union {
		u32 flags;
		u64 crc;
	};
	u64 more;
};

/* A delta: 16 bits of offset in 8 bytes, and these 8 bytes. */
#define DELTA_BYTES	10
#define DELTA_MIN_BYTES 80
#define DELTA_MAX_SIZE	0x80000

#endif
