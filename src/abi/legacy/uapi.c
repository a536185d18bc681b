// SPDX-License-Identifier: MIT
/*
 * The generic layer of the user API of 2020: structures of a caller that is not trusted
 * become structures that a driver can read.
 *
 * All of them begin with @argsz, and grow at their end only. So each is copied in two
 * pieces: what even the oldest caller has, which tells how long the rest is, and of the
 * rest no more than both sides know. No byte is read twice, and none that @argsz does not
 * cover but for the first piece; what is not copied is zero. Then come the rules for what
 * is in it, in the kernel's order. What depends on the IOMMU is left to its driver, along
 * with @argsz, for only the driver knows how much of a vendor's part its flags ask for.
 *
 * The first drafts had the carrier count instead: a carrier's own argsz covers its header
 * and the structure's @argsz, and what is left is the structure. More than the server
 * knows is refused before anything is read. Of two sizes that disagree the smaller holds.
 */
#include <string.h>

#include "legacy.h"

/**
 * struct shape - how a structure is read
 * @size: bytes that we know
 * @minsz: bytes that every caller has
 * @check: with these read and nothing else: may the rest be read, and is @argsz enough for
 *	what they ask for? 0 or -EINVAL; NULL if they ask for nothing
 */
struct shape {
	u32 size;
	u32 minsz;
	int (*check)(const void *head, u32 argsz);
};

/*
 * Copy a structure of shape @s from @uptr to @dst. @room: legacy_carrier_counts(). @dst's
 * own argsz is what the caller gave, or what @room leaves of it.
 */
static int get(const struct shape *s, enum siommu_2020 revision, struct siommu_task *task, u64 uptr,
	       u64 room, void *dst)
{
	u64 limit = U64_MAX;
	u32 argsz, head, n;
	int rc;

	if (room != LEGACY_NO_ROOM_GIVEN) {
		if (room > s->size - sizeof(argsz))
			return -E2BIG;
		limit = sizeof(argsz) + room;
	}
	memset(dst, 0, s->size);
	head = (u32)min_u64(s->minsz, limit);
	rc = task_copy_in(task, dst, uptr, head);
	if (rc)
		return rc;
	memcpy(&argsz, dst, sizeof(argsz));
	if (revision == SIOMMU_2020_DRAFT && limit == U64_MAX && argsz > s->size)
		return -E2BIG;
	argsz = (u32)min_u64(argsz, limit);
	memcpy(dst, &argsz, sizeof(argsz));
	if (argsz < s->minsz)
		return -EINVAL;
	rc = s->check ? s->check(dst, argsz) : 0;
	if (rc)
		return rc;
	n = (u32)min_u64(argsz, s->size);
	return task_copy_in(task, (u8 *)dst + head, uptr + head, n - head);
}

