// SPDX-License-Identifier: MIT
/*
 * Interrupts of a device: which of its program's eventfds each leads to.
 *
 * One of INTx, MSI and MSI-X is set up at a time; ERR, REQ and faults are apart from them.
 * INTx is a level: when it is raised the program is told once, and the pin is masked until
 * the program says that it has served it. If it is still raised then, that is said again at
 * once.
 *
 * All vectors of MSI-X exist from the moment that one is used, so more can be added later
 * without those that are there noticing (IRQ_INFO does not say NORESIZE).
 *
 * Two locks, because a device interrupts with its own lock held: irq_lock is for
 * programs' calls, which may call the function; sink_lock is inside of everything.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "irq.h"
#include "vfio.h"

static void sink_message(void *arg, unsigned int vector)
{
	struct vfio_open *open = arg;

	pthread_mutex_lock(&open->sink_lock);
	if ((open->irq_index == VFIO_PCI_MSI_IRQ_INDEX ||
	     open->irq_index == VFIO_PCI_MSIX_IRQ_INDEX) &&
	    vector < open->ntriggers)
		vfio_signal(open->pci->bus, open->triggers[vector]);
	pthread_mutex_unlock(&open->sink_lock);
}

/* The program is to be told of the pin; with sink_lock. */
static void raise_intx(struct vfio_open *open)
{
	open->intx_masked = true;
	vfio_signal(open->pci->bus, open->triggers[0]);
}

static void sink_intx(void *arg, bool asserted)
{
	struct vfio_open *open = arg;

	pthread_mutex_lock(&open->sink_lock);
	open->intx_level = asserted;
	if (asserted && open->irq_index == VFIO_PCI_INTX_IRQ_INDEX && !open->intx_masked)
		raise_intx(open);
	pthread_mutex_unlock(&open->sink_lock);
}

static const struct pci_irq_sink sink = {
	.message = sink_message,
	.intx = sink_intx,
};

void vfio_irq_init(struct vfio_open *open)
{
	pthread_mutex_init(&open->irq_lock, NULL);
	pthread_mutex_init(&open->sink_lock, NULL);
	open->irq_index = VFIO_NUM_IRQS;
	open->err = -1;
	open->req = -1;
	open->fault = -1;
}

void vfio_irq_start(struct vfio_open *open)
{
	pci_irq_listen(open->pci->func, &sink, open);
}

static unsigned int irq_count(const struct vfio_open *open, u32 index)
{
	const struct pci_func_desc *desc = &open->pci->func->desc;

	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return desc->intx && !open->pci->physfn;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return desc->msi_vectors;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return desc->msix_vectors;
	default:
		return 1;
	}
}

static unsigned int num_irqs(const struct vfio_open *open)
{
	return open->faults ? VFIO_FAULT_IRQ_INDEX + 1 : VFIO_NUM_IRQS;
}

long vfio_irq_info(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	const u32 minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;
	int rc;

	rc = task_copy_in(task, &info, arg, minsz);
	if (rc)
		return rc;
	if (info.argsz < minsz || info.index >= num_irqs(open))
		return -EINVAL;
	if (info.index == VFIO_FAULT_IRQ_INDEX)
		return vfio_faults_irq_info(task, arg, info.argsz);
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = irq_count(open, info.index);
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info.index != VFIO_PCI_MSIX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	return task_copy_out(task, arg, &info, minsz);
}

static bool is(const struct vfio_open *open, u32 index)
{
	return open->irq_index == index;
}

static bool is_none(const struct vfio_open *open)
{
	return is(open, VFIO_NUM_IRQS);
}

/* Put @fd in place of a trigger, whatever uses it. */
static void set_trigger(struct vfio_open *open, int *trigger, int fd)
{
	int old;

	pthread_mutex_lock(&open->sink_lock);
	old = *trigger;
	*trigger = fd;
	pthread_mutex_unlock(&open->sink_lock);
	if (old >= 0)
		close(old);
}

/*
 * From now on @index is set up, with @n triggers: the first is @fd, which is taken over on
 * success, the others lead nowhere yet.
 */
