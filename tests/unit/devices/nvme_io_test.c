// SPDX-License-Identifier: MIT
/*
 * The NVMe controller's I/O commands, on memory and on files: what they move and where
 * to, PRP and SGLs, what is durable when, and what hostile lists lead to.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "devices/nvme_test.h"

#define FLUSH	     0x00
#define WRITE	     0x01
#define READ	     0x02
#define COMPARE	     0x05
#define WRITE_ZEROES 0x08
#define DSM	     0x09
#define VERIFY	     0x0c

#define FUA (1u << 30)

/*
 * The library's calls come here: what is durable is what these were told to make so.
 */
static _Atomic unsigned int syncs, durable_writes;
static _Atomic int sync_error;

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&sync_error)) {
		errno = atomic_load(&sync_error);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) ssize_t pwritev2(int fd, const struct iovec *iov, int n,
							off_t at, int flags)
{
	if (flags & RWF_DSYNC) {
		atomic_fetch_add(&durable_writes, 1);
		if (atomic_load(&sync_error)) {
			errno = atomic_load(&sync_error);
			return -1;
		}
	}
	return syscall(SYS_pwritev2, fd, iov, (long)n, (long)at, 0L, (long)flags);
}

static void fill(u64 iova, size_t n, uint64_t seed)
{
	u8 *to = rig_at(&rig, iova);
	size_t i;

	for (i = 0; i < n; i++)
		to[i] = (u8)(unit_random(&seed) >> 7);
}

static int rw(uint8_t opcode, u64 slba, u32 blocks, u64 prp1, u64 prp2)
{
	const struct rig_sqe sqe = rig_rw(opcode, slba, blocks, prp1, prp2);

	return rig_do(&rig, 1, &sqe);
}

static void moves_data(void)
{
	u64 a, b;

	a = rig_alloc(&rig, 8192);
	b = rig_alloc(&rig, 8192);
	fill(a, 8192, 1);
	EXPECT_OK(rw(WRITE, 5, 16, a, a + 4096));
	EXPECT_OK(rw(READ, 5, 16, b, b + 4096));
	EXPECT_MEM(rig_at(&rig, a), rig_at(&rig, b), 8192);
	/* One block of it. */
	memset(rig_at(&rig, b), 0, 8192);
	EXPECT_OK(rw(READ, 7, 1, b, 0));
	EXPECT_MEM((u8 *)rig_at(&rig, a) + 1024, rig_at(&rig, b), 512);
	EXPECT_EQ(0, *((u8 *)rig_at(&rig, b) + 512));
	/* What nobody wrote. */
	memset(rig_at(&rig, b), 0xff, 512);
	EXPECT_OK(rw(READ, 100, 1, b, 0));
	EXPECT_EQ(0, le64(rig_at(&rig, b), 0));
}

TEST(moves_data_in_memory)
{
	start_io("");
	moves_data();
}

TEST(moves_data_in_a_file)
{
	u8 block[512];
	int fd;

	start_io(image_new(1 << 20, ""));
	moves_data();
	/* The file is the disk. */
	fd = open(image, O_RDONLY);
	ASSERT_EQ(512, pread(fd, block, 512, 5 * 512));
	EXPECT_MEM(rig_at(&rig, rig.next + RIG_IOVA - 16384), block, 512);
	close(fd);
}

TEST(moves_data_while_polling)
{
	start_io("poll=on");
	moves_data();
	usleep(20000); /* it naps */
	moves_data();
}

TEST(has_blocks_of_4096_bytes)
{
	u64 a, b;

	start_io("block=4096,size=1M");
	a = rig_alloc(&rig, 8192);
	b = rig_alloc(&rig, 8192);
	fill(a, 8192, 2);
	EXPECT_OK(rw(WRITE, 254, 2, a, a + 4096));
	EXPECT_OK(rw(READ, 255, 1, b, 0));
	EXPECT_MEM((u8 *)rig_at(&rig, a) + 4096, rig_at(&rig, b), 4096);
	EXPECT_RC(0x4080, rw(READ, 255, 2, b, b + 4096));
}

TEST(keeps_namespaces_apart)
{
	struct rig_sqe sqe;
	u64 a, b;

	start_io("size=1M,size2=2M");
	a = rig_alloc(&rig, 4096);
	b = rig_alloc(&rig, 4096);
	fill(a, 4096, 3);
	EXPECT_OK(rw(WRITE, 0, 8, a, 0));
	sqe = rig_rw(READ, 0, 8, b, 0);
	sqe.nsid = 2;
	EXPECT_OK(rig_do(&rig, 1, &sqe));
	EXPECT_EQ(0, le64(rig_at(&rig, b), 0));
	/* The second one is larger. */
	sqe = rig_rw(READ, 2048, 8, b, 0);
	EXPECT_RC(0x4080, rig_do(&rig, 1, &sqe));
	sqe.nsid = 2;
	EXPECT_OK(rig_do(&rig, 1, &sqe));
	sqe.nsid = 3;
	EXPECT_RC(0x400b, rig_do(&rig, 1, &sqe));
	sqe.nsid = 0;
	EXPECT_RC(0x400b, rig_do(&rig, 1, &sqe));
	sqe.nsid = 0xffffffff;
	EXPECT_RC(0x400b, rig_do(&rig, 1, &sqe));
}

