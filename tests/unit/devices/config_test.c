// SPDX-License-Identifier: MIT
/*
 * Configuration space, as the PCI Express Base Specification has it: what can be
 * written, what is there, and what the bits do that do something.
 */
#include "func.h"

#define BAR(n) (PCI_BASE_ADDRESS_0 + 4 * (n))

TEST(header_says_what_it_is)
{
	func_new();
	EXPECT_EQ(VENDOR, config_read(PCI_VENDOR_ID, 2));
	EXPECT_EQ(DEVICE, config_read(PCI_DEVICE_ID, 2));
	EXPECT_EQ(0x01080207, config_read(PCI_CLASS_REVISION, 4));
	EXPECT_EQ(0x1111, config_read(PCI_SUBSYSTEM_VENDOR_ID, 2));
	EXPECT_EQ(0x2222, config_read(PCI_SUBSYSTEM_ID, 2));
	EXPECT_EQ(0, config_read(PCI_HEADER_TYPE, 1));
	EXPECT_EQ(1, config_read(PCI_INTERRUPT_PIN, 1));
	EXPECT_EQ(PCI_STATUS_CAP_LIST, config_read(PCI_STATUS, 2));
	EXPECT_EQ(0, config_read(PCI_COMMAND, 2));
	func_end();
}

TEST(only_what_may_be_written_is)
{
	unsigned int i;

	func_new();
	for (i = 0; i < PCI_BASE_ADDRESS_0; i += 4)
		config_write(i, 0xffffffff, 4);
	EXPECT_EQ(VENDOR | DEVICE << 16, config_read(PCI_VENDOR_ID, 4));
	EXPECT_EQ(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
			  PCI_COMMAND_INTX_DISABLE,
		  config_read(PCI_COMMAND, 2));
	EXPECT_EQ(PCI_STATUS_CAP_LIST, config_read(PCI_STATUS, 2));
	EXPECT_EQ(0x01080207, config_read(PCI_CLASS_REVISION, 4));
	EXPECT_EQ(0xff, config_read(PCI_CACHE_LINE_SIZE, 4));
	config_write(PCI_SUBSYSTEM_VENDOR_ID, 0, 4);
	EXPECT_EQ(0x22221111, config_read(PCI_SUBSYSTEM_VENDOR_ID, 4));
	config_write(PCI_INTERRUPT_LINE, 0xffff, 2);
	EXPECT_EQ(0x1ff, config_read(PCI_INTERRUPT_LINE, 2));
	config_write(PCI_ROM_ADDRESS, 0xffffffff, 4);
	EXPECT_EQ(0, config_read(PCI_ROM_ADDRESS, 4));
	config_write(PCI_CAPABILITY_LIST, 0, 1);
	EXPECT_TRUE(config_read(PCI_CAPABILITY_LIST, 1));
	func_end();
}

TEST(bars_say_their_size)
{
	func_new();
	config_write(BAR(0), 0xffffffff, 4);
	config_write(BAR(1), 0xffffffff, 4);
	EXPECT_EQ(0xffff0004, config_read(BAR(0), 4));
	EXPECT_EQ(0xffffffff, config_read(BAR(1), 4));
	config_write(BAR(2), 0xffffffff, 4);
	config_write(BAR(3), 0xffffffff, 4);
	EXPECT_EQ(0xfffff000, config_read(BAR(2), 4));
	EXPECT_EQ(0, config_read(BAR(3), 4));
	/* 8 GiB: the lower half has no bits at all. */
	config_write(BAR(4), 0xffffffff, 4);
	config_write(BAR(5), 0xffffffff, 4);
	EXPECT_EQ(0x0000000c, config_read(BAR(4), 4));
	EXPECT_EQ(0xfffffffe, config_read(BAR(5), 4));
	/* Byte by byte, an address comes together. */
	config_write(BAR(0) + 3, 0xe0, 1);
	config_write(BAR(0) + 2, 0x12, 1);
	config_write(BAR(0), 0x0, 2);
	EXPECT_EQ(0xe0120004, config_read(BAR(0), 4));
	func_end();
}

