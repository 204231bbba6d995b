// SPDX-License-Identifier: MIT
/*
 * From CPUID and the command line to the configuration: form, features, sizes, and what is dynamic
 * (see xstate.h). CPUID is not always right, so what makes no sense is left out and reported.
 */
#include "arch/x86/fpu/core/xstate.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/core/compact.h"
#include "arch/x86/fpu/core/quirks.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/core/xsave_insns.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/report/panic.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"

enum fpu_form fpu_form;
enum fpu_gate fpu_gate;
struct fpu_state_config fpu_kernel_cfg, fpu_user_cfg;
struct xstate_layout xstate_layout;
struct fpstate init_fpstate;

/* --- Options --- */

static int wanted_form;			/* 0: the best there is; else the form's number plus 1 */
BOOT_CHOICE(xsave, wanted_form, false, "auto", "fxsave", "xsave", "xsaveopt", "xsavec", "xsaves",
	    "soft");

enum { DYNAMIC_AUTO, DYNAMIC_OFF, DYNAMIC_FORCE, DYNAMIC_YMM, DYNAMIC_ZMM, DYNAMIC_AMX };
static const char *const dynamic_names[] = { "auto", "off", "force", "ymm", "zmm", "amx" };
static int dynamic, boot_dynamic;

/* What there is room for is fixed at boot; whether it counts as dynamic may change later. */
static int set_dynamic(const char *value)
{
	for (int i = 0; i < (int)ARRAY_SIZE(dynamic_names); i++) {
		if (strcmp(value, dynamic_names[i]))
			continue;
		if (i >= DYNAMIC_YMM && i != boot_dynamic && init_fpstate.size)
			break;
		dynamic = i;
		return 0;
	}
	return -EINVAL;
}
BOOT_OPTION(dynamic, set_dynamic, true, "auto, off, force; at boot also: ymm, zmm, amx");

static const char *const form_names[] = {
	"FXSAVE", "XSAVE", "XSAVEOPT", "XSAVEC", "XSAVES", "soft XSAVES",
};

const char *fpu_form_name(void)
{
	return form_names[fpu_form];
}

const char *fpu_gate_name(void)
{
	static const char *const names[] = { "none", "XCR0", "IA32_XFD" };

	return names[fpu_gate];
}

const char *fpu_dynamic_name(void)
{
	return dynamic_names[dynamic];
}

/* "force": as on the reporter's machine, where the key was on although nothing was dynamic. */
bool fpu_state_size_dynamic(void)
{
	return dynamic == DYNAMIC_FORCE || (dynamic != DYNAMIC_OFF && init_fpstate.xfd);
}

/* --- Form and features --- */

static bool has_form(enum fpu_form form)
{
	const bool has[] = {
		[FORM_FXSAVE] = true, [FORM_XSAVE] = cpu_has.xsave,
		[FORM_XSAVEOPT] = cpu_has.xsaveopt, [FORM_XSAVEC] = cpu_has.xsavec,
		[FORM_XSAVES] = cpu_has.xsaves, [FORM_SOFT] = cpu_has.xsave,
	};

	return has[form];
}

static void choose_form(void)
{
	fpu_form = FORM_XSAVES;
	while (!has_form(fpu_form))
		fpu_form--;
	/* PKRU lies behind YMM, so without YMM the standard format gets no smaller. */
	if (dynamic == DYNAMIC_YMM && cpu_has.avx && !fpu_compacted())
		fpu_form = FORM_SOFT;
	if (!wanted_form)
		return;
	if (has_form(wanted_form - 1))
		fpu_form = wanted_form - 1;
	else
		pr_warn("x86/fpu: xsave=: this CPU has no %s; using %s",
			form_names[wanted_form - 1], fpu_form_name());
}

/*
 * The group that the gate keeps off until a process asks for it. XCR0 can gate these groups only:
 * AVX takes AVX-512 with it, and tiles go in pairs.
 */
static u64 dynamic_group(void)
{
	switch (dynamic) {
	case DYNAMIC_YMM:
		return XFEATURE_MASK(YMM) | XFEATURE_MASK_AVX512;
	case DYNAMIC_ZMM:
		return XFEATURE_MASK_AVX512;
	case DYNAMIC_AMX:
		return cpu_has.xfd ? XFEATURE_MASK(XTILE_DATA) : XFEATURE_MASK_XTILE;
	case DYNAMIC_OFF:
		return 0;
	default:
		return cpu_has.xfd ? XFEATURE_MASK(XTILE_DATA) : 0;
	}
}