TEST(checks_ranges)
{
	static const uint8_t opcodes[] = { WRITE, READ, COMPARE, WRITE_ZEROES, VERIFY };
	unsigned int i;
	u64 a;

	start_io("size=1M,mdts=1");
	a = rig_alloc(&rig, 16384);
	for (i = 0; i < sizeof(opcodes); i++) {
		EXPECT_RC(0x4080, rw(opcodes[i], 2048, 1, a, 0));
		EXPECT_RC(0x4080, rw(opcodes[i], 2047, 2, a, 0));
		EXPECT_RC(0x4080, rw(opcodes[i], UINT64_MAX, 1, a, 0));
		EXPECT_RC(0x4080, rw(opcodes[i], UINT64_MAX - 3, 8, a, 0));
		EXPECT_RC(0, rw(opcodes[i], 2047, 1, a, 0));
	}
	/* More than MDTS is an invalid field; what moves nothing has no such limit. */
	EXPECT_RC(0, rw(READ, 0, 16, a, a + 4096));
	EXPECT_RC(0x4002, rw(READ, 0, 17, a, a + 4096));
	EXPECT_RC(0x4002, rw(WRITE, 0, 17, a, a + 4096));
	EXPECT_RC(0x4002, rw(COMPARE, 0, 17, a, a + 4096));
	EXPECT_RC(0, rw(VERIFY, 0, 1000, 0, 0));
	EXPECT_RC(0, rw(WRITE_ZEROES, 0, 1000, 0, 0));
	EXPECT_RC(0x4001, rw(0x7f, 0, 1, a, 0));
	EXPECT_RC(0x4001, rw(0x04, 0, 1, a, 0)); /* no Write Uncorrectable */
}

/* As hostile, and as plain, as PRP lists can be. */
TEST(follows_prp_entries)
{
	u64 data, list, b;
	u64 *entries;

	start_io("");
	data = rig_alloc(&rig, 64 * 4096);
	list = rig_alloc(&rig, 2 * 4096);
	b = rig_alloc(&rig, 64 * 4096);
	entries = rig_at(&rig, list);
	/* An offset in the first page: 512 bytes to its end, then a whole page. */
	fill(data, 8192, 4);
	EXPECT_OK(rw(WRITE, 0, 9, data + 3584, data + 4096));
	EXPECT_OK(rw(READ, 0, 8, b, 0));
	EXPECT_MEM((u8 *)rig_at(&rig, data) + 3584, rig_at(&rig, b), 4096);
	/* The second entry has no offset unless it points to a list. */
	EXPECT_RC(0x4013, rw(READ, 0, 16, b, b + 4096 + 8));
	/* Words only. */
	EXPECT_RC(0x4013, rw(READ, 0, 1, b + 2, 0));
	EXPECT_OK(rw(READ, 0, 1, b + 4, 0));
	/* A list: pages in any order. */
	fill(data, 3 * 4096, 5);
	entries[0] = data + 8192;
	entries[1] = data + 4096;
	EXPECT_OK(rw(WRITE, 0, 24, data, list));
	EXPECT_OK(rw(READ, 8, 8, b, 0));
	EXPECT_MEM((u8 *)rig_at(&rig, data) + 8192, rig_at(&rig, b), 4096);
	EXPECT_OK(rw(READ, 16, 8, b, 0));
	EXPECT_MEM((u8 *)rig_at(&rig, data) + 4096, rig_at(&rig, b), 4096);
	/* A list need not begin with its page; in it nothing has an offset. */
	memcpy(entries + 5, entries, 16);
	EXPECT_OK(rw(READ, 0, 24, b, list + 40));
	EXPECT_RC(0x4013, rw(READ, 0, 24, b, list + 4));
	entries[1] += 512;
	EXPECT_RC(0x4013, rw(READ, 0, 24, b, list));
}

