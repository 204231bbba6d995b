/* SPDX-License-Identifier: MIT */
/*
 * Formatted output (lib/vsprintf.c makes the text, as it does for the kernel), and the line buffer
 * in front of fd 1: a line leaves with one write().
 */
#include "lib/kallsyms.h"
#include "user/lib/libc.h"

#define LINE_MAX 512

/* For %pS: ring 3 has no names for its code. */
const char *kallsyms_lookup(unsigned long addr __unused, unsigned long *size __unused,
			    unsigned long *offset __unused)
{
	return NULL;
}

static void write_all(int fd, const char *s, size_t n)
{
	ssize_t done;

	for (; n; s += done, n -= done) {
		done = write(fd, s, n);
		if (done <= 0)
			return;		/* nobody is left to be told */
	}
}

int dprintf(int fd, const char *fmt, ...)
{
	char buf[LINE_MAX];
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	write_all(fd, buf, min(len, sizeof(buf) - 1));
	return len;
}

static char line[LINE_MAX];
static size_t line_used;

void flush(void)
{
	size_t n = line_used;

	line_used = 0;
	write_all(1, line, n);
}

int vprintf(const char *fmt, va_list args)
{
	char buf[LINE_MAX];
	size_t i, len = vsnprintf(buf, sizeof(buf), fmt, args);

	for (i = 0; i < min(len, sizeof(buf) - 1); i++) {
		line[line_used++] = buf[i];
		if (buf[i] == '\n' || line_used == sizeof(line))
			flush();
	}
	return len;
}

int printf(const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = vprintf(fmt, args);
	va_end(args);
	return ret;
}
