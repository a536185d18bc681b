/* SPDX-License-Identifier: MIT */
/*
 * I/OAT ("Intel QuickData Technology"), version 3.3: registers and descriptors, as
 * the data sheets of Xeon processors describe them (volume 2, "CB_BAR" registers).
 */
#ifndef IOAT_REGS_H
#define IOAT_REGS_H

#include "base/types.h"

#define IOAT_DEVICE_ID 0x2021 /* Skylake-SP */
#define IOAT_VERSION   0x33

/* Of the device. */
#define IOAT_CHANCNT	0x00
#define IOAT_XFERCAP	0x01
#define IOAT_INTRCTRL	0x03
#define IOAT_ATTNSTATUS 0x04
#define IOAT_CBVER	0x08
#define IOAT_DMACAP	0x10
#define IOAT_CHANNEL	0x80 /* the first channel's; and bytes of each */

#define INTRCTRL_MASTER_EN 0x01
#define INTRCTRL_STATUS	   0x02
#define INTRCTRL_INT	   0x04
#define INTRCTRL_MSIX	   0x08

#define DMACAP_FILL 0x40

/* Of a channel. */
#define IOAT_CHANCTRL	0x00
#define IOAT_DMA_COMP	0x02
#define IOAT_CHANCMD	0x04
#define IOAT_DMACOUNT	0x06
#define IOAT_CHANSTS	0x08
#define IOAT_CHAINADDR	0x10
#define IOAT_CHANCMP	0x18
#define IOAT_CDAR	0x20
#define IOAT_CHANERR	0x28
#define IOAT_CHANERRMSK 0x2c

#define CHANCTRL_INT_DIS	0x0001 /* an interrupt was sent; writing a one allows the next */
#define CHANCTRL_ERR_COMPLETION 0x0004
#define CHANCTRL_ERR_INT	0x0010
#define CHANCTRL_KEPT		0xf33c /* what reads as it was written */

#define DMA_COMP_V2_V3 0x0006

#define CHANCMD_SUSPEND 0x04
#define CHANCMD_RESET	0x20

enum ioat_status {
	CHANSTS_ACTIVE,
	CHANSTS_DONE,
	CHANSTS_SUSPENDED,
	CHANSTS_HALTED,
};

#define CHANERR_SRC_ADDR   0x00001
#define CHANERR_DST_ADDR   0x00002
#define CHANERR_NEXT_ADDR  0x00004
#define CHANERR_NEXT_ALIGN 0x00008
#define CHANERR_CHAIN_ADDR 0x00010
#define CHANERR_CHANCMD	   0x00020
#define CHANERR_CONTROL	   0x00400
#define CHANERR_LENGTH	   0x00800
#define CHANERR_COMPLETION 0x01000
#define CHANERR_ALL	   0x7ffff

/* Of the configuration space: a vendor's capability around them. */
#define IOAT_VSEC	    0x170
#define IOAT_VSEC_BYTES	    0x20
#define IOAT_CFG_CHANERR    0x180
#define IOAT_CFG_CHANERRMSK 0x184
#define IOAT_CFG_CHANERRSEV 0x188

/**
 * struct ioat_desc - a descriptor in memory
 * @size: bytes to move
 * @control: IOAT_DESC_*, and the operation in its last byte
 * @src: source; of a fill the bytes to fill with
 * @dst: destination
 * @next: the next descriptor
 * @unused: other operations have something here
 */
struct ioat_desc {
	u32 size;
	u32 control;
	u64 src;
	u64 dst;
	u64 next;
	u64 unused[4];
};

#define IOAT_DESC_INT	   0x001
#define IOAT_DESC_COMPLETE 0x008
#define IOAT_DESC_NULL	   0x020
#define IOAT_DESC_KNOWN	   0x73f /* the others: page breaks, bundles, reserved ones */
#define IOAT_OP_LG2	   24
#define IOAT_OP_COPY	   0x00
#define IOAT_OP_FILL	   0x01

#endif
