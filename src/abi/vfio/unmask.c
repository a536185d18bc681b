// SPDX-License-Identifier: MIT
/*
 * An eventfd that unmasks the pin: a thread waits for it, for as long as it is set.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "irq.h"

/**
 * struct vfio_unmask - the wait
 * @open: whose pin
 * @fd: the program's eventfd
 * @stop: ours: it is over
 * @thread: who waits
 */
struct vfio_unmask {
	struct vfio_open *open;
	int fd;
	int stop;
	pthread_t thread;
};

static void *wait_for_it(void *arg)
{
	struct vfio_unmask *unmask = arg;
	struct pollfd fds[] = {
		{ .fd = unmask->stop, .events = POLLIN },
		{ .fd = unmask->fd, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents && vfio_eventfd_consume(unmask->fd))
			vfio_irq_intx_unmask(unmask->open);
	}
}

int vfio_unmask_start(struct vfio_open *open, struct siommu_task *task, int fd)
{
	struct base_alloc *alloc = &open->pci->bus->machine->alloc;
	struct vfio_unmask *unmask;
	int rc;

	if (open->unmask)
		return -EBUSY;
	unmask = base_zalloc(alloc, sizeof(*unmask));
	if (!unmask)
		return -ENOMEM;
	unmask->open = open;
	unmask->fd = vfio_take_eventfd(task, fd);
	if (unmask->fd < 0) {
		rc = unmask->fd;
		goto err_free;
	}
	unmask->stop = eventfd(0, EFD_CLOEXEC);
	if (unmask->stop < 0) {
		rc = -errno;
		goto err_close;
	}
	rc = pci_thread_start(&unmask->thread, wait_for_it, unmask);
	if (rc)
		goto err_stop;
	open->unmask = unmask;
	return 0;

err_stop:
	close(unmask->stop);
err_close:
	close(unmask->fd);
err_free:
	base_free(alloc, unmask, sizeof(*unmask));
	return rc;
}

void vfio_unmask_stop(struct vfio_open *open)
{
	struct vfio_unmask *unmask = open->unmask;

	if (!unmask)
		return;
	open->unmask = NULL;
	eventfd_write(unmask->stop, 1);
	pthread_join(unmask->thread, NULL);
	close(unmask->stop);
	close(unmask->fd);
	base_free(&open->pci->bus->machine->alloc, unmask, sizeof(*unmask));
}
