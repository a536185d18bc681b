// SPDX-License-Identifier: MIT
/*
 * The 82576 model: frames that come back, by the data sheet's descriptors and registers.
 */
#include "engine_rig.h"

#define CTRL   0x0000
#define STATUS 0x0008
#define EECD   0x0010
#define MDIC   0x0020
#define RCTL   0x0100
#define TCTL   0x0400
#define GPIE   0x1514
#define EICS   0x1520
#define EIMS   0x1524
#define EIMC   0x1528
#define EIAC   0x152c
#define EIAM   0x1530
#define EICR   0x1580
#define IVAR0  0x1700
#define RDBAL  0x2800
#define RDBAH  0x2804
#define RDLEN  0x2808
#define SRRCTL 0x280c
#define RDH    0x2810
#define RDT    0x2818
#define RXDCTL 0x2828
#define TDBAL  0x3800
#define TDBAH  0x3804
#define TDLEN  0x3808
#define TDH    0x3810
#define TDT    0x3818
#define TXDCTL 0x3828
#define RAL0   0x5400
#define RAH0   0x5404

#define ENABLE	 (1u << 25)
#define ADVANCED 0x20300000u
#define EOP	 (1u << 24)
#define IFCS	 (1u << 25)
#define RS	 (1u << 27)
#define RINGS	 256u

struct tx {
	uint64_t buffer;
	uint32_t command;
	volatile uint32_t status;
};

struct rx {
	uint64_t buffer;
	volatile uint32_t status;
	uint16_t length;
	uint16_t vlan;
};

#define TX  0x000000ull
#define RX  0x010000ull
#define SRC 0x200000ull
#define DST 0x400000ull

static uint32_t get(uint32_t reg)
{
	return get_reg(0, reg, 4);
}

static void set(uint32_t reg, uint32_t value)
{
	set_reg(0, reg, value, 4);
}

static struct tx *tx(unsigned int i)
{
	return (struct tx *)(bench.ram + TX) + i;
}

static struct rx *rx(unsigned int i)
{
	return (struct rx *)(bench.ram + RX) + i;
}

static uint32_t phy(uint32_t reg, uint32_t op, uint16_t data)
{
	set(MDIC, data | reg << 16 | 1 << 21 | op << 26);
	WAIT_FOR(get(MDIC) & 1u << 28);
	return get(MDIC);
}

static void put_tx(unsigned int i, uint64_t from, uint32_t n, uint32_t flags)
{
	*tx(i) = (struct tx){ .buffer = from, .command = n | flags };
}

static void put_rx(unsigned int i, uint64_t to)
{
	*rx(i) = (struct rx){ .buffer = to };
}

/* Rings, an address, loopback, one vector. */
static void set_up(void)
{
	phy(0, 1, 0x4140);
	set(CTRL, 0x1a41);
	set(TDBAL, (uint32_t)(RAM + TX));
	set(TDBAH, (RAM + TX) >> 32);
	set(TDLEN, RINGS * 16);
	set(RDBAL, (uint32_t)(RAM + RX));
	set(RDBAH, (RAM + RX) >> 32);
	set(RDLEN, RINGS * 16);
	set(SRRCTL, 1 << 25);
	set(TXDCTL, ENABLE);
	set(RXDCTL, ENABLE);
	/* Not before all of it is enabled. */
	EXPECT_EQ(0, get(TXDCTL) & ENABLE);
	EXPECT_EQ(0, get(RXDCTL) & ENABLE);
	set(RCTL, 0x0400801a);
	set(TCTL, 0xa);
	EXPECT_TRUE(get(TXDCTL) & ENABLE);
	EXPECT_TRUE(get(RXDCTL) & ENABLE);
	EXPECT_TRUE(get(STATUS) & 2);
	set(GPIE, 0x40000010);
	set(EIAC, 1);
	set(EIAM, 1);
	set(IVAR0, 0x80);
	set(EIMS, 1);
}

static void begin(void)
{
	bench_begin("igb", "");
	set_up();
}

/* Frame @i of @n bytes goes and comes back. */
static void exchange(unsigned int i, uint32_t n)
{
	put_rx(i, RAM + DST);
	put_tx(i, RAM + SRC, n, ADVANCED | EOP | IFCS);
	set(RDT, (i + 1) % RINGS);
	set(TDT, (i + 1) % RINGS);
	WAIT_FOR(rx(i)->status & 1);
	WAIT_FOR(get(TDH) == (i + 1) % RINGS);
}

