/* SPDX-License-Identifier: MIT */
/*
 * Intel's VT-d, after the "Intel Virtualization Technology for Directed I/O
 * Architecture Specification" (D51397), revision 4.1.
 *
 * The driver half (unit.c, domain.c, nested.c, pasid.c) accepts what Linux's
 * driver accepts, and writes root, context and PASID tables. The hardware half
 * (config.c, walk.c) knows nothing but RTADDR_REG, the capabilities and these
 * tables.
 */
#ifndef VTD_VTD_H
#define VTD_VTD_H

#include <softiommu/abi/iommufd.h>

#include "base/idtable.h"
#include "iommu/iommu.h"
#include "iommu/models.h"
#include "pt/pt.h"

#define BIT(n)		 ((u64)1 << (n))
#define FIELD(hi, lo)	 (U64_MAX >> (63 - (hi)) & U64_MAX << (lo))
#define GET(word, mask)	 (((word) & (mask)) >> lowest_bit(mask))
#define PUT(value, mask) ((u64)(value) << lowest_bit(mask) & (mask))

/* Section 11.4.2, Capability Register. */
#define CAP_SAGAW_39 BIT(9)
#define CAP_SAGAW_48 BIT(10)
#define CAP_SAGAW_57 BIT(11)
#define CAP_SAGAW    FIELD(12, 8)
#define CAP_MGAW     FIELD(21, 16)
#define CAP_SSLPS_2M BIT(34)
#define CAP_SSLPS_1G BIT(35)
#define CAP_FS1GP    BIT(56)
#define CAP_FS5LP    BIT(60)

/* Section 11.4.3, Extended Capability Register. */
#define ECAP_C	    BIT(0)
#define ECAP_DT	    BIT(2)
#define ECAP_PT	    BIT(6)
#define ECAP_SC	    BIT(7)
#define ECAP_NEST   BIT(26)
#define ECAP_PRS    BIT(29)
#define ECAP_ERS    BIT(30)
#define ECAP_SRS    BIT(31)
#define ECAP_EAFS   BIT(34)
#define ECAP_PSS    FIELD(39, 35)
#define ECAP_PASID  BIT(40)
#define ECAP_PDS    BIT(42)
#define ECAP_SMTS   BIT(43)
#define ECAP_SSADS  BIT(45)
#define ECAP_SSTS   BIT(46)
#define ECAP_FSTS   BIT(47)
#define ECAP_SMPWCS BIT(48)
#define ECAP_RPS    BIT(49)

/* What nesting, and dirty tracking, take. */
#define VTD_ECAP_NEST  (ECAP_NEST | ECAP_SMTS)
#define VTD_ECAP_DIRTY (ECAP_SSADS | ECAP_SMPWCS | ECAP_SMTS)

/* Section 11.4.5, Root Table Address Register. */
#define RTADDR_TTM	    FIELD(11, 10)
#define RTADDR_TTM_SCALABLE 1

/* Addresses in all structures. */
#define VTD_ADDR FIELD(63, 12)

/* Sections 9.1 and 9.2, Root Entry: 16 bytes by bus; UP and UCTP in the upper half. */
#define ROOT_P	      BIT(0)
#define ROOT_RESERVED FIELD(11, 1)

/* Section 9.3, Context Entry: 16 bytes. */
#define CTX_P		BIT(0)
#define CTX_FPD		BIT(1)
#define CTX_TT		FIELD(3, 2)
#define CTX_TT_DMA	0
#define CTX_TT_ATS	1
#define CTX_TT_PASS	2
#define CTX_RESERVED_LO FIELD(11, 4)
#define CTX_AW		FIELD(2, 0)
#define CTX_DID		FIELD(23, 8)
#define CTX_RESERVED_HI (FIELD(63, 24) | BIT(7))

/* Section 9.4, Scalable-Mode Context Entry: 32 bytes. */
#define SCTX_DTE	 BIT(2)
#define SCTX_PASIDE	 BIT(3)
#define SCTX_PRE	 BIT(4)
#define SCTX_PDTS	 FIELD(11, 9)
#define SCTX_RESERVED_LO FIELD(8, 5)
#define SCTX_RID_PASID	 FIELD(19, 0)
#define SCTX_RESERVED_HI FIELD(63, 21)

