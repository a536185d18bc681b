// SPDX-License-Identifier: MIT
/*
 * Commands of the NVM command set (6).
 *
 * A namespace in memory is copied to and from in one go. For a file the data passes
 * through the worker's bounce buffer: nothing may wait for a disk while it holds an
 * address of the host's memory.
 *
 * A write is durable when it completes if the host asked for that (FUA), or has turned
 * the volatile write cache off; otherwise after the next Flush.
 */
#include <errno.h>
#include <string.h>

#include "nvme.h"

#define FUA  (1u << 30)
#define DEAC (1u << 25)

#define DSM_DEALLOCATE (1u << 2)

#define WORK_OF_FLUSH ((u64)1 << 20)

/**
 * struct range - what a command is about
 * @ns: the namespace
 * @at: first byte
 * @bytes: how many
 */
struct range {
	struct nvme_ns *ns;
	u64 at;
	u64 bytes;
};

static void count(_Atomic u64 *counter, u64 n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static u16 disk_error(struct nvme_cmd *cmd, int rc, u16 status)
{
	count(&cmd->w->counts.media_errors, 1);
	base_log(cmd->ctrl->func.log, 4, "%s: command %#x: %s", cmd->ctrl->func.name,
		 cmd->sqe.opcode, strerror(-rc));
	return rc == -ENOSPC ? NVME_CAPACITY : status;
}

static bool in_namespace(const struct nvme_ns *ns, u64 slba, u64 blocks)
{
	return slba < ns->blocks && blocks <= ns->blocks - slba;
}

/* The blocks that CDW10 to CDW12 name. */
static u16 get_range(struct nvme_cmd *cmd, struct range *r)
{
	u64 slba = (u64)cmd->sqe.cdw11 << 32 | cmd->sqe.cdw10;
	u64 blocks = (u64)(cmd->sqe.cdw12 & 0xffff) + 1;

	r->ns = nvme_ns_of(cmd->ctrl, cmd->sqe.nsid);
	if (!r->ns)
		return NVME_INVALID_NAMESPACE;
	if (!in_namespace(r->ns, slba, blocks))
		return NVME_LBA_RANGE;
	r->at = slba << cmd->ctrl->block_lg2;
	r->bytes = blocks << cmd->ctrl->block_lg2;
	return NVME_OK;
}

/* As get_range(), for a command that moves them. */
static u16 get_data(struct nvme_cmd *cmd, struct range *r, struct nvme_xfer *x, bool to_host)
{
	u16 status = get_range(cmd, r);

	if (status)
		return status;
	if (r->bytes > (u64)4096 << cmd->ctrl->mdts)
		return nvme_bad_field(cmd, 48);
	cmd->w->work += r->bytes;
	return nvme_xfer_init(x, cmd, r->bytes, to_host);
}

static bool must_be_durable(const struct nvme_cmd *cmd)
{
	return cmd->sqe.cdw12 & FUA || !atomic_load(&cmd->ctrl->write_cache);
}

static u16 read_file(struct nvme_cmd *cmd, struct range *r, struct nvme_xfer *x)
{
	u16 status = NVME_OK;
	u64 n;
	int rc;

	for (; r->bytes && !status; r->at += n, r->bytes -= n) {
		n = min_u64(r->bytes, NVME_BOUNCE);
		rc = nvme_disk_read(&r->ns->disk, r->at, cmd->w->bounce, n);
		if (rc)
			return disk_error(cmd, rc, NVME_READ_ERROR);
		status = nvme_xfer_move(x, cmd->w->bounce, n);
	}
	return status;
}

static u16 io_read(struct nvme_cmd *cmd)
{
	struct nvme_counts *counts = &cmd->w->counts;
	struct nvme_xfer x;
	struct range r;
	u16 status = get_data(cmd, &r, &x, true);

	if (status)
		return status;
	count(&counts->reads, 1);
	count(&counts->blocks_read, r.bytes >> 9);
	if (r.ns->disk.memory)
		return nvme_xfer_move(&x, r.ns->disk.memory + r.at, r.bytes);
	return read_file(cmd, &r, &x);
}

static u16 write_file(struct nvme_cmd *cmd, struct range *r, struct nvme_xfer *x)
{
	bool durable = must_be_durable(cmd);
	u16 status;
	u64 n;
	int rc;

	for (; r->bytes; r->at += n, r->bytes -= n) {
		n = min_u64(r->bytes, NVME_BOUNCE);
		status = nvme_xfer_move(x, cmd->w->bounce, n);
		if (status)
			return status;
		rc = nvme_disk_write(&r->ns->disk, r->at, cmd->w->bounce, n, durable);
		if (rc)
			return disk_error(cmd, rc, NVME_WRITE_FAULT);
	}
	return NVME_OK;
}

static u16 io_write(struct nvme_cmd *cmd)
{
	struct nvme_counts *counts = &cmd->w->counts;
	struct nvme_xfer x;
	struct range r;
	u16 status = get_data(cmd, &r, &x, false);

	if (status)
		return status;
	if (r.ns->disk.ro)
		return NVME_WRITE_PROTECTED;
	count(&counts->writes, 1);
	count(&counts->blocks_written, r.bytes >> 9);
	if (r.ns->disk.memory)
		return nvme_xfer_move(&x, r.ns->disk.memory + r.at, r.bytes);
	return write_file(cmd, &r, &x);
}

static u16 io_compare(struct nvme_cmd *cmd)
{
	struct nvme_worker *w = cmd->w;
	struct nvme_xfer x;
	struct range r;
	u16 status = get_data(cmd, &r, &x, false);
	u64 n;
	int rc;

	for (; !status && r.bytes; r.at += n, r.bytes -= n) {
		n = min_u64(r.bytes, NVME_BOUNCE);
		rc = nvme_disk_read(&r.ns->disk, r.at, w->bounce, n);
		if (rc)
			return disk_error(cmd, rc, NVME_READ_ERROR);
		status = nvme_xfer_move(&x, w->compare, n);
		if (!status && memcmp(w->bounce, w->compare, n))
			return NVME_COMPARE_FAILURE;
	}
	return status;
}

static u16 io_verify(struct nvme_cmd *cmd)
{
	struct range r;
	u16 status = get_range(cmd, &r);
	u64 n;
	int rc;

	if (status || r.ns->disk.memory)
		return status;
	for (; r.bytes; r.at += n, r.bytes -= n) {
		if (atomic_load(&cmd->ctrl->cancel))
			return NVME_ABORTED;
		n = min_u64(r.bytes, NVME_BOUNCE);
		rc = nvme_disk_read(&r.ns->disk, r.at, cmd->w->bounce, n);
		if (rc)
			return disk_error(cmd, rc, NVME_READ_ERROR);
		cmd->w->work += n;
	}
	return NVME_OK;
}

static u16 io_write_zeroes(struct nvme_cmd *cmd)
{
	struct range r;
	u16 status = get_range(cmd, &r);
	int rc;

	if (status)
		return status;
	if (r.ns->disk.ro)
		return NVME_WRITE_PROTECTED;
	cmd->w->work += r.bytes;
	rc = nvme_disk_zero(&r.ns->disk, r.at, r.bytes, cmd->sqe.cdw12 & DEAC,
			    must_be_durable(cmd));
	return rc ? disk_error(cmd, rc, NVME_WRITE_FAULT) : NVME_OK;
}

int nvme_flush_all(struct nvme_ctrl *ctrl)
{
	unsigned int i;
	int rc = 0, one;

	for (i = 0; i < ctrl->nns; i++) {
		one = nvme_disk_flush(&ctrl->ns[i].disk);
		rc = rc ? rc : one;
	}
	return rc;
}

static u16 io_flush(struct nvme_cmd *cmd)
{
	struct nvme_ns *ns = nvme_ns_of(cmd->ctrl, cmd->sqe.nsid);
	int rc;

	if (!ns && cmd->sqe.nsid != NVME_ALL_NAMESPACES)
		return NVME_INVALID_NAMESPACE;
	cmd->w->work += WORK_OF_FLUSH;
	rc = ns ? nvme_disk_flush(&ns->disk) : nvme_flush_all(cmd->ctrl);
	return rc ? disk_error(cmd, rc, NVME_WRITE_FAULT) : NVME_OK;
}

static void deallocate(struct nvme_cmd *cmd, struct nvme_ns *ns, const struct nvme_dsm_range *range)
{
	const unsigned int lg2 = cmd->ctrl->block_lg2;

	nvme_disk_discard(&ns->disk, range->slba << lg2, (u64)range->blocks << lg2);
	cmd->w->work += (u64)range->blocks << lg2;
}

/* What is not deallocating is advice that is of no use here. */
static u16 io_dsm(struct nvme_cmd *cmd)
{
	struct nvme_ns *ns = nvme_ns_of(cmd->ctrl, cmd->sqe.nsid);
	unsigned int n = (cmd->sqe.cdw10 & 0xff) + 1, i;
	struct nvme_dsm_range ranges[256];
	struct nvme_xfer x;
	u16 status;

	if (!ns)
		return NVME_INVALID_NAMESPACE;
	if (ns->disk.ro)
		return NVME_WRITE_PROTECTED;
	status = nvme_xfer_init(&x, cmd, n * sizeof(*ranges), false);
	if (!status)
		status = nvme_xfer_move(&x, ranges, n * sizeof(*ranges));
	for (i = 0; i < n && !status; i++) {
		if (ranges[i].blocks && !in_namespace(ns, ranges[i].slba, ranges[i].blocks))
			status = NVME_LBA_RANGE;
	}
	if (status || !(cmd->sqe.cdw11 & DSM_DEALLOCATE))
		return status;
	for (i = 0; i < n; i++) {
		if (atomic_load(&cmd->ctrl->cancel))
			return NVME_ABORTED;
		if (ranges[i].blocks)
			deallocate(cmd, ns, &ranges[i]);
	}
	return NVME_OK;
}

u16 nvme_io(struct nvme_cmd *cmd)
{
	switch (cmd->sqe.opcode) {
	case NVME_IO_FLUSH:
		return io_flush(cmd);
	case NVME_IO_WRITE:
		return io_write(cmd);
	case NVME_IO_READ:
		return io_read(cmd);
	case NVME_IO_COMPARE:
		return io_compare(cmd);
	case NVME_IO_WRITE_ZEROES:
		return io_write_zeroes(cmd);
	case NVME_IO_DSM:
		return io_dsm(cmd);
	case NVME_IO_VERIFY:
		return io_verify(cmd);
	default:
		return nvme_bad_opcode(cmd);
	}
}
