/* SPDX-License-Identifier: MIT */
/*
 * Numbers and layouts of the NVM Express Base Specification, revision 1.4. Section
 * numbers in this folder are of that document. All values are little-endian, as are the
 * machines that this runs on.
 */
#ifndef NVME_SPEC_H
#define NVME_SPEC_H

#include "base/types.h"

/* Registers (3.1). */
#define NVME_CAP    0x00
#define NVME_VS	    0x08
#define NVME_INTMS  0x0c
#define NVME_INTMC  0x10
#define NVME_CC	    0x14
#define NVME_CSTS   0x1c
#define NVME_AQA    0x24
#define NVME_ASQ    0x28
#define NVME_ACQ    0x30
#define NVME_CMBLOC 0x38
#define NVME_CMBSZ  0x3c
#define NVME_CMBMSC 0x50
#define NVME_CMBSTS 0x58

#define NVME_DOORBELLS 0x1000

#define NVME_VERSION 0x00010400u

/* CAP (3.1.1). */
#define NVME_CAP_CQR	    ((u64)1 << 16)
#define NVME_CAP_TO(units)  ((u64)(units) << 24)
#define NVME_CAP_CSS_NVM    ((u64)1 << 37)
#define NVME_CAP_MPSMAX(lg) ((u64)((lg)-12) << 52)
#define NVME_CAP_CMBS	    ((u64)1 << 57)

/* CC (3.1.5). */
#define NVME_CC_EN	   0x1u
#define NVME_CC_CSS(cc)	   ((cc) >> 4 & 7)
#define NVME_CC_MPS(cc)	   ((cc) >> 7 & 0xf)
#define NVME_CC_AMS(cc)	   ((cc) >> 11 & 7)
#define NVME_CC_SHN(cc)	   ((cc) >> 14 & 3)
#define NVME_CC_IOSQES(cc) ((cc) >> 16 & 0xf)
#define NVME_CC_IOCQES(cc) ((cc) >> 20 & 0xf)
#define NVME_CC_WRITABLE   0x00fffff1u

/* CSTS (3.1.6). */
#define NVME_CSTS_RDY	    0x1u
#define NVME_CSTS_CFS	    0x2u
#define NVME_CSTS_SHST	    0xcu
#define NVME_CSTS_SHST_BUSY 0x4u
#define NVME_CSTS_SHST_DONE 0x8u

/* CMBLOC, CMBSZ, CMBMSC, CMBSTS (3.1.11, 3.1.12, 3.1.16, 3.1.17). */
#define NVME_CMBSZ_ALL	 0x1fu /* queues, lists, data both ways */
#define NVME_CMBMSC_CRE	 0x1u
#define NVME_CMBMSC_CMSE 0x2u
#define NVME_CMBSTS_CBAI 0x1u

/* Opcodes of admin commands (5). */
enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_ASYNC_EVENT = 0x0c,
	NVME_ADMIN_DOORBELL_BUFFER = 0x7c,
};

/* Opcodes of the NVM command set (6). */
enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_COMPARE = 0x05,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DSM = 0x09,
	NVME_IO_VERIFY = 0x0c,
};

/*
 * Status codes (4.6.1): the type in bits 10:8, and whether trying again is useless. As
 * in a completion, less the phase bit.
 */
#define NVME_DNR  0x4000u
#define NVME_MORE 0x2000u

