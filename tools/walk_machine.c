// SPDX-License-Identifier: MIT
/*
 * A machine to walk in: an IOMMU with one device, which translates what is
 * mapped in an address space, or what a guest's own table says.
 *
 * It is made through the library's public functions alone, in the order in which
 * a VMM makes the same calls.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/softiommu.h>

#include "walk.h"

/* Context descriptor of an SMMUv3 (section 5.4), as 64-bit words. */
#define CD_T0SZ_48   16u
#define CD_WB_SHARED (1u << 8 | 1u << 10 | 3u << 12)
#define CD_EPD1	     (1u << 30)
#define CD_V	     (1u << 31)
#define CD_IPS_40    (UINT64_C(2) << 32)
#define CD_AA64	     (UINT64_C(1) << 41)
#define CD_RAA	     (UINT64_C(1) << 45 | UINT64_C(1) << 46 | UINT64_C(1) << 47)
#define CD_ASID_1    (UINT64_C(1) << 48)
#define CD_MAIR_WB   UINT64_C(0xff44)

/* Stream table entry of an SMMUv3 (section 5.2). */
#define STE_V	      1u
#define STE_STAGE1    (5u << 1)
#define STE_WB_SHARED (1u << 2 | 1u << 4 | 3u << 6)

/* Device table entry of an AMD IOMMU (section 2.2.2.1). */
#define DTE_V	 UINT64_C(1)
#define DTE_TV	 (UINT64_C(1) << 1)
#define DTE_GIOV (UINT64_C(1) << 54)
#define DTE_GV	 (UINT64_C(1) << 55)
#define GCR3_V	 1u

/**
 * struct walk_world - all that is made
 * @memory: what is mapped, without a guest; one for each map
 * @ioas: the address space
 * @pt: what the device is attached to
 */
struct walk_world {
	const struct walk_request *request;
	struct siommu_machine *machine;
	struct topology_built built;
	struct siommu_ctx *ctx;
	struct siommu_bound *bound;
	uint32_t dev_id;
	bool attached;
	uint32_t ioas;
	uint32_t pt;
	struct guest guest;
};

static int cannot(const char *what, int rc)
{
	complain("walk: cannot %s: %s", what, strerror(-rc));
	return EXIT_USAGE;
}

static int make_machine(struct walk_world *w)
{
	char error[TOPOLOGY_ERROR];
	int rc;

	rc = siommu_machine_create(NULL, &w->machine);
	if (rc)
		return cannot("make a machine", rc);
	if (topology_build(w->machine, w->request->topology, &w->built, error))
		return complain("%s", error);
	rc = siommu_open(w->machine, 0, &w->ctx);
	if (!rc)
		rc = siommu_device_bind(w->ctx, w->built.devices[0], &w->bound, &w->dev_id);
	return rc ? cannot("bind the device", rc) : 0;
}

static int map_memory(struct walk_world *w, void *memory, uint64_t iova, uint64_t length,
		      bool writable)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = w->ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = iova,
	};
	int rc = siommu_ioctl(w->ctx, IOMMU_IOAS_MAP, &map);

	if (!rc)
		return 0;
	return complain("walk: cannot map %#llx bytes at %#llx: %s (can the IOMMU reach that?)",
			(unsigned long long)length, (unsigned long long)iova, strerror(-rc));
}

static int map_plain(struct walk_world *w)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < w->request->nmaps && !ret; i++) {
		const struct walk_map *m = &w->request->maps[i];
		uint8_t *memory = walk_memory(m->iova % (1u << 30) + m->length);

		if (!memory)
			return cannot("get memory", -ENOMEM);
		/* As aligned as the address; freed by the end of the process. */
		ret = map_memory(w, memory + m->iova % (1u << 30), m->iova, m->length, m->writable);
	}
	w->pt = w->ioas;
	return ret;
}

/* A nested HWPT on @parent, which is an HWPT or a vIOMMU. */
static int nest(struct walk_world *w, uint32_t parent, uint32_t type, void *data, size_t len)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.dev_id = w->dev_id,
		.pt_id = parent,
		.data_type = type,
		.data_len = (uint32_t)len,
		.data_uptr = (uintptr_t)data,
	};
	int rc = siommu_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &hwpt);

	if (rc)
		return cannot("nest a guest's table with these options (amd needs nested=on)", rc);
	w->pt = hwpt.out_hwpt_id;
	return 0;
}

static int nest_vtd(struct walk_world *w, uint32_t parent)
{
	struct iommu_hwpt_vtd_s1 table = { .pgtbl_addr = w->guest.root, .addr_width = 48 };

	return nest(w, parent, IOMMU_HWPT_DATA_VTD_S1, &table, sizeof(table));
}

