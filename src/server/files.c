// SPDX-License-Identifier: MIT
/*
 * The descriptors that programs hold.
 *
 * Each is the far end of a pipe whose near, writing end the server keeps. That
 * gives all that a descriptor of a kernel has. It can be duplicated, inherited,
 * passed on and polled without our knowing. Its inode is a name that cannot be
 * mistaken. When the last process has closed it, the near end reports EPOLLERR.
 * And poll says POLLIN exactly while a byte lies in the pipe: the server puts
 * one in when the file becomes readable, and takes it out again through a
 * second reading end that it opens for a moment. A file that always polls
 * writable gets its pipe opened for both directions; a pipe end for reading
 * alone never polls writable.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/file.h"
#include "srv.h"

static struct srv_file_list *ino_bucket(struct srv *srv, u64 ino)
{
	return &srv->files_by_ino[ino % SRV_FILE_BUCKETS];
}

static struct srv_file_list *serial_bucket(struct srv *srv, u64 serial)
{
	return &srv->files_by_serial[serial % SRV_FILE_BUCKETS];
}

struct srv_file *files_find_serial(struct srv *srv, u64 serial)
{
	struct srv_file *f;

	LIST_FOREACH(f, serial_bucket(srv, serial), by_serial)
		if (f->serial == serial)
			return f;
	return NULL;
}

/* Another end of the pipe that @fd is an end of. */
static int reopen(int fd, int flags)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC | O_NONBLOCK);
}

/* Take out the byte, and whatever else the program may have put there. */
static void drain(struct srv_file *f)
{
	char junk[4096];
	int fd, i;

	fd = reopen(f->wr, O_RDONLY);
	if (fd < 0)
		return;
	/* A program that keeps writing spoils its own poll and nobody else's. */
	for (i = 0; i < 16; i++)
		if (read(fd, junk, sizeof(junk)) <= 0)
			break;
	close(fd);
}

/* Called with the file's lock, which also covers f->readable. */
static void set_readable(struct mem_file *file, bool readable)
{
	struct srv_file *f = file->door;

	if (f->readable == readable)
		return;
	f->readable = readable;
	if (!readable)
		drain(f);
	else if (write(f->wr, "", 1) != 1)
		f->readable = false;
}

static void connect_file(struct srv_file *f, struct mem_file *file)
{
	pthread_mutex_lock(&file->lock);
	file->door = f;
	file->set_readable = set_readable;
	pthread_mutex_unlock(&file->lock);
}

/* Install the pipe's two ends in @f and *@out_fd. */
static int make_pipe(struct srv_file *f, bool polls_out, int tag, int *out_fd)
{
	struct stat st;
	int p[2], fd;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	fd = p[0];
	if (polls_out) {
		fd = reopen(p[1], O_RDWR);
		close(p[0]);
	}
	if (fd < 0) {
		close(p[1]);
		return -ENOMEM;
	}
	/*
	 * Small, so as not to eat up the user's allowance for pipes; but one
	 * that is to poll writable needs room beside our byte.
	 */
	(void)fcntl(p[1], F_SETPIPE_SZ, polls_out ? 8192 : 4096);
	if (fcntl(p[1], F_SETFL, O_NONBLOCK) || fcntl(fd, F_SETFL, 0) || fcntl(fd, F_SETSIG, tag) ||
	    fstat(fd, &st)) {
		close(p[1]);
		close(fd);
		return -ENOMEM;
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->wr = p[1];
	*out_fd = fd;
	return 0;
}

/*
 * What a program has put into an attribute's pipe, as a caller whose memory begins at
 * its first byte.
 */
struct pipe_task {
	struct siommu_task task;
	char text[4096];
	size_t n;
};

static int pipe_copy_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	struct pipe_task *t = container_of(task, struct pipe_task, task);

	if (src > t->n || n > t->n - src)
		return -EFAULT;
	memcpy(dst, t->text + src, n);
	return 0;
}

static const struct siommu_task_ops pipe_task_ops = { .copy_in = pipe_copy_in };

