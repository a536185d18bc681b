// SPDX-License-Identifier: MIT
/*
 * The rules of the user API of 2020 as they were merged, structure by structure: argsz comes
 * first and is never believed, what is missing is zero, what nobody knows is refused, and
 * in which order. Here nothing is done with what was read; uapi2020_calls_test.c goes
 * through the calls.
 */
#include "uapi2020_structs.h"

#define MERGED SIOMMU_2020_MERGED

/* Answers 002-19, 002-20, 000-16. */
TEST(structures_begin_with_argsz_and_end_with_the_union)
{
	EXPECT_EQ(0, offsetof(struct iommu_gpasid_bind_data, argsz));
	EXPECT_EQ(0, offsetof(struct iommu_pasid_table_config, argsz));
	EXPECT_EQ(0, offsetof(struct iommu_cache_invalidate_info, argsz));
	EXPECT_EQ(0, offsetof(struct iommu_page_response, argsz));
	EXPECT_EQ(0, offsetof(struct iommu_nesting_info, argsz));

	EXPECT_EQ(1, IOMMU_PASID_FORMAT_INTEL_VTD);
	EXPECT_EQ(1, IOMMU_SVA_GPASID_VAL);
	EXPECT_EQ(12, offsetof(struct iommu_gpasid_bind_data, addr_width));
	EXPECT_EQ(24, offsetof(struct iommu_gpasid_bind_data, gpgd));
	EXPECT_EQ(32, offsetof(struct iommu_gpasid_bind_data, hpasid));
	EXPECT_EQ(40, offsetof(struct iommu_gpasid_bind_data, gpasid));
	EXPECT_EQ(48, offsetof(struct iommu_gpasid_bind_data, padding));

	EXPECT_EQ(sizeof(struct iommu_gpasid_bind_data),
		  offsetofend(struct iommu_gpasid_bind_data, vendor));
	EXPECT_EQ(sizeof(struct iommu_pasid_table_config),
		  offsetofend(struct iommu_pasid_table_config, vendor_data));
	EXPECT_EQ(sizeof(struct iommu_cache_invalidate_info),
		  offsetofend(struct iommu_cache_invalidate_info, granu));
	EXPECT_EQ(sizeof(struct iommu_nesting_info),
		  offsetofend(struct iommu_nesting_info, vendor));
	EXPECT_EQ(sizeof(struct future_gpasid_bind_data),
		  offsetofend(struct future_gpasid_bind_data, vendor));
}

/* Answers 000-20, 000-23. */
TEST(a_caller_of_the_same_age_is_understood)
{
	unsigned int kind;

	for (kind = 0; kind < NKINDS; kind++) {
		union any in = valid_kind(kind), out = { 0 };
		struct caller caller = caller_with(&in, kinds[kind].size, kinds[kind].size);

		EXPECT_OK(get_kind(kind, MERGED, &caller, &out));
		EXPECT_MEM(&in, &out, kinds[kind].size);
	}
}

/* Answers 000-24, 002-26. */
TEST(what_an_older_caller_lacks_reads_as_zero)
{
	unsigned int kind;

	for (kind = 0; kind < NKINDS; kind++) {
		union any in = valid_kind(kind), out = { 0 };
		struct caller caller;
		size_t argsz;

		for (argsz = kinds[kind].needs; argsz < kinds[kind].size; argsz++) {
			/* Behind its end the caller has something else. */
			in.argsz = (u32)argsz;
			caller = caller_with(&in, argsz, CALLER_BYTES);
			memset(&out, 0xee, sizeof(out));
			EXPECT_OK(get_kind(kind, MERGED, &caller, &out));
			memset(in.bytes + argsz, 0, kinds[kind].size - argsz);
			EXPECT_MEM(&in, &out, kinds[kind].size);
			EXPECT_EQ(0, caller.times[argsz]);
			in = valid_kind(kind);
		}
	}
}

/* Of a format that is not known yet, not even the vendor's part has to be there. */
TEST(a_table_of_another_format_needs_its_generic_part_only)
{
	struct iommu_pasid_table_config in = valid_table(), out;
	struct caller caller;

	in.format = 2;
	in.argsz = 24;
	caller = caller_with(&in, 24, 24);
	EXPECT_OK(legacy_get_table(MERGED, &caller.task, CALLER_AT, LEGACY_NO_ROOM_GIVEN, &out));
	EXPECT_EQ(2, out.format);
	EXPECT_EQ(0, out.vendor_data.smmuv3.version);
	EXPECT_EQ(0, out.vendor_data.smmuv3.s1dss);
}

