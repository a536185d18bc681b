// SPDX-License-Identifier: MIT
/* A request, from the device to memory: configuration, stage 1, stage 2. */
#include <string.h>

#include "smmuv3.h"

/* How often a translation begins again because an entry had changed. */
#define MAX_TRIES 64

#define ALL (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC)

/* Neither stage translates: section 3.4, only the size matters. */
static int bypass(struct smmuv3_walk *w, struct dma_reply *reply)
{
	const u64 iova = w->req->iova;

	if (iova >> PA_BITS)
		return smmuv3_fault_s1(w, EVT_ADDR_SIZE, CLASS_IN);
	reply->hpa = iova;
	reply->lg2 = reply->span_lg2 = PAGE_LG2;
	reply->perms = dma_perms(ALL, ALL);
	return 0;
}

/* Where a stage was left, for the neighbours. */
static inline void left(const struct smmuv3_leaf *found, struct dma_leaf *leaf)
{
	leaf->at = found->at;
	leaf->entry = found->entry;
	leaf->address = found->address;
	leaf->perms = found->perms;
	leaf->item_lg2 = leaf->lg2 = found->lg2;
}

static int run(struct smmuv3_walk *w, struct dma_reply *reply)
{
	const struct smmuv3_config *cfg = w->cfg;
	unsigned int access = w->req->access;
	struct smmuv3_leaf leaf1, leaf2;
	int rc;

	if (unlikely(w->req->ats) && (!cfg->ats || (!cfg->s1 && !cfg->s2))) {
		smmuv3_fault_config(w, EVT_BAD_ATS_TREQ);
		return -EOPNOTSUPP;
	}
	if (!cfg->s1 && !cfg->s2)
		return bypass(w, reply);
	if (cfg->s1)
		rc = smmuv3_stage1(w, w->req->iova, &access, &leaf1);
	else
		rc = smmuv3_stage2(w, w->req->iova, &access, CLASS_IN, &leaf1);
	if (rc)
		return rc;
	leaf2 = leaf1;
	if (cfg->s1 && cfg->s2)
		rc = smmuv3_stage2(w, leaf1.out, &access, CLASS_IN, &leaf2);
	if (rc)
		return rc;
	reply->hpa = leaf2.out;
	reply->lg2 = leaf1.lg2 < leaf2.lg2 ? leaf1.lg2 : leaf2.lg2;
	/*
	 * A guest invalidates pages of its stage 1. When stage 2 changes, ports
	 * forget all that is nested on it.
	 */
	reply->span_lg2 = leaf1.lg2;
	reply->perms = leaf1.perms & leaf2.perms;
	left(&leaf1, &reply->leaf[0]);
	left(&leaf2, &reply->leaf[1]);
	reply->leaves = cfg->s1 && cfg->s2 ? 2 : 1;
	return 0;
}

/*
 * What STE and CD say, unless the port knows. Who wants to see each step sees these,
 * too; and what was read without a mark that it was read does not count.
 */
static int configure(struct smmuv3_walk *w, struct smmuv3_config *cfg)
{
	struct dma_port *port = w->port;
	int rc;

	w->cfg = (const struct smmuv3_config *)port->config;
	if (likely(port->config_valid && !w->req->step))
		return 0;
	rc = smmuv3_read_config(w, cfg);
	if (!rc && !w->req->step && !w->req->peek) {
		memcpy(port->config, cfg, sizeof(*cfg));
		port->config_valid = true;
	}
	return rc;
}

int smmuv3_translate(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
		     struct dma_reply *reply)
{
	struct smmuv3_walk w = {
		.dev = dev,
		.port = port,
		.req = req,
		.reply = reply,
		.ssv = port->flags & SIOMMU_PORT_PASID,
	};
	struct smmuv3_config cfg;
	unsigned int tries = 0;
	int rc;

	do {
		rc = configure(&w, &cfg);
		if (!rc)
			rc = run(&w, reply);
	} while (unlikely(rc == -EAGAIN) && ++tries < MAX_TRIES);
	if (rc == -EAGAIN)
		return smmuv3_fault_fetch(&w, CLASS_TT, 0);
	if (rc != SMMUV3_INTERRUPT)
		return rc;
	reply->interrupt = true;
	reply->lg2 = reply->span_lg2 = PAGE_LG2;
	return 0;
}
