/* SPDX-License-Identifier: MIT */
/*
 * What a VT-d unit does with a request whose PASID-table entry is known: a second
 * implementation, which shares nothing with the first and takes the steps of the
 * specification (D51397) one by one, as slowly as they read.
 *
 * It works on a copy of the memory, so that the marks that it sets can be held
 * against those of the model.
 */
#ifndef UNIT_ORACLE_VTD_H
#define UNIT_ORACLE_VTD_H

#include <stdbool.h>
#include <stdint.h>

#define ORACLE_MAX_TOUCHED 256

/**
 * struct oracle - the hardware, and one request
 * @cap: Capability Register
 * @ecap: Extended Capability Register
 * @e: PASID-table entry
 * @memory: where the tables' addresses begin
 * @copy: where their copy is
 * @pasid: the request has a PASID
 * @read: it reads
 * @write: it writes
 * @exec: it fetches code
 * @priv: it is privileged
 * @ats: it only asks for a translation
 * @peek: nothing is to be marked
 * @touched: words that were looked at, by their place in memory
 * @ntouched: how many
 */
struct oracle {
	uint64_t cap, ecap, e[8];
	uint64_t memory;
	uint8_t *copy;
	bool pasid, read, write, exec, priv, ats, peek;
	uint64_t touched[ORACLE_MAX_TOUCHED];
	unsigned int ntouched;
};

/* What comes of it: a fault's reason, or the rest. */
struct oracle_result {
	unsigned int reason;
	uint64_t out;
	unsigned int lg2, span;
	bool user_r, user_w, user_x, priv_r, priv_w, priv_x;
};

static inline uint64_t bits(uint64_t word, unsigned int hi, unsigned int lo)
{
	return hi - lo == 63 ? word : word >> lo & (((uint64_t)1 << (hi - lo + 1)) - 1);
}

static inline uint64_t *oracle_word(struct oracle *o, uint64_t address)
{
	if (o->ntouched < ORACLE_MAX_TOUCHED)
		o->touched[o->ntouched++] = address - o->memory;
	return (uint64_t *)(o->copy + (address - o->memory));
}

/* Section 9.6: is the entry one that hardware takes? */
static inline unsigned int oracle_entry(const struct oracle *o)
{
	unsigned int pgtt = (unsigned int)bits(o->e[0], 8, 6);
	unsigned int aw = (unsigned int)bits(o->e[0], 4, 2);
	unsigned int fspm = (unsigned int)bits(o->e[2], 3, 2);
	bool first = pgtt == 1 || pgtt == 3, second = pgtt == 2 || pgtt == 3;

	if (!bits(o->e[0], 0, 0))
		return 0x59;
	if (bits(o->e[0], 11, 10) || bits(o->e[1], 22, 16) || bits(o->e[2], 11, 8))
		return 0x5a;
	if (o->e[3] || o->e[4] || o->e[5] || o->e[6] || o->e[7])
		return 0x5a;
	if (pgtt == 0 || pgtt > 4)
		return 0x5b;
	/* SRE without SRS, ERE without ERS. */
	if (bits(o->e[2], 0, 0) && !bits(o->ecap, 31, 31))
		return 0x5b;
	if (bits(o->e[2], 1, 1) && !bits(o->ecap, 30, 30))
		return 0x5b;
	if (first && (fspm > 1 || (fspm == 1 && !bits(o->cap, 60, 60))))
		return 0x5b;
	if (first && bits(o->e[2], 7, 7) && !bits(o->ecap, 34, 34))
		return 0x5b;
	if (pgtt != 1 && (aw < 1 || aw > 3 || !bits(o->cap, 8 + aw, 8 + aw)))
		return 0x5b;
	if (second && bits(o->e[0], 9, 9) && !bits(o->ecap, 45, 45))
		return 0x5b;
	return 0;
}

/* The second stage's page of an address. */
struct oracle_page {
	uint64_t out, entry_at;
	unsigned int lg2;
	bool r, w, dirty;
};

/* Sections 3.7 and 9.8. All but the page's own entry is marked accessed. */
static inline unsigned int oracle_second(struct oracle *o, uint64_t in, bool read, bool write,
					 struct oracle_page *page)
{
	unsigned int levels = (unsigned int)bits(o->e[0], 4, 2) + 2, level;
	unsigned int width = 12 + 9 * levels, mgaw = (unsigned int)bits(o->cap, 21, 16) + 1;
	uint64_t table = o->e[0] & ~0xfffull;

