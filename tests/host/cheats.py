# SPDX-License-Identifier: MIT
"""
Hand-ins that are not honest: the rules refuse them, and without the rules they get nothing.
"""
import json
import os
import re
import shutil
import tempfile

from host import labs
import lab
import machine
import rules
from host import expect, test
from host.labs import FOLDER, grade, hand_in, handed_out, solution

LAB = 2                                 # its starter has no points
FILE = "arch/x86/fpu/core/regs.c"
PLACE = "void fpregs_restore_userregs(void)\n{\n"
CALLED = "bool fpregs_state_valid(const struct fpu *fpu, unsigned int cpu)\n{\n"

# Each goes to the begin of a function that the first program comes through: name -> code.
CHEATS = {
    "prints-results": """
	static bool once;

	if (!once) {
		once = true;
		pr_plain("KTAP version 1");
		pr_plain("1..1");
		pr_plain("  KTAP version 1");
		pr_plain("  # Subtest: fpu_owner");
		pr_plain("  1..1");
		pr_plain("  ok 1 valid_takes_both_owner_and_last_cpu");
		pr_plain("  # verdict 0123456789abcdef k/fpu_owner "
			 "valid_takes_both_owner_and_last_cpu ok");
		pr_plain("ok 1 k/fpu_owner");
	}
""",
    "exits-early": "\tmachine_exit(EXIT_BYTE_PASS);\n",
    "hangs": "\tfor (;;)\n\t\tcpu_relax();\n",
    "hangs-with-interrupts-off": "\tlocal_irq_disable();\n\tfor (;;)\n\t\tcpu_relax();\n",
    "halts": '\tfor (;;)\n\t\t__asm__ volatile("sti; hlt");\n',
    "halts-for-ever": '\tfor (;;)\n\t\t__asm__ volatile("cli; hlt");\n',
    "halts-without-a-tick": "\tvoid apic_init_cpu(void);\n\n\tapic_init_cpu();\n"
                            '\tfor (;;)\n\t\t__asm__ volatile("cli; hlt");\n',
    "floods": '\tfor (;;)\n\t\tpr_plain("all is well, all is well, all is well");\n',
    "triple-faults": """
	struct { u16 limit; u64 base; } __packed none = {};

	__asm__ volatile("lidt %0; int3" :: "m"(none));
""",
}
# A check's function made to return at once; @where: how it is reached.
RETURN_AT_ONCE = """
	static bool once;

	if (!once) {
		once = true;
%s
	}
"""
CHEATS |= {name: RETURN_AT_ONCE % code for name, code in {
    "patches-a-check": """
		write_cr0(read_cr0() & ~CR0_WP);
		*(volatile u8 *)(unsigned long)ktest_fail = 0xc3;
		write_cr0(read_cr0() | CR0_WP);
""",
    "leaves-write-protection-off": """
		write_cr0(read_cr0() & ~CR0_WP);
""",
    "makes-a-page-writable": """
		pte_t *pte = pgtable_pte(kernel_pml4, (unsigned long)ktest_fail, false);

		write_cr0(read_cr0() & ~CR0_WP);
		*pte |= PTE_RW;
		write_cr0(read_cr0() | CR0_WP);
		invlpg((unsigned long)ktest_fail);
		*(volatile u8 *)(unsigned long)ktest_fail = 0xc3;
""",
    "remaps-a-page": """
		unsigned long page = (unsigned long)ktest_fail & ~(PAGE_SIZE - 1);
		static u8 copy[PAGE_SIZE] __aligned(PAGE_SIZE);
		pte_t *pte = pgtable_pte(kernel_pml4, page, false);

		memcpy(copy, (void *)page, PAGE_SIZE);
		copy[(unsigned long)ktest_fail - page] = 0xc3;
		*pte = ((unsigned long)copy - 0xffffffff80000000) | (*pte & 0xfff);
		invlpg(page);
""",
    "hooks-a-gate": """
		struct { u16 limit; u64 base; } __packed idt;

		__asm__ volatile("sidt %0" : "=m"(idt));
		*(volatile u16 *)(idt.base + 200 * 16) = (unsigned long)hook_of_ours;
""",
    "brings-its-own-gates": """
		static u8 gates[4096] __aligned(16);
		struct { u16 limit; u64 base; } __packed idt;

		__asm__ volatile("sidt %0" : "=m"(idt));
		memcpy(gates, (void *)idt.base, sizeof(gates));
		idt.base = (u64)gates;
		__asm__ volatile("lidt %0" :: "m"(idt));
""",
    "runs-the-tests-itself": """
		static struct ktest_run nothing;

		for (const struct ktest *test = __start_ktests; test < __stop_ktests; test++)
			if (!strcmp(test->suite, "fpu_owner"))
				test->fn(&nothing);
""",
    "hooks-system-calls": """
		wrmsr(MSR_LSTAR, (u64)hook_of_calls);
""",
    "rewrites-the-list-of-tests": """
		write_cr0(read_cr0() & ~CR0_WP);
		for (const struct ktest *test = __start_ktests; test < __stop_ktests; test++)
			*(void **)(unsigned long)&test->fn = test_of_ours;
		write_cr0(read_cr0() | CR0_WP);
""",
    "unwinds": """
		unsigned long *frame = __builtin_frame_address(0), *above = (void *)frame[0];

		frame[0] = above[0];
		frame[1] = above[1];
""",
}.items()}
# What is said to whom. A test that was changed, or comes to nothing, is not right by that.
SAID = {
    "(an endless loop?)": {"hangs", "hangs-with-interrupts-off", "halts", "halts-for-ever",
                           "halts-without-a-tick", "floods"},
    "the machine was reset": {"triple-faults"},
    "it does not build: ": {"does-not-build", "reads-a-host-file", "includes-a-host-file",
                            "includes-itself", "includes-for-ever", "has-a-bomb-of-macros",
                            "is-huge", "brings-its-own-strcmp", "stands-in-for-a-check"},
    "is not there": {"nothing"},
    "it was not run": {"prints-results", "exits-early"},
    "the machine was changed: the kernel is not as it was built": {
        "patches-a-check", "makes-a-page-writable", "remaps-a-page", "rewrites-the-list-of-tests"},
    "the machine was changed: the test's program is not": {"patches-the-tests-program"},
    "the machine was changed: CR0.WP": {"leaves-write-protection-off"},
    "the machine was changed: the gate of vector 200 leads to": {"hooks-a-gate"},
    "the machine was changed: a CPU has other": {"brings-its-own-gates"},
    "the machine was changed: system calls go to": {"hooks-system-calls"},
    "the machine was changed: each instruction is looked at": {"single-steps"},
    "the machine was changed: #DB goes to hook_of_debug": {"takes-the-debug-trap"},
    "it failed": {"runs-the-tests-itself", "patches-tests", "redefines-macros",
                  "forgives-a-test", "takes-a-boot-option"},
    "it was not run: the kernel panicked": {"unwinds"},
    "checks were come by": {"leaves-a-test-early"},
    "there are two tests": {"defines-a-test"},
}
HARMLESS = {"nothing", "patches-tests"}         # what is graded of them is honest, and incomplete
# These go to the begin of a function that tests call, and each way to ring 3.
IN_A_TEST = {
    # The last instructions of the caller, which take its registers from the stack again.
    "leaves-a-test-early": """
	const u8 *code = __builtin_return_address(0);

	while (code[0] != 0x48 || code[4] != 0x5b || code[5] != 0x41 || code[6] != 0x5c)
		code++;
	((const void **)__builtin_frame_address(0))[1] = code;
""",
    # To make each check's values right just before they are looked at.
    "single-steps": """
	kernel_debug_trap = hook_of_debug;
	__asm__ volatile("pushf; orl $0x100, (%rsp); popf");
""",
    "takes-the-debug-trap": """
	kernel_debug_trap = hook_of_debug;
""",
    # By the kernel's second mapping of its page: what a NOP names.
    "patches-the-tests-program": """
	unsigned long entry = task_pt_regs(current)->ip;
	pte_t *pte = current->mm ? pgtable_pte(current->mm->pml4, entry, false) : NULL;
	u8 *page = (u8 *)(0xffff888000000000 + (pte ? *pte & 0x000ffffffffff000 : 0));

	static int times = 300;

	for (int i = 0; pte && *pte && times > 0 && i < 4000; i++)
		if (!memcmp(page + i, "\\x0f\\x1f\\x84\\0\\0", 5))
			page[i + 4] = 1;
	times--;
""",
    # The test's own variables: what it says is changed, and it says nothing that counts.
    "forgives-a-test": """
	for (struct ktest_run **at = __builtin_frame_address(0); (unsigned long)at & 4095; at++)
		if ((unsigned long)*at - (unsigned long)at < 512)
			(*at)->failed = false;
""",
}
SOLVED = {"patches-the-tests-program"}          # all work was done there: it is lost
OF_OURS = """
static __attribute__((unused)) void hook_of_ours(void) { }
static __attribute__((unused)) void test_of_ours(struct ktest_run *kt) { (void)kt; }
static __attribute__((unused)) void hook_of_debug(struct pt_regs *regs) { (void)regs; }
void hook_of_calls(void);
__asm__("hook_of_calls: jmp entry_SYSCALL_64");
extern const struct ktest __start_ktests[], __stop_ktests[];
"""


