// SPDX-License-Identifier: MIT
/*
 * Life of a function: made from its description, reset, ended.
 *
 * A reset first takes the function off the bus - its command register reads as 0, so
 * DMA that it would begin is refused - then resets the model, which ends what it was
 * asked for, and only then the configuration space and interrupts. What a driver does
 * meanwhile meets the old or the new state, never a half of each.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "func.h"

/* Threads that do DMA take turns in holding it: who ends the log must not wait for a gap. */
static void init_log_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int pci_func_init(struct pci_func *func, const struct pci_ops *ops,
		  const struct pci_func_desc *desc, const struct pci_params *params)
{
	int rc;

	memset(func, 0, sizeof(*func));
	func->ops = ops;
	func->alloc = params->alloc;
	func->log = params->log;
	func->dev = params->dev;
	func->desc = *desc;
	snprintf(func->name, sizeof(func->name), "%s", params->name ? params->name : "");
	rc = bars_init(func);
	if (rc)
		return rc;
	rc = irq_init(func);
	if (rc) {
		bars_fini(func);
		return rc;
	}
	pthread_mutex_init(&func->reset_lock, NULL);
	init_log_lock(&func->log_lock);
	pthread_mutex_init(&func->lock, NULL);
	caps_init(func, params);
	pthread_mutex_lock(&func->lock);
	irq_follow(func);
	pthread_mutex_unlock(&func->lock);
	return 0;
}

void pci_func_fini(struct pci_func *func)
{
	pci_dma_log_stop(func);
	pthread_mutex_destroy(&func->lock);
	pthread_rwlock_destroy(&func->log_lock);
	pthread_mutex_destroy(&func->reset_lock);
	irq_fini(func);
	bars_fini(func);
}

void pci_func_reset(struct pci_func *func)
{
	pthread_mutex_lock(&func->reset_lock);
	pthread_mutex_lock(&func->lock);
	config_settle(func);
	atomic_store(&func->command, 0);
	pthread_mutex_unlock(&func->lock);

	if (func->ops->reset)
		func->ops->reset(func);

	pthread_mutex_lock(&func->lock);
	config_reset(func);
	irq_reset(func);
	config_follow(func);
	irq_follow(func);
	pthread_mutex_unlock(&func->lock);
	pthread_mutex_unlock(&func->reset_lock);
}

/*
 * The state that migrates: what a driver has made of the registers. Virtual functions
 * are no part of it: who shows the function makes them.
 */
size_t pci_state_bytes(const struct pci_func *func)
{
	return PCI_CONFIG_BYTES + irq_state_bytes(func);
}

void pci_state_save(struct pci_func *func, void *buf)
{
	u8 *out = buf;

	pthread_mutex_lock(&func->lock);
	memcpy(out, func->config, PCI_CONFIG_BYTES);
	irq_save(func, out + PCI_CONFIG_BYTES);
	pthread_mutex_unlock(&func->lock);
}

static void load_config(struct pci_func *func, const u8 *in)
{
	const unsigned int sriov = func->caps.sriov;
	unsigned int i;

	for (i = 0; i < PCI_CONFIG_BYTES; i++) {
		u8 changes = func->writable[i] | func->clearable[i];

		if (sriov && i >= sriov && i < sriov + PCI_EXT_CAP_SRIOV_SIZEOF)
			continue;
		func->config[i] = (u8)((func->config[i] & ~changes) | (in[i] & changes));
	}
}

int pci_state_load(struct pci_func *func, const void *buf, size_t n)
{
	const u8 *in = buf;

	if (n != pci_state_bytes(func))
		return -EINVAL;
	pthread_mutex_lock(&func->lock);
	if (memcmp(in, func->config, 4) ||
	    memcmp(in + PCI_CLASS_REVISION, func->config + PCI_CLASS_REVISION, 4)) {
		pthread_mutex_unlock(&func->lock);
		return -EINVAL;
	}
	config_settle(func);
	load_config(func, in);
	config_follow(func);
	irq_load(func, in + PCI_CONFIG_BYTES);
	irq_follow(func);
	pthread_mutex_unlock(&func->lock);
	return 0;
}

int pci_thread_start(pthread_t *thread, void *(*main)(void *), void *arg)
{
	sigset_t set, old;
	int rc;

	/* Those of faults stay: memory of a client's that is gone is found out by one. */
	sigfillset(&set);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &set, &old);
	rc = pthread_create(thread, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc ? -EAGAIN : 0;
}
