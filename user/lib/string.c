/* SPDX-License-Identifier: MIT */
/*
 * What lib/string.c, the kernel's and ours, does not have: overlapping copies, numbers, and names
 * of numbers.
 */
#include "user/lib/libc.h"

void *memmove(void *to, const void *from, size_t n)
{
	char *t = (char *)to + n - 1;
	const char *f = (const char *)from + n - 1;

	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);
	/*
	 * The target starts inside the source, so copy from the end downwards, and leave the
	 * direction flag clear.
	 */
	__asm__ volatile("std; rep movsb; cld" : "+D"(t), "+S"(f), "+c"(n) : : "memory");
	return to;
}

static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return 99;
}

unsigned long strtoul(const char *s, char **end, int base)
{
	unsigned long value = 0;
	bool hex_prefix = s[0] == '0' && (s[1] | 0x20) == 'x' && digit_value(s[2]) < 16;

	if ((base == 0 || base == 16) && hex_prefix) {
		base = 16;
		s += 2;
	}
	if (base == 0)
		base = *s == '0' ? 8 : 10;
	for (; digit_value(*s) < (unsigned int)base; s++)
		value = value * base + digit_value(*s);
	if (end)
		*end = (char *)s;
	return value;
}

const char *signal_name(int signal)
{
	switch (signal) {
	case SIGILL:	return "SIGILL";
	case SIGTRAP:	return "SIGTRAP";
	case SIGBUS:	return "SIGBUS";
	case SIGFPE:	return "SIGFPE";
	case SIGKILL:	return "SIGKILL";
	case SIGSEGV:	return "SIGSEGV";
	case SIGPIPE:	return "SIGPIPE";
	default:	return "another signal";
	}
}

const char *error_name(long error)
{
	static const char *const names[] = {
		[EPERM] = "EPERM",	[ENOENT] = "ENOENT",	[ESRCH] = "ESRCH",
		[EINTR] = "EINTR",	[E2BIG] = "E2BIG",	[ENOEXEC] = "ENOEXEC",
		[EBADF] = "EBADF",	[ECHILD] = "ECHILD",	[EAGAIN] = "EAGAIN",
		[ENOMEM] = "ENOMEM",	[EACCES] = "EACCES",	[EFAULT] = "EFAULT",
		[EBUSY] = "EBUSY",	[EINVAL] = "EINVAL",	[EMFILE] = "EMFILE",
		[ENOTTY] = "ENOTTY",	[EPIPE] = "EPIPE",	[EDEADLK] = "EDEADLK",
		[ENOSYS] = "ENOSYS",	[ENAMETOOLONG] = "ENAMETOOLONG",
		[EOPNOTSUPP] = "EOPNOTSUPP",
	};

	if (error < 0)
		error = -error;
	if (error >= (long)ARRAY_SIZE(names) || !names[error])
		return "another error";
	return names[error];
}
