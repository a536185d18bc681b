// SPDX-License-Identifier: MIT
/* Identify (5.15). */
#include <stdio.h>
#include <string.h>

#include "nvme.h"

enum cns {
	CNS_NAMESPACE = 0x00,
	CNS_CONTROLLER = 0x01,
	CNS_ACTIVE_LIST = 0x02,
	CNS_DESCRIPTORS = 0x03,
};

/* Types of namespace identification descriptors. */
#define NIDT_NGUID 2
#define NIDT_UUID  3

#define OACS_DOORBELL_BUFFER (1u << 8)

#define ONCS_COMPARE	  (1u << 0)
#define ONCS_DSM	  (1u << 2)
#define ONCS_WRITE_ZEROES (1u << 3)
#define ONCS_SELECT	  (1u << 4)
#define ONCS_TIMESTAMP	  (1u << 6)
#define ONCS_VERIFY	  (1u << 7)

#define LPA_EFFECTS  (1u << 1)
#define LPA_EXTENDED (1u << 2)

#define OAES_NAMESPACE (1u << 8)

/* Supported, any alignment; bit buckets; longer than the data. */
#define SGLS (1u | 1u << 16 | 1u << 18)

/* A cache that is there, and a flush of all namespaces at once. */
#define VWC 0x7u

/* Deallocated blocks read as zeros; Write Zeroes may deallocate. */
#define DLFEAT 0x9u

static void pad(char *to, size_t n, const char *text)
{
	memset(to, ' ', n);
	memcpy(to, text, min_u64(n, strlen(text)));
}

static void subsystem_name(const struct nvme_ctrl *ctrl, char *to, size_t n)
{
	const u8 *u = ctrl->uuid;

	snprintf(to, n,
		 "nqn.2014-08.org.nvmexpress:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
		 u[13], u[14], u[15]);
}

static u64 total_bytes(const struct nvme_ctrl *ctrl)
{
	unsigned int i;
	u64 bytes = 0;

	for (i = 0; i < ctrl->nns; i++)
		bytes += ctrl->ns[i].blocks << ctrl->block_lg2;
	return bytes;
}

static u16 controller(struct nvme_cmd *cmd)
{
	const struct nvme_ctrl *ctrl = cmd->ctrl;
	struct nvme_id_ctrl id;

	memset(&id, 0, sizeof(id));
	id.vid = ctrl->func.desc.vendor;
	id.ssvid = ctrl->func.desc.subvendor;
	memcpy(id.sn, ctrl->serial, sizeof(id.sn));
	pad(id.mn, sizeof(id.mn), "softiommu NVMe");
	pad(id.fr, sizeof(id.fr), NVME_FIRMWARE);
	id.rab = 4; /* NVME_BURST commands */
	id.mdts = (u8)ctrl->mdts;
	id.ver = NVME_VERSION;
	id.rtd3e = 1000000; /* us */
	id.oaes = OAES_NAMESPACE;
	id.cntrltype = 1;
	id.oacs = OACS_DOORBELL_BUFFER;
	id.acl = 3;
	id.aerl = NVME_EVENTS - 1;
	id.frmw = 0x03; /* one slot, which is read only */
	id.lpa = LPA_EFFECTS | LPA_EXTENDED;
	id.elpe = NVME_ERRORS - 1;
	id.wctemp = NVME_WARM;
	id.cctemp = NVME_HOT;
	id.tnvmcap[0] = total_bytes(ctrl);
	id.sqes = 0x66;
	id.cqes = 0x44;
	id.nn = ctrl->nns;
	id.oncs = ONCS_COMPARE | ONCS_DSM | ONCS_WRITE_ZEROES | ONCS_SELECT | ONCS_TIMESTAMP |
		  ONCS_VERIFY;
	id.vwc = VWC;
	id.sgls = SGLS;
	id.psd0_power = 2500; /* 25 W, in units of 10 mW */
	subsystem_name(ctrl, id.subnqn, sizeof(id.subnqn));
	return nvme_reply(cmd, &id, sizeof(id), sizeof(id));
}

static u16 namespace(struct nvme_cmd *cmd)
{
	const struct nvme_ctrl *ctrl = cmd->ctrl;
	const struct nvme_ns *ns = nvme_ns_of(cmd->ctrl, cmd->sqe.nsid);
	struct nvme_id_ns id;

	if (!ns)
		return NVME_INVALID_NAMESPACE;
	memset(&id, 0, sizeof(id));
	id.nsze = id.ncap = id.nuse = ns->blocks;
	id.dlfeat = DLFEAT;
	id.nvmcap[0] = ns->blocks << ctrl->block_lg2;
	id.nsattr = ns->disk.ro;
	memcpy(id.nguid, ns->id, sizeof(id.nguid));
	id.lbaf[0] = ctrl->block_lg2 << 16;
	return nvme_reply(cmd, &id, sizeof(id), sizeof(id));
}

static u16 active_list(struct nvme_cmd *cmd)
{
	u32 ids[1024] = { 0 }, nsid = cmd->sqe.nsid;
	unsigned int n = 0;

	if (nsid >= NVME_ALL_NAMESPACES - 1)
		return NVME_INVALID_NAMESPACE;
	while (nsid < cmd->ctrl->nns)
		ids[n++] = ++nsid;
	return nvme_reply(cmd, ids, sizeof(ids), sizeof(ids));
}

static u8 *descriptor(u8 *at, u8 type, const u8 *id)
{
	at[0] = type;
	at[1] = 16;
	memcpy(at + 4, id, 16);
	return at + 20;
}

static u16 descriptors(struct nvme_cmd *cmd)
{
	const struct nvme_ns *ns = nvme_ns_of(cmd->ctrl, cmd->sqe.nsid);
	u8 list[64] = { 0 };

	if (!ns)
		return NVME_INVALID_NAMESPACE;
	descriptor(descriptor(list, NIDT_NGUID, ns->id), NIDT_UUID, ns->id);
	return nvme_reply(cmd, list, sizeof(list), 4096);
}

u16 nvme_identify(struct nvme_cmd *cmd)
{
	switch (cmd->sqe.cdw10 & 0xff) {
	case CNS_NAMESPACE:
		return namespace(cmd);
	case CNS_CONTROLLER:
		return controller(cmd);
	case CNS_ACTIVE_LIST:
		return active_list(cmd);
	case CNS_DESCRIPTORS:
		return descriptors(cmd);
	default:
		return nvme_bad_field(cmd, 40);
	}
}
