// SPDX-License-Identifier: MIT
/*
 * A user-space NVMe driver that reads one block, on the kernel's ABI and nothing else:
 * /dev/iommu makes an address space for the device, the device's file in
 * /dev/vfio/devices is bound to it, its registers are mapped, and then the driver is
 * what the NVMe specification says it is (1.4; section numbers below are its).
 *
 *     softiommu run --device nvme:file=disk.img -- ./nvme-driver 0000:00:02.0 7
 *
 * On a machine with such a disk bound to vfio-pci it runs as it is:
 *
 *     ./nvme-driver 0000:01:00.0 7
 */
#include <dirent.h>
#include <endian.h>
#include <err.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>
/* What linux/iommufd.h and linux/vfio.h declare where they are new enough. */
#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/vfio.h>

#define ENTRIES 16   /* of each queue */
#define PAGE	4096 /* of the controller: CC.MPS is 0 */

/* Registers (section 3.1), and opcodes (sections 5 and 6). */
enum { CAP = 0x00, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { CREATE_SQ = 0x01, CREATE_CQ = 0x05, IDENTIFY = 0x06, READ = 0x02 };

#define CC_ENABLE   (1u | 6u << 16 | 4u << 20) /* entries of 64 and 16 bytes */
#define CC_SHUTDOWN (1u << 14)

struct command { /* section 4.2 */
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t nsid;
	uint64_t reserved, metadata, prp1, prp2;
	uint32_t cdw[6]; /* dwords 10 to 15 */
};

struct completion { /* section 4.6 */
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, id, status; /* status, bit 0: phase */
};

/* What the device and we share: the IOVA of each member is @iova and its offset. */
struct memory {
	struct command sq[2][PAGE / sizeof(struct command)];
	struct completion cq[2][PAGE / sizeof(struct completion)];
	uint8_t data[PAGE];
};

struct queue {
	unsigned int tail, head, phase;
};

static int iommu, device;
static volatile uint8_t *bar0;
static uint64_t cap, iova;
static struct memory *memory;
static struct queue queues[2] = { { .phase = 1 }, { .phase = 1 } };

#define IOVA_OF(member) (iova + offsetof(struct memory, member))

static void call(int fd, unsigned long request, void *arg, const char *what)
{
	if (ioctl(fd, request, arg) < 0)
		err(1, "%s", what);
}

/* The device's file: /sys/bus/pci/devices/ADDRESS/vfio-dev/vfioN says its name. */
static int open_device(const char *address)
{
	char path[512];
	struct dirent *entry;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	dir = opendir(path);
	if (!dir)
		err(1, "%s (is the device bound to vfio-pci?)", path);
	while ((entry = readdir(dir)) && strncmp(entry->d_name, "vfio", 4))
		;
	if (!entry)
		errx(1, "%s is empty", path);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
	closedir(dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	printf("%s is %s\n", address, path);
	return fd;
}

/* An address space with our memory in it, and the device attached to it. */
static void attach(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.length = sizeof(*memory),
	};

	call(device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "VFIO_DEVICE_BIND_IOMMUFD");
	call(iommu, IOMMU_IOAS_ALLOC, &ioas, "IOMMU_IOAS_ALLOC");
	pt.pt_id = ioas.out_ioas_id;
	call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	memory = aligned_alloc(PAGE, sizeof(*memory));
	if (!memory)
		err(1, "memory");
	memset(memory, 0, sizeof(*memory));
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)memory;
	call(iommu, IOMMU_IOAS_MAP, &map, "IOMMU_IOAS_MAP");
	iova = map.iova;
}

/* Let it do DMA, and map its registers. */
static void map_registers(void)
{
	struct vfio_region_info region = { .argsz = sizeof(region) };
	uint16_t command;
	void *at;

	region.index = VFIO_PCI_CONFIG_REGION_INDEX;
	call(device, VFIO_DEVICE_GET_REGION_INFO, &region, "configuration space");
	if (pread(device, &command, 2, (off_t)region.offset + PCI_COMMAND) != 2)
		err(1, "PCI_COMMAND");
	command |= htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (pwrite(device, &command, 2, (off_t)region.offset + PCI_COMMAND) != 2)
		err(1, "PCI_COMMAND");
	region.index = VFIO_PCI_BAR0_REGION_INDEX;
	call(device, VFIO_DEVICE_GET_REGION_INFO, &region, "BAR 0");
	at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)region.offset);
	if (at == MAP_FAILED)
		err(1, "mmap of BAR 0");
	bar0 = at;
}

static uint32_t load32(unsigned int offset)
{
	return le32toh(*(volatile uint32_t *)(bar0 + offset));
}

static void store32(unsigned int offset, uint32_t value)
{
	*(volatile uint32_t *)(bar0 + offset) = htole32(value);
}

static void store64(unsigned int offset, uint64_t value)
{
	store32(offset, (uint32_t)value);
	store32(offset + 4, (uint32_t)(value >> 32));
}

