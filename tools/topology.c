// SPDX-License-Identifier: MIT
/*
 * IOMMUs and devices as words: --iommu on the command line, and topology files
 * (docs/topology.md). device.c has what is said of devices, and --device.
 *
 * A file is an INI file. Its reader, inih, tells neither line numbers nor
 * sections without lines, so we give it its lines ourselves and count them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "topology.h"

/* Longer lines inih would cut in two. */
#define MAX_LINE 190

/* What --model looks for in a shared object. */
#define MODEL_SYMBOL "siommu_model"

void print_models(const struct topology *t, FILE *out)
{
	const struct siommu_model *model;
	size_t i;

	fputs("mock: the kernel's test interface (IOMMU_TEST_CMD) and its IOMMU; no options\n",
	      out);
	siommu_model_help(out);
	for (i = 0; i < t->nmodels; i++) {
		model = t->models[i].model;
		fprintf(out, "%s: %s\n%s", model->name, model->summary, model->options);
	}
}

/* What is printed of it before a machine has looked at it. */
static bool can_be_shown(const struct siommu_model *model)
{
	return model->size >= offsetof(struct siommu_model, ops) && model->name && model->summary &&
	       model->options;
}

static int load_model(struct topology *t, const char *path)
{
	struct topology_model *m = topology_add_model(t);
	/* Without a slash it would be looked for among the system's libraries. */
	char *file = print("%s%s", strchr(path, '/') ? "" : "./", path);

	m->where = print("--model %s", path);
	m->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	free(file);
	if (!m->handle)
		return complain("%s: cannot load it: %s", m->where, dlerror());
	m->model = dlsym(m->handle, MODEL_SYMBOL);
	if (!m->model || !can_be_shown(m->model))
		return complain("%s: it has no \"const struct siommu_model " MODEL_SYMBOL
				"\": see softiommu/model.h",
				m->where);
	return 0;
}

int topology_load_models(struct topology *t, char *const *paths)
{
	int ret = 0;

	for (; paths && *paths && !ret; paths++)
		ret = load_model(t, *paths);
	return ret;
}

bool parse_number(const char *text, uint64_t *value)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
	}
	if (errno || *end || *value > UINT64_MAX >> shift)
		return false;
	*value <<= shift;
	return true;
}

void out_of_memory(void)
{
	complain("out of memory");
	exit(1);
}

char *print(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	return text;
}

static bool is_taken(const struct topology *t, enum kind kind, const char *name)
{
	size_t i;

	for (i = 0; kind == KIND_UNIT && i < t->nunits; i++)
		if (!strcmp(t->units[i].name, name))
			return true;
	for (i = 0; kind == KIND_DEVICE && i < t->ndevices; i++)
		if (!strcmp(t->devices[i].name, name))
			return true;
	return false;
}

void name_freely(const struct topology *t, enum kind kind, const char *stem, char *to)
{
	char name[TOPOLOGY_NAME];
	unsigned int i = 0;

	do {
		snprintf(name, sizeof(name), "%s%u", stem, i++);
	} while (is_taken(t, kind, name));
	memcpy(to, name, sizeof(name));
}

int topology_add_option(struct topology *t, const char *text, bool device)
{
	const size_t n = strcspn(text, ",");
	struct topology_device *d;
	struct topology_unit *u;
	size_t index = t->nunits;

	u = topology_add_unit(t);
	u->where = print("--iommu %s", text);
	u->model = print("%.*s", (int)n, text);
	u->options = print("%s", text[n] ? text + n + 1 : "");
	name_freely(t, KIND_UNIT, "iommu", u->name);
	if (!device)
		return 0;
	d = topology_add_device(t);
	d->where = print("%s", u->where);
	d->unit = index;
	d->best = true;
	/* 00:02.0, and one further for each. */
	d->params.requester = (uint32_t)(2 + index) << 3;
	name_freely(t, KIND_DEVICE, "dev", d->name);
	return 0;
}

int topology_check(const struct topology *t)
{
	struct siommu_machine *machine;
	struct topology_built built;
	char error[TOPOLOGY_ERROR];
	int rc;

	if (!t->nunits && !t->nmodels)
		return 0;
	rc = siommu_machine_create(NULL, &machine);
	if (rc)
		return complain("cannot make a machine: %s", strerror(-rc));
	rc = topology_build(machine, t, &built, error);
	if (rc)
		complain("%s", error);
	else
		topology_unbuild(&built);
	siommu_machine_destroy(machine);
	return rc ? EXIT_USAGE : 0;
}

