/* SPDX-License-Identifier: MIT */
/*
 * What the tests of VFIO's groups, containers and migration share: functions of the edu
 * device behind a VT-d unit, and the requests of their descriptors as calls. Descriptors
 * are opened as the test runs, trusting or checked.
 */
#ifndef UNIT_ABI_PCI_RIG_H
#define UNIT_ABI_PCI_RIG_H

#include "calls.h"

#include <linux/pci_regs.h>
#include <softiommu/abi/vfio.h>

/* What of the device is used here: docs/devices/edu.md. */
#define EDU_RESULT   0x10
#define EDU_COUNT    0x14
#define EDU_SCRATCH  0x08
#define EDU_STATUS   0x0c
#define EDU_ADDR     0x40
#define EDU_LENGTH   0x50
#define EDU_BUFFER   0x58
#define EDU_OPERAND  0x60
#define EDU_COMMAND  0x7c
#define EDU_OP_READ  1
#define EDU_OP_WRITE 2
#define EDU_FAULTED  6

#define REGION(index) ((uint64_t)(index) << 40)

#define MAX_FUNCTIONS 4

static struct {
	struct siommu_unit *unit;
	struct siommu_device *dev[MAX_FUNCTIONS];
	struct siommu_pci *pci[MAX_FUNCTIONS];
	unsigned int n;
	struct siommu_device_params able;
} pci_rig;

/*
 * Functions behind this IOMMU; they have the PASIDs, ATS and page requests of @able. A
 * machine keeps its bus, so that does not count as left behind.
 */
static inline void pci_rig_begin_with(const char *model, const char *options,
				      const struct siommu_device_params *able)
{
	const struct siommu_unit_params params = {
		.size = sizeof(params),
		.model = model,
		.options = options,
	};
	size_t before = fixture_blocks();
	int fd;

	memset(&pci_rig, 0, sizeof(pci_rig));
	pci_rig.able = *able;
	fd = siommu_vfio_open(machine, "/dev/vfio/vfio", 0);
	ASSERT_TRUE(fd >= 0);
	ASSERT_OK(siommu_vfio_close(machine, fd));
	fixture.blocks += fixture_blocks() - before;
	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &pci_rig.unit));
}

static inline void pci_rig_begin(void)
{
	static const struct siommu_device_params plain;

	pci_rig_begin_with("vtd", NULL, &plain);
}

/* A function at 0000:00:<2 + number>.0; @group 0: in a group of its own. */
static inline struct siommu_pci *pci_rig_add(uint32_t group, const char *options)
{
	const unsigned int n = pci_rig.n;
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "edu",
		.group = group,
		.unit = pci_rig.unit,
		.requester = (2 + n) << 3,
		.pasid_bits = pci_rig.able.pasid_bits,
		.ats = pci_rig.able.ats,
		.page_requests = pci_rig.able.page_requests,
		.stall = pci_rig.able.stall,
	};
	const struct siommu_pci_params params = {
		.size = sizeof(params),
		.model = "edu",
		.options = options,
	};
	char error[256] = "";
	int rc;

	ASSERT_OK(siommu_device_create(machine, &device, &pci_rig.dev[n]));
	rc = siommu_pci_create(pci_rig.dev[n], &params, error, sizeof(error), &pci_rig.pci[n]);
	if (rc)
		printf("# edu: %s\n", error);
	ASSERT_OK(rc);
	return pci_rig.pci[pci_rig.n++];
}

static inline void pci_rig_end(void)
{
	fixture_close();
	while (pci_rig.n--) {
		siommu_pci_destroy(pci_rig.pci[pci_rig.n]);
		siommu_device_destroy(pci_rig.dev[pci_rig.n]);
	}
	siommu_unit_destroy(pci_rig.unit);
}

static inline int vopen(const char *path)
{
	return siommu_vfio_open(machine, path, unit.variant);
}

static inline int vopen_ok(const char *path)
{
	int fd = vopen(path);

	ASSERT_TRUE(fd >= 0);
	return fd;
}

