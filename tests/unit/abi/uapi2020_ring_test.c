// SPDX-License-Identifier: MIT
/*
 * Faults of a device in a nesting container, through its fault and response regions: what
 * these look like, what may be written, and that no ring, header or response that a program
 * spoils harms anything but the program.
 */
#include "uapi2020_ring.h"

#define EDU_CMD_PRI	 (1u << 9)
#define EDU_PAGE_REQUEST 9
#define EDU_NO_PAGE	 7

/* Where nothing is mapped at first, and what becomes of it. */
#define VA   0x40000000ull
#define DATA (40 * PAGE)

/* A machine of 2020 with rings. */
static struct guest g;
static struct ring r;
static uint32_t pasid;

static void begin_with(unsigned int timeout_ms)
{
	machine->prq_timeout_ms = timeout_ms;
	g = guest_vtd();
	r = ring_open(g.vfio.device);
	pasid = own_pasid(&g);
	ASSERT_OK(pgtbl_bind(g.vfio.container, pasid, ROOT));
}

/* Nobody's patience ends within a test. */
static void begin(void)
{
	begin_with(60000);
}

static void end(void)
{
	ring_close(&r);
	guest_end(&g);
}

static void edu_start(int device, uint32_t command, uint64_t va, uint64_t operand)
{
	set_reg32(device, REGION(0) + EDU_PASID_REG, pasid);
	set_reg64(device, REGION(0) + EDU_OPERAND, operand);
	set_reg64(device, REGION(0) + EDU_ADDR, va);
	set_reg64(device, REGION(0) + EDU_LENGTH, 8);
	set_reg64(device, REGION(0) + EDU_BUFFER, 0);
	set_reg32(device, REGION(0) + EDU_COMMAND, command | EDU_CMD_PASID);
}

static bool edu_busy(int device)
{
	return reg32(device, REGION(0) + EDU_STATUS) & 1;
}

static uint32_t edu_result(int device)
{
	unsigned int tries = 0;

	while (edu_busy(device) && tries++ < 100000)
		usleep(100);
	return reg32(device, REGION(0) + EDU_RESULT);
}

TEST(a_nesting_container_gives_its_devices_more)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_region_info_cap_fault *cap;
	struct vfio_region_info info;
	struct vfio_device_info device;
	uint32_t i;

	g = guest_vtd();
	device = device_get_info(g.vfio.device);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 2, device.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS + 1, device.num_irqs);
	for (i = 0; i < 2; i++) {
		const uint16_t id = i ? VFIO_REGION_INFO_CAP_DMA_FAULT_RESPONSE
				      : VFIO_REGION_INFO_CAP_DMA_FAULT;
		const uint64_t bytes = i ? 3 * PAGE : 8 * PAGE;

		EXPECT_EQ(VFIO_PCI_NUM_REGIONS + i, find_region(g.vfio.device, i + 1, &info));
		EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
			  info.flags);
		EXPECT_EQ(PAGE + bytes, info.size);
		EXPECT_EQ(REGION(VFIO_PCI_NUM_REGIONS + i), info.offset);
		cap = region_cap(g.vfio.device, VFIO_PCI_NUM_REGIONS + i, id, &info);
		ASSERT_TRUE(cap);
		EXPECT_EQ(1, cap->header.version);
		EXPECT_EQ(1, cap->version);
		sparse = region_cap(g.vfio.device, VFIO_PCI_NUM_REGIONS + i,
				    VFIO_REGION_INFO_CAP_SPARSE_MMAP, &info);
		ASSERT_TRUE(sparse && sparse->nr_areas == 1);
		EXPECT_EQ(PAGE, sparse->areas[0].offset);
		EXPECT_EQ(bytes, sparse->areas[0].size);
	}
	guest_end(&g);
}

