/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native: constants are the kernel's, what acts is a model. */
#pragma once

#define cpuid(...) silicon_cpuid(__VA_ARGS__)
#define rdmsr(...) silicon_rdmsr(__VA_ARGS__)
#define wrmsr(...) silicon_wrmsr(__VA_ARGS__)
#define rdtsc(...) silicon_rdtsc(__VA_ARGS__)
#define invlpg(...) silicon_invlpg(__VA_ARGS__)
#define inb(...) silicon_inb(__VA_ARGS__)
#define outb(...) silicon_outb(__VA_ARGS__)
#define read_cr0 silicon_read_cr0
#define read_cr3(...) silicon_read_cr3(__VA_ARGS__)
#define read_cr4(...) silicon_read_cr4(__VA_ARGS__)
#define write_cr0(...) silicon_write_cr0(__VA_ARGS__)
#define write_cr3(...) silicon_write_cr3(__VA_ARGS__)
#define write_cr4(...) silicon_write_cr4(__VA_ARGS__)
#include_next "arch/x86/cpu/insns.h"
#undef cpuid
#undef rdmsr
#undef wrmsr
#undef rdtsc
#undef invlpg
#undef inb
#undef outb
#undef read_cr0
#undef read_cr3
#undef read_cr4
#undef write_cr0
#undef write_cr3
#undef write_cr4

struct cpuid_regs cpuid(u32 leaf, u32 subleaf);
u64 rdmsr(u32 msr);
void wrmsr(u32 msr, u64 value);
u64 rdtsc(void);
u8 inb(u16 port);
void outb(u16 port, u8 value);
unsigned long read_cr0(void), read_cr4(void);
void write_cr0(unsigned long value), write_cr4(unsigned long value);
static inline void invlpg(unsigned long addr) { }
