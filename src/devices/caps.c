// SPDX-License-Identifier: MIT
/*
 * What a function looks like: header and capabilities, as PCI Express Base
 * Specification 5.0, chapters 7 and 9, has them.
 *
 * A virtual function is the same device with less: its ids read as all ones, its BARs
 * are in its physical function's SR-IOV capability, and it shares page requests and
 * PASIDs with that.
 */
#include <string.h>

#include "func.h"

/* Sizes that linux/pci_regs.h has no names for. */
#define EXPRESS_BYTES 0x3c
#define AER_BYTES     0x2c
#define ATS_BYTES     0x08
#define PASID_BYTES   0x08
#define MSI_BYTES     0x18
#define MSIX_BYTES    0x0c
#define AF_BYTES      0x06

#define EXT_CAP_FIRST 0x100

/* Groups of page requests that may wait for an answer. */
#define PRI_REQUESTS 512

#define SRIOV_PAGE_SIZES 0x553

static void set16(struct pci_func *func, unsigned int offset, u16 value, u16 writable)
{
	config_put16(func->config, offset, value);
	config_put16(func->writable, offset, writable);
}

static void set32(struct pci_func *func, unsigned int offset, u32 value, u32 writable)
{
	config_put32(func->config, offset, value);
	config_put32(func->writable, offset, writable);
}

unsigned int pci_add_cap(struct pci_func *func, u8 id, unsigned int offset, unsigned int bytes)
{
	unsigned int link = PCI_CAPABILITY_LIST;

	if (!offset)
		offset = (unsigned int)align_up(func->next_cap, 4);
	if (offset < PCI_STD_HEADER_SIZEOF || offset & 3 || offset + bytes > PCI_CFG_SPACE_SIZE)
		return 0;
	while (func->config[link])
		link = func->config[link] + PCI_CAP_LIST_NEXT;
	func->config[link] = (u8)offset;
	func->config[offset] = id;
	func->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	if (func->next_cap < offset + bytes)
		func->next_cap = offset + bytes;
	return offset;
}

unsigned int pci_add_ext_cap(struct pci_func *func, u16 id, u8 version, unsigned int offset,
			     unsigned int bytes)
{
	unsigned int at = EXT_CAP_FIRST;
	u32 header;

	if (!offset)
		offset = (unsigned int)align_up(func->next_ext_cap, 4);
	if (func->desc.conventional || offset < EXT_CAP_FIRST || offset & 3 ||
	    offset + bytes > PCI_CFG_SPACE_EXP_SIZE)
		return 0;
	header = config_get32(func->config, at);
	if (header) {
		while (PCI_EXT_CAP_NEXT(header)) {
			at = PCI_EXT_CAP_NEXT(header);
			header = config_get32(func->config, at);
		}
		config_put32(func->config, at, header | offset << 20);
	} else if (offset != EXT_CAP_FIRST) {
		return 0;
	}
	config_put32(func->config, offset, id | (u32)version << 16);
	if (func->next_ext_cap < offset + bytes)
		func->next_ext_cap = offset + bytes;
	return offset;
}

unsigned int pci_find_cap(struct pci_func *func, u8 id)
{
	unsigned int at, found = 0;

	pthread_mutex_lock(&func->lock);
	for (at = func->config[PCI_CAPABILITY_LIST]; at;
	     at = func->config[at + PCI_CAP_LIST_NEXT]) {
		if (func->config[at] == id) {
			found = at;
			break;
		}
	}
	pthread_mutex_unlock(&func->lock);
	return found;
}

unsigned int pci_find_ext_cap(struct pci_func *func, u16 id)
{
	unsigned int at = EXT_CAP_FIRST, found = 0;
	u32 header;

	pthread_mutex_lock(&func->lock);
	while (at && !found) {
		header = config_get32(func->config, at);
		if (header && PCI_EXT_CAP_ID(header) == id)
			found = at;
		at = PCI_EXT_CAP_NEXT(header);
	}
	pthread_mutex_unlock(&func->lock);
	return found;
}

