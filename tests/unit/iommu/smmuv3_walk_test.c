// SPDX-License-Identifier: MIT
/*
 * What the hardware does with what it reads, one rule at a time: which event an
 * STE, a CD or an entry with one thing wrong gives, and what it says. Then guests
 * that mean harm: tables that lead to themselves, that are noise, that are gone, and
 * that change while they are walked.
 */
#include <pthread.h>

#include "smmuv3_raw.h"

#define PAGE  4096ul
#define BYTES (64ul << 20) /* the guest's memory */

#define RD SIOMMU_DMA_READ
#define WR SIOMMU_DMA_WRITE
#define EX SIOMMU_DMA_EXEC
#define PV SIOMMU_DMA_PRIV

/* The guest: its CD, its tables by level, and a page that @VA leads to. */
#define CD   0x10000ul
#define T0   0x11000ul
#define T1   0x12000ul
#define T2   0x13000ul
#define T3   0x14000ul
#define DATA 0x200000ul
#define VA   0x5040302000ul

#define PTE_BITS (3ull | 1ull << 6 | 1ull << 10)

static struct raw raw;
static struct dma_port *port, *port5;
static uint8_t *memory;
/* Stage 2: one table of each of levels 0 to 2, and one of level 3 for 0 to 2 MiB. */
static uint64_t (*s2)[512];
static uint64_t ste[STE_WORDS];

static uint64_t *guest(uint64_t ipa)
{
	return (uint64_t *)(void *)(memory + ipa);
}

static uint64_t host(const void *p)
{
	return (uintptr_t)p;
}

static uint64_t index_of(uint64_t va, unsigned int level)
{
	return va >> (39 - 9 * level) & 511;
}

static void *pages(size_t bytes)
{
	uint8_t *p = mmap(NULL, bytes + (2 << 20), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_TRUE(p != MAP_FAILED);
	return (void *)((host(p) + (2 << 20) - 1) & ~((2ul << 20) - 1));
}

/* The guest's memory begins at IPA 0: 2 MiB in pages, the rest in blocks. */
static void make_stage2(void)
{
	const uint64_t leaf = 1ull << 10 | 3ull << 6 | 0xfull << 2 | 1;
	size_t i;

	s2 = pages(4 * PAGE);
	s2[0][0] = host(s2[1]) | 3;
	s2[1][0] = host(s2[2]) | 3;
	s2[2][0] = host(s2[3]) | 3;
	for (i = 0; i < 512; i++)
		s2[3][i] = (host(memory) + i * PAGE) | leaf | 2;
	for (i = 1; i < BYTES >> 21; i++)
		s2[2][i] = (host(memory) + (i << 21)) | leaf;
}

static void make_stage1(void)
{
	guest(CD)[0] =
		16 | 1ull << 30 | 1ull << 31 | 5ull << 32 | 1ull << 41 | 1ull << 45 | 1ull << 46;
	guest(CD)[1] = T0;
	*guest(T0 + 8 * index_of(VA, 0)) = T1 | 3;
	*guest(T1 + 8 * index_of(VA, 1)) = T2 | 3;
	*guest(T2 + 8 * index_of(VA, 2)) = T3 | 3;
	*guest(T3 + 8 * index_of(VA, 3)) = DATA | PTE_BITS;
}

static void begin(const char *options)
{
	raw_begin(&raw, options);
	port = raw_port(&raw, -1);
	port5 = raw_port(&raw, 5);
	memory = pages(BYTES);
	make_stage2();
	make_stage1();
	ste[0] = 1 | 7ull << 1 | CD;
	ste[1] = 1ull << 28;
	ste[2] = 7 | 16ull << 32 | 2ull << 38 | 5ull << 48 | 1ull << 51 | 1ull << 58;
	ste[3] = host(s2[0]);
	raw_ste(&raw, ste);
}

static void end(void)
{
	iommu_port_destroy(port);
	iommu_port_destroy(port5);
	raw_end(&raw);
	munmap(memory, BYTES);
	munmap(s2, 4 * PAGE);
}

static struct dma_reply reply;

/* The event of a request; 0 if it has none. */
static unsigned int ask_as(struct dma_port *p, uint64_t va, unsigned int access, bool ats)
{
	const struct dma_request req = { .iova = va, .access = access, .ats = ats };

	return raw_translate(&raw, p, &req, &reply) ? reply.fault.reason : 0;
}

static unsigned int ask(uint64_t va, unsigned int access)
{
	return ask_as(port, va, access, false);
}

static unsigned int event_class(void)
{
	return (unsigned int)(reply.fault.record[1] >> 40 & 3);
}

enum what { STE, CDESC, S1L0, S1L2, S1L3, S2CD, S2T3, S2DATA };

static uint64_t *find(enum what what, unsigned int word)
{
	switch (what) {
	case STE:
		return &ste[word];
	case CDESC:
		return guest(CD + 8 * word);
	case S1L0:
		return guest(T0 + 8 * index_of(VA, 0));
	case S1L2:
		return guest(T2 + 8 * index_of(VA, 2));
	case S1L3:
		return guest(T3 + 8 * index_of(VA, 3));
	case S2CD:
		return &s2[3][CD / PAGE];
	case S2T3:
		return &s2[3][T3 / PAGE];
	default:
		return &s2[2][1];
	}
}

/* One change to what is sound, the request, and what becomes of it. */
struct rule {
	enum what what;
	unsigned int word;
	uint64_t flip;
	unsigned int access;
	unsigned int event;
	bool stage2;
	unsigned int class;
};

static void check_rules(const struct rule *rules, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct rule *r = &rules[i];
		uint64_t *word = find(r->what, r->word), was = *word;
		unsigned int event;

		*word ^= r->flip;
		raw_ste(&raw, ste);
		event = ask(VA + 8, r->access);
		*word = was;
		if (event != r->event || (event >= 0x10 && event_class() != r->class) ||
		    (event && !!(reply.fault.flags & SIOMMU_FAULT_STAGE2) != r->stage2))
			unit_fail(__FILE__, __LINE__,
				  "rule %zu: event %#x, class %u, flags %#x; should be %#x, %u", i,
				  event, event_class(), reply.fault.flags, r->event, r->class);
	}
}

