/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native: the registers are a model's. */
#pragma once

#define fxsave(...) silicon_fxsave(__VA_ARGS__)
#define xsave(...) silicon_xsave(__VA_ARGS__)
#define xsaveopt(...) silicon_xsaveopt(__VA_ARGS__)
#define xsavec(...) silicon_xsavec(__VA_ARGS__)
#define xsaves(...) silicon_xsaves(__VA_ARGS__)
#define fxrstor(...) silicon_fxrstor(__VA_ARGS__)
#define xrstor(...) silicon_xrstor(__VA_ARGS__)
#define xrstors(...) silicon_xrstors(__VA_ARGS__)
#define forget_last_xrstor(...) silicon_forget_last_xrstor(__VA_ARGS__)
#define xgetbv(...) silicon_xgetbv(__VA_ARGS__)
#define xsetbv(...) silicon_xsetbv(__VA_ARGS__)
#define rdpkru_insn(...) silicon_rdpkru_insn(__VA_ARGS__)
#define wrpkru_insn(...) silicon_wrpkru_insn(__VA_ARGS__)
#define stmxcsr(...) silicon_stmxcsr(__VA_ARGS__)
#define ldmxcsr(...) silicon_ldmxcsr(__VA_ARGS__)
#define write_faultable(...) silicon_write_faultable(__VA_ARGS__)
#define overwrite_x87_pointers(...) silicon_overwrite_x87_pointers(__VA_ARGS__)
#define load_tile(...) silicon_load_tile(__VA_ARGS__)
#define tilerelease(...) silicon_tilerelease(__VA_ARGS__)
#include_next "arch/x86/fpu/core/xsave_insns.h"
#undef fxsave
#undef xsave
#undef xsaveopt
#undef xsavec
#undef xsaves
#undef fxrstor
#undef xrstor
#undef xrstors
#undef forget_last_xrstor
#undef xgetbv
#undef xsetbv
#undef rdpkru_insn
#undef wrpkru_insn
#undef stmxcsr
#undef ldmxcsr
#undef write_faultable
#undef overwrite_x87_pointers
#undef load_tile
#undef tilerelease

void fxsave(struct fxregs_state *fx);
void xsave(struct xregs_state *xs, u64 mask);
void xsaveopt(struct xregs_state *xs, u64 mask);
void xsavec(struct xregs_state *xs, u64 mask);
void xsaves(struct xregs_state *xs, u64 mask);
int fxrstor(const struct fxregs_state *fx);
int xrstor(const struct xregs_state *xs, u64 mask);
int xrstors(const struct xregs_state *xs, u64 mask);
void forget_last_xrstor(const struct xregs_state *another, bool compacted);
u64 xgetbv(u32 index);
void xsetbv(u32 index, u64 value);
u32 rdpkru_insn(void);
void wrpkru_insn(u32 pkru);
u32 stmxcsr(void);
void ldmxcsr(u32 mxcsr);
int write_faultable(u8 *to);
void overwrite_x87_pointers(void);
void load_tile(const u8 config[64]);
void tilerelease(void);
