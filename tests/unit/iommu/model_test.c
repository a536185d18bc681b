// SPDX-License-Identifier: MIT
/*
 * The contract of a model that is not part of the library: what became of the ideas of 2023
 * for a call that makes domains of user space. The model is in model_rig.h, and sees what
 * any program sees; what the tests look at is what it was asked, and what programs get.
 */
#include <pthread.h>

#include "model_rig.h"

#define NEST  IOMMU_HWPT_ALLOC_NEST_PARENT
#define PASID IOMMU_HWPT_ALLOC_PASID
#define GUEST 0x40000ul /* bytes of the guest's memory */

static int paging_with(const struct rig *r, const void *data, uint32_t len, uint32_t *id)
{
	return hwpt_alloc_full(r->id, r->ioas, 0, 0, PROBE_PAGING, data, len, id);
}

static int nested_with(const struct rig *r, uint32_t parent, const void *data, uint32_t len,
		       uint32_t *id)
{
	return hwpt_alloc_full(r->id, parent, 0, 0, PROBE_NESTED, data, len, id);
}

static int nested_at(const struct rig *r, uint32_t parent, uint64_t root, uint32_t *id)
{
	const struct probe_nested data = { .root = root };

	return nested_with(r, parent, &data, sizeof(data), id);
}

static uint32_t parent_of(struct rig *r)
{
	uint32_t id;

	r->ram = buffer(GUEST);
	ASSERT_OK(map_at(r->ioas, r->ram, GUEST, 0));
	ASSERT_OK(hwpt_alloc(r->id, r->ioas, NEST, &id));
	return id;
}

static uint64_t *guest_word(const struct rig *r, uint64_t gpa)
{
	return (uint64_t *)(r->ram + gpa);
}

/* The reason of a read's fault; 0 if there is none, and *@byte is what was read. */
static uint32_t read_byte(struct siommu_port *port, uint64_t iova, uint8_t *byte)
{
	return siommu_dma_read(port, iova, byte, 1, 0) ? siommu_dma_fault(port)->reason : 0;
}

static void expect_byte(struct siommu_port *port, uint64_t iova, uint8_t want)
{
	uint8_t byte = 0;

	EXPECT_EQ(0, read_byte(port, iova, &byte));
	EXPECT_EQ(want, byte);
}

/* Before the context is closed, and after. */
static void rig_leave(struct rig *r)
{
	siommu_device_detach(r->bound, 0);
	siommu_port_destroy(r->port);
	siommu_device_unbind(r->bound);
}

static void rig_rest(struct rig *r)
{
	siommu_device_destroy(r->dev);
	siommu_unit_destroy(r->unit);
}

/* A variant of the probe under another name, with functions of its own. */
static struct siommu_model variant(const char *name, struct siommu_model_ops *ops)
{
	struct siommu_model model = probe_model;

	*ops = probe_ops;
	model.name = name;
	model.ops = ops;
	return model;
}

static void cannot_nest(struct siommu_model *model, struct siommu_model_ops *ops)
{
	model->flags &= ~(unsigned int)SIOMMU_MODEL_NEST_PARENT;
	model->nested.size = model->invalidation.size = 0;
	ops->domain_alloc_nested = NULL;
	ops->invalidate = NULL;
}

/* Answers 004-01, 004-09. */
TEST(only_what_makes_domains_of_users_calls_the_op)
{
	struct rig r = probe_rig();
	uint32_t hwpt, automatic = r.ioas;

	ASSERT_OK(map_at(r.ioas, buffer(PAGE), PAGE, 0));
	EXPECT_EQ(0, probe.paging);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	EXPECT_EQ(1, probe.paging);
	/* An automatic one; then those are there. */
	ASSERT_OK(siommu_device_attach(r.bound, 0, &automatic));
	EXPECT_EQ(2, probe.paging);
	ASSERT_OK(siommu_device_replace(r.bound, 0, &hwpt));
	siommu_device_detach(r.bound, 0);
	ASSERT_OK(siommu_device_attach(r.bound, 0, &hwpt));
	EXPECT_EQ(2, probe.paging);
	EXPECT_EQ(0, probe.nested);
	rig_end(&r);
}