TEST(rules)
{
	static const struct rule rules[] = {
		{ STE, 0, 0, RD | WR, 0, false, 0 },
		{ STE, 0, 1, RD, 0x04, false, 0 },
		/* Abort: no event. */
		{ STE, 0, 7ull << 1, RD, 0, false, 0 },
		{ STE, 0, 4ull << 1, RD, 0, false, 0 },
		/* S1CDMax: then S1DSS says what no SubstreamID means; S1Fmt is looked at. */
		{ STE, 0, 1ull << 59, RD, 0x06, false, 0 },
		{ STE, 0, 31ull << 59, RD, 0x04, false, 0 },
		{ STE, 0, 1ull << 59 | 3ull << 4, RD, 0x04, false, 0 },
		{ STE, 0, 3ull << 4, RD, 0, false, 0 },
		{ STE, 1, 3ull << 28, RD, 0x04, false, 0 },
		{ STE, 1, 1ull << 31, RD, 0x04, false, 0 },
		/* S2: T0SZ, SL0, TG, AA64, ENDI, S, HA without HTTU. */
		{ STE, 2, 31ull << 32, RD, 0x04, false, 0 },
		{ STE, 2, 3ull << 38, RD, 0x04, false, 0 },
		{ STE, 2, 1ull << 38, RD, 0x04, false, 0 },
		{ STE, 2, 3ull << 46, RD, 0x04, false, 0 },
		{ STE, 2, 1ull << 51, RD, 0x04, false, 0 },
		{ STE, 2, 1ull << 52, RD, 0x04, false, 0 },
		{ STE, 2, 1ull << 57, RD, 0x04, false, 0 },
		{ STE, 2, 1ull << 56, RD, 0x04, false, 0 },
		{ STE, 2, 1ull << 55, RD, 0x04, false, 0 },
		{ STE, 3, 1ull << 48, RD, 0x04, false, 0 },
		/* S2PS of 32 bits. */
		{ STE, 2, 5ull << 48, RD, 0x11, true, 0 },
		{ CDESC, 0, 1ull << 31, RD, 0x0a, false, 0 },
		{ CDESC, 0, 1ull << 41, RD, 0x0a, false, 0 },
		{ CDESC, 0, 1ull << 15, RD, 0x0a, false, 0 },
		{ CDESC, 0, 1ull << 42, RD, 0x0a, false, 0 },
		{ CDESC, 0, 1ull << 43, RD, 0x0a, false, 0 },
		{ CDESC, 0, 1ull << 44, RD, 0x0a, false, 0 },
		{ CDESC, 0, 1ull << 46, RD, 0x0a, false, 0 },
		{ CDESC, 0, 16, RD, 0x0a, false, 0 },
		{ CDESC, 0, 0x38, RD, 0x0a, false, 0 },
		{ CDESC, 0, 3ull << 6, RD, 0x0a, false, 0 },
		{ CDESC, 1, 1ull << 48, RD, 0x0a, false, 0 },
		/* TTBR0 is disabled; TTBR1 is not, and has no granule. */
		{ CDESC, 0, 1ull << 14, RD, 0x10, false, 2 },
		{ CDESC, 0, 1ull << 30, RD, 0x0a, false, 0 },
		/* The input has 38 bits. */
		{ CDESC, 0, 16 ^ 26, RD, 0x10, false, 2 },
		{ S1L0, 0, 1, RD, 0x10, false, 2 },
		{ S1L0, 0, 2, RD, 0x10, false, 2 },
		{ S1L2, 0, 1, RD, 0x10, false, 2 },
		{ S1L3, 0, 1, RD, 0x10, false, 2 },
		{ S1L3, 0, 2, RD, 0x10, false, 2 },
		{ S1L3, 0, 1ull << 10, RD, 0x12, false, 2 },
		{ S1L3, 0, 1ull << 6, RD, 0x13, false, 2 },
		{ S1L3, 0, 1ull << 6, RD | PV, 0, false, 0 },
		{ S1L3, 0, 1ull << 7, RD, 0, false, 0 },
		{ S1L3, 0, 1ull << 7, WR, 0x13, false, 2 },
		{ S1L3, 0, 1ull << 7, WR | PV, 0x13, false, 2 },
		{ S1L3, 0, 1ull << 54, RD | EX, 0x13, false, 2 },
		{ S1L3, 0, 1ull << 53, RD | EX, 0, false, 0 },
		/* What users may write, privileged software does not execute. */
		{ S1L3, 0, 0, RD | EX | PV, 0x13, false, 2 },
		{ S1L3, 0, 1ull << 7, RD | EX | PV, 0, false, 0 },
		{ S1L3, 0, 1ull << 7 | 1ull << 53, RD | EX | PV, 0x13, false, 2 },
		{ CDESC, 0, 1ull << 36, RD | EX, 0x13, false, 2 },
		{ CDESC, 0, 1ull << 40, RD | PV, 0x13, false, 2 },
		{ CDESC, 0, 1ull << 40, RD, 0, false, 0 },
		/* Tables take away: APTable, UXNTable, PXNTable. */
		{ S1L2, 0, 1ull << 61, RD, 0x13, false, 2 },
		{ S1L2, 0, 1ull << 61, RD | PV, 0, false, 0 },
		{ S1L2, 0, 1ull << 62, WR, 0x13, false, 2 },
		{ S1L2, 0, 1ull << 62, RD, 0, false, 0 },
		{ S1L2, 0, 1ull << 60, RD | EX, 0x13, false, 2 },
		{ S1L2, 0, 1ull << 59, RD | EX, 0, false, 0 },
		/* Stage 2: of the CD, of a table, of the request's own. */
		{ S2CD, 0, 1, RD, 0x10, true, 0 },
		{ S2CD, 0, 1ull << 6, RD, 0x13, true, 0 },
		{ S2CD, 0, 1ull << 10, RD, 0x12, true, 0 },
		{ S2T3, 0, 1, RD, 0x10, true, 1 },
		{ S2T3, 0, 1ull << 6, WR, 0x13, true, 1 },
		{ S2T3, 0, 1ull << 7, WR, 0, false, 0 },
		{ S2T3, 0, 1ull << 10, RD, 0x12, true, 1 },
		{ S2DATA, 0, 1, RD, 0x10, true, 2 },
		{ S2DATA, 0, 1ull << 6, RD, 0x13, true, 2 },
		{ S2DATA, 0, 1ull << 6, WR, 0, false, 0 },
		{ S2DATA, 0, 1ull << 7, WR, 0x13, true, 2 },
		{ S2DATA, 0, 2ull << 53, RD | EX, 0x13, true, 2 },
		{ S2DATA, 0, 2ull << 53, RD, 0, false, 0 },
		{ S2DATA, 0, 1ull << 10, RD, 0x12, true, 2 },
		/* Tables in devices matter only with S2PTW. */
		{ S2T3, 0, 0xfull << 2, RD, 0, false, 0 },
	};

	begin("");
	check_rules(rules, sizeof(rules) / sizeof(rules[0]));
	end();
}

