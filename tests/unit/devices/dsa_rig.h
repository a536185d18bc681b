/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the DSA model share: registers, commands and descriptors by their
 * numbers, and a driver's way to submit one and to wait for its record.
 */
#ifndef UNIT_DEVICES_DSA_RIG_H
#define UNIT_DEVICES_DSA_RIG_H

#include "engine_rig.h"

#define GENCAP	 0x10
#define WQCAP	 0x20
#define GRPCAP	 0x30
#define ENGCAP	 0x38
#define OPCAP	 0x40
#define OFFSETS	 0x60
#define GENCTRL	 0x88
#define GENSTS	 0x90
#define INTCAUSE 0x98
#define CMD	 0xa0
#define CMDSTS	 0xa8
#define CMDCAP	 0xb0
#define SWERROR	 0xc0
#define GRPCFG	 0x400
#define WQCFG	 0x600
#define PERM	 0xc00

#define ENABLE_DEVICE  1
#define DISABLE_DEVICE 2
#define DRAIN_ALL      3
#define ABORT_ALL      4
#define RESET_DEVICE   5
#define ENABLE_WQ      6
#define DISABLE_WQ     7
#define DRAIN_WQ       8
#define ABORT_WQ       9
#define RESET_WQ       10
#define DRAIN_PASID    11
#define ABORT_PASID    12

enum {
	NOOP = 0,
	BATCH = 1,
	DRAIN = 2,
	MOVE = 3,
	FILL = 4,
	COMPARE = 5,
	COMPVAL = 6,
	CR_DELTA = 7,
	AP_DELTA = 8,
	DUALCAST = 9,
	CRCGEN = 0x10,
	COPY_CRC = 0x11,
	CFLUSH = 0x20,
};

#define FENCE	  0x0001u
#define BOF	  0x0002u
#define CRAV	  0x0004u
#define RCR	  0x0008u
#define RCI	  0x0010u
#define CHECK	  0x0080u
#define CACHE	  0x0100u
#define CRC_SEED  0x010000u
#define CRC_PLAIN 0x020000u
#define CRC_FWD	  0x040000u

struct desc {
	uint32_t pasid;
	uint32_t op;
	uint64_t record;
	uint64_t src;
	uint64_t dst;
	uint32_t size;
	uint16_t handle;
	uint16_t reserved;
	uint8_t more[24];
} __attribute__((aligned(64)));

struct record {
	volatile uint8_t status;
	uint8_t result;
	uint8_t fault_info;
	uint8_t reserved;
	uint32_t done;
	uint64_t fault;
	union {
		uint32_t flags;
		uint64_t crc;
	};
	uint64_t more;
};

/* Where things are in the memory. */
#define RECORDS 0x000000ull
#define LIST	0x010000ull
#define SRC	0x200000ull
#define DST	0x400000ull
#define DST2	0x600000ull

static inline struct record *record(unsigned int i)
{
	return (struct record *)(bench.ram + RECORDS) + i;
}

static inline uint64_t record_iova(unsigned int i)
{
	return RAM + RECORDS + i * sizeof(struct record);
}

static inline struct desc make(uint8_t opcode, uint32_t flags, uint64_t src, uint64_t dst, uint32_t size)
{
	return (struct desc){
		.op = (uint32_t)opcode << 24 | flags | CRAV | RCR,
		.record = record_iova(0),
		.src = src,
		.dst = dst,
		.size = size,
	};
}

static inline void submit(unsigned int wq, const struct desc *desc)
{
	/* Whether there was room is not always asked. */
	(void)!pci_bar_write(bench.func, 2, wq * 4 * 4096ull + 64, desc, sizeof(*desc));
}

static inline uint32_t command(unsigned int cmd, uint32_t operand)
{
	set_reg(0, CMD, cmd << 20 | operand, 4);
	WAIT_FOR(!(get_reg(0, CMDSTS, 4) >> 31));
	return get_reg(0, CMDSTS, 4);
}

/* Do it, and wait for its record. */
static inline struct record *do_on(unsigned int wq, const struct desc *desc)
{
	memset(record(0), 0, sizeof(struct record));
	submit(wq, desc);
	WAIT_FOR(record(0)->status);
	/* For a sanitizer: the engine is through with this memory. */
	command(DRAIN_WQ, 1u << wq);
	return record(0);
}

static inline struct record *run(const struct desc *desc)
{
	return do_on(0, desc);
}

static inline void set_wq(unsigned int wq, unsigned int word, uint32_t value)
{
	set_reg(0, WQCFG + wq * 64ull + word * 4ull, value, 4);
}

static inline uint32_t get_wq(unsigned int wq, unsigned int word)
{
	return get_reg(0, WQCFG + wq * 64ull + word * 4ull, 4);
}

/* A WQ of 16, dedicated, priority 1. */
static inline void set_up_wq(unsigned int wq, uint32_t mode)
{
	set_wq(wq, 0, 16);
	set_wq(wq, 2, 0x11 | mode);
	set_wq(wq, 3, 21 | 10 << 5);
}

static inline void enable(uint32_t mode)
{
	set_up_wq(0, mode);
	set_reg(0, GRPCFG, 1, 8);
	set_reg(0, GRPCFG + 32, 1, 8);
	ASSERT_EQ(0, command(ENABLE_DEVICE, 0));
	ASSERT_EQ(0, command(ENABLE_WQ, 0));
}

static inline void begin_with(const char *options)
{
	bench_begin("dsa", options);
	ASSERT_EQ(0, command(RESET_DEVICE, 0));
}

static inline void begin(void)
{
	begin_with("");
	enable(0);
}

#endif
