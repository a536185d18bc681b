// SPDX-License-Identifier: MIT
/*
 * `softiommu run`: a program, and a server for it alone.
 *
 * We become the program, so its exit status, its signals, its terminal and its
 * process number need no passing on. The server is a process of its own, not
 * our child (a program does not expect children that it did not make): it
 * leaves when we, by then the program, have ended and nobody holds a descriptor
 * any more. With --show we stay, to print what the server kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"
#include "server/proto.h"

/* A report from the server has to fit, and names a path. */
#define REPORT_BYTES (PATH_MAX + 256)

static void report(void *arg, const char *error)
{
	int fd = *(int *)arg;

	/* Good news is an empty line. */
	(void)!write(fd, error ? error : "", error ? strlen(error) + 1 : 1);
	close(fd);
}

/* Keep nothing of the program's but stderr, for complaints. */
static void detach(int *report_fd)
{
	int null;

	setsid();
	(void)!chdir("/");
	dup2(*report_fd, 3);
	*report_fd = 3;
	null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	(void)syscall(SYS_close_range, 4, UINT_MAX, 0);
	signal(SIGHUP, SIG_IGN);
}

/* Stay until the server ends: one that is killed leaves files that nobody else would remove. */
static void stay_with(pid_t server, const struct server_params *params, int report_fd)
{
	int status;

	close(report_fd);
	while (waitpid(server, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		server_clean_up(params);
	_exit(0);
}

/* The process between us and the server, which makes the server no child of the program. */
static void start_detached(struct server_params *params, int report_fd)
{
	pid_t pid = fork();

	if (pid)
		_exit(pid < 0);
	detach(&report_fd);
	pid = fork();
	if (pid > 0)
		stay_with(pid, params, report_fd);
	if (pid < 0)
		_exit(1);
	params->report = report;
	params->report_arg = &report_fd;
	exit(server_main(params)); /* not _exit: leave leak checkers their turn */
}

/* Return: 0 when the server listens, else 1 with a complaint. */
static int start_server(struct server_params *params)
{
	char line[REPORT_BYTES] = "it ended at once";
	ssize_t n = 0;
	pid_t pid;
	int p[2];

	if (pipe2(p, O_CLOEXEC)) {
		complain("run: cannot start a server: %s", strerror(errno));
		return 1;
	}
	pid = fork();
	if (!pid)
		start_detached(params, p[1]);
	close(p[1]);
	if (pid > 0) {
		(void)waitpid(pid, NULL, 0);
		n = read(p[0], line, sizeof(line) - 1);
	}
	close(p[0]);
	if (n > 0 && !line[0])
		return 0;
	if (n > 0)
		line[n] = '\0';
	complain("run: cannot start a server: %s", line);
	return 1;
}

static bool make_directory(char *dir, size_t n)
{
	const char *bases[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };
	size_t i;

	for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		/* The path of a socket has 107 characters at most. */
		if (!bases[i] || bases[i][0] != '/' || strlen(bases[i]) > 80)
			continue;
		snprintf(dir, n, "%s/softiommu-XXXXXX", bases[i]);
		if (mkdtemp(dir)) {
			/* Let in what the program starts as another user: see admit(). */
			if (!geteuid())
				(void)chmod(dir, 0711);
			return true;
		}
	}
	return false;
}

static int set_environment(const char *socket_path)
{
	const char *library = find_preload();
	char *value = library ? preload_value(library) : NULL;

	if (!value)
		return 1;
	setenv(DOOR_SOCKET_ENV, socket_path, 1);
	setenv("LD_PRELOAD", value, 1);
	free(value);
	return 0;
}

/* Run it and print afterwards what the server has seen. */
static int run_and_show(const char *socket_path, char *const *argv)
{
	int status, sock;

	sock = connect_server(socket_path);
	status = supervise_program(argv);
	if (sock < 0 || print_tree(sock, true, stderr))
		complain("run: the server is gone, there is nothing to show");
	if (sock >= 0)
		close(sock);
	return end_like(status);
}

static int run_private(struct server_params *params, bool show, char *const *argv)
{
	char dir[PATH_MAX], path[PATH_MAX + 8];
	int ret;

	if (!make_directory(dir, sizeof(dir))) {
		complain("run: cannot make a directory for the socket: set TMPDIR to one that can "
			 "be written");
		return 1;
	}
	snprintf(path, sizeof(path), "%s/socket", dir);
	params->socket_path = path;
	params->socket_dir = dir;
	params->keep_closed = show;
	params->program = getpid();
	ret = set_environment(path);
	if (!ret)
		ret = start_server(params);
	if (ret) {
		unlink(path);
		rmdir(dir);
		return ret;
	}
	return show ? run_and_show(path, argv) : exec_program(argv);
}

static int run_joined(const char *path, char *const *argv)
{
	char full[PATH_MAX];
	int ret, sock = connect_server(path);

	if (sock < 0) {
		complain("run: no server answers on %s: %s; start one with softiommu serve "
			 "--socket %s",
			 path, strerror(-sock), path);
		return 1;
	}
	close(sock);
	ret = set_environment(realpath(path, full) ? full : path);
	return ret ? ret : exec_program(argv);
}

/* Is there an option that a server begins with? */
static bool shapes_server(const struct server_options *o)
{
	return o->iommu || o->device || o->model || o->topology || o->grant || o->quota ||
	       o->iommu_2020 || o->prq_timeout || o->pasid_quota || o->log;
}

static int run_with(const struct server_options *o, bool show, char **argv)
{
	struct server_params params;
	int ret;

	if (o->socket && shapes_server(o))
		return complain("run: --socket joins a running server: give --iommu, --device, "
				"--topology, --grant, --quota, --iommu-2020, --prq-timeout, "
				"--pasid-quota and --log to its softiommu serve");
	if (o->socket && show)
		return complain("run: --show needs a server of its own: leave out --socket, or use "
				"softiommu show");
	if (!server_options_parse(o, &params, &ret))
		return ret;
	if (!argv[0])
		ret = complain("run: which program? softiommu run [OPTIONS] -- PROGRAM [ARGS]");
	else
		ret = check_program(argv[0]);
	if (!ret)
		ret = o->socket ? run_joined(o->socket, argv) : run_private(&params, show, argv);
	server_params_free(&params);
	return ret;
}

static int count_args(poptContext con)
{
	const char **args = poptGetArgs(con);
	int n = 0;

	while (args && args[n])
		n++;
	return n;
}

static int run(const struct command *self, int argc, const char **argv)
{
	struct server_options o = { 0 };
	int show = 0;
	struct poptOption table[] = {
		SERVER_OPTIONS(o),
		{ "show", 0, POPT_ARG_NONE, &show, 0,
		  "print the last context that the program had, when it ends", NULL },
		POPT_TABLEEND,
	};
	poptContext con;
	int status, n;

	con = parse_options(self, argc, argv, table, &status);
	if (con) {
		n = count_args(con);
		poptFreeContext(con);
		/* Options end where the program begins, so it is the end of our own. */
		status = run_with(&o, show, (char **)argv + argc - n);
	}
	server_options_free(&o);
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.summary = "run a program whose /dev/iommu and /dev/vfio are served by softiommu",
	.usage = "[OPTIONS] -- PROGRAM [ARGS]",
	.help = "\n"
		"The program gets a server of its own, which ends with it. With --socket it\n"
		"joins one that runs already (softiommu serve). The exit status is the\n"
		"program's; 127 if there is no such program, 126 if it cannot be run.\n"
		"\n"
		"Each --device is a PCI function that the program finds in /sys/bus/pci and\n"
		"/sys/class/vfio-dev, and opens as /dev/vfio/devices/vfioN or through its group\n"
		"/dev/vfio/N. The first is at 0000:00:02.0 unless it says address=, the next one\n"
		"further. A topology file describes machines for which options get too long:\n"
		"docs/topology.md, and examples/topology.ini for an example.\n"
		"\n"
		"Examples:\n"
		"  softiommu run --iommu vtd --device nvme:file=disk.img --device ioat -- ./driver\n"
		"                                              a disk and a copy engine behind VT-d\n"
		"  softiommu run --device help                 the devices and their options\n"
		"  softiommu run --iommu help                  the IOMMUs and their options\n"
		"  softiommu run --device nvme:file=disk.img,address=0000:01:00.0 -- \\\n"
		"      qemu-system-x86_64 ... -object iommufd,id=io \\\n"
		"      -device vfio-pci,host=0000:01:00.0,iommufd=io\n"
		"  softiommu run --iommu vtd --iommu amd --device edu --device dsa:iommu=iommu1 -- ./test\n"
		"  softiommu run --device edu:group=1 --device edu:group=1 -- ./test\n"
		"                                              two devices in one group\n"
		"  softiommu run --topology machine.ini -- ./my-vmm\n"
		"  softiommu run -- ./my-vmm --iommufd         only /dev/iommu\n"
		"  softiommu run --iommu mock --show -- ./iommufd-test\n"
		"  softiommu run --iommu vtd,aw=57,pri=on -- ./my-vmm\n"
		"  softiommu run --iommu vtd,pri=on --device edu --prq-timeout 1 -- ./vmm-of-2020\n"
		"  softiommu run --grant ipc_lock --quota 64M -- ./driver\n",
	.run = run,
};
