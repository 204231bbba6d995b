/* SPDX-License-Identifier: MIT */
/*
 * What the kernel makes of a CPU at boot: its features.c, xstate.c, layout.c, quirks.c, compact.c,
 * regs.c and options.c, on CPUs that are made up (made_up_cpu.c). One row is one CPU and one
 * command line; each boots in a process of its own.
 *
 * boot_config GROUP: exit status 0, or 1 and a line for each thing that is wrong. "?" lists the
 * groups.
 */
#include "arch/x86/cpu/features.h"
#include "arch/x86/fpu/core/compact.h"
#include "arch/x86/fpu/core/quirks.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/core/xstate.h"
#include "kernel/report/panic.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "tests/native/made_up_cpu.h"

int printf(const char *fmt, ...);
int vsnprintf(char *to, size_t size, const char *fmt, va_list args);
int puts(const char *s);
int fflush(void *stream);
void _exit(int status) __noreturn;
int fork(void);
int waitpid(int pid, int *status, int options);

#define SSE		XFEATURE_MASK_FPSSE
#define AVX		(SSE | XFEATURE_MASK(YMM))
#define AVX512		(AVX | XFEATURE_MASK_AVX512)
#define PKRU		XFEATURE_MASK(PKRU)
#define CET		XFEATURE_MASK(CET_USER)
#define PASID		XFEATURE_MASK(PASID)
#define TILES		XFEATURE_MASK_XTILE
#define TILE		XFEATURE_MASK(XTILE_DATA)
#define ALL_FORMS	(OPT | SAVEC | XGETBV1 | SAVES)

struct row {
	const char *group, *options;
	/* The CPU: Intel's with AVX-512, keys, CET and PASID, and what is said here. */
	u32 off, on, forms, wrong, family;
	bool no_form;				/* forms = 0 means all of them */
	int standard_more, compacted_more;
	void (*edit)(void);
	/* What is to come of it. */
	enum fpu_form form;
	enum fpu_gate gate;
	u64 features, dynamic;			/* of the kernel's images */
	u32 size, max_size, user_size, user_max;	/* max: 0 for the same */
	const char *says, *panics;		/* a part of the only line; NULL: none */
};

/* --- The kernel that is not there --- */

enum { LINES = 64 };
static char lines[LINES][240], infos[LINES][240];
static unsigned int nr_lines, nr_infos, wrongs;
static const struct row *row;
static int allocs_left = -1;
static size_t allocs[8];
static unsigned int nr_allocs;

static struct task_struct idle;
struct native_cpu native_cpu = { .curr_task = &idle };
int hooks_on;
int console_loglevel;

void trace_record(enum trace_type type, u64 a, u64 b) { }
void preempt_count_add(int value) { }
void preempt_count_sub(int value) { }
void preempt_schedule(void) { }

void *kzalloc(size_t size, int gfp)
{
	static u8 memory[8][2 * XSTATE_SIZE_MAX] __aligned(64);

	if (!allocs_left-- || nr_allocs == 8 || size > sizeof(memory[0]))
		return NULL;
	allocs[nr_allocs] = size;
	return memory[nr_allocs++];
}

void printk(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (fmt[1] <= '4' && nr_lines < LINES)
		vsnprintf(lines[nr_lines++], sizeof(lines[0]), fmt + 2, args);
	else if (fmt[1] > '4' && nr_infos < LINES)
		vsnprintf(infos[nr_infos++], sizeof(infos[0]), fmt + 2, args);
	va_end(args);
}

static void wrong(const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printf("%s \"%s\" (row %d): %s\n", row->group, row->options ?: "", row->form, text);
	wrongs++;
}

static void __noreturn end(void)
{
	fflush(NULL);
	_exit(!!wrongs);
}

void panic(const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!row->panics)
		wrong("panic: %s", text);
	else if (strncmp(text, row->panics, strlen(row->panics)))
		wrong("panic: %s, not %s", text, row->panics);
	end();
}

void refused(const char *what, u64 value)
{
	wrong("the CPU refuses %s (%#llx)", what, value);
	end();
}

