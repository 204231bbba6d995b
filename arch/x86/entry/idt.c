// SPDX-License-Identifier: MIT
/*
 * The interrupt descriptor table: one for all CPUs, a gate to the stub of every vector (SDM vol. 3,
 * 6.14).
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "arch/x86/entry/entry.h"

struct gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset16;
	u32 offset32, reserved;
} __packed;

#define GATE_INTERRUPT	0x8e		/* present, ring 0 only, IF cleared */
#define GATE_USER	0xee		/* ring 3 may use INT n */

static struct gate idt[256] __aligned(16);

void idt_init(void)
{
	for (int i = 0; i < 256; i++) {
		u64 stub = (u64)entry_stubs[i];

		idt[i] = (struct gate){
			.offset0 = stub, .offset16 = stub >> 16, .offset32 = stub >> 32,
			.selector = KERNEL_CS, .type = GATE_INTERRUPT,
		};
	}
	idt[X86_TRAP_BP].type = GATE_USER;
	idt[X86_TRAP_OF].type = GATE_USER;
	/* Events that must not trust the stack they find. */
	idt[X86_TRAP_DF].ist = IST_DF;
	idt[X86_TRAP_MC].ist = IST_DF;
	idt[X86_TRAP_NMI].ist = IST_NMI;
	idt[X86_TRAP_DB].ist = IST_DB;
}

void idt_load(void)
{
	struct desc_ptr ptr = { sizeof(idt) - 1, (u64)idt };

	__asm__ volatile("lidt %0" :: "m"(ptr));
}
