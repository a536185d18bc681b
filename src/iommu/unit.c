// SPDX-License-Identifier: MIT
/* What units of all models have: a fault log, and options as text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu/iommu.h"

int iommu_unit_init(struct iommu_unit *unit, const struct iommu_ops *ops, struct mem_host *host)
{
	unit->ops = ops;
	unit->alloc = host->alloc;
	unit->host = host;
	unit->log = base_zalloc(unit->alloc, sizeof(*unit->log));
	if (!unit->log)
		return -ENOMEM;
	pthread_mutex_init(&unit->log->lock, NULL);
	return 0;
}

void iommu_unit_end(struct iommu_unit *unit)
{
	if (!unit->log)
		return;
	pthread_mutex_destroy(&unit->log->lock);
	base_free(unit->alloc, unit->log, sizeof(*unit->log));
}

/* A number, or a word that stands for one. Return: false if it is neither. */
static bool parse_value(const char *text, size_t len, const struct iommu_unit_option *option,
			u64 *value)
{
	char copy[32], *end;

	if (option->max == 1 && len == 2 && !strncmp(text, "on", len)) {
		*value = 1;
		return true;
	}
	if (option->max == 1 && len == 3 && !strncmp(text, "off", len)) {
		*value = 0;
		return true;
	}
	if (!len || len >= sizeof(copy) || *text == '-' || *text == '+' || *text == ' ')
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	errno = 0;
	*value = strtoull(copy, &end, 0);
	return !errno && !*end && *value >= option->min && *value <= option->max;
}

static int complain_unknown(const char *text, size_t len, const struct iommu_unit_option *options,
			    size_t count, char *error, size_t n)
{
	size_t i, at;

	at = (size_t)snprintf(error, n, "option \"%.*s\" is not known: give", (int)len, text);
	for (i = 0; i < count && at < n; i++)
		at += (size_t)snprintf(error + at, n - at, "%s %s", i ? "," : "", options[i].name);
	return -EINVAL;
}

/* One "name=value" or "name" of @len bytes. */
static int parse_one(const char *text, size_t len, const struct iommu_unit_option *options,
		     size_t count, char *error, size_t n)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct iommu_unit_option *o = &options[i];

		if (strlen(o->name) != name_len || strncmp(o->name, text, name_len))
			continue;
		if (!equals && o->max == 1) {
			*o->value = 1;
			return 0;
		}
		if (equals && parse_value(equals + 1, len - name_len - 1, o, o->value))
			return 0;
		if (o->max == 1)
			snprintf(error, n, "option \"%s\" takes on or off", o->name);
		else
			snprintf(error, n, "option \"%s\" takes a number from %llu to %#llx",
				 o->name, (unsigned long long)o->min, (unsigned long long)o->max);
		return -EINVAL;
	}
	return complain_unknown(text, name_len, options, count, error, n);
}

int iommu_parse_options(const char *text, const struct iommu_unit_option *options, size_t count,
			char *error, size_t n)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		int rc = parse_one(text, len, options, count, error, n);

		if (rc)
			return rc;
		text += len;
		text += *text == ',';
	}
	return 0;
}
