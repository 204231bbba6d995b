/* SPDX-License-Identifier: MIT */
/*
 * Archives: a good one is read right, and no bad one leads the reader out of it. The test builds
 * its archive itself, so that it knows each byte.
 */
#include "kernel/splat/ktest.h"
#include "lib/cpio.h"
#include "lib/errno.h"
#include "lib/string.h"

KTEST_SUITE(cpio);

#define ARCHIVE_MAX	1024

/* Where the header's fields are. */
#define FIELD(number)	(6 + 8 * (number))
#define FILE_SIZE_AT	FIELD(6)
#define NAME_SIZE_AT	FIELD(11)

static char archive[ARCHIVE_MAX];

static size_t add_file(size_t pos, const char *name, u32 mode, const char *data, u32 size)
{
	size_t name_size = strlen(name) + 1;

	pos += snprintf(archive + pos, ARCHIVE_MAX - pos,
			"070701%08x%08x%08x%08x%08x%08x%08X%08x%08x%08x%08x%08x%08x",
			1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, (u32)name_size, 0);
	memcpy(archive + pos, name, name_size);
	pos = ALIGN_UP(pos + name_size, 4);
	memcpy(archive + pos, data, size);
	return ALIGN_UP(pos + size, 4);
}

/* Three files and the trailer. Return: the length of it all. */
static size_t build(void)
{
	size_t pos;

	memset(archive, 0, ARCHIVE_MAX);
	pos = add_file(0, "init", 0100755, "12345", 5);
	pos = add_file(pos, "./bin/true", 0100644, "", 0);
	pos = add_file(pos, "/etc/motd", 0100644, "a message of 27 characters\n", 27);
	return add_file(pos, "TRAILER!!!", 0, "", 0);
}

/* fails with: cpio_next() not filling the data up to four bytes */
KTEST(good_archive_gives_its_files_and_ends)
{
	size_t len = build(), pos = 0;
	struct cpio_file file = { 0 };

	KEXPECT_EQ(cpio_next(archive, len, &pos, &file), 0);
	KEXPECT_EQ(strcmp(file.name, "init"), 0);
	KEXPECT_EQ(file.mode, 0100755);
	KEXPECT_EQ(file.size, 5);
	KEXPECT_EQ(memcmp(file.data, "12345", 5), 0);
	KEXPECT_EQ(cpio_next(archive, len, &pos, &file), 0);
	KEXPECT_EQ(file.size, 0);
	KEXPECT_EQ(cpio_next(archive, len, &pos, &file), 0);
	KEXPECT_EQ(strcmp(file.name, "/etc/motd"), 0);
	KEXPECT_EQ(file.size, 27);
	KEXPECT_EQ(cpio_next(archive, len, &pos, &file), -ENOENT);
	KEXPECT_EQ(cpio_next(archive, len, &pos, &file), -ENOENT);
}

/* fails with: cpio_find() comparing file.name as it is */
KTEST(find_ignores_the_root)
{
	size_t len = build();
	struct cpio_file file;

	KEXPECT_EQ(cpio_find(archive, len, "/init", &file), 0);
	KEXPECT_EQ(cpio_find(archive, len, "bin/true", &file), 0);
	KEXPECT_EQ(cpio_find(archive, len, "/./bin/true", &file), 0);
	KEXPECT_EQ(cpio_find(archive, len, "./etc/motd", &file), 0);
	KEXPECT_EQ(file.size, 27);
	KEXPECT_EQ(cpio_find(archive, len, "/TRAILER!!!", &file), -ENOENT);
	KEXPECT_EQ(cpio_find(archive, len, "/etc", &file), -ENOENT);
	KEXPECT_EQ(cpio_find(archive, len, "/initrd", &file), -ENOENT);
}

/* Read the first @len bytes to the end. Return: the number of files, plus 100 for a clean end. */
static int read_all(struct ktest_run *kt, size_t len)
{
	struct cpio_file file;
	size_t pos = 0;
	int files = 0, err;

	while (!(err = cpio_next(archive, len, &pos, &file))) {
		files++;
		KEXPECT_GE(archive + len, file.name + strlen(file.name) + 1);
		KEXPECT_GE(archive + len, (const char *)file.data + file.size);
		KEXPECT_GE(len, pos);
	}
	KEXPECT(err == -ENOENT || err == -EINVAL);
	return err == -ENOENT ? files + 100 : files;
}

/*
 * What lies behind the cut is once the rest of the archive, once something else: if that makes a
 * difference, it was read. fails with: cpio_next() not comparing file_size with what is left
 */
KTEST(cut_archive_is_not_read_past_its_end)
{
	size_t len = build();

	for (size_t cut = 0; cut < len; cut++) {
		int files = read_all(kt, cut);

		memset(archive + cut, 0x5a, ARCHIVE_MAX - cut);
		KEXPECT_EQ(read_all(kt, cut), files);
		build();
	}
	KEXPECT_EQ(read_all(kt, len), 103);
}

/* fails with: parse_header() not looking at where the digits end */
KTEST(bad_headers_are_refused)
{
	static const char bad[] = { 'g', ' ', '-', 'x', '\0', '/', ':', '@', '`' };
	size_t len = build();

	for (size_t at = 0; at < FIELD(13); at++) {
		for (size_t i = 0; i < sizeof(bad); i++) {
			archive[at] = bad[i];
			KEXPECT_EQ(read_all(kt, len), 0);
			build();
		}
	}
}

static int read_with_field(struct ktest_run *kt, size_t at, const char *digits)
{
	size_t len = build();

	memcpy(archive + at, digits, 8);
	return read_all(kt, len);
}

/* fails with: cpio_next() adding the sizes up in 32 bits */
KTEST(huge_sizes_are_refused)
{
	static const char *const sizes[] = {
		"ffffffff", "FFFFFFFC", "ffffff8c", "ffffff88", "80000000", "7fffffff", "00000400",
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		KEXPECT_EQ(read_with_field(kt, FILE_SIZE_AT, sizes[i]), 0);
		KEXPECT_EQ(read_with_field(kt, NAME_SIZE_AT, sizes[i]), 0);
	}
}

/* fails with: cpio_next() not looking for the name's NUL */
KTEST(names_must_end)
{
	KEXPECT_EQ(read_with_field(kt, NAME_SIZE_AT, "00000000"), 0);
	KEXPECT_EQ(read_with_field(kt, NAME_SIZE_AT, "00000004"), 0);	/* "init", no NUL */
}
