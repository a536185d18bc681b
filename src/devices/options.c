// SPDX-License-Identifier: MIT
/* Options of models: "name=value,...". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "func.h"

/* The length of the option at the head of @text, and of its name. */
static size_t option_length(const char *text, size_t *name)
{
	const size_t n = strcspn(text, ",");

	*name = strcspn(text, ",=");
	return n;
}

static const char *next_option(const char *text, size_t n)
{
	return text[n] ? text + n + 1 : text + n;
}

bool pci_option(const char *options, const char *name, char *buf, size_t n)
{
	size_t length, name_length;

	for (; *options; options = next_option(options, length)) {
		length = option_length(options, &name_length);
		if (name_length != strlen(name) || strncmp(options, name, name_length))
			continue;
		if (length > name_length)
			name_length++;
		snprintf(buf, n, "%.*s", (int)(length - name_length), options + name_length);
		return true;
	}
	return false;
}

static bool known(const char *text, size_t n, const char *const *names)
{
	for (; *names; names++) {
		if (strlen(*names) == n && !strncmp(text, *names, n))
			return true;
	}
	return false;
}

int pci_options_check(const struct pci_params *params, const char *const *names)
{
	const char *at = params->options;
	size_t length, name_length, n;
	unsigned int i;

	for (; *at; at = next_option(at, length)) {
		length = option_length(at, &name_length);
		if (!length || known(at, name_length, names))
			continue;
		n = (size_t)snprintf(params->error, params->error_bytes,
				     "option \"%.*s\" is not known: give", (int)name_length, at);
		for (i = 0; names[i] && n < params->error_bytes; i++)
			n += (size_t)snprintf(params->error + n, params->error_bytes - n, "%s %s",
					      i ? "," : "", names[i]);
		return -EINVAL;
	}
	return 0;
}

static unsigned int unit_shift(const char *suffix)
{
	static const char units[] = "KMGT";
	const char *unit = *suffix ? strchr(units, *suffix & ~0x20) : NULL;

	if (!*suffix)
		return 0;
	return unit && *unit && !suffix[1] ? 10 * (unsigned int)(unit - units + 1) : 64;
}

static bool parse_number(const char *text, u64 *value)
{
	unsigned int shift;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	shift = unit_shift(end);
	if (errno || shift > 63 || *value > U64_MAX >> shift)
		return false;
	*value <<= shift;
	return true;
}

int pci_option_number(const struct pci_params *params, const char *name, u64 min, u64 max,
		      u64 *value)
{
	char text[32];
	u64 x;

	if (!pci_option(params->options, name, text, sizeof(text)))
		return 0;
	if (!parse_number(text, &x) || x < min || x > max) {
		snprintf(params->error, params->error_bytes,
			 "option \"%s\" takes a number from %llu to %llu", name,
			 (unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*value = x;
	return 0;
}

int pci_option_bool(const struct pci_params *params, const char *name, bool *value)
{
	char text[8];

	if (!pci_option(params->options, name, text, sizeof(text)))
		return 0;
	if (strcmp(text, "on") && strcmp(text, "off")) {
		snprintf(params->error, params->error_bytes, "option \"%s\" takes on or off", name);
		return -EINVAL;
	}
	*value = !strcmp(text, "on");
	return 0;
}
