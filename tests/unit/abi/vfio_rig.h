/* SPDX-License-Identifier: MIT */
/*
 * What the tests of VFIO's cdevs share: the requests of a device's descriptor as calls, on
 * functions of the edu device (pci_rig.h).
 */
#ifndef UNIT_ABI_VFIO_RIG_H
#define UNIT_ABI_VFIO_RIG_H

#include <poll.h>
#include <sys/eventfd.h>

#include "pci_rig.h"

#define EDU_INT_STATUS 0x20
#define EDU_INT_RAISE  0x24
#define EDU_INT_ACK    0x28
#define EDU_MESSAGE    0x2c
#define EDU_DMA_OK     0

#define BAR0   REGION(VFIO_PCI_BAR0_REGION_INDEX)
#define BAR2   REGION(VFIO_PCI_BAR2_REGION_INDEX)
#define CONFIG REGION(VFIO_PCI_CONFIG_REGION_INDEX)

#define CDEV0 "/dev/vfio/devices/vfio0"
#define CDEV1 "/dev/vfio/devices/vfio1"

/* A device with its context's descriptor, bound. */
struct cdev {
	int context;
	int fd;
	uint32_t id;
};

static inline long bind_sized(int fd, uint32_t argsz, uint32_t flags, int32_t iommufd, uint32_t *id)
{
	struct siommu_vfio_bind cmd = { .argsz = argsz, .flags = flags, .iommufd = iommufd };
	long rc = vcall(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (id)
		*id = cmd.out_devid;
	return rc;
}

static inline long bind_to(int fd, int iommufd)
{
	return bind_sized(fd, sizeof(struct siommu_vfio_bind), 0, iommufd, NULL);
}

static inline struct cdev cdev_open(const char *path)
{
	struct cdev c = { .fd = vopen_ok(path) };

	c.context = siommu_vfio_context(ctx);
	ASSERT_TRUE(c.context >= 0);
	ASSERT_OK(bind_sized(c.fd, 24, 0, c.context, &c.id));
	return c;
}

static inline void cdev_close(const struct cdev *c)
{
	vclose(c->fd);
	vclose(c->context);
}

/* A test with one device: pci_rig_begin() to bind, and the way back. */
static inline struct cdev cdev_begin(void)
{
	pci_rig_begin();
	pci_rig_add(0, NULL);
	return cdev_open(CDEV0);
}

static inline void cdev_end(const struct cdev *c)
{
	cdev_close(c);
	pci_rig_end();
}

static inline long attach_pt(int fd, uint32_t *pt)
{
	struct siommu_vfio_attach cmd = { .argsz = sizeof(cmd), .pt_id = *pt };
	long rc = vcall(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	*pt = cmd.pt_id;
	return rc;
}

static inline long attach_to(int fd, uint32_t pt)
{
	return attach_pt(fd, &pt);
}

static inline long detach_pt(int fd)
{
	struct siommu_vfio_detach cmd = { .argsz = sizeof(cmd) };

	return vcall(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

/* struct vfio_device_feature_dma_buf, and what follows it. */
struct dma_buf_get {
	uint32_t region_index, open_flags, flags, nr_ranges;
	struct vfio_region_dma_range ranges[2];
};

/* SET_IRQS with nothing behind the header, with bytes, with descriptors. */
struct irq_set {
	struct {
		uint32_t argsz, flags, index, start, count;
	} head;
	union {
		int32_t fds[64];
		uint8_t bools[64];
	} data;
};

static inline long set_irqs(int fd, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
			    const void *data)
{
	struct irq_set set = { .head = { 0, flags, index, start, count } };
	size_t bytes = flags & VFIO_IRQ_SET_DATA_EVENTFD ? count * sizeof(int32_t)
		       : flags & VFIO_IRQ_SET_DATA_BOOL	 ? count
							 : 0;

	set.head.argsz = (uint32_t)(sizeof(set.head) + bytes);
	if (bytes)
		memcpy(&set.data, data, bytes);
	return vcall(fd, VFIO_DEVICE_SET_IRQS, &set);
}

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI  VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR  VFIO_PCI_ERR_IRQ_INDEX
#define REQ  VFIO_PCI_REQ_IRQ_INDEX

static inline long set_eventfd(int fd, uint32_t index, uint32_t vector, int32_t event)
{
	return set_irqs(fd, EVENTFD | TRIGGER, index, vector, 1, &event);
}

static inline long irqs_off(int fd, uint32_t index)
{
	return set_irqs(fd, NONE | TRIGGER, index, 0, 0, NULL);
}

static inline int new_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_TRUE(fd >= 0);
	return fd;
}

/* How often it was signalled since the last look. */
static inline uint64_t events(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static inline uint32_t cfg32(int fd, uint64_t offset)
{
	return reg32(fd, CONFIG + offset);
}

static inline uint16_t cfg16(int fd, uint64_t offset)
{
	uint16_t value = 0;

	ASSERT_EQ(sizeof(value),
		  siommu_vfio_read(machine, fd, &value, sizeof(value), CONFIG + offset));
	return value;
}

static inline void set_cfg16(int fd, uint64_t offset, uint16_t value)
{
	ASSERT_EQ(sizeof(value),
		  siommu_vfio_write(machine, fd, &value, sizeof(value), CONFIG + offset));
}

static inline uint8_t cfg8(int fd, uint64_t offset)
{
	uint8_t value = 0;

	ASSERT_EQ(sizeof(value),
		  siommu_vfio_read(machine, fd, &value, sizeof(value), CONFIG + offset));
	return value;
}

/* Where a capability is, as a driver finds it; 0 for none. */
static inline uint32_t cap_at(int fd, uint8_t id)
{
	uint32_t at = cfg8(fd, PCI_CAPABILITY_LIST), steps;

	for (steps = 0; at && steps < 48; steps++, at = cfg8(fd, at + 1))
		if (cfg8(fd, at) == id)
			return at;
	return 0;
}

static inline uint32_t ext_cap_at(int fd, uint16_t id)
{
	uint32_t at = 0x100, steps;

	for (steps = 0; at && steps < 960; steps++) {
		uint32_t header = cfg32(fd, at);

		if (header && (header & 0xffff) == id)
			return at;
		at = header >> 20;
	}
	return 0;
}

#endif
