// SPDX-License-Identifier: MIT
/* Interrupts: pin, MSI and MSI-X; who chooses, who masks, what waits and what is lost. */
#include "func.h"

#define ENTRY(n) (TABLE + 16 * (n))

static unsigned int msi(void)
{
	return pci_find_cap(&func, PCI_CAP_ID_MSI);
}

static unsigned int msix_flags(void)
{
	return pci_find_cap(&func, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
}

TEST(pin_is_a_level)
{
	func_new();
	EXPECT_EQ(PCI_IRQ_INTX, pci_irq_mode(&func));
	pci_irq_level(&func, true);
	pci_irq_level(&func, true);
	EXPECT_EQ(1, pin_changes);
	EXPECT_TRUE(pin && config_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	/* The bit that hides it from others does not hide it from the status register. */
	config_write(PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	EXPECT_TRUE(!pin && config_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	config_write(PCI_COMMAND, 0, 2);
	EXPECT_TRUE(pin);
	pci_irq_level(&func, false);
	EXPECT_TRUE(!pin && !(config_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT));
	func_end();
}

TEST(no_pin_no_level)
{
	struct pci_func_desc desc = usual_desc();

	desc.intx = false;
	func_with(&desc);
	EXPECT_EQ(PCI_IRQ_NONE, pci_irq_mode(&func));
	pci_irq_level(&func, true);
	EXPECT_EQ(0, pin_changes);
	EXPECT_TRUE(!(config_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT));
	func_end();
}

TEST(who_comes_later_learns_the_level)
{
	func_new();
	pci_irq_listen(&func, NULL, NULL);
	pci_irq_level(&func, true);
	EXPECT_TRUE(!pin);
	pci_irq_listen(&func, &sink, NULL);
	EXPECT_TRUE(pin);
	pci_irq_set_mode(&func, PCI_IRQ_NONE, 0);
	EXPECT_TRUE(!pin);
	pci_irq_set_mode(&func, PCI_IRQ_INTX, 1);
	EXPECT_TRUE(pin);
	func_end();
}

TEST(messages_need_a_bus_master)
{
	func_new();
	pci_irq_set_mode(&func, PCI_IRQ_MSIX, 4);
	pci_irq_message(&func, 1);
	EXPECT_EQ(0, messages[1]);
	func_on();
	/* It was lost. */
	EXPECT_EQ(0, messages[1]);
	pci_irq_message(&func, 1);
	EXPECT_EQ(1, messages[1]);
	func_end();
}

TEST(set_mode_shows_in_the_capabilities)
{
	func_new();
	func_on();
	pci_irq_set_mode(&func, PCI_IRQ_MSIX, 3);
	EXPECT_EQ(PCI_IRQ_MSIX, pci_irq_mode(&func));
	EXPECT_EQ(3, pci_irq_vectors(&func));
	EXPECT_EQ(PCI_MSIX_FLAGS_ENABLE | (VECTORS - 1), config_read(msix_flags(), 2));
	EXPECT_EQ(0, bar_get(0, ENTRY(2) + 12, 4));
	EXPECT_EQ(1, bar_get(0, ENTRY(3) + 12, 4));
	pci_irq_message(&func, 2);
	pci_irq_message(&func, 3);
	pci_irq_message(&func, UINT32_MAX);
	EXPECT_EQ(1, messages[2]);
	EXPECT_EQ(0, messages[3]);

	pci_irq_set_mode(&func, PCI_IRQ_MSI, 3);
	EXPECT_EQ(0, config_read(msix_flags(), 2) & PCI_MSIX_FLAGS_ENABLE);
	/* Messages are granted in powers of two: 4 of them. */
	EXPECT_EQ(PCI_MSI_FLAGS_ENABLE | 2 << 4, config_read(msi() + PCI_MSI_FLAGS, 2) & 0x71);
	pci_irq_message(&func, 2);
	EXPECT_EQ(2, messages[2]);
	pci_irq_message(&func, 3);
	EXPECT_EQ(0, messages[3]);

	pci_irq_set_mode(&func, PCI_IRQ_MSI, 1000);
	EXPECT_EQ(8, pci_irq_vectors(&func));
	pci_irq_set_mode(&func, PCI_IRQ_MSIX, 1000);
	EXPECT_EQ(VECTORS, pci_irq_vectors(&func));
	pci_irq_set_mode(&func, PCI_IRQ_NONE, 5);
	EXPECT_EQ(0, pci_irq_vectors(&func));
	EXPECT_EQ(0, config_read(msix_flags(), 2) & PCI_MSIX_FLAGS_ENABLE);
	EXPECT_EQ(0, config_read(msi() + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	func_end();
}

TEST(driver_sets_up_msix)
{
	func_new();
	func_on();
	EXPECT_EQ(1, bar_get(0, ENTRY(69) + 12, 4));
	/* The lowest bits of the address, and most of the control word, do not exist. */
	bar_put(0, ENTRY(69), 0x00000001fee00123ull, 8);
	bar_put(0, ENTRY(69) + 8, 0xfffffffe00000045ull, 8);
	EXPECT_EQ(0x00000001fee00120ull, bar_get(0, ENTRY(69), 8));
	EXPECT_EQ(0x45, bar_get(0, ENTRY(69) + 8, 8));
	config_write(msix_flags(), PCI_MSIX_FLAGS_ENABLE, 2);
	EXPECT_EQ(PCI_IRQ_MSIX, pci_irq_mode(&func));
	EXPECT_EQ(VECTORS, pci_irq_vectors(&func));
	pci_irq_message(&func, 69);
	EXPECT_EQ(1, messages[69]);
	/* All the others are masked still. */
	pci_irq_message(&func, 68);
	EXPECT_EQ(0, messages[68]);
	EXPECT_EQ(1ull << (68 - 64), bar_get(0, PBA + 8, 8));
	func_end();
}

TEST(masked_vectors_wait)
{
	func_new();
	func_on();
	pci_irq_set_mode(&func, PCI_IRQ_MSIX, VECTORS);
	bar_put(0, ENTRY(5) + 12, 1, 4);
	pci_irq_message(&func, 5);
	pci_irq_message(&func, 5);
	EXPECT_EQ(0, messages[5]);
	EXPECT_EQ(1 << 5, bar_get(0, PBA, 4));
	/* Pending bits are not for writing. */
	bar_put(0, PBA, 0, 8);
	EXPECT_EQ(1 << 5, bar_get(0, PBA, 4));
	/* What was asked for twice comes once. */
	bar_put(0, ENTRY(5) + 12, 0, 4);
	EXPECT_EQ(1, messages[5]);
	EXPECT_EQ(0, bar_get(0, PBA, 4));
	/* All at once. */
	config_write(msix_flags() + 1, (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8, 1);
	pci_irq_message(&func, 6);
	pci_irq_message(&func, 69);
	EXPECT_EQ(0, messages[6] + messages[69]);
	config_write(msix_flags() + 1, PCI_MSIX_FLAGS_ENABLE >> 8, 1);
	EXPECT_EQ(1, messages[6]);
	EXPECT_EQ(1, messages[69]);
	func_end();
}

TEST(driver_sets_up_msi)
{
	func_new();
	func_on();
	EXPECT_EQ(PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 3 << 1,
		  config_read(msi() + PCI_MSI_FLAGS, 2));
	config_write(msi() + PCI_MSI_ADDRESS_LO, 0xfee00fff, 4);
	EXPECT_EQ(0xfee00ffc, config_read(msi() + PCI_MSI_ADDRESS_LO, 4));
	config_write(msi() + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | 1 << 4, 2);
	EXPECT_EQ(PCI_IRQ_MSI, pci_irq_mode(&func));
	EXPECT_EQ(2, pci_irq_vectors(&func));
	pci_irq_message(&func, 1);
	pci_irq_message(&func, 2);
	EXPECT_EQ(1, messages[1]);
	EXPECT_EQ(0, messages[2]);
	/* More than there are. */
	config_write(msi() + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | 7 << 4, 2);
	EXPECT_EQ(8, pci_irq_vectors(&func));
	func_end();
}

TEST(msi_masks)
{
	func_new();
	func_on();
	pci_irq_set_mode(&func, PCI_IRQ_MSI, 8);
	config_write(msi() + PCI_MSI_MASK_64, 0xffffffff, 4);
	EXPECT_EQ(0xff, config_read(msi() + PCI_MSI_MASK_64, 4));
	pci_irq_message(&func, 7);
	EXPECT_EQ(0x80, config_read(msi() + PCI_MSI_PENDING_64, 4));
	config_write(msi() + PCI_MSI_PENDING_64, 0, 4);
	config_write(msi() + PCI_MSI_MASK_64, 0x7f, 1);
	EXPECT_EQ(1, messages[7]);
	EXPECT_EQ(0, config_read(msi() + PCI_MSI_PENDING_64, 4));
	func_end();
}

TEST(msix_comes_before_msi)
{
	func_new();
	config_write(msi() + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 2);
	config_write(msix_flags(), PCI_MSIX_FLAGS_ENABLE, 2);
	EXPECT_EQ(PCI_IRQ_MSIX, pci_irq_mode(&func));
	config_write(msix_flags(), 0, 2);
	EXPECT_EQ(PCI_IRQ_MSI, pci_irq_mode(&func));
	config_write(msi() + PCI_MSI_FLAGS, 0, 2);
	EXPECT_EQ(PCI_IRQ_INTX, pci_irq_mode(&func));
	func_end();
}

/* What is written while a capability is off chooses nothing. */
TEST(the_mode_stays_until_something_is_enabled)
{
	func_new();
	pci_irq_set_mode(&func, PCI_IRQ_NONE, 0);
	config_write(msi() + PCI_MSI_FLAGS, 2 << 4, 2);
	config_write(PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	EXPECT_EQ(PCI_IRQ_NONE, pci_irq_mode(&func));
	config_write(msi() + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | 2 << 4, 2);
	EXPECT_EQ(PCI_IRQ_MSI, pci_irq_mode(&func));
	EXPECT_EQ(4, pci_irq_vectors(&func));
	func_end();
}

TEST(reset_forgets_interrupts)
{
	func_new();
	func_on();
	pci_irq_set_mode(&func, PCI_IRQ_MSIX, VECTORS);
	bar_put(0, ENTRY(5) + 12, 1, 4);
	pci_irq_message(&func, 5);
	pci_func_reset(&func);
	EXPECT_EQ(PCI_IRQ_INTX, pci_irq_mode(&func));
	EXPECT_EQ(VECTORS - 1, config_read(msix_flags(), 2));
	func_on();
	EXPECT_EQ(0, bar_get(0, PBA, 8));
	EXPECT_EQ(1, bar_get(0, ENTRY(0) + 12, 4));
	EXPECT_EQ(0, messages[5]);
	func_end();
}

TEST(asleep_is_silent)
{
	func_new();
	func_on();
	pci_irq_level(&func, true);
	config_write(pci_find_cap(&func, PCI_CAP_ID_PM) + PCI_PM_CTRL, 3, 2);
	EXPECT_TRUE(!pin);
	pci_irq_set_mode(&func, PCI_IRQ_MSIX, 4);
	pci_irq_message(&func, 0);
	EXPECT_EQ(0, messages[0]);
	func_end();
}

/* The largest table there can be, in a BAR of its own. */
TEST(largest_table)
{
	struct pci_func_desc desc = { .vendor = VENDOR, .msix_vectors = 2048, .msix_pba = 0x8000 };

	desc.bars[0] = (struct pci_bar){ .bytes = 0x10000,
					 .nareas = 1,
					 .areas = { { 0, 0x10000, PCI_AREA_TRAPPED } } };
	func_with(&desc);
	func_on();
	EXPECT_EQ(0x7ff, config_read(msix_flags(), 2));
	pci_irq_set_mode(&func, PCI_IRQ_MSIX, 2048);
	bar_put(0, 2047 * 16 + 12, 1, 4);
	pci_irq_message(&func, 2047);
	EXPECT_EQ(1ull << 63, bar_get(0, 0x8000 + 248, 8));
	bar_put(0, 2047 * 16 + 12, 0, 1);
	EXPECT_EQ(1, messages[2047]);
	EXPECT_EQ(0, nheard);
	func_end();
}
