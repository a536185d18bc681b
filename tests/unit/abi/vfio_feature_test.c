// SPDX-License-Identifier: MIT
/* VFIO_DEVICE_FEATURE: the rules of all, low power, and BARs as dma-bufs. */
#include "vfio_rig.h"

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

struct feature {
	uint32_t argsz;
	uint32_t flags;
	union {
		uint8_t bytes[64];
		struct dma_buf_get buf;
		struct vfio_device_low_power_entry_with_wakeup wakeup;
	} u;
};

static long feature(int fd, uint32_t flags, struct feature *f, size_t bytes)
{
	f->argsz = (uint32_t)(8 + bytes);
	f->flags = flags;
	return vcall(fd, VFIO_DEVICE_FEATURE, f);
}

static long plain(int fd, uint32_t flags)
{
	struct feature f = { 0 };

	return feature(fd, flags, &f, 0);
}

TEST_BOTH(a_feature_is_got_set_or_probed)
{
	const uint32_t low = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
	struct cdev c = cdev_begin();
	struct feature f = { .argsz = 7, .flags = low | PROBE };

	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_FEATURE, &f));
	EXPECT_RC(-EINVAL, plain(c.fd, low | 1u << 19 | PROBE));
	EXPECT_RC(-EINVAL, plain(c.fd, low | GET | SET));
	EXPECT_RC(-ENOTTY, plain(c.fd, 100 | PROBE));
	EXPECT_RC(-ENOTTY, plain(c.fd, VFIO_DEVICE_FEATURE_BUS_MASTER | SET));
	EXPECT_RC(-ENOTTY, plain(c.fd, VFIO_DEVICE_FEATURE_ZPCI_ERROR | PROBE));
	EXPECT_OK(plain(c.fd, low | PROBE));
	EXPECT_OK(plain(c.fd, low | PROBE | SET));
	EXPECT_RC(-EINVAL, plain(c.fd, low | PROBE | GET));
	EXPECT_RC(-EINVAL, plain(c.fd, low | GET));
	EXPECT_RC(-EINVAL, plain(c.fd, low));
	EXPECT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | PROBE | SET));
	EXPECT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | PROBE | SET));
	EXPECT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_DMA_BUF | PROBE | GET));
	EXPECT_RC(-EINVAL, plain(c.fd, VFIO_DEVICE_FEATURE_DMA_BUF | PROBE | SET));
	cdev_end(&c);
}

TEST_BOTH(low_power_is_entered_once)
{
	struct cdev c = cdev_begin();

	EXPECT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | SET));
	EXPECT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET));
	EXPECT_RC(-EINVAL, plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET));
	/* An access wakes it for as long as it takes. */
	EXPECT_EQ(0x50f70001, reg32(c.fd, BAR0));
	EXPECT_RC(-EINVAL, plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET));
	EXPECT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | SET));
	EXPECT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET));
	cdev_end(&c);
}

TEST_BOTH(the_end_of_low_power_is_told)
{
	const uint32_t entry = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | SET;
	struct cdev c = cdev_begin();
	struct feature f = { .u.wakeup.wakeup_eventfd = -1 };
	int event = new_event();

	EXPECT_RC(-EINVAL, feature(c.fd, entry, &f, 7));
	EXPECT_RC(-EINVAL, feature(c.fd, entry, &f, 8));
	f.u.wakeup.wakeup_eventfd = 900;
	EXPECT_RC(-EBADF, feature(c.fd, entry, &f, 8));
	f.u.wakeup.wakeup_eventfd = event;
	EXPECT_OK(feature(c.fd, entry, &f, 8));
	EXPECT_EQ(0, events(event));
	EXPECT_EQ(0x50f70001, reg32(c.fd, BAR0));
	EXPECT_EQ(1, events(event));
	EXPECT_EQ(0x50f70001, reg32(c.fd, BAR0));
	EXPECT_EQ(0, events(event));
	/* It is over, so it can be entered again; a request ends it as well. */
	EXPECT_OK(feature(c.fd, entry, &f, 8));
	EXPECT_OK(device_info(c.fd));
	EXPECT_EQ(1, events(event));
	/* Closed while it sleeps. */
	EXPECT_OK(feature(c.fd, entry, &f, 8));
	vclose(c.fd);
	EXPECT_EQ(0, events(event));
	vclose(c.context);
	close(event);
	pci_rig_end();
}

static long export(int fd, uint32_t region, uint64_t offset, uint64_t length)
{
	struct feature f = {
		.u.buf = { region, 02000002, 0, 1, { { offset, length } } },
	};

	return feature(fd, VFIO_DEVICE_FEATURE_DMA_BUF | GET, &f, 32);
}

