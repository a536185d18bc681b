// SPDX-License-Identifier: MIT
/*
 * What a request does: bytes move in order up to the first that is not allowed;
 * nothing beyond is touched. Memory here and elsewhere, interrupt windows, atomic
 * operations, and looking without touching.
 */
#include "port.h"

static u8 *memory;
#define MEMORY_BYTES ((size_t)16 << 12)

static void begin_memory(void)
{
	unsigned int i;

	begin();
	memory = aligned_alloc(KIB4, MEMORY_BYTES);
	for (i = 0; i < MEMORY_BYTES; i++)
		memory[i] = (u8)(i * 7 + i / 256);
}

static void end_memory(void)
{
	end();
	free(memory);
}

static void expect_fault(u64 iova, unsigned int access)
{
	const struct siommu_fault *f = siommu_dma_fault(port);

	ASSERT_TRUE(f);
	EXPECT_EQ(iova, f->iova);
	EXPECT_EQ(access, f->access);
}

TEST(bytes_move)
{
	u8 out[3 * 4096];

	begin_memory();
	rule_add(0x10000, 14, address(memory), RW);
	EXPECT_TRUE(!siommu_dma_fault(port));
	EXPECT_OK(siommu_dma_read(port, 0x10003, out, 1, 0));
	EXPECT_EQ(memory[3], out[0]);
	EXPECT_OK(siommu_dma_read(port, 0x10ffe, out, 4 + 4096, 0));
	EXPECT_MEM(memory + 0xffe, out, 4 + 4096);
	memset(out, 0xee, sizeof(out));
	EXPECT_OK(siommu_dma_write(port, 0x10801, out, 4096, 0));
	EXPECT_MEM(out, memory + 0x801, 4096);
	EXPECT_TRUE(memory[0x800] != 0xee && memory[0x1801] != 0xee);
	EXPECT_TRUE(!siommu_dma_fault(port));
	EXPECT_EQ(0, rules.faults);
	end_memory();
}

TEST(pages_need_not_be_neighbours)
{
	u8 out[2 * 4096], in[2 * 4096];

	begin_memory();
	rule_add(0x1000, 12, address(memory + 0x5000), RW);
	rule_add(0x2000, 12, address(memory + 0x2000), RW);
	rule_add(0x3000, 12, address(memory), RW);
	EXPECT_OK(siommu_dma_read(port, 0x1800, out, 0x2000, 0));
	EXPECT_MEM(memory + 0x5800, out, 0x800);
	EXPECT_MEM(memory + 0x2000, out + 0x800, 0x1000);
	EXPECT_MEM(memory, out + 0x1800, 0x800);
	memset(in, 0x11, sizeof(in));
	EXPECT_OK(siommu_dma_write(port, 0x1fff, in, 0x1002, 0));
	EXPECT_TRUE(memory[0x5fff] == 0x11 && memory[0x5ffe] != 0x11);
	EXPECT_MEM(in, memory + 0x2000, 0x1000);
	EXPECT_TRUE(memory[0] == 0x11 && memory[1] != 0x11);
	end_memory();
}

TEST(nothing_is_moved_by_nothing)
{
	u8 byte = 3;

	begin_memory();
	EXPECT_OK(siommu_dma_read(port, 0x1000, &byte, 0, 0));
	EXPECT_OK(siommu_dma_write(port, U64_MAX, &byte, 0, 0));
	EXPECT_EQ(0, rules.walks);
	EXPECT_EQ(3, byte);
	end_memory();
}

TEST(arguments_that_are_wrong)
{
	u8 bytes[16];

	begin_memory();
	EXPECT_RC(-EINVAL, siommu_dma_read(port, U64_MAX, bytes, 2, 0));
	EXPECT_RC(-EINVAL, siommu_dma_write(port, U64_MAX - 6, bytes, 8, 0));
	EXPECT_RC(-EINVAL, siommu_dma_read(port, 0, bytes, 1, W));
	EXPECT_RC(-EINVAL, siommu_dma_write(port, 0, bytes, 1, R));
	EXPECT_RC(-EINVAL, siommu_dma_write(port, 0, bytes, 1, X));
	EXPECT_RC(-EINVAL, siommu_dma_read(port, 0, bytes, 1, 1 << 4));
	EXPECT_TRUE(!siommu_dma_fault(port));
	EXPECT_EQ(0, rules.walks);
	end_memory();
}