TEST(no_other_device_has_that)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_NUM_REGIONS };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_NUM_IRQS };
	struct legacy l;
	uint32_t word;

	pci_rig_begin();
	pci_rig_add(0, NULL);
	l = legacy_open("/dev/vfio/0", NAME0, VFIO_TYPE1v2_IOMMU);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, device_get_info(l.device).num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, device_get_info(l.device).num_irqs);
	EXPECT_RC(-EINVAL, vcall(l.device, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_RC(-EINVAL, vcall(l.device, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_RC(-EINVAL,
		  set_irq(l.device, VFIO_PCI_NUM_IRQS, VFIO_IRQ_SET_DATA_NONE | TRIGGER, 0, 0));
	EXPECT_RC(-EINVAL,
		  siommu_vfio_read(machine, l.device, &word, 4, REGION(VFIO_PCI_NUM_REGIONS)));
	legacy_close(&l);
	pci_rig_end();
}

TEST(the_end_of_indices)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_NUM_REGIONS + 2 };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_NUM_IRQS + 1 };
	uint32_t word = 0;
	void *p;

	begin();
	EXPECT_RC(-EINVAL, vcall(r.fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_RC(-EINVAL, vcall(r.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_RC(-EINVAL, set_irq(r.fd, r.irq + 1, VFIO_IRQ_SET_DATA_NONE | TRIGGER, 0, 0));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, r.fd, &word, 4, REGION(11)));
	EXPECT_RC(-EINVAL, siommu_vfio_write(machine, r.fd, &word, 4, REGION(11)));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, r.fd, PAGE, PROT_READ, REGION(11), &p));
	end();
}

