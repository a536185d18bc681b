// SPDX-License-Identifier: MIT
/*
 * An opening of a device: what its descriptor does.
 *
 * A cdev can be opened many times, and one opening can be bound. Before that all that
 * its descriptor does is VFIO_DEVICE_BIND_IOMMUFD. From then on the driver has the
 * function: it was reset, and is again when the descriptor is closed. An opening
 * through a group is bound from the start.
 *
 * The context lives as long as the binding, so it does not matter in which order a
 * program closes the two.
 */
#include <string.h>

#include <linux/pci_regs.h>

#include "container.h"
#include "core/hwpt.h"
#include "vfio.h"

/* Bytes of struct vfio_device_info in 7.3, whatever the system's header has. */
#define INFO_BYTES 24

static const struct mem_file_ops device_ops;

struct vfio_open *vfio_open_of(struct mem_file *file)
{
	return file->ops == &device_ops ? container_of(file, struct vfio_open, file) : NULL;
}

static void lock_bus(struct vfio_open *open)
{
	pthread_mutex_lock(&open->pci->bus->lock);
}

static void unlock_bus(struct vfio_open *open)
{
	pthread_mutex_unlock(&open->pci->bus->lock);
}

static int open_new(struct siommu_pci *pci, struct vfio_open **out)
{
	struct vfio_open *open;

	open = base_zalloc(&pci->bus->machine->alloc, sizeof(*open));
	if (!open)
		return -ENOMEM;
	mem_file_init(&open->file, &device_ops);
	open->pci = pci;
	open->wakeup = -1;
	vfio_irq_init(open);
	pci->opens++;
	*out = open;
	return 0;
}

static void open_free(struct vfio_open *open)
{
	struct siommu_pci *pci = open->pci;

	pci->opens--;
	pthread_mutex_destroy(&open->irq_lock);
	pthread_mutex_destroy(&open->sink_lock);
	mem_file_destroy(&open->file);
	base_free(&pci->bus->machine->alloc, open, sizeof(*open));
}

int vfio_cdev_open(struct siommu_pci *pci, struct mem_file **out)
{
	struct vfio_open *open;
	int rc;

	rc = open_new(pci, &open);
	if (rc)
		return rc;
	open->file.major = ABI_VFIO_CDEV_MAJOR;
	open->file.minor = pci->minor;
	*out = &open->file;
	return 0;
}

/* Virtual functions outlive resets of their physical one, so it has to say so. */
static void show_vfs(struct siommu_pci *pci)
{
	if (pci->num_vfs)
		vfio_show_vfs(pci);
}

/* What the driver finds: a function after a reset, which answers to its memory. */
static int start(struct vfio_open *open)
{
	static const u8 command[2] = { PCI_COMMAND_MEMORY };
	struct siommu_pci *pci = open->pci;
	int rc;

	pci_func_reset(pci->func);
	show_vfs(pci);
	rc = vfio_renew_memory(pci);
	if (rc)
		return rc;
	pci_config_write(pci->func, PCI_COMMAND, command, sizeof(command));
	pci->vf_memory = pci->physfn;
	vfio_irq_start(open);
	return 0;
}

/* With bus->lock: nobody else drives it from now on. */
static void claim(struct vfio_open *open)
{
	struct siommu_pci *pci = open->pci;

	pci->bound = open;
	if (pci->physfn)
		pci->physfn->vf_users++;
}

static void unclaim(struct vfio_open *open)
{
	struct siommu_pci *pci = open->pci;

	if (pci->physfn)
		pci->physfn->vf_users--;
	pci->bound = NULL;
}

