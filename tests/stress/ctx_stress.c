// SPDX-License-Identifier: MIT
/*
 * Threads that do everything to one context at once, in this process.
 *
 * usage: ctx_stress [SECONDS] [SEED]
 *
 * Each thread has one trade - mapping, attaching, faults, pins with call-backs,
 * and so on - and works on objects that others use and destroy at the same time:
 * ids are guessed, so much fails, and how it fails is checked against what may
 * happen. At the end everything is closed, and nothing may be left. Run it under
 * the thread sanitizer to make it worth its time.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd-test.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define KIB  ((uint64_t)1 << 10)
#define MIB  ((uint64_t)1 << 20)
#define PAGE (4 * KIB)
#define IOVA ((uint64_t)MOCK_APERTURE_START)

#define MEM_BYTES (8 * MIB)
#define NIOAS	  3
#define NPINS	  4

/* Blocks that a machine may keep: address space, user, a file. */
#define MAX_KEPT 3

static struct siommu_machine *machine;
static struct siommu_ctx *ctx;
static uint32_t ioas[NIOAS];
static uint32_t stdev, idev;
static char *memory;
static int memfd;
static FILE *null;
static atomic_bool stop;
static atomic_uint problems;

/**
 * struct worker - one thread
 * @name: its trade
 * @work: one turn of it
 * @setup: before the threads run; may be NULL
 * @state: of its random numbers
 * @turns: how many it has done
 * @good: calls that succeeded
 * @bad: calls that failed as they may
 * @arg: its own
 */
struct worker {
	const char *name;
	void (*work)(struct worker *w);
	void (*setup)(struct worker *w);
	uint64_t state;
	unsigned long turns;
	unsigned long good;
	unsigned long bad;
	void *arg;
	pthread_t thread;
};

static uint32_t pick(struct worker *w, uint32_t n)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return (uint32_t)((w->state * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static void problem(const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(&problems, 1) > 20)
		return;
	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

/* Count @rc, which may be one of some errnos, given as a list that ends with 0. */
static int expect(struct worker *w, const char *what, int rc, const int *allowed)
{
	if (rc >= 0) {
		w->good++;
		return rc;
	}
	w->bad++;
	for (; *allowed; allowed++)
		if (rc == -*allowed)
			return rc;
	problem("%s: %s: %s", w->name, what, strerror(-rc));
	return rc;
}

#define EXPECT(w, rc, ...) expect(w, #rc, rc, (const int[]){ __VA_ARGS__, 0 })

static int test_cmd(struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return siommu_ioctl(ctx, IOMMU_TEST_CMD, cmd);
}

static int destroy(uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return siommu_ioctl(ctx, IOMMU_DESTROY, &cmd);
}

static uint64_t some_iova(struct worker *w)
{
	return IOVA + pick(w, 64) * 16 * KIB;
}

/* --- mapping --- */

static int map(struct worker *w, uint32_t id)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = id,
		.user_va = (uintptr_t)memory + pick(w, 64) * 16 * KIB,
		.length = (1 + pick(w, 16)) * PAGE,
		.iova = some_iova(w),
	};

	return siommu_ioctl(ctx, IOMMU_IOAS_MAP, &cmd);
}

static int map_file(struct worker *w, uint32_t id)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.ioas_id = id,
		.fd = memfd,
		.start = pick(w, 64) * PAGE,
		.length = (1 + pick(w, 16)) * PAGE,
		.iova = some_iova(w),
	};

	/* Anywhere: where a page table that comes later may not reach. */
	if (pick(w, 8))
		cmd.flags |= IOMMU_IOAS_MAP_FIXED_IOVA;
	return siommu_ioctl(ctx, IOMMU_IOAS_MAP_FILE, &cmd);
}

static int copy(struct worker *w, uint32_t to, uint32_t from)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = to,
		.src_ioas_id = from,
		.length = (1 + pick(w, 4)) * PAGE,
		.dst_iova = some_iova(w),
		.src_iova = some_iova(w),
	};

	return siommu_ioctl(ctx, IOMMU_IOAS_COPY, &cmd);
}

static int unmap(uint32_t id, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = id,
		.iova = iova,
		.length = length,
	};

	return siommu_ioctl(ctx, IOMMU_IOAS_UNMAP, &cmd);
}