/* Answers 004-02, 004-05. */
TEST(a_paging_domain_with_parameters_of_the_model)
{
	const struct probe_paging small = { .bits = 24, .page_lg2 = 12 };
	const struct probe_paging coarse = { .bits = 24, .page_lg2 = 14 };
	struct iommu_iova_range ranges[4];
	struct rig r = probe_rig();
	uint32_t hwpt, n = 4;
	uint64_t alignment;

	ASSERT_OK(paging_with(&r, &small, sizeof(small), &hwpt));
	EXPECT_EQ(PROBE_PAGING, probe.type);
	ASSERT_OK(iova_ranges(r.ioas, ranges, &n, &alignment));
	EXPECT_EQ(1, n);
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ((1u << 24) - 1, ranges[0].last);
	EXPECT_EQ(PAGE, alignment);
	EXPECT_RC(-EINVAL, map_at(r.ioas, buffer(PAGE), PAGE, 1u << 24));
	/* Entries for larger pages than this host has are of no use to it. */
	EXPECT_RC(-EINVAL, paging_with(&r, &coarse, sizeof(coarse), &hwpt));
	EXPECT_EQ(2, probe.paging);
	EXPECT_EQ(1, probe.freed);
	rig_end(&r);
}

/* Answers 004-03. */
TEST(a_nested_domain_translates_in_two_stages)
{
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt;
	uint8_t byte;

	ASSERT_OK(nested_at(&r, parent, 0x1000, &hwpt));
	EXPECT_EQ(1, probe.nested);
	*guest_word(&r, 0x1000 + 3 * 8) = 0x5000 | WORD_RW;
	*guest_word(&r, 0x1000 + 4 * 8) = GUEST | WORD_RW;
	r.ram[0x5004] = 0x77;
	ASSERT_OK(siommu_device_attach(r.bound, 0, &hwpt));
	expect_byte(r.port, 0x3004, 0x77);
	EXPECT_EQ(0x5000 | WORD_RW | WORD_A, *guest_word(&r, 0x1000 + 3 * 8));
	EXPECT_EQ(REASON_STAGE1, read_byte(r.port, 0x2000, &byte));
	EXPECT_EQ(REASON_STAGE2, read_byte(r.port, 0x4000, &byte));
	EXPECT_EQ(REASON_TABLE, read_byte(r.port, WORDS * PAGE, &byte));
	rig_end(&r);
}

/* A guest's table where there is no memory, or between two words, is a fault. */
TEST(a_guests_table_is_not_believed)
{
	static const uint64_t roots[] = { GUEST, UINT64_MAX - 7, UINT64_MAX, 0x1001, 1ull << 63 };
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt;
	uint8_t byte;
	size_t i;

	ASSERT_OK(siommu_device_attach(r.bound, 0, &parent));
	for (i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		ASSERT_OK(nested_at(&r, parent, roots[i], &hwpt));
		ASSERT_OK(siommu_device_replace(r.bound, 0, &hwpt));
		EXPECT_EQ(REASON_TABLE, read_byte(r.port, 0, &byte));
		ASSERT_OK(siommu_device_replace(r.bound, 0, &parent));
		ASSERT_OK(destroy(ctx, hwpt));
	}
	/* A table that may be read, but not marked. */
	ASSERT_OK(unmap(r.ioas, 0, GUEST));
	*guest_word(&r, 0) = WORD_RW;
	ASSERT_OK(map(r.ioas, RO | FIX, r.ram, GUEST, &(uint64_t){ 0 }));
	ASSERT_OK(nested_at(&r, parent, 0, &hwpt));
	ASSERT_OK(siommu_device_replace(r.bound, 0, &hwpt));
	EXPECT_EQ(REASON_TABLE, read_byte(r.port, 0, &byte));
	EXPECT_EQ(WORD_RW, *guest_word(&r, 0));
	rig_end(&r);
}

static struct siommu_machine *machine_with(size_t quota, void (*log)(void *, int, const char *),
					   void *arg)
{
	const struct siommu_machine_params params = {
		.size = sizeof(params),
		.quota = quota,
		.test_interface = true,
		.log = log,
		.log_arg = arg,
		.log_level = 3, /* LOG_ERR */
	};
	struct siommu_machine *m;

	ASSERT_OK(siommu_machine_create(&params, &m));
	ASSERT_OK(siommu_model_register(m, &probe_model));
	return m;
}

static size_t used_bytes(void)
{
	size_t bytes;

	siommu_machine_used(machine, &bytes, NULL);
	return bytes;
}