TEST(follows_prp_lists_over_pages)
{
	u64 data, list, next, *entries;
	unsigned int i;

	start_io("");
	data = rig_alloc(&rig, 66 * 4096);
	list = rig_alloc(&rig, 2 * 4096);
	next = rig_alloc(&rig, 4096);
	fill(data, 66 * 4096, 6);
	/* The last 3 entries of a page: two of data, one that leads on. */
	entries = (u64 *)rig_at(&rig, list) + 509;
	entries[0] = data + 4096;
	entries[1] = data + 2 * 4096;
	entries[2] = next;
	for (i = 0; i < 61; i++)
		((u64 *)rig_at(&rig, next))[i] = data + (3 + i) * 4096;
	EXPECT_OK(rw(WRITE, 0, 64 * 8, data, list + 509 * 8));
	/* Exactly up to the end of the page: the last entry is data. */
	entries[2] = data + 3 * 4096;
	EXPECT_OK(rw(WRITE, 1024, 4 * 8, data, list + 509 * 8));
	/* From the very last one. */
	entries[2] = next;
	EXPECT_OK(rw(READ, 3 * 8, 62 * 8 - 8, data, list + 511 * 8));
	{
		u64 b = rig_alloc(&rig, 64 * 4096), b_list = rig_alloc(&rig, 4096);

		for (i = 0; i < 63; i++)
			((u64 *)rig_at(&rig, b_list))[i] = b + (1 + i) * 4096;
		fill(data, 66 * 4096, 6);
		EXPECT_OK(rw(READ, 0, 64 * 8, b, b_list));
		EXPECT_MEM(rig_at(&rig, data), rig_at(&rig, b), 64 * 4096);
		EXPECT_OK(rw(READ, 1024, 4 * 8, b, b_list));
		EXPECT_MEM(rig_at(&rig, data), rig_at(&rig, b), 4 * 4096);
	}
	/* The next list must begin with its page. */
	entries[2] = next + 8;
	EXPECT_RC(0x4013, rw(READ, 0, 64 * 8, data, list + 509 * 8));
	/* A list that leads to itself ends with the data. */
	entries = rig_at(&rig, list);
	for (i = 0; i < 511; i++)
		entries[i] = data + i % 60 * 4096;
	entries[511] = list;
	EXPECT_OK(rw(READ, 0, 256 * 8, data, list + 511 * 8));
}

TEST(refuses_memory_that_is_not_mapped)
{
	u64 a, hole = RIG_IOVA + RIG_RAM, *entries;
	const u64 bad[] = { hole, 0, 0x7ffffffff000, ~(u64)0xfff };
	unsigned int i;

	start_io("");
	a = rig_alloc(&rig, 8192);
	entries = rig_at(&rig, a);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* Data Transfer Error: trying again may help. */
		EXPECT_RC(0x0004, rw(READ, 0, 1, bad[i], 0));
		EXPECT_RC(0x0004, rw(WRITE, 0, 1, bad[i], 0));
		EXPECT_RC(0x0004, rw(COMPARE, 0, 1, bad[i], 0));
		EXPECT_RC(0x0004, rw(READ, 0, 16, a, bad[i]));
		EXPECT_RC(0x0004, rw(READ, 0, 24, a, bad[i])); /* a list */
		entries[0] = bad[i];
		EXPECT_RC(0x0004, rw(WRITE, 0, 24, a, a));
	}
	/* Memory that the device may only read. */
	a = rig_alloc(&rig, 4096);
	ASSERT_OK(rig_disable(&rig));
	ASSERT_OK(rig_unmap(&rig, 0, RIG_RAM));
	ASSERT_OK(rig_map(&rig, 0, RIG_RAM / 2, true));
	ASSERT_OK(rig_map(&rig, RIG_RAM / 2, RIG_RAM / 2, false));
	ASSERT_OK(rig_enable(&rig));
	ASSERT_OK(rig_queue(&rig, 1, 64, -1));
	EXPECT_RC(0x0004, rw(READ, 0, 1, RIG_IOVA + RIG_RAM / 2, 0));
	EXPECT_RC(0, rw(WRITE, 0, 1, RIG_IOVA + RIG_RAM / 2, 0));
	EXPECT_TRUE(!(rig_r32(&rig, 0x1c) & 2));
}

/*
 * SGLs
 */

struct sgl {
	u64 address;
	u32 length;
	u8 reserved[3];
	u8 type;
};

static int sgl_rw(uint8_t opcode, u32 blocks, struct sgl first)
{
	struct rig_sqe sqe = rig_rw(opcode, 0, blocks, 0, 0);

	sqe.flags = 0x40;
	memcpy(&sqe.prp1, &first, sizeof(first));
	return rig_do(&rig, 1, &sqe);
}

#define DATA(a, n)    ((struct sgl){ (a), (n), { 0 }, 0x00 })
#define BUCKET(n)     ((struct sgl){ 0, (n), { 0 }, 0x10 })
#define SEGMENT(a, n) ((struct sgl){ (a), (n), { 0 }, 0x20 })
#define LAST(a, n)    ((struct sgl){ (a), (n), { 0 }, 0x30 })

