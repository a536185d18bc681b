/* SPDX-License-Identifier: MIT */
/* Registers of the edu device, as docs/devices/edu.md describes them. */
#ifndef DEVICES_EDU_REGS_H
#define DEVICES_EDU_REGS_H

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x50f7
#define EDU_CLASS  0x120000

#define EDU_ID_VALUE 0x50f70001u

/* BAR 0: a page of registers, and one with the MSI-X table. BAR 2: memory. */
#define EDU_REG_BAR    0
#define EDU_REG_BYTES  0x1000
#define EDU_TABLE_PAGE 0x1000
#define EDU_PBA	       0x1800
#define EDU_BAR_BYTES  0x2000
#define EDU_MEM_BAR    2

/* State. */
#define EDU_ID		 0x00
#define EDU_CAPS	 0x04
#define EDU_CAPS_PASID	 (1u << 0)
#define EDU_CAPS_ATS	 (1u << 1)
#define EDU_CAPS_PRI	 (1u << 2)
#define EDU_CAPS_VF	 (1u << 3)
#define EDU_SCRATCH	 0x08
#define EDU_STATUS	 0x0c
#define EDU_STATUS_BUSY	 (1u << 0)
#define EDU_RESULT	 0x10
#define EDU_COUNT	 0x14
#define EDU_DROPPED	 0x18
#define EDU_CONTROL	 0x1c
#define EDU_CONTROL_STOP (1u << 0)
#define EDU_INT_STATUS	 0x20
#define EDU_INT_DONE	 (1u << 0)
#define EDU_INT_RAISE	 0x24
#define EDU_INT_ACK	 0x28
#define EDU_MESSAGE	 0x2c
#define EDU_MEMORY	 0x30
#define EDU_PROGRESS	 0x38

/* What a command is about, and the command: 64 bytes that can be written at once. */
#define EDU_ADDR       0x40
#define EDU_DEST       0x48
#define EDU_LENGTH     0x50
#define EDU_BUFFER     0x58
#define EDU_OPERAND    0x60
#define EDU_EXPECTED   0x68
#define EDU_PASID      0x70
#define EDU_VECTOR     0x78
#define EDU_COMMAND    0x7c
#define EDU_CMD_OP     0xffu
#define EDU_CMD_PASID  (1u << 8)
#define EDU_CMD_PRI    (1u << 9)
#define EDU_CMD_ATS    (1u << 10)
#define EDU_CMD_IRQ    (1u << 11)
#define EDU_CMD_ALL    (EDU_CMD_OP | EDU_CMD_PASID | EDU_CMD_PRI | EDU_CMD_ATS | EDU_CMD_IRQ)
#define EDU_PASID_MASK 0xfffffu

/* What came of it. */
#define EDU_OLD		 0x80
#define EDU_FAULT_ADDR	 0x88
#define EDU_FAULT_REASON 0x90
#define EDU_FAULT_FLAGS	 0x94
#define EDU_FAULT_ACCESS 0x98
#define EDU_FAULT_COUNT	 0x9c
#define EDU_ATS_ADDR	 0xa0
#define EDU_ATS_BYTES	 0xa8
#define EDU_ATS_ACCESS	 0xb0
#define EDU_ATS_ENTRIES	 0xb4
#define EDU_ATS_INVAL	 0xb8
#define EDU_PAGE_CODE	 0xc0
#define EDU_PAGE_COUNT	 0xc4
#define EDU_REG_END	 0x100

enum edu_op {
	EDU_NOP,
	EDU_READ,
	EDU_WRITE,
	EDU_COPY,
	EDU_FILL,
	EDU_FETCH_ADD,
	EDU_SWAP,
	EDU_CAS,
	EDU_TRANSLATE,
	EDU_PAGE_REQUEST,
	EDU_GENERATE,
	EDU_OPS,
};

enum edu_result {
	EDU_OK,
	EDU_BAD_COMMAND,
	EDU_BAD_LENGTH,
	EDU_BAD_BUFFER,
	EDU_NOT_SUPPORTED,
	EDU_NOT_MASTER,
	EDU_FAULT,
	EDU_NO_PAGE,
	EDU_STOPPED,
	EDU_NO_RESOURCES,
};

#endif
