// SPDX-License-Identifier: MIT
/*
 * The NVMe controller without its I/O commands: registers, states, Identify, features,
 * logs and events. Numbers are those of the NVM Express Base Specification 1.4.
 */
#include <pthread.h>

#include "devices/nvme_test.h"

#define CAP  0x00
#define VS   0x08
#define CC   0x14
#define CSTS 0x1c
#define AQA  0x24
#define ASQ  0x28
#define ACQ  0x30

TEST(says_what_it_is_to_the_bus)
{
	u8 config[64];

	plug("");
	pci_config_read(rig.func, 0, config, sizeof(config));
	EXPECT_EQ(0x01, config[0x0b]);	    /* mass storage */
	EXPECT_EQ(0x08, config[0x0a]);	    /* non-volatile memory */
	EXPECT_EQ(0x02, config[0x09]);	    /* NVM Express */
	EXPECT_EQ(0x4, config[0x10] & 0xf); /* memory, 64 bits, not prefetchable */
	EXPECT_EQ(1, config[0x3d]);	    /* INTA */
	/* Power management, MSI, MSI-X, PCI Express. */
	EXPECT_TRUE(pci_find_cap(rig.func, 0x01));
	EXPECT_TRUE(pci_find_cap(rig.func, 0x05));
	EXPECT_TRUE(pci_find_cap(rig.func, 0x11));
	EXPECT_TRUE(pci_find_cap(rig.func, 0x10));
}

TEST(has_sane_capabilities)
{
	u64 cap;

	plug("queue-entries=256");
	rig_command(&rig, true);
	cap = rig_r64(&rig, CAP);
	EXPECT_EQ(255, cap & 0xffff);	       /* MQES */
	EXPECT_EQ(1, cap >> 16 & 1);	       /* CQR */
	EXPECT_TRUE((cap >> 24 & 0xff) >= 10); /* TO: 5 s at least */
	EXPECT_EQ(0, cap >> 32 & 0xf);	       /* DSTRD */
	EXPECT_EQ(1, cap >> 37 & 0xff);	       /* CSS: NVM */
	EXPECT_EQ(0, cap >> 48 & 0xf);	       /* MPSMIN: 4 KiB */
	EXPECT_EQ(4, cap >> 52 & 0xf);	       /* MPSMAX: 64 KiB */
	EXPECT_EQ(0, cap >> 57 & 1);	       /* CMBS */
	EXPECT_EQ((u32)cap, rig_r32(&rig, CAP));
	EXPECT_EQ(cap >> 32, rig_r32(&rig, CAP + 4));
	EXPECT_EQ(0x00010400, rig_r32(&rig, VS));
	EXPECT_EQ(0, rig_r32(&rig, CC));
	EXPECT_EQ(0, rig_r32(&rig, CSTS));
}

TEST(takes_registers_of_64_bits_by_halves)
{
	plug("");
	rig_command(&rig, true);
	rig_w32(&rig, ASQ, 0x12345fff);
	rig_w32(&rig, ASQ + 4, 0xabcd);
	EXPECT_EQ(0xabcd12345000, rig_r64(&rig, ASQ));
	rig_w64(&rig, ACQ, 0x1234abcdefff);
	EXPECT_EQ(0xabcde000, rig_r32(&rig, ACQ));
	EXPECT_EQ(0x1234, rig_r32(&rig, ACQ + 4));
	rig_w32(&rig, AQA, ~0u);
	EXPECT_EQ(0x0fff0fff, rig_r32(&rig, AQA));
	/* Read only. */
	rig_w64(&rig, CAP, 0);
	EXPECT_TRUE(rig_r64(&rig, CAP));
	rig_w32(&rig, CSTS, ~0u);
	EXPECT_EQ(0, rig_r32(&rig, CSTS));
	/* No register has another width. */
	EXPECT_OK(pci_bar_write(rig.func, 0, AQA, "\x01", 1));
	EXPECT_EQ(0x0fff0fff, rig_r32(&rig, AQA));
}

TEST(gets_ready_and_back)
{
	start("");
	EXPECT_EQ(1, rig_r32(&rig, CSTS));
	ASSERT_OK(rig_disable(&rig));
	EXPECT_EQ(0, rig_r32(&rig, CSTS));
	/* A controller reset leaves these alone (7.3.2). */
	EXPECT_EQ(31u << 16 | 31, rig_r32(&rig, AQA));
	EXPECT_EQ(rig.q[0].sq, rig_r64(&rig, ASQ));
	ASSERT_OK(rig_enable(&rig));
}

