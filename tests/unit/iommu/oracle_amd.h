/* SPDX-License-Identifier: MIT */
/*
 * What an AMD IOMMU does with a request, step by step as the "AMD I/O
 * Virtualization Technology (IOMMU) Specification" (48882) tells it, without a
 * thought to speed. It shares no code with the model: it has constants and
 * structures of its own, and memory of its own too, a copy of what the model
 * works on that is @delta away from it.
 *
 * Where the specification leaves an order open, docs/models/amd.md says which one
 * the model has, and this follows that.
 */
#ifndef UNIT_ORACLE_AMD_H
#define UNIT_ORACLE_AMD_H

#include <stdbool.h>
#include <stdint.h>

#define ORACLE_MAX_WRITES 64

/**
 * struct oracle - an IOMMU and a device
 * @dte: the device table entry
 * @host_levels: what HATS says
 * @five: GATS: guest tables may have 5 levels
 * @glx: GLXSup, not 3
 * @nx: NXSup
 * @had: HASup and HDSup
 * @delta: from an address to the copy of what is there
 * @has_pasid: requests have a PASID
 * @pasid: which
 * @requester: id of the device
 */
struct oracle {
	uint64_t dte[4];
	unsigned int host_levels;
	bool five;
	unsigned int glx;
	bool nx;
	bool had;
	uint64_t delta;
	bool has_pasid;
	uint32_t pasid;
	uint32_t requester;
};

/* A request: @priv counts only with a PASID. */
struct oracle_request {
	uint64_t iova;
	bool read, write, exec, priv;
	bool ats;
	bool peek;
};

/**
 * struct oracle_answer - what comes of it
 * @ok: it is translated
 * @interrupt: it is an interrupt
 * @hpa: to this
 * @small: log2 of the smallest page that took part
 * @large: of the largest
 * @user: what users may do: 1 read, 2 write, 4 execute
 * @priv: what privileged software may do
 * @code: otherwise: the event
 * @flags: its flags
 * @address: its address
 * @stage2: host tables refused a guest's address
 * @may_help: asking for the page may help
 * @writes: addresses of words that were changed
 * @nwrites: how many
 */
struct oracle_answer {
	bool ok;
	bool interrupt;
	uint64_t hpa;
	unsigned int small, large;
	unsigned int user, priv;
	unsigned int code;
	unsigned int flags;
	uint64_t address;
	bool stage2;
	bool may_help;
	uint64_t writes[ORACLE_MAX_WRITES];
	unsigned int nwrites;
};

struct oracle_run {
	const struct oracle *o;
	const struct oracle_request *q;
	struct oracle_answer *a;
};

/* Bits @hi to @lo. */
static uint64_t oracle_bits(uint64_t word, unsigned int hi, unsigned int lo)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = lo; i <= hi; i++)
		if (word >> i & 1)
			value |= 1ull << (i - lo);
	return value;
}

static bool oracle_bit(uint64_t word, unsigned int n)
{
	return word >> n & 1;
}

static uint64_t oracle_read(struct oracle_run *run, uint64_t address)
{
	return *(uint64_t *)(uintptr_t)(address + run->o->delta);
}

static void oracle_set(struct oracle_run *run, uint64_t address, unsigned int bit)
{
	uint64_t *word = (uint64_t *)(uintptr_t)(address + run->o->delta);

	if (run->q->peek || oracle_bit(*word, bit))
		return;
	*word |= 1ull << bit;
	run->a->writes[run->a->nwrites++] = address;
}

static bool oracle_is_priv(const struct oracle_run *run)
{
	return run->o->has_pasid && run->q->priv;
}

