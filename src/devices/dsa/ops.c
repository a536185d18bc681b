// SPDX-License-Identifier: MIT
/*
 * What descriptors can ask for: checks, and the operations.
 *
 * Everything moves in pieces through the engine's own memory, up to the first byte that
 * faults. Then the record says how many bytes are done, and the driver can go on from
 * there. An operation that was cancelled just ends: nobody reads its record.
 */
#include <string.h>

#include "dsa.h"

#define MORE_DEST2    0
#define MORE_DELTA    0
#define MORE_MAX      8
#define MORE_MASK     16
#define MORE_SEED     0
#define MORE_SEEDADDR 8

static u64 more64(const struct dsa_desc *d, unsigned int at)
{
	u64 value;

	memcpy(&value, d->more + at, sizeof(value));
	return value;
}

static u32 more32(const struct dsa_desc *d, unsigned int at)
{
	u32 value;

	memcpy(&value, d->more + at, sizeof(value));
	return value;
}

static bool overlap(u64 a, u64 an, u64 b, u64 bn)
{
	return a < b ? b - a < an : a - b < bn;
}

static u64 piece_left(const struct dsa_desc *d, u64 at)
{
	return min_u64(d->size - at, DSA_PIECE_BYTES);
}

/* It ends here, with @done bytes done. */
static void stop_at(struct dsa_task *t, u64 done, const struct dsa_fault *fault)
{
	t->record.status = fault->status | (fault->write ? DSA_FAULT_WRITE : 0);
	t->record.fault_info = fault->write;
	t->record.fault = fault->address;
	t->record.done = (u32)done;
}

/*
 * Copying
 */

static void move_forward(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	struct dsa_fault in = { 0 }, out = { 0 };
	u64 at, n, got, put;

	for (at = 0; at < d->size; at += put) {
		n = piece_left(d, at);
		put = dsa_copy(t, d->src + at, d->dst + at, n);
		if (put)
			continue;
		got = dsa_read(t, d->src + at, t->e->piece, n, &in);
		put = got ? dsa_write(t, d->dst + at, t->e->piece, got, &out) : 0;
		if (put < n) {
			stop_at(t, at + put, put < got ? &out : &in);
			return;
		}
	}
}

/* From the end: a piece crosses no page, so it faults as a whole. */
static void move_backward(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	struct dsa_fault fault = { 0 };
	u64 left, n;

	t->record.result = 1;
	for (left = d->size; left; left -= n) {
		n = min_u64(left, min_u64((d->src + left - 1) % PAGE_BYTES,
					  (d->dst + left - 1) % PAGE_BYTES) +
					  1);
		if (dsa_read(t, d->src + left - n, t->e->piece, n, &fault) < n ||
		    dsa_write(t, d->dst + left - n, t->e->piece, n, &fault) < n) {
			stop_at(t, d->size - left, &fault);
			return;
		}
	}
	t->record.result = 0;
}

static void op_move(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;

	if (d->dst > d->src && overlap(d->src, d->size, d->dst, d->size))
		move_backward(t);
	else
		move_forward(t);
}

static void op_fill(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	struct dsa_fault fault;
	u64 at, n, put;

	for (at = 0; at < DSA_PIECE_BYTES; at += sizeof(d->src))
		memcpy(t->e->piece + at, &d->src, sizeof(d->src));
	for (at = 0; at < d->size; at += put) {
		n = piece_left(d, at);
		put = dsa_write(t, d->dst + at, t->e->piece, n, &fault);
		if (put < n) {
			stop_at(t, at + put, &fault);
			return;
		}
	}
}

static void op_dualcast(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	const u64 second = more64(d, MORE_DEST2);
	struct dsa_fault in = { 0 }, out[2] = { 0 };
	u64 at, n, got, put, both;

	if ((d->dst ^ second) & (PAGE_BYTES - 1)) {
		t->record.status = DSA_BAD_DUALCAST;
		return;
	}
	if (overlap(d->src, d->size, d->dst, d->size) ||
	    overlap(d->src, d->size, second, d->size) ||
	    overlap(d->dst, d->size, second, d->size)) {
		t->record.status = DSA_OVERLAP;
		return;
	}
	for (at = 0; at < d->size; at += both) {
		n = piece_left(d, at);
		got = dsa_read(t, d->src + at, t->e->piece, n, &in);
		put = got ? dsa_write(t, d->dst + at, t->e->piece, got, &out[0]) : 0;
		both = put ? dsa_write(t, second + at, t->e->piece, put, &out[1]) : 0;
		if (both < n) {
			stop_at(t, at + both, both < put ? &out[1] : put < got ? &out[0] : &in);
			return;
		}
	}
}

