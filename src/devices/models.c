// SPDX-License-Identifier: MIT
/* The kinds of devices that there are. */
#include "models.h"

const struct pci_model *const pci_models[] = {
	&dsa_model,
	&edu_model,
	&igb_model,
	&ioat_model,
	&nvme_model,
	NULL,
};
