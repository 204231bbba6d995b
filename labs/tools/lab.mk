# SPDX-License-Identifier: MIT
# What a lab's folder has besides: its grader, and what is handed in.
LAB_FILES :=
.PHONY: grade test check handin
# The debugger is to see every function and every variable of the files that are yours.
$(patsubst %,$B/%.o,$(filter %.c,$(LAB_FILES))): KCFLAGS += -Og

test check: grade
grade:	## points for this lab; SEED=word: other values, ALL=1: all of each, FULL=1: or fail
	@$(DEPS) $(CC_DEPS) cpio python3 qemu libclang
	@python3 scripts/grade.py $(if $(SEED),--seed "$$SEED") $(if $(ALL),--all) || \
		[ $$? = 1 $(if $(FULL),-a no = yes) ]

override HANDIN := $(or $(HANDIN),handin.tar.gz)
handin:	## handin.tar.gz: the files that are graded
	@tar czf "$$HANDIN" $(LAB_FILES)
	@echo "$$HANDIN: $$(tar tzf "$$HANDIN" | wc -l) files"
