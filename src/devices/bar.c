// SPDX-License-Identifier: MIT
/*
 * BARs: their memory, and accesses to them.
 *
 * What can be mapped of a BAR is a memory file that cannot change its size, so that
 * nobody who has it open can make the other side fault. Where registers are all that is to
 * be mapped, nobody but us can get a mapping that can be written to.
 *
 * An access is cut into pieces that a bus would carry: 1, 2, 4 or 8 bytes at a multiple of
 * their size. A write of 64 bytes to a multiple of 64 stays whole: processors have
 * instructions that promise that (MOVDIR64B, ENQCMD), and devices that rely on it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "func.h"

/* A number of linux/fcntl.h, which cannot be included beside fcntl.h. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static bool has_kind(const struct pci_bar *bar, enum pci_area_kind kind)
{
	unsigned int i;

	for (i = 0; i < bar->nareas; i++) {
		if (bar->areas[i].kind == kind)
			return true;
	}
	return false;
}

/* What @bar's registers read as goes into @fd, if there are any yet. */
static int copy_registers(const struct pci_bar *bar, int fd)
{
	unsigned int i;

	for (i = 0; bar->memory && i < bar->nareas; i++) {
		const struct pci_area *area = &bar->areas[i];

		if (area->kind == PCI_AREA_REGISTERS &&
		    pwrite(fd, bar->memory + area->offset, area->bytes, (off_t)area->offset) !=
			    (ssize_t)area->bytes)
			return -ENOMEM;
	}
	return 0;
}

/* A new file behind @bar's memory, which stays where it is if it is anywhere yet. */
static int make_memory(struct pci_bar *bar, const char *name, int *out)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *p;
	int fd;

	fd = memfd_create(*name ? name : "bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -EMFILE : -ENOMEM;
	if (ftruncate(fd, (off_t)bar->bytes) || copy_registers(bar, fd))
		goto err_close;
	p = mmap(bar->memory, bar->bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE | (bar->memory ? MAP_FIXED : 0), fd, 0);
	if (p == MAP_FAILED)
		goto err_close;
	bar->memory = p;
	/* A kernel before 5.1 does not know this one; it is not what anything relies on. */
	if (!has_kind(bar, PCI_AREA_MEMORY))
		(void)fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
	/* It cannot fail: the file is new and was made for this. */
	(void)fcntl(fd, F_ADD_SEALS, seals);
	*out = fd;
	return 0;

err_close:
	close(fd);
	return -ENOMEM;
}

static int bar_init(struct pci_bar *bar, const char *name)
{
	bar->memory = NULL;
	bar->memfd = -1;
	if (!has_kind(bar, PCI_AREA_REGISTERS) && !has_kind(bar, PCI_AREA_MEMORY))
		return 0;
	return make_memory(bar, name, &bar->memfd);
}

static void bar_fini(struct pci_bar *bar)
{
	if (bar->memory)
		munmap(bar->memory, bar->bytes);
	if (bar->memfd >= 0)
		close(bar->memfd);
}

int bars_init(struct pci_func *func)
{
	unsigned int i;
	int rc;

	for (i = 0; i < PCI_BARS; i++) {
		rc = bar_init(&func->desc.bars[i], func->name);
		if (rc)
			goto err_fini;
	}
	return 0;

err_fini:
	while (i--)
		bar_fini(&func->desc.bars[i]);
	return rc;
}

void bars_fini(struct pci_func *func)
{
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++)
		bar_fini(&func->desc.bars[i]);
}

int pci_bars_renew(struct pci_func *func)
{
	unsigned int i;
	int fd, rc;

	for (i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &func->desc.bars[i];

		if (bar->memfd < 0)
			continue;
		rc = make_memory(bar, func->name, &fd);
		if (rc)
			return rc;
		/* The number stays: it is what others know the file by. */
		(void)dup3(fd, bar->memfd, O_CLOEXEC);
		close(fd);
	}
	return 0;
}

void pci_bar_clear(struct pci_func *func, unsigned int bar)
{
	const struct pci_bar *b = &func->desc.bars[bar];

	if (b->memory && madvise(b->memory, b->bytes, MADV_REMOVE))
		memset(b->memory, 0, b->bytes);
}

/* The area that has @offset, or NULL; @end is where it, or the hole, ends. */
static const struct pci_area *find_area(const struct pci_bar *bar, u64 offset, u64 *end)
{
	unsigned int i;

	for (i = 0; i < bar->nareas; i++) {
		const struct pci_area *area = &bar->areas[i];

		if (offset < area->offset) {
			*end = area->offset;
			return NULL;
		}
		if (offset - area->offset < area->bytes) {
			*end = area->offset + area->bytes;
			return area;
		}
	}
	*end = bar->bytes;
	return NULL;
}

enum pci_area_kind pci_bar_area(const struct pci_func *func, unsigned int bar, u64 offset, u64 *end)
{
	const struct pci_area *area = find_area(&func->desc.bars[bar], offset, end);

