// SPDX-License-Identifier: MIT
/*
 * Machines: creation, accounts, and the groups that devices are in.
 */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <softiommu/device.h>
#include <softiommu/machine.h>
#include <softiommu/model.h>

#include "core/ctx.h"
#include "core/device.h"
#include "core/machine.h"
#include "iommu/mock.h"
#include "iommu/models.h"
#include "iommu/none.h"
#include "iommu/plugin.h"

/* Read parameters of a caller that may be older or newer than this library. */
static int read_params(const struct siommu_machine_params *from, struct siommu_machine_params *to)
{
	memset(to, 0, sizeof(*to));
	if (!from)
		return 0;
	if (from->size < offsetofend(struct siommu_machine_params, quota))
		return -EINVAL;
	memcpy(to, from, min_u64(from->size, sizeof(*to)));
	if (to->iommu_2020 > SIOMMU_2020_FUTURE ||
	    (to->iommu_2020 == SIOMMU_2020_FUTURE && !to->test_interface))
		return -EINVAL;
	return 0;
}

/* As the kernel's: ten seconds, unless somebody says otherwise. */
static unsigned int prq_timeout(unsigned int ms)
{
	return ms == SIOMMU_PRQ_FOREVER ? 0 : ms ? ms : 10000;
}

int siommu_machine_create(const struct siommu_machine_params *params, struct siommu_machine **out)
{
	struct siommu_machine_params p;
	struct siommu_machine *m;
	int rc;

	rc = read_params(params, &p);
	if (rc)
		return rc;
	/* The account of the machine is inside it, so it cannot pay for itself. */
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->alloc.should_fail = p.should_fail;
	m->alloc.should_fail_arg = p.should_fail_arg;
	m->log.fn = p.log;
	m->log.arg = p.log_arg;
	m->log.level = p.log_level;
	m->quota = p.quota;
	m->test_interface = p.test_interface;
	m->iommu_2020 = p.iommu_2020;
	m->prq_timeout_ms = prq_timeout(p.prq_timeout_ms);
	core_pasid_space_init(&m->pasids, p.pasid_quota ? p.pasid_quota : CORE_PASID_QUOTA);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->fds_lock, NULL);
	LIST_INIT(&m->fds);
	LIST_INIT(&m->contexts);
	TAILQ_INIT(&m->groups);
	TAILQ_INIT(&m->units);
	LIST_INIT(&m->plugins);
	mem_host_init(&m->host, &m->alloc, &m->log);
	rc = none_unit_create(&m->host, &m->none);
	if (!rc && m->test_interface)
		rc = mock_unit_create(&m->host, &m->mock);
	if (rc) {
		siommu_machine_destroy(m);
		return rc;
	}
	*out = m;
	return 0;
}

static void plugins_end(struct siommu_machine *m)
{
	struct plugin *plugin, *next;

	LIST_FOREACH_SAFE(plugin, &m->plugins, link, next)
		plugin_destroy(plugin);
}

void siommu_machine_destroy(struct siommu_machine *m)
{
	unsigned int i;
	size_t left;

	if (!m)
		return;
	if (m->bus)
		m->bus_end(m->bus);
	for (i = 0; i < ARRAY_SIZE(m->spaces); i++)
		if (m->spaces[i])
			mem_space_put(m->spaces[i]);
	plugins_end(m);
	none_unit_destroy(m->none);
	mock_unit_destroy(m->mock);
	mem_host_destroy(&m->host);
	core_pasid_space_destroy(&m->pasids);
	pthread_mutex_destroy(&m->fds_lock);
	pthread_mutex_destroy(&m->lock);
	left = atomic_load(&m->alloc.blocks);
	if (left)
		base_log(&m->log, LOG_ERR, "machine: %zu blocks are left of it", left);
	free(m);
}

void siommu_machine_used(struct siommu_machine *m, size_t *bytes, size_t *blocks)
{
	struct core_ctx *ctx;
	size_t b, n;

	b = atomic_load(&m->alloc.bytes);
	n = atomic_load(&m->alloc.blocks);
	pthread_mutex_lock(&m->lock);
	LIST_FOREACH(ctx, &m->contexts, link) {
		b += atomic_load(&ctx->alloc.bytes);
		n += atomic_load(&ctx->alloc.blocks);
	}
	pthread_mutex_unlock(&m->lock);
	if (bytes)
		*bytes = b;
	if (blocks)
		*blocks = n;
}

static const struct iommu_model *const models[] = {
	&amd_model,
	&smmuv3_model,
	&vtd_model,
};

static const struct iommu_model *model_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(models); i++)
		if (!strcmp(models[i]->name, name))
			return models[i];
	return NULL;
}

/* Context: m->lock. */
static struct plugin *plugin_find(struct siommu_machine *m, const char *name)
{
	struct plugin *plugin;

	LIST_FOREACH(plugin, &m->plugins, link)
		if (!strcmp(plugin->model.name, name))
			return plugin;
	return NULL;
}

