# SPDX-License-Identifier: MIT
#
# GDB for Splat: `make debug` reads this, then attaches to QEMU, which stands before its first
# instruction.
#
#   break boot_entry32 / boot_pvh32   first instructions by GRUB / by QEMU's -kernel
#   break fpu_clone                   kernel functions: their addresses are right from the start
#   user-symbols bin/demo             symbols of a ring-3 program; then: break main
#   boot-disas                        what the CPU will execute, in 32-bit code too

set confirm off
set pagination off
set print pretty on

define user-symbols
	eval "add-symbol-file %s/user/$arg0", $build
end
document user-symbols
user-symbols bin/NAME or tests/NAME: read the symbols of a ring-3 program.
All programs are linked at the same addresses: a breakpoint stops every program that executes there.
end

define boot-disas
	monitor x/8i $eip
end
document boot-disas
The next eight instructions as the CPU decodes them.
GDB takes all code of a 64-bit kernel for 64-bit code; before long mode it shows nonsense. QEMU
knows the mode.
end