/* Features whose ordinary CPUID flag is off are not for us, whatever leaf 0xD lists. */
static u64 wanted_features(void)
{
	u64 mask = XFEATURE_MASK_USER_SUPPORTED;

	if (!cpu_has.avx)
		mask &= ~(XFEATURE_MASK(YMM) | XFEATURE_MASK_AVX512);
	if (!cpu_has.avx512f)
		mask &= ~XFEATURE_MASK_AVX512;
	if (!cpu_has.pku)
		mask &= ~XFEATURE_MASK(PKRU);
	/* Tiles are large, so only processes that ask get them. */
	if (!cpu_has.amx_tile || !(dynamic_group() & XFEATURE_MASK(XTILE_DATA)))
		mask &= ~XFEATURE_MASK_XTILE;
	if (fpu_form == FORM_XSAVES)
		mask |= (cpu_has.enqcmd ? XFEATURE_MASK(PASID) : 0) |
			(cpu_has.cet ? XFEATURE_MASK(CET_USER) : 0);
	return mask;
}

static void read_cpuid(struct xstate_cpuid *c)
{
	struct cpuid_regs user = cpuid(0xd, 0), supervisor = cpuid(0xd, 1);
	unsigned int nr;

	c->user = (u64)user.edx << 32 | user.eax;
	c->supervisor = (u64)supervisor.edx << 32 | supervisor.ecx;
	for (nr = 2; nr < XFEATURE_MAX; nr++) {
		struct cpuid_regs r = cpuid(0xd, nr);

		c->sub[nr].size = r.eax;
		c->sub[nr].offset = r.ebx;
		c->sub[nr].flags = r.ecx;
	}
	if (fpu_form == FORM_SOFT)
		soft_add_components(c);
}

static const char *lay_out(void)
{
	struct xstate_cpuid c = {};
	u64 wanted = wanted_features() | (fpu_form == FORM_SOFT ? XFEATURE_MASK(PASID) : 0);
	const char *wrong;

	read_cpuid(&c);
	wrong = xstate_layout_init(&xstate_layout, &c, wanted);
	if (!wrong && fpu_image_size(xstate_layout.features & ~dynamic_group()) > PAGE_SIZE)
		wrong = "an image is larger than a page";
	return wrong;
}

void fpu_choose_form(void)
{
	const char *wrong = NULL;

	boot_dynamic = dynamic;
	choose_form();
	if (fpu_form != FORM_FXSAVE)
		wrong = lay_out();
	if (wrong)
		pr_warn("x86/fpu: CPUID leaf 0xD makes no sense (%s); using FXSAVE", wrong);
	if (!wrong && fpu_form != FORM_FXSAVE) {
		/* What was left out is not to be used. */
		cpu_has.avx &= !!(xstate_layout.features & XFEATURE_MASK(YMM));
		cpu_has.avx512f &= !!(xstate_layout.features & XFEATURE_MASK(OPMASK));
		cpu_has.pku &= !!(xstate_layout.features & XFEATURE_MASK(PKRU));
		return;
	}
	/* Then ring 3 must not have state that FXSAVE cannot save. */
	fpu_form = FORM_FXSAVE;
	cpu_has.xsave = cpu_has.avx = cpu_has.avx512f = cpu_has.pku = false;
	xstate_layout = (struct xstate_layout){
		.features = XFEATURE_MASK_FPSSE, .size = { XSAVE_HDR_OFFSET, XSAVE_HDR_OFFSET },
	};
}

/* --- Sizes --- */

u32 fpu_image_size(u64 features)
{
	if (fpu_form == FORM_FXSAVE)
		return sizeof(struct fxregs_state);
	return xstate_image_size(&xstate_layout, features, fpu_compacted());
}

u64 fpu_xcomp_bv(u64 features)
{
	return fpu_compacted() ? XCOMP_BV_COMPACTED | features : 0;
}

static void configure(struct fpu_state_config *cfg, u64 features)
{
	cfg->max_features = features;
	cfg->default_features = features & ~init_fpstate.xfd;
	cfg->max_size = fpu_image_size(cfg->max_features);
	cfg->default_size = fpu_image_size(cfg->default_features);
	if (cfg == &fpu_user_cfg && fpu_compacted()) {
		cfg->max_size = xstate_image_size(&xstate_layout, cfg->max_features, false);
		cfg->default_size = xstate_image_size(&xstate_layout, cfg->default_features, false);
	}
}