/* Section 2.5.3 IO_PAGE_FAULT: GN, PR, PE, RZ as given, the rest by the request. */
static bool oracle_page_fault(struct oracle_run *run, bool gn, bool pr, bool pe, bool rz,
			      uint64_t address)
{
	run->a->code = 2;
	run->a->address = address;
	run->a->flags = (gn ? 1 : 0) | (pr ? 1 << 4 : 0) | (run->q->write ? 1 << 5 : 0) |
			(pe ? 1 << 6 : 0) | (rz ? 1 << 7 : 0) | (run->q->ats ? 1 << 8 : 0);
	if (gn && run->q->exec)
		run->a->flags |= 1 << 1;
	if (gn && !oracle_is_priv(run))
		run->a->flags |= 1 << 2;
	/* A device that asks for a translation may ask for a page if it gets none. */
	if (run->q->ats)
		run->a->may_help = oracle_bit(run->o->dte[0], 1) && !rz;
	return false;
}

/* Host tables refuse an address: a guest's, if @stage2. */
static bool oracle_refuse(struct oracle_run *run, bool stage2, bool pr, bool pe, bool rz,
			  uint64_t gpa)
{
	run->a->stage2 = stage2;
	return oracle_page_fault(run, false, pr, pe, rz, gpa);
}

/* What host tables make of an address. */
struct oracle_host {
	uint64_t hpa;
	unsigned int lg2;
	bool ir, iw;
	bool dirty;    /* the page's entry has D set */
	bool tables;   /* there are any */
	uint64_t leaf; /* address of the page's entry */
};

/* Table 14: the size that a page of NextLevel 7 has. 0: none. */
static unsigned int oracle_encoded(uint64_t entry)
{
	unsigned int bit, lg2 = 13;

	for (bit = 12; bit <= 51; bit++, lg2++)
		if (!oracle_bit(entry, bit))
			return lg2 <= 51 ? lg2 : 0;
	return 0;
}

/*
 * Section 2.2.3. Accessed bits of tables are set on the way; those of the page
 * are for the caller.
 */
static bool oracle_host(struct oracle_run *run, uint64_t gpa, bool need_r, bool need_w, bool stage2,
			struct oracle_host *h)
{
	const uint64_t *dte = run->o->dte;
	unsigned int level = (unsigned int)oracle_bits(dte[0], 11, 9), i;
	uint64_t table = oracle_bits(dte[0], 51, 12) << 12;
	static const unsigned int low_bit[] = { 0, 12, 21, 30, 39, 48, 57, 64 };

	h->ir = oracle_bit(dte[0], 61);
	h->iw = oracle_bit(dte[0], 62);
	h->tables = level;
	h->hpa = gpa;
	h->lg2 = 30;
	if (level && level < 6 && gpa >= 1ull << low_bit[level + 1])
		return oracle_refuse(run, stage2, false, false, false, gpa);
	while (level) {
		unsigned int top = level == 6 ? 63 : low_bit[level + 1] - 1, next, lg2;
		uint64_t address = table + oracle_bits(gpa, top, low_bit[level]) * 8;
		uint64_t entry = oracle_read(run, address);

		if (!oracle_bit(entry, 0))
			return oracle_refuse(run, stage2, false, false, false, gpa);
		if (oracle_bit(entry, 63))
			return oracle_refuse(run, stage2, true, false, true, gpa);
		next = (unsigned int)oracle_bits(entry, 11, 9);
		h->ir &= oracle_bit(entry, 61);
		h->iw &= oracle_bit(entry, 62);
		if (next == 0 || next == 7) {
			lg2 = next == 0 ? low_bit[level] : oracle_encoded(entry);
			/* A page is made of items of one table. */
			if (level == 6 || !lg2 || lg2 < low_bit[level] || lg2 > low_bit[level] + 8)
				return oracle_refuse(run, stage2, true, false, true, gpa);
			h->lg2 = lg2;
			h->hpa = 0;
			for (i = 0; i < 52; i++)
				if (oracle_bit(i < lg2 ? gpa : entry, i))
					h->hpa |= 1ull << i;
			h->leaf = address;
			h->dirty = oracle_bit(entry, 6);
			break;
		}
		if (next >= level)
			return oracle_refuse(run, stage2, true, false, true, gpa);
		/* Bits of the levels between must be zero. */
		if (next + 1 < level &&
		    oracle_bits(gpa, low_bit[level] - 1, low_bit[next + 1]) != 0)
			return oracle_refuse(run, stage2, false, false, false, gpa);
		if (oracle_bit(dte[0], 7))
			oracle_set(run, address, 5);
		table = oracle_bits(entry, 51, 12) << 12;
		level = next;
	}
	if ((need_r && !h->ir) || (need_w && !h->iw))
		return oracle_refuse(run, stage2, true, true, false, gpa);
	return true;
}

