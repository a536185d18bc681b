// SPDX-License-Identifier: MIT
/* Interrupts: each kind, in all forms of SET_IRQS. */
#include <pthread.h>
#include <signal.h>

#include "vfio_rig.h"

static long irq_info(int fd, uint32_t index, uint32_t argsz, struct vfio_irq_info *info)
{
	*info = (struct vfio_irq_info){ .argsz = argsz, .index = index };
	return vcall(fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

TEST_BOTH(info_says_how_each_kind_works)
{
	struct cdev c = cdev_begin();
	struct vfio_irq_info info;

	EXPECT_RC(-EINVAL, irq_info(c.fd, INTX, 15, &info));
	EXPECT_RC(-EINVAL, irq_info(c.fd, 5, 16, &info));
	EXPECT_OK(irq_info(c.fd, INTX, 16, &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED,
		  info.flags);
	EXPECT_OK(irq_info(c.fd, MSI, 16, &info));
	EXPECT_EQ(16, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_OK(irq_info(c.fd, MSIX, 16, &info));
	EXPECT_EQ(16, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD, info.flags);
	EXPECT_OK(irq_info(c.fd, ERR, 16, &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_OK(irq_info(c.fd, REQ, 16, &info));
	EXPECT_EQ(1, info.count);
	cdev_end(&c);
}

TEST_BOTH(requests_are_checked_before_anything_else)
{
	struct cdev c = cdev_begin();
	struct irq_set set = { .head = { sizeof(set.head), NONE | TRIGGER, INTX, 0, 0 } };
	int event = new_event();

	set.head.argsz = 19;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_SET_IRQS, &set));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, 5, 0, 0, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER | 1 << 6, INTX, 0, 0, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, TRIGGER, INTX, 0, 0, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | BOOL | TRIGGER, INTX, 0, 0, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, INTX, 1, 0, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, MSIX, 16, 1, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, MSIX, 8, 9, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, MSIX, 1, UINT32_MAX - 1, NULL));
	/* Less data than it says. */
	set.head.argsz = sizeof(set.head) + 3;
	set.head.flags = EVENTFD | TRIGGER;
	set.head.count = 1;
	EXPECT_RC(-EINVAL, vcall(c.fd, VFIO_DEVICE_SET_IRQS, &set));
	/* What there is no action for; and two at once. */
	EXPECT_RC(-ENOTTY, set_irqs(c.fd, NONE, INTX, 0, 1, NULL));
	EXPECT_RC(-ENOTTY, set_irqs(c.fd, NONE | MASK, MSI, 0, 1, NULL));
	EXPECT_RC(-ENOTTY, set_irqs(c.fd, NONE | UNMASK, MSIX, 0, 1, NULL));
	EXPECT_RC(-ENOTTY, set_irqs(c.fd, NONE | MASK, ERR, 0, 1, NULL));
	EXPECT_RC(-ENOTTY, set_irqs(c.fd, NONE | MASK | TRIGGER, INTX, 0, 1, NULL));
	/* Nothing is set up. */
	EXPECT_RC(-EINVAL, irqs_off(c.fd, INTX));
	EXPECT_RC(-EINVAL, irqs_off(c.fd, MSI));
	EXPECT_RC(-EINVAL, irqs_off(c.fd, MSIX));
	EXPECT_RC(-EINVAL, irqs_off(c.fd, ERR));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, MSIX, 0, 1, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | MASK, INTX, 0, 1, NULL));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | UNMASK, INTX, 0, 1, NULL));
	EXPECT_RC(-ERANGE, set_irqs(c.fd, EVENTFD | TRIGGER, MSIX, 0, 0, NULL));
	close(event);
	cdev_end(&c);
}

TEST(triggers_are_eventfds)
{
	static const uint32_t kinds[] = { INTX, MSI, MSIX, ERR, REQ };
	struct cdev c = cdev_begin();
	int file = memfd_create("no eventfd", MFD_CLOEXEC);
	size_t i;

	for (i = 0; i < 5; i++) {
		EXPECT_RC(-EBADF, set_eventfd(c.fd, kinds[i], 0, 900));
		EXPECT_RC(-EINVAL, set_eventfd(c.fd, kinds[i], 0, file));
	}
	/* And nothing of that is left. */
	for (i = 0; i < 5; i++)
		EXPECT_RC(-EINVAL, irqs_off(c.fd, kinds[i]));
	close(file);
	cdev_end(&c);
}

