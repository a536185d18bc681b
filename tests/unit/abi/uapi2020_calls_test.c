// SPDX-License-Identifier: MIT
/*
 * The calls of the user API of 2020 through the library: what is looked at before the
 * structure, what memory is touched, that unbinding has the rules of binding, and that a
 * caller can harm nobody but himself. The rules of the structures one by one are in
 * uapi2020_rules_test.c.
 */
#include <pthread.h>

#include "uapi2020_world.h"

static struct siommu_domain *d;

static int bind(const void *data)
{
	return siommu_uapi_sva_bind_gpasid(d, NULL, data);
}

static int unbind(const void *data)
{
	return siommu_uapi_sva_unbind_gpasid(d, NULL, data);
}

static int set_table(const void *config)
{
	return siommu_uapi_attach_pasid_table(d, config);
}

static int forget(const void *info)
{
	return siommu_uapi_cache_invalidate(d, info);
}

static uint32_t new_pasid(void)
{
	int pasid = siommu_pasid_alloc(d, 1, 1000);

	ASSERT_TRUE(pasid > 0);
	return (uint32_t)pasid;
}

/* Answers 000-11, 000-22. */
TEST_CHECKED(what_an_iommu_cannot_do_is_told_before_anything_is_read)
{
	struct world w = world_without_domain("vtd", 0x1a3);

	d = w.domain;
	EXPECT_RC(-ENODEV, bind(NULL));
	EXPECT_RC(-ENODEV, unbind(NULL));
	EXPECT_RC(-ENODEV, set_table(NULL));
	EXPECT_RC(-ENODEV, forget(NULL));
	ASSERT_OK(siommu_domain_add(w.domain, w.bound));
	EXPECT_RC(-EFAULT, bind(NULL));
	EXPECT_RC(-EFAULT, unbind(NULL));
	EXPECT_RC(-ENODEV, set_table(NULL));
	EXPECT_RC(-EFAULT, forget(NULL));
	world_end(&w);
}

/* Answers 000-11, 000-22. */
TEST_CHECKED(the_same_for_the_other_kind_of_iommu)
{
	struct world w = world_new("smmuv3");

	d = w.domain;
	EXPECT_RC(-ENODEV, bind(NULL));
	EXPECT_RC(-ENODEV, unbind(NULL));
	EXPECT_RC(-EFAULT, set_table(NULL));
	EXPECT_RC(-EFAULT, forget(NULL));
	world_end(&w);
}

/* A copy of @n bytes that ends where memory does. */
static void *before_hole(const void *data, size_t n)
{
	uint8_t *p = buffer_then_hole(PAGE, PAGE);

	memcpy(p + PAGE - n, data, n);
	return p + PAGE - n;
}

/* Answers 000-21, 000-25, 000-29. */
TEST_CHECKED(what_a_newer_caller_has_more_is_not_touched)
{
	struct world w = world_new("vtd");
	struct iommu_gpasid_bind_data data;
	struct iommu_cache_invalidate_info info = world_invalidate();

	d = w.domain;
	data = world_bind(new_pasid());
	data.argsz = UINT32_MAX;
	EXPECT_OK(bind(before_hole(&data, sizeof(data))));
	EXPECT_OK(unbind(before_hole(&data, sizeof(data))));
	EXPECT_RC(-EFAULT, bind(before_hole(&data, sizeof(data) - 1)));
	info.argsz = UINT32_MAX;
	EXPECT_OK(forget(before_hole(&info, sizeof(info))));
	EXPECT_RC(-EFAULT, forget(before_hole(&info, sizeof(info) - 1)));
	world_end(&w);
}

