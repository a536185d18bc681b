// SPDX-License-Identifier: MIT
/*
 * What people ask a server: the machine as a tree of text, and how an address
 * of a device is translated. It goes to whoever asks in a memfd: it has no
 * bound, and messages do.
 *
 * With keep_closed, each context that closes has the tree printed just before.
 * What is kept is the last one, because a program usually ends with its most
 * interesting context, and because a test may go through thousands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/walk.h"
#include "srv.h"

static void print_head(struct srv *srv, FILE *out)
{
	unsigned int contexts, files;
	size_t bytes, blocks;

	pthread_mutex_lock(&srv->files_lock);
	contexts = srv->ncontexts;
	files = srv->nfiles - contexts;
	pthread_mutex_unlock(&srv->files_lock);
	siommu_machine_used(srv->machine, &bytes, &blocks);
	fprintf(out, "%u contexts, %u other descriptors, %zu bytes in %zu blocks\n", contexts,
		files, bytes, blocks);
}

static bool print_closed(struct srv *srv, FILE *out)
{
	bool any;

	pthread_mutex_lock(&srv->lock);
	any = srv->closed_text;
	if (any)
		fwrite(srv->closed_text, 1, srv->closed_bytes, out);
	pthread_mutex_unlock(&srv->lock);
	return any;
}

int show_text(struct srv *srv, bool past)
{
	FILE *out;
	int fd;

	fd = memfd_create("softiommu-show", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	out = fdopen(dup(fd), "w");
	if (!out) {
		close(fd);
		return -ENOMEM;
	}
	if (!past || !print_closed(srv, out)) {
		print_head(srv, out);
		siommu_machine_show(srv->machine, out);
	}
	fclose(out);
	return fd;
}

static struct siommu_device *find_device(struct srv *srv, const char *name, size_t *unit)
{
	const struct topology *t = &srv->params->topology;
	size_t i;

	for (i = 0; i < t->ndevices; i++) {
		if (!strcmp(t->devices[i].name, name)) {
			*unit = t->devices[i].unit;
			return srv->built.devices[i];
		}
	}
	return NULL;
}

/* What @call asks for, and the port to ask it through. */
static int walk_port(struct srv *srv, const struct door_call *call, struct walk_trace *trace,
		     size_t *unit, struct siommu_port **port)
{
	const u64 name[] = { call->dev, call->ino, call->c, call->d };
	struct siommu_port_params params = { .size = sizeof(params) };
	struct siommu_device *dev;

	if (call->b & DOOR_WALK_ACCESS & ~(u64)(SIOMMU_DMA_READ | SIOMMU_DMA_WRITE |
						SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV))
		return -EINVAL;
	memcpy(trace->device, name, sizeof(name));
	trace->device[sizeof(name) - 1] = '\0';
	dev = find_device(srv, trace->device, unit);
	if (!dev)
		return -ENODEV;
	if (call->b & DOOR_WALK_PASID) {
		trace->has_pasid = true;
		trace->pasid = (u32)(call->b >> DOOR_WALK_PASID_SHIFT);
		params.flags = SIOMMU_PORT_PASID;
		params.pasid = trace->pasid;
	}
	return siommu_port_create(dev, &params, port);
}

static int trace_file(const struct walk_trace *trace)
{
	int fd = memfd_create("softiommu-walk", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, trace, sizeof(*trace)) == sizeof(*trace))
		return fd;
	close(fd);
	return -ENOMEM;
}

int show_walk(struct srv *srv, const struct door_call *call)
{
	struct siommu_port *port;
	struct walk_trace *trace;
	size_t unit;
	int ret;

	trace = base_zalloc(&srv->alloc, sizeof(*trace));
	if (!trace)
		return -ENOMEM;
	ret = walk_port(srv, call, trace, &unit, &port);
	if (!ret) {
		walk_record(port, srv->built.units[unit], call->a, call->b & DOOR_WALK_ACCESS,
			    trace);
		siommu_port_destroy(port);
		ret = trace_file(trace);
	}
	base_free(&srv->alloc, trace, sizeof(*trace));
	return ret;
}

void show_keep(struct srv *srv)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out;

	if (!srv->params->keep_closed)
		return;
	out = open_memstream(&text, &bytes);
	if (!out)
		return;
	siommu_machine_show(srv->machine, out);
	fclose(out);
	pthread_mutex_lock(&srv->lock);
	free(srv->closed_text);
	srv->closed_text = text;
	srv->closed_bytes = bytes;
	pthread_mutex_unlock(&srv->lock);
}
