// SPDX-License-Identifier: MIT
/*
 * The files of sysfs that are more than text: what a function's configuration space,
 * BARs and reset look like there, and the ones by which drivers are bound.
 *
 * There is one driver, vfio-pci, and it knows the ids of all functions: they are bound
 * from the start. An override with another name keeps a function from being bound.
 *
 * A file holds no function but its address, and looks it up at every call: virtual
 * functions come and go.
 *
 * Where the kernel would wait for a descriptor to be closed - to unbind what is open -
 * the answer is EBUSY.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/ctx.h"
#include "vfio.h"

#define DRIVER "vfio-pci"

/* What is written there is short. */
#define TEXT_BYTES 128

#define COMMAND_OFFSET 4
#define COMMAND_MEMORY 2

enum attribute {
	ATTR_BIND,
	ATTR_UNBIND,
	ATTR_NEW_ID,
	ATTR_REMOVE_ID,
	ATTR_RESET,
	ATTR_ENABLE,
	ATTR_NUM_VFS,
	ATTR_OVERRIDE,
	ATTR_CONFIG,
	ATTR_RESOURCE,
};

/**
 * struct sysfs_file - an opened file
 * @file: the descriptor
 * @bus: where
 * @attr: which
 * @flags: it was opened with
 * @bar: for ATTR_RESOURCE
 * @address: of the function; empty for files of the driver
 */
struct sysfs_file {
	struct mem_file file;
	struct vfio_bus *bus;
	enum attribute attr;
	int flags;
	unsigned int bar;
	char address[16];
};

static struct sysfs_file *to_sysfs(struct mem_file *file)
{
	return container_of(file, struct sysfs_file, file);
}

static bool is_binary(const struct sysfs_file *f)
{
	return f->attr == ATTR_CONFIG || f->attr == ATTR_RESOURCE;
}

/*
 * The function, kept as an opening keeps it: what is done with it may take time, and the
 * bus is everybody's. NULL if it is gone.
 */
static struct siommu_pci *hold(struct sysfs_file *f)
{
	struct siommu_pci *pci;

	pthread_mutex_lock(&f->bus->lock);
	pci = vfio_find_address(f->bus, f->address);
	if (pci)
		pci->opens++;
	pthread_mutex_unlock(&f->bus->lock);
	return pci;
}

static void let_go(struct siommu_pci *pci)
{
	pthread_mutex_lock(&pci->bus->lock);
	pci->opens--;
	pthread_mutex_unlock(&pci->bus->lock);
}

/*
 * The driver
 */

static int unbind(struct siommu_pci *pci)
{
	int rc;

	if (pci->unbound)
		return -ENODEV;
	if (pci->opens || pci->bound)
		return -EBUSY;
	if (pci->num_vfs) {
		rc = vfio_set_num_vfs(pci, 0);
		if (rc)
			return rc;
	}
	pci->unbound = true;
	pci->bus->generation++;
	return 0;
}

static int bind(struct siommu_pci *pci)
{
	if (pci->driver_override[0] && strcmp(pci->driver_override, DRIVER))
		return -ENODEV;
	if (!pci->unbound)
		return -EBUSY;
	pci->unbound = false;
	pci->bus->generation++;
	return 0;
}

/* Ids that are known already, as all are, bring no driver to who has one. */
static int new_id(struct vfio_bus *bus, const char *text)
{
	unsigned int vendor, device;
	struct siommu_pci *pci;
	int rc = -EEXIST;

	if (sscanf(text, "%x %x", &vendor, &device) != 2)
		return -EINVAL;
	TAILQ_FOREACH(pci, &bus->functions, link)
		if (pci->func->desc.vendor == vendor && pci->func->desc.device == device &&
		    !bind(pci))
			rc = 0;
	return rc;
}

static int write_driver(struct sysfs_file *f, const char *text)
{
	struct siommu_pci *pci;

	if (f->attr == ATTR_NEW_ID)
		return new_id(f->bus, text);
	if (f->attr == ATTR_REMOVE_ID)
		return -ENODEV; /* none was added */
	pci = vfio_find_address(f->bus, text);
	if (!pci)
		return -ENODEV;
	return f->attr == ATTR_BIND ? bind(pci) : unbind(pci);
}

/*
 * A function
 */

static int parse_number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*value = strtoul(text, &end, 0);
	if (*end)
		return -EINVAL;
	return errno || *value > max ? -ERANGE : 0;
}

