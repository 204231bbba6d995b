// SPDX-License-Identifier: MIT
/*
 * execve(): a static ELF64 program from the initramfs into a new address space (System V ABI,
 * AMD64, 3.4).
 *
 * All checks come first and the new address space is complete before the old one goes, so that a
 * broken program gives an errno to a caller that still exists.
 */
#include "kernel/exec.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/process.h"
#include "kernel/exit.h"
#include "kernel/files/files.h"
#include "kernel/files/initramfs.h"
#include "kernel/fork.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/trace.h"
#include "kernel/vm/mm.h"
#include "lib/printk.h"
#include "lib/string.h"

/* --- ELF --- */

#define ELF_MAGIC	0x464c457f
#define ELFCLASS64	2
#define ELFDATA2LSB	1
#define ET_EXEC		2
#define EM_X86_64	62
#define PT_LOAD		1
#define PT_INTERP	3
#define PF_X		1
#define PF_W		2
#define PF_R		4
#define PHDRS_MAX	64

struct elf64_ehdr {
	u32 magic;
	u8 class, data, version, abi, pad[8];
	u16 type, machine;
	u32 version2;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

#define AT_NULL		0
#define AT_PHDR		3
#define AT_PHENT	4
#define AT_PHNUM	5
#define AT_PAGESZ	6
#define AT_ENTRY	9

/* What exec works on, from the checks to the last byte of the stack. */
struct program {
	struct cpio_file file;
	const struct elf64_ehdr *ehdr;
	struct mm_struct *mm;
	u64 phdr_addr;			/* of the program headers in ring 3, or 0 */
	u64 end;			/* of the highest segment: where the heap begins */
	u64 sp;
};

static const struct elf64_phdr *program_header(const struct program *p, unsigned int i)
{
	return (const void *)p->ehdr + p->ehdr->phoff + i * sizeof(struct elf64_phdr);
}

/* The archive aligns data to 4 bytes only; x86 does not mind, and the structs are only read. */
static int check_elf(struct program *p)
{
	const struct elf64_ehdr *e = p->file.data;
	size_t size = p->file.size;

	if (size < sizeof(*e) || e->magic != ELF_MAGIC || e->class != ELFCLASS64 ||
	    e->data != ELFDATA2LSB || e->type != ET_EXEC || e->machine != EM_X86_64 ||
	    e->phentsize != sizeof(struct elf64_phdr) || !e->phnum || e->phnum > PHDRS_MAX ||
	    e->phoff > size || size - e->phoff < e->phnum * sizeof(struct elf64_phdr))
		return -ENOEXEC;
	p->ehdr = e;
	for (unsigned int i = 0; i < e->phnum; i++)
		if (program_header(p, i)->type == PT_INTERP)
			return -ENOEXEC;	/* wants a dynamic linker */
	return 0;
}

static int load_segment(struct program *p, const struct elf64_phdr *ph)
{
	u64 start = ALIGN_DOWN(ph->vaddr, PAGE_SIZE), end = ph->vaddr + ph->memsz;
	unsigned int flags = (ph->flags & PF_R ? VM_READ : 0) | (ph->flags & PF_W ? VM_WRITE : 0) |
			     (ph->flags & PF_X ? VM_EXEC : 0);
	int ret;

	if (ph->filesz > ph->memsz || ph->offset > p->file.size ||
	    ph->filesz > p->file.size - ph->offset || end < ph->vaddr || end > MMAP_TOP)
		return -EINVAL;
	if (!ph->memsz)
		return 0;
	end = ALIGN_UP(end, PAGE_SIZE);
	if ((end - start) >> PAGE_SHIFT > nr_total_pages())
		return -ENOMEM;
	ret = mm_add_area(p->mm, start, end, flags) ?:
	      mm_write(p->mm, ph->vaddr, p->file.data + ph->offset, ph->filesz);
	if (ret)
		return ret;
	if (p->ehdr->phoff >= ph->offset && p->ehdr->phoff - ph->offset < ph->filesz)
		p->phdr_addr = ph->vaddr + p->ehdr->phoff - ph->offset;
	p->end = max(p->end, end);
	return 0;
}

static int load_elf(struct program *p)
{
	int ret;

	for (unsigned int i = 0; i < p->ehdr->phnum; i++) {
		const struct elf64_phdr *ph = program_header(p, i);

		ret = ph->type == PT_LOAD ? load_segment(p, ph) : 0;
		if (ret)
			return ret;
	}
	if (!p->end || p->ehdr->entry >= TASK_SIZE_MAX)
		return -EINVAL;
	p->mm->start_brk = p->mm->brk = p->end;
	return mm_add_area(p->mm, STACK_TOP - STACK_SIZE, STACK_TOP, VM_READ | VM_WRITE);
}

/* --- The first stack: strings at the top, below them auxv, envp, argv, argc --- */

#define STRINGS_MAX	256		/* argv and envp together, and the 0 after each */
#define STRING_BYTES	(59 << 10)	/* so that struct exec_strings takes no more than 64 KiB */

static int push(struct program *p, const void *data, size_t size)
{
	p->sp -= size;
	return mm_write(p->mm, p->sp, data, size);
}

/*
 * Copy the strings; their addresses go to @addrs, with a 0 at the end, all within @room. Returns
 * their number, or an error.
 */
static int push_strings(struct program *p, const char *const strings[], u64 *addrs, int room)
{
	for (int n = 0; n < room; n++) {
		size_t size = strings[n] ? strlen(strings[n]) + 1 : 0;
		int ret;

		addrs[n] = 0;
		if (!size)
			return n;
		if (STACK_TOP - p->sp + size > STRING_BYTES)
			return -E2BIG;
		ret = push(p, strings[n], size);
		if (ret)
			return ret;
		addrs[n] = p->sp;
	}
	return -E2BIG;
}

static int build_stack(struct program *p, const char *const argv[], const char *const envp[])
{
	u64 auxv[] = {
		AT_PHDR, p->phdr_addr, AT_PHENT, sizeof(struct elf64_phdr),
		AT_PHNUM, p->ehdr->phnum, AT_PAGESZ, PAGE_SIZE,
		AT_ENTRY, p->ehdr->entry, AT_NULL, 0,
	};
	u64 *addrs = kmalloc(STRINGS_MAX * sizeof(u64), GFP_KERNEL);
	int argc, envc = 0, ret;
	u64 words;

	if (!addrs)
		return -ENOMEM;
	p->sp = STACK_TOP;
	argc = ret = push_strings(p, argv, addrs, STRINGS_MAX);
	if (ret >= 0)
		envc = ret = push_strings(p, envp, addrs + argc + 1, STRINGS_MAX - argc - 1);
	if (ret >= 0) {
		/* RSP is a multiple of 16 at the entry, so count what will be below the strings. */
		words = 1 + argc + 1 + envc + 1;
		p->sp = ALIGN_DOWN(p->sp - sizeof(auxv) - words * 8, 16) + sizeof(auxv) + words * 8;
		ret = push(p, auxv, sizeof(auxv)) ?: push(p, addrs, (words - 1) * 8) ?:
		      push(p, &(u64){ argc }, 8);
	}
	kfree(addrs);
	return ret;
}

/* --- exec --- */

static void set_comm(const char *path)
{
	const char *base = path;

	for (const char *s = path; *s; s++)
		if (*s == '/')
			base = s + 1;
	strscpy(current->comm, base, TASK_COMM_LEN);
	trace_task_comm();
}

/* Once de_thread() has succeeded, nothing can fail, because only the new program is left. */
static int begin_new_exec(struct program *p, const char *path)
{
	/* In this order, because what can fail must fail before the threads are gone. */
	int ret = unshare_files() ?: unshare_sighand() ?: de_thread();

	if (ret)
		return ret;
	mm_release(current);
	mmput(exchange_current_mm(p->mm));
	flush_thread();
	set_comm(path);
	start_thread(task_pt_regs(current), p->ehdr->entry, p->sp);
	return 0;
}

int kernel_execve(const char *path, const char *const argv[], const char *const envp[])
{
	struct program p = {};
	int ret;

	might_sleep();
	ret = initramfs_find(path, &p.file);
	if (ret)
		return ret;
	if ((p.file.mode & 0170000) != 0100000)
		return -EACCES;
	ret = check_elf(&p);
	if (ret)
		return ret;
	p.mm = mm_alloc();
	if (!p.mm)
		return -ENOMEM;
	ret = load_elf(&p) ?: build_stack(&p, argv, envp) ?: begin_new_exec(&p, path);
	if (ret)
		mmput(p.mm);
	return ret;
}

/*
 * --- The system call: bring path and strings into the kernel first, because they are in the memory
 * that will go. ---
 */

struct exec_strings {
	const char *argv[STRINGS_MAX], *envp[STRINGS_MAX];
	size_t used;			/* of bytes */
	char path[256];
	char bytes[STRING_BYTES];
};

static int fetch_strings(struct exec_strings *s, const char *const *from, const char **to)
{
	for (int n = 0; n < STRINGS_MAX; n++) {
		const char *ptr = NULL;
		long len;

		/* Linux takes a NULL list for an empty one. */
		if (from && get_user(ptr, from + n))
			return -EFAULT;
		to[n] = NULL;
		if (!ptr)
			return 0;
		len = strncpy_from_user(s->bytes + s->used, ptr, STRING_BYTES - s->used);
		if (len < 0)
			return len == -ENAMETOOLONG ? -E2BIG : len;
		to[n] = s->bytes + s->used;
		s->used += len + 1;
	}
	return -E2BIG;
}

long do_execve(const char *path, const char *const *argv, const char *const *envp)
{
	struct exec_strings *s = kmalloc(sizeof(*s), GFP_KERNEL);
	long ret;

	if (!s)
		return -ENOMEM;
	s->used = 0;
	ret = strncpy_from_user(s->path, path, sizeof(s->path));
	if (ret >= 0)
		ret = fetch_strings(s, argv, s->argv) ?: fetch_strings(s, envp, s->envp);
	/* A program may rely on argv[0], as under Linux since 5.18. */
	if (!ret && !s->argv[0]) {
		s->argv[0] = "";
		s->argv[1] = NULL;
	}
	if (!ret) {
		do
			ret = kernel_execve(s->path, s->argv, s->envp);
		while (ret == -ENOMEM && out_of_memory());
	}
	kfree(s);
	return ret;
}