TEST(follows_sgls)
{
	u64 data, list, b;
	struct sgl *d;

	start_io("");
	data = rig_alloc(&rig, 8192);
	b = rig_alloc(&rig, 8192);
	list = rig_alloc(&rig, 4096);
	d = rig_at(&rig, list);
	fill(data, 8192, 7);
	/* In the command; any alignment and length. */
	EXPECT_OK(sgl_rw(WRITE, 8, DATA(data + 1, 4096)));
	EXPECT_OK(sgl_rw(READ, 8, DATA(b + 7, 4096)));
	EXPECT_MEM((u8 *)rig_at(&rig, data) + 1, (u8 *)rig_at(&rig, b) + 7, 4096);
	/* A last segment of pieces. */
	d[0] = DATA(data, 100);
	d[1] = DATA(data + 4000, 0);
	d[2] = DATA(data + 200, 412);
	EXPECT_OK(sgl_rw(WRITE, 1, LAST(list, 48)));
	EXPECT_OK(rw(READ, 0, 1, b, 0));
	EXPECT_MEM(rig_at(&rig, data), rig_at(&rig, b), 100);
	EXPECT_MEM((u8 *)rig_at(&rig, data) + 200, (u8 *)rig_at(&rig, b) + 100, 412);
	/* A segment, then the last one. */
	d[0] = DATA(b, 256);
	d[1] = LAST(list + 64, 32);
	d[4] = BUCKET(128);
	d[5] = DATA(b + 384, 128);
	memset(rig_at(&rig, b), 0xee, 512);
	EXPECT_OK(sgl_rw(READ, 1, SEGMENT(list, 32)));
	EXPECT_MEM(rig_at(&rig, data), rig_at(&rig, b), 100);
	EXPECT_EQ(0xeeeeeeee, le32(rig_at(&rig, b), 256)); /* for nobody */
	EXPECT_EQ(0xeeeeeeee, le32(rig_at(&rig, b), 380));
	EXPECT_MEM((u8 *)rig_at(&rig, data) + 484, (u8 *)rig_at(&rig, b) + 384, 128);
	/* Into the bucket altogether; longer than needed. */
	EXPECT_OK(sgl_rw(READ, 1, BUCKET(512)));
	EXPECT_OK(sgl_rw(READ, 1, DATA(b, 4096)));
}

TEST(refuses_bad_sgls)
{
	u64 data, list;
	struct sgl *d;
	unsigned int i;

	start_io("");
	data = rig_alloc(&rig, 8192);
	list = rig_alloc(&rig, 65536 * 3);
	d = rig_at(&rig, list);
	/* Data SGL Length Invalid: too short. */
	EXPECT_RC(0x400f, sgl_rw(READ, 1, DATA(data, 511)));
	d[0] = DATA(data, 256);
	EXPECT_RC(0x400f, sgl_rw(READ, 1, LAST(list, 16)));
	EXPECT_RC(0x400f, sgl_rw(WRITE, 1, BUCKET(512))); /* counts for nothing */
	/* Invalid SGL Segment Descriptor. */
	EXPECT_RC(0x400d, sgl_rw(READ, 1, LAST(list, 0)));
	EXPECT_RC(0x400d, sgl_rw(READ, 1, LAST(list, 17)));
	EXPECT_RC(0x400d, sgl_rw(READ, 1, SEGMENT(list, 16))); /* leads nowhere */
	d[0] = LAST(list, 16);
	d[1] = DATA(data, 512);
	EXPECT_RC(0x400d, sgl_rw(READ, 1, SEGMENT(list, 32))); /* not at its end */
	EXPECT_RC(0x400d, sgl_rw(READ, 1, LAST(list, 16)));    /* after the last */
	/* SGL Descriptor Type Invalid. */
	EXPECT_RC(0x4011, sgl_rw(READ, 1, ((struct sgl){ data, 512, { 0 }, 0x40 })));
	EXPECT_RC(0x4011, sgl_rw(READ, 1, ((struct sgl){ data, 512, { 0 }, 0x01 })));
	EXPECT_RC(0x4011, sgl_rw(READ, 1, ((struct sgl){ data, 512, { 0 }, 0xf0 })));
	/* A segment that leads to itself; one of nothing. */
	d[0] = SEGMENT(list, 16);
	EXPECT_RC(0x400e, sgl_rw(READ, 1, SEGMENT(list, 16)));
	for (i = 0; i < 65536 * 3 / 16; i++)
		d[i] = DATA(data, 0);
	EXPECT_RC(0x400e, sgl_rw(READ, 1, LAST(list, 65536 * 3)));
	/* Where nothing is mapped. */
	EXPECT_RC(0x0004, sgl_rw(READ, 1, DATA(0x1000, 512)));
	EXPECT_RC(0x0004, sgl_rw(READ, 1, LAST(0x1000, 16)));
	EXPECT_RC(0x0004, sgl_rw(READ, 1, DATA(UINT64_MAX - 10, 512)));
	{
		struct rig_sqe sqe = rig_rw(READ, 0, 1, data, 0);

		sqe.flags = 0xc0; /* reserved */
		EXPECT_RC(0x4002, rig_do(&rig, 1, &sqe));
	}
}

/*
 * Other commands
 */

static void compares(void)
{
	u64 a = rig_alloc(&rig, 4096);

	fill(a, 4096, 8);
	EXPECT_OK(rw(WRITE, 0, 8, a, 0));
	EXPECT_OK(rw(COMPARE, 0, 8, a, 0));
	*((u8 *)rig_at(&rig, a) + 4095) ^= 1;
	EXPECT_RC(0x4285, rw(COMPARE, 0, 8, a, 0));
	EXPECT_OK(rw(COMPARE, 0, 7, a, 0));
}

