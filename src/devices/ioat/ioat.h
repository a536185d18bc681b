/* SPDX-License-Identifier: MIT */
/*
 * I/OAT: a device and its channels. See channel.c for who does what.
 */
#ifndef IOAT_IOAT_H
#define IOAT_IOAT_H

#include "devices/pci.h"
#include "regs.h"

#define IOAT_MAX_CHANNELS 16
#define IOAT_PIECE_BYTES  16384

struct ioat;

/**
 * struct ioat_channel - a channel
 * @ioat: whose
 * @index: its number
 * @port: its thread's way to memory
 * @thread: does what descriptors say
 * @running: it was started
 * @wake: tells it that there is something to do
 * @cancel: what it is doing is for nobody any more
 * @piece: bytes on their way
 * @busy: it does DMA, without the lock
 * @resetting: a reset was asked for while it was
 * @suspend: stop before the next descriptor
 * @status: what CHANSTS says
 * @ctrl: CHANCTRL
 * @count: DMACOUNT: descriptors to do since CHAINADDR was written, modulo 2^16
 * @done: how many were
 * @chain: CHAINADDR
 * @next: the next descriptor
 * @last: the last one that was completed
 * @cmp: CHANCMP
 * @err: CHANERR
 * @errmsk: CHANERRMSK
 */
struct ioat_channel {
	struct ioat *ioat;
	unsigned int index;
	struct siommu_port *port;
	pthread_t thread;
	bool running;
	pthread_cond_t wake;
	_Atomic bool cancel;
	u8 *piece;
	bool busy;
	bool resetting;
	bool suspend;
	enum ioat_status status;
	u16 ctrl;
	u16 count;
	u16 done;
	u64 chain;
	u64 next;
	u64 last;
	u64 cmp;
	u32 err;
	u32 errmsk;
};

/**
 * struct ioat - the device
 * @func: the function; first
 * @lock: covers all that follows, and channels where they say nothing else
 * @idle: a channel has stopped being busy
 * @ending: threads shall end
 * @held: no channel may begin anything: the function is being reset
 * @xfer_lg2: XFERCAP
 * @intrctrl: what was written to INTRCTRL
 * @attn: ATTNSTATUS
 * @nchannels: how many
 * @channels: and these
 */
struct ioat {
	struct pci_func func;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	bool ending;
	bool held;
	unsigned int xfer_lg2;
	u8 intrctrl;
	u32 attn;
	unsigned int nchannels;
	struct ioat_channel channels[IOAT_MAX_CHANNELS];
};

/* Show all registers of a channel, or of the device. Context: the lock. */
void ioat_channel_show(struct ioat_channel *ch);
void ioat_show(struct ioat *ioat);

/* As after power-on. Context: the lock; not busy. */
void ioat_channel_clear(struct ioat_channel *ch);

/* Registers of a channel were written. Context: the lock. */
void ioat_channel_write(struct ioat_channel *ch, u64 offset, const void *buf, unsigned int n);

int ioat_channel_start(struct ioat_channel *ch) __must_check;

/* End the thread; the lock is not held. */
void ioat_channel_stop(struct ioat_channel *ch);

/* A channel interrupts, or may do so again. Context: the lock. */
void ioat_interrupt(struct ioat_channel *ch);
void ioat_rearm(struct ioat_channel *ch);

/* Errors for the configuration space. Context: the lock. */
void ioat_config_error(struct ioat *ioat, u32 err);

#endif
