// SPDX-License-Identifier: MIT
/*
 * The directory tree that programs see in place of the kernel's: sysfs as far as PCI
 * functions, their groups and IOMMUs are concerned, and /dev/vfio.
 *
 * It consists of real directories, links and files beside the server's socket, so that
 * all that a program does to look around works without our doing. The preload library
 * leads the paths there. Most files are plain text. A file that stands for more carries
 * a mark (server/proto.h): a device node, or an attribute that the server serves.
 *
 * The tree is brought up to date when functions come, go or change, before the call that
 * did it returns. Files are rewritten in place, so that a program's working directory
 * and descriptors stay good.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "abi/file.h"
#include "srv.h"

/* Tells our trees from anything else of that name. */
#define TREE_SIGN ".softiommu"

#define TREE_PATH 384

/* Where BARs are said to be. */
#define FIRST_ADDRESS	 UINT64_C(0xc0000000)
#define FIRST_ADDRESS_64 UINT64_C(0x4000000000)
#define BAR_IS_64	 0x00100000

#define PCI_LINES 7

/**
 * struct tree_function - a function as the tree shows it
 * @info: it
 * @bars: where its BARs are said to be
 * @seen: it is still there
 */
struct tree_function {
	LIST_ENTRY(tree_function) link;
	struct abi_pci_info info;
	u64 bars[ARRAY_SIZE(((struct abi_pci_info *)0)->bar_bytes)];
	bool seen;
};

/**
 * struct srv_tree - the tree
 * @srv: whose
 * @path: its root
 * @root: the same, opened
 * @lock: covers all of it
 * @generation: of the functions, when it was brought up to date
 * @functions: what is shown
 * @next: addresses for the next BARs of 32 and of 64 bits
 * @error: the first that making something has had
 */
struct srv_tree {
	struct srv *srv;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(DOOR_TREE_SUFFIX)];
	int root;
	pthread_mutex_t lock;
	_Atomic u64 generation;
	LIST_HEAD(, tree_function) functions;
	u64 next[2];
	int error;
};

static void note(struct srv_tree *t)
{
	if (!t->error)
		t->error = -errno;
}

/*
 * What the tree is made of
 */

static void put_directory(struct srv_tree *t, const char *path)
{
	char part[TREE_PATH];
	const char *end = path;

	while (*end) {
		end = strchrnul(end + 1, '/');
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		/* Whatever the umask is, others may look: what they may do is the server's to say.
		 */
		if (mkdirat(t->root, part, 0700) ? errno != EEXIST
						 : fchmodat(t->root, part, 0755, 0))
			note(t);
	}
}

