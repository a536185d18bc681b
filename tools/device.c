// SPDX-License-Identifier: MIT
/*
 * What can be said of a device, the same in a topology file, a line each, and
 * behind --device, separated by commas. What is not said here of a PCI function
 * goes to its model.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topology.h"

/* The IOMMU of who asks for devices and says nothing of an IOMMU. */
#define DEFAULT_IOMMU "vtd"

static __attribute__((format(printf, 2, 3))) bool wrong(char *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, TOPOLOGY_ERROR, fmt, ap);
	va_end(ap);
	return false;
}

/* [SEGMENT:]BUS:DEVICE.FUNCTION, or a number. */
static bool parse_requester(const char *text, unsigned int *segment, uint32_t *value)
{
	unsigned int bus, dev, fn;
	uint64_t number;
	int n = -1;

	*segment = 0;
	if (sscanf(text, "%4x:%2x:%2x.%1x%n", segment, &bus, &dev, &fn, &n) < 4 || n < 0 ||
	    text[n]) {
		n = -1;
		*segment = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &dev, &fn, &n) < 3 || n < 0 || text[n]) {
			if (!parse_number(text, &number) || number > UINT32_MAX)
				return false;
			*value = (uint32_t)number;
			return true;
		}
	}
	*value = bus << 8 | dev << 3 | fn;
	return dev < 32 && fn < 8;
}

static bool set_requester(struct topology_device *d, const char *key, const char *value,
			  char *error)
{
	unsigned int segment;
	uint32_t requester;

	if (!parse_requester(value, &segment, &requester))
		return wrong(error, "%s=%s: give 00:02.0, 0000:00:02.0 or a number", key, value);
	d->segment = segment;
	d->params.requester = requester;
	d->given |= TOPOLOGY_REQUESTER;
	return true;
}

static bool set_switch(struct topology_device *d, bool *to, unsigned int given, const char *key,
		       const char *value, char *error)
{
	d->given |= given;
	*to = !strcmp(value, "on");
	if (*to || !strcmp(value, "off"))
		return true;
	return wrong(error, "%s=%s: give on or off", key, value);
}

static bool set_pasid(struct topology_device *d, const char *value, char *error)
{
	uint64_t bits;

	if (!parse_number(value, &bits))
		return wrong(error, "pasid=%s is no number", value);
	if (bits > 20)
		return wrong(error, "pasid=%s: give a width in bits, 0 to 20", value);
	d->params.pasid_bits = (unsigned int)bits;
	d->given |= TOPOLOGY_PASID;
	return true;
}

static bool set_group(struct topology_device *d, const char *value, char *error)
{
	uint64_t group;

	if (!parse_number(value, &group))
		return wrong(error, "group=%s is no number", value);
	if (!group || group >= (uint64_t)1 << 31)
		return wrong(error,
			     "group=%s: give a number from 1 to 0x7fffffff, or leave it out for a "
			     "group of its own",
			     value);
	d->params.group = (uint32_t)group;
	return true;
}

static bool add_reserved(struct topology_device *d, const char *value, char *error)
{
	struct topology_range range;
	char *text = print("%s", value), *dash = strchr(text, '-');
	bool good = false;

	if (dash) {
		*dash = '\0';
		good = parse_number(text, &range.start) && parse_number(dash + 1, &range.last) &&
		       range.start <= range.last;
	}
	free(text);
	if (!good)
		return wrong(error,
			     "reserve=%s: give the first and the last address, as in "
			     "reserve=0x1000-0x1fff",
			     value);
	d->reserved = reallocarray(d->reserved, d->nreserved + 1, sizeof(*d->reserved));
	if (!d->reserved)
		out_of_memory();
	d->reserved[d->nreserved++] = range;
	return true;
}

bool device_set(struct topology_device *d, const char *key, const char *value, bool *known,
		char *error)
{
	*known = true;
	if (!strcmp(key, "requester") || !strcmp(key, "address"))
		return set_requester(d, key, value, error);
	if (!strcmp(key, "group"))
		return set_group(d, value, error);
	if (!strcmp(key, "pasid"))
		return set_pasid(d, value, error);
	if (!strcmp(key, "ats"))
		return set_switch(d, &d->params.ats, TOPOLOGY_ATS, key, value, error);
	if (!strcmp(key, "page-requests"))
		return set_switch(d, &d->params.page_requests, TOPOLOGY_PAGE_REQUESTS, key, value,
				  error);
	if (!strcmp(key, "stall"))
		return set_switch(d, &d->params.stall, 0, key, value, error);
	if (!strcmp(key, "reserve"))
		return add_reserved(d, value, error);
	*known = false;
	return true;
}