long files_commit(struct srv_file *f)
{
	struct pipe_task t = { .task = { .ops = &pipe_task_ops } };
	ssize_t n;
	int fd;

	if (!f->file->ops->raw_writes)
		return 0;
	fd = reopen(f->wr, O_RDONLY);
	if (fd < 0)
		return -ENFILE;
	n = read(fd, t.text, sizeof(t.text));
	close(fd);
	if (n <= 0)
		return 0;
	t.n = (size_t)n;
	n = f->file->ops->pwrite(f->file, &t.task, 0, t.n, 0);
	tree_update(f->srv);
	return n;
}

void files_release(struct srv_file *f)
{
	struct srv_client *opener = f->opener;
	struct srv *srv = f->srv;

	if (f->context)
		show_keep(srv);
	if (!f->kept) {
		(void)files_commit(f);
		mem_file_silence(f->file);
		mem_file_put(f->file);
	}
	pthread_mutex_lock(&srv->files_lock);
	LIST_REMOVE(f, by_serial);
	srv->nfiles--;
	if (f->context)
		srv->ncontexts--;
	opener->nfiles--;
	/* Closing it ends its last close for the eyes of reap_settle(). */
	close(f->wr);
	pthread_cond_broadcast(&srv->file_closed);
	pthread_mutex_unlock(&srv->files_lock);
	base_free(&srv->alloc, f, sizeof(*f));
	mem_space_put(&opener->space);
}

bool files_drop_ref(struct srv_file *f)
{
	if (--f->refs)
		return false;
	LIST_REMOVE(f, by_ino);
	return true;
}

static int reserve(struct srv_client *opener, bool context)
{
	struct srv *srv = opener->srv;
	int ret = 0;

	pthread_mutex_lock(&srv->files_lock);
	if (srv->nfiles >= srv->max_files || opener->nfiles >= srv->max_files / 2) {
		ret = -ENFILE;
	} else {
		srv->nfiles++;
		if (context)
			srv->ncontexts++;
		opener->nfiles++;
	}
	pthread_mutex_unlock(&srv->files_lock);
	return ret;
}

static void unreserve(struct srv_client *opener, bool context)
{
	struct srv *srv = opener->srv;

	pthread_mutex_lock(&srv->files_lock);
	srv->nfiles--;
	if (context)
		srv->ncontexts--;
	opener->nfiles--;
	pthread_mutex_unlock(&srv->files_lock);
}

static void publish(struct srv_file *f)
{
	struct srv *srv = f->srv;

	mem_space_get(&f->opener->space);
	if (f->file->ops->polls_always)
		(void)!write(f->wr, "", 1);
	else
		connect_file(f, f->file);
	pthread_mutex_lock(&srv->files_lock);
	LIST_INSERT_HEAD(ino_bucket(srv, f->ino), f, by_ino);
	LIST_INSERT_HEAD(serial_bucket(srv, f->serial), f, by_serial);
	pthread_mutex_unlock(&srv->files_lock);
}

/* What tells the program's descriptor from other pipes. */
static int tag_of(const struct srv_file *f)
{
	if (f->context)
		return DOOR_TAG_CONTEXT;
	if (f->file->ops->raw_writes)
		return DOOR_TAG_ATTRIBUTE;
	return f->file->major ? DOOR_TAG_DEVICE : DOOR_TAG_QUEUE;
}

int files_create(struct srv_client *opener, struct mem_file *file, bool pending,
		 struct srv_file **out, int *out_fd)
{
	const bool context = abi_context_of(file);
	struct srv *srv = opener->srv;
	struct srv_file *f;
	int ret;

