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
 * enum siommu_2020 - which rules the IOMMU user API of 2020 is served by
 * @SIOMMU_2020_MERGED: those that were merged: a structure may be larger than the
 *	server's, as long as no flag asks for what the server does not know
 * @SIOMMU_2020_DRAFT: those of the first drafts: a larger structure gives E2BIG
 * @SIOMMU_2020_OFF: it is not: VFIO_TYPE1_NESTING_IOMMU is refused, as since Linux 7.1
 * @SIOMMU_2020_FUTURE: for tests: a version that never was, with a structure that has
 *	grown; the machine has its test_interface on
 */
enum siommu_2020 {
	SIOMMU_2020_MERGED,
	SIOMMU_2020_DRAFT,
	SIOMMU_2020_OFF,
	SIOMMU_2020_FUTURE,
};

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
 * @iommu_2020: how the IOMMU user API of 2020 is served
 * @prq_timeout_ms: of that API: after how many ms without a response a page request is
 *	answered for the user; 0 for 10 s; SIOMMU_PRQ_FOREVER for never
 * @pasid_quota: of that API: how many PASIDs one process may have; 0 for 1000
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
	enum siommu_2020 iommu_2020;
	unsigned int prq_timeout_ms;
	unsigned int pasid_quota;
};

#define SIOMMU_PRQ_FOREVER UINT32_MAX

/**
 * siommu_machine_create() - Make a machine
 * @params: how; NULL for defaults
 * @out: the machine; owned by the caller, who ends it with
 *	siommu_machine_destroy()
 *
 * Context: Any thread. Takes no locks.
 * Return: 0; -EINVAL for a @size that is too small, or @iommu_2020; -ENOMEM.
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

/**
 * struct siommu_unit_params - how to make an IOMMU
 * @size: sizeof(struct siommu_unit_params) of the caller
 * @model: "vtd", "smmuv3" or "amd", or one that was registered (softiommu/model.h)
 * @options: "name=value,...", as for softiommu run --iommu; NULL for defaults
 * @name: for listings; copied; at most 31 bytes; NULL for the model's
 */
struct siommu_unit_params {
	size_t size;
	const char *model;
	const char *options;
	const char *name;
};

/**
 * siommu_unit_create() - Put an IOMMU into a machine
 * @machine: the machine
 * @params: what it is
 * @error: on -EINVAL, one line that says what is wrong with the options; may be NULL
 * @n: room in @error
 * @out: the IOMMU; ended with siommu_unit_destroy()
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP for a model that there is not; -ENOMEM.
 */
SIOMMU_API int siommu_unit_create(struct siommu_machine *machine,
				  const struct siommu_unit_params *params, char *error, size_t n,
				  struct siommu_unit **out);

/**
 * siommu_unit_destroy() - Take an IOMMU out of its machine
 * @unit: the IOMMU, without devices; NULL is fine. Cannot fail
 */
SIOMMU_API void siommu_unit_destroy(struct siommu_unit *unit);

/**
 * siommu_unit_faults() - The latest faults that nobody could answer
 * @unit: the IOMMU
 * @faults: where to, oldest first
 * @n: room; 256 are kept
 * @count: how many there were since the IOMMU was made; may be NULL
 *
 * Context: Any thread.
 * Return: how many were copied.
 */
SIOMMU_API unsigned int siommu_unit_faults(struct siommu_unit *unit, struct siommu_fault *faults,
					   unsigned int n, uint64_t *count);

/**
 * siommu_fault_text() - What a fault's reason means
 * @unit: the IOMMU that the fault is of
 * @reason: struct siommu_fault's
 *
 * Context: Any thread.
 * Return: a few words, such as the specification's name of it; NULL for a number
 * that the model does not use.
 */
SIOMMU_API const char *siommu_fault_text(const struct siommu_unit *unit, uint32_t reason);

/**
 * siommu_model_help() - What IOMMUs there are, for people
 * @out: where to print each model with its options
 */
SIOMMU_API void siommu_model_help(FILE *out);

SIOMMU_END_DECLS

#endif