/* Answers 000-21, 000-24. */
TEST_CHECKED(what_an_older_caller_lacks_is_not_touched)
{
	struct world w = world_new("vtd");
	struct iommu_gpasid_bind_data data;
	struct iommu_cache_invalidate_info info = world_invalidate();

	d = w.domain;
	data = world_bind(new_pasid());
	data.argsz = 56;
	/* VT-d's driver asks for its part, and unbinding for none. */
	EXPECT_RC(-EINVAL, bind(before_hole(&data, 56)));
	EXPECT_OK(unbind(before_hole(&data, 56)));
	info.argsz = 16;
	EXPECT_OK(forget(before_hole(&info, 16)));
	world_end(&w);
}

/* Answers 000-21, 000-25. */
TEST_CHECKED(the_same_for_a_table)
{
	struct iommu_pasid_table_config config = world_bypass();
	struct world w = world_new("smmuv3");

	d = w.domain;
	config.argsz = UINT32_MAX;
	EXPECT_OK(set_table(before_hole(&config, sizeof(config))));
	siommu_detach_pasid_table(d);
	EXPECT_RC(-EFAULT, set_table(before_hole(&config, sizeof(config) - 1)));
	config.argsz = 31;
	EXPECT_RC(-EINVAL, set_table(before_hole(&config, 24)));
	world_end(&w);
}

/* Answers 000-35. */
TEST_CHECKED(unbinding_looks_at_the_structure_as_binding_does)
{
	struct world w = world_new("vtd");
	struct iommu_gpasid_bind_data good, data;
	uint32_t pasid;

	d = w.domain;
	pasid = new_pasid();
	good = data = world_bind(pasid);
	ASSERT_OK(bind(&good));

	data.argsz = 55;
	EXPECT_RC(-EINVAL, unbind(&data));
	data = good;
	data.version = 2;
	EXPECT_RC(-EINVAL, unbind(&data));
	data = good;
	data.format = 2;
	EXPECT_RC(-EINVAL, unbind(&data));
	data = good;
	data.flags = 2;
	EXPECT_RC(-EINVAL, unbind(&data));
	data = good;
	data.padding[7] = 1;
	EXPECT_RC(-EINVAL, unbind(&data));
	EXPECT_RC(-EFAULT, unbind(before_hole(&good, 71)));
	/* It is bound as before. */
	EXPECT_RC(-EBUSY, bind(&good));

	/* Of what is valid only the PASID matters. */
	data = good;
	data.format = 0;
	data.gpgd = UINT64_MAX;
	data.addr_width = 3;
	data.vendor.vtd.flags = UINT64_MAX;
	EXPECT_OK(unbind(&data));
	EXPECT_OK(bind(&good));
	EXPECT_OK(unbind(&good));
	world_end(&w);
}

/* Answers 000-35. */
TEST_CHECKED(unbinding_what_is_not_bound_is_fine)
{
	struct world w = world_new("vtd");
	struct iommu_gpasid_bind_data data = world_bind(77);

	d = w.domain;
	EXPECT_OK(unbind(&data));
	data.hpasid = 1;
	EXPECT_OK(unbind(&data));
	data.hpasid = 0xfffff;
	EXPECT_OK(unbind(&data));
	/* Such PASIDs there are not. */
	data.hpasid = 0;
	EXPECT_RC(-EINVAL, unbind(&data));
	data.hpasid = 0x100000;
	EXPECT_RC(-EINVAL, unbind(&data));
	data.hpasid = (1ull << 32) | 77;
	EXPECT_RC(-EINVAL, unbind(&data));
	world_end(&w);
}

/* A PASID of 64 bits is not cut to one that is bound. */
TEST_CHECKED(no_bit_of_a_pasid_is_lost)
{
	struct world w = world_new("vtd");
	struct iommu_cache_invalidate_info info = world_invalidate();
	struct iommu_gpasid_bind_data data;

	d = w.domain;
	data = world_bind(new_pasid());
	data.hpasid |= 1ull << 32;
	EXPECT_RC(-EINVAL, bind(&data));
	data.hpasid &= UINT32_MAX;
	ASSERT_OK(bind(&data));
	data.hpasid |= 1ull << 32;
	EXPECT_RC(-EINVAL, unbind(&data));
	data.hpasid &= UINT32_MAX;
	EXPECT_RC(-EBUSY, bind(&data));

	info.granularity = IOMMU_INV_GRANU_PASID;
	info.granu.pasid_info.flags = IOMMU_INV_PASID_FLAGS_PASID;
	info.granu.pasid_info.pasid = data.hpasid;
	EXPECT_OK(forget(&info));
	info.granu.pasid_info.pasid |= 1ull << 32;
	EXPECT_RC(-EINVAL, forget(&info));
	world_end(&w);
}

