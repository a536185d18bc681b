// SPDX-License-Identifier: MIT
/* PASIDs that are given out for the whole machine: who gets which, and what becomes of them. */
#include <pthread.h>

#include <softiommu/softiommu.h>

#include "core/ctx.h"
#include "unit.h"

#define QUOTA  1000
#define SPACES 4
#define LAST   CORE_PASID_LAST

/* A process: its address space, and what it owns. */
static struct process {
	struct mem_space space;
	struct core_pasid_set *set;
	bool released;
} process[SPACES];

static struct siommu_machine *machine;
static size_t blocks;

static void release(struct mem_space *space)
{
	container_of(space, struct process, space)->released = true;
}

static const struct mem_space_ops space_ops = { .release = release };

static size_t used(void)
{
	size_t n;

	siommu_machine_used(machine, NULL, &n);
	return n;
}

static void begin(unsigned int quota)
{
	const struct siommu_machine_params params = {
		.size = sizeof(params),
		.pasid_quota = quota,
	};
	unsigned int i;

	ASSERT_OK(siommu_machine_create(&params, &machine));
	for (i = 0; i < SPACES; i++) {
		process[i].set = NULL;
		process[i].released = false;
		ASSERT_OK(mem_space_init(&process[i].space, &space_ops, &machine->host, i));
	}
	blocks = used();
}

static void setup(void)
{
	begin(0);
}

static void teardown(void)
{
	unsigned int i;

	for (i = 0; i < SPACES; i++)
		if (process[i].set)
			core_pasid_set_put(process[i].set);
	if (!unit.failures)
		EXPECT_EQ(blocks, used());
	for (i = 0; i < SPACES; i++) {
		mem_space_put(&process[i].space);
		EXPECT_TRUE(process[i].released);
	}
	siommu_machine_destroy(machine);
}

__attribute__((constructor)) static void fixture(void)
{
	unit.setup = setup;
	unit.teardown = teardown;
}

static struct core_pasid_set *get_set(unsigned int i)
{
	if (!process[i].set)
		ASSERT_OK(core_pasid_set_get(machine, &process[i].space, &process[i].set));
	return process[i].set;
}

static void put_set(unsigned int i)
{
	core_pasid_set_put(process[i].set);
	process[i].set = NULL;
}

/* Return: a PASID or -errno. */
static int take(unsigned int i, u32 min, u32 max)
{
	struct core_pasid_set *set = get_set(i);
	u32 pasid = 0;
	int rc;

	pthread_mutex_lock(&set->lock);
	rc = core_pasid_alloc(set, min, max, &pasid);
	pthread_mutex_unlock(&set->lock);
	return rc ? rc : (int)pasid;
}

static void give_back(unsigned int i, u32 min, u32 max)
{
	struct core_pasid_set *set = get_set(i);

	pthread_mutex_lock(&set->lock);
	core_pasid_free(set, min, max);
	pthread_mutex_unlock(&set->lock);
}

static bool owns(unsigned int i, u64 pasid)
{
	struct core_pasid_set *set = get_set(i);
	bool yes;

	pthread_mutex_lock(&set->lock);
	yes = core_pasid_owned(set, pasid);
	pthread_mutex_unlock(&set->lock);
	return yes;
}

TEST(the_lowest_of_a_range_that_is_free_is_given_out)
{
	EXPECT_EQ(1, take(0, 0, LAST));
	EXPECT_EQ(2, take(0, 0, LAST));
	EXPECT_EQ(100, take(0, 100, 200));
	EXPECT_EQ(101, take(0, 100, 200));
	EXPECT_EQ(3, take(0, 1, 200));
	give_back(0, 2, 2);
	EXPECT_EQ(2, take(0, 1, LAST));
}

/* 0 stands for none, and there are 20 bits. */
TEST(a_range_is_cut_to_what_pasids_there_are)
{
	EXPECT_RC(-ENOSPC, take(0, 0, 0));
	EXPECT_RC(-ENOSPC, take(0, LAST + 1, UINT32_MAX));
	EXPECT_RC(-ENOSPC, take(0, UINT32_MAX, UINT32_MAX));
	EXPECT_EQ(LAST, take(0, LAST, UINT32_MAX));
	EXPECT_RC(-ENOSPC, take(0, LAST, UINT32_MAX));
	EXPECT_RC(-ENOSPC, take(0, 7, 5));
	EXPECT_EQ(1, take(0, 0, UINT32_MAX));
}

