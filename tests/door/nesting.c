// SPDX-License-Identifier: MIT
/*
 * A program of 2020 under the server: a machine monitor that lets a guest's IOMMU use the
 * host's, by nothing but the ioctls, regions and eventfds of that time. The guest is played
 * as well: its tables are in the program's own memory.
 *
 * There are two functions behind a VT-d, in groups 0 and 1, and one behind an SMMUv3.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include <linux/pci_regs.h>

#include <softiommu/abi/iommu-2020.h>

#include "devices.h"

#define EDU_STATUS  0x0c
#define EDU_RESULT  0x10
#define EDU_PASID   0x70
#define EDU_COMMAND 0x7c
#define FILL	    4
#define WITH_PASID  (1u << 8)
#define WITH_PRI    (1u << 9)
#define OK	    0
#define FAULT	    6
#define NO_PAGE	    7

#define PAGE  UINT64_C(4096)
#define BYTES (64 * PAGE)

/* Guest physical addresses of the first table, and of the next page that is free for one. */
#define ROOT (16 * PAGE)

/* Entries: VT-d's and Arm's. */
#define FS	 7
#define S1_TABLE 3
#define S1_PAGE	 0x443

#define VTD	"/dev/vfio/0"
#define VTD_TOO "/dev/vfio/1"
#define ARM	"/dev/vfio/2"

struct vm {
	int container;
	int group;
	int device;
	uint8_t *ram;
	uint64_t next;
};

static const char *address_of(const char *group)
{
	return !strcmp(group, VTD)	 ? "0000:00:02.0"
	       : !strcmp(group, VTD_TOO) ? "0000:00:03.0"
					 : "0000:00:04.0";
}

static void poke(int device, unsigned int index, unsigned int offset, uint64_t value,
		 unsigned int bytes)
{
	struct vfio_region_info info = region(device, index);

	CHECK(pwrite(device, &value, bytes, (off_t)(info.offset + offset)) == (ssize_t)bytes);
}

static void map_ram(struct vm *vm, int flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.size = BYTES,
	};

	vm->ram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	CHECK(vm->ram != MAP_FAILED);
	map.vaddr = (uintptr_t)vm->ram;
	vm->next = ROOT + PAGE;
	CHECK(!ioctl(vm->container, VFIO_IOMMU_MAP_DMA, &map));
}

static struct vm vm_open(const char *group, int flags)
{
	struct vm vm = { .container = open_path("/dev/vfio/vfio"), .group = open_path(group) };

	CHECK(ioctl(vm.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_NESTING_IOMMU) == 1);
	CHECK(!ioctl(vm.group, VFIO_GROUP_SET_CONTAINER, &vm.container));
	CHECK(!ioctl(vm.container, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU));
	vm.device = ioctl(vm.group, VFIO_GROUP_GET_DEVICE_FD, address_of(group));
	CHECK(vm.device >= 0);
	poke(vm.device, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND,
	     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	map_ram(&vm, flags);
	return vm;
}

static void vm_close(const struct vm *vm)
{
	CHECK(!close(vm->device) && !close(vm->group) && !close(vm->container));
	CHECK(!munmap(vm->ram, BYTES));
}

/* The guest maps @va to @gpa in its tables of four levels, which begin at ROOT. */
static void guest_map(struct vm *vm, uint64_t va, uint64_t gpa, uint64_t table, uint64_t page)
{
	uint64_t at = ROOT, *entry;
	unsigned int level;

	for (level = 3;; level--) {
		entry = (uint64_t *)(vm->ram + at + (va >> (12 + 9 * level) & 511) * 8);
		if (!level)
			break;
		if (!*entry) {
			*entry = vm->next | table;
			vm->next += PAGE;
		}
		at = *entry & 0xffffffffff000;
	}
	*entry = gpa | page;
}

static void start(const struct vm *vm, uint32_t flags, uint32_t pasid, uint64_t va, uint64_t value)
{
	poke(vm->device, 0, EDU_PASID, pasid, 4);
	poke(vm->device, 0, EDU_OPERAND, value, 8);
	poke(vm->device, 0, EDU_ADDR, va, 8);
	poke(vm->device, 0, EDU_LENGTH, 8, 8);
	poke(vm->device, 0, EDU_COMMAND, FILL | flags, 4);
}

static uint32_t finish(const struct vm *vm)
{
	while (peek(vm->device, EDU_STATUS) & 1)
		usleep(100);
	return (uint32_t)peek(vm->device, EDU_RESULT);
}

/* The device writes a word. */
static uint32_t dma(const struct vm *vm, uint32_t pasid, uint64_t va, uint64_t value)
{
	start(vm, pasid ? WITH_PASID : 0, pasid, va, value);
	return finish(vm);
}

static uint64_t word(const struct vm *vm, uint64_t gpa)
{
	return *(volatile uint64_t *)(vm->ram + gpa);
}

/*
 * What the monitor asks of the host
 */

static struct iommu_nesting_info nesting_info(int container)
{
	uint64_t room[64] = { 0 };
	struct vfio_iommu_type1_info *info = (void *)room;
	struct vfio_info_cap_header *cap;
	uint32_t at;

