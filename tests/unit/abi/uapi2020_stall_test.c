// SPDX-License-Identifier: MIT
/*
 * Faults of SMMUv3 in the user API of 2020: accesses that stall until the guest has brought
 * the page, by the guest's own numbers of PASIDs, and refused ones with their reasons.
 */
#include <pthread.h>

#include "legacy.h"
#include "uapi2020_faults.h"

/* The guest's table of CDs, and one of pages with four levels. */
#define CDS  0x1000ull
#define ROOT 0x2000ull

#define D_TABLE 3ull
#define D_PAGE	(3ull | 1ull << 6 | 1ull << 10)
#define D_RO	(1ull << 7)
#define D_AF	(1ull << 10)

/* 48 bits of addresses in tables of 4 KiB, IPS 48 bits. S: accesses stall. */
#define CD_48BIT                                                                                   \
	(16ull | 1ull << 30 | 1ull << 31 | 5ull << 32 | 1ull << 41 | 1ull << 45 | 1ull << 46)
#define CD_S (1ull << 44)
#define CD_V (1ull << 31)

static uint64_t *word(uint64_t gpa)
{
	return (uint64_t *)(f.ram + gpa);
}

static void make_cd(uint32_t pasid, uint64_t word0)
{
	word(CDS + 64 * pasid)[1] = ROOT;
	word(CDS + 64 * pasid)[3] = 0xf404ff44;
	word(CDS + 64 * pasid)[0] = word0;
}

/* Where the entry of a page below 2 MiB is. */
static uint64_t *entry_of(uint64_t va)
{
	return word(ROOT + 3 * PAGE + va / PAGE * 8);
}

static int set_table(uint8_t config)
{
	const struct iommu_pasid_table_config table = {
		.argsz = sizeof(table),
		.version = PASID_TABLE_CFG_VERSION_1,
		.base_ptr = CDS,
		.format = IOMMU_PASID_FORMAT_SMMUV3,
		.pasid_bits = 4,
		.config = config,
		.vendor_data.smmuv3 = { .version = PASID_TABLE_SMMUV3_CFG_VERSION_1, .s1dss = 2 },
	};

	return siommu_uapi_attach_pasid_table(f.domain, &table);
}

/* CD 0, for accesses without a PASID, and CD 3. */
static void begin_with(uint64_t cd, unsigned int timeout_ms)
{
	static const struct siommu_device_params able = { .pasid_bits = 20, .stall = true };

	faults_begin_on("smmuv3", "stall=on", &able, 1, timeout_ms);
	*word(ROOT) = (ROOT + PAGE) | D_TABLE;
	*word(ROOT + PAGE) = (ROOT + 2 * PAGE) | D_TABLE;
	*word(ROOT + 2 * PAGE) = (ROOT + 3 * PAGE) | D_TABLE;
	*entry_of(GUEST_DATA) = GUEST_DATA | D_PAGE;
	make_cd(0, cd);
	make_cd(3, cd);
	ASSERT_OK(set_table(IOMMU_PASID_CONFIG_TRANSLATE));
}

static void begin(uint64_t cd)
{
	begin_with(cd, 60000);
}

/**
 * struct reader - a thread that reads 8 bytes as a device
 * @thread: it
 * @port: by this
 * @iova: there
 * @value: what it has read
 * @rc: what came of it
 * @done: it has ended
 */
struct reader {
	pthread_t thread;
	struct siommu_port *port;
	uint64_t iova;
	uint64_t value;
	int rc;
	_Atomic bool done;
};

static void *read_there(void *arg)
{
	struct reader *r = arg;

	r->rc = siommu_dma_read(r->port, r->iova, &r->value, sizeof(r->value), 0);
	atomic_store(&r->done, true);
	return NULL;
}

static void start(struct reader *r, struct siommu_port *port, uint64_t iova)
{
	memset(r, 0, sizeof(*r));
	r->port = port;
	r->iova = iova;
	ASSERT_OK(pthread_create(&r->thread, NULL, read_there, r));
}