static int enable_with(u32 cc, u32 aqa)
{
	int rc;

	rig_command(&rig, true);
	rig_queue_init(&rig, 0, 32);
	rig_w32(&rig, AQA, aqa);
	rig_w64(&rig, ASQ, rig.q[0].sq);
	rig_w64(&rig, ACQ, rig.q[0].cq);
	rig_w32(&rig, CC, cc);
	rc = rig_ready(&rig, true);
	rig_w32(&rig, CC, 0);
	EXPECT_TRUE(RIG_UNTIL(!(rig_r32(&rig, CSTS) & 3)));
	return rc;
}

TEST(is_fatal_when_enabled_with_what_it_does_not_support)
{
	plug("");
	EXPECT_RC(-EIO, enable_with(RIG_CC | 1 << 4, 31 << 16 | 31));  /* CSS */
	EXPECT_RC(-EIO, enable_with(RIG_CC | 5 << 7, 31 << 16 | 31));  /* MPS: 128 KiB */
	EXPECT_RC(-EIO, enable_with(RIG_CC | 1 << 11, 31 << 16 | 31)); /* AMS: weighted */
	EXPECT_RC(-EIO, enable_with(RIG_CC, 31 << 16));		       /* ASQS: one entry */
	EXPECT_RC(-EIO, enable_with(RIG_CC, 31));		       /* ACQS */
	EXPECT_RC(0, enable_with(RIG_CC | 4 << 7, 31 << 16 | 31));     /* MPS: 64 KiB */
	EXPECT_RC(0, enable_with(RIG_CC, 1 << 16 | 1));
}

TEST(reset_of_the_function_forgets_everything)
{
	uint16_t flr = 1 << 15;
	unsigned int express;

	start_io("");
	express = pci_find_cap(rig.func, 0x10);
	pci_config_write(rig.func, express + 8, &flr, sizeof(flr));
	rig_command(&rig, true);
	EXPECT_EQ(0, rig_r32(&rig, CC));
	EXPECT_EQ(0, rig_r32(&rig, CSTS));
	EXPECT_EQ(0, rig_r32(&rig, AQA));
	EXPECT_EQ(0, rig_r64(&rig, ASQ));
	EXPECT_EQ(0, rig_r64(&rig, ACQ));
	ASSERT_OK(rig_enable(&rig));
	ASSERT_OK(rig_queue(&rig, 1, 16, -1));
}

TEST(shuts_down)
{
	start_io("");
	rig_w32(&rig, CC, RIG_CC | 1 << 14);
	EXPECT_TRUE((rig_r32(&rig, CSTS) >> 2 & 3) != 0);
	EXPECT_TRUE(RIG_UNTIL((rig_r32(&rig, CSTS) >> 2 & 3) == 2));
	EXPECT_EQ(1, rig_r32(&rig, CSTS) & 3);
	/* A reset, and it goes on. */
	ASSERT_OK(rig_disable(&rig));
	EXPECT_EQ(0, rig_r32(&rig, CSTS));
	ASSERT_OK(rig_enable(&rig));
	EXPECT_OK(rig_identify(&rig, 1, 0, rig_alloc(&rig, 4096)));
}

/* Without bus mastering nothing happens; with it, everything that was meanwhile asked. */
TEST(waits_for_bus_mastering)
{
	struct rig_sqe sqe = { .opcode = 0x06, .cdw10 = 1 };
	struct rig_cqe cqe;

	start("");
	sqe.prp1 = rig_alloc(&rig, 4096);
	rig_command(&rig, false);
	rig_put(&rig, &rig.q[0], &sqe);
	rig_ring_tail(&rig, &rig.q[0]);
	usleep(20000);
	EXPECT_TRUE(!rig_take(&rig, &rig.q[0], &cqe));
	rig_command(&rig, true);
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_RC(0, rig_status(&cqe));
}

