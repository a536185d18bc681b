// SPDX-License-Identifier: MIT
/*
 * Page lists.
 *
 * Nothing is asked of the memory until the first pin: a mapping that no page
 * table uses may name an address where nothing is, as with a kernel. A pin asks
 * three things: is the memory there (looked up in the owner's mappings, or in
 * the file's size), may this much be locked, and what are its hpas.
 *
 * Memory of a client that it shares with others (a file, or shared anonymous
 * memory) is mapped here when the system allows, and then stays whatever the
 * client does; private memory is reached through the client and is gone with it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "mem/device.h"
#include "mem/pages.h"
#include "mem/self.h"
#include "region.h"

static int pages_new(struct base_alloc *alloc, struct siommu_task *task, enum mem_pages_kind kind,
		     enum mem_account account, u64 start, u64 length, bool writable,
		     struct mem_pages **out)
{
	u64 in_page = start & (PAGE_BYTES - 1);
	struct mem_pages *pages;

	if (!length || length > U64_MAX - PAGE_BYTES)
		return -EINVAL;
	if (length > U64_MAX - PAGE_BYTES - in_page)
		return -EOVERFLOW;
	pages = base_zalloc(alloc, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	pages->refs = 1;
	pages->kind = kind;
	pages->account = account;
	pages->writable = writable;
	pages->npages = (in_page + length + PAGE_BYTES - 1) >> PAGE_LG2;
	pages->hpa = HPA_NONE;
	pages->base = start - in_page;
	pages->space = task->space;
	mem_space_get(pages->space);
	*out = pages;
	return 0;
}

int mem_pages_user(struct base_alloc *alloc, struct siommu_task *task, enum mem_account account,
		   u64 uva, u64 length, bool writable, struct mem_pages **out)
{
	u64 end;

	/* A range that ends at 2^64 exactly is refused too. */
	if (__builtin_add_overflow(uva, length, &end))
		return -EOVERFLOW;
	return pages_new(alloc, task, MEM_PAGES_USER, account, uva, length, writable, out);
}

int mem_pages_file(struct base_alloc *alloc, struct siommu_task *task, enum mem_account account,
		   int fd, u64 start, u64 length, bool writable, struct mem_pages **out)
{
	int rc;

	rc = pages_new(alloc, task, MEM_PAGES_FILE, account, start, length, writable, out);
	if (!rc)
		(*out)->fd = fd;
	return rc;
}

int mem_pages_dmabuf(struct base_alloc *alloc, struct siommu_task *task, struct mem_dmabuf *dmabuf,
		     void *owner, u64 start, u64 length, bool writable, struct mem_pages **out)
{
	struct mem_dmabuf_import *import;
	struct mem_pages *pages;
	int rc;

	if (start + length - 1 >= dmabuf->bytes)
		return -EINVAL;
	import = base_zalloc(alloc, sizeof(*import));
	if (!import)
		return -ENOMEM;
	/* Memory of ours is not charged to anybody's limit. */
	rc = pages_new(alloc, task, MEM_PAGES_DMABUF, MEM_ACCOUNT_NONE, start, length, writable,
		       &pages);
	if (rc)
		goto err_import;
	import->dmabuf = dmabuf;
	import->pages = pages;
	import->owner = owner;
	pages->import = import;
	pthread_mutex_lock(&dmabuf->lock);
	if (dmabuf->revoked)
		rc = -ENODEV;
	else
		LIST_INSERT_HEAD(&dmabuf->imports, import, link);
	pthread_mutex_unlock(&dmabuf->lock);
	if (rc)
		goto err_pages;
	mem_file_get(&dmabuf->file);
	*out = pages;
	return 0;

err_pages:
	mem_space_put(pages->space);
	base_free(alloc, pages, sizeof(*pages));
err_import:
	base_free(alloc, import, sizeof(*import));
	return rc;
}

static void dmabuf_forget(struct mem_dmabuf_import *import, struct base_alloc *alloc)
{
	struct mem_dmabuf *dmabuf = import->dmabuf;

	pthread_mutex_lock(&dmabuf->lock);
	LIST_REMOVE(import, link);
	pthread_mutex_unlock(&dmabuf->lock);
	mem_file_put(&dmabuf->file);
	base_free(alloc, import, sizeof(*import));
}

