// SPDX-License-Identifier: MIT
/*
 * A structure grows: struct iommu_gpasid_bind_data gets a label where padding was, and a
 * larger member of its union (abi/legacy/future.h), each with a flag. Old and new callers
 * meet old and new servers. First by what is read of them; then by real binds, where a page
 * request of the PASID brings the labels back.
 */
#include "uapi2020_structs.h"
#include "uapi2020_world.h"

#define MERGED SIOMMU_2020_MERGED
#define FUTURE SIOMMU_2020_FUTURE

#define LABEL  0x1122334455667788ull
#define LABEL2 0x99aabbccddeeff00ull

/* What a caller of tomorrow passes. */
static struct future_gpasid_bind_data future_bind(u64 flags)
{
	const struct iommu_gpasid_bind_data old = valid_bind();
	struct future_gpasid_bind_data new = { 0 };

	memcpy(&new, &old, sizeof(old));
	new.argsz = sizeof(new);
	new.flags = IOMMU_SVA_GPASID_VAL | flags;
	if (flags & FUTURE_GPASID_LABEL)
		new.label = LABEL;
	if (flags & FUTURE_GPASID_VENDOR)
		new.vendor.future.label = LABEL2;
	return new;
}

static int read_bind(enum siommu_2020 revision, const void *data, size_t bytes,
		     struct legacy_bind *bind)
{
	struct caller caller = caller_with(data, bytes, bytes);

	return legacy_get_bind(revision, &caller.task, CALLER_AT, LEGACY_NO_ROOM_GIVEN, bind);
}

/* Answers 000-12, 000-15, 000-16, 002-01. */
TEST(old_caller_new_server)
{
	static const size_t sizes[] = { 56, 64, 72 };
	struct iommu_gpasid_bind_data old, want;
	struct legacy_bind bind;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		old = valid_bind();
		old.argsz = (u32)sizes[i];
		memset(&want, 0, sizeof(want));
		memcpy(&want, &old, sizes[i]);
		EXPECT_OK(read_bind(FUTURE, &old, sizes[i], &bind));
		EXPECT_MEM(&want, &bind.data, sizeof(want));
		EXPECT_EQ(0, bind.label[0]);
		EXPECT_EQ(0, bind.label[1]);
	}
}

/* Answers 000-23. */
TEST(new_caller_new_server)
{
	struct future_gpasid_bind_data new;
	struct legacy_bind bind;

	new = future_bind(FUTURE_GPASID_LABEL);
	EXPECT_OK(read_bind(FUTURE, &new, sizeof(new), &bind));
	EXPECT_EQ(LABEL, bind.label[0]);
	EXPECT_EQ(0, bind.label[1]);

	new = future_bind(FUTURE_GPASID_VENDOR);
	EXPECT_OK(read_bind(FUTURE, &new, sizeof(new), &bind));
	EXPECT_EQ(0, bind.label[0]);
	EXPECT_EQ(LABEL2, bind.label[1]);

	new = future_bind(FUTURE_GPASID_LABEL | FUTURE_GPASID_VENDOR);
	EXPECT_OK(read_bind(FUTURE, &new, sizeof(new), &bind));
	EXPECT_EQ(LABEL, bind.label[0]);
	EXPECT_EQ(LABEL2, bind.label[1]);
	/* The driver knows nothing of it. */
	EXPECT_EQ(IOMMU_SVA_GPASID_VAL, bind.data.flags);
	EXPECT_EQ(0, bind.data.padding[0]);
}

/* Answers 000-12, 000-25, 002-02, 002-03. */
TEST(new_caller_old_server)
{
	static const u64 flags[] = { FUTURE_GPASID_LABEL, FUTURE_GPASID_VENDOR,
				     FUTURE_GPASID_LABEL | FUTURE_GPASID_VENDOR };
	struct future_gpasid_bind_data new = future_bind(0);
	struct legacy_bind bind;
	unsigned int i;

	/* The new structure with the old flags: fine, or too much for the drafts. */
	EXPECT_OK(read_bind(MERGED, &new, sizeof(new), &bind));
	EXPECT_RC(-E2BIG, read_bind(SIOMMU_2020_DRAFT, &new, sizeof(new), &bind));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		new = future_bind(flags[i]);
		EXPECT_RC(-EINVAL, read_bind(MERGED, &new, sizeof(new), &bind));
		EXPECT_RC(-E2BIG, read_bind(SIOMMU_2020_DRAFT, &new, sizeof(new), &bind));
	}
}

/* Answers 000-12, 000-26. */
TEST(old_caller_old_server)
{
	struct iommu_gpasid_bind_data old = valid_bind();
	struct legacy_bind bind;

	EXPECT_OK(read_bind(MERGED, &old, sizeof(old), &bind));
	EXPECT_OK(read_bind(SIOMMU_2020_DRAFT, &old, sizeof(old), &bind));
}

