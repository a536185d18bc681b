/* SPDX-License-Identifier: MIT */
/*
 * The allocation-failure sweep: what a case is, and the world it runs in.
 *
 * A case sets up a state and then makes one call. The call must not depend on
 * anything but the world, so that it can be made again after it has failed.
 */
#ifndef SWEEP_SWEEP_H
#define SWEEP_SWEEP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <softiommu/abi/iommufd-test.h>
#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

#define PAGE (4 * KIB)

/* An IOVA that the mock's tables can map, on its own level-0 table. */
#define IOVA ((uint64_t)MOCK_APERTURE_START)

/* Bytes of memory in a world, and of its file. */
#define WORLD_BYTES (4 * MIB)

/**
 * struct world - a machine and what a case has put into it
 * @machine: with the test interface
 * @ctx: a context in it; NULL until a case that opens one has done so
 * @should_fail: for machines that the call makes
 * @fail_in: the allocation that fails, counting from 1; 0 for none
 * @failed: it has failed
 * @complaints: error messages of the library
 * @mem: memory of the caller, WORLD_BYTES, aligned to that
 * @memfd: a file of as many bytes
 * @null_fd: /dev/null
 * @ioas: an IOAS, and a second one
 * @stdev: test device, as made by MOCK_DOMAIN
 * @idev: its device object
 * @hwpt: a paging HWPT
 * @parent: another one, made as a nest parent
 * @nested: a nested one
 * @fault: a fault queue
 * @fault_fd: its descriptor
 * @viommu: a vIOMMU
 * @vdev: a virtual device of @idev
 * @veventq: a queue of events
 * @veventq_fd: its descriptor
 * @hw_queue: a queue of the vIOMMU
 * @access_fd: an access of the test interface
 * @pages_id: what ACCESS_PAGES gave
 * @dmabuf_fd: a dma-buf
 * @dev: devices of the machine; 0 and 1 share a group, 2 has no IOMMU
 * @bound: those that are bound
 * @bound_id: ids of their objects
 * @unit: an IOMMU with a data path
 * @port: a port of device 0, which is behind it
 * @access: an access of the library's own interface
 * @domain: a domain of the user API of 2020, with devices 0 and 1 or none
 * @pci: functions that devices 0 and 1 are
 * @vfio_fd: descriptors of VFIO, ended before these; -1 for none
 * @out_fd: descriptor that the call under test gave; -1 for none
 * @map: what siommu_mmap() gave
 * @hpas: what pinning gave
 */
struct world {
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	bool (*should_fail)(void *arg);
	unsigned int fail_in;
	bool failed;
	unsigned int complaints;
	char *mem;
	int memfd;
	int null_fd;
	uint32_t ioas[2];
	uint32_t stdev;
	uint32_t idev;
	uint32_t hwpt;
	uint32_t parent;
	uint32_t nested;
	uint32_t fault;
	int fault_fd;
	uint32_t viommu;
	uint32_t vdev;
	uint64_t mmap_offset;
	uint32_t veventq;
	int veventq_fd;
	uint32_t hw_queue;
	int access_fd;
	uint32_t pages_id;
	int dmabuf_fd;
	struct siommu_device *dev[3];
	struct siommu_bound *bound[3];
	uint32_t bound_id[3];
	struct siommu_unit *unit;
	struct siommu_port *port;
	struct siommu_access *access;
	struct siommu_domain *domain;
	struct siommu_pci *pci[2];
	int vfio_fd[8];
	int out_fd;
	void *map;
	uint64_t hpas[16];
};

/**
 * enum sweep_flags - what is special about a case
 * @SWEEP_NO_ALLOC: must not allocate at all: it cannot fail, or must be cheap
 * @SWEEP_SUCCEEDS: succeeds although an allocation failed
 * @SWEEP_CHANGES: changes the state although it failed
 */
enum sweep_flags {
	SWEEP_NO_ALLOC = 1 << 0,
	SWEEP_SUCCEEDS = 1 << 1,
	SWEEP_CHANGES = 1 << 2,
};

/**
 * struct sweep_case - one call in one state
 * @name: for people
 * @setup: make the state
 * @call: the call. Return: its result, negative for an errno
 * @flags: enum sweep_flags, with the reason as a comment in the table
 */
struct sweep_case {
	const char *name;
	void (*setup)(struct world *w);
	int (*call)(struct world *w);
	unsigned int flags;
};

extern const struct sweep_case sweep_ioas_cases[];
extern const struct sweep_case sweep_hwpt_cases[];
extern const struct sweep_case sweep_viommu_cases[];
extern const struct sweep_case sweep_test_cases[];
extern const struct sweep_case sweep_vfio_cases[];
extern const struct sweep_case sweep_api_cases[];
extern const struct sweep_case sweep_dma_cases[];
extern const struct sweep_case sweep_legacy_cases[];
extern const struct sweep_case sweep_pci_cases[];
extern const struct sweep_case sweep_cdev_cases[];
extern const struct sweep_case sweep_uapi2020_cases[];
extern const struct sweep_case sweep_nesting_cases[];

/* Setting up: all of these end the program if they fail. */
void need(struct world *w, int rc, const char *what);
#define NEED(w, expr) need(w, expr, #expr)

/* Nothing but a machine; a machine and a context; the same with an object. */
void world_machine(struct world *w);
void world_ctx(struct world *w);
void world_ioas(struct world *w);

/* World with @n devices attached to IOAS 0, each with a table of its own. */
void world_domain(struct world *w);
void world_two_domains(struct world *w);

/* A paging HWPT with dirty tracking of which one page is mapped. */
void world_dirty(struct world *w);

/* A nest parent and a nested HWPT on it; also a vIOMMU on it. */
void world_parent(struct world *w);
void world_nested(struct world *w);
void world_viommu(struct world *w);
void world_vdev(struct world *w);

/* A fault queue, and a device that is attached so that its faults go there. */
void world_fault(struct world *w);
void world_fault_attached(struct world *w);

/* Devices of the library's interface, and device 0 bound, and attached. */
void world_devices(struct world *w);
void world_bound(struct world *w);
void world_attached(struct world *w);

/* What worlds are made of. */
int ioas_alloc(struct world *w, uint32_t *id);
int map_at(struct world *w, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t offset);
int hwpt_alloc(struct world *w, uint32_t flags, uint32_t pt, uint32_t type, const void *data,
	       uint32_t len, uint32_t *out);
int test_cmd(struct world *w, struct iommu_test_cmd *cmd);
int mock_domain(struct world *w, uint32_t pt, uint32_t flags);
int destroy(struct world *w, uint32_t id);

#endif
