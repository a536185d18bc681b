/* SPDX-License-Identifier: MIT */
/*
 * Ports: how a device reaches memory.
 *
 * A port is one thread's way from a device, or one PASID of it, through its
 * IOMMU: requests are translated as the modelled hardware would, and move bytes
 * or fault. A device model makes a port for each thread that does DMA.
 *
 * Each port keeps translations of its own in a TLB that nobody else writes. What
 * is unmapped or invalidated is out of every TLB, and no access that began
 * before still runs, when the call that did it returns. In exchange an access
 * must be short: between siommu_dma_begin() and siommu_dma_end() nothing may
 * wait, and no other function of the library may be called but those that say so.
 */
#ifndef SOFTIOMMU_DMA_H
#define SOFTIOMMU_DMA_H

#include <stdbool.h>

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/**
 * enum siommu_dma_access - what a request asks for
 * @SIOMMU_DMA_READ: to read
 * @SIOMMU_DMA_WRITE: to write
 * @SIOMMU_DMA_EXEC: to read instructions
 * @SIOMMU_DMA_PRIV: as privileged software; otherwise as a user's. Without a
 *	PASID most IOMMUs do not tell the two apart
 */
enum siommu_dma_access {
	SIOMMU_DMA_READ = 1 << 0,
	SIOMMU_DMA_WRITE = 1 << 1,
	SIOMMU_DMA_EXEC = 1 << 2,
	SIOMMU_DMA_PRIV = 1 << 3,
};

/**
 * enum siommu_fault_flags - more about a fault
 * @SIOMMU_FAULT_PASID: the request had a PASID
 * @SIOMMU_FAULT_STAGE2: the second stage refused it
 * @SIOMMU_FAULT_RECOVERABLE: asking for the page (PRI), or waiting (a stall),
 *	may help
 * @SIOMMU_FAULT_SILENT: the hardware does not record it
 * @SIOMMU_FAULT_STALLED: the request waits for an answer
 */
enum siommu_fault_flags {
	SIOMMU_FAULT_PASID = 1 << 0,
	SIOMMU_FAULT_STAGE2 = 1 << 1,
	SIOMMU_FAULT_RECOVERABLE = 1 << 2,
	SIOMMU_FAULT_SILENT = 1 << 3,
	SIOMMU_FAULT_STALLED = 1 << 4,
};

/**
 * struct siommu_fault - a request that was refused
 * @iova: the first byte that was not allowed
 * @ipa: what stage 1 made of it, or the address of the table that was not
 *	allowed, with SIOMMU_FAULT_STAGE2
 * @access: enum siommu_dma_access
 * @flags: enum siommu_fault_flags
 * @pasid: with SIOMMU_FAULT_PASID
 * @requester: the device's number on its bus: requester or stream id
 * @reason: why, by the number that the IOMMU's specification gives it: VT-d's
 *	fault reason (section 7.2.1 "Non-Recoverable Address Translation Faults"), SMMUv3's event
 *	number (7.3 "Event records"), AMD's event code (2.5 "Event Logging")
 * @record: as the hardware writes it to its fault register or event queue
 * @device: name of the device
 */
struct siommu_fault {
	uint64_t iova;
	uint64_t ipa;
	uint32_t access;
	uint32_t flags;
	uint32_t pasid;
	uint32_t requester;
	uint32_t reason;
	uint64_t record[4];
	char device[32];
};

/**
 * struct siommu_walk_step - one thing that the hardware read to translate
 * @what: name of the structure, as in the specification: "PML4E", "STE", ...
 * @stage: 0 for configuration, 1 or 2
 * @depth: 0, or 1 for what stage 2 does so that stage 1 can read a table
 * @level: of a page table; 0 is the one with the smallest pages
 * @address: where it was read: a guest's address if stage 2 applied, otherwise
 *	an address in this process, or a window's
 * @value: its first 8 bytes
 * @leaf: it maps a page
 * @output: of a leaf: what the address became
 * @bytes: of a leaf: size of the page
 * @access: of a leaf: what it allows, enum siommu_dma_access
 * @note: more for people, such as why it is refused; or NULL
 */
struct siommu_walk_step {
	const char *what;
	unsigned int stage;
	unsigned int depth;
	unsigned int level;
	uint64_t address;
	uint64_t value;
	bool leaf;
	uint64_t output;
	uint64_t bytes;
	unsigned int access;
	const char *note;
};

typedef void (*siommu_walk_fn)(void *arg, const struct siommu_walk_step *step);