	return area ? area->kind : PCI_AREA_TRAPPED;
}

/* Does the function decode accesses to its BARs? */
static bool answers(struct pci_func *func)
{
	if (atomic_load_explicit(&func->asleep, memory_order_relaxed))
		return false;
	return func->desc.vf ||
	       atomic_load_explicit(&func->command, memory_order_relaxed) & PCI_COMMAND_MEMORY;
}

static int check_range(struct pci_func *func, unsigned int bar, u64 offset, size_t n)
{
	u64 end;

	if (bar >= PCI_BARS || __builtin_add_overflow(offset, n, &end) ||
	    end > func->desc.bars[bar].bytes)
		return -EINVAL;
	return 0;
}

/* The largest piece of @n bytes at @offset that a bus carries. */
static unsigned int piece(u64 offset, size_t n)
{
	unsigned int bytes = 8;

	while (bytes > n || offset & (bytes - 1))
		bytes /= 2;
	return bytes;
}

/* Memory that others change at the same time, in one piece, as a bus would. */
static void load(const u8 *from, void *to, unsigned int bytes)
{
	u8 *out = to;
	u64 x;

	switch (bytes) {
	case 1:
		*out = __atomic_load_n(from, __ATOMIC_ACQUIRE);
		return;
	case 2:
		x = __atomic_load_n((const u16 *)(const void *)from, __ATOMIC_ACQUIRE);
		break;
	case 4:
		x = __atomic_load_n((const u32 *)(const void *)from, __ATOMIC_ACQUIRE);
		break;
	default:
		x = __atomic_load_n((const u64 *)(const void *)from, __ATOMIC_ACQUIRE);
		break;
	}
	memcpy(out, &x, bytes);
}

static void store(u8 *to, const void *from, unsigned int bytes)
{
	u64 x = 0;

	memcpy(&x, from, bytes);
	switch (bytes) {
	case 1:
		__atomic_store_n(to, (u8)x, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((u16 *)(void *)to, (u16)x, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((u32 *)(void *)to, (u32)x, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((u64 *)(void *)to, x, __ATOMIC_RELEASE);
		break;
	}
}

static void read_piece(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
		       unsigned int bytes)
{
	const struct pci_area *area;
	u64 end;

	if (irq_table_read(func, bar, offset, buf, bytes))
		return;
	area = find_area(&func->desc.bars[bar], offset, &end);
	if (!area || (area->kind == PCI_AREA_TRAPPED && !func->ops->read))
		memset(buf, 0, bytes);
	else if (area->kind == PCI_AREA_TRAPPED)
		func->ops->read(func, bar, offset, buf, bytes);
	else
		load(func->desc.bars[bar].memory + offset, buf, bytes);
}

int pci_bar_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf, size_t n)
{
	const int rc = check_range(func, bar, offset, n);
	u8 *out = buf;

	if (rc)
		return rc;
	while (n) {
		unsigned int bytes = piece(offset, n);

		pci_count(func, PCI_COUNT_REGISTER_READS, 1);
		if (answers(func))
			read_piece(func, bar, offset, out, bytes);
		else
			memset(out, 0xff, bytes);
		offset += bytes;
		out += bytes;
		n -= bytes;
	}
	return 0;
}

static void write_piece(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
			unsigned int bytes)
{
	const struct pci_area *area;
	u64 end;

	if (irq_table_write(func, bar, offset, buf, bytes))
		return;
	area = find_area(&func->desc.bars[bar], offset, &end);
	if (!area)
		return;
	if (area->kind == PCI_AREA_MEMORY)
		store(func->desc.bars[bar].memory + offset, buf, bytes);
	else if (func->ops->write)
		func->ops->write(func, bar, offset, buf, bytes);
}

/* Would this write reach the model as it is? */
static bool stays_whole(struct pci_func *func, unsigned int bar, u64 offset, size_t n)
{
	u64 end;

	if (n != 64 || offset & 63)
		return false;
	if (func->desc.msix_vectors && bar == func->desc.msix_bar &&
	    pci_bar_area(func, bar, offset, &end) == PCI_AREA_TRAPPED)
		return false;
	return pci_bar_area(func, bar, offset, &end) != PCI_AREA_MEMORY;
}

int pci_bar_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf, size_t n)
{
	const int rc = check_range(func, bar, offset, n);
	const u8 *in = buf;
	bool whole;

	if (rc)
		return rc;
	whole = stays_whole(func, bar, offset, n);
	if (whole && func->ops->enqueue) {
		pci_count(func, PCI_COUNT_REGISTER_WRITES, 1);
		return answers(func) && func->ops->enqueue(func, bar, offset, buf) ? 0 : -EAGAIN;
	}
	while (n) {
		unsigned int bytes = whole ? 64 : piece(offset, n);

		pci_count(func, PCI_COUNT_REGISTER_WRITES, 1);
		if (answers(func))
			write_piece(func, bar, offset, in, bytes);
		offset += bytes;
		in += bytes;
		n -= bytes;
	}
	return 0;
}
