/* SPDX-License-Identifier: MIT */
/*
 * Models of IOMMUs that are not part of the library.
 *
 * A model is a table of functions. siommu_model_register() gives a machine one more
 * kind of IOMMU, and siommu_unit_create() makes units of it by its name; devices are put
 * behind these, and programs use them, as with the library's own. This is the contract
 * that the kernel's drivers have, without what needs the kernel's types: a domain
 * is made from a device, perhaps a parent, flags that all models share, and constant
 * data of the model's own kind; it is complete when it is returned, and an errno says
 * why there is none. docs/writing-an-iommu.md is the guide; examples/out-of-tree has a model.
 *
 * What the library does, so that no model has to: it copies user data, checks its type
 * and size, and fills up what an older program left out with zeros; it refuses flags
 * that the model has not declared, parents of another model and parents that were not
 * made as such; it keeps TLBs, posts invalidations, and waits for accesses.
 *
 * Objects. A model keeps a structure of its own for each unit, device and domain, and
 * gives the library a pointer to it, which is what its functions are called with. The
 * library gives it an account to take memory from, and for each domain a handle.
 *
 * Locks and threads. The library holds its locks during these calls, so none may call
 * back into it, but for the functions of this header.
 *
 *	unit_create, unit_destroy, device_create, device_destroy: called from any
 *	thread, also for several devices of a unit at once.
 *	domain_*, map, unmap, sync, invalidate: serialised for each context, which is all
 *	that can reach its domains. Other contexts' domains are used meanwhile.
 *	attach: one at a time for each group of devices, but for several devices of a
 *	unit at once; when a device is destroyed also beside a context's other calls.
 *	lookup, translate: also on devices' threads, at any time, beside any other call.
 *	They take no lock, wait for nothing, and allocate nothing.
 *
 * What translate reads must therefore be written with atomic stores. It is not freed
 * before the library has waited for all walks that began earlier: an unlinked table may
 * be freed in sync, or in domain_free, but not in unmap; a domain that a device is taken
 * from is freed by domain_free, which comes after the wait. A device's ports are gone
 * when device_destroy is called, and a unit's devices when unit_destroy is.
 *
 * Errors are negative errno values, and are passed to the caller of the request as
 * they are. An output is written on success only, and read by the library on success only.
 */
#ifndef SOFTIOMMU_MODEL_H
#define SOFTIOMMU_MODEL_H

#include <stdbool.h>

#include <softiommu/api.h>
#include <softiommu/dma.h>

SIOMMU_BEGIN_DECLS

/* Memory that is charged to somebody: the machine, or the context a domain is in. */
struct siommu_account;

/* The library's part of a domain. It lives as long as the model's. */
struct siommu_model_domain;

/* Numbers of data types from here on are used by no kernel: models may choose freely. */
#define SIOMMU_MODEL_TYPES 0x80000000u

/**
 * struct siommu_model_data - one kind of structure that a user passes
 * @type: its number, such as IOMMU_HWPT_DATA_*
 * @size: its bytes as the model knows it, at most 4096; 0: there is none
 * @min: bytes of its first version: fewer, like more than @size, give EINVAL
 */
struct siommu_model_data {
	uint32_t type;
	uint32_t size;
	uint32_t min;
};

/**
 * enum siommu_model_flags - parameters of domains that all models share
 * @SIOMMU_MODEL_NEST_PARENT: it shall be the second stage of nested domains
 * @SIOMMU_MODEL_PASID: it shall be for use with PASIDs
 *
 * The values are those of IOMMU_HWPT_ALLOC_*.
 */
enum siommu_model_flags {
	SIOMMU_MODEL_NEST_PARENT = 1 << 0,
	SIOMMU_MODEL_PASID = 1 << 3,
};

/**
 * struct siommu_model_domain_request - what a domain is wanted for
 * @self: the library's part of it
 * @account: what pays for it: the context's; until the domain is freed
 * @flags: enum siommu_model_flags, all of which the model has declared
 * @data_type: of @data; 0 without
 * @data: what the user passed, size bytes of it as declared, in memory of the library
 *	that is gone after the call; NULL if nothing
 *
 * New members come at the end.
 */
struct siommu_model_domain_request {
	struct siommu_model_domain *self;
	struct siommu_account *account;
	unsigned int flags;
	uint32_t data_type;
	const void *data;
};