TEST(does_nothing_while_it_sleeps)
{
	struct rig_sqe sqe = { .opcode = 0x06, .cdw10 = 1 };
	struct rig_cqe cqe;
	unsigned int pm;
	uint16_t state = 3;

	start("");
	sqe.prp1 = rig_alloc(&rig, 4096);
	rig_put(&rig, &rig.q[0], &sqe);
	pm = pci_find_cap(rig.func, 0x01);
	pci_config_write(rig.func, pm + 4, &state, sizeof(state));
	rig_ring_tail(&rig, &rig.q[0]);
	usleep(20000);
	EXPECT_TRUE(!rig_take(&rig, &rig.q[0], &cqe));
	state = 0;
	pci_config_write(rig.func, pm + 4, &state, sizeof(state));
	/* Registers did not answer, or it has been reset: either way it can be enabled. */
	rig_command(&rig, true);
	ASSERT_OK(rig_disable(&rig));
	ASSERT_OK(rig_enable(&rig));
	EXPECT_OK(rig_identify(&rig, 1, 0, rig_alloc(&rig, 4096)));
}

static bool is_text(const u8 *at, const char *text, size_t n)
{
	size_t i, length = strlen(text);

	for (i = 0; i < n; i++) {
		if (at[i] != (i < length ? (u8)text[i] : ' '))
			return false;
	}
	return true;
}

TEST(identifies_the_controller)
{
	const u8 *id;
	u64 to;

	start("serial=S123,mdts=5,size=1M,size2=3M");
	to = rig_alloc(&rig, 4096);
	id = rig_at(&rig, to);
	ASSERT_OK(rig_identify(&rig, 1, 0, to));
	EXPECT_TRUE(is_text(id + 4, "S123", 20));
	EXPECT_TRUE(is_text(id + 24, "softiommu NVMe", 40));
	EXPECT_EQ(5, id[77]);			   /* MDTS */
	EXPECT_EQ(0x10400, le32(id, 80));	   /* VER */
	EXPECT_EQ(1, id[111]);			   /* CNTRLTYPE */
	EXPECT_EQ(1u << 8, le16(id, 256));	   /* OACS: Doorbell Buffer Config */
	EXPECT_TRUE(id[258] >= 3);		   /* ACL */
	EXPECT_TRUE(id[259] >= 3);		   /* AERL */
	EXPECT_EQ(4 * 1024 * 1024, le64(id, 280)); /* TNVMCAP */
	EXPECT_EQ(0x66, id[512]);		   /* SQES */
	EXPECT_EQ(0x44, id[513]);		   /* CQES */
	EXPECT_EQ(2, le32(id, 516));		   /* NN */
	/* ONCS: compare, dataset management, write zeroes, select, timestamp, verify. */
	EXPECT_EQ(0x01 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80, le16(id, 520));
	EXPECT_EQ(0, le16(id, 522));	 /* FUSES */
	EXPECT_EQ(7, id[525]);		 /* VWC */
	EXPECT_EQ(1, le32(id, 536) & 3); /* SGLS */
	EXPECT_TRUE(!strncmp((const char *)id + 768, "nqn.2014-08.org.nvmexpress:uuid:", 32));
	EXPECT_EQ(32 + 36, strlen((const char *)id + 768));
}

