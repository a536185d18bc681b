/* SPDX-License-Identifier: MIT */
/* `softiommu walk` with a machine of its own. */
#ifndef TOOLS_WALK_H
#define TOOLS_WALK_H

#include "server/walk.h"
#include "topology.h"

/* A range that is mapped: --map. */
struct walk_map {
	uint64_t iova;
	uint64_t length;
	bool writable;
};

/**
 * struct walk_request - what to translate, and with what
 * @topology: one IOMMU with one device
 * @nested: below a guest's table
 * @maps: what is mapped, in the guest's table with @nested
 * @nmaps: how many
 * @guess: nobody asked for @maps, they need not be possible
 * @iova: the address
 * @access: enum siommu_dma_access
 */
struct walk_request {
	const struct topology *topology;
	bool nested;
	const struct walk_map *maps;
	size_t nmaps;
	bool guess;
	uint64_t iova;
	unsigned int access;
};

/* Make the machine, and walk. Return: 0, or an exit status after a complaint. */
int walk_in_machine(const struct walk_request *request, struct walk_trace *trace);

/*
 * A guest: memory, with a table of its own for the device's addresses.
 *
 * @ram: its memory, in this process
 * @base: guest physical address of it
 * @size: bytes
 * @next_table: where the next table goes
 * @next_page: where the next page that is mapped goes
 * @arm: the table is in Arm's format, otherwise in x86's
 * @root: guest physical address of the table
 */
struct guest {
	uint8_t *ram;
	uint64_t base;
	uint64_t size;
	uint64_t next_table;
	uint64_t next_page;
	bool arm;
	uint64_t root;
};

/* Make the guest's memory, large enough for @maps. Return: 0, or an exit status. */
int guest_create(struct guest *g, bool arm, const struct walk_map *maps, size_t nmaps);
void guest_destroy(struct guest *g);

/* Map it to pages of the guest, with the largest that fit. Return: 0, or an exit status. */
int guest_map(struct guest *g, const struct walk_map *map);

/* A page of zeroes in the guest, for a table. Return: its address; 0 if there is none left. */
uint64_t guest_table(struct guest *g);

/* Where the guest's memory at @gpa is in this process. */
uint64_t *guest_words(const struct guest *g, uint64_t gpa);

/* Memory aligned for the largest pages, of which none is used yet; NULL if there is none. */
void *walk_memory(uint64_t bytes);

#endif
