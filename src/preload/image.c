// SPDX-License-Identifier: MIT
/*
 * One address space image, from exec or fork to exec or exit.
 *
 * Its cookie lies in a page that the kernel wipes in a forked child
 * (MADV_WIPEONFORK). A child therefore sees that it is a new image whatever
 * way it was made, and the server, reading our memory at that address, sees
 * whether it is still ours. The cookie is made with a single store, so that two
 * threads, or a signal handler, may both try.
 *
 * Descriptors that this library needs for itself are hidden: given high numbers
 * and closed to the program, which then cannot close them by mistake, as
 * programs do that close everything from 3 on.
 */
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "raw.h"
#include "real.h"
#include "traps.h"

struct image {
	_Atomic uint64_t cookie[2];
	_Atomic int pid;
};

#define HIDDEN_MAX  65536
#define HIDDEN_FROM 960

static _Atomic(struct image *) image;
static _Atomic uint64_t hidden[HIDDEN_MAX / 64];

static struct image *get_image(void)
{
	struct image *mine = atomic_load(&image), *none = NULL;
	long page;

	if (likely(mine))
		return mine;
	page = raw6(SYS_mmap, 0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page < 0 && page > -4096)
		return NULL;
	(void)raw3(SYS_madvise, page, 65536, MADV_WIPEONFORK);
	mine = (struct image *)page;
	if (!atomic_compare_exchange_strong(&image, &none, mine)) {
		(void)raw2(SYS_munmap, page, 65536);
		mine = none;
	}
	return mine;
}

uint64_t image_cookie_now(void)
{
	struct image *mine = atomic_load(&image);

	return mine ? atomic_load_explicit(&mine->cookie[0], memory_order_relaxed) : 0;
}

const uint64_t *image_cookie_address(void)
{
	return (const uint64_t *)get_image();
}

uint64_t image_cookie(void)
{
	struct image *mine = get_image();
	uint64_t cookie = 0, none = 0;

	if (!mine)
		return 0;
	if (likely(atomic_load(&mine->cookie[0])))
		return atomic_load(&mine->cookie[0]);
	image_after_fork();
	(void)raw3(SYS_getrandom, &cookie, sizeof(cookie), 0);
	cookie |= 1; /* never 0 */
	atomic_store(&mine->cookie[1], DOOR_COOKIE_MAGIC);
	atomic_store(&mine->pid, (int)raw0(SYS_getpid));
	if (!atomic_compare_exchange_strong(&mine->cookie[0], &none, cookie))
		cookie = none;
	return cookie;
}

bool image_is_mine(void)
{
	struct image *mine = atomic_load(&image);
	int pid = mine ? atomic_load(&mine->pid) : 0;

	return !pid || pid == (int)raw0(SYS_getpid);
}

static int hidden_from(void)
{
	struct rlimit limit = { .rlim_cur = HIDDEN_FROM };

	(void)raw4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	if (limit.rlim_cur >= HIDDEN_FROM + 64)
		return HIDDEN_FROM;
	return limit.rlim_cur > 64 ? (int)limit.rlim_cur - 16 : 0;
}

int image_hide_fd(int fd)
{
	long high = raw3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, hidden_from());

	if (high >= 0) {
		raw_close(fd);
		fd = (int)high;
	}
	if (fd < HIDDEN_MAX) {
		atomic_fetch_or(&hidden[fd / 64], UINT64_C(1) << (fd % 64));
		atomic_store(&preload_live, true);
	}
	return fd;
}

void image_close_fd(int fd)
{
	if (fd < HIDDEN_MAX)
		atomic_fetch_and(&hidden[fd / 64], ~(UINT64_C(1) << (fd % 64)));
	raw_close(fd);
}

bool image_is_hidden(int fd)
{
	return fd >= 0 && fd < HIDDEN_MAX &&
	       atomic_load_explicit(&hidden[fd / 64], memory_order_relaxed) >> (fd % 64) & 1;
}

int image_next_hidden(int fd)
{
	uint64_t word;
	int i;

	if (fd < 0)
		fd = 0;
	for (i = fd / 64; i < HIDDEN_MAX / 64; i++) {
		word = atomic_load_explicit(&hidden[i], memory_order_relaxed);
		if (i == fd / 64)
			word &= ~UINT64_C(0) << (fd % 64);
		if (word)
			return i * 64 + __builtin_ctzll(word);
	}
	return INT_MAX;
}

void image_after_fork(void)
{
	int fd;

	/* Before the first call of the server there is nothing to find, cheaply. */
	if (!atomic_load(&preload_live) || image_cookie_now())
		return;
	traps_after_fork();
	/* Mappings are inherited, and with them the descriptors of what they show. */
	for (fd = image_next_hidden(0); fd != INT_MAX; fd = image_next_hidden(fd + 1))
		if (!traps_use_fd(fd))
			image_close_fd(fd);
	channel_forget();
}