TEST(room_for_capabilities)
{
	union {
		struct vfio_region_info info;
		uint8_t room[256];
	} u;
	struct irq_info irq;
	uint32_t n;

	begin();
	for (n = 0; n <= 256; n++) {
		memset(&u, 0xee, sizeof(u));
		u.info.argsz = n;
		u.info.index = VFIO_PCI_NUM_REGIONS;
		if (n < sizeof(u.info)) {
			EXPECT_RC(-EINVAL, vcall(r.fd, VFIO_DEVICE_GET_REGION_INFO, &u));
			continue;
		}
		ASSERT_OK(vcall(r.fd, VFIO_DEVICE_GET_REGION_INFO, &u));
		EXPECT_TRUE(u.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
		EXPECT_EQ(n < u.info.argsz ? 0 : sizeof(u.info), u.info.cap_offset);
		/* Not beyond what there is room for. */
		if (n < 256)
			EXPECT_EQ(0xee, u.room[n]);
	}
	for (n = 0; n <= sizeof(irq); n++) {
		memset(&irq, 0xee, sizeof(irq));
		irq.info.argsz = n;
		irq.info.index = r.irq;
		if (n < 16) {
			EXPECT_RC(-EINVAL, vcall(r.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
			continue;
		}
		ASSERT_OK(vcall(r.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
		EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE | VFIO_IRQ_INFO_FLAG_CAPS,
			  irq.info.flags);
		EXPECT_EQ(1, irq.info.count);
		EXPECT_EQ(sizeof(irq), irq.info.argsz);
		if (n >= 20)
			EXPECT_EQ(n < sizeof(irq) ? 0 : 20, irq.info.cap_offset);
		if (n < sizeof(irq))
			EXPECT_EQ(0xee, ((uint8_t *)&irq)[n]);
	}
	end();
}

TEST(headers)
{
	struct vfio_region_dma_fault faults;
	struct vfio_region_dma_fault_response responses;
	uint8_t page[2 * PAGE];
	uint32_t word;

	begin();
	faults = fault_header(&r);
	EXPECT_EQ(0, faults.tail);
	EXPECT_EQ(64, faults.entry_size);
	EXPECT_EQ(512, faults.nb_entries);
	EXPECT_EQ(PAGE, faults.offset);
	EXPECT_EQ(0, faults.head);
	responses = response_header(&r);
	EXPECT_EQ(0, responses.head);
	EXPECT_EQ(24, responses.entry_size);
	EXPECT_EQ(512, responses.nb_entries);
	EXPECT_EQ(PAGE, responses.offset);
	EXPECT_EQ(0, responses.tail);
	/* Reads go anywhere in a region. */
	ASSERT_EQ(4, siommu_vfio_read(machine, r.fd, &word, 4, r.faults + 8));
	EXPECT_EQ(512, word);
	memset(page, 0xee, sizeof(page));
	r.records[0].type = 0x55aa;
	ASSERT_EQ(PAGE, siommu_vfio_read(machine, r.fd, page, PAGE, r.faults + 20));
	EXPECT_EQ(0, page[0] | page[PAGE - 21]);
	EXPECT_EQ(0xaa, page[PAGE - 20]);
	EXPECT_EQ(0x55, page[PAGE - 19]);
	ASSERT_EQ(2, siommu_vfio_read(machine, r.fd, page, 8, r.faults + 9 * PAGE - 2));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, r.fd, page, 1, r.faults + 9 * PAGE));
	EXPECT_RC(-EINVAL, siommu_vfio_read(machine, r.fd, page, 1, r.responses + 4 * PAGE));
	end();
}

TEST(what_may_be_written)
{
	const uint64_t regions[] = { REGION(9), REGION(10) };
	uint8_t bytes[64] = { 0 };
	unsigned int i;

	begin();
	for (i = 0; i < 2; i++) {
		EXPECT_RC(-EINVAL, siommu_vfio_write(machine, r.fd, bytes, 4, regions[i] + 4));
		EXPECT_RC(-EINVAL, siommu_vfio_write(machine, r.fd, bytes, 4, regions[i] + 16));
		EXPECT_RC(-EINVAL, siommu_vfio_write(machine, r.fd, bytes, 4, regions[i] + PAGE));
		EXPECT_RC(-EINVAL, siommu_vfio_write(machine, r.fd, bytes, 1, regions[i]));
		EXPECT_RC(-EINVAL, siommu_vfio_write(machine, r.fd, bytes, 8, regions[i]));
		EXPECT_RC(-EINVAL, siommu_vfio_write(machine, r.fd, bytes, 20, regions[i]));
		EXPECT_EQ(0, siommu_vfio_write(machine, r.fd, bytes, 0, regions[i]));
		EXPECT_RC(-EINVAL, write_index(&r, regions[i], 512));
		EXPECT_RC(-EINVAL, write_index(&r, regions[i], 513));
		EXPECT_RC(-EINVAL, write_index(&r, regions[i], UINT32_MAX));
		EXPECT_EQ(4, write_index(&r, regions[i], 511));
	}
	EXPECT_EQ(511, fault_header(&r).tail);
	EXPECT_EQ(511, response_header(&r).head);
	EXPECT_EQ(511, response_header(&r).tail);
	end();
}

TEST(what_may_be_mapped)
{
	void *p;

	begin();
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, r.fd, PAGE, PROT_READ, r.faults, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, r.fd, 9 * PAGE, PROT_READ, r.faults, &p));
	EXPECT_RC(-EINVAL,
		  siommu_vfio_mmap(machine, r.fd, 9 * PAGE, PROT_READ, r.faults + PAGE, &p));
	EXPECT_RC(-EINVAL,
		  siommu_vfio_mmap(machine, r.fd, PAGE, PROT_READ, r.faults + 9 * PAGE, &p));
	EXPECT_RC(-EINVAL,
		  siommu_vfio_mmap(machine, r.fd, 4 * PAGE, PROT_READ, r.responses + PAGE, &p));
	EXPECT_RC(-EINVAL, siommu_vfio_mmap(machine, r.fd, PAGE, PROT_READ, r.responses, &p));
	ASSERT_OK(siommu_vfio_mmap(machine, r.fd, PAGE, PROT_READ, r.faults + 8 * PAGE, &p));
	r.records[511].padding = 0x77;
	EXPECT_EQ(0x77, ((struct iommu_fault *)p)[63].padding);
	munmap(p, PAGE);
	end();
}