/* Answers 000-25, 002-03. */
TEST(a_newer_caller_is_served_as_long_as_its_flags_are_old)
{
	static const u32 more[] = { 1, 4, 16, 4096, 0x7fffffff };
	unsigned int kind, i;

	for (kind = 0; kind < NKINDS; kind++) {
		for (i = 0; i < ARRAY_SIZE(more); i++) {
			union any in = valid_kind(kind), out = { 0 };
			struct caller caller;

			in.argsz = (u32)kinds[kind].size + more[i];
			/* What it has more is never read: it could not be. */
			caller = caller_with(&in, kinds[kind].size, kinds[kind].size);
			EXPECT_OK(get_kind(kind, MERGED, &caller, &out));
			/* The driver is told what the caller said. */
			EXPECT_MEM(&in, &out, kinds[kind].size);
		}
	}
}

/* Answers 000-22, 000-26. */
TEST(an_argsz_below_what_is_asked_for_is_refused)
{
	unsigned int kind;
	size_t argsz;

	for (kind = 0; kind < NKINDS; kind++) {
		for (argsz = 0; argsz < kinds[kind].needs; argsz++) {
			union any in = valid_kind(kind);

			in.argsz = (u32)argsz;
			EXPECT_RC(-EINVAL, try_kind(kind, MERGED, &in));
		}
	}
}

/* Answers 000-21, 002-30. */
TEST(no_argsz_makes_a_byte_be_read_that_is_not_the_callers)
{
	unsigned int kind;
	size_t argsz, i;

	for (kind = 0; kind < NKINDS; kind++) {
		const struct kind *k = &kinds[kind];

		for (argsz = 0; argsz < CALLER_BYTES; argsz++) {
			size_t honest = argsz < k->minsz ? k->minsz : argsz;
			union any in = valid_kind(kind), out = { 0 };
			struct caller caller;

			in.argsz = (u32)argsz;
			caller = caller_with(&in, k->size, honest);
			EXPECT_RC(argsz < k->needs ? -EINVAL : 0,
				  get_kind(kind, MERGED, &caller, &out));
			for (i = 0; i < CALLER_BYTES; i++)
				EXPECT_TRUE(caller.times[i] <= (i < honest && i < k->size));
		}
	}
}

/* Answers 000-21. */
TEST(memory_that_cannot_be_read_is_a_fault_and_changes_nothing)
{
	unsigned int kind;
	size_t bytes;

	for (kind = 0; kind < NKINDS; kind++) {
		union any in = valid_kind(kind), out, before;

		memset(&before, 0xa5, sizeof(before));
		for (bytes = 0; bytes < kinds[kind].size; bytes++) {
			struct caller caller = caller_with(&in, kinds[kind].size, bytes);

			out = before;
			EXPECT_RC(-EFAULT, get_kind(kind, MERGED, &caller, &out));
			EXPECT_MEM(&before, &out, sizeof(out));
		}
	}
}

static void grow_argsz(struct caller *caller)
{
	memset(caller->mem, 0xff, sizeof(u32));
}

static void shrink_argsz(struct caller *caller)
{
	memset(caller->mem, 0, sizeof(u32));
}

/* Answers 000-21. */
TEST(argsz_is_read_once_so_changing_it_meanwhile_is_in_vain)
{
	static void (*const changes[])(struct caller *) = { grow_argsz, shrink_argsz };
	unsigned int kind, i;

	for (kind = 0; kind < NKINDS; kind++) {
		for (i = 0; i < ARRAY_SIZE(changes); i++) {
			union any in = valid_kind(kind), out = { 0 };
			struct caller caller = caller_with(&in, kinds[kind].size, kinds[kind].size);

			caller.after_read = changes[i];
			EXPECT_OK(get_kind(kind, MERGED, &caller, &out));
			EXPECT_MEM(&in, &out, kinds[kind].size);
			EXPECT_EQ(1, caller.times[0]);
			EXPECT_TRUE(caller.reads <= 2);
		}
	}
}

/* The granularity decides how much is needed: another one later does not count. */
static void change_granularity(struct caller *caller)
{
	struct iommu_cache_invalidate_info *info = (void *)caller->mem;

	info->granularity = IOMMU_INV_GRANU_ADDR;
	info->cache = 0xff;
	info->version = 9;
}

/* Answers 000-21. */
TEST(what_was_checked_is_not_read_again)
{
	struct iommu_cache_invalidate_info in = valid_invalidate_pasid(), out;
	struct caller caller = caller_with(&in, sizeof(in), sizeof(in));

	caller.after_read = change_granularity;
	EXPECT_OK(
		legacy_get_invalidate(MERGED, &caller.task, CALLER_AT, LEGACY_NO_ROOM_GIVEN, &out));
	EXPECT_MEM(&in, &out, sizeof(in));
}

