// SPDX-License-Identifier: MIT
/*
 * Calls as programs really make them: by every name that libc has for them,
 * from several threads, under a storm of signals, from handlers, and with
 * garbage for pointers.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include "door.h"
#include "../../src/preload/raw.h"

static int option_get(int fd)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_GET,
	};

	return ioctl(fd, IOMMU_OPTION, &cmd);
}

/* What a fortified program calls when it gives no mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

/* Answers 001-03. */
TEST(every_way_to_open)
{
	int fds[] = {
		open("/dev/iommu", O_RDWR),
		open64("/dev/iommu", O_RDWR),
		openat(AT_FDCWD, "/dev/iommu", O_RDWR),
		openat64(STDOUT_FILENO, "/dev/iommu", O_RDWR),
		__open_2("/dev/iommu", O_RDWR),
		__open64_2("/dev/iommu", O_RDWR),
		__openat_2(AT_FDCWD, "/dev/iommu", O_RDWR),
		__openat64_2(AT_FDCWD, "/dev/iommu", O_RDWR),
		(int)syscall(SYS_openat, AT_FDCWD, "/dev/iommu", O_RDWR, 0),
#ifdef SYS_open
		(int)syscall(SYS_open, "/dev/iommu", O_RDWR, 0),
#endif
		fileno(fopen("/dev/iommu", "r+")),
		fileno(fopen64("/dev/iommu", "r+e")),
	};
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		CHECK(fds[i] >= 0);
		CHECK(!option_get(fds[i]));
	}
}

TEST(open_does_not_create_a_file)
{
	int fd = open("/dev/iommu", O_RDWR | O_CREAT, 0600);
	struct stat st;

	CHECK(fd >= 0 && !option_get(fd));
	CHECK(fopen("/dev/iommu", "w"));
	if (!raw4(SYS_newfstatat, AT_FDCWD, "/dev/iommu", &st, 0))
		CHECK(S_ISCHR(st.st_mode)); /* a kernel's own */
}

static void check_stat(const struct stat *st)
{
	CHECK(S_ISCHR(st->st_mode) && (st->st_mode & 0777) == 0660 && !st->st_uid);
	CHECK(major(st->st_rdev) == 10);
}

TEST(every_way_to_ask)
{
	struct statx stx;
	struct stat st;
	struct stat64 st64;
	int fd = open_iommu();

	CHECK(!access("/dev/iommu", F_OK) && !access("/dev/iommu", R_OK | W_OK));
	CHECK_ERRNO(EACCES, access("/dev/iommu", X_OK));
	CHECK(!faccessat(AT_FDCWD, "/dev/iommu", R_OK, AT_EACCESS));
	CHECK(!eaccess("/dev/iommu", R_OK) && !euidaccess("/dev/iommu", R_OK));
	CHECK(!syscall(SYS_faccessat, AT_FDCWD, "/dev/iommu", R_OK));
	CHECK(!stat("/dev/iommu", &st));
	check_stat(&st);
	CHECK(!lstat("/dev/iommu", &st));
	check_stat(&st);
	CHECK(!fstatat(AT_FDCWD, "/dev/iommu", &st, 0));
	check_stat(&st);
	CHECK(!stat64("/dev/iommu", &st64) && S_ISCHR(st64.st_mode));
	CHECK(!fstat(fd, &st));
	check_stat(&st);
	CHECK(!fstatat(fd, "", &st, AT_EMPTY_PATH));
	check_stat(&st);
	CHECK(!statx(AT_FDCWD, "/dev/iommu", 0, STATX_BASIC_STATS, &stx));
	CHECK(S_ISCHR(stx.stx_mode) && stx.stx_rdev_major == 10);
	CHECK(!syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx));
	CHECK(S_ISCHR(stx.stx_mode) && stx.stx_rdev_minor == minor(st.st_rdev));
	CHECK_ERRNO(ENOENT, access("/dev/iommu2", F_OK));
	CHECK_ERRNO(ENOENT, stat("/dev/iomm", &st));
}