TEST(the_interrupt)
{
	int32_t no = -1;

	begin();
	/* Pulled by hand; not masked; not without an eventfd. */
	EXPECT_OK(set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_NONE | TRIGGER, 1, 0));
	EXPECT_EQ(1, ring_events(&r));
	EXPECT_RC(-ENOTTY,
		  set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 1, 0));
	EXPECT_RC(-EINVAL, set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_NONE | TRIGGER, 2, 0));
	EXPECT_OK(set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER, 1, no));
	EXPECT_RC(-EINVAL, set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_NONE | TRIGGER, 1, 0));
	EXPECT_RC(-EBADF, set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER, 1, 9999));
	/* Faults come without, too. */
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, pasid, VA, 0));
	EXPECT_EQ(0, ring_events(&r));
	EXPECT_EQ(1, fault_header(&r).head);
	EXPECT_OK(set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER, 1, r.event));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, pasid, VA, 0));
	EXPECT_EQ(1, ring_events(&r));
	EXPECT_OK(set_irq(r.fd, r.irq, VFIO_IRQ_SET_DATA_NONE | TRIGGER, 0, 0));
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, pasid, VA, 0));
	EXPECT_EQ(0, ring_events(&r));
	EXPECT_EQ(3, fault_header(&r).head);
	end();
}

/* Answers 000-02, 000-04, 000-09. */
TEST_BOTH(a_device_gets_its_page_through_the_regions)
{
	struct iommu_fault fault;

	begin();
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA, 0x600df00d);
	fault = next_record(&r);
	EXPECT_EQ(IOMMU_FAULT_PAGE_REQ, fault.type);
	EXPECT_EQ(F_PASID | F_LAST | F_NEEDS, fault.prm.flags);
	EXPECT_EQ(pasid, fault.prm.pasid);
	EXPECT_EQ(VA, fault.prm.addr);
	EXPECT_EQ(IOMMU_FAULT_PERM_WRITE, fault.prm.perm & IOMMU_FAULT_PERM_WRITE);
	EXPECT_TRUE(edu_busy(r.fd));
	guest_map(&g, ROOT, VA, DATA);
	answer(&r, &fault, IOMMU_PAGE_RESP_SUCCESS);
	EXPECT_EQ(EDU_OK, edu_result(r.fd));
	EXPECT_EQ(0x600df00d, *guest_word(&g, DATA));
	/* Nothing was refused, so this is all. */
	EXPECT_EQ(0, waiting(&r));
	/* And one that does not come. */
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA + PAGE, 1);
	fault = next_record(&r);
	answer(&r, &fault, IOMMU_PAGE_RESP_INVALID);
	EXPECT_EQ(EDU_NO_PAGE, edu_result(r.fd));
	end();
}

/* Answers 000-04. */
TEST_BOTH(refused_accesses_are_in_the_same_ring)
{
	struct iommu_fault fault;

	begin();
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, pasid, VA + 0x10, 0));
	EXPECT_EQ(1, ring_events(&r));
	fault = next_record(&r);
	EXPECT_EQ(IOMMU_FAULT_DMA_UNRECOV, fault.type);
	EXPECT_EQ(IOMMU_FAULT_REASON_PTE_FETCH, fault.event.reason);
	EXPECT_EQ(IOMMU_FAULT_UNRECOV_PASID_VALID | IOMMU_FAULT_UNRECOV_ADDR_VALID,
		  fault.event.flags);
	EXPECT_EQ(pasid, fault.event.pasid);
	EXPECT_EQ(IOMMU_FAULT_PERM_WRITE, fault.event.perm);
	EXPECT_EQ(VA + 0x10, fault.event.addr);
	EXPECT_EQ(0, waiting(&r));
	end();
}

/* A fault for each call, in the order of their addresses. */
static void refuse(struct siommu_port *port, unsigned int from, unsigned int n)
{
	unsigned int i;
	uint8_t byte;

	for (i = from; i < from + n; i++)
		EXPECT_RC(-EFAULT, siommu_dma_read(port, VA + i, &byte, 1, 0));
}

