# SPDX-License-Identifier: MIT
# Splat's build. `make help` lists what there is; scripts/ holds what is more than a few lines.

# --- Variants: LLVM=1 clang and lld; RELEASE=1 without poison; UBSAN=1 with the compiler's checks;
# BUG=name with a bug of the museum (scripts/build/bug.mk). Each has a folder, so that going from
# one to another builds nothing again.
on = $(filter 1,$($1))
VARIANT := $(if $(call on,LLVM),-llvm)$(if $(call on,RELEASE),-release)$(if $(call on,UBSAN),-ubsan)
BASE := build$(VARIANT:-%=/%)
VARIANT := $(VARIANT)$(BUG:%=-bug-%)
B := build$(VARIANT:-%=/%)
.DEFAULT_GOAL := all

# --- Toolchain: the host's own if it is x86-64, else a cross compiler found by its prefix.
ifndef CROSS
ifeq ($(filter x86_64-%linux% x86_64-linux%,$(shell gcc -dumpmachine 2>/dev/null)),)
PREFIXES := x86_64-elf- x86_64-linux-gnu-
CROSS := $(firstword $(foreach p,$(PREFIXES),$(if $(shell command -v $(p)gcc),$(p))))
endif
endif
ifeq ($(call on,LLVM),)
CC := $(CROSS)gcc
LD := $(CROSS)ld
NM := $(CROSS)nm
OBJCOPY := $(CROSS)objcopy
STACK_OF_8 := -mpreferred-stack-boundary=3
ULD_BASE := -Wl,-Ttext-segment
SANITIZE := -fsanitize=undefined -fno-sanitize=alignment
else
CC := clang --target=x86_64-linux-gnu
LD := ld.lld
NM := llvm-nm
OBJCOPY := llvm-objcopy
STACK_OF_8 := -mstack-alignment=8
ULD_BASE := -fuse-ld=lld -Wl,--image-base
SANITIZE := -fsanitize=undefined -fno-sanitize=alignment,function
endif

WARN := -Wall -Wextra -Wno-unused-parameter $(if $(CI),-Werror)
KCFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only $(STACK_OF_8) \
	-fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-strict-aliasing -fno-common \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	$(WARN) -I. -I$B/include $(if $(call on,RELEASE),-DRELEASE)
# Alignment is left out: x86 does not mind. The reporter does not report itself; its test is of it.
$B/%.c.o: SANITIZED = $(if $(call on,UBSAN),$(SANITIZE))
$B/kernel/debug/ubsan.c.o: SANITIZED =
$B/tests/kernel/ubsan.c.o: SANITIZED = $(SANITIZE)
KASFLAGS := -g -I. -I$B/include -Wa,--fatal-warnings

KSRC := $(sort $(wildcard boot/*.[cS] arch/x86/*.[cS] arch/x86/*/*.[cS] arch/x86/*/*/*.c \
	kernel/*.c kernel/*/*.c lib/*.c tests/kernel/*.c))
KOBJ := $(KSRC:%=$B/%.o)
KERNEL := $B/splat.elf
ASM_OFFSETS := $B/include/asm-offsets.h

ifneq ($(V),1)
Q := @
endif

# What somebody types is not make's to read: a "$" is one, also when it is typed as "$$".
as_typed = $(subst $$$$,$$,$(value $1))
$(foreach v,APPEND GDBARGS T LAB TO SEED HANDIN TRACE_DIR RRDIR DEBUG_LOG,$(if $(filter \
	command% environment%,$(origin $v)),$(eval override $v := $$(call as_typed,$v))))

.PHONY: all
all: $(KERNEL)

define COMPILE
@mkdir -p $(@D)
$(Q)$(CC) $(KCFLAGS) $(SANITIZED) -MMD -MP -c -o $@ $<
endef
define ASSEMBLE
@mkdir -p $(@D)
$(Q)$(CC) $(KASFLAGS) -MMD -MP -c -o $@ $<
endef
ifneq ($(BUG),)
include scripts/build/bug.mk
endif
$B/%.c.o: %.c $(ASM_OFFSETS)
	$(COMPILE)
$B/%.S.o: %.S $(ASM_OFFSETS)
	$(ASSEMBLE)

# Constants that assembly needs are generated from the C headers, never typed twice.
$(ASM_OFFSETS): arch/x86/asm-offsets.c.in | deps-all
	@mkdir -p $(@D)
	$(Q)$(CC) $(KCFLAGS) -MMD -MP -MT $@ -MF $B/asm-offsets.d -x c -S -o $B/asm-offsets.s $<
	$(Q)sed -n 's/.*"->\([A-Z_0-9]*\) \$$*\([-0-9]*\)".*/#define \1 \2/p' $B/asm-offsets.s > $@
-include $B/asm-offsets.d

# Linked twice: the symbol table of the first link becomes part of the second. No text moves by it.
$B/kallsyms.%.o: $B/kallsyms.%.S
	$(Q)$(CC) -c -o $@ $<
$B/kallsyms.0.S: scripts/build/kallsyms.awk | deps-all
	@mkdir -p $(@D)
	$(Q)awk -f $< </dev/null >$@
$B/kallsyms.1.S: scripts/build/kallsyms.awk $B/splat.0.elf
	$(Q)$(NM) -n $B/splat.0.elf | awk -f $< >$@
LINK = $(LD) -nostdlib -z max-page-size=4096 -z noexecstack --build-id=none -T linker.ld -o $@ \
	$(if $(CI),--orphan-handling=error) $(filter %.o,$^)
$B/splat.0.elf: $(KOBJ) $B/kallsyms.0.o linker.ld
	$(Q)$(LINK)
$(KERNEL): $(KOBJ) $B/kallsyms.1.o linker.ld
	$(Q)$(LINK)

-include $(KOBJ:.o=.d)

include scripts/build/targets.mk
-include scripts/build/dev.mk scripts/lab.mk

.PHONY: clean
clean:
	rm -rf $(sort $B build) compile_commands.json
