// SPDX-License-Identifier: MIT
/*
 * The NVMe controller's queues: making and ending them, phases, full ones, shadow
 * doorbells, polling, and interrupts of all kinds.
 */
#include <sys/resource.h>

#include "devices/nvme_test.h"

#define READ 0x02

TEST(refuses_bad_queues)
{
	u64 a;

	start("queues=4,queue-entries=64,vectors=3");
	a = rig_alloc(&rig, 65536);
	/* Completion queues. Invalid Queue Identifier, Size, Field, Offset, Vector. */
	EXPECT_RC(0x4101, rig_create_cq(&rig, 0, a, 16, 1));
	EXPECT_RC(0x4101, rig_create_cq(&rig, 5, a, 16, 1));
	EXPECT_RC(0x4102, rig_create_cq(&rig, 1, a, 1, 1));
	EXPECT_RC(0x4102, rig_create_cq(&rig, 1, a, 65, 1));
	EXPECT_RC(0x4002, rig_create_cq(&rig, 1, a, 16, 0)); /* not contiguous */
	EXPECT_RC(0x4013, rig_create_cq(&rig, 1, a + 64, 16, 1));
	EXPECT_RC(0x4108, rig_create_cq(&rig, 1, a, 16, 3 << 16 | 3));
	EXPECT_RC(0x4100, rig_create_sq(&rig, 1, a, 16, 1 << 16 | 1)); /* no such CQ */
	EXPECT_OK(rig_create_cq(&rig, 1, a, 64, 1 | 2 << 16 | 2));
	EXPECT_RC(0x4101, rig_create_cq(&rig, 1, a, 64, 1));
	/* Submission queues. */
	EXPECT_RC(0x4101, rig_create_sq(&rig, 0, a, 16, 1 << 16 | 1));
	EXPECT_RC(0x4101, rig_create_sq(&rig, 5, a, 16, 1 << 16 | 1));
	EXPECT_RC(0x4100, rig_create_sq(&rig, 1, a, 16, 0 << 16 | 1));
	EXPECT_RC(0x4100, rig_create_sq(&rig, 1, a, 16, 2 << 16 | 1));
	EXPECT_RC(0x4100, rig_create_sq(&rig, 1, a, 16, 5u << 16 | 1));
	EXPECT_RC(0x4102, rig_create_sq(&rig, 1, a, 1, 1 << 16 | 1));
	EXPECT_RC(0x4102, rig_create_sq(&rig, 1, a, 65, 1 << 16 | 1));
	EXPECT_RC(0x4002, rig_create_sq(&rig, 1, a, 16, 1 << 16));
	EXPECT_RC(0x4013, rig_create_sq(&rig, 1, a + 8, 16, 1 << 16 | 1));
	EXPECT_OK(rig_create_sq(&rig, 1, a + 4096, 64, 1 << 16 | 1));
	EXPECT_OK(rig_create_sq(&rig, 4, a + 8192, 2, 1 << 16 | 1));
	EXPECT_RC(0x4101, rig_create_sq(&rig, 1, a, 64, 1 << 16 | 1));
	/* Ending them: Invalid Queue Deletion while another leads there. */
	EXPECT_RC(0x4101, rig_delete(&rig, true, 0));
	EXPECT_RC(0x4101, rig_delete(&rig, false, 0));
	EXPECT_RC(0x4101, rig_delete(&rig, true, 2));
	EXPECT_RC(0x4101, rig_delete(&rig, false, 2));
	EXPECT_RC(0x410c, rig_delete(&rig, true, 1));
	EXPECT_OK(rig_delete(&rig, false, 1));
	EXPECT_RC(0x410c, rig_delete(&rig, true, 1));
	EXPECT_OK(rig_delete(&rig, false, 4));
	EXPECT_OK(rig_delete(&rig, true, 1));
	EXPECT_RC(0x4101, rig_delete(&rig, true, 1));
	EXPECT_OK(rig_queue(&rig, 1, 16, -1));
}

