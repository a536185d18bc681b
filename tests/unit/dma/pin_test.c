// SPDX-License-Identifier: MIT
/*
 * Pins: translated once and used for long; whoever invalidates has them ended,
 * by the same thread or another one, and waits for that.
 */
#include <sched.h>

#include "port.h"

/**
 * struct told - what the device was told
 * @n: how often
 * @iova: the last time
 * @length: likewise
 * @later: end the pin later; otherwise at once
 */
static struct told {
	_Atomic unsigned int n;
	u64 iova;
	u64 length;
	bool later;
} told;

static void unpin(void *arg, uint64_t iova, uint64_t length)
{
	EXPECT_TRUE(arg == &told);
	told.iova = iova;
	told.length = length;
	atomic_fetch_add(&told.n, 1);
	if (!told.later)
		siommu_dma_unpin(port, iova, length);
}

static const struct siommu_port_ops ops = { .unpin = unpin };

static void begin_pins(void)
{
	const struct siommu_port_params params = { .size = sizeof(params),
						   .ops = &ops,
						   .arg = &told };

	memset(&told, 0, sizeof(told));
	begin_with(&params);
}

static int pin(u64 iova, u64 length, unsigned int access, struct siommu_sg *sg, unsigned int room)
{
	unsigned int n = room;
	int rc = siommu_dma_pin(port, iova, length, access, sg, &n);

	return rc ? rc : (int)n;
}

static void expect_piece(const struct siommu_sg *sg, u64 base, u64 length)
{
	EXPECT_EQ(base, address(sg->base));
	EXPECT_EQ(length, sg->length);
}

TEST(pieces)
{
	struct siommu_sg sg[4];

	begin_pins();
	rule_add(0x1000, 12, 0x50000, RW);
	rule_add(0x2000, 12, 0x51000, RW);
	rule_add(0x3000, 12, 0x80000, R);
	rule_add(MIB2, 21, 0x40000000, RW);
	rule_add(2 * MIB2, 21, 0x40000000 + MIB2, RW);
	/* Neighbours become one. */
	ASSERT_EQ(2, pin(0x1800, 0x2000, R, sg, 4));
	expect_piece(&sg[0], 0x50800, 0x1800);
	expect_piece(&sg[1], 0x80000, 0x800);
	ASSERT_EQ(1, pin(MIB2 + 1, 2 * MIB2 - 1, RW, sg, 1));
	expect_piece(&sg[0], 0x40000001, 2 * MIB2 - 1);
	ASSERT_EQ(1, pin(0x3fff, 1, R, sg, 1));
	expect_piece(&sg[0], 0x80fff, 1);
	siommu_dma_unpin(port, 0x1800, 0x2000);
	siommu_dma_unpin(port, MIB2 + 1, 2 * MIB2 - 1);
	siommu_dma_unpin(port, 0x3fff, 1);
	/* What is no pin. */
	siommu_dma_unpin(port, 0x3fff, 1);
	siommu_dma_unpin(port, 0x3fff, 0);
	EXPECT_EQ(0, told.n);
	end();
}

TEST(what_cannot_be_pinned)
{
	struct siommu_sg sg[2];
	struct rule *r;

	begin_pins();
	rule_add(0x1000, 12, 0x50000, RW);
	rule_add(0x2000, 12, 0x70000, R);
	rule_add(0x3000, 12, (u64)1 << HPA_REMOTE_LG2, RW);
	r = rule_add(0xfee00000, 20, 0xfee00000, W);
	r->interrupt = true;
	EXPECT_RC(-EINVAL, pin(0x1000, 0, R, sg, 2));
	EXPECT_RC(-EINVAL, pin(U64_MAX, 2, R, sg, 2));
	EXPECT_RC(-EINVAL, pin(0x1000, 1, 0, sg, 2));
	EXPECT_RC(-EINVAL, pin(0x1000, 1, X, sg, 2));
	EXPECT_RC(-EMSGSIZE, pin(0x1000, 0x1001, R, sg, 1));
	EXPECT_RC(-EMSGSIZE, pin(0x1000, 1, R, sg, 0));
	EXPECT_RC(-EFAULT, pin(0x1000, 0x1001, W, sg, 2));
	EXPECT_EQ(0x2000, siommu_dma_fault(port)->iova);
	EXPECT_RC(-EREMOTE, pin(0x3000, 1, R, sg, 2));
	EXPECT_RC(-EREMOTE, pin(0xfee00000, 4, W, sg, 2));
	dport->careful = true;
	invalidate(0, U64_MAX);
	EXPECT_RC(-EREMOTE, pin(0x1000, 1, R, sg, 2));
	/* Nothing of that is left to be waited for. */
	invalidate(0, U64_MAX);
	EXPECT_EQ(0, told.n);
	end();
	begin();
	rule_add(0x1000, 12, 0x50000, RW);
	EXPECT_RC(-EINVAL, pin(0x1000, 1, R, sg, 2));
	end();
}

