/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller: what its files share.
 *
 * A controller has a few workers. Each is a thread with a port of its own, serves the
 * completion queues that are given to it together with all submission queues that lead
 * there, and sleeps while there is nothing to do. What a driver's thread does is to
 * store a value and to wake a worker: it never waits. Worker 0 also has the admin queue
 * and does what follows a write to CC.
 *
 * Locks, outermost first: a worker's gate, its lock (workers in ascending order), the
 * controller's lock, the pin's lock, func->lock. A worker holds its own lock while it
 * works, for a bounded number of commands; whoever wants it to stop takes the gate and
 * then the lock. Queues belong to their worker's lock.
 */
#ifndef NVME_NVME_H
#define NVME_NVME_H

#include <pthread.h>

#include "devices/pci.h"
#include "spec.h"

#define NVME_MAX_IO_QUEUES  511 /* as many doorbells as fit in 4 KiB, with the admin queue's */
#define NVME_MAX_WORKERS    8
#define NVME_MAX_NAMESPACES 8
#define NVME_BOUNCE	    ((size_t)128 << 10)
#define NVME_BURST	    16u /* commands that are fetched together */
#define NVME_ERRORS	    64u /* entries of the error log */
#define NVME_EVENTS	    4u	/* outstanding Asynchronous Event Requests */
#define NVME_MAX_VECTORS    512u

/* BAR 0: registers, doorbells, then tables of MSI-X. */
#define NVME_BAR_BYTES 0x8000
#define NVME_BAR_MSIX  0x2000
#define NVME_BAR_PBA   0x4000
#define NVME_BAR_END   0x5000
#define NVME_BAR_CMB   2

#define NVME_FIRMWARE "1.0"

/* Kelvin. */
#define NVME_TEMPERATURE 313u
#define NVME_WARM	 343u
#define NVME_HOT	 353u

struct nvme_ctrl;

/**
 * struct nvme_disk - where the bytes of a namespace are
 * @memory: there; NULL for a file
 * @fd: or there
 * @bytes: how many
 * @ro: writes are refused
 * @lost: what the file's last failure to make data durable was, until a flush tells it
 */
struct nvme_disk {
	u8 *memory;
	int fd;
	u64 bytes;
	bool ro;
	_Atomic int lost;
};

/**
 * struct nvme_ns - a namespace
 * @disk: its bytes
 * @blocks: its size in logical blocks
 * @id: NGUID, and UUID
 * @error_recovery: the feature
 */
struct nvme_ns {
	struct nvme_disk disk;
	u64 blocks;
	u8 id[16];
	u32 error_recovery;
};

/**
 * struct nvme_cq - a completion queue
 * @worker: index of the worker whose it is, for who rings
 * @pin: it exists and interrupts; for the pin
 * @vector: its vector
 * @tail: where the next entry goes
 * @seen: the driver's head, for the pin
 * @told: it was told to ring, with shadow doorbells, and has not done so yet
 * @silent: it has rung, and has to be told again before the pin goes up for more
 * @wanted: its worker waits for its head to move
 * @base: address
 * @size: entries; 0 if it does not exist
 * @head: the driver's, as far as looked at
 * @bad_head: the last value that was refused, to say so once
 * @armed: the event index that was written last
 * @phase: of the entries that are written now
 * @id: number
 * @nsqs: submission queues that lead here
 * @held: entries that no message was sent for
 * @deadline: when it must be, in ns; 0 for never
 */
struct nvme_cq {
	_Atomic u8 worker;
	_Atomic bool pin;
	_Atomic u16 vector;
	_Atomic u32 tail;
	_Atomic u32 seen;
	_Atomic bool told;
	_Atomic bool silent;
	_Atomic bool wanted;
	u64 base;
	u32 size;
	u32 head;
	u32 bad_head;
	u32 armed;
	bool phase;
	u16 id;
	u32 nsqs;
	u32 held;
	u64 deadline;
};