/*
 * Answers 000-32, 002-02.
 * A guest that is started with what the host does not know would notice too late; so what
 * there is can be asked first, and a bind that wants more changes nothing.
 */
TEST_CHECKED(what_does_not_fit_is_told_at_once)
{
	struct world w = world_new("vtd");
	struct iommu_gpasid_bind_data data;
	struct iommu_nesting_info info;
	struct siommu_port *port;

	d = w.domain;
	ASSERT_OK(siommu_domain_nesting_info(d, &info));
	EXPECT_EQ(IOMMU_PASID_FORMAT_INTEL_VTD, info.format);
	EXPECT_TRUE(info.features & IOMMU_NESTING_FEAT_BIND_PGTBL);
	world_vtd_tables(&w);
	data = world_bind(new_pasid());
	port = world_port(&w, (uint32_t)data.hpasid, NULL, NULL);
	data.flags = 1 << 1;
	EXPECT_RC(-EINVAL, bind(&data));
	EXPECT_TRUE(world_read(port, GUEST_DATA) < 0);
	data.flags = 0;
	EXPECT_OK(bind(&data));
	EXPECT_OK(world_read(port, GUEST_DATA));
	siommu_port_destroy(port);
	world_end(&w);
}

/* Answers 000-25, 002-25, 002-28. */
TEST_CHECKED(the_drafts_refuse_what_is_larger)
{
	struct iommu_cache_invalidate_info info = world_invalidate();
	struct iommu_page_response response = {
		.argsz = sizeof(response) + 1,
		.version = IOMMU_PAGE_RESP_VERSION_1,
	};
	struct iommu_gpasid_bind_data data;
	struct world w;

	machine_restart(SIOMMU_2020_DRAFT);
	w = world_new("vtd");
	d = w.domain;
	data = world_bind(new_pasid());
	data.argsz++;
	EXPECT_RC(-E2BIG, bind(&data));
	EXPECT_RC(-E2BIG, unbind(&data));
	data.argsz--;
	EXPECT_OK(bind(&data));
	info.argsz++;
	EXPECT_RC(-E2BIG, forget(&info));
	info.argsz--;
	EXPECT_OK(forget(&info));
	EXPECT_RC(-E2BIG, siommu_uapi_page_response(d, w.bound, &response));
	EXPECT_RC(-EFAULT, siommu_uapi_page_response(d, w.bound, NULL));
	world_end(&w);
}

/*
 * A thread that changes argsz all the time
 */

struct changer {
	_Atomic uint32_t *argsz;
	atomic_bool stop;
};

static void *change(void *arg)
{
	static const uint32_t sizes[] = { 72, UINT32_MAX, 0, 56, 73, 16, 1 << 20, 55 };
	struct changer *c = arg;
	unsigned int i;

	for (i = 0; !atomic_load(&c->stop); i++)
		atomic_store(c->argsz, sizes[i % 8]);
	return NULL;
}