/* The binding has a reference on @ctx of its own. */
static int join(struct vfio_open *open, struct core_ctx *ctx, struct core_device **dev)
{
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_device_bind(ctx, open->pci->dev->dev, false, dev);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

static void leave(struct core_device *dev)
{
	struct core_ctx *ctx = dev->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_device_unbind(dev);
	pthread_mutex_unlock(&ctx->lock);
	core_ctx_put(ctx);
}

/* What the driver has set up ends, and what it has asked the function for. */
static void quiesce(struct vfio_open *open)
{
	struct siommu_pci *pci = open->pci;

	vfio_irq_release(open);
	vfio_feature_release(open);
	pthread_mutex_lock(&open->irq_lock);
	vfio_migration_release(open);
	pthread_mutex_unlock(&open->irq_lock);
	pci_func_reset(pci->func);
	show_vfs(pci);
}

static void set_binding(struct vfio_open *open, struct core_device *dev)
{
	lock_bus(open);
	open->dev = dev;
	open->ctx = dev ? dev->ctx : NULL;
	unlock_bus(open);
}

/*
 * What can be attached: the device itself, or one PASID of it. The context's lock is
 * enough, for a binding ends with its opening only: programs with large mappings to make
 * do not hold up others here.
 */
static int attach(struct vfio_open *open, u32 pasid, u32 *pt_id)
{
	struct core_ctx *ctx = open->ctx;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	if (core_device_attached(open->dev, pasid))
		rc = core_device_replace(open->dev, pasid, pt_id);
	else
		rc = core_device_attach(open->dev, pasid, pt_id);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

static void detach(struct vfio_open *open, u32 pasid)
{
	struct core_ctx *ctx = open->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_device_detach(open->dev, pasid);
	pthread_mutex_unlock(&ctx->lock);
}

/* With bus->lock, which is let go of while it waits for a reset by nobody's driver. */
static void settle(struct siommu_pci *pci)
{
	while (pci->resetting)
		pthread_cond_wait(&pci->bus->settled, &pci->bus->lock);
}

/* In a nesting container it is attached already, and who opens it gets its faults. */
static int take_faults(struct vfio_open *open)
{
	struct vfio_container *c = open->group->container;
	struct legacy_dev *dev;

	pthread_mutex_lock(&c->ctx->lock);
	dev = legacy_domain_find(c->domain, open->pci->dev->dev);
	pthread_mutex_unlock(&c->ctx->lock);
	return dev ? vfio_faults_start(open, dev) : -ENODEV;
}

/* The function is claimed. */
static int start_attached(struct vfio_open *open, struct core_ctx *ctx, u32 pt_id)
{
	struct core_device *dev;
	int rc;

	rc = join(open, ctx, &dev);
	if (rc)
		return rc;
	set_binding(open, dev);
	rc = start(open);
	if (!rc)
		rc = pt_id ? attach(open, IOMMU_NO_PASID, &pt_id) : take_faults(open);
	if (rc) {
		quiesce(open);
		set_binding(open, NULL);
		leave(dev);
	}
	return rc;
}

/* An opening that has the function claimed. With bus->lock. */
static int open_claimed(struct siommu_pci *pci, struct vfio_group *group, struct vfio_open **out)
{
	int rc;

	settle(pci);
	if (pci->bound)
		return -EBUSY;
	rc = open_new(pci, out);
	if (rc)
		return rc;
	(*out)->group = group;
	claim(*out);
	return 0;
}

int vfio_device_open(struct siommu_pci *pci, struct vfio_group *group, struct core_ctx *ctx,
		     u32 pt_id, struct mem_file **out)
{
	struct vfio_bus *bus = pci->bus;
	struct vfio_open *open;
	int rc;

	pthread_mutex_lock(&bus->lock);
	rc = open_claimed(pci, group, &open);
	pthread_mutex_unlock(&bus->lock);
	if (rc)
		return rc;
	rc = start_attached(open, ctx, pt_id);
	if (rc) {
		pthread_mutex_lock(&bus->lock);
		unclaim(open);
		open_free(open);
		pthread_mutex_unlock(&bus->lock);
		return rc;
	}
	group->users++;
	atomic_store(&open->granted, true);
	*out = &open->file;
	return 0;
}

/**
 * struct binding - what a request to bind is about, looked up before any lock is taken
 * @token: the token that was shown
 * @token_rc: 0 if there is one; -errno of reading it; 1 if none was shown
 * @file: what the descriptor is
 * @file_rc: 0, or why it is none
 */
struct binding {
	u8 token[16];
	int token_rc;
	struct mem_file *file;
	int file_rc;
};

static void look_up(struct siommu_task *task, const struct siommu_vfio_bind *cmd, struct binding *b)
{
	b->token_rc = 1;
	if (cmd->flags & VFIO_DEVICE_BIND_FLAG_TOKEN)
		b->token_rc = task_copy_in(task, b->token, cmd->token_uuid_ptr, sizeof(b->token));
	b->file_rc = task->ops->get_file(task, cmd->iommufd, &b->file);
}

/* May it be bound? With bus->lock; it is claimed then. */
static int begin_bind(struct vfio_open *open, const struct binding *b, struct core_ctx **ctx)
{
	struct siommu_pci *pci = open->pci;
	int rc;

	if (pci->group->opened)
		return -EBUSY;
	settle(pci);
	/* Looked at once more: it may have taken its time. */
	if (pci->group->opened)
		return -EBUSY;
	if (open->granted)
		return -EINVAL;
	rc = b->token_rc;
	if (rc >= 0)
		rc = vfio_token_check(pci, rc ? NULL : b->token);
	if (!rc)
		rc = b->file_rc;
	if (rc)
		return rc;
	*ctx = abi_context_of(b->file);
	if (!*ctx)
		return -EBADFD;
	if (pci->bound)
		return -EINVAL;
	claim(open);
	pci->group->cdev_users++;
	return 0;
}

static void end_bind(struct vfio_open *open)
{
	lock_bus(open);
	unclaim(open);
	open->pci->group->cdev_users--;
	unlock_bus(open);
}

/* The function is claimed. */
static int finish_bind(struct vfio_open *open, struct siommu_task *task, struct core_ctx *ctx,
		       u64 out_devid)
{
	struct core_device *dev;
	int rc;

	rc = join(open, ctx, &dev);
	if (rc)
		return rc;
	rc = start(open);
	if (!rc)
		rc = task_copy_out(task, out_devid, &dev->obj.id, sizeof(u32));
	if (rc) {
		quiesce(open);
		leave(dev);
		return rc;
	}
	set_binding(open, dev);
	atomic_store(&open->granted, true);
	return 0;
}

static int do_bind_to(struct vfio_open *open, struct siommu_task *task, const struct binding *b,
		      u64 out_devid)
{
	struct core_ctx *ctx;
	int rc;

	lock_bus(open);
	rc = begin_bind(open, b, &ctx);
	unlock_bus(open);
	if (rc)
		return rc;
	rc = finish_bind(open, task, ctx, out_devid);
	if (rc)
		end_bind(open);
	return rc;
}

static long do_bind(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	struct siommu_vfio_bind cmd;
	struct binding binding;
	int rc;
	u32 argsz;

	rc = task_copy_in(task, &argsz, arg, sizeof(argsz));
	if (rc)
		return rc;
	if (argsz < offsetofend(struct siommu_vfio_bind, out_devid))
		return -EINVAL;
	rc = task_copy_struct_in(task, &cmd, sizeof(cmd), arg, argsz);
	if (rc)
		return rc;
	if (cmd.iommufd < 0 || cmd.flags & ~(u32)VFIO_DEVICE_BIND_FLAG_TOKEN || open->group)
		return -EINVAL;
	look_up(task, &cmd, &binding);
	rc = do_bind_to(open, task, &binding, arg + offsetof(struct siommu_vfio_bind, out_devid));
	if (!binding.file_rc)
		mem_file_put(binding.file);
	return rc;
}

/* A file that is released has no other callers; its context may go with it. */
static void device_release(struct mem_file *file)
{
	struct vfio_open *open = container_of(file, struct vfio_open, file);
	struct core_device *dev = open->dev;
	struct vfio_bus *bus = open->pci->bus;

	if (dev) {
		vfio_faults_stop(open);
		quiesce(open);
		set_binding(open, NULL);
		leave(dev);
		pthread_mutex_lock(&bus->lock);
		unclaim(open);
		if (!open->group)
			open->pci->group->cdev_users--;
		pthread_mutex_unlock(&bus->lock);
	}
	/* The function keeps its group until the opening is gone. */
	if (open->group)
		vfio_group_put_device(open->group);
	pthread_mutex_lock(&bus->lock);
	open_free(open);
	pthread_mutex_unlock(&bus->lock);
}

static long do_attach(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	const u32 minsz = offsetofend(struct siommu_vfio_attach, pt_id);
	struct siommu_vfio_attach cmd = { 0 };
	int rc;

	rc = task_copy_in(task, &cmd, arg, minsz);
	if (rc)
		return rc;
	if (cmd.argsz < minsz || cmd.flags & ~(u32)VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (cmd.flags & VFIO_DEVICE_ATTACH_PASID) {
		if (cmd.argsz < sizeof(cmd))
			return -EINVAL;
		rc = task_copy_in(task, &cmd.pasid, arg + minsz, sizeof(cmd.pasid));
		if (rc)
			return rc;
	}
	/* The kernel keeps PASIDs in signed numbers. */
	if (cmd.pasid > INT32_MAX)
		return -ENOSPC;
	rc = attach(open, cmd.pasid, &cmd.pt_id);
	if (rc)
		return rc;
	rc = task_copy_out(task, arg + offsetof(struct siommu_vfio_attach, pt_id), &cmd.pt_id,
			   sizeof(cmd.pt_id));
	if (rc)
		detach(open, IOMMU_NO_PASID);
	return rc;
}

static long do_detach(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	const u32 minsz = offsetofend(struct siommu_vfio_detach, flags);
	struct siommu_vfio_detach cmd = { 0 };
	int rc;

	rc = task_copy_in(task, &cmd, arg, minsz);
	if (rc)
		return rc;
	if (cmd.argsz < minsz || cmd.flags & ~(u32)VFIO_DEVICE_DETACH_PASID)
		return -EINVAL;
	if (cmd.flags & VFIO_DEVICE_DETACH_PASID) {
		if (cmd.argsz < sizeof(cmd))
			return -EINVAL;
		rc = task_copy_in(task, &cmd.pasid, arg + minsz, sizeof(cmd.pasid));
		if (rc)
			return rc;
	}
	detach(open, cmd.pasid);
	return 0;
}

/*
 * Widths of atomic operations that complete: whatever the device is capable of, as there
 * is no root port that could refuse.
 */
static u32 atomic_widths(struct pci_func *func)
{
	unsigned int express = pci_find_cap(func, PCI_CAP_ID_EXP);
	u8 devcap2 = 0, high = 0;

	if (!express)
		return 0;
	pci_config_read(func, express + PCI_EXP_DEVCAP2, &devcap2, 1);
	pci_config_read(func, express + PCI_EXP_DEVCAP2 + 1, &high, 1);
	return (devcap2 & PCI_EXP_DEVCAP2_ATOMIC_COMP32 ? VFIO_PCI_ATOMIC_COMP32 : 0) |
	       (high & PCI_EXP_DEVCAP2_ATOMIC_COMP64 >> 8 ? VFIO_PCI_ATOMIC_COMP64 : 0) |
	       (high & PCI_EXP_DEVCAP2_ATOMIC_COMP128 >> 8 ? VFIO_PCI_ATOMIC_COMP128 : 0);
}

static int add_info_cap(struct vfio_open *open, struct siommu_task *task, u64 arg,
			struct vfio_device_info *info)
{
	struct vfio_device_info_cap_pci_atomic_comp cap = {
		.header = { .id = VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, .version = 1 },
		.flags = atomic_widths(open->pci->func),
	};

	if (!cap.flags)
		return 0;
	info->flags |= VFIO_DEVICE_FLAGS_CAPS;
	if (info->argsz < INFO_BYTES + sizeof(cap)) {
		info->argsz = INFO_BYTES + sizeof(cap);
		return 0;
	}
	info->cap_offset = INFO_BYTES;
	return task_copy_out(task, arg + INFO_BYTES, &cap, sizeof(cap));
}

static long get_info(struct vfio_open *open, struct siommu_task *task, u64 arg)
{
	const u32 minsz = offsetofend(struct vfio_device_info, num_irqs);
	u8 out[INFO_BYTES] __attribute__((aligned(8))) = { 0 };
	struct vfio_device_info info = { 0 };
	u32 room;
	int rc;

	rc = task_copy_in(task, &info, arg, minsz);
	if (rc)
		return rc;
	if (info.argsz < minsz)
		return -EINVAL;
	room = info.argsz;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = open->faults ? VFIO_RESPONSE_REGION_INDEX + 1 : VFIO_NUM_REGIONS;
	info.num_irqs = open->faults ? VFIO_FAULT_IRQ_INDEX + 1 : VFIO_NUM_IRQS;
	rc = add_info_cap(open, task, arg, &info);
	if (rc)
		return rc;
	memcpy(out, &info, offsetofend(struct vfio_device_info, cap_offset));
	return task_copy_out(task, arg, out, min_u64(room, sizeof(out)));
}

/* What the driver had written; the command register last: it lets the function go on. */
static void write_back(struct pci_func *func, const u8 *saved, unsigned int bytes)
{
	unsigned int i;

	for (i = 0; i < bytes; i += 4)
		if (i != (PCI_COMMAND & ~3u))
			pci_config_write(func, i, saved + i, 4);
	pci_config_write(func, PCI_COMMAND, saved + PCI_COMMAND, 2);
}

/* After a reset: @saved is the configuration space from before. */
static void restore(struct siommu_pci *pci, const u8 *saved, unsigned int bytes)
{
	if (pci->bound) {
		vfio_migration_reset(pci->bound);
		vfio_irq_restore(pci->bound);
	}
	write_back(pci->func, saved, bytes);
	show_vfs(pci);
	vfio_feature_memory(pci);
}

void vfio_reset(struct siommu_pci *pci)
{
	unsigned int bytes = vfio_config_bytes(pci);
	unsigned int pm = pci_find_cap(pci->func, PCI_CAP_ID_PM);
	u8 saved[PCI_CONFIG_BYTES];

	vfio_feature_revoke(pci);
	pci_config_read(pci->func, 0, saved, bytes);
	/* It comes out of a reset awake. */
	if (pm)
		saved[pm + PCI_PM_CTRL] &= (u8)~PCI_PM_CTRL_STATE_MASK;
	pci_func_reset(pci->func);
	restore(pci, saved, bytes);
}

void vfio_reset_by(struct siommu_pci *pci, unsigned int offset, const u8 *buf, unsigned int n)
{
	unsigned int bytes = vfio_config_bytes(pci);
	u8 saved[PCI_CONFIG_BYTES];

	pci_config_read(pci->func, 0, saved, bytes);
	memcpy(saved + offset, buf, n);
	pci_config_write(pci->func, offset, buf, n);
	restore(pci, saved, bytes);
}

static long do_reset(struct vfio_open *open)
{
	pthread_mutex_lock(&open->irq_lock);
	vfio_reset(open->pci);
	pthread_mutex_unlock(&open->irq_lock);
	return 0;
}

static long granted_ioctl(struct vfio_open *open, struct siommu_task *task, unsigned int request,
			  u64 arg)
{
	switch (request) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return open->group ? -ENOTTY : do_attach(open, task, arg);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return open->group ? -ENOTTY : do_detach(open, task, arg);
	case VFIO_DEVICE_FEATURE:
		return vfio_feature(open, task, arg);
	case VFIO_DEVICE_GET_INFO:
		return get_info(open, task, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vfio_region_info(open, task, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_irq_info(open, task, arg);
	case VFIO_DEVICE_SET_IRQS:
		return vfio_set_irqs(open, task, arg);
	case VFIO_DEVICE_RESET:
		return do_reset(open);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return vfio_hot_reset_info(open, task, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return vfio_hot_reset(open, task, arg);
	default:
		return -ENOTTY;
	}
}

static long device_ioctl(struct mem_file *file, struct siommu_task *task, unsigned int request,
			 u64 arg)
{
	struct vfio_open *open = container_of(file, struct vfio_open, file);

	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return do_bind(open, task, arg);
	if (!open->granted)
		return -EINVAL;
	vfio_feature_wake(open);
	return granted_ioctl(open, task, request, arg);
}

static ssize_t device_pread(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			    u64 offset)
{
	struct vfio_open *open = container_of(file, struct vfio_open, file);

	if (!open->granted)
		return -EINVAL;
	vfio_feature_wake(open);
	return vfio_region_read(open, task, ubuf, n, offset);
}

static ssize_t device_pwrite(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			     u64 offset)
{
	struct vfio_open *open = container_of(file, struct vfio_open, file);

	if (!open->granted)
		return -EINVAL;
	vfio_feature_wake(open);
	return vfio_region_write(open, task, ubuf, n, offset);
}

static int device_mmap(struct mem_file *file, u64 length, u64 offset, int prot,
		       struct mem_mapping *out)
{
	struct vfio_open *open = container_of(file, struct vfio_open, file);

	return open->granted ? vfio_region_mmap(open, length, offset, prot, out) : -EINVAL;
}

static const struct mem_file_ops device_ops = {
	.name = "[vfio-device]",
	.polls_always = true,
	.pread = device_pread,
	.pwrite = device_pwrite,
	.ioctl = device_ioctl,
	.mmap = device_mmap,
	.release = device_release,
};
