// SPDX-License-Identifier: MIT
/*
 * Fuzzing all that a caller can do to a machine.
 *
 * The input is a small program: requests with structures that are right in most
 * places and hostile in some, reads and writes of queues, what devices and
 * accesses do, allocations that fail, memory that goes away. It runs on two
 * checked contexts of a machine that has the test interface.
 *
 * Whatever happens, with everything closed nothing may be left: no memory beyond
 * what the machine keeps for itself, no descriptor, and no error message. The
 * sanitizers look for the rest.
 *
 * One step is a byte that names it and what the step takes: see commands.h for
 * requests and steps[] for the others.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <softiommu/abi/iommufd-test.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "arena.h"
#include "fuzz.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* Bounds on one input, so that none takes long. */
#define MAX_STEPS 200
#define QUOTA	  (2 * MIB)

#define NCTXS	  2
#define NDEVICES  4
#define NACCESSES 3
#define NPINS	  8
#define NFDS	  16
#define NMAPS	  2

/* Pins hold at most this much, and so many page addresses have room. */
#define MAX_PIN (4 * MIB)

/* Blocks that a machine may keep: address space, user, a file. */
#define MAX_KEPT 3

struct pin {
	uint64_t iova;
	uint64_t length;
};

/**
 * struct fuzz_access - an access
 * @stubborn: does not let go when it is told to, unless it is ended
 * @busy: makes a request when it is told to
 */
struct fuzz_access {
	struct siommu_access *access;
	bool stubborn;
	bool busy;
	unsigned int npins;
	struct pin pins[NPINS];
};

/* The world that one input runs in. */
static struct {
	struct input in;
	struct siommu_machine *machine;
	struct siommu_ctx *ctx[NCTXS];
	struct siommu_device *dev[NDEVICES];
	struct siommu_bound *bound[NDEVICES];
	struct fuzz_access access[NACCESSES];
	int fds[NFDS];
	unsigned int nfds;
	void *maps[NMAPS];
	unsigned int fail_in;
	unsigned int depth;
} w;

static uint64_t hpas[MAX_PIN / PAGE + 2];
static FILE *null;

static void broken(const char *what)
{
	fprintf(stderr, "ioctl_fuzz: %s\n", what);
	abort();
}

/* --- values --- */

static uint64_t take_flags(uint8_t s)
{
	return s < RAW ? s : take(&w.in, 4);
}

static uint64_t take_id(uint8_t s)
{
	return s < RAW ? s % 32 : take(&w.in, 4);
}

static uint64_t take_count(uint8_t s)
{
	static const uint32_t likely[] = {
		4096, 65536, 1u << 19, (1u << 19) + 1, INT32_MAX, UINT32_MAX,
		IOMMU_TEST_IOTLB_DEFAULT, IOMMU_TEST_DEV_CACHE_DEFAULT, 8, 12, 16, 24, 32,
	};

	if (s >= RAW)
		return take(&w.in, 8);
	return s < 0x80 ? s : likely[(s - 0x80u) % (sizeof(likely) / sizeof(likely[0]))];
}

static uint64_t take_type(uint8_t s)
{
	static const uint32_t likely[] = {
		0, IOMMU_HWPT_DATA_SELFTEST, IOMMU_VIOMMU_TYPE_SELFTEST,
		IOMMU_VEVENTQ_TYPE_SELFTEST, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID,
		IOMMU_HW_INFO_TYPE_SELFTEST, 1, 2, 3, 4,
	};

	return s < RAW ? likely[s % (sizeof(likely) / sizeof(likely[0]))] : take(&w.in, 4);
}

static uint64_t take_pasid(uint8_t s)
{
	static const uint32_t likely[] = { 0, 1, 2, IOMMU_TEST_PASID_RESERVED };

	return likely[s % 4];
}

