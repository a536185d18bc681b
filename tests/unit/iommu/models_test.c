// SPDX-License-Identifier: MIT
/*
 * What all models have in common, seen through the same calls: what a program
 * learns of the hardware, units that are refused, and faults that are kept.
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "calls.h"

#include <softiommu/dma.h>

#include "core/device.h"

static struct siommu_unit *unit_of(const char *model, const char *options)
{
	const struct siommu_unit_params params = {
		.size = sizeof(params),
		.model = model,
		.options = options,
	};
	struct siommu_unit *u;

	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &u));
	return u;
}

static struct siommu_device *device_of(struct siommu_unit *behind, bool ats)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "dev",
		.unit = behind,
		.requester = 0x10,
		.pasid_bits = ats ? 8 : 0,
		.ats = ats,
	};
	struct siommu_device *dev;

	ASSERT_OK(siommu_device_create(machine, &params, &dev));
	return dev;
}

/* What GET_HW_INFO says of a device behind @model; @data has room for @len bytes. */
static struct iommu_hw_info info_of(const char *model, const char *options, bool ats, void *data,
				    uint32_t len)
{
	struct siommu_unit *behind = unit_of(model, options);
	struct siommu_device *dev = device_of(behind, ats);
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.data_len = len,
		.data_uptr = addr(data),
	};
	struct siommu_bound *bound;

	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &info.dev_id));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_GET_HW_INFO, &info));
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	siommu_unit_destroy(behind);
	return info;
}

TEST(hw_info_of_vtd)
{
	struct iommu_hw_info_vtd vtd = { 0 };
	struct iommu_hw_info info = info_of("vtd", "", true, &vtd, sizeof(vtd));

	EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, info.out_data_type);
	EXPECT_EQ(24, info.data_len);
	EXPECT_EQ(IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, vtd.flags);
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	EXPECT_TRUE(!(info.out_capabilities & IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED));
	/* ECAP.SRS, bit 31, and ERS, bit 30, are what a PASID can ask for. */
	EXPECT_EQ(vtd.ecap_reg >> 31 & 1,
		  (info.out_capabilities & IOMMU_HW_CAP_PCI_PASID_PRIV) != 0);
	EXPECT_EQ(vtd.ecap_reg >> 30 & 1,
		  (info.out_capabilities & IOMMU_HW_CAP_PCI_PASID_EXEC) != 0);
	EXPECT_EQ(8, info.out_max_pasid_log2);
	info = info_of("vtd", "spr17=off", false, &vtd, sizeof(vtd));
	EXPECT_EQ(0, vtd.flags);
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	EXPECT_EQ(0, info.out_max_pasid_log2);
}

TEST(hw_info_of_smmuv3)
{
	struct iommu_hw_info_arm_smmuv3 smmu = { 0 };
	struct iommu_hw_info info = info_of("smmuv3", "", false, &smmu, sizeof(smmu));

	EXPECT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, info.out_data_type);
	EXPECT_EQ(sizeof(smmu), info.data_len);
	EXPECT_EQ(0, smmu.flags);
	/* QEMU's accelerated SMMUv3 would ask for both a parent and tracking, which Linux refuses.
	 */
	EXPECT_TRUE(!(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING));
	info = info_of("smmuv3", "httu=on", true, &smmu, sizeof(smmu));
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_PCI_PASID_EXEC);
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_PCI_PASID_PRIV);
}

TEST(hw_info_of_amd)
{
	struct iommu_hw_info_amd amd = { 0 };
	struct iommu_hw_info info = info_of("amd", "", true, &amd, sizeof(amd));

	EXPECT_EQ(IOMMU_HW_INFO_TYPE_AMD, info.out_data_type);
	EXPECT_EQ(16, info.data_len);
	EXPECT_TRUE(amd.efr);
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
}

TEST(units_that_are_refused)
{
	static const char *const models[] = { "vtd", "smmuv3", "amd" };
	struct siommu_unit_params params = { .size = sizeof(params), .model = "pl390" };
	struct siommu_unit *none;
	char error[256];
	unsigned int i;

	EXPECT_RC(-EOPNOTSUPP, siommu_unit_create(machine, &params, NULL, 0, &none));
	params.model = NULL;
	EXPECT_RC(-EOPNOTSUPP, siommu_unit_create(machine, &params, NULL, 0, &none));
	params.size = 1;
	EXPECT_RC(-EINVAL, siommu_unit_create(machine, &params, NULL, 0, &none));
	params.size = sizeof(params);
	params.options = "colour=red";
	for (i = 0; i < 3; i++) {
		params.model = models[i];
		error[0] = '\0';
		EXPECT_RC(-EINVAL,
			  siommu_unit_create(machine, &params, error, sizeof(error), &none));
		EXPECT_TRUE(strstr(error, "colour") != NULL);
	}
}

