/* SPDX-License-Identifier: MIT */
/*
 * DSA: the device, its work queues, its engines. dsa.c makes it, config.c is its
 * registers and commands, engine.c takes descriptors from the queues, ops.c does what
 * they say.
 */
#ifndef DSA_DSA_H
#define DSA_DSA_H

#include "devices/pci.h"
#include "regs.h"

#define DSA_MAX_WQS	16
#define DSA_MAX_ENGINES 8
#define DSA_GROUPS	4
#define DSA_MAX_SIZE	1024 /* of all WQs together */
#define DSA_MAX_VECTORS (1 + DSA_MAX_WQS)
#define DSA_PIECE_BYTES 16384

/* Ports that an engine keeps: one for requests without, and some for those with a PASID. */
#define DSA_PORTS 5

struct dsa;

enum dsa_wq_state {
	WQ_DISABLED,
	WQ_ENABLED,
	WQ_STOPPING, /* takes nothing any more, but has something */
};

/**
 * struct dsa_job - a descriptor that was submitted
 * @desc: it
 * @seq: its number in its WQ
 */
struct dsa_job {
	struct dsa_desc desc;
	u64 seq;
};

/**
 * struct dsa_wq - a work queue
 * @index: its number
 * @cfg: WQCFG, without state
 * @state: enum dsa_wq_state
 * @turns: descriptors that it may have before the others of its group
 * @first: index of its first job in dsa->jobs
 * @size: jobs it has room for
 * @head: the oldest, below @size
 * @n: jobs that wait
 * @seq: number of the last job that was submitted
 * @running: jobs that engines are doing
 * @before: jobs that the command waits for
 * @mark: with numbers up to this
 */
struct dsa_wq {
	unsigned int index;
	u32 cfg[WQ_WORDS];
	enum dsa_wq_state state;
	unsigned int turns;
	unsigned int first;
	unsigned int size;
	unsigned int head;
	unsigned int n;
	u64 seq;
	unsigned int running;
	unsigned int before;
	u64 mark;
};

/* A port of an engine, for one PASID or none. */
struct dsa_port {
	struct siommu_port *port;
	bool has_pasid;
	u32 pasid;
	u64 used;
};

/**
 * struct dsa_engine - an engine
 * @dsa: whose
 * @index: its number
 * @thread: does the work
 * @running: it was started
 * @wake: there may be work
 * @group: the group it is in, or DSA_GROUPS
 * @wq: whose job it does; NULL for none
 * @job: and this job
 * @cancel: it is for nobody any more
 * @ports: its ways to memory, used by its thread alone
 * @uses: counts, to find the port that was used least recently
 * @piece: bytes on their way
 * @other: and what they are compared with
 * @answer_lock: covers what follows
 * @answer: there is one, or the thread is wanted otherwise
 * @answered: there is one
 * @code: IOMMUFD_PAGE_RESP_*
 */
struct dsa_engine {
	struct dsa *dsa;
	unsigned int index;
	pthread_t thread;
	bool running;
	pthread_cond_t wake;
	unsigned int group;
	struct dsa_wq *wq;
	struct dsa_job job;
	_Atomic bool cancel;
	struct dsa_port ports[DSA_PORTS];
	u64 uses;
	u8 *piece;
	u8 *other;
	pthread_mutex_t answer_lock;
	pthread_cond_t answer;
	bool answered;
	u32 code;
};

/**
 * struct dsa - the device
 * @func: the function; first
 * @lock: covers all that follows, and WQs and engines where they say nothing else
 * @idle: an engine has finished a job
 * @ending: threads shall end
 * @held: no engine may begin anything: the function is being reset
 * @bof: block on fault can be had
 * @pasid_bits: width of PASIDs; 0 for none
 * @xfer_lg2: log2 of the most bytes of a transfer
 * @batch_lg2: log2 of the most descriptors of a batch
 * @total_size: of all WQs together
 * @enabled: GENSTS
 * @draining: and this
 * @gencfg: GENCFG
 * @genctrl: GENCTRL
 * @intcause: INTCAUSE
 * @cmd: the command that runs
 * @cmd_wqs: WQs that it is about
 * @cmdsts: CMDSTS
 * @swerror: SWERROR
 * @grpwqs: WQs of each group
 * @grpengines: engines of each group
 * @grpflags: kept
 * @msixperm: PASIDs that may use vectors
 * @next_wq: where each group looks first
 * @nwqs: how many
 * @nengines: how many
 * @jobs: of all WQs
 * @crc: CRCs of bytes
 */
