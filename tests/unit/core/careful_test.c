// SPDX-License-Identifier: MIT
/* Devices of a checked context: what is mapped may be gone, and nothing crashes. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "unit.h"

#define PAGE  ((uint64_t)4096)
#define PAGES 8
#define IOVA  ((uint64_t)1 << 32)

static struct siommu_machine *machine;
static struct siommu_unit *iommu;
static struct siommu_ctx *ctx;
static uint32_t ioas;
static char *memory;

static void open_context(unsigned int flags)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	ASSERT_OK(siommu_open(machine, flags, &ctx));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_IOAS_ALLOC, &cmd));
	ioas = cmd.out_ioas_id;
}

static void setup(void)
{
	const struct siommu_unit_params params = { .size = sizeof(params), .model = "amd" };

	memory = MAP_FAILED;
	ctx = NULL;
	iommu = NULL;
	ASSERT_OK(siommu_machine_create(NULL, &machine));
	ASSERT_OK(siommu_unit_create(machine, &params, NULL, 0, &iommu));
	open_context(SIOMMU_OPEN_CHECKED);
}

static void teardown(void)
{
	siommu_close(ctx);
	siommu_unit_destroy(iommu);
	siommu_machine_destroy(machine);
	if (memory != MAP_FAILED)
		munmap(memory, PAGES * PAGE);
}

__attribute__((constructor)) static void fixture(void)
{
	unit.setup = setup;
	unit.teardown = teardown;
}

static void new_memory(void)
{
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	ASSERT_TRUE(memory != MAP_FAILED);
}

static void map(void)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = PAGES * PAGE,
		.iova = IOVA,
	};

	ASSERT_OK(siommu_ioctl(ctx, IOMMU_IOAS_MAP, &cmd));
}

/**
 * struct device - one, with a way to memory
 * @dev: the device
 * @bound: NULL if it is not
 * @port: the way
 */
struct device {
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
};

static void create(struct device *d, uint32_t requester, uint32_t group)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "device",
		.unit = iommu,
		.requester = requester,
		.group = group,
	};

	*d = (struct device){ 0 };
	ASSERT_OK(siommu_device_create(machine, &params, &d->dev));
	ASSERT_OK(siommu_port_create(d->dev, NULL, &d->port));
}

static void bind(struct device *d)
{
	uint32_t id;

	ASSERT_OK(siommu_device_bind(ctx, d->dev, &d->bound, &id));
}

static void attach(struct device *d)
{
	uint32_t pt = ioas;

	ASSERT_OK(siommu_device_attach(d->bound, 0, &pt));
}

static void end(struct device *d)
{
	if (d->bound)
		siommu_device_unbind(d->bound);
	siommu_port_destroy(d->port);
	siommu_device_destroy(d->dev);
}

static void *find(struct device *d, uint64_t iova, unsigned int access)
{
	void *p;

	siommu_dma_begin(d->port);
	p = siommu_dma_find(d->port, iova, 8, access);
	siommu_dma_end(d->port);
	return p;
}

/* The port's last fault is that @access at @iova reached nothing. */
static void expect_fault(struct device *d, uint64_t iova, unsigned int access)
{
	const struct siommu_fault *fault = siommu_dma_fault(d->port);

	ASSERT_TRUE(fault != NULL);
	EXPECT_EQ(iova, fault->iova);
	EXPECT_EQ(access, fault->access);
}

static void expect_nothing_there(struct device *d, uint64_t iova)
{
	struct siommu_sg sg[4];
	unsigned int n = 4;
	uint64_t word = 1;

	EXPECT_RC(-EFAULT, siommu_dma_read(d->port, iova, &word, sizeof(word), 0));
	expect_fault(d, iova, SIOMMU_DMA_READ);
	EXPECT_RC(-EFAULT, siommu_dma_write(d->port, iova, &word, sizeof(word), 0));
	expect_fault(d, iova, SIOMMU_DMA_WRITE);
	EXPECT_RC(-EFAULT,
		  siommu_dma_atomic(d->port, SIOMMU_ATOMIC_FETCH_ADD, iova, 8, 1, 0, &word, 0));
	expect_fault(d, iova, SIOMMU_DMA_READ | SIOMMU_DMA_WRITE);
	EXPECT_TRUE(find(d, iova, SIOMMU_DMA_READ) == NULL);
	EXPECT_TRUE(find(d, iova, SIOMMU_DMA_WRITE) == NULL);
	EXPECT_TRUE(siommu_dma_pin(d->port, iova, 8, SIOMMU_DMA_READ, sg, &n) < 0);
}