static int put_file(struct srv_tree *t, const char *path, mode_t mode, const char *text)
{
	size_t n = strlen(text);
	int fd;

	fd = openat(t->root, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* Not empty at any time, for who reads it now. */
	if (fd < 0 || fchmod(fd, mode) || pwrite(fd, text, n, 0) != (ssize_t)n ||
	    ftruncate(fd, (off_t)n))
		note(t);
	return fd;
}

static __attribute__((format(printf, 3, 4))) void put_text(struct srv_tree *t, const char *path,
							   const char *format, ...)
{
	char text[2048];
	va_list ap;
	int fd;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fd = put_file(t, path, 0444, text);
	if (fd >= 0)
		close(fd);
}

/* A file with a mark: see server/proto.h. */
static void put_marked(struct srv_tree *t, const char *path, mode_t mode, unsigned int kind,
		       u32 number, const char *text, u64 bytes)
{
	struct timespec mark[2] = { { .tv_nsec = UTIME_OMIT },
				    { .tv_sec = number, .tv_nsec = DOOR_MARK + kind } };
	int fd = put_file(t, path, mode | S_ISVTX, text);

	if (fd < 0)
		return;
	if ((bytes && ftruncate(fd, (off_t)bytes)) || futimens(fd, mark))
		note(t);
	close(fd);
}

/* Nobody else may write: whoever may can change the times, and so the mark. */
static void put_node(struct srv_tree *t, const char *path, u32 major, u32 minor)
{
	put_marked(t, path, 0644, DOOR_MARK_NODE, major << DOOR_MARK_MAJOR | minor, "", 0);
}

static void put_link(struct srv_tree *t, const char *path, const char *target)
{
	char was[TREE_PATH];
	ssize_t n;

	n = readlinkat(t->root, path, was, sizeof(was));
	if (n == (ssize_t)strlen(target) && !memcmp(was, target, (size_t)n))
		return;
	(void)unlinkat(t->root, path, 0);
	if (symlinkat(target, t->root, path))
		note(t);
}

static void drop(struct srv_tree *t, const char *path)
{
	if (unlinkat(t->root, path, 0) && errno != ENOENT)
		note(t);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_all(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void drop_directory(struct srv_tree *t, const char *path)
{
	char full[sizeof(t->path) + TREE_PATH];

	snprintf(full, sizeof(full), "%s/%s", t->path, path);
	if (remove_all(full) && errno != ENOENT)
		note(t);
}

/* Format a path into @buf, for one use. */
static __attribute__((format(printf, 2, 3))) const char *path_of(char *buf, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(buf, TREE_PATH, format, ap);
	va_end(ap);
	return buf;
}

/*
 * What is there for all functions
 */

static void put_module(struct srv_tree *t, const char *name, const char *parameter,
		       const char *value)
{
	char path[TREE_PATH];

	put_directory(t, path_of(path, "sys/module/%s/parameters", name));
	put_text(t, path_of(path, "sys/module/%s/parameters/%s", name, parameter), "%s\n", value);
}

static void put_base(struct srv_tree *t)
{
	static const char *const directories[] = {
		"sys/bus/pci/devices", "sys/bus/pci/slots",	    "sys/bus/pci/drivers/vfio-pci",
		"sys/class/vfio",      "sys/class/vfio-dev",	    "sys/class/iommu",
		"sys/dev/char",	       "sys/kernel/iommu_groups",   "sys/devices/virtual/vfio",
		"dev/vfio/devices",    "sys/devices/virtual/iommu", "dev/char",
	};
	static const char *const attributes[] = { "bind", "unbind", "new_id", "remove_id" };
	char path[TREE_PATH];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(directories); i++)
		put_directory(t, directories[i]);
	for (i = 0; i < ARRAY_SIZE(attributes); i++)
		put_marked(t, path_of(path, "sys/bus/pci/drivers/vfio-pci/%s", attributes[i]), 0200,
			   DOOR_MARK_SERVED, 0, "", 0);
	put_text(t, "sys/bus/pci/drivers_autoprobe", "1\n");
	put_module(t, "vfio", "enable_unsafe_noiommu_mode", "N");
	put_module(t, "vfio_iommu_type1", "dma_entry_limit", "65535");
	put_module(t, "vfio_pci", "enable_sriov", "Y");
	put_link(t, "sys/bus/pci/drivers/vfio-pci/module", "../../../../module/vfio_pci");
	put_node(t, "dev/vfio/vfio", ABI_MISC_MAJOR, ABI_VFIO_MINOR);
}

/*
 * A function
 */

static const char *directory_of(const struct abi_pci_info *i, char *buf)
{
	return path_of(buf, "sys/devices/pci%.7s/%s", i->address, i->address);
}

static void place_bars(struct srv_tree *t, struct tree_function *f)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(f->bars); i++) {
		u64 bytes = f->info.bar_bytes[i];
		u64 *next = &t->next[!!(f->info.bar_flags[i] & BAR_IS_64)];

		if (!bytes)
			continue;
		f->bars[i] = (*next + bytes - 1) / bytes * bytes;
		*next = f->bars[i] + bytes;
	}
}

static void put_resources(struct srv_tree *t, const struct tree_function *f, const char *dir)
{
	const struct abi_pci_info *i = &f->info;
	char path[TREE_PATH], text[1024];
	size_t n = 0;
	unsigned int bar;

	for (bar = 0; bar < PCI_LINES; bar++) {
		bool there = bar < ARRAY_SIZE(f->bars) && i->bar_bytes[bar];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "0x%016lx 0x%016lx 0x%016lx\n",
				      there ? f->bars[bar] : 0,
				      there ? f->bars[bar] + i->bar_bytes[bar] - 1 : 0,
				      there ? (u64)i->bar_flags[bar] : 0);
		if (there)
			put_marked(t, path_of(path, "%s/resource%u", dir, bar), 0600,
				   DOOR_MARK_SERVED, 0, "", i->bar_bytes[bar]);
	}
	put_text(t, path_of(path, "%s/resource", dir), "%s", text);
}