/* Section 9.5, Scalable-Mode PASID Directory Entry: 8 bytes. */
#define PDIR_P	      BIT(0)
#define PDIR_FPD      BIT(1)
#define PDIR_RESERVED FIELD(11, 2)

/* Section 9.6, Scalable-Mode PASID Table Entry: 64 bytes; numbers are of its words. */
#define PASID_WORDS	8
#define PASID0_P	BIT(0)
#define PASID0_FPD	BIT(1)
#define PASID0_AW	FIELD(4, 2)
#define PASID0_PGTT	FIELD(8, 6)
#define PASID0_SSADE	BIT(9)
#define PASID0_RESERVED FIELD(11, 10)
#define PASID1_DID	FIELD(15, 0)
#define PASID1_PWSNP	BIT(23)
#define PASID1_PGSNP	BIT(24)
#define PASID1_RESERVED FIELD(22, 16)
#define PASID2_SRE	BIT(0)
#define PASID2_ERE	BIT(1)
#define PASID2_FSPM	FIELD(3, 2)
#define PASID2_FSPM_5LP 1
#define PASID2_WPE	BIT(4)
#define PASID2_NXE	BIT(5)
#define PASID2_SMEP	BIT(6)
#define PASID2_EAFE	BIT(7)
#define PASID2_RESERVED FIELD(11, 8)

enum vtd_pgtt {
	PGTT_FIRST = 1,
	PGTT_SECOND = 2,
	PGTT_NESTED = 3,
	PGTT_PASS = 4,
};

/* Section 9.8, Second-Stage Paging Entries. */
#define SS_R	BIT(0)
#define SS_W	BIT(1)
#define SS_PS	BIT(7)
#define SS_A	BIT(8)
#define SS_D	BIT(9)
#define SS_SNP	BIT(11)
#define SS_TM	BIT(62)
#define SS_ADDR FIELD(51, 12)

/* Section 3.14, Handling Requests to Interrupt Address Range. */
#define VTD_MSI_FIRST 0xfee00000u
#define VTD_MSI_LAST  0xfeefffffu

/* AW of a context or PASID entry, and the address width and levels that it stands for. */
#define VTD_AW_LEVELS(aw) ((unsigned int)(aw) + 2)
#define VTD_AW_BITS(aw)	  (12 + 9 * VTD_AW_LEVELS(aw))

/* What Linux names FLPT_DEFAULT_DID: of all first-stage tables. */
#define VTD_DID_FIRST_STAGE 1
#define VTD_DID_LAST	    0xffff

/**
 * struct vtd_unit - one unit
 * @unit: the common part
 * @cap: Capability Register
 * @ecap: Extended Capability Register
 * @rtaddr: Root Table Address Register
 * @spr17: erratum 772415: a nest parent holds no read-only mappings
 * @lock: covers writes to the tables, and what follows
 * @sequence: odd while tables are written; readers try again
 * @dids: domain ids
 * @devices: struct vtd_device
 */
struct vtd_unit {
	struct iommu_unit unit;
	u64 cap;
	u64 ecap;
	u64 rtaddr;
	bool spr17;
	pthread_mutex_t lock;
	u64 sequence;
	struct idtable dids;
	LIST_HEAD(, vtd_device) devices;
};

/**
 * struct vtd_device - a device
 * @dev: the common part
 * @link: in unit->devices
 * @ats: ATS is enabled
 * @pri: page requests are enabled
 * @ndir: entries of the PASID directory; 0 in legacy mode
 * @dir: PASID directory
 */
struct vtd_device {
	struct iommu_device dev;
	LIST_ENTRY(vtd_device) link;
	bool ats;
	bool pri;
	u32 ndir;
	u64 *dir;
};

/* The id of a domain at one unit. */
struct vtd_tag {
	LIST_ENTRY(vtd_tag) link;
	struct vtd_unit *unit;
	u32 did;
	unsigned int users;
};

LIST_HEAD(vtd_tags, vtd_tag);

