// SPDX-License-Identifier: MIT
/*
 * Faults of the user API of 2020, through the library: page requests reach the handler of
 * their device and are answered once, by a response, by the clock, or by the end of what they
 * came through; and refused accesses are told.
 */
#include <pthread.h>

#include "uapi2020_faults.h"

/* Answers 000-04, 000-09. */
TEST_BOTH(req_000_09_requests_are_reported_and_answered)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	uint32_t pasid;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	ASSERT_OK(fask(port, 5, 0xabc123, WR, true));
	fault = wait_seen(0, 1);
	EXPECT_EQ(IOMMU_FAULT_PAGE_REQ, fault.type);
	EXPECT_EQ(0, fault.padding);
	EXPECT_EQ(F_PASID | F_LAST | F_NEEDS, fault.prm.flags);
	EXPECT_EQ(pasid, fault.prm.pasid);
	EXPECT_EQ(5, fault.prm.grpid);
	EXPECT_EQ(IOMMU_FAULT_PERM_WRITE, fault.prm.perm);
	EXPECT_EQ(0xabc000, fault.prm.addr);
	EXPECT_EQ(0, fault.prm.private_data[0] | fault.prm.private_data[1]);
	EXPECT_EQ(0, atomic_load(&f.told[0].n));
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 1, 5, YES);
	/* Once. */
	EXPECT_RC(-EINVAL, respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	ASSERT_OK(fask(port, 6, 0x1000, RD, true));
	fault = wait_seen(0, 2);
	EXPECT_EQ(IOMMU_FAULT_PERM_READ, fault.prm.perm);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_INVALID));
	expect_told(0, 2, 6, NO);
	siommu_port_destroy(port);
	faults_end();
}

/* What a device reads where nothing is, and a page comes. */
static void *bring_page(void *arg)
{
	struct iommu_fault fault = wait_seen(0, 1);

	(void)arg;
	EXPECT_EQ(GUEST_DATA, fault.prm.addr);
	world_vtd_tables(&(struct world){ .ram = f.ram });
	*(uint64_t *)(f.ram + GUEST_DATA) = 0x600df00d;
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	return NULL;
}

