/* SPDX-License-Identifier: MIT */
/* The test device as a client finds it: opening it, binding it, its registers. */
#ifndef TESTS_DOOR_DEVICES_H
#define TESTS_DOOR_DEVICES_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <softiommu/abi/vfio.h>

#include "door.h"

/* Where run.sh puts the first one. */
#define ADDRESS "0000:00:02.0"
#define SYSFS	"/sys/bus/pci/devices/" ADDRESS
#define DRIVER	"/sys/bus/pci/drivers/vfio-pci"

/* Registers of the edu device: docs/devices/edu.md. */
#define EDU_ID	     0x00
#define EDU_ID_VALUE 0x50f70001u
#define EDU_SCRATCH  0x08
#define EDU_ADDR     0x40
#define EDU_DEST     0x48
#define EDU_LENGTH   0x50
#define EDU_BUFFER   0x58
#define EDU_OPERAND  0x60
#define EDU_BYTES    0x2000

static inline int open_path(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* Return: 0, or the errno of a write to an attribute. */
static inline int try_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = errno;
	close(fd);
	return err;
}

static inline void write_text(const char *path, const char *text)
{
	CHECK(!try_text(path, text));
}

static inline int open_device(void)
{
	return open_path("/dev/vfio/devices/vfio0");
}

static inline int bind_device(int dev, int iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };

	return ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

/* An open device that is bound: *@iommu is its context. */
static inline int bound_device(int *iommu)
{
	int dev = open_device();

	*iommu = open_iommu();
	CHECK(!bind_device(dev, *iommu));
	return dev;
}

static inline struct vfio_region_info region(int dev, uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	CHECK(!ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &info));
	return info;
}

/* The page of registers, mapped. */
static inline volatile uint8_t *map_registers(int dev)
{
	struct vfio_region_info info = region(dev, VFIO_PCI_BAR0_REGION_INDEX);
	void *p;

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, dev, (off_t)info.offset);
	CHECK(p != MAP_FAILED);
	return p;
}

/* A register by pread, whatever a mapping shows. */
static inline uint64_t peek(int dev, unsigned int offset)
{
	struct vfio_region_info info = region(dev, VFIO_PCI_BAR0_REGION_INDEX);
	uint64_t value = 0;

	CHECK(pread(dev, &value, 8, (off_t)(info.offset + offset)) == 8);
	return value;
}

#endif
