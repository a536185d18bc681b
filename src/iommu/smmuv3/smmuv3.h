/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: the structures of the "Arm System Memory
 * Management Unit Architecture Specification, SMMU architecture version 3" (IHI
 * 0070), and the model's own.
 *
 * The driver half (domain.c, viommu.c, ste.c) does what Linux's driver does, and
 * writes stream table entries (STE) and context descriptors (CD) in their own
 * format. The hardware half (config.c, walk.c, hw.c) reads only those, and the
 * tables that they lead to. event.c makes event records, and tells a guest.
 */
#ifndef SMMUV3_SMMUV3_H
#define SMMUV3_SMMUV3_H

#include <stdatomic.h>

#include <softiommu/abi/iommufd.h>

#include "iommu/models.h"
#include "pt/pt.h"

/* Bits @high to @low of @word. */
static inline u64 field(u64 word, unsigned int high, unsigned int low)
{
	return word >> low & (((u64)2 << (high - low)) - 1);
}

/* Section 6.3.1 "SMMU_IDR0" and what follows it. */
#define IDR0_S2P	 (1u << 0)
#define IDR0_S1P	 (1u << 1)
#define IDR0_TTF_AARCH64 (1u << 3)
#define IDR0_COHACC	 (1u << 4)
#define IDR0_HTTU_AD	 (2u << 6)
#define IDR0_ATS	 (1u << 10)
#define IDR0_ASID16	 (1u << 12)
#define IDR0_MSI	 (1u << 13)
#define IDR0_VMID16	 (1u << 18)
#define IDR0_CD2L	 (1u << 19)
#define IDR0_TTENDIAN_LE (2u << 21)
#define IDR0_TTENDIAN_BE (3u << 21)
#define IDR0_STALL_NEVER (1u << 24)
#define IDR0_TERM_MODEL	 (1u << 26)
#define IDR0_ST_2LEVEL	 (1u << 27)

/* STALL_MODEL, bits 25:24. */
enum { STALL_OPTIONAL, STALL_NEVER, STALL_FORCED };

#define IDR1_SSIDSIZE_LOW 6
#define IDR1_CMDQS_19	  (19u << 21)
#define IDR1_EVTQS_19	  (19u << 16)

#define IDR3_HAD    (1u << 2)
#define IDR3_XNX    (1u << 4)
#define IDR3_FWB    (1u << 8)
#define IDR3_RIL    (1u << 10)
#define IDR3_BBML_2 (2u << 11)

#define IDR5_GRAN4K  (1u << 4)
#define IDR5_GRAN16K (1u << 5)
#define IDR5_GRAN64K (1u << 6)
#define IDR5_DS	     (1u << 7)

#define AIDR_V3_2 2

/* Section 5.1 "Level 1 Stream Table Descriptor". */
#define L1STD_SPAN  9 /* 2^8 STEs behind each */
#define L1STD_SPLIT 8
#define L1STD_PTR   (((u64)1 << 52) - ((u64)1 << 6))
#define STE_WORDS   8
#define STES_BYTES  ((u64)(STE_WORDS * 8) << L1STD_SPLIT)

/* Section 5.2 "Stream Table Entry". */
#define STE0_V		  ((u64)1 << 0)
#define STE0_CFG_ABORT	  ((u64)0 << 1)
#define STE0_CFG_BYPASS	  ((u64)4 << 1)
#define STE0_CFG_S1	  ((u64)5 << 1)
#define STE0_CFG_S2	  ((u64)6 << 1)
#define STE0_CFG_NESTED	  ((u64)7 << 1)
#define STE0_CFG_MASK	  ((u64)7 << 1)
#define STE0_S1FMT_64K	  ((u64)2 << 4)
#define STE0_S1FMT_MASK	  ((u64)3 << 4)
#define STE0_S1CTX_MASK	  (((u64)1 << 52) - ((u64)1 << 6))
#define STE0_S1CDMAX_LOW  59
#define STE0_S1CDMAX_MASK ((u64)0x1f << 59)

#define STE1_S1DSS_TERMINATE ((u64)0 << 0)
#define STE1_S1DSS_SSID0     ((u64)2 << 0)
#define STE1_S1DSS_MASK	     ((u64)3 << 0)
#define STE1_S1CIR_WBRA	     ((u64)1 << 2)
#define STE1_S1COR_WBRA	     ((u64)1 << 4)
#define STE1_S1CSH_ISH	     ((u64)3 << 6)
#define STE1_S1C_MASK	     ((u64)0x3f << 2)
#define STE1_MEV	     ((u64)1 << 19)
#define STE1_S2FWB	     ((u64)1 << 25)
#define STE1_S1STALLD	     ((u64)1 << 27)
#define STE1_EATS_TRANS	     ((u64)1 << 28)
#define STE1_EATS_MASK	     ((u64)3 << 28)

