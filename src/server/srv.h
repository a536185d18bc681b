/* SPDX-License-Identifier: MIT */
/*
 * The server's own structures: the server, its client processes, their
 * channels, and the descriptors handed out.
 *
 * Threads: the main one (new connections, signals, ends of processes), the
 * reapers (last closes), and one per channel, which runs the calls.
 *
 * Locks, outermost first:
 *   lock        clients, channels, fail-nth counters
 *   the tree's  see tree.c; with neither of the others
 *   files_lock  descriptors handed out; a leaf
 * The core is never called with one of them held.
 */
#ifndef SERVER_SRV_H
#define SERVER_SRV_H

#include <pthread.h>
#include <stdatomic.h>
#include <bsd/sys/queue.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "core/door.h"
#include "mem/file.h"
#include "mem/space.h"
#include "mem/task.h"
#include "server/proto.h"
#include "server/server.h"

#define SRV_MAX_CHANNELS	2048
#define SRV_MAX_CHANNELS_CLIENT 512
#define SRV_MAX_REAPERS		64
#define SRV_ASK_MS		1000
#define SRV_FILE_BUCKETS	1024
#define SRV_FILE_HOLDERS	8
#define SRV_STACK_BYTES		((size_t)256 << 10)

/**
 * struct srv_file - a descriptor handed out, and the server's end of it
 * @srv: the server
 * @serial: never used twice
 * @dev: its pipe's device
 * @ino: its pipe's inode, which names it in calls
 * @wr: the server's end: reports EPOLLERR when no process has the other one
 * @refs: one while @open, one per call that uses it
 * @open: some process may still hold it
 * @opener: the client that got it, with a reference on its space
 * @group: process group of all clients that were seen to hold it; 0 for several
 * @pending: the call that makes it is not over: no other call may name it
 * @kept: the core took @file back; only while @pending
 * @readable: a byte lies in the pipe
 * @file: what it does
 * @context: it is a context, for the count
 * @position: file position, for files that have one
 * @holders: serials of client processes that were seen to hold it, newest first
 */
struct srv_file {
	LIST_ENTRY(srv_file) by_ino;
	LIST_ENTRY(srv_file) by_serial;
	struct srv *srv;
	u64 serial;
	u64 dev;
	u64 ino;
	int wr;
	unsigned int refs;
	bool open;
	bool pending;
	bool kept;
	bool readable;
	struct srv_client *opener;
	pid_t group;
	struct mem_file *file;
	bool context;
	_Atomic u64 position;
	u64 holders[SRV_FILE_HOLDERS];
};

LIST_HEAD(srv_file_list, srv_file);

/* The counter behind one task's fail-nth file. */
struct srv_fail {
	LIST_ENTRY(srv_fail) link;
	_Atomic unsigned int refs;
	pid_t tid;
	_Atomic long left;
	struct srv *srv;
};

/**
 * struct srv_client - one address space image of a process
 * @space: its memory, as the core sees it; its references keep the client
 * @serial: never used twice
 * @pid: its process
 * @uid: its user
 * @parent: process that started it
 * @group: its process group when it first called
 * @pidfd: its process
 * @maps_fd: its /proc/PID/maps; stays with the image, over exec, -1 if unreadable
 * @cookie_addr: where it keeps its cookie
 * @cookie: what proves that the memory is still this image's
 * @nchannels: channels connected now
 * @nfiles: descriptors that it was given and that are open, under files_lock
 * @warned: the log says already that its memory cannot be reached
 * @gone: its process has ended
 * @fails: struct srv_fail of its tasks
 * @mappings: shared memory of it that was looked up: see shared.c
 */
struct srv_client {
	struct mem_space space;
	LIST_ENTRY(srv_client) link;
	struct srv *srv;
	u64 serial;
	pid_t pid;
	uid_t uid;
	pid_t parent;
	pid_t group;
	int pidfd;
	int maps_fd;
	u64 cookie_addr;
	u64 cookie[2];
	unsigned int nchannels;
	unsigned int nfiles;
	_Atomic bool warned;
	bool gone;
	LIST_HEAD(, srv_fail) fails;
	LIST_HEAD(, srv_mapping) mappings;
};

