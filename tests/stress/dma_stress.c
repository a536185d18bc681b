// SPDX-License-Identifier: MIT
/*
 * What docs/guarantees.md promises about DMA, while everything happens at once.
 *
 * usage: dma_stress MODEL [SECONDS] [SEED]
 *
 * Threads that are devices read and write whatever they can reach. Other threads
 * map, unmap, attach, replace, detach, invalidate and read dirty bitmaps. All
 * memory is made of words that say what they are, so that every word that is read
 * by a device, or found where one may have written, tells whether that was right:
 *
 * 1 isolation: a device never reads a secret, which is mapped for nobody, nor
 *   changes one, or what is mapped for reading only; it reaches what it asked for.
 * 2 unmap is a fence: memory is poisoned the moment it was taken away, stays
 *   poisoned, and the poison is never read.
 * 3 invalidation: the same for what a guest's table no longer leads to.
 * 4 page requests: each has one answer.
 * 5 dirty tracking: each write is in one of the bitmaps, and no bit comes without
 *   a write that it can stand for.
 *
 * Each device has a part of every page for itself: nobody else writes there, so
 * the thread sanitizer's word can be had too, on the same memory.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "dma_stress.h"

struct world world;

static atomic_bool stop;
static atomic_uint problems;

bool stopping(void)
{
	return atomic_load(&stop);
}

uint32_t pick(struct worker *w, uint32_t n)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return (uint32_t)((w->state * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

void problem(const char *fmt, ...)
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

void must(const char *what, int rc)
{
	if (rc >= 0)
		return;
	printf("Bail out! %s: %s\n", what, strerror(-rc));
	exit(EXIT_FAILURE);
}

/*
 * Let the others run for a while: mostly a short one, on another processor, and
 * sometimes on this one. The devices do it too, or there would be nothing else.
 */
void pause_a_bit(struct worker *w)
{
	uint32_t n = pick(w, 32);
	volatile uint32_t spins = pick(w, 2000);

	if (n < 4)
		return;
	if (n == 4)
		usleep(pick(w, 300));
	else
		while (spins)
			spins--;
}

/* Some accesses in a row, which is what makes them likely to be hit. */
void rest(struct worker *w)
{
	if (!pick(w, 200))
		usleep(pick(w, 200));
}

/* --- memory --- */

void fill(void *memory, enum tag tag, uint64_t bytes)
{
	uint64_t *words = memory, i;

	for (i = 0; i < bytes / 8; i++)
		words[i] = word(tag, addr(memory) / PAGE + i * 8 / PAGE);
}

void check_untouched(const char *what, const void *memory, enum tag tag, uint64_t bytes)
{
	const uint64_t *words = memory;
	uint64_t i;

	for (i = 0; i < bytes / 8; i++) {
		if (words[i] == word(tag, addr(memory) / PAGE + i * 8 / PAGE))
			continue;
		problem("%s: a device changed byte %llu of it to %#llx", what,
			(unsigned long long)i * 8, (unsigned long long)words[i]);
		return;
	}
}

/* Memory that was taken away just now. Whoever still writes there gives itself away. */
void check_fence(struct worker *w, const char *what, void *memory, uint64_t bytes)
{
	fill(memory, POISON, bytes);
	pause_a_bit(w);
	check_untouched(what, memory, POISON, bytes);
	fill(memory, VALID, bytes);
	w->good++;
}

/* What a device has read. */
void check_read(struct worker *w, uint64_t iova, const uint64_t *words, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < n; i++) {
		enum tag tag = (enum tag)(words[i] >> 48);

		if (tag == VALID || tag == READONLY)
			continue;
		if (words[i] == word(FROM_DEVICE, w->number))
			continue;
		problem("%s: read %#llx (%s) at %#llx", w->name, (unsigned long long)words[i],
			tag == SECRET	? "a secret"
			: tag == POISON ? "unmapped memory"
					: "nothing that is there",
			(unsigned long long)iova + i * 8);
		return;
	}
}

void *new_memory(uint64_t bytes, enum tag tag)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		must("memory", -errno);
	fill(p, tag, bytes);
	return p;
}

/* --- calls --- */

