// SPDX-License-Identifier: MIT
/*
 * The AMD IOMMU's rules one by one: each way in which a device table entry, a
 * host table, a GCR3 table or a guest's table can be wrong, and the event that
 * it makes. Then tables that change while they are walked.
 */
#include "amd_raw.h"

#include <pthread.h>

#define GN (1u << 0)
#define US (1u << 2)
#define PR (1u << 4)
#define RW (1u << 5)
#define PE (1u << 6)
#define RZ (1u << 7)
#define TR (1u << 8)

#define V	(1ull << 0)
#define TV	(1ull << 1)
#define HAD	(3ull << 7)
#define IR	(1ull << 61)
#define IW	(1ull << 62)
#define GV	(1ull << 55)
#define GIOV	(1ull << 54)
#define MODE(n) ((uint64_t)(n) << 9)
#define NEXT(n) ((uint64_t)(n) << 9)

/* A page of host tables for each level, a guest's, and a DTE that leads to them. */
static struct {
	uint64_t arena;
	uint64_t host[7];
	uint64_t gcr3, guest[5];
	uint64_t dte[4];
	struct dma_port *port, *pasid;
} t;

static void begin(const char *options, unsigned int levels)
{
	unsigned int i;

	raw_begin(options);
	t.arena = arena_new();
	for (i = 1; i <= 6; i++)
		t.host[i] = t.arena + i * 4096;
	t.gcr3 = t.arena + 8 * 4096;
	for (i = 0; i < 5; i++)
		t.guest[i] = t.arena + (9 + i) * 4096;
	for (i = 2; i <= 6; i++)
		at(t.host[i])[0] = t.host[i - 1] | 1 | NEXT(i - 1) | IR | IW;
	memset(t.dte, 0, sizeof(t.dte));
	t.dte[0] = V | TV | IR | IW | MODE(levels) | t.host[levels];
	t.dte[1] = 0x77;
	raw_dte(t.dte);
	t.port = raw_port(-1);
	t.pasid = raw_port(5);
}

static void end(void)
{
	iommu_port_destroy(t.port);
	iommu_port_destroy(t.pasid);
	arena_free(t.arena);
	raw_end();
}

static int translate(struct dma_port *port, uint64_t iova, unsigned int access,
		     struct dma_reply *reply)
{
	const struct dma_request req = { .iova = iova, .access = access };

	return raw_translate(port, &req, reply);
}

static void expect_page(uint64_t iova, unsigned int access, uint64_t hpa, unsigned int lg2)
{
	struct dma_reply reply;

	if (!UNIT_RC(0, translate(t.port, iova, access, &reply)))
		return;
	EXPECT_EQ(hpa, reply.hpa);
	EXPECT_EQ(lg2, reply.lg2);
	EXPECT_EQ(lg2, reply.span_lg2);
}

static void expect_event(struct dma_port *port, uint64_t iova, unsigned int access,
			 unsigned int code, uint32_t flags, uint64_t address)
{
	bool gn = flags & GN;
	struct dma_reply reply;

	if (!UNIT_RC(-EFAULT, translate(port, iova, access, &reply)))
		return;
	EXPECT_EQ(code, reply.fault.reason);
	EXPECT_EQ(RAW_REQUESTER | (gn ? (uint64_t)port->pasid : 0x77ull) << 32 |
			  (uint64_t)flags << 48 | (uint64_t)code << 60,
		  reply.fault.record[0]);
	EXPECT_EQ(address, reply.fault.record[1]);
	EXPECT_EQ(iova, reply.fault.iova);
	EXPECT_EQ(access, reply.fault.access);
}

#define READ  SIOMMU_DMA_READ
#define WRITE SIOMMU_DMA_WRITE

