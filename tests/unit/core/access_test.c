// SPDX-License-Identifier: MIT
/*
 * Accesses: copying, pinning, and the call-back by which an unmap asks to be let
 * go; from another thread too.
 */
#include <pthread.h>
#include <unistd.h>

#include "calls.h"

#define WRITE SIOMMU_ACCESS_WRITE

/**
 * struct driver - the software behind an access
 * @access: the access
 * @lets_go: the call-back unpins what is pinned
 * @pinned: a pin of [iova, iova + length - 1] is held
 * @calls: how often the call-back ran
 * @last_iova: what it was told
 * @last_length: likewise
 * @inside: it is running
 * @stay: it shall not return yet
 */
struct driver {
	struct siommu_access *access;
	bool lets_go;
	_Atomic bool pinned;
	uint64_t iova;
	uint64_t length;
	_Atomic unsigned int calls;
	_Atomic uint64_t last_iova;
	_Atomic uint64_t last_length;
	_Atomic bool inside;
	_Atomic bool stay;
};

static void on_unmap(void *arg, uint64_t iova, uint64_t length)
{
	struct driver *d = arg;

	atomic_store(&d->inside, true);
	while (atomic_load(&d->stay))
		usleep(1000);
	atomic_store(&d->last_iova, iova);
	atomic_store(&d->last_length, length);
	atomic_fetch_add(&d->calls, 1);
	if (d->lets_go && atomic_exchange(&d->pinned, false))
		siommu_access_unpin(d->access, d->iova, d->length);
	atomic_store(&d->inside, false);
}

static const struct siommu_access_ops pin_ops = { .needs_pin = true, .unmap = on_unmap };
static const struct siommu_access_ops copy_ops = { .unmap = on_unmap };

static void open_access(struct driver *d, const struct siommu_access_ops *ops, uint32_t ioas)
{
	*d = (struct driver){ .lets_go = true };
	ASSERT_OK(siommu_access_create(ctx, ops, d, &d->access));
	ASSERT_OK(siommu_access_attach(d->access, ioas));
}

static int pin(struct driver *d, uint64_t iova, uint64_t length, unsigned int flags,
	       uint64_t *hpas)
{
	int rc = siommu_access_pin(d->access, iova, length, flags, hpas);

	if (!rc) {
		d->iova = iova;
		d->length = length;
		atomic_store(&d->pinned, true);
	}
	return rc;
}

TEST_BOTH(copies)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(2 * PAGE), buf[64] = "across two mappings";
	struct driver d;
	uint64_t iova;

	ASSERT_OK(map_at(ioas, p + PAGE, PAGE, 0x10000));
	ASSERT_OK(map(ioas, RO | FIX, p, PAGE, (iova = 0x11000, &iova)));
	ASSERT_OK(map(ioas, IOMMU_IOAS_MAP_WRITEABLE | FIX, p, PAGE, (iova = 0x12000, &iova)));
	open_access(&d, &copy_ops, ioas);
	EXPECT_OK(siommu_access_rw(d.access, 0x10ff8, buf, 8, WRITE));
	EXPECT_MEM(buf, p + 2 * PAGE - 8, 8);
	EXPECT_RC(-EPERM, siommu_access_rw(d.access, 0x10ff8, buf, 9, WRITE));
	memcpy(p, "two", 3);
	EXPECT_OK(siommu_access_rw(d.access, 0x10ff8, buf, 11, 0));
	EXPECT_MEM("across twtwo", buf, 8);
	EXPECT_MEM("two", buf + 8, 3);
	EXPECT_RC(-EPERM, siommu_access_rw(d.access, 0x12000, buf, 1, 0));
	EXPECT_RC(-ENOENT, siommu_access_rw(d.access, 0x13000, buf, 1, 0));
	EXPECT_RC(-ENOENT, siommu_access_rw(d.access, 0xffff, buf, 2, 0));
	EXPECT_RC(-EINVAL, siommu_access_rw(d.access, 0x10000, buf, 0, 0));
	EXPECT_RC(-EOVERFLOW, siommu_access_rw(d.access, UINT64_MAX, buf, 2, 0));
	siommu_access_destroy(d.access);
	/* It had nothing pinned, but was told that all goes. */
	EXPECT_EQ(1, d.calls);
	EXPECT_TRUE(d.last_iova == 0 && d.last_length == UINT64_MAX);
}