	ret = reserve(opener, context);
	if (ret)
		return ret;
	f = base_zalloc(&srv->alloc, sizeof(*f));
	if (!f) {
		ret = -ENOMEM;
		goto err_unreserve;
	}
	f->srv = srv;
	f->serial = srv_new_serial(srv);
	f->opener = opener;
	f->group = opener->group;
	f->pending = pending;
	f->holders[0] = opener->serial;
	f->file = file;
	f->context = context;
	f->refs = 1;
	/* Devices are open for both directions too, whatever poll says of them. */
	ret = make_pipe(f, file->ops->polls_out || file->major || file->ops->mmap, tag_of(f), out_fd);
	if (ret)
		goto err_free;
	publish(f);
	*out = f;
	return 0;

err_free:
	base_free(&srv->alloc, f, sizeof(*f));
err_unreserve:
	unreserve(opener, context);
	return ret;
}

static void add_holder(struct srv_file *f, const struct srv_client *holder)
{
	int i;

	for (i = SRV_FILE_HOLDERS - 1; i > 0; i--)
		f->holders[i] = f->holders[i - 1];
	f->holders[0] = holder->serial;
	if (holder->group != f->group)
		f->group = 0;
}

static bool is_holder(const struct srv_file *f, const struct srv_client *client)
{
	int i;

	for (i = 0; i < SRV_FILE_HOLDERS; i++)
		if (f->holders[i] == client->serial)
			return true;
	return false;
}

static struct srv_file *find_ino(struct srv *srv, u64 dev, u64 ino)
{
	struct srv_file *f;

	LIST_FOREACH(f, ino_bucket(srv, ino), by_ino)
		if (f->ino == ino && f->dev == dev)
			return f->pending ? NULL : f;
	return NULL;
}

/* Does the client really hold the descriptor that it names? */
static bool prove(struct srv_client *client, const struct door_call *call)
{
	struct stat st;
	bool same;
	int fd;

	fd = client_take_fd(client, call->fd);
	if (fd < 0)
		return false;
	same = !fstat(fd, &st) && st.st_dev == call->dev && st.st_ino == call->ino;
	close(fd);
	return same;
}

int files_get(struct srv_client *client, const struct door_call *call, struct srv_file **out)
{
	struct srv *srv = client->srv;
	bool known = false;
	struct srv_file *f;

	pthread_mutex_lock(&srv->files_lock);
	f = find_ino(srv, call->dev, call->ino);
	if (f) {
		known = is_holder(f, client);
		f->refs++;
	}
	pthread_mutex_unlock(&srv->files_lock);
	if (!f)
		return -EBADF;
	if (!known) {
		if (!prove(client, call)) {
			files_put(f);
			return -EBADF;
		}
		pthread_mutex_lock(&srv->files_lock);
		add_holder(f, client);
		pthread_mutex_unlock(&srv->files_lock);
	}
	*out = f;
	return 0;
}

void files_put(struct srv_file *f)
{
	struct srv *srv = f->srv;
	bool last;

	pthread_mutex_lock(&srv->files_lock);
	last = files_drop_ref(f);
	pthread_mutex_unlock(&srv->files_lock);
	if (last)
		files_release(f);
}

static struct srv_file *get_by_fd(struct srv *srv, int fd)
{
	struct srv_file *f = NULL;
	struct stat st;

	if (fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		return NULL;
	pthread_mutex_lock(&srv->files_lock);
	f = find_ino(srv, st.st_dev, st.st_ino);
	if (f)
		f->refs++;
	pthread_mutex_unlock(&srv->files_lock);
	return f;
}

struct mem_file *files_of_fd(struct srv *srv, int fd)
{
	struct srv_file *f = get_by_fd(srv, fd);
	struct mem_file *file;

	if (!f)
		return NULL;
	file = f->file;
	mem_file_get(file);
	files_put(f);
	return file;
}

bool files_is_ours(struct srv *srv, int fd)
{
	struct srv_file *f = get_by_fd(srv, fd);

	if (f)
		files_put(f);
	return f;
}

void files_begin(struct srv_file *f)
{
	pthread_mutex_lock(&f->srv->files_lock);
	f->pending = false;
	pthread_mutex_unlock(&f->srv->files_lock);
}

void files_keep(struct srv_file *f)
{
	f->kept = true; /* nobody else can look: it is pending */
	mem_file_silence(f->file);
}