TEST(the_ring_goes_round)
{
	struct siommu_port *port;
	struct told told = { 0 };
	unsigned int i, round;

	begin();
	port = ring_port(0, pasid, &told);
	for (round = 0; round < 5; round++) {
		refuse(port, round * 300, 300);
		EXPECT_EQ(300, ring_events(&r));
		EXPECT_EQ(300 * (round + 1) % ENTRIES, fault_header(&r).head);
		for (i = 0; i < 300; i++)
			EXPECT_EQ(VA + round * 300 + i, next_record(&r).event.addr);
		EXPECT_EQ(0, waiting(&r));
		EXPECT_EQ(300 * (round + 1) % ENTRIES, fault_header(&r).tail);
	}
	siommu_port_destroy(port);
	end();
}

TEST(a_full_ring_takes_no_more)
{
	struct siommu_port *port;
	struct told told = { 0 };
	struct iommu_fault fault;
	unsigned int i;

	begin();
	port = ring_port(0, pasid, &told);
	refuse(port, 0, 600);
	/* One place stays free: a ring whose ends meet is empty. */
	EXPECT_EQ(511, fault_header(&r).head);
	EXPECT_EQ(511, ring_events(&r));
	/* Who asks for a page has the answer at once. */
	ASSERT_OK(ask(port, 3, VA));
	expect_told(&told, 1, 3, NO);
	EXPECT_EQ(0, ring_events(&r));
	for (i = 0; i < 511; i++)
		EXPECT_EQ(VA + i, next_record(&r).event.addr);
	EXPECT_EQ(0, waiting(&r));
	ASSERT_OK(ask(port, 3, VA));
	fault = next_record(&r);
	EXPECT_EQ(IOMMU_FAULT_PAGE_REQ, fault.type);
	answer(&r, &fault, IOMMU_PAGE_RESP_SUCCESS);
	expect_told(&told, 2, 3, YES);
	siommu_port_destroy(port);
	end();
}

/* A reader that is mad. */
TEST(a_reader_that_spoils_its_ring)
{
	uint64_t seed = unit_seed();
	struct siommu_port *port;
	struct told told = { 0 };
	struct iommu_fault fault;
	unsigned int i, round;
	uint32_t head;

	begin();
	port = ring_port(0, pasid, &told);
	for (round = 0; round < 200; round++) {
		/* Tails that overtake the head, or fall behind. */
		(void)write_index(&r, r.faults, (uint32_t)(unit_random(&seed) % 1024));
		memset(r.records, (int)(unit_random(&seed) & 0xff), RECORDS_BYTES);
		refuse(port, round, (unsigned int)(unit_random(&seed) % 20));
		head = fault_header(&r).head;
		ASSERT_TRUE(head < ENTRIES);
		EXPECT_EQ(64, fault_header(&r).entry_size);
		EXPECT_EQ(512, fault_header(&r).nb_entries);
	}
	/* Back in its senses: empty, and what comes is whole. */
	memset(r.records, 0xff, RECORDS_BYTES);
	r.tail = fault_header(&r).head;
	ASSERT_EQ(4, write_index(&r, r.faults, r.tail));
	for (i = 0; i < 520; i++) {
		refuse(port, i, 1);
		fault = next_record(&r);
		EXPECT_EQ(IOMMU_FAULT_DMA_UNRECOV, fault.type);
		EXPECT_EQ(0, fault.padding);
		EXPECT_EQ(VA + i, fault.event.addr);
	}
	siommu_port_destroy(port);
	end();
}