/*
 * CPUID says how many bytes it takes to hold what XCR0 and XSS have now (sub-leaf 0: standard, 1:
 * compacted). Emulators err, so the larger size is used if there is room for it, and the
 * disagreement is reported. Where the surplus bytes would lie is not known, so an image without the
 * dynamic features gets them, too.
 */
static void check_total(const char *format, struct fpu_state_config *cfg, u32 cpuid_size)
{
	u32 components = cfg->max_size, more = cpuid_size - components;

	if (cpuid_size == components)
		return;
	if (cpuid_size > components && cfg->default_size + more <= PAGE_SIZE) {
		cfg->max_size += more;
		cfg->default_size += more;
	}
	pr_warn("x86/fpu: quirk: CPUID says %u bytes in the %s format, its components take %u; "
		"%u are used", cpuid_size, format, components, cfg->max_size);
}

static void print_layout(void)
{
	static const char *const names[XFEATURE_MAX] = {
		[XFEATURE_FP] = "x87", [XFEATURE_SSE] = "SSE", [XFEATURE_YMM] = "AVX",
		[XFEATURE_OPMASK] = "AVX-512 opmask", [XFEATURE_ZMM_Hi256] = "AVX-512 ZMM_Hi256",
		[XFEATURE_Hi16_ZMM] = "AVX-512 Hi16_ZMM", [XFEATURE_PKRU] = "PKRU",
		[XFEATURE_PASID] = "PASID", [XFEATURE_CET_USER] = "CET user",
		[XFEATURE_XTILE_CFG] = "AMX tile config", [XFEATURE_XTILE_DATA] = "AMX tile data",
	};
	u64 max = fpu_kernel_cfg.max_features, xfd = init_fpstate.xfd;
	unsigned int nr;

	for_each_xfeature(nr, xstate_layout.dropped)
		pr_warn("x86/fpu: component %u: no usable sub-leaf; left out", nr);
	for_each_xfeature(nr, max)
		pr_info("x86/fpu: component %u: %-18s %4u bytes at %u%s", nr, names[nr],
			xstate_layout.size[nr],
			xstate_image_offset(&xstate_layout, fpu_xcomp_bv(max), nr),
			xfd & BIT_ULL(nr) ? ", when asked for" : "");
	if (xfd)
		pr_info("x86/fpu: dynamic features %#llx, gated by %s, image then %u bytes", xfd,
			fpu_gate_name(), fpu_kernel_cfg.max_size);
	else if (dynamic >= DYNAMIC_YMM)
		pr_warn("x86/fpu: dynamic=%s: this CPU has no such state; nothing is dynamic",
			fpu_dynamic_name());
	pr_info("x86/fpu: features %#llx, state size %u bytes, saved by %s", max,
		fpu_kernel_cfg.default_size, fpu_form_name());
}

/*
 * XCR0 and XSS as wide as they ever get, and nothing off, whatever a firmware has left. The gate's
 * copy changes with the registers, else the next write to them is left out.
 */
static void set_feature_masks(void)
{
	if (cpu_has.xsave)
		xsetbv(0, fpu_user_cfg.max_features);
	if (fpu_form == FORM_XSAVES)
		wrmsr(MSR_IA32_XSS, xstate_layout.supervisor);
	if (cpu_has.xfd)
		wrmsr(MSR_IA32_XFD, 0);
	this_cpu_write(xfd_state, 0);
}

/* Before any other trial, because this one may take a component away. */
static void try_keys(void)
{
	if (!cpu_has.pku || !keys_bind_supervisor())
		return;
	pr_warn("x86/fpu: quirk: protection keys hold for the kernel's own pages, too; not used");
	cpu_has.pku = false;
	write_cr4(read_cr4() & ~CR4_PKE);
	fpu_choose_form();
}