/*
 * Comparing
 */

/* The result is known: is it what the descriptor expects? */
static void set_result(struct dsa_task *t, u8 result, u64 done)
{
	const struct dsa_desc *d = t->desc;
	bool expected = desc_opcode(d) == DSA_CREATE_DELTA ? d->more[MORE_MASK] >> result & 1
							   : d->more[0] == result;

	t->record.result = result;
	t->record.done = (u32)done;
	if (desc_flags(d) & DSA_CHECK && !expected)
		t->record.status = DSA_OK_UNEXPECTED;
}

/* Read the same piece of both sources. Return: bytes that both have. */
static u64 read_both(struct dsa_task *t, u64 at, u64 n, struct dsa_fault *fault)
{
	struct dsa_fault second = { 0 };
	u64 a, b;

	a = dsa_read(t, t->desc->src + at, t->e->piece, n, fault);
	b = a ? dsa_read(t, t->desc->dst + at, t->e->other, a, &second) : 0;
	if (b < a)
		*fault = second;
	return b;
}

static void op_compare(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	struct dsa_fault fault = { 0 };
	bool pattern = desc_opcode(d) == DSA_COMPARE_PATTERN;
	u64 at, n, got, i;

	if (pattern)
		for (i = 0; i < DSA_PIECE_BYTES; i += sizeof(d->dst))
			memcpy(t->e->other + i, &d->dst, sizeof(d->dst));
	for (at = 0; at < d->size; at += got) {
		n = piece_left(d, at);
		got = pattern ? dsa_read(t, d->src + at, t->e->piece, n, &fault)
			      : read_both(t, at, n, &fault);
		for (i = 0; i < got; i++) {
			if (t->e->piece[i] != t->e->other[i]) {
				set_result(t, 1, at + i);
				return;
			}
		}
		if (got < n) {
			stop_at(t, at + got, &fault);
			return;
		}
	}
	set_result(t, 0, 0);
}

/*
 * Deltas
 */

/**
 * struct delta - a delta that is being made
 * @to: where it goes
 * @max: its most bytes
 * @bytes: its bytes so far
 * @n: of those, in @buf
 * @buf: what was not written yet
 */
struct delta {
	u64 to;
	u32 max;
	u32 bytes;
	u32 n;
	u8 buf[64 * DELTA_BYTES];
};

static bool delta_flush(struct dsa_task *t, struct delta *delta, struct dsa_fault *fault)
{
	u64 at = delta->to + delta->bytes - delta->n;
	bool ok = !delta->n || dsa_write(t, at, delta->buf, delta->n, fault) == delta->n;

	delta->n = 0;
	return ok;
}

static void delta_add(struct delta *delta, u64 offset, const u8 *data)
{
	u16 units = (u16)(offset / 8);

	memcpy(delta->buf + delta->n, &units, sizeof(units));
	memcpy(delta->buf + delta->n + sizeof(units), data, 8);
	delta->n += DELTA_BYTES;
	delta->bytes += DELTA_BYTES;
}

/* One piece. Return: go on? If not, the record says why. */
static bool delta_piece(struct dsa_task *t, struct delta *delta, u64 at, u64 n)
{
	struct dsa_fault fault = { 0 };
	u64 i;

	for (i = 0; i < n; i += 8) {
		if (!memcmp(t->e->piece + i, t->e->other + i, 8))
			continue;
		if (delta->n == sizeof(delta->buf) && !delta_flush(t, delta, &fault)) {
			stop_at(t, at, &fault);
			return false;
		}
		if (delta->max - delta->bytes < DELTA_BYTES) {
			if (delta_flush(t, delta, &fault)) {
				set_result(t, 2, at + i);
				t->record.flags = delta->bytes;
			} else {
				stop_at(t, at, &fault);
			}
			return false;
		}
		delta_add(delta, at + i, t->e->other + i);
	}
	return true;
}