/* In the first MiB in steps of 2 KiB, further up in larger ones, and edges. */
static uint64_t take_iova(uint8_t s)
{
	static const uint64_t likely[] = {
		0, PAGE, MOCK_APERTURE_START - PAGE, MOCK_APERTURE_LAST - (PAGE - 1),
		(uint64_t)MOCK_APERTURE_LAST + 1, (uint64_t)1 << 32, (uint64_t)1 << 56,
		UINT64_MAX, UINT64_MAX - (PAGE - 1), UINT64_MAX / 2 + 1,
		MOCK_APERTURE_START + 1, 3,
	};

	if (s >= RAW)
		return take(&w.in, 8);
	if (s < 0x80)
		return MOCK_APERTURE_START + s * 2 * KIB;
	if (s < 0xc0)
		return MOCK_APERTURE_START + (s - 0x80) * MIB;
	return likely[s % (sizeof(likely) / sizeof(likely[0]))];
}

static uint64_t take_length(uint8_t s)
{
	static const uint64_t likely[] = {
		0, 1, 3000, 2 * MIB, 16 * MIB, 256 * MIB, 1024 * MIB, (uint64_t)1 << 32,
		(uint64_t)1 << 47, UINT64_MAX, UINT64_MAX - (PAGE - 1), UINT64_MAX / 2,
	};

	if (s >= RAW)
		return take(&w.in, 8);
	if (s < 0x80)
		return (s + 1) * 2 * KIB;
	if (s < 0xc0)
		return (uint64_t)1 << (s - 0x80);
	return likely[s % (sizeof(likely) / sizeof(likely[0]))];
}

static uint64_t take_count_pages(uint8_t s)
{
	if (s >= RAW)
		return take(&w.in, 3);
	return s < 0x80 ? s * KIB : (s - 0x7fu) * (uint64_t)PAGE;
}

/* Never where the program's own memory may be. */
static uint64_t take_address(uint8_t s)
{
	const uint64_t likely[] = {
		0, 1, (uintptr_t)arena.pool - 16, (uintptr_t)arena.pool + POOL_PAGES * PAGE - 16,
		(uintptr_t)arena.pool + 3, (uintptr_t)arena.pool + POOL_HWPT * PAGE + PAGE / 2,
		(uintptr_t)arena.shared, (uintptr_t)arena.shared + PAGE,
		(uintptr_t)arena.shared + FILE_PAGES * PAGE - 16, (uintptr_t)arena.read_only,
		(uintptr_t)arena.read_only + PAGE, (uintptr_t)arena.pool - 64 * PAGE,
		UINT64_MAX, UINT64_MAX - (PAGE - 1), UINT64_MAX - 15, (uint64_t)1 << 47,
		(uint64_t)1 << 63,
	};

	if (s >= RAW)
		return take(&w.in, 8) | (uint64_t)1 << 63;
	if (s < 0x80)
		return (uintptr_t)arena.pool + s % POOL_PAGES * PAGE;
	return likely[s % (sizeof(likely) / sizeof(likely[0]))];
}

static uint64_t take_fd(uint8_t s)
{
	if (s >= RAW)
		return take(&w.in, 4) | 0x40000000;
	switch (s % 16) {
	case 0:
		return UINT32_MAX;
	case 1:
	case 2:
		return (uint32_t)arena.file;
	case 3:
		return (uint32_t)arena.big;
	case 4:
		return (uint32_t)arena.file_ro;
	case 5:
		return (uint32_t)arena.null;
	case 6:
		return (uint32_t)arena.pipe;
	default:
		return w.nfds ? (uint32_t)w.fds[(s / 16u) % w.nfds] : UINT32_MAX;
	}
}

enum kind {
	KIND_ADDRESS,
	KIND_COUNT,
	KIND_COUNT_PAGES,
	KIND_FD,
	KIND_FLAGS,
	KIND_ID,
	KIND_IOVA,
	KIND_LENGTH,
	KIND_OFFSET,
	KIND_PASID,
	KIND_RANGES,
	KIND_TYPE,
};