/* Invalid Interrupt Vector: there are 32 with MSI, and one with a pin. */
TEST(has_as_many_vectors_as_it_can_send)
{
	u64 a;

	start("vectors=40,msix=off");
	a = rig_alloc(&rig, 4096);
	EXPECT_RC(0x4108, rig_create_cq(&rig, 1, a, 16, 3 | 32 << 16));
	EXPECT_OK(rig_create_cq(&rig, 1, a, 16, 3 | 31 << 16));
	rig_unplug(&rig);
	ASSERT_OK(rig_plug(&rig, "vectors=40,msix=off,msi=off"));
	ASSERT_OK(rig_enable(&rig));
	a = rig_alloc(&rig, 4096);
	EXPECT_RC(0x4108, rig_create_cq(&rig, 1, a, 16, 3 | 1 << 16));
	EXPECT_OK(rig_create_cq(&rig, 1, a, 16, 3));
}

TEST(needs_the_sizes_of_entries)
{
	u64 a;

	start("");
	a = rig_alloc(&rig, 8192);
	rig_w32(&rig, 0x14, 1); /* no sizes: the admin queue does not need them */
	EXPECT_RC(0x4102, rig_create_cq(&rig, 1, a, 16, 1));
	rig_w32(&rig, 0x14, RIG_CC);
	EXPECT_OK(rig_create_cq(&rig, 1, a, 16, 1));
	rig_w32(&rig, 0x14, RIG_CC & ~0xf0000u);
	EXPECT_RC(0x4102, rig_create_sq(&rig, 1, a, 16, 1 << 16 | 1));
}

/* Small queues go round many times: the phase changes each time. */
TEST(goes_round)
{
	struct rig_sqe sqe;
	unsigned int i;

	start("");
	ASSERT_OK(rig_queue(&rig, 1, 3, -1));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 0; i < 100; i++)
		ASSERT_OK(rig_do(&rig, 1, &sqe));
}

TEST(tells_how_far_it_has_read)
{
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	unsigned int i;

	start("");
	ASSERT_OK(rig_queue(&rig, 1, 8, -1));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 0; i < 7; i++)
		rig_put(&rig, &rig.q[1], &sqe);
	rig_ring_tail(&rig, &rig.q[1]);
	for (i = 0; i < 7; i++) {
		ASSERT_OK(rig_wait(&rig, &rig.q[1], &cqe));
		EXPECT_EQ(i + 1, cqe.sq_head);
		EXPECT_EQ(1, cqe.sq_id);
		EXPECT_EQ((1 << 12) + i, cqe.cid);
	}
}

/* A full completion queue is waited for; nothing is lost, nothing overwritten. */
TEST(waits_for_room)
{
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	unsigned int i, n = 0;

	start("");
	rig_queue_init(&rig, 1, 64);
	ASSERT_OK(rig_create_cq(&rig, 1, rig.q[1].cq, 4, 1));
	ASSERT_OK(rig_create_sq(&rig, 1, rig.q[1].sq, 64, 1 << 16 | 1));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 0; i < 20; i++)
		rig_put(&rig, &rig.q[1], &sqe);
	rig_ring_tail(&rig, &rig.q[1]);
	rig.q[1].size = 4; /* of the completions, from here on */
	usleep(10000);
	while (n < 20) {
		unsigned int got = 0;

		EXPECT_TRUE(RIG_UNTIL(rig_take(&rig, &rig.q[1], &cqe)));
		for (got = 1; rig_take(&rig, &rig.q[1], &cqe); got++)
			;
		EXPECT_TRUE(got <= 3);
		n += got;
		rig_ring_head(&rig, &rig.q[1]);
		if (unit.failures)
			return;
	}
	EXPECT_EQ(20, n);
	EXPECT_TRUE(!rig_take(&rig, &rig.q[1], &cqe));
}