TEST(protected_table_walks)
{
	static const struct rule rules[] = {
		{ S2T3, 0, 0, RD, 0, false, 0 },
		{ S2T3, 0, 0xfull << 2, RD, 0x13, true, 1 },
		{ S2CD, 0, 0xfull << 2, RD, 0x13, true, 0 },
		{ S2DATA, 0, 0xfull << 2, RD, 0, false, 0 },
	};

	begin("");
	ste[2] |= 1ull << 54;
	check_rules(rules, sizeof(rules) / sizeof(rules[0]));
	end();
}

TEST(substreams)
{
	begin("");
	/* None here. */
	EXPECT_EQ(0x08, ask_as(port5, VA, RD, false));
	/* CD 0 for requests without one; 5 is beyond 4, then is not valid, then is. */
	ste[0] |= 2ull << 59;
	ste[1] |= 2;
	raw_ste(&raw, ste);
	EXPECT_EQ(0, ask(VA, RD));
	EXPECT_EQ(0x08, ask_as(port5, VA, RD, false));
	ste[0] |= 3ull << 59;
	raw_ste(&raw, ste);
	EXPECT_EQ(0x0a, ask_as(port5, VA, RD, false));
	EXPECT_EQ(0x0a | 1ull << 11 | 5ull << 12 | (uint64_t)RAW_SID << 32, reply.fault.record[0]);
	memcpy(guest(CD + 5 * 64), guest(CD), 64);
	EXPECT_EQ(0, ask_as(port5, VA, RD, false));
	/* Stage 1 is for those that have one. */
	ste[1] = (ste[1] & ~3ull) | 1;
	raw_ste(&raw, ste);
	EXPECT_EQ(0, ask(DATA, RD));
	EXPECT_EQ(host(memory) + DATA, reply.hpa);
	EXPECT_EQ(21, reply.lg2);
	EXPECT_EQ(0, ask_as(port5, VA, RD, false));
	EXPECT_EQ(12, reply.lg2);
	end();
}

