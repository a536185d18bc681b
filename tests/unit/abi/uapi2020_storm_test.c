// SPDX-License-Identifier: MIT
/*
 * Page requests of the user API of 2020 when everything happens at once: devices ask, some
 * are answered, some twice, some too late, and meanwhile PASIDs are bound and unbound, and
 * handlers come and go. Each group is answered exactly once. For the sanitizers above all.
 */
#include <pthread.h>

#include "uapi2020_faults.h"

#define ASKERS	   2 /* of each device */
#define RESPONDERS 2
#define PASIDS	   4
#define GROUPS	   128
#define QUEUE	   32

/* How long a storm lasts, in ms. */
#define STORM_MS 1500

/**
 * struct asker - a thread that asks, by a port of its own
 * @thread: it
 * @port: the port
 * @seed: of its choices
 * @first: its numbers of groups, which others with its PASID do not use
 * @open: asked and not answered
 * @asked: how often
 * @answered: how often it was
 * @wrong: answers to nothing
 */
struct asker {
	pthread_t thread;
	struct siommu_port *port;
	uint64_t seed;
	uint32_t first;
	_Atomic bool open[512];
	_Atomic unsigned int asked;
	_Atomic unsigned int answered;
	_Atomic unsigned int wrong;
};

/* Faults between handlers and those who respond: the latest, and some of them twice. */
static struct {
	pthread_mutex_t lock;
	struct {
		unsigned int dev;
		struct iommu_fault fault;
	} slots[QUEUE];
	unsigned int head;
	unsigned int tail;
} queue;

static struct asker askers[FDEVS][ASKERS][PASIDS];
static uint32_t pasids[PASIDS];
static _Atomic bool stop;
static _Atomic unsigned int responses;

static void count_answer(void *arg, uint32_t group, uint32_t code)
{
	struct asker *a = arg;

	(void)code;
	if (!atomic_exchange(&a->open[group], false))
		atomic_fetch_add(&a->wrong, 1);
	atomic_fetch_add(&a->answered, 1);
}

static const struct siommu_port_ops count_ops = { .page_response = count_answer };

static int into_queue(void *arg, const struct iommu_fault *fault)
{
	const unsigned int dev = (unsigned int)((struct seen *)arg - f.seen);
	int rc = 0;

	pthread_mutex_lock(&queue.lock);
	if (queue.head - queue.tail == QUEUE) {
		rc = -ENOSPC;
	} else {
		queue.slots[queue.head % QUEUE].dev = dev;
		queue.slots[queue.head++ % QUEUE].fault = *fault;
	}
	pthread_mutex_unlock(&queue.lock);
	return rc;
}

static bool from_queue(unsigned int *dev, struct iommu_fault *fault)
{
	bool any;

	pthread_mutex_lock(&queue.lock);
	any = queue.head != queue.tail;
	if (any) {
		*dev = queue.slots[queue.tail % QUEUE].dev;
		*fault = queue.slots[queue.tail++ % QUEUE].fault;
	}
	pthread_mutex_unlock(&queue.lock);
	return any;
}

static void *ask_on(void *arg)
{
	struct asker *a = arg;
	uint32_t group, i;

	while (!atomic_load(&stop)) {
		group = a->first + (uint32_t)(unit_random(&a->seed) % GROUPS);
		if (atomic_exchange(&a->open[group], true)) {
			usleep(50);
			continue;
		}
		atomic_fetch_add(&a->asked, 1);
		for (i = unit_random(&a->seed) % 3; i; i--)
			EXPECT_OK(fask(a->port, group, 0x1000 * i, RD, false));
		EXPECT_OK(fask(a->port, group, 0x9000, WR, true));
		/* Nobody takes it: give somebody a chance to. */
		if (!atomic_load(&a->open[group]))
			usleep(200);
	}
	return NULL;
}

static void *respond_on(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	struct iommu_page_response response;
	struct iommu_fault fault;
	unsigned int dev;

	while (!atomic_load(&stop)) {
		if (!from_queue(&dev, &fault)) {
			usleep(20);
			continue;
		}
		if (!(fault.prm.flags & F_LAST))
			continue;
		response = response_to(&fault, (uint32_t)(unit_random(&seed) % 2));
		switch (unit_random(&seed) % 64) {
		case 0:
			/* Too late, perhaps. */
			usleep(8000);
			break;
		case 1 ... 7:
			/* Never. */
			continue;
		case 8 ... 15:
			response.grpid ^= 1;
			break;
		default:
			break;
		}
		if (!respond(dev, &response))
			atomic_fetch_add(&responses, 1);
		if (!(unit_random(&seed) % 4))
			(void)respond(dev, &response);
	}
	return NULL;
}

