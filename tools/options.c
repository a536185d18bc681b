// SPDX-License-Identifier: MIT
/* Options and help, the same way for every subcommand. */
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "topology.h"

/* Those that the IOMMU user API asks for. */
static const struct {
	const char *name;
	int cap;
} capabilities[] = {
	{ "ipc_lock", CAP_IPC_LOCK },
	{ "sys_resource", CAP_SYS_RESOURCE },
	{ "sys_admin", CAP_SYS_ADMIN },
	{ "sys_rawio", CAP_SYS_RAWIO },
};

static const struct {
	const char *name;
	int level;
} levels[] = {
	{ "error", LOG_ERR },
	{ "warning", LOG_WARNING },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
};

static const struct {
	const char *name;
	enum siommu_2020 rules;
} revisions[] = {
	{ "merged", SIOMMU_2020_MERGED },
	{ "draft", SIOMMU_2020_DRAFT },
	{ "off", SIOMMU_2020_OFF },
};

/* Seconds that a page request may wait, as the kernel's parameter had it. */
#define MAX_PRQ_TIMEOUT 100

/* PASIDs have 20 bits, and 0 is none. */
#define MAX_PASIDS ((1u << 20) - 1)

static int parse_capability(const char *name, unsigned long long *mask)
{
	size_t i;

	if (!strncasecmp(name, "cap_", 4))
		name += 4;
	for (i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		if (!strcasecmp(name, capabilities[i].name)) {
			*mask |= 1ULL << capabilities[i].cap;
			return 0;
		}
	}
	return complain("--grant does not know \"%s\": give ipc_lock, sys_resource, sys_admin or "
			"sys_rawio, separated by commas",
			name);
}

static int parse_grant(const char *list, unsigned long long *mask)
{
	char *copy = strdup(list), *at = copy, *name;
	int ret = 0;

	while (!ret && (name = strsep(&at, ",")))
		ret = parse_capability(name, mask);
	free(copy);
	return ret;
}

static int parse_quota(const char *text, size_t *quota)
{
	unsigned long long n;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 0);
	switch (*end) {
	case 'G':
		shift += 10;
		__attribute__((fallthrough));
	case 'M':
		shift += 10;
		__attribute__((fallthrough));
	case 'K':
		shift += 10;
		end++;
		break;
	default:
		break;
	}
	if (end == text || *end || errno || strchr(text, '-') || n > SIZE_MAX >> shift)
		return complain("--quota \"%s\" is no number of bytes: give e.g. 64M, 1G or 0",
				text);
	*quota = (size_t)n << shift;
	return 0;
}

static int parse_level(const char *name, int *level)
{
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!strcmp(name, levels[i].name)) {
			*level = levels[i].level;
			return 0;
		}
	}
	return complain("--log does not know \"%s\": give error, warning, info or debug", name);
}

static int parse_2020(const char *name, enum siommu_2020 *rules)
{
	size_t i;

	for (i = 0; i < sizeof(revisions) / sizeof(revisions[0]); i++) {
		if (!strcmp(name, revisions[i].name)) {
			*rules = revisions[i].rules;
			return 0;
		}
	}
	return complain("--iommu-2020 does not know \"%s\": give merged, draft or off", name);
}

/* A number from @min to @max, and nothing else. */
static bool parse_from_to(const char *text, unsigned int min, unsigned int max, unsigned int *n)
{
	uint64_t value;

	if (!parse_number(text, &value) || value < min || value > max)
		return false;
	*n = (unsigned int)value;
	return true;
}

static int parse_prq_timeout(const char *text, unsigned int *ms)
{
	unsigned int seconds;

	if (!parse_from_to(text, 0, MAX_PRQ_TIMEOUT, &seconds))
		return complain("--prq-timeout \"%s\": give seconds from 1 to %u, or 0 to let page "
				"requests wait for ever",
				text, MAX_PRQ_TIMEOUT);
	*ms = seconds ? seconds * 1000 : SIOMMU_PRQ_FOREVER;
	return 0;
}

static int parse_pasid_quota(const char *text, unsigned int *quota)
{
	if (!parse_from_to(text, 1, MAX_PASIDS, quota))
		return complain("--pasid-quota \"%s\": give a number from 1 to %u, which are all "
				"that there are",
				text, MAX_PASIDS);
	return 0;
}

