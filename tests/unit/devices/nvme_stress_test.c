// SPDX-License-Identifier: MIT
/*
 * Everything at once: drivers on several queues, while memory is unmapped and mapped, and
 * while the controller is reset. Once it has been reset, or memory was unmapped, nothing
 * may be written there any more.
 */
#include <pthread.h>

#include "devices/nvme_test.h"

#define DRIVERS 3

/* Data that comes and goes: the last half of the memory. */
#define FLEETING (RIG_RAM / 2)

static _Atomic bool stop;
static _Atomic unsigned int done, failed;

/* Read, write and compare until told to stop; what is not mapped may fail. */
static void *drive(void *arg)
{
	unsigned int qid = (unsigned int)(uintptr_t)arg;
	struct rig_queue *q = &rig.q[qid];
	uint64_t seed = qid;
	struct rig_cqe cqe;
	struct rig_sqe sqe;

	while (!atomic_load(&stop)) {
		static const uint8_t opcodes[] = { 0x01, 0x02, 0x05, 0x08, 0x0c };
		unsigned int n = 1 + unit_random(&seed) % 8, i;
		u64 page = qid * 1000 + unit_random(&seed) % 998;
		int status;

		for (i = 0; i < n; i++) {
			u64 data = RIG_IOVA + FLEETING + page * RIG_PAGE;

			sqe = rig_rw(opcodes[unit_random(&seed) % 5],
				     qid * 100 + unit_random(&seed) % 16, 16, data,
				     data + RIG_PAGE);
			rig_put(&rig, q, &sqe);
		}
		rig_ring_tail(&rig, q);
		for (i = 0; i < n; i++) {
			if (rig_wait(&rig, q, &cqe)) {
				atomic_fetch_add(&failed, 1);
				return NULL;
			}
			status = rig_status(&cqe);
			/* Data Transfer Error, or Compare Failure. */
			if (status && status != 0x0004 && status != 0x4285)
				atomic_fetch_add(&failed, 1);
			atomic_fetch_add(&done, 1);
		}
	}
	return NULL;
}

static void run_drivers(pthread_t *threads)
{
	unsigned int i;

	atomic_store(&stop, false);
	atomic_store(&done, 0);
	atomic_store(&failed, 0);
	for (i = 0; i < DRIVERS; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, drive, (void *)(uintptr_t)(i + 1)));
}

static void end_drivers(pthread_t *threads)
{
	unsigned int i;

	atomic_store(&stop, true);
	for (i = 0; i < DRIVERS; i++)
		pthread_join(threads[i], NULL);
}

static void unmap_while_running(const char *options)
{
	pthread_t threads[DRIVERS];
	unsigned int i, round;
	u8 *fleeting;
	size_t k;

	start(options);
	fleeting = rig.ram + FLEETING;
	for (i = 1; i <= DRIVERS; i++)
		ASSERT_OK(rig_queue(&rig, i, 64, (int)i));
	ASSERT_OK(rig_unmap(&rig, 0, RIG_RAM));
	ASSERT_OK(rig_map(&rig, 0, FLEETING, true));
	ASSERT_OK(rig_map(&rig, FLEETING, FLEETING, true));
	run_drivers(threads);
	for (round = 0; round < 20; round++) {
		usleep(5000);
		EXPECT_OK(rig_unmap(&rig, FLEETING, FLEETING));
		memset(fleeting, 0xa5, FLEETING);
		usleep(2000);
		for (k = 0; k < FLEETING && fleeting[k] == 0xa5; k++)
			;
		EXPECT_EQ(FLEETING, k);
		EXPECT_OK(rig_map(&rig, FLEETING, FLEETING, true));
	}
	end_drivers(threads);
	EXPECT_EQ(0, atomic_load(&failed));
	EXPECT_TRUE(atomic_load(&done) > 100);
	EXPECT_TRUE(!(rig_r32(&rig, 0x1c) & 2));
}

TEST(memory_goes_while_one_worker_uses_it)
{
	unmap_while_running("size=4M");
}

TEST(memory_goes_while_four_workers_use_it)
{
	unmap_while_running(image_new(4 << 20, ",workers=4"));
}

/* Commands without end; completions are for nobody. */
static void *flood(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	unsigned int bell;

	while (!atomic_load(&stop)) {
		bell = (unsigned int)(2 + unit_random(&seed) % 6);
		rig_w32(&rig, 0x1000 + 4 * (u64)bell, (u32)(unit_random(&seed) % 64));
	}
	return NULL;
}

/* Their memory is full of commands before the controller knows of it. */
static void fill_queues(void)
{
	unsigned int qid, i;
	struct rig_sqe sqe;

	for (qid = 1; qid <= DRIVERS; qid++) {
		struct rig_queue *q = &rig.q[qid];
		u64 data = RIG_IOVA + FLEETING + 2 * qid * RIG_PAGE;

		sqe = rig_rw(0x02, 0, 16, data, data + RIG_PAGE);
		rig_queue_init(&rig, qid, 64);
		for (i = 0; i < 64; i++)
			rig_put(&rig, q, &sqe);
		ASSERT_OK(rig_create_cq(&rig, qid, q->cq, 64, 1 | 2 | qid << 16));
		ASSERT_OK(rig_create_sq(&rig, qid, q->sq, 64, qid << 16 | 1));
	}
}

/* Everything is still after each reset: data, completions, interrupts. */
static void reset_while_running(const char *options)
{
	pthread_t threads[DRIVERS];
	unsigned int i, round, before;
	u8 *data;
	size_t k;

	plug(options);
	pci_irq_set_mode(rig.func, PCI_IRQ_MSIX, 8);
	data = rig.ram + FLEETING;
	atomic_store(&stop, false);
	for (i = 0; i < DRIVERS; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, flood, (void *)(uintptr_t)(i + 1)));
	for (round = 0; round < 30 && !unit.failures; round++) {
		EXPECT_OK(rig_enable(&rig));
		fill_queues();
		usleep(1000);
		if (round % 2) {
			pci_func_reset(rig.func);
			rig_command(&rig, true);
			pci_irq_set_mode(rig.func, PCI_IRQ_MSIX, 8);
		} else {
			EXPECT_OK(rig_disable(&rig));
		}
		memset(data, 0x5a, 8 * RIG_PAGE);
		memset(rig_at(&rig, rig.q[1].cq), 0x5a, 1024);
		before = atomic_load(&rig.messages[1]);
		usleep(500);
		for (k = 0; k < 8 * RIG_PAGE && data[k] == 0x5a; k++)
			;
		EXPECT_EQ(8 * RIG_PAGE, k);
		EXPECT_EQ(0x5a5a5a5a, le32(rig_at(&rig, rig.q[1].cq), 12));
		EXPECT_EQ(before, atomic_load(&rig.messages[1]));
	}
	atomic_store(&stop, true);
	for (i = 0; i < DRIVERS; i++)
		pthread_join(threads[i], NULL);
}

TEST(resets_stop_one_worker)
{
	reset_while_running("size=1M,vectors=8");
}

TEST(resets_stop_four_workers)
{
	reset_while_running(image_new(1 << 20, ",workers=4,vectors=8"));
}

TEST(resets_stop_what_polls)
{
	reset_while_running("size=1M,vectors=8,poll=on,workers=2");
}