static int write_enable(struct siommu_pci *pci, unsigned long value)
{
	u16 command;

	if (!pci->unbound)
		return -EBUSY;
	pci_config_read(pci->func, COMMAND_OFFSET, &command, sizeof(command));
	if (!value && !(command & COMMAND_MEMORY))
		return -EIO;
	command = value ? command | COMMAND_MEMORY : command & ~COMMAND_MEMORY;
	pci_config_write(pci->func, COMMAND_OFFSET, &command, sizeof(command));
	return 0;
}

static int write_override(struct siommu_pci *pci, const char *text)
{
	if (strlen(text) >= sizeof(pci->driver_override))
		return -EINVAL;
	strcpy(pci->driver_override, text);
	pci->bus->generation++;
	return 0;
}

static int write_function(struct siommu_pci *pci, enum attribute attr, const char *text)
{
	unsigned long value;
	int rc;

	if (attr == ATTR_OVERRIDE)
		return write_override(pci, text);
	rc = parse_number(text, UINT16_MAX, &value);
	if (rc)
		return rc;
	if (attr == ATTR_ENABLE)
		return write_enable(pci, value);
	if (value == pci->num_vfs)
		return 0;
	return pci->unbound ? -ENOENT : vfio_set_num_vfs(pci, (unsigned int)value);
}

/* Somebody who has it bound, or resets it too, is not disturbed. */
static int begin_reset(struct sysfs_file *f, struct siommu_pci **out)
{
	struct siommu_pci *pci;
	int rc = -ENODEV;

	pthread_mutex_lock(&f->bus->lock);
	pci = vfio_find_address(f->bus, f->address);
	if (pci)
		rc = pci->bound || pci->resetting ? -EBUSY : 0;
	if (!rc) {
		vfio_begin_reset(pci);
		*out = pci;
	}
	pthread_mutex_unlock(&f->bus->lock);
	return rc;
}

/* Waits until the function has come to rest, so the bus is not locked. */
static int write_reset(struct sysfs_file *f, const char *text)
{
	struct siommu_pci *pci;
	unsigned long value;
	int rc;

	rc = parse_number(text, UINT16_MAX, &value);
	if (rc || value != 1)
		return rc ? rc : -EINVAL;
	rc = begin_reset(f, &pci);
	if (rc)
		return rc;
	pci_func_reset(pci->func);
	pthread_mutex_lock(&f->bus->lock);
	vfio_end_reset(pci);
	pthread_mutex_unlock(&f->bus->lock);
	return 0;
}

/* What reading it gives. */
static size_t render(struct siommu_pci *pci, enum attribute attr, char *text, size_t room)
{
	u16 command;

	switch (attr) {
	case ATTR_ENABLE:
		pci_config_read(pci->func, COMMAND_OFFSET, &command, sizeof(command));
		return (size_t)snprintf(text, room, "%d\n", !!(command & COMMAND_MEMORY));
	case ATTR_NUM_VFS:
		return (size_t)snprintf(text, room, "%u\n", pci->num_vfs);
	default:
		return (size_t)snprintf(text, room, "%s\n",
					pci->driver_override[0] ? pci->driver_override : "(null)");
	}
}

static ssize_t read_text(struct sysfs_file *f, void *buf, size_t n, u64 offset)
{
	char text[TEXT_BYTES];
	struct siommu_pci *pci;
	size_t length = 0;

	pthread_mutex_lock(&f->bus->lock);
	pci = vfio_find_address(f->bus, f->address);
	if (pci)
		length = render(pci, f->attr, text, sizeof(text));
	pthread_mutex_unlock(&f->bus->lock);
	if (!pci)
		return -ENODEV;
	if (offset >= length)
		return 0;
	n = min_u64(n, length - offset);
	memcpy(buf, text + offset, n);
	return (ssize_t)n;
}

static ssize_t read_some(struct siommu_pci *pci, struct sysfs_file *f, void *buf, size_t n,
			 u64 offset)
{
	u64 bytes = pci->func->desc.conventional ? 256 : PCI_CONFIG_BYTES;
	int rc;

	if (f->attr == ATTR_RESOURCE)
		bytes = pci->func->desc.bars[f->bar].bytes;
	if (offset >= bytes)
		return 0;
	n = min_u64(n, bytes - offset);
	if (f->attr == ATTR_CONFIG) {
		pci_config_read(pci->func, (unsigned int)offset, buf, (unsigned int)n);
		return (ssize_t)n;
	}
	rc = pci_bar_read(pci->func, f->bar, offset, buf, n);
	return rc ? rc : (ssize_t)n;
}

