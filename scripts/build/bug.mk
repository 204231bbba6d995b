# SPDX-License-Identifier: MIT
# BUG=name: the kernel with a bug of the museum, tests/museum/name.edits. The files that it changes
# are compiled from changed copies, in $B/src; if a header is among them, so are all others. All
# other objects, and ring 3, are those of the same build without the bug, which is made first.
BUGS := $(patsubst tests/museum/%.edits,%,$(wildcard tests/museum/*.edits))
ifeq ($(filter $(BUG),$(BUGS)),)
$(error splat: BUG=$(BUG) is unknown; the museum has $(BUGS))
endif

# Says what EDITED is, and is made anew when one of these files changes.
include $B/edited.mk
$B/edited.mk: scripts/build/edits.py tests/museum/$(BUG).edits | deps-all
	$(Q)python3 scripts/build/edits.py plant $(BUG) $B

OWN := $(if $(filter %.h,$(EDITED)),$(KSRC),$(EDITED))
KOBJ := $(foreach s,$(KSRC),$(if $(filter $s,$(OWN)),$B,$(BASE))/$s.o)
# What reports print is the name of the file that was changed.
KCFLAGS := -I$B/src -fmacro-prefix-map=$B/src/= $(KCFLAGS)
KASFLAGS := -I$B/src $(KASFLAGS)

$B/%.c.o: $B/src/%.c $(ASM_OFFSETS)
	$(COMPILE)
$B/%.S.o: $B/src/%.S $(ASM_OFFSETS)
	$(ASSEMBLE)

# An object that is still as it was links nothing again.
.PHONY: without-the-bug
without-the-bug: | deps-all
	@$(MAKE) --no-print-directory BUG= $(BASE)/splat.elf
$(filter $(BASE)/%,$(filter-out $B/%,$(KOBJ))): without-the-bug
	@:

# GDB looks for the programs of ring 3 beside the kernel.
$(KERNEL): | $B/user
$B/user: | deps-all
	@ln -sfn .$(BASE:build%=./.%)/user $@