/* Answers 004-04. */
TEST(what_a_domain_takes_is_charged_to_its_context)
{
	struct siommu_machine *own = machine;
	struct siommu_ctx *own_ctx = ctx, *other;
	void *memory = buffer(PAGE);
	uint32_t hwpt, more;
	size_t before, table;
	unsigned int n = 0;
	struct rig r;
	int rc;

	machine = machine_with(96 << 10, NULL, NULL);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	r = probe_rig();
	before = used_bytes();
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	EXPECT_TRUE(used_bytes() - before >= sizeof(struct probe_domain));
	ASSERT_OK(map_at(r.ioas, memory, PAGE, 0));
	table = used_bytes();
	ASSERT_OK(map_at(r.ioas, memory, PAGE, 1 << 21));
	EXPECT_TRUE(used_bytes() - table >= sizeof(struct probe_table));
	/* Each needs one table more: the limit is reached, and holds. */
	do {
		rc = map_at(r.ioas, memory, PAGE, (uint64_t)(n + 2) << 21);
	} while (!rc && ++n < 100);
	EXPECT_RC(-ENOMEM, rc);
	EXPECT_TRUE(n >= 5 && n < 24);
	EXPECT_RC(-ENOMEM, hwpt_alloc(r.id, new_ioas(), 0, &more));
	/* Nobody else's account is any fuller. */
	ASSERT_OK(siommu_open(machine, 0, &other));
	EXPECT_OK(ioas_alloc(other, &more));
	siommu_close(other);
	ASSERT_OK(destroy(ctx, hwpt));
	ASSERT_OK(hwpt_alloc(r.id, new_ioas(), 0, &hwpt));
	rig_end(&r);
	siommu_machine_destroy(machine);
	machine = own;
	ctx = own_ctx;
}

/* Answers 004-05, 004-06. */
TEST(the_library_does_not_look_at_what_is_the_models)
{
	struct probe_paging data = { .bits = 30, .page_lg2 = 12 };
	struct rig r = probe_rig();
	uint64_t seed = unit_seed();
	unsigned int i, j;
	uint32_t hwpt;

	for (i = 0; i < 100; i++) {
		for (j = 0; j < sizeof(data.opaque); j++)
			data.opaque[j] = (uint8_t)unit_random(&seed);
		ASSERT_OK(paging_with(&r, &data, sizeof(data), &hwpt));
		EXPECT_MEM(&data, probe.bytes, sizeof(data));
		ASSERT_OK(destroy(ctx, hwpt));
	}
	rig_end(&r);
}

/* Answers 004-07. */
TEST(parameters_that_all_models_share_are_flags)
{
	struct siommu_model_ops ops;
	struct siommu_model model = variant("no-pasid", &ops);
	struct rig r = probe_rig(), s;
	uint32_t hwpt, nested;
	const struct probe_nested data = { .root = 0 };

	ASSERT_OK(hwpt_alloc(r.id, r.ioas, NEST | PASID, &hwpt));
	EXPECT_EQ(SIOMMU_MODEL_NEST_PARENT | SIOMMU_MODEL_PASID, probe.flags);
	ASSERT_OK(
		hwpt_alloc_full(r.id, hwpt, PASID, 0, PROBE_NESTED, &data, sizeof(data), &nested));
	EXPECT_EQ(SIOMMU_MODEL_PASID, probe.flags);
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, 1u << 30, &hwpt));
	/* What a model has not declared it is not asked for. */
	model.flags = SIOMMU_MODEL_NEST_PARENT;
	ASSERT_OK(probe_register(&model));
	s = rig_of("no-pasid", &(struct siommu_device_params){ .pasid_bits = 4 });
	probe.paging = probe.nested = 0;
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(s.id, s.ioas, PASID, &hwpt));
	EXPECT_EQ(0, probe.paging);
	ASSERT_OK(hwpt_alloc(s.id, s.ioas, NEST, &hwpt));
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc_full(s.id, hwpt, PASID, 0, PROBE_NESTED, &data,
					       sizeof(data), &nested));
	EXPECT_EQ(0, probe.nested);
	rig_leave(&s);
	rig_end(&r);
	rig_rest(&s);
}

