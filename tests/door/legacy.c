// SPDX-License-Identifier: MIT
/*
 * Groups, containers and migration as a program under the server has them: with memory of
 * its own, with children, and with its end at any moment.
 */
#include <poll.h>

#include <linux/pci_regs.h>

#include "devices.h"

#define OTHER "0000:00:03.0"

#define EDU_STATUS   0x0c
#define EDU_RESULT   0x10
#define EDU_COMMAND  0x7c
#define EDU_OP_READ  1
#define EDU_OP_WRITE 2

#define PAGE ((size_t)4096)
#define IOVA UINT64_C(0x100000)

struct legacy {
	int container;
	int group;
	int device;
};

static int group_in(int container, const char *path)
{
	int group = open_path(path);

	CHECK(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	return group;
}

static int device_of(int group, const char *name)
{
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);

	CHECK(device >= 0);
	return device;
}

static struct legacy legacy_open(unsigned long type)
{
	struct legacy l = { .container = open_path("/dev/vfio/vfio") };

	l.group = group_in(l.container, "/dev/vfio/0");
	CHECK(!ioctl(l.container, VFIO_SET_IOMMU, type));
	l.device = device_of(l.group, ADDRESS);
	return l;
}

static void legacy_close(const struct legacy *l)
{
	CHECK(!close(l->device) && !close(l->group) && !close(l->container));
}

static int map_dma(int container, const void *p, size_t bytes, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)p,
		.iova = iova,
		.size = bytes,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

static uint8_t *memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void poke(int device, unsigned int region_index, unsigned int offset, uint64_t value,
		 unsigned int bytes)
{
	struct vfio_region_info info = region(device, region_index);

	CHECK(pwrite(device, &value, bytes, (off_t)(info.offset + offset)) == (ssize_t)bytes);
}

/* Have the device read memory into its buffer, or write it from there. */
static uint32_t dma(int device, uint32_t op, uint64_t iova, uint64_t bytes)
{
	poke(device, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND,
	     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	poke(device, 0, EDU_ADDR, iova, 8);
	poke(device, 0, EDU_LENGTH, bytes, 8);
	poke(device, 0, EDU_BUFFER, 0, 8);
	poke(device, 0, EDU_COMMAND, op, 4);
	while (peek(device, EDU_STATUS) & 1)
		usleep(100);
	return (uint32_t)peek(device, EDU_RESULT);
}

TEST(a_container_reaches_private_memory)
{
	struct legacy l = legacy_open(VFIO_TYPE1v2_IOMMU);
	uint8_t *p = memory(2 * PAGE);

	memset(p, 0x5a, PAGE);
	CHECK(!map_dma(l.container, p, 2 * PAGE, IOVA));
	CHECK(!dma(l.device, EDU_OP_READ, IOVA, 64));
	CHECK(!dma(l.device, EDU_OP_WRITE, IOVA + PAGE + 8, 64));
	CHECK(!memcmp(p, p + PAGE + 8, 64) && !p[PAGE + 7] && !p[PAGE + 72]);
	CHECK(dma(l.device, EDU_OP_READ, IOVA + 2 * PAGE, 64));
	legacy_close(&l);
}

TEST(a_container_reaches_what_a_device_shows)
{
	struct legacy l = legacy_open(VFIO_TYPE1_IOMMU);
	struct vfio_region_info info = region(l.device, 2);
	uint8_t *bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, l.device,
			    (off_t)info.offset);
	volatile uint8_t *regs = map_registers(l.device);
	uint8_t *p = memory(PAGE);

	CHECK(bar != MAP_FAILED);
	memset(p, 0x77, PAGE);
	CHECK(!map_dma(l.container, p, PAGE, IOVA));
	CHECK(!map_dma(l.container, bar, info.size, 0x10000000));
	/* These are mapped for reading only, but that is the program's side. */
	CHECK(!map_dma(l.container, (const void *)regs, PAGE, 0x20000000));
	CHECK(!dma(l.device, EDU_OP_READ, IOVA, 64));
	CHECK(!dma(l.device, EDU_OP_WRITE, 0x10000000 + info.size - 64, 64));
	CHECK(bar[info.size - 64] == 0x77 && bar[info.size - 1] == 0x77 && !bar[info.size - 65]);
	CHECK(!dma(l.device, EDU_OP_READ, 0x20000000, 4));
	CHECK(*(uint32_t *)bar == EDU_ID_VALUE);
	legacy_close(&l);
}

