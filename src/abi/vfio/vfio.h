/* SPDX-License-Identifier: MIT */
/*
 * VFIO: what the files of this folder share.
 *
 * A machine has a bus (bus.c): all PCI functions, the groups they form, and how often
 * something changed. A function is opened through its cdev (device.c), or by its group
 * once that is in a container (group.c, container.c); it is open once at a time, unless by
 * several openings of its cdev of which one is bound. Then it is bound to a context, and
 * what is done with it is the same: regions, interrupts, features, resets.
 *
 * Locks, outermost first:
 *   group->lock		what its functions are opened with: a container or a context
 *   open->irq_lock	requests that change what is set up: interrupts, resets, migration
 *   pci->export_lock	exported BARs, low power
 *   a context's lock	for binding and attaching, and to take exported BARs away
 *   bus->lock		which functions and groups there are, and who has claimed which
 *   open->sink_lock	triggers; a leaf, taken with a function's own lock by whoever
 *			interrupts
 *   signaller->lock	inside of that
 *
 * A program can hold its context's lock for as long as it likes, and a reset waits for
 * DMA to its memory. Everybody needs bus->lock, so it is held for moments: a function, or
 * a group, is claimed under it, and what takes time is done to what was claimed.
 */
#ifndef ABI_VFIO_VFIO_H
#define ABI_VFIO_VFIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <bsd/sys/queue.h>
#include <softiommu/abi/vfio.h>

#include "abi/file.h"
#include "core/device.h"
#include "devices/pci.h"

struct vfio_bus;
struct vfio_container;
struct legacy_dev;
struct vfio_dmabuf;
struct vfio_faults;
struct vfio_group;
struct vfio_open;

/* Offsets in a device's file: the region's index and what is in it. */
#define VFIO_REGION_SHIFT 40
#define VFIO_NUM_REGIONS  VFIO_PCI_NUM_REGIONS
#define VFIO_NUM_IRQS	  VFIO_PCI_NUM_IRQS

/* What devices in nesting containers have besides: fault_region.c. */
#define VFIO_FAULT_REGION_INDEX	   VFIO_NUM_REGIONS
#define VFIO_RESPONSE_REGION_INDEX (VFIO_NUM_REGIONS + 1)
#define VFIO_FAULT_IRQ_INDEX	   VFIO_NUM_IRQS

/**
 * struct siommu_pci - a PCI function on the bus
 * @bus: its bus
 * @link: in bus->functions, by address
 * @dev: its device
 * @func: the model
 * @model: which
 * @address: "DDDD:BB:DD.F"
 * @minor: number of its cdev
 * @group: which it is in
 * @group_link: in group->functions
 * @bound: the opening that drives it; NULL for none
 * @opens: openings, bound or not, and others who need it to stay
 * @resetting: it is reset with nobody bound; who wants to bind waits for bus->settled
 * @vf_token: what openings of virtual functions have to show
 * @vf_users: openings of its virtual functions
 * @physfn: of a virtual function
 * @vf_index: of a virtual function
 * @vf_memory: of a virtual function: memory decoding, which its own register lacks
 * @num_vfs: virtual functions that exist
 * @vfs: them
 * @unbound: its driver was taken away by sysfs
 * @driver_override: what was written to the file of this name
 * @export_lock: covers @dmabufs, and low power of who has it bound
 * @dmabufs: struct vfio_dmabuf, what was exported of its BARs
 */
struct siommu_pci {
	struct vfio_bus *bus;
	TAILQ_ENTRY(siommu_pci) link;
	struct siommu_device *dev;
	struct pci_func *func;
	const struct pci_model *model;
	char address[16];
	unsigned int minor;
	struct vfio_group *group;
	TAILQ_ENTRY(siommu_pci) group_link;
	struct vfio_open *bound;
	unsigned int opens;
	bool resetting;
	u8 vf_token[16];
	unsigned int vf_users;
	struct siommu_pci *physfn;
	unsigned int vf_index;
	_Atomic bool vf_memory;
	_Atomic unsigned int num_vfs;
	struct siommu_pci **vfs;
	bool unbound;
	char driver_override[32];
	pthread_mutex_t export_lock;
	LIST_HEAD(, vfio_dmabuf) dmabufs;
};

