/* SPDX-License-Identifier: MIT */
/*
 * Linux's error numbers, those that Splat returns. A function that can fail returns the negated
 * number.
 */
#pragma once

#define EPERM		1
#define ENOENT		2
#define ESRCH		3
#define EINTR		4
#define E2BIG		7
#define ENOEXEC		8
#define EBADF		9
#define ECHILD		10
#define EAGAIN		11
#define ENOMEM		12
#define EACCES		13
#define EFAULT		14
#define EBUSY		16
#define EINVAL		22
#define EMFILE		24
#define ENOTTY		25
#define EPIPE		32
#define EDEADLK		35
#define ENAMETOOLONG	36
#define ENOSYS		38
#define EOPNOTSUPP	95

/* A pointer that may be an error, because the address space's last page holds no object. */
#define MAX_ERRNO	4095
#define ERR_PTR(err)	((void *)(long)(err))
#define PTR_ERR(ptr)	((long)(ptr))
#define IS_ERR(ptr)	((unsigned long)(ptr) >= (unsigned long)-MAX_ERRNO)