TEST(a_context_reaches_no_bar)
{
	int iommu, dev = bound_device(&iommu);
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_region_info info = region(dev, 2);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.length = PAGE,
	};
	void *bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, (off_t)info.offset);

	CHECK(bar != MAP_FAILED && !ioctl(iommu, IOMMU_IOAS_ALLOC, &ioas));
	attach.pt_id = map.ioas_id = ioas.out_ioas_id;
	CHECK(!ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	map.user_va = (uintptr_t)bar;
	CHECK_ERRNO(EFAULT, ioctl(iommu, IOMMU_IOAS_MAP, &map));
	map.user_va = (uintptr_t)map_registers(dev);
	CHECK_ERRNO(EFAULT, ioctl(iommu, IOMMU_IOAS_MAP, &map));
}

TEST(killed_programs_leave_nothing)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < 20; i++) {
		pid = fork();
		if (!pid) {
			struct legacy l =
				legacy_open(i & 1 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU);

			CHECK(!map_dma(l.container, memory(PAGE), PAGE, IOVA));
			raise(SIGKILL);
		}
		CHECK(wait_for(pid) == 256 + SIGKILL);
	}
}

TEST(a_child_keeps_what_it_has)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct legacy l = legacy_open(VFIO_TYPE1v2_IOMMU);
	int go[2];
	pid_t pid;
	char c;

	CHECK(!pipe(go));
	pid = fork();
	if (!pid) {
		CHECK(!close(l.group) && !close(l.container) && !close(go[1]));
		CHECK(read(go[0], &c, 1) == 1);
		_exit(!!ioctl(l.device, VFIO_DEVICE_GET_INFO, &info));
	}
	legacy_close(&l);
	CHECK_ERRNO(EBUSY, open("/dev/vfio/0", O_RDWR));
	CHECK(write(go[1], "", 1) == 1);
	CHECK(!wait_for(pid));
	l = legacy_open(VFIO_TYPE1v2_IOMMU);
	legacy_close(&l);
}

static int set_state(int device, uint32_t state)
{
	/* struct vfio_device_feature, and what it ends with */
	struct {
		uint32_t argsz;
		uint32_t flags;
		struct vfio_device_feature_mig_state mig;
	} cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		.mig = { .device_state = state },
	};

	CHECK(!ioctl(device, VFIO_DEVICE_FEATURE, &cmd));
	return cmd.mig.data_fd;
}

TEST(a_state_is_moved_by_read_and_write)
{
	struct legacy l = legacy_open(VFIO_TYPE1v2_IOMMU);
	int group = group_in(l.container, "/dev/vfio/1"), other = device_of(group, OTHER);
	size_t room = 4 << 20, n = 0, at;
	uint8_t *state = memory(room);
	struct pollfd poll_fd = { .events = POLLIN };
	ssize_t got;
	int fd, copy;

	poke(l.device, 0, EDU_SCRATCH, 0xcafe1234, 4);
	fd = set_state(l.device, VFIO_DEVICE_STATE_STOP_COPY);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	copy = dup(fd);
	poll_fd.fd = fd;
	while ((got = read(n & 1 ? fd : copy, state + n, 12345)) > 0)
		n += (size_t)got;
	CHECK(!got && n > 0 && poll(&poll_fd, 1, 0) == 1);
	CHECK(set_state(l.device, VFIO_DEVICE_STATE_RUNNING) == -1);
	CHECK_ERRNO(ENODEV, read(fd, state, 1));
	CHECK(!close(fd) && !close(copy));
	fd = set_state(other, VFIO_DEVICE_STATE_RESUMING);
	for (at = 0; at < n; at += (size_t)got) {
		got = write(fd, state + at, n - at < 54321 ? n - at : 54321);
		CHECK(got > 0);
	}
	CHECK(set_state(other, VFIO_DEVICE_STATE_RUNNING) == -1);
	CHECK_ERRNO(ENODEV, write(fd, state, 1));
	CHECK((uint32_t)peek(other, EDU_SCRATCH) == 0xcafe1234);
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
