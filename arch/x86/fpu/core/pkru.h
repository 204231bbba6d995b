/* SPDX-License-Identifier: MIT */
/*
 * PKRU, the rights of protection keys: switched at once and not with the other registers, because
 * the kernel's own accesses to ring 3's memory obey it.
 */
#pragma once

#include "arch/x86/thread.h"

/* Protection keys: key 0 open, keys 1-15 closed, until the task says otherwise. */
#define PKRU_DEFAULT	0x55555554
u32 read_pkru(void);			/* 0 without PKU */
void write_pkru(u32 pkru);
void x86_pkru_load(struct thread_struct *prev, struct thread_struct *next);