TEST(device_table_entry)
{
	static const struct {
		uint64_t set, clear, set2;
		unsigned int code;
		uint32_t flags;
	} cases[] = {
		{ 0, TV, 0, 2, 0 },
		{ MODE(7), 0, 0, 1, RZ },
		{ MODE(5), MODE(7), 0, 1, RZ },
		{ 1ull << 8, 0, 0, 1, RZ },
		{ GV | 3ull << 56, 0, 0, 1, RZ },
		{ GV, 0, 1ull << 54, 1, RZ },
		{ GV, 0, 3ull << 54, 1, RZ },
		/* Without guest tables, what concerns them is ignored. */
		{ 3ull << 56, 0, 3ull << 54, 0, 0 },
	};
	size_t i;

	begin("hats=4", 4);
	at(t.host[1])[1] = 0x5000 | 1 | IR | IW;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t q[4] = { (t.dte[0] & ~cases[i].clear) | cases[i].set, t.dte[1],
					cases[i].set2 };

		raw_dte(q);
		if (cases[i].code)
			expect_event(t.port, 0x1000, READ, cases[i].code, cases[i].flags, 0x1000);
		else
			expect_page(0x1000, READ, 0x5000, 12);
	}
	end();
}

TEST(accessed_and_dirty_bits_need_the_feature)
{
	begin("hats=4,dirty=off", 4);
	t.dte[0] |= 1ull << 7;
	raw_dte(t.dte);
	expect_event(t.port, 0x1000, READ, 1, RZ, 0x1000);
	end();
}

/* Permissions are those that all levels and the DTE allow. */
TEST(permissions_are_anded)
{
	unsigned int level, dte;

	begin("hats=4", 4);
	at(t.host[1])[1] = 0x5000 | 1;
	for (level = 0; level <= 4; level++) {
		uint64_t *entry = level ? &at(t.host[level])[level == 1] : NULL;

		for (dte = 0; dte < 4; dte++) {
			bool r = dte & 1, w = dte & 2;
			uint64_t rights = (r ? IR : 0) | (w ? IW : 0);
			unsigned int i;

			t.dte[0] |= IR | IW;
			for (i = 1; i <= 4; i++)
				at(t.host[i])[i == 1] |= IR | IW;
			if (entry)
				*entry = (*entry & ~(IR | IW)) | rights;
			else
				t.dte[0] = (t.dte[0] & ~(IR | IW)) | rights;
			raw_dte(t.dte);
			if (r)
				expect_page(0x1008, READ, 0x5008, 12);
			else
				expect_event(t.port, 0x1008, READ, 2, PR | PE, 0x1008);
			if (w)
				expect_page(0x1008, WRITE, 0x5008, 12);
			else
				expect_event(t.port, 0x1008, WRITE, 2, PR | PE | RW, 0x1008);
			if (!r || !w)
				expect_event(t.port, 0x1008, READ | WRITE, 2, PR | PE | RW, 0x1008);
			/* To execute is to read. */
			if (!r)
				expect_event(t.port, 0x1008, SIOMMU_DMA_EXEC, 2, PR | PE, 0x1008);
		}
	}
	end();
}

TEST(host_entries)
{
	begin("hats=6", 6);
	expect_event(t.port, 0x1000, WRITE, 2, RW, 0x1000);
	at(t.host[1])[1] = 0x5000 | 1 | IR | IW;
	expect_page(0x1fff, READ, 0x5fff, 12);
	/* What is ignored. */
	at(t.host[1])[1] |= 0x1eull | 3ull << 7 | 0x7full << 52 | 3ull << 59;
	expect_page(0x1fff, READ, 0x5fff, 12);
	at(t.host[1])[1] |= 1ull << 63;
	expect_event(t.port, 0x1000, READ, 2, PR | RZ, 0x1000);
	/* The lowest level leads nowhere. */
	at(t.host[1])[1] = 0x5000 | 1 | NEXT(1) | IR | IW;
	expect_event(t.port, 0x1000, READ, 2, PR | RZ, 0x1000);
	/* Nor does any other upwards, or to itself. */
	at(t.host[3])[1] = t.host[3] | 1 | NEXT(3) | IR | IW;
	expect_event(t.port, 1ull << 30, READ, 2, PR | RZ, 1ull << 30);
	at(t.host[3])[1] = t.host[3] | 1 | NEXT(6) | IR | IW;
	expect_event(t.port, 1ull << 30, READ, 2, PR | RZ, 1ull << 30);
	/* The highest level has no pages. */
	at(t.host[6])[1] = 1 | IR | IW;
	expect_event(t.port, 1ull << 57, READ, 2, PR | RZ, 1ull << 57);
	at(t.host[6])[1] = 1 | NEXT(7) | IR | IW;
	expect_event(t.port, 1ull << 57, READ, 2, PR | RZ, 1ull << 57);
	end();
}