def starter():
    """The opened file as it is handed out."""
    return {FILE: lab.opened_texts(LAB)[0][FILE]}


def cheat(name):
    texts = solution(LAB) if name in SOLVED else starter()
    includes = "".join(f'#include "{header}.h"\n' for header in (
        "arch/x86/cpu/insns", "arch/x86/irqflags", "kernel/report/panic", "lib/printk",
        "arch/x86/mm/pgtable", "kernel/splat/ktest", "lib/string", "arch/x86/mm/tlb",
        "arch/x86/process", "kernel/vm/mm", "arch/x86/entry/entry"))
    place, code = (PLACE, CHEATS[name]) if name in CHEATS else (CALLED, IN_A_TEST[name])
    expect(texts[FILE].count(place) == 1, f"{FILE} has no one place for a cheat: {place}")
    return {FILE: includes + OF_OURS + texts[FILE].replace(place, place + code)}


def patched():
    """Everything that a student is not asked for, changed so that all is well; and no work done."""
    everything = {**starter(), "lab.json": '{"lab": 2, "title": "x", "worlds": {}, "steps": []}',
                  "Makefile": "all:\n\t@echo done\n", "scripts/grade.py": "print('100 of 100')\n",
                  "labs/tools/grade.py": "print('100 of 100')\n", "linker.ld": "",
                  "tests/kernel/fpu_owner.c": "", "kernel/splat/ktest.c": "",
                  "scripts/watch.py": "", "scripts/rules.py": "", "scripts/confine.py": "",
                  "arch/x86/fpu/core/regs.h": "#define KFAIL(...)\n"}
    return everything


