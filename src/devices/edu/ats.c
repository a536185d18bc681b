// SPDX-License-Identifier: MIT
/*
 * Translations that the device asks for and keeps (PCIe ATS), until it is told to drop
 * them. One that arrives while others are dropped may have been meant too: it is used,
 * which the IOMMU checks, and not kept.
 */
#include "edu.h"

/* How often a translation may turn out to be dropped already, before it is a fault. */
#define ATTEMPTS 16

static bool overlaps(const struct edu_translation *t, u32 pasid, u64 start, u64 last)
{
	return t->pasid == pasid && t->start <= t->last && t->start <= last && start <= t->last;
}

static unsigned int entries(const struct edu *edu)
{
	unsigned int i, n = 0;

	for (i = 0; i < EDU_ATC_ENTRIES; i++)
		n += edu->atc[i].start <= edu->atc[i].last;
	return n;
}

/* With edu->lock. */
void edu_ats_forget(struct edu *edu, u32 pasid, u64 start, u64 last)
{
	unsigned int i;

	for (i = 0; i < EDU_ATC_ENTRIES; i++) {
		if (overlaps(&edu->atc[i], pasid, start, last))
			edu->atc[i] = (struct edu_translation){ .start = 1 };
	}
	edu->atc_generation++;
	edu_set32(edu, EDU_ATS_ENTRIES, entries(edu));
}

void edu_ats_invalidate(void *arg, u64 iova, u64 length)
{
	struct edu_port *port = arg;
	struct edu *edu = port->edu;
	u64 last;

	if (range_last(iova, length, &last))
		last = U64_MAX;
	pthread_mutex_lock(&edu->lock);
	edu_ats_forget(edu, port->pasid, iova, last);
	edu_set32(edu, EDU_ATS_INVAL, edu_get32(edu, EDU_ATS_INVAL) + 1);
	pthread_mutex_unlock(&edu->lock);
}

static bool look_up(struct edu *edu, u32 pasid, u64 iova, unsigned int access,
		    struct edu_translation *out)
{
	bool found = false;
	unsigned int i;

	pthread_mutex_lock(&edu->lock);
	for (i = 0; i < EDU_ATC_ENTRIES && !found; i++) {
		const struct edu_translation *t = &edu->atc[i];

		if (overlaps(t, pasid, iova, iova) && (t->access & access) == access) {
			*out = *t;
			found = true;
		}
	}
	pthread_mutex_unlock(&edu->lock);
	return found;
}

static u64 generation(struct edu *edu)
{
	u64 x;

	pthread_mutex_lock(&edu->lock);
	x = edu->atc_generation;
	pthread_mutex_unlock(&edu->lock);
	return x;
}

/* Show the answer, and keep it if it allows anything and nothing was dropped since @asked. */
static void keep(struct edu *edu, const struct edu_translation *t, u64 asked)
{
	pthread_mutex_lock(&edu->lock);
	edu_set64(edu, EDU_ATS_ADDR, t->address);
	edu_set64(edu, EDU_ATS_BYTES, t->last - t->start + 1);
	edu_set32(edu, EDU_ATS_ACCESS, t->access);
	if (t->access && asked == edu->atc_generation) {
		edu->atc[edu->atc_next] = *t;
		edu->atc_next = (edu->atc_next + 1) % EDU_ATC_ENTRIES;
		edu_set32(edu, EDU_ATS_ENTRIES, entries(edu));
	}
	pthread_mutex_unlock(&edu->lock);
}

u32 edu_translate(struct edu *edu, struct edu_port *port, u64 iova, unsigned int access,
		  struct edu_translation *out)
{
	const u64 asked = generation(edu);
	struct siommu_ats ats;
	int rc;

	if (!pci_ats_enabled(&edu->func))
		return EDU_NOT_SUPPORTED;
	if (!pci_may_dma(&edu->func))
		return EDU_NOT_MASTER;
	rc = siommu_dma_ats_translate(port->port, iova, access, &ats);
	if (rc == -EFAULT)
		edu_note_fault(edu, port->port);
	if (rc)
		return rc == -EOPNOTSUPP ? EDU_NOT_SUPPORTED
		       : rc == -ENOMEM	 ? EDU_NO_RESOURCES
					 : EDU_FAULT;
	*out = (struct edu_translation){
		.start = ats.iova,
		.last = ats.iova + (ats.bytes - 1),
		.address = ats.address,
		.access = ats.access,
		.pasid = port->pasid,
	};
	keep(edu, out, asked);
	return EDU_OK;
}

/* Up to where the translation holds; -EFAULT if it was dropped meanwhile. */
static int move(struct edu *edu, struct edu_port *port, const struct edu_translation *t, u64 iova,
		void *buf, size_t n, bool write)
{
	const u64 address = t->address + (iova - t->start);
	int rc;

	if (!write)
		return siommu_dma_ats_read(port->port, address, buf, n);
	rc = siommu_dma_ats_write(port->port, address, buf, n);
	if (!rc)
		pci_dma_wrote(&edu->func, iova, n);
	return rc;
}

u32 edu_ats_move(struct edu *edu, struct edu_port *port, u64 iova, void *buf, size_t n, bool write)
{
	const unsigned int access = write ? SIOMMU_DMA_READ | SIOMMU_DMA_WRITE : SIOMMU_DMA_READ;
	unsigned int attempts = 0;
	u8 *at = buf;

	while (n) {
		struct edu_translation t;
		size_t bytes;

		if (!look_up(edu, port->pasid, iova, access, &t)) {
			u32 result = edu_translate(edu, port, iova, access, &t);

			if (result)
				return result;
			if ((t.access & access) != access)
				return EDU_NO_PAGE;
		}
		if (!pci_may_dma(&edu->func))
			return EDU_NOT_MASTER;
		bytes = (size_t)min_u64(n, t.last - iova + 1);
		if (move(edu, port, &t, iova, at, bytes, write)) {
			if (++attempts < ATTEMPTS) {
				pthread_mutex_lock(&edu->lock);
				edu_ats_forget(edu, port->pasid, t.start, t.last);
				pthread_mutex_unlock(&edu->lock);
				continue;
			}
			edu_note_fault(edu, port->port);
			return EDU_FAULT;
		}
		iova += bytes;
		at += bytes;
		n -= bytes;
	}
	return EDU_OK;
}
