// SPDX-License-Identifier: MIT
/*
 * Clients that cut their files short, or lend what cannot be written.
 *
 * The server maps the files behind its clients' shared memory, and devices in it
 * reach them by plain loads and stores; a kernel would have pinned the pages. A
 * missing page raises SIGBUS in the thread that touches it. The memory layer puts
 * a page of zeros there, and the access goes on, as it would with a pinned page,
 * whose file does not show it any more either. A store to a file that could only
 * be mapped for reading raises SIGSEGV, and gets a copy. Any other of these
 * signals ends the process as ever.
 *
 * Which addresses are clients' is noted in a table that the handler can read
 * without a lock. One reserved range of addresses for all files would be simpler
 * to ask, but then how much could be mapped would be decided at the start, and
 * the sanitizers leave no range that is large enough.
 *
 * A handler belongs to the process, and so does what it needs to know.
 */
#include <signal.h>

#include "mem/guard.h"
#include "srv.h"

static struct mem_host *_Atomic guarded;
static struct sigaction before_bus, before_segv;

static void bad_access(int sig, siginfo_t *info, void *context)
{
	struct mem_host *host = atomic_load(&guarded);
	bool missing = sig == SIGBUS && info->si_code == BUS_ADRERR;
	bool locked = sig == SIGSEGV && info->si_code == SEGV_ACCERR;
	int err = errno;

	(void)context;
	if ((missing || locked) && host && mem_guard_mend(host, info->si_addr, locked)) {
		errno = err;
		return;
	}
	/* Not ours. An access raises it again at once; what was sent, we send again. */
	sigaction(sig, sig == SIGBUS ? &before_bus : &before_segv, NULL);
	if (info->si_code <= 0)
		raise(sig);
	errno = err;
}

int guard_start(struct mem_host *host)
{
	struct sigaction act = { .sa_sigaction = bad_access, .sa_flags = SA_SIGINFO };

	mem_guard_enable(host);
	atomic_store(&guarded, host);
	if (sigaction(SIGBUS, &act, &before_bus) || sigaction(SIGSEGV, &act, &before_segv))
		return -errno;
	return 0;
}

void guard_stop(void)
{
	sigaction(SIGBUS, &before_bus, NULL);
	sigaction(SIGSEGV, &before_segv, NULL);
	atomic_store(&guarded, NULL);
}
