# SPDX-License-Identifier: MIT
# What a lab's folder has besides: its grader, and what is handed in.
.PHONY: grade test handin
test: grade
grade:	## points for this lab, step by step; SEED=word for other values
	@$(DEPS) $(CC_DEPS) cpio python3 qemu
	@python3 scripts/grade.py $(if $(SEED),--seed $(SEED))

HANDIN ?= handin.tar.gz
handin:	## handin.tar.gz: the files that are graded
	@tar czf $(HANDIN) \
		$$(python3 -c 'import json; print(*json.load(open("lab.json"))["files"])')
	@echo "$(HANDIN): $$(tar tzf $(HANDIN) | wc -l) files"
