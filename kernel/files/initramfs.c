// SPDX-License-Identifier: MIT
/* The initial files (see initramfs.h). Floor 4. */
#include "kernel/files/initramfs.h"
#include "boot/bootinfo.h"
#include "kernel/mm/pages.h"
#include "kernel/report/panic.h"
#include "lib/errno.h"
#include "lib/printk.h"

static const void *initramfs;
static size_t initramfs_size;

void initramfs_init(void)
{
	struct cpio_file file;
	size_t pos = 0;
	unsigned int files = 0;
	int ret;

	initramfs = phys_to_virt(boot_info.initrd_start);
	initramfs_size = boot_info.initrd_end - boot_info.initrd_start;
	if (!initramfs_size)
		panic("no initramfs: give GRUB a module2 line, or QEMU -initrd");
	while (!(ret = cpio_next(initramfs, initramfs_size, &pos, &file)))
		files++;
	if (ret != -ENOENT || !files)
		panic("the initramfs is no cpio archive (newc): bad at byte %lu of %lu", pos,
		      initramfs_size);
	pr_info("initramfs: %u files, %lu KiB", files, initramfs_size >> 10);
}

const char *initramfs_name(unsigned int index)
{
	struct cpio_file file;
	size_t pos = 0;

	do {
		if (cpio_next(initramfs, initramfs_size, &pos, &file))
			return NULL;
	} while (index--);
	return file.name;
}

int initramfs_find(const char *path, struct cpio_file *file)
{
	return cpio_find(initramfs, initramfs_size, path, file);
}