/* --- CPUs --- */

static void component(unsigned int nr, u32 size, u32 offset, u32 flags)
{
	*(flags & XSTATE_SUPERVISOR ? &cpu.d.supervisor : &cpu.d.user) |= BIT_ULL(nr);
	cpu.d.sub[nr].size = size;
	cpu.d.sub[nr].offset = offset;
	cpu.d.sub[nr].flags = flags;
}

static void make_up(void)
{
	cpu.has = HAS_PGE | HAS_FXSR | HAS_SSE | HAS_XSAVE | HAS_AVX | HAS_AVX2 | HAS_SMEP |
		  HAS_AVX512F | HAS_SMAP | HAS_UMIP | HAS_PKU | HAS_CET | HAS_ENQCMD | HAS_NX |
		  HAS_SYSCALL;
	cpu.has = (cpu.has & ~row->off) | row->on;
	cpu.forms = row->no_form ? 0 : row->forms ? row->forms : ALL_FORMS;
	cpu.wrong = row->wrong;
	cpu.family = row->family ? row->family : 6;
	cpu.max_leaf = 0x1d;
	cpu.max_extended = 8;
	cpu.name = "  A CPU that is made up";
	cpu.standard_more = row->standard_more;
	cpu.compacted_more = row->compacted_more;
	cpu.d.user = SSE;
	component(XFEATURE_YMM, 256, 576, 0);
	component(XFEATURE_OPMASK, 64, 1088, 0);
	component(XFEATURE_ZMM_Hi256, 512, 1152, 0);
	component(XFEATURE_Hi16_ZMM, 1024, 1664, 0);
	component(XFEATURE_PKRU, 8, 2688, 0);
	component(XFEATURE_PASID, 8, 0, XSTATE_SUPERVISOR);
	component(XFEATURE_CET_USER, 16, 0, XSTATE_SUPERVISOR);
	component(XFEATURE_BNDREGS, 64, 960, 0);		/* nobody's */
	if (cpu.has & HAS_AMX) {
		component(XFEATURE_XTILE_CFG, 64, 2752, XSTATE_ALIGN64);
		component(XFEATURE_XTILE_DATA, 8192, 2816, XSTATE_ALIGN64);
	}
	if (row->edit)
		row->edit();
	cpu_reset();
}

/* --- What must hold for each --- */

static void equal(const char *what, u64 got, u64 want)
{
	if (got != want)
		wrong("%s is %#llx, not %#llx", what, got, want);
}

#define EQUAL(got, want) equal(#got, got, want)

static u64 hardware(u64 flag, u64 bits)
{
	return cpu.has & flag ? bits : 0;
}

/* What this CPU must have been told; the second one, too. */
static void look_at_registers(void)
{
	bool xsave = row->form != FORM_FXSAVE, keys = cpu_has.pku;
	u64 user = row->features & ~(PASID | CET);

	EQUAL(cpu.cr0, CR0_MP | CR0_NE | CR0_WP);
	EQUAL(cpu.cr4, BIT(5) | CR4_OSFXSR | CR4_OSXMMEXCPT | hardware(HAS_PGE, CR4_PGE) |
	      hardware(HAS_SMEP, CR4_SMEP) | hardware(HAS_SMAP, CR4_SMAP) |
	      hardware(HAS_UMIP, CR4_UMIP) | (xsave ? CR4_OSXSAVE : 0) | (keys ? CR4_PKE : 0));
	EQUAL(cpu.efer, EFER_SCE | hardware(HAS_NX, EFER_NX));
	EQUAL(cpu.xcr0, xsave ? user & ~(row->gate == GATE_XCR0 ? row->dynamic : 0) : 1);
	EQUAL(cpu.xss, row->form == FORM_XSAVES ? row->features & (PASID | CET) : 0);
	EQUAL(cpu.xfd, row->gate == GATE_XFD ? row->dynamic : 0);
	EQUAL(native_cpu.xfd_state, row->gate != GATE_NONE ? row->dynamic : 0);
	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++)
		if (user & BIT_ULL(nr) && nr != XFEATURE_PKRU)
			equal("a component", cpu.value[nr], 0);
	if (row->form == FORM_XSAVES && row->features & CET)
		EQUAL(cpu.value[XFEATURE_CET_USER], 0);
	EQUAL(cpu.mxcsr, MXCSR_DEFAULT);
	EQUAL(keys ? cpu.pkru : PKRU_DEFAULT, PKRU_DEFAULT);
	EQUAL(cpu.pte, 0);
	/* AMD's, if it does not say that it saves x87's pointers always. */
	EQUAL(!!cpu.pointers_overwritten, (cpu.has & (IS_AMD | HAS_ERPTR)) == IS_AMD ||
	      (cpu.has & IS_AMD && cpu.max_extended < 8));
	EQUAL(nr_allocs, row->form == FORM_SOFT ? 2 : 1);
	EQUAL(allocs[0], offsetof(struct fpstate, regs) + fpu_kernel_cfg.max_size);
	EQUAL(allocs[1], row->form == FORM_SOFT ? fpu_user_cfg.max_size : 0);
	EQUAL(!native_cpu.dump_fpstate, 0);
	EQUAL(!native_cpu.xsave_scratch, row->form != FORM_SOFT);
	EQUAL(native_cpu.preempt_count, 0);
}

