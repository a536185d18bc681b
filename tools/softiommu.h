/* SPDX-License-Identifier: MIT */
/* What the subcommands of `softiommu` share. */
#ifndef TOOLS_SOFTIOMMU_H
#define TOOLS_SOFTIOMMU_H

#include <popt.h>
#include <stdbool.h>
#include <stdio.h>

#include "server/server.h"

/* Exit status for a command line that makes no sense. */
#define EXIT_USAGE 2

/**
 * struct command - a subcommand
 * @name: as typed
 * @summary: one line
 * @help: what `softiommu NAME --help` prints after the options
 * @usage: arguments, as in a synopsis
 * @run: does it; argv[0] is the name. Return: exit status
 */
struct command {
	const char *name;
	const char *summary;
	const char *usage;
	const char *help;
	int (*run)(const struct command *self, int argc, const char **argv);
};

extern const struct command cmd_run;
extern const struct command cmd_serve;
extern const struct command cmd_show;
extern const struct command cmd_version;
extern const struct command cmd_walk;

/* Print "softiommu: ..." in one line. Return: EXIT_USAGE. */
int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * struct server_options - the options that `run` and `serve` have in common
 * @iommu: each --iommu, in order; NULL at the end; NULL for none
 * @device: likewise each --device
 * @model: likewise each --model
 * @topology: --topology
 * @grant: --grant
 * @quota: --quota
 * @iommu_2020: --iommu-2020
 * @prq_timeout: --prq-timeout
 * @pasid_quota: --pasid-quota
 * @log: --log
 * @socket: --socket
 */
struct server_options {
	char **iommu;
	char **device;
	char **model;
	char *topology;
	char *grant;
	char *quota;
	char *iommu_2020;
	char *prq_timeout;
	char *pasid_quota;
	char *log;
	char *socket;
};

/* The rows of a popt table for @o, a struct server_options. */
/* clang-format off */
#define SERVER_OPTIONS(o)                                                                        \
	{ "iommu", 0, POPT_ARG_ARGV, &(o).iommu, 0,                                              \
	  "have this IOMMU: mock (the kernel's test interface), vtd, smmuv3 or amd; help lists " \
	  "all with their options; more than one may be given",                                  \
	  "MODEL[,NAME=VALUE...]" },                                                             \
	{ "model", 0, POPT_ARG_ARGV, &(o).model, 0,                                              \
	  "know the model of IOMMUs that is in this shared object (softiommu/model.h), for "     \
	  "--iommu and --topology; more than one may be given",                                  \
	  "FILE" },                                                                              \
	{ "device", 0, POPT_ARG_ARGV, &(o).device, 0,                                            \
	  "have this VFIO device: nvme, ioat, dsa, igb or edu, behind the first --iommu or a "   \
	  "vtd; help lists all with their options; more than one may be given",                  \
	  "MODEL[:NAME=VALUE,...]" },                                                            \
	{ "topology", 0, POPT_ARG_STRING, &(o).topology, 0,                                      \
	  "have the IOMMUs and devices that this file describes", "FILE" },                      \
	{ "grant", 0, POPT_ARG_STRING, &(o).grant, 0,                                            \
	  "take every caller to have these capabilities, e.g. ipc_lock", "CAP[,CAP]" },          \
	{ "quota", 0, POPT_ARG_STRING, &(o).quota, 0,                                            \
	  "memory that one open /dev/iommu may use (default 1G, 0: no limit)", "BYTES" },        \
	{ "iommu-2020", 0, POPT_ARG_STRING, &(o).iommu_2020, 0,                                  \
	  "serve the IOMMU user API of 2020 by these rules: merged (default), draft or off",     \
	  "RULES" },                                                                             \
	{ "prq-timeout", 0, POPT_ARG_STRING, &(o).prq_timeout, 0,                                \
	  "of that API: how long a page request waits for its response (default 10, 0: for "     \
	  "ever)",                                                                               \
	  "SECONDS" },                                                                           \
	{ "pasid-quota", 0, POPT_ARG_STRING, &(o).pasid_quota, 0,                                \
	  "of that API: PASIDs that one process may have (default 1000)", "N" },                 \
	{ "log", 0, POPT_ARG_STRING, &(o).log, 0,                                                \
	  "error, warning (default), info or debug", "LEVEL" },                                  \
	{ "socket", 0, POPT_ARG_STRING, &(o).socket, 0, "the server's socket", "PATH" }
/* clang-format on */

void server_options_free(struct server_options *o);

/*
 * Fill in @params; complains. Return: true; or false when the command is over,
 * with the exit status in *@status.
 */
bool server_options_parse(const struct server_options *o, struct server_params *params,
			  int *status);

/* Free what server_options_parse() put into @params. */
void server_params_free(struct server_params *params);

/*
 * Parse @argv with @table (that has no help row; one is added). Return: the
 * context, with the arguments left in it; NULL when the command is over, with
 * the exit status in *@status.
 */
poptContext parse_options(const struct command *self, int argc, const char **argv,
			  struct poptOption *table, int *status);

/* Path of the preload library; NULL, and a complaint, if it cannot be found. */
const char *find_preload(void);

/* Connect to a server. Return: socket, or -errno. */
int connect_server(const char *path);

struct door_call;

/*
 * Make a call that is answered with a descriptor. Return: the descriptor, or
 * -errno.
 */
int ask_server(int sock, const struct door_call *call);

/* Copy the server's tree to @out. Return: 0, or -errno. */
int print_tree(int sock, bool past, FILE *out);

/* LD_PRELOAD as the program shall see it; to be freed. */
char *preload_value(const char *library);

#endif
