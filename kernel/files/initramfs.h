/* SPDX-License-Identifier: MIT */
/*
 * The initial files: the archive that the boot loader put into memory. They are read where they
 * lie, and nobody writes them, so there is no lock. Any context once initramfs_init() is done.
 */
#pragma once

#include "lib/cpio.h"

void initramfs_init(void);		/* panics with one line if there is none */

/* The file called @path (see cpio_find()): 0 or -ENOENT. */
int initramfs_find(const char *path, struct cpio_file *file);

/* The name of the file number @index, from 0; or NULL. */
const char *initramfs_name(unsigned int index);
