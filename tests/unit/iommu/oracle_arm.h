/* SPDX-License-Identifier: MIT */
/*
 * An SMMUv3 as simple as can be, to hold the model against: IHI 0070 and DDI 0487
 * step by step, one request at a time, without a cache and without a thought of
 * speed. It shares no code with the model. It reads and updates a copy of memory,
 * which is found at a fixed distance from the original.
 */
#ifndef UNIT_ORACLE_ARM_H
#define UNIT_ORACLE_ARM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What a request may do; as in <softiommu/dma.h>. */
enum { O_R = 1, O_W = 2, O_X = 4, O_PRIV = 8 };

#define ORACLE_MAX_UPDATES 16

/**
 * struct oracle - the machine, a request, and what becomes of it
 * @idr: the identification registers
 * @ste: the stream's entry
 * @sid: the StreamID
 * @copy: what to add to an address to find it in the copy of memory
 * @ssv: the request has a SubstreamID, @ssid
 * @iova, @access, @ats, @peek: the request
 * @event: its number, 0 for none; @abort for none although it is refused
 * @s2, @cls, @ipa, @tt_write: what a stage 2 event says; @cls of any event
 * @silent, @stalled: of an event
 * @out, @lg2, @span, @user, @priv: what a request gets that is allowed
 * @message: it is an interrupt
 * @updates: addresses of entries that were changed
 */
struct oracle {
	uint32_t idr[6];
	uint64_t ste[8];
	uint32_t sid;
	uint64_t copy;
	bool ssv;
	uint32_t ssid;
	uint64_t iova;
	unsigned int access;
	bool ats;
	bool peek;

	unsigned int event;
	bool abort;
	bool s2;
	unsigned int cls;
	uint64_t ipa;
	bool tt_write;
	bool silent;
	bool stalled;
	uint64_t out;
	unsigned int lg2;
	unsigned int span;
	unsigned int user;
	unsigned int priv;
	bool message;
	uint64_t updates[ORACLE_MAX_UPDATES];
	unsigned int nupdates;

	uint64_t cd[8];
	bool stage1;
	bool stage2;
	unsigned int left; /* of @access, after what ATS does without */
};

static uint64_t o_bits(uint64_t word, int high, int low)
{
	uint64_t value = 0;
	int i;

	for (i = high; i >= low; i--)
		value = value * 2 + (word >> i & 1);
	return value;
}

static bool o_bit(uint64_t word, int n)
{
	return o_bits(word, n, n);
}

static uint64_t o_read(const struct oracle *o, uint64_t address)
{
	return *(const uint64_t *)(uintptr_t)(address + o->copy);
}

static void o_write(struct oracle *o, uint64_t address, uint64_t value)
{
	*(uint64_t *)(uintptr_t)(address + o->copy) = value;
	o->updates[o->nupdates++] = address;
}

static int o_oas(const struct oracle *o)
{
	switch (o_bits(o->idr[5], 2, 0)) {
	case 0:
		return 32;
	case 1:
		return 36;
	case 2:
		return 40;
	case 3:
		return 42;
	case 4:
		return 44;
	default:
		return 48;
	}
}

/* IPS and S2PS. */
static int o_ps(uint64_t ps)
{
	static const int sizes[] = { 32, 36, 40, 42, 44, 48, 48, 48 };

	return sizes[ps];
}

static bool o_granule_there(const struct oracle *o, int kib)
{
	return (kib == 4 && o_bit(o->idr[5], 4)) || (kib == 16 && o_bit(o->idr[5], 5)) ||
	       (kib == 64 && o_bit(o->idr[5], 6));
}

/* The lowest bit of the address that an entry of this level is chosen by. */
static int o_low(int kib, int level)
{
	static const int four[] = { 39, 30, 21, 12 };
	static const int sixteen[] = { 47, 36, 25, 14 };
	static const int sixtyfour[] = { 55, 42, 29, 16 };

	return kib == 4 ? four[level] : kib == 16 ? sixteen[level] : sixtyfour[level];
}

static bool o_refuse(struct oracle *o, unsigned int event)
{
	o->event = event;
	return false;
}

