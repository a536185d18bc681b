/* SPDX-License-Identifier: MIT */
/*
 * A translation, recorded: what was asked, each structure that was read, and
 * the result. It holds no pointers, so that it can go to another process.
 */
#ifndef SERVER_WALK_H
#define SERVER_WALK_H

#include <stdint.h>

#include <softiommu/dma.h>

/* The most that a walk can read is 5 levels of 5, and what leads there. */
#define WALK_MAX_STEPS 96

/* struct siommu_walk_step, with its words copied. */
struct walk_step {
	char what[24];
	char note[80];
	uint32_t stage;
	uint32_t depth;
	uint32_t level;
	uint32_t leaf;
	uint32_t access;
	uint32_t reserved;
	uint64_t address;
	uint64_t value;
	uint64_t output;
	uint64_t bytes;
};

/**
 * struct walk_trace - one translation
 * @device: name of the device that asks
 * @pasid: its PASID, with @has_pasid
 * @access: enum siommu_dma_access
 * @iova: the address
 * @faulted: it was refused: see @fault and @reason, otherwise @hpa
 * @hpa: what the address became
 * @reason: what the fault's number means; empty if nobody knows
 * @nsteps: how many @steps there are
 * @lost: how many more there were
 */
struct walk_trace {
	char device[32];
	uint32_t has_pasid;
	uint32_t pasid;
	uint32_t access;
	uint32_t faulted;
	uint64_t iova;
	uint64_t hpa;
	struct siommu_fault fault;
	char reason[80];
	uint32_t nsteps;
	uint32_t lost;
	struct walk_step steps[WALK_MAX_STEPS];
};

/*
 * Walk through @port, and record it in @trace; the caller fills in device and
 * PASID. @unit gives the faults their words.
 */
void walk_record(struct siommu_port *port, const struct siommu_unit *unit, uint64_t iova,
		 unsigned int access, struct walk_trace *trace);

#endif
