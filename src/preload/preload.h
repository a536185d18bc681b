/* SPDX-License-Identifier: MIT */
/*
 * What the files of the preload library share. See preload.c for how it works.
 */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "server/proto.h"

#define PRELOAD_API __attribute__((visibility("default")))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Old programs call these instead of stat and its kind; no header declares them now. */
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);
int __fxstatat(int version, int dirfd, const char *path, struct stat *st, int flags);
int __fxstatat64(int version, int dirfd, const char *path, struct stat64 *st, int flags);

/* Fortified programs call these; declared only with fortification. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);
ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t size);
ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t n, size_t size);
char *__realpath_chk(const char *path, char *resolved, size_t size);
char *__getcwd_chk(char *buf, size_t n, size_t size);
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t offset, size_t room);

/* Everything that the library replaces; the originals are in struct real. */
/* clang-format off */
#define REAL_FUNCTIONS(X)                                                                       \
	X(open) X(open64) X(__open_2) X(__open64_2)                                              \
	X(openat) X(openat64) X(__openat_2) X(__openat64_2)                                      \
	X(fopen) X(fopen64) X(freopen) X(freopen64) X(fdopen) X(fflush) X(fclose)                \
	X(opendir) X(scandir) X(scandir64) X(chdir) X(getcwd) X(__getcwd_chk)                    \
	X(readlink) X(readlinkat) X(__readlink_chk) X(__readlinkat_chk)                          \
	X(getxattr) X(lgetxattr) X(listxattr) X(llistxattr)                                      \
	X(realpath) X(__realpath_chk) X(canonicalize_file_name)                                  \
	X(access) X(faccessat) X(eaccess) X(euidaccess)                                          \
	X(stat) X(stat64) X(lstat) X(lstat64) X(fstat) X(fstat64) X(fstatat) X(fstatat64)        \
	X(statx)                                                                                 \
	X(__xstat) X(__xstat64) X(__lxstat) X(__lxstat64) X(__fxstat) X(__fxstat64)              \
	X(__fxstatat) X(__fxstatat64)                                                            \
	X(ioctl) X(mmap) X(mmap64) X(munmap) X(mremap) X(mprotect)                               \
	X(sigaction) X(signal) X(sigprocmask) X(pthread_sigmask)                                 \
	X(read) X(write) X(readv) X(writev)                                                      \
	X(pread) X(pread64) X(pwrite) X(pwrite64) X(preadv) X(preadv64) X(pwritev) X(pwritev64)  \
	X(preadv2) X(preadv64v2) X(pwritev2) X(pwritev64v2)                                      \
	X(__read_chk) X(__pread_chk) X(__pread64_chk)                                            \
	X(close) X(close_range) X(closefrom)                                                     \
	X(dup) X(dup2) X(dup3) X(fcntl) X(fcntl64)                                               \
	X(recvmsg) X(recvmmsg)                                                                   \
	X(syscall)
/* clang-format on */

extern bool real_resolved;
void real_resolve(void);

/* preload.c */

/* A server is named in the environment. */
extern bool preload_active;

/* Any descriptor in this process is ours: known to the program, or private. */
extern _Atomic bool preload_live;

/* This process, or the one it was forked from, has called the server. */
extern bool preload_is_client;

/* Set errno for a negative @ret, as libc does. */
long preload_return(long ret);

/* channel.c */

/*
 * One call of the server. Return: its result, or -errno; -EIO if there is no
 * server. @reply and @fd may be NULL; *@fd is the descriptor that came with the
 * reply, or -1.
 */
long door_call(struct door_call *call, struct door_reply *reply, int *fd);

/* Wait until what was closed is gone, if this thread has called the server before. */
void door_sync(void);

/* Does the server have the mock's test interface? */
bool door_has_test_interface(void);

void channel_init(void);

/* The path of the server's socket. */
const char *channel_path(void);

/* The calling thread's channel will not be used again. */
void channel_forget(void);

/* image.c */

/* The cookie of this address space image; see client.c of the server. */
uint64_t image_cookie(void);
const uint64_t *image_cookie_address(void);

/* The image's cookie if it has one: 0 in a child that has not called the server. */
uint64_t image_cookie_now(void);

/* False in a vfork child, which shares our tables but not our descriptors. */
bool image_is_mine(void);

/* Move @fd out of the way of the program's numbers, and protect it. */
int image_hide_fd(int fd);
void image_close_fd(int fd);
bool image_is_hidden(int fd);

/* The lowest hidden number that is at least @fd, or INT_MAX. */
int image_next_hidden(int fd);

/* Close what a fork has left us of the parent's. */
void image_after_fork(void);

/* known.c */

enum known_kind {
	KNOWN_NONE,
	KNOWN_CONTEXT,
	KNOWN_QUEUE,
	KNOWN_DEVICE,
	KNOWN_ATTRIBUTE,
	KNOWN_KVM,
};

/**
 * struct known - a descriptor of ours, as a call needs it
 * @kind: what it is
 * @dev: of its pipe
 * @ino: of its pipe
 */
struct known {
	enum known_kind kind;
	uint64_t dev;
	uint64_t ino;
};

/* What @fd was when we last looked: cheap, to be confirmed by known_check(). */
enum known_kind known_kind(int fd);