/* Answers 000-38, 002-06, 002-08. */
TEST(responses_that_are_wrong_are_dropped)
{
	uint64_t seed = unit_seed();
	struct iommu_page_response bad;
	struct siommu_port *port;
	struct told told = { 0 };
	struct iommu_fault fault;
	unsigned int i;

	begin();
	port = ring_port(0, pasid, &told);
	ASSERT_OK(ask(port, 3, VA));
	fault = next_record(&r);
	/* Another group, no PASID, another PASID, versions, flags and codes that are not. */
	bad = response_to(&fault, IOMMU_PAGE_RESP_SUCCESS);
	bad.grpid = 4;
	put_answer(&r, bad);
	bad = response_to(&fault, IOMMU_PAGE_RESP_SUCCESS);
	bad.flags = 0;
	put_answer(&r, bad);
	bad = response_to(&fault, IOMMU_PAGE_RESP_SUCCESS);
	bad.pasid++;
	put_answer(&r, bad);
	bad = response_to(&fault, IOMMU_PAGE_RESP_SUCCESS);
	bad.version = 2;
	put_answer(&r, bad);
	bad = response_to(&fault, IOMMU_PAGE_RESP_SUCCESS);
	bad.flags |= F_LAST;
	put_answer(&r, bad);
	bad = response_to(&fault, 3);
	give_answer(&r, bad);
	EXPECT_EQ(0, atomic_load(&told.n));
	/* Noise in all of the ring, and a head that jumps. */
	for (i = 0; i < ANSWERS_BYTES / 8; i++)
		((uint64_t *)r.answers)[i] = unit_random(&seed);
	for (i = 0; i < 50; i++) {
		r.head = (uint32_t)(unit_random(&seed) % ENTRIES);
		ASSERT_EQ(4, write_index(&r, r.responses, r.head));
		EXPECT_EQ(r.head, response_header(&r).tail);
	}
	EXPECT_EQ(0, atomic_load(&told.n));
	answer(&r, &fault, IOMMU_PAGE_RESP_SUCCESS);
	expect_told(&told, 1, 3, YES);
	/* Twice is once. */
	answer(&r, &fault, IOMMU_PAGE_RESP_INVALID);
	expect_told(&told, 1, 3, YES);
	siommu_port_destroy(port);
	end();
}

/* Answers 000-09. */
TEST(many_responses_at_once)
{
	struct siommu_port *p1, *p2;
	struct told t1 = { 0 }, t2 = { 0 };
	struct iommu_fault faults[32];
	uint32_t second;
	unsigned int i;

	begin();
	second = own_pasid(&g);
	ASSERT_OK(pgtbl_bind(g.vfio.container, second, ROOT));
	p1 = ring_port(0, pasid, &t1);
	p2 = ring_port(0, second, &t2);
	for (i = 0; i < 16; i++) {
		ASSERT_OK(ask(p1, i, VA));
		ASSERT_OK(ask(p2, i, VA));
	}
	for (i = 0; i < 32; i++)
		faults[i] = next_record(&r);
	/* In any order: by group and PASID. */
	for (i = 32; i-- > 1;)
		put_answer(&r, response_to(&faults[i], i % 2 ? IOMMU_PAGE_RESP_INVALID
							   : IOMMU_PAGE_RESP_SUCCESS));
	EXPECT_EQ(0, atomic_load(&t1.n) + atomic_load(&t2.n));
	answer(&r, &faults[0], IOMMU_PAGE_RESP_SUCCESS);
	expect_told(&t1, 16, 0, YES);
	expect_told(&t2, 16, 0, NO);
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(15 - i, t1.group[i]);
		EXPECT_EQ(YES, t1.code[i]);
		EXPECT_EQ(NO, t2.code[i]);
	}
	siommu_port_destroy(p1);
	siommu_port_destroy(p2);
	end();
}

/* Answers 002-07, 002-08. */
TEST_BOTH(who_waits_too_long_is_answered)
{
	struct iommu_fault fault;

	begin_with(50);
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA, 1);
	fault = next_record(&r);
	EXPECT_EQ(EDU_NO_PAGE, edu_result(r.fd));
	/* The guest is late. */
	answer(&r, &fault, IOMMU_PAGE_RESP_SUCCESS);
	EXPECT_EQ(EDU_NO_PAGE, reg32(r.fd, REGION(0) + EDU_RESULT));
	guest_map(&g, ROOT, VA, DATA);
	EXPECT_EQ(EDU_OK, guest_dma(&g, pasid, VA, 2));
	end();
}