/* Answers 000-04, 000-09. */
TEST(an_access_waits_for_its_page)
{
	struct siommu_port *port;
	uint64_t value = 0;
	pthread_t thread;
	uint32_t pasid;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 9);
	port = fport_flags(0, pasid, SIOMMU_PORT_PAGE_REQUESTS);
	ASSERT_OK(pthread_create(&thread, NULL, bring_page, NULL));
	EXPECT_OK(siommu_dma_read(port, GUEST_DATA, &value, sizeof(value), 0));
	pthread_join(thread, NULL);
	EXPECT_EQ(0x600df00d, value);
	EXPECT_EQ(1, seen_count(0));
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-09. */
TEST(a_group_is_handed_over_whole_and_answered_once)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	uint32_t pasid;
	unsigned int i;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	for (i = 0; i < 4; i++)
		ASSERT_OK(fask(port, 3, 0x1000 * (i + 1), RD, false));
	/* In our model it comes when it is complete. */
	EXPECT_EQ(0, seen_count(0));
	ASSERT_OK(fask(port, 3, 0x9000, WR, true));
	EXPECT_EQ(5, seen_count(0));
	for (i = 0; i < 5; i++) {
		fault = f.seen[0].faults[i];
		EXPECT_EQ(i < 4 ? 0x1000 * (i + 1) : 0x9000, fault.prm.addr);
		EXPECT_EQ(i < 4 ? 0 : F_LAST, fault.prm.flags & F_LAST);
		EXPECT_EQ(3, fault.prm.grpid);
		EXPECT_EQ(i < 4 ? IOMMU_FAULT_PERM_READ : IOMMU_FAULT_PERM_WRITE, fault.prm.perm);
	}
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 1, 3, YES);
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-09. */
TEST(the_guests_number_goes_up_and_comes_back)
{
	struct iommu_page_response response;
	struct siommu_port *port;
	struct iommu_fault fault;
	uint32_t pasid;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0x12345);
	port = fport(0, pasid);
	ASSERT_OK(fask(port, 1, 0x1000, RD, true));
	fault = wait_seen(0, 1);
	EXPECT_EQ(0x12345, fault.prm.pasid);
	response = response_to(&fault, IOMMU_PAGE_RESP_SUCCESS);
	response.pasid = pasid;
	EXPECT_RC(-EINVAL, respond(0, &response));
	EXPECT_EQ(0, atomic_load(&f.told[0].n));
	response.pasid = 0x12345;
	EXPECT_OK(respond(0, &response));
	expect_told(0, 1, 1, YES);
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-09. */
TEST(a_response_is_for_its_group_and_pasid)
{
	struct siommu_port *p1, *p2;
	struct iommu_page_response response;
	struct iommu_fault a, b;
	uint32_t first, second;

	faults_begin(1);
	first = own_pasid();
	second = own_pasid();
	bind_to(NULL, first, 0);
	bind_to(NULL, second, 0);
	p1 = fport(0, first);
	p2 = fport(0, second);
	/* Devices number the groups of each PASID apart. */
	ASSERT_OK(fask(p1, 4, 0x1000, RD, true));
	ASSERT_OK(fask(p2, 4, 0x2000, RD, true));
	a = wait_seen(0, 1);
	b = wait_seen(0, 2);
	EXPECT_EQ(first, a.prm.pasid);
	EXPECT_EQ(second, b.prm.pasid);
	response = response_to(&b, IOMMU_PAGE_RESP_INVALID);
	response.grpid = 5;
	EXPECT_RC(-EINVAL, respond(0, &response));
	/* The request needs its PASID back. */
	response.grpid = 4;
	response.flags = 0;
	EXPECT_RC(-EINVAL, respond(0, &response));
	response.flags = IOMMU_PAGE_RESP_PASID_VALID;
	response.pasid = second + 1;
	EXPECT_RC(-EINVAL, respond(0, &response));
	EXPECT_EQ(0, atomic_load(&f.told[0].n));
	EXPECT_OK(respond_to(0, &b, IOMMU_PAGE_RESP_INVALID));
	expect_told(0, 1, 4, NO);
	EXPECT_OK(respond_to(0, &a, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 2, 4, YES);
	siommu_port_destroy(p1);
	siommu_port_destroy(p2);
	faults_end();
}

/* Answers 000-38, 002-06. */
TEST_BOTH(req_002_06_a_response_may_fail)
{
	static const struct {
		uint32_t version, flags, code;
	} bad[] = {
		{ 0, IOMMU_PAGE_RESP_PASID_VALID, 0 },
		{ 2, IOMMU_PAGE_RESP_PASID_VALID, 0 },
		/* LAST_PAGE is of requests. */
		{ 1, IOMMU_PAGE_RESP_PASID_VALID | F_LAST, 0 },
		{ 1, IOMMU_PAGE_RESP_PASID_VALID | 1u << 31, 0 },
		{ 1, IOMMU_PAGE_RESP_PASID_VALID, 3 },
		/* PCIe's code of failure. */
		{ 1, IOMMU_PAGE_RESP_PASID_VALID, 0xf },
	};
	struct iommu_page_response response;
	struct siommu_port *port;
	struct iommu_fault fault;
	uint32_t pasid;
	size_t i;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	/* Nothing waits. */
	response = (struct iommu_page_response){ .argsz = sizeof(response), .version = 1 };
	EXPECT_RC(-EINVAL, respond(0, &response));
	ASSERT_OK(fask(port, 0, 0x1000, RD, true));
	fault = wait_seen(0, 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		response = response_to(&fault, bad[i].code);
		response.version = bad[i].version;
		response.flags = bad[i].flags;
		EXPECT_RC(-EINVAL, respond(0, &response));
		EXPECT_RC(-EINVAL, siommu_uapi_page_response(f.domain, f.bound[0], &response));
	}
	response = response_to(&fault, IOMMU_PAGE_RESP_SUCCESS);
	response.argsz = sizeof(response) - 1;
	EXPECT_RC(-EINVAL, siommu_uapi_page_response(f.domain, f.bound[0], &response));
	if (unit.variant)
		EXPECT_RC(-EFAULT, siommu_uapi_page_response(f.domain, f.bound[0], NULL));
	/* All of that has done no harm: it still waits, and is answered. */
	EXPECT_EQ(0, atomic_load(&f.told[0].n));
	response.argsz = UINT32_MAX;
	EXPECT_OK(siommu_uapi_page_response(f.domain, f.bound[0], &response));
	expect_told(0, 1, 0, YES);
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-09. */
TEST(what_a_handler_does_not_take_is_answered)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	uint32_t pasid;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	f.seen[0].refuse = -ENOSPC;
	ASSERT_OK(fask(port, 1, 0x1000, RD, true));
	fault = wait_seen(0, 1);
	expect_told(0, 1, 1, NO);
	EXPECT_RC(-EINVAL, respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	/* The second of three: the third is not tried, and the group is answered. */
	f.seen[0].refuse_from = 2;
	ASSERT_OK(fask(port, 2, 0x1000, RD, false));
	ASSERT_OK(fask(port, 2, 0x2000, RD, false));
	ASSERT_OK(fask(port, 2, 0x3000, RD, true));
	EXPECT_EQ(3, seen_count(0));
	expect_told(0, 2, 2, NO);
	EXPECT_EQ(1, atomic_load(&f.told[0].n) - 1);
	f.seen[0].refuse = 0;
	ASSERT_OK(fask(port, 2, 0x1000, RD, true));
	fault = wait_seen(0, 4);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 3, 2, YES);
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-09. */
TEST(a_device_has_one_handler)
{
	struct siommu_domain *d;
	struct siommu_port *port;
	struct iommu_fault fault;
	uint32_t pasid;

	faults_begin(1);
	d = f.domain;
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	EXPECT_RC(-EBUSY,
		  siommu_register_device_fault_handler(d, f.bound[0], remember, &f.seen[0]));
	ASSERT_OK(fask(port, 1, 0x1000, RD, true));
	fault = wait_seen(0, 1);
	/* Somebody waits for it. */
	EXPECT_RC(-EBUSY, siommu_unregister_device_fault_handler(d, f.bound[0]));
	ASSERT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	EXPECT_OK(siommu_unregister_device_fault_handler(d, f.bound[0]));
	/* Nobody there: no page. */
	ASSERT_OK(fask(port, 2, 0x1000, RD, true));
	expect_told(0, 2, 2, NO);
	EXPECT_EQ(1, seen_count(0));
	EXPECT_OK(siommu_unregister_device_fault_handler(d, f.bound[0]));
	EXPECT_OK(siommu_register_device_fault_handler(d, f.bound[0], remember, &f.seen[0]));
	ASSERT_OK(fask(port, 3, 0x1000, RD, true));
	fault = wait_seen(0, 2);
	ASSERT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	siommu_port_destroy(port);
	faults_end();
}

/* Who says "failure" is not asked again. */
TEST(failure_ends_the_asking)
{
	struct siommu_port *p1, *p2;
	struct iommu_fault fault;
	uint32_t first, second;

	faults_begin(1);
	first = own_pasid();
	second = own_pasid();
	bind_to(NULL, first, 0);
	bind_to(NULL, second, 0);
	p1 = fport(0, first);
	p2 = fport(0, second);
	ASSERT_OK(fask(p1, 1, 0x1000, RD, true));
	fault = wait_seen(0, 1);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_FAILURE));
	expect_told(0, 1, 1, NO);
	ASSERT_OK(fask(p1, 2, 0x1000, RD, true));
	expect_told(0, 2, 2, NO);
	EXPECT_EQ(1, seen_count(0));
	/* Of this PASID alone, and until it is bound again. */
	ASSERT_OK(fask(p2, 2, 0x1000, RD, true));
	fault = wait_seen(0, 2);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	unbind_from(NULL, first);
	bind_to(NULL, first, 0);
	ASSERT_OK(fask(p1, 3, 0x1000, RD, true));
	fault = wait_seen(0, 3);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 4, 3, YES);
	siommu_port_destroy(p1);
	siommu_port_destroy(p2);
	faults_end();
}

