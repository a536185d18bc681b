// SPDX-License-Identifier: MIT
/*
 * The DSA model's PASIDs, and pages that come when they are asked for. What has a PASID is
 * another address space, whose faults somebody reads.
 */
#include "dsa_rig.h"

#define PASID_A 5u
#define VA	0x40000000ull

static struct {
	uint32_t ioas, hwpt, fault;
	int fd;
} sva;

static void sva_begin(void)
{
	uint32_t id;

	bench_begin("dsa", "");
	ASSERT_EQ(0, command(RESET_DEVICE, 0));
	sva.ioas = new_ioas();
	ASSERT_OK(fault_alloc(&sva.fault, &sva.fd));
	ASSERT_OK(hwpt_alloc_full(bench.rig.id, sva.ioas, FAULT | PASID, sva.fault, 0, NULL, 0,
				  &sva.hwpt));
	id = sva.hwpt;
	ASSERT_OK(siommu_device_attach(bench.rig.bound, PASID_A, &id));
	enable(1u << 28 | PASID_A << 8 | 0x2);
}

static void sva_end(void)
{
	siommu_device_detach(bench.rig.bound, PASID_A);
	EXPECT_OK(destroy(ctx, sva.hwpt));
	EXPECT_OK(siommu_close_fd(ctx, sva.fd));
	EXPECT_OK(destroy(ctx, sva.fault));
	bench_end();
}

static struct iommu_hwpt_pgfault next_fault(void)
{
	struct iommu_hwpt_pgfault fault;
	ssize_t n = 0;

	WAIT_FOR(n > 0 || (n = siommu_read(ctx, sva.fd, &fault, sizeof(fault))) > 0);
	ASSERT_EQ(sizeof(fault), n);
	return fault;
}

static void answer(const struct iommu_hwpt_pgfault *fault, uint32_t code)
{
	const struct iommu_hwpt_page_response response = { .cookie = fault->cookie, .code = code };

	ASSERT_EQ(sizeof(response), siommu_write(ctx, sva.fd, &response, sizeof(response)));
}

TEST(block_on_fault)
{
	struct iommu_hwpt_pgfault fault;
	uint64_t seed = unit_seed();
	struct desc desc;
	unsigned int i;
	uint8_t *va;

	sva_begin();
	va = buffer(64 * PAGE);
	fill_random(va, 16 * PAGE, &seed);
	/* Nothing is there at all, not even the record's page. */
	desc = make(MOVE, BOF, VA, VA + 16 * PAGE, 16 * PAGE);
	desc.record = VA + 32 * PAGE;
	submit(0, &desc);
	for (i = 0; i < 33; i++) {
		fault = next_fault();
		EXPECT_EQ(bench.rig.id, fault.dev_id);
		EXPECT_EQ(PASID_A, fault.pasid);
		EXPECT_TRUE(fault.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE);
		EXPECT_TRUE(fault.perm & (fault.addr < VA + 16 * PAGE ? IOMMU_PGFAULT_PERM_READ
								      : IOMMU_PGFAULT_PERM_WRITE));
		ASSERT_TRUE(fault.addr >= VA && fault.addr <= VA + 32 * PAGE);
		ASSERT_OK(map_at(sva.ioas, va + (fault.addr - VA), PAGE, fault.addr));
		answer(&fault, IOMMUFD_PAGE_RESP_SUCCESS);
	}
	WAIT_FOR(((struct record *)(va + 32 * PAGE))->status);
	EXPECT_EQ(1, ((struct record *)(va + 32 * PAGE))->status);
	EXPECT_MEM(va, va + 16 * PAGE, 16 * PAGE);
	sva_end();
}

