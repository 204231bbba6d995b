/* SPDX-License-Identifier: MIT */
/* The made-up CPU (see made_up_cpu.h), by the SDM: vol. 2 CPUID, vol. 1 chapter 13. */
#include "tests/native/made_up_cpu.h"
#include "arch/x86/mm/pgtable.h"
#include "lib/string.h"

#define GARBAGE		0xdeadbeef		/* of leaves that there are not */

struct made_up_cpu cpu;
pte_t *kernel_pml4;

void cpu_reset(void)
{
	cpu.xcr0 = XFEATURE_MASK(FP);
	cpu.xss = cpu.efer = 0;
	cpu.xfd = cpu.forms & XFD ? XFEATURE_MASK(XTILE_DATA) : 0;	/* a firmware's leavings */
	cpu.cr0 = CR0_EM | CR0_TS | CR0_CD | CR0_NW;
	cpu.cr4 = BIT(5);
	memset(cpu.value, 0x77, sizeof(cpu.value));
	cpu.mxcsr = 0x1fa5;
	cpu.pkru = 0x12345678;
}

/* --- CPUID --- */

static u32 bit(u32 flag, int nr)
{
	return cpu.has & flag ? BIT(nr) : 0;
}

static struct cpuid_regs leaf1(void)
{
	u32 family = cpu.family > 15 ? 15 << 8 | (cpu.family - 15) << 20 : cpu.family << 8;

	return (struct cpuid_regs){
		.eax = family,
		.ecx = bit(HAS_XSAVE, 26) | bit(HAS_AVX, 28) | bit(IS_TCG | IS_GUEST, 31),
		.edx = bit(HAS_PGE, 13) | bit(HAS_FXSR, 24) | bit(HAS_SSE, 25),
	};
}

static u32 compacted_place(u64 features, unsigned int nr)
{
	u32 at = XSAVE_MIN_SIZE;

	for (unsigned int i = 2; i < XFEATURE_MAX; i++) {
		if (!(features & BIT_ULL(i)))
			continue;
		if (cpu.d.sub[i].flags & XSTATE_ALIGN64)
			at = (at + 63) / 64 * 64;
		if (i == nr)
			return at;
		at += cpu.d.sub[i].size;
	}
	return at;
}

static struct cpuid_regs leaf_d(u32 sub)
{
	u32 size = XSAVE_MIN_SIZE;
	u64 room = cpu.xcr0 | cpu.xss;

	if (sub > 1)
		return (struct cpuid_regs){ cpu.d.sub[sub].size, cpu.d.sub[sub].offset,
					    cpu.d.sub[sub].flags, 0 };
	if (sub)
		return (struct cpuid_regs){ cpu.forms,
			compacted_place(room, XFEATURE_MAX) + cpu.compacted_more,
			cpu.d.supervisor, cpu.d.supervisor >> 32 };
	for (unsigned int i = 2; i < XFEATURE_MAX; i++)
		if (cpu.xcr0 & BIT_ULL(i))
			size = max(size, cpu.d.sub[i].offset + cpu.d.sub[i].size);
	return (struct cpuid_regs){ cpu.d.user, size + cpu.standard_more, size, cpu.d.user >> 32 };
}

static struct cpuid_regs extended_leaf(u32 nr)
{
	struct cpuid_regs r = { .eax = 0x80000000 + cpu.max_extended };
	char name[48] = "";

	if (nr > cpu.max_extended)
		return (struct cpuid_regs){ GARBAGE, GARBAGE, GARBAGE, GARBAGE };
	strscpy(name, cpu.name, sizeof(name));
	if (nr == 1)
		r.edx = bit(HAS_SYSCALL, 11) | bit(HAS_NX, 20);
	else if (nr >= 2 && nr <= 4)
		memcpy(&r, name + 16 * (nr - 2), 16);
	else if (nr == 8)
		r.ebx = bit(HAS_ERPTR, 2);
	return r;
}

struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	static const struct cpuid_regs amd = { 0, 0x68747541, 0x444d4163, 0x69746e65 };
	static const struct cpuid_regs intel = { 0, 0x756e6547, 0x6c65746e, 0x49656e69 };
	struct cpuid_regs r;

	if (leaf >> 31)
		return extended_leaf(leaf & ~BIT(31));
	if (leaf == 0x40000000) {
		memcpy(&r.ebx, cpu.has & IS_TCG ? "TCGTCGTCGTCG" : "KVMKVMKVM", 12);
		return r;
	}
	if (leaf > cpu.max_leaf)
		return (struct cpuid_regs){ GARBAGE, GARBAGE, GARBAGE, GARBAGE };
	switch (leaf) {
	case 0:
		r = cpu.has & IS_AMD ? amd : intel;
		r.eax = cpu.max_leaf;
		return r;
	case 1:
		return leaf1();
	case 7:
		return (struct cpuid_regs){
			.ebx = bit(HAS_AVX2, 5) | bit(HAS_SMEP, 7) | bit(HAS_AVX512F, 16) |
			       bit(HAS_SMAP, 20),
			.ecx = bit(HAS_UMIP, 2) | bit(HAS_PKU, 3) | bit(HAS_CET, 7) |
			       bit(HAS_ENQCMD, 29),
			.edx = bit(HAS_AMX, 24),
		};
	case 0xd:
		return leaf_d(subleaf);
	}
	return (struct cpuid_regs){};
}

/* --- Control registers --- */

unsigned long read_cr0(void) { return cpu.cr0; }
unsigned long read_cr4(void) { return cpu.cr4; }

void write_cr0(unsigned long value)
{
	cpu.cr0 = value;
}

void write_cr4(unsigned long value)
{
	unsigned long takes = BIT(5) | CR4_OSFXSR | CR4_OSXMMEXCPT |
		(cpu.has & HAS_PGE ? CR4_PGE : 0) | (cpu.has & HAS_SMEP ? CR4_SMEP : 0) |
		(cpu.has & HAS_SMAP ? CR4_SMAP : 0) | (cpu.has & HAS_UMIP ? CR4_UMIP : 0) |
		(cpu.has & HAS_PKU ? CR4_PKE : 0) | (cpu.has & HAS_XSAVE ? CR4_OSXSAVE : 0);

	if (value & ~takes || (value & CR4_OSXSAVE && !cpu.forms && cpu.has & IS_TCG))
		refused("CR4", value);
	cpu.cr4 = value;
}

u64 rdmsr(u32 msr)
{
	return msr == MSR_EFER ? cpu.efer : 0;
}

void wrmsr(u32 msr, u64 value)
{
	if (msr == MSR_EFER && !(value & EFER_NX && !(cpu.has & HAS_NX)))
		cpu.efer = value;
	else if (msr == MSR_IA32_XSS && cpu.forms & SAVES && !(value & ~cpu.d.supervisor))
		cpu.xss = value;
	else if (msr == MSR_IA32_XFD && cpu.forms & XFD && !(value & ~XFEATURE_MASK(XTILE_DATA)))
		cpu.xfd = value;
	else
		refused(msr == MSR_IA32_XSS ? "XSS" : "MSR", value);
}

static void need(bool there, const char *what)
{
	if (!there)
		refused(what, cpu.cr4);
}

static void need_form(u32 form, const char *what)
{
	need(cpu.cr4 & CR4_OSXSAVE, what);
	need(cpu.forms & form || !form, what);
}

static bool whole(u64 value, u64 group, u64 with)
{
	return !(value & group) || (value & (group | with)) == (group | with);
}

void xsetbv(u32 index, u64 value)
{
	need_form(0, "XSETBV");
	if (index || value & ~cpu.d.user || !(value & XFEATURE_MASK(FP)) ||
	    !whole(value, XFEATURE_MASK(YMM), XFEATURE_MASK(SSE)) ||
	    !whole(value, XFEATURE_MASK_AVX512, XFEATURE_MASK(YMM)) ||
	    !whole(value, XFEATURE_MASK_XTILE, 0))
		refused("XCR0", value);
	cpu.xcr0 = value;
}

