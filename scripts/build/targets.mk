# SPDX-License-Identifier: MIT
# What is made around the kernel: ring-3 programs, initramfs, ISO; and the commands that run, debug,
# test and measure. `make help` prints the lines behind "##".

# What QEMU boots; scripts/qemu.sh has the defaults. INITRD= (empty) boots without an initramfs.
# Ring 3 is the same with BUG= and without.
INITRAMFS := $(BASE)/initramfs.cpio
INITRD ?= $(INITRAMFS)
export BOOT CPU MEM SMP APPEND QEMU EMU V CROSS OBJCOPY KERNEL INITRD LLVM RELEASE UBSAN BUG
export ACCEL GDBSTUB GDBWAIT REMOTE CORE T LAB TO SEED HANDIN TRACE_DIR
DEPS := scripts/deps.sh
CC_DEPS := $(if $(call on,LLVM),llvm,cc)
SUBMAKE = $(MAKE) --no-print-directory
WITH_ISO = $(filter grub uefi,$(BOOT))

# What it runs in.
IN_BOCHS = $(filter bochs bochs3 bochs-xfd,$(EMU))
EMULATOR = $(or $(if $(IN_BOCHS),bochs),$(filter qemu,$(or $(EMU),qemu)),$(error EMU=$(EMU) is \
	unknown; it is qemu, bochs, bochs3 or bochs-xfd))
MENU_ISO = $(if $(IN_BOCHS),,$(if $(WITH_ISO),$B/splat.iso))

# --- Ring 3: every program is one file, linked with crt0, all of user/lib, and the kernel's strings
# and formats. user/lib/ktap.c is the tests' main().
U := $(BASE)/user
UCFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	-fno-omit-frame-pointer -fcf-protection=none -Wall -Wextra $(if $(CI),-Werror) -I.
ULDFLAGS = -static -nostdlib $(ULD_BASE)=$(or $(AT),0x400000) -Wl,-z,noexecstack \
	-Wl,-z,separate-code -Wl,--build-id=none
