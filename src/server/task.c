// SPDX-License-Identifier: MIT
/*
 * The caller of an ioctl when it is another process: copies are
 * process_vm_readv and process_vm_writev, descriptors come by pidfd_getfd and
 * go by SCM_RIGHTS. The copies name the calling thread, not its process: that
 * still works when the main thread has ended, and no more when another thread
 * has replaced the program by exec.
 *
 * Nearly every call reads a size word and then the structure that it begins.
 * The first read therefore fetches what follows it as well, up to the end of
 * the page at most, and the second one costs no system call.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "srv.h"

static struct srv_task *to_srv(struct siommu_task *task)
{
	return container_of(task, struct srv_task, task);
}

/*
 * Another debugger may have taken our place with Yama (a program has one slot
 * for that, and crash handlers use it): have the program name us again.
 */
static bool regain(struct srv_task *t)
{
	return errno == EPERM && !channel_ask(t->ch, DOOR_PTRACER, 0, -1);
}

/* Return: bytes copied, or -EFAULT. */
static ssize_t read_client(struct srv_task *t, void *dst, u64 src, size_t n)
{
	struct iovec local = { dst, n };
	struct iovec remote = { (void *)(uintptr_t)src, n };
	pid_t tid = t->ch->tid;
	ssize_t got;

	got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
	if (unlikely(got < 0) && regain(t))
		got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
	if (likely(got >= 0))
		return got;
	client_explain(t->ch->client, errno);
	return -EFAULT;
}

static int srv_copy_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	struct srv_task *t = to_srv(task);
	ssize_t got;

	if (src != t->arg || n > sizeof(t->cache))
		return read_client(t, dst, src, n) == (ssize_t)n ? 0 : -EFAULT;
	if (n > t->ncached) {
		size_t want = PAGE_BYTES - (src & (PAGE_BYTES - 1));

		want = max_u64(n, min_u64(want, sizeof(t->cache)));
		got = read_client(t, t->cache, src, want);
		if (got < (ssize_t)n)
			return -EFAULT;
		t->ncached = (size_t)got;
	}
	memcpy(dst, t->cache, n);
	/* What is read after the structure is read for a reason: do not keep it. */
	if (n > sizeof(u32))
		t->ncached = 0;
	return 0;
}

static int srv_copy_out(struct siommu_task *task, u64 dst, const void *src, size_t n)
{
	struct srv_task *t = to_srv(task);
	struct iovec local = { (void *)src, n };
	struct iovec remote = { (void *)(uintptr_t)dst, n };
	pid_t tid = t->ch->tid;
	ssize_t put;

	t->ncached = 0;
	put = process_vm_writev(tid, &local, 1, &remote, 1, 0);
	if (unlikely(put < 0) && regain(t))
		put = process_vm_writev(tid, &local, 1, &remote, 1, 0);
	if (unlikely(put < 0))
		client_explain(t->ch->client, errno);
	return put == (ssize_t)n ? 0 : -EFAULT;
}

static int srv_open_fd(struct siommu_task *task, int number)
{
	struct srv_task *t = to_srv(task);
	int fd;

	fd = client_take_fd(t->ch->client, number);
	if (fd < 0 || !files_is_ours(t->ch->srv, fd))
		return fd;
	/*
	 * Holding one of ours would keep it from ever being closed for good.
	 * Something else that cannot be mapped serves as well.
	 */
	close(fd);
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int srv_get_file(struct siommu_task *task, int number, struct mem_file **file)
{
	struct srv_task *t = to_srv(task);
	int fd;

	fd = client_take_fd(t->ch->client, number);
	if (fd < 0)
		return fd;
	*file = files_of_fd(t->ch->srv, fd);
	close(fd);
	return *file ? 0 : -EBADFD;
}

static int srv_install_file(struct siommu_task *task, struct mem_file *file)
{
	struct srv_task *t = to_srv(task);
	struct srv *srv = t->ch->srv;
	struct srv_given *given;
	struct srv_file *f;
	int fd, ret;
	long number;

	given = base_zalloc(&srv->alloc, sizeof(*given));
	if (!given)
		return -ENOMEM;
	ret = files_create(t->ch->client, file, true, &f, &fd);
	if (ret)
		goto err_free;
	number = channel_ask(t->ch, DOOR_INSTALL, 0, fd);
	close(fd);
	if (number < 0) {
		ret = number == -ENOMEM ? -ENOMEM : -EMFILE;
		files_keep(f);
		files_put(f);
		goto err_free;
	}
	reap_watch(f);
	given->number = (int)number;
	given->file = f; /* and its reference, until the call is over */
	SLIST_INSERT_HEAD(&t->given, given, link);
	return (int)number;

err_free:
	base_free(&srv->alloc, given, sizeof(*given));
	return ret;
}

static void srv_remove_file(struct siommu_task *task, int number)
{
	struct srv_task *t = to_srv(task);
	struct srv_given *given;

	SLIST_FOREACH(given, &t->given, link) {
		if (given->number == number) {
			files_keep(given->file);
			channel_ask(t->ch, DOOR_REMOVE, number, -1);
			return;
		}
	}
}

static bool srv_capable(struct siommu_task *task, int cap)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct srv_task *t = to_srv(task);

	if (t->ch->srv->params->grant >> cap & 1)
		return true;
	header.pid = t->ch->tid;
	if (syscall(SYS_capget, &header, data))
		return false;
	return data[cap / 32].effective >> (cap % 32) & 1;
}

static const struct siommu_task_ops srv_task_ops = {
	.copy_in = srv_copy_in,
	.copy_out = srv_copy_out,
	.open_fd = srv_open_fd,
	.get_file = srv_get_file,
	.install_file = srv_install_file,
	.remove_file = srv_remove_file,
	.capable = srv_capable,
};

void task_begin(struct srv_task *t, struct srv_channel *ch, u64 arg)
{
	t->task.ops = &srv_task_ops;
	t->task.space = &ch->client->space;
	t->ch = ch;
	t->arg = arg;
	t->ncached = 0;
	SLIST_INIT(&t->given);
	fail_count(atomic_load_explicit(&ch->fail, memory_order_acquire));
}

void task_end(struct srv_task *t)
{
	struct srv *srv = t->ch->srv;
	struct srv_given *given;

	fail_count(NULL);
	while ((given = SLIST_FIRST(&t->given))) {
		SLIST_REMOVE_HEAD(&t->given, link);
		if (!given->file->kept)
			files_begin(given->file);
		files_put(given->file);
		base_free(&srv->alloc, given, sizeof(*given));
	}
}
