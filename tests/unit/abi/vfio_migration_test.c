// SPDX-License-Identifier: MIT
/* Migration: the states of a device, its data, and the log of its DMA. */
#include "pci_rig.h"

#define NAME0 "0000:00:02.0"
#define NAME1 "0000:00:03.0"

#define FEATURE(name) VFIO_DEVICE_FEATURE_##name
#define STATE(name)   VFIO_DEVICE_STATE_##name

static long feature(int device, uint32_t flags, void *data, size_t n)
{
	union {
		struct vfio_device_feature head;
		uint8_t bytes[128];
	} cmd;
	long rc;

	cmd.head.argsz = (uint32_t)(sizeof(cmd.head) + n);
	cmd.head.flags = flags;
	if (n)
		memcpy(cmd.head.data, data, n);
	rc = vcall(device, VFIO_DEVICE_FEATURE, &cmd);
	if (n)
		memcpy(data, cmd.head.data, n);
	return rc;
}

static long set_state(int device, uint32_t state, int *fd)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state, .data_fd = 12345 };
	long rc = feature(device, FEATURE(SET) | FEATURE(MIG_DEVICE_STATE), &mig, sizeof(mig));

	*fd = mig.data_fd;
	return rc;
}

/* A change that gives no descriptor. */
static long move_to(int device, uint32_t state)
{
	int fd;
	long rc = set_state(device, state, &fd);

	EXPECT_EQ(-1, fd);
	return rc;
}

static int session(int device, uint32_t state)
{
	int fd = -1;

	ASSERT_OK(set_state(device, state, &fd));
	ASSERT_TRUE(fd >= 0);
	return fd;
}

static uint32_t state_of(int device)
{
	struct vfio_device_feature_mig_state mig = { .device_state = 99, .data_fd = 12345 };

	ASSERT_OK(feature(device, FEATURE(GET) | FEATURE(MIG_DEVICE_STATE), &mig, sizeof(mig)));
	EXPECT_EQ(-1, mig.data_fd);
	return mig.device_state;
}

static struct legacy one_device(void)
{
	pci_rig_begin();
	pci_rig_add(0, NULL);
	return legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
}

static void end(struct legacy *l)
{
	legacy_close(l);
	pci_rig_end();
}

TEST_BOTH(what_a_device_can)
{
	struct legacy l = one_device();
	struct vfio_device_feature_migration mig = { 0 };
	struct vfio_device_feature_mig_data_size size = { 0 };

	EXPECT_OK(feature(l.device, FEATURE(GET) | FEATURE(MIGRATION), &mig, sizeof(mig)));
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P, mig.flags);
	EXPECT_RC(-EINVAL, feature(l.device, FEATURE(SET) | FEATURE(MIGRATION), &mig, sizeof(mig)));
	EXPECT_RC(-EINVAL, feature(l.device, FEATURE(GET) | FEATURE(MIGRATION), &mig, 4));
	EXPECT_OK(feature(l.device, FEATURE(PROBE) | FEATURE(GET) | FEATURE(MIGRATION), NULL, 0));
	EXPECT_RC(-EINVAL,
		  feature(l.device, FEATURE(PROBE) | FEATURE(SET) | FEATURE(MIGRATION), NULL, 0));
	EXPECT_OK(feature(l.device,
			  FEATURE(PROBE) | FEATURE(GET) | FEATURE(SET) | FEATURE(MIG_DEVICE_STATE),
			  NULL, 0));
	EXPECT_OK(feature(l.device, FEATURE(GET) | FEATURE(MIG_DATA_SIZE), &size, sizeof(size)));
	EXPECT_TRUE(size.stop_copy_length > 0);
	EXPECT_RC(-EINVAL, feature(l.device, FEATURE(SET) | FEATURE(MIG_PRECOPY_INFOv2), NULL, 0));
	end(&l);
}

TEST_BOTH(states_that_there_are_not)
{
	struct legacy l = one_device();

	EXPECT_EQ(STATE(RUNNING), state_of(l.device));
	EXPECT_RC(-EINVAL, move_to(l.device, STATE(ERROR)));
	EXPECT_RC(-EINVAL, move_to(l.device, STATE(PRE_COPY)));
	EXPECT_RC(-EINVAL, move_to(l.device, STATE(PRE_COPY_P2P)));
	EXPECT_RC(-EINVAL, move_to(l.device, 8));
	EXPECT_RC(-EINVAL, move_to(l.device, UINT32_MAX));
	EXPECT_EQ(STATE(RUNNING), state_of(l.device));
	EXPECT_OK(move_to(l.device, STATE(RUNNING)));
	end(&l);
}