static void work_map(struct worker *w)
{
	uint32_t id = ioas[pick(w, NIOAS)], other = ioas[pick(w, NIOAS)];

	switch (pick(w, 8)) {
	case 0:
	case 1:
	case 2:
		EXPECT(w, map(w, id), EEXIST);
		break;
	case 3:
		EXPECT(w, map_file(w, id), EEXIST, ENOSPC);
		break;
	case 4:
		/* EINVAL: an access is just letting go of what is copied. */
		EXPECT(w, copy(w, other, id), EEXIST, ENOENT, EINVAL);
		break;
	case 5:
	case 6:
		/* EBUSY: a queue of the vIOMMU is there. */
		EXPECT(w, unmap(id, some_iova(w), 64 * KIB), ENOENT, EBUSY);
		break;
	default:
		if (!pick(w, 8))
			/* ENOENT: others map meanwhile what reaches over where it has come to. */
			EXPECT(w, unmap(id, 0, UINT64_MAX), EBUSY, ENOENT);
		break;
	}
}

/* --- objects that come and go --- */

static void work_objects(struct worker *w)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = pick(w, 2) ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0,
		.dev_id = idev,
		.pt_id = ioas[pick(w, NIOAS)],
	};
	uint32_t id;

	if (pick(w, 2)) {
		if (!EXPECT(w, siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &alloc), ENOMEM)) {
			EXPECT(w, map(w, alloc.out_ioas_id), EEXIST, ENOENT);
			EXPECT(w, destroy(alloc.out_ioas_id), ENOENT, EBUSY);
		}
	} else if (!EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &hwpt), ENOENT, EADDRINUSE)) {
		EXPECT(w, destroy(hwpt.out_hwpt_id), ENOENT, EBUSY);
	}
	/* Somebody else's, but not what all of this stands on. */
	id = stdev + 2 + pick(w, 40);
	EXPECT(w, destroy(id), ENOENT, EBUSY);
}

static void work_show(struct worker *w)
{
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas[pick(w, NIOAS)],
		.num_iovas = 8,
		.allowed_iovas = (uintptr_t)ranges,
	};

	if (!pick(w, 16))
		siommu_machine_show(machine, null);
	EXPECT(w, siommu_ioctl(ctx, IOMMU_IOAS_IOVA_RANGES, &cmd), EMSGSIZE);
	siommu_machine_used(machine, NULL, NULL);
}

/* --- devices --- */

struct device {
	struct siommu_device *dev;
	struct siommu_bound *bound;
	uint32_t id;
};

static void setup_device(struct worker *w)
{
	struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "stress",
		.iommu = SIOMMU_IOMMU_MOCK,
	};
	struct device *d = calloc(1, sizeof(*d));

	w->arg = d;
	if (siommu_device_create(machine, &params, &d->dev) ||
	    siommu_device_bind(ctx, d->dev, &d->bound, &d->id))
		problem("no device");
}

/* The page table of the other IOAS may reach what this one may not. */
static void work_device(struct worker *w)
{
	struct device *d = w->arg;
	uint32_t pt = ioas[pick(w, NIOAS)];

	switch (pick(w, 8)) {
	case 0:
	case 1:
		EXPECT(w, siommu_device_attach(d->bound, 0, &pt), EBUSY, EADDRINUSE);
		break;
	case 2:
	case 3:
	case 4:
		EXPECT(w, siommu_device_replace(d->bound, 0, &pt), EINVAL, EADDRINUSE);
		break;
	case 5:
		siommu_device_detach(d->bound, 0);
		break;
	default:
		if (pick(w, 4))
			break;
		siommu_device_detach(d->bound, 0);
		siommu_device_unbind(d->bound);
		if (EXPECT(w, siommu_device_bind(ctx, d->dev, &d->bound, &d->id), ENOMEM))
			problem("a device is lost");
		break;
	}
}

static void end_device(struct worker *w)
{
	struct device *d = w->arg;

	siommu_device_detach(d->bound, 0);
	siommu_device_unbind(d->bound);
	siommu_device_destroy(d->dev);
	free(d);
}

/* --- accesses --- */

struct access {
	struct siommu_access *access;
	pthread_mutex_t lock;
	unsigned int npins;
	struct {
		uint64_t iova;
		uint64_t length;
	} pins[NPINS];
};

static void let_go(void *arg, uint64_t iova, uint64_t length)
{
	struct access *a = arg;
	unsigned int i;

	pthread_mutex_lock(&a->lock);
	for (i = a->npins; i--;) {
		if (a->pins[i].iova > iova + length - 1 ||
		    a->pins[i].iova + a->pins[i].length - 1 < iova)
			continue;
		siommu_access_unpin(a->access, a->pins[i].iova, a->pins[i].length);
		a->pins[i] = a->pins[--a->npins];
	}
	pthread_mutex_unlock(&a->lock);
}

