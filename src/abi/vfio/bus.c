// SPDX-License-Identifier: MIT
/*
 * A machine's PCI functions: which there are, how they are found, and the groups that
 * they form.
 *
 * A function gets the lowest minor that is free, and a group the lowest number, so a
 * machine that is made twice in the same way looks the same. A group exists while it
 * has functions. Virtual functions come and go with their physical function's number
 * of them, and each brings a device of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <linux/pci_regs.h>
#include <softiommu/device.h>
#include <softiommu/pci.h>

#include "core/ctx.h"
#include "mem/device.h"
#include "vfio.h"

/* What /sys/bus/pci/devices/.../resource says of a BAR. */
#define RESOURCE_MEM	   0x00000200
#define RESOURCE_PREFETCH  0x00002000
#define RESOURCE_SIZEALIGN 0x00040000
#define RESOURCE_MEM_64	   0x00100000

static void bus_end(struct vfio_bus *bus)
{
	vfio_signaller_destroy(&bus->signaller);
	pthread_cond_destroy(&bus->settled);
	pthread_mutex_destroy(&bus->lock);
	base_free(&bus->machine->alloc, bus, sizeof(*bus));
}

struct vfio_bus *vfio_bus_of(struct siommu_machine *m)
{
	struct vfio_bus *bus;

	pthread_mutex_lock(&m->lock);
	bus = m->bus;
	pthread_mutex_unlock(&m->lock);
	return bus;
}

int vfio_bus_get(struct siommu_machine *m, struct vfio_bus **out)
{
	struct vfio_bus *bus;

	pthread_mutex_lock(&m->lock);
	bus = m->bus;
	if (!bus)
		bus = base_zalloc(&m->alloc, sizeof(*bus));
	if (bus && !m->bus) {
		bus->machine = m;
		pthread_mutex_init(&bus->lock, NULL);
		pthread_cond_init(&bus->settled, NULL);
		vfio_signaller_init(&bus->signaller);
		TAILQ_INIT(&bus->functions);
		TAILQ_INIT(&bus->groups);
		m->bus_end = bus_end;
		m->bus_show = vfio_bus_show;
		m->bus = bus;
	}
	pthread_mutex_unlock(&m->lock);
	if (!bus)
		return -ENOMEM;
	*out = bus;
	return 0;
}

struct siommu_pci *vfio_find_address(struct vfio_bus *bus, const char *address)
{
	struct siommu_pci *pci;

	TAILQ_FOREACH(pci, &bus->functions, link)
		if (!strcmp(pci->address, address))
			return pci;
	return NULL;
}

struct siommu_pci *vfio_find_minor(struct vfio_bus *bus, unsigned int minor)
{
	struct siommu_pci *pci;

	TAILQ_FOREACH(pci, &bus->functions, link)
		if (pci->minor == minor)
			return pci;
	return NULL;
}

struct vfio_group *vfio_find_group(struct vfio_bus *bus, unsigned int number)
{
	struct vfio_group *group;

	TAILQ_FOREACH(group, &bus->groups, link)
		if (group->number == number)
			return group;
	return NULL;
}

void vfio_begin_reset(struct siommu_pci *pci)
{
	pci->opens++;
	pci->resetting = true;
}

void vfio_end_reset(struct siommu_pci *pci)
{
	pci->resetting = false;
	pci->opens--;
	pthread_cond_broadcast(&pci->bus->settled);
}

static bool has_device(struct vfio_bus *bus, const struct siommu_device *dev)
{
	struct siommu_pci *pci;

	TAILQ_FOREACH(pci, &bus->functions, link)
		if (pci->dev == dev)
			return true;
	return false;
}

static unsigned int free_minor(struct vfio_bus *bus)
{
	unsigned int minor = 0;

	while (vfio_find_minor(bus, minor))
		minor++;
	return minor;
}

static struct vfio_group *group_get(struct vfio_bus *bus, struct siommu_group *of)
{
	struct vfio_group *group;
	unsigned int number = 0;

	TAILQ_FOREACH(group, &bus->groups, link)
		if (group->group == of)
			return group;
	group = base_zalloc(&bus->machine->alloc, sizeof(*group));
	if (!group)
		return NULL;
	while (vfio_find_group(bus, number))
		number++;
	group->bus = bus;
	group->number = number;
	group->group = of;
	pthread_mutex_init(&group->lock, NULL);
	TAILQ_INIT(&group->functions);
	TAILQ_INSERT_TAIL(&bus->groups, group, link);
	return group;
}