enum nvme_status {
	NVME_OK = 0x000,
	NVME_INVALID_OPCODE = 0x001 | NVME_DNR,
	NVME_INVALID_FIELD = 0x002 | NVME_DNR,
	NVME_DATA_TRANSFER = 0x004,
	NVME_INTERNAL = 0x006,
	NVME_ABORTED = 0x007,
	NVME_INVALID_NAMESPACE = 0x00b | NVME_DNR,
	NVME_SEQUENCE = 0x00c | NVME_DNR,
	NVME_SGL_BAD_SEGMENT = 0x00d | NVME_DNR,
	NVME_SGL_BAD_COUNT = 0x00e | NVME_DNR,
	NVME_SGL_BAD_LENGTH = 0x00f | NVME_DNR,
	NVME_SGL_BAD_TYPE = 0x011 | NVME_DNR,
	NVME_BAD_CMB_USE = 0x012 | NVME_DNR,
	NVME_PRP_OFFSET = 0x013 | NVME_DNR,
	NVME_WRITE_PROTECTED = 0x020 | NVME_DNR,
	NVME_LBA_RANGE = 0x080 | NVME_DNR,
	NVME_CAPACITY = 0x081 | NVME_DNR,
	NVME_CQ_INVALID = 0x100 | NVME_DNR,
	NVME_QID_INVALID = 0x101 | NVME_DNR,
	NVME_QUEUE_SIZE = 0x102 | NVME_DNR,
	NVME_TOO_MANY_EVENTS = 0x105 | NVME_DNR,
	NVME_BAD_VECTOR = 0x108 | NVME_DNR,
	NVME_BAD_LOG = 0x109 | NVME_DNR,
	NVME_QUEUE_IN_USE = 0x10c | NVME_DNR,
	NVME_NOT_SAVEABLE = 0x10d | NVME_DNR,
	NVME_NOT_CHANGEABLE = 0x10e | NVME_DNR,
	NVME_NOT_PER_NAMESPACE = 0x10f | NVME_DNR,
	NVME_WRITE_FAULT = 0x280 | NVME_DNR,
	NVME_READ_ERROR = 0x281 | NVME_DNR,
	NVME_COMPARE_FAILURE = 0x285 | NVME_DNR,
	/* Of ours: no completion now. */
	NVME_LATER = 0xffff,
};

#define NVME_ALL_NAMESPACES 0xffffffffu

/* Features (5.21.1). */
enum nvme_feature {
	NVME_FEAT_ARBITRATION = 0x01,
	NVME_FEAT_POWER = 0x02,
	NVME_FEAT_TEMPERATURE = 0x04,
	NVME_FEAT_ERROR_RECOVERY = 0x05,
	NVME_FEAT_WRITE_CACHE = 0x06,
	NVME_FEAT_QUEUES = 0x07,
	NVME_FEAT_COALESCING = 0x08,
	NVME_FEAT_VECTOR = 0x09,
	NVME_FEAT_ATOMICITY = 0x0a,
	NVME_FEAT_EVENTS = 0x0b,
	NVME_FEAT_TIMESTAMP = 0x0e,
	NVME_FEAT_HOST_BEHAVIOR = 0x16,
};

/* Logs (5.14.1). */
enum nvme_log {
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_HEALTH = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_CHANGED_NS = 0x04,
	NVME_LOG_EFFECTS = 0x05,
};

/* Asynchronous events (5.2): types, and what they say. */
enum nvme_event_type {
	NVME_EVENT_ERROR = 0,
	NVME_EVENT_HEALTH = 1,
	NVME_EVENT_NOTICE = 2,
	NVME_EVENT_TYPES,
};

#define NVME_EVENT_BAD_DOORBELL	      0 /* error: of a queue that is not there */
#define NVME_EVENT_BAD_DOORBELL_VALUE 1
#define NVME_EVENT_TEMPERATURE	      1 /* health */

struct nvme_sqe {
	u8 opcode;
	u8 flags;
	u16 cid;
	u32 nsid;
	u32 cdw2;
	u32 cdw3;
	u64 mptr;
	u64 prp1;
	u64 prp2;
	u32 cdw10;
	u32 cdw11;
	u32 cdw12;
	u32 cdw13;
	u32 cdw14;
	u32 cdw15;
};

struct nvme_cqe {
	u32 dw0;
	u32 dw1;
	u16 sq_head;
	u16 sq_id;
	u16 cid;
	u16 status;
};

/* An SGL descriptor (4.4.1). */
struct nvme_sgl {
	u64 address;
	u32 length;
	u8 reserved[3];
	u8 type;
};

#define NVME_SGL_DATA	      0x0
#define NVME_SGL_BIT_BUCKET   0x1
#define NVME_SGL_SEGMENT      0x2
#define NVME_SGL_LAST_SEGMENT 0x3

