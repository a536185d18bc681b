// SPDX-License-Identifier: MIT
/*
 * The fault regions when everything happens at once: a device asks, a reader answers through
 * the rings, somebody else writes nonsense into rings and headers, and PASIDs are bound and
 * unbound, the device is reset, closed and opened again. Nobody waits for ever, and each
 * group is answered once. For the sanitizers above all.
 */
#include <pthread.h>

#include "uapi2020_ring.h"

#define PASIDS	 2
#define GROUPS	 64
#define STORM_MS 1500
#define VA	 0x40000000ull

/**
 * struct asker - a thread that asks
 * @thread: it
 * @port: by this
 * @seed: of its choices
 * @open: groups that are asked and not answered
 * @asked: how often
 * @answered: how often it was
 * @wrong: answers to nothing
 */
struct asker {
	pthread_t thread;
	struct siommu_port *port;
	uint64_t seed;
	_Atomic bool open[GROUPS];
	_Atomic unsigned int asked;
	_Atomic unsigned int answered;
	_Atomic unsigned int wrong;
};

static struct guest g;
static struct ring r;
static struct asker askers[PASIDS];
static uint32_t pasids[PASIDS];
static _Atomic bool stop;

/* Held for writing while the device is closed and opened again. */
static pthread_rwlock_t there = PTHREAD_RWLOCK_INITIALIZER;

static void count_answer(void *arg, uint32_t group, uint32_t code)
{
	struct asker *a = arg;

	(void)code;
	if (!atomic_exchange(&a->open[group], false))
		atomic_fetch_add(&a->wrong, 1);
	atomic_fetch_add(&a->answered, 1);
}

static const struct siommu_port_ops count_ops = { .page_response = count_answer };

static void *ask_on(void *arg)
{
	struct asker *a = arg;
	uint32_t group;
	uint8_t byte;

	while (!atomic_load(&stop)) {
		group = (uint32_t)(unit_random(&a->seed) % GROUPS);
		if (atomic_exchange(&a->open[group], true)) {
			usleep(50);
			continue;
		}
		atomic_fetch_add(&a->asked, 1);
		EXPECT_OK(ask(a->port, group, VA));
		if (!(unit_random(&a->seed) % 4))
			EXPECT_RC(-EFAULT, siommu_dma_read(a->port, VA, &byte, 1, 0));
		if (!atomic_load(&a->open[group]))
			usleep(200);
	}
	return NULL;
}

/* One record, if there is any. */
static void read_one(uint64_t *seed)
{
	struct iommu_fault fault;

	r.tail = fault_header(&r).tail;
	if (!waiting(&r)) {
		usleep(50);
		return;
	}
	fault = r.records[r.tail];
	(void)write_index(&r, r.faults, (r.tail + 1) % ENTRIES);
	if (fault.type != IOMMU_FAULT_PAGE_REQ)
		return;
	r.head = response_header(&r).tail;
	put_answer(&r, response_to(&fault, (uint32_t)(unit_random(seed) % 2)));
	(void)write_index(&r, r.responses, r.head);
}

static void *read_on(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		pthread_rwlock_rdlock(&there);
		read_one(&seed);
		pthread_rwlock_unlock(&there);
	}
	return NULL;
}

/* Headers alone: what it does to the rings would be a race of the test with itself. */
static void *spoil_on(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		pthread_rwlock_rdlock(&there);
		(void)write_index(&r, unit_random(&seed) % 2 ? r.faults : r.responses,
				  (uint32_t)(unit_random(&seed) % 600));
		pthread_rwlock_unlock(&there);
		usleep(2000);
	}
	return NULL;
}

static void reopen(void)
{
	pthread_rwlock_wrlock(&there);
	ring_close(&r);
	vclose(g.vfio.device);
	g.vfio.device = get_device_ok(g.vfio.group, NAME0);
	r = ring_open(g.vfio.device);
	pthread_rwlock_unlock(&there);
}

static void disturb(uint64_t *seed)
{
	const uint32_t pasid = pasids[unit_random(seed) % PASIDS];

	switch (unit_random(seed) % 16) {
	case 0 ... 7:
		(void)pgtbl_bind(g.vfio.container, pasid, ROOT);
		break;
	case 8 ... 11:
		EXPECT_OK(pgtbl_unbind(g.vfio.container, pasid));
		break;
	case 12:
		reopen();
		break;
	case 13:
		EXPECT_OK(vcall(g.vfio.device, VFIO_DEVICE_RESET, NULL));
		break;
	default:
		usleep(5000);
		break;
	}
}

static bool is_over(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000 >
	       STORM_MS;
}

static void end_asker(struct asker *a)
{
	unsigned int tries;

	pthread_join(a->thread, NULL);
	for (tries = 0; tries < 20000 && a->answered != a->asked; tries++)
		usleep(1000);
	EXPECT_EQ(a->asked, a->answered);
	EXPECT_EQ(0, a->wrong);
	printf("# %u groups\n", a->asked);
	siommu_port_destroy(a->port);
}

/* Answers 002-07, 002-08. */
TEST(nobody_waits_for_ever)
{
	pthread_t reader, spoiler;
	uint64_t seed = unit_seed();
	struct timespec start;
	unsigned int i;

	memset(askers, 0, sizeof(askers));
	atomic_store(&stop, false);
	machine->prq_timeout_ms = 5;
	g = guest_vtd();
	r = ring_open(g.vfio.device);
	for (i = 0; i < PASIDS; i++) {
		const struct siommu_port_params params = {
			.size = sizeof(params),
			.flags = SIOMMU_PORT_PASID,
			.pasid = pasids[i] = own_pasid(&g),
			.ops = &count_ops,
			.arg = &askers[i],
		};

		askers[i].seed = unit_random(&seed);
		ASSERT_OK(siommu_port_create(pci_rig.dev[0], &params, &askers[i].port));
		ASSERT_OK(pthread_create(&askers[i].thread, NULL, ask_on, &askers[i]));
	}
	ASSERT_OK(pthread_create(&reader, NULL, read_on, (void *)(uintptr_t)unit_random(&seed)));
	ASSERT_OK(pthread_create(&spoiler, NULL, spoil_on, (void *)(uintptr_t)unit_random(&seed)));
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!is_over(&start))
		disturb(&seed);
	atomic_store(&stop, true);
	pthread_join(reader, NULL);
	pthread_join(spoiler, NULL);
	for (i = 0; i < PASIDS; i++)
		end_asker(&askers[i]);
	ring_close(&r);
	guest_end(&g);
}
