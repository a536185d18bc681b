/* SPDX-License-Identifier: MIT */
/*
 * PCI functions: what a device model is made of, and what drives it.
 *
 * A function has a configuration space, BARs, interrupts, and ports for its DMA
 * (softiommu/dma.h). The model fills in struct pci_func_desc and gets calls for
 * what a driver does: accesses to registers, resets. Whoever shows the function to
 * a driver (VFIO, a test) calls pci_config_read() and the like, and takes its
 * interrupts through a struct pci_irq_sink.
 *
 * A BAR consists of areas. What a driver may map of it is a memory file. The model
 * writes its registers there for all to read, but never believes what it reads
 * there: a driver can write to everything that it has mapped.
 *
 * Threads: calls of drivers come from any thread, several at a time. A model has a
 * lock of its own, and threads of its own for what takes long or may wait. No call of
 * a driver may wait for a page request, or for anything else that the driver's own
 * process may have to do first.
 *
 * Locks: func->lock is a leaf under the model's own lock; sinks are called with it.
 */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <softiommu/dma.h>

#include "base/alloc.h"
#include "base/log.h"

#define PCI_BARS	 6
#define PCI_CONFIG_BYTES 4096
#define PCI_MAX_VECTORS	 2048
#define PCI_MAX_AREAS	 4

/* Virtual functions follow their function's number: VF i is requester id + 1 + i. */
#define PCI_VF_OFFSET 1
#define PCI_VF_STRIDE 1
#define PCI_MAX_VFS   7

/*
 * For the ports of models: a request that stalls waits that long for its answer. It is
 * given by the driver's side, and whoever resets waits for the request.
 */
#define PCI_STALL_MS 1000

/**
 * enum pci_counter - what is counted of a function, for people
 * @PCI_COUNT_READS: reads of memory
 * @PCI_COUNT_READ_BYTES: what they read
 * @PCI_COUNT_WRITES: writes of memory, atomic operations among them
 * @PCI_COUNT_WRITTEN_BYTES: what they wrote
 * @PCI_COUNT_REFUSED: those of both that went wrong
 * @PCI_COUNT_INTERRUPTS: messages that were sent, and times that the pin was raised
 * @PCI_COUNT_COMMANDS: commands that were done, whatever that is in a model
 * @PCI_COUNT_REGISTER_READS: reads of BARs that were calls, not loads
 * @PCI_COUNT_REGISTER_WRITES: writes of BARs that were calls, not stores
 * @PCI_COUNTERS: how many there are
 */
enum pci_counter {
	PCI_COUNT_READS,
	PCI_COUNT_READ_BYTES,
	PCI_COUNT_WRITES,
	PCI_COUNT_WRITTEN_BYTES,
	PCI_COUNT_REFUSED,
	PCI_COUNT_INTERRUPTS,
	PCI_COUNT_COMMANDS,
	PCI_COUNT_REGISTER_READS,
	PCI_COUNT_REGISTER_WRITES,
	PCI_COUNTERS,
};

struct pci_func;
struct pci_params;
struct pci_dma_log;

/**
 * enum pci_area_kind - how a driver reaches a part of a BAR
 * @PCI_AREA_TRAPPED: each access is a call of the model; it cannot be mapped
 * @PCI_AREA_REGISTERS: what is read is memory that the model keeps up to date;
 *	each write is a call of the model. It can be mapped for reading
 * @PCI_AREA_MEMORY: memory, for reading and writing; the model is not told
 */
enum pci_area_kind {
	PCI_AREA_TRAPPED,
	PCI_AREA_REGISTERS,
	PCI_AREA_MEMORY,
};

/**
 * struct pci_area - a part of a BAR
 * @offset: where it begins; a multiple of 4 KiB
 * @bytes: a multiple of 4 KiB
 * @kind: enum pci_area_kind; a BAR has one with PCI_AREA_REGISTERS at most
 */
struct pci_area {
	u64 offset;
	u64 bytes;
	enum pci_area_kind kind;
};

/**
 * struct pci_bar - a base address register
 * @bytes: a power of two, at least 4 KiB; 0 for none. What no area covers reads as
 *	zero
 * @is_64: it takes two registers; the next one is not there
 * @prefetchable: as its bit says
 * @areas: in order, without overlap
 * @nareas: how many
 * @memory: what the areas that can be mapped show, offset by offset; NULL without such
 * @memfd: the same as a file, sealed against changes of its size; -1 without
 */