static ssize_t write_some(struct siommu_pci *pci, struct sysfs_file *f, const void *buf, size_t n,
			  u64 offset)
{
	u64 bytes = pci->func->desc.conventional ? 256 : PCI_CONFIG_BYTES;
	int rc;

	if (f->attr == ATTR_RESOURCE)
		bytes = pci->func->desc.bars[f->bar].bytes;
	if (offset >= bytes)
		return -EFBIG;
	n = min_u64(n, bytes - offset);
	if (f->attr == ATTR_CONFIG) {
		pci_config_write(pci->func, (unsigned int)offset, buf, (unsigned int)n);
		return (ssize_t)n;
	}
	rc = pci_bar_write(pci->func, f->bar, offset, buf, n);
	return rc ? rc : (ssize_t)n;
}

/*
 * The descriptors
 */

static ssize_t sysfs_pread(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			   u64 offset)
{
	struct sysfs_file *f = to_sysfs(file);
	u8 buf[PCI_CONFIG_BYTES];
	struct siommu_pci *pci;
	ssize_t got = -ENODEV;

	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	n = min_u64(n, sizeof(buf));
	pci = is_binary(f) ? hold(f) : NULL;
	if (pci) {
		got = read_some(pci, f, buf, n, offset);
		let_go(pci);
	} else if (!is_binary(f)) {
		got = read_text(f, buf, n, offset);
	}
	if (got > 0 && task_copy_out(task, ubuf, buf, (size_t)got))
		return -EFAULT;
	return got;
}

static ssize_t write_bytes(struct sysfs_file *f, struct siommu_task *task, u64 ubuf, size_t n,
			   u64 offset)
{
	u8 buf[PCI_CONFIG_BYTES];
	struct siommu_pci *pci;
	ssize_t put = -ENODEV;

	n = min_u64(n, sizeof(buf));
	if (task_copy_in(task, buf, ubuf, n))
		return -EFAULT;
	pci = hold(f);
	if (pci) {
		put = write_some(pci, f, buf, n, offset);
		let_go(pci);
	}
	return put;
}

static ssize_t write_text(struct sysfs_file *f, struct siommu_task *task, u64 ubuf, size_t n)
{
	char text[TEXT_BYTES] = "";
	struct siommu_pci *pci;
	int rc = -ENODEV;
	size_t end;

	if (n >= sizeof(text))
		return -EINVAL;
	if (task_copy_in(task, text, ubuf, n))
		return -EFAULT;
	for (end = strlen(text); end && isspace((unsigned char)text[end - 1]); end--)
		text[end - 1] = '\0';
	if (f->attr == ATTR_RESET) {
		rc = write_reset(f, text);
		return rc ? rc : (ssize_t)n;
	}
	pthread_mutex_lock(&f->bus->lock);
	pci = vfio_find_address(f->bus, f->address);
	if (!f->address[0])
		rc = write_driver(f, text);
	else if (pci)
		rc = write_function(pci, f->attr, text);
	pthread_mutex_unlock(&f->bus->lock);
	return rc ? rc : (ssize_t)n;
}

