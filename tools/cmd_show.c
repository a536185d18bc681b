// SPDX-License-Identifier: MIT
/* `softiommu show`: what a running server has. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/proto.h"
#include "softiommu.h"

static int show(const char *path)
{
	int sock, ret;

	if (!path)
		path = getenv(DOOR_SOCKET_ENV);
	if (!path)
		return complain("show: which server? Give --socket PATH or set " DOOR_SOCKET_ENV);
	sock = connect_server(path);
	if (sock < 0) {
		complain("show: no server answers on %s: %s", path, strerror(-sock));
		return 1;
	}
	ret = print_tree(sock, false, stdout);
	close(sock);
	if (!ret)
		return 0;
	complain("show: the server on %s gives no answer: %s", path, strerror(-ret));
	return 1;
}

static int run(const struct command *self, int argc, const char **argv)
{
	char *path = NULL;
	struct poptOption table[] = {
		{ "socket", 0, POPT_ARG_STRING, &path, 0,
		  "the server's socket (default: $" DOOR_SOCKET_ENV ")", "PATH" },
		POPT_TABLEEND,
	};
	poptContext con;
	int status;

	con = parse_options(self, argc, argv, table, &status);
	if (con && poptPeekArg(con))
		status = complain("show: unexpected argument \"%s\" (see softiommu show --help)",
				  poptPeekArg(con));
	else if (con)
		status = show(path);
	poptFreeContext(con);
	free(path);
	return status;
}

const struct command cmd_show = {
	.name = "show",
	.summary = "print the IOMMUs, devices and contexts of a running server",
	.usage = "[--socket PATH]",
	.help = "\n"
		"Examples:\n"
		"  softiommu show                      of the server that " DOOR_SOCKET_ENV
		" names\n"
		"  softiommu show --socket /run/user/1000/softiommu\n",
	.run = run,
};
