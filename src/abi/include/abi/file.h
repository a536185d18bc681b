/* SPDX-License-Identifier: MIT */
/*
 * Files by path: what open(2) of /dev/iommu, of /dev/vfio/... and of the files of sysfs
 * that are not mere text leads to.
 */
#ifndef ABI_FILE_H
#define ABI_FILE_H

#include "mem/file.h"
#include "mem/task.h"

struct core_ctx;
struct siommu_machine;

/* Numbers of the device nodes, as fstat shows them. */
#define ABI_MISC_MAJOR	     10
#define ABI_IOMMU_MINOR	     125
#define ABI_VFIO_MINOR	     196
#define ABI_VFIO_GROUP_MAJOR 511
#define ABI_VFIO_CDEV_MAJOR  510

/*
 * Open @path. @flags are open(2)'s. Return: 0 and a file with one reference; -ENOENT for
 * a path that is none of ours; -EBUSY; -errno of what it is.
 */
int abi_open(struct siommu_machine *machine, const char *path, int flags,
	     struct mem_file **out) __must_check;

/* A new context as a file; and one that exists, of which the file holds a reference. */
int abi_context_open(struct siommu_machine *machine, struct mem_file **out) __must_check;
int abi_context_file(struct core_ctx *ctx, struct mem_file **out) __must_check;

/* The context that a file is of, or NULL. Good as long as the file. */
struct core_ctx *abi_context_of(struct mem_file *file);

/* What sysfs shows of a PCI function. */
struct abi_pci_info {
	char address[16];
	u16 vendor;
	u16 device;
	u16 subvendor;
	u16 subdevice;
	u32 class;
	u8 revision;
	u64 bar_bytes[6];
	u32 bar_flags[6];
	unsigned int config_bytes;
	unsigned int minor;
	unsigned int group;
	const char *unit;
	unsigned int total_vfs;
	unsigned int num_vfs;
	char physfn[16];
	unsigned int vf_index;
	unsigned int vf_offset;
	unsigned int vf_stride;
	u16 vf_device;
	bool unbound;
	char driver_override[32];
	char reserved[256]; /* text: what iommu_groups/N/reserved_regions shows */
};

/* The functions of a machine in order of their addresses. Return: false behind the last. */
bool abi_pci_info(struct siommu_machine *machine, unsigned int index, struct abi_pci_info *info);

/* Changes whenever functions come or go. */
u64 abi_pci_generation(struct siommu_machine *machine);

#endif