static void add_bars(struct pci_func *func, unsigned int offset)
{
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &func->desc.bars[i];
		const u64 mask = ~(bar->bytes - 1);
		u32 kind = bar->is_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0;

		if (!bar->bytes)
			continue;
		if (bar->prefetchable)
			kind |= PCI_BASE_ADDRESS_MEM_PREFETCH;
		set32(func, offset + i * 4, kind, (u32)mask);
		if (bar->is_64 && i + 1 < PCI_BARS)
			set32(func, offset + ++i * 4, 0, (u32)(mask >> 32));
	}
}

static bool has_bars(const struct pci_func *func)
{
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++) {
		if (func->desc.bars[i].bytes)
			return true;
	}
	return false;
}

static void add_header(struct pci_func *func)
{
	const struct pci_func_desc *desc = &func->desc;
	u16 command = PCI_COMMAND_MASTER;

	if (!desc->vf) {
		command |= PCI_COMMAND_PARITY | PCI_COMMAND_SERR;
		if (has_bars(func))
			command |= PCI_COMMAND_MEMORY;
		if (desc->intx)
			command |= PCI_COMMAND_INTX_DISABLE;
	}
	set16(func, PCI_VENDOR_ID, desc->vf ? 0xffff : desc->vendor, 0);
	set16(func, PCI_DEVICE_ID, desc->vf ? 0xffff : desc->device, 0);
	set16(func, PCI_COMMAND, 0, command);
	config_put16(func->clearable, PCI_STATUS,
		     PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
			     PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |
			     PCI_STATUS_DETECTED_PARITY);
	set32(func, PCI_CLASS_REVISION, desc->class << 8 | desc->revision, 0);
	func->writable[PCI_CACHE_LINE_SIZE] = desc->vf ? 0 : 0xff;
	if (!desc->vf)
		add_bars(func, PCI_BASE_ADDRESS_0);
	set16(func, PCI_SUBSYSTEM_VENDOR_ID, desc->subvendor, 0);
	set16(func, PCI_SUBSYSTEM_ID, desc->subdevice, 0);
	if (desc->intx) {
		func->config[PCI_INTERRUPT_PIN] = 1;
		func->writable[PCI_INTERRUPT_LINE] = 0xff;
	}
	func->next_cap = PCI_STD_HEADER_SIZEOF;
	func->next_ext_cap = EXT_CAP_FIRST;
}

/* D0 and D3hot, and what it knew is lost in between. */
static void add_pm(struct pci_func *func)
{
	const unsigned int at = pci_add_cap(func, PCI_CAP_ID_PM, 0, PCI_PM_SIZEOF);

	set16(func, at + PCI_PM_PMC, 3, 0);
	set16(func, at + PCI_PM_CTRL, 0, PCI_PM_CTRL_STATE_MASK);
	func->caps.pm = (u16)at;
}