static bool o_refuse_s1(struct oracle *o, unsigned int event)
{
	o->event = event;
	o->cls = 2;
	if (o->ats)
		o->silent = true;
	else if (o->stage1 && o_bit(o->cd[0], 44))
		o->stalled = true;
	else if (o->stage1 && !o_bit(o->cd[0], 45))
		o->silent = true;
	return false;
}

static bool o_refuse_s2(struct oracle *o, unsigned int event, unsigned int cls, uint64_t ipa,
			bool write)
{
	o->event = event;
	o->s2 = true;
	o->cls = cls;
	o->ipa = ipa;
	o->tt_write = write;
	o->silent = o->ats || !o_bit(o->ste[2], 58);
	return false;
}

static bool o_is_message(const struct oracle *o, uint64_t address)
{
	return !o->ats && (o->access & 7) == O_W && address >= 0x8000000 && address <= 0x80fffff;
}

/* Is @what of @access allowed? Instructions need not be readable. */
static unsigned int o_missing(unsigned int access, unsigned int user, unsigned int priv)
{
	unsigned int have = access & O_PRIV ? priv : user, missing = 0;

	if (access & O_W && !(have & O_W))
		missing |= O_W;
	if (access & O_X && !(have & O_X))
		missing |= O_X;
	if (access & O_R && !(have & O_R) && (!(access & O_X) || access & O_W))
		missing |= O_R;
	return missing;
}

/* Where stage 2 begins, or -1 if its fields do not fit together. */
static int o_s2_start(const struct oracle *o, int *kib, int *size)
{
	const uint64_t w2 = o->ste[2];
	const int sl0 = (int)o_bits(w2, 39, 38), tg = (int)o_bits(w2, 47, 46);
	const int t0sz = (int)o_bits(w2, 37, 32), oas = o_oas(o);
	int start, index;

	if (tg == 3)
		return -1;
	*kib = tg == 0 ? 4 : tg == 1 ? 64 : 16;
	*size = 64 - t0sz;
	if (!o_granule_there(o, *kib) || t0sz < 16 || t0sz > 39 || *size > oas || sl0 == 3)
		return -1;
	start = (*kib == 4 ? 2 : 3) - sl0;
	/* Levels that only large addresses may have. */
	if (*kib == 4 && start == 0 && oas < 44)
		return -1;
	if (*kib == 16 && start == 1 && oas < 42)
		return -1;
	if (*kib == 64 && start == 1 && oas < 44)
		return -1;
	index = *size - o_low(*kib, start);
	if (index < 1 || index > (*kib == 4 ? 9 : *kib == 16 ? 11 : 13) + 4)
		return -1;
	return start;
}