void mem_pages_put(struct mem_pages *pages, struct base_alloc *alloc)
{
	if (--pages->refs)
		return;
	if (pages->kind == MEM_PAGES_FILE)
		close(pages->fd);
	else if (pages->kind == MEM_PAGES_DMABUF)
		dmabuf_forget(pages->import, alloc);
	mem_space_put(pages->space);
	base_free(alloc, pages, sizeof(*pages));
}

/* Every byte of [uva, last] can be pinned. */
static int check_user(struct mem_pages *pages, u64 uva, u64 last)
{
	struct mem_space *space = pages->space;
	struct mem_vma vma;
	int rc;

	if (!space->ops->find_vma)
		return 0;
	for (;;) {
		rc = space->ops->find_vma(space, uva, &vma);
		if (rc)
			return rc;
		if ((pages->writable && !vma.writable) || mem_device_is(space->host, &vma))
			return -EFAULT;
		if (vma.last >= last)
			return 0;
		uva = vma.last + 1;
	}
}

/* Only memory file systems have pages that can be held; the range must exist. */
static int check_file(struct mem_pages *pages, u64 last)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(pages->fd, &fs) || fstat(pages->fd, &st))
		return -EINVAL;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC)
		return -EINVAL;
	return last >= (u64)st.st_size ? -EINVAL : 0;
}

static int check_range(struct mem_pages *pages, u64 first, u64 last)
{
	u64 start = pages->base + (first << PAGE_LG2);
	u64 end = pages->base + (last << PAGE_LG2) + PAGE_BYTES - 1;

	switch (pages->kind) {
	case MEM_PAGES_USER:
		return check_user(pages, start, end);
	case MEM_PAGES_FILE:
		return check_file(pages, end);
	default:
		return 0;
	}
}

/* Map a client's shared memory here; -errno if that cannot be done. */
static int hold_shared(struct mem_pages *pages)
{
	struct mem_space *space = pages->space;
	struct extent need, whole;
	struct mem_vma vma;
	int fd, rc;

	if (!space->ops->open_vma)
		return -EOPNOTSUPP;
	rc = space->ops->find_vma(space, pages->base, &vma);
	if (rc)
		return rc;
	need.bytes = pages->npages << PAGE_LG2;
	if (!vma.shared || !vma.ino || vma.last < pages->base + need.bytes - 1)
		return -EOPNOTSUPP;
	whole.dev = need.dev = vma.dev;
	whole.ino = need.ino = vma.ino;
	whole.offset = vma.offset;
	whole.bytes = vma.last - vma.start + 1;
	need.offset = vma.offset + (pages->base - vma.start);
	if (region_held_find(space, &need, &pages->region, &pages->hpa))
		return 0;
	fd = space->ops->open_vma(space, &vma);
	if (fd < 0)
		return fd;
	rc = region_held_add(space, fd, &whole, &need, &pages->region, &pages->hpa);
	close(fd);
	return rc;
}

/* Map the file, all of it: other mappings will want the rest. */
static int hold_file(struct mem_pages *pages)
{
	struct extent need, whole;
	struct stat st;

	if (fstat(pages->fd, &st))
		return -EINVAL;
	whole.dev = need.dev = st.st_dev;
	whole.ino = need.ino = st.st_ino;
	whole.offset = 0;
	whole.bytes = align_up((u64)st.st_size, PAGE_BYTES);
	need.offset = pages->base;
	need.bytes = pages->npages << PAGE_LG2;
	/* The list may be longer than the file as long as nobody pins that part. */
	if (need.offset >= whole.bytes)
		return -EINVAL;
	need.bytes = min_u64(need.bytes, whole.bytes - need.offset);
	if (region_held_find(pages->space, &need, &pages->region, &pages->hpa))
		return 0;
	return region_held_add(pages->space, pages->fd, &whole, &need, &pages->region,
			       &pages->hpa);
}

/* Give page 0 an hpa, and with it the whole list. */
static int acquire(struct mem_pages *pages)
{
	struct mem_space *space = pages->space;

	switch (pages->kind) {
	case MEM_PAGES_DMABUF:
		pages->hpa = (uintptr_t)pages->import->dmabuf->memory + pages->base;
		return 0;
	case MEM_PAGES_FILE:
		return hold_file(pages);
	default:
		break;
	}
	if (space->direct) {
		pages->hpa = pages->base;
		return 0;
	}
	if (!hold_shared(pages))
		return 0;
	return region_window_get(space, pages->base,
				 pages->base + (pages->npages << PAGE_LG2) - 1, &pages->region,
				 &pages->hpa);
}