TEST_CHECKED(copies_of_memory_that_is_gone)
{
	uint32_t ioas = new_ioas();
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct driver d;
	char c = 0;

	ASSERT_OK(map_at(ioas, p, 2 * PAGE, 0x10000));
	open_access(&d, &copy_ops, ioas);
	ASSERT_OK(munmap(p, 2 * PAGE));
	EXPECT_RC(-EFAULT, siommu_access_rw(d.access, 0x10000, &c, 1, 0));
	EXPECT_RC(-EFAULT, siommu_access_rw(d.access, 0x11000, &c, 1, WRITE));
	siommu_access_destroy(d.access);
}

TEST_BOTH(pins)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(4 * PAGE);
	uint64_t hpas[4], iova;
	struct driver d;
	unsigned int i;

	open_access(&d, &pin_ops, ioas);
	ASSERT_OK(map_at(ioas, p, 2 * PAGE, 0x10000));
	ASSERT_OK(map(ioas, RO | FIX, p + 2 * PAGE, 2 * PAGE, (iova = 0x12000, &iova)));
	ASSERT_OK(pin(&d, 0x10000, 4 * PAGE, 0, hpas));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(addr(p) + i * PAGE, hpas[i]);
	EXPECT_OK(check_refs(p, 4 * PAGE, 1));
	siommu_access_unpin(d.access, 0x10000, 4 * PAGE);
	atomic_store(&d.pinned, false);
	EXPECT_OK(check_refs(p, 4 * PAGE, 0));
	EXPECT_RC(-EPERM, pin(&d, 0x11000, 2 * PAGE, WRITE, hpas));
	EXPECT_OK(check_refs(p, 4 * PAGE, 0));
	EXPECT_RC(-ENOENT, pin(&d, 0x13000, 2 * PAGE, 0, hpas));
	EXPECT_RC(-ENOENT, pin(&d, 0x9000, PAGE, 0, hpas));
	EXPECT_RC(-EINVAL, pin(&d, 0x10000, 0, 0, hpas));
	EXPECT_RC(-EOVERFLOW, pin(&d, UINT64_MAX - 1, 3, 0, hpas));
	EXPECT_RC(-EINVAL, pin(&d, 0x10800, PAGE, 0, hpas));
	/* The last page need not be whole. */
	ASSERT_OK(pin(&d, 0x11000, PAGE + 1, 0, hpas));
	EXPECT_EQ(addr(p) + 2 * PAGE, hpas[1]);
	siommu_access_destroy(d.access);
	EXPECT_OK(check_refs(p, 4 * PAGE, 0));
}

/* The same pages may be pinned many times, and each pin is its own. */
TEST(pins_of_the_same_pages)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(4 * PAGE);
	struct driver d;
	uint64_t hpas[4];

	open_access(&d, &pin_ops, ioas);
	ASSERT_OK(map_at(ioas, p, 4 * PAGE, 0x10000));
	ASSERT_OK(siommu_access_pin(d.access, 0x10000, 4 * PAGE, 0, hpas));
	ASSERT_OK(siommu_access_pin(d.access, 0x10000, 4 * PAGE, 0, hpas));
	ASSERT_OK(siommu_access_pin(d.access, 0x10000, PAGE, 0, hpas));
	/* One list holds them, so it counts as one. */
	EXPECT_OK(check_refs(p, 4 * PAGE, 1));
	siommu_access_unpin(d.access, 0x10000, 4 * PAGE);
	EXPECT_OK(check_refs(p, 4 * PAGE, 1));
	/* What was never pinned is not unpinned. */
	siommu_access_unpin(d.access, 0x11000, PAGE);
	siommu_access_unpin(d.access, 0x10000, 4 * PAGE);
	EXPECT_OK(check_refs(p, PAGE, 1));
	EXPECT_OK(check_refs(p + PAGE, 3 * PAGE, 0));
	siommu_access_unpin(d.access, 0x10000, PAGE);
	EXPECT_OK(check_refs(p, PAGE, 0));
	siommu_access_destroy(d.access);
}