/* One translation: private. */
struct siommu_tlb_entry {
	uint64_t tag;
	uint64_t delta;
};

/* Sizes of pages that the TLB tells apart: 4 KiB, 2 MiB, 1 GiB. */
#define SIOMMU_TLB_CLASSES 3

/*
 * The part of a port that the functions below work on. All of it is private.
 * The owner writes the first cache line, whoever invalidates only the second.
 */
struct siommu_port {
	uint32_t busy;			   /* an access runs */
	uint32_t classes;		   /* which have entries */
	uint32_t mask[SIOMMU_TLB_CLASSES]; /* of the offset of an entry */
	struct siommu_tlb_entry *tlb[SIOMMU_TLB_CLASSES];
	uint32_t pending __attribute__((aligned(64))); /* siommu_dma_catch_up() is needed */
} __attribute__((aligned(64)));

/* Bits of a tag that a request of @access needs. */
static inline uint64_t siommu_dma_need(unsigned int access)
{
	uint64_t need = access & (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC);

	return access & SIOMMU_DMA_PRIV ? need << 3 : need;
}

void siommu_dma_catch_up(struct siommu_port *port) SIOMMU_API;
void *siommu_dma_find_slow(struct siommu_port *port, uint64_t iova, size_t length,
			   unsigned int access) SIOMMU_API;

/**
 * siommu_dma_begin() - Begin an access
 * @port: the port; no access of it is running
 *
 * Addresses that siommu_dma_find() returns stay good until siommu_dma_end().
 * Invalidation waits for that, so nothing in between may take long or wait.
 *
 * Context: The port's thread.
 */