/* The page is used, or written. */
static void oracle_host_used(struct oracle_run *run, struct oracle_host *h, bool written)
{
	if (!h->tables)
		return;
	if (oracle_bit(run->o->dte[0], 7))
		oracle_set(run, h->leaf, 5);
	if (written && oracle_bit(run->o->dte[0], 8)) {
		oracle_set(run, h->leaf, 6);
		h->dirty |= !run->q->peek;
	}
}

/* What a translation may be kept for: not writes that must still set D. */
static unsigned int oracle_host_perms(struct oracle_run *run, const struct oracle_host *h)
{
	unsigned int perms = h->ir ? 1 | 4 : 0;

	if (h->iw && !(oracle_bit(run->o->dte[0], 8) && h->tables && !h->dirty))
		perms |= 2;
	return perms;
}

static bool oracle_finish(struct oracle_run *run, bool gn, unsigned int user, unsigned int priv)
{
	if (run->q->ats && !user && !priv)
		return oracle_page_fault(run, gn, true, true, false, run->q->iova);
	run->a->ok = true;
	run->a->user = user;
	run->a->priv = priv;
	return true;
}

static bool oracle_host_only(struct oracle_run *run)
{
	const struct oracle_request *q = run->q;
	bool must = !q->ats;
	struct oracle_host h;
	unsigned int perms;

	if (!oracle_host(run, q->iova, must && (q->read || q->exec), must && q->write, false, &h))
		return false;
	oracle_host_used(run, &h, q->write && h.iw);
	run->a->hpa = h.hpa;
	run->a->small = run->a->large = h.lg2;
	perms = oracle_host_perms(run, &h);
	return oracle_finish(run, false, perms, perms);
}

/* Address of a word of the guest's, for the IOMMU itself to read or to update. */
static bool oracle_guest(struct oracle_run *run, uint64_t gpa, bool update, uint64_t *hpa)
{
	struct oracle_host h;

	if (oracle_bits(run->o->dte[0], 11, 9) == 0) {
		*hpa = gpa;
		return true;
	}
	if (!oracle_host(run, gpa, true, update, true, &h))
		return false;
	oracle_host_used(run, &h, update);
	*hpa = h.hpa;
	return true;
}

/* Section 2.2.6.3: from a PASID to the top of its tables. */
static bool oracle_gcr3(struct oracle_run *run, uint64_t *top)
{
	const uint64_t *dte = run->o->dte;
	unsigned int levels = (unsigned int)oracle_bits(dte[0], 57, 56) + 1;
	uint64_t table = oracle_bits(dte[0], 60, 58) << 12 | oracle_bits(dte[1], 31, 16) << 15 |
			 oracle_bits(dte[1], 63, 43) << 31;
	uint32_t pasid = run->o->has_pasid ? run->o->pasid : 0;
	uint64_t entry, hpa;

	if (!oracle_bit(dte[0], 55) || pasid >= 1u << 9 * levels)
		return oracle_page_fault(run, true, false, false, false, run->q->iova);
	while (levels) {
		uint64_t index = oracle_bits(pasid, 9 * levels - 1, 9 * levels - 9);

		if (!oracle_guest(run, table + index * 8, false, &hpa))
			return false;
		entry = oracle_read(run, hpa);
		if (!oracle_bit(entry, 0))
			return oracle_page_fault(run, true, false, false, false, run->q->iova);
		table = oracle_bits(entry, 51, 12) << 12;
		levels--;
	}
	*top = table;
	return true;
}