/* An abort may need room for two: what is behind it must not find the queue full. */
TEST(an_abort_leaves_room_for_others)
{
	const struct rig_sqe event = { .opcode = 0x0c }, bad = { .opcode = 0x7f };
	struct rig_queue *q = &rig.q[0];
	struct rig_cqe cqe;
	struct rig_sqe abort = { .opcode = 0x08 };
	unsigned int i, n = 0;

	plug("");
	rig_command(&rig, true);
	rig_queue_init(&rig, 0, 64);
	rig_w32(&rig, 0x24, 63 | 4 << 16); /* five completions: there is room for four */
	rig_w64(&rig, 0x28, q->sq);
	rig_w64(&rig, 0x30, q->cq);
	rig_w32(&rig, 0x14, RIG_CC);
	ASSERT_OK(rig_ready(&rig, true));
	abort.cdw10 = (u32)rig_put(&rig, q, &event) << 16;
	rig_ring_tail(&rig, q);
	usleep(20000);
	rig_put(&rig, q, &abort);
	for (i = 0; i < 6; i++)
		rig_put(&rig, q, &bad);
	rig_ring_tail(&rig, q);
	q->size = 5;
	usleep(20000);
	while (n < 8) {
		EXPECT_TRUE(RIG_UNTIL(rig_take(&rig, q, &cqe)));
		for (i = 1; rig_take(&rig, q, &cqe); i++)
			;
		EXPECT_TRUE(i <= 4);
		n += i;
		rig_ring_head(&rig, q);
		if (unit.failures)
			return;
	}
	EXPECT_EQ(8, n);
}

TEST(many_queues_share_what_they_are_told_to)
{
	const unsigned int n = 500;
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	unsigned int i;
	u64 base, cq;

	start("queues=511,workers=3");
	base = rig_alloc(&rig, (n + 1) * RIG_PAGE);
	cq = rig_alloc(&rig, 16384);
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	ASSERT_OK(rig_create_cq(&rig, 7, cq, 600, 1));
	for (i = 1; i <= n; i++)
		ASSERT_OK(rig_create_sq(&rig, i, base + i * RIG_PAGE, 64, 7 << 16 | 1));
	for (i = 1; i <= n; i++) {
		memcpy(rig_at(&rig, base + i * RIG_PAGE), &sqe, sizeof(sqe));
		rig_w32(&rig, 0x1000 + 8 * (u64)i, 1);
	}
	rig.q[7] = (struct rig_queue){ .qid = 7, .size = 600, .cq = cq, .phase = 1 };
	for (i = 1; i <= n; i++) {
		ASSERT_OK(rig_wait(&rig, &rig.q[7], &cqe));
		EXPECT_RC(0, rig_status(&cqe));
		EXPECT_EQ(1, cqe.sq_head);
	}
	for (i = 1; i <= n; i++)
		ASSERT_OK(rig_delete(&rig, false, i));
	EXPECT_OK(rig_delete(&rig, true, 7));
}

/* Queues that are ended with commands in them: no completion comes afterwards. */
TEST(ends_queues_in_use)
{
	unsigned int round, i;
	struct rig_sqe sqe;
	u64 a;

	start("workers=2");
	a = rig_alloc(&rig, 1 << 20);
	for (round = 0; round < 50; round++) {
		u64 mark = rig.next;

		ASSERT_OK(rig_queue(&rig, 1, 64, -1));
		ASSERT_OK(rig_queue(&rig, 2, 64, -1));
		for (i = 0; i < 60; i++) {
			u64 to = a + i % 2 * 8192;

			sqe = rig_rw(READ, 0, 16, to, to + 4096);
			rig_put(&rig, &rig.q[1 + i % 2], &sqe);
			rig_ring_tail(&rig, &rig.q[1 + i % 2]);
		}
		for (i = 1; i <= 2; i++)
			ASSERT_OK(rig_delete(&rig, false, i));
		for (i = 1; i <= 2; i++)
			ASSERT_OK(rig_delete(&rig, true, i));
		memset(rig_at(&rig, rig.q[1].cq), 0x77, 1024);
		usleep(100);
		for (i = 0; i < 1024; i++)
			EXPECT_EQ(0x77, *((u8 *)rig_at(&rig, rig.q[1].cq) + i));
		rig.next = mark;
	}
}

