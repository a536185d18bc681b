// SPDX-License-Identifier: MIT
/*
 * Everything that may be done to a function, by several threads at once: commands, resets,
 * configuration space, interrupts, stopping and going on, saving and loading, mapping and
 * unmapping. No call may hang, and afterwards the device works.
 */
#include <pthread.h>

#include "edu_rig.h"

static _Atomic bool over;

/*
 * Saving and loading are for a function that is stopped, and a reset sets it going: who owns
 * one, as VFIO does, lets none come in between. Who may reset it holds this for reading.
 */
static pthread_rwlock_t migrating = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

/* Random numbers of its own for each thread. */
static void *commands(void *arg)
{
	uint64_t seed = addr(arg);
	u64 block[8] = { 0 };

	while (!atomic_load(&over)) {
		block[0] = (IOVA + unit_random(&seed) % BYTES) & ~7ull;
		block[1] = IOVA + unit_random(&seed) % BYTES;
		block[2] = unit_random(&seed) % (2 * PAGE);
		block[3] = unit_random(&seed) % 8192;
		block[7] = unit_random(&seed) % EDU_OPS;
		block[7] |= unit_random(&seed) & EDU_CMD_ALL & ~EDU_CMD_OP;
		block[7] <<= 32;
		EXPECT_OK(pci_bar_write(edu, EDU_REG_BAR, EDU_ADDR, block, sizeof(block)));
		if (unit_random(&seed) % 4 == 0)
			put32(EDU_CONTROL, EDU_CONTROL_STOP);
		get_of(edu, EDU_PROGRESS, 8);
	}
	return NULL;
}

static void *config(void *arg)
{
	uint64_t seed = addr(arg);
	u8 buf[64];

	while (!atomic_load(&over)) {
		unsigned int n = 1 + unit_random(&seed) % 4;
		u64 value = unit_random(&seed);

		pthread_rwlock_rdlock(&migrating);
		pci_config_write(edu, unit_random(&seed) % 512, &value, n);
		pci_config_read(edu, unit_random(&seed) % 512, buf, sizeof(buf));
		func_on(edu);
		pthread_rwlock_unlock(&migrating);
	}
	return NULL;
}

static void *interrupts(void *arg)
{
	uint64_t seed = addr(arg);
	u32 entry[4] = { 0 };

	while (!atomic_load(&over)) {
		pci_irq_set_mode(edu, unit_random(&seed) % 4, unit_random(&seed) % 20);
		put32(EDU_MESSAGE, unit_random(&seed) % 20);
		put32(EDU_INT_RAISE, unit_random(&seed) & 3);
		entry[3] = unit_random(&seed) & 1;
		EXPECT_OK(pci_bar_write(edu, EDU_REG_BAR,
					EDU_TABLE_PAGE + unit_random(&seed) % 16 * 16, entry, 16));
		put32(EDU_INT_ACK, 3);
		pci_irq_listen(edu, unit_random(&seed) & 1 ? &sink : NULL, NULL);
	}
	return NULL;
}

static void *resets(void *arg)
{
	uint64_t seed = addr(arg);

	while (!atomic_load(&over)) {
		pthread_rwlock_rdlock(&migrating);
		pci_func_reset(edu);
		pthread_rwlock_unlock(&migrating);
		func_on(edu);
		sleep_us(unit_random(&seed) % 500);
	}
	return NULL;
}

static void *migration(void *arg)
{
	uint64_t seed = addr(arg);
	size_t n = edu->ops->save(edu, NULL, 0);
	u8 *state = malloc(n);

	while (!atomic_load(&over)) {
		pthread_rwlock_wrlock(&migrating);
		edu->ops->stop(edu);
		EXPECT_EQ(n, edu->ops->save(edu, state, n));
		EXPECT_OK(edu->ops->load(edu, state, n));
		edu->ops->run(edu);
		pthread_rwlock_unlock(&migrating);
		sleep_us(unit_random(&seed) % 500);
	}
	free(state);
	return NULL;
}

static void none(void *arg, u64 iova, u64 n)
{
	(void)arg;
	(void)iova;
	(void)n;
}

static void *logging(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		EXPECT_OK(pci_dma_log_start(edu, 0, (1ull << 40) - 1, PAGE));
		EXPECT_OK(pci_dma_log_read(edu, 0, 1ull << 40, none, NULL));
		sleep_us(100);
		pci_dma_log_stop(edu);
	}
	return NULL;
}

TEST(storm)
{
	static void *(*const what[])(void *) = { commands, commands,  config, interrupts,
						 resets,   migration, logging };
	pthread_t threads[ARRAY_SIZE(what)];
	uint64_t seed = unit_seed();
	unsigned int i;

	atomic_store(&over, false);
	edu_begin("memory=16K");
	for (i = 0; i < ARRAY_SIZE(what); i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, what[i],
					 (void *)(uintptr_t)(unit_random(&seed) | 1)));
	for (i = 0; i < 50; i++) {
		ASSERT_OK(unmap(r.ioas, IOVA, BYTES));
		sleep_us(5000);
		ASSERT_OK(map_at(r.ioas, ram, BYTES, IOVA));
		sleep_us(5000);
	}
	atomic_store(&over, true);
	for (i = 0; i < ARRAY_SIZE(what); i++)
		pthread_join(threads[i], NULL);
	pci_func_reset(edu);
	func_on(edu);
	put64(EDU_OPERAND, 0x0808080808080808);
	EXPECT_EQ(EDU_OK, run(EDU_FILL, IOVA, BYTES));
	EXPECT_EQ(8, ram[BYTES - 1]);
	edu_end();
}