/**
 * struct srv_channel - the connection of one thread of a client
 * @client: set by DOOR_HELLO
 * @tid: its thread
 * @fail: counter of its thread, or NULL; under lock to change
 */
struct srv_channel {
	LIST_ENTRY(srv_channel) link;
	struct srv *srv;
	int sock;
	pid_t pid;
	uid_t uid;
	pid_t tid;
	struct srv_client *client;
	_Atomic(struct srv_fail *) fail;
};

struct srv_tree;

struct srv {
	const struct server_params *params;
	struct siommu_machine *machine;
	struct topology_built built;
	struct srv_tree *tree;
	struct base_alloc alloc;
	struct base_log log;
	int listen_fd;
	int main_ep;
	int hup_ep;
	int reap_ep;
	int signal_fd;
	int program_fd;
	bool draining;
	bool stopping;
	unsigned int max_files;
	int wake_fd;

	pthread_mutex_t lock;
	pthread_cond_t channel_gone;
	LIST_HEAD(, srv_client) clients;
	LIST_HEAD(, srv_channel) channels;
	unsigned int nchannels;
	unsigned int nclients;
	u64 next_serial;

	pthread_mutex_t files_lock;
	pthread_cond_t file_closed;
	bool reapers_stop;
	unsigned int nreapers;
	unsigned int nreapers_idle;
	unsigned int nfiles;
	unsigned int ncontexts;
	struct srv_file_list files_by_ino[SRV_FILE_BUCKETS];
	struct srv_file_list files_by_serial[SRV_FILE_BUCKETS];

	char *closed_text;
	size_t closed_bytes;
};

u64 srv_new_serial(struct srv *srv);

/* Start a detached thread with a small stack. Return: 0, or -EAGAIN. */
int srv_start_thread(void *(*main)(void *arg), void *arg) __must_check;

/* When to give up waiting for others at the end. */
void srv_deadline(struct timespec *until);

/* Is nothing left to serve? */
bool srv_is_idle(struct srv *srv);

/* channel.c */

/* Start a thread for a new connection, which the callee owns. */
void channel_start(struct srv *srv, int sock);

/* Send @reply, with a descriptor unless @fd is negative. Return: 0 or -EPIPE. */
int channel_send(struct srv_channel *ch, const struct door_reply *reply, int fd) __must_check;

/* Receive the next message. Return: 0, or -EPIPE at the end or for garbage. */
int channel_recv(struct srv_channel *ch, struct door_call *call) __must_check;

/* Ask the program for something in the middle of a call. Return: its answer, or -EPIPE. */
long channel_ask(struct srv_channel *ch, enum door_op op, int number, int fd);

/* client.c */

/* The parent of a process; 0 if it cannot be told. */
pid_t client_parent_of(pid_t pid);

/* The client that @hello comes from, with a reference on its space. */
int client_get(struct srv_channel *ch, const struct door_call *hello,
	       struct srv_client **out) __must_check;

/* A descriptor of ours for the client's @fd. Return: it, or -errno. */
int client_take_fd(struct srv_client *client, int fd) __must_check;

/* Its process has ended: hang up its channels. */
void client_gone(struct srv *srv, u64 serial);

/* Say once why the memory of @client cannot be reached. */
void client_explain(struct srv_client *client, int err);

/* The living client with the lowest serial above @serial, with a reference; NULL for none. */
struct srv_client *client_after(struct srv *srv, u64 serial);

/* Copy, if the image is still there. Return: 0 or -EFAULT. */
int client_read_live(struct srv_client *client, u64 uva, void *buf, size_t n) __must_check;
int client_write_live(struct srv_client *client, u64 uva, const void *buf, size_t n) __must_check;

/* Pinned and locked pages of a process. */
void client_status(struct srv *srv, pid_t pid, u64 *pinned, u64 *locked);

/* shared.c */

void shared_remember(struct srv_client *client, const struct mem_vma *vma);
void shared_forget(struct srv_client *client);

/*
 * Copy to or from what was shared memory at @uva of a client that is gone, by
 * way of one that is not. Return: 0 or -EFAULT.
 */
int shared_copy(struct srv_client *client, u64 uva, void *buf, size_t n, bool write) __must_check;

/* task.c */

