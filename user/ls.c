/* SPDX-License-Identifier: MIT */
/*
 * ls: the names of all files in the initramfs, one a line. There are no other files, and no
 * directories to choose.
 */
#include "user/lib/libc.h"

int main(void)
{
	char name[128];
	int i, len;

	for (i = 0; (len = splat_readdir(i, name, sizeof(name))) >= 0; i++)
		printf("%s\n", name);
	if (len != -ENOENT)
		dprintf(2, "ls: %s\n", error_name(len));
	return len != -ENOENT;
}