static void look_at_configuration(void)
{
	u64 user = row->features & ~(PASID | CET), first = row->features & ~row->dynamic;
	u32 max = row->max_size ? row->max_size : row->size;
	u32 user_size = row->user_size ? row->user_size : row->size;
	bool compacted = row->form >= FORM_XSAVEC;

	EQUAL(fpu_form, row->form);
	EQUAL(fpu_gate, row->gate);
	EQUAL(fpu_kernel_cfg.max_features, row->features);
	EQUAL(fpu_kernel_cfg.default_features, first);
	EQUAL(fpu_kernel_cfg.default_size, row->size);
	EQUAL(fpu_kernel_cfg.max_size, max);
	EQUAL(fpu_user_cfg.max_features, user);
	EQUAL(fpu_user_cfg.default_features, user & ~row->dynamic);
	EQUAL(fpu_user_cfg.default_size, user_size);
	EQUAL(fpu_user_cfg.max_size, row->user_max ? row->user_max : user_size);
	EQUAL(init_fpstate.xfd, row->dynamic);
	EQUAL(init_fpstate.size, row->size);
	EQUAL(init_fpstate.user_size, user_size);
	EQUAL(init_fpstate.xfeatures, first);
	EQUAL(init_fpstate.user_xfeatures, user & ~row->dynamic);
	EQUAL(init_fpstate.regs.xsave.header.xfeatures, 0);
	EQUAL(init_fpstate.regs.xsave.header.xcomp_bv, compacted ? XCOMP_BV_COMPACTED | first : 0);
	EQUAL(init_fpstate.regs.fxsave.cwd, FCW_DEFAULT);
	EQUAL(init_fpstate.regs.fxsave.mxcsr, MXCSR_DEFAULT);
	EQUAL(fpu_compacted(), compacted);
	EQUAL(cpu_has.xsave, row->form != FORM_FXSAVE);
	EQUAL(cpu_has.avx, !!(user & XFEATURE_MASK(YMM)));
	EQUAL(cpu_has.avx512f, !!(user & XFEATURE_MASK(OPMASK)));
	EQUAL(cpu_has.pku, !!(user & PKRU));
	EQUAL(cpu_has.avx2, !!hardware(HAS_AVX2, cpu.max_leaf >= 7));
	EQUAL(used_tiles_unmarked, !!(row->wrong & TILES_UNMARKED));
	EQUAL(restore_quirks & RESTORES_BY_MASK, !!(row->wrong & BY_MASK));
	if (strcmp(cpu_has.name, "A CPU that is made up") && cpu.max_extended >= 4)
		wrong("its name is \"%s\"", cpu_has.name);
	if (strcmp(cpu_has.name, "x86-64") && cpu.max_extended < 4)
		wrong("a CPU without a name is called \"%s\"", cpu_has.name);
}