USRC := $(sort $(wildcard user/*.[cS] user/lib/*.[cS] tests/user/*.c) lib/string.c lib/vsprintf.c)
uobj = $(1:%=$U/obj/%.o)
ULIB := $(call uobj,$(filter-out user/lib/ktap.c,$(filter user/crt0.S user/lib/% lib/%,$(USRC))))
UTEST_LIB := $(call uobj,user/lib/ktap.c)
USER_BINS := $(patsubst user/%.c,$U/bin/%,$(filter-out user/lib/%,$(filter user/%.c,$(USRC))))
USER_TESTS := $(patsubst tests/user/%.c,$U/tests/%,$(filter tests/user/%.c,$(USRC)))

# Unstripped ELF files stay in $U for GDB; the initramfs gets stripped copies.
$U/obj/%.o: % | deps-all
	@mkdir -p $(@D)
	$(Q)$(CC) $(UCFLAGS) -MMD -MP -c -o $@ $<
$U/bin/%: $U/obj/user/%.c.o $(ULIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^
$U/tests/testrun: $U/obj/tests/user/testrun.c.o $(ULIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^
# Each stands elsewhere, so that an address of a test's says which program it is of.
$U/tests/%: AT = $(shell printf '%s\n' $(USER_TESTS) | \
	awk '$$0 == "$@" { printf "0x%x", 4194304 + NR * 1048576 }')
$U/tests/%: $U/obj/tests/user/%.c.o $(ULIB) $(UTEST_LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^
.SECONDARY: $(call uobj,$(USRC))
-include $(patsubst %.o,%.d,$(call uobj,$(USRC)))

# The folders are listed so that a removed program leaves the image, too.
$(INITRAMFS): $(USER_BINS) $(USER_TESTS) $(wildcard tests/user/mkbadelf.py) \
		scripts/build/mkinitramfs.sh user tests/user | deps-all
	$(Q)scripts/build/mkinitramfs.sh $@ $(BASE)/initramfs $(USER_BINS) $(USER_TESTS)

compile_commands.json: scripts/build/compdb.py Makefile scripts/build/targets.mk \
		$(sort $(dir $(KSRC) $(USRC))) | deps-all
	$(Q)python3 scripts/build/compdb.py '$(CC) $(filter-out -Werror,$(KCFLAGS))' $(KSRC) -- \
		'$(CC) $(filter-out -Werror,$(UCFLAGS))' $(USRC) >$@

# GRUB's folder is newer when it has got modules for another firmware.
$B/splat.iso: $(KERNEL) $(INITRAMFS) boot/grub.cfg scripts/build/mkiso.sh $(wildcard /usr/lib/grub)
	$(Q)scripts/build/mkiso.sh $@

.PHONY: deps-all
deps-all:
	@$(DEPS) $(CC_DEPS) cpio python3
	@mkdir -p $B 2>/dev/null && [ -w $B ] || { \
		echo "splat: cannot write to $(abspath $B): whose is it?" >&2; exit 1; }

# --- Commands. Each asks for its tools first, then builds, in this order even with -j.
.PHONY: help iso book run demo trace debug tour gdb record rewind tour-rewind museum
all: $(INITRAMFS)	## build the kernel, the initramfs and compile_commands.json
$(if $(VARIANT),,all: compile_commands.json)

run:	## a shell; BOOT=pvh|grub|uefi CPU=max MEM=128M SMP=1 APPEND="options"; end: Ctrl-A X
	@$(DEPS) $(CC_DEPS) cpio python3 $(EMULATOR) $(if $(IN_BOCHS)$(WITH_ISO),iso) \
		$(filter uefi,$(BOOT))
	@$(SUBMAKE) all $(MENU_ISO) </dev/null
	@$(if $(APPEND),,$(MENU_ISO:%=ISO=%)) \
		SERIAL=$$([ -t 0 ] && echo mon:)stdio scripts/$(EMULATOR).sh; \
		scripts/run/verdict.sh $$?

# State that is really dynamic: what the emulator's CPU has.
DEMO_DYNAMIC = $(if $(filter bochs-xfd,$(EMU)),auto,$(if $(IN_BOCHS),zmm,ymm))

# After QEMU's three worlds, a fourth one with a real IA32_XFD, if `make bochs-xfd` has been here.
XFD_WORLD = $(if $(filter qemu,$(EMULATOR)),$(wildcard build/bochs-xfd/bochs))

demo:	## the demonstration: rt=on, rt=off, dynamic state; EMU=qemu|bochs|bochs3|bochs-xfd
	@$(DEPS) $(CC_DEPS) cpio python3 $(EMULATOR) iso
	@$(SUBMAKE) all
	@for world in rt=on rt=off "rt=on dynamic=$(DEMO_DYNAMIC)"; do \
		BOOT=$${BOOT:-grub} SMP=$${SMP:-2} ICOUNT=1 \
			APPEND="$$world init=/bin/demo $$APPEND" \
			scripts/$(EMULATOR).sh </dev/null; \
		scripts/run/verdict.sh $$? || exit 1; \
	done
	@$(if $(XFD_WORLD),EMU=bochs-xfd CPU= BOOT=grub APPEND="init=/bin/demo $$APPEND" \
		scripts/bochs.sh </dev/null; scripts/run/verdict.sh $$?)

# KEEP_RAM=1 keeps the guests' memory: you can read the rings yourself.
override TRACE_DIR := $(or $(TRACE_DIR),$B/trace)
trace:	## both orders of fork, traced: a timeline in build/trace/index.html; text, trace.dat
	@$(DEPS) $(CC_DEPS) cpio python3 qemu
	@$(SUBMAKE) all
	@mkdir -p "$$TRACE_DIR" && rm -f "$$TRACE_DIR"/*.ram
	@for order in buggy fixed; do \
		run=$$TRACE_DIR/$$order; \
		RAM="$$run.ram" ICOUNT=1 SMP=$${SMP:-2} \
			APPEND="rt=on dynamic=ymm trace=on init=/bin/demo $$APPEND -- $$order" \
			scripts/qemu.sh </dev/null >"$$run.log"; \
		scripts/run/verdict.sh $$?; \
		python3 scripts/trace/trace.py $(KERNEL) "$$run.ram" >"$$run.txt" || exit 1; \
		python3 scripts/trace/tracedat.py $(KERNEL) "$$run.ram" "$$run.dat" || exit 1; \
		echo "$$order: $$(tail -n 1 "$$run.txt")"; \
	done
	@python3 scripts/trace/tracepage.py $(KERNEL) "$$TRACE_DIR" buggy fixed
	@$(if $(KEEP_RAM),,rm -f "$$TRACE_DIR"/*.ram)
	@echo "$$TRACE_DIR/index.html"

# Under icount: what a stop shows does not depend on what else the host does. ICOUNT= turns it off.
debug: export ICOUNT ?= $(if $(MTTCG),,1)
debug:	## QEMU stopped at the start, with GDB; BOOT= CPU= APPEND= GDBARGS="-ex 'b fpu_clone'"
	@$(DEPS) $(CC_DEPS) cpio python3 qemu gdb $(if $(WITH_ISO),iso) $(filter uefi,$(BOOT))
	@$(SUBMAKE) all </dev/null
	@scripts/gdb/debug.sh $(GDBARGS)

# A lab's folder may be without what tells its end.
HAVE = @[ -f $1 ] || { echo "splat: this folder has no $1"; exit 1; }
tour:	## a guided session in GDB: a fork in the buggy order, and one in the fixed order
	$(call HAVE,scripts/gdb/tour.py)
	@$(DEPS) $(CC_DEPS) cpio python3 qemu gdb
	@$(SUBMAKE) all </dev/null
	@DEBUG_LOG=$${DEBUG_LOG:-$B/tour.log} MEM=48M ICOUNT=1 SMP=1 CPU=max \
		APPEND="init=/bin/demo dynamic=ymm" scripts/gdb/debug.sh -x scripts/gdb/tour.py

gdb:	## GDB on what runs (make run GDBSTUB=build/gdb.sock); REMOTE=host:port; a dump: CORE=file
	@$(DEPS) gdb
	@scripts/gdb/attach.sh $(GDBARGS)

record:	## the demo, recorded: BOOT=pvh|grub APPEND="options", one CPU; init=/bin/sh to type
	@$(DEPS) $(CC_DEPS) cpio python3 qemu qemu-img gdb $(if $(WITH_ISO),iso)
	@$(SUBMAKE) all </dev/null
	@RRDIR=$${RRDIR:-$B/record} APPEND="init=/bin/demo $$APPEND" scripts/gdb/rewind.sh record

# It builds nothing: a recording goes with the build that it was made with.
rewind:	## GDB at the end of what `make record` recorded, to go backwards; GDBARGS=
	@$(DEPS) python3 qemu gdb
	@RRDIR=$${RRDIR:-$B/record} scripts/gdb/rewind.sh $(GDBARGS)

ifeq ($(BUG),)
tour-rewind:	## a tour in GDB: from the splat, and from a lost register, back to the cause
	@$(SUBMAKE) BUG=scribble $@
else
tour-rewind:
	$(call HAVE,scripts/gdb/tour_rewind.py)
	@$(DEPS) $(CC_DEPS) cpio python3 qemu qemu-img gdb $(if $(WITH_ISO),iso)
	@$(SUBMAKE) all </dev/null
	@export RRDIR=$${RRDIR:-$B/tour-rewind}; mkdir -p $$RRDIR; \
		APPEND="init=/bin/demo $$APPEND" scripts/gdb/rewind.sh record \
			</dev/null >$$RRDIR/log 2>&1 || { cat $$RRDIR/log; exit 1; }; \
		scripts/gdb/rewind.sh tour $(GDBARGS)
endif

museum:	## bugs of other days, and how to see each: make demo|run|test|debug|record BUG=name
	@$(DEPS) python3
	@python3 scripts/build/edits.py museum

iso:	## build/splat.iso: a bootable CD with one menu entry a world
	@$(DEPS) $(CC_DEPS) cpio python3 iso
	@$(SUBMAKE) $B/splat.iso
	@echo "$B/splat.iso"

book:	## the book, for a browser: build/book/index.html; it needs no network
	@$(DEPS) book
	@python3 scripts/book/book.py build/book
	@echo "build/book/index.html"

clean:	## remove all that was built

help:	## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	while IFS='|' read -r name text; do \
		printf 'make %-8s %s\n' "$$name" "$$text"; done
	@echo 'Each takes LLVM=1 (clang), RELEASE=1 (no poison), UBSAN=1 (reports undefined steps).'
