// SPDX-License-Identifier: MIT
/*
 * The calls of the user API of 2020 that cannot fail, without memory and with several
 * threads; what happens when an invalidation is not carried out all the same; and that one
 * program serves guests of several vendors.
 */
#include <pthread.h>
#include <syslog.h>

#include "core/hwpt.h"
#include "core/viommu.h"
#include "uapi2020_world.h"

#define NPASIDS 8u

/* A CD of the guest's, for 48 bits of addresses in tables of 4 KiB. */
#define GUEST_CD 0x6000ull
#define CD_48BIT                                                                                   \
	(16ull | 1ull << 30 | 1ull << 31 | 5ull << 32 | 1ull << 41 | 1ull << 45 | 1ull << 46)

/* SMMUv3: the guest's tables of four levels map GUEST_DATA, there and nowhere else. */
static void arm_tables(const struct world *w)
{
	const uint64_t table = 3, page = 3 | 1 << 6 | 1 << 10;

	*world_word(w, GUEST_ROOT) = (GUEST_ROOT + PAGE) | table;
	*world_word(w, GUEST_ROOT + PAGE) = (GUEST_ROOT + 2 * PAGE) | table;
	*world_word(w, GUEST_ROOT + 2 * PAGE) = (GUEST_ROOT + 3 * PAGE) | table;
	*world_word(w, GUEST_ROOT + 3 * PAGE + GUEST_DATA / PAGE * 8) = GUEST_DATA | page;
	world_word(w, GUEST_CD)[1] = GUEST_ROOT;
	world_word(w, GUEST_CD)[3] = 0xf404ff44;
	world_word(w, GUEST_CD)[0] = CD_48BIT;
}

static struct iommu_pasid_table_config arm_table(void)
{
	struct iommu_pasid_table_config config = world_bypass();

	config.config = IOMMU_PASID_CONFIG_TRANSLATE;
	config.base_ptr = GUEST_CD;
	return config;
}

static int bind_pasid(const struct world *w, uint32_t pasid)
{
	const struct iommu_gpasid_bind_data data = world_bind(pasid);

	return siommu_uapi_sva_bind_gpasid(w->domain, NULL, &data);
}

static int unbind_pasid(const struct world *w, uint32_t pasid)
{
	const struct iommu_gpasid_bind_data data = world_bind(pasid);

	return siommu_uapi_sva_unbind_gpasid(w->domain, NULL, &data);
}

static int set_table(const struct world *w)
{
	const struct iommu_pasid_table_config config = arm_table();

	return siommu_uapi_attach_pasid_table(w->domain, &config);
}

static int invalidate_all(const struct world *w)
{
	const struct iommu_cache_invalidate_info info = world_invalidate();

	return siommu_uapi_cache_invalidate(w->domain, &info);
}

static uint32_t pasid_new(const struct world *w)
{
	int pasid = siommu_pasid_alloc(w->domain, 1, (1u << 20) - 1);

	ASSERT_TRUE(pasid > 0);
	return (uint32_t)pasid;
}

/* No allocation of the machine or of its contexts succeeds, or all do again. */
static bool always(void *arg)
{
	(void)arg;
	return true;
}

static void without_memory(bool on)
{
	struct core_ctx *c;

	machine->alloc.should_fail = on ? always : NULL;
	LIST_FOREACH(c, &machine->contexts, link)
		c->alloc.should_fail = on ? always : NULL;
}

/* The last error of the machine's log. */
static char said[256];

static void hear(void *arg, int level, const char *line)
{
	(void)arg;
	if (level <= LOG_ERR)
		snprintf(said, sizeof(said), "%s", line);
}

static void listen_to_log(void)
{
	said[0] = '\0';
	machine->log = (struct base_log){ .fn = hear, .level = LOG_ERR };
}

/* VT-d: the guest's tables, and a PASID that is bound to them. */
static struct world bound_world(uint32_t *pasid, struct siommu_port **port)
{
	struct world w = world_new("vtd");

	world_vtd_tables(&w);
	*pasid = pasid_new(&w);
	*port = world_port(&w, *pasid, NULL, NULL);
	ASSERT_OK(bind_pasid(&w, *pasid));
	EXPECT_OK(world_read(*port, GUEST_DATA));
	return w;
}

