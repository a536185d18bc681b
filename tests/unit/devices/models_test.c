// SPDX-License-Identifier: MIT
/* What is true of each model, whatever it does. */
#include <linux/pci_regs.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "devices/pci.h"
#include "iommu/smmuv3_rig.h"

#define NOWHERE 0x7f0000000ull

static struct base_alloc alloc;
static struct pci_func *func;

static int create(const struct pci_model *model, struct siommu_device *dev)
{
	static const struct base_log quiet;
	char error[128] = "";
	const struct pci_params params = {
		.alloc = &alloc,
		.log = &quiet,
		.name = model->name,
		.dev = dev,
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
		.options = "",
		.error = error,
		.error_bytes = sizeof(error),
	};

	return model->create(&params, &func);
}

static const struct pci_model *find(const char *name)
{
	const struct pci_model *const *m = pci_models;

	while (*m && strcmp((*m)->name, name))
		m++;
	return *m;
}

static void end_function(void)
{
	pci_func_destroy(func);
	EXPECT_EQ(0, alloc.blocks);
	EXPECT_EQ(0, alloc.bytes);
}

static void set(unsigned int bar, uint64_t offset, uint64_t value, unsigned int bytes)
{
	EXPECT_OK(pci_bar_write(func, bar, offset, &value, bytes));
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Each reads at NOWHERE first. */

static void start_dsa(void)
{
	const uint32_t batch[16] = {
		0, 1u << 24, 0, 0, NOWHERE & 0xffffffff, NOWHERE >> 32, 0, 0, 2
	};

	set(0, 0x600, 16, 4);
	set(0, 0x608, 0x11, 4);
	set(0, 0x60c, 21 | 10 << 5, 4);
	set(0, 0x400, 1, 8);
	set(0, 0x420, 1, 8);
	set(0, 0xa0, 1 << 20, 4);
	set(0, 0xa0, 6 << 20, 4);
	EXPECT_OK(pci_bar_write(func, 2, 0, batch, sizeof(batch)));
}

static void start_edu(void)
{
	set(0, 0x40, NOWHERE, 8);
	set(0, 0x50, 8, 8);
	set(0, 0x7c, 1, 4);
}

static void start_igb(void)
{
	set(0, 0x3800, NOWHERE & 0xffffffff, 4);
	set(0, 0x3804, NOWHERE >> 32, 4);
	set(0, 0x3808, 4096, 4);
	set(0, 0x3828, 1u << 25, 4);
	set(0, 0x0400, 0xa, 4);
	set(0, 0x3818, 1, 4);
}

static void start_ioat(void)
{
	set(0, 0x90, NOWHERE, 8);
	set(0, 0x86, 1, 2);
}

static void start_nvme(void)
{
	const double until = seconds() + 10;
	uint32_t csts = 0;

	set(0, 0x24, 31 << 16 | 31, 4);
	set(0, 0x28, NOWHERE, 8);
	set(0, 0x30, NOWHERE, 8);
	set(0, 0x14, 0x00460001, 4);
	while (!(csts & 1) && seconds() < until)
		EXPECT_OK(pci_bar_read(func, 0, 0x1c, &csts, 4));
	set(0, 0x1000, 1, 4);
}

static _Atomic bool was_reset;

static void *reset(void *arg)
{
	(void)arg;
	pci_func_reset(func);
	atomic_store(&was_reset, true);
	return NULL;
}

static void wait_for_fault(int fd)
{
	const double until = seconds() + 10;
	struct iommu_hwpt_pgfault fault;

	while (siommu_read(ctx, fd, &fault, sizeof(fault)) != sizeof(fault) && seconds() < until)
		sched_yield();
	ASSERT_TRUE(seconds() < until);
	EXPECT_TRUE(fault.addr >= NOWHERE);
}

/*
 * A request that stalls waits for an answer, and it is the driver's own side that may
 * never give one: a reset, and so closing the device, comes back all the same.
 */
static void stall(const char *name, void (*start)(void))
{
	static const struct siommu_device_params able = { .stall = true };
	struct rig r = rig_with(&able, "stall=on");
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	uint32_t queue, id;
	pthread_t thread;
	double until;
	int fd;

	ASSERT_OK(fault_alloc(&queue, &fd));
	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, FAULT, queue, 0, NULL, 0, &id));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
	ASSERT_OK(create(find(name), r.dev));
	pci_config_write(func, PCI_COMMAND, &command, sizeof(command));
	start();
	wait_for_fault(fd);
	atomic_store(&was_reset, false);
	ASSERT_OK(pthread_create(&thread, NULL, reset, NULL));
	until = seconds() + 10;
	while (!atomic_load(&was_reset) && seconds() < until)
		usleep(1000);
	ASSERT_TRUE(atomic_load(&was_reset));
	pthread_join(thread, NULL);
	end_function();
	siommu_device_detach(r.bound, 0);
	ASSERT_OK(siommu_close_fd(ctx, fd));
	rig_end(&r);
}

TEST(dsa_is_reset_while_it_stalls)
{
	stall("dsa", start_dsa);
}

TEST(edu_is_reset_while_it_stalls)
{
	stall("edu", start_edu);
}

TEST(igb_is_reset_while_it_stalls)
{
	stall("igb", start_igb);
}

TEST(ioat_is_reset_while_it_stalls)
{
	stall("ioat", start_ioat);
}

TEST(nvme_is_reset_while_it_stalls)
{
	stall("nvme", start_nvme);
}