TEST(a_page_is_refused)
{
	struct iommu_hwpt_pgfault fault;
	struct record *r;
	struct desc desc;
	uint8_t *va;

	sva_begin();
	va = buffer(4 * PAGE);
	ASSERT_OK(map_at(sva.ioas, va, 4 * PAGE, VA));
	r = (struct record *)va;
	desc = make(MOVE, BOF, VA + 3 * PAGE, VA + 2 * PAGE, PAGE);
	desc.src += 0x100;
	desc.record = VA;
	desc.dst = VA + PAGE;
	desc.size = 2 * PAGE;
	submit(0, &desc);
	fault = next_fault();
	EXPECT_EQ(VA + 4 * PAGE, fault.addr);
	answer(&fault, IOMMUFD_PAGE_RESP_INVALID);
	WAIT_FOR(r->status);
	EXPECT_EQ(0x04, r->status);
	EXPECT_EQ(PAGE - 0x100, r->done);
	/* Without the flag nobody is asked. */
	memset(r, 0, sizeof(*r));
	desc.op &= ~BOF;
	submit(0, &desc);
	WAIT_FOR(r->status);
	EXPECT_EQ(0x03, r->status);
	EXPECT_EQ(VA + 4 * PAGE, r->fault);
	EXPECT_EQ(0, siommu_read(ctx, sva.fd, &fault, sizeof(fault)));
	sva_end();
}

/* Whoever aborts or resets waits for no answer; what comes late is for nobody. */
TEST(nobody_waits_for_a_page)
{
	struct iommu_hwpt_pgfault late, fault;
	struct record *r;
	struct desc desc;
	unsigned int i;
	uint8_t *va;

	sva_begin();
	va = buffer(4 * PAGE);
	ASSERT_OK(map_at(sva.ioas, va, PAGE, VA));
	r = (struct record *)va;
	desc = make(FILL, BOF, 0x1111111111111111, VA + 2 * PAGE, 64);
	desc.record = VA;
	for (i = 0; i < 4; i++) {
		memset(r, 0, sizeof(*r));
		submit(0, &desc);
		late = next_fault();
		if (i == 0) {
			ASSERT_EQ(0, command(ABORT_WQ, 1));
		} else if (i == 1) {
			ASSERT_EQ(0, command(ABORT_PASID, PASID_A));
		} else if (i == 2) {
			ASSERT_EQ(0, command(RESET_DEVICE, 0));
			enable(1u << 28 | PASID_A << 8 | 0x2);
		} else {
			pci_func_reset(bench.func);
			bench_master();
			enable(1u << 28 | PASID_A << 8 | 0x2);
		}
		EXPECT_EQ(0, r->status);
		submit(0, &desc);
		fault = next_fault();
		siommu_write(ctx, sva.fd,
			     &(struct iommu_hwpt_page_response){
				     .cookie = late.cookie, .code = IOMMUFD_PAGE_RESP_INVALID },
			     sizeof(struct iommu_hwpt_page_response));
		sleep_ms(1);
		EXPECT_EQ(0, r->status);
		ASSERT_OK(map_at(sva.ioas, va + 2 * PAGE, PAGE, VA + 2 * PAGE));
		answer(&fault, IOMMUFD_PAGE_RESP_SUCCESS);
		WAIT_FOR(r->status);
		EXPECT_EQ(1, r->status);
		EXPECT_EQ(0x11, va[2 * PAGE]);
		ASSERT_OK(unmap(sva.ioas, VA + 2 * PAGE, PAGE));
	}
	/* It ends while an engine waits. */
	submit(0, &desc);
	next_fault();
	sva_end();
}