/* Try the compacted format before trusting it; XCR0 is set up for what was chosen. */
static void try_compacted_form(void)
{
	if (fpu_form != FORM_XSAVEC && fpu_form != FORM_XSAVES)
		return;
	if (!compacts_as_documented()) {
		pr_warn("x86/fpu: quirk: %s puts components over the header; not used",
			fpu_form_name());
		if (fpu_form == FORM_XSAVES)
			wrmsr(MSR_IA32_XSS, 0);
		cpu_has.xsavec = cpu_has.xsaves = false;
		fpu_choose_form();
	} else if (restores_go_by_mask()) {
		pr_warn("x86/fpu: quirk: XRSTOR goes by its mask, not by XCOMP_BV; worked around");
		restore_quirks |= RESTORES_BY_MASK;
		/* What is gated has no room at first, so nothing may come behind it. */
		if (dynamic_group() & (XFEATURE_MASK(YMM) | XFEATURE_MASK_AVX512))
			cpu_has.cet = cpu_has.enqcmd = false;
		fpu_choose_form();
	}
}

static void try_tiles(void)
{
	if (knows_used_tiles())
		return;
	pr_warn("x86/fpu: quirk: tiles in use are not marked as such; saved by XSAVE, and marked");
	used_tiles_unmarked = true;
	if (fpu_form == FORM_XSAVES)
		wrmsr(MSR_IA32_XSS, 0);
	cpu_has.xsaveopt = cpu_has.xsavec = cpu_has.xsaves = false;
	fpu_choose_form();
}

void fpu_init_system(void)
{
	u64 features;

	if (cpu_has.fxsave_leak)
		restore_quirks |= KEEPS_X87_POINTERS;
	try_keys();
	configure(&fpu_user_cfg, xstate_layout.features & ~xstate_layout.supervisor);
	set_feature_masks();
	try_compacted_form();
	try_tiles();
	features = xstate_layout.features;
	init_fpstate.xfd = dynamic_group() & features;
	if (init_fpstate.xfd)
		fpu_gate = cpu_has.xfd && dynamic != DYNAMIC_YMM && dynamic != DYNAMIC_ZMM ?
			   GATE_XFD : GATE_XCR0;
	configure(&fpu_kernel_cfg, features);
	configure(&fpu_user_cfg, features & ~xstate_layout.supervisor);
	set_feature_masks();
	if (cpu_has.xsave)
		check_total("standard", &fpu_user_cfg, cpuid(0xd, 0).ebx);
	if (!fpu_compacted())
		fpu_kernel_cfg = fpu_user_cfg;
	else if (fpu_form != FORM_SOFT)
		check_total("compacted", &fpu_kernel_cfg, cpuid(0xd, 1).ebx);

	init_fpstate.size = fpu_kernel_cfg.default_size;
	init_fpstate.user_size = fpu_user_cfg.default_size;
	init_fpstate.xfeatures = fpu_kernel_cfg.default_features;
	init_fpstate.user_xfeatures = fpu_user_cfg.default_features;
	init_fpstate.regs.xsave.header.xcomp_bv = fpu_xcomp_bv(init_fpstate.xfeatures);
	/*
	 * XSTATE_BV = 0 says "initial" to XRSTOR. But FXRSTOR takes the bytes, and MXCSR in the
	 * standard format comes from them, too.
	 */
	init_fpstate.regs.fxsave.cwd = FCW_DEFAULT;
	init_fpstate.regs.fxsave.mxcsr = MXCSR_DEFAULT;
	print_layout();
}

static void *cpu_buffer(size_t size)
{
	void *buffer = kzalloc(size, GFP_ATOMIC);

	if (!buffer)
		panic("x86/fpu: no memory for a CPU's registers");
	return buffer;
}

void fpu_init_cpu(void)
{
	this_cpu_write(dump_fpstate, cpu_buffer(offsetof(struct fpstate, regs) +
						fpu_kernel_cfg.max_size));
	if (fpu_form == FORM_SOFT)
		this_cpu_write(xsave_scratch, cpu_buffer(fpu_user_cfg.max_size));
	set_feature_masks();
	preempt_disable();
	restore_fpregs_from_fpstate(&init_fpstate, fpu_kernel_cfg.max_features);
	/* PKRU's initial state, 0, opens all keys. The idle task keeps what is here. */
	write_pkru(PKRU_DEFAULT);
	preempt_enable();
}

void *get_xsave_addr(struct xregs_state *xsave, enum xfeature nr)
{
	u32 offset = xstate_image_offset(&xstate_layout, xsave->header.xcomp_bv, nr);

	/* Offset 0 is the legacy area's; for other components it says that they are not there. */
	if (!(xsave->header.xfeatures & BIT_ULL(nr)) || (!offset && nr > XFEATURE_SSE))
		return NULL;
	return (u8 *)xsave + offset;
}
