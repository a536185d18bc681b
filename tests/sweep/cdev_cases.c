// SPDX-License-Identifier: MIT
/* Sweep: functions, and devices of VFIO opened by their cdevs. */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <softiommu/abi/vfio.h>

#include "sweep.h"

#define CDEV   "/dev/vfio/devices/vfio0"
#define BAR2   ((uint64_t)VFIO_PCI_BAR2_REGION_INDEX << 40)
#define CONFIG ((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)

enum { CONTEXT, DEVICE, BUF };

static void device(struct world *w)
{
	const struct siommu_unit_params unit = { .size = sizeof(unit), .model = "vtd" };
	struct siommu_device_params dev = {
		.size = sizeof(dev),
		.name = "edu",
		.requester = 2 << 3,
		.pasid_bits = 16,
	};

	world_ioas(w);
	/* The machine's bus comes with the first use of VFIO, and stays. */
	w->out_fd = siommu_vfio_open(w->machine, "/dev/vfio/vfio", 0);
	NEED(w, w->out_fd);
	NEED(w, siommu_vfio_close(w->machine, w->out_fd));
	w->out_fd = -1;
	NEED(w, siommu_unit_create(w->machine, &unit, NULL, 0, &w->unit));
	dev.unit = w->unit;
	NEED(w, siommu_device_create(w->machine, &dev, &w->dev[0]));
	/* What takes an eventfd gets this one. */
	close(w->null_fd);
	w->null_fd = eventfd(0, EFD_CLOEXEC);
}

static int do_create(struct world *w)
{
	const struct siommu_pci_params edu = {
		.size = sizeof(edu),
		.model = "edu",
		.options = "memory=64K",
	};

	return siommu_pci_create(w->dev[0], &edu, NULL, 0, &w->pci[0]);
}

static void function(struct world *w)
{
	device(w);
	NEED(w, do_create(w));
}

static int do_open(struct world *w)
{
	w->vfio_fd[DEVICE] = siommu_vfio_open(w->machine, CDEV, 0);
	return w->vfio_fd[DEVICE];
}

static void opened(struct world *w)
{
	function(w);
	NEED(w, do_open(w));
}

static int do_context(struct world *w)
{
	w->vfio_fd[CONTEXT] = siommu_vfio_context(w->ctx);
	return w->vfio_fd[CONTEXT];
}

static int call(struct world *w, unsigned long request, void *arg)
{
	return (int)siommu_vfio_ioctl(w->machine, w->vfio_fd[DEVICE], request, arg);
}

static int do_bind(struct world *w)
{
	struct siommu_vfio_bind cmd = { .argsz = sizeof(cmd), .iommufd = w->vfio_fd[CONTEXT] };
	int rc = call(w, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (!rc)
		w->idev = cmd.out_devid;
	return rc;
}

static void with_context(struct world *w)
{
	opened(w);
	NEED(w, do_context(w));
}

static void bound(struct world *w)
{
	with_context(w);
	NEED(w, do_bind(w));
}

static int attach(struct world *w, uint32_t flags, uint32_t pt)
{
	struct siommu_vfio_attach cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.pt_id = pt,
		.pasid = flags ? 5 : 0,
	};

	return call(w, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static int do_attach(struct world *w)
{
	return attach(w, 0, w->ioas[0]);
}

static void attached(struct world *w)
{
	bound(w);
	NEED(w, map_at(w, w->ioas[0], 0x100000, 64 * KIB, 0));
	NEED(w, do_attach(w));
}

static int do_replace(struct world *w)
{
	return attach(w, 0, w->ioas[1]);
}

static int do_detach(struct world *w)
{
	struct siommu_vfio_detach cmd = { .argsz = sizeof(cmd) };

	return call(w, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static void with_pasid_table(struct world *w)
{
	bound(w);
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_ALLOC_PASID, w->ioas[0], 0, NULL, 0, &w->hwpt));
}

static int do_attach_pasid(struct world *w)
{
	return attach(w, VFIO_DEVICE_ATTACH_PASID, w->hwpt);
}

static int do_close(struct world *w)
{
	int rc = siommu_vfio_close(w->machine, w->vfio_fd[DEVICE]);

	w->vfio_fd[DEVICE] = -1;
	return rc;
}

static int set_irqs(struct world *w, uint32_t flags, uint32_t index, uint32_t count)
{
	struct {
		uint32_t argsz, flags, index, start, count;
		int32_t fds[4];
	} set = { sizeof(set), flags, index, 0, count, { 0 } };
	unsigned int i;

	for (i = 0; i < 4; i++)
		set.fds[i] = w->null_fd;
	return call(w, VFIO_DEVICE_SET_IRQS, &set);
}

#define SET_EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

static int do_intx(struct world *w)
{
	return set_irqs(w, SET_EVENTFD, VFIO_PCI_INTX_IRQ_INDEX, 1);
}

static int do_msi(struct world *w)
{
	return set_irqs(w, SET_EVENTFD, VFIO_PCI_MSI_IRQ_INDEX, 4);
}

static int do_msix(struct world *w)
{
	return set_irqs(w, SET_EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 4);
}

static int do_err(struct world *w)
{
	return set_irqs(w, SET_EVENTFD, VFIO_PCI_ERR_IRQ_INDEX, 1);
}

static void with_intx(struct world *w)
{
	bound(w);
	NEED(w, do_intx(w));
}

static int do_unmask_eventfd(struct world *w)
{
	return set_irqs(w, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
			VFIO_PCI_INTX_IRQ_INDEX, 1);
}

static void with_msix(struct world *w)
{
	attached(w);
	NEED(w, do_msix(w));
}

static int do_disable(struct world *w)
{
	return set_irqs(w, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			VFIO_PCI_MSIX_IRQ_INDEX, 0);
}

static int do_reset(struct world *w)
{
	return call(w, VFIO_DEVICE_RESET, NULL);
}

static int do_info(struct world *w)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return call(w, VFIO_DEVICE_GET_INFO, &info);
}

static int do_region_info(struct world *w)
{
	union {
		struct vfio_region_info info;
		char room[256];
	} u = { .info = { .argsz = sizeof(u) } };

	return call(w, VFIO_DEVICE_GET_REGION_INFO, &u);
}

static int do_read_bar(struct world *w)
{
	char bytes[64];

	return (int)siommu_vfio_read(w->machine, w->vfio_fd[DEVICE], bytes, sizeof(bytes), BAR2);
}

static int do_write_config(struct world *w)
{
	const uint16_t command = 6;

	return (int)siommu_vfio_write(w->machine, w->vfio_fd[DEVICE], &command, 2, CONFIG + 4);
}

static int do_mmap(struct world *w)
{
	int rc;

	rc = siommu_vfio_mmap(w->machine, w->vfio_fd[DEVICE], 2 * PAGE, PROT_READ | PROT_WRITE,
			      BAR2, &w->map);
	return rc;
}

static int do_export(struct world *w)
{
	struct {
		uint32_t argsz, flags;
		uint32_t region_index, open_flags, zero, nr_ranges;
		struct vfio_region_dma_range range;
	} f = {
		.argsz = sizeof(f),
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.region_index = 2,
		.nr_ranges = 1,
		.range = { 0, 64 * KIB },
	};

	w->vfio_fd[BUF] = call(w, VFIO_DEVICE_FEATURE, &f);
	return w->vfio_fd[BUF];
}

static void exported(struct world *w)
{
	attached(w);
	NEED(w, do_export(w));
}

static int do_map_export(struct world *w)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = w->ioas[0],
		.fd = w->vfio_fd[BUF],
		.length = 64 * KIB,
		.iova = 0x800000,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_MAP_FILE, &cmd);
}

