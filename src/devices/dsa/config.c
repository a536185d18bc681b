// SPDX-License-Identifier: MIT
/*
 * The registers of DSA, and its commands.
 *
 * A command that has to wait for descriptors is active until engines have finished
 * them; no thread waits for that. Each engine says when it is done with a job, and
 * whoever says it last completes the command. While one is active, others are dropped.
 *
 * What may be changed when: groups and sizes of WQs while the device is disabled, the
 * rest of a WQ while that is disabled.
 */
#include <linux/pci_regs.h>

#include "devices/regs.h"
#include "dsa.h"

static void show(struct dsa *dsa, u64 reg, u64 value, unsigned int bytes)
{
	pci_reg_show(&dsa->func, 0, reg, value, bytes);
}

/*
 * Showing them
 */

static void show_wq(struct dsa *dsa, const struct dsa_wq *wq)
{
	const u64 at = DSA_WQCFG + (u64)wq->index * WQCFG_BYTES;
	unsigned int i;
	u32 state = 0;

	if (wq->state == WQ_ENABLED)
		state = WQ_STATE_ENABLED;
	else if (wq->state == WQ_STOPPING)
		state = WQ_STATE_BUSY;
	for (i = 0; i < WQ_WORDS; i++)
		show(dsa, at + i * 4, i == WQ_STATE ? state : wq->cfg[i], 4);
}

static void show_group(struct dsa *dsa, unsigned int g)
{
	const u64 at = DSA_GRPCFG + (u64)g * GRPCFG_BYTES;
	unsigned int i;

	for (i = 0; i < 4; i++)
		show(dsa, at + i * 8, dsa->grpwqs[g][i], 8);
	show(dsa, at + GRPCFG_ENGINES, dsa->grpengines[g], 8);
	show(dsa, at + GRPCFG_ENGINES + 8, dsa->grpflags[g], 8);
}

/* CMDSTS last: a driver polls it and then looks at the others. */
static void show_control(struct dsa *dsa)
{
	unsigned int i;

	show(dsa, DSA_REG_GENCTRL, dsa->genctrl, 4);
	show(dsa, DSA_REG_GENSTS, dsa->draining ? 2 : dsa->enabled, 4);
	show(dsa, DSA_REG_INTCAUSE, dsa->intcause, 4);
	for (i = 4; i--;)
		show(dsa, DSA_REG_SWERROR + i * 8, dsa->swerror[i], 8);
	show(dsa, DSA_REG_CMD, dsa->cmd, 4);
	show(dsa, DSA_REG_CMDSTS, dsa->cmdsts, 4);
}

static void show_capabilities(struct dsa *dsa)
{
	u64 gencap = GENCAP_OVERLAP | GENCAP_CACHE_MEMORY | GENCAP_CMDCAP | GENCAP_DEST_READBACK |
		     GENCAP_CONFIG | (u64)dsa->xfer_lg2 << GENCAP_XFER_SHIFT |
		     (u64)dsa->batch_lg2 << GENCAP_BATCH_SHIFT;
	u64 wqcap = dsa->total_size | (u64)dsa->nwqs << WQCAP_WQS_SHIFT | WQCAP_WQCFG_64 |
		    WQCAP_SHARED | WQCAP_DEDICATED | WQCAP_ATS | WQCAP_PRIORITY | WQCAP_OPCFG |
		    WQCAP_PRS;

	if (dsa->bof)
		gencap |= GENCAP_BLOCK_ON_FAULT;
	show(dsa, DSA_REG_VERSION, DSA_VERSION, 4);
	show(dsa, DSA_REG_GENCAP, gencap, 8);
	show(dsa, DSA_REG_WQCAP, wqcap, 8);
	show(dsa, DSA_REG_GRPCAP, DSA_GROUPS | 64u << GRPCAP_RDBUFS_SHIFT, 8);
	show(dsa, DSA_REG_ENGCAP, dsa->nengines, 8);
	show(dsa, DSA_REG_OPCAP, dsa_opcap(), 8);
	show(dsa, DSA_REG_OFFSETS,
	     DSA_GRPCFG / 0x100 | (u64)(DSA_WQCFG / 0x100) << 16 |
		     (u64)(DSA_MSIXPERM / 0x100) << 32,
	     8);
	show(dsa, DSA_REG_CMDCAP, CMDS_KNOWN, 4);
}

