// SPDX-License-Identifier: MIT
/*
 * Fuzzing the IOMMU user API of 2020: a VMM that passes whatever it likes, a guest that
 * writes what it likes into its tables, and devices that ask for what they like.
 *
 * The input is an IOMMU with a revision of the API, and a small program. Structures begin as
 * valid ones, then bytes of them change; they end where memory does, or before. Two devices
 * of one group come and go, PASIDs are owned and freed, page requests are answered, late or
 * not at all, and now and then there is no memory.
 *
 * Whatever happens: calls return what they may; memory that may not be written never
 * changes, and what is not mapped is never read; behind VT-d a PASID reaches nothing unless
 * it is bound; once a call said that something was not carried out, nothing reaches
 * anything; each page request is answered once; and nothing is left at the end.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/iommu-2020.h>
#include <softiommu/legacy.h>
#include <softiommu/softiommu.h>

#include "fuzz.h"

#define PAGE	  4096ull
#define MAX_STEPS 96
#define PAGES	  16
#define SECRETS	  4	     /* the last pages: never mapped */
#define READ_ONLY 2	     /* the ones before them */
#define GPA	  (8 * PAGE) /* of the first one */
#define SECRET	  0x5ec2e75ec2e75ec2ull

#define NDEVS  2
#define NPORTS 3
static const uint32_t port_pasids[NPORTS] = { 0, 1, 5 };

/* PASIDs that are asked for: a few, so that they meet. */
#define NPASIDS 8

/**
 * struct config - what to try
 * @model: the IOMMU
 * @options: its options
 * @revision: of the API
 * @timeout_ms: of page requests
 */
struct config {
	const char *model;
	const char *options;
	enum siommu_2020 revision;
	unsigned int timeout_ms;
};

static const struct config configs[] = {
	{ "vtd", "", SIOMMU_2020_MERGED, SIOMMU_PRQ_FOREVER },
	{ "vtd", "aw=57", SIOMMU_2020_FUTURE, 1 },
	{ "vtd", "", SIOMMU_2020_DRAFT, SIOMMU_PRQ_FOREVER },
	{ "smmuv3", "", SIOMMU_2020_MERGED, SIOMMU_PRQ_FOREVER },
	{ "smmuv3", "httu=on", SIOMMU_2020_DRAFT, 1 },
};

#define NCONFIGS (sizeof(configs) / sizeof(configs[0]))

/* The label's flags of the bind structure that SIOMMU_2020_FUTURE knows, and its size. */
#define FUTURE_FLAGS 7
#define FUTURE_SIZE  88

union structure {
	uint32_t argsz;
	uint8_t bytes[FUTURE_SIZE];
	struct iommu_gpasid_bind_data bind;
	struct iommu_pasid_table_config table;
	struct iommu_cache_invalidate_info invalidate;
	struct iommu_page_response response;
};

static struct {
	struct input in;
	const struct config *config;
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	struct siommu_unit *unit;
	struct siommu_domain *domain;
	struct siommu_device *dev[NDEVS];
	struct siommu_bound *bound[NDEVS];
	struct siommu_port *ports[NDEVS][NPORTS];
	uint32_t ioas;
	bool added[NDEVS];
	bool handled[NDEVS];
	bool owned[NPASIDS];
	bool bindings[NDEVS][NPASIDS]; /* VT-d: what is bound */
	bool blocked;
	bool refuse;				 /* the handler takes nothing */
	unsigned int fail_in;			 /* the allocation that fails; 0 for none */
	bool failed;				 /* one has */
	struct iommu_fault_page_request request; /* the latest that it took */
	unsigned int asked;
	_Atomic unsigned int answered;
	uint8_t *memory;	   /* the guest's, with none on either side */
	uint8_t *hostile;	   /* a page for structures, and none behind it */
	uint8_t copy[PAGES][PAGE]; /* of what may not change */
} w;

static void broken(const char *what, uint64_t value)
{
	fprintf(stderr, "uapi2020_fuzz: %s %s: %s (%#llx)\n", w.config->model, w.config->options,
		what, (unsigned long long)value);
	abort();
}

