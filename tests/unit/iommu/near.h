/* SPDX-License-Identifier: MIT */
/*
 * What a port answers by itself, from the tables that it remembers, is what the
 * model answers. It is asked with a TLB that seems empty.
 */
#ifndef UNIT_IOMMU_NEAR_H
#define UNIT_IOMMU_NEAR_H

#include "dma/dma.h"
#include "unit.h"

/* How many were compared, and how many of them the model was not asked again for. */
static struct {
	uint64_t compared, alone;
} near_seen;

/*
 * After a request, which has left all marks that it leaves. Tables must not have
 * changed since the ports were last told.
 */
static inline void near_compare(struct dma_port *port, const struct dma_request *req)
{
	const unsigned int untouched = DMA_STAGES + 1;
	const struct dma_reply *own = &port->reply;
	struct dma_reply reply;
	const void *found;
	bool same;
	int rc;

	if (req->ats || req->peek || !siommu_dma_need(req->access))
		return;
	memset(&reply, 0, sizeof(reply));
	siommu_dma_begin(&port->port);
	rc = port->ops->translate(port, req, &reply);
	port->port.classes = 0;
	port->reply.leaves = untouched;
	found = siommu_dma_find(&port->port, req->iova, 1, req->access);
	siommu_dma_end(&port->port);
	near_seen.compared++;
	near_seen.alone += own->leaves == untouched;
	if (rc)
		same = !found;
	else if (reply.interrupt)
		same = !found && own->interrupt && own->hpa == reply.hpa;
	else
		same = !own->interrupt && own->hpa == reply.hpa && own->lg2 == reply.lg2 &&
		       own->perms == reply.perms;
	if (!same)
		unit_fail(__FILE__, __LINE__,
			  "%#llx access %#x: the port says %p %#llx 2^%u %#x, the model "
			  "%d %#llx 2^%u %#x",
			  (unsigned long long)req->iova, req->access, found,
			  (unsigned long long)own->hpa, own->lg2, own->perms, rc,
			  (unsigned long long)reply.hpa, reply.lg2, reply.perms);
}

/* One that never happens is not tested. */
static inline void near_expect(void)
{
	printf("# %llu asked of a port, %llu of them answered without the model\n",
	       (unsigned long long)near_seen.compared, (unsigned long long)near_seen.alone);
	EXPECT_TRUE(near_seen.alone > near_seen.compared / 1000);
}

#endif
