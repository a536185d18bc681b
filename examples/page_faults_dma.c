// SPDX-License-Identifier: MIT
/*
 * Memory that comes when a device asks for it, as after a migration whose pages
 * are still at the other host. Nothing is mapped at first. The device meets a
 * page that is not there and asks (PCIe PRI); whoever reads the fault queue
 * fetches the page, maps it and answers; the device goes on.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define PAGE  4096ul
#define PAGES 16ul
#define IOVA  0x40000000ul

static struct siommu_ctx *ctx;
static uint32_t ioas;
static int queue;
static uint8_t *memory, *remote;

static void check(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

/* The device reads everything, as if it were there. */
static void *run_device(void *arg)
{
	static uint8_t buf[PAGES * PAGE];

	if (siommu_dma_read(arg, IOVA, buf, sizeof(buf), 0))
		return "the read failed";
	return memcmp(buf, remote, sizeof(buf)) ? "it read something else" : NULL;
}

static void fetch(uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory + (iova - IOVA),
		.length = PAGE,
		.iova = iova,
	};

	memcpy(memory + (iova - IOVA), remote + (iova - IOVA), PAGE);
	check(siommu_ioctl(ctx, IOMMU_IOAS_MAP, &map), "IOAS_MAP");
}

/* Answer page requests until each page was asked for. */
static void serve(void)
{
	struct pollfd pfd = { .fd = queue, .events = POLLIN };
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		struct iommu_hwpt_page_response answer = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
		struct iommu_hwpt_pgfault fault;

		if (poll(&pfd, 1, 5000) != 1 ||
		    siommu_read(ctx, queue, &fault, sizeof(fault)) != sizeof(fault))
			check(-ETIMEDOUT, "page request");
		fetch(fault.addr & ~(PAGE - 1));
		answer.cookie = fault.cookie;
		if (siommu_write(ctx, queue, &answer, sizeof(answer)) != sizeof(answer))
			exit(1);
	}
	printf("  %u page requests read, and answered\n", i);
}

/* A page table whose faults go to a queue. */
static void attach(struct siommu_device *dev, struct siommu_bound **bound)
{
	struct iommu_ioas_alloc space = { .size = sizeof(space) };
	struct iommu_fault_alloc faults = { .size = sizeof(faults) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .flags = IOMMU_HWPT_FAULT_ID_VALID };

	check(siommu_device_bind(ctx, dev, bound, &hwpt.dev_id), "bind");
	check(siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &space), "IOAS_ALLOC");
	check(siommu_ioctl(ctx, IOMMU_FAULT_QUEUE_ALLOC, &faults), "FAULT_QUEUE_ALLOC");
	ioas = hwpt.pt_id = space.out_ioas_id;
	queue = (int)faults.out_fault_fd;
	hwpt.fault_id = faults.out_fault_id;
	check(siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &hwpt), "HWPT_ALLOC");
	check(siommu_device_attach(*bound, 0, &hwpt.out_hwpt_id), "attach");
}

int main(void)
{
	struct siommu_unit_params up = { .size = sizeof(up), .model = "vtd", .options = "pri=on" };
	struct siommu_device_params dp = {
		.size = sizeof(dp),
		.name = "nic",
		.requester = 0x10,
		.ats = true,
		.page_requests = true,
	};
	const struct siommu_port_params pp = {
		.size = sizeof(pp),
		.flags = SIOMMU_PORT_PAGE_REQUESTS,
		.timeout_ms = 5000,
	};
	struct siommu_machine *machine;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	void *failed = NULL;
	pthread_t thread;

	memory = aligned_alloc(PAGE, PAGES * PAGE);
	remote = malloc(PAGES * PAGE);
	memset(remote, 'x', PAGES * PAGE);
	check(siommu_machine_create(NULL, &machine), "machine");
	check(siommu_unit_create(machine, &up, NULL, 0, &dp.unit), "IOMMU");
	check(siommu_device_create(machine, &dp, &dev), "device");
	check(siommu_open(machine, 0, &ctx), "context");
	attach(dev, &bound);
	check(siommu_port_create(dev, &pp, &port), "port");

	if (pthread_create(&thread, NULL, run_device, port))
		return 1;
	serve();
	pthread_join(thread, &failed);
	printf("  the device has read %lu bytes: %s\n", PAGES * PAGE,
	       failed ? (char *)failed : "all as they were");

	siommu_port_destroy(port);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_close(ctx);
	siommu_device_destroy(dev);
	siommu_unit_destroy(dp.unit);
	siommu_machine_destroy(machine);
	free(memory);
	free(remote);
	return failed != NULL;
}