static void put_ids(struct srv_tree *t, const struct abi_pci_info *i, const char *dir)
{
	char path[TREE_PATH];

	put_text(t, path_of(path, "%s/vendor", dir), "0x%04x\n", i->vendor);
	put_text(t, path_of(path, "%s/device", dir), "0x%04x\n", i->device);
	put_text(t, path_of(path, "%s/subsystem_vendor", dir), "0x%04x\n", i->subvendor);
	put_text(t, path_of(path, "%s/subsystem_device", dir), "0x%04x\n", i->subdevice);
	put_text(t, path_of(path, "%s/class", dir), "0x%06x\n", i->class);
	put_text(t, path_of(path, "%s/revision", dir), "0x%02x\n", i->revision);
	put_text(t, path_of(path, "%s/irq", dir), "0\n");
	put_text(t, path_of(path, "%s/numa_node", dir), "-1\n");
	put_text(t, path_of(path, "%s/local_cpulist", dir), "0-%ld\n",
		 sysconf(_SC_NPROCESSORS_CONF) - 1);
	put_text(t, path_of(path, "%s/dma_mask_bits", dir), "64\n");
	put_text(t, path_of(path, "%s/power_state", dir), "D0\n");
	put_text(t, path_of(path, "%s/reset_method", dir), "flr\n");
	put_text(t, path_of(path, "%s/modalias", dir),
		 "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", i->vendor, i->device,
		 i->subvendor, i->subdevice, i->class >> 16, i->class >> 8 & 0xff, i->class & 0xff);
}

static void put_links(struct srv_tree *t, const struct abi_pci_info *i, const char *dir)
{
	char path[TREE_PATH], target[TREE_PATH];

	put_link(t, path_of(path, "%s/subsystem", dir), "../../../bus/pci");
	put_link(t, path_of(path, "%s/iommu_group", dir),
		 path_of(target, "../../../kernel/iommu_groups/%u", i->group));
	put_link(t, path_of(path, "%s/iommu", dir),
		 path_of(target, "../../virtual/iommu/%s", i->unit));
	if (i->physfn[0])
		put_link(t, path_of(path, "%s/physfn", dir),
			 path_of(target, "../../pci%.7s/%s", i->physfn, i->physfn));
	put_link(t, path_of(path, "sys/bus/pci/devices/%s", i->address),
		 path_of(target, "../../../devices/pci%.7s/%s", i->address, i->address));
	put_directory(t, path_of(path, "sys/kernel/iommu_groups/%u/devices", i->group));
	put_link(t, path_of(path, "sys/kernel/iommu_groups/%u/devices/%s", i->group, i->address),
		 path_of(target, "../../../../devices/pci%.7s/%s", i->address, i->address));
	put_text(t, path_of(path, "sys/kernel/iommu_groups/%u/type", i->group), "DMA\n");
	put_text(t, path_of(path, "sys/kernel/iommu_groups/%u/reserved_regions", i->group), "%s",
		 i->reserved);
	put_directory(t, path_of(path, "sys/devices/virtual/iommu/%s/devices", i->unit));
	put_link(t, path_of(path, "sys/devices/virtual/iommu/%s/devices/%s", i->unit, i->address),
		 path_of(target, "../../../../pci%.7s/%s", i->address, i->address));
	put_link(t, path_of(path, "sys/class/iommu/%s", i->unit),
		 path_of(target, "../../devices/virtual/iommu/%s", i->unit));
}

static void put_sriov(struct srv_tree *t, const struct abi_pci_info *i, const char *dir)
{
	char path[TREE_PATH];

	if (!i->total_vfs)
		return;
	put_text(t, path_of(path, "%s/sriov_totalvfs", dir), "%u\n", i->total_vfs);
	put_text(t, path_of(path, "%s/sriov_offset", dir), "%u\n", i->vf_offset);
	put_text(t, path_of(path, "%s/sriov_stride", dir), "%u\n", i->vf_stride);
	put_text(t, path_of(path, "%s/sriov_vf_device", dir), "%x\n", i->vf_device);
	put_text(t, path_of(path, "%s/sriov_drivers_autoprobe", dir), "1\n");
}

