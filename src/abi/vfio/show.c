// SPDX-License-Identifier: MIT
/*
 * PCI functions for people: what each is, who has it, how it is set up, and what it has
 * done since it was made. Counters are read as they are, without stopping anybody.
 */
#include <linux/pci_regs.h>

#include "container.h"

static unsigned long long counter(const struct pci_func *func, enum pci_counter what)
{
	return atomic_load_explicit(&func->counters[what], memory_order_relaxed);
}

static void show_holder(const struct siommu_pci *pci, FILE *out)
{
	unsigned int doorbells;

	if (pci->unbound)
		fprintf(out, "bound to no driver");
	else if (pci->bound && pci->bound->group)
		fprintf(out, "open through its group");
	else if (pci->bound)
		fprintf(out, "bound to a context");
	else if (pci->opens)
		fprintf(out, "open, not bound");
	else
		fprintf(out, "not open");
	if (!pci->group->container)
		return;
	fprintf(out, ", group in a container");
	doorbells = atomic_load(&pci->group->container->nmsis);
	if (doorbells)
		fprintf(out, " with %u doorbell%s of a guest", doorbells, doorbells == 1 ? "" : "s");
}

static void show_state(struct pci_func *func, FILE *out)
{
	static const char *const modes[] = {
		[PCI_IRQ_NONE] = "no interrupts",
		[PCI_IRQ_INTX] = "INTx",
		[PCI_IRQ_MSI] = "MSI",
		[PCI_IRQ_MSIX] = "MSI-X",
	};
	const enum pci_irq_mode mode = pci_irq_mode(func);

	if (atomic_load(&func->asleep))
		fprintf(out, ", asleep");
	else
		fprintf(out, ", %s",
			atomic_load(&func->command) & PCI_COMMAND_MASTER ? "bus master"
									 : "not bus master");
	fprintf(out, ", %s", modes[mode]);
	if (mode == PCI_IRQ_MSI || mode == PCI_IRQ_MSIX)
		fprintf(out, " of %u vectors", pci_irq_vectors(func));
}

/* Context: bus->lock. */
static void show_function(const struct siommu_pci *pci, FILE *out)
{
	struct pci_func *func = pci->func;

	fprintf(out, "  %s %s, %s [%04x:%04x], vfio%u, group %u", pci->address, func->name,
		pci->model->name, func->desc.vendor, func->desc.device, pci->minor,
		pci->group->number);
	if (pci->physfn)
		fprintf(out, ", virtual function %u of %s", pci->vf_index, pci->physfn->address);
	fprintf(out, "\n    |- ");
	show_holder(pci, out);
	show_state(func, out);
	fprintf(out, "\n    |- DMA: %llu reads (%llu KiB), %llu writes (%llu KiB), %llu refused\n",
		counter(func, PCI_COUNT_READS), counter(func, PCI_COUNT_READ_BYTES) >> 10,
		counter(func, PCI_COUNT_WRITES), counter(func, PCI_COUNT_WRITTEN_BYTES) >> 10,
		counter(func, PCI_COUNT_REFUSED));
	fprintf(out,
		"    |- %llu commands, %llu interrupts, %llu register reads, %llu register "
		"writes\n",
		counter(func, PCI_COUNT_COMMANDS), counter(func, PCI_COUNT_INTERRUPTS),
		counter(func, PCI_COUNT_REGISTER_READS), counter(func, PCI_COUNT_REGISTER_WRITES));
}

void vfio_bus_show(struct vfio_bus *bus, FILE *out)
{
	struct siommu_pci *pci;

	pthread_mutex_lock(&bus->lock);
	TAILQ_FOREACH(pci, &bus->functions, link)
		show_function(pci, out);
	pthread_mutex_unlock(&bus->lock);
}
