# SPDX-License-Identifier: MIT
# What is made around the kernel: ring-3 programs, initramfs, ISO; and the commands that run, debug,
# test and measure. `make help` prints the lines behind "##".

# What QEMU boots; scripts/qemu.sh has the defaults. INITRD= (empty) boots without an initramfs.
INITRAMFS := $B/initramfs.cpio
INITRD ?= $(INITRAMFS)
export BOOT CPU MEM SMP APPEND QEMU V CROSS OBJCOPY KERNEL INITRD LLVM RELEASE UBSAN
DEPS := scripts/deps.sh
CC_DEPS := $(if $(call on,LLVM),llvm,cc)
SUBMAKE = $(MAKE) --no-print-directory
WITH_ISO = $(filter grub uefi,$(BOOT))

# --- Ring 3: every program is one file, linked with crt0 and all of user/lib. user/lib/ktap.c is
# the tests' main().
UCFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	-fno-omit-frame-pointer -fcf-protection=none -Wall -Wextra $(if $(CI),-Werror) -I.
ULDFLAGS := -static -nostdlib $(ULD_BASE)=0x400000 -Wl,-z,noexecstack \
	-Wl,-z,separate-code -Wl,--build-id=none
USRC := $(sort $(wildcard user/*.[cS] user/lib/*.[cS] tests/user/*.c))
uobj = $(1:%=$B/user/obj/%.o)
ULIB := $(call uobj,$(filter-out user/lib/ktap.c,$(filter user/crt0.S user/lib/%,$(USRC))))
UTEST_LIB := $(call uobj,user/lib/ktap.c)
USER_BINS := $(patsubst user/%.c,$B/user/bin/%,$(filter-out user/lib/%,$(filter user/%.c,$(USRC))))
USER_TESTS := $(patsubst tests/user/%.c,$B/user/tests/%,$(filter tests/user/%.c,$(USRC)))

# Unstripped ELF files stay in $B/user for GDB; the initramfs gets stripped copies.
$B/user/obj/%.o: %
	@mkdir -p $(@D)
	$(Q)$(CC) $(UCFLAGS) -MMD -MP -c -o $@ $<
$B/user/bin/%: $B/user/obj/user/%.c.o $(ULIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^
$B/user/tests/testrun: $B/user/obj/tests/user/testrun.c.o $(ULIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^
$B/user/tests/%: $B/user/obj/tests/user/%.c.o $(ULIB) $(UTEST_LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^
.SECONDARY: $(call uobj,$(USRC))
-include $(patsubst %.o,%.d,$(call uobj,$(USRC)))

# The folders are listed so that a removed program leaves the image, too.
$(INITRAMFS): $(USER_BINS) $(USER_TESTS) $(wildcard tests/user/mkbadelf.py) scripts/mkinitramfs.sh \
		user tests/user | deps-all
	$(Q)scripts/mkinitramfs.sh $@ $B/initramfs $(USER_BINS) $(USER_TESTS)

compile_commands.json: scripts/compdb.py Makefile scripts/targets.mk \
		$(sort $(dir $(KSRC) $(USRC))) | deps-all
	$(Q)python3 scripts/compdb.py '$(CC) $(KCFLAGS)' $(KSRC) -- '$(CC) $(UCFLAGS)' $(USRC) >$@

# GRUB's folder is newer when it has got modules for another firmware.
$B/splat.iso: $(KERNEL) $(INITRAMFS) boot/grub.cfg scripts/mkiso.sh $(wildcard /usr/lib/grub)
	$(Q)scripts/mkiso.sh $@

.PHONY: deps-all
deps-all:
	@$(DEPS) $(CC_DEPS) cpio python3

# --- Commands. Each asks for its tools first, then builds, in this order even with -j.
.PHONY: help iso run demo debug test test-all check stat
all: $(INITRAMFS)	## build the kernel, the initramfs and compile_commands.json
$(if $(VARIANT),,all: compile_commands.json)

run:	## a shell; BOOT=pvh|grub|uefi CPU=max MEM=128M SMP=1 APPEND="options"; end: Ctrl-A X
	@$(DEPS) $(CC_DEPS) cpio python3 qemu $(if $(WITH_ISO),iso) $(filter uefi,$(BOOT))
	@$(SUBMAKE) all $(if $(WITH_ISO),$B/splat.iso) </dev/null
	@$(if $(WITH_ISO),$(if $(APPEND),,ISO=$B/splat.iso)) \
		SERIAL=$$([ -t 0 ] && echo mon:)stdio scripts/qemu.sh; scripts/verdict.sh $$?

demo:	## the demonstration through GRUB: the splat, and the fixed order; APPEND="more options"
	@$(DEPS) $(CC_DEPS) cpio python3 qemu iso
	@$(SUBMAKE) all
	@BOOT=grub ICOUNT=1 APPEND='init=/bin/demo $(APPEND)' scripts/qemu.sh </dev/null; \
		scripts/verdict.sh $$?

debug:	## QEMU stopped at its start, GDB attached; BOOT= CPU= APPEND= GDBARGS="-ex 'b fpu_clone'"
	@$(DEPS) $(CC_DEPS) cpio python3 qemu gdb $(if $(WITH_ISO),iso) $(filter uefi,$(BOOT))
	@$(SUBMAKE) all </dev/null
	@scripts/debug.sh $(GDBARGS)

test:	## all tests; T=name only those with this in their name
	@$(DEPS) cc llvm cpio python3 qemu iso uefi gdb
	@$(SUBMAKE) all
	@python3 tests/run.py $(if $(T),'$(T)')

test-all:	## all tests, and the worlds that take long
	@$(DEPS) cc llvm cpio python3 qemu iso uefi gdb
	@$(SUBMAKE) all
	@python3 tests/run.py --all $(if $(T),'$(T)')

check:	## the tests that take less than a minute together
	@$(DEPS) $(CC_DEPS) cpio python3 qemu iso gdb
	@$(SUBMAKE) all
	@python3 tests/run.py --check $(if $(T),'$(T)')

iso:	## build/splat.iso: a bootable CD with one menu entry a world
	@$(DEPS) $(CC_DEPS) cpio python3 iso
	@$(SUBMAKE) $B/splat.iso
	@echo "$B/splat.iso"

stat:	## sizes and times against their budgets, and calls between the floors of the house
	@$(DEPS) $(CC_DEPS) cpio python3 qemu iso
	@$(SUBMAKE) all LLVM= RELEASE= UBSAN=
	@python3 scripts/stat.py

clean:	## remove all that was built

help:	## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	while IFS='|' read -r name text; do \
		printf 'make %-8s %s\n' "$$name" "$$text"; done
	@echo 'Each takes LLVM=1 (clang), RELEASE=1 (no poison), UBSAN=1 (reports undefined steps).'