TEST(pages_of_default_size)
{
	unsigned int level;

	begin("hats=6", 6);
	for (level = 1; level <= 5; level++) {
		unsigned int lg2 = 3 + 9 * level;
		uint64_t iova = 3ull << lg2, hpa = level == 5 ? 5ull << 48 : 1ull << 51;

		at(t.host[level])[3] = hpa | 1 | IR | IW;
		expect_page(iova + 123, READ, hpa + 123, lg2);
		expect_page(iova + (1ull << lg2) - 1, WRITE, hpa + (1ull << lg2) - 1, lg2);
	}
	end();
}

TEST(pages_of_encoded_size)
{
	unsigned int level, lg2;

	begin("hats=6", 6);
	for (level = 1; level <= 5; level++) {
		unsigned int item = 3 + 9 * level;

		for (lg2 = 13; lg2 <= 51; lg2++) {
			uint64_t ones = ((1ull << (lg2 - 13)) - 1) << 12, iova = 2ull << item;
			uint64_t hpa = lg2 < 51 ? 1ull << 51 : 0;

			at(t.host[level])[2] = hpa | ones | 1 | NEXT(7) | IR | IW;
			if (lg2 < item || lg2 >= item + 9) {
				expect_event(t.port, iova, READ, 2, PR | RZ, iova);
				continue;
			}
			expect_page(iova, READ, hpa | (iova & ((1ull << lg2) - 1)), lg2);
		}
		/* No zero, or one where no bit of an address is. */
		at(t.host[level])[2] = ((1ull << 40) - 1) << 12 | 1 | NEXT(7) | IR | IW;
		expect_event(t.port, 2ull << item, READ, 2, PR | RZ, 2ull << item);
		at(t.host[level])[2] = ((1ull << 39) - 1) << 12 | 1 | NEXT(7) | IR | IW;
		expect_event(t.port, 2ull << item, READ, 2, PR | RZ, 2ull << item);
	}
	end();
}

TEST(levels_are_skipped)
{
	unsigned int level, next;

	begin("hats=6", 6);
	at(t.host[1])[1] = 0x5000 | 1 | IR | IW;
	for (level = 3; level <= 6; level++) {
		for (next = 1; next < level - 1; next++) {
			uint64_t iova = 1ull << (3 + 9 * level);
			unsigned int bit;

			at(t.host[level])[1] = t.host[next] | 1 | NEXT(next) | IR | IW;
			expect_page(iova + 0x1008, READ, 0x5008, 12);
			for (bit = 12 + 9 * next; bit < 3 + 9 * level; bit++)
				expect_event(t.port, iova + 0x1000 + (1ull << bit), READ, 2, 0,
					     iova + 0x1000 + (1ull << bit));
		}
	}
	end();
}

TEST(addresses_beyond_the_tables)
{
	unsigned int levels;

	for (levels = 1; levels <= 5; levels++) {
		uint64_t end_of = 1ull << (12 + 9 * levels);

		begin("hats=6", levels);
		at(t.host[1])[511] = 0x5000 | 1 | IR | IW;
		expect_page(0x1ff000, READ, 0x5000, 12);
		expect_event(t.port, end_of, READ, 2, 0, end_of);
		expect_event(t.port, UINT64_MAX, READ, 2, 0, UINT64_MAX);
		end();
	}
}

TEST(no_tables)
{
	struct dma_reply reply;

	begin("", 4);
	t.dte[0] = V | TV | IR;
	raw_dte(t.dte);
	ASSERT_OK(translate(t.port, 0x123456789, READ, &reply));
	EXPECT_EQ(0x123456789, reply.hpa);
	expect_event(t.port, 0x123456789, WRITE, 2, PR | PE | RW, 0x123456789);
	t.dte[0] = 0;
	raw_dte(t.dte);
	ASSERT_OK(translate(t.port, 0x123456789, READ | WRITE, &reply));
	ASSERT_OK(translate(t.pasid, 0x123456789, READ | WRITE, &reply));
	end();
}

