/* SPDX-License-Identifier: MIT */
/* Running programs out of the initramfs. */
#pragma once

/*
 * Replace current's program. The strings are the kernel's own; @argv and @envp end with NULL. May
 * sleep. 0: the task goes to the new program when it returns to ring 3. Errors leave the task as it
 * was: -ENOENT, -EACCES (not a file), -ENOEXEC (not a static ELF64 program), -EINVAL (an impossible
 * one), -E2BIG, -ENOMEM, -EINTR (the process is being ended).
 */
int kernel_execve(const char *path, const char *const argv[], const char *const envp[]);

/* The system call: strings in ring 3's memory. */
long do_execve(const char *path, const char *const *argv, const char *const *envp);
