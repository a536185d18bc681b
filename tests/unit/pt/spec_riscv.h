/* SPDX-License-Identifier: MIT */
/*
 * RISC-V's Sv39, Sv48 and Sv57, from "The RISC-V Instruction Set Manual, Volume
 * II: Privileged Architecture", section "Virtual Address Translation Process",
 * the chapter "Svnapot", and for x4 "Guest Physical Address Translation". The
 * test that includes this says T_X4.
 */
#ifndef PT_TEST_SPEC_RISCV_H
#define PT_TEST_SPEC_RISCV_H

#include "spec.h"

/* The 16 items of 64 KiB are alike but for D. */
static void spec_napot(const _Atomic u64 *table, unsigned int index, u64 pte, struct spec *s)
{
	unsigned int i;

	for (i = index & ~15u; i <= (index | 15); i++) {
		u64 other = table[i];

		CHECK((other & ~BIT(7)) == (pte & ~BIT(7)));
		s->dirty |= other >> 7 & 1;
	}
}

static void spec_leaf(struct spec *s, u64 va, unsigned int vpn, int i)
{
	u64 pte = s->entry[i], ppn = pte >> 10 & (BIT(44) - 1), size = BIT(12 + 9 * i);

	CHECK((pte & 3) == 3 && pte >> 6 & 1); /* V, R, A */
	CHECK(!(pte & 0x7fc0000000000320));    /* G, RSW, PBMT, reserved */
	s->prot = RO | (pte >> 2 & 1 ? WO : 0) | (pte >> 3 & 1 ? 0 : PT_PROT_NOEXEC) |
		  (pte >> 4 & 1 ? 0 : PT_PROT_PRIV);
	s->dirty = pte >> 7 & 1;
	if (pte >> 63) {
		/* Svnapot: at the lowest level, and ppn[3:0] is 1000 */
		CHECK(i == 0 && (ppn & 15) == 8);
		spec_napot(s->table[0], vpn, pte, s);
		ppn -= 8;
		size = 65536;
	}
	/* Step 6: a misaligned superpage is a page fault. */
	spec_page(s, va, ppn * 4096, size);
}

static struct spec spec_read(const struct pt *pt, u64 va)
{
	const _Atomic u64 *a = spec_table((uintptr_t)pt->top);
	unsigned int levels = pt->top_level + 1u, sign = 11 + 9 * levels;
	struct spec s = {0};
	int i;

	/* Signed, or two bits more. */
	if (T_X4 ? va >> (12 + 9 * levels + 2) != 0
		 : va >> sign != 0 && va >> sign != U64_MAX >> sign)
		return s;
	for (i = (int)levels - 1; i >= 0; i--) {
		unsigned int bits = T_X4 && i == (int)levels - 1 ? 11 : 9;
		unsigned int vpn = (unsigned int)(va >> (12 + 9 * i) & (BIT(bits) - 1));
		u64 pte = spec_entry(&s, a, vpn, (unsigned int)i);

		if (!(pte & 1)) {
			CHECK(!pte);
			return s;
		}
		if (pte >> 1 & 7) {
			spec_leaf(&s, va, vpn, i);
			return s;
		}
		/* a pointer: nothing but V and the address */
		CHECK(!(pte & 0xffc00000000003fe));
		a = spec_table((pte >> 10 & (BIT(44) - 1)) * 4096);
	}
	CHECK(!"no leaf at the lowest level");
	return s;
}

#endif