/*
 * Shadow doorbells
 */

static void use_shadow(void)
{
	u64 buffer = rig_alloc(&rig, 8192);
	const struct rig_sqe sqe = { .opcode = 0x7c, .prp1 = buffer, .prp2 = buffer + 4096 };

	ASSERT_OK(rig_do(&rig, 0, &sqe));
	rig.shadow = buffer;
}

TEST(looks_at_shadow_doorbells)
{
	unsigned int i, k;
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	u64 rings;

	start("");
	use_shadow();
	ASSERT_OK(rig_queue(&rig, 1, 32, -1));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 0; i < 200; i++) {
		if (i % 50 == 0)
			usleep(3000); /* asleep: it must be woken */
		ASSERT_OK(rig_do(&rig, 1, &sqe));
	}
	/* Of 3100 tails those are rung that it sleeps for; of 3100 heads hardly any. */
	rings = atomic_load(&rig.rings);
	for (i = 0; i < 100; i++) {
		for (k = 0; k < 31; k++) {
			rig_put(&rig, &rig.q[1], &sqe);
			rig_ring_tail(&rig, &rig.q[1]);
		}
		for (k = 0; k < 31; k++)
			ASSERT_OK(rig_wait(&rig, &rig.q[1], &cqe));
	}
	EXPECT_TRUE(atomic_load(&rig.rings) - rings < 3400);
	/* It goes on after a reset, with registers again. */
	ASSERT_OK(rig_disable(&rig));
	ASSERT_OK(rig_enable(&rig));
	ASSERT_OK(rig_queue(&rig, 1, 32, -1));
	EXPECT_OK(rig_do(&rig, 1, &sqe));
}

TEST(refuses_bad_shadow_buffers)
{
	struct rig_sqe sqe = { .opcode = 0x7c };
	u64 buffer;

	start("");
	buffer = rig_alloc(&rig, 8192);
	sqe.prp1 = buffer + 4;
	sqe.prp2 = buffer + 4096;
	EXPECT_RC(0x4002, rig_do(&rig, 0, &sqe));
	sqe.prp1 = buffer;
	sqe.prp2 = buffer + 4096 + 8;
	EXPECT_RC(0x4002, rig_do(&rig, 0, &sqe));
	/* One that is not mapped leads to a fatal state with the first queue. */
	sqe.prp1 = 0x10000;
	sqe.prp2 = 0x20000;
	EXPECT_OK(rig_do(&rig, 0, &sqe));
	rig_queue_init(&rig, 1, 16);
	(void)!rig_create_cq(&rig, 1, rig.q[1].cq, 16, 1);
	rig_put(&rig, &rig.q[0],
		&(struct rig_sqe){ .opcode = 0x01,
				   .prp1 = rig.q[1].sq,
				   .cdw10 = 15 << 16 | 1,
				   .cdw11 = 1 << 16 | 1 });
	rig_ring_tail(&rig, &rig.q[0]);
	EXPECT_TRUE(RIG_UNTIL(rig_r32(&rig, 0x1c) & 2));
	ASSERT_OK(rig_disable(&rig));
	ASSERT_OK(rig_enable(&rig));
}

