/* SPDX-License-Identifier: MIT */
/*
 * What the files of the AMD model share: the bits of its structures, as in the
 * "AMD I/O Virtualization Technology (IOMMU) Specification" (48882), and its
 * objects.
 *
 * unit.c, domain.c and nested.c are the driver's half: they decide what is
 * accepted and write device table entries. hw.c and host.h are the hardware's:
 * they know of a device only its entry, and read from there.
 */
#ifndef AMD_AMD_H
#define AMD_AMD_H

#include <stdatomic.h>

#include <softiommu/abi/iommufd.h>

#include "iommu/iommu.h"
#include "pt/pt.h"

/* Section 2.2.2.1 "Device Table Entry Format": its four quadwords. */
#define DTE0_V		 ((u64)1 << 0) /* the entry is valid */
#define DTE0_TV		 ((u64)1 << 1) /* and what it says of translation is */
#define DTE0_HAD_A	 ((u64)1 << 7) /* host tables: accessed bits are set */
#define DTE0_HAD_D	 ((u64)1 << 8) /* and dirty bits; not alone */
#define DTE0_MODE_SHIFT	 9	       /* levels of the host tables, bits 11:9 */
#define DTE0_MODE	 ((u64)7 << DTE0_MODE_SHIFT)
#define DTE0_ROOT	 ((((u64)1 << 40) - 1) << 12)
#define DTE0_PPR	 ((u64)1 << 52) /* it may request pages */
#define DTE0_GIOV	 ((u64)1 << 54) /* without a PASID means PASID 0 */
#define DTE0_GV		 ((u64)1 << 55) /* there are guest tables */
#define DTE0_GLX_SHIFT	 56		/* levels of the GCR3 table less one */
#define DTE0_GLX	 ((u64)3 << DTE0_GLX_SHIFT)
#define DTE0_GCR3_SHIFT	 58 /* address bits 14:12 */
#define DTE0_GCR3	 ((u64)7 << DTE0_GCR3_SHIFT)
#define DTE0_IR		 ((u64)1 << 61) /* reading is allowed */
#define DTE0_IW		 ((u64)1 << 62) /* writing is */
#define DTE1_DOMAIN	 ((u64)0xffff)
#define DTE1_GCR3_SHIFT	 16 /* address bits 30:15 */
#define DTE1_GCR3	 ((u64)0xffff << DTE1_GCR3_SHIFT)
#define DTE1_I		 ((u64)1 << 32) /* it may ask for translations */
#define DTE1_GCR3H_SHIFT 43		/* address bits 51:31 */
#define DTE1_GCR3H	 ((u64)0x1fffff << DTE1_GCR3H_SHIFT)
#define DTE2_GPM_SHIFT	 54 /* levels of the guest tables less 4, bits 55:54 */
#define DTE2_GPM	 ((u64)3 << DTE2_GPM_SHIFT)

#define AMD_MODE_MAX	6
#define AMD_GLX_MAX	2
#define AMD_MAX_DOMAINS 65536
#define AMD_MAX_DEVICES 65536

/* Section 2.2.3 "I/O Page Tables for Host Translations". */
#define HOST_PR		((u64)1 << 0)
#define HOST_A		((u64)1 << 5)
#define HOST_D		((u64)1 << 6)
#define HOST_NEXT_SHIFT 9
#define HOST_ENCODED	7
#define HOST_ADDR	((((u64)1 << 40) - 1) << 12)
#define HOST_IR		((u64)1 << 61)
#define HOST_IW		((u64)1 << 62)
#define HOST_RESERVED	((u64)1 << 63)

/* Section 2.2.6.3: entries of GCR3 tables. */
#define GCR3_V	  ((u64)1 << 0)
#define GCR3_ADDR ((((u64)1 << 40) - 1) << 12)

