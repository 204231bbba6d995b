/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native. */
#pragma once

#define virt_to_phys(p)	((u64)(p))