/* Where the path begins in file=PATH, file2=PATH and so on; NULL in other options. */
static const char *path_in(const char *option)
{
	const char *at = strncmp(option, "file", 4) ? option : option + 4;

	if (at == option)
		return NULL;
	at += strspn(at, "0123456789");
	return *at == '=' && at[1] ? at + 1 : NULL;
}

void device_add_option(struct topology_device *d, const char *option, const char *base)
{
	const char *path = path_in(option);
	char *old = d->options;

	/* The server is not where we are. */
	if (path && *path != '/')
		d->options = print("%s%s%.*s%s/%s", old ? old : "", old ? "," : "",
				   (int)(path - option), option, base, path);
	else
		d->options = print("%s%s%s", old ? old : "", old ? "," : "", option);
	free(old);
}

/* The first from 00:02.0 on that nobody has, whichever IOMMU he is behind: there is one bus. */
static uint32_t free_requester(const struct topology *t)
{
	uint32_t requester = 2 << 3;
	size_t i = 0;

	while (i < t->ndevices) {
		if (t->devices[i++].params.requester != requester)
			continue;
		requester += 8;
		i = 0;
	}
	return requester;
}

void device_is_function(const struct topology *t, struct topology_device *d)
{
	if (!(d->given & TOPOLOGY_REQUESTER))
		d->params.requester = free_requester(t);
	/* It has an address: the IOMMU has to take its number as it is. */
	d->given |= TOPOLOGY_REQUESTER;
	d->best = true;
}

static bool set_unit(struct topology *t, struct topology_device *d, const char *name, char *error)
{
	size_t i;

	for (i = 0; i < t->nunits; i++) {
		if (!strcmp(t->units[i].name, name)) {
			d->unit = i;
			return true;
		}
	}
	return wrong(error,
		     "iommu=%s: there is no such IOMMU: give iommu0 for the first --iommu, "
		     "iommu1 for the second, or a [unit NAME] of the topology file",
		     name);
}

/* One "name=value", or what the model makes of it. */
static bool take_option(struct topology *t, struct topology_device *d, char *text,
			const char *here, char *error)
{
	char *equals = strchr(text, '=');
	bool known = false, good = true;

	if (!*text)
		return true;
	if (!equals)
		return wrong(error, "\"%s\": give NAME=VALUE", text);
	*equals = '\0';
	if (!strcmp(text, "iommu"))
		return set_unit(t, d, equals + 1, error);
	good = device_set(d, text, equals + 1, &known, error);
	*equals = '=';
	if (!known)
		device_add_option(d, text, here);
	return good;
}

static int add_device(struct topology *t, const char *text, size_t unit)
{
	const size_t n = strcspn(text, ",:");
	char *list = print("%s", text[n] ? text + n + 1 : ""), *at = list, *option;
	char here[PATH_MAX], error[TOPOLOGY_ERROR];
	struct topology_device *d = topology_add_device(t);
	bool good = true;

	d->where = print("--device %s", text);
	d->model = print("%.*s", (int)n, text);
	d->unit = unit;
	name_freely(t, KIND_DEVICE, n && n < TOPOLOGY_NAME - 10 ? d->model : "dev", d->name);
	if (!getcwd(here, sizeof(here)))
		strcpy(here, "/");
	while (good && (option = strsep(&at, ",")))
		good = take_option(t, d, option, here, error);
	free(list);
	if (!good)
		return complain("%s: %s", d->where, error);
	device_is_function(t, d);
	return check_pairs(t, t->ndevices - 1);
}

int topology_add_devices(struct topology *t, char *const *devices, size_t unit)
{
	int ret = 0;

	if (!devices || !*devices)
		return 0;
	if (!t->nunits)
		ret = topology_add_option(t, DEFAULT_IOMMU, false);
	if (unit >= t->nunits)
		unit = 0;
	for (; *devices && !ret; devices++)
		ret = add_device(t, *devices, unit);
	return ret;
}

void print_devices(FILE *out)
{
	siommu_pci_help(out);
	fputs("\n"
	      "Every device also takes, as in --device edu:address=0000:00:05.0,pasid=8\n"
	      "  address=[DDDD:]BB:DD.F  where it is (default: the next free one from 00:02.0)\n"
	      "  iommu=NAME              the IOMMU it is behind: iommu0 is the first --iommu\n"
	      "                          (the default), iommu1 the second; or one of a topology\n"
	      "                          file\n"
	      "  group=N                 devices with the same number cannot be told apart by\n"
	      "                          their IOMMU (default: a group of its own)\n"
	      "  pasid=BITS              width of its PASIDs, 0 to 20 (default: what the IOMMU\n"
	      "                          allows)\n"
	      "  ats=on|off              it keeps translations (default: if the IOMMU allows)\n"
	      "  page-requests=on|off    it asks for pages; needs ats (default: if the IOMMU\n"
	      "                          allows)\n"
	      "  reserve=FIRST-LAST      addresses that it cannot use\n",
	      out);
}