/**
 * struct vfio_group - functions that the IOMMU does not tell apart
 * @link: in bus->groups
 * @bus: its bus
 * @number: of /dev/vfio/N
 * @group: the same group where devices are
 * @functions: struct siommu_pci. None goes while the group is opened
 * @opened: its file is open, or functions of it that need the container are
 * @cdev_users: functions bound by their cdevs: the group's file cannot be opened then
 * @lock: covers what follows. Held while functions are opened and attached, for which
 *	a context is waited for
 * @container: what it is in, with a reference on its file; NULL for none. This and
 *	@iommufd change with bus->lock too
 * @container_link: in container->groups
 * @iommufd: a context in place of a container, with a reference; NULL for none
 * @closed: its file is not open, only functions are
 * @users: functions opened through it
 */
struct vfio_group {
	TAILQ_ENTRY(vfio_group) link;
	struct vfio_bus *bus;
	unsigned int number;
	struct siommu_group *group;
	TAILQ_HEAD(, siommu_pci) functions;
	bool opened;
	unsigned int cdev_users;
	pthread_mutex_t lock;
	struct vfio_container *container;
	TAILQ_ENTRY(vfio_group) container_link;
	struct core_ctx *iommufd;
	bool closed;
	unsigned int users;
};

/**
 * struct vfio_signaller - how eventfds are written to
 * @lock: covers what follows
 * @tried: it was set up, if that is possible
 * @ctx: a context for asynchronous requests; 0 for none
 * @fd: what they read: an empty file
 */
struct vfio_signaller {
	pthread_mutex_t lock;
	bool tried;
	unsigned long ctx;
	int fd;
};

/**
 * struct vfio_bus - all PCI functions of a machine
 * @machine: the machine
 * @signaller: for interrupts
 * @lock: covers all of it; nothing that a program can delay is done under it
 * @settled: a function is no longer being reset
 * @functions: struct siommu_pci in order of addresses
 * @groups: struct vfio_group
 * @generation: how often functions came or went
 */
struct vfio_bus {
	struct siommu_machine *machine;
	struct vfio_signaller signaller;
	pthread_mutex_t lock;
	pthread_cond_t settled;
	TAILQ_HEAD(, siommu_pci) functions;
	TAILQ_HEAD(, vfio_group) groups;
	u64 generation;
};


/**
 * struct vfio_open - an opening of a device
 * @file: the descriptor
 * @pci: the function
 * @group: opened through this group; NULL for a cdev
 * @granted: it is bound: calls are answered. Never goes back
 * @ctx: the context it is bound to, with a reference; NULL while it is not bound
 * @dev: the device object there
 * @irq_lock: serialises SET_IRQS and resets
 * @irq_index: which of INTx, MSI and MSI-X is set up; VFIO_NUM_IRQS for none. Under
 *	both locks
 * @sink_lock: covers what follows; a leaf, taken by whoever interrupts
 * @triggers: of @irq_index: eventfds of the program's, or -1
 * @ntriggers: how many
 * @intx_level: the pin is asserted
 * @intx_masked: the pin's interrupt waits for UNMASK
 * @intx_disabled: the command register says that there is none
 * @unmask: what waits for the eventfd that unmasks; NULL for none. Under @irq_lock
 * @err: trigger of VFIO_PCI_ERR_IRQ_INDEX
 * @req: trigger of VFIO_PCI_REQ_IRQ_INDEX
 * @fault: trigger of VFIO_FAULT_IRQ_INDEX
 * @low_power: LOW_POWER_ENTRY was asked for; changes under pci->export_lock
 * @wakeup: eventfd for the end of that; -1 for none
 * @migration: state of migration.c; NULL while unused
 * @faults: state of fault_region.c; NULL unless it is in a nesting container. Fixed from the
 *	first call until the last
 */
struct vfio_open {
	struct mem_file file;
	struct siommu_pci *pci;
	struct vfio_group *group;
	_Atomic bool granted;
	struct core_ctx *ctx;
	struct core_device *dev;
	pthread_mutex_t irq_lock;
	unsigned int irq_index;
	pthread_mutex_t sink_lock;
	int *triggers;
	unsigned int ntriggers;
	bool intx_level;
	bool intx_masked;
	bool intx_disabled;
	struct vfio_unmask *unmask;
	int err;
	int req;
	int fault;
	_Atomic bool low_power;
	int wakeup;
	struct vfio_migration *migration;
	struct vfio_faults *faults;
};

/* bus.c */

/* The machine's bus; NULL while it has no functions. */
struct vfio_bus *vfio_bus_of(struct siommu_machine *machine);

/* The same, made if there is none yet; it stays until the machine ends. */
int vfio_bus_get(struct siommu_machine *machine, struct vfio_bus **out) __must_check;

/*
 * Before a driver gets the function: what another has kept a mapping of is not this one's
 * memory. Return: 0; -EMFILE; -ENOMEM.
 */
int vfio_renew_memory(struct siommu_pci *pci) __must_check;

