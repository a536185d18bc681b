// SPDX-License-Identifier: MIT
/*
 * What a disk costs: NVMe commands through the whole stack, VFIO, IOMMU and model,
 * in this process (softiommu/vfio.h) and as a client of a server (--server, below
 * softiommu run), each beside what it cannot do without.
 *
 *	vfio_bench FILE                                     in process
 *	softiommu run --device nvme:file=FILE -- vfio_bench --server FILE
 *
 * FILE has 64 MiB, and stays in the page cache: the floor is pread(2) and pwrite(2) of
 * the same bytes. The driver here is as simple as a driver can be: it polls, and rings
 * a doorbell for all that it has reaped or added since. It rings in three ways: by a
 * write of the register (in process a call; under a server a store that is trapped), by
 * shadow doorbells (Doorbell Buffer Config), where the register is written only if the
 * controller sleeps, and with --poll by a store to memory that the controller polls,
 * which wants nvme:poll=on. --parts shows only what single accesses cost: that is best
 * measured on one processor, where waking the server does not include waking a
 * processor.
 *
 * Figures are the best of several runs, since others only ever add time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/vfio.h>
#include <softiommu/softiommu.h>

#define PAGE	   4096u
#define FILE_BYTES (64u << 20)
#define LARGE	   (128u << 10)
#define ENTRIES	   64u /* of a queue */
#define SLOTS	   32u /* commands at a time */
#define BLOCK	   512u

/* NVMe: registers, opcodes. */
enum { CAP = 0, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { CREATE_SQ = 1, CREATE_CQ = 5, BUFFER_CONFIG = 0x7c };
enum { WRITE = 1, READ = 2, VERIFY = 0x0c };

struct command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t nsid;
	uint64_t reserved, metadata, prp1, prp2;
	uint32_t cdw[6];
};

struct completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, id, status;
};

/* What we and the controller share. */
struct memory {
	struct command sq[2][ENTRIES];
	struct completion cq[2][PAGE / sizeof(struct completion)];
	uint32_t shadow[PAGE / 4];
	uint32_t event[PAGE / 4];
	uint64_t prps[SLOTS][LARGE / PAGE];
	uint8_t data[SLOTS][LARGE];
};

struct queue {
	unsigned int tail, head, rung_tail, rung_head, phase;
};

static bool server, quick;
static const char *path;
static int file, iommu, device, event_fd;
static struct siommu_machine *machine;
static struct siommu_unit *unit;
static struct siommu_device *dev;
static struct siommu_pci *pci;
static struct siommu_ctx *ctx;
static volatile uint8_t *bar, *bells; /* registers; doorbells where they are mapped */
static uint64_t bar_offset, iova;
static struct memory *memory;
static struct queue queues[2];
static enum ringing { REGISTER, SHADOW, POLLED } ringing;
static double copy_ns, pread_ns, trip_ns, doorbell_ns;
static unsigned int missed;