static int nest_smmuv3(struct walk_world *w, uint32_t parent)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = w->dev_id,
		.hwpt_id = parent,
	};
	struct iommu_vdevice_alloc vdev = { .size = sizeof(vdev), .dev_id = w->dev_id };
	uint64_t cd = guest_table(&w->guest), *words = guest_words(&w->guest, cd);
	struct iommu_hwpt_arm_smmuv3 ste = {
		.ste = { STE_V | STE_STAGE1 | cd, STE_WB_SHARED },
	};
	int rc;

	words[0] = CD_T0SZ_48 | CD_WB_SHARED | CD_EPD1 | CD_V | CD_IPS_40 | CD_AA64 | CD_RAA |
		   CD_ASID_1;
	words[1] = w->guest.root;
	words[3] = CD_MAIR_WB;
	rc = siommu_ioctl(w->ctx, IOMMU_VIOMMU_ALLOC, &viommu);
	if (rc)
		return cannot("make a vIOMMU", rc);
	vdev.viommu_id = viommu.out_viommu_id;
	rc = siommu_ioctl(w->ctx, IOMMU_VDEVICE_ALLOC, &vdev);
	if (rc)
		return cannot("make a vDEVICE", rc);
	return nest(w, viommu.out_viommu_id, IOMMU_HWPT_DATA_ARM_SMMUV3, &ste, sizeof(ste));
}

static int nest_amd(struct walk_world *w, uint32_t parent)
{
	uint64_t gcr3 = guest_table(&w->guest);
	struct iommu_hwpt_amd_guest dte = {
		.dte =
			{
				DTE_V | DTE_TV | DTE_GIOV | DTE_GV | (gcr3 >> 12 & 7) << 58,
				(gcr3 >> 15 & 0xffff) << 16 | gcr3 >> 31 << 43,
			},
	};

	/* Without a PASID means PASID 0: the first entry. */
	guest_words(&w->guest, gcr3)[0] = w->guest.root | GCR3_V;
	return nest(w, parent, IOMMU_HWPT_DATA_AMD_GUEST, &dte, sizeof(dte));
}

static int map_nested(struct walk_world *w)
{
	const char *model = w->request->topology->units[0].model;
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = w->dev_id,
		.pt_id = w->ioas,
	};
	size_t i;
	int rc;

	rc = guest_create(&w->guest, !strcmp(model, "smmuv3"), w->request->maps, w->request->nmaps);
	for (i = 0; i < w->request->nmaps && !rc; i++)
		rc = guest_map(&w->guest, &w->request->maps[i]);
	if (!rc)
		rc = map_memory(w, w->guest.ram, w->guest.base, w->guest.size, true);
	if (rc)
		return rc;
	rc = siommu_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &parent);
	if (rc)
		return cannot("make a page table to nest on with these options", rc);
	if (!strcmp(model, "vtd"))
		return nest_vtd(w, parent.out_hwpt_id);
	if (!strcmp(model, "smmuv3"))
		return nest_smmuv3(w, parent.out_hwpt_id);
	return nest_amd(w, parent.out_hwpt_id);
}

static int attach(struct walk_world *w)
{
	struct iommu_ioas_unmap all = { .size = sizeof(all), .ioas_id = w->ioas };
	int rc;

	rc = siommu_device_attach(w->bound, 0, &w->pt);
	if (rc == -EADDRINUSE && w->request->guess) {
		/* An address to ask about all the same: the interrupt window's. */
		all.length = UINT64_MAX;
		(void)siommu_ioctl(w->ctx, IOMMU_IOAS_UNMAP, &all);
		rc = siommu_device_attach(w->bound, 0, &w->pt);
	}
	if (rc == -EADDRINUSE)
		return complain(
			"walk: --map lies where the device cannot reach: leave out its "
			"reserved ranges (x86: 0xfee00000-0xfeefffff, Arm: 0x8000000-0x80fffff)");
	w->attached = !rc;
	return rc ? cannot("attach the device", rc) : 0;
}

static int make_tables(struct walk_world *w)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	int rc;

	rc = siommu_ioctl(w->ctx, IOMMU_IOAS_ALLOC, &ioas);
	if (rc)
		return cannot("make an address space", rc);
	w->ioas = ioas.out_ioas_id;
	rc = w->request->nested ? map_nested(w) : map_plain(w);
	return rc ? rc : attach(w);
}

static int walk(struct walk_world *w, struct walk_trace *trace)
{
	struct siommu_port *port;
	int rc;

	rc = siommu_port_create(w->built.devices[0], NULL, &port);
	if (rc)
		return cannot("make a port", rc);
	snprintf(trace->device, sizeof(trace->device), "%s", w->request->topology->devices[0].name);
	walk_record(port, w->built.units[0], w->request->iova, w->request->access, trace);
	siommu_port_destroy(port);
	return 0;
}

static void take_down(struct walk_world *w)
{
	if (w->attached)
		siommu_device_detach(w->bound, 0);
	if (w->bound)
		siommu_device_unbind(w->bound);
	if (w->ctx)
		siommu_close(w->ctx);
	topology_unbuild(&w->built);
	siommu_machine_destroy(w->machine);
	guest_destroy(&w->guest);
}

int walk_in_machine(const struct walk_request *request, struct walk_trace *trace)
{
	struct walk_world w = { .request = request };
	int ret;

	ret = make_machine(&w);
	if (!ret)
		ret = make_tables(&w);
	if (!ret)
		ret = walk(&w, trace);
	take_down(&w);
	return ret;
}
