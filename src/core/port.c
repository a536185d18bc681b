// SPDX-License-Identifier: MIT
/*
 * softiommu/dma.h: making and ending ports. All else is the data path's own
 * (src/dma).
 */
#include <softiommu/dma.h>

#include "core/device.h"

int siommu_port_create(struct siommu_device *dev, const struct siommu_port_params *params,
		       struct siommu_port **out)
{
	struct dma_port *port;
	int rc;

	rc = iommu_port_create(dev->dev, params, &port);
	if (!rc)
		*out = &port->port;
	return rc;
}

void siommu_port_destroy(struct siommu_port *port)
{
	if (port)
		iommu_port_destroy(to_dma_port(port));
}
