// SPDX-License-Identifier: MIT
/* The server's own signal handlers, and memory of clients that is gone. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/pages.h"
#include "srv.h"
#include "unit.h"

#define PAGES 16

static struct base_alloc account;
static struct mem_host host;
static struct mem_space *space;

static void setup(void)
{
	static struct base_log silent;

	memset(&account, 0, sizeof(account));
	mem_host_init(&host, &account, &silent);
	ASSERT_OK(mem_space_self(&host, true, &space));
	ASSERT_OK(guard_start(&host));
}

static void teardown(void)
{
	guard_stop();
	mem_space_put(space);
	EXPECT_TRUE(itree_empty(&host.regions));
	mem_host_destroy(&host);
	EXPECT_EQ(0, account.blocks);
}

__attribute__((constructor)) static void fixture(void)
{
	unit.setup = setup;
	unit.teardown = teardown;
}

/**
 * struct lent - a file that somebody lent us
 * @fd: his descriptor
 * @pages: what is mapped of it
 * @pin: all of that
 * @memory: where it is
 */
struct lent {
	int fd;
	struct mem_pages *pages;
	struct mem_pin pin;
	volatile u8 *memory;
};

static const struct siommu_task_ops no_ops;

static void lend(struct lent *l)
{
	struct siommu_task task = { .ops = &no_ops, .space = space };
	int fd = dup(l->fd);

	ASSERT_OK(mem_pages_file(&account, &task, MEM_ACCOUNT_NONE, fd, 0, PAGES * PAGE_BYTES, true,
				 &l->pages));
	ASSERT_OK(mem_pages_pin(l->pages, &l->pin, 0, PAGES - 1));
	l->memory = (u8 *)(uintptr_t)mem_pages_hpa(l->pages, 0);
}

static void give_back(struct lent *l)
{
	mem_pages_unpin(l->pages, &l->pin);
	mem_pages_put(l->pages, &account);
}

static void new_file(struct lent *l)
{
	l->fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ASSERT_TRUE(l->fd >= 0 && !ftruncate(l->fd, PAGES * PAGE_BYTES));
	lend(l);
}

static u8 byte_of(int fd, off_t at)
{
	u8 byte = 0;

	EXPECT_EQ(1, pread(fd, &byte, 1, at));
	return byte;
}

/* What is gone reads as zeros and can be written; the rest is the file's still. */
TEST(cut_short)
{
	struct lent l;
	unsigned int i;

	new_file(&l);
	for (i = 0; i < PAGES; i++)
		l.memory[i * PAGE_BYTES] = (u8)(i + 1);
	ASSERT_OK(ftruncate(l.fd, 2 * PAGE_BYTES));
	for (i = 2; i < PAGES; i++) {
		EXPECT_EQ(0, l.memory[i * PAGE_BYTES]);
		l.memory[i * PAGE_BYTES + 7] = 0x77;
		EXPECT_EQ(0x77, l.memory[i * PAGE_BYTES + 7]);
	}
	l.memory[PAGE_BYTES] = 0x55;
	EXPECT_EQ(0x55, byte_of(l.fd, PAGE_BYTES));
	/* Whoever makes it longer again has a new file there. */
	ASSERT_OK(ftruncate(l.fd, PAGES * PAGE_BYTES));
	EXPECT_EQ(0, byte_of(l.fd, 3 * PAGE_BYTES + 7));
	EXPECT_EQ(0x77, l.memory[3 * PAGE_BYTES + 7]);
	give_back(&l);
	close(l.fd);
}

/* What is mapped afterwards is the file as it is then. */
TEST(mapped_again)
{
	struct lent l, again;

	new_file(&l);
	ASSERT_OK(ftruncate(l.fd, PAGE_BYTES));
	EXPECT_EQ(0, l.memory[5 * PAGE_BYTES]);
	ASSERT_OK(ftruncate(l.fd, PAGES * PAGE_BYTES));
	again.fd = l.fd;
	lend(&again);
	EXPECT_TRUE(again.memory != l.memory);
	again.memory[5 * PAGE_BYTES] = 0x11;
	EXPECT_EQ(0x11, byte_of(l.fd, 5 * PAGE_BYTES));
	EXPECT_EQ(0, l.memory[5 * PAGE_BYTES]);
	give_back(&again);
	give_back(&l);
	close(l.fd);
}

/* A file that cannot be written: the device writes a copy. */
TEST(locked)
{
	struct lent l = { 0 };
	u8 byte = 0x42;

	l.fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ASSERT_TRUE(l.fd >= 0 && !ftruncate(l.fd, PAGES * PAGE_BYTES));
	ASSERT_EQ(1, pwrite(l.fd, &byte, 1, PAGE_BYTES));
	ASSERT_OK(fcntl(l.fd, F_ADD_SEALS, F_SEAL_WRITE));
	lend(&l);
	EXPECT_EQ(0x42, l.memory[PAGE_BYTES]);
	l.memory[PAGE_BYTES + 1] = 0x43;
	EXPECT_EQ(0x42, l.memory[PAGE_BYTES]);
	EXPECT_EQ(0x43, l.memory[PAGE_BYTES + 1]);
	EXPECT_EQ(0, byte_of(l.fd, PAGE_BYTES + 1));
	give_back(&l);
	close(l.fd);
}

