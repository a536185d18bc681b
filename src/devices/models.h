/* SPDX-License-Identifier: MIT */
/* The models, each in its folder. */
#ifndef DEVICES_MODELS_H
#define DEVICES_MODELS_H

#include "devices/pci.h"

extern const struct pci_model dsa_model;
extern const struct pci_model edu_model;
extern const struct pci_model igb_model;
extern const struct pci_model ioat_model;
extern const struct pci_model nvme_model;

#endif