static bool delta_source_is_bad(struct dsa_task *t, u64 delta, u64 bytes)
{
	const struct dsa_desc *d = t->desc;

	if (!is_aligned(d->size, 8) || d->size > DELTA_MAX_SIZE)
		t->record.status = DSA_BAD_SIZE;
	else if (!is_aligned(d->src | d->dst | delta, 8))
		t->record.status = DSA_BAD_ALIGN;
	else if (overlap(d->dst, d->size, delta, bytes) ||
		 (desc_opcode(d) == DSA_CREATE_DELTA && overlap(d->src, d->size, delta, bytes)))
		t->record.status = DSA_OVERLAP;
	return t->record.status != DSA_OK;
}

static void op_create_delta(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	struct delta delta = { .to = more64(d, MORE_DELTA), .max = more32(d, MORE_MAX) };
	struct dsa_fault fault = { 0 };
	u64 at, n, got;

	if (delta.max < DELTA_MIN_BYTES || delta.max % DELTA_BYTES) {
		t->record.status = DSA_BAD_DELTA_SIZE;
		return;
	}
	if (delta_source_is_bad(t, delta.to, delta.max))
		return;
	for (at = 0; at < d->size; at += got) {
		n = piece_left(d, at);
		got = align_down(read_both(t, at, n, &fault), 8);
		if (!delta_piece(t, &delta, at, got))
			return;
		if (got < n) {
			t->record.flags = delta.bytes - delta.n;
			stop_at(t, at + got, &fault);
			return;
		}
	}
	if (!delta_flush(t, &delta, &fault)) {
		stop_at(t, 0, &fault);
		return;
	}
	set_result(t, delta.bytes ? 1 : 0, 0);
	t->record.flags = delta.bytes;
}

/* One entry of a delta. Return: enum dsa_status, or a fault in @fault. */
static u8 apply_entry(struct dsa_task *t, const u8 *entry, u32 *next, struct dsa_fault *fault)
{
	const struct dsa_desc *d = t->desc;
	u16 units;

	memcpy(&units, entry, sizeof(units));
	if (units < *next)
		return DSA_DELTA_ORDER;
	if ((u64)units * 8 >= d->size)
		return DSA_DELTA_RANGE;
	*next = units + 1u;
	dsa_write(t, d->dst + (u64)units * 8, entry + sizeof(units), 8, fault);
	return DSA_OK;
}

static void op_apply_delta(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	const u32 bytes = more32(d, 0);
	struct dsa_fault fault = { 0 };
	u8 entry[DELTA_BYTES];
	u32 at, next = 0;

	if (bytes % DELTA_BYTES || bytes > DELTA_MAX_SIZE / 8 * DELTA_BYTES) {
		t->record.status = DSA_BAD_DELTA_SIZE;
		return;
	}
	if (delta_source_is_bad(t, d->src, bytes))
		return;
	for (at = 0; at < bytes; at += DELTA_BYTES) {
		u8 status = DSA_OK;

		if (dsa_read(t, d->src + at, entry, sizeof(entry), &fault) == sizeof(entry))
			status = apply_entry(t, entry, &next, &fault);
		if (fault.status) {
			stop_at(t, at, &fault);
			return;
		}
		if (status != DSA_OK) {
			t->record.status = status;
			t->record.done = at;
			return;
		}
	}
}

/*
 * CRC-32C
 */

static u32 reflect32(u32 x)
{
	u32 y = 0;
	unsigned int i;

	for (i = 0; i < 32; i++)
		y |= (x >> i & 1) << (31 - i);
	return y;
}

static u8 reflect8(u8 x)
{
	return (u8)(reflect32(x) >> 24);
}

/* The remainders of all bytes, by the polynomial 0x11edc6f41, first bit last. */
void dsa_crc_init(u32 table[256])
{
	unsigned int i, bit;

	for (i = 0; i < 256; i++) {
		table[i] = i;
		for (bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78 : 0);
	}
}

static u32 crc_bytes(const struct dsa_task *t, u32 crc, u64 n)
{
	const u32 *table = t->e->dsa->crc;
	bool forward = desc_flags(t->desc) & DSA_CRC_FORWARD;
	u64 i;

	for (i = 0; i < n; i++) {
		u8 byte = t->e->piece[i];

		crc = crc >> 8 ^ table[(crc ^ (forward ? reflect8(byte) : byte)) & 0xff];
	}
	return crc;
}

