/* SPDX-License-Identifier: MIT */
/*
 * Test results that can be trusted more than text: with "secret=on" each comes with a signature
 * that cannot be made without this run's secret. It is for the graders of labs, because a lab's
 * kernel prints what its author likes. Without the option nothing is printed here.
 */
#pragma once

#include "lib/types.h"

/* "# verdict SIGNATURE SUITE TEST STATUS", the status one of ok, failed, skipped. May sleep. */
void verdict_print(const char *suite, const char *test, const char *status);
