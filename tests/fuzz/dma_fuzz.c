// SPDX-License-Identifier: MIT
/*
 * Fuzzing the data path: a guest that writes what it likes into its tables, and a
 * device that asks for what it likes.
 *
 * The input is a model with options and a small program. The guest's memory is a
 * few pages; some of them its device may write, some it may only read, some are
 * not mapped for it at all, and which ones changes. Tables, device-table and
 * stream-table entries, context descriptors and invalidations are bytes of the
 * input; so are the addresses of the requests.
 *
 * Whatever happens: memory that may not be written never changes, what is not
 * mapped is never read, a translation leads to mapped memory, and a request that
 * is refused has a fault with a reason. Around the guest's memory there is none at
 * all.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "fuzz.h"

#define PAGE	  4096ull
#define MAX_STEPS 96
#define PAGES	  24
#define SECRETS	  4	      /* the last pages: never mapped */
#define IPA	  (16 * PAGE) /* of the first one: no table is at 0 */
#define SECRET	  0x5ec2e75ec2e75ec2ull

enum state {
	NONE,
	READ_ONLY,
	WRITABLE,
};

/**
 * struct config - a model to try
 * @model: its name
 * @options: its options
 * @width: bytes of what an HWPT is made of
 * @data_type: and what that is
 * @viommu: type of the vIOMMU that it is made through; 0 for none
 * @inv_bytes: of an invalidation; 0 if there are none
 * @inv_type: what it is
 */
struct config {
	const char *model;
	const char *options;
	uint32_t width;
	uint32_t data_type;
	uint32_t viommu;
	uint32_t inv_bytes;
	uint32_t inv_type;
};

#define AMD(options)                                                                               \
	{                                                                                          \
		"amd", options, sizeof(struct iommu_hwpt_amd_guest), IOMMU_HWPT_DATA_AMD_GUEST, 0, \
			0, 0                                                                       \
	}
#define VTD(options)                                                                               \
	{                                                                                          \
		"vtd", options, sizeof(struct iommu_hwpt_vtd_s1), IOMMU_HWPT_DATA_VTD_S1, 0,       \
			sizeof(struct iommu_hwpt_vtd_s1_invalidate),                               \
			IOMMU_HWPT_INVALIDATE_DATA_VTD_S1                                          \
	}
#define SMMUV3(options)                                                                            \
	{                                                                                          \
		"smmuv3", options, sizeof(struct iommu_hwpt_arm_smmuv3),                           \
			IOMMU_HWPT_DATA_ARM_SMMUV3, IOMMU_VIOMMU_TYPE_ARM_SMMUV3,                  \
			sizeof(struct iommu_viommu_arm_smmuv3_invalidate),                         \
			IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3                                    \
	}

static const struct config configs[] = {
	AMD("nested"), AMD("nested,hats=6,gats=5"), VTD(""), VTD("aw=57"),
	SMMUV3(""),    SMMUV3("httu=on"),
};

#define NCONFIGS (sizeof(configs) / sizeof(configs[0]))

/* Ports: without a PASID, and with two. */
#define NPORTS 3
static const uint32_t pasids[NPORTS] = { 0, 1, 5 };

static struct {
	struct input in;
	const struct config *config;
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *ports[NPORTS];
	struct siommu_port *port; /* the one in use */
	uint32_t dev_id, ioas, parent, viommu, nested;
	bool attached;
	bool tracking;
	enum state state[PAGES];
	uint8_t *memory;
	uint8_t copy[PAGES][PAGE]; /* of what may not change */
} w;

static void broken(const char *what, uint64_t value)
{
	fprintf(stderr, "dma_fuzz: %s %s: %s (%#llx)\n", w.config->model, w.config->options, what,
		(unsigned long long)value);
	abort();
}

static uint64_t *word(unsigned int page, unsigned int index)
{
	return (uint64_t *)(void *)(w.memory + page * PAGE) + index;
}

static bool is_secret(unsigned int page)
{
	return page >= PAGES - SECRETS;
}