TEST_BOTH(exports_are_checked)
{
	const uint32_t get = VFIO_DEVICE_FEATURE_DMA_BUF | GET;
	struct cdev c = cdev_begin();
	struct feature f = { .u.buf = { 2, 0, 0, 1, { { 0, PAGE } } } };

	EXPECT_RC(-EINVAL, feature(c.fd, get, &f, 15));
	f.u.buf.nr_ranges = 0;
	EXPECT_RC(-EINVAL, feature(c.fd, get, &f, 32));
	f.u.buf.nr_ranges = 1;
	f.u.buf.flags = 1;
	EXPECT_RC(-EINVAL, feature(c.fd, get, &f, 32));
	EXPECT_RC(-ENODEV, export(c.fd, 6, 0, PAGE));
	EXPECT_RC(-ENODEV, export(c.fd, 7, 0, PAGE));
	EXPECT_RC(-ENODEV, export(c.fd, 1, 0, PAGE));
	EXPECT_RC(-EINVAL, export(c.fd, 2, 0, 0));
	EXPECT_RC(-EINVAL, export(c.fd, 2, 1, PAGE));
	EXPECT_RC(-EINVAL, export(c.fd, 2, 0, PAGE + 1));
	EXPECT_RC(-EINVAL, export(c.fd, 2, 0x100000, PAGE));
	EXPECT_RC(-EINVAL, export(c.fd, 2, 0, 0x100000 + PAGE));
	EXPECT_RC(-EOVERFLOW, export(c.fd, 2, -PAGE, PAGE));
	cdev_end(&c);
}

/* One device writes into the other's memory, by a descriptor of that. */
TEST_BOTH(an_exported_bar_can_be_mapped)
{
	struct cdev c = cdev_begin();
	uint32_t ioas = new_ioas();
	int second, buf;

	pci_rig_add(0, NULL);
	second = vopen_ok(CDEV1);
	ASSERT_OK(bind_to(second, c.context));
	ASSERT_OK(attach_to(second, ioas));
	set_master(second);
	set_reg32(second, BAR2, 0xfeedf00d);
	buf = (int)export(c.fd, 2, 0x8000, 2 * PAGE);
	ASSERT_TRUE(buf >= 0);
	EXPECT_RC(-EINVAL, map_file_at(ioas, buf, 0, 4 * PAGE, 0x100000));
	ASSERT_OK(map_file_at(ioas, buf, PAGE, PAGE, 0x100000));
	EXPECT_EQ(EDU_DMA_OK, edu_move(second, EDU_OP_WRITE, 0x100000, 4));
	EXPECT_EQ(0xfeedf00d, reg32(c.fd, BAR2 + 0x9000));
	/* Without memory decoding it is gone, for good. */
	set_cfg16(c.fd, PCI_COMMAND, 0);
	EXPECT_EQ(EDU_FAULTED, edu_move(second, EDU_OP_WRITE, 0x100000, 4));
	ASSERT_OK(unmap(ioas, 0x100000, PAGE));
	EXPECT_RC(-ENODEV, map_file_at(ioas, buf, 0, PAGE, 0x100000));
	set_cfg16(c.fd, PCI_COMMAND, PCI_COMMAND_MEMORY);
	ASSERT_OK(map_file_at(ioas, buf, 0, PAGE, 0x100000));
	EXPECT_EQ(EDU_DMA_OK, edu_move(second, EDU_OP_WRITE, 0x100000, 4));
	/* So it is after a reset, and in low power. */
	ASSERT_OK(vcall(c.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(EDU_FAULTED, edu_move(second, EDU_OP_WRITE, 0x100000, 4));
	ASSERT_OK(unmap(ioas, 0x100000, PAGE));
	ASSERT_OK(map_file_at(ioas, buf, 0, PAGE, 0x100000));
	ASSERT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET));
	EXPECT_EQ(EDU_FAULTED, edu_move(second, EDU_OP_WRITE, 0x100000, 4));
	ASSERT_OK(plain(c.fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | SET));
	ASSERT_OK(unmap(ioas, 0x100000, PAGE));
	ASSERT_OK(map_file_at(ioas, buf, 0, PAGE, 0x100000));
	EXPECT_EQ(EDU_DMA_OK, edu_move(second, EDU_OP_WRITE, 0x100000, 4));
	vclose(c.fd);
	EXPECT_EQ(EDU_FAULTED, edu_move(second, EDU_OP_WRITE, 0x100000, 4));
	ASSERT_OK(unmap(ioas, 0x100000, PAGE));
	EXPECT_RC(-ENODEV, map_file_at(ioas, buf, 0, PAGE, 0x100000));
	vclose(buf);
	vclose(second);
	vclose(c.context);
	pci_rig_end();
}

TEST(exports_that_were_closed_cost_nothing)
{
	struct cdev c = cdev_begin();
	size_t before = 0, i;
	long buf;

	for (i = 0; i < 100; i++) {
		buf = export(c.fd, 2, 0, PAGE);
		ASSERT_TRUE(buf >= 0);
		vclose((int)buf);
		if (i == 10)
			before = fixture_blocks();
	}
	EXPECT_EQ(before, fixture_blocks());
	cdev_end(&c);
}
