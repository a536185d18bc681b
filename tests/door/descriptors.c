// SPDX-License-Identifier: MIT
/*
 * Descriptors of the server behave as a kernel's do: over fork and exec, when
 * duplicated, passed on and closed in any of the ways there are.
 */
#include <linux/close_range.h>

#include "door.h"
#include "../../src/preload/raw.h"

#define PAGE 4096

static const char *self;

/* Run this program again, as @mode; see main(). Does not return. */
static void run_again(const char *mode, int fd, uint32_t id)
{
	char number[16], object[16];

	snprintf(number, sizeof(number), "%d", fd);
	snprintf(object, sizeof(object), "%u", id);
	execl(self, self, mode, number, object, NULL);
	_exit(99);
}

static void inheritable(int fd)
{
	CHECK(!fcntl(fd, F_SETFD, 0));
}

TEST(fork_shares_one_context)
{
	int fd = open_iommu();
	uint32_t mine = ioas_alloc(fd);
	pid_t pid = fork();

	if (!pid) {
		CHECK(!destroy(fd, mine));
		CHECK(ioas_alloc(fd) == mine);
		_exit(0);
	}
	CHECK(!wait_for(pid));
	CHECK(!destroy(fd, mine));
}

TEST(fork_child_keeps_context_open)
{
	struct counts before = baseline();
	int fd = open_iommu(), p[2];
	uint32_t id = ioas_alloc(fd);
	char byte;
	pid_t pid;

	CHECK(!pipe(p));
	pid = fork();
	if (!pid) {
		close(p[1]);
		CHECK(read(p[0], &byte, 1) == 0);
		CHECK(!destroy(fd, id));
		_exit(0);
	}
	close(fd);
	close(p[1]);
	CHECK(!wait_for(pid));
	CHECK(is_back_to(&before));
}

TEST(vfork_child_closing_does_not_touch_the_parent)
{
	struct queue q = make_queue();
	pid_t pid = vfork();

	if (!pid) {
		close(q.fd);
		close(q.iommu);
		_exit(0);
	}
	CHECK(!wait_for(pid));
	CHECK(!cause_fault(&q));
	CHECK(take_fault(q.fd) == 1);
}

TEST(exec_inherits_context)
{
	int fd = open_iommu();
	uint32_t id = ioas_alloc(fd);

	inheritable(fd);
	run_again("--destroy", fd, id);
}

TEST(exec_closes_close_on_exec_context)
{
	int fd = open_iommu();

	ioas_alloc(fd);
	run_again("--expect-nothing", fd, 0);
}

TEST(exec_makes_old_memory_unreachable)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_iommu();
	uint32_t id = ioas_alloc(fd);

	CHECK(!ioas_map(fd, id, memory, PAGE, MOCK_APERTURE_START));
	inheritable(fd);
	run_again("--expect-efault", fd, id);
}

TEST(exec_inherits_queue)
{
	struct queue q = make_queue();
	int fd = dup(q.fd);

	CHECK(!cause_fault(&q));
	run_again("--take-fault", fd, 0);
}

TEST(dup_is_the_same_context)
{
	struct counts before = baseline();
	int fd = open_iommu(), other = dup(fd);
	uint32_t id = ioas_alloc(fd);

	close(fd);
	CHECK(!destroy(other, id));
	CHECK(count().contexts == before.contexts + 1);
	close(other);
	CHECK(count().contexts == before.contexts);
}

TEST(dup2_closes_what_was_there)
{
	struct counts before = baseline();
	int fd = open_iommu(), other = open_iommu();
	uint32_t id = ioas_alloc(fd);

	CHECK(dup2(fd, other) == other);
	CHECK(count().contexts == before.contexts + 1);
	CHECK(!destroy(other, id));
	CHECK(dup2(STDOUT_FILENO, fd) == fd);
	CHECK_ERRNO(ENOTTY, destroy(fd, 1));
	CHECK(dup3(fd, other, O_CLOEXEC) == other);
	CHECK(count().contexts == before.contexts);
}

TEST(duplicates_of_a_queue_can_be_read)
{
	struct queue q = make_queue();
	int numbers[] = {
		dup(q.fd),	 fcntl(q.fd, F_DUPFD, 100),  fcntl(q.fd, F_DUPFD_CLOEXEC, 200),
		dup2(q.fd, 300), dup3(q.fd, 400, O_CLOEXEC), (int)syscall(SYS_dup, q.fd)
	};
	size_t i;

	CHECK(numbers[1] >= 100 && numbers[2] >= 200);
	CHECK(fcntl(numbers[2], F_GETFD) == FD_CLOEXEC && fcntl(numbers[1], F_GETFD) == 0);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		CHECK(!cause_fault(&q));
		CHECK(take_fault(numbers[i]) == 1);
	}
	close(q.fd);
	CHECK_ERRNO(EBUSY, destroy(q.iommu, q.id));
	CHECK(!close_range(3, 1000, CLOSE_RANGE_CLOEXEC));
	CHECK(!cause_fault(&q) && take_fault(numbers[5]) == 1);
}

TEST(close_frees_before_it_returns)
{
	struct counts before = baseline();
	struct queue q;
	int i, fd;

	for (i = 0; i < 100; i++) {
		fd = open_iommu();
		ioas_alloc(fd);
		close(fd);
		CHECK(count().contexts == before.contexts);
	}
	q = make_queue();
	fd = create_access(q.iommu, ioas_alloc(q.iommu));
	close(fd);
	close(q.fd);
	CHECK(count().files == before.files);
}