/* Stage 2 of @ipa. @cls: 0 for a CD, 1 for a table of stage 1, 2 for the request's own. */
static bool o_stage2(struct oracle *o, uint64_t ipa, unsigned int access, unsigned int cls,
		     uint64_t *out, unsigned int *lg2, unsigned int *user, unsigned int *priv)
{
	const uint64_t w2 = o->ste[2];
	const bool ha = o_bit(w2, 56), hd = ha && o_bit(w2, 55);
	const bool fwb = o_bit(o->ste[1], 25) && o_bit(o->idr[3], 8);
	int kib = 0, size = 0, level = o_s2_start(o, &kib, &size), high = size - 1;
	const bool write = access & O_W;
	uint64_t table = o_bits(o->ste[3], 51, 4) << 4, desc, where, page;
	unsigned int bytes_lg2, missing;
	bool dbm;

	/* The start table is aligned to its size, but at least to 64. */
	bytes_lg2 = (unsigned int)(size - o_low(kib, level) + 3);
	if (bytes_lg2 < 6)
		bytes_lg2 = 6;
	table = table >> bytes_lg2 << bytes_lg2;
	if (size < 64 && ipa >> size) {
		if (cls == 2 && o_is_message(o, ipa)) {
			o->message = true;
			o->out = ipa;
			return false;
		}
		return o_refuse_s2(o, 0x10, cls, ipa, write);
	}
	for (;;) {
		const int low = o_low(kib, level);
		bool leaf;

		where = table + 8 * o_bits(ipa, high, low);
		desc = o_read(o, where);
		leaf = level == 3 || !o_bit(desc, 1);
		if (!o_bit(desc, 0) || (level == 3 && !o_bit(desc, 1)) || (leaf && level == 0) ||
		    (leaf && level == 1 && kib != 4)) {
			if (cls == 2 && o_is_message(o, ipa)) {
				o->message = true;
				o->out = ipa;
				return false;
			}
			return o_refuse_s2(o, 0x10, cls, ipa, write);
		}
		bytes_lg2 = leaf ? (unsigned int)low : (unsigned int)o_low(kib, 3);
		page = o_bits(desc, 47, (int)bytes_lg2) << bytes_lg2;
		if (page >> o_ps(o_bits(w2, 50, 48)))
			return o_refuse_s2(o, 0x11, cls, ipa, write);
		if (leaf)
			break;
		table = page;
		high = low - 1;
		level++;
	}
	*lg2 = bytes_lg2;
	*out = page + o_bits(ipa, (int)bytes_lg2 - 1, 0);
	if (!o_bit(desc, 10) && !ha && !o_bit(w2, 53))
		return o_refuse_s2(o, 0x12, cls, ipa, write);
	dbm = hd && o_bit(desc, 51);
	*user = (o_bit(desc, 6) ? O_R : 0) | (o_bit(desc, 7) || dbm ? O_W : 0);
	*priv = *user;
	if (o_bit(o->idr[3], 4)) {
		switch (o_bits(desc, 54, 53)) {
		case 0:
			*user |= O_X;
			*priv |= O_X;
			break;
		case 1:
			*user |= O_X;
			break;
		case 3:
			*priv |= O_X;
			break;
		}
	} else if (!o_bit(desc, 54)) {
		*user |= O_X;
		*priv |= O_X;
	}
	missing = o_missing(access, *user, *priv);
	if (missing && cls == 2 && o->ats && access & 7 & ~missing) {
		access &= ~missing;
		missing = 0;
	}
	if (missing)
		return o_refuse_s2(o, 0x13, cls, ipa, write);
	/* S2PTW: stage 1's tables and CDs are not in devices. */
	if (cls != 2 && o_bit(w2, 54) && (fwb ? !o_bit(desc, 4) : !o_bits(desc, 5, 4)))
		return o_refuse_s2(o, 0x13, cls, ipa, write);
	if (!o->peek) {
		uint64_t new = desc;

		if (!o_bit(desc, 10) && ha)
			new += 1ull << 10;
		if (dbm && access & O_W)
			new |= 1ull << 7;
		if (new != desc)
			o_write(o, where, new);
	}
	/* Not to be kept as writable until it is known to be written. */
	if (dbm && !o_bit(desc, 7) && !(access & O_W)) {
		*user &= ~(unsigned int)O_W;
		*priv &= ~(unsigned int)O_W;
	}
	return true;
}

/* A word that stage 1 needs: @where is an IPA with stage 2, and is made an address. */
static bool o_find(struct oracle *o, uint64_t *where, unsigned int access, unsigned int cls)
{
	unsigned int lg2, user, priv;

	return !o->stage2 || o_stage2(o, *where, access, cls, where, &lg2, &user, &priv);
}