/* Caller holds bus->lock. */
struct siommu_pci *vfio_find_address(struct vfio_bus *bus, const char *address);
struct siommu_pci *vfio_find_minor(struct vfio_bus *bus, unsigned int minor);
struct vfio_group *vfio_find_group(struct vfio_bus *bus, unsigned int number);

/*
 * Have @n virtual functions; caller holds bus->lock. Return: 0; -EBUSY if there are some
 * already and @n is not 0, or one is open; -ERANGE; -ENOENT without SR-IOV; -ENOMEM.
 */
int vfio_set_num_vfs(struct siommu_pci *pf, unsigned int n) __must_check;

/* Have the physical function's registers say how many there are. */
void vfio_show_vfs(struct siommu_pci *pf);

/*
 * Keep a function that nobody has bound from being bound, to reset it; caller holds
 * bus->lock for both. It stays meanwhile.
 */
void vfio_begin_reset(struct siommu_pci *pci);
void vfio_end_reset(struct siommu_pci *pci);

/* device.c */

/* Open the cdev. Caller holds bus->lock. */
int vfio_cdev_open(struct siommu_pci *pci, struct mem_file **out) __must_check;

/*
 * Open through @group, bound to @ctx and attached to @pt_id of it, if that is not 0. Caller
 * holds group->lock, and has seen to it that the function stays.
 */
int vfio_device_open(struct siommu_pci *pci, struct vfio_group *group, struct core_ctx *ctx,
		     u32 pt_id, struct mem_file **out) __must_check;

/* The opening that a file is, or NULL. */
struct vfio_open *vfio_open_of(struct mem_file *file);

/*
 * Reset the function as VFIO_DEVICE_RESET does: what its driver has written to the
 * configuration space stays, and so do attachments and interrupts. Caller holds
 * open->irq_lock of who has it bound, who stays; or has called vfio_begin_reset().
 */
void vfio_reset(struct siommu_pci *pci);

/* The same, by a write to the configuration space that resets it; it stays as written. */
void vfio_reset_by(struct siommu_pci *pci, unsigned int offset, const u8 *buf, unsigned int n);

/* region.c */
ssize_t vfio_region_read(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			 u64 offset);
ssize_t vfio_region_write(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			  u64 offset);
int vfio_region_mmap(struct vfio_open *open, u64 length, u64 offset, int prot,
		     struct mem_mapping *out);
long vfio_region_info(struct vfio_open *open, struct siommu_task *task, u64 arg);

/* config.c */
unsigned int vfio_config_bytes(const struct siommu_pci *pci);
void vfio_config_read(struct siommu_pci *pci, unsigned int offset, void *buf, unsigned int n);
void vfio_config_write(struct vfio_open *open, unsigned int offset, const void *buf,
		       unsigned int n);

/* Do accesses to BARs reach it, by its command register? */
bool vfio_memory_enabled(struct siommu_pci *pci);

/* irq.c */
void vfio_irq_init(struct vfio_open *open);
long vfio_irq_info(struct vfio_open *open, struct siommu_task *task, u64 arg);
long vfio_set_irqs(struct vfio_open *open, struct siommu_task *task, u64 arg);

/* The command register's bit for the pin was changed. */
void vfio_irq_intx_disable(struct vfio_open *open, bool disable);

/* The function was reset: set it up as it was. Caller holds open->irq_lock. */
void vfio_irq_restore(struct vfio_open *open);

/* A fault is in the ring: tell the program. Takes sink_lock. */
void vfio_irq_fault(struct vfio_open *open);

/* Let go of all triggers. */
void vfio_irq_release(struct vfio_open *open);

/* Take the function's interrupts; before that they go nowhere. */
void vfio_irq_start(struct vfio_open *open);

/*
 * fault_region.c: take the faults of the device, which is @dev in its container's domain, and
 * have regions and an interrupt for them; @dev stays until vfio_faults_stop(). Before the
 * first call to the opening, and after the last. Return: 0; -EBUSY if somebody else takes
 * them; -ENOMEM; -EMFILE.
 */
int vfio_faults_start(struct vfio_open *open, struct legacy_dev *dev) __must_check;

/*
 * Take no more: who waits for a page gets the answer that there is none, so a reset need not
 * wait for the program. Nothing happens without vfio_faults_start().
 */
void vfio_faults_stop(struct vfio_open *open);

/* The calls to its regions; index is one of them. As region.c's for the others. */
bool vfio_faults_has_region(const struct vfio_open *open, u64 index);
ssize_t vfio_faults_read(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			 u64 index, u64 pos);
ssize_t vfio_faults_write(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			  u64 index, u64 pos);
int vfio_faults_mmap(struct vfio_open *open, u64 index, u64 start, u64 length,
		     struct mem_mapping *out);

