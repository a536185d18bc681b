// SPDX-License-Identifier: MIT
/*
 * A client that takes page faults: it nests a page table of its own over the
 * host's, sends its faults to a queue, waits with poll, reads and answers.
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/iommufd-test.h>

static int iommu;

static void call(unsigned long request, void *cmd, const char *what)
{
	if (ioctl(iommu, request, cmd) < 0)
		err(1, "%s", what);
	printf("  %s\n", what);
}

/* Have the test device ask for a page, then answer as a page-fault handler would. */
static void take_fault(int queue, __u32 dev)
{
	struct iommu_test_cmd ask = {
		.size = sizeof(ask),
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = { .dev_id = dev, .grpid = 1, .perm = IOMMU_PGFAULT_PERM_READ,
				  .addr = 0x5000 },
	};
	struct pollfd pfd = { .fd = queue, .events = POLLIN };
	struct iommu_hwpt_pgfault fault;
	struct iommu_hwpt_page_response answer = { .code = IOMMUFD_PAGE_RESP_SUCCESS };

	call(IOMMU_TEST_CMD, &ask, "the device asks for the page at 0x5000");
	if (poll(&pfd, 1, 1000) != 1 || read(queue, &fault, sizeof(fault)) != sizeof(fault))
		err(1, "fault queue");
	printf("  read: device %u wants %#llx, group %u\n", fault.dev_id,
	       (unsigned long long)fault.addr, fault.grpid);
	answer.cookie = fault.cookie;
	if (write(queue, &answer, sizeof(answer)) != sizeof(answer))
		err(1, "answer");
	printf("  answered: retry\n");
}

int main(void)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_hwpt_selftest table = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_test_cmd cmd = { .size = sizeof(cmd), .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	struct iommu_hwpt_alloc parent = { .size = sizeof(parent) }, nested;
	__u32 test_device;

	iommu = open("/dev/iommu", O_RDWR);
	if (iommu < 0)
		err(1, "/dev/iommu");
	call(IOMMU_IOAS_ALLOC, &ioas, "an address space");
	cmd.id = ioas.out_ioas_id;
	call(IOMMU_TEST_CMD, &cmd, "a device");
	test_device = cmd.mock_domain.out_stdev_id;
	call(IOMMU_FAULT_QUEUE_ALLOC, &queue, "a fault queue, with a descriptor");

	parent.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	parent.dev_id = cmd.mock_domain.out_idev_id;
	parent.pt_id = ioas.out_ioas_id;
	call(IOMMU_HWPT_ALLOC, &parent, "the host's page table, as a parent");
	nested = (struct iommu_hwpt_alloc){
		.size = sizeof(nested),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = parent.dev_id,
		.pt_id = parent.out_hwpt_id,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(table),
		.data_uptr = (__u64)&table,
		.fault_id = queue.out_fault_id,
	};
	call(IOMMU_HWPT_ALLOC, &nested, "the guest's page table on top, faults to the queue");
	cmd = (struct iommu_test_cmd){
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = test_device,
		.mock_domain_replace = { .pt_id = nested.out_hwpt_id },
	};
	call(IOMMU_TEST_CMD, &cmd, "the device moves to it, without a gap");
	take_fault((int)queue.out_fault_fd, nested.dev_id);
	return 0;
}