	info->argsz = sizeof(room);
	CHECK(!ioctl(container, VFIO_IOMMU_GET_INFO, info));
	CHECK(info->flags & VFIO_IOMMU_INFO_CAPS);
	for (at = info->cap_offset; at; at = cap->next) {
		cap = (void *)((uint8_t *)room + at);
		if (cap->id == VFIO_IOMMU_TYPE1_INFO_CAP_NESTING)
			return ((struct vfio_iommu_type1_info_cap_nesting *)cap)->info;
	}
	CHECK(!"a capability");
	return (struct iommu_nesting_info){ 0 };
}

static int pasid_request(int container, uint32_t flags, uint32_t min, uint32_t max)
{
	struct vfio_iommu_type1_pasid_request cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.range = { min, max },
	};

	return ioctl(container, VFIO_IOMMU_PASID_REQUEST, &cmd);
}

static int pasid_alloc(int container, uint32_t min, uint32_t max)
{
	return pasid_request(container, VFIO_IOMMU_FLAG_ALLOC_PASID, min, max);
}

struct carried {
	uint32_t argsz;
	uint32_t flags;
	union {
		struct iommu_gpasid_bind_data bind;
		struct iommu_cache_invalidate_info inv;
	} data;
};

static int pgtbl(int container, uint32_t op, uint32_t hpasid, uint32_t gpasid)
{
	struct carried cmd = {
		.argsz = 8 + sizeof(cmd.data.bind),
		.flags = op,
		.data.bind = {
			.argsz = sizeof(cmd.data.bind),
			.version = IOMMU_GPASID_BIND_VERSION_1,
			.format = IOMMU_PASID_FORMAT_INTEL_VTD,
			.addr_width = 48,
			.flags = gpasid ? IOMMU_SVA_GPASID_VAL : 0,
			.gpgd = ROOT,
			.hpasid = hpasid,
			.gpasid = gpasid,
		},
	};

	return ioctl(container, VFIO_IOMMU_NESTING_OP, &cmd);
}

static int bind_table(int container, uint32_t hpasid, uint32_t gpasid)
{
	return pgtbl(container, VFIO_IOMMU_NESTING_OP_BIND_PGTBL, hpasid, gpasid);
}

static int unbind_table(int container, uint32_t hpasid)
{
	return pgtbl(container, VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL, hpasid, 0);
}

/* A page; NESTING_OP and CACHE_INVALIDATE are one number, and differ in @op. */
static int invalidate(int container, uint32_t op, uint32_t flags, uint32_t id, uint64_t va)
{
	struct carried cmd = {
		.argsz = 8 + sizeof(cmd.data.inv),
		.flags = op,
		.data.inv = {
			.argsz = sizeof(cmd.data.inv),
			.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
			.cache = IOMMU_CACHE_INV_TYPE_IOTLB,
			.granularity = IOMMU_INV_GRANU_ADDR,
			.granu.addr_info = {
				.flags = flags,
				.archid = id,
				.pasid = id,
				.addr = va,
				.granule_size = PAGE,
				.nb_granules = 1,
			},
		},
	};

	return ioctl(container, VFIO_IOMMU_NESTING_OP, &cmd);
}

static int forget(int container, uint32_t pasid, uint64_t va)
{
	return invalidate(container, VFIO_IOMMU_NESTING_OP_CACHE_INVLD, IOMMU_INV_ADDR_FLAGS_PASID,
			  pasid, va);
}

