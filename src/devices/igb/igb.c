// SPDX-License-Identifier: MIT
/*
 * Intel 82576, as far as frames that come back go: one queue to transmit, one to
 * receive, and a loopback between them. There is no wire: without loopback, frames are
 * gone. It is what the kernel's VFIO selftests need of it, and has no NVM, so drivers of
 * operating systems find no address and leave it.
 *
 * Registers have 32 bits, and are memory for the driver's loads, so loads have no
 * effects here: causes are cleared by writing ones, or by themselves (EIAC).
 */
#include "../models.h"
#include "igb.h"

#define MSIX_BAR   3
#define MSIX_BYTES 16384
#define MSIX_PBA   0x2000

static struct igb *to_igb(struct pci_func *func)
{
	return container_of(func, struct igb, func);
}

/* What STATUS and the enable bits of queues say follows from others. */
static void follow(struct igb *igb)
{
	bool up = igb_get(igb, IGB_CTRL) & CTRL_SLU;
	u32 rx = igb_get(igb, IGB_RXDCTL), tx = igb_get(igb, IGB_TXDCTL);

	igb_set(igb, IGB_STATUS, STATUS_FD | STATUS_1000 | (up ? STATUS_LU : 0));
	if (!(igb_get(igb, IGB_RCTL) & RCTL_EN))
		rx &= ~DCTL_ENABLE;
	if (!(igb_get(igb, IGB_TCTL) & TCTL_EN))
		tx &= ~DCTL_ENABLE;
	pci_reg_show(&igb->func, 0, IGB_RXDCTL, rx, 4);
	pci_reg_show(&igb->func, 0, IGB_TXDCTL, tx, 4);
}

void igb_clear(struct igb *igb)
{
	memset(igb->regs, 0, IGB_BAR_BYTES);
	memset(igb->func.desc.bars[0].memory, 0, IGB_BAR_BYTES);
	memset(igb->phy, 0, sizeof(igb->phy));
	igb->resetting = igb->wedged = false;
	igb->length = 0;
	atomic_store(&igb->cancel, false);
	igb_set(igb, IGB_EECD, EECD_PRES | EECD_AUTO_RD);
	follow(igb);
}

/*
 * Interrupts: messages, one for each bit of EICR; one for all of them by MSI.
 */

u32 igb_queue_cause(const struct igb *igb, bool transmit)
{
	u32 ivar = igb_get(igb, IGB_IVAR0) >> (transmit ? 8 : 0) & 0xff;

	return ivar & IVAR_VALID && (ivar & 0x1f) < IGB_VECTORS ? 1u << (ivar & 0x1f) : 0;
}

static void deliver(struct igb *igb, u32 causes)
{
	const u32 send = causes & igb_get(igb, IGB_EICR) & igb_get(igb, IGB_EIMS);
	const u32 mask = igb_get(igb, IGB_GPIE) & GPIE_EIAME ? igb_get(igb, IGB_EIAM) : 0;
	unsigned int i;

	igb_set(igb, IGB_EICR, igb_get(igb, IGB_EICR) & ~(send & igb_get(igb, IGB_EIAC)));
	igb_set(igb, IGB_EIMS, igb_get(igb, IGB_EIMS) & ~(send & mask));
	if (send && pci_irq_mode(&igb->func) == PCI_IRQ_MSI)
		pci_irq_message(&igb->func, 0);
	if (pci_irq_mode(&igb->func) != PCI_IRQ_MSIX)
		return;
	for (i = 0; i < IGB_VECTORS; i++)
		if (send >> i & 1)
			pci_irq_message(&igb->func, i);
}

void igb_raise(struct igb *igb, u32 causes)
{
	igb_set(igb, IGB_EICR, igb_get(igb, IGB_EICR) | causes);
	deliver(igb, causes);
}

/*
 * Stores. Context: the lock.
 */

static void write_ctrl(struct igb *igb, u32 value)
{
	if (!(value & CTRL_RST)) {
		igb_set(igb, IGB_CTRL, value);
		follow(igb);
		return;
	}
	igb->resetting = true;
	atomic_store(&igb->cancel, true);
	igb_set(igb, IGB_CTRL, CTRL_RST);
	igb_set(igb, IGB_EECD, EECD_PRES);
	if (!igb->busy)
		igb_clear(igb);
}

static void write_mdic(struct igb *igb, u32 value)
{
	u32 reg = MDIC_REG(value), answer = (value & ~(MDIC_READY | MDIC_ERROR)) | MDIC_READY;

	if (MDIC_PHY(value) != PHY_ADDRESS) {
		answer |= MDIC_ERROR;
	} else if (value & MDIC_WRITE) {
		igb->phy[reg] = (u16)MDIC_DATA(value);
		/* These are done at once. */
		if (reg == PHY_CONTROL)
			igb->phy[reg] &= (u16) ~(PHY_RESET | PHY_RESTART);
	} else {
		answer = (answer & ~0xffffu) | igb->phy[reg];
	}
	igb_set(igb, IGB_MDIC, answer);
}