static void let_go(struct mem_pages *pages)
{
	region_put(pages->space->host, pages->region);
	pages->region = NULL;
	pages->hpa = HPA_NONE;
}

/* How many pages of [first, last] no pin covers. */
static u64 count_unpinned(struct mem_pages *pages, u64 first, u64 last)
{
	struct itree_span span;
	u64 n = 0;

	if (itree_empty(&pages->pins))
		return last - first + 1;
	itree_span_begin(&span, &pages->pins, first, last);
	do {
		if (!span.used)
			n += span.last - span.start + 1;
	} while (itree_span_next(&span));
	return n;
}

/* A file that has grown since it was mapped here is not mapped to its end. */
static bool is_here(const struct mem_pages *pages, u64 last)
{
	const struct mem_region *r = pages->region;

	return !r || mem_pages_hpa(pages, (last << PAGE_LG2) + PAGE_BYTES - 1) <= r->node.last;
}

int mem_pages_pin(struct mem_pages *pages, struct mem_pin *pin, u64 first, u64 last)
{
	struct mem_host *host = pages->space->host;
	u64 fresh = count_unpinned(pages, first, last);
	bool was_pinned = pages->npinned;
	int rc;

	if (fresh) {
		rc = check_range(pages, first, last);
		if (rc)
			return rc;
	}
	if (!was_pinned) {
		rc = acquire(pages);
		if (rc)
			return rc;
	}
	if (!is_here(pages, last)) {
		rc = -EINVAL;
		goto err_let_go;
	}
	if (fresh) {
		rc = mem_charge(pages->space, pages->account, fresh);
		if (rc)
			goto err_let_go;
	}
	pin->node.start = first;
	pin->node.last = last;
	pthread_mutex_lock(&host->lock);
	itree_insert(&pages->pins, &pin->node);
	pages->npinned += fresh;
	if (!was_pinned)
		LIST_INSERT_HEAD(&host->pinned, pages, link);
	pthread_mutex_unlock(&host->lock);
	return 0;

err_let_go:
	if (!was_pinned)
		let_go(pages);
	return rc;
}

void mem_pages_unpin(struct mem_pages *pages, struct mem_pin *pin)
{
	struct mem_host *host = pages->space->host;
	u64 gone;

	pthread_mutex_lock(&host->lock);
	itree_remove(&pages->pins, &pin->node);
	gone = count_unpinned(pages, pin->node.start, pin->node.last);
	pages->npinned -= gone;
	if (!pages->npinned)
		LIST_REMOVE(pages, link);
	pthread_mutex_unlock(&host->lock);
	if (gone)
		mem_uncharge(pages->space, pages->account, gone);
	if (!pages->npinned)
		let_go(pages);
}

/* Copy by the processor, with the list's pages held or its owner alive. */
static int rw_bytes(struct mem_pages *pages, u64 byte, void *buf, size_t n, bool write)
{
	struct mem_space *space = pages->space;
	void *here;

	if (!pages->region || pages->region->space) {
		if (write)
			return space->ops->write(space, pages->base + byte, buf, n);
		return space->ops->read(space, pages->base + byte, buf, n);
	}
	/* The file may have been cut short meanwhile: copy as if hostile. */
	here = (void *)(uintptr_t)mem_pages_hpa(pages, byte);
	return write ? self_copy(here, buf, n) : self_copy(buf, here, n);
}

static int pages_rw(struct mem_pages *pages, u64 byte, void *buf, size_t n, bool write)
{
	struct mem_pin pin;
	int rc;

	if (pages->kind == MEM_PAGES_DMABUF)
		return -EINVAL;
	if (write && !pages->writable)
		return -EPERM;
	if (pages->kind == MEM_PAGES_USER)
		return rw_bytes(pages, byte, buf, n, write);
	rc = mem_pages_pin(pages, &pin, byte >> PAGE_LG2, (byte + n - 1) >> PAGE_LG2);
	if (rc)
		return rc;
	rc = rw_bytes(pages, byte, buf, n, write);
	mem_pages_unpin(pages, &pin);
	return rc;
}

int mem_pages_read(struct mem_pages *pages, u64 byte, void *buf, size_t n)
{
	return pages_rw(pages, byte, buf, n, false);
}

int mem_pages_write(struct mem_pages *pages, u64 byte, const void *buf, size_t n)
{
	return pages_rw(pages, byte, (void *)buf, n, true);
}

