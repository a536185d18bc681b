// SPDX-License-Identifier: MIT
/*
 * Faults of a device that is opened in a nesting container: two regions and an interrupt,
 * behind those that all devices have.
 *
 * Each region is a header in its first page and a ring behind it. The header is read and
 * written by system calls and is ours; the ring is memory that the program maps. In the
 * fault region we put records, and the program says with the header's tail how far it has
 * read; in the response region it is the other way round, and what a program has put there
 * is taken while it says so.
 *
 * A program can do to a ring what it likes. Records are written there and never looked at
 * again; responses are read once. Where we are in a ring is known from the header alone,
 * whose numbers are checked when they are written. A tail that is wrong makes records come
 * late, or not at all: that concerns the program, and nobody else.
 *
 * A full ring takes no record. The IOMMU answers a page request that is lost so.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/legacy.h"
#include "vfio.h"

#define ENTRIES 512

/* The ring begins behind the header's page. */
#define HEADER_BYTES PAGE_BYTES

/**
 * struct ring - memory behind a region
 * @fd: it, for programs to map
 * @memory: the same
 * @entry_bytes: of a record
 * @head: the next record to be written, by whoever does that
 * @tail: the next record to be read
 */
struct ring {
	int fd;
	u8 *memory;
	u32 entry_bytes;
	u32 head;
	u32 tail;
};

/**
 * struct vfio_faults - what an opening has for the faults of its device
 * @open: the opening
 * @dev: the device in its container's domain
 * @responding: held while responses are taken
 * @lock: covers heads and tails; a leaf
 * @records: we write
 * @responses: the program writes
 */
struct vfio_faults {
	struct vfio_open *open;
	struct legacy_dev *dev;
	pthread_mutex_t responding;
	pthread_mutex_t lock;
	struct ring records;
	struct ring responses;
};

static u64 ring_bytes(const struct ring *ring)
{
	return align_up((u64)ENTRIES * ring->entry_bytes, PAGE_BYTES);
}

static u64 region_bytes(const struct ring *ring)
{
	return HEADER_BYTES + ring_bytes(ring);
}

static u32 next_of(u32 index)
{
	return (index + 1) % ENTRIES;
}

static int make_memory(struct ring *ring, const char *name)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *p;

	ring->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ring->fd < 0)
		return errno == EMFILE || errno == ENFILE ? -EMFILE : -ENOMEM;
	/* Sealed, or a program could take the memory away under our feet. */
	if (ftruncate(ring->fd, (off_t)ring_bytes(ring)) || fcntl(ring->fd, F_ADD_SEALS, seals))
		goto err_close;
	p = mmap(NULL, ring_bytes(ring), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (p == MAP_FAILED)
		goto err_close;
	ring->memory = p;
	return 0;

err_close:
	close(ring->fd);
	return -ENOMEM;
}

static void end_memory(struct ring *ring)
{
	munmap(ring->memory, ring_bytes(ring));
	close(ring->fd);
}

/* A fault of the device's: put it into the ring. */
static int on_fault(void *arg, const struct iommu_fault *fault)
{
	struct vfio_faults *f = arg;
	struct ring *ring = &f->records;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	if (next_of(ring->head) == ring->tail) {
		rc = -ENOSPC;
	} else {
		memcpy(ring->memory + ring->head * sizeof(*fault), fault, sizeof(*fault));
		ring->head = next_of(ring->head);
	}
	pthread_mutex_unlock(&f->lock);
	if (!rc)
		vfio_irq_fault(f->open);
	return rc;
}

static int make_rings(struct vfio_faults *f)
{
	int rc;

	f->records.entry_bytes = sizeof(struct iommu_fault);
	f->responses.entry_bytes = sizeof(struct iommu_page_response);
	rc = make_memory(&f->records, "vfio-faults");
	if (rc)
		return rc;
	rc = make_memory(&f->responses, "vfio-responses");
	if (rc)
		end_memory(&f->records);
	return rc;
}

static void end_rings(struct vfio_faults *f)
{
	end_memory(&f->responses);
	end_memory(&f->records);
}