/* A group that the last function has left. */
static void group_put(struct vfio_bus *bus, struct vfio_group *group)
{
	if (!TAILQ_EMPTY(&group->functions))
		return;
	TAILQ_REMOVE(&bus->groups, group, link);
	pthread_mutex_destroy(&group->lock);
	base_free(&bus->machine->alloc, group, sizeof(*group));
}

/* What can be mapped of a function is not memory that can be pinned. */
static void memory_remove(struct siommu_pci *pci)
{
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++)
		if (pci->func->desc.bars[i].memory)
			mem_device_remove(&pci->bus->machine->host, pci->func->desc.bars[i].memfd);
}

static int memory_add(struct siommu_pci *pci)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < PCI_BARS && !rc; i++)
		if (pci->func->desc.bars[i].memory)
			rc = mem_device_add(&pci->bus->machine->host,
					    pci->func->desc.bars[i].memfd);
	if (rc)
		memory_remove(pci);
	return rc;
}

int vfio_renew_memory(struct siommu_pci *pci)
{
	int rc = pci_bars_renew(pci->func);
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++)
		if (pci->func->desc.bars[i].memory)
			mem_device_renew(&pci->bus->machine->host, pci->func->desc.bars[i].memfd);
	return rc;
}

static void insert(struct vfio_bus *bus, struct siommu_pci *pci)
{
	struct siommu_pci *next;

	pci->minor = free_minor(bus);
	TAILQ_INSERT_TAIL(&pci->group->functions, pci, group_link);
	TAILQ_FOREACH(next, &bus->functions, link)
		if (strcmp(pci->address, next->address) < 0)
			break;
	if (next)
		TAILQ_INSERT_BEFORE(next, pci, link);
	else
		TAILQ_INSERT_TAIL(&bus->functions, pci, link);
	bus->generation++;
}

