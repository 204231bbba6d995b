/* SPDX-License-Identifier: MIT */
/* What this CPU can do, as far as the kernel uses it: read once from CPUID, fixed afterwards. */
#pragma once

#include "lib/types.h"

struct cpu_features {
	bool	nx, smep, smap, umip, pge, fsgsbase;
	bool	xsave, avx, avx2, avx512f, pku;
	bool	xsaveopt, xsavec, xgetbv1, xsaves, xfd;
	bool	amx_tile, enqcmd, cet;
	/* AMD: x87's pointers are saved and restored only if an exception is pending. */
	bool	fxsave_leak;
	char	name[52];
};

extern struct cpu_features cpu_has;

void cpu_features_init(void);

/* Switch on in CR0, CR4 and EFER what was found. On every CPU. */
void cpu_setup_control_registers(void);