/* What may not be written has not been. */
static void check_memory(void)
{
	unsigned int page;

	for (page = 0; page < PAGES; page++)
		if (w.state[page] != WRITABLE && memcmp(w.copy[page], w.memory + page * PAGE, PAGE))
			broken("memory was written that may not be", page);
}

/* The guest, or another device of its own, writes to its memory. */
static void guest_write(unsigned int page, unsigned int index, uint64_t value)
{
	if (is_secret(page))
		return;
	*word(page, index) = value;
	memcpy(&w.copy[page][index * 8], &value, 8);
}

static int call(unsigned long request, void *cmd)
{
	return siommu_ioctl(w.ctx, request, cmd);
}

static void map_page(unsigned int page, bool writable)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = w.ioas,
		.user_va = (uintptr_t)w.memory + page * PAGE,
		.length = PAGE,
		.iova = IPA + page * PAGE,
	};

	if (!call(IOMMU_IOAS_MAP, &cmd))
		w.state[page] = writable ? WRITABLE : READ_ONLY;
}

static void unmap_page(unsigned int page)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = w.ioas,
		.iova = IPA + page * PAGE,
		.length = PAGE,
	};

	if (call(IOMMU_IOAS_UNMAP, &cmd))
		broken("cannot unmap", page);
	w.state[page] = NONE;
	/* From now on nobody writes to it. */
	memcpy(w.copy[page], w.memory + page * PAGE, PAGE);
}

static int hwpt_alloc(uint32_t pt, unsigned int flags, uint32_t type, const void *data,
		      uint32_t len, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = w.dev_id,
		.pt_id = pt,
		.data_type = type,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	int rc = call(IOMMU_HWPT_ALLOC, &cmd);

	if (!rc)
		*id = cmd.out_hwpt_id;
	return rc;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	if (call(IOMMU_DESTROY, &cmd))
		broken("cannot destroy", id);
}

/* Attach, or replace what is. Return: did it work? */
static bool attach(uint32_t pt)
{
	int rc = w.attached ? siommu_device_replace(w.bound, 0, &pt)
			    : siommu_device_attach(w.bound, 0, &pt);

	w.attached |= !rc;
	return !rc;
}

/*
 * What the input says
 */

static unsigned int take_page(void)
{
	return take_u8(&w.in) % PAGES;
}

/* A selector: the address of a page with bits below and above it, or RAW. */
static uint64_t take_entry(void)
{
	uint8_t s = take_u8(&w.in);
	uint64_t low, high;

	if (s >= RAW)
		return take(&w.in, 8);
	low = take(&w.in, 2) & 0xfff;
	high = take_u8(&w.in);
	return (IPA + s % PAGES * PAGE) | low | high << 56;
}

/* A selector: an index of each level, two bits each; then an offset; or RAW. */
static uint64_t take_iova(void)
{
	static const uint64_t indexes[] = { 0, 1, 2, 511 };
	uint8_t s = take_u8(&w.in);
	uint64_t iova;
	unsigned int i;

	if (s >= RAW)
		return take(&w.in, 8);
	iova = take(&w.in, 2) & 0xfff;
	for (i = 0; i < 4; i++)
		iova |= indexes[s >> 2 * i & 3] << (12 + 9 * i);
	return iova;
}

/* The guest's pages as they are for the device, or what take_iova() makes. */
static uint64_t take_address(void)
{
	uint8_t s = take_u8(&w.in);

	if (s < 0x40)
		return IPA + s % PAGES * PAGE + (take(&w.in, 2) & 0xfff);
	return take_iova();
}

/*
 * Requests
 */

static void check_refused(int rc, uint64_t iova, uint64_t length)
{
	const struct siommu_fault *fault = siommu_dma_fault(w.port);

	if (rc != -EFAULT || !fault)
		broken("refused without a fault", (uint64_t)rc);
	if (!fault->reason && !(fault->flags & SIOMMU_FAULT_SILENT))
		broken("refused without a reason", iova);
	if (length && fault->iova - iova >= length)
		broken("the fault is somewhere else", fault->iova);
}

static bool is_message_window(uint64_t address)
{
	return address >> 20 == 0xfee || address >> 20 == 0x80;
}