static bool all_zero(const u8 *bytes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

/*
 * A guest's page table for a PASID
 */

static const struct shape bind_shape = {
	.size = sizeof(struct iommu_gpasid_bind_data),
	.minsz = offsetof(struct iommu_gpasid_bind_data, vendor),
};

static int check_bind(u32 version, u32 format, u64 flags, u64 known)
{
	if (version != IOMMU_GPASID_BIND_VERSION_1)
		return -EINVAL;
	if (format >= IOMMU_PASID_FORMAT_LAST)
		return -EINVAL;
	return flags & ~known ? -EINVAL : 0;
}

static int check_future(const void *head, u32 argsz)
{
	const struct future_gpasid_bind_data *data = head;
	bool grown = data->flags & FUTURE_GPASID_VENDOR;

	return grown && argsz < sizeof(*data) ? -EINVAL : 0;
}

static const struct shape future_shape = {
	.size = sizeof(struct future_gpasid_bind_data),
	.minsz = offsetof(struct future_gpasid_bind_data, vendor),
	.check = check_future,
};

/* The version that tests try: what it has more, by its flags; the rest as of old. */
static int get_future_bind(struct siommu_task *task, u64 uptr, u64 room, struct legacy_bind *bind)
{
	const u64 known = IOMMU_SVA_GPASID_VAL | FUTURE_GPASID_LABEL | FUTURE_GPASID_VENDOR;
	struct future_gpasid_bind_data new;
	struct legacy_bind out = { 0 };
	int rc;

	rc = get(&future_shape, SIOMMU_2020_FUTURE, task, uptr, room, &new);
	if (!rc)
		rc = check_bind(new.version, new.format, new.flags, known);
	if (rc)
		return rc;
	if (new.flags & FUTURE_GPASID_VENDOR) {
		if (new.vendor.future.reserved)
			return -EINVAL;
		out.label[1] = new.vendor.future.label;
	}
	if (new.flags & FUTURE_GPASID_LABEL)
		out.label[0] = new.label;
	memcpy(&out.data, &new, sizeof(out.data));
	memset(out.data.padding, 0, sizeof(out.data.padding));
	out.data.flags &= IOMMU_SVA_GPASID_VAL;
	*bind = out;
	return 0;
}

int legacy_get_bind(enum siommu_2020 revision, struct siommu_task *task, u64 uptr, u64 room,
		    struct legacy_bind *bind)
{
	struct legacy_bind out = { 0 };
	int rc;

	if (revision == SIOMMU_2020_FUTURE)
		return get_future_bind(task, uptr, room, bind);
	rc = get(&bind_shape, revision, task, uptr, room, &out.data);
	if (!rc)
		rc = check_bind(out.data.version, out.data.format, out.data.flags,
				IOMMU_SVA_GPASID_VAL);
	if (rc)
		return rc;
	if (!all_zero(out.data.padding, sizeof(out.data.padding)))
		return -EINVAL;
	*bind = out;
	return 0;
}

/*
 * A guest's table of PASIDs
 */

static int check_table(const void *head, u32 argsz)
{
	const struct iommu_pasid_table_config *config = head;

	if (config->version != PASID_TABLE_CFG_VERSION_1)
		return -EINVAL;
	if (config->format == IOMMU_PASID_FORMAT_SMMUV3 &&
	    argsz < offsetofend(struct iommu_pasid_table_config, vendor_data.smmuv3))
		return -EINVAL;
	return 0;
}

static const struct shape table_shape = {
	.size = sizeof(struct iommu_pasid_table_config),
	.minsz = offsetof(struct iommu_pasid_table_config, vendor_data),
	.check = check_table,
};

int legacy_get_table(enum siommu_2020 revision, struct siommu_task *task, u64 uptr, u64 room,
		     struct iommu_pasid_table_config *config)
{
	struct iommu_pasid_table_config out;
	int rc;

	rc = get(&table_shape, revision, task, uptr, room, &out);
	if (rc)
		return rc;
	if (out.config < IOMMU_PASID_CONFIG_TRANSLATE || out.config > IOMMU_PASID_CONFIG_ABORT)
		return -EINVAL;
	if (!all_zero(out.padding, sizeof(out.padding)))
		return -EINVAL;
	*config = out;
	return 0;
}

/*
 * Invalidation
 */

static int check_granularity(const void *head, u32 argsz)
{
	const struct iommu_cache_invalidate_info *info = head;

	if (info->granularity == IOMMU_INV_GRANU_PASID &&
	    argsz < offsetofend(struct iommu_cache_invalidate_info, granu.pasid_info))
		return -EINVAL;
	if (info->granularity == IOMMU_INV_GRANU_ADDR &&
	    argsz < offsetofend(struct iommu_cache_invalidate_info, granu.addr_info))
		return -EINVAL;
	return 0;
}

static const struct shape invalidate_shape = {
	.size = sizeof(struct iommu_cache_invalidate_info),
	.minsz = offsetof(struct iommu_cache_invalidate_info, granu),
	.check = check_granularity,
};

#define ALL_CACHES ((1 << IOMMU_CACHE_INV_TYPE_NR) - 1)

/* Which caches have a granularity; others are not known. */
static const u8 caches_of[IOMMU_INV_GRANU_NR] = {
	[IOMMU_INV_GRANU_DOMAIN] = IOMMU_CACHE_INV_TYPE_IOTLB | IOMMU_CACHE_INV_TYPE_PASID,
	[IOMMU_INV_GRANU_PASID] = ALL_CACHES,
	[IOMMU_INV_GRANU_ADDR] = IOMMU_CACHE_INV_TYPE_IOTLB | IOMMU_CACHE_INV_TYPE_DEV_IOTLB,
};

#define PASID_FLAGS ((u32)(IOMMU_INV_PASID_FLAGS_PASID | IOMMU_INV_PASID_FLAGS_ARCHID))
#define ADDR_FLAGS                                                                                 \
	((u32)(IOMMU_INV_ADDR_FLAGS_PASID | IOMMU_INV_ADDR_FLAGS_ARCHID |                          \
	       IOMMU_INV_ADDR_FLAGS_LEAF))

static int check_invalidate(const struct iommu_cache_invalidate_info *info)
{
	if (info->version != IOMMU_CACHE_INVALIDATE_INFO_VERSION_1)
		return -EINVAL;
	if (info->granularity >= IOMMU_INV_GRANU_NR)
		return -EINVAL;
	if (info->cache & ~caches_of[info->granularity])
		return -EINVAL;
	if (info->granularity == IOMMU_INV_GRANU_PASID &&
	    (info->granu.pasid_info.flags & ~PASID_FLAGS))
		return -EINVAL;
	if (info->granularity == IOMMU_INV_GRANU_ADDR &&
	    (info->granu.addr_info.flags & ~ADDR_FLAGS))
		return -EINVAL;
	return all_zero(info->padding, sizeof(info->padding)) ? 0 : -EINVAL;
}

int legacy_get_invalidate(enum siommu_2020 revision, struct siommu_task *task, u64 uptr, u64 room,
			  struct iommu_cache_invalidate_info *info)
{
	struct iommu_cache_invalidate_info out;
	int rc;

	rc = get(&invalidate_shape, revision, task, uptr, room, &out);
	if (!rc)
		rc = check_invalidate(&out);
	if (!rc)
		*info = out;
	return rc;
}

/*
 * Responses
 */

static const struct shape response_shape = {
	.size = sizeof(struct iommu_page_response),
	.minsz = sizeof(struct iommu_page_response),
};

int legacy_check_response(const struct iommu_page_response *response)
{
	if (response->version != IOMMU_PAGE_RESP_VERSION_1)
		return -EINVAL;
	if (response->flags & ~(u32)IOMMU_PAGE_RESP_PASID_VALID)
		return -EINVAL;
	return response->code > IOMMU_PAGE_RESP_FAILURE ? -EINVAL : 0;
}

int legacy_get_response(enum siommu_2020 revision, struct siommu_task *task, u64 uptr,
			struct iommu_page_response *response)
{
	struct iommu_page_response out;
	int rc;

	rc = get(&response_shape, revision, task, uptr, LEGACY_NO_ROOM_GIVEN, &out);
	if (!rc)
		rc = legacy_check_response(&out);
	if (!rc)
		*response = out;
	return rc;
}

/*
 * The calls
 */

int legacy_uapi_bind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev,
			    struct siommu_task *task, u64 uptr, u64 room)
{
	struct legacy_bind bind;
	int rc;

