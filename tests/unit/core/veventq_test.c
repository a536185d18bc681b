// SPDX-License-Identifier: MIT
/* Events of a vIOMMU: sequence numbers, events that were lost, and reads of any size. */
#include <poll.h>
#include <pthread.h>

#include "calls.h"
#include "core/eventq.h"

#define TYPE   IOMMU_VEVENTQ_TYPE_SELFTEST
#define HEADER sizeof(struct iommufd_vevent_header)
#define EVENT  sizeof(struct event)
#define LOST   IOMMU_VEVENTQ_FLAG_LOST_EVENTS

struct event {
	struct iommufd_vevent_header header;
	struct iommu_viommu_event_selftest data;
};

static uint32_t ioas, parent, viommu, vdev, nested, q;
static struct mock mock;
static int fd;

static void begin(uint32_t depth)
{
	ioas = new_ioas();
	mock = new_mock(ioas);
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(viommu_alloc(mock.dev, parent, &viommu));
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 0x99, &vdev));
	ASSERT_OK(nested_alloc(mock.dev, viommu, 0, 0, &nested));
	ASSERT_OK(veventq_alloc(viommu, TYPE, depth, &q, &fd));
	ASSERT_OK(mock_replace(&mock, nested));
}

static void end(void)
{
	EXPECT_OK(mock_replace(&mock, ioas));
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, q));
	EXPECT_OK(destroy(ctx, vdev));
	EXPECT_OK(destroy(ctx, nested));
	EXPECT_OK(destroy(ctx, viommu));
	EXPECT_OK(destroy(ctx, parent));
	EXPECT_OK(destroy(ctx, mock.st));
}

static void trigger(unsigned int n)
{
	while (n--)
		ASSERT_OK(trigger_vevent(mock.dev));
}

static short ready(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ASSERT_TRUE(poll(&p, 1, 0) >= 0);
	return p.revents & POLLIN;
}

TEST_BOTH(events_are_numbered)
{
	struct event e[4];
	unsigned int i;

	begin(8);
	EXPECT_TRUE(!ready());
	EXPECT_EQ(0, siommu_read(ctx, fd, e, sizeof(e)));
	trigger(3);
	EXPECT_TRUE(ready());
	ASSERT_EQ(3 * EVENT, siommu_read(ctx, fd, e, sizeof(e)));
	EXPECT_TRUE(!ready());
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, e[i].header.flags);
		EXPECT_EQ(i, e[i].header.sequence);
		EXPECT_EQ(0x99, e[i].data.virt_id);
	}
	trigger(1);
	ASSERT_EQ(EVENT, siommu_read(ctx, fd, e, EVENT));
	EXPECT_EQ(3, e[0].header.sequence);
	end();
}

TEST_BOTH(the_latest_are_lost)
{
	struct {
		struct event e[2];
		struct iommufd_vevent_header lost;
	} out;

	begin(2);
	trigger(4);
	ASSERT_EQ(sizeof(out), siommu_read(ctx, fd, &out, sizeof(out)));
	EXPECT_EQ(0, out.e[0].header.sequence);
	EXPECT_EQ(1, out.e[1].header.sequence);
	EXPECT_EQ(LOST, out.lost.flags);
	/* The number of the last one that was lost. */
	EXPECT_EQ(3, out.lost.sequence);
	EXPECT_TRUE(!ready());
	trigger(1);
	ASSERT_EQ(EVENT, siommu_read(ctx, fd, &out, EVENT));
	EXPECT_EQ(4, out.e[0].header.sequence);
	EXPECT_EQ(0, out.e[0].header.flags);
	end();
}

/* A later event shows the gap, so the record is not needed any more. */
TEST(a_gap_shows_the_loss)
{
	struct event e[4];

	begin(2);
	trigger(4);
	ASSERT_EQ(EVENT, siommu_read(ctx, fd, e, EVENT));
	trigger(1);
	ASSERT_EQ(2 * EVENT, siommu_read(ctx, fd, e, sizeof(e)));
	EXPECT_EQ(1, e[0].header.sequence);
	EXPECT_EQ(4, e[1].header.sequence);
	end();
}

TEST(only_the_record_of_a_loss)
{
	struct iommufd_vevent_header header;
	struct event e;

	begin(1);
	trigger(2);
	ASSERT_EQ(EVENT, siommu_read(ctx, fd, &e, EVENT));
	EXPECT_TRUE(ready());
	/* It is a header alone, and that is enough room for it. */
	ASSERT_EQ(HEADER, siommu_read(ctx, fd, &header, HEADER));
	EXPECT_EQ(LOST, header.flags);
	EXPECT_EQ(1, header.sequence);
	EXPECT_EQ(0, siommu_read(ctx, fd, &header, HEADER));
	end();
}

TEST_BOTH(reads_of_any_size)
{
	struct event e[3];

	begin(4);
	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, e, 0));
	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, e, HEADER - 1));
	EXPECT_EQ(0, siommu_read(ctx, fd, e, HEADER));
	trigger(3);
	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, e, HEADER - 1));
	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, e, HEADER));
	EXPECT_RC(-EINVAL, siommu_read(ctx, fd, e, EVENT - 1));
	/* What fits; the rest of the room is of no use. */
	EXPECT_EQ(EVENT, siommu_read(ctx, fd, e, EVENT + HEADER));
	EXPECT_EQ(EVENT, siommu_read(ctx, fd, e, 2 * EVENT - 1));
	EXPECT_EQ(EVENT, siommu_read(ctx, fd, e, 3 * EVENT));
	EXPECT_RC(-EINVAL, siommu_write(ctx, fd, e, EVENT));
	end();
}