static inline void siommu_dma_begin(struct siommu_port *port)
{
	__atomic_store_n(&port->busy, 1, __ATOMIC_RELAXED);
	/*
	 * Whoever invalidates makes this a full barrier, by membarrier(2): either
	 * we see what was posted, or we are seen and waited for.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&port->pending, __ATOMIC_ACQUIRE) != 0, 0))
		siommu_dma_catch_up(port);
}

/**
 * siommu_dma_end() - End an access
 * @port: the port
 */
static inline void siommu_dma_end(struct siommu_port *port)
{
	__atomic_store_n(&port->busy, 0, __ATOMIC_RELEASE);
}

/* Bytes of the pages that a class of the TLB is for, as a power of two. */
#define SIOMMU_TLB_SHIFT(class_) (12 + 9 * (class_))

/* Where the translation of @iova is, if the TLB has it. */
static inline struct siommu_tlb_entry *siommu_tlb_slot(const struct siommu_port *port,
						       unsigned int class_, uint64_t iova)
{
	/* Entries have 16 bytes: the offset comes from one shift. */
	uint64_t offset = iova >> (SIOMMU_TLB_SHIFT(class_) - 4) & port->mask[class_];

	return (struct siommu_tlb_entry *)(void *)((char *)port->tlb[class_] + offset);
}

/* Is it @e, and does it allow @need? */
static inline bool siommu_tlb_hit(const struct siommu_tlb_entry *e, unsigned int class_,
				  uint64_t iova, uint64_t need)
{
	const uint64_t page = ~(((uint64_t)1 << SIOMMU_TLB_SHIFT(class_)) - 1);

	return (e->tag & (page | need)) == ((iova & page) | need);
}

/**
 * siommu_dma_find() - Address of memory that a device may access
 * @port: the port, between siommu_dma_begin() and siommu_dma_end()
 * @iova: first byte
 * @length: bytes, in one 4 KiB page
 * @access: enum siommu_dma_access
 *
 * Any @length is safe: what does not lie in one page gives NULL.
 *
 * Return: where the bytes are in this process; NULL if the access is not
 * allowed, or what is there is not memory of this process: siommu_dma_read()
 * and siommu_dma_write() tell these apart, and report the fault.
 */
static inline void *siommu_dma_find(struct siommu_port *port, uint64_t iova, size_t length,
				    unsigned int access)
{
	const uint64_t need = siommu_dma_need(access), last = iova + length - 1;
	const struct siommu_tlb_entry *e;

	/*
	 * The entry is chosen by the first byte and compared with the last one. No
	 * entry is ever where the page before it belongs: only one page will do.
	 */
	if (__builtin_expect(length > 4096 || !need, 0))
		return NULL;
	/* By hand: compilers keep a loop of three a loop. */
	if (__builtin_expect(port->classes & 1, 1)) {
		e = siommu_tlb_slot(port, 0, iova);
		if (__builtin_expect(siommu_tlb_hit(e, 0, last, need), 1))
			return (void *)(uintptr_t)(iova + e->delta);
	}
	if (port->classes & 2) {
		e = siommu_tlb_slot(port, 1, iova);
		if (__builtin_expect(siommu_tlb_hit(e, 1, last, need), 1))
			return (void *)(uintptr_t)(iova + e->delta);
	}
	if (port->classes & 4) {
		e = siommu_tlb_slot(port, 2, iova);
		if (__builtin_expect(siommu_tlb_hit(e, 2, last, need), 1))
			return (void *)(uintptr_t)(iova + e->delta);
	}
	return siommu_dma_find_slow(port, iova, length, access);
}

/**
 * struct siommu_port_ops - what a port may be told
 * @interrupt: a write hit the interrupt window: @address and @data are the
 *	message. Called by the port's own thread, outside of any access
 * @unpin: stop using [iova, iova + length - 1], a pin, and siommu_dma_unpin() it, now
 *	or from another thread; whoever unmaps waits for that. May come before
 *	siommu_dma_pin() has returned, and just after the device has ended that pin by
 *	itself: it is told once. Called with locks held: no other function of the
 *	library may be called
 * @ats_invalidate: drop translations of the range that siommu_dma_ats_translate()
 *	gave, before returning. As @unpin
 * @page_response: a group of page requests was answered; @code is
 *	IOMMUFD_PAGE_RESP_*. From any thread, also before siommu_dma_page_request() has
 *	returned, perhaps with a context's lock held; no function of the library may
 *	be called
 *
 * All may be NULL.
 */
struct siommu_port_ops {
	void (*interrupt)(void *arg, uint64_t address, uint32_t data);
	void (*unpin)(void *arg, uint64_t iova, uint64_t length);
	void (*ats_invalidate)(void *arg, uint64_t iova, uint64_t length);
	void (*page_response)(void *arg, uint32_t group, uint32_t code);
};

/**
 * enum siommu_port_flags - kinds of ports
 * @SIOMMU_PORT_PASID: requests carry a PASID
 * @SIOMMU_PORT_PAGE_REQUESTS: read, write and atomics that fault on a page that
 *	could come ask for it, wait, and try again
 */
enum siommu_port_flags {
	SIOMMU_PORT_PASID = 1 << 0,
	SIOMMU_PORT_PAGE_REQUESTS = 1 << 1,
};

/**
 * struct siommu_port_params - how to make a port
 * @size: sizeof(struct siommu_port_params) of the caller
 * @flags: enum siommu_port_flags
 * @pasid: with SIOMMU_PORT_PASID
 * @tlb_lg2: log2 of the TLB's entries per page size, 4 to 16; 0 for the default:
 *	131,072 of 4 KiB, 4,096 of 2 MiB and 64 of 1 GiB, which become memory as they
 *	are used
 * @timeout_ms: how long a page request waits for its answer; 0 for for ever
 * @ops: call-backs; NULL for none; must stay valid
 * @arg: passed to them
 */
struct siommu_port_params {
	size_t size;
	unsigned int flags;
	uint32_t pasid;
	unsigned int tlb_lg2;
	unsigned int timeout_ms;
	const struct siommu_port_ops *ops;
	void *arg;
};

/**
 * siommu_port_create() - Make a port
 * @dev: the device; it outlives the port
 * @params: how; NULL for requests without PASID and defaults
 * @out: the port; ended with siommu_port_destroy()
 *
 * The device need not be bound or attached: what its requests meet then is what
 * hardware does with them.
 *
 * Return: 0; -EINVAL for bad @params; -EOPNOTSUPP for a device that has no
 * IOMMU, or whose IOMMU has no data path; -ENOMEM.
 */
SIOMMU_API int siommu_port_create(struct siommu_device *dev,
				  const struct siommu_port_params *params,
				  struct siommu_port **out);

/**
 * siommu_port_destroy() - End a port
 * @port: the port, without pins, no access running; NULL is fine. Cannot fail
 */
SIOMMU_API void siommu_port_destroy(struct siommu_port *port);

/**
 * siommu_dma_read() - Read memory as a device
 * @port: the port
 * @iova: first byte
 * @buf: where to
 * @length: bytes
 * @access: 0, or SIOMMU_DMA_EXEC and SIOMMU_DMA_PRIV
 *
 * Bytes are moved in order up to the first that is not allowed, which faults.
 *
 * Context: The port's thread, outside of siommu_dma_begin() and _end().
 * Return: 0; -EFAULT: siommu_dma_fault() says where and why, and what comes
 * before was moved; -EINVAL for a range that wraps.
 */
SIOMMU_API int siommu_dma_read(struct siommu_port *port, uint64_t iova, void *buf, size_t length,
			       unsigned int access);

/**
 * siommu_dma_write() - Write memory as a device
 * @port: the port
 * @iova: first byte
 * @buf: what
 * @length: bytes
 * @access: 0, or SIOMMU_DMA_PRIV
 *
 * As siommu_dma_read(). A write of 4 bytes to the interrupt window is a message
 * for ops->interrupt.
 */
SIOMMU_API int siommu_dma_write(struct siommu_port *port, uint64_t iova, const void *buf,
				size_t length, unsigned int access);

/**
 * enum siommu_atomic - atomic operations of PCI Express
 * @SIOMMU_ATOMIC_FETCH_ADD: add
 * @SIOMMU_ATOMIC_SWAP: replace
 * @SIOMMU_ATOMIC_CAS: replace if it is what was expected
 */
enum siommu_atomic {
	SIOMMU_ATOMIC_FETCH_ADD,
	SIOMMU_ATOMIC_SWAP,
	SIOMMU_ATOMIC_CAS,
};

/**
 * siommu_dma_atomic() - Change memory atomically as a device
 * @port: the port
 * @op: the operation
 * @iova: first byte, a multiple of @length
 * @length: 4 or 8
 * @operand: to add, or the new value
 * @expected: for SIOMMU_ATOMIC_CAS
 * @old: the value before
 * @access: 0, or SIOMMU_DMA_PRIV
 *
 * Needs permission to read and to write. Memory of another process that cannot
 * be mapped here is changed atomically only with respect to other devices.
 *
 * Return: 0; -EINVAL; -EFAULT as siommu_dma_read().
 */
SIOMMU_API int siommu_dma_atomic(struct siommu_port *port, enum siommu_atomic op, uint64_t iova,
				 size_t length, uint64_t operand, uint64_t expected, uint64_t *old,
				 unsigned int access);

/**
 * siommu_dma_translate() - Translate, and move nothing
 * @port: the port
 * @iova: the address
 * @access: enum siommu_dma_access
 * @hpa: the host physical address: below 2^47 an address in this process
 * @bytes: how far from @iova on the translation holds; may be NULL
 *
 * The answer is good only until the next invalidation: for tests and for people.
 *
 * Return: 0; -EFAULT as siommu_dma_read().
 */
SIOMMU_API int siommu_dma_translate(struct siommu_port *port, uint64_t iova, unsigned int access,
				    uint64_t *hpa, uint64_t *bytes);

/**
 * siommu_dma_walk() - Translate step by step, for people
 * @port: the port
 * @iova: the address
 * @access: enum siommu_dma_access
 * @step: called with each structure that is read, in order
 * @arg: passed to @step
 * @hpa: as in siommu_dma_translate()
 *
 * Nothing is changed: no accessed or dirty bit is set, no fault is recorded.
 *
 * Return: as siommu_dma_translate().
 */
SIOMMU_API int siommu_dma_walk(struct siommu_port *port, uint64_t iova, unsigned int access,
			       siommu_walk_fn step, void *arg, uint64_t *hpa);

/**
 * siommu_dma_fault() - The port's last fault
 * @port: the port
 *
 * Context: The port's thread.
 * Return: the fault, valid until the next call on @port; NULL if there was none.
 */
SIOMMU_API const struct siommu_fault *siommu_dma_fault(const struct siommu_port *port);

/* A piece of memory in this process. */
struct siommu_sg {
	void *base;
	size_t length;
};

/**
 * siommu_dma_pin() - Translate once, use for long
 * @port: the port, with ops->unpin
 * @iova: first byte
 * @length: bytes
 * @access: SIOMMU_DMA_READ, SIOMMU_DMA_WRITE or both
 * @sg: the pieces, in order
 * @n: in: room in @sg; out: pieces
 *
 * The memory stays until siommu_dma_unpin(), which ops->unpin may ask for.
 *
 * Return: 0; -EFAULT as siommu_dma_read(); -EREMOTE for memory that is not in
 * this process; -EMSGSIZE if @sg is too small; -EINVAL; -ENOMEM.
 */
SIOMMU_API int siommu_dma_pin(struct siommu_port *port, uint64_t iova, uint64_t length,
			      unsigned int access, struct siommu_sg *sg, unsigned int *n);

/**
 * siommu_dma_unpin() - End a pin
 * @port: the port
 * @iova: as in siommu_dma_pin()
 * @length: as in siommu_dma_pin()
 *
 * Context: Any thread; also from ops->unpin.
 */
SIOMMU_API void siommu_dma_unpin(struct siommu_port *port, uint64_t iova, uint64_t length);

/**
 * struct siommu_ats - a translation that a device keeps (PCIe ATS)
 * @iova: first byte it is for
 * @address: what to use in translated requests; means nothing else
 * @bytes: how many
 * @access: enum siommu_dma_access; 0 for a page that is not there
 */
struct siommu_ats {
	uint64_t iova;
	uint64_t address;
	uint64_t bytes;
	unsigned int access;
};

/**
 * siommu_dma_ats_translate() - Ask for a translation to keep
 * @port: the port
 * @iova: an address
 * @access: SIOMMU_DMA_READ, with SIOMMU_DMA_WRITE if the device will write
 * @out: the answer; with less access than was asked for, or none, the device
 *	may ask for the page
 *
 * Return: 0; -EOPNOTSUPP if translation requests are not allowed for the device
 * (an Unsupported Request); -EFAULT (a Completer Abort); -ENOMEM.
 */
SIOMMU_API int siommu_dma_ats_translate(struct siommu_port *port, uint64_t iova,
					unsigned int access, struct siommu_ats *out);

/**
 * siommu_dma_ats_read() - Read by a translated request
 * @port: the port
 * @address: in a translation that @port was given and has not been told to drop
 * @buf: where to
 * @length: bytes
 *
 * Return: 0; -EFAULT for anything else, as siommu_dma_read().
 */
SIOMMU_API int siommu_dma_ats_read(struct siommu_port *port, uint64_t address, void *buf,
				   size_t length);

/* As siommu_dma_ats_read(), for writing. */
SIOMMU_API int siommu_dma_ats_write(struct siommu_port *port, uint64_t address, const void *buf,
				    size_t length);

/**
 * struct siommu_page_request - a request for a page (PCIe PRI)
 * @iova: the page
 * @group: index of the group, below 512
 * @access: enum siommu_dma_access; none, with @last: a stop marker, which gets
 *	no answer
 * @last: the group is complete, and is to be answered
 */
struct siommu_page_request {
	uint64_t iova;
	uint32_t group;
	unsigned int access;
	bool last;
};

/**
 * siommu_dma_page_request() - Ask for a page
 * @port: the port; its device has page requests
 * @request: the request
 *
 * The group is answered once, through ops->page_response: by whoever reads the
 * fault queue, by the IOMMU if it cannot be queued, or when its time is over.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP for a device without page requests; -EBUSY
 * for a group that waits for its answer, or is another port's; -ENOMEM: the group
 * is lost. No call-back follows a failure.
 */
SIOMMU_API int siommu_dma_page_request(struct siommu_port *port,
				       const struct siommu_page_request *request);

/**
 * siommu_dma_page_request_expire() - Answer groups that have waited too long
 * @port: the port
 *
 * The library has no thread that watches the time: a device model that gave its
 * port a time-out, and does not wait in siommu_dma_page_request_wait(), calls this
 * now and then. A group whose time is over is answered IOMMUFD_PAGE_RESP_INVALID;
 * what its handler answers later is dropped.
 *
 * Return: milliseconds until the next group's time is over, as poll() takes
 * them: -1 if none has a time-out.
 */
SIOMMU_API int siommu_dma_page_request_expire(struct siommu_port *port);

/**
 * siommu_dma_page_request_wait() - Ask for one page, and wait for the answer
 * @port: the port
 * @iova: the page
 * @access: enum siommu_dma_access
 *
 * Waits for the port's time-out, then gives up; an answer that comes later is
 * for nobody. While the queue is full, and while all numbers are in use, it asks
 * again. The group's number is the highest that is free.
 *
 * Return: 0 if it is there now; -EFAULT if the answer was no; -ETIMEDOUT;
 * -EINVAL; -EOPNOTSUPP for a device without page requests; -ENOMEM.
 */
SIOMMU_API int siommu_dma_page_request_wait(struct siommu_port *port, uint64_t iova,
					    unsigned int access);

SIOMMU_END_DECLS

#endif
