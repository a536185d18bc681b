// SPDX-License-Identifier: MIT
/*
 * IOMMU_TEST_CMD: mock devices, and looks behind the page tables.
 *
 * The checks read what is really there: CHECK_MAP walks the domain's tables and
 * asks whose memory each address is, CHECK_REFS counts the page lists that hold
 * a page.
 */
#include <stdio.h>

#include "core/device.h"
#include "core/hwpt.h"
#include "core/ioas.h"
#include "core/machine.h"
#include "iommu/mock.h"
#include "test.h"

/* Bits of a DIRTY request, at most. */
#define MAX_DIRTY_BITS ((u64)16 << 20 << 3)

/* A mock device and what it takes to have one, as one object. */
struct selftest {
	struct core_object obj;
	struct core_ctx *ctx;
	struct siommu_group *group;
	struct iommu_device *hw;
	struct core_device *dev;
};

static void selftest_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct selftest *st = container_of(obj, struct selftest, obj);

	if (st->dev)
		core_device_unbind(st->dev);
	if (st->hw) {
		iommu_device_leave(st->hw);
		st->hw->unit->ops->device_destroy(st->hw);
	}
	if (st->group)
		machine_group_put(ctx->machine, st->group);
	core_object_free(ctx, obj);
}

static const struct core_object_ops selftest_ops = {
	.type = CORE_SELFTEST,
	.size = sizeof(struct selftest),
	.name = "test device",
	.destroy = selftest_destroy,
};

static struct selftest *selftest_find(struct core_ctx *ctx, u32 id)
{
	return core_find(ctx, id, CORE_SELFTEST, struct selftest, obj);
}

static int make_device(struct core_ctx *ctx, struct selftest *st, u32 flags)
{
	unsigned int pasid_bits = flags & MOCK_FLAGS_DEVICE_PASID ? MOCK_PASID_WIDTH : 0;
	char name[32];
	int rc;

	if (flags & ~(u32)(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID))
		return -EINVAL;
	rc = machine_group_get(ctx->machine, 0, &st->group);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "mock%u", st->group->group.id & INT32_MAX);
	rc = mock_device_create(ctx->machine->mock, &st->group->group, name, pasid_bits,
				flags & MOCK_FLAGS_DEVICE_NO_DIRTY, &st->hw);
	if (rc) {
		st->hw = NULL;
		return rc;
	}
	rc = iommu_device_join(st->hw);
	if (rc) {
		st->hw->unit->ops->device_destroy(st->hw);
		st->hw = NULL;
		return rc;
	}
	return core_device_bind(ctx, st->hw, true, &st->dev);
}

static int mock_domain(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	u32 flags = cmd->op == IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS ? cmd->mock_domain_flags.dev_flags
							       : 0;
	struct core_ctx *ctx = call->ctx;
	struct selftest *st;
	u32 pt_id = cmd->id;
	struct core_object *obj;
	int rc;

	rc = core_object_new(ctx, &selftest_ops, &obj);
	if (rc)
		return rc;
	st = container_of(obj, struct selftest, obj);
	rc = make_device(ctx, st, flags);
	if (!rc)
		rc = core_device_attach(st->dev, IOMMU_NO_PASID, &pt_id);
	if (!rc) {
		cmd->mock_domain.out_hwpt_id = pt_id;
		cmd->mock_domain.out_stdev_id = st->obj.id;
		cmd->mock_domain.out_idev_id = st->dev->obj.id;
		rc = abi_respond(call, sizeof(*cmd));
	}
	if (rc)
		core_object_undo(ctx, &st->obj);
	else
		core_object_publish(ctx, &st->obj);
	return rc;
}

static int mock_domain_replace(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct selftest *st = selftest_find(call->ctx, cmd->id);
	int rc;

	if (!st)
		return -ENOENT;
	rc = core_device_replace(st->dev, IOMMU_NO_PASID, &cmd->mock_domain_replace.pt_id);
	return rc ? rc : abi_respond(call, sizeof(*cmd));
}

static int add_reserved(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct core_ioas *ioas;
	u64 last;
	int rc;

	rc = range_last(cmd->add_reserved.start, cmd->add_reserved.length, &last);
	if (rc)
		return rc;
	ioas = core_ioas_find(call->ctx, cmd->id);
	if (!ioas)
		return -ENOENT;
	return core_ioas_reserve(call->ctx, ioas, cmd->add_reserved.start, last, NULL);
}

/* The mock's domain of a paging HWPT, or NULL and the error. */
static struct iommu_domain *paging_domain(struct abi_call *call, u32 id, int *rc)
{
	struct core_hwpt_paging *hwpt = core_hwpt_paging_find(call->ctx, id);

	*rc = hwpt ? -EINVAL : -ENOENT;
	return hwpt && mock_owns(hwpt->common.domain) ? hwpt->common.domain : NULL;
}