static bool is_vtd(void)
{
	return w.config->model[0] == 'v';
}

static bool is_writable(unsigned int page)
{
	return page < PAGES - SECRETS - READ_ONLY;
}

/* What may not be written has not been. */
static void check_memory(void)
{
	unsigned int page;

	for (page = 0; page < PAGES; page++)
		if (!is_writable(page) && memcmp(w.copy[page], w.memory + page * PAGE, PAGE))
			broken("memory was written that may not be", page);
}

/* @rc is 0 or one of @n errnos. */
static void check_errno(int rc, const int *errnos, unsigned int n)
{
	unsigned int i;

	if (!rc || (rc == -ENOMEM && w.failed))
		return;
	for (i = 0; i < n; i++)
		if (rc == -errnos[i])
			return;
	broken("an unlikely error", (uint64_t)-rc);
}

#define CHECK_ERRNO(rc, ...)                                                                       \
	check_errno(rc, (const int[]){ __VA_ARGS__ }, sizeof((const int[]){ __VA_ARGS__ }) / 4)

/*
 * Structures
 */

static uint32_t take_pasid(void)
{
	return take_u8(&w.in) % NPASIDS;
}

static uint64_t take_gpa(void)
{
	uint8_t s = take_u8(&w.in);

	return s >= RAW ? take(&w.in, 8) : GPA + s % PAGES * PAGE;
}

/* A selector of argsz: @size, near it, anything. */
static uint32_t take_argsz(uint32_t size)
{
	uint8_t s = take_u8(&w.in);

	if (s >= RAW)
		return (uint32_t)take(&w.in, 4);
	return s < 0x80 ? size : s - 0x80u;
}

/*
 * Change bytes of @s, and put it where as much of it can be read as the input says. Return:
 * its address.
 */
static const void *take_rest(union structure *s)
{
	unsigned int n = take_u8(&w.in) % 4, readable;
	uint8_t room = take_u8(&w.in);
	uint8_t *at;

	for (; n; n--) {
		unsigned int i = take_u8(&w.in) % sizeof(*s);

		s->bytes[i] = take_u8(&w.in);
	}
	readable = room < 0x80 ? sizeof(*s) : room % (sizeof(*s) + 1);
	at = w.hostile + PAGE - readable;
	memcpy(at, s, readable);
	return at;
}

static union structure take_bind(void)
{
	union structure s = { 0 };

	s.argsz = take_argsz(sizeof(s.bind));
	s.bind.version = IOMMU_GPASID_BIND_VERSION_1;
	s.bind.format = IOMMU_PASID_FORMAT_INTEL_VTD;
	s.bind.addr_width = take_u8(&w.in) & 1 ? 57 : 48;
	s.bind.flags = take_u8(&w.in) & FUTURE_FLAGS;
	s.bind.hpasid = take_pasid();
	s.bind.gpasid = take_u8(&w.in);
	s.bind.gpgd = take_gpa();
	s.bind.vendor.vtd.flags = take_u8(&w.in) & ~(uint64_t)IOMMU_SVA_VTD_GPASID_MTS_MASK;
	return s;
}

static union structure take_table(void)
{
	union structure s = { 0 };

	s.argsz = take_argsz(sizeof(s.table));
	s.table.version = PASID_TABLE_CFG_VERSION_1;
	s.table.format = IOMMU_PASID_FORMAT_SMMUV3;
	s.table.config = take_u8(&w.in) % 3 + 1;
	s.table.pasid_bits = take_u8(&w.in) % 8;
	s.table.base_ptr = take_gpa();
	s.table.vendor_data.smmuv3.version = PASID_TABLE_SMMUV3_CFG_VERSION_1;
	s.table.vendor_data.smmuv3.s1fmt = take_u8(&w.in) % 3;
	s.table.vendor_data.smmuv3.s1dss = take_u8(&w.in) % 3;
	return s;
}

static union structure take_invalidate(void)
{
	union structure s = { 0 };
	struct iommu_inv_addr_info *a = &s.invalidate.granu.addr_info;

