// SPDX-License-Identifier: MIT
/*
 * A device model that does DMA: a packet generator that fills a ring of buffers
 * in a guest's memory. What it needs of the library is a port, and three
 * functions around each access; the rest below is the machine around it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define RING   0x100000ul /* IOVA of the first buffer */
#define BUFFER 2048ul
#define COUNT  64u

static void check(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-rc));
		exit(1);
	}
}

/* The device: write each packet where the ring says. */
static unsigned int run_device(struct siommu_port *port)
{
	unsigned int i, sent = 0;

	for (i = 0; i < COUNT + 1; i++) {
		const uint64_t iova = RING + i * BUFFER;
		char *packet;

		/* Between begin and end the address stays good: be quick. */
		siommu_dma_begin(port);
		packet = siommu_dma_find(port, iova, 64, SIOMMU_DMA_WRITE);
		if (packet) {
			memset(packet, 0, 64);
			memcpy(packet, &i, sizeof(i));
			sent++;
		}
		siommu_dma_end(port);
		/* The slow way says why, and records the fault. */
		if (!packet && siommu_dma_write(port, iova, &i, sizeof(i), 0))
			printf("  packet %u is refused: fault %#x\n", i,
			       siommu_dma_fault(port)->reason);
	}
	return sent;
}

int main(void)
{
	struct siommu_unit_params up = { .size = sizeof(up), .model = "amd" };
	struct siommu_device_params dp = { .size = sizeof(dp), .name = "nic", .requester = 0x10 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	uint32_t *memory = aligned_alloc(4096, COUNT * BUFFER), id, pt;
	struct siommu_machine *machine;
	struct siommu_device *nic;
	struct siommu_bound *bound;
	struct siommu_port *port;
	struct siommu_ctx *ctx;
	unsigned int sent;

	/* A machine with one IOMMU, and the device behind it. */
	check(siommu_machine_create(NULL, &machine), "machine");
	check(siommu_unit_create(machine, &up, NULL, 0, &dp.unit), "IOMMU");
	check(siommu_device_create(machine, &dp, &nic), "device");

	/* What its driver does: an address space with the ring in it. */
	check(siommu_open(machine, 0, &ctx), "context");
	check(siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &ioas), "IOAS_ALLOC");
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = pt = ioas.out_ioas_id,
		.user_va = (uintptr_t)memory,
		.length = COUNT * BUFFER,
		.iova = RING,
	};
	check(siommu_ioctl(ctx, IOMMU_IOAS_MAP, &map), "IOAS_MAP");
	check(siommu_device_bind(ctx, nic, &bound, &id), "bind");
	check(siommu_device_attach(bound, 0, &pt), "attach");

	check(siommu_port_create(nic, NULL, &port), "port");
	sent = run_device(port);
	printf("  %u packets, the last is number %u\n", sent,
	       memory[(COUNT - 1) * BUFFER / sizeof(*memory)]);
	siommu_port_destroy(port);

	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_close(ctx);
	siommu_device_destroy(nic);
	siommu_unit_destroy(dp.unit);
	siommu_machine_destroy(machine);
	free(memory);
	return sent == COUNT ? 0 : 1;
}