static uint64_t take_value(enum kind kind)
{
	uint8_t s = take_u8(&w.in);

	switch (kind) {
	case KIND_ADDRESS:
		return take_address(s);
	case KIND_COUNT:
		return take_count(s);
	case KIND_COUNT_PAGES:
		return take_count_pages(s);
	case KIND_FD:
		return take_fd(s);
	case KIND_FLAGS:
		return take_flags(s);
	case KIND_ID:
		return take_id(s);
	case KIND_IOVA:
		return take_iova(s);
	case KIND_LENGTH:
		return take_length(s);
	case KIND_OFFSET:
		return s < 0x80 ? s * KIB : take_length(s);
	case KIND_PASID:
		return take_pasid(s);
	case KIND_RANGES:
		return s < 0x80 ? (uintptr_t)arena.pool + POOL_RANGES * PAGE : take_address(s);
	case KIND_TYPE:
		return take_type(s);
	}
	return 0;
}

/* --- requests --- */

struct field {
	uint16_t offset;
	uint8_t bytes;
	enum kind kind;
};

#define MAX_FIELDS 8

struct command {
	unsigned long request;
	uint32_t size;
	uint32_t op;
	struct field fields[MAX_FIELDS];
};

#define COMMAND(name, number, type) { .request = number, .size = sizeof(type), .fields = {
#define TEST(name)                                                                                 \
	{ .request = IOMMU_TEST_CMD, .size = sizeof(struct iommu_test_cmd),                        \
	  .op = IOMMU_TEST_OP_##name, .fields = {
#define FIELD(type, member, which)                                                                 \
	{ offsetof(type, member), sizeof(((type *)0)->member), KIND_##which },
#define END } },

static const struct command commands[] = {
#include "commands.h"
};

#undef COMMAND
#undef TEST
#undef FIELD
#undef END

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Room for the largest structure and what may stand behind it. */
union structure {
	uint8_t bytes[256];
	uint32_t size;
	struct iommu_ioas_map map;
	struct vfio_iommu_type1_dma_map vfio_map;
	struct iommu_hwpt_get_dirty_bitmap get_dirty;
	struct iommu_fault_alloc fault;
	struct iommu_veventq_alloc veventq;
	struct iommu_test_cmd test;
};

/*
 * What would let the library write over the fuzzer, or take long: memory that
 * reaches out of the arena, bitmaps of more than a MiB.
 */
static void defuse(unsigned long request, union structure *s)
{
	uint64_t page;

	if (request == IOMMU_IOAS_MAP && s->map.length > ARENA_REACH)
		s->map.user_va |= (uint64_t)1 << 63;
	if (request == VFIO_IOMMU_MAP_DMA && s->vfio_map.size > ARENA_REACH)
		s->vfio_map.vaddr |= (uint64_t)1 << 63;
	if (request == IOMMU_HWPT_GET_DIRTY_BITMAP) {
		page = s->get_dirty.page_size ? s->get_dirty.page_size : 1;
		page &= -page;
		if (s->get_dirty.length / page > 8 * MIB)
			s->get_dirty.length = page;
	}
	if (request == IOMMU_TEST_CMD && s->test.op == IOMMU_TEST_OP_DIRTY) {
		page = s->test.dirty.page_size;
		if (page && s->test.dirty.length / page > 8 * MIB &&
		    s->test.dirty.length / page <= 128 * MIB)
			s->test.dirty.length = page;
	}
}

static void remember_fd(int fd)
{
	if (w.nfds < NFDS)
		w.fds[w.nfds++] = fd;
	else
		w.fds[(unsigned int)fd % NFDS] = fd;
}

/* Descriptors that the request gave are for later steps to use. */
static void harvest(unsigned long request, const union structure *s, int rc)
{
	if (rc < 0)
		return;
	if (request == IOMMU_FAULT_QUEUE_ALLOC)
		remember_fd((int)s->fault.out_fault_fd);
	else if (request == IOMMU_VEVENTQ_ALLOC)
		remember_fd((int)s->veventq.out_veventq_fd);
	else if (request == IOMMU_TEST_CMD && s->test.op == IOMMU_TEST_OP_CREATE_ACCESS)
		remember_fd((int)s->test.create_access.out_access_fd);
	else if (request == IOMMU_TEST_CMD && s->test.op == IOMMU_TEST_OP_DMABUF_GET)
		remember_fd(rc);
}

/* Where the structure lies: mostly in memory, but also where it is not whole. */
static uint8_t *place(unsigned int how, const union structure *s, size_t size)
{
	size_t bytes = size + 64, at;

	memset(arena.scratch, 0, PAGE);
	switch (how) {
	case 4: /* up to the end of memory */
		bytes = size;
		at = PAGE - size;
		break;
	case 5: /* beyond it */
		at = PAGE - take_u8(&w.in) % (bytes + 1);
		bytes = PAGE - at;
		break;
	case 6: /* cannot be written back */
		memcpy(arena.scratch, s, bytes);
		return arena.scratch_ro;
	case 7:
		return (uint8_t *)(uintptr_t)take_value(KIND_ADDRESS);
	default:
		at = how * 8;
		break;
	}
	memcpy(arena.scratch + at, s, bytes);
	return arena.scratch + at;
}

static void choose_size(unsigned int how, union structure *s, uint32_t size)
{
	s->size = size;
	if (how == 5)
		s->size = take_u8(&w.in);
	else if (how == 6)
		s->size = size + take_u8(&w.in) % 64;
	else if (how == 7)
		s->size = (uint32_t)take(&w.in, 4);
}

static void run_command(const struct command *c)
{
	uint8_t how = take_u8(&w.in);
	struct siommu_ctx *ctx = w.ctx[how & 1];
	union structure s;
	unsigned int i, at;
	uint8_t *user;
	int rc;

	memset(&s, 0, sizeof(s));
	if (c->op)
		s.test.op = c->op;
	for (i = 0; i < MAX_FIELDS && c->fields[i].bytes; i++) {
		uint64_t value = take_value(c->fields[i].kind);

		memcpy(s.bytes + c->fields[i].offset, &value, c->fields[i].bytes);
	}
	choose_size(how >> 4 & 7, &s, c->size);
	if (how & 0x80) {
		at = take_u8(&w.in) % sizeof(s.bytes);
		s.bytes[at] = take_u8(&w.in);
	}
	defuse(c->request, &s);
	if (!ctx)
		return;
	user = place(how >> 1 & 7, &s, c->size);
	rc = siommu_ioctl(ctx, c->request, user);
	if (user >= arena.scratch && user <= arena.scratch + PAGE - c->size) {
		memcpy(&s, user, c->size);
		harvest(c->request, &s, rc);
	}
}

/* --- accesses --- */

static void unpin(struct fuzz_access *a, unsigned int i)
{
	siommu_access_unpin(a->access, a->pins[i].iova, a->pins[i].length);
	a->pins[i] = a->pins[--a->npins];
}

/* From a call-back: what ended an access would wait for the call-back. */
static bool ends_no_access(unsigned long request)
{
	switch (request) {
	case IOMMU_HWPT_ALLOC:
	case IOMMU_IOAS_ALLOC:
	case IOMMU_IOAS_ALLOW_IOVAS:
	case IOMMU_IOAS_COPY:
	case IOMMU_IOAS_MAP:
	case IOMMU_IOAS_UNMAP:
		return true;
	default:
		return false;
	}
}

static void on_unmap(void *arg, uint64_t iova, uint64_t length)
{
	bool leaving = !iova && length == UINT64_MAX;
	struct fuzz_access *a = arg;
	unsigned int i;

	if (a->stubborn && !leaving)
		return;
	for (i = a->npins; i--;)
		if (a->pins[i].iova <= iova + length - 1 &&
		    a->pins[i].iova + a->pins[i].length - 1 >= iova)
			unpin(a, i);
	if (!a->busy || w.depth)
		return;
	w.depth++;
	i = take_u8(&w.in) % NCOMMANDS;
	if (ends_no_access(commands[i].request))
		run_command(&commands[i]);
	w.depth--;
}

static const struct siommu_access_ops pin_ops = { .needs_pin = true, .unmap = on_unmap };
static const struct siommu_access_ops copy_ops = { .unmap = on_unmap };

static void end_access(struct fuzz_access *a)
{
	if (!a->access)
		return;
	siommu_access_destroy(a->access);
	if (a->npins)
		broken("an access was ended with pins");
	a->access = NULL;
}

static void step_access(unsigned int op)
{
	struct fuzz_access *a = &w.access[op % NACCESSES];
	uint32_t id = (uint32_t)take_value(KIND_ID);

	if (!a->access) {
		a->stubborn = op & 0x10;
		a->busy = op & 0x20;
		if (w.ctx[op >> 3 & 1] &&
		    siommu_access_create(w.ctx[op >> 3 & 1], op & 0x40 ? &copy_ops : &pin_ops, a,
					 &a->access))
			a->access = NULL;
		return;
	}
	switch (op >> 3 & 3) {
	case 0:
		(void)!siommu_access_attach(a->access, id);
		break;
	case 1:
		(void)!siommu_access_replace(a->access, id);
		break;
	case 2:
		siommu_access_detach(a->access);
		break;
	default:
		end_access(a);
		break;
	}
}

static void step_pin(unsigned int op)
{
	struct fuzz_access *a = &w.access[op % NACCESSES];
	uint64_t iova = take_value(KIND_IOVA), length = take_value(KIND_LENGTH);

	if (!a->access)
		return;
	if (op & 0x80) {
		if (a->npins)
			unpin(a, op % a->npins);
		return;
	}
	if (a->npins == NPINS || length > MAX_PIN)
		return;
	if (siommu_access_pin(a->access, iova, length, op >> 3 & 1, hpas))
		return;
	a->pins[a->npins].iova = iova;
	a->pins[a->npins++].length = length;
}

static void step_rw(unsigned int op)
{
	struct fuzz_access *a = &w.access[op % NACCESSES];
	uint64_t iova = take_value(KIND_IOVA);
	uint8_t buf[2 * PAGE + 1] = { 0 };
	size_t n = take(&w.in, 2) % (sizeof(buf) + 1);

	if (a->access)
		(void)!siommu_access_rw(a->access, iova, buf, n, op >> 3 & 1);
}

/* --- devices --- */

static void detach_all(struct siommu_bound *bound)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		siommu_device_detach(bound, (uint32_t)take_pasid((uint8_t)i));
}

static void end_device(unsigned int i)
{
	if (w.bound[i]) {
		detach_all(w.bound[i]);
		siommu_device_unbind(w.bound[i]);
		w.bound[i] = NULL;
	}
}

static void step_device(unsigned int op)
{
	unsigned int i = op % NDEVICES;
	struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "fuzz",
		.iommu = op & 4 ? SIOMMU_IOMMU_NONE : SIOMMU_IOMMU_MOCK,
		.group = op >> 3 & 3,
		.pasid_bits = op & 0x20 ? 11 : 0,
		.no_dirty = op & 0x40,
	};
	uint64_t start;

	if (!w.dev[i]) {
		if (siommu_device_create(w.machine, &params, &w.dev[i]))
			w.dev[i] = NULL;
		return;
	}
	if (w.bound[i])
		return;
	if (op & 0x80) {
		siommu_device_destroy(w.dev[i]);
		w.dev[i] = NULL;
		return;
	}
	start = take_value(KIND_IOVA);
	(void)!siommu_device_reserve(w.dev[i], start, start + take_value(KIND_LENGTH) - 1);
}