TEST_BOTH(unmap_calls_back)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(4 * PAGE);
	uint64_t hpas[4], length = 4 * PAGE;
	struct driver d;

	open_access(&d, &pin_ops, ioas);
	ASSERT_OK(map_at(ioas, p, 4 * PAGE, 0x10000));
	ASSERT_OK(map_at(ioas, p, PAGE, 0x20000));
	ASSERT_OK(pin(&d, 0x11000, PAGE, 0, hpas));
	/* Elsewhere nobody is asked. */
	EXPECT_OK(unmap(ioas, 0x20000, PAGE));
	EXPECT_EQ(0, d.calls);
	EXPECT_OK(unmap_len(ioas, 0x10000, &length));
	EXPECT_EQ(4 * PAGE, length);
	EXPECT_EQ(1, d.calls);
	EXPECT_TRUE(d.last_iova == 0x10000 && d.last_length == 4 * PAGE);
	EXPECT_OK(check_refs(p, 4 * PAGE, 0));
	EXPECT_RC(-ENOENT, pin(&d, 0x11000, PAGE, 0, hpas));
	siommu_access_destroy(d.access);
}

/* One that does not let go makes the unmap fail, not wait; it can be tried again. */
TEST(unmap_of_what_is_not_let_go)
{
	uint32_t ioas = new_ioas();
	char *p = buffer(4 * PAGE), c = 0;
	struct driver d;
	uint64_t hpas[4];

	open_access(&d, &pin_ops, ioas);
	d.lets_go = false;
	ASSERT_OK(map_at(ioas, p, 4 * PAGE, 0x10000));
	ASSERT_OK(pin(&d, 0x10000, PAGE, 0, hpas));
	EXPECT_RC(-EDEADLOCK, unmap(ioas, 0x10000, 4 * PAGE));
	EXPECT_TRUE(d.calls > 10);
	/* Meanwhile nobody pins or copies it anew. */
	EXPECT_RC(-EINVAL, siommu_access_pin(d.access, 0x12000, PAGE, 0, hpas));
	EXPECT_RC(-EINVAL, siommu_access_rw(d.access, 0x12000, &c, 1, 0));
	d.lets_go = true;
	EXPECT_OK(unmap(ioas, 0x10000, 4 * PAGE));
	siommu_access_destroy(d.access);
}

TEST(attach_and_detach)
{
	uint32_t ioas = new_ioas(), other = new_ioas();
	char *p = buffer(PAGE), c;
	struct driver d = { .lets_go = true };
	uint64_t hpa;

	ASSERT_OK(siommu_access_create(ctx, &pin_ops, &d, &d.access));
	ASSERT_OK(map_at(ioas, p, PAGE, 0x10000));
	EXPECT_RC(-ENOENT, siommu_access_rw(d.access, 0x10000, &c, 1, 0));
	EXPECT_RC(-ENOENT, pin(&d, 0x10000, PAGE, 0, &hpa));
	EXPECT_RC(-ENOENT, siommu_access_replace(d.access, ioas));
	EXPECT_RC(-ENOENT, siommu_access_attach(d.access, 99));
	siommu_access_detach(d.access);
	ASSERT_OK(siommu_access_attach(d.access, ioas));
	EXPECT_RC(-EINVAL, siommu_access_attach(d.access, other));
	EXPECT_RC(-ENOENT, siommu_access_replace(d.access, 99));
	ASSERT_OK(pin(&d, 0x10000, PAGE, 0, &hpa));
	siommu_access_detach(d.access);
	EXPECT_EQ(1, d.calls);
	EXPECT_OK(check_refs(p, PAGE, 0));
	EXPECT_OK(destroy(ctx, ioas));
	siommu_access_destroy(d.access);
	EXPECT_EQ(1, d.calls);
}