int vfio_faults_start(struct vfio_open *open, struct legacy_dev *dev)
{
	struct base_alloc *alloc = &open->pci->bus->machine->alloc;
	struct vfio_faults *f;
	int rc;

	f = base_zalloc(alloc, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->open = open;
	f->dev = dev;
	rc = make_rings(f);
	if (rc)
		goto err_free;
	pthread_mutex_init(&f->responding, NULL);
	pthread_mutex_init(&f->lock, NULL);
	rc = legacy_dev_set_handler(dev, on_fault, f);
	if (rc)
		goto err_rings;
	open->faults = f;
	return 0;

err_rings:
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->responding);
	end_rings(f);
err_free:
	base_free(alloc, f, sizeof(*f));
	return rc;
}

void vfio_faults_stop(struct vfio_open *open)
{
	struct vfio_faults *f = open->faults;

	if (!f)
		return;
	legacy_dev_drop_handler(f->dev);
	open->faults = NULL;
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->responding);
	end_rings(f);
	base_free(&open->pci->bus->machine->alloc, f, sizeof(*f));
}

static struct ring *ring_of(const struct vfio_open *open, u64 index)
{
	if (!open->faults)
		return NULL;
	switch (index) {
	case VFIO_FAULT_REGION_INDEX:
		return &open->faults->records;
	case VFIO_RESPONSE_REGION_INDEX:
		return &open->faults->responses;
	default:
		return NULL;
	}
}

bool vfio_faults_has_region(const struct vfio_open *open, u64 index)
{
	return ring_of(open, index);
}

/* The first page as it reads. Of the two headers, head and tail stand in opposite places. */
static void get_header(struct vfio_faults *f, const struct ring *ring, u8 *page)
{
	struct vfio_region_dma_fault header = {
		.entry_size = ring->entry_bytes,
		.nb_entries = ENTRIES,
		.offset = HEADER_BYTES,
	};
	bool ours = ring == &f->records;

	pthread_mutex_lock(&f->lock);
	header.tail = ours ? ring->tail : ring->head;
	header.head = ours ? ring->head : ring->tail;
	pthread_mutex_unlock(&f->lock);
	memset(page, 0, HEADER_BYTES);
	memcpy(page, &header, sizeof(header));
}

ssize_t vfio_faults_read(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			 u64 index, u64 pos)
{
	const struct ring *ring = ring_of(open, index);
	u8 page[HEADER_BYTES];
	size_t first = 0;
	int rc = 0;

	if (pos >= region_bytes(ring))
		return -EINVAL;
	n = min_u64(n, region_bytes(ring) - pos);
	if (pos < HEADER_BYTES) {
		get_header(open->faults, ring, page);
		first = min_u64(n, HEADER_BYTES - pos);
		rc = task_copy_out(task, ubuf, page + pos, first);
	}
	if (!rc && first < n)
		rc = task_copy_out(task, ubuf + first, ring->memory + (pos + first - HEADER_BYTES),
				   n - first);
	return rc ? rc : (ssize_t)n;
}

/* The program can be changing it: this is the only look at it. */
static struct iommu_page_response read_response(const struct ring *ring, u32 index)
{
	const volatile u32 *words =
		(const volatile u32 *)(ring->memory + index * ring->entry_bytes);

	return (struct iommu_page_response){
		.argsz = words[0],
		.version = words[1],
		.flags = words[2],
		.pasid = words[3],
		.grpid = words[4],
		.code = words[5],
	};
}

static void set_index(struct vfio_faults *f, u32 *index, u32 value)
{
	pthread_mutex_lock(&f->lock);
	*index = value;
	pthread_mutex_unlock(&f->lock);
}

/* Responses up to @head are there. What becomes of each the program is not told. */
static void take_responses(struct vfio_faults *f, u32 head)
{
	struct ring *ring = &f->responses;
	struct iommu_page_response response;

	pthread_mutex_lock(&f->responding);
	set_index(f, &ring->head, head);
	while (ring->tail != head) {
		response = read_response(ring, ring->tail);
		(void)!legacy_page_response(f->dev, &response);
		set_index(f, &ring->tail, next_of(ring->tail));
	}
	pthread_mutex_unlock(&f->responding);
}

