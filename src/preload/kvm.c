// SPDX-License-Identifier: MIT
/*
 * VFIO files that are made known to KVM.
 *
 * A VMM creates a device of type VFIO on its virtual machine and gives it the descriptors
 * of the devices that it assigns. KVM would refuse ours. If the server has devices, the
 * descriptor of that device is one of ours too: a pipe with a mark, whose attributes are
 * answered here. KVM itself is told nothing; it would only learn whether devices
 * snoop caches.
 */
#include <fcntl.h>
#include <linux/kvm.h>

#include "raw.h"
#include "real.h"

#define MAX_FILES 128

/* Names of the attributes since Linux 6.1, which mean the same as those before it. */
#define GROUP_FILE 1
#define FILE_ADD   1
#define FILE_DEL   2

/* What was added to which device: inodes of both. */
static struct {
	_Atomic uint64_t device;
	uint64_t file;
} added[MAX_FILES];

/* Ask KVM itself whether @fd is a machine: without a device of this type it still knows. */
static bool is_machine(int fd)
{
	struct kvm_create_device probe = {
		.type = KVM_DEV_TYPE_VFIO,
		.flags = KVM_CREATE_DEVICE_TEST,
	};
	int before = errno, ret = real()->ioctl(fd, KVM_CREATE_DEVICE, &probe);
	bool yes = !ret || errno == ENODEV;

	errno = before;
	return yes;
}

static long create(struct kvm_create_device *args)
{
	int p[2];
	long ret;

	if (args->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	ret = raw2(SYS_pipe2, p, O_CLOEXEC);
	if (ret)
		return ret;
	/* The other end is not needed; without it, the descriptor is nobody's. */
	raw_close(p[1]);
	ret = raw3(SYS_fcntl, p[0], F_SETSIG, KVM_TAG);
	if (ret) {
		raw_close(p[0]);
		return ret;
	}
	known_discover(p[0]);
	args->fd = (uint32_t)p[0];
	return 0;
}

/* Is @fd a VFIO file of ours: a group's or a device's? */
static long is_vfio(int fd, uint64_t *ino)
{
	struct door_call call = { .op = DOOR_STAT, .fd = fd };
	struct door_reply reply;
	struct known k;
	long ret;

	if (raw3(SYS_fcntl, fd, F_GETFD, 0) < 0)
		return -EBADF;
	if (known_check(fd, &k) != KNOWN_DEVICE && k.kind != KNOWN_QUEUE)
		return -EINVAL;
	call.dev = k.dev;
	call.ino = k.ino;
	ret = door_call(&call, &reply, NULL);
	if (ret < 0)
		return ret;
	*ino = k.ino;
	return reply.v[2] ? 0 : -EINVAL;
}

static int find(uint64_t device, uint64_t file)
{
	int i;

	for (i = 0; i < MAX_FILES; i++)
		if (atomic_load(&added[i].device) == device && added[i].file == file)
			return i;
	return -1;
}

static long add(uint64_t device, uint64_t file)
{
	int i;

	if (find(device, file) >= 0)
		return -EEXIST;
	for (i = 0; i < MAX_FILES; i++) {
		uint64_t none = 0;

		if (!atomic_compare_exchange_strong(&added[i].device, &none, device))
			continue;
		added[i].file = file;
		return 0;
	}
	return -ENOMEM;
}

static long set(uint64_t device, const struct kvm_device_attr *attr)
{
	uint64_t file;
	int32_t fd;
	long ret;
	int i;

	if (attr->group != GROUP_FILE || (attr->attr != FILE_ADD && attr->attr != FILE_DEL))
		return -ENXIO;
	if (!attr->addr)
		return -EFAULT;
	fd = *(const int32_t *)(uintptr_t)attr->addr;
	ret = is_vfio(fd, &file);
	if (ret)
		return ret;
	if (attr->attr == FILE_ADD)
		return add(device, file);
	i = find(device, file);
	if (i < 0)
		return -ENOENT;
	atomic_store(&added[i].device, 0);
	return 0;
}

static long attribute(uint64_t device, unsigned long request, const struct kvm_device_attr *attr)
{
	switch (request) {
	case KVM_SET_DEVICE_ATTR:
		return set(device, attr);
	case KVM_HAS_DEVICE_ATTR:
		return attr->group == GROUP_FILE &&
				       (attr->attr == FILE_ADD || attr->attr == FILE_DEL)
			       ? 0
			       : -ENXIO;
	default: /* there is none that can be read */
		return -EPERM;
	}
}

long kvm_ioctl(int fd, unsigned long request, unsigned long arg, bool *ours)
{
	struct known k;

	*ours = false;
	if (!preload_active || !arg)
		return 0;
	if (request == KVM_CREATE_DEVICE) {
		struct kvm_create_device *args = (void *)arg;

		if (args->type != KVM_DEV_TYPE_VFIO || !tree_exists() || !is_machine(fd))
			return 0;
		*ours = true;
		return create(args);
	}
	if (known_kind(fd) != KNOWN_KVM || known_check(fd, &k) != KNOWN_KVM)
		return 0;
	*ours = true;
	return attribute(k.ino, request, (const struct kvm_device_attr *)arg);
}

void kvm_closed(uint64_t device)
{
	int i;

	for (i = 0; i < MAX_FILES; i++)
		if (atomic_load(&added[i].device) == device)
			atomic_store(&added[i].device, 0);
}