static u32 crc_end(const struct dsa_task *t, u32 crc)
{
	return desc_flags(t->desc) & DSA_CRC_PLAIN ? reflect32(crc) : ~crc;
}

static bool crc_seed(struct dsa_task *t, u32 *crc)
{
	const struct dsa_desc *d = t->desc;
	struct dsa_fault fault;
	u32 seed = more32(d, MORE_SEED);

	if (desc_flags(d) & DSA_CRC_SEED &&
	    dsa_read(t, more64(d, MORE_SEEDADDR), &seed, sizeof(seed), &fault) < sizeof(seed)) {
		stop_at(t, 0, &fault);
		return false;
	}
	*crc = desc_flags(d) & DSA_CRC_PLAIN ? reflect32(seed) : ~seed;
	return true;
}

static void op_crc(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	struct dsa_fault in = { 0 }, out = { 0 };
	bool copy = desc_opcode(d) == DSA_COPY_CRC;
	u64 at, n, got, put;
	u32 crc;

	if (copy && overlap(d->src, d->size, d->dst, d->size)) {
		t->record.status = DSA_OVERLAP;
		return;
	}
	if (!crc_seed(t, &crc))
		return;
	for (at = 0; at < d->size; at += put) {
		n = piece_left(d, at);
		got = dsa_read(t, d->src + at, t->e->piece, n, &in);
		put = copy && got ? dsa_write(t, d->dst + at, t->e->piece, got, &out) : got;
		crc = crc_bytes(t, crc, put);
		if (put < n) {
			stop_at(t, at + put, put < got ? &out : &in);
			break;
		}
	}
	t->record.crc = crc_end(t, crc);
}

/* Caches are coherent here: what is left is that the addresses must be good. */
static void op_flush(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;
	struct dsa_fault fault;
	u64 at;
	u8 byte;

	for (at = 0; at < d->size; at += PAGE_BYTES - (d->dst + at) % PAGE_BYTES) {
		if (!dsa_read(t, d->dst + at, &byte, 1, &fault)) {
			stop_at(t, at, &fault);
			return;
		}
	}
}

static void op_batch(struct dsa_task *t)
{
	const struct dsa_desc *d = t->desc;

	if (d->size < 2 || d->size > 1u << WQ_BATCH(t->wq->cfg[WQ_LIMIT]))
		t->record.status = DSA_BAD_COUNT;
	else if (!is_aligned(d->src, sizeof(*d)))
		t->record.status = DSA_BAD_LIST;
}

static void op_nothing(struct dsa_task *t)
{
	(void)t;
}

/**
 * struct dsa_op - an operation
 * @fn: does it; engines do batches and drains when their descriptor is good
 * @flags: those that it takes, beyond what all do
 * @more: bytes of desc->more that it takes
 * @sized: it has a size in bytes
 */
struct dsa_op {
	void (*fn)(struct dsa_task *t);
	u32 flags;
	unsigned int more;
	bool sized;
};

#define FLAGS_ALL  (DSA_FENCE | DSA_CRAV | DSA_RCR | DSA_RCI | DSA_TCS)
#define FLAGS_DEST (DSA_BOF | DSA_CACHE | DSA_READBACK | DSA_STRICT)
#define FLAGS_CRC  (DSA_CRC_SEED | DSA_CRC_PLAIN | DSA_CRC_FORWARD)

static const struct dsa_op ops[DSA_NOPS] = {
	[DSA_NOOP] = { op_nothing, 0, 0, false },
	[DSA_BATCH] = { op_batch, DSA_BOF, 0, false },
	[DSA_DRAIN] = { op_nothing, 0, 0, false },
	[DSA_MOVE] = { op_move, FLAGS_DEST, 0, true },
	[DSA_FILL] = { op_fill, FLAGS_DEST, 0, true },
	[DSA_COMPARE] = { op_compare, DSA_BOF | DSA_CHECK, 1, true },
	[DSA_COMPARE_PATTERN] = { op_compare, DSA_BOF | DSA_CHECK, 1, true },
	[DSA_CREATE_DELTA] = { op_create_delta, FLAGS_DEST | DSA_CHECK, 17, true },
	[DSA_APPLY_DELTA] = { op_apply_delta, FLAGS_DEST, 4, true },
	[DSA_DUALCAST] = { op_dualcast, FLAGS_DEST, 8, true },
	[DSA_CRC] = { op_crc, DSA_BOF | FLAGS_CRC, 16, true },
	[DSA_COPY_CRC] = { op_crc, FLAGS_DEST | FLAGS_CRC, 16, true },
	[DSA_FLUSH] = { op_flush, DSA_BOF | DSA_CACHE, 0, true },
};