/* Answers 000-19. */
TEST(a_version_other_than_1_is_refused)
{
	static const u32 versions[] = { 0, 2, 3, 0x101, 0x80000001, 0xffffffff };
	unsigned int kind, i;

	for (kind = 0; kind < NKINDS; kind++) {
		for (i = 0; i < ARRAY_SIZE(versions); i++) {
			union any in = valid_kind(kind);

			/* All have it right behind argsz. */
			memcpy(in.bytes + 4, &versions[i], sizeof(u32));
			EXPECT_RC(-EINVAL, try_kind(kind, MERGED, &in));
		}
	}
}

/* Each bit from @first to @last of the @n bytes at @at, alone, is refused. */
static void each_bit_is_refused(unsigned int kind, size_t at, size_t n, unsigned int first)
{
	unsigned int bit;

	for (bit = first; bit < n * 8; bit++) {
		union any in = valid_kind(kind);

		in.bytes[at + bit / 8] |= (u8)(1 << bit % 8);
		EXPECT_RC(-EINVAL, try_kind(kind, MERGED, &in));
	}
}

/* Answers 000-17, 000-26, 002-02. */
TEST(a_flag_that_is_not_known_is_refused)
{
	each_bit_is_refused(BIND, offsetof(struct iommu_gpasid_bind_data, flags), 8, 1);
	each_bit_is_refused(INVALIDATE_PASID,
			    offsetof(struct iommu_cache_invalidate_info, granu.pasid_info.flags), 4,
			    2);
	each_bit_is_refused(INVALIDATE_ADDR,
			    offsetof(struct iommu_cache_invalidate_info, granu.addr_info.flags), 4,
			    3);
	each_bit_is_refused(INVALIDATE, offsetof(struct iommu_cache_invalidate_info, cache), 1, 3);
	each_bit_is_refused(RESPONSE, offsetof(struct iommu_page_response, flags), 4, 1);
}

TEST(the_flags_that_are_known_pass_in_all_combinations)
{
	union any in = valid_kind(BIND);
	u32 flags;

	in.bind_data.flags = 0;
	EXPECT_OK(try_kind(BIND, MERGED, &in));
	for (flags = 0; flags <= 3; flags++) {
		in = valid_kind(INVALIDATE_PASID);
		in.invalidate.granu.pasid_info.flags = flags;
		EXPECT_OK(try_kind(INVALIDATE_PASID, MERGED, &in));
	}
	for (flags = 0; flags <= 7; flags++) {
		in = valid_kind(INVALIDATE_ADDR);
		in.invalidate.granu.addr_info.flags = flags;
		EXPECT_OK(try_kind(INVALIDATE_ADDR, MERGED, &in));
	}
	in = valid_kind(RESPONSE);
	in.response.flags = 0;
	EXPECT_OK(try_kind(RESPONSE, MERGED, &in));
}

/* Answers 000-14. */
TEST(padding_that_is_not_zero_is_refused)
{
	each_bit_is_refused(BIND, offsetof(struct iommu_gpasid_bind_data, padding), 8, 0);
	each_bit_is_refused(INVALIDATE, offsetof(struct iommu_cache_invalidate_info, padding), 6,
			    0);
	each_bit_is_refused(TABLE, offsetof(struct iommu_pasid_table_config, padding), 2, 0);
}

/* Answers 000-26. */
TEST(an_enumeration_ends_where_it_ends)
{
	union any in;
	u32 i;

	/* Format 0 is the driver's to refuse. */
	for (i = 0; i < 16; i++) {
		in = valid_kind(BIND);
		in.bind_data.format = i;
		EXPECT_RC(i < 2 ? 0 : -EINVAL, try_kind(BIND, MERGED, &in));
	}
	for (i = 0; i < 256; i++) {
		in = valid_kind(TABLE);
		in.table.config = (u8)i;
		EXPECT_RC(i >= 1 && i <= 3 ? 0 : -EINVAL, try_kind(TABLE, MERGED, &in));

		in = valid_kind(INVALIDATE);
		in.invalidate.granularity = (u8)i;
		EXPECT_RC(i < 3 ? 0 : -EINVAL, try_kind(INVALIDATE, MERGED, &in));
		/* Of no cache, too. */
		in.invalidate.cache = 0;
		EXPECT_RC(i < 3 ? 0 : -EINVAL, try_kind(INVALIDATE, MERGED, &in));

		in = valid_kind(RESPONSE);
		in.response.code = i;
		EXPECT_RC(i < 3 ? 0 : -EINVAL, try_kind(RESPONSE, MERGED, &in));
	}
}