TEST(any_offset_and_length)
{
	u8 buf[8192];

	func_new();
	memset(buf, 0x55, sizeof(buf));
	pci_config_read(&func, 0, buf, sizeof(buf));
	EXPECT_EQ(VENDOR & 0xff, buf[0]);
	EXPECT_EQ(0, buf[4096]);
	EXPECT_EQ(0, buf[8191]);
	memset(buf, 0x55, sizeof(buf));
	pci_config_read(&func, 4094, buf, 8);
	EXPECT_EQ(0, buf[0] | buf[7]);
	EXPECT_EQ(0x55, buf[8]);
	pci_config_read(&func, UINT32_MAX, buf, 8);
	EXPECT_EQ(0, buf[0]);
	memset(buf, 0xff, sizeof(buf));
	buf[PCI_COMMAND] = 0;
	pci_config_write(&func, 4094, buf, 64);
	pci_config_write(&func, UINT32_MAX, buf, 64);
	pci_config_write(&func, 0, buf, sizeof(buf));
	EXPECT_EQ(VENDOR, config_read(PCI_VENDOR_ID, 2));
	func_end();
}

TEST(conventional_function_has_256_bytes)
{
	struct pci_func_desc desc = usual_desc();
	u8 buf[4096];
	unsigned int i;

	desc.conventional = true;
	func_with(&desc);
	EXPECT_EQ(0, pci_find_cap(&func, PCI_CAP_ID_EXP));
	EXPECT_TRUE(pci_find_cap(&func, PCI_CAP_ID_AF));
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_ERR));
	memset(buf, 0xff, sizeof(buf));
	pci_config_write(&func, 256, buf, sizeof(buf) - 256);
	pci_config_read(&func, 0, buf, sizeof(buf));
	for (i = 256; i < sizeof(buf); i++)
		EXPECT_EQ(0, buf[i]);
	func_end();
}

/* Bytes that a capability has, from the specification. */
static unsigned int cap_bytes(u8 id)
{
	switch (id) {
	case PCI_CAP_ID_PM:
		return 8;
	case PCI_CAP_ID_MSI:
		return 24;
	case PCI_CAP_ID_MSIX:
		return 12;
	case PCI_CAP_ID_EXP:
		return 60;
	case PCI_CAP_ID_AF:
		return 6;
	default:
		return 0;
	}
}

static unsigned int ext_cap_bytes(u16 id)
{
	switch (id) {
	case PCI_EXT_CAP_ID_ERR:
		return 0x2c;
	case PCI_EXT_CAP_ID_ATS:
		return 8;
	case PCI_EXT_CAP_ID_PRI:
		return 16;
	case PCI_EXT_CAP_ID_PASID:
		return 8;
	case PCI_EXT_CAP_ID_SRIOV:
		return 64;
	default:
		return 0;
	}
}

static void take(u8 *used, unsigned int at, unsigned int n)
{
	ASSERT_TRUE(n && at + n <= 4096);
	while (n--)
		EXPECT_EQ(0, used[at++]++);
}

TEST(capabilities_do_not_overlap)
{
	u8 used[4096] = { 0 };
	unsigned int at, n = 0;

	func_new();
	for (at = config_read(PCI_CAPABILITY_LIST, 1); at; at = config_read(at + 1, 1)) {
		ASSERT_TRUE(at >= 0x40 && at < 256 && !(at & 3) && n++ < 48);
		take(used, at, cap_bytes((u8)config_read(at, 1)));
	}
	EXPECT_EQ(4, n);
	for (at = 256; at; at = config_read(at + 2, 2) >> 4) {
		ASSERT_TRUE(at >= 256 && !(at & 3) && n++ < 64);
		take(used, at, ext_cap_bytes((u16)config_read(at, 2)));
	}
	EXPECT_EQ(4 + 5, n);
	func_end();
}

/* What no capability covers reads as zero, and stays so. */
TEST(nothing_between_capabilities)
{
	u8 before[4096], after[4096];
	u8 ones[4096];
	unsigned int at, i;
	u8 used[4096] = { 0 };

	func_new();
	for (at = config_read(PCI_CAPABILITY_LIST, 1); at; at = config_read(at + 1, 1))
		take(used, at, cap_bytes((u8)config_read(at, 1)));
	for (at = 256; at; at = config_read(at + 2, 2) >> 4)
		take(used, at, ext_cap_bytes((u16)config_read(at, 2)));
	memset(ones, 0xff, sizeof(ones));
	pci_config_read(&func, 0, before, sizeof(before));
	for (i = 64; i < 4096; i++) {
		if (!used[i])
			pci_config_write(&func, i, ones, 1);
	}
	pci_config_read(&func, 0, after, sizeof(after));
	for (i = 64; i < 4096; i++) {
		if (!used[i])
			EXPECT_EQ(0, before[i] | after[i]);
	}
	func_end();
}

