// SPDX-License-Identifier: MIT
/*
 * The rules of the first drafts, where they differ from those that were merged. There the
 * carrier counts: its own argsz covers its header and the structure's argsz, what is left
 * ("room" here) is the structure, and more than the server knows is refused. How a carrier
 * counts is tested with the carrier; here is what becomes of its figure.
 */
#include "uapi2020_structs.h"

#define DRAFT SIOMMU_2020_DRAFT

/* What is carried: all but the response. */
enum { NCARRIED = RESPONSE };

/* The room of a structure of @bytes: what follows its argsz. */
static u64 room_of(size_t bytes)
{
	return bytes - sizeof(u32);
}

/*
 * Answers 002-18, 002-23.
 * The operation is in flags, which is within what every caller passes.
 */
TEST(carriers_have_argsz_and_flags_and_then_the_structure)
{
	EXPECT_EQ(0, offsetof(struct vfio_iommu_type1_nesting_op, argsz));
	EXPECT_EQ(4, offsetof(struct vfio_iommu_type1_nesting_op, flags));
	EXPECT_EQ(8, offsetof(struct vfio_iommu_type1_nesting_op, data));
	EXPECT_EQ(0, offsetof(struct vfio_iommu_type1_set_pasid_table, argsz));
	EXPECT_EQ(4, offsetof(struct vfio_iommu_type1_set_pasid_table, flags));
	EXPECT_EQ(8, offsetof(struct vfio_iommu_type1_set_pasid_table, config));
	EXPECT_EQ(0, offsetof(struct vfio_iommu_type1_cache_invalidate, argsz));
	EXPECT_EQ(4, offsetof(struct vfio_iommu_type1_cache_invalidate, flags));
	EXPECT_EQ(8, offsetof(struct vfio_iommu_type1_cache_invalidate, info));
}

/* Answers 002-24. */
TEST(the_servers_size_is_that_with_the_largest_member)
{
	EXPECT_EQ(kinds[BIND].size, offsetof(struct iommu_gpasid_bind_data, vendor) +
					    sizeof(struct iommu_gpasid_bind_data_vtd));
	EXPECT_EQ(kinds[TABLE].size, offsetof(struct iommu_pasid_table_config, vendor_data) +
					     sizeof(struct iommu_pasid_smmuv3));
	EXPECT_EQ(kinds[INVALIDATE].size, offsetof(struct iommu_cache_invalidate_info, granu) +
						  sizeof(struct iommu_inv_addr_info));
	EXPECT_TRUE(sizeof(struct iommu_inv_addr_info) > sizeof(struct iommu_inv_pasid_info));
}

/* Answers 002-24, 002-27. */
TEST(a_structure_of_the_same_size_is_served)
{
	unsigned int kind;

	for (kind = 0; kind < NCARRIED; kind++) {
		union any in = valid_kind(kind), out = { 0 };
		struct caller caller = caller_with(&in, kinds[kind].size, kinds[kind].size);

		EXPECT_OK(get_in_room(kind, DRAFT, &caller, room_of(kinds[kind].size), &out));
		EXPECT_MEM(&in, &out, kinds[kind].size);
	}
}

/* Answers 002-26, 002-27. */
TEST(a_smaller_structure_is_filled_up_with_zeroes)
{
	unsigned int kind;
	size_t bytes;

	for (kind = 0; kind < NCARRIED; kind++) {
		for (bytes = kinds[kind].needs; bytes < kinds[kind].size; bytes++) {
			union any in = valid_kind(kind), out;
			struct caller caller;

			in.argsz = (u32)bytes;
			caller = caller_with(&in, kinds[kind].size, bytes);
			memset(&out, 0xee, sizeof(out));
			EXPECT_OK(get_in_room(kind, DRAFT, &caller, room_of(bytes), &out));
			memset(in.bytes + bytes, 0, kinds[kind].size - bytes);
			EXPECT_MEM(&in, &out, kinds[kind].size);
		}
	}
}

/* Answers 000-25, 002-25, 002-28. */
TEST(a_larger_structure_is_refused_whatever_is_in_it)
{
	static const u64 more[] = { 1, 2, 16, 4096, UINT32_MAX };
	unsigned int kind, i;

	for (kind = 0; kind < NCARRIED; kind++) {
		for (i = 0; i < ARRAY_SIZE(more); i++) {
			union any in = valid_kind(kind), out;
			struct caller caller = caller_with(&in, kinds[kind].size, CALLER_BYTES);
			u64 room = room_of(kinds[kind].size) + more[i];

			EXPECT_RC(-E2BIG, get_in_room(kind, DRAFT, &caller, room, &out));
			EXPECT_EQ(0, caller.reads);
			/* Not even its version matters then, nor that there is no memory. */
			in.bytes[4] = 2;
			caller = caller_with(&in, kinds[kind].size, 0);
			EXPECT_RC(-E2BIG, get_in_room(kind, DRAFT, &caller, room, &out));
		}
	}
}

