/* SPDX-License-Identifier: MIT */
/*
 * The requests of /dev/iommu as functions, for tests that are not about their
 * structures. All return what siommu_ioctl() does; outputs are set on success.
 */
#ifndef UNIT_CALLS_H
#define UNIT_CALLS_H

#include "machine.h"

static inline int ioas_alloc(struct siommu_ctx *c, uint32_t *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = siommu_ioctl(c, IOMMU_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return rc;
}

/* An IOAS in the fixture's context. */
static inline uint32_t new_ioas(void)
{
	uint32_t id;

	ASSERT_OK(ioas_alloc(ctx, &id));
	return id;
}

static inline int destroy(struct siommu_ctx *c, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return siommu_ioctl(c, IOMMU_DESTROY, &cmd);
}

static inline int map(uint32_t ioas, unsigned int flags, const void *va, uint64_t length,
		      uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = addr(va),
		.length = length,
		.iova = *iova,
	};
	int rc = siommu_ioctl(ctx, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return rc;
}

/* Readable and writable, at a given place. */
static inline int map_at(uint32_t ioas, const void *va, uint64_t length, uint64_t iova)
{
	return map(ioas, RW | FIX, va, length, &iova);
}

static inline int map_file(uint32_t ioas, unsigned int flags, int fd, uint64_t start,
			   uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	int rc = siommu_ioctl(ctx, IOMMU_IOAS_MAP_FILE, &cmd);

	*iova = cmd.iova;
	return rc;
}

static inline int map_file_at(uint32_t ioas, int fd, uint64_t start, uint64_t length,
			      uint64_t iova)
{
	return map_file(ioas, RW | FIX, fd, start, length, &iova);
}

static inline int copy(uint32_t dst, unsigned int flags, uint64_t *dst_iova, uint32_t src,
		       uint64_t src_iova, uint64_t length)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int rc = siommu_ioctl(ctx, IOMMU_IOAS_COPY, &cmd);

	*dst_iova = cmd.dst_iova;
	return rc;
}

static inline int copy_at(uint32_t dst, uint64_t dst_iova, uint32_t src, uint64_t src_iova,
			  uint64_t length)
{
	return copy(dst, RW | FIX, &dst_iova, src, src_iova, length);
}

/* *@length is what was unmapped, and as it was where the request leaves it. */
static inline int unmap_len(uint32_t ioas, uint64_t iova, uint64_t *length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = *length,
	};
	int rc = siommu_ioctl(ctx, IOMMU_IOAS_UNMAP, &cmd);

	*length = cmd.length;
	return rc;
}

static inline int unmap(uint32_t ioas, uint64_t iova, uint64_t length)
{
	return unmap_len(ioas, iova, &length);
}

static inline int unmap_all(uint32_t ioas, uint64_t *length)
{
	*length = UINT64_MAX;
	return unmap_len(ioas, 0, length);
}

static inline int allow(uint32_t ioas, const struct iommu_iova_range *ranges, uint32_t n)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = n,
		.allowed_iovas = addr(ranges),
	};

	return siommu_ioctl(ctx, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

/* In: *@n entries of room; out: how many there are. */
static inline int iova_ranges(uint32_t ioas, struct iommu_iova_range *ranges, uint32_t *n,
			      uint64_t *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = *n,
		.allowed_iovas = addr(ranges),
	};
	int rc = siommu_ioctl(ctx, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*n = cmd.num_iovas;
	*alignment = cmd.out_iova_alignment;
	return rc;
}

static inline uint64_t alignment_of(uint32_t ioas)
{
	struct iommu_iova_range ranges[16];
	uint32_t n = 16;
	uint64_t alignment;

	ASSERT_OK(iova_ranges(ioas, ranges, &n, &alignment));
	return alignment;
}

static inline int option(uint32_t id, unsigned int op, uint32_t object, uint64_t *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = id,
		.op = (uint16_t)op,
		.object_id = object,
		.val64 = *value,
	};
	int rc = siommu_ioctl(ctx, IOMMU_OPTION, &cmd);

	*value = cmd.val64;
	return rc;
}