void mem_pages_move(struct mem_pages *pages, struct mem_space *space)
{
	struct mem_space *old = pages->space;

	mem_uncharge(old, pages->account, pages->npinned);
	mem_space_get(space);
	/* Others look at whose pages these are, by way of host->pinned. */
	pthread_mutex_lock(&space->host->lock);
	pages->space = space;
	pthread_mutex_unlock(&space->host->lock);
	mem_space_put(old);
}

/* What a page is, whoever shows it: an address in a space, or a byte in a file. */
struct identity {
	struct mem_space *space;
	u64 uva;
	u64 dev;
	u64 ino;
	u64 offset;
	u64 page_bytes;
};

/* Return: 0, or -EFAULT if nothing is there. */
static int identify(struct mem_space *space, u64 uva, struct identity *id)
{
	struct mem_vma vma;
	int rc;

	*id = (struct identity){ .space = space, .uva = uva, .page_bytes = PAGE_BYTES };
	if (!space->ops->find_vma)
		return 0;
	rc = space->ops->find_vma(space, uva, &vma);
	if (rc)
		return rc;
	id->page_bytes = vma.page_bytes;
	if (vma.shared && vma.ino) {
		id->dev = vma.dev;
		id->ino = vma.ino;
		id->offset = vma.offset + (uva - vma.start);
	}
	return 0;
}

static bool same_page(const struct identity *a, const struct identity *b)
{
	if (a->ino && b->ino)
		return a->dev == b->dev && a->ino == b->ino && a->offset == b->offset;
	return a->space == b->space && a->uva == b->uva;
}

/*
 * What a region shows at @hpa. A window says whose memory it is and where, not
 * which file is behind it: that client would have to be asked, and may take
 * forever to answer. Context: host->lock.
 */
static void identify_in(const struct mem_region *r, hpa_t hpa, struct identity *id)
{
	u64 byte = hpa - r->node.start;

	if (r->space)
		*id = (struct identity){ .space = r->space, .uva = r->uva + byte };
	else
		*id = (struct identity){
			.dev = r->dev,
			.ino = r->ino,
			.offset = r->offset + byte,
		};
}

bool mem_hpa_is(struct mem_host *host, hpa_t hpa, struct mem_space *space, u64 uva)
{
	struct identity want, have;
	struct mem_region *r;

	if (identify(space, uva, &want))
		return false;
	pthread_mutex_lock(&host->lock);
	r = region_find(host, hpa);
	if (r)
		identify_in(r, hpa, &have);
	pthread_mutex_unlock(&host->lock);
	if (!r && (!space->direct || identify(space, hpa, &have)))
		return false;
	return same_page(&want, &have);
}

/* Does @pages hold the page @want? Context: host->lock. */
static bool holds(struct mem_pages *pages, const struct identity *want)
{
	struct itree_node *n;
	struct identity have;
	u64 index, delta;

	/* By address first, which needs no look at the owner's mappings. */
	if (pages->kind == MEM_PAGES_USER && pages->space == want->space) {
		index = (want->uva - pages->base) >> PAGE_LG2;
		if (want->uva >= pages->base && index < pages->npages)
			return itree_first(&pages->pins, index, index);
	}
	if (!want->ino || pages->kind == MEM_PAGES_DMABUF)
		return false;
	n = itree_first(&pages->pins, 0, U64_MAX);
	if (pages->region)
		identify_in(pages->region, mem_pages_hpa(pages, n->start << PAGE_LG2), &have);
	else if (identify(pages->space, pages->base + (n->start << PAGE_LG2), &have))
		return false;
	if (have.dev != want->dev || have.ino != want->ino)
		return false;
	/* The list is linear in the file, so one of its pages places all of them. */
	delta = want->offset - (have.offset - (n->start << PAGE_LG2));
	index = delta >> PAGE_LG2;
	return index < pages->npages && itree_first(&pages->pins, index, index);
}

int mem_page_pins(struct mem_host *host, struct mem_space *space, u64 uva)
{
	struct mem_pages *pages;
	struct identity want;
	int rc, n = 0;

	rc = identify(space, align_down(uva, PAGE_BYTES), &want);
	if (rc)
		return rc;
	if (want.page_bytes != PAGE_BYTES)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&host->lock);
	LIST_FOREACH(pages, &host->pinned, link)
		n += holds(pages, &want);
	pthread_mutex_unlock(&host->lock);
	return n;
}