TEST(the_end_of_the_address_space)
{
	u8 out[4096], in[4096];

	begin_memory();
	rule_add(U64_MAX - 0xfff, 12, address(memory), RW);
	EXPECT_OK(siommu_dma_read(port, U64_MAX, out, 1, 0));
	EXPECT_EQ(memory[0xfff], out[0]);
	EXPECT_OK(siommu_dma_read(port, U64_MAX - 0xfff, out, 4096, 0));
	EXPECT_MEM(memory, out, 4096);
	memset(in, 0x22, sizeof(in));
	EXPECT_OK(siommu_dma_write(port, U64_MAX - 7, in, 8, 0));
	EXPECT_MEM(in, memory + 0xff8, 8);
	EXPECT_TRUE(memory[0xff7] != 0x22);
	invalidate(U64_MAX, U64_MAX);
	EXPECT_TRUE(!is_cached(U64_MAX - 0xfff, R));
	/* Nothing there but the first page. */
	EXPECT_RC(-EFAULT, siommu_dma_read(port, U64_MAX - 0x1003, out, 8, 0));
	expect_fault(U64_MAX - 0x1003, R);
	end_memory();
}

/* Every way of crossing from what is allowed into what is not. */
TEST(the_first_forbidden_byte)
{
	u8 buf[0x3000], was[MEMORY_BYTES];
	size_t before, length;

	begin_memory();
	rule_add(0x1000, 12, address(memory), RW);
	rule_add(0x2000, 12, address(memory + 0x4000), R);
	rule_add(0x3000, 12, address(memory + 0x8000), RW);
	memcpy(was, memory, sizeof(was));
	for (before = 0; before <= 0x1000; before += 0x155) {
		length = before + 0x1001;
		/* Writing stops where it is read-only, */
		memset(buf, 0xaa, sizeof(buf));
		EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x2000 - before, buf, length, 0));
		expect_fault(0x2000, W);
		EXPECT_MEM(was, memory, 0x1000 - before);
		EXPECT_MEM(buf, memory + 0x1000 - before, before);
		EXPECT_MEM(was + 0x4000, memory + 0x4000, 0x1000);
		EXPECT_MEM(was + 0x8000, memory + 0x8000, 0x1000);
		memcpy(memory, was, sizeof(was));
		/* and reading where nothing is. */
		memset(buf, 0xbb, sizeof(buf));
		EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x4000 - before, buf, before + 1, 0));
		expect_fault(0x4000, R);
		EXPECT_MEM(memory + 0x9000 - before, buf, before);
		EXPECT_EQ(0xbb, buf[before]);
	}
	EXPECT_EQ(26, rules.faults);
	EXPECT_EQ(77, siommu_dma_fault(port)->reason);
	end_memory();
}

TEST(permissions)
{
	struct rule *r;
	u8 byte = 1;

	begin_memory();
	r = rule_add(0x1000, 12, address(memory), R);
	r->priv = RW | X;
	EXPECT_OK(siommu_dma_read(port, 0x1000, &byte, 1, 0));
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1000, &byte, 1, X));
	expect_fault(0x1000, R | X);
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x1001, &byte, 1, 0));
	expect_fault(0x1001, W);
	EXPECT_OK(siommu_dma_read(port, 0x1000, &byte, 1, P));
	EXPECT_OK(siommu_dma_read(port, 0x1000, &byte, 1, X | P));
	EXPECT_OK(siommu_dma_write(port, 0x1000, &byte, 1, P));
	/* Privileged software may be kept from what is a user's. */
	forget(r);
	r = rule_add(0x1000, 12, address(memory), RW);
	r->priv = R;
	EXPECT_OK(siommu_dma_write(port, 0x1000, &byte, 1, 0));
	EXPECT_OK(siommu_dma_read(port, 0x1000, &byte, 1, P));
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x1000, &byte, 1, P));
	expect_fault(0x1000, W | P);
	end_memory();
}

TEST(silent_faults_are_not_reported)
{
	u8 byte;

	begin_memory();
	rules.flags = SIOMMU_FAULT_SILENT;
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1000, &byte, 1, 0));
	EXPECT_TRUE(siommu_dma_fault(port) != NULL);
	EXPECT_EQ(0, rules.faults);
	end_memory();
}

/* The window of another process, with a hole after it. */
static struct fake other;
static struct mem_pages *pages;
static struct mem_pin pin;

