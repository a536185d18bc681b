// SPDX-License-Identifier: MIT
/*
 * Page requests: from a device through a queue to its reader and back. Each
 * group is answered once, whatever ends first.
 */
#include <poll.h>
#include <pthread.h>

#include "calls.h"
#include "core/device.h"
#include "core/eventq.h"

#define RECORD sizeof(struct iommu_hwpt_pgfault)
#define ANSWER sizeof(struct iommu_hwpt_page_response)

/* A nested HWPT with a queue, and a device of the test's own attached to it. */
static struct siommu_device *dev;
static struct siommu_bound *bound;
static uint32_t dev_id, ioas, parent, nested, fault;
static int fd;

static struct iommu_device *hw(void)
{
	return dev->dev;
}

static void begin(void)
{
	ioas = new_ioas();
	dev = new_device(3, 8);
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &dev_id));
	ASSERT_OK(hwpt_alloc(dev_id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(fault_alloc(&fault, &fd));
	ASSERT_OK(nested_alloc(dev_id, parent, IOMMU_HWPT_ALLOC_PASID, fault, &nested));
	ASSERT_OK(attach(bound, nested));
}

static void end(void)
{
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, fault));
}

/* A request of group @grpid. Return: as iommu_report_fault(). */
static int report(u32 grpid, u64 address, bool last)
{
	const struct iommu_pgfault request = {
		.flags = last ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
		.grpid = grpid,
		.perm = IOMMU_PGFAULT_PERM_WRITE,
		.addr = address,
	};

	return iommu_report_fault(hw(), &request);
}

static unsigned int pending(void)
{
	return atomic_load(&hw()->pending);
}

static short ready(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ASSERT_TRUE(poll(&p, 1, 0) >= 0);
	return p.revents & POLLIN;
}

static ssize_t answer(u32 cookie, u32 code)
{
	const struct iommu_hwpt_page_response response = { .cookie = cookie, .code = code };

	return siommu_write(ctx, fd, &response, sizeof(response));
}

TEST_BOTH(a_request_is_read_and_answered)
{
	struct iommu_hwpt_pgfault out;

	begin();
	EXPECT_TRUE(!ready());
	EXPECT_EQ(0, siommu_read(ctx, fd, &out, sizeof(out)));
	ASSERT_OK(report(5, 0xabc000, true));
	EXPECT_TRUE(ready());
	ASSERT_EQ(RECORD, siommu_read(ctx, fd, &out, sizeof(out)));
	EXPECT_TRUE(!ready());
	EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE, out.flags);
	EXPECT_EQ(dev_id, out.dev_id);
	EXPECT_EQ(5, out.grpid);
	EXPECT_EQ(0, out.pasid);
	EXPECT_EQ(IOMMU_PGFAULT_PERM_WRITE, out.perm);
	EXPECT_EQ(0xabc000, out.addr);
	EXPECT_EQ(0, out.length);
	EXPECT_EQ(0, out.__reserved);
	EXPECT_EQ(1, out.cookie);
	EXPECT_EQ(1, pending());
	EXPECT_EQ(ANSWER, answer(out.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(0, pending());
	/* Once. */
	EXPECT_RC(-EINVAL, answer(out.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	end();
}

TEST_BOTH(a_group_comes_as_a_whole)
{
	struct iommu_hwpt_pgfault out[8];
	unsigned int i;

	begin();
	ASSERT_OK(report(1, 0x1000, false));
	ASSERT_OK(report(2, 0x9000, false));
	ASSERT_OK(report(1, 0x2000, false));
	EXPECT_TRUE(!ready());
	ASSERT_OK(report(1, 0x3000, true));
	/* Not in parts. */
	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, out, 2 * RECORD));
	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, out, 0));
	EXPECT_TRUE(ready());
	ASSERT_EQ(3 * RECORD, siommu_read(ctx, fd, out, sizeof(out)));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0x1000 * (i + 1), out[i].addr);
		EXPECT_EQ(i == 2 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0, out[i].flags);
		EXPECT_EQ(1, out[i].cookie);
	}
	ASSERT_OK(report(2, 0xa000, true));
	ASSERT_EQ(2 * RECORD, siommu_read(ctx, fd, out, sizeof(out)));
	EXPECT_TRUE(out[0].addr == 0x9000 && out[1].addr == 0xa000 && out[0].cookie == 2);
	end();
}