/*
 * Faults
 */

struct faults {
	const struct vm *vm;
	off_t records_at;
	off_t responses_at;
	const struct iommu_fault *records;
	struct iommu_page_response *responses;
	int event;
};

/* A region of this type, and its ring behind the first page. */
static void *map_ring(int device, uint32_t subtype, off_t *at)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint64_t room[32];
	struct vfio_region_info *r = (void *)room;
	struct vfio_region_info_cap_type *type;
	void *p;

	CHECK(!ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	for (uint32_t i = VFIO_PCI_NUM_REGIONS; i < info.num_regions; i++) {
		memset(room, 0, sizeof(room));
		r->argsz = sizeof(room);
		r->index = i;
		CHECK(!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, r));
		CHECK(r->flags & VFIO_REGION_INFO_FLAG_CAPS);
		type = (void *)((uint8_t *)room + r->cap_offset);
		CHECK(type->header.id == VFIO_REGION_INFO_CAP_TYPE);
		if (type->type != VFIO_REGION_TYPE_NESTED || type->subtype != subtype)
			continue;
		*at = (off_t)r->offset;
		CHECK(mmap(NULL, r->size, PROT_READ, MAP_SHARED, device, *at) == MAP_FAILED);
		p = mmap(NULL, r->size - PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device,
			 *at + (off_t)PAGE);
		CHECK(p != MAP_FAILED);
		return p;
	}
	CHECK(!"a region");
	return NULL;
}

static void set_event(int device, int event)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct {
		struct siommu_vfio_irq_info info;
		struct vfio_irq_info_cap_type cap;
	} irq;
	struct {
		uint32_t argsz, flags, index, start, count;
		int32_t fd;
	} set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.count = 1,
		.fd = event,
	};

	CHECK(!ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	for (set.index = VFIO_PCI_NUM_IRQS; set.index < info.num_irqs; set.index++) {
		memset(&irq, 0, sizeof(irq));
		irq.info.argsz = sizeof(irq);
		irq.info.index = set.index;
		CHECK(!ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &irq));
		CHECK(irq.info.cap_offset == sizeof(irq.info));
		if (irq.cap.type == VFIO_IRQ_TYPE_NESTED &&
		    irq.cap.subtype == VFIO_IRQ_SUBTYPE_DMA_FAULT) {
			CHECK(!ioctl(device, VFIO_DEVICE_SET_IRQS, &set));
			return;
		}
	}
	CHECK(!"an interrupt");
}

static struct faults faults_of(const struct vm *vm)
{
	struct faults f = { .vm = vm, .event = eventfd(0, EFD_CLOEXEC) };

	f.records = map_ring(vm->device, VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT, &f.records_at);
	f.responses = map_ring(vm->device, VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT_RESPONSE,
			       &f.responses_at);
	set_event(vm->device, f.event);
	return f;
}

/* Wait for a record, and say that it was read. */
static struct iommu_fault next_fault(const struct faults *f)
{
	struct pollfd poll_for = { .fd = f->event, .events = POLLIN };
	struct vfio_region_dma_fault header;
	struct iommu_fault fault;
	uint64_t count;

	CHECK(poll(&poll_for, 1, 10000) == 1);
	CHECK(read(f->event, &count, sizeof(count)) == sizeof(count) && count == 1);
	CHECK(pread(f->vm->device, &header, sizeof(header), f->records_at) == sizeof(header));
	CHECK(header.entry_size == sizeof(fault) && header.offset == PAGE);
	CHECK(header.tail != header.head);
	fault = f->records[header.tail];
	header.tail = (header.tail + 1) % header.nb_entries;
	CHECK(pwrite(f->vm->device, &header.tail, 4, f->records_at) == 4);
	return fault;
}