/**
 * struct reading - a file that is being read
 * @t: what it becomes
 * @path: its name
 * @file: it
 * @line: number of the line that was read last
 * @header: number of the line with the section that we are in
 * @begun: the header that @kind and the items below are of
 * @kind: kind of that section
 * @first_unit: units before it are not of this file
 * @first_device: likewise
 * @refs: for each device of the file, the name of its unit
 * @failed: a complaint was made
 */
struct reading {
	struct topology *t;
	const char *path;
	FILE *file;
	unsigned int line;
	unsigned int header;
	unsigned int begun;
	enum kind kind;
	size_t first_device;
	char (*refs)[TOPOLOGY_NAME];
	bool failed;
};

__attribute__((format(printf, 3, 4))) static int fail_at(struct reading *r, unsigned int line,
							 const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* One line is enough: what follows is often wrong for the same reason. */
	if (!r->failed)
		complain("%s:%u: %s", r->path, line, text);
	r->failed = true;
	return 0;
}

static bool is_name(const char *name)
{
	size_t n = strlen(name);

	return n && n < TOPOLOGY_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") ==
		       n;
}

static void begin_unit(struct reading *r, const char *name)
{
	struct topology_unit *u = topology_add_unit(r->t);

	u->where = print("%s:%u", r->path, r->header);
	snprintf(u->name, sizeof(u->name), "%s", name);
}

static void begin_device(struct reading *r, const char *name)
{
	struct topology_device *d = topology_add_device(r->t);
	size_t n = r->t->ndevices - r->first_device;

	d->where = print("%s:%u", r->path, r->header);
	snprintf(d->name, sizeof(d->name), "%s", name);
	r->refs = reallocarray(r->refs, n, sizeof(*r->refs));
	if (!r->refs)
		out_of_memory();
	r->refs[n - 1][0] = '\0';
}

/* Return: 0 with a complaint, as inih wants it; otherwise 1. */
static int begin_section(struct reading *r, const char *section)
{
	const char *name = section + strcspn(section, " \t");

	name += strspn(name, " \t");
	if (!strncmp(section, "unit ", 5))
		r->kind = KIND_UNIT;
	else if (!strncmp(section, "device ", 7))
		r->kind = KIND_DEVICE;
	else
		return fail_at(r, r->header ? r->header : r->line,
			       "\"[%s]\" is no section: begin with [unit NAME] or [device NAME]",
			       section);
	if (!is_name(name))
		return fail_at(r, r->header,
			       "\"%s\" cannot be a name: give 1 to %d letters, digits and any of "
			       "- _ . :",
			       name, TOPOLOGY_NAME - 1);
	if (is_taken(r->t, r->kind, name))
		return fail_at(r, r->header, "there is a %s \"%s\" already: give another name",
			       r->kind == KIND_UNIT ? "unit" : "device", name);
	if (r->kind == KIND_UNIT)
		begin_unit(r, name);
	else
		begin_device(r, name);
	return 1;
}

static int set_text(struct reading *r, char **to, const char *key, const char *value)
{
	if (*to)
		return fail_at(r, r->line, "%s= is given already: leave one out", key);
	*to = print("%s", value);
	return 1;
}

static int unit_line(struct reading *r, const char *key, const char *value)
{
	struct topology_unit *u = &r->t->units[r->t->nunits - 1];

	if (!strcmp(key, "model"))
		return set_text(r, &u->model, key, value);
	if (!strcmp(key, "options"))
		return set_text(r, &u->options, key, value);
	return fail_at(r, r->line, "a unit has no \"%s\": give model= or options=", key);
}

/* A file that a line names is looked for beside the file that has the line. */
static int add_options(struct reading *r, struct topology_device *d, const char *value)
{
	const char *slash = strrchr(r->path, '/');
	char *base = slash ? print("%.*s", (int)(slash - r->path), r->path) : print(".");
	char *full = realpath(*base ? base : "/", NULL);
	char *list = print("%s", value), *at = list, *option;

	while ((option = strsep(&at, ","))) {
		option += strspn(option, " \t");
		if (*option)
			device_add_option(d, option, full ? full : base);
	}
	free(list);
	free(full);
	free(base);
	return 1;
}

static int device_line(struct reading *r, const char *key, const char *value)
{
	struct topology_device *d = &r->t->devices[r->t->ndevices - 1];
	char *ref = r->refs[r->t->ndevices - 1 - r->first_device];
	char error[TOPOLOGY_ERROR];
	bool known;

	if (!strcmp(key, "unit")) {
		snprintf(ref, TOPOLOGY_NAME, "%s", value);
		return 1;
	}
	if (!strcmp(key, "model"))
		return set_text(r, &d->model, key, value);
	if (!strcmp(key, "options"))
		return add_options(r, d, value);
	if (!device_set(d, key, value, &known, error))
		return fail_at(r, r->line, "%s", error);
	return known ||
	       fail_at(r, r->line,
		       "a device has no \"%s\": give unit=, model=, options=, address=, requester=, "
		       "group=, pasid=, ats=, page-requests=, stall= or reserve=",
		       key);
}

