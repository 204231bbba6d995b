/* SPDX-License-Identifier: MIT */
/* The release, as it stands in a splat's CPU line. */
#pragma once

#define SPLAT_RELEASE "0.1.0-splat"