/**
 * struct vtd_paging - a domain that the core maps in
 * @domain: the common part
 * @alloc: account that pays for it
 * @pt: its table
 * @first_stage: the table is a first-stage one
 * @coherent: it is for units whose walks snoop
 * @nest_parent: it may be the second stage of others
 * @writable_only: no read-only mappings: see struct vtd_unit
 * @tracking: of dirty pages
 * @tags: struct vtd_tag
 */
struct vtd_paging {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct pt pt;
	bool first_stage;
	bool coherent;
	bool nest_parent;
	bool writable_only;
	bool tracking;
	struct vtd_tags tags;
};

/**
 * struct vtd_nested - a guest's first stage
 * @domain: the common part
 * @alloc: account that pays for it
 * @parent: its second stage
 * @s1: as the guest wants it
 * @tags: struct vtd_tag
 */
struct vtd_nested {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct vtd_paging *parent;
	struct iommu_hwpt_vtd_s1 s1;
	struct vtd_tags tags;
};

static inline struct vtd_unit *to_vtd_unit(struct iommu_unit *unit)
{
	return container_of(unit, struct vtd_unit, unit);
}

static inline struct vtd_device *to_vtd_device(struct iommu_device *dev)
{
	return container_of(dev, struct vtd_device, dev);
}

static inline struct vtd_paging *to_vtd_paging(struct iommu_domain *domain)
{
	return container_of(domain, struct vtd_paging, domain);
}

static inline struct vtd_nested *to_vtd_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct vtd_nested, domain);
}

static inline bool vtd_scalable(const struct vtd_unit *unit)
{
	return unit->ecap & ECAP_SMTS;
}

/* All bits of @mask are capabilities of the unit. */
static inline bool vtd_ecap(const struct vtd_unit *unit, u64 mask)
{
	return (unit->ecap & mask) == mask;
}

/* Walks of tables see what is in CPUs' caches. */
static inline bool vtd_coherent(const struct vtd_unit *unit)
{
	return unit->ecap & (vtd_scalable(unit) ? ECAP_SMPWCS : ECAP_C);
}

/* Width of addresses before translation. */
static inline unsigned int vtd_mgaw(const struct vtd_unit *unit)
{
	return (unsigned int)GET(unit->cap, CAP_MGAW) + 1;
}

extern const struct iommu_ops vtd_ops;
extern struct iommu_domain vtd_blocked;

/* domain.c */
int vtd_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
		     const struct iommu_user_data *data, struct iommu_domain **out);

/* Can the unit of @dev translate through @paging? 0, or -EINVAL. */
int vtd_paging_check(const struct vtd_paging *paging, struct iommu_device *dev);

/* A domain that handles page requests is for devices that make them: 0, or -ENODEV. */
int vtd_check_faults(const struct iommu_domain *domain, struct iommu_device *dev);

/* nested.c */
int vtd_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
		     struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
		     struct iommu_domain **out);

/* pasid.c */

/* Structures of a device that is attached to nothing. 0; -EINVAL for a taken requester id. */
int vtd_tables_add(struct vtd_device *vd);
void vtd_tables_remove(struct vtd_device *vd);

/* Free the tables of a unit without devices. */
void vtd_tables_free(struct vtd_unit *unit);

/*
 * Write the entry of a device, or of one of its PASIDs, for @domain, which can
 * be attached. @old is what it was for. 0; -ENOMEM, -ENOSPC.
 */
int vtd_set_entry(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		  struct iommu_domain *old);

/* Switch dirty tracking in an entry that is there. */
void vtd_set_ssade(struct iommu_device *dev, u32 pasid, bool enable);

/* Forget the ids of a domain that is attached nowhere. */
void vtd_tags_free(struct vtd_tags *tags, struct base_alloc *alloc);

/**
 * enum vtd_config_flags - of struct vtd_config
 * @VTD_LEGACY: from a context entry of legacy mode
 * @VTD_SSADE: second-stage accessed and dirty bits are set
 * @VTD_SRE: requests of privileged software are allowed
 * @VTD_ERE: requests to execute are allowed
 * @VTD_FPD: faults are not recorded
 */
enum vtd_config_flags {
	VTD_LEGACY = 1 << 0,
	VTD_SSADE = 1 << 1,
	VTD_SRE = 1 << 2,
	VTD_ERE = 1 << 3,
	VTD_FPD = 1 << 4,
};