TEST(the_pin_is_a_level_that_masks_itself)
{
	struct cdev c = cdev_begin();
	int event = new_event();

	ASSERT_OK(set_eventfd(c.fd, INTX, 0, event));
	EXPECT_EQ(0, events(event));
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_EQ(1, events(event));
	/* Masked: a second edge, or the same level, says nothing. */
	set_reg32(c.fd, BAR0 + EDU_INT_ACK, 1);
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 2);
	EXPECT_EQ(0, events(event));
	/* Still raised: said again at once. */
	ASSERT_OK(set_irqs(c.fd, NONE | UNMASK, INTX, 0, 1, NULL));
	EXPECT_EQ(1, events(event));
	ASSERT_OK(set_irqs(c.fd, NONE | UNMASK, INTX, 0, 1, NULL));
	EXPECT_EQ(1, events(event));
	set_reg32(c.fd, BAR0 + EDU_INT_ACK, 2);
	ASSERT_OK(set_irqs(c.fd, NONE | UNMASK, INTX, 0, 1, NULL));
	EXPECT_EQ(0, events(event));
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_EQ(1, events(event));
	ASSERT_OK(irqs_off(c.fd, INTX));
	set_reg32(c.fd, BAR0 + EDU_INT_ACK, 1);
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_EQ(0, events(event));
	/* Set up while it is raised. */
	ASSERT_OK(set_eventfd(c.fd, INTX, 0, event));
	EXPECT_EQ(1, events(event));
	close(event);
	cdev_end(&c);
}

TEST_BOTH(the_pin_is_masked_by_request)
{
	struct cdev c = cdev_begin();
	uint8_t off = 0, on = 1;
	int event = new_event(), other = new_event();

	ASSERT_OK(set_eventfd(c.fd, INTX, 0, event));
	EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | MASK, INTX, 0, 0, NULL));
	EXPECT_OK(set_irqs(c.fd, BOOL | MASK, INTX, 0, 1, &off));
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_EQ(1, events(event));
	set_reg32(c.fd, BAR0 + EDU_INT_ACK, 1);
	EXPECT_OK(set_irqs(c.fd, BOOL | UNMASK, INTX, 0, 1, &on));
	EXPECT_OK(set_irqs(c.fd, NONE | MASK, INTX, 0, 1, NULL));
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_EQ(0, events(event));
	EXPECT_OK(set_irqs(c.fd, BOOL | UNMASK, INTX, 0, 1, &off));
	EXPECT_EQ(0, events(event));
	EXPECT_OK(set_irqs(c.fd, BOOL | UNMASK, INTX, 0, 1, &on));
	EXPECT_EQ(1, events(event));
	EXPECT_RC(-ENOTTY, set_irqs(c.fd, EVENTFD | MASK, INTX, 0, 1, &event));
	/* The eventfd can be changed while it is in use, and be none. */
	EXPECT_OK(set_eventfd(c.fd, INTX, 0, other));
	EXPECT_OK(set_irqs(c.fd, NONE | UNMASK, INTX, 0, 1, NULL));
	EXPECT_EQ(0, events(event));
	EXPECT_EQ(1, events(other));
	EXPECT_OK(set_eventfd(c.fd, INTX, 0, -1));
	EXPECT_OK(set_irqs(c.fd, NONE | UNMASK, INTX, 0, 1, NULL));
	EXPECT_EQ(0, events(other));
	close(event);
	close(other);
	cdev_end(&c);
}

