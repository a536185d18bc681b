// SPDX-License-Identifier: MIT
/*
 * SIGSEGV and SIGILL, which stores to registers raise.
 *
 * From the first mapping with registers on, their handler is ours. What is none of ours
 * goes to the handler that the program has, or would have, as the kernel would have
 * called it. The program's actions are kept here, and asking for them answers from here.
 *
 * A fault while its signal is blocked ends a process at once. So under a server these two
 * are never blocked by a mask, nor while a handler of another signal runs. In its own
 * handler of SIGSEGV a program must not store to registers.
 */
#include <string.h>
#include <ucontext.h>

#include "raw.h"
#include "real.h"
#include "traps.h"

static struct sigaction theirs[2];
static _Atomic bool taken;

static struct sigaction *slot(int signal)
{
	return &theirs[signal == SIGILL];
}

static bool is_ours(int signal)
{
	return (signal == SIGSEGV || signal == SIGILL) && atomic_load(&taken);
}

static void set_mask(const sigset_t *mask)
{
	(void)raw4(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, 8);
}

/* The default is to die of it: by the same instruction, or by being sent it again. */
static void die(int signal, const siginfo_t *info)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };

	(void)real()->sigaction(signal, &standard, NULL);
	if (info->si_code <= 0)
		(void)raw3(SYS_tgkill, raw0(SYS_getpid), raw0(SYS_gettid), signal);
}

/* Call the program's handler in the state that it expects. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
	struct sigaction action = *slot(signal);
	const ucontext_t *uc = context;
	sigset_t mask;

	if (!(action.sa_flags & SA_SIGINFO)) {
		if (action.sa_handler == SIG_IGN && info->si_code <= 0)
			return;
		if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
			die(signal, info);
			return;
		}
	}
	if (action.sa_flags & (int)SA_RESETHAND)
		memset(slot(signal), 0, sizeof(action));
	sigorset(&mask, &uc->uc_sigmask, &action.sa_mask);
	if (!(action.sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	set_mask(&mask);
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(signal, info, context);
	else
		action.sa_handler(signal);
}

static void handle(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	if (!trap_emulate(signal, info, context))
		pass_on(signal, info, context);
	errno = saved;
}

static void take(int signal)
{
	struct sigaction ours = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

	ours.sa_sigaction = handle;
	/* No other handler comes between a store and its effect. */
	sigfillset(&ours.sa_mask);
	(void)real()->sigaction(signal, &ours, slot(signal));
}

void signals_take(void)
{
	sigset_t mask;

	if (atomic_exchange(&taken, true))
		return;
	take(SIGSEGV);
	take(SIGILL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGSEGV);
	sigaddset(&mask, SIGILL);
	(void)real()->pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
}

static void never_block(sigset_t *set)
{
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGILL);
}

PRELOAD_API int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction before, changed;

	if (likely(!preload_active))
		return real()->sigaction(signal, action, old);
	if (is_ours(signal)) {
		before = *slot(signal);
		/* A vfork child has our memory, but actions of its own: to them. */
		if (action && !image_is_mine() && real()->sigaction(signal, action, NULL))
			return -1;
		if (action && image_is_mine())
			*slot(signal) = *action;
		if (old)
			*old = before;
		return 0;
	}
	if (!action)
		return real()->sigaction(signal, action, old);
	changed = *action;
	never_block(&changed.sa_mask);
	return real()->sigaction(signal, &changed, old);
}

PRELOAD_API sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction action = { .sa_flags = SA_RESTART }, old;

	if (likely(!is_ours(number)))
		return real()->signal(number, handler);
	action.sa_handler = handler;
	(void)sigaction(number, &action, &old);
	return old.sa_handler;
}

/* What may be blocked of @set. */
static const sigset_t *allowed(int how, const sigset_t *set, sigset_t *room)
{
	if (likely(!preload_active) || !set || how == SIG_UNBLOCK)
		return set;
	*room = *set;
	never_block(room);
	return room;
}

PRELOAD_API int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t room;

	return real()->sigprocmask(how, allowed(how, set, &room), old);
}

PRELOAD_API int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t room;

	return real()->pthread_sigmask(how, allowed(how, set, &room), old);
}
