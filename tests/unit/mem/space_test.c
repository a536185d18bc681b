// SPDX-License-Identifier: MIT
/* The books of locked memory: per user, per space, none; users that are shared; this process. */
#include <sys/resource.h>

#include "fake.h"

TEST(per_user_is_shared_by_the_users_spaces)
{
	struct fake a, b, other;

	fake_init(&a, 1000, 1, -1);
	fake_init(&b, 1000, 1, -1);
	fake_init(&other, 1001, 1, -1);
	EXPECT_TRUE(a.space.user == b.space.user && a.space.user != other.space.user);
	a.limit = b.limit = other.limit = 10 * PAGE_BYTES;
	EXPECT_OK(mem_charge(&a.space, MEM_ACCOUNT_USER, 6));
	EXPECT_RC(-ENOMEM, mem_charge(&b.space, MEM_ACCOUNT_USER, 5));
	EXPECT_OK(mem_charge(&b.space, MEM_ACCOUNT_USER, 4));
	EXPECT_OK(mem_charge(&other.space, MEM_ACCOUNT_USER, 10));
	EXPECT_RC(-ENOMEM, mem_charge(&other.space, MEM_ACCOUNT_USER, 1));
	EXPECT_EQ(10, a.space.user->locked);
	EXPECT_EQ(6, a.space.pinned);
	EXPECT_EQ(4, b.space.pinned);
	mem_uncharge(&a.space, MEM_ACCOUNT_USER, 6);
	mem_uncharge(&b.space, MEM_ACCOUNT_USER, 4);
	mem_uncharge(&other.space, MEM_ACCOUNT_USER, 10);
	fake_end(&a);
	EXPECT_EQ(0, b.space.user->locked);
	fake_end(&b);
	fake_end(&other);
}

TEST(per_space_is_not)
{
	struct fake a, b;

	fake_init(&a, 1000, 1, -1);
	fake_init(&b, 1000, 1, -1);
	a.limit = b.limit = 10 * PAGE_BYTES;
	EXPECT_OK(mem_charge(&a.space, MEM_ACCOUNT_SPACE, 10));
	EXPECT_OK(mem_charge(&b.space, MEM_ACCOUNT_SPACE, 10));
	EXPECT_RC(-ENOMEM, mem_charge(&a.space, MEM_ACCOUNT_SPACE, 1));
	EXPECT_EQ(0, a.space.user->locked);
	EXPECT_EQ(10, a.space.locked);
	mem_uncharge(&a.space, MEM_ACCOUNT_SPACE, 10);
	mem_uncharge(&b.space, MEM_ACCOUNT_SPACE, 10);
	EXPECT_EQ(0, a.space.locked);
	fake_end(&a);
	fake_end(&b);
}

TEST(none_counts_but_does_not_limit)
{
	struct fake a;

	fake_init(&a, 1000, 1, -1);
	a.limit = 0;
	EXPECT_OK(mem_charge(&a.space, MEM_ACCOUNT_NONE, 1000));
	EXPECT_EQ(1000, a.space.pinned);
	EXPECT_EQ(0, a.space.locked);
	EXPECT_RC(-ENOMEM, mem_charge(&a.space, MEM_ACCOUNT_USER, 1));
	EXPECT_OK(mem_charge(&a.space, MEM_ACCOUNT_USER, 0));
	EXPECT_EQ(1000, a.space.pinned);
	mem_uncharge(&a.space, MEM_ACCOUNT_NONE, 1000);
	fake_end(&a);
}

TEST(a_limit_counts_whole_pages)
{
	struct fake a;

	fake_init(&a, 1000, 1, -1);
	a.limit = 2 * PAGE_BYTES + PAGE_BYTES - 1;
	EXPECT_RC(-ENOMEM, mem_charge(&a.space, MEM_ACCOUNT_USER, 3));
	EXPECT_OK(mem_charge(&a.space, MEM_ACCOUNT_USER, 2));
	/* A limit may fall below what is locked. */
	a.limit = 0;
	EXPECT_RC(-ENOMEM, mem_charge(&a.space, MEM_ACCOUNT_USER, 1));
	mem_uncharge(&a.space, MEM_ACCOUNT_USER, 2);
	fake_end(&a);
}

static bool always(void *arg)
{
	(void)arg;
	return true;
}

TEST(a_space_that_cannot_be_made)
{
	struct mem_space space, *out;

	account.should_fail = always;
	EXPECT_RC(-ENOMEM, mem_space_init(&space, &fake_space_ops, &host, 7));
	EXPECT_RC(-ENOMEM, mem_space_self(&host, false, &out));
	EXPECT_RC(-ENOMEM, mem_space_self(&host, true, &out));
}

TEST(trusted_self_takes_any_address)
{
	struct mem_space *self;
	int value = 5, copy = 0;

	ASSERT_OK(mem_space_self(&host, false, &self));
	EXPECT_TRUE(self->direct && !self->ops->find_vma);
	EXPECT_OK(self->ops->read(self, (uintptr_t)&value, &copy, sizeof(copy)));
	EXPECT_EQ(5, copy);
	copy = 6;
	EXPECT_OK(self->ops->write(self, (uintptr_t)&value, &copy, sizeof(copy)));
	EXPECT_EQ(6, value);
	EXPECT_EQ(U64_MAX, self->ops->memlock_limit(self));
	mem_space_put(self);
}

TEST(checked_self_finds_what_is_there)
{
	struct mem_space *self;
	struct mem_vma vma;
	struct rlimit lim;
	u8 *p = mmap(NULL, 4 * PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), b = 1;

	ASSERT_OK(mem_space_self(&host, true, &self));
	ASSERT_OK(mprotect(p + PAGE_BYTES, PAGE_BYTES, PROT_NONE));
	ASSERT_OK(self->ops->find_vma(self, (uintptr_t)p + 5, &vma));
	EXPECT_EQ((uintptr_t)p + PAGE_BYTES - 1, vma.last);
	EXPECT_TRUE(vma.readable && !vma.writable && !vma.shared && !vma.ino);
	EXPECT_EQ(PAGE_BYTES, vma.page_bytes);
	EXPECT_RC(-EFAULT, self->ops->find_vma(self, (uintptr_t)p + PAGE_BYTES, &vma));
	EXPECT_OK(self->ops->find_vma(self, (uintptr_t)p + 2 * PAGE_BYTES, &vma));
	EXPECT_RC(-EFAULT, self->ops->find_vma(self, 0, &vma));
	EXPECT_RC(-EFAULT, self->ops->find_vma(self, U64_MAX, &vma));
	EXPECT_RC(-EFAULT, self->ops->write(self, (uintptr_t)p, &b, 1));
	EXPECT_RC(-EFAULT, self->ops->read(self, (uintptr_t)p + PAGE_BYTES, &b, 1));
	getrlimit(RLIMIT_MEMLOCK, &lim);
	EXPECT_EQ(lim.rlim_cur == RLIM_INFINITY ? U64_MAX : lim.rlim_cur,
		  self->ops->memlock_limit(self));
	mem_space_put(self);
	munmap(p, 4 * PAGE_BYTES);
}