/**
 * struct vtd_config - how a port's requests are translated
 * @fs_root: FSPTPTR
 * @ss_root: SSPTPTR
 * @ss_page: by level: bits of a second-stage page's entry that must be clear; PS
 *	itself where there are no pages
 * @pgtt: enum vtd_pgtt
 * @flags: enum vtd_config_flags
 * @fs_flags: enum x86_walk_flags
 * @fs_levels: of the first stage
 * @ss_levels: of the second stage
 * @ss_bits: width of its input addresses
 * @ats: translation requests are allowed
 */
struct vtd_config {
	u64 fs_root;
	u64 ss_root;
	u64 ss_page[5];
	u8 pgtt;
	u8 fs_levels;
	u8 ss_levels;
	u8 ss_bits;
	u8 flags;
	u8 fs_flags;
	bool ats;
};

_Static_assert(sizeof(struct vtd_config) <= DMA_CONFIG_WORDS * sizeof(u64), "it is kept in a port");

/* Section 7.1.3 and table 26, Fault Reason Encodings. */
enum vtd_fault {
	VTD_OK = 0,
	VTD_ROOT_P = 0x01,
	VTD_CTX_P = 0x02,
	VTD_CTX_INVALID = 0x03,
	VTD_ADDRESS = 0x04,
	VTD_WRITE = 0x05,
	VTD_READ = 0x06,
	VTD_ROOT_RESERVED = 0x0a,
	VTD_CTX_RESERVED = 0x0b,
	VTD_PAGE_RESERVED = 0x0c,
	VTD_TT_BLOCKED = 0x0d,
	VTD_INTERRUPT = 0x0e,
	VTD_RTA_PASID = 0x31,
	VTD_SRT_P = 0x39,
	VTD_SRT_RESERVED = 0x3a,
	VTD_SCT_P = 0x41,
	VTD_SCT_RESERVED = 0x42,
	VTD_SCT_DTE = 0x44,
	VTD_SCT_PASIDE = 0x45,
	VTD_SCT_PDTS = 0x46,
	VTD_SCT_RID_PASID = 0x48,
	VTD_SPD_P = 0x51,
	VTD_SPD_RESERVED = 0x52,
	VTD_SPT_P = 0x59,
	VTD_SPT_RESERVED = 0x5a,
	VTD_SPT_INVALID = 0x5b,
	VTD_SPT_ERE = 0x5c,
	VTD_SPT_SRE = 0x5d,
	VTD_SFS_ACCESS = 0x70,
	VTD_SFS_P = 0x71,
	VTD_SFS_RESERVED = 0x72,
	VTD_SFS_ROOT_ACCESS = 0x73,
	VTD_SFS_GPA = 0x74,
	VTD_SFS_ROOT_SS = 0x75,
	VTD_SFS_SS = 0x76,
	VTD_SFS_SS_WRITE = 0x77,
	VTD_SSS_P = 0x79,
	VTD_SSS_RESERVED = 0x7a,
	VTD_SGN_CANONICAL = 0x80,
	VTD_SGN_USER = 0x81,
	VTD_SGN_EXEC = 0x82,
	VTD_SGN_HARDWARE = 0x83,
	VTD_SGN_SS_WIDTH = 0x84,
	VTD_SGN_WRITE = 0x85,
	VTD_SGN_READ = 0x86,
	VTD_SGN_INTERRUPT = 0x87,
	VTD_SFS_UPDATE = 0x91,
};

/*
 * config.c: find the entry of @port's requests, and decode it. *@fpd: a
 * structure on the way says that faults are not recorded. Return: VTD_OK, or the fault.
 */
enum vtd_fault vtd_config_read(struct vtd_device *vd, const struct dma_port *port,
			       const struct dma_request *req, struct vtd_config *config, bool *fpd);

/* fault.c */
u32 vtd_fault_cause(const struct siommu_fault *fault, u64 *fetch_addr);
const char *vtd_reason_name(u32 reason);

/* End a request with a fault. Return: what translate() does. */
int vtd_refuse(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
	       unsigned int number, struct dma_reply *reply);

/* walk.c */
int vtd_translate(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
		  struct dma_reply *reply);

#endif
