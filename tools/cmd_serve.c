// SPDX-License-Identifier: MIT
/* `softiommu serve`: a server in the foreground, for several programs. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/proto.h"
#include "softiommu.h"

/* A directory of the user's own: nobody else may reach the socket. */
static int choose_path(char *path, size_t n)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char dir[PATH_MAX - 16];

	if (base && *base)
		snprintf(dir, sizeof(dir), "%s/softiommu", base);
	else
		snprintf(dir, sizeof(dir), "/tmp/softiommu-%u", (unsigned int)geteuid());
	if (mkdir(dir, 0700)) {
		struct stat st;

		if (errno != EEXIST || lstat(dir, &st) || !S_ISDIR(st.st_mode) ||
		    st.st_uid != geteuid() || (st.st_mode & 077))
			return complain("serve: %s must be a directory of yours that nobody else "
					"can enter; remove it, or give --socket PATH",
					dir);
	}
	snprintf(path, n, "%s/socket", dir);
	return 0;
}

/* Programs will look for it from other directories. */
static int absolute(const char *given, char *path, size_t n)
{
	char here[PATH_MAX / 2];

	if (given[0] == '/')
		snprintf(path, n, "%s", given);
	else if (getcwd(here, sizeof(here)))
		snprintf(path, n, "%s/%s", here, given);
	else
		return complain("serve: give the full path of the socket: this directory's name "
				"cannot be told");
	return 0;
}

/* A socket left by a server that is gone may be replaced; a live one may not. */
static int clear_path(const char *path)
{
	struct stat st;
	int sock;

	if (lstat(path, &st))
		return 0;
	sock = S_ISSOCK(st.st_mode) ? connect_server(path) : -EEXIST;
	if (sock >= 0) {
		close(sock);
		return complain("serve: a server runs on %s already: use it, or give another "
				"--socket PATH",
				path);
	}
	if (sock != -ECONNREFUSED)
		return complain("serve: %s exists and is no socket of ours: remove it, or give "
				"another --socket PATH",
				path);
	unlink(path);
	return 0;
}

struct serving {
	const char *path;
	const char *library;
};

static void report(void *arg, const char *error)
{
	const struct serving *s = arg;
	char *value = preload_value(s->library);

	if (error)
		complain("serve: %s", error);
	else
		printf("# serving on %s; for programs of this shell:\n"
		       "export " DOOR_SOCKET_ENV "=%s\nexport LD_PRELOAD=%s\n",
		       s->path, s->path, value);
	fflush(stdout);
	free(value);
}

static int serve(const struct server_options *o)
{
	struct server_params params;
	char path[PATH_MAX];
	const char *library;
	int ret;

	if (!server_options_parse(o, &params, &ret))
		return ret;
	library = find_preload();
	ret = library ? 0 : 1;
	if (!ret)
		ret = o->socket ? absolute(o->socket, path, sizeof(path))
				: choose_path(path, sizeof(path));
	if (!ret)
		ret = clear_path(path);
	if (!ret) {
		params.socket_path = path;
		params.report = report;
		params.report_arg = &(struct serving){ path, library };
		ret = server_main(&params);
	}
	server_params_free(&params);
	return ret;
}

static int run(const struct command *self, int argc, const char **argv)
{
	struct server_options o = { 0 };
	struct poptOption table[] = { SERVER_OPTIONS(o), POPT_TABLEEND };
	poptContext con;
	int status;

	con = parse_options(self, argc, argv, table, &status);
	if (con && poptPeekArg(con))
		status = complain("serve: unexpected argument \"%s\" (to run a program, use "
				  "softiommu run)",
				  poptPeekArg(con));
	else if (con)
		status = serve(&o);
	poptFreeContext(con);
	server_options_free(&o);
	return status;
}

const struct command cmd_serve = {
	.name = "serve",
	.summary = "serve /dev/iommu and /dev/vfio to several programs until interrupted",
	.usage = "[OPTIONS]",
	.help = "\n"
		"Prints two lines to set in a shell; every program started there shares the\n"
		"server. It ends with SIGINT or SIGTERM.\n"
		"\n"
		"Examples:\n"
		"  softiommu serve --iommu mock\n"
		"  softiommu serve --iommu vtd --device nvme:file=disk.img --device edu\n"
		"  softiommu serve --topology machine.ini\n"
		"  softiommu serve --socket /tmp/my.sock &\n"
		"  softiommu run --socket /tmp/my.sock -- ./program\n",
	.run = run,
};
