// SPDX-License-Identifier: MIT
/* The table of ids: lowest free first, tombstones, growth, and against a plain model. */
#include "base/idtable.h"
#include "unit.h"

#define MODEL_IDS 5000

static struct base_alloc account;
static struct idtable table;

static void begin(void)
{
	memset(&account, 0, sizeof(account));
	idtable_init(&table, &account);
}

static void end(void)
{
	idtable_destroy(&table);
	EXPECT_EQ(0, account.blocks);
	EXPECT_EQ(0, account.bytes);
}

static u32 reserve(void)
{
	u32 id = 0;

	ASSERT_OK(idtable_reserve(&table, &id));
	return id;
}

static u32 publish(void *object)
{
	u32 id = reserve();

	idtable_publish(&table, id, object);
	return id;
}

TEST(first_id_is_1)
{
	int object;

	begin();
	EXPECT_TRUE(!idtable_find(&table, 0) && !idtable_find(&table, 1));
	EXPECT_EQ(1, publish(&object));
	EXPECT_TRUE(idtable_find(&table, 1) == &object);
	EXPECT_TRUE(!idtable_find(&table, 0) && !idtable_find(&table, 2));
	EXPECT_TRUE(!idtable_find(&table, UINT32_MAX));
	end();
}

TEST(lowest_free_is_reused_at_once)
{
	int object;
	u32 i;

	begin();
	for (i = 1; i <= 300; i++)
		EXPECT_EQ(i, publish(&object));
	idtable_release(&table, 130);
	idtable_release(&table, 7);
	idtable_release(&table, 299);
	EXPECT_TRUE(!idtable_find(&table, 7));
	EXPECT_EQ(7, publish(&object));
	EXPECT_EQ(130, publish(&object));
	EXPECT_EQ(299, publish(&object));
	EXPECT_EQ(301, publish(&object));
	EXPECT_EQ(301, table.nused);
	end();
}

TEST(reserved_ids_name_nothing)
{
	int object;
	u32 id;

	begin();
	id = reserve();
	EXPECT_TRUE(!idtable_find(&table, id));
	EXPECT_EQ(id + 1, publish(&object));
	idtable_publish(&table, id, &object);
	EXPECT_TRUE(idtable_find(&table, id) == &object);
	end();
}

TEST(tombstones_are_not_reused)
{
	int object;
	u32 id, next = 1;

	begin();
	id = publish(&object);
	idtable_unpublish(&table, id);
	EXPECT_TRUE(!idtable_find(&table, id));
	EXPECT_EQ(id + 1, publish(&object));
	EXPECT_TRUE(idtable_next(&table, &next) == &object);
	EXPECT_EQ(id + 1, next);
	EXPECT_EQ(2, table.nused);
	idtable_release(&table, id);
	EXPECT_EQ(id, publish(&object));
	end();
}

TEST(next_walks_in_order_and_skips_holes)
{
	int objects[3];
	u32 i, id = 0;

	begin();
	EXPECT_TRUE(!idtable_next(&table, &id));
	for (i = 1; i <= 500; i++)
		reserve();
	idtable_publish(&table, 64, &objects[0]);
	idtable_publish(&table, 65, &objects[1]);
	idtable_publish(&table, 500, &objects[2]);
	EXPECT_TRUE(idtable_next(&table, &id) == &objects[0] && id == 64);
	id++;
	EXPECT_TRUE(idtable_next(&table, &id) == &objects[1] && id == 65);
	id++;
	EXPECT_TRUE(idtable_next(&table, &id) == &objects[2] && id == 500);
	id++;
	EXPECT_TRUE(!idtable_next(&table, &id));
	end();
}

/* The search for a free id looks at words for 4096 and 262,144 ids: cross several of them. */
TEST(six_hundred_thousand_ids)
{
	const u32 n = 600000;
	int object;
	u32 i;

	begin();
	for (i = 1; i <= n; i++)
		if (publish(&object) != i)
			ASSERT_EQ(i, 0);
	idtable_release(&table, 524287);
	idtable_release(&table, 262144);
	idtable_release(&table, 150001);
	idtable_release(&table, 4096);
	idtable_release(&table, 63);
	EXPECT_EQ(63, publish(&object));
	EXPECT_EQ(4096, publish(&object));
	EXPECT_EQ(150001, publish(&object));
	EXPECT_EQ(262144, publish(&object));
	EXPECT_EQ(524287, publish(&object));
	EXPECT_EQ(n + 1, publish(&object));
	for (i = n + 1; i; i--)
		idtable_release(&table, i);
	EXPECT_EQ(0, table.nused);
	EXPECT_EQ(1, publish(&object));
	end();
}

static bool fail_on_demand(void *arg)
{
	int *left = arg;

	return *left && !--*left;
}

/* The three arrays grow together or not at all. */
TEST(growth_that_fails_changes_nothing)
{
	int left, object, n;
	u32 i, id;

	for (n = 1; n <= 4; n++) {
		begin();
		for (i = 1; i < 64; i++)
			publish(&object);
		account.should_fail = fail_on_demand;
		account.should_fail_arg = &left;
		left = n;
		EXPECT_RC(-ENOMEM, idtable_reserve(&table, &id));
		EXPECT_EQ(63, table.nused);
		EXPECT_EQ(4, account.blocks);
		for (i = 1; i < 64; i++)
			EXPECT_TRUE(idtable_find(&table, i) == &object);
		EXPECT_EQ(64, publish(&object));
		end();
	}
}

enum state { FREE, RESERVED, PUBLISHED };

static void step(u8 *model, u64 *seed)
{
	u32 id = (u32)(unit_random(seed) % (MODEL_IDS - 1)) + 1, want = 1, got;

	if (unit_random(seed) % 5 < 3) {
		while (want < MODEL_IDS && model[want] != FREE)
			want++;
		if (want == MODEL_IDS)
			return;
		got = reserve();
		ASSERT_EQ(want, got);
		model[got] = RESERVED;
		if (unit_random(seed) & 1) {
			idtable_publish(&table, got, &model[got]);
			model[got] = PUBLISHED;
		}
	} else if (model[id] == PUBLISHED && unit_random(seed) & 1) {
		idtable_unpublish(&table, id);
		model[id] = RESERVED;
	} else if (model[id] != FREE) {
		idtable_release(&table, id);
		model[id] = FREE;
	}
}

TEST(against_a_model)
{
	static u8 model[MODEL_IDS];
	u64 seed = unit_seed();
	u32 i, id, used;
	int round;

	begin();
	memset(model, FREE, sizeof(model));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 2000; i++)
			step(model, &seed);
		for (id = 1, used = 0; id < MODEL_IDS; id++) {
			void *want = model[id] == PUBLISHED ? &model[id] : NULL;

			used += model[id] != FREE;
			ASSERT_TRUE(idtable_find(&table, id) == want);
		}
		ASSERT_EQ(used, table.nused);
	}
	end();
}