#define A (1ull << 5)
#define D (1ull << 6)

static uint64_t marks(uint64_t table, unsigned int index)
{
	uint64_t bits = at(table)[index] & (A | D);

	at(table)[index] &= ~(A | D);
	return bits;
}

TEST(host_accessed_and_dirty_bits)
{
	const struct dma_request peek = { .iova = 0x1000, .access = WRITE, .peek = true };
	struct dma_reply reply;
	unsigned int i;

	begin("hats=4", 4);
	at(t.host[1])[1] = 0x5000 | 1 | IR | IW;
	expect_page(0x1000, WRITE, 0x5000, 12);
	EXPECT_EQ(0, marks(t.host[1], 1));
	t.dte[0] |= HAD;
	raw_dte(t.dte);
	ASSERT_OK(raw_translate(t.port, &peek, &reply));
	EXPECT_EQ(0, marks(t.host[1], 1));
	/* What is not allowed leaves the page alone. */
	at(t.host[1])[1] &= ~IW;
	expect_event(t.port, 0x1000, WRITE, 2, PR | PE | RW, 0x1000);
	EXPECT_EQ(0, marks(t.host[1], 1));
	at(t.host[1])[1] |= IW;
	ASSERT_OK(translate(t.port, 0x1000, READ, &reply));
	EXPECT_EQ(A, marks(t.host[1], 1));
	EXPECT_EQ(0, reply.perms & WRITE);
	for (i = 2; i <= 4; i++)
		EXPECT_EQ(A, marks(t.host[i], 0));
	ASSERT_OK(translate(t.port, 0x1000, WRITE, &reply));
	EXPECT_EQ(A | D, at(t.host[1])[1] & (A | D));
	EXPECT_TRUE(reply.perms & WRITE);
	/* What is dirty may be written through the TLB. */
	ASSERT_OK(translate(t.port, 0x1000, READ, &reply));
	EXPECT_TRUE(reply.perms & WRITE);
	marks(t.host[1], 1);
	t.dte[0] &= ~(1ull << 8);
	raw_dte(t.dte);
	ASSERT_OK(translate(t.port, 0x1000, WRITE, &reply));
	EXPECT_EQ(A, marks(t.host[1], 1));
	end();
}

TEST(interrupt_window)
{
	const struct dma_request ats = { .iova = 0xfee00000, .access = READ, .ats = true };
	struct dma_reply reply;

	begin("", 4);
	ASSERT_OK(translate(t.port, 0xfeefffff, WRITE, &reply));
	EXPECT_TRUE(reply.interrupt);
	EXPECT_EQ(0xfeefffff, reply.hpa);
	expect_event(t.port, 0xfee00000, READ, 8, 0, 0xfee00000);
	expect_event(t.port, 0xfee00000, READ | WRITE, 8, 0, 0xfee00000);
	expect_event(t.port, 0xfef00000, WRITE, 2, RW, 0xfef00000);
	/* With a PASID, addresses are virtual and nothing is special. */
	expect_event(t.pasid, 0xfee00000, WRITE, 2, GN | US | RW, 0xfee00000);
	EXPECT_RC(-EFAULT, raw_translate(t.port, &ats, &reply));
	EXPECT_EQ(8, reply.fault.reason);
	end();
}

