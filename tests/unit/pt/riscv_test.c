// SPDX-License-Identifier: MIT
/* The tests of RISC-V's first-stage tables. */
#define T_FN(name) pt_riscv_##name
#define T_X4	   0

#include "riscv_tables.h"

/* The upper half of the top table stays empty, and what it is for is refused. */
static void lower_half(void)
{
	struct fixture f;

	fixture_init_levels(&f, 3, 0, 0);
	CHECK(f.pt.va_last == 0x3fffffffff);
	CHECK(!map(&f, 0x3ffffff000, 0x1000, 0x1000, RW));
	CHECK(f.pt.top[255] && !f.pt.top[256]);
	CHECK(map(&f, 0x4000000000, 0x1000, 0x1000, RW) == -EINVAL);
	CHECK(map(&f, 0xffffffc000000000, 0x1000, 0x1000, RW) == -EINVAL);
	check_unmapped(&f, 0x4000000000);
	check_unmapped(&f, 0xffffffc000000000);
	fixture_destroy(&f);
}

int main(int argc, char **argv)
{
	riscv_tests(argc, argv);
	TEST(lower_half);
	return check_done();
}
