// SPDX-License-Identifier: MIT
/*
 * The configuration space of every model, as it is and with all that a driver can switch
 * on, is decoded by the real lspci, which must find nothing odd.
 */
#include <fcntl.h>
#include <unistd.h>

#include "edu_rig.h"

#define MAX_TEXT 65536

/* What lspci says where it does not understand, or does not believe, what it reads. */
static const char *const complaints[] = {
	"???",	   "<access denied>", "<chain broken>", "<chain looped>", "<ignored>", "Reserved",
	"Unknown", "[virtual]",	      "unreadable",	"lspci:",	  "!!!",       "rev ff",
};

/* As lspci -xxxx prints it, and -F reads it. */
static void dump(struct pci_func *func, const char *path)
{
	u8 config[PCI_CONFIG_BYTES];
	unsigned int i, n = func->desc.conventional ? 256 : 4096;
	FILE *f = fopen(path, "w");

	ASSERT_TRUE(f);
	pci_config_read(func, 0, config, sizeof(config));
	/* What vfio shows of a virtual function. */
	if (func->desc.vf)
		memcpy(config, &(u16[]){ func->desc.vendor, func->desc.device }, 4);
	fprintf(f, "00:02.0 Device\n");
	for (i = 0; i < n; i++)
		fprintf(f, "%s%02x%s", i % 16 ? " " : (fprintf(f, "%02x: ", i), ""), config[i],
			i % 16 == 15 ? "\n" : "");
	fprintf(f, "\n");
	EXPECT_EQ(0, fclose(f));
}

static char text[MAX_TEXT];

static void decode(struct pci_func *func, const char *what)
{
	char path[] = "/tmp/lspci-test-XXXXXX", command[128];
	int fd = mkstemp(path);
	unsigned int i;
	size_t n;
	FILE *f;

	ASSERT_TRUE(fd >= 0);
	close(fd);
	dump(func, path);
	snprintf(command, sizeof(command), "lspci -F %s -vvv -nn 2>&1 | grep -v libkmod", path);
	f = popen(command, "r");
	ASSERT_TRUE(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	EXPECT_EQ(0, pclose(f));
	unlink(path);
	EXPECT_TRUE(strstr(text, "00:02.0"));
	for (i = 0; i < ARRAY_SIZE(complaints); i++) {
		if (strstr(text, complaints[i]))
			unit_fail(__FILE__, __LINE__, "%s: lspci says \"%s\"", what, complaints[i]);
	}
}

static void need_lspci(void)
{
	if (system("lspci --version >/dev/null 2>&1"))
		SKIP("no lspci here (Debian package pciutils)");
}

static void set_up(struct pci_func *func)
{
	unsigned int i;
	u32 base;

	/* Below 4 GiB: reading a dump, lspci takes the upper half of an address for a BAR. */
	func_on(func);
	for (i = 0; i < PCI_BARS; i++) {
		base = 0xe0000000u + i * 0x1000000;
		pci_config_write(func, PCI_BASE_ADDRESS_0 + i * 4, &base, 4);
		i += func->desc.bars[i].is_64;
	}
	pci_irq_set_mode(func, func->desc.msix_vectors ? PCI_IRQ_MSIX : PCI_IRQ_MSI, 4);
}

/* Each model with the options that it needs to be made without a file. */
static const char *options_of(const char *model)
{
	return strcmp(model, "nvme") ? "" : "size=1M";
}

static void decode_model(const struct pci_model *model)
{
	struct pci_params params = edu_params(r.dev, options_of(model->name));
	struct pci_func *func, *vf;

	if (model->create(&params, &func)) {
		unit_fail(__FILE__, __LINE__, "%s: %s", model->name, error);
		return;
	}
	decode(func, model->name);
	set_up(func);
	decode(func, model->name);
	/* A virtual function says nothing of its link, and has no addresses of its own. */
	EXPECT_TRUE(!strstr(text, "unassigned") && !strstr(text, "downgraded"));
	if (func->ops->vf_create) {
		params.options = "";
		ASSERT_OK(func->ops->vf_create(func, 0, &params, &vf));
		set_up(vf);
		decode(vf, model->name);
		pci_func_destroy(vf);
	}
	pci_func_destroy(func);
}

TEST(every_model_is_decoded)
{
	unsigned int i;

	need_lspci();
	r = rig_new("");
	for (i = 0; pci_models[i]; i++)
		decode_model(pci_models[i]);
	rig_end(&r);
}

static void expect_text(const char *what)
{
	if (!strstr(text, what))
		unit_fail(__FILE__, __LINE__, "lspci does not say \"%s\"", what);
}

/* That it understands what is meant, and not only that something is there. */
TEST(edu_in_words)
{
	need_lspci();
	edu_begin("vectors=5,vfs=2");
	set_up(edu);
	decode(edu, "edu");
	expect_text("1234:50f7");
	expect_text("BusMaster+");
	expect_text("MSI: Enable- Count=1/4 Maskable+ 64bit+");
	expect_text("MSI-X: Enable+ Count=5 Masked-");
	expect_text("Vector table: BAR=0 offset=00001000");
	expect_text("FLReset+");
	expect_text("Express (v2) Endpoint");
	expect_text("Status: D0 NoSoftRst- PME-Enable-");
	expect_text("Single Root I/O Virtualization");
	expect_text("Total VFs: 2");
	expect_text("Address Translation Service (ATS)");
	expect_text("Page Request Interface (PRI)");
	expect_text("Process Address Space ID (PASID)");
	expect_text("Advanced Error Reporting");
	edu_end();
}