static int dsm(u64 list, unsigned int n, u32 attributes)
{
	const struct rig_sqe sqe = {
		.opcode = DSM, .nsid = 1, .prp1 = list, .cdw10 = n - 1, .cdw11 = attributes
	};

	return rig_do(&rig, 1, &sqe);
}

static void range(u64 list, unsigned int i, u64 slba, u32 blocks)
{
	u8 *to = (u8 *)rig_at(&rig, list) + 16 * i;

	memcpy(to + 4, &blocks, 4);
	memcpy(to + 8, &slba, 8);
}

/* Are the blocks of 0xff of write_ones() still so? */
static bool ones(u64 slba, u32 blocks)
{
	u64 b = rig_alloc(&rig, 4096);
	u32 i;

	EXPECT_OK(rw(READ, slba, 1, b, 0));
	for (i = 0; i < blocks; i++) {
		EXPECT_OK(rw(READ, slba + i, 1, b, 0));
		if (le64(rig_at(&rig, b), 0) != UINT64_MAX)
			return false;
	}
	return true;
}

static bool zeros(u64 slba, u32 blocks)
{
	u64 b = rig_alloc(&rig, 4096);
	u8 *at = rig_at(&rig, b);
	u32 i, k;

	for (i = 0; i < blocks; i++) {
		memset(at, 1, 512);
		EXPECT_OK(rw(READ, slba + i, 1, b, 0));
		for (k = 0; k < 512; k++) {
			if (at[k])
				return false;
		}
	}
	return true;
}

static void write_ones(u32 pages)
{
	u64 a = rig_alloc(&rig, 4096);
	u32 i;

	memset(rig_at(&rig, a), 0xff, 4096);
	for (i = 0; i < pages; i++)
		EXPECT_OK(rw(WRITE, i * 8, 8, a, 0));
}

static void makes_zeros(void)
{
	struct rig_sqe sqe;

	write_ones(20);
	EXPECT_OK(rw(WRITE_ZEROES, 3, 50, 0, 0));
	EXPECT_TRUE(ones(0, 3));
	EXPECT_TRUE(zeros(3, 50));
	EXPECT_TRUE(ones(53, 20));
	sqe = rig_rw(WRITE_ZEROES, 61, 30, 0, 0);
	sqe.cdw12 |= 1 << 25; /* may be deallocated */
	EXPECT_OK(rig_do(&rig, 1, &sqe));
	EXPECT_TRUE(ones(53, 8));
	EXPECT_TRUE(zeros(61, 30));
	EXPECT_TRUE(ones(91, 5));
}

static void deallocates(void)
{
	u64 list = rig_alloc(&rig, 4096);

	write_ones(40);
	range(list, 0, 8, 16);
	range(list, 1, 100, 1);
	range(list, 2, 200, 0);
	EXPECT_OK(dsm(list, 3, 0x3)); /* hints about use alone */
	EXPECT_TRUE(ones(8, 16));
	EXPECT_OK(dsm(list, 3, 0x4));
	EXPECT_TRUE(zeros(8, 16));
	EXPECT_TRUE(zeros(100, 1));
	EXPECT_TRUE(ones(0, 8));
	EXPECT_TRUE(ones(24, 76));
	EXPECT_TRUE(ones(101, 100));
	range(list, 1, 1 << 20, 100);
	range(list, 0, 40, 16);
	EXPECT_RC(0x4080, dsm(list, 2, 0x4));
	range(list, 1, UINT64_MAX, UINT32_MAX);
	EXPECT_RC(0x4080, dsm(list, 2, 0x4));
	EXPECT_TRUE(ones(40, 16));
	EXPECT_RC(0x0004, dsm(0x1000, 2, 0x4));
}

TEST(compares_and_clears_memory)
{
	start_io("size=1M");
	compares();
	makes_zeros();
	deallocates();
	EXPECT_OK(rw(VERIFY, 0, 2048, 0, 0));
}

TEST(compares_and_clears_files)
{
	struct stat before, after;
	u64 list;

	start_io(image_new(1 << 20, ""));
	compares();
	makes_zeros();
	deallocates();
	EXPECT_OK(rw(VERIFY, 0, 2048, 0, 0));
	/* Whole pages are given back to the filesystem, if it can take them. */
	write_ones(40);
	ASSERT_OK(stat(image, &before));
	list = rig_alloc(&rig, 4096);
	range(list, 0, 0, 160);
	EXPECT_OK(dsm(list, 1, 0x4));
	ASSERT_OK(stat(image, &after));
	EXPECT_TRUE(after.st_blocks < before.st_blocks);
	EXPECT_EQ(1 << 20, after.st_size);
	/* A file that somebody has made shorter. */
	ASSERT_OK(truncate(image, 4096));
	EXPECT_RC(0x4281, rw(READ, 8, 1, list, 0));
	EXPECT_RC(0x4281, rw(VERIFY, 8, 1, 0, 0));
	EXPECT_OK(rw(READ, 0, 8, list, 0));
}

