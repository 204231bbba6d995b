/* SPDX-License-Identifier: MIT */
/* The release, as it stands in a splat's CPU line, and the compiler (clang's version names it). */
#pragma once

#define SPLAT_RELEASE "0.1.0-splat"
#ifdef __clang__
#define SPLAT_COMPILER __VERSION__
#else
#define SPLAT_COMPILER "gcc " __VERSION__
#endif