TEST(translation_requests)
{
	struct dma_request ats = { .iova = 0x1000, .access = READ | WRITE, .ats = true };
	struct dma_reply reply;

	begin("", 4);
	at(t.host[1])[1] = 0x5000 | 1 | IR;
	EXPECT_RC(-EOPNOTSUPP, raw_translate(t.port, &ats, &reply));
	EXPECT_EQ(8, reply.fault.reason);
	EXPECT_EQ(TR | 1 << 9, reply.fault.record[0] >> 48 & 0xfff);
	t.dte[1] |= 1ull << 32;
	raw_dte(t.dte);
	/* Granted is what there is. */
	ASSERT_OK(raw_translate(t.port, &ats, &reply));
	EXPECT_EQ(0x5000, reply.hpa);
	EXPECT_EQ(READ | SIOMMU_DMA_EXEC, reply.perms & 7);
	at(t.host[1])[1] = 0x5000 | 1;
	EXPECT_RC(-EFAULT, raw_translate(t.port, &ats, &reply));
	ats.iova = 0x2000;
	EXPECT_RC(-EFAULT, raw_translate(t.port, &ats, &reply));
	EXPECT_TRUE(reply.fault.flags & SIOMMU_FAULT_SILENT);
	end();
}

/* Guest tables at IPA 2 GiB on, which host tables map to the arena's start. */
#define IPA 0x80000000ull

static uint64_t ipa(uint64_t address)
{
	return address - t.arena + IPA;
}

static void set_gcr3(uint64_t address, unsigned int glx)
{
	t.dte[0] &= ~(7ull << 58 | 3ull << 56);
	t.dte[0] |= GV | (address >> 12 & 7) << 58 | (uint64_t)glx << 56;
	t.dte[1] = 0x77 | (address >> 15 & 0xffff) << 16 | (address >> 31) << 43;
	raw_dte(t.dte);
}

static void begin_nested(const char *options)
{
	unsigned int i;

	begin(options, 4);
	at(t.host[3])[2] = t.arena | 1 | IR | IW; /* 1 GiB */
	at(t.gcr3)[5] = ipa(t.guest[3]) | 1;
	for (i = 3; i >= 1; i--)
		at(t.guest[i])[0] = ipa(t.guest[i - 1]) | 7;
	at(t.guest[0])[1] = (IPA + 0x700000) | 7;
	set_gcr3(ipa(t.gcr3), 0);
}

TEST(guest_tables)
{
	struct dma_reply reply;
	uint64_t *pte;

	begin_nested("");
	pte = &at(t.guest[0])[1];
	ASSERT_OK(translate(t.pasid, 0x1008, WRITE, &reply));
	EXPECT_EQ(t.arena + 0x700008, reply.hpa);
	EXPECT_EQ(12, reply.lg2);
	EXPECT_EQ(30, reply.span_lg2);
	EXPECT_EQ(A | D, marks(t.guest[0], 1));
	EXPECT_EQ(A, marks(t.guest[1], 0));
	expect_event(t.pasid, 0x2000, READ, 2, GN | US, 0x2000);
	*pte &= ~2ull;
	expect_event(t.pasid, 0x1000, WRITE, 2, GN | US | PR | PE | RW, 0x1000);
	expect_event(t.pasid, 0x1000, WRITE | SIOMMU_DMA_PRIV, 2, GN | PR | PE | RW, 0x1000);
	*pte = (*pte & ~4ull) | 2;
	expect_event(t.pasid, 0x1000, READ, 2, GN | US | PR | PE, 0x1000);
	ASSERT_OK(translate(t.pasid, 0x1000, READ | SIOMMU_DMA_PRIV, &reply));
	EXPECT_EQ(0, reply.perms & 7);
	*pte |= 4 | 1ull << 63;
	ASSERT_OK(translate(t.pasid, 0x1000, READ, &reply));
	expect_event(t.pasid, 0x1000, READ | SIOMMU_DMA_EXEC, 2, GN | US | PR | PE | 1 << 1,
		     0x1000);
	at(t.guest[1])[1] = (IPA + 0x2000) | 7 | 1 << 7;
	expect_event(t.pasid, 0x200000, READ, 2, GN | US | PR | RZ, 0x200000);
	at(t.guest[3])[1] = IPA | 7 | 1 << 7;
	expect_event(t.pasid, 1ull << 39, READ, 2, GN | US | PR | RZ, 1ull << 39);
	expect_event(t.pasid, 1ull << 47, READ, 2, GN | US, 1ull << 47);
	/* The guest's tables, and its pages, where host tables have nothing. */
	at(t.guest[2])[1] = 0x40000000 | 7;
	expect_event(t.pasid, 1ull << 30, READ, 2, 0, 0x40000000);
	at(t.guest[0])[2] = 0x40000000 | 7;
	expect_event(t.pasid, 0x2010, WRITE, 2, RW, 0x40000010);
	/* Tables that map themselves. */
	at(t.guest[3])[2] = ipa(t.guest[3]) | 7;
	ASSERT_OK(translate(t.pasid, 2ull << 39 | 2ull << 30 | 2ull << 21 | 2ull << 12, READ,
			    &reply));
	EXPECT_EQ(t.guest[3], reply.hpa);
	end();
}