/* An entry of the guest's is used: set bits, through stage 2. */
static bool oracle_guest_mark(struct oracle_run *run, uint64_t gpa, bool accessed, bool dirty)
{
	uint64_t hpa, entry;

	if (run->q->peek || !oracle_guest(run, gpa, false, &hpa))
		return run->q->peek;
	entry = oracle_read(run, hpa);
	if ((!accessed || oracle_bit(entry, 5)) && (!dirty || oracle_bit(entry, 6)))
		return true;
	if (!oracle_guest(run, gpa, true, &hpa))
		return false;
	if (accessed)
		oracle_set(run, hpa, 5);
	if (dirty)
		oracle_set(run, hpa, 6);
	return true;
}

/* May an entry of the guest's be used for this request? */
static bool oracle_guest_entry(struct oracle_run *run, uint64_t entry, unsigned int level)
{
	const struct oracle_request *q = run->q;
	bool write = q->write && !q->ats, exec = q->exec && !q->ats;

	/* With PPR in the DTE, a device may ask for the page that its PASID lacks. */
	run->a->may_help = oracle_bit(run->o->dte[0], 52) && run->o->has_pasid;
	if (!oracle_bit(entry, 0))
		return oracle_page_fault(run, true, false, false, false, q->iova);
	if ((!oracle_is_priv(run) && !oracle_bit(entry, 2)) || (write && !oracle_bit(entry, 1)) ||
	    (exec && run->o->nx && oracle_bit(entry, 63)))
		return oracle_page_fault(run, true, true, true, false, q->iova);
	run->a->may_help = false;
	/* No pages above 1 GiB, aligned ones below; XD only if there is NX. */
	if ((oracle_bit(entry, 63) && !run->o->nx) || (oracle_bit(entry, 7) && level > 3) ||
	    (oracle_bit(entry, 7) && level == 3 && oracle_bits(entry, 29, 13)) ||
	    (oracle_bit(entry, 7) && level == 2 && oracle_bits(entry, 20, 13)))
		return oracle_page_fault(run, true, true, false, true, q->iova);
	return true;
}

/* Section 2.2.6: the tables of x86-64, at addresses that host tables translate. */
static bool oracle_with_guest(struct oracle_run *run)
{
	const struct oracle_request *q = run->q;
	bool five = oracle_bits(run->o->dte[2], 55, 54) == 1, us = true, rw = true, xd = false;
	bool must = !q->ats, wrote;
	unsigned int level, lg2, top_bit = five ? 56 : 47, user_perms = 0, priv_perms, perms;
	uint64_t table = 0, address, hpa, entry = 0, gpa;
	struct oracle_host h;

	if (!oracle_gcr3(run, &table))
		return false;
	if (oracle_bits(q->iova, 63, top_bit) != 0 &&
	    oracle_bits(q->iova, 63, top_bit) != (five ? 0xff : 0x1ffff))
		return oracle_page_fault(run, true, false, false, false, q->iova);
	for (level = five ? 5 : 4;; level--) {
		lg2 = 3 + 9 * level;
		address = table + oracle_bits(q->iova, lg2 + 8, lg2) * 8;
		if (!oracle_guest(run, address, false, &hpa))
			return false;
		entry = oracle_read(run, hpa);
		if (!oracle_guest_entry(run, entry, level))
			return false;
		us &= oracle_bit(entry, 2);
		rw &= oracle_bit(entry, 1);
		xd |= oracle_bit(entry, 63);
		if (level == 1 || oracle_bit(entry, 7))
			break;
		if (!oracle_bit(entry, 5) && !oracle_guest_mark(run, address, true, false))
			return false;
		table = oracle_bits(entry, 51, 12) << 12;
	}
	gpa = oracle_bits(entry, 51, lg2) << lg2 | (q->iova & ((1ull << lg2) - 1));
	if (!oracle_host(run, gpa, must && (q->read || q->exec), must && q->write, true, &h))
		return false;
	wrote = q->write && rw && h.iw;
	if ((!oracle_bit(entry, 5) || (wrote && !oracle_bit(entry, 6))) &&
	    !oracle_guest_mark(run, address, true, wrote))
		return false;
	oracle_host_used(run, &h, wrote);
	run->a->hpa = h.hpa;
	run->a->small = h.lg2 < lg2 ? h.lg2 : lg2;
	run->a->large = h.lg2 > lg2 ? h.lg2 : lg2;
	priv_perms = 1 | (xd && run->o->nx ? 0 : 4);
	/* Writes that have D to set first are not granted for later. */
	if (rw && (oracle_bit(entry, 6) || (wrote && !q->peek)))
		priv_perms |= 2;
	if (us)
		user_perms = priv_perms;
	if (!run->o->has_pasid)
		priv_perms = user_perms;
	perms = oracle_host_perms(run, &h);
	return oracle_finish(run, true, user_perms & perms, priv_perms & perms);
}