TEST(identifies_namespaces)
{
	const u8 *id;
	u64 to;

	start("size=1M,size2=3M,block=4096");
	to = rig_alloc(&rig, 4096);
	id = rig_at(&rig, to);
	ASSERT_OK(rig_identify(&rig, 0, 2, to));
	EXPECT_EQ(768, le64(id, 0));  /* NSZE */
	EXPECT_EQ(768, le64(id, 8));  /* NCAP */
	EXPECT_EQ(768, le64(id, 16)); /* NUSE */
	EXPECT_EQ(0, id[25]);	      /* NLBAF: one */
	EXPECT_EQ(0, id[26]);	      /* FLBAS */
	EXPECT_EQ(1, id[33] & 7);     /* DLFEAT: deallocated blocks are zeros */
	EXPECT_EQ(0, id[99]);	      /* NSATTR */
	EXPECT_EQ(12, id[128 + 2]);   /* LBADS */
	EXPECT_EQ(0, le16(id, 128));  /* MS */

	ASSERT_OK(rig_identify(&rig, 2, 0, to)); /* active namespaces above 0 */
	EXPECT_EQ(1, le32(id, 0));
	EXPECT_EQ(2, le32(id, 4));
	EXPECT_EQ(0, le32(id, 8));
	ASSERT_OK(rig_identify(&rig, 2, 1, to));
	EXPECT_EQ(2, le32(id, 0));
	EXPECT_EQ(0, le32(id, 4));
	ASSERT_OK(rig_identify(&rig, 2, 2, to));
	EXPECT_EQ(0, le32(id, 0));

	ASSERT_OK(rig_identify(&rig, 3, 1, to));
	EXPECT_EQ(2, id[0]); /* NGUID */
	EXPECT_EQ(16, id[1]);
	EXPECT_EQ(3, id[20]); /* UUID */
	EXPECT_EQ(16, id[21]);
	EXPECT_EQ(0, id[40]);

	/* Invalid Namespace or Format: 0Bh; Invalid Field: 02h. */
	EXPECT_RC(0x400b, rig_identify(&rig, 0, 0, to));
	EXPECT_RC(0x400b, rig_identify(&rig, 0, 3, to));
	EXPECT_RC(0x400b, rig_identify(&rig, 0, 0xffffffff, to));
	EXPECT_RC(0x400b, rig_identify(&rig, 2, 0xfffffffe, to));
	EXPECT_RC(0x400b, rig_identify(&rig, 2, 0xffffffff, to));
	EXPECT_RC(0x400b, rig_identify(&rig, 3, 3, to));
	EXPECT_RC(0x4002, rig_identify(&rig, 0x55, 0, to));
	/* No SGLs for admin commands. */
	EXPECT_RC(0x4002,
		  rig_do(&rig, 0,
			 &(struct rig_sqe){ .opcode = 6, .flags = 0x40, .prp1 = to, .cdw10 = 1 }));
	/* Invalid Command Opcode; fused. */
	EXPECT_RC(0x4001, rig_do(&rig, 0, &(struct rig_sqe){ .opcode = 0x7f }));
	EXPECT_RC(0x4002, rig_do(&rig, 0, &(struct rig_sqe){ .opcode = 6, .flags = 1 }));
}

TEST(two_controllers_have_different_names)
{
	u8 first[4096];
	u64 to;

	start("size=1M");
	to = rig_alloc(&rig, 4096);
	ASSERT_OK(rig_identify(&rig, 1, 0, to));
	memcpy(first, rig_at(&rig, to), sizeof(first));
	rig_unplug(&rig);
	ASSERT_OK(rig_plug(&rig, "size=2M"));
	ASSERT_OK(rig_enable(&rig));
	to = rig_alloc(&rig, 4096);
	ASSERT_OK(rig_identify(&rig, 1, 0, to));
	EXPECT_TRUE(memcmp(first + 4, (u8 *)rig_at(&rig, to) + 4, 20));
	EXPECT_TRUE(memcmp(first + 768, (u8 *)rig_at(&rig, to) + 768, 68));
}

TEST(refuses_bad_options)
{
	static const char *const bad[] = {
		"queues=0",
		"queues=512",
		"queue-entries=1",
		"vectors=0",
		"block=1024",
		"mdts=11",
		"workers=9",
		"nonsense=1",
		"size=1",
		"cmb=100",
		"spin=2000",
		"poll=maybe",
		"serial=123456789012345678901",
		"size=1M,size3=1M",
	};
	unsigned int i;

	ASSERT_OK(rig_machine(&rig));
	rig_there = true;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig.error[0] = '\0';
		EXPECT_RC(-EINVAL, rig_plug(&rig, bad[i]));
		EXPECT_TRUE(rig.error[0]);
		EXPECT_EQ(0, atomic_load(&rig.alloc.blocks));
	}
	EXPECT_RC(-ENOENT, rig_plug(&rig, "file=/nonexistent/image"));
	EXPECT_TRUE(strstr(rig.error, "/nonexistent/image"));
	EXPECT_RC(-ENOTBLK, rig_plug(&rig, "file=/dev/null"));
}

static bool is_next(void *arg)
{
	_Atomic int *left = arg;

	return atomic_fetch_sub(left, 1) == 0;
}

TEST(leaves_nothing_behind_when_memory_is_short)
{
	_Atomic int left;
	int n, rc = -ENOMEM;

	ASSERT_OK(rig_machine(&rig));
	rig_there = true;
	rig.alloc.should_fail = is_next;
	rig.alloc.should_fail_arg = &left;
	for (n = 0; rc && n < 100; n++) {
		atomic_store(&left, n);
		rc = rig_plug(&rig, "size=1M,size2=1M,workers=2,cmb=64K");
		if (!rc)
			break;
		EXPECT_RC(-ENOMEM, rc);
		EXPECT_EQ(0, atomic_load(&rig.alloc.blocks));
	}
	EXPECT_TRUE(n > 5 && n < 100);
	EXPECT_OK(rig_enable(&rig));
}