/* A guest's table that it may only read cannot be marked. */
TEST(guest_tables_in_read_only_memory)
{
	begin_nested("");
	at(t.host[3])[2] &= ~IW;
	expect_event(t.pasid, 0x1000, READ, 2, PR | PE, ipa(t.guest[3]));
	at(t.guest[3])[0] |= A;
	at(t.guest[2])[0] |= A;
	at(t.guest[1])[0] |= A;
	expect_event(t.pasid, 0x1000, READ, 2, PR | PE, ipa(t.guest[0]) + 8);
	at(t.guest[0])[1] |= A;
	{
		struct dma_reply reply;

		EXPECT_OK(translate(t.pasid, 0x1000, READ, &reply));
	}
	end();
}

TEST(gcr3_tables)
{
	struct dma_reply reply;
	struct dma_port *far;

	begin_nested("");
	far = raw_port(512 * 3 + 5);
	ASSERT_OK(translate(t.pasid, 0x1000, READ, &reply));
	/* One level has 512 of them. */
	expect_event(far, 0x1000, READ, 2, GN | US, 0x1000);
	set_gcr3(ipa(t.guest[4]), 1);
	expect_event(t.pasid, 0x1000, READ, 2, GN | US, 0x1000);
	at(t.guest[4])[0] = ipa(t.gcr3) | 1;
	at(t.guest[4])[3] = ipa(t.gcr3) | 1;
	ASSERT_OK(translate(t.pasid, 0x1000, READ, &reply));
	ASSERT_OK(translate(far, 0x1000, READ, &reply));
	/* The unit has no third level (GLXSup). */
	set_gcr3(ipa(t.guest[4]), 2);
	expect_event(t.pasid, 0x1000, READ, 1, RZ, 0x1000);
	set_gcr3(0x40000000, 0);
	expect_event(t.pasid, 0x1000, READ, 2, 0, 0x40000028);
	/* A device without guest tables. */
	t.dte[0] &= ~GV;
	raw_dte(t.dte);
	expect_event(t.pasid, 0x1000, READ, 2, GN | US, 0x1000);
	/* Without a PASID: host tables, or PASID 0 with GIOV. */
	set_gcr3(ipa(t.gcr3), 0);
	expect_page(IPA + 0x1000, READ, t.arena + 0x1000, 30);
	t.dte[0] |= GIOV;
	raw_dte(t.dte);
	expect_event(t.port, 0x1000, READ, 2, GN | US, 0x1000);
	at(t.gcr3)[0] = at(t.gcr3)[5];
	ASSERT_OK(translate(t.port, 0x1000, READ, &reply));
	EXPECT_EQ(t.arena + 0x700000, reply.hpa);
	iommu_port_destroy(far);
	end();
}

/*
 * Steps, for people
 */

static char steps[1024];

static void add_step(void *arg, const struct siommu_walk_step *step)
{
	size_t n = strlen(steps);

	(void)arg;
	snprintf(steps + n, sizeof(steps) - n, "%s%u.%u.%u%s ", step->what, step->stage,
		 step->depth, step->level, step->leaf ? "!" : "");
}