TEST(accessed_and_dirty)
{
	uint64_t *pte, clean = DATA | PTE_BITS | 1ull << 7 | 1ull << 51;

	begin("httu");
	pte = guest(T3 + 8 * index_of(VA, 3));
	*pte = DATA | (PTE_BITS & ~(1ull << 10));
	EXPECT_EQ(0x12, ask(VA, RD));
	guest(CD)[0] |= 3ull << 42;
	raw_ste(&raw, ste);
	EXPECT_EQ(0, ask(VA, RD));
	EXPECT_EQ(DATA | PTE_BITS, *pte);
	/* A read does not make it dirty, and is not told that it may write. */
	*pte = clean;
	EXPECT_EQ(0, ask(VA, RD));
	EXPECT_EQ(clean, *pte);
	EXPECT_EQ(dma_perms(RD | EX, RD), reply.perms & ~dma_perms(0, EX));
	EXPECT_EQ(0, ask(VA, WR));
	EXPECT_EQ(clean & ~(1ull << 7), *pte);
	EXPECT_TRUE(reply.perms & WR);
	/* Stage 2 must let the table be written. */
	*pte = clean;
	s2[3][T3 / PAGE] &= ~(1ull << 7);
	EXPECT_EQ(0, ask(VA, RD));
	EXPECT_EQ(0x13, ask(VA, WR));
	EXPECT_EQ(1, event_class());
	EXPECT_TRUE(reply.fault.flags & SIOMMU_FAULT_STAGE2);
	EXPECT_EQ(0, reply.fault.record[1] >> 44 & 1);
	EXPECT_EQ(T3 + 8 * index_of(VA, 3), reply.fault.ipa);
	EXPECT_EQ(clean, *pte);
	/* With DBM of its own it sees the walker's write, and the device's. */
	ste[2] |= 3ull << 55;
	raw_ste(&raw, ste);
	s2[3][T3 / PAGE] |= 1ull << 51;
	s2[2][1] = (s2[2][1] | 1ull << 51) & ~(1ull << 7);
	EXPECT_EQ(0, ask(VA, RD));
	EXPECT_EQ(0, s2[3][T3 / PAGE] >> 7 & 1);
	EXPECT_EQ(0, ask(VA, WR));
	EXPECT_EQ(1, s2[3][T3 / PAGE] >> 7 & 1);
	EXPECT_EQ(1, s2[2][1] >> 7 & 1);
	end();
}