static const struct siommu_device_params able = {
	.pasid_bits = 20,
	.ats = true,
	.page_requests = true,
};

/* Answers 002-07, 002-08. */
TEST_BOTH(req_002_07_who_waits_too_long_is_answered)
{
	struct siommu_port *port;
	struct iommu_fault late, fault;
	uint32_t pasid;
	double ms;

	faults_begin_on("vtd", "", &able, 1, 50);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	/* Whoever watches the time has nothing to do yet, and sleeps. */
	usleep(20000);
	ASSERT_OK(fask(port, 5, 0x1000, RD, true));
	late = wait_seen(0, 1);
	ms = wait_told(0, 1);
	expect_told(0, 1, 5, NO);
	EXPECT_TRUE(ms > 30 && ms < 10000);
	/* Too late. */
	EXPECT_RC(-EINVAL, respond_to(0, &late, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 1, 5, NO);
	/* It goes on, with the same number. */
	ASSERT_OK(fask(port, 5, 0x1000, RD, true));
	fault = wait_seen(0, 2);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 2, 5, YES);
	usleep(100000);
	ASSERT_OK(fask(port, 6, 0x1000, RD, true));
	wait_told(0, 3);
	expect_told(0, 3, 6, NO);
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 002-07. */
TEST(each_request_has_its_own_time)
{
	struct siommu_port *p1, *p2;
	struct iommu_fault fault;
	uint32_t pasid;

	faults_begin_on("vtd", "", &able, 2, 200);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	p1 = fport(0, pasid);
	p2 = fport(1, pasid);
	ASSERT_OK(fask(p1, 1, 0x1000, RD, true));
	usleep(100000);
	ASSERT_OK(fask(p2, 2, 0x1000, RD, true));
	ASSERT_OK(fask(p2, 3, 0x1000, RD, true));
	wait_told(0, 1);
	expect_told(0, 1, 1, NO);
	/* Those came later. */
	EXPECT_EQ(0, atomic_load(&f.told[1].n));
	fault = wait_seen(1, 2);
	EXPECT_OK(respond_to(1, &fault, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(1, 1, 3, YES);
	wait_told(1, 2);
	expect_told(1, 2, 2, NO);
	siommu_port_destroy(p1);
	siommu_port_destroy(p2);
	faults_end();
}

/* Answers 002-07. */
TEST(without_a_time_out_nobody_is_answered_for)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	uint32_t pasid;

	faults_begin_on("vtd", "", &able, 1, 0);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	ASSERT_OK(fask(port, 5, 0x1000, RD, true));
	usleep(150000);
	EXPECT_EQ(0, atomic_load(&f.told[0].n));
	fault = wait_seen(0, 1);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(0, 1, 5, YES);
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 002-08. */
TEST_BOTH(req_002_08_what_ends_is_answered_and_a_late_response_dropped)
{
	enum { UNBIND, FREE, REMOVE, NWAYS };
	struct siommu_port *port, *other;
	struct iommu_fault fault, stays;
	uint32_t pasid, second;
	unsigned int way;

	for (way = 0; way < NWAYS; way++) {
		faults_begin(1);
		pasid = own_pasid();
		second = own_pasid();
		bind_to(NULL, pasid, 0x99);
		bind_to(NULL, second, 0);
		port = fport(0, pasid);
		other = fport(0, second);
		ASSERT_OK(fask(port, 5, 0x1000, RD, true));
		ASSERT_OK(fask(other, 6, 0x1000, RD, true));
		fault = wait_seen(0, 1);
		stays = wait_seen(0, 2);
		if (way == UNBIND)
			unbind_from(NULL, pasid);
		else if (way == FREE)
			siommu_pasid_free(f.domain, pasid, pasid);
		else
			siommu_domain_remove(f.domain, f.bound[0]);
		EXPECT_EQ(NO, f.told[0].code[0]);
		EXPECT_RC(-EINVAL, respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
		if (way == REMOVE) {
			EXPECT_EQ(2, atomic_load(&f.told[0].n));
			EXPECT_EQ(NO, f.told[0].code[1]);
			EXPECT_RC(-EINVAL, respond_to(0, &stays, IOMMU_PAGE_RESP_SUCCESS));
			siommu_device_unbind(f.bound[0]);
			f.bound[0] = NULL;
		} else {
			expect_told(0, 1, 5, NO);
			EXPECT_OK(respond_to(0, &stays, IOMMU_PAGE_RESP_SUCCESS));
			expect_told(0, 2, 6, YES);
			/* Nobody to ask. */
			ASSERT_OK(fask(port, 5, 0x1000, RD, true));
			expect_told(0, 3, 5, NO);
			EXPECT_EQ(2, seen_count(0));
		}
		siommu_port_destroy(port);
		siommu_port_destroy(other);
		faults_end();
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
}

/* Answers 000-09, 002-08. */
TEST(devices_of_a_group_are_told_apart)
{
	struct siommu_port *p1, *p2;
	struct iommu_fault a, b;
	uint32_t pasid;

	faults_begin(2);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	p1 = fport(0, pasid);
	p2 = fport(1, pasid);
	ASSERT_OK(fask(p1, 7, 0x1000, RD, true));
	ASSERT_OK(fask(p2, 7, 0x2000, RD, true));
	a = wait_seen(0, 1);
	b = wait_seen(1, 1);
	EXPECT_EQ(0x1000, a.prm.addr);
	EXPECT_EQ(0x2000, b.prm.addr);
	/* One of them goes: it is answered, and asks in vain. The other goes on. */
	unbind_from(f.bound[0], pasid);
	expect_told(0, 1, 7, NO);
	EXPECT_EQ(0, atomic_load(&f.told[1].n));
	EXPECT_RC(-EINVAL, respond_to(0, &a, IOMMU_PAGE_RESP_SUCCESS));
	ASSERT_OK(fask(p1, 7, 0x1000, RD, true));
	expect_told(0, 2, 7, NO);
	EXPECT_EQ(1, seen_count(0));
	EXPECT_OK(respond_to(1, &b, IOMMU_PAGE_RESP_SUCCESS));
	expect_told(1, 1, 7, YES);
	ASSERT_OK(fask(p2, 8, 0x2000, RD, true));
	b = wait_seen(1, 2);
	EXPECT_OK(respond_to(1, &b, IOMMU_PAGE_RESP_SUCCESS));
	siommu_port_destroy(p1);
	siommu_port_destroy(p2);
	faults_end();
}

TEST(a_device_that_is_in_no_domain_has_no_faults)
{
	struct iommu_page_response response = { .argsz = 24, .version = 1 };
	struct siommu_domain *other;

	faults_begin(1);
	ASSERT_OK(siommu_domain_create(ctx, f.ioas, &other));
	EXPECT_RC(-EINVAL,
		  siommu_register_device_fault_handler(other, f.bound[0], remember, &f.seen[0]));
	EXPECT_RC(-EINVAL, siommu_unregister_device_fault_handler(other, f.bound[0]));
	EXPECT_RC(-EINVAL, siommu_page_response(other, f.bound[0], &response));
	EXPECT_RC(-EINVAL, siommu_uapi_page_response(other, f.bound[0], &response));
	siommu_domain_destroy(other);
	faults_end();
}

/* Answers 000-09. */
TEST(what_cannot_be_remembered_is_answered)
{
	struct siommu_port *port;
	struct base_alloc *alloc;
	uint32_t pasid;
	size_t limit;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	/* There is one context. */
	alloc = &LIST_FIRST(&machine->contexts)->alloc;
	limit = alloc->limit;
	alloc->limit = 1;
	ASSERT_OK(fask(port, 1, 0x1000, RD, true));
	alloc->limit = limit;
	EXPECT_EQ(0, seen_count(0));
	expect_told(0, 1, 1, NO);
	siommu_port_destroy(port);
	faults_end();
}

/*
 * Accesses that are refused
 */

static struct iommu_fault refused(struct siommu_port *port, uint64_t iova, bool write)
{
	const unsigned int before = seen_count(0);
	uint64_t word = 0;

	if (write)
		EXPECT_RC(-EFAULT, siommu_dma_write(port, iova, &word, sizeof(word), 0));
	else
		EXPECT_RC(-EFAULT, siommu_dma_read(port, iova, &word, sizeof(word), 0));
	ASSERT_EQ(before + 1, seen_count(0));
	EXPECT_EQ(IOMMU_FAULT_DMA_UNRECOV, f.seen[0].faults[before].type);
	EXPECT_EQ(0, f.seen[0].faults[before].padding);
	return f.seen[0].faults[before];
}

#define U_PASID IOMMU_FAULT_UNRECOV_PASID_VALID
#define U_ADDR	IOMMU_FAULT_UNRECOV_ADDR_VALID

/* Answers 000-04. */
TEST(refused_accesses_are_told)
{
	struct siommu_port *port, *plain;
	struct iommu_fault fault;
	struct siommu_ats ats;
	uint32_t pasid;

	faults_begin(1);
	world_vtd_tables(&(struct world){ .ram = f.ram });
	pasid = own_pasid();
	bind_to(NULL, pasid, 0x1234);
	port = fport(0, pasid);
	plain = fport(0, 0);
	EXPECT_OK(world_read(port, GUEST_DATA));
	EXPECT_EQ(0, seen_count(0));
	fault = refused(port, GUEST_DATA + 3 * PAGE + 8, true);
	EXPECT_EQ(IOMMU_FAULT_REASON_PTE_FETCH, fault.event.reason);
	EXPECT_EQ(U_PASID | U_ADDR, fault.event.flags);
	EXPECT_EQ(0x1234, fault.event.pasid);
	EXPECT_EQ(IOMMU_FAULT_PERM_WRITE, fault.event.perm);
	EXPECT_EQ(GUEST_DATA + 3 * PAGE + 8, fault.event.addr);
	EXPECT_EQ(0, fault.event.fetch_addr);
	/* Read only. */
	*(uint64_t *)(f.ram + GUEST_ROOT + 3 * PAGE + (GUEST_DATA / PAGE + 1) * 8) = GUEST_DATA | 5;
	fault = refused(port, GUEST_DATA + PAGE, true);
	EXPECT_EQ(IOMMU_FAULT_REASON_PERMISSION, fault.event.reason);
	fault = refused(port, (uint64_t)1 << 62, false);
	EXPECT_EQ(IOMMU_FAULT_REASON_OOR_ADDRESS, fault.event.reason);
	EXPECT_EQ(IOMMU_FAULT_PERM_READ, fault.event.perm);
	/* What the second stage refuses is the host's. */
	*(uint64_t *)(f.ram + GUEST_ROOT + 3 * PAGE + (GUEST_DATA / PAGE + 2) * 8) =
		WORLD_PAGES * PAGE | 7;
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA + 2 * PAGE));
	EXPECT_RC(-EFAULT, world_read(plain, WORLD_PAGES * PAGE));
	/* An answer is no fault. */
	ASSERT_OK(siommu_dma_ats_translate(port, GUEST_DATA + 3 * PAGE, RD, &ats));
	EXPECT_EQ(3, seen_count(0));
	/* A PASID that is not bound any more. */
	unbind_from(NULL, pasid);
	fault = refused(port, GUEST_DATA, false);
	EXPECT_EQ(IOMMU_FAULT_REASON_BAD_PASID_ENTRY, fault.event.reason);
	EXPECT_EQ(pasid, fault.event.pasid);
	/* To whoever asks for it, and as long as the device is in the domain. */
	ASSERT_OK(siommu_unregister_device_fault_handler(f.domain, f.bound[0]));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	ASSERT_OK(siommu_register_device_fault_handler(f.domain, f.bound[0], remember, &f.seen[0]));
	siommu_domain_remove(f.domain, f.bound[0]);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	EXPECT_EQ(4, seen_count(0));
	siommu_device_unbind(f.bound[0]);
	f.bound[0] = NULL;
	siommu_port_destroy(port);
	siommu_port_destroy(plain);
	faults_end();
}

TEST(a_handler_that_has_no_room_loses_them)
{
	struct siommu_port *port;
	uint32_t pasid;

	faults_begin(1);
	pasid = own_pasid();
	bind_to(NULL, pasid, 0);
	port = fport(0, pasid);
	f.seen[0].refuse = -ENOSPC;
	(void)refused(port, GUEST_DATA, false);
	f.seen[0].refuse = 0;
	(void)refused(port, GUEST_DATA, false);
	siommu_port_destroy(port);
	faults_end();
}

/* The reasons of one model, by its own numbers. */
struct cause {
	uint32_t reason;
	uint64_t record0;
	uint32_t cause;
	bool table;
};

static void expect_causes(const char *model, const struct cause *causes, size_t n)
{
	const struct siommu_unit_params u = { .size = sizeof(u), .model = model };
	struct siommu_unit *iommu;
	size_t i;

	ASSERT_OK(siommu_unit_create(machine, &u, NULL, 0, &iommu));
	for (i = 0; i < n; i++) {
		const struct siommu_fault fault = {
			.reason = causes[i].reason,
			.record = { causes[i].record0, 0xaaa000, 0xbbb000, 0xccc000 },
		};
		u64 table = 1;

		EXPECT_EQ(causes[i].cause, iommu->unit->ops->fault_cause(&fault, &table));
		EXPECT_EQ(causes[i].table, table != 1);
		if (causes[i].table)
			EXPECT_EQ(strcmp(model, "amd") ? 0xccc000 : 0xaaa000, table);
	}
	siommu_unit_destroy(iommu);
}

TEST(causes_of_vtd)
{
	/* Section 7.1.3 of the specification. */
	static const struct cause causes[] = {
		{ 0x01, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
		{ 0x04, 0, IOMMU_FAULT_REASON_OOR_ADDRESS, false },
		{ 0x05, 0, IOMMU_FAULT_REASON_PERMISSION, false },
		{ 0x06, 0, IOMMU_FAULT_REASON_PERMISSION, false },
		{ 0x31, 0, IOMMU_FAULT_REASON_PASID_INVALID, false },
		{ 0x41, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
		{ 0x46, 0, IOMMU_FAULT_REASON_PASID_INVALID, false },
		{ 0x51, 0, IOMMU_FAULT_REASON_BAD_PASID_ENTRY, false },
		{ 0x59, 0, IOMMU_FAULT_REASON_BAD_PASID_ENTRY, false },
		{ 0x5b, 0, IOMMU_FAULT_REASON_BAD_PASID_ENTRY, false },
		{ 0x5d, 0, IOMMU_FAULT_REASON_PERMISSION, false },
		{ 0x70, 0, IOMMU_FAULT_REASON_WALK_EABT, false },
		{ 0x71, 0, IOMMU_FAULT_REASON_PTE_FETCH, false },
		{ 0x74, 0, IOMMU_FAULT_REASON_OOR_ADDRESS, false },
		{ 0x76, 0, IOMMU_FAULT_REASON_WALK_EABT, false },
		{ 0x79, 0, IOMMU_FAULT_REASON_PTE_FETCH, false },
		{ 0x80, 0, IOMMU_FAULT_REASON_OOR_ADDRESS, false },
		{ 0x81, 0, IOMMU_FAULT_REASON_PERMISSION, false },
		{ 0x85, 0, IOMMU_FAULT_REASON_PERMISSION, false },
		{ 0x87, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
		{ 0xff, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
	};

	expect_causes("vtd", causes, ARRAY_SIZE(causes));
}

TEST(causes_of_smmuv3)
{
	/* Section 7.3. */
	static const struct cause causes[] = {
		{ 0x04, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
		{ 0x06, 0, IOMMU_FAULT_REASON_PASID_INVALID, false },
		{ 0x08, 0, IOMMU_FAULT_REASON_PASID_INVALID, false },
		{ 0x09, 0, IOMMU_FAULT_REASON_PASID_FETCH, true },
		{ 0x0a, 0, IOMMU_FAULT_REASON_BAD_PASID_ENTRY, false },
		{ 0x0b, 0, IOMMU_FAULT_REASON_WALK_EABT, true },
		{ 0x10, 0, IOMMU_FAULT_REASON_PTE_FETCH, false },
		{ 0x11, 0, IOMMU_FAULT_REASON_OOR_ADDRESS, false },
		{ 0x12, 0, IOMMU_FAULT_REASON_ACCESS, false },
		{ 0x13, 0, IOMMU_FAULT_REASON_PERMISSION, false },
		{ 0x20, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
	};

	expect_causes("smmuv3", causes, ARRAY_SIZE(causes));
}

TEST(causes_of_amd)
{
	/* Section 2.5: bit 54 of the first 8 bytes is PE, 52 PR. */
	static const struct cause causes[] = {
		{ 1, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
		{ 2, 0, IOMMU_FAULT_REASON_PTE_FETCH, false },
		{ 2, 1ull << 52 | 1ull << 54, IOMMU_FAULT_REASON_PERMISSION, false },
		{ 2, 1ull << 52 | 1ull << 55, IOMMU_FAULT_REASON_PTE_FETCH, false },
		{ 4, 0, IOMMU_FAULT_REASON_WALK_EABT, true },
		{ 8, 0, IOMMU_FAULT_REASON_UNKNOWN, false },
	};

	expect_causes("amd", causes, ARRAY_SIZE(causes));
}