static void said(unsigned int nr, const char *fmt, ...)
{
	char text[240];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (strcmp(infos[nr], text))
		wrong("it says: %s, not: %s", infos[nr], text);
}

static void look_at_lines(void)
{
	static const char *const forms[] = { "FXSAVE", "XSAVE", "XSAVEOPT", "XSAVEC", "XSAVES",
					     "soft XSAVES" };

	for (unsigned int i = 0; i < nr_lines; i++)
		if (!row->says || strncmp(lines[i], row->says, strlen(row->says)))
			wrong("it says: %s", lines[i]);
	if (nr_lines != !!row->says)
		wrong("%u lines say \"%s\"", nr_lines, row->says ?: "");
	/* A line for each component, one if some are dynamic, and one for all. */
	EQUAL(nr_infos, __builtin_popcountll(row->features) + !!row->dynamic + 1);
	said(nr_infos - 1, "x86/fpu: features %#llx, state size %u bytes, saved by %s",
	     row->features, row->size, forms[row->form]);
	if (row->dynamic)
		said(nr_infos - 2,
		     "x86/fpu: dynamic features %#llx, gated by %s, image then %u bytes",
		     row->dynamic, row->gate == GATE_XFD ? "IA32_XFD" : "XCR0",
		     fpu_kernel_cfg.max_size);
}

/* At run time "dynamic=" may be what it was at boot, or what needs no other room. */
static void look_at_option(void)
{
	static const struct {
		const char *option;
		bool always;
	} settings[] = {
		{ "dynamic=ymm", false }, { "dynamic=zmm", false }, { "dynamic=amx", false },
		{ "dynamic=ymmm", false }, { "dynamic=auto", true }, { "dynamic=off", true },
		{ "dynamic=force", true },
	};

	EQUAL(fpu_state_size_dynamic(),
	      row->dynamic || !strcmp(row->options ?: "", "dynamic=force"));
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const char *option = settings[i].option;
		bool booted = !strncmp(row->options ?: "", option, strlen(option));

		booted |= settings[i].always;
		equal(option, option_set_runtime(option), booted ? 0 : -EINVAL);
		if (booted)
			equal(option, fpu_state_size_dynamic(), strcmp(option, "dynamic=off") &&
			      (row->dynamic || !strcmp(option, "dynamic=force")));
	}
}

#include "tests/native/soft_images.h"

static void __noreturn boot(void)
{
	char options[80] = "";

	make_up();
	strscpy(options, row->options ?: "", sizeof(options));
	options_parse(options);
	cpu_features_init();
	fpu_choose_form();
	cpu_setup_control_registers();
	fpu_init_system();
	fpu_init_cpu();
	if (row->panics)
		wrong("no panic: %s", row->panics);
	look_at_configuration();
	look_at_registers();
	look_at_lines();
	look_at_option();
	if (fpu_form == FORM_SOFT && !row->dynamic)
		look_at_soft_images();
	/* Another CPU, as ap_start() sets it up. */
	cpu_reset();
	cpu.pte = cpu.pointers_overwritten = nr_allocs = 0;
	native_cpu = (struct native_cpu){ .curr_task = &idle,
					  .xfd_state = XFEATURE_MASK(XTILE_DATA) };
	cpu_setup_control_registers();
	fpu_init_cpu();
	look_at_registers();
	end();
}

#include "tests/native/boot_rows.h"

int main(int argc, char **argv)
{
	unsigned int ran = 0;
	int failed = 0;

	for (row = rows; row < rows + ARRAY_SIZE(rows); row++) {
		int status = 1, pid;

		if (argc < 2 || strcmp(argv[1], row->group))
			continue;
		fflush(NULL);
		pid = fork();
		if (!pid)
			boot();
		waitpid(pid, &status, 0);
		if (status && status != 1 << 8)
			printf("%s: row %d ends with %#x\n", row->group, (int)(row - rows), status);
		failed |= status;
		ran++;
	}
	printf("%u CPUs\n", ran);
	return !!failed || !ran;
}