/* Answers 000-04, 000-07, 000-09. */
TEST_BOTH(an_access_stalls_until_its_page_is_there)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	struct reader reader;

	begin(CD_48BIT | CD_S);
	port = fport(0, 0);
	EXPECT_OK(world_read(port, GUEST_DATA));
	start(&reader, port, GUEST_DATA + PAGE + 8);
	fault = wait_seen(0, 1);
	EXPECT_EQ(IOMMU_FAULT_PAGE_REQ, fault.type);
	EXPECT_EQ(F_LAST, fault.prm.flags);
	EXPECT_EQ(0, fault.prm.pasid);
	EXPECT_EQ(IOMMU_FAULT_PERM_READ, fault.prm.perm);
	EXPECT_EQ(GUEST_DATA + PAGE, fault.prm.addr & ~(PAGE - 1));
	EXPECT_TRUE(!atomic_load(&reader.done));
	*word(GUEST_DATA + PAGE + 8) = 0x5a5a;
	*entry_of(GUEST_DATA + PAGE) = (GUEST_DATA + PAGE) | D_PAGE;
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	pthread_join(reader.thread, NULL);
	EXPECT_OK(reader.rc);
	EXPECT_EQ(0x5a5a, reader.value);
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-09. */
TEST(a_pasid_that_is_not_needed_does_not_matter)
{
	struct iommu_page_response response;
	struct siommu_port *port;
	struct iommu_fault fault;
	struct reader reader;

	begin(CD_48BIT | CD_S);
	port = fport(0, 0);
	start(&reader, port, GUEST_DATA + PAGE);
	fault = wait_seen(0, 1);
	response = response_to(&fault, IOMMU_PAGE_RESP_INVALID);
	EXPECT_EQ(0, response.flags);
	response.flags = IOMMU_PAGE_RESP_PASID_VALID;
	response.pasid = 0x777;
	response.grpid++;
	EXPECT_RC(-EINVAL, respond(0, &response));
	response.grpid--;
	EXPECT_OK(respond(0, &response));
	pthread_join(reader.thread, NULL);
	EXPECT_RC(-EFAULT, reader.rc);
	/* It was asked for, and refused: that is no other fault. */
	EXPECT_EQ(1, seen_count(0));
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-07, 000-09. */
TEST(a_guests_own_pasid_is_told_and_needed)
{
	struct iommu_page_response response;
	struct siommu_port *port, *plain;
	struct iommu_fault a, b;
	struct reader r1, r2;

	begin(CD_48BIT | CD_S);
	port = fport(0, 3);
	plain = fport(0, 0);
	start(&r1, port, GUEST_DATA + PAGE);
	a = wait_seen(0, 1);
	start(&r2, plain, GUEST_DATA + PAGE);
	b = wait_seen(0, 2);
	EXPECT_EQ(F_PASID | F_LAST | F_NEEDS, a.prm.flags);
	EXPECT_EQ(3, a.prm.pasid);
	EXPECT_EQ(F_LAST, b.prm.flags);
	response = response_to(&a, IOMMU_PAGE_RESP_INVALID);
	response.pasid = 2;
	/* Unless it is the other one's, whose number may be the same. */
	if (a.prm.grpid != b.prm.grpid)
		EXPECT_RC(-EINVAL, respond(0, &response));
	response.pasid = 3;
	EXPECT_OK(respond(0, &response));
	pthread_join(r1.thread, NULL);
	EXPECT_RC(-EFAULT, r1.rc);
	EXPECT_TRUE(!atomic_load(&r2.done));
	EXPECT_OK(respond_to(0, &b, IOMMU_PAGE_RESP_INVALID));
	pthread_join(r2.thread, NULL);
	EXPECT_RC(-EFAULT, r2.rc);
	siommu_port_destroy(port);
	siommu_port_destroy(plain);
	faults_end();
}

/* Answers 002-07, 002-08. */
TEST(who_stalls_too_long_is_answered)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	struct reader reader;

	begin_with(CD_48BIT | CD_S, 50);
	port = fport(0, 0);
	start(&reader, port, GUEST_DATA + PAGE);
	pthread_join(reader.thread, NULL);
	EXPECT_RC(-EFAULT, reader.rc);
	fault = wait_seen(0, 1);
	EXPECT_RC(-EINVAL, respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	EXPECT_EQ(1, seen_count(0));
	siommu_port_destroy(port);
	faults_end();
}

/* Answers 000-07, 002-08. */
TEST(a_table_that_goes_answers_who_stalls)
{
	enum { UNSET, BYPASS, ABORT, NWAYS };
	struct siommu_port *port;
	struct iommu_fault fault;
	struct reader reader;
	unsigned int way;

	begin(CD_48BIT | CD_S);
	port = fport(0, 0);
	for (way = 0; way < NWAYS; way++) {
		ASSERT_OK(set_table(IOMMU_PASID_CONFIG_TRANSLATE));
		start(&reader, port, GUEST_DATA + PAGE);
		fault = wait_seen(0, way + 1);
		if (way == UNSET)
			siommu_detach_pasid_table(f.domain);
		else
			ASSERT_OK(set_table(way == BYPASS ? IOMMU_PASID_CONFIG_BYPASS
							  : IOMMU_PASID_CONFIG_ABORT));
		pthread_join(reader.thread, NULL);
		EXPECT_RC(-EFAULT, reader.rc);
		EXPECT_RC(-EINVAL, respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	}
	siommu_port_destroy(port);
	faults_end();
}

/*
 * Between the two steps of replacing a table - the devices have the new one, and what waited
 * by the old one is ended - an access may have stalled by the new one already. It goes on.
 */
TEST(a_table_that_replaces_another_has_stalls_of_its_own)
{
	struct core_ctx *context = LIST_FIRST(&machine->contexts);
	struct siommu_port *port;
	struct iommu_fault fault;
	struct reader reader;
	struct legacy_dev *dev;

	begin(CD_48BIT | CD_S);
	dev = container_of(f.dev[0]->dev->watch, struct legacy_dev, watch);
	port = fport(0, 0);
	start(&reader, port, GUEST_DATA + PAGE);
	fault = wait_seen(0, 1);
	pthread_mutex_lock(&context->lock);
	legacy_faults_replaced(dev);
	pthread_mutex_unlock(&context->lock);
	EXPECT_TRUE(!atomic_load(&reader.done));
	*entry_of(GUEST_DATA + PAGE) = (GUEST_DATA + PAGE) | D_PAGE;
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	pthread_join(reader.thread, NULL);
	EXPECT_OK(reader.rc);
	/* By a table that is gone: its access has ended, and its response is too late. */
	start(&reader, port, GUEST_DATA + 2 * PAGE);
	fault = wait_seen(0, 2);
	ASSERT_OK(set_table(IOMMU_PASID_CONFIG_TRANSLATE));
	pthread_join(reader.thread, NULL);
	EXPECT_RC(-EFAULT, reader.rc);
	EXPECT_RC(-EINVAL, respond_to(0, &fault, IOMMU_PAGE_RESP_SUCCESS));
	siommu_port_destroy(port);
	faults_end();
}

/* "Failure" holds for the device, until there is another table. */
TEST(failure_ends_the_stalls)
{
	struct siommu_port *port;
	struct iommu_fault fault;
	struct reader reader;

	begin(CD_48BIT | CD_S);
	port = fport(0, 0);
	start(&reader, port, GUEST_DATA + PAGE);
	fault = wait_seen(0, 1);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_FAILURE));
	pthread_join(reader.thread, NULL);
	EXPECT_RC(-EFAULT, reader.rc);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA + PAGE));
	EXPECT_EQ(1, seen_count(0));
	ASSERT_OK(set_table(IOMMU_PASID_CONFIG_TRANSLATE));
	start(&reader, port, GUEST_DATA + PAGE);
	fault = wait_seen(0, 2);
	EXPECT_OK(respond_to(0, &fault, IOMMU_PAGE_RESP_INVALID));
	pthread_join(reader.thread, NULL);
	siommu_port_destroy(port);
	faults_end();
}