/* From each state to each, with a descriptor where a session begins. */
TEST_BOTH(every_state_leads_to_every_other)
{
	static const uint32_t states[] = { STATE(STOP), STATE(RUNNING), STATE(STOP_COPY),
					   STATE(RESUMING), STATE(RUNNING_P2P) };
	struct legacy l = one_device();
	size_t from, to;

	for (from = 0; from < 5; from++) {
		for (to = 0; to < 5; to++) {
			bool begins = from != to && (states[to] == STATE(STOP_COPY) ||
						     states[to] == STATE(RESUMING));
			/* What was written is nothing, so it cannot be loaded. */
			bool fails = from != to && states[from] == STATE(RESUMING);
			int fd, start = -1;

			ASSERT_OK(vcall(l.device, VFIO_DEVICE_RESET, NULL));
			ASSERT_EQ(STATE(RUNNING), state_of(l.device));
			ASSERT_OK(set_state(l.device, states[from], &start));
			EXPECT_RC(fails ? -EINVAL : 0, set_state(l.device, states[to], &fd));
			EXPECT_EQ(fails ? STATE(ERROR) : states[to], state_of(l.device));
			EXPECT_EQ(begins && !fails, fd >= 0);
			if (fd >= 0)
				vclose(fd);
			if (start >= 0)
				vclose(start);
		}
	}
	end(&l);
}

/* All of a session's bytes. */
static size_t drain(int fd, uint8_t *buf, size_t room)
{
	size_t n = 0;
	ssize_t got;

	/* Pieces of odd sizes: the stream has no boundaries. */
	while ((got = siommu_vfio_read(machine, fd, buf + n, 37, 0)) > 0) {
		n += (size_t)got;
		ASSERT_TRUE(n + 37 <= room);
	}
	EXPECT_RC(0, got);
	return n;
}

static void fill(int fd, const uint8_t *buf, size_t n)
{
	size_t at, m;

	for (at = 0; at < n; at += m) {
		m = n - at < 53 ? n - at : 53;
		ASSERT_EQ(m, siommu_vfio_write(machine, fd, buf + at, m, 0));
	}
}

static size_t stream_bytes(int device)
{
	struct vfio_device_feature_mig_data_size size = { 0 };

	ASSERT_OK(feature(device, FEATURE(GET) | FEATURE(MIG_DATA_SIZE), &size, sizeof(size)));
	return size.stop_copy_length;
}

TEST_BOTH(a_state_moves_to_another_device)
{
	struct legacy l = one_device(), other;
	size_t n, room = 4 << 20;
	uint8_t *stream = buffer(room);
	int fd;

	pci_rig_add(0, NULL);
	other.group = vopen_ok("/dev/vfio/1");
	ASSERT_OK(set_container(other.group, l.container));
	other.device = get_device_ok(other.group, NAME1);
	set_reg32(l.device, REGION(0) + EDU_SCRATCH, 0xcafe1234);
	fd = session(l.device, STATE(STOP_COPY));
	n = drain(fd, stream, room);
	EXPECT_EQ(stream_bytes(l.device), n);
	/* The end stays the end. */
	EXPECT_RC(0, siommu_vfio_read(machine, fd, stream, 1, 0));
	EXPECT_RC(-ENODEV, siommu_vfio_write(machine, fd, stream, 1, 0));
	EXPECT_OK(move_to(l.device, STATE(RUNNING)));
	EXPECT_RC(-ENODEV, siommu_vfio_read(machine, fd, stream, 1, 0));
	vclose(fd);
	fd = session(other.device, STATE(RESUMING));
	EXPECT_RC(-ENODEV, siommu_vfio_read(machine, fd, stream, 1, 0));
	fill(fd, stream, n);
	EXPECT_OK(move_to(other.device, STATE(RUNNING)));
	EXPECT_RC(-ENODEV, siommu_vfio_write(machine, fd, stream, 1, 0));
	vclose(fd);
	EXPECT_EQ(STATE(RUNNING), state_of(other.device));
	EXPECT_EQ(0xcafe1234, reg32(other.device, REGION(0) + EDU_SCRATCH));
	EXPECT_EQ(0xcafe1234, reg32(l.device, REGION(0) + EDU_SCRATCH));
	vclose(other.device);
	vclose(other.group);
	end(&l);
}