/* Answers 002-25. */
TEST(without_a_carrier_the_structures_own_argsz_counts)
{
	unsigned int kind;

	for (kind = 0; kind < NKINDS; kind++) {
		union any in = valid_kind(kind);

		EXPECT_OK(try_kind(kind, DRAFT, &in));
		in.argsz++;
		EXPECT_RC(-E2BIG, try_kind(kind, DRAFT, &in));
		in.argsz = UINT32_MAX;
		EXPECT_RC(-E2BIG, try_kind(kind, DRAFT, &in));
		in.argsz = (u32)kinds[kind].needs;
		EXPECT_OK(try_kind(kind, DRAFT, &in));
		in.argsz = (u32)kinds[kind].needs - 1;
		EXPECT_RC(-EINVAL, try_kind(kind, DRAFT, &in));
	}
}

/* Answers 002-30. */
TEST(of_two_sizes_that_disagree_the_smaller_holds)
{
	unsigned int kind;
	size_t room, argsz, i;

	for (kind = 0; kind < NCARRIED; kind++) {
		const struct kind *k = &kinds[kind];

		for (room = 0; room <= k->size - 4; room++) {
			for (argsz = 0; argsz < k->size + 8; argsz++) {
				size_t least = argsz < room + 4 ? argsz : room + 4;
				union any in = valid_kind(kind), out;
				struct caller caller;

				in.argsz = (u32)argsz;
				caller = caller_with(&in, k->size, room + 4);
				EXPECT_RC(least < k->needs ? -EINVAL : 0,
					  get_in_room(kind, DRAFT, &caller, room, &out));
				for (i = 0; i < CALLER_BYTES; i++)
					EXPECT_TRUE(caller.times[i] <= (i < room + 4));
			}
		}
	}
}

/* A size that the carrier did not get is not believed: the driver is told what there is. */
TEST(the_driver_is_told_what_there_is)
{
	union any in = valid_kind(BIND), out;
	struct caller caller;

	in.argsz = UINT32_MAX;
	caller = caller_with(&in, 72, 72);
	EXPECT_OK(get_in_room(BIND, DRAFT, &caller, room_of(60), &out));
	EXPECT_EQ(60, out.argsz);
	EXPECT_EQ(0, out.bind_data.vendor.vtd.emt);
}

/* Answers 002-29. */
TEST(a_new_flag_is_seen_though_the_size_is_the_same)
{
	union any in = valid_kind(BIND), out;
	struct caller caller;

	in.bind_data.flags |= FUTURE_GPASID_LABEL;
	in.bind_data.padding[0] = 1;
	caller = caller_with(&in, 72, 72);
	EXPECT_RC(-EINVAL, get_in_room(BIND, DRAFT, &caller, room_of(72), &out));
	in.bind_data.padding[0] = 0;
	caller = caller_with(&in, 72, 72);
	EXPECT_RC(-EINVAL, get_in_room(BIND, DRAFT, &caller, room_of(72), &out));
}

/* Answers 002-30. */
TEST(malformed_requests_get_what_they_get_from_the_merged_rules)
{
	static const u8 garbage[] = { 0x01, 0x80, 0xff };
	unsigned int kind, i;
	size_t at;

	for (kind = 0; kind < NCARRIED; kind++) {
		for (at = 4; at < kinds[kind].size; at++) {
			for (i = 0; i < ARRAY_SIZE(garbage); i++) {
				union any in = valid_kind(kind), out;
				struct caller caller;

				in.bytes[at] ^= garbage[i];
				caller = caller_with(&in, kinds[kind].size, kinds[kind].size);
				EXPECT_RC(try_kind(kind, SIOMMU_2020_MERGED, &in),
					  get_in_room(kind, DRAFT, &caller,
						      room_of(kinds[kind].size), &out));
			}
		}
	}
}

/*
 * Answers 000-29.
 * The table of sizes in docs/uapi-2020.md, line by line: by the structure's own argsz and no
 * carrier where that does not count, and by the carrier's figure alone where it does.
 */
TEST(sizes_are_handled_where_the_page_says)
{
	static const struct {
		int more;
		int merged;
		int draft;
	} lines[] = {
		{ 0, 0, 0 },
		{ -8, 0, 0 },
		{ 8, 0, -E2BIG },
		{ -60, -EINVAL, -EINVAL },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		union any in = valid_kind(BIND), out;
		struct caller caller;

		in.argsz = (u32)(72 + lines[i].more);
		caller = caller_with(&in, 72, CALLER_BYTES);
		EXPECT_RC(lines[i].merged, get_kind(BIND, SIOMMU_2020_MERGED, &caller, &out));
		/* The inner argsz says "as long as ours": the carrier's is believed. */
		in.argsz = 72;
		caller = caller_with(&in, 72, CALLER_BYTES);
		EXPECT_RC(lines[i].draft, get_in_room(BIND, DRAFT, &caller,
						      room_of((size_t)(72 + lines[i].more)), &out));
	}
}