TEST(the_command_register_masks_the_pin)
{
	struct cdev c = cdev_begin();
	int event = new_event();

	set_cfg16(c.fd, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	ASSERT_OK(set_eventfd(c.fd, INTX, 0, event));
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_EQ(0, events(event));
	/* Not even by hand. */
	EXPECT_OK(set_irqs(c.fd, NONE | TRIGGER, INTX, 0, 1, NULL));
	EXPECT_OK(set_irqs(c.fd, NONE | UNMASK, INTX, 0, 1, NULL));
	EXPECT_EQ(0, events(event));
	set_cfg16(c.fd, PCI_COMMAND, PCI_COMMAND_MEMORY);
	EXPECT_EQ(1, events(event));
	set_cfg16(c.fd, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	set_reg32(c.fd, BAR0 + EDU_INT_ACK, 1);
	set_cfg16(c.fd, PCI_COMMAND, PCI_COMMAND_MEMORY);
	EXPECT_EQ(0, events(event));
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_EQ(1, events(event));
	close(event);
	cdev_end(&c);
}

static bool wait_for(int event)
{
	struct pollfd p = { .fd = event, .events = POLLIN };

	return poll(&p, 1, 5000) == 1 && events(event);
}

/* Write 1 to what the device reads, and wait until it has. */
static void pull(int unmask)
{
	struct pollfd p = { .fd = unmask, .events = POLLIN };
	unsigned int tries = 0;

	EXPECT_OK(eventfd_write(unmask, 1));
	while (poll(&p, 1, 0) == 1 && tries++ < 5000)
		usleep(1000);
	EXPECT_TRUE(tries < 5000);
}

TEST(an_eventfd_unmasks_the_pin)
{
	struct cdev c = cdev_begin();
	int event = new_event(), unmask = new_event(), none = -1, file;

	ASSERT_OK(set_eventfd(c.fd, INTX, 0, event));
	EXPECT_OK(set_irqs(c.fd, EVENTFD | UNMASK, INTX, 0, 1, &none));
	file = memfd_create("no eventfd", MFD_CLOEXEC);
	EXPECT_RC(-EINVAL, set_irqs(c.fd, EVENTFD | UNMASK, INTX, 0, 1, &file));
	close(file);
	EXPECT_OK(set_irqs(c.fd, EVENTFD | UNMASK, INTX, 0, 1, &unmask));
	EXPECT_RC(-EBUSY, set_irqs(c.fd, EVENTFD | UNMASK, INTX, 0, 1, &unmask));
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_TRUE(wait_for(event));
	/* Raised still. */
	pull(unmask);
	EXPECT_TRUE(wait_for(event));
	set_reg32(c.fd, BAR0 + EDU_INT_ACK, 1);
	pull(unmask);
	set_reg32(c.fd, BAR0 + EDU_INT_RAISE, 1);
	EXPECT_TRUE(wait_for(event));
	EXPECT_OK(set_irqs(c.fd, EVENTFD | UNMASK, INTX, 0, 1, &none));
	EXPECT_OK(eventfd_write(unmask, 1));
	usleep(20000);
	EXPECT_EQ(1, events(unmask));
	EXPECT_EQ(0, events(event));
	/* Closed with the device still waiting for it. */
	EXPECT_OK(set_irqs(c.fd, EVENTFD | UNMASK, INTX, 0, 1, &unmask));
	cdev_end(&c);
	close(event);
	close(unmask);
}

static volatile sig_atomic_t taken;

static void take_signal(int signal)
{
	(void)signal;
	taken = 1;
}

/* A program that waits for its signals gets them, whoever waits for an eventfd. */
TEST(the_programs_signals_are_not_ours)
{
	struct cdev c = cdev_begin();
	int event = new_event(), unmask = new_event(), got = 0;
	sigset_t set;

	signal(SIGUSR1, take_signal);
	ASSERT_OK(set_eventfd(c.fd, INTX, 0, event));
	EXPECT_OK(set_irqs(c.fd, EVENTFD | UNMASK, INTX, 0, 1, &unmask));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	usleep(20000);
	EXPECT_TRUE(!taken);
	if (!taken)
		sigwait(&set, &got);
	EXPECT_EQ(SIGUSR1, got);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	cdev_end(&c);
	close(event);
	close(unmask);
}

TEST_BOTH(vectors_go_to_their_eventfds)
{
	static const uint32_t kinds[] = { MSI, MSIX };
	struct cdev c = cdev_begin();
	uint8_t bools[4] = { 0, 1, 0, 1 };
	int e[4], i, k;

	set_master(c.fd);
	for (i = 0; i < 4; i++)
		e[i] = new_event();
	for (k = 0; k < 2; k++) {
		ASSERT_OK(set_irqs(c.fd, EVENTFD | TRIGGER, kinds[k], 0, 4, e));
		for (i = 0; i < 4; i++)
			set_reg32(c.fd, BAR0 + EDU_MESSAGE, (uint32_t)i);
		set_reg32(c.fd, BAR0 + EDU_MESSAGE, 2);
		for (i = 0; i < 4; i++)
			EXPECT_EQ(i == 2 ? 2 : 1, events(e[i]));
		/* Of the other kinds there is none meanwhile. */
		EXPECT_RC(-EINVAL, set_eventfd(c.fd, INTX, 0, e[0]));
		EXPECT_RC(-EINVAL, set_eventfd(c.fd, kinds[!k], 0, e[0]));
		EXPECT_RC(-EINVAL, irqs_off(c.fd, kinds[!k]));
		/* By hand. */
		EXPECT_OK(set_irqs(c.fd, NONE | TRIGGER, kinds[k], 1, 2, NULL));
		EXPECT_OK(set_irqs(c.fd, BOOL | TRIGGER, kinds[k], 0, 4, bools));
		EXPECT_EQ(0, events(e[0]));
		EXPECT_EQ(2, events(e[1]));
		EXPECT_EQ(1, events(e[2]));
		EXPECT_EQ(1, events(e[3]));
		/* A vector that leads nowhere. */
		EXPECT_OK(set_eventfd(c.fd, kinds[k], 1, -1));
		set_reg32(c.fd, BAR0 + EDU_MESSAGE, 1);
		EXPECT_EQ(0, events(e[1]));
		EXPECT_OK(irqs_off(c.fd, kinds[k]));
		set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
		EXPECT_EQ(0, events(e[0]));
	}
	for (i = 0; i < 4; i++)
		close(e[i]);
	cdev_end(&c);
}

/* As QEMU does: one vector without an eventfd first, others when they are needed. */
TEST(msix_grows_and_msi_does_not)
{
	struct cdev c = cdev_begin();
	int e = new_event(), other = new_event();

	set_master(c.fd);
	ASSERT_OK(set_eventfd(c.fd, MSIX, 0, -1));
	ASSERT_OK(set_eventfd(c.fd, MSIX, 0, other));
	EXPECT_OK(set_eventfd(c.fd, MSIX, 15, e));
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 15);
	EXPECT_EQ(1, events(e));
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(other));
	EXPECT_OK(irqs_off(c.fd, MSIX));
	ASSERT_OK(set_eventfd(c.fd, MSI, 0, e));
	EXPECT_RC(-EINVAL, set_eventfd(c.fd, MSI, 1, other));
	EXPECT_OK(set_eventfd(c.fd, MSI, 1, -1));
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(e));
	/* The device is not told of more than was set up. */
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 1);
	EXPECT_EQ(0, events(e));
	close(e);
	close(other);
	cdev_end(&c);
}