struct dsa {
	struct pci_func func;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	bool ending;
	bool held;
	bool bof;
	unsigned int pasid_bits;
	unsigned int xfer_lg2;
	unsigned int batch_lg2;
	unsigned int total_size;
	bool enabled;
	bool draining;
	u32 gencfg;
	u32 genctrl;
	u32 intcause;
	u32 cmd;
	u32 cmd_wqs;
	u32 cmdsts;
	u64 swerror[4];
	u64 grpwqs[DSA_GROUPS][4];
	u64 grpengines[DSA_GROUPS];
	u64 grpflags[DSA_GROUPS];
	u32 msixperm[DSA_MAX_VECTORS];
	unsigned int next_wq[DSA_GROUPS];
	unsigned int nwqs;
	unsigned int nengines;
	struct dsa_wq wqs[DSA_MAX_WQS];
	struct dsa_engine engines[DSA_MAX_ENGINES];
	struct dsa_job *jobs;
	u32 crc[256];
};

static inline struct dsa *to_dsa(struct pci_func *func)
{
	return container_of(func, struct dsa, func);
}

static inline bool wq_has_pasid(const struct dsa_wq *wq)
{
	return wq->cfg[WQ_MODE] & WQ_PASID_EN;
}

static inline bool wq_is_shared(const struct dsa_wq *wq)
{
	return !(wq->cfg[WQ_MODE] & WQ_DEDICATED);
}

/* What a descriptor of @wq uses: shared ones bring their own. */
static inline u32 wq_pasid(const struct dsa_wq *wq, const struct dsa_desc *desc)
{
	if (!wq_has_pasid(wq))
		return 0;
	return wq_is_shared(wq) ? DSA_PASID(desc->pasid) : WQ_PASID(wq->cfg[WQ_MODE]);
}

/* For any PASID, and none. */
#define DSA_ALL_PASIDS UINT32_MAX

/*
 * config.c: with the lock
 */

/* Registers as after power-on, and shown. */
void dsa_config_clear(struct dsa *dsa);

/* A store to BAR 0. */
void dsa_config_write(struct dsa *dsa, u64 offset, const void *buf, unsigned int n);

/* An engine has finished something: the command may be complete. */
void dsa_command_advance(struct dsa *dsa);

/* A descriptor failed in a way that no completion record can tell. */
struct dsa_swerror {
	u8 status;
	u32 flags;
	u64 address;
	bool write;
	u32 pasid;
	bool batch;
	u16 batch_index;
};

void dsa_swerror(struct dsa *dsa, const struct dsa_wq *wq, const struct dsa_desc *desc,
		 const struct dsa_swerror *error);

/*
 * engine.c
 */

int dsa_engine_start(struct dsa_engine *e) __must_check;

/* End the thread; the lock is not held. */
void dsa_engine_stop(struct dsa_engine *e);

/* A descriptor came through a portal. With the lock. Return: was there room? */
bool dsa_submit(struct dsa *dsa, struct dsa_wq *wq, const struct dsa_desc *desc, bool limited);

/* Forget jobs of a WQ with @pasid, and tell engines not to go on with them. With the lock. */
void dsa_wq_abort(struct dsa *dsa, struct dsa_wq *wq, u32 pasid);

/* Does an engine do something that was aborted? With the lock. */
bool dsa_wq_aborts(const struct dsa *dsa, const struct dsa_wq *wq);
void dsa_engine_cancel(struct dsa_engine *e);

/* DMA for an operation, on an engine's thread, without the lock. */

/**
 * struct dsa_fault - what stopped an operation
 * @status: enum dsa_status; 0 for nothing
 * @write: the access was a write
 * @address: where
 */
struct dsa_fault {
	u8 status;
	bool write;
	u64 address;
};

/**
 * struct dsa_task - a descriptor that is being done
 * @e: by whom
 * @wq: from where
 * @pasid: whose memory it is about
 * @port: its way to memory
 * @bof: it waits for pages
 * @batched: it is in a batch
 * @batch_index: its place there
 * @desc: the descriptor
 * @record: what its completion record will be
 */
struct dsa_task {
	struct dsa_engine *e;
	struct dsa_wq *wq;
	u32 pasid;
	struct dsa_port *port;
	bool bof;
	bool batched;
	unsigned int batch_index;
	const struct dsa_desc *desc;
	struct dsa_record record;
};

/* Move bytes; returns how many, up to the first that faults. */
size_t dsa_read(struct dsa_task *t, u64 address, void *buf, size_t n, struct dsa_fault *fault);
size_t dsa_write(struct dsa_task *t, u64 address, const void *buf, size_t n,
		 struct dsa_fault *fault);

/* Copy what needs no stop in between; returns how many bytes, perhaps none. */
u64 dsa_copy(struct dsa_task *t, u64 src, u64 dst, u64 n);

/*
 * ops.c
 */

/* Check a descriptor, do it, fill in its record. */
void dsa_execute(struct dsa_task *t);
u64 dsa_opcap(void);
void dsa_crc_init(u32 table[256]);

static inline u32 desc_flags(const struct dsa_desc *desc)
{
	return desc->op & 0xffffff;
}

static inline unsigned int desc_opcode(const struct dsa_desc *desc)
{
	return desc->op >> 24;
}

#endif
