// SPDX-License-Identifier: MIT
/*
 * A machine monitor with a view (softiommu/view.h) over an iommufd that it knows by ioctl,
 * read and write alone: here the server's, and it could be a kernel's. The guest is played
 * as well: its table is in the program's own memory.
 */
#include <poll.h>

#include <linux/pci_regs.h>

#include <softiommu/view.h>

#include "devices.h"

#define EDU_STATUS  0x0c
#define EDU_RESULT  0x10
#define EDU_PASID   0x70
#define EDU_COMMAND 0x7c
#define FILL	    4
#define WITH_PASID  (1u << 8)
#define WITH_PRI    (1u << 9)
#define OK	    0

#define PAGE  UINT64_C(4096)
#define BYTES (64 * PAGE)
#define ROOT  (16 * PAGE)
#define VA    UINT64_C(0x7f1234567000)

/* What the guest and the user say, and what the device does. */
#define LABEL  UINT64_C(0xd15c0)
#define COOKIE UINT64_MAX
#define VPASID 7
#define PPASID 0x12345

static struct {
	int iommu, device, faults;
	uint32_t dev_id, hwpt;
	uint8_t *ram;
	struct siommu_view *view;
} vm;

static int issue(void *arg, struct iommu_hwpt_invalidate *cmd)
{
	return ioctl(*(int *)arg, IOMMU_HWPT_INVALIDATE, cmd) ? -errno : 0;
}

static void poke(unsigned int index, unsigned int offset, uint64_t value, unsigned int bytes)
{
	struct vfio_region_info info = region(vm.device, index);

	CHECK(pwrite(vm.device, &value, bytes, (off_t)(info.offset + offset)) == (ssize_t)bytes);
}

static uint32_t hwpt_alloc(uint32_t flags, uint32_t pt, uint32_t fault, const void *data)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags | IOMMU_HWPT_ALLOC_PASID,
		.dev_id = vm.dev_id,
		.pt_id = pt,
		.data_type = data ? IOMMU_HWPT_DATA_VTD_S1 : IOMMU_HWPT_DATA_NONE,
		.data_len = data ? sizeof(struct iommu_hwpt_vtd_s1) : 0,
		.data_uptr = (uintptr_t)data,
		.fault_id = fault,
	};

	CHECK(!ioctl(vm.iommu, IOMMU_HWPT_ALLOC, &cmd));
	return cmd.out_hwpt_id;
}