u64 dsa_opcap(void)
{
	unsigned int i;
	u64 cap = 0;

	for (i = 0; i < DSA_NOPS; i++)
		if (ops[i].fn)
			cap |= (u64)1 << i;
	return cap;
}

/* The operation of a descriptor, if its WQ and its place allow it. */
static const struct dsa_op *find_op(const struct dsa_task *t)
{
	unsigned int opcode = desc_opcode(t->desc);
	const u32 *allowed = &t->wq->cfg[WQ_OPCFG];

	if (opcode >= DSA_NOPS || !ops[opcode].fn || !(allowed[opcode / 32] >> opcode % 32 & 1))
		return NULL;
	if (t->batched && (opcode == DSA_BATCH || opcode == DSA_DRAIN))
		return NULL;
	return &ops[opcode];
}

/* Flags that may not be set. */
static u32 bad_flags(const struct dsa_task *t, const struct dsa_op *op)
{
	u32 flags = desc_flags(t->desc), good = FLAGS_ALL | op->flags;

	if (!t->batched)
		good &= ~(u32)DSA_FENCE;
	if (!(t->wq->cfg[WQ_MODE] & WQ_BOF))
		good &= ~(u32)DSA_BOF;
	/* A record needs an address. */
	if (!(flags & DSA_CRAV))
		good &= ~(u32)DSA_RCR;
	return flags & ~good;
}

static bool reserved_is_set(const struct dsa_desc *d, const struct dsa_op *op)
{
	unsigned int i;

	for (i = op->more; i < sizeof(d->more); i++)
		if (d->more[i])
			return true;
	return d->reserved;
}

/* May the WQ use this vector? */
static bool handle_is_good(const struct dsa_task *t)
{
	struct dsa *dsa = t->e->dsa;
	u32 perm;

	if (t->desc->handle > dsa->nwqs)
		return false;
	pthread_mutex_lock(&dsa->lock);
	perm = dsa->msixperm[t->desc->handle];
	pthread_mutex_unlock(&dsa->lock);
	if (perm & MSIXPERM_IGNORE)
		return true;
	return wq_has_pasid(t->wq) == !!(perm & MSIXPERM_PASID_EN) &&
	       (!wq_has_pasid(t->wq) || perm >> 12 == t->pasid);
}

static u8 check(struct dsa_task *t, const struct dsa_op *op)
{
	const struct dsa_desc *d = t->desc;
	u32 flags = desc_flags(d);

	if (flags & DSA_CRAV && !is_aligned(d->record, sizeof(struct dsa_record)))
		return DSA_RECORD_ALIGN;
	if (wq_is_shared(t->wq) && !t->batched && d->pasid & DSA_PRIV &&
	    !(t->wq->cfg[WQ_MODE] & WQ_PRIV))
		return DSA_BAD_PRIV;
	if (!op)
		return DSA_BAD_OPCODE;
	t->record.flags = bad_flags(t, op);
	if (t->record.flags)
		return DSA_BAD_FLAGS;
	if (reserved_is_set(d, op))
		return DSA_BAD_RESERVED;
	if (flags & DSA_RCI && !handle_is_good(t))
		return DSA_BAD_HANDLE;
	if (op->sized && (!d->size || d->size > 1u << WQ_XFER(t->wq->cfg[WQ_LIMIT])))
		return DSA_BAD_SIZE;
	return DSA_OK;
}

void dsa_execute(struct dsa_task *t)
{
	const struct dsa_op *op = find_op(t);

	t->record.status = check(t, op);
	if (t->record.status == DSA_OK)
		op->fn(t);
}