#define RAM	0x10000000ull
#define QUEUES	20u
#define ENTRIES 64u

/* An admin command that makes a queue; the admin queues are the first two pages. */
static void put_create(uint8_t *ram, unsigned int at, uint8_t opcode, unsigned int qid,
		       uint64_t where)
{
	uint32_t sqe[16] = { opcode | at << 16 };

	sqe[6] = (uint32_t)where;
	sqe[7] = (uint32_t)(where >> 32);
	sqe[10] = 15u << 16 | qid;
	sqe[11] = opcode == 1 ? qid << 16 | 1 : 1;
	memcpy(ram + at * sizeof(sqe), sqe, sizeof(sqe));
}

static void start_nvme_queues(uint8_t *ram)
{
	const double until = seconds() + 10;
	uint32_t csts = 0;
	unsigned int i;

	set(0, 0x24, (ENTRIES - 1) << 16 | (ENTRIES - 1), 4);
	set(0, 0x28, RAM, 8);
	set(0, 0x30, RAM + PAGE, 8);
	set(0, 0x14, 0x00460001, 4);
	while (!(csts & 1) && seconds() < until)
		EXPECT_OK(pci_bar_read(func, 0, 0x1c, &csts, 4));
	for (i = 0; i < QUEUES; i++) {
		put_create(ram, 2 * i, 5, i + 1, RAM + (2 + i) * PAGE);
		put_create(ram, 2 * i + 1, 1, i + 1, NOWHERE + i * PAGE);
	}
	set(0, 0x1000, 2 * QUEUES, 4);
	while (!(__atomic_load_n((uint16_t *)(void *)(ram + PAGE + (2 * QUEUES - 1) * 16 + 14),
				 __ATOMIC_ACQUIRE) &
		 1) &&
	       seconds() < until)
		sched_yield();
	for (i = 0; i < QUEUES; i++)
		set(0, 0x1000 + 8 * (i + 1), 1, 4);
}

/* Each of its queues stalls: once one of them has failed, nobody waits for the others. */
TEST(nvme_is_disabled_while_all_its_queues_stall)
{
	static const struct siommu_device_params able = { .stall = true };
	struct rig r = rig_with(&able, "stall=on");
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	uint8_t *ram = buffer(MiB);
	uint32_t queue, id, csts = 1;
	double before;
	int fd;

	ASSERT_OK(fault_alloc(&queue, &fd));
	ASSERT_OK(map_at(r.ioas, ram, MiB, RAM));
	ASSERT_OK(hwpt_alloc_full(r.id, r.ioas, FAULT, queue, 0, NULL, 0, &id));
	ASSERT_OK(siommu_device_attach(r.bound, 0, &id));
	ASSERT_OK(create(find("nvme"), r.dev));
	pci_config_write(func, PCI_COMMAND, &command, sizeof(command));
	start_nvme_queues(ram);
	wait_for_fault(fd);
	before = seconds();
	set(0, 0x14, 0, 4);
	while (csts & 1 && seconds() - before < 30)
		EXPECT_OK(pci_bar_read(func, 0, 0x1c, &csts, 4));
	EXPECT_TRUE(seconds() - before < 5);
	pci_func_reset(func);
	end_function();
	siommu_device_detach(r.bound, 0);
	ASSERT_OK(siommu_close_fd(ctx, fd));
	rig_end(&r);
}

static bool uses_pages(const struct pci_model *model)
{
	return !strcmp(model->name, "dsa") || !strcmp(model->name, "edu");
}

/* A driver that finds a capability enables it, and so shall find nobody who never uses it. */
TEST(capabilities_are_those_of_the_model)
{
	struct rig r = rig_new("");
	unsigned int i;

	for (i = 0; pci_models[i]; i++) {
		const bool uses = uses_pages(pci_models[i]);
		uint32_t cap2 = 0;

		ASSERT_OK(create(pci_models[i], r.dev));
		EXPECT_EQ(uses, !!pci_find_ext_cap(func, PCI_EXT_CAP_ID_ATS));
		EXPECT_EQ(uses, !!pci_find_ext_cap(func, PCI_EXT_CAP_ID_PRI));
		EXPECT_EQ(uses, !!pci_find_ext_cap(func, PCI_EXT_CAP_ID_PASID));
		/* End-end prefixes carry PASIDs. */
		pci_config_read(func, pci_find_cap(func, PCI_CAP_ID_EXP) + PCI_EXP_DEVCAP2, &cap2,
				sizeof(cap2));
		EXPECT_EQ(uses, !!(cap2 & PCI_EXP_DEVCAP2_EE_PREFIX));
		end_function();
	}
	rig_end(&r);
}

/* Of our threads, how many would a signal of the program's reach? */
static unsigned int open_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	char path[300], line[128];
	struct dirent *d;
	unsigned int n = 0;

	ASSERT_TRUE(dir);
	while ((d = readdir(dir))) {
		unsigned long long blocked = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", d->d_name);
		f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		while (fgets(line, sizeof(line), f))
			sscanf(line, "SigBlk: %llx", &blocked);
		fclose(f);
		n += !(blocked >> (SIGALRM - 1) & 1);
	}
	closedir(dir);
	return n;
}

TEST(threads_take_no_signals_of_the_program)
{
	struct rig r = rig_new("");
	unsigned int i, before = open_threads();

	for (i = 0; pci_models[i]; i++) {
		ASSERT_OK(create(pci_models[i], r.dev));
		EXPECT_EQ(before, open_threads());
		end_function();
	}
	rig_end(&r);
}