/* Identify Controller (5.15.2.2): what is not named is zero. */
struct nvme_id_ctrl {
	u16 vid;
	u16 ssvid;
	char sn[20];
	char mn[40];
	char fr[8];
	u8 rab;
	u8 ieee[3];
	u8 cmic;
	u8 mdts;
	u16 cntlid;
	u32 ver;
	u32 rtd3r;
	u32 rtd3e;
	u32 oaes;
	u32 ctratt;
	u8 reserved100[11];
	u8 cntrltype;
	u8 fguid[16];
	u8 reserved128[128];
	u16 oacs;
	u8 acl;
	u8 aerl;
	u8 frmw;
	u8 lpa;
	u8 elpe;
	u8 npss;
	u8 avscc;
	u8 apsta;
	u16 wctemp;
	u16 cctemp;
	u8 reserved270[10];
	u64 tnvmcap[2];
	u64 unvmcap[2];
	u8 reserved312[200];
	u8 sqes;
	u8 cqes;
	u16 maxcmd;
	u32 nn;
	u16 oncs;
	u16 fuses;
	u8 fna;
	u8 vwc;
	u16 awun;
	u16 awupf;
	u8 nvscc;
	u8 nwpc;
	u16 acwu;
	u16 reserved534;
	u32 sgls;
	u32 mnan;
	u8 reserved544[224];
	char subnqn[256];
	u8 reserved1024[1024];
	u16 psd0_power;
	u8 psd0_rest[2046];
} __attribute__((packed));

/* Identify Namespace (5.15.2.1). */
struct nvme_id_ns {
	u64 nsze;
	u64 ncap;
	u64 nuse;
	u8 nsfeat;
	u8 nlbaf;
	u8 flbas;
	u8 mc;
	u8 dpc;
	u8 dps;
	u8 nmic;
	u8 rescap;
	u8 fpi;
	u8 dlfeat;
	u8 reserved34[14];
	u64 nvmcap[2];
	u8 reserved64[35];
	u8 nsattr;
	u16 nvmsetid;
	u16 endgid;
	u8 nguid[16];
	u64 eui64;
	u32 lbaf[16];
	u8 reserved192[3904];
} __attribute__((packed));

/* An entry of the error log (5.14.1.1). */
struct nvme_error_entry {
	u64 count;
	u16 sq_id;
	u16 cid;
	u16 status;
	u16 location;
	u64 lba;
	u32 nsid;
	u8 vendor;
	u8 transport;
	u8 reserved30[2];
	u64 command_specific;
	u8 reserved40[24];
} __attribute__((packed));

/* SMART / Health (5.14.1.2). */
struct nvme_health {
	u8 critical_warning;
	u16 temperature;
	u8 spare;
	u8 spare_threshold;
	u8 used;
	u8 group_warning;
	u8 reserved7[25];
	u64 units_read[2];
	u64 units_written[2];
	u64 reads[2];
	u64 writes[2];
	u64 busy_minutes[2];
	u64 power_cycles[2];
	u64 power_on_hours[2];
	u64 unsafe_shutdowns[2];
	u64 media_errors[2];
	u64 errors[2];
	u32 warning_minutes;
	u32 critical_minutes;
	u16 sensors[8];
	u8 reserved216[296];
} __attribute__((packed));

/* A range of Dataset Management (6.7.1). */
struct nvme_dsm_range {
	u32 attributes;
	u32 blocks;
	u64 slba;
};

_Static_assert(sizeof(struct nvme_sqe) == 64 && sizeof(struct nvme_cqe) == 16, "queues");
_Static_assert(sizeof(struct nvme_sgl) == 16 && sizeof(struct nvme_dsm_range) == 16, "lists");
_Static_assert(sizeof(struct nvme_id_ctrl) == 4096 && sizeof(struct nvme_id_ns) == 4096,
	       "identify");
_Static_assert(offsetof(struct nvme_id_ctrl, oacs) == 256, "controller");
_Static_assert(offsetof(struct nvme_id_ctrl, sqes) == 512, "controller");
_Static_assert(offsetof(struct nvme_id_ctrl, sgls) == 536, "controller");
_Static_assert(offsetof(struct nvme_id_ctrl, subnqn) == 768, "controller");
_Static_assert(offsetof(struct nvme_id_ctrl, psd0_power) == 2048, "controller");
_Static_assert(offsetof(struct nvme_id_ns, nguid) == 104, "namespace");
_Static_assert(offsetof(struct nvme_id_ns, lbaf) == 128, "namespace");
_Static_assert(sizeof(struct nvme_error_entry) == 64 && sizeof(struct nvme_health) == 512, "logs");

#endif