/*
 * Answers 000-08, 000-22.
 * Several caches at once are fine if each has the granularity, and none at all is.
 */
TEST(caches_have_the_granularities_of_the_table)
{
	/* By granularity: device TLB (2), IOTLB (1), PASID cache (4). */
	static const u8 valid[3] = { 1 | 4, 1 | 2 | 4, 1 | 2 };
	unsigned int granularity, cache;

	for (granularity = 0; granularity < 3; granularity++) {
		for (cache = 0; cache < 256; cache++) {
			union any in = valid_kind(INVALIDATE);
			bool ok = !(cache & ~valid[granularity]);

			in.invalidate.cache = (u8)cache;
			in.invalidate.granularity = (u8)granularity;
			EXPECT_RC(ok ? 0 : -EINVAL, try_kind(INVALIDATE, MERGED, &in));
		}
	}
}

/* Answers 000-18. */
TEST(what_no_flag_announces_is_not_looked_at)
{
	union any in = valid_kind(BIND);

	in.bind_data.flags = 0;
	in.bind_data.gpasid = UINT64_MAX;
	EXPECT_OK(try_kind(BIND, MERGED, &in));

	in = valid_kind(INVALIDATE_ADDR);
	in.invalidate.granu.addr_info.flags = 0;
	in.invalidate.granu.addr_info.pasid = UINT64_MAX;
	in.invalidate.granu.addr_info.archid = UINT32_MAX;
	EXPECT_OK(try_kind(INVALIDATE_ADDR, MERGED, &in));

	/* All of the domain: the union is nobody's. */
	in = valid_kind(INVALIDATE);
	memset(&in.invalidate.granu, 0xff, sizeof(in.invalidate.granu));
	EXPECT_OK(try_kind(INVALIDATE, MERGED, &in));

	in = valid_kind(RESPONSE);
	in.response.flags = 0;
	in.response.pasid = UINT32_MAX;
	EXPECT_OK(try_kind(RESPONSE, MERGED, &in));
}

/* Of @in only @bytes can be read. */
static int with_bytes(unsigned int kind, const union any *in, size_t bytes, unsigned int *reads)
{
	struct caller caller = caller_with(in, kinds[kind].size, bytes);
	union any out;
	int rc = get_kind(kind, MERGED, &caller, &out);

	*reads = caller.reads;
	return rc;
}

/*
 * Answers 000-22.
 * Two things are wrong each time: which one is told shows which one is looked at first.
 */
TEST(checks_come_in_order)
{
	unsigned int reads, kind;
	union any in;

	/* First what can be read, then argsz, and only then the rest. */
	for (kind = 0; kind < NKINDS; kind++) {
		in = valid_kind(kind);
		in.argsz = (u32)kinds[kind].minsz - 1;
		EXPECT_RC(-EFAULT, with_bytes(kind, &in, kinds[kind].minsz - 1, &reads));
		EXPECT_RC(-EINVAL, with_bytes(kind, &in, kinds[kind].minsz, &reads));
		EXPECT_EQ(1, reads);
	}

	/* What a granularity needs, before the rest is read. */
	in = valid_kind(INVALIDATE_ADDR);
	in.argsz = 55;
	EXPECT_RC(-EINVAL, with_bytes(INVALIDATE_ADDR, &in, 16, &reads));
	EXPECT_EQ(1, reads);
	in = valid_kind(INVALIDATE_PASID);
	in.argsz = 31;
	EXPECT_RC(-EINVAL, with_bytes(INVALIDATE_PASID, &in, 16, &reads));
	EXPECT_EQ(1, reads);

	/* The rest, before the version ... */
	in = valid_kind(BIND);
	in.bind_data.version = 2;
	EXPECT_RC(-EFAULT, with_bytes(BIND, &in, 71, &reads));
	in = valid_kind(INVALIDATE_ADDR);
	in.invalidate.version = 2;
	EXPECT_RC(-EFAULT, with_bytes(INVALIDATE_ADDR, &in, 55, &reads));
	/* ... but for a table after it, and before what it is to do. */
	in = valid_kind(TABLE);
	in.table.version = 2;
	EXPECT_RC(-EINVAL, with_bytes(TABLE, &in, 31, &reads));
	EXPECT_EQ(1, reads);
	in = valid_kind(TABLE);
	in.table.config = 0;
	EXPECT_RC(-EFAULT, with_bytes(TABLE, &in, 31, &reads));

	/* Both argsz and version: whichever it is, nothing more is read. */
	in = valid_kind(BIND);
	in.argsz = 8;
	in.bind_data.version = 2;
	EXPECT_RC(-EINVAL, with_bytes(BIND, &in, 72, &reads));
	EXPECT_EQ(1, reads);
}

