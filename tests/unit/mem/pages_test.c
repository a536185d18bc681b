// SPDX-License-Identifier: MIT
/*
 * Page lists: what may be pinned and what not, that pins of one page count and
 * are charged once, addresses of memory here and elsewhere, files that shrink,
 * and buffers that are taken away.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "fake.h"
#include "mem/self.h"

static struct fake caller;

/* A list of @npages of the caller's memory from the start. */
static struct mem_pages *user_pages(u64 npages, bool writable)
{
	struct mem_pages *pages;

	ASSERT_OK(mem_pages_user(&account, &caller.task, MEM_ACCOUNT_USER, FAKE_BASE,
				 npages * PAGE_BYTES, writable, &pages));
	return pages;
}

static struct mem_pages *file_pages(int fd, u64 start, u64 length, bool writable)
{
	struct mem_pages *pages;

	ASSERT_OK(mem_pages_file(&account, &caller.task, MEM_ACCOUNT_USER, dup(fd), start, length,
				 writable, &pages));
	return pages;
}

static u64 locked(void)
{
	return caller.space.user->locked;
}

TEST(lengths_and_addresses)
{
	struct mem_pages *pages;
	static const struct {
		u64 uva, length;
		int rc;
		u64 npages, base;
	} cases[] = {
		{ 0x1000, 0, -EINVAL, 0, 0 },
		{ U64_MAX, 0, -EINVAL, 0, 0 },
		{ U64_MAX, 1, -EOVERFLOW, 0, 0 },
		{ U64_MAX - 0xfff, 0x1000, -EOVERFLOW, 0, 0 },
		{ U64_MAX - 0x1fff, 0x1000, 0, 1, U64_MAX - 0x1fff },
		{ 0, U64_MAX, -EINVAL, 0, 0 },
		{ 1, U64_MAX, -EOVERFLOW, 0, 0 },
		{ 0x1000, 1, 0, 1, 0x1000 },
		{ 0x1fff, 1, 0, 1, 0x1000 },
		{ 0x1fff, 2, 0, 2, 0x1000 },
		{ 0x1800, 0x1000, 0, 2, 0x1000 },
	};
	unsigned int i;

	fake_init(&caller, 1, 1, -1);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_RC(cases[i].rc,
			  mem_pages_user(&account, &caller.task, MEM_ACCOUNT_USER, cases[i].uva,
					 cases[i].length, true, &pages));
		if (cases[i].rc)
			continue;
		EXPECT_EQ(cases[i].npages, pages->npages);
		EXPECT_EQ(cases[i].base, pages->base);
		mem_pages_put(pages, &account);
	}
	fake_end(&caller);
}

TEST(a_page_is_charged_once)
{
	struct mem_pages *pages;
	struct mem_pin a, b, c;

	fake_init(&caller, 1, 16, -1);
	pages = user_pages(16, true);
	EXPECT_EQ(0, locked());
	ASSERT_OK(mem_pages_pin(pages, &a, 2, 5));
	EXPECT_EQ(4, locked());
	ASSERT_OK(mem_pages_pin(pages, &b, 4, 9));
	EXPECT_EQ(8, locked());
	ASSERT_OK(mem_pages_pin(pages, &c, 3, 4));
	EXPECT_EQ(8, locked());
	EXPECT_EQ(8, pages->npinned);
	mem_pages_unpin(pages, &a);
	/* Page 2 goes; 3 is held by c, 4 and 5 by b. */
	EXPECT_EQ(7, locked());
	mem_pages_unpin(pages, &b);
	EXPECT_EQ(2, locked());
	mem_pages_unpin(pages, &c);
	EXPECT_EQ(0, locked());
	EXPECT_EQ(HPA_NONE, pages->hpa);
	mem_pages_put(pages, &account);
	fake_end(&caller);
}

