// SPDX-License-Identifier: MIT
/*
 * The TLB and its invalidation: what it may keep, what must go, and that
 * whoever invalidates waits for the accesses that could still use the old state.
 * The oracle of the random test is the list of rules itself.
 */
#include <sched.h>

#include "port.h"

static u64 hpa_of(u64 iova, unsigned int access)
{
	u64 hpa;

	return siommu_dma_translate(port, iova, access, &hpa, NULL) ? U64_MAX : hpa;
}

TEST(pages_of_all_sizes)
{
	static const unsigned int sizes[] = { 12, 13, 16, 20, 21, 22, 25, 29, 30, 31, 39 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 size = (u64)1 << sizes[i], hpa = (u64)3 << 39;
		u64 at = size - 1 < 0x12345 ? size - 1 : 0x12345;
		unsigned int class = sizes[i] >= 30 ? 30 : sizes[i] >= 21 ? 21 : 12;

		begin();
		rule_add(0, sizes[i], hpa, RW);
		EXPECT_EQ(hpa + at, hpa_of(at, R));
		/* Each piece as large as the class, and the last one of all. */
		EXPECT_TRUE(is_cached(at & ~low_bits(class), W));
		EXPECT_TRUE(is_cached(at | low_bits(class), R));
		EXPECT_EQ(hpa + size - 1, hpa_of(size - 1, R));
		EXPECT_EQ(U64_MAX, hpa_of(size, R));
		/* Any byte of it, wherever the pieces are. */
		invalidate(size / 2, size / 2);
		EXPECT_TRUE(!is_cached(at, R));
		invalidate(size - 1, size - 1);
		EXPECT_TRUE(!is_cached(size - 1, R));
		invalidate(size, size + 0xfff);
		/* With many pieces, all may go; with few, only what is meant. */
		if (sizes[i] - class < 4)
			EXPECT_TRUE(is_cached(size - 1, R));
		end();
	}
}

TEST(others_stay)
{
	begin();
	rule_add(0x1000, 12, 0x10000, RW);
	rule_add(0x2000, 12, 0x30000, RW);
	rule_add(0x3000, 12, 0x50000, RW);
	rule_add(MIB2, 21, MIB2 * 5, RW);
	rule_add(GIB1, 30, GIB1 * 5, RW);
	hpa_of(0x1000, R);
	hpa_of(0x2000, R);
	hpa_of(0x3000, R);
	hpa_of(MIB2, R);
	hpa_of(GIB1, R);
	invalidate(0x2000, 0x2fff);
	EXPECT_TRUE(is_cached(0x1000, R) && is_cached(0x3000, R));
	EXPECT_TRUE(is_cached(MIB2, R) && is_cached(GIB1, R));
	EXPECT_TRUE(!is_cached(0x2000, R));
	invalidate(MIB2 + 5, MIB2 + 5);
	EXPECT_TRUE(is_cached(0x1000, R) && is_cached(0x2000, R) && is_cached(0x3000, R));
	EXPECT_TRUE(is_cached(GIB1, R));
	EXPECT_TRUE(!is_cached(MIB2, R));
	invalidate(2 * GIB1 - 1, 2 * GIB1 - 1);
	EXPECT_TRUE(is_cached(0x1000, R) && is_cached(MIB2, R));
	EXPECT_TRUE(!is_cached(GIB1, R));
	invalidate(0, U64_MAX);
	EXPECT_TRUE(!is_cached(0x1000, R) && !is_cached(MIB2, R) && !is_cached(GIB1, R));
	end();
}

/* A guest's 2 MiB page on a host's 4 KiB pages: known by pieces, meant as one. */
TEST(spans)
{
	struct rule *r;
	u64 i;

	begin();
	r = rule_add(MIB2, 21, MIB2 * 5, RW);
	r->piece_lg2 = 12;
	for (i = 0; i < 8; i++)
		EXPECT_EQ(MIB2 * 5 + i * 0x1000, hpa_of(MIB2 + i * 0x1000, R));
	EXPECT_EQ(8, rules.walks);
	invalidate(2 * MIB2 - 1, 2 * MIB2 - 1);
	for (i = 0; i < 8; i++)
		EXPECT_TRUE(!is_cached(MIB2 + i * 0x1000, R));
	/* And 1 GiB on 2 MiB. */
	r = rule_add(GIB1, 30, GIB1 * 5, RW);
	r->piece_lg2 = 21;
	hpa_of(GIB1, R);
	hpa_of(GIB1 + 17 * MIB2, R);
	invalidate(GIB1 + 100 * MIB2, GIB1 + 100 * MIB2);
	EXPECT_TRUE(!is_cached(GIB1, R) && !is_cached(GIB1 + 17 * MIB2, R));
	end();
}