static int enable(struct vfio_open *open, u32 index, unsigned int n, int fd)
{
	unsigned int i;
	int *triggers;

	triggers = base_zalloc_array(&open->pci->bus->machine->alloc, n, sizeof(int));
	if (!triggers)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		triggers[i] = i ? -1 : fd;
	pthread_mutex_lock(&open->sink_lock);
	open->triggers = triggers;
	open->ntriggers = n;
	open->irq_index = index;
	open->intx_masked = open->intx_disabled;
	if (index == VFIO_PCI_INTX_IRQ_INDEX && open->intx_level && !open->intx_masked)
		raise_intx(open);
	pthread_mutex_unlock(&open->sink_lock);
	return 0;
}

/* How the function has to interrupt for what is set up now. */
static void set_mode(struct vfio_open *open)
{
	struct pci_func *func = open->pci->func;

	if (is(open, VFIO_PCI_MSIX_IRQ_INDEX))
		pci_irq_set_mode(func, PCI_IRQ_MSIX, open->ntriggers);
	else if (is(open, VFIO_PCI_MSI_IRQ_INDEX))
		pci_irq_set_mode(func, PCI_IRQ_MSI, open->ntriggers);
	else
		pci_irq_set_mode(func, func->desc.intx ? PCI_IRQ_INTX : PCI_IRQ_NONE, 0);
}

static void disable(struct vfio_open *open)
{
	unsigned int i, n = open->ntriggers;
	int *triggers = open->triggers;

	if (is_none(open))
		return;
	vfio_unmask_stop(open);
	pthread_mutex_lock(&open->sink_lock);
	open->irq_index = VFIO_NUM_IRQS;
	open->triggers = NULL;
	open->ntriggers = 0;
	pthread_mutex_unlock(&open->sink_lock);
	for (i = 0; i < n; i++)
		if (triggers[i] >= 0)
			close(triggers[i]);
	base_free(&open->pci->bus->machine->alloc, triggers, n * sizeof(int));
	set_mode(open);
}

void vfio_irq_restore(struct vfio_open *open)
{
	if (!is_none(open))
		set_mode(open);
}

void vfio_irq_release(struct vfio_open *open)
{
	pthread_mutex_lock(&open->irq_lock);
	pci_irq_listen(open->pci->func, NULL, NULL);
	disable(open);
	set_trigger(open, &open->err, -1);
	set_trigger(open, &open->req, -1);
	set_trigger(open, &open->fault, -1);
	pthread_mutex_unlock(&open->irq_lock);
}

void vfio_irq_fault(struct vfio_open *open)
{
	pthread_mutex_lock(&open->sink_lock);
	vfio_signal(open->pci->bus, open->fault);
	pthread_mutex_unlock(&open->sink_lock);
}

static void intx_mask(struct vfio_open *open)
{
	pthread_mutex_lock(&open->sink_lock);
	open->intx_masked = true;
	pthread_mutex_unlock(&open->sink_lock);
}

void vfio_irq_intx_unmask(struct vfio_open *open)
{
	pthread_mutex_lock(&open->sink_lock);
	if (is(open, VFIO_PCI_INTX_IRQ_INDEX) && open->intx_masked && !open->intx_disabled) {
		open->intx_masked = false;
		if (open->intx_level)
			raise_intx(open);
	}
	pthread_mutex_unlock(&open->sink_lock);
}

void vfio_irq_intx_disable(struct vfio_open *open, bool disabled)
{
	bool changed;

	pthread_mutex_lock(&open->sink_lock);
	changed = open->intx_disabled != disabled;
	open->intx_disabled = disabled;
	if (changed && disabled)
		open->intx_masked = true;
	pthread_mutex_unlock(&open->sink_lock);
	if (changed && !disabled)
		vfio_irq_intx_unmask(open);
}

/* A trigger that software pulls. */
static void loopback(struct vfio_open *open, int fd)
{
	vfio_signal(open->pci->bus, fd);
}

/* The one element of the data of what takes one: a byte, or a descriptor. */
static bool first_bool(const struct vfio_set *set)
{
	return ((const u8 *)set->data)[0];
}

static int first_fd(const struct vfio_set *set)
{
	int fd;

	memcpy(&fd, set->data, sizeof(fd));
	return fd;
}

