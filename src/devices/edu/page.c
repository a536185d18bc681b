// SPDX-License-Identifier: MIT
/* Page requests: asking, and waiting in a way that a reset can end. */
#include <time.h>

#include <softiommu/abi/iommufd.h>

#include "edu.h"

/* Numbers of groups that a device may use. */
#define GROUPS 512

/* Who has not answered by then will not. */
#define PATIENCE_S 10

void edu_page_response(void *arg, u32 group, u32 code)
{
	struct edu_port *port = arg;
	struct edu *edu = port->edu;

	pthread_mutex_lock(&edu->lock);
	if (edu->page_waits && edu->page_port == port && edu->page_group == group) {
		edu->page_waits = false;
		edu->page_code = code;
		pthread_cond_broadcast(&edu->wake);
	}
	pthread_mutex_unlock(&edu->lock);
}

/*
 * Send the request. A number that still waits for an answer, because its request was
 * given up, is passed over.
 */
static int ask(struct edu *edu, struct edu_port *port, u64 iova, unsigned int access)
{
	struct siommu_page_request request = {
		.iova = align_down(iova, PAGE_BYTES),
		.access = access,
		.last = true,
	};
	unsigned int i;
	int rc = -EBUSY;

	for (i = 0; i < GROUPS && rc == -EBUSY; i++) {
		pthread_mutex_lock(&edu->lock);
		edu->page_group = (edu->page_group + 1) % GROUPS;
		edu->page_port = port;
		edu->page_waits = true;
		request.group = edu->page_group;
		edu_set32(edu, EDU_PAGE_COUNT, edu_get32(edu, EDU_PAGE_COUNT) + 1);
		pthread_mutex_unlock(&edu->lock);
		rc = siommu_dma_page_request(port->port, &request);
	}
	return rc;
}

/* With edu->lock. While it waits nothing is done, so it counts as rest. */
static void await(struct edu *edu)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	edu->resting = true;
	pthread_cond_broadcast(&edu->wake);
	while (edu->page_waits && !edu->cancelled && !edu->silent && !edu->ending && !rc)
		rc = pthread_cond_timedwait(&edu->wake, &edu->lock, &until);
}

u32 edu_request_page(struct edu *edu, struct edu_port *port, u64 iova, unsigned int access)
{
	u32 result = EDU_NO_PAGE;
	int rc = ask(edu, port, iova, access);

	pthread_mutex_lock(&edu->lock);
	if (!rc) {
		await(edu);
		if (!edu->page_waits) {
			edu_set32(edu, EDU_PAGE_CODE, edu->page_code);
			if (edu->page_code == IOMMUFD_PAGE_RESP_SUCCESS)
				result = EDU_OK;
		}
	} else {
		result = rc == -ENOMEM ? EDU_NO_RESOURCES : EDU_NO_PAGE;
	}
	edu->page_waits = false;
	if (!edu_go_on(edu))
		result = EDU_STOPPED;
	pthread_mutex_unlock(&edu->lock);
	return result;
}
