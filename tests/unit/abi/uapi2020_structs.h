/* SPDX-License-Identifier: MIT */
/*
 * Structures of the user API of 2020 that every server takes, and a caller who sees what is
 * read of them: nothing but @bytes at CALLER_AT can be read, and each byte is counted.
 */
#ifndef UNIT_UAPI2020_STRUCTS_H
#define UNIT_UAPI2020_STRUCTS_H

#include "legacy.h"
#include "unit.h"

#define CALLER_AT    0x10000ull
#define CALLER_BYTES 256

#define HPASID 7u

/**
 * struct caller - a caller
 * @task: what is handed down
 * @mem: its memory
 * @bytes: how much of it can be read
 * @reads: how many reads there were
 * @times: how often each byte was read
 * @after_read: if set, what another thread does to @mem meanwhile
 */
struct caller {
	struct siommu_task task;
	uint8_t mem[CALLER_BYTES];
	size_t bytes;
	unsigned int reads;
	unsigned int times[CALLER_BYTES];
	void (*after_read)(struct caller *caller);
};

static inline int caller_copy_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	struct caller *caller = container_of(task, struct caller, task);
	size_t i;

	caller->reads++;
	if (src < CALLER_AT || src - CALLER_AT > caller->bytes ||
	    n > caller->bytes - (src - CALLER_AT))
		return -EFAULT;
	memcpy(dst, caller->mem + (src - CALLER_AT), n);
	for (i = 0; i < n; i++)
		caller->times[src - CALLER_AT + i]++;
	if (caller->after_read)
		caller->after_read(caller);
	return 0;
}

static const struct siommu_task_ops caller_ops = { .copy_in = caller_copy_in };

/* A caller with @bytes of memory, all ones but for the @n of @data at its beginning. */
static inline struct caller caller_with(const void *data, size_t n, size_t bytes)
{
	struct caller caller = { .task = { .ops = &caller_ops }, .bytes = bytes };

	memset(caller.mem, 0xff, sizeof(caller.mem));
	memcpy(caller.mem, data, n);
	return caller;
}

static inline struct iommu_gpasid_bind_data valid_bind(void)
{
	return (struct iommu_gpasid_bind_data){
		.argsz = sizeof(struct iommu_gpasid_bind_data),
		.version = IOMMU_GPASID_BIND_VERSION_1,
		.format = IOMMU_PASID_FORMAT_INTEL_VTD,
		.addr_width = 48,
		.flags = IOMMU_SVA_GPASID_VAL,
		.gpgd = 0x1000,
		.hpasid = HPASID,
		.gpasid = 0x77,
		.vendor.vtd = { .pat = 0x11, .emt = 0x22 },
	};
}

static inline struct iommu_pasid_table_config valid_table(void)
{
	return (struct iommu_pasid_table_config){
		.argsz = sizeof(struct iommu_pasid_table_config),
		.version = PASID_TABLE_CFG_VERSION_1,
		.base_ptr = 0x1000,
		.format = IOMMU_PASID_FORMAT_SMMUV3,
		.pasid_bits = 4,
		.config = IOMMU_PASID_CONFIG_TRANSLATE,
		.vendor_data.smmuv3 = { .version = PASID_TABLE_SMMUV3_CFG_VERSION_1, .s1dss = 2 },
	};
}

/* All of the domain. */
static inline struct iommu_cache_invalidate_info valid_invalidate(void)
{
	return (struct iommu_cache_invalidate_info){
		.argsz = sizeof(struct iommu_cache_invalidate_info),
		.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
		.cache = IOMMU_CACHE_INV_TYPE_IOTLB,
		.granularity = IOMMU_INV_GRANU_DOMAIN,
	};
}

/* All of a PASID. */
static inline struct iommu_cache_invalidate_info valid_invalidate_pasid(void)
{
	struct iommu_cache_invalidate_info info = valid_invalidate();

	info.granularity = IOMMU_INV_GRANU_PASID;
	info.granu.pasid_info.flags = IOMMU_INV_PASID_FLAGS_PASID;
	info.granu.pasid_info.pasid = HPASID;
	return info;
}

