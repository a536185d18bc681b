// SPDX-License-Identifier: MIT
/*
 * Invalidation where membarrier(2) does not work, as in a sandbox: the program
 * forbids it to itself, and ports must then pay for a barrier at each access. A
 * port that never rests must not keep who invalidates waiting, and one that is in
 * an access must.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "port.h"

#define PAGE_IOVA KIB4

static bool forbid_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { ARRAY_SIZE(code), code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void begin_fenced(void)
{
	if (!forbid_membarrier())
		SKIP("seccomp is not allowed here");
	begin();
	ASSERT_TRUE(dport->fence);
}

TEST(translations_are_kept_and_dropped)
{
	struct rule *r;

	begin_fenced();
	r = rule_add(PAGE_IOVA, 12, 0x10000, RW);
	/* Each access has its barrier, whether something was posted or not. */
	EXPECT_TRUE(port->pending);
	EXPECT_TRUE(!is_cached(PAGE_IOVA, R));
	EXPECT_TRUE(is_cached(PAGE_IOVA, R));
	EXPECT_TRUE(port->pending);
	invalidate(0x100000, 0x1fffff);
	EXPECT_TRUE(is_cached(PAGE_IOVA, R));
	EXPECT_TRUE(port->pending);
	forget(r);
	EXPECT_TRUE(!is_cached(PAGE_IOVA, R));
	end();
}

static _Atomic bool stop, inside;
static _Atomic unsigned int writes;

/* Never rests: an access follows another at once. */
static void *write_on(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		u64 *p;

		siommu_dma_begin(port);
		p = siommu_dma_find(port, PAGE_IOVA, 8, W);
		if (p) {
			__atomic_store_n(p, 0xbad, __ATOMIC_RELAXED);
			atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
		}
		siommu_dma_end(port);
	}
	return NULL;
}

TEST(nothing_is_written_after_invalidation)
{
	u64 *page = aligned_alloc(KIB4, KIB4);
	unsigned int round, late = 0, before;
	pthread_t thread;
	struct rule *r;

	begin_fenced();
	atomic_store(&stop, false);
	ASSERT_OK(-pthread_create(&thread, NULL, write_on, NULL));
	for (round = 0; round < 200; round++) {
		before = atomic_load(&writes);
		r = rule_add(PAGE_IOVA, 12, address(page), RW);
		while (atomic_load(&writes) == before)
			sched_yield();
		forget(r);
		/* It is ours alone now: a sanitizer sees it if not. */
		page[0] = 0x600d;
		before = atomic_load(&writes);
		sched_yield();
		late += page[0] != 0x600d || atomic_load(&writes) != before;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, late);
	end();
	free(page);
}

static void *stay_inside(void *arg)
{
	bool *done = arg;

	siommu_dma_begin(port);
	atomic_store(&inside, true);
	usleep(20000);
	*done = true;
	siommu_dma_end(port);
	return NULL;
}

TEST(an_access_is_waited_for)
{
	bool done = false;
	pthread_t thread;

	begin_fenced();
	atomic_store(&inside, false);
	ASSERT_OK(-pthread_create(&thread, NULL, stay_inside, &done));
	while (!atomic_load(&inside))
		sched_yield();
	invalidate(0, U64_MAX);
	/* Not atomic: the wait has made it ours to read. */
	EXPECT_TRUE(done);
	pthread_join(thread, NULL);
	end();
}
