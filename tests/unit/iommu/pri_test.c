// SPDX-License-Identifier: MIT
/*
 * Page requests from ports: through the fault queue and back. Each group is
 * answered exactly once: by its reader, by the end of its time, by a queue that is
 * full, by an attachment that ends, or because nobody takes it.
 */
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "fake.h"

#define RECORD	 sizeof(struct iommu_hwpt_pgfault)
#define ANSWER	 sizeof(struct iommu_hwpt_page_response)
#define YES	 IOMMUFD_PAGE_RESP_SUCCESS
#define NO	 IOMMUFD_PAGE_RESP_INVALID
#define R	 SIOMMU_DMA_READ
#define W	 SIOMMU_DMA_WRITE
#define MAX_TOLD 4096

static struct iommu_unit hw;
static struct siommu_unit unit_of_test;
static struct siommu_device *dev;
static struct siommu_bound *bound;
static uint32_t dev_id, ioas, hwpt, plain, fault;
static int fd;

/* What a port was told, in order. */
struct told {
	_Atomic unsigned int n;
	u32 group[MAX_TOLD];
	u32 code[MAX_TOLD];
};

static struct told told;

static void page_response(void *arg, uint32_t group, uint32_t code)
{
	struct told *t = arg;
	unsigned int n = atomic_fetch_add(&t->n, 1) % MAX_TOLD;

	t->group[n] = group;
	t->code[n] = code;
}

static const struct siommu_port_ops port_ops = { .page_response = page_response };

/* A device, attached for all of its PASIDs but 2 to something that takes faults. */
static void begin_with(bool stall, bool page_requests)
{
	struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "pri",
		.pasid_bits = FAKE_PASID_BITS,
		.unit = &unit_of_test,
		.ats = true,
		.page_requests = page_requests,
		.stall = stall,
	};
	u32 pasid = 1, id;

	memset(&told, 0, sizeof(told));
	ASSERT_OK(iommu_unit_init(&hw, &fake_ops, &machine->host));
	unit_of_test.machine = machine;
	unit_of_test.unit = &hw;
	ioas = new_ioas();
	ASSERT_OK(siommu_device_create(machine, &params, &dev));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &dev_id));
	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(hwpt_alloc_full(dev_id, ioas, IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
				  fault, 0, NULL, 0, &hwpt));
	ASSERT_OK(hwpt_alloc(dev_id, ioas, IOMMU_HWPT_ALLOC_PASID, &plain));
	id = hwpt;
	ASSERT_OK(siommu_device_attach(bound, 0, &id));
	ASSERT_OK(siommu_device_attach(bound, pasid, &id));
	id = plain;
	ASSERT_OK(siommu_device_attach(bound, 2, &id));
}

static void begin(void)
{
	begin_with(false, true);
}

static void end(void)
{
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	EXPECT_OK(destroy(ctx, hwpt));
	EXPECT_OK(destroy(ctx, plain));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, fault));
	iommu_unit_end(&hw);
}

static struct siommu_port *new_port_told(u32 pasid, unsigned int flags, unsigned int timeout_ms,
					 struct told *t)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = flags | (pasid ? SIOMMU_PORT_PASID : 0),
		.pasid = pasid,
		.timeout_ms = timeout_ms,
		.ops = &port_ops,
		.arg = t,
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(dev, &params, &port));
	return port;
}

static struct siommu_port *new_port(u32 pasid, unsigned int timeout_ms)
{
	return new_port_told(pasid, 0, timeout_ms, &told);
}

static int ask(struct siommu_port *port, u32 group, u64 iova, unsigned int access, bool last)
{
	const struct siommu_page_request request = {
		.iova = iova, .group = group, .access = access, .last = last
	};

	return siommu_dma_page_request(port, &request);
}

static ssize_t read_faults(struct iommu_hwpt_pgfault *out, unsigned int n)
{
	return siommu_read(ctx, fd, out, n * RECORD);
}

/* The one request that is there. */
static struct iommu_hwpt_pgfault read_fault(void)
{
	struct iommu_hwpt_pgfault out[2];

	ASSERT_EQ(RECORD, read_faults(out, 2));
	return out[0];
}

static ssize_t answer(u32 cookie, u32 code)
{
	const struct iommu_hwpt_page_response response = { .cookie = cookie, .code = code };

	return siommu_write(ctx, fd, &response, sizeof(response));
}