/* What @fd is now. KNOWN_NONE if it is not ours. */
enum known_kind known_check(int fd, struct known *out);

/* Look at a descriptor that came from elsewhere. */
void known_discover(int fd);
enum known_kind known_forget(int fd);

/* Forget all from @first to @last. Return: there were any. */
bool known_forget_range(unsigned int first, unsigned int last);

/* Look at all descriptors of a process that has just begun. */
void known_scan(void);

/* paths.c */

enum path_kind { PATH_OTHER, PATH_IOMMU, PATH_FAIL_NTH, PATH_STATUS, PATH_KNOB, PATH_DEBUGFS };

/**
 * struct path_info - what a path means to us
 * @kind: which of our paths
 * @number: for /proc, the process or thread that it names
 */
struct path_info {
	enum path_kind kind;
	int number;
};

void path_look(const char *path, struct path_info *info);

/*
 * The program has asked about @path, with the result @ret. If that is /dev/iommu,
 * errno is what it was @before; else it is left alone.
 */
bool path_is_iommu(const char *path, int ret, int before);

/*
 * The program has opened @path, with the result @fd and errno, which was @before.
 * Return: what the program gets instead, or @fd itself; errno goes with it.
 */
int path_opened(int dirfd, const char *path, int flags, int fd, int before);

/* Open @path, as the server knows it. Return: a descriptor, or -errno. */
long path_open_at_server(const char *path, int flags);

/* tree.c */

/* Room for a path of the tree. */
struct tree_path {
	char text[768];
};

/**
 * struct tree_mark - what a file of the tree stands for
 * @kind: DOOR_MARK_NODE and the like
 * @major: of a device node
 * @minor: of a device node
 */
struct tree_mark {
	unsigned int kind;
	unsigned int major;
	unsigned int minor;
};

/* This process has been in the tree. */
extern _Atomic bool tree_live;

void tree_init(void);
bool tree_exists(void);

/* @path, or where it is in the tree: then in @room. */
const char *tree_redirect(const char *path, struct tree_path *room);

/*
 * Make @call, which uses where for @path, and make it in the tree if that is where the
 * path is. A process that has not been there yet makes it outside first: that tests the
 * pointer, so that a bad one gives EFAULT.
 */
#define TREE_CALL(path, call)                                                                      \
	({                                                                                         \
		struct tree_path room_;                                                            \
		const char *where = (path);                                                        \
		__typeof__(call) result_;                                                          \
		int errno_ = errno;                                                                \
                                                                                                   \
		if (unlikely(atomic_load_explicit(&tree_live, memory_order_relaxed)))              \
			where = tree_redirect((path), &room_);                                     \
		result_ = (call);                                                                  \
		if (unlikely(preload_active) && where == (path) &&                                 \
		    !(result_ < 0 && errno == EFAULT)) {                                           \
			where = tree_redirect((path), &room_);                                     \
			if (unlikely(where != (path))) {                                           \
				errno = errno_;                                                    \
				result_ = (call);                                                  \
			}                                                                          \
		}                                                                                  \
		result_;                                                                           \
	})

/* An absolute path that the tree has, or would have. */
bool tree_is_ours(const char *path);

/* Open @path if it is in the tree. Return: it is, and *@out and errno are the result. */
bool tree_open(int dirfd, const char *path, int flags, int *out);

/* Take the name of the root off a path of @n bytes. Return: how many are left. */
size_t tree_strip(char *path, size_t n);

/* Return: the file with these attributes has a mark, in @out. */
bool tree_mark(mode_t mode, int64_t seconds, uint64_t nanoseconds, struct tree_mark *out);

/* stdio.c */

/* A stream for an attribute, which owns @fd. */
FILE *stdio_open(int fd, const char *mode);

/* Have the server take what was written to an attribute behind our back. 0 or -errno. */
long stdio_commit(int fd);

/* stat.c */

/* Make the description of /dev/iommu. */
void stat_fill(struct stat *st);
int stat_amend_statx(int dirfd, const char *path, int flags, struct statx *stx, int ret,
		     int before);

/* io.c */
ssize_t io_forward(enum door_op op, int fd, const void *buf, size_t n, uint64_t offset, bool *ours);

/* ctl.c */
long ctl_ioctl(int fd, unsigned long request, unsigned long arg, bool *ours);
long ctl_mmap(void *addr, size_t length, int prot, int flags, int fd, uint64_t offset);

/* Something is mapped there now: what we knew of it is over. */
void ctl_mapped(long address, size_t n);

/* kvm.c */

/* As DOOR_TAG_CONTEXT and the like, for what stands for KVM's device. */
#define KVM_TAG 58

/* KVM_CREATE_DEVICE, and the three requests for attributes of devices. */
#define KVM_MAYBE_OURS(request) (((request)&0xfffc) == 0xaee0)

long kvm_ioctl(int fd, unsigned long request, unsigned long arg, bool *ours);

/* The device with this inode is closed. */
void kvm_closed(uint64_t device);

/* fds.c */

/* What a program's close and the like lead to. Return: 0 or more, or -errno. */
long fds_close_raw(int fd);
long fds_close_range(unsigned int first, unsigned int last, unsigned int flags);
void fds_copied(int from, int to);
bool fds_forget(int fd);
void fds_received(const struct msghdr *msg);

#endif