	s.argsz = take_argsz(sizeof(s.invalidate));
	s.invalidate.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1;
	s.invalidate.cache = take_u8(&w.in) % 8;
	s.invalidate.granularity = take_u8(&w.in) % 3;
	a->flags = take_u8(&w.in) % 8;
	a->archid = take_u8(&w.in);
	a->pasid = take_pasid();
	if (s.invalidate.granularity == IOMMU_INV_GRANU_ADDR) {
		a->addr = take_gpa();
		a->granule_size = 1ull << take_u8(&w.in) % 64;
		a->nb_granules = take(&w.in, 2);
	}
	return s;
}

static union structure take_response(void)
{
	union structure s = { 0 };

	s.argsz = take_argsz(sizeof(s.response));
	s.response.version = IOMMU_PAGE_RESP_VERSION_1;
	s.response.flags = IOMMU_PAGE_RESP_PASID_VALID;
	s.response.pasid = w.request.pasid;
	s.response.grpid = w.request.grpid;
	s.response.code = take_u8(&w.in) % 3;
	return s;
}

/*
 * The VMM
 */

/* Something was not carried out: from now on nothing is bound, and nothing gets through. */
static void check_blocked(int rc)
{
	if (w.blocked && !rc)
		broken("success of a domain that is blocked", 0);
	if (rc == -EIO) {
		w.blocked = true;
		memset(w.bindings, 0, sizeof(w.bindings));
	}
}

/* All devices, or one of them. Return: its binding, or NULL. */
static struct siommu_bound *take_device(unsigned int *first, unsigned int *last)
{
	uint8_t s = take_u8(&w.in) % (NDEVS + 1);

	*first = s < NDEVS ? s : 0;
	*last = s < NDEVS ? s : NDEVS - 1;
	return s < NDEVS ? w.bound[s] : NULL;
}

static void set_bound(unsigned int first, unsigned int last, uint64_t pasid, bool bound)
{
	unsigned int i;

	for (i = first; i <= last; i++)
		if (pasid < NPASIDS)
			w.bindings[i][pasid] = bound && w.added[i];
}

static void step_bind(void)
{
	unsigned int first, last;
	struct siommu_bound *bound = take_device(&first, &last);
	union structure s = take_bind();
	int rc = siommu_uapi_sva_bind_gpasid(w.domain, bound, take_rest(&s));

	CHECK_ERRNO(rc, EBUSY, EFAULT, EINVAL, EIO, ENODEV, E2BIG);
	check_blocked(rc);
	if (rc)
		return;
	if (s.bind.hpasid >= NPASIDS || !w.owned[s.bind.hpasid])
		broken("a PASID is bound that nobody owns", s.bind.hpasid);
	set_bound(first, last, s.bind.hpasid, true);
}

static void step_unbind(void)
{
	unsigned int first, last;
	struct siommu_bound *bound = take_device(&first, &last);
	union structure s = take_bind();
	int rc = siommu_uapi_sva_unbind_gpasid(w.domain, bound, take_rest(&s));

	CHECK_ERRNO(rc, EFAULT, EINVAL, ENODEV, E2BIG);
	if (!rc)
		set_bound(first, last, s.bind.hpasid, false);
}

static void step_unbind_trusted(void)
{
	unsigned int first, last;
	struct siommu_bound *bound = take_device(&first, &last);
	uint32_t pasid = take_pasid();

	siommu_sva_unbind_gpasid(w.domain, bound, pasid);
	set_bound(first, last, pasid, false);
}

static void step_table(void)
{
	union structure s = take_table();
	int rc = siommu_uapi_attach_pasid_table(w.domain, take_rest(&s));

	CHECK_ERRNO(rc, EFAULT, EINVAL, EIO, ENODEV, E2BIG);
	check_blocked(rc);
}

static void step_no_table(void)
{
	siommu_detach_pasid_table(w.domain);
}

static void step_invalidate(void)
{
	union structure s = take_invalidate();
	int rc = siommu_uapi_cache_invalidate(w.domain, take_rest(&s));

	CHECK_ERRNO(rc, EFAULT, EINVAL, EIO, ENODEV, E2BIG);
	check_blocked(rc);
}