/* Pins at random against a count per page. */
TEST(unions_of_pins_against_a_model)
{
	enum { NPAGES = 64, NPINS = 40 };
	struct mem_pin pins[NPINS];
	u64 seed = unit_seed(), want, i;
	unsigned int count[NPAGES] = { 0 }, step, n;
	bool held[NPINS] = { false };
	struct mem_pages *pages;

	fake_init(&caller, 1, NPAGES, -1);
	pages = user_pages(NPAGES, true);
	for (step = 0; step < 4000 + NPINS; step++) {
		n = step < 4000 ? unit_random(&seed) % NPINS : step - 4000;
		if (held[n]) {
			mem_pages_unpin(pages, &pins[n]);
			for (i = pins[n].node.start; i <= pins[n].node.last; i++)
				count[i]--;
		} else if (step < 4000) {
			u64 a = unit_random(&seed) % NPAGES, b = unit_random(&seed) % NPAGES;

			ASSERT_OK(mem_pages_pin(pages, &pins[n], min_u64(a, b), max_u64(a, b)));
			for (i = min_u64(a, b); i <= max_u64(a, b); i++)
				count[i]++;
		}
		held[n] = !held[n] && step < 4000;
		for (i = 0, want = 0; i < NPAGES; i++)
			want += !!count[i];
		ASSERT_EQ(want, pages->npinned);
		ASSERT_EQ(want, locked());
	}
	mem_pages_put(pages, &account);
	fake_end(&caller);
}

TEST(over_the_limit_nothing_changes)
{
	struct mem_pages *pages;
	struct mem_pin a, b;

	fake_init(&caller, 1, 16, -1);
	pages = user_pages(16, true);
	caller.limit = 5 * PAGE_BYTES;
	EXPECT_RC(-ENOMEM, mem_pages_pin(pages, &a, 0, 5));
	EXPECT_EQ(HPA_NONE, pages->hpa);
	EXPECT_EQ(0, caller.space.pinned);
	ASSERT_OK(mem_pages_pin(pages, &a, 0, 4));
	EXPECT_RC(-ENOMEM, mem_pages_pin(pages, &b, 4, 5));
	EXPECT_EQ(5, pages->npinned);
	/* Pages that are pinned already cost nothing. */
	ASSERT_OK(mem_pages_pin(pages, &b, 1, 3));
	mem_pages_unpin(pages, &b);
	mem_pages_unpin(pages, &a);
	mem_pages_put(pages, &account);
	fake_end(&caller);
}

TEST(memory_that_is_not_there)
{
	struct mem_pages *pages;
	struct mem_pin pin;

	fake_init(&caller, 1, 4, -1);
	pages = user_pages(6, true);
	EXPECT_RC(-EFAULT, mem_pages_pin(pages, &pin, 0, 4));
	EXPECT_RC(-EFAULT, mem_pages_pin(pages, &pin, 5, 5));
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 3));
	mem_pages_unpin(pages, &pin);
	caller.gone = true;
	EXPECT_RC(-EFAULT, mem_pages_pin(pages, &pin, 0, 0));
	mem_pages_put(pages, &account);
	fake_end(&caller);
}

TEST(read_only_memory)
{
	struct mem_pages *rw, *ro;
	struct mem_pin pin;
	u8 buf[8] = { 1 };

	fake_init(&caller, 1, 4, -1);
	caller.readonly = true;
	rw = user_pages(4, true);
	ro = user_pages(4, false);
	EXPECT_RC(-EFAULT, mem_pages_pin(rw, &pin, 0, 0));
	ASSERT_OK(mem_pages_pin(ro, &pin, 0, 0));
	EXPECT_RC(-EPERM, mem_pages_write(ro, 0, buf, 8));
	EXPECT_OK(mem_pages_read(ro, 0, buf, 8));
	mem_pages_unpin(ro, &pin);
	mem_pages_put(rw, &account);
	mem_pages_put(ro, &account);
	fake_end(&caller);
}