TEST_BOTH(replacing_the_ioas)
{
	uint32_t a = new_ioas(), b = new_ioas(), odd = new_ioas();
	char *p = buffer(2 * PAGE), c = 0;
	struct driver d;
	uint64_t hpa;

	p[0] = 'a';
	p[PAGE] = 'b';
	ASSERT_OK(map_at(odd, p, 7, 0x10000));
	open_access(&d, &pin_ops, a);
	ASSERT_OK(map_at(a, p, PAGE, 0x10000));
	ASSERT_OK(map_at(b, p + PAGE, PAGE, 0x10000));
	ASSERT_OK(pin(&d, 0x10000, PAGE, 0, &hpa));
	EXPECT_OK(siommu_access_replace(d.access, a));
	EXPECT_EQ(0, d.calls);
	/* It does not fit there: the old one stays, with its pins. */
	EXPECT_RC(-EADDRINUSE, siommu_access_replace(d.access, odd));
	EXPECT_EQ(0, d.calls);
	EXPECT_OK(check_refs(p, PAGE, 1));
	EXPECT_OK(siommu_access_replace(d.access, b));
	EXPECT_EQ(1, d.calls);
	EXPECT_OK(check_refs(p, PAGE, 0));
	EXPECT_OK(siommu_access_rw(d.access, 0x10000, &c, 1, 0));
	EXPECT_EQ('b', c);
	EXPECT_OK(destroy(ctx, a));
	EXPECT_RC(-EBUSY, destroy(ctx, b));
	EXPECT_EQ(PAGE, alignment_of(b));
	siommu_access_destroy(d.access);
	EXPECT_EQ(1, alignment_of(b));
}

/* Its object is in the table of ids, but not the user's to destroy. */
TEST(an_access_is_its_drivers)
{
	uint32_t ioas = new_ioas();
	struct driver d;

	open_access(&d, &copy_ops, ioas);
	EXPECT_RC(-EBUSY, destroy(ctx, ioas + 1));
	EXPECT_RC(-EBUSY, destroy(ctx, ioas));
	siommu_access_destroy(d.access);
	EXPECT_RC(-ENOENT, destroy(ctx, ioas + 1));
	EXPECT_OK(destroy(ctx, ioas));
}

struct unmapper {
	uint32_t ioas;
	int rc;
};

static void *unmap_in_thread(void *arg)
{
	struct unmapper *u = arg;

	u->rc = unmap(u->ioas, 0x10000, PAGE);
	return NULL;
}

/* While the call-back runs the context's other requests go on. */
TEST_BOTH(the_call_back_runs_without_locks)
{
	struct unmapper u = { .ioas = new_ioas() };
	uint32_t other = new_ioas();
	char *p = buffer(PAGE);
	pthread_t thread;
	struct driver d;
	uint64_t hpa;

	open_access(&d, &pin_ops, u.ioas);
	ASSERT_OK(map_at(u.ioas, p, PAGE, 0x10000));
	ASSERT_OK(pin(&d, 0x10000, PAGE, 0, &hpa));
	atomic_store(&d.stay, true);
	ASSERT_OK(-pthread_create(&thread, NULL, unmap_in_thread, &u));
	while (!atomic_load(&d.inside))
		usleep(1000);
	EXPECT_OK(map_at(other, p, PAGE, 0x10000));
	EXPECT_OK(map_at(u.ioas, p, PAGE, 0x30000));
	/* Its IOAS stays meanwhile, and nobody pins what is going. */
	EXPECT_RC(-EBUSY, destroy(ctx, u.ioas));
	EXPECT_RC(-EINVAL, siommu_access_pin(d.access, 0x10000, PAGE, 0, &hpa));
	EXPECT_RC(-EEXIST, map_at(u.ioas, p, PAGE, 0x10000));
	atomic_store(&d.stay, false);
	pthread_join(thread, NULL);
	EXPECT_OK(u.rc);
	EXPECT_RC(-ENOENT, unmap(u.ioas, 0x10000, PAGE));
	siommu_access_destroy(d.access);
}