static long set_intx_mask(struct vfio_open *open, const struct vfio_set *set)
{
	if (!is(open, VFIO_PCI_INTX_IRQ_INDEX) || set->head.start || set->head.count != 1)
		return -EINVAL;
	if (set->head.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return -ENOTTY;
	if (set->head.flags & VFIO_IRQ_SET_DATA_NONE || first_bool(set))
		intx_mask(open);
	return 0;
}

static long set_intx_unmask(struct vfio_open *open, const struct vfio_set *set)
{
	if (!is(open, VFIO_PCI_INTX_IRQ_INDEX) || set->head.start || set->head.count != 1)
		return -EINVAL;
	if (set->head.flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (first_fd(set) >= 0)
			return vfio_unmask_start(open, set->task, first_fd(set));
		vfio_unmask_stop(open);
		return 0;
	}
	if (set->head.flags & VFIO_IRQ_SET_DATA_NONE || first_bool(set))
		vfio_irq_intx_unmask(open);
	return 0;
}

/* Take the eventfd; -1 stays -1, and so does what else is negative. */
static int take(const struct vfio_set *set, int fd, int *own)
{
	*own = fd < 0 ? -1 : vfio_take_eventfd(set->task, fd);
	return fd >= 0 && *own < 0 ? *own : 0;
}

static long set_intx_eventfd(struct vfio_open *open, const struct vfio_set *set)
{
	int own, rc;

	rc = take(set, first_fd(set), &own);
	if (rc)
		return rc;
	if (is(open, VFIO_PCI_INTX_IRQ_INDEX)) {
		set_trigger(open, &open->triggers[0], own);
		return 0;
	}
	rc = enable(open, VFIO_PCI_INTX_IRQ_INDEX, 1, own);
	if (rc && own >= 0)
		close(own);
	return rc;
}

static long set_intx_trigger(struct vfio_open *open, const struct vfio_set *set)
{
	if (is(open, VFIO_PCI_INTX_IRQ_INDEX) && !set->head.count &&
	    set->head.flags & VFIO_IRQ_SET_DATA_NONE) {
		disable(open);
		return 0;
	}
	if (!(is(open, VFIO_PCI_INTX_IRQ_INDEX) || is_none(open)) || set->head.start ||
	    set->head.count != 1)
		return -EINVAL;
	if (set->head.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_intx_eventfd(open, set);
	if (!is(open, VFIO_PCI_INTX_IRQ_INDEX))
		return -EINVAL;
	if ((set->head.flags & VFIO_IRQ_SET_DATA_NONE || first_bool(set)) && !open->intx_disabled)
		loopback(open, open->triggers[0]);
	return 0;
}

/* The vector leads to the program's @fd, or nowhere. The old one is gone in any case. */
static int set_vector(struct vfio_open *open, const struct vfio_set *set, u32 vector, int fd)
{
	int own, rc;

	if (vector >= open->ntriggers)
		return fd < 0 ? 0 : -EINVAL;
	set_trigger(open, &open->triggers[vector], -1);
	rc = take(set, fd, &own);
	if (!rc)
		set_trigger(open, &open->triggers[vector], own);
	return rc;
}

static int set_vectors(struct vfio_open *open, const struct vfio_set *set)
{
	const u32 start = set->head.start;
	u32 i, j;

	for (i = 0; i < set->head.count; i++) {
		int fd, rc;

		memcpy(&fd, set->data + i * sizeof(fd), sizeof(fd));
		rc = set_vector(open, set, start + i, fd);
		if (rc) {
			for (j = 0; j <= i; j++)
				(void)!set_vector(open, set, start + j, -1);
			return rc;
		}
	}
	return 0;
}

static long set_msi_eventfd(struct vfio_open *open, const struct vfio_set *set)
{
	unsigned int n = set->head.start + set->head.count;
	const u32 index = set->head.index;
	int rc;

	if (is(open, index))
		return set_vectors(open, set);
	if (!n)
		return -ERANGE;
	/* MSI-X can grow, MSI cannot: its vectors share an address. */
	if (index == VFIO_PCI_MSIX_IRQ_INDEX)
		n = irq_count(open, index);
	rc = enable(open, index, n, -1);
	if (rc)
		return rc;
	rc = set_vectors(open, set);
	if (rc)
		disable(open);
	else
		set_mode(open);
	return rc;
}

static long set_msi_trigger(struct vfio_open *open, const struct vfio_set *set)
{
	const u32 index = set->head.index;
	u32 i;

	if (is(open, index) && !set->head.count && set->head.flags & VFIO_IRQ_SET_DATA_NONE) {
		disable(open);
		return 0;
	}
	if (!is(open, index) && !is_none(open))
		return -EINVAL;
	if (set->head.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_msi_eventfd(open, set);
	if (!is(open, index))
		return -EINVAL;
	for (i = 0; i < set->head.count; i++) {
		if (set->head.start + i >= open->ntriggers)
			break;
		if (set->head.flags & VFIO_IRQ_SET_DATA_NONE || ((const u8 *)set->data)[i])
			loopback(open, open->triggers[set->head.start + i]);
	}
	return 0;
}

/* ERR, REQ and faults: a trigger, and nothing else. */
static long set_single(struct vfio_open *open, const struct vfio_set *set, int *trigger)
{
	int own, rc;

	if (set->head.start || set->head.count > 1)
		return -EINVAL;
	if (set->head.flags & VFIO_IRQ_SET_DATA_NONE) {
		if (*trigger < 0)
			return -EINVAL;
		if (set->head.count)
			loopback(open, *trigger);
		else
			set_trigger(open, trigger, -1);
		return 0;
	}
	if (!set->head.count)
		return -EINVAL;
	if (set->head.flags & VFIO_IRQ_SET_DATA_BOOL) {
		if (first_bool(set))
			loopback(open, *trigger);
		return 0;
	}
	if (!(set->head.flags & VFIO_IRQ_SET_DATA_EVENTFD) || first_fd(set) < -1)
		return -EINVAL;
	rc = take(set, first_fd(set), &own);
	if (!rc)
		set_trigger(open, trigger, own);
	return rc;
}

static long apply(struct vfio_open *open, const struct vfio_set *set)
{
	const u32 action = set->head.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	const u32 index = set->head.index;

	if (index == VFIO_PCI_INTX_IRQ_INDEX && action == VFIO_IRQ_SET_ACTION_MASK)
		return set_intx_mask(open, set);
	if (index == VFIO_PCI_INTX_IRQ_INDEX && action == VFIO_IRQ_SET_ACTION_UNMASK)
		return set_intx_unmask(open, set);
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return set_intx_trigger(open, set);
	case VFIO_PCI_ERR_IRQ_INDEX:
		return set_single(open, set, &open->err);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return set_single(open, set, &open->req);
	case VFIO_FAULT_IRQ_INDEX:
		return set_single(open, set, &open->fault);
	default:
		return set_msi_trigger(open, set);
	}
}

/* The rules that all kinds share. Return: bytes of data that follow the header. */
static ssize_t check(const struct vfio_open *open, const struct vfio_set_head *head)
{
	unsigned int have;
	size_t each;

	if (head->argsz < sizeof(*head) || head->index >= num_irqs(open) ||
	    head->count >= UINT32_MAX - head->start ||
	    head->flags & ~(u32)(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return -EINVAL;
	have = irq_count(open, head->index);
	if (head->start >= have || head->start + head->count > have)
		return -EINVAL;
	switch (head->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		each = sizeof(u8);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		each = sizeof(s32);
		break;
	default:
		return -EINVAL;
	}
	if (head->argsz - sizeof(*head) < head->count * each)
		return -EINVAL;
	return (ssize_t)(head->count * each);
}

long vfio_set_irqs(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	struct base_alloc *alloc = &open->pci->bus->machine->alloc;
	struct vfio_set set = { .task = task };
	ssize_t bytes;
	long rc;

	rc = task_copy_in(task, &set.head, arg, sizeof(set.head));
	if (rc)
		return rc;
	bytes = check(open, &set.head);
	if (bytes < 0)
		return bytes;
	if (bytes) {
		set.data = base_zalloc(alloc, (size_t)bytes);
		if (!set.data)
			return -ENOMEM;
		rc = task_copy_in(task, set.data, arg + sizeof(set.head), (size_t)bytes);
	}
	if (!rc) {
		pthread_mutex_lock(&open->irq_lock);
		rc = apply(open, &set);
		pthread_mutex_unlock(&open->irq_lock);
	}
	base_free(alloc, set.data, (size_t)bytes);
	return rc;
}