/* Each byte less or more, and each of the first ones changed, is refused and not believed. */
TEST(a_bad_state_is_refused)
{
	struct legacy l = one_device();
	size_t n, i, room = 4 << 20;
	uint8_t *stream = buffer(room);
	int fd;

	fd = session(l.device, STATE(STOP_COPY));
	n = drain(fd, stream, room);
	vclose(fd);
	for (i = 0; i < 24; i++) {
		ASSERT_OK(vcall(l.device, VFIO_DEVICE_RESET, NULL));
		fd = session(l.device, STATE(RESUMING));
		stream[i] ^= 0x80;
		fill(fd, stream, n);
		stream[i] ^= 0x80;
		EXPECT_RC(-EINVAL, move_to(l.device, STATE(STOP)));
		EXPECT_EQ(STATE(ERROR), state_of(l.device));
		vclose(fd);
	}
	EXPECT_RC(-EINVAL, move_to(l.device, STATE(RUNNING)));
	EXPECT_RC(-EINVAL, move_to(l.device, STATE(STOP)));
	for (i = 0; i < n; i += i < 64 ? 1 : 8191) {
		ASSERT_OK(vcall(l.device, VFIO_DEVICE_RESET, NULL));
		fd = session(l.device, STATE(RESUMING));
		fill(fd, stream, i);
		EXPECT_RC(-EINVAL, move_to(l.device, STATE(STOP)));
		vclose(fd);
	}
	ASSERT_OK(vcall(l.device, VFIO_DEVICE_RESET, NULL));
	fd = session(l.device, STATE(RESUMING));
	fill(fd, stream, n);
	fill(fd, stream, 1);
	EXPECT_RC(-EINVAL, move_to(l.device, STATE(STOP)));
	vclose(fd);
	/* A reset is the way out. */
	ASSERT_OK(vcall(l.device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(STATE(RUNNING), state_of(l.device));
	fd = session(l.device, STATE(RESUMING));
	fill(fd, stream, n);
	EXPECT_OK(move_to(l.device, STATE(RUNNING)));
	vclose(fd);
	end(&l);
}

/* Stopped, it does nothing; what it was told meanwhile it does when it runs again. */
TEST_BOTH(a_stopped_device_does_no_dma)
{
	struct legacy l = one_device();
	uint8_t *p = buffer(PAGE);

	ASSERT_OK(dma_map(l.container, p, PAGE, 0x10000, DMA_RW));
	memset(p, 0x11, PAGE);
	set_master(l.device);
	ASSERT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x10000, 64));
	memset(p, 0x22, PAGE);
	ASSERT_OK(move_to(l.device, STATE(RUNNING_P2P)));
	set_reg64(l.device, REGION(0) + EDU_ADDR, 0x10000);
	set_reg64(l.device, REGION(0) + EDU_LENGTH, 64);
	set_reg32(l.device, REGION(0) + EDU_COMMAND, EDU_OP_WRITE);
	usleep(50000);
	EXPECT_EQ(0x22, p[0]);
	ASSERT_OK(move_to(l.device, STATE(STOP)));
	usleep(20000);
	EXPECT_EQ(0x22, p[0]);
	ASSERT_OK(move_to(l.device, STATE(RUNNING)));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x10000, 64));
	EXPECT_EQ(0x11, p[0]);
	end(&l);
}

TEST_BOTH(closing_ends_sessions)
{
	struct legacy l = one_device();
	uint8_t byte;
	int fd;

	fd = session(l.device, STATE(STOP_COPY));
	vclose(l.device);
	EXPECT_RC(-ENODEV, siommu_vfio_read(machine, fd, &byte, 1, 0));
	vclose(fd);
	/* The next driver finds it running. */
	l.device = get_device_ok(l.group, NAME0);
	EXPECT_EQ(STATE(RUNNING), state_of(l.device));
	ASSERT_OK(dma_map(l.container, buffer(PAGE), PAGE, 0x10000, DMA_RW));
	set_master(l.device);
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x10000, 64));
	end(&l);
}

TEST_CHECKED(bad_pointers_are_efault)
{
	struct legacy l = one_device();
	uint8_t *p = buffer_then_hole(PAGE, PAGE);
	int fd;

	fd = session(l.device, STATE(STOP_COPY));
	EXPECT_RC(-EFAULT, siommu_vfio_read(machine, fd, p + PAGE, 8, 0));
	vclose(fd);
	ASSERT_OK(move_to(l.device, STATE(STOP)));
	fd = session(l.device, STATE(RESUMING));
	EXPECT_RC(-EFAULT, siommu_vfio_write(machine, fd, p + PAGE, 8, 0));
	EXPECT_EQ(8, siommu_vfio_write(machine, fd, p + PAGE - 8, 8, 0));
	vclose(fd);
	end(&l);
}