/**
 * struct nvme_sq - a submission queue
 * @worker: as of its completion queue
 * @base: address
 * @size: entries; 0 if it does not exist
 * @head: the next entry
 * @bad_tail: the last value that was refused
 * @armed: the event index that was written last
 * @id: number
 * @cq: where its completions go
 */
struct nvme_sq {
	_Atomic u8 worker;
	u64 base;
	u32 size;
	u32 head;
	u32 bad_tail;
	u32 armed;
	u16 id;
	struct nvme_cq *cq;
};

/**
 * struct nvme_counts - what a worker has done, for the health log
 * @reads: read commands
 * @writes: write commands
 * @blocks_read: units of 512 bytes
 * @blocks_written: the same
 * @media_errors: the file failed
 */
struct nvme_counts {
	_Atomic u64 reads;
	_Atomic u64 writes;
	_Atomic u64 blocks_read;
	_Atomic u64 blocks_written;
	_Atomic u64 media_errors;
};

/**
 * struct nvme_worker - a thread
 * @ctrl: whose
 * @index: which; 0 has the admin queue
 * @started: @thread is there
 * @thread: it
 * @port: its DMA
 * @gate: held by who wants the worker to stop
 * @lock: held by the worker while it works
 * @stopping: somebody wants @lock
 * @again: one of its queues is silent
 * @asleep: 1 while it waits, a futex
 * @sqs: its queues
 * @nsqs: how many
 * @cqs: and those
 * @ncqs: how many
 * @bounce: NVME_BOUNCE bytes
 * @compare: another
 * @idle_since: when it began to have nothing to do; 0 while busy
 * @nap_ns: how long it slept last while polling
 * @deadline: the first of its queues'; 0 for none
 * @work: how much was done since the last message: bytes, more or less
 * @counts: for the health log
 */
struct nvme_worker {
	struct nvme_ctrl *ctrl;
	unsigned int index;
	bool started;
	pthread_t thread;
	struct siommu_port *port;
	pthread_mutex_t gate;
	pthread_mutex_t lock;
	_Atomic u32 stopping;
	_Atomic bool again;
	_Atomic u32 asleep;
	struct nvme_sq **sqs;
	unsigned int nsqs;
	struct nvme_cq **cqs;
	unsigned int ncqs;
	u8 *bounce;
	u8 *compare;
	u64 idle_since;
	u64 nap_ns;
	u64 deadline;
	u64 work;
	struct nvme_counts counts;
};

/**
 * struct nvme_features - what Set Features sets; ctrl->lock, written by worker 0
 */
struct nvme_features {
	u32 arbitration;
	u32 power;
	u32 over;
	u32 under;
	u32 atomicity;
	u32 events;
	u64 timestamp;
	bool timestamp_set;
	u64 timestamp_at;
	u8 host_behavior[512];
};

/**
 * struct nvme_ctrl - a controller
 * @func: the function; first
 * @queues: I/O queues of each kind that there may be
 * @entries: most entries of a queue
 * @vectors: interrupt vectors
 * @block_lg2: log2 of the bytes of a logical block
 * @mdts: log2 of the most 4 KiB pages that a command moves
 * @poll: doorbells are plain memory
 * @spin_ns: how long a worker looks for more to do before it sleeps
 * @serial: serial number, filled up with spaces
 * @uuid: from the serial number
 * @nns: namespaces
 * @ns: namespaces
 * @nworkers: workers
 * @workers: workers
 * @cmb: bytes of controller memory, in BAR 2
 * @born: when it was made, CLOCK_MONOTONIC ns
 * @lock: covers what follows up to @aer_cid
 * @cc: the register
 * @csts: the register
 * @aqa: the register
 * @asq: the register
 * @acq: the register
 * @cmbmsc: the register
 * @disable: CC.EN has become 0
 * @shutdown: CC.SHN was written
 * @features: of Set Features
 * @errors: the error log, a ring
 * @nerrors: entries that there ever were
 * @event_pending: for each type, a bit for each kind
 * @event_masked: until its log is read
 * @aer_cid: outstanding requests; worker 0's
 * @naer: how many
 * @control: something is to be done for worker 0 about @cc
 * @events_ready: or about events
 * @running: commands are served
 * @cancel: long commands give up
 * @quit: workers end
 * @write_cache: writes need not be on the disk at once
 * @coalescing: the feature
 * @vector_alone: the feature of vectors: a bit for those that are not coalesced
 * @page_lg2: log2 of the host's pages
 * @shadow: shadow doorbells are in use; workers' locks
 * @shadow_base: where
 * @event_base: where the event indexes are
 * @cmb_base: where the host sees @cmb; U64_MAX for nowhere
 * @doorbells: what was written to them, or in @poll mode the memory
 * @own_doorbells: the former
 * @sizes: of queues as doorbells are numbered; 0 for none
 * @sqs: by number
 * @cqs: by number
 * @pin_lock: covers the next two
 * @intms: masked vectors
 * @pin_high: the pin's level
 * @msi_held: messages that were masked
 */