TEST(both_halves_of_the_addresses)
{
	const uint64_t high = VA | 0xffffull << 48;

	begin("");
	EXPECT_EQ(0x10, ask(high, RD));
	guest(CD)[0] = (guest(CD)[0] & ~(1ull << 30)) | 16ull << 16 | 2ull << 22;
	guest(CD)[2] = T0;
	raw_ste(&raw, ste);
	EXPECT_EQ(0, ask(high, RD));
	EXPECT_EQ(host(memory) + DATA, reply.hpa);
	EXPECT_EQ(0x10, ask(VA | 1ull << 55, RD));
	EXPECT_EQ(0x10, ask(VA | 1ull << 48, RD));
	EXPECT_EQ(0x10, ask(VA | 0x5aull << 56, RD));
	EXPECT_EQ(0x10, ask(high ^ 0x5aull << 56, RD));
	guest(CD)[0] |= 1ull << 39;
	raw_ste(&raw, ste);
	EXPECT_EQ(0x10, ask(VA | 0x5aull << 56, RD));
	EXPECT_EQ(0, ask(high ^ 0x5aull << 56, RD));
	guest(CD)[0] |= 1ull << 38;
	raw_ste(&raw, ste);
	EXPECT_EQ(0, ask(VA | 0x5aull << 56, RD));
	end();
}

TEST(translation_requests)
{
	begin("");
	/* What can be granted is. */
	*guest(T3 + 8 * index_of(VA, 3)) |= 1ull << 7;
	EXPECT_EQ(0, ask_as(port, VA, RD | WR, true));
	EXPECT_EQ(0, reply.perms & WR);
	EXPECT_TRUE(reply.perms & RD);
	EXPECT_EQ(0x13, ask_as(port, VA, WR, true));
	EXPECT_TRUE(reply.fault.flags & SIOMMU_FAULT_SILENT);
	EXPECT_EQ(0x10, ask_as(port, VA + PAGE, RD, true));
	EXPECT_TRUE(reply.fault.flags & SIOMMU_FAULT_SILENT);
	ste[1] &= ~(3ull << 28);
	raw_ste(&raw, ste);
	EXPECT_EQ(0x05, ask_as(port, VA, RD, true));
	EXPECT_EQ(0, ask(VA, RD));
	end();
}

TEST(events_may_be_silent)
{
	begin("");
	guest(CD)[0] &= ~(1ull << 45);
	raw_ste(&raw, ste);
	EXPECT_EQ(0x10, ask(VA + PAGE, RD));
	EXPECT_TRUE(reply.fault.flags & SIOMMU_FAULT_SILENT);
	*guest(T3 + 8 * index_of(VA + PAGE, 3)) = 1ull << 40 | PTE_BITS;
	EXPECT_EQ(0x10, ask(VA + PAGE, RD));
	EXPECT_TRUE(!(reply.fault.flags & SIOMMU_FAULT_SILENT));
	ste[2] &= ~(1ull << 58);
	raw_ste(&raw, ste);
	EXPECT_EQ(0x10, ask(VA + PAGE, RD));
	EXPECT_TRUE(reply.fault.flags & SIOMMU_FAULT_SILENT);
	end();
}