/**
 * struct word - a feature of one word
 * @fid: its number
 * @initial: as it begins
 * @other: another value
 */
struct word {
	u32 fid;
	u32 initial;
	u32 other;
};

static const struct word words[] = {
	{ 0x01, 4, 0x01020303 }, /* arbitration */
	{ 0x02, 0, 0x20 },	 /* power management: a workload hint */
	{ 0x06, 1, 0 },		 /* volatile write cache */
	{ 0x08, 0, 0x1234 },	 /* interrupt coalescing */
	{ 0x0a, 0, 1 },		 /* write atomicity */
	{ 0x0b, 0, 0x1ff },	 /* asynchronous events */
};

TEST(keeps_features_until_a_reset)
{
	unsigned int i;
	u32 value;

	start("");
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct word *w = &words[i];

		EXPECT_OK(rig_get_feature(&rig, w->fid, 0, 0, 0, &value));
		EXPECT_EQ(w->initial, value);
		EXPECT_OK(rig_set_feature(&rig, w->fid, 0, w->other, 0));
		EXPECT_OK(rig_get_feature(&rig, w->fid, 0, 0, 0, &value));
		EXPECT_EQ(w->other, value);
		/* The default, and what is saved; what it can: changeable, no more. */
		EXPECT_OK(rig_get_feature(&rig, w->fid | 1 << 8, 0, 0, 0, &value));
		EXPECT_EQ(w->initial, value);
		EXPECT_OK(rig_get_feature(&rig, w->fid | 2 << 8, 0, 0, 0, &value));
		EXPECT_EQ(w->initial, value);
		EXPECT_OK(rig_get_feature(&rig, w->fid | 3 << 8, 0, 0, 0, &value));
		EXPECT_EQ(4, value);
		EXPECT_RC(0x4002, rig_get_feature(&rig, w->fid | 4 << 8, 0, 0, 0, &value));
		/* Feature Identifier Not Saveable; Feature Not Namespace Specific. */
		EXPECT_RC(0x410d, rig_set_feature(&rig, w->fid | 1u << 31, 0, w->other, 0));
		EXPECT_RC(0x410f, rig_set_feature(&rig, w->fid, 1, w->other, 0));
	}
	ASSERT_OK(rig_disable(&rig));
	ASSERT_OK(rig_enable(&rig));
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		EXPECT_OK(rig_get_feature(&rig, words[i].fid, 0, 0, 0, &value));
		EXPECT_EQ(words[i].initial, value);
	}
}

TEST(has_other_features)
{
	u64 data, at;
	u32 value;

	start("queues=10,vectors=7");
	data = rig_alloc(&rig, 4096);
	/* Number of queues, counted from 0. */
	EXPECT_OK(rig_get_feature(&rig, 0x07, 0, 0, 0, &value));
	EXPECT_EQ(9 << 16 | 9, value);
	EXPECT_OK(rig_set_feature(&rig, 0x07, 0, 3 << 16 | 3, 0));
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x07, 0, 0xffff, 0));
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x07, 0, 0xffff0000, 0));
	ASSERT_OK(rig_queue(&rig, 1, 16, -1));
	EXPECT_RC(0x400c, rig_set_feature(&rig, 0x07, 0, 3 << 16 | 3, 0)); /* sequence */
	/* Vector configuration. */
	EXPECT_OK(rig_set_feature(&rig, 0x09, 0, 1 << 16 | 6, 0));
	EXPECT_OK(rig_get_feature(&rig, 0x09, 0, 6, 0, &value));
	EXPECT_EQ(1 << 16 | 6, value);
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x09, 0, 7, 0));
	EXPECT_RC(0x4002, rig_get_feature(&rig, 0x09, 0, 7, 0, &value));
	/* Error recovery belongs to namespaces. */
	EXPECT_OK(rig_set_feature(&rig, 0x05, 1, 77, 0));
	EXPECT_OK(rig_get_feature(&rig, 0x05, 1, 0, 0, &value));
	EXPECT_EQ(77, value);
	EXPECT_OK(rig_get_feature(&rig, 0x305, 1, 0, 0, &value));
	EXPECT_EQ(6, value);
	EXPECT_RC(0x400b, rig_set_feature(&rig, 0x05, 2, 77, 0));
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x05, 1, 1 << 16, 0));
	/* There is one power state. */
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x02, 0, 1, 0));
	/* The time goes on from what was set. */
	*(u64 *)rig_at(&rig, data) = 1000000;
	EXPECT_OK(rig_set_feature(&rig, 0x0e, 0, 0, data));
	EXPECT_OK(rig_get_feature(&rig, 0x0e, 0, 0, data, &value));
	at = *(u64 *)rig_at(&rig, data);
	EXPECT_TRUE((at & 0xffffffffffff) >= 1000000 && (at & 0xffffffffffff) < 1030000);
	EXPECT_EQ(1, at >> 49 & 7);
	/* Host behaviour. */
	memset(rig_at(&rig, data), 0, 512);
	*(u8 *)rig_at(&rig, data) = 1;
	EXPECT_OK(rig_set_feature(&rig, 0x16, 0, 0, data));
	memset(rig_at(&rig, data), 0xff, 512);
	EXPECT_OK(rig_get_feature(&rig, 0x16, 0, 0, data, &value));
	EXPECT_EQ(1, *(u64 *)rig_at(&rig, data));
	/* None of these. */
	EXPECT_RC(0x4002, rig_get_feature(&rig, 0x00, 0, 0, 0, &value));
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x0d, 0, 0, 0));
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0xc0, 0, 0, 0));
}

