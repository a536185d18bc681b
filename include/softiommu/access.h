/* SPDX-License-Identifier: MIT */
/*
 * Accesses: memory of an IOAS for software that is not a device behind an
 * IOMMU, such as a mediated device. It may copy, or pin pages and keep their
 * addresses until it unpins them or is told to.
 */
#ifndef SOFTIOMMU_ACCESS_H
#define SOFTIOMMU_ACCESS_H

#include <stdbool.h>

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/**
 * struct siommu_access_ops - call-backs of an access
 * @needs_pin: the access will pin; the IOAS then maps whole pages only
 * @unmap: stop using [iova, iova + length - 1] and unpin it before returning.
 *	Called without locks; may call siommu_access_unpin(), but must not end,
 *	move or detach an access. Other requests go on meanwhile. NULL if the
 *	access never pins
 */
struct siommu_access_ops {
	bool needs_pin;
	void (*unmap)(void *arg, uint64_t iova, uint64_t length);
};

/**
 * enum siommu_access_flags - how to access
 * @SIOMMU_ACCESS_WRITE: write; otherwise read
 */
enum siommu_access_flags {
	SIOMMU_ACCESS_WRITE = 1 << 0,
};

/**
 * siommu_access_create() - Make an access
 * @ctx: the context; it lives on until the access is destroyed
 * @ops: call-backs; must stay valid
 * @arg: passed to them
 * @out: the access; ended with siommu_access_destroy()
 *
 * Return: 0, or -ENOMEM.
 */
SIOMMU_API int siommu_access_create(struct siommu_ctx *ctx, const struct siommu_access_ops *ops,
				    void *arg, struct siommu_access **out);

/**
 * siommu_access_destroy() - End an access
 * @access: the access; pins that are left are told to @unmap first. When this
 *	returns no call-back runs or will run. Cannot fail
 */
SIOMMU_API void siommu_access_destroy(struct siommu_access *access);

/**
 * siommu_access_attach() - Choose the IOAS
 * @access: the access, attached to nothing
 * @ioas_id: the IOAS
 *
 * Return: 0; -ENOENT for an unknown id; -EINVAL if attached; -EADDRINUSE if
 * areas are not aligned to what @access needs; -ENOMEM.
 */
SIOMMU_API int siommu_access_attach(struct siommu_access *access, uint32_t ioas_id);

/**
 * siommu_access_replace() - Change the IOAS
 * @access: the access
 * @ioas_id: the new IOAS
 *
 * Return: 0; -ENOENT if @access is attached to nothing or the id is unknown;
 * otherwise as siommu_access_attach(). On failure the old IOAS stays.
 */
SIOMMU_API int siommu_access_replace(struct siommu_access *access, uint32_t ioas_id);

/**
 * siommu_access_detach() - Leave the IOAS
 * @access: the access; pins that are left are told to @unmap. Cannot fail
 */
SIOMMU_API void siommu_access_detach(struct siommu_access *access);

/**
 * siommu_access_pin() - Hold pages and learn their addresses
 * @access: the access; made with needs_pin
 * @iova: first byte; at the start of a page of its mapping
 * @length: bytes
 * @flags: enum siommu_access_flags
 * @hpas: one host physical address for each page touched. Below 2^47 it is an
 *	address in this process; above, memory of another process that only
 *	siommu_access_rw() reaches
 *
 * Return: 0; -EINVAL for a length of 0, or where pages of mappings are not
 * aligned; -EOVERFLOW; -ENOENT if not attached, or for a hole; -EPERM; -EFAULT
 * if the memory is gone; -ENOMEM.
 */
SIOMMU_API int siommu_access_pin(struct siommu_access *access, uint64_t iova, uint64_t length,
				 unsigned int flags, uint64_t *hpas);

/**
 * siommu_access_unpin() - Undo one siommu_access_pin()
 * @access: the access
 * @iova: as in the pin
 * @length: as in the pin
 */
SIOMMU_API void siommu_access_unpin(struct siommu_access *access, uint64_t iova, uint64_t length);

/**
 * siommu_access_rw() - Copy to or from an IOAS
 * @access: the access
 * @iova: first byte
 * @buf: this process's memory
 * @length: bytes
 * @flags: enum siommu_access_flags
 *
 * Return: 0; errors as siommu_access_pin(). Bytes before the first bad one may
 * have been copied.
 */
SIOMMU_API int siommu_access_rw(struct siommu_access *access, uint64_t iova, void *buf,
				size_t length, unsigned int flags);

SIOMMU_END_DECLS

#endif
