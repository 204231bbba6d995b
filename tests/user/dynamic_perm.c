/* SPDX-License-Identifier: MIT */
/* Permission to use dynamic state, and who has it; nobody uses it here. The rest: dynamic.c. */
#include "user/lib/dynstate.h"
#include "user/lib/ktap.h"

#define STACK_SIZE	65536

static bool is_permitted(void)
{
	u64 mask = 0;

	EXPECT_EQ(dyn_permitted(&mask), 0);
	return mask & BIT(dyn_number());
}

static void ask(void *arg __unused)
{
	EXPECT_EQ(dyn_request(dyn_number()), 0);
}

static void must_be_permitted(void *arg __unused)
{
	EXPECT(is_permitted());
}

static void ask_then_fork(void *arg __unused)
{
	EXPECT(!is_permitted());
	EXPECT_EQ(run_child(ask, NULL), EXITED(0));
	EXPECT(!is_permitted());		/* the child's permission is not ours, ... */
	ask(NULL);
	EXPECT_EQ(run_child(must_be_permitted, NULL), EXITED(0));	/* ... but ours is its */
}

/* fails with: fpu_inherit_perms() doing nothing */
TEST(permission_goes_from_parent_to_child_only)
{
	if (!dyn_number())
		SKIP("nothing is dynamic here");
	EXPECT_EQ(run_child(ask_then_fork, NULL), EXITED(0));
}

static void ask_in_a_thread(void *arg __unused)
{
	struct thread t;

	EXPECT(!is_permitted());
	ASSERT_EQ(thread_create(&t, ask, NULL, STACK_SIZE), 0);
	thread_join(&t);
	EXPECT(is_permitted());
	ASSERT_EQ(thread_create(&t, must_be_permitted, NULL, STACK_SIZE), 0);
	thread_join(&t);
}

/* fails with: fault/permission-of-the-thread */
TEST(a_thread_asks_for_its_process)
{
	if (!dyn_number())
		SKIP("nothing is dynamic here");
	EXPECT_EQ(run_child(ask_in_a_thread, NULL), EXITED(0));
}