/* Answers 000-32. */
TEST(nothing_of_what_is_refused_gets_out)
{
	unsigned int kind;

	for (kind = 0; kind < NKINDS; kind++) {
		union any in = valid_kind(kind), before, out;
		struct caller caller;

		in.bytes[4] = 2;
		memset(&before, 0x5a, sizeof(before));
		out = before;
		caller = caller_with(&in, kinds[kind].size, kinds[kind].size);
		EXPECT_RC(-EINVAL, get_kind(kind, MERGED, &caller, &out));
		EXPECT_MEM(&before, &out, sizeof(out));
	}
}

/* An address at the end of all addresses does not wrap around to others. */
TEST(an_address_at_the_end_is_a_fault)
{
	union any in = valid_kind(BIND);
	struct caller caller = caller_with(&in, kinds[BIND].size, kinds[BIND].size);
	struct legacy_bind bind;

	EXPECT_RC(-EFAULT, legacy_get_bind(MERGED, &caller.task, UINT64_MAX - 20,
					   LEGACY_NO_ROOM_GIVEN, &bind));
	EXPECT_RC(-EFAULT, legacy_get_bind(MERGED, &caller.task, 0, LEGACY_NO_ROOM_GIVEN, &bind));
}

/*
 * A driver that is asked, and says no
 */

static unsigned int asked;

static int no_bind(struct legacy_domain *domain, struct legacy_dev *dev,
		   const struct legacy_bind *bind, struct core_hwpt **out)
{
	(void)domain;
	(void)dev;
	(void)bind;
	(void)out;
	asked++;
	return -EINVAL;
}

static int no_table(struct legacy_domain *domain, const struct iommu_pasid_table_config *config)
{
	(void)domain;
	(void)config;
	asked++;
	return -EXDEV;
}

static int no_invalidate(struct legacy_domain *domain,
			 const struct iommu_cache_invalidate_info *info)
{
	(void)domain;
	(void)info;
	asked++;
	return -EINVAL;
}

static const struct legacy_vendor no_vendor = {
	.bind = no_bind,
	.set_table = no_table,
	.invalidate = no_invalidate,
};

/* The call for a structure in the hands of a caller who has @bytes. */
static int call(struct legacy_domain *domain, unsigned int kind, const union any *in, size_t bytes)
{
	struct caller caller = caller_with(in, kinds[kind].size, bytes);
	const u64 none = LEGACY_NO_ROOM_GIVEN;

	switch (kind) {
	case BIND:
		return legacy_uapi_bind_gpasid(domain, NULL, &caller.task, CALLER_AT, none);
	case TABLE:
		return legacy_uapi_set_pasid_table(domain, &caller.task, CALLER_AT, none);
	default:
		return legacy_uapi_cache_invalidate(domain, &caller.task, CALLER_AT, none);
	}
}

/* Answers 000-22, 002-17. */
TEST(first_the_device_then_the_structure_then_the_state_then_the_driver)
{
	static const unsigned int calls[] = { BIND, TABLE, INVALIDATE_ADDR };
	static const int answers[] = { -EINVAL, -EXDEV, -EINVAL };
	struct legacy_domain domain = { .revision = MERGED };
	unsigned int i;

	LIST_INIT(&domain.devs);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		unsigned int kind = calls[i];
		union any in = valid_kind(kind), bad = in;

		bad.bytes[4] = 2;
		domain.vendor = NULL;
		EXPECT_RC(-ENODEV, call(&domain, kind, &bad, 0));
		domain.vendor = &no_vendor;
		domain.blocked = true;
		asked = 0;
		EXPECT_RC(-EFAULT, call(&domain, kind, &in, 0));
		EXPECT_RC(-EINVAL, call(&domain, kind, &bad, CALLER_BYTES));
		EXPECT_RC(-EIO, call(&domain, kind, &in, CALLER_BYTES));
		domain.blocked = false;
		EXPECT_RC(-EINVAL, call(&domain, kind, &bad, CALLER_BYTES));
		EXPECT_EQ(0, asked);
		EXPECT_RC(answers[i], call(&domain, kind, &in, CALLER_BYTES));
		EXPECT_EQ(1, asked);
	}
}