TEST(memory_that_is_gone)
{
	begin("");
	port->careful = true;
	EXPECT_EQ(0, ask(VA, RD));
	munmap(guest(T3), PAGE);
	EXPECT_EQ(0x0b, ask(VA, RD));
	EXPECT_EQ(1, event_class());
	EXPECT_EQ(T3 + 8 * index_of(VA, 3), reply.fault.record[3]);
	munmap(guest(CD), PAGE);
	raw_ste(&raw, ste);
	EXPECT_EQ(0x09, ask(VA, RD));
	EXPECT_EQ(CD, reply.fault.record[3]);
	end();
}

struct steps {
	char text[1024];
	unsigned int n;
};

static void note_step(void *arg, const struct siommu_walk_step *step)
{
	struct steps *steps = arg;
	size_t at = strlen(steps->text);

	snprintf(steps->text + at, sizeof(steps->text) - at, "%s%s%s ", step->depth ? "(" : "",
		 step->what, step->depth ? ")" : "");
	steps->n++;
}

TEST(steps)
{
	static const char want[] =
		"L1STD STE (S2 L0) (S2 L1) (S2 L2) (S2 L3) CD "
		"(S2 L0) (S2 L1) (S2 L2) (S2 L3) S1 L0 (S2 L0) (S2 L1) (S2 L2) (S2 L3) S1 L1 "
		"(S2 L0) (S2 L1) (S2 L2) (S2 L3) S1 L2 (S2 L0) (S2 L1) (S2 L2) (S2 L3) S1 L3 "
		"S2 L0 S2 L1 S2 L2 ";
	struct steps steps = { 0 };
	const struct dma_request req = {
		.iova = VA, .access = RD, .peek = true, .step = note_step, .step_arg = &steps
	};

	begin("");
	EXPECT_OK(raw_translate(&raw, port, &req, &reply));
	EXPECT_STR(want, steps.text);
	EXPECT_TRUE(!port->config_valid);
	end();
}

/* Tables that lead to themselves, and to the CD: the levels come to an end. */
TEST(loops)
{
	unsigned int i;

	begin("");
	for (i = 0; i < 512; i++)
		*guest(T0 + 8 * i) = T0 | PTE_BITS;
	for (i = 0; i < 1000; i++) {
		EXPECT_EQ(0, ask((uint64_t)i * 0x123456789000 & ((1ull << 48) - 1), RD | WR));
		EXPECT_EQ(host(memory) + T0, reply.hpa & ~(PAGE - 1));
	}
	end();
}

/* Whatever a guest writes into its memory, it gets nowhere else. */
TEST(noise)
{
	uint64_t seed = unit_seed(), i, k, allowed = 0;
	const size_t words = (2ul << 20) / 8;

	begin("httu,stall");
	for (i = 0; i < 300; i++) {
		for (k = 0; k < words; k += 1 + unit_random(&seed) % 8) {
			uint64_t x = unit_random(&seed);

			/* Mostly entries that lead somewhere into the guest's memory. */
			if (x & 7)
				x = (x & 0xfff00000000007fcull) | 3 |
				    (unit_random(&seed) % (3ul << 20) & ~(PAGE - 1));
			((uint64_t *)(void *)memory)[k] = x;
		}
		if (i & 1)
			make_stage1();
		raw_ste(&raw, ste);
		for (k = 0; k < 1000; k++) {
			uint64_t va = unit_random(&seed) & ((1ull << 48) - 1);

			if (ask(va, (unsigned int)(unit_random(&seed) & 15)))
				continue;
			if (reply.interrupt)
				continue;
			allowed += reply.hpa - host(memory) < BYTES;
			EXPECT_TRUE(!reply.hpa || reply.hpa - host(memory) < BYTES);
		}
	}
	EXPECT_TRUE(allowed);
	end();
}

static _Atomic bool stop;

/* A page, another, a table, nothing: with and without AF and DBM. */
static void *change_tables(void *arg)
{
	uint64_t seed = 1, *l2 = guest(T2 + 8 * index_of(VA, 2));
	uint64_t *l3 = guest(T3 + 8 * index_of(VA, 3));

	(void)arg;
	while (!stop) {
		static const uint64_t leaves[] = {
			DATA | PTE_BITS,
			(DATA + PAGE) | PTE_BITS | 1ull << 7 | 1ull << 51,
			(DATA + PAGE) | (PTE_BITS & ~(1ull << 10)),
			0,
		};

		__atomic_store_n(l3, leaves[unit_random(&seed) % 4], __ATOMIC_RELEASE);
		if (unit_random(&seed) % 16 == 0) {
			__atomic_store_n(l2, (DATA & ~0x1ffffful) | (PTE_BITS ^ 2),
					 __ATOMIC_RELEASE);
			__atomic_store_n(l2, T3 | 3, __ATOMIC_RELEASE);
		}
	}
	return NULL;
}

