// SPDX-License-Identifier: MIT
/*
 * An ordinary client of /dev/iommu: it knows the kernel's ABI and open, ioctl
 * and close, and runs on a kernel with CONFIG_IOMMUFD_TEST as it does here.
 *
 * It makes an address space, maps memory and a file, gives a device a page
 * table, copies a mapping to a second address space, and asks which pages the
 * device wrote.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/iommufd-test.h>

#define MIB (1ul << 20)

static int iommu;

static void call(unsigned long request, void *cmd, const char *what)
{
	if (ioctl(iommu, request, cmd) < 0)
		err(1, "%s", what);
	printf("  %s\n", what);
}

static __u32 make_ioas(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	call(IOMMU_IOAS_ALLOC, &cmd, "IOAS_ALLOC: an empty address space");
	return cmd.out_ioas_id;
}

/* A device of the test interface, attached to @ioas; returns its page table. */
static __u32 attach_device(__u32 ioas, __u32 *dev)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = ioas,
	};

	call(IOMMU_TEST_CMD, &cmd, "MOCK_DOMAIN: a device, with a page table for the space");
	*dev = cmd.mock_domain.out_idev_id;
	return cmd.mock_domain.out_hwpt_id;
}

int main(void)
{
	const __u32 rw = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	int memfd = memfd_create("guest memory", 0);
	__u32 ioas, other, dev;
	void *buffer;

	iommu = open("/dev/iommu", O_RDWR);
	if (iommu < 0)
		err(1, "/dev/iommu");
	buffer = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED || memfd < 0 || ftruncate(memfd, 64 * MIB))
		err(1, "memory");

	ioas = make_ioas();
	other = make_ioas();
	attach_device(ioas, &dev);

	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = rw | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas,
		.user_va = (__u64)buffer,
		.length = 4 * MIB,
		.iova = 16 * MIB,
	};
	call(IOMMU_IOAS_MAP, &map, "IOAS_MAP: 4 MiB of this program's memory at 16 MiB");

	struct iommu_ioas_map_file file = {
		.size = sizeof(file),
		.flags = rw,
		.ioas_id = ioas,
		.fd = memfd,
		.length = 64 * MIB,
	};
	call(IOMMU_IOAS_MAP_FILE, &file, "IOAS_MAP_FILE: 64 MiB of a memfd, wherever there is room");

	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = other,
		.src_ioas_id = ioas,
		.src_iova = map.iova + MIB,
		.length = MIB,
	};
	call(IOMMU_IOAS_COPY, &copy, "IOAS_COPY: one MiB of it, read-only, in the other space");

	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = dev,
		.pt_id = ioas,
	};
	call(IOMMU_HWPT_ALLOC, &hwpt, "HWPT_ALLOC: a page table of its own, to nest a guest's on");

	struct iommu_hwpt_set_dirty_tracking dirty = {
		.size = sizeof(dirty),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
		.hwpt_id = hwpt.out_hwpt_id,
	};
	call(IOMMU_HWPT_SET_DIRTY_TRACKING, &dirty, "HWPT_SET_DIRTY_TRACKING: on");
	close(iommu);
	return 0;
}