static void respond(const struct faults *f, const struct iommu_fault *fault, uint32_t code)
{
	const struct iommu_fault_page_request *prm = &fault->prm;
	struct vfio_region_dma_fault_response header;

	CHECK(pread(f->vm->device, &header, sizeof(header), f->responses_at) == sizeof(header));
	f->responses[header.head] = (struct iommu_page_response){
		.argsz = sizeof(struct iommu_page_response),
		.version = IOMMU_PAGE_RESP_VERSION_1,
		.flags = prm->flags & IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID
				 ? IOMMU_PAGE_RESP_PASID_VALID
				 : 0,
		.pasid = prm->pasid,
		.grpid = prm->grpid,
		.code = code,
	};
	header.head = (header.head + 1) % header.nb_entries;
	CHECK(pwrite(f->vm->device, &header.head, 4, f->responses_at) == 4);
	CHECK(pread(f->vm->device, &header, sizeof(header), f->responses_at) == sizeof(header));
	CHECK(header.tail == header.head);
}

/*
 * The programs
 */

/* Answers 000-02, 000-04. */
TEST(a_guests_process_is_shared_with_a_device)
{
	const uint32_t gpasid = 0x77;
	struct vm vm = vm_open(VTD, MAP_PRIVATE);
	struct iommu_nesting_info info = nesting_info(vm.container);
	struct faults faults = faults_of(&vm);
	struct iommu_fault fault;
	int pasid;

	CHECK(info.format == IOMMU_PASID_FORMAT_INTEL_VTD && info.pasid_bits == 20);
	CHECK(info.features & IOMMU_NESTING_FEAT_SYSWIDE_PASID);
	CHECK(info.features & IOMMU_NESTING_FEAT_BIND_PGTBL);
	CHECK(info.features & IOMMU_NESTING_FEAT_CACHE_INVLD);
	CHECK(info.features & IOMMU_NESTING_FEAT_PAGE_REQUEST);
	pasid = pasid_alloc(vm.container, 1, (1u << 20) - 1);
	CHECK(pasid > 0);
	guest_map(&vm, 0x400000, PAGE, FS, FS);
	CHECK(!bind_table(vm.container, (uint32_t)pasid, gpasid));
	CHECK(dma(&vm, (uint32_t)pasid, 0x400008, 0x1234) == OK && word(&vm, PAGE + 8) == 0x1234);

	/* A page that the guest's process has not touched: the device asks, the guest maps. */
	start(&vm, WITH_PASID | WITH_PRI, (uint32_t)pasid, 0x401000, 0x5678);
	fault = next_fault(&faults);
	CHECK(fault.type == IOMMU_FAULT_PAGE_REQ && fault.prm.addr == 0x401000);
	CHECK(fault.prm.flags & IOMMU_FAULT_PAGE_REQUEST_PASID_VALID && fault.prm.pasid == gpasid);
	CHECK(fault.prm.perm & IOMMU_FAULT_PERM_WRITE);
	guest_map(&vm, 0x401000, 2 * PAGE, FS, FS);
	respond(&faults, &fault, IOMMU_PAGE_RESP_SUCCESS);
	CHECK(finish(&vm) == OK && word(&vm, 2 * PAGE) == 0x5678);

	/* The guest moves the page, and says so. */
	guest_map(&vm, 0x401000, 3 * PAGE, FS, FS);
	CHECK(!forget(vm.container, (uint32_t)pasid, 0x401000));
	CHECK(dma(&vm, (uint32_t)pasid, 0x401000, 0x9abc) == OK && word(&vm, 3 * PAGE) == 0x9abc);

	/* Nothing is there, and nobody asks: refused, and told. */
	CHECK(dma(&vm, (uint32_t)pasid, 0x700000, 1) == FAULT);
	fault = next_fault(&faults);
	CHECK(fault.type == IOMMU_FAULT_DMA_UNRECOV && fault.event.addr == 0x700000);

	CHECK(!unbind_table(vm.container, (uint32_t)pasid));
	CHECK(dma(&vm, (uint32_t)pasid, 0x400008, 1) == FAULT);
	CHECK(!pasid_request(vm.container, VFIO_IOMMU_FLAG_FREE_PASID, (uint32_t)pasid,
			     (uint32_t)pasid));
	CHECK_ERRNO(EINVAL, bind_table(vm.container, (uint32_t)pasid, gpasid));
	vm_close(&vm);
}

