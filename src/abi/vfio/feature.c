// SPDX-License-Identifier: MIT
/*
 * VFIO_DEVICE_FEATURE: low power, tokens, and BARs as dma-bufs. Migration and the log of
 * DMA are migration.c's.
 *
 * An exported BAR can be mapped into an IOAS by descriptor, so that other devices reach it.
 * It is taken away whenever the BAR does not answer: while memory decoding is off, in low
 * power, during a reset; and for good when the driver lets go of the device.
 */
#include <string.h>
#include <unistd.h>

#include "core/ioas.h"
#include "core/machine.h"
#include "mem/pages.h"
#include "vfio.h"

/* More pieces than any BAR is made of. */
#define RANGES_MAX 64

/**
 * struct vfio_dmabuf - an exported piece of a BAR
 * @link: in pci->dmabufs
 * @buf: the buffer, with a reference
 */
struct vfio_dmabuf {
	LIST_ENTRY(vfio_dmabuf) link;
	struct mem_dmabuf *buf;
};

int vfio_feature_check(const struct vfio_device_feature *head, u32 ops, size_t min_bytes)
{
	const u32 both = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;

	if (head->flags & both & ~ops)
		return -EINVAL;
	if (head->flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(head->flags & both) || head->argsz - sizeof(*head) < min_bytes)
		return -EINVAL;
	return 1;
}

static void drop(struct siommu_pci *pci, struct vfio_dmabuf *d)
{
	LIST_REMOVE(d, link);
	mem_file_put(&d->buf->file);
	base_free(&pci->bus->machine->alloc, d, sizeof(*d));
}

/* With export_lock, as what follows. */
static void set_revoked(struct siommu_pci *pci, bool revoked)
{
	struct vfio_dmabuf *d;

	LIST_FOREACH(d, &pci->dmabufs, link)
		if (d->buf->revoked != revoked)
			core_dmabuf_revoke(d->buf, revoked);
}

static bool reachable(struct siommu_pci *pci)
{
	return vfio_memory_enabled(pci) && !(pci->bound && pci->bound->low_power);
}

void vfio_feature_memory(struct siommu_pci *pci)
{
	pthread_mutex_lock(&pci->export_lock);
	set_revoked(pci, !reachable(pci));
	pthread_mutex_unlock(&pci->export_lock);
}

void vfio_feature_revoke(struct siommu_pci *pci)
{
	pthread_mutex_lock(&pci->export_lock);
	set_revoked(pci, true);
	pthread_mutex_unlock(&pci->export_lock);
}

static void power_up(struct vfio_open *open)
{
	if (!open->low_power)
		return;
	open->low_power = false;
	if (open->wakeup >= 0)
		close(open->wakeup);
	open->wakeup = -1;
}

void vfio_feature_release(struct vfio_open *open)
{
	struct siommu_pci *pci = open->pci;

	pthread_mutex_lock(&pci->export_lock);
	power_up(open);
	set_revoked(pci, true);
	while (!LIST_EMPTY(&pci->dmabufs))
		drop(pci, LIST_FIRST(&pci->dmabufs));
	pthread_mutex_unlock(&pci->export_lock);
}

/* Whoever asked to be told of the end of low power is told by the first access. */
void vfio_feature_wake(struct vfio_open *open)
{
	struct siommu_pci *pci = open->pci;

	if (!open->low_power)
		return;
	pthread_mutex_lock(&pci->export_lock);
	if (open->low_power && open->wakeup >= 0) {
		vfio_signal(pci->bus, open->wakeup);
		power_up(open);
		set_revoked(pci, !reachable(pci));
	}
	pthread_mutex_unlock(&pci->export_lock);
}

static long enter(struct vfio_open *open, int wakeup)
{
	struct siommu_pci *pci = open->pci;
	long rc = -EINVAL;

	pthread_mutex_lock(&pci->export_lock);
	if (!open->low_power) {
		open->wakeup = wakeup;
		open->low_power = true;
		rc = 0;
	}
	set_revoked(pci, !reachable(pci));
	pthread_mutex_unlock(&pci->export_lock);
	return rc;
}

static long low_power(struct vfio_open *open, const struct vfio_device_feature *head)
{
	int rc;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_SET, 0);
	return rc == 1 ? enter(open, -1) : rc;
}

static long low_power_with_wakeup(struct vfio_open *open, struct siommu_task *task,
				  const struct vfio_device_feature *head, u64 data)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	long rc;
	int fd;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_SET, sizeof(entry));
	if (rc != 1)
		return rc;
	rc = task_copy_in(task, &entry, data, sizeof(entry));
	if (rc)
		return rc;
	if (entry.wakeup_eventfd < 0)
		return -EINVAL;
	fd = vfio_take_eventfd(task, entry.wakeup_eventfd);
	if (fd < 0)
		return fd;
	rc = enter(open, fd);
	if (rc)
		close(fd);
	return rc;
}

static long low_power_exit(struct vfio_open *open, const struct vfio_device_feature *head)
{
	int rc;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_SET, 0);
	if (rc != 1)
		return rc;
	pthread_mutex_lock(&open->pci->export_lock);
	power_up(open);
	set_revoked(open->pci, !reachable(open->pci));
	pthread_mutex_unlock(&open->pci->export_lock);
	return 0;
}

