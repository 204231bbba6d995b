# SPDX-License-Identifier: MIT
"""
`make tour`: one fork in the buggy order and one in the fixed order, step by step, on a machine that
runs: QEMU, one CPU, the program demo with dynamic=ymm. Every number on the pages is read from it.
"""
from narrate import Tour, guide, register, value

FORK = 57                               # Linux's number of the system call
LOG_END = "'lib/printk.c'::log_next"


def entry(tour):
    tour.page("A fork comes in from ring 3")
    tour.say(f"""
        In 2022 a kernel with PREEMPT_RT complained about fork: a lock that may sleep was taken
        where sleeping is forbidden. The program demo makes that fork here. It has asked for AVX,
        which is a dynamic feature on this machine (dynamic=ymm), has put known values into all
        registers, and executes SYSCALL with rax = {FORK}.""")
    tour.go(f"do_syscall if nr == {FORK}")
    tour.show("bt")
    tour.say("""
        Below <signal handler called> is ring 3: the entry code has saved its registers on the
        kernel's stack, in regs. Not the vector registers: the kernel is built not to use them, so
        they still hold the program's values.""")
    tour.show("splat fpu", keep=r"truth|TIF_NEED|^registers|ymm3 ", lines=28)
    tour.show("splat preempt")
    tour.say("TIF_NEED_FPU_LOAD is 0: the registers are the only place where the truth is.")


def copy(tour):
    tour.page("copy_thread: a child, so far without registers")
    tour.go("copy_thread")
    tour.show("bt 5")
    tour.say("""
        copy_process() has copied the parent's task_struct up to the FPU part and left that zero:
        what stands in the parent's buffer is old. copy_thread() makes the child's kernel stack,
        and calls fpu_clone().""")
    tour.show("p child->thread.fpu.fpstate")
    tour.show("p/x child->thread.fpu.__fpstate.regs.xsave.header")


def lock(tour):
    tour.page("fpregs_lock: preemption goes off")
    tour.go("fpu_clone_buggy")
    tour.source("fpu_clone_buggy")
    before = value("$this_cpu()->preempt_count & 0x7fffffff")
    tour.say(f"""
        The parent's registers must stay in this CPU until they are copied, so nobody else may run
        here. preempt_count is {before} now. The first line makes it {before + 1}:""")
    tour.go("save_fpregs_to_fpstate")
    tour.show("splat preempt")
    tour.say("""
        From here to fpregs_unlock() this CPU belongs to this task. Code may take time here. It may
        not sleep.""")


def save(tour):
    tour.page("The parent's registers, straight into the child")
    inside = value("(long)&((struct task_struct *)0)->thread.fpu.__fpstate")
    task = f"((struct task_struct *){value('(long)fpstate') - inside:#x})"
    tour.show("bt 3")
    parent = tour.show("splat fpu", keep=r"truth|^registers|[xy]mm3 ", lines=28)
    tour.move("finish")
    image = tour.show(f"splat fpu {task}", keep=r"truth|TIF_NEED|^image|mm3 |initial")
    ours, theirs = register(parent, "xmm3"), register(image, "xmm3")
    tour.say(f"""
        xmm3 of the parent is {ours}, of the child {theirs}: {"the same" if ours == theirs else
        "NOT the same"}. The upper half of ymm3 is dynamic state. It does not cross a fork: the
        child's buffer has no room for it.""")


def perms(tour):
    tour.page("The lock that may sleep")
    tour.go("rt_spin_lock")
    tour.show("bt 6")
    tour.say("""
        What does cross a fork is the permission to use AVX. It stands in the group leader's
        record, and the parent's siglock keeps that consistent. So fpu_inherit_perms() takes
        siglock: a spinlock_t, which on PREEMPT_RT is an rt_mutex. Who finds it taken, sleeps.""")
    tour.show("splat perms")
    tour.show("splat locks")
    tour.show("splat preempt")
    tour.say("""
        Nobody holds the lock, so this time nobody would sleep. That is luck. The rule is about
        what may happen: preempt_count must be 0 here, and it is 1.""")


def splat(tour):
    tour.page("The splat")
    tour.show("splat stops")
    tour.move("continue")
    tour.show("bt 8")
    tour.say("""
        __might_resched() looks at every such call, lucky or not. It prints what Linux prints:""")
    before = value(LOG_END)
    tour.move("finish")
    tour.move("finish")
    tour.show(f"splat log {value(LOG_END) - before}")
    tour.say("""
        "Preemption disabled at" names the culprit: the address that took preempt_count from 0 to
        1, here fpregs_lock() inlined into fpu_clone_buggy().""")


def fixed(tour):
    tour.page("The fixed order")
    tour.show("splat stops off")
    count = "splat_counts[SPLAT_MIGHT_SLEEP]"
    before = value(count)
    tour.go("fpu_clone_fixed")
    tour.source("fpu_clone_fixed")
    tour.say("""
        The demo's second fork. Nothing is different but the place of fpregs_unlock(): first the
        registers, which need preemption off; then the permission, which needs it on.""")
    tour.go("save_fpregs_to_fpstate")
    tour.show("splat preempt")
    tour.go("rt_spin_lock")
    tour.show("bt 4")
    tour.show("splat preempt")
    tour.move("finish")
    after = value(count)
    tour.show("p " + count)
    tour.say(f"""
        The count of such reports was {before} before this fork, and is {after} now:
        {"no new one" if before == after else "there is a NEW ONE"}. May the child lose its
        permission if another thread asks for it between the two? No: it may get the newer one,
        or the older one, as with any fork that comes a moment sooner or later.""")


def onward(tour):
    tour.page("Where to go from here")
    tour.say("""
        make tour-rewind goes from the splat backwards, to the instruction that turned preemption
        off. make trace draws both forks on one time line. make debug
        APPEND="init=/bin/demo dynamic=ymm" is this machine without a guide; "help splat" there
        lists the commands used here. The code is arch/x86/fpu/clone.c: read fpu_clone() now.""")


def tour():
    guided = Tour("Splat: a fork, and a lock that may sleep")
    for page in (entry, copy, lock, save, perms, splat, fixed, onward):
        page(guided)
    guided.end()


guide(tour)