/* Section 2.2.2.1: what may not be in an entry. */
static bool oracle_illegal(const struct oracle *o)
{
	unsigned int had = (unsigned int)oracle_bits(o->dte[0], 8, 7);

	if (oracle_bits(o->dte[0], 11, 9) > o->host_levels || had == 2 || (had && !o->had))
		return true;
	if (!oracle_bit(o->dte[0], 55))
		return false;
	return oracle_bits(o->dte[0], 57, 56) > o->glx ||
	       oracle_bits(o->dte[2], 55, 54) > (o->five ? 1 : 0);
}

/* Without a PASID a guest's page that has any of the window is good for 4 KiB only. */
static void oracle_window(const struct oracle *o, const struct oracle_request *q,
			  struct oracle_answer *a)
{
	uint64_t page = q->iova >> a->small << a->small;

	if (!o->has_pasid && page <= 0xfeefffff && page + ((1ull << a->small) - 1) >= 0xfee00000)
		a->small = 12;
}

static void oracle_translate(const struct oracle *o, const struct oracle_request *q,
			     struct oracle_answer *a)
{
	struct oracle_run run = { o, q, a };
	bool valid = oracle_bit(o->dte[0], 0);
	unsigned int tr = q->ats ? 1 << 8 : 0;

	*a = (struct oracle_answer){ 0 };
	if (!o->has_pasid && q->iova >= 0xfee00000 && q->iova <= 0xfeefffff) {
		if (q->write && !q->read && !q->exec && !q->ats) {
			a->ok = a->interrupt = true;
			a->hpa = q->iova;
			return;
		}
		a->code = 8;
		a->flags = tr;
		a->address = q->iova;
		return;
	}
	if (q->ats && !oracle_bit(o->dte[1], 32)) {
		a->code = 8;
		a->flags = 1 << 9 | tr;
		a->address = q->iova;
		return;
	}
	if (!valid) {
		a->ok = true;
		a->hpa = q->iova;
		a->small = a->large = 30;
		a->user = a->priv = 7;
		return;
	}
	if (oracle_illegal(o)) {
		a->code = 1;
		a->flags = 1 << 7 | tr;
		a->address = q->iova;
		return;
	}
	if (!oracle_bit(o->dte[0], 1)) {
		oracle_page_fault(&run, false, false, false, false, q->iova);
		return;
	}
	if (!o->has_pasid && !(oracle_bit(o->dte[0], 55) && oracle_bit(o->dte[0], 54)))
		oracle_host_only(&run);
	else if (oracle_with_guest(&run))
		oracle_window(o, q, a);
}

#endif