#define STE2_VTCR_LOW 32
#define STE2_S2AA64   ((u64)1 << 51)
#define STE2_S2ENDI   ((u64)1 << 52)
#define STE2_S2AFFD   ((u64)1 << 53)
#define STE2_S2PTW    ((u64)1 << 54)
#define STE2_S2HD     ((u64)1 << 55)
#define STE2_S2HA     ((u64)1 << 56)
#define STE2_S2S      ((u64)1 << 57)
#define STE2_S2R      ((u64)1 << 58)

/* Section 5.3 "Level 1 Context Descriptor". */
#define L1CD_V	 ((u64)1 << 0)
#define L1CD_PTR (((u64)1 << 52) - ((u64)1 << 12))
#define L1CD_LG2 10 /* CDs behind each, with S1Fmt 2 */

/* Section 5.4 "Context Descriptor". */
#define CD_WORDS 8
#define CD_READ	 4 /* words that mean anything here */
#define CD0_EPD0 ((u64)1 << 14)
#define CD0_ENDI ((u64)1 << 15)
#define CD0_EPD1 ((u64)1 << 30)
#define CD0_V	 ((u64)1 << 31)
#define CD0_AFFD ((u64)1 << 35)
#define CD0_WXN	 ((u64)1 << 36)
#define CD0_TBI0 ((u64)1 << 38)
#define CD0_TBI1 ((u64)1 << 39)
#define CD0_PAN	 ((u64)1 << 40)
#define CD0_AA64 ((u64)1 << 41)
#define CD0_HD	 ((u64)1 << 42)
#define CD0_HA	 ((u64)1 << 43)
#define CD0_S	 ((u64)1 << 44)
#define CD0_R	 ((u64)1 << 45)
#define CD0_A	 ((u64)1 << 46)
#define CD0_ASET ((u64)1 << 47)
#define CD_HAD	 ((u64)1 << 1) /* of words 1 and 2 */

/* Section 7.3 "Event records": their numbers. */
enum {
	EVT_BAD_STE = 0x04,
	EVT_BAD_ATS_TREQ = 0x05,
	EVT_STREAM_DISABLED = 0x06,
	EVT_BAD_SUBSTREAMID = 0x08,
	EVT_CD_FETCH = 0x09,
	EVT_BAD_CD = 0x0a,
	EVT_WALK_EABT = 0x0b,
	EVT_TRANSLATION = 0x10,
	EVT_ADDR_SIZE = 0x11,
	EVT_ACCESS = 0x12,
	EVT_PERMISSION = 0x13,
};

/* CLASS of an event: what was being read or written. */
enum event_class { CLASS_CD, CLASS_TT, CLASS_IN };

#define EVT1_STALL ((u64)1 << 31)
#define EVT1_PNU   ((u64)1 << 33)
#define EVT1_IND   ((u64)1 << 34)
#define EVT1_RNW   ((u64)1 << 35)
#define EVT1_S2	   ((u64)1 << 39)
#define EVT1_TTRNW ((u64)1 << 44)
#define EVT0_SSV   ((u64)1 << 11)
#define EVT0_SID   ((u64)0xffffffff << 32)

/* Where Linux puts the addresses that interrupt messages are written to. */
#define MSI_BASE  ((u64)0x8000000)
#define MSI_BYTES ((u64)0x100000)

/*
 * Host physical addresses have this many bits, whatever IDR5 tells a guest; and
 * how IPS and S2PS say so.
 */
#define PA_BITS	   48
#define PS_48_BITS 5

/**
 * struct smmuv3_unit - one SMMU
 * @unit: the common part
 * @lock: covers the stream table's first level, and which StreamIDs are taken
 * @idr: as in the registers
 * @oas: bits of addresses that stage 1 puts out and stage 2 takes
 * @sid_bits: of StreamIDs
 * @ssid_bits: of SubstreamIDs
 * @canwbs: accesses of devices snoop whatever they say
 * @l1: the stream table: level 1 descriptors
 * @tag: the next ASID or VMID
 * @tbi: some guest has had addresses with a top byte that is ignored
 */
struct smmuv3_unit {
	struct iommu_unit unit;
	pthread_mutex_t lock;
	u32 idr[6];
	unsigned int oas;
	unsigned int sid_bits;
	unsigned int ssid_bits;
	bool canwbs;
	u64 *l1;
	_Atomic u32 tag;
	_Atomic u32 tbi;
};