/* inih's handler: one line with a "=". */
static int take_line(void *arg, const char *section, const char *key, const char *value)
{
	struct reading *r = arg;

	if (r->failed)
		return 0;
	if (r->begun != r->header || !r->header) {
		if (!begin_section(r, section))
			return 0;
		r->begun = r->header;
	}
	return r->kind == KIND_UNIT ? unit_line(r, key, value) : device_line(r, key, value);
}

/* inih's reader. It takes an indented line for more of the one before: we do not. */
static char *give_line(char *to, int n, void *arg)
{
	struct reading *r = arg;
	char *line = NULL, *text;
	size_t room = 0;
	ssize_t len;

	len = getline(&line, &room, r->file);
	if (len < 0 || r->failed) {
		free(line);
		return NULL;
	}
	r->line++;
	text = line + strspn(line, " \t");
	if (len > MAX_LINE || len >= n) {
		fail_at(r, r->line, "the line is longer than %d bytes: shorten it", MAX_LINE);
		text[0] = '\0';
	}
	if (*text == '[') {
		if (r->header != r->begun)
			fail_at(r, r->header, "the section is empty: give it lines, or remove it");
		r->header = r->line;
	}
	snprintf(to, (size_t)n, "%s", text);
	free(line);
	return to;
}

static bool find_unit(const struct topology *t, const char *name, size_t *index)
{
	for (*index = 0; *index < t->nunits; (*index)++)
		if (!strcmp(t->units[*index].name, name))
			return true;
	return false;
}

static int check_pair(const struct topology_device *a, const struct topology_device *b)
{
	if (a->params.requester == b->params.requester &&
	    (a->unit == b->unit || (a->model && b->model && a->segment == b->segment)))
		return complain("%s: requester %#x is that of device \"%s\" already: give another "
				"address",
				a->where, a->params.requester, b->name);
	if (a->unit != b->unit && a->params.group && a->params.group == b->params.group)
		return complain("%s: group %u has device \"%s\", which is behind another unit: "
				"give another number",
				a->where, a->params.group, b->name);
	return 0;
}

int check_pairs(const struct topology *t, size_t index)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < index && !ret; i++)
		ret = check_pair(&t->devices[index], &t->devices[i]);
	return ret;
}

static int check_device(const struct reading *r, size_t index)
{
	struct topology_device *d = &r->t->devices[index];
	const char *ref = r->refs[index - r->first_device];

	if (!*ref)
		return complain("%s: which IOMMU is device \"%s\" behind? Give unit=NAME", d->where,
				d->name);
	if (!find_unit(r->t, ref, &d->unit))
		return complain("%s: there is no unit \"%s\": give [unit %s] a section", d->where,
				ref, ref);
	if (d->options && !d->model)
		return complain("%s: options= are of a model: give model=nvme, ioat, dsa, igb or edu",
				d->where);
	return check_pairs(r->t, index);
}

/* What can be said only when all is known. */
static int check_all(const struct reading *r)
{
	size_t i;
	int ret = 0;

	if (r->header != r->begun)
		return complain("%s:%u: the section is empty: give it lines, or remove it", r->path,
				r->header);
	for (i = 0; i < r->t->nunits && !ret; i++)
		if (!r->t->units[i].model)
			ret = complain("%s: which model is unit \"%s\"? Give model=vtd, smmuv3 or "
				       "amd",
				       r->t->units[i].where, r->t->units[i].name);
	for (i = r->first_device; i < r->t->ndevices; i++)
		if (r->t->devices[i].model)
			device_is_function(r->t, &r->t->devices[i]);
	for (i = r->first_device; i < r->t->ndevices && !ret; i++)
		ret = check_device(r, i);
	return ret;
}

int topology_read(struct topology *t, const char *path)
{
	struct reading r = { .t = t, .path = path, .first_device = t->ndevices };
	int ret, line;

	r.file = fopen(path, "re");
	if (!r.file)
		return complain("--topology %s: %s", path, strerror(errno));
	line = ini_parse_stream(give_line, &r, take_line, &r);
	fclose(r.file);
	ret = r.failed ? EXIT_USAGE : 0;
	if (!ret && line)
		ret = complain("%s:%d: give [SECTION] or NAME=VALUE, or begin a comment with #",
			       path, line);
	if (!ret)
		ret = check_all(&r);
	free(r.refs);
	return ret;
}
