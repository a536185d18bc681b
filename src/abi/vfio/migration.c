// SPDX-License-Identifier: MIT
/*
 * Migration of a function's state, for models that can save it.
 *
 * The states are those of linux/vfio.h. A change goes through a path of single steps; a
 * model only knows to stop, to go on, to save and to load. In RUNNING_P2P it is stopped as
 * in STOP, since nobody can tell which of its DMA reaches other devices; its registers are
 * memory all the while, so that others can reach it. There is no PRE_COPY: a state is
 * small, and is read in one piece.
 *
 * A session is a descriptor to read the state from, or to write it to. It ends with its
 * state, and then the descriptor is good for nothing. Its bytes begin with a header, so
 * that a state of another model is refused.
 */
#include <string.h>

#include "vfio.h"

#define STREAM_MAGIC   0x4e474953554d4d31u
#define STREAM_MAX     ((size_t)256 << 20)
#define STREAM_INITIAL ((size_t)64 << 10)

/* What states are there for; the order of their numbers is the kernel's. */
#define NSTATES 6u

/**
 * struct stream_head - what a stream begins with
 * @magic: STREAM_MAGIC
 * @vendor: whose state it is
 * @device: the same
 * @version: 1
 * @bytes: of the model's state, which follows
 */
struct stream_head {
	u64 magic;
	u16 vendor;
	u16 device;
	u32 version;
	u64 bytes;
};

/**
 * struct session - a descriptor with a state
 * @file: it
 * @alloc: what the bytes are charged to
 * @saving: it is for reading
 * @lock: covers what follows; a leaf
 * @ended: there is nothing behind it any more
 * @buf: the bytes
 * @room: that @buf has
 * @bytes: of it that there are
 * @pos: the next to be read
 */
struct session {
	struct mem_file file;
	struct base_alloc *alloc;
	bool saving;
	pthread_mutex_t lock;
	bool ended;
	u8 *buf;
	size_t room;
	size_t bytes;
	size_t pos;
};

/**
 * struct vfio_migration - the state of an opening; made with the first change
 * @state: enum vfio_device_mig_state
 * @session: the one of @state, with a reference; NULL for none
 *
 * Under open->irq_lock.
 */
struct vfio_migration {
	unsigned int state;
	struct session *session;
};

static struct session *to_session(struct mem_file *file)
{
	return container_of(file, struct session, file);
}

static ssize_t session_read(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n)
{
	struct session *s = to_session(file);
	u8 piece[4096];
	size_t done = 0;
	int rc = 0;

	while (done < n && !rc) {
		size_t m = min_u64(n - done, sizeof(piece));

		/* Copied in pieces: nobody waits with the lock for the program's memory. */
		pthread_mutex_lock(&s->lock);
		if (s->ended || !s->saving) {
			rc = -ENODEV;
		} else {
			m = min_u64(m, s->bytes - s->pos);
			memcpy(piece, s->buf + s->pos, m);
			s->pos += m;
		}
		pthread_mutex_unlock(&s->lock);
		if (!rc && !m)
			break;
		if (!rc)
			rc = task_copy_out(task, ubuf + done, piece, m);
		if (!rc)
			done += m;
	}
	return done ? (ssize_t)done : rc;
}

/* Room for @n bytes more. Context: s->lock. */
static int make_room(struct session *s, size_t n)
{
	size_t room = max_u64(s->room, STREAM_INITIAL);
	u8 *buf;

	if (n > STREAM_MAX - s->bytes)
		return -ENOMEM;
	if (s->buf && s->bytes + n <= s->room)
		return 0;
	while (room < s->bytes + n)
		room *= 2;
	buf = base_zalloc(s->alloc, room);
	if (!buf)
		return -ENOMEM;
	if (s->bytes)
		memcpy(buf, s->buf, s->bytes);
	base_free(s->alloc, s->buf, s->room);
	s->buf = buf;
	s->room = room;
	return 0;
}

static int append(struct session *s, const void *piece, size_t n)
{
	int rc;

	if (s->ended || s->saving)
		return -ENODEV;
	rc = make_room(s, n);
	if (rc)
		return rc;
	memcpy(s->buf + s->bytes, piece, n);
	s->bytes += n;
	return 0;
}

static ssize_t session_write(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n)
{
	struct session *s = to_session(file);
	u8 piece[4096];
	size_t done = 0;
	int rc = 0;

	while (done < n && !rc) {
		size_t m = min_u64(n - done, sizeof(piece));

		rc = task_copy_in(task, piece, ubuf + done, m);
		if (rc)
			break;
		pthread_mutex_lock(&s->lock);
		rc = append(s, piece, m);
		pthread_mutex_unlock(&s->lock);
		if (!rc)
			done += m;
	}
	return done ? (ssize_t)done : rc;
}

static void session_release(struct mem_file *file)
{
	struct session *s = to_session(file);

	base_free(s->alloc, s->buf, s->room);
	pthread_mutex_destroy(&s->lock);
	mem_file_destroy(&s->file);
	base_free(s->alloc, s, sizeof(*s));
}