TEST(logs_errors)
{
	const u8 *log;
	u64 to;

	start("");
	to = rig_alloc(&rig, 8192);
	log = rig_at(&rig, to);
	EXPECT_RC(0x400b, rig_identify(&rig, 0, 9, to));
	EXPECT_RC(0x4001, rig_do(&rig, 0, &(struct rig_sqe){ .opcode = 0x7f, .nsid = 5 }));
	EXPECT_OK(rig_log_page(&rig, 0x01, 0, 192, to));
	/* The newest first: count, queue, command, status, namespace. */
	EXPECT_EQ(2, le64(log, 0));
	EXPECT_EQ(0, le16(log, 8));
	EXPECT_EQ(1, le16(log, 10));
	EXPECT_EQ(0x4001, le16(log, 12) >> 1);
	EXPECT_EQ(5, le32(log, 24));
	EXPECT_EQ(1, le64(log, 64));
	EXPECT_EQ(0x400b, le16(log, 76) >> 1);
	EXPECT_EQ(9, le32(log, 88));
	EXPECT_EQ(0, le64(log, 128));
	/* From an offset. */
	EXPECT_OK(rig_log_page(&rig, 0x01, 64, 64, to));
	EXPECT_EQ(1, le64(log, 0));
	EXPECT_RC(0x4002, rig_log_page(&rig, 0x01, 2, 64, to));
	EXPECT_RC(0x4002, rig_log_page(&rig, 0x01, 4100, 64, to));
	/* Invalid Log Page. */
	EXPECT_RC(0x4109, rig_log_page(&rig, 0x00, 0, 64, to));
	EXPECT_RC(0x4109, rig_log_page(&rig, 0xc0, 0, 64, to));
}

TEST(says_how_it_is)
{
	struct rig_sqe sqe;
	const u8 *log;
	u64 to;

	start_io("");
	to = rig_alloc(&rig, 8192);
	log = rig_at(&rig, to);
	sqe = rig_rw(0x02, 0, 8, to, 0);
	ASSERT_OK(rig_do(&rig, 1, &sqe));
	sqe = rig_rw(0x01, 0, 16, to, to + 4096);
	ASSERT_OK(rig_do(&rig, 1, &sqe));
	ASSERT_OK(rig_do(&rig, 1, &sqe));
	ASSERT_OK(rig_log_page(&rig, 0x02, 0, 512, to));
	EXPECT_EQ(0, log[0]);		 /* no warning */
	EXPECT_TRUE(le16(log, 1) > 273); /* K */
	EXPECT_EQ(100, log[3]);
	EXPECT_EQ(1, le64(log, 32)); /* data units read, rounded up */
	EXPECT_EQ(1, le64(log, 48));
	EXPECT_EQ(1, le64(log, 64)); /* commands */
	EXPECT_EQ(2, le64(log, 80));
	EXPECT_EQ(0, le64(log, 160)); /* media errors */
	/* Firmware slots; changed namespaces; commands. */
	ASSERT_OK(rig_log_page(&rig, 0x03, 0, 512, to));
	EXPECT_EQ(1, log[0]);
	EXPECT_TRUE(log[8] > ' ');
	ASSERT_OK(rig_log_page(&rig, 0x04, 0, 4096, to));
	EXPECT_EQ(0, le32(log, 0));
	ASSERT_OK(rig_log_page(&rig, 0x05, 0, 4096, to));
	EXPECT_EQ(1, le32(log, 4 * 0x06) & 1);
	EXPECT_EQ(0, le32(log, 4 * 0x10));
	EXPECT_EQ(3, le32(log, 1024 + 4 * 0x01) & 3);
	EXPECT_EQ(1, le32(log, 1024 + 4 * 0x02) & 3);
	EXPECT_EQ(0, le32(log, 1024 + 4 * 0x04));
}

