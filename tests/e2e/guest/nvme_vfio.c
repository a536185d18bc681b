// SPDX-License-Identifier: MIT
/*
 * usage: nvme-vfio BDF
 *
 * Runs in the guest, with vfio-pci as the controller's driver: drives an NVMe
 * controller's admin queue through VFIO, in order to have DMA at addresses of its
 * own choice. What is mapped must be reached, with an interrupt; what is not
 * mapped, is mapped for reading only, or was mapped until a moment ago must not,
 * and the command must end with an error. Each step is a line; the first that is
 * not so ends the program with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE  4096u
#define DEPTH 16u

/* Where things are for the device. QUEUES stays mapped. */
#define IOVA_QUEUES   0x10000000u
#define IOVA_DATA     0x20000000u
#define IOVA_READONLY 0x30000000u
#define IOVA_NOTHING  0x40000000u

/* Registers: NVM Express Base Specification 1.4, section 3.1. */
#define REG_CC	 0x14
#define REG_CSTS 0x1c
#define REG_AQA	 0x24
#define REG_ASQ	 0x28
#define REG_ACQ	 0x30
#define REG_SQ0	 0x1000
#define REG_CQ0	 0x1004 /* with a doorbell stride of 0, which is checked */

/* Entries of 64 and 16 bytes, enabled. */
#define CC_ENABLED (6u << 16 | 4u << 20 | 1u)

#define PATTERN 0xa5

struct command {
	uint32_t opcode_and_id;
	uint32_t nsid;
	uint64_t unused[2];
	uint64_t prp1;
	uint64_t prp2;
	uint32_t dw10;
	uint32_t more[5];
};

struct completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t id;
	uint16_t status; /* bit 0 is the phase */
};

struct controller {
	int container;
	int device;
	uint64_t config;
	volatile uint8_t *bar;
	struct command *sq;
	volatile struct completion *cq;
	uint8_t *data;
	unsigned int tail;
	unsigned int head;
	unsigned int phase;
	int irq;
};

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list args;

	printf("vfio: FAIL ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static int must(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(errno));
	return result;
}

static uint32_t get32(struct controller *c, unsigned int reg)
{
	return *(volatile uint32_t *)(c->bar + reg);
}

static void set32(struct controller *c, unsigned int reg, uint32_t value)
{
	*(volatile uint32_t *)(c->bar + reg) = value;
}

static void *pages(unsigned int n)
{
	void *at = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("no memory");
	return at;
}

static void map(struct controller *c, void *at, uint64_t iova, unsigned int n, bool writable)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)at,
		.iova = iova,
		.size = (uint64_t)n * PAGE,
	};

	must(ioctl(c->container, VFIO_IOMMU_MAP_DMA, &map), "VFIO_IOMMU_MAP_DMA");
}

static void unmap(struct controller *c, uint64_t iova, unsigned int n)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = (uint64_t)n * PAGE,
	};

	must(ioctl(c->container, VFIO_IOMMU_UNMAP_DMA, &unmap), "VFIO_IOMMU_UNMAP_DMA");
}

static void open_device(struct controller *c, const char *bdf)
{
	char path[128], link[256] = "";
	int group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	must((int)readlink(path, link, sizeof(link) - 1), path);
	c->container = must(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio");
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = must(open(path, O_RDWR), path);
	must(ioctl(group, VFIO_GROUP_SET_CONTAINER, &c->container), "VFIO_GROUP_SET_CONTAINER");
	must(ioctl(c->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "VFIO_SET_IOMMU");
	c->device = must(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf), "VFIO_GROUP_GET_DEVICE_FD");
}

static uint64_t region(struct controller *c, unsigned int index, uint64_t *size)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	must(ioctl(c->device, VFIO_DEVICE_GET_REGION_INFO, &info), "VFIO_DEVICE_GET_REGION_INFO");
	*size = info.size;
	return info.offset;
}

static uint16_t config16(struct controller *c, unsigned int at)
{
	uint16_t value;

	if (pread(c->device, &value, 2, (off_t)(c->config + at)) != 2)
		fail("cannot read the configuration space");
	return value;
}

static void set_up_device(struct controller *c)
{
	uint64_t size, bar = region(c, VFIO_PCI_BAR0_REGION_INDEX, &size);
	uint16_t command;
	void *at;

	c->config = region(c, VFIO_PCI_CONFIG_REGION_INDEX, &size);
	must(ioctl(c->device, VFIO_DEVICE_RESET), "VFIO_DEVICE_RESET");
	command = config16(c, 4) | 6;
	if (pwrite(c->device, &command, 2, (off_t)(c->config + 4)) != 2)
		fail("cannot become bus master");
	at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, c->device, (off_t)bar);
	if (at == MAP_FAILED)
		fail("cannot map BAR 0: %s", strerror(errno));
	c->bar = at;
	if (get32(c, 4) & 0xf)
		fail("a doorbell stride that this program does not know");
}