static long log_start(int device, uint64_t page,
		      const struct vfio_device_feature_dma_logging_range *r, uint32_t n,
		      uint64_t *granted)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = page,
		.num_ranges = n,
		.ranges = addr(r),
	};
	long rc = feature(device, FEATURE(SET) | FEATURE(DMA_LOGGING_START), &control,
			  sizeof(control));

	if (granted)
		*granted = control.page_size;
	return rc;
}

static long log_report(int device, uint64_t iova, uint64_t length, uint64_t page, void *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova,
		.length = length,
		.page_size = page,
		.bitmap = addr(bitmap),
	};

	return feature(device, FEATURE(GET) | FEATURE(DMA_LOGGING_REPORT), &report, sizeof(report));
}

static long log_stop(int device)
{
	return feature(device, FEATURE(SET) | FEATURE(DMA_LOGGING_STOP), NULL, 0);
}

TEST_BOTH(a_log_is_checked)
{
	struct vfio_device_feature_dma_logging_range r[] = {
		{ .iova = 0, .length = 0x100000 },
		{ .iova = 0x100000, .length = 0x100000 },
	};
	struct legacy l = one_device();
	uint64_t bits[8] = { 0 }, page;

	EXPECT_RC(-EINVAL, log_start(l.device, PAGE, r, 0, NULL));
	EXPECT_RC(-E2BIG, log_start(l.device, PAGE, r, 257, NULL));
	r[1].iova = 0xff000;
	EXPECT_RC(-EINVAL, log_start(l.device, PAGE, r, 2, NULL));
	r[1].iova = 0x100001;
	EXPECT_RC(-EINVAL, log_start(l.device, PAGE, r, 2, NULL));
	r[1].iova = 0x100000;
	r[1].length = 0x100001;
	EXPECT_RC(-EINVAL, log_start(l.device, PAGE, r, 2, NULL));
	r[1].iova = -PAGE;
	r[1].length = 2 * PAGE;
	EXPECT_RC(-EOVERFLOW, log_start(l.device, PAGE, r, 2, NULL));
	r[1].iova = 0x100000;
	EXPECT_RC(-EINVAL, log_report(l.device, 0, PAGE, PAGE, bits));
	EXPECT_OK(log_stop(l.device));
	/* What it cannot do it does as it can, and says so. */
	ASSERT_OK(log_start(l.device, 512, r, 2, &page));
	EXPECT_EQ(PAGE, page);
	EXPECT_RC(-EINVAL, log_start(l.device, PAGE, r, 2, NULL));
	EXPECT_RC(-EINVAL, log_report(l.device, 0, PAGE, PAGE / 2, bits));
	EXPECT_RC(-EINVAL, log_report(l.device, 0, PAGE, PAGE * 3, bits));
	EXPECT_RC(-EINVAL, log_report(l.device, 0, 0, PAGE, bits));
	EXPECT_RC(-EOVERFLOW, log_report(l.device, -PAGE, 2 * PAGE, PAGE, bits));
	EXPECT_OK(log_report(l.device, 0, 64 * PAGE, PAGE, bits));
	EXPECT_EQ(0, bits[0]);
	EXPECT_OK(log_stop(l.device));
	ASSERT_OK(log_start(l.device, 0x10000, r, 1, &page));
	EXPECT_EQ(0x10000, page);
	/* Closing stops it. */
	vclose(l.device);
	l.device = get_device_ok(l.group, NAME0);
	EXPECT_RC(-EINVAL, log_report(l.device, 0, PAGE, PAGE, bits));
	end(&l);
}