static bool o_stage1(struct oracle *o)
{
	const uint64_t w0 = o->cd[0];
	const bool upper = o_bit(o->iova, 55), tbi = o_bit(w0, upper ? 39 : 38);
	const bool ha = o_bit(w0, 43), hd = ha && o_bit(w0, 42);
	const bool had = o_bit(o->cd[upper ? 2 : 1], 1) && o_bit(o->idr[3], 2);
	const int size = 64 - (int)o_bits(w0, upper ? 21 : 5, upper ? 16 : 0);
	const int tg = (int)o_bits(w0, upper ? 23 : 7, upper ? 22 : 6);
	int limit = o_ps(o_bits(w0, 34, 32)), kib, level, high = size - 1, i;
	uint64_t table = o_bits(o->cd[upper ? 2 : 1], 51, 4) << 4, desc, where, ipa, page;
	bool no_user = false, read_only = false, uxn = false, pxn = false, dbm, w, user_ok;
	unsigned int bytes_lg2, missing;

	if (o->stage2 && o_oas(o) < limit)
		limit = o_oas(o);
	for (i = tbi ? 55 : 63; i >= size; i--)
		if (o_bit(o->iova, i) != upper)
			goto translation;
	if (o_bit(w0, upper ? 30 : 14))
		goto translation;
	if (upper)
		kib = tg == 1 ? 16 : tg == 2 ? 4 : 64;
	else
		kib = tg == 0 ? 4 : tg == 1 ? 64 : 16;
	/* The highest level that the input has a bit for. */
	for (level = 0; o_low(kib, level) >= size; level++)
		;
	bytes_lg2 = (unsigned int)(size - o_low(kib, level) + 3);
	if (bytes_lg2 < 6)
		bytes_lg2 = 6;
	table = table >> bytes_lg2 << bytes_lg2;
	for (;;) {
		const int low = o_low(kib, level);
		bool leaf;

		ipa = where = table + 8 * o_bits(o->iova, high, low);
		if (!o_find(o, &where, O_R, 1))
			return false;
		desc = o_read(o, where);
		leaf = level == 3 || !o_bit(desc, 1);
		if (!o_bit(desc, 0) || (level == 3 && !o_bit(desc, 1)) || (leaf && level == 0) ||
		    (leaf && level == 1 && kib != 4))
			goto translation;
		bytes_lg2 = leaf ? (unsigned int)low : (unsigned int)o_low(kib, 3);
		page = o_bits(desc, 47, (int)bytes_lg2) << bytes_lg2;
		if (page >> limit)
			return o_refuse_s1(o, 0x11);
		if (leaf)
			break;
		if (!had) {
			no_user |= o_bit(desc, 61);
			read_only |= o_bit(desc, 62);
			uxn |= o_bit(desc, 60);
			pxn |= o_bit(desc, 59);
		}
		table = page;
		high = low - 1;
		level++;
	}
	o->lg2 = bytes_lg2;
	o->out = page + o_bits(o->iova, (int)bytes_lg2 - 1, 0);
	if (!o_bit(desc, 10) && !ha && !o_bit(w0, 35))
		return o_refuse_s1(o, 0x12);
	dbm = hd && o_bit(desc, 51);
	user_ok = o_bit(desc, 6) && !no_user;
	w = (!o_bit(desc, 7) || dbm) && !read_only;
	o->user = user_ok ? O_R | (w ? O_W : 0) : 0;
	o->priv = O_R | (w ? O_W : 0);
	if (!o_bit(desc, 54) && !uxn && !(o_bit(w0, 36) && o->user & O_W))
		o->user |= O_X;
	if (!o_bit(desc, 53) && !pxn && !(user_ok && w) && !(o_bit(w0, 36) && w))
		o->priv |= O_X;
	if (o_bit(w0, 40) && user_ok)
		o->priv &= ~(unsigned int)(O_R | O_W);
	missing = o_missing(o->left, o->user, o->priv);
	if (missing && o->ats && o->left & 7 & ~missing) {
		o->left &= ~missing;
		missing = 0;
	}
	if (missing)
		return o_refuse_s1(o, 0x13);
	if (!o->peek) {
		uint64_t new = desc;

		if (!o_bit(desc, 10) && ha)
			new += 1ull << 10;
		if (dbm && o->left & O_W && o_bit(desc, 7))
			new -= 1ull << 7;
		if (new != desc) {
			where = ipa;
			if (!o_find(o, &where, O_W, 1))
				return false;
			o_write(o, where, new);
		}
	}
	if (dbm && o_bit(desc, 7) && !(o->left & O_W)) {
		o->user &= ~(unsigned int)O_W;
		o->priv &= ~(unsigned int)O_W;
	}
	return true;

translation:
	if (!o->stage2 && !o->ssv && o_is_message(o, o->iova)) {
		o->message = true;
		o->out = o->iova;
		return false;
	}
	return o_refuse_s1(o, 0x10);
}