static const struct siommu_access_ops access_ops = { .needs_pin = true, .unmap = let_go };

static void setup_access(struct worker *w)
{
	struct access *a = calloc(1, sizeof(*a));

	w->arg = a;
	pthread_mutex_init(&a->lock, NULL);
	if (siommu_access_create(ctx, &access_ops, a, &a->access))
		problem("no access");
}

/* As drivers do: its own lock is held while pinning, and taken in the call-back. */
static void pin(struct worker *w)
{
	struct access *a = w->arg;
	uint64_t iova = some_iova(w), length = (1 + pick(w, 4)) * PAGE;
	uint64_t hpas[4];

	pthread_mutex_lock(&a->lock);
	if (a->npins == NPINS) {
		siommu_access_unpin(a->access, a->pins[0].iova, a->pins[0].length);
		a->pins[0] = a->pins[--a->npins];
	}
	/* EINVAL: an unmap of it has begun. EPERM: a copy that cannot be written. */
	if (!EXPECT(w, siommu_access_pin(a->access, iova, length, SIOMMU_ACCESS_WRITE, hpas),
		    ENOENT, EINVAL, EPERM)) {
		a->pins[a->npins].iova = iova;
		a->pins[a->npins++].length = length;
	}
	pthread_mutex_unlock(&a->lock);
}

static void work_access(struct worker *w)
{
	struct access *a = w->arg;
	char buf[100];

	switch (pick(w, 8)) {
	case 0:
		EXPECT(w, siommu_access_attach(a->access, ioas[pick(w, NIOAS)]), EINVAL);
		break;
	case 1:
	case 2:
		EXPECT(w, siommu_access_replace(a->access, ioas[pick(w, NIOAS)]), ENOENT);
		break;
	case 3:
		if (!pick(w, 4))
			siommu_access_detach(a->access);
		break;
	case 4:
		EXPECT(w, siommu_access_rw(a->access, some_iova(w), buf, sizeof(buf), 0), ENOENT,
		       EINVAL);
		break;
	case 5:
		if (pick(w, 8))
			break;
		siommu_access_destroy(a->access);
		if (siommu_access_create(ctx, &access_ops, a, &a->access))
			problem("an access is lost");
		break;
	default:
		pin(w);
		break;
	}
}

static void end_access(struct worker *w)
{
	struct access *a = w->arg;

	siommu_access_destroy(a->access);
	if (a->npins)
		problem("an access ended with %u pins", a->npins);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* The test interface's accesses, which are descriptors. */
static void work_test_access(struct worker *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = ioas[pick(w, NIOAS)],
		.create_access = { .flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES },
	};
	unsigned int i;
	uint32_t fd;

	if (EXPECT(w, test_cmd(&cmd), ENOMEM))
		return;
	fd = cmd.create_access.out_access_fd;
	for (i = 0; i < 8; i++) {
		cmd = (struct iommu_test_cmd){
			.op = IOMMU_TEST_OP_ACCESS_PAGES,
			.id = fd,
			.access_pages = { .iova = some_iova(w), .length = PAGE },
		};
		if (!pick(w, 4))
			cmd = (struct iommu_test_cmd){
				.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
				.id = fd,
				.access_replace_ioas = { .ioas_id = ioas[pick(w, NIOAS)] },
			};
		EXPECT(w, test_cmd(&cmd), ENOENT, EINVAL, EPERM);
	}
	if (siommu_close_fd(ctx, (int)fd))
		problem("an access was closed already");
}

/* --- faults --- */

static void fault_turn(struct worker *w, int fd, uint32_t dev)
{
	struct iommu_test_cmd trigger = {
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = { .dev_id = dev, .grpid = pick(w, 8), .addr = IOVA },
	};
	struct iommu_hwpt_page_response response = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct iommu_hwpt_pgfault record;

	EXPECT(w, test_cmd(&trigger), ENOENT);
	if (EXPECT(w, (int)siommu_read(ctx, fd, &record, sizeof(record)), EBADF) <= 0 ||
	    !pick(w, 4))
		return;
	response.cookie = record.cookie;
	/* EINVAL: the device was detached meanwhile, which answered it. */
	EXPECT(w, (int)siommu_write(ctx, fd, &response, sizeof(response)), EINVAL);
}