static void add_msi(struct pci_func *func)
{
	const unsigned int n = func->desc.msi_vectors;
	const unsigned int at = pci_add_cap(func, PCI_CAP_ID_MSI, 0, MSI_BYTES);

	set16(func, at + PCI_MSI_FLAGS,
	      (u16)(PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | highest_bit(n) << 1),
	      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	set32(func, at + PCI_MSI_ADDRESS_LO, 0, 0xfffffffc);
	set32(func, at + PCI_MSI_ADDRESS_HI, 0, 0xffffffff);
	set16(func, at + PCI_MSI_DATA_64, 0, 0xffff);
	set32(func, at + PCI_MSI_MASK_64, 0, (u32)(((u64)1 << n) - 1));
	func->caps.msi = (u16)at;
}

static void add_msix(struct pci_func *func)
{
	const struct pci_func_desc *desc = &func->desc;
	const unsigned int at = pci_add_cap(func, PCI_CAP_ID_MSIX, 0, MSIX_BYTES);

	set16(func, at + PCI_MSIX_FLAGS, (u16)(desc->msix_vectors - 1),
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	set32(func, at + PCI_MSIX_TABLE, desc->msix_table | desc->msix_bar, 0);
	set32(func, at + PCI_MSIX_PBA, desc->msix_pba | desc->msix_bar, 0);
	func->caps.msix = (u16)at;
}

/*
 * A link of 5 GT/s and 4 lanes: the fastest without further capabilities. What it does now is
 * said by the physical function.
 */
static void add_link(struct pci_func *func, unsigned int at)
{
	set32(func, at + PCI_EXP_LNKCAP,
	      PCI_EXP_LNKCAP_SLS_5_0GB | 4 << 4 | 1 << 22 /* ASPM optionality */, 0);
	set32(func, at + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB, 0);
	if (func->desc.vf)
		return;
	set16(func, at + PCI_EXP_LNKCTL, 0,
	      PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
	set16(func, at + PCI_EXP_LNKSTA,
	      PCI_EXP_LNKSTA_CLS_5_0GB | PCI_EXP_LNKSTA_NLW_X4 | PCI_EXP_LNKSTA_SLC, 0);
	set16(func, at + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS_5_0GT, PCI_EXP_LNKCTL2_TLS);
}

static void add_express(struct pci_func *func, const struct pci_params *params)
{
	const unsigned int at = pci_add_cap(func, PCI_CAP_ID_EXP, 0, EXPRESS_BYTES);
	u32 cap2 = PCI_EXP_DEVCAP2_COMP_TMOUT_DIS | 0xf /* ranges A to D */;

	set16(func, at + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4, 0);
	set32(func, at + PCI_EXP_DEVCAP,
	      1 /* payloads of 256 bytes */ | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER |
		      PCI_EXP_DEVCAP_FLR,
	      0);
	config_put16(func->clearable, at + PCI_EXP_DEVSTA,
		     PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED |
			     PCI_EXP_DEVSTA_URD);
	/* PASIDs travel in a prefix. */
	if (func->desc.svm && params->pasid_bits)
		cap2 |= PCI_EXP_DEVCAP2_EE_PREFIX | 1 << 22;
	set32(func, at + PCI_EXP_DEVCAP2, cap2, 0);
	add_link(func, at);
	if (!func->desc.vf) {
		set16(func, at + PCI_EXP_DEVCTL,
		      PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN |
			      PCI_EXP_DEVCTL_READRQ_512B,
		      0x79ff);
		set16(func, at + PCI_EXP_DEVCTL2, 0,
		      PCI_EXP_DEVCTL2_COMP_TIMEOUT | PCI_EXP_DEVCTL2_COMP_TMOUT_DIS |
			      PCI_EXP_DEVCTL2_ATOMIC_REQ);
	}
	func->caps.express = (u16)at;
}

/* Resets as PCI Express has them, for functions without that. */
static void add_af(struct pci_func *func)
{
	const unsigned int at = pci_add_cap(func, PCI_CAP_ID_AF, 0, AF_BYTES);

	func->config[at + PCI_AF_LENGTH] = AF_BYTES;
	func->config[at + PCI_AF_CAP] = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
	func->caps.af = (u16)at;
}

static void add_aer(struct pci_func *func)
{
	const unsigned int at = pci_add_ext_cap(func, PCI_EXT_CAP_ID_ERR, 2, 0, AER_BYTES);
	const u32 uncor = PCI_ERR_UNC_DLP | PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP |
			  PCI_ERR_UNC_COMP_TIME | PCI_ERR_UNC_COMP_ABORT | PCI_ERR_UNC_UNX_COMP |
			  PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_UNSUP;
	const u32 cor = PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP |
			PCI_ERR_COR_REP_ROLL | PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT;

	config_put32(func->clearable, at + PCI_ERR_UNCOR_STATUS, uncor);
	config_put32(func->clearable, at + PCI_ERR_COR_STATUS, cor);
	set32(func, at + PCI_ERR_UNCOR_MASK, 0, func->desc.vf ? 0 : uncor);
	set32(func, at + PCI_ERR_UNCOR_SEVER,
	      PCI_ERR_UNC_DLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP,
	      func->desc.vf ? 0 : uncor);
	set32(func, at + PCI_ERR_COR_MASK, PCI_ERR_COR_ADV_NFAT, func->desc.vf ? 0 : cor);
	func->caps.aer = (u16)at;
}

static void add_ats(struct pci_func *func)
{
	const unsigned int at = pci_add_ext_cap(func, PCI_EXT_CAP_ID_ATS, 1, 0, ATS_BYTES);

	set16(func, at + PCI_ATS_CAP, PCI_ATS_CAP_PAGE_ALIGNED, 0);
	set16(func, at + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE, PCI_ATS_CTRL_ENABLE | 0x1f);
	func->caps.ats = (u16)at;
}

static void add_pri(struct pci_func *func, bool pasids)
{
	const unsigned int at =
		pci_add_ext_cap(func, PCI_EXT_CAP_ID_PRI, 1, 0, PCI_EXT_CAP_PRI_SIZEOF);

	set16(func, at + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE, PCI_PRI_CTRL_ENABLE);
	set16(func, at + PCI_PRI_STATUS, pasids ? PCI_PRI_STATUS_PASID : 0, 0);
	config_put16(func->clearable, at + PCI_PRI_STATUS,
		     PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
	set32(func, at + PCI_PRI_MAX_REQ, PRI_REQUESTS, 0);
	set32(func, at + PCI_PRI_ALLOC_REQ, PRI_REQUESTS, 0xffffffff);
	func->caps.pri = (u16)at;
}

static void add_pasid(struct pci_func *func, unsigned int bits)
{
	const unsigned int at = pci_add_ext_cap(func, PCI_EXT_CAP_ID_PASID, 1, 0, PASID_BYTES);

	set16(func, at + PCI_PASID_CAP, (u16)(PCI_PASID_CAP_PRIV | (bits & 0x1f) << 8), 0);
	set16(func, at + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE,
	      PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_PRIV);
	func->caps.pasid = (u16)at;
}

/* Of a virtual function, all but ATS is its physical function's. */
static void add_svm(struct pci_func *func, const struct pci_params *params)
{
	if (params->ats)
		add_ats(func);
	if (params->page_requests && !func->desc.vf)
		add_pri(func, params->pasid_bits);
	if (params->pasid_bits && !func->desc.vf)
		add_pasid(func, params->pasid_bits);
}

static void add_sriov(struct pci_func *func)
{
	const unsigned int at =
		pci_add_ext_cap(func, PCI_EXT_CAP_ID_SRIOV, 1, 0, PCI_EXT_CAP_SRIOV_SIZEOF);

	set16(func, at + PCI_SRIOV_CTRL, 0, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	set16(func, at + PCI_SRIOV_INITIAL_VF, (u16)func->desc.total_vfs, 0);
	set16(func, at + PCI_SRIOV_TOTAL_VF, (u16)func->desc.total_vfs, 0);
	set16(func, at + PCI_SRIOV_NUM_VF, 0, 0xffff);
	set16(func, at + PCI_SRIOV_VF_OFFSET, PCI_VF_OFFSET, 0);
	set16(func, at + PCI_SRIOV_VF_STRIDE, PCI_VF_STRIDE, 0);
	set16(func, at + PCI_SRIOV_VF_DID, func->desc.device, 0);
	set32(func, at + PCI_SRIOV_SUP_PGSIZE, SRIOV_PAGE_SIZES, 0);
	set32(func, at + PCI_SRIOV_SYS_PGSIZE, 1, SRIOV_PAGE_SIZES);
	add_bars(func, at + PCI_SRIOV_BAR);
	func->caps.sriov = (u16)at;
}

void caps_init(struct pci_func *func, const struct pci_params *params)
{
	const struct pci_func_desc *desc = &func->desc;

	func->shares_pri = desc->svm && desc->vf && params->page_requests;
	func->shares_pasid = desc->svm && desc->vf && params->pasid_bits;
	add_header(func);
	add_pm(func);
	if (desc->msi_vectors)
		add_msi(func);
	if (desc->conventional)
		add_af(func);
	else
		add_express(func, params);
	if (desc->msix_vectors)
		add_msix(func);
	if (desc->conventional)
		return;
	add_aer(func);
	if (desc->svm)
		add_svm(func, params);
	if (desc->total_vfs && !desc->vf)
		add_sriov(func);
}

static bool enabled(struct pci_func *func, unsigned int cap, unsigned int offset, u16 bit)
{
	bool on;

	if (!cap)
		return false;
	pthread_mutex_lock(&func->lock);
	on = config_get16(func->config, cap + offset) & bit;
	pthread_mutex_unlock(&func->lock);
	return on;
}

bool pci_ats_enabled(struct pci_func *func)
{
	return enabled(func, func->caps.ats, PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
}

bool pci_pri_enabled(struct pci_func *func)
{
	return func->shares_pri || enabled(func, func->caps.pri, PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
}

bool pci_pasid_enabled(struct pci_func *func)
{
	return func->shares_pasid ||
	       enabled(func, func->caps.pasid, PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE);
}