struct pci_bar {
	u64 bytes;
	bool is_64;
	bool prefetchable;
	struct pci_area areas[PCI_MAX_AREAS];
	unsigned int nareas;
	u8 *memory;
	int memfd;
};

/**
 * enum pci_irq_mode - how a function interrupts
 * @PCI_IRQ_NONE: not at all
 * @PCI_IRQ_INTX: by its pin: a level
 * @PCI_IRQ_MSI: by messages, numbered by its MSI capability
 * @PCI_IRQ_MSIX: by messages, numbered by its MSI-X table
 */
enum pci_irq_mode {
	PCI_IRQ_NONE,
	PCI_IRQ_INTX,
	PCI_IRQ_MSI,
	PCI_IRQ_MSIX,
};

/**
 * struct pci_irq_sink - who takes a function's interrupts
 * @message: vector @vector was sent; it is below pci_irq_vectors()
 * @intx: the pin's level has changed
 *
 * Called from any thread with func->lock held, so they must be short, and must not
 * call the function.
 */
struct pci_irq_sink {
	void (*message)(void *arg, unsigned int vector);
	void (*intx)(void *arg, bool asserted);
};

/**
 * struct pci_ops - a model
 * @read: a read of @bytes (1, 2, 4 or 8, aligned) in a PCI_AREA_TRAPPED area
 * @write: a write of @bytes (1, 2, 4 or 8, aligned; or 64, aligned) in any area but
 *	PCI_AREA_MEMORY
 * @enqueue: 64 aligned bytes that come at once, in place of @write; false if there is no
 *	room now, which a deferrable write (ENQCMD) reports. NULL: they go to @write
 * @config_written: registers of the configuration space were written, and have
 *	their new values; may be NULL
 * @reset: a function level reset. When it returns, the function is as new: what it
 *	was asked before leads to no DMA and no interrupt any more. The configuration
 *	space is reset by the caller afterwards
 * @stop: no DMA and no interrupts until @run; state stays. NULL if it cannot migrate
 * @run: go on
 * @save: the state as bytes: how many there are, which @room must hold for them to be
 *	stored; called stopped
 * @load: take over what @save gave, or -EINVAL; called stopped
 * @vf_create: make virtual function @index of a function that is stopped for nobody;
 *	NULL without SR-IOV
 * @destroy: end it, with pci_func_fini(); nobody calls it any more
 */
struct pci_ops {
	void (*read)(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
		     unsigned int bytes);
	void (*write)(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		      unsigned int bytes);
	bool (*enqueue)(struct pci_func *func, unsigned int bar, u64 offset, const void *buf);
	void (*config_written)(struct pci_func *func, unsigned int offset, unsigned int bytes);
	void (*reset)(struct pci_func *func);
	void (*stop)(struct pci_func *func);
	void (*run)(struct pci_func *func);
	size_t (*save)(struct pci_func *func, void *buf, size_t room);
	int (*load)(struct pci_func *func, const void *buf, size_t n);
	int (*vf_create)(struct pci_func *pf, unsigned int index, const struct pci_params *params,
			 struct pci_func **out);
	void (*destroy)(struct pci_func *func);
};

/**
 * struct pci_params - where a function is made
 * @alloc: what its memory is charged to
 * @log: where its messages go
 * @name: for people
 * @dev: the device whose DMA it does; outlives it
 * @pasid_bits: width of the PASIDs that @dev may use; 0 for none
 * @ats: @dev may ask for translations
 * @page_requests: @dev may ask for pages
 * @options: "name=value,...", or ""
 * @error: on -EINVAL, room for a line that says what is wrong with them
 * @error_bytes: how much
 */
struct pci_params {
	struct base_alloc *alloc;
	const struct base_log *log;
	const char *name;
	struct siommu_device *dev;
	unsigned int pasid_bits;
	bool ats;
	bool page_requests;
	const char *options;
	char *error;
	size_t error_bytes;
};

/**
 * struct pci_model - a kind of device, by name
 * @name: as in --device
 * @title: what it is, in a few words
 * @help: its options, a line each
 * @create: make one; the function's @params need not live on
 */
struct pci_model {
	const char *name;
	const char *title;
	const char *help;
	int (*create)(const struct pci_params *params, struct pci_func **out);
};

/* All there are, with a NULL at the end. */
extern const struct pci_model *const pci_models[];