	page->r = page->w = true;
	if (mgaw < width)
		width = mgaw;
	if (in >= 1ull << width)
		return 0x84;
	for (level = levels; level >= 1; level--) {
		unsigned int low = 12 + 9 * (level - 1);
		uint64_t at = table + 8 * bits(in, low + 8, low);
		uint64_t *entry = oracle_word(o, at);
		bool is_page = level == 1 || bits(*entry, 7, 7);

		if (!bits(*entry, 1, 0))
			return 0x79;
		if (write && !bits(*entry, 1, 1))
			return 0x85;
		if (read && !bits(*entry, 0, 0))
			return 0x86;
		page->r = page->r && bits(*entry, 0, 0);
		page->w = page->w && bits(*entry, 1, 1);
		if (!is_page) {
			if (bits(*entry, 11, 11))
				return 0x7a;
			if (bits(o->e[0], 9, 9) && !o->peek)
				*entry |= 1 << 8;
			table = bits(*entry, 51, 12) << 12;
			continue;
		}
		if (level > 3 || (level == 3 && !bits(o->cap, 35, 35)) ||
		    (level == 2 && !bits(o->cap, 34, 34)))
			return 0x7a;
		if (bits(*entry, 62, 62) || (level > 1 && bits(*entry, low - 1, 12)))
			return 0x7a;
		page->entry_at = at;
		page->dirty = bits(*entry, 9, 9);
		page->lg2 = low;
		page->out = (bits(*entry, 51, low) << low) + bits(in, low - 1, 0);
		return 0;
	}
	return 0;
}

static inline void oracle_mark_second(struct oracle *o, struct oracle_page *page, bool dirty)
{
	uint64_t *entry = oracle_word(o, page->entry_at);

	if (!bits(o->e[0], 9, 9) || o->peek)
		return;
	*entry |= 1 << 8;
	if (dirty)
		*entry |= 1 << 9;
	page->dirty = page->dirty || dirty;
}

/* Where a word of a first-stage table is, to be read or to be marked. */
static inline unsigned int oracle_table(struct oracle *o, uint64_t address, bool top, bool write,
					uint64_t *out)
{
	struct oracle_page page;
	unsigned int reason;

	*out = address;
	if (bits(o->e[0], 8, 6) != 3)
		return 0;
	reason = oracle_second(o, address, !write, write, &page);
	if (reason == 0x84)
		return 0x74;
	if (reason == 0x7a)
		return 0x7a;
	if (reason)
		return write ? 0x77 : top ? 0x75 : 0x76;
	oracle_mark_second(o, &page, write);
	*out = page.out;
	return 0;
}

/* The first stage's page of an address, and what all levels say of it. */
struct oracle_first {
	uint64_t out, entry_at, entry_where;
	unsigned int lg2;
	bool us, rw, xd, top;
};

static inline bool oracle_priv_may_write(const struct oracle *o, const struct oracle_first *f)
{
	return f->rw || !bits(o->e[2], 4, 4);
}

/* Sections 3.6 and 9.7. */
static inline unsigned int oracle_first(struct oracle *o, uint64_t in, struct oracle_first *f)
{
	unsigned int levels = bits(o->e[2], 3, 2) == 1 ? 5 : 4, level, reason;
	unsigned int sign = 12 + 9 * levels - 1;
	uint64_t table = o->e[2] & ~0xfffull, where;
	bool write = o->write && !o->ats, exec = o->exec && !o->ats;
	uint64_t mark = (1 << 5) | (bits(o->e[2], 7, 7) ? 1 << 10 : 0);

	if (bits(in, 63, sign) && bits(in, 63, sign) != bits(~0ull, 63, sign))
		return 0x80;
	f->us = f->rw = true;
	f->xd = false;
	for (level = levels; level >= 1; level--) {
		unsigned int low = 12 + 9 * (level - 1);
		uint64_t at = table + 8 * bits(in, low + 8, low), *entry;
		bool ps;

		reason = oracle_table(o, at, level == levels, false, &where);
		if (reason)
			return reason;
		entry = oracle_word(o, where);
		ps = level > 1 && bits(*entry, 7, 7);
		if (!bits(*entry, 0, 0))
			return 0x71;
		if (!o->priv && !bits(*entry, 2, 2))
			return 0x81;
		if (write && !bits(*entry, 1, 1) && (!o->priv || bits(o->e[2], 4, 4)))
			return 0x85;
		if (exec && bits(*entry, 63, 63) && bits(o->e[2], 5, 5))
			return 0x82;
		if (ps && (level > 3 || (level == 3 && !bits(o->cap, 56, 56))))
			return 0x72;
		if (ps && bits(*entry, low - 1, 13))
			return 0x72;
		f->us = f->us && bits(*entry, 2, 2);
		f->rw = f->rw && bits(*entry, 1, 1);
		f->xd = f->xd || (bits(*entry, 63, 63) && bits(o->e[2], 5, 5));
		if (level == 1 || ps) {
			f->lg2 = low;
			f->out = (bits(*entry, 51, low) << low) + bits(in, low - 1, 0);
			f->entry_at = at;
			f->entry_where = where;
			f->top = level == levels;
			if (exec && o->priv && f->us && bits(o->e[2], 6, 6))
				return 0x82;
			return 0;
		}
		if (!o->peek && (*entry & mark) != mark) {
			reason = oracle_table(o, at, level == levels, true, &where);
			if (reason)
				return reason;
			*entry |= mark;
		}
		table = bits(*entry, 51, 12) << 12;
	}
	return 0;
}