/* All that a device can do works, but gives no address away. */
TEST(memory_that_is_there)
{
	struct device d;
	uint64_t word = 0x1234;

	new_memory();
	map();
	create(&d, 1, 0);
	bind(&d);
	attach(&d);
	EXPECT_OK(siommu_dma_write(d.port, IOVA + 8, &word, sizeof(word), 0));
	EXPECT_MEM(&word, memory + 8, sizeof(word));
	word = 0;
	EXPECT_OK(siommu_dma_read(d.port, IOVA + 8, &word, sizeof(word), 0));
	EXPECT_EQ(0x1234, word);
	EXPECT_OK(siommu_dma_atomic(d.port, SIOMMU_ATOMIC_FETCH_ADD, IOVA + 8, 8, 1, 0, &word, 0));
	EXPECT_EQ(0x1234, word);
	EXPECT_EQ(0x35, memory[8]);
	EXPECT_TRUE(find(&d, IOVA + 8, SIOMMU_DMA_WRITE) == NULL);
	end(&d);
}

TEST(memory_that_is_gone)
{
	struct device d;
	uint64_t word = 7;
	char big[2 * PAGE];

	new_memory();
	map();
	create(&d, 1, 0);
	bind(&d);
	attach(&d);
	EXPECT_OK(siommu_dma_write(d.port, IOVA, &word, sizeof(word), 0));
	munmap(memory + PAGE, (PAGES - 1) * PAGE);
	expect_nothing_there(&d, IOVA + 3 * PAGE + 8);
	/* What comes before it is moved. */
	memset(big, 9, sizeof(big));
	EXPECT_RC(-EFAULT, siommu_dma_write(d.port, IOVA, big, sizeof(big), 0));
	expect_fault(&d, IOVA + PAGE, SIOMMU_DMA_WRITE);
	EXPECT_EQ(9, memory[PAGE - 1]);
	end(&d);
}

TEST(file_that_is_cut_short)
{
	int fd = memfd_create("careful", MFD_CLOEXEC);
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = fd,
		.length = PAGES * PAGE,
		.iova = IOVA,
	};
	uint64_t word = 7;
	struct device d;

	ASSERT_TRUE(fd >= 0 && !ftruncate(fd, PAGES * PAGE));
	ASSERT_OK(siommu_ioctl(ctx, IOMMU_IOAS_MAP_FILE, &cmd));
	create(&d, 1, 0);
	bind(&d);
	attach(&d);
	EXPECT_OK(siommu_dma_write(d.port, IOVA + 4 * PAGE, &word, sizeof(word), 0));
	ASSERT_OK(ftruncate(fd, PAGE));
	expect_nothing_there(&d, IOVA + 4 * PAGE);
	EXPECT_OK(siommu_dma_write(d.port, IOVA, &word, sizeof(word), 0));
	end(&d);
	close(fd);
}

struct hammer {
	struct device *device;
	atomic_bool stop;
	unsigned long good;
	unsigned long bad;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	uint64_t words[16] = { 0 };
	unsigned int i;
	int rc;

	for (i = 0; !atomic_load(&h->stop); i++) {
		uint64_t iova = IOVA + i % PAGES * PAGE;

		rc = i & 8 ? siommu_dma_write(h->device->port, iova, words, sizeof(words), 0)
			   : siommu_dma_read(h->device->port, iova, words, sizeof(words), 0);
		EXPECT_TRUE(!rc || rc == -EFAULT);
		h->good += !rc;
		h->bad += rc != 0;
	}
	return NULL;
}

/* Without a hole in between, which others could fill. */
static void map_anew(int prot)
{
	ASSERT_TRUE(syscall(SYS_mmap, memory, PAGES * PAGE, prot,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == (long)memory);
}

/* It goes and comes back while a device is at it. */
TEST(gone_meanwhile)
{
	struct device d;
	struct hammer h = { .device = &d };
	pthread_t thread;
	unsigned int i;

	new_memory();
	map();
	create(&d, 1, 0);
	bind(&d);
	attach(&d);
	ASSERT_OK(pthread_create(&thread, NULL, hammer, &h));
	/* Behind the thread sanitizer's back: it is meant to be a race. */
	for (i = 0; i < 200; i++) {
		map_anew(PROT_NONE);
		usleep(200);
		map_anew(PROT_READ | PROT_WRITE);
		usleep(200);
	}
	atomic_store(&h.stop, true);
	pthread_join(thread, NULL);
	EXPECT_TRUE(h.good && h.bad);
	end(&d);
}

/* The others of the group are not bound, but reach the same memory. */
TEST(whole_group)
{
	struct device bound, before, after;

	new_memory();
	map();
	create(&bound, 1, 5);
	create(&before, 2, 5);
	bind(&bound);
	create(&after, 3, 5);
	attach(&bound);
	munmap(memory, PAGES * PAGE);
	expect_nothing_there(&bound, IOVA);
	expect_nothing_there(&before, IOVA);
	expect_nothing_there(&after, IOVA);
	memory = MAP_FAILED;
	end(&bound);
	end(&before);
	end(&after);
}

/* The next context that has the device may trust. */
TEST(trusted_again)
{
	struct device d;

	create(&d, 1, 0);
	bind(&d);
	siommu_device_unbind(d.bound);
	siommu_close(ctx);
	open_context(0);
	new_memory();
	map();
	bind(&d);
	attach(&d);
	EXPECT_TRUE(find(&d, IOVA + 8, SIOMMU_DMA_WRITE) == memory + 8);
	end(&d);
}
