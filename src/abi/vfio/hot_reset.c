// SPDX-License-Identifier: MIT
/*
 * Resets of a whole bus: which functions that takes with it, and whether the caller may.
 *
 * Functions are reset together if they are on one bus, unless that is bus 0, which has no
 * bridge above it that could do it. A virtual function is reset by nobody else, so a bus
 * that has some cannot be reset as a whole.
 *
 * Who opened the function by its cdev owns others that are bound to the same context, or
 * are in a group of it. Who opened it through a group shows the groups' files.
 */
#include <stdlib.h>
#include <string.h>

#include "vfio.h"

#define GROUPS_MAX 64

/* Functions that one bus has at most. */
#define BUS_FUNCTIONS 256

/* Bytes of "DDDD:BB". */
#define BUS_CHARS 7

static bool on_root_bus(const struct siommu_pci *pci)
{
	return !strncmp(pci->address + 5, "00", 2);
}

static bool same_bus(const struct siommu_pci *a, const struct siommu_pci *b)
{
	return !strncmp(a->address, b->address, BUS_CHARS);
}

/* One reset reaches both, and both are VFIO's to know of. */
static bool same_set(const struct siommu_pci *a, const struct siommu_pci *b)
{
	return a == b || (!a->physfn && !b->physfn && same_bus(a, b));
}

static unsigned int count_affected(const struct siommu_pci *pci)
{
	struct siommu_pci *other;
	unsigned int n = 0;

	TAILQ_FOREACH(other, &pci->bus->functions, link)
		n += same_bus(pci, other);
	return n;
}

static bool context_has_group(struct core_ctx *ctx, const struct siommu_pci *pci)
{
	bool has;

	pthread_mutex_lock(&ctx->machine->lock);
	has = pci->dev->dev->group->owner == ctx;
	pthread_mutex_unlock(&ctx->machine->lock);
	return has;
}

/* The number that stands for @pci in the context. */
static u32 device_id(struct core_ctx *ctx, const struct siommu_pci *pci)
{
	if (pci->bound && pci->bound->ctx == ctx)
		return pci->bound->dev->obj.id;
	return context_has_group(ctx, pci) ? VFIO_PCI_DEVID_OWNED : (u32)VFIO_PCI_DEVID_NOT_OWNED;
}

static void fill_one(struct vfio_open *open, const struct siommu_pci *pci,
		     struct vfio_pci_dependent_device *device, u32 *flags)
{
	const char *at = pci->address;

	device->segment = (u16)strtoul(at, NULL, 16);
	device->bus = (u8)strtoul(at + 5, NULL, 16);
	device->devfn = (u8)(strtoul(at + 8, NULL, 16) << 3 | strtoul(at + 11, NULL, 16));
	if (open->group) {
		device->group_id = pci->group->number;
		return;
	}
	device->group_id = (u32)VFIO_PCI_DEVID_NOT_OWNED;
	if (same_set(open->pci, pci))
		device->group_id = device_id(open->ctx, pci);
	if (device->group_id == (u32)VFIO_PCI_DEVID_NOT_OWNED)
		*flags &= ~(u32)VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
}

/* With bus->lock. Return: what the caller is to be given, or NULL. */
static struct vfio_pci_dependent_device *list_affected(struct vfio_open *open, unsigned int n,
						       u32 *flags)
{
	struct vfio_pci_dependent_device *devices;
	struct siommu_pci *other;
	unsigned int i = 0;

	devices = base_zalloc_array(&open->pci->bus->machine->alloc, n, sizeof(*devices));
	if (!devices)
		return NULL;
	if (!open->group)
		*flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	TAILQ_FOREACH(other, &open->pci->bus->functions, link)
		if (same_bus(open->pci, other))
			fill_one(open, other, &devices[i++], flags);
	return devices;
}

/* @head is to be written back for 0 and -ENOSPC. */
static int get_info(struct vfio_open *open, struct siommu_task *task, u64 arg,
		    struct vfio_pci_hot_reset_info *head)
{
	struct vfio_pci_dependent_device *devices = NULL;
	struct vfio_bus *bus = open->pci->bus;
	size_t bytes;
	bool room;
	int rc;

	pthread_mutex_lock(&bus->lock);
	head->count = count_affected(open->pci);
	bytes = head->count * sizeof(*devices);
	room = bytes <= head->argsz - sizeof(*head);
	if (room)
		devices = list_affected(open, head->count, &head->flags);
	pthread_mutex_unlock(&bus->lock);
	if (!devices)
		return room ? -ENOMEM : -ENOSPC;
	/* The caller's memory may take its time: not with a lock that all need. */
	rc = task_copy_out(task, arg + sizeof(*head), devices, bytes);
	base_free(&bus->machine->alloc, devices, bytes);
	return rc;
}

long vfio_hot_reset_info(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	struct vfio_pci_hot_reset_info head;
	int rc;

	rc = task_copy_in(task, &head, arg, sizeof(head));
	if (rc)
		return rc;
	if (head.argsz < sizeof(head))
		return -EINVAL;
	head.flags = 0;
	if (on_root_bus(open->pci))
		return -ENODEV;
	rc = get_info(open, task, arg, &head);
	if ((!rc || rc == -ENOSPC) && task_copy_out(task, arg, &head, sizeof(head)))
		return -EFAULT;
	return rc;
}

/**
 * struct proof - why the caller may
 * @ctx: the context that its function is bound to; NULL if it shows groups
 * @groups: those
 * @n: how many
 */