struct nvme_ctrl {
	struct pci_func func;
	unsigned int queues;
	u32 entries;
	unsigned int vectors;
	unsigned int block_lg2;
	unsigned int mdts;
	bool poll;
	u64 spin_ns;
	char serial[20];
	u8 uuid[16];
	unsigned int nns;
	struct nvme_ns ns[NVME_MAX_NAMESPACES];
	unsigned int nworkers;
	struct nvme_worker workers[NVME_MAX_WORKERS];
	u64 cmb;
	u64 born;
	pthread_mutex_t lock;
	u32 cc;
	u32 csts;
	u32 aqa;
	u64 asq;
	u64 acq;
	u64 cmbmsc;
	bool disable;
	bool shutdown;
	struct nvme_features features;
	struct nvme_error_entry errors[NVME_ERRORS];
	u64 nerrors;
	u32 event_pending[NVME_EVENT_TYPES];
	bool event_masked[NVME_EVENT_TYPES];
	u16 aer_cid[NVME_EVENTS];
	unsigned int naer;
	_Atomic bool control;
	_Atomic bool events_ready;
	_Atomic bool running;
	_Atomic bool cancel;
	_Atomic bool quit;
	_Atomic bool write_cache;
	_Atomic u32 coalescing;
	_Atomic u64 vector_alone[NVME_MAX_VECTORS / 64];
	unsigned int page_lg2;
	bool shadow;
	u64 shadow_base;
	u64 event_base;
	_Atomic u64 cmb_base;
	_Atomic u32 *doorbells;
	_Atomic u32 own_doorbells[2 * (NVME_MAX_IO_QUEUES + 1)];
	_Atomic u32 sizes[2 * (NVME_MAX_IO_QUEUES + 1)];
	struct nvme_sq sqs[NVME_MAX_IO_QUEUES + 1];
	struct nvme_cq cqs[NVME_MAX_IO_QUEUES + 1];
	pthread_mutex_t pin_lock;
	u32 intms;
	_Atomic bool pin_high;
	u32 msi_held;
};

/**
 * struct nvme_cmd - a command in work
 * @ctrl: the controller
 * @w: the worker
 * @sq: where it came from
 * @sqe: it
 * @dw0: the first word of its completion
 * @location: of the parameter that is wrong, for the error log
 */
struct nvme_cmd {
	struct nvme_ctrl *ctrl;
	struct nvme_worker *w;
	struct nvme_sq *sq;
	struct nvme_sqe sqe;
	u32 dw0;
	u16 location;
};

static inline struct nvme_ctrl *to_nvme(struct pci_func *func)
{
	return container_of(func, struct nvme_ctrl, func);
}

/* Doorbells are numbered tail, head, tail, head. */
static inline unsigned int nvme_sq_bell(unsigned int qid)
{
	return 2 * qid;
}

static inline unsigned int nvme_cq_bell(unsigned int qid)
{
	return 2 * qid + 1;
}

u64 nvme_now(void);

/* regs.c: what drivers write. */
void nvme_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		unsigned int bytes);
void nvme_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf, unsigned int bytes);
/* Show the registers as they are. Context: ctrl->lock. */
void nvme_publish(struct nvme_ctrl *ctrl);
u64 nvme_cap(const struct nvme_ctrl *ctrl);