static uint16_t ask_for_event(void)
{
	uint16_t cid = rig_put(&rig, &rig.q[0], &(struct rig_sqe){ .opcode = 0x0c });

	rig_ring_tail(&rig, &rig.q[0]);
	return cid;
}

TEST(tells_of_bad_doorbells)
{
	struct rig_cqe cqe;
	uint16_t cid;
	u64 to;

	start_io("");
	to = rig_alloc(&rig, 8192);
	cid = ask_for_event();
	rig_w32(&rig, 0x1000 + 8 * 5, 1); /* a queue that is not there */
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_EQ(cid, cqe.cid);
	EXPECT_RC(0, rig_status(&cqe));
	EXPECT_EQ(0x01 << 16 | 0x00 << 8 | 0, cqe.dw0); /* log 1, register, error */
	/* No more of that type until the log was read, and that without retaining. */
	ask_for_event();
	rig_w32(&rig, 0x1000 + 8 * 1, 64); /* beyond the queue */
	usleep(5000);
	EXPECT_TRUE(!rig_take(&rig, &rig.q[0], &cqe));
	{
		const struct rig_sqe retain = { .opcode = 0x02,
						.nsid = 0xffffffff,
						.prp1 = to,
						.cdw10 = 15 << 16 | 1 << 15 | 0x01 };

		EXPECT_OK(rig_do(&rig, 0, &retain));
	}
	rig_w32(&rig, 0x1000 + 8 * 1, 64);
	usleep(5000);
	EXPECT_TRUE(!rig_take(&rig, &rig.q[0], &cqe));
	EXPECT_OK(rig_log_page(&rig, 0x01, 0, 64, to));
	rig_w32(&rig, 0x1000 + 8 * 1, 64);
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_EQ(0x01 << 16 | 0x01 << 8 | 0, cqe.dw0);
	/* Entries that were not there cannot be given back. */
	EXPECT_OK(rig_log_page(&rig, 0x01, 0, 64, to));
	ask_for_event();
	rig_w32(&rig, 0x1000 + 8 * 1 + 4, 3);
	rig_w32(&rig, 0x1000 + 8 * 1, 1); /* the worker looks when there is something to do */
	rig_w32(&rig, 0x1000 + 8 * 1 + 4, 64);
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_EQ(0x01 << 16 | 0x01 << 8 | 0, cqe.dw0);
}

TEST(tells_of_heat)
{
	struct rig_cqe cqe;
	u64 to;

	start("");
	to = rig_alloc(&rig, 4096);
	ask_for_event();
	/* Nobody wants to know yet. */
	EXPECT_OK(rig_set_feature(&rig, 0x04, 0, 300, 0));
	EXPECT_OK(rig_set_feature(&rig, 0x0b, 0, 1 << 1, 0));
	usleep(5000);
	EXPECT_TRUE(!rig_take(&rig, &rig.q[0], &cqe));
	{
		const struct rig_sqe sqe = { .opcode = 0x09, .cdw10 = 0x04, .cdw11 = 290 };
		bool set = false, told = false;
		uint16_t cid = rig_put(&rig, &rig.q[0], &sqe);

		rig_ring_tail(&rig, &rig.q[0]);
		while (!set || !told) {
			ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
			EXPECT_RC(0, rig_status(&cqe));
			set |= cqe.cid == cid;
			told |= cqe.cid != cid && cqe.dw0 == (0x02 << 16 | 0x01 << 8 | 1);
		}
	}
	ASSERT_OK(rig_log_page(&rig, 0x02, 0, 512, to));
	EXPECT_EQ(2, *(u8 *)rig_at(&rig, to));
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x04, 0, 1 << 16 | 300, 0)); /* no sensor */
	EXPECT_RC(0x4002, rig_set_feature(&rig, 0x04, 0, 2 << 20 | 300, 0));
}

