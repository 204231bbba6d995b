/* SPDX-License-Identifier: MIT */
/*
 * Formatted output, and the line buffer in front of fd 1: a line leaves with one write().
 *
 * Known conversions: %d %i %u %x %p %s %c %%, with -, 0, a width (or *), a precision for %s, and l,
 * ll or z.
 */
#include "user/lib/libc.h"

#define LINE_MAX 512

struct sink {
	char *buf;
	size_t size, used;	/* used counts what does not fit, too */
};

static void put_char(struct sink *s, char c)
{
	if (s->used + 1 < s->size)
		s->buf[s->used] = c;
	s->used++;
}

static void put_field(struct sink *s, const char *text, size_t len, int width, bool left, char pad)
{
	int blanks = width - (int)len;

	if (pad == '0' && len && *text == '-') {	/* the sign stands before the zeros */
		put_char(s, *text++);
		len--;
	}
	for (; !left && blanks > 0; blanks--)
		put_char(s, pad);
	while (len--)
		put_char(s, *text++);
	for (; blanks > 0; blanks--)
		put_char(s, ' ');
}

/* Writes the digits so that they end before @end; returns the first. */
static char *digits(char *end, unsigned long value, unsigned int base)
{
	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	return end;
}

static unsigned long integer_arg(va_list *args, bool is_long, bool is_signed)
{
	if (is_long)
		return va_arg(*args, unsigned long);
	if (is_signed)
		return (long)va_arg(*args, int);
	return va_arg(*args, unsigned int);
}

/* One conversion; @fmt is behind the '%'. Returns what follows it. */
static const char *put_conversion(struct sink *s, const char *fmt, va_list *args)
{
	char text[24], *end = text + sizeof(text), *start;
	bool left = false, is_long = false;
	int width = 0, precision = -1;
	unsigned long value;
	char pad = ' ';
	size_t len;

	for (; *fmt == '-' || *fmt == '0'; fmt++) {
		left |= *fmt == '-';
		pad = *fmt == '0' ? '0' : pad;
	}
	if (*fmt == '*') {
		width = va_arg(*args, int);
		fmt++;
	} else {
		width = strtoul(fmt, (char **)&fmt, 10);
	}
	if (*fmt == '.')
		precision = strtoul(fmt + 1, (char **)&fmt, 10);
	for (; *fmt == 'l' || *fmt == 'z'; fmt++)
		is_long = true;

	switch (*fmt) {
	case 'd':
	case 'i':
		value = integer_arg(args, is_long, true);
		start = digits(end, (long)value < 0 ? -value : value, 10);
		if ((long)value < 0)
			*--start = '-';
		break;
	case 'u':
		start = digits(end, integer_arg(args, is_long, false), 10);
		break;
	case 'x':
		start = digits(end, integer_arg(args, is_long, false), 16);
		break;
	case 'p':
		start = digits(end, va_arg(*args, unsigned long), 16);
		*--start = 'x';
		*--start = '0';
		break;
	case 'c':
		start = end - 1;
		*start = va_arg(*args, int);
		break;
	case 's':
		start = va_arg(*args, char *);
		for (len = 0; len < (size_t)precision && start[len]; len++)
			;
		end = start + len;
		break;
	case '\0':
		return fmt;
	default:		/* '%', or unknown: shows itself */
		start = end - 1;
		*start = *fmt;
	}
	put_field(s, start, end - start, width, left, left ? ' ' : pad);
	return fmt + 1;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct sink s = { .buf = buf, .size = size };
	va_list copy;	/* an array type: only a local one can be passed on by address */

	va_copy(copy, args);
	while (*fmt) {
		if (*fmt != '%')
			put_char(&s, *fmt++);
		else
			fmt = put_conversion(&s, fmt + 1, &copy);
	}
	va_end(copy);
	if (size)
		buf[s.used < size ? s.used : size - 1] = '\0';
	return s.used;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return ret;
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