/* Answers 000-34. What is bound is unbound, by a call that has no memory for anything. */
TEST(req_000_34_freeing_a_pasid_cannot_fail)
{
	struct siommu_port *port;
	uint32_t pasid;
	struct world w = bound_world(&pasid, &port);

	without_memory(true);
	siommu_pasid_free(w.domain, 0, UINT32_MAX);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	/* Of nobody's, and of none. */
	siommu_pasid_free(w.domain, pasid, pasid);
	siommu_pasid_free(w.domain, 9, 3);
	without_memory(false);
	EXPECT_RC(-EINVAL, bind_pasid(&w, pasid));
	EXPECT_EQ(pasid, pasid_new(&w));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	ASSERT_OK(bind_pasid(&w, pasid));
	EXPECT_OK(world_read(port, GUEST_DATA));
	siommu_port_destroy(port);
	world_end(&w);
}

/* Answers 000-34. Through whichever domain it is freed, it is unbound in all. */
TEST(freeing_a_pasid_reaches_all_domains)
{
	struct siommu_port *port;
	uint32_t pasid;
	struct world w = bound_world(&pasid, &port);
	struct siommu_ctx *other;
	struct siommu_domain *domain;
	uint32_t ioas;

	ASSERT_OK(siommu_open(machine, unit.variant, &other));
	ASSERT_OK(ioas_alloc(other, &ioas));
	ASSERT_OK(siommu_domain_create(other, ioas, &domain));
	siommu_pasid_free(domain, pasid, pasid);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	siommu_domain_destroy(domain);
	siommu_close(other);
	siommu_port_destroy(port);
	world_end(&w);
}

/* Answers 000-35. */
TEST(req_000_35_unbinding_a_pasid_cannot_fail)
{
	struct siommu_port *port;
	uint32_t pasid;
	struct world w = bound_world(&pasid, &port);

	without_memory(true);
	EXPECT_OK(unbind_pasid(&w, pasid));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	EXPECT_OK(unbind_pasid(&w, pasid));
	EXPECT_RC(-ENOMEM, bind_pasid(&w, pasid));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	without_memory(false);
	ASSERT_OK(bind_pasid(&w, pasid));
	EXPECT_OK(world_read(port, GUEST_DATA));
	without_memory(true);
	siommu_sva_unbind_gpasid(w.domain, w.bound, pasid);
	without_memory(false);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	siommu_port_destroy(port);
	world_end(&w);
}

/* Answers 000-36. Afterwards devices have the parent; when that cannot be, they have nothing. */
TEST(req_000_36_unbinding_a_table_cannot_fail)
{
	struct world w = world_new("smmuv3");
	struct siommu_port *port = world_port(&w, 0, NULL, NULL);
	struct base_alloc *alloc = &LIST_FIRST(&machine->contexts)->alloc;
	size_t blocks;

	arm_tables(&w);
	listen_to_log();
	blocks = fixture_blocks();
	siommu_detach_pasid_table(w.domain);
	ASSERT_OK(set_table(&w));
	EXPECT_OK(world_read(port, GUEST_DATA));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_ROOT));
	siommu_detach_pasid_table(w.domain);
	siommu_detach_pasid_table(w.domain);
	EXPECT_OK(world_read(port, GUEST_ROOT));
	EXPECT_STR("", said);
	/* The quota is used up: there is what the table gives back. */
	ASSERT_OK(set_table(&w));
	alloc->limit = alloc->bytes;
	siommu_detach_pasid_table(w.domain);
	alloc->limit = 0;
	EXPECT_OK(world_read(port, GUEST_ROOT));
	EXPECT_EQ(blocks, fixture_blocks());
	EXPECT_STR("", said);
	ASSERT_OK(set_table(&w));
	without_memory(true);
	siommu_detach_pasid_table(w.domain);
	without_memory(false);
	/* The guest's table is gone in any case. */
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_ROOT));
	EXPECT_TRUE(strstr(said, "nic") && strstr(said, "blocked"));
	EXPECT_RC(-EIO, set_table(&w));
	siommu_domain_remove(w.domain, w.bound);
	ASSERT_OK(siommu_domain_add(w.domain, w.bound));
	EXPECT_OK(world_read(port, GUEST_ROOT));
	ASSERT_OK(set_table(&w));
	siommu_port_destroy(port);
	world_end(&w);
}

/*
 * Answers 000-37, 000-31. SMMUv3's takes memory; without it more is forgotten than was said,
 * which takes none.
 */