TEST(syscall_by_number)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu(), other;
	struct queue q = make_queue();
	struct iommu_hwpt_pgfault fault;

	CHECK(!syscall(SYS_ioctl, fd, IOMMU_IOAS_ALLOC, &cmd));
	CHECK_ERRNO(ENOENT, syscall(SYS_ioctl, fd, IOMMU_DESTROY,
				    &(struct iommu_destroy){ .size = 8, .id = 99 }));
	other = (int)syscall(SYS_dup, fd);
	CHECK(!syscall(SYS_close, fd));
	CHECK(!destroy(other, cmd.out_ioas_id));
	CHECK(!cause_fault(&q));
	CHECK(syscall(SYS_read, q.fd, &fault, sizeof(fault)) == sizeof(fault));
	CHECK(syscall(SYS_getpid) == getpid());
	CHECK_ERRNO(EBADF, syscall(SYS_close, 999));
	CHECK_ERRNO(ENOSYS, syscall(9999));
}

TEST(bad_pointers)
{
	static char *const bad = (char *)8;
	int fd = open_iommu();
	struct stat st;

	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, bad));
	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, NULL));
	CHECK_ERRNO(EFAULT, open(bad, O_RDWR));
	CHECK_ERRNO(EFAULT, access(bad, F_OK));
	CHECK_ERRNO(EFAULT, stat(bad, &st));
	CHECK_ERRNO(EBADF, ioctl(-1, IOMMU_IOAS_ALLOC, bad));
}

TEST(structure_at_the_end_of_memory)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_alloc *cmd;
	int fd = open_iommu();

	CHECK(!munmap(page + 4096, 4096));
	cmd = (struct iommu_ioas_alloc *)(page + 4096 - sizeof(*cmd));
	memset(cmd, 0, sizeof(*cmd));
	cmd->size = sizeof(*cmd);
	CHECK(!ioctl(fd, IOMMU_IOAS_ALLOC, cmd));
	/* The size word alone is there. */
	cmd = (struct iommu_ioas_alloc *)(page + 4092);
	cmd->size = sizeof(*cmd);
	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, cmd));
	/* It can be read, and not written. */
	cmd = (struct iommu_ioas_alloc *)page;
	memset(cmd, 0, sizeof(*cmd));
	cmd->size = sizeof(*cmd);
	CHECK(!mprotect(page, 4096, PROT_READ));
	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, cmd));
}

TEST(requests_on_other_descriptors)
{
	int p[2], fd = open("/dev/null", O_RDWR);

	CHECK(!pipe(p));
	CHECK_ERRNO(ENOTTY, option_get(p[0]));
	CHECK_ERRNO(ENOTTY, option_get(fd));
	CHECK_ERRNO(EBADF, option_get(999));
	fd = open_iommu();
	CHECK_ERRNO(ENOTTY, ioctl(fd, 0x5401, p));
}

TEST(errno_is_kept_on_success)
{
	int fd;

	errno = EXDEV;
	fd = open_iommu();
	CHECK(!option_get(fd) && !access("/dev/iommu", F_OK) && !close(dup(fd)));
	CHECK(errno == EXDEV);
}