TEST(believes_no_doorbell_in_memory)
{
	_Atomic uint32_t *bells;
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	u64 to;

	start_io("poll=on");
	to = rig_alloc(&rig, 4096);
	sqe = rig_rw(READ, 0, 1, to, 0);
	bells = (void *)(rig.func->desc.bars[0].memory + 0x1000);
	rig_put(&rig, &rig.q[0], &(struct rig_sqe){ .opcode = 0x0c });
	rig_ring_tail(&rig, &rig.q[0]);
	atomic_store(&bells[2], 0xffffffff);
	atomic_store(&bells[2 * 100], 7); /* a queue that is not there */
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_EQ(0x01 << 16 | 0x01 << 8 | 0, cqe.dw0);
	atomic_store(&bells[2], 0);
	atomic_store(&bells[3], 12345);
	EXPECT_OK(rig_do(&rig, 1, &sqe));
	EXPECT_OK(rig_do(&rig, 1, &sqe));
	/* Registers and doorbells are shown as what they are. */
	EXPECT_EQ(PCI_AREA_REGISTERS, pci_bar_area(rig.func, 0, 0, &to));
	EXPECT_EQ(PCI_AREA_MEMORY, pci_bar_area(rig.func, 0, 0x1000, &to));
	EXPECT_EQ(PCI_AREA_TRAPPED, pci_bar_area(rig.func, 0, 0x2000, &to));
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static double idle_share(const char *options)
{
	double before;

	start_io(options);
	usleep(50000);
	before = cpu_seconds();
	usleep(500000);
	return (cpu_seconds() - before) / 0.5;
}

TEST(rests_when_there_is_nothing_to_do)
{
	EXPECT_TRUE(idle_share("spin=1000,workers=4") < 0.05);
}

TEST(rests_when_there_is_nothing_to_poll)
{
	double share = idle_share("poll=on");

	printf("# %.1f %% of a processor\n", share * 100);
	EXPECT_TRUE(share < 0.2);
}

/*
 * Interrupts
 */

static unsigned int total(unsigned int vector)
{
	return atomic_load(&rig.messages[vector]);
}

TEST(sends_messages_of_msix)
{
	struct rig_sqe sqe;
	unsigned int i;

	plug("vectors=8");
	pci_irq_set_mode(rig.func, PCI_IRQ_MSIX, 8);
	ASSERT_OK(rig_enable(&rig));
	ASSERT_OK(rig_queue(&rig, 1, 16, 5));
	ASSERT_OK(rig_queue(&rig, 2, 16, -1));
	EXPECT_TRUE(RIG_UNTIL(total(0) >= 1)); /* the admin queue's */
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 1; i <= 10; i++) {
		ASSERT_OK(rig_do(&rig, 1, &sqe));
		EXPECT_TRUE(RIG_UNTIL(total(5) >= i));
	}
	EXPECT_EQ(10, total(5));
	ASSERT_OK(rig_do(&rig, 2, &sqe));
	for (i = 1; i < 8; i++)
		EXPECT_EQ(i == 5 ? 10 : 0, total(i));
	EXPECT_TRUE(!atomic_load(&rig.pin));
	/* None after a reset. */
	pci_func_reset(rig.func);
	i = total(0);
	usleep(2000);
	EXPECT_EQ(i, total(0));
}

TEST(sends_messages_of_msi_and_masks_them)
{
	struct rig_sqe sqe;

	plug("vectors=4,msix=off");
	EXPECT_TRUE(!pci_find_cap(rig.func, 0x11));
	pci_irq_set_mode(rig.func, PCI_IRQ_MSI, 4);
	ASSERT_OK(rig_enable(&rig));
	ASSERT_OK(rig_queue(&rig, 1, 16, 2));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	ASSERT_OK(rig_do(&rig, 1, &sqe));
	EXPECT_TRUE(RIG_UNTIL(total(2) == 1));
	rig_w32(&rig, 0x0c, 1 << 2); /* INTMS */
	EXPECT_EQ(1 << 2, rig_r32(&rig, 0x0c));
	EXPECT_EQ(1 << 2, rig_r32(&rig, 0x10));
	ASSERT_OK(rig_do(&rig, 1, &sqe));
	ASSERT_OK(rig_do(&rig, 1, &sqe));
	usleep(2000);
	EXPECT_EQ(1, total(2));
	rig_w32(&rig, 0x10, 1 << 2); /* INTMC */
	EXPECT_EQ(2, total(2));
	EXPECT_EQ(0, rig_r32(&rig, 0x0c));
}