static void __attribute__((noreturn)) die(const char *what, long rc)
{
	fprintf(stderr, "vfio_bench: %s: %s\n", what, strerror((int)(rc < 0 ? -rc : rc)));
	exit(EXIT_FAILURE);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void __attribute__((format(printf, 2, 3))) aim(bool met, const char *fmt, ...)
{
	va_list ap;

	printf("aim %s: %s, ", met ? "met   " : "MISSED", server ? "server" : "in process");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	missed += !met;
}

/* --- the two ways to the device --- */

static void call(int fd, unsigned long request, void *arg, const char *what)
{
	long rc;

	if (server)
		rc = ioctl(fd, request, arg) < 0 ? -errno : 0;
	else if (fd == iommu)
		rc = siommu_ioctl(ctx, (unsigned int)request, arg);
	else
		rc = siommu_vfio_ioctl(machine, fd, request, arg);
	if (rc < 0)
		die(what, rc);
}

static ssize_t region_read(uint64_t offset, void *buf, size_t n)
{
	return server ? pread(device, buf, n, (off_t)offset)
		      : siommu_vfio_read(machine, device, buf, n, offset);
}

static ssize_t region_write(uint64_t offset, const void *buf, size_t n)
{
	return server ? pwrite(device, buf, n, (off_t)offset)
		      : siommu_vfio_write(machine, device, buf, n, offset);
}

static uint32_t load32(unsigned int offset)
{
	return *(volatile uint32_t *)(bar + offset);
}

/* In process there is nobody to catch a store, so it is a call. */
static void store32(unsigned int offset, uint32_t value)
{
	if (offset >= DOORBELLS && bells)
		*(volatile uint32_t *)(bells + offset - DOORBELLS) = value;
	else if (server)
		*(volatile uint32_t *)(bar + offset) = value;
	else
		(void)region_write(bar_offset + offset, &value, 4);
}

static void make_machine(void)
{
	char options[4200], error[256] = "";
	const struct siommu_unit_params u = { .size = sizeof(u), .model = "vtd" };
	struct siommu_device_params d = { .size = sizeof(d), .name = "nvme", .requester = 16 };
	const struct siommu_pci_params p = { .size = sizeof(p),
					     .model = "nvme",
					     .options = options };
	int rc;

	snprintf(options, sizeof(options), "file=%s%s", path, ringing == POLLED ? ",poll=on" : "");
	rc = siommu_machine_create(NULL, &machine);
	if (!rc)
		rc = siommu_unit_create(machine, &u, NULL, 0, &unit);
	d.unit = unit;
	if (!rc)
		rc = siommu_device_create(machine, &d, &dev);
	if (!rc)
		rc = siommu_pci_create(dev, &p, error, sizeof(error), &pci);
	if (rc)
		die(error[0] ? error : "a machine with a disk", rc);
}

static void open_files(void)
{
	if (server) {
		iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		device = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	} else {
		make_machine();
		if (siommu_open(machine, 0, &ctx))
			die("a context", ENOMEM);
		iommu = siommu_vfio_context(ctx);
		device = siommu_vfio_open(machine, "/dev/vfio/devices/vfio0", 0);
	}
	if (iommu < 0 || device < 0)
		die("opening /dev/vfio/devices/vfio0", device < -1 ? device : errno);
}

static void close_files(void)
{
	if (server)
		return;
	munmap((void *)(uintptr_t)bar, PAGE);
	if (bells)
		munmap((void *)(uintptr_t)bells, PAGE);
	siommu_vfio_close(machine, device);
	siommu_vfio_close(machine, iommu);
	siommu_close(ctx);
	siommu_pci_destroy(pci);
	siommu_device_destroy(dev);
	siommu_unit_destroy(unit);
	siommu_machine_destroy(machine);
}

/* --- the driver --- */

#define IOVA_OF(member) (iova + offsetof(struct memory, member))

static void *map_page(uint64_t offset, int prot)
{
	void *at = MAP_FAILED;
	int rc = 0;

	if (server)
		at = mmap(NULL, PAGE, prot, MAP_SHARED, device, (off_t)offset);
	else
		rc = siommu_vfio_mmap(machine, device, PAGE, prot, offset, &at);
	if (rc || at == MAP_FAILED)
		die("mapping BAR 0", rc ? rc : errno);
	return at;
}

static void map_bar(void)
{
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command = 6; /* memory, bus master */

	call(device, VFIO_DEVICE_GET_REGION_INFO, &info, "configuration space");
	if (region_write(info.offset + 4, &command, 2) != 2)
		die("the command register", EIO);
	info.index = VFIO_PCI_BAR0_REGION_INDEX;
	call(device, VFIO_DEVICE_GET_REGION_INFO, &info, "BAR 0");
	bar_offset = info.offset;
	bar = map_page(info.offset, server ? PROT_READ | PROT_WRITE : PROT_READ);
	if (server || ringing == POLLED)
		bells = map_page(info.offset + DOORBELLS, PROT_READ | PROT_WRITE);
}

static void attach(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.length = sizeof(*memory),
	};

	if (!memory)
		memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("memory", errno);
	memset(memory, 0, sizeof(*memory));
	call(device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "VFIO_DEVICE_BIND_IOMMUFD");
	call(iommu, IOMMU_IOAS_ALLOC, &ioas, "IOMMU_IOAS_ALLOC");
	pt.pt_id = ioas.out_ioas_id;
	call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)memory;
	call(iommu, IOMMU_IOAS_MAP, &map, "IOMMU_IOAS_MAP");
	iova = map.iova;
}