/* Answers 004-08. */
TEST(a_model_without_the_op_is_not_used_by_programs)
{
	struct siommu_model_ops ops;
	struct siommu_model model = variant("hidden", &ops);
	uint32_t hwpt, pt;
	struct rig r;

	/* Offering it means offering all of it. */
	ops.map = NULL;
	EXPECT_RC(-EINVAL, probe_register(&model));
	ops.map = probe_map;
	ops.lookup = NULL;
	EXPECT_RC(-EINVAL, probe_register(&model));
	cannot_nest(&model, &ops);
	model.paging.size = 0;
	ops.domain_alloc_paging = NULL;
	ops.map = NULL;
	ops.unmap = NULL;
	ops.attach = NULL;
	ops.domain_free = NULL;
	ASSERT_OK(probe_register(&model));
	r = rig_of("hidden", &(struct siommu_device_params){ 0 });
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	pt = r.ioas;
	EXPECT_RC(-EOPNOTSUPP, siommu_device_attach(r.bound, 0, &pt));
	rig_end(&r);
}

/* Answers 004-10. */
TEST(a_domain_goes_as_any_other)
{
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt;

	ASSERT_OK(nested_at(&r, parent, 0, &hwpt));
	EXPECT_RC(-EBUSY, destroy(ctx, parent));
	EXPECT_EQ(0, probe.freed);
	ASSERT_OK(destroy(ctx, hwpt));
	EXPECT_EQ(1, probe.freed);
	ASSERT_OK(nested_at(&r, parent, 0, &hwpt));
	/* The rest goes with the context, once each. */
	rig_end(&r);
	EXPECT_EQ(3, probe.freed);
}

/* Answers 004-11. */
TEST(the_op_is_given_device_parent_and_data)
{
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt;
	void *device = probe.device;

	EXPECT_TRUE(device && !probe.parent && !probe.data);
	EXPECT_EQ(0, probe.type);
	ASSERT_OK(nested_at(&r, parent, 0x2000, &hwpt));
	EXPECT_TRUE(probe.device == device && probe.parent && probe.data);
	EXPECT_EQ(PROBE_NESTED, probe.type);
	EXPECT_EQ(0x2000, ((struct probe_nested *)(void *)probe.bytes)->root);
	rig_end(&r);
}

/* Answers 004-12. */
TEST_BOTH(short_data_is_filled_up_before_the_model_sees_it)
{
	const struct probe_nested data = { .root = 0x3000, .later = UINT64_MAX };
	static const uint32_t first = offsetof(struct probe_nested, later);
	static const uint8_t zero[8];
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt, len;

	for (len = 1; len <= sizeof(data) + 8; len++) {
		bool fits = len >= first && len <= sizeof(data);
		uint8_t bytes[sizeof(data) + 8] = { 0 };

		memcpy(bytes, &data, sizeof(data));
		probe.nested = 0;
		EXPECT_RC(fits ? 0 : -EINVAL, nested_with(&r, parent, bytes, len, &hwpt));
		EXPECT_EQ(fits, probe.nested);
		if (!fits)
			continue;
		EXPECT_MEM(&data, probe.bytes, len);
		EXPECT_MEM(zero, probe.bytes + len, sizeof(data) - len);
		ASSERT_OK(destroy(ctx, hwpt));
	}
	rig_end(&r);
}

TEST_CHECKED(data_that_cannot_be_read)
{
	char *p = buffer_then_hole(PAGE, PAGE);
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt;

	EXPECT_RC(-EFAULT, nested_with(&r, parent, p + PAGE - 16, 24, &hwpt));
	EXPECT_RC(-EFAULT, nested_with(&r, parent, NULL, 24, &hwpt));
	EXPECT_OK(nested_with(&r, parent, p + PAGE - 16, 16, &hwpt));
	EXPECT_EQ(1, probe.nested);
	rig_end(&r);
}

