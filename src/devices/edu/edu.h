/* SPDX-License-Identifier: MIT */
/*
 * The edu device: what its files share.
 *
 * One thread, the engine, does what commands ask for, a piece at a time (engine.c). All
 * state is under edu->lock, which the engine drops while it moves bytes: calls of a
 * driver never wait for memory, or for an answer to a page request. The engine stops
 * between two pieces if the job was cancelled (a reset, or CONTROL), and rests there
 * while the device is stopped for migration: what has been done of a job is state as well.
 *
 * edu->lock is taken in call-backs of ports, which may come with locks of the
 * library held. So nothing of softiommu/dma.h is called with it.
 */
#ifndef DEVICES_EDU_EDU_H
#define DEVICES_EDU_EDU_H

#include "devices/pci.h"
#include "regs.h"

#define EDU_ATC_ENTRIES 64

/**
 * struct edu_translation - a translation that the device keeps
 * @start: first byte
 * @last: last one; below @start for a free entry
 * @address: what to use in its place
 * @access: what it allows
 * @pasid: whose address; EDU_NO_PASID without
 */
struct edu_translation {
	u64 start;
	u64 last;
	u64 address;
	unsigned int access;
	u32 pasid;
};

#define EDU_NO_PASID UINT32_MAX

/**
 * struct edu_job - a command as it was when it was written, and what is done of it
 * @command: EDU_CMD_* bits and enum edu_op
 * @pasid: EDU_PASID, or EDU_NO_PASID
 * @vector: the message to send at its end
 * @addr: EDU_ADDR, and so on
 * @dest: the same
 * @length: the same
 * @buffer: the same
 * @operand: the same
 * @expected: the same
 * @done: bytes moved; for EDU_GENERATE, writes done
 */
struct edu_job {
	u32 command;
	u32 pasid;
	u32 vector;
	u32 reserved;
	u64 addr;
	u64 dest;
	u64 length;
	u64 buffer;
	u64 operand;
	u64 expected;
	u64 done;
};

/* A port of the engine's, and whom its call-backs are for. */
struct edu_port {
	struct edu *edu;
	struct siommu_port *port;
	u32 pasid;
};

/**
 * struct edu - the device
 * @func: the PCI function
 * @memory_bytes: of BAR 2
 * @caps: EDU_CAPS
 * @vectors: what it was made with, for its virtual functions
 * @thread: the engine
 * @plain: requests without PASID
 * @pasid: requests with the PASID that was used last; no port before
 * @lock: covers what follows
 * @wake: something of what follows has changed
 * @regs: the registers; BAR 0 shows a copy
 * @job: the command that runs, while BUSY
 * @resting: the engine does nothing, and begins nothing while @stopped
 * @cancelled: the job is to end
 * @stopped: nothing is done until edu_run()
 * @silent: the job is to end, and nobody is to hear of it
 * @ending: the engine is to end
 * @atc: translations
 * @atc_generation: how often some were dropped
 * @atc_next: which is replaced next
 * @page_group: number of the group that is waited for
 * @page_waits: it has no answer yet
 * @page_port: whose group it is
 * @page_code: its answer
 */
struct edu {
	struct pci_func func;
	u64 memory_bytes;
	u32 caps;
	unsigned int vectors;
	pthread_t thread;
	struct edu_port plain;
	struct edu_port pasid;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	u32 regs[EDU_REG_END / 4];
	struct edu_job job;
	bool resting;
	bool cancelled;
	bool stopped;
	bool silent;
	bool ending;
	struct edu_translation atc[EDU_ATC_ENTRIES];
	u64 atc_generation;
	unsigned int atc_next;
	u32 page_group;
	bool page_waits;
	const struct edu_port *page_port;
	u32 page_code;
};

static inline struct edu *to_edu(struct pci_func *func)
{
	return container_of(func, struct edu, func);
}

/* regs.c: with edu->lock held, but for edu_write() */
u32 edu_get32(const struct edu *edu, unsigned int offset);
u64 edu_get64(const struct edu *edu, unsigned int offset);
void edu_set32(struct edu *edu, unsigned int offset, u32 value);
void edu_set64(struct edu *edu, unsigned int offset, u64 value);
void edu_clear_regs(struct edu *edu);
void edu_update_pin(struct edu *edu);
void edu_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
	       unsigned int bytes);

/* Can this be done at all? Return: enum edu_result. */
u32 edu_check_job(const struct edu *edu, const struct edu_job *job);

/* engine.c */
int edu_engine_start(struct edu *edu) __must_check;
void edu_engine_end(struct edu *edu);

/* Wait until the engine rests, or a reset has let it go on; with edu->lock held. */
void edu_wait_rest(struct edu *edu);

/*
 * End the job without a trace; with edu->lock held, which it drops meanwhile. When it
 * returns nothing runs, until the lock is dropped again.
 */
void edu_cancel(struct edu *edu);

/*
 * Between pieces of a job, with edu->lock held: rest while the device is stopped. Return:
 * false if the job is to end.
 */
bool edu_go_on(struct edu *edu);

/* Note a fault that @port has had, in the registers. No lock. */
void edu_note_fault(struct edu *edu, const struct siommu_port *port);

/* ats.c: the engine's thread, no lock */
u32 edu_translate(struct edu *edu, struct edu_port *port, u64 iova, unsigned int access,
		  struct edu_translation *out);
u32 edu_ats_move(struct edu *edu, struct edu_port *port, u64 iova, void *buf, size_t n, bool write);
void edu_ats_invalidate(void *arg, u64 iova, u64 length);
void edu_ats_forget(struct edu *edu, u32 pasid, u64 start, u64 last);

/* page.c: the engine's thread, no lock. Return: EDU_OK, EDU_NO_PAGE, EDU_STOPPED. */
u32 edu_request_page(struct edu *edu, struct edu_port *port, u64 iova, unsigned int access);
void edu_page_response(void *arg, u32 group, u32 code);

/* migrate.c */
void edu_stop(struct pci_func *func);
void edu_run(struct pci_func *func);
size_t edu_save(struct pci_func *func, void *buf, size_t room);
int edu_load(struct pci_func *func, const void *buf, size_t n);

#endif