static void wait_ready(uint32_t ready)
{
	const double until = now_ns() + 10e9;

	while ((load32(CSTS) & 1) != ready)
		if (now_ns() > until)
			die("the controller does not become ready", ETIMEDOUT);
}

/* Does the controller, which said when it wants to be woken, want to be now? */
static bool wants_event(uint32_t event, uint32_t value, uint32_t old)
{
	return (uint16_t)(value - event - 1) < (uint16_t)(value - old);
}

static void ring(unsigned int doorbell, uint32_t value, uint32_t old)
{
	if (ringing == SHADOW && doorbell >= 2) {
		__atomic_store_n(&memory->shadow[doorbell], value, __ATOMIC_RELEASE);
		atomic_thread_fence(memory_order_seq_cst);
		if (!wants_event(__atomic_load_n(&memory->event[doorbell], __ATOMIC_RELAXED), value,
				 old))
			return;
	}
	atomic_thread_fence(memory_order_seq_cst);
	store32(DOORBELLS + doorbell * 4, value);
}

static void submit(unsigned int q, const struct command *cmd)
{
	struct queue *queue = &queues[q];

	memory->sq[q][queue->tail] = *cmd;
	queue->tail = (queue->tail + 1) % ENTRIES;
}

static void ring_tail(unsigned int q)
{
	struct queue *queue = &queues[q];

	if (queue->tail != queue->rung_tail)
		ring(2 * q, queue->tail, queue->rung_tail);
	queue->rung_tail = queue->tail;
}

static void ring_head(unsigned int q)
{
	struct queue *queue = &queues[q];

	if (queue->head != queue->rung_head)
		ring(2 * q + 1, queue->head, queue->rung_head);
	queue->rung_head = queue->head;
}

/* Return: false if there is none. */
static bool reap(unsigned int q, uint16_t *id)
{
	struct queue *queue = &queues[q];
	struct completion *done = &memory->cq[q][queue->head];
	uint16_t status = __atomic_load_n(&done->status, __ATOMIC_ACQUIRE);

	if ((status & 1) != queue->phase)
		return false;
	if (status >> 1 & 0x7ff)
		die("a command failed", EIO);
	*id = done->id;
	queue->head = (queue->head + 1) % ENTRIES;
	queue->phase ^= !queue->head;
	return true;
}

static void execute(unsigned int q, struct command cmd)
{
	const double until = now_ns() + 10e9;
	uint16_t id;

	submit(q, &cmd);
	ring_tail(q);
	while (!reap(q, &id))
		if (now_ns() > until)
			die("no answer to a command", ETIMEDOUT);
	ring_head(q);
}

static void set_interrupt(void)
{
	union {
		struct vfio_irq_set set;
		char room[sizeof(struct vfio_irq_set) + 2 * sizeof(int)];
	} irqs = { .set = { .argsz = sizeof(irqs.room),
			    .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    .index = VFIO_PCI_MSIX_IRQ_INDEX,
			    .count = 2 } };
	int fds[2] = { -1, eventfd(0, EFD_CLOEXEC) };

	event_fd = fds[1];
	memcpy(irqs.set.data, fds, sizeof(fds));
	call(device, VFIO_DEVICE_SET_IRQS, &irqs, "VFIO_DEVICE_SET_IRQS");
}

