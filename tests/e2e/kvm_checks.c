// SPDX-License-Identifier: MIT
/*
 * Lets QEMU's accelerated SMMUv3 start without KVM: for tests alone, loaded into
 * qemu-system-aarch64 with LD_PRELOAD.
 *
 * QEMU refuses `-device arm-smmuv3,accel=on` unless KVM runs the guest with its
 * interrupt controller in the kernel, because only then do a device's MSIs find
 * their way through the guest's translation. The tests' guest uses INTx, and on
 * a machine that is not Arm there is no KVM for it. Nothing else in the
 * accelerated model depends on KVM, so what is needed is that QEMU's two flags
 * say yes while it looks, and no before and after.
 *
 * QEMU looks right after it has read the device's property "accel", which is a
 * search for that name, as a constant of the program's own, in one of glib's
 * hash tables. The next search for anything else is after the look.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* QEMU exports both. */
extern bool kvm_allowed __attribute__((weak));
extern bool kvm_kernel_irqchip __attribute__((weak));

typedef void *lookup_fn(void *table, const void *key);

static bool pretending;

/* Where the program itself lies in memory: constants are there, options' text is not. */
struct image {
	const char *start;
	const char *end;
};

/* The program comes first. Return: 1, so that the others are not asked for. */
static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct image *image = arg;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *start = (const char *)info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD)
			continue;
		if (!image->start)
			image->start = start;
		image->end = start + ph->p_memsz;
	}
	return 1;
}

static bool is_constant(const void *key)
{
	static struct image image;

	if (!image.start)
		dl_iterate_phdr(find_program, &image);
	return (const char *)key >= image.start && (const char *)key < image.end;
}

static void pretend(bool on)
{
	if (on == pretending)
		return;
	pretending = on;
	kvm_allowed = on;
	kvm_kernel_irqchip = on;
}

__attribute__((visibility("default"))) void *g_hash_table_lookup(void *table, const void *key);

void *g_hash_table_lookup(void *table, const void *key)
{
	static lookup_fn *real;

	if (!real)
		real = (lookup_fn *)dlsym(RTLD_NEXT, "g_hash_table_lookup");
	/* A key need not be text, but what lies in the program can be read. */
	if (&kvm_allowed && &kvm_kernel_irqchip)
		pretend(is_constant(key) && !strcmp(key, "accel"));
	return real(table, key);
}
