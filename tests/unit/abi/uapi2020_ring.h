/* SPDX-License-Identifier: MIT */
/*
 * The fault and response regions of a device in a nesting container, as a program uses them:
 * found by their types, mapped, and driven by reads and writes of the headers. Beside the
 * functions of the edu device there are ports of the same devices, which ask for pages at
 * the test's will.
 */
#ifndef UNIT_UAPI2020_RING_H
#define UNIT_UAPI2020_RING_H

#include <poll.h>
#include <sys/eventfd.h>

#include "nesting_rig.h"
#include "uapi2020_response.h"

#define ENTRIES 512u

#define YES IOMMUFD_PAGE_RESP_SUCCESS
#define NO  IOMMUFD_PAGE_RESP_INVALID
#define RD  SIOMMU_DMA_READ
#define WR  SIOMMU_DMA_WRITE

/**
 * struct ring - what a program has of a device's faults
 * @fd: the device
 * @faults: offset of the fault region in the device's file
 * @responses: offset of the response region
 * @irq: index of the interrupt
 * @event: eventfd that it leads to
 * @records: the fault ring
 * @answers: the response ring
 * @tail: the next record to be read
 * @head: the next response to be written
 */
struct ring {
	int fd;
	uint64_t faults;
	uint64_t responses;
	uint32_t irq;
	int event;
	struct iommu_fault *records;
	struct iommu_page_response *answers;
	uint32_t tail;
	uint32_t head;
};

#define RECORDS_BYTES (ENTRIES * sizeof(struct iommu_fault))
#define ANSWERS_BYTES (ENTRIES * sizeof(struct iommu_page_response))

/* A capability of a region, or NULL; good until the next is looked for. */
static inline void *region_cap(int device, uint32_t index, uint16_t id,
			       struct vfio_region_info *info)
{
	static uint64_t room[32];
	struct vfio_region_info *head = (void *)room;
	struct vfio_info_cap_header *cap;
	uint32_t at;

	memset(room, 0, sizeof(room));
	head->argsz = sizeof(room);
	head->index = index;
	ASSERT_OK(vcall(device, VFIO_DEVICE_GET_REGION_INFO, head));
	*info = *head;
	for (at = head->flags & VFIO_REGION_INFO_FLAG_CAPS ? head->cap_offset : 0; at;
	     at = cap->next) {
		ASSERT_TRUE(!(at % 8) && at < sizeof(room));
		cap = (void *)((uint8_t *)room + at);
		if (cap->id == id)
			return cap;
	}
	return NULL;
}

static inline struct vfio_device_info device_get_info(int device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	ASSERT_OK(vcall(device, VFIO_DEVICE_GET_INFO, &info));
	return info;
}

/* The region of a type, as a program looks for it. Return: its index; 0 for none. */
static inline uint32_t find_region(int device, uint32_t subtype, struct vfio_region_info *info)
{
	const uint32_t n = device_get_info(device).num_regions;
	struct vfio_region_info_cap_type *cap;
	uint32_t i;

	memset(info, 0, sizeof(*info));
	for (i = VFIO_PCI_NUM_REGIONS; i < n; i++) {
		cap = region_cap(device, i, VFIO_REGION_INFO_CAP_TYPE, info);
		if (cap && cap->type == VFIO_REGION_TYPE_NESTED && cap->subtype == subtype)
			return i;
	}
	return 0;
}

struct irq_info {
	struct siommu_vfio_irq_info info;
	struct vfio_irq_info_cap_type cap;
};

static inline uint32_t find_irq(int device)
{
	const uint32_t n = device_get_info(device).num_irqs;
	struct irq_info irq;
	uint32_t i;

	for (i = VFIO_PCI_NUM_IRQS; i < n; i++) {
		memset(&irq, 0, sizeof(irq));
		irq.info.argsz = sizeof(irq);
		irq.info.index = i;
		ASSERT_OK(vcall(device, VFIO_DEVICE_GET_IRQ_INFO, &irq));
		if (irq.info.flags & VFIO_IRQ_INFO_FLAG_CAPS && irq.info.cap_offset == 20 &&
		    irq.cap.header.id == VFIO_IRQ_INFO_CAP_TYPE &&
		    irq.cap.type == VFIO_IRQ_TYPE_NESTED &&
		    irq.cap.subtype == VFIO_IRQ_SUBTYPE_DMA_FAULT)
			return i;
	}
	return 0;
}

static inline long set_irq(int device, uint32_t index, uint32_t flags, uint32_t count, int32_t data)
{
	struct {
		uint32_t argsz, flags, index, start, count;
		int32_t data;
	} set = { sizeof(set), flags, index, 0, count, data };

	return vcall(device, VFIO_DEVICE_SET_IRQS, &set);
}

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

