/* SPDX-License-Identifier: MIT */
/*
 * What the tests of faults through the library share: devices of one group in a domain,
 * each with a handler that remembers, and ports that remember how they were answered.
 */
#ifndef UNIT_UAPI2020_FAULTS_H
#define UNIT_UAPI2020_FAULTS_H

#include "uapi2020_response.h"
#include "uapi2020_world.h"

#include "core/ctx.h"

#define YES IOMMUFD_PAGE_RESP_SUCCESS
#define NO  IOMMUFD_PAGE_RESP_INVALID

#define RD SIOMMU_DMA_READ
#define WR SIOMMU_DMA_WRITE

#define F_PRIV	IOMMU_FAULT_PAGE_REQUEST_PRIV_DATA

#define MAX_SEEN 64
#define MAX_TOLD 64
#define FDEVS	 2

/**
 * struct seen - what a handler was told
 * @lock: covers the rest
 * @more: signalled with each fault
 * @n: how many there were
 * @faults: the first of them
 * @refuse: the handler fails with this from fault number @refuse_from on
 */
struct seen {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned int n;
	struct iommu_fault faults[MAX_SEEN];
	int refuse;
	unsigned int refuse_from;
};

/* How a port's groups were answered, in order. */
struct told {
	_Atomic unsigned int n;
	_Atomic uint32_t group[MAX_TOLD];
	_Atomic uint32_t code[MAX_TOLD];
};

/**
 * struct faults - devices of one group
 * @unit: the IOMMU
 * @ndevs: how many devices
 * @dev: them
 * @bound: their bindings
 * @seen: what their handlers were told
 * @told: how their ports were answered
 * @ioas: the guest's memory is in it, from 0 on
 * @ram: there
 * @domain: the domain
 */
static struct {
	struct siommu_unit *unit;
	unsigned int ndevs;
	struct siommu_device *dev[FDEVS];
	struct siommu_bound *bound[FDEVS];
	struct seen seen[FDEVS];
	struct told told[FDEVS];
	uint32_t ioas;
	uint8_t *ram;
	struct siommu_domain *domain;
} f;

static inline int remember(void *arg, const struct iommu_fault *fault)
{
	struct seen *s = arg;
	int rc;

	pthread_mutex_lock(&s->lock);
	if (s->n < MAX_SEEN)
		s->faults[s->n] = *fault;
	rc = s->n++ >= s->refuse_from ? s->refuse : 0;
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static inline unsigned int seen_count(unsigned int i)
{
	unsigned int n;

	pthread_mutex_lock(&f.seen[i].lock);
	n = f.seen[i].n;
	pthread_mutex_unlock(&f.seen[i].lock);
	return n;
}

/* Wait until handler @i has been told @n times. Return: the last of them. */
static inline struct iommu_fault wait_seen(unsigned int i, unsigned int n)
{
	struct timespec until;
	struct iommu_fault fault = { 0 };
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&f.seen[i].lock);
	while (f.seen[i].n < n && !rc)
		rc = pthread_cond_timedwait(&f.seen[i].more, &f.seen[i].lock, &until);
	if (!rc)
		fault = f.seen[i].faults[n - 1];
	pthread_mutex_unlock(&f.seen[i].lock);
	EXPECT_EQ(0, rc);
	return fault;
}

static inline void page_response(void *arg, uint32_t group, uint32_t code)
{
	struct told *t = arg;
	unsigned int n = atomic_load(&t->n) % MAX_TOLD;

	atomic_store(&t->group[n], group);
	atomic_store(&t->code[n], code);
	atomic_fetch_add(&t->n, 1);
}

static const struct siommu_port_ops told_ops = { .page_response = page_response };

/* Port @i's answers: there are @n of them, and the last is this. */
static inline void expect_told(unsigned int i, unsigned int n, uint32_t group, uint32_t code)
{
	ASSERT_EQ(n, atomic_load(&f.told[i].n));
	EXPECT_EQ(group, f.told[i].group[(n - 1) % MAX_TOLD]);
	EXPECT_EQ(code, f.told[i].code[(n - 1) % MAX_TOLD]);
}

/* Until there are @n of them, for a while. Return: milliseconds that it took. */
static inline double wait_told(unsigned int i, unsigned int n)
{
	struct timespec start, now;
	double ms = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (atomic_load(&f.told[i].n) < n && ms < 30000) {
		usleep(500);
		clock_gettime(CLOCK_MONOTONIC, &now);
		ms = (double)(now.tv_sec - start.tv_sec) * 1e3 +
		     (double)(now.tv_nsec - start.tv_nsec) / 1e6;
	}
	EXPECT_EQ(n, atomic_load(&f.told[i].n));
	return ms;
}

