// SPDX-License-Identifier: MIT
/* Lines are cut at the size of the buffer: logging must neither allocate nor fail. */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

void base_log(const struct base_log *log, int level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!log->fn || level > log->level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log->fn(log->arg, level, line);
}