	if (!domain->vendor || !domain->vendor->bind)
		return -ENODEV;
	rc = legacy_get_bind(domain->revision, task, uptr, room, &bind);
	if (rc)
		return rc;
	if (domain->blocked)
		return -EIO;
	return legacy_bind_gpasid(domain, dev, &bind);
}

/* The structure is that of binding, and so are its rules. */
int legacy_uapi_unbind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev,
			      struct siommu_task *task, u64 uptr, u64 room)
{
	struct legacy_bind bind;
	int rc;

	if (!domain->vendor || !domain->vendor->bind)
		return -ENODEV;
	rc = legacy_get_bind(domain->revision, task, uptr, room, &bind);
	if (rc)
		return rc;
	if (bind.data.hpasid < CORE_PASID_FIRST || bind.data.hpasid > CORE_PASID_LAST)
		return -EINVAL;
	legacy_unbind_gpasid(domain, dev, (u32)bind.data.hpasid);
	return 0;
}

int legacy_uapi_set_pasid_table(struct legacy_domain *domain, struct siommu_task *task, u64 uptr,
				u64 room)
{
	struct iommu_pasid_table_config config;
	int rc;

	if (!domain->vendor || !domain->vendor->set_table)
		return -ENODEV;
	rc = legacy_get_table(domain->revision, task, uptr, room, &config);
	if (rc)
		return rc;
	if (domain->blocked)
		return -EIO;
	return legacy_set_pasid_table(domain, &config);
}

int legacy_uapi_cache_invalidate(struct legacy_domain *domain, struct siommu_task *task, u64 uptr,
				 u64 room)
{
	struct iommu_cache_invalidate_info info;
	int rc;

	if (!domain->vendor)
		return -ENODEV;
	rc = legacy_get_invalidate(domain->revision, task, uptr, room, &info);
	if (rc)
		return rc;
	if (domain->blocked)
		return -EIO;
	return legacy_cache_invalidate(domain, &info);
}