static bool o_ste_legal(const struct oracle *o)
{
	const unsigned int config = (unsigned int)o_bits(o->ste[0], 3, 1);
	const unsigned int httu = (unsigned int)o_bits(o->idr[0], 7, 6);
	int kib, size;

	/* EATS: split stage is not there, and 3 is reserved. */
	if (o_bit(o->idr[0], 10) && o_bit(o->ste[1], 29))
		return false;
	if (config == 6 || config == 7) {
		const uint64_t w2 = o->ste[2];

		if (!o_bit(o->idr[0], 0) || !o_bit(w2, 51) || o_bit(w2, 52))
			return false;
		if (o_bit(w2, 57) && o_bits(o->idr[0], 25, 24) == 1)
			return false;
		if ((o_bit(w2, 56) && httu == 0) || (o_bit(w2, 55) && httu < 2))
			return false;
		if (o_s2_start(o, &kib, &size) < 0 || o_bits(o->ste[3], 51, 48))
			return false;
	}
	if (config == 5 || config == 7) {
		const uint64_t cdmax = o_bits(o->ste[0], 63, 59), fmt = o_bits(o->ste[0], 5, 4);

		if (!o_bit(o->idr[0], 1) || o_bits(o->ste[1], 31, 30))
			return false;
		if (cdmax > o_bits(o->idr[1], 10, 6))
			return false;
		if (config == 5 && o_bits(o->ste[0], 51, 48))
			return false;
		if (cdmax && (fmt == 3 || (fmt && !o_bit(o->idr[0], 19))))
			return false;
		if (cdmax && o_bits(o->ste[1], 1, 0) == 3)
			return false;
	}
	return true;
}

static bool o_cd_legal(const struct oracle *o)
{
	const uint64_t w0 = o->cd[0];
	const unsigned int httu = (unsigned int)o_bits(o->idr[0], 7, 6);
	const unsigned int stall = (unsigned int)o_bits(o->idr[0], 25, 24);
	int limit = o_ps(o_bits(w0, 34, 32)), i;

	if (o->stage2 && o_oas(o) < limit)
		limit = o_oas(o);
	if (!o_bit(w0, 31) || !o_bit(w0, 41) || o_bit(w0, 15))
		return false;
	if ((o_bit(w0, 43) && !httu) || (o_bit(w0, 42) && httu < 2))
		return false;
	if (o_bit(w0, 44) && (stall == 1 || o_bit(o->ste[1], 27)))
		return false;
	if (!o_bit(w0, 44) && stall == 2)
		return false;
	if (!o_bit(w0, 46) && o_bit(o->idr[0], 26))
		return false;
	if (o_bits(w0, 63, 56) && !o_bit(o->idr[0], 12))
		return false;
	for (i = 0; i < 2; i++) {
		static const int kib[2][4] = { { 4, 64, 16, 0 }, { 0, 16, 4, 64 } };
		const uint64_t tsz = o_bits(w0, i ? 21 : 5, i ? 16 : 0);

		if (o_bit(w0, i ? 30 : 14))
			continue;
		if (tsz < 16 || tsz > 39)
			return false;
		if (!o_granule_there(o, kib[i][o_bits(w0, i ? 23 : 7, i ? 22 : 6)]))
			return false;
		if (o_bits(o->cd[1 + i], 51, 4) << 4 >> limit)
			return false;
	}
	return true;
}

