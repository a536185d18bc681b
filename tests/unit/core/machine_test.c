// SPDX-License-Identifier: MIT
/*
 * Machines and contexts: parameters of older callers, quotas, independence, and
 * how long a context lives.
 */
#include <pthread.h>

#include "calls.h"

TEST(parameters_of_other_sizes)
{
	struct siommu_machine_params p = { .size = 0, .test_interface = true };
	struct siommu_machine *m;
	struct {
		struct siommu_machine_params p;
		char newer[64];
	} larger = { .p = { .size = sizeof(larger) } };
	struct siommu_device_params dev = {
		.size = sizeof(dev), .name = "x", .iommu = SIOMMU_IOMMU_MOCK,
	};
	struct siommu_device *d;

	EXPECT_RC(-EINVAL, siommu_machine_create(&p, &m));
	p.size = offsetof(struct siommu_machine_params, quota) + sizeof(p.quota) - 1;
	EXPECT_RC(-EINVAL, siommu_machine_create(&p, &m));
	/* An older caller does not know of the test interface: it reads as off. */
	p.size++;
	ASSERT_OK(siommu_machine_create(&p, &m));
	EXPECT_RC(-EOPNOTSUPP, siommu_device_create(m, &dev, &d));
	siommu_machine_destroy(m);
	ASSERT_OK(siommu_machine_create(&larger.p, &m));
	siommu_machine_destroy(m);
	ASSERT_OK(siommu_machine_create(NULL, &m));
	siommu_machine_destroy(m);
	siommu_machine_destroy(NULL);
}

TEST(device_parameters)
{
	struct siommu_device_params p = { .size = sizeof(p), .iommu = SIOMMU_IOMMU_MOCK };
	struct siommu_device *dev;

	EXPECT_RC(-EINVAL, siommu_device_create(machine, &p, &dev));
	p.name = "a name that is longer than any listing has room for";
	p.pasid_bits = 21;
	EXPECT_RC(-EINVAL, siommu_device_create(machine, &p, &dev));
	p.pasid_bits = 20;
	p.iommu = SIOMMU_IOMMU_MOCK + 1;
	EXPECT_RC(-EOPNOTSUPP, siommu_device_create(machine, &p, &dev));
	p.iommu = SIOMMU_IOMMU_MOCK;
	p.size = offsetof(struct siommu_device_params, iommu);
	EXPECT_RC(-EINVAL, siommu_device_create(machine, &p, &dev));
	p.size = sizeof(p);
	ASSERT_OK(siommu_device_create(machine, &p, &dev));
	EXPECT_RC(-EINVAL, siommu_device_reserve(dev, 5, 4));
	EXPECT_OK(siommu_device_reserve(dev, 5, 5));
	siommu_device_destroy(dev);
	siommu_device_destroy(NULL);
}

/* A group is one IOMMU's: devices of another cannot join it. */
TEST(a_group_is_behind_one_iommu)
{
	struct siommu_device *mock = new_device(5, 0), *none;
	struct siommu_device_params p = {
		.size = sizeof(p), .name = "none", .iommu = SIOMMU_IOMMU_NONE, .group = 5,
	};

	EXPECT_RC(-EINVAL, siommu_device_create(machine, &p, &none));
	siommu_device_destroy(mock);
	ASSERT_OK(siommu_device_create(machine, &p, &none));
	siommu_device_destroy(none);
}

/* What a group is attached to was decided for the devices it had. */
TEST(nobody_joins_an_attached_group)
{
	struct siommu_device_params p = {
		.size = sizeof(p), .name = "late", .iommu = SIOMMU_IOMMU_MOCK, .group = 5,
	};
	struct siommu_device *first = new_device(5, 0), *late;
	struct siommu_bound *bound;
	uint32_t id;

	ASSERT_OK(siommu_device_bind(ctx, first, &bound, &id));
	ASSERT_OK(attach(bound, new_ioas()));
	EXPECT_RC(-EBUSY, siommu_device_create(machine, &p, &late));
	siommu_device_detach(bound, 0);
	ASSERT_OK(siommu_device_create(machine, &p, &late));
	siommu_device_destroy(late);
	siommu_device_unbind(bound);
	siommu_device_destroy(first);
}

TEST(unknown_open_flags)
{
	struct siommu_ctx *c;

	EXPECT_RC(-EINVAL, siommu_open(machine, 2, &c));
	EXPECT_RC(-EINVAL, siommu_open(machine, ~0u, &c));
	siommu_close(NULL);
}

