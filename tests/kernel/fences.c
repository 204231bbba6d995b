/* SPDX-License-Identifier: MIT */
/*
 * A store, and then a load of what another CPU stores before it loads ours (Dekker): both may see
 * the old value unless a full barrier stands between the two, for a CPU puts its loads before its
 * own stores (SDM vol. 3, 9.2.3.4). No emulator shows that, and real machines seldom. So the test
 * looks at the instructions: it executes each such place one at a time, and reads which they are.
 */
#include "arch/x86/entry/entry.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/mm/tlb.h"
#include "kernel/policy.h"
#include "kernel/vm/mm.h"
#include "lib/string.h"
#include "tests/kernel/many_threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(fences);

/* --- The instructions --- */

/*
 * LOCK, XCHG with memory, MFENCE; or one that serializes (SDM vol. 3, 9.3): MOV to a control
 * register, INVLPG, CPUID.
 */
static bool is_full_barrier(const u8 *p)
{
	bool locked = false;

	for (;; p++) {
		locked |= *p == 0xf0;
		if (*p != 0xf0 && *p != 0x65 && *p != 0x66 && (*p & 0xf0) != 0x40)
			break;
	}
	if (locked)
		return true;
	if (p[0] == 0x86 || p[0] == 0x87)
		return p[1] < 0xc0;
	if (p[0] != 0x0f)
		return false;
	return (p[1] == 0xae && p[2] == 0xf0) || p[1] == 0x22 || p[1] == 0xa2 ||
	       (p[1] == 0x01 && p[2] < 0xc0 && (p[2] >> 3 & 7) == 7);
}

/* --- Between which two --- */

static struct {
	const void *store, *load;
	bool half;			/* 4 bytes are stored, not 8 */
	u64 value;			/* the one that is stored */
	unsigned long load_ip;		/* behind the instruction that loads */
	bool barrier_next, stored, barrier;
	unsigned int loads, bare;	/* after the store; without a barrier */
} pair;

static bool note_load(const struct pt_regs *regs)
{
	pair.load_ip = regs->ip;
	return true;
}

/* After each instruction. */
static void stepped(struct pt_regs *regs)
{
	u64 now = pair.half ? READ_ONCE(*(u32 *)pair.store) : READ_ONCE(*(u64 *)pair.store);

	if (!pair.stored)
		pair.barrier = false;
	pair.stored = now == pair.value;
	pair.barrier |= pair.stored && pair.barrier_next;
	if (pair.stored && regs->ip == pair.load_ip) {
		pair.loads++;
		pair.bare += !pair.barrier;
	}
	pair.barrier_next = is_full_barrier((const u8 *)regs->ip);
}

static void step_through(void (*fn)(void))
{
	kernel_debug_trap = stepped;
	__asm__ volatile("pushfq; orl %0, (%%rsp); popfq" :: "i"(X86_EFLAGS_TF) : "memory", "cc");
	fn();
	__asm__ volatile("pushfq; andl %0, (%%rsp); popfq"
			 :: "i"(~(int)X86_EFLAGS_TF) : "memory", "cc");
	kernel_debug_trap = NULL;
}

/* @fn stores and loads. The first run says where the load is, the second what stands before it. */
static void expect_barrier(struct ktest_run *kt, void (*fn)(void), bool load_of_half)
{
	struct watch watch = { .at = pair.load, .name = "the load", .half = load_of_half,
			       .reads = true, .rule = note_load };

	watch_start(&watch, 1);
	fn();
	watch_end(kt);
	step_through(fn);
	KEXPECT_GE(pair.loads, 1);
	KEXPECT_EQ(pair.bare, 0);
}

#define EXPECT_BARRIER(fn, stored, val, loaded) do {					\
	memset(&pair, 0, sizeof(pair));							\
	pair.store = (stored);								\
	pair.half = sizeof(*(stored)) == 4;						\
	pair.value = (val);								\
	pair.load = (loaded);								\
	expect_barrier(kt, fn, sizeof(*(loaded)) == 4);					\
} while (0)

/* --- The places. Not inlined: both runs must come by the same instructions. --- */

static struct wait_queue_head queue;
static u64 condition, sum;

static noinline void set_state_and_look(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	sum += READ_ONCE(condition);
	__set_current_state(TASK_RUNNING);
}

static noinline void queue_and_look(void)
{
	struct wait_queue_entry entry = { .task = current };

	INIT_LIST_HEAD(&entry.node);
	prepare_to_wait(&queue, &entry, TASK_UNINTERRUPTIBLE);
	sum += READ_ONCE(condition);
	finish_wait(&queue, &entry);
}

/* The waker stores the condition and loads the state. fails with: fault/wait-without-a-barrier */
KTEST(state_then_condition)
{
	RUN_AS_FIFO(50);

	init_waitqueue_head(&queue);
	EXPECT_BARRIER(set_state_and_look, &current->__state, TASK_UNINTERRUPTIBLE, &condition);
	EXPECT_BARRIER(queue_and_look, &current->__state, TASK_UNINTERRUPTIBLE, &condition);
}

static struct mm_struct *mm;
static u64 entry;

static noinline void change_and_flush(void)
{
	WRITE_ONCE(entry, 1);				/* of a page table, let us say */
	flush_tlb_mm_range(mm, PAGE_SIZE, 2 * PAGE_SIZE);
	WRITE_ONCE(entry, 0);
}

/* Who loads the tables sets its bit, and reads them. fails with: fault/flush-without-a-barrier */
KTEST(tables_then_whom_to_ask)
{
	RUN_AS_FIFO(50);

	mm = mm_alloc();				/* not loaded: nothing else serializes */
	KEXPECT(mm);
	if (!mm)
		return;
	EXPECT_BARRIER(change_and_flush, &entry, 1, &mm->cpus);
	mmput(mm);
}

static noinline void pin_and_unpin(void)
{
	int depth = current->migration_disabled;

	current->migration_disabled = 0;		/* a watch pins us, too */
	migrate_disable();
	migrate_enable();
	current->migration_disabled = depth;
}

/*
 * set_cpus_allowed() changes the mask and then looks whether the task is pinned.
 * fails with: fault/unpin-without-a-barrier
 */
KTEST(unpinned_then_mask)
{
	RUN_AS_FIFO(50);
	EXPECT_BARRIER(pin_and_unpin, &current->migration_disabled, 0, &current->cpus_mask);
}

static noinline void change_mask(void)
{
	u64 mask = BIT(smp_processor_id());

	threads[0].task->cpus_mask = mask | BIT(63);	/* another value, and no other CPU */
	set_cpus_allowed(threads[0].task, mask);
}

/* The other side. fails with: a mask that is stored without a barrier, for a task that runs */
KTEST(mask_then_pinned)
{
	RUN_AS_FIFO(50);

	make_many(kt, 1, mark);
	thread_start(&threads[0], 10);			/* waits in our run queue */
	if (threads[0].task)
		EXPECT_BARRIER(change_mask, &threads[0].task->cpus_mask, BIT(smp_processor_id()),
			       &threads[0].task->migration_disabled);
	end_many(1);
}
