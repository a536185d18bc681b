// SPDX-License-Identifier: MIT
/* `softiommu version` */
#include "softiommu.h"

static int run(const struct command *self, int argc, const char **argv)
{
	struct poptOption table[] = { POPT_TABLEEND };
	poptContext con;
	int status;

	con = parse_options(self, argc, argv, table, &status);
	if (!con)
		return status;
	poptFreeContext(con);
	printf("softiommu %s\n", VERSION);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.summary = "print the version",
	.usage = "",
	.help = "",
	.run = run,
};
