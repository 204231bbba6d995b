/* SPDX-License-Identifier: MIT */
/*
 * Setting up a CPU's GDT, TSS and SYSCALL registers. Each is called once on each CPU, interrupts
 * off.
 */
#pragma once

struct task_struct;

/* First of all: afterwards %gs, current and preempt_count work. */
void percpu_init(unsigned int id, struct task_struct *idle, unsigned long kernel_sp);
void percpu_load_tss(void);
void syscall_init(void);