uint32_t new_ioas(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	must("IOAS_ALLOC", siommu_ioctl(world.ctx, IOMMU_IOAS_ALLOC, &cmd));
	return cmd.out_ioas_id;
}

int map(uint32_t ioas, unsigned int prot, uint64_t iova, const void *memory, uint64_t bytes)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | prot,
		.ioas_id = ioas,
		.user_va = addr(memory),
		.length = bytes,
		.iova = iova,
	};

	return siommu_ioctl(world.ctx, IOMMU_IOAS_MAP, &cmd);
}

int map_file(uint32_t ioas, uint64_t iova, int fd, uint64_t start, uint64_t bytes)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = bytes,
		.iova = iova,
	};

	return siommu_ioctl(world.ctx, IOMMU_IOAS_MAP_FILE, &cmd);
}

int unmap(uint32_t ioas, uint64_t iova, uint64_t bytes)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = bytes
	};

	return siommu_ioctl(world.ctx, IOMMU_IOAS_UNMAP, &cmd);
}

int destroy(uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return siommu_ioctl(world.ctx, IOMMU_DESTROY, &cmd);
}

int new_hwpt(uint32_t dev, uint32_t pt, unsigned int flags, uint32_t type, const void *data,
	     uint32_t len, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
		.data_type = type,
		.data_len = len,
		.data_uptr = addr(data),
	};
	int rc = siommu_ioctl(world.ctx, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

/* --- devices --- */

void new_device(struct device *d, const char *name, uint32_t requester,
		const struct siommu_port_params *port)
{
	new_waiting_device(d, name, requester, port, false);
}

void new_waiting_device(struct device *d, const char *name, uint32_t requester,
			const struct siommu_port_params *port, bool stall)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = name,
		.unit = world.unit,
		.requester = requester,
		.pasid_bits = 8,
		.ats = true,
		.page_requests = true,
		.stall = stall,
	};
	struct siommu_port_params how = { 0 };

	if (port)
		how = *port;
	how.size = sizeof(how);
	must("device", siommu_device_create(world.machine, &params, &d->dev));
	bind_device(d);
	must("port", siommu_port_create(d->dev, &how, &d->port));
}

void bind_device(struct device *d)
{
	must("bind", siommu_device_bind(world.ctx, d->dev, &d->bound, &d->id));
}

void attach(struct device *d, uint32_t pt)
{
	must("attach", siommu_device_attach(d->bound, 0, &pt));
}

void replace(struct device *d, uint32_t pt)
{
	must("replace", siommu_device_replace(d->bound, 0, &pt));
}

void end_device(struct device *d)
{
	siommu_device_unbind(d->bound);
	siommu_port_destroy(d->port);
	siommu_device_destroy(d->dev);
}

/* Write by an address, as a device that looks before it leaps. */
static int write_found(struct siommu_port *port, uint64_t iova, const uint64_t *words, uint64_t n)
{
	uint64_t *p;

	siommu_dma_begin(port);
	p = siommu_dma_find(port, iova, n * 8, SIOMMU_DMA_WRITE);
	if (p)
		memcpy(p, words, n * 8);
	siommu_dma_end(port);
	return p ? 0 : -EFAULT;
}

static int exchange(struct siommu_port *port, uint64_t iova, uint64_t value, uint64_t *old)
{
	return siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, iova, 8, value, 0, old, 0);
}

/* One access to this device's part of a page. Return: 0, or -EFAULT. */
int touch(struct worker *w, struct siommu_port *port, uint64_t page)
{
	uint64_t words[PART / 8], n = 1 + pick(w, PART / 8);
	uint64_t iova = page + w->number * PART + pick(w, (uint32_t)(PART / 8 - n + 1)) * 8;
	unsigned int kind = pick(w, 8);
	uint64_t i;
	int rc;

	for (i = 0; i < n; i++)
		words[i] = word(FROM_DEVICE, w->number);
	switch (kind) {
	case 0:
	case 1:
		rc = siommu_dma_write(port, iova, words, n * 8, 0);
		break;
	case 2:
	case 3:
		rc = write_found(port, iova, words, n);
		break;
	case 4:
		n = 1;
		rc = exchange(port, iova, word(FROM_DEVICE, w->number), words);
		break;
	default:
		rc = siommu_dma_read(port, iova, words, n * 8, 0);
		break;
	}
	if (rc && rc != -EFAULT)
		problem("%s: DMA gives %s", w->name, strerror(-rc));
	if (!rc && kind >= 4)
		check_read(w, iova, words, n);
	w->good += !rc;
	w->bad += rc != 0;
	rest(w);
	return rc;
}