/* Answers 000-21, 000-26, 002-30. */
TEST_CHECKED(an_argsz_that_changes_during_the_call_reaches_nothing)
{
	struct world w = world_new("vtd");
	struct iommu_gpasid_bind_data data = world_bind(77), *racy;
	unsigned int i, good = 0;
	struct changer c = { 0 };
	pthread_t thread;

	d = w.domain;
	racy = before_hole(&data, sizeof(data));
	c.argsz = (_Atomic uint32_t *)&racy->argsz;
	ASSERT_OK(pthread_create(&thread, NULL, change, &c));
	for (i = 0; i < 20000; i++) {
		int rc = unbind(racy);

		/* Never a fault: nothing behind the structure is read. */
		if (rc && rc != -EINVAL)
			unit_fail(__FILE__, __LINE__, "call %u gives %d", i, rc);
		good += !rc;
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	EXPECT_TRUE(good > 0);
	world_end(&w);
}

/*
 * Answers 000-26, 002-30.
 * Whatever one says of his own PASIDs and of others', what others have bound stays.
 */
TEST_CHECKED(garbage_harms_its_author_alone)
{
	struct world good = world_new("vtd"), bad = world_without_domain("vtd", 0x2b4);
	uint64_t seed = unit_seed();
	struct iommu_gpasid_bind_data data;
	struct siommu_ctx *theirs = ctx;
	struct siommu_port *port;
	uint8_t bytes[80];
	unsigned int i, k;

	ASSERT_OK(siommu_domain_add(bad.domain, bad.bound));
	world_vtd_tables(&good);
	d = good.domain;
	data = world_bind(new_pasid());
	ASSERT_OK(bind(&data));
	port = world_port(&good, (uint32_t)data.hpasid, NULL, NULL);
	ASSERT_OK(world_read(port, GUEST_DATA));

	d = bad.domain;
	for (i = 0; i < 20000; i++) {
		for (k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)unit_random(&seed);
		/* Often enough a size and a version, so that more is looked at. */
		if (i & 1) {
			memcpy(bytes, &(uint32_t){ 80 }, 4);
			memcpy(bytes + 4, &(uint32_t){ 1 }, 4);
		}
		if (i & 2)
			memset(bytes + 8, 0, sizeof(bytes) - 8);
		if (i & 4)
			memcpy(bytes + 32, &data.hpasid, 8);
		(void)!bind(bytes);
		(void)!unbind(bytes);
		(void)!forget(bytes);
		(void)!set_table(bytes);
		(void)!siommu_uapi_page_response(d, bad.bound, bytes);
	}
	EXPECT_OK(world_read(port, GUEST_DATA));
	siommu_port_destroy(port);

	siommu_domain_remove(bad.domain, bad.bound);
	siommu_domain_destroy(bad.domain);
	siommu_device_unbind(bad.bound);
	siommu_device_destroy(bad.dev);
	ctx = theirs;
	world_end(&good);
	siommu_unit_destroy(bad.unit);
}

/*
 * The library around it
 */

TEST_BOTH(domains_are_made_of_address_spaces)
{
	struct siommu_domain *none = NULL;
	uint32_t ioas = new_ioas();
	struct iommu_nesting_info info;

	EXPECT_RC(-ENOENT, siommu_domain_create(ctx, ioas + 1, &none));
	EXPECT_TRUE(!none);
	ASSERT_OK(siommu_domain_create(ctx, ioas, &d));
	EXPECT_RC(-EBUSY, destroy(ctx, ioas));
	EXPECT_RC(-ENODEV, siommu_domain_nesting_info(d, &info));
	siommu_detach_pasid_table(d);
	siommu_sva_unbind_gpasid(d, NULL, 1);
	siommu_domain_destroy(d);
	siommu_domain_destroy(NULL);
	EXPECT_OK(destroy(ctx, ioas));
}

TEST_BOTH(there_are_no_domains_where_the_api_is_not_served)
{
	uint32_t ioas;

	machine_restart(SIOMMU_2020_OFF);
	ioas = new_ioas();
	EXPECT_RC(-EOPNOTSUPP, siommu_domain_create(ctx, ioas, &d));
}

static int take(void *arg, const struct iommu_fault *fault)
{
	(void)arg;
	(void)fault;
	return 0;
}

TEST_BOTH(a_device_is_in_one_domain)
{
	struct world w = world_without_domain("vtd", 0x1a3);
	struct iommu_gpasid_bind_data data;
	struct iommu_page_response response = {
		.argsz = sizeof(response),
		.version = IOMMU_PAGE_RESP_VERSION_1,
	};
	struct siommu_domain *second;
	uint32_t pt = w.ioas;

	d = w.domain;
	/* In none: */
	siommu_domain_remove(d, w.bound);
	EXPECT_RC(-EINVAL, siommu_register_device_fault_handler(d, w.bound, take, NULL));
	EXPECT_RC(-EINVAL, siommu_unregister_device_fault_handler(d, w.bound));
	EXPECT_RC(-EINVAL, siommu_page_response(d, w.bound, &response));
	EXPECT_RC(-EINVAL, siommu_uapi_page_response(d, w.bound, &response));
	data = world_bind(new_pasid());
	EXPECT_RC(-EINVAL, siommu_uapi_sva_bind_gpasid(d, w.bound, &data));
	EXPECT_RC(-EINVAL, siommu_uapi_sva_unbind_gpasid(d, w.bound, &data));
	siommu_sva_unbind_gpasid(d, w.bound, (uint32_t)data.hpasid);

	/* Attached otherwise: */
	ASSERT_OK(siommu_device_attach(w.bound, 0, &pt));
	EXPECT_RC(-EBUSY, siommu_domain_add(d, w.bound));
	siommu_device_detach(w.bound, 0);

	/* In one: */
	ASSERT_OK(siommu_domain_add(d, w.bound));
	EXPECT_RC(-EBUSY, siommu_domain_add(d, w.bound));
	ASSERT_OK(siommu_domain_create(ctx, w.ioas, &second));
	EXPECT_RC(-EBUSY, siommu_domain_add(second, w.bound));
	EXPECT_RC(-EINVAL, siommu_page_response(second, w.bound, &response));
	siommu_domain_destroy(second);
	EXPECT_OK(siommu_uapi_sva_bind_gpasid(d, w.bound, &data));
	siommu_sva_unbind_gpasid(d, w.bound, (uint32_t)data.hpasid);
	EXPECT_OK(siommu_uapi_sva_bind_gpasid(d, w.bound, &data));

	/* And out again, with something bound, and in again. */
	siommu_domain_remove(d, w.bound);
	ASSERT_OK(siommu_domain_add(d, w.bound));
	EXPECT_OK(siommu_uapi_sva_bind_gpasid(d, NULL, &data));
	world_end(&w);
}

TEST_BOTH(a_device_has_one_handler)
{
	struct world w = world_new("vtd");

	d = w.domain;
	EXPECT_OK(siommu_register_device_fault_handler(d, w.bound, take, NULL));
	EXPECT_RC(-EBUSY, siommu_register_device_fault_handler(d, w.bound, take, NULL));
	EXPECT_OK(siommu_unregister_device_fault_handler(d, w.bound));
	EXPECT_OK(siommu_register_device_fault_handler(d, w.bound, take, NULL));
	world_end(&w);
}

/* Answers 000-05, 000-34. */
TEST_BOTH(pasids_come_and_go_through_any_domain)
{
	struct world w = world_new("vtd");
	struct iommu_gpasid_bind_data data;
	struct siommu_domain *second;
	int pasid;

	d = w.domain;
	ASSERT_OK(siommu_domain_create(ctx, w.ioas, &second));
	EXPECT_RC(-EINVAL, siommu_pasid_alloc(d, 6, 5));
	pasid = siommu_pasid_alloc(second, 100, 101);
	EXPECT_EQ(100, pasid);
	EXPECT_EQ(101, siommu_pasid_alloc(d, 100, 101));
	EXPECT_RC(-ENOSPC, siommu_pasid_alloc(d, 100, 101));

	/* What is bound is unbound by it. */
	data = world_bind(100);
	ASSERT_OK(bind(&data));
	siommu_pasid_free(second, 0, UINT32_MAX);
	EXPECT_RC(-EINVAL, bind(&data));
	EXPECT_EQ(100, siommu_pasid_alloc(d, 100, 101));
	EXPECT_OK(bind(&data));
	siommu_domain_destroy(second);
	world_end(&w);
}

/*
 * Everything at once
 */

static struct {
	struct world world;
	struct siommu_port *port;
	uint32_t pasid;
	atomic_bool stop;
	unsigned int asked;
	atomic_uint answered;
} busy;

static void busy_answered(void *arg, uint32_t group, uint32_t code)
{
	(void)arg;
	(void)group;
	(void)code;
	atomic_fetch_add(&busy.answered, 1);
}

static void *busy_device(void *arg)
{
	unsigned int i;

	for (i = 0; !atomic_load(&busy.stop); i++) {
		const struct siommu_page_request request = {
			.iova = GUEST_DATA,
			.group = i % 4,
			.access = SIOMMU_DMA_READ,
			.last = true,
		};

		busy.asked += !siommu_dma_page_request(busy.port, &request);
	}
	return arg;
}

static void *busy_guest(void *arg)
{
	struct iommu_page_response response = {
		.argsz = sizeof(response),
		.version = IOMMU_PAGE_RESP_VERSION_1,
		.flags = IOMMU_PAGE_RESP_PASID_VALID,
		.pasid = busy.pasid,
	};
	unsigned int i;

	for (i = 0; !atomic_load(&busy.stop); i++) {
		int rc;

		response.grpid = i % 4;
		rc = siommu_uapi_page_response(d, busy.world.bound, &response);
		if (rc && rc != -EINVAL)
			unit_fail(__FILE__, __LINE__, "a response gives %d", rc);
	}
	return arg;
}

/* Answers 002-08. */
TEST_BOTH(a_device_leaves_while_its_requests_are_answered)
{
	static const struct siommu_port_ops ops = { .page_response = busy_answered };
	struct iommu_gpasid_bind_data data;
	pthread_t device, guest;
	unsigned int i;

	memset(&busy, 0, sizeof(busy));
	busy.world = world_new("vtd");
	d = busy.world.domain;
	busy.pasid = new_pasid();
	data = world_bind(busy.pasid);
	busy.port = world_port(&busy.world, busy.pasid, &ops, NULL);
	ASSERT_OK(pthread_create(&device, NULL, busy_device, NULL));
	ASSERT_OK(pthread_create(&guest, NULL, busy_guest, NULL));
	for (i = 0; i < 100; i++) {
		EXPECT_OK(siommu_register_device_fault_handler(d, busy.world.bound, take, NULL));
		EXPECT_OK(bind(&data));
		usleep(500);
		if (i % 2)
			EXPECT_OK(unbind(&data));
		siommu_domain_remove(d, busy.world.bound);
		EXPECT_OK(siommu_domain_add(d, busy.world.bound));
	}
	atomic_store(&busy.stop, true);
	pthread_join(device, NULL);
	pthread_join(guest, NULL);
	siommu_domain_remove(d, busy.world.bound);
	EXPECT_EQ(busy.asked, atomic_load(&busy.answered));
	siommu_port_destroy(busy.port);
	world_end(&busy.world);
}

/*
 * Answers 000-13.
 * Without a carrier there is none of it: the numbers that VFIO's containers give these
 * operations mean nothing to /dev/iommu.
 */
TEST_BOTH(no_operation_stands_alone)
{
	uint8_t bytes[128] = { sizeof(bytes) };

	EXPECT_RC(-ENOTTY, siommu_ioctl(ctx, VFIO_IOMMU_PASID_REQUEST, bytes));
	EXPECT_RC(-ENOTTY, siommu_ioctl(ctx, VFIO_IOMMU_NESTING_OP, bytes));
	EXPECT_RC(-ENOTTY, siommu_ioctl(ctx, VFIO_IOMMU_SET_MSI_BINDING, bytes));
}
