/* SPDX-License-Identifier: MIT */
/* The rows of boot_config.c: CPUs, and what the kernel must make of them. */

#define BASE		(AVX512 | PKRU)
#define STANDARD(f)	.form = FORM_##f, .features = BASE, .size = 2696
#define SUPERVISED	(BASE | CET | PASID)
/* 2440 for BASE, 8 for PASID, 16 for CET. */
#define XSAVES_ALL	.form = FORM_XSAVES, .features = SUPERVISED, .size = 2464, .user_size = 2696
#define NO_XSAVE	.form = FORM_FXSAVE, .features = SSE, .size = 512

static void few_leaves(void) { cpu.max_leaf = 6; }
static void no_leaf_d(void) { cpu.max_leaf = 0xc; }
static void no_extended(void) { cpu.max_extended = 1; }
static void empty_hi16(void) { cpu.d.sub[XFEATURE_Hi16_ZMM].size = 0; }
static void empty_ymm(void) { cpu.d.sub[XFEATURE_YMM].size = 0; }
static void empty_pkru(void) { cpu.d.sub[XFEATURE_PKRU].size = 0; }
static void overlapping(void) { cpu.d.sub[XFEATURE_PKRU].offset = 600; }
static void no_sse(void) { cpu.d.user &= ~XFEATURE_MASK(SSE); }
static void no_supervisor(void)
{
	cpu.d.supervisor = 0;
	memset(&cpu.d.sub[XFEATURE_PASID], 0, sizeof(cpu.d.sub[0]));
}
static void no_memory(void) { allocs_left = 0; }
static void memory_for_one(void) { allocs_left = 1; }
static void size_zmm(u32 size)
{
	cpu.d.sub[XFEATURE_Hi16_ZMM].size = size;
	cpu.d.sub[XFEATURE_Hi16_ZMM].offset = 2752;
}
static void large_zmm(void) { size_zmm(3000); }
/* The largest that fits: 576 + 256 + 64 + 512 + 8 are the others. */
static void page_of_zmm(void) { size_zmm(2680); }

#define NONSENSE(why)	"x86/fpu: CPUID leaf 0xD makes no sense (" why "); using FXSAVE"
#define TOTAL(says, format, parts, used)					\
	"x86/fpu: quirk: CPUID says " says " bytes in the " format " format, "	\
	"its components take " parts "; " used " are used"