TEST(takes_four_requests_for_events_and_aborts_them)
{
	struct rig_cqe cqe;
	uint16_t cid[5], id;
	unsigned int i;

	start("");
	for (i = 0; i < 5; i++)
		cid[i] = ask_for_event();
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_EQ(cid[4], cqe.cid);
	EXPECT_RC(0x4105, rig_status(&cqe)); /* limit exceeded */
	/* Abort: the command's completion comes first. */
	id = rig_put(&rig, &rig.q[0],
		     &(struct rig_sqe){ .opcode = 0x08, .cdw10 = (u32)cid[1] << 16 });
	rig_ring_tail(&rig, &rig.q[0]);
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_EQ(cid[1], cqe.cid);
	EXPECT_RC(0x0007, rig_status(&cqe));
	ASSERT_OK(rig_wait(&rig, &rig.q[0], &cqe));
	EXPECT_EQ(id, cqe.cid);
	EXPECT_RC(0, rig_status(&cqe));
	EXPECT_EQ(0, cqe.dw0 & 1);
	/* What is not there is not aborted, which is no error. */
	EXPECT_RC(0, rig_do_full(&rig, 0,
				 &(struct rig_sqe){ .opcode = 0x08, .cdw10 = (u32)cid[1] << 16 },
				 &cqe));
	EXPECT_EQ(1, cqe.dw0 & 1);
	EXPECT_RC(0, rig_do_full(&rig, 0, &(struct rig_sqe){ .opcode = 0x08, .cdw10 = 1 }, &cqe));
	EXPECT_EQ(1, cqe.dw0 & 1);
}

TEST(is_fatal_when_its_queues_are_out_of_reach)
{
	start("");
	ASSERT_OK(rig_disable(&rig));
	/* The completion queue is nowhere. */
	rig_w64(&rig, ACQ, 0x10000);
	rig_w32(&rig, CC, RIG_CC);
	ASSERT_OK(rig_ready(&rig, true));
	rig_queue_init(&rig, 0, 32);
	rig_put(&rig, &rig.q[0], &(struct rig_sqe){ .opcode = 0x08 });
	rig_ring_tail(&rig, &rig.q[0]);
	/* It reads the entry from the queue of before; whatever it says, it is completed. */
	EXPECT_TRUE(RIG_UNTIL(rig_r32(&rig, CSTS) & 2));
	ASSERT_OK(rig_disable(&rig));
	EXPECT_EQ(0, rig_r32(&rig, CSTS));
	/* The submission queue is nowhere. */
	rig_w64(&rig, ACQ, rig.q[0].cq);
	rig_w64(&rig, ASQ, 0x10000);
	rig_w32(&rig, CC, RIG_CC);
	ASSERT_OK(rig_ready(&rig, true));
	rig_w32(&rig, 0x1000, 1);
	EXPECT_TRUE(RIG_UNTIL(rig_r32(&rig, CSTS) & 2));
	ASSERT_OK(rig_disable(&rig));
	ASSERT_OK(rig_enable(&rig));
	EXPECT_OK(rig_identify(&rig, 1, 0, rig_alloc(&rig, 4096)));
}

static _Atomic bool flapping;

static void *flap(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (atomic_load(&flapping)) {
		rig_w32(&rig, CC, unit_random(&seed) & 1 ? RIG_CC : RIG_CC & ~1u);
		if (unit_random(&seed) % 16 == 0)
			rig_w32(&rig, CC, RIG_CC | 1 << 14);
		rig_w32(&rig, 0x1000 + 4 * (unit_random(&seed) % 8), (u32)unit_random(&seed) % 40);
		if (unit_random(&seed) % 64 == 0)
			pci_func_reset(rig.func);
		rig_command(&rig, true);
	}
	return NULL;
}

TEST(survives_threads_that_disagree)
{
	pthread_t threads[3];
	unsigned int i;

	start_io("workers=2");
	atomic_store(&flapping, true);
	for (i = 0; i < 3; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, flap, (void *)(uintptr_t)(i + 1)));
	usleep(300000);
	atomic_store(&flapping, false);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	pci_func_reset(rig.func);
	ASSERT_OK(rig_enable(&rig));
	EXPECT_OK(rig_identify(&rig, 1, 0, rig_alloc(&rig, 4096)));
}
