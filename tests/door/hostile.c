// SPDX-License-Identifier: MIT
/*
 * Clients that do not keep to the protocol. What they get is a hang-up; what
 * they may not get is a crash, somebody else's context, or anybody's time.
 */
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "door.h"

static uint64_t cookie[2] = { 0, DOOR_COOKIE_MAGIC };

static struct door_call hello(void)
{
	if (!cookie[0])
		CHECK(getrandom(cookie, 8, 0) == 8);
	return (struct door_call){
		.op = DOOR_HELLO,
		.fd = gettid(),
		.a = (uintptr_t)cookie,
		.b = cookie[0],
		.d = DOOR_VERSION,
	};
}

/* A channel that has said hello. */
static int greet(void)
{
	struct door_call call = hello();
	struct door_reply reply;
	int sock = connect_server();

	CHECK(call_raw(sock, &call, &reply) == 0 && reply.op == DOOR_DONE);
	return sock;
}

static bool is_hung_up(int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	char byte;

	return poll(&pfd, 1, 2000) == 1 && recv(sock, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* The server is there, and serves. */
static void check_alive(void)
{
	int fd = open_iommu();

	CHECK(!destroy(fd, ioas_alloc(fd)));
	close(fd);
}

TEST(messages_of_wrong_length)
{
	size_t lengths[] = {
		0, 1, 4, sizeof(struct door_call) - 1, sizeof(struct door_call) + 1, 4096, 100000
	};
	static char junk[100000];
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int sock = greet();

		CHECK(send(sock, junk, lengths[i], MSG_NOSIGNAL) == (ssize_t)lengths[i]);
		CHECK(is_hung_up(sock));
		close(sock);
	}
	check_alive();
}

TEST(operations_out_of_turn)
{
	uint32_t ops[] = { 0, DOOR_HELLO, DOOR_ANSWER, DOOR_INSTALL, DOOR_DONE, 12345, ~0U };
	struct door_call call;
	struct door_reply reply;
	size_t i;
	int sock;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		sock = greet();
		call = hello();
		call.op = ops[i];
		CHECK(call_raw(sock, &call, &reply) == -EPROTO);
		CHECK(is_hung_up(sock));
		close(sock);
	}
	/* Everything but hello and two questions needs a hello. */
	sock = connect_server();
	call = (struct door_call){ .op = DOOR_OPEN };
	CHECK(call_raw(sock, &call, &reply) == -EPROTO);
	close(sock);
	check_alive();
}

TEST(lies_in_the_hello)
{
	struct door_call lies[] = { hello(), hello(), hello(), hello() };
	struct door_reply reply;
	size_t i;

	lies[0].b ^= 2;
	lies[1].a = 8;
	lies[2].a = UINT64_MAX - 4;
	lies[3].d = DOOR_VERSION + 1;
	for (i = 0; i < 4; i++) {
		int sock = connect_server();

		CHECK(call_raw(sock, &lies[i], &reply) < 0);
		close(sock);
	}
	check_alive();
}

TEST(random_messages)
{
	struct door_call call;
	struct door_reply reply;
	int i, sock = greet();

	srand((unsigned int)time(NULL));
	for (i = 0; i < 3000; i++) {
		CHECK(getrandom(&call, sizeof(call), 0) == sizeof(call));
		call.op = (uint32_t)rand() % (DOOR_ANSWER + 2);
		call.fd = rand() % 8;
		call_raw(sock, &call, &reply);
		if (reply.result == -EPROTO || rand() % 100 == 0) {
			close(sock);
			sock = greet();
		}
	}
	close(sock);
	check_alive();
}

TEST(descriptors_that_nobody_asked_for)
{
	char control[CMSG_SPACE(100 * sizeof(int))] = "";
	struct door_call call = hello();
	struct iovec iov = { &call, sizeof(call) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int sock = connect_server(), p[2], i;
	char byte;

	CHECK(!pipe(p));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(100 * sizeof(int));
	for (i = 0; i < 100; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &p[1], sizeof(int));
	CHECK(sendmsg(sock, &msg, 0) == sizeof(call));
	close(p[1]);
	/* The server kept none of them: the pipe's other end is closed. */
	CHECK(read(p[0], &byte, 1) == 0);
	check_alive();
}

/* The inode behind a context: fstat shows a device, the link does not. */
static uint64_t inode_of(int fd)
{
	char path[64], link[64] = "";
	unsigned long ino;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0);
	CHECK(sscanf(link, "pipe:[%lu]", &ino) == 1);
	return ino;
}