static void step_respond(void)
{
	uint8_t d = take_u8(&w.in) % NDEVS;
	union structure s = take_response();
	int rc = siommu_uapi_page_response(w.domain, w.bound[d], take_rest(&s));

	CHECK_ERRNO(rc, EFAULT, EINVAL, E2BIG);
}

static void step_pasids(void)
{
	uint32_t min = take_pasid(), max = take_pasid();
	unsigned int i;
	int rc;

	if (take_u8(&w.in) & 1) {
		rc = siommu_pasid_alloc(w.domain, min, max);
		if (rc < 0)
			CHECK_ERRNO(rc, EINVAL, ENOSPC);
		else if ((uint32_t)rc < min || (uint32_t)rc > max || !rc || w.owned[rc])
			broken("a PASID that is not free, or out of its range", (uint64_t)rc);
		else
			w.owned[rc] = true;
		return;
	}
	siommu_pasid_free(w.domain, min, max);
	for (i = min; i <= max; i++) {
		w.owned[i] = false;
		set_bound(0, NDEVS - 1, i, false);
	}
}

static bool should_fail(void *arg)
{
	(void)arg;
	if (!w.fail_in || --w.fail_in)
		return false;
	w.failed = true;
	return true;
}

/* Without memory an SMMUv3's invalidation is not carried out. */
static void step_fail(void)
{
	w.fail_in = take_u8(&w.in) % 16;
}

static int on_fault(void *arg, const struct iommu_fault *fault)
{
	(void)arg;
	if (fault->type != IOMMU_FAULT_PAGE_REQ && fault->type != IOMMU_FAULT_DMA_UNRECOV)
		broken("a fault of no type", fault->type);
	if (w.refuse)
		return -ENOSPC;
	if (fault->type == IOMMU_FAULT_PAGE_REQ)
		w.request = fault->prm;
	return 0;
}

static void remove_device(unsigned int d)
{
	siommu_domain_remove(w.domain, w.bound[d]);
	w.added[d] = w.handled[d] = false;
	memset(w.bindings[d], 0, sizeof(w.bindings[d]));
	if (!w.added[0] && !w.added[1])
		w.blocked = false;
}

static void step_device(void)
{
	unsigned int d = take_u8(&w.in) % NDEVS;
	int rc;

	if (w.added[d]) {
		remove_device(d);
		return;
	}
	rc = siommu_domain_add(w.domain, w.bound[d]);
	CHECK_ERRNO(rc, EIO, EINVAL, EBUSY);
	w.added[d] = !rc;
}

static void step_handler(void)
{
	unsigned int d = take_u8(&w.in) % NDEVS;
	int rc;

	w.refuse = take_u8(&w.in) & 1;
	rc = w.handled[d]
		     ? siommu_unregister_device_fault_handler(w.domain, w.bound[d])
		     : siommu_register_device_fault_handler(w.domain, w.bound[d], on_fault, NULL);
	CHECK_ERRNO(rc, EINVAL, EBUSY);
	if (!rc)
		w.handled[d] = !w.handled[d];
}

static void step_info(void)
{
	struct iommu_nesting_info info = { 0 };
	int rc = siommu_domain_nesting_info(w.domain, &info);

	if (rc != (w.added[0] || w.added[1] ? 0 : -ENODEV))
		broken("nesting information", (uint64_t)rc);
	if (!rc && info.format != 1)
		broken("a format that there is not", info.format);
}

/*
 * The guest and its devices
 */

/* A selector: the address of a page with bits below and above it, or RAW. */
static void step_entry(void)
{
	unsigned int page = take_u8(&w.in) % (PAGES - SECRETS);
	unsigned int index = (unsigned int)take(&w.in, 2) % 512;
	uint64_t value = take_gpa();

	value |= take(&w.in, 2) & 0xfff;
	value |= (uint64_t)take_u8(&w.in) << 56;
	memcpy(w.memory + page * PAGE + index * 8, &value, 8);
	memcpy(&w.copy[page][index * 8], &value, 8);
}