TEST(it_looks_as_drivers_expect)
{
	bench_begin("igb", "");
	EXPECT_EQ(0x10c98086, get_config(0, 4));
	EXPECT_EQ(0x0200, get_config(PCI_CLASS_DEVICE, 2));
	EXPECT_EQ(0x300, get(EECD));
	EXPECT_EQ(0, get(STATUS) & 2);
	set(CTRL, 1u << 26);
	WAIT_FOR(!(get(CTRL) & 1u << 26));
	EXPECT_EQ(0x300, get(EECD));
	/* The PHY answers at its own address. */
	EXPECT_EQ(0, phy(0, 1, 0x1200) >> 30 & 1);
	EXPECT_EQ(0x1000, phy(0, 2, 0) & 0xffff);
	set(MDIC, 2 << 21 | 2 << 26);
	EXPECT_EQ(5, get(MDIC) >> 28);
	bench_end();
}

TEST(frames_come_back)
{
	uint64_t seed = unit_seed();
	unsigned int i;

	begin();
	for (i = 0; i < 600; i++) {
		uint32_t n = 60 + unit_random(&seed) % 1900;

		fill_random(bench.ram + SRC, n, &seed);
		memset(bench.ram + DST, 0, 2048);
		exchange(i % RINGS, n);
		EXPECT_EQ(3, rx(i % RINGS)->status);
		EXPECT_EQ(n, rx(i % RINGS)->length);
		EXPECT_MEM(bench.ram + SRC, bench.ram + DST, n);
		EXPECT_EQ(0, bench.ram[DST + n]);
	}
	bench_end();
}

TEST(a_frame_in_pieces)
{
	uint64_t seed = unit_seed();
	unsigned int i;

	begin();
	fill_random(bench.ram + SRC, 5000, &seed);
	/* A descriptor for offloads before it, three with data, three buffers for it. */
	put_tx(0, 0, 0, 0x20200000);
	put_tx(1, RAM + SRC, 100, ADVANCED | IFCS);
	put_tx(2, RAM + SRC + 100, 2900, ADVANCED | IFCS);
	put_tx(3, RAM + SRC + 3000, 2000, ADVANCED | IFCS | EOP | RS);
	for (i = 0; i < 3; i++)
		put_rx(i, RAM + DST + i * 2048);
	set(RDT, 3);
	set(TDT, 4);
	WAIT_FOR(tx(3)->status & 1);
	EXPECT_EQ(0, tx(1)->status);
	EXPECT_EQ(1, rx(0)->status);
	EXPECT_EQ(1, rx(1)->status);
	EXPECT_EQ(3, rx(2)->status);
	EXPECT_EQ(5000 - 4096, rx(2)->length);
	EXPECT_MEM(bench.ram + SRC, bench.ram + DST, 5000);
	/* Short ones are padded; with its checksum a frame has four bytes more. */
	set(RCTL, 0x0000801a);
	put_rx(3, RAM + DST);
	put_tx(4, RAM + SRC, 20, ADVANCED | IFCS | EOP);
	set(RDT, 4);
	set(TDT, 5);
	WAIT_FOR(rx(3)->status);
	EXPECT_EQ(64, rx(3)->length);
	bench_end();
}

/* What is not wanted, or has nowhere to go, is lost, and the next one is not. */
TEST(frames_that_are_lost)
{
	begin();
	memset(bench.ram + SRC, 'x', 64);
	set(RCTL, 0x04008002);
	put_rx(0, RAM + DST);
	set(RDT, 1);
	put_tx(0, RAM + SRC, 64, ADVANCED | IFCS | EOP | RS);
	set(TDT, 1);
	WAIT_FOR(tx(0)->status);
	EXPECT_EQ(0, rx(0)->status);
	/* Its own address. */
	set(RAL0, 0x78787878);
	set(RAH0, 0x80007878);
	put_tx(1, RAM + SRC, 64, ADVANCED | IFCS | EOP | RS);
	set(TDT, 2);
	WAIT_FOR(tx(1)->status);
	EXPECT_EQ(3, rx(0)->status);
	/* No buffer. */
	put_tx(2, RAM + SRC, 64, ADVANCED | IFCS | EOP | RS);
	set(TDT, 3);
	WAIT_FOR(tx(2)->status);
	EXPECT_EQ(1, get(RDH));
	/* No checksum. */
	put_rx(1, RAM + DST);
	set(RDT, 2);
	put_tx(3, RAM + SRC, 64, ADVANCED | EOP | RS);
	set(TDT, 4);
	WAIT_FOR(tx(3)->status);
	EXPECT_EQ(0, rx(1)->status);
	/* No loopback. */
	phy(0, 1, 0x0140);
	put_tx(4, RAM + SRC, 64, ADVANCED | IFCS | EOP | RS);
	set(TDT, 5);
	WAIT_FOR(tx(4)->status);
	EXPECT_EQ(0, rx(1)->status);
	bench_end();
}

