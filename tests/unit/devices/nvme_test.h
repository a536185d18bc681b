/* SPDX-License-Identifier: MIT */
/*
 * The fixture of tests of the NVMe controller: each makes what it needs with plug() or
 * start(); afterwards the controller's account must be empty.
 */
#ifndef NVME_TEST_H
#define NVME_TEST_H

#include <fcntl.h>
#include <unistd.h>

#include "unit.h"
#include "devices/nvme_rig.h"

static struct rig rig;
static bool rig_there;

static char image[64]; /* the file of image_new(), or empty */

/* A machine with a controller that is not enabled. */
static inline void plug(const char *options)
{
	ASSERT_OK(rig_machine(&rig));
	rig_there = true;
	ASSERT_OK(rig_plug(&rig, options));
}

/* One that is, and perhaps with I/O queue 1, of 64 entries without interrupts. */
static inline void start(const char *options)
{
	plug(options);
	ASSERT_OK(rig_enable(&rig));
}

static inline void start_io(const char *options)
{
	start(options);
	ASSERT_OK(rig_queue(&rig, 1, 64, -1));
}

/* A file of @bytes; "file=" and its name, and @more options. */
static inline const char *image_new(u64 bytes, const char *more)
{
	static char options[256];
	int fd;

	snprintf(image, sizeof(image), "/tmp/nvme-test-XXXXXX");
	fd = mkstemp(image);
	ASSERT_TRUE(fd >= 0);
	ASSERT_OK(ftruncate(fd, (off_t)bytes));
	close(fd);
	snprintf(options, sizeof(options), "file=%s%s", image, more);
	return options;
}

static inline void nvme_teardown(void)
{
	if (rig_there) {
		rig_end(&rig);
		EXPECT_EQ(0, atomic_load(&rig.alloc.blocks));
		EXPECT_EQ(0, atomic_load(&rig.alloc.bytes));
	}
	rig_there = false;
	if (image[0])
		unlink(image);
	image[0] = '\0';
}

__attribute__((constructor)) static void nvme_register(void)
{
	unit.teardown = nvme_teardown;
}

static inline u64 le64(const void *p, size_t offset)
{
	u64 value;

	memcpy(&value, (const char *)p + offset, sizeof(value));
	return value;
}

static inline u32 le32(const void *p, size_t offset)
{
	u32 value;

	memcpy(&value, (const char *)p + offset, sizeof(value));
	return value;
}

static inline unsigned int le16(const void *p, size_t offset)
{
	uint16_t value;

	memcpy(&value, (const char *)p + offset, sizeof(value));
	return value;
}

#endif