static void expect_told(unsigned int n, u32 group, u32 code)
{
	ASSERT_EQ(n, atomic_load(&told.n));
	EXPECT_EQ(group, told.group[n - 1]);
	EXPECT_EQ(code, told.code[n - 1]);
}

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

TEST_BOTH(a_request_is_answered_by_its_reader)
{
	struct iommu_hwpt_pgfault out;
	struct siommu_port *port;

	begin();
	port = new_port(0, 0);
	ASSERT_OK(ask(port, 511, 0xabcdef, W, true));
	out = read_fault();
	EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE, out.flags);
	EXPECT_EQ(dev_id, out.dev_id);
	EXPECT_EQ(0, out.pasid);
	EXPECT_EQ(511, out.grpid);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_WRITE, out.perm);
	EXPECT_EQ(0xabc000, out.addr);
	EXPECT_EQ(0, told.n);
	EXPECT_EQ(ANSWER, answer(out.cookie, YES));
	expect_told(1, 511, YES);
	ASSERT_OK(ask(port, 511, 0, R, true));
	EXPECT_EQ(ANSWER, answer(read_fault().cookie, NO));
	expect_told(2, 511, NO);
	siommu_port_destroy(port);
	end();
}

TEST(a_request_with_a_pasid)
{
	struct iommu_hwpt_pgfault out;
	struct siommu_port *port;

	begin();
	port = new_port(1, 0);
	ASSERT_OK(ask(port, 0, ~0ull, R | SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV, true));
	out = read_fault();
	EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE | IOMMU_PGFAULT_FLAGS_PASID_VALID, out.flags);
	EXPECT_EQ(1, out.pasid);
	EXPECT_EQ(0, out.grpid);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_EXEC | IOMMU_PGFAULT_PERM_PRIV,
		  out.perm);
	EXPECT_EQ(~0xfffull, out.addr);
	EXPECT_EQ(ANSWER, answer(out.cookie, YES));
	expect_told(1, 0, YES);
	siommu_port_destroy(port);
	end();
}

TEST(a_group_is_answered_as_one)
{
	struct siommu_port *none, *one;
	struct iommu_hwpt_pgfault out[4];

	begin();
	none = new_port(0, 0);
	one = new_port(1, 0);
	/* The same number is another group with another PASID. */
	ASSERT_OK(ask(none, 3, 0x1000, R, false));
	ASSERT_OK(ask(one, 3, 0x8000, R, false));
	ASSERT_OK(ask(none, 3, 0x2000, W, false));
	ASSERT_OK(ask(none, 4, 0x5000, R, true));
	ASSERT_OK(ask(none, 3, 0x3000, R, true));
	EXPECT_EQ(4, read_fault().grpid);
	ASSERT_EQ(3 * RECORD, read_faults(out, 4));
	EXPECT_TRUE(out[0].addr == 0x1000 && out[1].addr == 0x2000 && out[2].addr == 0x3000);
	EXPECT_EQ(ANSWER, answer(out[0].cookie, YES));
	expect_told(1, 3, YES);
	ASSERT_OK(ask(one, 3, 0x9000, R, true));
	ASSERT_EQ(2 * RECORD, read_faults(out, 4));
	EXPECT_TRUE(out[0].addr == 0x8000 && out[1].addr == 0x9000 && out[0].pasid == 1);
	EXPECT_EQ(ANSWER, answer(out[0].cookie, NO));
	expect_told(2, 3, NO);
	siommu_port_destroy(one);
	siommu_port_destroy(none);
	end();
}

TEST(a_number_is_busy_until_its_answer)
{
	struct siommu_port *port, *second, *other;

	begin();
	port = new_port(0, 0);
	second = new_port(0, 0);
	other = new_port(1, 0);
	ASSERT_OK(ask(port, 7, 0, R, true));
	EXPECT_RC(-EBUSY, ask(port, 7, 0, R, true));
	EXPECT_RC(-EBUSY, ask(port, 7, 0, R, false));
	EXPECT_RC(-EBUSY, ask(second, 7, 0, R, true));
	ASSERT_OK(ask(other, 7, 0, R, false));
	/* A group belongs to one port from its first request on. */
	ASSERT_OK(ask(port, 8, 0, R, false));
	EXPECT_RC(-EBUSY, ask(second, 8, 0, R, true));
	EXPECT_EQ(ANSWER, answer(read_fault().cookie, YES));
	ASSERT_OK(ask(second, 7, 0, R, true));
	EXPECT_EQ(1, told.n);
	siommu_port_destroy(other);
	siommu_port_destroy(second);
	siommu_port_destroy(port);
	end();
}