/* Queue pair 1, with or without interrupts. */
static void create_queues(bool interrupts)
{
	struct command cq = { .opcode = CREATE_CQ, .prp1 = IOVA_OF(cq[1]) };
	struct command sq = { .opcode = CREATE_SQ, .prp1 = IOVA_OF(sq[1]) };

	cq.cdw[0] = sq.cdw[0] = (ENTRIES - 1) << 16 | 1;
	cq.cdw[1] = interrupts ? 1 << 16 | 3 : 1;
	sq.cdw[1] = 1 << 16 | 1;
	execute(0, cq);
	execute(0, sq);
}

/* From the start, so that nothing is left of what was before. */
static void begin(bool interrupts)
{
	const enum ringing how = ringing;
	unsigned int i, j;

	if (ringing == SHADOW)
		ringing = REGISTER;
	store32(CC, 0);
	wait_ready(0);
	memset(queues, 0, sizeof(queues));
	memset(memory, 0, offsetof(struct memory, prps));
	queues[0].phase = queues[1].phase = 1;
	store32(AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	store32(ASQ, (uint32_t)IOVA_OF(sq[0]));
	store32(ASQ + 4, (uint32_t)(IOVA_OF(sq[0]) >> 32));
	store32(ACQ, (uint32_t)IOVA_OF(cq[0]));
	store32(ACQ + 4, (uint32_t)(IOVA_OF(cq[0]) >> 32));
	store32(CC, 1 | 6 << 16 | 4 << 20);
	wait_ready(1);
	ringing = how;
	if (ringing == SHADOW)
		execute(0, (struct command){ .opcode = BUFFER_CONFIG,
					     .prp1 = IOVA_OF(shadow),
					     .prp2 = IOVA_OF(event) });
	create_queues(interrupts);
	for (i = 0; i < SLOTS; i++)
		for (j = 0; j < LARGE / PAGE - 1; j++)
			memory->prps[i][j] = IOVA_OF(data[i]) + (j + 1) * PAGE;
}

/* --- a workload --- */

/**
 * struct load - commands
 * @name: for people
 * @opcode: READ, WRITE or VERIFY
 * @bytes: of each
 * @depth: how many at a time
 * @interrupts: wait by an eventfd, or poll
 */
struct load {
	const char *name;
	uint8_t opcode;
	uint32_t bytes;
	unsigned int depth;
	bool interrupts;
};

static uint32_t random_state = 1;

static uint64_t next_offset(const struct load *l, unsigned int i)
{
	if (l->bytes == LARGE)
		return (uint64_t)i * LARGE % FILE_BYTES;
	random_state = random_state * 1664525 + 1013904223;
	return (uint64_t)(random_state >> 8) % (FILE_BYTES / PAGE) * PAGE;
}

static void add(const struct load *l, unsigned int slot, unsigned int i)
{
	struct command cmd = { .opcode = l->opcode, .id = (uint16_t)slot, .nsid = 1 };
	uint64_t lba = next_offset(l, i) / BLOCK;

	cmd.prp1 = IOVA_OF(data[0]) + (uint64_t)slot * LARGE;
	if (l->bytes > 2 * PAGE)
		cmd.prp2 = IOVA_OF(prps[0]) + (uint64_t)slot * sizeof(memory->prps[0]);
	cmd.cdw[0] = (uint32_t)lba;
	cmd.cdw[2] = l->bytes / BLOCK - 1;
	submit(1, &cmd);
}

/* What a driver's thread that has nothing else to do does. */
static void wait_for_some(const struct load *l, unsigned int *idle)
{
	uint64_t n;

	if (l->interrupts) {
		ring_head(1);
		if (read(event_fd, &n, sizeof(n)) != sizeof(n))
			die("eventfd", errno);
	} else if (++*idle % 4096 == 0) {
		sched_yield(); /* on one processor the controller would never run */
	}
}

/* @n commands. Return: ns for each. */
static double run(const struct load *l, unsigned int n)
{
	unsigned int started = 0, done = 0, reaped, idle = 0;
	double start = now_ns();
	uint16_t id;

	for (; started < l->depth && started < n; started++)
		add(l, started, started);
	ring_tail(1);
	while (done < n) {
		for (reaped = 0; reap(1, &id); reaped++) {
			if (started < n)
				add(l, id, started++);
		}
		done += reaped;
		if (!reaped) {
			wait_for_some(l, &idle);
			continue;
		}
		idle = 0;
		ring_tail(1);
		ring_head(1);
	}
	return (now_ns() - start) / n;
}

static double best(const struct load *l)
{
	const double until = now_ns() + (quick ? 20e6 : 400e6);
	unsigned int n = quick ? 200 : l->bytes == LARGE ? 1000 : 10000;
	double ns, least = 1e30;

	begin(l->interrupts);
	run(l, 100);
	do {
		ns = run(l, n);
		least = ns < least ? ns : least;
	} while (now_ns() < until);
	return least;
}

/* --- floors, and what parts cost --- */

static double best_of(void (*fn)(void), unsigned int n)
{
	const double until = now_ns() + (quick ? 5e6 : 100e6);
	double start, ns, least = 1e30;
	unsigned int i;

	do {
		start = now_ns();
		for (i = 0; i < n; i++)
			fn();
		ns = (now_ns() - start) / n;
		least = ns < least ? ns : least;
	} while (now_ns() < until);
	return least;
}

static double file_ns(uint8_t opcode, uint32_t bytes)
{
	const struct load l = { .bytes = bytes };
	const double until = now_ns() + (quick ? 5e6 : 100e6);
	double start, ns, least = 1e30;
	unsigned int i, n = bytes == LARGE ? 500 : 5000;

	do {
		start = now_ns();
		for (i = 0; i < n; i++) {
			void *buf = memory->data[i % SLOTS];
			off_t at = (off_t)next_offset(&l, i);
			ssize_t got = opcode == WRITE ? pwrite(file, buf, bytes, at)
						      : pread(file, buf, bytes, at);

			if (got != (ssize_t)bytes)
				die(path, got < 0 ? errno : EIO);
		}
		ns = (now_ns() - start) / n;
		least = ns < least ? ns : least;
	} while (now_ns() < until);
	return least;
}

static void copy_page(void)
{
	static unsigned int i;

	memcpy(memory->data[i % SLOTS], memory->data[(i + 7) % SLOTS] + PAGE, PAGE);
	__asm__ volatile("" ::: "memory");
	i++;
}

static volatile uint32_t sink;

static void load_register(void)
{
	sink = load32(CSTS);
}

static void pread_register(void)
{
	uint32_t value;

	if (region_read(bar_offset + CSTS, &value, 4) != 4)
		die("pread of a register", errno);
}

/* The interrupt mask, which means nothing with MSI-X: as cheap as a register gets. */
static void pwrite_register(void)
{
	const uint32_t value = 0;

	if (region_write(bar_offset + 0xc, &value, 4) != 4)
		die("pwrite of a register", errno);
}

static void store_register(void)
{
	store32(0xc, 0);
}

static int trip_pair[2];

static void trip(void)
{
	char message[56] = "";

	if (send(trip_pair[0], message, sizeof(message), 0) != sizeof(message) ||
	    recv(trip_pair[0], message, sizeof(message), 0) != sizeof(message))
		die("a round trip", errno);
}

static double measure_trip(void)
{
	char message[56];
	double ns;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, trip_pair))
		die("socketpair", errno);
	pid = fork();
	if (!pid) {
		close(trip_pair[0]);
		while (recv(trip_pair[1], message, sizeof(message), 0) == sizeof(message))
			(void)!send(trip_pair[1], message, sizeof(message), 0);
		_exit(0);
	}
	close(trip_pair[1]);
	ns = best_of(trip, quick ? 100 : 2000);
	close(trip_pair[0]);
	waitpid(pid, NULL, 0);
	return ns;
}