static void wq_clear(struct dsa *dsa, struct dsa_wq *wq)
{
	memset(wq->cfg, 0, sizeof(wq->cfg));
	wq->cfg[WQ_OPCFG] = (u32)dsa_opcap();
	wq->cfg[WQ_OPCFG + 1] = (u32)(dsa_opcap() >> 32);
	wq->state = WQ_DISABLED;
	wq->head = wq->n = 0;
	wq->before = 0;
	show_wq(dsa, wq);
}

void dsa_config_clear(struct dsa *dsa)
{
	unsigned int i;

	dsa->enabled = dsa->draining = false;
	dsa->genctrl = dsa->intcause = 0;
	dsa->cmd = dsa->cmdsts = 0;
	memset(dsa->swerror, 0, sizeof(dsa->swerror));
	memset(dsa->grpwqs, 0, sizeof(dsa->grpwqs));
	memset(dsa->grpengines, 0, sizeof(dsa->grpengines));
	memset(dsa->grpflags, 0, sizeof(dsa->grpflags));
	memset(dsa->msixperm, 0, sizeof(dsa->msixperm));
	for (i = 0; i < dsa->nwqs; i++)
		wq_clear(dsa, &dsa->wqs[i]);
	for (i = 0; i < dsa->nengines; i++)
		dsa->engines[i].group = DSA_GROUPS;
	for (i = 0; i < DSA_GROUPS; i++)
		show_group(dsa, i);
	for (i = 0; i < DSA_MAX_VECTORS; i++)
		show(dsa, DSA_MSIXPERM + i * MSIXPERM_BYTES, 0, 4);
	show_capabilities(dsa);
	show_control(dsa);
}

/*
 * Causes of interrupts
 */

static void interrupt(struct dsa *dsa, u32 cause)
{
	dsa->intcause |= cause;
	show_control(dsa);
	if (pci_irq_mode(&dsa->func) == PCI_IRQ_MSIX)
		pci_irq_message(&dsa->func, 0);
}

void dsa_swerror(struct dsa *dsa, const struct dsa_wq *wq, const struct dsa_desc *desc,
		 const struct dsa_swerror *error)
{
	if (dsa->swerror[0] & 1) {
		dsa->swerror[0] |= 2;
		show_control(dsa);
		return;
	}
	dsa->swerror[0] = 0xd | (u64)error->batch << 4 | (u64)error->write << 5 |
			  (u64)error->status << 8 | (u64)wq->index << 16 |
			  (u64)desc_opcode(desc) << 32 | (u64)error->pasid << 40;
	dsa->swerror[1] = error->batch_index | (u64)error->flags << 32;
	dsa->swerror[2] = error->address;
	show_control(dsa);
	if (dsa->genctrl & GENCTRL_SWERROR)
		interrupt(dsa, INTCAUSE_SWERROR);
}

/*
 * Commands
 */

/* In which group is it? DSA_GROUPS for none, more for several. */
static unsigned int group_of(const u64 *words, size_t stride, unsigned int index)
{
	unsigned int g, n = 0, found = DSA_GROUPS;

	for (g = 0; g < DSA_GROUPS; g++) {
		if (words[g * stride] >> index & 1) {
			found = g;
			n++;
		}
	}
	return n > 1 ? DSA_GROUPS + 1 : found;
}

static enum dsa_cmd_error check_groups(struct dsa *dsa)
{
	unsigned int i, g, total = 0;

	for (i = 0; i < dsa->nwqs; i++) {
		total += dsa->wqs[i].cfg[WQ_SIZE];
		g = group_of(&dsa->grpwqs[0][0], 4, i);
		if (g > DSA_GROUPS || (g == DSA_GROUPS && dsa->wqs[i].cfg[WQ_SIZE]))
			return CMDSTS_GROUP_WQ;
		if (g < DSA_GROUPS && !dsa->grpengines[g])
			return CMDSTS_GROUP_ENGINE;
	}
	for (i = 0; i < dsa->nengines; i++)
		if (group_of(dsa->grpengines, 1, i) > DSA_GROUPS)
			return CMDSTS_GROUP_ENGINE;
	return total > dsa->total_size ? CMDSTS_WQ_SIZES : CMDSTS_OK;
}

static enum dsa_cmd_error enable_device(struct dsa *dsa)
{
	enum dsa_cmd_error error;
	unsigned int i, first = 0;

