/* SPDX-License-Identifier: MIT */
/*
 * State that a process must ask for: how to ask, and known values in it. Which state that is
 * depends on the machine and on Splat's option "dynamic="; the tests are the same for all.
 *
 * The compiler uses none of these registers, so values stay over C code. They are not the low 128
 * bits of the vector registers, but what lies above them.
 */
#ifndef USER_LIB_DYNSTATE_H
#define USER_LIB_DYNSTATE_H

#include "user/lib/libc.h"

#define ARCH_GET_XCOMP_SUPP	0x1021
#define ARCH_GET_XCOMP_PERM	0x1022
#define ARCH_REQ_XCOMP_PERM	0x1023
#define ARCH_GET_XCOMP_GUEST_PERM	0x1024
#define ARCH_REQ_XCOMP_GUEST_PERM	0x1025

/* Component numbers, by which state is asked for. */
#define DYN_YMM			2
#define DYN_ZMM			7
#define DYN_TILES		18
#define DYN_NUMBERS		20		/* more than there are */

/* The number of what is dynamic here; 0: nothing is. */
int dyn_number(void);

long dyn_supported(u64 *mask);
long dyn_permitted(u64 *mask);
long dyn_request(unsigned long number);

/* Put values made from @seed into all the dynamic state; seed 0: the initial state. A first use. */
void dyn_put(u64 seed);
/* Does the dynamic state hold these values? A first use, too, except for tiles. */
bool dyn_holds(u64 seed);

/* Do XSAVE and XRSTOR, used by ring 3, bring the state back? A first use, with permission. */
bool dyn_can_be_saved(void);
/*
 * From here on tiles have 8 rows of 8 bytes. That much survives on Bochs 3, which saves no more
 * than 8 rows, and the number of rows in place of that of columns.
 */
void dyn_use_small_tiles(void);

#endif
