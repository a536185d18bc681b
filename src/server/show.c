// SPDX-License-Identifier: MIT
/*
 * The tree of contexts as text. It goes to whoever asks in a memfd: it has no
 * bound, and messages do.
 *
 * With keep_closed, each context that closes has the tree printed just before.
 * What is kept is the last one, because a program usually ends with its most
 * interesting context, and because a test may go through thousands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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
