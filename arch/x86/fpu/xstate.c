// SPDX-License-Identifier: MIT
/*
 * CPUID leaf 0xD to offsets and sizes (SDM vol. 1, 13.2 and 13.4).
 *
 * The standard format has a fixed offset for each component, with holes for those that are off, and
 * other offsets on other vendors' CPUs: nothing is hard-coded. A component whose sub-leaf is empty
 * is dropped, whatever XCR0's mask says.
 */
#include "arch/x86/fpu/xstate.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/insns.h"
#include "kernel/options.h"
#include "lib/printk.h"

enum fpu_form fpu_form;
struct fpu_state_config fpu_kernel_cfg, fpu_user_cfg;
struct fpstate init_fpstate;

static u32 offsets[XFEATURE_MAX], sizes[XFEATURE_MAX];

static const char *const form_names[] = { "FXSAVE", "XSAVE", "XSAVEOPT" };

const char *fpu_form_name(void)
{
	return form_names[fpu_form];
}

/* --- Choosing --- */

static int wanted_form;			/* 0: the best there is; else the form's number plus 1 */
BOOT_CHOICE(xsave, wanted_form, false, "auto", "fxsave", "xsave", "xsaveopt");

void fpu_choose_form(void)
{
	fpu_form = cpu_has.xsaveopt ? FORM_XSAVEOPT : cpu_has.xsave ? FORM_XSAVE : FORM_FXSAVE;
	if (!wanted_form)
		return;
	if (wanted_form - 1 > (int)fpu_form)
		pr_warn("x86/fpu: xsave=: this CPU has no %s; using %s",
			form_names[wanted_form - 1], fpu_form_name());
	else
		fpu_form = wanted_form - 1;
	/* Then ring 3 must not have state that FXSAVE cannot save. */
	if (fpu_form == FORM_FXSAVE)
		cpu_has.xsave = cpu_has.avx = cpu_has.avx512f = cpu_has.pku = false;
}

/* --- Layout --- */

/* Features whose ordinary CPUID flag is off are not for us, whatever leaf 0xD lists. */
static u64 features_by_cpuid(void)
{
	struct cpuid_regs r = cpuid(0xd, 0);
	u64 mask = ((u64)r.edx << 32 | r.eax) & XFEATURE_MASK_USER_SUPPORTED;

	if (!cpu_has.avx)
		mask &= ~(XFEATURE_MASK(YMM) | XFEATURE_MASK_AVX512);
	if (!cpu_has.avx512f)
		mask &= ~XFEATURE_MASK_AVX512;
	if (!cpu_has.pku)
		mask &= ~XFEATURE_MASK(PKRU);
	return mask;
}

/* Sub-leaf @nr: EAX = size, EBX = offset in the standard format. */
static bool read_component(enum xfeature nr)
{
	struct cpuid_regs r = cpuid(0xd, nr);

	if (!r.eax || r.ebx < XSAVE_MIN_SIZE || r.ebx + r.eax > PAGE_SIZE)
		return false;
	offsets[nr] = r.ebx;
	sizes[nr] = r.eax;
	return true;
}

static void read_layout(void)
{
	u64 features = features_by_cpuid();
	u32 size = XSAVE_MIN_SIZE;
	unsigned int nr;

	/* The legacy area, together. */
	sizes[XFEATURE_FP] = sizes[XFEATURE_SSE] = XSAVE_HDR_OFFSET;
	for_each_xfeature(nr, features & ~XFEATURE_MASK_FPSSE) {
		if (read_component(nr)) {
			size = max(size, offsets[nr] + sizes[nr]);
		} else {
			pr_warn("x86/fpu: component %u: no usable sub-leaf; left out", nr);
			features &= ~BIT_ULL(nr);
		}
	}
	/* XCR0 takes AVX-512's three only together, and only with AVX (SDM vol. 1, 13.3). */
	if ((features & XFEATURE_MASK_AVX512) != XFEATURE_MASK_AVX512 ||
	    !(features & XFEATURE_MASK(YMM)))
		features &= ~XFEATURE_MASK_AVX512;
	fpu_kernel_cfg.max_features = features;
	fpu_kernel_cfg.max_size = size;
}

static void print_layout(void)
{
	static const char *const names[XFEATURE_MAX] = {
		"x87", "SSE", "AVX", NULL, NULL, "AVX-512 opmask", "AVX-512 ZMM_Hi256",
		"AVX-512 Hi16_ZMM", NULL, "PKRU",
	};
	unsigned int nr;

	for_each_xfeature(nr, fpu_kernel_cfg.max_features)
		pr_info("x86/fpu: component %u: %-18s %4u bytes at %u", nr, names[nr], sizes[nr],
			offsets[nr]);
	pr_info("x86/fpu: features %#llx, state size %u bytes, saved by %s",
		fpu_kernel_cfg.max_features, fpu_kernel_cfg.default_size, fpu_form_name());
}

void fpu_init_system(void)
{
	fpu_kernel_cfg.legacy_features = XFEATURE_MASK_FPSSE;
	if (cpu_has.xsave) {
		read_layout();
	} else {
		fpu_kernel_cfg.max_features = XFEATURE_MASK_FPSSE;
		fpu_kernel_cfg.max_size = sizeof(struct fxregs_state);
	}
	fpu_kernel_cfg.default_features = fpu_kernel_cfg.max_features & ~XFEATURE_MASK_USER_DYNAMIC;
	fpu_kernel_cfg.default_size = fpu_kernel_cfg.max_size;
	/* No supervisor state yet, and both in the standard format. */
	fpu_user_cfg = fpu_kernel_cfg;

	init_fpstate.size = fpu_kernel_cfg.default_size;
	init_fpstate.user_size = fpu_user_cfg.default_size;
	init_fpstate.xfeatures = fpu_kernel_cfg.default_features;
	init_fpstate.user_xfeatures = fpu_user_cfg.default_features;
	init_fpstate.xfd = fpu_user_cfg.max_features & XFEATURE_MASK_USER_DYNAMIC;
	/*
	 * XSTATE_BV = 0 says "initial" to XRSTOR; FXRSTOR, and MXCSR in the standard format, take
	 * the bytes.
	 */
	init_fpstate.regs.fxsave.cwd = FCW_DEFAULT;
	init_fpstate.regs.fxsave.mxcsr = MXCSR_DEFAULT;
	print_layout();
}

void fpu_init_cpu(void)
{
	if (cpu_has.xsave) {
		xsetbv(0, fpu_user_cfg.max_features);
		xrstor(&init_fpstate.regs.xsave, fpu_kernel_cfg.max_features);
	} else {
		fxrstor(&init_fpstate.regs.fxsave);
	}
}

u32 xstate_offset(enum xfeature nr)
{
	return offsets[nr];
}

u32 xstate_size(enum xfeature nr)
{
	return sizes[nr];
}

void *get_xsave_addr(struct xregs_state *xsave, enum xfeature nr)
{
	if (!(xsave->header.xfeatures & fpu_kernel_cfg.max_features & BIT_ULL(nr)))
		return NULL;
	return (u8 *)xsave + offsets[nr];
}
