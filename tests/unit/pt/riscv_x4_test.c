// SPDX-License-Identifier: MIT
/* The tests of RISC-V's second-stage tables. */
#define T_FN(name) pt_riscv_x4_##name
#define T_X4	   1

#include "riscv_tables.h"

/* The top table has 2048 items, and 16 KiB even if fewer of them are used. */
static void wide_top(void)
{
	struct fixture f;

	fixture_init_levels(&f, 3, 0, 0);
	CHECK(f.pt.va_last == 0x1ffffffffff && f.alloc.bytes == 16384);
	CHECK(!map(&f, 0x1fffffff000, 0x1000, 0x1000, RW));
	CHECK(f.pt.top[2047] && !f.pt.top[2046]);
	CHECK(!map(&f, 0x8000000000, 0x40000000, 0x40000000, RO));
	CHECK(f.pt.top[512] == 0x1000005b);
	fixture_destroy(&f);
	fixture_init_levels(&f, 3, 38, 0);
	CHECK(f.alloc.bytes == 16384);
	fixture_destroy(&f);
}

int main(int argc, char **argv)
{
	riscv_tests(argc, argv);
	TEST(wide_top);
	return check_done();
}