/*
 * Answers 000-14, 000-17, 002-29.
 * The size does not tell the label from padding: only the flag does.
 */
TEST(padding_gets_a_meaning_by_its_flag_alone)
{
	struct future_gpasid_bind_data new = future_bind(FUTURE_GPASID_LABEL);
	struct legacy_bind bind;

	EXPECT_EQ(sizeof(struct iommu_gpasid_bind_data), 72);
	new.argsz = 72;
	EXPECT_OK(read_bind(FUTURE, &new, 72, &bind));
	EXPECT_EQ(LABEL, bind.label[0]);
	EXPECT_RC(-EINVAL, read_bind(MERGED, &new, 72, &bind));
	EXPECT_RC(-EINVAL, read_bind(SIOMMU_2020_DRAFT, &new, 72, &bind));
}

/* Answers 000-18. */
TEST(labels_without_their_flags_are_not_looked_at)
{
	struct future_gpasid_bind_data new = future_bind(0);
	struct legacy_bind bind;

	new.label = LABEL;
	new.vendor.future.label = LABEL2;
	new.vendor.future.reserved = 1;
	EXPECT_OK(read_bind(FUTURE, &new, sizeof(new), &bind));
	EXPECT_EQ(0, bind.label[0]);
	EXPECT_EQ(0, bind.label[1]);
}

/* Answers 000-15, 000-22. */
TEST(the_larger_member_has_to_be_there_if_its_flag_is)
{
	struct future_gpasid_bind_data new = future_bind(FUTURE_GPASID_VENDOR);
	struct legacy_bind bind;
	u32 argsz;

	for (argsz = 0; argsz < sizeof(new); argsz++) {
		new.argsz = argsz;
		EXPECT_RC(-EINVAL, read_bind(FUTURE, &new, sizeof(new), &bind));
	}
	new.argsz = sizeof(new);
	EXPECT_OK(read_bind(FUTURE, &new, sizeof(new), &bind));
	new.vendor.future.reserved = 1;
	EXPECT_RC(-EINVAL, read_bind(FUTURE, &new, sizeof(new), &bind));
}

/* Answers 000-15. */
TEST(a_server_of_tomorrow_reads_no_further_than_it_knows)
{
	struct future_gpasid_bind_data new = future_bind(FUTURE_GPASID_VENDOR);
	struct legacy_bind bind;

	new.argsz = UINT32_MAX;
	EXPECT_OK(read_bind(FUTURE, &new, sizeof(new), &bind));
	EXPECT_EQ(LABEL2, bind.label[1]);
	new.flags |= 1 << 3;
	EXPECT_RC(-EINVAL, read_bind(FUTURE, &new, sizeof(new), &bind));
}

/* What did not grow is served as ever. */
TEST(other_structures_are_the_same_tomorrow)
{
	unsigned int kind;

	for (kind = TABLE; kind < NKINDS; kind++) {
		union any in = valid_kind(kind);

		EXPECT_OK(try_kind(kind, FUTURE, &in));
		in.argsz++;
		EXPECT_OK(try_kind(kind, FUTURE, &in));
		in.bytes[4] = 2;
		EXPECT_RC(-EINVAL, try_kind(kind, FUTURE, &in));
	}
}

/*
 * Real binds
 */

/* What the handler was told last, and what the device was answered. */
static struct {
	struct iommu_fault_page_request request;
	unsigned int requests;
	uint32_t code;
	unsigned int answers;
} seen;

static int take(void *arg, const struct iommu_fault *fault)
{
	(void)arg;
	if (fault->type != IOMMU_FAULT_PAGE_REQ)
		return 0;
	seen.request = fault->prm;
	seen.requests++;
	return 0;
}

static void answered(void *arg, uint32_t group, uint32_t code)
{
	(void)arg;
	(void)group;
	seen.code = code;
	seen.answers++;
}

/* A page request of @pasid: its handler's record is in @seen. The guest answers it. */
static void ask_for_page(const struct world *w, uint32_t pasid)
{
	static const struct siommu_port_ops ops = { .page_response = answered };
	struct siommu_port *port = world_port(w, pasid, &ops, NULL);
	const struct siommu_page_request request = {
		.iova = GUEST_DATA,
		.group = 3,
		.access = SIOMMU_DMA_READ,
		.last = true,
	};
	struct iommu_page_response response = valid_response();

	memset(&seen, 0, sizeof(seen));
	EXPECT_OK(siommu_dma_page_request(port, &request));
	EXPECT_EQ(1, seen.requests);
	response.grpid = seen.request.grpid;
	response.pasid = seen.request.pasid;
	EXPECT_OK(siommu_uapi_page_response(w->domain, w->bound, &response));
	EXPECT_EQ(1, seen.answers);
	EXPECT_EQ(IOMMUFD_PAGE_RESP_SUCCESS, seen.code);
	siommu_port_destroy(port);
}