/* Wait until CSTS has @value in @mask; CAP.TO is two minutes at most. */
static void wait_status(uint32_t mask, uint32_t value)
{
	const time_t until = time(NULL) + 128;

	while ((load32(CSTS) & mask) != value) {
		if (time(NULL) > until)
			errx(1, "the controller is not ready: CSTS is %#x", load32(CSTS));
		usleep(100);
	}
}

/* Section 7.6.1: off, queues, on. */
static void enable(void)
{
	cap = load32(CAP) | (uint64_t)load32(CAP + 4) << 32;
	if (cap >> 48 & 0xf)
		errx(1, "the controller wants pages larger than 4 KiB");
	store32(CC, load32(CC) & ~1u);
	wait_status(1, 0);
	store32(AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	store64(ASQ, IOVA_OF(sq[0]));
	store64(ACQ, IOVA_OF(cq[0]));
	store32(CC, CC_ENABLE);
	wait_status(1, 1);
}

static void ring(unsigned int doorbell, uint32_t value)
{
	store32(DOORBELLS + doorbell * (4u << (cap >> 32 & 0xf)), value);
}

/* Give a command to queue @q and wait for it. Its data goes to memory->data. */
static void execute(unsigned int q, struct command cmd, const char *what)
{
	const time_t until = time(NULL) + 10;
	struct queue *queue = &queues[q];
	volatile struct completion *done = &memory->cq[q][queue->head];
	uint16_t status;

	cmd.id = htole16((uint16_t)queue->tail);
	memory->sq[q][queue->tail] = cmd;
	queue->tail = (queue->tail + 1) % ENTRIES;
	atomic_thread_fence(memory_order_seq_cst); /* the entry before the doorbell */
	ring(2 * q, queue->tail);
	while ((le16toh(done->status) & 1) != queue->phase)
		if (time(NULL) > until)
			errx(1, "%s: no answer", what);
	atomic_thread_fence(memory_order_seq_cst); /* and the phase before the data */
	status = le16toh(done->status) >> 1;
	queue->head = (queue->head + 1) % ENTRIES;
	queue->phase ^= !queue->head;
	ring(2 * q + 1, queue->head);
	if (status & 0x7ff)
		errx(1, "%s: status code type %u, status code %#x", what, status >> 8 & 7,
		     status & 0xff);
}

static void identify(uint32_t nsid, uint32_t cns, const char *what)
{
	struct command cmd = { .opcode = IDENTIFY, .nsid = htole32(nsid) };

	cmd.prp1 = htole64(IOVA_OF(data));
	cmd.cdw[0] = htole32(cns);
	execute(0, cmd, what);
}

/* Queue 1 of a kind, in memory at @at; polled, so without interrupts. */
static void create_queue(uint8_t opcode, uint64_t at, uint32_t cdw11, const char *what)
{
	struct command cmd = { .opcode = opcode, .prp1 = htole64(at) };

	cmd.cdw[0] = htole32((ENTRIES - 1) << 16 | 1);
	cmd.cdw[1] = htole32(cdw11);
	execute(0, cmd, what);
}

static void read_block(uint64_t lba)
{
	struct command cmd = { .opcode = READ, .nsid = htole32(1) };

	cmd.prp1 = htole64(IOVA_OF(data));
	cmd.cdw[0] = htole32((uint32_t)lba);
	cmd.cdw[1] = htole32((uint32_t)(lba >> 32));
	execute(1, cmd, "Read");
}

static void print_data(void)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		printf(" %02x", memory->data[i]);
	printf("  |");
	for (i = 0; i < 16; i++)
		putchar(memory->data[i] >= ' ' && memory->data[i] <= '~' ? memory->data[i] : '.');
	printf("|\n");
}

int main(int argc, char **argv)
{
	uint64_t lba = argc > 2 ? strtoull(argv[2], NULL, 0) : 0, blocks;
	unsigned int shift;

	if (argc < 2)
		errx(2, "usage: %s ADDRESS [BLOCK], as in %s 0000:00:02.0 7", argv[0], argv[0]);
	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommu < 0)
		err(1, "/dev/iommu");
	device = open_device(argv[1]);
	attach();
	map_registers();
	enable();
	identify(0, 1, "Identify Controller");
	printf("model \"%.40s\", serial number \"%.20s\"\n", memory->data + 24, memory->data + 4);
	identify(1, 0, "Identify Namespace");
	blocks = le64toh(*(uint64_t *)memory->data);
	shift = memory->data[128 + 4 * (memory->data[26] & 0xf) + 2];
	printf("namespace 1: %llu blocks of %u bytes\n", (unsigned long long)blocks, 1u << shift);
	if (lba >= blocks || shift > 12)
		errx(1, "there is no block %llu to read", (unsigned long long)lba);
	create_queue(CREATE_CQ, IOVA_OF(cq[1]), 1, "Create I/O Completion Queue");
	create_queue(CREATE_SQ, IOVA_OF(sq[1]), 1 << 16 | 1, "Create I/O Submission Queue");
	read_block(lba);
	printf("block %llu begins with\n ", (unsigned long long)lba);
	print_data();
	store32(CC, CC_ENABLE | CC_SHUTDOWN);
	wait_status(3u << 2, 2u << 2);
	return 0;
}