/* The server was told to wait for a second. */
TEST(a_guest_that_does_not_answer_is_answered_for)
{
	struct vm vm = vm_open(VTD, MAP_SHARED);
	struct faults faults = faults_of(&vm);
	struct iommu_fault fault;

	CHECK(pasid_alloc(vm.container, 3, 3) == 3);
	CHECK(!bind_table(vm.container, 3, 0));
	start(&vm, WITH_PASID | WITH_PRI, 3, 0x401000, 1);
	fault = next_fault(&faults);
	CHECK(finish(&vm) == NO_PAGE);
	/* Now it comes. */
	respond(&faults, &fault, IOMMU_PAGE_RESP_SUCCESS);
	guest_map(&vm, 0x401000, PAGE, FS, FS);
	CHECK(!forget(vm.container, 3, 0x401000));
	CHECK(dma(&vm, 3, 0x401000, 7) == OK && word(&vm, PAGE) == 7);
	vm_close(&vm);
}

static struct vfio_iommu_type1_set_pasid_table table(uint32_t flags, uint8_t config, uint64_t base)
{
	return (struct vfio_iommu_type1_set_pasid_table){
		.argsz = sizeof(struct vfio_iommu_type1_set_pasid_table),
		.flags = flags,
		.config = {
			.argsz = sizeof(struct iommu_pasid_table_config),
			.version = PASID_TABLE_CFG_VERSION_1,
			.base_ptr = base,
			.format = IOMMU_PASID_FORMAT_SMMUV3,
			.pasid_bits = 2,
			.config = config,
			.vendor_data.smmuv3 = {
				.version = PASID_TABLE_SMMUV3_CFG_VERSION_1,
				.s1dss = 2, /* without a PASID: by the first descriptor */
			},
		},
	};
}

/* Answers 000-03. */
TEST(a_guests_table_of_pasids_is_the_devices)
{
	const uint64_t cds = 8 * PAGE;
	struct vm vm = vm_open(ARM, MAP_PRIVATE);
	struct iommu_nesting_info info = nesting_info(vm.container);
	struct vfio_iommu_type1_set_pasid_table cmd;
	struct vfio_iommu_type1_set_msi_binding msi = {
		.argsz = sizeof(msi),
		.flags = VFIO_IOMMU_BIND_MSI,
		.iova = 0x8020000,
		.gpa = 0x9000,
		.size = PAGE,
	};
	uint64_t *cd;

	CHECK(info.features & IOMMU_NESTING_FEAT_BIND_PASID_TABLE);
	/* Descriptors of PASIDs 0 and 2: tables of 4 KiB, 48 bits; ASIDs 1 and 2. */
	for (unsigned int i = 0; i < 2; i++) {
		cd = (uint64_t *)(vm.ram + cds + i * 2 * 64);
		cd[1] = ROOT;
		cd[3] = 0xf404ff44;
		cd[0] = 0x6205c0000010 | (uint64_t)(1 + i) << 48;
	}
	guest_map(&vm, 0x400000, PAGE, S1_TABLE, S1_PAGE);
	CHECK(dma(&vm, 0, 2 * PAGE, 1) == OK && word(&vm, 2 * PAGE) == 1);
	cmd = table(VFIO_PASID_TABLE_FLAG_SET, IOMMU_PASID_CONFIG_TRANSLATE, cds);
	CHECK(!ioctl(vm.container, VFIO_IOMMU_SET_PASID_TABLE, &cmd));
	CHECK(dma(&vm, 0, 0x400000, 0x11) == OK && word(&vm, PAGE) == 0x11);
	CHECK(dma(&vm, 2, 0x400008, 0x22) == OK && word(&vm, PAGE + 8) == 0x22);
	CHECK(dma(&vm, 1, 0x400008, 0x33) == FAULT && word(&vm, PAGE + 8) == 0x22);
	guest_map(&vm, 0x400000, 3 * PAGE, S1_TABLE, S1_PAGE);
	CHECK(!invalidate(vm.container, 0, IOMMU_INV_ADDR_FLAGS_ARCHID, 1, 0x400000));
	CHECK(!invalidate(vm.container, 0, IOMMU_INV_ADDR_FLAGS_ARCHID, 2, 0x400000));
	CHECK(dma(&vm, 0, 0x400000, 0x44) == OK && word(&vm, 3 * PAGE) == 0x44);
	CHECK(dma(&vm, 2, 0x400008, 0x55) == OK && word(&vm, 3 * PAGE + 8) == 0x55);
	CHECK(!ioctl(vm.container, VFIO_IOMMU_SET_MSI_BINDING, &msi));
	cmd = table(VFIO_PASID_TABLE_FLAG_UNSET, 0, 0);
	CHECK(!ioctl(vm.container, VFIO_IOMMU_SET_PASID_TABLE, &cmd));
	CHECK(dma(&vm, 0, 2 * PAGE, 2) == OK && word(&vm, 2 * PAGE) == 2);
	vm_close(&vm);
}

