/* SPDX-License-Identifier: MIT */
/* The program that `softiommu run` runs. */
#ifndef TOOLS_PROGRAM_H
#define TOOLS_PROGRAM_H

#include "softiommu.h"

/*
 * Look whether @name can be run and served; complains if not. Return: 0, or the
 * exit status that shells give: 127 if it does not exist, 126 if it cannot run.
 */
int check_program(const char *name);

/* Become the program. Returns only if that fails, with an exit status. */
int exec_program(char *const *argv);

/*
 * Run the program as a child that gets all signals that come to us. Return:
 * what waitpid says.
 */
int supervise_program(char *const *argv);

/* End as the program did: the same status, or the same signal. */
int end_like(int wait_status);

#endif