/* Answers 002-08. */
TEST_BOTH(unbinding_answers_who_waits)
{
	struct iommu_fault fault;

	begin();
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA, 1);
	fault = next_record(&r);
	ASSERT_OK(pgtbl_unbind(g.vfio.container, pasid));
	EXPECT_EQ(EDU_NO_PAGE, edu_result(r.fd));
	answer(&r, &fault, IOMMU_PAGE_RESP_SUCCESS);
	/* The same by freeing the PASID. */
	ASSERT_OK(pgtbl_bind(g.vfio.container, pasid, ROOT));
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA, 1);
	fault = next_record(&r);
	ASSERT_OK(pasid_free(g.vfio.container, pasid, pasid));
	EXPECT_EQ(EDU_NO_PAGE, edu_result(r.fd));
	answer(&r, &fault, IOMMU_PAGE_RESP_SUCCESS);
	end();
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Answers 002-08. */
TEST_BOTH(closing_answers_who_waits)
{
	const double start = now();
	struct siommu_port *port;
	struct told told = { 0 };

	begin();
	port = ring_port(0, pasid, &told);
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA, 1);
	(void)next_record(&r);
	ASSERT_OK(ask(port, 7, VA));
	ring_close(&r);
	vclose(g.vfio.device);
	EXPECT_TRUE(now() - start < 8);
	expect_told(&told, 1, 7, NO);
	/* The PASID is bound still, and nobody takes its faults. */
	ASSERT_OK(ask(port, 7, VA));
	expect_told(&told, 2, 7, NO);
	g.vfio.device = get_device_ok(g.vfio.group, NAME0);
	set_master(g.vfio.device);
	r = ring_open(g.vfio.device);
	EXPECT_EQ(0, fault_header(&r).head);
	ASSERT_OK(ask(port, 7, VA));
	answer(&r, &(struct iommu_fault){ .prm = next_record(&r).prm }, IOMMU_PAGE_RESP_SUCCESS);
	expect_told(&told, 3, 7, YES);
	siommu_port_destroy(port);
	end();
}

/*
 * Behind an SMMUv3 the access itself waits, and a reset for its end: nobody may be left who
 * could be waited for.
 */
TEST(closing_ends_a_stall)
{
	static const struct siommu_device_params able = { .pasid_bits = 20, .stall = true };
	const double start = now();
	struct iommu_fault fault;
	uint64_t cds;

	machine->prq_timeout_ms = 60000;
	g = guest_begin("smmuv3", "stall=on", &able);
	r = ring_open(g.vfio.device);
	cds = g.next;
	g.next += PAGE;
	pasid = 1;
	guest_cd(&g, cds, pasid, 0, ROOT);
	*guest_word(&g, cds + 64 * pasid) |= 1ull << 44;
	ASSERT_OK(table_set(g.vfio.container, table_config(IOMMU_PASID_CONFIG_TRANSLATE, cds, 4)));
	edu_start(r.fd, EDU_FILL, VA, 1);
	fault = next_record(&r);
	EXPECT_EQ(IOMMU_FAULT_PAGE_REQ, fault.type);
	EXPECT_EQ(1, fault.prm.pasid);
	answer(&r, &fault, IOMMU_PAGE_RESP_INVALID);
	EXPECT_EQ(EDU_FAULTED, edu_result(r.fd));
	edu_start(r.fd, EDU_FILL, VA, 1);
	(void)next_record(&r);
	ring_close(&r);
	vclose(g.vfio.device);
	EXPECT_TRUE(now() - start < 8);
	g.vfio.device = get_device_ok(g.vfio.group, NAME0);
	guest_end(&g);
}