/* Fill in size, flags and, at @caps, the chain. Return: bytes of that. */
#define VFIO_FAULT_CAPS_BYTES 64
size_t vfio_faults_region_info(const struct vfio_open *open, struct vfio_region_info *info,
			       void *caps);

/* VFIO_DEVICE_GET_IRQ_INFO of its interrupt; @argsz has been checked as for others. */
long vfio_faults_irq_info(struct siommu_task *task, u64 arg, u32 argsz);

/* eventfd.c */
void vfio_signaller_init(struct vfio_signaller *signaller);
void vfio_signaller_destroy(struct vfio_signaller *signaller);

/* Write 1 to an eventfd; never waits. -1 is fine. */
void vfio_signal(struct vfio_bus *bus, int fd);

/* Read an eventfd that poll says is readable; never waits. */
bool vfio_eventfd_consume(int fd);

/* Take the caller's eventfd. Return: a descriptor; -EBADF; -EINVAL for something else. */
int vfio_take_eventfd(struct siommu_task *task, int fd);

/* hot_reset.c */
long vfio_hot_reset_info(struct vfio_open *open, struct siommu_task *task, u64 arg);
long vfio_hot_reset(struct vfio_open *open, struct siommu_task *task, u64 arg);

/* feature.c, migration.c */
long vfio_feature(struct vfio_open *open, struct siommu_task *task, u64 arg);

/*
 * Is this use of a feature allowed: its flags are in @ops, and what follows the header
 * has @min_bytes. Return: 1 to go on; 0 for a probe that is answered; -EINVAL.
 */
int vfio_feature_check(const struct vfio_device_feature *head, u32 ops, size_t min_bytes);

/* The driver let go of it: low power, dma-bufs. */
void vfio_feature_release(struct vfio_open *open);

/* Memory decoding may have gone, or come back: so have exported BARs. */
void vfio_feature_memory(struct siommu_pci *pci);

/* A reset: exported BARs are taken away, until vfio_feature_memory(). */
void vfio_feature_revoke(struct siommu_pci *pci);

/* Something was asked of a device in low power. */
void vfio_feature_wake(struct vfio_open *open);

/*
 * Features of migration and of DMA logging, and VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;
 * @data is the address behind the header. No lock is held. -ENOTTY for others.
 */
long vfio_migration_feature(struct vfio_open *open, struct siommu_task *task,
			    const struct vfio_device_feature *head, u64 data);
void vfio_migration_release(struct vfio_open *open);

/* dma_log.c: the features of DMA logging, for functions that can migrate. */
long vfio_log_start(struct vfio_open *open, struct siommu_task *task,
		    const struct vfio_device_feature *head, u64 data);
long vfio_log_stop(struct vfio_open *open, const struct vfio_device_feature *head);
long vfio_log_report(struct vfio_open *open, struct siommu_task *task,
		     const struct vfio_device_feature *head, u64 data);

/* A reset has put the device back into its first state. Caller holds open->irq_lock. */
void vfio_migration_reset(struct vfio_open *open);

/* sysfs.c: a file below /sys that is not mere text. */
int vfio_sysfs_open(struct siommu_machine *machine, const char *path, int flags,
		    struct mem_file **out) __must_check;

/* group.c, container.c */

/* Caller holds bus->lock. */
int vfio_group_open(struct vfio_group *group, struct mem_file **out) __must_check;
int vfio_container_open(struct siommu_machine *machine, struct mem_file **out) __must_check;

/* The group that a file is an opening of, or NULL. Good as long as the file. */
struct vfio_group *vfio_group_of(struct mem_file *file);

/* An opening through @group is over. Takes group->lock; the group stays meanwhile. */
void vfio_group_put_device(struct vfio_group *group);

/* show.c: print the functions, for people. Takes bus->lock. */
void vfio_bus_show(struct vfio_bus *bus, FILE *out);

/*
 * token.c: may somebody who shows @token (NULL: shows none) open this function? With
 * bus->lock. Return: 0; -EACCES; -EINVAL.
 */
int vfio_token_check(struct siommu_pci *pci, const u8 *token) __must_check;

/* Set by who has it open. With bus->lock. Return: 0; -ENOTTY if it has no token. */
int vfio_token_set(struct siommu_pci *pci, const u8 token[16]) __must_check;

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", whatever follows it. Return: 0 or -EINVAL. */
#define VFIO_TOKEN_TEXT 36
int vfio_token_parse(const char *text, u8 token[16]) __must_check;

#endif
