// SPDX-License-Identifier: MIT
/*
 * `softiommu walk`: a translation step by step, for a device of a running
 * server, or in a machine that is made for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "draw_walk.h"
#include "server/proto.h"
#include "walk.h"

/* Exit status of a walk that ends with a fault. */
#define EXIT_FAULT 1

struct walk_options {
	char *socket;
	char *iommu;
	int nested;
	char **maps;
};

static bool parse_access(const char *text, unsigned int *access)
{
	*access = 0;
	for (; *text; text++) {
		switch (*text) {
		case 'r':
			*access |= SIOMMU_DMA_READ;
			break;
		case 'w':
			*access |= SIOMMU_DMA_WRITE;
			break;
		case 'x':
			*access |= SIOMMU_DMA_EXEC | SIOMMU_DMA_READ;
			break;
		case 'p':
			*access |= SIOMMU_DMA_PRIV;
			break;
		default:
			return false;
		}
	}
	return *access & (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC);
}

/* IOVA [r|w|x] */
static int parse_address(const char *iova_text, const char *access_text, uint64_t *iova,
			 unsigned int *access)
{
	if (!iova_text)
		return complain("walk: which address? Give an IOVA, such as 0x1000");
	if (!parse_number(iova_text, iova))
		return complain("walk: \"%s\" is no address: give a number, such as 0x1000",
				iova_text);
	*access = SIOMMU_DMA_READ;
	if (access_text && !parse_access(access_text, access))
		return complain("walk: \"%s\" is no access: give r, w or x, and p for privileged",
				access_text);
	return 0;
}

/* IOVA:LENGTH[:r|rw] */
static int parse_map(const char *text, struct walk_map *map)
{
	char *copy = strdup(text), *at = copy;
	const char *iova = strsep(&at, ":"), *length = at ? strsep(&at, ":") : "";
	const char *prot = at ? at : "rw";
	bool good = copy && parse_number(iova, &map->iova) && parse_number(length, &map->length) &&
		    (!strcmp(prot, "r") || !strcmp(prot, "rw"));

	map->writable = prot[0] && prot[1] == 'w';
	free(copy);
	if (!good)
		return complain("walk: --map %s: give IOVA:LENGTH, or IOVA:LENGTH:r to map "
				"read-only, as in --map 0x100000:2M:r",
				text);
	if (!map->length || map->iova % 4096 || map->length % 4096)
		return complain("walk: --map %s: both must be multiples of 4K, and LENGTH not 0",
				text);
	/* What every table of four levels can map; a signed address is not worth the words. */
	if (map->iova >> 47 || map->length > (UINT64_C(1) << 47) - map->iova)
		return complain("walk: --map %s: map below 2^47", text);
	return 0;
}

/* The one added last, and those before it. */
static int check_overlap(const struct walk_map *maps, size_t last)
{
	const struct walk_map *m = &maps[last];
	size_t i;

	for (i = 0; i < last; i++)
		if (m->iova < maps[i].iova + maps[i].length && maps[i].iova < m->iova + m->length)
			return complain("walk: --map %#llx and --map %#llx overlap: map each "
					"address once",
					(unsigned long long)maps[i].iova,
					(unsigned long long)m->iova);
	return 0;
}

static int finish(const struct walk_trace *trace)
{
	draw_walk(trace, isatty(STDOUT_FILENO), stdout);
	return trace->faulted ? EXIT_FAULT : 0;
}

static int walk_own(const struct walk_options *o, const char *iova, const char *access)
{
	struct walk_request request = { .nested = o->nested };
	struct topology topology = { 0 };
	struct walk_trace *trace;
	struct walk_map *maps;
	size_t n = 0;
	int ret;

	while (o->maps && o->maps[n])
		n++;
	maps = calloc(n + 1, sizeof(*maps));
	trace = calloc(1, sizeof(*trace));
	ret = maps && trace ? parse_address(iova, access, &request.iova, &request.access)
			    : complain("out of memory");
	for (request.nmaps = 0; request.nmaps < n && !ret; request.nmaps++) {
		ret = parse_map(o->maps[request.nmaps], &maps[request.nmaps]);
		if (!ret)
			ret = check_overlap(maps, request.nmaps);
	}
	if (!ret && !n) {
		maps[0] = (struct walk_map){ request.iova & ~UINT64_C(4095), 4096, true };
		request.nmaps = 1;
		request.guess = true;
	}
	if (!ret)
		ret = topology_add_option(&topology, o->iommu, true);
	request.topology = &topology;
	request.maps = maps;
	if (!ret)
		ret = walk_in_machine(&request, trace);
	if (!ret)
		ret = finish(trace);
	topology_free(&topology);
	free(maps);
	free(trace);
	return ret;
}

/* DEVICE[/PASID] */
static int parse_device(const char *text, struct door_call *call)
{
	const size_t n = strcspn(text, "/");
	char name[TOPOLOGY_NAME] = "";
	uint64_t pasid;

	if (!n || n >= sizeof(name))
		return complain("walk: \"%s\" is no device: softiommu show lists them", text);
	memcpy(name, text, n);
	memcpy(&call->dev, name, 8);
	memcpy(&call->ino, name + 8, 8);
	memcpy(&call->c, name + 16, 8);
	memcpy(&call->d, name + 24, 8);
	if (!text[n])
		return 0;
	if (!parse_number(text + n + 1, &pasid) || pasid >> 20)
		return complain("walk: \"%s\" is no PASID: give a number below 2^20", text + n + 1);
	call->b |= DOOR_WALK_PASID | pasid << DOOR_WALK_PASID_SHIFT;
	return 0;
}

/* Have the server walk. Return: 0, or an exit status after a complaint. */
static int ask(const char *path, const char *device, const struct door_call *call,
	       struct walk_trace *trace)
{
	int sock, fd;

