/* SPDX-License-Identifier: MIT */
/*
 * A machine: IOMMUs, the devices behind them, and the memory that contexts in
 * it may map. It is what a kernel is to /dev/iommu. A process may have many;
 * they share nothing.
 */
#ifndef SOFTIOMMU_MACHINE_H
#define SOFTIOMMU_MACHINE_H

#include <stdbool.h>
#include <stdio.h>

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/**
 * struct siommu_machine_params - how to make a machine
 * @size: sizeof(struct siommu_machine_params) of the caller
 * @quota: most bytes of library memory that one context may use; 0 for no limit
 * @test_interface: answer IOMMU_TEST_CMD and have the mock IOMMU it needs
 * @log: called with each message, without a newline; NULL for silence
 * @log_arg: passed to @log
 * @log_level: messages with a higher syslog level (LOG_*) are dropped
 * @should_fail: asked before each allocation of the library; true makes that
 *	allocation fail. For tests; NULL otherwise. Called from any thread
 * @should_fail_arg: passed to @should_fail
 *
 * Fields that the caller's @size leaves out read as zero.
 */
struct siommu_machine_params {
	size_t size;
	size_t quota;
	bool test_interface;
	void (*log)(void *arg, int level, const char *line);
	void *log_arg;
	int log_level;
	bool (*should_fail)(void *arg);
	void *should_fail_arg;
};

/**
 * siommu_machine_create() - Make a machine
 * @params: how; NULL for defaults
 * @out: the machine; owned by the caller, who ends it with
 *	siommu_machine_destroy()
 *
 * Context: Any thread. Takes no locks.
 * Return: 0; -EINVAL for a @size that is too small; -ENOMEM.
 */
SIOMMU_API int siommu_machine_create(const struct siommu_machine_params *params,
				     struct siommu_machine **out);

/**
 * siommu_machine_destroy() - End a machine
 * @machine: the machine; NULL is fine
 *
 * All its contexts are closed and its devices destroyed already. Cannot fail.
 */
SIOMMU_API void siommu_machine_destroy(struct siommu_machine *machine);

/**
 * siommu_machine_show() - Print all contexts and their objects as a tree
 * @machine: the machine
 * @out: where to
 *
 * Context: Any thread; takes each context's lock in turn.
 */
SIOMMU_API void siommu_machine_show(struct siommu_machine *machine, FILE *out);

/**
 * siommu_machine_used() - Memory that the library holds for this machine
 * @machine: the machine
 * @bytes: bytes allocated and not yet freed, if not NULL
 * @blocks: allocations not yet freed, if not NULL
 *
 * With every context closed and every device destroyed, both are the same each
 * time: what the machine keeps for itself.
 */
SIOMMU_API void siommu_machine_used(struct siommu_machine *machine, size_t *bytes,
				    size_t *blocks);

SIOMMU_END_DECLS

#endif