TEST(tables_that_change_while_they_are_walked)
{
	unsigned int i, allowed = 0, event;
	pthread_t thread;

	begin("httu");
	guest(CD)[0] |= 3ull << 42;
	raw_ste(&raw, ste);
	stop = false;
	ASSERT_OK(pthread_create(&thread, NULL, change_tables, NULL));
	for (i = 0; i < 300000; i++) {
		uint64_t offset;

		event = ask(VA, i & 1 ? WR : RD);
		if (event) {
			EXPECT_TRUE(event == 0x10 || event == 0x13 || event == 0x0b);
			continue;
		}
		offset = reply.hpa - host(memory);
		EXPECT_TRUE(offset == DATA || offset == DATA + PAGE ||
			    offset == (DATA & ~0x1ffffful) + (VA & 0x1fffff));
		allowed++;
	}
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_TRUE(allowed > 1000);
	end();
}

/* The driver's own domains. */
static struct iommu_domain *paging(unsigned int flags)
{
	struct iommu_domain *domain;

	ASSERT_OK(raw.unit->ops->domain_alloc_paging(raw.dev, &raw.alloc, flags, NULL, &domain));
	return domain;
}

TEST(what_does_not_go_together)
{
	struct iommu_attach_handle handle[3] = { 0 };
	struct iommu_domain *s1d, *s2d;

	begin("");
	s1d = paging(IOMMU_HWPT_ALLOC_PASID);
	s2d = paging(IOMMU_HWPT_ALLOC_NEST_PARENT);
	ASSERT_OK(iommu_attach(raw.dev, 5, s1d, &handle[0]));
	EXPECT_RC(-EBUSY, iommu_attach(raw.dev, 0, s2d, &handle[1]));
	EXPECT_RC(-EINVAL, iommu_attach(raw.dev, 6, s2d, &handle[1]));
	iommu_detach(raw.dev, 5);
	ASSERT_OK(iommu_attach(raw.dev, 0, s2d, &handle[1]));
	EXPECT_RC(-EINVAL, iommu_attach(raw.dev, 5, s1d, &handle[0]));
	iommu_detach(raw.dev, 0);
	iommu_domain_free(s1d);
	iommu_domain_free(s2d);
	end();
}

static void *use_port(void *arg)
{
	unsigned int *wrong = arg;
	struct dma_reply r;

	while (!stop) {
		const struct dma_request req = { .iova = 0x1234, .access = WR };

		if (raw_translate(&raw, port, &req, &r) ||
		    r.hpa - host(memory + DATA) - 0x234 >= 2 * PAGE)
			++*wrong;
	}
	return NULL;
}

/* Stage 1, stage 2, another stage 1: all of the entry is old, or all of it is new. */
TEST(replacing_has_no_gap)
{
	struct iommu_attach_handle handle[4] = { 0 };
	struct iommu_domain *domains[3];
	unsigned int i, wrong = 0;
	pthread_t thread;

	begin("");
	for (i = 0; i < 3; i++) {
		domains[i] = paging(i == 1 ? IOMMU_HWPT_ALLOC_NEST_PARENT : 0);
		ASSERT_OK(domains[i]->ops->map(domains[i], 0x1000,
					       host(memory + DATA) + (i & 1) * PAGE, PAGE,
					       IOMMU_PROT_READ | IOMMU_PROT_WRITE));
	}
	ASSERT_OK(iommu_attach(raw.dev, 0, domains[0], &handle[0]));
	stop = false;
	ASSERT_OK(pthread_create(&thread, NULL, use_port, &wrong));
	for (i = 1; i < 20000; i++)
		ASSERT_OK(iommu_replace(raw.dev, 0, domains[i % 3], &handle[i % 4]));
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, wrong);
	iommu_detach(raw.dev, 0);
	for (i = 0; i < 3; i++)
		iommu_domain_free(domains[i]);
	end();
}
