// SPDX-License-Identifier: MIT
/*
 * A translation as a drawing: a heading for the configuration and for each
 * stage, a line for each entry that was read, and the result.
 *
 * When stage 1 is a guest's, each of its tables is at a guest physical address,
 * which stage 2 translates before the table can be read. The hardware does that
 * first; the drawing puts it below the entry that it was done for.
 */
#include <string.h>

#include "draw_walk.h"

/**
 * struct drawing - a drawing in progress
 * @trace: what is drawn
 * @out: where to
 * @colours: with colours
 * @stage: stage that the last heading was for, or -1
 */
struct drawing {
	const struct walk_trace *trace;
	FILE *out;
	bool colours;
	int stage;
};

enum colour { PLAIN, BOLD, DIM, GOOD, BAD };

static void colour(const struct drawing *d, enum colour c)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[0m", [BOLD] = "\033[1m", [DIM] = "\033[2m",
		[GOOD] = "\033[32m", [BAD] = "\033[31m",
	};

	if (d->colours)
		fputs(codes[c], d->out);
}

static const char *access_name(unsigned int access)
{
	return access & SIOMMU_DMA_WRITE ? "write" : access & SIOMMU_DMA_EXEC ? "execute" : "read";
}

static void size_text(uint64_t bytes, char *text, size_t n)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned int unit = 0;

	while (unit + 1 < sizeof(units) / sizeof(units[0]) && bytes && !(bytes % 1024)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, n, "%llu %s", (unsigned long long)bytes, units[unit]);
}

/* Is stage 1 a guest's, below a second stage? */
static bool is_nested(const struct walk_trace *trace)
{
	bool seen[3] = { false };
	uint32_t i;

	for (i = 0; i < trace->nsteps; i++) {
		if (trace->steps[i].depth)
			return true;
		seen[trace->steps[i].stage % 3] = true;
	}
	return seen[1] && seen[2];
}

static void draw_title(const struct drawing *d)
{
	const struct walk_trace *t = d->trace;

	colour(d, BOLD);
	fprintf(d->out, "%s", t->device);
	if (t->has_pasid)
		fprintf(d->out, " with PASID %u", t->pasid);
	fprintf(d->out, ": %s%s of %#llx\n", t->access & SIOMMU_DMA_PRIV ? "privileged " : "",
		access_name(t->access), (unsigned long long)t->iova);
	colour(d, PLAIN);
	if (!t->nsteps)
		return;
	colour(d, DIM);
	fprintf(d->out, "    %-22s %-2s %16s  %-16s  %s\n", "structure", "", "read from",
		"first 64 bits", "a page's access, size and address");
	colour(d, PLAIN);
}

static void draw_heading(struct drawing *d, unsigned int stage)
{
	bool nested = is_nested(d->trace);

	if (d->stage == (int)stage)
		return;
	d->stage = (int)stage;
	colour(d, BOLD);
	if (!stage)
		fputs("  configuration\n", d->out);
	else if (stage == 1)
		fputs(nested ? "  stage 1: tables of the guest, in its memory\n" : "  stage 1\n",
		      d->out);
	else
		fputs(nested ? "  stage 2: where the guest's address really is\n" : "  stage 2\n",
		      d->out);
	colour(d, PLAIN);
}

static void draw_page(const struct drawing *d, const struct walk_step *s)
{
	char size[32];

	size_text(s->bytes, size, sizeof(size));
	colour(d, GOOD);
	fprintf(d->out, "  %c%c%c%s %s -> %#llx", s->access & SIOMMU_DMA_READ ? 'r' : '-',
		s->access & SIOMMU_DMA_WRITE ? 'w' : '-', s->access & SIOMMU_DMA_EXEC ? 'x' : '-',
		s->access & SIOMMU_DMA_PRIV ? "p" : "", size, (unsigned long long)s->output);
	colour(d, PLAIN);
}

/* Columns: structure, level, address, first word, and for a page what it gives. */
static void draw_step(struct drawing *d, const struct walk_step *s)
{
	const size_t n = strlen(s->what);
	char level[16] = "";
	int indent = s->depth ? 4 : 0;

	if (s->depth)
		colour(d, DIM);
	/* A name that tells its level counts perhaps the other way. */
	if (s->stage && n && (s->what[n - 1] < '0' || s->what[n - 1] > '9'))
		snprintf(level, sizeof(level), "L%u", s->level);
	fprintf(d->out, "    %s%-*s %-2s %#16llx  %016llx", s->depth ? "|   " : "", 22 - indent,
		s->what, level, (unsigned long long)s->address, (unsigned long long)s->value);
	if (s->depth)
		colour(d, PLAIN);
	if (s->leaf)
		draw_page(d, s);
	/* It may not fit beside what is there. */
	if (*s->note && (s->leaf || strlen(s->note) > 33))
		fprintf(d->out, "\n    %s    %s", s->depth ? "|   " : "", s->note);
	else if (*s->note)
		fprintf(d->out, "  %s", s->note);
	fputc('\n', d->out);
}

/*
 * The steps from *@at on that stage 2 did for a structure, and then that
 * structure, in the other order.
 */
static void draw_group(struct drawing *d, uint32_t *at)
{
	const struct walk_trace *t = d->trace;
	uint32_t first = *at, next = first;

	while (next < t->nsteps && t->steps[next].depth)
		next++;
	if (next < t->nsteps) {
		draw_heading(d, t->steps[next].stage);
		draw_step(d, &t->steps[next]);
	} else {
		fputs("    the next of them, which cannot be read:\n", d->out);
	}
	for (; first < next; first++)
		draw_step(d, &t->steps[first]);
	*at = next + 1;
}

static void draw_result(const struct drawing *d)
{
	bool page = false;
	uint32_t i;

	for (i = 0; i < d->trace->nsteps; i++)
		page |= d->trace->steps[i].leaf && !d->trace->steps[i].depth;
	colour(d, GOOD);
	fprintf(d->out, "  => %#llx%s\n", (unsigned long long)d->trace->hpa,
		page ? "" : ", through no page table");
	colour(d, PLAIN);
}

static void draw_fault(const struct drawing *d)
{
	const struct siommu_fault *f = &d->trace->fault;

	colour(d, BAD);
	fprintf(d->out, "  fault %#x%s%s: %s of %#llx refused\n", f->reason,
		*d->trace->reason ? ", " : "", d->trace->reason, access_name(f->access),
		(unsigned long long)f->iova);
	colour(d, PLAIN);
	if (f->flags & SIOMMU_FAULT_STAGE2)
		fprintf(d->out, "    by stage 2, at %#llx\n", (unsigned long long)f->ipa);
	if (f->flags & SIOMMU_FAULT_STALLED)
		fputs("    the request would wait for an answer\n", d->out);
	else if (f->flags & SIOMMU_FAULT_RECOVERABLE)
		fputs("    a page request may help\n", d->out);
	if (f->flags & SIOMMU_FAULT_SILENT)
		fputs("    the hardware does not record it\n", d->out);
}

void draw_walk(const struct walk_trace *trace, bool colours, FILE *out)
{
	struct drawing d = { .trace = trace, .out = out, .colours = colours, .stage = -1 };
	uint32_t at = 0;

	draw_title(&d);
	while (at < trace->nsteps)
		draw_group(&d, &at);
	if (trace->lost)
		fprintf(out, "    and %u more steps\n", trace->lost);
	if (trace->faulted)
		draw_fault(&d);
	else
		draw_result(&d);
}
