// SPDX-License-Identifier: MIT
/*
 * Fuzzing the NVMe controller: a driver that sets up queues as it should, and then says
 * what it likes in commands, in lists of PRP entries and SGL descriptors, in doorbells and
 * in registers, while memory comes and goes.
 *
 * Whatever happens: memory that the device may not write never changes, nothing hangs,
 * after a reset the controller works, and when it is gone so is its memory.
 */
#include <stdlib.h>

#include "../unit/devices/nvme_rig.h"
#include "fuzz.h"

#define MAX_STEPS 64

/* Where pages for data and lists are: to write, to read, and not mapped at all. */
#define PAGES	  32
#define READ_ONLY 16
#define UNMAPPED  24
#define DATA	  ((u64)8 << 20)
#define FIXED	  ((u64)16 << 20)

static const char *const options[] = {
	"size=1M",
	"size=1M,poll=on",
	"size=1M,size2=64K,block=4096,workers=3,spin=0",
	"size=64K,cmb=16K,mdts=1,queues=4,queue-entries=16",
};

#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static struct {
	struct input in;
	struct rig rig;
	bool hole; /* a page of those to write is unmapped */
} w;

static void broken(const char *what, long long value)
{
	fprintf(stderr, "nvme_fuzz: %s (%lld)\n", what, value);
	abort();
}

static u64 page_offset(unsigned int page)
{
	page %= PAGES;
	return page < READ_ONLY ? DATA + page * RIG_PAGE : FIXED + page * RIG_PAGE;
}

/* A page with an offset, or RAW. */
static u64 take_address(void)
{
	static const unsigned int offsets[] = { 0, 0, 0, 0, 4, 8, 512, 2048, 4088, 4080, 4095, 2 };
	uint8_t s = take_u8(&w.in);

	if (s >= RAW)
		return take(&w.in, 8);
	return RIG_IOVA + page_offset(s) + offsets[take_u8(&w.in) % 12];
}

static u32 take_word(void)
{
	static const u32 words[] = { 0, 1, 2, 7, 15, 31, 255, 0xffff, 0x10000, 0xffffffff };
	uint8_t s = take_u8(&w.in);

	return s >= RAW ? (u32)take(&w.in, 4) : words[s % 10];
}

/* Fields that matter to it, mostly as it expects them. */
static struct rig_sqe take_command(bool admin)
{
	static const uint8_t admins[] = { 0, 1, 2, 4, 5, 6, 8, 9, 0xa, 0xc, 0x7c };
	static const uint8_t ios[] = { 0, 1, 2, 5, 8, 9, 0xc };
	uint8_t s = take_u8(&w.in), f = take_u8(&w.in);
	struct rig_sqe sqe = { 0 };

	sqe.opcode = s >= RAW ? s : admin ? admins[s % 11] : ios[s % 7];
	sqe.flags = f & 0x80 ? f & 0xc3 : admin ? 0 : f & 0x40;
	sqe.nsid = f & 0x20 ? take_word() : 1u + (f >> 4 & 1);
	sqe.prp1 = take_address();
	if (sqe.flags & 0x40)
		sqe.prp2 = take(&w.in, 2) | (u64)(f & 3) << 60;
	else
		sqe.prp2 = take_address();
	sqe.cdw10 = take_word();
	sqe.cdw11 = f & 0x08 ? take_word() : 0;
	sqe.cdw12 = take_word();
	if (f & 0x04) {
		sqe.cdw13 = take_word();
		sqe.cdw10 = (u32)take(&w.in, 4);
	}
	return sqe;
}

static bool stopped(void)
{
	return (rig_r32(&w.rig, 0x1c) & 3) != 1;
}

/* Let it come as far as it comes: some commands get no completion. */
static void drain(struct rig_queue *q)
{
	double until = rig_time() + 0.0005;
	struct rig_cqe cqe;

	while (rig_time() < until && !stopped()) {
		if (rig_take(&w.rig, q, &cqe)) {
			rig_ring_head(&w.rig, q);
			return;
		}
		sched_yield();
	}
}

static void do_command(void)
{
	struct rig_queue *q = &w.rig.q[take_u8(&w.in) % 3];
	unsigned int n = 1 + take_u8(&w.in) % 3;
	struct rig_sqe sqe;

	while (n--) {
		sqe = take_command(!q->qid);
		rig_put(&w.rig, q, &sqe);
	}
	rig_ring_tail(&w.rig, q);
	drain(q);
}