TEST(interrupts)
{
	begin();
	set(EICS, 1);
	EXPECT_EQ(1, bench.messages[0]);
	/* It has cleared its cause, and masked itself. */
	EXPECT_EQ(0, get(EICR));
	EXPECT_EQ(0, get(EIMS));
	set(EICS, 1);
	EXPECT_EQ(1, bench.messages[0]);
	EXPECT_EQ(1, get(EICR));
	set(EIMS, 1);
	EXPECT_EQ(2, bench.messages[0]);
	set(EIMS, 1);
	exchange(0, 64);
	WAIT_FOR(bench.messages[0] == 3);
	/* Masked: the cause is there when the descriptor is. */
	set(EIMC, 1);
	exchange(1, 64);
	EXPECT_EQ(1, get(EICR));
	set(EICR, ~0u);
	set(EIMS, 1);
	EXPECT_EQ(3, bench.messages[0]);
	/* To send has a vector of its own. */
	set(IVAR0, 0x8500);
	set(EIMS, 1 << 5);
	put_tx(2, RAM + SRC, 64, ADVANCED | IFCS | EOP | RS);
	set(TDT, 3);
	WAIT_FOR(bench.messages[5] == 1);
	bench_end();
}

/* Memory that is not there stops it until it is reset. */
TEST(faults_and_resets)
{
	unsigned int i;

	begin();
	for (i = 0; i < 3; i++) {
		put_rx(0, i == 1 ? NOWHERE : RAM + DST);
		put_tx(0, i == 0 ? NOWHERE : RAM + SRC, 64, ADVANCED | IFCS | EOP);
		if (i == 2)
			set(TDBAH, 0x7f);
		set(RDT, 1);
		set(TDT, 1);
		sleep_ms(20);
		EXPECT_EQ(0, get(TDH));
		EXPECT_EQ(0, rx(0)->status);
		if (i == 1) {
			set(CTRL, 1u << 26);
			WAIT_FOR(get(EECD) & 0x200);
		} else {
			pci_func_reset(bench.func);
			bench_master();
			bench_listen(PCI_IRQ_MSIX);
		}
		set_up();
		exchange(0, 64);
		set(TDT, 0);
		set(RDT, 0);
		set(TDH, 0);
		set(RDH, 0);
	}
	bench_end();
}

static _Atomic bool changing;

static void *change_ring(void *arg)
{
	(void)arg;
	while (atomic_load(&changing)) {
		set(RDLEN, 0);
		set(RDLEN, RINGS * 16);
	}
	return NULL;
}

/* A driver that takes the ring away while a frame goes to several of its buffers. */
TEST(a_ring_that_goes_away)
{
	pthread_t thread;
	unsigned int i;

	begin();
	atomic_store(&changing, true);
	ASSERT_OK(pthread_create(&thread, NULL, change_ring, NULL));
	for (i = 0; i < 3000; i++) {
		unsigned int at = i % (RINGS - 16), n;

		for (n = 0; n < 8; n++)
			put_rx((at + n) % RINGS, RAM + DST);
		put_tx(i % RINGS, RAM + SRC, 12000, ADVANCED | EOP | IFCS | RS);
		set(RDH, at);
		set(RDT, (at + 8) % RINGS);
		set(TDT, (i + 1) % RINGS);
		WAIT_FOR(get(TDH) == (i + 1) % RINGS);
	}
	atomic_store(&changing, false);
	pthread_join(thread, NULL);
	pci_func_reset(bench.func);
	bench_master();
	bench_listen(PCI_IRQ_MSIX);
	set_up();
	exchange(0, 100);
	bench_end();
}

TEST(stores_everywhere)
{
	uint64_t seed = unit_seed();
	uint8_t bytes[64];
	unsigned int i;

	begin();
	for (i = 0; i < 30000; i++) {
		static const unsigned int sizes[] = { 4, 4, 4, 1, 2, 8, 64 };
		unsigned int n = sizes[unit_random(&seed) % 7];
		uint64_t at = unit_random(&seed) % (i % 4 ? 0x6000 : 0x20000);

		if (i % 3 == 0)
			at = (i % 2 ? 0x2800 : 0x3800) + unit_random(&seed) % 0x30;
		fill_random(bytes, sizeof(bytes), &seed);
		EXPECT_OK(pci_bar_write(bench.func, 0, at & ~(uint64_t)(n - 1), bytes, n));
	}
	pci_func_reset(bench.func);
	bench_master();
	bench_listen(PCI_IRQ_MSIX);
	set_up();
	exchange(0, 100);
	bench_end();
}
