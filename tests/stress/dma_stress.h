/* SPDX-License-Identifier: MIT */
/* What the parts of dma_stress share: its world, its words, and its calls. */
#ifndef STRESS_DMA_STRESS_H
#define STRESS_DMA_STRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <softiommu/softiommu.h>

#define PAGE ((uint64_t)4096)
#define RW   (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

/* What each device has of every page. */
#define PART ((uint64_t)1024)

/* What a word of memory is: its upper 16 bits. */
enum tag {
	VALID = 0x600d,	      /* mapped, or about to be */
	READONLY = 0x4ead,    /* mapped for reading */
	SECRET = 0x5ec4,      /* never mapped */
	POISON = 0xdead,      /* not mapped any more */
	FROM_DEVICE = 0xde71, /* written by a device */
};

static inline uint64_t word(enum tag tag, uint64_t what)
{
	return (uint64_t)tag << 48 | (what & 0xffffffffffff);
}

static inline uint64_t addr(const void *p)
{
	return (uintptr_t)p;
}

struct world {
	const char *model;
	struct siommu_machine *machine;
	struct siommu_unit *unit;
	struct siommu_ctx *ctx;
};

extern struct world world;

/**
 * struct worker - one thread
 * @name: for people
 * @work: one turn of it
 * @number: which of its kind; of a device, its part of each page
 * @needs: NULL, or only if this is set
 * @state: of its random numbers
 * @turns: how many it has done
 * @good: what succeeded
 * @bad: what faulted
 */
struct worker {
	const char *name;
	void (*work)(struct worker *w);
	unsigned int number;
	const bool *needs;
	uint64_t state;
	unsigned long turns;
	unsigned long good;
	unsigned long bad;
	pthread_t thread;
};

struct device {
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	uint32_t id;
};

bool stopping(void);
uint32_t pick(struct worker *w, uint32_t n);
void pause_a_bit(struct worker *w);
void rest(struct worker *w);
void problem(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program if @rc is an error: without this there is nothing to test. */
void must(const char *what, int rc);

void fill(void *memory, enum tag tag, uint64_t bytes);
void *new_memory(uint64_t bytes, enum tag tag);
void check_untouched(const char *what, const void *memory, enum tag tag, uint64_t bytes);
void check_fence(struct worker *w, const char *what, void *memory, uint64_t bytes);
void check_read(struct worker *w, uint64_t iova, const uint64_t *words, uint64_t n);
int touch(struct worker *w, struct siommu_port *port, uint64_t page);

uint32_t new_ioas(void);
int map(uint32_t ioas, unsigned int prot, uint64_t iova, const void *memory, uint64_t bytes);
int map_file(uint32_t ioas, uint64_t iova, int fd, uint64_t start, uint64_t bytes);
int unmap(uint32_t ioas, uint64_t iova, uint64_t bytes);
int destroy(uint32_t id);
int new_hwpt(uint32_t dev, uint32_t pt, unsigned int flags, uint32_t type, const void *data,
	     uint32_t len, uint32_t *id);

/* Can do all that the model lets it. @port: how its port is; NULL for plain. */
void new_device(struct device *d, const char *name, uint32_t requester,
		const struct siommu_port_params *port);

/* The same, and if @stall its requests may wait until they are answered (SMMUv3). */
void new_waiting_device(struct device *d, const char *name, uint32_t requester,
			const struct siommu_port_params *port, bool stall);
void bind_device(struct device *d);
void attach(struct device *d, uint32_t pt);
void replace(struct device *d, uint32_t pt);
void end_device(struct device *d);

/* A page that may be mapped through map_table(), or not. */
uint64_t window_page(struct worker *w);
uint32_t map_table(void);

/* dma_stress_guest.c; false if the model has no invalidation. */
bool guest_begin(void);
void guest_end(void);
void guest_dma_turn(struct worker *w);
void guest_turn(struct worker *w);

/* dma_stress_hold.c */
void pin_begin(void);
void pin_end(void);
void pin_turn(struct worker *w);
void ats_begin(void);
void ats_end(void);
void ats_turn(struct worker *w);
void ask_begin(void);
void ask_end(void);
void ask_turn(struct worker *w);
void answer_turn(struct worker *w);

#endif