/* More files than one block of notes holds, and each found. */
TEST(many_files)
{
	enum { FILES = 100 };
	static struct lent l[FILES];
	unsigned int i;

	for (i = 0; i < FILES; i++)
		new_file(&l[i]);
	for (i = 0; i < FILES; i++)
		ASSERT_OK(ftruncate(l[i].fd, 0));
	for (i = 0; i < FILES; i++)
		EXPECT_EQ(0, l[i].memory[(i % PAGES) * PAGE_BYTES]);
	for (i = 0; i < FILES; i++) {
		give_back(&l[i]);
		close(l[i].fd);
	}
}

/* A process can have only so many mappings: in time all of the file is replaced. */
TEST(many_holes)
{
	const u64 pages = 150000;
	struct siommu_task task = { .ops = &no_ops, .space = space };
	struct mem_pages *list;
	struct mem_pin pin;
	volatile u8 *memory;
	int fd = memfd_create("lent", MFD_CLOEXEC);
	u64 i;

	ASSERT_TRUE(fd >= 0 && !ftruncate(fd, (off_t)(pages * PAGE_BYTES)));
	ASSERT_OK(mem_pages_file(&account, &task, MEM_ACCOUNT_NONE, dup(fd), 0, pages * PAGE_BYTES,
				 true, &list));
	ASSERT_OK(mem_pages_pin(list, &pin, 0, pages - 1));
	ASSERT_OK(ftruncate(fd, 0));
	memory = (u8 *)(uintptr_t)mem_pages_hpa(list, 0);
	for (i = 0; i < pages; i += 2)
		memory[i * PAGE_BYTES] = 1;
	for (i = 0; i < pages; i++)
		(void)memory[i * PAGE_BYTES];
	mem_pages_unpin(list, &pin);
	mem_pages_put(list, &account);
	close(fd);
}

/**
 * struct racer - one of several threads that miss the same pages
 * @memory: the file
 * @go: they begin together
 * @id: its byte in each page
 */
struct racer {
	volatile u8 *memory;
	atomic_uint *go;
	unsigned int id;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	unsigned int i;

	atomic_fetch_sub(r->go, 1);
	for (i = 0; i < PAGES; i++) {
		while (atomic_load(r->go))
			sched_yield();
		r->memory[i * PAGE_BYTES + r->id] = 0xee;
	}
	return NULL;
}

/* Of all that several threads write to a page that is missing nothing is lost. */
TEST(several_at_once)
{
	enum { THREADS = 4, ROUNDS = 50 };
	unsigned int round, i, k;

	for (round = 0; round < ROUNDS; round++) {
		struct racer racers[THREADS];
		pthread_t threads[THREADS];
		atomic_uint go = THREADS;
		struct lent l;

		new_file(&l);
		ASSERT_OK(ftruncate(l.fd, 0));
		for (i = 0; i < THREADS; i++) {
			racers[i] = (struct racer){ l.memory, &go, i };
			ASSERT_OK(pthread_create(&threads[i], NULL, race, &racers[i]));
		}
		for (i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		for (i = 0; i < PAGES; i++)
			for (k = 0; k < THREADS; k++)
				EXPECT_EQ(0xee, l.memory[i * PAGE_BYTES + k]);
		give_back(&l);
		close(l.fd);
	}
}

static int ends_by(void (*fn)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		fn();
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch_own_file(void)
{
	int fd = memfd_create("own", MFD_CLOEXEC);
	volatile u8 *p;

	if (ftruncate(fd, PAGE_BYTES))
		_exit(1);
	p = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (ftruncate(fd, 0))
		_exit(1);
	(void)p[0];
}

static void touch_own_locked(void)
{
	volatile u8 *p = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p[0] = 1;
}

static void send_bus(void)
{
	raise(SIGBUS);
}

/* What is nobody's memory is a bug, and shows as one. */
TEST(others_still_crash)
{
	struct rlimit none = { 0, 0 };
	struct lent l;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	SKIP("the sanitizer takes the signals");
#endif
	(void)setrlimit(RLIMIT_CORE, &none);
	new_file(&l);
	EXPECT_EQ(SIGBUS, ends_by(touch_own_file));
	EXPECT_EQ(SIGSEGV, ends_by(touch_own_locked));
	EXPECT_EQ(SIGBUS, ends_by(send_bus));
	give_back(&l);
	close(l.fd);
}