static u64 begin_remote(void)
{
	begin();
	fake_init(&other, 1, 4, -1);
	ASSERT_OK(mem_pages_user(&account, &other.task, MEM_ACCOUNT_USER, FAKE_BASE, 4 * KIB4, true,
				 &pages));
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 3));
	EXPECT_TRUE(mem_pages_hpa(pages, 0) >> HPA_REMOTE_LG2);
	return mem_pages_hpa(pages, 0);
}

static void end_remote(void)
{
	end();
	mem_pages_unpin(pages, &pin);
	mem_pages_put(pages, &account);
	fake_end(&other);
}

TEST(memory_of_another_process)
{
	u8 in[0x2000], out[0x2000];
	u64 hpa = begin_remote(), old;
	unsigned int i;

	rule_add(0x4000, 14, hpa, RW);
	for (i = 0; i < sizeof(in); i++)
		in[i] = (u8)(i * 3);
	EXPECT_OK(siommu_dma_write(port, 0x4800, in, sizeof(in), 0));
	EXPECT_MEM(in, other.memory + 0x800, sizeof(in));
	EXPECT_OK(siommu_dma_read(port, 0x4800, out, sizeof(out), 0));
	EXPECT_MEM(in, out, sizeof(in));
	EXPECT_EQ(3, rules.walks);
	/* It cannot be touched directly, hit or miss. */
	siommu_dma_begin(port);
	EXPECT_TRUE(!siommu_dma_find(port, 0x4000, 8, R));
	EXPECT_TRUE(!siommu_dma_find(port, 0x7000, 8, R));
	siommu_dma_end(port);
	memset(other.memory, 0, 16);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_FETCH_ADD, 0x4004, 4, 7, 0, &old, 0));
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_FETCH_ADD, 0x4000, 8, 1, 0, &old, 0));
	EXPECT_EQ(0x700000000, old);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_CAS, 0x4000, 8, 5, 1, &old, 0));
	EXPECT_EQ(0x700000001, old);
	EXPECT_EQ(1, other.memory[0]);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_CAS, 0x4000, 4, 5, 1, &old, 0));
	EXPECT_EQ(1, old);
	EXPECT_EQ(5, other.memory[0]);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, 0x4000, 4, 9, 0, &old, 0));
	EXPECT_EQ(5, old);
	EXPECT_EQ(9, other.memory[0]);
	/* It is gone: an abort that nobody records. */
	other.gone = true;
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x4800, out, 8, 0));
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x4801, out, 8, 0));
	EXPECT_EQ(0x4801, siommu_dma_fault(port)->iova);
	EXPECT_RC(-EFAULT, siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, 0x4000, 4, 9, 0, &old, 0));
	EXPECT_TRUE(siommu_dma_fault(port)->flags & SIOMMU_FAULT_SILENT);
	EXPECT_EQ(0, rules.faults);
	other.gone = false;
	end_remote();
}

/* Trusting nobody: memory here that may be unmapped at any time. */
TEST(memory_that_may_go)
{
	u8 out[16], *here;
	u64 old;

	begin();
	dport->careful = true;
	here = mmap(NULL, 2 * KIB4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(here != MAP_FAILED);
	memset(here, 0x33, 2 * KIB4);
	rule_add(0x2000, 13, address(here), RW);
	EXPECT_OK(siommu_dma_read(port, 0x2ff8, out, 16, 0));
	EXPECT_MEM(here, out, 16);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, 0x2000, 4, 9, 0, &old, 0));
	EXPECT_EQ(0x33333333, old);
	munmap(here + KIB4, KIB4);
	memset(out, 0, sizeof(out));
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x2ff8, out, 16, 0));
	EXPECT_EQ(0x3000, siommu_dma_fault(port)->iova);
	EXPECT_TRUE(out[7] == 0x33 && !out[8]);
	munmap(here, KIB4);
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x2000, out, 1, 0));
	EXPECT_RC(-EFAULT, siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, 0x2000, 4, 9, 0, &old, 0));
	end();
}

static struct {
	unsigned int n;
	u64 address;
	u32 data;
} message;

static void take_message(void *arg, uint64_t at, uint32_t data)
{
	EXPECT_TRUE(arg == &message);
	message.n++;
	message.address = at;
	message.data = data;
}