u32 rdpkru_insn(void)
{
	need(cpu.cr4 & CR4_PKE, "RDPKRU");
	return cpu.pkru;
}

void wrpkru_insn(u32 pkru)
{
	need(cpu.cr4 & CR4_PKE, "WRPKRU");
	cpu.pkru = pkru;
}

u32 stmxcsr(void) { return cpu.mxcsr; }
void ldmxcsr(u32 mxcsr) { cpu.mxcsr = mxcsr; }

/* --- Images --- */

static u8 *place(const struct xregs_state *xs, u64 room, unsigned int nr)
{
	u8 *at = (u8 *)xs;

	if (nr == XFEATURE_FP)
		return at + offsetof(struct fxregs_state, st_space);
	if (nr == XFEATURE_SSE)
		return at + offsetof(struct fxregs_state, xmm_space);
	if (!(xs->header.xcomp_bv & XCOMP_BV_COMPACTED))
		return at + cpu.d.sub[nr].offset;
	at += compacted_place(room, nr);
	return cpu.wrong & OVER_HEADER && !(room & XFEATURE_MASK_FPSSE) ? at - XSAVE_MIN_SIZE : at;
}

static size_t size_of(unsigned int nr)
{
	return nr == XFEATURE_FP ? 16 * 8 : nr == XFEATURE_SSE ? 16 * 16 : cpu.d.sub[nr].size;
}

static void save(struct xregs_state *xs, u64 mask, bool compacted)
{
	u64 in_use = 0;

	if (compacted)
		xs->header.xcomp_bv = XCOMP_BV_COMPACTED | mask;
	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++) {
		if (!(mask & BIT_ULL(nr)))
			continue;
		if (!cpu.value[nr] && compacted)
			continue;
		memset(place(xs, mask, nr), cpu.value[nr], size_of(nr));
		if (cpu.value[nr] && !(nr == XFEATURE_XTILE_DATA && cpu.wrong & TILES_UNMARKED))
			in_use |= BIT_ULL(nr);
	}
	if (mask & (XFEATURE_MASK(SSE) | XFEATURE_MASK(YMM)) &&
	    (!compacted || in_use & XFEATURE_MASK(SSE))) {
		xs->i387.mxcsr = cpu.mxcsr;
		xs->i387.mxcsr_mask = 0xffff;
	}
	xs->header.xfeatures = (xs->header.xfeatures & ~mask) | in_use;
}

void xsave(struct xregs_state *xs, u64 mask)
{
	need_form(0, "XSAVE");
	save(xs, mask & cpu.xcr0, false);
}

void xsaveopt(struct xregs_state *xs, u64 mask)
{
	need_form(OPT, "XSAVEOPT");
	save(xs, mask & cpu.xcr0, false);
}

void xsavec(struct xregs_state *xs, u64 mask)
{
	need_form(SAVEC, "XSAVEC");
	save(xs, mask & cpu.xcr0, true);
}

void xsaves(struct xregs_state *xs, u64 mask)
{
	need_form(SAVES, "XSAVES");
	save(xs, mask & (cpu.xcr0 | cpu.xss), true);
}

void fxsave(struct fxregs_state *fx)
{
	memset(fx->st_space, cpu.value[XFEATURE_FP], sizeof(fx->st_space));
	memset(fx->xmm_space, cpu.value[XFEATURE_SSE], sizeof(fx->xmm_space));
	fx->mxcsr = cpu.mxcsr;
}

int fxrstor(const struct fxregs_state *fx)
{
	cpu.value[XFEATURE_FP] = fx->st_space[0][0];
	cpu.value[XFEATURE_SSE] = fx->xmm_space[0][0];
	cpu.mxcsr = fx->mxcsr;
	return 0;
}