TEST(invalidating_without_memory)
{
	struct world w = world_new("smmuv3");
	struct siommu_port *port = world_port(&w, 0, NULL, NULL);
	uint64_t *entry = world_word(&w, GUEST_ROOT + 3 * PAGE + GUEST_DATA / PAGE * 8);

	arm_tables(&w);
	listen_to_log();
	ASSERT_OK(set_table(&w));
	EXPECT_OK(world_read(port, GUEST_DATA));
	*entry = 0;
	EXPECT_OK(world_read(port, GUEST_DATA));
	without_memory(true);
	EXPECT_OK(invalidate_all(&w));
	without_memory(false);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	EXPECT_STR("", said);
	EXPECT_OK(set_table(&w));
	siommu_port_destroy(port);
	world_end(&w);
}

/* Answers 000-37, 000-31. VT-d's takes no memory. */
TEST(req_000_37_invalidating_cannot_fail)
{
	struct siommu_port *port;
	uint32_t pasid;
	struct world w = bound_world(&pasid, &port);
	uint64_t *entry = world_word(&w, GUEST_ROOT + 3 * PAGE + GUEST_DATA / PAGE * 8);

	*entry = 0;
	EXPECT_OK(world_read(port, GUEST_DATA));
	without_memory(true);
	EXPECT_OK(invalidate_all(&w));
	without_memory(false);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	siommu_port_destroy(port);
	world_end(&w);
}

static int domain_fails(struct iommu_domain *domain, struct iommu_user_array *array)
{
	(void)domain;
	array->num = 0;
	return -EINVAL;
}

static int viommu_fails(struct iommu_viommu *viommu, struct iommu_user_array *array)
{
	(void)viommu;
	array->num = 0;
	return -EBUSY;
}

/**
 * struct broken - an IOMMU that does not do as it is told
 * @domain: of nested domains
 * @viommu: of the vIOMMU
 */
struct broken {
	struct iommu_domain_ops domain;
	struct iommu_viommu_ops viommu;
};

static void break_domain(struct broken *broken, struct iommu_domain *domain)
{
	broken->domain = *domain->ops;
	broken->domain.cache_invalidate_user = domain_fails;
	domain->ops = &broken->domain;
}

static void break_viommu(struct broken *broken, struct iommu_viommu *viommu)
{
	broken->viommu = *viommu->ops;
	broken->viommu.cache_invalidate = viommu_fails;
	viommu->ops = &broken->viommu;
}

/* From now on, for what there is now. @broken stays as long as that. */
static void break_iommu(struct broken *broken)
{
	struct core_ctx *c = LIST_FIRST(&machine->contexts);
	struct core_object *obj;
	u32 id;

	for (id = 1; (obj = idtable_next(&c->objects, &id)); id++) {
		if (obj->ops->type == CORE_HWPT_NESTED)
			break_domain(broken, container_of(obj, struct core_hwpt, obj)->domain);
		else if (obj->ops->type == CORE_VIOMMU)
			break_viommu(broken, container_of(obj, struct core_viommu, obj)->hw);
	}
}

/* A domain that is blocked: nothing goes through, whatever is called, until devices leave. */
static void expect_blocked(const struct world *w, struct siommu_port *port,
			   int (*use)(const struct world *))
{
	struct iommu_nesting_info info;

	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_ROOT));
	EXPECT_RC(-EIO, invalidate_all(w));
	EXPECT_RC(-EIO, use(w));
	siommu_detach_pasid_table(w->domain);
	siommu_pasid_free(w->domain, 0, UINT32_MAX);
	EXPECT_OK(siommu_domain_nesting_info(w->domain, &info));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	EXPECT_RC(-EFAULT, world_read(port, GUEST_ROOT));
	EXPECT_RC(-EIO, invalidate_all(w));
	EXPECT_TRUE(strstr(said, "nic") && strstr(said, "invalidation") &&
		    strstr(said, "blocked") && strstr(said, "container"));
}

/*
 * Answers 000-33, 002-04, 002-05, 002-09. The IOMMU does not do it: the device is blocked, and
 * the caller is told, now and every time after.
 */