TEST(makes_durable_what_it_says_is)
{
	struct rig_sqe sqe;
	unsigned int before;
	u64 a;

	start_io(image_new(1 << 20, ""));
	a = rig_alloc(&rig, 4096);
	/* In the cache. */
	before = atomic_load(&syncs) + atomic_load(&durable_writes);
	EXPECT_OK(rw(WRITE, 0, 8, a, 0));
	EXPECT_EQ(before, atomic_load(&syncs) + atomic_load(&durable_writes));
	/* Flush, of one and of all namespaces. */
	EXPECT_OK(rig_do(&rig, 1, &(struct rig_sqe){ .opcode = FLUSH, .nsid = 1 }));
	EXPECT_EQ(before + 1, atomic_load(&syncs) + atomic_load(&durable_writes));
	EXPECT_OK(rig_do(&rig, 1, &(struct rig_sqe){ .opcode = FLUSH, .nsid = 0xffffffff }));
	EXPECT_EQ(before + 2, atomic_load(&syncs) + atomic_load(&durable_writes));
	EXPECT_RC(0x400b, rig_do(&rig, 1, &(struct rig_sqe){ .opcode = FLUSH, .nsid = 2 }));
	/* Force unit access. */
	sqe = rig_rw(WRITE, 0, 8, a, 0);
	sqe.cdw12 |= FUA;
	EXPECT_OK(rig_do(&rig, 1, &sqe));
	EXPECT_EQ(before + 3, atomic_load(&syncs) + atomic_load(&durable_writes));
	sqe = rig_rw(WRITE_ZEROES, 0, 8, 0, 0);
	sqe.cdw12 |= FUA;
	EXPECT_OK(rig_do(&rig, 1, &sqe));
	EXPECT_EQ(before + 4, atomic_load(&syncs) + atomic_load(&durable_writes));
	/* Without the cache: what was in it, and each write. */
	EXPECT_OK(rig_set_feature(&rig, 0x06, 0, 0, 0));
	EXPECT_EQ(before + 5, atomic_load(&syncs) + atomic_load(&durable_writes));
	EXPECT_OK(rw(WRITE, 0, 8, a, 0));
	EXPECT_EQ(before + 6, atomic_load(&syncs) + atomic_load(&durable_writes));
	/* Shutdown. */
	EXPECT_OK(rig_set_feature(&rig, 0x06, 0, 1, 0));
	EXPECT_OK(rw(WRITE, 0, 8, a, 0));
	before = atomic_load(&syncs);
	rig_w32(&rig, 0x14, RIG_CC | 1 << 14);
	EXPECT_TRUE(RIG_UNTIL((rig_r32(&rig, 0x1c) >> 2 & 3) == 2));
	EXPECT_TRUE(atomic_load(&syncs) > before);
}

TEST(does_not_hide_that_a_flush_failed)
{
	u64 to;

	start_io(image_new(1 << 20, ""));
	to = rig_alloc(&rig, 4096);
	atomic_store(&sync_error, EIO);
	/* Write Fault, and the health log counts it. */
	EXPECT_RC(0x4280, rig_do(&rig, 1, &(struct rig_sqe){ .opcode = FLUSH, .nsid = 1 }));
	EXPECT_RC(0x4280, rig_set_feature(&rig, 0x06, 0, 0, 0));
	atomic_store(&sync_error, ENOSPC);
	EXPECT_RC(0x4081, rig_do(&rig, 1, &(struct rig_sqe){ .opcode = FLUSH, .nsid = 1 }));
	atomic_store(&sync_error, 0);
	ASSERT_OK(rig_log_page(&rig, 0x02, 0, 512, to));
	EXPECT_EQ(2, le64(rig_at(&rig, to), 160));
}

/*
 * The kernel tells a file's user once that something could not be written back. If that is
 * a write with FUA, what was in the cache before it may be what is lost.
 */
TEST(a_flush_tells_what_another_command_met)
{
	const struct rig_sqe flush = { .opcode = FLUSH, .nsid = 1 };
	struct rig_sqe sqe;
	u64 a;

	start_io(image_new(1 << 20, ""));
	a = rig_alloc(&rig, 4096);
	EXPECT_OK(rw(WRITE, 64, 8, a, 0));
	sqe = rig_rw(WRITE, 0, 8, a, 0);
	sqe.cdw12 |= FUA;
	atomic_store(&sync_error, EIO);
	EXPECT_RC(0x4280, rig_do(&rig, 1, &sqe));
	atomic_store(&sync_error, 0);
	EXPECT_RC(0x4280, rig_do(&rig, 1, &flush));
	EXPECT_OK(rig_do(&rig, 1, &flush));
	/* The same for zeros. */
	sqe = rig_rw(WRITE_ZEROES, 0, 8, 0, 0);
	sqe.cdw12 |= FUA;
	atomic_store(&sync_error, EIO);
	EXPECT_RC(0x4280, rig_do(&rig, 1, &sqe));
	atomic_store(&sync_error, 0);
	EXPECT_RC(0x4280, rig_do(&rig, 1, &flush));
	EXPECT_OK(rig_do(&rig, 1, &flush));
}