TEST_BOTH(a_read_takes_as_many_groups_as_fit)
{
	struct iommu_hwpt_pgfault out[8];
	u32 i;

	begin();
	for (i = 1; i <= 4; i++) {
		if (i == 3)
			ASSERT_OK(report(i, 0, false));
		ASSERT_OK(report(i, 0, true));
	}
	/* Two, and no room for the two records of the third. */
	EXPECT_EQ(2 * RECORD, siommu_read(ctx, fd, out, 3 * RECORD));
	EXPECT_TRUE(out[0].grpid == 1 && out[1].grpid == 2);
	EXPECT_TRUE(ready());
	EXPECT_EQ(3 * RECORD, siommu_read(ctx, fd, out, 8 * RECORD));
	EXPECT_TRUE(out[0].grpid == 3 && out[2].grpid == 4);
	EXPECT_TRUE(out[0].cookie == 3 && out[2].cookie == 4);
	EXPECT_TRUE(!ready());
	end();
}

TEST_BOTH(sizes_that_are_no_whole_records)
{
	char out[3 * RECORD];

	begin();
	EXPECT_RC(-ESPIPE, siommu_read(ctx, fd, out, RECORD - 1));
	EXPECT_RC(-ESPIPE, siommu_read(ctx, fd, out, RECORD + 1));
	EXPECT_EQ(0, siommu_read(ctx, fd, out, 0));
	EXPECT_RC(-ESPIPE, siommu_write(ctx, fd, out, ANSWER - 1));
	EXPECT_RC(-ESPIPE, siommu_write(ctx, fd, out, 2 * ANSWER + 1));
	EXPECT_EQ(0, siommu_write(ctx, fd, out, 0));
	end();
}