/**
 * struct pci_func_desc - what a function looks like
 * @vendor: vendor id
 * @device: device id
 * @subvendor: subsystem vendor id
 * @subdevice: subsystem id
 * @class: base class, subclass and programming interface: 24 bits
 * @revision: revision id
 * @intx: it has an interrupt pin
 * @msi_vectors: 1, 2, 4 .. 32 for an MSI capability
 * @msix_vectors: 1 .. 2048 for an MSI-X capability
 * @msix_bar: where its table is
 * @msix_table: offset there; the table needs 16 bytes a vector
 * @msix_pba: offset of its pending bits, a bit a vector, in whole 8 bytes
 * @conventional: it has no PCI Express capability, and 256 bytes of configuration
 * @total_vfs: virtual functions that it can have, with an SR-IOV capability
 * @vf: it is a virtual function
 * @svm: it has ATS, PRI and PASIDs, as far as @dev of struct pci_params may use them
 * @bars: its BARs; memory and memfd are made
 *
 * MSI-X tables must lie in a PCI_AREA_TRAPPED area.
 */
struct pci_func_desc {
	u16 vendor;
	u16 device;
	u16 subvendor;
	u16 subdevice;
	u32 class;
	u8 revision;
	bool intx;
	unsigned int msi_vectors;
	unsigned int msix_vectors;
	unsigned int msix_bar;
	u32 msix_table;
	u32 msix_pba;
	bool conventional;
	unsigned int total_vfs;
	bool vf;
	bool svm;
	struct pci_bar bars[PCI_BARS];
};

/* Where a function's capabilities are in its configuration space; 0 for none. */
struct pci_caps {
	u16 pm;
	u16 msi;
	u16 msix;
	u16 express;
	u16 af;
	u16 aer;
	u16 ats;
	u16 pri;
	u16 pasid;
	u16 sriov;
};

/**
 * struct pci_func - a function: what all models begin with
 * @ops: the model
 * @alloc: what its memory is charged to
 * @log: where its messages go
 * @dev: whose DMA it does
 * @name: for people
 * @desc: what it looks like
 * @command: the command register, as it is now; 0 while it is being reset
 * @asleep: it is in D3hot: no DMA, no interrupts, and BARs do not answer
 * @caps: where its capabilities are
 * @shares_pri: a virtual function that asks for pages by its physical function
 * @shares_pasid: the same for PASIDs
 * @reset_lock: one reset at a time
 * @log_lock: keeps @dma_log while it is used
 * @lock: covers what follows
 * @config: the configuration space
 * @writable: bits of it that a driver may change
 * @clearable: bits of it that writing a one clears
 * @initial: the configuration space after a reset: as it was when first changed
 * @settled: @initial has been taken
 * @next_cap: where the next capability may be
 * @next_ext_cap: where the next extended capability may be
 * @msix_table: its MSI-X table, 4 words a vector
 * @msix_pending: bit per MSI-X vector
 * @irq_mode: how it interrupts
 * @irq_vectors: messages that it may send
 * @sink: who takes interrupts; NULL for nobody
 * @sink_arg: passed to it
 * @intx: the level of its pin, whatever @irq_mode
 * @intx_shown: the level that @sink was told
 * @dma_log: what pci_dma_write() writes, while somebody wants to know
 * @counters: see pci_count()
 */
struct pci_func {
	const struct pci_ops *ops;
	struct base_alloc *alloc;
	const struct base_log *log;
	struct siommu_device *dev;
	char name[32];
	struct pci_func_desc desc;
	_Atomic u16 command;
	_Atomic bool asleep;
	struct pci_caps caps;
	bool shares_pri;
	bool shares_pasid;
	pthread_mutex_t reset_lock;
	pthread_rwlock_t log_lock;
	pthread_mutex_t lock;
	u8 config[PCI_CONFIG_BYTES];
	u8 writable[PCI_CONFIG_BYTES];
	u8 clearable[PCI_CONFIG_BYTES];
	u8 initial[PCI_CONFIG_BYTES];
	bool settled;
	unsigned int next_cap;
	unsigned int next_ext_cap;
	u32 *msix_table;
	u64 *msix_pending;
	enum pci_irq_mode irq_mode;
	unsigned int irq_vectors;
	const struct pci_irq_sink *sink;
	void *sink_arg;
	bool intx;
	bool intx_shown;
	_Atomic(struct pci_dma_log *) dma_log;
	_Atomic u64 counters[PCI_COUNTERS];
};