/* A selector: an index of each level, two bits each, and an offset; or a page of the guest's. */
static uint64_t take_iova(void)
{
	static const uint64_t indexes[] = { 0, 1, 8, 511 };
	uint8_t s = take_u8(&w.in);
	uint64_t iova = take(&w.in, 2) & 0xfff;
	unsigned int i;

	if (s >= RAW)
		return GPA + s % PAGES * PAGE + iova;
	for (i = 0; i < 4; i++)
		iova |= indexes[s >> 2 * i & 3] << (12 + 9 * i);
	return iova;
}

/* May a request with this PASID reach anything? The group is attached as one. */
static bool may_reach(uint32_t pasid)
{
	unsigned int d;

	for (d = 0; d < NDEVS && !w.blocked; d++)
		if (w.added[d] && (!is_vtd() || !pasid || w.bindings[d][pasid]))
			return true;
	return false;
}

static void check_read(const uint8_t *buf, size_t n)
{
	const uint64_t secret = SECRET;
	size_t i;

	for (i = 0; i + 8 <= n; i++)
		if (!memcmp(buf + i, &secret, 8))
			broken("what is not mapped was read", i);
}

static void step_dma(void)
{
	unsigned int d = take_u8(&w.in) % NDEVS, p = take_u8(&w.in) % NPORTS;
	uint64_t iova = take_iova();
	uint8_t s = take_u8(&w.in), buf[64] = { 0 };
	int rc;

	if (s & 1)
		rc = siommu_dma_write(w.ports[d][p], iova, buf, sizeof(buf), 0);
	else
		rc = siommu_dma_read(w.ports[d][p], iova, buf, sizeof(buf), 0);
	if (rc)
		return;
	if (!may_reach(port_pasids[p]))
		broken("something was reached by", d << 8 | p);
	check_read(buf, sizeof(buf));
}

static void step_page_request(void)
{
	unsigned int d = take_u8(&w.in) % NDEVS, p = take_u8(&w.in) % NPORTS;
	const struct siommu_page_request request = {
		.iova = take_iova() & ~(PAGE - 1),
		.group = take_u8(&w.in) % 4,
		.access = SIOMMU_DMA_READ,
		.last = take_u8(&w.in) & 1,
	};
	int rc = siommu_dma_page_request(w.ports[d][p], &request);

	CHECK_ERRNO(rc, EBUSY, EINVAL, EOPNOTSUPP);
	w.asked += !rc && request.last;
}

static void page_response(void *arg, uint32_t group, uint32_t code)
{
	(void)arg;
	(void)group;
	if (code > IOMMUFD_PAGE_RESP_INVALID)
		broken("an answer that there is not", code);
	atomic_fetch_add(&w.answered, 1);
}

static void (*const steps[])(void) = {
	step_bind,    step_bind,     step_unbind,  step_unbind_trusted,
	step_table,   step_no_table, step_pasids,  step_invalidate,
	step_respond, step_device,   step_handler, step_info,
	step_entry,   step_fail,     step_dma,	   step_page_request,
};

/*
 * The world
 */

static uint8_t *pages_before_hole(unsigned int n)
{
	uint8_t *p = mmap(NULL, (n + 32) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + 16 * PAGE, n * PAGE, PROT_READ | PROT_WRITE))
		abort();
	return p + 16 * PAGE;
}

static void make_memory(void)
{
	const uint64_t secret = SECRET;
	unsigned int i;

	if (!w.memory) {
		w.memory = pages_before_hole(PAGES);
		w.hostile = pages_before_hole(1);
	}
	memset(w.memory, 0, PAGES * PAGE);
	for (i = (PAGES - SECRETS) * PAGE / 8; i < PAGES * PAGE / 8; i++)
		memcpy(w.memory + i * 8, &secret, 8);
	memcpy(w.copy, w.memory, sizeof(w.copy));
}