/* A request for a page is a message of a bus master, too. */
TEST(no_page_is_asked_for_without_bus_mastering)
{
	struct iommu_hwpt_pgfault fault;
	struct desc desc;

	sva_begin();
	set_config(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	desc = make(FILL, BOF, 0x1111111111111111, VA + PAGE, 64);
	desc.record = VA;
	submit(0, &desc);
	ASSERT_EQ(0, command(DRAIN_WQ, 1));
	EXPECT_EQ(0, siommu_read(ctx, sva.fd, &fault, sizeof(fault)));
	EXPECT_EQ(0x1a, get_reg(0, SWERROR, 8) >> 8 & 0xff);
	sva_end();
}

/* What a driver has switched off in the configuration space is not used. */
TEST(pasids_and_pages_that_are_switched_off)
{
	struct iommu_hwpt_pgfault fault;
	unsigned int pri, pasid;
	struct desc desc;

	sva_begin();
	pri = pci_find_ext_cap(bench.func, PCI_EXT_CAP_ID_PRI);
	pasid = pci_find_ext_cap(bench.func, PCI_EXT_CAP_ID_PASID);
	set_config(pri + PCI_PRI_CTRL, 0, 2);
	desc = make(FILL, BOF, 0x1111111111111111, VA + PAGE, 64);
	desc.record = VA;
	submit(0, &desc);
	ASSERT_EQ(0, command(DRAIN_WQ, 1));
	EXPECT_EQ(0, siommu_read(ctx, sva.fd, &fault, sizeof(fault)));
	set_config(pasid + PCI_PASID_CTRL, 0, 2);
	ASSERT_EQ(0, command(DISABLE_WQ, 1));
	EXPECT_EQ(0x26, command(ENABLE_WQ, 0));
	set_config(pasid + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE, 2);
	EXPECT_EQ(0, command(ENABLE_WQ, 0));
	sva_end();
}

/* Nor does an engine that waits for one go on asking when that ends. */
TEST(asking_ends_with_bus_mastering)
{
	struct iommu_hwpt_pgfault fault;
	struct desc desc;

	sva_begin();
	desc = make(FILL, BOF, 0x1111111111111111, VA + PAGE, 64);
	desc.record = VA;
	submit(0, &desc);
	fault = next_fault();
	set_config(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	answer(&fault, IOMMUFD_PAGE_RESP_SUCCESS);
	ASSERT_EQ(0, command(DRAIN_WQ, 1));
	EXPECT_EQ(0, siommu_read(ctx, sva.fd, &fault, sizeof(fault)));
	sva_end();
}

/* An engine that waits keeps no other one. */
TEST(others_go_on_while_one_waits)
{
	struct iommu_hwpt_pgfault fault;
	struct record *r;
	struct desc desc;
	uint8_t *va;

	bench_begin("dsa", "engines=2");
	sva.ioas = new_ioas();
	ASSERT_OK(fault_alloc(&sva.fault, &sva.fd));
	ASSERT_OK(hwpt_alloc_full(bench.rig.id, sva.ioas, FAULT | PASID, sva.fault, 0, NULL, 0,
				  &sva.hwpt));
	ASSERT_OK(siommu_device_attach(bench.rig.bound, PASID_A, &sva.hwpt));
	set_up_wq(1, 0);
	set_reg(0, GRPCFG + 64, 2, 8);
	set_reg(0, GRPCFG + 64 + 32, 2, 8);
	enable(1u << 28 | PASID_A << 8 | 0x2);
	ASSERT_EQ(0, command(ENABLE_WQ, 1));
	va = buffer(PAGE);
	r = (struct record *)va;
	ASSERT_OK(map_at(sva.ioas, va, PAGE, VA));
	desc = make(FILL, BOF, 0, VA + PAGE, 8);
	desc.record = VA;
	submit(0, &desc);
	fault = next_fault();
	desc = make(MOVE, 0, RAM + SRC, RAM + DST, 4096);
	EXPECT_EQ(1, do_on(1, &desc)->status);
	EXPECT_EQ(0, r->status);
	answer(&fault, IOMMUFD_PAGE_RESP_INVALID);
	WAIT_FOR(r->status);
	EXPECT_EQ(0x84, r->status);
	sva_end();
}

static int enqueue(unsigned int wq, unsigned int portal, const struct desc *desc)
{
	return pci_bar_write(bench.func, 2, (wq * 4 + portal) * 4096ull, desc, sizeof(*desc));
}

/* Who submits is told whether there was room; a PASID comes with each descriptor. */
TEST(a_shared_wq)
{
	struct iommu_hwpt_pgfault fault, other;
	struct desc desc;
	unsigned int i;
	uint8_t *va;

	bench_begin("dsa", "engines=1");
	sva.ioas = new_ioas();
	ASSERT_OK(fault_alloc(&sva.fault, &sva.fd));
	ASSERT_OK(hwpt_alloc_full(bench.rig.id, sva.ioas, FAULT | PASID, sva.fault, 0, NULL, 0,
				  &sva.hwpt));
	ASSERT_OK(siommu_device_attach(bench.rig.bound, PASID_A, &sva.hwpt));
	ASSERT_OK(siommu_device_attach(bench.rig.bound, PASID_A + 1, &sva.hwpt));
	va = buffer(8 * PAGE);
	ASSERT_OK(map_at(sva.ioas, va, 2 * PAGE, VA));
	desc = make(NOOP, 0, 0, 0, 0);
	desc.record = VA;
	desc.pasid = PASID_A;
	EXPECT_RC(-EAGAIN, enqueue(0, 0, &desc));
	set_wq(0, 1, 2);
	enable(1u << 28 | 0x2);
	ASSERT_EQ(0, command(DISABLE_WQ, 1));
	set_wq(0, 2, 0x10 | 1u << 28 | 0x2);
	ASSERT_EQ(0, command(ENABLE_WQ, 0));
	EXPECT_OK(enqueue(0, 0, &desc));
	WAIT_FOR(va[0]);
	EXPECT_EQ(1, va[0]);
	/* Only privileged software says that it is. */
	va[0] = 0;
	desc.pasid |= 1u << 31;
	EXPECT_OK(enqueue(0, 0, &desc));
	WAIT_FOR(va[0]);
	EXPECT_EQ(0x1d, va[0]);
	/* The engine waits for a page of one PASID, behind it is another's. */
	va[0] = 0;
	desc = make(FILL, BOF, 0x2222222222222222, VA + 4 * PAGE, 8);
	desc.record = VA;
	desc.pasid = PASID_A;
	EXPECT_OK(enqueue(0, 0, &desc));
	fault = next_fault();
	EXPECT_EQ(PASID_A, fault.pasid);
	desc.pasid = PASID_A + 1;
	desc.record = VA + PAGE;
	/* Up to the threshold through one portal, up to its size through the other. */
	EXPECT_OK(enqueue(0, 1, &desc));
	EXPECT_OK(enqueue(0, 1, &desc));
	EXPECT_RC(-EAGAIN, enqueue(0, 1, &desc));
	desc.pasid = PASID_A;
	for (i = 2; i < 16; i++)
		EXPECT_OK(enqueue(0, 0, &desc));
	EXPECT_RC(-EAGAIN, enqueue(0, 0, &desc));
	/* What one PASID has asked for ends, the other's goes on. */
	ASSERT_EQ(0, command(ABORT_PASID, PASID_A));
	EXPECT_EQ(0, va[0]);
	for (i = 0; i < 2; i++) {
		va[PAGE] = 0;
		other = next_fault();
		EXPECT_EQ(PASID_A + 1, other.pasid);
		answer(&other, IOMMUFD_PAGE_RESP_INVALID);
		WAIT_FOR(va[PAGE]);
		EXPECT_EQ(0x84, va[PAGE]);
	}
	ASSERT_EQ(0, command(DRAIN_PASID, PASID_A));
	EXPECT_EQ(0, siommu_read(ctx, sva.fd, &other, sizeof(other)));
	siommu_device_detach(bench.rig.bound, PASID_A + 1);
	sva_end();
}

TEST(a_wq_with_a_pasid_that_cannot_be)
{
	begin_with("");
	set_up_wq(0, 1u << 28 | 0xfffffu << 8);
	set_up_wq(1, 2);
	set_reg(0, GRPCFG, 3, 8);
	set_reg(0, GRPCFG + 32, 1, 8);
	ASSERT_EQ(0, command(ENABLE_DEVICE, 0));
	EXPECT_EQ(0, command(ENABLE_WQ, 0));
	EXPECT_EQ(0, command(ENABLE_WQ, 1));
	/* Nobody has attached it: each access faults. */
	submit(0, &(struct desc){ .op = CRAV | RCR, .record = record_iova(0) });
	WAIT_FOR(get_reg(0, SWERROR, 8) & 1);
	EXPECT_EQ(0x1a, get_reg(0, SWERROR, 8) >> 8 & 0xff);
	EXPECT_EQ(0xfffff, get_reg(0, SWERROR, 8) >> 40 & 0xfffff);
	bench_end();
}
