/* SPDX-License-Identifier: MIT */
/*
 * Which address space each CPU has loaded, and telling the others when a translation that they may
 * have cached is no longer true ("TLB shootdown").
 */
#pragma once

struct mm_struct;

/**
 * flush_tlb_mm_range() - no CPU uses a translation of @start..@end that is no longer in the tables.
 * A page that was mapped may be given back, and another one mapped in its place, only after this.
 * Context: task, interrupts on: it waits until the other CPUs that have @mm loaded have answered,
 * and must itself answer while it waits. Does not sleep.
 */
void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end);

/* The interrupt that flush_tlb_mm_range() sends. */
void tlb_interrupt(void);
