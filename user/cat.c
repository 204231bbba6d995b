/* SPDX-License-Identifier: MIT */
/*
 * cat: standard input to standard output. There are no files to open, so it takes no names.
 */
#include "user/lib/libc.h"

#define CTRL_D 4

/*
 * The console gives bytes as they are typed, so this does what a terminal driver would do. Ctrl-D
 * ends the input, and Enter sends a carriage return where a line feed is meant.
 */
static ssize_t cook(char *buf, ssize_t size)
{
	ssize_t i;

	for (i = 0; i < size && buf[i] != CTRL_D; i++) {
		if (buf[i] == '\r')
			buf[i] = '\n';
	}
	return i;
}

int main(int argc, char **argv)
{
	u16 window[4];
	bool console = syscall(SYS_ioctl, 0, TIOCGWINSZ, window) == 0;
	ssize_t size, keep, done, ret;
	char buf[512];

	if (argc > 1) {
		dprintf(2, "%s: takes no arguments, copies standard input\n", argv[0]);
		return 1;
	}
	while ((size = read(0, buf, sizeof(buf))) > 0) {
		keep = console ? cook(buf, size) : size;
		for (done = 0; done < keep; done += ret) {
			ret = write(1, buf + done, keep - done);
			if (ret <= 0)
				return 1;
		}
		if (keep < size)	/* Ctrl-D */
			return 0;
	}
	return size < 0;
}