static struct world world_of(enum siommu_2020 revision)
{
	struct world w;

	machine_restart(revision);
	w = world_new("vtd");
	EXPECT_OK(siommu_register_device_fault_handler(w.domain, w.bound, take, NULL));
	return w;
}

/* Bind @data, of @argsz bytes, to a PASID of its own, which asks for a page if that works. */
static int try_bind(const struct world *w, struct future_gpasid_bind_data data, u32 argsz)
{
	int pasid = siommu_pasid_alloc(w->domain, 1, 1000), rc;

	ASSERT_TRUE(pasid > 0);
	data.argsz = argsz;
	data.hpasid = (u64)pasid;
	data.vendor.vtd.pat = 0;
	data.vendor.vtd.emt = 0;
	rc = siommu_uapi_sva_bind_gpasid(w->domain, NULL, &data);
	if (!rc) {
		ask_for_page(w, (u32)pasid);
		EXPECT_EQ(data.gpasid, seen.request.pasid);
		EXPECT_OK(siommu_uapi_sva_unbind_gpasid(w->domain, NULL, &data));
	}
	siommu_pasid_free(w->domain, (u32)pasid, (u32)pasid);
	return rc;
}

static bool has_private_data(void)
{
	return seen.request.flags & IOMMU_FAULT_PAGE_REQUEST_PRIV_DATA;
}

/* Answers 000-12, 000-15, 000-17, 000-18, 000-23, 000-24, 002-01, 002-27. */
TEST_CHECKED(a_new_server_serves_the_old_and_the_new)
{
	struct world w = world_of(FUTURE);
	struct future_gpasid_bind_data data;

	/* Old callers, also one with something else behind its end. */
	EXPECT_OK(try_bind(&w, future_bind(0), 72));
	EXPECT_TRUE(!has_private_data());
	data = future_bind(0);
	data.label = LABEL;
	data.vendor.future.label = LABEL2;
	EXPECT_OK(try_bind(&w, data, 72));
	EXPECT_TRUE(!has_private_data());
	EXPECT_OK(try_bind(&w, data, 88));
	EXPECT_TRUE(!has_private_data());

	/* New ones: what was padding ... */
	EXPECT_OK(try_bind(&w, future_bind(FUTURE_GPASID_LABEL), 88));
	EXPECT_TRUE(has_private_data());
	EXPECT_EQ(LABEL, seen.request.private_data[0]);
	EXPECT_EQ(0, seen.request.private_data[1]);
	/* ... in a structure of the old size ... */
	EXPECT_OK(try_bind(&w, future_bind(FUTURE_GPASID_LABEL), 72));
	EXPECT_EQ(LABEL, seen.request.private_data[0]);
	/* ... the larger member ... */
	EXPECT_OK(try_bind(&w, future_bind(FUTURE_GPASID_VENDOR), 88));
	EXPECT_EQ(0, seen.request.private_data[0]);
	EXPECT_EQ(LABEL2, seen.request.private_data[1]);
	EXPECT_RC(-EINVAL, try_bind(&w, future_bind(FUTURE_GPASID_VENDOR), 72));
	/* ... and both. */
	EXPECT_OK(try_bind(&w, future_bind(FUTURE_GPASID_LABEL | FUTURE_GPASID_VENDOR), 88));
	EXPECT_EQ(LABEL, seen.request.private_data[0]);
	EXPECT_EQ(LABEL2, seen.request.private_data[1]);
	world_end(&w);
}

/* Answers 000-25, 002-02, 002-03. */
TEST_CHECKED(an_old_server_serves_the_new_as_far_as_it_understands_them)
{
	struct world w = world_of(MERGED);

	EXPECT_OK(try_bind(&w, future_bind(0), 72));
	EXPECT_OK(try_bind(&w, future_bind(0), 88));
	EXPECT_TRUE(!has_private_data());
	EXPECT_RC(-EINVAL, try_bind(&w, future_bind(FUTURE_GPASID_LABEL), 88));
	EXPECT_RC(-EINVAL, try_bind(&w, future_bind(FUTURE_GPASID_LABEL), 72));
	EXPECT_RC(-EINVAL, try_bind(&w, future_bind(FUTURE_GPASID_VENDOR), 88));
	world_end(&w);
}

/* Answers 000-25, 002-28, 002-29. */
TEST_CHECKED(a_server_of_the_drafts_serves_its_own_size)
{
	struct world w = world_of(SIOMMU_2020_DRAFT);

	EXPECT_OK(try_bind(&w, future_bind(0), 72));
	EXPECT_RC(-E2BIG, try_bind(&w, future_bind(0), 88));
	EXPECT_RC(-E2BIG, try_bind(&w, future_bind(FUTURE_GPASID_VENDOR), 88));
	EXPECT_RC(-EINVAL, try_bind(&w, future_bind(FUTURE_GPASID_LABEL), 72));
	world_end(&w);
}