/* A device that is attached to nothing reaches nothing, and the unit remembers. */
TEST(faults_are_kept)
{
	static const char *const models[] = { "vtd", "smmuv3", "amd" };
	static struct siommu_fault faults[300];
	unsigned int i, n;

	for (i = 0; i < 3; i++) {
		struct siommu_unit *behind = unit_of(models[i], "");
		struct siommu_device *dev = device_of(behind, false);
		struct siommu_port *port;
		uint64_t count;
		char byte;

		ASSERT_OK(siommu_port_create(dev, NULL, &port));
		for (n = 0; n < 300; n++)
			EXPECT_RC(-EFAULT, siommu_dma_read(port, (uint64_t)n << 12, &byte, 1, 0));
		EXPECT_TRUE(siommu_dma_fault(port) != NULL);
		/* Blocked by an STE that aborts, an SMMU says nothing. */
		n = siommu_unit_faults(behind, faults, 300, &count);
		EXPECT_EQ(i == 1 ? 0 : 300, count);
		EXPECT_EQ(i == 1 ? 0 : 256, n);
		if (n) {
			EXPECT_EQ((uint64_t)(300 - 256) << 12, faults[0].iova);
			EXPECT_EQ((uint64_t)299 << 12, faults[n - 1].iova);
			EXPECT_STR("dev", faults[0].device);
			EXPECT_EQ(0x10, faults[0].requester);
			EXPECT_TRUE(siommu_fault_text(behind, faults[0].reason) != NULL);
		}
		siommu_port_destroy(port);
		siommu_device_destroy(dev);
		siommu_unit_destroy(behind);
	}
}

/**
 * struct meanwhile - somebody who attaches a group whenever its new device allocates
 * @maker: who makes the device
 * @go: attach and detach
 * @done: that was done
 * @stop: enough
 * @bound: another device of the group
 * @hwpt: to what
 */
struct meanwhile {
	pthread_t maker;
	sem_t go, done;
	_Atomic bool stop;
	struct siommu_bound *bound;
	uint32_t hwpt;
};

static void *attach_and_detach(void *arg)
{
	struct meanwhile *m = arg;

	for (;;) {
		while (sem_wait(&m->go))
			;
		if (m->stop)
			return NULL;
		EXPECT_OK(attach(m->bound, m->hwpt));
		siommu_device_detach(m->bound, 0);
		sem_post(&m->done);
	}
}

/* If the maker holds a lock that is needed there, it is done afterwards. */
static bool let_attach(void *arg)
{
	struct meanwhile *m = arg;
	struct timespec until;

	if (!pthread_equal(pthread_self(), m->maker))
		return false;
	sem_post(&m->go);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += until.tv_nsec >= 900000000;
	until.tv_nsec = (until.tv_nsec + 100000000) % 1000000000;
	(void)sem_timedwait(&m->done, &until);
	return false;
}

/* A group is attached while a device of it is made: with all of it, or without it. */
TEST(devices_join_groups_when_they_are_ready)
{
	static const char *const models[] = { "vtd", "smmuv3", "amd" };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct siommu_unit *behind = unit_of(models[i], "");
		struct siommu_device_params params = {
			.size = sizeof(params),
			.name = "dev",
			.unit = behind,
			.group = 7,
		};
		struct meanwhile m = { .maker = pthread_self() };
		struct siommu_device *first, *late;
		struct base_alloc *alloc;
		pthread_t thread;
		uint32_t id;
		int rc;

		ASSERT_OK(siommu_device_create(machine, &params, &first));
		ASSERT_OK(siommu_device_bind(ctx, first, &m.bound, &id));
		ASSERT_OK(hwpt_alloc(id, new_ioas(), 0, &m.hwpt));
		sem_init(&m.go, 0, 0);
		sem_init(&m.done, 0, 0);
		ASSERT_OK(pthread_create(&thread, NULL, attach_and_detach, &m));
		alloc = first->dev->unit->alloc;
		alloc->should_fail_arg = &m;
		alloc->should_fail = let_attach;
		params.requester = 0x300;
		rc = siommu_device_create(machine, &params, &late);
		m.stop = true;
		sem_post(&m.go);
		pthread_join(thread, NULL);
		alloc->should_fail = NULL;
		EXPECT_TRUE(!rc || rc == -EBUSY);
		/* One may go while others are attached. */
		ASSERT_OK(attach(m.bound, m.hwpt));
		if (!rc)
			siommu_device_destroy(late);
		siommu_device_unbind(m.bound);
		ASSERT_OK(destroy(ctx, m.hwpt));
		siommu_device_destroy(first);
		siommu_unit_destroy(behind);
	}
}

/* A port's PASID is one that its device can send. */
TEST(ports_with_pasids)
{
	static const char *const models[] = { "vtd", "smmuv3", "amd" };
	struct siommu_port_params params = { .size = sizeof(params), .flags = SIOMMU_PORT_PASID };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct siommu_unit *behind = unit_of(models[i], "");
		struct siommu_device *dev = device_of(behind, false);
		struct siommu_port *port;
		char byte;

		/* One that cannot send PASIDs sends one all the same: for the unit to refuse. */
		params.pasid = 1;
		EXPECT_RC(-EINVAL, siommu_port_create(dev, &params, &port));
		params.pasid = 0;
		ASSERT_OK(siommu_port_create(dev, &params, &port));
		EXPECT_RC(-EFAULT, siommu_dma_read(port, 0x1000, &byte, 1, 0));
		siommu_port_destroy(port);
		siommu_device_destroy(dev);
		dev = device_of(behind, true);
		params.pasid = 255;
		ASSERT_OK(siommu_port_create(dev, &params, &port));
		siommu_port_destroy(port);
		params.pasid = 256;
		EXPECT_RC(-EINVAL, siommu_port_create(dev, &params, &port));
		siommu_device_destroy(dev);
		siommu_unit_destroy(behind);
	}
}