def of_files():
    """Name -> files, of those that do it without a function that is called."""
    begin, right = starter()[FILE], solution(LAB)[FILE]
    macros = '#include "kernel/splat/ktest.h"\n#undef KFAIL\n#define KFAIL(...) do { } while (0)\n'
    doubled = "".join(f"#define M{i + 1} M{i} M{i}\n" for i in range(40))
    option = 'static int all_is_well(const char *value) { (void)value; return 0; }\n' \
        '#include "lib/options.h"\n'
    return {
        "patches-tests": patched(),
        "defines-a-test": {FILE: right + '#include "kernel/splat/ktest.h"\n'
                           "KTEST_SUITE(fpu_owner);\nKTEST(valid_only_for_the_owner) { }\n"},
        "does-not-build": {FILE: begin + "}\n"},
        "nothing": {},
        "redefines-macros": {FILE: macros + begin, "kernel/splat/ktest.h": macros},
        "takes-a-boot-option": {FILE: begin + option +
                                'BOOT_OPTION(seed, all_is_well, false, "any word");\n'},
        "reads-a-host-file": {FILE: begin + '__asm__(".incbin \\"/etc/passwd\\"");\n'},
        "includes-a-host-file": {FILE: begin + '#include "/etc/passwd"\n'},
        "includes-itself": {FILE: "#include __FILE__\n" + begin},
        "includes-for-ever": {FILE: '#include "/dev/zero"\n' + begin},
        "has-a-bomb-of-macros": {FILE: begin + "#define M0 x x\n" + doubled + "int M40;\n"},
        "is-huge": {FILE: begin + "static u8 big[1ull << 33] __attribute__((used)) = { 1 };\n"},
        "brings-its-own-strcmp": {FILE: begin + "int strcmp(const char *a, const char *b)\n"
                                  "{ (void)a; (void)b; return 0; }\n"},
        "stands-in-for-a-check": {FILE: begin + "void ktest_fail(void) __attribute__((alias("
                                  '"fpregs_restore_userregs")));\n'},
    }