TEST_BOTH(answers_that_are_refused)
{
	struct iommu_hwpt_page_response r[3] = { { 0 } };
	struct iommu_hwpt_pgfault out[2];

	begin();
	ASSERT_OK(report(1, 0, true));
	/* What was not read has no cookie yet. */
	EXPECT_RC(-EINVAL, answer(1, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_OK(report(2, 0, true));
	ASSERT_EQ(2 * RECORD, siommu_read(ctx, fd, out, sizeof(out)));
	EXPECT_RC(-EINVAL, answer(1, 2));
	EXPECT_RC(-EINVAL, answer(0, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_RC(-EINVAL, answer(UINT32_MAX, IOMMUFD_PAGE_RESP_SUCCESS));
	/* The good ones before a bad one count. */
	r[0].cookie = 2;
	r[1].cookie = 7;
	r[2].cookie = 1;
	EXPECT_EQ(ANSWER, siommu_write(ctx, fd, r, sizeof(r)));
	EXPECT_EQ(1, pending());
	EXPECT_EQ(ANSWER, answer(1, IOMMUFD_PAGE_RESP_INVALID));
	EXPECT_EQ(0, pending());
	end();
}

TEST_BOTH(cookies_are_the_lowest_free)
{
	struct iommu_hwpt_pgfault out[4];
	u32 i;

	begin();
	for (i = 0; i < 3; i++)
		ASSERT_OK(report(i, 0, true));
	ASSERT_EQ(3 * RECORD, siommu_read(ctx, fd, out, sizeof(out)));
	EXPECT_EQ(ANSWER, answer(2, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_OK(report(9, 0, true));
	ASSERT_EQ(RECORD, siommu_read(ctx, fd, out, sizeof(out)));
	EXPECT_EQ(2, out[0].cookie);
	end();
}

TEST_CHECKED(a_reader_with_bad_memory)
{
	struct iommu_hwpt_pgfault out;
	char *p = buffer_then_hole(PAGE, PAGE), *at = p + PAGE - RECORD - 8;

	begin();
	ASSERT_OK(report(1, 0, false));
	ASSERT_OK(report(1, 0, true));
	EXPECT_RC(-EFAULT, siommu_read(ctx, fd, at, 2 * RECORD));
	EXPECT_RC(-EFAULT, siommu_read(ctx, fd, NULL, 2 * RECORD));
	EXPECT_TRUE(ready());
	ASSERT_EQ(2 * RECORD, siommu_read(ctx, fd, p, 2 * RECORD));
	ASSERT_OK(report(2, 0, true));
	ASSERT_OK(report(3, 0, true));
	/* The first fits, the second meets the hole. */
	EXPECT_EQ(RECORD, siommu_read(ctx, fd, at, 2 * RECORD));
	EXPECT_EQ(RECORD, siommu_read(ctx, fd, &out, RECORD));
	EXPECT_EQ(3, out.grpid);
	EXPECT_RC(-EFAULT, siommu_write(ctx, fd, p + PAGE - ANSWER + 1, ANSWER));
	EXPECT_RC(-EFAULT, siommu_write(ctx, fd, NULL, ANSWER));
	EXPECT_EQ(3, pending());
	end();
}

TEST(nobody_takes_it)
{
	begin();
	ASSERT_OK(replace(bound, parent));
	EXPECT_RC(-EINVAL, report(1, 0, true));
	EXPECT_RC(-EINVAL, report(1, 0, false));
	siommu_device_detach(bound, 0);
	EXPECT_RC(-EINVAL, report(1, 0, true));
	EXPECT_EQ(0, pending());
	ASSERT_OK(attach(bound, nested));
	EXPECT_OK(report(1, 0, true));
	end();
}

/* Read or not, what came through an attachment ends with it. */
static void end_with(void (*fn)(void))
{
	struct iommu_hwpt_pgfault out;

	begin();
	ASSERT_OK(report(1, 0, true));
	ASSERT_EQ(RECORD, siommu_read(ctx, fd, &out, RECORD));
	ASSERT_OK(report(2, 0, true));
	EXPECT_EQ(2, pending());
	fn();
	EXPECT_EQ(0, pending());
	EXPECT_TRUE(!ready());
	EXPECT_EQ(0, siommu_read(ctx, fd, &out, RECORD));
	EXPECT_RC(-EINVAL, answer(1, IOMMUFD_PAGE_RESP_SUCCESS));
	end();
}

static void by_detach(void)
{
	siommu_device_detach(bound, 0);
}

static void by_replace(void)
{
	ASSERT_OK(replace(bound, parent));
}

static void by_replace_with_the_same_queue(void)
{
	uint32_t other;

	ASSERT_OK(nested_alloc(dev_id, parent, 0, fault, &other));
	ASSERT_OK(replace(bound, other));
	ASSERT_OK(replace(bound, parent));
	ASSERT_OK(destroy(ctx, other));
}

TEST_BOTH(detaching_answers)
{
	end_with(by_detach);
}

TEST_BOTH(replacing_answers)
{
	end_with(by_replace);
	/* The fixture's names are used again. */
	end_with(by_replace_with_the_same_queue);
}

TEST(requests_of_a_group_that_never_ends)
{
	int i, rc = 0;

	begin();
	for (i = 0; i < 5000 && !rc; i++)
		rc = report(1, 0, false);
	EXPECT_RC(-ENOMEM, rc);
	EXPECT_EQ(IOMMU_MAX_PARTIAL + 1, i);
	EXPECT_TRUE(!ready());
	end();
}

TEST(a_queue_that_nobody_reads)
{
	int i, rc = 0;

	begin();
	for (i = 0; i < 100000 && !rc; i++)
		rc = report((u32)i, 0, true);
	EXPECT_RC(-ENOSPC, rc);
	EXPECT_EQ(IOMMU_MAX_PENDING, pending());
	siommu_device_detach(bound, 0);
	EXPECT_EQ(0, pending());
	end();
}

TEST_BOTH(pasids)
{
	struct iommu_pgfault request = {
		.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE | IOMMU_PGFAULT_FLAGS_PASID_VALID,
		.pasid = 9,
	};
	struct iommu_hwpt_pgfault out;
	uint32_t quiet;

	begin();
	/* The guest has its own table of PASIDs: the nested one of the device takes it. */
	ASSERT_OK(iommu_report_fault(hw(), &request));
	ASSERT_EQ(RECORD, siommu_read(ctx, fd, &out, RECORD));
	EXPECT_EQ(9, out.pasid);
	EXPECT_EQ(3, out.flags);
	ASSERT_OK(hwpt_alloc(dev_id, ioas, IOMMU_HWPT_ALLOC_PASID, &quiet));
	ASSERT_OK(siommu_device_attach(bound, 9, &quiet));
	EXPECT_RC(-EINVAL, iommu_report_fault(hw(), &request));
	ASSERT_OK(siommu_device_replace(bound, 9, &nested));
	ASSERT_OK(iommu_report_fault(hw(), &request));
	/* Detaching one answers only its own. */
	siommu_device_detach(bound, 9);
	EXPECT_EQ(1, pending());
	ASSERT_OK(replace(bound, quiet));
	EXPECT_RC(-EINVAL, iommu_report_fault(hw(), &request));
	EXPECT_EQ(0, pending());
	end();
	EXPECT_OK(destroy(ctx, quiet));
}

/*
 * Two devices in one group: the one that attached first goes, and its requests
 * with it. The other one goes on.
 */
TEST_BOTH(the_first_of_a_group_goes)
{
	const struct iommu_pgfault request = { .flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE, .grpid = 8 };
	struct siommu_bound *first_bound;
	struct siommu_device *first;
	struct iommu_hwpt_pgfault out[4];
	uint32_t first_id;

	begin();
	siommu_device_detach(bound, 0);
	first = new_device(3, 8);
	ASSERT_OK(siommu_device_bind(ctx, first, &first_bound, &first_id));
	ASSERT_OK(attach(first_bound, nested));
	ASSERT_OK(attach(bound, nested));
	ASSERT_OK(iommu_report_fault(first->dev, &request));
	ASSERT_OK(report(1, 0, true));
	ASSERT_EQ(RECORD, siommu_read(ctx, fd, out, RECORD));
	EXPECT_EQ(8, out[0].grpid);
	ASSERT_OK(iommu_report_fault(first->dev, &request));
	siommu_device_unbind(first_bound);
	siommu_device_destroy(first);
	EXPECT_RC(-EINVAL, answer(out[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_OK(report(2, 0, true));
	ASSERT_EQ(2 * RECORD, siommu_read(ctx, fd, out, sizeof(out)));
	EXPECT_TRUE(out[0].grpid == 1 && out[1].grpid == 2);
	EXPECT_EQ(dev_id, out[1].dev_id);
	EXPECT_EQ(2, pending());
	end();
}

TEST(closing_the_queue_leaves_the_device)
{
	begin();
	ASSERT_OK(report(1, 0, true));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_RC(-EBADF, siommu_close_fd(ctx, fd));
	/* It is still queued; it ends with the attachment. */
	EXPECT_OK(report(2, 0, true));
	siommu_device_detach(bound, 0);
	EXPECT_EQ(0, pending());
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, fault));
	EXPECT_OK(destroy(ctx, parent));
}

static void *produce(void *arg)
{
	u32 i;

	(void)arg;
	for (i = 0; i < 2000; i++) {
		report(i, i, false);
		while (report(i, i, true) == -ENOSPC)
			sched_yield();
	}
	return NULL;
}

/* A device's thread reports while another reads and answers. */
TEST(two_threads)
{
	struct iommu_hwpt_pgfault out[16];
	struct pollfd p;
	pthread_t thread;
	u32 groups = 0;
	ssize_t n, i;

	begin();
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	ASSERT_OK(-pthread_create(&thread, NULL, produce, NULL));
	while (groups < 2000) {
		ASSERT_EQ(1, poll(&p, 1, 10000));
		n = siommu_read(ctx, fd, out, sizeof(out));
		ASSERT_TRUE(n >= 0 && n % (ssize_t)(2 * RECORD) == 0);
		for (i = 1; i < n / (ssize_t)RECORD; i += 2) {
			EXPECT_EQ(groups++, out[i].grpid);
			EXPECT_EQ(ANSWER, answer(out[i].cookie, IOMMUFD_PAGE_RESP_SUCCESS));
		}
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, pending());
	end();
}

TEST_BOTH(alloc_refusals)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd), .flags = 1 };
	uint32_t a, b;
	int fa, fb;

	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	ASSERT_OK(fault_alloc(&a, &fa));
	ASSERT_OK(fault_alloc(&b, &fb));
	EXPECT_TRUE(a != b && fa != fb);
	EXPECT_RC(-EBUSY, destroy(ctx, a));
	EXPECT_OK(siommu_close_fd(ctx, fa));
	EXPECT_OK(destroy(ctx, a));
	/* The other one closes with the context. */
}

/*
 * A listener in place of a reader
 */

static struct {
	struct core_ctx *ctx;
	struct core_fault *fault;
	unsigned int n;
	u64 token;
	struct iommu_device *dev;
	u32 grpid;
	u32 count;
	int rc;
} heard;

static int listener(void *arg, const struct iommu_fault_group *group, u64 token)
{
	EXPECT_TRUE(arg == &heard);
	heard.n++;
	heard.token = token;
	heard.dev = group->dev;
	heard.grpid = group->faults[group->count - 1].grpid;
	heard.count = group->count;
	return heard.rc;
}

/* There is one context. */
static void listen_begin(void)
{
	memset(&heard, 0, sizeof(heard));
	heard.ctx = LIST_FIRST(&machine->contexts);
	ioas = new_ioas();
	dev = new_device(3, 8);
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &dev_id));
	ASSERT_OK(hwpt_alloc(dev_id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(nested_alloc(dev_id, parent, IOMMU_HWPT_ALLOC_PASID, 0, &nested));
	pthread_mutex_lock(&heard.ctx->lock);
	EXPECT_OK(core_fault_listen(heard.ctx, listener, &heard, &heard.fault));
	core_hwpt_set_fault(core_hwpt_find(heard.ctx, nested), heard.fault);
	pthread_mutex_unlock(&heard.ctx->lock);
	ASSERT_OK(attach(bound, nested));
}

static void listen_end(void)
{
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, parent));
	pthread_mutex_lock(&heard.ctx->lock);
	core_fault_unlisten(heard.ctx, heard.fault);
	pthread_mutex_unlock(&heard.ctx->lock);
}

TEST(a_listener_takes_groups)
{
	listen_begin();
	ASSERT_OK(report(5, 0x1000, false));
	EXPECT_EQ(0, heard.n);
	ASSERT_OK(report(5, 0x2000, true));
	EXPECT_EQ(1, heard.n);
	EXPECT_EQ(5, heard.grpid);
	EXPECT_EQ(2, heard.count);
	EXPECT_TRUE(heard.dev == hw());
	EXPECT_EQ(1, pending());
	EXPECT_RC(-EINVAL, core_fault_respond(heard.fault, heard.token, 2));
	EXPECT_RC(-EINVAL, core_fault_respond(heard.fault, heard.token + 1, 0));
	EXPECT_EQ(1, pending());
	EXPECT_OK(core_fault_respond(heard.fault, heard.token, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(0, pending());
	EXPECT_RC(-EINVAL,
		  core_fault_respond(heard.fault, heard.token, IOMMUFD_PAGE_RESP_SUCCESS));
	listen_end();
}

/* A late answer must not be taken for another group's. */
TEST(a_token_is_for_one_group)
{
	u64 late;

	listen_begin();
	ASSERT_OK(report(5, 0x1000, true));
	late = heard.token;
	siommu_device_detach(bound, 0);
	EXPECT_EQ(0, pending());
	ASSERT_OK(attach(bound, nested));
	ASSERT_OK(report(5, 0x1000, true));
	EXPECT_TRUE(late != heard.token);
	EXPECT_RC(-EINVAL, core_fault_respond(heard.fault, late, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(1, pending());
	EXPECT_OK(core_fault_respond(heard.fault, heard.token, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(0, pending());
	listen_end();
}

TEST(what_a_listener_refuses_is_answered)
{
	listen_begin();
	heard.rc = -ENOSPC;
	EXPECT_RC(-EINVAL, report(5, 0x1000, true));
	EXPECT_EQ(1, heard.n);
	EXPECT_EQ(0, pending());
	EXPECT_RC(-EINVAL, core_fault_respond(heard.fault, heard.token, 0));
	heard.rc = 0;
	ASSERT_OK(report(5, 0x1000, true));
	EXPECT_OK(core_fault_respond(heard.fault, heard.token, 0));
	listen_end();
}

TEST(nobody_finds_a_listeners_queue)
{
	u32 id;

	listen_begin();
	EXPECT_RC(-ENOENT, destroy(ctx, heard.fault->obj.id));
	EXPECT_RC(-ENOENT, nested_alloc(dev_id, parent, IOMMU_HWPT_ALLOC_PASID,
					heard.fault->obj.id, &id));
	listen_end();
}