TEST(requests_that_are_none)
{
	struct siommu_port *port, *pasid;

	begin();
	port = new_port(0, 0);
	pasid = new_port(1, 0);
	EXPECT_RC(-EINVAL, ask(port, 512, 0, R, true));
	EXPECT_RC(-EINVAL, ask(port, 0, 0, 0, false));
	EXPECT_RC(-EINVAL, ask(port, 0, 0, 16, true));
	/* These come with the PASID. */
	EXPECT_RC(-EINVAL, ask(port, 0, 0, R | SIOMMU_DMA_EXEC, true));
	EXPECT_RC(-EINVAL, ask(port, 0, 0, R | SIOMMU_DMA_PRIV, true));
	EXPECT_OK(ask(pasid, 0, 0, R | SIOMMU_DMA_PRIV, true));
	EXPECT_RC(-EINVAL, siommu_dma_page_request_wait(port, 0, 0));
	siommu_port_destroy(pasid);
	siommu_port_destroy(port);
	end();
}

TEST(a_device_without_page_requests)
{
	struct siommu_port *port;
	u32 word;

	begin_with(false, false);
	port = new_port_told(0, SIOMMU_PORT_PAGE_REQUESTS, 0, &told);
	EXPECT_RC(-EOPNOTSUPP, ask(port, 0, 0, R, true));
	EXPECT_RC(-EOPNOTSUPP, siommu_dma_page_request_wait(port, 0, R));
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1000, &word, sizeof(word), 0));
	EXPECT_EQ(0, told.n);
	siommu_port_destroy(port);
	end();
}

TEST(nobody_takes_it)
{
	struct siommu_port *port;

	begin();
	port = new_port(2, 0);
	EXPECT_OK(ask(port, 1, 0, R, false));
	EXPECT_EQ(0, told.n);
	EXPECT_OK(ask(port, 1, 0, R, true));
	expect_told(1, 1, NO);
	EXPECT_RC(-EFAULT, siommu_dma_page_request_wait(port, 0, R));
	siommu_device_detach(bound, 2);
	EXPECT_OK(ask(port, 1, 0, R, true));
	expect_told(2, 1, NO);
	siommu_port_destroy(port);
	end();
}

TEST(the_attachment_ends)
{
	struct siommu_port *port, *other;
	u32 id = plain;

	begin();
	port = new_port(0, 0);
	other = new_port(1, 0);
	ASSERT_OK(ask(port, 1, 0, R, true));
	read_fault();
	ASSERT_OK(ask(port, 2, 0, R, true));
	ASSERT_OK(ask(other, 2, 0, R, true));
	id = plain;
	ASSERT_OK(siommu_device_replace(bound, 0, &id));
	/* Both, and not the other PASID's. */
	ASSERT_EQ(2, told.n);
	EXPECT_TRUE(told.code[0] == NO && told.code[1] == NO);
	EXPECT_EQ(3, told.group[0] + told.group[1]);
	siommu_device_detach(bound, 1);
	expect_told(3, 2, NO);
	siommu_port_destroy(other);
	siommu_port_destroy(port);
	end();
}

TEST(the_time_is_over)
{
	struct siommu_port *port;
	u32 first, second;
	int ms;

	begin();
	port = new_port(0, 20);
	EXPECT_EQ(-1, siommu_dma_page_request_expire(port));
	/* A group that is not complete waits for its device, not the other way round. */
	ASSERT_OK(ask(port, 9, 0, R, false));
	EXPECT_EQ(-1, siommu_dma_page_request_expire(port));
	ASSERT_OK(ask(port, 5, 0, R, true));
	first = read_fault().cookie;
	ms = siommu_dma_page_request_expire(port);
	EXPECT_TRUE(ms > 0 && ms <= 20);
	sleep_ms(ms);
	EXPECT_EQ(-1, siommu_dma_page_request_expire(port));
	expect_told(1, 5, NO);
	/* The number is in use again when the late answer comes. */
	ASSERT_OK(ask(port, 5, 0, R, true));
	EXPECT_EQ(ANSWER, answer(first, YES));
	EXPECT_EQ(1, told.n);
	second = read_fault().cookie;
	EXPECT_EQ(ANSWER, answer(second, YES));
	expect_told(2, 5, YES);
	/* Whoever needs the number finds out that its time is over. */
	ASSERT_OK(ask(port, 5, 0, R, true));
	EXPECT_RC(-EBUSY, ask(port, 5, 0, R, true));
	sleep_ms(21);
	ASSERT_OK(ask(port, 5, 0, R, true));
	expect_told(3, 5, NO);
	siommu_port_destroy(port);
	end();
}

