# SPDX-License-Identifier: MIT
# What is for those who work on Splat itself, or teach with it. A lab's folder does not have it.
.PHONY: test test-all check lab hunt stat bochs3 bochs-xfd trace-picture

TEST_DEPS := cc llvm cpio python3 qemu qemu-img bochs iso uefi gdb chromium trace-cmd book \
	libclang sandbox parallel

test:	## all tests but the long ones; T=name only those with this in their name
test-all:	## all tests, the long ones, too
test test-all:
	@$(DEPS) $(TEST_DEPS)
	@$(SUBMAKE) all
	@python3 tests/runner/run.py $(if $(filter test-all,$@),--all) $(if $(T),"$$T")

check:	## the tests that take less than a minute together
	@$(DEPS) $(CC_DEPS) cpio python3 qemu iso gdb
	@$(SUBMAKE) all
	@python3 tests/runner/run.py --check $(if $(T),"$$T")

lab:	## the starter tree of lab LAB=n, in the folder TO= (lab-n); FOR=gradescope|autolab|github
	@$(DEPS) python3
	@python3 labs/tools/lab.py make "$$LAB" "$${TO:-lab-$$LAB}" $(FOR)

hunt:	## a lab whose bug SEED=word chooses, in the folder TO= (lab-hunt)
	@$(DEPS) $(CC_DEPS) cpio python3 qemu libclang
	@$(SUBMAKE) all
	@python3 labs/tools/hunt.py "$${SEED:-}" "$${TO:-lab-hunt}"

bochs3:	## bring Bochs 3.x into build/bochs3, for EMU=bochs3 and its tests
	@$(DEPS) bochs
	@scripts/build/bochs3.sh

bochs-xfd:	## build a Bochs with IA32_XFD into build/bochs-xfd, for EMU=bochs-xfd (minutes)
	@$(DEPS) bochs c++ python3
	@scripts/build/bochs-xfd.sh

stat:	## sizes and times against their budgets, and calls between the floors of the house
	@$(DEPS) $(CC_DEPS) cpio python3 qemu iso libclang
	@$(SUBMAKE) all LLVM= RELEASE= UBSAN= BUG=
	@python3 scripts/stat/stat.py

trace-picture: trace	## docs/timeline.png, the README's picture of it; wants chromium
	@$(DEPS) chromium
	@python3 tests/runner/chromium.py "$(TRACE_DIR)/index.html" docs/timeline.png