static void show_parts(void)
{
	const char *store = server ? "a store to a mapped register, trapped" : "a register written";
	double load = best_of(load_register, 1000), pread_one = best_of(pread_register, 500);
	double pwrite_one = best_of(pwrite_register, 500);

	doorbell_ns = best_of(store_register, 500);
	printf("\n%-52s %9.1f ns\n", "memcpy() of 4 KiB", copy_ns);
	printf("%-52s %9.0f ns\n", "pread() of 4 KiB of the file", pread_ns);
	printf("%-52s %9.0f ns\n", "a bare round trip between two processes", trip_ns);
	printf("%-52s %9.1f ns\n", "a register loaded from its mapping", load);
	printf("%-52s %9.0f ns\n", "a register read by pread()", pread_one);
	printf("%-52s %9.0f ns\n", "a register written by pwrite()", pwrite_one);
	printf("%-52s %9.0f ns", store, doorbell_ns);
	if (server)
		printf(", %.2f of a bare round trip", doorbell_ns / trip_ns);
	printf("\n");
	if (server)
		aim(doorbell_ns < 2.5 * trip_ns,
		    "a trapped store takes %.2f of a bare round trip (< 2.5)",
		    doorbell_ns / trip_ns);
}

/* Reading 64 bytes through the IOMMU, less what copying them takes. */
static double translation_ns(void)
{
	uint8_t buf[64];
	struct siommu_port *port;
	double start, copied, least = 1e30, least_copy = 1e30;
	unsigned int i, j;

	if (server || siommu_port_create(dev, NULL, &port))
		return -1;
	for (j = 0; j < 200; j++) {
		start = now_ns();
		for (i = 0; i < 1000; i++) {
			memcpy(buf, memory->data[i % SLOTS], sizeof(buf));
			__asm__ volatile("" ::"r"(buf) : "memory");
		}
		copied = now_ns();
		for (i = 0; i < 1000; i++)
			(void)!siommu_dma_read(port, IOVA_OF(data[0]) + i % SLOTS * LARGE, buf,
					       sizeof(buf), 0);
		least = now_ns() - copied < least ? now_ns() - copied : least;
		least_copy = copied - start < least_copy ? copied - start : least_copy;
	}
	siommu_port_destroy(port);
	return (least - least_copy) / 1000;
}