TEST_BOTH(a_log_tells_what_was_written)
{
	static const struct vfio_device_feature_dma_logging_range r[] = {
		{ .iova = 0x400000, .length = 0x100000 },
		{ .iova = 0x10000, .length = 0x10000 },
	};
	struct legacy l = one_device();
	uint8_t *p = buffer(64 * PAGE);
	uint64_t bits[8];

	ASSERT_OK(dma_map(l.container, p, 64 * PAGE, 0x10000, DMA_RW));
	set_master(l.device);
	ASSERT_OK(log_start(l.device, PAGE, r, 2, NULL));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_READ, 0x11000, 64));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x13ff0, 32));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x1a000, 1));
	/* Bits are set, and never cleared, where a program has its own. */
	memset(bits, 0, sizeof(bits));
	bits[0] = 1ull << 63;
	bits[1] = 5;
	EXPECT_OK(log_report(l.device, 0x12000, 64 * PAGE, PAGE, bits));
	EXPECT_EQ(1ull << 63 | 1 << 1 | 1 << 2 | 1 << 8, bits[0]);
	EXPECT_EQ(5, bits[1]);
	/* Told once. */
	memset(bits, 0, sizeof(bits));
	EXPECT_OK(log_report(l.device, 0, 512 * PAGE, PAGE, bits));
	EXPECT_EQ(0, bits[0]);
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x1a000, 1));
	EXPECT_OK(log_report(l.device, 0x10000, 64 * PAGE, 4 * PAGE, bits));
	EXPECT_EQ(1 << 2, bits[0]);
	/* All there is, in pages so large that the bitmap is one word. */
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x1a000, 1));
	memset(bits, 0, sizeof(bits));
	EXPECT_OK(log_report(l.device, 0, 1ull << 62, 1ull << 58, bits));
	EXPECT_EQ(1, bits[0]);
	EXPECT_OK(log_stop(l.device));
	end(&l);
}

/* What is told begins in the middle of a byte of the bitmap, far from where it is asked for. */
TEST_BOTH(a_log_tells_where_it_was_written)
{
	static const struct vfio_device_feature_dma_logging_range r = {
		.iova = 0x10000,
		.length = 0x20000000,
	};
	const uint64_t first = (0x8010000 - 0x13000) / PAGE;
	struct legacy l = one_device();
	uint8_t *p = buffer(2 * PAGE), *bits = buffer(4 * PAGE);
	size_t i;

	ASSERT_OK(dma_map(l.container, p, 2 * PAGE, 0x8010000, DMA_RW));
	set_master(l.device);
	ASSERT_OK(log_start(l.device, PAGE, &r, 1, NULL));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x8010000, PAGE + 1));
	EXPECT_OK(log_report(l.device, 0x13000, 0x10000000, PAGE, bits));
	for (i = 0; i < 0x10000000 / PAGE; i++)
		EXPECT_EQ(i == first || i == first + 1, bits[i / 8] >> i % 8 & 1);
	end(&l);
}

/* A log of all addresses, of which little is written, is read without going through them. */
TEST(a_log_of_everything_is_quick)
{
	static const struct vfio_device_feature_dma_logging_range r = { .length = -PAGE };
	struct legacy l = one_device();
	uint8_t *p = buffer(PAGE);
	uint64_t bytes = 1ull << 33;
	struct timespec a, b;
	uint8_t *bits;

	bits = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_TRUE(bits != MAP_FAILED);
	ASSERT_OK(dma_map(l.container, p, PAGE, 0x7f00000000, DMA_RW));
	set_master(l.device);
	ASSERT_OK(log_start(l.device, PAGE, &r, 1, NULL));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x7f00000000, 64));
	clock_gettime(CLOCK_MONOTONIC, &a);
	EXPECT_OK(log_report(l.device, 0, bytes * 8 * PAGE, PAGE, bits));
	clock_gettime(CLOCK_MONOTONIC, &b);
	EXPECT_TRUE(b.tv_sec - a.tv_sec < 10);
	EXPECT_TRUE(bits[0x7f00000000 / PAGE / 8] & 1);
	munmap(bits, bytes);
	end(&l);
}

TEST_CHECKED(a_log_without_a_bitmap)
{
	static const struct vfio_device_feature_dma_logging_range r = { .length = 1 << 30 };
	struct legacy l = one_device();
	uint8_t *p = buffer_then_hole(PAGE, PAGE);

	ASSERT_OK(dma_map(l.container, p, PAGE, 0x10000, DMA_RW));
	set_master(l.device);
	EXPECT_RC(-EFAULT, log_start(l.device, PAGE, (void *)(p + PAGE), 1, NULL));
	ASSERT_OK(log_start(l.device, PAGE, &r, 1, NULL));
	EXPECT_EQ(0, edu_move(l.device, EDU_OP_WRITE, 0x10000, 64));
	EXPECT_RC(-EFAULT, log_report(l.device, 0, 64 * PAGE, PAGE, p + PAGE));
	end(&l);
}