static void address_of(char *buf, size_t n, unsigned int domain, u32 requester)
{
	snprintf(buf, n, "%04x:%02x:%02x.%x", domain & 0xffff, requester >> 8 & 0xff,
		 requester >> 3 & 0x1f, requester & 7);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "DDDD:BB:DD.F" in small letters, as the kernel writes it, and nothing else. */
static bool address_valid(const char *s)
{
	static const char pattern[] = "xxxx:xx:xx.x";
	size_t i;

	if (strlen(s) != sizeof(pattern) - 1)
		return false;
	for (i = 0; i < sizeof(pattern) - 1; i++)
		if (pattern[i] == 'x' ? hex(s[i]) < 0 : s[i] != pattern[i])
			return false;
	return hex(s[8]) < 2 && hex(s[11]) < 8;
}

static const struct pci_model *model_find(const char *name)
{
	const struct pci_model *const *model;

	for (model = pci_models; *model; model++)
		if (!strcmp((*model)->name, name))
			return *model;
	return NULL;
}

static void fill_params(struct pci_params *params, struct siommu_device *dev, const char *options)
{
	struct iommu_device *hw = dev->dev;

	params->alloc = &dev->machine->alloc;
	params->log = &dev->machine->log;
	params->name = hw->name;
	params->dev = dev;
	params->pasid_bits = hw->pasid_bits;
	params->ats = iommu_capable(hw, IOMMU_CAP_PCI_ATS);
	params->page_requests = hw->page_requests;
	params->options = options;
}

/* Memory, a group and the model's own function; caller inserts it. */
static int pci_new(struct vfio_bus *bus, struct siommu_device *dev, struct siommu_pci **out)
{
	struct siommu_pci *pci;

	pci = base_zalloc(&bus->machine->alloc, sizeof(*pci));
	if (!pci)
		return -ENOMEM;
	pci->group = group_get(bus, dev->group);
	if (!pci->group) {
		base_free(&bus->machine->alloc, pci, sizeof(*pci));
		return -ENOMEM;
	}
	pci->bus = bus;
	pci->dev = dev;
	pthread_mutex_init(&pci->export_lock, NULL);
	LIST_INIT(&pci->dmabufs);
	*out = pci;
	return 0;
}

static void pci_abort(struct siommu_pci *pci)
{
	group_put(pci->bus, pci->group);
	pthread_mutex_destroy(&pci->export_lock);
	base_free(&pci->bus->machine->alloc, pci, sizeof(*pci));
}

static int create(struct vfio_bus *bus, struct siommu_device *dev,
		  const struct siommu_pci_params *p, struct pci_params *params,
		  struct siommu_pci **out)
{
	struct siommu_pci *pci;
	int rc;

	if (has_device(bus, dev))
		return -EBUSY;
	rc = pci_new(bus, dev, &pci);
	if (rc)
		return rc;
	if (p->address)
		snprintf(pci->address, sizeof(pci->address), "%s", p->address);
	else
		address_of(pci->address, sizeof(pci->address), 0, dev->dev->requester);
	if (vfio_find_address(bus, pci->address)) {
		pci_abort(pci);
		return -EBUSY;
	}
	/* A physical function has one that nobody can guess until its driver sets it. */
	if (getrandom(pci->vf_token, sizeof(pci->vf_token), 0) != sizeof(pci->vf_token)) {
		pci_abort(pci);
		return -EAGAIN;
	}
	pci->model = model_find(p->model);
	rc = pci->model->create(params, &pci->func);
	if (rc) {
		pci_abort(pci);
		return rc;
	}
	rc = memory_add(pci);
	if (rc) {
		pci_func_destroy(pci->func);
		pci_abort(pci);
		return rc;
	}
	insert(bus, pci);
	*out = pci;
	return 0;
}

int siommu_pci_create(struct siommu_device *dev, const struct siommu_pci_params *params,
		      char *error, size_t n, struct siommu_pci **out)
{
	struct siommu_pci_params p = { 0 };
	struct pci_params model = { 0 };
	struct vfio_bus *bus;
	char line[256] = "";
	int rc;

	if (params->size < offsetofend(struct siommu_pci_params, model))
		return -EINVAL;
	memcpy(&p, params, min_u64(params->size, sizeof(p)));
	if (!p.model || (p.address && !address_valid(p.address)))
		return -EINVAL;
	if (!model_find(p.model) || !dev->dev->unit->ops->translate)
		return -EOPNOTSUPP;
	rc = vfio_bus_get(dev->machine, &bus);
	if (rc)
		return rc;
	fill_params(&model, dev, p.options ? p.options : "");
	model.error = line;
	model.error_bytes = sizeof(line);
	pthread_mutex_lock(&bus->lock);
	rc = create(bus, dev, &p, &model, out);
	pthread_mutex_unlock(&bus->lock);
	if (rc && error && n)
		snprintf(error, n, "%s", line);
	return rc;
}

static void remove_function(struct siommu_pci *pci)
{
	struct vfio_bus *bus = pci->bus;

	TAILQ_REMOVE(&bus->functions, pci, link);
	TAILQ_REMOVE(&pci->group->functions, pci, group_link);
	group_put(bus, pci->group);
	bus->generation++;
	memory_remove(pci);
	pci_func_destroy(pci->func);
	if (pci->physfn)
		siommu_device_destroy(pci->dev);
	pthread_mutex_destroy(&pci->export_lock);
	base_free(&bus->machine->alloc, pci, sizeof(*pci));
}

/* Their number can be changed only while there are none. */
void vfio_show_vfs(struct siommu_pci *pf)
{
	static const u8 on[2] = { PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE }, off[2];
	unsigned int cap = pci_find_ext_cap(pf->func, PCI_EXT_CAP_ID_SRIOV);
	const u8 n[2] = { pf->num_vfs & 0xff, (u8)(pf->num_vfs >> 8) };

	pci_config_write(pf->func, cap + PCI_SRIOV_CTRL, off, sizeof(off));
	pci_config_write(pf->func, cap + PCI_SRIOV_NUM_VF, n, sizeof(n));
	pci_config_write(pf->func, cap + PCI_SRIOV_CTRL, pf->num_vfs ? on : off, sizeof(on));
}

static void remove_vfs(struct siommu_pci *pf)
{
	unsigned int n = pf->num_vfs;

	while (pf->num_vfs)
		remove_function(pf->vfs[--pf->num_vfs]);
	base_free(&pf->bus->machine->alloc, pf->vfs, n * sizeof(struct siommu_pci *));
	pf->vfs = NULL;
	if (n)
		vfio_show_vfs(pf);
}

/* The unit as who made it holds it. */
static struct siommu_unit *unit_of(struct siommu_machine *m, struct iommu_unit *unit)
{
	struct siommu_unit *found;

	pthread_mutex_lock(&m->lock);
	TAILQ_FOREACH(found, &m->units, link)
		if (found->unit == unit)
			break;
	pthread_mutex_unlock(&m->lock);
	return found;
}

static int vf_device(struct siommu_pci *pf, unsigned int index, u32 requester,
		     struct siommu_device **out)
{
	struct iommu_device *hw = pf->dev->dev;
	struct siommu_device_params params = {
		.size = sizeof(params),
		.unit = unit_of(pf->bus->machine, hw->unit),
		.requester = requester,
		.pasid_bits = hw->pasid_bits,
		.ats = iommu_capable(hw, IOMMU_CAP_PCI_ATS),
		.page_requests = hw->page_requests,
	};
	char name[48];

	snprintf(name, sizeof(name), "%.24s-vf%u", hw->name, index);
	params.name = name;
	if (!params.unit)
		params.iommu = SIOMMU_IOMMU_MOCK;
	return siommu_device_create(pf->bus->machine, &params, out);
}

static int vf_create(struct siommu_pci *pf, unsigned int index, struct siommu_pci **out)
{
	unsigned int cap = pci_find_ext_cap(pf->func, PCI_EXT_CAP_ID_SRIOV);
	u8 where[4];
	struct pci_params params = { 0 };
	struct siommu_device *dev;
	struct siommu_pci *pci;
	char line[256] = "";
	u32 requester;
	int rc;

	/* First offset and stride are beside each other. */
	pci_config_read(pf->func, cap + PCI_SRIOV_VF_OFFSET, where, sizeof(where));
	requester = pf->dev->dev->requester + (where[0] | (u32)where[1] << 8) +
		    index * (where[2] | (u32)where[3] << 8);
	if (requester > 0xffff)
		return -ERANGE;
	rc = vf_device(pf, index, requester, &dev);
	if (rc)
		return rc;
	rc = pci_new(pf->bus, dev, &pci);
	if (rc)
		goto err_device;
	pci->physfn = pf;
	pci->vf_index = index;
	pci->model = pf->model;
	address_of(pci->address, sizeof(pci->address), (unsigned int)strtoul(pf->address, NULL, 16),
		   requester);
	rc = -EBUSY;
	if (vfio_find_address(pf->bus, pci->address))
		goto err_abort;
	fill_params(&params, dev, "");
	params.error = line;
	params.error_bytes = sizeof(line);
	rc = pf->func->ops->vf_create(pf->func, index, &params, &pci->func);
	if (rc)
		goto err_abort;
	rc = memory_add(pci);
	if (rc)
		goto err_func;
	insert(pf->bus, pci);
	*out = pci;
	return 0;

err_func:
	pci_func_destroy(pci->func);
err_abort:
	pci_abort(pci);
err_device:
	siommu_device_destroy(dev);
	return rc;
}

static bool vfs_open(const struct siommu_pci *pf)
{
	unsigned int i;

	for (i = 0; i < pf->num_vfs; i++)
		if (pf->vfs[i]->opens || pf->vfs[i]->group->opened)
			return true;
	return false;
}

int vfio_set_num_vfs(struct siommu_pci *pf, unsigned int n)
{
	struct siommu_pci **vfs;
	unsigned int i;
	int rc;

	if (!pf->func->desc.total_vfs || !pf->func->ops->vf_create)
		return -ENOENT;
	if (n > pf->func->desc.total_vfs)
		return -ERANGE;
	if (n == pf->num_vfs)
		return 0;
	if ((n && pf->num_vfs) || vfs_open(pf))
		return -EBUSY;
	if (!n) {
		remove_vfs(pf);
		return 0;
	}
	vfs = base_zalloc_array(&pf->bus->machine->alloc, n, sizeof(struct siommu_pci *));
	if (!vfs)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		rc = vf_create(pf, i, &vfs[i]);
		if (rc)
			goto err;
	}
	pf->vfs = vfs;
	pf->num_vfs = n;
	vfio_show_vfs(pf);
	return 0;

err:
	while (i)
		remove_function(vfs[--i]);
	base_free(&pf->bus->machine->alloc, vfs, n * sizeof(struct siommu_pci *));
	return rc;
}