static inline struct siommu_port *fport_flags(unsigned int i, uint32_t pasid, unsigned int flags)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = flags | (pasid ? SIOMMU_PORT_PASID : 0),
		.pasid = pasid,
		.ops = &told_ops,
		.arg = &f.told[i],
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(f.dev[i], &params, &port));
	return port;
}

static inline struct siommu_port *fport(unsigned int i, uint32_t pasid)
{
	return fport_flags(i, pasid, 0);
}

static inline int fask(struct siommu_port *port, uint32_t group, uint64_t iova, unsigned int access,
		       bool last)
{
	const struct siommu_page_request request = {
		.iova = iova, .group = group, .access = access, .last = last
	};

	return siommu_dma_page_request(port, &request);
}

static inline void add_device(const struct siommu_device_params *able)
{
	struct siommu_device_params params = *able;
	const unsigned int i = f.ndevs;

	params.size = sizeof(params);
	params.name = "nic";
	params.group = 7;
	params.unit = f.unit;
	params.requester = 0x100 + i;
	ASSERT_OK(siommu_device_create(machine, &params, &f.dev[i]));
	f.ndevs++;
}

/* After all have come: nobody joins a group that is attached. */
static inline void add_to_domain(unsigned int i)
{
	uint32_t id;

	ASSERT_OK(siommu_device_bind(ctx, f.dev[i], &f.bound[i], &id));
	ASSERT_OK(siommu_domain_add(f.domain, f.bound[i]));
	ASSERT_OK(siommu_register_device_fault_handler(f.domain, f.bound[i], remember, &f.seen[i]));
}

static inline void faults_begin_on(const char *model, const char *options,
				   const struct siommu_device_params *able, unsigned int ndevs,
				   unsigned int timeout_ms)
{
	const struct siommu_unit_params u = { .size = sizeof(u),
					      .model = model,
					      .options = options };
	unsigned int i;

	memset(&f, 0, sizeof(f));
	machine->prq_timeout_ms = timeout_ms;
	ASSERT_OK(siommu_unit_create(machine, &u, NULL, 0, &f.unit));
	f.ioas = new_ioas();
	f.ram = buffer(WORLD_PAGES * PAGE);
	ASSERT_OK(map_at(f.ioas, f.ram, WORLD_PAGES * PAGE, 0));
	ASSERT_OK(siommu_domain_create(ctx, f.ioas, &f.domain));
	for (i = 0; i < ndevs; i++) {
		pthread_mutex_init(&f.seen[i].lock, NULL);
		pthread_cond_init(&f.seen[i].more, NULL);
		add_device(able);
	}
	for (i = 0; i < ndevs; i++)
		add_to_domain(i);
}

/* Behind VT-d, with PASIDs. Nobody's patience ends within a test. */
static inline void faults_begin(unsigned int ndevs)
{
	static const struct siommu_device_params able = {
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
	};

	faults_begin_on("vtd", "", &able, ndevs, 60000);
}

static inline void faults_end(void)
{
	unsigned int i;

	for (i = 0; i < f.ndevs; i++) {
		if (f.bound[i]) {
			siommu_domain_remove(f.domain, f.bound[i]);
			siommu_device_unbind(f.bound[i]);
		}
	}
	siommu_domain_destroy(f.domain);
	/* What is in the context refers to the unit. */
	fixture_close();
	for (i = 0; i < f.ndevs; i++) {
		siommu_device_destroy(f.dev[i]);
		pthread_cond_destroy(&f.seen[i].more);
		pthread_mutex_destroy(&f.seen[i].lock);
	}
	siommu_unit_destroy(f.unit);
}

static inline uint32_t own_pasid(void)
{
	int pasid = siommu_pasid_alloc(f.domain, 1, 1000);

	ASSERT_TRUE(pasid > 0);
	return (uint32_t)pasid;
}

/* Bind an empty table to @pasid, which the guest calls @gpasid; 0: as the host does. */
static inline void bind_to(struct siommu_bound *bound, uint32_t pasid, uint32_t gpasid)
{
	struct iommu_gpasid_bind_data data = world_bind(pasid);

	if (gpasid) {
		data.flags = IOMMU_SVA_GPASID_VAL;
		data.gpasid = gpasid;
	}
	ASSERT_OK(siommu_uapi_sva_bind_gpasid(f.domain, bound, &data));
}

static inline void unbind_from(struct siommu_bound *bound, uint32_t pasid)
{
	const struct iommu_gpasid_bind_data data = world_bind(pasid);

	ASSERT_OK(siommu_uapi_sva_unbind_gpasid(f.domain, bound, &data));
}

static inline int respond(unsigned int i, const struct iommu_page_response *response)
{
	return siommu_page_response(f.domain, f.bound[i], response);
}

static inline int respond_to(unsigned int i, const struct iommu_fault *fault, uint32_t code)
{
	const struct iommu_page_response response = response_to(fault, code);

	return respond(i, &response);
}

#endif