TEST(context_of_another_process)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	struct door_call call = { .op = DOOR_IOCTL };
	struct door_reply reply;
	struct stat st;
	pid_t pid;
	int p[2];

	CHECK(!pipe(p));
	pid = fork();
	if (!pid) {
		uint64_t ino = inode_of(open_iommu());

		CHECK(write(p[1], &ino, sizeof(ino)) == sizeof(ino));
		pause();
	}
	CHECK(read(p[0], &call.ino, 8) == 8);
	CHECK(!fstat(p[0], &st)); /* all pipes are of one device */
	call.dev = st.st_dev;
	call.fd = p[0];
	call.a = IOMMU_IOAS_ALLOC;
	call.b = (uintptr_t)&cmd;
	CHECK(call_raw(greet(), &call, &reply) == -EBADF);
	kill(pid, SIGKILL);
	CHECK(wait_for(pid) == 256 + SIGKILL);
}

/* Milliseconds that one call of an ordinary client takes. */
static long time_call(void)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	check_alive();
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
}

TEST(client_that_does_not_take_its_descriptor)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	struct door_call call = { .op = DOOR_OPEN }, again;
	struct counts before = baseline();
	struct door_reply reply;
	int sock = greet(), fd;
	struct iovec iov = { &reply, sizeof(reply) };
	char control[CMSG_SPACE(sizeof(int))];
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct stat st;
	int p[2];

	CHECK(!pipe(p) && !fstat(p[0], &st)); /* all pipes are of one device */
	CHECK(send(sock, &call, sizeof(call), 0) == sizeof(call));
	CHECK(recvmsg(sock, &msg, 0) == sizeof(reply) && !reply.result);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	again = (struct door_call){
		.op = DOOR_IOCTL,
		.fd = fd,
		.dev = st.st_dev,
		.ino = inode_of(fd),
		.a = IOMMU_FAULT_QUEUE_ALLOC,
		.b = (uintptr_t)&cmd,
	};
	CHECK(send(sock, &again, sizeof(again), 0) == sizeof(again));
	/* Now the server waits for our answer, with the context's lock. */
	CHECK(time_call() < 500);
	CHECK(recv(sock, &reply, sizeof(reply), 0) == sizeof(reply) && reply.op == DOOR_INSTALL);
	CHECK(is_hung_up(sock));
	close(sock);
	close(fd);
	CHECK(is_back_to(&before));
}

TEST(client_that_does_not_read)
{
	struct door_call call = { .op = DOOR_SYNC };
	int sock = greet(), i;

	for (i = 0; i < 10000; i++)
		if (send(sock, &call, sizeof(call), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	CHECK(time_call() < 500);
	close(sock);
}

/* Connect, say hello or not, and see whether the server keeps the connection. */
static int fill(int *socks, int n, bool greets)
{
	struct door_call call = hello();
	struct door_reply reply;
	int i, kept = 0;

	for (i = 0; i < n; i++) {
		socks[i] = connect_server();
		if (!greets)
			continue;
		if (send(socks[i], &call, sizeof(call), MSG_NOSIGNAL) == sizeof(call) &&
		    recv(socks[i], &reply, sizeof(reply), 0) == sizeof(reply))
			kept += !reply.result;
	}
	return kept;
}

TEST(one_process_cannot_take_all_channels)
{
	static int socks[2500];
	pid_t pid = fork();
	int n;

	if (!pid) {
		n = fill(socks, 600, true);
		CHECK(n > 100 && n < 600);
		_exit(0);
	}
	CHECK(!wait_for(pid));
	usleep(100000);
	fill(socks, 2500, false);
	pid = fork();
	if (!pid) {
		check_alive();
		_exit(0);
	}
	CHECK(!wait_for(pid));
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
