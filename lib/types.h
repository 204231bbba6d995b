/* SPDX-License-Identifier: MIT */
/*
 * The words everything else is written in: fixed-size integers, a few compiler attributes,
 * container_of. Nothing here knows about tasks, CPUs or memory.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef long long s64;
typedef long ssize_t;
typedef int pid_t;

#define __packed		__attribute__((packed))
#define __aligned(n)		__attribute__((aligned(n)))
#define __section(s)		__attribute__((section(s)))
#define __used			__attribute__((used))
#define __unused		__attribute__((unused))
#define __noreturn		__attribute__((noreturn))
#define noinline		__attribute__((noinline))
#define __always_inline		inline __attribute__((always_inline))
#define __printf(fmt, args)	__attribute__((format(printf, fmt, args)))

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define barrier()		__asm__ volatile("" ::: "memory")

/* One load or store, done once, never split or repeated by the compiler. */
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)		(((x) + (__typeof__(x))(a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define __pick(a, b, op) \
	({ __typeof__(a) __a = (a); __typeof__(b) __b = (b); __a op __b ? __a : __b; })
#define min(a, b)		__pick(a, b, <)
#define max(a, b)		__pick(a, b, >)
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* The address that a function returns to, in its caller. */
#define _RET_IP_		((unsigned long)__builtin_return_address(0))

/* Where we are, as an address inside this function. */
#define _THIS_IP_ ({ unsigned long __ip; __asm__("lea 0(%%rip), %0" : "=r"(__ip)); __ip; })

#define PAGE_SHIFT		12
#define PAGE_SIZE		4096UL
#define PAGE_MASK		(~(PAGE_SIZE - 1))