TEST_CHECKED(a_reader_with_bad_memory)
{
	char *p = buffer_then_hole(PAGE, PAGE);
	struct event e;

	begin(4);
	trigger(2);
	EXPECT_RC(-EFAULT, siommu_read(ctx, fd, NULL, EVENT));
	EXPECT_RC(-EFAULT, siommu_read(ctx, fd, p + PAGE - HEADER, EVENT));
	EXPECT_RC(-EFAULT, siommu_read(ctx, fd, p + PAGE - 1, EVENT));
	EXPECT_EQ(EVENT, siommu_read(ctx, fd, p + PAGE - EVENT, 2 * EVENT));
	ASSERT_EQ(EVENT, siommu_read(ctx, fd, &e, EVENT));
	EXPECT_EQ(1, e.header.sequence);
	end();
}

TEST_BOTH(alloc_checks_in_order)
{
	struct iommu_veventq_alloc cmd = { .size = sizeof(cmd), .flags = 1, .type = TYPE };
	uint32_t id;
	int other;

	begin(1);
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_VEVENTQ_ALLOC, &cmd));
	cmd.flags = 0;
	cmd.__reserved = 1;
	EXPECT_RC(-EOPNOTSUPP, siommu_ioctl(ctx, IOMMU_VEVENTQ_ALLOC, &cmd));
	EXPECT_RC(-EOPNOTSUPP, veventq_alloc(99, 0, 0, &id, &other));
	EXPECT_RC(-EINVAL, veventq_alloc(99, TYPE, 0, &id, &other));
	EXPECT_RC(-EINVAL, veventq_alloc(99, TYPE, (1u << 19) + 1, &id, &other));
	EXPECT_RC(-ENOENT, veventq_alloc(99, TYPE, 1, &id, &other));
	EXPECT_RC(-ENOENT, veventq_alloc(parent, TYPE, 1, &id, &other));
	EXPECT_RC(-EEXIST, veventq_alloc(viommu, TYPE, 1, &id, &other));
	ASSERT_OK(veventq_alloc(viommu, 1234, 1u << 19, &id, &other));
	EXPECT_OK(siommu_close_fd(ctx, other));
	EXPECT_OK(destroy(ctx, id));
	end();
}

TEST(events_without_anybody_for_them)
{
	struct mock other;

	begin(4);
	other = new_mock(ioas);
	EXPECT_RC(-ENOENT, trigger_vevent(other.dev));
	EXPECT_RC(-ENOENT, trigger_vevent(99));
	EXPECT_OK(destroy(ctx, other.st));
	/* No queue of its type. */
	EXPECT_OK(siommu_close_fd(ctx, fd));
	EXPECT_OK(destroy(ctx, q));
	EXPECT_RC(-EOPNOTSUPP, trigger_vevent(mock.dev));
	ASSERT_OK(veventq_alloc(viommu, TYPE, 2, &q, &fd));
	EXPECT_OK(trigger_vevent(mock.dev));
	/* Not through the vIOMMU any more. */
	ASSERT_OK(mock_replace(&mock, parent));
	EXPECT_RC(-ENOENT, trigger_vevent(mock.dev));
	end();
}

/* After 2^31 - 1 the numbers begin again. */
TEST(numbers_wrap)
{
	struct core_ctx *core;
	struct event e[3];

	begin(4);
	core = LIST_FIRST(&machine->contexts);
	core_find(core, q, CORE_VEVENTQ, struct core_veventq, obj)->sequence = INT32_MAX - 1;
	trigger(3);
	ASSERT_EQ(3 * EVENT, siommu_read(ctx, fd, e, sizeof(e)));
	EXPECT_EQ(INT32_MAX - 1, e[0].header.sequence);
	EXPECT_EQ(INT32_MAX, e[1].header.sequence);
	EXPECT_EQ(0, e[2].header.sequence);
	end();
}

static void *produce(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 3000; i++)
		if (trigger_vevent(mock.dev))
			unit_fail(__FILE__, __LINE__, "an event was refused");
	return NULL;
}

/* Every event is either read or shows as a gap. */
TEST(two_threads)
{
	struct pollfd p;
	uint32_t next = 0, flags;
	pthread_t thread;
	struct event e;
	ssize_t n;

	begin(16);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	ASSERT_OK(-pthread_create(&thread, NULL, produce, NULL));
	while (next < 3000) {
		ASSERT_EQ(1, poll(&p, 1, 10000));
		n = siommu_read(ctx, fd, &e, sizeof(e));
		if (!n)
			continue;
		flags = e.header.flags;
		ASSERT_EQ(flags & LOST ? HEADER : EVENT, n);
		ASSERT_TRUE(e.header.sequence >= next);
		next = e.header.sequence + 1;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(3000, next);
	end();
}