static int parse_2020_options(const struct server_options *o, struct server_params *params)
{
	int ret = 0;

	if (o->iommu_2020)
		ret = parse_2020(o->iommu_2020, &params->iommu_2020);
	if (!ret && o->prq_timeout)
		ret = parse_prq_timeout(o->prq_timeout, &params->prq_timeout_ms);
	if (!ret && o->pasid_quota)
		ret = parse_pasid_quota(o->pasid_quota, &params->pasid_quota);
	if (!ret && params->iommu_2020 == SIOMMU_2020_OFF && (o->prq_timeout || o->pasid_quota))
		ret = complain("--iommu-2020 off leaves nothing for --prq-timeout and "
			       "--pasid-quota: leave them out, or give merged or draft");
	return ret;
}

static bool wants_help(char *const *values)
{
	for (; values && *values; values++)
		if (!strcmp(*values, "help"))
			return true;
	return false;
}

static int parse_machine(const struct server_options *o, struct server_params *params)
{
	char *const *iommu;
	size_t first;
	int ret = 0;

	/* The names in a file are given; ours find room among them. */
	if (o->topology)
		ret = topology_read(&params->topology, o->topology);
	first = params->topology.nunits;
	for (iommu = o->iommu; iommu && *iommu && !ret; iommu++) {
		if (!strcmp(*iommu, "mock"))
			params->test_interface = true;
		else /* who asks for devices needs none that does nothing */
			ret = topology_add_option(&params->topology, *iommu, !o->device);
	}
	if (!ret)
		ret = topology_add_devices(&params->topology, o->device, first);
	return ret ? ret : topology_check(&params->topology);
}

bool server_options_parse(const struct server_options *o, struct server_params *params, int *status)
{
	memset(params, 0, sizeof(*params));
	params->quota = SERVER_QUOTA;
	params->log_level = LOG_WARNING;
	*status = topology_load_models(&params->topology, o->model);
	if (!*status && (wants_help(o->iommu) || wants_help(o->device))) {
		if (wants_help(o->iommu))
			print_models(&params->topology, stdout);
		if (wants_help(o->device))
			print_devices(stdout);
		server_params_free(params);
		return false;
	}
	if (!*status && o->grant)
		*status = parse_grant(o->grant, &params->grant);
	if (!*status && o->quota)
		*status = parse_quota(o->quota, &params->quota);
	if (!*status && o->log)
		*status = parse_level(o->log, &params->log_level);
	if (!*status)
		*status = parse_2020_options(o, params);
	if (!*status)
		*status = parse_machine(o, params);
	if (*status)
		server_params_free(params);
	return !*status;
}

void server_params_free(struct server_params *params)
{
	topology_free(&params->topology);
}

static void free_values(char **values)
{
	char **value;

	for (value = values; value && *value; value++)
		free(*value);
	free(values);
}

void server_options_free(struct server_options *o)
{
	free_values(o->iommu);
	free_values(o->device);
	free_values(o->model);
	free(o->topology);
	free(o->grant);
	free(o->quota);
	free(o->iommu_2020);
	free(o->prq_timeout);
	free(o->pasid_quota);
	free(o->log);
	free(o->socket);
}

static void print_command_help(const struct command *self, poptContext con)
{
	printf("softiommu %s - %s\n\n", self->name, self->summary);
	poptPrintHelp(con, stdout, 0);
	fputs(self->help, stdout);
}

poptContext parse_options(const struct command *self, int argc, const char **argv,
			  struct poptOption *table, int *status)
{
	int help = 0, ret;
	struct poptOption all[] = {
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, table, 0, "Options:", NULL },
		{ "help", 'h', POPT_ARG_NONE, &help, 0, "show this", NULL },
		POPT_TABLEEND,
	};
	char usage[128];
	poptContext con;

	/* The usage begins with it. */
	argv[0] = "softiommu";
	/* What follows the program's name is the program's. */
	con = poptGetContext("softiommu", argc, argv, all, POPT_CONTEXT_POSIXMEHARDER);
	snprintf(usage, sizeof(usage), "%s %s", self->name, self->usage);
	poptSetOtherOptionHelp(con, usage);
	ret = poptGetNextOpt(con);
	*status = 0;
	if (ret < -1)
		*status = complain("%s: %s: %s (see softiommu %s --help)", self->name,
				   poptBadOption(con, POPT_BADOPTION_NOALIAS), poptStrerror(ret),
				   self->name);
	else if (help)
		print_command_help(self, con);
	else
		return con;
	poptFreeContext(con);
	return NULL;
}