TEST(a_bad_descriptor_takes_what_was_set_with_it)
{
	struct cdev c = cdev_begin();
	int e[3] = { new_event(), new_event(), 900 };

	set_master(c.fd);
	EXPECT_RC(-EBADF, set_irqs(c.fd, EVENTFD | TRIGGER, MSIX, 0, 3, e));
	/* The first use failed, so nothing is set up. */
	EXPECT_RC(-EINVAL, irqs_off(c.fd, MSIX));
	ASSERT_OK(set_irqs(c.fd, EVENTFD | TRIGGER, MSIX, 0, 2, e));
	EXPECT_RC(-EBADF, set_irqs(c.fd, EVENTFD | TRIGGER, MSIX, 1, 2, e + 1));
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 1);
	EXPECT_EQ(1, events(e[0]));
	EXPECT_EQ(0, events(e[1]));
	EXPECT_OK(irqs_off(c.fd, MSIX));
	close(e[0]);
	close(e[1]);
	cdev_end(&c);
}

TEST_BOTH(errors_and_requests_have_triggers_of_their_own)
{
	static const uint32_t kinds[] = { ERR, REQ };
	struct cdev c = cdev_begin();
	uint8_t off = 0, on = 1;
	int event = new_event(), i;

	for (i = 0; i < 2; i++) {
		EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, kinds[i], 0, 1, NULL));
		EXPECT_OK(set_irqs(c.fd, BOOL | TRIGGER, kinds[i], 0, 1, &on));
		EXPECT_RC(-EINVAL, set_irqs(c.fd, EVENTFD | TRIGGER, kinds[i], 0, 0, NULL));
		EXPECT_RC(-EINVAL, set_irqs(c.fd, BOOL | TRIGGER, kinds[i], 0, 0, NULL));
		EXPECT_OK(set_eventfd(c.fd, kinds[i], 0, event));
		EXPECT_OK(set_irqs(c.fd, NONE | TRIGGER, kinds[i], 0, 1, NULL));
		EXPECT_OK(set_irqs(c.fd, BOOL | TRIGGER, kinds[i], 0, 1, &off));
		EXPECT_EQ(1, events(event));
		EXPECT_OK(set_irqs(c.fd, BOOL | TRIGGER, kinds[i], 0, 1, &on));
		EXPECT_EQ(1, events(event));
		EXPECT_RC(-EINVAL, set_eventfd(c.fd, kinds[i], 0, -2));
		EXPECT_OK(set_eventfd(c.fd, kinds[i], 0, -1));
		EXPECT_RC(-EINVAL, irqs_off(c.fd, kinds[i]));
		EXPECT_OK(set_eventfd(c.fd, kinds[i], 0, event));
		EXPECT_OK(irqs_off(c.fd, kinds[i]));
		EXPECT_RC(-EINVAL, set_irqs(c.fd, NONE | TRIGGER, kinds[i], 0, 1, NULL));
		/* Left for the close. */
		EXPECT_OK(set_eventfd(c.fd, kinds[i], 0, event));
	}
	close(event);
	cdev_end(&c);
}