static void step_bind(unsigned int op)
{
	unsigned int i = op % NDEVICES;
	struct siommu_ctx *ctx = w.ctx[op >> 2 & 1];
	uint32_t id;

	if (w.bound[i] && (op & 0x80))
		end_device(i);
	else if (w.dev[i] && !w.bound[i] && ctx &&
		 siommu_device_bind(ctx, w.dev[i], &w.bound[i], &id))
		w.bound[i] = NULL;
}

static void step_attach(unsigned int op)
{
	struct siommu_bound *bound = w.bound[op % NDEVICES];
	uint32_t pasid = (uint32_t)take_value(KIND_PASID), id = (uint32_t)take_value(KIND_ID);

	if (!bound)
		return;
	if (op & 0x80)
		siommu_device_detach(bound, pasid);
	else if (op & 0x40)
		(void)!siommu_device_replace(bound, pasid, &id);
	else
		(void)!siommu_device_attach(bound, pasid, &id);
}

/* --- the rest --- */

static void step_read_write(unsigned int op)
{
	int fd = (int)take_value(KIND_FD);
	void *buf = (void *)(uintptr_t)take_value(KIND_ADDRESS);
	size_t n = (size_t)take_value(KIND_COUNT);
	struct siommu_ctx *ctx = w.ctx[op & 1];

	if (!ctx)
		return;
	if (op & 2)
		(void)!siommu_write(ctx, fd, buf, n);
	else
		(void)!siommu_read(ctx, fd, buf, n);
}