TEST(an_invalidation_that_fails)
{
	struct broken broken;
	struct world w = world_new("smmuv3");
	struct siommu_port *port = world_port(&w, 0, NULL, NULL);
	struct iommu_cache_invalidate_info bad = world_invalidate();
	size_t blocks;

	arm_tables(&w);
	listen_to_log();
	blocks = fixture_blocks();
	ASSERT_OK(set_table(&w));
	EXPECT_OK(world_read(port, GUEST_DATA));
	/* What is refused was never begun: that does not count. */
	bad.granularity = 77;
	EXPECT_RC(-EINVAL, siommu_uapi_cache_invalidate(w.domain, &bad));
	EXPECT_OK(world_read(port, GUEST_DATA));
	EXPECT_STR("", said);
	break_iommu(&broken);
	EXPECT_RC(-EIO, invalidate_all(&w));
	expect_blocked(&w, port, set_table);
	/* Nothing is left of the guest's table. */
	EXPECT_TRUE(fixture_blocks() < blocks);
	EXPECT_RC(-EINVAL, siommu_uapi_cache_invalidate(w.domain, &bad));
	siommu_domain_remove(w.domain, w.bound);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	ASSERT_OK(siommu_domain_add(w.domain, w.bound));
	EXPECT_EQ(blocks, fixture_blocks());
	ASSERT_OK(set_table(&w));
	EXPECT_OK(invalidate_all(&w));
	EXPECT_OK(world_read(port, GUEST_DATA));
	siommu_port_destroy(port);
	world_end(&w);
}

static int bind_any(const struct world *w)
{
	int rc, pasid = siommu_pasid_alloc(w->domain, 1, (1u << 20) - 1);

	rc = bind_pasid(w, (uint32_t)pasid);
	siommu_pasid_free(w->domain, (uint32_t)pasid, (uint32_t)pasid);
	return rc;
}

/*
 * Answers 000-33, 002-04, 002-05. On VT-d too, and whatever errno the model has for it: PASIDs
 * and requests without one are blocked.
 */
TEST(an_invalidation_that_fails_on_vtd)
{
	struct siommu_port *port, *plain;
	struct broken broken;
	uint32_t pasid;
	struct world w = bound_world(&pasid, &port);

	plain = world_port(&w, 0, NULL, NULL);
	listen_to_log();
	break_iommu(&broken);
	EXPECT_OK(world_read(plain, GUEST_DATA));
	EXPECT_RC(-EIO, invalidate_all(&w));
	EXPECT_RC(-EIO, bind_pasid(&w, pasid));
	EXPECT_OK(unbind_pasid(&w, pasid));
	expect_blocked(&w, port, bind_any);
	expect_blocked(&w, plain, bind_any);
	siommu_domain_remove(w.domain, w.bound);
	ASSERT_OK(siommu_domain_add(w.domain, w.bound));
	EXPECT_OK(world_read(plain, GUEST_DATA));
	EXPECT_EQ(pasid, pasid_new(&w));
	ASSERT_OK(bind_pasid(&w, pasid));
	EXPECT_OK(invalidate_all(&w));
	EXPECT_OK(world_read(port, GUEST_DATA));
	siommu_port_destroy(plain);
	siommu_port_destroy(port);
	world_end(&w);
}

/* Nobody joins a domain that is blocked, and the last who leaves ends that. */
TEST(a_blocked_domain_takes_nobody)
{
	struct world w = world_without_domain("smmuv3", 0x1a3);
	struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "nic",
		.unit = w.unit,
		.requester = 0x200,
		.group = 9,
	};
	struct siommu_device *devs[2];
	struct siommu_bound *bound[2];
	struct broken broken;
	uint32_t id;
	int i;

	listen_to_log();
	for (i = 0; i < 2; i++) {
		ASSERT_OK(siommu_device_create(machine, &params, &devs[i]));
		ASSERT_OK(siommu_device_bind(ctx, devs[i], &bound[i], &id));
		params.requester++;
	}
	ASSERT_OK(siommu_domain_add(w.domain, bound[0]));
	ASSERT_OK(siommu_uapi_attach_pasid_table(w.domain,
						 &(struct iommu_pasid_table_config){
							 .argsz = 32,
							 .version = 1,
							 .format = IOMMU_PASID_FORMAT_SMMUV3,
							 .config = IOMMU_PASID_CONFIG_ABORT,
							 .vendor_data.smmuv3.version = 1,
						 }));
	break_iommu(&broken);
	EXPECT_RC(-EIO, invalidate_all(&w));
	EXPECT_RC(-EIO, siommu_domain_add(w.domain, bound[1]));
	siommu_domain_remove(w.domain, bound[0]);
	EXPECT_OK(siommu_domain_add(w.domain, bound[1]));
	EXPECT_OK(siommu_domain_add(w.domain, bound[0]));
	EXPECT_OK(invalidate_all(&w));
	for (i = 0; i < 2; i++) {
		siommu_domain_remove(w.domain, bound[i]);
		siommu_device_unbind(bound[i]);
		siommu_device_destroy(devs[i]);
	}
	world_end(&w);
}