/**
 * struct siommu_model_geometry - what a paging domain can translate
 * @page_sizes: bit n for pages of 2^n bytes; the smallest is 4 KiB
 * @first: first IOVA
 * @last: last one
 * @cache_coherent: DMA is snooped whatever the device asks for
 */
struct siommu_model_geometry {
	uint64_t page_sizes;
	uint64_t first;
	uint64_t last;
	bool cache_coherent;
};

/**
 * enum siommu_model_cap - what a device may be able to do behind its IOMMU
 * @SIOMMU_CAP_CACHE_COHERENCY: its DMA is coherent: without it it cannot be used
 * @SIOMMU_CAP_ENFORCE_COHERENCY: no-snoop requests can be overridden
 * @SIOMMU_CAP_PASID_EXEC: requests with a PASID may fetch instructions
 * @SIOMMU_CAP_PASID_PRIV: and may be privileged
 */
enum siommu_model_cap {
	SIOMMU_CAP_CACHE_COHERENCY,
	SIOMMU_CAP_ENFORCE_COHERENCY,
	SIOMMU_CAP_PASID_EXEC,
	SIOMMU_CAP_PASID_PRIV,
};

/**
 * struct siommu_model_device - a device that is put behind a unit
 * @name: for people; gone after the call
 * @requester: its number on the bus
 * @pasid_bits: width of its PASIDs; the model lowers it to what it can have
 */
struct siommu_model_device {
	const char *name;
	uint32_t requester;
	unsigned int pasid_bits;
};

/**
 * struct siommu_model_page - what an address of a paging domain leads to
 * @address: the host address of the very byte
 * @lg2: it holds for the naturally aligned 2^lg2 bytes around it
 * @access: enum siommu_dma_access that is allowed
 */
struct siommu_model_page {
	uint64_t address;
	unsigned int lg2;
	unsigned int access;
};

/**
 * struct siommu_model_request - one request of a device
 * @iova: the address
 * @access: enum siommu_dma_access
 * @has_pasid: it has a PASID
 * @pasid: the PASID; 0 without
 * @peek: change nothing, not even accessed bits: somebody only looks
 * @step: to be told each structure that is read, for people; mostly NULL
 * @step_arg: its first argument
 */
struct siommu_model_request {
	uint64_t iova;
	unsigned int access;
	bool has_pasid;
	uint32_t pasid;
	bool peek;
	siommu_walk_fn step;
	void *step_arg;
};

/**
 * struct siommu_model_reply - what becomes of it
 * @address: the host address of the very byte
 * @lg2: the answer holds for the naturally aligned 2^lg2 bytes around it; at least 12,
 *	and from 64 on for all there are
 * @span_lg2: who changes any byte of the aligned 2^span_lg2 around the IOVA means this
 *	answer: the largest page that took part. 0: @lg2
 * @user: enum siommu_dma_access that requests of users are allowed. Without
 *	SIOMMU_DMA_WRITE if a write must be seen, to set a dirty bit first
 * @priv: the same for SIOMMU_DMA_PRIV
 * @reason: why it is refused: a number of the model's own
 * @flags: of a refusal: SIOMMU_FAULT_STAGE2, SIOMMU_FAULT_SILENT; others are left out
 * @ipa: of a refusal with SIOMMU_FAULT_STAGE2: the guest's address
 * @record: of a refusal: as the hardware would log it
 *
 * It is all zero before.
 */
struct siommu_model_reply {
	uint64_t address;
	unsigned int lg2;
	unsigned int span_lg2;
	unsigned int user;
	unsigned int priv;
	uint32_t reason;
	uint32_t flags;
	uint64_t ipa;
	uint64_t record[4];
};

