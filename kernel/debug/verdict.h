/* SPDX-License-Identifier: MIT */
/*
 * Test results that can be trusted more than text: with "secret=on" each comes with a signature
 * that only who knows this run's secret can make. For the graders of labs, whose kernels print what
 * their authors like. Without the option nothing is printed here.
 */
#pragma once

#include "lib/types.h"

/* "# verdict SIGNATURE SUITE TEST STATUS", the status one of ok, failed, skipped. May sleep. */
void verdict_print(const char *suite, const char *test, const char *status);
