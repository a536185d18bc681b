/* SPDX-License-Identifier: MIT */
/* The server process, as the command line starts it. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "server/topology.h"

/* Library memory that one context may use unless the command line says otherwise. */
#define SERVER_QUOTA ((size_t)1 << 30)

/**
 * struct server_params - how to serve
 * @socket_path: where to listen; removed at the end
 * @socket_dir: directory to remove at the end, or NULL
 * @test_interface: have the mock IOMMU and answer IOMMU_TEST_CMD
 * @topology: IOMMUs and devices
 * @quota: bytes of library memory per context; 0 for no limit
 * @iommu_2020: how the IOMMU user API of 2020 is served
 * @prq_timeout_ms: of that: see struct siommu_machine_params
 * @pasid_quota: of that: likewise
 * @grant: bit per capability that every caller is taken to have
 * @log_level: syslog level
 * @keep_closed: keep the text of contexts that close, for DOOR_SHOW
 * @report: called once: when the server listens, with NULL, or with a line that
 *	says why it cannot
 * @report_arg: passed to @report
 * @program: end when this process has ended and nobody is left, and serve other
 *	users only below it; 0 for a server of its own
 */
struct server_params {
	const char *socket_path;
	const char *socket_dir;
	bool test_interface;
	struct topology topology;
	size_t quota;
	enum siommu_2020 iommu_2020;
	unsigned int prq_timeout_ms;
	unsigned int pasid_quota;
	unsigned long long grant;
	int log_level;
	bool keep_closed;
	void (*report)(void *arg, const char *error);
	void *report_arg;
	pid_t program;
};

/* Serve until SIGTERM or SIGINT, or until @program is done. Return: exit status. */
int server_main(const struct server_params *params);

/* A server with these parameters was killed: remove what it has left in the file system. */
void server_clean_up(const struct server_params *params);

#endif