/**
 * struct smmuv3_device - a device, which has one stream
 * @dev: the common part
 * @ats: ATS is enabled
 * @stall: its requests may stall
 * @ste: its entry in the stream table
 * @changes: odd while @ste or a CD is being written; read by ports
 * @cds: its CDs, or level 1 CDs; NULL until there is one
 * @cds_bytes: of @cds
 * @cd_in_ste: @ste leads to @cds
 * @blocked: requests without SubstreamID are attached to nothing
 * @ssids: how many SubstreamIDs are attached
 * @nested: what it is attached to, if that is nested
 * @viommu: whose guest is told of its events; covered by the group's lock
 * @vsid: its StreamID there
 */
struct smmuv3_device {
	struct iommu_device dev;
	bool ats;
	bool stall;
	_Atomic u64 *ste;
	_Atomic u32 changes;
	_Atomic u64 *cds;
	size_t cds_bytes;
	bool cd_in_ste;
	bool blocked;
	unsigned int ssids;
	struct iommu_domain *nested;
	struct iommu_viommu *viommu;
	u64 vsid;
};

/**
 * struct smmuv3_domain - a paging domain
 * @domain: the common part
 * @alloc: account that pays for it
 * @unit: the SMMU that it was made for
 * @stage: 1 or 2
 * @tag: its ASID or VMID
 * @pt: its tables
 */
struct smmuv3_domain {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct smmuv3_unit *unit;
	unsigned int stage;
	u32 tag;
	struct pt pt;
};

/**
 * struct smmuv3_nested - a guest's STE
 * @domain: the common part
 * @alloc: account that pays for it
 * @viommu: through which it was made
 * @ste: its first two words; 0 if it is not valid
 */
struct smmuv3_nested {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct iommu_viommu *viommu;
	u64 ste[2];
};

static inline struct smmuv3_unit *to_smmuv3(const struct iommu_device *dev)
{
	return container_of(dev->unit, struct smmuv3_unit, unit);
}

static inline struct smmuv3_device *to_smmuv3_device(struct iommu_device *dev)
{
	return container_of(dev, struct smmuv3_device, dev);
}

static inline struct smmuv3_domain *to_smmuv3_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct smmuv3_domain, domain);
}

static inline bool has_nesting(const struct smmuv3_unit *smmu)
{
	return (smmu->idr[0] & (IDR0_S1P | IDR0_S2P)) == (IDR0_S1P | IDR0_S2P);
}

static inline bool has_dirty(const struct smmuv3_unit *smmu)
{
	return field(smmu->idr[0], 7, 6) >= 2;
}

extern const struct iommu_ops smmuv3_ops;
extern struct iommu_domain smmuv3_blocked;

/* domain.c */
int smmuv3_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
			const struct iommu_user_data *data, struct iommu_domain **out);

/* @dev has been attached to @domain: what depends on it besides the hardware. */
void smmuv3_attached(struct smmuv3_device *dev, struct iommu_domain *domain,
		     struct iommu_domain *old, struct iommu_viommu *viommu, u64 vsid);

/* viommu.c */
bool smmuv3_viommu_supported(struct iommu_device *dev, u32 type);
int smmuv3_viommu_alloc(struct iommu_device *dev, struct base_alloc *alloc, u32 type,
			struct iommu_domain *parent, const struct iommu_user_data *data,
			const struct iommu_viommu_sink *sink, void *sink_arg,
			struct iommu_viommu **out);

/*
 * ste.c: all of these change what @dev's requests meet, and ports may be reading.
 * Context: group->attach_lock; or nobody knows the device yet.
 */
void smmuv3_ste_abort(struct smmuv3_device *dev);
void smmuv3_ste_cds(struct smmuv3_device *dev, u64 s1dss);
void smmuv3_ste_s2(struct smmuv3_device *dev, struct smmuv3_domain *domain, bool ats);
void smmuv3_ste_nested(struct smmuv3_device *dev, struct smmuv3_domain *parent, const u64 ste[2]);

/* The CD of @ssid; a table for it is made if there is none. NULL without memory. */
_Atomic u64 *smmuv3_cd_get(struct smmuv3_device *dev, u32 ssid);
void smmuv3_cd_s1(struct smmuv3_device *dev, _Atomic u64 *cd, struct smmuv3_domain *domain);

/* Return: was it valid? */
bool smmuv3_cd_clear(struct smmuv3_device *dev, u32 ssid);
void smmuv3_cds_free(struct smmuv3_device *dev);

/* Where the device's STE is; made valid, to abort. 0, -EINVAL if it is taken, -ENOMEM. */
int smmuv3_stream_add(struct smmuv3_device *dev);
void smmuv3_stream_remove(struct smmuv3_device *dev);