/* Two threads that count at once may count one: it costs no locked instruction. */
static inline void pci_count(struct pci_func *func, enum pci_counter what, u64 n)
{
	const u64 old = atomic_load_explicit(&func->counters[what], memory_order_relaxed);

	atomic_store_explicit(&func->counters[what], old + n, memory_order_relaxed);
}

/* For models. */

/*
 * Make @func what @desc says: configuration space with the capabilities that follow
 * from it (power management, MSI, MSI-X, PCI Express with function level reset, and
 * ATS, PRI, PASID, SR-IOV as @desc and @params allow), and the memory of BARs. Return: 0;
 * -ENOMEM; -EMFILE.
 */
int pci_func_init(struct pci_func *func, const struct pci_ops *ops,
		  const struct pci_func_desc *desc, const struct pci_params *params) __must_check;
void pci_func_fini(struct pci_func *func);

/*
 * Add @bytes of a capability (of an extended one) at @offset of the configuration
 * space; 0 for the next free place. Return: where it is; 0 if it does not fit there. Only
 * while a model is made, which then writes the capability's registers to func->config, and
 * what a driver may change of them to func->writable and func->clearable.
 */
unsigned int pci_add_cap(struct pci_func *func, u8 id, unsigned int offset, unsigned int bytes);
unsigned int pci_add_ext_cap(struct pci_func *func, u16 id, u8 version, unsigned int offset,
			     unsigned int bytes);

/*
 * A reset of the model: zeros for all that drivers have mapped of a BAR. What is there is
 * the last one's, and the next one may be somebody else.
 */
void pci_bar_clear(struct pci_func *func, unsigned int bar);

/* Send message @vector; it is lost if nobody listens, as on hardware. */
void pci_irq_message(struct pci_func *func, unsigned int vector);

/* Raise or lower the pin. */
void pci_irq_level(struct pci_func *func, bool asserted);

/* How a driver has set up interrupts now. A model asks when it has one to send. */
enum pci_irq_mode pci_irq_mode(struct pci_func *func);

/* Messages that it may send now: numbers below that. */
unsigned int pci_irq_vectors(struct pci_func *func);

/* May it do DMA now: bus mastering is on, and it is awake? */
static inline bool pci_may_dma(struct pci_func *func)
{
	return atomic_load_explicit(&func->command, memory_order_relaxed) & 4 &&
	       !atomic_load_explicit(&func->asleep, memory_order_relaxed);
}

/*
 * DMA as this function: refused while bus mastering is off, and written down while
 * somebody logs. Return: as siommu_dma_read() and the like; -EACCES without mastering.
 */
int pci_dma_read(struct pci_func *func, struct siommu_port *port, u64 iova, void *buf,
		 size_t n) __must_check;
int pci_dma_write(struct pci_func *func, struct siommu_port *port, u64 iova, const void *buf,
		  size_t n) __must_check;
int pci_dma_atomic(struct pci_func *func, struct siommu_port *port, enum siommu_atomic op,
		   u64 iova, size_t n, u64 operand, u64 expected, u64 *old) __must_check;

/*
 * For models that do not write by pci_dma_write(), but by siommu_dma_find(), by pins or
 * by translated requests: asked pci_may_dma(), then wrote these bytes. Call it after each
 * write, before anybody is told that it is done.
 */
void pci_dma_wrote(struct pci_func *func, u64 iova, u64 n);

/*
 * May the function use ATS, PRI, PASIDs? Their capabilities are switched on after a
 * reset, as a kernel's IOMMU driver leaves them for the device's user; who has the
 * configuration space may switch them off.
 */
bool pci_ats_enabled(struct pci_func *func);
bool pci_pri_enabled(struct pci_func *func);
bool pci_pasid_enabled(struct pci_func *func);

/*
 * What the framework knows of a function, for its model's save and load: registers of the
 * configuration space and MSI-X table. pci_state_bytes() of them. Return of the latter: 0;
 * -EINVAL.
 */
size_t pci_state_bytes(const struct pci_func *func);
void pci_state_save(struct pci_func *func, void *buf);
int pci_state_load(struct pci_func *func, const void *buf, size_t n) __must_check;

/*
 * The port of a thread of a model's, without a PASID: who waits for a page gives up after
 * PCI_STALL_MS. @ops may be NULL. Return: as siommu_port_create().
 */
