// SPDX-License-Identifier: MIT
/* The attributes of sysfs that are more than text. */
#include <fcntl.h>

#include "abi/file.h"
#include "pci_rig.h"

#define SYSFS  "/sys/bus/pci/devices/0000:00:02.0/"
#define SYSFS2 "/sys/devices/pci0000:00/0000:00:02.0/"
#define DRIVER "/sys/bus/pci/drivers/vfio-pci/"

/* A caller whose addresses are good. */
static int copy_in(struct siommu_task *task, void *dst, uint64_t src, size_t n)
{
	(void)task;
	memcpy(dst, (const void *)(uintptr_t)src, n);
	return 0;
}

static int copy_out(struct siommu_task *task, uint64_t dst, const void *src, size_t n)
{
	(void)task;
	memcpy((void *)(uintptr_t)dst, src, n);
	return 0;
}

static const struct siommu_task_ops task_ops = { .copy_in = copy_in, .copy_out = copy_out };
static struct siommu_task task = { .ops = &task_ops };

static int try_open(const char *path, int flags)
{
	struct mem_file *file;
	int rc = abi_open(machine, path, flags, &file);

	if (!rc)
		mem_file_put(file);
	return rc;
}

/* Write a text. Return: 0, or the error of the write. */
static ssize_t put(const char *path, const char *text)
{
	struct mem_file *file;
	ssize_t rc;

	ASSERT_OK(abi_open(machine, path, O_WRONLY, &file));
	rc = file->ops->pwrite(file, &task, addr(text), strlen(text), 0);
	mem_file_put(file);
	return rc == (ssize_t)strlen(text) ? 0 : rc;
}

static const char *get(const char *path)
{
	static char text[128];
	struct mem_file *file;
	ssize_t n;

	ASSERT_OK(abi_open(machine, path, O_RDONLY, &file));
	n = file->ops->pread(file, &task, addr(text), sizeof(text) - 1, 0);
	ASSERT_TRUE(n >= 0);
	text[n] = '\0';
	EXPECT_EQ(0, file->ops->pread(file, &task, addr(text + 100), 1, 4096));
	EXPECT_RC(-EBADF, file->ops->pwrite(file, &task, addr(text), 1, 0));
	mem_file_put(file);
	return text;
}

TEST(only_what_is_there_opens)
{
	pci_rig_begin();
	EXPECT_RC(-ENOENT, try_open(SYSFS "config", O_RDONLY));
	pci_rig_add(0, "");
	EXPECT_OK(try_open(SYSFS "config", O_RDWR));
	EXPECT_OK(try_open(SYSFS2 "config", O_RDWR));
	EXPECT_OK(try_open(SYSFS "resource0", O_RDWR));
	EXPECT_RC(-ENOENT, try_open(SYSFS "resource1", O_RDWR));
	EXPECT_RC(-ENOENT, try_open(SYSFS "resource6", O_RDWR));
	EXPECT_RC(-ENOENT, try_open(SYSFS "resource00", O_RDWR));
	EXPECT_RC(-ENOENT, try_open(SYSFS "vendor", O_RDONLY));
	EXPECT_RC(-ENOENT, try_open(SYSFS "config/x", O_RDONLY));
	EXPECT_RC(-ENOENT, try_open("/sys/bus/pci/devices/0000:00:03.0/config", O_RDONLY));
	EXPECT_RC(-ENOENT, try_open(DRIVER, O_WRONLY));
	EXPECT_RC(-EACCES, try_open(DRIVER "bind", O_RDWR));
	EXPECT_RC(-EACCES, try_open(SYSFS "reset", O_RDONLY));
	pci_rig_end();
}

TEST(a_driver_is_taken_and_given)
{
	int fd;

	pci_rig_begin();
	pci_rig_add(0, "");
	EXPECT_RC(-EBUSY, put(DRIVER "bind", "0000:00:02.0"));
	EXPECT_RC(-ENODEV, put(DRIVER "bind", "0000:00:1f.0"));
	EXPECT_RC(-ENODEV, put(DRIVER "unbind", ""));
	fd = vopen_ok("/dev/vfio/devices/vfio0");
	EXPECT_RC(-EBUSY, put(DRIVER "unbind", "0000:00:02.0"));
	vclose(fd);
	EXPECT_OK(put(DRIVER "unbind", "0000:00:02.0\n"));
	EXPECT_TRUE(vopen("/dev/vfio/devices/vfio0") < 0);
	EXPECT_RC(-ENODEV, put(DRIVER "unbind", "0000:00:02.0"));
	EXPECT_OK(put(SYSFS "driver_override", "pci-stub\n"));
	EXPECT_STR("pci-stub\n", get(SYSFS "driver_override"));
	EXPECT_RC(-ENODEV, put(DRIVER "bind", "0000:00:02.0"));
	EXPECT_OK(put(SYSFS "driver_override", "vfio-pci"));
	EXPECT_OK(put(DRIVER "bind", "0000:00:02.0"));
	EXPECT_OK(put(SYSFS "driver_override", "\n"));
	EXPECT_STR("(null)\n", get(SYSFS "driver_override"));
	EXPECT_RC(-EINVAL,
		  put(SYSFS "driver_override", "a-name-that-is-longer-than-any-driver-has"));
	fd = vopen_ok("/dev/vfio/devices/vfio0");
	vclose(fd);
	pci_rig_end();
}