/* Section 2.5 "Event Logging": codes. */
enum amd_event {
	AMD_ILLEGAL_DEV_TABLE_ENTRY = 1,
	AMD_IO_PAGE_FAULT = 2,
	AMD_PAGE_TAB_HARDWARE_ERROR = 4,
	AMD_INVALID_DEVICE_REQUEST = 8,
};

/* And flags, bits 27:16 of an event's second doubleword. */
enum amd_event_flags {
	AMD_EVENT_GN = 1 << 0, /* the address is a guest's virtual one, there is a PASID */
	AMD_EVENT_NX = 1 << 1, /* the request was to execute */
	AMD_EVENT_US = 1 << 2, /* it was a user's */
	AMD_EVENT_I = 1 << 3,  /* it was an interrupt */
	AMD_EVENT_PR = 1 << 4, /* the page is present */
	AMD_EVENT_RW = 1 << 5, /* it was a write */
	AMD_EVENT_PE = 1 << 6, /* it is not allowed */
	AMD_EVENT_RZ = 1 << 7, /* reserved bits, or levels that cannot be */
	AMD_EVENT_TR = 1 << 8, /* it was a translation request */
	AMD_EVENT_TYPE_SHIFT = 9,
};

/* Types of AMD_INVALID_DEVICE_REQUEST. */
enum {
	AMD_TYPE_INTERRUPT_READ = 0, /* nothing but a write to the interrupt window */
	AMD_TYPE_NO_ATS = 1,	     /* a translation request, but DTE.I is clear */
};

/* Where interrupts are sent to, without a PASID. */
#define AMD_MSI_FIRST ((u64)0xfee00000)
#define AMD_MSI_LAST  ((u64)0xfeefffff)

/* The HyperTransport range, unless EFR2 says that it is like any other. */
#define AMD_HT_FIRST ((u64)0xfd00000000)
#define AMD_HT_LAST  ((u64)0xffffffffff)

/* Extended Feature Register (MMIO 0x30), section 3.4. */
#define EFR_PPR	       ((u64)1 << 1)
#define EFR_NX	       ((u64)1 << 3)
#define EFR_GT	       ((u64)1 << 4)
#define EFR_HATS_SHIFT 10
#define EFR_HATS       ((u64)3 << EFR_HATS_SHIFT)
#define EFR_GATS_SHIFT 12
#define EFR_GATS       ((u64)3 << EFR_GATS_SHIFT)
#define EFR_GLX_SHIFT  14
#define EFR_GLX	       ((u64)3 << EFR_GLX_SHIFT)
#define EFR_PAS_SHIFT  32
#define EFR_PAS	       ((u64)31 << EFR_PAS_SHIFT)
#define EFR_GIO	       ((u64)1 << 48)
#define EFR_HA	       ((u64)1 << 49)
#define EFR_EPH	       ((u64)1 << 50)
#define EFR_HD	       ((u64)1 << 52)

/* Extended Feature 2 Register (MMIO 0x1a0). */
#define EFR2_GCR3TRP	     ((u64)1 << 3)
#define EFR2_HT_RANGE_IGNORE ((u64)1 << 11)

/**
 * struct amd_unit - one IOMMU
 * @unit: the common part
 * @efr: Extended Feature Register
 * @efr2: Extended Feature 2 Register
 * @guest_default: domains that nobody asked for anything have guest tables
 * @lock: covers what follows
 * @domains: bit per domain id, set from allocation to free
 * @devices: bit per requester id, likewise: a device table has one entry for it
 */
struct amd_unit {
	struct iommu_unit unit;
	u64 efr;
	u64 efr2;
	bool guest_default;
	pthread_mutex_t lock;
	u64 domains[AMD_MAX_DOMAINS / 64];
	u64 devices[AMD_MAX_DEVICES / 64];
};

/**
 * struct amd_dte - a device table entry
 * @sequence: odd while it is written: hardware reads it in one piece
 * @q: the entry
 */
struct amd_dte {
	_Atomic u32 sequence;
	_Atomic u64 q[4] __attribute__((aligned(32)));
};