/* Private memory of another process: an address above all of ours, its own bytes. */
TEST(windows_on_another_process)
{
	struct mem_pages *a, *b;
	struct mem_pin pa, pb;
	u8 buf[100];
	hpa_t hpa;

	fake_init(&caller, 1, 16, -1);
	a = user_pages(4, true);
	ASSERT_OK(mem_pages_user(&account, &caller.task, MEM_ACCOUNT_USER,
				 FAKE_BASE + 2 * PAGE_BYTES, 8 * PAGE_BYTES, true, &b));
	ASSERT_OK(mem_pages_pin(a, &pa, 0, 3));
	ASSERT_OK(mem_pages_pin(b, &pb, 0, 0));
	hpa = mem_pages_hpa(a, 2 * PAGE_BYTES);
	EXPECT_TRUE(hpa >= (u64)1 << HPA_REMOTE_LG2 && hpa <= HPA_LAST);
	/* One page has one address, whichever list it is in. */
	EXPECT_EQ(hpa, mem_pages_hpa(b, 0));
	EXPECT_EQ(1, caller.space.nwindows);
	EXPECT_TRUE(mem_hpa_is(&host, hpa, &caller.space, FAKE_BASE + 2 * PAGE_BYTES));
	EXPECT_TRUE(!mem_hpa_is(&host, hpa, &caller.space, FAKE_BASE + 3 * PAGE_BYTES));
	EXPECT_EQ(2, mem_page_pins(&host, &caller.space, FAKE_BASE + 2 * PAGE_BYTES));
	EXPECT_EQ(1, mem_page_pins(&host, &caller.space, FAKE_BASE + 3 * PAGE_BYTES + 5));
	EXPECT_EQ(0, mem_page_pins(&host, &caller.space, FAKE_BASE + 4 * PAGE_BYTES));
	EXPECT_RC(-EFAULT, mem_page_pins(&host, &caller.space, FAKE_BASE - 1));
	memset(caller.memory, 0x5a, 200);
	EXPECT_OK(mem_pages_read(a, 50, buf, 100));
	EXPECT_MEM(caller.memory, buf, 100);
	EXPECT_EQ(100, caller.copies);
	caller.gone = true;
	EXPECT_RC(-EFAULT, mem_pages_read(a, 50, buf, 100));
	mem_pages_unpin(a, &pa);
	mem_pages_unpin(b, &pb);
	mem_pages_put(a, &account);
	mem_pages_put(b, &account);
	fake_end(&caller);
}

/* A run that crosses blocks of a window, and more windows than there may be. */
TEST(windows_are_bounded)
{
	enum { N = 200 };
	static struct mem_pages *pages[N];
	static struct mem_pin pins[N];
	const u64 block = (u64)64 << 30;
	unsigned int i, done = 0;
	int rc = 0;

	/* Everything is mapped, and nothing is ever touched. */
	fake_init(&caller, 1, 1, -1);
	caller.bytes = (u64)1 << 46;
	for (i = 0; i < N && !rc; i++) {
		u64 uva = FAKE_BASE + i * 2 * block - PAGE_BYTES * (i & 1);

		uva = align_down(uva, PAGE_BYTES) + (i & 1 ? block : 0);
		ASSERT_OK(mem_pages_user(&account, &caller.task, MEM_ACCOUNT_NONE, uva,
					 2 * PAGE_BYTES, false, &pages[i]));
		rc = mem_pages_pin(pages[i], &pins[i], 0, 1);
		done += !rc;
	}
	EXPECT_RC(-ENOMEM, rc);
	EXPECT_EQ(128, done);
	mem_pages_put(pages[done], &account);
	/* What nobody uses makes room. */
	mem_pages_unpin(pages[0], &pins[0]);
	ASSERT_OK(mem_pages_user(&account, &caller.task, MEM_ACCOUNT_NONE,
				 FAKE_BASE + N * 2 * block, PAGE_BYTES, false, &pages[done]));
	ASSERT_OK(mem_pages_pin(pages[done], &pins[done], 0, 0));
	mem_pages_unpin(pages[done], &pins[done]);
	for (i = 0; i <= done; i++) {
		if (i && i < done)
			mem_pages_unpin(pages[i], &pins[i]);
		mem_pages_put(pages[i], &account);
	}
	caller.bytes = PAGE_BYTES;
	fake_end(&caller);
}

TEST(shared_memory_of_another_process_is_mapped_here)
{
	int fd = new_memfd(8 * PAGE_BYTES);
	struct mem_pages *pages;
	struct mem_pin pin;
	u8 *here;
	u8 buf[4];

	fake_init(&caller, 1, 8, fd);
	pages = user_pages(8, true);
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 7));
	EXPECT_TRUE(pages->hpa < (u64)1 << HPA_REMOTE_LG2);
	here = (u8 *)(uintptr_t)mem_pages_hpa(pages, 3 * PAGE_BYTES);
	EXPECT_TRUE(here != caller.memory + 3 * PAGE_BYTES);
	here[5] = 0x77;
	EXPECT_EQ(0x77, caller.memory[3 * PAGE_BYTES + 5]);
	EXPECT_TRUE(mem_hpa_is(&host, (uintptr_t)here, &caller.space, FAKE_BASE + 3 * PAGE_BYTES));
	EXPECT_EQ(1, mem_page_pins(&host, &caller.space, FAKE_BASE + 3 * PAGE_BYTES));
	/* It stays, whatever becomes of the process. */
	caller.gone = true;
	EXPECT_OK(mem_pages_read(pages, 3 * PAGE_BYTES + 5, buf, 4));
	EXPECT_EQ(0x77, buf[0]);
	EXPECT_EQ(0, caller.copies);
	mem_pages_unpin(pages, &pin);
	mem_pages_put(pages, &account);
	fake_end(&caller);
	close(fd);
}