	sock = connect_server(path);
	if (sock < 0) {
		complain("walk: no server answers on %s: %s", path, strerror(-sock));
		return 1;
	}
	fd = ask_server(sock, call);
	close(sock);
	if (fd >= 0) {
		ssize_t n = pread(fd, trace, sizeof(*trace), 0);

		close(fd);
		if (n == sizeof(*trace))
			return 0;
		fd = -EIO;
	}
	if (fd == -ENODEV)
		return complain("walk: the server has no device of that name (%s): softiommu show "
				"lists them",
				device);
	if (fd == -EINVAL)
		return complain("walk: %s cannot have that PASID: softiommu show tells how wide "
				"they are",
				device);
	complain("walk: the server on %s gives no answer: %s", path, strerror(-fd));
	return 1;
}

static int walk_live(const char *path, const char **args)
{
	struct door_call call = { .op = DOOR_WALK };
	struct walk_trace *trace;
	unsigned int access;
	int ret;

	if (!path)
		path = getenv(DOOR_SOCKET_ENV);
	if (!path)
		return complain("walk: where? Give --socket PATH or set " DOOR_SOCKET_ENV
				" for a server, or --iommu MODEL for a machine of its own");
	ret = parse_address(args[1], args[1] ? args[2] : NULL, &call.a, &access);
	if (!ret)
		ret = parse_device(args[0], &call);
	if (ret)
		return ret;
	call.b |= access;
	trace = calloc(1, sizeof(*trace));
	if (!trace)
		return complain("out of memory");
	ret = ask(path, args[0], &call, trace);
	if (!ret)
		ret = finish(trace);
	free(trace);
	return ret;
}

static int walk(const struct walk_options *o, const char **args)
{
	size_t n = 0;

	while (args && args[n])
		n++;
	if (o->iommu && !strcmp(o->iommu, "help")) {
		print_models(&(struct topology){ 0 }, stdout);
		return 0;
	}
	if (o->iommu && o->socket)
		return complain("walk: --iommu makes a machine of its own: leave out --socket");
	if (!o->iommu && (o->nested || o->maps))
		return complain("walk: --nested and --map are for a machine of its own: give "
				"--iommu MODEL too");
	if (n > (o->iommu ? 2u : 3u))
		return complain("walk: unexpected argument \"%s\" (see softiommu walk --help)",
				args[n - 1]);
	if (!n)
		return complain(
			"walk: what? Give DEVICE IOVA, or --iommu MODEL IOVA (see softiommu "
			"walk --help)");
	if (!o->iommu)
		return walk_live(o->socket, args);
	return walk_own(o, args[0], n > 1 ? args[1] : NULL);
}

static void free_options(struct walk_options *o)
{
	char **map;

	for (map = o->maps; map && *map; map++)
		free(*map);
	free(o->maps);
	free(o->iommu);
	free(o->socket);
}

static int run(const struct command *self, int argc, const char **argv)
{
	struct walk_options o = { 0 };
	struct poptOption table[] = {
		{ "socket", 0, POPT_ARG_STRING, &o.socket, 0,
		  "the server's socket (default: $" DOOR_SOCKET_ENV ")", "PATH" },
		{ "iommu", 0, POPT_ARG_STRING, &o.iommu, 0,
		  "walk in a machine with this IOMMU; help lists them", "MODEL[,NAME=VALUE...]" },
		{ "nested", 0, POPT_ARG_NONE, &o.nested, 0,
		  "with --iommu: below a guest's own table", NULL },
		{ "map", 0, POPT_ARG_ARGV, &o.maps, 0,
		  "with --iommu: map this (default: the page of IOVA); more than one may be given",
		  "IOVA:LENGTH[:r|rw]" },
		POPT_TABLEEND,
	};
	poptContext con;
	int status;

	con = parse_options(self, argc, argv, table, &status);
	if (con)
		status = walk(&o, poptGetArgs(con));
	poptFreeContext(con);
	free_options(&o);
	return status;
}

const struct command cmd_walk = {
	.name = "walk",
	.summary = "translate one address of a device step by step, and draw it",
	.usage = "[OPTIONS] [DEVICE[/PASID]] IOVA [r|w|x]",
	.help = "\n"
		"Every structure that the hardware reads is a line: its name, its level (L0 has\n"
		"the smallest pages), the address it was read from, its first 64 bits, and for a\n"
		"page what it allows and leads to. Stage-2 steps behind a \"|\" are those that "
		"the\n"
		"line above needed, so that the entry could be read. Nothing is changed: no\n"
		"accessed or dirty bit is set, no fault recorded. The exit status is 1 if the\n"
		"request faults.\n"
		"\n"
		"Without --iommu, DEVICE is one that softiommu show lists, of a server that runs.\n"
		"With --iommu a machine is made with that IOMMU, one device and what --map says,\n"
		"and forgotten afterwards.\n"
		"\n"
		"Examples:\n"
		"  softiommu walk dev0 0x1000 w              a write of dev0, in the server that\n"
		"                                            " DOOR_SOCKET_ENV " names\n"
		"  softiommu walk dev0/5 0x1000              with PASID 5\n"
		"  softiommu walk --iommu vtd 0x40201234     a read through VT-d's second stage\n"
		"  softiommu walk --iommu vtd --nested --map 0x40000000:2M 0x40001234 w\n"
		"                                            two stages, with a large page\n"
		"  softiommu walk --iommu smmuv3 --map 0x8000:4K:r 0x8000 w\n"
		"                                            a fault: the page is read-only\n"
		"  softiommu walk --iommu amd,nested=on --nested 0x1000\n",
	.run = run,
};
