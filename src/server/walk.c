// SPDX-License-Identifier: MIT
/* Recording a translation. */
#include <stdio.h>

#include <softiommu/machine.h>

#include "server/walk.h"

/* Called in the middle of an access: only copies. */
static void record_step(void *arg, const struct siommu_walk_step *step)
{
	struct walk_trace *trace = arg;
	struct walk_step *to = &trace->steps[trace->nsteps];

	if (trace->nsteps == WALK_MAX_STEPS) {
		trace->lost++;
		return;
	}
	trace->nsteps++;
	snprintf(to->what, sizeof(to->what), "%s", step->what);
	snprintf(to->note, sizeof(to->note), "%s", step->note ? step->note : "");
	to->stage = step->stage;
	to->depth = step->depth;
	to->level = step->level;
	to->leaf = step->leaf;
	to->access = step->access;
	to->address = step->address;
	to->value = step->value;
	to->output = step->output;
	to->bytes = step->bytes;
}

void walk_record(struct siommu_port *port, const struct siommu_unit *unit, uint64_t iova,
		 unsigned int access, struct walk_trace *trace)
{
	const char *reason;

	trace->iova = iova;
	trace->access = access;
	trace->nsteps = 0;
	trace->lost = 0;
	trace->reason[0] = '\0';
	trace->faulted = siommu_dma_walk(port, iova, access, record_step, trace, &trace->hpa) != 0;
	if (!trace->faulted)
		return;
	trace->fault = *siommu_dma_fault(port);
	reason = siommu_fault_text(unit, trace->fault.reason);
	snprintf(trace->reason, sizeof(trace->reason), "%s", reason ? reason : "");
}