static void map(unsigned int page, unsigned int n, bool writable)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = w.ioas,
		.user_va = (uintptr_t)w.memory + page * PAGE,
		.length = n * PAGE,
		.iova = GPA + page * PAGE,
	};
	int rc = siommu_ioctl(w.ctx, IOMMU_IOAS_MAP, &cmd);

	if (rc)
		broken("not mapped", (uint64_t)-rc);
}

static void make_device(unsigned int d)
{
	static const struct siommu_port_ops ops = { .page_response = page_response };
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "fuzz",
		.group = 7,
		.pasid_bits = 20,
		.unit = w.unit,
		.requester = 8 + d,
		.ats = true,
		.page_requests = is_vtd(),
	};
	unsigned int p;

	if (siommu_device_create(w.machine, &params, &w.dev[d]))
		broken("no device", d);
	for (p = 0; p < NPORTS; p++) {
		const struct siommu_port_params port = {
			.size = sizeof(port),
			.flags = p ? SIOMMU_PORT_PASID : 0,
			.pasid = port_pasids[p],
			.tlb_lg2 = 4,
			.ops = &ops,
		};

		if (siommu_port_create(w.dev[d], &port, &w.ports[d][p]))
			broken("no port", p);
	}
}

/* What the library says when something was not given back. */
static void on_log(void *arg, int level, const char *line)
{
	(void)arg;
	(void)level;
	if (strstr(line, "left of it"))
		broken(line, 0);
}

static void make_machine(void)
{
	const struct siommu_machine_params machine = {
		.size = sizeof(machine),
		.test_interface = true,
		.iommu_2020 = w.config->revision,
		.prq_timeout_ms = w.config->timeout_ms,
		.should_fail = should_fail,
		.log = on_log,
		.log_level = 3, /* LOG_ERR */
	};
	const struct siommu_unit_params unit = {
		.size = sizeof(unit),
		.model = w.config->model,
		.options = w.config->options,
	};

	if (siommu_machine_create(&machine, &w.machine) ||
	    siommu_open(w.machine, SIOMMU_OPEN_CHECKED, &w.ctx) ||
	    siommu_unit_create(w.machine, &unit, NULL, 0, &w.unit))
		broken("no machine", 0);
}

static void begin(void)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	unsigned int d;
	uint32_t id;

	make_machine();
	for (d = 0; d < NDEVS; d++)
		make_device(d);
	for (d = 0; d < NDEVS; d++)
		if (siommu_device_bind(w.ctx, w.dev[d], &w.bound[d], &id))
			broken("not bound", d);
	if (siommu_ioctl(w.ctx, IOMMU_IOAS_ALLOC, &ioas))
		broken("no IOAS", 0);
	w.ioas = ioas.out_ioas_id;
	if (siommu_domain_create(w.ctx, w.ioas, &w.domain))
		broken("no domain", 0);
	map(0, PAGES - SECRETS - READ_ONLY, true);
	/* Which VT-d's parent cannot have. */
	if (!is_vtd())
		map(PAGES - SECRETS - READ_ONLY, READ_ONLY, false);
	for (d = 0; d < NDEVS; d++) {
		int rc = siommu_domain_add(w.domain, w.bound[d]);

		if (rc)
			broken("not in the domain", (uint64_t)-rc);
		w.added[d] = true;
	}
}

static void end(void)
{
	unsigned int d, p;

	w.fail_in = 0;
	for (d = 0; d < NDEVS; d++)
		remove_device(d);
	siommu_domain_destroy(w.domain);
	if (w.asked != atomic_load(&w.answered))
		broken("page requests without an answer", w.asked - atomic_load(&w.answered));
	for (d = 0; d < NDEVS; d++) {
		siommu_device_unbind(w.bound[d]);
		for (p = 0; p < NPORTS; p++)
			siommu_port_destroy(w.ports[d][p]);
	}
	siommu_close(w.ctx);
	for (d = 0; d < NDEVS; d++)
		siommu_device_destroy(w.dev[d]);
	siommu_unit_destroy(w.unit);
	siommu_machine_destroy(w.machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *memory = w.memory, *hostile = w.hostile;
	unsigned int i;

	memset(&w, 0, sizeof(w));
	w.memory = memory;
	w.hostile = hostile;
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