/* [@hpa, @hpa + @bytes - 1] is memory that may be accessed this way. */
static void check_target(uint64_t hpa, uint64_t bytes, unsigned int access)
{
	uint64_t first = hpa - (uintptr_t)w.memory, page;

	if (is_message_window(hpa))
		return;
	if (!bytes || first >= PAGES * PAGE || bytes > PAGES * PAGE - first)
		broken("translated to somewhere else", hpa);
	for (page = first / PAGE; page <= (first + bytes - 1) / PAGE; page++)
		if (w.state[page] == NONE ||
		    (access & SIOMMU_DMA_WRITE && w.state[page] != WRITABLE))
			broken("translated to what is not mapped", page);
}

static void check_read(const uint8_t *buf, size_t n)
{
	const uint64_t secret = SECRET;
	size_t i;

	for (i = 0; i + 8 <= n; i++)
		if (!memcmp(buf + i, &secret, 8))
			broken("what is not mapped was read", i);
}

static unsigned int take_access(void)
{
	return take_u8(&w.in) &
	       (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV);
}

static void step_read(void)
{
	uint64_t iova = take_address();
	size_t length = take(&w.in, 2) % (3 * PAGE);
	unsigned int access = take_access() & (SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV);
	uint8_t buf[3 * PAGE];
	int rc = siommu_dma_read(w.port, iova, buf, length, access);

	if (!rc)
		check_read(buf, length);
	else if (rc != -EINVAL || iova + length >= iova)
		check_refused(rc, iova, length);
}

static void step_write(void)
{
	uint64_t iova = take_address();
	size_t length = take(&w.in, 2) % (3 * PAGE);
	uint8_t buf[3 * PAGE];
	unsigned int access = take_access() & SIOMMU_DMA_PRIV;
	int rc;

	memset(buf, take_u8(&w.in), length);
	rc = siommu_dma_write(w.port, iova, buf, length, access);
	if (rc && (rc != -EINVAL || iova + length >= iova))
		check_refused(rc, iova, length);
}

static void step_atomic(void)
{
	uint64_t iova = take_address(), old;
	uint8_t s = take_u8(&w.in);
	size_t length = s & 1 ? 4 : 8;
	uint64_t operand = take_entry();
	int rc = siommu_dma_atomic(w.port, s / 2 % 3, iova, length, operand, s, &old,
				   take_access() & SIOMMU_DMA_PRIV);

	if (rc && (rc != -EINVAL || !(iova & (length - 1))))
		check_refused(rc, iova, length);
}

static void step_translate(void)
{
	unsigned int access = take_access();
	uint64_t iova = take_address(), hpa, bytes;
	int rc = siommu_dma_translate(w.port, iova, access, &hpa, &bytes);

	if (rc)
		check_refused(rc, iova, 1);
	else
		check_target(hpa, is_message_window(hpa) ? 1 : bytes, access);
}

static void no_step(void *arg, const struct siommu_walk_step *step)
{
	(void)arg;
	if (!step->what)
		broken("a step without a name", step->address);
}

/* A walk changes nothing, and ends as the request does. */
static void step_walk(void)
{
	unsigned int access = take_access();
	uint64_t iova = take_address(), hpa, walked;
	uint8_t before[PAGES][PAGE];
	int rc;

	memcpy(before, w.memory, sizeof(before));
	rc = siommu_dma_walk(w.port, iova, access, no_step, NULL, &walked);
	if (memcmp(before, w.memory, sizeof(before)))
		broken("a walk has changed something", iova);
	if (rc) {
		check_refused(rc, iova, 1);
		return;
	}
	check_target(walked, 1, access);
	if (!siommu_dma_translate(w.port, iova, access, &hpa, NULL))
		check_target(hpa, 1, access);
}