/**
 * struct smmuv3_regime - tables that an address is looked up in
 * @ttb: the start table
 * @granule: log2 of a table's bytes; 0 if there are no tables (EPD)
 * @bits: of the input
 * @start: level to begin at, as the specification counts: 3 has the pages
 * @tbi: the top byte is ignored
 * @had: tables have no permissions
 */
struct smmuv3_regime {
	u64 ttb;
	u8 granule;
	u8 bits;
	u8 start;
	bool tbi;
	bool had;
};

/**
 * struct smmuv3_stage - how a stage deals with what it finds
 * @out: bits of the addresses that it may put out
 * @affd: AF does not matter
 * @ha: the hardware sets AF
 * @hd: and the dirty state
 * @record: events are recorded
 */
struct smmuv3_stage {
	u8 out;
	bool affd;
	bool ha;
	bool hd;
	bool record;
};

/**
 * struct smmuv3_config - what STE and CD say about a port's requests
 * @s1: stage 1 translates
 * @s2: stage 2 translates
 * @ats: translation requests are answered
 * @stall: faults of stage 1 stall
 * @wxn: what may be written may not be executed
 * @pan: privileged software stays out of users' pages
 * @ptw: stage 1's tables may not be in devices
 * @fwb: how stage 2's memory types are to be read
 * @xnx: stage 2 tells privileged from unprivileged execution
 * @stage1: for stage 1
 * @stage2: for stage 2
 * @ttbr: stage 1's tables, TTBR0 and TTBR1
 * @s2tt: stage 2's tables
 */
struct smmuv3_config {
	bool s1;
	bool s2;
	bool ats;
	bool stall;
	bool wxn;
	bool pan;
	bool ptw;
	bool fwb;
	bool xnx;
	struct smmuv3_stage stage1;
	struct smmuv3_stage stage2;
	struct smmuv3_regime ttbr[2];
	struct smmuv3_regime s2tt;
};

_Static_assert(sizeof(struct smmuv3_config) <= DMA_CONFIG_WORDS * sizeof(u64),
	       "a port has room for it");

/**
 * struct smmuv3_walk - a translation that is being made
 * @dev: whose
 * @port: its port
 * @req: what it asks
 * @reply: what it gets
 * @cfg: what STE and CD say; while they are read, what is known so far
 * @ssv: the request has a SubstreamID
 * @depth: 1 while stage 2 does something for stage 1
 */
struct smmuv3_walk {
	struct iommu_device *dev;
	struct dma_port *port;
	const struct dma_request *req;
	struct dma_reply *reply;
	const struct smmuv3_config *cfg;
	bool ssv;
	unsigned int depth;
};

/**
 * struct smmuv3_leaf - what a stage made of an address
 * @out: the address
 * @lg2: log2 of the page's bytes
 * @perms: what it allows, dma_perms()
 * @at: where the last entry is
 * @entry: what is there
 * @address: bits of it that are the address
 */
struct smmuv3_leaf {
	u64 out;
	unsigned int lg2;
	u32 perms;
	hpa_t at;
	u64 entry;
	u64 address;
};

/*
 * All that follow return 0; -EFAULT with reply->fault; -EAGAIN if an entry changed
 * while it was updated, or SMMUV3_INTERRUPT.
 */
#define SMMUV3_INTERRUPT 1

/* config.c: read STE and CD, and check them. */
int smmuv3_read_config(struct smmuv3_walk *w, struct smmuv3_config *cfg) __must_check;

/* walk.c: stage 1, with stage 2 for its tables. *@access loses what ATS cannot grant. */
int smmuv3_stage1(struct smmuv3_walk *w, u64 va, unsigned int *access,
		  struct smmuv3_leaf *leaf) __must_check;

/* walk.c: stage 2 of an address that @class has to do with. */
int smmuv3_stage2(struct smmuv3_walk *w, u64 ipa, unsigned int *access, enum event_class class,
		  struct smmuv3_leaf *leaf) __must_check;

/* hw.c */
int smmuv3_translate(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
		     struct dma_reply *reply);

/* event.c: each returns -EFAULT, with the fault filled in. */
int smmuv3_fault_config(struct smmuv3_walk *w, unsigned int event);
int smmuv3_fault_abort(struct smmuv3_walk *w);
int smmuv3_fault_fetch(struct smmuv3_walk *w, enum event_class class, u64 address);
int smmuv3_fault_s1(struct smmuv3_walk *w, unsigned int event, enum event_class class);
int smmuv3_fault_s2(struct smmuv3_walk *w, unsigned int event, enum event_class class, u64 ipa,
		    bool write);
void smmuv3_report(struct iommu_device *dev, const struct siommu_fault *fault);
u32 smmuv3_fault_cause(const struct siommu_fault *fault, u64 *fetch_addr);

/* The name of an event. */
const char *smmuv3_reason_name(u32 reason);

#endif