static void check_pin(void)
{
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	unsigned int i;

	/* A controller that polls takes a while to see that the admin queue was rung for. */
	EXPECT_TRUE(RIG_UNTIL(!atomic_load(&rig.pin)));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 0; i < 2; i++)
		rig_put(&rig, &rig.q[1], &sqe);
	rig_ring_tail(&rig, &rig.q[1]);
	EXPECT_TRUE(RIG_UNTIL(atomic_load(&rig.pin)));
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(RIG_UNTIL(rig_take(&rig, &rig.q[1], &cqe)));
	/*
	 * It is a level. What was seen of it above may have been the admin queue's: a controller
	 * that is just about to raise it when that is rung for raises it for a moment.
	 */
	EXPECT_TRUE(RIG_UNTIL(atomic_load(&rig.pin)));
	usleep(1000);
	EXPECT_TRUE(atomic_load(&rig.pin));
	rig_w32(&rig, 0x0c, 1);
	EXPECT_TRUE(!atomic_load(&rig.pin));
	rig_w32(&rig, 0x10, 1);
	EXPECT_TRUE(atomic_load(&rig.pin));
	rig_ring_head(&rig, &rig.q[1]);
}

TEST(raises_its_pin)
{
	struct rig_sqe sqe;
	unsigned int rises, i;

	start("");
	EXPECT_TRUE(RIG_UNTIL(!atomic_load(&rig.pin)));
	ASSERT_OK(rig_queue(&rig, 1, 16, 0));
	check_pin();
	/* Lowered by the call that rings: a handler must not see it again. */
	EXPECT_TRUE(!atomic_load(&rig.pin));
	rises = atomic_load(&rig.rises);
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 1; i <= 100; i++) {
		ASSERT_OK(rig_do(&rig, 1, &sqe));
		EXPECT_TRUE(RIG_UNTIL(!atomic_load(&rig.pin)));
	}
	EXPECT_TRUE(atomic_load(&rig.rises) - rises <= 100);
	/* The queue ends, the controller is reset: low. */
	rig_put(&rig, &rig.q[1], &sqe);
	rig_ring_tail(&rig, &rig.q[1]);
	EXPECT_TRUE(RIG_UNTIL(atomic_load(&rig.pin)));
	ASSERT_OK(rig_disable(&rig));
	EXPECT_TRUE(!atomic_load(&rig.pin));
}

TEST(raises_its_pin_with_shadow_doorbells)
{
	start("");
	use_shadow();
	ASSERT_OK(rig_queue(&rig, 1, 16, 0));
	check_pin();
	/* It had asked to be rung: lowered in that call. */
	EXPECT_TRUE(!atomic_load(&rig.pin));
}

/* Who has not been told of the second completion would not ring after it. */
TEST(tells_the_driver_again_before_its_pin_stays_high)
{
	struct rig_queue q;
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	unsigned int i, rises;

	start("");
	use_shadow();
	ASSERT_OK(rig_queue(&rig, 1, 16, 0));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 0; i < 2; i++)
		rig_put(&rig, &rig.q[1], &sqe);
	rig_ring_tail(&rig, &rig.q[1]);
	EXPECT_TRUE(RIG_UNTIL(rig_take(&rig, &rig.q[1], &cqe)));
	/* The second one is there as well. */
	q = rig.q[1];
	EXPECT_TRUE(RIG_UNTIL(rig_take(&rig, &q, &cqe)));
	EXPECT_TRUE(RIG_UNTIL(atomic_load(&rig.pin)));
	rises = atomic_load(&rig.rises);
	rig_ring_head(&rig, &rig.q[1]);
	EXPECT_TRUE(RIG_UNTIL(atomic_load(&rig.rises) == rises + 1));
	EXPECT_TRUE(rig_take(&rig, &rig.q[1], &cqe));
	rig_ring_head(&rig, &rig.q[1]);
	EXPECT_TRUE(!atomic_load(&rig.pin));
}