TEST(open_queue_keeps_its_object)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	int fd = open_iommu();

	CHECK(!ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	CHECK_ERRNO(EBUSY, destroy(fd, fault.out_fault_id));
	CHECK(!close((int)fault.out_fault_fd));
	CHECK(!destroy(fd, fault.out_fault_id));
}

TEST(open_access_keeps_the_context)
{
	struct counts before = baseline();
	int fd = open_iommu(), access = create_access(fd, ioas_alloc(fd));

	close(fd);
	CHECK(count().bytes > before.bytes);
	close(access);
	CHECK(is_back_to(&before));
}

TEST(close_range_and_closefrom_close_ours)
{
	struct counts before = baseline();
	int fd = open_iommu();

	ioas_alloc(fd);
	CHECK(!close_range((unsigned int)fd, ~0U, 0));
	CHECK(count().contexts == before.contexts);
	CHECK_ERRNO(EBADF, fcntl(fd, F_GETFD));
	fd = open_iommu();
	ioas_alloc(fd);
	closefrom(fd);
	CHECK(count().contexts == before.contexts);
	CHECK_ERRNO(EINVAL, close_range(5, 4, 0));
	ioas_alloc(open_iommu());
}

TEST(closing_everything_else_leaves_the_context)
{
	int fd = open_iommu(), i;
	uint32_t id = ioas_alloc(fd);

	for (i = 3; i < 20000; i++)
		if (i != fd)
			close(i);
	CHECK(!destroy(fd, id));
	/* Numbers that are taken, though by nobody that the program knows. */
	for (i = fd + 1; i < 1100; i++)
		CHECK(dup2(fd, i) == i || errno == EBADF);
	id = ioas_alloc(fd);
	CHECK(!destroy(fd, id));
}

TEST(number_closed_behind_our_back_is_not_ours)
{
	struct queue q = make_queue();
	int p[2];
	char byte = 0;

	raw_close(q.fd);
	CHECK(!pipe(p));
	CHECK(p[0] == q.fd);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(read(p[0], &byte, 1) == 1 && byte == 'x');
	CHECK_ERRNO(ENOTTY, destroy(p[0], 1));
	CHECK(!destroy(q.iommu, q.id) || errno == EBUSY);
}

static void send_fds(int sock, const int *fds, size_t n)
{
	char control[CMSG_SPACE(4 * sizeof(int))] = "";
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	CHECK(sendmsg(sock, &msg, 0) == 1);
}

static void receive_fds(int sock, int *fds, size_t n)
{
	char control[CMSG_SPACE(4 * sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	CHECK(recvmsg(sock, &msg, 0) == 1);
	CHECK(CMSG_FIRSTHDR(&msg));
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), n * sizeof(int));
}

TEST(scm_rights_passes_context_and_queue)
{
	struct counts before = baseline();
	int sv[2], fds[2];
	struct queue q;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid) {
		close(sv[0]);
		receive_fds(sv[1], fds, 2);
		close(sv[1]);
		CHECK(take_fault(fds[1]) == 1);
		CHECK(destroy(fds[0], ioas_alloc(fds[0])) == 0);
		_exit(0);
	}
	close(sv[1]);
	q = make_queue();
	CHECK(!cause_fault(&q));
	send_fds(sv[0], (int[]){ q.iommu, q.fd }, 2);
	close(q.iommu);
	close(q.fd);
	CHECK(!wait_for(pid));
	CHECK(is_back_to(&before));
}

TEST(descriptor_in_flight_keeps_the_context)
{
	struct counts before = baseline();
	int sv[2], fd = open_iommu(), got;
	uint32_t id = ioas_alloc(fd);

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	send_fds(sv[0], &fd, 1);
	close(fd);
	CHECK(count().contexts == before.contexts + 1);
	receive_fds(sv[1], &got, 1);
	CHECK(!destroy(got, id));
	send_fds(sv[0], &got, 1);
	close(got);
	close(sv[0]);
	close(sv[1]);
	CHECK(is_back_to(&before));
}

TEST(open_flags)
{
	int fd = open("/dev/iommu", O_RDWR);

	CHECK(fcntl(fd, F_GETFD) == 0);
	close(fd);
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
}

TEST(descriptors_that_calls_return_are_close_on_exec)
{
	struct queue q = make_queue();

	CHECK(fcntl(q.fd, F_GETFD) == FD_CLOEXEC);
}

TEST(no_number_left_is_emfile)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct counts before = baseline(), during;
	int fd = open_iommu();

	ioas_alloc(fd);
	during = count();
	while (dup(STDOUT_FILENO) >= 0)
		;
	CHECK_ERRNO(EMFILE, ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	CHECK_ERRNO(EMFILE, open("/dev/iommu", O_RDWR));
	close(100);
	close(101);
	CHECK(is_back_to(&during));
	closefrom(fd);
	CHECK(is_back_to(&before));
}

static int again(char **argv)
{
	int fd = atoi(argv[2]);
	uint32_t id = (uint32_t)atoi(argv[3]);

	limit_time();
	if (!strcmp(argv[1], "--destroy"))
		CHECK(!destroy(fd, id));
	else if (!strcmp(argv[1], "--expect-nothing"))
		CHECK_ERRNO(EBADF, fcntl(fd, F_GETFD));
	else if (!strcmp(argv[1], "--expect-efault"))
		CHECK_ERRNO(EFAULT, mock_domain(fd, id, NULL, NULL));
	else if (!strcmp(argv[1], "--take-fault"))
		CHECK(take_fault(fd) == 1);
	else
		return 98;
	return 0;
}

int main(int argc, char **argv)
{
	self = "/proc/self/exe";
	if (argc == 4)
		return again(argv);
	return door_main(argc, argv);
}