TEST(models_add_capabilities)
{
	unsigned int at, ext;

	func_new();
	at = pci_add_cap(&func, PCI_CAP_ID_VNDR, 0, 10);
	EXPECT_TRUE(at >= 0x40);
	EXPECT_EQ(at, pci_find_cap(&func, PCI_CAP_ID_VNDR));
	EXPECT_EQ(0xf0, pci_add_cap(&func, PCI_CAP_ID_VPD, 0xf0, 8));
	EXPECT_EQ(0xf0, config_read(at + 1, 1));
	EXPECT_EQ(0, pci_add_cap(&func, PCI_CAP_ID_HT, 0xf8, 12));
	EXPECT_EQ(0, pci_add_cap(&func, PCI_CAP_ID_HT, 0x20, 4));
	EXPECT_EQ(0, pci_find_cap(&func, PCI_CAP_ID_HT));
	ext = pci_add_ext_cap(&func, PCI_EXT_CAP_ID_DSN, 1, 0, 12);
	EXPECT_TRUE(ext > 256);
	EXPECT_EQ(ext, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_DSN));
	EXPECT_EQ(0xff0, pci_add_ext_cap(&func, PCI_EXT_CAP_ID_VNDR, 1, 0xff0, 16));
	EXPECT_EQ(0, pci_add_ext_cap(&func, PCI_EXT_CAP_ID_LTR, 1, 0xffc, 8));
	func_end();
}

TEST(express_capability_is_an_endpoint_with_reset)
{
	unsigned int at;

	func_new();
	at = pci_find_cap(&func, PCI_CAP_ID_EXP);
	EXPECT_EQ(2, config_read(at + PCI_EXP_FLAGS, 2));
	EXPECT_TRUE(config_read(at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	/* What travels in front of a PASID. */
	EXPECT_TRUE(config_read(at + PCI_EXP_DEVCAP2, 4) & PCI_EXP_DEVCAP2_EE_PREFIX);
	/* Speed and width of the link are of those that it can have. */
	EXPECT_EQ(config_read(at + PCI_EXP_LNKCAP, 4) & 0xf,
		  config_read(at + PCI_EXP_LNKSTA, 2) & 0xf);
	EXPECT_EQ(config_read(at + PCI_EXP_LNKCAP, 4) >> 4 & 0x3f,
		  config_read(at + PCI_EXP_LNKSTA, 2) >> 4 & 0x3f);
	func_end();
}

TEST(function_level_reset)
{
	unsigned int at, devctl;

	func_new();
	func_on();
	at = pci_find_cap(&func, PCI_CAP_ID_EXP);
	devctl = config_read(at + PCI_EXP_DEVCTL, 2);
	config_write(BAR(2), 0xfeb00000, 4);
	config_write(PCI_INTERRUPT_LINE, 11, 1);
	pci_irq_level(&func, true);
	EXPECT_TRUE(pin);
	config_write(at + PCI_EXP_DEVCTL, devctl, 2);
	EXPECT_EQ(0, resets);
	config_write(at + PCI_EXP_DEVCTL, devctl | PCI_EXP_DEVCTL_BCR_FLR, 2);
	EXPECT_EQ(1, resets);
	EXPECT_EQ(0, config_read(PCI_COMMAND, 2));
	EXPECT_EQ(0, config_read(BAR(2), 4));
	EXPECT_EQ(0, config_read(PCI_INTERRUPT_LINE, 1));
	EXPECT_EQ(devctl, config_read(at + PCI_EXP_DEVCTL, 2));
	EXPECT_TRUE(!pin);
	EXPECT_TRUE(!(config_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT));
	/* Its upper byte alone, and as a part of more. */
	config_write(at + PCI_EXP_DEVCTL + 1, 0x80, 1);
	EXPECT_EQ(2, resets);
	config_write(at + PCI_EXP_DEVCTL, 0x8000, 4);
	EXPECT_EQ(3, resets);
	config_write(at + PCI_EXP_DEVCTL, 0x80, 1);
	EXPECT_EQ(3, resets);
	func_end();
}

TEST(advanced_features_reset)
{
	struct pci_func_desc desc = usual_desc();
	unsigned int at;

	desc.conventional = true;
	func_with(&desc);
	func_on();
	at = pci_find_cap(&func, PCI_CAP_ID_AF);
	EXPECT_EQ(3, config_read(at + PCI_AF_CAP, 1));
	config_write(at + PCI_AF_CTRL, 1, 1);
	EXPECT_EQ(1, resets);
	EXPECT_EQ(0, config_read(at + PCI_AF_CTRL, 1));
	EXPECT_EQ(0, config_read(PCI_COMMAND, 2));
	func_end();
}

TEST(sleep_forgets)
{
	unsigned int at;

	func_new();
	func_on();
	at = pci_find_cap(&func, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	EXPECT_EQ(0, config_read(at, 2) & PCI_PM_CTRL_NO_SOFT_RESET);
	/* D1 and D2 are not there: such a write changes nothing. */
	config_write(at, 1, 2);
	EXPECT_EQ(0, config_read(at, 2));
	config_write(at, 2, 2);
	EXPECT_EQ(0, config_read(at, 2));
	EXPECT_EQ(0x11, bar_get(0, 0x2800 + 0x100, 1));
	EXPECT_TRUE(pci_may_dma(&func));
	config_write(at, 3, 2);
	EXPECT_EQ(3, config_read(at, 2));
	EXPECT_TRUE(!pci_may_dma(&func));
	EXPECT_EQ(0xffffffff, bar_get(0, 0, 4));
	config_write(at, 2, 2);
	EXPECT_EQ(3, config_read(at, 2));
	EXPECT_EQ(0, resets);
	config_write(at, 0, 2);
	EXPECT_EQ(1, resets);
	EXPECT_EQ(0, config_read(at, 2));
	EXPECT_EQ(0, config_read(PCI_COMMAND, 2));
	func_on();
	EXPECT_TRUE(pci_may_dma(&func));
	EXPECT_EQ(0, bar_get(0, 0, 4));
	func_end();
}

TEST(virtual_function)
{
	struct pci_func_desc desc = usual_desc();

	desc.vf = true;
	desc.intx = false;
	func_with(&desc);
	EXPECT_EQ(0xffffffff, config_read(PCI_VENDOR_ID, 4));
	config_write(BAR(0), 0xffffffff, 4);
	EXPECT_EQ(0, config_read(BAR(0), 4));
	config_write(PCI_COMMAND, 0xffff, 2);
	EXPECT_EQ(PCI_COMMAND_MASTER, config_read(PCI_COMMAND, 2));
	EXPECT_EQ(0, config_read(PCI_INTERRUPT_PIN, 1));
	/* It shares these with its physical function (PCIe 10.5.2.1, 7.8.8). */
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_PRI));
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_PASID));
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_SRIOV));
	EXPECT_TRUE(pci_find_ext_cap(&func, PCI_EXT_CAP_ID_ATS));
	EXPECT_TRUE(pci_pri_enabled(&func) && pci_pasid_enabled(&func));
	/* Memory is enabled in its physical function. */
	EXPECT_EQ(0, bar_get(0, 0, 4));
	func_end();
}