/*
 * The driver rings for the first of two completions, at every moment around that of the
 * second one: it is interrupted for the second in any case.
 */
TEST(raises_its_pin_for_what_comes_while_it_is_rung)
{
	struct rig_cqe cqe;
	struct rig_sqe sqe;
	unsigned int i;

	start("");
	use_shadow();
	ASSERT_OK(rig_queue(&rig, 1, 16, 0));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	for (i = 0; i < 20000; i++) {
		double until;

		rig_put(&rig, &rig.q[1], &sqe);
		rig_ring_tail(&rig, &rig.q[1]);
		rig_put(&rig, &rig.q[1], &sqe);
		rig_ring_tail(&rig, &rig.q[1]);
		ASSERT_TRUE(RIG_UNTIL(rig_take(&rig, &rig.q[1], &cqe)));
		for (until = rig_time() + i % 64 * 50e-9; rig_time() < until;)
			;
		rig_ring_head(&rig, &rig.q[1]);
		ASSERT_TRUE(RIG_UNTIL(atomic_load(&rig.pin)));
		ASSERT_TRUE(RIG_UNTIL(rig_take(&rig, &rig.q[1], &cqe)));
		rig_ring_head(&rig, &rig.q[1]);
		ASSERT_TRUE(RIG_UNTIL(!atomic_load(&rig.pin)));
	}
}

TEST(raises_its_pin_while_polling)
{
	start("poll=on");
	ASSERT_OK(rig_queue(&rig, 1, 16, 0));
	check_pin();
	EXPECT_TRUE(RIG_UNTIL(!atomic_load(&rig.pin)));
}

/*
 * Four commands: one message for all of them. Return: was it quick enough to tell? The
 * machine may be busy, and then the time runs out in between.
 */
static bool coalesces(const struct rig_sqe *sqe)
{
	unsigned int before = total(5), early, i;
	double start_time = rig_time(), end_time;

	for (i = 0; i < 3; i++)
		EXPECT_OK(rig_do(&rig, 1, sqe));
	early = total(5);
	EXPECT_OK(rig_do(&rig, 1, sqe));
	EXPECT_TRUE(RIG_UNTIL(total(5) > before));
	end_time = rig_time();
	usleep(60000);
	if (end_time - start_time > 0.02)
		return false;
	EXPECT_EQ(before, early);
	EXPECT_EQ(before + 1, total(5));
	return true;
}

TEST(keeps_messages_for_the_sake_of_coalescing)
{
	unsigned int tries = 0, before;
	struct rig_sqe sqe;
	double start_time;

	plug("vectors=8");
	pci_irq_set_mode(rig.func, PCI_IRQ_MSIX, 8);
	ASSERT_OK(rig_enable(&rig));
	ASSERT_OK(rig_queue(&rig, 1, 32, 5));
	ASSERT_OK(rig_queue(&rig, 2, 32, 6));
	/* Up to 4 entries (counted from 0), or 25 ms; vector 6 is left out. */
	ASSERT_OK(rig_set_feature(&rig, 0x08, 0, 250 << 8 | 3, 0));
	ASSERT_OK(rig_set_feature(&rig, 0x09, 0, 1 << 16 | 6, 0));
	sqe = rig_rw(READ, 0, 1, rig_alloc(&rig, 4096), 0);
	while (!coalesces(&sqe) && ++tries < 20)
		;
	/* The time. */
	before = total(5);
	start_time = rig_time();
	ASSERT_OK(rig_do(&rig, 1, &sqe));
	EXPECT_TRUE(RIG_UNTIL(total(5) > before));
	EXPECT_TRUE(rig_time() - start_time > 0.02);
	ASSERT_OK(rig_do(&rig, 2, &sqe));
	EXPECT_TRUE(RIG_UNTIL(total(6) == 1));
}