TEST(a_file_and_a_mapping_of_it_are_the_same_pages)
{
	int fd = new_memfd(8 * PAGE_BYTES);
	struct mem_pages *file, *user;
	struct mem_pin pf, pu;

	fake_init(&caller, 1, 8, fd);
	file = file_pages(fd, 2 * PAGE_BYTES, 4 * PAGE_BYTES, true);
	user = user_pages(8, true);
	ASSERT_OK(mem_pages_pin(file, &pf, 1, 2));
	ASSERT_OK(mem_pages_pin(user, &pu, 0, 7));
	EXPECT_EQ(2, mem_page_pins(&host, &caller.space, FAKE_BASE + 3 * PAGE_BYTES));
	EXPECT_EQ(2, mem_page_pins(&host, &caller.space, FAKE_BASE + 4 * PAGE_BYTES));
	EXPECT_EQ(1, mem_page_pins(&host, &caller.space, FAKE_BASE + 2 * PAGE_BYTES));
	EXPECT_EQ(1, mem_page_pins(&host, &caller.space, FAKE_BASE + 5 * PAGE_BYTES));
	EXPECT_TRUE(mem_hpa_is(&host, mem_pages_hpa(file, PAGE_BYTES), &caller.space,
			       FAKE_BASE + 3 * PAGE_BYTES));
	mem_pages_unpin(file, &pf);
	mem_pages_unpin(user, &pu);
	mem_pages_put(file, &account);
	mem_pages_put(user, &account);
	fake_end(&caller);
	close(fd);
}

/* Superpages need the hpa to be congruent to the offset in the file. */
TEST(files_are_mapped_where_superpages_line_up)
{
	int fd = new_memfd((u64)16 << 20);
	static const u64 starts[] = { 0, PAGE_BYTES, (u64)2 << 20, ((u64)4 << 20) + 0x5000 };
	struct mem_pages *pages;
	struct mem_pin pin;
	unsigned int i;

	fake_init(&caller, 1, 1, -1);
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		pages = file_pages(fd, starts[i], (u64)4 << 20, true);
		ASSERT_OK(mem_pages_pin(pages, &pin, 0, 1023));
		EXPECT_EQ(starts[i] & 0x1fffff, pages->hpa & 0x1fffff);
		mem_pages_unpin(pages, &pin);
		mem_pages_put(pages, &account);
	}
	fake_end(&caller);
	close(fd);
}

/* When nobody has it pinned it may be sealed, and its pages are the owner's to free. */
TEST(files_are_let_go_at_once)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct mem_pages *pages;
	struct mem_pin pin;

	fake_init(&caller, 1, 1, -1);
	ASSERT_OK(ftruncate(fd, 4 * PAGE_BYTES));
	pages = file_pages(fd, 0, 4 * PAGE_BYTES, true);
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 3));
	EXPECT_EQ(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	mem_pages_unpin(pages, &pin);
	EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	mem_pages_put(pages, &account);
	fake_end(&caller);
	close(fd);
}

/* Addresses are shared by all: an owner gets so many, and no more for holes. */
TEST(enormous_files)
{
	enum { N = 40 };
	struct mem_pages *pages[N], *most;
	struct mem_pin pins[N], pin;
	int i, fd;

	fake_init(&caller, 1, 1, -1);
	for (i = 0; i < N; i++) {
		fd = new_memfd((u64)8 << 40);
		pages[i] = file_pages(fd, (u64)i << 30, PAGE_BYTES, true);
		ASSERT_OK(mem_pages_pin(pages[i], &pins[i], 0, 0));
		most = file_pages(fd, 0, (u64)1 << 40, true);
		EXPECT_RC(-ENOMEM, mem_pages_pin(most, &pin, 0, 0));
		mem_pages_put(most, &account);
		close(fd);
	}
	for (i = 0; i < N; i++) {
		mem_pages_unpin(pages[i], &pins[i]);
		mem_pages_put(pages[i], &account);
	}
	fake_end(&caller);
}