/* The cdev, and what else is there while the driver is bound. */
static void put_bound(struct srv_tree *t, const struct abi_pci_info *i, const char *dir)
{
	char path[TREE_PATH], target[TREE_PATH], cdev[TREE_PATH];
	const unsigned int n = i->minor;

	put_link(t, path_of(path, "%s/driver", dir), "../../../bus/pci/drivers/vfio-pci");
	put_link(t, path_of(path, "sys/bus/pci/drivers/vfio-pci/%s", i->address),
		 path_of(target, "../../../../devices/pci%.7s/%s", i->address, i->address));
	path_of(cdev, "%s/vfio-dev/vfio%u", dir, n);
	put_directory(t, cdev);
	put_text(t, path_of(path, "%s/dev", cdev), "%u:%u\n", ABI_VFIO_CDEV_MAJOR, n);
	put_text(t, path_of(path, "%s/uevent", cdev),
		 "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/devices/vfio%u\n", ABI_VFIO_CDEV_MAJOR, n, n);
	put_link(t, path_of(path, "%s/device", cdev), path_of(target, "../../../%s", i->address));
	put_link(t, path_of(path, "%s/subsystem", cdev), "../../../../../class/vfio-dev");
	path_of(target, "../../devices/pci%.7s/%s/vfio-dev/vfio%u", i->address, i->address, n);
	put_link(t, path_of(path, "sys/class/vfio-dev/vfio%u", n), target);
	put_link(t, path_of(path, "sys/dev/char/%u:%u", ABI_VFIO_CDEV_MAJOR, n), target);
	put_node(t, path_of(path, "dev/vfio/devices/vfio%u", n), ABI_VFIO_CDEV_MAJOR, n);
	put_link(t, path_of(path, "dev/char/%u:%u", ABI_VFIO_CDEV_MAJOR, n),
		 path_of(target, "../vfio/devices/vfio%u", n));
}

static void drop_bound(struct srv_tree *t, const struct abi_pci_info *i, const char *dir)
{
	char path[TREE_PATH];

	drop(t, path_of(path, "dev/vfio/devices/vfio%u", i->minor));
	drop(t, path_of(path, "dev/char/%u:%u", ABI_VFIO_CDEV_MAJOR, i->minor));
	drop(t, path_of(path, "sys/dev/char/%u:%u", ABI_VFIO_CDEV_MAJOR, i->minor));
	drop(t, path_of(path, "sys/class/vfio-dev/vfio%u", i->minor));
	drop(t, path_of(path, "sys/bus/pci/drivers/vfio-pci/%s", i->address));
	drop(t, path_of(path, "%s/driver", dir));
	drop_directory(t, path_of(path, "%s/vfio-dev", dir));
}

/* What can change about a function that stays: @was is NULL for a new one. */
static void put_state(struct srv_tree *t, const struct abi_pci_info *i,
		      const struct abi_pci_info *was, const char *dir)
{
	const unsigned int had = was ? was->num_vfs : 0;
	char path[TREE_PATH], text[64];
	unsigned int v;

	if (!i->unbound)
		put_bound(t, i, dir);
	else if (was && !was->unbound)
		drop_bound(t, was, dir);
	snprintf(text, sizeof(text), "%s\n", i->driver_override[0] ? i->driver_override : "(null)");
	put_marked(t, path_of(path, "%s/driver_override", dir), 0644, DOOR_MARK_TEXT, 0, text, 0);
	put_text(t, path_of(path, "%s/uevent", dir),
		 "%sPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n"
		 "MODALIAS=pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n",
		 i->unbound ? "" : "DRIVER=vfio-pci\n", i->class, i->vendor, i->device,
		 i->subvendor, i->subdevice, i->address, i->vendor, i->device, i->subvendor,
		 i->subdevice, i->class >> 16, i->class >> 8 & 0xff, i->class & 0xff);
	if (!i->total_vfs)
		return;
	snprintf(text, sizeof(text), "%u\n", i->num_vfs);
	put_marked(t, path_of(path, "%s/sriov_numvfs", dir), 0644, DOOR_MARK_TEXT, 0, text, 0);
	for (v = i->num_vfs; v < had; v++)
		drop(t, path_of(path, "%s/virtfn%u", dir, v));
}

static void put_function(struct srv_tree *t, struct tree_function *f)
{
	const struct abi_pci_info *i = &f->info;
	char path[TREE_PATH], dir[TREE_PATH];

	place_bars(t, f);
	directory_of(i, dir);
	put_directory(t, dir);
	put_ids(t, i, dir);
	put_resources(t, f, dir);
	put_links(t, i, dir);
	put_sriov(t, i, dir);
	put_marked(t, path_of(path, "%s/config", dir), 0644, DOOR_MARK_SERVED, 0, "",
		   i->config_bytes);
	put_marked(t, path_of(path, "%s/enable", dir), 0644, DOOR_MARK_SERVED, 0, "", 0);
	put_marked(t, path_of(path, "%s/reset", dir), 0200, DOOR_MARK_SERVED, 0, "", 0);
	put_state(t, i, NULL, dir);
}