/**
 * struct siommu_model_ops - what a model does
 * @size: sizeof(struct siommu_model_ops) of the model
 * @unit_create: make a unit from "name=value,..." or "". -EINVAL with a line that says
 *	what is wrong in @error, of @n bytes; -ENOMEM
 * @unit_destroy: end it
 * @device_create: put a device behind it. -EINVAL for one that it cannot have
 * @device_destroy: end it; it is attached to nothing
 * @hw_info: fill the structure that GET_HW_INFO shows, which is declared as hw_info and
 *	all zero. NULL: nothing to show
 * @capable: has the device this? NULL: coherency, and nothing else
 * @domain_alloc_paging: a domain that is mapped by the library, for @device and others
 *	that it may fit. NULL: programs cannot use devices behind this IOMMU, and get
 *	EOPNOTSUPP
 * @domain_alloc_nested: a domain whose first stage is the user's, on @parent, which
 *	the same model made with SIOMMU_MODEL_NEST_PARENT. request->data is never NULL.
 *	NULL: there is no nesting, and EOPNOTSUPP is what programs get
 * @domain_free: nobody uses it any more: frees the rest of its memory
 * @attach: from now on @device translates requests with @pasid (0: those without) by
 *	@domain instead of @old. NULL for either: they are refused. -EINVAL if the
 *	domain does not fit the device: the library then tries another one, or makes one.
 *	On failure nothing has changed. Taking a domain away cannot fail, nor can
 *	going back to one that the device had just before
 * @map: [iova, iova + length - 1] to @address on, all multiples of the smallest
 *	page. -EADDRINUSE, -ENOMEM, and nothing has changed
 * @unmap: a range that was mapped, or several; cannot fail
 * @sync: every walk that began before the latest @unmap is over: what that unlinked may
 *	be freed. NULL if nothing waits for it
 * @lookup: what is mapped at an address of a paging domain. Return: false if nothing
 * @invalidate: the user has changed tables of a nested domain, as @entry says, which is
 *	of the declared type. *@first and *@last are what to forget: everything, if
 *	the model leaves them as they are. -errno for an entry that makes no sense. NULL:
 *	EOPNOTSUPP
 * @translate: one request. 0; or -EFAULT, with the reason in @reply. @port is for
 *	siommu_model_guest_load64() and its kind
 * @reason_name: a few words on a fault's reason; NULL for numbers that are not used.
 *	May be NULL
 *
 * The first four, and @translate, are always there. With @domain_alloc_paging there are
 * @domain_free, @attach, @map, @unmap and @lookup as well; @domain_alloc_nested and
 * @invalidate come with their structures declared. New functions come at the end.
 */
struct siommu_model_ops {
	size_t size;
	int (*unit_create)(struct siommu_account *account, const char *options, char *error,
			   size_t n, void **unit);
	void (*unit_destroy)(void *unit);
	int (*device_create)(void *unit, struct siommu_model_device *desc, void **device);
	void (*device_destroy)(void *device);
	int (*hw_info)(void *device, void *info);
	bool (*capable)(void *device, enum siommu_model_cap cap);
	int (*domain_alloc_paging)(void *device, const struct siommu_model_domain_request *request,
				   struct siommu_model_geometry *geometry, void **domain);
	int (*domain_alloc_nested)(void *device, void *parent,
				   const struct siommu_model_domain_request *request,
				   void **domain);
	void (*domain_free)(void *domain);
	int (*attach)(void *device, uint32_t pasid, void *domain, void *old);
	int (*map)(void *domain, uint64_t iova, uint64_t address, uint64_t length,
		   unsigned int access);
	void (*unmap)(void *domain, uint64_t iova, uint64_t length);
	void (*sync)(void *domain);
	bool (*lookup)(void *domain, uint64_t iova, struct siommu_model_page *page);
	int (*invalidate)(void *domain, const void *entry, uint64_t *first, uint64_t *last);
	int (*translate)(void *device, struct siommu_port *port,
			 const struct siommu_model_request *request,
			 struct siommu_model_reply *reply);
	const char *(*reason_name)(uint32_t reason);
};

/**
 * struct siommu_model - a kind of IOMMU
 * @size: sizeof(struct siommu_model) of the model
 * @name: what siommu_unit_create() finds it by, and listings show
 * @summary: one line for people
 * @options: lines for people: each option that unit_create() takes; or ""
 * @flags: enum siommu_model_flags that domain_alloc_paging() knows; programs that give
 *	others get EOPNOTSUPP. A nested domain is only asked for SIOMMU_MODEL_PASID
 * @hw_info: what GET_HW_INFO shows; @min does not count
 * @paging: data for paging domains
 * @nested: data for nested ones
 * @invalidation: entries of HWPT_INVALIDATE
 * @ops: its functions
 *
 * The structures are copied when the model is registered; the texts are not, and stay
 * as long as the machine. New members come at the end.
 */