static ssize_t sysfs_pwrite(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			    u64 offset)
{
	struct sysfs_file *f = to_sysfs(file);

	if ((f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (is_binary(f))
		return write_bytes(f, task, ubuf, n, offset);
	return write_text(f, task, ubuf, n);
}

/* What cannot be mapped of a BAR cannot be part of it. */
static int map_bar(struct siommu_pci *pci, unsigned int bar, u64 offset, u64 length,
		   struct mem_mapping *out)
{
	const struct pci_bar *b = &pci->func->desc.bars[bar];
	u64 at, end, last;

	if (b->memfd < 0 || !length || offset % 4096 || offset >= b->bytes ||
	    length > b->bytes - offset)
		return -EINVAL;
	/* Whole pages are mapped. */
	last = min_u64(align_up(offset + length, PAGE_BYTES), b->bytes);
	*out = (struct mem_mapping){ .offset = offset };
	for (at = offset; at < last; at = end) {
		enum pci_area_kind kind = pci_bar_area(pci->func, bar, at, &end);

		if (kind == PCI_AREA_TRAPPED || end <= at)
			return -EINVAL;
		if (kind == PCI_AREA_REGISTERS) {
			out->trap_start = at - offset;
			out->trap_end = min_u64(end, last) - offset;
		}
	}
	out->fd = fcntl(b->memfd, F_DUPFD_CLOEXEC, 0);
	return out->fd < 0 ? -errno : 0;
}

static int sysfs_mmap(struct mem_file *file, u64 length, u64 offset, int prot,
		      struct mem_mapping *out)
{
	struct sysfs_file *f = to_sysfs(file);
	struct siommu_pci *pci;
	int rc = -ENODEV;

	if (f->attr != ATTR_RESOURCE)
		return -ENODEV;
	if (prot & PROT_WRITE && (f->flags & O_ACCMODE) != O_RDWR)
		return -EACCES;
	pthread_mutex_lock(&f->bus->lock);
	pci = vfio_find_address(f->bus, f->address);
	if (pci)
		rc = map_bar(pci, f->bar, offset, length, out);
	pthread_mutex_unlock(&f->bus->lock);
	return rc;
}

static void sysfs_release(struct mem_file *file)
{
	struct sysfs_file *f = to_sysfs(file);
	struct siommu_machine *m = f->bus->machine;

	mem_file_destroy(&f->file);
	base_free(&m->alloc, f, sizeof(*f));
}

static const struct mem_file_ops sysfs_ops = {
	.name = "[sysfs]",
	.polls_out = true,
	.raw_writes = true,
	.pread = sysfs_pread,
	.pwrite = sysfs_pwrite,
	.mmap = sysfs_mmap,
	.release = sysfs_release,
};

/*
 * Paths
 */

struct attribute_name {
	const char *name;
	enum attribute attr;
	bool write_only;
};

static const struct attribute_name driver_names[] = {
	{ "bind", ATTR_BIND, true },
	{ "unbind", ATTR_UNBIND, true },
	{ "new_id", ATTR_NEW_ID, true },
	{ "remove_id", ATTR_REMOVE_ID, true },
	{ NULL, 0, false },
};

static const struct attribute_name function_names[] = {
	{ "reset", ATTR_RESET, true },		 { "enable", ATTR_ENABLE, false },
	{ "sriov_numvfs", ATTR_NUM_VFS, false }, { "driver_override", ATTR_OVERRIDE, false },
	{ "config", ATTR_CONFIG, false },	 { NULL, 0, false },
};

static int look_up(const struct attribute_name *names, const char *name, struct sysfs_file *f)
{
	for (; names->name; names++) {
		if (strcmp(names->name, name))
			continue;
		if (names->write_only && (f->flags & O_ACCMODE) != O_WRONLY)
			return -EACCES;
		f->attr = names->attr;
		return 0;
	}
	return -ENOENT;
}

static int look_up_function(struct siommu_pci *pci, const char *name, struct sysfs_file *f)
{
	memcpy(f->address, pci->address, sizeof(f->address));
	if (!strncmp(name, "resource", 8) && name[8] >= '0' && name[8] < '0' + PCI_BARS &&
	    !name[9]) {
		f->attr = ATTR_RESOURCE;
		f->bar = (unsigned int)(name[8] - '0');
		return pci->func->desc.bars[f->bar].bytes ? 0 : -ENOENT;
	}
	if (!strcmp(name, "sriov_numvfs") && !pci->func->desc.total_vfs)
		return -ENOENT;
	return look_up(function_names, name, f);
}

/* Caller holds bus->lock. */
static int look_up_path(struct vfio_bus *bus, const char *path, struct sysfs_file *f)
{
	static const char driver[] = "/sys/bus/pci/drivers/" DRIVER "/";
	char address[16], name[32], rest;
	struct siommu_pci *pci;

	if (!strncmp(path, driver, sizeof(driver) - 1))
		return look_up(driver_names, path + sizeof(driver) - 1, f);
	if (sscanf(path, "/sys/devices/pci%*[0-9a-f:]/%15[^/]/%31[^/]%c", address, name, &rest) !=
		    2 &&
	    sscanf(path, "/sys/bus/pci/devices/%15[^/]/%31[^/]%c", address, name, &rest) != 2)
		return -ENOENT;
	pci = vfio_find_address(bus, address);
	return pci ? look_up_function(pci, name, f) : -ENOENT;
}

int vfio_sysfs_open(struct siommu_machine *machine, const char *path, int flags,
		    struct mem_file **out)
{
	struct vfio_bus *bus = vfio_bus_of(machine);
	struct sysfs_file *f;
	int rc;

	if (!bus)
		return -ENOENT;
	f = base_zalloc(&machine->alloc, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->bus = bus;
	f->flags = flags;
	pthread_mutex_lock(&bus->lock);
	rc = look_up_path(bus, path, f);
	pthread_mutex_unlock(&bus->lock);
	if (rc) {
		base_free(&machine->alloc, f, sizeof(*f));
		return rc;
	}
	mem_file_init(&f->file, &sysfs_ops);
	*out = &f->file;
	return 0;
}