TEST(protects_what_is_read_only)
{
	u64 a;

	start_io(image_new(1 << 20, ",ro=on"));
	a = rig_alloc(&rig, 4096);
	EXPECT_OK(rw(READ, 0, 8, a, 0));
	EXPECT_RC(0x4020, rw(WRITE, 0, 8, a, 0)); /* Namespace is Write Protected */
	EXPECT_RC(0x4020, rw(WRITE_ZEROES, 0, 8, 0, 0));
	EXPECT_RC(0x4020, dsm(a, 1, 4));
	EXPECT_OK(rig_do(&rig, 1, &(struct rig_sqe){ .opcode = FLUSH, .nsid = 1 }));
	ASSERT_OK(rig_identify(&rig, 0, 1, a));
	EXPECT_EQ(1, *((u8 *)rig_at(&rig, a) + 99));
}

TEST(makes_a_file_of_the_size_asked_for)
{
	struct stat st;
	u64 a;

	start_io(image_new(0, ",size=2M"));
	ASSERT_OK(stat(image, &st));
	EXPECT_EQ(2 << 20, st.st_size);
	a = rig_alloc(&rig, 4096);
	EXPECT_OK(rw(WRITE, 4095, 1, a, 0));
	EXPECT_RC(0x4080, rw(WRITE, 4096, 1, a, 0));
}

/*
 * Controller memory: queues and data in BAR 2, where CMBMSC says that the host sees it.
 */
TEST(has_memory_of_its_own)
{
	const u64 base = 0x123400000;
	u64 a, loc, size;
	struct rig_sqe sqe;
	u8 *cmb;

	start_io("cmb=64K");
	EXPECT_EQ(1, rig_r64(&rig, 0) >> 57 & 1);
	EXPECT_EQ(0, rig_r32(&rig, 0x3c));
	cmb = rig.func->desc.bars[2].memory;
	ASSERT_TRUE(cmb);
	a = rig_alloc(&rig, 4096);
	fill(a, 4096, 9);
	EXPECT_OK(rw(WRITE, 0, 8, a, 0));
	EXPECT_RC(0x0004, rw(READ, 0, 8, base, 0));
	rig_w64(&rig, 0x50, base | 3);
	loc = rig_r32(&rig, 0x38);
	size = rig_r32(&rig, 0x3c);
	EXPECT_EQ(2, loc & 7);
	EXPECT_EQ(0, loc >> 12);
	EXPECT_EQ(0x1f, size & 0x1f);
	EXPECT_EQ(0, size >> 8 & 0xf);
	EXPECT_EQ(16, size >> 12); /* of 4 KiB */
	EXPECT_OK(rw(READ, 0, 8, base + 8192, 0));
	EXPECT_MEM(rig_at(&rig, a), cmb + 8192, 4096);
	EXPECT_OK(rw(WRITE, 8, 8, base + 8192, 0));
	EXPECT_OK(rw(COMPARE, 8, 8, a, 0));
	/* A submission queue there. */
	ASSERT_OK(rig_create_cq(&rig, 2, rig_alloc(&rig, 4096), 16, 1));
	ASSERT_OK(rig_create_sq(&rig, 2, base, 16, 2 << 16 | 1));
	rig.q[2] = (struct rig_queue){ .qid = 2, .size = 16, .phase = 1 };
	rig.q[2].cq = rig.next - 4096 + RIG_IOVA;
	sqe = rig_rw(COMPARE, 8, 8, a, 0);
	memcpy(cmb, &sqe, sizeof(sqe));
	rig_w32(&rig, 0x1000 + 16, 1);
	{
		struct rig_cqe cqe;

		ASSERT_OK(rig_wait(&rig, &rig.q[2], &cqe));
		EXPECT_RC(0, rig_status(&cqe));
	}
	/* Beyond it; and where no memory can be. */
	EXPECT_RC(0x0004, rw(READ, 0, 8, base + 65536, 0));
	EXPECT_RC(0x0004, rw(READ, 0, 8, base + 65536 - 2048, 0));
	rig_w64(&rig, 0x50, ~(u64)0xfff | 3);
	EXPECT_EQ(1, rig_r32(&rig, 0x58) & 1);
}

/*
 * Whatever commands come in whatever order, the disk has what was written last.
 */

#define DISK_BLOCKS 2048u