static inline int set_huge_pages(uint32_t ioas, uint64_t on)
{
	return option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &on);
}

static inline int hwpt_alloc_full(uint32_t dev, uint32_t pt, unsigned int flags, uint32_t fault,
				  uint32_t type, const void *data, uint32_t len, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
		.data_type = type,
		.data_len = len,
		.data_uptr = addr(data),
		.fault_id = fault,
	};
	int rc = siommu_ioctl(ctx, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

static inline int hwpt_alloc(uint32_t dev, uint32_t pt, unsigned int flags, uint32_t *id)
{
	return hwpt_alloc_full(dev, pt, flags, 0, IOMMU_HWPT_DATA_NONE, NULL, 0, id);
}

/* A nested HWPT on @pt, an HWPT or a vIOMMU; @fault 0 for none. */
static inline int nested_alloc(uint32_t dev, uint32_t pt, unsigned int flags, uint32_t fault,
			       uint32_t *id)
{
	static const struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };

	return hwpt_alloc_full(dev, pt, flags | (fault ? IOMMU_HWPT_FAULT_ID_VALID : 0), fault,
			       IOMMU_HWPT_DATA_SELFTEST, &data, sizeof(data), id);
}

static inline int set_dirty_tracking(uint32_t hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt,
	};

	return siommu_ioctl(ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static inline int get_dirty(uint32_t hwpt, unsigned int flags, uint64_t iova, uint64_t length,
			    uint64_t page_size, const void *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.data = addr(bitmap),
	};

	return siommu_ioctl(ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static inline int fault_alloc(uint32_t *id, int *fd)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int rc = siommu_ioctl(ctx, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*id = cmd.out_fault_id;
	*fd = (int)cmd.out_fault_fd;
	return rc;
}

static inline int viommu_alloc_data(uint32_t dev, uint32_t hwpt, uint32_t type, void *data,
				    uint32_t len, uint32_t *id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = type,
		.dev_id = dev,
		.hwpt_id = hwpt,
		.data_len = len,
		.data_uptr = addr(data),
	};
	int rc = siommu_ioctl(ctx, IOMMU_VIOMMU_ALLOC, &cmd);

	*id = cmd.out_viommu_id;
	return rc;
}

static inline int viommu_alloc(uint32_t dev, uint32_t hwpt, uint32_t *id)
{
	return viommu_alloc_data(dev, hwpt, IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0, id);
}

static inline int vdevice_alloc(uint32_t viommu, uint32_t dev, uint64_t virt_id, uint32_t *id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.dev_id = dev,
		.virt_id = virt_id,
	};
	int rc = siommu_ioctl(ctx, IOMMU_VDEVICE_ALLOC, &cmd);

	*id = cmd.out_vdevice_id;
	return rc;
}

static inline int veventq_alloc(uint32_t viommu, uint32_t type, uint32_t depth, uint32_t *id,
				int *fd)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = siommu_ioctl(ctx, IOMMU_VEVENTQ_ALLOC, &cmd);

	*id = cmd.out_veventq_id;
	*fd = (int)cmd.out_veventq_fd;
	return rc;
}

static inline int hw_queue_alloc(uint32_t viommu, uint32_t index, uint64_t iova, uint64_t length,
				 uint32_t *id)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	int rc = siommu_ioctl(ctx, IOMMU_HW_QUEUE_ALLOC, &cmd);

	*id = cmd.out_hw_queue_id;
	return rc;
}

/* *@n entries in, entries done out. */
static inline int invalidate(uint32_t id, uint32_t type, const void *entries, uint32_t entry_len,
			     uint32_t *n)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = id,
		.data_uptr = addr(entries),
		.data_type = type,
		.entry_len = entry_len,
		.entry_num = *n,
	};
	int rc = siommu_ioctl(ctx, IOMMU_HWPT_INVALIDATE, &cmd);

	*n = cmd.entry_num;
	return rc;
}

static inline int vfio_ioas(unsigned int op, uint32_t *ioas)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = *ioas,
		.op = (uint16_t)op,
	};
	int rc = siommu_ioctl(ctx, IOMMU_VFIO_IOAS, &cmd);

	*ioas = cmd.ioas_id;
	return rc;
}

