/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native: nothing may fault, so there is no table. */
#pragma once

#define EX_TABLE(from, to) ""