/* Answers 004-13. */
TEST(data_of_several_vendors_go_through_one_call)
{
	const struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 48 };
	const struct probe_nested own = { .root = 0 };
	struct siommu_model_ops ops;
	struct siommu_model model = variant("other", &ops);
	struct rig rigs[3];
	uint32_t parents[3], types[3], lens[3] = { sizeof(own), sizeof(s1), 16 }, hwpt;
	const void *data[3] = { &own, &s1, &own };
	unsigned int i, j;

	model.nested.type = PROBE_NESTED + 0x100;
	ASSERT_OK(probe_register(&model));
	rigs[0] = probe_rig();
	rigs[1] = rig_of("vtd", &(struct siommu_device_params){ 0 });
	rigs[2] = rig_of("other", &(struct siommu_device_params){ 0 });
	types[0] = PROBE_NESTED;
	types[1] = IOMMU_HWPT_DATA_VTD_S1;
	types[2] = PROBE_NESTED + 0x100;
	for (i = 0; i < 3; i++)
		ASSERT_OK(hwpt_alloc(rigs[i].id, rigs[i].ioas, NEST, &parents[i]));
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++) {
			int rc = hwpt_alloc_full(rigs[i].id, parents[i], 0, 0, types[j], data[j],
						 lens[j], &hwpt);

			/* VT-d's driver says so in its own way. */
			EXPECT_RC(i == j ? 0 : i == 1 ? -EOPNOTSUPP : -EINVAL, rc);
		}
	}
	rig_leave(&rigs[1]);
	rig_leave(&rigs[2]);
	rig_end(&rigs[0]);
	rig_rest(&rigs[1]);
	rig_rest(&rigs[2]);
}

static void count_line(void *arg, int level, const char *line)
{
	unsigned int *lines = arg;

	(void)level;
	*lines += strstr(line, "model probe") != NULL;
}

