// SPDX-License-Identifier: MIT
/*
 * Devices that keep what they were given: pins, translations of ATS, and page
 * requests that wait for an answer.
 *
 * The one that pins lets go when it is told to. The one with ATS is hostile: it
 * goes on using addresses that it was told to drop. The one that asks for pages
 * counts the answers of each group; its queue is read, or not, and taken away.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>

#include "dma_stress.h"

/* --- pins --- */

static struct device pin_device;
static atomic_bool let_go;

static void unpin(void *arg, uint64_t iova, uint64_t length)
{
	(void)arg;
	(void)iova;
	(void)length;
	atomic_store(&let_go, true);
}

static const struct siommu_port_ops pin_ops = { .unpin = unpin };

void pin_begin(void)
{
	new_device(&pin_device, "pin", 0x50, &(struct siommu_port_params){ .ops = &pin_ops });
	attach(&pin_device, map_table());
}

void pin_end(void)
{
	end_device(&pin_device);
}

/* Whole pages, and of each the device's part. */
static void write_pinned(struct worker *w, const struct siommu_sg *sg, unsigned int n)
{
	size_t at, i;

	for (; n; n--, sg++)
		for (at = 0; at < sg->length; at += PAGE)
			for (i = 0; i < PART; i += 8)
				*(uint64_t *)((char *)sg->base + at + w->number * PART + i) =
					word(FROM_DEVICE, w->number);
}

void pin_turn(struct worker *w)
{
	uint64_t iova = window_page(w), bytes = (1 + pick(w, 3)) * PAGE;
	struct siommu_sg sg[8];
	unsigned int n = 8, turns = pick(w, 64);
	int rc;

	atomic_store(&let_go, false);
	rc = siommu_dma_pin(pin_device.port, iova, bytes, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE, sg,
			    &n);
	w->good += !rc;
	w->bad += rc != 0;
	if (rc) {
		if (rc != -EFAULT)
			problem("%s: %s", w->name, strerror(-rc));
		rest(w);
		return;
	}
	while (turns-- && !atomic_load(&let_go) && !stopping())
		write_pinned(w, sg, n);
	siommu_dma_unpin(pin_device.port, iova, bytes);
}

/* --- ATS --- */

#define KEPT 16

static struct device ats_device;
static struct siommu_ats kept[KEPT];
static bool no_ats;

void ats_begin(void)
{
	new_device(&ats_device, "ats", 0x51, NULL);
	attach(&ats_device, map_table());
}

void ats_end(void)
{
	end_device(&ats_device);
}

static void ats_ask(struct worker *w)
{
	struct siommu_ats *t = &kept[pick(w, KEPT)], got;
	int rc = siommu_dma_ats_translate(ats_device.port, window_page(w),
					  SIOMMU_DMA_READ | SIOMMU_DMA_WRITE, &got);

	if (rc == -EOPNOTSUPP) {
		no_ats = true;
		return;
	}
	if (rc && rc != -EFAULT)
		problem("%s: translate: %s", w->name, strerror(-rc));
	if (!rc && got.access)
		*t = got;
}

void ats_turn(struct worker *w)
{
	const struct siommu_ats *t = &kept[pick(w, KEPT)];
	uint64_t words[4], i, at = t->address & ~(PAGE - 1);
	int rc;

	if (no_ats) {
		w->good++;
		usleep(10000);
		return;
	}
	rest(w);
	if (!t->bytes || !pick(w, 4)) {
		ats_ask(w);
		return;
	}
	at += w->number * PART + pick(w, (PART - sizeof(words)) / 8) * 8;
	if (pick(w, 2)) {
		for (i = 0; i < 4; i++)
			words[i] = word(FROM_DEVICE, w->number);
		rc = siommu_dma_ats_write(ats_device.port, at, words, sizeof(words));
	} else {
		rc = siommu_dma_ats_read(ats_device.port, at, words, sizeof(words));
		if (!rc)
			check_read(w, at, words, 4);
	}
	if (rc && rc != -EFAULT)
		problem("%s: %s", w->name, strerror(-rc));
	w->good += !rc;
	w->bad += rc != 0;
}

/* --- page requests --- */

#define GROUPS	 512
#define ASK_IOVA ((uint64_t)6 << 30)

static struct device ask_device;
static uint32_t ask_ioas, ask_hwpt, ask_fault;
static int ask_fd;
static atomic_int waiting[GROUPS];
static atomic_ulong answers[3];

static void answered(void *arg, uint32_t group, uint32_t code)
{
	(void)arg;
	if (group >= GROUPS || atomic_fetch_sub(&waiting[group], 1) != 1)
		problem("page requests: an answer for group %u, which waits for none", group);
	atomic_fetch_add(&answers[code < 2 ? code : 2], 1);
}