/* The CD of the request, if stage 1 is for it. */
static bool o_configure(struct oracle *o)
{
	const unsigned int config = (unsigned int)o_bits(o->ste[0], 3, 1);
	const uint64_t cdmax = o_bits(o->ste[0], 63, 59), dss = o_bits(o->ste[1], 1, 0);
	uint64_t fmt = o_bits(o->ste[0], 5, 4), where = o_bits(o->ste[0], 51, 6) << 6, leaf, l1;
	uint32_t ssid = o->ssv ? o->ssid : 0;
	int i;

	if (!o_bit(o->ste[0], 0))
		return o_refuse(o, 0x04);
	if (config < 4) {
		o->abort = true;
		return false;
	}
	if (!o_ste_legal(o))
		return o_refuse(o, 0x04);
	o->stage2 = config == 6 || config == 7;
	if (config == 4 || config == 6)
		return o->ssv ? o_refuse(o, 0x08) : true;
	if (o->ssv) {
		if (!cdmax || ssid >= 1ull << cdmax)
			return o_refuse(o, 0x08);
		if (!ssid && dss == 2)
			return o_refuse(o, 0x06);
	} else if (cdmax) {
		if (dss == 0)
			return o_refuse(o, 0x06);
		if (dss == 1)
			return true;
	}
	if (!cdmax)
		fmt = 0;
	if (fmt) {
		leaf = fmt == 1 ? 64 : 1024;
		where += ssid / leaf * 8;
		if (!o_find(o, &where, O_R, 0))
			return false;
		l1 = o_read(o, where);
		if (!o_bit(l1, 0))
			return o_refuse(o, 0x08);
		where = (o_bits(l1, 51, 12) << 12) + ssid % leaf * 64;
	} else {
		where += ssid * 64ull;
	}
	if (!o_find(o, &where, O_R, 0))
		return false;
	for (i = 0; i < 4; i++)
		o->cd[i] = o_read(o, where + 8 * (uint64_t)i);
	if (!o_cd_legal(o))
		return o_refuse(o, 0x0a);
	o->stage1 = true;
	return true;
}

static bool o_translate(struct oracle *o)
{
	unsigned int user = 0, priv = 0, lg2 = 0;

	if (!o_configure(o))
		return false;
	if (o->ats &&
	    (!o_bit(o->idr[0], 10) || o_bits(o->ste[1], 29, 28) != 1 || (!o->stage1 && !o->stage2)))
		return o_refuse(o, 0x05);
	if (!o->stage1 && !o->stage2) {
		if (o->iova >> 48)
			return o_refuse_s1(o, 0x11);
		o->out = o->iova;
		o->lg2 = o->span = 12;
		o->user = o->priv = O_R | O_W | O_X;
		return true;
	}
	if (o->stage1 && !o_stage1(o))
		return false;
	if (!o->stage1) {
		if (!o_stage2(o, o->iova, o->left, 2, &o->out, &o->lg2, &o->user, &o->priv))
			return false;
		o->span = o->lg2;
		return true;
	}
	o->span = o->lg2;
	if (!o->stage2)
		return true;
	if (!o_stage2(o, o->out, o->left, 2, &o->out, &lg2, &user, &priv))
		return false;
	o->user &= user;
	o->priv &= priv;
	if (lg2 < o->lg2)
		o->lg2 = lg2;
	return true;
}

/* Return: it may. Otherwise @message, @abort or @event say what it is. */
static bool oracle_run(struct oracle *o)
{
	o->event = o->cls = o->lg2 = o->span = o->user = o->priv = o->nupdates = 0;
	o->abort = o->s2 = o->tt_write = o->silent = o->stalled = o->message = false;
	o->stage1 = o->stage2 = false;
	o->ipa = o->out = 0;
	o->left = o->access;
	memset(o->cd, 0, sizeof(o->cd));
	return o_translate(o);
}

/* The record of what oracle_run() refused. */
static void oracle_record(const struct oracle *o, uint64_t record[4])
{
	const bool walk = o->event >= 0x10;

	memset(record, 0, 4 * sizeof(record[0]));
	if (!o->event)
		return;
	record[0] = o->event + ((uint64_t)o->sid << 32);
	if (o->ssv)
		record[0] += (1ull << 11) + ((uint64_t)o->ssid << 12);
	if (walk) {
		record[1] = (uint64_t)o->cls << 40;
		if (o->stalled)
			record[1] += 1ull << 31;
		if (o->access & O_PRIV)
			record[1] += 1ull << 33;
		if (o->access & O_X)
			record[1] += 1ull << 34;
		if (!(o->access & O_W))
			record[1] += 1ull << 35;
		if (o->s2)
			record[1] += 1ull << 39;
		if (o->s2 && o->cls == 1 && !o->tt_write)
			record[1] += 1ull << 44;
		if (o->s2)
			record[3] = o_bits(o->ipa, 51, 12) << 12;
	}
	if (walk || o->event == 0x05)
		record[2] = o->iova;
}

#endif