static int check_map(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct mem_host *host = machine_host(call->ctx->machine);
	u64 iova = cmd->check_map.iova, uva = cmd->check_map.uptr;
	u64 length = cmd->check_map.length, done, end, page;
	struct iommu_domain *domain;
	hpa_t hpa;
	int rc;

	domain = paging_domain(call, cmd->id, &rc);
	if (!domain)
		return rc;
	page = mock_page_bytes(domain);
	if (!is_aligned(iova | length | uva, page) || __builtin_add_overflow(uva, length, &end))
		return -EINVAL;
	for (done = 0; done < length; done += page) {
		hpa = domain->ops->iova_to_hpa(domain, iova + done);
		if (hpa == HPA_NONE || !mem_hpa_is(host, hpa, call->task->space, uva + done))
			return -EINVAL;
	}
	return 0;
}

static int check_refs(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct mem_host *host = machine_host(call->ctx->machine);
	u64 uva = cmd->check_refs.uptr, length = cmd->check_refs.length, done, end;
	int n;

	if (!is_aligned(uva | length, PAGE_BYTES) || __builtin_add_overflow(uva, length, &end))
		return -EINVAL;
	for (done = 0; done < length; done += PAGE_BYTES) {
		n = mem_page_pins(host, call->task->space, uva + done);
		if (n == -EOPNOTSUPP)
			continue;
		if (n < 0)
			return n;
		if ((u32)n != cmd->check_refs.refs)
			return -EIO;
	}
	return 0;
}

static int check_iotlb(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct core_hwpt *hwpt = core_find(call->ctx, cmd->id, CORE_HWPT_NESTED, struct core_hwpt,
					   obj);
	u32 value;
	int rc;

	if (!hwpt)
		return -ENOENT;
	rc = mock_iotlb(hwpt->domain, cmd->check_iotlb.id, &value);
	if (!rc && value != cmd->check_iotlb.iotlb)
		rc = -EINVAL;
	return rc;
}

static int check_dev_cache(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct core_device *dev = core_device_find(call->ctx, cmd->id);
	u32 value;
	int rc;

	if (!dev)
		return -ENOENT;
	rc = mock_dev_cache(dev->dev, cmd->check_dev_cache.id, &value);
	if (!rc && value != cmd->check_dev_cache.cache)
		rc = -EINVAL;
	return rc;
}

/* Write, as a device would, to the pages whose bits are set. Return: how many. */
static u64 set_dirty(struct iommu_domain *domain, const struct iommu_test_cmd *cmd, const u8 *bits,
		     u64 nbits)
{
	u64 i, count = 0;

	for (i = 0; i < nbits; i++) {
		if (!(bits[i / 8] & (1 << (i % 8))))
			continue;
		mock_set_dirty(domain, cmd->dirty.iova + i * cmd->dirty.page_size);
		count++;
	}
	return count;
}

static int dirty(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	u64 page = cmd->dirty.page_size, length = cmd->dirty.length, nbits;
	struct iommu_domain *domain;
	u8 *bits;
	int rc;

	if (!page || !length || cmd->dirty.iova % page || length % page || !cmd->dirty.uptr)
		return -EINVAL;
	nbits = length / page;
	if (nbits > MAX_DIRTY_BITS)
		return -EOVERFLOW;
	domain = paging_domain(call, cmd->id, &rc);
	if (!domain)
		return rc;
	rc = mock_check_tracking(domain);
	if (rc)
		return rc;
	bits = base_zalloc(&call->ctx->alloc, (nbits + 7) / 8);
	if (!bits)
		return -ENOMEM;
	rc = task_copy_in(call->task, bits, cmd->dirty.uptr, (nbits + 7) / 8);
	if (!rc)
		cmd->dirty.out_nr_dirty = set_dirty(domain, cmd, bits, nbits);
	base_free(&call->ctx->alloc, bits, (nbits + 7) / 8);
	return rc ? rc : abi_respond(call, sizeof(*cmd));
}

static int trigger_iopf(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct core_device *dev = core_device_find(call->ctx, cmd->trigger_iopf.dev_id);
	struct iommu_pgfault fault = {
		.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE,
		.pasid = cmd->trigger_iopf.pasid,
		.grpid = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm,
		.addr = cmd->trigger_iopf.addr,
	};

	if (!dev)
		return -ENOENT;
	if (fault.pasid != IOMMU_NO_PASID)
		fault.flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	/* A fault that nobody takes has been answered; the trigger worked. */
	(void)iommu_report_fault(dev->dev, &fault);
	return 0;
}

static int trigger_vevent(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct core_device *dev = core_device_find(call->ctx, cmd->trigger_vevent.dev_id);

	return dev ? mock_trigger_event(dev->dev) : -ENOENT;
}

static int pasid_attach(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct selftest *st = selftest_find(call->ctx, cmd->id);
	int rc;

	if (!st)
		return -ENOENT;
	rc = core_device_attach(st->dev, cmd->pasid_attach.pasid, &cmd->pasid_attach.pt_id);
	if (rc)
		return rc;
	rc = abi_respond(call, sizeof(*cmd));
	if (rc)
		core_device_detach(st->dev, cmd->pasid_attach.pasid);
	return rc;
}