TEST(more_permissions_are_asked_for)
{
	struct rule *r;

	begin();
	r = rule_add(0x1000, 12, 0x10000, R);
	EXPECT_EQ(0x10000, hpa_of(0x1000, R));
	EXPECT_TRUE(is_cached(0x1000, R));
	/* What was refused is not remembered: more may be allowed at any time. */
	EXPECT_EQ(U64_MAX, hpa_of(0x1000, W));
	r->user = RW;
	EXPECT_EQ(0x10000, hpa_of(0x1000, W));
	EXPECT_TRUE(is_cached(0x1000, R) && is_cached(0x1000, W));
	end();
}

TEST(what_is_posted_waits)
{
	struct rule *r[20];
	u64 i;

	begin();
	for (i = 0; i < 20; i++) {
		r[i] = rule_add(i << 12, 12, i << 16, RW);
		hpa_of(i << 12, R);
	}
	/* More than are kept apart, all before the port's thread looks. */
	for (i = 0; i < 10; i++)
		forget(r[i]);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(i < 10 ? U64_MAX : i << 16, hpa_of(i << 12, R));
	end();
}

TEST(configuration_goes_with_everything)
{
	begin();
	siommu_dma_begin(port);
	dport->config_valid = true;
	siommu_dma_end(port);
	invalidate(0, U64_MAX - 1);
	hpa_of(0, R);
	EXPECT_TRUE(dport->config_valid);
	invalidate(0, U64_MAX);
	hpa_of(0, R);
	EXPECT_TRUE(!dport->config_valid);
	end();
}

/* A place for a rule: regions that share slots of the TLB, and both ends. */
static u64 random_place(u64 *random)
{
	static const u64 bases[] = { 0, 1ull << 32, 1ull << 47, 0ull - (8 * GIB1) };
	u64 x = unit_random(random);

	switch (x & 3) {
	case 0:
		x = (x >> 8) % 64 << 12;
		break;
	case 1:
		x = (x >> 8) % 16 << 21;
		break;
	default:
		x = (x >> 8) % 8 << 30 | (x >> 40) % 2 << 21 | (x >> 50) % 8 << 12;
	}
	return bases[unit_random(random) % 4] + x;
}

static bool overlaps(u64 iova, unsigned int lg2)
{
	unsigned int i;

	for (i = 0; i < MAX_RULES; i++) {
		const struct rule *r = &rules.rule[i];

		if (r->used && r->iova <= iova + low_bits(lg2) &&
		    iova <= r->iova + low_bits(r->lg2))
			return true;
	}
	return false;
}

static void add_random(u64 *random)
{
	static const unsigned int sizes[] = { 12, 12, 12, 14, 16, 21, 21, 25, 30, 32 };
	unsigned int lg2 = sizes[unit_random(random) % ARRAY_SIZE(sizes)], i, n = 0;
	u64 iova = random_place(random) & ~low_bits(lg2), x = unit_random(random);
	struct rule *r;

	for (i = 0; i < MAX_RULES; i++)
		n += rules.rule[i].used;
	if (n == MAX_RULES || overlaps(iova, lg2))
		return;
	r = rule_add(iova, lg2, ((x >> 20) & low_bits(46)) & ~low_bits(lg2), (unsigned int)x & 7);
	r->priv = (unsigned int)(x >> 3) & 7;
	if (x & 64)
		r->piece_lg2 = 12 + (unsigned int)(x >> 8) % (lg2 - 11);
}