static void attach(void)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pt_id = vm.hwpt,
		.pasid = PPASID,
	};

	CHECK(!ioctl(vm.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
}

static void vm_begin(void)
{
	const struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = ROOT, .addr_width = 48 };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct siommu_view_device device = { .size = sizeof(device), .label = LABEL };
	uint32_t ioas, parent;

	vm.device = open_device();
	vm.iommu = open_iommu();
	bind.iommufd = vm.iommu;
	CHECK(!ioctl(vm.device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	vm.dev_id = bind.out_devid;
	poke(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	vm.ram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(vm.ram != MAP_FAILED);
	ioas = ioas_alloc(vm.iommu);
	CHECK(!ioas_map(vm.iommu, ioas, vm.ram, BYTES, 0));
	CHECK(!ioctl(vm.iommu, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	vm.faults = (int)queue.out_fault_fd;
	parent = hwpt_alloc(IOMMU_HWPT_ALLOC_NEST_PARENT, ioas, 0, NULL);
	vm.hwpt = hwpt_alloc(IOMMU_HWPT_FAULT_ID_VALID, parent, queue.out_fault_id, &s1);

	CHECK(!siommu_view_create(NULL, &vm.view));
	device.dev_id = vm.dev_id;
	device.inv_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
	CHECK(!siommu_view_add_device(vm.view, &device));
	CHECK(!siommu_view_add_space(vm.view, vm.hwpt, COOKIE, SIOMMU_VIEW_SPACE_GUEST));
	CHECK(!siommu_view_attach_pasid(vm.view, LABEL, VPASID, PPASID, vm.hwpt));
	attach();
}

static void vm_end(void)
{
	siommu_view_destroy(vm.view);
	CHECK(!close(vm.device) && !close(vm.faults) && !close(vm.iommu));
	CHECK(!munmap(vm.ram, BYTES));
}

/* The guest maps VA in its tables of four levels, which stand one behind the other. */
static void guest_map(uint64_t gpa)
{
	unsigned int level;
	uint64_t *table;

	for (level = 0; level < 4; level++) {
		table = (uint64_t *)(vm.ram + ROOT + level * PAGE);
		table[VA >> (39 - 9 * level) & 511] =
			(level < 3 ? ROOT + (level + 1) * PAGE : gpa) | 7;
	}
}

static void start(uint32_t flags, uint64_t value)
{
	poke(0, EDU_PASID, PPASID, 4);
	poke(0, EDU_OPERAND, value, 8);
	poke(0, EDU_ADDR, VA, 8);
	poke(0, EDU_LENGTH, 8, 8);
	poke(0, EDU_COMMAND, FILL | WITH_PASID | flags, 4);
}

static uint32_t finish(void)
{
	while (peek(vm.device, EDU_STATUS) & 1)
		usleep(100);
	return (uint32_t)peek(vm.device, EDU_RESULT);
}

static uint64_t word(uint64_t gpa)
{
	return __atomic_load_n((uint64_t *)(vm.ram + gpa), __ATOMIC_ACQUIRE);
}

/* Answers 001-09, 001-11, 001-12, 001-13, 001-14. */
TEST(faults_and_invalidations_in_the_user_s_words)
{
	const struct siommu_view_inv inv = {
		.label = LABEL,
		.granularity = SIOMMU_VIEW_INV_RANGE,
		.flags = SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID,
		.vpasid = VPASID,
		.addr = VA,
		.length = 8,
	};
	struct iommu_hwpt_page_response response = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct pollfd p = { .events = POLLIN };
	struct iommu_hwpt_pgfault record;
	struct siommu_view_fault fault;

	vm_begin();
	p.fd = vm.faults;
	start(WITH_PRI, 0x1111);
	CHECK(poll(&p, 1, 10000) == 1);
	CHECK(read(vm.faults, &record, sizeof(record)) == sizeof(record));
	CHECK(record.pasid == PPASID);
	CHECK(!siommu_view_fault(vm.view, &record, &fault));
	CHECK(fault.label == LABEL && fault.space == COOKIE && fault.vpasid == VPASID);
	CHECK(fault.addr == VA);
	guest_map(PAGE);
	response.cookie = fault.cookie;
	CHECK(write(vm.faults, &response, sizeof(response)) == sizeof(response));
	CHECK(finish() == OK && word(PAGE) == 0x1111);

	guest_map(2 * PAGE);
	CHECK(!siommu_view_invalidate(vm.view, &inv, issue, &vm.iommu));
	start(0, 0x2222);
	CHECK(finish() == OK && word(2 * PAGE) == 0x2222 && word(PAGE) == 0x1111);

	/* What cannot be carried out says so: the errno is the ioctl's. */
	CHECK(siommu_view_remove_space(vm.view, COOKIE) == -EBUSY);
	siommu_view_detach_pasid(vm.view, LABEL, VPASID);
	CHECK(siommu_view_invalidate(vm.view, &inv, issue, &vm.iommu) == -ENOENT);
	CHECK(!siommu_view_add_space(vm.view, 9999, 1, SIOMMU_VIEW_SPACE_GUEST));
	CHECK(!siommu_view_attach_pasid(vm.view, LABEL, VPASID, PPASID, 9999));
	CHECK(siommu_view_invalidate(vm.view, &inv, issue, &vm.iommu) == -ENOENT);
	vm_end();
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