/* What is left there is the last driver's, and the next one may be somebody else. */
TEST(a_reset_leaves_nothing_in_what_drivers_map)
{
	u8 *cmb, *registers;
	u64 cap;

	start_io("cmb=64K,poll=on");
	cmb = rig.func->desc.bars[2].memory;
	registers = rig.func->desc.bars[0].memory;
	cap = rig_r64(&rig, 0);
	memset(cmb, 0x5a, 65536);
	memset(registers, 0x5a, 0x2000);
	pci_func_reset(rig.func);
	EXPECT_EQ(0, cmb[0] | cmb[4096] | cmb[65535]);
	EXPECT_EQ(0, registers[0x18] | registers[0x800] | registers[0x1000] | registers[0x1fff]);
	rig_command(&rig, true);
	EXPECT_EQ(cap, rig_r64(&rig, 0));
	ASSERT_OK(rig_enable(&rig));
}

static u8 oracle[DISK_BLOCKS * 512];

static void random_prp(uint64_t *seed, u64 pool, u32 bytes, u64 list, u64 *prp, u64 *pieces)
{
	u32 offset = unit_random(seed) % 2 ? (u32)(unit_random(seed) % 1024) * 4 : 0, n = 0, left;
	u64 *entries = rig_at(&rig, list);

	/* Pages of the pool in a random order, none twice. */
	pieces[n++] = pool + offset;
	left = bytes > 4096 - offset ? bytes - (4096 - offset) : 0;
	while (left) {
		pieces[n] = pool + n * 4096;
		left -= left > 4096 ? 4096 : left;
		n++;
	}
	if (n > 2) {
		u32 i, k;
		u64 swap;

		for (i = n - 1; i > 1; i--) {
			k = 1 + (u32)(unit_random(seed) % i);
			swap = pieces[i];
			pieces[i] = pieces[k];
			pieces[k] = swap;
		}
	}
	prp[0] = pieces[0];
	prp[1] = n == 2 ? pieces[1] : list;
	memcpy(entries, pieces + 1, (n - 1) * sizeof(u64));
	pieces[n] = 0;
}

/* Copy between the pieces and @buf. */
static void gather(const u64 *pieces, u8 *buf, u32 bytes, bool out)
{
	u32 n;

	for (; bytes; pieces++, buf += n, bytes -= n) {
		n = 4096 - (u32)(*pieces & 4095);
		n = n < bytes ? n : bytes;
		if (out)
			memcpy(rig_at(&rig, *pieces), buf, n);
		else
			memcpy(buf, rig_at(&rig, *pieces), n);
	}
}

static void random_command(uint64_t *seed, u64 pool, u64 list)
{
	static const uint8_t opcodes[] = { READ, READ, WRITE, WRITE, COMPARE, WRITE_ZEROES, DSM };
	uint8_t opcode = opcodes[unit_random(seed) % sizeof(opcodes)], buf[65536];
	u32 blocks = 1 + (u32)(unit_random(seed) % 128), i;
	u64 slba = unit_random(seed) % (DISK_BLOCKS - blocks), prp[2], pieces[24];

	random_prp(seed, pool, blocks * 512, list, prp, pieces);
	switch (opcode) {
	case READ:
		EXPECT_OK(rw(READ, slba, blocks, prp[0], prp[1]));
		gather(pieces, buf, blocks * 512, false);
		EXPECT_MEM(oracle + slba * 512, buf, blocks * 512);
		break;
	case WRITE:
		for (i = 0; i < blocks * 512; i++)
			buf[i] = (u8)(unit_random(seed) >> 11);
		gather(pieces, buf, blocks * 512, true);
		EXPECT_OK(rw(WRITE, slba, blocks, prp[0], prp[1]));
		memcpy(oracle + slba * 512, buf, blocks * 512);
		break;
	case COMPARE:
		memcpy(buf, oracle + slba * 512, blocks * 512);
		i = (u32)(unit_random(seed) % (blocks * 1024));
		if (i < blocks * 512)
			buf[i] ^= 0x80;
		gather(pieces, buf, blocks * 512, true);
		EXPECT_RC(i < blocks * 512 ? 0x4285 : 0, rw(COMPARE, slba, blocks, prp[0], prp[1]));
		break;
	case WRITE_ZEROES:
		EXPECT_OK(rw(WRITE_ZEROES, slba, blocks, 0, 0));
		memset(oracle + slba * 512, 0, blocks * 512);
		break;
	case DSM:
		range(list, 0, slba, blocks);
		EXPECT_OK(dsm(list, 1, 4));
		memset(oracle + slba * 512, 0, blocks * 512);
		break;
	}
}

static void random_commands(unsigned int n)
{
	uint64_t seed = unit_seed();
	u64 pool = rig_alloc(&rig, 20 * 4096), list = rig_alloc(&rig, 4096);

	memset(oracle, 0, sizeof(oracle));
	while (n-- && !unit.failures)
		random_command(&seed, pool, list);
}

TEST(is_a_disk_in_memory)
{
	start_io("size=1M");
	random_commands(3000);
}

TEST(is_a_disk_in_a_file)
{
	start_io(image_new(1 << 20, ""));
	random_commands(3000);
}