TEST(invalidation_ends_pins)
{
	struct siommu_sg sg[2];

	begin_pins();
	rule_add(0x1000, 13, 0x50000, RW);
	ASSERT_EQ(1, pin(0x1000, 0x1000, RW, sg, 2));
	ASSERT_EQ(1, pin(0x2000, 8, RW, sg, 2));
	ASSERT_EQ(1, pin(0x2008, 8, RW, sg, 2));
	/* The same twice: each ends once. */
	ASSERT_EQ(1, pin(0x2008, 8, RW, sg, 2));
	invalidate(0x3000, U64_MAX);
	EXPECT_EQ(0, told.n);
	invalidate(0x2000, 0x2000);
	EXPECT_EQ(1, told.n);
	EXPECT_EQ(0x2000, told.iova);
	EXPECT_EQ(8, told.length);
	invalidate(0x2000, 0x2fff);
	EXPECT_EQ(3, told.n);
	EXPECT_EQ(0x2008, told.iova);
	invalidate(0, U64_MAX);
	EXPECT_EQ(4, told.n);
	EXPECT_EQ(0x1000, told.iova);
	invalidate(0, U64_MAX);
	EXPECT_EQ(4, told.n);
	end();
}

static void *unpin_soon(void *arg)
{
	_Atomic bool *ended = arg;
	const struct timespec t = { .tv_nsec = 20000000 };

	while (!atomic_load(&told.n))
		sched_yield();
	nanosleep(&t, NULL);
	atomic_store(ended, true);
	siommu_dma_unpin(port, told.iova, told.length);
	return NULL;
}

TEST(another_thread_ends_it)
{
	_Atomic bool ended = false;
	struct siommu_sg sg[2];
	pthread_t thread;

	begin_pins();
	told.later = true;
	rule_add(0x1000, 12, 0x50000, RW);
	ASSERT_EQ(1, pin(0x1000, 16, RW, sg, 2));
	ASSERT_OK(-pthread_create(&thread, NULL, unpin_soon, &ended));
	invalidate(0x1000, 0x1000);
	EXPECT_TRUE(atomic_load(&ended));
	EXPECT_EQ(1, told.n);
	pthread_join(thread, NULL);
	end();
}

static struct rule *to_change;

/* The tables change after the port has read them, and before it is done. */
static void change_meanwhile(void)
{
	rules.meanwhile = NULL;
	to_change->hpa = 0x90000;
	dma_port_post(dport, 0x1000, 0x1fff);
	dma_barrier();
}

static _Atomic bool invalidated;

static void *invalidate_meanwhile(void *arg)
{
	(void)arg;
	dma_port_wait(dport, 0x1000, 0x1fff);
	atomic_store(&invalidated, true);
	return NULL;
}

static pthread_t waiting;

static void change_and_wait_elsewhere(void)
{
	change_meanwhile();
	ASSERT_OK(-pthread_create(&waiting, NULL, invalidate_meanwhile, NULL));
}

static void let_it_end(void)
{
	/* In the second access: nothing keeps who waits for the first one. */
	rules.meanwhile = NULL;
	pthread_join(waiting, NULL);
	EXPECT_TRUE(atomic_load(&invalidated));
}

static unsigned int step_of_change;

static void change_in_steps(void)
{
	switch (++step_of_change) {
	case 1:
		change_and_wait_elsewhere();
		rules.meanwhile = change_in_steps;
		break;
	case 2:
		let_it_end();
		break;
	}
}