/* Answers 004-14. */
TEST(a_failure_is_an_errno_and_a_success_a_domain)
{
	struct siommu_machine *own = machine;
	struct siommu_ctx *own_ctx = ctx;
	unsigned int lines = 0, before;
	uint32_t parent, hwpt;
	struct rig r;

	machine = machine_with(0, count_line, &lines);
	ASSERT_OK(siommu_open(machine, 0, &ctx));
	r = probe_rig();
	parent = parent_of(&r);
	/* Nothing at all, said to be a success, is nobody's domain. */
	probe.no_domain = true;
	EXPECT_RC(-EIO, hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	EXPECT_RC(-EIO, nested_at(&r, parent, 0, &hwpt));
	EXPECT_EQ(2, lines);
	probe.alloc_rc = 12;
	EXPECT_RC(-EIO, hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	probe.alloc_rc = -5000;
	EXPECT_RC(-EIO, nested_at(&r, parent, 0, &hwpt));
	EXPECT_EQ(4, lines);
	/* What was written in spite of an error is not read. */
	probe.alloc_rc = -ENOSPC;
	probe.set_anyway = true;
	EXPECT_RC(-ENOSPC, hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	EXPECT_RC(-ENOSPC, nested_at(&r, parent, 0, &hwpt));
	EXPECT_EQ(4, lines);
	EXPECT_EQ(0, probe.freed);
	/* Half a domain is none, and goes back to the model. */
	memset(&probe, 0, sizeof(probe));
	probe.no_pages = true;
	EXPECT_RC(-EIO, hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	probe.no_pages = false;
	probe.backwards = true;
	EXPECT_RC(-EIO, hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	EXPECT_EQ(6, lines);
	EXPECT_EQ(2, probe.freed);
	before = lines;
	rig_end(&r);
	siommu_machine_destroy(machine);
	/* Nothing was left behind. */
	EXPECT_EQ(before, lines);
	machine = own;
	ctx = own_ctx;
}

/* Answers 004-15. */
TEST(every_errno_of_the_model_reaches_the_program)
{
	static const int errnos[] = { EIO,    EINVAL, ENOMEM, ENOSPC,	  EBUSY, E2BIG, ENODEV,
				      EACCES, EPERM,  ERANGE, EOPNOTSUPP, ENXIO, EILSEQ };
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt, n;
	struct probe_inv inv = { .how = 99 };
	size_t i;

	for (i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
		probe.alloc_rc = -errnos[i];
		EXPECT_RC(-errnos[i], hwpt_alloc(r.id, r.ioas, 0, &hwpt));
		EXPECT_RC(-errnos[i], nested_at(&r, parent, 0, &hwpt));
	}
	probe.alloc_rc = 0;
	for (i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
		probe.attach_rc = -errnos[i];
		hwpt = parent;
		EXPECT_RC(-errnos[i], siommu_device_attach(r.bound, 0, &hwpt));
	}
	ASSERT_OK(nested_at(&r, parent, 0, &hwpt));
	n = 1;
	EXPECT_RC(-EOPNOTSUPP, invalidate(hwpt, PROBE_INVALI, &inv, sizeof(inv), &n));
	EXPECT_EQ(0, n);
	rig_end(&r);
}

/* Answers 004-16. */
TEST(the_users_data_stays_as_it_is)
{
	static uint8_t before[2 * PAGE];
	uint8_t *p = buffer(2 * PAGE);
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt;
	struct probe_nested data = { .root = 0x1000, .later = 5 };

	memset(p, 0xa5, 2 * PAGE);
	memcpy(p + 100, &data, sizeof(data));
	memcpy(before, p, sizeof(before));
	ASSERT_OK(nested_with(&r, parent, p + 100, sizeof(data), &hwpt));
	probe.alloc_rc = -EIO;
	EXPECT_RC(-EIO, nested_with(&r, parent, p + 100, sizeof(data), &hwpt));
	EXPECT_RC(-EINVAL, nested_with(&r, parent, p + 100, 8, &hwpt));
	EXPECT_MEM(before, p, sizeof(before));
	rig_end(&r);
}

TEST(a_parent_is_of_the_same_model_and_made_as_one)
{
	struct siommu_model_ops ops;
	struct siommu_model model = variant("twin", &ops);
	struct rig r = probe_rig(), s;
	uint32_t parent = parent_of(&r), plain, automatic = r.ioas, nested, hwpt;

	ASSERT_OK(probe_register(&model));
	s = rig_of("twin", &(struct siommu_device_params){ 0 });
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &plain));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &automatic));
	ASSERT_OK(nested_at(&r, parent, 0, &nested));
	probe.nested = 0;
	EXPECT_RC(-EINVAL, nested_at(&r, plain, 0, &hwpt));
	EXPECT_RC(-EINVAL, nested_at(&r, automatic, 0, &hwpt));
	EXPECT_RC(-EINVAL, nested_at(&r, nested, 0, &hwpt));
	EXPECT_RC(-EINVAL, nested_at(&s, parent, 0, &hwpt));
	EXPECT_EQ(0, probe.nested);
	/* Nor is its domain a twin's: the library asks for another. */
	probe.paging = 0;
	hwpt = parent;
	EXPECT_RC(-EINVAL, siommu_device_attach(s.bound, 0, &hwpt));
	hwpt = r.ioas;
	EXPECT_OK(siommu_device_attach(s.bound, 0, &hwpt));
	EXPECT_EQ(1, probe.paging);
	rig_leave(&s);
	rig_end(&r);
	rig_rest(&s);
}

TEST(what_cannot_nest_leaves_out_what_it_takes)
{
	struct siommu_model_ops ops;
	struct siommu_model model = variant("flat", &ops);
	struct rig r;
	uint32_t hwpt, nested, n = 1;
	struct probe_inv inv = { 0 };

	cannot_nest(&model, &ops);
	model.paging.size = 0;
	ASSERT_OK(probe_register(&model));
	r = rig_of("flat", &(struct siommu_device_params){ 0 });
	EXPECT_RC(-EOPNOTSUPP, hwpt_alloc(r.id, r.ioas, NEST, &hwpt));
	EXPECT_RC(-EOPNOTSUPP, paging_with(&r, &inv, sizeof(inv), &hwpt));
	EXPECT_EQ(0, probe.paging);
	ASSERT_OK(hwpt_alloc(r.id, r.ioas, 0, &hwpt));
	EXPECT_RC(-EOPNOTSUPP, nested_at(&r, hwpt, 0, &nested));
	EXPECT_RC(-EINVAL, invalidate(hwpt, PROBE_INVALI, &inv, sizeof(inv), &n));
	rig_end(&r);
}

TEST(without_invalidate_a_nested_domain_refuses_it)
{
	struct siommu_model_ops ops;
	struct siommu_model model = variant("deaf", &ops);
	struct probe_inv inv = { 0 };
	uint32_t parent, hwpt, n = 1;
	struct rig r;

	ops.invalidate = NULL;
	model.invalidation.size = 0;
	ASSERT_OK(probe_register(&model));
	r = rig_of("deaf", &(struct siommu_device_params){ 0 });
	parent = parent_of(&r);
	ASSERT_OK(nested_at(&r, parent, 0, &hwpt));
	EXPECT_RC(-EOPNOTSUPP, invalidate(hwpt, PROBE_INVALI, &inv, sizeof(inv), &n));
	EXPECT_EQ(0, n);
	rig_end(&r);
}

/* The guest's page @n is behind IOVA 0x3000 from now on. */
static void guest_moves(const struct rig *r, uint64_t root, unsigned int n)
{
	r->ram[n * PAGE] = (uint8_t)n;
	__atomic_store_n(guest_word(r, root + 3 * 8), n * PAGE | WORD_RW | WORD_A,
			 __ATOMIC_RELEASE);
}

TEST(invalidation_drops_what_the_model_says)
{
	const struct probe_inv miss = { .first = 0x4000, .last = 0x4fff };
	const struct probe_inv hit = { .first = 0x3000, .last = 0x3fff };
	const struct probe_inv silent = { .how = INV_SILENT };
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt, n = 1;

	ASSERT_OK(nested_at(&r, parent, 0x1000, &hwpt));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &hwpt));
	guest_moves(&r, 0x1000, 10);
	expect_byte(r.port, 0x3000, 10);
	guest_moves(&r, 0x1000, 11);
	EXPECT_OK(invalidate(hwpt, PROBE_INVALI, &miss, sizeof(miss), &n));
	expect_byte(r.port, 0x3000, 10);
	EXPECT_OK(invalidate(hwpt, PROBE_INVALI, &hit, sizeof(hit), &n));
	expect_byte(r.port, 0x3000, 11);
	/* It need not know: then all goes. */
	guest_moves(&r, 0x1000, 12);
	EXPECT_OK(invalidate(hwpt, PROBE_INVALI, &silent, sizeof(silent), &n));
	EXPECT_EQ(1, n);
	expect_byte(r.port, 0x3000, 12);
	rig_end(&r);
}