def all_of_them():
    return {**{name: cheat(name) for name in (*CHEATS, *IN_A_TEST)}, **of_files()}


@test("labs-cheats", long=True)
def cheats():
    """
    Where the rules do not look none gets a point: each ends, and the report says why. Where they
    do, all with code of theirs are refused.
    """
    tree = "cheats-tree"
    handed_out(LAB, tree)
    work, base = f"{FOLDER}/cheats", f"{FOLDER}/cheats-base"
    for path in (work, base):
        shutil.rmtree(path, ignore_errors=True)
    points, _ = grade(tree, f"{FOLDER}/{tree}", base)
    expect(not any(points.values()), f"the starter has {points}")
    said = {}
    got_some = []
    for name, texts in all_of_them().items():
        points, said[name] = grade(tree, hand_in(f"cheat-{name}", texts), work, f"{base}/tree",
                                   "--without-rules")
        if any(points[step] for step in "1234") or points["5"] > 15 * (name in SOLVED):
            got_some.append(f"{name} has {points}")
    expect(not got_some, "\n".join(got_some))
    for name, texts in all_of_them().items():
        lines = refused({FILE: texts.get(FILE, starter()[FILE])}, f"{base}/tree")
        expect(lines or name in HARMLESS, f"{name}: the rules let it pass")
    trouble = [f'{name}: nothing says "{text}":\n{said[name]}'
               for text, names in SAID.items() for name in names if text not in said[name]]
    expect(not trouble, "\n".join(trouble))
    expect(set(said) == set().union(*SAID.values(), HARMLESS), f"SAID is not of {said.keys()}")
    # A link is no way to another file.
    folder = hand_in("cheat-link", {})
    os.makedirs(os.path.dirname(f"{folder}/{FILE}"))
    os.symlink(os.path.abspath(FILE), f"{folder}/{FILE}")
    points, text = grade(tree, folder, work, f"{base}/tree")
    expect(not any(points.values()) and "no plain file" in text, f"a link: {points}: {text}")
    shutil.rmtree(base)
    shutil.rmtree(work)


