// SPDX-License-Identifier: MIT
/* `softiommu show`: what a running server has. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/proto.h"
#include "watch.h"

static int show(const char *path, double interval)
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
	if (interval > 0) {
		ret = watch_server(sock, path, interval);
		close(sock);
		return ret;
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
	double interval = 1;
	int watch = 0;
	struct poptOption table[] = {
		{ "socket", 0, POPT_ARG_STRING, &path, 0,
		  "the server's socket (default: $" DOOR_SOCKET_ENV ")", "PATH" },
		{ "watch", 0, POPT_ARG_NONE, &watch, 0,
		  "show it again and again, with what changes in a second", NULL },
		{ "interval", 0, POPT_ARG_DOUBLE, &interval, 0,
		  "with --watch: how often (default: 1)", "SECONDS" },
		POPT_TABLEEND,
	};
	poptContext con;
	int status;

	con = parse_options(self, argc, argv, table, &status);
	if (con && poptPeekArg(con))
		status = complain("show: unexpected argument \"%s\" (see softiommu show --help)",
				  poptPeekArg(con));
	else if (con && !(interval >= 0.05 && interval <= 3600))
		status = complain("show: --interval wants seconds, 0.05 to 3600");
	else if (con)
		status = show(path, watch ? interval : 0);
	poptFreeContext(con);
	free(path);
	return status;
}

const struct command cmd_show = {
	.name = "show",
	.summary = "print the IOMMUs, devices and contexts of a running server",
	.usage = "[OPTIONS]",
	.help = "\n"
		"Each IOMMU with the devices behind it, what they are attached to, and its latest\n"
		"faults; each PCI function with who has it open, how it interrupts, and what it has\n"
		"done: DMA, commands, interrupts, accesses to its registers that the server saw;\n"
		"then each open /dev/iommu with its objects and mappings.\n"
		"\n"
		"With --watch what changed is bold, and numbers that grow are followed by how much\n"
		"they do in a second. It ends with Ctrl-C, or with the server.\n"
		"\n"
		"Examples:\n"
		"  softiommu show                      of the server that " DOOR_SOCKET_ENV
		" names\n"
		"  softiommu show --socket /run/user/1000/softiommu/socket\n"
		"  softiommu show --watch              live\n"
		"  softiommu show --watch --interval 0.2\n",
	.run = run,
};
