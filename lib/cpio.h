/* SPDX-License-Identifier: MIT */
/*
 * A cpio archive ("newc", what `cpio -H newc` writes) read where it lies: the initial files.
 * Nothing is copied; names and data point into the archive. The archive comes from outside, so no
 * length in it is believed unchecked.
 */
#pragma once

#include "lib/types.h"

struct cpio_file {
	const char *name;
	const void *data;
	size_t size;
	u32 mode;	/* as in stat() */
};

/**
 * cpio_next() - the file at @pos; @pos then moves to the next one.
 * @pos: 0 for the first file.  @out: written on success only.
 * Return: 0; -ENOENT at the end; -EINVAL for what is no archive. Never reads outside [archive,
 * archive + len).
 */
int cpio_next(const void *archive, size_t len, size_t *pos, struct cpio_file *out);

/*
 * The first file called @path; "/" and "./" at the start are ignored. Returns what cpio_next()
 * does.
 */
int cpio_find(const void *archive, size_t len, const char *path, struct cpio_file *out);