#define TASK_CACHE_BYTES 128

struct srv_given {
	SLIST_ENTRY(srv_given) link;
	int number;
	struct srv_file *file;
};

/**
 * struct srv_task - a call in progress
 * @arg: address of the structure that the call is about
 * @ncached: bytes of it that were read ahead
 * @given: descriptors that this call installed
 */
struct srv_task {
	struct siommu_task task;
	struct srv_channel *ch;
	u64 arg;
	size_t ncached;
	SLIST_HEAD(, srv_given) given;
	_Alignas(8) u8 cache[TASK_CACHE_BYTES];
};

void task_begin(struct srv_task *t, struct srv_channel *ch, u64 arg);
void task_end(struct srv_task *t);

/* files.c */

/*
 * A new descriptor for a file: @out_fd is the end for @opener, owned by the
 * caller. reap_watch() begins to look for its last close.
 */
int files_create(struct srv_client *opener, struct mem_file *file, bool pending,
		 struct srv_file **out, int *out_fd) __must_check;

/* The call that made @f is over. */
void files_begin(struct srv_file *f);

/* Take a reference to what a call names. Return: 0, or -EBADF. */
int files_get(struct srv_client *client, const struct door_call *call,
	      struct srv_file **out) __must_check;
void files_put(struct srv_file *f);

/* The mem_file behind descriptor @fd, with a reference; NULL if it is none of ours. */
struct mem_file *files_of_fd(struct srv *srv, int fd);

/* Is @fd a descriptor of ours, of whatever kind? */
bool files_is_ours(struct srv *srv, int fd);

/*
 * Give the file what was written into its pipe without our being called. Return: as
 * pwrite, or 0 if there was nothing.
 */
long files_commit(struct srv_file *f);

/* The core takes back the file; @f stays until its references are gone. */
void files_keep(struct srv_file *f);

/* The three below are for reap.c. Caller holds files_lock: */
struct srv_file *files_find_serial(struct srv *srv, u64 serial);

/* Return: @f is to be released. */
bool files_drop_ref(struct srv_file *f);

/* Without the lock: the last reference is gone, and @f is found by its serial alone. */
void files_release(struct srv_file *f);

/* reap.c */

int reap_init(struct srv *srv) __must_check;
int reap_start(struct srv *srv) __must_check;

/* Return: false if a close hangs. */
bool reap_stop(struct srv *srv);

/* Drop everything that is still open, at the end of the server. */
void reap_destroy(struct srv *srv);

/* Look for the last close of @f from now on. */
void reap_watch(struct srv_file *f);

/* Have done with every last close before now that @client can know of; NULL: with all. */
void reap_settle(struct srv *srv, const struct srv_client *client);

/* tree.c */

/* Make the tree that programs see, if there are PCI functions. Return: 0, or -errno. */
int tree_create(struct srv *srv) __must_check;
void tree_destroy(struct srv *srv);

/* Take away what a server on @socket_path that was killed has left. Return: 0, or -errno. */
int tree_remove(const char *socket_path);

/* Something may have changed: bring it up to date. */
void tree_update(struct srv *srv);

/* fail.c */

/* Asked by the allocator: is this allocation of this thread to fail? */
bool fail_should(void *arg);

/* Count allocations of this thread by @fail from here on; NULL for none. */
void fail_count(struct srv_fail *fail);

/* A file for @tid's counter. */
int fail_open(struct srv_channel *ch, pid_t tid, struct mem_file **out) __must_check;

/* Find the counter for a new channel; caller holds lock. */
void fail_attach(struct srv_channel *ch);
void fail_put(struct srv_fail *fail);

/*
 * guard.c: outlive it when memory of a client cannot be reached. @host has mapped nothing
 * yet, and lives until guard_stop().
 */
int guard_start(struct mem_host *host) __must_check;
void guard_stop(void);

/* show.c */

/* A memfd with the tree; also the trees of closed contexts if @past. */
int show_text(struct srv *srv, bool past);

/* A memfd with a struct walk_trace: see DOOR_WALK. Return: it, or -errno. */
int show_walk(struct srv *srv, const struct door_call *call);

/* A context is about to close: keep its tree, if so asked. */
void show_keep(struct srv *srv);

#endif