static void drop_function(struct srv_tree *t, struct tree_function *f)
{
	const struct abi_pci_info *i = &f->info;
	char path[TREE_PATH], dir[TREE_PATH];

	directory_of(i, dir);
	if (!i->unbound)
		drop_bound(t, i, dir);
	drop(t, path_of(path, "sys/bus/pci/devices/%s", i->address));
	drop(t, path_of(path, "sys/kernel/iommu_groups/%u/devices/%s", i->group, i->address));
	drop(t, path_of(path, "sys/devices/virtual/iommu/%s/devices/%s", i->unit, i->address));
	drop_directory(t, dir);
	LIST_REMOVE(f, link);
	base_free(&t->srv->alloc, f, sizeof(*f));
}

/*
 * Groups: there while they have functions; their node while one has its driver
 */

static void put_group_node(struct srv_tree *t, unsigned int n)
{
	char path[TREE_PATH], target[TREE_PATH];

	put_node(t, path_of(path, "dev/vfio/%u", n), ABI_VFIO_GROUP_MAJOR, n);
	put_directory(t, path_of(path, "sys/devices/virtual/vfio/%u", n));
	put_text(t, path_of(path, "sys/devices/virtual/vfio/%u/dev", n), "%u:%u\n",
		 ABI_VFIO_GROUP_MAJOR, n);
	put_text(t, path_of(path, "sys/devices/virtual/vfio/%u/uevent", n),
		 "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/%u\n", ABI_VFIO_GROUP_MAJOR, n, n);
	put_link(t, path_of(path, "sys/class/vfio/%u", n),
		 path_of(target, "../../devices/virtual/vfio/%u", n));
	put_link(t, path_of(path, "dev/char/%u:%u", ABI_VFIO_GROUP_MAJOR, n),
		 path_of(target, "../vfio/%u", n));
	put_link(t, path_of(path, "sys/dev/char/%u:%u", ABI_VFIO_GROUP_MAJOR, n),
		 path_of(target, "../../devices/virtual/vfio/%u", n));
}

static void drop_group_node(struct srv_tree *t, unsigned int n)
{
	char path[TREE_PATH];

	drop(t, path_of(path, "dev/vfio/%u", n));
	drop(t, path_of(path, "dev/char/%u:%u", ABI_VFIO_GROUP_MAJOR, n));
	drop(t, path_of(path, "sys/dev/char/%u:%u", ABI_VFIO_GROUP_MAJOR, n));
	drop(t, path_of(path, "sys/class/vfio/%u", n));
	drop_directory(t, path_of(path, "sys/devices/virtual/vfio/%u", n));
}

static void put_group(struct srv_tree *t, unsigned int n)
{
	bool there = false, bound = false;
	struct tree_function *f;
	char path[TREE_PATH];

	LIST_FOREACH(f, &t->functions, link) {
		if (f->info.group != n)
			continue;
		there = true;
		bound |= !f->info.unbound;
	}
	if (bound)
		put_group_node(t, n);
	else
		drop_group_node(t, n);
	if (!there)
		drop_directory(t, path_of(path, "sys/kernel/iommu_groups/%u", n));
}

/*
 * The whole
 */

static struct tree_function *find(struct srv_tree *t, const char *address)
{
	struct tree_function *f;

	LIST_FOREACH(f, &t->functions, link)
		if (!strcmp(f->info.address, address))
			return f;
	return NULL;
}

/* Another function with this address, or the same one? */
static bool is_other(const struct abi_pci_info *a, const struct abi_pci_info *b)
{
	return a->vendor != b->vendor || a->device != b->device || a->minor != b->minor ||
	       a->group != b->group || a->unit != b->unit;
}

static void show(struct srv_tree *t, const struct abi_pci_info *info)
{
	struct tree_function *f = find(t, info->address);
	struct abi_pci_info was;
	char dir[TREE_PATH];

	if (f && is_other(&f->info, info)) {
		drop_function(t, f);
		f = NULL;
	}
	if (!f) {
		f = base_zalloc(&t->srv->alloc, sizeof(*f));
		if (!f) {
			t->error = -ENOMEM;
			return;
		}
		f->info = *info;
		LIST_INSERT_HEAD(&t->functions, f, link);
		put_function(t, f);
	} else if (memcmp(&f->info, info, sizeof(*info))) {
		was = f->info;
		f->info = *info;
		put_state(t, info, &was, directory_of(info, dir));
	}
	f->seen = true;
}