/* Somebody has filled the count of an eventfd that waits: the device must not. */
TEST(an_eventfd_that_is_full_does_not_hold_the_device_up)
{
	struct cdev c = cdev_begin();
	int full = eventfd(0, EFD_CLOEXEC);
	uint64_t count = UINT64_MAX - 1;

	set_master(c.fd);
	ASSERT_EQ(8, write(full, &count, 8));
	ASSERT_OK(set_eventfd(c.fd, MSIX, 0, full));
	alarm(20);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	EXPECT_OK(set_irqs(c.fd, NONE | TRIGGER, MSIX, 0, 1, NULL));
	ASSERT_EQ(8, read(full, &count, 8));
	EXPECT_TRUE(count >= UINT64_MAX - 1);
	set_reg32(c.fd, BAR0 + EDU_MESSAGE, 0);
	EXPECT_EQ(1, events(full));
	alarm(0);
	close(full);
	cdev_end(&c);
}

struct shooter {
	int fd;
	_Atomic bool stop;
};

static void *shoot(void *arg)
{
	struct shooter *s = arg;
	const uint32_t vector = 3;

	while (!s->stop)
		if (siommu_vfio_write(machine, s->fd, &vector, 4, BAR0 + EDU_MESSAGE) != 4)
			break;
	return NULL;
}

TEST(triggers_change_while_the_device_interrupts)
{
	struct cdev c = cdev_begin();
	struct shooter s = { .fd = c.fd };
	int e = new_event(), i;
	pthread_t thread;

	set_master(c.fd);
	ASSERT_OK(pthread_create(&thread, NULL, shoot, &s));
	for (i = 0; i < 300; i++) {
		EXPECT_OK(set_eventfd(c.fd, MSIX, 3, e));
		if (i % 3 == 0)
			EXPECT_OK(set_eventfd(c.fd, MSIX, 3, -1));
		if (i % 50 == 0)
			EXPECT_OK(vcall(c.fd, VFIO_DEVICE_RESET, NULL));
		EXPECT_OK(irqs_off(c.fd, MSIX));
	}
	s.stop = true;
	pthread_join(thread, NULL);
	close(e);
	cdev_end(&c);
}
