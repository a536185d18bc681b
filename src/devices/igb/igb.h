/* SPDX-License-Identifier: MIT */
/* Intel 82576: igb.c is its registers, frame.c the thread that moves frames. */
#ifndef IGB_IGB_H
#define IGB_IGB_H

#include "devices/pci.h"
#include "devices/regs.h"
#include "regs.h"

#define IGB_BAR_BYTES	131072
#define IGB_VECTORS	25
#define IGB_FRAME_BYTES 16384

/**
 * struct igb - the device
 * @func: the function; first
 * @lock: covers what follows
 * @wake: there may be something to send
 * @idle: the thread does no DMA
 * @thread: moves frames
 * @running: it was started
 * @ending: it shall end
 * @held: it may begin nothing: the function is being reset
 * @busy: it does DMA, without the lock
 * @resetting: CTRL.RST was set while it did
 * @wedged: DMA went wrong; nothing moves until a reset
 * @cancel: what the thread does is for nobody any more
 * @phy: registers of the PHY
 * @regs: registers, a word each
 * @port: the thread's way to memory
 * @frame: what it has of a frame; its own
 * @length: bytes of that
 */
struct igb {
	struct pci_func func;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t idle;
	pthread_t thread;
	bool running;
	bool ending;
	bool held;
	bool busy;
	bool resetting;
	bool wedged;
	_Atomic bool cancel;
	u16 phy[32];
	u32 *regs;
	struct siommu_port *port;
	u8 *frame;
	u32 length;
};

static inline u32 igb_get(const struct igb *igb, u32 reg)
{
	return igb->regs[reg / 4];
}

/* Context: the lock. */
static inline void igb_set(struct igb *igb, u32 reg, u32 value)
{
	igb->regs[reg / 4] = value;
	pci_reg_show(&igb->func, 0, reg, value, 4);
}

/* Registers as after power-on, and nothing to do. Context: the lock; not busy. */
void igb_clear(struct igb *igb);

/* Cause of queue 0, to receive or to transmit: its bit of EICR; 0 for none. Context: the lock. */
u32 igb_queue_cause(const struct igb *igb, bool transmit);

/* Causes happen. Context: the lock. */
void igb_raise(struct igb *igb, u32 causes);

/* frame.c */
int igb_start(struct igb *igb) __must_check;
void igb_stop(struct igb *igb);

#endif
