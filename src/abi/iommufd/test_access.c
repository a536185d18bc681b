// SPDX-License-Identifier: MIT
/*
 * The test interface's accesses and dma-bufs: things that live in descriptors
 * of their own.
 *
 * Locking: an access's lock is taken before the context's, as any driver would
 * that has to find its pins in the unmap call-back.
 */
#include "core/access.h"
#include "core/device.h"
#include "core/ioas.h"
#include "core/machine.h"
#include "mem/pages.h"
#include "test.h"

#define MAX_ACCESS_BYTES ((u64)16 << 20)

/* One ACCESS_PAGES that has not been undone. */
struct item {
	LIST_ENTRY(item) link;
	u32 id;
	u64 iova;
	u64 length;
};

struct test_access {
	struct mem_file file;
	struct core_ctx *ctx;
	struct core_access *access;
	pthread_mutex_t lock;
	LIST_HEAD(, item) items;
	u32 next_id;
};

static void unpin_item(struct test_access *ta, struct item *item)
{
	LIST_REMOVE(item, link);
	pthread_mutex_lock(&ta->ctx->lock);
	core_access_unpin(ta->access, item->iova, item->length);
	pthread_mutex_unlock(&ta->ctx->lock);
	base_free(&ta->ctx->alloc, item, sizeof(*item));
}

static void unmap(void *arg, uint64_t iova, uint64_t length)
{
	struct test_access *ta = arg;
	struct item *item, *next;

	pthread_mutex_lock(&ta->lock);
	LIST_FOREACH_SAFE(item, &ta->items, link, next)
		if (iova <= item->iova + item->length - 1 && iova + length - 1 >= item->iova)
			unpin_item(ta, item);
	pthread_mutex_unlock(&ta->lock);
}

static const struct siommu_access_ops copy_ops = { .unmap = unmap };
static const struct siommu_access_ops pin_ops = { .needs_pin = true, .unmap = unmap };

static void access_release(struct mem_file *file)
{
	struct test_access *ta = container_of(file, struct test_access, file);
	struct core_ctx *ctx = ta->ctx;

	if (ta->access) {
		/* The call-back empties the list on the way. */
		pthread_mutex_lock(&ctx->lock);
		core_access_destroy(ta->access);
		pthread_mutex_unlock(&ctx->lock);
	}
	mem_file_destroy(&ta->file);
	pthread_mutex_destroy(&ta->lock);
	base_free(&ctx->alloc, ta, sizeof(*ta));
	core_ctx_put(ctx);
}

static const struct mem_file_ops access_file_ops = {
	.name = "iommufd_test_staccess",
	.release = access_release,
};

/* Any other descriptor, or none, is EBADFD. */
static struct test_access *access_get(struct siommu_task *task, u32 fd)
{
	struct mem_file *file;

	if (task->ops->get_file(task, (int)fd, &file))
		return NULL;
	if (file->ops != &access_file_ops) {
		mem_file_put(file);
		return NULL;
	}
	return container_of(file, struct test_access, file);
}

