// SPDX-License-Identifier: MIT
/* Everybody does everything with the same devices at once; for the sanitizers. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#include "abi/file.h"
#include "vfio_rig.h"

#define THREADS 4
#define ROUNDS	60

static _Atomic unsigned int used;

static const char *const cdevs[] = { CDEV0, CDEV1 };

static void use(int fd, struct siommu_ctx *c, unsigned int i)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	uint32_t word = 1;
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	used++;
	EXPECT_OK(siommu_ioctl(c, IOMMU_IOAS_ALLOC, &ioas));
	EXPECT_OK(attach_to(fd, ioas.out_ioas_id));
	EXPECT_OK(set_eventfd(fd, i % 2 ? INTX : MSIX, 0, event));
	EXPECT_EQ(4, siommu_vfio_write(machine, fd, &word, 4, BAR0 + EDU_INT_RAISE));
	EXPECT_OK(vcall(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(4, siommu_vfio_read(machine, fd, &word, 4, CONFIG));
	if (i % 3)
		EXPECT_OK(irqs_off(fd, i % 2 ? INTX : MSIX));
	close(event);
}

/* Take a device, unless somebody else has it, use it, and give it back, ROUNDS times. */
static void *taker(void *arg)
{
	const unsigned int me = (unsigned int)(uintptr_t)arg;
	struct siommu_ctx *c;
	unsigned int i;
	int context, fd;
	long rc;

	if (siommu_open(machine, 0, &c))
		return NULL;
	context = siommu_vfio_context(c);
	for (i = 0; i < ROUNDS;) {
		fd = siommu_vfio_open(machine, cdevs[(me + i) % 2], 0);
		rc = bind_to(fd, context);
		if (rc)
			EXPECT_TRUE(rc == -EINVAL || rc == -EBUSY);
		else
			use(fd, c, i++);
		EXPECT_OK(siommu_vfio_close(machine, fd));
		if (rc)
			sched_yield();
	}
	EXPECT_OK(siommu_vfio_close(machine, context));
	siommu_close(c);
	return NULL;
}

/* Groups, and lists of what a reset would reach, come in between. */
static void *onlooker(void *arg)
{
	struct vfio_pci_hot_reset_info *info = (void *)(uint32_t[64]){ 256 };
	unsigned int i;
	int fd;

	(void)arg;
	for (i = 0; i < 4 * ROUNDS; i++) {
		fd = siommu_vfio_open(machine, "/dev/vfio/0", 0);
		if (fd >= 0)
			EXPECT_OK(siommu_vfio_close(machine, fd));
		else
			EXPECT_EQ(-EBUSY, fd);
		fd = siommu_vfio_open(machine, CDEV0, 0);
		EXPECT_EQ(-EINVAL, vcall(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
		EXPECT_OK(siommu_vfio_close(machine, fd));
	}
	return NULL;
}

TEST(devices_are_taken_and_given_back_by_many)
{
	pthread_t threads[THREADS + 1];
	uintptr_t i;

	pci_rig_begin();
	pci_rig_add(0, "vfs=0,memory=4K");
	pci_rig_add(0, "vfs=0,memory=4K");
	for (i = 0; i < THREADS; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, taker, (void *)i));
	ASSERT_OK(pthread_create(&threads[THREADS], NULL, onlooker, NULL));
	for (i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(THREADS * ROUNDS, used);
	pci_rig_end();
}

/* Two functions of bus 1, in one group. */
static void add_bus(void)
{
	const struct siommu_pci_params params = { .size = sizeof(params), .model = "edu" };
	struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "edu",
		.group = 7,
		.unit = pci_rig.unit,
	};

	for (; pci_rig.n < 2; pci_rig.n++) {
		device.requester = 0x100 + pci_rig.n * 8;
		ASSERT_OK(siommu_device_create(machine, &device, &pci_rig.dev[pci_rig.n]));
		ASSERT_OK(siommu_pci_create(pci_rig.dev[pci_rig.n], &params, NULL, 0,
					    &pci_rig.pci[pci_rig.n]));
	}
}

static long reset_bus(int fd, int group)
{
	struct {
		uint32_t argsz, flags, count;
		int32_t group;
	} reset = { .argsz = 16, .count = group >= 0, .group = group };

	return vcall(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

/* Both functions, one through the other's context; others may have bound one. */
static void *resetter_by_cdev(void *arg)
{
	const char *const mine = cdevs[(uintptr_t)arg];
	struct siommu_ctx *c;
	unsigned int i;
	int context, fd;

	if (siommu_open(machine, 0, &c))
		return NULL;
	context = siommu_vfio_context(c);
	for (i = 0; i < ROUNDS; i++) {
		fd = siommu_vfio_open(machine, mine, 0);
		if (!bind_to(fd, context)) {
			used++;
			EXPECT_OK(reset_bus(fd, -1));
		}
		EXPECT_OK(siommu_vfio_close(machine, fd));
	}
	EXPECT_OK(siommu_vfio_close(machine, context));
	siommu_close(c);
	return NULL;
}

static void use_group(int group)
{
	int container = siommu_vfio_open(machine, "/dev/vfio/vfio", 0);
	long first, second;

	EXPECT_OK(set_container(group, container));
	EXPECT_OK(vcall_value(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	first = get_device(group, "0000:01:00.0");
	EXPECT_TRUE(first >= 0);
	EXPECT_OK(reset_bus((int)first, group));
	second = get_device(group, "0000:01:01.0");
	EXPECT_TRUE(second >= 0);
	EXPECT_OK(reset_bus((int)second, group));
	EXPECT_OK(siommu_vfio_close(machine, (int)second));
	EXPECT_OK(siommu_vfio_close(machine, group));
	EXPECT_OK(siommu_vfio_close(machine, (int)first));
	EXPECT_OK(siommu_vfio_close(machine, container));
}

static void *resetter_by_group(void *arg)
{
	unsigned int i;
	int group;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		group = siommu_vfio_open(machine, "/dev/vfio/0", 0);
		if (group >= 0) {
			used++;
			use_group(group);
		} else {
			EXPECT_RC(-EBUSY, group);
			usleep(100);
		}
	}
	return NULL;
}

static int copy_in(struct siommu_task *task, void *dst, uint64_t src, size_t n)
{
	(void)task;
	memcpy(dst, (const void *)(uintptr_t)src, n);
	return 0;
}

static void *resetter_by_sysfs(void *arg)
{
	const struct siommu_task_ops ops = { .copy_in = copy_in };
	struct siommu_task task = { .ops = &ops };
	struct mem_file *file;
	unsigned int i;
	ssize_t rc;

	(void)arg;
	for (i = 0; i < 4 * ROUNDS; i++) {
		EXPECT_OK(abi_open(machine, "/sys/bus/pci/devices/0000:01:01.0/reset", O_WRONLY,
				   &file));
		rc = file->ops->pwrite(file, &task, addr("1"), 1, 0);
		EXPECT_TRUE(rc == 1 || rc == -EBUSY);
		mem_file_put(file);
	}
	return NULL;
}

TEST(a_bus_is_reset_by_some_while_others_take_its_functions)
{
	static void *(*const runs[])(void *) = { resetter_by_cdev, resetter_by_cdev,
						 resetter_by_group, resetter_by_group,
						 resetter_by_sysfs };
	pthread_t threads[5];
	uintptr_t i;

	pci_rig_begin();
	add_bus();
	used = 0;
	for (i = 0; i < 5; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, runs[i], (void *)(i % 2)));
	for (i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	EXPECT_TRUE(used > 0);
	pci_rig_end();
}