/**
 * struct vmm - what a VMM shows its guest of an IOMMU
 * @error: the queue has stopped: the guest's driver sees that in a register
 * @completed: invalidations that the guest may count on
 */
struct vmm {
	bool error;
	unsigned int completed;
};

/* A guest's command: completed, or the virtual IOMMU has a fault, and completes no more. */
static void vmm_command(struct vmm *vmm, const struct world *w,
			const struct iommu_cache_invalidate_info *info)
{
	if (vmm->error)
		return;
	if (siommu_uapi_cache_invalidate(w->domain, info))
		vmm->error = true;
	else
		vmm->completed++;
}

/* Answers 000-28, 000-33. The status is enough for a VMM to tell its guest the truth. */
TEST(a_vmm_raises_a_fault)
{
	struct world w = world_new("smmuv3");
	struct siommu_port *port = world_port(&w, 0, NULL, NULL);
	struct iommu_cache_invalidate_info info = world_invalidate();
	struct broken broken;
	struct vmm vmm = { 0 };

	arm_tables(&w);
	ASSERT_OK(set_table(&w));
	vmm_command(&vmm, &w, &info);
	EXPECT_EQ(1, vmm.completed);
	/* A command that the guest got wrong; its driver repairs that and goes on. */
	info.cache = IOMMU_CACHE_INV_TYPE_DEV_IOTLB;
	vmm_command(&vmm, &w, &info);
	EXPECT_TRUE(vmm.error);
	vmm.error = false;
	info.cache = IOMMU_CACHE_INV_TYPE_IOTLB;
	vmm_command(&vmm, &w, &info);
	EXPECT_EQ(2, vmm.completed);
	/* One that the host could not do: no completion, ever, and no DMA. */
	break_iommu(&broken);
	vmm_command(&vmm, &w, &info);
	EXPECT_TRUE(vmm.error);
	vmm.error = false;
	vmm_command(&vmm, &w, &info);
	EXPECT_TRUE(vmm.error);
	EXPECT_EQ(2, vmm.completed);
	EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
	siommu_port_destroy(port);
	world_end(&w);
}

/* Answers 000-11. One program, the same calls; what an IOMMU does not do it says at once. */
TEST(several_vendors)
{
	static const char *const models[] = { "vtd", "smmuv3" };
	struct iommu_nesting_info info;
	struct iommu_gpasid_bind_data data;
	struct siommu_port *port;
	struct world w;
	uint32_t pasid;
	bool pages;
	int i;

	for (i = 0; i < 2; i++) {
		w = world_new(models[i]);
		ASSERT_OK(siommu_domain_nesting_info(w.domain, &info));
		pages = info.features & IOMMU_NESTING_FEAT_BIND_PGTBL;
		EXPECT_EQ(!pages, !!(info.features & IOMMU_NESTING_FEAT_BIND_PASID_TABLE));
		EXPECT_TRUE(info.features & IOMMU_NESTING_FEAT_CACHE_INVLD);
		pasid = pasid_new(&w);
		if (pages)
			world_vtd_tables(&w);
		else
			arm_tables(&w);
		EXPECT_RC(pages ? 0 : -ENODEV, bind_pasid(&w, pasid));
		EXPECT_RC(pages ? -ENODEV : 0, set_table(&w));
		port = world_port(&w, pages ? pasid : 0, NULL, NULL);
		EXPECT_OK(world_read(port, GUEST_DATA));
		EXPECT_RC(-EFAULT, world_read(port, GUEST_ROOT));
		EXPECT_OK(invalidate_all(&w));
		data = world_bind(pasid);
		EXPECT_RC(pages ? 0 : -ENODEV,
			  siommu_uapi_sva_unbind_gpasid(w.domain, w.bound, &data));
		siommu_detach_pasid_table(w.domain);
		if (pages)
			EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
		else
			EXPECT_OK(world_read(port, GUEST_ROOT));
		siommu_port_destroy(port);
		world_end(&w);
		ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
	}
	/* No words for this one: its users have today's calls. */
	w = world_without_domain("amd", 0x1a3);
	EXPECT_RC(-EINVAL, siommu_domain_add(w.domain, w.bound));
	world_end(&w);
}