static int attach(struct test_access *ta, u32 ioas_id, bool pin)
{
	struct core_ctx *ctx = ta->ctx;
	struct core_ioas *ioas;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_access_create(ctx, pin ? &pin_ops : &copy_ops, ta, &ta->access);
	if (!rc) {
		/* The file's reference stands for both. */
		core_ctx_put(ctx);
		ioas = core_ioas_find(ctx, ioas_id);
		rc = ioas ? core_access_attach(ta->access, ioas) : -ENOENT;
	}
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

int test_create_access(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	u32 flags = cmd->create_access.flags;
	struct test_access *ta;
	int rc, fd;

	if (flags & ~(u32)MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;
	ta = base_zalloc(&call->ctx->alloc, sizeof(*ta));
	if (!ta)
		return -ENOMEM;
	mem_file_init(&ta->file, &access_file_ops);
	pthread_mutex_init(&ta->lock, NULL);
	LIST_INIT(&ta->items);
	ta->ctx = call->ctx;
	core_ctx_get(ta->ctx);
	rc = attach(ta, cmd->id, flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	if (rc)
		goto err_put;
	fd = call->task->ops->install_file(call->task, &ta->file);
	if (fd < 0) {
		rc = fd;
		goto err_put;
	}
	cmd->create_access.out_access_fd = (u32)fd;
	rc = abi_respond(call, sizeof(*cmd));
	if (rc) {
		call->task->ops->remove_file(call->task, fd);
		goto err_put;
	}
	return 0;

err_put:
	mem_file_put(&ta->file);
	return rc;
}

int test_destroy_access_pages(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct test_access *ta = access_get(call->task, cmd->id);
	struct item *item;

	if (!ta)
		return -EBADFD;
	pthread_mutex_lock(&ta->lock);
	LIST_FOREACH(item, &ta->items, link)
		if (item->id == cmd->destroy_access_pages.access_pages_id)
			break;
	if (item)
		unpin_item(ta, item);
	pthread_mutex_unlock(&ta->lock);
	mem_file_put(&ta->file);
	return item ? 0 : -ENOENT;
}

/* The pages that were pinned are the ones that @uva shows. */
static int check_pages(struct abi_call *call, const u64 *hpas, u64 npages, u64 uva)
{
	struct mem_host *host = machine_host(call->ctx->machine);
	u64 i;

	for (i = 0; i < npages; i++)
		if (!mem_hpa_is(host, hpas[i], call->task->space, uva + (i << PAGE_LG2)))
			return -EBADE;
	return 0;
}

/* Context: ta->lock. */
static int pin_item(struct abi_call *call, struct iommu_test_cmd *cmd, struct test_access *ta,
		    u64 *hpas, u64 npages)
{
	u64 iova = cmd->access_pages.iova, length = cmd->access_pages.length;
	struct core_ctx *ctx = ta->ctx;
	struct item *item;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_access_pin(ta->access, iova, length,
			     cmd->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE, hpas);
	pthread_mutex_unlock(&ctx->lock);
	if (rc)
		return rc;
	if (cmd->access_pages.uptr)
		rc = check_pages(call, hpas, npages,
				 cmd->access_pages.uptr - (iova & (PAGE_BYTES - 1)));
	item = rc ? NULL : base_zalloc(&ctx->alloc, sizeof(*item));
	if (!item) {
		pthread_mutex_lock(&ctx->lock);
		core_access_unpin(ta->access, iova, length);
		pthread_mutex_unlock(&ctx->lock);
		return rc ? rc : -ENOMEM;
	}
	item->iova = iova;
	item->length = length;
	item->id = ta->next_id++;
	LIST_INSERT_HEAD(&ta->items, item, link);
	cmd->access_pages.out_access_pages_id = item->id;
	rc = abi_respond(call, sizeof(*cmd));
	if (rc)
		unpin_item(ta, item);
	return rc;
}

static u64 convert_iova(struct test_access *ta, u64 iova)
{
	u64 result = 0;

	pthread_mutex_lock(&ta->ctx->lock);
	if (ta->access->ioas)
		result = abi_test_convert_iova(ta->ctx, ta->access->ioas->obj.id, iova);
	pthread_mutex_unlock(&ta->ctx->lock);
	return result;
}

int test_access_pages(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	u64 length = cmd->access_pages.length, npages;
	u32 flags = cmd->access_pages.flags;
	struct test_access *ta;
	u64 *hpas = NULL;
	int rc;

	if (length > MAX_ACCESS_BYTES)
		return -ENOMEM;
	if (flags & ~(u32)(MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;
	ta = access_get(call->task, cmd->id);
	if (!ta)
		return -EBADFD;
	if (ta->access->ops != &pin_ops) {
		rc = -EOPNOTSUPP;
		goto out_put;
	}
	if (flags & MOCK_FLAGS_ACCESS_SYZ)
		cmd->access_pages.iova = convert_iova(ta, cmd->access_pages.iova);
	/* One more than needed where the range is not aligned. */
	npages = (length >> PAGE_LG2) + 2;
	hpas = base_zalloc_array(&call->ctx->alloc, npages, sizeof(*hpas));
	if (!hpas) {
		rc = -ENOMEM;
		goto out_put;
	}
	pthread_mutex_lock(&ta->lock);
	rc = pin_item(call, cmd, ta, hpas,
		      ((cmd->access_pages.iova & (PAGE_BYTES - 1)) + length + PAGE_BYTES - 1) >>
			      PAGE_LG2);
	pthread_mutex_unlock(&ta->lock);
	base_free(&call->ctx->alloc, hpas, npages * sizeof(*hpas));
out_put:
	mem_file_put(&ta->file);
	return rc;
}

int test_access_rw(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	const u32 known = MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH | MOCK_FLAGS_ACCESS_SYZ;
	bool write = cmd->access_rw.flags & MOCK_ACCESS_RW_WRITE;
	u64 length = cmd->access_rw.length;
	struct test_access *ta;
	void *buf;
	int rc = 0;

	if (length > MAX_ACCESS_BYTES)
		return -ENOMEM;
	if (cmd->access_rw.flags & ~known)
		return -EOPNOTSUPP;
	ta = access_get(call->task, cmd->id);
	if (!ta)
		return -EBADFD;
	buf = base_zalloc(&call->ctx->alloc, length);
	if (!buf) {
		mem_file_put(&ta->file);
		return -ENOMEM;
	}
	if (write)
		rc = task_copy_in(call->task, buf, cmd->access_rw.uptr, length);
	if (!rc) {
		if (cmd->access_rw.flags & MOCK_FLAGS_ACCESS_SYZ)
			cmd->access_rw.iova = convert_iova(ta, cmd->access_rw.iova);
		pthread_mutex_lock(&ta->ctx->lock);
		rc = core_access_rw(ta->access, cmd->access_rw.iova, buf, length, write);
		pthread_mutex_unlock(&ta->ctx->lock);
	}
	if (!rc && !write)
		rc = task_copy_out(call->task, cmd->access_rw.uptr, buf, length);
	base_free(&call->ctx->alloc, buf, length);
	mem_file_put(&ta->file);
	return rc;
}

int test_access_replace_ioas(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct test_access *ta = access_get(call->task, cmd->id);
	int rc;

	if (!ta)
		return -EBADFD;
	pthread_mutex_lock(&ta->ctx->lock);
	rc = core_access_replace(ta->access, cmd->access_replace_ioas.ioas_id);
	pthread_mutex_unlock(&ta->ctx->lock);
	mem_file_put(&ta->file);
	return rc;
}

int test_dmabuf_get(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	u64 bytes = align_up(cmd->dmabuf_get.length, PAGE_BYTES);
	struct mem_dmabuf *dmabuf;
	int rc, fd;

	if (!bytes || bytes > 512 * PAGE_BYTES)
		return -EINVAL;
	rc = mem_dmabuf_create(machine_host(call->ctx->machine), bytes, &dmabuf);
	if (rc)
		return rc;
	fd = call->task->ops->install_file(call->task, &dmabuf->file);
	if (fd < 0)
		mem_file_put(&dmabuf->file);
	return fd;
}

int test_dmabuf_revoke(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct mem_dmabuf *dmabuf;
	struct mem_file *file;
	int rc;

	rc = call->task->ops->get_file(call->task, cmd->dmabuf_revoke.dmabuf_fd, &file);
	if (rc)
		return rc == -EBADFD ? -EINVAL : rc;
	dmabuf = mem_dmabuf_from_file(file);
	if (dmabuf)
		core_dmabuf_revoke(dmabuf, cmd->dmabuf_revoke.revoked);
	mem_file_put(file);
	return dmabuf ? 0 : -EINVAL;
}