static long vf_token(struct vfio_open *open, struct siommu_task *task,
		     const struct vfio_device_feature *head, u64 data)
{
	struct siommu_pci *pci = open->pci;
	u8 token[16];
	long rc;

	if (!pci->func->desc.total_vfs)
		return -ENOTTY;
	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_SET, sizeof(token));
	if (rc != 1)
		return rc;
	rc = task_copy_in(task, token, data, sizeof(token));
	if (rc)
		return rc;
	pthread_mutex_lock(&pci->bus->lock);
	rc = vfio_token_set(pci, token);
	pthread_mutex_unlock(&pci->bus->lock);
	return rc;
}

/* The kernel's rules for all pieces; how long they are together does not matter here. */
static int read_ranges(struct siommu_task *task, u64 uptr, u32 n,
		       struct vfio_region_dma_range *ranges)
{
	u64 total = 0;
	u32 i;
	int rc;

	rc = task_copy_in(task, ranges, uptr, n * sizeof(*ranges));
	for (i = 0; !rc && i < n; i++)
		if (!ranges[i].length || ranges[i].offset % PAGE_BYTES ||
		    ranges[i].length % PAGE_BYTES ||
		    __builtin_add_overflow(total, ranges[i].length, &total))
			rc = -EINVAL;
	return rc;
}

static int check_ranges(const struct pci_bar *bar, const struct vfio_region_dma_range *ranges,
			u32 n)
{
	u64 end;
	u32 i;

	for (i = 0; i < n; i++) {
		if (__builtin_add_overflow(ranges[i].offset, ranges[i].length, &end))
			return -EOVERFLOW;
		if (end > bar->bytes)
			return -EINVAL;
	}
	return 0;
}

/* What was exported before, and that nobody but us has any more. */
static void forget_closed(struct siommu_pci *pci)
{
	struct vfio_dmabuf *d, *next;

	LIST_FOREACH_SAFE(d, &pci->dmabufs, link, next)
		if (atomic_load(&d->buf->file.refs) == 1)
			drop(pci, d);
}

/* With export_lock. On success @file has a reference more. */
static int export(struct siommu_pci *pci, const struct pci_bar *bar,
		  const struct vfio_region_dma_range *range, struct mem_file **file)
{
	struct siommu_machine *m = pci->bus->machine;
	struct vfio_dmabuf *d;
	int rc;

	forget_closed(pci);
	d = base_zalloc(&m->alloc, sizeof(*d));
	if (!d)
		return -ENOMEM;
	rc = mem_dmabuf_wrap(machine_host(m), bar->memory + range->offset, range->length, &d->buf);
	if (rc) {
		base_free(&m->alloc, d, sizeof(*d));
		return rc;
	}
	d->buf->revoked = !reachable(pci);
	LIST_INSERT_HEAD(&pci->dmabufs, d, link);
	*file = &d->buf->file;
	mem_file_get(*file);
	return 0;
}

/* Return: the caller's descriptor, or -errno. */
static long export_fd(struct siommu_pci *pci, struct siommu_task *task, const struct pci_bar *bar,
		      const struct vfio_region_dma_range *range)
{
	struct mem_file *file = NULL;
	long rc;

	pthread_mutex_lock(&pci->export_lock);
	rc = export(pci, bar, range, &file);
	pthread_mutex_unlock(&pci->export_lock);
	if (rc)
		return rc;
	rc = task->ops->install_file(task, file);
	if (rc < 0)
		mem_file_put(file);
	return rc;
}

static long dma_buf(struct vfio_open *open, struct siommu_task *task,
		    const struct vfio_device_feature *head, u64 data)
{
	struct vfio_region_dma_range ranges[RANGES_MAX];
	struct vfio_device_feature_dma_buf get;
	struct siommu_pci *pci = open->pci;
	const struct pci_bar *bar;
	long rc;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_GET, sizeof(get));
	if (rc != 1)
		return rc;
	rc = task_copy_in(task, &get, data, sizeof(get));
	if (rc)
		return rc;
	if (!get.nr_ranges || get.flags)
		return -EINVAL;
	if (get.region_index >= PCI_BARS)
		return -ENODEV;
	bar = &pci->func->desc.bars[get.region_index];
	if (!bar->bytes)
		return -ENODEV;
	if (get.nr_ranges > RANGES_MAX)
		return -EOPNOTSUPP;
	rc = read_ranges(task, data + sizeof(get), get.nr_ranges, ranges);
	if (!rc)
		rc = check_ranges(bar, ranges, get.nr_ranges);
	if (rc)
		return rc;
	/* Pieces that are apart could be exported, but iommufd would refuse to map them. */
	if (get.nr_ranges > 1 || !bar->memory)
		return -EOPNOTSUPP;
	return export_fd(pci, task, bar, ranges);
}

long vfio_feature(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	const u32 known = VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_SET |
			  VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE;
	const u64 data = arg + sizeof(struct vfio_device_feature);
	struct vfio_device_feature head;
	int rc;

	rc = task_copy_in(task, &head, arg, sizeof(head));
	if (rc)
		return rc;
	if (head.argsz < sizeof(head) || head.flags & ~known)
		return -EINVAL;
	if (!(head.flags & VFIO_DEVICE_FEATURE_PROBE) && head.flags & VFIO_DEVICE_FEATURE_SET &&
	    head.flags & VFIO_DEVICE_FEATURE_GET)
		return -EINVAL;
	switch (head.flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
		return low_power(open, &head);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
		return low_power_with_wakeup(open, task, &head, data);
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		return low_power_exit(open, &head);
	case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
		return vf_token(open, task, &head, data);
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		return dma_buf(open, task, &head, data);
	default:
		return vfio_migration_feature(open, task, &head, data);
	}
}