TEST_BOTH(a_quota_bounds_each_context)
{
	struct siommu_machine_params p = { .size = sizeof(p), .quota = 64 << 10 };
	struct siommu_machine *m;
	struct siommu_ctx *a, *b;
	uint32_t id, n = 0;
	size_t bytes;
	int rc;

	ASSERT_OK(siommu_machine_create(&p, &m));
	ASSERT_OK(siommu_open(m, unit.variant, &a));
	ASSERT_OK(siommu_open(m, unit.variant, &b));
	while (!(rc = ioas_alloc(a, &id)))
		n++;
	EXPECT_RC(-ENOMEM, rc);
	EXPECT_TRUE(n > 20 && n < 1000);
	siommu_machine_used(m, &bytes, NULL);
	EXPECT_TRUE(bytes < (80 << 10));
	/* The other one has its own, and what is freed can be used again. */
	EXPECT_OK(ioas_alloc(b, &id));
	EXPECT_OK(destroy(a, 3));
	EXPECT_OK(ioas_alloc(a, &id));
	EXPECT_EQ(3, id);
	siommu_close(a);
	siommu_close(b);
	siommu_machine_destroy(m);
}

TEST(two_machines_share_nothing)
{
	const struct siommu_machine_params p = { .size = sizeof(p), .test_interface = true };
	struct siommu_machine *m;
	struct siommu_ctx *other;
	uint32_t a = new_ioas(), b;
	size_t before = fixture_blocks(), blocks;
	struct mock mock;

	ASSERT_OK(siommu_machine_create(&p, &m));
	ASSERT_OK(siommu_open(m, 0, &other));
	ASSERT_OK(ioas_alloc(other, &b));
	EXPECT_EQ(a, b);
	ASSERT_OK(mock_create(other, b, 0, &mock));
	EXPECT_OK(map_at(a, buffer(PAGE), PAGE, 0x1000));
	EXPECT_RC(-ENOENT, destroy(ctx, mock.st));
	siommu_machine_used(m, NULL, &blocks);
	EXPECT_TRUE(blocks > 8);
	EXPECT_OK(destroy(ctx, a));
	EXPECT_EQ(before, fixture_blocks() + 1);
	EXPECT_OK(destroy(other, mock.st));
	EXPECT_OK(destroy(other, b));
	siommu_close(other);
	siommu_machine_destroy(m);
}

TEST(two_contexts_share_no_ids)
{
	uint32_t a = new_ioas(), b;
	struct siommu_ctx *other;

	ASSERT_OK(siommu_open(machine, 0, &other));
	EXPECT_RC(-ENOENT, destroy(other, a));
	ASSERT_OK(ioas_alloc(other, &b));
	EXPECT_EQ(a, b);
	EXPECT_OK(destroy(ctx, a));
	EXPECT_OK(destroy(other, b));
	siommu_close(other);
}

/* A device that is bound keeps the context, with all that it is attached to. */
TEST(a_bound_device_keeps_a_closed_context)
{
	struct siommu_device *dev = new_device(0, 0);
	uint32_t ioas = new_ioas(), id;
	struct siommu_bound *bound;

	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
	ASSERT_OK(attach(bound, ioas));
	fixture_close();
	EXPECT_TRUE(fixture_blocks() > fixture.blocks + 5);
	siommu_device_detach(bound, 0);
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	EXPECT_EQ(fixture.blocks, fixture_blocks());
}

TEST(an_access_keeps_a_closed_context)
{
	static const struct siommu_access_ops ops;
	struct siommu_access *access;
	uint32_t ioas = new_ioas();
	char *p = buffer(PAGE), c;

	p[17] = 'x';
	ASSERT_OK(map_at(ioas, p, PAGE, 0x1000));
	ASSERT_OK(siommu_access_create(ctx, &ops, NULL, &access));
	ASSERT_OK(siommu_access_attach(access, ioas));
	fixture_close();
	EXPECT_OK(siommu_access_rw(access, 0x1011, &c, 1, 0));
	EXPECT_EQ('x', c);
	siommu_access_destroy(access);
	EXPECT_EQ(fixture.blocks, fixture_blocks());
}