TEST(sriov_capability)
{
	unsigned int at;

	func_new();
	at = pci_find_ext_cap(&func, PCI_EXT_CAP_ID_SRIOV);
	ASSERT_TRUE(at);
	EXPECT_EQ(3, config_read(at + PCI_SRIOV_TOTAL_VF, 2));
	EXPECT_EQ(3, config_read(at + PCI_SRIOV_INITIAL_VF, 2));
	EXPECT_EQ(PCI_VF_OFFSET, config_read(at + PCI_SRIOV_VF_OFFSET, 2));
	EXPECT_EQ(PCI_VF_STRIDE, config_read(at + PCI_SRIOV_VF_STRIDE, 2));
	EXPECT_EQ(DEVICE, config_read(at + PCI_SRIOV_VF_DID, 2));
	config_write(at + PCI_SRIOV_TOTAL_VF, 9, 2);
	EXPECT_EQ(3, config_read(at + PCI_SRIOV_TOTAL_VF, 2));
	config_write(at + PCI_SRIOV_BAR, 0xffffffff, 4);
	EXPECT_EQ(0xffff0004, config_read(at + PCI_SRIOV_BAR, 4));
	config_write(at + PCI_SRIOV_NUM_VF, 4, 2);
	EXPECT_EQ(0, config_read(at + PCI_SRIOV_NUM_VF, 2));
	config_write(at + PCI_SRIOV_NUM_VF, 2, 2);
	EXPECT_EQ(2, config_read(at + PCI_SRIOV_NUM_VF, 2));
	/* It stays while they are there. */
	config_write(at + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE, 2);
	EXPECT_EQ(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE, config_read(at + PCI_SRIOV_CTRL, 2));
	config_write(at + PCI_SRIOV_NUM_VF, 1, 2);
	EXPECT_EQ(2, config_read(at + PCI_SRIOV_NUM_VF, 2));
	config_write(at + PCI_SRIOV_CTRL, 0, 2);
	config_write(at + PCI_SRIOV_NUM_VF, 1, 2);
	EXPECT_EQ(1, config_read(at + PCI_SRIOV_NUM_VF, 2));
	func_end();
}

