/* SPDX-License-Identifier: MIT */
/*
 * Text from a format: one pass, one character at a time. put() alone knows how large the buffer is;
 * everything above it writes as if there were room for all, so the length counted is right also for
 * a text that was cut.
 */
#include "lib/kallsyms.h"
#include "lib/string.h"

struct output {
	char *buf;
	size_t size, len;
	va_list args;
};

/* What stands between the % and the conversion. */
struct spec {
	bool left, zero, alternate;
	int width;
	int precision;		/* negative: none */
	int bytes;		/* of the integer: 4 or 8 */
};

static void put(struct output *out, char c)
{
	if (out->len + 1 < out->size)
		out->buf[out->len] = c;
	out->len++;
}

static void put_bytes(struct output *out, const char *s, int n)
{
	while (n-- > 0)
		put(out, *s++);
}

static void put_times(struct output *out, char c, int n)
{
	while (n-- > 0)
		put(out, c);
}

/* A prefix, zeros and @n bytes in a field of the wanted width. */
static void put_field(struct output *out, const struct spec *spec, const char *prefix, int zeros,
		      const char *s, int n)
{
	int prefix_len = strlen(prefix), blanks = spec->width - prefix_len - zeros - n;

	if (!spec->left)
		put_times(out, ' ', blanks);
	put_bytes(out, prefix, prefix_len);
	put_times(out, '0', zeros);
	put_bytes(out, s, n);
	if (spec->left)
		put_times(out, ' ', blanks);
}

static void put_string(struct output *out, const struct spec *spec, const char *s)
{
	if (!s)
		s = "(null)";
	put_field(out, spec, "", 0, s,
		  spec->precision < 0 ? strlen(s) : strnlen(s, spec->precision));
}

static void put_number(struct output *out, const struct spec *spec, const char *prefix, u64 value,
		       unsigned int base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[20];		/* 2^64 - 1 has 20 decimal digits */
	int start = sizeof(text), len, zeros;

	for (; value; value /= base)
		text[--start] = digits[value % base];
	len = sizeof(text) - start;

	/* The precision is the least number of digits, so it makes the digit of a plain 0. */
	zeros = max((spec->precision < 0 ? 1 : spec->precision) - len, 0);
	if (spec->zero && !spec->left && spec->precision < 0)
		zeros = max(zeros, spec->width - (int)strlen(prefix) - len);
	put_field(out, spec, prefix, zeros, text + start, len);
}

static void put_integer(struct output *out, const struct spec *spec, char conversion)
{
	u64 value = spec->bytes == 8 ? va_arg(out->args, u64) : va_arg(out->args, unsigned int);
	int unused_bits = 64 - 8 * spec->bytes;
	bool decimal = conversion == 'd' || conversion == 'u';
	bool upper = conversion == 'X';
	const char *prefix = "";

	value <<= unused_bits;
	if (conversion == 'd' && (s64)value < 0) {
		value = -(u64)((s64)value >> unused_bits);
		prefix = "-";
	} else {
		value >>= unused_bits;
	}
	if (spec->alternate && value && !decimal)
		prefix = upper ? "0X" : "0x";
	put_number(out, spec, prefix, value, decimal ? 10 : 16, upper);
}

/*
 * @back is 1 for a return address, which points behind the call. Where the call is the last
 * instruction of its function (nobody comes back from panic()), that is already the next function.
 * One byte back is inside the call for certain.
 */
static void put_symbol(struct output *out, const struct spec *spec, unsigned long addr,
		       unsigned int back)
{
	unsigned long size, offset;
	const char *name = kallsyms_lookup(addr - back, &size, &offset);
	char text[96];

	if (name)
		snprintf(text, sizeof(text), "%s+0x%lx/0x%lx", name, offset + back, size);
	else
		snprintf(text, sizeof(text), "0x%lx", addr);
	put_string(out, spec, text);
}

/* @fmt is behind the 'p'. Return: behind the letter that follows, if it is one of ours. */
static const char *put_pointer(struct output *out, struct spec *spec, const char *fmt)
{
	unsigned long addr = va_arg(out->args, unsigned long);

	if (*fmt == 'S' || *fmt == 'B') {
		put_symbol(out, spec, addr, *fmt == 'B');
		return fmt + 1;
	}
	spec->precision = 2 * sizeof(addr);
	put_number(out, spec, "", addr, 16, false);
	return fmt;
}

static const char *parse_decimal(const char *s, int *value)
{
	for (*value = 0; *s >= '0' && *s <= '9'; s++)
		*value = *value * 10 + *s - '0';
	return s;
}

/* @fmt is behind the '%'. Return: where the conversion letter is. */
static const char *parse_spec(const char *fmt, struct spec *spec)
{
	*spec = (struct spec) { .precision = -1, .bytes = 4 };

	for (; *fmt == '-' || *fmt == '0' || *fmt == '#'; fmt++) {
		spec->left |= *fmt == '-';
		spec->zero |= *fmt == '0';
		spec->alternate |= *fmt == '#';
	}
	fmt = parse_decimal(fmt, &spec->width);
	if (*fmt == '.')
		fmt = parse_decimal(fmt + 1, &spec->precision);
	for (; *fmt == 'l' || *fmt == 'z'; fmt++)
		spec->bytes = 8;
	return fmt;
}

/* @fmt is behind the '%'. Return: what is still to be printed. */
static const char *put_conversion(struct output *out, const char *fmt)
{
	struct spec spec;
	char c;

	fmt = parse_spec(fmt, &spec);
	switch (*fmt) {
	case 'd':
	case 'u':
	case 'x':
	case 'X':
		put_integer(out, &spec, *fmt);
		break;
	case 'c':
		c = va_arg(out->args, int);
		put_field(out, &spec, "", 0, &c, 1);
		break;
	case 's':
		put_string(out, &spec, va_arg(out->args, const char *));
		break;
	case 'p':
		return put_pointer(out, &spec, fmt + 1);
	case '%':
		put(out, '%');
		break;
	default:	/* not ours: show it as it is, so that somebody sees it */
		put(out, '%');
		return fmt;
	}
	return fmt + 1;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct output out = { .buf = buf, .size = size };

	va_copy(out.args, args);
	while (*fmt) {
		if (*fmt == '%')
			fmt = put_conversion(&out, fmt + 1);
		else
			put(&out, *fmt++);
	}
	va_end(out.args);

	if (size)
		buf[min(out.len, size - 1)] = '\0';
	return out.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}