static const struct mem_file_ops session_ops = {
	.name = "[vfio-migration]",
	.polls_out = true,
	.polls_always = true,
	.read = session_read,
	.write = session_write,
	.release = session_release,
};

static struct session *session_new(struct base_alloc *alloc, bool saving)
{
	struct session *s = base_zalloc(alloc, sizeof(*s));

	if (!s)
		return NULL;
	mem_file_init(&s->file, &session_ops);
	pthread_mutex_init(&s->lock, NULL);
	s->alloc = alloc;
	s->saving = saving;
	return s;
}

static void session_end(struct vfio_migration *m)
{
	struct session *s = m->session;

	if (!s)
		return;
	m->session = NULL;
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_mutex_unlock(&s->lock);
	mem_file_put(&s->file);
}

/* The state of a model that is stopped, in a session nobody else knows yet. */
static int save(struct pci_func *func, struct session *s)
{
	struct stream_head head = {
		.magic = STREAM_MAGIC,
		.vendor = func->desc.vendor,
		.device = func->desc.device,
		.version = 1,
		.bytes = func->ops->save(func, NULL, 0),
	};
	int rc;

	rc = make_room(s, sizeof(head) + head.bytes);
	if (rc)
		return rc;
	memcpy(s->buf, &head, sizeof(head));
	if (func->ops->save(func, s->buf + sizeof(head), head.bytes) != head.bytes)
		return -EIO;
	s->bytes = sizeof(head) + head.bytes;
	return 0;
}

/* Context: s->lock. */
static int load_locked(struct pci_func *func, const struct session *s)
{
	struct stream_head head;

	if (s->bytes < sizeof(head))
		return -EINVAL;
	memcpy(&head, s->buf, sizeof(head));
	if (head.magic != STREAM_MAGIC || head.version != 1 || head.vendor != func->desc.vendor ||
	    head.device != func->desc.device || head.bytes != s->bytes - sizeof(head))
		return -EINVAL;
	return func->ops->load(func, s->buf + sizeof(head), head.bytes);
}

static int load(struct pci_func *func, struct session *s)
{
	int rc;

	/* What is written after this is lost, not loaded in part. */
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	rc = load_locked(func, s);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int begin_session(struct pci_func *func, struct vfio_migration *m, bool saving)
{
	struct session *s;
	int rc = 0;

	s = session_new(func->alloc, saving);
	if (!s)
		return -ENOMEM;
	if (saving)
		rc = save(func, s);
	if (rc)
		mem_file_put(&s->file);
	else
		m->session = s;
	return rc;
}

/*
 * The next state on the way from one to another, which differ: saving and loading begin
 * and end in STOP, running begins and ends in RUNNING_P2P.
 */
static unsigned int next_state(unsigned int from, unsigned int to)
{
	switch (from) {
	case VFIO_DEVICE_STATE_STOP:
		return to == VFIO_DEVICE_STATE_RUNNING ? VFIO_DEVICE_STATE_RUNNING_P2P : to;
	case VFIO_DEVICE_STATE_RUNNING:
		return VFIO_DEVICE_STATE_RUNNING_P2P;
	case VFIO_DEVICE_STATE_RUNNING_P2P:
		return to == VFIO_DEVICE_STATE_RUNNING ? to : VFIO_DEVICE_STATE_STOP;
	default:
		return VFIO_DEVICE_STATE_STOP;
	}
}

/* One step. A failed load leaves a model that nobody can tell the state of. */
static int step(struct pci_func *func, struct vfio_migration *m, unsigned int to)
{
	const unsigned int from = m->state;
	int rc = 0;

	if (from == VFIO_DEVICE_STATE_RUNNING) {
		func->ops->stop(func);
	} else if (to == VFIO_DEVICE_STATE_RUNNING) {
		func->ops->run(func);
	} else if (to == VFIO_DEVICE_STATE_STOP_COPY || to == VFIO_DEVICE_STATE_RESUMING) {
		rc = begin_session(func, m, to == VFIO_DEVICE_STATE_STOP_COPY);
	} else if (from == VFIO_DEVICE_STATE_RESUMING) {
		rc = load(func, m->session);
		session_end(m);
		if (rc)
			m->state = VFIO_DEVICE_STATE_ERROR;
	} else if (from == VFIO_DEVICE_STATE_STOP_COPY) {
		session_end(m);
	}
	if (!rc)
		m->state = to;
	return rc;
}

/* Context: open->irq_lock. */
static int change_state(struct vfio_open *open, unsigned int to)
{
	struct pci_func *func = open->pci->func;
	struct vfio_migration *m = open->migration;
	int rc = 0;

	if (!m) {
		m = base_zalloc(func->alloc, sizeof(*m));
		if (!m)
			return -ENOMEM;
		m->state = VFIO_DEVICE_STATE_RUNNING;
		open->migration = m;
	}
	if (m->state == to)
		return 0;
	if (to >= NSTATES || to == VFIO_DEVICE_STATE_ERROR || m->state == VFIO_DEVICE_STATE_ERROR)
		return -EINVAL;
	while (!rc && m->state != to)
		rc = step(func, m, next_state(m->state, to));
	return rc;
}

static unsigned int get_state(const struct vfio_open *open)
{
	return open->migration ? open->migration->state : VFIO_DEVICE_STATE_RUNNING;
}

/* Change the state; @out is the descriptor's file if that began a session, or NULL. */
static int set_state(struct vfio_open *open, unsigned int to, struct mem_file **out)
{
	struct session *before;
	int rc;

	*out = NULL;
	pthread_mutex_lock(&open->irq_lock);
	before = open->migration ? open->migration->session : NULL;
	rc = change_state(open, to);
	if (!rc && open->migration->session && open->migration->session != before) {
		*out = &open->migration->session->file;
		mem_file_get(*out);
	}
	pthread_mutex_unlock(&open->irq_lock);
	return rc;
}

/* Give the caller the session's descriptor, and say so. */
static long put_session(struct siommu_task *task, u64 data, struct mem_file *file,
			struct vfio_device_feature_mig_state *mig)
{
	int fd = task->ops->install_file(task, file);

	if (fd < 0) {
		mem_file_put(file);
		return fd;
	}
	mig->data_fd = fd;
	if (!task_copy_out(task, data, mig, sizeof(*mig)))
		return 0;
	task->ops->remove_file(task, fd);
	mem_file_put(file);
	return -EFAULT;
}

static long device_state(struct vfio_open *open, struct siommu_task *task,
			 const struct vfio_device_feature *head, u64 data)
{
	struct vfio_device_feature_mig_state mig;
	struct mem_file *file = NULL;
	int rc;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_GET,
				sizeof(mig));
	if (rc != 1)
		return rc;
	rc = task_copy_in(task, &mig, data, sizeof(mig));
	if (rc)
		return rc;
	if (head->flags & VFIO_DEVICE_FEATURE_GET) {
		pthread_mutex_lock(&open->irq_lock);
		mig.device_state = get_state(open);
		pthread_mutex_unlock(&open->irq_lock);
	} else {
		rc = set_state(open, mig.device_state, &file);
	}
	if (file)
		return put_session(task, data, file, &mig);
	/* Failed or not, there is no descriptor. */
	mig.data_fd = -1;
	if (task_copy_out(task, data, &mig, sizeof(mig)))
		return -EFAULT;
	return rc;
}