void siommu_pci_destroy(struct siommu_pci *pci)
{
	struct vfio_bus *bus;

	if (!pci)
		return;
	bus = pci->bus;
	pthread_mutex_lock(&bus->lock);
	remove_vfs(pci);
	remove_function(pci);
	pthread_mutex_unlock(&bus->lock);
}

void siommu_pci_help(FILE *out)
{
	const struct pci_model *const *model;
	const char *line, *end;

	for (model = pci_models; *model; model++) {
		fprintf(out, "%s: %s\n", (*model)->name, (*model)->title);
		for (line = (*model)->help; *line; line = *end ? end + 1 : end) {
			end = strchrnul(line, '\n');
			fprintf(out, "  %.*s\n", (int)(end - line), line);
		}
	}
}

/* As text, a line each. */
static void fill_reserved(const struct iommu_device *dev, struct abi_pci_info *info)
{
	static const char *const types[] = {
		[IOMMU_RESV_DIRECT] = "direct",
		[IOMMU_RESV_DIRECT_RELAXABLE] = "direct-relaxable",
		[IOMMU_RESV_RESERVED] = "reserved",
		[IOMMU_RESV_MSI] = "msi",
		[IOMMU_RESV_SW_MSI] = "msi",
	};
	const struct iommu_resv_region *r;
	char line[64];
	size_t at = 0;
	int n;

	LIST_FOREACH(r, &dev->resv, link) {
		n = snprintf(line, sizeof(line), "0x%016lx 0x%016lx %s\n", r->start, r->last,
			     types[r->type]);
		if (at + (size_t)n >= sizeof(info->reserved))
			break;
		memcpy(info->reserved + at, line, (size_t)n);
		at += (size_t)n;
	}
}

