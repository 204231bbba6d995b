/* SPDX-License-Identifier: MIT */
/*
 * Either gate, for tests: IA32_XFD's MSRs are a model on a CPU without them. Permission for
 * current, and its first use, without the instruction that would fault.
 */
#pragma once

#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/dynamic.h"
#include "kernel/debug/scrub.h"
#include "kernel/exit.h"
#include "tests/kernel/fpu_regs.h"

#define GROUP		(init_fpstate.xfd)
#define REQ_PERM	0x1023
#define REQ_GUEST_PERM	0x1025

/* --- IA32_XFD's MSRs, or their model --- */

static inline u64 read_xfd(void)
{
	return cpu_has.xfd ? rdmsr(MSR_IA32_XFD) : this_cpu_read(xfd_model);
}

static inline u64 read_xfd_err(void)
{
	return cpu_has.xfd ? rdmsr(MSR_IA32_XFD_ERR) : this_cpu_read(xfd_err_model);
}

/* What the CPU does when it raises #NM. */
static inline void write_xfd_err(u64 features)
{
	if (cpu_has.xfd)
		wrmsr(MSR_IA32_XFD_ERR, features);
	else
		this_cpu_write(xfd_err_model, features);
}

/* --- Both gates --- */

static inline void set_gate(enum fpu_gate gate)
{
	fpregs_lock();
	xfd_update_state(0);		/* the old one is open, ... */
	fpu_gate = gate;		/* ... and the new one counts as open */
	this_cpu_write(xfd_model, 0);
	__cpu_invalidate_fpregs_state();
	set_thread_flag(TIF_NEED_FPU_LOAD);
	fpregs_unlock();
}

/* Back to what it was: default buffer, permission and gate. */
static inline void end_gate(enum fpu_gate *gate)
{
	struct fpstate *large = own_fpu()->fpstate;

	fpregs_lock();
	fpstate_reset(own_fpu());
	fpu_reset_perms(own_fpu());
	fpregs_unlock();
	fpstate_free(own_fpu(), large);
	set_gate(*gate);
}

static inline void ask_as(int option)
{
	BUG_ON(fpu_xstate_prctl(option, GROUP & XFEATURE_MASK(YMM) ? XFEATURE_YMM :
				GROUP & XFEATURE_MASK(XTILE_DATA) ? XFEATURE_XTILE_DATA :
				XFEATURE_Hi16_ZMM));
}

static inline void ask(void)
{
	ask_as(REQ_PERM);
}

static inline void grant(bool permitted)
{
	fpstate_reset(own_fpu());
	fpu_reset_perms(own_fpu());
	if (permitted)
		ask();
}

/* The leader is current for this time: the test may be a thread of anything. */
#define WITH_GATE(gate)									\
	KEEP_USER_FPU;									\
	enum fpu_gate __gate __unused __attribute__((cleanup(end_gate))) = fpu_gate;	\
	set_gate(gate)

/* The exception that a first use raises. */
static inline int first_use(void)
{
	unsigned long vector = X86_TRAP_UD;
	int signal;

	if (fpu_gate == GATE_XFD) {
		vector = X86_TRAP_NM;
		write_xfd_err(GROUP);
	}
	local_irq_disable();
	signal = fpu_first_use(vector, SIGBUS);
	return signal;
}

/* The test @body with the gate that the machine has, and with IA32_XFD's. */
#define FOR_BOTH_GATES(body)								\
	do {										\
		if (!GROUP)								\
			KSKIP("nothing is dynamic here");				\
		if (scrub_is_on())							\
			KSKIP("the scrubber uses the FPU of other CPUs meanwhile");	\
		body(kt, fpu_gate);							\
		if (fpu_gate != GATE_XFD)						\
			body(kt, GATE_XFD);						\
	} while (0)
