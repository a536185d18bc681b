// SPDX-License-Identifier: MIT
/*
 * A machine monitor of 2020: a guest's process and a device share an address space. The
 * guest's page table is the guest's own; the monitor binds it to a PASID through VFIO, and
 * passes on when the guest has changed it. Only the ABI of that time:
 *
 *	softiommu run --iommu vtd --device edu -- ./guest-pasid-2020
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <softiommu/abi/iommu-2020.h>

#define PAGE 4096ul
#define VA   0x7f0012345000ul /* in the guest's process */
#define RW   7ul	      /* present, and writable, and for users */

/* The guest's memory, from its physical address 0 on; tables are in its pages 1 to 4. */
static _Alignas(4096) char ram[64 * PAGE];
static int container, device;

static long check(long rc, const char *what)
{
	printf("  %s%s\n", what, rc < 0 ? ": refused" : "");
	if (rc < 0)
		exit(1);
	return rc;
}

static void guest_map(unsigned long page)
{
	unsigned long *entry = NULL;

	for (unsigned int level = 4; level; level--) {
		entry = (unsigned long *)(ram + (5 - level) * PAGE) + (VA >> (3 + 9 * level) & 511);
		*entry = (6 - level) * PAGE | RW;
	}
	*entry = page | RW;
}

/* A register of the device: docs/devices/edu.md. */
static void put(unsigned int offset, unsigned long value, unsigned int bytes)
{
	if (pwrite(device, &value, bytes, offset) != (ssize_t)bytes)
		check(-1, "a register");
}

static unsigned int get(unsigned int offset)
{
	unsigned int value = ~0u;

	return pread(device, &value, 4, offset) == 4 ? value : ~0u;
}

/* The device writes a word into the guest's process, by its PASID. */
static void dma(unsigned int pasid, unsigned long word)
{
	put(0x40, VA, 8);
	put(0x50, 8, 8);
	put(0x60, word, 8);
	put(0x70, pasid, 4);
	put(0x7c, 4 | 1 << 8, 4); /* fill, with the PASID */
	while (get(0x0c) & 1)
		;
	check(get(0x10) ? -1 : 0, "the device writes there");
}

static void print_info(void)
{
	static unsigned long room[64] = { sizeof(room) };
	struct vfio_iommu_type1_info *info = (void *)room;
	struct vfio_iommu_type1_info_cap_nesting *cap;
	unsigned int at;

	check(ioctl(container, VFIO_IOMMU_GET_INFO, info), "what can the host's IOMMU do?");
	for (at = info->cap_offset; at; at = cap->header.next) {
		cap = (void *)((char *)room + at);
		if (cap->header.id == VFIO_IOMMU_TYPE1_INFO_CAP_NESTING)
			printf("    format %u, features %#x, PASIDs of %u bits\n", cap->info.format,
			       cap->info.features, cap->info.pasid_bits);
	}
}

/* VFIO's header, and the structure behind it. */
struct bind_op {
	struct {
		unsigned int argsz, flags;
	} head;
	struct iommu_gpasid_bind_data data;
};

struct forget_op {
	struct {
		unsigned int argsz, flags;
	} head;
	struct iommu_cache_invalidate_info info;
};

int main(void)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .size = sizeof(ram) };
	struct vfio_iommu_type1_pasid_request pasid = { .argsz = sizeof(pasid) };
	struct bind_op bind = { .head.argsz = sizeof(bind), .data.argsz = sizeof(bind.data) };
	struct forget_op forget = { .head.argsz = sizeof(forget),
				    .info.argsz = sizeof(forget.info) };
	int group = open("/dev/vfio/0", O_RDWR);
	short command = 6; /* memory and bus master */

	container = open("/dev/vfio/vfio", O_RDWR);
	check(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "a group in a container");
	check(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU), "that nests");
	device = (int)check(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:00:02.0"), "a device");
	check(pwrite(device, &command, 2, (7l << 40) + 4) - 2, "that is switched on");
	print_info();
	map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	map.vaddr = (unsigned long)ram;
	check(ioctl(container, VFIO_IOMMU_MAP_DMA, &map), "the guest's memory");

	/* The guest's IOMMU sees a PASID being set up: */
	pasid.flags = VFIO_IOMMU_FLAG_ALLOC_PASID;
	pasid.range.max = (1 << 20) - 1;
	bind.data.hpasid = check(ioctl(container, VFIO_IOMMU_PASID_REQUEST, &pasid), "a PASID");
	guest_map(16 * PAGE);
	bind.head.flags = VFIO_IOMMU_NESTING_OP_BIND_PGTBL;
	bind.data.version = IOMMU_GPASID_BIND_VERSION_1;
	bind.data.format = IOMMU_PASID_FORMAT_INTEL_VTD;
	bind.data.addr_width = 48;
	bind.data.gpgd = PAGE;
	check(ioctl(container, VFIO_IOMMU_NESTING_OP, &bind), "with the guest's page table");
	dma(bind.data.hpasid, 1);

	/* The guest moves the page, and then a command comes that invalidates: */
	guest_map(17 * PAGE);
	forget.head.flags = VFIO_IOMMU_NESTING_OP_CACHE_INVLD;
	forget.info.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1;
	forget.info.cache = IOMMU_CACHE_INV_TYPE_IOTLB;
	forget.info.granularity = IOMMU_INV_GRANU_PASID;
	forget.info.granu.pasid_info.flags = IOMMU_INV_PASID_FLAGS_PASID;
	forget.info.granu.pasid_info.pasid = bind.data.hpasid;
	check(ioctl(container, VFIO_IOMMU_NESTING_OP, &forget), "the page has moved");
	dma(bind.data.hpasid, 2);
	printf("page 16 has %d, page 17 has %d\n", ram[16 * PAGE], ram[17 * PAGE]);

	bind.head.flags = VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL;
	check(ioctl(container, VFIO_IOMMU_NESTING_OP, &bind), "the guest's process ends");
	pasid.flags = VFIO_IOMMU_FLAG_FREE_PASID;
	check(ioctl(container, VFIO_IOMMU_PASID_REQUEST, &pasid), "and gives its PASID back");
	return ram[16 * PAGE] == 1 && ram[17 * PAGE] == 2 ? 0 : 1;
}