/* A page of a PASID. */
static inline struct iommu_cache_invalidate_info valid_invalidate_addr(void)
{
	struct iommu_cache_invalidate_info info = valid_invalidate();

	info.granularity = IOMMU_INV_GRANU_ADDR;
	info.granu.addr_info = (struct iommu_inv_addr_info){
		.flags = IOMMU_INV_ADDR_FLAGS_PASID,
		.pasid = HPASID,
		.addr = 0x5000,
		.granule_size = 4096,
		.nb_granules = 1,
	};
	return info;
}

static inline struct iommu_page_response valid_response(void)
{
	return (struct iommu_page_response){
		.argsz = sizeof(struct iommu_page_response),
		.version = IOMMU_PAGE_RESP_VERSION_1,
		.flags = IOMMU_PAGE_RESP_PASID_VALID,
		.pasid = HPASID,
		.grpid = 3,
		.code = IOMMU_PAGE_RESP_SUCCESS,
	};
}

/**
 * struct kind - a structure with its rules
 * @name: for messages
 * @size: bytes that the server knows
 * @minsz: bytes that every caller has
 * @needs: bytes that what valid_kind() asks for needs
 */
struct kind {
	const char *name;
	size_t size;
	size_t minsz;
	size_t needs;
};

enum { BIND, TABLE, INVALIDATE, INVALIDATE_PASID, INVALIDATE_ADDR, RESPONSE, NKINDS };

static const struct kind kinds[NKINDS] = {
	[BIND] = { "bind", 72, 56, 56 },
	[TABLE] = { "table", 32, 24, 32 },
	[INVALIDATE] = { "invalidate all", 56, 16, 16 },
	[INVALIDATE_PASID] = { "invalidate a PASID", 56, 16, 32 },
	[INVALIDATE_ADDR] = { "invalidate addresses", 56, 16, 56 },
	[RESPONSE] = { "response", 24, 24, 24 },
};

union any {
	u32 argsz;
	u8 bytes[sizeof(struct legacy_bind)];
	struct legacy_bind bind;
	struct iommu_gpasid_bind_data bind_data;
	struct iommu_pasid_table_config table;
	struct iommu_cache_invalidate_info invalidate;
	struct iommu_page_response response;
};

static inline union any valid_kind(unsigned int kind)
{
	union any any;

	memset(&any, 0, sizeof(any));
	switch (kind) {
	case BIND:
		any.bind_data = valid_bind();
		break;
	case TABLE:
		any.table = valid_table();
		break;
	case INVALIDATE:
		any.invalidate = valid_invalidate();
		break;
	case INVALIDATE_PASID:
		any.invalidate = valid_invalidate_pasid();
		break;
	case INVALIDATE_ADDR:
		any.invalidate = valid_invalidate_addr();
		break;
	default:
		any.response = valid_response();
	}
	return any;
}

/* A response has no carrier that counts. */
static inline int get_in_room(unsigned int kind, enum siommu_2020 revision, struct caller *caller,
			      u64 room, union any *out)
{
	struct siommu_task *task = &caller->task;

	switch (kind) {
	case BIND:
		return legacy_get_bind(revision, task, CALLER_AT, room, &out->bind);
	case TABLE:
		return legacy_get_table(revision, task, CALLER_AT, room, &out->table);
	case RESPONSE:
		return legacy_get_response(revision, task, CALLER_AT, &out->response);
	default:
		return legacy_get_invalidate(revision, task, CALLER_AT, room, &out->invalidate);
	}
}

static inline int get_kind(unsigned int kind, enum siommu_2020 revision, struct caller *caller,
			   union any *out)
{
	return get_in_room(kind, revision, caller, LEGACY_NO_ROOM_GIVEN, out);
}

/* What becomes of @any in the hands of a caller with plenty of memory. */
static inline int try_kind(unsigned int kind, enum siommu_2020 revision, const union any *any)
{
	struct caller caller = caller_with(any, kinds[kind].size, CALLER_BYTES);
	union any out;

	return get_kind(kind, revision, &caller, &out);
}

#endif