struct siommu_model {
	size_t size;
	const char *name;
	const char *summary;
	const char *options;
	unsigned int flags;
	struct siommu_model_data hw_info;
	struct siommu_model_data paging;
	struct siommu_model_data nested;
	struct siommu_model_data invalidation;
	const struct siommu_model_ops *ops;
};

/**
 * siommu_model_register() - Give a machine one more kind of IOMMU
 * @machine: the machine
 * @model: what it is
 *
 * From now on siommu_unit_create() knows its name in this machine, and in no other. It
 * stays until the machine ends.
 *
 * Context: Any thread.
 * Return: 0; -EINVAL for sizes that are too small, declarations that do not fit together,
 * or functions that are missing; -EEXIST if there is a model of that name; -ENOMEM.
 */
SIOMMU_API int siommu_model_register(struct siommu_machine *machine,
				     const struct siommu_model *model);

/**
 * siommu_model_alloc() - Zeroed memory
 * @account: what pays for it: a context's has a limit, see siommu_machine_params.quota
 * @size: bytes
 *
 * All that a domain keeps is to come from its context's account: it is a user who
 * decides how much that is.
 *
 * Return: the memory, for siommu_model_free(); NULL if there is none, or it is too much.
 */
SIOMMU_API void *siommu_model_alloc(struct siommu_account *account, size_t size);

/* The same at an address that is a multiple of @size, a power of two from 8 on: a table. */
SIOMMU_API void *siommu_model_alloc_table(struct siommu_account *account, size_t size);

/**
 * siommu_model_free() - Give memory back
 * @account: what has paid for it
 * @p: the memory; NULL is fine
 * @size: its bytes
 */
SIOMMU_API void siommu_model_free(struct siommu_account *account, void *p, size_t size);

/**
 * siommu_model_guest_load64() - Read a word of a guest's tables in the midst of a request
 * @port: as translate() got it
 * @parent: the domain that translates the guest's addresses
 * @address: the guest's, of an aligned word
 * @value: the word, read once
 *
 * Context: In translate() only.
 * Return: 0; -EFAULT if @parent has nothing to read there, or the memory is gone;
 * -EINVAL if it is not aligned.
 */
SIOMMU_API int siommu_model_guest_load64(struct siommu_port *port,
					 struct siommu_model_domain *parent, uint64_t address,
					 uint64_t *value);

/**
 * siommu_model_guest_cas64() - Change a word of a guest's tables in the midst of a request
 * @port: as translate() got it
 * @parent: the domain that translates the guest's addresses
 * @address: the guest's, of an aligned word
 * @expected: in: what it is to be; with -EAGAIN what it was
 * @value: what it becomes, such as with an accessed bit
 *
 * Context: In translate() only.
 * Return: 0; -EAGAIN if it was something else; otherwise as siommu_model_guest_load64().
 */
SIOMMU_API int siommu_model_guest_cas64(struct siommu_port *port,
					struct siommu_model_domain *parent, uint64_t address,
					uint64_t *expected, uint64_t value);

/**
 * siommu_model_guest_read() - Read a guest's memory
 * @parent: the domain that translates the guest's addresses
 * @address: the guest's
 * @buf: where to
 * @n: bytes
 *
 * Context: In domain_alloc_nested(), attach() and invalidate().
 * Return: 0; -EFAULT if not all of it can be read.
 */
SIOMMU_API int siommu_model_guest_read(struct siommu_model_domain *parent, uint64_t address,
				       void *buf, size_t n);

/* As siommu_model_guest_read(), for writing; what comes before the first bad page is written. */
SIOMMU_API int siommu_model_guest_write(struct siommu_model_domain *parent, uint64_t address,
					const void *buf, size_t n);

/**
 * siommu_model_flush() - Forget translations
 * @domain: what they went through, and those of domains that are nested on it
 * @first: first IOVA; with domains nested on it, all of theirs
 * @last: last one
 *
 * The library does this by itself after unmap() and invalidate(), and when what a device
 * is attached to changes. This is for tables that change at another time, or further. When
 * it returns, nobody uses what they said before, and no walk that began before is running.
 *
 * Context: In map(), unmap(), sync() and invalidate(), for domains of that context.
 */
SIOMMU_API void siommu_model_flush(struct siommu_model_domain *domain, uint64_t first,
				   uint64_t last);

SIOMMU_END_DECLS

#endif