static void step_close_fd(unsigned int op)
{
	int fd = (int)take_value(KIND_FD);

	if (w.ctx[op & 1])
		(void)!siommu_close_fd(w.ctx[op & 1], fd);
}

/* The two pages that a vIOMMU of the mock offers. */
static void step_mmap(unsigned int op)
{
	void **map = &w.maps[op >> 1 & 1];

	if (*map) {
		munmap(*map, 2 * PAGE);
		*map = NULL;
	} else if (w.ctx[op & 1] &&
		   siommu_mmap(w.ctx[op & 1], op & 0x80 ? PAGE / 2 : 2 * PAGE,
			       op & 0x40 ? PROT_EXEC : PROT_READ | PROT_WRITE,
			       PAGE + (op >> 2 & 7) * 2 * PAGE, map)) {
		*map = NULL;
	}
}

static void step_fail(unsigned int op)
{
	w.fail_in = op % 24;
}

static void step_show(unsigned int op)
{
	(void)op;
	siommu_machine_show(w.machine, null);
}

static void step_poke(unsigned int op)
{
	unsigned int i;

	if (op % POOL_PAGES <= POOL_FREE && !arena.broken)
		for (i = 0; i < 16; i++)
			arena.pool[op % POOL_PAGES * PAGE + i] = take_u8(&w.in);
}

