// SPDX-License-Identifier: MIT
/*
 * Migration: what the device is, as bytes.
 *
 * A header, the framework's part, the memory of BAR 2. A command that runs goes along with
 * what has been done of it, and goes on where the state is loaded. Translations stay
 * behind: they are of the other machine's IOMMU.
 */
#include <string.h>

#include "edu.h"

#define MAGIC	0x65647530u
#define VERSION 1u

struct edu_state {
	u32 magic;
	u32 version;
	u64 pci_bytes;
	u64 memory_bytes;
	u32 cancelled;
	u32 reserved;
	struct edu_job job;
	u32 regs[EDU_REG_END / 4];
};

/* The engine may still be at a piece; a driver's call never waits for longer than that. */
void edu_stop(struct pci_func *func)
{
	struct edu *edu = to_edu(func);

	pthread_mutex_lock(&edu->lock);
	edu->stopped = true;
	pthread_cond_broadcast(&edu->wake);
	edu_wait_rest(edu);
	pthread_mutex_unlock(&edu->lock);
}

void edu_run(struct pci_func *func)
{
	struct edu *edu = to_edu(func);

	pthread_mutex_lock(&edu->lock);
	edu->stopped = false;
	edu_update_pin(edu);
	pthread_cond_broadcast(&edu->wake);
	pthread_mutex_unlock(&edu->lock);
}

static size_t state_bytes(const struct edu *edu)
{
	return sizeof(struct edu_state) + pci_state_bytes(&edu->func) + edu->memory_bytes;
}

size_t edu_save(struct pci_func *func, void *buf, size_t room)
{
	struct edu *edu = to_edu(func);
	const size_t pci = pci_state_bytes(func);
	struct edu_state state = {
		.magic = MAGIC,
		.version = VERSION,
		.pci_bytes = pci,
		.memory_bytes = edu->memory_bytes,
	};
	u8 *out = buf;

	if (room < state_bytes(edu))
		return state_bytes(edu);
	pthread_mutex_lock(&edu->lock);
	state.cancelled = edu->cancelled;
	state.job = edu->job;
	memcpy(state.regs, edu->regs, sizeof(state.regs));
	pthread_mutex_unlock(&edu->lock);
	memcpy(out, &state, sizeof(state));
	pci_state_save(func, out + sizeof(state));
	memcpy(out + sizeof(state) + pci, func->desc.bars[EDU_MEM_BAR].memory, edu->memory_bytes);
	return state_bytes(edu);
}

/* Registers say what they say; only those that say what the device is are its own. */
static void load_regs(struct edu *edu, const u32 *regs)
{
	unsigned int i;

	for (i = 0; i < EDU_REG_END / 4; i++)
		edu_set32(edu, i * 4, regs[i]);
	edu_set32(edu, EDU_ID, EDU_ID_VALUE);
	edu_set32(edu, EDU_CAPS, edu->caps);
	edu_set64(edu, EDU_MEMORY, edu->memory_bytes);
	edu_set32(edu, EDU_STATUS, edu_get32(edu, EDU_STATUS) & EDU_STATUS_BUSY);
	edu_ats_forget(edu, EDU_NO_PASID, 0, U64_MAX);
}

int edu_load(struct pci_func *func, const void *buf, size_t n)
{
	struct edu *edu = to_edu(func);
	struct edu_state state;
	const u8 *in = buf;
	int rc;

	if (n != state_bytes(edu))
		return -EINVAL;
	memcpy(&state, in, sizeof(state));
	if (state.magic != MAGIC || state.version != VERSION ||
	    state.pci_bytes != pci_state_bytes(func) || state.memory_bytes != edu->memory_bytes)
		return -EINVAL;
	rc = pci_state_load(func, in + sizeof(state), state.pci_bytes);
	if (rc)
		return rc;
	memcpy(func->desc.bars[EDU_MEM_BAR].memory, in + sizeof(state) + state.pci_bytes,
	       edu->memory_bytes);
	/* What its own job was is of no interest any more. */
	pthread_mutex_lock(&edu->lock);
	edu_cancel(edu);
	edu->job = state.job;
	edu->cancelled = state.cancelled;
	load_regs(edu, state.regs);
	pthread_cond_broadcast(&edu->wake);
	pthread_mutex_unlock(&edu->lock);
	return 0;
}