/* Accessed, and dirty if the page is going to be written. */
static inline unsigned int oracle_mark_first(struct oracle *o, const struct oracle_first *f,
					     bool dirty)
{
	uint64_t mark = (1 << 5) | (bits(o->e[2], 7, 7) ? 1 << 10 : 0) | (dirty ? 1 << 6 : 0);
	uint64_t *entry = oracle_word(o, f->entry_where), where;
	unsigned int reason;

	if (o->peek || (*entry & mark) == mark)
		return 0;
	reason = oracle_table(o, f->entry_at, f->top, true, &where);
	if (!reason)
		*entry |= mark;
	return reason;
}

static inline void oracle_first_perms(struct oracle *o, const struct oracle_first *f,
				      struct oracle_result *res)
{
	bool dirty = bits(*oracle_word(o, f->entry_where), 6, 6);

	res->user_r = f->us;
	res->user_w = f->us && f->rw && dirty;
	res->user_x = f->us && !f->xd;
	res->priv_r = true;
	res->priv_w = oracle_priv_may_write(o, f) && dirty;
	res->priv_x = !f->xd && !(f->us && bits(o->e[2], 6, 6));
}

static inline void oracle_second_perms(struct oracle *o, const struct oracle_page *page,
				       struct oracle_result *res)
{
	/* A write that would have to mark the page is left for the next time. */
	bool dirty = page->dirty || !bits(o->e[0], 9, 9);

	res->user_r = res->user_r && page->r;
	res->priv_r = res->priv_r && page->r;
	res->user_x = res->user_x && page->r;
	res->priv_x = res->priv_x && page->r;
	res->user_w = res->user_w && page->w && dirty;
	res->priv_w = res->priv_w && page->w && dirty;
}

static inline unsigned int oracle_tables(struct oracle *o, uint64_t in, struct oracle_result *res)
{
	bool first = bits(o->e[0], 6, 6), second = bits(o->e[0], 7, 7), dirty = o->write;
	struct oracle_first f = { .out = in, .lg2 = 64 };
	struct oracle_page page = { .lg2 = 64 };
	unsigned int reason = 0;

	*res = (struct oracle_result){ 0, 0, 0, 0, true, true, true, true, true, true };
	if (first)
		reason = oracle_first(o, in, &f);
	if (!reason && second)
		reason = oracle_second(o, f.out, (o->read || o->exec) && !o->ats,
				       o->write && !o->ats, &page);
	if (reason)
		return reason;
	if (second)
		dirty = dirty && page.w;
	if (first)
		dirty = dirty && (f.rw || (o->priv && oracle_priv_may_write(o, &f)));
	if (first)
		reason = oracle_mark_first(o, &f, dirty);
	if (reason)
		return reason;
	if (second)
		oracle_mark_second(o, &page, dirty);
	if (first)
		oracle_first_perms(o, &f, res);
	if (second)
		oracle_second_perms(o, &page, res);
	res->out = second ? page.out : f.out;
	res->lg2 = f.lg2 < page.lg2 ? f.lg2 : page.lg2;
	res->span = first ? f.lg2 : page.lg2;
	return 0;
}

/* Section 3.14: nothing may come out at the interrupts' addresses. */
static inline unsigned int oracle_interrupts(struct oracle_result *res)
{
	uint64_t first = res->out >> res->lg2 << res->lg2, i;

	if (res->out >> 20 == 0xfee)
		return 0x87;
	for (i = 0; i < 256; i++)
		if ((0xfee00ull + i) << 12 >> res->lg2 << res->lg2 == first)
			res->lg2 = 12;
	return 0;
}

/* Who has no PASID writes messages there: see that no other write is remembered. */
static inline void oracle_window(struct oracle_result *res, uint64_t in)
{
	uint64_t i;

	for (i = 0; i < 256; i++)
		if ((0xfee00ull + i) << 12 >> res->lg2 == in >> res->lg2)
			res->lg2 = 12;
	if (in >> 20 == 0xfee)
		res->user_w = res->priv_w = false;
}

static inline struct oracle_result oracle_run(struct oracle *o, uint64_t in)
{
	struct oracle_result res = { 0 };
	unsigned int reason;

	o->ntouched = 0;
	if (!o->pasid)
		o->exec = o->priv = false;
	reason = oracle_entry(o);
	if (!reason && o->exec && !bits(o->e[2], 1, 1))
		reason = 0x5c;
	if (!reason && o->priv && !bits(o->e[2], 0, 0))
		reason = 0x5d;
	if (!reason)
		reason = oracle_tables(o, in, &res);
	if (!reason)
		reason = oracle_interrupts(&res);
	res.reason = reason;
	if (!reason && !o->pasid && !o->ats)
		oracle_window(&res, in);
	if (!o->pasid) {
		res.user_x = res.user_r;
		res.priv_r = res.user_r;
		res.priv_w = res.user_w;
		res.priv_x = res.user_r;
		return res;
	}
	if (!bits(o->e[2], 1, 1))
		res.user_x = res.priv_x = false;
	if (!bits(o->e[2], 0, 0))
		res.priv_r = res.priv_w = res.priv_x = false;
	return res;
}

#endif