int siommu_model_register(struct siommu_machine *m, const struct siommu_model *model)
{
	struct plugin *plugin;
	int rc;

	rc = plugin_create(&m->alloc, model, &plugin);
	if (rc)
		return rc;
	pthread_mutex_lock(&m->lock);
	if (model_find(plugin->model.name) || plugin_find(m, plugin->model.name))
		rc = -EEXIST;
	else
		LIST_INSERT_HEAD(&m->plugins, plugin, link);
	pthread_mutex_unlock(&m->lock);
	if (rc)
		plugin_destroy(plugin);
	return rc;
}

/* A unit of one of the library's models, or of one that was registered. */
static int unit_new(struct siommu_machine *m, const char *name, const char *options, char *error,
		    size_t n, struct iommu_unit **out)
{
	const struct iommu_model *model = model_find(name);
	struct plugin *plugin;

	if (model)
		return model->unit_create(&m->host, options, error, n, out);
	pthread_mutex_lock(&m->lock);
	plugin = plugin_find(m, name);
	pthread_mutex_unlock(&m->lock);
	if (!plugin)
		return -EOPNOTSUPP;
	return plugin_unit_create(plugin, &m->host, options, error, n, out);
}

int siommu_unit_create(struct siommu_machine *m, const struct siommu_unit_params *params,
		       char *error, size_t n, struct siommu_unit **out)
{
	struct siommu_unit_params p = { 0 };
	struct siommu_unit *unit;
	char line[256];
	int rc;

	if (params->size < offsetofend(struct siommu_unit_params, model))
		return -EINVAL;
	memcpy(&p, params, min_u64(params->size, sizeof(p)));
	if (!p.model)
		return -EOPNOTSUPP;
	unit = base_zalloc(&m->alloc, sizeof(*unit));
	if (!unit)
		return -ENOMEM;
	snprintf(line, sizeof(line), "the model refuses these options");
	rc = unit_new(m, p.model, p.options ? p.options : "", line, sizeof(line), &unit->unit);
	if (rc) {
		if (error && n)
			snprintf(error, n, "%s", line);
		base_free(&m->alloc, unit, sizeof(*unit));
		return rc;
	}
	snprintf(unit->unit->name, sizeof(unit->unit->name), "%s", p.name ? p.name : p.model);
	unit->machine = m;
	pthread_mutex_lock(&m->lock);
	TAILQ_INSERT_TAIL(&m->units, unit, link);
	pthread_mutex_unlock(&m->lock);
	*out = unit;
	return 0;
}

void siommu_unit_destroy(struct siommu_unit *unit)
{
	struct siommu_machine *m;

	if (!unit)
		return;
	m = unit->machine;
	pthread_mutex_lock(&m->lock);
	TAILQ_REMOVE(&m->units, unit, link);
	pthread_mutex_unlock(&m->lock);
	unit->unit->ops->unit_destroy(unit->unit);
	base_free(&m->alloc, unit, sizeof(*unit));
}

unsigned int siommu_unit_faults(struct siommu_unit *unit, struct siommu_fault *faults,
				unsigned int n, uint64_t *count)
{
	u64 all;
	unsigned int have = iommu_faults(unit->unit, faults, n, &all);

	if (count)
		*count = all;
	return have;
}

const char *siommu_fault_text(const struct siommu_unit *unit, uint32_t reason)
{
	const struct iommu_ops *ops = unit->unit->ops;

	return ops->reason_name ? ops->reason_name(reason) : NULL;
}

void siommu_model_help(FILE *out)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(models); i++)
		fprintf(out, "%s: %s\n%s", models[i]->name, models[i]->summary,
			models[i]->options);
}

struct mem_host *machine_host(struct siommu_machine *m)
{
	return &m->host;
}

int machine_space(struct siommu_machine *m, bool checked, struct mem_space **out)
{
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	if (!m->spaces[checked])
		rc = mem_space_self(&m->host, checked, &m->spaces[checked]);
	*out = m->spaces[checked];
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static struct siommu_group *group_find(struct siommu_machine *m, u32 number)
{
	struct siommu_group *g;

	TAILQ_FOREACH(g, &m->groups, link)
		if (g->group.id == number)
			return g;
	return NULL;
}

int machine_group_get(struct siommu_machine *m, u32 number, struct siommu_group **out)
{
	struct siommu_group *g = NULL;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	if (number) {
		g = group_find(m, number);
	} else {
		do {
			number = MACHINE_OWN_GROUPS | m->next_group++;
		} while (group_find(m, number));
	}
	if (!g) {
		g = base_zalloc(&m->alloc, sizeof(*g));
		if (!g) {
			rc = -ENOMEM;
			goto out;
		}
		iommu_group_init(&g->group, number);
		TAILQ_INSERT_TAIL(&m->groups, g, link);
	}
	g->devices++;
	*out = g;
out:
	pthread_mutex_unlock(&m->lock);
	return rc;
}

void machine_group_put(struct siommu_machine *m, struct siommu_group *g)
{
	pthread_mutex_lock(&m->lock);
	if (!--g->devices) {
		TAILQ_REMOVE(&m->groups, g, link);
		iommu_group_destroy(&g->group);
		base_free(&m->alloc, g, sizeof(*g));
	}
	pthread_mutex_unlock(&m->lock);
}