TEST(translations_and_pages_can_be_switched_off)
{
	unsigned int ats, pri, pasid;

	func_new();
	ats = pci_find_ext_cap(&func, PCI_EXT_CAP_ID_ATS);
	pri = pci_find_ext_cap(&func, PCI_EXT_CAP_ID_PRI);
	pasid = pci_find_ext_cap(&func, PCI_EXT_CAP_ID_PASID);
	EXPECT_TRUE(pci_ats_enabled(&func) && pci_pri_enabled(&func) && pci_pasid_enabled(&func));
	EXPECT_EQ(20, config_read(pasid + PCI_PASID_CAP, 2) >> 8);
	config_write(ats + PCI_ATS_CTRL, 0, 2);
	EXPECT_TRUE(!pci_ats_enabled(&func));
	config_write(pri + PCI_PRI_CTRL, 0, 2);
	EXPECT_TRUE(!pci_pri_enabled(&func));
	EXPECT_TRUE(config_read(pri + PCI_PRI_STATUS, 2) & PCI_PRI_STATUS_STOPPED);
	config_write(pasid + PCI_PASID_CTRL, 0, 2);
	EXPECT_TRUE(!pci_pasid_enabled(&func));
	pci_func_reset(&func);
	EXPECT_TRUE(pci_ats_enabled(&func) && pci_pri_enabled(&func) && pci_pasid_enabled(&func));
	EXPECT_TRUE(!(config_read(pri + PCI_PRI_STATUS, 2) & PCI_PRI_STATUS_STOPPED));
	func_end();
}

TEST(what_the_device_cannot_is_not_there)
{
	const struct pci_func_desc desc = { .vendor = VENDOR, .device = DEVICE };
	struct pci_params params = usual_params();

	params.ats = params.page_requests = false;
	params.pasid_bits = 0;
	ASSERT_OK(pci_func_init(&func, &model_ops, &desc, &params));
	EXPECT_EQ(0, pci_find_cap(&func, PCI_CAP_ID_MSI));
	EXPECT_EQ(0, pci_find_cap(&func, PCI_CAP_ID_MSIX));
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_ATS));
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_PRI));
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_PASID));
	EXPECT_EQ(0, pci_find_ext_cap(&func, PCI_EXT_CAP_ID_SRIOV));
	EXPECT_TRUE(!pci_ats_enabled(&func) && !pci_pri_enabled(&func) &&
		    !pci_pasid_enabled(&func));
	config_write(PCI_COMMAND, 0xffff, 2);
	EXPECT_EQ(PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR,
		  config_read(PCI_COMMAND, 2));
	func_end();
}

TEST(state_moves_to_another)
{
	const struct pci_func_desc desc = usual_desc();
	const struct pci_params params = usual_params();
	struct pci_func_desc other_desc = usual_desc();
	static struct pci_func other;
	size_t n;
	u8 *state;
	u32 value;

	func_new();
	func_on();
	config_write(BAR(2), 0xfeb00000, 4);
	bar_put(0, TABLE + 12, 0, 4);
	n = pci_state_bytes(&func);
	state = malloc(n);
	pci_state_save(&func, state);

	other_desc.device++;
	ASSERT_OK(pci_func_init(&other, &model_ops, &other_desc, &params));
	EXPECT_RC(-EINVAL, pci_state_load(&other, state, n));
	pci_func_fini(&other);
	ASSERT_OK(pci_func_init(&other, &model_ops, &desc, &params));
	EXPECT_RC(-EINVAL, pci_state_load(&other, state, n - 1));
	/* What says what it is cannot be changed that way. */
	memset(state + PCI_SUBSYSTEM_VENDOR_ID, 0xff, 4);
	EXPECT_OK(pci_state_load(&other, state, n));
	pci_config_read(&other, BAR(2), &value, 4);
	EXPECT_EQ(0xfeb00000, value);
	pci_config_read(&other, PCI_SUBSYSTEM_VENDOR_ID, &value, 4);
	EXPECT_EQ(0x22221111, value);
	EXPECT_TRUE(pci_may_dma(&other));
	EXPECT_OK(pci_bar_read(&other, 0, TABLE + 12, &value, 4));
	EXPECT_EQ(0, value);
	EXPECT_OK(pci_bar_read(&other, 0, TABLE + 28, &value, 4));
	EXPECT_EQ(1, value);
	pci_func_fini(&other);
	free(state);
	func_end();
}

TEST(model_hears_of_writes)
{
	func_new();
	config_write(PCI_COMMAND, 6, 2);
	config_write(0x40, 0, 1);
	EXPECT_EQ(2, config_writes);
	func_end();
}