static void remove_random(u64 *random)
{
	struct rule *r = &rules.rule[unit_random(random) % MAX_RULES];
	u64 first, last;

	if (!r->used)
		return;
	first = r->iova;
	last = r->iova + low_bits(r->lg2);
	r->used = false;
	/* Any byte of it, or all, or more. */
	switch (unit_random(random) % 8) {
	case 0:
		invalidate(0, U64_MAX);
		break;
	case 1:
		invalidate(first & ~low_bits(33), last | low_bits(33));
		break;
	case 2:
		invalidate(first, last);
		break;
	default:
		first += unit_random(random) & (last - first);
		invalidate(first, first);
	}
}

static void check_random(u64 *random)
{
	u64 iova = random_place(random) + unit_random(random) % 4096, got;
	unsigned int access = (unsigned int)unit_random(random) & 15;
	const struct rule *r;
	unsigned int allowed;
	bool good;

	if (!(access & 7))
		access |= R;
	r = rule_of(iova);
	allowed = r ? (access & P ? r->priv : r->user) : 0;
	good = r && (allowed & access & 7) == (access & 7);
	got = hpa_of(iova, access);
	EXPECT_EQ(good ? r->hpa + (iova - r->iova) : U64_MAX, got);
	siommu_dma_begin(port);
	EXPECT_EQ(good ? got : 0, address(siommu_dma_find(port, iova, 1, access)));
	siommu_dma_end(port);
}

TEST(random_invalidation)
{
	u64 random = unit_seed();
	unsigned int i, round;

	for (round = 0; round < 4; round++) {
		const struct siommu_port_params params = { .size = sizeof(params),
							   .tlb_lg2 = round ? 4 + 3 * round : 0 };

		begin_with(&params);
		for (i = 0; i < 40000; i++) {
			switch (unit_random(&random) % 16) {
			case 0:
				add_random(&random);
				break;
			case 1:
				remove_random(&random);
				break;
			default:
				check_random(&random);
			}
		}
		EXPECT_TRUE(rules.walks > 1000);
		end();
	}
}

/*
 * Threads that write through ports of their own while a page is mapped and
 * unmapped: after the invalidation nobody writes it any more.
 */
#define WRITERS 2

static struct dma_port *ports[WRITERS];
static _Atomic bool stop;
static _Atomic unsigned int hits;

static void *write_on(void *arg)
{
	struct siommu_port *mine = arg;
	u64 *p;

	while (!atomic_load(&stop)) {
		siommu_dma_begin(mine);
		p = siommu_dma_find(mine, 0x1000, 8, W);
		if (p) {
			__atomic_store_n(p, 0xbad, __ATOMIC_RELAXED);
			atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
		}
		siommu_dma_end(mine);
	}
	return NULL;
}

TEST(nothing_is_written_after_invalidation)
{
	u64 *page = aligned_alloc(KIB4, KIB4), rounds = 0, late = 0;
	pthread_t threads[WRITERS];
	unsigned int i, spin;
	struct rule *r;

	begin();
	atomic_store(&stop, false);
	atomic_store(&hits, 0);
	for (i = 0; i < WRITERS; i++) {
		ASSERT_OK(dma_port_create(&host, &account, &rules_ops, NULL, NULL, &ports[i]));
		ASSERT_OK(-pthread_create(&threads[i], NULL, write_on, &ports[i]->port));
	}
	while (rounds < 2000 || (atomic_load(&hits) < 1000 && rounds < 1000000)) {
		r = rule_add(0x1000, 12, address(page), RW);
		for (spin = 0; spin < rounds % 300; spin++)
			__asm__ volatile("" ::: "memory");
		if (rounds % 16 == 0)
			sched_yield();
		atomic_store(&r->used, false);
		for (i = 0; i < WRITERS; i++)
			dma_port_post(ports[i], 0x1000, 0x1fff);
		dma_barrier();
		for (i = 0; i < WRITERS; i++)
			dma_port_wait(ports[i], 0x1000, 0x1fff);
		/* It is ours alone: plain stores, which a sanitizer would see race. */
		page[0] = 0x600d;
		for (spin = 0; spin < 50; spin++)
			__asm__ volatile("" ::: "memory");
		late += page[0] != 0x600d;
		rounds++;
	}
	atomic_store(&stop, true);
	for (i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		dma_port_destroy(ports[i]);
	}
	EXPECT_EQ(0, late);
	EXPECT_TRUE(atomic_load(&hits) > 0);
	end();
	free(page);
}