TEST(walks_are_told)
{
	struct dma_request req = { .iova = 0x1000, .access = READ, .peek = true, .step = add_step };
	struct dma_reply reply;

	begin("hats=4", 4);
	at(t.host[1])[1] = 0x5000 | 1 | IR | IW;
	steps[0] = '\0';
	ASSERT_OK(raw_translate(t.port, &req, &reply));
	EXPECT_STR("DTE0.0.0 host PDE2.0.3 host PDE2.0.2 host PDE2.0.1 host PTE2.0.0! ", steps);
	end();
	begin_nested("");
	at(t.host[4])[0] = t.host[3] | 1 | NEXT(3) | IR | IW;
	steps[0] = '\0';
	ASSERT_OK(raw_translate(t.pasid, &req, &reply));
	EXPECT_STR("DTE0.0.0 host PDE2.1.3 host PTE2.1.2! GCR3 entry0.0.0 "
		   "host PDE2.1.3 host PTE2.1.2! PML4E1.0.3 "
		   "host PDE2.1.3 host PTE2.1.2! PDPE1.0.2 "
		   "host PDE2.1.3 host PTE2.1.2! PDE1.0.1 "
		   "host PDE2.1.3 host PTE2.1.2! PTE1.0.0! "
		   "host PDE2.0.3 host PTE2.0.2! ",
		   steps);
	end();
}

/*
 * Hostile: a guest changes all of its tables all the time.
 */

static atomic_bool stop;

static void *scribble(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t *table =
			at(unit_random(&seed) % 8 ? t.guest[unit_random(&seed) % 4] : t.gcr3);
		uint64_t entry =
			ipa(t.guest[unit_random(&seed) % 4]) | 7 | (unit_random(&seed) & 0x1f8);

		if (unit_random(&seed) % 4 == 0)
			entry = unit_random(&seed);
		__atomic_store_n(&table[unit_random(&seed) % 8], entry, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST(tables_that_change_while_they_are_walked)
{
	uint64_t seed = unit_seed();
	unsigned int i, good = 0;
	struct dma_reply reply;
	pthread_t thread;

	begin_nested("");
	t.dte[0] |= HAD;
	raw_dte(t.dte);
	atomic_store(&stop, false);
	ASSERT_OK(pthread_create(&thread, NULL, scribble, (void *)(uintptr_t)seed));
	for (i = 0; i < 300000; i++) {
		uint64_t iova = unit_random(&seed) & (7ull << 39 | 7ull << 30 | 7 << 21 | 7 << 12);

		if (i % 16 == 0)
			iommu_flush_device(raw.dev, 0, U64_MAX);
		if (!translate(t.pasid, iova, 1 + i % 3, &reply)) {
			good++;
			/* Within the one page that the host has mapped. */
			EXPECT_TRUE(reply.hpa - t.arena < 1 << 30);
		} else {
			EXPECT_TRUE(reply.fault.reason == 2 || reply.fault.reason == 4);
		}
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	printf("# %u of %u translated\n", good, i);
	EXPECT_TRUE(good > 0);
	end();
}

/* An entry is never seen half written. */
static void *rewrite(void *arg)
{
	const uint64_t one[4] = { V | TV | IR | IW | MODE(4) | t.host[4], 0x77 };
	const uint64_t two[4] = { V | TV | IR | IW | GV | GIOV | (t.gcr3 >> 12 & 7) << 58,
				  0x77 | (t.gcr3 >> 15 & 0xffff) << 16 | (t.gcr3 >> 31) << 43 };
	unsigned int i;

	(void)arg;
	for (i = 0; i < 20000; i++)
		raw_dte(i % 2 ? one : two);
	atomic_store(&stop, true);
	return NULL;
}

TEST(entries_are_read_in_one_piece)
{
	struct dma_reply reply;
	pthread_t thread;
	unsigned int i;

	begin("hats=4", 4);
	at(t.host[1])[1] = 0x5000 | 1 | IR | IW;
	at(t.gcr3)[0] = t.guest[3] | 1;
	for (i = 3; i >= 1; i--)
		at(t.guest[i])[0] = t.guest[i - 1] | 7;
	at(t.guest[0])[1] = 0x6000 | 7;
	atomic_store(&stop, false);
	ASSERT_OK(pthread_create(&thread, NULL, rewrite, NULL));
	while (!atomic_load(&stop)) {
		ASSERT_OK(translate(t.port, 0x1000, READ, &reply));
		ASSERT_TRUE(reply.hpa == 0x5000 || reply.hpa == 0x6000);
	}
	pthread_join(thread, NULL);
	end();
}