/* What was not answered in time fills the queue. */
TEST(the_queue_is_full)
{
	struct siommu_port *port;
	unsigned int i;
	u32 id;

	begin();
	port = new_port(0, 1);
	for (i = 0; i < IOMMU_MAX_PENDING; i++) {
		int rc = ask(port, i % 512, 0, R, true);

		while (rc == -EBUSY) {
			sleep_ms(1);
			rc = ask(port, i % 512, 0, R, true);
		}
		ASSERT_OK(rc);
	}
	sleep_ms(2);
	EXPECT_EQ(-1, siommu_dma_page_request_expire(port));
	EXPECT_EQ(IOMMU_MAX_PENDING, told.n);
	EXPECT_EQ(NO, told.code[0]);
	/* The device shall try again; what is not the last of its group is lost. */
	ASSERT_OK(ask(port, 3, 0, R, false));
	ASSERT_OK(ask(port, 3, 0, R, true));
	EXPECT_EQ(IOMMU_MAX_PENDING + 1, told.n);
	EXPECT_EQ(YES, told.code[0 + IOMMU_MAX_PENDING % MAX_TOLD]);
	EXPECT_RC(-ETIMEDOUT, siommu_dma_page_request_wait(port, 0, R));
	siommu_device_detach(bound, 0);
	EXPECT_EQ(IOMMU_MAX_PENDING + 1, told.n);
	id = hwpt;
	ASSERT_OK(siommu_device_attach(bound, 0, &id));
	ASSERT_OK(ask(port, 3, 0x77000, R, true));
	EXPECT_EQ(0x77000, read_fault().addr);
	siommu_port_destroy(port);
	end();
}

TEST(a_stop_marker)
{
	struct siommu_port *port, *other;
	struct iommu_hwpt_pgfault out[2];

	begin();
	port = new_port(1, 0);
	other = new_port(0, 0);
	ASSERT_OK(ask(port, 1, 0x1000, R, false));
	ASSERT_OK(ask(port, 2, 0x2000, R, true));
	ASSERT_OK(ask(other, 1, 0x3000, R, false));
	EXPECT_OK(ask(port, 0, 0, 0, true));
	EXPECT_EQ(0, told.n);
	/* A complete group is answered; of the other nothing is left. */
	EXPECT_EQ(ANSWER, answer(read_fault().cookie, YES));
	expect_told(1, 2, YES);
	ASSERT_OK(ask(port, 1, 0x4000, R, true));
	ASSERT_EQ(RECORD, read_faults(out, 2));
	EXPECT_EQ(0x4000, out[0].addr);
	ASSERT_OK(ask(other, 1, 0x5000, R, true));
	ASSERT_EQ(2 * RECORD, read_faults(out, 2));
	EXPECT_EQ(0x3000, out[0].addr);
	siommu_port_destroy(other);
	siommu_port_destroy(port);
	end();
}

TEST(the_port_ends_first)
{
	struct siommu_port *port;
	struct iommu_hwpt_pgfault out[2];
	u32 cookie;

	begin();
	port = new_port(0, 0);
	ASSERT_OK(ask(port, 1, 0x1000, R, true));
	ASSERT_OK(ask(port, 2, 0x2000, R, true));
	ASSERT_OK(ask(port, 3, 0x3000, R, false));
	ASSERT_EQ(2 * RECORD, read_faults(out, 2));
	cookie = out[0].cookie;
	siommu_port_destroy(port);
	EXPECT_EQ(ANSWER, answer(cookie, YES));
	port = new_port(0, 0);
	ASSERT_OK(ask(port, 2, 0x4000, R, true));
	ASSERT_OK(ask(port, 3, 0x5000, R, true));
	/* What the old port began is not part of the new one's group. */
	EXPECT_EQ(ANSWER, answer(out[1].cookie, YES));
	EXPECT_EQ(0, told.n);
	ASSERT_EQ(2 * RECORD, read_faults(out, 2));
	EXPECT_TRUE(out[0].addr == 0x4000 && out[1].addr == 0x5000);
	EXPECT_EQ(ANSWER, answer(out[0].cookie, NO));
	expect_told(1, 2, NO);
	siommu_port_destroy(port);
	end();
}