/*
 * Isolation and mapping. Two devices, each with its own page table of one IOAS:
 *
 * READONLY_IOVA  always there, and can never be written
 * COUNT_IOVA     always there: both devices add to one word
 * WINDOW_IOVA    what the mapping threads map
 * everything else is nowhere, and all memory around what is mapped is secret.
 */

#define READONLY_PAGES 8
#define WINDOWS	       2
#define WINDOW_PAGES   16
#define MEMORY_PAGES   32

#define BASE_IOVA     ((uint64_t)4 << 30)
#define READONLY_IOVA BASE_IOVA
#define COUNT_IOVA    (BASE_IOVA + 64 * PAGE)
#define WINDOW_IOVA   (BASE_IOVA + 512 * PAGE)
#define WINDOW_STRIDE (1024 * PAGE)

/**
 * struct window - a range of IOVA that one thread maps into
 * @iova: its first page
 * @block: its memory, between two secret pages
 * @memory: what can be mapped of it
 * @fd: the file behind it, or -1
 */
struct window {
	uint64_t iova;
	char *block;
	char *memory;
	int fd;
};

static uint32_t map_ioas;
static uint32_t map_hwpt[3];
static struct device map_device[2];
static struct window windows[WINDOWS];
static char *readonly;
static uint64_t *count;
static _Atomic uint64_t counted;

static void new_window(struct window *win, unsigned int i, bool file)
{
	uint64_t bytes = (MEMORY_PAGES + 2) * PAGE;

	win->iova = WINDOW_IOVA + i * WINDOW_STRIDE;
	win->fd = -1;
	if (file) {
		win->fd = memfd_create("window", MFD_CLOEXEC);
		if (win->fd < 0 || ftruncate(win->fd, (off_t)bytes))
			must("memfd", -errno);
		win->block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, win->fd, 0);
		if (win->block == MAP_FAILED)
			must("memory", -errno);
		fill(win->block, SECRET, bytes);
	} else {
		win->block = new_memory(bytes, SECRET);
	}
	win->memory = win->block + PAGE;
	fill(win->memory, VALID, MEMORY_PAGES * PAGE);
}

static void begin_map(void)
{
	unsigned int i;

	map_ioas = new_ioas();
	readonly = new_memory(READONLY_PAGES * PAGE, READONLY);
	count = new_memory(PAGE, VALID);
	count[0] = 0;
	must("map", map(map_ioas, IOMMU_IOAS_MAP_READABLE, READONLY_IOVA, readonly,
			READONLY_PAGES * PAGE));
	must("map", map(map_ioas, RW, COUNT_IOVA, count, PAGE));
	for (i = 0; i < WINDOWS; i++)
		new_window(&windows[i], i, i == 1);
	for (i = 0; i < 2; i++)
		new_device(&map_device[i], i ? "dma too" : "dma", 0x10 + i, NULL);
	for (i = 0; i < 3; i++)
		must("HWPT_ALLOC",
		     new_hwpt(map_device[i != 0].id, map_ioas, 0, 0, NULL, 0, &map_hwpt[i]));
	attach(&map_device[0], map_hwpt[0]);
	attach(&map_device[1], map_hwpt[1]);
}

static void end_map(void)
{
	unsigned int i;

	check_untouched("read-only memory", readonly, READONLY, READONLY_PAGES * PAGE);
	if (count[0] != atomic_load(&counted))
		problem("devices added %llu, but %llu is there",
			(unsigned long long)atomic_load(&counted), (unsigned long long)count[0]);
	for (i = 0; i < 2; i++)
		end_device(&map_device[i]);
	for (i = 0; i < WINDOWS; i++) {
		if (windows[i].fd >= 0)
			close(windows[i].fd);
		munmap(windows[i].block, (MEMORY_PAGES + 2) * PAGE);
	}
	munmap(readonly, READONLY_PAGES * PAGE);
	munmap(count, PAGE);
}