static void *release_later(void *arg)
{
	usleep(50000);
	atomic_store(&((struct driver *)arg)->stay, false);
	return NULL;
}

/* When destroy has returned no call-back runs any more. */
TEST(destroy_waits_for_the_call_back)
{
	struct unmapper u = { .ioas = new_ioas() };
	pthread_t thread, later;
	struct driver d;
	uint64_t hpa;

	open_access(&d, &pin_ops, u.ioas);
	ASSERT_OK(map_at(u.ioas, buffer(PAGE), PAGE, 0x10000));
	ASSERT_OK(pin(&d, 0x10000, PAGE, 0, &hpa));
	atomic_store(&d.stay, true);
	ASSERT_OK(-pthread_create(&thread, NULL, unmap_in_thread, &u));
	while (!atomic_load(&d.inside))
		usleep(1000);
	ASSERT_OK(-pthread_create(&later, NULL, release_later, &d));
	siommu_access_destroy(d.access);
	EXPECT_TRUE(!atomic_load(&d.inside));
	EXPECT_TRUE(!atomic_load(&d.stay));
	pthread_join(later, NULL);
	pthread_join(thread, NULL);
	EXPECT_OK(u.rc);
}

/* A driver whose lock covers its pin, as a driver's does that is called from two sides. */
struct busy_driver {
	pthread_mutex_t lock;
	struct siommu_access *access;
	bool pinned;
	_Atomic bool done, stop;
	uint32_t ioas;
	int rc;
};

static void let_go(void *arg, uint64_t iova, uint64_t length)
{
	struct busy_driver *d = arg;

	(void)iova;
	(void)length;
	pthread_mutex_lock(&d->lock);
	if (d->pinned)
		siommu_access_unpin(d->access, 0x10000, PAGE);
	d->pinned = false;
	pthread_mutex_unlock(&d->lock);
}

static const struct siommu_access_ops busy_ops = { .needs_pin = true, .unmap = let_go };

static void *map_and_unmap(void *arg)
{
	struct busy_driver *d = arg;

	while (!atomic_load(&d->stop) && !d->rc) {
		d->rc = map_at(d->ioas, fixture.at[0], PAGE, 0x10000);
		sched_yield();
		if (!d->rc)
			d->rc = unmap(d->ioas, 0x10000, PAGE);
	}
	atomic_store(&d->done, true);
	return NULL;
}

/* One thread maps and unmaps, another pins whatever it finds. */
TEST_BOTH(pins_and_unmaps_in_two_threads)
{
	struct busy_driver d = { .lock = PTHREAD_MUTEX_INITIALIZER, .ioas = new_ioas() };
	unsigned int pins = 0;
	pthread_t thread;
	uint64_t hpa;
	int rc;

	buffer(PAGE);
	ASSERT_OK(siommu_access_create(ctx, &busy_ops, &d, &d.access));
	ASSERT_OK(siommu_access_attach(d.access, d.ioas));
	ASSERT_OK(-pthread_create(&thread, NULL, map_and_unmap, &d));
	/* However seldom they meet. */
	while (pins < 2000 && !atomic_load(&d.done)) {
		pthread_mutex_lock(&d.lock);
		if (!d.pinned) {
			rc = siommu_access_pin(d.access, 0x10000, PAGE, 0, &hpa);
			d.pinned = !rc;
			pins += !rc;
			EXPECT_TRUE(rc ? rc == -ENOENT || rc == -EINVAL
				       : hpa == addr(fixture.at[0]));
		}
		pthread_mutex_unlock(&d.lock);
		sched_yield();
	}
	atomic_store(&d.stop, true);
	pthread_join(thread, NULL);
	EXPECT_OK(d.rc);
	EXPECT_EQ(2000, pins);
	siommu_access_destroy(d.access);
}