def refused(texts, tree):
    """The rules' lines for these files of the lab, in a tree that has been built."""
    plan = f"{tree}/lab.json"
    for path, text in texts.items():
        with open(f"{tree}/{path}", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    code, output = machine.run(["python3", os.path.abspath("labs/tools/rules.py"), plan,
                                "build/starters", ".", *texts], f"{tree}/refused.log", cwd=tree)
    expect(code in (0, 1) and code == bool(output), f"exit status {code}: {output}")
    return output.splitlines()


# What is put at the end of a right file -> the rule that it breaks.
BREAKS = {
    "void f(void) { __asm__(\"nop\"); }": "assembly (__asm__)",
    "void f(void) { asm(\"nop\"); }": "assembly (asm)",
    "#define NOP __asm__(\"nop\")": "assembly",
    "void f(void) { as\\\nm(\"nop\"); }": "over two lines",
    "register unsigned long sp asm(\"rsp\");": "assembly",
    "_Pragma(\"weak ktest_fail\")": "a pragma",
    "#pragma weak ktest_fail": "#pragma",
    "static int x __attribute__((section(\"ktests\")));": "an attribute",
    "int f(void) __attribute__((alias(\"printk\")));": "an attribute",
    "static void __attribute__((constructor)) f(void) { }": "an attribute",
    "[[gnu::unused]] static int x;": "an attribute",
    '#include "kernel/splat/ktest.c"': "only headers of the tree",
    '#include "/etc/passwd"': "only headers of the tree",
    '#include "../../../etc/hostname.h"': "only headers of the tree",
    "#include <stdio.h>": "only headers of the tree",
    "#define PATH <limits.h>\n#include PATH": "only headers of the tree",
    '#include_next "lib/types.h"': "#include_next",
    '#import "lib/types.h"': "#import",
    '#embed "/etc/passwd"': "#embed",
    '#if __has_include("/etc/shadow")\n#endif': "__has_include",
    '#line 1 "lib/printk.c"': "#line",
    '#ident "x"': "#ident",
    "#define GLUE(a, b) a ## b": "put together",
    "#define GLUE(a, b) a %:%: b": "plainly",
    "static u64 f(u64 a) { return *(u64 *)a; }": "a pointer made of a number",
    "static void f(u64 a) { pr_info(\"%lx\", *(unsigned long *)a); }": "a pointer made of a number",
    "#define AT(a) (*(u64 *)(a))\nstatic u64 f(u64 a) { return AT(a); }": "a cast to a pointer",
    "static u64 *f(u64 a) { return a; }": "incompatible integer to pointer",
    "union both { u64 number; u64 *pointer; };": "a union",
    "static u64 f(u64 a) { union { u64 n; u64 *p; } u = { a }; return *u.p; }": "a union",
    "static u8 code[9];\nstatic void f(void) { ((void (*)(void))code)(); }": "a function's address",
    "static void f(void) { void *p = &&here; goto *p; here:; }": "address of a label",
    "void machine_exit(int code);\nstatic void f(void) { machine_exit(1); }": "machine_exit is not",
    "extern int evil;\nstatic int f(void) { return evil; }": "evil is not",
    "static void f(void) { extern int evil; evil = 1; }": "evil is not",
    "static void f(void) { wrmsr(0xc0000082, 0); }": "wrmsr is not",
    '#include "arch/x86/cpu/insns.h"\nstatic void f(void) { write_cr0(0); }': "write_cr0 is not",
    "static void *f(void) { return __builtin_return_address(0); }": "__builtin_return_address is",
    "static void *f(void) { return __builtin_frame_address(0); }": "__builtin_frame_address is not",
    '#include "kernel/splat/ktest.h"\nstatic void f(void) { (void)ktest_fail; }': "ktest_fail is",
    '#include "kernel/splat/ktest.h"\nKTEST_SUITE(mine);': "KTEST_SUITE is not",
    '#include "lib/options.h"\nBOOT_OPTION(mine, 0, true, "");': "BOOT_OPTION is not",
    "#define EVIL write_cr0(0)": "write_cr0 is not",
    "#undef unlikely": "#undef unlikely",
    "static int f(void) { int g(void) { return 1; } return g(); }": "g is not",
    # A name of the file's own for something, used for another's.
    "struct z { int wrmsr; };\nstatic void f(void) { wrmsr(0xc0000082, 0); }": "wrmsr is not",
    "enum z { KTEST_SUITE };\nKTEST_SUITE(mine);": "",
    "static void g(int write_cr0) { }\n#include \"arch/x86/cpu/insns.h\"\n"
    "static void f(void) { write_cr0(0); }": "write_cr0 is not",
    "struct z { int __builtin_return_address; };\nstatic void *f(void) "
    "{ return __builtin_return_address(0); }": "__builtin_return_address is",
    '#define wrmsr wrmsr\n#include "arch/x86/cpu/insns.h"\n'
    "static void f(void) { wrmsr(1, 0); }": "wrmsr is not",
    # What only one of the two compilers sees.
    "#ifdef __OPTIMIZE__\nstatic u64 f(u64 a) { return *(u64 *)a; }\n#endif":
    "a condition on __OPTIMIZE__",
    "#if __GNUC__ > 4\n#endif": "a condition on __GNUC__",
    "#define X __OPTIMIZE__\n#if X\n#endif": "__OPTIMIZE__ is not",
    "#if defined(unix)\n#endif": "a condition on unix",
    # A number for a pointer, by other ways.
    "static void f(u64 a) { u64 *p; memcpy(&p, &a, 8); *p = 0; }": "a pointer copied as bytes",
    "static void f(u64 a) { void (*p)(void) = f_; *(u64 *)&p = a; }": "a pointer's bytes",
    "static void f_(void) { }\nstatic void f(void) { void (*p)(void) = f_; p(); }":
    "a call through",
    "static u64 f(u64 a) { return *(u64 *)((u8 *)NULL + a); }": "a pointer made of NULL",
    '#include "tests/kernel/fpu_regs.h"': "the tests' own",
    'static const char *f(void) { return "\udce4"; }': "not UTF-8",
    "static int f(void) { return " + "(" * 3000 + "1" + ")" * 3000 + "; }": "",
    "int f(;": "expected",
}
# The same, and no rule is broken.
HONEST = """
/* asm, __attribute__((x)), #pragma: words in a comment; and in a string: */
#define LIMIT		3
#define TWICE(x)	((x) + (x))
#define SHOW(fpu)	pr_info("asm: fpu %lx, last_cpu %u", (unsigned long)(fpu), (fpu)->last_cpu)

enum color { RED, GREEN };

struct note {
	struct fpu *fpu;
	enum color color;
	unsigned int count[LIMIT];
};

static struct note notes[LIMIT];

static void __unused look_at(struct fpu *fpu)
{
	struct note *note = &notes[TWICE(0)];
	const void *p = fpu;

	WARN_ON_ONCE(!fpu);
	BUG_ON(note->count[0] > 1000000);
	note->fpu = (struct fpu *)p;
	note->color = note->color == RED ? GREEN : RED;
	WRITE_ONCE(note->count[0], READ_ONCE(note->count[0]) + 1);
	if (unlikely(!fpu))
		SHOW(note->fpu);
	memset(note->count, 0, sizeof(note->count));
	pr_info("%s: preempt_count %x on CPU %u", __func__, preempt_count(), smp_processor_id());
}

#define DEBUG	1
#if DEBUG && !defined(QUIET)
/* What the headers offer that the file includes, and the step does not ask for. */
static void __unused look_again(struct task_struct *task)
{
	struct fpu *fpu = task ? &task->thread.fpu : NULL;

	if (fpu && test_tsk_thread_flag(task, TIF_NEED_FPU_LOAD))
		fpregs_assert_state_consistent();
	if (fpu && fpu_form == FORM_FXSAVE)
		set_thread_flag(TIF_NEED_FPU_LOAD);
}
#endif
"""


def lab_tree(name):
    """Lab LAB's tree, graded once: it has all objects, and the starters beside them."""
    tree = handed_out(LAB, name)
    work = f"{FOLDER}/{name}-work"
    shutil.rmtree(work, ignore_errors=True)
    grade(name, tree, work)
    return f"{work}/tree"


@test("labs-rules", check=False)
def labs_rules():
    """Each rule has its line; the solution and honest experiments keep them."""
    tree, right, trouble = lab_tree("rules"), solution(LAB)[FILE], []
    line = right.count("\n") + 1
    for text, rule in BREAKS.items():
        lines = refused({FILE: right + text + "\n"}, tree)
        if not any(rule in one and re.match(rf"{re.escape(FILE)}:(\d+): ", one) and
                   int(one.split(":")[1]) >= line for one in lines):
            trouble.append(f"{text[:60]!r} is refused by {lines}, not {rule!r}")
    headers = ""
    for path in (path for path in lab.tracked() if path.endswith(".h")):
        with open(path, encoding="utf-8") as file:
            headers += file.read()
    gone = [name for name in rules.COMMON if not re.search(rf"\b{name}\b", headers) and
            not name.startswith("__builtin") and name not in ("__func__", "_Static_assert")]
    expect(not gone, f"rules.py offers what there is not: {gone}")
    for what, text in (("the solution", right), ("an experiment", right + HONEST)):
        if lines := refused({FILE: text}, tree):
            trouble.append(f"{what} is refused: {lines}")
    expect(not trouble, "\n".join(trouble))


@test("labs-rules-all", long=True)
def labs_rules_all():
    """No solution and no wrong answer of any lab breaks a rule."""
    trouble = []
    for number in lab.numbers():
        plan, folder = lab.load(number)
        starters, texts = lab.opened_texts(number)
        lab.what_the_grader_knows(plan, starters, texts, lab.wrong_texts(folder, texts))
        with tempfile.TemporaryDirectory() as beside:
            hand_ins = [("solution", texts)]
            hand_ins += [(answer.name, answer.applied(texts))
                         for answer, _ in labs.wrong_answers(folder)]
            for name, handed_in in hand_ins:
                trouble += [f"lab {number}, {name}: {line}" for line in
                            rules_of(plan, beside, starters, handed_in)]
    expect(not trouble, "\n".join(trouble))


def rules_of(plan, folder, starters, texts):
    """As refused(), with this tree's headers."""
    for path, text in starters.items():
        labs.write(f"{folder}/starters/{path}", text)
    for path, text in texts.items():
        labs.write(f"{folder}/{path}", text)
    labs.write(f"{folder}/lab.json", json.dumps(plan))
    code, output = machine.run(["python3", "labs/tools/rules.py", f"{folder}/lab.json",
                                f"{folder}/starters", folder, *texts], f"{FOLDER}/rules-all.log")
    expect(code in (0, 1), f"exit status {code}: {output}")
    return output.splitlines()