TEST(ids_bring_a_driver_back)
{
	pci_rig_begin();
	pci_rig_add(0, "");
	EXPECT_RC(-EINVAL, put(DRIVER "new_id", "1234"));
	EXPECT_RC(-EEXIST, put(DRIVER "new_id", "1234 50f7"));
	EXPECT_OK(put(DRIVER "unbind", "0000:00:02.0"));
	EXPECT_OK(put(DRIVER "new_id", "1234 50f7"));
	EXPECT_RC(-EBUSY, put(DRIVER "bind", "0000:00:02.0"));
	EXPECT_RC(-ENODEV, put(DRIVER "remove_id", "1234 50f7"));
	pci_rig_end();
}

TEST(a_function_is_switched_on_and_reset)
{
	pci_rig_begin();
	pci_rig_add(0, "");
	EXPECT_RC(-EBUSY, put(SYSFS "enable", "1"));
	EXPECT_RC(-EINVAL, put(SYSFS "reset", "2"));
	EXPECT_RC(-EINVAL, put(SYSFS "reset", "now"));
	EXPECT_OK(put(SYSFS "reset", "1\n"));
	EXPECT_OK(put(DRIVER "unbind", "0000:00:02.0"));
	EXPECT_STR("0\n", get(SYSFS "enable"));
	EXPECT_RC(-EIO, put(SYSFS "enable", "0"));
	EXPECT_OK(put(SYSFS "enable", "1"));
	EXPECT_STR("1\n", get(SYSFS "enable"));
	EXPECT_OK(put(SYSFS "enable", "0"));
	EXPECT_RC(-EINVAL, put(SYSFS "enable", "-1"));
	EXPECT_RC(-ERANGE, put(SYSFS "sriov_numvfs", "70000"));
	EXPECT_RC(-ENOENT, put(SYSFS "sriov_numvfs", "1"));
	pci_rig_end();
}

TEST(a_bar_is_mapped_where_it_is_no_trap)
{
	struct mem_mapping m;
	struct mem_file *file;

	pci_rig_begin();
	pci_rig_add(0, "");
	ASSERT_OK(abi_open(machine, SYSFS "resource0", O_RDWR, &file));
	ASSERT_OK(file->ops->mmap(file, 4096, 0, 3, &m));
	EXPECT_EQ(0, m.trap_start);
	EXPECT_EQ(4096, m.trap_end);
	close(m.fd);
	/* A page is mapped as a whole. */
	ASSERT_OK(file->ops->mmap(file, 100, 0, 3, &m));
	EXPECT_EQ(4096, m.trap_end);
	close(m.fd);
	EXPECT_RC(-EINVAL, file->ops->mmap(file, 8192, 0, 3, &m));
	EXPECT_RC(-EINVAL, file->ops->mmap(file, 4096, 4096, 1, &m));
	EXPECT_RC(-EINVAL, file->ops->mmap(file, 4096, 1, 1, &m));
	EXPECT_RC(-EINVAL, file->ops->mmap(file, 0, 0, 1, &m));
	EXPECT_RC(-EINVAL, file->ops->mmap(file, UINT64_MAX, 0, 1, &m));
	EXPECT_RC(-EINVAL, file->ops->mmap(file, 4096, UINT64_MAX - 4095, 1, &m));
	mem_file_put(file);
	ASSERT_OK(abi_open(machine, SYSFS "resource2", O_RDONLY, &file));
	EXPECT_RC(-EACCES, file->ops->mmap(file, 4096, 0, 3, &m));
	ASSERT_OK(file->ops->mmap(file, 8192, 4096, 1, &m));
	EXPECT_EQ(m.trap_start, m.trap_end);
	EXPECT_EQ(4096, m.offset);
	close(m.fd);
	mem_file_put(file);
	ASSERT_OK(abi_open(machine, SYSFS "config", O_RDWR, &file));
	EXPECT_RC(-ENODEV, file->ops->mmap(file, 4096, 0, 1, &m));
	mem_file_put(file);
	pci_rig_end();
}