TEST(mmap_of_what_a_viommu_offers)
{
	struct iommu_viommu_selftest data = { .in_data = 0xbeef };
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
	};
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.data_uptr = (uintptr_t)&data,
		.data_len = sizeof(data),
	};
	int fd = open_iommu();
	uint32_t *word;
	void *at;

	parent.pt_id = ioas_alloc(fd);
	CHECK(!mock_domain(fd, parent.pt_id, NULL, &parent.dev_id));
	CHECK(!ioctl(fd, IOMMU_HWPT_ALLOC, &parent));
	viommu.dev_id = parent.dev_id;
	viommu.hwpt_id = parent.out_hwpt_id;
	CHECK(!ioctl(fd, IOMMU_VIOMMU_ALLOC, &viommu));
	CHECK_ERRNO(ENXIO, mmap(NULL, data.out_mmap_length, PROT_READ, MAP_SHARED, fd,
				(off_t)data.out_mmap_offset + 4096));
	CHECK_ERRNO(EINVAL, mmap(NULL, data.out_mmap_length, PROT_READ, MAP_PRIVATE, fd,
				 (off_t)data.out_mmap_offset));
	CHECK_ERRNO(EPERM, mmap(NULL, data.out_mmap_length, PROT_READ | PROT_EXEC, MAP_SHARED, fd,
				(off_t)data.out_mmap_offset));
	word = mmap(NULL, data.out_mmap_length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)data.out_mmap_offset);
	CHECK(word != MAP_FAILED && *word == 0xbeef);
	/* Onto a reservation of the program's own, as virtual machines do it. */
	at = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mmap64(at, data.out_mmap_length, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
		     (off_t)data.out_mmap_offset) == at);
	CHECK(*(uint32_t *)at == 0xbeef);
	CHECK((void *)syscall(SYS_mmap, NULL, data.out_mmap_length, PROT_READ, MAP_SHARED, fd,
			      data.out_mmap_offset) != MAP_FAILED);
}

/*
 * Threads and signals
 */

static int shared_fd;

static void *allocate_many(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 2000; i++)
		CHECK(!destroy(shared_fd, ioas_alloc(shared_fd)));
	return NULL;
}

TEST(threads_on_one_descriptor)
{
	struct counts before = baseline();
	pthread_t threads[8];
	size_t i;

	shared_fd = open_iommu();
	for (i = 0; i < 8; i++)
		CHECK(!pthread_create(&threads[i], NULL, allocate_many, NULL));
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CHECK(ioas_alloc(shared_fd) == 1);
	close(shared_fd);
	CHECK(is_back_to(&before));
}

static void *one_call(void *arg)
{
	(void)arg;
	CHECK(!option_get(shared_fd));
	return NULL;
}

static unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

TEST(threads_that_end_leave_no_channel)
{
	unsigned int before, i;
	pthread_t thread;

	shared_fd = open_iommu();
	before = open_descriptors();
	for (i = 0; i < 600; i++) {
		CHECK(!pthread_create(&thread, NULL, one_call, NULL));
		pthread_join(thread, NULL);
	}
	CHECK(open_descriptors() == before);
}

static _Atomic int storms;

static void count_storm(int sig)
{
	(void)sig;
	storms++;
}

