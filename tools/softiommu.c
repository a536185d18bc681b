// SPDX-License-Identifier: MIT
/*
 * The softiommu command: a table of subcommands, each in a file of its own.
 *
 * Whatever goes wrong is said in one line that also says what to do; a command
 * line that makes no sense ends with status 2.
 */
#include <stdarg.h>
#include <string.h>

#include "softiommu.h"

static const struct command *const commands[] = {
	&cmd_run,
	&cmd_serve,
	&cmd_show,
	&cmd_version,
	&cmd_walk,
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

int complain(const char *fmt, ...)
{
	va_list ap;

	fputs("softiommu: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

static void print_help(FILE *out)
{
	size_t i;

	fputs("softiommu - Linux's iommufd and VFIO (/dev/iommu, /dev/vfio) in user space\n\n"
	      "Usage: softiommu COMMAND [OPTIONS]\n\nCommands:\n",
	      out);
	for (i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nExamples:\n"
	      "  softiommu run -- ./my-vmm --iommufd      run a program, serve its /dev/iommu\n"
	      "  softiommu run --device nvme:file=disk.img -- ./driver\n"
	      "                                           give it a VFIO device too\n"
	      "  softiommu run --iommu mock --show -- ./test\n"
	      "                                           with the mock IOMMU; print what it made\n"
	      "  softiommu serve                          one server for several programs\n"
	      "  softiommu show --watch                   what it has, live\n"
	      "  softiommu walk --iommu vtd 0x1000        a translation, step by step\n"
	      "\nMore: softiommu COMMAND --help\n",
	      out);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < NCOMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

int main(int argc, const char **argv)
{
	const struct command *command;

	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version"))
		return cmd_version.run(&cmd_version, 1, argv + 1);
	command = find_command(argv[1]);
	if (!command)
		return complain("no command \"%s\": try run, serve, show or walk, or --help",
				argv[1]);
	return command->run(command, argc - 1, argv + 1);
}