struct proof {
	struct core_ctx *ctx;
	struct vfio_group *groups[GROUPS_MAX];
	unsigned int n;
};

static bool owns(const struct proof *proof, const struct siommu_pci *pci)
{
	unsigned int i;

	if (proof->ctx)
		return device_id(proof->ctx, pci) != (u32)VFIO_PCI_DEVID_NOT_OWNED;
	for (i = 0; i < proof->n; i++)
		if (proof->groups[i] == pci->group)
			return true;
	return false;
}

/**
 * struct reset_set - what is reset, none of which goes meanwhile
 * @idle: functions that nobody has bound, with vfio_begin_reset()
 * @open: openings that have one bound, with references
 */
struct reset_set {
	struct siommu_pci *idle[BUS_FUNCTIONS];
	struct vfio_open *open[BUS_FUNCTIONS];
	unsigned int nidle;
	unsigned int nopen;
};

/* Who is binding it, or closes it at this moment, resets it. */
static void add(struct reset_set *set, struct siommu_pci *pci)
{
	struct vfio_open *open = pci->bound;

	if (!open) {
		vfio_begin_reset(pci);
		set->idle[set->nidle++] = pci;
	} else if (open->granted && mem_file_tryget(&open->file)) {
		set->open[set->nopen++] = open;
	}
}

/* Others may reset those that nobody has bound. With bus->lock, which is let go of. */
static void settle_all(struct siommu_pci *pci)
{
	struct siommu_pci *other;

	do {
		TAILQ_FOREACH(other, &pci->bus->functions, link)
			if (same_bus(pci, other) && other->resetting)
				break;
		if (other)
			pthread_cond_wait(&pci->bus->settled, &pci->bus->lock);
	} while (other);
}

/* With bus->lock. */
static int take_set(struct siommu_pci *pci, const struct proof *proof, struct reset_set *set)
{
	struct siommu_pci *other;

	settle_all(pci);
	TAILQ_FOREACH(other, &pci->bus->functions, link)
		if (same_bus(pci, other) && (!same_set(pci, other) || !owns(proof, other)))
			return -EINVAL;
	TAILQ_FOREACH(other, &pci->bus->functions, link)
		if (same_bus(pci, other))
			add(set, other);
	return 0;
}

/* What somebody drives comes last: it may be in DMA that takes its time. */
static void reset_set(struct vfio_bus *bus, struct reset_set *set)
{
	unsigned int i;

	for (i = 0; i < set->nidle; i++)
		vfio_reset(set->idle[i]);
	pthread_mutex_lock(&bus->lock);
	for (i = 0; i < set->nidle; i++)
		vfio_end_reset(set->idle[i]);
	pthread_mutex_unlock(&bus->lock);
	for (i = 0; i < set->nopen; i++) {
		struct vfio_open *open = set->open[i];

		pthread_mutex_lock(&open->irq_lock);
		vfio_reset(open->pci);
		pthread_mutex_unlock(&open->irq_lock);
		mem_file_put(&open->file);
	}
}

static int reset_bus(struct siommu_pci *pci, const struct proof *proof)
{
	struct reset_set set = { .nidle = 0 };
	struct vfio_bus *bus = pci->bus;
	int rc;

	pthread_mutex_lock(&bus->lock);
	rc = take_set(pci, proof, &set);
	pthread_mutex_unlock(&bus->lock);
	if (!rc)
		reset_set(bus, &set);
	return rc;
}

/* Take the files of @n groups. On failure what was taken is the caller's to put. */
static int take_groups(struct siommu_task *task, u64 arg, u32 n, struct mem_file **files,
		       struct proof *proof)
{
	s32 fds[GROUPS_MAX];
	int rc;
	u32 i;

	rc = task_copy_in(task, fds, arg + sizeof(struct vfio_pci_hot_reset), n * sizeof(s32));
	for (i = 0; !rc && i < n; i++) {
		rc = task->ops->get_file(task, fds[i], &files[i]);
		if (rc)
			return rc == -EBADFD ? -EINVAL : rc;
		proof->n++;
		proof->groups[i] = vfio_group_of(files[i]);
		if (!proof->groups[i])
			rc = -EINVAL;
	}
	return rc;
}

/* A group's file may be released with the last reference, which takes bus->lock. */
static int reset_by_groups(struct vfio_open *open, struct siommu_task *task, u64 arg, u32 n)
{
	struct vfio_bus *bus = open->pci->bus;
	struct mem_file *files[GROUPS_MAX];
	struct proof proof = { 0 };
	unsigned int most;
	int rc;

	pthread_mutex_lock(&bus->lock);
	most = count_affected(open->pci);
	pthread_mutex_unlock(&bus->lock);
	if (n > most || n > GROUPS_MAX)
		return -EINVAL;
	rc = take_groups(task, arg, n, files, &proof);
	if (!rc)
		rc = reset_bus(open->pci, &proof);
	while (proof.n)
		mem_file_put(files[--proof.n]);
	return rc;
}

long vfio_hot_reset(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	struct proof proof = { .ctx = open->ctx };
	struct vfio_pci_hot_reset head;
	int rc;

	rc = task_copy_in(task, &head, arg, sizeof(head));
	if (rc)
		return rc;
	if (head.argsz < sizeof(head) || head.flags)
		return -EINVAL;
	/* Files prove it for groups only, and always. */
	if (!head.count != !open->group)
		return -EINVAL;
	if (on_root_bus(open->pci))
		return -ENODEV;
	if (head.count)
		return reset_by_groups(open, task, arg, head.count);
	return reset_bus(open->pci, &proof);
}