static void work_fault(struct worker *w)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.pt_id = ioas[pick(w, NIOAS)],
	};
	struct device *d = w->arg;
	uint32_t pt;
	int i;

	if (EXPECT(w, siommu_ioctl(ctx, IOMMU_FAULT_QUEUE_ALLOC, &fault), ENOMEM))
		return;
	hwpt.dev_id = d->id;
	hwpt.fault_id = fault.out_fault_id;
	if (!EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &hwpt), ENOENT, EADDRINUSE)) {
		pt = hwpt.out_hwpt_id;
		/* The thread that destroys what it can may have been faster. */
		if (!EXPECT(w, siommu_device_attach(d->bound, 0, &pt), EBUSY, ENOENT, EINVAL)) {
			for (i = 0; i < 8; i++)
				fault_turn(w, (int)fault.out_fault_fd, d->id);
			siommu_device_detach(d->bound, 0);
		}
		EXPECT(w, destroy(hwpt.out_hwpt_id), ENOENT, EBUSY);
	}
	if (siommu_close_fd(ctx, (int)fault.out_fault_fd))
		problem("a fault queue was closed already");
	EXPECT(w, destroy(fault.out_fault_id), ENOENT, EBUSY);
}

/* The queue that is served by a thread of its own, or -1. */
static atomic_int served_fd = -1;

/* Requests are answered by somebody else, and the device goes meanwhile. */
static void work_fault_device(struct worker *w)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.pt_id = ioas[0],
	};
	struct iommu_test_cmd dev = { .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas[0] };
	struct iommu_test_cmd cmd;
	int i;

	if (EXPECT(w, test_cmd(&dev), EADDRINUSE))
		return;
	if (EXPECT(w, siommu_ioctl(ctx, IOMMU_FAULT_QUEUE_ALLOC, &fault), ENOMEM))
		return;
	hwpt.dev_id = dev.mock_domain.out_idev_id;
	hwpt.fault_id = fault.out_fault_id;
	cmd = (struct iommu_test_cmd){
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = dev.mock_domain.out_stdev_id,
	};
	if (!EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &hwpt), ENOENT, EADDRINUSE)) {
		cmd.mock_domain_replace.pt_id = hwpt.out_hwpt_id;
		EXPECT(w, test_cmd(&cmd), ENOENT, EINVAL);
	}
	atomic_store(&served_fd, (int)fault.out_fault_fd);
	for (i = 0; i < 20; i++) {
		cmd = (struct iommu_test_cmd){
			.op = IOMMU_TEST_OP_TRIGGER_IOPF,
			.trigger_iopf = { .dev_id = hwpt.dev_id, .grpid = 1, .addr = IOVA },
		};
		EXPECT(w, test_cmd(&cmd), ENOENT);
	}
	EXPECT(w, destroy(dev.mock_domain.out_stdev_id), ENOENT, EBUSY);
	atomic_store(&served_fd, -1);
	EXPECT(w, destroy(hwpt.out_hwpt_id), ENOENT, EBUSY);
	siommu_close_fd(ctx, (int)fault.out_fault_fd);
	EXPECT(w, destroy(fault.out_fault_id), ENOENT, EBUSY);
}

/* The number may be another descriptor's by now, even one that is no fault queue. */
static void work_respond(struct worker *w)
{
	struct iommu_hwpt_page_response responses[16];
	struct iommu_hwpt_pgfault records[16];
	int fd = atomic_load(&served_fd);
	int i, n;

	if (fd < 0) {
		usleep(1);
		return;
	}
	n = EXPECT(w, (int)siommu_read(ctx, fd, records, sizeof(records)), EBADF, EINVAL);
	n /= (int)sizeof(records[0]);
	for (i = 0; i < n; i++)
		responses[i] = (struct iommu_hwpt_page_response){
			.cookie = records[i].cookie,
			.code = IOMMUFD_PAGE_RESP_SUCCESS,
		};
	if (n > 0)
		EXPECT(w, (int)siommu_write(ctx, fd, responses, (size_t)n * sizeof(responses[0])),
		       EBADF, EINVAL);
}

/* --- dirty tracking --- */