static void keep(struct igb *igb, u32 reg, u32 value)
{
	const u32 causes = ((u32)1 << IGB_VECTORS) - 1;

	switch (reg) {
	case IGB_GPIE:
	case IGB_IVAR0:
	case IGB_CTRL_EXT:
	case IGB_GCR:
	case IGB_RAL0:
	case IGB_RAH0:
	case IGB_SRRCTL:
	case IGB_RDBAH:
	case IGB_TDBAH:
		igb_set(igb, reg, value);
		break;
	case IGB_RDBAL:
	case IGB_TDBAL:
		igb_set(igb, reg, value & ~0x7fu);
		break;
	case IGB_RDLEN:
	case IGB_TDLEN:
		igb_set(igb, reg, value & 0xfff80);
		break;
	case IGB_RDH:
	case IGB_TDH:
	case IGB_RDT:
	case IGB_TDT:
		igb_set(igb, reg, value & 0xffff);
		break;
	case IGB_EIAC:
	case IGB_EIAM:
		igb_set(igb, reg, value & causes);
		break;
	case IGB_EICR:
		igb_set(igb, reg, igb_get(igb, reg) & ~value);
		break;
	case IGB_EIMS:
		value &= causes & ~igb_get(igb, reg);
		igb_set(igb, reg, igb_get(igb, reg) | value);
		deliver(igb, value);
		break;
	case IGB_EIMC:
		igb_set(igb, IGB_EIMS, igb_get(igb, IGB_EIMS) & ~value);
		break;
	case IGB_EICS:
		igb_raise(igb, value & causes);
		break;
	case IGB_RCTL:
	case IGB_TCTL:
	case IGB_RXDCTL:
	case IGB_TXDCTL:
		igb_set(igb, reg, value);
		follow(igb);
		break;
	default:
		break;
	}
}

static void igb_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
		      unsigned int bytes)
{
	struct igb *igb = to_igb(func);
	u32 value;

	if (bar || bytes != sizeof(value))
		return;
	memcpy(&value, buf, sizeof(value));
	pthread_mutex_lock(&igb->lock);
	if (igb->resetting)
		; /* it will be as new */
	else if (offset == IGB_CTRL)
		write_ctrl(igb, value);
	else if (offset == IGB_MDIC)
		write_mdic(igb, value);
	else
		keep(igb, (u32)offset, value);
	pthread_cond_signal(&igb->wake);
	pthread_mutex_unlock(&igb->lock);
}

static void igb_read(struct pci_func *func, unsigned int bar, u64 offset, void *buf,
		     unsigned int bytes)
{
	(void)func;
	(void)bar;
	(void)offset;
	memset(buf, 0, bytes);
}

static void igb_reset(struct pci_func *func)
{
	struct igb *igb = to_igb(func);

	pthread_mutex_lock(&igb->lock);
	igb->held = true;
	atomic_store(&igb->cancel, true);
	while (igb->busy)
		pthread_cond_wait(&igb->idle, &igb->lock);
	igb_clear(igb);
	igb->held = false;
	pthread_mutex_unlock(&igb->lock);
}

static void igb_destroy(struct pci_func *func)
{
	struct igb *igb = to_igb(func);
	struct base_alloc *alloc = func->alloc;

	igb_stop(igb);
	base_free(alloc, igb->regs, IGB_BAR_BYTES);
	pthread_cond_destroy(&igb->wake);
	pthread_cond_destroy(&igb->idle);
	pthread_mutex_destroy(&igb->lock);
	pci_func_fini(func);
	base_free(alloc, igb, sizeof(*igb));
}

static const struct pci_ops igb_ops = {
	.read = igb_read,
	.write = igb_write,
	.reset = igb_reset,
	.destroy = igb_destroy,
};

static struct pci_func_desc describe(void)
{
	struct pci_func_desc desc = {
		.vendor = 0x8086,
		.device = IGB_DEVICE_ID,
		.subvendor = 0x8086,
		.class = 0x020000, /* Ethernet */
		.revision = 1,
		.msi_vectors = 1,
		.msix_vectors = IGB_VECTORS,
		.msix_bar = MSIX_BAR,
		.msix_pba = MSIX_PBA,
	};

	desc.bars[0] = (struct pci_bar){
		.bytes = IGB_BAR_BYTES,
		.areas = { { 0, IGB_BAR_BYTES, PCI_AREA_REGISTERS } },
		.nareas = 1,
	};
	desc.bars[MSIX_BAR] = (struct pci_bar){
		.bytes = MSIX_BYTES,
		.areas = { { 0, MSIX_BYTES, PCI_AREA_TRAPPED } },
		.nareas = 1,
	};
	return desc;
}

static int start(struct igb *igb)
{
	igb->regs = base_zalloc(igb->func.alloc, IGB_BAR_BYTES);
	if (!igb->regs)
		return -ENOMEM;
	igb_clear(igb);
	return igb_start(igb);
}

static int igb_create(const struct pci_params *params, struct pci_func **out)
{
	static const char *const no_options[] = { NULL };
	const struct pci_func_desc desc = describe();
	struct igb *igb;
	int rc;

	rc = pci_options_check(params, no_options);
	if (rc)
		return rc;
	igb = base_zalloc(params->alloc, sizeof(*igb));
	if (!igb)
		return -ENOMEM;
	rc = pci_func_init(&igb->func, &igb_ops, &desc, params);
	if (rc) {
		base_free(params->alloc, igb, sizeof(*igb));
		return rc;
	}
	pthread_mutex_init(&igb->lock, NULL);
	pthread_cond_init(&igb->wake, NULL);
	pthread_cond_init(&igb->idle, NULL);
	rc = start(igb);
	if (rc) {
		igb_destroy(&igb->func);
		return rc;
	}
	*out = &igb->func;
	return 0;
}

const struct pci_model igb_model = {
	.name = "igb",
	.title = "Intel 82576 Ethernet, its loopback",
	.help = "",
	.create = igb_create,
};