int pci_port_create(struct pci_func *func, const struct siommu_port_ops *ops, void *arg,
		    struct siommu_port **port) __must_check;

/*
 * A thread of a model's. Signals of the program that it lives in are not its business.
 * Return: 0; -EAGAIN.
 */
int pci_thread_start(pthread_t *thread, void *(*main)(void *), void *arg) __must_check;

/* For who shows a function to a driver. */

/* Any offset and length; what is beyond the configuration space reads as zero. */
void pci_config_read(struct pci_func *func, unsigned int offset, void *buf, unsigned int bytes);
void pci_config_write(struct pci_func *func, unsigned int offset, const void *buf,
		      unsigned int bytes);

/* Where a capability is; 0 if there is none. */
unsigned int pci_find_cap(struct pci_func *func, u8 id);
unsigned int pci_find_ext_cap(struct pci_func *func, u16 id);

/*
 * An access of any length and alignment to a BAR: it is cut as a bus would, and areas
 * are told apart. While memory is not enabled in the command register, or in D3hot, nobody
 * answers: all ones are read, and what is written is lost. (Virtual functions have no such
 * bit, and always answer.) Return: 0; -EINVAL beyond the BAR's end; -EAGAIN from
 * a model that refuses 64 bytes that come at once.
 */
int pci_bar_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
		 size_t n) __must_check;
int pci_bar_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		  size_t n) __must_check;

/* The kind of area at an offset, and where that area ends; TRAPPED where there is none. */
enum pci_area_kind pci_bar_area(const struct pci_func *func, unsigned int bar, u64 offset,
				u64 *end);

/*
 * New files behind the memory of all BARs, for a driver that is not to share them with the
 * one before: registers read as they did, the rest is zero. After a reset, while nobody
 * drives the function. Return: 0; -EMFILE; -ENOMEM: some may be new.
 */
int pci_bars_renew(struct pci_func *func) __must_check;

/*
 * Reset model, configuration space and interrupts: the command register is 0 then, and
 * no messages are set up. Attachments of its device stay. Writing to the configuration space
 * can lead to it (function level reset, leaving D3hot).
 */
void pci_func_reset(struct pci_func *func);

/* From now on interrupts go to @sink; NULL: to nobody. Returns when the old one is not in use. */
void pci_irq_listen(struct pci_func *func, const struct pci_irq_sink *sink, void *arg);

/*
 * Choose how it interrupts; shown in its capabilities. @vectors is cut to what it has. All
 * vectors below it are set up and not masked. Messages that were pending are lost unless the
 * mode stays.
 */
void pci_irq_set_mode(struct pci_func *func, enum pci_irq_mode mode, unsigned int vectors);

static inline bool pci_can_migrate(const struct pci_func *func)
{
	return func->ops->save;
}

/*
 * Write down which pages pci_dma_write() writes, in [iova, last]; and ask: @report is
 * called for each run of written pages of @page_bytes in [iova, iova + n), which are
 * forgotten. Return: 0; -EBUSY; -EINVAL; -ENOMEM.
 */
int pci_dma_log_start(struct pci_func *func, u64 iova, u64 last, u64 page_bytes) __must_check;
int pci_dma_log_read(struct pci_func *func, u64 iova, u64 n,
		     void (*report)(void *arg, u64 iova, u64 n), void *arg) __must_check;
void pci_dma_log_stop(struct pci_func *func);

/*
 * Move *@iova up to where something may have been written. Return: false if nothing is, or
 * nobody logs.
 */
bool pci_dma_log_next(struct pci_func *func, u64 *iova);

static inline void pci_func_destroy(struct pci_func *func)
{
	func->ops->destroy(func);
}

/*
 * Options of models: the value of @name in "name=value,...", copied to @buf. Return:
 * false if it is not there.
 */
bool pci_option(const char *options, const char *name, char *buf, size_t n);

/*
 * Are all names of @options in @names, which ends with NULL? Return: 0; -EINVAL with a
 * line in params->error.
 */
int pci_options_check(const struct pci_params *params, const char *const *names) __must_check;

/* A number with an optional K, M, G or T; on or off. Absent: *value stays. 0 or -EINVAL. */
int pci_option_number(const struct pci_params *params, const char *name, u64 min, u64 max,
		      u64 *value) __must_check;
int pci_option_bool(const struct pci_params *params, const char *name, bool *value) __must_check;

#endif