	if (dsa->enabled)
		return CMDSTS_DEVICE_ENABLED;
	if (!(atomic_load(&dsa->func.command) & PCI_COMMAND_MASTER))
		return CMDSTS_NO_BUS_MASTER;
	error = check_groups(dsa);
	if (error)
		return error;
	for (i = 0; i < dsa->nwqs; i++) {
		dsa->wqs[i].first = first;
		dsa->wqs[i].size = dsa->wqs[i].cfg[WQ_SIZE];
		first += dsa->wqs[i].size;
	}
	for (i = 0; i < dsa->nengines; i++)
		dsa->engines[i].group = group_of(dsa->grpengines, 1, i);
	dsa->enabled = true;
	return CMDSTS_OK;
}

static enum dsa_cmd_error enable_wq(struct dsa *dsa, u32 index)
{
	struct dsa_wq *wq;
	u32 mode;

	if (!dsa->enabled)
		return CMDSTS_DEVICE_DISABLED;
	if (index >= dsa->nwqs)
		return CMDSTS_BAD_WQ;
	wq = &dsa->wqs[index];
	mode = wq->cfg[WQ_MODE];
	if (wq->state != WQ_DISABLED)
		return CMDSTS_WQ_ENABLED;
	if (!wq->size)
		return CMDSTS_WQ_SIZE;
	if (!WQ_PRIORITY(mode))
		return CMDSTS_WQ_PRIORITY;
	if (mode & WQ_BOF && !dsa->bof)
		return CMDSTS_WQ_BOF;
	if (wq_has_pasid(wq) && !pci_pasid_enabled(&dsa->func))
		return CMDSTS_WQ_PASID;
	if (wq_is_shared(wq) ? !wq_has_pasid(wq) || !dsa->pasid_bits
			     : wq_has_pasid(wq) && WQ_PASID(mode) >> dsa->pasid_bits)
		return CMDSTS_WQ_PASID;
	if (WQ_BATCH(wq->cfg[WQ_LIMIT]) > dsa->batch_lg2)
		return CMDSTS_WQ_BATCH;
	if (WQ_XFER(wq->cfg[WQ_LIMIT]) > dsa->xfer_lg2)
		return CMDSTS_WQ_XFER;
	wq->state = WQ_ENABLED;
	wq->head = wq->n = 0;
	wq->turns = WQ_PRIORITY(mode);
	show_wq(dsa, wq);
	return CMDSTS_OK;
}

static u32 all_wqs(const struct dsa *dsa)
{
	return (1u << dsa->nwqs) - 1;
}

/* Any PASID may be in a shared one: a drain waits for all that is there. */
static u32 wqs_with_pasid(const struct dsa *dsa, u32 pasid)
{
	unsigned int i;
	u32 wqs = 0;

	for (i = 0; i < dsa->nwqs; i++)
		if (wq_has_pasid(&dsa->wqs[i]) &&
		    (wq_is_shared(&dsa->wqs[i]) || WQ_PASID(dsa->wqs[i].cfg[WQ_MODE]) == pasid))
			wqs |= 1u << i;
	return wqs;
}

/* The WQs that a command is about. */
static enum dsa_cmd_error choose_wqs(struct dsa *dsa, enum dsa_cmd cmd, u32 operand)
{
	switch (cmd) {
	case CMD_DISABLE_WQ:
	case CMD_DRAIN_WQ:
	case CMD_ABORT_WQ:
	case CMD_RESET_WQ:
		if (!dsa->enabled)
			return CMDSTS_WQ_NOT_ENABLED;
		/* A mask of the 16 WQs that bits 16 and up choose. */
		if (!operand || operand & ~all_wqs(dsa))
			return CMDSTS_BAD_WQ;
		dsa->cmd_wqs = operand;
		return CMDSTS_OK;
	case CMD_DRAIN_PASID:
	case CMD_ABORT_PASID:
		dsa->cmd_wqs = wqs_with_pasid(dsa, operand);
		break;
	default:
		dsa->cmd_wqs = all_wqs(dsa);
	}
	return dsa->enabled || cmd == CMD_RESET_DEVICE ? CMDSTS_OK : CMDSTS_NOT_ENABLED;
}

static void wq_begin(struct dsa *dsa, struct dsa_wq *wq, enum dsa_cmd cmd)
{
	bool stop = false, abort = false;

	switch (cmd) {
	case CMD_RESET_DEVICE:
	case CMD_RESET_WQ:
		abort = true;
		stop = true;
		break;
	case CMD_DISABLE_DEVICE:
	case CMD_DISABLE_WQ:
		stop = true;
		break;
	case CMD_ABORT_ALL:
	case CMD_ABORT_WQ:
	case CMD_ABORT_PASID:
		abort = true;
		break;
	default:
		wq->before = wq->n + wq->running;
		wq->mark = wq->seq;
	}
	if (abort)
		dsa_wq_abort(dsa, wq,
			     cmd == CMD_ABORT_PASID ? CMD_OPERAND(dsa->cmd) : DSA_ALL_PASIDS);
	if (stop && wq->state == WQ_ENABLED)
		wq->state = WQ_STOPPING;
	show_wq(dsa, wq);
}