static void step_ats(void)
{
	unsigned int access = take_access();
	uint64_t iova = take_address(), delta = take_entry();
	struct siommu_ats ats = { 0 };
	uint8_t buf[64] = { 0 };
	int rc = siommu_dma_ats_translate(w.port, iova, access, &ats);

	if (rc && rc != -EOPNOTSUPP && rc != -EFAULT && rc != -EINVAL)
		broken("an unlikely error", (uint64_t)rc);
	/* As granted, and anything else. */
	if (!rc && ats.access & SIOMMU_DMA_READ && ats.bytes >= 64) {
		if (siommu_dma_ats_read(w.port, ats.address, buf, 64))
			broken("what was granted is refused", ats.address);
		check_read(buf, 64);
	}
	if (!rc && ats.access & SIOMMU_DMA_WRITE && ats.bytes >= 64)
		(void)siommu_dma_ats_write(w.port, ats.address, buf, 64);
	if (!siommu_dma_ats_read(w.port, ats.address + delta, buf, 64))
		check_read(buf, 64);
	(void)siommu_dma_ats_write(w.port, (uintptr_t)w.memory + delta % (PAGES * PAGE), buf, 64);
	(void)siommu_dma_ats_write(w.port, delta, buf, 64);
}

static void step_port(void)
{
	w.port = w.ports[take_u8(&w.in) % NPORTS];
}

/*
 * The guest and its VMM
 */

static void step_entry(void)
{
	unsigned int page = take_page(), index = (unsigned int)take(&w.in, 2) % 512;

	guest_write(page, index, take_entry());
}

static void step_map(void)
{
	unsigned int page = take_u8(&w.in) % (PAGES - SECRETS);
	uint8_t s = take_u8(&w.in);

	/* So far, as it was. */
	check_memory();
	if (w.state[page] != NONE)
		unmap_page(page);
	if (s & 1)
		map_page(page, s & 2);
}

/* What the input says of the guest's table, entry or descriptor. */
static void step_nested(void)
{
	uint64_t data[4];
	uint32_t id, old = w.nested;
	unsigned int i;

	for (i = 0; i < w.config->width / 8; i++)
		data[i] = take(&w.in, 8);
	if (hwpt_alloc(w.viommu ? w.viommu : w.parent, 0, w.config->data_type, data,
		       w.config->width, &id))
		return;
	if (!attach(id)) {
		destroy(id);
		return;
	}
	w.nested = id;
	if (old)
		destroy(old);
}

static void step_invalidate(void)
{
	uint64_t entries[9];
	unsigned int i, n = take_u8(&w.in) % 3 + 1;
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = w.viommu ? w.viommu : w.nested,
		.data_uptr = (uintptr_t)entries,
		.data_type = w.config->inv_type,
		.entry_len = w.config->inv_bytes,
		.entry_num = n,
	};

	for (i = 0; i < n * w.config->inv_bytes / 8; i++)
		entries[i] = take(&w.in, 8);
	if (cmd.hwpt_id && w.config->inv_bytes)
		(void)call(IOMMU_HWPT_INVALIDATE, &cmd);
}

static void step_attach(void)
{
	uint8_t s = take_u8(&w.in);

	if (s & 1) {
		if (!attach(w.parent))
			broken("cannot attach the parent", w.parent);
	} else {
		siommu_device_detach(w.bound, 0);
		w.attached = false;
	}
	if (w.nested)
		destroy(w.nested);
	w.nested = 0;
}

static void step_tracking(void)
{
	uint8_t s = take_u8(&w.in);
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = s & 1 ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = w.parent,
	};
	uint64_t bits = 0;
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.hwpt_id = w.parent,
		.flags = s & 2 ? IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR : 0,
		.iova = IPA,
		.length = PAGES * PAGE,
		.page_size = PAGE,
		.data = (uintptr_t)&bits,
	};
	unsigned int i;

	(void)call(IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
	if (call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get))
		return;
	for (i = 0; i < PAGES; i++)
		if (bits >> i & 1 && w.state[i] != WRITABLE)
			broken("dirty without being writable", i);
}

static void (*const steps[])(void) = {
	step_entry, step_entry,	 step_entry,	 step_nested,	 step_invalidate, step_read,
	step_write, step_atomic, step_translate, step_ats,	 step_walk,	  step_port,
	step_map,   step_attach, step_tracking,	 step_translate,
};

