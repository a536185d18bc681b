// SPDX-License-Identifier: MIT
/* What a walk of x86-64 tables seldom needs, or needs once. */
#include "iommu/iommu.h"
#include "walk.h"

enum x86_fault x86_walk_wrong(const struct x86_walk *w)
{
	const u64 entry = w->entry, missing = x86_needed(w) & ~entry;

	if (missing & X86_PTE_P)
		return X86_NOT_PRESENT;
	if (missing & X86_PTE_US)
		return X86_USER;
	if (missing & X86_PTE_RW)
		return X86_WRITE;
	if (entry & X86_PTE_XD && w->access & SIOMMU_DMA_EXEC && w->flags & X86_WALK_NX)
		return X86_EXEC;
	return X86_RESERVED;
}

/* May a write not go by unseen: it has a dirty bit to set first. */
static bool must_mark(const struct x86_walk *w)
{
	return w->flags & X86_WALK_AD && !(w->entry & X86_PTE_D);
}

/* What the entries allow. */
static u32 allowed(const struct x86_walk *w)
{
	unsigned int user = 0, priv = SIOMMU_DMA_READ;
	bool us = w->all_set & X86_PTE_US;

	if (w->all_set & X86_PTE_RW || !(w->flags & X86_WALK_WP))
		priv |= SIOMMU_DMA_WRITE;
	if (!(w->flags & X86_WALK_NX && w->any_set & X86_PTE_XD))
		priv |= SIOMMU_DMA_EXEC;
	if (us) {
		user = priv;
		if (!(w->all_set & X86_PTE_RW))
			user &= ~(unsigned int)SIOMMU_DMA_WRITE;
		if (w->flags & X86_WALK_SMEP)
			priv &= ~(unsigned int)SIOMMU_DMA_EXEC;
	}
	return dma_perms(user, priv);
}

u32 x86_walk_perms(const struct x86_walk *w)
{
	u32 perms = allowed(w);

	return must_mark(w) ? perms & ~dma_perms(SIOMMU_DMA_WRITE, SIOMMU_DMA_WRITE) : perms;
}

static const char *note(enum x86_fault fault)
{
	switch (fault) {
	case X86_NOT_PRESENT:
		return "not present";
	case X86_USER:
		return "not for users";
	case X86_WRITE:
		return "read-only";
	case X86_EXEC:
		return "not to be executed";
	case X86_RESERVED:
		return "reserved bits are set";
	case X86_UPDATE:
		return "changes all the time";
	case X86_TABLE_WRITE:
		return "cannot be marked accessed: stage 2 does not allow it";
	default:
		return NULL;
	}
}

void x86_walk_step(const struct x86_walk *w, enum x86_fault fault)
{
	const u32 perms = allowed(w);
	struct siommu_walk_step step = {
		.what = w->names[w->level],
		.stage = 1,
		.level = w->level,
		.address = w->address,
		.value = w->entry,
		.note = note(fault),
	};

	if (!fault && x86_is_leaf(w->level, w->entry)) {
		step.leaf = true;
		step.output = w->output;
		step.bytes = (u64)1 << w->lg2;
		step.access = perms & 7 ? perms & 7 : perms >> DMA_PERM_PRIV_SHIFT;
	}
	w->req->step(w->req->step_arg, &step);
}
