// SPDX-License-Identifier: MIT
/* Sweep: making a PCI function of each model, with all that its device can do. */
#include "sweep.h"

static void with_device(struct world *w)
{
	const struct siommu_unit_params unit = { .size = sizeof(unit), .model = "vtd" };
	struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "sweep",
		.pasid_bits = 8,
		.requester = 8,
		.ats = true,
		.page_requests = true,
	};

	NEED(w, siommu_unit_create(w->machine, &unit, NULL, 0, &w->unit));
	params.unit = w->unit;
	NEED(w, siommu_device_create(w->machine, &params, &w->dev[0]));
}

static int make(struct world *w, const char *model, const char *options)
{
	const struct siommu_pci_params params = { .size = sizeof(params),
						  .model = model,
						  .options = options };

	return siommu_pci_create(w->dev[0], &params, NULL, 0, &w->pci[0]);
}

static int do_dsa(struct world *w)
{
	return make(w, "dsa", NULL);
}

static int do_edu(struct world *w)
{
	return make(w, "edu", "memory=64K");
}

static int do_igb(struct world *w)
{
	return make(w, "igb", NULL);
}

static int do_ioat(struct world *w)
{
	return make(w, "ioat", NULL);
}

static int do_nvme(struct world *w)
{
	return make(w, "nvme", "size=1M");
}

const struct sweep_case sweep_pci_cases[] = {
	{ "siommu_pci_create dsa", with_device, do_dsa, 0 },
	{ "siommu_pci_create edu", with_device, do_edu, 0 },
	{ "siommu_pci_create igb", with_device, do_igb, 0 },
	{ "siommu_pci_create ioat", with_device, do_ioat, 0 },
	{ "siommu_pci_create nvme", with_device, do_nvme, 0 },
	{ NULL, NULL, NULL, 0 },
};