TEST(a_range_of_which_all_are_taken_has_none)
{
	u32 i;

	/* Across the ends of words of the bitmap. */
	for (i = 60; i <= 131; i++)
		EXPECT_EQ(i, take(0, 60, 131));
	EXPECT_RC(-ENOSPC, take(0, 60, 131));
	EXPECT_EQ(132, take(0, 60, 132));
	EXPECT_EQ(59, take(0, 59, 132));
	give_back(0, 64, 64);
	EXPECT_EQ(64, take(0, 60, 131));
}

TEST(no_two_processes_have_the_same)
{
	EXPECT_EQ(1, take(0, 0, LAST));
	EXPECT_EQ(2, take(1, 0, LAST));
	EXPECT_EQ(3, take(0, 0, LAST));
	EXPECT_RC(-ENOSPC, take(1, 1, 3));
	EXPECT_TRUE(owns(0, 1) && !owns(1, 1));
	EXPECT_TRUE(owns(1, 2) && !owns(0, 2));
}

TEST(a_process_owns_what_it_was_given_and_nothing_else)
{
	EXPECT_EQ(5, take(0, 5, 5));
	EXPECT_TRUE(owns(0, 5));
	EXPECT_TRUE(!owns(0, 4) && !owns(0, 6) && !owns(0, 0));
	EXPECT_TRUE(!owns(0, ((u64)1 << 32) + 5));
	EXPECT_TRUE(!owns(0, U64_MAX));
	give_back(0, 5, 5);
	EXPECT_TRUE(!owns(0, 5));
}

TEST(freeing_leaves_what_others_own)
{
	take(0, 1, 1);
	take(1, 2, 2);
	take(0, 3, 3);
	give_back(0, 0, UINT32_MAX);
	EXPECT_TRUE(!owns(0, 1) && !owns(0, 3) && owns(1, 2));
	EXPECT_EQ(1, take(2, 1, LAST));
	EXPECT_EQ(3, take(2, 1, LAST));
	/* Nothing of theirs, twice the same, and the wrong way round: nothing to do. */
	give_back(0, 2, 2);
	give_back(0, 1, 1);
	give_back(0, 9, 1);
	EXPECT_TRUE(owns(1, 2) && owns(2, 1));
}

TEST(a_process_has_no_more_than_its_quota)
{
	unsigned int i;

	for (i = 1; i <= QUOTA; i++)
		ASSERT_EQ(i, take(0, 0, LAST));
	EXPECT_RC(-ENOSPC, take(0, 0, LAST));
	/* It is not the others' fault. */
	EXPECT_EQ(QUOTA + 1, take(1, 0, LAST));
	give_back(0, 17, 17);
	EXPECT_EQ(17, take(0, 0, LAST));
	EXPECT_RC(-ENOSPC, take(0, 0, LAST));
}

TEST(the_quota_is_the_machines)
{
	teardown();
	begin(3);
	EXPECT_EQ(1, take(0, 0, LAST));
	EXPECT_EQ(2, take(0, 0, LAST));
	EXPECT_EQ(3, take(0, 0, LAST));
	EXPECT_RC(-ENOSPC, take(0, 0, LAST));
}

TEST(a_process_has_one_set_whoever_asks)
{
	struct core_pasid_set *again;

	take(0, 8, 8);
	ASSERT_OK(core_pasid_set_get(machine, &process[0].space, &again));
	EXPECT_TRUE(again == process[0].set);
	put_set(0);
	/* Somebody still has it. */
	EXPECT_RC(-ENOSPC, take(1, 8, 8));
	core_pasid_set_put(again);
	EXPECT_EQ(8, take(1, 8, 8));
}

TEST(what_is_left_of_a_set_goes_with_it)
{
	unsigned int i;

	for (i = 0; i < 100; i++)
		take(0, 0, LAST);
	put_set(0);
	EXPECT_EQ(blocks, used());
	EXPECT_EQ(1, take(0, 0, LAST));
	EXPECT_TRUE(!owns(0, 2));
}

/* Somebody who binds PASIDs. */
struct binder {
	struct core_pasid_user user;
	struct core_pasid_set *set;
	u32 told[QUOTA];
	unsigned int n;
	bool gone;
};

static void note(struct core_pasid_user *user, u32 pasid)
{
	struct binder *b = container_of(user, struct binder, user);

	/* It is still ours, or somebody else could have it while it is bound here. */
	b->gone |= !core_pasid_owned(b->set, pasid);
	if (b->n < QUOTA)
		b->told[b->n] = pasid;
	b->n++;
}