static inline void vclose(int fd)
{
	EXPECT_OK(siommu_vfio_close(machine, fd));
}

static inline long vcall(int fd, unsigned long request, void *arg)
{
	return siommu_vfio_ioctl(machine, fd, request, arg);
}

static inline long vcall_value(int fd, unsigned long request, unsigned long value)
{
	return vcall(fd, request, (void *)value);
}

static inline long set_container(int group, int container)
{
	int32_t fd = container;

	return vcall(group, VFIO_GROUP_SET_CONTAINER, &fd);
}

static inline long get_device(int group, const char *name)
{
	return vcall(group, VFIO_GROUP_GET_DEVICE_FD, (void *)name);
}

static inline int get_device_ok(int group, const char *name)
{
	long fd = get_device(group, name);

	if (fd < 0)
		EXPECT_OK(fd);
	ASSERT_TRUE(fd >= 0);
	return (int)fd;
}

static inline long get_status(int group, uint32_t *flags)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	long rc = vcall(group, VFIO_GROUP_GET_STATUS, &status);

	*flags = status.flags;
	return rc;
}

static inline long device_info(int device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return vcall(device, VFIO_DEVICE_GET_INFO, &info);
}

static inline long dma_map(int container, const void *va, uint64_t size, uint64_t iova,
			   uint32_t flags)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.vaddr = addr(va),
		.iova = iova,
		.size = size,
	};

	return vcall(container, VFIO_IOMMU_MAP_DMA, &cmd);
}

#define DMA_RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* Return: bytes that were unmapped, or -errno. */
static inline int64_t dma_unmap(int container, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.iova = iova,
		.size = size,
	};
	long rc = vcall(container, VFIO_IOMMU_UNMAP_DMA, &cmd);

	return rc ? rc : (int64_t)cmd.size;
}

static inline uint32_t reg32(int device, uint64_t offset)
{
	uint32_t value = 0;

	ASSERT_EQ(sizeof(value), siommu_vfio_read(machine, device, &value, sizeof(value), offset));
	return value;
}

static inline void set_reg32(int device, uint64_t offset, uint32_t value)
{
	ASSERT_EQ(sizeof(value), siommu_vfio_write(machine, device, &value, sizeof(value), offset));
}

static inline void set_reg64(int device, uint64_t offset, uint64_t value)
{
	ASSERT_EQ(sizeof(value), siommu_vfio_write(machine, device, &value, sizeof(value), offset));
}

static inline void set_master(int device)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	ASSERT_EQ(sizeof(command),
		  siommu_vfio_write(machine, device, &command, sizeof(command),
				    REGION(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND));
}

/* Have the device read memory into its buffer, or write it. Return: its result. */
static inline uint32_t edu_move(int device, uint32_t op, uint64_t iova, uint64_t length)
{
	unsigned int tries = 0;

	set_reg64(device, REGION(0) + EDU_ADDR, iova);
	set_reg64(device, REGION(0) + EDU_LENGTH, length);
	set_reg64(device, REGION(0) + EDU_BUFFER, 0);
	set_reg32(device, REGION(0) + EDU_COMMAND, op);
	while ((reg32(device, REGION(0) + EDU_STATUS) & 1) && tries++ < 10000)
		usleep(100);
	return reg32(device, REGION(0) + EDU_RESULT);
}

/* The first group in a container of type @type, as the selftests do. */
struct legacy {
	int container;
	int group;
	int device;
};

static inline struct legacy legacy_open(const char *group, const char *name, unsigned long type)
{
	struct legacy l;

	l.container = vopen_ok("/dev/vfio/vfio");
	l.group = vopen_ok(group);
	ASSERT_OK(set_container(l.group, l.container));
	ASSERT_OK(vcall_value(l.container, VFIO_SET_IOMMU, type));
	l.device = get_device_ok(l.group, name);
	return l;
}

static inline void legacy_close(struct legacy *l)
{
	vclose(l->device);
	vclose(l->group);
	vclose(l->container);
}

#endif