/**
 * struct amd_device - a device
 * @dev: the common part
 * @ats: it has a translation cache of its own
 * @dte: what the hardware knows of it; written under the group's attach_lock
 */
struct amd_device {
	struct iommu_device dev;
	bool ats;
	struct amd_dte dte;
};

/**
 * struct amd_domain - a paging domain
 * @domain: the common part
 * @alloc: account that pays for it
 * @unit: where its id is from
 * @id: its id
 * @guest: it has guest (v2) tables, @gcr3 leads to them; otherwise host (v1) ones
 * @tracking: writes are marked in the tables
 * @pt: the tables
 * @gcr3: a GCR3 table with an entry for PASID 0; NULL for host tables
 */
struct amd_domain {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct amd_unit *unit;
	u16 id;
	bool guest;
	bool tracking;
	struct pt pt;
	_Atomic u64 *gcr3;
};

/**
 * struct amd_nested - a nested domain
 * @domain: the common part
 * @alloc: account that pays for it
 * @unit: where its id is from
 * @id: its id
 * @dte: the guest's entry
 */
struct amd_nested {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct amd_unit *unit;
	u16 id;
	u64 dte[4];
};

static inline struct amd_unit *to_amd_unit(struct iommu_unit *unit)
{
	return container_of(unit, struct amd_unit, unit);
}

static inline struct amd_device *to_amd_device(struct iommu_device *dev)
{
	return container_of(dev, struct amd_device, dev);
}

static inline struct amd_domain *to_amd_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct amd_domain, domain);
}

/* Levels of host tables, 4 to 6, or 0 if the register says nothing of use. */
static inline unsigned int amd_host_levels(const struct amd_unit *unit)
{
	unsigned int hats = (unsigned int)((unit->efr & EFR_HATS) >> EFR_HATS_SHIFT);

	return hats == 3 ? 0 : 4 + hats;
}

/* Levels of guest tables, 4 or 5. */
static inline unsigned int amd_guest_levels(const struct amd_unit *unit)
{
	return (unit->efr & EFR_GATS) >> EFR_GATS_SHIFT == 1 ? 5 : 4;
}

/* Where a DTE says that its GCR3 table is. */
static inline u64 amd_dte_gcr3(const u64 q[4])
{
	return (q[0] & DTE0_GCR3) >> DTE0_GCR3_SHIFT << 12 |
	       (q[1] & DTE1_GCR3) >> DTE1_GCR3_SHIFT << 15 |
	       (q[1] & DTE1_GCR3H) >> DTE1_GCR3H_SHIFT << 31;
}

/* unit.c. A free domain id, or 0. */
u16 amd_domain_id_get(struct amd_unit *unit);
void amd_domain_id_put(struct amd_unit *unit, u16 id);

/* domain.c */
extern struct iommu_domain amd_blocked;

int amd_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
		     const struct iommu_user_data *data, struct iommu_domain **out);

/* What a device is to be that nothing is attached to. */
void amd_block(struct amd_device *dev);

/* Can devices behind @unit translate through the domain's tables? */
bool amd_compatible(const struct amd_domain *domain, const struct amd_unit *unit);

/* The part of an entry that leads to host tables. */
void amd_host_dte(const struct amd_domain *host, u64 q[4]);

/* nested.c */
int amd_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
		     struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
		     struct iommu_domain **out);
bool amd_viommu_supported(struct iommu_device *dev, u32 type);
int amd_viommu_alloc(struct iommu_device *dev, struct base_alloc *alloc, u32 type,
		     struct iommu_domain *parent, const struct iommu_user_data *data,
		     const struct iommu_viommu_sink *sink, void *sink_arg,
		     struct iommu_viommu **out);

/* hw.c. Entries are read and written as a whole. */
void amd_dte_write(struct amd_dte *dte, const u64 q[4]);
void amd_dte_read(const struct amd_dte *dte, u64 q[4]);

int amd_translate(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
		  struct dma_reply *reply);

#endif