/*
 * The world
 */

/* No memory on either side of the guest's. */
static void make_memory(void)
{
	uint8_t *p;
	unsigned int page;

	if (!w.memory) {
		p = mmap(NULL, (PAGES + 32) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED ||
		    mprotect(p + 16 * PAGE, PAGES * PAGE, PROT_READ | PROT_WRITE))
			abort();
		w.memory = p + 16 * PAGE;
	}
	memset(w.memory, 0, PAGES * PAGE);
	for (page = PAGES - SECRETS; page < PAGES; page++) {
		unsigned int i;

		for (i = 0; i < 512; i++)
			*word(page, i) = SECRET;
	}
	memcpy(w.copy, w.memory, sizeof(w.copy));
}

static void make_device(void)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "fuzz",
		.pasid_bits = 8,
		.unit = w.unit,
		.requester = 8,
		.ats = true,
	};
	unsigned int i;

	if (siommu_device_create(w.machine, &params, &w.dev) ||
	    siommu_device_bind(w.ctx, w.dev, &w.bound, &w.dev_id))
		broken("no device", 0);
	for (i = 0; i < NPORTS; i++) {
		const struct siommu_port_params port = {
			.size = sizeof(port),
			.flags = i ? SIOMMU_PORT_PASID : 0,
			.pasid = pasids[i],
			.tlb_lg2 = 4,
		};

		if (siommu_port_create(w.dev, &port, &w.ports[i]))
			broken("no port", i);
	}
	w.port = w.ports[0];
}

static void make_viommu(void)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = w.config->viommu,
		.dev_id = w.dev_id,
		.hwpt_id = w.parent,
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice),
		.dev_id = w.dev_id,
		.virt_id = 8,
	};

	if (call(IOMMU_VIOMMU_ALLOC, &viommu))
		broken("no vIOMMU", 0);
	vdevice.viommu_id = w.viommu = viommu.out_viommu_id;
	if (call(IOMMU_VDEVICE_ALLOC, &vdevice))
		broken("no virtual device", 0);
}

static void begin(void)
{
	const struct siommu_machine_params machine = { .size = sizeof(machine) };
	const struct siommu_unit_params unit = {
		.size = sizeof(unit),
		.model = w.config->model,
		.options = w.config->options,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	unsigned int page;

	if (siommu_machine_create(&machine, &w.machine) || siommu_open(w.machine, 0, &w.ctx) ||
	    siommu_unit_create(w.machine, &unit, NULL, 0, &w.unit))
		broken("no machine", 0);
	make_device();
	if (call(IOMMU_IOAS_ALLOC, &ioas))
		broken("no IOAS", 0);
	w.ioas = ioas.out_ioas_id;
	if (hwpt_alloc(w.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0,
		       NULL, 0, &w.parent) &&
	    hwpt_alloc(w.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, NULL, 0, &w.parent))
		broken("no parent", 0);
	if (w.config->viommu)
		make_viommu();
	if (!attach(w.parent))
		broken("not attached", 0);
	for (page = 0; page < 12; page++)
		map_page(page, true);
	for (; page < 16; page++)
		map_page(page, false);
}

static void end(void)
{
	unsigned int i;

	siommu_device_detach(w.bound, 0);
	for (i = 0; i < NPORTS; i++)
		siommu_port_destroy(w.ports[i]);
	siommu_device_unbind(w.bound);
	siommu_close(w.ctx);
	siommu_device_destroy(w.dev);
	siommu_unit_destroy(w.unit);
	siommu_machine_destroy(w.machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *memory = w.memory;
	unsigned int i;

	memset(&w, 0, sizeof(w));
	w.memory = memory;
	w.in.at = data;
	w.in.end = data + size;
	w.config = &configs[take_u8(&w.in) % NCONFIGS];
	make_memory();
	begin();
	for (i = 0; i < MAX_STEPS && w.in.at < w.in.end; i++)
		steps[take_u8(&w.in) % (sizeof(steps) / sizeof(steps[0]))]();
	end();
	check_memory();
	return 0;
}
