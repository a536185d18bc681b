/* SPDX-License-Identifier: MIT */
/* Intel 82576: registers and descriptors that the model has, by its data sheet. */
#ifndef IGB_REGS_H
#define IGB_REGS_H

#include "base/types.h"

#define IGB_DEVICE_ID 0x10c9

#define IGB_CTRL     0x0000
#define IGB_STATUS   0x0008
#define IGB_EECD     0x0010
#define IGB_CTRL_EXT 0x0018
#define IGB_MDIC     0x0020
#define IGB_RCTL     0x0100
#define IGB_TCTL     0x0400
#define IGB_GPIE     0x1514
#define IGB_EICS     0x1520
#define IGB_EIMS     0x1524
#define IGB_EIMC     0x1528
#define IGB_EIAC     0x152c
#define IGB_EIAM     0x1530
#define IGB_EICR     0x1580
#define IGB_IVAR0    0x1700
#define IGB_RDBAL    0x2800
#define IGB_RDBAH    0x2804
#define IGB_RDLEN    0x2808
#define IGB_SRRCTL   0x280c
#define IGB_RDH	     0x2810
#define IGB_RDT	     0x2818
#define IGB_RXDCTL   0x2828
#define IGB_TDBAL    0x3800
#define IGB_TDBAH    0x3804
#define IGB_TDLEN    0x3808
#define IGB_TDH	     0x3810
#define IGB_TDT	     0x3818
#define IGB_TXDCTL   0x3828
#define IGB_RAL0     0x5400
#define IGB_RAH0     0x5404
#define IGB_GCR	     0x5b00

#define CTRL_SLU ((u32)1 << 6)
#define CTRL_RST ((u32)1 << 26)

#define STATUS_FD   0x01
#define STATUS_LU   0x02
#define STATUS_1000 0x80

#define EECD_PRES    0x100
#define EECD_AUTO_RD 0x200

#define MDIC_DATA(mdic) ((mdic)&0xffff)
#define MDIC_REG(mdic)	((mdic) >> 16 & 0x1f)
#define MDIC_PHY(mdic)	((mdic) >> 21 & 0x1f)
#define MDIC_WRITE	((u32)1 << 26)
#define MDIC_READ	((u32)2 << 26)
#define MDIC_READY	((u32)1 << 28)
#define MDIC_ERROR	((u32)1 << 30)

#define PHY_ADDRESS  1
#define PHY_CONTROL  0
#define PHY_LOOPBACK 0x4000
#define PHY_RESTART  0x0200
#define PHY_RESET    0x8000

#define RCTL_EN	   0x00000002
#define RCTL_UPE   0x00000008
#define RCTL_MPE   0x00000010
#define RCTL_LBM   0x000000c0
#define RCTL_BAM   0x00008000
#define RCTL_SECRC 0x04000000

#define TCTL_EN	 0x2
#define TCTL_PSP 0x8

#define DCTL_ENABLE ((u32)1 << 25)

#define GPIE_EIAME ((u32)1 << 30)
#define IVAR_VALID 0x80

#define SRRCTL_KIB(srrctl)  ((srrctl)&0x7f)
#define SRRCTL_TYPE(srrctl) ((srrctl) >> 25 & 7)
#define SRRCTL_LEGACY	    0
#define SRRCTL_ONE_BUFFER   1

#define RAH_VALID ((u32)1 << 31)

/* A descriptor to transmit. */
struct igb_tx_desc {
	u64 buffer;
	u32 command;
	u32 status;
};

#define TX_LENGTH(command) ((command)&0xffff)
#define TX_TYPE(command)   ((command) >> 20 & 0xf)
#define TX_TYPE_CONTEXT	   2
#define TX_TYPE_DATA	   3
#define TX_EOP		   ((u32)1 << 24)
#define TX_IFCS		   ((u32)1 << 25)
#define TX_RS		   ((u32)1 << 27)
#define TX_DEXT		   ((u32)1 << 29)

#define DESC_DD	 1
#define DESC_EOP 2

/* A descriptor to receive, as it is written back; legacy and advanced. */
struct igb_rx_legacy {
	u64 buffer;
	u16 length;
	u16 checksum;
	u8 status;
	u8 errors;
	u16 vlan;
};

struct igb_rx_desc {
	u64 info;
	u32 status;
	u16 length;
	u16 vlan;
};

#endif