static void step_reopen(unsigned int op)
{
	struct siommu_ctx **ctx = &w.ctx[op & 1];

	if (*ctx) {
		siommu_close(*ctx);
		*ctx = NULL;
	} else if (siommu_open(w.machine, SIOMMU_OPEN_CHECKED, ctx)) {
		*ctx = NULL;
	}
}

/* Any number, and any pointer. */
static void step_raw(unsigned int op)
{
	unsigned long request = op & 2 ? take(&w.in, 4) : _IO(IOMMUFD_TYPE, take(&w.in, 1));
	uint8_t s = take_u8(&w.in);

	if (!w.ctx[op & 1])
		return;
	if (op & 4) {
		siommu_ioctl(w.ctx[op & 1], request, (void *)(uintptr_t)s);
		return;
	}
	siommu_ioctl(w.ctx[op & 1], request, (void *)(uintptr_t)take_address(s));
}

static void step_truncate(unsigned int op)
{
	(void)!ftruncate(arena.file, (off_t)(op % (FILE_PAGES * 2) * PAGE / 2));
}

/* Memory that may be mapped for devices goes away, or cannot be written any more. */
static void step_lose(unsigned int op)
{
	uint8_t *page = arena.pool + (POOL_FREE + 1 + op % 16) * PAGE;

	arena.broken = true;
	if (op & 0x80)
		mmap(page, 2 * PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	else
		mprotect(page, 2 * PAGE, PROT_READ);
}

static void (*const steps[])(unsigned int op) = {
	step_device, step_bind,	    step_attach, step_access, step_pin,	 step_rw,  step_read_write,
	step_close_fd, step_mmap,   step_fail,	 step_show,   step_poke, step_reopen, step_raw,
	step_truncate, step_lose,
};

/* Numbers from here up are steps; below are requests. */
#define FIRST_STEP 0xc0

static void run_step(void)
{
	uint8_t op = take_u8(&w.in);

	if (op < FIRST_STEP)
		run_command(&commands[op % NCOMMANDS]);
	else
		steps[(op - FIRST_STEP) % (sizeof(steps) / sizeof(steps[0]))](take_u8(&w.in));
}

/* --- the world --- */

static bool should_fail(void *arg)
{
	(void)arg;
	return w.fail_in && !--w.fail_in;
}

static void complain(void *arg, int level, const char *line)
{
	(void)arg;
	(void)level;
	broken(line);
}

static void begin(const uint8_t *data, size_t size)
{
	const struct siommu_machine_params params = {
		.size = sizeof(params),
		.quota = QUOTA,
		.test_interface = true,
		.log = complain,
		.log_level = 3, /* LOG_ERR */
		.should_fail = should_fail,
	};
	unsigned int i;

	memset(&w, 0, sizeof(w));
	w.in.at = data;
	w.in.end = data + size;
	arena_reset();
	if (siommu_machine_create(&params, &w.machine))
		broken("no machine");
	for (i = 0; i < NCTXS; i++)
		if (siommu_open(w.machine, SIOMMU_OPEN_CHECKED, &w.ctx[i]))
			broken("no context");
}

static void close_contexts(void)
{
	unsigned int i;

	for (i = 0; i < NCTXS; i++)
		siommu_close(w.ctx[i]);
}

static void end(size_t blocks_before)
{
	bool contexts_first = take_u8(&w.in) & 1;
	size_t blocks;
	unsigned int i;

	w.fail_in = 0;
	if (contexts_first)
		close_contexts();
	for (i = 0; i < NMAPS; i++)
		if (w.maps[i])
			munmap(w.maps[i], 2 * PAGE);
	for (i = 0; i < NACCESSES; i++)
		end_access(&w.access[i]);
	for (i = 0; i < NDEVICES; i++) {
		end_device(i);
		siommu_device_destroy(w.dev[i]);
	}
	if (!contexts_first)
		close_contexts();
	siommu_machine_used(w.machine, NULL, &blocks);
	if (blocks > blocks_before + MAX_KEPT)
		broken("blocks are left");
	siommu_machine_destroy(w.machine);
}

/* Descriptors that are open from @first on: what an input opens is there. */
static unsigned int count_fds(int first)
{
	unsigned int n = 0;
	int fd;

	for (fd = first; fd < first + 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct siommu_machine *empty;
	unsigned int i, fds;
	size_t blocks;
	int first;

	if (!arena.pool) {
		arena_init();
		null = fopen("/dev/null", "we");
	}
	first = fcntl(0, F_DUPFD_CLOEXEC, 3);
	close(first);
	fds = count_fds(first);
	if (siommu_machine_create(NULL, &empty))
		return 0;
	siommu_machine_used(empty, NULL, &blocks);
	siommu_machine_destroy(empty);
	begin(data, size);
	for (i = 0; i < MAX_STEPS && w.in.at < w.in.end; i++)
		run_step();
	/* With the test interface it has one unit more. */
	end(blocks + 1);
	if (count_fds(first) != fds)
		broken("descriptors are left");
	return 0;
}