/* The first vector, of what the controller has. */
static const char *set_up_interrupt(struct controller *c)
{
	static const struct {
		unsigned int index;
		const char *name;
	} kinds[] = { { VFIO_PCI_MSIX_IRQ_INDEX, "MSI-X" },
		      { VFIO_PCI_MSI_IRQ_INDEX, "MSI" },
		      { VFIO_PCI_INTX_IRQ_INDEX, "INTx" } };
	union {
		struct vfio_irq_set head;
		char bytes[sizeof(struct vfio_irq_set) + sizeof(int)];
	} set = {
		.head = { .argsz = sizeof(set),
			  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  .count = 1 },
	};
	unsigned int i;

	c->irq = must(eventfd(0, 0), "eventfd");
	memcpy(set.head.data, &c->irq, sizeof(int));
	for (i = 0; i < 3; i++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = kinds[i].index };

		if (ioctl(c->device, VFIO_DEVICE_GET_IRQ_INFO, &info) || !info.count)
			continue;
		set.head.index = kinds[i].index;
		must(ioctl(c->device, VFIO_DEVICE_SET_IRQS, &set), "VFIO_DEVICE_SET_IRQS");
		return kinds[i].name;
	}
	fail("no interrupts");
}

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void await_ready(struct controller *c, uint32_t ready)
{
	int left = 1000;

	while ((get32(c, REG_CSTS) & 1) != ready) {
		if (!left--)
			fail("CSTS is %#x, waited for %u", get32(c, REG_CSTS), ready);
		pause_ms(10);
	}
}

static void enable(struct controller *c)
{
	uint8_t *queues = pages(2);

	map(c, queues, IOVA_QUEUES, 2, true);
	c->sq = (void *)queues;
	c->cq = (void *)(queues + PAGE);
	c->phase = 1;
	set32(c, REG_CC, 0);
	await_ready(c, 0);
	set32(c, REG_AQA, (DEPTH - 1) << 16 | (DEPTH - 1));
	set32(c, REG_ASQ, IOVA_QUEUES);
	set32(c, REG_ASQ + 4, 0);
	set32(c, REG_ACQ, IOVA_QUEUES + PAGE);
	set32(c, REG_ACQ + 4, 0);
	set32(c, REG_CC, CC_ENABLED);
	await_ready(c, 1);
}

/* Identify Controller to @iova. Return: the status, without the phase. */
static unsigned int identify(struct controller *c, uint64_t iova)
{
	volatile struct completion *done = &c->cq[c->head];
	int left = 2000;
	unsigned int status;

	c->sq[c->tail] = (struct command){
		.opcode_and_id = 6 | c->tail << 16,
		.prp1 = iova,
		.dw10 = 1,
	};
	c->tail = (c->tail + 1) % DEPTH;
	__sync_synchronize();
	set32(c, REG_SQ0, c->tail);
	while ((done->status & 1) != c->phase) {
		if (!left--)
			fail("no completion");
		pause_ms(5);
	}
	status = done->status >> 1;
	c->head = (c->head + 1) % DEPTH;
	if (!c->head)
		c->phase ^= 1;
	set32(c, REG_CQ0, c->head);
	return status;
}

static bool untouched(const uint8_t *data)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		if (data[i] != PATTERN)
			return false;
	return true;
}

/* A transfer to @iova, where @data is, or is no more: it has to arrive. */
static void reaches(struct controller *c, uint64_t iova, uint8_t *data, const char *what)
{
	unsigned int status, vendor;

	memset(data, PATTERN, PAGE);
	status = identify(c, iova);
	vendor = data[0] | (unsigned int)data[1] << 8;
	if (status)
		fail("%s: status %#x", what, status);
	if (vendor != config16(c, 0))
		fail("%s: vendor %#x, by the configuration space %#x", what, vendor,
		     config16(c, 0));
	printf("vfio: %s: data is there\n", what);
}

/* ... and here it must not. */
static void faults(struct controller *c, uint64_t iova, uint8_t *data, const char *what)
{
	unsigned int status;

	memset(data, PATTERN, PAGE);
	status = identify(c, iova);
	if (!untouched(data))
		fail("%s: the memory was written", what);
	if (!(status & 0x7ff))
		fail("%s: the command says success", what);
	printf("vfio: %s: refused, status %#x\n", what, status & 0x7ff);
}

static void await_interrupt(struct controller *c, const char *kind)
{
	struct pollfd p = { .fd = c->irq, .events = POLLIN };

	if (poll(&p, 1, 10000) != 1)
		fail("no interrupt by %s", kind);
	printf("vfio: interrupt by %s\n", kind);
}

int main(int argc, char **argv)
{
	struct controller c = { 0 };
	const char *kind;
	uint8_t *other;

	if (argc != 2)
		fail("usage: nvme-vfio BDF");
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_device(&c, argv[1]);
	set_up_device(&c);
	kind = set_up_interrupt(&c);
	enable(&c);

	c.data = pages(1);
	other = pages(1);
	map(&c, c.data, IOVA_DATA, 1, true);
	reaches(&c, IOVA_DATA, c.data, "mapped memory");
	await_interrupt(&c, kind);
	faults(&c, IOVA_NOTHING, c.data, "nothing mapped");
	map(&c, other, IOVA_READONLY, 1, false);
	faults(&c, IOVA_READONLY, other, "memory mapped for reading");
	reaches(&c, IOVA_DATA, c.data, "mapped memory after faults");
	unmap(&c, IOVA_DATA, 1);
	faults(&c, IOVA_DATA, c.data, "memory that was unmapped");
	map(&c, other, IOVA_DATA, 1, true);
	reaches(&c, IOVA_DATA, other, "other memory at the same address");
	if (!untouched(c.data))
		fail("the memory that was there before was written");
	set32(&c, REG_CC, 0);
	await_ready(&c, 0);
	return 0;
}