static int pasid_replace(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct selftest *st = selftest_find(call->ctx, cmd->id);
	int rc;

	if (!st)
		return -ENOENT;
	rc = core_device_replace(st->dev, cmd->pasid_replace.pasid, &cmd->pasid_replace.pt_id);
	return rc ? rc : abi_respond(call, sizeof(*cmd));
}

static int pasid_detach(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct selftest *st = selftest_find(call->ctx, cmd->id);

	if (!st)
		return -ENOENT;
	core_device_detach(st->dev, cmd->pasid_detach.pasid);
	return 0;
}

static int pasid_check(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	struct selftest *st = selftest_find(call->ctx, cmd->id);
	struct iommu_attach_handle *handle;
	struct core_object *obj;
	struct core_hwpt *hwpt;

	if (!st)
		return -ENOENT;
	handle = iommu_handle_find(st->hw->group, cmd->pasid_check.pasid);
	if (!cmd->pasid_check.hwpt_id)
		return handle ? -EINVAL : 0;
	obj = core_object_find(call->ctx, cmd->pasid_check.hwpt_id, CORE_ANY);
	if (!obj)
		return -ENOENT;
	hwpt = core_hwpt_find(call->ctx, cmd->pasid_check.hwpt_id);
	return hwpt && handle && handle->domain == hwpt->domain ? 0 : -EINVAL;
}

/* A limit on temporary memory is accepted: there is none here to be limited. */
static int memory_limit(struct abi_call *call, struct iommu_test_cmd *cmd)
{
	(void)call;
	return cmd->memory_limit.limit < sizeof(u64) + sizeof(u32) ? -EINVAL : 0;
}

u64 abi_test_convert_iova(struct core_ctx *ctx, u32 ioas_id, u64 iova)
{
	struct core_ioas *ioas = core_ioas_find(ctx, ioas_id);
	u32 nth = (u32)iova, offset = (u32)(iova >> 32);
	struct core_area *area;

	if (!ioas)
		return 0;
	for (area = area_first(ioas, 0, U64_MAX); area; area = area_next(area, 0, U64_MAX))
		if (!nth--)
			return area_iova(area) + offset;
	return 0;
}

struct operation {
	int (*execute)(struct abi_call *call, struct iommu_test_cmd *cmd);
	bool locks_itself;
};

static const struct operation operations[] = {
	[IOMMU_TEST_OP_ADD_RESERVED] = { add_reserved, false },
	[IOMMU_TEST_OP_MOCK_DOMAIN] = { mock_domain, false },
	[IOMMU_TEST_OP_MD_CHECK_MAP] = { check_map, false },
	[IOMMU_TEST_OP_MD_CHECK_REFS] = { check_refs, false },
	[IOMMU_TEST_OP_CREATE_ACCESS] = { test_create_access, true },
	[IOMMU_TEST_OP_DESTROY_ACCESS_PAGES] = { test_destroy_access_pages, true },
	[IOMMU_TEST_OP_ACCESS_PAGES] = { test_access_pages, true },
	[IOMMU_TEST_OP_ACCESS_RW] = { test_access_rw, true },
	[IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT] = { memory_limit, false },
	[IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE] = { mock_domain_replace, false },
	[IOMMU_TEST_OP_ACCESS_REPLACE_IOAS] = { test_access_replace_ioas, true },
	[IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS] = { mock_domain, false },
	[IOMMU_TEST_OP_DIRTY] = { dirty, false },
	[IOMMU_TEST_OP_MD_CHECK_IOTLB] = { check_iotlb, false },
	[IOMMU_TEST_OP_TRIGGER_IOPF] = { trigger_iopf, false },
	[IOMMU_TEST_OP_DEV_CHECK_CACHE] = { check_dev_cache, false },
	[IOMMU_TEST_OP_TRIGGER_VEVENT] = { trigger_vevent, false },
	[IOMMU_TEST_OP_PASID_ATTACH] = { pasid_attach, false },
	[IOMMU_TEST_OP_PASID_REPLACE] = { pasid_replace, false },
	[IOMMU_TEST_OP_PASID_DETACH] = { pasid_detach, false },
	[IOMMU_TEST_OP_PASID_CHECK_HWPT] = { pasid_check, false },
	[IOMMU_TEST_OP_DMABUF_GET] = { test_dmabuf_get, true },
	[IOMMU_TEST_OP_DMABUF_REVOKE] = { test_dmabuf_revoke, true },
};

int abi_test(struct abi_call *call)
{
	struct iommu_test_cmd *cmd = call->cmd;
	const struct operation *op;
	int rc;

	if (cmd->op >= ARRAY_SIZE(operations) || !operations[cmd->op].execute)
		return -EOPNOTSUPP;
	op = &operations[cmd->op];
	if (op->locks_itself)
		return op->execute(call, cmd);
	pthread_mutex_lock(&call->ctx->lock);
	rc = op->execute(call, cmd);
	pthread_mutex_unlock(&call->ctx->lock);
	return rc;
}
