/* SPDX-License-Identifier: MIT */
/*
 * A newc archive is a row of files: a header in ASCII, the name with its NUL, the data. Name and
 * data are each filled up to a multiple of four bytes. A file called TRAILER!!! ends the row.
 */
#include "lib/cpio.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAGIC		"070701"
#define MAGIC_LEN	6
#define DIGITS		8

/* Which of the header's numbers is which; Splat has no use for the others. */
enum { MODE = 1, FILE_SIZE = 6, NAME_SIZE = 11, FIELDS = 13 };

#define HEADER_LEN	(MAGIC_LEN + FIELDS * DIGITS)

static bool parse_header(const char *header, u32 field[FIELDS])
{
	if (memcmp(header, MAGIC, MAGIC_LEN))
		return false;
	for (int i = 0; i < FIELDS * DIGITS; i++) {
		char c = header[MAGIC_LEN + i], lower = c | 0x20;
		bool decimal = c >= '0' && c <= '9';

		if (!decimal && (lower < 'a' || lower > 'f'))
			return false;
		field[i / DIGITS] = field[i / DIGITS] << 4 | (decimal ? c - '0' : lower - 'a' + 10);
	}
	return true;
}

int cpio_next(const void *archive, size_t len, size_t *pos, struct cpio_file *out)
{
	size_t left, name_size, data_start, file_size;
	const char *header, *name;
	u32 field[FIELDS] = {};

	if (*pos >= len)
		return -ENOENT;
	left = len - *pos;
	header = (const char *)archive + *pos;
	if (left < HEADER_LEN || !parse_header(header, field))
		return -EINVAL;

	/* The numbers have 32 bits, the sums 64: they can be too large, but can't wrap round. */
	name = header + HEADER_LEN;
	name_size = field[NAME_SIZE];
	file_size = field[FILE_SIZE];
	data_start = ALIGN_UP(HEADER_LEN + name_size, 4);
	if (!name_size || data_start + file_size > left || name[name_size - 1])
		return -EINVAL;
	if (!strcmp(name, "TRAILER!!!"))
		return -ENOENT;

	*out = (struct cpio_file) { name, header + data_start, file_size, field[MODE] };
	*pos += min(ALIGN_UP(data_start + file_size, 4), left);
	return 0;
}

static const char *skip_root(const char *path)
{
	while (path[0] == '/' || (path[0] == '.' && path[1] == '/'))
		path++;
	return path;
}

int cpio_find(const void *archive, size_t len, const char *path, struct cpio_file *out)
{
	struct cpio_file file;
	size_t pos = 0;
	int err;

	while (!(err = cpio_next(archive, len, &pos, &file))) {
		if (!strcmp(skip_root(file.name), skip_root(path))) {
			*out = file;
			return 0;
		}
	}
	return err;
}