TEST(interrupt_messages)
{
	static const struct siommu_port_ops ops = { .interrupt = take_message };
	const struct siommu_port_params params = { .size = sizeof(params),
						   .ops = &ops,
						   .arg = &message };
	u32 data[2] = { 0x12345678, 1 };
	struct rule *r;
	u64 old;

	begin_with(&params);
	memset(&message, 0, sizeof(message));
	r = rule_add(0xfee00000, 20, 0xfee00000, W);
	r->interrupt = true;
	EXPECT_OK(siommu_dma_write(port, 0xfee01008, data, 4, 0));
	EXPECT_EQ(1, message.n);
	EXPECT_EQ(0xfee01008, message.address);
	EXPECT_EQ(0x12345678, message.data);
	EXPECT_OK(siommu_dma_write(port, 0xfee01008, data + 1, 4, 0));
	EXPECT_EQ(2, message.n);
	EXPECT_EQ(1, message.data);
	/* Nothing else is a message. */
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0xfee01008, data, 8, 0));
	EXPECT_EQ(0xfee01008, siommu_dma_fault(port)->iova);
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0xfee01008, data, 2, 0));
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0xfee0100a, data, 4, 0));
	r->user = r->priv = RW;
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0xfee01008, data, 4, 0));
	EXPECT_RC(-EFAULT,
		  siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, 0xfee01008, 4, 0, 0, &old, 0));
	EXPECT_EQ(2, message.n);
	siommu_dma_begin(port);
	EXPECT_TRUE(!siommu_dma_find(port, 0xfee01008, 4, W));
	siommu_dma_end(port);
	end();
	/* Nobody listens: it is gone. */
	begin();
	r = rule_add(0xfee00000, 20, 0xfee00000, W);
	r->interrupt = true;
	EXPECT_OK(siommu_dma_write(port, 0xfee01008, data, 4, 0));
	EXPECT_EQ(2, message.n);
	end();
}

TEST(atomics)
{
	struct rule *r;
	u64 old = 99;

	begin_memory();
	r = rule_add(0x1000, 12, address(memory), RW);
	memset(memory, 0, 32);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_FETCH_ADD, 0x1000, 8, 5, 0, &old, 0));
	EXPECT_EQ(0, old);
	/* 32 bits wrap alone. */
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_FETCH_ADD, 0x1000, 4, -6, 0, &old, 0));
	EXPECT_EQ(5, old);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, 0x1000, 8, 1, 0, &old, 0));
	EXPECT_EQ(0xffffffff, old);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_CAS, 0x1000, 8, 3, 2, &old, 0));
	EXPECT_EQ(1, old);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_CAS, 0x1000, 8, 3, 1, &old, P));
	EXPECT_EQ(1, old);
	EXPECT_EQ(3, memory[0]);
	/* Of 4 bytes, the rest of the operands means nothing. */
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_CAS, 0x1000, 4, 0xff00000004, 0xff00000003,
				    &old, 0));
	EXPECT_EQ(4, memory[0]);
	EXPECT_EQ(0, memory[4]);
	old = 99;
	EXPECT_RC(-EINVAL, siommu_dma_atomic(port, 3, 0x1000, 4, 0, 0, &old, 0));
	EXPECT_RC(-EINVAL, siommu_dma_atomic(port, 0, 0x1000, 2, 0, 0, &old, 0));
	EXPECT_RC(-EINVAL, siommu_dma_atomic(port, 0, 0x1000, 16, 0, 0, &old, 0));
	EXPECT_RC(-EINVAL, siommu_dma_atomic(port, 0, 0x1002, 4, 0, 0, &old, 0));
	EXPECT_RC(-EINVAL, siommu_dma_atomic(port, 0, 0x1004, 8, 0, 0, &old, 0));
	EXPECT_RC(-EINVAL, siommu_dma_atomic(port, 0, 0x1000, 8, 0, 0, &old, W));
	/* Both permissions, whatever the operation would do. */
	r->user = R;
	invalidate(0, U64_MAX);
	EXPECT_RC(-EFAULT, siommu_dma_atomic(port, 0, 0x1000, 8, 0, 0, &old, 0));
	expect_fault(0x1000, RW);
	r->user = W;
	invalidate(0, U64_MAX);
	EXPECT_RC(-EFAULT, siommu_dma_atomic(port, 0, 0x1008, 8, 0, 0, &old, 0));
	expect_fault(0x1008, RW);
	EXPECT_RC(-EFAULT, siommu_dma_atomic(port, 0, 0x5000, 8, 0, 0, &old, 0));
	EXPECT_EQ(99, old);
	end_memory();
}

#define ADDS 20000

