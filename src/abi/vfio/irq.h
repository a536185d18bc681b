/* SPDX-License-Identifier: MIT */
/* What the two files about interrupts share. */
#ifndef ABI_VFIO_IRQ_H
#define ABI_VFIO_IRQ_H

#include "vfio.h"

/* What VFIO_DEVICE_SET_IRQS begins with. */
struct vfio_set_head {
	u32 argsz;
	u32 flags;
	u32 index;
	u32 start;
	u32 count;
};

/* One SET_IRQS: the caller, the header, and what follows it. */
struct vfio_set {
	struct siommu_task *task;
	struct vfio_set_head head;
	u8 *data;
};

_Static_assert(sizeof(struct vfio_set_head) == offsetof(struct vfio_irq_set, data),
	       "the kernel's layout");

/*
 * unmask.c: with irq_lock. From now on writing to the caller's eventfd unmasks the pin.
 * Return: 0; -EBUSY if there is one already; -EBADF; -EINVAL; -ENOMEM.
 */
int vfio_unmask_start(struct vfio_open *open, struct siommu_task *task, int fd) __must_check;
void vfio_unmask_stop(struct vfio_open *open);

/* The program has served the pin. Takes sink_lock. */
void vfio_irq_intx_unmask(struct vfio_open *open);

#endif