/* Objects in use by each other, closed all at once: leaves go first. */
TEST(close_ends_a_deep_graph)
{
	uint32_t ioas = new_ioas(), parent, viommu, vdev, nested, fault, q, hwq;
	struct mock mock = new_mock(ioas);
	int fault_fd, q_fd;

	ASSERT_OK(map_at(ioas, buffer(4 * PAGE), 4 * PAGE, APERTURE));
	ASSERT_OK(hwpt_alloc(mock.dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_OK(fault_alloc(&fault, &fault_fd));
	ASSERT_OK(viommu_alloc(mock.dev, parent, &viommu));
	ASSERT_OK(vdevice_alloc(viommu, mock.dev, 0x99, &vdev));
	ASSERT_OK(veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4, &q, &q_fd));
	ASSERT_OK(nested_alloc(mock.dev, viommu, 0, fault, &nested));
	ASSERT_OK(mock_replace(&mock, nested));
	ASSERT_OK(hw_queue_alloc(viommu, 0, APERTURE, PAGE, &hwq));
	ASSERT_OK(trigger_iopf(mock.dev, 0, 1, 0x1000));
	ASSERT_OK(trigger_vevent(mock.dev));
	fixture_close();
	EXPECT_EQ(fixture.blocks, fixture_blocks());
}

static void *open_and_close(void *arg)
{
	struct siommu_ctx *c;
	uint32_t id;
	int i;

	(void)arg;
	for (i = 0; i < 200; i++) {
		if (siommu_open(machine, i & 1 ? SIOMMU_OPEN_CHECKED : 0, &c))
			continue;
		if (!ioas_alloc(c, &id) && i & 2)
			(void)!destroy(c, id);
		siommu_close(c);
	}
	return NULL;
}

TEST(opening_and_showing_at_once)
{
	pthread_t threads[2];
	FILE *null = fopen("/dev/null", "w");
	int i;

	ASSERT_TRUE(null);
	for (i = 0; i < 2; i++)
		ASSERT_OK(-pthread_create(&threads[i], NULL, open_and_close, NULL));
	for (i = 0; i < 100; i++) {
		siommu_machine_show(machine, null);
		fixture_blocks();
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	fclose(null);
}

TEST(show_names_what_there_is)
{
	uint32_t ioas = new_ioas();
	struct mock mock = new_mock(ioas);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	ASSERT_OK(map_at(ioas, buffer(PAGE), PAGE, APERTURE));
	siommu_machine_show(machine, f);
	fclose(f);
	EXPECT_TRUE(strstr(text, "1: IOAS, alignment 2048"));
	EXPECT_TRUE(strstr(text, "[     0x1000000,      0x1000fff] rw 4 KiB, user memory"));
	EXPECT_TRUE(strstr(text, ", pinned"));
	EXPECT_TRUE(strstr(text, "reserved"));
	EXPECT_TRUE(strstr(text, "HWPT, mock of IOAS 1, automatic"));
	EXPECT_TRUE(strstr(text, "attached to HWPT"));
	free(text);
	EXPECT_OK(destroy(ctx, mock.st));
}

TEST(show_names_units_devices_and_faults)
{
	struct siommu_unit_params up = { .size = sizeof(up), .model = "amd", .name = "north" };
	struct siommu_device_params dp = {
		.size = sizeof(dp), .name = "nic", .requester = 0x10, .group = 9, .pasid_bits = 4,
	};
	struct siommu_fault fault;
	struct siommu_device *dev;
	struct siommu_port *port;
	uint64_t count;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint32_t word = 0;
	int i;

	ASSERT_OK(siommu_unit_create(machine, &up, NULL, 0, &dp.unit));
	ASSERT_OK(siommu_device_create(machine, &dp, &dev));
	ASSERT_OK(siommu_port_create(dev, NULL, &port));
	for (i = 0; i < 9; i++)
		EXPECT_RC(-EFAULT, siommu_dma_write(port, 0x1230 + i, &word, 1, 0));
	EXPECT_EQ(1, siommu_unit_faults(dp.unit, &fault, 1, &count));
	EXPECT_EQ(9, count);
	EXPECT_EQ(0x1238, fault.iova);
	EXPECT_TRUE(siommu_fault_text(dp.unit, fault.reason));
	EXPECT_TRUE(!siommu_fault_text(dp.unit, 0x7fffffff));
	siommu_machine_show(machine, f);
	fclose(f);
	EXPECT_TRUE(strstr(text, "IOMMU north, amd"));
	EXPECT_TRUE(strstr(text, "nic, 00:02.0 (0x10), group 9, PASIDs of 4 bits, 1 ports"));
	EXPECT_TRUE(strstr(text, "faults: the last 8 of 9"));
	EXPECT_TRUE(strstr(text, ": nic, write of 0x1238\n"));
	EXPECT_TRUE(!strstr(text, "0x1230\n"));
	free(text);
	siommu_port_destroy(port);
	siommu_device_destroy(dev);
	siommu_unit_destroy(dp.unit);
}