TEST(a_pin_that_is_being_made)
{
	struct siommu_sg sg[2];

	begin_pins();
	told.later = true;
	step_of_change = 0;
	atomic_store(&invalidated, false);
	to_change = rule_add(0x1000, 12, 0x50000, RW);
	rule_add(0x2000, 12, 0x70000, RW);
	rules.meanwhile = change_in_steps;
	/* The first page changes under it; nobody waits for a pin that is not made. */
	ASSERT_EQ(2, pin(0x1000, 0x2000, RW, sg, 2));
	EXPECT_EQ(2, step_of_change);
	expect_piece(&sg[0], 0x90000, 0x1000);
	expect_piece(&sg[1], 0x70000, 0x1000);
	EXPECT_EQ(0, told.n);
	siommu_dma_unpin(port, 0x1000, 0x2000);
	end();
}

/*
 * One thread pins, uses and unpins as it likes, and ends what it is told to;
 * another one moves the page and looks whether anybody is at the old place.
 */
static struct {
	pthread_mutex_t lock;
	u64 *memory;
	u64 pinned;
	bool want_end;
} owner = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Ends pins of 16 bytes itself, and asks the other thread to end those of 8. */
static void owner_told(void *arg, uint64_t iova, uint64_t length)
{
	bool end_now;

	(void)arg;
	pthread_mutex_lock(&owner.lock);
	/*
	 * It may be told before siommu_dma_pin() has returned to it, and of a pin
	 * that it has just ended by itself.
	 */
	end_now = owner.pinned == length && length == 16;
	if (end_now)
		owner.pinned = 0;
	else
		owner.want_end = true;
	pthread_mutex_unlock(&owner.lock);
	if (end_now)
		siommu_dma_unpin(port, iova, length);
}

static _Atomic bool stop;
static _Atomic unsigned int used;

static void *pin_and_use(void *arg)
{
	unsigned int round = 0;
	struct siommu_sg sg[1];

	(void)arg;
	while (!atomic_load(&stop)) {
		u64 length = 8 << (round++ % 2);
		bool mine = true;
		unsigned int i;

		if (pin(0x1000, length, RW, sg, 1) != 1)
			continue;
		pthread_mutex_lock(&owner.lock);
		owner.pinned = length;
		for (i = 0; i < 20 && !owner.want_end; i++) {
			*(u64 *)sg->base = 0xbad;
			atomic_fetch_add(&used, 1);
			pthread_mutex_unlock(&owner.lock);
			sched_yield();
			pthread_mutex_lock(&owner.lock);
			mine = owner.pinned;
			if (!mine)
				break;
		}
		owner.pinned = 0;
		owner.want_end = false;
		pthread_mutex_unlock(&owner.lock);
		if (mine)
			siommu_dma_unpin(port, 0x1000, length);
	}
	return NULL;
}

TEST(pins_and_a_page_that_moves)
{
	static const struct siommu_port_ops owner_ops = { .unpin = owner_told };
	const struct siommu_port_params params = { .size = sizeof(params), .ops = &owner_ops };
	u64 *page = aligned_alloc(KIB4, 2 * KIB4);
	unsigned int rounds, late = 0;
	struct rule *r, *next;
	pthread_t thread;

	begin_with(&params);
	memset(page, 0, 2 * KIB4);
	atomic_store(&stop, false);
	atomic_store(&used, 0);
	owner.pinned = 0;
	owner.want_end = false;
	r = rule_add(0x1000, 12, address(page), RW);
	ASSERT_OK(-pthread_create(&thread, NULL, pin_and_use, NULL));
	/* On a busy machine it may be long before it has its turn. */
	for (rounds = 0; rounds < 3000 || atomic_load(&used) < 100; rounds++) {
		u64 *old = page + (rounds % 2) * 512;

		/* In this order: a rule that is still being read is not made anew. */
		next = rule_add(0x1000, 12, address(page + (rounds + 1) % 2 * 512), RW);
		atomic_store(&r->used, false);
		invalidate(0x1000, 0x1fff);
		/* Nobody's but ours, until it is mapped again. */
		*old = 0x600d;
		if (rounds % 8 == 0)
			sched_yield();
		late += *old != 0x600d;
		r = next;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, late);
	end();
	free(page);
}