/* Answers 000-01. Who has no virtual IOMMU has no use for any of this, and does without. */
TEST(without_a_virtual_iommu)
{
	struct siommu_domain *domain;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	uint32_t id, ioas;
	uint64_t value = 0;
	struct siommu_unit *behind;
	uint64_t *memory;

	machine_restart(SIOMMU_2020_OFF);
	ASSERT_OK(siommu_unit_create(
		machine,
		&(struct siommu_unit_params){ .size = sizeof(struct siommu_unit_params),
					      .model = "vtd" },
		NULL, 0, &behind));
	ASSERT_OK(siommu_device_create(
		machine,
		&(struct siommu_device_params){ .size = sizeof(struct siommu_device_params),
						.name = "nic",
						.unit = behind },
		&dev));
	ASSERT_OK(siommu_device_bind(ctx, dev, &bound, &id));
	ASSERT_OK(siommu_port_create(dev, NULL, &port));
	ioas = new_ioas();
	memory = buffer(PAGE);
	*memory = 0x1234;
	EXPECT_RC(-EOPNOTSUPP, siommu_domain_create(ctx, ioas, &domain));
	ASSERT_OK(map_at(ioas, memory, PAGE, GUEST_DATA));
	ASSERT_OK(siommu_device_attach(bound, 0, &ioas));
	ASSERT_OK(siommu_dma_read(port, GUEST_DATA, &value, sizeof(value), 0));
	EXPECT_EQ(0x1234, value);
	siommu_port_destroy(port);
	siommu_device_unbind(bound);
	siommu_device_destroy(dev);
	fixture_close();
	siommu_unit_destroy(behind);
}

/**
 * struct crowd - threads that get in each other's way
 * @w: the machine
 * @stop: they are to end
 * @pasids: what they bind and free
 */
struct crowd {
	struct world *w;
	_Atomic bool stop;
	uint32_t pasids[NPASIDS];
};

static void *bind_on(void *arg)
{
	struct crowd *crowd = arg;
	unsigned int i;
	int rc;

	for (i = 0; !crowd->stop; i++) {
		rc = bind_pasid(crowd->w, crowd->pasids[i % NPASIDS]);
		if (rc && rc != -EBUSY && rc != -EINVAL)
			unit_fail(__FILE__, __LINE__, "binding gives %d", rc);
		EXPECT_OK(invalidate_all(crowd->w));
		if (i % 3 == 0)
			EXPECT_OK(unbind_pasid(crowd->w, crowd->pasids[i % NPASIDS]));
	}
	return NULL;
}

static void *read_on(void *arg)
{
	struct crowd *crowd = arg;
	struct siommu_port *ports[NPASIDS];
	unsigned int i;

	for (i = 0; i < NPASIDS; i++)
		ports[i] = world_port(crowd->w, crowd->pasids[i], NULL, NULL);
	for (i = 0; !crowd->stop; i++)
		(void)!world_read(ports[i % NPASIDS], GUEST_DATA);
	for (i = 0; i < NPASIDS; i++)
		siommu_port_destroy(ports[i]);
	return NULL;
}

/* PASIDs are freed while others bind them, and devices use them. */
TEST(freeing_while_others_bind)
{
	struct world w = world_new("vtd");
	struct crowd crowd = { .w = &w };
	struct siommu_port *port;
	pthread_t threads[3];
	unsigned int i;

	world_vtd_tables(&w);
	for (i = 0; i < NPASIDS; i++)
		crowd.pasids[i] = pasid_new(&w);
	ASSERT_OK(pthread_create(&threads[0], NULL, bind_on, &crowd));
	ASSERT_OK(pthread_create(&threads[1], NULL, bind_on, &crowd));
	ASSERT_OK(pthread_create(&threads[2], NULL, read_on, &crowd));
	for (i = 0; i < 1000; i++) {
		siommu_pasid_free(w.domain, crowd.pasids[i % NPASIDS], crowd.pasids[i % NPASIDS]);
		EXPECT_EQ(crowd.pasids[i % NPASIDS], pasid_new(&w));
	}
	crowd.stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	/* What is freed last is bound nowhere. */
	siommu_pasid_free(w.domain, 0, UINT32_MAX);
	for (i = 0; i < NPASIDS; i++) {
		port = world_port(&w, crowd.pasids[i], NULL, NULL);
		EXPECT_RC(-EFAULT, world_read(port, GUEST_DATA));
		siommu_port_destroy(port);
	}
	world_end(&w);
}
