/* SPDX-License-Identifier: MIT */
/* The release, as it stands in a splat's CPU line. */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H

#define SPLAT_RELEASE "0.1.0-splat"

#endif