/* worker.c */
int nvme_workers_start(struct nvme_ctrl *ctrl, unsigned int n) __must_check;
void nvme_workers_end(struct nvme_ctrl *ctrl);
void nvme_wake(struct nvme_worker *w);
/* Until nvme_resume() @w does nothing. Never two of a controller but in ascending order. */
void nvme_pause(struct nvme_worker *w);
void nvme_resume(struct nvme_worker *w);
struct nvme_worker *nvme_worker_of(struct nvme_ctrl *ctrl, unsigned int cqid);

/* control.c */
/* What has been written to CC is done. Context: worker 0. */
void nvme_control(struct nvme_ctrl *ctrl);
/* As new. Context: a driver's thread. */
void nvme_reset(struct pci_func *func);
/* Stop serving: something that the controller cannot do without has failed. */
void nvme_fatal(struct nvme_ctrl *ctrl);

/* queue.c */
/* Serve some commands of a queue. Return: were there any? */
bool nvme_sq_run(struct nvme_worker *w, struct nvme_sq *sq);
/* Drivers ring from now on. Is there something to do already? */
bool nvme_queues_arm(struct nvme_worker *w);
/* Raise the pin for what silent queues have left. */
void nvme_signal_again(struct nvme_worker *w);
/* Look at the heads of queues whose interrupt is a level. */
void nvme_heads_look(struct nvme_worker *w);
/* Complete: @status as in enum nvme_status. There is room. */
void nvme_complete(struct nvme_worker *w, struct nvme_sq *sq, u16 cid, u32 dw0, u16 status);
/* Interrupt for what was completed, unless that can wait for the sake of coalescing. */
void nvme_signal(struct nvme_worker *w, struct nvme_cq *cq);
/* Room for completions. */
u32 nvme_cq_room(struct nvme_worker *w, struct nvme_cq *cq);
/* Interrupts whose time has come. */
void nvme_signal_late(struct nvme_worker *w);
void nvme_sq_add(struct nvme_ctrl *ctrl, unsigned int id, struct nvme_cq *cq, u64 base, u32 size);
void nvme_cq_add(struct nvme_ctrl *ctrl, unsigned int id, u64 base, u32 size, bool interrupts,
		 u16 vector);
void nvme_sq_remove(struct nvme_ctrl *ctrl, struct nvme_sq *sq);
void nvme_cq_remove(struct nvme_ctrl *ctrl, struct nvme_cq *cq);

/* irq.c: from any thread. */
void nvme_interrupt(struct nvme_ctrl *ctrl, enum pci_irq_mode mode, unsigned int vector);
void nvme_pin_update(struct nvme_ctrl *ctrl);
void nvme_mask(struct nvme_ctrl *ctrl, u32 set, u32 clear);
void nvme_irq_reset(struct nvme_ctrl *ctrl);
u32 nvme_mask_get(struct nvme_ctrl *ctrl);

/* xfer.c: the host's memory. */

/* Controller memory, if that is where these bytes are; NULL otherwise. */
u8 *nvme_in_cmb(struct nvme_ctrl *ctrl, u64 iova, size_t n);
int nvme_dma_read(struct nvme_worker *w, u64 iova, void *buf, size_t n) __must_check;
int nvme_dma_write(struct nvme_worker *w, u64 iova, const void *buf, size_t n) __must_check;
/* A word, at once. */
int nvme_load32(struct nvme_worker *w, u64 iova, u32 *value) __must_check;
int nvme_store32(struct nvme_worker *w, u64 iova, u32 value) __must_check;

/**
 * struct nvme_xfer - a command's data, in the making
 * @w: the worker
 * @to_host: its direction
 * @sgl: by SGL, otherwise PRP
 * @left: bytes of the command that no piece was given for
 * @iova: the current piece
 * @piece: bytes of it that are left
 * @bucket: it is for nobody
 * @started: the first descriptor was used
 * @page: bytes of the host's pages
 * @prp: PRP entry 1, then 2
 * @list: where the next entries or descriptors are
 * @list_left: bytes of the segment that are left
 * @last: no segment follows
 * @total: descriptors so far
 * @at: next of @entries
 * @n: how many there are
 * @entries: what was fetched
 */