static int do_vfs(struct world *w)
{
	static const char path[] = "/sys/bus/pci/devices/0000:00:02.0/sriov_numvfs";
	int fd = siommu_vfio_open(w->machine, path, 0), rc;

	if (fd < 0)
		return fd;
	rc = (int)siommu_vfio_write(w->machine, fd, "3", 1, 0);
	(void)siommu_vfio_close(w->machine, fd);
	return rc;
}

const struct sweep_case sweep_cdev_cases[] = {
	{ "siommu_pci_create", device, do_create, 0 },
	{ "siommu_pci_create and three virtual functions", function, do_vfs, 0 },
	{ "siommu_vfio_open of a cdev", function, do_open, 0 },
	{ "siommu_vfio_context", function, do_context, 0 },
	{ "VFIO_DEVICE_BIND_IOMMUFD", with_context, do_bind, 0 },
	{ "VFIO_DEVICE_ATTACH_IOMMUFD_PT", bound, do_attach, 0 },
	{ "VFIO_DEVICE_ATTACH_IOMMUFD_PT in place of another", attached, do_replace, 0 },
	{ "VFIO_DEVICE_ATTACH_IOMMUFD_PT of a PASID", with_pasid_table, do_attach_pasid, 0 },
	{ "VFIO_DEVICE_DETACH_IOMMUFD_PT", attached, do_detach, SWEEP_NO_ALLOC },
	{ "siommu_vfio_close of a device", with_msix, do_close, SWEEP_NO_ALLOC },
	{ "VFIO_DEVICE_SET_IRQS: the pin", bound, do_intx, 0 },
	{ "VFIO_DEVICE_SET_IRQS: the pin's unmask", with_intx, do_unmask_eventfd, 0 },
	{ "VFIO_DEVICE_SET_IRQS: MSI", bound, do_msi, 0 },
	{ "VFIO_DEVICE_SET_IRQS: MSI-X", bound, do_msix, 0 },
	{ "VFIO_DEVICE_SET_IRQS: errors", bound, do_err, 0 },
	{ "VFIO_DEVICE_SET_IRQS: none", with_msix, do_disable, SWEEP_NO_ALLOC },
	{ "VFIO_DEVICE_RESET", with_msix, do_reset, SWEEP_NO_ALLOC },
	{ "VFIO_DEVICE_GET_INFO", bound, do_info, SWEEP_NO_ALLOC },
	{ "VFIO_DEVICE_GET_REGION_INFO", bound, do_region_info, SWEEP_NO_ALLOC },
	{ "siommu_vfio_read of a BAR", bound, do_read_bar, SWEEP_NO_ALLOC },
	{ "siommu_vfio_write of configuration", bound, do_write_config, SWEEP_NO_ALLOC },
	{ "siommu_vfio_mmap", bound, do_mmap, SWEEP_NO_ALLOC },
	{ "VFIO_DEVICE_FEATURE_DMA_BUF", bound, do_export, 0 },
	{ "IOMMU_IOAS_MAP_FILE of a BAR", exported, do_map_export, 0 },
	{ NULL, NULL, NULL, 0 },
};