static const struct siommu_port_ops ask_ops = { .page_response = answered };

static void queue_begin(void)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = ask_device.id,
		.pt_id = ask_ioas,
	};

	must("FAULT_QUEUE_ALLOC", siommu_ioctl(world.ctx, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	ask_fault = fault.out_fault_id;
	ask_fd = (int)fault.out_fault_fd;
	hwpt.fault_id = ask_fault;
	must("HWPT_ALLOC", siommu_ioctl(world.ctx, IOMMU_HWPT_ALLOC, &hwpt));
	ask_hwpt = hwpt.out_hwpt_id;
	attach(&ask_device, ask_hwpt);
}

static void queue_end(void)
{
	siommu_device_detach(ask_device.bound, 0);
	must("DESTROY", destroy(ask_hwpt));
	siommu_close_fd(world.ctx, ask_fd);
	must("DESTROY", destroy(ask_fault));
}

/* SMMUv3 as Linux drives it has no page requests: there a request waits itself. */
static bool stalls(void)
{
	return !strcmp(world.model, "smmuv3");
}

void ask_begin(void)
{
	new_waiting_device(&ask_device, "ask", 0x52,
			   &(struct siommu_port_params){ .ops = &ask_ops, .timeout_ms = 20 },
			   stalls());
	ask_ioas = new_ioas();
	queue_begin();
}

/* What waits when everything has ended has to come to an end too. */
void ask_end(void)
{
	unsigned int i, ms = 0;

	queue_end();
	for (i = 0; i < GROUPS; i++) {
		while (atomic_load(&waiting[i]) && ms++ < 2000)
			usleep(1000);
		if (atomic_load(&waiting[i]))
			problem("page requests: group %u has no answer", i);
	}
	end_device(&ask_device);
	printf("# page requests: %lu answered yes, %lu no, %lu otherwise\n", answers[0], answers[1],
	       answers[2]);
}

/* Nothing is ever mapped: it waits for a "no", however often it is told to try again. */
static void stalled_turn(struct worker *w)
{
	uint64_t word;
	int rc = siommu_dma_read(ask_device.port, ASK_IOVA + pick(w, 1024) * PAGE, &word,
				 sizeof(word), 0);

	if (rc != -EFAULT)
		problem("%s: a request that waits ends with %d", w->name, rc);
	atomic_fetch_add(&answers[1], 1);
	w->good++;
	rest(w);
}

/* The device. */
void ask_turn(struct worker *w)
{
	struct siommu_page_request request = {
		.iova = ASK_IOVA + pick(w, 1024) * PAGE,
		.group = pick(w, GROUPS),
		.access = pick(w, 2) ? SIOMMU_DMA_READ : SIOMMU_DMA_READ | SIOMMU_DMA_WRITE,
	};
	int rc;

	if (stalls()) {
		stalled_turn(w);
		return;
	}
	if (atomic_load(&waiting[request.group])) {
		usleep(50);
		return;
	}
	while (pick(w, 3) == 0) {
		rc = siommu_dma_page_request(ask_device.port, &request);
		if (rc && rc != -EBUSY)
			problem("%s: not the last: %s", w->name, strerror(-rc));
		request.iova += PAGE;
	}
	request.last = true;
	atomic_store(&waiting[request.group], 1);
	rc = siommu_dma_page_request(ask_device.port, &request);
	if (rc && atomic_fetch_sub(&waiting[request.group], 1) != 1)
		problem("%s: an answer for a request that was refused", w->name);
	if (rc && rc != -EBUSY)
		problem("%s: %s", w->name, strerror(-rc));
	w->good += !rc;
	w->bad += rc != 0;
	rest(w);
}

/*
 * Who reads the queue: answers, gives up, or takes the queue away. A model whose
 * device does not take answers through this HWPT says no by itself, to each.
 */
void answer_turn(struct worker *w)
{
	struct iommu_hwpt_pgfault faults[32];
	struct iommu_hwpt_page_response response;
	ssize_t n, i;

	if (!pick(w, 64)) {
		queue_end();
		pause_a_bit(w);
		queue_begin();
	}
	n = siommu_read(world.ctx, ask_fd, faults, sizeof(faults));
	for (i = 0; i < n / (ssize_t)sizeof(faults[0]); i++) {
		if (!(faults[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) || !pick(w, 32))
			continue;
		response.cookie = faults[i].cookie;
		response.code = pick(w, 2) ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID;
		if (siommu_write(world.ctx, ask_fd, &response, sizeof(response)) < 0)
			w->bad++;
	}
	w->good++;
	usleep(pick(w, 500));
}