uint32_t map_table(void)
{
	return map_hwpt[0];
}

uint64_t window_page(struct worker *w)
{
	return windows[pick(w, WINDOWS)].iova + pick(w, WINDOW_PAGES) * PAGE;
}

/* The device's thread. */
static void dma_turn(struct worker *w)
{
	struct siommu_port *port = map_device[w->number].port;
	const struct window *win = &windows[pick(w, WINDOWS)];
	uint64_t words[8], old;
	uint64_t page = pick(w, READONLY_PAGES) * PAGE;

	switch (pick(w, 16)) {
	case 0:
		if (siommu_dma_read(port, READONLY_IOVA + page, words, sizeof(words), 0))
			problem("%s: memory that is always mapped is not there", w->name);
		else
			check_read(w, READONLY_IOVA + page, words, 8);
		break;
	case 1:
		memset(words, 0x5a, sizeof(words));
		if (siommu_dma_write(port, READONLY_IOVA + page, words, sizeof(words), 0) !=
		    -EFAULT)
			problem("%s: read-only memory can be written", w->name);
		break;
	case 2:
		/* Just outside of the window. */
		page = pick(w, 2) ? win->iova - PAGE : win->iova + WINDOW_PAGES * PAGE;
		if (!touch(w, port, page))
			problem("%s: what is not mapped can be reached", w->name);
		break;
	case 3:
		if (siommu_dma_atomic(port, SIOMMU_ATOMIC_FETCH_ADD, COUNT_IOVA, 8, 1, 0, &old, 0))
			problem("%s: the counter is not there", w->name);
		else
			atomic_fetch_add(&counted, 1);
		break;
	default:
		touch(w, port, win->iova + pick(w, WINDOW_PAGES) * PAGE);
		break;
	}
}

/* Map pages [first, first + n) of the window in one or several areas. */
static void map_run(struct worker *w, struct window *win, uint64_t first, uint64_t n, uint64_t from)
{
	bool file = win->fd >= 0 && pick(w, 2);
	uint64_t done, some;
	int rc;

	for (done = 0; done < n; done += some) {
		uint64_t iova = win->iova + (first + done) * PAGE;

		some = 1 + pick(w, (uint32_t)(n - done));
		if (file)
			rc = map_file(map_ioas, iova, win->fd, (1 + from + done) * PAGE,
				      some * PAGE);
		else
			rc = map(map_ioas, RW, iova, win->memory + (from + done) * PAGE,
				 some * PAGE);
		if (rc)
			problem("%s: map: %s", w->name, strerror(-rc));
	}
}

/* The mapping thread. */
static void map_turn(struct worker *w)
{
	struct window *win = &windows[w->number];
	uint64_t first = pick(w, WINDOW_PAGES);
	uint64_t n = 1 + pick(w, (uint32_t)(WINDOW_PAGES - first));
	uint64_t from = pick(w, (uint32_t)(MEMORY_PAGES - n + 1));
	int rc;

	map_run(w, win, first, n, from);
	pause_a_bit(w);
	rc = unmap(map_ioas, win->iova + first * PAGE, n * PAGE);
	if (rc)
		problem("%s: unmap: %s", w->name, strerror(-rc));
	check_fence(w, "unmapped memory", win->memory + from * PAGE, n * PAGE);
	if (!pick(w, 64)) {
		check_untouched("secret memory", win->block, SECRET, PAGE);
		check_untouched("secret memory", win->memory + MEMORY_PAGES * PAGE, SECRET, PAGE);
	}
}

/* From one page table to another that shows the same: without a gap. */
static void replace_turn(struct worker *w)
{
	static bool other;

	other = !other;
	replace(&map_device[1], map_hwpt[other ? 2 : 1]);
	w->good++;
	usleep(pick(w, 1000));
}

/*
 * Attaching. One device, and two IOASes that show different memory at the same
 * place. What it is not attached to it cannot reach.
 */