/* The link from a physical function to one of its virtual ones, which come in order. */
static void link_vf(struct srv_tree *t, const struct tree_function *vf)
{
	struct tree_function *pf = find(t, vf->info.physfn);
	char path[TREE_PATH], dir[TREE_PATH], target[TREE_PATH];

	if (pf)
		put_link(t,
			 path_of(path, "%s/virtfn%u", directory_of(&pf->info, dir),
				 vf->info.vf_index),
			 path_of(target, "../../pci%.7s/%s", vf->info.address, vf->info.address));
}

/* Caller holds the tree's lock. */
static void bring_up_to_date(struct srv_tree *t)
{
	struct tree_function *f, *next;
	struct abi_pci_info info;
	unsigned int i, groups = 0;

	LIST_FOREACH(f, &t->functions, link)
		f->seen = false;
	for (i = 0; abi_pci_info(t->srv->machine, i, &info); i++)
		show(t, &info);
	for (f = LIST_FIRST(&t->functions); f; f = next) {
		next = LIST_NEXT(f, link);
		groups = (unsigned int)max_u64(groups, f->info.group + 1);
		if (!f->seen)
			drop_function(t, f);
		else if (f->info.physfn[0])
			link_vf(t, f);
	}
	for (i = 0; i < groups; i++)
		put_group(t, i);
}

void tree_update(struct srv *srv)
{
	struct srv_tree *t = srv->tree;
	u64 generation;

	if (!t)
		return;
	generation = abi_pci_generation(srv->machine);
	if (generation == atomic_load(&t->generation))
		return;
	pthread_mutex_lock(&t->lock);
	/* Read again: another thread may have done it. */
	generation = abi_pci_generation(srv->machine);
	if (generation != atomic_load(&t->generation)) {
		t->error = 0;
		bring_up_to_date(t);
		atomic_store(&t->generation, generation);
		if (t->error)
			base_log(&srv->log, LOG_ERR, "server: cannot change %s: %s", t->path,
				 strerror(-t->error));
	}
	pthread_mutex_unlock(&t->lock);
}

int tree_remove(const char *socket_path)
{
	char path[TREE_PATH], sign[TREE_PATH + sizeof(TREE_SIGN)];
	struct stat st;

	snprintf(path, sizeof(path), "%s" DOOR_TREE_SUFFIX, socket_path);
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	snprintf(sign, sizeof(sign), "%s/" TREE_SIGN, path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || access(sign, F_OK))
		return -EEXIST;
	return remove_all(path) ? -errno : 0;
}

static int make_root(struct srv_tree *t)
{
	int fd;

	if (mkdir(t->path, 0700) || chmod(t->path, 0755))
		return -errno;
	t->root = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->root < 0)
		return -errno;
	fd = openat(t->root, TREE_SIGN, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int tree_create(struct srv *srv)
{
	struct abi_pci_info info;
	struct srv_tree *t;
	int ret;

	ret = tree_remove(srv->params->socket_path);
	if (ret || !abi_pci_info(srv->machine, 0, &info))
		return ret;
	t = base_zalloc(&srv->alloc, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->srv = srv;
	t->next[0] = FIRST_ADDRESS;
	t->next[1] = FIRST_ADDRESS_64;
	t->root = -1;
	snprintf(t->path, sizeof(t->path), "%s" DOOR_TREE_SUFFIX, srv->params->socket_path);
	pthread_mutex_init(&t->lock, NULL);
	LIST_INIT(&t->functions);
	srv->tree = t;
	ret = make_root(t);
	if (!ret) {
		put_base(t);
		atomic_store(&t->generation, abi_pci_generation(srv->machine));
		bring_up_to_date(t);
		ret = t->error;
	}
	return ret;
}

void tree_destroy(struct srv *srv)
{
	struct srv_tree *t = srv->tree;
	struct tree_function *f;

	if (!t)
		return;
	if (t->root >= 0) {
		close(t->root);
		(void)remove_all(t->path);
	}
	while ((f = LIST_FIRST(&t->functions))) {
		LIST_REMOVE(f, link);
		base_free(&srv->alloc, f, sizeof(*f));
	}
	pthread_mutex_destroy(&t->lock);
	base_free(&srv->alloc, t, sizeof(*t));
	srv->tree = NULL;
}