TEST(invalidation_of_a_parent_is_for_all_that_is_nested_on_it)
{
	const struct probe_inv all = { .last = UINT64_MAX, .how = INV_PARENT };
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt, other, n = 1;

	ASSERT_OK(nested_at(&r, parent, 0x1000, &hwpt));
	ASSERT_OK(nested_at(&r, parent, 0x2000, &other));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &hwpt));
	guest_moves(&r, 0x1000, 10);
	expect_byte(r.port, 0x3000, 10);
	guest_moves(&r, 0x1000, 11);
	/* Of the other one, to which no device is attached. */
	EXPECT_OK(invalidate(other, PROBE_INVALI, &all, sizeof(all), &n));
	expect_byte(r.port, 0x3000, 11);
	rig_end(&r);
}

TEST(invalidation_entries_are_copied_one_by_one)
{
	struct probe_inv inv[4] = { 0 };
	struct rig r = probe_rig();
	uint32_t parent = parent_of(&r), hwpt, n = 4;

	ASSERT_OK(nested_at(&r, parent, 0x1000, &hwpt));
	EXPECT_OK(invalidate(hwpt, PROBE_INVALI, inv, sizeof(inv[0]), &n));
	EXPECT_EQ(4, n);
	EXPECT_EQ(4, probe.invalidated);
	inv[2].how = 99;
	EXPECT_RC(-EOPNOTSUPP, invalidate(hwpt, PROBE_INVALI, inv, sizeof(inv[0]), &n));
	EXPECT_EQ(2, n);
	/* Entries of the first version, which end before what is wrong here. */
	n = 4;
	memset(inv, 0, sizeof(inv));
	EXPECT_OK(invalidate(hwpt, PROBE_INVALI, inv, offsetof(struct probe_inv, how), &n));
	EXPECT_EQ(4, n);
	EXPECT_RC(-EINVAL, invalidate(hwpt, PROBE_INVALI, inv, 8, &n));
	EXPECT_EQ(0, n);
	n = 1;
	EXPECT_RC(-EINVAL, invalidate(hwpt, PROBE_INVALI, inv, sizeof(inv[0]) + 8, &n));
	n = 1;
	EXPECT_RC(-EINVAL, invalidate(hwpt, PROBE_NESTED, inv, sizeof(inv[0]), &n));
	EXPECT_EQ(0, n);
	/* None at all is a question about the type. */
	EXPECT_OK(invalidate(hwpt, PROBE_INVALI, NULL, 0, &n));
	EXPECT_RC(-EINVAL, invalidate(hwpt, PROBE_NESTED, NULL, 0, &n));
	rig_end(&r);
}