#define ATTACH_PAGES 4
#define ATTACH_IOVA  (BASE_IOVA + 4096 * PAGE)

static struct device attach_device;
static uint32_t attach_ioas[2];
static char *attach_memory[2];

static void begin_attach(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		attach_ioas[i] = new_ioas();
		attach_memory[i] = new_memory(ATTACH_PAGES * PAGE, VALID);
		must("map",
		     map(attach_ioas[i], RW, ATTACH_IOVA, attach_memory[i], ATTACH_PAGES * PAGE));
	}
	new_device(&attach_device, "attached", 0x20, NULL);
}

static void end_attach(void)
{
	end_device(&attach_device);
	munmap(attach_memory[0], ATTACH_PAGES * PAGE);
	munmap(attach_memory[1], ATTACH_PAGES * PAGE);
}

static void attached_turn(struct worker *w)
{
	touch(w, attach_device.port, ATTACH_IOVA + pick(w, ATTACH_PAGES) * PAGE);
}

/* A page table of its own, which ends with the attachment. */
static void attach_explicit(struct worker *w)
{
	uint32_t hwpt;
	int rc;

	must("HWPT_ALLOC", new_hwpt(attach_device.id, attach_ioas[0], 0, 0, NULL, 0, &hwpt));
	attach(&attach_device, hwpt);
	pause_a_bit(w);
	siommu_device_detach(attach_device.bound, 0);
	rc = destroy(hwpt);
	if (rc)
		problem("%s: destroy: %s", w->name, strerror(-rc));
}

static void attach_turn(struct worker *w)
{
	unsigned int i;

	if (!pick(w, 4)) {
		attach_explicit(w);
		check_fence(w, "memory of a destroyed page table", attach_memory[0],
			    ATTACH_PAGES * PAGE);
		return;
	}
	attach(&attach_device, attach_ioas[0]);
	for (i = pick(w, 4); i; i--) {
		pause_a_bit(w);
		replace(&attach_device, attach_ioas[1]);
		check_fence(w, "replaced memory", attach_memory[0], ATTACH_PAGES * PAGE);
		pause_a_bit(w);
		replace(&attach_device, attach_ioas[0]);
		check_fence(w, "replaced memory", attach_memory[1], ATTACH_PAGES * PAGE);
	}
	pause_a_bit(w);
	if (pick(w, 4)) {
		siommu_device_detach(attach_device.bound, 0);
	} else {
		siommu_device_unbind(attach_device.bound);
		bind_device(&attach_device);
	}
	check_fence(w, "detached memory", attach_memory[0], ATTACH_PAGES * PAGE);
}

/*
 * Dirty tracking. The device numbers its writes to each page, before and after
 * each of them; so for a bitmap it is known which writes must have been in one by
 * now, and which can be in this one.
 */

#define DIRTY_PAGES 64
#define DIRTY_IOVA  (BASE_IOVA + 8192 * PAGE)

/**
 * struct dirty_page - the writes to a page
 * @begun: number of the last that has begun
 * @done: number of the last that is done
 * @certain: of those, all up to here were in a bitmap, or before the first
 * @possible: writes up to here may have been
 */
struct dirty_page {
	_Atomic uint64_t begun;
	_Atomic uint64_t done;
	uint64_t certain;
	uint64_t possible;
};

static struct device dirty_device;
static uint32_t dirty_hwpt;
static char *dirty_memory;
static struct dirty_page dirty_pages[DIRTY_PAGES];

static int set_tracking(bool on)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = dirty_hwpt,
	};

	return siommu_ioctl(world.ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static void small_pages(uint32_t ioas)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
	};

	must("OPTION", siommu_ioctl(world.ctx, IOMMU_OPTION, &cmd));
}

/* Everything that was done before tracking is on again counts as seen. */
static void track_anew(void)
{
	unsigned int i;

	for (i = 0; i < DIRTY_PAGES; i++)
		dirty_pages[i].certain = atomic_load(&dirty_pages[i].done);
	must("SET_DIRTY_TRACKING", set_tracking(true));
	for (i = 0; i < DIRTY_PAGES; i++)
		dirty_pages[i].possible = atomic_load(&dirty_pages[i].begun);
}