/*
 * Somebody who answers: maps a page that is asked for in the first MiB of IOVAs
 * to the byte's place in memory, and says no to all else.
 */
static struct {
	_Atomic bool stop;
	_Atomic unsigned int groups;
	unsigned int delay_ms;
	bool attachments_end;
	char *memory;
} pager;

/* An attachment that has ended has answered. */
static void expect_answered(ssize_t rc)
{
	if (!pager.attachments_end || rc != -EINVAL)
		EXPECT_EQ(ANSWER, rc);
}

static void *page(void *arg)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct iommu_hwpt_pgfault out[64];
	ssize_t n, i;

	(void)arg;
	while (!atomic_load(&pager.stop)) {
		if (poll(&p, 1, 10) != 1)
			continue;
		n = siommu_read(ctx, fd, out, sizeof(out));
		EXPECT_TRUE(n >= 0);
		for (i = 0; i < n / (ssize_t)RECORD; i++) {
			u64 iova = out[i].addr & ~0xfffull;
			bool good = iova < 1 << 20;

			sleep_ms(pager.delay_ms);
			if (good)
				map_at(ioas, pager.memory + iova, PAGE, iova);
			if (out[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) {
				atomic_fetch_add(&pager.groups, 1);
				expect_answered(answer(out[i].cookie, good ? YES : NO));
			}
		}
	}
	return NULL;
}

static pthread_t start_pager(unsigned int delay_ms, bool attachments_end)
{
	pthread_t thread;

	pager.memory = buffer(1 << 20);
	pager.delay_ms = delay_ms;
	pager.attachments_end = attachments_end;
	atomic_store(&pager.stop, false);
	atomic_store(&pager.groups, 0);
	ASSERT_OK(-pthread_create(&thread, NULL, page, NULL));
	return thread;
}

static void stop_pager(pthread_t thread)
{
	atomic_store(&pager.stop, true);
	pthread_join(thread, NULL);
}

TEST(waiting_for_one_page)
{
	struct siommu_port *port;
	pthread_t thread;

	begin();
	thread = start_pager(1, false);
	port = new_port(0, 0);
	EXPECT_OK(siommu_dma_page_request_wait(port, 0x3000, R));
	EXPECT_RC(-EFAULT, siommu_dma_page_request_wait(port, 1 << 20, R));
	EXPECT_EQ(2, pager.groups);
	EXPECT_EQ(0, told.n);
	siommu_port_destroy(port);
	stop_pager(thread);
	end();
}

TEST(waiting_in_vain)
{
	struct iommu_hwpt_pgfault out[2];
	struct siommu_port *port;

	begin();
	port = new_port(0, 5);
	EXPECT_RC(-ETIMEDOUT, siommu_dma_page_request_wait(port, 0x3000, R));
	EXPECT_RC(-ETIMEDOUT, siommu_dma_page_request_wait(port, 0x4000, R));
	/* The number is free again, although the reader has not answered. */
	ASSERT_EQ(2 * RECORD, read_faults(out, 2));
	EXPECT_EQ(511, out[0].grpid);
	EXPECT_EQ(511, out[1].grpid);
	EXPECT_EQ(ANSWER, answer(out[0].cookie, YES));
	EXPECT_EQ(ANSWER, answer(out[1].cookie, NO));
	EXPECT_EQ(0, told.n);
	siommu_port_destroy(port);
	end();
}