/* The server was told to give a process no more than eight. */
TEST(a_process_has_a_quota_and_others_have_theirs)
{
	struct vm vm = vm_open(VTD, MAP_PRIVATE);
	unsigned int i;
	pid_t pid;

	for (i = 1; i <= 8; i++)
		CHECK(pasid_alloc(vm.container, 1, 1000) == (int)i);
	CHECK_ERRNO(ENOSPC, pasid_alloc(vm.container, 1, 1000));
	pid = fork();
	if (!pid) {
		struct vm own = vm_open(VTD_TOO, MAP_PRIVATE);

		/* Other numbers, and of the parent's neither to bind nor to free. */
		CHECK(pasid_alloc(own.container, 1, 1000) == 9);
		CHECK_ERRNO(EINVAL, bind_table(own.container, 1, 0));
		CHECK(!pasid_request(own.container, VFIO_IOMMU_FLAG_FREE_PASID, 0, 1u << 30));
		CHECK_ERRNO(ENOSPC, pasid_alloc(own.container, 1, 8));
		_exit(0);
	}
	CHECK(!wait_for(pid));
	CHECK(!bind_table(vm.container, 1, 0));
	vm_close(&vm);
}

TEST(pasids_die_with_their_process)
{
	struct vm vm = vm_open(VTD_TOO, MAP_PRIVATE);
	unsigned int i;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		pid = fork();
		if (!pid) {
			struct vm own = vm_open(VTD, MAP_PRIVATE);

			guest_map(&own, 0x400000, PAGE, FS, FS);
			CHECK(pasid_alloc(own.container, 5, 5) == 5);
			CHECK(!bind_table(own.container, 5, 0));
			start(&own, WITH_PASID | WITH_PRI, 5, 0x800000, 1);
			raise(SIGKILL);
		}
		CHECK(wait_for(pid) == 256 + SIGKILL);
	}
	CHECK(pasid_alloc(vm.container, 5, 5) == 5);
	vm_close(&vm);
}

/* Those who share a descriptor share what it stands for, and the last one ends it. */
TEST(a_child_goes_on_with_its_parents_container)
{
	struct vm vm = vm_open(VTD, MAP_SHARED);
	int go[2];
	pid_t pid;
	char c;

	CHECK(!pipe(go));
	guest_map(&vm, 0x400000, PAGE, FS, FS);
	CHECK(pasid_alloc(vm.container, 5, 5) == 5);
	pid = fork();
	if (!pid) {
		CHECK(!close(go[1]) && read(go[0], &c, 1) == 1);
		CHECK(!bind_table(vm.container, 5, 0));
		CHECK(dma(&vm, 5, 0x400000, 0x31) == OK && word(&vm, PAGE) == 0x31);
		CHECK(pasid_alloc(vm.container, 5, 6) == 6);
		_exit(0);
	}
	CHECK(!close(vm.device) && !close(vm.group) && !close(vm.container));
	CHECK(write(go[1], "", 1) == 1);
	CHECK(!wait_for(pid));
	vm = vm_open(VTD, MAP_PRIVATE);
	CHECK(pasid_alloc(vm.container, 5, 6) == 5);
	vm_close(&vm);
}

/* Other containers do not know any of it. */
TEST(the_numbers_are_unknown_elsewhere)
{
	int container = open_path("/dev/vfio/vfio"), group = open_path(VTD), iommu = open_iommu();

	CHECK(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	CHECK_ERRNO(EINVAL, pasid_alloc(container, 1, 2));
	CHECK(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	CHECK_ERRNO(ENOTTY, pasid_alloc(container, 1, 2));
	CHECK_ERRNO(ENOTTY, bind_table(container, 1, 0));
	CHECK_ERRNO(ENOTTY, pasid_alloc(iommu, 1, 2));
	CHECK_ERRNO(ENOTTY, pasid_alloc(group, 1, 2));
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