static int restore(const struct xregs_state *xs, u64 mask, u64 enabled)
{
	const struct xstate_header *h = &xs->header;
	bool compacted = h->xcomp_bv & XCOMP_BV_COMPACTED;
	u64 room = compacted ? h->xcomp_bv & ~XCOMP_BV_COMPACTED : enabled;

	if (h->xfeatures & ~room || room & ~enabled || (!compacted && h->xcomp_bv))
		return -1;
	mask &= enabled;
	if (h->xfeatures & mask & cpu.xfd)
		return -1;
	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++)
		if (mask & BIT_ULL(nr))
			cpu.value[nr] = !(h->xfeatures & BIT_ULL(nr)) ? 0 :
				*place(xs, cpu.wrong & BY_MASK ? mask : room, nr);
	if (!compacted && mask & (XFEATURE_MASK(SSE) | XFEATURE_MASK(YMM)))
		cpu.mxcsr = xs->i387.mxcsr;
	else if (compacted && h->xfeatures & mask & XFEATURE_MASK(SSE))
		cpu.mxcsr = xs->i387.mxcsr;
	else if (compacted && mask & XFEATURE_MASK(SSE) && !(cpu.wrong & BY_MASK))
		cpu.mxcsr = MXCSR_DEFAULT;
	if (mask & XFEATURE_MASK(PKRU) && cpu.cr4 & CR4_PKE)
		cpu.pkru = cpu.value[XFEATURE_PKRU] * 0x01010101;
	return 0;
}

int xrstor(const struct xregs_state *xs, u64 mask)
{
	need_form(xs->header.xcomp_bv ? SAVEC : 0, "XRSTOR");
	return restore(xs, mask, cpu.xcr0);
}

int xrstors(const struct xregs_state *xs, u64 mask)
{
	need_form(SAVES, "XRSTORS");
	if (!(xs->header.xcomp_bv & XCOMP_BV_COMPACTED))
		return -1;
	return restore(xs, mask, cpu.xcr0 | cpu.xss);
}

void forget_last_xrstor(const struct xregs_state *another, bool compacted) { }

void overwrite_x87_pointers(void)
{
	cpu.pointers_overwritten++;
	cpu.value[XFEATURE_FP] = 0x55;
}

u64 xgetbv(u32 index)
{
	u64 in_use = 0;

	need_form(index ? XGETBV1 : 0, "XGETBV");
	if (!index)
		return cpu.xcr0;
	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++)
		in_use |= cpu.value[nr] ? BIT_ULL(nr) : 0;
	return in_use & cpu.xcr0 & ~(cpu.wrong & TILES_UNMARKED ? XFEATURE_MASK(XTILE_DATA) : 0);
}

/* --- Tiles and keys --- */

void load_tile(const u8 config[64])
{
	need((cpu.xcr0 & XFEATURE_MASK_XTILE) == XFEATURE_MASK_XTILE, "LDTILECFG");
	need(!(cpu.xfd & XFEATURE_MASK(XTILE_DATA)), "TILELOADD");
	cpu.value[XFEATURE_XTILE_CFG] = cpu.value[XFEATURE_XTILE_DATA] = config[0];
}

void tilerelease(void)
{
	cpu.value[XFEATURE_XTILE_CFG] = cpu.value[XFEATURE_XTILE_DATA] = 0;
}

int kernel_map_page(unsigned long addr, u64 phys, u64 prot)
{
	cpu.pte = prot | 1;
	cpu.mapped = phys;
	return 0;
}

pte_t *pgtable_pte(pte_t *pml4, unsigned long addr, bool create)
{
	return &cpu.pte;
}

int write_faultable(u8 *to)
{
	unsigned int key = cpu.pte >> 59 & 15;

	if (!(cpu.pte & 1) || !(cpu.pte & PTE_RW) || !key)
		refused("a page", cpu.pte);
	/* The page has other things, too: only what was to be mapped may be written. */
	if (((u64)to ^ cpu.mapped) % PAGE_SIZE)
		refused("another thing's byte", (u64)to);
	return cpu.wrong & KEYS_BIND && cpu.cr4 & CR4_PKE && cpu.pkru >> 2 * key & 3 ? -1 : 0;
}