/*
 * The test interface
 */

static inline int test_cmd(struct siommu_ctx *c, uint32_t op, uint32_t id,
			   struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	cmd->id = id;
	return siommu_ioctl(c, IOMMU_TEST_CMD, cmd);
}

/* A mock device that the test interface made: its own id, the device, the HWPT. */
struct mock {
	uint32_t st;
	uint32_t dev;
	uint32_t hwpt;
};

static inline int mock_create(struct siommu_ctx *c, uint32_t pt, unsigned int flags,
			      struct mock *out)
{
	struct iommu_test_cmd cmd = { .mock_domain_flags.dev_flags = flags };
	int rc = test_cmd(c, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, pt, &cmd);

	out->st = cmd.mock_domain_flags.out_stdev_id;
	out->dev = cmd.mock_domain_flags.out_idev_id;
	out->hwpt = cmd.mock_domain_flags.out_hwpt_id;
	return rc;
}

static inline struct mock new_mock(uint32_t pt)
{
	struct mock mock;

	ASSERT_OK(mock_create(ctx, pt, 0, &mock));
	return mock;
}

static inline int mock_replace(const struct mock *mock, uint32_t pt)
{
	struct iommu_test_cmd cmd = { .mock_domain_replace.pt_id = pt };

	return test_cmd(ctx, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, mock->st, &cmd);
}

static inline int check_map(uint32_t hwpt, uint64_t iova, uint64_t length, const void *va)
{
	struct iommu_test_cmd cmd = {
		.check_map = { .iova = iova, .length = length, .uptr = addr(va) },
	};

	return test_cmd(ctx, IOMMU_TEST_OP_MD_CHECK_MAP, hwpt, &cmd);
}

static inline int check_refs(const void *va, uint64_t length, uint32_t refs)
{
	struct iommu_test_cmd cmd = {
		.check_refs = { .length = length, .uptr = addr(va), .refs = refs },
	};

	return test_cmd(ctx, IOMMU_TEST_OP_MD_CHECK_REFS, 0, &cmd);
}

static inline int add_reserved(uint32_t ioas, uint64_t start, uint64_t length)
{
	struct iommu_test_cmd cmd = { .add_reserved = { .start = start, .length = length } };

	return test_cmd(ctx, IOMMU_TEST_OP_ADD_RESERVED, ioas, &cmd);
}

/* Pages are written to as a device would, one bit of @bits for each page. */
static inline int make_dirty(uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t page_size,
			     const void *bits, uint64_t *done)
{
	struct iommu_test_cmd cmd = {
		.dirty = {
			.iova = iova,
			.length = length,
			.page_size = page_size,
			.uptr = addr(bits),
		},
	};
	int rc = test_cmd(ctx, IOMMU_TEST_OP_DIRTY, hwpt, &cmd);

	*done = cmd.dirty.out_nr_dirty;
	return rc;
}

static inline int trigger_iopf(uint32_t dev, uint32_t pasid, uint32_t grpid, uint64_t address)
{
	struct iommu_test_cmd cmd = {
		.trigger_iopf = {
			.dev_id = dev,
			.pasid = pasid,
			.grpid = grpid,
			.perm = IOMMU_PGFAULT_PERM_READ,
			.addr = address,
		},
	};

	return test_cmd(ctx, IOMMU_TEST_OP_TRIGGER_IOPF, 0, &cmd);
}

static inline int trigger_vevent(uint32_t dev)
{
	struct iommu_test_cmd cmd = { .trigger_vevent.dev_id = dev };

	return test_cmd(ctx, IOMMU_TEST_OP_TRIGGER_VEVENT, 0, &cmd);
}

static inline int check_iotlb(uint32_t hwpt, uint32_t index, uint32_t value)
{
	struct iommu_test_cmd cmd = { .check_iotlb = { .id = index, .iotlb = value } };

	return test_cmd(ctx, IOMMU_TEST_OP_MD_CHECK_IOTLB, hwpt, &cmd);
}