/* --- the figures --- */

static const struct load loads[] = {
	{ "verify 4 KiB at random, depth 1", VERIFY, PAGE, 1, false },
	{ "verify 4 KiB at random, depth 32", VERIFY, PAGE, 32, false },
	{ "read 4 KiB at random, depth 1", READ, PAGE, 1, false },
	{ "read 4 KiB at random, depth 1, interrupts", READ, PAGE, 1, true },
	{ "read 4 KiB at random, depth 32", READ, PAGE, 32, false },
	{ "read 4 KiB at random, depth 32, interrupts", READ, PAGE, 32, true },
	{ "write 4 KiB at random, depth 32", WRITE, PAGE, 32, false },
	{ "read 128 KiB in order, depth 1", READ, LARGE, 1, false },
	{ "read 128 KiB in order, depth 32", READ, LARGE, 32, false },
	{ "write 128 KiB in order, depth 1", WRITE, LARGE, 1, false },
	{ "write 128 KiB in order, depth 32", WRITE, LARGE, 32, false },
};

#define NLOADS (sizeof(loads) / sizeof(loads[0]))

/* All of them; Return: the figures in @ns. */
static void show_loads(const char *title, double *ns)
{
	size_t i;

	printf("\n%-44s %9s %9s %9s %9s\n", title, "us", "kIOPS", "MB/s", "/file");
	for (i = 0; i < NLOADS; i++) {
		const struct load *l = &loads[i];
		double floor = file_ns(l->opcode, l->bytes);

		ns[i] = best(l);
		printf("%-44s %9.2f %9.1f %9.0f %9.2f\n", l->name, ns[i] / 1e3, 1e6 / ns[i],
		       l->bytes * 1e3 / ns[i], ns[i] / floor);
		fflush(stdout);
	}
}