TEST(a_reset_leaves_the_rings)
{
	struct iommu_fault fault;

	begin();
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA, 1);
	fault = next_record(&r);
	ASSERT_OK(vcall(r.fd, VFIO_DEVICE_RESET, NULL));
	/* What it asked for before is nobody's any more. */
	answer(&r, &fault, IOMMU_PAGE_RESP_SUCCESS);
	set_master(r.fd);
	edu_start(r.fd, EDU_FILL | EDU_CMD_PRI, VA, 1);
	fault = next_record(&r);
	answer(&r, &fault, IOMMU_PAGE_RESP_INVALID);
	EXPECT_EQ(EDU_NO_PAGE, edu_result(r.fd));
	end();
}

static unsigned int failing_left;

static bool fails_now(void *arg)
{
	(void)arg;
	return !failing_left || !failing_left--;
}

/* Each allocation that opening a device makes fails once. */
TEST(opening_without_memory)
{
	unsigned int n;
	long fd = -1;

	g = guest_vtd();
	vclose(g.vfio.device);
	for (n = 0; fd < 0 && n < 100; n++) {
		failing_left = n;
		machine->alloc.should_fail = fails_now;
		fd = get_device(g.vfio.group, NAME0);
		machine->alloc.should_fail = NULL;
		if (fd < 0)
			EXPECT_RC(-ENOMEM, fd);
	}
	EXPECT_TRUE(n > 2);
	g.vfio.device = (int)fd;
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 2, device_get_info(g.vfio.device).num_regions);
	guest_end(&g);
}

/* Mappings outlive the descriptor, as in the kernel. */
TEST(rings_that_stay_mapped)
{
	begin();
	EXPECT_EQ(EDU_FAULTED, guest_dma(&g, pasid, VA + 0x10, 0));
	vclose(g.vfio.device);
	EXPECT_EQ(VA + 0x10, r.records[0].event.addr);
	r.answers[0].code = 1;
	ring_close(&r);
	g.vfio.device = get_device_ok(g.vfio.group, NAME0);
	guest_end(&g);
}

/* Answers 000-09. */
TEST(each_device_of_a_group_has_its_own)
{
	struct told told[2] = { 0 };
	struct siommu_port *port[2];
	struct iommu_fault fault[2];
	struct ring ring[2];
	int second;

	machine->prq_timeout_ms = 60000;
	memset(&g, 0, sizeof(g));
	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(5, NULL);
	pci_rig_add(5, NULL);
	g.vfio = legacy_open("/dev/vfio/0", NAME0, NESTING);
	second = get_device_ok(g.vfio.group, NAME1);
	guest_memory(&g);
	ring[0] = ring_open(g.vfio.device);
	ring[1] = ring_open(second);
	pasid = own_pasid(&g);
	ASSERT_OK(pgtbl_bind(g.vfio.container, pasid, ROOT));
	port[0] = ring_port(0, pasid, &told[0]);
	port[1] = ring_port(1, pasid, &told[1]);
	ASSERT_OK(ask(port[0], 3, VA));
	ASSERT_OK(ask(port[1], 3, VA + PAGE));
	EXPECT_EQ(1, ring_events(&ring[0]));
	EXPECT_EQ(1, ring_events(&ring[1]));
	fault[0] = next_record(&ring[0]);
	fault[1] = next_record(&ring[1]);
	EXPECT_EQ(VA, fault[0].prm.addr);
	EXPECT_EQ(VA + PAGE, fault[1].prm.addr);
	answer(&ring[1], &fault[1], IOMMU_PAGE_RESP_INVALID);
	EXPECT_EQ(0, atomic_load(&told[0].n));
	expect_told(&told[1], 1, 3, NO);
	/* One closes: the other does not notice. */
	ASSERT_OK(ask(port[1], 3, VA));
	ring_close(&ring[1]);
	vclose(second);
	expect_told(&told[1], 2, 3, NO);
	EXPECT_EQ(0, atomic_load(&told[0].n));
	answer(&ring[0], &fault[0], IOMMU_PAGE_RESP_SUCCESS);
	expect_told(&told[0], 1, 3, YES);
	siommu_port_destroy(port[0]);
	siommu_port_destroy(port[1]);
	ring_close(&ring[0]);
	guest_end(&g);
}
