// SPDX-License-Identifier: MIT
/*
 * Uses the toy as a monitor uses an IOMMU: a guest's memory as second stage, the guest's
 * table as first, DMA through both, a fault, and an unmap that waits for a device which
 * never stops writing. Ends with 1 if anything is not as it should be.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "toy.h"

#define PAGE 4096ul
#define RAM  (64 * PAGE)
#define ROOT (16 * PAGE) /* where the guest has its table */
#define RW   (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE)

static _Alignas(4096) unsigned char ram[RAM];
static struct siommu_machine *machine;
static struct siommu_ctx *ctx;
static atomic_bool stop;
static atomic_ulong writes;

static void expect(long want, long got, const char *what)
{
	printf("%s  %s\n", want == got ? "ok  " : "FAIL", what);
	if (want == got)
		return;
	printf("      is %ld, should be %ld\n", got, want);
	exit(1);
}

/* One device behind one IOMMU of a kind, bound to the context. */
struct rig {
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	uint32_t id;
};

static struct rig rig_new(const char *model)
{
	struct siommu_unit_params unit = { .size = sizeof(unit), .model = model };
	struct siommu_device_params dev = { .size = sizeof(dev), .name = "nic" };
	struct rig r;

	expect(0, siommu_unit_create(machine, &unit, NULL, 0, &r.unit), model);
	dev.unit = r.unit;
	expect(0, siommu_device_create(machine, &dev, &r.dev), "a device behind it");
	expect(0, siommu_device_bind(ctx, r.dev, &r.bound, &r.id), "bound to a context");
	expect(0, siommu_port_create(r.dev, NULL, &r.port), "with a port");
	return r;
}

static void rig_end(struct rig *r)
{
	siommu_device_detach(r->bound, 0);
	siommu_port_destroy(r->port);
	siommu_device_unbind(r->bound);
	siommu_device_destroy(r->dev);
	siommu_unit_destroy(r->unit);
}

static int hwpt_alloc(const struct rig *r, uint32_t on, uint32_t flags, const struct toy_hwpt *data,
		      uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = r->id,
		.pt_id = on,
		.data_type = data ? TOY_HWPT_DATA : IOMMU_HWPT_DATA_NONE,
		.data_len = data ? sizeof(*data) : 0,
		.data_uptr = (uintptr_t)data,
	};
	int rc = siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

static uint32_t guest_memory(void)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_FIXED_IOVA,
		.user_va = (uintptr_t)ram,
		.length = sizeof(ram),
	};

	expect(0, siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &ioas), "an address space");
	map.ioas_id = ioas.out_ioas_id;
	expect(0, siommu_ioctl(ctx, IOMMU_IOAS_MAP, &map), "with the guest's memory");
	return ioas.out_ioas_id;
}

static void guest_word(uint64_t iova, uint64_t word)
{
	__atomic_store_n((uint64_t *)(ram + ROOT) + iova / PAGE, word, __ATOMIC_RELEASE);
}

static void invalidate(uint32_t hwpt, uint64_t first, uint64_t last, int want)
{
	struct toy_invalidate entry = { first, last };
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.data_uptr = (uintptr_t)&entry,
		.data_type = TOY_INVALIDATE,
		.entry_len = sizeof(entry),
		.entry_num = 1,
	};

	expect(want, siommu_ioctl(ctx, IOMMU_HWPT_INVALIDATE, &cmd),
	       want ? "a range that ends before it begins: EINVAL" : "invalidation");
}

/* A read of one byte: the byte, or minus the fault's reason. */
static long read_byte(struct siommu_port *port, uint64_t iova)
{
	unsigned char byte;

	if (!siommu_dma_read(port, iova, &byte, 1, 0))
		return byte;
	return -(long)siommu_dma_fault(port)->reason;
}