static inline struct ring ring_open(int device)
{
	struct ring r = { .fd = device };
	struct vfio_region_info info;

	ASSERT_TRUE(find_region(device, VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT, &info));
	r.faults = info.offset;
	ASSERT_TRUE(find_region(device, VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT_RESPONSE, &info));
	r.responses = info.offset;
	ASSERT_OK(siommu_vfio_mmap(machine, device, RECORDS_BYTES, PROT_READ | PROT_WRITE,
				   r.faults + PAGE, (void **)&r.records));
	ASSERT_OK(siommu_vfio_mmap(machine, device, ANSWERS_BYTES, PROT_READ | PROT_WRITE,
				   r.responses + PAGE, (void **)&r.answers));
	r.irq = find_irq(device);
	ASSERT_TRUE(r.irq);
	r.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_TRUE(r.event >= 0);
	ASSERT_OK(set_irq(device, r.irq, VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER, 1, r.event));
	return r;
}

static inline void ring_close(struct ring *r)
{
	munmap(r->records, RECORDS_BYTES);
	munmap(r->answers, ANSWERS_BYTES);
	close(r->event);
}

static inline struct vfio_region_dma_fault fault_header(const struct ring *r)
{
	struct vfio_region_dma_fault header = { 0 };

	ASSERT_EQ(sizeof(header),
		  siommu_vfio_read(machine, r->fd, &header, sizeof(header), r->faults));
	return header;
}

static inline struct vfio_region_dma_fault_response response_header(const struct ring *r)
{
	struct vfio_region_dma_fault_response header = { 0 };

	ASSERT_EQ(sizeof(header),
		  siommu_vfio_read(machine, r->fd, &header, sizeof(header), r->responses));
	return header;
}

static inline ssize_t write_index(const struct ring *r, uint64_t region, uint32_t value)
{
	return siommu_vfio_write(machine, r->fd, &value, sizeof(value), region);
}

static inline uint64_t ring_events(const struct ring *r)
{
	uint64_t count = 0;

	return read(r->event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static inline uint32_t waiting(const struct ring *r)
{
	return (fault_header(r).head + ENTRIES - r->tail) % ENTRIES;
}

/* The next record, once there is one. */
static inline struct iommu_fault next_record(struct ring *r)
{
	struct pollfd p = { .fd = r->event, .events = POLLIN };
	struct iommu_fault fault;
	unsigned int tries = 0;

	while (!waiting(r) && tries++ < 3000) {
		(void)poll(&p, 1, 10);
		(void)ring_events(r);
	}
	ASSERT_TRUE(waiting(r));
	fault = r->records[r->tail];
	r->tail = (r->tail + 1) % ENTRIES;
	ASSERT_EQ(4, write_index(r, r->faults, r->tail));
	return fault;
}

/* Put one more into the ring, without saying so. */
static inline void put_answer(struct ring *r, struct iommu_page_response answer)
{
	r->answers[r->head] = answer;
	r->head = (r->head + 1) % ENTRIES;
}

static inline void give_answer(struct ring *r, struct iommu_page_response answer)
{
	put_answer(r, answer);
	ASSERT_EQ(4, write_index(r, r->responses, r->head));
	EXPECT_EQ(r->head, response_header(r).tail);
}

static inline void answer(struct ring *r, const struct iommu_fault *fault, uint32_t code)
{
	give_answer(r, response_to(fault, code));
}

/*
 * Ports
 */

#define MAX_TOLD 64

/* How a port's groups were answered, in order. */
struct told {
	_Atomic unsigned int n;
	_Atomic uint32_t group[MAX_TOLD];
	_Atomic uint32_t code[MAX_TOLD];
};

static inline void tell(void *arg, uint32_t group, uint32_t code)
{
	struct told *t = arg;
	unsigned int n = atomic_load(&t->n) % MAX_TOLD;

	atomic_store(&t->group[n], group);
	atomic_store(&t->code[n], code);
	atomic_fetch_add(&t->n, 1);
}

static const struct siommu_port_ops told_ops = { .page_response = tell };

static inline struct siommu_port *ring_port(unsigned int device, uint32_t pasid, struct told *told)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = SIOMMU_PORT_PASID,
		.pasid = pasid,
		.ops = &told_ops,
		.arg = told,
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(pci_rig.dev[device], &params, &port));
	return port;
}

static inline int ask(struct siommu_port *port, uint32_t group, uint64_t iova)
{
	const struct siommu_page_request request = {
		.iova = iova, .group = group, .access = RD, .last = true
	};

	return siommu_dma_page_request(port, &request);
}

static inline void expect_told(const struct told *t, unsigned int n, uint32_t group, uint32_t code)
{
	ASSERT_EQ(n, atomic_load(&t->n));
	EXPECT_EQ(group, t->group[(n - 1) % MAX_TOLD]);
	EXPECT_EQ(code, t->code[(n - 1) % MAX_TOLD]);
}

static inline uint32_t own_pasid(const struct guest *g)
{
	long pasid = pasid_alloc(g->vfio.container, 1, 1000);

	ASSERT_TRUE(pasid > 0);
	return (uint32_t)pasid;
}

#endif