static void *add_as_another(void *arg)
{
	struct dma_port *mine;
	unsigned int i;
	u64 old;

	ASSERT_OK(dma_port_create(&host, &account, &rules_ops, NULL, NULL, &mine));
	for (i = 0; i < ADDS; i++)
		EXPECT_OK(siommu_dma_atomic(&mine->port, SIOMMU_ATOMIC_FETCH_ADD, 0x1000,
					    *(unsigned int *)arg, 1, 0, &old, 0));
	dma_port_destroy(mine);
	return NULL;
}

static void add_from_threads(unsigned int size, u64 *value)
{
	pthread_t threads[2];
	unsigned int i;
	u64 old;

	for (i = 0; i < 2; i++)
		ASSERT_OK(-pthread_create(&threads[i], NULL, add_as_another, &size));
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	EXPECT_OK(siommu_dma_atomic(port, SIOMMU_ATOMIC_SWAP, 0x1000, 8, 0, 0, &old, 0));
	*value = old;
}

TEST(atomics_of_two_devices)
{
	u64 value, hpa;

	begin_memory();
	memset(memory, 0, 8);
	rule_add(0x1000, 12, address(memory), RW);
	add_from_threads(8, &value);
	EXPECT_EQ(2 * ADDS, value);
	end_memory();
	hpa = begin_remote();
	rule_add(0x1000, 12, hpa, RW);
	add_from_threads(4, &value);
	EXPECT_EQ(2 * ADDS, value);
	end_remote();
}

TEST(translating)
{
	u64 hpa, bytes;

	begin_memory();
	rule_add(0x1000, 12, address(memory), R);
	rule_add(0x200000, 21, 0x40000000, R);
	EXPECT_OK(siommu_dma_translate(port, 0x1234, R, &hpa, &bytes));
	EXPECT_EQ(address(memory) + 0x234, hpa);
	EXPECT_EQ(0x1000 - 0x234, bytes);
	EXPECT_OK(siommu_dma_translate(port, 0x345678, R, &hpa, NULL));
	EXPECT_OK(siommu_dma_translate(port, 0x345678, R, &hpa, &bytes));
	EXPECT_EQ(0x40000000 + 0x145678, hpa);
	EXPECT_EQ(0x400000 - 0x345678, bytes);
	EXPECT_EQ(2, rules.walks);
	/* No access at all: is anything there? */
	EXPECT_OK(siommu_dma_translate(port, 0x1234, 0, &hpa, &bytes));
	EXPECT_EQ(3, rules.walks);
	EXPECT_RC(-EFAULT, siommu_dma_translate(port, 0x1234, W, &hpa, &bytes));
	expect_fault(0x1234, W);
	EXPECT_EQ(address(memory) + 0x234, hpa);
	end_memory();
}

static void count_steps(void *arg, const struct siommu_walk_step *step)
{
	EXPECT_STR("RULE", step->what);
	++*(unsigned int *)arg;
}

TEST(walking)
{
	unsigned int steps = 0;
	u64 hpa;

	begin_memory();
	rule_add(0x1000, 12, address(memory), R);
	EXPECT_OK(siommu_dma_walk(port, 0x1234, R, count_steps, &steps, &hpa));
	EXPECT_EQ(address(memory) + 0x234, hpa);
	EXPECT_EQ(1, steps);
	/* It is not in the TLB afterwards, and does not come from there. */
	EXPECT_TRUE(!is_cached(0x1234, R));
	EXPECT_OK(siommu_dma_walk(port, 0x1234, R, count_steps, &steps, &hpa));
	EXPECT_EQ(2, steps);
	EXPECT_RC(-EFAULT, siommu_dma_walk(port, 0x1234, W, count_steps, &steps, &hpa));
	EXPECT_EQ(3, steps);
	expect_fault(0x1234, W);
	EXPECT_EQ(0, rules.faults);
	end_memory();
}

static unsigned int resolved;

/* "Try again" in vain, then no; and then it is there. */
static int resolve_the_third(const struct siommu_fault *fault)
{
	unsigned int n = ++resolved;

	EXPECT_TRUE(fault->flags & (SIOMMU_FAULT_RECOVERABLE | SIOMMU_FAULT_STALLED));
	if (n % 3 == 0) {
		rule_add(align_down(fault->iova, KIB4), 12, address(memory), RW);
		return 0;
	}
	return n % 3 == 1 ? 0 : -ETIMEDOUT;
}