static bool wq_is_through(const struct dsa *dsa, const struct dsa_wq *wq, enum dsa_cmd cmd)
{
	if (cmd == CMD_DRAIN_ALL || cmd == CMD_DRAIN_WQ || cmd == CMD_DRAIN_PASID)
		return !wq->before;
	if (cmd == CMD_ABORT_ALL || cmd == CMD_ABORT_WQ || cmd == CMD_ABORT_PASID)
		return !dsa_wq_aborts(dsa, wq);
	return !wq->n && !wq->running;
}

static void finish(struct dsa *dsa, enum dsa_cmd_error error)
{
	u32 cmd = dsa->cmd;

	dsa->cmdsts = error;
	show_control(dsa);
	if (cmd & CMD_INTERRUPT)
		interrupt(dsa, INTCAUSE_COMMAND);
}

static void complete(struct dsa *dsa, enum dsa_cmd cmd)
{
	u32 kept = dsa->cmd, i;

	if (cmd == CMD_RESET_DEVICE) {
		dsa_config_clear(dsa);
		dsa->cmd = kept;
	}
	dsa->draining = false;
	if (cmd == CMD_DISABLE_DEVICE)
		dsa->enabled = false;
	for (i = 0; i < dsa->nwqs; i++) {
		struct dsa_wq *wq = &dsa->wqs[i];

		if (!(dsa->cmd_wqs >> i & 1))
			continue;
		if (cmd == CMD_RESET_WQ)
			wq_clear(dsa, wq);
		if (wq->state == WQ_STOPPING)
			wq->state = WQ_DISABLED;
		show_wq(dsa, wq);
	}
	finish(dsa, CMDSTS_OK);
}

void dsa_command_advance(struct dsa *dsa)
{
	enum dsa_cmd cmd = CMD_CODE(dsa->cmd);
	unsigned int i;

	if (!(dsa->cmdsts & CMDSTS_ACTIVE))
		return;
	for (i = 0; i < dsa->nwqs; i++)
		if (dsa->cmd_wqs >> i & 1 && !wq_is_through(dsa, &dsa->wqs[i], cmd))
			return;
	complete(dsa, cmd);
}

static void begin_command(struct dsa *dsa, enum dsa_cmd cmd)
{
	unsigned int i;

	dsa->cmdsts = CMDSTS_ACTIVE;
	dsa->draining = cmd == CMD_DISABLE_DEVICE || (cmd == CMD_DRAIN_ALL && dsa->enabled);
	show_control(dsa);
	for (i = 0; i < dsa->nwqs; i++)
		if (dsa->cmd_wqs >> i & 1)
			wq_begin(dsa, &dsa->wqs[i], cmd);
	dsa_command_advance(dsa);
}

static void write_cmd(struct dsa *dsa, u32 value)
{
	enum dsa_cmd cmd = CMD_CODE(value);
	u32 operand = CMD_OPERAND(value);
	enum dsa_cmd_error error;

	if (dsa->cmdsts & CMDSTS_ACTIVE)
		return;
	dsa->cmd = value;
	if (cmd == CMD_ENABLE_DEVICE) {
		finish(dsa, enable_device(dsa));
	} else if (cmd == CMD_ENABLE_WQ) {
		finish(dsa, enable_wq(dsa, operand));
	} else if (!(CMDS_KNOWN >> cmd & 1)) {
		finish(dsa, CMDSTS_BAD_COMMAND);
	} else {
		error = choose_wqs(dsa, cmd, operand);
		if (error)
			finish(dsa, error);
		else
			begin_command(dsa, cmd);
	}
}

/*
 * Stores
 */

static void write_wq(struct dsa *dsa, struct dsa_wq *wq, unsigned int word, u32 value, u32 mask)
{
	static const u32 known[WQ_WORDS] = {
		[WQ_SIZE] = 0xffff,
		[WQ_THRESH] = 0xffff,
		[WQ_MODE] = 0x3fffffff,
		[WQ_LIMIT] = 0x1ff,
	};
	u32 keep = known[word];

	if (word == WQ_OPCFG || word == WQ_OPCFG + 1)
		keep = (u32)(dsa_opcap() >> 32 * (word - WQ_OPCFG));
	if (wq->state != WQ_DISABLED || (word == WQ_SIZE && dsa->enabled))
		return;
	wq->cfg[word] = ((wq->cfg[word] & ~mask) | value) & keep;
	show_wq(dsa, wq);
}