ssize_t vfio_faults_write(struct vfio_open *open, struct siommu_task *task, u64 ubuf, size_t n,
			  u64 index, u64 pos)
{
	struct vfio_faults *f = open->faults;
	u32 value;
	int rc;

	if (pos || n != sizeof(value))
		return -EINVAL;
	rc = task_copy_in(task, &value, ubuf, sizeof(value));
	if (rc)
		return rc;
	if (value >= ENTRIES)
		return -EINVAL;
	if (index == VFIO_FAULT_REGION_INDEX)
		set_index(f, &f->records.tail, value);
	else
		take_responses(f, value);
	return (ssize_t)n;
}

int vfio_faults_mmap(struct vfio_open *open, u64 index, u64 start, u64 length,
		     struct mem_mapping *out)
{
	const struct ring *ring = ring_of(open, index);
	u64 end;

	if (!length || start % PAGE_BYTES || start < HEADER_BYTES ||
	    __builtin_add_overflow(start, length, &end) || end > region_bytes(ring))
		return -EINVAL;
	*out = (struct mem_mapping){ .offset = start - HEADER_BYTES };
	out->fd = fcntl(ring->fd, F_DUPFD_CLOEXEC, 0);
	if (out->fd < 0)
		return errno == EMFILE ? -EMFILE : -ENOMEM;
	return 0;
}

/* What follows the answer of GET_REGION_INFO. */
struct fault_caps {
	struct vfio_region_info_cap_type type;
	u8 sparse[sizeof(struct vfio_region_info_cap_sparse_mmap) +
		  sizeof(struct vfio_region_sparse_mmap_area)] __attribute__((aligned(8)));
	struct vfio_region_info_cap_fault fault;
};

_Static_assert(sizeof(struct fault_caps) <= VFIO_FAULT_CAPS_BYTES, "room for it is elsewhere");

/* Offsets in the chain count from the start of the answer. */
static void set_header(struct vfio_info_cap_header *header, u16 id, size_t next)
{
	header->id = id;
	header->version = 1;
	header->next = next ? (u32)(sizeof(struct vfio_region_info) + next) : 0;
}

size_t vfio_faults_region_info(const struct vfio_open *open, struct vfio_region_info *info,
			       void *caps)
{
	const struct ring *ring = ring_of(open, info->index);
	const bool ours = ring == &open->faults->records;
	struct fault_caps c = { 0 };
	struct vfio_region_info_cap_sparse_mmap *sparse = (void *)c.sparse;

	info->size = region_bytes(ring);
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		      VFIO_REGION_INFO_FLAG_MMAP;
	set_header(&c.type.header, VFIO_REGION_INFO_CAP_TYPE, offsetof(struct fault_caps, sparse));
	c.type.type = VFIO_REGION_TYPE_NESTED;
	c.type.subtype = ours ? VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT
			      : VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT_RESPONSE;
	set_header(&sparse->header, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
		   offsetof(struct fault_caps, fault));
	sparse->nr_areas = 1;
	sparse->areas[0].offset = HEADER_BYTES;
	sparse->areas[0].size = ring_bytes(ring);
	set_header(&c.fault.header,
		   ours ? VFIO_REGION_INFO_CAP_DMA_FAULT : VFIO_REGION_INFO_CAP_DMA_FAULT_RESPONSE,
		   0);
	c.fault.version = 1;
	memcpy(caps, &c, sizeof(c));
	return sizeof(c);
}

long vfio_faults_irq_info(struct siommu_task *task, u64 arg, u32 argsz)
{
	const struct vfio_irq_info_cap_type cap = {
		.header = { .id = VFIO_IRQ_INFO_CAP_TYPE, .version = 1 },
		.type = VFIO_IRQ_TYPE_NESTED,
		.subtype = VFIO_IRQ_SUBTYPE_DMA_FAULT,
	};
	struct siommu_vfio_irq_info info = {
		.argsz = argsz,
		.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE | VFIO_IRQ_INFO_FLAG_CAPS,
		.index = VFIO_FAULT_IRQ_INDEX,
		.count = 1,
	};
	int rc;

	if (argsz < sizeof(info) + sizeof(cap)) {
		info.argsz = sizeof(info) + sizeof(cap);
	} else {
		info.cap_offset = sizeof(info);
		rc = task_copy_out(task, arg + sizeof(info), &cap, sizeof(cap));
		if (rc)
			return rc;
	}
	return task_copy_out(task, arg, &info, min_u64(argsz, sizeof(info)));
}
