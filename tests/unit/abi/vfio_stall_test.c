// SPDX-License-Identifier: MIT
/*
 * A program that holds up its own context, container or device holds up nobody else: while
 * one is stuck, another opens, binds, attaches, resets and closes a device of its own.
 *
 * What makes it stuck is a page that faults until the test says otherwise, as one that
 * userfaultfd holds back. Who is held up as well runs out of time, and the test fails.
 */
#include <pthread.h>
#include <signal.h>

#include "nesting_rig.h"
#include "vfio_rig.h"

/* Time for others, and for a thread to get as far as it can. */
#define PATIENCE_S 20
#define SETTLE_US  50000

/* Of bus 1 in group 0, and of bus 2 in group 1. */
#define STUCK	     "0000:01:00.0"
#define STUCK_TOO    "0000:01:01.0"
#define OTHER	     "0000:02:00.0"
#define STUCK_GROUP  "/dev/vfio/0"
#define OTHER_GROUP  "/dev/vfio/1"
#define OTHER_CDEV   "/dev/vfio/devices/vfio2"
#define RESET_ON_BUS "\x0c\0\0\0\0\0\0\0\0\0\0\0"

static struct {
	uint8_t *page;
	_Atomic unsigned int waiting;
	_Atomic bool open;
	struct sigaction before;
} trap;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)trap.page;

	(void)context;
	if (at >= PAGE) {
		sigaction(sig, &trap.before, NULL);
		return;
	}
	trap.waiting++;
	while (!trap.open)
		usleep(1000);
}

static void trap_begin(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	trap.page = buffer(PAGE);
	trap.waiting = 0;
	trap.open = false;
	ASSERT_OK(sigaction(SIGSEGV, &action, &trap.before));
}

static void trap_close(void)
{
	ASSERT_OK(mprotect(trap.page, PAGE, PROT_NONE));
}

static bool trap_wait(void)
{
	unsigned int tries = 0;

	while (!trap.waiting && tries++ < PATIENCE_S * 1000)
		usleep(1000);
	return trap.waiting;
}

static void trap_open(void)
{
	EXPECT_OK(mprotect(trap.page, PAGE, PROT_READ | PROT_WRITE));
	trap.open = true;
}

static void trap_end(void)
{
	EXPECT_OK(sigaction(SIGSEGV, &trap.before, NULL));
}

static void add_at(uint32_t requester, uint32_t group)
{
	const unsigned int n = pci_rig.n;
	const struct siommu_device_params device = {
		.size = sizeof(device),
		.name = "edu",
		.group = group,
		.unit = pci_rig.unit,
		.requester = requester,
	};
	const struct siommu_pci_params params = { .size = sizeof(params), .model = "edu" };

	ASSERT_OK(siommu_device_create(machine, &device, &pci_rig.dev[n]));
	ASSERT_OK(siommu_pci_create(pci_rig.dev[n], &params, NULL, 0, &pci_rig.pci[n]));
	pci_rig.n++;
}

static void stall_begin(void)
{
	pci_rig_begin();
	add_at(0x100, 7);
	add_at(0x108, 7);
	add_at(0x200, 0);
	trap_begin();
}

static void stall_end(void)
{
	trap_end();
	pci_rig_end();
}