/* Entries of a list: PRP entries, or SGL descriptors. */
static void do_list(void)
{
	u64 *at = rig_at(&w.rig, RIG_IOVA + page_offset(take_u8(&w.in) % READ_ONLY));
	unsigned int n = take_u8(&w.in) % 16, first = take_u8(&w.in) % 2 ? 512 - 16 : 0;
	bool sgl = take_u8(&w.in) % 2;
	static const uint8_t types[] = { 0x00, 0x00, 0x10, 0x20, 0x30, 0x40, 0x01 };
	unsigned int i;

	for (i = 0; i < n; i++) {
		__atomic_store_n(&at[first + i], take_address(), __ATOMIC_RELAXED);
		if (sgl && i % 2)
			__atomic_store_n(&at[first + i],
					 take_word() % 8193 | (u64)types[take_u8(&w.in) % 7] << 56,
					 __ATOMIC_RELAXED);
	}
}

static void do_doorbell(void)
{
	u64 bell = take_u8(&w.in) % 16;

	rig_w32(&w.rig, 0x1000 + 4 * bell, take_word());
}

static void set_up(void)
{
	int rc = rig_enable(&w.rig);

	if (rc)
		broken("cannot be enabled", rc);
	rc = rig_queue(&w.rig, 1, 16, 1);
	rc = rc ? rc : rig_queue(&w.rig, 2, 4, -1);
	if (rc)
		broken("cannot make queues", rc);
}

static void do_register(void)
{
	u64 offset = take_u8(&w.in) * 4;

	if (take_u8(&w.in) % 2)
		rig_w32(&w.rig, offset, take_word());
	else
		rig_w64(&w.rig, offset, take(&w.in, 8));
	/* Time to show what that does. */
	sched_yield();
}

static void do_hole(void)
{
	const u64 offset = page_offset(3);

	if (w.hole ? rig_map(&w.rig, offset, RIG_PAGE, true) : rig_unmap(&w.rig, offset, RIG_PAGE))
		broken("cannot map or unmap", w.hole);
	w.hole = !w.hole;
}

static void do_reset(void)
{
	pci_func_reset(w.rig.func);
	set_up();
}

static void do_disable(void)
{
	rig_command(&w.rig, true);
	if (rig_disable(&w.rig))
		broken("cannot be disabled", rig_r32(&w.rig, 0x1c));
	set_up();
}

static bool do_step(void)
{
	static void (*const steps[])(void) = { do_command,  do_command, do_command,  do_command,
					       do_list,	    do_list,	do_doorbell, do_hole,
					       do_register, do_reset,	do_disable };

	if (w.in.at == w.in.end)
		return false;
	steps[take_u8(&w.in) % 11]();
	return true;
}

/* Pages of their own mappings, so that one can go. What may not be written is marked. */
static void map_memory(void)
{
	unsigned int page;
	int rc = rig_unmap(&w.rig, 0, RIG_RAM);

	rc = rc ? rc : rig_map(&w.rig, 0, DATA, true);
	for (page = 0; page < UNMAPPED && !rc; page++)
		rc = rig_map(&w.rig, page_offset(page), RIG_PAGE, page < READ_ONLY);
	if (rc)
		broken("cannot map", rc);
	memset(w.rig.ram + page_offset(READ_ONLY), 0xa7, (PAGES - READ_ONLY) * RIG_PAGE);
}

static void check_memory(void)
{
	const u8 *at = w.rig.ram + page_offset(READ_ONLY);
	size_t i;

	for (i = 0; i < (PAGES - READ_ONLY) * RIG_PAGE; i++) {
		if (at[i] != 0xa7)
			broken("memory was written that may not be", (long long)i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n;
	int rc;

	w.in = (struct input){ data, data + size };
	w.hole = false;
	rc = rig_machine(&w.rig);
	rc = rc ? rc : rig_plug(&w.rig, options[take_u8(&w.in) % NOPTIONS]);
	if (rc)
		broken("cannot be made", rc);
	map_memory();
	set_up();
	for (n = 0; n < MAX_STEPS && do_step(); n++)
		;
	do_reset();
	check_memory();
	rc = rig_identify(&w.rig, 1, 0, RIG_IOVA + page_offset(0));
	if (rc)
		broken("does not work after a reset", rc);
	rig_end(&w.rig);
	if (atomic_load(&w.rig.alloc.blocks))
		broken("memory is left", (long long)atomic_load(&w.rig.alloc.blocks));
	return 0;
}