TEST(files_that_are_too_short_or_of_the_wrong_kind)
{
	int fd = new_memfd(4 * PAGE_BYTES), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct mem_pages *pages;
	struct mem_pin pin;

	fake_init(&caller, 1, 1, -1);
	pages = file_pages(fd, 0, 6 * PAGE_BYTES, true);
	EXPECT_RC(-EINVAL, mem_pages_pin(pages, &pin, 0, 4));
	EXPECT_RC(-EINVAL, mem_pages_pin(pages, &pin, 5, 5));
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 3));
	mem_pages_unpin(pages, &pin);
	mem_pages_put(pages, &account);
	pages = file_pages(null, 0, PAGE_BYTES, true);
	EXPECT_RC(-EINVAL, mem_pages_pin(pages, &pin, 0, 0));
	mem_pages_put(pages, &account);
	fake_end(&caller);
	close(null);
	close(fd);
}

/* Cut short while it is held: an error for whoever copies, never a signal. */
TEST(files_that_shrink)
{
	int fd = new_memfd(4 * PAGE_BYTES);
	struct mem_pages *pages;
	struct mem_pin pin;
	u8 buf[16] = { 0 };

	fake_init(&caller, 1, 1, -1);
	pages = file_pages(fd, 0, 4 * PAGE_BYTES, true);
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 3));
	EXPECT_OK(mem_pages_write(pages, 3 * PAGE_BYTES, buf, sizeof(buf)));
	ASSERT_OK(ftruncate(fd, PAGE_BYTES));
	EXPECT_RC(-EFAULT, mem_pages_read(pages, 3 * PAGE_BYTES, buf, sizeof(buf)));
	EXPECT_RC(-EFAULT, mem_pages_write(pages, PAGE_BYTES, buf, sizeof(buf)));
	EXPECT_RC(-EFAULT, mem_pages_read(pages, PAGE_BYTES - 8, buf, sizeof(buf)));
	EXPECT_OK(mem_pages_read(pages, PAGE_BYTES - 16, buf, sizeof(buf)));
	mem_pages_unpin(pages, &pin);
	/* Held by nobody, its size is looked at first. */
	EXPECT_RC(-EINVAL, mem_pages_read(pages, 3 * PAGE_BYTES, buf, sizeof(buf)));
	EXPECT_OK(mem_pages_read(pages, 0, buf, sizeof(buf)));
	mem_pages_put(pages, &account);
	fake_end(&caller);
	close(fd);
}

/* A descriptor that is only for reading does not keep devices from writing. */
TEST(a_read_only_descriptor)
{
	int fd = new_memfd(2 * PAGE_BYTES), ro;
	struct mem_pages *pages;
	char path[64];
	u8 b = 9, back = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_TRUE(ro >= 0);
	fake_init(&caller, 1, 1, -1);
	pages = file_pages(ro, 0, PAGE_BYTES, true);
	EXPECT_OK(mem_pages_write(pages, 7, &b, 1));
	ASSERT_EQ(1, pread(fd, &back, 1, 7));
	EXPECT_EQ(9, back);
	mem_pages_put(pages, &account);
	fake_end(&caller);
	close(ro);
	close(fd);
}

TEST(hugetlb_files)
{
	const u64 huge = 2 << 20;
	int fd = memfd_create("unit", MFD_CLOEXEC | MFD_HUGETLB);
	struct mem_pages *pages;
	struct mem_pin pin;
	void *probe = fd < 0 || ftruncate(fd, (off_t)huge)
			      ? MAP_FAILED
			      : mmap(NULL, huge, PROT_READ, MAP_SHARED, fd, 0);

	if (probe == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		SKIP("no huge pages are reserved here");
	}
	munmap(probe, huge);
	fake_init(&caller, 1, 1, -1);
	pages = file_pages(fd, 0, huge, true);
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 511));
	EXPECT_EQ(0, pages->hpa & (huge - 1));
	mem_pages_unpin(pages, &pin);
	mem_pages_put(pages, &account);
	fake_end(&caller);
	close(fd);
}

