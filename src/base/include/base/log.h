/* SPDX-License-Identifier: MIT */
/*
 * Logging by call-back. A library never prints by itself: it hands a line to
 * whoever opened the machine, with syslog's levels (LOG_ERR, LOG_WARNING, ...).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/types.h"

/**
 * struct base_log - where lines go
 * @fn: called with a finished line, no newline at its end; NULL drops it
 * @arg: passed to @fn
 * @level: lines with a higher (less urgent) level are dropped
 */
struct base_log {
	void (*fn)(void *arg, int level, const char *line);
	void *arg;
	int level;
};

void base_log(const struct base_log *log, int level, const char *fmt, ...) __printf(3, 4);

#endif