/* @device: how the port is, and what stalls. */
static void accesses_wait(bool stall, unsigned int flags)
{
	char out[3 * PAGE], want[sizeof(out)];
	struct siommu_port *port;
	pthread_t thread;
	u64 old;

	begin_with(stall, !stall);
	thread = start_pager(0, false);
	memset(pager.memory, 0x5a, 1 << 20);
	memset(want, 0x5a, sizeof(want));
	port = new_port_told(1, flags, 0, &told);
	EXPECT_OK(siommu_dma_read(port, 0x10800, out, sizeof(out), 0));
	EXPECT_MEM(want, out, sizeof(out));
	EXPECT_EQ(4, pager.groups);
	EXPECT_OK(siommu_dma_write(port, 0x20ffc, "abcdefg", 8, 0));
	EXPECT_MEM("abcdefg", pager.memory + 0x20ffc, 8);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_FETCH_ADD, 0x30000, 4, 1, 0, &old, 0));
	EXPECT_EQ(0x5a5a5a5a, old);
	EXPECT_EQ(7, pager.groups);
	/* Refused: moved up to there. */
	memset(out, 0, sizeof(out));
	EXPECT_RC(-EFAULT, siommu_dma_read(port, (1 << 20) - 8, out, 16, 0));
	EXPECT_MEM(want, out, 8);
	EXPECT_EQ(0, out[8]);
	EXPECT_EQ(1 << 20, siommu_dma_fault(port)->iova);
	siommu_port_destroy(port);
	stop_pager(thread);
	end();
}

TEST(accesses_wait_for_pages)
{
	accesses_wait(false, SIOMMU_PORT_PAGE_REQUESTS);
}

TEST(accesses_stall)
{
	accesses_wait(true, 0);
}

TEST(a_stall_whose_attachment_ends)
{
	struct iommu_hwpt_pgfault out;
	struct siommu_port *port;
	u32 word;

	begin_with(true, false);
	port = new_port(0, 3);
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1234, &word, sizeof(word), 0));
	out = read_fault();
	/* The address as it is; a tag, not a group's number. */
	EXPECT_EQ(0x1234, out.addr);
	EXPECT_EQ(65535, out.grpid);
	siommu_device_detach(bound, 0);
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1234, &word, sizeof(word), 0));
	siommu_port_destroy(port);
	end();
}

/* Ports of several threads that ask, wait, give up and go, while others answer. */
#define THREADS 4
#define ROUNDS	300

static struct told told_of[THREADS];

static void *many(void *arg)
{
	struct told *t = arg;
	u64 random = 0x1234567 + (u64)(t - told_of);
	unsigned int i, asked = 0, ended = 0;
	struct siommu_port *port = new_port_told((u32)(t - told_of) % 2, 0, 2, t);

	for (i = 0; i < ROUNDS; i++) {
		u64 r = unit_random(&random);
		u32 group = (u32)(t - told_of) * 64 + (u32)(r >> 32) % 8;
		int rc;

		switch (r % 4) {
		case 0:
			rc = siommu_dma_page_request_wait(port, r & 0x1ff000, R);
			EXPECT_TRUE(!rc || rc == -EFAULT || rc == -ETIMEDOUT);
			break;
		case 1:
			ended = atomic_load(&t->n);
			rc = ask(port, group, r & 0x1ff000, R, false);
			EXPECT_TRUE(!rc || rc == -EBUSY);
			break;
		case 2:
			rc = ask(port, group, r & 0x1ff000, W, true);
			EXPECT_TRUE(!rc || rc == -EBUSY);
			asked += !rc;
			break;
		default:
			siommu_dma_page_request_expire(port);
		}
	}
	while ((i = (unsigned int)siommu_dma_page_request_expire(port)) != (unsigned int)-1)
		sleep_ms((long)i);
	/* An answer may be on its way still. */
	for (i = 0; i < 2000 && atomic_load(&t->n) < asked; i++)
		sleep_ms(1);
	siommu_port_destroy(port);
	EXPECT_EQ(asked, atomic_load(&t->n));
	EXPECT_TRUE(ended <= asked);
	return NULL;
}

TEST(many_at_once)
{
	pthread_t thread, threads[THREADS];
	unsigned int i;
	u32 id;

	begin();
	thread = start_pager(0, true);
	memset(told_of, 0, sizeof(told_of));
	for (i = 0; i < THREADS; i++)
		ASSERT_OK(-pthread_create(&threads[i], NULL, many, &told_of[i]));
	for (i = 0; i < 50; i++) {
		id = i % 2 ? hwpt : plain;
		EXPECT_OK(siommu_device_replace(bound, 0, &id));
		sleep_ms(2);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stop_pager(thread);
	end();
}
