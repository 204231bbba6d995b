/* SPDX-License-Identifier: MIT */
/* State on demand when there is no memory for it (option "fail_alloc="). The rest: dynamic.c. */
#include "user/lib/dynstate.h"
#include "user/lib/ktap.h"

#define SIGSEGV		11
#define SEED		0x5eed

/* So that what is called next finds its stack there. */
static noinline void touch_stack(void)
{
	volatile u8 stack[65536];

	for (size_t i = 0; i < sizeof(stack); i += 4096)
		stack[i] = 1;
}

/* @nr: which allocation fails from here on. The first ones are for the dynamic state's buffer. */
static void use_without_memory(void *nr)
{
	char option[] = "fail_alloc=0";

	touch_stack();
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	option[sizeof(option) - 2] += (long)nr;
	EXPECT_EQ(splat_setopt(option), 0);
	dyn_put(SEED);
	EXPECT_EQ(splat_setopt("fail_alloc=0"), 0);
	EXPECT(dyn_holds(SEED));
}

/*
 * Each allocation of the first use fails once; then there are no more, and it works.
 * fails with: fault/no-memory-is-no-permission
 */
TEST(without_memory_it_is_a_segmentation_fault)
{
	struct splat_info info;
	int status;
	long nr = 1;

	if (!dyn_number())
		SKIP("nothing is dynamic here");
	if (!on_splat(&info))
		SKIP("Linux does not let an allocation fail for us");
	EXPECT_EQ(run_child(use_without_memory, (void *)nr), KILLED(SIGSEGV));
	do
		status = run_child(use_without_memory, (void *)++nr);
	while (status == KILLED(SIGSEGV) && nr < 4);
	EXPECT_EQ(status, EXITED(0));
}