static void use(struct binder *b, unsigned int i)
{
	b->set = get_set(i);
	b->user.unbind = note;
	b->n = 0;
	b->gone = false;
	pthread_mutex_lock(&b->set->lock);
	core_pasid_user_add(b->set, &b->user);
	pthread_mutex_unlock(&b->set->lock);
}

static void unuse(struct binder *b)
{
	pthread_mutex_lock(&b->set->lock);
	core_pasid_user_remove(b->set, &b->user);
	pthread_mutex_unlock(&b->set->lock);
}

TEST(all_users_are_told_before_a_pasid_is_free)
{
	static struct binder a, b, other;

	use(&a, 0);
	use(&b, 0);
	use(&other, 1);
	take(0, 10, 20);
	take(0, 10, 20);
	give_back(0, 0, 10);
	EXPECT_EQ(1, a.n);
	EXPECT_EQ(10, a.told[0]);
	EXPECT_EQ(1, b.n);
	EXPECT_TRUE(!a.gone && !b.gone);
	unuse(&b);
	give_back(0, 0, 20);
	EXPECT_EQ(2, a.n);
	EXPECT_EQ(11, a.told[1]);
	EXPECT_EQ(1, b.n);
	EXPECT_EQ(0, other.n);
	unuse(&a);
	unuse(&other);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * The time depends on what is owned: users are told as often as that, and a range of 2^32
 * of which little is owned is as fast as that little.
 */
TEST(the_whole_range_is_freed_in_time_of_what_is_owned)
{
	static struct binder b;
	unsigned int i;
	double start;

	use(&b, 0);
	for (i = 0; i < QUOTA; i++)
		take(0, 0, LAST);
	give_back(0, 0, UINT32_MAX);
	EXPECT_EQ(QUOTA, b.n);
	for (i = 0; i < QUOTA; i++)
		EXPECT_EQ(i + 1, b.told[i]);
	start = now();
	for (i = 0; i < 10000; i++) {
		take(0, 500, 500);
		give_back(0, 0, UINT32_MAX);
	}
	/* If each looked at a million PASIDs this would be minutes. */
	EXPECT_TRUE(now() - start < 10);
	unuse(&b);
}

static _Atomic unsigned int failures_left;

static bool fail(void *arg)
{
	(void)arg;
	return atomic_fetch_sub(&failures_left, 1) == 1;
}

TEST(running_out_of_memory_takes_nothing)
{
	unsigned int n;
	int rc;

	machine->alloc.should_fail = fail;
	for (n = 1;; n++) {
		atomic_store(&failures_left, n);
		rc = core_pasid_set_get(machine, &process[0].space, &process[0].set);
		if (!rc)
			break;
		EXPECT_RC(-ENOMEM, rc);
		process[0].set = NULL;
		EXPECT_EQ(blocks, used());
	}
	EXPECT_EQ(3, n);
	atomic_store(&failures_left, 1);
	EXPECT_RC(-ENOMEM, take(0, 0, LAST));
	EXPECT_EQ(1, take(0, 0, LAST));
}

#define THREADS 4
#define ROUNDS	2000

static _Atomic unsigned char held[LAST + 1];

static void *race(void *arg)
{
	unsigned int i = *(unsigned int *)arg, n;

	for (n = 0; n < ROUNDS; n++) {
		struct core_pasid_set *set;
		u32 pasid = 0;

		if (core_pasid_set_get(machine, &process[i % 2].space, &set))
			break;
		pthread_mutex_lock(&set->lock);
		if (!core_pasid_alloc(set, 1, 3, &pasid) && atomic_fetch_add(&held[pasid], 1))
			unit_fail(__FILE__, __LINE__, "PASID %u belongs to two", pasid);
		pthread_mutex_unlock(&set->lock);
		pthread_mutex_lock(&set->lock);
		if (pasid) {
			atomic_store(&held[pasid], 0);
			core_pasid_free(set, pasid, pasid);
		}
		pthread_mutex_unlock(&set->lock);
		core_pasid_set_put(set);
	}
	return NULL;
}

TEST(sets_that_come_and_go_at_once_share_nothing)
{
	unsigned int number[THREADS], i;
	pthread_t thread[THREADS];

	for (i = 0; i < THREADS; i++) {
		number[i] = i;
		ASSERT_OK(pthread_create(&thread[i], NULL, race, &number[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(blocks, used());
}