static void fill_sriov(const struct siommu_pci *pci, struct abi_pci_info *info)
{
	unsigned int cap = pci_find_ext_cap(pci->func, PCI_EXT_CAP_ID_SRIOV);
	u16 where[4];

	info->total_vfs = pci->func->desc.total_vfs;
	info->num_vfs = pci->num_vfs;
	info->vf_index = pci->vf_index;
	if (!cap)
		return;
	/* First offset, stride, a reserved word, and the device id are in a row. */
	pci_config_read(pci->func, cap + PCI_SRIOV_VF_OFFSET, where, sizeof(where));
	info->vf_offset = where[0];
	info->vf_stride = where[1];
	info->vf_device = where[3];
}

static void fill_info(const struct siommu_pci *pci, struct abi_pci_info *info)
{
	const struct pci_func_desc *desc = &pci->func->desc;
	unsigned int i;

	memset(info, 0, sizeof(*info));
	memcpy(info->address, pci->address, sizeof(info->address));
	info->vendor = desc->vendor;
	info->device = desc->device;
	info->subvendor = desc->subvendor;
	info->subdevice = desc->subdevice;
	info->class = desc->class;
	info->revision = desc->revision;
	for (i = 0; i < PCI_BARS; i++) {
		if (!desc->bars[i].bytes)
			continue;
		info->bar_bytes[i] = desc->bars[i].bytes;
		info->bar_flags[i] = RESOURCE_MEM | RESOURCE_SIZEALIGN |
				     (desc->bars[i].prefetchable ? RESOURCE_PREFETCH : 0) |
				     (desc->bars[i].is_64 ? RESOURCE_MEM_64 : 0);
	}
	info->config_bytes = vfio_config_bytes(pci);
	info->minor = pci->minor;
	info->group = pci->group->number;
	info->unit = pci->dev->dev->unit->name;
	fill_sriov(pci, info);
	fill_reserved(pci->dev->dev, info);
	info->unbound = pci->unbound;
	memcpy(info->driver_override, pci->driver_override, sizeof(info->driver_override));
	if (pci->physfn)
		memcpy(info->physfn, pci->physfn->address, sizeof(info->physfn));
}

bool abi_pci_info(struct siommu_machine *machine, unsigned int index, struct abi_pci_info *info)
{
	struct vfio_bus *bus = vfio_bus_of(machine);
	struct siommu_pci *pci;

	if (!bus)
		return false;
	pthread_mutex_lock(&bus->lock);
	TAILQ_FOREACH(pci, &bus->functions, link)
		if (!index--)
			break;
	if (pci)
		fill_info(pci, info);
	pthread_mutex_unlock(&bus->lock);
	return pci;
}

u64 abi_pci_generation(struct siommu_machine *machine)
{
	struct vfio_bus *bus = vfio_bus_of(machine);
	u64 generation = 0;

	if (bus) {
		pthread_mutex_lock(&bus->lock);
		generation = bus->generation;
		pthread_mutex_unlock(&bus->lock);
	}
	return generation;
}
