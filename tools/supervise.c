// SPDX-License-Identifier: MIT
/*
 * Running a program as a child, without getting in between.
 *
 * The child stays in our process group, so what the terminal sends reaches both
 * of us; then we do nothing. What somebody sends to us alone, by kill, we hand
 * on. When the child stops we stop as well, so that the shell's job control
 * sees one job.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

static const int handed_on[] = { SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
				 SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH };

static void want(sigset_t *set)
{
	size_t i;

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
		sigaddset(set, handed_on[i]);
}

/* Return: true once the child has ended. */
static bool reap(pid_t child, int *status)
{
	while (waitpid(child, status, WNOHANG | WUNTRACED) == child) {
		if (!WIFSTOPPED(*status))
			return true;
		raise(SIGSTOP);
		/* Somebody has continued us, and perhaps only us. */
		kill(child, SIGCONT);
	}
	return false;
}

int supervise_program(char *const *argv)
{
	sigset_t set, before;
	siginfo_t info;
	int status, sig;
	pid_t child;

	want(&set);
	/* SIGCHLD ignored by our parent would leave us nothing to wait for. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &before);
	child = fork();
	if (child < 0) {
		complain("run: cannot start a process");
		exit(1);
	}
	if (!child) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		_exit(exec_program(argv));
	}
	for (;;) {
		sig = sigwaitinfo(&set, &info);
		if (sig == SIGCHLD && reap(child, &status))
			break;
		/* si_code tells kill() from the terminal. */
		if (sig > 0 && sig != SIGCHLD && info.si_code <= 0)
			kill(child, sig);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

int end_like(int wait_status)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;
	int sig;

	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	sig = WTERMSIG(wait_status);
	(void)setrlimit(RLIMIT_CORE, &none); /* one core dump is enough */
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	return 128 + sig;
}