static void work_dirty(struct worker *w)
{
	uint8_t bits[64] = { 0x55, 0xaa };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = idev,
		.pt_id = ioas[pick(w, NIOAS)],
	};
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.flags = pick(w, 2),
		.iova = IOVA,
		.length = sizeof(bits) * 8 * PAGE,
		.page_size = PAGE,
		.data = (uintptr_t)bits,
	};
	struct iommu_test_cmd dirty = {
		.op = IOMMU_TEST_OP_DIRTY,
		.dirty = {
			.iova = IOVA,
			.length = sizeof(bits) * 8 * PAGE,
			.page_size = PAGE,
			.uptr = (uintptr_t)bits,
		},
	};

	if (EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &hwpt), ENOENT, EADDRINUSE))
		return;
	set.hwpt_id = get.hwpt_id = dirty.id = hwpt.out_hwpt_id;
	/* The id may be another's by now, even one that does not track. */
	EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), ENOENT, EOPNOTSUPP);
	EXPECT(w, test_cmd(&dirty), ENOENT, EINVAL);
	EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), ENOENT, EOPNOTSUPP);
	EXPECT(w, destroy(hwpt.out_hwpt_id), ENOENT, EBUSY);
}

/* --- vIOMMUs --- */

static int viommu_alloc(struct device *d, uint32_t parent, uint32_t *id)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = d->id,
		.hwpt_id = parent,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = siommu_ioctl(ctx, IOMMU_VIOMMU_ALLOC, &cmd);

	*id = cmd.out_viommu_id;
	return rc;
}

/* A queue in memory that others try to unmap meanwhile. */
static void hw_queue_turn(struct worker *w, uint32_t viommu)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
		.nesting_parent_iova = some_iova(w),
		.length = PAGE,
	};

	if (!EXPECT(w, siommu_ioctl(ctx, IOMMU_HW_QUEUE_ALLOC, &cmd), ENOENT, EINVAL, EEXIST))
		EXPECT(w, destroy(cmd.out_hw_queue_id), ENOENT, EBUSY);
}

static void vdevice_turn(struct worker *w, struct device *d, uint32_t viommu)
{
	struct iommu_vdevice_alloc vdev = {
		.size = sizeof(vdev),
		.viommu_id = viommu,
		.dev_id = d->id,
		.virt_id = 0x99,
	};
	struct iommu_hwpt_selftest data = { .iotlb = 1 };
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.dev_id = d->id,
		.pt_id = viommu,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	struct iommu_test_cmd trigger = {
		.op = IOMMU_TEST_OP_TRIGGER_VEVENT,
		.trigger_vevent = { .dev_id = d->id },
	};
	uint32_t pt;

	if (EXPECT(w, siommu_ioctl(ctx, IOMMU_VDEVICE_ALLOC, &vdev), ENOENT, EEXIST))
		return;
	if (!EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &nested), ENOENT, EINVAL)) {
		pt = nested.out_hwpt_id;
		if (!EXPECT(w, siommu_device_attach(d->bound, 0, &pt), ENOENT, EINVAL, EBUSY)) {
			EXPECT(w, test_cmd(&trigger), ENOENT, EOPNOTSUPP);
			siommu_device_detach(d->bound, 0);
		}
		EXPECT(w, destroy(nested.out_hwpt_id), ENOENT, EBUSY);
	}
	EXPECT(w, destroy(vdev.out_vdevice_id), ENOENT, EBUSY);
}

static void work_viommu(struct worker *w)
{
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.pt_id = ioas[pick(w, NIOAS)],
	};
	struct iommu_veventq_alloc queue = {
		.size = sizeof(queue),
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = 2,
	};
	struct device *d = w->arg;
	uint32_t viommu;
	char room[64];

	parent.dev_id = d->id;
	if (EXPECT(w, siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &parent), ENOENT, EADDRINUSE))
		return;
	if (!EXPECT(w, viommu_alloc(d, parent.out_hwpt_id, &viommu), ENOENT, EINVAL)) {
		queue.viommu_id = viommu;
		if (!EXPECT(w, siommu_ioctl(ctx, IOMMU_VEVENTQ_ALLOC, &queue), ENOENT, EEXIST)) {
			vdevice_turn(w, d, viommu);
			EXPECT(w, (int)siommu_read(ctx, (int)queue.out_veventq_fd, room,
						   sizeof(room)),
			       EBADF);
			siommu_close_fd(ctx, (int)queue.out_veventq_fd);
			EXPECT(w, destroy(queue.out_veventq_id), ENOENT, EBUSY);
		}
		hw_queue_turn(w, viommu);
		EXPECT(w, destroy(viommu), ENOENT, EBUSY);
	}
	EXPECT(w, destroy(parent.out_hwpt_id), ENOENT, EBUSY);
}

/* --- all of it --- */