static inline int check_cache(uint32_t dev, uint32_t index, uint32_t value)
{
	struct iommu_test_cmd cmd = { .check_dev_cache = { .id = index, .cache = value } };

	return test_cmd(ctx, IOMMU_TEST_OP_DEV_CHECK_CACHE, dev, &cmd);
}

static inline int pasid_check(const struct mock *mock, uint32_t pasid, uint32_t hwpt)
{
	struct iommu_test_cmd cmd = { .pasid_check = { .pasid = pasid, .hwpt_id = hwpt } };

	return test_cmd(ctx, IOMMU_TEST_OP_PASID_CHECK_HWPT, mock->st, &cmd);
}

static inline int pasid_attach(const struct mock *mock, uint32_t pasid, uint32_t pt)
{
	struct iommu_test_cmd cmd = { .pasid_attach = { .pasid = pasid, .pt_id = pt } };

	return test_cmd(ctx, IOMMU_TEST_OP_PASID_ATTACH, mock->st, &cmd);
}

static inline int pasid_replace(const struct mock *mock, uint32_t pasid, uint32_t pt)
{
	struct iommu_test_cmd cmd = { .pasid_replace = { .pasid = pasid, .pt_id = pt } };

	return test_cmd(ctx, IOMMU_TEST_OP_PASID_REPLACE, mock->st, &cmd);
}

static inline int pasid_detach(const struct mock *mock, uint32_t pasid)
{
	struct iommu_test_cmd cmd = { .pasid_detach.pasid = pasid };

	return test_cmd(ctx, IOMMU_TEST_OP_PASID_DETACH, mock->st, &cmd);
}

static inline int create_access(uint32_t ioas, unsigned int flags, int *fd)
{
	struct iommu_test_cmd cmd = { .create_access.flags = flags };
	int rc = test_cmd(ctx, IOMMU_TEST_OP_CREATE_ACCESS, ioas, &cmd);

	*fd = (int)cmd.create_access.out_access_fd;
	return rc;
}

static inline int access_pages(int fd, unsigned int flags, uint64_t iova, uint64_t length,
			       const void *va, uint32_t *id)
{
	struct iommu_test_cmd cmd = {
		.access_pages = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = addr(va),
		},
	};
	int rc = test_cmd(ctx, IOMMU_TEST_OP_ACCESS_PAGES, (uint32_t)fd, &cmd);

	*id = cmd.access_pages.out_access_pages_id;
	return rc;
}

static inline int access_rw(int fd, unsigned int flags, uint64_t iova, void *buf, uint64_t length)
{
	struct iommu_test_cmd cmd = {
		.access_rw = { .iova = iova, .length = length, .uptr = addr(buf), .flags = flags },
	};

	return test_cmd(ctx, IOMMU_TEST_OP_ACCESS_RW, (uint32_t)fd, &cmd);
}

/* Return: the descriptor of a new dma-buf, or -errno. */
static inline int dmabuf_get(uint32_t bytes)
{
	struct iommu_test_cmd cmd = { .dmabuf_get.length = bytes };

	return test_cmd(ctx, IOMMU_TEST_OP_DMABUF_GET, 0, &cmd);
}

static inline int dmabuf_revoke(int fd, bool revoked)
{
	struct iommu_test_cmd cmd = {
		.dmabuf_revoke = { .dmabuf_fd = fd, .revoked = revoked },
	};

	return test_cmd(ctx, IOMMU_TEST_OP_DMABUF_REVOKE, 0, &cmd);
}

/* A device that the test owns, behind the mock and in a group of that number. */
static inline struct siommu_device *new_device(uint32_t group, unsigned int pasid_bits)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "device",
		.iommu = SIOMMU_IOMMU_MOCK,
		.group = group,
		.pasid_bits = pasid_bits,
	};
	struct siommu_device *dev;

	ASSERT_OK(siommu_device_create(machine, &params, &dev));
	return dev;
}

static inline int attach(struct siommu_bound *bound, uint32_t pt)
{
	return siommu_device_attach(bound, 0, &pt);
}

static inline int replace(struct siommu_bound *bound, uint32_t pt)
{
	return siommu_device_replace(bound, 0, &pt);
}

#endif