TEST(moving_a_list_to_another_owner)
{
	int fd = new_memfd(4 * PAGE_BYTES);
	struct mem_pages *pages;
	struct mem_pin pin;
	struct fake heir;
	u8 c;

	fake_init(&caller, 1, 1, -1);
	fake_init(&heir, 2, 1, -1);
	pages = file_pages(fd, 0, 4 * PAGE_BYTES, true);
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 3));
	ASSERT_OK(mem_charge(&heir.space, MEM_ACCOUNT_USER, 4));
	mem_pages_move(pages, &heir.space);
	EXPECT_EQ(0, locked());
	EXPECT_EQ(4, heir.space.user->locked);
	/* What was mapped for the old owner may keep it until nobody uses that. */
	mem_space_put(&caller.space);
	EXPECT_OK(mem_pages_read(pages, 0, &c, 1));
	mem_pages_unpin(pages, &pin);
	EXPECT_EQ(0, heir.space.user->locked);
	mem_pages_put(pages, &account);
	EXPECT_TRUE(caller.released);
	munmap(caller.memory, caller.bytes);
	fake_end(&heir);
	close(fd);
}

TEST(dmabufs)
{
	struct mem_dmabuf *dmabuf;
	struct mem_pages *pages, *more;
	struct mem_pin pin;
	u8 buf[8];

	fake_init(&caller, 1, 1, -1);
	caller.limit = 0;
	ASSERT_OK(mem_dmabuf_create(&host, 4 * PAGE_BYTES, &dmabuf));
	EXPECT_TRUE(mem_dmabuf_from_file(&dmabuf->file) == dmabuf);
	EXPECT_RC(-EINVAL, mem_pages_dmabuf(&account, &caller.task, dmabuf, NULL, PAGE_BYTES,
					    4 * PAGE_BYTES, true, &pages));
	ASSERT_OK(mem_pages_dmabuf(&account, &caller.task, dmabuf, NULL, PAGE_BYTES,
				   3 * PAGE_BYTES, true, &pages));
	/* Nobody is charged, and only devices may touch it. */
	ASSERT_OK(mem_pages_pin(pages, &pin, 0, 2));
	EXPECT_EQ((uintptr_t)dmabuf->memory + 2 * PAGE_BYTES, mem_pages_hpa(pages, PAGE_BYTES));
	EXPECT_EQ(0, (uintptr_t)dmabuf->memory % PAGE_BYTES);
	EXPECT_RC(-EINVAL, mem_pages_read(pages, 0, buf, 8));
	EXPECT_RC(-EINVAL, mem_pages_write(pages, 0, buf, 8));
	mem_pages_unpin(pages, &pin);
	dmabuf->revoked = true;
	EXPECT_RC(-ENODEV, mem_pages_dmabuf(&account, &caller.task, dmabuf, NULL, 0, PAGE_BYTES,
					    true, &more));
	EXPECT_TRUE(!mem_pages_revoked(pages));
	/* The list keeps the buffer after its descriptor is closed. */
	mem_file_put(&dmabuf->file);
	mem_pages_put(pages, &account);
	fake_end(&caller);
}

static bool fail_on_demand(void *arg)
{
	int *left = arg;

	return *left && !--*left;
}

TEST(memory_runs_out)
{
	int left = 0, fd = new_memfd(PAGE_BYTES), n;
	struct mem_dmabuf *dmabuf;
	struct mem_pages *pages;
	struct mem_pin pin;

	fake_init(&caller, 1, 1, -1);
	ASSERT_OK(mem_dmabuf_create(&host, PAGE_BYTES, &dmabuf));
	account.should_fail = fail_on_demand;
	account.should_fail_arg = &left;
	for (n = 1; n <= 2; n++) {
		left = n;
		EXPECT_RC(-ENOMEM, mem_pages_dmabuf(&account, &caller.task, dmabuf, NULL, 0,
						    PAGE_BYTES, true, &pages));
	}
	mem_file_put(&dmabuf->file);
	for (n = 1; n <= 2; n++) {
		left = n;
		EXPECT_RC(-ENOMEM, mem_dmabuf_create(&host, PAGE_BYTES, &dmabuf));
	}
	left = 1;
	EXPECT_RC(-ENOMEM, mem_pages_file(&account, &caller.task, MEM_ACCOUNT_USER, fd, 0,
					  PAGE_BYTES, true, &pages));
	pages = file_pages(fd, 0, PAGE_BYTES, true);
	left = 1;
	EXPECT_RC(-ENOMEM, mem_pages_pin(pages, &pin, 0, 0));
	EXPECT_EQ(HPA_NONE, pages->hpa);
	mem_pages_put(pages, &account);
	fake_end(&caller);
	close(fd);
}