static void nested(const struct rig *r, uint32_t parent)
{
	struct toy_hwpt data = { .root = ROOT + 1 };
	uint32_t hwpt;

	expect(-EINVAL, hwpt_alloc(r, parent, 0, &data, &hwpt), "a root between pages: EINVAL");
	data.root = ROOT;
	expect(0, hwpt_alloc(r, parent, 0, &data, &hwpt), "a nested HWPT");
	ram[5 * PAGE + 7] = 0x5a;
	ram[6 * PAGE + 7] = 0x6a;
	guest_word(0x3000, 5 * PAGE | RW);
	expect(0, siommu_device_replace(r->bound, 0, &hwpt), "the device uses it");
	expect(0x5a, read_byte(r->port, 0x3007), "DMA goes through both stages");
	expect(-TOY_STAGE1, read_byte(r->port, 0x4007), "what the guest has not mapped faults");
	guest_word(0x4000, 2 * RAM | RW);
	expect(-TOY_STAGE2, read_byte(r->port, 0x4007), "so does what it has not got");
	guest_word(0x3000, 6 * PAGE | RW);
	invalidate(hwpt, 1, 0, -EINVAL);
	invalidate(hwpt, 0x3000, 0x3fff, 0);
	expect(0x6a, read_byte(r->port, 0x3007), "the guest's change is seen");
	expect(0, siommu_device_replace(r->bound, 0, &parent), "the device leaves it");
	expect(-EBUSY,
	       siommu_ioctl(ctx, IOMMU_DESTROY,
			    &(struct iommu_destroy){ sizeof(struct iommu_destroy), parent }),
	       "a parent in use stays: EBUSY");
}

static void *write_on(void *port)
{
	unsigned char byte = 1;

	while (!atomic_load(&stop)) {
		byte ^= 3;
		if (!siommu_dma_write(port, 8 * PAGE, &byte, 1, 0))
			atomic_fetch_add(&writes, 1);
	}
	return NULL;
}

/* When an unmap has returned, the device writes no more, however busy it is. */
static void fence(const struct rig *r, uint32_t ioas)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas,
		.length = UINT64_MAX,
	};
	unsigned int changed = 0;
	pthread_t thread;

	expect(0, pthread_create(&thread, NULL, write_on, r->port), "a device that writes on");
	while (atomic_load(&writes) < 1000)
		;
	expect(0, siommu_ioctl(ctx, IOMMU_IOAS_UNMAP, &unmap), "everything is unmapped");
	__atomic_store_n(&ram[8 * PAGE], 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 1000000; i++)
		changed += __atomic_load_n(&ram[8 * PAGE], __ATOMIC_RELAXED);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	expect(0, changed, "and nothing is written any more");
	expect(-TOY_STAGE2, read_byte(r->port, 8 * PAGE), "but faults");
}

static void flat(void)
{
	struct siommu_model_ops ops = *siommu_model.ops;
	struct siommu_model model = siommu_model;
	struct toy_hwpt data = { .root = ROOT };
	uint32_t ioas, hwpt;
	struct rig r;

	/* The same without nesting: what is left out need not be refused. */
	model.name = "toy-flat";
	model.flags = SIOMMU_MODEL_PASID;
	model.nested.size = model.invalidation.size = 0;
	model.ops = &ops;
	ops.domain_alloc_nested = NULL;
	ops.invalidate = NULL;
	expect(0, siommu_model_register(machine, &model), "a model that cannot nest");
	expect(-EEXIST, siommu_model_register(machine, &model), "once: EEXIST");
	r = rig_new("toy-flat");
	ioas = guest_memory();
	expect(-EOPNOTSUPP, hwpt_alloc(&r, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL, &hwpt),
	       "no parents: EOPNOTSUPP");
	expect(0, hwpt_alloc(&r, ioas, 0, NULL, &hwpt), "an HWPT");
	expect(-EOPNOTSUPP, hwpt_alloc(&r, hwpt, 0, &data, &hwpt), "nothing on it: EOPNOTSUPP");
	siommu_close(ctx);
	rig_end(&r);
}

int main(void)
{
	uint32_t ioas, parent;
	struct rig r;

	expect(0, siommu_machine_create(NULL, &machine), "a machine");
	expect(0, siommu_open(machine, SIOMMU_OPEN_CHECKED, &ctx), "a context");
	expect(0, siommu_model_register(machine, &siommu_model), "the toy is registered");
	r = rig_new("toy");
	expect(-TOY_BLOCKED, read_byte(r.port, 0), "unattached, DMA faults");
	ioas = guest_memory();
	expect(0, hwpt_alloc(&r, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL, &parent), "a parent");
	expect(0, siommu_device_attach(r.bound, 0, &parent), "the device is attached");
	ram[2 * PAGE] = 0x2a;
	expect(0x2a, read_byte(r.port, 2 * PAGE), "DMA goes through one stage");
	nested(&r, parent);
	fence(&r, ioas);
	siommu_close(ctx);
	rig_end(&r);

	expect(0, siommu_open(machine, SIOMMU_OPEN_CHECKED, &ctx), "another context");
	flat();
	siommu_machine_destroy(machine);
	printf("all is well\n");
	return 0;
}