static void other_cdev(int context, uint32_t ioas)
{
	int fd = siommu_vfio_open(machine, OTHER_CDEV, 0);

	EXPECT_OK(bind_to(fd, context));
	EXPECT_OK(attach_to(fd, ioas));
	EXPECT_OK(vcall(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_OK(vcall(fd, VFIO_DEVICE_PCI_HOT_RESET, (char[]){ RESET_ON_BUS }));
	EXPECT_OK(detach_pt(fd));
	EXPECT_OK(siommu_vfio_close(machine, fd));
}

static void other_group(int container, bool typed)
{
	int group = siommu_vfio_open(machine, OTHER_GROUP, 0);
	uint32_t flags;
	long device;

	EXPECT_OK(set_container(group, container));
	if (typed)
		EXPECT_OK(vcall_value(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_OK(get_status(group, &flags));
	device = get_device(group, OTHER);
	EXPECT_TRUE(device >= 0);
	EXPECT_OK(vcall((int)device, VFIO_DEVICE_RESET, NULL));
	EXPECT_OK(siommu_vfio_close(machine, (int)device));
	EXPECT_OK(siommu_vfio_close(machine, group));
}

/* All that somebody with another device does with it. */
static void *other(void *arg)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_vfio_ioas compat = { .size = sizeof(compat), .op = IOMMU_VFIO_IOAS_SET };
	struct siommu_ctx *c;
	int context, container;

	(void)arg;
	EXPECT_OK(siommu_open(machine, 0, &c));
	EXPECT_OK(siommu_ioctl(c, IOMMU_IOAS_ALLOC, &ioas));
	compat.ioas_id = ioas.out_ioas_id;
	EXPECT_OK(siommu_ioctl(c, IOMMU_VFIO_IOAS, &compat));
	context = siommu_vfio_context(c);
	other_cdev(context, ioas.out_ioas_id);
	other_group(context, false);
	container = siommu_vfio_open(machine, "/dev/vfio/vfio", 0);
	other_group(container, true);
	EXPECT_OK(siommu_vfio_close(machine, container));
	EXPECT_OK(siommu_vfio_close(machine, context));
	siommu_close(c);
	return NULL;
}

/* A request in a thread of its own: it may get stuck. */
struct request {
	pthread_t thread;
	int fd;
	unsigned long request;
	void *arg;
	long rc;
};

static void *run(void *arg)
{
	struct request *r = arg;

	r->rc = vcall(r->fd, r->request, r->arg);
	return NULL;
}

static void send(struct request *r, int fd, unsigned long request, void *arg)
{
	*r = (struct request){ .fd = fd, .request = request, .arg = arg };
	ASSERT_OK(pthread_create(&r->thread, NULL, run, r));
}

static long answer(struct request *r)
{
	EXPECT_OK(pthread_join(r->thread, NULL));
	return r->rc;
}

/* With somebody stuck: does this go on? Then let go. */
static void expect_goes_on(void *(*other_program)(void *arg))
{
	struct timespec until;
	pthread_t thread;
	bool done;

	EXPECT_TRUE(trap_wait());
	/* Whoever waits for the one who is stuck has come as far as it can. */
	usleep(SETTLE_US);
	ASSERT_OK(pthread_create(&thread, NULL, other_program, NULL));
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	done = !pthread_timedjoin_np(thread, NULL, &until);
	EXPECT_TRUE(done);
	trap_open();
	if (!done)
		pthread_join(thread, NULL);
}

static void expect_others_go_on(void)
{
	expect_goes_on(other);
}

/* Its context's lock is held while the answer is written. */
static void stick_context(struct request *r, int context, struct iommu_ioas_iova_ranges *cmd)
{
	*cmd = (struct iommu_ioas_iova_ranges){
		.size = sizeof(*cmd),
		.ioas_id = new_ioas(),
		.num_iovas = 16,
		.allowed_iovas = addr(trap.page),
	};
	trap_close();
	send(r, context, IOMMU_IOAS_IOVA_RANGES, cmd);
}

TEST(a_context_that_is_stuck_while_a_device_is_bound)
{
	struct iommu_ioas_iova_ranges ranges;
	struct request stuck, bind;
	struct siommu_vfio_bind cmd = { .argsz = sizeof(cmd) };
	int fd;

	stall_begin();
	fd = vopen_ok(CDEV0);
	cmd.iommufd = siommu_vfio_context(ctx);
	stick_context(&stuck, cmd.iommufd, &ranges);
	EXPECT_TRUE(trap_wait());
	send(&bind, fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
	expect_others_go_on();
	EXPECT_OK(answer(&stuck));
	EXPECT_OK(answer(&bind));
	vclose(fd);
	vclose(cmd.iommufd);
	stall_end();
}

TEST(a_context_that_is_stuck_while_a_group_is_given_to_it)
{
	int context = siommu_vfio_context(ctx), group;
	struct iommu_ioas_iova_ranges ranges;
	struct request stuck, give;

	stall_begin();
	group = vopen_ok(STUCK_GROUP);
	stick_context(&stuck, context, &ranges);
	EXPECT_TRUE(trap_wait());
	send(&give, group, VFIO_GROUP_SET_CONTAINER, &context);
	expect_others_go_on();
	EXPECT_OK(answer(&stuck));
	EXPECT_OK(answer(&give));
	vclose(group);
	vclose(context);
	stall_end();
}

static void *close_it(void *arg)
{
	vclose(*(int *)arg);
	return NULL;
}

TEST(a_container_that_is_stuck_while_devices_are_opened_and_closed)
{
	struct vfio_iommu_type1_dma_map *map;
	struct request stuck, open;
	struct legacy l;
	pthread_t closing;

	stall_begin();
	l = legacy_open(STUCK_GROUP, STUCK, VFIO_TYPE1v2_IOMMU);
	map = (void *)trap.page;
	*map = (struct vfio_iommu_type1_dma_map){ .argsz = sizeof(*map) };
	trap_close();
	send(&stuck, l.container, VFIO_IOMMU_MAP_DMA, map);
	EXPECT_TRUE(trap_wait());
	send(&open, l.group, VFIO_GROUP_GET_DEVICE_FD, (void *)STUCK_TOO);
	ASSERT_OK(pthread_create(&closing, NULL, close_it, &l.device));
	expect_others_go_on();
	EXPECT_RC(-EINVAL, answer(&stuck));
	EXPECT_OK(pthread_join(closing, NULL));
	l.device = (int)answer(&open);
	if (l.device < 0)
		EXPECT_OK(l.device);
	legacy_close(&l);
	stall_end();
}

/* A write to memory that does not answer. */
static void stick_device(int fd)
{
	set_master(fd);
	set_reg64(fd, BAR0 + EDU_ADDR, 0x10000);
	set_reg64(fd, BAR0 + EDU_LENGTH, 64);
	set_reg64(fd, BAR0 + EDU_BUFFER, 0);
	trap_close();
	set_reg32(fd, BAR0 + EDU_COMMAND, EDU_OP_WRITE);
}

static void stuck_in_dma(unsigned long request, void *arg)
{
	struct request reset;
	struct cdev c;
	uint32_t ioas;

	stall_begin();
	c = cdev_open(CDEV0);
	ioas = new_ioas();
	ASSERT_OK(map_at(ioas, trap.page, PAGE, 0x10000));
	ASSERT_OK(attach_to(c.fd, ioas));
	stick_device(c.fd);
	EXPECT_TRUE(trap_wait());
	send(&reset, c.fd, request, arg);
	expect_others_go_on();
	EXPECT_OK(answer(&reset));
	cdev_close(&c);
	stall_end();
}

TEST(a_device_that_is_stuck_in_dma_while_it_is_reset)
{
	stuck_in_dma(VFIO_DEVICE_RESET, NULL);
}

TEST(a_device_that_is_stuck_in_dma_while_its_bus_is_reset)
{
	stuck_in_dma(VFIO_DEVICE_PCI_HOT_RESET, (char[]){ RESET_ON_BUS });
}

static struct guest other_guest;

static void *other_pasids(void *arg)
{
	const int container = other_guest.vfio.container;
	FILE *out = fopen("/dev/null", "w");

	(void)arg;
	EXPECT_RC(3, pasid_alloc(container, 3, 3));
	EXPECT_OK(pgtbl_bind(container, 3, ROOT));
	EXPECT_OK(cache_invld(container, inv_pasid(IOMMU_CACHE_INV_TYPE_IOTLB, 3)));
	EXPECT_OK(pgtbl_unbind(container, 3));
	EXPECT_OK(pasid_free(container, 0, 0x7fffffff));
	legacy_close(&other_guest.vfio);
	siommu_machine_show(machine, out);
	fclose(out);
	return NULL;
}

/* A context that does not trust stands for another process, with PASIDs of its own. */
static void stuck_with_pasids(unsigned long request)
{
	struct request stuck, waiting;
	struct legacy l;

	pci_rig_begin_with("vtd", NULL, &vtd_able);
	pci_rig_add(0, NULL);
	pci_rig_add(0, NULL);
	trap_begin();
	l = legacy_open("/dev/vfio/0", NAME0, NESTING);
	unit.variant = SIOMMU_OPEN_CHECKED;
	other_guest.vfio = legacy_open("/dev/vfio/1", NAME1, NESTING);
	guest_memory(&other_guest);
	trap_close();
	send(&stuck, l.container, request, trap.page);
	EXPECT_TRUE(trap_wait());
	send(&waiting, l.container, VFIO_IOMMU_PASID_REQUEST, trap.page);
	expect_goes_on(other_pasids);
	/* There are zeroes. */
	EXPECT_RC(-EINVAL, answer(&stuck));
	EXPECT_RC(-EINVAL, answer(&waiting));
	legacy_close(&l);
	trap_end();
	pci_rig_end();
}

TEST(a_program_that_is_stuck_while_it_asks_for_pasids)
{
	stuck_with_pasids(VFIO_IOMMU_PASID_REQUEST);
}

TEST(a_program_that_is_stuck_while_it_binds_a_table)
{
	stuck_with_pasids(VFIO_IOMMU_NESTING_OP);
}