/* Asked only when it is the port's way, or the request waits; as often as it helps. */
TEST(faults_that_can_be_resolved)
{
	const struct siommu_port_params params = { .size = sizeof(params),
						   .flags = SIOMMU_PORT_PAGE_REQUESTS };
	u8 byte;

	begin_memory();
	resolved = 0;
	rules.resolve = resolve_the_third;
	rules.flags = SIOMMU_FAULT_RECOVERABLE;
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1000, &byte, 1, 0));
	EXPECT_EQ(0, resolved);
	rules.flags = SIOMMU_FAULT_STALLED;
	EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1000, &byte, 1, 0));
	EXPECT_EQ(2, rules.faults);
	EXPECT_EQ(2, resolved);
	EXPECT_OK(siommu_dma_read(port, 0x1000, &byte, 1, 0));
	EXPECT_EQ(memory[0], byte);
	end();
	begin_with(&params);
	rules.resolve = resolve_the_third;
	rules.flags = SIOMMU_FAULT_RECOVERABLE;
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x1000, &byte, 1, 0));
	EXPECT_OK(siommu_dma_write(port, 0x1000, &byte, 1, 0));
	rules.flags = 0;
	EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x2000, &byte, 1, 0));
	end_memory();
}

TEST(guests_words)
{
	u64 words[4] = { 1, 2, 3, 4 }, out[4] = { 0 }, value, hpa;

	begin();
	EXPECT_OK(dma_load64(dport, address(&words[1]), &value));
	EXPECT_EQ(2, value);
	EXPECT_OK(dma_load(dport, address(words), out, 4));
	EXPECT_MEM(words, out, sizeof(out));
	value = 7;
	EXPECT_RC(-EAGAIN, dma_cas64(dport, address(&words[2]), &value, 9));
	EXPECT_EQ(3, value);
	EXPECT_OK(dma_cas64(dport, address(&words[2]), &value, 9));
	EXPECT_EQ(9, words[2]);
	EXPECT_EQ(3, value);
	end();
	hpa = begin_remote();
	memcpy(other.memory, words, sizeof(words));
	EXPECT_OK(dma_load64(dport, hpa + 8, &value));
	EXPECT_EQ(2, value);
	EXPECT_OK(dma_load(dport, hpa, out, 4));
	EXPECT_MEM(words, out, sizeof(out));
	EXPECT_RC(-EAGAIN, dma_cas64(dport, hpa + 16, &value, 5));
	EXPECT_EQ(9, value);
	EXPECT_OK(dma_cas64(dport, hpa + 16, &value, 5));
	EXPECT_EQ(5, other.memory[16]);
	other.gone = true;
	EXPECT_RC(-EFAULT, dma_load64(dport, hpa, &value));
	EXPECT_RC(-EFAULT, dma_load(dport, hpa, out, 4));
	EXPECT_RC(-EFAULT, dma_cas64(dport, hpa, &value, 5));
	other.gone = false;
	end_remote();
}

TEST(parameters)
{
	struct siommu_port_params p = { .size = sizeof(p) };
	struct dma_port *made;

	memset(&rules, 0, sizeof(rules));
	p.flags = 4;
	EXPECT_RC(-EINVAL, dma_port_create(&host, &account, &rules_ops, NULL, &p, &made));
	p.flags = 0;
	p.pasid = 1;
	EXPECT_RC(-EINVAL, dma_port_create(&host, &account, &rules_ops, NULL, &p, &made));
	p.pasid = 0;
	p.tlb_lg2 = 3;
	EXPECT_RC(-EINVAL, dma_port_create(&host, &account, &rules_ops, NULL, &p, &made));
	p.tlb_lg2 = 17;
	EXPECT_RC(-EINVAL, dma_port_create(&host, &account, &rules_ops, NULL, &p, &made));
	p.tlb_lg2 = 4;
	p.size = 4;
	EXPECT_RC(-EINVAL, dma_port_create(&host, &account, &rules_ops, NULL, &p, &made));
	/* Older callers know less. */
	p.size = offsetofend(struct siommu_port_params, flags);
	p.flags = SIOMMU_PORT_PASID;
	ASSERT_OK(dma_port_create(&host, &account, &rules_ops, NULL, &p, &made));
	EXPECT_EQ(0, made->pasid);
	dma_port_destroy(made);
	p.size = sizeof(p);
	p.pasid = 5;
	ASSERT_OK(dma_port_create(&host, &account, &rules_ops, NULL, &p, &made));
	EXPECT_EQ(5, made->pasid);
	dma_port_destroy(made);
}