static long migration_flags(struct siommu_task *task, const struct vfio_device_feature *head,
			    u64 data)
{
	const struct vfio_device_feature_migration mig = {
		.flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
	};
	int rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_GET, sizeof(mig));

	return rc == 1 ? task_copy_out(task, data, &mig, sizeof(mig)) : rc;
}

static long data_size(struct vfio_open *open, struct siommu_task *task,
		      const struct vfio_device_feature *head, u64 data)
{
	struct pci_func *func = open->pci->func;
	struct vfio_device_feature_mig_data_size size;
	bool running;
	int rc;

	rc = vfio_feature_check(head, VFIO_DEVICE_FEATURE_GET, sizeof(size));
	if (rc != 1)
		return rc;
	pthread_mutex_lock(&open->irq_lock);
	running = get_state(open) == VFIO_DEVICE_STATE_RUNNING;
	if (running)
		func->ops->stop(func);
	size.stop_copy_length = sizeof(struct stream_head) + func->ops->save(func, NULL, 0);
	if (running)
		func->ops->run(func);
	pthread_mutex_unlock(&open->irq_lock);
	return task_copy_out(task, data, &size, sizeof(size));
}

long vfio_migration_feature(struct vfio_open *open, struct siommu_task *task,
			    const struct vfio_device_feature *head, u64 data)
{
	const unsigned int feature = head->flags & VFIO_DEVICE_FEATURE_MASK;

	/* Only those with PRE_COPY can be told how to do it. */
	if (feature == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2)
		return -EINVAL;
	if (!pci_can_migrate(open->pci->func))
		return -ENOTTY;
	switch (feature) {
	case VFIO_DEVICE_FEATURE_MIGRATION:
		return migration_flags(task, head, data);
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		return device_state(open, task, head, data);
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		return data_size(open, task, head, data);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		return vfio_log_start(open, task, head, data);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		return vfio_log_stop(open, head);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		return vfio_log_report(open, task, head, data);
	default:
		return -ENOTTY;
	}
}

/* Run again, whatever state it is in, and end what was begun. */
static void back_to_running(struct pci_func *func, struct vfio_migration *m)
{
	session_end(m);
	if (m->state != VFIO_DEVICE_STATE_RUNNING)
		func->ops->run(func);
	m->state = VFIO_DEVICE_STATE_RUNNING;
}

void vfio_migration_reset(struct vfio_open *open)
{
	if (open->migration)
		back_to_running(open->pci->func, open->migration);
}

void vfio_migration_release(struct vfio_open *open)
{
	struct pci_func *func = open->pci->func;

	pci_dma_log_stop(func);
	if (!open->migration)
		return;
	back_to_running(func, open->migration);
	base_free(func->alloc, open->migration, sizeof(*open->migration));
	open->migration = NULL;
}