static const struct row rows[] = {
	/* --- The form: the best that there is, or what is asked for --- */
	{ "forms", XSAVES_ALL },
	{ "forms", .forms = OPT | SAVEC, .form = FORM_XSAVEC, .features = BASE, .size = 2440,
	  .user_size = 2696 },
	{ "forms", .forms = OPT, STANDARD(XSAVEOPT) },
	{ "forms", .forms = XGETBV1, STANDARD(XSAVE) },
	{ "forms", .no_form = true, STANDARD(XSAVE) },
	{ "forms", .on = IS_GUEST, .no_form = true, STANDARD(XSAVE) },
	{ "forms", .on = IS_TCG, XSAVES_ALL },
	{ "forms", .on = IS_TCG, .no_form = true, NO_XSAVE,
	  .says = "cpu: quirk: QEMU stands still at CR4.OSXSAVE" },
	{ "forms", .off = HAS_XSAVE, NO_XSAVE },
	{ "forms", .edit = no_leaf_d, NO_XSAVE },
	{ "forms", .edit = few_leaves, .off = HAS_SMEP | HAS_SMAP | HAS_UMIP, NO_XSAVE },
	{ "forms", "xsave=fxsave", NO_XSAVE },
	{ "forms", "xsave=xsave", STANDARD(XSAVE) },
	{ "forms", "xsave=xsaveopt", STANDARD(XSAVEOPT) },
	{ "forms", "xsave=xsavec", .form = FORM_XSAVEC, .features = BASE, .size = 2440,
	  .user_size = 2696 },
	{ "forms", "xsave=xsaves", XSAVES_ALL },
	{ "forms", "xsave=auto", XSAVES_ALL },
	{ "forms", "xsave=soft", .form = FORM_SOFT, .features = BASE | PASID, .size = 2448,
	  .user_size = 2696 },
	{ "forms", "xsave=soft", .edit = no_supervisor, .form = FORM_SOFT,
	  .features = BASE | PASID, .size = 2448, .user_size = 2696 },
	{ "forms", "xsave=soft", .no_form = true, .form = FORM_SOFT, .features = BASE | PASID,
	  .size = 2448, .user_size = 2696 },
	{ "forms", "xsave=xsaves", .forms = OPT | SAVEC, .form = FORM_XSAVEC, .features = BASE,
	  .size = 2440, .user_size = 2696,
	  .says = "x86/fpu: xsave=: this CPU has no XSAVES; using XSAVEC" },
	{ "forms", "xsave=xsavec", .forms = OPT, STANDARD(XSAVEOPT),
	  .says = "x86/fpu: xsave=: this CPU has no XSAVEC; using XSAVEOPT" },
	{ "forms", "xsave=xsaveopt", .no_form = true, STANDARD(XSAVE),
	  .says = "x86/fpu: xsave=: this CPU has no XSAVEOPT; using XSAVE" },
	{ "forms", "xsave=soft", .off = HAS_XSAVE, NO_XSAVE,
	  .says = "x86/fpu: xsave=: this CPU has no soft XSAVES; using FXSAVE" },

	/* --- Features: leaf 0xD's, if their own flags are on --- */
	{ "features", .off = HAS_AVX, .form = FORM_XSAVES, .features = SSE | PKRU | CET | PASID,
	  .size = 608, .user_size = 2696 },
	{ "features", .off = HAS_AVX512F, .form = FORM_XSAVES, .features = AVX | PKRU | CET | PASID,
	  .size = 864, .user_size = 2696 },
	{ "features", .off = HAS_PKU, .form = FORM_XSAVES, .features = AVX512 | CET | PASID,
	  .size = 2456, .user_size = 2688 },
	{ "features", .off = HAS_CET, .form = FORM_XSAVES, .features = BASE | PASID, .size = 2448,
	  .user_size = 2696 },
	{ "features", .off = HAS_ENQCMD, .form = FORM_XSAVES, .features = BASE | CET, .size = 2456,
	  .user_size = 2696 },
	{ "features", .on = HAS_AMX, XSAVES_ALL },
	{ "features", .edit = no_extended, XSAVES_ALL },
	{ "features", .edit = empty_hi16, .off = HAS_AVX512F, .form = FORM_XSAVES,
	  .features = AVX | PKRU | CET | PASID, .size = 864, .user_size = 2696 },
	{ "features", "dynamic=amx", XSAVES_ALL,
	  .says = "x86/fpu: dynamic=amx: this CPU has no such state; nothing is dynamic" },
	{ "features", .edit = empty_ymm, .off = HAS_AVX512F, .form = FORM_XSAVES,
	  .features = SSE | PKRU | CET | PASID, .size = 608, .user_size = 2696,
	  .says = "x86/fpu: component 2: no usable sub-leaf; left out" },
	{ "features", .edit = empty_pkru, .form = FORM_XSAVES, .features = AVX512 | CET | PASID,
	  .size = 2456, .user_size = 2688,
	  .says = "x86/fpu: component 9: no usable sub-leaf; left out" },
	{ "features", .edit = overlapping, NO_XSAVE,
	  .says = NONSENSE("components overlap") },
	{ "features", .edit = no_sse, NO_XSAVE,
	  .says = NONSENSE("x87 or SSE is missing") },
	{ "features", .edit = large_zmm, NO_XSAVE,
	  .says = NONSENSE("an image is larger than a page") },
	{ "features", .edit = page_of_zmm, .off = HAS_CET | HAS_ENQCMD, .form = FORM_XSAVES,
	  .features = BASE, .size = 4096, .user_size = 5432 },
	{ "features", "xsave=xsave", .edit = page_of_zmm, NO_XSAVE,
	  .says = NONSENSE("an image is larger than a page") },

	/* --- What is dynamic, and what gates it --- */
	{ "dynamic", "dynamic=amx", .on = HAS_AMX, .form = FORM_XSAVES,
	  .features = SUPERVISED | TILES,
	  .gate = GATE_XCR0, .dynamic = TILES, .size = 2464, .max_size = 10752, .user_size = 2696,
	  .user_max = 11008 },
	{ "dynamic", "dynamic=amx", .on = HAS_AMX, .forms = ALL_FORMS | XFD, .form = FORM_XSAVES,
	  .features = SUPERVISED | TILES, .gate = GATE_XFD, .dynamic = TILE, .size = 2560,
	  .max_size = 10752, .user_size = 2816, .user_max = 11008 },
	{ "dynamic", .on = HAS_AMX, .forms = ALL_FORMS | XFD, .form = FORM_XSAVES,
	  .features = SUPERVISED | TILES, .gate = GATE_XFD, .dynamic = TILE, .size = 2560,
	  .max_size = 10752, .user_size = 2816, .user_max = 11008 },
	{ "dynamic", "dynamic=off", .on = HAS_AMX, .forms = ALL_FORMS | XFD, XSAVES_ALL },
	{ "dynamic", "dynamic=force", XSAVES_ALL },
	{ "dynamic", "dynamic=ymm", .form = FORM_XSAVES, .features = SUPERVISED, .gate = GATE_XCR0,
	  .dynamic = AVX512 & ~SSE, .size = 608, .max_size = 2464, .user_size = 2696 },
	{ "dynamic", "dynamic=ymm", .on = HAS_AMX, .forms = ALL_FORMS | XFD, .form = FORM_XSAVES,
	  .features = SUPERVISED, .gate = GATE_XCR0, .dynamic = AVX512 & ~SSE, .size = 608,
	  .max_size = 2464, .user_size = 2696 },
	{ "dynamic", "dynamic=ymm", .forms = OPT, .form = FORM_SOFT, .features = BASE | PASID,
	  .gate = GATE_XCR0, .dynamic = AVX512 & ~SSE, .size = 592, .max_size = 2448,
	  .user_size = 2696 },
	{ "dynamic", "dynamic=ymm xsave=xsaveopt", .forms = OPT, STANDARD(XSAVEOPT),
	  .gate = GATE_XCR0,
	  .dynamic = AVX512 & ~SSE },
	{ "dynamic", "dynamic=ymm", .off = HAS_AVX, .forms = OPT, .form = FORM_XSAVEOPT,
	  .features = SSE | PKRU, .size = 2696,
	  .says = "x86/fpu: dynamic=ymm: this CPU has no such state; nothing is dynamic" },
	{ "dynamic", "dynamic=zmm", .forms = ALL_FORMS | XFD, .form = FORM_XSAVES,
	  .features = SUPERVISED, .gate = GATE_XCR0, .dynamic = XFEATURE_MASK_AVX512, .size = 864,
	  .max_size = 2464, .user_size = 2696 },
	{ "dynamic", "dynamic=zmm", .off = HAS_PKU, .forms = OPT, .form = FORM_XSAVEOPT,
	  .features = AVX512, .gate = GATE_XCR0, .dynamic = XFEATURE_MASK_AVX512, .size = 832,
	  .max_size = 2688, .user_size = 832, .user_max = 2688 },
	{ "dynamic", "dynamic=amx", XSAVES_ALL,
	  .says = "x86/fpu: dynamic=amx: this CPU has no such state; nothing is dynamic" },
	{ "dynamic", "dynamic=amx xsave=soft", .on = HAS_AMX, .form = FORM_SOFT,
	  .features = BASE | PASID | TILES, .gate = GATE_XCR0, .dynamic = TILES, .size = 2448,
	  .max_size = 10752, .user_size = 2696, .user_max = 11008 },

	/* --- Totals that differ from their parts --- */
	{ "totals", .forms = OPT, .standard_more = 64, .form = FORM_XSAVEOPT, .features = BASE,
	  .size = 2760, .says = TOTAL("2760", "standard", "2696", "2760") },
	{ "totals", .forms = OPT, .standard_more = -64, .form = FORM_XSAVEOPT, .features = BASE,
	  .size = 2696, .says = TOTAL("2632", "standard", "2696", "2696") },
	{ "totals", .forms = OPT, .standard_more = 1400, .form = FORM_XSAVEOPT, .features = BASE,
	  .size = 4096, .says = "x86/fpu: quirk: CPUID says 4096 bytes" },
	{ "totals", .forms = OPT, .standard_more = 1401, .form = FORM_XSAVEOPT, .features = BASE,
	  .size = 2696, .says = TOTAL("4097", "standard", "2696", "2696") },
	{ "totals", .standard_more = 64, .form = FORM_XSAVES, .features = SUPERVISED, .size = 2464,
	  .user_size = 2760,
	  .says = "x86/fpu: quirk: CPUID says 2760 bytes in the standard format" },
	{ "totals", .compacted_more = 8, .form = FORM_XSAVES, .features = SUPERVISED, .size = 2472,
	  .user_size = 2696,
	  .says = TOTAL("2472", "compacted", "2464", "2472") },
	{ "totals", .compacted_more = -8, XSAVES_ALL,
	  .says = TOTAL("2456", "compacted", "2464", "2464") },
	{ "totals", .compacted_more = 8, .forms = OPT | SAVEC, .form = FORM_XSAVEC,
	  .features = BASE,
	  .size = 2448, .user_size = 2696, .says = "x86/fpu: quirk: CPUID says 2448 bytes" },
	{ "totals", .compacted_more = 8, .forms = OPT, STANDARD(XSAVEOPT) },
	{ "totals", "xsave=soft", .compacted_more = 8, .form = FORM_SOFT, .features = BASE | PASID,
	  .size = 2448, .user_size = 2696 },
	{ "totals", "dynamic=amx", .on = HAS_AMX, .compacted_more = 64, .form = FORM_XSAVES,
	  .features = SUPERVISED | TILES, .gate = GATE_XCR0, .dynamic = TILES, .size = 2528,
	  .max_size = 10816, .user_size = 2696, .user_max = 11008,
	  .says = TOTAL("10816", "compacted", "10752", "10816") },
	{ "totals", "dynamic=amx", .on = HAS_AMX, .standard_more = 5632, .form = FORM_XSAVES,
	  .features = SUPERVISED | TILES, .gate = GATE_XCR0, .dynamic = TILES, .size = 2464,
	  .max_size = 10752, .user_size = 2696, .user_max = 11008,
	  .says = TOTAL("16640", "standard", "11008", "11008") },
	{ "totals", .off = HAS_XSAVE, .standard_more = 64, NO_XSAVE },

	/* --- What a trial finds --- */
	{ "quirks", .wrong = OVER_HEADER, STANDARD(XSAVEOPT),
	  .says = "x86/fpu: quirk: XSAVES puts components over the header; not used" },
	{ "quirks", .forms = OPT | SAVEC, .wrong = OVER_HEADER, STANDARD(XSAVEOPT),
	  .says = "x86/fpu: quirk: XSAVEC puts components over the header; not used" },
	{ "quirks", .off = HAS_AVX, .wrong = OVER_HEADER, .form = FORM_XSAVES,
	  .features = SSE | PKRU | CET | PASID, .size = 608, .user_size = 2696 },
	{ "quirks", .wrong = BY_MASK, XSAVES_ALL,
	  .says = "x86/fpu: quirk: XRSTOR goes by its mask, not by XCOMP_BV; worked around" },
	{ "quirks", "dynamic=zmm", .wrong = BY_MASK, .form = FORM_XSAVES, .features = BASE,
	  .gate = GATE_XCR0, .dynamic = XFEATURE_MASK_AVX512, .size = 840, .max_size = 2440,
	  .user_size = 2696,
	  .says = "x86/fpu: quirk: XRSTOR goes by its mask, not by XCOMP_BV; worked around" },
	{ "quirks", "dynamic=ymm", .wrong = BY_MASK, .form = FORM_XSAVES, .features = BASE,
	  .gate = GATE_XCR0, .dynamic = AVX512 & ~SSE, .size = 584, .max_size = 2440,
	  .user_size = 2696,
	  .says = "x86/fpu: quirk: XRSTOR goes by its mask, not by XCOMP_BV; worked around" },
	{ "quirks", "dynamic=amx", .on = HAS_AMX, .wrong = TILES_UNMARKED, .form = FORM_XSAVE,
	  .features = BASE | TILES, .gate = GATE_XCR0, .dynamic = TILES, .size = 2696,
	  .max_size = 11008, .user_size = 2696, .user_max = 11008,
	  .says =
		"x86/fpu: quirk: tiles in use are not marked as such; saved by XSAVE, and marked" },
	{ "quirks", .wrong = KEYS_BIND, .form = FORM_XSAVES, .features = AVX512 | CET | PASID,
	  .size = 2456, .user_size = 2688,
	  .says =
		"x86/fpu: quirk: protection keys hold for the kernel's own pages, too; not used" },
	{ "quirks", .forms = OPT, .wrong = KEYS_BIND, .form = FORM_XSAVEOPT, .features = AVX512,
	  .size = 2688,
	  .says =
		"x86/fpu: quirk: protection keys hold for the kernel's own pages, too; not used" },
	{ "quirks", .off = HAS_PKU, .wrong = KEYS_BIND, .form = FORM_XSAVES,
	  .features = AVX512 | CET | PASID, .size = 2456, .user_size = 2688 },

	/* --- AMD --- */
	{ "amd", .on = IS_AMD | HAS_ERPTR, .family = 0x19, XSAVES_ALL },
	{ "amd", .on = IS_AMD, .family = 0x15, XSAVES_ALL },		/* restores overwrite */
	{ "amd", .on = IS_AMD, .family = 0x15, .off = HAS_XSAVE, NO_XSAVE },
	{ "amd", .on = IS_AMD, .family = 0x15, .edit = no_extended, XSAVES_ALL },
	{ "amd", .on = IS_AMD | HAS_ERPTR, .family = 0x17, .form = FORM_XSAVEC, .features = BASE,
	  .size = 2440, .user_size = 2696,
	  .says = "cpu: quirk: XSAVES of AMD's family 17h loses XMM registers; not used" },
	{ "amd", .on = IS_AMD | HAS_ERPTR, .family = 0x17, .forms = OPT | SAVEC,
	  .form = FORM_XSAVEC,
	  .features = BASE, .size = 2440, .user_size = 2696 },
	{ "amd", .family = 0x17, XSAVES_ALL },

	/* --- CPUs that cannot be used, control bits, memory --- */
	{ "cpu", .off = HAS_FXSR, .panics = "cpu: A CPU that is made up has no FXSAVE;" },
	{ "cpu", .off = HAS_SSE, .panics = "cpu: A CPU that is made up has no SSE;" },
	{ "cpu", .off = HAS_SYSCALL, .panics = "cpu: A CPU that is made up has no SYSCALL;" },
	{ "cpu", .off = HAS_PGE, XSAVES_ALL },
	{ "cpu", .off = HAS_SMEP, XSAVES_ALL },
	{ "cpu", .off = HAS_SMAP, XSAVES_ALL },
	{ "cpu", .off = HAS_UMIP, XSAVES_ALL },
	{ "cpu", .off = HAS_NX, XSAVES_ALL },
	{ "cpu", .off = HAS_AVX2, XSAVES_ALL },
	{ "cpu", .edit = no_memory, .panics = "x86/fpu: no memory" },
	{ "cpu", "xsave=soft", .edit = memory_for_one,
	  .panics = "x86/fpu: no memory for a CPU's registers" },
};
