// SPDX-License-Identifier: MIT
/*
 * Multiboot2's tags and PVH's start info, brought to one form.
 *
 * Runs on the boot page tables, which map the low 4 GiB in the direct map; both loaders place what
 * they pass there.
 */
#include "boot/bootinfo.h"
#include "arch/x86/mm/address_space.h"
#include "kernel/report/panic.h"
#include "lib/string.h"

struct boot_info boot_info;

/* The @size bytes at @phys that the loader passed as its @what. The range is not trusted. */
static void *low_mem(u64 phys, u64 size, const char *what)
{
	if (phys > BIT(32) || size > BIT(32) - phys)
		panic("boot: the loader's %s at %#llx is not below 4 GiB", what, phys);
	return (void *)(DIRECT_MAP + phys);
}

static void set_cmdline(const char *s)
{
	boot_info.cmdline_cut = strscpy(boot_info.cmdline, s, BOOT_CMDLINE_MAX) < 0;
}

static void set_initrd(u64 start, u64 end)
{
	if (end < start || end > BIT(32))
		panic("boot: the initramfs at %#llx to %#llx is not below 4 GiB", start, end);
	boot_info.initrd_start = start;
	boot_info.initrd_end = end;
}

static void add_ram(u64 start, u64 size)
{
	u64 end = start + size;

	if (boot_info.nr_ram == BOOT_MEM_MAX || end < start || start >= DIRECT_MAP_MAX)
		return;
	for (unsigned int i = 0; i < boot_info.nr_ram; i++)
		if (start < boot_info.ram[i].end && end > boot_info.ram[i].start)
			return;		/* the same RAM twice must not be given out twice */
	boot_info.low_page |= start <= AP_TRAMPOLINE && end >= AP_TRAMPOLINE + PAGE_SIZE;
	/*
	 * Whole pages only, and nothing in the first MiB, because the BIOS and the loader leave
	 * tables there.
	 */
	start = ALIGN_UP(max(start, 0x100000UL), PAGE_SIZE);
	end = ALIGN_DOWN(min(end, DIRECT_MAP_MAX), PAGE_SIZE);
	if (start < end)
		boot_info.ram[boot_info.nr_ram++] = (struct boot_mem){ start, end };
}

/* --- Multiboot2 (specification 2.0, section 3.6) --- */

#define MB2_MAGIC	0x36d76289
#define MB2_TAG_END	0
#define MB2_TAG_CMDLINE	1
#define MB2_TAG_MODULE	3
#define MB2_TAG_MMAP	6
#define MB2_TAG_ACPI1	14
#define MB2_TAG_ACPI2	15
#define E820_RAM	1

struct mb2_tag {
	u32 type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	u32 start, end;
	char cmdline[];
};

struct mb2_mmap {
	struct mb2_tag tag;
	u32 entry_size, version;
	u8 entries[];
};

struct mb2_mmap_entry {
	u64 addr, len;
	u32 type, reserved;
};

static void mb2_mmap(const struct mb2_mmap *mmap)
{
	const u8 *p = mmap->entries, *end = (const u8 *)mmap + mmap->tag.size;

	for (; p + sizeof(struct mb2_mmap_entry) <= end; p += max(mmap->entry_size, 24u)) {
		const struct mb2_mmap_entry *e = (const void *)p;

		if (e->type == E820_RAM)
			add_ram(e->addr, e->len);
	}
}

static void mb2_parse(u64 info_phys)
{
	const u32 *total_size = low_mem(info_phys, 8, "information");
	const void *end = low_mem(info_phys, *total_size, "information") + *total_size;
	const struct mb2_tag *tag = (const void *)(total_size + 2);

	boot_info.protocol = "Multiboot2";
	for (;; tag = (const void *)tag + ALIGN_UP(tag->size, 8)) {
		if ((const void *)(tag + 1) > end || tag->size < sizeof(*tag) ||
		    tag->size > (size_t)(end - (const void *)tag))
			panic("boot: a Multiboot2 tag (type %u, %u bytes) does not fit", tag->type,
			      tag->size);
		switch (tag->type) {
		case MB2_TAG_END:
			return;
		case MB2_TAG_CMDLINE:
			set_cmdline((const char *)(tag + 1));
			break;
		case MB2_TAG_MODULE:
			set_initrd(((const struct mb2_module *)tag)->start,
				   ((const struct mb2_module *)tag)->end);
			break;
		case MB2_TAG_MMAP:
			mb2_mmap((const void *)tag);
			break;
		case MB2_TAG_ACPI1:
		case MB2_TAG_ACPI2:
			boot_info.rsdp = (u64)(tag + 1) - DIRECT_MAP;
			break;
		}
	}
}

/* --- PVH (Xen's "start info", version 1) --- */

#define PVH_MAGIC	0x336ec578

struct pvh_start_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist, cmdline, rsdp;
	u64 memmap;
	u32 memmap_entries, reserved;
};

struct pvh_module {
	u64 start, size, cmdline, reserved;
};

struct pvh_memmap_entry {
	u64 addr, size;
	u32 type, reserved;
};

/* QEMU copies a command line of any length into one page; a long one overwrites what follows. */
static void pvh_cmdline(u64 info_phys, const struct pvh_start_info *info)
{
	u64 behind = info->cmdline + PAGE_SIZE;
	const char *s = low_mem(info->cmdline, PAGE_SIZE, "command line");

	if (info->cmdline && strnlen(s, PAGE_SIZE) == PAGE_SIZE &&
	    (info->modlist == behind || info_phys == behind))
		panic("boot: the command line is too long; it is written over the loader's data");
	if (info->cmdline)
		set_cmdline(s);
}

static void pvh_parse(u64 info_phys)
{
	const struct pvh_start_info *info = low_mem(info_phys, sizeof(*info), "information");

	boot_info.protocol = "PVH";
	if (info->magic != PVH_MAGIC)
		panic("boot: PVH's start info at %#llx is damaged; is the command line too long?",
		      info_phys);
	pvh_cmdline(info_phys, info);
	boot_info.rsdp = info->rsdp;
	if (info->nr_modules) {
		const struct pvh_module *mod = low_mem(info->modlist, sizeof(*mod), "module");

		set_initrd(mod->start, mod->start + mod->size);
	}
	if (info->version >= 1 && info->memmap) {
		const struct pvh_memmap_entry *e = low_mem(
			info->memmap, info->memmap_entries * sizeof(*e), "memory map");

		for (u32 i = 0; i < info->memmap_entries; i++, e++)
			if (e->type == E820_RAM)
				add_ram(e->addr, e->size);
	}
}

void bootinfo_init(u32 magic, u64 info_phys)
{
	if (magic == MB2_MAGIC)
		mb2_parse(info_phys);
	else if (magic == PVH_MAGIC)
		pvh_parse(info_phys);
	else
		panic("boot: magic %#x is neither Multiboot2's nor PVH's; boot by GRUB's "
		      "multiboot2 or QEMU -kernel",
		      magic);
	if (!boot_info.nr_ram)
		panic("boot: the loader passed no memory map");
}