/* So long that the program gets on in between, also where it runs slowly. */
static void start_storm(void (*handler)(int), int flags, int microseconds)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };
	struct itimerval often = { { 0, microseconds }, { 0, microseconds } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void stop_storm(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
}

TEST(calls_survive_a_storm_of_signals)
{
	int fd, i;

	start_storm(count_storm, 0, 200);
	for (i = 0; i < 300; i++) {
		fd = open_iommu();
		CHECK(!destroy(fd, ioas_alloc(fd)));
		CHECK(!close(fd));
	}
	fd = open_iommu();
	for (i = 0; i < 5000; i++)
		CHECK(!option_get(fd));
	stop_storm();
	CHECK(storms > 10);
}

static void call_in_handler(int sig)
{
	int saved = errno;

	(void)sig;
	storms++;
	CHECK(!destroy(shared_fd, ioas_alloc(shared_fd)));
	errno = saved;
}

TEST(handlers_may_call_too)
{
	int i;

	shared_fd = open_iommu();
	start_storm(call_in_handler, SA_RESTART, 5000);
	for (i = 0; i < 3000; i++)
		CHECK(!destroy(shared_fd, ioas_alloc(shared_fd)));
	stop_storm();
	CHECK(storms > 10);
	CHECK(ioas_alloc(shared_fd) == 1);
}

static sigjmp_buf out;

static void jump(int sig)
{
	(void)sig;
	siglongjmp(out, 1);
}

TEST(handlers_may_jump_out_of_a_call)
{
	struct itimerval soon = { { 0, 0 }, { 0, 300 } };
	volatile int jumps = 0, i;

	shared_fd = open_iommu();
	signal(SIGALRM, jump);
	while (jumps < 20) {
		if (sigsetjmp(out, 1)) {
			jumps++;
			continue;
		}
		setitimer(ITIMER_REAL, &soon, NULL);
		for (i = 0; i < 100000; i++)
			option_get(shared_fd);
	}
	stop_storm();
	for (i = 0; i < 100; i++)
		CHECK(!destroy(shared_fd, ioas_alloc(shared_fd)));
}

TEST(fork_in_a_handler_and_from_threads)
{
	pthread_t thread;
	int i;

	shared_fd = open_iommu();
	CHECK(!pthread_create(&thread, NULL, allocate_many, NULL));
	for (i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (!pid) {
			CHECK(!option_get(shared_fd));
			_exit(0);
		}
		CHECK(!wait_for(pid));
	}
	pthread_join(thread, NULL);
}

/*
 * Files of the kernel's test environment
 */

TEST(fail_nth_makes_one_allocation_fail)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu(), nth;
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", gettid());
	nth = open(path, O_RDWR);
	CHECK(nth >= 0);
	CHECK(pwrite(nth, "1", 1, 0) == 1);
	CHECK_ERRNO(ENOMEM, ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	CHECK(pread(nth, text, sizeof(text), 0) == 2 && !memcmp(text, "0\n", 2));
	CHECK(!ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	CHECK(pwrite(nth, "1000", 4, 0) == 4);
	CHECK(!ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	CHECK(pread(nth, text, sizeof(text), 0) == 4 && text[0] == '9');
	CHECK(pread(nth, text, sizeof(text), 4) == 0);
	CHECK(write(nth, "0", 1) == 1);
	CHECK_ERRNO(EINVAL, pwrite(nth, "x", 1, 0));
	CHECK(open("/proc/self/fail-nth", O_RDWR) >= 0);
	CHECK(open("/proc/thread-self/fail-nth", O_RDWR) >= 0);
	CHECK_ERRNO(ENOENT, open("/proc/1/fail-nth", O_RDWR));
}

static void *call_meanwhile(void *arg)
{
	*(int *)arg = open_iommu();
	ioas_alloc(*(int *)arg);
	return NULL;
}

TEST(fail_nth_counts_its_own_thread)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu(), nth = open("/proc/thread-self/fail-nth", O_RDWR), other;
	pthread_t thread;

	CHECK(write(nth, "1", 1) == 1);
	CHECK(!pthread_create(&thread, NULL, call_meanwhile, &other));
	pthread_join(thread, NULL);
	CHECK_ERRNO(ENOMEM, ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
}

TEST(fault_injection_knobs)
{
	DIR *dir = opendir("/sys/kernel/debug/");
	int fd;

	CHECK(dir);
	fd = openat(dirfd(dir), "failslab/ignore-gfp-wait", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "N", 1) == 1);
	CHECK(open("/sys/kernel/debug/fail_page_alloc/verbose", O_WRONLY) >= 0);
	CHECK(openat(dirfd(dir), "failslab/no-such-knob", O_WRONLY) < 0);
}

static long status_value(pid_t pid, const char *tag)
{
	char path[64], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, tag, strlen(tag)))
			value = atol(line + strlen(tag));
	fclose(f);
	return value;
}

TEST(status_shows_pinned_memory)
{
	void *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long before = status_value(getpid(), "VmPin:");
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	pid_t pid;

	CHECK(!mock_domain(fd, ioas, NULL, NULL));
	CHECK(!ioas_map(fd, ioas, memory, 65536, MOCK_APERTURE_START));
	CHECK(status_value(getpid(), "VmPin:") == before + 64);
	CHECK(status_value(getpid(), "Threads:") == 1);
	pid = fork();
	if (!pid) {
		CHECK(status_value(getppid(), "VmPin:") == before + 64);
		CHECK(status_value(getpid(), "VmPin:") == before);
		_exit(0);
	}
	CHECK(!wait_for(pid));
	close(fd);
	CHECK(status_value(getpid(), "VmPin:") == before);
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
