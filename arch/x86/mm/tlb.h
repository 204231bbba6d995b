/* SPDX-License-Identifier: MIT */
/*
 * The TLB: what a CPU remembers of the page tables. A CPU hears of a change only when it is told.
 *
 * Three rules for code that changes entries of ring 3 (always under mmap_lock):
 * - a page that was mapped is given back only after flush_tlb_mm_range() has returned;
 * - an entry that goes from one page to another is cleared, flushed, and only then set;
 * - rights that shrink are flushed before mmap_lock is dropped.
 * Rights that grow, and pages where none was, need no flush, because a CPU that remembers less than
 * the tables say faults once more, and handle_mm_fault() finds nothing left to do.
 */
#pragma once

struct mm_struct;

/**
 * flush_tlb_mm_range() - forget the translations of @start..@end of @mm, on every CPU
 * Context: task, interrupts on: it waits until the other CPUs that have @mm loaded have answered,
 * and must itself answer while it waits. Does not sleep.
 */
void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end);

/* The interrupt that flush_tlb_mm_range() sends. */
void tlb_interrupt(void);