static void start_askers(uint64_t *seed)
{
	unsigned int d, i, p;

	for (d = 0; d < FDEVS; d++)
		for (i = 0; i < ASKERS; i++)
			for (p = 0; p < PASIDS; p++) {
				struct asker *a = &askers[d][i][p];
				const struct siommu_port_params params = {
					.size = sizeof(params),
					.flags = SIOMMU_PORT_PASID,
					.pasid = pasids[p],
					.ops = &count_ops,
					.arg = a,
				};

				a->seed = unit_random(seed);
				a->first = i * GROUPS;
				ASSERT_OK(siommu_port_create(f.dev[d], &params, &a->port));
				ASSERT_OK(pthread_create(&a->thread, NULL, ask_on, a));
			}
}

/* All that was asked is answered, once. */
static void end_askers(void)
{
	unsigned int d, i, p, tries, asked = 0;

	for (d = 0; d < FDEVS; d++)
		for (i = 0; i < ASKERS; i++)
			for (p = 0; p < PASIDS; p++)
				pthread_join(askers[d][i][p].thread, NULL);
	for (d = 0; d < FDEVS; d++)
		for (i = 0; i < ASKERS; i++)
			for (p = 0; p < PASIDS; p++) {
				struct asker *a = &askers[d][i][p];

				for (tries = 0; tries < 20000 && a->answered != a->asked; tries++)
					usleep(1000);
				EXPECT_EQ(a->asked, a->answered);
				EXPECT_EQ(0, a->wrong);
				asked += a->asked;
				siommu_port_destroy(a->port);
			}
	printf("# %u groups, %u had a response\n", asked, responses);
	EXPECT_TRUE(asked > 100 && responses > 10);
}

/* What the guest's administrator does meanwhile. */
static void disturb(uint64_t *seed)
{
	struct siommu_bound *bound = f.bound[unit_random(seed) % FDEVS];
	const uint32_t pasid = pasids[unit_random(seed) % PASIDS];
	struct iommu_gpasid_bind_data data = world_bind(pasid);
	unsigned int d = (unsigned int)(unit_random(seed) % FDEVS);

	data.flags = IOMMU_SVA_GPASID_VAL;
	data.gpasid = pasid + 1000;
	switch (unit_random(seed) % 8) {
	case 0 ... 2:
		(void)siommu_uapi_sva_bind_gpasid(f.domain, NULL, &data);
		break;
	case 3:
		(void)siommu_uapi_sva_bind_gpasid(f.domain, bound, &data);
		break;
	case 4:
		EXPECT_OK(siommu_uapi_sva_unbind_gpasid(f.domain, bound, &data));
		break;
	case 5:
		EXPECT_OK(siommu_uapi_sva_unbind_gpasid(f.domain, NULL, &data));
		break;
	case 6:
		if (!siommu_unregister_device_fault_handler(f.domain, f.bound[d]))
			EXPECT_OK(siommu_register_device_fault_handler(f.domain, f.bound[d],
								       into_queue, &f.seen[d]));
		break;
	default:
		usleep(2000);
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

/* Answers 002-07, 002-08. */
TEST(each_group_is_answered_once)
{
	static const struct siommu_device_params able = {
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
	};
	pthread_t responders[RESPONDERS];
	uint64_t seed = unit_seed();
	struct timespec start;
	unsigned int i;

	memset(&queue, 0, sizeof(queue));
	memset(askers, 0, sizeof(askers));
	pthread_mutex_init(&queue.lock, NULL);
	atomic_store(&stop, false);
	atomic_store(&responses, 0);
	faults_begin_on("vtd", "", &able, FDEVS, 5);
	for (i = 0; i < FDEVS; i++) {
		ASSERT_OK(siommu_unregister_device_fault_handler(f.domain, f.bound[i]));
		ASSERT_OK(siommu_register_device_fault_handler(f.domain, f.bound[i], into_queue,
							       &f.seen[i]));
	}
	for (i = 0; i < PASIDS; i++) {
		pasids[i] = own_pasid();
		bind_to(NULL, pasids[i], pasids[i] + 1000);
	}
	for (i = 0; i < RESPONDERS; i++)
		ASSERT_OK(pthread_create(&responders[i], NULL, respond_on,
					 (void *)(uintptr_t)unit_random(&seed)));
	start_askers(&seed);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!is_over(&start))
		disturb(&seed);
	atomic_store(&stop, true);
	for (i = 0; i < RESPONDERS; i++)
		pthread_join(responders[i], NULL);
	end_askers();
	faults_end();
	pthread_mutex_destroy(&queue.lock);
}