static struct iommu_fault_unrecoverable refused(struct siommu_port *port, uint64_t iova, bool write)
{
	const unsigned int before = seen_count(0);
	uint64_t value = 0;

	if (write)
		EXPECT_RC(-EFAULT, siommu_dma_write(port, iova, &value, sizeof(value), 0));
	else
		EXPECT_RC(-EFAULT, siommu_dma_read(port, iova, &value, sizeof(value), 0));
	ASSERT_EQ(before + 1, seen_count(0));
	EXPECT_EQ(IOMMU_FAULT_DMA_UNRECOV, f.seen[0].faults[before].type);
	return f.seen[0].faults[before].event;
}

#define U_PASID IOMMU_FAULT_UNRECOV_PASID_VALID
#define U_ADDR	IOMMU_FAULT_UNRECOV_ADDR_VALID

/* Answers 000-04. */
TEST(refused_accesses_are_told)
{
	struct siommu_port *port, *p3, *p5;
	struct iommu_fault_unrecoverable event;

	begin(CD_48BIT);
	port = fport(0, 0);
	p3 = fport(0, 3);
	p5 = fport(0, 5);
	event = refused(port, GUEST_DATA + PAGE + 8, false);
	EXPECT_EQ(IOMMU_FAULT_REASON_PTE_FETCH, event.reason);
	EXPECT_EQ(U_ADDR, event.flags);
	EXPECT_EQ(IOMMU_FAULT_PERM_READ, event.perm);
	EXPECT_EQ(GUEST_DATA + PAGE + 8, event.addr);
	*entry_of(GUEST_DATA + PAGE) = (GUEST_DATA + PAGE) | D_PAGE | D_RO;
	event = refused(p3, GUEST_DATA + PAGE, true);
	EXPECT_EQ(IOMMU_FAULT_REASON_PERMISSION, event.reason);
	EXPECT_EQ(U_PASID | U_ADDR, event.flags);
	EXPECT_EQ(3, event.pasid);
	EXPECT_EQ(IOMMU_FAULT_PERM_WRITE, event.perm);
	*entry_of(GUEST_DATA + 2 * PAGE) = (GUEST_DATA + 2 * PAGE) | (D_PAGE & ~D_AF);
	event = refused(port, GUEST_DATA + 2 * PAGE, false);
	EXPECT_EQ(IOMMU_FAULT_REASON_ACCESS, event.reason);
	/* There is no such CD. */
	event = refused(p5, GUEST_DATA, false);
	EXPECT_EQ(IOMMU_FAULT_REASON_BAD_PASID_ENTRY, event.reason);
	EXPECT_EQ(5, event.pasid);
	/* What stage 2 refuses is the host's. */
	*entry_of(GUEST_DATA + 3 * PAGE) = WORLD_PAGES * PAGE | D_PAGE;
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA + 3 * PAGE));
	/* And nobody hears of what is blocked on purpose. */
	ASSERT_OK(set_table(IOMMU_PASID_CONFIG_ABORT));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	EXPECT_EQ(4, seen_count(0));
	siommu_port_destroy(port);
	siommu_port_destroy(p3);
	siommu_port_destroy(p5);
	faults_end();
}