struct nvme_xfer {
	struct nvme_worker *w;
	bool to_host;
	bool sgl;
	u64 left;
	u64 iova;
	u64 piece;
	bool bucket;
	bool started;
	u64 page;
	u64 prp[2];
	u64 list;
	u64 list_left;
	bool last;
	u32 total;
	unsigned int at;
	unsigned int n;
	union {
		u64 prps[32];
		struct nvme_sgl sgls[16];
	} entries;
};

/* The data of @cmd, @bytes of it. Return: a status. */
u16 nvme_xfer_init(struct nvme_xfer *x, struct nvme_cmd *cmd, u64 bytes, bool to_host);
/* The next @n bytes, no more than are left. Return: a status. */
u16 nvme_xfer_move(struct nvme_xfer *x, void *buf, size_t n);
/* Answer an admin command: @n bytes at @buf, and zeros up to @bytes. */
u16 nvme_reply(struct nvme_cmd *cmd, const void *buf, size_t n, u64 bytes);

/* Commands: all return a status. */
u16 nvme_admin(struct nvme_cmd *cmd);	     /* admin.c */
u16 nvme_identify(struct nvme_cmd *cmd);     /* identify.c */
u16 nvme_set_features(struct nvme_cmd *cmd); /* feature.c */
u16 nvme_get_features(struct nvme_cmd *cmd);
u16 nvme_get_log(struct nvme_cmd *cmd); /* log.c */
u16 nvme_io(struct nvme_cmd *cmd);	/* io.c */

/* @field is the byte of the command that is wrong. */
static inline u16 nvme_bad_field(struct nvme_cmd *cmd, unsigned int field)
{
	cmd->location = (u16)field;
	return NVME_INVALID_FIELD;
}

static inline u16 nvme_bad_opcode(struct nvme_cmd *cmd)
{
	cmd->location = 0;
	return NVME_INVALID_OPCODE;
}

/* The namespace that a command names; NULL if there is none. */
static inline struct nvme_ns *nvme_ns_of(struct nvme_ctrl *ctrl, u32 nsid)
{
	return nsid && nsid <= ctrl->nns ? &ctrl->ns[nsid - 1] : NULL;
}

void nvme_features_reset(struct nvme_ctrl *ctrl);
/* Everything that was written is on the disks. Return: 0 or -errno. */
int nvme_flush_all(struct nvme_ctrl *ctrl) __must_check;

/* log.c: from any thread. */
void nvme_log_error(struct nvme_ctrl *ctrl, const struct nvme_error_entry *entry);
void nvme_event(struct nvme_ctrl *ctrl, enum nvme_event_type type, unsigned int info);
/* Answer requests for events. Context: worker 0. */
void nvme_events_post(struct nvme_worker *w);
bool nvme_too_warm(const struct nvme_ctrl *ctrl);

/* disk.c: 0 or -errno. */
int nvme_disk_open(struct nvme_disk *disk, const struct pci_params *params, const char *path,
		   u64 bytes, bool ro) __must_check;
void nvme_disk_close(struct nvme_disk *disk, struct base_alloc *alloc);
int nvme_disk_read(const struct nvme_disk *disk, u64 at, void *buf, size_t n) __must_check;
int nvme_disk_write(struct nvme_disk *disk, u64 at, const void *buf, size_t n,
		    bool durable) __must_check;
int nvme_disk_flush(struct nvme_disk *disk) __must_check;
/* They read as zeros afterwards; @give_up: and need take no room. */
int nvme_disk_zero(struct nvme_disk *disk, u64 at, u64 n, bool give_up, bool durable) __must_check;
/* They need take no room, and if they do not, read as zeros. */
void nvme_disk_discard(const struct nvme_disk *disk, u64 at, u64 n);

#endif