static void begin_dirty(void)
{
	uint32_t ioas = new_ioas();

	small_pages(ioas);
	dirty_memory = new_memory(DIRTY_PAGES * PAGE, VALID);
	must("map", map(ioas, RW, DIRTY_IOVA, dirty_memory, DIRTY_PAGES * PAGE));
	new_device(&dirty_device, "dirty", 0x30, NULL);
	must("HWPT_ALLOC", new_hwpt(dirty_device.id, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, NULL,
				    0, &dirty_hwpt));
	attach(&dirty_device, dirty_hwpt);
	track_anew();
}

static void end_dirty(void)
{
	end_device(&dirty_device);
	munmap(dirty_memory, DIRTY_PAGES * PAGE);
}

static void write_turn(struct worker *w)
{
	unsigned int n = pick(w, DIRTY_PAGES);
	struct dirty_page *page = &dirty_pages[n];
	uint64_t iova = DIRTY_IOVA + n * PAGE + pick(w, PAGE / 8) * 8;
	uint64_t number = atomic_load(&page->begun) + 1, old;
	int rc;

	atomic_store(&page->begun, number);
	switch (pick(w, 3)) {
	case 0:
		rc = siommu_dma_write(dirty_device.port, iova, &number, 8, 0);
		break;
	case 1:
		rc = exchange(dirty_device.port, iova, number, &old);
		break;
	default:
		rc = write_found(dirty_device.port, iova, &number, 1);
		break;
	}
	if (rc)
		problem("%s: cannot write: %s", w->name, strerror(-rc));
	atomic_store(&page->done, number);
	w->good++;
	if (!pick(w, 8))
		siommu_dma_read(dirty_device.port, DIRTY_IOVA + pick(w, DIRTY_PAGES) * PAGE, &old,
				8, 0);
	/* Short runs between bitmaps, so that a lost write is not hidden by the next. */
	if (!pick(w, 4))
		pause_a_bit(w);
	rest(w);
}

static void check_bit(struct worker *w, unsigned int n, bool bit, bool clear, uint64_t done_before)
{
	struct dirty_page *page = &dirty_pages[n];
	uint64_t begun = atomic_load(&page->begun);

	if (!bit && done_before > page->possible)
		problem("page %u: write %llu is in no bitmap", n, (unsigned long long)done_before);
	if (bit && begun <= page->certain)
		problem("page %u: dirty again without a write after %llu", n,
			(unsigned long long)page->certain);
	w->good += bit;
	if (!bit || !clear)
		return;
	page->certain = done_before;
	page->possible = begun;
}

static void dirty_turn(struct worker *w)
{
	unsigned int first = pick(w, DIRTY_PAGES), n = 1 + pick(w, DIRTY_PAGES - first), i;
	bool clear = pick(w, 4);
	uint64_t bitmap[DIRTY_PAGES / 64] = { 0 }, done[DIRTY_PAGES];
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = dirty_hwpt,
		.flags = clear ? 0 : IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
		.iova = DIRTY_IOVA + first * PAGE,
		.length = n * PAGE,
		.page_size = PAGE,
		.data = addr(bitmap),
	};

	if (!pick(w, 256)) {
		must("SET_DIRTY_TRACKING", set_tracking(false));
		pause_a_bit(w);
		track_anew();
	}
	for (i = 0; i < n; i++)
		done[i] = atomic_load(&dirty_pages[first + i].done);
	must("GET_DIRTY_BITMAP", siommu_ioctl(world.ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	for (i = 0; i < n; i++)
		check_bit(w, first + i, bitmap[i / 64] >> (i % 64) & 1, clear, done[i]);
	pause_a_bit(w);
}

/* --- processes that come and go, and take no part in it --- */

static void fork_turn(struct worker *w)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		readonly[0] = 1;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		problem("%s: a child does not end well", w->name);
	w->good++;
	usleep(20000);
}

/* --- all of it --- */

static bool has_guest;