/* Where the time of a 4 KiB read at depth 1 goes. */
static void show_split(const double *ns)
{
	const double translation = translation_ns();

	printf("\nof a read of 4 KiB at depth 1, %.0f ns:\n", ns[2]);
	printf("  the same without the data's way to memory (verify)    %6.0f ns\n", ns[0]);
	if (ringing == REGISTER)
		printf("  two doorbells                                         %6.0f ns\n",
		       2 * doorbell_ns);
	printf("  pread() of the file                                   %6.0f ns\n", pread_ns);
	printf("  a copy of 4 KiB                                       %6.0f ns\n", copy_ns);
	if (translation >= 0)
		printf("  translation of its page                               %6.1f ns\n",
		       translation);
	printf("  an interrupt, if asked for                            %6.0f ns\n",
	       ns[3] > ns[2] ? ns[3] - ns[2] : 0);
}

static void measure(enum ringing how)
{
	static const char *const titles[] = {
		[REGISTER] = "doorbells are registers",
		[SHADOW] = "shadow doorbells",
		[POLLED] = "doorbells are memory, polled",
	};
	double ns[NLOADS], large;

	ringing = how;
	show_loads(titles[how], ns);
	large = file_ns(READ, LARGE);
	if (how != POLLED)
		show_split(ns);
	if (how != REGISTER)
		aim(ns[4] < 3 * pread_ns,
		    "a read of 4 KiB at depth 32 takes %.2f of pread(), %s (< 3)", ns[4] / pread_ns,
		    titles[how]);
	/* A trapped doorbell takes longer than the command that it announces. */
	if (how == REGISTER && server)
		return;
	aim(ns[8] < 1.5 * large, "a read of 128 KiB at depth 32 takes %.2f of pread(), %s (< 1.5)",
	    ns[8] / large, titles[how]);
}

static void start(void)
{
	open_files();
	attach();
	map_bar();
	set_interrupt();
}

static void open_file(void)
{
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, FILE_BYTES))
		die(path, errno);
	/* In the page cache, as pages and not as holes. */
	for (unsigned int i = 0; i < FILE_BYTES / LARGE; i++) {
		static uint8_t bytes[LARGE];

		memset(bytes, (int)i, sizeof(bytes));
		if (pwrite(file, bytes, LARGE, (off_t)i * LARGE) != LARGE)
			die(path, errno);
	}
}

int main(int argc, char **argv)
{
	bool polled = false, parts = false;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		server |= !strcmp(argv[i], "--server");
		quick |= !strcmp(argv[i], "--quick");
		polled |= !strcmp(argv[i], "--poll");
		parts |= !strcmp(argv[i], "--parts");
	}
	if (i + 1 != argc) {
		fprintf(stderr, "usage: vfio_bench [--server] [--poll | --parts] [--quick] FILE\n");
		return EXIT_FAILURE;
	}
	path = argv[i];
	ringing = polled ? POLLED : REGISTER;
	open_file();
	start();
	pread_ns = file_ns(READ, PAGE);
	copy_ns = best_of(copy_page, 1000);
	trip_ns = measure_trip();
	printf("%s%s\n", server ? "Through the server" : "In process",
	       polled ? ", doorbells polled" : "");
	if (polled) {
		measure(POLLED);
	} else {
		begin(false);
		show_parts();
		if (!parts) {
			measure(REGISTER);
			measure(SHADOW);
		}
	}
	close_files();
	return missed && !quick ? 3 : 0;
}