static struct worker workers[] = {
	{ .name = "map", .work = work_map },
	{ .name = "map too", .work = work_map },
	{ .name = "objects", .work = work_objects },
	{ .name = "show", .work = work_show },
	{ .name = "device", .work = work_device, .setup = setup_device },
	{ .name = "device too", .work = work_device, .setup = setup_device },
	{ .name = "access", .work = work_access, .setup = setup_access },
	{ .name = "access too", .work = work_access, .setup = setup_access },
	{ .name = "test access", .work = work_test_access },
	{ .name = "fault", .work = work_fault, .setup = setup_device },
	{ .name = "fault device", .work = work_fault_device },
	{ .name = "respond", .work = work_respond },
	{ .name = "respond too", .work = work_respond },
	{ .name = "dirty", .work = work_dirty },
	{ .name = "viommu", .work = work_viommu, .setup = setup_device },
};

#define NWORKERS (sizeof(workers) / sizeof(workers[0]))

static void *run(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		w->work(w);
		w->turns++;
	}
	return NULL;
}

static void complain(void *arg, int level, const char *line)
{
	(void)arg;
	(void)level;
	problem("log: %s", line);
}

/* Automatic places of the first IOASes are where page tables reach. */
static int allow(uint32_t id)
{
	struct iommu_iova_range range = { MOCK_APERTURE_START, MOCK_APERTURE_LAST };
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = id,
		.num_iovas = 1,
		.allowed_iovas = (uintptr_t)&range,
	};

	return siommu_ioctl(ctx, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static void begin(size_t *blocks)
{
	const struct siommu_machine_params params = {
		.size = sizeof(params),
		.test_interface = true,
		.log = complain,
		.log_level = 3, /* LOG_ERR */
	};
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	unsigned int i;
	int rc;

	rc = siommu_machine_create(&params, &machine);
	if (!rc)
		siommu_machine_used(machine, NULL, blocks);
	if (!rc)
		rc = siommu_open(machine, 0, &ctx);
	for (i = 0; !rc && i < NIOAS; i++) {
		rc = siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &alloc);
		ioas[i] = alloc.out_ioas_id;
		if (!rc && i < NIOAS - 1)
			rc = allow(ioas[i]);
	}
	cmd.id = alloc.out_ioas_id;
	if (!rc)
		rc = test_cmd(&cmd);
	stdev = cmd.mock_domain.out_stdev_id;
	idev = cmd.mock_domain.out_idev_id;
	memory = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memfd = memfd_create("stress", MFD_CLOEXEC);
	null = fopen("/dev/null", "we");
	if (rc || memory == MAP_FAILED || ftruncate(memfd, MEM_BYTES) || !null) {
		printf("Bail out! no machine: %s\n", strerror(rc ? -rc : errno));
		exit(EXIT_FAILURE);
	}
}

static void end(size_t blocks_before)
{
	size_t blocks;
	unsigned int i;

	for (i = 0; i < NWORKERS; i++) {
		if (workers[i].setup == setup_device)
			end_device(&workers[i]);
		else if (workers[i].setup == setup_access)
			end_access(&workers[i]);
	}
	siommu_close(ctx);
	siommu_machine_used(machine, NULL, &blocks);
	if (blocks > blocks_before + MAX_KEPT)
		problem("%zu blocks are left, not %zu", blocks, blocks_before);
	siommu_machine_destroy(machine);
	munmap(memory, MEM_BYTES);
	close(memfd);
	fclose(null);
}

int main(int argc, char **argv)
{
	const char *env = getenv("SOFTIOMMU_STRESS_SECONDS");
	unsigned int seconds = (unsigned int)atoi(argc > 1 ? argv[1] : env ? env : "3");
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	size_t blocks;
	unsigned int i;

	begin(&blocks);
	for (i = 0; i < NWORKERS; i++) {
		workers[i].state = seed * 1000 + i + 1;
		if (workers[i].setup)
			workers[i].setup(&workers[i]);
	}
	for (i = 0; i < NWORKERS; i++)
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			abort();
	sleep(seconds);
	atomic_store(&stop, true);
	for (i = 0; i < NWORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < NWORKERS; i++) {
		printf("# %-12s %9lu turns, %9lu calls succeeded, %9lu failed as they may\n",
		       workers[i].name, workers[i].turns, workers[i].good, workers[i].bad);
		if (!workers[i].good)
			problem("%s: nothing succeeded", workers[i].name);
	}
	end(blocks);
	printf("1..1\n%sok 1 - everything at once for %u s, seed %llu\n", problems ? "not " : "",
	       seconds, (unsigned long long)seed);
	return problems ? EXIT_FAILURE : EXIT_SUCCESS;
}