static struct worker workers[] = {
	{ .name = "dma", .work = dma_turn, .number = 0 },
	{ .name = "dma too", .work = dma_turn, .number = 1 },
	{ .name = "map", .work = map_turn, .number = 0 },
	{ .name = "map files", .work = map_turn, .number = 1 },
	{ .name = "replace", .work = replace_turn },
	{ .name = "attached", .work = attached_turn },
	{ .name = "attach", .work = attach_turn },
	{ .name = "writes", .work = write_turn },
	{ .name = "bitmaps", .work = dirty_turn },
	{ .name = "pins", .work = pin_turn, .number = 2 },
	{ .name = "ats", .work = ats_turn, .number = 3 },
	{ .name = "asks", .work = ask_turn },
	{ .name = "answers", .work = answer_turn },
	{ .name = "guest dma", .work = guest_dma_turn, .needs = &has_guest },
	{ .name = "guest", .work = guest_turn, .needs = &has_guest },
	{ .name = "fork", .work = fork_turn },
};

#define NWORKERS (sizeof(workers) / sizeof(workers[0]))

static bool is_on(const struct worker *w)
{
	return !w->needs || *w->needs;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	while (!stopping()) {
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

static void begin(const char *model, size_t *blocks)
{
	const struct siommu_machine_params params = {
		.size = sizeof(params), .log = complain, .log_level = 3, /* LOG_ERR */
	};
	const struct siommu_unit_params unit = {
		.size = sizeof(unit),
		.model = model,
		/* Without this it has no dirty tracking. */
		.options = strcmp(model, "smmuv3") ? NULL : "httu=on,stall=on",
	};

	world.model = model;
	must("machine", siommu_machine_create(&params, &world.machine));
	siommu_machine_used(world.machine, NULL, blocks);
	must(model, siommu_unit_create(world.machine, &unit, NULL, 0, &world.unit));
	must("context", siommu_open(world.machine, 0, &world.ctx));
	begin_map();
	begin_attach();
	begin_dirty();
	pin_begin();
	ats_begin();
	ask_begin();
	has_guest = guest_begin();
}

static void end(size_t blocks_before)
{
	size_t blocks;

	guest_end();
	ask_end();
	ats_end();
	pin_end();
	end_dirty();
	end_attach();
	end_map();
	siommu_close(world.ctx);
	siommu_unit_destroy(world.unit);
	siommu_machine_used(world.machine, NULL, &blocks);
	/* An address space and its user stay with the machine. */
	if (blocks > blocks_before + 2)
		problem("%zu blocks are left, not %zu", blocks, blocks_before);
	siommu_machine_destroy(world.machine);
}

static void report(void)
{
	unsigned int i;

	for (i = 0; i < NWORKERS; i++) {
		if (!is_on(&workers[i]))
			continue;
		printf("# %-10s %9lu turns, %9lu successes, %9lu faults\n", workers[i].name,
		       workers[i].turns, workers[i].good, workers[i].bad);
		if (!workers[i].good)
			problem("%s: nothing succeeded", workers[i].name);
	}
}

int main(int argc, char **argv)
{
	const char *env = getenv("SOFTIOMMU_STRESS_SECONDS");
	unsigned int seconds = (unsigned int)atoi(argc > 2 ? argv[2] : env ? env : "5");
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	size_t blocks;
	unsigned int i;

	if (argc < 2) {
		fprintf(stderr, "usage: dma_stress MODEL [SECONDS] [SEED]\n");
		return EXIT_FAILURE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	begin(argv[1], &blocks);
	for (i = 0; i < NWORKERS; i++) {
		workers[i].state = seed * 1000 + i + 1;
		if (is_on(&workers[i]) &&
		    pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			abort();
	}
	for (i = 0; i < seconds; i++) {
		sleep(1);
		if (i % 10 == 9)
			printf("# %u of %u s, %u problems\n", i + 1, seconds, problems);
	}
	atomic_store(&stop, true);
	for (i = 0; i < NWORKERS; i++)
		if (is_on(&workers[i]))
			pthread_join(workers[i].thread, NULL);
	report();
	end(blocks);
	printf("1..1\n%sok 1 - DMA through %s for %u s, seed %llu\n", problems ? "not " : "",
	       argv[1], seconds, (unsigned long long)seed);
	return problems ? EXIT_FAILURE : EXIT_SUCCESS;
}