static void write_wqs(struct dsa *dsa, u64 offset, const void *buf, unsigned int n)
{
	u64 at, value, mask;

	for (at = offset & ~3ull; at < offset + n; at += 4) {
		u64 index = (at - DSA_WQCFG) / WQCFG_BYTES;

		if (at >= DSA_WQCFG && index < dsa->nwqs &&
		    pci_reg_stored(offset, buf, n, at, 4, &value, &mask))
			write_wq(dsa, &dsa->wqs[index], at % WQCFG_BYTES / 4, (u32)value,
				 (u32)mask);
	}
}

static void write_group(struct dsa *dsa, unsigned int g, unsigned int word, u64 value, u64 mask)
{
	u64 *at, keep;

	if (word == 0) {
		at = &dsa->grpwqs[g][0];
		keep = all_wqs(dsa);
	} else if (word == GRPCFG_ENGINES / 8) {
		at = &dsa->grpengines[g];
		keep = (1u << dsa->nengines) - 1;
	} else if (word == GRPCFG_ENGINES / 8 + 1) {
		/* Traffic classes: there is one. */
		at = &dsa->grpflags[g];
		keep = 0x3f;
	} else {
		return;
	}
	*at = ((*at & ~mask) | value) & keep;
	show_group(dsa, g);
}

static void write_groups(struct dsa *dsa, u64 offset, const void *buf, unsigned int n)
{
	u64 at, value, mask;

	if (dsa->enabled)
		return;
	for (at = offset & ~7ull; at < offset + n; at += 8) {
		u64 g = (at - DSA_GRPCFG) / GRPCFG_BYTES;

		if (at >= DSA_GRPCFG && g < DSA_GROUPS &&
		    pci_reg_stored(offset, buf, n, at, 8, &value, &mask))
			write_group(dsa, (unsigned int)g, at % GRPCFG_BYTES / 8, value, mask);
	}
}

static void write_perms(struct dsa *dsa, u64 offset, const void *buf, unsigned int n)
{
	unsigned int i;
	u64 value, mask;

	for (i = 0; i <= dsa->nwqs; i++) {
		u64 at = DSA_MSIXPERM + (u64)i * MSIXPERM_BYTES;

		if (!pci_reg_stored(offset, buf, n, at, 4, &value, &mask))
			continue;
		dsa->msixperm[i] = ((dsa->msixperm[i] & ~(u32)mask) | (u32)value) & MSIXPERM_KNOWN;
		show(dsa, at, dsa->msixperm[i], 4);
	}
}

static void write_swerror(struct dsa *dsa, u64 value)
{
	if (value & 1)
		memset(dsa->swerror, 0, sizeof(dsa->swerror));
	else if (value & 2)
		dsa->swerror[0] &= ~2ull;
}

static void write_control(struct dsa *dsa, u64 offset, const void *buf, unsigned int n)
{
	u64 value, mask;

	if (pci_reg_stored(offset, buf, n, DSA_REG_GENCTRL, 4, &value, &mask))
		dsa->genctrl = ((dsa->genctrl & ~(u32)mask) | (u32)value) & GENCTRL_KNOWN;
	if (pci_reg_stored(offset, buf, n, DSA_REG_INTCAUSE, 4, &value, &mask))
		dsa->intcause &= ~(u32)value;
	if (pci_reg_stored(offset, buf, n, DSA_REG_SWERROR, 8, &value, &mask))
		write_swerror(dsa, value);
	show_control(dsa);
	/* A command is a whole word: the part with its code comes last otherwise. */
	if (pci_reg_stored(offset, buf, n, DSA_REG_CMD, 4, &value, &mask) && mask == 0xffffffff)
		write_cmd(dsa, (u32)value);
}

void dsa_config_write(struct dsa *dsa, u64 offset, const void *buf, unsigned int n)
{
	if (offset < DSA_GRPCFG)
		write_control(dsa, offset, buf, n);
	else if (offset < DSA_WQCFG)
		write_groups(dsa, offset, buf, n);
	else if (offset < DSA_MSIXPERM)
		write_wqs(dsa, offset, buf, n);
	else
		write_perms(dsa, offset, buf, n);
}
