/* SPDX-License-Identifier: MIT */
/*
 * echo: its arguments, with blanks between them, on one line.
 */
#include "user/lib/libc.h"

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		printf("%s%s", i > 1 ? " " : "", argv[i]);
	printf("\n");
	return 0;
}
