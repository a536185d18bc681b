// SPDX-License-Identifier: MIT
/*
 * What all formats have in common: limits, and the life of a table.
 *
 * A table that has lost its last entry is unlinked, but a device thread may
 * have read the entry that led to it a moment ago. Until the domain has waited
 * for such walks the table is dead: readable, empty and in no use, because
 * whatever were put there would be found at the wrong address. pt_sync() says
 * that the wait is over. The table becomes a spare one or is freed.
 *
 * Dead and spare tables are chained through their first entry. A table's
 * address has no low bits, so that hardware reads the link as an empty entry,
 * and as the rest of a table that lost its last entry is zero already, clearing
 * the link is all it takes to use it again.
 */
#include "pt_impl.h"

static u64 mask_lg2(unsigned int lg2)
{
	return lg2 >= 64 ? U64_MAX : ((u64)1 << lg2) - 1;
}

/* Bit n for each size of 2^n bytes up to 2^lg2. */
static u64 sizes_up_to(unsigned int lg2)
{
	return mask_lg2(lg2 + 1);
}

/* log2 of the VAs to map, or 0 if the format cannot. */
static unsigned int choose_va(const struct pt_config *config, const struct pt_format *format,
			      unsigned int below)
{
	unsigned int va_lg2 = config->va_bits ? config->va_bits : below + format->top_lg2;

	if (!config->va_bits && va_lg2 > format->va_lg2)
		va_lg2 = format->va_lg2;
	if (va_lg2 < format->granule_lg2 || va_lg2 > format->va_lg2 ||
	    va_lg2 > below + format->top_max_lg2)
		return 0;
	if (format->top_min_lg2 && va_lg2 < below + format->top_min_lg2)
		return 0;
	return va_lg2;
}

int pt_setup(struct pt *pt, struct base_alloc *alloc, const struct pt_config *config,
	     const struct pt_format *format)
{
	unsigned int below, va_lg2, oa_lg2, top_lg2;
	u64 sizes;

	if (config->levels < format->levels_min || config->levels > format->levels ||
	    config->features & ~format->features)
		return -EINVAL;
	below = format->granule_lg2 + (config->levels - 1) * format->index_lg2;
	va_lg2 = choose_va(config, format, below);
	oa_lg2 = config->oa_bits ? config->oa_bits : format->oa_lg2;
	if (!va_lg2 || oa_lg2 < format->granule_lg2 || oa_lg2 > format->oa_lg2)
		return -EINVAL;

	sizes = format->leaf_sizes & sizes_up_to(va_lg2) & sizes_up_to(oa_lg2);
	if (config->pgsize_bitmap & ~sizes)
		return -EINVAL;
	if (config->pgsize_bitmap)
		sizes = config->pgsize_bitmap;
	if (!sizes)
		return -EINVAL;

	/* Never smaller than other tables, nor than hardware takes it to be. */
	top_lg2 = format->top_lg2 > format->index_lg2 ? format->top_lg2 : format->index_lg2;
	if (va_lg2 > below + top_lg2)
		top_lg2 = va_lg2 - below;
	*pt = (struct pt){
		.alloc = alloc,
		.pgsize_bitmap = sizes,
		.va_last = mask_lg2(va_lg2),
		.oa_last = mask_lg2(oa_lg2),
		.top_level = (u8)(config->levels - 1),
		.top_lg2 = (u8)(top_lg2 + 3),
		.table_lg2 = (u8)(format->index_lg2 + 3),
		.features = config->features,
	};
	if (config->features & PT_FEAT_UPPER) {
		pt->va_first = ~pt->va_last;
		pt->va_last = U64_MAX;
	}
	pt->top = base_zalloc_table(alloc, (size_t)1 << pt->top_lg2);
	return pt->top ? 0 : -ENOMEM;
}

static pt_entry *chain_next(pt_entry *table)
{
	return (pt_entry *)(uintptr_t)atomic_load_explicit(&table[0], memory_order_relaxed);
}

static void chain_push(pt_entry **chain, pt_entry *table)
{
	/* Atomic, since a walker may still read the table. */
	atomic_store_explicit(&table[0], (u64)(uintptr_t)*chain, memory_order_relaxed);
	*chain = table;
}

static pt_entry *chain_pop(pt_entry **chain)
{
	pt_entry *table = *chain;

	if (table)
		*chain = chain_next(table);
	return table;
}

pt_entry *pt_table_get(struct pt *pt)
{
	pt_entry *table = chain_pop(&pt->spare);

	if (!table)
		return base_zalloc_table(pt->alloc, (size_t)1 << pt->table_lg2);
	atomic_store_explicit(&table[0], 0, memory_order_relaxed);
	pt->nspare--;
	return table;
}

void pt_table_put(struct pt *pt, pt_entry *table)
{
	chain_push(&pt->dead, table);
}

void pt_sync(struct pt *pt)
{
	pt_entry *table;

	/* As many spare tables as a page that is mapped alone needs. */
	while ((table = chain_pop(&pt->dead))) {
		if (pt->nspare < pt->top_level) {
			chain_push(&pt->spare, table);
			pt->nspare++;
		} else {
			base_free(pt->alloc, table, (size_t)1 << pt->table_lg2);
		}
	}
}

void pt_teardown(struct pt *pt)
{
	pt_entry *table;

	pt_sync(pt);
	while ((table = chain_pop(&pt->spare)))
		base_free(pt->alloc, table, (size_t)1 << pt->table_lg2);
	base_free(pt->alloc, pt->top, (size_t)1 << pt->top_lg2);
	pt->top = NULL;
	pt->nspare = 0;
}
