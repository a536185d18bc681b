// SPDX-License-Identifier: MIT
/*
 * A context as a file: what a program gets from open("/dev/iommu"). Who binds a device
 * to a context names it by its descriptor.
 */
#include <sys/mman.h>

#include "abi/file.h"
#include "abi/ioctl.h"
#include "core/ctx.h"
#include "core/door.h"

struct context_file {
	struct mem_file file;
	struct core_ctx *ctx;
};

static const struct mem_file_ops context_ops;

static long context_ioctl(struct mem_file *file, struct siommu_task *task, unsigned int request,
			  u64 arg)
{
	return abi_ioctl(container_of(file, struct context_file, file)->ctx, task, request, arg);
}

static int context_mmap(struct mem_file *file, u64 length, u64 offset, int prot,
			struct mem_mapping *out)
{
	int fd;

	if (prot & PROT_EXEC)
		return -EPERM;
	fd = core_ctx_mmap_fd(container_of(file, struct context_file, file)->ctx, length, offset);
	if (fd < 0)
		return fd;
	*out = (struct mem_mapping){ .fd = fd };
	return 0;
}

static void context_release(struct mem_file *file)
{
	struct context_file *f = container_of(file, struct context_file, file);
	struct core_ctx *ctx = f->ctx;

	mem_file_destroy(&f->file);
	base_free(&ctx->machine->alloc, f, sizeof(*f));
	core_ctx_close(ctx);
}

static const struct mem_file_ops context_ops = {
	.name = "/dev/iommu",
	.polls_out = true,
	.polls_always = true,
	.ioctl = context_ioctl,
	.mmap = context_mmap,
	.release = context_release,
};

/* The file takes over the caller's reference on @ctx. */
static int wrap(struct core_ctx *ctx, struct mem_file **out)
{
	struct context_file *f;

	f = base_zalloc(&ctx->machine->alloc, sizeof(*f));
	if (!f)
		return -ENOMEM;
	mem_file_init(&f->file, &context_ops);
	f->file.major = ABI_MISC_MAJOR;
	f->file.minor = ABI_IOMMU_MINOR;
	f->ctx = ctx;
	*out = &f->file;
	return 0;
}

int abi_context_open(struct siommu_machine *machine, struct mem_file **out)
{
	struct core_ctx *ctx;
	int rc;

	rc = core_ctx_open(machine, &ctx);
	if (rc)
		return rc;
	rc = wrap(ctx, out);
	if (rc)
		core_ctx_close(ctx);
	return rc;
}

int abi_context_file(struct core_ctx *ctx, struct mem_file **out)
{
	int rc;

	core_ctx_get(ctx);
	rc = wrap(ctx, out);
	if (rc)
		core_ctx_put(ctx);
	return rc;
}

struct core_ctx *abi_context_of(struct mem_file *file)
{
	return file->ops == &context_ops ? container_of(file, struct context_file, file)->ctx
					 : NULL;
}
